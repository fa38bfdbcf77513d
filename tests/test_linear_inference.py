"""Standard errors against statsmodels, and where there are none."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse

import fastloss as fl
from fastloss.sklearn import LossClassifier, LossRegressor

N = 400


def make(seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 3)) * [1, 100, 0.01] + [0, 1000, 0]
    z = (x - [0, 1000, 0]) / [1, 100, 0.01] @ [0.5, -0.4, 0.3] + 0.2
    return x, z, rng


def targets(loss, z, rng):
    if loss.target_domain == "unit interval":
        return (z + rng.logistic(size=N) > 0).astype(int)
    if isinstance(loss, fl.Poisson):
        return rng.poisson(np.exp(z)).astype(float)
    return np.exp(z) * rng.gamma(2.0, 0.5, N) + 1e-6 if loss.target_domain != "any" else z + rng.normal(size=N)


CASES = [fl.CrossEntropy(), fl.BinaryCrossEntropy(), fl.Poisson(), fl.SquaredError(), fl.Gamma(), fl.Tweedie(1.5)]


def theirs(loss, y, x, offset=None, **options):
    api = pytest.importorskip("statsmodels.api")
    families = api.families
    family = {
        "cross_entropy": families.Binomial(),
        "binary_cross_entropy": families.Binomial(),
        "poisson": families.Poisson(),
        "squared_error": families.Gaussian(),
        "gamma": families.Gamma(families.links.Log()),
        "tweedie": families.Tweedie(families.links.Log(), var_power=1.5),
    }[loss.name]
    return api.GLM(y, np.column_stack([x, np.ones(len(x))]), family=family, offset=offset, **options)


def fitted(loss, **options):
    return (LossClassifier if loss.target_domain == "unit interval" else LossRegressor)(
        loss, penalty=None, tol=1e-9, **options
    )


@pytest.mark.parametrize("loss", CASES, ids=lambda loss: loss.name)
def test_those_of_the_model_are_statsmodels(loss):
    x, z, rng = make()
    y, offset = targets(loss, z, rng), 0.1 * rng.normal(size=N)
    found = fitted(loss).fit(x, y, offset=offset).inference(x, y, offset=offset)
    expected = theirs(loss, y, x, offset).fit(tol=1e-12, maxiter=200)
    np.testing.assert_allclose(found.coef, expected.params, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found.standard_errors, expected.bse, rtol=1e-4)
    np.testing.assert_allclose(found.covariance, expected.cov_params(), rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(found.z_values, expected.tvalues, rtol=1e-3)
    np.testing.assert_allclose(found.p_values, expected.pvalues, rtol=1e-2, atol=1e-9)
    np.testing.assert_allclose(found.confidence_interval(0.9), expected.conf_int(0.1), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("loss", [CASES[0], *CASES[2:4]], ids=lambda loss: loss.name)
def test_robust_and_clustered_ones_are_statsmodels(loss):
    x, z, rng = make()
    clusters = rng.integers(0, 25, N)
    y = targets(loss, z + 0.5 * rng.normal(size=25)[clusters], rng)
    model = fitted(loss).fit(x, y)
    glm = theirs(loss, y, x)
    # Its GLM leaves out the correction for small samples.
    expected = glm.fit(tol=1e-12, cov_type="HC0")
    found = model.inference(x, y, covariance="robust")
    np.testing.assert_allclose(found.standard_errors, expected.bse * np.sqrt(N / (N - 4)), rtol=1e-4)
    expected = glm.fit(tol=1e-12, cov_type="cluster", cov_kwds={"groups": clusters})
    names = np.array(list("abcdefghijklmnopqrstuvwxy"))[clusters]
    found = model.inference(x, y, covariance="cluster", clusters=names)
    np.testing.assert_allclose(found.standard_errors, expected.bse, rtol=1e-4)
    for each in (sparse.csr_array(x), np.asfortranarray(x)):
        same = model.inference(each, y, covariance="cluster", clusters=names)
        np.testing.assert_allclose(same.covariance, found.covariance, rtol=1e-6, atol=1e-12)


def test_differences_of_classes_are_those_of_a_multinomial_model():
    api = pytest.importorskip("statsmodels.api")
    x, z, rng = make()
    x = (x - [0, 1000, 0]) / [1, 100, 0.01]
    y = np.digitize(z + rng.logistic(size=N), [-0.5, 1.0])
    found = fitted(fl.CrossEntropy()).fit(x, y).inference(x, y)
    expected = api.MNLogit(y, np.column_stack([x, np.ones(N)])).fit(disp=0, tol=1e-12)
    covariance = found.covariance.reshape(3, 4, 3, 4)
    for k in (1, 2):
        of_distance = covariance[k, :, k] + covariance[0, :, 0] - covariance[k, :, 0] - covariance[0, :, k]
        np.testing.assert_allclose(np.sqrt(np.diag(of_distance)), expected.bse[:, k - 1], rtol=1e-4)
    assert found.names[:5] == ["0: x0", "0: x1", "0: x2", "0: intercept", "1: x0"]


@pytest.mark.parametrize("covariance", ["model", "robust"])
def test_weights_are_numbers_of_rows(covariance):
    x, z, rng = make()
    y = targets(fl.SquaredError(), z, rng)
    weight = rng.integers(0, 3, N)
    rows = np.repeat(np.arange(N), weight)
    loss = fl.SquaredError() if covariance == "model" else fl.Huber(0.8)
    weighted = fitted(loss).fit(x, y, weight).inference(x, y, weight, covariance=covariance)
    repeated = fitted(loss).fit(x[rows], y[rows]).inference(x[rows], y[rows], covariance=covariance)
    np.testing.assert_allclose(weighted.standard_errors, repeated.standard_errors, rtol=1e-5)
    assert weighted.n_rows == len(rows)


def test_robust_errors_of_a_loss_that_is_no_likelihood_are_those_of_repetitions():
    estimates, errors = [], []
    for seed in range(60):
        x, z, rng = make(seed)
        y = z + rng.standard_t(3, size=N)
        model = fitted(fl.Huber(1.0)).fit(x, y)
        estimates.append(model.coef_)
        errors.append(model.inference(x, y, covariance="robust").standard_errors[:3])
    ratio = np.mean(errors, axis=0) / np.std(estimates, axis=0)
    assert np.all((ratio > 0.7) & (ratio < 1.4))


def test_the_table_names_features():
    pandas = pytest.importorskip("pandas")
    x, z, rng = make()
    frame = pandas.DataFrame(x, columns=["age", "income", "share"])
    y = targets(fl.Poisson(), z, rng)
    table = str(LossRegressor("poisson", alpha=1e-3).fit(frame, y).inference(frame, y)).splitlines()
    assert table[0] == "400 rows, standard errors: model"
    assert [line.split()[0] for line in table[2:]] == ["age", "income", "share", "intercept"]
    assert len({len(line) for line in table[1:]}) == 1


def test_where_there_are_none():
    x, z, rng = make()
    y = targets(fl.SquaredError(), z, rng)
    for options, covariance, message in [
        ({"penalty": "l1"}, "robust", "an L1 norm chooses"),
        ({"positive": True}, "robust", "bounds cut off"),
        ({"loss": "absolute_error"}, "robust", "has kinks"),
        ({"loss": "huber"}, "model", "is no likelihood"),
        ({}, "all", "covariance"),
        ({}, "cluster", "one label a row, go together"),
    ]:
        model = LossRegressor(**{"loss": "squared_error", **options}).fit(x, y)
        with pytest.raises(ValueError, match=message):
            model.inference(x, y, covariance=covariance)
    with pytest.raises(ValueError, match="one label for each of 400 rows, got 3"):
        LossRegressor().fit(x, y).inference(x, y, covariance="cluster", clusters=[1, 2, 3])
    with pytest.raises(ValueError, match="is no likelihood"):
        LossClassifier(fl.CrossEntropy(label_smoothing=0.1)).fit(x, y > 0).inference(x, y > 0)
    with pytest.raises(ValueError, match=r"level must lie in \(0, 1\)"):
        LossRegressor("squared_error").fit(x, y).inference(x, y).confidence_interval(95)


@pytest.mark.parametrize("penalty", [None, "l2"])
@pytest.mark.parametrize("covariance", ["model", "robust"])
def test_errors_of_classes_in_single_precision(penalty, covariance):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3)).astype(np.float32)
    y = np.digitize(x[:, 0] + rng.normal(size=300), [-0.5, 0.5])
    model = LossClassifier("cross_entropy", penalty=penalty, alpha=0.01).fit(x.astype(np.float64), y)
    exact = model.inference(x.astype(np.float64), y, covariance=covariance).standard_errors
    for each in (x, sparse.csr_matrix(x)):
        assert np.allclose(model.inference(each, y, covariance=covariance).standard_errors, exact, rtol=1e-6)
