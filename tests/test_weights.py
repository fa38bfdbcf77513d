"""What weights do, and what they may be.

test_options.py crosses kinds of weights with smoothing, class weights, ignored rows and reductions, and shows that a
row of weight 0 is no row and one of weight 2 two rows; test_sets.py does so for sets. Here these things meet: several
of them at once, rows that hold nan or a label that is none, weights at the ends of their range.
"""

import itertools
import math

import cases
import numpy as np
import pytest
from test_layouts import LAYOUTS

import fastloss as fl

N, K = 30, 4
REDUCTIONS = ("mean", "sum", "none")


def problem(setup, dtype=np.float64, n=N):
    z, t = setup.draw((n, K), dtype)
    shape = (n,) if setup.case.rowwise else (n, K)
    w = np.random.default_rng(5).uniform(0.25, 2, shape)
    return setup.build(K), z, t, w


def everything(loss, z, t, **options):
    return loss.value_gradient_and_hessian(z, t, **options)


# ---------------------------------------------------------------------------------------------- nothing times anything


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, "max"])
def test_zero_times_anything_is_zero(few_setup, dtype, bad, order):
    """In every position, for each reduction and curvature: not nan, but exactly 0."""
    loss, z, t, w = problem(few_setup, dtype)
    bad = np.finfo(dtype).max if bad == "max" else bad
    for row in (0, 17, N - 1):
        spoilt, weight = np.array(z, order=order), w.copy()
        weight[row], spoilt[row] = 0, bad
        clean = np.array(z, order=order)
        for reduction, curvature in zip(REDUCTIONS, ("exact", "psd", "majorize"), strict=True):
            options = {"sample_weight": weight, "reduction": reduction, "curvature": curvature}
            found, wanted = everything(loss, spoilt, t, **options), everything(loss, clean, t, **options)
            # What the row holds makes no difference, to the last bit.
            assert all(cases.same_bits(a, b) for a, b in zip(found, wanted, strict=True))
            assert not np.any(found[1][row])
            assert not np.any(found[2][row])
        without = loss(np.delete(z, row, 0), np.delete(t, row, 0), sample_weight=np.delete(weight, row, 0))
        assert loss(spoilt, t, sample_weight=weight) == pytest.approx(without, rel=float(16 * np.finfo(dtype).eps))


def test_a_bad_target_of_weight_zero_is_not_looked_at(few_setup, dtype):
    """Neither a label nor a probability nor a count is checked where nobody wants to know."""
    loss, z, t, w = problem(few_setup, dtype)
    w[[2, 17]] = 0
    good = everything(loss, z, t, sample_weight=w)
    for bad in (77, -1) if few_setup.kind == "index" else (-1.0, np.nan, np.inf, -np.inf):
        spoilt = t.copy()
        spoilt[[2, 17]] = bad
        for each in (spoilt, np.asfortranarray(spoilt)):
            found = everything(loss, z, each, sample_weight=w)
            assert all(cases.same_bits(a, b) for a, b in zip(found, good, strict=True))
        if few_setup.kind != "real":
            spoilt[5] = bad
            with pytest.raises(ValueError, match=r"target\[5[,\]]"):
                everything(loss, z, spoilt, sample_weight=w)


def test_a_bad_target_of_weight_zero_in_a_stream(dtype):
    """It is not looked at there either."""
    z, t, w = np.linspace(-2, 2, 700).astype(dtype), np.ones(700, dtype), np.ones(700, dtype)
    t[7], w[7] = np.nan, 0
    whole = fl.binary_cross_entropy(z, t, sample_weight=w)
    assert fl.streaming("binary_cross_entropy").update(z, t, w).value() == whole
    t[9] = 2
    with pytest.raises(ValueError, match=r"target\[9\]"):
        fl.streaming("binary_cross_entropy").update(z, t, w)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_bad_target_comes_before_a_bad_weight(dtype, fresh):
    """However large the arrays, and whether targets are looked at before the weights or with the loss."""
    for n in (700, 1_200_000):
        z, t, w = np.zeros(n, dtype), np.ones(n, dtype), np.ones(n, dtype)
        t[n - 1], w[3] = 2, -1
        out = None if fresh else np.full_like(z, 7)
        with pytest.raises(ValueError, match=rf"target\[{n - 1}\]"):
            fl.BinaryCrossEntropy().gradient(z, t, sample_weight=w, gradient_out=out)
        t[n - 1] = 1
        with pytest.raises(ValueError, match=r"sample_weight\[3\]"):
            fl.BinaryCrossEntropy().gradient(z, t, sample_weight=w, gradient_out=out)
        assert fresh or (out == 7).all()


@pytest.mark.parametrize("weight", [0.0, -0.0, np.int8(0), False])
def test_every_zero_is_zero(few_setup, weight):
    loss, z, t, _ = problem(few_setup)
    z[:] = np.nan
    value, gradient, hessian = everything(loss, z, t, sample_weight=weight, reduction="sum")
    assert value == 0.0
    assert not np.any(gradient)
    assert not np.any(hessian)


def test_all_zero(few_setup, dtype):
    """A mean of nothing, with one warning; its derivatives are 0."""
    loss, z, t, w = problem(few_setup, dtype)
    for weight in (w * 0, (w * 0).astype(np.float32), np.zeros(w.shape, int), np.zeros(w.shape, bool)):
        with pytest.warns(RuntimeWarning, match="mean of nothing") as records:
            value, gradient, hessian = everything(loss, z, t, sample_weight=weight)
        assert len(records) == 1
        assert math.isnan(value)
        assert not np.any(gradient)
        assert not np.any(hessian)


# --------------------------------------------------------------------------------------------------- types and shapes


@pytest.mark.parametrize("code", ["f2", "f4", "f8", ">f4", ">f8", "i1", "u8", "?"])
def test_the_type_of_weights_makes_no_difference(few_setup, dtype, code):
    """float32 weights of float64 predictions, and the other way round: the numbers count, not how they are kept."""
    loss, z, t, w = problem(few_setup, dtype)
    w = np.round(w * 4) / 4 if np.dtype(code).kind == "f" else np.round(w)  # quarters fit in all of them
    if code == "?":
        w = np.minimum(w, 1)
    for reduction in REDUCTIONS:
        wanted = everything(loss, z, t, sample_weight=w, reduction=reduction)
        for layout in ("C", "strided", "misaligned"):
            found = everything(loss, z, t, sample_weight=LAYOUTS[layout](w.astype(code)), reduction=reduction)
            assert all(cases.same_bits(a, b) for a, b in zip(found, wanted, strict=True))


def test_float64_weights_of_float32_predictions_are_rounded_once(few_setup):
    loss, z, t, w = problem(few_setup, np.float32)
    for reduction in REDUCTIONS:
        found = everything(loss, z, t, sample_weight=w, reduction=reduction)
        rounded = everything(loss, z, t, sample_weight=w.astype(np.float32), reduction=reduction)
        assert all(cases.same_bits(a, b) for a, b in zip(found[1:], rounded[1:], strict=True))
        np.testing.assert_allclose(found[0], rounded[0], rtol=1e-7)


def test_weights_broadcast_to_the_prediction(pointwise_case, dtype):
    setup = cases.Setup(pointwise_case, pointwise_case.parameters[-1], pointwise_case.kinds[-1])
    z, t = setup.draw((3, 4, 5), dtype)
    loss = setup.build()
    rng = np.random.default_rng(0)
    for shape in ((), (1,), (5,), (4, 1), (4, 5), (3, 1, 1), (1, 4, 5), (3, 4, 1), (3, 4, 5)):
        w = rng.uniform(0.5, 2, shape)
        full = np.broadcast_to(w, z.shape).copy()
        for each in (z, np.asfortranarray(z)):
            found = everything(loss, each, t, sample_weight=w, reduction="none")
            wanted = everything(loss, each, t, sample_weight=full, reduction="none")
            assert all(cases.same_bits(a, b) for a, b in zip(found, wanted, strict=True))
            assert loss(each, t, sample_weight=w) == pytest.approx(loss(each, t, sample_weight=full), rel=1e-6)
    for shape in ((3,), (4,), (3, 4), (5, 4, 3), (4, 5, 1), (1, 3, 4, 5), (2, 4, 5), (0,)):
        with pytest.raises(ValueError, match=r"sample_weight.*shape"):
            loss(z, t, sample_weight=np.ones(shape))


def test_weights_are_one_per_row(rowwise_case, dtype):
    z, t = cases.draw(rowwise_case, "index", (3, 4, 5), dtype)
    loss = rowwise_case.build({})
    for w in (np.full((3, 4), 2.0), 2.0, np.float32(2), np.array(2)):
        found = everything(loss, z, t, sample_weight=w, reduction="none")
        wanted = everything(loss, z, t, sample_weight=np.full((3, 4), 2.0), reduction="none")
        assert all(cases.same_bits(a, b) for a, b in zip(found, wanted, strict=True))
    for shape in ((3,), (4,), (3, 1), (1, 4), (12,), (4, 3), (3, 4, 1), (3, 4, 5), (1,), (0,)):
        with pytest.raises(ValueError, match=r"sample_weight.*shape"):
            loss(z, t, sample_weight=np.ones(shape))


# --------------------------------------------------------------------------------------------------------------- range


@pytest.mark.parametrize("weights", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_scale_of_weights_drops_out_of_a_mean(few_setup, dtype, weights, order):
    """From the smallest subnormal number to the largest of their type, also where that is not the prediction's."""
    loss, z, t, _ = problem(few_setup, dtype)
    z = np.asarray(z, order=order)
    info = np.finfo(weights)
    shape = (N,) if few_setup.case.rowwise else (N, K)
    w = np.resize([1.0, 2.0, 0.0, 1.0], shape)
    plain = everything(loss, z, t, sample_weight=w)
    for scale in (info.smallest_subnormal, info.tiny, 1e-30, 1e30, info.max / 2):
        found = everything(loss, z, t, sample_weight=(w * scale).astype(weights))
        for a, b in zip(found, plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=16 * np.finfo(dtype).eps)
        if few_setup.case.rowwise and hasattr(loss, "packed_hessian") and order == "C":
            full = loss.packed_hessian(z, t, sample_weight=(w * scale).astype(weights))
            wanted = loss.packed_hessian(z, t, sample_weight=w)
            np.testing.assert_allclose(full, wanted, rtol=16 * np.finfo(dtype).eps)


def test_weights_that_float32_cannot_hold(few_setup):
    """In a sum there is no way around it: an error that says so. A weight too small is 0."""
    loss, z, t, w = problem(few_setup, np.float32)
    w[(3,) * w.ndim] = 1e300
    outs = [np.full(z.shape, 7, np.float32) for _ in range(2)]
    for reduction in ("sum", "none"):
        with pytest.raises(ValueError, match=r"sample_weight\[3(, 3)?\] = 1e\+300 .*float32"):
            everything(loss, z, t, sample_weight=w, reduction=reduction, gradient_out=outs[0], hessian_out=outs[1])
        assert all((out == 7).all() for out in outs)
    assert loss(z, t, sample_weight=1e-300, reduction="sum") == 0


def test_bad_weights_next_to_extreme_ones(few_setup, dtype):
    """The search for a scale does not hide them."""
    loss, z, t, w = problem(few_setup, dtype)
    for scale, bad in itertools.product((1e-300, 1e300), (-1.0, np.nan, np.inf)):
        weight = w * scale
        weight[(3,) * w.ndim] = bad
        for reduction in REDUCTIONS:
            with pytest.raises(ValueError, match=r"sample_weight\[3(, 3)?\] = .* finite and >= 0"):
                loss(z, t, sample_weight=weight, reduction=reduction)


# -------------------------------------------------------------------------------------------------------- all together


def as_if_dropped(case, parameters, z, t, w, reduction):
    """The twin over the rows that count alone; nothing for the others. None where the mean is one of nothing."""
    counts = w > 0
    if t.ndim < z.ndim and parameters.get("ignore_index") is not None:
        counts &= t != parameters["ignore_index"]
    value, gradient, hessian = (np.zeros(s) for s in (z.shape[:1], z.shape, z.shape))
    with np.errstate(all="ignore"):
        parts = case.twin(z[counts], t[counts], **parameters)
    value[counts], gradient[counts], hessian[counts] = parts
    value, gradient, hessian = w * value, w[:, np.newaxis] * gradient, w[:, np.newaxis] * hessian
    if reduction == "none":
        return value, gradient, hessian
    if reduction == "sum":
        return value.sum(), gradient, hessian
    divisor = np.where(counts, w, 0)
    if t.ndim < z.ndim and parameters.get("class_weight") is not None:
        divisor = divisor * parameters["class_weight"][np.where(counts, t, 0)]
    total = divisor.sum()
    return value.sum() / total, gradient / total, hessian / total


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    ("kind", "ignore_index"), [("index", None), ("index", -100), ("index", 1), ("probability", None)]
)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("of_class", ["none", "some zero", "all"])
def test_everything_at_once(softmax_case, kind, of_class, smoothing, ignore_index, reduction):
    """Weights of 0 on rows of nan, weights of classes some of which are 0, smoothing, and labels to be ignored."""
    parameters = {"label_smoothing": smoothing, "ignore_index": ignore_index, "class_weight": None}
    if of_class != "none":
        parameters["class_weight"] = np.array([0.5, 2.0, 1.0, 0.0 if of_class == "some zero" else 3.0])
    z, t = cases.draw(softmax_case, kind, (60, K))
    w = np.random.default_rng(0).uniform(0.1, 3, 60)
    w[[0, 7, 30, 59]] = 0
    clean = z.copy()
    z[[0, 7, 30]], z[59] = np.nan, [np.inf, np.inf, -np.inf, 0]
    if kind == "index":
        t[[7, 59]] = K + 3, -5  # of weight 0
    if ignore_index == -100:
        t[[3, 4, 31]] = -100
        z[[3, 31]] = np.nan
    elif ignore_index == 1:
        z[t == 1] = np.nan
    loss = getattr(fl, softmax_case.constructor)(**parameters)
    wanted = as_if_dropped(softmax_case, parameters, np.where(np.isfinite(z), z, clean), t, w, reduction)
    for order in "CF":
        for weight in (w, w.astype(">f8"), np.repeat(w, 2)[::2]):
            found = everything(loss, np.asarray(z, order=order), t, sample_weight=weight, reduction=reduction)
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    if kind == "index":
        rows = {"sample_weight": w, "reduction": reduction, **parameters}
        if softmax_case.function == "cross_entropy":
            value = fl.linear_cross_entropy(z, np.eye(K), t, **rows)
            np.testing.assert_allclose(value, wanted[0], rtol=1e-12)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_weight_is_a_number_of_copies(few_setup, reduction):
    """Of every row, 0 to 3 of them; with everything else that the loss has."""
    loss, z, t, _ = problem(few_setup)
    copies = np.random.default_rng(1).integers(0, 4, N)
    rows = np.repeat(np.arange(N), copies)
    weight = copies if few_setup.case.rowwise else copies[:, np.newaxis]
    value, *derivatives = everything(loss, z, t, sample_weight=weight, reduction=reduction)
    of_copies, *wanted = everything(loss, z[rows], t[rows], reduction=reduction)
    assert value == pytest.approx(of_copies, rel=1e-13)
    for x, right in zip(derivatives, wanted, strict=True):
        gathered = np.zeros_like(x)
        np.add.at(gathered, rows, right)
        np.testing.assert_allclose(x, gathered, rtol=1e-13)


@pytest.mark.parametrize("scale", [1e-300, 1e-46, 1e-30, 1e30, 1e39, 1e300])
def test_the_scale_of_class_weights_drops_out_of_a_mean(softmax_case, dtype, scale):
    """Over class indices, with and without sample weights; in all other results it is the scale of the result."""
    z, t = cases.draw(softmax_case, "index", (N, K), dtype)
    rng = np.random.default_rng(0)
    weight, w = rng.uniform(0.5, 2.0, K), rng.uniform(0.5, 2.0, N)
    for options in ({}, {"label_smoothing": 0.25}, {"ignore_index": 0}):
        plain = softmax_case.build({"class_weight": weight, **options})
        scaled = softmax_case.build({"class_weight": weight * scale, **options})
        for given in ({}, {"sample_weight": w}, {"sample_weight": w * 1e30}):
            for a, b in zip(everything(scaled, z, t, **given), everything(plain, z, t, **given), strict=True):
                error = 32 * np.finfo(dtype).eps  # of the terms: rounding differs between weights on another scale
                np.testing.assert_allclose(a, b, rtol=error, atol=error * np.max(np.abs(b)))
        if dtype == np.float32 and scale > 1e38:
            with pytest.raises(ValueError, match=r"class_weight\[0\] = .* is too large for float32"):
                scaled(z, t, reduction="sum")


def test_class_weights_that_float32_cannot_hold_with_probabilities(softmax_case):
    z, t = cases.draw(softmax_case, "probability", (N, K), np.float32)
    with pytest.raises(ValueError, match=r"class_weight\[1\] = .* is too large for float32"):
        softmax_case.build({"class_weight": [1.0, 1e39, 1.0, 1.0][:K] + [1.0] * (K - 4)})(z, t)


def test_positive_weights_that_float32_cannot_hold():
    z, t = np.zeros(3, np.float32), np.array([0.0, 1.0, 1.0])
    for weight in (1e39, [1.0, 1e39, 1.0]):
        with pytest.raises(ValueError, match="is too large for float32"):
            fl.BinaryCrossEntropy(pos_weight=weight)(z, t)
        assert np.isfinite(fl.BinaryCrossEntropy(pos_weight=weight)(z.astype(np.float64), t))
