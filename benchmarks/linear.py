"""
Fit times of linear models against scikit-learn's, at equal objective: python linear.py [--quick] [--rows FACTOR].

Every solver is run at the loosest tolerance of a ladder with which its objective is within 1e-6 (relative) of the
minimum, which is computed to high accuracy first; then all take turns, and the shortest times are compared. The table
shows scikit-learn's default solver and its best.
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
from sklearn.linear_model import HuberRegressor, LogisticRegression, PoissonRegressor

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


def close_enough(fit: Callable[[float], Any], value: Callable[[Any], float], least: float) -> tuple[float, float]:
    """Return the loosest tolerance that is close enough to the minimum, and how close."""
    for tol in TOLERANCES:
        away = (value(fit(tol)) - least) / abs(least)
        if away <= CLOSENESS:
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


def run(problem: Problem, rounds: int) -> list[str]:
    """Compare the solvers on one problem; return a line of the table."""
    fits = {"fastloss": problem.ours, **problem.peers}
    seconds: dict[str, list[float]] = {name: [] for name in fits}
    tolerances, away = {}, {}
    for name, fit in fits.items():
        value = problem.value_of_peers if name != "fastloss" and problem.value_of_peers else problem.value
        least = min(value(fit(1e-9 if name == "fastloss" else 1e-10)), value(fit(1e-6)))
        if value is problem.value:
            least = min(least, value(problem.ours(1e-9)))
        tolerances[name], away[name] = close_enough(fit, value, least)
    for _ in range(rounds):
        for name, fit in fits.items():
            if seconds[name] and min(seconds[name]) > LONG:
                continue
            began = time.perf_counter()
            fit(tolerances[name])
            seconds[name].append(time.perf_counter() - began)
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
        f"{memory / 2**20:.1f} MB of {problem.x.nbytes / 2**20:.0f}",
        "pass" if max(ratios) <= TARGET and max(away.values()) <= CLOSENESS else "MISS",
    ]


def main(arguments: list[str]) -> None:
    """Print the table, a line as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows, two rounds")
    parser.add_argument("--rows", type=float, default=None, help="a share of the rows")
    parser.add_argument("--rounds", type=int, default=None)
    parser.add_argument("--only", default="", help='part of, for example, "logistic 200000x20 10 0.5"')
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    header = ["", "fastloss", "default", "ratio", "best", "ratio", "off by", "peak beyond X", ""]
    lines = []
    factor = options.rows or (0.05 if options.quick else 1.0)
    for make in problems(factor, options.only):
        lines.append(run(make(), options.rounds or (2 if options.quick else 5)))
        print("  ".join(lines[-1]), file=sys.stderr, flush=True)
    print(columns([header, *lines]))
    print(f"\nTarget: a ratio of at most {TARGET}, both objectives within {CLOSENESS:g} of the minimum. {fl.config()}")


if __name__ == "__main__":
    main(sys.argv[1:])
