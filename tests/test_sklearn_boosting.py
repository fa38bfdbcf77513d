"""`hist_gradient_boosting_loss`: any loss in HistGradientBoosting*, and its own trees where it has the same loss."""

import pickle

import numpy as np
import pytest

import fastloss as fl

sklearn = pytest.importorskip("sklearn")

import joblib  # noqa: E402
from sklearn.base import clone  # noqa: E402
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine  # noqa: E402
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor  # noqa: E402
from sklearn.model_selection import GridSearchCV, train_test_split  # noqa: E402
from threadpoolctl import threadpool_limits  # noqa: E402

from fastloss.sklearn import HistGradientBoostingRegressor as LossBoosting  # noqa: E402
from fastloss.sklearn import _boosting, hist_gradient_boosting_loss  # noqa: E402

REGRESSION = [
    fl.AbsoluteError(),
    fl.AbsolutePercentageError(epsilon=50.0),
    fl.Barron(alpha=0.5, c=30.0),
    fl.Cauchy(c=30.0),
    fl.EpsilonInsensitive(epsilon=5.0),
    fl.Expectile(q=0.6),
    fl.Fair(c=30.0),
    fl.Gamma(),
    fl.Huber(delta=30.0),
    fl.InverseGaussian(),
    fl.LogCosh(),
    fl.NegativeBinomial(),
    fl.Poisson(),
    fl.PseudoHuber(delta=30.0),
    fl.Quantile(q=0.4),
    fl.SmoothL1(beta=30.0),
    fl.SquaredEpsilonInsensitive(epsilon=5.0),
    fl.SquaredError(),
    fl.SquaredLogError(),
    fl.Tukey(c=100.0),
    fl.Tweedie(power=1.5),
]
BINARY = [
    fl.BinaryCrossEntropy(label_smoothing=0.1),
    fl.BinaryFocal(alpha=0.6),
    fl.Brier(),
    fl.Exponential(),
    fl.Hinge(),
    fl.ModifiedHuber(),
    fl.SquaredHinge(),
]
ROWWISE = [
    fl.CrossEntropy(label_smoothing=0.1),
    fl.Focal(),
    fl.GeneralizedCrossEntropy(),
    fl.KLDivergence(),
    fl.MulticlassHinge(),
    fl.Poly1(),
]
WITHOUT_PROBABILITIES = (fl.Hinge, fl.MulticlassHinge)
names = {"ids": lambda loss: getattr(loss, "name", str(loss))}
weightings = pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])


def data_of(load, every=2):
    X, y = load(return_X_y=True)
    return X[::every, :10], y[::every]


def weight_of(y):
    return np.random.default_rng(0).uniform(0.5, 2.0, len(y))


def fractions(return_X_y):
    """Targets that are neither classes nor positive."""
    return np.arange(80.0)[:, None], np.resize([0.5, 1.0, 0.0, 1.0], 80)


@pytest.fixture(autouse=True)
def one_thread():
    """Trees of a hundred rows are grown faster by one thread than by several that wait for each other."""
    with threadpool_limits(1):
        yield


def boosted(loss, task=HistGradientBoostingRegressor, **options):
    """A small model; `loss` is a name of scikit-learn's, or a loss of ours, as it is or with its curvature."""
    loss = hist_gradient_boosting_loss(loss) if isinstance(loss, fl._kernels.Loss) else loss
    return task(loss=loss, random_state=0, **{"max_iter": 8, "max_leaf_nodes": 8, **options})


def test_every_loss_is_here():
    tried = {type(loss) for loss in (*REGRESSION, *BINARY, *ROWWISE)}
    refused = {loss for loss in fl.losses() if loss().kind in ("setwise", "columns", "segments")} | {fl.CumulativeLogit}
    assert tried | refused == set(fl.losses())


# ------------------------------------------------------------------------------------------ scikit-learn's own trees


@weightings
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("squared_error", fl.SquaredError()), ("poisson", fl.Poisson()), ("gamma", fl.Gamma())],
    ids=lambda loss: loss if isinstance(loss, str) else "",
)
def test_same_trees_as_scikit_learn_in_regression(theirs, ours, weighted):
    X, y = data_of(load_diabetes)
    w = weight_of(y) if weighted else None
    ours = hist_gradient_boosting_loss(ours, curvature="psd")
    predictions = [boosted(loss).fit(X, y, w).predict(X) for loss in (theirs, ours)]
    np.testing.assert_allclose(*predictions, rtol=1e-12)


def test_twice_the_penalty_for_twice_the_loss():
    X, y = data_of(load_diabetes)
    theirs = boosted("squared_error", l2_regularization=5.0).fit(X, y).predict(X)
    ours = boosted(fl.SquaredError(), l2_regularization=10.0).fit(X, y).predict(X)
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("absolute_error", fl.AbsoluteError()), ("quantile", fl.Quantile(q=0.5))],
    ids=["absolute", "median"],
)
def test_same_trees_as_scikit_learn_for_medians(theirs, ours):
    # An even number of rows: none lies at their median, where the conventions for the gradient differ.
    X, y = data_of(load_diabetes, every=1)
    predictions = [boosted(loss, quantile=0.5).fit(X, y).predict(X) for loss in (theirs, ours)]
    np.testing.assert_array_equal(*predictions)


@weightings
@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize(
    ("load", "ours"),
    [
        (load_breast_cancer, fl.BinaryCrossEntropy()),
        (load_breast_cancer, fl.CrossEntropy()),
        (load_wine, fl.CrossEntropy()),
    ],
    ids=["binary", "binary by rows", "multiclass"],
)
def test_same_trees_as_scikit_learn_in_classification(load, ours, weighted, class_weight):
    X, y = data_of(load)
    w = weight_of(y) if weighted else None
    options = {"task": HistGradientBoostingClassifier, "class_weight": class_weight, "early_stopping": True}
    theirs, same = (boosted(loss, **options).fit(X, y, w) for loss in ("log_loss", ours))
    np.testing.assert_allclose(same.decision_function(X), theirs.decision_function(X), rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(same.predict_proba(X), theirs.predict_proba(X), rtol=1e-9)
    # Stopped by the same losses, of the same rows.
    np.testing.assert_allclose(same.validation_score_, theirs.validation_score_, rtol=1e-12)


# ------------------------------------------------------------------------------------------------- every other loss


@weightings
@pytest.mark.parametrize("loss", REGRESSION, **names)
def test_regression(loss, weighted):
    X, y = data_of(load_diabetes)
    w = weight_of(y) if weighted else None
    model = boosted(loss, max_iter=40).fit(X, y, w)
    raw = model._raw_predict(X)[:, 0]
    constant = np.full(len(y), loss.init_score(y, w))
    assert loss(raw, y, sample_weight=w) < 0.99 * loss(constant, y, sample_weight=w)
    np.testing.assert_array_equal(model.predict(X), loss.inverse_link(raw))


@pytest.mark.parametrize(
    ("load", "loss"),
    [*((load_breast_cancer, loss) for loss in (*BINARY, *ROWWISE)), *((load_wine, loss) for loss in ROWWISE)],
    ids=lambda each: getattr(each, "name", getattr(each, "__name__", "")),
)
def test_classification(load, loss):
    X, y = data_of(load)
    labels = np.array(["a", "b", "c"])[y]
    model = boosted(loss, HistGradientBoostingClassifier, class_weight="balanced", max_iter=20).fit(X, labels)
    assert model.score(X, labels) > 0.9
    if isinstance(loss, WITHOUT_PROBABILITIES):
        with pytest.raises(NotImplementedError, match="no probabilities"):
            model.predict_proba(X)
    else:
        p = model.predict_proba(X)
        assert p.shape == (len(y), y.max() + 1)
        np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
        assert np.mean(p.argmax(axis=1) == y) > 0.9


def test_probabilities_are_the_posterior_of_the_loss():
    X, y = data_of(load_breast_cancer)
    loss = fl.BinaryFocal(gamma=2.0, alpha=0.3)
    model = boosted(loss, HistGradientBoostingClassifier, max_iter=40).fit(X, y)
    np.testing.assert_array_equal(model.predict_proba(X)[:, 1], loss.predict_proba(model.decision_function(X)))
    assert abs(model.predict_proba(X)[:, 1].mean() - y.mean()) < 0.02


@pytest.mark.parametrize("loss", [fl.Fair(), fl.LogCosh(), fl.PseudoHuber()], **names)
def test_targets_far_from_the_start(loss):
    """Losses without curvature far out: a Newton step with their own would diverge."""
    X, y = data_of(load_diabetes)
    start = loss(np.full(len(y), np.median(y)), y)
    assert loss(boosted(loss, max_iter=40).fit(X, y).predict(X), y) < start


def test_two_columns_and_one_are_the_same_for_two_classes():
    X, y = data_of(load_breast_cancer)
    rows, one = (
        boosted(hist_gradient_boosting_loss(loss, curvature="psd"), HistGradientBoostingClassifier)
        .fit(X, y)
        .decision_function(X)
        for loss in (fl.Focal(gamma=1.5), fl.BinaryFocal(gamma=1.5))
    )
    np.testing.assert_allclose(rows, one, rtol=1e-7)


# ------------------------------------------------------------------------------------------------ the private interface


@pytest.mark.parametrize("n_classes", [1, 4])
@weightings
def test_derivatives_go_into_scikit_learns_own_arrays(n_classes, weighted):
    """float64 scores in F order, float32 derivatives: the very arrays come back, filled, as gradient() fills them."""
    rng = np.random.default_rng(0)
    loss = fl.CrossEntropy() if n_classes > 1 else fl.BinaryCrossEntropy()
    adapter = hist_gradient_boosting_loss(loss)
    y = rng.integers(0, max(2, n_classes), 100).astype(np.float64)
    w = rng.uniform(0.5, 2, 100) if weighted else None
    adapter.fit_intercept_only(y, w)
    z = np.asfortranarray(rng.normal(size=(100, n_classes)))
    arrays = adapter.init_gradient_and_hessian(100, dtype=np.float32, order="F")
    found = adapter.gradient_hessian(y, z, w, *arrays, n_threads=2)
    scores, targets = (z[:, 0], y) if n_classes == 1 else (z, y.astype(int))
    expected = loss.gradient_and_hessian(scores, targets, sample_weight=w, reduction="sum")
    for array, same, right in zip(arrays, found, expected, strict=True):
        assert same is array
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, right.astype(np.float32))
    np.testing.assert_array_equal(adapter.gradient(y, z, w), expected[0])
    np.testing.assert_array_equal(adapter.loss(y, z, None), loss(scores, targets, reduction="none"))


def test_threads_of_scikit_learn_are_honoured(monkeypatch):
    seen = []

    class Spy(fl.SquaredError):
        def gradient_and_hessian(self, *arguments, **options):
            seen.append(fl.get_num_threads())
            return super().gradient_and_hessian(*arguments, **options)

    hist_gradient_boosting_loss(Spy()).gradient_hessian(np.zeros(3), np.zeros((3, 1)), n_threads=3)
    assert seen == [3]


def test_clone_pickle_and_repr():
    X, y = data_of(load_wine)
    loss = hist_gradient_boosting_loss(fl.Focal(gamma=1.0), curvature="majorize")
    assert repr(loss) == f"hist_gradient_boosting_loss({fl.Focal(gamma=1.0)!r}, curvature='majorize')"
    assert repr(hist_gradient_boosting_loss("huber")) == "hist_gradient_boosting_loss(Huber(delta=1.0))"
    model = HistGradientBoostingClassifier(loss=loss, max_iter=3).fit(X, y)
    assert clone(model).loss is not loss
    same = clone(model).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), same.predict_proba(X))


def test_warm_start():
    X, y = data_of(load_wine)
    warm = boosted(fl.Focal(), HistGradientBoostingClassifier, max_iter=3, warm_start=True).fit(X, y)
    warm.set_params(max_iter=6).fit(X, y)
    whole = boosted(fl.Focal(), HistGradientBoostingClassifier, max_iter=6).fit(X, y)
    np.testing.assert_allclose(warm.decision_function(X), whole.decision_function(X), rtol=1e-6)


def test_one_object_for_two_and_three_classes_in_turn():
    loss = hist_gradient_boosting_loss("cross_entropy")
    for load in (load_wine, load_breast_cancer, load_wine):
        X, y = data_of(load)
        model = HistGradientBoostingClassifier(loss=loss, max_iter=3).fit(X, y)
        assert model.predict_proba(X).shape[1] == y.max() + 1


def test_search_over_losses():
    X, y = data_of(load_breast_cancer)
    losses = [hist_gradient_boosting_loss(name) for name in ("binary_focal", "exponential")]
    search = GridSearchCV(boosted(losses[0]._loss, HistGradientBoostingClassifier), {"loss": losses}, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_search_over_parameters_of_a_loss():
    X, y = data_of(load_breast_cancer)
    model = boosted(fl.BinaryFocal(gamma=3.0), HistGradientBoostingClassifier)
    search = GridSearchCV(model, {"loss__gamma": [0.0, 5.0], "loss__curvature": ["psd", "majorize"]}, cv=2).fit(X, y)
    best = search.best_estimator_.loss
    assert {**best.get_params()} == {
        **fl.BinaryFocal().parameters,
        **{k[6:]: v for k, v in search.best_params_.items()},
    }
    same = boosted(hist_gradient_boosting_loss(best._loss, curvature=best._chosen), HistGradientBoostingClassifier)
    np.testing.assert_array_equal(search.predict_proba(X), same.fit(X, y).predict_proba(X))
    assert model.loss.get_params()["gamma"] == 3.0
    with pytest.raises(ValueError, match=r"^invalid parameter 'delta': binary_focal has \['alpha', 'gamma'"):
        model.set_params(loss__delta=1.0)


@pytest.mark.parametrize("loss", REGRESSION, ids=lambda loss: loss.name)
def test_monotonic_constraints_hold_or_are_refused(loss):
    """Also where outliers and waves pull the other way."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (600, 2))
    y = np.exp(X[:, 0] + np.sin(4 * X[:, 0]) + rng.standard_t(2, 600))
    grid = np.column_stack([np.linspace(-2, 2, 200), np.zeros(200)])
    model = boosted(loss, monotonic_cst=[1, 0], max_iter=20)
    if loss.traits.refits_leaves:
        with pytest.raises(ValueError, match=rf"^monotonic_cst must be None with {loss.name}"):
            model.fit(X, y)
        assert np.isfinite(clone(model).set_params(monotonic_cst=[0, 0]).fit(X, y).predict(X)).all()
    else:
        assert np.diff(model.fit(X, y).predict(grid)).min() >= 0


# ------------------------------------------------------------------------------------------------- a model's life


LIVES = {
    "regression": (fl.Quantile(q=0.7), HistGradientBoostingRegressor, load_diabetes),
    "log link": (fl.Poisson(), HistGradientBoostingRegressor, load_diabetes),
    "two classes": (fl.BinaryFocal(gamma=1.5, alpha=0.3), HistGradientBoostingClassifier, load_breast_cancer),
    "three classes": (fl.Focal(gamma=1.5), HistGradientBoostingClassifier, load_wine),
}
each_life = pytest.mark.parametrize(("loss", "task", "load"), LIVES.values(), ids=LIVES.keys())


@each_life
def test_a_saved_model_is_the_same(loss, task, load, tmp_path):
    X, y = data_of(load)
    model = boosted(loss, task).fit(X, y)
    joblib.dump(model, tmp_path / "model")
    for same in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model"), clone(model).fit(X, y)):
        np.testing.assert_array_equal(same.predict(X), model.predict(X))
        if task is HistGradientBoostingClassifier:
            np.testing.assert_array_equal(same.predict_proba(X), model.predict_proba(X))


@each_life
def test_a_saved_model_goes_on(loss, task, load):
    X, y = data_of(load)
    whole = boosted(loss, task, max_iter=9).fit(X, y).predict(X)
    model = boosted(loss, task, max_iter=3, warm_start=True).fit(X, y)
    for rounds in (6, 9):
        model = pickle.loads(pickle.dumps(model)).set_params(max_iter=rounds).fit(X, y)
        assert model.n_iter_ == rounds
    np.testing.assert_allclose(model.predict(X), whole, rtol=1e-6)


@each_life
def test_stages_lead_to_the_predictions(loss, task, load):
    X, y = data_of(load)
    model = boosted(loss, task).fit(X, y)
    *_, last = model.staged_predict(X)
    np.testing.assert_array_equal(last, model.predict(X))
    if task is HistGradientBoostingClassifier:
        stages = list(model.staged_predict_proba(X))
        assert len(stages) == 8
        np.testing.assert_array_equal(stages[-1], model.predict_proba(X))
        # The posterior of the loss, not the sigmoid or softmax of its scores.
        raw = model.decision_function(X)
        p = loss.predict_proba(raw)
        np.testing.assert_allclose(model.predict_proba(X)[:, 1:], p[:, None] if p.ndim == 1 else p[:, 1:], rtol=1e-12)


@each_life
@pytest.mark.parametrize("validation", ["split", "given"])
def test_early_stopping_looks_at_the_loss(loss, task, load, validation):
    """The scores are minus the mean loss of rows that are held out, and training ends when they do not improve."""
    X, y = data_of(load, every=1)
    X, X_val, y, y_val = train_test_split(X, y, random_state=0)
    model = boosted(loss, task, max_iter=300, early_stopping=True, n_iter_no_change=3, learning_rate=0.5)
    if validation == "split":
        model.fit(X, y)
    else:
        try:
            model.fit(X, y, X_val=X_val, y_val=y_val)
        except TypeError:
            pytest.skip("scikit-learn before 1.7 takes no validation rows")
        raw = model._raw_predict(X_val)
        z = raw if raw.shape[1] > 1 else raw[:, 0]
        np.testing.assert_allclose(model.validation_score_[-1], -loss(z, y_val), rtol=1e-6)
    assert model.n_iter_ < 300
    scores = model.validation_score_
    assert max(scores[-3:]) <= max(scores[:-3]) + 1e-7


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("loss", "options", "error", "message"),
    [
        (fl.Dice(), {}, TypeError, "^dice is a loss of a whole set"),
        ("hubber", {}, ValueError, "huber"),
        (fl.Huber, {}, TypeError, r"Huber\(\)"),
        (fl.Huber(), {"curvature": "exact"}, ValueError, "^curvature must be 'auto', 'psd', 'majorize' or 'fisher'"),
    ],
    ids=["set loss", "no such name", "class", "curvature"],
)
def test_refused_when_made(loss, options, error, message):
    with pytest.raises(error, match=message):
        hist_gradient_boosting_loss(loss, **options)


@pytest.mark.parametrize(
    ("model", "load", "error", "message"),
    [
        (
            boosted(fl.Hinge(), HistGradientBoostingClassifier),
            load_wine,
            ValueError,
            "^hinge scores one class.*3 classes",
        ),
        (boosted(fl.Huber(), HistGradientBoostingClassifier), load_wine, ValueError, "^huber takes one score"),
        (boosted(fl.CrossEntropy()), fractions, ValueError, r"^target\[0\] = 0.5 is not a class index"),
        (boosted(fl.Gamma()), fractions, ValueError, r"^target\[1\] = 0.0 must be finite and > 0"),
    ],
    ids=["binary loss, three classes", "regression loss, three classes", "rowwise loss in regression", "domain"],
)
def test_refused_when_fitted(model, load, error, message):
    X, y = data_of(load)
    with pytest.raises(error, match=message):
        model.fit(X, y)


def test_no_prediction_of_numbers_from_a_loss_of_classes():
    X, y = data_of(load_breast_cancer)
    with pytest.raises(ValueError, match=r"^focal is a loss of classes"):
        boosted(fl.Focal()).fit(X, y).predict(X)


def test_no_probabilities_from_a_loss_of_regression():
    X, y = data_of(load_breast_cancer)
    model = boosted(fl.SquaredError(), HistGradientBoostingClassifier).fit(X, y)
    with pytest.raises(AttributeError, match=r"^squared_error is a loss of regression"):
        model.predict_proba(X)


@pytest.mark.parametrize("base", [object, type("BaseLoss", (), {"gradient": None})], ids=["gone", "other methods"])
def test_another_interface_is_refused_by_version(monkeypatch, base):
    monkeypatch.setattr(_boosting, "BaseLoss", base)
    with pytest.raises(ImportError, match=rf"version {sklearn.__version__} .*fit_intercept_only"):
        hist_gradient_boosting_loss("huber")


def test_objects_are_not_taken_any_more(monkeypatch):
    monkeypatch.setattr(HistGradientBoostingRegressor, "_parameter_constraints", {"loss": [str]})
    with pytest.raises(ImportError, match="takes no objects"):
        hist_gradient_boosting_loss("huber")


# ------------------------------------------------------------------------------------------ the estimator with a loss


@weightings
@pytest.mark.parametrize("loss", [fl.AbsoluteError(), fl.Huber(delta=30.0), fl.Poisson()], ids=repr)
def test_our_estimator_grows_the_same_trees(loss, weighted):
    X, y = data_of(load_diabetes)
    w = weight_of(y) if weighted else None
    options = {"random_state": 0, "max_iter": 8, "max_leaf_nodes": 8}
    model = LossBoosting(loss, **options).fit(X, y, w)
    np.testing.assert_array_equal(model.predict(X), boosted(loss).fit(X, y, w).predict(X))
    assert model.init_score_ == pytest.approx(loss.init_score(y, w))
    assert LossBoosting(loss.name).fit(X, y).loss_ == type(loss)()


def test_our_estimator_has_their_parameters():
    theirs = HistGradientBoostingRegressor().get_params(deep=False)
    model = LossBoosting(fl.Huber(delta=30.0), max_iter=8)
    assert set(model.get_params(deep=False)) == {*theirs, "curvature"} - {"quantile"}
    assert repr(model) == "HistGradientBoostingRegressor(loss=Huber(delta=30.0), max_iter=8)"
    X, y = data_of(load_diabetes)
    search = GridSearchCV(clone(model), {"loss__delta": [1.0, 40.0], "curvature": ["psd", "majorize"]}, cv=2)
    assert search.fit(X, y).best_estimator_.loss_.delta == 40.0
    with pytest.raises(TypeError, match="quantile"):
        LossBoosting(fl.Quantile(), quantile=0.3)
    with pytest.raises(ValueError, match="curvature must be"):
        LossBoosting(fl.Huber(), curvature="exact").fit(X, y)
    with pytest.raises(ValueError, match="is a loss of classes"):
        LossBoosting(fl.CrossEntropy()).fit(X, y)


def test_our_estimator_knows_survival_times():
    X, y = data_of(load_diabetes)
    times = np.where(np.arange(len(y)) % 3 > 0, y, -y)
    model = LossBoosting(fl.CoxPH(), max_iter=5, max_leaf_nodes=4).fit(X, times)
    survival = model.predict_survival_function(X, [50.0, 100.0, 200.0])
    assert survival.shape == (len(y), 3)
    assert (np.diff(survival, axis=1) <= 0).all()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
