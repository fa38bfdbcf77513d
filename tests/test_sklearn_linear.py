"""Linear models: the same as scikit-learn's where it has them, optimal for all losses, at home among its tools."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from scipy.optimize import linprog
from sklearn import config_context, linear_model, svm
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastloss as fl
from fastloss._resolve import resolve
from fastloss.sklearn import LossClassifier, LossRegressor

KINKED = (
    fl.AbsoluteError,
    fl.AbsolutePercentageError,
    fl.Quantile,
    fl.EpsilonInsensitive,
    fl.Hinge,
    fl.MulticlassHinge,
)
SETS = (fl.Tversky, fl.Dice, fl.Jaccard, fl.SoftF1)
# Ordered classes have a model of their own, and a linear prediction may lie below the -1 of SquaredLogError.
OWN = (fl.CumulativeLogit, fl.SquaredLogError)
LOSSES = [loss() for loss in fl.losses() if loss().kind in ("pointwise", "rowwise") and loss not in OWN]
# A target of 0 would outweigh all others.
LOSSES[LOSSES.index(fl.AbsolutePercentageError())] = fl.AbsolutePercentageError(epsilon=0.5)
SMOOTH = [loss for loss in LOSSES if not isinstance(loss, KINKED)]


def is_of_labels(loss):
    return loss.target_domain == "unit interval"


def estimator(loss, **parameters):
    return (LossClassifier if is_of_labels(loss) else LossRegressor)(loss, **parameters)


def scaled(load):
    x, y = load(return_X_y=True)
    return StandardScaler().fit_transform(x), y


@pytest.fixture(scope="module")
def cancer():
    return scaled(load_breast_cancer)


@pytest.fixture(scope="module")
def wine():
    return scaled(load_wine)


@pytest.fixture(scope="module")
def diabetes():
    return scaled(load_diabetes)


def problem(loss, wine, diabetes):
    x, y = wine if is_of_labels(loss) else diabetes
    return x, (y if is_of_labels(loss) else y / 100)


# ------------------------------------------------------------------------------------- the same as scikit-learn's


n_diabetes, n_wine, n_cancer = 442, 178, 569
precise = {"tol": 1e-12, "max_iter": 100_000}
RELATIONS = [
    ("wine", linear_model.LogisticRegression(C=0.5, **precise), LossClassifier(alpha=1 / (0.5 * n_wine))),
    ("cancer", linear_model.LogisticRegression(C=2.0, **precise), LossClassifier(alpha=1 / (2.0 * n_cancer))),
    (
        "cancer",
        linear_model.LogisticRegression(C=0.1, l1_ratio=1.0, solver="saga", random_state=0, **precise),
        LossClassifier("binary_cross_entropy", penalty="l1", alpha=1 / (0.1 * n_cancer)),
    ),
    ("cancer", svm.SVC(C=0.1, kernel="linear", tol=1e-10), LossClassifier("hinge", alpha=1 / (0.1 * n_cancer))),
    (
        "cancer",
        svm.LinearSVC(C=0.1, fit_intercept=False, tol=1e-10, max_iter=100_000),
        LossClassifier("squared_hinge", fit_intercept=False, alpha=1 / (0.1 * n_cancer)),
    ),
    ("diabetes", linear_model.Ridge(alpha=3.0), LossRegressor("squared_error", alpha=6.0 / n_diabetes)),
    ("diabetes", linear_model.Lasso(alpha=2.0, **precise), LossRegressor("squared_error", penalty="l1", alpha=4.0)),
    (
        "diabetes",
        linear_model.ElasticNet(alpha=1.0, l1_ratio=0.7, **precise),
        LossRegressor("squared_error", penalty="elasticnet", l1_ratio=0.7, alpha=2.0),
    ),
    ("diabetes", linear_model.PoissonRegressor(alpha=1.0, **precise), LossRegressor("poisson", alpha=1.0)),
    ("diabetes", linear_model.GammaRegressor(alpha=1.0, **precise), LossRegressor("gamma", alpha=1.0)),
    (
        "diabetes",
        linear_model.TweedieRegressor(power=1.5, link="log", alpha=1.0, **precise),
        LossRegressor("tweedie", alpha=1.0),
    ),
    (
        "diabetes",
        linear_model.QuantileRegressor(quantile=0.8, alpha=0.1),
        LossRegressor(fl.Quantile(0.8), penalty="l1", alpha=0.1),
    ),
    (
        "diabetes",
        svm.SVR(C=1.0, epsilon=5.0, kernel="linear", tol=1e-10),
        LossRegressor(fl.EpsilonInsensitive(5.0), alpha=1 / n_diabetes),
    ),
]


@pytest.mark.parametrize("dtype", [object, "category", "string", "Int64", "boolean"])
def test_labels_of_pandas(dtype):
    """Of every type, and of which one is missing says the error."""
    pandas = pytest.importorskip("pandas")
    of_numbers = {"Int64": [2, 1], "boolean": [True, False]}
    first, second = of_numbers.get(dtype, ["no", "yes"])
    X = np.arange(8.0)[:, None]
    y = pandas.Series([first, second] * 4, dtype=dtype, index=range(10, 18))
    for given in (y.copy(), y.to_frame()) if dtype is object else (y,):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataConversionWarning)
            model = LossClassifier().fit(X, given)
            assert set(model.predict(X)) <= {first, second} == set(model.classes_.tolist())
            given.iloc[5] = None
            with pytest.raises(ValueError, match=r"^y\[5\] = .* is missing|^Input y contains NaN"):
                LossClassifier().fit(X, given)


@pytest.mark.parametrize(("data", "theirs", "ours"), RELATIONS, ids=lambda each: type(each).__name__)
def test_the_relation_to_scikit_learn_is_as_documented(data, theirs, ours, request):
    x, y = request.getfixturevalue(data)
    theirs, ours = clone(theirs).fit(x, y), clone(ours).fit(x, y)
    np.testing.assert_allclose(np.atleast_2d(ours.coef_), np.atleast_2d(theirs.coef_), rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=2e-5, atol=2e-5)


def test_huber_regressor_is_huber_loss_at_the_scale_that_it_finds(diabetes):
    x, y = diabetes
    theirs = linear_model.HuberRegressor(epsilon=1.2, alpha=2.0, tol=1e-10, max_iter=100_000).fit(x, y)
    ours = LossRegressor(fl.Huber(1.2 * theirs.scale_), alpha=2.0 * theirs.scale_ / len(y)).fit(x, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("loss", ["hinge", "modified_huber", "log_loss"])
def test_sgd_classifier_has_no_lower_objective_at_the_same_alpha(cancer, loss):
    x, y = cancer
    parameters = {"penalty": "elasticnet", "alpha": 0.01, "l1_ratio": 0.3}
    theirs = linear_model.SGDClassifier(loss=loss, random_state=0, max_iter=300, tol=None, **parameters).fit(x, y)
    ours = LossClassifier("binary_cross_entropy" if loss == "log_loss" else loss, **parameters).fit(x, y)
    best = objective(ours, x, y)
    assert best <= objective(theirs, x, y, like=ours) <= 1.1 * best


# ---------------------------------------------------------------------------------------------------- optimality


def objective(model, x, y, like=None, weight=None):
    """The documented objective, from scratch; of a model of scikit-learn's with the parameters of ours."""
    ours = like or model
    loss, coef = resolve(ours.loss), np.atleast_2d(model.coef_)
    z = x @ coef.T + model.intercept_
    if isinstance(loss, SMOOTH_ROWS) and z.shape[1] == 1:
        z = np.concatenate([np.zeros_like(z), z], axis=1)
    if is_of_labels(loss) and not isinstance(loss, SMOOTH_ROWS):
        y = np.reshape(y, (-1, 1)) if z.shape[1] == 1 else y[:, None] == np.arange(z.shape[1])
    elif not is_of_labels(loss):
        y = np.reshape(y, z.shape)
    each = loss(z, y, reduction="none").reshape(len(x), -1).sum(axis=1)
    norm, square = np.abs(coef).sum(), np.square(coef).sum() / 2
    share = {None: 0.0, "l1": 1.0, "l2": 0.0, "elasticnet": ours.l1_ratio}[ours.penalty]
    penalty = 0.0 if ours.penalty is None else share * norm + (1 - share) * square
    return np.average(each, weights=weight) + ours.alpha * penalty


SMOOTH_ROWS = tuple({type(loss) for loss in LOSSES if hasattr(loss, "packed_hessian")} | {fl.MulticlassHinge})


def gradient_of_mean_loss(model, x, y, weight):
    """By coefficients and intercepts, with nothing of the code under test."""
    loss, coef = resolve(model.loss), np.atleast_2d(model.coef_)
    z = x @ coef.T + model.intercept_
    if is_of_labels(loss) and not isinstance(loss, SMOOTH_ROWS):
        y = (y[:, None] == np.arange(z.shape[1])).astype(float)
    w = weight if isinstance(loss, SMOOTH_ROWS) else weight[:, None]
    y = y if is_of_labels(loss) else np.reshape(y, z.shape)
    g = loss.gradient(z, y, sample_weight=w, reduction="sum") / weight.sum()
    return g.T @ x, g.sum(axis=0)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("penalty", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("loss", SMOOTH, ids=str)
def test_the_smallest_subgradient_is_zero(loss, penalty, solver, wine, diabetes):
    x, y = problem(loss, wine, diabetes)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(x))
    model = estimator(loss, penalty=penalty, alpha=0.02, l1_ratio=0.6, solver=solver).fit(x, y, weight)
    of_coef, of_intercept = gradient_of_mean_loss(model, x, y, weight)
    share = {"l2": 0.0, "l1": 1.0, "elasticnet": 0.6}[penalty]
    coef = np.atleast_2d(model.coef_)
    of_coef = of_coef + 0.02 * (1 - share) * coef
    l1 = 0.02 * share
    rest = np.where(coef != 0, np.abs(of_coef + l1 * np.sign(coef)), np.maximum(np.abs(of_coef) - l1, 0))
    scale = np.abs(gradient_of_mean_loss(at_constant(model), x, y, weight)[0]).max()
    assert rest.max() < 3e-5 * scale
    assert np.abs(of_intercept).max() < 3e-5 * scale
    if penalty == "l1":
        assert np.any(coef == 0)


def at_constant(model):
    other = clone(model)
    other.coef_, other.intercept_ = np.zeros_like(model.coef_), np.zeros_like(model.intercept_)
    return other


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if isinstance(loss, KINKED)], ids=str)
def test_losses_with_kinks_reach_the_minimum_of_the_linear_program(loss, wine, diabetes):
    x, y = problem(loss, wine, diabetes)
    x, alpha = x[:, :6], 0.02
    if isinstance(loss, fl.Hinge):
        y = (y == 1).astype(int)
    model = estimator(loss, penalty="l1", alpha=alpha).fit(x, y)
    found = objective(model, x, y)
    least = least_of_linear_program(loss, x, y, alpha)
    assert least - 1e-9 <= found <= least + 3e-6


def least_of_linear_program(loss, x, y, alpha):
    """Coefficients as differences of two parts >= 0, intercepts free, and a bound for each row from above."""
    n, p = x.shape
    k = 3 if isinstance(loss, fl.MulticlassHinge) else 1
    width = k * (2 * p + 1)

    def of_output(j):
        block = np.zeros((n, width))
        start = j * (2 * p + 1)
        block[:, start : start + 2 * p + 1] = np.column_stack([x, -x, np.ones(n)])
        return block

    if isinstance(loss, fl.MulticlassHinge):
        scores = np.stack([of_output(j) for j in range(k)])
        rows = np.arange(n)
        lines = [(scores[j] - scores[y, rows], 1.0 * (y != j)) for j in range(k)]
    elif isinstance(loss, fl.Hinge):
        sign = np.where(y == 1, 1.0, -1.0)
        lines = [(-sign[:, None] * of_output(0), np.ones(n))]
    else:
        q = loss.parameters.get("q", 0.5)
        up, down = (1 - q, q) if isinstance(loss, fl.Quantile) else (1.0, 1.0)
        epsilon = loss.parameters["epsilon"] if isinstance(loss, fl.EpsilonInsensitive) else 0.0
        if isinstance(loss, fl.AbsolutePercentageError):
            up = down = 1 / np.maximum(np.abs(y), loss.epsilon)
        rows = of_output(0) * np.reshape(up, (-1, 1)), of_output(0) * np.reshape(down, (-1, 1))
        lines = [(rows[0], -up * y - epsilon), (-rows[1], down * y - epsilon)]
    # bound >= slope . theta + constant, and bound >= 0.
    a = np.concatenate([np.column_stack([slope, -np.eye(n)]) for slope, _ in lines])
    b = np.concatenate([-constant for _, constant in lines])
    cost = np.concatenate([np.tile([alpha] * (2 * p) + [0.0], k), np.full(n, 1 / n)])
    bounds = ([(0, None)] * (2 * p) + [(None, None)]) * k + [(0, None)] * n
    return linprog(cost, A_ub=a, b_ub=b, bounds=bounds).fun


@pytest.mark.parametrize("loss", ["cross_entropy", "huber"])
def test_a_sample_of_many_rows_leads_to_the_same_minimum(loss):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60_000, 20)) @ rng.standard_normal((20, 20))
    z = x @ rng.standard_normal(20) / 20
    # Not in a random order.
    x = x[np.argsort(z)]
    y = np.sort(z) + rng.standard_normal(len(z))
    if loss == "cross_entropy":
        y = (y > 0).astype(int)
        theirs = linear_model.LogisticRegression(C=1.0, solver="newton-cholesky", tol=1e-10).fit(x, y)
        ours = LossClassifier(alpha=1 / len(x)).fit(x, y)
    else:
        ours = LossRegressor(solver="lbfgs").fit(x, y)
        theirs = LossRegressor(solver="newton", tol=1e-9).fit(x, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4, atol=1e-6)


def test_many_classes():
    """So many that L-BFGS takes the features' second moments for a preconditioner."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3000, 20)) @ rng.standard_normal((20, 20))
    y = np.concatenate([np.arange(100), rng.integers(0, 100, 2900)])
    theirs = linear_model.LogisticRegression(C=1 / (1e-2 * 3000), tol=1e-8, max_iter=10_000).fit(x, y)
    ours = LossClassifier(alpha=1e-2, tol=1e-8, solver="lbfgs").fit(x, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-6)


def test_many_features_and_classes_are_no_matrix(wine):
    x = sparse.random(300, 4000, density=0.01, format="csr", random_state=0)
    y = np.arange(300) % 3
    model = LossClassifier(alpha=1e-2).fit(x, y)
    theirs = linear_model.LogisticRegression(C=1 / (1e-2 * 300), tol=1e-10, max_iter=10_000).fit(x, y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-4)
    with pytest.raises(ValueError, match=r"12003 x 12003.*use 'lbfgs'"):
        LossClassifier(solver="newton").fit(x, y)


def test_it_says_so_when_it_does_not_converge(cancer):
    with pytest.warns(ConvergenceWarning, match="did not converge in 2 iterations"):
        LossClassifier(max_iter=2, alpha=0.0).fit(*cancer)


# ------------------------------------------------------------------------------------------- data as people have them


def test_a_column_of_large_numbers_does_not_freeze_the_others():
    rng = np.random.default_rng(0)
    seconds, income = 1.6e9 + 1e8 * rng.random(1000), np.exp(rng.normal(10.5, 0.5, 1000))
    x = np.column_stack([seconds, income, rng.beta(2, 50, 1000)])
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    y = z @ [1.0, 0.6, -1.0] + rng.normal(size=1000)
    for matrix in (np.asarray, sparse.csr_matrix, sparse.csc_matrix):
        for solver in ("newton", "lbfgs"):
            raw, scaled = (
                LossRegressor("squared_error", penalty=None, solver=solver).fit(matrix(a), y).predict(a) for a in (x, z)
            )
            np.testing.assert_allclose(raw, scaled, atol=1e-4)
            raw, scaled = (
                LossClassifier(penalty=None, solver=solver).fit(matrix(a), y > 0).decision_function(a) for a in (x, z)
            )
            np.testing.assert_allclose(raw, scaled, atol=1e-4)


@pytest.mark.parametrize("ratio", [1e4, 1e8, 1e12])
def test_an_l1_norm_under_columns_of_mixed_scales(ratio):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(500, 10))
    y = z @ rng.normal(size=10) + rng.normal(size=500)
    x = z * np.geomspace(ratio**-0.5, ratio**0.5, 10)
    model = LossRegressor("squared_error", penalty="l1", alpha=2e-3).fit(x, y)
    gradient = x.T @ (model.predict(x) - y) * 2 / len(x)
    at_zero = np.maximum(np.abs(gradient) - 2e-3, 0)
    rest = np.where(model.coef_ != 0, np.abs(gradient + 2e-3 * np.sign(model.coef_)), at_zero)
    assert np.max(rest / x.std(axis=0)) < 1e-6
    assert model.n_iter_ < 10


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie"])
def test_rare_events_do_not_run_away(loss):
    """A sample of the rows has so few that its own fit has no minimum."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30_000, 40))
    y = rng.poisson(0.001 * np.exp(0.3 * x[:, :5].sum(axis=1))).astype(float)
    y += 1e-6 if loss == "gamma" else 0
    model = LossRegressor(loss, alpha=1e-6).fit(x, y)
    z = np.log(model.predict(x))
    score = resolve(loss).gradient(z, y)
    assert abs(score.sum()) < 1e-6 * np.abs(score).sum() + 1e-9
    assert objective(model, x, y) < objective(at_constant(model), x, y)


@pytest.mark.parametrize("loss", ["exponential", "squared_hinge", "binary_cross_entropy", "modified_huber"])
@pytest.mark.parametrize("solver", ["auto", "newton", "lbfgs"])
def test_rare_classes_do_not_run_away(loss, solver):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30_000, 40))
    y = (x[:, :3].sum(axis=1) + 2 * rng.normal(size=len(x)) > 8.2).astype(int)
    assert 10 < y.sum() < 100
    model = LossClassifier(loss, alpha=1e-6, solver=solver).fit(x, y)
    gradient = resolve(loss).gradient(model.decision_function(x), y)
    assert np.abs(x.T @ gradient + 1e-6 * model.coef_[0]).max() < 1e-7
    assert abs(gradient.sum()) < 1e-7


@pytest.mark.parametrize("where", ["window", "rhythm"])
@pytest.mark.parametrize(
    "model", [LossClassifier(), LossClassifier("focal"), LossRegressor(), LossRegressor("poisson")], ids=str
)
def test_rows_of_weight_zero_anywhere(model, where):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40_000, 26))
    z = x[:, 0] - x[:, 1] + rng.normal(size=len(x))
    y = (z > 0).astype(int) if isinstance(model, LossClassifier) else np.abs(z)
    weight = np.zeros(len(x))
    weight[slice(200) if where == "window" else slice(1, None, 6)] = 1
    few = clone(model).fit(x[weight > 0], y[weight > 0])
    np.testing.assert_allclose(clone(model).fit(x, y, weight).coef_, few.coef_, rtol=1e-4, atol=1e-5)


def test_targets_in_a_rhythm():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200_000, 8))
    y = rng.poisson(np.exp(0.3 * x[:, 0])) * (np.arange(len(x)) % 12 != 0)
    model = LossRegressor("poisson", penalty=None).fit(x, y)
    assert model.predict(x).mean() == pytest.approx(y.mean(), rel=1e-6)


@pytest.mark.parametrize("shape", [(200, 42_000), (257, 65_300)])
def test_more_columns_than_a_sample_of_the_rows_has_elements(shape):
    x = sparse.random(*shape, density=1e-3, format="csr", random_state=0)
    y = np.asarray(x.sum(axis=1)).ravel()
    for each in (x, x.astype(np.float32).tocsc(), *([x.toarray()] if shape[0] == 200 else [])):
        assert LossRegressor("squared_error").fit(each, y).score(each, y) > 0.9
        assert LossClassifier().fit(each, y > np.median(y)).score(each, y > np.median(y)) > 0.8


def test_many_classes_take_no_more_memory_than_their_scores():
    n_classes, rng = 400, np.random.default_rng(0)
    x, y = rng.normal(size=(4000, 20)), np.append(np.arange(n_classes), rng.integers(0, n_classes, 4000 - n_classes))
    tracemalloc.start()
    LossClassifier(tol=0.1).fit(x, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5 * 8 * len(x) * n_classes


@pytest.mark.parametrize(
    "loss", [fl.Huber(), fl.SmoothL1(), fl.LogCosh(), fl.PseudoHuber(), fl.Fair(), fl.AbsoluteError()]
)
@pytest.mark.parametrize("size", [1e4, 1e7])
def test_targets_far_larger_than_the_bend_of_a_robust_loss(loss, size):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1000, 5))
    y = size * (x @ rng.normal(size=5) + rng.normal(size=1000) + 5)
    model = LossRegressor(loss, penalty=None).fit(x, y)
    # So far away it is an absolute error.
    median = LossRegressor("absolute_error", penalty=None).fit(x, y)
    assert fl.absolute_error(model.predict(x), y) == pytest.approx(fl.absolute_error(median.predict(x), y), rel=1e-4)


@pytest.mark.parametrize("loss", ["cross_entropy", "hinge", "squared_hinge"])
def test_more_columns_than_rows_and_little_penalty(loss):
    """Separable: the gradient is small far above the minimum."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 400))
    y = (x[:, :15].sum(axis=1) > 0).astype(int)
    model = LossClassifier(loss, alpha=1e-4).fit(x, y)
    least = objective(LossClassifier(loss, alpha=1e-4, tol=1e-8).fit(x, y), x, y)
    assert objective(model, x, y) <= least * (1 + 2e-6)


def test_last_steps_to_a_kink_are_taken_in_double():
    """What single precision cannot end, double does: there is no warning."""
    rng = np.random.default_rng(21)
    x = rng.normal(size=(100, 4)).astype(np.float32)
    y = 3 * x[:, 0] + 10 + rng.normal(size=100)
    narrow = LossRegressor("epsilon_insensitive", alpha=1.6e-6).fit(x, y)
    wide = LossRegressor("epsilon_insensitive", alpha=1.6e-6).fit(x.astype(np.float64), y)
    np.testing.assert_allclose(narrow.coef_, wide.coef_, atol=1e-3)


def test_float32_ends_where_its_digits_do():
    rng = np.random.default_rng(0)
    x = sparse.random(1600, 2000, density=0.01, format="csr", random_state=0)
    y = (x @ rng.normal(size=2000) > 0).astype(int)
    wide, narrow = (LossClassifier(alpha=1e-4).fit(x.astype(dtype), y) for dtype in (np.float64, np.float32))
    x = x.toarray()
    assert objective(narrow, x, y) <= objective(wide, x, y) * (1 + 1e-6)
    assert narrow.n_iter_ < 4 * wide.n_iter_ + 20


def test_a_warning_says_what_stopped_and_what_would_help(cancer):
    x, y = cancer
    with pytest.warns(
        ConvergenceWarning, match=r"in 2 iterations: max_iter is reached.* times what tol allows.*increase max_iter"
    ):
        model = LossClassifier(max_iter=2, alpha=0.0).fit(x, y)
    assert model.n_iter_ == 2


def test_labels_of_small_integers_that_span_more_than_their_type(cancer):
    x, y = cancer
    labels = np.where(y == 1, 100, -100).astype(np.int8)
    model = LossClassifier().fit(x, labels)
    assert model.classes_.tolist() == [-100, 100]
    assert model.score(x, labels) > 0.95


def test_of_two_fits_at_once_the_last_gives_blas_its_threads_back():
    from threadpoolctl import threadpool_info, threadpool_limits

    from fastloss.sklearn._linear import _one_blas_thread

    def n_threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        before = n_threads()
        _one_blas_thread.__enter__()
        _one_blas_thread.__enter__()
        _one_blas_thread.__exit__(None, None, None)
        assert n_threads() == {1}
        _one_blas_thread.__exit__(None, None, None)
        assert n_threads() == before


# -------------------------------------------------------------------------------------------- arrays and weights


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_focal", "huber", "quantile"])
@pytest.mark.parametrize(
    "layout",
    [
        np.asfortranarray,
        sparse.csr_matrix,
        sparse.csr_array,
        sparse.csc_array,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: np.ascontiguousarray(x[::-1])[::-1],
    ],
    ids=["F", "csr_matrix", "csr_array", "csc_array", "every second column", "backwards"],
)
def test_the_layout_of_x_makes_no_difference(loss, layout, wine, diabetes):
    loss = resolve(loss)
    x, y = problem(loss, wine, diabetes)
    expected = estimator(loss, alpha=1e-2).fit(x, y)
    model = estimator(loss, alpha=1e-2).fit(layout(x), y)
    np.testing.assert_allclose(model.coef_, expected.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(model.predict(layout(x)), expected.predict(x), rtol=1e-6)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_float32_stays_float32_and_comes_near(loss, wine, diabetes):
    x, y = problem(loss, wine, diabetes)
    expected = estimator(loss, alpha=1e-2).fit(x, y)
    model = estimator(loss, alpha=1e-2, tol=1e-4).fit(x.astype(np.float32), y)
    assert model.coef_.dtype == np.float32
    least = objective(expected, x, y)
    assert objective(model, x, y) <= least + 1e-3 * abs(least)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_a_weight_counts_as_repetition_and_class_weight_as_weight(loss, wine, diabetes):
    x, y = problem(loss, wine, diabetes)
    times = np.random.default_rng(0).integers(0, 4, len(x))
    weighted = estimator(loss, alpha=1e-2).fit(x, y, times)
    repeated = estimator(loss, alpha=1e-2).fit(x.repeat(times, axis=0), y.repeat(times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-5, atol=1e-6)
    if is_of_labels(loss):
        of_class = np.array([1.0, 3.0, 0.5])
        by_class = estimator(loss, alpha=1e-2, class_weight=dict(enumerate(of_class))).fit(x, y)
        by_row = estimator(loss, alpha=1e-2).fit(x, y, of_class[y])
        np.testing.assert_allclose(by_class.coef_, by_row.coef_, rtol=1e-9)


def test_class_weights_of_loss_and_estimator_are_the_same_objective(wine):
    x, y = wine
    inside = LossClassifier(fl.CrossEntropy(class_weight=[1.0, 3.0, 0.5]), alpha=1e-2).fit(x, y)
    outside = LossClassifier(class_weight={0: 1.0, 1: 3.0, 2: 0.5}, alpha=1e-2).fit(x, y)
    np.testing.assert_allclose(inside.coef_, outside.coef_, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_the_bits_do_not_depend_on_threads(n_threads):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40_000, 30))
    y = (x[:, 0] + rng.standard_normal(len(x)) > 0).astype(int)
    expected = LossClassifier().fit(x, y)
    with fl.num_threads(n_threads):
        model = LossClassifier().fit(x, y)
    assert np.array_equal(model.coef_, expected.coef_)


def test_a_fit_takes_little_memory_beyond_x():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100_000, 50))
    y = (x[:, 0] > 0.3 * rng.standard_normal(len(x))).astype(np.int64)
    LossClassifier().fit(x[:5000], y[:5000])
    tracemalloc.start()
    LossClassifier().fit(x, y)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12e6 < x.nbytes / 3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_found_in_large_arrays_too(bad):
    x = np.random.default_rng(0).standard_normal((200_000, 6))
    y = np.arange(len(x)) % 2
    x[123_457, 3] = bad
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        LossClassifier().fit(x, y)
    weight = np.ones(len(x))
    weight[123_457] = 0
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        LossClassifier().fit(x, y, weight)


# ------------------------------------------------------------------------------------------------------- targets


def test_probabilities_of_classes_are_labels_where_they_are_one_hot(wine):
    x, y = wine
    one_hot = np.eye(3)[y]
    labels = LossClassifier(alpha=1e-2).fit(x, y)
    soft = LossClassifier(alpha=1e-2).fit(x, one_hot)
    np.testing.assert_allclose(soft.coef_, labels.coef_, rtol=1e-6, atol=1e-9)
    assert np.array_equal(soft.predict(x), labels.predict(x))
    smoothed = LossClassifier(fl.CrossEntropy(label_smoothing=0.3), alpha=1e-2).fit(x, y)
    soft = LossClassifier(alpha=1e-2).fit(x, 0.7 * one_hot + 0.1)
    np.testing.assert_allclose(soft.coef_, smoothed.coef_, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if isinstance(loss, SMOOTH_ROWS)], ids=str)
def test_two_classes_have_one_score(loss, cancer):
    x, y = cancer
    model = LossClassifier(loss, alpha=1e-2).fit(x, y)
    assert model.coef_.shape == (1, 30)
    assert model.decision_function(x).shape == (569,)
    if not isinstance(loss, fl.MulticlassHinge):
        soft = LossClassifier(loss, alpha=1e-2).fit(x, np.eye(2)[y])
        np.testing.assert_allclose(soft.coef_, model.coef_, rtol=1e-5, atol=1e-7)
        assert np.array_equal(model.predict_proba(x).argmax(axis=1), model.predict(x))


@pytest.mark.parametrize(
    "loss", [loss for loss in LOSSES if is_of_labels(loss) and not isinstance(loss, SMOOTH_ROWS)], ids=str
)
def test_each_label_and_each_class_against_the_rest_is_a_problem_of_its_own(loss, wine):
    x, y = wine
    model = LossClassifier(loss, alpha=1e-2).fit(x, y)
    for k in range(3):
        alone = LossClassifier(loss, alpha=1e-2).fit(x, y == k)
        np.testing.assert_allclose(model.coef_[k], alone.coef_[0], rtol=1e-4, atol=1e-5)
    labels = np.column_stack([y == 0, y == 2]).astype(int)
    multilabel = LossClassifier(loss, alpha=1e-2).fit(x, labels)
    np.testing.assert_allclose(multilabel.coef_, model.coef_[[0, 2]], rtol=1e-4, atol=1e-5)
    assert multilabel.predict(x).shape == labels.shape


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if not is_of_labels(loss)], ids=str)
def test_each_target_is_a_problem_of_its_own(loss, diabetes):
    x, y = diabetes
    y = np.column_stack([y, y[::-1]]) / 100
    model = LossRegressor(loss, alpha=1e-2).fit(x, y)
    assert model.coef_.shape == (2, 10)
    for k in range(2):
        alone = LossRegressor(loss, alpha=1e-2).fit(x, y[:, k])
        np.testing.assert_allclose(model.coef_[k], alone.coef_, rtol=1e-4, atol=1e-5)


def test_probabilities_sum_to_one_and_undo_what_the_loss_weighs(cancer, wine):
    x, y = wine
    for loss in LOSSES:
        if not is_of_labels(loss) or isinstance(loss, (fl.Hinge, fl.MulticlassHinge)):
            continue
        probability = LossClassifier(loss, alpha=1e-2).fit(x, y).predict_proba(x)
        np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-12)
    x, y = cancer
    plain = LossClassifier("binary_cross_entropy", alpha=1e-2).fit(x, y)
    weighted = LossClassifier(fl.BinaryCrossEntropy(pos_weight=5.0), alpha=1e-2).fit(x, y)
    assert abs(weighted.predict_proba(x)[:, 1].mean() - plain.predict_proba(x)[:, 1].mean()) < 0.02
    assert not hasattr(LossClassifier("hinge").fit(x, y), "predict_proba")


# ------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        *((LossClassifier(loss()), "labels", "one number for a whole set of rows") for loss in SETS),
        *((LossRegressor(loss()), "numbers", "loss of labels or classes: use LossClassifier") for loss in SETS),
        (LossClassifier("huber"), "labels", "loss of real numbers: use LossRegressor"),
        (LossRegressor("hinge"), "numbers", "loss of labels or classes: use LossClassifier"),
        (LossClassifier("cros_entropy"), "labels", "did you mean 'cross_entropy'"),
        (LossClassifier(fl.CrossEntropy(ignore_index=-1)), "labels", "ignore_index has no meaning"),
        (LossClassifier(penalty="l3"), "labels", "penalty must be None, 'l1', 'l2' or 'elasticnet', got 'l3'"),
        (LossClassifier(solver="sag"), "labels", "solver must be 'auto', 'newton', 'lbfgs' or 'descent', got 'sag'"),
        (LossClassifier(alpha=-1.0), "labels", "alpha must lie in"),
        (LossClassifier(l1_ratio=1.5), "labels", "l1_ratio must lie in"),
        (LossClassifier(tol=0.0), "labels", "tol must lie in"),
        (LossClassifier(max_iter=0), "labels", "max_iter must be at least 1"),
        (LossClassifier("multiclass_hinge"), "probabilities", "MulticlassHinge needs class labels"),
        (LossClassifier(class_weight="balanced"), "probabilities", "class_weight needs class labels"),
        (LossClassifier(), "too large", r"y\[0, 1\] = 2.0 must lie in \[0, 1\]"),
        (LossClassifier(), "one class", "only one class"),
        (LossRegressor("poisson"), "numbers", r"y\[0\] = -1.0 must be finite and >= 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused_with_the_reason(model, y, message):
    x = np.random.default_rng(0).standard_normal((30, 2))
    targets = {
        "labels": np.arange(30) % 3,
        "numbers": np.arange(30) - 1.0,
        "probabilities": np.full((30, 3), 1 / 3),
        "too large": np.full((30, 3), [0.0, 2.0, 1.0]),
        "one class": np.zeros(30, int),
    }
    with pytest.raises(ValueError, match=message):
        model.fit(x, targets[y])


def test_a_class_or_function_is_not_a_loss():
    with pytest.raises(TypeError, match=r"pass Huber\(\) instead of Huber"):
        LossRegressor(fl.Huber).fit([[0.0], [1.0]], [0.0, 1.0])
    with pytest.raises(TypeError, match=r"pass Huber\(\) instead of huber"):
        LossRegressor(fl.huber).fit([[0.0], [1.0]], [0.0, 1.0])


# --------------------------------------------------------------------------------------------- among other tools


# All of scikit-learn's own checks, for every loss and, of one loss of each kind, for penalties that leave exact zeros.
# Without a penalty their data, of more features than rows, have no single minimum that weights could be compared at.
MODELS = [
    *(estimator(loss) for loss in LOSSES),
    *(
        estimator(resolve(loss), penalty=penalty)
        for loss in ("cross_entropy", "binary_focal", "huber")
        for penalty in ("l1", "elasticnet")
    ),
]


@parametrize_with_checks(MODELS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_grid_search_over_losses_penalties_and_amounts(cancer):
    x, y = cancer
    grid = {
        "loss": ["hinge", fl.BinaryFocal(gamma=1.0), "cross_entropy"],
        "penalty": ["l1", "l2"],
        "alpha": [1e-2, 1.0],
    }
    search = GridSearchCV(LossClassifier(), grid, cv=3, error_score="raise").fit(x, y)
    assert search.best_score_ > 0.95
    assert len(search.cv_results_["params"]) == 12


def test_pipelines_of_data_frames():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame({"size": rng.uniform(1, 9, 200), "colour": rng.choice(["red", "blue"], 200)})
    y = np.where((frame["colour"] == "red") & (frame["size"] > 5), "yes", "no")
    columns = make_column_transformer((StandardScaler(), ["size"]), (OneHotEncoder(), ["colour"]))
    model = make_pipeline(columns, LossClassifier("focal")).fit(frame, y)
    assert set(model.predict(frame)) == {"yes", "no"}
    assert model.score(frame, y) > 0.8
    assert "LossClassifier" in model._repr_html_()
    direct = LossRegressor().fit(frame[["size"]], rng.standard_normal(200))
    assert list(direct.feature_names_in_) == ["size"]


def test_sample_weight_is_routed(cancer):
    x, y = cancer
    with config_context(enable_metadata_routing=True):
        model = LossClassifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        result = cross_validate(model, x, y, params={"sample_weight": np.ones(len(x))}, cv=3)
    assert result["test_score"].min() > 0.9


def test_pickle_and_clone(wine):
    x, y = wine
    model = LossClassifier(fl.Focal(gamma=1.5), penalty="elasticnet").fit(x, y)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(x), model.predict_proba(x))
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_a_warm_start_is_there_at_once(solver, wine):
    x, y = wine
    model = LossClassifier("focal", warm_start=True, solver=solver, alpha=1e-2).fit(x, y)
    first, coef = model.n_iter_, model.coef_
    assert model.fit(x, y).n_iter_ <= 2 < first
    np.testing.assert_allclose(model.coef_, coef, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "huber", "hinge", "absolute_error"])
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_curve_ends_at_the_objective_and_is_printed_if_wanted(loss, solver, wine, diabetes, capsys):
    loss = resolve(loss)
    x, y = problem(loss, wine, diabetes)
    model = estimator(loss, solver=solver, alpha=1e-2, verbose=1).fit(x, y)
    assert model.n_iter_ == len(model.loss_curve_)
    assert model.loss_curve_[-1] == pytest.approx(objective(model, x, y), rel=1e-5)
    assert len(capsys.readouterr().out.splitlines()) == model.n_iter_


def test_multilabel_data_of_scikit_learn():
    x, y = make_multilabel_classification(random_state=0)
    model = LossClassifier("binary_cross_entropy").fit(x, y)
    assert model.predict_proba(x).shape == y.shape
    assert model.score(x, y) > 0.3


# ------------------------------------------------------------------------------------------------- search over losses


@pytest.mark.parametrize("loss", [fl.Huber(delta=3.0), "huber"], ids=repr)
def test_search_over_parameters_of_a_loss(loss):
    """Each candidate is fitted with a loss of its own; the one that was given stays as it is."""
    X, y = load_diabetes(return_X_y=True)
    model = LossRegressor(loss, alpha=1e-3)
    search = GridSearchCV(model, {"loss__delta": [1.0, 50.0]}, cv=2, scoring="neg_mean_squared_error").fit(X, y)
    best = search.best_estimator_.loss
    assert best == fl.Huber(delta=search.best_params_["loss__delta"]) == fl.Huber(delta=50.0)
    np.testing.assert_array_equal(search.predict(X), LossRegressor(best, alpha=1e-3).fit(X, y).predict(X))
    assert model.loss == loss
    assert clone(model).set_params(loss="cauchy", loss__c=2.0).loss == fl.Cauchy(c=2.0)
    with pytest.raises(ValueError, match=r"^invalid parameter 'gamma': huber has \['delta'\]"):
        model.set_params(loss__gamma=1.0)
    with pytest.raises(ValueError, match="delta"):
        model.set_params(loss__delta=-1.0)
    if not isinstance(loss, str):
        assert model.get_params()["loss__delta"] == 3.0


def test_rare_classes_have_finite_log_probabilities_under_smoothing():
    """Undoing the smoothing ends at a probability that has a logarithm, in the dtype of the scores."""
    rng = np.random.default_rng(0)
    for n_classes in (2, 3):
        y = rng.integers(n_classes, size=300)
        X = np.eye(n_classes)[y] * 20 + rng.normal(size=(300, n_classes))
        losses = [fl.CrossEntropy(label_smoothing=0.1), fl.Focal(gamma=1.0, label_smoothing=0.1)]
        for loss in [*losses, fl.BinaryCrossEntropy(label_smoothing=0.1), fl.BinaryFocal(label_smoothing=0.1)]:
            for dtype in (np.float64, np.float32):
                model = LossClassifier(loss, alpha=1e-6).fit(X.astype(dtype), y)
                assert np.isfinite(model.predict_log_proba(10 * X.astype(dtype))).all()


def test_a_name_does_not_make_all_losses(monkeypatch):
    assert resolve("huber") == fl.Huber()
    monkeypatch.setattr(fl, "losses", lambda: pytest.fail("they are known"))
    assert resolve("Huber") == resolve("huber") == fl.Huber()


@pytest.mark.parametrize("penalty", ["l2", "l1", None])
@pytest.mark.parametrize("loss", ["cross_entropy", fl.GeneralizedCrossEntropy()])
def test_shifts_of_all_classes_stay_where_they_are_in_single_precision(loss, penalty):
    """What moves the scores of all classes alike has no curvature: a step divided rounding by rounding there."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(120, 4)).astype(np.float32)
        y = np.digitize(x[:, 0] + rng.normal(size=120), [-0.5, 0.5])
        exact, single = (
            LossClassifier(loss, penalty=penalty, alpha=0.01).fit(each, y) for each in (x.astype(np.float64), x)
        )
        assert single.loss_curve_[-1] == pytest.approx(exact.loss_curve_[-1], rel=1e-6)
        assert np.allclose(single.predict_proba(x), exact.predict_proba(x), atol=5e-3)
