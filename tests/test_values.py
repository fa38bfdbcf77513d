"""Values, gradients and Hessians are the text book's, to a few ulp, in every reduction and through every method."""

import math

import cases
import mpmath
import numpy as np
import pytest

import fastloss as fl
from fastloss import reference

NAMES = ("value", "gradient", "hessian")
SHAPES = {True: ((7, 1), (67, 2), (40, 3), (33, 10), (12, 33), (9, 50)), False: ((515,),)}


def exact_row(case, parameters, z, t):
    """Value, gradient and Hessian of one row (or one number) by numerical differentiation with many digits."""
    z = [mpmath.mpf(float(x)) for x in np.atleast_1d(z)]
    if case.rowwise:
        t = [int(k == t) for k in range(len(z))] if np.ndim(t) == 0 else [mpmath.mpf(float(x)) for x in t]

        def value(j, x):
            return case.exact(mpmath, z[:j] + [x] + z[j + 1 :], t, **parameters)
    else:
        t = mpmath.mpf(float(t))

        def value(j, x):
            return case.exact(mpmath, x, t, **parameters)

    with mpmath.workdps(60 + int(max(z) - min(z)) + int(max(map(abs, z)))):
        columns = [[mpmath.diff(lambda x, j=j: value(j, x), z[j], n) for j in range(len(z))] for n in (1, 2)]
        return value(0, z[0]), *columns


@pytest.mark.parametrize("spread", ["normal", "wide"])
def test_reference_is_the_text_book(setup, spread):
    case = setup.case
    n_classes = 4
    z, t = setup.draw((6, n_classes) if case.rowwise else (24,), np.float64, spread)
    parameters = setup.parameters(n_classes)
    rows = [exact_row(case, parameters, z[i], t[i]) for i in range(len(z))]
    shapes = (len(z),), z.shape, z.shape
    exact = [
        np.array([np.longdouble(mpmath.nstr(x, 30)) for x in mpmath.matrix([r[i] for r in rows])]).reshape(shape)
        if i == 0
        else np.array([[np.longdouble(mpmath.nstr(x, 30)) for x in r[i]] for r in rows]).reshape(shape)
        for i, shape in enumerate(shapes)
    ]
    twin = case.twin(z, t, **parameters)
    bounds = cases.expected(case, parameters, z, t, np.float64)
    larger = case.larger_terms(z, t, **parameters) if case.larger_terms else (None, None, None)
    for name, found, bound, right, terms in zip(NAMES, twin, bounds, exact, larger, strict=True):
        # The twin subtracts numbers that are rounded; in the wide type it has digits enough for that.
        spare = 0.0 if terms is None else 2 * cases.ulp(terms, np.float64)
        cases.assert_within(found, cases.Bounded(right, bound.tolerance + spare), f"twin: {name}", np.float64)
        if cases.has_wide(np.float64):
            # What the float64 kernels are compared with has digits to spare.
            error = np.abs(bound.exact - right) / bound.tolerance
            assert np.max(error) < 0.01


@pytest.mark.parametrize("spread", cases.SPREADS)
def test_kernels_are_exact(setup, dtype, spread):
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    for shape in SHAPES[setup.case.rowwise]:
        z, t = setup.draw(shape, dtype, spread)
        parameters = setup.parameters(shape[-1])
        result = setup.build(shape[-1]).value_gradient_and_hessian(z, t, reduction="none")
        bounds = cases.expected(setup.case, parameters, z, t, dtype)
        cases.assert_result(result, bounds, f"{setup} {shape}", dtype)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_reductions_and_methods(setup, dtype, reduction, weighted):
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    shape = (41, 5)
    z, t = setup.draw(shape, dtype)
    parameters = setup.parameters(shape[-1])
    loss = setup.build(shape[-1])
    w = np.random.default_rng(0).uniform(0, 2, shape[:1] if setup.case.rowwise else shape) if weighted else None
    value, gradient, hessian = cases.expected(setup.case, parameters, z, t, dtype, sample_weight=w, reduction=reduction)
    options = {"sample_weight": w, "reduction": reduction}
    scalar = reduction != "none"

    def check(found, names):
        found = found if isinstance(found, tuple) else (found,)
        assert len(found) == len(names)
        for x, name in zip(found, names, strict=True):
            bound = {"value": value, "gradient": gradient, "hessian": hessian}[name]
            if scalar and name == "value":
                assert type(x) is float
            cases.assert_within(x, bound, f"{setup} {name}", None if scalar and name == "value" else dtype)

    check(loss(z, t, **options), ["value"])
    check(getattr(fl, setup.case.function)(z, t, **parameters, **options), ["value"])
    check(loss.gradient(z, t, **options), ["gradient"])
    check(loss.value_and_gradient(z, t, **options), ["value", "gradient"])
    check(loss.gradient_and_hessian(z, t, **options), ["gradient", "hessian"])
    check(loss.value_gradient_and_hessian(z, t, **options), ["value", "gradient", "hessian"])


def test_default_reduction_is_the_mean(few_setup, dtype):
    z, t = few_setup.draw((23, 4), dtype)
    loss = few_setup.build(4)
    assert loss(z, t) == loss(z, t, reduction="mean")
    assert cases.same_bits(loss.gradient(z, t), loss.gradient(z, t, reduction="mean"))


def test_out_arrays_are_returned(few_setup, dtype):
    z, t = few_setup.draw((23, 4), dtype)
    loss = few_setup.build(4)
    gradient, hessian = np.empty_like(z), np.empty_like(z)
    value, g, h = loss.value_gradient_and_hessian(z, t, gradient_out=gradient, hessian_out=hessian)
    assert g is gradient
    assert h is hessian
    fresh = loss.value_gradient_and_hessian(z, t)
    assert value == fresh[0]
    assert cases.same_bits(g, fresh[1])
    assert cases.same_bits(h, fresh[2])
    assert loss.gradient(z, t, gradient_out=gradient) is gradient
    assert loss.value_and_gradient(z, t, gradient_out=gradient)[1] is gradient
    assert loss.gradient_and_hessian(z, t, hessian_out=hessian)[1] is hessian


def test_a_float32_sum_does_not_saturate():
    # In float32, 2^24 + 1 is 2^24.
    z = np.ones(2**24 + 3, np.float32)
    assert fl.l2(z, np.zeros_like(z)) == 2**24 + 3


@pytest.mark.parametrize("n", [2, 100, 1000, 30_000])
def test_sums_are_accumulated_in_double(few_setup, dtype, n):
    """The sum is that of the numbers that ``reduction="none"`` gives, to float64 rounding."""
    z, t = few_setup.draw((n, 3), dtype)
    loss = few_setup.build(3)
    exact = math.fsum(loss(z, t, reduction="none").astype(np.float64).ravel())
    assert loss(z, t, reduction="sum") == pytest.approx(exact, rel=1e-13)


@pytest.mark.parametrize("margin", [17.0, 40.0, 80.0])
def test_cross_entropy_tail(dtype, margin):
    exact = math.log1p(math.exp(-margin))
    p_other = math.exp(-margin) / (1 + math.exp(-margin))
    # 4 ulp, and half an ulp of the margin.
    rel = float((4 + margin) * np.finfo(dtype).eps)
    row = np.array([[0.0, margin]], dtype)
    for loss, z, t in (
        (fl.CrossEntropy(), row, np.array([1])),
        (fl.BinaryCrossEntropy(), row[:, 1], np.ones(1, dtype)),
        (fl.BinaryCrossEntropy(), -row[:, 1], np.zeros(1, dtype)),
    ):
        value, gradient, hessian = loss.value_gradient_and_hessian(z, t, reduction="none")
        assert value[0] == pytest.approx(exact, rel=rel)
        assert abs(gradient.flat[-1]) == pytest.approx(p_other, rel=rel)
        assert hessian.flat[-1] == pytest.approx(p_other * (1 - p_other), rel=rel)
    if margin == 17.0:
        assert fl.cross_entropy(row, [1]) == pytest.approx(4.1399376e-08, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("margin", [30.0, 60.0, 200.0, 1000.0, 1e30])
def test_focal_with_small_gamma_is_finite_when_saturated(dtype, gamma, margin):
    # The power of 1 - p_t in the obvious gradient is negative: 0 * inf.
    z = np.array([margin, -margin], dtype)
    t = np.array([1, 0], dtype)
    rows = np.array([[0.0, margin], [0.0, -margin]], dtype)
    index = np.array([1, 0])
    for case, prediction, target in (("BinaryFocal", z, t), ("Focal", rows, index)):
        loss = getattr(fl, case)(gamma=gamma)
        row = next(c for c in cases.CASES if c.constructor == case)
        for x in loss.value_gradient_and_hessian(prediction, target, reduction="none"):
            assert np.isfinite(x).all()
        bounds = cases.expected(row, {"gamma": gamma}, prediction, target, dtype)
        result = loss.value_gradient_and_hessian(prediction, target, reduction="none")
        if cases.has_wide(dtype):
            cases.assert_result(result, bounds, case, dtype)


@pytest.mark.parametrize("spread", cases.SPREADS)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}], ids=str)
def test_focal_without_focus_is_cross_entropy_to_the_last_bit(dtype, spread, options):
    for kind in ("index", "probability"):
        for shape in ((300, 2), (50, 10), (20, 130), (3, 5000)):
            z, t = cases.draw(cases.CASES[0], kind, shape, dtype, spread)
            one = fl.Focal(gamma=0.0, **options).value_gradient_and_hessian(z, t, reduction="none")
            other = fl.CrossEntropy(**options).value_gradient_and_hessian(z, t, reduction="none")
            for name, a, b in zip(("value", "gradient", "hessian"), one, other, strict=True):
                assert np.array_equal(a, b), (kind, shape, name)
    for kind in ("hard", "soft"):
        z, t = cases.draw(cases.POINTWISE[0], kind, (1003,), dtype, spread)
        one = fl.BinaryFocal(gamma=0.0, **options).value_gradient_and_hessian(z, t, reduction="none")
        other = fl.BinaryCrossEntropy(**options).value_gradient_and_hessian(z, t, reduction="none")
        for name, a, b in zip(("value", "gradient", "hessian"), one, other, strict=True):
            assert np.array_equal(a, b), (kind, name)


def test_one_class_costs_nothing(rowwise_case, dtype):
    loss = getattr(fl, rowwise_case.constructor)()
    z = np.array([[0.0], [5.0], [-1e30]], dtype)
    value, gradient, hessian = loss.value_gradient_and_hessian(z, [0, 0, 0], reduction="none")
    for x in (value, gradient, hessian):
        assert np.array_equal(x, np.zeros_like(x))


def test_index_target_is_its_one_hot(rowwise_case, dtype):
    parameters = {"label_smoothing": 0.1} if rowwise_case.has_options else {}
    loss = rowwise_case.build(parameters)
    z, t = cases.draw(rowwise_case, "index", (50, 6), dtype)
    one_hot = np.eye(6, dtype=np.int64)[t]
    bounds = cases.expected(rowwise_case, parameters, z, one_hot, dtype)
    for target in (t, one_hot, one_hot.astype(dtype), one_hot.astype(bool)):
        result = loss.value_gradient_and_hessian(z, target, reduction="none")
        if cases.has_wide(dtype):
            cases.assert_result(result, bounds, str(target.dtype), dtype)


def test_mse_and_l2(dtype):
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(2, 100)).astype(dtype)
    w = rng.uniform(size=100)
    error = (z.astype(np.float64) - t) ** 2
    assert fl.mse(z, t) == pytest.approx(error.mean(), rel=1e-6)
    assert fl.l2(z, t) == pytest.approx(error.sum(), rel=1e-6)
    assert fl.mse(z, t, sample_weight=w) == pytest.approx(np.average(error, weights=w), rel=1e-6)
    assert fl.l2(z, t, sample_weight=w) == pytest.approx(np.sum(w * error), rel=1e-6)
    assert fl.mse(z, t) == fl.squared_error(z, t)
    assert fl.l2(z, t) == fl.squared_error(z, t, reduction="sum")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_half_precision_is_float32_rounded(few_setup, half, reduction):
    z, t = few_setup.draw((30, 4), np.float32)
    z = z.astype(half)
    t = t.astype(half) if t.dtype.kind == "f" else t
    loss = few_setup.build(4)
    single = t.astype(np.float32) if t.dtype == half else t
    expected = loss.value_gradient_and_hessian(z.astype(np.float32), single, reduction=reduction)
    found = loss.value_gradient_and_hessian(z, t, reduction=reduction)
    if reduction == "none":
        assert cases.same_bits(found[0], rounded(expected[0], half))
    else:
        assert found[0] == expected[0]
    for a, b in zip(found[1:], expected[1:], strict=True):
        assert cases.same_bits(a, rounded(b, half))
    gradient = np.empty_like(z)
    assert loss.gradient(z, t, reduction=reduction, gradient_out=gradient) is gradient
    assert cases.same_bits(gradient, found[1])


def rounded(array, dtype):
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def test_half_precision_everywhere(pointwise_setup, half):
    """All 65,536 encodings: the float32 result, rounded; nan is nan."""
    setup = pointwise_setup
    z = np.arange(2**16, dtype=np.uint16).view(half)
    loss = setup.build()
    with np.errstate(invalid="ignore"):  # signalling nan
        single = z.astype(np.float32)
    assert np.isnan(single).sum() > 100
    _, targets = setup.draw((3,), np.float32)
    for target in targets.astype(half):
        expected = loss.value_gradient_and_hessian(single, np.float32(target), reduction="none")
        found = loss.value_gradient_and_hessian(z, target, reduction="none")
        for name, a, b in zip(NAMES, found, expected, strict=True):
            assert a.dtype == half
            b = rounded(b, half)
            same = (a.view(np.uint16) == b.view(np.uint16)) | (np.isnan(a) & np.isnan(b))
            assert same.all(), f"{setup} {name} {target}: {z[~same][:4]} gives {a[~same][:4]}, not {b[~same][:4]}"


def test_half_precision_row_functions(half):
    x = cases.draw_prediction(np.random.default_rng(0), (20, 7)).astype(half)
    for name in ("log_softmax", "softmax", "logsumexp", "sigmoid", "log_sigmoid"):
        function = getattr(fl, name)
        assert cases.same_bits(function(x), function(x.astype(np.float32)).astype(half)), name


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("target_type", [np.float32, np.float64, np.int32, np.uint8])
def test_double_scores_with_single_outputs(few_setup, reduction, order, target_type):
    """What boosters hand out: float64 scores, float32 targets, and float32 arrays to be filled."""
    for shape in ((1003, 3), (37, 70)):
        z, t = few_setup.draw(shape)
        z = np.array(z, order=order)
        if few_setup.kind == "index":
            t = t.astype(target_type if np.dtype(target_type).kind in "iu" else np.int64)
        else:
            t = np.ceil(t) if np.dtype(target_type).kind in "iu" else t
            t = np.array(t.astype(target_type), order=order)
        w = np.random.default_rng(0).uniform(0, 2, shape[:1] if few_setup.case.rowwise else shape)
        loss = few_setup.build(shape[-1])
        for weight in (None, w, w.astype(np.float32)):
            options = {"sample_weight": weight, "reduction": reduction}
            value, gradient, hessian = loss.value_gradient_and_hessian(z, t, **options)
            outs = [np.full(shape, 7, np.float32, order=order) for _ in range(2)]
            result = loss.value_gradient_and_hessian(z, t, **options, gradient_out=outs[0], hessian_out=outs[1])
            assert result[1] is outs[0]
            assert result[2] is outs[1]
            assert cases.same_bits(result[0], value)
            for a, b in zip(outs, (gradient, hessian), strict=True):
                assert np.array_equal(a, rounded(b, np.float32))
            # One of them alone, and each type for itself.
            out = np.full(shape, 7, np.float32, order=order)
            assert loss.gradient(z, t, **options, gradient_out=out) is out
            assert np.array_equal(out, outs[0])
            out = np.full(shape, 7, np.float32, order=order)
            both = loss.gradient_and_hessian(z, t, **options, hessian_out=out)
            assert both[1] is out
            assert cases.same_bits(both[0], gradient)
            assert np.array_equal(out, outs[1])


def test_float64_scores_with_float32_targets(few_setup):
    """Targets of another type are what they are in the prediction's."""
    if few_setup.kind == "index":
        pytest.skip("class indices")
    z, t = few_setup.draw((40, 5))
    t = t.astype(np.float32)
    loss = few_setup.build(5)
    one = loss.value_gradient_and_hessian(z, t, reduction="none")
    other = loss.value_gradient_and_hessian(z, t.astype(np.float64), reduction="none")
    assert all(cases.same_bits(a, b) for a, b in zip(one, other, strict=True))


# ------------------------------------------------------------------------------ 0-1 loss


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
def test_zero_one_of_labels(dtype, reduction, weighted):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 3)).astype(dtype)
    z[:9] = np.array([0.0, -0.0, np.inf, -np.inf, 1e-30, -1e-30, 1e30, -1e30, 2.0])[:, np.newaxis]
    w = rng.uniform(0, 2, (300, 3)) if weighted else None
    weight = np.ones((300, 3)) if w is None else w
    for t in (rng.integers(0, 2, (300, 3)), rng.uniform(size=(300, 3)).astype(dtype), rng.uniform(size=(300, 3)) < 0.5):
        exact = np.where(z > 0, 1 - t.astype(np.float64), t.astype(np.float64))
        check_zero_one(fl.zero_one(z, t, sample_weight=w, reduction=reduction), exact, weight, reduction, dtype)
    # A number is the label of all.
    exact = np.where(z > 0, 0.0, 1.0)
    check_zero_one(fl.zero_one(z, 1, sample_weight=w, reduction=reduction), exact, weight, reduction, dtype)


def check_zero_one(found, exact, weight, reduction, dtype):
    if reduction == "none":
        assert found.dtype == dtype
        np.testing.assert_allclose(found, exact * weight, rtol=4 * np.finfo(dtype).eps)
        return
    assert type(found) is float
    total = np.sum(exact * weight)
    assert found == pytest.approx(total / (np.sum(weight) if reduction == "mean" else 1), rel=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3, 10, 33, 100, 5000])
def test_zero_one_of_classes(dtype, reduction, weighted, n_classes):
    rng = np.random.default_rng(0)
    n = 50
    z = rng.integers(-3, 4, size=(n, n_classes)).astype(dtype)  # ties: the first largest wins
    z[0], z[1] = -np.inf, 1.0
    z[0, 1] = 0.0
    z[2, -1] = np.inf
    t = rng.integers(0, n_classes, n)
    t[:3] = 1, 0, 0
    t[3:20] = z[3:20].argmax(axis=1)
    w = rng.uniform(0, 2, n) if weighted else None
    weight = np.ones(n) if w is None else w
    exact = (z.argmax(axis=1) != t).astype(float)
    assert 5 < exact.sum() < 45
    for prediction in (z, np.asfortranarray(z), z[::-1].copy()[::-1]):
        found = fl.zero_one(prediction, t, sample_weight=w, reduction=reduction)
        check_zero_one(found, exact, weight, reduction, dtype)
    found = fl.zero_one(np.ascontiguousarray(z.T), t, axis=0, sample_weight=w, reduction=reduction)
    check_zero_one(found, exact, weight, reduction, dtype)


def test_zero_one_of_nan(dtype):
    nan = np.nan
    found = fl.zero_one(np.array([1, nan, -1], dtype), [1, 1, 1], reduction="none")
    np.testing.assert_array_equal(found, [0, nan, 1])
    z = np.array([[nan, 1, 0], [0, 1, 2], [0, 1, nan]], dtype)
    np.testing.assert_array_equal(fl.zero_one(z, [1, 2, 1], reduction="none"), [nan, 0, nan])
    assert math.isnan(fl.zero_one(z, [1, 2, 1]))
    assert fl.zero_one(z, [1, 2, 1], sample_weight=[0, 1, 0]) == 0.0


def test_zero_one_refuses(dtype):
    z = np.zeros((6, 3), dtype)
    for bad in (-1, 3, 100):
        with pytest.raises(ValueError, match=r"target.*\[4\]"):
            fl.zero_one(z, [0, 1, 2, 0, bad, bad])
    for bad in (-0.5, 1.5, np.nan):
        t = np.zeros((6, 3), dtype)
        t[4, 1] = bad
        with pytest.raises(ValueError, match=r"target.*\[4, 1\]"):
            fl.zero_one(z, t)
    for t in (np.zeros(5, int), np.zeros((6, 3, 1)), np.zeros((3, 6))):
        with pytest.raises(ValueError, match="target"):
            fl.zero_one(z, t)


def test_integers_and_lists_are_float64():
    assert fl.mse([1, 2, 3], [1, 2, 5]) == 4 / 3
    gradient = fl.SquaredError().gradient([1, 2, 3], [1, 2, 5], reduction="sum")
    assert gradient.dtype == np.float64
    assert gradient.tolist() == [0.0, 0.0, -4.0]
    assert fl.CrossEntropy().gradient([[1, 2], [3, 4]], [0, 1]).dtype == np.float64
    value, _, _ = reference.cross_entropy([[1, 2], [3, 4]], [0, 1])
    assert fl.cross_entropy([[1, 2], [3, 4]], [0, 1]) == pytest.approx(value.mean(), rel=1e-15)


def test_scalars():
    assert fl.huber(2.0, 0.0) == 1.5
    value, gradient = fl.Huber().value_and_gradient(np.float32(2.0), np.float32(0.0))
    assert value == 1.5
    assert np.shape(gradient) == ()
    assert gradient.dtype == np.float32
    assert fl.cross_entropy(np.zeros(4), 2) == pytest.approx(math.log(4))
    assert np.shape(fl.CrossEntropy().gradient(np.zeros(4), 2)) == (4,)
    assert np.shape(fl.cross_entropy(np.zeros(4), 2, reduction="none")) == ()
