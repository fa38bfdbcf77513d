"""Survival and group losses where they are plugged in: linear models and boosters."""

import importlib
import pickle
import warnings

import numpy as np
import pytest

import fastloss as fl
from fastloss import reference

pytest.importorskip("sklearn")
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from fastloss.sklearn import LossRegressor


def study(n=600, d=5, seed=0):
    """Features of different units, targets with ties and censoring, weights with zeros, strata."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * np.geomspace(0.1, 10, d) + 3
    coef = rng.normal(size=d) / np.geomspace(0.1, 10, d) / 2
    times = np.round(rng.exponential(size=n) * np.exp(-(X - 3) @ coef) * 20) + 1
    end = np.round(rng.exponential(size=n) * 30) + 1
    y = fl.survival_target(np.minimum(times, end), times <= end)
    return X, y, rng.choice([0.0, 1.0, 2.0], n), rng.integers(0, 3, n)


@pytest.fixture(scope="module")
def data():
    return study()


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("stratified", [False, True])
def test_the_gradient_of_the_partial_likelihood_is_zero(data, ties, stratified):
    """By the text book: of the twin's sum over all rows at risk."""
    X, y, weight, strata = data
    given = {"strata": strata} if stratified else {}
    for w in (None, weight):
        model = LossRegressor(fl.CoxPH(ties), penalty=None).fit(X, y, sample_weight=w, **given)
        _, gradient, _ = reference.cox_ph(X @ model.coef_, y, ties, sample_weight=w, **given)
        assert np.abs(((X - X.mean(axis=0)) / X.std(axis=0)).T @ gradient).max() < 1e-5
        assert model.intercept_ == 0


def test_the_fit_of_statsmodels(data):
    duration = pytest.importorskip("statsmodels.duration.hazard_regression")
    X, y, _, strata = data
    for ties in ("efron", "breslow"):
        theirs = duration.PHReg(np.abs(y), X, status=y > 0, ties=ties, strata=strata).fit(disp=0)
        ours = LossRegressor(fl.CoxPH(ties), penalty=None, tol=1e-8).fit(X, y, strata=strata)
        assert ours.coef_ == pytest.approx(theirs.params, rel=1e-5, abs=1e-7)


def test_penalised_fits_of_lifelines_scikit_survival_and_skglm():
    """At one objective: the coefficients to 1e-5, with and without ties, an L2 and an L1 norm."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(300, 6))
    times, end = rng.exponential(size=300) * np.exp(-X[:, 0] + X[:, 1] / 2), rng.exponential(size=300) * 2
    y = fl.survival_target(np.minimum(times, end) + 1e-3, times <= end)
    n = len(y)
    fit = lambda penalty, alpha: LossRegressor(fl.CoxPH(), penalty=penalty, alpha=alpha, tol=1e-9).fit(X, y).coef_
    linear = pytest.importorskip("sksurv.linear_model")
    structured = np.array([(each > 0, abs(each)) for each in y], dtype=[("event", bool), ("time", float)])
    theirs = linear.CoxPHSurvivalAnalysis(alpha=5.0, ties="efron", tol=1e-12).fit(X, structured)
    assert fit("l2", 5.0 / n) == pytest.approx(theirs.coef_, abs=1e-5)
    net = linear.CoxnetSurvivalAnalysis(l1_ratio=1.0, alphas=[0.05], normalize=False, tol=1e-10, max_iter=100_000)
    assert fit("l1", 0.05) == pytest.approx(net.fit(X, structured).coef_[:, 0], abs=1e-5)
    lifelines = pytest.importorskip("lifelines")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("uvwxyz")).assign(t=np.abs(y), e=y > 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        free = lifelines.CoxPHFitter().fit(frame, "t", "e", fit_options={"precision": 1e-12})
    assert fit(None, 0.0) == pytest.approx(free.params_.to_numpy(), abs=1e-5)


def test_an_l1_fit_of_skglm():
    skglm = pytest.importorskip("skglm")
    X, y, _, _ = study(300, 6, seed=3)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    theirs = skglm.CoxEstimator(alpha=0.1, l1_ratio=1.0, method="efron", tol=1e-10, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(X, np.column_stack([np.abs(y), y > 0]))
    ours = LossRegressor(fl.CoxPH(), penalty="l1", alpha=0.1, tol=1e-9).fit(X, y)
    assert ours.coef_ == pytest.approx(np.ravel(theirs.coef_), abs=1e-5)
    assert 0 < np.sum(ours.coef_ == 0) < 6


@pytest.mark.parametrize(
    "loss", [fl.CoxPH(), fl.AFT("extreme", None), fl.AFT("normal", None), fl.AFT("logistic")], ids=str
)
def test_solvers_agree(data, loss):
    X, y, weight, _ = data
    for penalty, alpha in ((None, 0.0), ("l2", 0.1), ("l1", 0.02), ("elasticnet", 0.02)):
        first, second = (
            LossRegressor(loss, penalty=penalty, alpha=alpha, solver=solver, tol=1e-9).fit(X, y, sample_weight=weight)
            for solver in ("newton", "lbfgs")
        )
        assert first.coef_ * X.std(axis=0) == pytest.approx(second.coef_ * X.std(axis=0), abs=1e-5)
        assert first.score(X, y) == pytest.approx(second.score(X, y), abs=1e-3)
        assert first.scale_ == pytest.approx(second.scale_, rel=1e-5)
        if penalty == "l1" and isinstance(loss, fl.CoxPH):
            assert 0 < np.sum(first.coef_ == 0) < len(first.coef_)


def test_weibull_is_proportional_hazards(data):
    """T is Weibull under both: coefficients of AFT over minus the scale are those of Cox."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(20_000, 2))
    y = np.exp(X @ [0.5, -1.0] + 0.7 * np.log(rng.exponential(size=20_000)))
    times = LossRegressor(fl.AFT("extreme", None), penalty=None).fit(X, y)
    assert times.coef_ == pytest.approx([0.5, -1.0], abs=0.02)
    assert times.scale_ == pytest.approx(0.7, abs=0.02)
    hazard = LossRegressor(fl.CoxPH(), penalty=None).fit(X, y)
    assert hazard.coef_ == pytest.approx(-times.coef_ / times.scale_, abs=0.05)
    at = [0.2, 1.0, 3.0]
    assert hazard.predict_survival_function(X[:20], at) == pytest.approx(
        times.predict_survival_function(X[:20], at), abs=0.02
    )


def test_survival_function(data):
    X, y, _, strata = data
    model = LossRegressor(fl.CoxPH()).fit(X, y)
    curves = model.predict_survival_function(X[:5], np.linspace(0, 200, 50))
    assert (np.diff(curves, axis=1) <= 0).all()
    assert (curves[:, 0] == 1).all()
    times, hazard = model.baseline_hazard_
    assert curves[0, -1] == pytest.approx(np.exp(-hazard[-1] * np.exp(model.predict(X[:1])[0])))
    assert np.array_equal(model.predict_survival_function(X[:1], times[3] - 1e-9), np.exp(
        -hazard[2:3] * np.exp(model.predict(X[:1])))[None])  # fmt: skip
    stratified = LossRegressor(fl.CoxPH()).fit(X, y, strata=strata)
    with pytest.raises(ValueError, match="fitted with strata"):
        stratified.predict_survival_function(X, [1.0])
    with pytest.raises(ValueError, match="has not seen"):
        stratified.predict_survival_function(X[:1], [1.0], strata=[7])
    some = stratified.predict_survival_function(X[:6], [5.0, 9.0], strata=strata[:6])
    assert some.shape == (6, 2)
    with pytest.raises(AttributeError, match="not a loss of survival times"):
        LossRegressor("huber").fit(X, np.abs(y)).predict_survival_function(X, [1.0])


def test_data_as_people_have_them(data):
    X, y, weight, _ = data
    expected = LossRegressor(fl.CoxPH()).fit(X, y, sample_weight=weight)
    structured = np.array([(each > 0, abs(each)) for each in y], dtype=[("event", bool), ("time", float)])
    for features in (X, np.asfortranarray(X), X[::-1][::-1]):
        model = LossRegressor(fl.CoxPH()).fit(features, structured, sample_weight=weight)
        assert model.coef_ == pytest.approx(expected.coef_, rel=1e-6)
    narrow = LossRegressor(fl.CoxPH()).fit(X.astype(np.float32), y, sample_weight=weight.astype(np.float32))
    assert narrow.coef_.dtype == np.float32
    assert narrow.coef_ == pytest.approx(expected.coef_, rel=1e-3, abs=1e-5)
    sparse = pytest.importorskip("scipy.sparse")
    model = LossRegressor(fl.CoxPH()).fit(sparse.csr_matrix(X), y, sample_weight=weight)
    assert model.coef_ == pytest.approx(expected.coef_, rel=1e-6)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    model = LossRegressor(fl.CoxPH()).fit(frame, pandas.Series(y), sample_weight=pandas.Series(weight))
    assert model.coef_ == pytest.approx(expected.coef_)
    assert list(model.feature_names_in_) == list("abcde")


def test_many_sparse_columns():
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    X = sparse.random(1500, 50_000, density=2e-4, format="csr", random_state=0, dtype=np.float32)
    y = fl.survival_target(rng.exponential(size=1500) + 0.1, rng.random(1500) < 0.5)
    ridge = LossRegressor(fl.CoxPH(), alpha=1e-3).fit(X, y)
    assert ridge.score(X, y) > 0.7
    lasso = LossRegressor(fl.CoxPH(), penalty="l1", alpha=1e-3).fit(X, y)
    assert 0 < np.sum(lasso.coef_ != 0) < 1500


def test_a_constant_column_has_no_coefficient(data):
    X, y, _, _ = data
    model = LossRegressor(fl.CoxPH(), penalty=None).fit(np.column_stack([X, np.full(len(X), 5.0)]), y)
    assert model.coef_[-1] == 0
    assert model.coef_[:-1] == pytest.approx(LossRegressor(fl.CoxPH(), penalty=None).fit(X, y).coef_)


def test_life_of_a_model(data):
    X, y, _, _ = data
    model = LossRegressor(fl.CoxPH()).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict(X), model.predict(X))
    assert clone(model).loss == model.loss
    search = GridSearchCV(LossRegressor(fl.CoxPH()), {"alpha": [1e-3, 10.0], "loss__ties": ["efron", "breslow"]}, cv=3)
    assert search.fit(X, y).best_score_ > 0.6
    warm = LossRegressor(fl.CoxPH(), warm_start=True, penalty=None).fit(X, y)
    assert warm.fit(X, y).n_iter_ <= 2
    with pytest.warns(ConvergenceWarning, match="did not converge in 1 iterations"):
        LossRegressor(fl.CoxPH(), max_iter=1, penalty=None).fit(X, y)


@pytest.mark.parametrize("loss", [fl.CoxPH(), fl.AFT("extreme", None)], ids=str)
def test_a_path_of_alphas(loss):
    from fastloss.sklearn import LossRegressorCV

    X, y, weight, strata = study(200)
    given = {"strata": strata} if isinstance(loss, fl.CoxPH) else {}
    model = LossRegressorCV(loss, penalty="l1", alphas=6, cv=3).fit(X, y, weight, **given)
    largest = LossRegressor(loss, penalty="l1", alpha=model.alphas_[0] * 1.001).fit(X, y, weight, **given)
    assert (largest.coef_ == 0).all()
    assert (
        LossRegressor(loss, penalty="l1", alpha=model.alphas_[0] * 0.98).fit(X, y, weight, **given).coef_ != 0
    ).any()
    assert model.cv_scores_.shape == (6, 3)
    assert model.alpha_ == model.alphas_[model.cv_scores_.mean(axis=1).argmax()]
    train, test = np.arange(67, 200), np.arange(67)
    of_fold = lambda rows: {name: value[rows] for name, value in given.items()}
    by_hand = LossRegressor(loss, penalty="l1", alpha=model.alphas_[3])
    by_hand.fit(X[train], y[train], weight[train], **of_fold(train))
    expected = -loss(by_hand._time_scores(X[test]), y[test], sample_weight=weight[test], **of_fold(test))
    assert model.cv_scores_[3, 0] == pytest.approx(expected, abs=1e-4)
    best = LossRegressor(loss, penalty="l1", alpha=model.alpha_).fit(X, y, weight, **given)
    assert model.coef_ == pytest.approx(best.coef_, abs=1e-6)
    assert model.score(X, y) > 0.6
    ridge = LossRegressorCV(loss, alphas=3, cv=2, scoring=lambda model, X, y: model.score(X, y)).fit(X, y)
    assert ((ridge.cv_scores_ > 0.3) & (ridge.cv_scores_ < 1)).all()
    with pytest.raises(ValueError, match="folds of rows would cut"):
        LossRegressorCV(fl.GroupSoftmax()).fit(X, y, group=[200])
    with pytest.raises(TypeError, match="no strata"):
        LossRegressorCV("huber").fit(X, y, strata=strata)


def test_interval_bounds(data):
    X, y, _, _ = data
    bounds = np.stack([np.abs(y), np.where(y > 0, np.abs(y), np.inf)], axis=1)
    first = LossRegressor(fl.AFT("logistic", None), penalty=None).fit(X, y)
    second = LossRegressor(fl.AFT("logistic", None), penalty=None).fit(X, bounds)
    assert np.array_equal(first.coef_, second.coef_)
    bounds[:, 0] *= 0.9
    wider = LossRegressor(fl.AFT("logistic", None), penalty=None).fit(X, bounds)
    assert wider.predict(X).shape == (len(X),)


def test_conditional_logit():
    discrete = pytest.importorskip("statsmodels.discrete.conditional_models")
    rng = np.random.default_rng(1)
    X = rng.normal(size=(900, 3))
    group = np.repeat(np.arange(300), 3)
    chosen = np.zeros(900)
    utility = (X @ [1.0, -0.5, 0.2] + rng.gumbel(size=900)).reshape(300, 3)
    chosen[np.arange(300) * 3 + utility.argmax(axis=1)] = 1
    theirs = discrete.ConditionalLogit(chosen, X, groups=group).fit(disp=0)
    for given in (group, np.full(300, 3)):
        ours = LossRegressor(fl.GroupSoftmax(), penalty=None).fit(X, chosen, group=given)
        assert ours.coef_ == pytest.approx(theirs.params, abs=1e-4)  # theirs stops earlier
    ranked = LossRegressor(fl.PairwiseLogistic(), penalty=None).fit(X, chosen, group=group)
    assert ranked.coef_ == pytest.approx(theirs.params, abs=0.3)


def test_errors_of_fits(data):
    X, y, _, strata = data
    with pytest.raises(TypeError, match="has no strata and no groups"):
        LossRegressor("huber").fit(X, y, strata=strata)
    with pytest.raises(TypeError, match="group must say"):
        LossRegressor(fl.GroupSoftmax()).fit(X, np.ones(len(X)))
    with pytest.raises(ValueError, match=r"target\[3\] = 0\.0 must be a finite time > 0"):
        LossRegressor(fl.CoxPH()).fit(X, np.where(np.arange(len(X)) == 3, 0.0, y))
    with pytest.raises(ValueError, match="NaN"):
        LossRegressor(fl.CoxPH()).fit(np.where(X[0, 0] == X, np.nan, X), y)


# ---------------------------------------------------------------------------------------------------- boosters

TIMES = [fl.CoxPH(), fl.CoxPH("breslow"), fl.AFT("extreme"), fl.AFT("normal", 0.5)]


def booster(library, loss, **more):
    pytest.importorskip(library)
    module = importlib.import_module(f"fastloss.{library}")
    if library == "lightgbm":
        return module.LGBMRegressor(loss=loss, n_estimators=25, verbose=-1, **more)
    if library == "xgboost":
        return module.XGBRegressor(loss=loss, n_estimators=25, learning_rate=0.1, max_depth=3, **more)
    return module.CatBoostRegressor(loss=loss, iterations=25, verbose=0, allow_writing_files=False, **more)


def agreement(model, X, y):
    risk = model.predict(X)
    return fl.concordance_index(y, risk if isinstance(model.loss_, fl.CoxPH) else -risk)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("loss", [*TIMES, fl.AFT("logistic", None)], ids=str)
def test_boosted_times(data, library, loss):
    X, y, weight, _ = data
    model = booster(library, loss).fit(X, y, sample_weight=weight)
    assert agreement(model, X, y) > 0.72
    curves = model.predict_survival_function(X[:7], [0.0, 1.0, 20.0, 300.0])
    assert curves.shape == (7, 4)
    assert (np.diff(curves, axis=1) <= 0).all()
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_survival_function(X, [5.0]), model.predict_survival_function(X, [5.0]))
    assert clone(model).get_params()["loss"] == loss
    structured = np.array([(each > 0, abs(each)) for each in y], dtype=[("event", bool), ("time", float)])
    assert np.array_equal(booster(library, loss).fit(X, structured, sample_weight=weight).predict(X), model.predict(X))


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosted_strata(data, library, tmp_path):
    """A stratum whose times are ten times as long has a baseline of its own, and the trees have not to find it."""
    X, y, weight, strata = data
    y = np.where(strata == 2, 10 * y, y)
    names = np.array(["a", "b", "c"])[strata]
    make = lambda: booster(library, fl.CoxPH())
    silent = {"verbose": False} if library == "xgboost" else {}
    model = make().fit(
        X, y, sample_weight=weight, strata=names, eval_set=[(X.copy(), y)], eval_strata=[strata], **silent
    )
    scores = model.predict(X)
    assert fl.cox_ph(scores, y, strata=strata) < fl.cox_ph(
        make().fit(X, y, sample_weight=weight).predict(X), y, strata=strata
    )
    history = model.evals_result_ if library == "lightgbm" else model.evals_result()
    assert next(iter(history.values()))["cox_ph"][-1] == pytest.approx(fl.cox_ph(scores, y, strata=strata), rel=1e-4)
    assert list(model.baseline_hazard_) == ["a", "b", "c"]
    curves = model.predict_survival_function(X, [5.0, 50.0], strata=names)
    assert curves[strata == 2].mean() > curves[strata == 0].mean() + 0.1
    if library == "xgboost":
        model.save_model(tmp_path / "model.ubj")
        loaded = make()
        loaded.load_model(tmp_path / "model.ubj")
        assert np.array_equal(loaded.predict_survival_function(X, [5.0, 50.0], strata=names), curves)
    with pytest.raises(ValueError, match="fitted with strata"):
        model.predict_survival_function(X, [5.0])
    with pytest.raises(ValueError, match=r"strata, and eval_strata .* there are 1 sets"):
        make().fit(X, y, strata=names, eval_set=[(X, y)], **silent)
    with pytest.raises(ValueError, match="has no strata"):
        booster(library, fl.AFT()).fit(X, y, strata=names)


def test_a_native_model_of_xgboost_knows_the_hazard(data, tmp_path):
    X, y, _, _ = data
    model = booster("xgboost", fl.CoxPH()).fit(X, y)
    model.save_model(tmp_path / "model.json")
    loaded = booster("xgboost", fl.CoxPH())
    loaded.load_model(tmp_path / "model.json")
    expected = model.predict_survival_function(X, [5.0, 9.0])
    assert np.array_equal(loaded.predict_survival_function(X, [5.0, 9.0]), expected)
    del loaded.baseline_hazard_
    with pytest.raises(AttributeError, match="set baseline_hazard_ to"):
        loaded.predict_survival_function(X, [5.0])
    loaded.baseline_hazard_ = loaded.loss_.baseline_hazard(loaded.predict(X), y)
    assert loaded.predict_survival_function(X, [5.0, 9.0]) == pytest.approx(expected)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_boosted_bounds(data, library):
    X, y, _, _ = data
    bounds = np.stack([np.abs(y), np.where(y > 0, np.abs(y), np.inf)], axis=1)
    loss = fl.AFT("normal", 1.0)
    of_times, of_bounds = (booster(library, loss).fit(X, target).predict(X) for target in (y, bounds))
    assert np.array_equal(of_times, of_bounds)
    bounds[:, 0] *= 0.9
    assert np.isfinite(booster(library, loss).fit(X, bounds).predict(X)).all()


def test_trees_of_xgboosts_own_cox():
    """XGBoost's survival:cox has Breslow's ties: without ties and with the exact Hessian, its trees."""
    xgboost = pytest.importorskip("xgboost")
    rng = np.random.default_rng(5)
    X = rng.normal(size=(800, 4)).astype(np.float32)
    y = fl.survival_target(rng.exponential(size=800) * np.exp(-X[:, 0]), rng.random(800) < 0.7)
    own = xgboost.XGBRegressor(
        objective="survival:cox", n_estimators=10, learning_rate=0.1, max_depth=3, base_score=1.0
    )
    ours = booster("xgboost", fl.CoxPH("breslow"), curvature="exact").set_params(n_estimators=10)
    theirs = np.log(own.fit(X, y).predict(X))
    assert ours.fit(X, y).predict(X) == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("distribution", ["normal", "logistic", "extreme"])
def test_trees_of_xgboosts_own_aft(distribution):
    """On events and all kinds of bounds. It cuts derivatives off at 15, which those of extreme values can pass."""
    xgboost = pytest.importorskip("xgboost")
    rng = np.random.default_rng(5)
    X = rng.normal(size=(800, 4)).astype(np.float32)
    times = rng.exponential(size=800) * np.exp(-X[:, 0])
    times = np.minimum(times, 8.0) if distribution == "extreme" else times
    bounds = np.stack([times, np.where(rng.random(800) < 0.7, times, np.inf)], axis=1)
    bounds[:100, 0] *= 0.8
    bounds[100:150, 0] = 0
    bounds = bounds.astype(np.float32)
    data = xgboost.DMatrix(X, label_lower_bound=bounds[:, 0], label_upper_bound=bounds[:, 1])
    parameters = {"objective": "survival:aft", "max_depth": 3, "eta": 0.1, "base_score": 1.0}
    parameters |= {"aft_loss_distribution": distribution, "aft_loss_distribution_scale": 1.2}
    theirs = xgboost.train(parameters, data, 10).predict(data, output_margin=True)
    ours = booster("xgboost", fl.AFT(distribution, 1.2), curvature="exact", base_score=0.0).set_params(n_estimators=10)
    raw = ours.fit(X, bounds).predict(X, output_margin=True)
    assert raw == pytest.approx(theirs, abs=1e-5)
    # Its prediction is exp of the place, ours the median, which of extreme values is another.
    median = np.exp(raw + (1.2 * np.log(np.log(2)) if distribution == "extreme" else 0))
    assert ours.predict(X) == pytest.approx(median, rel=1e-5)


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
def test_early_stopping_on_times(library):
    X, y, _, _ = study(1000, seed=2)
    stopping = {}
    if library == "lightgbm":
        lightgbm = pytest.importorskip("lightgbm")
        model = booster(library, fl.CoxPH()).set_params(n_estimators=500)
        stopping = {"callbacks": [lightgbm.early_stopping(5, verbose=False)]}
    else:
        model = booster(library, fl.CoxPH(), early_stopping_rounds=5).set_params(n_estimators=500)
        stopping = {"verbose": False}
    model.fit(X[:700], y[:700], eval_set=[(X[700:], y[700:])], **stopping)
    rounds = model.best_iteration_ if library == "lightgbm" else model.best_iteration
    assert 0 < rounds < 490
    history = model.evals_result_ if library == "lightgbm" else model.evals_result()
    (name,) = history
    raw = model.predict(X[700:])
    assert min(history[name]["cox_ph"]) == pytest.approx(fl.cox_ph(raw, y[700:]), rel=1e-4)


def test_native_objective():
    lightgbm = pytest.importorskip("lightgbm")
    import fastloss.lightgbm

    X, y, weight, _ = study(500)
    parameters = {"objective": fastloss.lightgbm.objective(fl.CoxPH()), "metric": "None", "verbose": -1}
    trained = lightgbm.train(parameters, lightgbm.Dataset(X, y, weight=weight), num_boost_round=25)
    model = booster("lightgbm", fl.CoxPH(), learning_rate=0.1).fit(X, y, sample_weight=weight)
    assert trained.predict(X) == pytest.approx(model.predict(X))


def test_catboost_takes_what_is_of_single_rows(data):
    X, y, weight, _ = data
    model = booster("catboost", fl.AFT("extreme")).fit(X, y, sample_weight=weight)
    assert agreement(model, X, y) > 0.7
    assert model.predict_survival_function(X[:2], [1.0, 9.0]).shape == (2, 2)
    for loss in (fl.CoxPH(), fl.AFT("normal", None), fl.GroupSoftmax()):
        with pytest.raises(ValueError, match=r"use fastloss\.lightgbm or fastloss\.xgboost"):
            booster("catboost", loss).fit(X, np.abs(y))


@pytest.mark.parametrize("loss", TIMES, ids=str)
def test_trees_of_scikit_learn(data, loss):
    from sklearn.ensemble import HistGradientBoostingRegressor

    from fastloss.sklearn import hist_gradient_boosting_loss

    X, y, weight, _ = data
    model = HistGradientBoostingRegressor(loss=hist_gradient_boosting_loss(loss), max_iter=25, early_stopping=True)
    model.set_params(scoring="loss", random_state=0).fit(X, y, sample_weight=weight)
    risk = model.predict(X)
    assert fl.concordance_index(y, risk if isinstance(loss, fl.CoxPH) else -risk) > 0.7
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), risk)
    with pytest.raises(TypeError, match="groups of rows"):
        hist_gradient_boosting_loss(fl.GroupSoftmax())


@pytest.mark.parametrize("library", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("loss", ["group_softmax", fl.PairwiseLogistic()], ids=str)
def test_rankers(library, loss):
    pytest.importorskip(library)
    module = importlib.import_module(f"fastloss.{library}")
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 9, 200)
    X = rng.normal(size=(sizes.sum(), 4))
    y = np.clip(np.round(X[:, 0] + 1 + 0.3 * rng.normal(size=len(X))), 0, 3)
    weight = np.repeat(rng.choice([0.0, 1.0, 2.0], 200), sizes)
    make = module.LGBMRanker if library == "lightgbm" else module.XGBRanker
    quiet = {"verbose": -1} if library == "lightgbm" else {"learning_rate": 0.1}
    model = make(loss=loss, n_estimators=25, **quiet)
    silent = {} if library == "lightgbm" else {"verbose": False}
    model.fit(X, y, group=sizes, sample_weight=weight, eval_set=[(X, y)], eval_group=[sizes], **silent)
    scores = model.predict(X)
    assert fl.pairwise_logistic(scores, y, group=sizes) < 0.7 * fl.pairwise_logistic(0 * scores, y, group=sizes)
    ids = np.repeat(np.arange(200), sizes)
    by_id = clone(model).fit(X, y, group=ids, sample_weight=weight)
    assert np.array_equal(by_id.predict(X), scores)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), scores)
    with pytest.raises(ValueError, match="group must be given"):
        clone(model).fit(X, y)
    with pytest.raises(ValueError, match=r"group adds up to|group must hold"):
        clone(model).fit(X, y, group=sizes[:-1])
    with pytest.raises(ValueError, match=r"eval_group\[0\] must be given|eval_group holds"):
        clone(model).fit(X, y, group=sizes, eval_set=[(X, y)], **silent)
    with pytest.raises(ValueError, match="knows nothing of groups"):
        make(loss="huber").fit(X, y, group=sizes)
    regressor = module.LGBMRegressor if library == "lightgbm" else module.XGBRegressor
    with pytest.raises(ValueError, match="needs the groups of rows"):
        regressor(loss=fl.GroupSoftmax()).fit(X, y)


def test_where_there_is_no_place_for_them(data):
    from fastloss.sklearn import LossClassifier, loss_scorer

    X, y, _, _ = data
    with pytest.raises(ValueError, match="use LossRegressor"):
        LossClassifier(loss=fl.CoxPH()).fit(X, y > 0)
    with pytest.raises(ValueError, match="of which there is no scorer"):
        loss_scorer(fl.CoxPH())
    with pytest.raises(ValueError, match="rows that belong together"):
        fl.check_objective(lambda z, y: (z, y), fl.CoxPH())
    dask = pytest.importorskip("dask.array")
    import fastloss.dask

    with pytest.raises(TypeError, match="does not split into chunks"):
        fastloss.dask.value(fl.CoxPH(), dask.from_array(y), dask.from_array(y))


def test_torch(data):
    torch = pytest.importorskip("torch")
    import fastloss.torch

    _, y, _, _ = data
    z = np.random.default_rng(0).normal(size=len(y))
    prediction = torch.tensor(z, requires_grad=True)
    value = fastloss.torch.apply(fl.CoxPH(), prediction, torch.tensor(y))
    value.backward()
    assert float(value.detach()) == fl.cox_ph(z, y)
    assert np.array_equal(prediction.grad.numpy(), fl.CoxPH().gradient(z, y))


@pytest.mark.parametrize("scale", [1.0, None])
def test_aft_without_intercept_is_that_of_uncentred_columns(scale):
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=(150, 2)) + 5, np.ones(150)])
    y = rng.exponential(np.exp(x[:, 0] / 2 - 2)) + 0.01
    y[::3] *= -1
    loss = fl.AFT("extreme", scale)
    model, of_sparse = (
        LossRegressor(loss, alpha=0.01, fit_intercept=False).fit(each, y) for each in (x, sparse.csr_matrix(x))
    )
    assert np.allclose(model.coef_, of_sparse.coef_, rtol=1e-6)
    z = x @ model.coef_
    place = z if scale else np.column_stack([z, np.full(150, np.log(model.scale_))])
    by_place = loss.gradient(place, y).reshape(150, -1)[:, 0]
    assert np.allclose(x.T @ by_place + 0.01 * model.coef_, 0, atol=1e-6)
