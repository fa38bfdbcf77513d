"""Sums of losses: value and derivatives, what may be added, and what the sum is as an object."""

import copy
import pickle

import numpy as np
import pytest

import fastloss as fl
from fastloss import combined
from fastloss.combined import LossSum

SUMS = (
    (0.5 * fl.Dice() + fl.BinaryCrossEntropy(), "binary", "setwise"),
    (fl.BinaryFocal() + 2 * fl.Brier() * 0.25, "binary", "pointwise"),
    (fl.Huber(delta=0.5) + 3 * fl.Quantile(q=0.9) + fl.SquaredError(), "real", "pointwise"),
    (fl.CrossEntropy(label_smoothing=0.1) + 0.3 * fl.Focal(), "class", "rowwise"),
    (fl.GaussianNLL() + 0.1 * fl.GaussianCRPS(), "row", "columns"),
    (sum([fl.Poisson(), fl.Gamma()]), "positive", "pointwise"),
)


def draw(kind, dtype=np.float64):
    rng = np.random.default_rng(0)
    if kind == "class":
        return rng.normal(size=(60, 3)).astype(dtype), rng.integers(0, 3, 60)
    if kind == "row":
        return rng.normal(size=(60, 2)).astype(dtype), rng.normal(size=60).astype(dtype)
    t = {"binary": rng.integers(0, 2, 60), "real": rng.normal(size=60), "positive": rng.exponential(size=60)}[kind]
    return rng.normal(size=60).astype(dtype), t.astype(dtype)


@pytest.mark.parametrize(("loss", "kind", "of"), SUMS, ids=[loss.name for loss, _, _ in SUMS])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_value_and_derivatives(loss, kind, of, reduction, dtype):
    z, t = draw(kind, dtype)
    w = np.random.default_rng(1).uniform(0, 2, t.shape).astype(dtype)
    options = {"sample_weight": w, "reduction": reduction}
    assert loss.kind == of
    if of == "setwise" and reduction == "none":
        with pytest.raises(ValueError, match='reduction="none" is for losses of one kind'):
            loss(z, t, **options)
        return
    close = {"rtol": 1e-5 if dtype == np.float32 else 1e-13, "atol": 1e-6 if dtype == np.float32 else 1e-14}
    for curvature in loss.curvatures:
        found = loss.value_gradient_and_hessian(z, t, curvature=curvature, **options)
        each = [one.value_gradient_and_hessian(z, t, curvature=curvature, **options) for _, one in loss.terms]
        for i in range(3):
            expected = sum(factor * parts[i] for (factor, _), parts in zip(loss.terms, each, strict=True))
            np.testing.assert_allclose(found[i], expected, **close)
        assert found[1].dtype == dtype
        gradient, hessian = np.empty((2, *z.shape), dtype)
        same = loss.gradient_and_hessian(
            z, t, curvature=curvature, gradient_out=gradient, hessian_out=hessian, **options
        )
        assert same[0] is gradient
        assert same[1] is hessian
        np.testing.assert_array_equal(gradient, found[1])
        np.testing.assert_array_equal(hessian, found[2])
    np.testing.assert_array_equal(loss(z, t, **options), found[0])
    np.testing.assert_array_equal(loss.gradient(z, t, **options), found[1])
    value, gradient = loss.value_and_gradient(z, t, **options)
    np.testing.assert_array_equal(value, found[0])
    np.testing.assert_array_equal(gradient, found[1])


@pytest.mark.parametrize(("loss", "kind", "of"), SUMS, ids=[loss.name for loss, _, _ in SUMS])
def test_objects(loss, kind, of):
    assert eval(repr(loss), vars(fl)) == loss
    assert pickle.loads(pickle.dumps(loss)) == loss
    assert hash(pickle.loads(pickle.dumps(loss))) == hash(loss)
    assert copy.deepcopy(loss) is loss
    assert loss != loss.terms[0][1]
    assert 2.0 * loss != loss
    assert {loss: 1}[eval(repr(loss), vars(fl))] == 1
    with pytest.raises(AttributeError, match="immutable"):
        loss.kind = "pointwise"


def test_axis():
    rng = np.random.default_rng(2)
    z, t = rng.normal(size=(40, 3)), rng.integers(0, 2, (40, 3)).astype(float)
    loss = fl.Dice() + fl.BinaryCrossEntropy()
    assert loss(z, t, axis=0) == pytest.approx(fl.dice(z, t, axis=0) + fl.binary_cross_entropy(z, t), rel=1e-14)
    rows = fl.CrossEntropy() + fl.Focal()
    index = rng.integers(0, 3, 40)
    assert rows(z.T, index, axis=0) == pytest.approx(rows(z, index), rel=1e-14)


def test_prediction_as_output():
    z, t = draw("real")
    loss = fl.SquaredError() + fl.Huber()
    expected = loss.gradient(z, t)
    assert loss.gradient(z, t, gradient_out=z) is z
    np.testing.assert_array_equal(z, expected)


def test_what_may_not_be_added():
    for factor in (0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="multiplied by a finite number > 0"):
            factor * fl.Dice()
    for wrong in ("2", None, True, [1.0]):
        with pytest.raises(TypeError):
            fl.Dice() * wrong
    for wrong in (1, "loss", None):
        with pytest.raises(TypeError):
            fl.Dice() + wrong
    with pytest.raises(ValueError, match="cross_entropy is rowwise, and huber pointwise"):
        fl.CrossEntropy() + fl.Huber()
    with pytest.raises(ValueError, match="their columns are"):
        fl.GaussianNLL() + fl.Quantiles()
    with pytest.raises(ValueError, match="at least one loss"):
        LossSum([])
    with pytest.raises(TypeError, match="pairs of a number and a loss"):
        LossSum([(1.0, "dice")])
    with pytest.raises(ValueError, match="curvature must be"):
        (fl.Poisson() + fl.Huber()).gradient_and_hessian([0.0], [1.0], curvature="fisher")
    with pytest.raises(ValueError, match="gradient_out must be an array of shape"):
        (fl.Huber() + fl.Fair()).gradient([0.0], [1.0], gradient_out=np.empty(2))


def test_narrowest_domain():
    assert (fl.SquaredError() + fl.Poisson()).target_domain == "nonnegative"
    with pytest.raises(ValueError, match=r"target\[0\] = -1.0 must be finite and >= 0"):
        (fl.SquaredError() + fl.Poisson())([0.0], [-1.0])


LARGE = combined.SPAN + 2 * combined.BLOCK + 17


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_blocks_are_the_whole(reduction, weighted, dtype, monkeypatch):
    """Large arrays go block by block: the same numbers, for any number of threads."""
    rng = np.random.default_rng(0)
    z, t, w = rng.normal(size=(3, LARGE // 3, 3)).astype(dtype)
    options = {"sample_weight": np.abs(w) if weighted else None, "reduction": reduction}
    loss = 0.5 * fl.Huber() + fl.SquaredError() + 3 * fl.LogCosh()
    found = loss.value_gradient_and_hessian(z, t, curvature="psd", **options)
    for n_threads in (1, 2):
        with fl.num_threads(n_threads):
            again = loss.value_gradient_and_hessian(z, t, curvature="psd", **options)
            assert again[0] == found[0]
            np.testing.assert_array_equal(again[1], found[1])
    gradient, hessian = np.empty((2, *z.shape), dtype)
    same = loss.gradient_and_hessian(z, t, curvature="psd", gradient_out=gradient, hessian_out=hessian, **options)
    assert same[0] is gradient
    assert same[1] is hessian
    np.testing.assert_array_equal(gradient, found[1])
    assert loss(z, t, **options) == pytest.approx(found[0], rel=1e-12)
    np.testing.assert_array_equal(loss.value_and_gradient(z, t, **options)[1], found[1])
    monkeypatch.setattr(combined, "SPAN", z.size + 1)
    whole = loss.value_gradient_and_hessian(z, t, curvature="psd", **options)
    close = {"rtol": 1e-6 if dtype == np.float32 else 1e-14, "atol": 1e-13 if dtype == np.float32 else 1e-22}
    assert found[0] == pytest.approx(whole[0], rel=1e-10)
    np.testing.assert_allclose(found[1], whole[1], **close)
    np.testing.assert_allclose(found[2], whole[2], **close)


def test_blocks_read_no_more_than_the_whole():
    z, t = np.zeros((2, LARGE))
    loss = fl.SquaredError() + fl.Poisson()
    t[-3] = -1.0
    with pytest.raises(ValueError, match=rf"target\[{LARGE - 3}\] = -1.0 must be finite and >= 0"):
        loss.gradient(z, t)
    t[-3] = 1.0
    expected = loss.gradient(z, t)
    # Nothing is written where an input is refused.
    given, weight, bad = np.full(LARGE, 7.0), np.ones(LARGE), t.copy()
    weight[-3] = bad[-3] = -1.0
    for options, target in (({"sample_weight": weight}, t), ({}, bad)):
        for reduction in ("mean", "sum"):
            with pytest.raises(ValueError, match=rf"\[{LARGE - 3}\] = -1.0 must be finite and >= 0"):
                loss.gradient(z, target, reduction=reduction, gradient_out=given, **options)
            assert (given == 7.0).all()
    # What is written over while it is read.
    assert loss.gradient(z, t, gradient_out=z) is z
    np.testing.assert_array_equal(z, expected)


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (fl.Huber(delta=0.5) + 3 * fl.Quantile(q=0.9), "real"),
        (fl.Poisson() + 2 * fl.Gamma(), "positive"),
        (fl.BinaryCrossEntropy() + fl.Brier(), "binary"),
        (fl.GaussianNLL() + 2 * fl.GaussianCRPS(), "row"),
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_best_constant(loss, kind):
    _, t = draw(kind)
    w = np.random.default_rng(1).choice([0.0, 1.0, 3.0], t.shape)
    best = np.atleast_1d(loss.init_score(t, w))

    def value(constant):
        z = np.broadcast_to(constant, (len(t), len(constant))) if kind == "row" else np.full(t.shape, constant[0])
        return loss(z, t, sample_weight=w)

    for k in range(len(best)):
        for step in (1e-4, -1e-4, 0.1, -0.1):
            assert value(best + step * np.eye(len(best))[k]) > value(best) - 1e-12


def test_posterior():
    loss = fl.BinaryCrossEntropy() + fl.Brier()
    z = np.array([-800.0, -2.0, 0.0, 1.0, np.nan])
    np.testing.assert_allclose(loss.predict_proba(z)[1:4], 1 / (1 + np.exp(-z[1:4])), rtol=1e-14)
    assert np.isnan(loss.predict_proba(z)[-1])
    assert loss.predict_proba(z)[0] == 0
    with pytest.raises(ValueError, match="sums of losses of labels"):
        (fl.Huber() + fl.Fair()).predict_proba(z)
    with pytest.raises(ValueError, match="init_score is for sums"):
        (fl.Dice() + fl.Brier()).init_score([0.0, 1.0])


def test_where_one_loss_is_needed():
    with pytest.raises(TypeError, match="one loss, not a sum of losses"):
        fl.streaming(0.5 * fl.Huber() + fl.SquaredError())
