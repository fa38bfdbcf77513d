"""Losses of ordered classes: value and derivatives of the cumulative logit, thresholds, probabilities."""

import math
import pickle

import cases
import numpy as np
import pytest

import fastloss as fl

CASE = next(case for case in cases.OWN if case.function == "cumulative_logit")


@pytest.fixture(params=CASE.parameters, ids=cases.label)
def parameters(request):
    return request.param


def draw(loss, shape, dtype=np.float64, width=3.0, seed=0):
    rng = np.random.default_rng(seed)
    return (width * rng.normal(size=shape)).astype(dtype), rng.integers(0, loss.n_classes, shape)


@pytest.mark.parametrize("width", [0.01, 3.0, 30.0])
def test_kernels_are_exact(parameters, dtype, width):
    loss = CASE.build(parameters)
    z, t = draw(loss, 999, dtype, width)
    found = loss.value_gradient_and_hessian(z, t, reduction="none")
    exact = CASE.twin(z.astype(cases.wide(dtype)), t, **parameters)
    eps = np.finfo(dtype).eps
    size = (np.abs(z) + np.max(np.abs(loss.thresholds)), 1.0, 0.25)
    for ours, theirs, terms in zip(found, exact, size, strict=True):
        assert ours.dtype == dtype
        # z - c is rounded to half an ulp of the larger of both
        slack = eps * (np.abs(z) + np.max(np.abs(loss.thresholds)))
        assert (np.abs(ours - theirs) <= 4 * eps * np.maximum(np.abs(theirs), terms) + slack).all()


def test_twin_by_50_digits(parameters):
    mpmath = pytest.importorskip("mpmath")
    loss = CASE.build(parameters)
    z, t = draw(loss, 12)
    twin = CASE.twin(z, t, **parameters)
    with mpmath.workdps(50):
        for i in range(len(t)):
            f = lambda x: CASE.exact(mpmath, x, t[i], **parameters)  # noqa: B023
            for order in range(3):
                exact = float(mpmath.diff(f, mpmath.mpf(float(z[i])), order))
                assert twin[order][i] == pytest.approx(exact, rel=1e-11, abs=1e-12)


def test_layouts_weights_and_integer_targets(parameters):
    loss = CASE.build(parameters)
    z, t = draw(loss, (7, 60))
    w = np.random.default_rng(1).integers(0, 3, z.shape).astype(float)
    value, gradient = loss.value_and_gradient(z, t, sample_weight=w, reduction="none")
    for target in (t.astype(np.int8), t.astype(np.float32), np.asfortranarray(t), t.tolist()):
        same = loss.value_and_gradient(np.asfortranarray(z), target, sample_weight=w, reduction="none")
        assert np.array_equal(same[0], value)
        assert np.array_equal(same[1], gradient)
    assert loss(z, t, sample_weight=w) == pytest.approx(value.sum() / w.sum(), rel=1e-13)
    bad = np.where(w == 0, np.nan, t)
    assert loss(z, bad, sample_weight=w) == loss(z, t, sample_weight=w)


def test_curvatures(parameters):
    loss = CASE.build(parameters)
    z, t = draw(loss, 2000)
    value, gradient, exact = loss.value_gradient_and_hessian(z, t, reduction="none")
    assert (exact > 0).all()
    _, psd = loss.gradient_and_hessian(z, t, reduction="none", curvature="psd")
    assert np.array_equal(psd, exact)
    _, bound = loss.gradient_and_hessian(z, t, reduction="none", curvature="majorize")
    assert (bound >= exact * (1 - 1e-14)).all()
    after = loss(z - gradient / bound, t, reduction="none")
    assert (after <= value + 1e-12 * (1 + value)).all()
    _, fisher = loss.gradient_and_hessian(z, t, reduction="none", curvature="fisher")
    every = [loss.gradient_and_hessian(z, np.full_like(t, k), reduction="none")[1] for k in range(loss.n_classes)]
    expected = np.sum(loss.predict_proba(z) * np.stack(every, axis=-1), axis=-1)
    np.testing.assert_allclose(fisher, expected, rtol=1e-12)


def test_probabilities(parameters):
    loss = CASE.build(parameters)
    z, t = draw(loss, (40, 3))
    p = loss.predict_proba(z)
    assert p.shape == (40, 3, loss.n_classes)
    np.testing.assert_allclose(p.sum(axis=-1), 1.0, rtol=1e-13)
    of_target = np.take_along_axis(p, t[..., np.newaxis], axis=-1)[..., 0]
    np.testing.assert_allclose(loss(z, t, reduction="none"), -np.log(of_target), rtol=1e-12)
    assert loss.predict_proba(z.astype(np.float32)).dtype == np.float32


def test_far_scores():
    """Where one sigmoid is 1 to the last digit, its distance from 1 still counts."""
    loss = fl.CumulativeLogit((-1.0, 1.0))
    for z, t, value in ((800.0, 2, 0.0), (800.0, 0, 801.0), (-800.0, 2, 801.0), (np.inf, 2, 0.0), (-np.inf, 0, 0.0)):
        assert loss([z], [t]) == pytest.approx(value, rel=1e-12)
        assert np.isfinite(loss.gradient([z], [t])).all()
    assert loss([np.inf], [0]) == math.inf
    assert loss([800.0], [1]) == pytest.approx(799.0 - math.log(-math.expm1(-2.0)), rel=1e-12)
    assert math.isnan(loss([np.nan], [1]))


def test_bad_targets():
    loss = fl.CumulativeLogit((-1.0, 1.0))
    for bad in (3, -1, 0.5, np.nan, np.inf):
        with pytest.raises(
            ValueError, match=r"target\[1\] = .* is not a class index: must be a whole number in \[0, 3\)"
        ):
            loss([0.0, 0.0], [1, bad])
        with pytest.raises(ValueError, match=r"target\[1\]"):
            loss.gradient(np.zeros(2, np.float32), np.array([1, bad], np.float64))


@pytest.mark.parametrize(("given", "name"), CASE.refused)
def test_refused_parameters(given, name):
    with pytest.raises((TypeError, ValueError), match=name):
        fl.CumulativeLogit(**given)


def test_objects(parameters):
    loss = CASE.build(parameters)
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert eval(repr(loss), {"CumulativeLogit": fl.CumulativeLogit}) == loss
    assert loss.kind == "pointwise"
    assert loss.target_domain == "classes"
    z, t = draw(loss, 9)
    assert fl.cumulative_logit(z, t, **parameters) == loss(z, t)


@pytest.mark.parametrize("weighted", [False, True])
def test_thresholds_are_the_best_ones(weighted):
    rng = np.random.default_rng(0)
    known = np.array([-2.0, -0.2, 0.1, 3.0])
    z = 2 * rng.normal(size=(100, 200))
    t = np.sum(z[..., np.newaxis] + rng.logistic(size=(*z.shape, 1)) > known, axis=-1)
    w = rng.integers(0, 4, z.shape) if weighted else None
    loss = fl.CumulativeLogit((0, 1, 2, 3)).fit_thresholds(z, t, w)
    np.testing.assert_allclose(loss.thresholds, known, atol=0.08)
    least = loss(z, t, sample_weight=w)
    for k in range(4):
        for step in (-1e-3, 1e-3):
            moved = np.array(loss.thresholds)
            moved[k] += step
            assert fl.CumulativeLogit(moved)(z, t, sample_weight=w) > least
    again = fl.CumulativeLogit((0, 1, 2, 3)).fit_thresholds(1e3 + 50 * z, t, w)
    assert np.isfinite(again.thresholds).all()


def test_thresholds_that_there_are_none_for():
    loss = fl.CumulativeLogit()
    with pytest.raises(ValueError, match="every class; none of positive weight is 1"):
        loss.fit_thresholds([0.0, 1.0, 2.0], [0, 1, 2], [1, 0, 1])
    with pytest.raises(ValueError, match=r"z\[1\] = inf must be finite"):
        loss.fit_thresholds([0.0, np.inf, 2.0], [0, 1, 2])
    with pytest.raises(ValueError, match=r"target\[2\] = 3"):
        loss.fit_thresholds([0.0, 1.0, 2.0], [0, 1, 3])


def test_init_score(parameters):
    loss = CASE.build(parameters)
    _, t = draw(loss, 301)
    w = np.random.default_rng(3).uniform(0, 2, t.shape)
    best = loss.init_score(t, w)
    gradient = loss.gradient(np.full(t.shape, best), t, sample_weight=w)
    assert abs(gradient.sum()) < 1e-12
    for k in (0, loss.n_classes - 1):
        score = loss.init_score([k, k])
        assert np.isfinite(score)
        assert loss([score], [k]) < 1e-14


def test_all_threshold_probabilities():
    loss = fl.AllThreshold(4)
    z = np.array([[2.0, 0.0, -2.0], [0.0, 1.0, -1.0]])
    p = loss.predict_proba(z)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    assert (p >= 0).all()
    np.testing.assert_allclose(p[0], -np.diff([1.0, *fl.sigmoid(z[0]), 0.0]))
    np.testing.assert_allclose(p[1, 1], 0.0)
    np.testing.assert_allclose(loss.predict_proba(z.T, axis=0), p.T)
    with pytest.raises(ValueError, match="z must hold 3 numbers a row, got 2"):
        loss.predict_proba(z[:, :2])
