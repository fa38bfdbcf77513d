"""Barron's general loss over its shapes: digits, limits that have names of their own, curvatures, ends."""

import math
import pickle

import cases
import numpy as np
import pytest

import fastloss as fl

CASE = next(case for case in cases.OWN if case.function == "barron")
SHAPES = (-100.0, -2.0, -1e-3, 0.0, 1e-12, 0.5, 1.0, 1.5, 2.0, 2.5, 6.0)


@pytest.mark.parametrize("alpha", SHAPES)
@pytest.mark.parametrize("width", [1e-4, 1.0, 30.0])
def test_kernels_are_exact(dtype, alpha, width):
    rng = np.random.default_rng(0)
    z, t = (width * rng.normal(size=(2, 999))).astype(dtype)
    for c in (1.0, 0.3, 20.0):
        found = fl.Barron(alpha, c).value_gradient_and_hessian(z, t, reduction="none")
        exact = CASE.twin(z.astype(cases.wide(dtype)), t.astype(cases.wide(dtype)), alpha=alpha, c=c)
        square = ((z.astype(float) - t) / c) ** 2 / max(abs(alpha - 2), 1e-300)
        # z - t is rounded, and the exponent of a power
        eps = np.finfo(dtype).eps * (8 + 2 * (1 + abs(alpha)) * np.log1p(square) * (alpha != 2))
        weight = np.abs(exact[1] / np.where(z == t, 1, z.astype(float) - t))
        lost = 1e4 * np.finfo(dtype).tiny  # an exponential that small is 0, whatever it is multiplied by
        for ours, theirs, terms in zip(found, exact, (0, 0, weight), strict=True):
            assert ours.dtype == dtype
            assert (np.abs(ours - theirs) <= eps * np.maximum(np.abs(theirs), terms) + lost).all()


def test_twin_by_50_digits():
    mpmath = pytest.importorskip("mpmath")
    z, t = np.random.default_rng(1).normal(size=(2, 6)) * 2
    with mpmath.workdps(50):
        for parameters in (*CASE.parameters, {"alpha": -3.3, "c": 0.7}):
            twin = CASE.twin(z, t, **parameters)
            for i in range(len(t)):
                f = lambda x: CASE.exact(mpmath, x, mpmath.mpf(float(t[i])), **parameters)  # noqa: B023
                for order in range(3):
                    exact = float(mpmath.diff(f, mpmath.mpf(float(z[i])), order))
                    assert twin[order][i] == pytest.approx(exact, rel=1e-11, abs=1e-13)


def test_members_with_names():
    z, t = np.random.default_rng(2).normal(size=(2, 99)) * 3
    for c in (0.5, 2.0):
        for alpha, same in (
            (2.0, fl.squared_error(z, t, reduction="none") / (2 * c**2)),
            (1.0, fl.pseudo_huber(z, t, delta=c, reduction="none") / c**2),
            (0.0, fl.cauchy(z, t, c=c * math.sqrt(2), reduction="none") / c**2),
            (-2.0, 2 * ((z - t) / c) ** 2 / (((z - t) / c) ** 2 + 4)),
        ):
            np.testing.assert_allclose(fl.barron(z, t, alpha=alpha, c=c, reduction="none"), same, rtol=1e-12)


@pytest.mark.parametrize("alpha", SHAPES)
def test_curvatures(dtype, alpha):
    z, t = (4 * np.random.default_rng(3).normal(size=(2, 999))).astype(dtype)
    loss = fl.Barron(alpha, 1.5)
    value, gradient, exact = loss.value_gradient_and_hessian(z, t, reduction="none")
    for curvature in ("psd", "majorize"):
        _, bound = loss.gradient_and_hessian(z, t, reduction="none", curvature=curvature)
        assert (bound > 0).all()
        if curvature == "psd":
            continue
        assert (bound >= exact * (1 - 16 * np.finfo(dtype).eps)).all()
        after = loss(z.astype(float) - gradient.astype(float) / bound, t.astype(float), reduction="none")
        assert (after <= value * (1 + 1e-5) + 1e-9).all()


def test_ends():
    for alpha, value, slope in ((2.0, np.inf, np.inf), (1.0, np.inf, 1.0), (0.0, np.inf, 0.0), (-2.0, 2.0, 0.0)):
        found = fl.Barron(alpha).value_and_gradient([np.inf, -np.inf], [0.0, 0.0], reduction="none")
        np.testing.assert_allclose(found[0], value)
        np.testing.assert_allclose(found[1], [slope, -slope])
        assert math.isnan(fl.Barron(alpha)([np.nan], [0.0]))
        assert fl.Barron(alpha)([1.0], [1.0]) == 0.0


@pytest.mark.parametrize(("given", "name"), CASE.refused)
def test_refused_parameters(given, name):
    with pytest.raises((TypeError, ValueError), match=name):
        fl.Barron(**given)


@pytest.mark.parametrize("alpha", [-2.0, 0.0, 1.0, 1.5, 2.0, 4.0])
def test_init_score_and_objects(alpha):
    rng = np.random.default_rng(4)
    t = np.concatenate([rng.normal(size=90), rng.normal(30, 1, 10)])
    w = rng.uniform(size=t.shape)
    loss = fl.Barron(alpha, 1.5)
    best = loss.init_score(t, w)
    assert abs(loss.gradient(np.full(t.shape, best), t, sample_weight=w).sum()) < 1e-10
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert eval(repr(loss), {"Barron": fl.Barron}) == loss
