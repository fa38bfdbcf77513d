"""Offsets, weights of the penalty and bounds of linear models, against optima that SciPy finds in double precision."""

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from scipy.optimize import linprog, minimize
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_validate

import fastloss as fl
from fastloss.sklearn import LossClassifier, LossRegressor, loss_scorer

N, D = 200, 6
LABELS = [fl.CrossEntropy(), fl.BinaryFocal(1.5), fl.SquaredHinge(), fl.Brier()]
NUMBERS = [fl.SquaredError(), fl.Huber(0.7), fl.Expectile(0.8), fl.Poisson(), fl.Gamma(), fl.Tweedie(1.4)]
KINKED = [fl.AbsoluteError(), fl.Quantile(0.8), fl.EpsilonInsensitive(0.3), fl.Hinge()]
PENALTIES = [(None, 0.0), ("l2", 0.05), ("l1", 0.02), ("elasticnet", 0.05)]


def is_of_labels(loss):
    return loss.target_domain == "unit interval"


def make(loss, n_classes=2, seed=0):
    """Features in units of their own, targets, offset and weights, some of which are 0."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, D)) * [1, 10, 0.1, 1, 1, 3] + [0, 5, 0, 0, 1, 0]
    z = (x - x.mean(0)) / x.std(0) @ [0.8, -0.5, 0.3, 0.0, -0.6, 0.2]
    offset = rng.normal(size=N)
    if is_of_labels(loss):
        if n_classes > 2:
            offset = rng.normal(size=(N, n_classes))
            y = np.argmax(offset + z[:, None] * np.arange(n_classes) + rng.gumbel(size=(N, n_classes)), axis=1)
        else:
            y = (z + offset + rng.logistic(size=N) > 0).astype(int)
    elif loss.target_domain == "any":
        y = z + offset + rng.standard_t(3, size=N)
    else:
        y = np.exp(z + offset) * rng.gamma(2.0, 0.5, size=N) + 1e-3
    weight = rng.integers(0, 4, size=N).astype(float)
    return x, y, offset, weight


def amounts(penalty, alpha, l1_ratio=0.5):
    share = {None: 0.0, "l2": 0.0, "l1": 1.0, "elasticnet": l1_ratio}[penalty]
    alpha = 0.0 if penalty is None else alpha
    return alpha * share, alpha * (1 - share)


def objective(loss, theta, x, y, offset, weight, l1, l2, factor):
    """Value and gradient of all but the L1 norm, of theta (outputs, features + 1), by the text-book twins."""
    z = x @ theta[:, :-1].T + theta[:, -1] + np.reshape(offset, (len(x), -1))
    twin = getattr(fl.reference, loss.name)
    if theta.shape[0] == 1 and isinstance(loss, (fl.CrossEntropy, fl.Focal)):
        value, gradient, _ = twin(np.column_stack([np.zeros(len(x)), z[:, 0]]), y, **loss.parameters)
        value, gradient = np.reshape(value, -1), gradient[:, 1:]
    elif theta.shape[0] == 1:
        value, gradient, _ = twin(z[:, 0], y, **loss.parameters)
        gradient = gradient[:, None]
    else:
        value, gradient, _ = twin(z, y, **loss.parameters)
    share = weight / weight.sum()
    coef = theta[:, :-1]
    total = share @ value + l2 / 2 * np.sum(factor * coef**2)
    of_theta = (share[:, None] * gradient).T @ np.column_stack([x, np.ones(len(x))])
    of_theta[:, :-1] += l2 * factor * coef
    return total, of_theta


def optimum(loss, n_outputs, x, y, offset, weight, l1, l2, factor, low, high):
    """The least objective: L-BFGS-B in scaled coordinates, the L1 norm as a difference of two positive parts."""
    scale = np.append(x.std(axis=0), 1.0)
    shape = (n_outputs, x.shape[1] + 1)
    least = np.broadcast_to(np.append(np.broadcast_to(low, x.shape[1]), -np.inf), shape).ravel()
    most = np.broadcast_to(np.append(np.broadcast_to(high, x.shape[1]), np.inf), shape).ravel()
    of_norm = np.broadcast_to(np.append(l1 * factor, 0.0), shape).ravel()
    units = np.broadcast_to(scale, shape).ravel()

    def function(u):
        p, m = u[: len(units)] / units, u[len(units) :] / units
        value, gradient = objective(loss, (p - m).reshape(shape), x, y, offset, weight, l1, l2, factor)
        slope = gradient.ravel()
        return value + of_norm @ (p + m), np.concatenate([(slope + of_norm) / units, (of_norm - slope) / units])

    free = of_norm == 0
    of_p = np.where(free, least, np.maximum(least, 0)), np.where(free, most, np.maximum(most, 0))
    of_m = np.where(free, 0, np.maximum(-most, 0)), np.where(free, 0, np.maximum(-least, 0))
    bounds = np.concatenate([of_p, of_m], axis=1).T * np.tile(units, 2)[:, None]
    u = np.clip(np.zeros(2 * len(units)), *bounds.T)
    options = {"maxiter": 20000, "maxfun": 200000, "ftol": 1e-16, "gtol": 1e-12, "maxcor": 30}
    for _ in range(2):
        u = minimize(function, u, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return function(u)[0]


def reached(model, loss, x, y, offset, weight, l1, l2, factor):
    coef = np.atleast_2d(model.coef_).astype(float)
    theta = np.column_stack([coef, np.reshape(model.intercept_, -1)])
    value, _ = objective(loss, theta, x, y, offset, weight, l1, l2, factor)
    return value + l1 * np.sum(factor * np.abs(coef))


def estimator(loss, **parameters):
    return (LossClassifier if is_of_labels(loss) else LossRegressor)(loss, **parameters)


def names(cases):
    return [case.name if isinstance(case, fl.Loss) else str(case[0]) for case in cases]


BOUNDS = {
    "none": (-np.inf, np.inf),
    "positive": (0.0, np.inf),
    "box": (-0.1, 0.1),
    "above 0": (0.01, np.inf),
    "each": (np.array([-np.inf, 0, -1, 0, -0.2, 0.1]), np.array([0.3, np.inf, 1, 0.0, 0, 0.1])),
}


# All of one loss, and each once of the others.
CASES = [(fl.CrossEntropy(), penalty, bounds) for penalty in PENALTIES for bounds in BOUNDS]
CASES += [(loss, PENALTIES[i % 4], list(BOUNDS)[i % 5]) for i, loss in enumerate([*LABELS[1:], *NUMBERS] * 3)]


@pytest.mark.parametrize(("loss", "penalty", "bounds"), CASES, ids=[f"{a.name}-{b[0]}-{c}" for a, b, c in CASES])
def test_the_fit_is_the_optimum_of_scipy(loss, penalty, bounds):
    penalty, alpha = penalty
    x, y, offset, weight = make(loss)
    low, high = BOUNDS[bounds]
    factor = np.array([1.0, 0.5, 2.0, 1.0, 0.0, 3.0])
    l1, l2 = amounts(penalty, alpha)
    arguments = loss, x, y, offset, weight, l1, l2, factor
    best = optimum(loss, 1, *arguments[1:], low, high)
    for solver in ("newton", "lbfgs"):
        model = estimator(loss, penalty=penalty, alpha=alpha, solver=solver, penalty_weight=factor, bounds=(low, high))
        model.fit(x, y, weight, offset)
        assert reached(model, *arguments) <= best + 1e-6 * abs(best)
        assert np.all(model.coef_ >= low)
        assert np.all(model.coef_ <= high)


@pytest.mark.parametrize("bounds", ["none", "positive", "each"])
@pytest.mark.parametrize(("penalty", "alpha"), PENALTIES[1:3], ids=names(PENALTIES[1:3]))
def test_many_classes(penalty, alpha, bounds):
    loss = fl.CrossEntropy(label_smoothing=0.1)
    x, y, offset, weight = (each[:100] for each in make(loss, n_classes=3))
    low, high = BOUNDS[bounds]
    factor = np.array([1.0, 0.5, 2.0, 1.0, 0.1, 3.0])
    model = LossClassifier(loss, penalty=penalty, alpha=alpha, penalty_weight=factor, bounds=(low, high))
    model.fit(x, y, weight, offset)
    arguments = x, y, offset, weight, *amounts(penalty, alpha), factor
    best = optimum(loss, 3, *arguments, low, high)
    assert reached(model, loss, *arguments) <= best * (1 + 1e-6)


def least_of_linear_program(loss, x, y, offset, weight, l1, low, high):
    """Kinks at k_c with slopes: a variable above and one below each kink, and the rest of the loss is linear."""
    n, d = x.shape
    share = weight / weight.sum()
    one, z = np.ones((n, 1)), x
    if isinstance(loss, fl.Hinge):
        sign = 2.0 * y - 1
        kinks, cost_above, cost_below = [1.0 * sign], [np.where(sign > 0, 0, 1)], [np.where(sign > 0, 1, 0)]
    elif isinstance(loss, fl.EpsilonInsensitive):
        kinks = [y - loss.epsilon, y + loss.epsilon]
        cost_above, cost_below = [np.zeros(n), np.ones(n)], [np.ones(n), np.zeros(n)]
    else:
        q = getattr(loss, "q", None)
        kinks = [y]
        cost_above, cost_below = [np.full(n, 1 - q if q else 1.0)], [np.full(n, q or 1.0)]
    blocks, right, cost = [], [], [l1 * np.ones(d), l1 * np.ones(d), np.zeros(1)]
    for i, kink in enumerate(kinks):
        slack = [np.zeros((n, 2 * n)) for _ in kinks]
        slack[i] = np.hstack([-np.eye(n), np.eye(n)])
        blocks.append(np.hstack([z, -z, one, *slack]))
        right.append(kink - offset)
        cost += [share * cost_above[i], share * cost_below[i]]
    low, high = np.broadcast_to(low, d), np.broadcast_to(high, d)
    bounds = [
        *zip(np.maximum(low, 0), np.maximum(high, 0), strict=True),
        *zip(np.maximum(-high, 0), np.maximum(-low, 0), strict=True),
        (None, None),
        *[(0, None)] * (2 * n * len(kinks)),
    ]
    bounds = [(None if a == -np.inf else a, None if b == np.inf else b) for a, b in bounds]
    found = linprog(np.concatenate(cost), A_eq=np.vstack(blocks), b_eq=np.concatenate(right), bounds=bounds)
    assert found.status == 0
    return found.fun


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (0.0, np.inf), (-0.1, 0.1), (0.02, 3.0)])
@pytest.mark.parametrize("loss", KINKED, ids=names(KINKED))
def test_losses_with_kinks_are_the_linear_program(loss, bounds):
    l1 = 0.03 if loss in KINKED[::2] else 0.0
    solver = "lbfgs" if bounds == (-0.1, 0.1) else "newton"
    x, y, offset, weight = (each[:120] for each in make(loss))
    penalty = "l1" if l1 else None
    model = estimator(loss, penalty=penalty, alpha=l1, bounds=bounds, solver=solver).fit(x, y, weight, offset)
    z = x @ np.reshape(model.coef_, -1) + model.intercept_ + offset
    value = loss(z, y, sample_weight=weight) + l1 * np.sum(np.abs(model.coef_))
    assert value <= least_of_linear_program(loss, x, y, offset, weight, l1, *bounds) * (1 + 3e-6)
    assert np.all(model.coef_ >= bounds[0])
    assert np.all(model.coef_ <= bounds[1])


def test_the_multiclass_hinge_between_bounds_is_the_linear_program():
    x, y, offset, weight = (each[:100] for each in make(fl.CrossEntropy(), n_classes=3))
    n, d, share = *x.shape, weight / weight.sum()
    model = LossClassifier("multiclass_hinge", penalty=None, bounds=(0, 0.3)).fit(x, y, weight, offset)
    loss = fl.MulticlassHinge()
    value = loss(model.decision_function(x, offset), y, sample_weight=weight)
    # For each row a slack above z_j + [j != y] - z_y of each class j.
    rows, right = [], []
    for i in range(n):
        for j in range(3):
            line = np.zeros((3, d + 1))
            line[j] += np.append(x[i], 1)
            line[y[i]] -= np.append(x[i], 1)
            rows.append(np.concatenate([line.ravel(), -np.eye(n)[i]]))
            right.append(-float(j != y[i]) - offset[i, j] + offset[i, y[i]])
    bounds = [*([*[(0, 0.3)] * d, (None, None)] * 3), *[(0, None)] * n]
    best = linprog(np.concatenate([np.zeros(3 * (d + 1)), share]), A_ub=rows, b_ub=right, bounds=bounds).fun
    assert value <= best * (1 + 3e-6)
    assert np.all((model.coef_ >= 0) & (model.coef_ <= 0.3))


def test_exposures_are_weights_of_rates():
    x, y, offset, _ = make(fl.Poisson())
    exposure = np.exp(3 * offset)
    counts = LossRegressor("poisson").fit(x, y, offset=np.log(exposure))
    rates = LossRegressor("poisson", alpha=1e-4 * len(y) / exposure.sum()).fit(x, y / exposure, exposure)
    np.testing.assert_allclose(counts.coef_, rates.coef_, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(counts.predict(x, offset=np.log(exposure)), rates.predict(x) * exposure, rtol=1e-5)


@pytest.mark.parametrize("loss", [fl.BinaryCrossEntropy(), fl.SquaredError(), fl.Poisson()], ids=lambda e: e.name)
def test_every_method_takes_the_offset(loss):
    x, y, offset, weight = make(loss)
    model = estimator(loss).fit(x, y, weight, offset)
    z = x @ np.reshape(model.coef_, -1) + model.intercept_ + offset
    scorer = loss_scorer(loss)
    expected = -loss(z, y, sample_weight=weight)
    assert scorer(model, x, y, sample_weight=weight, offset=offset) == pytest.approx(expected, rel=1e-9)
    if is_of_labels(loss):
        np.testing.assert_allclose(model.decision_function(x, offset=offset), z, rtol=1e-12)
        np.testing.assert_allclose(model.predict_proba(x, offset=offset)[:, 1], fl.sigmoid(z), rtol=1e-9)
        np.testing.assert_allclose(model.predict_log_proba(x, offset)[:, 1], np.log(fl.sigmoid(z)), rtol=1e-9)
        np.testing.assert_array_equal(model.predict(x, offset=offset), z > 0)
        assert model.score(x, y, weight, offset) == np.average((z > 0) == y, weights=weight)
    else:
        np.testing.assert_allclose(model.predict(x, offset=offset), loss.inverse_link(z), rtol=1e-12)
        assert model.score(x, y, weight, offset) > model.score(x, y, weight)


def test_scikit_learn_routes_the_offset():
    x, y, offset, weight = make(fl.Poisson())
    with config_context(enable_metadata_routing=True):
        model = LossRegressor("poisson").set_fit_request(offset=True, sample_weight=True)
        scorer = loss_scorer("poisson").set_score_request(offset=True, sample_weight=True)
        params = {"offset": offset, "sample_weight": weight}
        found = cross_validate(model, x, y, scoring=scorer, params=params, cv=3)["test_score"]
        rows = np.arange(N) < (N + 2) // 3
        first = LossRegressor("poisson").fit(x[~rows], y[~rows], weight[~rows], offset[~rows])
        z = np.log(first.predict(x[rows], offset[rows]))
        assert found[0] == pytest.approx(-fl.poisson(z, y[rows], sample_weight=weight[rows]), rel=1e-6)
        search = GridSearchCV(model, {"alpha": [1e-3, 1.0]}, scoring={"poisson": scorer}, refit="poisson")
        assert search.fit(x, y, **params).best_params_ == {"alpha": 1e-3}
        own = model.set_score_request(offset=True, sample_weight=False)
        assert cross_validate(own, x, y, params=params, cv=3)["test_score"].shape == (3,)


def test_two_columns_of_targets_have_two_columns_of_offsets():
    x, y, offset, _ = make(fl.SquaredError())
    both, offsets = np.column_stack([y, -y]), np.column_stack([offset, 2 * offset])
    model = LossRegressor("squared_error", positive=True).fit(x, both, offset=offsets)
    for k in range(2):
        alone = LossRegressor("squared_error", positive=True).fit(x, both[:, k], offset=offsets[:, k])
        np.testing.assert_allclose(model.coef_[k], alone.coef_, atol=1e-6)
        np.testing.assert_allclose(model.predict(x, offsets)[:, k], alone.predict(x, offsets[:, k]), atol=1e-4)


@pytest.mark.parametrize("layout", ["F", "float32", "csr", "list"])
def test_the_layout_makes_no_difference(layout):
    x, y, offset, weight = make(fl.Huber())
    options = {"bounds": (-0.2, 0.4), "penalty_weight": [1, 2, 0, 1, 1, 1.0], "penalty": "elasticnet", "alpha": 0.02}
    plain = LossRegressor(**options).fit(x, y, weight, offset)
    of = {
        "F": np.asfortranarray,
        "float32": lambda a: a.astype(np.float32),
        "csr": sparse.csr_array,
        "list": lambda a: a.tolist(),
    }[layout]
    other = LossRegressor(**options).fit(of(x), y, weight, list(offset))
    np.testing.assert_allclose(other.coef_, plain.coef_, atol=1e-3 if layout == "float32" else 1e-5)
    assert other.predict(of(x), offset).dtype == (np.float32 if layout == "float32" else np.float64)


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    x, y, offset, weight = make(fl.CrossEntropy())
    frame = pandas.DataFrame(x, columns=list("abcdef"))
    frame["offset"], frame["y"] = offset, np.where(y, "yes", "no")
    model = LossClassifier(positive=True).fit(frame[list("abcdef")], frame["y"], weight, frame["offset"])
    plain = LossClassifier(positive=True).fit(x, y, weight, offset)
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-6)
    found = model.predict(frame[list("abcdef")], offset=frame["offset"])
    np.testing.assert_array_equal(found == "yes", plain.predict(x, offset))


@pytest.mark.parametrize("penalty", ["l2"])
def test_fifty_thousand_sparse_columns_between_bounds(penalty):
    rng = np.random.default_rng(0)
    x = sparse.csr_array(sparse.random(100, 50_000, 1e-3, format="csr", random_state=0))
    y = np.asarray(x[:, :2000].sum(axis=1) - x[:, 2000:4000].sum(axis=1) + 0.3 * rng.normal(size=100) > 0).astype(int)
    alpha, offset = (3e-3 if penalty == "l1" else 1e-1), 0.1 * rng.normal(size=100)
    model = LossClassifier(penalty=penalty, alpha=alpha, positive=True).fit(x, y, offset=offset)
    coef = model.coef_[0]
    gradient = fl.BinaryCrossEntropy().gradient(model.decision_function(x, offset), y.astype(float))
    slope = x.T @ gradient + alpha * (coef if penalty == "l2" else 1)
    spread = np.sqrt(np.mean(x.toarray() ** 2, axis=0)) + 1e-3
    assert np.all(coef >= 0)
    assert np.any(coef > 0)
    assert np.all(slope >= -2e-6 * spread)
    assert np.all(np.abs(slope[coef > 0]) <= 2e-6 * spread[coef > 0])


def test_a_weight_of_the_penalty_is_a_unit_of_the_feature():
    x, y, _, _ = make(fl.Huber())
    factor = np.array([1.0, 4.0, 0.25, 1.0, 9.0, 1.0])
    weighted = LossRegressor(alpha=0.3, penalty_weight=factor).fit(x, y)
    scaled = LossRegressor(alpha=0.3).fit(x / np.sqrt(factor), y)
    np.testing.assert_allclose(weighted.coef_, scaled.coef_ / np.sqrt(factor), rtol=1e-4, atol=1e-7)
    of_all = LossRegressor(alpha=0.1, penalty_weight=3.0).fit(x, y)
    np.testing.assert_allclose(of_all.coef_, LossRegressor(alpha=0.3).fit(x, y).coef_, rtol=1e-6)
    wide = np.random.default_rng(0).normal(size=(20, 100))
    found = LossRegressor("squared_error", alpha=0.1, penalty_weight=3.0).fit(wide, y[:20])
    expected = LossRegressor("squared_error", alpha=0.3).fit(wide, y[:20])
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_a_constant_column_keeps_to_its_bounds(fit_intercept):
    x, y, _, _ = make(fl.SquaredError())
    x[:, 2] = 3.0 if fit_intercept else 0.0
    free = LossRegressor("squared_error", penalty=None, fit_intercept=fit_intercept).fit(x, y)
    bound = LossRegressor("squared_error", penalty=None, fit_intercept=fit_intercept)
    bound.set_params(bounds=([-9, -9, 1, -9, -9, -9], 9)).fit(x, y)
    assert bound.coef_[2] == 1
    np.testing.assert_allclose(bound.predict(x), free.predict(x), atol=1e-5)


def test_a_warm_start_outside_of_new_bounds():
    x, y, _, _ = make(fl.Huber())
    model = LossRegressor(warm_start=True).fit(x, y)
    model.set_params(positive=True).fit(x, y)
    np.testing.assert_allclose(model.coef_, LossRegressor(positive=True).fit(x, y).coef_, atol=1e-5)


def test_zeros_of_offset_bounds_that_do_not_bind_and_ones_change_nothing():
    x, y, _, weight = make(fl.CrossEntropy())
    plain = LossClassifier().fit(x, y, weight)
    same = LossClassifier(bounds=(None, None), penalty_weight=np.ones(D)).fit(x, y, weight, np.zeros(N))
    np.testing.assert_array_equal(plain.coef_, same.coef_)
    loose = LossClassifier(bounds=(-1e6, 1e6)).fit(x, y, weight)
    np.testing.assert_allclose(plain.coef_, loose.coef_, rtol=1e-4, atol=1e-7)


def test_many_rows_with_an_offset_start_at_a_sample():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100_000, 20))
    offset = rng.normal(size=len(x))
    y = rng.poisson(np.exp(0.3 * x[:, 0] - 1 + offset)).astype(float)
    model = LossRegressor("poisson", penalty=None, positive=True).fit(x, y, offset=offset)
    mean = model.predict(x, offset)
    slope = x.T @ (mean - y) / len(x)
    assert np.all(slope >= -1e-5)
    assert np.all(np.abs(slope[model.coef_ > 0]) < 1e-5)
    assert mean.mean() == pytest.approx(y.mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bounds": (1, -1)}, r"bounds of feature 0 leave nothing between them: 1.0 > -1.0"),
        ({"bounds": ([0, 0, 0, 2, 0, 0], 1)}, r"bounds of feature 3 leave nothing"),
        ({"bounds": ([0, np.nan, 0, 2, 0, 0], 1)}, r"bounds\[0\]\[1\] = nan must be a number"),
        ({"bounds": (np.inf, np.inf)}, r"bounds\[0\]\[0\] = inf must be a number and not inf"),
        ({"bounds": ([0, 1], 1)}, r"bounds\[0\] must be one number, or one for each of the 6 features, got \(2,\)"),
        ({"bounds": 3.0}, "bounds must be a pair"),
        ({"bounds": (0, 1, 2)}, "bounds must be a pair"),
        ({"bounds": (0, 1), "positive": True}, "positive=True stands for bounds"),
        ({"penalty_weight": [1, 1, -1, 1, 1, 1]}, r"penalty_weight\[2\] = -1.0 must be finite and not negative"),
        ({"penalty_weight": [1, 1, np.inf, 1, 1, 1]}, r"penalty_weight\[2\] = inf must be finite"),
        ({"penalty_weight": [1, 1]}, r"penalty_weight must be one number, or one for each of the 6 features"),
        ({"offset": np.zeros((N, 1))}, r"offset must have shape \(200,\), one number a row, got \(200, 1\)"),
        ({"offset": np.zeros(N - 1)}, r"offset must have shape \(200,\)"),
        ({"offset": np.where(np.arange(N) == 7, np.nan, 0)}, r"offset\[7\] = nan must be finite in float64"),
        ({"loss": "absolute_error", "bounds": ([0, 0, 0, 1, 0, 0], 1)}, "bounds of feature 3 are the same, 1.0"),
    ],
)
def test_what_is_refused(options, message):
    x, y, _, _ = make(fl.SquaredError())
    offset = options.pop("offset", None)
    with pytest.raises(ValueError, match=message):
        LossRegressor(**options).fit(x, y, offset=offset)


def test_types_that_are_refused():
    x, y, offset, _ = make(fl.SquaredError())
    for options in ({"positive": "yes"}, {"penalty_weight": "all"}, {"bounds": ("a", "b")}):
        with pytest.raises(TypeError, match=next(iter(options))):
            LossRegressor(**options).fit(x, y)
    with pytest.raises(TypeError, match="offset must hold real numbers, not"):
        LossRegressor().fit(x, y, offset=["a"] * N)
    model = LossRegressor().fit(x, y, offset=offset)
    with pytest.raises(ValueError, match=r"offset must have shape \(2,\)"):
        model.predict(x[:2], offset[:3])
    many = LossClassifier().fit(x, np.arange(N) % 3)
    with pytest.raises(ValueError, match=r"offset must have shape \(200, 3\), one number for each row and score, got"):
        many.predict_proba(x, offset)


def test_clone_and_search_over_bounds():
    x, y, _, _ = make(fl.SquaredError())
    model = LossRegressor("squared_error", bounds=(np.zeros(D), None), penalty_weight=np.ones(D))
    assert clone(model).get_params()["bounds"][1] is None
    search = GridSearchCV(model, {"bounds": [(0, None), (None, 0), None]}).fit(x, y)
    assert search.best_params_["bounds"] is None


def test_separable_data_between_bounds_need_no_penalty():
    x = np.array([[-1.0], [1.0]] * 20)
    y = np.array([0, 1] * 20)
    model = LossClassifier(penalty=None, bounds=(None, 2.5)).fit(x, y)
    assert model.coef_[0, 0] == 2.5
    with pytest.warns(ConvergenceWarning):
        LossClassifier(penalty=None, bounds=(-1, None), max_iter=3).fit(x, y)


def test_two_columns_of_classes_are_two_models():
    x, y, _, _ = make(fl.CrossEntropy())
    advice = "for several columns of classes fit a model to each, as scikit-learn's MultiOutputClassifier does"
    for columns in (np.column_stack([y, y + 1]), np.column_stack([y, 1 - y]).astype(str)):
        with pytest.raises(ValueError, match=advice):
            LossClassifier().fit(x, columns)
