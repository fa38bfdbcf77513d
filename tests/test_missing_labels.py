"""Labels that are missing in several columns count nowhere."""

import itertools

import numpy as np
import pytest

import fastloss as fl

pytest.importorskip("sklearn")
from fastloss.sklearn import LossClassifier, LossClassifierCV, LossRegressor, LossRegressorCV, loss_scorer

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


def cut(x, y, weight, at=(0, 70, 110, N)):
    return [(x[a:b], y[a:b], None if weight is None else weight[a:b]) for a, b in itertools.pairwise(at)]


@pytest.mark.parametrize("loss", [fl.Huber(), fl.Poisson(), fl.BinaryCrossEntropy()], ids=lambda loss: loss.name)
def test_blocks_are_the_fit_of_all_rows(loss):
    x, y, weight = study(loss)
    y[70:110, 0] = np.nan  # a block without any label of a target
    y[:70, 1] = 1.0
    for of_rows in (None, weight):
        whole = model_of(loss, tol=1e-9).fit(x, y, of_rows)
        blocks = cut(x, y, of_rows)
        parts = model_of(loss, tol=1e-9).fit_blocks(blocks)
        reach = np.abs(whole._scores(x)).max()
        np.testing.assert_allclose(parts._scores(x), whole._scores(x), rtol=0, atol=1e-6 * reach)
    masked = [(x, np.ma.MaskedArray(np.nan_to_num(t, nan=7.0), np.isnan(t)), w) for x, t, w in blocks]
    np.testing.assert_array_equal(model_of(loss, tol=1e-9).fit_blocks(masked).coef_, parts.coef_)


def test_a_column_whose_labels_are_far_between():
    """Of 40,000 rows the targets say where a fit starts, and no label of a column may be among them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40_000, 1))
    y = np.stack([x[:, 0] + 7, np.full(len(x), np.nan)], axis=1)
    y[[777, 20_101], 1] = 3.0 - 2.0 * x[[777, 20_101], 0]
    model = LossRegressor("squared_error", penalty=None, tol=1e-9)
    np.testing.assert_allclose(model.fit(x, y).coef_.ravel(), [1.0, -2.0], rtol=1e-6)
    model.fit_blocks([(x[:20_000], y[:20_000]), (x[20_000:], y[20_000:])])
    np.testing.assert_allclose(model.coef_.ravel(), [1.0, -2.0], rtol=1e-6)


def test_kinks_in_blocks():
    loss = fl.Quantile(q=0.3)
    x, y = (each[:120] for each in study(loss)[:2])
    values = [
        np.nansum(np.where(z < y, 0.3, -0.7) * (y - z) / np.sum(~np.isnan(y), axis=0)) + 5e-4 * np.sum(model.coef_**2)
        for model in (
            model_of(loss).fit(x, y),
            model_of(loss, tol=1e-4).fit_blocks([(x[:50], y[:50]), (x[50:], y[50:])]),
        )
        for z in [model._scores(x)]
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-3)


def test_batches_are_the_fit_of_all_rows():
    """Of squares, also of rows that were forgotten; a label that comes late weighs as all others do."""
    loss = fl.SquaredError()
    x, y, weight = (np.concatenate(each) for each in zip(*(study(loss, seed) for seed in range(6)), strict=True))
    y[:1200] = np.where(np.isnan(y[:1200]), 1.0, y[:1200])  # until then none is missing
    y[1400:1450] = np.nan
    at = (0, 600, 1150, 1210, 1400, 1450, 1800)
    stream = model_of(loss, tol=1e-9)
    for x_batch, y_batch, w in cut(x, y, weight, at):
        stream.partial_fit(x_batch, y_batch, sample_weight=w)
    whole = model_of(loss, tol=1e-9).fit(x, y, weight)
    np.testing.assert_allclose(stream._scores(x), whole._scores(x), rtol=1e-6, atol=1e-6)
    assert stream.loss_curve_[-1] == pytest.approx(whole.loss_curve_[-1], rel=1e-9)
    loss = fl.BinaryCrossEntropy()
    x, y, weight = study(loss)
    labels = model_of(loss, tol=1e-9)
    for x_batch, y_batch, w in cut(x, y, weight):
        labels.partial_fit(x_batch, y_batch, sample_weight=w)
    np.testing.assert_allclose(labels.coef_, model_of(loss, tol=1e-9).fit(x, y, weight).coef_, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "penalty"), [(fl.Huber(), "l1"), (fl.Poisson(), "l2"), (fl.BinaryCrossEntropy(), "l1")], ids=str
)
def test_folds_are_scored_by_the_labels_that_are_there(loss, penalty):
    x, y, weight = study(loss)
    folds = [(np.arange(100, N), np.arange(100)), (np.arange(200), np.arange(200, N))]
    estimator = LossClassifierCV if loss.target_domain == "unit interval" else LossRegressorCV
    base = LossClassifier if estimator is LossClassifierCV else LossRegressor
    model = estimator(loss, penalty=penalty, alphas=2, cv=folds).fit(x, y, weight)
    known = ~np.isnan(y) * weight[:, None]
    for alpha, scores in zip(model.alphas_, model.cv_scores_, strict=True):
        for (train, test), score in zip(folds, scores, strict=True):
            z = base(loss, penalty=penalty, alpha=alpha).fit(x[train], y[train], weight[train])._scores(x[test])
            expected = -3 * loss(z, y[test], sample_weight=known[test] / known.sum(axis=0))
            assert score == pytest.approx(expected, rel=1e-4)
    if penalty == "l1":  # the path starts where all coefficients are 0
        for factor, is_zero in ((1.001, True), (0.98, False)):
            at = base(loss, penalty="l1", alpha=factor * model.alphas_[0]).fit(x, y, weight)
            assert np.all(at.coef_ == 0) == is_zero
    best = base(loss, penalty=penalty, alpha=model.alpha_).fit(x, y, weight)
    np.testing.assert_array_equal(best.coef_, model.coef_)


def test_scorers_take_missing_labels():
    x, y, weight = study(fl.Huber())
    model = LossRegressor("huber").fit(x, y)
    each = [
        fl.huber(z[known], t[known], sample_weight=weight[known])
        for t, z in zip(y.T, model.predict(x).T, strict=True)
        for known in [~np.isnan(t)]
    ]
    assert loss_scorer("huber")(model, x, y, sample_weight=weight) == pytest.approx(-np.mean(each))
    x, y, _ = study(fl.BinaryCrossEntropy())
    labels = LossClassifier("binary_cross_entropy").fit(x, y)
    sums = sum(
        fl.binary_cross_entropy(z[~np.isnan(t)], t[~np.isnan(t)])
        for t, z in zip(y.T, labels.decision_function(x).T, strict=True)
    )
    assert loss_scorer("binary_cross_entropy")(labels, x, y) == pytest.approx(-sums)


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
    with pytest.raises(ValueError, match="y has no label of positive weight in column 1"):
        LossRegressor().fit_blocks([(x, y)])
    with pytest.raises(ValueError, match="y has no label of positive weight in column 1"):
        LossRegressor().partial_fit(x, y)
    y[200:, 1] = 1.0
    folds = [(np.arange(200), np.arange(200, N))]
    with pytest.raises(ValueError, match="the rows that fold 0 is fitted to have no label in column 1 of y: use fewer"):
        LossRegressorCV(cv=folds).fit(x, y)
    y[:, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        LossRegressor().fit(x, y)
    _, y, _ = study(fl.BinaryCrossEntropy())
    with pytest.raises(ValueError, match="NaN"):
        LossClassifier("cross_entropy").fit(x, y)
    model = LossClassifier("binary_cross_entropy").fit(x, y)
    with pytest.raises(ValueError, match="y has missing labels: take standard errors of each column"):
        model.inference(x, y)


def test_many_columns_of_x():
    """More coefficients than a Hessian is made of: each column's dual problem has weights of its own labels."""
    sparse = pytest.importorskip("scipy.sparse")
    X = sparse.random(200, 1600, density=0.03, format="csr", random_state=0)
    rng = np.random.default_rng(0)
    y = X @ rng.normal(size=(1600, 2)) + 0.1 * rng.normal(size=(200, 2))
    y[rng.random(y.shape) < 0.3] = np.nan
    model = LossRegressor("absolute_error", alpha=0.01).fit(X, y)
    for k, column in enumerate(y.T):
        known = ~np.isnan(column)
        alone = LossRegressor("absolute_error", alpha=0.01).fit(X[known], column[known])
        assert model.predict(X)[:, k] == pytest.approx(alone.predict(X), abs=0.02)
