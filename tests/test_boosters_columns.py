"""Boosters trained on several numbers a row: as many trees a round, from the best constant to distributions."""

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
    quantiles = model.predict_quantiles(X_new[:5], [0.1, 0.5, 0.9])
    assert quantiles.shape == (5, 3)
    assert (np.diff(quantiles, axis=1) > 0).all()


@pytest.mark.parametrize("curvature", ["exact", "psd", "majorize", "fisher"])
def test_curvatures(curvature):
    """ "auto" is "fisher"; none diverges."""
    X, y = problem(fl.StudentTNLL())
    loss = fl.StudentTNLL()
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


def test_where_they_are_refused():
    """By name, where one score a row is all that can be trained or scored."""
    X, y = problem(fl.GaussianNLL(), 60)
    sklearn = pytest.importorskip("fastloss.sklearn")
    with pytest.raises(ValueError, match="several numbers a row"):
        sklearn.LossRegressor(loss=fl.GaussianNLL()).fit(X, y)
    with pytest.raises(TypeError, match="several numbers a row"):
        sklearn.hist_gradient_boosting_loss(fl.GaussianNLL())
    with pytest.raises(TypeError, match="ordered classes by one score"):
        sklearn.hist_gradient_boosting_loss(fl.CumulativeLogit())
    with pytest.raises(ValueError, match="several numbers a row"):
        sklearn.loss_scorer(fl.GaussianNLL())
    pytest.importorskip("catboost")
    module = pytest.importorskip("fastloss.catboost")
    for refuse in (
        lambda: module.CatBoostRegressor(loss=fl.GaussianNLL()).fit(X, y),
        lambda: module.objective(fl.GaussianNLL()),
        lambda: module.metric(fl.GaussianNLL()),
    ):
        with pytest.raises(ValueError, match="several numbers a row"):
            refuse()


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
