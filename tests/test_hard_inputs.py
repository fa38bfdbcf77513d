"""Inputs that break careless code: infinities, nan, subnormal numbers, huge margins, odd sizes."""

import itertools
import math

import cases
import numpy as np
import pytest

import fastloss as fl
from fastloss import reference

INF, NAN = np.inf, np.nan
SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 511, 512, 513, 1023, 1025)
NAMES = ("value", "gradient", "hessian")


def targets_of_rows(kind, n, n_classes, dtype):
    """Every row with every class, or with a few distributions."""
    if kind == "index":
        return [np.full(n, k) for k in range(n_classes)]
    rows = ([1, 0, 0], [0.25, 0.25, 0.5], [0, 0.5, 0], [0, 0, 0], [1, 1, 1])
    return [np.broadcast_to(np.array(row, dtype), (n, n_classes)) for row in rows]


def test_hard_numbers(pointwise_setup, dtype):
    setup = pointwise_setup
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    z = cases.hard_numbers(dtype)
    # A residual that overflows is inf, whatever becomes of it afterwards.
    moderate = z[~(np.abs(z) == np.finfo(dtype).max)]
    targets = {
        "real": moderate,
        "hard": [0, 1],
        "soft": [0, 1e-30, 0.3, 1],
        "count": [0, 1e-30, 0.3, 1, 7, 1e30],
        "positive": [1e-30, 0.3, 1, 7, 1e30],
    }[setup.kind]
    z, t = (x.ravel() for x in np.meshgrid(z, np.array(targets, dtype)))
    bounds = cases.expected(setup.case, setup.given, z, t, dtype)
    result = setup.build().value_gradient_and_hessian(z, t, reduction="none")
    cases.assert_result(result, bounds, str(setup), dtype)


def test_hard_rows(rowwise_setup, dtype):
    setup = rowwise_setup
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    z = cases.hard_rows(dtype)
    parameters = setup.parameters(3)
    loss = setup.build(3)
    for t in targets_of_rows(setup.kind, *z.shape, dtype):
        bounds = cases.expected(setup.case, parameters, z, t, dtype)
        cases.assert_result(loss.value_gradient_and_hessian(z, t, reduction="none"), bounds, f"{setup} {t[0]}", dtype)
        # One row at a time, and with the classes in every order.
        for i in range(len(z)):
            one = loss.value_gradient_and_hessian(z[i : i + 1], t[i : i + 1], reduction="none")
            row = cases.Expected(*(cases.Bounded(x[i : i + 1], tol[i : i + 1]) for x, tol in bounds))
            cases.assert_result(one, row, f"{setup} {z[i]} {t[i]}", dtype)


@pytest.mark.parametrize("n_classes", [3, 10, 40, 200, 5000])
def test_hard_rows_among_many_classes(rowwise_case, dtype, n_classes):
    """The same rows with further classes of -inf between them, at both ends and across every tile."""
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    short = cases.hard_rows(dtype)
    loss = rowwise_case.build({})
    rng = np.random.default_rng(0)
    for places in (
        [0, 1, 2],
        [n_classes - 3, n_classes - 2, n_classes - 1],
        *(np.sort(rng.choice(n_classes, 3, replace=False)) for _ in range(2)),
    ):
        z = np.full((len(short), n_classes), -INF, dtype)
        z[:, places] = short
        for k in range(3):
            bounds = cases.expected(rowwise_case, {}, short, np.full(len(short), k), dtype)
            value, gradient, hessian = loss.value_gradient_and_hessian(z, np.full(len(z), places[k]), reduction="none")
            cases.assert_result(
                (value, gradient[:, places], hessian[:, places]), bounds, f"{n_classes} {places} {k}", dtype
            )
            # A masked class has gradient exactly 0, unless its row has no probabilities at all.
            masked = np.ones(n_classes, bool)
            masked[places] = False
            undefined = np.isnan(bounds.gradient.exact).any(axis=1)
            for x in (gradient, hessian):
                assert np.all(x[~undefined][:, masked] == 0)
                assert np.isnan(x[undefined]).all()


# prediction, target, value, gradient of the target's logit: the table of conventions, as numbers.
ROW_CONVENTIONS = [
    ([NAN, 0, 1], 1, NAN, [NAN, NAN, NAN]),
    ([-INF, 0, 0], 1, math.log(2), [0, -0.5, 0.5]),
    ([-INF, 0, 0], 0, INF, [-1, 0.5, 0.5]),
    ([-INF, -INF, 3], 2, 0, [0, 0, 0]),
    ([-INF, -INF, -INF], 0, NAN, [NAN, NAN, NAN]),
    ([1e30, 0, -1e30], 0, 0, [0, 0, 0]),
    ([1e30, 0, -1e30], 1, 1e30, [1, -1, 0]),
    ([INF, 0, -INF], 0, 0, [0, 0, 0]),
    ([INF, 0, -INF], 1, INF, [1, -1, 0]),
    ([INF, 0, -INF], 2, INF, [1, 0, -1]),
    ([INF, INF, 0], 0, NAN, [NAN, NAN, NAN]),
    ([INF, NAN, 0], 0, NAN, [NAN, NAN, NAN]),
]


# Of the losses of p_k alone: the value and -p dl/dp, of log p. The table has those of cross-entropy.
OF_LOG_P = {
    "cross_entropy": (lambda log_p: -log_p, lambda log_p: 1),
    "kl_divergence": (lambda log_p: -log_p, lambda log_p: 1),
    "focal": (
        lambda log_p: -log_p * (1 - np.exp(log_p)) ** 2,
        lambda log_p: (1 - np.exp(log_p)) * (1 - np.exp(log_p) - (2 * np.exp(log_p) * log_p if log_p > -INF else 0)),
    ),
    "poly1": (lambda log_p: -log_p + 1 - np.exp(log_p), lambda log_p: 1 + np.exp(log_p)),
    "generalized_cross_entropy": (lambda log_p: -np.expm1(0.7 * log_p) / 0.7, lambda log_p: np.exp(0.7 * log_p)),
}


@pytest.mark.parametrize(("row", "k", "value", "gradient"), ROW_CONVENTIONS)
def test_conventions_of_rows(evaluate, rowwise_case, dtype, row, k, value, gradient):
    setup = cases.Setup(rowwise_case, {}, "index")
    if rowwise_case.function == "multiclass_hinge":
        value, gradient = hinge_convention(row, k, value)
    else:
        of_log_p, factor = OF_LOG_P[rowwise_case.function]
        value, gradient = of_log_p(-value), factor(-value) * np.array(gradient, float)
    found = evaluate(setup, np.array([row], dtype), np.array([k]))
    np.testing.assert_allclose(found[0][0], value, rtol=1e-6)
    np.testing.assert_allclose(found[1][0], gradient, rtol=1e-6)
    assert np.all(np.isnan(found[2][0]) == np.isnan(gradient))
    # One-hot targets are the same thing; 0 * inf is 0.
    one_hot = np.eye(3, dtype=dtype)[[k]]
    soft = evaluate(setup, np.array([row], dtype), one_hot)
    np.testing.assert_allclose(soft[0][0], value, rtol=1e-6)
    np.testing.assert_allclose(soft[1][0], gradient, rtol=1e-6)


def hinge_convention(row, k, value_of_cross_entropy):
    if math.isnan(value_of_cross_entropy):
        return NAN, [NAN] * 3
    others = row[:k] + row[k + 1 :]
    value = max(0.0, 1 + max(others) - row[k])
    gradient = np.zeros(3)
    if value > 0:
        gradient[k] = -1
        gradient[next(j for j in range(3) if j != k and row[j] == max(others))] = 1
    return value, gradient


def test_logits_as_far_apart_as_numbers_go(evaluate, rowwise_case, dtype):
    big = np.finfo(dtype).max
    row = np.array([[big, 0, -big]], dtype)
    setup = cases.Setup(rowwise_case, {}, "index")
    for x in evaluate(setup, row, np.array([0])):
        assert not np.any(x)
    value, gradient, hessian = evaluate(setup, row, np.array([1]))
    if rowwise_case.function == "generalized_cross_entropy":
        # Bounded: a hopeless row has no say.
        assert value[0] == pytest.approx(1 / 0.7)
        assert not np.any(gradient)
    else:
        assert value[0] == big
        assert gradient.tolist() == [[1, -1, 0]]
    assert not np.any(hessian)
    if rowwise_case.has_options:
        smooth = cases.Setup(rowwise_case, {"label_smoothing": 0.1}, "index")
        for x in evaluate(smooth, row, np.array([0])):
            assert not np.isnan(x).any()


def test_ties_of_the_largest_logit(evaluate, dtype):
    """The first of them is pushed down."""
    setup = cases.Setup(next(case for case in cases.CASES if case.function == "multiclass_hinge"), {}, "index")
    z = np.array([[2, 2, 2, 0], [0, 2, 2, 2], [2, 2, 1, 0], [2, 2, 1, 0], [3, 2, 2, 0]], dtype)
    t = np.array([3, 0, 0, 1, 0])
    value, gradient, hessian = evaluate(setup, z, t)
    np.testing.assert_array_equal(value, [3, 3, 1, 1, 0])  # the last row stands at its kink
    expected = [[1, 0, 0, -1], [-1, 1, 0, 0], [-1, 1, 0, 0], [1, -1, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(gradient, expected)
    assert not np.any(hessian)


# logit, target, value, gradient
BINARY_CONVENTIONS = [
    (INF, 1, 0, 0),
    (-INF, 0, 0, 0),
    (INF, 0, INF, 1),
    (-INF, 1, INF, -1),
    (INF, 0.25, INF, 0.75),
    (1e30, 1, 0, 0),
    (1e30, 0, 1e30, 1),
    (-1e30, 1, 1e30, -1),
    (NAN, 0, NAN, NAN),
    (NAN, 1, NAN, NAN),
]


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "binary_focal"])
@pytest.mark.parametrize(("z", "t", "value", "gradient"), BINARY_CONVENTIONS)
def test_conventions_of_binary_losses(evaluate, loss, dtype, z, t, value, gradient):
    setup = cases.Setup(next(case for case in cases.CASES if case.function == loss), {}, "soft")
    found = evaluate(setup, np.array([z], dtype), np.array([t], dtype))
    np.testing.assert_allclose(found[0][0], value, rtol=1e-6)
    np.testing.assert_allclose(found[1][0], gradient, rtol=1e-6)
    np.testing.assert_equal(float(found[2][0]), 0.0 if np.isfinite(gradient) else NAN)


# loss, logit, target, value, gradient
MARGIN_CONVENTIONS = [
    *((name, INF, 1, 0, 0) for name in ("hinge", "squared_hinge", "modified_huber", "exponential", "brier")),
    *((name, -INF, 0, 0, 0) for name in ("hinge", "squared_hinge", "modified_huber", "exponential", "brier")),
    ("hinge", INF, 0, INF, 1),
    ("hinge", -INF, 1, INF, -1),
    ("hinge", INF, 0.25, INF, 0.75),
    ("squared_hinge", INF, 0, INF, INF),
    ("squared_hinge", -INF, 0.25, INF, -INF),
    ("modified_huber", INF, 0, INF, 4),
    ("modified_huber", -INF, 0.25, INF, -1),
    ("exponential", INF, 0, INF, INF),
    ("exponential", -INF, 0.25, INF, -INF),
    ("exponential", INF, 0.25, INF, INF),
    ("brier", INF, 0, 1, 0),
    ("brier", -INF, 0.25, 0.0625, 0),
    *((name, NAN, 0.5, NAN, NAN) for name in ("hinge", "squared_hinge", "modified_huber", "exponential", "brier")),
]


@pytest.mark.parametrize(("loss", "z", "t", "value", "gradient"), MARGIN_CONVENTIONS)
def test_conventions_of_margin_losses(evaluate, loss, dtype, z, t, value, gradient):
    setup = cases.Setup(next(case for case in cases.CASES if case.function == loss), {}, "soft")
    found = evaluate(setup, np.array([z], dtype), np.array([t], dtype))
    np.testing.assert_allclose(found[0][0], value, rtol=1e-6)
    np.testing.assert_allclose(found[1][0], gradient, rtol=1e-6)
    assert math.isnan(found[2][0]) == math.isnan(z)


# loss, prediction, target, value, gradient, hessian
LOG_LINK_CONVENTIONS = [
    ("poisson", -INF, 0, 0, 0, 0),
    ("poisson", -INF, 2, INF, -2, 0),
    ("poisson", INF, 0, INF, INF, INF),
    ("poisson", INF, 2, INF, INF, INF),
    ("gamma", INF, 2, INF, 1, 0),
    ("gamma", -INF, 2, INF, -INF, INF),
    ("tweedie", -INF, 0, 0, 0, 0),
    ("tweedie", -INF, 2, INF, -INF, INF),
    ("tweedie", INF, 0, INF, INF, INF),
    ("tweedie", INF, 2, INF, INF, INF),
    ("inverse_gaussian", INF, 2, 0, 0, 0),
    ("inverse_gaussian", -INF, 2, INF, -INF, INF),
    ("negative_binomial", -INF, 0, 0, 0, 0),
    ("negative_binomial", -INF, 2, INF, -2, 0),
    ("negative_binomial", INF, 0, INF, 1, 0),
    ("negative_binomial", INF, 2, INF, 1, 0),
    *((name, NAN, 1, NAN, NAN, NAN) for name in ("poisson", "gamma", "tweedie", "inverse_gaussian")),
    *(("negative_binomial", NAN, y, NAN, NAN, NAN) for y in (0, 2)),
    ("poisson", NAN, 0, NAN, NAN, NAN),
    ("tweedie", NAN, 0, NAN, NAN, NAN),
]


@pytest.mark.parametrize(("loss", "z", "t", "value", "gradient", "hessian"), LOG_LINK_CONVENTIONS)
def test_conventions_of_the_log_link(evaluate, loss, dtype, z, t, value, gradient, hessian):
    setup = cases.Setup(next(case for case in cases.CASES if case.function == loss), {}, "count")
    found = evaluate(setup, np.array([z], dtype), np.array([t], dtype))
    np.testing.assert_array_equal([x[0] for x in found], [value, gradient, hessian])


# What the gradient tends to; 1 for those that are not named.
GRADIENT_AT_INFINITY = {
    "squared_error": INF,
    "expectile": INF,
    "squared_epsilon_insensitive": INF,
    "quantile": 0.5,
    "cauchy": 0,
    "tukey": 0,
}
VALUE_AT_INFINITY = {"tukey": 4.685**2 / 6}


@pytest.mark.parametrize(
    "case",
    [case for case in cases.CASES if case.domain == "real" and case.function != "absolute_percentage_error"],
    ids=str,
)
def test_conventions_of_regression(evaluate, case, dtype):
    setup = cases.Setup(case, {}, "real")
    z = np.array([INF, -INF, INF, NAN, 1, INF], dtype)
    t = np.array([0, 0, INF, 0, NAN, -INF], dtype)
    value, gradient, _ = evaluate(setup, z, t)
    far, bound = VALUE_AT_INFINITY.get(case.function, INF), GRADIENT_AT_INFINITY.get(case.function, 1)
    np.testing.assert_allclose(value, [far, far, NAN, NAN, NAN, far], rtol=1e-6)
    np.testing.assert_array_equal(gradient, [bound, -bound, NAN, NAN, NAN, bound])


def test_conventions_of_percentages(evaluate, dtype):
    """Nothing is known of the percentage of an infinite target."""
    setup = cases.Setup(next(case for case in cases.CASES if case.function == "absolute_percentage_error"), {}, "real")
    value, gradient, _ = evaluate(setup, np.array([INF, -INF, NAN, 1, 1], dtype), np.array([2, 2, 2, NAN, INF], dtype))
    np.testing.assert_array_equal(value, [INF, INF, NAN, NAN, NAN])
    np.testing.assert_array_equal(gradient, [0.5, -0.5, NAN, NAN, 0])


# loss, parameters, prediction, target, (value, gradient, hessian)
KINKS = [
    ("absolute_error", {}, 0.0, 0, (0, 0, 0)),
    ("absolute_error", {}, -0.0, 0, (0, 0, 0)),
    ("huber", {"delta": 0.5}, 0.5, 0, (0.125, 0.5, 1)),
    ("huber", {"delta": 0.5}, -0.5, 0, (0.125, -0.5, 1)),
    ("smooth_l1", {"beta": 0.5}, 0.5, 0, (0.25, 1, 0)),
    ("smooth_l1", {"beta": 0.5}, -0.5, 0, (0.25, -1, 0)),
    ("quantile", {"q": 0.25}, 2.0, 2, (0, 0, 0)),
    ("quantile", {"q": 0.25}, -0.0, 0, (0, 0, 0)),
    ("expectile", {"q": 0.25}, 2.0, 2, (0, 0, 0.5)),
    ("epsilon_insensitive", {"epsilon": 0.5}, 0.5, 0, (0, 0, 0)),
    ("epsilon_insensitive", {"epsilon": 0.5}, -0.5, 0, (0, 0, 0)),
    ("epsilon_insensitive", {"epsilon": 0.0}, 1.0, 1, (0, 0, 0)),
    ("squared_epsilon_insensitive", {"epsilon": 0.5}, 0.5, 0, (0, 0, 0)),
    ("squared_epsilon_insensitive", {"epsilon": 0.0}, 1.0, 1, (0, 0, 0)),
    ("hinge", {}, 1.0, 1, (0, 0, 0)),
    ("hinge", {}, -1.0, 0, (0, 0, 0)),
    ("squared_hinge", {}, 1.0, 1, (0, 0, 0)),
    ("modified_huber", {}, 1.0, 1, (0, 0, 0)),
    ("modified_huber", {}, -1.0, 1, (4, -4, 2)),
    ("modified_huber", {}, 1.0, 0, (4, 4, 2)),
    ("cauchy", {"c": 2.0}, 2.0, 0, (2 * math.log(2), 1, 0)),
    ("tukey", {"c": 2.0}, 2.0, 0, (2 / 3, 0, 0)),
    ("tukey", {"c": 2.0}, 0.0, 0, (0, 0, 1)),
    ("absolute_percentage_error", {"epsilon": 0.5}, 0.0, 0, (0, 0, 0)),
    ("absolute_percentage_error", {"epsilon": 0.5}, 1.0, 0.5, (1, 2, 0)),
    ("fair", {"c": 2.0}, 0.0, 0, (0, 0, 1)),
    ("log_cosh", {}, 0.0, 0, (0, 0, 1)),
    ("pseudo_huber", {"delta": 2.0}, 0.0, 0, (0, 0, 1)),
]


@pytest.mark.parametrize(("loss", "parameters", "z", "t", "expected"), KINKS)
def test_kinks(evaluate, dtype, loss, parameters, z, t, expected):
    """Which branch is taken where two of them meet."""
    setup = cases.Setup(next(case for case in cases.CASES if case.function == loss), parameters, "")
    found = evaluate(setup, np.array([z], dtype), np.array([t], dtype))
    np.testing.assert_allclose([x[0] for x in found], expected, rtol=1e-6)


def test_a_bad_row_spoils_no_other(few_setup, dtype):
    """nan, inf and huge values in every position: all other rows keep their bits."""
    loss = few_setup.build(5)
    z, t = few_setup.draw((70, 5), dtype)
    clean = loss.value_gradient_and_hessian(z, t, reduction="none")
    rowwise = few_setup.case.rowwise
    for bad, position in itertools.product((NAN, INF, -INF, np.finfo(dtype).max), (0, 1, 15, 16, 33, 68, 69)):
        spoilt = z.copy()
        spoilt[position, position % 5] = bad
        result = loss.value_gradient_and_hessian(spoilt, t, reduction="none")
        for name, a, b in zip(NAMES, result, clean, strict=True):
            keep = np.ones(z.shape, bool)
            if rowwise:
                keep[position] = False
            else:
                keep[position, position % 5] = False
            keep = keep[:, 0] if a.ndim == 1 else keep
            assert cases.same_bits(a[keep], b[keep]), (name, bad, position)


def test_nan_reaches_the_reduced_value(few_setup, dtype):
    z, t = few_setup.draw((33, 4), dtype)
    z[7, 2] = NAN
    loss = few_setup.build(4)
    assert math.isnan(loss(z, t))
    assert math.isnan(loss(z, t, reduction="sum"))
    gradient = loss.gradient(z, t)
    assert np.isnan(gradient[7] if few_setup.case.rowwise else gradient[7, 2]).all()
    assert np.isfinite(np.delete(gradient, 7, axis=0)).all()


@pytest.mark.parametrize("n", SIZES)
def test_sizes(few_setup, dtype, n):
    """Around every multiple of the lanes and of the tiles."""
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    shapes = [(n, 3), (3, n)] if few_setup.case.rowwise else [(n,)]
    for shape in shapes:
        z, t = few_setup.draw(shape, dtype, seed=n)
        parameters = few_setup.parameters(shape[-1])
        bounds = cases.expected(few_setup.case, parameters, z, t, dtype)
        # A margin after the end must stay as it is.
        size = math.prod(shape)
        room = [np.full(size + 64, 7.0, dtype) for _ in range(2)]
        outs = [x[:size].reshape(shape) for x in room]
        result = few_setup.build(shape[-1]).value_gradient_and_hessian(
            z, t, reduction="none", gradient_out=outs[0], hessian_out=outs[1]
        )
        cases.assert_result(result, bounds, f"{few_setup} {shape}", dtype)
        assert all((x[size:] == 7.0).all() for x in room)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (4, 0, 3)], ids=str)
def test_nothing(few_setup, dtype, shape):
    if few_setup.case.rowwise and len(shape) == 1:
        shape = (0, 1)
    z = np.zeros(shape, dtype)
    t = np.zeros(shape[:-1], np.int64) if few_setup.kind == "index" else np.zeros(shape, dtype)
    loss = few_setup.build(shape[-1])
    assert loss(z, t, reduction="sum") == 0.0
    value, gradient, hessian = loss.value_gradient_and_hessian(z, t, reduction="none")
    assert value.shape == (shape[:-1] if few_setup.case.rowwise else shape)
    assert gradient.shape == hessian.shape == shape
    assert value.dtype == gradient.dtype == hessian.dtype == dtype
    with pytest.warns(RuntimeWarning, match="mean"):
        assert math.isnan(loss(z, t))
    with pytest.warns(RuntimeWarning, match="mean"):
        value, gradient = loss.value_and_gradient(z, t)
    assert math.isnan(value)
    assert gradient.shape == shape
    assert loss.gradient(z, t).shape == shape


def test_row_functions_follow_the_conventions(dtype):
    for name in ("log_softmax", "softmax", "logsumexp"):
        for n_classes in (3, 20, 300):
            z = np.full((len(cases.hard_rows(dtype)), n_classes), -INF, dtype)
            z[:, -3:] = cases.hard_rows(dtype)
            found = getattr(fl, name)(z)
            exact = getattr(reference, name)(z.astype(cases.wide(dtype)))
            tolerance = 4 * cases.ulp(exact, dtype)
            if name == "softmax":
                # Half an ulp of a difference of logits moves the exact result by so much.
                with np.errstate(invalid="ignore"):
                    moved = np.abs(z - z.max(axis=-1, keepdims=True)) * np.finfo(dtype).eps
                tolerance = tolerance + np.where(np.isfinite(moved), moved, 0.0) * exact
            tolerance = np.where(np.isfinite(tolerance), tolerance, 0.0)
            cases.assert_within(found, cases.Bounded(exact, tolerance), f"{name} {n_classes}", dtype)


def test_row_functions_of_nothing(dtype):
    for shape in ((0, 3), (3, 0), (0, 0)):
        assert fl.log_softmax(np.zeros(shape, dtype)).shape == shape
        assert fl.softmax(np.zeros(shape, dtype)).shape == shape
        assert np.array_equal(fl.logsumexp(np.zeros(shape, dtype)), np.full(shape[0], -INF, dtype))
    assert fl.sigmoid(np.zeros(0, dtype)).shape == (0,)
    assert fl.log_sigmoid(np.zeros((3, 0), dtype)).shape == (3, 0)
