"""Weights, smoothing, ignored rows, reductions and kinds of targets, each with each."""

import itertools
import math

import cases
import numpy as np
import pytest

import fastloss as fl

INTEGERS = tuple(np.dtype(code) for code in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", ">i8"))
N, K = 23, 5


def sample_weights(shape):
    rng = np.random.default_rng(3)
    w = rng.uniform(0, 2, shape)
    return {
        "none": None,
        "float64": w,
        "float32": w.astype(np.float32),
        "int": rng.integers(0, 3, shape),
        "bool": rng.uniform(size=shape) < 0.6,
        "scalar": 0.75,
    }


@pytest.mark.parametrize("weights", sample_weights(1))
@pytest.mark.parametrize("kind", ["index", "probability"])
def test_rowwise_options_crossed(rowwise_case, dtype, weights, kind):
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    z, t = cases.draw(rowwise_case, kind, (N, K), dtype)
    w = sample_weights(N)[weights]
    integers = itertools.cycle(INTEGERS)
    options = (None, cases.CLASS_WEIGHT), (0.0, 0.1, 1.0), (None, 2, -100)
    if not rowwise_case.has_options:
        options = (None,), (0.0,), (None,) * len(INTEGERS)
    for class_weight, smoothing, ignore_index, reduction in itertools.product(*options, ("mean", "sum", "none")):
        if kind == "probability" and ignore_index is not None:
            continue
        given = {"class_weight": class_weight, "label_smoothing": smoothing, "ignore_index": ignore_index}
        parameters = cases.resolve(given, K) if rowwise_case.has_options else {}
        target = t
        if kind == "index":
            target = t.astype(next(integers))
            if ignore_index == -100 and target.dtype.kind == "i" and target.itemsize > 0:
                target[::4] = -100
        bounds = cases.expected(
            rowwise_case,
            parameters,
            z,
            target.astype(np.int64) if kind == "index" else t,
            dtype,
            sample_weight=w,
            reduction=reduction,
        )
        loss = getattr(fl, rowwise_case.constructor)(**parameters)
        result = loss.value_gradient_and_hessian(z, target, sample_weight=w, reduction=reduction)
        what = f"{given} {reduction} {target.dtype}"
        cases.assert_result(result, bounds, what, dtype)
        found = getattr(fl, rowwise_case.function)(z, target, sample_weight=w, reduction=reduction, **parameters)
        cases.assert_within(found, bounds.value, what)


@pytest.mark.parametrize("weights", [*sample_weights(1), "column", "row"])
def test_pointwise_options_crossed(pointwise_setup, dtype, weights):
    setup = pointwise_setup
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    z, t = setup.draw((N, K), dtype)
    if weights in ("column", "row"):
        w = np.random.default_rng(0).uniform(0, 2, (N, 1) if weights == "column" else K)
    else:
        w = sample_weights((N, K))[weights]
    loss = setup.build()
    for reduction in ("mean", "sum", "none"):
        bounds = cases.expected(setup.case, setup.given, z, t, dtype, sample_weight=w, reduction=reduction)
        result = loss.value_gradient_and_hessian(z, t, sample_weight=w, reduction=reduction)
        cases.assert_result(result, bounds, f"{setup} {weights} {reduction}", dtype)


@pytest.mark.parametrize("target", ["i1", "i8", "u2", "?", "f4", "f8", "f2", ">f4"])
def test_target_types_of_pointwise_losses(pointwise_case, dtype, target):
    case = pointwise_case
    z, _ = cases.draw(case, case.kinds[0], (N, K), dtype)
    low = 1 if case.domain == "positive" else 0
    t = np.random.default_rng(0).integers(low, low + 2, (N, K)).astype(target)
    loss = case.build(case.parameters[0])
    plain = loss.value_gradient_and_hessian(z, t.astype(dtype), reduction="none")
    result = loss.value_gradient_and_hessian(z, t, reduction="none")
    assert all(cases.same_bits(a, b) for a, b in zip(result, plain, strict=True))


@pytest.mark.parametrize("q_shape", [(K,), (N, 1), (N, K), ()], ids=str)
def test_array_of_positive_weights(dtype, q_shape):
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    case = next(case for case in cases.CASES if case.function == "binary_cross_entropy")
    q = np.random.default_rng(0).uniform(0.2, 4, q_shape)
    for kind, smoothing, reduction in itertools.product(case.kinds, (0.0, 0.1), ("mean", "sum", "none")):
        parameters = {"pos_weight": q, "label_smoothing": smoothing}
        z, t = cases.draw(case, kind, (N, K), dtype)
        w = np.random.default_rng(1).uniform(0, 2, (N, K))
        bounds = cases.expected(case, parameters, z, t, dtype, sample_weight=w, reduction=reduction)
        # The weight itself is rounded to the prediction's type, and multiplied in.
        result = fl.BinaryCrossEntropy(**parameters).value_gradient_and_hessian(
            z, t, sample_weight=w, reduction=reduction
        )
        cases.assert_result(result, bounds, f"{q_shape} {kind} {smoothing} {reduction}", dtype)
    with pytest.raises(ValueError, match="pos_weight"):
        fl.binary_cross_entropy(np.zeros((4, 7), dtype), np.zeros((4, 7), dtype), pos_weight=np.ones(3))


def test_numpy_scalars_are_parameters():
    assert fl.Huber(delta=np.float32(0.5)) == fl.Huber(delta=0.5)
    assert fl.Focal(gamma=2) == fl.Focal(gamma=np.float64(2.0))
    assert fl.CrossEntropy(ignore_index=np.int64(-1)) == fl.CrossEntropy(ignore_index=-1)
    assert fl.CrossEntropy(class_weight=[1, 2]) == fl.CrossEntropy(class_weight=np.array([1.0, 2.0]))


# ----------------------------------------------------------------------- what weights mean


def close(dtype):
    """For sums of the same few numbers, added up in another order."""
    return float(16 * np.finfo(dtype).eps)


def weighted_problem(setup, dtype):
    z, t = setup.draw((40, 4), dtype)
    return z, t, setup.build(4)


def test_weight_zero_counts_nowhere(few_setup, dtype):
    """Whatever the row holds: nan, infinities; every reduction, one row or all but one."""
    z, t, loss = weighted_problem(few_setup, dtype)
    for dropped in ([0], [39], [3, 4, 17], list(range(1, 40))):
        w = np.ones(40)
        w[dropped] = 0
        spoilt = z.copy()
        spoilt[dropped] = np.resize([np.nan, np.inf, -np.inf, np.finfo(dtype).max], 4)
        weight = w if few_setup.case.rowwise else w[:, np.newaxis]
        kept = w > 0
        for reduction in ("mean", "sum", "none"):
            options = {"reduction": reduction}
            value, gradient, hessian = loss.value_gradient_and_hessian(spoilt, t, sample_weight=weight, **options)
            less = loss.value_gradient_and_hessian(z[kept], t[kept], **options)
            for x, y in ((gradient, less[1]), (hessian, less[2])):
                assert not np.any(x[~kept])
                np.testing.assert_allclose(x[kept], y, rtol=4 * np.finfo(dtype).eps)
            if reduction == "none":
                assert not np.any(value[~kept])
                assert cases.same_bits(value[kept], less[0])
            else:
                assert value == pytest.approx(less[0], rel=close(dtype))


def test_ignored_rows_count_nowhere(softmax_case, dtype):
    z, t = cases.draw(softmax_case, "index", (40, 4), dtype)
    for ignore_index in (-100, -1, 0, 3, 4, 255, -(2**31), 2**40):
        loss = getattr(fl, softmax_case.constructor)(ignore_index=ignore_index, label_smoothing=0.1)
        target = t.copy()
        target[5:9] = ignore_index
        spoilt = z.copy()
        spoilt[5:9] = [np.nan, np.inf, -np.inf, 0]
        kept = target != ignore_index
        if 0 <= ignore_index < 4:
            spoilt[~kept] = np.nan
        full = loss.value_gradient_and_hessian(spoilt, target, reduction="none")
        less = loss.value_gradient_and_hessian(z[kept], t[kept], reduction="none")
        for x, y in zip(full, less, strict=True):
            assert not np.any(x[~kept])
            np.testing.assert_allclose(x[kept], y, rtol=8 * np.finfo(dtype).eps)
        assert loss(spoilt, target) == pytest.approx(loss(z[kept], t[kept]), rel=close(dtype))
        assert loss(spoilt, target, reduction="sum") == pytest.approx(
            loss(z[kept], t[kept], reduction="sum"), rel=close(dtype)
        )
    small = np.array([255, 0, 3], np.uint8)
    assert getattr(fl, softmax_case.constructor)(ignore_index=255)(z[:3], small) == pytest.approx(
        getattr(fl, softmax_case.constructor)()(z[1:3], small[1:]), rel=close(dtype)
    )


def test_ignored_rows_with_class_weights(softmax_case, dtype):
    """The weight of an ignored class index is never looked up."""
    z, t = cases.draw(softmax_case, "index", (40, 4), dtype)
    w = np.array([0.5, 1.0, 2.0, 4.0])
    t[::3] = -100
    loss = getattr(fl, softmax_case.constructor)(class_weight=w, ignore_index=-100)
    plain = getattr(fl, softmax_case.constructor)(class_weight=w)
    kept = t != -100
    assert loss(z, t) == pytest.approx(plain(z[kept], t[kept]), rel=close(dtype))


def test_weight_two_is_a_row_twice(few_setup, dtype):
    z, t, loss = weighted_problem(few_setup, dtype)
    w = np.ones(40)
    w[:7] = 2
    weight = w if few_setup.case.rowwise else w[:, np.newaxis]
    twice = np.concatenate([np.arange(7), np.arange(40)])
    for reduction in ("mean", "sum"):
        value, gradient = loss.value_and_gradient(z, t, sample_weight=weight, reduction=reduction)
        again, doubled = loss.value_and_gradient(z[twice], t[twice], reduction=reduction)
        assert value == pytest.approx(again, rel=close(dtype))
        np.testing.assert_allclose(gradient[7:], doubled[14:], rtol=4 * np.finfo(dtype).eps)
        np.testing.assert_allclose(gradient[:7], doubled[:7] + doubled[7:14], rtol=4 * np.finfo(dtype).eps)


def test_mean_does_not_depend_on_the_scale_of_weights(few_setup, dtype):
    z, t, loss = weighted_problem(few_setup, dtype)
    w = np.random.default_rng(0).uniform(0.1, 2, 40)
    w = w if few_setup.case.rowwise else np.broadcast_to(w[:, np.newaxis], z.shape)
    plain = loss.value_and_gradient(z, t, sample_weight=w)
    for scale in (1e-6, 3.0, 1e6, 1e-30, 1e30):
        value, gradient = loss.value_and_gradient(z, t, sample_weight=w * scale)
        assert value == pytest.approx(plain[0], rel=close(dtype))
        np.testing.assert_allclose(gradient, plain[1], rtol=8 * np.finfo(dtype).eps)


def test_class_weight_is_a_sample_weight(softmax_case, dtype):
    """For class indices and no smoothing, also in the mean's divisor."""
    z, t = cases.draw(softmax_case, "index", (40, 4), dtype)
    class_weight = np.array([0.0, 1.0, 2.5, 0.3])
    sample_weight = np.random.default_rng(0).uniform(0, 2, 40)
    loss = getattr(fl, softmax_case.constructor)(class_weight=class_weight)
    plain = getattr(fl, softmax_case.constructor)()
    for reduction in ("mean", "sum", "none"):
        a = loss.value_gradient_and_hessian(z, t, sample_weight=sample_weight, reduction=reduction)
        b = plain.value_gradient_and_hessian(z, t, sample_weight=sample_weight * class_weight[t], reduction=reduction)
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=16 * np.finfo(dtype).eps)


# ----------------------------------------------------------------------- mean of nothing


def nothing_counted(setup, dtype):
    z, t = setup.draw((8, 4), dtype)
    zero = np.zeros(8) if setup.case.rowwise else np.zeros((8, 4))
    yield setup.build(4), z, t, zero
    yield setup.build(4), z, t, 0.0
    if setup.kind == "index" and setup.case.has_options:
        yield setup.case.build({"ignore_index": -7}), z, np.full(8, -7), None
        yield setup.case.build({"class_weight": [0.0, 1.0, 1.0, 1.0]}), z, np.zeros(8, int), None
        yield setup.case.build({"ignore_index": -7}), z, np.array([-7] * 4 + [1] * 4), np.repeat([1.0, 0.0], 4)


def test_mean_of_nothing(few_setup, dtype):
    for loss, z, t, w in nothing_counted(few_setup, dtype):
        with pytest.warns(RuntimeWarning, match="mean"):
            value, gradient, hessian = loss.value_gradient_and_hessian(z, t, sample_weight=w)
        assert math.isnan(value)
        assert not np.any(gradient)
        assert not np.any(hessian)
        with pytest.warns(RuntimeWarning, match="mean"):
            assert math.isnan(loss(z, t, sample_weight=w))
        assert loss(z, t, sample_weight=w, reduction="sum") == 0.0
        assert not np.any(loss(z, t, sample_weight=w, reduction="none"))


def test_warning_points_to_the_caller():
    with pytest.warns(RuntimeWarning, match="mean") as records:
        fl.mse([], [])
    assert records[0].filename == __file__
    with pytest.warns(RuntimeWarning, match="mean") as records:
        fl.CrossEntropy()(np.zeros((0, 3)), np.zeros(0, int))
    assert records[0].filename == __file__


def test_nan_mean_of_nan_is_no_warning(few_setup, dtype):
    z, t = few_setup.draw((8, 4), dtype)
    z[3] = np.nan
    assert math.isnan(few_setup.build(4)(z, t))
