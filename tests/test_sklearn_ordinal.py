"""The linear model of ordered classes: against statsmodels, its objective, labels and data as people have them."""

import pickle

import numpy as np
import pytest

import fastloss as fl

sklearn = pytest.importorskip("fastloss.sklearn")
OrdinalClassifier = sklearn.OrdinalClassifier


def problem(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 2.0]
    score = X @ [1.0, 0.1, -5.0] + rng.logistic(size=n)
    return X, np.searchsorted([-12.0, -10.0, -9.0], score), rng.integers(0, 3, n).astype(float)


def test_against_statsmodels():
    """OrderedModel(distr="logit") has the same coefficients; its thresholds after the first are logarithms of steps."""
    miscmodels = pytest.importorskip("statsmodels.miscmodels.ordinal_model")
    X, y, _ = problem()
    with np.errstate(all="ignore"):
        theirs = miscmodels.OrderedModel(y, X, distr="logit").fit(method="bfgs", disp=False, maxiter=500, gtol=1e-9)
    model = OrdinalClassifier(alpha=0.0).fit(X, y)
    np.testing.assert_allclose(model.coef_, theirs.params[:3], rtol=1e-4)
    np.testing.assert_allclose(
        model.thresholds_, theirs.model.transform_threshold_params(theirs.params)[1:-1], rtol=1e-4
    )
    np.testing.assert_allclose(model.predict_proba(X), theirs.predict(X), atol=1e-5)


@pytest.mark.parametrize("loss", ["cumulative_logit", "all_threshold"])
@pytest.mark.parametrize("weighted", [False, True])
def test_minimises_its_objective(loss, weighted):
    X, y, w = problem(500)
    w = w if weighted else None
    model = OrdinalClassifier(loss, alpha=0.01).fit(X, y, sample_weight=w)

    def objective(coef, thresholds):
        z = X @ coef
        if loss == "cumulative_logit":
            value = fl.CumulativeLogit(thresholds)(z, y, sample_weight=w)
        else:
            value = fl.AllThreshold(4)(z[:, np.newaxis] - thresholds, y, sample_weight=w)
        return value + 0.005 * np.sum(coef**2)

    least = objective(model.coef_, model.thresholds_)
    for k in range(3):
        for step in (-1e-3, 1e-3):
            moved = model.coef_.copy()
            moved[k] += step
            assert objective(moved, model.thresholds_) > least
            moved = model.thresholds_.copy()
            moved[k] += step
            assert objective(model.coef_, moved) > least
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    assert np.mean(model.predict(X) == y) > 0.4
    if not weighted:
        repeated = OrdinalClassifier(loss, alpha=0.01).fit(np.repeat(X, 2, axis=0), np.repeat(y, 2))
        np.testing.assert_allclose(repeated.coef_, model.coef_, rtol=1e-4)


def test_labels_and_data_as_people_have_them():
    pandas = pytest.importorskip("pandas")
    sparse = pytest.importorskip("scipy.sparse")
    X, y, _ = problem(300)
    model = OrdinalClassifier().fit(X, y)
    names = np.array(["poor", "fair", "good", "excellent"])
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    for labels, options in (
        (names[y], {"classes": names}),
        (pandas.Series(pandas.Categorical(names[y], categories=names, ordered=True)), {}),
    ):
        other = OrdinalClassifier(**options).fit(frame, labels)
        assert other.classes_.tolist() == names.tolist()
        np.testing.assert_allclose(other.coef_, model.coef_, rtol=1e-6)
        assert (other.predict(frame) == names[model.predict(X)]).all()
    np.testing.assert_allclose(OrdinalClassifier().fit(sparse.csr_matrix(X), y).coef_, model.coef_, rtol=1e-4)
    np.testing.assert_allclose(OrdinalClassifier().fit(X.astype(np.float32), y).coef_, model.coef_, rtol=1e-2)
    np.testing.assert_allclose(OrdinalClassifier().fit(np.asfortranarray(X), y).coef_, model.coef_, rtol=1e-6)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    two = OrdinalClassifier().fit(X, y > 1)
    assert two.predict_proba(X).shape == (300, 2)


def test_errors():
    X, y, _ = problem(60)
    with pytest.raises(ValueError, match="of ordered classes"):
        OrdinalClassifier("huber").fit(X, y)
    with pytest.raises(ValueError, match="alpha must be finite and >= 0"):
        OrdinalClassifier(alpha=-1.0).fit(X, y)
    with pytest.raises(ValueError, match="is none of the classes"):
        OrdinalClassifier(classes=[0, 1, 2]).fit(X, np.minimum(y, 2) + (np.arange(60) == 5) * 3)
    with pytest.raises(ValueError, match="no row of positive weight of the class 9"):
        OrdinalClassifier(classes=[0, 1, 2, 3, 9]).fit(X, y)
    with pytest.raises(ValueError, match="two classes or more"):
        OrdinalClassifier().fit(X, np.zeros(60, int))


def test_linear_regression_refuses_what_it_cannot_predict():
    X, y, _ = problem(30)
    with pytest.raises(ValueError, match="use OrdinalClassifier"):
        sklearn.LossRegressor(loss=fl.CumulativeLogit()).fit(X, y)
    with pytest.raises(ValueError, match="takes predictions > -1"):
        sklearn.LossRegressor(loss="squared_log_error").fit(X, y)
