"""Linear models of sums of losses."""

import pickle

import numpy as np
import pytest

import fastloss as fl

pytest.importorskip("sklearn")
from scipy import optimize
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from fastloss.sklearn import LossClassifier, LossRegressor


def study(kind, n=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3)) * [1, 100, 0.01] + [3, 1000, 0]
    z = (x - [3, 1000, 0]) / [1, 100, 0.01] @ [0.7, -0.4, 0.2] + 0.3
    y = {
        "real": z + rng.normal(size=n),
        "binary": (z + rng.logistic(size=n) > 0).astype(float),
        "positive": np.exp(z) * rng.gamma(2.0, 0.5, n),
    }[kind]
    return x, y, rng.choice([0.0, 1.0, 2.0], n)


def model_of(loss, **options):
    return (LossClassifier if loss.target_domain == "unit interval" else LossRegressor)(loss, **options)


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (fl.Huber(delta=0.3) + 0.5 * fl.SquaredError(), "real"),
        (fl.Cauchy(c=0.5) + fl.LogCosh(), "real"),
        (fl.AbsoluteError() + 0.5 * fl.SquaredError(), "real"),
        (fl.Quantile(q=0.1) + 2 * fl.Quantile(q=0.6), "real"),
        (fl.Poisson() + 2 * fl.Gamma(), "positive"),
        (fl.BinaryCrossEntropy() + fl.Brier(), "binary"),
        (fl.Hinge() + 0.1 * fl.BinaryCrossEntropy(), "binary"),
        (fl.GaussianNLL() + 2 * fl.GaussianCRPS(), "real"),
        (fl.LaplaceNLL() + fl.GaussianCRPS(), "real"),
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_fit_is_the_minimum(loss, kind):
    x, y, weight = study(kind)
    model = model_of(loss, alpha=1e-4, tol=1e-5).fit(x, y, weight)
    coef, intercept = np.atleast_2d(model.coef_), np.atleast_1d(model.intercept_)
    spread, centre = x.std(axis=0), x.mean(axis=0)

    def value(theta):
        theta = theta.reshape(coef.shape[0], -1)
        z = (x - centre) / spread @ theta[:, :-1].T + theta[:, -1]
        z = z if loss.kind == "columns" else z[:, 0]
        return loss(z, y, sample_weight=weight) + 5e-5 * np.sum(np.square(theta[:, :-1] / spread))

    at = np.column_stack([coef * spread, intercept + coef @ centre]).ravel()
    found = optimize.minimize(value, at, method="Powell", options={"maxfev": 2500, "xtol": 1e-9, "ftol": 1e-12})
    assert value(at) <= found.fun + 5e-5 * (1 + abs(found.fun))
    assert model.score(x, y) > 0.2


def test_multiples_are_the_loss_itself():
    x, y, _ = study("real")
    single = LossRegressor("huber", alpha=1e-3).fit(x, y)
    double = LossRegressor(2.0 * fl.Huber(), alpha=2e-3).fit(x, y)
    np.testing.assert_allclose(double.coef_, single.coef_, rtol=1e-5)
    both = np.column_stack([y, 2 * y + 1])
    for many in (2.0 * fl.Huber(), fl.Huber() + fl.AbsoluteError()):
        model = LossRegressor(many, alpha=1e-3).fit(x, both)
        alone = LossRegressor(many, alpha=1e-3).fit(x, both[:, 1])
        np.testing.assert_allclose(model.predict(x)[:, 1], alone.predict(x), atol=2e-3)


def test_as_an_estimator():
    x, y, _ = study("binary")
    model = LossClassifier(fl.BinaryCrossEntropy() + fl.Brier(), alpha=1e-3)
    assert clone(model).loss == model.loss
    model.fit(x, y)
    probability = model.predict_proba(x)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(x), probability)
    classes = model.fit(x, np.digitize(x[:, 0], [2.5, 3.5]))
    assert classes.predict_proba(x).shape == (300, 3)
    assert classes.score(x, np.digitize(x[:, 0], [2.5, 3.5])) > 0.5
    assert not hasattr(LossClassifier(fl.Hinge() + fl.BinaryCrossEntropy()), "predict_proba")
    search = GridSearchCV(model, {"loss": [fl.BinaryCrossEntropy(), fl.BinaryCrossEntropy() + fl.Brier()]}, cv=3)
    assert search.fit(x, y).best_score_ > 0.5
    of_numbers, numbers, _ = study("real")
    path = LossRegressor(fl.Huber() + fl.LogCosh()).fit_blocks([(of_numbers[:150], numbers[:150])] * 2)
    assert path.coef_.shape == (3,)


def test_what_is_refused():
    x, y, _ = study("binary")
    with pytest.raises(ValueError, match="is setwise: linear models take sums of losses of elements"):
        LossClassifier(fl.Dice() + fl.BinaryCrossEntropy()).fit(x, y)
    with pytest.raises(ValueError, match="is rowwise: linear models take sums"):
        LossClassifier(fl.CrossEntropy() + fl.Focal()).fit(x, y)
    with pytest.raises(ValueError, match="their links are identity, log"):
        LossRegressor(fl.SquaredError() + fl.Poisson()).fit(x, y)
    with pytest.raises(ValueError, match="use LossClassifier"):
        LossRegressor(fl.BinaryCrossEntropy() + fl.Brier()).fit(x, y)
    with pytest.raises(ValueError, match="use LossRegressor"):
        LossClassifier(fl.Huber() + fl.Fair()).fit(x, y)
