"""Boosters with losses of ours: weights, start value, early stopping, probabilities, saved models, equal trees."""

import concurrent.futures
import doctest
import importlib
import pathlib
import pickle

import numpy as np
import pytest

import fastloss as fl
from fastloss import _boosters

catboost = pytest.importorskip("catboost")
lightgbm = pytest.importorskip("lightgbm")
xgboost = pytest.importorskip("xgboost")
pytest.importorskip("sklearn")
from sklearn.base import clone  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402

from fastloss.sklearn import hist_gradient_boosting_loss  # noqa: E402

TREES = 15


class Library:
    """What differs between the libraries, where a test does the same with each."""

    def __init__(self, name, prefix, **options):
        self.name, self.options = name, options
        self.module = importlib.import_module(f"fastloss.{name}")
        self.own = importlib.import_module(name)
        self.Classifier, self.OwnClassifier = (
            getattr(module, f"{prefix}Classifier") for module in (self.module, self.own)
        )
        self.Regressor, self.OwnRegressor = (
            getattr(module, f"{prefix}Regressor") for module in (self.module, self.own)
        )

    def classifier(self, loss="cross_entropy", **options):
        return self.Classifier(loss, **{**self.options, **options})

    def regressor(self, loss="squared_error", **options):
        return self.Regressor(loss, **{**self.options, **options})

    def raw(self, model, X):
        if hasattr(model, "decision_function"):
            return model.decision_function(X)
        raw = {"raw_score": True}, {"output_margin": True}, {"prediction_type": "RawFormulaVal"}
        return model.predict(X, **raw[NAMES.index(self.name)])

    def native_scores(self, model, X, path):
        """Raw scores of the native model, saved and loaded without us."""
        if self.name == "lightgbm":
            model.booster_.save_model(path)
            return lightgbm.Booster(model_file=path).predict(X, raw_score=True)
        model.save_model(path)
        if self.name == "catboost":
            return catboost.CatBoost().load_model(path).predict(X, prediction_type="RawFormulaVal")
        return xgboost.Booster(model_file=path).predict(xgboost.DMatrix(X), output_margin=True)

    def fit_with_early_stopping(self, model, X, y, eval_set, rounds=5):
        if self.name == "lightgbm":
            stop = lightgbm.early_stopping(rounds, verbose=False)
            model.fit(X, y, eval_X=eval_set[0], eval_y=eval_set[1], callbacks=[stop])
            return model.best_iteration_, model.evals_result_["valid_0"]
        if self.name == "catboost":
            model.fit(X, y, eval_set=eval_set, early_stopping_rounds=rounds, use_best_model=True)
            return model.best_iteration_ + 1, model.evals_result_["validation"]
        model.set_params(early_stopping_rounds=rounds).fit(X, y, eval_set=[eval_set], verbose=False)
        return model.best_iteration + 1, model.evals_result()["validation_0"]


NAMES = ["lightgbm", "xgboost", "catboost"]
LIBRARIES = [
    Library("lightgbm", "LGBM", n_estimators=TREES, num_leaves=7, n_jobs=1, verbose=-1),
    Library("xgboost", "XGB", n_estimators=TREES, max_leaves=7, n_jobs=1, min_child_weight=0),
    Library(
        "catboost",
        "CatBoost",
        n_estimators=TREES,
        depth=3,
        learning_rate=0.3,
        thread_count=1,
        random_strength=0,
        bootstrap_type="No",
        boosting_type="Plain",
        verbose=False,
        allow_writing_files=False,
    ),
]
each_library = pytest.mark.parametrize("library", LIBRARIES, ids=NAMES)
# Those that take a function of all rows at once.
each_function = pytest.mark.parametrize("library", LIBRARIES[:2], ids=NAMES[:2])

BINARY = [
    fl.BinaryCrossEntropy(),
    fl.BinaryFocal(),
    fl.BinaryFocal(gamma=1.5, alpha=0.25),
    fl.Brier(),
    fl.Exponential(),
]
BINARY += [fl.ModifiedHuber(), fl.SquaredHinge(), fl.Hinge()]
ROWS = [
    fl.CrossEntropy(),
    fl.Focal(),
    fl.Poly1(),
    fl.GeneralizedCrossEntropy(),
    fl.KLDivergence(),
    fl.MulticlassHinge(),
]
REAL = [loss() for loss in fl.losses() if loss().target_domain == "any" and issubclass(loss, fl._kernels.PointwiseLoss)]
COUNTS = [fl.Poisson(), fl.Tweedie(), fl.Gamma()]


def features(n=1000, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 5))
    return X, X[:, 0] + 0.5 * X[:, 1] * X[:, 2]


def imbalanced(n=2000, share=0.025, seed=0):
    X, score = features(n, seed)
    score = score + 0.5 * np.random.default_rng(seed + 1).normal(size=n)
    return X, (score > np.quantile(score, 1 - share)).astype(int)


def three_classes(n=800, seed=0):
    X, score = features(n, seed)
    return X, np.digitize(score, [-0.7, 0.7])


# --------------------------------------------------------------------- training


@each_library
@pytest.mark.parametrize("loss", BINARY, ids=repr)
def test_two_classes(library, loss):
    X, y = imbalanced()
    # Brier's Hessians are small against CatBoost's default of 3.
    options = {"l2_leaf_reg": 0.1} if library.name == "catboost" else {}
    model = library.classifier(loss, **options).fit(X, np.where(y, "rare", "often"))
    raw = library.raw(model, X)
    assert list(model.classes_) == ["often", "rare"]
    assert model.init_score_ == pytest.approx(loss.init_score(y))
    assert loss(raw, y) < (0.95 if isinstance(loss, fl.Hinge) else 0.9) * loss(np.full(len(y), loss.init_score(y)), y)
    assert np.mean(model.predict(X) == np.where(y, "rare", "often")) > 0.96
    if isinstance(loss, fl.Hinge):
        with pytest.raises(NotImplementedError):
            model.predict_proba(X)
    else:
        np.testing.assert_allclose(model.predict_proba(X)[:, 1], loss.predict_proba(raw), rtol=1e-6)


@each_library
@pytest.mark.parametrize("loss", ROWS, ids=repr)
def test_three_classes(library, loss):
    X, y = three_classes(300 if library.name == "catboost" else 800)  # it calls Python once per row
    model = library.classifier(loss).fit(X, y + 5)
    raw = library.raw(model, X)
    assert raw.shape == (len(y), 3)
    assert loss(raw, y) < 0.9 * loss(np.broadcast_to(loss.init_score(y), raw.shape), y)
    assert model.score(X, y + 5) > 0.8


@each_library
@pytest.mark.parametrize("loss", REAL + COUNTS, ids=repr)
def test_real_targets(library, loss):
    X, score = features()
    rng = np.random.default_rng(5)
    y = score + 0.1 * rng.normal(size=len(score))
    if loss in COUNTS:
        y = rng.poisson(np.exp(score)) + (1.0 if isinstance(loss, fl.Gamma) else 0.0)
    if isinstance(loss, fl.AbsolutePercentageError):  # percentages of next to nothing are what no tree can learn
        y = np.exp(y)
    model = library.regressor(loss).fit(X, y)
    raw = library.raw(model, X)
    start = loss(np.full(len(y), loss.init_score(y)), y)
    assert loss(raw, y) < start - 0.02 * abs(start)
    np.testing.assert_allclose(model.predict(X), loss.inverse_link(raw), rtol=1e-6)


@each_library
@pytest.mark.parametrize("gamma", [1.0, 2.0, 5.0])
def test_focal_neither_diverges_nor_stands_still(library, gamma):
    """2.5 % positives, start at the log odds that minimise it: every few rounds are an improvement."""
    X, y = imbalanced(share=0.025)
    loss = fl.BinaryFocal(gamma=gamma)
    _, found = library.fit_with_early_stopping(library.classifier(loss, n_estimators=40), X, y, (X + 0.0, y), 40)
    (values,) = found.values()
    start = loss(np.full(len(y), loss.init_score(y)), y)
    assert values[0] < start
    assert all(b < a for a, b in zip(values[::5], values[5::5], strict=False))
    assert values[-1] < 0.5 * start


# --------------------------------------------------------------------- weights


@each_library
@pytest.mark.parametrize("loss", [fl.BinaryFocal(), fl.BinaryCrossEntropy(pos_weight=3.0)], ids=repr)
def test_rows_of_weight_zero_count_nowhere(library, loss):
    X, y = imbalanced(share=0.2)
    w = (np.arange(len(y)) % 3 > 0).astype(float)
    wrong = np.where(w == 0, 1 - y, y)
    plain, other = (library.classifier(loss).fit(X, labels, sample_weight=w).predict_proba(X) for labels in (y, wrong))
    np.testing.assert_array_equal(plain, other)


@each_library
def test_weights_are_repetitions(library):
    """Of binned data, where the histograms are the same."""
    X, score = features(600)
    X = np.round(X)
    y = score > 1
    w = np.random.default_rng(0).integers(1, 4, len(y))
    # CatBoost scales its regularisation by the mean weight.
    options = {"lightgbm": {"min_child_samples": 1}, "catboost": {"l2_leaf_reg": 0}}.get(library.name, {})
    model = library.classifier(fl.BinaryFocal(), **options)
    weighted = library.raw(clone(model).fit(X, y, sample_weight=w), X)
    repeated = library.raw(clone(model).fit(np.repeat(X, w, 0), np.repeat(y, w)), X)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-4, atol=1e-4)


def test_class_weights_of_lightgbm():
    X, y = imbalanced(share=0.1)
    labels = np.where(y, "b", "a")
    by_class = LIBRARIES[0].classifier("focal", class_weight={"a": 1, "b": 4}).fit(X, labels)
    by_row = LIBRARIES[0].classifier("focal").fit(X, labels, sample_weight=np.where(y, 4.0, 1.0))
    np.testing.assert_array_equal(by_class.predict_proba(X), by_row.predict_proba(X))
    assert by_class.init_score_ == by_row.init_score_


@pytest.mark.parametrize(
    ("options", "rare"),
    [({"class_weights": {"b": 4.0}}, 4.0), ({"scale_pos_weight": 4.0}, 4.0), ({"auto_class_weights": "Balanced"}, 9.0)],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_class_weights_of_catboost(options, rare):
    X, y = imbalanced(share=0.1)
    by_class = LIBRARIES[2].classifier("focal", **options).fit(X, np.where(y, "b", "a"))
    by_row = LIBRARIES[2].classifier("focal").fit(X, np.where(y, "b", "a"), sample_weight=np.where(y, rare, 1.0))
    np.testing.assert_allclose(by_class.predict_proba(X), by_row.predict_proba(X), rtol=1e-6)
    assert by_class.init_score_ == pytest.approx(by_row.init_score_)


# --------------------------------------------------------------------- curvature


def test_the_rule_for_the_curvature_is_one():
    """For functions, estimators and scikit-learn's trees alike."""
    by_name = {loss().name: loss() for loss in fl.losses()}
    for name in ("binary_focal", "focal", "log_cosh", "huber"):
        expected = by_name[name].traits.boosting
        assert fl.lightgbm.objective(name).derivatives.curvature == expected
        assert fl.xgboost.objective(name).derivatives.curvature == expected
        assert fl.catboost.objective(name).curvature == expected
        assert hist_gradient_boosting_loss(name)._curvature == expected
        assert fl.lightgbm.objective(name, curvature="exact").derivatives.curvature == "exact"


@each_library
@pytest.mark.parametrize("loss", [fl.Fair(), fl.LogCosh(), fl.PseudoHuber()], ids=lambda loss: loss.name)
def test_targets_far_from_the_start(library, loss):
    """Losses without curvature far out: a Newton step with their own would diverge."""
    X, score = features()
    y = 100 * score
    model = library.regressor(loss, n_estimators=40).fit(X, y)
    assert loss(model.predict(X), y) < 0.8 * loss(np.full(len(y), loss.init_score(y)), y)


# --------------------------------------------------------------------- start value, models, metrics


@each_library
@pytest.mark.parametrize("kind", ["binary", "rows", "real"])
def test_the_native_model_holds_the_start_value(library, kind, tmp_path):
    if kind == "real":
        X, y = features()
        y = y + 1000
        model = library.regressor("huber", n_estimators=2).fit(X, y)
        assert abs(np.median(model.predict(X)) - 1000) < 2
    else:
        X, y = imbalanced() if kind == "binary" else three_classes()
        model = library.classifier("focal", n_estimators=2).fit(X, y)
    np.testing.assert_allclose(
        library.native_scores(model, X, tmp_path / "model.json"), library.raw(model, X), rtol=1e-6
    )


@each_library
@pytest.mark.parametrize("kind", ["binary", "rows"])
def test_pickle_and_clone(library, kind):
    X, y = imbalanced() if kind == "binary" else three_classes()
    loss = fl.BinaryFocal(gamma=1.5) if kind == "binary" else fl.Focal(gamma=1.5)
    model = library.classifier(loss, curvature="majorize").fit(X, y)
    stored = pickle.dumps(model)
    assert len(stored) < 200_000  # no training data
    np.testing.assert_array_equal(pickle.loads(stored).predict_proba(X), model.predict_proba(X))
    again = clone(model)
    assert (again.get_params()["loss"], again.get_params()["curvature"]) == (loss, "majorize")
    np.testing.assert_array_equal(again.fit(X, y).predict_proba(X), model.predict_proba(X))


def test_xgboost_loads_its_native_model(tmp_path):
    X, y = three_classes()
    model = LIBRARIES[1].classifier("focal").fit(X, y)
    model.save_model(tmp_path / "model.json")
    loaded = LIBRARIES[1].classifier("focal")
    loaded.load_model(tmp_path / "model.json")
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert loaded.get_params()["base_score"] is None


@each_library
def test_grid_search_over_losses(library):
    X, y = imbalanced(share=0.3)
    losses = ["cross_entropy", fl.BinaryFocal(gamma=1.0), "squared_hinge"]
    search = GridSearchCV(library.classifier(n_estimators=5), {"loss": losses}, cv=2, scoring="roc_auc").fit(X, y)
    assert search.best_params_["loss"] in losses
    assert search.best_score_ > 0.8


@each_library
def test_a_parameter_of_the_loss_can_be_searched(library):
    model = library.classifier(fl.BinaryFocal(), n_estimators=2)
    model.set_params(loss__gamma=0.5, curvature="psd")
    assert model.get_params()["loss"] == fl.BinaryFocal(gamma=0.5)
    assert clone(model).get_params()["loss"] == fl.BinaryFocal(gamma=0.5)
    X, y = imbalanced(200, share=0.3)
    assert model.fit(X, y).loss_ == fl.BinaryFocal(gamma=0.5)


@each_library
def test_early_stopping_on_the_loss_itself(library):
    """With labels that are noise there is nothing to learn, and training ends after the patience is over."""
    X, y = imbalanced(1000, share=0.3)
    noise = np.random.default_rng(0).permutation(y)
    best, found = library.fit_with_early_stopping(
        library.classifier("focal", n_estimators=300), X[:500], noise[:500], (X[500:], noise[500:])
    )
    (name,) = found
    assert name == "binary_focal"
    assert len(found[name]) < 60
    assert found[name][best - 1] == min(found[name])


@each_library
def test_the_metric_is_the_loss(library):
    X, y = imbalanced()
    model = library.classifier("focal")
    best, found = library.fit_with_early_stopping(model, X, y, (X[:1000] + 0.0, y[:1000]), TREES)
    value = model.loss_(library.raw(model, X[:1000]), y[:1000])
    assert found["binary_focal"][best - 1] == pytest.approx(value, rel=1e-4)


# --------------------------------------------------------------------- soft labels


@each_library
def test_soft_labels_of_two_classes(library):
    """A row with probability p is a row of each class, with weights p and 1 - p."""
    X, score = features(800)
    p = 1 / (1 + np.exp(-2 * score))
    soft = library.classifier("cross_entropy", n_estimators=80).fit(X, np.column_stack([1 - p, p]))
    assert np.mean(np.abs(soft.predict_proba(X)[:, 1] - p)) < 0.05
    np.testing.assert_array_equal(soft.classes_, [0, 1])


def test_catboost_has_no_room_for_probabilities_of_three_classes():
    X, y = three_classes(100)
    with pytest.raises(ValueError, match="probabilities"):
        LIBRARIES[2].classifier("focal").fit(X, np.eye(3)[y])


@each_function
def test_soft_labels_of_three_classes(library):
    X, y = three_classes()
    P = np.eye(3)[y]
    hard = library.classifier("focal").fit(X, y)
    best, found = library.fit_with_early_stopping(library.classifier("focal"), X, P, (X[:500] + 0.0, P[:500]), TREES)
    soft = library.classifier("focal").fit(X, P)
    np.testing.assert_allclose(soft.predict_proba(X), hard.predict_proba(X), atol=1e-5)
    assert found["focal"][-1] == pytest.approx(fl.Focal()(library.raw(hard, X[:500]), y[:500]), rel=1e-3)


@pytest.mark.parametrize("loss", [fl.Poisson(), fl.NegativeBinomial(), fl.Tweedie(power=1.5), fl.Gamma()], ids=repr)
@each_library
def test_premiums(library, loss):
    """Few large amounts among zeros: a leaf of amounts far above its prediction makes no step that overflows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 5))
    mean = np.exp(7 + X[:, 0] + 0.5 * np.sin(2 * X[:, 1]))
    y = np.where(rng.random(3000) < 0.05, rng.gamma(0.5, 2, 3000) * mean * 20, 1.0 if loss == fl.Gamma() else 0.0)
    model = library.regressor(loss, n_estimators=30)
    prediction = np.log(model.fit(X, y).predict(X))
    assert loss(prediction, y) < loss(np.full(3000, np.log(np.mean(y))), y)
    assert prediction.max() < np.log(y.max()) + 1


# --------------------------------------------------------------------- functions


@pytest.mark.parametrize("loss", [fl.BinaryFocal(), fl.Huber(), fl.Poisson(), fl.CrossEntropy()], ids=repr)
@each_function
def test_check_objective_finds_nothing(library, loss):
    report = fl.check_objective(library.module.objective(loss, curvature="exact"), loss)
    assert report.ok, report
    assert "weights" in report.checks
    native = library.module.objective(loss)
    report = fl.check_objective(lambda preds, dtrain: native(preds, as_data(library, dtrain)), loss)
    assert report.ok, report


def as_data(library, data):
    """The real thing, with label and weight of the made-up one."""
    nothing = np.zeros((len(data.label), 1))
    if library.name == "xgboost":
        return xgboost.DMatrix(nothing, data.label, weight=data.weight)
    return lightgbm.Dataset(nothing, data.label, weight=data.weight)


@each_function
def test_derivatives_come_in_the_order_of_the_scores(library):
    """No copy is left to do: LightGBM hands over float64 in Fortran order, XGBoost float32 in C order."""
    y = np.arange(300) % 3
    order, dtype = ("F", np.float64) if library.name == "lightgbm" else ("C", np.float32)
    z = np.random.default_rng(0).normal(size=(300, 3)).astype(dtype, order=order)
    for each in library.module.objective(fl.Focal())(y.astype(np.float32), z, None):
        assert each.dtype == np.float32
        assert each.flags[f"{order}_CONTIGUOUS"]
    first = library.module.objective(fl.Focal())
    a, b = first(y.astype(np.float32), z, None)[0], first(y.astype(np.float32), -z, None)[0]
    assert not np.shares_memory(a, b)


def test_native_training_of_lightgbm():
    X, y = imbalanced()
    loss, start = fl.BinaryFocal(), np.full(len(y), fl.BinaryFocal().init_score(y))
    parameters = {"objective": fl.lightgbm.objective(loss), "num_leaves": 7, "metric": "None", "verbose": -1}
    recorded = {}
    booster = lightgbm.train(
        parameters,
        (data := lightgbm.Dataset(X, y, init_score=start)),
        TREES,
        valid_sets=[data],
        feval=fl.lightgbm.metric(loss),
        callbacks=[lightgbm.record_evaluation(recorded)],
    )
    raw = booster.predict(X) + start
    np.testing.assert_allclose(raw, LIBRARIES[0].raw(LIBRARIES[0].classifier(loss).fit(X, y), X), rtol=1e-5)
    assert recorded["training"]["binary_focal"][-1] == pytest.approx(loss(raw, y))


def test_native_training_of_xgboost():
    X, y = imbalanced()
    loss = fl.BinaryFocal()
    parameters = {"base_score": loss.init_score(y), "max_leaves": 7, "min_child_weight": 0, "nthread": 1}
    recorded = {}
    data = xgboost.QuantileDMatrix(X, y)
    booster = xgboost.train(
        {**parameters, "disable_default_eval_metric": True},
        data,
        TREES,
        obj=fl.xgboost.objective(loss),
        evals=[(data, "training")],
        custom_metric=fl.xgboost.metric(loss),
        evals_result=recorded,
        verbose_eval=False,
    )
    raw = booster.predict(xgboost.DMatrix(X))
    np.testing.assert_allclose(raw, LIBRARIES[1].raw(LIBRARIES[1].classifier(loss).fit(X, y), X), rtol=1e-5)
    assert recorded["training"]["binary_focal"][-1] == pytest.approx(loss(raw, y), rel=1e-4)


@each_library
def test_as_the_objective_of_the_library_s_own_estimator(library):
    X, y = imbalanced()
    w = np.random.default_rng(0).uniform(0.5, 2, len(y))
    loss = fl.BinaryFocal()
    if library.name == "catboost":
        with pytest.warns(UserWarning, match="[Nn]umba|optim"):  # it would compile the objective with Numba
            own = library.OwnRegressor(
                loss_function=library.module.objective(loss), eval_metric=library.module.metric(loss), **library.options
            ).fit(X, y, sample_weight=w, baseline=np.full(len(y), loss.init_score(y, w)))
        raw = own.predict(X) + loss.init_score(y, w)
        ours = library.raw(library.classifier(loss).fit(X, y, sample_weight=w), X)
        np.testing.assert_allclose(raw, ours, rtol=1e-5)
        return
    own = library.OwnRegressor(objective=library.module.objective(loss), **library.options)
    if library.name == "xgboost":
        own.set_params(base_score=loss.init_score(y, w))
        raw = own.fit(X, y, sample_weight=w).predict(X)
    else:
        start = loss.init_score(y, w)
        raw = own.fit(X, y, sample_weight=w, init_score=np.full(len(y), start)).predict(X) + start
    ours = library.raw(library.classifier(loss).fit(X, y, sample_weight=w), X)
    np.testing.assert_allclose(raw, ours, rtol=1e-5)


@each_library
def test_functions_pickle(library):
    for function in (library.module.objective(fl.Huber(1.5)), library.module.metric("huber")):
        assert repr(pickle.loads(pickle.dumps(function))) == repr(function)


# --------------------------------------------------------------------- the built-in objectives' trees

PARITY = [
    # library, built-in objective, its options, ours, our learning rate as a multiple of theirs
    ("lightgbm", "binary", {}, fl.BinaryCrossEntropy(), 1.0),
    ("lightgbm", "multiclass", {}, fl.CrossEntropy(), 2 / 3),  # its Hessian is K / (K - 1) p (1 - p)
    ("lightgbm", "regression", {}, fl.SquaredError(), 1.0),
    ("lightgbm", "poisson", {"poisson_max_delta_step": 0.7}, fl.Poisson(), np.exp(-0.7)),  # e^0.7 times the Hessian
    ("lightgbm", "gamma", {}, fl.Gamma(), 1.0),
    ("lightgbm", "tweedie", {"tweedie_variance_power": 1.5}, fl.Tweedie(), 1.0),
    ("xgboost", "binary:logistic", {}, fl.BinaryCrossEntropy(), 1.0),
    ("xgboost", "multi:softprob", {}, fl.CrossEntropy(), 0.5),  # its Hessian is 2 p (1 - p)
    ("xgboost", "reg:squarederror", {}, fl.SquaredError(), 1.0),
    ("xgboost", "count:poisson", {"max_delta_step": 0.7}, fl.Poisson(), np.exp(-0.7)),
    ("xgboost", "reg:gamma", {}, fl.Gamma(), 1.0),
    ("xgboost", "reg:tweedie", {"tweedie_variance_power": 1.5}, fl.Tweedie(), 1.0),
    ("catboost", "Logloss", {}, fl.BinaryCrossEntropy(), 1.0),
    ("catboost", "RMSE", {}, fl.SquaredError(), 1.0),
    ("catboost", "Poisson", {}, fl.Poisson(), 1.0),
]


@pytest.mark.parametrize(("name", "objective", "extra", "loss", "rate"), PARITY, ids=lambda value: str(value)[:24])
@pytest.mark.parametrize("weighted", [False, True])
def test_grows_the_trees_of_the_built_in_objective(name, objective, extra, loss, rate, weighted):
    """With the same start value, the same factor of the Hessian, and no regularisation that the factor would move."""
    library = LIBRARIES[NAMES.index(name)]
    rng = np.random.default_rng(1)
    X, score = features()
    classifies = isinstance(loss, (fl.BinaryCrossEntropy, fl.CrossEntropy))
    if classifies:
        y = np.digitize(score, [-0.7, 0.7] if isinstance(loss, fl.CrossEntropy) else [0.5])
    else:
        y = rng.gamma(2.0, np.exp(score / 2)) if not isinstance(loss, fl.Poisson) else rng.poisson(np.exp(score / 2))
    w = rng.uniform(0.5, 2, len(y)) if weighted else None
    shared = {**library.options, "learning_rate": 0.1, "reg_lambda": 0}
    if name == "catboost":
        shared |= {"leaf_estimation_method": "Newton", "leaf_estimation_iterations": 1, "boost_from_average": False}
    else:
        shared |= {"min_child_weight": 0}
    ours = (library.Classifier if classifies else library.Regressor)(loss, curvature="exact", **shared)
    ours.set_params(learning_rate=0.1 * rate)
    own = (library.OwnClassifier if classifies else library.OwnRegressor)(objective=objective, **shared, **extra)
    if name == "catboost":
        zero = np.zeros(len(y))
        for model in (ours, own):
            model.fit(X, y, sample_weight=w, baseline=zero)
        np.testing.assert_allclose(library.raw(ours, X), own.predict(X, prediction_type="RawFormulaVal"), atol=1e-6)
        return
    if name == "xgboost":
        # The built-in takes its start value on the scale of the prediction, from the same data or as it is told.
        if isinstance(loss, fl.CrossEntropy):
            ours.set_params(base_score=0.5)
            own.set_params(base_score=0.5)
        else:
            own.set_params(base_score=float(loss.inverse_link([loss.init_score(y, w)])[0]))
        if isinstance(loss, fl.Poisson):  # leaves are clipped before the learning rate
            ours.set_params(max_delta_step=extra["max_delta_step"] / rate)
    ours.fit(X, y, sample_weight=w)
    own.fit(X, y, sample_weight=w)
    if classifies:
        np.testing.assert_allclose(ours.predict_proba(X), own.predict_proba(X), atol=1e-6)
    else:
        np.testing.assert_allclose(ours.predict(X), own.predict(X), rtol=1e-6)


# --------------------------------------------------------------------- refused


@each_library
@pytest.mark.parametrize(
    ("loss", "options", "words"),
    [
        (fl.Dice(), {}, "whole set"),
        (fl.Huber(), {}, "no loss for classification"),
        (fl.BinaryFocal(), {}, "take one of rows of logits"),
        ("focall", {}, "did you mean"),
        ("focal", {"curvature": "none"}, "curvature"),
        ("focal", {"objective": "binary"}, "objective must be left alone"),
    ],
)
def test_what_does_not_fit_is_refused(library, loss, options, words):
    X, y = three_classes() if isinstance(loss, fl.BinaryFocal) else imbalanced()
    with pytest.raises(ValueError, match=words):
        library.classifier(loss, **options).fit(X, y)


@each_library
def test_losses_of_classes_are_refused_by_regressors(library):
    X, y = features()
    with pytest.raises(ValueError, match="loss of classes"):
        library.regressor(fl.CrossEntropy()).fit(X, y)


# --------------------------------------------------------------------- targets as people have them


@each_library
@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.array([-100, 100], np.int8), [-100, 100]),
        (np.array([True, False]), [False, True]),
        (np.array([3.0, 1.0]), [1.0, 3.0]),
        (np.array(["no", "yes"], dtype=object), ["no", "yes"]),
    ],
    ids=["int8", "bool", "float", "object"],
)
def test_labels_of_any_type(library, labels, classes):
    X, y = imbalanced(300, share=0.3)
    model = library.classifier("focal", n_estimators=2).fit(X, labels[y], eval_set=[(X + 0.0, labels[y])])
    assert list(model.classes_) == classes
    assert set(model.predict(X)) <= set(classes)
    assert model.score(X, labels[y]) > 0.6


@each_library
def test_labels_of_pandas(library):
    pd = pytest.importorskip("pandas")
    X, y = imbalanced(300, share=0.3)
    plain = library.classifier("focal", n_estimators=2).fit(X, y).predict_proba(X)
    names = pd.Series(np.where(y, "b", "a"))
    for labels in (
        names,
        names.astype("category"),
        names.astype("string"),
        pd.Series(y, dtype="Int64"),
        names.to_frame(),
    ):
        found = library.classifier("focal", n_estimators=2).fit(X, labels).predict_proba(X)
        np.testing.assert_array_equal(found, plain)


@each_library
@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.linspace(0, 1, 50), r"y\[1\] = .* is no whole number. Unknown label type: continuous. Use a regressor"),
        (np.r_[np.nan, np.ones(25), np.zeros(24)], r"y\[0\] = nan is missing"),
        (np.array(["a", "b"] * 24 + ["a", None], dtype=object), r"y\[49\] = None is missing"),
        (np.array(["a", "b"] * 24 + ["a", np.nan], dtype=object), r"y\[49\] = nan is missing"),
        (np.arange(100).reshape(50, 2), r"2 columns.*are for a regressor with a binary loss"),
        (np.tile([1, 1], (50, 1)), r"must sum to 1; row 0 of y is \[1.0, 1.0\]"),
        (np.zeros(50), r"two classes or more; got \[0.0\]"),
    ],
    ids=["continuous", "nan", "None", "nan among strings", "two targets", "two labels", "one class"],
)
def test_what_is_no_label_is_refused(library, y, words):
    X = features(50)[0]
    with pytest.raises(ValueError, match=words):
        library.classifier("focal").fit(X, y)


@each_library
def test_a_label_that_training_has_not_seen_is_refused(library):
    X, y = imbalanced(100, share=0.3)
    with pytest.raises(ValueError, match=r"y of eval_set\[0\]\[3\] = 7 is none of the classes"):
        library.classifier("focal").fit(X, y, eval_set=[(X, np.where(np.arange(100) == 3, 7, y))])


@each_library
@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.r_[1.0, np.nan, np.ones(48)], r"y\[1\] = nan must be finite"),
        (np.r_[1.0, np.ones(48), np.inf], r"y\[49\] = inf must be finite"),
        (np.zeros((50, 2, 2)), r"shape \(n,\); got \(50, 2, 2\)"),
    ],
    ids=["nan", "inf", "three axes"],
)
def test_what_is_no_number_is_refused(library, y, words):
    with pytest.raises(ValueError, match=words):
        library.regressor("huber").fit(features(50)[0], y)


@pytest.mark.parametrize(
    "X",
    [np.random.default_rng(0).normal(size=(30, 3)), np.zeros((100, 2)), np.ones((45, 1))],
    ids=["few rows", "constant columns", "one column"],
)
def test_lightgbm_with_nothing_to_split_predicts_what_its_own_does(X, tmp_path):
    n = len(X)
    y = np.arange(n) % 4 + 100.0
    own = lightgbm.LGBMRegressor(verbose=-1).fit(X, y)
    ours = fl.lightgbm.LGBMRegressor(verbose=-1).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), own.predict(X), rtol=1e-6)
    np.testing.assert_allclose(ours.predict(X, pred_contrib=True).sum(axis=1), own.predict(X), rtol=1e-6)
    for labels in (np.arange(n) % 5 > 3, np.arange(n) % 5 // 2):
        own = lightgbm.LGBMClassifier(verbose=-1, class_weight="balanced").fit(X, labels)
        ours = fl.lightgbm.LGBMClassifier(verbose=-1, class_weight="balanced")
        ours.fit(X, labels, eval_set=[(X + 0.0, labels)], callbacks=[lightgbm.early_stopping(2, verbose=False)])
        np.testing.assert_allclose(ours.predict_proba(X), own.predict_proba(X), rtol=1e-6)
        ours.booster_.save_model(tmp_path / "model.txt")
        native = lightgbm.Booster(model_file=tmp_path / "model.txt")
        np.testing.assert_allclose(native.predict(X), ours.decision_function(X), atol=1e-12)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(ours)).predict_proba(X), ours.predict_proba(X))
    # A model to go on with stays what it is.
    Z, score = features(200)
    first = fl.lightgbm.LGBMRegressor("huber", n_estimators=5, verbose=-1).fit(Z, score)
    more = fl.lightgbm.LGBMRegressor("huber", n_estimators=5, verbose=-1).fit(Z[:30], score[:30], init_model=first)
    np.testing.assert_array_equal(more.predict(Z), first.predict(Z))


@each_library
def test_columns_that_are_missing_or_constant(library):
    X, y = imbalanced(300, share=0.3)
    X[:, 1], X[:, 2], X[::7, 0] = 1.0, np.nan, np.nan
    assert library.classifier("focal").fit(X, y).score(X, y) > 0.75


def test_metrics_that_would_take_scores_for_probabilities_are_refused():
    X, y = imbalanced()
    with pytest.raises(ValueError, match="raw scores for probabilities"):
        LIBRARIES[0].classifier().fit(X, y, eval_metric="binary_logloss")
    with pytest.raises(ValueError, match="raw scores for probabilities"):
        LIBRARIES[0].classifier(metric="multi_logloss").fit(X, y)
    with pytest.raises(ValueError, match="raw scores for probabilities"):
        LIBRARIES[1].classifier(eval_metric=["auc", "logloss"]).fit(X, y)
    with pytest.raises(ValueError, match="scale_pos_weight"):
        LIBRARIES[1].classifier(scale_pos_weight=10).fit(X, y)


def test_a_model_of_catboost_that_is_not_fitted_says_so():
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(catboost.CatBoostError, match="no trained model"):
            getattr(LIBRARIES[2].classifier(), method)(np.zeros((2, 3)))


PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "boosters.md"


@pytest.mark.skipif(not PAGE.exists(), reason="needs the source tree")
def test_the_page_runs():
    assert doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8").failed == 0


def test_derivatives_are_overwritten_only_after_the_caller_dropped_them():
    """Also where a view of them is all that is kept; and never by another thread's call."""
    derivatives = _boosters.Derivatives(fl.SquaredError())
    z, t = np.arange(6.0).reshape(2, 3), np.zeros((2, 3))
    gradient, _ = derivatives(z, t)
    view = derivatives(z + 1, t)[0][1:]
    address = derivatives(z + 2, t)[0].ctypes.data
    np.testing.assert_array_equal(gradient, 2 * z)
    np.testing.assert_array_equal(view, 2 * (z + 1)[1:])
    assert derivatives(z, t)[0].ctypes.data == address  # now nobody holds it
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for k, (found, _) in enumerate(pool.map(lambda k: derivatives(z + k, t), range(200))):
            np.testing.assert_array_equal(found, 2 * (z + k))


# --------------------------------------------------------------------- search


@each_library
def test_search_over_parameters_of_a_loss(library):
    """Losses do not change: each candidate gets one of its own, and none of its parameters reaches the library."""
    X, y = features(300)
    model = library.regressor(fl.Huber(delta=3.0))
    search = GridSearchCV(model, {"loss__delta": [0.1, 2.0]}, cv=2).fit(X, y)
    best = fl.Huber(delta=search.best_params_["loss__delta"])
    assert search.best_estimator_.loss == best
    np.testing.assert_array_equal(search.predict(X), library.regressor(best).fit(X, y).predict(X))
    assert model.loss == fl.Huber(delta=3.0)
