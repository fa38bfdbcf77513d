"""Each parameter of the boosters' estimators counts, is refused, or means nothing here: new ones have to be put in."""

import importlib
import inspect

import numpy as np
import pytest

from fastloss._booster_parameters import CATBOOST, LIBRARIES, LIGHTGBM, XGBOOST

lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")
catboost = pytest.importorskip("catboost")
pytest.importorskip("sklearn")


def estimator(library, task, loss, **options):
    prefix = {"lightgbm": "LGBM", "xgboost": "XGB", "catboost": "CatBoost"}[library]
    module = importlib.import_module(f"fastloss.{library}")
    quick = {
        "lightgbm": {"n_estimators": 3, "verbose": -1, "n_jobs": 1},
        "xgboost": {"n_estimators": 3, "n_jobs": 1},
        "catboost": {"iterations": 3, "verbose": False, "allow_writing_files": False, "thread_count": 1},
    }[library]
    return getattr(module, f"{prefix}{task}")(loss, **{**quick, **options})


def problem():
    X = np.random.default_rng(0).normal(size=(300, 3))
    return X, (X[:, 0] > 0.5).astype(int)


# --------------------- the lists are complete


def names(table):
    return set(table.refused) | table.counting | table.meaningless


@pytest.mark.parametrize("table", LIBRARIES.values(), ids=LIBRARIES)
def test_no_name_stands_twice(table):
    assert len(names(table)) == len(table.refused) + len(table.counting) + len(table.meaningless)
    for each in table.refused.values():
        assert not set(each.aliases) & names(table)


def test_all_parameters_of_lightgbm():
    """By the library's own list of names and aliases, and by the constructor."""
    aliases = lightgbm.basic._ConfigAliases._get_all_param_aliases()
    main = {alias: name for name, others in aliases.items() for alias in others}
    assert set(aliases) - names(LIGHTGBM) == set()
    constructor = set(inspect.signature(lightgbm.LGBMModel.__init__).parameters) - {"self", "kwargs"}
    assert {main.get(name, name) for name in constructor} - names(LIGHTGBM) == set()
    for name, refused in LIGHTGBM.refused.items():
        assert {name, *refused.aliases} == set(aliases[name])


def test_all_parameters_of_xgboost():
    constructor = set(inspect.signature(xgboost.XGBModel.__init__).parameters) - {"self", "kwargs"}
    assert constructor - names(XGBOOST) == set()


def test_all_parameters_of_catboost():
    constructors = (catboost.CatBoostClassifier.__init__, catboost.CatBoostRegressor.__init__)
    taken = {name for each in constructors for name in inspect.signature(each).parameters} - {"self"}
    aliases = {alias for each in CATBOOST.refused.values() for alias in each.aliases}
    assert taken - aliases - names(CATBOOST) == set()


# --------------------- what is refused

ASKING = {"boosting": "rf", "boost_from_average": False, "scale_pos_weight": 20.0, "sigmoid": 2.0}
REFUSED = [
    (library, name, main)
    for library, table in LIBRARIES.items()
    for main, refused in table.refused.items()
    for name in (main, *refused.aliases)
    if name != "loss"  # LightGBM's word for its objective is the parameter of ours
]


@pytest.mark.parametrize(("library", "name", "main"), REFUSED, ids=lambda value: value)
def test_what_would_count_for_nothing_is_refused(library, name, main):
    """By the name that was written, with what to write instead; in a classifier and in a regressor."""
    X, y = problem()
    value = ASKING.get(main, 0.3 if "bagging" in main else True if "is_" in main else 0.9)
    for task, loss in (("Classifier", "focal"), ("Regressor", "huber")):
        if library == "catboost" and task == "Regressor" and main.startswith("class"):
            continue  # CatBoost's regressor has no such parameter
        model = estimator(library, task, loss, **{name: value})
        with pytest.raises(ValueError, match=f"{name} must be left alone") as error:
            model.fit(X, y)
        assert LIBRARIES[library].refused[main].instead in str(error.value)


@pytest.mark.parametrize(
    ("library", "options"),
    [
        ("lightgbm", {"scale_pos_weight": 1.0, "is_unbalance": False, "linear_tree": False, "boosting": "gbdt"}),
        ("lightgbm", {"sigmoid": 1.0, "reg_sqrt": False, "pos_bagging_fraction": 1.0, "boost_from_average": True}),
        ("xgboost", {"scale_pos_weight": 1, "objective": "binary:logistic"}),
        ("catboost", {"boost_from_average": True, "class_names": None}),
    ],
)
def test_values_that_ask_for_nothing_are_taken(library, options):
    X, y = problem()
    model = estimator(library, "Classifier", "focal", **options).fit(X, y)
    np.testing.assert_array_equal(
        model.predict_proba(X), estimator(library, "Classifier", "focal").fit(X, y).predict_proba(X)
    )


@pytest.mark.parametrize("library", ["lightgbm", "catboost"])
def test_boost_from_average_says_whether_to_start_at_the_best_constant(library):
    X, y = problem()
    model = estimator(library, "Regressor", "huber", boost_from_average=False).fit(X, y + 100.0)
    assert model.init_score_ == 0
    assert abs(model.predict(X)).max() < 90


@pytest.mark.parametrize(
    ("library", "options"),
    [
        ("lightgbm", {"max_leaf_output": 0.01}),
        ("lightgbm", {"min_split_gain": 50.0}),
        ("lightgbm", {"eta": 0.5, "learning_rate": 0.5}),
        ("lightgbm", {"monotonic_cst": [-1, 0, 0]}),
        ("xgboost", {"max_delta_step": 0.01}),
        ("xgboost", {"gamma": 50.0}),
        ("xgboost", {"base_score": 3.0}),
        ("xgboost", {"num_parallel_tree": 3, "subsample": 0.5}),
        ("catboost", {"scale_pos_weight": 5.0}),
        ("catboost", {"monotone_constraints": [-1, 0, 0]}),
    ],
)
def test_what_counts_does(library, options):
    X, y = problem()
    models = (estimator(library, "Classifier", "focal", **each) for each in ({}, options))
    plain, other = (model.fit(X, y).predict_proba(X) for model in models)
    assert np.abs(plain - other).max() > 1e-3


# --------------------- metrics

PROBABILITIES = {
    "lightgbm": ["binary_logloss", "binary_error", "cross_entropy", "poisson", "quantile", "huber", "no_such_metric"],
    "xgboost": ["logloss", "error", "error@0.4", "poisson-nloglik", "gamma-deviance", "mphe", "quantile"],
    "catboost": ["Logloss", "Accuracy", "F1", "BrierScore", "MCC", "Poisson", "Tweedie:variance_power=1.5"],
}
RANKING = {"lightgbm": "auc", "xgboost": "auc", "catboost": "AUC"}
DISTANCE = {"lightgbm": "rmse", "xgboost": "rmse", "catboost": "RMSE"}
PARAMETER = {"lightgbm": "metric", "xgboost": "eval_metric", "catboost": "eval_metric"}


@pytest.mark.parametrize(
    ("library", "metric"), [(library, metric) for library, found in PROBABILITIES.items() for metric in found]
)
def test_metrics_of_probabilities_or_means_are_refused(library, metric):
    X, y = problem()
    for task, loss in (("Classifier", "focal"), ("Regressor", "poisson"), ("Regressor", "huber")):
        if loss == "huber" and library == "catboost" and metric in ("Quantile", "Huber"):
            continue
        with pytest.raises(ValueError, match="raw scores for probabilities"):
            estimator(library, task, loss, **{PARAMETER[library]: metric}).fit(X, y)


@pytest.mark.parametrize("library", LIBRARIES)
def test_metrics_of_a_raw_score_are_taken(library):
    X, y = problem()
    evaluation = {"eval_set": [(X + 0.0, y)]}
    estimator(library, "Classifier", "focal", **{PARAMETER[library]: RANKING[library]}).fit(X, y, **evaluation)
    estimator(library, "Regressor", "huber", **{PARAMETER[library]: DISTANCE[library]}).fit(X, y, **evaluation)
    with pytest.raises(ValueError, match="raw scores"):  # the logarithm of a mean
        estimator(library, "Regressor", "poisson", **{PARAMETER[library]: DISTANCE[library]}).fit(X, y)
    with pytest.raises(ValueError, match="raw scores"):  # the order of one score
        estimator(library, "Classifier", "focal", **{PARAMETER[library]: RANKING[library]}).fit(X, y + (X[:, 1] > 0))


@pytest.mark.parametrize("name", ["metric", "metrics", "metric_types"])
def test_each_name_of_a_metric_counts_in_lightgbm(name):
    X, y = problem()
    model = estimator("lightgbm", "Classifier", "focal", **{name: "auc"}).fit(X, y, eval_set=[(X + 0.0, y)])
    assert set(model.evals_result_["valid_0"]) == {"binary_focal", "auc"}


@pytest.mark.parametrize("metrics", [["AUC"], "AUC"])
@pytest.mark.parametrize("name", ["custom_metric", "custom_loss"])
def test_further_metrics_of_catboost(name, metrics):
    X, y = problem()
    model = estimator("catboost", "Classifier", "focal", **{name: metrics}).fit(X, y, eval_set=(X, y))
    assert set(model.get_evals_result()["validation"]) == {"binary_focal", "AUC"}
    with pytest.raises(ValueError, match="raw scores"):
        estimator("catboost", "Classifier", "focal", **{name: ["AUC", "Logloss"]}).fit(X, y)
    with pytest.raises(ValueError, match="raw scores"):
        model.eval_metrics(catboost.Pool(X, y), ["Logloss"])
    assert len(model.eval_metrics(catboost.Pool(X, y), ["AUC"])["AUC"]) == 3


# --------------------- refused ways


def test_ways_of_catboost_that_know_its_own_objectives_only():
    X, y = problem()
    model = estimator("catboost", "Classifier", "focal")
    for name, instead in (
        ("grid_search", "GridSearchCV"),
        ("randomized_search", "RandomizedSearchCV"),
        ("select_features", "RFE"),
        ("set_probability_threshold", "FixedThresholdClassifier"),
    ):
        with pytest.raises(NotImplementedError, match=instead):
            getattr(model, name)({"depth": [2, 3]}, *([] if "threshold" in name else [X, y]))
