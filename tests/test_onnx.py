"""`fastloss.onnx`: what ONNX's runtime computes of an exported model is what the estimator says."""

import importlib

import numpy as np
import pytest

import fastloss as fl

pytest.importorskip("sklearn")
pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from fastloss.onnx import register, to_onnx  # noqa: E402
from fastloss.sklearn import LossClassifier, LossClassifierCV, LossRegressor, LossRegressorCV  # noqa: E402

RNG, N = np.random.default_rng(0), 150
X = RNG.normal(size=(N, 4)).astype(np.float32)
TWO = np.where(X[:, 0] + RNG.normal(size=N) > 1, "rare", "often")
THREE = np.array(["a", "b", "c"])[(3 * X[:, :3] + RNG.normal(size=(N, 3))).argmax(axis=1)]
NUMBERS = 3 * X[:, 0] + 10 + RNG.normal(size=N)
COUNTS = RNG.poisson(np.exp(X[:, 0])).astype(float)

BINARY = [
    fl.BinaryCrossEntropy(),
    fl.BinaryCrossEntropy(pos_weight=3.0, label_smoothing=0.1),
    fl.BinaryFocal(gamma=2.0),
    fl.BinaryFocal(gamma=0.5, alpha=0.8, label_smoothing=0.2),
    fl.BinaryFocal(gamma=0.0),
    fl.Exponential(),
    fl.Brier(),
    fl.SquaredHinge(),
    fl.ModifiedHuber(),
    fl.Hinge(),
]
ROWS = [
    fl.CrossEntropy(),
    fl.CrossEntropy(class_weight=[1.0, 3.0, 0.5], label_smoothing=0.1),
    fl.Focal(gamma=2.0),
    fl.Focal(gamma=0.5, class_weight=[1.0, 0.0, 2.0], label_smoothing=0.1),
    fl.Focal(gamma=0.0),
    fl.KLDivergence(),
    fl.Poly1(epsilon=-1.0),
    fl.Poly1(epsilon=2.0),
    fl.Poly1(epsilon=-1.5),
    fl.GeneralizedCrossEntropy(q=0.7),
    fl.GeneralizedCrossEntropy(q=1.0),
    fl.MulticlassHinge(),
]
by_repr = {"ids": repr}


def run(model, x=X):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(names, {session.get_inputs()[0].name: x}), strict=True))


def of_scores(loss, z, classes):
    """A linear model whose scores are its features."""
    model = LossClassifier(loss)
    k = z.shape[1]
    model.coef_, model.intercept_, model.classes_ = np.eye(k), np.zeros(k), np.asarray(classes)
    model.n_features_in_, model._is_multilabel = k, False
    return model


def agrees(model, x=X, rtol=1e-5, atol=1e-6, dtype=np.float32):
    found = run(to_onnx(model, dtype), x)
    if "label" in found:
        np.testing.assert_array_equal(found["label"], model.predict(x))
        if "scores" not in found:
            p = model.predict_proba(x)
            assert found["probabilities"].shape == p.shape
            np.testing.assert_allclose(found["probabilities"], p, rtol=rtol, atol=atol)
    else:
        prediction = model.predict(x).reshape(len(x), -1)
        np.testing.assert_allclose(found["prediction"], prediction, rtol=rtol, atol=atol)
    return found


# -------------------------------------------------------------------------------- posteriors

SCORES = np.r_[np.linspace(-30, 30, 241), [-1000.0, -100.0, -1e-6, 1e-6, 100.0, 1000.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", [each for each in BINARY if not isinstance(each, fl.Hinge)], **by_repr)
def test_posterior_of_two_classes(loss, dtype):
    z = SCORES[:, None].astype(dtype)
    found = run(to_onnx(of_scores(loss, z, [0, 1]), dtype), z)
    expected = loss.predict_proba(z[:, 0].astype(float))
    rtol = 1e-5 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(found["probabilities"][:, 1], expected, rtol=rtol, atol=1e-30)
    np.testing.assert_allclose(found["probabilities"][:, 0], 1 - expected, rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", [each for each in ROWS if not isinstance(each, fl.MulticlassHinge)], **by_repr)
def test_posterior_of_classes(loss, dtype):
    rng = np.random.default_rng(1)
    z = np.concatenate([rng.normal(size=(300, 3)) * scale for scale in (0.0, 1.0, 5.0, 20.0)]).astype(dtype)
    z = np.concatenate([z, [[50, 50, -50], [0, 0, 1], [80, 0, -80]]]).astype(dtype)
    found = run(to_onnx(of_scores(loss, z, [0, 1, 2]), dtype), z)["probabilities"]
    expected = loss.predict_proba(z.astype(float))
    # What undoes smoothing subtracts.
    atol = np.finfo(dtype).eps if loss.parameters.get("label_smoothing") else 1e-25
    np.testing.assert_allclose(found, expected, rtol=2e-5 if dtype == np.float32 else 1e-8, atol=atol)


# -------------------------------------------------------------------------------- linear models


@pytest.mark.parametrize(
    "loss", BINARY + [each for each in ROWS if not each.parameters.get("class_weight") is not None], **by_repr
)
def test_linear_classifier_of_two_classes(loss):
    found = agrees(LossClassifier(loss).fit(X, TWO))
    assert list(found) == [
        "label",
        "scores" if "hinge" in loss.name and "squared" not in loss.name else "probabilities",
    ]


@pytest.mark.parametrize(
    "loss", BINARY + [each for each in ROWS if np.all(each.parameters.get("class_weight") != 0)], **by_repr
)
def test_linear_classifier_of_three_classes(loss):
    agrees(LossClassifier(loss).fit(X, THREE))


@pytest.mark.parametrize("loss", ["squared_error", "huber", "poisson", "tweedie"])
def test_linear_regressor(loss):
    agrees(LossRegressor(loss).fit(X, COUNTS))
    agrees(LossRegressor(loss).fit(X, np.column_stack([COUNTS, COUNTS[::-1]])))


def test_other_linear_models():
    agrees(LossClassifierCV("focal", alphas=3, cv=3).fit(X, TWO))
    agrees(LossRegressorCV("quantile", alphas=3, cv=3).fit(X, NUMBERS))
    agrees(LossRegressor("aft").fit(X, COUNTS + 1))
    labels = np.column_stack([X[:, 0] > 0, X[:, 1] > 1]).astype(int)
    agrees(LossClassifier(fl.BinaryFocal(gamma=1.0)).fit(X, labels))
    agrees(LossClassifier("hinge").fit(X, labels))
    wide = LossClassifier("focal").fit(X.astype(float), THREE)
    agrees(wide, X.astype(float), 1e-12, 1e-15, np.float64)


@pytest.mark.parametrize("classes", [[False, True], [3, 7], [1.0, 2.0], ["a", "b"]], ids=repr)
def test_labels_keep_their_type(classes):
    model = LossClassifier("cross_entropy").fit(X, np.array(classes)[(X[:, 0] > 0).astype(int)])
    label = agrees(model)["label"]
    assert label.dtype.kind == {"b": "i", "U": "O"}.get(np.array(classes).dtype.kind, np.array(classes).dtype.kind)


# -------------------------------------------------------------------------------- trees


def with_gaps(x):
    """Values that are missing, in training and where nothing was missing in training."""
    x = x.copy()
    x[::5, 0] = np.nan
    x[3::7, 1] = np.nan
    return x


def booster(library, task, loss, **options):
    module = pytest.importorskip(library) and importlib.import_module(f"fastloss.{library}")
    options = {"n_estimators": 4 if library == "catboost" else 12, "random_state": 0} | options
    options |= {
        "lightgbm": {"verbose": -1, "n_jobs": 1, "num_leaves": 7},
        "xgboost": {"n_jobs": 1, "max_depth": 3},
        "catboost": {"verbose": False, "allow_writing_files": False, "thread_count": 1, "depth": 3},
    }[library]
    prefix = {"lightgbm": "LGBM", "xgboost": "XGB", "catboost": "CatBoost"}[library]
    return getattr(module, prefix + task)(loss=loss, **options)


each_library = pytest.mark.parametrize("library", ["lightgbm", "xgboost", "catboost"])


@each_library
@pytest.mark.parametrize("gaps", ["none", "in training", "later"])
def test_trees(library, gaps):
    train = with_gaps(X) if gaps == "in training" else X
    test = X if gaps == "none" or (gaps, library) == ("later", "catboost") else with_gaps(X)  # which refuses them
    agrees(booster(library, "Classifier", fl.BinaryFocal(gamma=2.0)).fit(train, TWO), test)
    agrees(booster(library, "Classifier", fl.Focal(gamma=1.0)).fit(train, THREE), test)
    agrees(booster(library, "Classifier", "hinge").fit(train, TWO), test)
    agrees(booster(library, "Regressor", "huber").fit(train, NUMBERS), test)
    agrees(booster(library, "Regressor", "poisson").fit(train, COUNTS), test)


@each_library
def test_thresholds_of_doubles(library):
    """Features that are next to each other in single precision, so that no threshold between them is."""
    steps = RNG.integers(8, size=(N, 2))
    x = (1 + steps * 2.0**-23).astype(np.float32)
    options = {"min_data_in_bin": 1, "min_child_samples": 1} if library == "lightgbm" else {}
    agrees(booster(library, "Regressor", "squared_error", **options).fit(x, steps @ [10.0, 1.0]), x)


@each_library
def test_trees_up_to_the_best_round(library):
    stop = {"lightgbm": {"early_stopping_round": 2}}.get(library, {"early_stopping_rounds": 2})
    model = booster(library, "Classifier", "focal", learning_rate=2.0, **stop)
    quiet = {} if library == "lightgbm" else {"verbose": False}
    agrees(model.fit(X[:75], TWO[:75], eval_set=[(X[75:], TWO[75:])], **quiet))


def test_dropped_trees():
    agrees(booster("xgboost", "Regressor", "huber", booster="dart", rate_drop=0.5).fit(X, NUMBERS))
    agrees(booster("lightgbm", "Regressor", "huber", boosting_type="dart").fit(X, NUMBERS))


@each_library
def test_trained_on(library):
    model = booster(library, "Classifier", "focal").fit(X, THREE)
    name = "xgb_model" if library == "xgboost" else "init_model"
    agrees(booster(library, "Classifier", "focal").fit(X, THREE, **{name: model}))


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_several_numbers_a_row(library):
    model = booster(library, "Regressor", fl.GaussianNLL()).fit(X, NUMBERS)
    z = run(to_onnx(model))["scores"]
    np.testing.assert_allclose(fl.GaussianNLL().mean(z), model.predict(X), rtol=1e-5)


# -------------------------------------------------------------------------------- pipelines


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("library", ["sklearn", "lightgbm", "xgboost", "catboost"])
def test_pipelines(library):
    skl2onnx = pytest.importorskip("skl2onnx")

    def maker(task, loss):
        if library == "sklearn":
            return LossClassifier(loss) if task == "Classifier" else LossRegressor(loss)
        return booster(library, task, loss)

    # Rounding of the scaler's would take some features to the other side of a threshold.
    is_linear = library == "sklearn"
    scaler = StandardScaler(with_mean=is_linear, with_std=is_linear)
    models = {
        "two": make_pipeline(scaler, maker("Classifier", "focal")).fit(X, TWO),
        "three": make_pipeline(scaler, maker("Classifier", "focal")).fit(X, THREE),
        "hinge": make_pipeline(scaler, maker("Classifier", "hinge")).fit(X, TWO),
        "counts": make_pipeline(scaler, maker("Regressor", "poisson")).fit(X, COUNTS),
    }
    register()
    register()
    for name, model in models.items():
        options = {"options": {"zipmap": False}} if name == "two" else {}
        label, *scores = run(skl2onnx.to_onnx(model, X[:1], target_opset={"": 17, "ai.onnx.ml": 3}, **options)).values()
        if name == "counts":
            np.testing.assert_allclose(label[:, 0], model.predict(X), rtol=1e-4)
            continue
        np.testing.assert_array_equal(label, model.predict(X))
        if name != "hinge":
            np.testing.assert_allclose(scores[0], model.predict_proba(X), rtol=1e-4, atol=1e-6)


def test_integers_and_doubles_before_a_pipeline():
    skl2onnx = pytest.importorskip("skl2onnx")
    register()
    x = np.round(10 * X).astype(np.int64)
    for features in (x, x.astype(float)):
        model = LossClassifier("focal").fit(features, TWO)
        found = run(skl2onnx.to_onnx(model, features[:1]), features)
        np.testing.assert_allclose(found["probabilities"], model.predict_proba(features), rtol=1e-4, atol=1e-6)


# -------------------------------------------------------------------------------- what cannot be written


class Halved(fl.BinaryFocal):
    """A loss that is none of the package."""


def test_refused():
    from sklearn.exceptions import NotFittedError
    from sklearn.linear_model import LinearRegression

    with pytest.raises(TypeError, match=r"linear models and booster estimators of this package, got LinearRegression"):
        to_onnx(LinearRegression().fit(X, NUMBERS))
    with pytest.raises(NotFittedError):
        to_onnx(LossRegressor())
    with pytest.raises(ValueError, match=r"Halved\(.*is no loss of this package"):
        to_onnx(LossClassifier(Halved()).fit(X, TWO))
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        to_onnx(LossRegressor().fit(X, NUMBERS), np.float16)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost", "catboost"])
def test_categories_are_refused(library):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X[:, :2], columns=["a", "b"])
    frame["c"] = pandas.Categorical(np.array(["u", "v", "w", "x"])[(4 * abs(X[:, 2])).astype(int) % 4])
    y = NUMBERS + 10 * frame["c"].isin(["u", "x"])
    fit = {"cat_features": ["c"]} if library == "catboost" else {}
    options = {
        "lightgbm": {"min_data_per_group": 1, "cat_smooth": 0.0, "min_child_samples": 2},
        "xgboost": {"enable_categorical": True},
        "catboost": {},
    }[library]
    model = booster(library, "Regressor", "huber", **options).fit(frame, y, **fit)
    with pytest.raises(ValueError, match="categories"):
        to_onnx(model)
