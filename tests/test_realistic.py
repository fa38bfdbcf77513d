"""
Every estimator over every data set of realistic.py that suits it, judged by what can fail.

The small forms run with all tests, the full ones under ``make realistic``.
"""

import functools
import importlib

import numpy as np
import pytest
import realistic

import fastloss as fl

pytest.importorskip("sklearn")
pytest.importorskip("pandas")
from sklearn import metrics
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, TweedieRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from fastloss.sklearn import (
    LossClassifier,
    LossRegressor,
    TemperatureScaling,
    VectorScaling,
    hist_gradient_boosting_loss,
    loss_scorer,
)

# The first of each is what the libraries call by the names below.
LOSSES = {
    "two classes": [fl.BinaryCrossEntropy(), fl.BinaryFocal(gamma=1.0)],
    "classes": [fl.CrossEntropy(), fl.Focal(gamma=1.0)],
    "counts": [fl.Poisson(), fl.Tweedie(power=1.5)],
    "amounts": [fl.Tweedie(power=1.5), fl.Tweedie(power=1.8)],
    "numbers": [fl.SquaredError(), fl.Huber(delta=5000.0), fl.Quantile(q=0.9)],
}
# What linear models are fitted with, beside these, and trees have too few rounds for.
LINEAR_LOSSES = {"two classes": [fl.Hinge()], "numbers": [fl.Huber(delta=1.0)]}
OBJECTIVES = {
    "LGBM": ["binary", "multiclass", "poisson", "tweedie", "regression"],
    "XGB": ["binary:logistic", "multi:softprob", "count:poisson", "reg:tweedie", "reg:squarederror"],
    "CatBoost": ["Logloss", "MultiClass", "Poisson", "Tweedie:variance_power=1.5", "RMSE"],
    "HistGradientBoosting": ["log_loss", "log_loss", "poisson", None, "squared_error"],
}
FAMILIES = ["linear", *OBJECTIVES]
ALPHA = 1e-3

SIZES = [pytest.param(False, id="small"), pytest.param(True, id="full", marks=pytest.mark.realistic)]
each_size = pytest.mark.parametrize("full", SIZES)


@pytest.fixture(autouse=True)
def one_thread():
    """Several threads that wait for each other take longer where tests run at the same time."""
    with threadpool_limits(1):
        yield


@functools.lru_cache(maxsize=1)
def data_of(name, full):
    return realistic.GENERATORS[name](full)


def data_for(family, name, full):
    """CatBoost asks for a matrix of classes by classes in each row, which takes hours for 1000 of them."""
    return data_of(name, full and (family, name) != ("CatBoost", "products"))


def of_classes(data):
    return data.kind in ("two classes", "classes")


def linear(data, loss):
    """A linear model behind the usual preparation of its features; without a loss, scikit-learn's."""
    n = len(data.y) if data.weight is None else data.weight.sum()
    if loss is not None:
        model = (LossClassifier if of_classes(data) else LossRegressor)(loss, alpha=ALPHA)
    elif of_classes(data):
        model = LogisticRegression(C=1 / (ALPHA * n), max_iter=10_000, tol=1e-8)  # to the same minimum
    elif data.kind == "numbers":
        model = Ridge(alpha=ALPHA * n / 2)
    else:
        model = TweedieRegressor(power=1 if data.kind == "counts" else 1.5, alpha=ALPHA, link="log", max_iter=10_000)
    scaler = StandardScaler(with_mean=data.form != "sparse")
    if data.form == "frame":
        numbers = make_pipeline(SimpleImputer(), scaler), make_column_selector(dtype_include="number")
        levels = OneHotEncoder(handle_unknown="ignore"), make_column_selector(dtype_include="category")
        scaler = make_column_transformer(numbers, levels)
    return make_pipeline(scaler, model)


def boosted(family, data, loss):
    """A few trees; without a loss, those of the library's own objective."""
    task = "Classifier" if of_classes(data) else "Regressor"
    rounds = 3 if data.kind == "classes" else 10  # with a tree for each class
    if data.kind in ("counts", "amounts") and len(data.y) > 10_000:
        rounds = 50  # steps of majorize are shorter, and go on for longer
    objective = OBJECTIVES[family][list(LOSSES).index(data.kind)]
    if family == "HistGradientBoosting":
        estimator = HistGradientBoostingClassifier if of_classes(data) else HistGradientBoostingRegressor
        objective = objective if loss is None else hist_gradient_boosting_loss(loss)
        return estimator(objective, max_iter=rounds, early_stopping=False, l2_regularization=1.0)
    name, options = {
        "LGBM": ("lightgbm", {"n_jobs": 1, "verbose": -1, "reg_lambda": 1.0}),
        "XGB": ("xgboost", {"n_jobs": 1, "enable_categorical": data.form == "frame"}),
        "CatBoost": ("catboost", {"thread_count": 1, "verbose": False, "allow_writing_files": False, "depth": 4}),
    }[family]
    if family == "CatBoost":
        options["leaf_estimation_iterations"] = 1  # as a custom objective has
    options |= {"n_estimators": rounds, "learning_rate": 0.1}
    module = pytest.importorskip(name)
    if loss is None:
        options["loss_function" if family == "CatBoost" else "objective"] = objective
    else:
        module, options["loss"] = importlib.import_module(f"fastloss.{name}"), loss
    return getattr(module, family + task)(**options)


def fitted(family, data, loss, y=None):
    model = linear(data, loss) if family == "linear" else boosted(family, data, loss)
    options = {}
    if data.weight is not None:
        options[f"{model.steps[-1][0]}__sample_weight" if family == "linear" else "sample_weight"] = data.weight
    if family == "CatBoost" and data.form == "frame":
        options["cat_features"] = list(data.X.select_dtypes("category"))
    return model.fit(features(family, data.X), data.y if y is None else y, **options)


def features(family, X):
    """CatBoost takes no missing category."""
    if family == "CatBoost" and hasattr(X, "iloc"):
        return X.assign(payment=X["payment"].cat.add_categories("none").fillna("none"))
    return X


def held_out(family, model, data, loss, y=None):
    """The mean loss of rows that the model has not seen: of its probabilities where it has some, else of its scores."""
    X = features(family, data.X_test)
    y = data.y_test if y is None else y
    if hasattr(model, "predict_proba") and not isinstance(loss, fl.Hinge):
        p = model.predict_proba(X)
        assert np.isfinite(p).all()
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
        return metrics.log_loss(y, p / p.sum(axis=1, keepdims=True, dtype=np.float64), labels=model.classes_)
    if of_classes(data):
        return loss(np.asarray(model.decision_function(X)), y == model.classes_[1])
    prediction = np.asarray(model.predict(X), np.float64)
    assert np.isfinite(prediction).all()
    if data.kind != "numbers":
        assert (prediction > 0).all()
        prediction = np.log(prediction)
    return loss(prediction, y, sample_weight=data.weight_test)


def of_constant(data, loss):
    """The mean loss of the best constant of the rows to train on."""
    if not of_classes(data):
        z = np.full(len(data.y_test), loss.init_score(data.y, data.weight))
        return loss(z, data.y_test, sample_weight=data.weight_test)
    labels, counts = np.unique(data.y, return_counts=True)
    if isinstance(loss, fl.Hinge):
        return loss(np.full(len(data.y_test), loss.init_score(data.y == labels[1])), data.y_test == labels[1])
    return metrics.log_loss(data.y_test, np.tile(counts / counts.sum(), (len(data.y_test), 1)), labels=labels)


def suits(family, name):
    """Whether an estimator takes features that lie in memory as these do."""
    return family != "HistGradientBoosting" or name not in ("text", "reviews")


PAIRS = [(family, name) for name in realistic.GENERATORS for family in FAMILIES if suits(family, name)]
each_pair = pytest.mark.parametrize(("family", "name"), PAIRS, ids=map("-".join, PAIRS))


@each_size
@each_pair
def test_as_good_as_the_library_s_own_objective(family, name, full):
    data = data_for(family, name, full)
    loss = LOSSES[data.kind][0]
    constant = of_constant(data, loss)
    ours = held_out(family, fitted(family, data, loss), data, loss)
    assert ours < constant
    if family != "linear" and OBJECTIVES[family][list(LOSSES).index(data.kind)] is None:
        return
    y, y_test = data.y, data.y_test
    if of_classes(data):
        # XGBoost's own takes class indices alone.
        classes, y = np.unique(y, return_inverse=True)
        y_test = np.searchsorted(classes, y_test)
    theirs = held_out(family, fitted(family, data, None, y), data, loss, y_test)
    assert constant - ours > 0.9 * (constant - theirs)


@each_size
@each_pair
def test_better_than_the_best_constant(family, name, full):
    data = data_for(family, name, full)
    for loss in LOSSES[data.kind][1:] + (LINEAR_LOSSES.get(data.kind, []) if family == "linear" else []):
        assert held_out(family, fitted(family, data, loss), data, loss) < of_constant(data, loss), loss


@each_size
@pytest.mark.parametrize("name", realistic.GENERATORS)
def test_scorers(name, full):
    data = data_of(name, full)
    loss = LOSSES[data.kind][0]
    model = fitted("linear", data, loss)
    score = loss_scorer(loss)(model, data.X_test, data.y_test, sample_weight=data.weight_test)
    assert score == pytest.approx(-held_out("linear", model, data, loss), rel=1e-5)


@each_size
@pytest.mark.parametrize("name", [name for name in realistic.GENERATORS if of_classes(data_of(name, False))])
def test_calibration(name, full):
    """Of the rows that it is fitted to, a factor less than 1 and shifts can only lower the loss."""
    data = data_of(name, full)
    loss = LOSSES[data.kind][0]
    model = fitted("linear", data, loss)
    by_factor, by_class = (
        held_out("linear", scaling(FrozenEstimator(model)).fit(data.X_test, data.y_test), data, loss)
        for scaling in (TemperatureScaling, VectorScaling)
    )
    assert by_class <= by_factor + 1e-8
    assert by_factor <= held_out("linear", model, data, loss) + 1e-8
