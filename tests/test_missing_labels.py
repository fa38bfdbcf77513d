"""Labels that are missing in several columns count nowhere."""

import numpy as np
import pytest

import fastloss as fl

pytest.importorskip("sklearn")
from fastloss.sklearn import LossClassifier, LossRegressor

N = 300


def study(loss, seed=0):
    """Three columns, in which a third of the labels is missing, and of the first nearly all."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 3)) * [1, 50, 0.01] + [0, 1000, 1]
    z = (x - [0, 1000, 1]) / [1, 50, 0.01] @ rng.normal(size=(3, 3)) / 2
    if loss.target_domain == "any":
        y = z + rng.normal(size=z.shape)
    elif loss.target_domain == "unit interval":
        y = (z + rng.logistic(size=z.shape) > 0).astype(float)
    else:
        y = rng.poisson(np.exp(z)) + 0.5
    y[rng.random(z.shape) < [0.8, 0.3, 0.1]] = np.nan
    return x, y, rng.choice([0.0, 1.0, 3.0], N)


LOSSES = [
    fl.SquaredError(),
    fl.Huber(),
    fl.Cauchy(c=0.1),
    fl.Quantile(q=0.3),
    fl.Poisson(),
    fl.Gamma(),
    fl.BinaryCrossEntropy(),
    fl.Hinge(),
]


def model_of(loss, **options):
    return (LossClassifier if loss.target_domain == "unit interval" else LossRegressor)(loss, alpha=1e-3, **options)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("weighted", [False, True])
def test_each_column_is_fitted_as_if_alone(loss, weighted):
    x, y, weight = study(loss)
    weight = weight if weighted else None
    together = model_of(loss).fit(x, y, weight)
    scores = together.decision_function(x) if hasattr(together, "decision_function") else together._scores(x)
    for k in range(3):
        known = ~np.isnan(y[:, k])
        of_known = None if weight is None else weight[known]
        alone = model_of(loss).fit(
            x[known], y[known, k].astype(int if "unit" in loss.target_domain else float), of_known
        )
        expected = alone.decision_function(x) if hasattr(alone, "decision_function") else alone._scores(x)
        t, w = y[known, k], np.ones(known.sum()) if of_known is None else of_known

        def objective(z, coef, t=t, w=w, known=known):
            return loss(z[known], t, sample_weight=w) + 5e-4 * np.sum(np.square(coef))

        value = objective(scores[:, k], together.coef_[k])
        assert value == pytest.approx(objective(expected, alone.coef_), rel=3e-5)
    masked = np.ma.MaskedArray(np.nan_to_num(y, nan=7.0), np.isnan(y))
    np.testing.assert_array_equal(model_of(loss).fit(x, masked, weight).coef_, together.coef_)


@pytest.mark.parametrize("solver", ["newton", "lbfgs", "descent"])
def test_every_solver_and_the_l1_norm(solver):
    loss = fl.SquaredError()
    x, y, _ = study(loss)
    together = model_of(loss, penalty="l1", solver=solver).fit(x, y)
    for k in range(3):
        known = ~np.isnan(y[:, k])
        alone = model_of(loss, penalty="l1", solver="newton").fit(x[known], y[known, k])
        np.testing.assert_allclose(together._scores(x)[:, k], alone._scores(x), rtol=1e-3, atol=1e-3)


def test_scores_are_of_the_labels_that_are_there():
    x, y, weight = study(fl.SquaredError())
    model = LossRegressor("squared_error").fit(x, y)
    each = [
        1 - np.sum((t - z)[~np.isnan(t)] ** 2) / np.sum((t - np.nanmean(t))[~np.isnan(t)] ** 2)
        for t, z in zip(y.T, model.predict(x).T, strict=True)
    ]
    assert model.score(x, y) == pytest.approx(np.mean(each))
    x, y, weight = study(fl.BinaryCrossEntropy())
    y[0] = np.nan
    labels = LossClassifier("binary_cross_entropy").fit(x, y)
    right, known = np.all((labels.predict(x) == y) | np.isnan(y), axis=1), ~np.all(np.isnan(y), axis=1)
    assert labels.score(x, y) == pytest.approx(right[known].mean())
    assert labels.score(x, y, weight) == pytest.approx(np.average(right[known], weights=weight[known]))


def test_what_is_refused():
    x, y, _ = study(fl.SquaredError())
    with pytest.raises(ValueError, match="NaN"):
        LossRegressor().fit(x, y[:, 0])
    with pytest.raises(ValueError, match="NaN"):
        LossRegressor().fit(x, np.ma.MaskedArray(np.ones(N), np.arange(N) == 3))
    y[:, 1] = np.nan
    with pytest.raises(ValueError, match="y has no label of positive weight in column 1"):
        LossRegressor().fit(x, y)
    y[:, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        LossRegressor().fit(x, y)
    _, y, _ = study(fl.BinaryCrossEntropy())
    with pytest.raises(ValueError, match="NaN"):
        LossClassifier("cross_entropy").fit(x, y)
    model = LossClassifier("binary_cross_entropy").fit(x, y)
    with pytest.raises(ValueError, match="y has missing labels: take standard errors of each column"):
        model.inference(x, y)
