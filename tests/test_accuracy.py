"""Documented errors of the losses; row functions and the sigmoid, in ulp of the text book and of mpmath; long sums."""

import importlib.util
import math
import sys
from pathlib import Path

import cases
import mpmath
import numpy as np
import pytest

import fastloss as fl
from fastloss import reference

ULPS = 4


@pytest.fixture(scope="module")
def accuracy():
    """The script that measures what the docstrings state."""
    path = Path(__file__).resolve().parent.parent / "benchmarks" / "accuracy.py"
    spec = importlib.util.spec_from_file_location("accuracy", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("loss", fl.losses(), ids=lambda loss: loss.__name__)
def test_errors_are_as_documented(accuracy, loss, dtype):
    if accuracy.CASES[loss.__name__].columnwise or accuracy.CASES[loss.__name__].together:
        pytest.skip("test_columns.py and test_segments.py measure losses of several numbers a row and of rows together")
    if loss in (fl.Barron, fl.CumulativeLogit, fl.SquaredLogError):
        pytest.skip("test_barron.py, test_ordinal.py and test_squared_log_error.py measure them")
    documented = accuracy.documented(loss)
    assert documented, f"{loss.__name__}: no line on errors; python benchmarks/accuracy.py --write puts it there"
    if fl.config()["isa"] not in accuracy.FUSED:
        pytest.skip("documented for fused multiply-add")
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    points = accuracy.worst_points(accuracy.CASES[loss.__name__], dtype)
    for point, bound in zip(points, documented[np.dtype(dtype).name], strict=False):
        assert point.error <= bound, point


# Of losses of several numbers a row, of value, gradient and Hessian: the mean error in ulp of the largest term over 150
# rows, and a tenth of it more. What the input's rounding does is part of it; a wrong digit of all rows adds half to it.
COLUMNS = {
    "gaussian_nll": {"float32": (0.62, 0.67, 0.8), "float64": (0.53, 0.57, 0.69)},
    "laplace_nll": {"float32": (0.36, 0.29, 0.24), "float64": (0.32, 0.27, 0.21)},
    "logistic_nll": {"float32": (0.43, 0.58, 1.34), "float64": (0.39, 0.6, 1.27)},
    "student_t_nll": {"float32": (0.44, 0.73, 1.07), "float64": (0.37, 0.71, 1.14)},
    "log_normal_nll": {"float32": (0.56, 0.75, 0.99), "float64": (0.49, 0.82, 0.99)},
    "gamma_nll": {"float32": (0.44, 0.62, 0.51), "float64": (0.46, 0.61, 0.53)},
    "weibull_nll": {"float32": (0.41, 0.47, 0.62), "float64": (0.44, 0.53, 0.7)},
    "zero_inflated_poisson_nll": {"float32": (0.54, 0.66, 0.71), "float64": (0.45, 0.68, 0.75)},
    "negative_binomial_nll": {"float32": (0.15, 0.3, 0.5), "float64": (0.15, 0.29, 0.5)},
    "beta_nll": {"float32": (0.14, 0.25, 0.18), "float64": (0.14, 0.29, 0.17)},
    "all_threshold": {"float32": (0.56, 0.5, 1.09), "float64": (0.6, 0.49, 1.07)},
    "gaussian_crps": {"float32": (0.4, 0.36, 1.31), "float64": (0.45, 0.41, 1.28)},
    "log_normal_crps": {"float32": (0.41, 0.51, 1.08), "float64": (0.47, 0.52, 1.24)},
    "quantiles": {"float32": (0.7, 0.27, 0.0), "float64": (0.85, 0.08, 0.0)},
}


@pytest.mark.parametrize("case", cases.COLUMNS, ids=str)
def test_mean_errors_of_columns(case, dtype):
    if fl.config()["isa"] not in ("x86_v3", "x86_v4", "neon") or not cases.has_wide(dtype):
        pytest.skip("measured with fused multiply-add, against a wider type")
    for error, bound in zip(mean_errors(case, dtype), COLUMNS[case.function][np.dtype(dtype).name], strict=True):
        assert error <= bound, (case.function, error)


@np.errstate(all="ignore")
def mean_errors(case, dtype):
    """In ulp; of more than 8, where terms cancel, no more than that counts."""
    loss = case.build(case.parameters[-1])
    z, t = cases.draw_columns(case, loss, (150,), dtype, "normal")
    errors = []
    for found, exact, one in zip(
        loss.value_gradient_and_hessian(z, t, reduction="none"),
        *(cases.expected_of_columns(case, loss, case.parameters[-1], z, t, ulps) for ulps in (0, 1)),
        strict=True,
    ):
        error = np.abs(found - exact.exact) / (one.tolerance - exact.tolerance)
        errors.append(float(np.mean(np.minimum(error[np.isfinite(error)], 8))))
    return errors


def assert_ulps(found, exact, dtype, more=0.0):
    exact = np.asarray(exact)
    # Below the smallest normal number a result may be 0.
    tolerance = ULPS * cases.ulp(exact, dtype) + more + 4 * np.finfo(dtype).tiny
    tolerance = np.where(np.isfinite(tolerance), tolerance, 0.0)
    cases.assert_within(found, cases.Bounded(exact, tolerance), "", dtype)


def below_largest(x, dtype):
    """What half an ulp of each difference from the largest logit amounts to."""
    largest = x.max(axis=-1, keepdims=True)
    return np.finfo(dtype).eps / x.dtype.type(2) * np.where(x == largest, 0.0, largest - x)


@pytest.mark.parametrize("spread", cases.SPREADS)
@pytest.mark.parametrize(
    "shape", [(9, 1), (300, 2), (100, 3), (60, 10), (30, 33), (20, 100), (9, 1000), (4, 5000), (2, 70_000)], ids=str
)
def test_row_functions(dtype, shape, spread):
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    x = cases.draw_prediction(np.random.default_rng(0), shape, dtype, spread)
    exact = x.astype(cases.wide(dtype))
    moved = below_largest(exact, dtype)
    p = reference.softmax(exact)
    shift = np.sum(p * moved, axis=-1)
    for change in (np.ascontiguousarray, np.asfortranarray):
        assert_ulps(fl.log_softmax(change(x)), reference.log_softmax(exact), dtype, moved + shift[..., np.newaxis])
        assert_ulps(fl.softmax(change(x)), p, dtype, p * (moved + shift[..., np.newaxis]))
        # The largest logit and the logarithm of a sum may cancel.
        terms = np.abs(exact.max(axis=-1))
        assert_ulps(fl.logsumexp(change(x)), reference.logsumexp(exact), dtype, shift + ULPS * cases.ulp(terms, dtype))


def sigmoid_arguments(dtype):
    info = np.finfo(dtype)
    edges = [-np.log(info.smallest_subnormal), -np.log(info.tiny), -np.log(info.eps), 1.0, 17.0]
    x = np.concatenate([np.linspace(-edge, edge, 4001) for edge in edges])
    x = np.concatenate([x, np.logspace(-30, 3, 2000), cases.hard_numbers(dtype)])
    return np.concatenate([x, -x]).astype(dtype)


def argument_rounding(name, x, dtype):
    """What half an ulp of the argument amounts to."""
    slope = reference.sigmoid(-x) * (reference.sigmoid(x) if name == "sigmoid" else 1)
    with np.errstate(invalid="ignore"):
        moved = np.abs(x) * slope * np.finfo(dtype).eps / x.dtype.type(2)
    return np.where(np.isfinite(moved), moved, 0.0)


@pytest.mark.parametrize("name", ["sigmoid", "log_sigmoid"])
def test_sigmoid(dtype, name):
    if not cases.has_wide(dtype):
        pytest.skip("no wider type here")
    x = sigmoid_arguments(dtype)
    exact_x = x.astype(cases.wide(dtype))
    exact = getattr(reference, name)(exact_x)
    assert_ulps(getattr(fl, name)(x), exact, dtype, argument_rounding(name, exact_x, dtype))


def test_reference_of_row_functions():
    rng = np.random.default_rng(0)
    for spread in ("normal", "wide"):
        for row in cases.draw_prediction(rng, (8, 4), np.float64, spread):
            with mpmath.workdps(400):
                z = [mpmath.mpf(float(x)) for x in row]
                total = mpmath.log(mpmath.fsum(mpmath.exp(x) for x in z))
                exact = {
                    "logsumexp": [total],
                    "log_softmax": [x - total for x in z],
                    "softmax": [mpmath.exp(x - total) for x in z],
                    "sigmoid": [1 / (1 + mpmath.exp(-x)) for x in z],
                    "log_sigmoid": [-mpmath.log(1 + mpmath.exp(-x)) for x in z],
                }
                for name, numbers in exact.items():
                    found = np.atleast_1d(getattr(reference, name)(row))
                    right = np.array([np.longdouble(mpmath.nstr(x, 30)) for x in numbers])
                    spare = np.max(np.abs(row)) * (np.abs(right) if "soft" in name or name == "sigmoid" else 1)
                    np.testing.assert_array_less(
                        np.abs(found - right), 4 * np.spacing(np.abs(found)) + np.finfo(float).eps * spare, name
                    )


def test_softmax_sums_to_one(dtype):
    for n_classes in (2, 10, 33, 1000, 40_000):
        x = cases.draw_prediction(np.random.default_rng(0), (5, n_classes), dtype, "wide")
        np.testing.assert_allclose(fl.softmax(x).sum(axis=-1, dtype=np.float64), 1, rtol=8 * np.finfo(dtype).eps)


def test_shifting_a_row_changes_nothing(dtype):
    x = np.round(cases.draw_prediction(np.random.default_rng(0), (50, 7), dtype) * 8) / 8
    assert cases.same_bits(fl.log_softmax(x), fl.log_softmax(x + dtype(1024)))
    assert cases.same_bits(fl.softmax(x), fl.softmax(x - dtype(4096)))


@pytest.mark.parametrize("name", ["log_softmax", "softmax", "logsumexp"])
def test_classes_in_another_order(dtype, name):
    """A permutation of the classes permutes the results, to rounding."""
    rng = np.random.default_rng(0)
    x = cases.draw_prediction(rng, (20, 37), dtype)
    order = rng.permutation(37)
    function = getattr(fl, name)
    plain = function(x)
    expected = plain if name == "logsumexp" else plain[:, order]
    np.testing.assert_allclose(function(x[:, order]), expected, rtol=8 * np.finfo(dtype).eps)


def test_float32_sigmoid_everywhere():
    """One in 4096 of all float32 numbers, by their bits."""
    x = np.arange(0, 2**32, 4096, dtype=np.uint64).astype(np.uint32).view(np.float32)
    x = x[np.isfinite(x)]
    exact_x = x.astype(np.float64)
    for name in ("sigmoid", "log_sigmoid"):
        exact = getattr(reference, name)(exact_x)
        assert_ulps(getattr(fl, name)(x), exact, np.float32, argument_rounding(name, exact_x, np.float32))


def free_memory():
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), 0)


@pytest.mark.skipif(free_memory() < 3 << 30, reason="needs 3 GB")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_long_sums_are_exact_to_float32(n_threads):
    """1e8 losses that are exact in float32, of magnitudes from 2^-40 to 2^44: only their sum can be wrong."""
    n, length = 10**8, 100_003
    rng = np.random.default_rng(0)
    pattern = np.ldexp(rng.integers(-(2**12), 2**12, length), rng.choice([-20, -9, 0, 10], length))
    repeats, rest = divmod(n, length)
    z = np.empty(n, np.float32)
    z[: n - rest].reshape(repeats, length)[:] = pattern
    z[n - rest :] = pattern[:rest]
    t = np.zeros_like(z)
    for loss, numbers in ((fl.SquaredError(), pattern**2), (fl.AbsoluteError(), np.abs(pattern))):
        assert np.array_equal(numbers, numbers.astype(np.float32))
        exact = repeats * math.fsum(numbers) + math.fsum(numbers[:rest])
        with fl.num_threads(n_threads):
            found = loss(z, t, reduction="sum"), loss(z, t)
        for number, right in zip(found, (exact, exact / n), strict=True):
            assert number == pytest.approx(right, rel=1e-13)
            assert np.float32(number) == np.float32(right)
