"""Boosters trained on several numbers a row: as many trees a round, from the best constant to distributions."""

import importlib.util
import pickle

import numpy as np
import pytest

import fastloss as fl

lightgbm = pytest.importorskip("lightgbm")
pytest.importorskip("scipy")
fastloss_lightgbm = pytest.importorskip("fastloss.lightgbm")

LIKELIHOODS = [fl.GaussianNLL(), fl.LaplaceNLL(), fl.LogisticNLL(), fl.StudentTNLL(), fl.GaussianCRPS()]
POSITIVE = [fl.LogNormalNLL(), fl.GammaNLL(), fl.WeibullNLL(), fl.LogNormalCRPS()]
SMALL = {"n_estimators": 40, "num_leaves": 7, "min_child_samples": 20, "verbose": -1, "n_jobs": 1}


def problem(loss, n=1200, seed=0):
    """The spread depends on one feature, the location on two others."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    y = np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] + np.exp(0.7 * X[:, 2] - 0.5) * rng.normal(size=n)
    return X, np.exp(y / 2) if loss.target_domain == "positive" else y


@pytest.mark.parametrize("loss", LIKELIHOODS + POSITIVE, ids=repr)
def test_it_learns_location_and_scale(loss):
    X, y = problem(loss)
    X_new, y_new = problem(loss, seed=1)
    model = fastloss_lightgbm.LGBMRegressor(loss=loss, **SMALL).fit(X, y)
    scores = model.predict(X_new, raw_score=True)
    assert scores.shape == (len(X_new), 2)
    constant = np.broadcast_to(model.init_score_, scores.shape)
    assert loss(scores, y_new) < loss(constant, y_new) - 0.1
    np.testing.assert_allclose(model.predict(X_new), loss.distribution(scores).mean())
    distribution = model.predict_distribution(X_new)
    inside = (y_new > distribution.ppf(0.1)) & (y_new < distribution.ppf(0.9))
    assert 0.6 < inside.mean() < 0.95
    if loss.target_domain == "any":
        spread = np.log(distribution.ppf(0.9) - distribution.ppf(0.1))
        assert np.corrcoef(spread, X_new[:, 2])[0, 1] > 0.5
    with pytest.raises(ValueError, match=r"q\[0\] = 0.0 must lie in \(0, 1\)"):
        model.predict_quantiles(X_new[:5], [0.0, 0.5])
    quantiles = model.predict_quantiles(X_new[:5], [0.1, 0.5, 0.9])
    assert quantiles.shape == (5, 3)
    assert (np.diff(quantiles, axis=1) > 0).all()


@pytest.mark.parametrize("loss", [fl.GaussianNLL(), fl.LogisticNLL()], ids=repr)
@pytest.mark.parametrize("y", [0.1, 7.3, 12345.678])
def test_a_constant_target(loss, y):
    """Trees round targets: what is left of that must not be a distance of many spreads."""
    X = np.random.default_rng(0).normal(size=(200, 3))
    model = fastloss_lightgbm.LGBMRegressor(loss=loss, verbose=-1, n_jobs=1).fit(X, np.full(200, y))
    np.testing.assert_allclose(model.predict(X, raw_score=True)[:, 0], y, rtol=1e-6)
    assert np.all(np.abs(model.predict(X, raw_score=True)[:, 1]) < 100)


@pytest.mark.parametrize("curvature", ["exact", "psd", "majorize", "fisher"])
def test_curvatures(curvature):
    """ "auto" is "fisher"; none diverges."""
    X, y = problem(fl.LogisticNLL())
    loss = fl.LogisticNLL()
    model = fastloss_lightgbm.LGBMRegressor(loss=loss, curvature=curvature, **SMALL).fit(X, y)
    scores = model.predict(X, raw_score=True)
    assert np.isfinite(scores).all()
    if curvature != "exact":
        assert loss(scores, y) < loss(np.broadcast_to(model.init_score_, scores.shape), y)
    if curvature == "fisher":
        auto = fastloss_lightgbm.LGBMRegressor(loss=loss, **SMALL).fit(X, y)
        np.testing.assert_array_equal(auto.predict(X), model.predict(X))


def test_weights_early_stopping_and_pickles():
    loss = fl.GaussianNLL()
    X, y = problem(loss)
    X_new, y_new = problem(loss, seed=1)
    weight = np.where(np.arange(len(y)) < 600, 1.0, 0.0)
    weighted = fastloss_lightgbm.LGBMRegressor(loss=loss, **SMALL).fit(X, y, sample_weight=weight)
    alone = fastloss_lightgbm.LGBMRegressor(loss=loss, **SMALL).fit(X[:600], y[:600])
    np.testing.assert_allclose(weighted.init_score_, alone.init_score_)
    options = {**SMALL, "n_estimators": 400, "learning_rate": 0.3}
    stopped = fastloss_lightgbm.LGBMRegressor(loss=loss, **options)
    stopped.fit(X, y, eval_set=[(X_new, y_new)], callbacks=[lightgbm.early_stopping(10, verbose=False)])
    assert stopped.best_iteration_ < 200
    recorded = stopped.evals_result_["valid_0"]["gaussian_nll"]
    assert min(recorded) == pytest.approx(loss(stopped.predict(X_new, raw_score=True), y_new), rel=1e-6)
    again = pickle.loads(pickle.dumps(stopped))
    np.testing.assert_array_equal(again.predict(X_new), stopped.predict(X_new))
    np.testing.assert_array_equal(again.predict_distribution(X_new).std(), stopped.predict_distribution(X_new).std())
    native = lightgbm.Booster(model_str=stopped.booster_.model_to_string())
    np.testing.assert_allclose(native.predict(X_new, raw_score=True), stopped.predict(X_new, raw_score=True))


def more_problems(loss, n=1200):
    """Targets of each of the losses with a domain of its own, whose parameters depend on the features."""
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    mean, a = np.exp(0.5 * X[:, 0] + 1), np.exp(-1 + 0.5 * X[:, 1])
    draws = {
        "negative_binomial_nll": lambda: stats.nbinom.rvs(1 / a, 1 / (1 + a * mean), random_state=1),
        "beta_nll": lambda: stats.beta.rvs(np.exp(X[:, 0]) + 0.5, 2, random_state=1).clip(1e-9, 1 - 1e-9),
        "student_t_nll": lambda: X[:, 0] + 0.3 * stats.t.rvs(3, size=n, random_state=2),
        "quantiles": lambda: X[:, 0] + 0.5 * rng.normal(size=n),
        "squared_log_error": lambda: np.exp(X[:, 0] + 0.1 * rng.normal(size=n)),
    }
    ordered = lambda: np.digitize(X[:, 0] + 0.5 * rng.logistic(size=n), [-1, 0, 1])
    return X, draws.get(loss.name, ordered)().astype(float)


@pytest.mark.parametrize(
    "loss",
    [
        fl.NegativeBinomialNLL(),
        fl.BetaNLL(),
        fl.StudentTNLL(df=None),
        fl.Quantiles(noncrossing=True),
        fl.AllThreshold(4),
        fl.CumulativeLogit((-1.0, 0.0, 1.0)),
        fl.SquaredLogError(),
    ],
    ids=lambda loss: loss.name,
)
def test_counts_shares_ordered_classes_and_rising_quantiles(loss):
    """Every one is better than its best constant, whatever the curvature, and never diverges."""
    X, y = more_problems(loss)
    train = np.arange(len(y)) < 900
    start = loss.init_score(y[train])
    for curvature in ("auto", "psd", "majorize"):
        model = fastloss_lightgbm.LGBMRegressor(loss=loss, curvature=curvature, **SMALL).fit(X[train], y[train])
        predicted = model.predict(X[~train])
        assert np.isfinite(predicted).all()
        z = model._raw_scores(X[~train], {})
        constant = loss(np.broadcast_to(start, z.shape), y[~train])
        assert loss(z, y[~train]) < constant - 0.01 * abs(constant)
    if loss.name == "quantiles":
        assert (np.diff(predicted, axis=1) > 0).all()


def test_quantiles_together():
    """Nine quantiles in one model: each where it belongs."""
    q = tuple(k / 10 for k in range(1, 10))
    loss = fl.Quantiles(q=q)
    X, y = problem(loss, 2000)
    X_new, y_new = problem(loss, 2000, seed=1)
    model = fastloss_lightgbm.LGBMRegressor(loss=loss, **{**SMALL, "n_estimators": 80}).fit(X, y)
    found = model.predict(X_new)
    assert found.shape == (len(X_new), 9)
    np.testing.assert_allclose((y_new[:, None] < found).mean(axis=0), q, atol=0.08)
    constant = np.broadcast_to(model.init_score_, found.shape)
    assert loss(found, y_new) < 0.9 * loss(constant, y_new)
    with pytest.raises(AttributeError, match="is not the loss of a distribution"):
        model.predict_distribution(X_new)


def test_bad_targets_are_named():
    X, y = problem(fl.GammaNLL())
    y[7] = -1.0
    with pytest.raises(ValueError, match=r"\[7\] = -1.0 must be finite and > 0"):
        fastloss_lightgbm.LGBMRegressor(loss=fl.GammaNLL(), **SMALL).fit(X, y)
    with pytest.raises(ValueError, match="no loss for classification"):
        fastloss_lightgbm.LGBMClassifier(loss=fl.GaussianNLL(), **SMALL).fit(X, (X[:, 0] > 0).astype(int))


@pytest.mark.parametrize("loss", [fl.GaussianNLL(), fl.GammaNLL(), fl.Quantiles()], ids=repr)
def test_xgboost(loss):
    pytest.importorskip("xgboost")
    module = pytest.importorskip("fastloss.xgboost")
    X, y = problem(loss)
    X_new, y_new = problem(loss, seed=1)
    model = module.XGBRegressor(loss=loss, n_estimators=30, max_depth=3, n_jobs=1).fit(
        X, y, eval_set=[(X_new, y_new)], verbose=False
    )
    scores = model.predict(X_new, output_margin=True)
    assert scores.shape == (len(X_new), len(loss.columns))
    constant = np.broadcast_to(model.init_score_, scores.shape)
    assert loss(scores, y_new) < loss(constant, y_new) - 0.05
    recorded = model.evals_result()["validation_0"]
    assert recorded[next(iter(recorded))][-1] == pytest.approx(loss(scores, y_new), rel=1e-5)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X_new), model.predict(X_new))
    if loss.kind == "columns" and hasattr(loss, "distribution"):
        assert model.predict_quantiles(X_new[:5], [0.1, 0.9]).shape == (5, 2)


@pytest.mark.parametrize("loss", [fl.GaussianNLL(), fl.GammaNLL(), fl.Quantiles(noncrossing=True)], ids=repr)
def test_scikit_learn(loss):
    module = pytest.importorskip("fastloss.sklearn")
    X, y = problem(loss)
    X_new, y_new = problem(loss, seed=1)
    weight = np.where(np.arange(len(y)) < 600, 1.0, 0.0)
    options = {"max_iter": 30, "max_leaf_nodes": 7, "random_state": 0}
    model = module.HistGradientBoostingRegressor(loss, early_stopping=True, **options)
    scores = model.fit(X, y)._raw_scores(X_new, {})
    assert scores.shape == (len(X_new), len(loss.columns))
    constant = np.broadcast_to(model.init_score_, scores.shape)
    assert loss(scores, y_new) < loss(constant, y_new) - 0.05
    assert len(model.validation_score_) == model.n_iter_ + 1
    staged = list(model.staged_predict(X_new))
    assert len(staged) == model.n_iter_
    np.testing.assert_array_equal(staged[-1], model.predict(X_new))
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X_new), model.predict(X_new))
    weighted = module.HistGradientBoostingRegressor(loss, **options).fit(X, y, weight)
    np.testing.assert_allclose(weighted.init_score_, loss.init_score(y[:600]))
    if hasattr(loss, "distribution"):
        assert model.predict_quantiles(X_new[:5], [0.1, 0.9]).shape == (5, 2)
        np.testing.assert_allclose(model.predict(X_new), loss.distribution(scores).mean())
    else:
        assert (np.diff(model.predict(X_new), axis=1) > 0).all()


def test_scikit_learn_grows_the_trees_of_lightgbm():
    """One round of one split: the same leaves."""
    module = pytest.importorskip("fastloss.sklearn")
    loss = fl.GaussianNLL()
    X, y = problem(loss, 400)
    ours = module.HistGradientBoostingRegressor(loss, max_iter=1, max_leaf_nodes=2, max_bins=255).fit(X, y)
    theirs = fastloss_lightgbm.LGBMRegressor(
        loss=loss, n_estimators=1, num_leaves=2, min_child_samples=20, max_bin=255, verbose=-1, n_jobs=1
    ).fit(X, y)
    leaves = [np.unique(model._raw_scores(X, {})[:, k].round(3)) for model in (ours, theirs) for k in range(2)]
    for k in range(2):
        np.testing.assert_allclose(leaves[k], leaves[k + 2], atol=2e-2)


def regressors():
    """One small regressor for each library that is there."""
    yield lambda loss: fastloss_lightgbm.LGBMRegressor(loss=loss, **SMALL)
    if importlib.util.find_spec("xgboost"):
        from fastloss.xgboost import XGBRegressor

        yield lambda loss: XGBRegressor(loss=loss, n_estimators=40, max_leaves=7, max_depth=0, n_jobs=1)
    if importlib.util.find_spec("sklearn"):
        from fastloss.sklearn import HistGradientBoostingRegressor

        yield lambda loss: HistGradientBoostingRegressor(loss, max_iter=40, max_leaf_nodes=7)


def several_targets(n=600):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    whole = np.column_stack([X[:, 0], X[:, 1] + 5, np.abs(X[:, 2])]) + 0.1 * rng.normal(size=(n, 3))
    return X, whole, rng.random(whole.shape) < 0.3


@pytest.mark.parametrize("loss", [fl.Huber(), fl.AbsoluteError()], ids=repr)
def test_several_targets_with_missing_ones(loss):
    """Start at each target's own constant; what is missing counts for nothing, whatever stands there."""
    X, whole, missing = several_targets()
    y = np.where(missing, np.nan, whole)
    weight = np.where(np.arange(len(y)) % 4 > 0, 1.0, 0.5)
    for make in regressors():
        model = make(loss).fit(X, y, sample_weight=weight)
        predicted = model.predict(X)
        assert predicted.shape == y.shape
        for j in range(3):
            known = ~missing[:, j]
            assert model.init_score_[j] == pytest.approx(loss.init_score(y[known, j], weight[known]), abs=1e-6)
        assert (((predicted - whole) ** 2).mean(axis=0) < 0.5 * whole.var(axis=0)).all()
        masked = make(loss).fit(X, np.ma.array(whole, mask=missing), sample_weight=weight)
        np.testing.assert_array_equal(masked.predict(X), predicted)
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again.predict(X), predicted)


def test_several_targets_are_as_one_each():
    """LightGBM's trees of a target are those it has alone, if nothing is missing."""
    X, y, _ = several_targets()
    together = fastloss_lightgbm.LGBMRegressor(loss=fl.Huber(), **SMALL).fit(X, y).predict(X)
    for j in range(3):
        alone = fastloss_lightgbm.LGBMRegressor(loss=fl.Huber(), **SMALL).fit(X, y[:, j])
        np.testing.assert_allclose(together[:, j], alone.predict(X), rtol=1e-5, atol=1e-6)


def test_several_labels_a_row():
    """Probabilities of each label; the metric looks at known labels alone."""
    X, whole, missing = several_targets()
    y = np.where(missing, np.nan, whole > whole.mean(axis=0))
    loss = fl.BinaryCrossEntropy()
    for make in regressors():
        model = make(loss)
        if hasattr(model, "evals_result_") or hasattr(model, "evals_result"):
            model.fit(X, y, eval_set=[(X + 0.0, y)], **({"verbose": False} if "XGB" in type(model).__name__ else {}))
            found = model.evals_result_ if hasattr(model, "evals_result_") else model.evals_result()
            values = next(iter(next(iter(found.values())).values()))
            expected = loss(model._raw_scores(X, {}), np.nan_to_num(y), sample_weight=1.0 - missing)
            assert values[-1] == pytest.approx(expected, rel=1e-5)
        else:
            model.fit(X, y)
        p = model.predict(X)
        assert p.shape == y.shape
        assert ((p > 0) & (p < 1)).all()
        assert ((p > 0.5) == (whole > whole.mean(axis=0))).mean() > 0.9


def test_several_targets_that_cannot_be_trained():
    X, whole, missing = several_targets(60)
    for make in regressors():
        with pytest.raises(ValueError, match=r"y\[:, 1\] holds no target"):
            make(fl.Huber()).fit(X, np.where([False, True, False], np.nan, whole))
        with pytest.raises(ValueError, match=r"y\[3, 2\] = inf must be finite: nan is a missing"):
            make(fl.Huber()).fit(X, np.where(np.arange(180).reshape(60, 3) == 11, np.inf, whole))
        with pytest.raises(ValueError, match=r"y must be of shape \(n,\)"):
            make(fl.GaussianNLL()).fit(X, whole)
    with pytest.raises(ValueError, match=r"y of eval_set\[0\] must hold as many targets a row as y, 3"):
        fastloss_lightgbm.LGBMRegressor(loss=fl.Huber(), **SMALL).fit(X, whole, eval_set=[(X, whole[:, :2])])
    module = pytest.importorskip("fastloss.sklearn")
    with pytest.raises(ValueError, match="scoring must be 'loss' with several targets"):
        module.HistGradientBoostingRegressor("huber", scoring="r2").fit(X, whole)
    with pytest.raises(TypeError, match="GroupSoftmax"):
        module.HistGradientBoostingRegressor(fl.GroupSoftmax()).fit(X, whole[:, 0] > 0)


def test_where_they_are_refused():
    """By name, where one score a row is all that can be trained or scored."""
    X, y = problem(fl.GaussianNLL(), 60)
    sklearn = pytest.importorskip("fastloss.sklearn")
    with pytest.raises(TypeError, match=r"several numbers a row.*sklearn\.HistGradientBoostingRegressor"):
        sklearn.hist_gradient_boosting_loss(fl.GaussianNLL())
    with pytest.raises(TypeError, match="ordered classes by one score"):
        sklearn.hist_gradient_boosting_loss(fl.CumulativeLogit())
    with pytest.raises(ValueError, match="ordered classes, of which there is no scorer"):
        sklearn.loss_scorer(fl.AllThreshold(3))
    with pytest.raises(ValueError, match="response_method must be 'decision_function' for gaussian_nll"):
        sklearn.loss_scorer(fl.GaussianNLL(), response_method="predict")
    assert not hasattr(sklearn.HistGradientBoostingRegressor("huber"), "decision_function")
    pytest.importorskip("catboost")
    module = pytest.importorskip("fastloss.catboost")
    for refuse in (module.objective, module.metric):
        with pytest.raises(ValueError, match=r"several numbers a row.*catboost\.CatBoostRegressor"):
            refuse(fl.GaussianNLL())
    options = {"iterations": 2, "verbose": False, "allow_writing_files": False}
    model = module.CatBoostRegressor(fl.GaussianNLL(), **options)
    with pytest.raises(ValueError, match="baseline and init_model must be None with 2 scores a row"):
        model.fit(X, y, baseline=np.zeros((60, 2)))


@pytest.mark.parametrize("loss", [fl.GaussianNLL(), fl.Quantiles(noncrossing=True), "targets"], ids=str)
def test_catboost(loss, tmp_path):
    """Row by row, with the start value in the model's bias."""
    pytest.importorskip("catboost")
    module = pytest.importorskip("fastloss.catboost")
    if loss == "targets":
        loss, (X, whole, missing) = fl.Huber(), several_targets(200)
        y, start = (
            np.where(missing, np.nan, whole),
            [fl.Huber().init_score(t[~m]) for t, m in zip(whole.T, missing.T, strict=True)],
        )
        scored = lambda z: loss(z, whole, sample_weight=1.0 - missing)
    else:
        X, y = problem(loss, 200)
        start = loss.init_score(y)
        scored = lambda z: loss(z, y)
    options = {"iterations": 8, "learning_rate": 0.3, "depth": 3, "thread_count": 1}
    model = module.CatBoostRegressor(loss, verbose=False, allow_writing_files=False, **options)
    model.fit(X, y, eval_set=(X, y), sample_weight=np.full(len(X), 2.0), use_best_model=False)
    np.testing.assert_allclose(model.init_score_, start, rtol=1e-6)
    z = model.predict(X, prediction_type="RawFormulaVal")
    constant = np.broadcast_to(model.init_score_, z.shape)
    assert scored(z) < scored(constant) - 0.02 * abs(scored(constant))
    of_metric = model.get_evals_result()["validation"]
    assert list(of_metric) == [loss.name]
    assert of_metric[loss.name][-1] == pytest.approx(scored(z), rel=1e-6)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    model.save_model(str(tmp_path / "model.cbm"))
    loaded = module.CatBoostRegressor().load_model(str(tmp_path / "model.cbm"))
    assert loaded.loss_ == loss
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert model.predict(X[0]).shape == model.predict(X).shape[1:]
    if hasattr(loss, "distribution"):
        assert model.predict_quantiles(X[:5], [0.1, 0.9]).shape == (5, 2)


def test_torch():
    torch = pytest.importorskip("torch")
    module = pytest.importorskip("fastloss.torch")
    z = torch.zeros((3, 2), dtype=torch.float64, requires_grad=True)
    t = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    value = module.apply(fl.GaussianNLL(), z, t)
    value.backward()
    np.testing.assert_allclose(z.grad.numpy(), fl.GaussianNLL().gradient(z.detach().numpy(), t.numpy()))
    theirs = torch.nn.functional.gaussian_nll_loss(torch.zeros(3), t, torch.ones(3), full=True)
    assert float(value.detach()) == pytest.approx(float(theirs))
