"""Losses of sets: dtypes, axes, weights, reductions, curvatures, hard inputs, derivatives, threads, layouts, errors.

They are not elementwise and have no rows, so the tests of the other losses do not fit them. Like those, these read the
table of tests/cases.py.

Tolerances are those of that file: 4 ulp (8 for gradient and Hessian: the sums of a set are rounded, too) of the result,
or of its two terms where a soft target makes them cancel, and what half an ulp of each logit does, here by way of the
sums of its set, too.
"""

import math
import threading

import cases
import mpmath
import numpy as np
import pytest
from test_layouts import LAYOUTS, WRITABLE

import fastloss as fl

NAMES = ("value", "gradient", "hessian")
SETUPS = tuple(cases.Setup(case, p, kind) for case in cases.SETS for p in case.parameters for kind in case.kinds)
FEW_SETUPS = tuple(cases.Setup(case, case.parameters[-1], kind) for case in cases.SETS for kind in case.kinds)
# shape, axis: one set, one per column, per row, per channel of images, per image
SHAPES = (
    ((515,), None),
    ((515,), 0),
    ((61, 7), None),
    ((61, 7), 0),
    ((61, 7), 1),
    ((61, 7), -1),
    ((61, 7), (0, 1)),
    ((5, 3, 17, 9), (0, 2, 3)),
    ((5, 3, 17, 9), (2, 3)),
    ((5, 3, 17, 9), (-1, 1)),
    ((5, 3, 17, 9), 2),
)
HARD = np.array([0.0, -0.0, 17, -17, 104, -104, 800, -800, 1e30, -1e30, np.inf, -np.inf, 1e-30, 1.0, -1.0])


@pytest.fixture(params=SETUPS, ids=str)
def set_setup(request):
    return request.param


@pytest.fixture(params=FEW_SETUPS, ids=str)
def few_set_setup(request):
    return request.param


@np.errstate(all="ignore")
def expected(setup, z, t, dtype, *, sample_weight=None, axis=None, reduction="none"):
    """Exact value, gradient and Hessian with the error that is allowed."""
    real = cases.wide(dtype)
    z = np.asarray(z).astype(real)
    t = np.broadcast_to(np.asarray(t).astype(real), z.shape)
    w = np.ones_like(z)
    if sample_weight is not None:
        w = np.broadcast_to(np.asarray(sample_weight).astype(real), z.shape)
    parts = cases.set_elements(setup.case, setup.parameters(), z, t, w, axis, dtype)
    n_sets = parts[0].exact.size
    scale = real(1) / n_sets if reduction == "mean" else real(1)
    more = (sample_weight is not None) + (reduction == "mean")
    bounds = []
    for part, ulps in zip(parts, (4, 8, 8), strict=True):
        allowed = (ulps + more) * part.ulp + part.of_input
        bounds.append(cases.Bounded(part.exact, np.where(np.isnan(allowed), 0.0, allowed)))
    value, gradient, hessian = bounds
    if reduction != "none":
        value = cases.Bounded(np.sum(value.exact) * scale, np.sum(value.tolerance) * scale)
    gradient, hessian = (cases.Bounded(x.exact * scale, x.tolerance * scale) for x in (gradient, hessian))
    return cases.Expected(value, gradient, hessian)


def check(setup, result, z, t, dtype, what, **options):
    cases.assert_result(result, expected(setup, z, t, dtype, **options), f"{setup} {what}", dtype)


# ---------------------------------------------------------------------------- values


@pytest.mark.parametrize("spread", ["normal", "wide"])
def test_reference_is_the_text_book(set_setup, spread):
    z, t = set_setup.draw((5,), np.float64, spread)
    parameters = set_setup.parameters()
    numbers, labels = ([mpmath.mpf(float(x)) for x in each] for each in (z, t))
    with mpmath.workdps(100 + int(4 * np.abs(z).max())):
        value = set_setup.case.exact(mpmath, numbers, labels, **parameters)

        def moved(j):
            return lambda x: set_setup.case.exact(mpmath, numbers[:j] + [x] + numbers[j + 1 :], labels, **parameters)

        derivatives = [[mpmath.diff(moved(j), numbers[j], order) for j in range(5)] for order in (1, 2)]
    exact = [np.longdouble(mpmath.nstr(value, 30))]
    exact += [np.array([np.longdouble(mpmath.nstr(x, 30)) for x in each]) for each in derivatives]
    twin = set_setup.case.twin(z, t, **parameters)
    bounds = expected(set_setup, z, t, np.float64)
    for name, found, bound, right in zip(NAMES, twin, bounds, exact, strict=True):
        cases.assert_within(found, cases.Bounded(right, bound.tolerance), f"twin: {name}", np.float64)
        if cases.has_wide(np.float64):
            assert np.max(np.abs(bound.exact - right) / bound.tolerance) < 0.01


def test_reference_weighs_elements():
    """A weight is a number of copies, and an element of weight 0 is not there."""
    rng = np.random.default_rng(0)
    z, t, w = rng.normal(size=12), rng.uniform(size=12), rng.integers(0, 3, 12)
    z[w == 0] = np.nan
    for case in cases.SETS:
        value, gradient, _ = case.twin(z, t, sample_weight=w)
        copies = np.repeat(np.arange(12), w)
        copied, of_copies, _ = case.twin(z[copies], t[copies])
        assert value == pytest.approx(copied, rel=1e-14)
        np.testing.assert_allclose(gradient, np.bincount(copies, of_copies, minlength=12), rtol=1e-13)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)
def test_kernels_are_exact(set_setup, dtype, shape, axis, weighted):
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    loss = set_setup.build()
    w = np.random.default_rng(0).uniform(0, 2, shape) if weighted else None
    for spread in cases.SPREADS:
        z, t = set_setup.draw(shape, dtype, spread)
        for reduction in ("none", "sum", "mean"):
            options = {"sample_weight": w, "axis": axis, "reduction": reduction}
            result = loss.value_gradient_and_hessian(z, t, **options)
            assert (type(result[0]) is float) == (reduction != "none")
            check(set_setup, result, z, t, dtype, f"{shape} {axis} {spread} {reduction}", **options)


def test_methods_agree(set_setup, dtype):
    parameters = set_setup.parameters()
    loss = set_setup.build()
    z, t = set_setup.draw((61, 7), dtype)
    w = np.random.default_rng(0).uniform(0, 2, (61, 1))
    for axis in (None, 0, 1):
        for reduction in ("mean", "sum", "none"):
            options = {"sample_weight": w, "reduction": reduction, "axis": axis}
            value, gradient, hessian = loss.value_gradient_and_hessian(z, t, **options)
            shape = {None: (), 0: (7,), 1: (61,)}[axis]
            assert np.shape(value) == (() if reduction != "none" else shape)
            assert cases.same_bits(loss(z, t, **options), value)
            assert cases.same_bits(getattr(fl, set_setup.case.function)(z, t, **parameters, **options), value)
            assert cases.same_bits(loss.gradient(z, t, **options), gradient)
            for found, wanted in (
                (loss.value_and_gradient(z, t, **options), (value, gradient)),
                (loss.gradient_and_hessian(z, t, **options), (gradient, hessian)),
            ):
                assert all(cases.same_bits(a, b) for a, b in zip(found, wanted, strict=True))
            outs = np.empty_like(z), np.empty_like(z)
            result = loss.value_gradient_and_hessian(z, t, gradient_out=outs[0], hessian_out=outs[1], **options)
            assert result[1] is outs[0]
            assert result[2] is outs[1]
            assert all(cases.same_bits(a, b) for a, b in zip(result, (value, gradient, hessian), strict=True))
    assert loss(z, t) == loss(z, t, axis=None, reduction="mean")


def test_special_cases_of_tversky(dtype):
    z, t = cases.draw(cases.SETS[0], "soft", (61, 7), dtype)
    for one, other in (
        (fl.Dice(smooth=2.0), fl.Tversky(smooth=2.0)),
        (fl.Jaccard(smooth=2.0), fl.Tversky(alpha=1.0, beta=1.0, smooth=2.0)),
        (fl.SoftF1(), fl.Dice()),
        (fl.SoftF1(beta=2.0, smooth=0.5), fl.Tversky(alpha=0.2, beta=0.8, smooth=0.5)),
    ):
        for a, b in zip(
            one.value_gradient_and_hessian(z, t, axis=0, reduction="none"),
            other.value_gradient_and_hessian(z, t, axis=0, reduction="none"),
            strict=True,
        ):
            assert cases.same_bits(a, b), one
    # By hand: p = 1/2 everywhere, TP = 1, FP = 1/2, FN = 1.
    assert fl.tversky([0, 0, 0], [1, 1, 0], alpha=0.25, beta=0.75, smooth=1.0) == pytest.approx(0.875 / 2.875)
    # alpha weighs false positives.
    assert fl.tversky([9.0, 9.0], [1, 0], alpha=1.0, beta=0.0) > 0.3
    assert fl.tversky([9.0, 9.0], [1, 0], alpha=0.0, beta=1.0) < 0.001
    assert fl.dice([0, 0, 0], [1, 1, 0], smooth=1.0) == pytest.approx(1 - 4 / (2 + 1.5 + 2))
    assert fl.jaccard([0, 0, 0], [1, 1, 0], smooth=1.0) == pytest.approx(1 - 2 / 3.5)


def test_half_precision_is_float32_rounded(few_set_setup, half):
    z, t = few_set_setup.draw((61, 7), np.float32)
    z, t = z.astype(half), t.astype(half)
    loss = few_set_setup.build()
    for axis in (None, 0, 1):
        for reduction in ("mean", "none"):
            options = {"axis": axis, "reduction": reduction}
            wanted = loss.value_gradient_and_hessian(z.astype(np.float32), t.astype(np.float32), **options)
            found = loss.value_gradient_and_hessian(z, t, **options)
            if reduction == "none":
                assert cases.same_bits(found[0], np.asarray(wanted[0]).astype(half))
            else:
                assert found[0] == wanted[0]
            for a, b in zip(found[1:], wanted[1:], strict=True):
                assert cases.same_bits(a, b.astype(half))


@pytest.mark.parametrize("order", ["C", "F"])
def test_double_scores_with_single_outputs(few_set_setup, order):
    z, t = few_set_setup.draw((1003, 3))
    z, t = np.array(z, order=order), t.astype(np.float32)
    loss = few_set_setup.build()
    for axis in (None, 0, 1):
        value, *wanted = loss.value_gradient_and_hessian(z, t, axis=axis)
        outs = [np.full(z.shape, 7, np.float32, order=order) for _ in range(2)]
        result = loss.value_gradient_and_hessian(z, t, axis=axis, gradient_out=outs[0], hessian_out=outs[1])
        assert result[0] == value
        for out, found, right in zip(outs, result[1:], wanted, strict=True):
            assert found is out
            assert np.array_equal(out, right.astype(np.float32))


# ------------------------------------------------------------------------ derivatives


@pytest.mark.parametrize("source", ["reference", "kernels"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_derivatives_by_differences(set_setup, source, weighted, axis):
    shape = (6, 3)
    z, t = set_setup.draw(shape)
    w = np.random.default_rng(0).uniform(0, 2, shape) if weighted else None
    options = {"sample_weight": w, "axis": axis}

    def evaluate(z):
        if source == "reference":
            return set_setup.case.twin(z, t, **set_setup.parameters(), **options)
        return set_setup.build().value_gradient_and_hessian(z, t, reduction="sum", **options)

    _, gradient, hessian = evaluate(z)
    step = 2.0**-9
    for where in np.ndindex(shape):
        slope = curvature = 0.0
        for k, c in ((-2, 1), (-1, -8), (1, 8), (2, -1)):
            moved = z.copy()
            moved[where] += k * step
            value, g, _ = evaluate(moved)
            slope += c * np.sum(value) / (12 * step)
            curvature += c * g[where] / (12 * step)
        assert gradient[where] == pytest.approx(slope, rel=1e-8, abs=1e-10)
        assert hessian[where] == pytest.approx(curvature, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("spread", ["normal", "wide"])
@pytest.mark.parametrize("axis", [None, 0])
def test_curvatures(set_setup, dtype, spread, axis):
    loss = set_setup.build()
    for shape in ((200, 3), (4, 3)):
        z, t = set_setup.draw(shape, dtype, spread)
        w = np.random.default_rng(0).uniform(0.1, 2, shape)
        for options in ({}, {"sample_weight": w, "reduction": "sum"}):
            options["axis"] = axis
            gradient, exact = loss.gradient_and_hessian(z, t, **options)
            for curvature in ("exact", "psd", "majorize"):
                g, hessian = loss.gradient_and_hessian(z, t, curvature=curvature, **options)
                assert cases.same_bits(g, gradient)
                if curvature == "exact":
                    assert cases.same_bits(hessian, exact)
                    continue
                assert np.all(hessian >= 0)
                assert np.all(hessian[gradient != 0] > 0)
                if curvature == "psd":
                    np.testing.assert_allclose(hessian, np.abs(gradient), rtol=4 * np.finfo(dtype).eps)
                else:
                    slack = 16 * np.finfo(dtype).eps
                    assert np.all(hessian >= np.abs(exact) * (1 - slack) - 16 * np.finfo(dtype).tiny)
                    assert np.all(hessian <= 1e6 * np.abs(gradient) + 1e-30) or set_setup.kind == "soft"


def test_the_majorizer_is_as_documented(set_setup):
    z, t = set_setup.draw((40, 3))
    w = np.random.default_rng(0).uniform(0.1, 2, (40, 3))
    alpha, beta, smooth = cases.tversky_parameters(set_setup.case, set_setup.parameters())
    p = fl.sigmoid(z)
    tp, fp, fn = ((w * x).sum(axis=0) for x in (p * t, p * (1 - t), (1 - p) * t))
    d, n = tp + alpha * fp + beta * fn + smooth, tp + smooth
    b = t + alpha * (1 - t) - beta * t
    q = np.abs(t * d - n * b) / d**2
    v = p * (1 - p)
    found = set_setup.build().gradient_and_hessian(
        z, t, sample_weight=w, axis=0, reduction="sum", curvature="majorize"
    )[1]
    np.testing.assert_allclose(found, w * v * q * (1 + 2 * w * v * np.abs(b) / d), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("spread", ["normal", "wide"])
def test_a_step_of_one_logit_never_raises_the_loss(set_setup, spread):
    """The loss is monotone in each logit: no such step passes a minimum, whatever the others are."""
    loss = set_setup.build()
    shape = (9, 3)
    z, t = set_setup.draw(shape, np.float64, spread)
    for curvature in ("psd", "majorize"):
        value, gradient, hessian = loss.value_gradient_and_hessian(z, t, curvature=curvature)
        for where in np.ndindex(shape):
            if gradient[where] == 0:
                continue
            moved = z.copy()
            moved[where] -= gradient[where] / hessian[where]
            after, there = loss.value_and_gradient(moved, t)
            assert after <= value + 1e-14
            assert there[where] * gradient[where] >= 0


# ------------------------------------------------------------------------ hard inputs


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_hard_numbers(set_setup, dtype, axis):
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    z, t = set_setup.draw((len(HARD), 5), dtype)
    loss = set_setup.build()
    w = np.random.default_rng(0).uniform(0.5, 2, z.shape)
    for column in range(5):
        z[:, column] = np.roll(HARD, column).astype(dtype)
        for weight in (None, w):
            options = {"axis": axis, "sample_weight": weight}
            result = loss.value_gradient_and_hessian(z, t, reduction="none", **options)
            check(set_setup, result, z, t, dtype, f"{axis}", reduction="none", **options)


@pytest.mark.parametrize("bad", [np.nan, -np.nan])
def test_nan_stays_in_its_set(few_set_setup, dtype, bad):
    z, t = few_set_setup.draw((40, 5), dtype)
    loss = few_set_setup.build()
    clean = loss.value_gradient_and_hessian(z, t, axis=0, reduction="none")
    z[7, 2] = bad
    spoilt = loss.value_gradient_and_hessian(z, t, axis=0, reduction="none")
    for a, b in zip(spoilt, clean, strict=True):
        assert np.isnan(a[..., 2]).all()
        assert cases.same_bits(np.delete(a, 2, axis=-1), np.delete(b, 2, axis=-1))
    assert math.isnan(loss(z, t))
    assert math.isnan(loss(z, t, axis=0))


def test_weight_zero_counts_nowhere(few_set_setup, dtype):
    z, t = few_set_setup.draw((40, 5), dtype)
    loss = few_set_setup.build()
    w = np.ones(z.shape)
    w[3:17] = 0
    spoilt, labels = z.copy(), t.copy()
    spoilt[3:17] = np.resize([np.nan, np.inf, -np.inf, np.finfo(dtype).max], 5)
    labels[3:17] = np.resize([np.nan, -1, 7], 5)
    kept = w[:, 0] > 0
    for axis in (None, 0, 1):
        full = loss.value_gradient_and_hessian(spoilt, labels, sample_weight=w, axis=axis, reduction="none")
        if axis == 1:
            rest = loss.value_gradient_and_hessian(z[kept], t[kept], axis=axis, reduction="none")
            assert cases.same_bits(full[0][kept], rest[0])
        else:
            rest = loss.value_gradient_and_hessian(z[kept], t[kept], axis=axis, reduction="none")
            np.testing.assert_allclose(full[0], rest[0], rtol=16 * np.finfo(dtype).eps)
        for a, b in zip(full[1:], rest[1:], strict=True):
            assert not np.any(a[~kept])
            # Soft targets cancel: an ulp of the largest ones.
            eps = np.finfo(dtype).eps
            np.testing.assert_allclose(a[kept], b, rtol=32 * eps, atol=eps * np.abs(b).max())


def test_weight_two_is_an_element_twice(few_set_setup, dtype):
    z, t = few_set_setup.draw((40, 5), dtype)
    loss = few_set_setup.build()
    w = np.ones((40, 1))
    w[:7] = 2
    twice = np.concatenate([np.arange(7), np.arange(40)])
    for axis in (None, 0):
        value, gradient = loss.value_and_gradient(z, t, sample_weight=w, axis=axis)
        again, doubled = loss.value_and_gradient(z[twice], t[twice], axis=axis)
        assert value == pytest.approx(again, rel=float(16 * np.finfo(dtype).eps))
        tolerance = {"rtol": 32 * np.finfo(dtype).eps, "atol": 32 * np.finfo(dtype).eps * np.abs(gradient).max()}
        np.testing.assert_allclose(gradient[:7], doubled[:7] + doubled[7:14], **tolerance)
        np.testing.assert_allclose(gradient[7:], doubled[14:], **tolerance)


def test_weights_of_every_shape_and_type(few_set_setup, dtype):
    z, t = few_set_setup.draw((40, 5), dtype)
    loss = few_set_setup.build()
    rng = np.random.default_rng(0)
    weights = [rng.uniform(0, 2, shape) for shape in ((40, 5), (40, 1), (5,), (1, 5), ())]
    weights += [weights[0].astype(np.float32), rng.integers(0, 3, (40, 5)), rng.uniform(size=(40, 5)) < 0.7, 0.5]
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    for w in weights:
        for axis in (None, 0, 1):
            options = {"axis": axis, "sample_weight": w, "reduction": "none"}
            result = loss.value_gradient_and_hessian(z, t, **options)
            check(few_set_setup, result, z, t, dtype, f"{np.shape(w)} {axis}", **options)


def test_nothing_over_nothing(dtype):
    """No label, no prediction and no smoothing: 0 / 0."""
    z, t = np.full(7, -np.inf, dtype), np.zeros(7, dtype)
    for case in cases.SETS:
        for x in case.build({"smooth": 0.0}).value_gradient_and_hessian(z, t, reduction="none"):
            assert np.isnan(x).all()
        for x in case.build({}).value_gradient_and_hessian(z, t, reduction="none"):
            assert np.all(x == 0)
    # A perfect set costs nothing; a wrong one everything but the smoothing.
    z = np.array([np.inf, -np.inf, np.inf], dtype)
    for case in cases.SETS:
        assert case.build({})(z, [1, 0, 1]) == 0
        assert case.build({"smooth": 0.0})(z, [0, 1, 0]) == 1


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 127, 129, 511, 513, 1023, 1025])
def test_sizes(few_set_setup, dtype, n):
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    loss = few_set_setup.build()
    for shape, axis in (((n,), None), ((n, 3), 0), ((3, n), 0), ((3, n), 1), ((n, 3), 1)):
        z, t = few_set_setup.draw(shape, dtype, seed=n)
        size = math.prod(shape)
        room = [np.full(size + 64, 7.0, dtype) for _ in range(2)]
        outs = [x[:size].reshape(shape) for x in room]
        options = {"axis": axis, "reduction": "none"}
        result = loss.value_gradient_and_hessian(z, t, gradient_out=outs[0], hessian_out=outs[1], **options)
        check(few_set_setup, result, z, t, dtype, f"{shape} {axis}", **options)
        assert all((x[size:] == 7.0).all() for x in room)


def test_many_small_and_few_large_sets(few_set_setup, dtype):
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    loss = few_set_setup.build()
    for shape, axis in (((30_001, 2), 1), ((2, 30_001), 1), ((30_001, 2), 0), ((2, 30_001), 0), ((70_001,), None)):
        z, t = few_set_setup.draw(shape, dtype)
        options = {"axis": axis, "reduction": "none"}
        result = loss.value_gradient_and_hessian(z, t, **options)
        check(few_set_setup, result, z, t, dtype, f"{shape} {axis}", **options)


# -------------------------------------------------------------------- layouts, threads


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_inputs(few_set_setup, dtype, layout):
    change = LAYOUTS[layout]
    loss = few_set_setup.build()
    for shape, axes in (((37,), (None, 0)), ((12, 9), (None, 0, 1)), ((5, 6, 7), (None, 1, (0, 2), (1, 2)))):
        z, t = few_set_setup.draw(shape, dtype)
        w = np.random.default_rng(1).uniform(0.1, 2, shape)
        for axis in axes:
            options = {"axis": axis, "reduction": "none"}
            for z1, t1, w1 in ((change(z), change(t), change(w)), (change(z), t, None), (z, change(t), change(w))):
                result = loss.value_gradient_and_hessian(z1, t1, sample_weight=w1, **options)
                weight = None if w1 is None else w
                check(few_set_setup, result, z, t, dtype, f"{shape} {axis}", sample_weight=weight, **options)


@pytest.mark.parametrize("layout", WRITABLE)
def test_layouts_of_outputs(few_set_setup, dtype, layout):
    change = LAYOUTS[layout]
    loss = few_set_setup.build()
    for shape, axes in (((37,), (None,)), ((12, 9), (None, 0, 1)), ((5, 6, 7), (1, (0, 2)))):
        z, t = few_set_setup.draw(shape, dtype)
        for axis in axes:
            _, *plain = loss.value_gradient_and_hessian(z, t, axis=axis)
            outs = [change(np.full_like(z, 5)) for _ in range(2)]
            _, *found = loss.value_gradient_and_hessian(z, t, axis=axis, gradient_out=outs[0], hessian_out=outs[1])
            for out, a, b in zip(outs, found, plain, strict=True):
                assert a is out
                np.testing.assert_allclose(a, b, rtol=100 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


def test_in_place(few_set_setup, dtype):
    z, t = few_set_setup.draw((70, 6), dtype)
    loss = few_set_setup.build()
    for axis in (None, 0, 1):
        gradient, hessian = loss.gradient_and_hessian(z, t, axis=axis)
        inputs = z.copy(), t.copy()
        found = loss.gradient_and_hessian(*inputs, axis=axis, gradient_out=inputs[0], hessian_out=inputs[1])
        assert found[0] is inputs[0]
        assert cases.same_bits(inputs[0], gradient)
        assert cases.same_bits(inputs[1], hessian)


def test_targets_that_broadcast(few_set_setup, dtype):
    z, t = few_set_setup.draw((9, 6), dtype)
    loss = few_set_setup.build()
    for part in (t[0], t[:1], t[:, :1], t[0, 0], float(t[0, 0]), np.ones(6, np.int8), True):
        full = np.ascontiguousarray(np.broadcast_to(np.asarray(part).astype(dtype), z.shape))
        for axis in (None, 0, 1):
            a = loss.value_gradient_and_hessian(z, part, axis=axis)
            b = loss.value_gradient_and_hessian(z, full, axis=axis)
            assert all(cases.same_bits(x, y) for x, y in zip(a, b, strict=True))


def test_any_number_of_threads_gives_the_same_bits(few_set_setup, dtype):
    loss = few_set_setup.build()
    for shape, axis in (
        ((600_011,), None),
        ((150_001, 3), 0),
        ((150_001, 3), 1),
        ((3, 150_001), 1),
        ((20, 3, 9001), (0, 2)),
    ):
        z, t = few_set_setup.draw(shape, dtype)
        w = np.random.default_rng(0).uniform(0, 2, shape)
        for weight in (None, w):
            first = None
            for n in (1, 2, 3, 5):
                with fl.num_threads(n):
                    result = loss.value_gradient_and_hessian(z, t, axis=axis, sample_weight=weight)
                found = [np.asarray(x).tobytes() for x in result]
                first = first or found
                assert found == first, (few_set_setup, shape, axis, n)


def test_python_threads(dtype):
    z, t = cases.draw(cases.SETS[0], "soft", (50_001, 3), dtype)
    loss = fl.Dice()
    expected = [np.asarray(x).tobytes() for x in loss.value_and_gradient(z, t, axis=0)]
    wrong = []

    def work():
        for _ in range(5):
            if [np.asarray(x).tobytes() for x in loss.value_and_gradient(z, t, axis=0)] != expected:
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ----------------------------------------------------------------------------- errors


@pytest.mark.parametrize("bad", [-0.1, 1.0001, np.nan, np.inf])
@pytest.mark.parametrize("where", [(0, 0), (13, 2), (29, 3)])
def test_targets_outside_their_range(few_set_setup, dtype, bad, where):
    z, t = few_set_setup.draw((30, 4), dtype)
    t[where] = bad
    t[29, 3] = bad
    loss = few_set_setup.build()
    position = ", ".join(map(str, where))
    for axis in (None, 0, 1):
        for prediction in (z, np.asfortranarray(z)):
            with pytest.raises(ValueError, match=rf"target.*\[{position}\]"):
                loss.gradient(prediction, t, axis=axis)
    for bad_axis in (2, -3, (0, 2)):
        with pytest.raises(ValueError, match="axis"):
            loss(z, t.clip(0, 1), axis=bad_axis)
    for bad_axis in ((0, 0), (0, -2)):
        with pytest.raises(ValueError, match="axis"):
            loss(z, z * 0, axis=bad_axis)
    for bad_axis in (1.0, "last"):
        with pytest.raises(TypeError, match="axis"):
            loss(z, z * 0, axis=bad_axis)


@pytest.mark.parametrize("bad", [-0.5, np.nan, np.inf])
def test_weights_outside_their_range(few_set_setup, dtype, bad):
    z, t = few_set_setup.draw((30, 4), dtype)
    loss = few_set_setup.build()
    for axis in (None, 0, 1):
        w = np.ones((30, 4))
        w[13, 2] = bad
        w[29, 3] = bad
        with pytest.raises(ValueError, match=r"sample_weight.*\[13, 2\]"):
            loss(z, t, sample_weight=w, axis=axis)
        with pytest.raises(ValueError, match="sample_weight"):
            loss(z, t, sample_weight=bad, axis=axis)


def test_shapes(few_set_setup, dtype):
    z, t = few_set_setup.draw((30, 4), dtype)
    loss = few_set_setup.build()
    for wrong in (t[:-1], t[..., np.newaxis], np.zeros((5, 7)), np.zeros(7), np.zeros(30)):
        with pytest.raises(ValueError, match=r"target.*shape"):
            loss(z, wrong)
    for weight in (np.ones(31), np.ones((30, 4, 1)), np.ones((4, 30))):
        with pytest.raises(ValueError, match=r"sample_weight.*shape"):
            loss(z, t, sample_weight=weight)
    for out in (np.zeros((4, 30), dtype), np.zeros(30, dtype)):
        with pytest.raises(ValueError, match="gradient_out"):
            loss.gradient(z, t, gradient_out=out)
    for bad in (None, np.zeros((30, 4), complex), np.full((30, 4), "1"), {"x": 1}):
        with pytest.raises(TypeError, match="prediction"):
            loss(bad, t)
        with pytest.raises(TypeError, match="target"):
            loss(z, bad)
    for reduction in ("average", None):
        with pytest.raises((TypeError, ValueError), match="reduction"):
            loss(z, t, reduction=reduction)
    with pytest.raises((TypeError, ValueError), match="curvature"):
        loss.gradient_and_hessian(z, t, curvature="newton")


def test_lists_and_scalars():
    assert fl.dice([[0, 0], [1, 2]], [[0, 1], [1, 1]]) == fl.dice(
        np.array([[0.0, 0], [1, 2]]), np.array([[0.0, 1], [1, 1]])
    )
    value = fl.dice(0.0, 1.0)
    assert type(value) is float
    assert value == pytest.approx(1 - 3 / (1 + 0.5 + 2))
