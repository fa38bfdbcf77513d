"""`TemperatureScaling` and `VectorScaling`: the best scaling of logits, and estimators like scikit-learn's."""

import pickle

import numpy as np
import pytest

import fastloss as fl

sklearn = pytest.importorskip("sklearn")

from scipy.optimize import minimize, minimize_scalar  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_digits, load_iris  # noqa: E402
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.frozen import FrozenEstimator  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.metrics import log_loss  # noqa: E402
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split  # noqa: E402
from sklearn.naive_bayes import GaussianNB  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from sklearn.svm import LinearSVC  # noqa: E402
from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from fastloss.sklearn import LossClassifier, TemperatureScaling, VectorScaling, _calibration  # noqa: E402

both = pytest.mark.parametrize("calibrator", [TemperatureScaling, VectorScaling])


@parametrize_with_checks([TemperatureScaling(LogisticRegression()), VectorScaling(LogisticRegression())])
def test_conventions_of_scikit_learn(estimator, check):
    check(estimator)


def logits(n_classes, n=400, temperature=2.5, dtype=np.float64):
    """Logits that are too sure, by a factor, of labels drawn with the right probabilities."""
    rng = np.random.default_rng(n_classes)
    right = rng.normal(size=(n, n_classes))
    y = np.array([rng.choice(n_classes, p=p) for p in fl.softmax(2 * right)])
    z = 2 * temperature * right
    return (z[:, 1] - z[:, 0] if n_classes == 2 else z).astype(dtype), y


def cross_entropy_of(z, y, w=None):
    return (fl.binary_cross_entropy if z.ndim == 1 else fl.cross_entropy)(z, y, sample_weight=w)


def weights(n):
    return np.random.default_rng(7).uniform(0, 2, n)


# ------------------------------------------------------------------------------------------------------------ minima


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("block", [_calibration.BLOCK, 50], ids=["one block", "blocks"])
def test_temperature_is_the_best(n_classes, weighted, block, monkeypatch):
    monkeypatch.setattr(_calibration, "BLOCK", block)
    z, y = logits(n_classes)
    w = weights(len(y)) if weighted else None
    model = TemperatureScaling().fit(z, y, w)
    best = minimize_scalar(lambda s: cross_entropy_of(np.exp(-s) * z, y, w), bounds=(-2, 4), options={"xatol": 1e-10})
    assert model.temperature_ == pytest.approx(np.exp(best.x), rel=1e-6)
    # Flatter than any search of values can see: the slope is 0.
    slope = (fl.BinaryCrossEntropy if n_classes == 2 else fl.CrossEntropy)().gradient
    assert abs(np.vdot(slope(z / model.temperature_, y, sample_weight=w), z)) < 1e-12
    assert model.n_iter_ < 12


@pytest.mark.parametrize("n_classes", [2, 3, 10])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_vector_is_the_best(n_classes, weighted):
    z, y = logits(n_classes, n=600)
    w = weights(len(y)) if weighted else None
    model = VectorScaling().fit(z, y, w)
    found = cross_entropy_of(model.decision_function(z), y, w)
    k = len(model.weight_)
    scaled = lambda x: cross_entropy_of(x[:k] * z + x[k:] if k > 1 else x[0] * z + x[1], y, w)
    best = minimize(scaled, np.r_[np.full(k, 0.4), np.zeros(k)])
    assert found <= best.fun + 1e-9
    assert found < cross_entropy_of(TemperatureScaling().fit(z, y, w).decision_function(z), y, w)
    if k > 1:
        assert model.bias_.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6, 1e150])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_scale_of_the_logits_does_not_matter(scale, n_classes):
    z, y = logits(n_classes)
    expected = TemperatureScaling().fit(z, y)
    found = TemperatureScaling().fit(scale * z, y)
    assert found.temperature_ == pytest.approx(scale * expected.temperature_, rel=1e-9)
    np.testing.assert_allclose(found.predict_proba(scale * z), expected.predict_proba(z), rtol=1e-7)


@both
def test_shift_of_a_rows_logits_does_not_matter(calibrator):
    z, y = logits(3)
    expected = calibrator().fit(z, y).predict_proba(z)
    if calibrator is TemperatureScaling:
        z = z + np.random.default_rng(0).normal(size=(len(z), 1)) * 10
    else:
        z = z + [1.0, -20.0, 5.0]
    np.testing.assert_allclose(calibrator().fit(z, y).predict_proba(z), expected, rtol=1e-5)


def test_float32_logits():
    z, y = logits(3, dtype=np.float32)
    model = TemperatureScaling().fit(z, y)
    assert model.temperature_ == pytest.approx(TemperatureScaling().fit(z.astype(np.float64), y).temperature_, rel=1e-9)
    assert model.predict_proba(z).dtype == np.float32


@pytest.mark.parametrize("n_classes", [2, 3])
def test_no_minimum(n_classes):
    """Perfect logits are made surer until the loss is 0; those that are always wrong are made to say nothing."""
    y = np.resize(np.arange(n_classes), 60)
    z = np.eye(n_classes)[y] * 3.0
    z = z[:, 1] * 2 - 3 if n_classes == 2 else z
    perfect, wrong = TemperatureScaling().fit(z, y), TemperatureScaling().fit(-z, y)
    assert 0 < perfect.temperature_ < 0.1
    assert cross_entropy_of(perfect.decision_function(z), y) < 1e-15
    assert np.log(wrong.temperature_ / _calibration._spread(z)) == pytest.approx(_calibration.FARTHEST, abs=1e-9)
    assert TemperatureScaling().fit(0 * z, y).temperature_ == 1.0


def test_repeated_rows_are_weights():
    z, y = logits(3)
    times = np.random.default_rng(1).integers(0, 3, len(y))
    repeated = np.repeat(np.arange(len(y)), times)
    for calibrator in (TemperatureScaling, VectorScaling):
        weighted, longer = calibrator().fit(z, y, times), calibrator().fit(z[repeated], y[repeated])
        np.testing.assert_allclose(weighted.predict_proba(z), longer.predict_proba(z), rtol=1e-6)


# ------------------------------------------------------------------------------------------------ next to scikit-learn


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris], ids=["two classes", "three classes"])
@pytest.mark.parametrize(
    "estimator", [LinearSVC(), make_pipeline(StandardScaler(), LogisticRegression())], ids=["scores", "pipeline"]
)  # fmt: skip
def test_same_probabilities_as_calibrated_classifier_cv(load, estimator):
    X, y = load(return_X_y=True)
    X, y = StandardScaler().fit_transform(X), np.array(["a", "b", "c"])[y]
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    ours = TemperatureScaling(estimator, cv=cv).fit(X, y)
    theirs = CalibratedClassifierCV(estimator, method="temperature", ensemble=False, cv=cv).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    np.testing.assert_array_equal(ours.classes_, theirs.classes_)
    twice = 2 if len(ours.classes_) == 2 else 1
    theirs_t = 1 / theirs.calibrated_classifiers_[0].calibrators[0].beta_
    assert twice * ours.temperature_ == pytest.approx(theirs_t, rel=1e-5)


def test_same_probabilities_of_a_classifier_without_decision_function():
    X, y = load_iris(return_X_y=True)
    estimator = GaussianNB(var_smoothing=0.2)
    ours = TemperatureScaling(estimator).fit(X, y)
    theirs = CalibratedClassifierCV(estimator, method="temperature", ensemble=False).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


def test_platts_method_is_vector_scaling_of_two_classes():
    """scikit-learn smooths the labels, which matters less the more rows there are."""
    z, y = logits(2, n=4000)
    theirs = CalibratedClassifierCV(FrozenEstimator(AsScores().fit(z[:, None], y)), method="sigmoid").fit(z[:, None], y)
    ours = VectorScaling().fit(z, y)
    np.testing.assert_allclose(ours.predict_proba(z), theirs.predict_proba(z[:, None]), atol=2e-3)


class AsScores(sklearn.base.ClassifierMixin, sklearn.base.BaseEstimator):
    """A classifier whose decision function is its only feature."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        return X[:, 0]

    def predict(self, X):
        return self.classes_[(X[:, 0] > 0).astype(int)]


# ----------------------------------------------------------------------------------------------------------- estimators


@both
@pytest.mark.parametrize("model", [LinearSVC(), GaussianNB(), RandomForestClassifier(20, random_state=0)], ids=str)
def test_probabilities_get_better(calibrator, model):
    X, y = load_digits(return_X_y=True)
    X = X / 16
    train, test = train_test_split(np.arange(len(y)), random_state=0, stratify=y)
    calibrated = calibrator(model, cv=3).fit(X[train], y[train])
    fitted = calibrated.estimator_
    p = (
        fitted.predict_proba(X[test])
        if hasattr(fitted, "predict_proba")
        else fl.softmax(fitted.decision_function(X[test]))
    )
    assert log_loss(y[test], calibrated.predict_proba(X[test])) < log_loss(y[test], p)
    if calibrator is TemperatureScaling:
        np.testing.assert_array_equal(calibrated.predict(X[test]), fitted.predict(X[test]))


@both
def test_frozen_estimators_stay(calibrator):
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression().fit(X[::2], y[::2])
    coef = model.coef_.copy()
    # Three rows of a class: too few to be split, which nobody needs here.
    rows = np.r_[1:100:2, 101:106:2]
    frozen = calibrator(FrozenEstimator(model)).fit(X[rows], y[rows])
    of_logits = calibrator().fit(model.decision_function(X[rows]), y[rows])
    np.testing.assert_array_equal(model.coef_, coef)
    np.testing.assert_array_equal(frozen.predict_proba(X), of_logits.predict_proba(model.decision_function(X)))


def test_losses_of_hinges_get_probabilities():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = TemperatureScaling(LossClassifier(loss="hinge", alpha=0.01)).fit(X, y)
    assert log_loss(y, model.predict_proba(X)) < 0.15


@both
def test_search_clone_pickle(calibrator):
    X, y = load_iris(return_X_y=True)
    search = GridSearchCV(
        calibrator(LogisticRegression(), cv=3), {"estimator__C": [0.01, 0.1]}, scoring="neg_log_loss"
    ).fit(X, y)
    model = search.best_estimator_
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))
    assert model.n_features_in_ == 4
    assert calibrator().fit(*logits(3)).n_features_in_ == 3


def test_metadata_routing():
    X, y = load_iris(return_X_y=True)
    w = weights(len(y))
    plain = TemperatureScaling(LogisticRegression(C=0.1)).fit(X, y, sample_weight=w)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = TemperatureScaling(LogisticRegression(C=0.1).set_fit_request(sample_weight=True)).fit(
            X, y, sample_weight=w
        )
        unrequested = TemperatureScaling(LogisticRegression(C=0.1).set_fit_request(sample_weight=False)).fit(
            X, y, sample_weight=w
        )
    assert routed.temperature_ == plain.temperature_
    np.testing.assert_array_equal(unrequested.estimator_.coef_, LogisticRegression(C=0.1).fit(X, y).coef_)


def test_labels_of_logits():
    z, y = logits(3)
    np.testing.assert_array_equal(TemperatureScaling().fit(z, np.array(["x", "b", "c"])[y]).classes_, ["b", "c", "x"])
    # Two of three classes occur: known by their numbers, not by their names.
    np.testing.assert_array_equal(TemperatureScaling().fit(z[y != 1], y[y != 1]).classes_, [0, 1, 2])
    column = logits(2)[0][:, None]
    assert TemperatureScaling().fit(column, logits(2)[1]).predict_proba(column).shape == (400, 2)


Z3, Y3 = logits(3)


@both
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Z3, np.where(Y3 == 1, "a", "b")), "^X holds logits of 3 classes.* y has 2 labels"),
        ((Z3, Y3 + 1), "^X holds logits of 3 classes|not among"),
        ((Z3[:, 0], Y3), "^X holds logits of 2 classes.* y has 3 labels"),
        ((Z3, Y3[:-1]), "length"),
        ((np.where(Z3 > 5, np.nan, Z3), Y3), "NaN"),
        ((Z3, Y3, -np.ones(len(Y3))), "[Nn]egative"),
        ((Z3, Y3, np.zeros(len(Y3))), "non-zero|zero"),
        ((Z3, Y3 + 0.5), "continuous"),
    ],
    ids=["names", "numbers", "one column", "lengths", "nan", "negative weight", "no weight", "numbers as labels"],
)
def test_refused(calibrator, arguments, message):
    if message.startswith("^X holds logits of 3 classes|"):
        arguments = (Z3[Y3 > 0], Y3[Y3 > 0] + 5)
    with pytest.raises(ValueError, match=message):
        calibrator().fit(*arguments)


@both
def test_refused_later(calibrator):
    model = calibrator().fit(Z3, Y3)
    with pytest.raises(ValueError, match=r"^X must hold logits of 3 classes, got shape \(400, 2\)"):
        model.predict_proba(Z3[:, :2])
    with pytest.raises(sklearn.exceptions.NotFittedError):
        calibrator().predict_proba(Z3)
    with pytest.raises(TypeError, match="neither decision_function nor predict_proba"):
        calibrator(StandardScaler()).fit(Z3, Y3)
