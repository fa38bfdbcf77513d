"""numexpr: the formulas of losses of single elements, value and gradient one expression each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numexpr
import numpy as np

from .cases import Problem
from .peers import Peer

# With r = z - t and m = (2 t - 1) z; whole numbers alone, for others would turn float32 into float64.
LOSSES = {
    "squared_error": ("(z - t) * (z - t)", "2 * (z - t)"),
    "absolute_error": ("abs(z - t)", "where(z > t, 1, -1)"),
    "huber": (
        "where(abs(z - t) <= 1, (z - t) * (z - t) / 2, abs(z - t) - one / 2)",
        "where(abs(z - t) <= 1, z - t, where(z > t, 1, -1))",
    ),
    "pseudo_huber": ("sqrt(1 + (z - t) * (z - t)) - 1", "(z - t) / sqrt(1 + (z - t) * (z - t))"),
    "fair": ("abs(z - t) - log1p(abs(z - t))", "(z - t) / (1 + abs(z - t))"),
    "cauchy": ("log1p((z - t) * (z - t)) / 2", "(z - t) / (1 + (z - t) * (z - t))"),
    "binary_cross_entropy": ("where(z > 0, z, 0) - z * t + log1p(exp(-abs(z)))", "1 / (1 + exp(-z)) - t"),
    "brier": ("(1 / (1 + exp(-z)) - t) ** 2", "2 * (1 / (1 + exp(-z)) - t) * exp(-z) / (1 + exp(-z)) ** 2"),
    "squared_hinge": (
        "where((2 * t - 1) * z < 1, (1 - (2 * t - 1) * z) ** 2, 0)",
        "where((2 * t - 1) * z < 1, 2 * (z - (2 * t - 1)), 0)",
    ),
    "exponential": ("exp((1 - 2 * t) * z)", "(1 - 2 * t) * exp((1 - 2 * t) * z)"),
    "poisson": ("exp(z) - t * z", "exp(z) - t"),
    "gamma": ("z + t * exp(-z)", "1 - t * exp(-z)"),
    "tweedie": ("2 * exp(z / 2) + 2 * t * exp(-z / 2)", "exp(z / 2) - t * exp(-z / 2)"),
}
FUNCTIONS = {"sigmoid": "1 / (1 + exp(-z))", "log_sigmoid": "where(z < 0, z, 0) - log1p(exp(-abs(z)))"}


def peers(problem: Problem, n_threads: int) -> Iterator[Peer]:
    """Yield numexpr's way to answer a problem."""
    numexpr.set_num_threads(n_threads)
    kernel, out = problem.case.kernel, None
    if problem.case.outputs == "reused":
        out = np.ones_like(problem.z)
    arrays = {"z": problem.z, "t": problem.t, "one": problem.z.dtype.type(1)}

    def evaluate(expression: str, out: np.ndarray | None = None) -> np.ndarray:
        return numexpr.evaluate(expression, arrays, {}, out=out, casting="same_kind")

    if kernel in FUNCTIONS:
        yield Peer("numexpr", "users", problem.case.outputs, lambda: (None, evaluate(FUNCTIONS[kernel], out)))
    if kernel not in LOSSES:
        return
    value, gradient = LOSSES[kernel]

    def call() -> tuple[Any, Any]:
        mean = np.mean(evaluate(value, out))
        return mean, None if problem.case.want == "value" else evaluate(gradient, out)

    yield Peer("numexpr", "users", problem.case.outputs, call, scale=1 / problem.z.size)
