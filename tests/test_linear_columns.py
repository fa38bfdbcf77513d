"""Linear models of several numbers a row: at the minimum, like statsmodels', and what they predict."""

import pickle

import numpy as np
import pytest

import fastloss as fl
from fastloss import reference

pytest.importorskip("sklearn")
from scipy import optimize, sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastloss.sklearn import LossRegressor, LossRegressorCV

SMOOTH = [
    fl.GaussianNLL(),
    fl.LogisticNLL(),
    fl.StudentTNLL(df=4.0),
    fl.StudentTNLL(df=None),
    fl.LogNormalNLL(),
    fl.GammaNLL(),
    fl.WeibullNLL(),
    fl.NegativeBinomialNLL(),
    fl.ZeroInflatedPoissonNLL(),
    fl.BetaNLL(),
    fl.GaussianCRPS(),
    fl.LogNormalCRPS(),
]
KINKED = [fl.LaplaceNLL(), fl.Quantiles(), fl.Quantiles(q=(0.3,)), fl.Quantiles(noncrossing=True)]


def name_of(loss):
    return f"{loss.name}-{len(loss.columns)}-{loss.parameters.get('noncrossing', '')}"


def study(loss, n=400, seed=0):
    """Features of units of their own, and targets whose every parameter depends on them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    columns = len(loss.columns)
    coef = np.array([[0.4, -0.3], [0.2, 0.1], [0.1, 0.0]])[:columns]
    intercept = np.array([0.5, -0.2, 1.0])[:columns]
    z = x @ coef.T + intercept
    if isinstance(loss, fl.Quantiles):
        y = z[:, 0] + np.exp(0.3 * x[:, 0]) * rng.normal(size=n)
    else:
        y = np.asarray(loss.distribution(z).rvs(random_state=seed + 1), float)
    if loss.target_domain == "open interval":
        y = np.clip(y, 1e-9, 1 - 1e-9)
    units, place = np.array([1e-3, 100.0]), np.array([5.0, -3e4])
    return x * units + place, y, coef / units, intercept - (coef / units) @ place


def objective(loss, x, y, weight, l1, l2, theta):
    """Value and gradient of the text-book twin in standardised features, penalised as the coefficients of x are."""
    centre, spread = x.mean(axis=0), x.std(axis=0)
    features = (x - centre) / spread
    columns = len(loss.columns)
    theta = theta.reshape(columns, -1)
    z = features @ theta[:, :-1].T + theta[:, -1]
    parameters = {name: value for name, value in loss.parameters.items() if name in ("df", "q", "noncrossing")}
    row, slope, _ = getattr(reference, loss.name)(z, y, **parameters)
    w = np.ones(len(y)) if weight is None else weight
    w = w / w.sum()
    gradient = (w[:, None] * slope).T @ np.column_stack([features, np.ones(len(x))])
    coef = theta[:, :-1] / spread
    gradient[:, :-1] += (l2 * coef + l1 * np.sign(coef)) / spread
    value = w @ row + l1 * np.abs(coef).sum() + l2 / 2 * np.square(coef).sum()
    return float(value), gradient.ravel()


def theta_of(model, x):
    centre, spread = x.mean(axis=0), x.std(axis=0)
    return np.column_stack([model.coef_ * spread, model.intercept_ + model.coef_ @ centre]).ravel()


@pytest.mark.parametrize("loss", SMOOTH, ids=name_of)
@pytest.mark.parametrize("penalty", [None, "l2", "l1"])
def test_fit_is_the_minimum(loss, penalty):
    x, y, _, _ = study(loss)
    weight = np.random.default_rng(2).choice([0.0, 1.0, 2.0], len(y))
    model = LossRegressor(loss, penalty=penalty, alpha=1e-5).fit(x, y, weight)
    l1, l2 = {None: (0.0, 0.0), "l2": (0.0, 1e-5), "l1": (1e-5, 0.0)}[penalty]
    at = theta_of(model, x)
    value, gradient = objective(loss, x, y, weight, l1, l2, at)
    assert np.abs(gradient[at != 0]).max() < 1e-5 * max(1.0, np.abs(value))
    if penalty != "l1":
        start = np.zeros_like(at).reshape(len(loss.columns), -1)
        start[:, -1] = loss.init_score(y, weight)
        found = optimize.minimize(
            lambda theta: objective(loss, x, y, weight, l1, l2, theta), start.ravel(), jac=True, method="BFGS"
        )
        assert value <= found.fun + 1e-6 * (1 + abs(found.fun))
    assert model.coef_.shape == (len(loss.columns), 2)
    assert model.intercept_.shape == (len(loss.columns),)


@pytest.mark.parametrize("loss", KINKED, ids=name_of)
def test_fit_with_kinks_is_the_minimum(loss):
    x, y, _, _ = study(loss, 150)
    weight = np.random.default_rng(2).choice([0.0, 1.0, 2.0], len(y))
    model = LossRegressor(loss, penalty=None, tol=1e-4).fit(x, y, weight)
    at = theta_of(model, x)
    value, _ = objective(loss, x, y, weight, 0.0, 0.0, at)
    # Not lower in any direction; there are too many kinks for a slope to say anything.
    rng = np.random.default_rng(0)
    for size in (1e-1, 1e-2, 1e-3):
        for _ in range(40):
            other, _ = objective(loss, x, y, weight, 0.0, 0.0, at + size * rng.normal(size=at.shape))
            assert other > value - 5e-4 * (1 + abs(value))


def test_single_quantiles_are_those_of_quantile():
    x, y, _, _ = study(fl.Quantiles(), 150)
    model = LossRegressor(fl.Quantiles(q=(0.2, 0.7)), penalty=None).fit(x, y)
    for k, q in enumerate((0.2, 0.7)):
        alone = LossRegressor(fl.Quantile(q), penalty=None).fit(x, y)
        np.testing.assert_allclose(fl.quantile(model.predict(x)[:, k], y, q=q), fl.quantile(alone.predict(x), y, q=q))
    assert 0 < model.score(x, y) < 1
    rising = LossRegressor(fl.Quantiles(noncrossing=True), penalty=None, tol=1e-3).fit(x, y)
    assert (np.diff(rising.predict(x * [1, 3]), axis=1) >= 0).all()


@pytest.mark.parametrize("loss", [loss for loss in SMOOTH if not loss.name.endswith("crps")], ids=name_of)
def test_known_parameters_are_found(loss):
    x, y, coef, intercept = study(loss, 20_000)
    model = LossRegressor(loss, penalty=None).fit(x, y)
    far = 0.6 if len(loss.columns) == 3 else 0.15
    np.testing.assert_allclose(model.coef_ * x.std(axis=0), coef * x.std(axis=0), atol=far)
    np.testing.assert_allclose(model.intercept_ + model.coef_ @ [5, -3e4], intercept + coef @ [5, -3e4], atol=far)


@pytest.mark.parametrize("loss", [fl.GaussianNLL(), fl.Quantiles()], ids=name_of)
def test_weights_are_numbers_of_rows(loss):
    x, y, _, _ = study(loss, 120)
    weight = np.arange(120) % 3
    y_of = np.where(weight == 0, np.nan_to_num(y) + 100, y)
    weighted = LossRegressor(loss, alpha=1e-4).fit(x, y_of, weight)
    repeated = LossRegressor(loss, alpha=1e-4).fit(np.repeat(x, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict(x), repeated.predict(x), rtol=1e-3, atol=2e-4)


def test_sparse_offsets_and_single_precision():
    loss = fl.GaussianNLL()
    x, y, _, _ = study(loss)
    x[np.random.default_rng(0).random(x.shape) < 0.5] = 0
    dense = LossRegressor(loss, alpha=1e-3).fit(x, y)
    np.testing.assert_allclose(LossRegressor(loss, alpha=1e-3).fit(sparse.csr_matrix(x), y).coef_, dense.coef_, 1e-4)
    single = LossRegressor(loss, alpha=1e-3, tol=1e-4).fit(x.astype(np.float32), y)
    assert single.coef_.dtype == np.float32
    np.testing.assert_allclose(single.predict(x), dense.predict(x), rtol=0.01, atol=1e-2)
    offset = np.column_stack([x[:, 0] * 3, np.full(len(x), 0.7)])
    moved = LossRegressor(loss, penalty=None).fit(x, y, offset=offset)
    plain = LossRegressor(loss, penalty=None).fit(x, y)
    np.testing.assert_allclose(moved.coef_, plain.coef_ - [[3, 0], [0, 0]], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(moved.predict(x, offset), plain.predict(x), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(moved.predict_distribution(x, offset).std(), plain.predict_distribution(x).std(), 1e-3)
    with pytest.raises(ValueError, match=r"offset must have shape \(400, 2\)"):
        moved.fit(x, y, offset=offset[:, 0])


def test_far_from_the_start_without_an_intercept():
    """Without a constant to begin with, targets of another size than 1 are far away."""
    rng = np.random.default_rng(0)
    x = rng.uniform(1, 2, (300, 2))
    y = 1e5 * x[:, 0] + 1e3 * rng.normal(size=300)
    model = LossRegressor("gaussian_nll", penalty=None, fit_intercept=False).fit(x, y)
    assert model.score(x, y) > 0.99
    assert (model.intercept_ == 0).all()


def test_predictions():
    loss = fl.GammaNLL()
    x, y, _, _ = study(loss)
    model = LossRegressor(loss, alpha=1e-6).fit(x, y)
    found = model.predict_distribution(x)
    np.testing.assert_allclose(model.predict(x), found.mean())
    for bad, words in (([0.5, 1.2], r"q\[1\] = 1.2 must lie in \(0, 1\)"), ([np.nan], r"q\[0\] = nan"), (0.5, "shape")):
        with pytest.raises(ValueError, match=words):
            model.predict_quantiles(x, bad)
    levels = model.predict_quantiles(x, [0.1, 0.9])
    assert levels.shape == (400, 2)
    np.testing.assert_allclose(levels[:, 1], found.ppf(0.9))
    assert 0.75 < np.mean((levels[:, 0] < y) & (y < levels[:, 1])) < 0.85
    assert model.score(x, y) == pytest.approx(1 - np.mean((y - model.predict(x)) ** 2) / np.var(y))
    same = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(same.predict_quantiles(x, [0.5]), model.predict_quantiles(x, [0.5]))
    again = clone(model).fit(x, y)
    np.testing.assert_array_equal(again.coef_, model.coef_)
    warm = clone(model).set_params(warm_start=True).fit(x, y)
    assert warm.fit(x, y).n_iter_ <= 2
    for other in ("huber", fl.Quantiles()):
        with pytest.raises(AttributeError, match="is not the loss of a distribution"):
            LossRegressor(other).fit(x, y).predict_distribution(x)
    times = LossRegressor(fl.AFT(scale=None)).fit(x, y)
    np.testing.assert_allclose(times.predict_distribution(x).ppf(0.5), times.predict(x))


def test_parameters_of_the_loss_are_searched():
    model = LossRegressor(fl.StudentTNLL(df=3.0)).set_params(loss__df=7.0)
    assert model.loss == fl.StudentTNLL(df=7.0)
    assert model.get_params()["loss"] == fl.StudentTNLL(df=7.0)


def test_blocks_batches_and_paths():
    loss = fl.GaussianNLL()
    x, y, _, _ = study(loss, 900)
    x = (x - [5, -3e4]) / [1e-3, 100]
    whole = LossRegressor(loss, alpha=1e-2).fit(x, y)
    blocks = LossRegressor(loss, alpha=1e-2).fit_blocks([(x[i : i + 300], y[i : i + 300]) for i in (0, 300, 600)])
    np.testing.assert_allclose(blocks.coef_, whole.coef_, rtol=1e-3, atol=1e-5)
    assert blocks.intercept_.shape == (2,)
    stream = LossRegressor(loss, alpha=1e-2)
    x, y, _, _ = study(loss, 6000)
    x = (x - [5, -3e4]) / [1e-3, 100]
    for i in range(0, 6000, 1500):
        stream.partial_fit(x[i : i + 1500], y[i : i + 1500])
    np.testing.assert_allclose(stream.coef_, LossRegressor(loss, alpha=1e-2).fit(x, y).coef_, atol=0.02)
    path = LossRegressorCV(loss, penalty="elasticnet", alphas=4, cv=3).fit(x[:500], y[:500])
    assert path.cv_scores_.shape == (4, 3)
    assert path.coef_.shape == (2, 2)
    # At the start of the path nothing is left, and just below it something is.
    first = LossRegressor(loss, penalty="elasticnet", alpha=path.alphas_[0] * 1.001).fit(x[:500], y[:500])
    assert not first.coef_.any()
    assert LossRegressor(loss, penalty="elasticnet", alpha=path.alphas_[0] * 0.9).fit(x[:500], y[:500]).coef_.any()


def test_what_is_refused_and_warned_of():
    x, y, _, _ = study(fl.GaussianNLL(), 60)
    with pytest.raises(
        ValueError, match=r"y must have shape \(n,\), got \(60, 2\): GaussianNLL\(\) has several numbers"
    ):
        LossRegressor(fl.GaussianNLL()).fit(x, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="use OrdinalClassifier"):
        LossRegressor(fl.AllThreshold(3)).fit(x, np.arange(60) % 3)
    with pytest.raises(ValueError, match=r"y\[0\] = -1.0 must be finite and > 0"):
        LossRegressor(fl.GammaNLL()).fit(x, np.append(-1.0, np.ones(59)))
    with pytest.warns(ConvergenceWarning, match="max_iter is reached"):
        LossRegressor(fl.GaussianNLL(), max_iter=1).fit(x, y)
    # A line that goes through all points has no scale: the likelihood has no bound.
    x = (x - [5, -3e4]) / [1e-3, 100]
    with pytest.warns(ConvergenceWarning, match="did not converge"):
        LossRegressor(fl.GaussianNLL(), penalty=None, max_iter=30).fit(x, x[:, 0])


def test_standard_errors_are_statsmodels():
    """statsmodels' dispersion is one number for all rows: a model whose second score has no coefficients."""
    api = pytest.importorskip("statsmodels.api")
    x, y, _, _ = study(fl.NegativeBinomialNLL(), 500)
    x = (x - [5, -3e4]) / [1e-3, 100]
    theirs = api.NegativeBinomial(y, api.add_constant(x)).fit(disp=0, method="newton", maxiter=100)
    loss = fl.NegativeBinomialNLL()
    # Of two models of the same rows, ours has two coefficients more.
    ours = LossRegressor(loss, penalty=None).fit(x, y)
    assert -len(y) * loss(ours._scores(x), y) >= theirs.llf - 1e-9
    found = ours.inference(x, y)
    assert found.names[:3] == ["log of the mean: x0", "log of the mean: x1", "log of the mean: intercept"]
    z = np.column_stack([api.add_constant(x) @ theirs.params[:3], np.full(len(y), np.log(theirs.params[3]))])
    assert -len(y) * loss(z, y) == pytest.approx(theirs.llf, rel=1e-9)
    # The likelihood's curvature, by differences of gradients of the text-book twin.
    design = np.column_stack([x, np.ones(len(y))])

    def slope(theta):
        return (reference.negative_binomial_nll(design @ theta.reshape(2, 3).T, y)[1].T @ design).ravel()

    at = np.column_stack([ours.coef_, ours.intercept_]).ravel()
    steps = 1e-5 * np.eye(6)
    hessian = np.array([(slope(at + step) - slope(at - step)) / 2e-5 for step in steps])
    np.testing.assert_allclose(found.standard_errors, np.sqrt(np.diag(np.linalg.inv(hessian))), rtol=1e-3)
    with pytest.raises(ValueError, match="is no likelihood"):
        LossRegressor(fl.GaussianCRPS(), penalty=None).fit(x, y).inference(x, y)


def test_beta_regression_is_statsmodels():
    model_of = pytest.importorskip("statsmodels.othermod.betareg").BetaModel
    x, y, _, _ = study(fl.BetaNLL(), 300)
    x = (x - [5, -3e4]) / [1e-3, 100]
    y = np.clip(y, 1e-4, 1 - 1e-4)
    design = np.column_stack([x, np.ones(len(y))])
    theirs = model_of(y, design, exog_precision=design).fit(disp=0, method="bfgs", maxiter=500)
    ours = LossRegressor(fl.BetaNLL(), penalty=None).fit(x, y)
    np.testing.assert_allclose(
        np.column_stack([ours.coef_, ours.intercept_]).ravel(), theirs.params, rtol=1e-3, atol=1e-4
    )
    errors = ours.inference(x, y).standard_errors
    np.testing.assert_allclose(errors, theirs.bse, rtol=0.02)


def test_scorers_take_the_scores():
    """Minus the mean loss of the columns, also from within a pipeline and a search."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from fastloss.sklearn import HistGradientBoostingRegressor, loss_scorer

    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    y = x[:, 0] + np.exp(x[:, 1] / 2) * rng.normal(size=300)
    w, offset = rng.uniform(0.5, 2, 300), rng.normal(size=(300, 2)) / 10
    loss = fl.GaussianNLL()
    scorer = loss_scorer("gaussian_nll")
    model = LossRegressor(loss, alpha=1e-3).fit(x, y)
    z = model.decision_function(x, offset)
    assert scorer(model, x, y, sample_weight=w, offset=offset) == -loss(z, y, sample_weight=w)
    assert loss_scorer("gaussian_crps")(model, x, y) == -fl.GaussianCRPS()(model.decision_function(x), y)
    piped = make_pipeline(StandardScaler(), LossRegressor(loss, alpha=1e-3))
    each = cross_val_score(piped, x, y, scoring=scorer, cv=3)
    search = GridSearchCV(piped, {"lossregressor__alpha": [1e-3, 10.0]}, scoring=scorer, cv=3).fit(x, y)
    assert search.cv_results_["mean_test_score"][0] == pytest.approx(each.mean())
    assert search.best_params_ == {"lossregressor__alpha": 1e-3}
    assert scorer(search, x, y) == -loss(search.decision_function(x), y)
    trees = HistGradientBoostingRegressor(loss, max_iter=3).fit(x, y)
    assert scorer(trees, x, y) == -loss(trees.decision_function(x), y)
    with pytest.raises(ValueError, match=r"LaplaceNLL\(\) takes median, .*, and the model has the scores of Gaussian"):
        loss_scorer(fl.LaplaceNLL())(search, x, y)
    with pytest.raises(ValueError, match=r"the model has the scores of Huber"):
        scorer(LossRegressor("huber").fit(x, y), x, y)
    with pytest.raises(TypeError, match="gaussian_nll needs an estimator with decision_function; Ridge has none"):
        scorer(Ridge().fit(x, y), x, y)


@pytest.mark.parametrize("loss", [fl.LaplaceNLL(), fl.Huber() + fl.AbsoluteError()])
def test_kinks_of_several_kinds_with_an_l1_norm(loss):
    """Their rounded forms have no duals, and the exact Hessian a diagonal of 0 where no row is near its kink."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(150, 3))
    y = x[:, 0] + 0.1 * rng.normal(size=150)
    fits = [
        LossRegressor(loss, penalty="l1", alpha=0.3, solver=solver, tol=1e-3).fit(x, y) for solver in ("auto", "lbfgs")
    ]
    assert fits[0].loss_curve_[-1] == pytest.approx(fits[1].loss_curve_[-1], rel=1e-3)
    assert np.allclose(fits[0].coef_, fits[1].coef_, atol=1e-2)
