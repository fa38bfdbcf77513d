"""What holds for any numbers, and numbers that nobody thought of.

hypothesis draws arrays, parameters and options, the same ones in each run. Where a property holds in the reals only,
the tolerance is a few ulp of the largest numbers that take part, and says so.
"""

import math
import pickle
import re

import cases
import numpy as np
import pytest

import fastloss as fl

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

settings.register_profile(
    "fixed",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)
settings.load_profile("fixed")

DTYPES = st.sampled_from(cases.DTYPES)
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])
# Lengths around lanes and tiles, and any others.
LENGTHS = st.sampled_from([1, 2, 3, 7, 8, 9, 16, 17, 33, 64, 65]) | st.integers(1, 70)
CLASSES = st.sampled_from([1, 2, 3, 4, 5, 8, 9, 16, 17, 33, 64, 65, 130]) | st.integers(1, 40)


def logits(dtype, bound=1e3, special=False):
    """Numbers of a type, many of them equal, whole or 0; `special`: nan, infinities and the ends of the range, too."""
    width = np.dtype(dtype).itemsize * 8
    usual = st.floats(-bound, bound, width=width, allow_subnormal=False) | st.integers(-3, 3).map(float)
    if not special:
        return usual
    info = np.finfo(dtype)
    hard = [math.nan, math.inf, -math.inf, -0.0, *(float(x) for x in (info.max, info.min, info.tiny, info.eps))]
    return usual | st.sampled_from([*hard, float(info.smallest_subnormal), 88.5, -104.0, 709.5, -745.0])


def array(draw, dtype, shape, elements):
    return draw(hnp.arrays(dtype, shape, elements=elements))


@st.composite
def problems(draw, dtype, setups, bound=1e3, special=False):
    """(setup, prediction, target): of any loss and shape."""
    setup = draw(st.sampled_from(setups))
    shape = (draw(LENGTHS), draw(CLASSES if setup.case.rowwise else st.integers(1, 5)))
    z = array(draw, dtype, shape, logits(dtype, bound, special))
    _, t = setup.draw(shape, dtype, seed=draw(st.integers(0, 9)))
    return setup, z, t


def weights(draw, setup, z, zeros=True):
    shape = z.shape[:1] if setup.case.rowwise else z.shape
    elements = st.integers(0 if zeros else 1, 16).map(lambda k: k / 8)
    return array(draw, np.float64, shape, elements)


EVERY = cases.FEW_SETUPS
ROWWISE = tuple(setup for setup in EVERY if setup.case.rowwise)
POINTWISE = tuple(setup for setup in EVERY if not setup.case.rowwise)


def everything(loss, z, t, **options):
    return loss.value_gradient_and_hessian(z, t, **options)


def assert_same(found, wanted):
    for name, a, b in zip(("value", "gradient", "hessian"), found, wanted, strict=True):
        assert cases.same_bits(a, b), name


# ------------------------------------------------------------------------------- any numbers, nan and all: to the bit


@given(st.data())
def test_each_method_gives_the_same(data):
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, special=True))
    loss = setup.build(z.shape[-1])
    options = {"reduction": data.draw(REDUCTIONS)}
    w = data.draw(st.booleans()) and weights(data.draw, setup, z, zeros=False)
    if w is not False:
        options["sample_weight"] = w
    value, gradient, hessian = everything(loss, z, t, **options)
    parameters = setup.parameters(z.shape[-1])
    assert cases.same_bits(loss(z, t, **options), value)
    assert cases.same_bits(getattr(fl, setup.case.function)(z, t, **parameters, **options), value)
    assert cases.same_bits(loss.gradient(z, t, **options), gradient)
    for found, wanted in (
        (loss.value_and_gradient(z, t, **options), (value, gradient)),
        (loss.gradient_and_hessian(z, t, **options), (gradient, hessian)),
    ):
        assert all(cases.same_bits(a, b) for a, b in zip(found, wanted, strict=True))


@given(st.data())
def test_layouts_do_not_matter(data):
    """Steps, directions, offsets, alignment, byte order: the same rows, the same bits."""
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, special=True))
    loss = setup.build(z.shape[-1])
    w = weights(data.draw, setup, z)
    wanted = everything(loss, z, t, sample_weight=w, reduction="none")

    def laid_out(x):
        steps = data.draw(st.tuples(*[st.sampled_from([1, 2, 3, -1, -2]) for _ in x.shape]))
        first = data.draw(st.integers(0, 3))
        offset = data.draw(st.sampled_from([0, 1, 4, 8]))
        code = x.dtype.newbyteorder(data.draw(st.sampled_from("=S")))
        shape = [first + abs(step) * n for step, n in zip(steps, x.shape, strict=True)]
        raw = np.zeros(math.prod(shape) * x.itemsize + offset, np.uint8)
        room = raw[offset:].view(code).reshape(shape)
        view = room[tuple(slice(first, None, abs(step)) for step in steps)]
        view = view[tuple(slice(None, None, 1 if step > 0 else -1) for step in steps)]
        assert view.shape == x.shape
        view[...] = x
        return view

    found = everything(loss, laid_out(z), laid_out(t), sample_weight=laid_out(w), reduction="none")
    assert_same(found, wanted)


@given(st.data())
def test_rows_may_come_in_any_order(data):
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, special=True))
    loss = setup.build(z.shape[-1])
    order = np.array(data.draw(st.permutations(range(len(z)))))
    wanted = everything(loss, z, t, reduction="none")
    found = everything(loss, z[order], t[order], reduction="none")
    assert_same(found, [x[order] for x in wanted])


@given(st.data())
def test_any_part_of_the_rows_is_as_in_the_whole(data):
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, special=True))
    loss = setup.build(z.shape[-1])
    part = slice(data.draw(st.integers(0, len(z) - 1)), None)
    wanted = everything(loss, z, t, reduction="none")
    assert_same(everything(loss, z[part], t[part], reduction="none"), [x[part] for x in wanted])


@given(st.data())
def test_row_functions_agree(data):
    """softmax is never negative and never above 1; masks stay masks; the order of rows and layouts do not matter."""
    dtype = data.draw(DTYPES)
    shape = data.draw(LENGTHS), data.draw(CLASSES)
    x = array(data.draw, dtype, shape, logits(dtype, special=True))
    p, log_p, total = fl.softmax(x), fl.log_softmax(x), fl.logsumexp(x)
    undefined = np.isnan(x).any(axis=1) | (np.isposinf(x).sum(axis=1) > 1) | np.isneginf(x).all(axis=1)
    assert np.array_equal(np.isnan(p).all(axis=1), undefined)
    assert np.array_equal(np.isnan(log_p).all(axis=1), undefined)
    good = p[~undefined]
    assert ((good >= 0) & (good <= 1)).all()
    assert (log_p[~undefined] <= 0).all()
    np.testing.assert_allclose(good.sum(axis=1, dtype=float), 1, atol=4 * shape[1] * np.finfo(dtype).eps)
    order = np.array(data.draw(st.permutations(range(shape[0]))))
    for function, wanted in ((fl.softmax, p), (fl.log_softmax, log_p), (fl.logsumexp, total)):
        assert cases.same_bits(function(x[order]), wanted[order])
        assert cases.same_bits(function(x[::-1]), wanted[::-1])
    # It is monotone: no rounding turns the order of two logits around.
    rows = ~undefined & np.isfinite(x).all(axis=1)
    by_logit = np.argsort(x[rows], axis=1, kind="stable")
    rising = np.take_along_axis(log_p[rows], by_logit, axis=1)
    assert (rising[:, 1:] >= rising[:, :-1]).all()


@given(st.data())
def test_sigmoid_is_monotone_and_symmetric(data):
    dtype = data.draw(DTYPES)
    x = np.sort(array(data.draw, dtype, data.draw(LENGTHS), logits(dtype, 120)))
    s, log_s = fl.sigmoid(x), fl.log_sigmoid(x)
    assert ((s >= 0) & (s <= 1)).all()
    assert (log_s <= 0).all()
    eps = np.finfo(dtype).eps
    assert (s[1:] >= s[:-1] * (1 - 4 * eps)).all()
    np.testing.assert_allclose(s + fl.sigmoid(-x), 1, rtol=2 * eps)
    np.testing.assert_allclose(log_s, fl.log_sigmoid(-x) + x, rtol=4 * eps, atol=4 * eps * np.abs(x).max())


# ----------------------------------------------------------------------------------------------------- sums and weights


@given(st.data())
def test_a_sum_is_the_sum_of_its_parts(data):
    """Sums are in double precision: within a few of its ulps of the magnitudes that are added up."""
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, 30))
    loss = setup.build(z.shape[-1])
    cut = data.draw(st.integers(0, len(z)))
    each = np.ravel(loss(z.astype(np.float64), t, reduction="none"))
    parts = [loss(z[part], t[part], reduction="sum") for part in (slice(cut), slice(cut, None))]
    whole = loss(z, t, reduction="sum")
    allowed = 8 * np.finfo(np.float64).eps * np.abs(each).sum()
    assert sum(parts) == pytest.approx(whole, rel=0, abs=allowed)
    if dtype == np.float64:
        assert whole == pytest.approx(math.fsum(each), rel=0, abs=allowed)


@given(st.data())
def test_weights_are_linear(data):
    """The sum under a sum of two weights is the sum of the two sums; so are the derivatives, element by element."""
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, 30))
    loss = setup.build(z.shape[-1])
    one, other = (weights(data.draw, setup, z) for _ in range(2))
    a, b, both = (everything(loss, z, t, sample_weight=w, reduction="sum") for w in (one, other, one + other))
    eps = np.finfo(dtype).eps
    magnitude = np.abs(loss(z, t, reduction="none").astype(float)).sum() * 4
    assert a[0] + b[0] == pytest.approx(both[0], rel=0, abs=8 * eps * magnitude)
    for x, y, right in zip(a[1:], b[1:], both[1:], strict=True):
        np.testing.assert_allclose(x + y, right, rtol=4 * eps, atol=4 * np.finfo(dtype).tiny)


@given(st.data())
def test_a_mean_is_a_sum_divided(data):
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, 30))
    assume(setup.given.get("class_weight") is None or setup.kind != "index")
    loss = setup.build(z.shape[-1])
    w = weights(data.draw, setup, z)
    assume(w.sum() > 0)
    mean = everything(loss, z, t, sample_weight=w)
    total = everything(loss, z, t, sample_weight=w, reduction="sum")
    assert mean[0] == pytest.approx(total[0] / w.sum(), rel=1e-14)
    for x, right in zip(mean[1:], total[1:], strict=True):
        np.testing.assert_allclose(x, right / w.sum(), rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)


# --------------------------------------------------------------------------------------------------------- symmetries


def slack_of(setup, z, t, dtype):
    """(value, gradient, Hessian): what rounding of a few ulps of everything that takes part may do."""
    bounds = cases.expected(setup.case, setup.parameters(z.shape[-1]), z, t, dtype)
    return [np.nan_to_num(np.asarray(bound.tolerance, float), posinf=np.inf) for bound in bounds]


@given(st.data())
def test_a_shift_of_all_logits_changes_nothing(data):
    """softmax(z + c) = softmax(z): exactly, where z + c is exact."""
    dtype = data.draw(DTYPES)
    setup = data.draw(st.sampled_from(ROWWISE))
    shape = data.draw(LENGTHS), data.draw(CLASSES)
    z = array(data.draw, dtype, shape, st.integers(-50, 50).map(lambda k: k / 8))
    shift = data.draw(st.integers(-100, 100)) * 2.0
    _, t = setup.draw(shape, dtype)
    loss = setup.build(shape[1])
    assert_same(
        everything(loss, z + dtype(shift), t, reduction="none"),
        everything(loss, z, t, reduction="none"),
    )
    assert cases.same_bits(fl.softmax(z + dtype(shift)), fl.softmax(z))


@given(st.data())
def test_classes_may_come_in_any_order(data):
    """With their targets and weights; sums in another order are equal but for rounding."""
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, ROWWISE, 30))
    assume(cases.has_wide(dtype))
    n_classes = z.shape[1]
    order = np.array(data.draw(st.permutations(range(n_classes))))
    parameters = setup.parameters(n_classes)
    moved = dict(parameters)
    if parameters.get("class_weight") is not None:
        moved["class_weight"] = parameters["class_weight"][order]
    if parameters.get("ignore_index") is not None and 0 <= parameters["ignore_index"] < n_classes:
        moved["ignore_index"] = int(np.argsort(order)[parameters["ignore_index"]])
    if setup.case.gap is not None:  # the first of equal logits counts as the largest
        assume((np.diff(np.sort(z, axis=1), axis=1) > 1e-3).all())
    target = np.argsort(order)[t] if t.ndim == 1 else t[:, order]
    build = lambda p: getattr(fl, setup.case.constructor)(**p)
    wanted = everything(build(parameters), z, t, reduction="none")
    found = everything(build(moved), z[:, order], target, reduction="none")
    value, gradient, hessian = slack_of(setup, z, t, dtype)
    assert (np.abs(found[0] - wanted[0]) <= 2 * value).all()
    assert (np.abs(found[1] - wanted[1][:, order]) <= 2 * gradient[:, order]).all()
    assert (np.abs(found[2] - wanted[2][:, order]) <= 2 * hessian[:, order]).all()


@given(st.data())
def test_gradients_of_a_row_add_up_to_nothing(data):
    """A shift of all logits changes nothing, so the gradient has no part along it."""
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, ROWWISE, 30))
    gradient = setup.build(z.shape[1]).gradient(z, t, reduction="none").astype(float)
    allowed = slack_of(setup, z, t, dtype)[1].sum(axis=1)
    assert (np.abs(gradient.sum(axis=1)) <= allowed + np.finfo(dtype).tiny).all()


# F(z, t) = F(-z, 1 - t): the two labels are alike, unless one of them is weighed.
ALIKE = [
    (fl.BinaryCrossEntropy(), True),
    (fl.BinaryCrossEntropy(label_smoothing=0.2), True),
    (fl.BinaryFocal(), True),
    (fl.BinaryFocal(alpha=0.3), fl.BinaryFocal(alpha=0.7)),
    *((loss, True) for loss in (fl.Hinge(), fl.SquaredHinge(), fl.ModifiedHuber(), fl.Exponential(), fl.Brier())),
]


@given(st.data())
def test_labels_are_alike(data):
    dtype = data.draw(DTYPES)
    loss, mirrored = data.draw(st.sampled_from(ALIKE))
    n = data.draw(LENGTHS)
    z = array(data.draw, dtype, n, logits(dtype, 50))
    t = array(data.draw, dtype, n, st.integers(0, 8).map(lambda k: k / 8))
    mirrored = loss if mirrored is True else mirrored
    one = everything(loss, z, t, reduction="none")
    other = everything(mirrored, -z, 1 - t, reduction="none")
    with np.errstate(over="ignore"):
        size = [np.abs(x.astype(float)) + np.abs(y.astype(float)) for x, y in zip(one, other, strict=True)]
    hard = (t == 0) | (t == 1)
    for sign, a, b, scale in zip((1, -1, 1), one, other, size, strict=True):
        # Of a soft target the terms of the two labels may cancel; they are not larger than at the labels themselves.
        np.testing.assert_allclose(a[hard], sign * b[hard], rtol=16 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny)
        bound = 64 * np.finfo(dtype).eps * (scale + np.exp(np.abs(z.astype(float))))
        assert (np.abs(a.astype(float) - sign * b) <= bound).all()


EVEN = (
    fl.SquaredError(),
    fl.AbsoluteError(),
    fl.Huber(),
    fl.SmoothL1(beta=0.5),
    fl.PseudoHuber(),
    fl.LogCosh(),
    fl.Fair(c=2.0),
)
EVEN += (fl.Cauchy(), fl.Quantile(), fl.Expectile(), fl.EpsilonInsensitive(), fl.SquaredEpsilonInsensitive())


@given(st.data())
def test_residuals_of_both_signs_are_alike(data):
    """F(z, t) = F(-z, -t) = F(t, z), to the last bit: the residual only changes its sign."""
    dtype, loss = data.draw(DTYPES), data.draw(st.sampled_from(EVEN))
    n = data.draw(LENGTHS)
    z, t = (array(data.draw, dtype, n, logits(dtype, special=True)) for _ in range(2))
    value, gradient, hessian = everything(loss, z, t, reduction="none")
    for found in (everything(loss, -z, -t, reduction="none"), everything(loss, t, z, reduction="none")):
        np.testing.assert_array_equal(found[0], value)
        np.testing.assert_array_equal(found[1], -gradient)
        np.testing.assert_array_equal(found[2], hessian)


@given(st.data())
def test_a_quantile_seen_from_the_other_side(data):
    dtype = data.draw(DTYPES)
    n = data.draw(LENGTHS)
    z, t = (array(data.draw, dtype, n, logits(dtype)) for _ in range(2))
    q = data.draw(st.integers(1, 15)) / 16
    for constructor in (fl.Quantile, fl.Expectile):
        value, gradient, hessian = everything(constructor(q=q), z, t, reduction="none")
        other = everything(constructor(q=1 - q), -z, -t, reduction="none")
        np.testing.assert_array_equal(other[0], value)
        np.testing.assert_array_equal(other[1], -gradient)
        apart = z != t  # at the kink itself, one side has to be chosen
        np.testing.assert_array_equal(other[2][apart], hessian[apart])


# ----------------------------------------------------------------------------------------------------------- convexity


CONVEX = tuple(setup for setup in EVERY if setup.case.convex)


@given(st.data())
def test_convexity_along_segments(data):
    """F((1 - a) x + a y) <= (1 - a) F(x) + a F(y), and F(y) >= F(x) + F'(x) (y - x): but for rounding."""
    setup, x, t = data.draw(problems(np.float64, CONVEX, 20))
    y = array(data.draw, np.float64, x.shape, logits(np.float64, 20))
    loss = setup.build(x.shape[1])
    a = data.draw(st.floats(0, 1))
    f = lambda z: loss(z, t, reduction="none")
    between, ends = f((1 - a) * x + a * y), ((1 - a) * f(x), a * f(y))
    size = np.abs(ends[0]) + np.abs(ends[1]) + np.abs(f(x)) + np.abs(f(y))
    slack = 1e-12 * (1 + size)
    assert (between <= ends[0] + ends[1] + slack).all()
    value, slope = loss.value_and_gradient(x, t, reduction="none")
    rise = slope * (y - x)
    rise, steps = (r.sum(axis=-1) if setup.case.rowwise else r for r in (rise, np.abs(rise)))
    assert (f(y) >= value + rise - slack - 1e-12 * steps).all()


@given(st.data())
def test_the_gradient_of_a_convex_loss_never_turns(data):
    """(F'(x) - F'(y)) (x - y) >= 0."""
    setup, x, t = data.draw(problems(np.float64, CONVEX, 20))
    y = array(data.draw, np.float64, x.shape, logits(np.float64, 20))
    loss = setup.build(x.shape[1])
    g, h = (loss.gradient(z, t, reduction="none") for z in (x, y))
    product, size = (g - h) * (x - y), (np.abs(g) + np.abs(h)) * (np.abs(x) + np.abs(y))
    if setup.case.rowwise:
        product, size = product.sum(axis=-1), size.sum(axis=-1)
    assert (product >= -1e-12 * (1 + size)).all()
    _, hessian = loss.gradient_and_hessian(x, t, reduction="none")
    assert (hessian >= 0).all()


@given(st.data())
def test_losses_of_labels_are_never_negative(data):
    """And a hard label's loss falls as its own logit rises."""
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, tuple(s for s in EVERY if s.kind in ("index", "hard", "real"))))
    loss = setup.build(z.shape[1])
    value, gradient = loss.value_and_gradient(z, t, reduction="none")
    assert (value >= 0).all()
    if setup.kind == "index" and not any(setup.given.get(name) for name in ("label_smoothing", "epsilon")):
        own = np.take_along_axis(gradient, t[:, np.newaxis], axis=1)[:, 0]
        assert (own <= 0).all()


# ------------------------------------------------------------------------------------ promises (docs/promises.md)


@given(st.data())
@settings(max_examples=12)
def test_any_number_of_threads_gives_the_same_bits(data):
    """Of arrays that are large enough for several."""
    dtype = data.draw(DTYPES)
    setup = data.draw(st.sampled_from(EVERY))
    n_classes = data.draw(st.sampled_from([2, 10, 70, 1000]) if setup.case.rowwise else st.integers(1, 5))
    shape = data.draw(st.integers(140_000, 160_000)) // n_classes, n_classes
    z, t = setup.draw(shape, dtype, seed=data.draw(st.integers(0, 9)))
    loss, reduction = setup.build(n_classes), data.draw(REDUCTIONS)
    with fl.num_threads(1):
        wanted = everything(loss, z, t, reduction=reduction)
    with fl.num_threads(data.draw(st.integers(2, 7))):
        assert_same(everything(loss, z, t, reduction=reduction), wanted)


@given(st.data())
def test_a_stream_is_the_whole(data):
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, special=True))
    loss = setup.build(z.shape[-1])
    w = weights(data.draw, setup, z, zeros=False)
    reduction = data.draw(st.sampled_from(["mean", "sum"]))
    running = fl.streaming(loss, reduction=reduction)
    ends = sorted(data.draw(st.lists(st.integers(0, len(z)), max_size=4)))
    for start, stop in zip([0, *ends], [*ends, len(z)], strict=True):
        running.update(z[start:stop], t[start:stop], w[start:stop])
    assert cases.same_bits(running.value(), loss(z, t, sample_weight=w, reduction=reduction))


@given(st.data())
def test_kernels_are_the_text_book(data):
    dtype = data.draw(DTYPES)
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    setup, z, t = data.draw(problems(dtype, EVERY, 30))
    bounds = cases.expected(setup.case, setup.parameters(z.shape[-1]), z, t, dtype)
    cases.assert_result(everything(setup.build(z.shape[-1]), z, t, reduction="none"), bounds, str(setup), dtype)


@given(st.data())
def test_curvatures_keep_their_order(data):
    """psd is never negative, and nowhere 0 but where the gradient is; majorize is never below the exact one."""
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, 30))
    loss = setup.build(z.shape[-1])
    (gradient, exact), (_, psd), (_, bound) = (
        loss.gradient_and_hessian(z, t, reduction="none", curvature=curvature)
        for curvature in ("exact", "psd", "majorize")
    )
    finite = np.isfinite(gradient)
    assert ((psd >= 0) & (bound >= 0))[finite].all()
    assert (psd[finite & (np.abs(gradient) >= np.finfo(dtype).tiny)] > 0).all()
    slack = 16 * np.finfo(dtype).eps * (np.abs(exact) + np.abs(bound))
    assert (bound + slack >= exact)[finite & np.isfinite(exact)].all()


@given(st.data())
def test_outputs_may_lie_on_inputs(data):
    """On the prediction, wholly or in part; the other arrays are as they were."""
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, special=True))
    loss = setup.build(z.shape[-1])
    w = weights(data.draw, setup, z)
    wanted = loss.gradient(z, t, sample_weight=w)
    shift = data.draw(st.integers(0, z.size))
    room = np.zeros(z.size + shift, dtype)
    prediction, gradient = room[: z.size].reshape(z.shape), room[shift:].reshape(z.shape)
    prediction[...] = z
    before = t.tobytes(), w.tobytes()
    assert cases.same_bits(loss.gradient(prediction, t, sample_weight=w, gradient_out=gradient), wanted)
    assert (t.tobytes(), w.tobytes()) == before


@given(st.data())
def test_the_first_bad_weight_is_named_and_nothing_is_written(data):
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, 30))
    loss = setup.build(z.shape[-1])
    w = weights(data.draw, setup, z)
    places = data.draw(st.lists(st.integers(0, w.size - 1), min_size=1, max_size=3))
    for place in places:
        w.flat[place] = data.draw(st.sampled_from([-1.0, math.nan, math.inf]))
    first = ", ".join(map(str, np.unravel_index(min(places), w.shape)))
    out = np.full(z.shape, 7, dtype)
    with pytest.raises(ValueError, match=re.escape(f"sample_weight[{first}]")):
        loss.gradient(z, t, sample_weight=w, gradient_out=out)
    assert (out == 7).all()


@given(st.data())
def test_the_first_bad_class_is_named_and_nothing_is_written(data):
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, tuple(setup for setup in ROWWISE if setup.kind == "index"), 30))
    loss = setup.build(z.shape[-1])
    places = data.draw(st.lists(st.integers(0, len(z) - 1), min_size=1, max_size=3))
    for place in places:
        t[place] = data.draw(st.integers(z.shape[1], 2**40) | st.integers(-(2**40), -200))
    out = np.full(z.shape, 7, dtype)
    with pytest.raises(ValueError, match=re.escape(f"target[{min(places)}] = {t[min(places)]}")):
        loss.gradient(z, t, gradient_out=out)
    assert (out == 7).all()


@given(st.data())
def test_weights_count_rows(data):
    """Weight 0 is a row that is not there, whatever it holds; weight 2 one that is there twice."""
    setup, z, t = data.draw(problems(np.float64, EVERY, 30))
    loss = setup.build(z.shape[-1])
    w = array(data.draw, np.int64, len(z), st.integers(0, 3))
    given_w = w if setup.case.rowwise else np.broadcast_to(w[:, None], z.shape)
    hard = np.where((w == 0)[:, None], data.draw(st.sampled_from([math.nan, math.inf, -math.inf, 0.5])), z)
    value, gradient = loss.value_and_gradient(hard, t, sample_weight=given_w, reduction="sum")
    assert (gradient[w == 0] == 0).all()
    times = np.repeat(np.arange(len(z)), w)
    slack = 64 * np.finfo(float).eps * np.abs(loss(z, t, reduction="none")).sum()
    wanted = loss(z[times], t[times], reduction="sum") if len(times) else 0.0
    assert value == pytest.approx(wanted, rel=1e-14, abs=slack)


@given(st.data())
def test_the_scale_of_weights_drops_out_of_a_mean(data):
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, 30))
    loss = setup.build(z.shape[-1])
    w = weights(data.draw, setup, z)
    assume(w.sum() > 0)
    scaled = np.ldexp(w, data.draw(st.integers(-900, 900)))
    found, wanted = (everything(loss, z, t, sample_weight=each) for each in (scaled, w))
    assert found[0] == pytest.approx(wanted[0], rel=4 * float(np.finfo(dtype).eps))
    for a, b in zip(found[1:], wanted[1:], strict=True):
        np.testing.assert_allclose(a, b, rtol=8 * np.finfo(dtype).eps, atol=8 * np.finfo(dtype).tiny)


@given(st.data())
def test_a_bad_row_spoils_no_other(data):
    """And a mean over it is nan."""
    dtype = data.draw(DTYPES)
    setup, z, t = data.draw(problems(dtype, EVERY, 30))
    loss = setup.build(z.shape[-1])
    wanted = everything(loss, z, t, reduction="none")
    row = data.draw(st.integers(0, len(z) - 1))
    z[row, data.draw(st.integers(0, z.shape[1] - 1))] = math.nan
    found = everything(loss, z, t, reduction="none")
    others = np.arange(len(z)) != row
    assert_same([x[others] for x in found], [x[others] for x in wanted])
    if not (setup.given.get("ignore_index") is not None and setup.kind == "index"):
        assert math.isnan(loss(z, t))


@given(st.data())
def test_losses_survive_pickling(data):
    setup, z, t = data.draw(problems(np.float64, EVERY, 30))
    loss = setup.build(z.shape[-1])
    again = pickle.loads(pickle.dumps(loss))
    assert again == loss
    assert hash(again) == hash(loss)
    before = z.tobytes(), t.tobytes(), repr(loss)
    assert_same(everything(again, z, t), everything(loss, z, t))
    assert (z.tobytes(), t.tobytes(), repr(loss)) == before
