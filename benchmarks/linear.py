"""
Fit times of linear models against scikit-learn's, at equal objective: python linear.py [--quick] [--rows FACTOR].

Every solver is run at the loosest tolerance of a ladder with which its objective is within 1e-6 (relative) of the
minimum, which is computed to high accuracy first; then all take turns, and the shortest times are compared. The table
shows scikit-learn's default solver and its best; skglm, celer and glum stand beside them where installed.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from report import columns
from scipy import sparse
from sklearn.linear_model import HuberRegressor, Lasso, LogisticRegression, PoissonRegressor, QuantileRegressor
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

import fastloss as fl
from fastloss.sklearn import LossClassifier, LossRegressor

CLOSENESS = 1e-6
TARGET = 0.5
TOLERANCES = [10.0**-k for k in range(1, 11)]
# A peer that takes longer than this is timed once.
LONG = 20.0


@dataclass
class Problem:
    """Data, what is minimised, and who does it; the first of the peers is the default."""

    name: str
    x: np.ndarray
    y: np.ndarray
    value: Callable[[Any], float]
    ours: Callable[[float], Any]
    peers: dict[str, Callable[[float], Any]]
    # HuberRegressor also fits a scale: its own objective is what it is held to.
    value_of_peers: Callable[[Any], float] | None = None
    target: float = TARGET
    # Peers that take too long to be asked for a minimum of their own.
    slow: tuple[str, ...] = ("saga", "highs")


def features(rng: np.random.Generator, n: int, p: int, correlation: float) -> np.ndarray:
    """Standard normal features, each correlated with the one before."""
    x = rng.standard_normal((n, p))
    for j in range(1, p):
        x[:, j] = correlation * x[:, j - 1] + np.sqrt(1 - correlation**2) * x[:, j]
    return x


def classification(n: int, p: int, n_classes: int, correlation: float) -> Problem:
    """LogisticRegression(C=1): classes drawn from a model of the same kind."""
    rng = np.random.default_rng(0)
    x = features(rng, n, p, correlation)
    z = x @ rng.standard_normal((p, 1 if n_classes == 2 else n_classes)) * (1.5 / np.sqrt(p))
    z = np.concatenate([np.zeros((n, 1)), z], axis=1) if n_classes == 2 else z
    y = (z + rng.gumbel(size=z.shape)).argmax(axis=1)
    loss = fl.CrossEntropy()

    def value(model: Any) -> float:
        scores = x @ model.coef_.T + model.intercept_
        scores = np.concatenate([np.zeros((n, 1)), scores], axis=1) if n_classes == 2 else scores
        return float(loss(scores, y) + np.square(model.coef_).sum() / (2 * n))

    peers = {
        name: lambda tol, solver=solver: LogisticRegression(solver=solver, tol=tol, max_iter=10_000).fit(x, y)
        for name, solver in (("lbfgs", "lbfgs"), ("newton-cholesky", "newton-cholesky"))
        if solver == "lbfgs" or p * n_classes <= 2000
    }
    ours = lambda tol: LossClassifier(alpha=1 / n, tol=tol).fit(x, y)
    kind = "independent" if correlation == 0 else "correlated"
    return Problem(f"LogisticRegression {n:,} x {p}, {n_classes} classes, {kind}", x, y, value, ours, peers)


def robust(n: int, p: int) -> Problem:
    """HuberRegressor against Huber at the scale that it finds."""
    rng = np.random.default_rng(0)
    x = features(rng, n, p, 0.5)
    y = x @ rng.standard_normal(p) + rng.standard_t(2, n)
    alpha, epsilon = 1e-4, 1.35
    theirs = lambda tol: HuberRegressor(epsilon=epsilon, alpha=alpha, tol=tol, max_iter=10_000).fit(x, y)
    scale = theirs(1e-8).scale_
    loss = fl.Huber(epsilon * scale)
    ours = lambda tol: LossRegressor(loss, alpha=alpha * scale / n, tol=tol).fit(x, y)
    value = lambda m: float(loss(m.predict(x), y) + alpha * scale / n * np.square(m.coef_).sum() / 2)

    def joint(m: Any) -> float:
        r = np.abs(x @ m.coef_ + m.intercept_ - y) / m.scale_
        losses = np.where(r <= epsilon, r**2, 2 * epsilon * r - epsilon**2)
        return float(np.mean(m.scale_ * (1 + losses)) + alpha / n * np.square(m.coef_).sum())

    return Problem(f"HuberRegressor {n:,} x {p}", x, y, value, ours, {"lbfgs": theirs}, joint)


def counts(n: int, p: int) -> Problem:
    """PoissonRegressor."""
    rng = np.random.default_rng(0)
    x = features(rng, n, p, 0.5)
    y = rng.poisson(np.exp(x @ rng.standard_normal(p) * (0.5 / np.sqrt(p)) + 1)).astype(float)
    alpha = 1e-4
    loss = fl.Poisson()
    # The deviance, for relative differences need a zero: up to a constant the same.
    zero = float(loss(np.log(np.maximum(y, 1e-300)), y))
    value = lambda m: float(loss(x @ m.coef_ + m.intercept_, y) - zero + alpha * np.square(m.coef_).sum() / 2)
    peers = {
        solver: lambda tol, solver=solver: PoissonRegressor(alpha=alpha, solver=solver, tol=tol, max_iter=10_000).fit(
            x, y
        )
        for solver in ("lbfgs", "newton-cholesky")
    }
    return Problem(
        f"PoissonRegressor {n:,} x {p}",
        x,
        y,
        value,
        lambda tol: LossRegressor("poisson", alpha=alpha, tol=tol).fit(x, y),
        peers,
    )


def words(n: int, d: int, n_classes: int) -> tuple[Any, np.ndarray]:
    """Bags of 100 words, some of them frequent, and classes that go with 300 of them."""
    rng = np.random.default_rng(0)
    drawn = rng.permutation(d)[np.minimum((rng.pareto(0.8, n * 100) * 20).astype(int), d - 1)]
    x = sparse.coo_matrix((rng.random(n * 100) + 0.5, (np.repeat(np.arange(n), 100), drawn)), shape=(n, d)).tocsr()
    coef = np.zeros((d, n_classes))
    coef[rng.choice(d, 300, replace=False)] = rng.standard_normal((300, n_classes))
    z = x @ coef
    return x, (z + rng.gumbel(size=z.shape)).argmax(axis=1)


def wide_columns(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Many more columns than rows, each correlated with the one before, and what 30 of them add up to."""
    rng = np.random.default_rng(0)
    x = features(rng, n, d, 0.5)
    coef = np.zeros(d)
    coef[rng.choice(d, 30, replace=False)] = rng.standard_normal(30)
    return x, x @ coef + rng.standard_normal(n)


def skglm_of(datafit: str, alpha: float, x: Any, y: np.ndarray) -> dict[str, Callable[[float], Any]]:
    """The fit of skglm, if it is installed."""
    try:
        import skglm
        from skglm import datafits, penalties, solvers
    except ImportError:
        return {}
    x = x.tocsc() if sparse.issparse(x) else x
    solver = solvers.AndersonCD if datafit == "Quadratic" else solvers.ProxNewton
    parts = lambda: (getattr(datafits, datafit)(), penalties.L1(alpha))
    fit = lambda tol: skglm.GeneralizedLinearEstimator(*parts(), solver(tol=tol, fit_intercept=True)).fit(x, y)
    return {"skglm": fit}


def wide_logistic(x: Any, y: np.ndarray, strength: float, name: str) -> Problem:
    """LogisticRegression with an L1 norm of a share of that which leaves nothing."""
    n, n_classes = len(y), len(np.unique(y))
    one_hot = np.eye(n_classes)[y]
    alpha = strength * float(np.abs(x.T @ (one_hot - one_hot.mean(axis=0))).max()) / n
    loss = fl.CrossEntropy()

    def value(model: Any) -> float:
        scores = x @ np.atleast_2d(model.coef_).T + np.ravel(model.intercept_)
        scores = np.concatenate([np.zeros((n, 1)), scores], axis=1) if n_classes == 2 else scores
        return float(loss(scores, y) + alpha * np.abs(model.coef_).sum())

    c = 1 / (alpha * n)
    peers: dict[str, Callable[[float], Any]] = {
        "saga": lambda tol: LogisticRegression(C=c, l1_ratio=1, solver="saga", tol=tol, max_iter=100).fit(x, y)
    }
    if n_classes == 2:
        # It penalises the intercept; less so where that is scaled.
        given = {"C": c, "l1_ratio": 1, "solver": "liblinear", "intercept_scaling": 1000.0, "max_iter": 1000}
        peers = {"liblinear": lambda tol: LogisticRegression(tol=tol, **given).fit(x, y)}
        peers |= skglm_of("Logistic", alpha, x, 2.0 * y - 1)
    ours = lambda tol: LossClassifier(penalty="l1", alpha=alpha, tol=tol).fit(x, y)
    target = 1.0 if n_classes == 2 else 0.5
    return Problem(f"L1, {name} {x.shape[0]:,} x {x.shape[1]:,}, {strength:g}", x, y, value, ours, peers, target=target)


def wide_lasso(x: np.ndarray, y: np.ndarray, strength: float) -> Problem:
    """Lasso with a share of the norm that leaves nothing."""
    n, d = x.shape
    alpha = strength * float(np.abs(x.T @ (y - y.mean())).max()) / n
    value = lambda m: float(
        np.square(x @ np.ravel(m.coef_) + m.intercept_ - y).mean() / 2 + alpha * np.abs(m.coef_).sum()
    )
    ours = lambda tol: LossRegressor("squared_error", penalty="l1", alpha=2 * alpha, tol=tol).fit(x, y)
    peers = {"scikit-learn": lambda tol: Lasso(alpha, tol=tol, max_iter=10_000).fit(x, y)}
    peers |= skglm_of("Quadratic", alpha, x, y)
    try:
        import celer

        peers["celer"] = lambda tol: celer.Lasso(alpha, tol=tol).fit(x, y)
    except ImportError:
        pass
    return Problem(f"Lasso {n:,} x {d:,}, {strength:g}", x, y, value, ours, peers, target=1.0)


def glum_of(x: Any, y: np.ndarray, weight: np.ndarray | None = None, **options: Any) -> dict[str, Any]:
    """The Poisson fit of glum, if it is installed."""
    try:
        import glum
    except ImportError:
        return {}
    model = lambda tol: glum.GeneralizedLinearRegressor(family="poisson", gradient_tol=tol, max_iter=10_000, **options)
    return {"glum": lambda tol: model(tol).fit(x, y, sample_weight=weight)}


def claims(n: int) -> Problem:
    """PoissonRegressor of categories and a few numbers, with exposures: insurance."""
    rng = np.random.default_rng(0)
    levels = (200, 100, 50, 20, 10, 10, 5, 5)
    codes = np.column_stack([rng.integers(0, each, n) for each in levels])
    places = codes + np.cumsum((0, *levels[:-1]))
    one_hot = sparse.csr_matrix((np.ones(codes.size), places.ravel(), np.arange(0, codes.size + 1, len(levels))))
    numbers = rng.standard_normal((n, 4))
    x = sparse.hstack([one_hot, sparse.csr_matrix(numbers)], format="csr")
    exposure = rng.uniform(0.1, 1.0, n)
    rate = np.exp(x @ rng.standard_normal(x.shape[1]) * 0.3 - 2)
    y = rng.poisson(rate * exposure) / exposure
    alpha = 1e-6
    loss = fl.Poisson()
    zero = float(loss(np.log(np.maximum(y, 1e-300)), y, sample_weight=exposure))
    z = lambda m: x @ m.coef_ + m.intercept_
    value = lambda m: float(loss(z(m), y, sample_weight=exposure) - zero + alpha * np.square(m.coef_).sum() / 2)
    fit = lambda tol: PoissonRegressor(alpha=alpha, solver="lbfgs", tol=tol, max_iter=10_000).fit(x, y, exposure)
    peers: dict[str, Callable[[float], Any]] = {"lbfgs": fit}
    try:
        import tabmat

        # Categories are what it is made for.
        blocks = [tabmat.CategoricalMatrix(codes[:, j]) for j in range(len(levels))]
        split = tabmat.SplitMatrix([*blocks, tabmat.DenseMatrix(numbers)])
        peers |= glum_of(split, y, exposure, alpha=alpha, l1_ratio=0)
    except ImportError:
        pass
    ours = lambda tol: LossRegressor("poisson", alpha=alpha, tol=tol).fit(x, y, exposure)
    name = f"Poisson, exposures, {n:,} x {x.shape[1]}, one-hot and 4 numbers"
    return Problem(name, x, y, value, ours, peers, target=1.0)


def sparse_counts(n: int, p: int) -> Problem:
    """Poisson with an L1 norm, of which a few features are used."""
    rng = np.random.default_rng(0)
    x = features(rng, n, p, 0.5)
    y = rng.poisson(np.exp(x @ (rng.standard_normal(p) * (np.arange(p) % 4 == 0)) * (1 / np.sqrt(p)))).astype(float)
    alpha = 0.02
    loss = fl.Poisson()
    zero = float(loss(np.log(np.maximum(y, 1e-300)), y))
    value = lambda m: float(loss(x @ m.coef_ + m.intercept_, y) - zero + alpha * np.abs(m.coef_).sum())
    ours = lambda tol: LossRegressor("poisson", penalty="l1", alpha=alpha, tol=tol).fit(x, y)
    peers = glum_of(x, y, alpha=alpha, l1_ratio=1) or skglm_of("Poisson", alpha, x, y)
    return Problem(f"L1, Poisson {n:,} x {p}", x, y, value, ours, peers, target=0.4)


def words_with_l2(n: int, d: int, n_classes: int) -> Problem:
    """LogisticRegression(C=1) of words."""
    x, y = words(n, d, n_classes)
    loss = fl.CrossEntropy()

    def value(model: Any) -> float:
        scores = x @ model.coef_.T + model.intercept_
        scores = np.concatenate([np.zeros((n, 1)), scores], axis=1) if n_classes == 2 else scores
        return float(loss(scores, y) + np.square(model.coef_).sum() / (2 * n))

    fit = lambda tol, **given: LogisticRegression(tol=tol, max_iter=10_000, **given).fit(x, y)
    peers: dict[str, Callable[[float], Any]] = {"lbfgs": fit}
    if n_classes == 2:
        peers["liblinear"] = lambda tol: fit(tol, solver="liblinear", intercept_scaling=1000.0)
    else:
        peers["saga"] = lambda tol: LogisticRegression(solver="saga", tol=tol, max_iter=100).fit(x, y)
    ours = lambda tol: LossClassifier(alpha=1 / n, tol=tol).fit(x, y)
    name = f"LogisticRegression {n:,} x {d:,} words, {n_classes} classes"
    return Problem(name, x, y, value, ours, peers, target=0.8 if n_classes == 2 else 0.7)


def margins(x: Any, y: np.ndarray, alpha: float, name: str) -> Problem:
    """LinearSVC with the hinge loss. It penalises the intercept, which is near 0 here."""
    loss = fl.Hinge()
    value = lambda m: float(loss(m.decision_function(x), y) + alpha * np.square(m.coef_).sum() / 2)
    given = {"C": 1 / (alpha * len(y)), "loss": "hinge", "max_iter": 1_000_000}
    peers = {"liblinear": lambda tol: LinearSVC(tol=tol, **given).fit(x, y)}
    ours = lambda tol: LossClassifier("hinge", alpha=alpha, tol=tol).fit(x, y)
    title, slow = f"LinearSVC, hinge, {name} {x.shape[0]:,} x {x.shape[1]:,}", ("liblinear",)
    return Problem(title, x, y, value, ours, peers, target=1.2, slow=slow)


def normal_margins(n: int, d: int) -> Problem:
    """Two classes that overlap."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d))
    y = (x @ rng.standard_normal(d) + 2 * rng.standard_normal(n) > 0) * 1
    return margins(x, y, 1e-4, "dense")


def text_margins(n: int, d: int) -> Problem:
    """Rows of 60 words, a tenth of them of their class."""
    rng = np.random.default_rng(0)
    drawn, rows = np.minimum(rng.pareto(1.0, n * 60).astype(int), d - 1), np.repeat(np.arange(n), 60)
    y = rng.integers(0, 2, n)
    own = rng.random(n * 60) < 0.1
    drawn[own] = 100 + 500 * y[rows[own]] + rng.integers(0, 600, own.sum())
    return margins(normalize(sparse.csr_matrix((np.ones(n * 60), (rows, drawn)), shape=(n, d))), y, 1e-5, "words")


def quantiles(n: int, d: int) -> Problem:
    """QuantileRegressor without a penalty."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, d))
    y = x @ rng.standard_normal(d) + rng.standard_t(3, n)
    loss = fl.Quantile(q=0.8)
    value = lambda m: float(loss(m.predict(x), y))
    peers = {"highs": lambda tol: QuantileRegressor(quantile=0.8, alpha=0.0, solver="highs").fit(x, y)}
    ours = lambda tol: LossRegressor(loss, penalty=None, tol=tol).fit(x, y)
    return Problem(f"QuantileRegressor {n:,} x {d}", x, y, value, ours, peers, target=1 / 200)


@dataclass
class Path:
    """Coefficients, a row for each alpha, and intercepts."""

    coef_: np.ndarray
    intercept_: np.ndarray


def lasso_path(x: np.ndarray, y: np.ndarray, n_alphas: int) -> Problem:
    """Lasso for 100 alphas down to a hundredth of the one that leaves nothing; the mean objective counts."""
    n, d = x.shape
    # celer's path has no intercept.
    x, y = x - x.mean(axis=0), y - y.mean()
    alphas = float(np.abs(x.T @ y).max()) / n * np.geomspace(1, 1e-2, n_alphas)

    def value(path: Path) -> float:
        residuals = np.square(path.coef_ @ x.T - y).mean(axis=1) / 2
        return float(np.mean(residuals + alphas * np.abs(path.coef_).sum(axis=1)))

    def ours(tol: float) -> Path:
        model = LossRegressor("squared_error", penalty="l1", fit_intercept=False, tol=tol)
        return Path(model.path(x, y, alphas=2 * alphas).coefs.T, np.zeros(n_alphas))

    def scikit(tol: float) -> Path:
        from sklearn.linear_model import lasso_path

        return Path(lasso_path(x, y, alphas=alphas, tol=tol, max_iter=10_000)[1].T, np.zeros(n_alphas))

    peers: dict[str, Callable[[float], Any]] = {"scikit-learn": scikit}
    try:
        import celer

        peers["celer"] = lambda tol: Path(
            celer.celer_path(np.asfortranarray(x), y, pb="lasso", alphas=alphas, tol=tol)[1].T, np.zeros(n_alphas)
        )
    except ImportError:
        pass
    try:
        from skglm import datafits, penalties, solvers

        def with_skglm(tol: float) -> Path:
            solver = solvers.AndersonCD(tol=tol, fit_intercept=False)
            at = np.asfortranarray(x)
            coefs = solver.path(at, y, datafits.Quadratic(), penalties.L1(1.0), alphas=alphas)[1]
            return Path(coefs.T, np.zeros(n_alphas))

        peers["skglm"] = with_skglm
    except ImportError:
        pass
    return Problem(f"Lasso path, {n_alphas} alphas, {n:,} x {d:,}", x, y, value, ours, peers, target=1.0)


def wide_problems(factor: float, only: str) -> Iterator[Callable[[], Problem]]:
    """Those of very many columns; with few rows there are fewer columns, too."""
    n, d = int(20_000 * factor), int(50_000 * max(factor, 0.1))
    dense = wide_columns(int(300 * max(factor, 0.5)), int(20_000 * max(factor, 0.1)))
    for strength in (0.1, 0.01):
        if only in f"words 2 {strength}":
            yield lambda s=strength: wide_logistic(*words(n, d, 2), s, "words")
        if only in f"wide logistic {strength}":
            yield lambda s=strength: wide_logistic(dense[0], (dense[1] > 0) * 1, s, "dense")
        if only in f"wide lasso {strength}":
            yield lambda s=strength: wide_lasso(*dense, s)
    for name, make in (
        ("words 20 0.1", lambda: wide_logistic(*words(n, d, 20), 0.1, "words of 20 classes")),
        ("words l2 2", lambda: words_with_l2(n, d, 2)),
        ("words l2 20", lambda: words_with_l2(n, d, 20)),
        ("path", lambda: lasso_path(*dense, 100)),
        ("poisson l1", lambda: sparse_counts(int(500_000 * factor), 40)),
        ("poisson one-hot", lambda: claims(int(700_000 * factor))),
        ("hinge dense", lambda: normal_margins(int(20_000 * factor), 20)),
        ("hinge words", lambda: text_margins(int(10_000 * factor), int(20_000 * max(factor, 0.1)))),
        ("quantile", lambda: quantiles(int(20_000 * factor), 20)),
    ):
        if only in name:
            yield make


def problems(factor: float, only: str) -> Iterator[Callable[[], Problem]]:
    """All of the table, made one at a time; `factor` of the rows, and those whose name holds `only`."""
    for n, p in ((200_000, 20), (1_000_000, 50), (20_000, 1000)):
        for n_classes in (2, 10):
            for correlation in (0.0, 0.5):
                if only in f"logistic {n}x{p} {n_classes} {correlation}":
                    yield lambda n=n, p=p, k=n_classes, c=correlation: classification(int(n * factor), p, k, c)
    for make, name in ((robust, "huber"), (counts, "poisson")):
        for n, p in ((200_000, 20), (1_000_000, 50)):
            if only in f"{name} {n}x{p}":
                yield lambda n=n, p=p, make=make: make(int(n * factor), p)
    yield from wide_problems(factor, only)


def close_enough(
    fit: Callable[[float], Any], value: Callable[[Any], float], least: float, clock: Callable[[], float]
) -> tuple[float, float]:
    """Return the loosest tolerance that is close enough to the minimum, and how close."""
    for tol in TOLERANCES:
        began = clock()
        away = (value(fit(tol)) - least) / abs(least)
        if away <= CLOSENESS or clock() - began > LONG:
            return tol, away
    return tol, away


def peak_beyond_x(fit: Callable[[], Any]) -> int:
    """Return the bytes that a fit allocates at most, as NumPy reports them."""
    gc.collect()
    tracemalloc.start()
    fit()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def bytes_of(x: Any) -> int:
    """The size of X."""
    return int(x.data.nbytes + x.indices.nbytes + x.indptr.nbytes if sparse.issparse(x) else x.nbytes)


def run(problem: Problem, rounds: int, clock: Callable[[], float]) -> list[str]:
    """Compare the solvers on one problem, by a clock; return a line of the table."""
    fits = {"fastloss": problem.ours, **problem.peers}
    seconds: dict[str, list[float]] = {name: [] for name in fits}
    tolerances, away = {}, {}
    quick = min(problem.value(problem.ours(tol)) for tol in (1e-9, 1e-6))
    for name, fit in fits.items():
        value = problem.value_of_peers if name != "fastloss" and problem.value_of_peers else problem.value
        # What takes long, as some do, has to come near the others' minimum.
        least = (
            quick if name in problem.slow else min(value(fit(1e-9 if name == "fastloss" else 1e-10)), value(fit(1e-6)))
        )
        if value is problem.value:
            least = min(least, quick)
        tolerances[name], away[name] = close_enough(fit, value, least, clock)
    for _ in range(rounds):
        for name, fit in fits.items():
            if seconds[name] and min(seconds[name]) > LONG:
                continue
            began = clock()
            fit(tolerances[name])
            seconds[name].append(clock() - began)
    best = {name: min(each) for name, each in seconds.items()}
    default, quickest = next(iter(problem.peers)), min(problem.peers, key=best.__getitem__)
    ratios = [best["fastloss"] / best[name] for name in (default, quickest)]
    memory = peak_beyond_x(lambda: problem.ours(tolerances["fastloss"]))
    return [
        problem.name,
        f"{best['fastloss'] * 1e3:.1f} ms",
        f"{best[default] * 1e3:.1f} ms {default}",
        f"{ratios[0]:.2f}",
        f"{best[quickest] * 1e3:.1f} ms {quickest}",
        f"{ratios[1]:.2f}",
        f"{max(away.values()):.0e}",
        f"{memory / 2**20:.1f} MB of {bytes_of(problem.x) / 2**20:.0f}",
        "pass" if max(ratios) <= problem.target and away["fastloss"] <= CLOSENESS else "MISS",
    ]


def main(arguments: list[str]) -> None:
    """Print the table, a line as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows, two rounds")
    parser.add_argument("--rows", type=float, default=None, help="a share of the rows")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--processor", action="store_true", help="time of all threads, on a machine that others use")
    parser.add_argument("--only", default="", help='part of, for example, "logistic 200000x20 10 0.5"')
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    header = ["", "fastloss", "default", "ratio", "best", "ratio", "off by", "peak beyond X", ""]
    lines = []
    factor = options.rows or (0.05 if options.quick else 1.0)
    rounds = options.rounds or (2 if options.quick else 5)
    clock = time.process_time if options.processor else time.perf_counter
    for make in problems(factor, options.only):
        lines.append(run(make(), rounds, clock))
        print("  ".join(lines[-1]), file=sys.stderr, flush=True)
    print(columns([header, *lines]))
    print(f"\nTarget: a ratio of {TARGET}, or that of the problem; objectives within {CLOSENESS:g} of the minimum.")
    print(fl.config())


if __name__ == "__main__":
    main(sys.argv[1:])
