"""Losses of several numbers a row: values, derivatives, curvatures, shapes and layouts, what a constant fits best."""

import copy
import math
import pickle
import re

import cases
import numpy as np
import pytest

import fastloss as fl

N_ROWS = 517
LIKELIHOODS = [case for case in cases.COLUMNS if case.constructor not in ("Quantiles", "AllThreshold")]
DENSITIES = [case for case in LIKELIHOODS if "crps" not in case.function]


@pytest.fixture(
    params=[(case, i) for case in cases.COLUMNS for i in range(len(case.parameters))], ids=lambda p: f"{p[0]}-{p[1]}"
)
def configured(request):
    case, i = request.param
    return case, case.build(case.parameters[i]), case.parameters[i]


@pytest.mark.parametrize("spread", ["normal", "wide", "small"])
def test_kernels_are_exact(configured, dtype, spread):
    case, loss, parameters = configured
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    z, t = cases.draw_columns(case, loss, (N_ROWS,), dtype, spread)
    found = loss.value_gradient_and_hessian(z, t, reduction="none")
    cases.assert_result(found, cases.expected_of_columns(case, loss, parameters, z, t), f"{case} {spread}", dtype)


@pytest.mark.parametrize("case", LIKELIHOODS, ids=str)
def test_twins_and_packed_hessians_by_50_digits(case):
    mpmath = pytest.importorskip("mpmath")
    parameters = case.parameters[-1]
    loss = case.build(parameters)
    z, t = cases.draw_columns(case, loss, (4,), np.float64)
    value, gradient, hessian = case.twin(z, t, **parameters)
    packed = loss.packed_hessian(z, t, reduction="none")
    vector = np.random.default_rng(1).normal(size=z.shape)
    product = loss.hessian_vector_product(z, t, vector, reduction="none")
    with mpmath.workdps(50):
        for i in range(len(t)):
            at, target = tuple(map(mpmath.mpf, z[i].tolist())), mpmath.mpf(float(t[i]))
            exact = lambda a, b: case.exact(mpmath, (a, b), target, **parameters)  # noqa: B023
            close = {"rtol": 1e-11, "atol": 1e-12}
            np.testing.assert_allclose(value[i], float(exact(*at)), **close)
            of_order = {n: float(mpmath.diff(exact, at, n)) for n in ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))}
            np.testing.assert_allclose(gradient[i], [of_order[1, 0], of_order[0, 1]], **close)
            np.testing.assert_allclose(hessian[i], [of_order[2, 0], of_order[0, 2]], **close)
            np.testing.assert_allclose(packed[i], [of_order[2, 0], of_order[1, 1], of_order[0, 2]], **close)
            whole = np.array([[of_order[2, 0], of_order[1, 1]], [of_order[1, 1], of_order[0, 2]]])
            np.testing.assert_allclose(product[i], whole @ vector[i], rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("case", LIKELIHOODS, ids=str)
def test_fisher_is_the_expected_hessian(case):
    """By quadrature over the quantiles of the distribution itself."""
    pytest.importorskip("scipy")
    parameters = case.parameters[-1]
    loss = case.build(parameters)
    # (sin + 1) / 2 crowds the shares into both tails.
    angle = np.pi * ((np.arange(20_000) + 0.5) / 20_000 - 0.5)
    share, weights = (np.sin(angle) + 1) / 2, np.cos(angle) * np.pi / 40_000
    for z in ([0.3, -0.4], [-1.0, 0.7]):
        t = loss.distribution(z).ppf(share)
        if case.domain == "share row":
            t = t.clip(np.finfo(float).tiny, 1 - np.finfo(float).epsneg)
        if case.domain == "count row":
            t = np.arange(100.0)
            weights = loss.distribution(z).pmf(t)
        rows = np.broadcast_to(z, (len(t), 2))
        packed = loss.packed_hessian(rows, t, sample_weight=weights, reduction="sum").sum(axis=0)
        fisher = loss.packed_hessian([z], [cases.some_target(case)], curvature="fisher")[0]
        expected = packed.copy()
        if case.function == "laplace_nll":
            expected[0] = math.exp(-2 * z[1])  # all of it at the kink
        np.testing.assert_allclose(fisher, expected, rtol=2e-5, atol=2e-5)
        _, diagonal = loss.gradient_and_hessian([z], [cases.some_target(case)], curvature="fisher")
        np.testing.assert_allclose(diagonal[0], fisher[[0, 2]], rtol=1e-14)


@pytest.mark.parametrize("spread", ["normal", "small", "wide"])
def test_curvatures(configured, dtype, spread):
    """psd and majorize are never negative, and never 0 where the gradient is not; majorize is never below exact."""
    case, loss, _ = configured
    z, t = cases.draw_columns(case, loss, (2000,), dtype, spread)
    value, gradient, exact = loss.value_gradient_and_hessian(z, t, reduction="none")
    for curvature in loss.curvatures:
        v, g, hessian = loss.value_gradient_and_hessian(z, t, reduction="none", curvature=curvature)
        assert cases.same_bits(v, value)
        assert cases.same_bits(g, gradient)
        if curvature == "exact":
            continue
        known = np.isfinite(gradient) & np.isfinite(exact)
        assert (hessian[known] >= 0).all()
        assert (hessian[known & (gradient != 0) & (np.abs(gradient) > np.finfo(dtype).tiny)] > 0).all()
        if curvature == "majorize":
            assert (hessian >= exact * (1 - 16 * np.finfo(dtype).eps))[known].all()


@pytest.mark.parametrize("spread", ["normal", "small"])
def test_a_newton_step_of_a_column_never_raises_the_loss(configured, spread):
    case, loss, _ = configured
    z, t = cases.draw_columns(case, loss, (2000,), np.float64, spread, seed=1)
    value, gradient, hessian = loss.value_gradient_and_hessian(z, t, reduction="none", curvature="majorize")
    for k in range(z.shape[-1]):
        moved = z.copy()
        moved[:, k] -= gradient[:, k] / hessian[:, k]
        after = loss(moved, t, reduction="none")
        assert (after <= value + 1e-11 * (1 + np.abs(value))).all()


def test_layouts_and_dtypes(configured):
    """Any axis and memory order gives the bits of C-ordered rows; halves are computed in float32."""
    case, loss, _ = configured
    z, t = cases.draw_columns(case, loss, (6, 70), np.float64)
    w = np.random.default_rng(0).uniform(0.1, 2, t.shape)
    options = {"sample_weight": w, "reduction": "none", "curvature": "psd"}
    expected = loss.value_gradient_and_hessian(z, t, **options)
    flat = loss.value_gradient_and_hessian(
        z.reshape(-1, z.shape[-1]), t.ravel(), **{**options, "sample_weight": w.ravel()}
    )
    for a, b in zip(expected, flat, strict=True):
        assert cases.same_bits(a.ravel(), b.ravel())
    for axis in (0, 1):
        moved = loss.value_gradient_and_hessian(np.moveaxis(z, -1, axis), t, axis=axis, **options)
        assert cases.same_bits(moved[0], expected[0])
        for a, b in zip(moved[1:], expected[1:], strict=True):
            assert cases.same_bits(np.moveaxis(a, axis, -1), b)
    gradient, hessian = np.empty((2, *z.shape), order="F")
    fortran = loss.value_gradient_and_hessian(
        np.asfortranarray(z), np.asfortranarray(t), gradient_out=gradient, hessian_out=hessian, **options
    )
    assert fortran[1] is gradient
    for a, b in zip(fortran, expected, strict=True):
        assert cases.same_bits(np.ascontiguousarray(a), b)
    with np.errstate(over="ignore"):
        half = loss.gradient(z.astype(np.float16), t, reduction="none")
        same = loss.gradient(z.astype(np.float16).astype(np.float32), t, reduction="none").astype(np.float16)
    assert cases.same_bits(half, same)
    lists = loss(z[0].tolist(), t[0].tolist())
    np.testing.assert_allclose(lists, loss(z[0], t[0]), rtol=1e-14)
    assert cases.same_bits(
        loss.gradient(z[0, 0], t[0, 0], reduction="none"),
        expected[1][0, 0] * 0 + loss.gradient(z, t, reduction="none")[0, 0],
    )


def test_weights_and_reductions(configured, dtype):
    case, loss, _ = configured
    z, t = cases.draw_columns(case, loss, (N_ROWS,), dtype)
    w = np.random.default_rng(0).uniform(0.1, 2, N_ROWS).astype(dtype)
    w[::7] = 0
    z[::7], t[::7] = np.nan, np.nan
    value, gradient = loss.value_and_gradient(z, t, sample_weight=w, reduction="none")
    assert (value[::7] == 0).all()
    assert (gradient[::7] == 0).all()
    total = loss(z, t, sample_weight=w, reduction="sum")
    np.testing.assert_allclose(total, value.sum(dtype=np.float64), rtol=1e-5 if dtype == np.float32 else 1e-13)
    np.testing.assert_allclose(loss(z, t, sample_weight=w), total / w.sum(dtype=np.float64), rtol=1e-6)
    mean = loss.gradient(z, t, sample_weight=w)
    np.testing.assert_allclose(mean, gradient / w.sum(dtype=np.float64), rtol=1e-5 if dtype == np.float32 else 1e-13)
    kept = loss(z[w > 0], t[w > 0], sample_weight=w[w > 0], reduction="sum")
    np.testing.assert_allclose(kept, total, rtol=1e-13)


def test_large_calls_on_threads():
    """The same bits for any number of threads, past the caches, for each output alone."""
    loss = fl.GaussianNLL()
    z, t = cases.draw_columns(cases.COLUMNS[0], loss, (700_001,), np.float32)
    with fl.num_threads(1):
        expected = loss.value_gradient_and_hessian(z, t, curvature="fisher")
    with fl.num_threads(2):
        found = loss.value_gradient_and_hessian(z, t, curvature="fisher")
    for a, b in zip(found, expected, strict=True):
        assert cases.same_bits(a, b)
    assert cases.same_bits(loss.gradient(z, t), expected[1])
    assert loss(z, t) == expected[0]


@pytest.mark.parametrize("case", cases.COLUMNS, ids=str)
def test_errors(case):
    loss = case.build({})
    z, t = cases.draw_columns(case, loss, (5,), np.float64)
    with pytest.raises(ValueError, match=r"prediction must hold \d numbers along axis 1 \(.*\), got \d"):
        loss(np.concatenate([z, z], axis=1), t)
    with pytest.raises(ValueError, match=r"target must hold one number per row, shape \(5,\); got shape \(5, 1\)"):
        loss(z, t[:, np.newaxis])
    with pytest.raises(ValueError, match=r"sample_weight\[2\] = -1 must be finite and >= 0"):
        loss(z, t, sample_weight=[1, 1, -1, 1, 1])
    with pytest.raises(ValueError, match="curvature must be 'exact'"):
        loss.gradient_and_hessian(z, t, curvature="best")
    if case.domain == "count row":
        t[3] = -1.0
        with pytest.raises(ValueError, match=r"target\[3\] = -1.0 must be finite and >= 0"):
            loss(z, t)
    if case.domain == "share row":
        for bad in (0.0, 1.0, -1.0, np.nan):
            t[3] = bad
            with pytest.raises(ValueError, match=rf"target\[3\] = {bad} must lie in \(0, 1\)"):
                loss(z, t)
        loss(z, t, sample_weight=[1, 1, 1, 0, 1])
    if case.domain == "ordered row":
        for bad in (-1.0, 0.5, 3.0, np.nan, 1e30):
            t[3] = bad
            with pytest.raises(ValueError, match=rf"target\[3\] = {re.escape(str(bad))} is not a class index: must be"):
                loss(z, t)
        loss(z, t, sample_weight=[1, 1, 1, 0, 1])
    if case.domain == "positive row":
        t[3] = 0.0
        with pytest.raises(ValueError, match=r"target\[3\] = 0.0 must be finite and > 0"):
            loss(z, t)
        with pytest.raises(ValueError, match=r"target\[3\] = 0.0 must be finite and > 0"):
            loss.init_score(t)
        loss(z, t, sample_weight=[1, 1, 1, 0, 1])


@pytest.mark.parametrize(
    ("case", "parameters", "name"), [(c, p, n) for c in cases.COLUMNS for p, n in c.refused], ids=str
)
def test_refused_parameters(case, parameters, name):
    with pytest.raises((TypeError, ValueError), match=name):
        case.build(parameters)


def test_fisher_is_refused_by_what_is_no_likelihood():
    with pytest.raises(ValueError, match=r"curvature must be .*, got 'fisher'"):
        fl.Quantiles().gradient_and_hessian([[0.0, 1.0, 2.0]], [1.0], curvature="fisher")
    with pytest.raises(ValueError, match=r"curvature must be .*, got 'fisher'"):
        fl.Huber().gradient_and_hessian([0.0], [1.0], curvature="fisher")


@pytest.mark.parametrize("weighted", [False, True])
def test_init_score_minimises_the_loss(configured, weighted):
    case, loss, _ = configured
    _, t = cases.draw_columns(case, loss, (301,), np.float64)
    w = np.random.default_rng(3).uniform(0, 2, t.shape) if weighted else None
    best = loss.init_score(t, w)
    assert best.shape == (len(loss.columns),)

    def mean(z):
        return loss(np.broadcast_to(z, (*t.shape, len(z))), t, sample_weight=w)

    least = mean(best)
    for k in range(len(best)):
        for step in (-1e-3, 1e-3, -0.3, 0.3):
            there = best.copy()
            there[k] += step
            assert mean(there) >= least - 1e-12


@pytest.mark.parametrize("case", LIKELIHOODS, ids=str)
def test_init_score_of_equal_targets_is_finite(case):
    assert np.isfinite(case.build({}).init_score([cases.some_target(case)] * 3)).all()


@pytest.mark.parametrize("case", DENSITIES, ids=str)
def test_density_of_scipy_and_known_parameters(case):
    """`distribution` is the one of the loss; a large sample of it gives its parameters back."""
    pytest.importorskip("scipy")
    loss = case.build({})
    z, t = cases.draw_columns(case, loss, (40,), np.float64)
    distribution = loss.distribution(z)
    log_density = distribution.logpmf(t) if case.domain == "count row" else distribution.logpdf(t)
    np.testing.assert_allclose(loss(z, t, reduction="none"), -log_density, rtol=1e-10, atol=1e-12)
    known = np.array([0.4, -0.3])
    sample = loss.distribution(known).rvs(40_000, random_state=np.random.default_rng(0))
    np.testing.assert_allclose(loss.init_score(sample), known, atol=0.05)


@pytest.mark.parametrize("case", [case for case in cases.COLUMNS if "crps" in case.function], ids=str)
def test_score_is_the_integral_that_defines_it(case):
    """Of (F(x) - [x >= y])^2, for the log-normal distribution over log(x)."""
    stats = pytest.importorskip("scipy.stats")
    x = np.linspace(-12, 12, 400_001)
    for m, s, t in ((0.3, -0.5, 1.2), (0.0, 0.4, 0.5)):
        y = t if case.domain == "real row" else math.log(t)
        squared = (stats.norm.cdf(x, m, math.exp(s)) - (x >= y)) ** 2
        np.testing.assert_allclose(
            case.build({})([[m, s]], [t]),
            squared.sum() * (x[1] - x[0]),
            atol=1e-4,
        )


def test_inverse_link():
    z = np.array([[1.0, 2.0], [0.0, -1.0]], np.float32)
    found = fl.GaussianNLL().inverse_link(z)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.stack([z[:, 0], np.exp(z[:, 1])], axis=1), rtol=1e-6)
    np.testing.assert_allclose(fl.GammaNLL().inverse_link(z.T, axis=0), np.exp(z.T), rtol=1e-6)
    with pytest.raises(ValueError, match="z must hold 2 numbers a row"):
        fl.GaussianNLL().inverse_link([[1.0, 2.0, 3.0]])


def test_extremes(dtype):
    """Far out there is no nan where there is a limit, and nothing overflows before it has to."""
    big = np.finfo(dtype).max ** 0.4
    for case in LIKELIHOODS:
        loss = case.build({})
        t = dtype(cases.some_target(case))
        z = np.array([[0, 0], [0, 3], [0, -3], [5, 0], [-5, 0]], dtype)
        results = loss.value_gradient_and_hessian(z, np.full(len(z), t), reduction="none")
        assert all(np.isfinite(x).all() for x in results), case
        nan = loss.value_gradient_and_hessian(np.array([[np.nan, 0], [0, np.nan]], dtype), [t, t], reduction="none")
        assert np.isnan(nan[0]).all(), case
    for case in (case for case in LIKELIHOODS if case.domain == "real row"):
        value, gradient = case.build({}).value_and_gradient(np.array([[0, 0]], dtype), [big], reduction="none")
        assert np.isfinite(value).all() or case.function == "gaussian_nll", case
        assert not np.isnan(gradient).any(), case


@pytest.mark.parametrize("case", cases.COLUMNS, ids=str)
def test_objects(case):
    loss = case.build(case.parameters[-1])
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert eval(repr(loss), {c.constructor: getattr(fl, c.constructor) for c in cases.COLUMNS}) == loss
    assert hash(loss) == hash(case.build(case.parameters[-1]))
    assert loss.kind == "columns"
    assert copy.deepcopy(loss) is loss

    class Forgetful(getattr(fl, case.constructor)):
        def __init__(self):
            pass

    for call in (lambda: Forgetful()([[0.0, 0.0]], [1.0]), lambda: Forgetful().packed_hessian([[0.0, 0.0]], [1.0])):
        with pytest.raises(TypeError, match="__init__ has not been called"):
            call()
    z, t = cases.draw_columns(case, loss, (5,), np.float64)
    function = getattr(fl, case.function)
    assert function(z, t, **case.parameters[-1]) == loss(z, t)


def test_a_distribution_of_very_many_degrees_of_freedom_is_normal():
    z, t = [[0.3, -0.2]], [1.1]
    for df in (1e20, 1e28, 1e300):
        assert fl.StudentTNLL(df=df)(z, t) == pytest.approx(fl.GaussianNLL()(z, t), rel=1e-14)
