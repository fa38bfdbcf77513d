"""
Linear models of many columns with an L1 norm, sparse and dense, held to optima that the solvers have no part in.

For log loss and squares the dual problem is known: what the fit is above the dual value of its own scaled gradient is
an upper bound of what it is above the minimum.
"""

import itertools
import pickle
import re

import numpy as np
import pytest

pytest.importorskip("sklearn")

from scipy import sparse
from scipy.special import entr, logsumexp
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso
from test_linear_options import amounts, estimator, make, optimum, reached
from test_linear_referee import CLOSENESS, LOSSES, judge, name_of

import fastloss as fl
from fastloss._kernels import Columns
from fastloss._resolve import resolve
from fastloss.sklearn import LossClassifier, LossRegressor, _ascent, _interior, _multipliers, _solvers

N, D = 300, 3000


def bag_of_words(n=N, d=D, n_classes=2, seed=0):
    """Counts of words, some of them frequent and most of them rare, and classes that go with some of them."""
    rng = np.random.default_rng(seed)
    words = np.minimum((rng.pareto(1.0, n * 40) * 5).astype(int), d - 1)
    x = sparse.coo_matrix((np.ones(n * 40), (np.repeat(np.arange(n), 40), words)), shape=(n, d)).tocsr()
    coef = np.zeros((d, n_classes))
    coef[:60] = rng.standard_normal((60, n_classes))
    z = x @ coef
    return x, (z - z.mean(axis=0) + rng.gumbel(size=z.shape)).argmax(axis=1)


def gap_of_log_loss(x, y, model, alpha, weight=None):
    """Objective, and how far it is above a value of the dual problem: relative to the objective."""
    n_classes = len(model.classes_)
    w = np.ones(len(y)) / len(y) if weight is None else weight / weight.sum()
    coef, intercept = np.atleast_2d(model.coef_), np.ravel(model.intercept_)
    z = x @ coef.T + intercept
    z = np.column_stack([np.zeros(len(y)), z]) if n_classes == 2 else z
    objective = w @ (logsumexp(z, axis=1) - z[np.arange(len(y)), y]) + alpha * np.abs(coef).sum()
    one_hot = np.eye(n_classes)[y]
    p = np.exp(z - logsumexp(z, axis=1, keepdims=True))
    # The intercept asks for residuals that sum to 0.
    balance = w @ (p - one_hot)
    assert np.abs(balance).max() < 1e-6
    slope = x.T @ (w[:, None] * (p - one_hot))
    slope = slope[:, 1:] if n_classes == 2 else slope
    share = min(1.0, alpha / np.abs(slope).max())
    dual = w @ entr(one_hot + share * (p - one_hot)).sum(axis=1)
    return objective, (objective - dual) / objective


@pytest.mark.parametrize("strength", [0.3, 0.05])
@pytest.mark.parametrize("form", ["csr", "csc", "int64", "zeros", "dense", "fortran", "float32"])
def test_log_loss_ends_at_the_minimum_of_wide_data(form, strength):
    x, y = bag_of_words()
    alpha = strength * np.abs(x.T @ (y - y.mean())).max() / len(y)
    given = {
        "csr": lambda: x,
        "csc": x.tocsc,
        "int64": lambda: with_long_indices(x),
        "zeros": lambda: with_zeros(x),
        "dense": x.toarray,
        "fortran": lambda: np.asfortranarray(x.toarray()),
        "float32": lambda: x.astype(np.float32),
    }[form]()
    model = LossClassifier(penalty="l1", alpha=alpha).fit(given, y)
    assert 0 < np.count_nonzero(model.coef_) < N
    assert gap_of_log_loss(x, y, model, alpha)[1] < CLOSENESS


def with_long_indices(x):
    return sparse.csr_matrix((x.data, x.indices.astype(np.int64), x.indptr.astype(np.int64)), shape=x.shape)


def with_zeros(x):
    """Zeros that are stored, and numbers that are stored as two."""
    x = x.tocoo()
    rows, columns = np.tile(x.row, 2), np.tile(x.col, 2)
    data = np.concatenate([0.25 * x.data, 0.75 * x.data])
    rows, columns = np.append(rows, np.arange(N)), np.append(columns, np.arange(N) + 1000)
    order = np.lexsort((columns, rows))
    starts = np.searchsorted(rows[order], np.arange(N + 1))
    return sparse.csr_matrix((np.append(data, np.zeros(N))[order], columns[order], starts), shape=x.shape)


@pytest.mark.parametrize("n_classes", [3, 8])
@pytest.mark.parametrize("dense", [False, True])
def test_many_classes(n_classes, dense):
    x, y = bag_of_words(n_classes=n_classes)
    alpha = 2e-3
    given = x.toarray() if dense else x
    model = LossClassifier(penalty="l1", alpha=alpha).fit(given, y)
    assert 0 < np.count_nonzero(model.coef_) < N
    # The dual value says less of what is left than the model's own; nearer to the minimum both do.
    near = LossClassifier(penalty="l1", alpha=alpha, tol=1e-9).fit(given, y)
    least, gap = gap_of_log_loss(x, y, near, alpha)
    assert gap < CLOSENESS
    assert gap_of_log_loss(x, y, model, alpha)[0] <= least * (1 + CLOSENESS)


def test_weights_count():
    x, y = bag_of_words()
    weight = np.random.default_rng(1).integers(0, 3, N).astype(float)
    model = LossClassifier(penalty="l1", alpha=1e-2).fit(x, y, weight)
    assert gap_of_log_loss(x, y, model, 1e-2, weight)[1] < CLOSENESS
    rows = np.repeat(np.arange(N), weight.astype(int))
    other = LossClassifier(penalty="l1", alpha=1e-2, tol=1e-9).fit(x[rows], y[rows])
    np.testing.assert_allclose(model.decision_function(x), other.decision_function(x), atol=1e-4)


@pytest.mark.parametrize(("intercept", "far"), [(True, 0.0), (True, 1e4), (False, 0.0)])
def test_lasso_is_that_of_scikit_learn(intercept, far):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 1000)) + far
    y = x[:, :10] @ rng.standard_normal(10) + rng.standard_normal(100)
    ours = LossRegressor("squared_error", penalty="l1", alpha=0.2, fit_intercept=intercept).fit(x, y)
    theirs = Lasso(alpha=0.1, fit_intercept=intercept, tol=1e-12, max_iter=100_000).fit(x, y)
    objectives = [np.mean((y - m.predict(x)) ** 2) + 0.2 * np.abs(m.coef_).sum() for m in (ours, theirs)]
    assert objectives[0] <= objectives[1] * (1 + CLOSENESS)


SMOOTH = [loss for loss in LOSSES if not loss.traits.has_kinks]
KINDS = ["tame", "uncentred", "scales", "rare", "repeated", "zero weights", "sparse", "float32"]
# Each loss once, in turn with each kind of data.
SOME = [(KINDS[i % len(KINDS)], loss, ("l1", "elasticnet")[i // 2 % 2]) for i, loss in enumerate(SMOOTH)]


@pytest.mark.parametrize(("kind", "loss", "penalty"), SOME, ids=name_of)
def test_converged_means_at_the_minimum(kind, loss, penalty, monkeypatch):
    """The referee of all solvers, on narrow data that are treated as wide ones."""
    monkeypatch.setattr(_solvers, "MANY_COLUMNS", 1)
    excess, said, _ = judge(loss, penalty, kind)
    assert excess <= CLOSENESS or said


def test_a_million_columns():
    """No matrix of columns by columns, of which one would take terabytes; and the names are found."""
    rng = np.random.default_rng(0)
    n, d = 500, 1_000_000
    columns = rng.integers(0, d, (n, 20))
    y = np.arange(n) % 2
    columns[y == 1, 0] = 123_456
    columns[::3, 1] = 999_999
    x = sparse.csr_matrix((np.ones(20 * n), columns.ravel(), np.arange(0, 20 * n + 1, 20)), shape=(n, d))
    model = LossClassifier(penalty="l1", alpha=0.05).fit(x, y)
    assert np.flatnonzero(model.coef_).tolist() == [123_456]
    assert gap_of_log_loss(x, y, model, 0.05)[1] < CLOSENESS


def test_bits_do_not_depend_on_threads():
    x, y = bag_of_words(2000, 20_000)
    found = []
    for n in (1, 2, 3):
        with fl.num_threads(n):
            found.append(LossClassifier(penalty="l1", alpha=2e-3).fit(x, y).coef_)
    assert all(np.array_equal(a, b) for a, b in itertools.pairwise(found))


def test_max_iter_is_the_limit_and_is_told():
    x, y = bag_of_words()
    with pytest.warns(UserWarning, match="max_iter is reached"):
        model = LossClassifier(penalty="l1", alpha=1e-3, max_iter=2).fit(x, y)
    assert model.n_iter_ == 2


def test_what_is_not_finite_is_found():
    x = np.random.default_rng(0).standard_normal((50, 30_000))
    y = x[:, 0] > 0
    x[7, 29_999] = np.inf
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="X contains infinity"):
        LossClassifier(penalty="l1").fit(x, y)


def test_the_sparse_matrix_stays_as_it_is():
    x = with_zeros(bag_of_words()[0]).tocsc()
    before = x.copy()
    LossClassifier(penalty="l1").fit(x, np.arange(N) % 2)
    assert np.array_equal(x.data, before.data)
    assert np.array_equal(x.indices, before.indices)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_one_hot_columns_give_the_model_of_dense_ones(n_classes, dtype):
    """Their Hessian is made of the numbers that are there; and unsorted ones are fine."""
    rng = np.random.default_rng(0)
    codes = np.column_stack([rng.integers(0, levels, 4000) for levels in (40, 20, 5)]) + [0, 40, 60]
    order = rng.permuted(np.tile(np.arange(3), (4000, 1)), axis=1)
    indices = np.take_along_axis(codes, order, axis=1).ravel()
    data = np.ones(12_000, dtype) + (indices == 3)
    x = sparse.csr_matrix((data, indices, np.arange(0, 12_001, 3)), shape=(4000, 65))
    assert not x.has_sorted_indices
    y = (x @ rng.standard_normal((65, n_classes)) + rng.gumbel(size=(4000, n_classes))).argmax(axis=1)
    for given in (x, x.sorted_indices()):
        for loss in ("cross_entropy", "binary_cross_entropy"):
            ours, theirs = (
                LossClassifier(loss, alpha=1e-3, solver="newton").fit(each, y) for each in (given, x.toarray())
            )
            np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5 if dtype == np.float64 else 1e-3)


OPTIONS = [
    (fl.CrossEntropy(), 2),
    (fl.CrossEntropy(), 3),
    (fl.SquaredHinge(), 2),
    (fl.Poisson(), 1),
    (fl.Huber(0.7), 1),
]


@pytest.mark.parametrize("form", ["dense", "csr", "float32", "fortran"])
@pytest.mark.parametrize(("penalty", "alpha"), [("l1", 0.03), ("elasticnet", 0.05)])
@pytest.mark.parametrize(("loss", "n_classes"), OPTIONS, ids=[f"{loss.name}-{k}" for loss, k in OPTIONS])
def test_offsets_and_weights_of_the_penalty(loss, n_classes, penalty, alpha, form):
    """With columns that have no penalty, constant ones among them, and rows of weight 0."""
    x, y, offset, weight = make(loss, n_classes=n_classes)
    rng = np.random.default_rng(1)
    x = np.column_stack([x, rng.poisson(0.3, size=(len(x), 14)), np.ones(len(x))])
    x = x.astype(np.float32).astype(np.float64)
    factor = np.concatenate([[1, 0.5, 2, 1, 0, 3], rng.choice([0.3, 1, 5], 13), [0, 0]])
    given = {"dense": x, "csr": sparse.csr_matrix(x), "float32": x.astype(np.float32), "fortran": np.asfortranarray(x)}
    # A factor so large that the column stays out.
    factor[7] = 1e6
    model = estimator(loss, penalty=penalty, alpha=alpha, solver="descent", penalty_weight=factor)
    model.fit(given[form], y, weight, offset)
    coef = np.atleast_2d(model.coef_)
    assert np.all(coef[:, 7] == 0)
    assert np.all(coef[:, 4] != 0)
    n_outputs = n_classes if n_classes > 2 else 1
    l1, l2 = amounts(penalty, alpha)
    arguments = x, y, offset, weight, l1, l2, factor
    # A constant of ones makes no difference beside the intercept.
    kept = x[:, :-1], y, offset, weight, l1, l2, factor[:-1]
    best = optimum(loss, n_outputs, *kept, -np.inf, np.inf)
    assert reached(model, loss, *arguments) <= best + CLOSENESS * abs(best)


@pytest.mark.parametrize("dense", [False, True])
def test_many_columns_with_offset_and_weights_of_the_penalty(dense):
    """Squares, whose dual problem has the residuals as its variables."""
    x, y = bag_of_words()
    rng = np.random.default_rng(0)
    y, offset = 3 * y + rng.standard_normal(N), 10 * rng.standard_normal(N)
    alpha, factor = 1.0, rng.choice([0.5, 1.0, 4.0], D)
    model = LossRegressor("squared_error", penalty="l1", alpha=alpha, penalty_weight=factor)
    model.fit(x.toarray() if dense else x, y, offset=offset)
    assert 0 < np.count_nonzero(model.coef_) < N
    target = y - offset
    residual = target - x @ model.coef_ - model.intercept_
    objective = np.mean(residual**2) + alpha * factor @ np.abs(model.coef_)
    assert abs(residual.mean()) < 1e-6
    u = 2 / N * (residual - residual.mean())
    u *= min(1.0, alpha / np.max(np.abs(x.T @ u) / factor))
    assert objective - (u @ target - N / 4 * u @ u) < CLOSENESS * objective


@pytest.mark.parametrize(
    ("loss", "parameters"),
    [("cross_entropy", {"positive": True}), ("cross_entropy", {"bounds": (-0.1, 0.2)}), ("focal", {})],
)
def test_descent_is_auto_where_it_cannot_be(loss, parameters):
    x, y = bag_of_words(n_classes=3)
    fit = lambda solver: LossClassifier(loss, penalty="l1", alpha=1e-2, solver=solver, **parameters).fit(x[:, :20], y)
    assert np.array_equal(fit("descent").coef_, fit("auto").coef_)


def test_blocks_of_rows_have_no_columns_to_descend_on():
    x, y = bag_of_words()
    x = x[:, :300].toarray()
    blocks = [(x[at : at + 100], y[at : at + 100]) for at in range(0, N, 100)]
    whole = LossClassifier(penalty="l1", alpha=1e-2, tol=1e-8).fit(x, y)
    for solver in ("auto", "descent"):
        ours = LossClassifier(penalty="l1", alpha=1e-2, tol=1e-8, solver=solver).fit_blocks(blocks)
        np.testing.assert_allclose(ours.coef_, whole.coef_, atol=1e-4)


@pytest.mark.parametrize(("loss", "penalty"), [("hinge", "l1"), ("cross_entropy", "l2")])
def test_descent_is_for_smooth_losses_with_an_l1_norm(loss, penalty):
    x, y = bag_of_words()
    fit = lambda solver: LossClassifier(loss, penalty=penalty, alpha=1e-2, solver=solver).fit(x[:, :20], y)
    assert np.array_equal(fit("descent").coef_, fit("auto").coef_)


def test_no_columns_at_all():
    columns = Columns(np.ones(15), 5)
    nothing, of_none, h = np.empty(0, np.int64), np.empty(0), np.ones(5)
    z = np.zeros(5)
    columns.products(h, of_none)
    columns.moments(nothing, h, of_none, of_none)
    columns.scores(nothing, of_none, z)
    squares = np.zeros((5, 5))
    columns.add_squares(of_none, 0, squares)
    assert not z.any()
    assert not squares.any()
    assert columns.descend(nothing, np.zeros(3), np.zeros((5, 3)), h, h, 0.25, 5.0) == (0.0, 0.25)


def test_columns_are_not_copied():
    with pytest.raises(TypeError, match="cannot be copied"):
        pickle.dumps(Columns(np.ones(15), 5))


# ----------------------------------------------------------------------------------------------- kinks and many columns


def kinked(loss, n_outputs, sparse_x, dtype, seed=3):
    """Columns of which one is constant and one of another mean; classes or targets that go with them; offsets."""
    rng = np.random.default_rng(seed)
    n, d = 150, 30
    x = rng.standard_normal((n, d)) * (rng.random((n, d)) < 0.3)
    x[:, 0], x[:, 1] = 1.0, x[:, 1] + 2.0
    t = x @ rng.standard_normal((d, n_outputs)) + rng.standard_t(3, (n, n_outputs))
    offset = rng.standard_normal((n, n_outputs)).astype(dtype)
    x = x.astype(dtype)
    x = sparse.csr_array(x) if sparse_x else x
    if "hinge" in loss.name:
        return x, np.digitize(t[:, 0], np.quantile(t[:, 0], [0.5] if n_outputs == 1 else [0.3, 0.6])), offset
    return x, t.astype(dtype) if n_outputs > 1 else t[:, 0].astype(dtype), offset


def objective_of_kinks(model, loss, x, y, weight, offset, alpha):
    z = x @ np.atleast_2d(model.coef_).T + np.ravel(model.intercept_) + offset
    z, n_outputs = z.astype(np.float64), offset.shape[1]
    penalty = alpha / 2 * float(np.sum(np.square(model.coef_.astype(np.float64))))
    if loss.kind == "rowwise" and n_outputs > 1:
        return float(loss(z, y, sample_weight=weight)) + penalty
    if "hinge" in loss.name and n_outputs > 1:
        y = (y[:, None] == np.arange(n_outputs)).astype(int)
    columns = np.reshape(y, (len(z), -1)).astype(int if "hinge" in loss.name else np.float64)
    both = lambda k: np.column_stack([0 * z[:, k], z[:, k]]) if loss.kind == "rowwise" else z[:, k]
    value = sum(float(loss(both(k), columns[:, k], sample_weight=weight)) for k in range(n_outputs))
    return value + penalty


KINKS = [
    (fl.Hinge(), 1),
    (fl.Hinge(), 3),
    (fl.MulticlassHinge(margin=0.5), 1),
    (fl.MulticlassHinge(margin=0.5), 3),
    (fl.AbsoluteError(), 1),
    (fl.AbsolutePercentageError(), 1),
    (fl.Quantile(q=0.2), 2),
    (fl.EpsilonInsensitive(epsilon=0.3), 1),
]


@pytest.mark.parametrize("form", ["dense", "sparse", "single", "columns first", "far", "no intercept"])
@pytest.mark.parametrize(("loss", "n_outputs"), KINKS, ids=lambda value: getattr(value, "name", value))
def test_ascent_by_rows_ends_at_the_minimum_of_interior_points(loss, n_outputs, form, monkeypatch):
    x, y, offset = kinked(loss, n_outputs, form == "sparse", np.float32 if form == "single" else np.float64)
    if form == "far":
        x = x + 100.0
    if form == "columns first":
        x = np.asfortranarray(x)
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    of_targets = offset if n_outputs > 1 else offset[:, 0]
    fit = lambda x, **options: estimator(loss, alpha=1e-2, fit_intercept=form != "no intercept", **options).fit(
        x, y, weight, of_targets
    )
    objective = lambda model: objective_of_kinks(model, loss, x, y, weight, offset, 1e-2)
    interior = objective(fit(x.astype(np.float64), solver="newton"))
    ascents = []
    ascend = lambda *arguments: ascents.append(_ascent.ascend(*arguments)) or ascents[-1]
    monkeypatch.setattr(_solvers, "MOST_NEWTON", 10)
    monkeypatch.setattr(_solvers, "ascend", ascend)
    model = fit(x)
    assert objective(model) == pytest.approx(interior, rel=1e-5 if form == "single" else 2e-6)
    (found,) = ascents
    assert not found.stopped
    assert found.gap <= 2e-6 * found.value
    assert found.value == pytest.approx(interior, rel=1e-5 if form == "single" else 2e-6)


@pytest.mark.parametrize("form", ["dense", "sparse", "far", "no intercept"])
@pytest.mark.parametrize(
    ("loss", "n_outputs"),
    [each for each in KINKS if each[0].kind != "rowwise" or each[1] == 1],
    ids=lambda value: getattr(value, "name", value),
)
def test_multipliers_of_few_columns_end_at_the_minimum_of_interior_points(loss, n_outputs, form, monkeypatch):
    x, y, offset = kinked(loss, n_outputs, form == "sparse", np.float64)
    x = x + 100.0 if form == "far" else x
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    of_targets = offset if n_outputs > 1 else offset[:, 0]
    fit = lambda **options: estimator(loss, alpha=1e-2, fit_intercept=form != "no intercept", **options).fit(
        x, y, weight, of_targets
    )
    found = []
    multiply = lambda *arguments: found.append(_multipliers.multiply(*arguments)) or found[-1]
    monkeypatch.setattr(_solvers, "multiply", multiply)
    model, other = fit(), fit(solver="newton")
    objective = lambda model: objective_of_kinks(model, loss, x, y, weight, offset, 1e-2)
    (ours,) = found
    assert (ours.stopped, ours.gap <= 1e-6 * ours.value) == ("", True)
    assert objective(model) == pytest.approx(ours.value, rel=1e-9)
    assert objective(model) <= objective(other) * (1 + 1e-9)
    np.testing.assert_allclose(model.coef_, other.coef_, atol=1e-4)


def test_ascent_that_ends_early_says_at_most_how_far_it_is_from_the_minimum(monkeypatch):
    loss = fl.Quantile(q=0.3)
    x, y, offset = kinked(loss, 1, True, np.float64)
    objective = lambda model: objective_of_kinks(model, loss, x, y, None, 0 * offset, 1e-5)
    least = objective(LossRegressor(loss, alpha=1e-5).fit(x, y))
    monkeypatch.setattr(_solvers, "MOST_NEWTON", 10)
    with pytest.warns(ConvergenceWarning, match=r"max_iter is reached. The objective \S+ may be") as caught:
        early = LossRegressor(loss, alpha=1e-5, max_iter=1).fit(x, y)
    said = float(re.search(r"may be (\S+) above", str(caught[0].message))[1])
    away = objective(early) - least
    assert 1e-6 < away <= said * 1.01


@pytest.mark.parametrize("loss", ["hinge", "absolute_error"])
def test_a_text_of_more_words_than_rows(loss):
    """The minimum of all columns is that of the combinations of rows, which are fewer than `MOST_NEWTON`."""
    x, y = bag_of_words(250, 1600)
    other = np.linalg.svd(x.toarray() - np.asarray(x.mean(axis=0)), full_matrices=False)
    columns = other[0] * other[1]
    fit = lambda features: estimator(resolve(loss), alpha=1e-3).fit(features, y)
    wide, narrow = fit(x), fit(columns)
    np.testing.assert_allclose(
        np.ravel(wide.coef_), np.ravel(narrow.coef_) @ other[2], atol=2e-4 * np.abs(wide.coef_).max()
    )


@pytest.mark.parametrize("form", ["dense", "sparse", "no intercept", "elastic net"])
@pytest.mark.parametrize(
    ("loss", "n_outputs"),
    [(fl.Hinge(), 1), (fl.Quantile(q=0.3), 2), (fl.MulticlassHinge(), 3)],
    ids=lambda value: getattr(value, "name", value),
)
def test_interior_points_in_working_sets_of_columns(loss, n_outputs, form, monkeypatch):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((120, 90)) * (rng.random((120, 90)) < 0.5)
    x[:, 4], x[:, 5] = 1.0, x[:, 5] + 30.0
    t = x[:, :8] @ rng.standard_normal((8, n_outputs)) + rng.standard_t(3, (120, n_outputs))
    y = np.digitize(t[:, 0], np.quantile(t[:, 0], np.arange(1, max(n_outputs, 2)) / max(n_outputs, 2)))
    y = y if "hinge" in loss.name else t
    x = sparse.csr_array(x) if form == "sparse" else x
    options = {"penalty": "elasticnet", "alpha": 0.08} if form == "elastic net" else {"penalty": "l1", "alpha": 0.03}
    options["fit_intercept"] = form != "no intercept"
    all_columns = estimator(loss, solver="newton", **options).fit(x, y)
    sets = []
    found = lambda *arguments: sets.append(_interior.by_columns(*arguments)) or sets[-1]
    monkeypatch.setattr(_interior, "FEWEST", 10)
    monkeypatch.setattr(_solvers, "MOST_NEWTON", 80 * (n_outputs if loss.kind == "rowwise" else 1))
    monkeypatch.setattr(_solvers, "by_columns", found)
    model = estimator(loss, **options).fit(x, y)
    ((_, value, violation, gap, stopped),) = sets
    assert (stopped, violation <= 1, gap <= 2e-6 * value) == ("", True, True)
    np.testing.assert_allclose(model.coef_, all_columns.coef_, atol=2e-4)
    assert 0 < np.count_nonzero(model.coef_) < 0.8 * model.coef_.size
    assert model.loss_curve_[-1] == pytest.approx(all_columns.loss_curve_[-1], rel=2e-6)


def test_more_columns_in_use_than_a_working_set_may_have(monkeypatch):
    x, y = bag_of_words(100, 60)
    fit = lambda: LossRegressor("absolute_error", penalty="l1", alpha=1e-3, tol=1e-3, max_iter=5).fit(x, y)
    monkeypatch.setattr(_solvers, "MOST_NEWTON", 5)
    with pytest.warns(ConvergenceWarning, match="may be"):
        fit()


def test_no_rows_that_move():
    rows = Columns(np.ones(15), 5)
    state = np.array([0.0, 1.0, np.inf, 0.5, 0.0, 0.0, 0.0, 0.0])
    nothing = np.zeros((5, 3))
    none = np.empty(0, np.int64)
    assert rows.ascend(none, 0, nothing, np.zeros(3), np.zeros(5), state, 3, 1) == (0.0, 0)
    assert state[3] == 0.5
    dual = np.ones((3, 2))
    assert rows.ascend_classes(none, 0, none, nothing, None, dual, dual, nothing, state, 3, 1) == (0.0, 0)
    assert np.all(dual == 1)


def test_multiclass_hinge_of_a_text(recwarn):
    """Seven classes, more words than rows: of one that occurs no more than in a row of weight 0, too."""
    x, y = bag_of_words(n_classes=7)
    weight = np.where(y == 6, 0.0, 1.0 + (np.arange(N) % 3 == 0))
    model = LossClassifier(fl.MulticlassHinge(), alpha=1e-3).fit(x, y, weight)
    assert not recwarn.list
    z = x @ model.coef_.T + model.intercept_
    assert model.loss_curve_[-1] == pytest.approx(
        float(fl.MulticlassHinge()(z, y, sample_weight=weight)) + 5e-4 * np.sum(np.square(model.coef_)), rel=1e-6
    )


@pytest.fixture
def ascents(monkeypatch):
    """Fits in the dual, where more than 10 columns are many."""
    found = []
    monkeypatch.setattr(_solvers, "MOST_NEWTON", 10)
    ascend = lambda *arguments: found.append(_ascent.ascend(*arguments)) or found[-1]
    monkeypatch.setattr(_solvers, "ascend", ascend)
    return found


@pytest.mark.parametrize("form", ["dense", "sparse", "single"])
@pytest.mark.parametrize("loss", [fl.Hinge(), fl.MulticlassHinge(), fl.AbsoluteError()], ids=lambda loss: loss.name)
def test_weights_of_the_penalty_are_units_of_columns_in_the_dual(loss, form, ascents):
    x, y, _ = kinked(loss, 3 if loss.kind == "rowwise" else 1, form == "sparse", np.float64)
    factor = np.geomspace(0.1, 10, x.shape[1])
    scaled = x.multiply(1 / np.sqrt(factor)).tocsr() if form == "sparse" else x / np.sqrt(factor)
    given = x.astype(np.float32) if form == "single" else x
    model = estimator(loss, alpha=1e-2, penalty_weight=factor, tol=1e-7).fit(given, y)
    alike = estimator(loss, alpha=1e-2, tol=1e-7).fit(scaled, y)
    assert [each.stopped for each in ascents] == ["", ""]
    assert ascents[0].value == pytest.approx(ascents[1].value, rel=1e-6)
    np.testing.assert_allclose(model.coef_ * np.sqrt(factor), alike.coef_, atol=2e-3 * np.abs(alike.coef_).max())


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_a_soft_label_is_two_rows_in_the_dual(form, ascents):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(60, 30)), np.round(rng.random((60, 2)), 1)
    weight, offset = rng.integers(0, 3, 60).astype(float), rng.normal(size=(60, 2))
    x = sparse.csr_matrix(np.where(np.abs(x) > 1, x, 0)) if form == "sparse" else x

    def objective(model):
        z = x @ model.coef_.T + model.intercept_ + offset
        losses = [fl.Hinge()(z[:, k], y[:, k], sample_weight=weight) for k in (0, 1)]
        return sum(losses) + 5e-3 * np.sum(np.square(model.coef_))

    fit = lambda **options: LossClassifier("hinge", alpha=1e-2, **options).fit(x, y, weight, offset)
    least = objective(fit(solver="newton"))
    model = fit()
    (found,) = ascents
    assert not found.stopped
    assert [objective(model), found.value] == pytest.approx([least, least], rel=3e-6)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("form", ["scales", "far"])
def test_multiclass_hinge_of_columns_of_mixed_scales(form, fit_intercept, recwarn):
    """Duals that are much smaller than the weights of their rows."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2000)), rng.integers(0, 4, 60)
    x = x * np.geomspace(1e-3, 1e3, 2000) if form == "scales" else x + 1000 * rng.normal(size=2000)
    loss = fl.MulticlassHinge()
    model = LossClassifier(loss, alpha=1e-2, fit_intercept=fit_intercept).fit(x, y)
    assert not recwarn.list
    value = float(loss(x @ model.coef_.T + model.intercept_, y)) + 5e-3 * np.sum(np.square(model.coef_))
    assert model.loss_curve_[-1] == pytest.approx(value, rel=1e-2)
    assert model.n_iter_ < 20
