"""A model's life after `fit`, the same for boosters, scikit-learn's trees and linear models.

Saved in every format, loaded, continued from memory, a file and a pickle, explained, stopped early, fitted again. Each
public method of prediction agrees with the raw scores, and these with what was trained.
"""

import copy
import io
import json
import pickle

import numpy as np
import pytest

import fastloss as fl

catboost = pytest.importorskip("catboost")
lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")
joblib = pytest.importorskip("joblib")
pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor  # noqa: E402

import fastloss.catboost  # noqa: E402
import fastloss.lightgbm  # noqa: E402
import fastloss.xgboost  # noqa: E402
from fastloss.sklearn import LossClassifier, LossRegressor, hist_gradient_boosting_loss  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 3))
SCORE = X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + 0.3 * RNG.normal(size=len(X))
# The start value is far from 0 in each, so that losing it shows. Classes have names.
TARGETS = {
    "binary": ("Classifier", fl.BinaryFocal(gamma=1.5), np.where(SCORE > 1.0, "rare", "often")),
    "rows": (
        "Classifier",
        fl.Focal(class_weight=[1.0, 2.0, 0.5]),
        np.array(["a", "b", "c"])[np.digitize(SCORE, [0, 1])],
    ),
    "real": ("Regressor", fl.Huber(delta=0.5), SCORE + 100.0),
    "counts": ("Regressor", fl.Tweedie(power=1.3), np.floor(np.exp(SCORE + 3))),
}


def lgbm(task, loss, **options):
    made = {"Classifier": fastloss.lightgbm.LGBMClassifier, "Regressor": fastloss.lightgbm.LGBMRegressor}[task]
    return made(loss, **{"n_estimators": 6, "num_leaves": 5, "verbose": -1, "n_jobs": 1, **options})


def xgb(task, loss, **options):
    made = {"Classifier": fastloss.xgboost.XGBClassifier, "Regressor": fastloss.xgboost.XGBRegressor}[task]
    return made(loss, **{"n_estimators": 6, "max_depth": 2, "min_child_weight": 0, "n_jobs": 1, **options})


def cat(task, loss, **options):
    made = {"Classifier": fastloss.catboost.CatBoostClassifier, "Regressor": fastloss.catboost.CatBoostRegressor}[task]
    shared = {"learning_rate": 0.3, "depth": 2, "thread_count": 1, "verbose": False, "allow_writing_files": False}
    certain = {"random_strength": 0, "bootstrap_type": "No", "boosting_type": "Plain"}
    return made(loss, **{"n_estimators": 6, **shared, **certain, **options})


def hist(task, loss, **options):
    made = {"Classifier": HistGradientBoostingClassifier, "Regressor": HistGradientBoostingRegressor}[task]
    if "n_estimators" in options:
        options["max_iter"] = options.pop("n_estimators")
    return made(**{"loss": hist_gradient_boosting_loss(loss), "max_iter": 6, "max_leaf_nodes": 5, **options})


def linear(task, loss, **options):
    return {"Classifier": LossClassifier, "Regressor": LossRegressor}[task](loss, **options)


BOOSTERS = {"lightgbm": lgbm, "xgboost": xgb, "catboost": cat}
MAKERS = {**BOOSTERS, "hist": hist, "linear": linear}

each_booster = pytest.mark.parametrize("booster", BOOSTERS)
each_kind = pytest.mark.parametrize("kind", TARGETS)


@pytest.fixture(scope="module")
def fitted():
    """One model of each kind, trained once; who changes it takes a copy."""
    made = {}

    def of(name, kind):
        if (name, kind) not in made:
            task, loss, y = TARGETS[kind]
            made[name, kind] = MAKERS[name](task, loss).fit(X, y)
        return made[name, kind]

    return of


def raw(model, data=X):
    if hasattr(model, "decision_function"):
        return np.asarray(model.decision_function(data))
    if isinstance(model, lightgbm.LGBMModel):
        return model.predict(data, raw_score=True)
    if isinstance(model, xgboost.XGBModel):
        return model.predict(data, output_margin=True)
    if isinstance(model, catboost.CatBoost):
        return model.predict(data, "RawFormulaVal")
    if isinstance(model, HistGradientBoostingRegressor):
        return model._raw_predict(data)[:, 0]
    return data @ model.coef_.ravel() + model.intercept_


def answers(model):
    """What the model says in each public way."""
    found = [raw(model), model.predict(X)]
    return found + [model.predict_proba(X)] if hasattr(model, "predict_proba") else found


def alike(a, b, tolerance=1e-12):
    if tolerance == 0 or a.dtype.kind != "f":
        np.testing.assert_array_equal(a, b)
    else:
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def same(model, other, tolerance=0):
    for a, b in zip(answers(model), answers(other), strict=True):
        alike(a, b, tolerance)


# --------------------------------------------------------------------- predictions


@each_kind
@pytest.mark.parametrize("name", MAKERS)
def test_every_way_of_predicting_agrees_with_the_raw_scores(fitted, name, kind):
    _, loss, y = TARGETS[kind]
    model = fitted(name, kind)
    z = raw(model)
    if kind in ("real", "counts"):
        np.testing.assert_allclose(model.predict(X), loss.inverse_link(z), rtol=1e-5)
        return
    p = loss.predict_proba(z)
    p = np.column_stack([1 - p, p]) if p.ndim == 1 else p
    found = model.predict_proba(X)
    np.testing.assert_allclose(found, p, rtol=1e-5, atol=1e-6)
    # scikit-learn's trees and linear models predict the class of the largest score: here, of the largest weighted one.
    best = z.argmax(axis=1) if kind == "rows" and name not in BOOSTERS else found.argmax(axis=1)
    np.testing.assert_array_equal(model.predict(X), np.asarray(model.classes_)[best])
    assert list(model.classes_) == sorted(set(y))
    if hasattr(model, "predict_log_proba"):
        np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), found, rtol=1e-5)
    assert model.score(X, y) == pytest.approx(np.mean(model.predict(X) == y))


@each_kind
def test_stages_of_catboost(fitted, kind):
    model = fitted("catboost", kind)
    pairs = [("staged_predict", "predict")]
    if kind in ("binary", "rows"):
        pairs += [(f"staged_predict_{what}", f"predict_{what}") for what in ("proba", "log_proba")]
    for staged, plain in pairs:
        stages = list(getattr(model, staged)(X, eval_period=2))
        assert len(stages) == 3
        alike(stages[-1], getattr(model, plain)(X))
        alike(stages[0], getattr(model, plain)(X, ntree_end=2))
    alike(list(model.staged_predict(X, "RawFormulaVal"))[-1], raw(model))
    np.testing.assert_array_equal(model.predict(X[0]), model.predict(X)[0])  # the features of one row


@each_kind
def test_stages_of_the_others(fitted, kind):
    """The first trees hold the start value, or the model does."""
    _, loss, y = TARGETS[kind]
    stages = {
        "lightgbm": lambda model: model.predict(X, raw_score=True, num_iteration=2),
        "xgboost": lambda model: model.predict(X, output_margin=True, iteration_range=(0, 2)),
    }
    for name, stage in stages.items():
        shorter = MAKERS[name](*TARGETS[kind][:2], n_estimators=2).fit(X, y)
        np.testing.assert_allclose(stage(fitted(name, kind)), raw(shorter), rtol=1e-6, atol=1e-6)


@each_kind
@each_booster
def test_contributions_of_features_sum_to_the_raw_score(fitted, booster, kind):
    model = fitted(booster, kind)
    z = raw(model)
    if booster == "lightgbm":
        found = model.predict(X, pred_contrib=True).reshape(len(X), -1, X.shape[1] + 1)
    elif booster == "xgboost":
        found = model.get_booster().predict(xgboost.DMatrix(X), pred_contribs=True).reshape(len(X), -1, X.shape[1] + 1)
    else:
        found = model.get_feature_importance(catboost.Pool(X), type="ShapValues").reshape(len(X), -1, X.shape[1] + 1)
    np.testing.assert_allclose(found.sum(axis=2), z.reshape(len(X), -1), rtol=1e-4, atol=1e-4)


# --------------------------------------------------------------------- saved and loaded


@each_kind
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("way", ["pickle", "joblib", "copy", "deepcopy"])
def test_a_stored_estimator_is_the_same(fitted, name, kind, way, tmp_path):
    model = fitted(name, kind)
    if way == "pickle":
        other = pickle.loads(pickle.dumps(model))
    elif way == "joblib":
        joblib.dump(model, tmp_path / "model")
        other = joblib.load(tmp_path / "model")
    else:
        other = getattr(copy, way)(model)
    same(model, other)
    if way != "copy":
        same(pickle.loads(pickle.dumps(other)), model)


FORMATS = [("xgboost", "json"), ("xgboost", "ubj"), ("catboost", "cbm"), ("catboost", "json")]


@each_kind
@pytest.mark.parametrize(("booster", "form"), FORMATS)
def test_a_native_model_knows_its_loss_and_its_classes(fitted, booster, form, kind, tmp_path):
    """Loaded by an estimator that was made with another loss, or with none."""
    model, path = fitted(booster, kind), tmp_path / f"model.{form}"
    digits = 1e-9 if (booster, form) == ("catboost", "json") else 0  # which it rounds
    task, loss, y = TARGETS[kind]
    options = {"format": form} if booster == "catboost" else {}
    model.save_model(path, **options)
    for other in ("cross_entropy", "focal") if task == "Classifier" else ("squared_error", "gamma"):
        loaded = BOOSTERS[booster](task, other)
        loaded.load_model(path, **options)
        same(model, loaded, digits)
        assert loaded.loss_ == loss
        assert loaded.get_params()["loss"] == loss
        np.testing.assert_allclose(loaded.init_score_, model.init_score_, rtol=1e-6)
        same(loaded, pickle.loads(pickle.dumps(loaded)))
    # Saved once more, continued, and fitted again.
    loaded.save_model(path, **options)
    again = BOOSTERS[booster](task, loss)
    again.load_model(path, **options)
    same(model, again, digits)
    same(again.fit(X, y), model)


@each_kind
def test_other_ways_to_load_a_model_of_catboost(fitted, kind, tmp_path):
    model = fitted("catboost", kind)
    model.save_model(tmp_path / "model.cbm")
    stored = (tmp_path / "model.cbm").read_bytes()
    same(model, cat(*TARGETS[kind][:2]).load_model(blob=stored))
    same(
        model, cat(TARGETS[kind][0], "cross_entropy" if kind in ("binary", "rows") else "huber").load_model(blob=stored)
    )
    assert cat(*TARGETS[kind][:2]).load_model(stream=io.BytesIO(stored)).predict(X[:1]) == model.predict(X[:1])


@each_kind
def test_a_native_model_of_lightgbm_holds_the_start_value(fitted, kind, tmp_path):
    model = fitted("lightgbm", kind)
    model.booster_.save_model(tmp_path / "model.txt")
    for loaded in (
        lightgbm.Booster(model_file=tmp_path / "model.txt"),
        lightgbm.Booster(model_str=model.booster_.model_to_string()),
    ):
        np.testing.assert_allclose(loaded.predict(X), raw(model), rtol=1e-12)


class Halved(fl.Huber):
    """A loss that is none of the package."""


@pytest.mark.parametrize("booster", ["xgboost", "catboost"])
def test_a_loss_of_one_s_own_is_not_guessed(booster, tmp_path):
    y, path = TARGETS["real"][2], tmp_path / "model"
    model = BOOSTERS[booster]("Regressor", Halved(delta=0.5)).fit(X, y)
    options = {"format": "cbm"} if booster == "catboost" else {}
    path = path.with_suffix(".cbm" if options else ".json")
    model.save_model(path, **options)
    with pytest.raises(ValueError, match=r"trained on Halved\(delta=0.5\)"):
        BOOSTERS[booster]("Regressor", "huber").load_model(path)
    loaded = BOOSTERS[booster]("Regressor", Halved(delta=0.5))
    loaded.load_model(path)
    same(model, loaded)


def test_models_of_the_libraries_own_objectives_are_loaded(tmp_path):
    """The loss is that of the estimator; what it starts from is a probability or a mean there."""
    y = SCORE > 1
    own = xgboost.XGBClassifier(n_estimators=3).fit(X, y)
    own.save_model(tmp_path / "own.json")
    loaded = xgb("Classifier", "cross_entropy")
    loaded.load_model(tmp_path / "own.json")
    np.testing.assert_allclose(loaded.predict_proba(X), own.predict_proba(X), rtol=1e-6)
    more = xgb("Classifier", "cross_entropy", n_estimators=1, learning_rate=1e-6).fit(X, y, xgb_model=own)
    np.testing.assert_allclose(more.predict_proba(X), own.predict_proba(X), rtol=1e-4)

    counts = TARGETS["counts"][2]
    own = xgboost.XGBRegressor(n_estimators=3, objective="count:poisson").fit(X, counts)
    more = xgb("Regressor", "poisson", n_estimators=1, learning_rate=1e-6).fit(X, counts, xgb_model=own)
    np.testing.assert_allclose(more.predict(X), own.predict(X), rtol=1e-4)

    own = catboost.CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False).fit(X, y)
    own.save_model(tmp_path / "own.cbm")
    loaded = cat("Classifier", "cross_entropy").load_model(tmp_path / "own.cbm")
    np.testing.assert_allclose(loaded.predict_proba(X), own.predict_proba(X), rtol=1e-6)
    loaded.fit(X, y)  # what CatBoost says of its own objective is not taken for the user's


# --------------------------------------------------------------------- continued

CONTINUES = {"lightgbm": "init_model", "xgboost": "xgb_model", "catboost": "init_model"}


def given_as(way, booster, model, path):
    """A model to go on with: the estimator, its booster, a file, or a copy out of a pickle."""
    if way == "memory":
        return model
    if way == "pickle":
        return pickle.loads(pickle.dumps(model))
    if way == "booster":
        native = {"lightgbm": "booster_", "xgboost": "get_booster"}.get(booster)
        return model if native is None else getattr(model, native) if booster == "lightgbm" else model.get_booster()
    path = path / {"lightgbm": "model.txt", "xgboost": "model.ubj", "catboost": "model.cbm"}[booster]
    (model.booster_ if booster == "lightgbm" else model).save_model(path)
    return str(path)


@each_kind
@each_booster
@pytest.mark.parametrize("way", ["memory", "booster", "file", "pickle"])
def test_training_goes_on_where_it_ended(fitted, booster, kind, way, tmp_path):
    """A tree that weighs next to nothing changes next to nothing, once and twice; and real ones make it better."""
    task, loss, y = TARGETS[kind]
    first = fitted(booster, kind)
    before = [each.copy() for each in answers(first)]
    model = first
    for _ in range(2):
        go_on = {CONTINUES[booster]: given_as(way, booster, model, tmp_path)}
        model = BOOSTERS[booster](task, loss, n_estimators=1, learning_rate=1e-6).fit(X, y, **go_on)
        np.testing.assert_allclose(raw(model), raw(first), rtol=1e-5, atol=1e-5)
    same(model, first, 1e-5)
    for a, b in zip(answers(first), before, strict=True):
        np.testing.assert_array_equal(a, b)  # the model to go on with is not touched
    go_on = {CONTINUES[booster]: given_as(way, booster, first, tmp_path)}
    more = BOOSTERS[booster](task, loss).fit(X, y, **go_on)
    codes = y if task == "Regressor" else np.searchsorted(more.classes_, y)
    assert loss(raw(more), codes) < loss(raw(first), codes)
    # The same trees, however the first ones came: six and six are twelve.
    twelve = BOOSTERS[booster](task, loss, n_estimators=12).fit(X, y)
    np.testing.assert_allclose(raw(more), raw(twelve), rtol=2e-3, atol=2e-3)


# --------------------------------------------------------------------- stopped early, fitted again, changed


def with_evaluation(booster, task, loss, y, rounds, **options):
    train, test = slice(0, 80), slice(80, None)
    model = BOOSTERS[booster](task, loss, n_estimators=60, learning_rate=0.5, **options)
    if booster == "lightgbm":
        stop = [lightgbm.early_stopping(rounds, verbose=False)]
        return model.fit(X[train], y[train], eval_set=[(X[test], y[test])], callbacks=stop), model.best_iteration_
    if booster == "xgboost":
        model.set_params(early_stopping_rounds=rounds)
        model.fit(X[train], y[train], eval_set=[(X[test], y[test])], verbose=False)
        return model, model.best_iteration + 1
    model.fit(X[train], y[train], eval_set=(X[test], y[test]), early_stopping_rounds=rounds)
    return model, model.best_iteration_ + 1


@each_kind
@each_booster
def test_early_stopping_leaves_the_best_model(booster, kind):
    task, loss, y = TARGETS[kind]
    model, best = with_evaluation(booster, task, loss, y, 3)
    assert best < 60
    codes = y if task == "Regressor" else np.searchsorted(model.classes_, y)
    results = model.evals_result() if booster == "xgboost" else model.evals_result_
    (values,) = results[{"lightgbm": "valid_0", "xgboost": "validation_0", "catboost": "validation"}[booster]].values()
    assert values[best - 1] == min(values)
    assert loss(raw(model, X[80:]), codes[80:]) == pytest.approx(min(values), rel=1e-4)
    same(pickle.loads(pickle.dumps(model)), model)


@each_kind
@pytest.mark.parametrize("name", MAKERS)
def test_fitted_again_it_is_as_new(fitted, name, kind):
    """After other data, another loss and other parameters."""
    task, loss, y = TARGETS[kind]
    first = fitted(name, kind)
    model = MAKERS[name](task, loss)
    if name != "catboost":  # which refuses to change a fitted model
        other = {"binary": "brier", "rows": "poly1", "real": "log_cosh", "counts": "poisson"}[kind]
        model.set_params(loss=hist_gradient_boosting_loss(other) if name == "hist" else other).fit(X[:100], y[:100])
        model.set_params(loss=hist_gradient_boosting_loss(loss) if name == "hist" else loss)
    same(model.fit(X, y), first)
    same(model.fit(X, y), first)
    same(clone(model).fit(X, y), first)


@each_kind
@pytest.mark.parametrize("name", [name for name in MAKERS if name != "catboost"])
def test_parameters_set_after_fit_change_no_prediction(fitted, name, kind):
    model = copy.deepcopy(fitted(name, kind))
    model.set_params(**{"hist": {"verbose": 0}, "linear": {"verbose": 0}}.get(name, {"n_jobs": 2}))
    same(model, fitted(name, kind))


def test_xgboost_stops_by_what_was_asked_for():
    y = TARGETS["binary"][2]
    for metric in ("auc", ["aucpr", "auc"]):
        model, best = with_evaluation("xgboost", "Classifier", "focal", y, 5, eval_metric=metric)
        curves = model.evals_result()["validation_0"]
        assert list(curves) == ([metric] if isinstance(metric, str) else metric)
        assert curves["auc"][best - 1] == max(curves["auc"])
    both = ["auc", fastloss.xgboost.metric(fl.BinaryFocal())]
    model, best = with_evaluation("xgboost", "Classifier", "focal", y, 5, eval_metric=both)
    curves = model.evals_result()["validation_0"]
    assert list(curves) == ["auc", "binary_focal"]
    assert curves["binary_focal"][best - 1] == min(curves["binary_focal"])


# --------------------------------------------------------------------- evaluation sets that weigh


def test_weights_of_evaluation_sets():
    """Class weights of CatBoost weigh them, as in CatBoost; a Pool's weights count; the others have arguments."""
    y = TARGETS["binary"][2]
    w = np.where(y == "rare", 9.0, 1.0)
    codes = (y == "rare").astype(int)
    loss = fl.BinaryFocal()
    pool = catboost.Pool(X, codes, weight=w)
    fits = {
        "class weights": cat("Classifier", loss, class_weights=[1, 9], use_best_model=False).fit(X, y, eval_set=(X, y)),
        "pool": cat("Classifier", loss, use_best_model=False).fit(X, codes, eval_set=pool),
        "pools": cat("Classifier", loss, use_best_model=False).fit(X, codes, eval_set=[pool]),
        "lightgbm": lgbm("Classifier", loss).fit(X, y, eval_set=[(X + 0.0, y)], eval_sample_weight=[w]),
        "lightgbm's classes": lgbm("Classifier", loss).fit(
            X, y, eval_set=[(X + 0.0, y)], eval_class_weight=[{"often": 1, "rare": 9}]
        ),
        "xgboost": xgb("Classifier", loss).fit(X, y, eval_set=[(X, y)], sample_weight_eval_set=[w], verbose=False),
    }
    for name, model in fits.items():
        results = model.evals_result() if name == "xgboost" else model.evals_result_
        results = next(value for key, value in results.items() if key != "learn")
        assert results["binary_focal"][-1] == pytest.approx(loss(raw(model), codes, sample_weight=w), rel=1e-4), name
    np.testing.assert_array_equal(pool.get_weight(), w)  # the caller's
    assert pool.get_baseline() is None or not np.size(pool.get_baseline())


def test_labels_of_a_pool_must_be_codes():
    y = TARGETS["binary"][2]
    for pool in (catboost.Pool(X, y), catboost.Pool(X, (y == "rare") + 1)):
        with pytest.raises(ValueError, match=r"eval_set\[0\]"):
            cat("Classifier", "focal").fit(X, y == "rare" if pool.get_label()[0] in (1, 2) else y, eval_set=pool)


@pytest.mark.parametrize("names", [["no", "yes"], ["a", "b", "c"]])
def test_numbers_of_a_pool_are_the_codes_of_named_classes(names):
    codes = np.digitize(SCORE, np.quantile(SCORE, [0.6, 0.8][: len(names) - 1]))
    y = np.array(names)[codes]
    first, second = (
        cat("Classifier", "focal", use_best_model=False).fit(X, y, eval_set=given)
        for given in (catboost.Pool(X, codes), (X, y))
    )
    assert first.evals_result_["validation"] == second.evals_result_["validation"]
    with pytest.raises(ValueError, match=r"eval_set\[0\].* is none of the classes"):
        cat("Classifier", "focal").fit(X, y, eval_set=catboost.Pool(X, codes + 1))


def test_a_pool_to_train_on_is_refused_in_words():
    with pytest.raises(TypeError, match="X and y must be given apart"):
        cat("Regressor", "huber").fit(catboost.Pool(X, SCORE))


def test_no_warning_of_compilers(monkeypatch):
    """CatBoost with Numba would like to compile the objective; pytest makes warnings errors."""
    pytest.importorskip("numba")
    cat("Classifier", "focal").fit(X, SCORE > 1, eval_set=(X, SCORE > 1))


def test_a_record_is_plain_json(fitted):
    found = json.loads(fitted("xgboost", "rows").get_booster().attr("fastloss"))
    assert (found["loss"], found["classes"]) == ("focal", ["a", "b", "c"])
    assert found["parameters"]["class_weight"] == [1.0, 2.0, 0.5]
