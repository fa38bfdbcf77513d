"""The squared error of log(1 + z) and log(1 + y), of predictions above -1."""

import math
import pickle

import cases
import numpy as np
import pytest

import fastloss as fl

CASE = next(case for case in cases.OWN if case.function == "squared_log_error")
LOSS = fl.SquaredLogError()


def draw(dtype, spread):
    rng = np.random.default_rng(0)
    t = np.where(rng.uniform(size=999) < 0.2, 0.0, np.exp(3 * rng.normal(size=999)))
    if spread == "near":
        return (t + (1 + t) * rng.normal(size=999) * 1e-4).clip(-0.5).astype(dtype), t.astype(dtype)
    return np.expm1(spread * rng.normal(size=999)).clip(-0.999).astype(dtype), t.astype(dtype)


@pytest.mark.parametrize("spread", ["near", 1.0, 5.0])
def test_kernels_are_exact(dtype, spread):
    z, t = draw(dtype, spread)
    found = LOSS.value_gradient_and_hessian(z, t, reduction="none")
    exact = CASE.twin(z.astype(cases.wide(dtype)), t.astype(cases.wide(dtype)))
    logs = np.abs(np.log1p(z.astype(float))) + np.abs(np.log1p(t.astype(float)))
    log = np.abs(exact[1] * (1 + z.astype(float)) / 2)
    eps = np.finfo(dtype).eps
    # of the logarithm: what its terms round where it is not computed by itself, and what 1 + z does
    off = eps * np.where(log < 0.25, 4 * log, 4 * logs) + eps * np.minimum(1, np.abs(z.astype(float))) * 0
    inverse = 1 / (1 + z.astype(float))
    bounds = (2 * log * off + off**2, 2 * inverse * off, 2 * inverse**2 * off)
    for ours, theirs, bound in zip(found, exact, bounds, strict=True):
        assert ours.dtype == dtype
        assert (np.abs(ours - theirs) <= bound + 8 * eps * np.abs(theirs)).all()


def test_twin_by_50_digits():
    mpmath = pytest.importorskip("mpmath")
    z, t = draw(np.float64, 1.0)
    twin = CASE.twin(z, t)
    with mpmath.workdps(50):
        for i in range(12):
            f = lambda x: CASE.exact(mpmath, x, mpmath.mpf(float(t[i])))  # noqa: B023
            for order in range(3):
                exact = float(mpmath.diff(f, mpmath.mpf(float(z[i])), order))
                assert twin[order][i] == pytest.approx(exact, rel=1e-11)


def test_curvatures(dtype):
    z, t = draw(dtype, 3.0)
    value, gradient, exact = LOSS.value_gradient_and_hessian(z, t, reduction="none")
    _, psd = LOSS.gradient_and_hessian(z, t, reduction="none", curvature="psd")
    _, bound = LOSS.gradient_and_hessian(z, t, reduction="none", curvature="majorize")
    assert np.array_equal(psd, bound)
    assert (psd >= exact).all()
    assert (psd > 0).all()
    after = z.astype(float) - gradient.astype(float) / psd
    assert (after > -1).all()
    assert ((after - t) * (z.astype(float) - t) >= -1e-3 * np.finfo(dtype).eps ** 0.5 * (1 + t)).all()
    assert (LOSS(after, t.astype(float), reduction="none") <= value * (1 + 1e-5) + 1e-12).all()


def test_ends():
    assert LOSS([-1.0], [0.0]) == math.inf
    assert math.isnan(LOSS([-1.5], [0.0]))
    assert math.isnan(LOSS([np.nan], [0.0]))
    assert LOSS([np.inf], [0.0]) == math.inf
    for bad in (-0.5, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"target\[1\] = .* must be finite and >= 0"):
            LOSS([0.0, 0.0], [0.0, bad])


def test_init_score_and_objects():
    _, t = draw(np.float64, 1.0)
    w = np.random.default_rng(1).uniform(size=t.shape)
    best = LOSS.init_score(t, w)
    assert abs(LOSS.gradient(np.full(t.shape, best), t, sample_weight=w).sum()) < 1e-12
    assert pickle.loads(pickle.dumps(LOSS)) == LOSS
    assert fl.squared_log_error(t, t) == 0.0


def test_weights():
    z, t = draw(np.float64, 1.0)
    w = np.random.default_rng(0).integers(0, 3, z.shape).astype(float)
    z, t = np.where(w == 0, -5.0, z), np.where(w == 0, np.nan, t)
    value, gradient = LOSS.value_and_gradient(z, t, sample_weight=w)
    assert np.isfinite(value)
    assert (gradient[w == 0] == 0).all()
