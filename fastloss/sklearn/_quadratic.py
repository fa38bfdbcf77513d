"""The squared error of few columns: a quadratic function, whose matrix is made once for all amounts of the penalty.

Coordinate descent goes from amount to amount. With the Cholesky factor in place of X, whose columns are as long as
there are coefficients, the rounds of csrc/descent.h are as cheap as covariance updates (Friedman, Hastie and Tibshirani
2010). Where it takes long, guesses of signs with linear equations end it. The matrix itself judges what is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import LinAlgError
from scipy.linalg.lapack import dpotrs, dtrtrs

import fastloss as fl

from .._kernels import Columns as Kernels
from ._algebra import Factor
from ._interior import lasso, lasso_by_guessing
from ._objective import MeanLoss

if TYPE_CHECKING:
    from ._solvers import Fit, Problem, Progress

# Rounds of descent end with so much of what a derivative may be, or give way to equations.
OF_LIMIT, MOST_ROUNDS = 1e-3, 300
# Of the value at a constant: less has lost digits.
CANCELS = 1e-8
# Of the derivatives at the start, how far one at a coefficient of 0 may be beyond L1.
SLACK = 1e-13


class Found:
    """Minima for some amounts of the penalty: coordinates of shape (amounts, outputs, width), and how good they are."""

    def __init__(self, theta: np.ndarray, value: np.ndarray, violation: np.ndarray, gap: np.ndarray) -> None:
        self.theta, self.value, self.violation, self.gap = theta, value, violation, gap


class Quadratic:
    """The mean loss about a constant: for each output g' x + x' H x / 2, with x the distance from there."""

    def __init__(self, mean: MeanLoss, constant: np.ndarray) -> None:
        """`constant`: what makes the gradient small, the last coordinate of each output."""
        self.scores, self.origin = mean.scores, np.zeros(mean.shape)
        if mean.fit_intercept:
            self.origin[:, -1] = constant
        self.value, self.gradient = mean.value_and_gradient(self.origin)
        self.hessian = np.ascontiguousarray(mean.hessian(self.origin, "exact"))
        self.factors = [Factor(each) for each in self.hessian]

    def minima(self, l1: np.ndarray, l2: np.ndarray, limits: np.ndarray, theta: np.ndarray) -> Found:
        """Go from theta to the minima for amounts of L1 and L2 of shape (amounts, width), one from another."""
        x = np.empty((len(l1), *theta.shape))
        has_l1 = bool(np.any(l1))
        for k, (matrix, factor, first) in enumerate(zip(self.hessian, self.factors, self.gradient, strict=True)):
            if has_l1:
                _with_l1(matrix, factor, first, l1, l2, limits[k], theta[k] - self.origin[k], x[:, k])
            else:
                _without_l1(matrix, first, l2, x[:, k])
        return self.judged(x, l1, l2, limits)

    def judged(self, x: np.ndarray, l1: np.ndarray, l2: np.ndarray, limits: np.ndarray) -> Found:
        """What points are worth: s' inv(H) s / 2 is the most that there is to gain, of the smallest subgradient s."""
        a1, a2 = l1[:, None], l2[:, None]
        gradient = np.einsum("akj,kji->aki", x, self.hessian, optimize=True) + a2 * x + self.gradient
        value = (
            self.value + 0.5 * np.sum(x * (self.gradient + gradient), axis=(1, 2)) + np.sum(a1 * np.abs(x), axis=(1, 2))
        )
        at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - a1, 0.0)
        slopes = np.where((x != 0) | (a1 == 0), gradient + a1 * np.sign(x), at_zero)
        gap = np.zeros(len(x))
        for factor, slope in zip(self.factors, slopes.swapaxes(0, 1), strict=True):
            scaled = factor.inverse_root * slope
            gap += 0.5 * np.einsum("aj,ja->a", scaled, dpotrs(factor.lower, scaled.T, lower=1)[0])
        with np.errstate(divide="ignore", invalid="ignore"):
            violation = np.max(np.where(slopes != 0, np.abs(slopes) / limits, 0.0), axis=(1, 2))
        return Found(x + self.origin, value, violation, gap)


def _with_l1(
    matrix: np.ndarray,
    factor: Factor,
    first: np.ndarray,
    l1: np.ndarray,
    l2: np.ndarray,
    limits: np.ndarray,
    start: np.ndarray,
    out: np.ndarray,
) -> None:
    """Minimise first' x + x' matrix x / 2 for each amount; `out` of shape (amounts, width)."""
    width = len(first)
    kernels, ones = Kernels(np.ascontiguousarray(factor.root[:, None] * factor.lower).ravel(), width), np.ones(width)
    which, x = np.arange(width), start.copy()
    slope = dtrtrs(factor.lower, factor.inverse_root * first, lower=1)[0]
    kernels.scores(which, x, slope)
    of_columns = np.zeros((5, width))
    of_columns[2], of_columns[4] = OF_LIMIT * limits, np.einsum("ii->i", matrix)
    for i in range(len(l1)):
        of_columns[:2] = l1[i], l2[i]
        if kernels.descend(which, x, of_columns, slope, ones, 0.0, 0.0, MOST_ROUNDS)[0] > 1:
            held = matrix + np.diag(l2[i])
            slack = SLACK * float(np.max(np.abs(first)) + np.max(l1[i]))
            found = lasso_by_guessing(held, -first, l1[i], x, slack)
            found = lasso(held, -first, l1[i], x.copy()) if found is None else found
            kernels.scores(which, found - x, slope)
            x = found
        out[i] = x


def _without_l1(matrix: np.ndarray, first: np.ndarray, l2: np.ndarray, out: np.ndarray) -> None:
    """The same by equations alone, each solved twice for the digits."""
    for i, held_by in enumerate(l2):
        held = matrix + np.diag(held_by)
        factor = Factor(held)
        x = -factor.solve(first)
        out[i] = x - factor.solve(held @ x + first)


def fit_quadratic(mean: MeanLoss, problem: Problem, theta: np.ndarray, tol: float, progress: Progress) -> Fit | None:
    """Minimise, or return None where this does not lead near enough."""
    from ._solvers import Fit

    found = minima(mean, problem, problem.l1[None], problem.l2[None], theta, tol)
    if found is None:
        return None
    value, violation, gap = float(found.value[0]), float(found.violation[0]), float(found.gap[0])
    progress.add(value, violation)
    return Fit(found.theta[0], value, violation, gap)


def minima(
    mean: MeanLoss, problem: Problem, l1: np.ndarray, l2: np.ndarray, theta: np.ndarray, tol: float
) -> Found | None:
    """Return the minima for all amounts, or None if one of them is not near enough."""
    known: Quadratic | None = mean.quadratic.get("of")
    if known is None or known.scores is not mean.scores:
        try:
            known = mean.quadratic["of"] = Quadratic(mean, theta[:, -1])
        except LinAlgError:
            return None
    found = known.minima(l1, l2, problem.limits * tol, theta)
    objective = problem.objective(mean, tol, abs(known.value))
    goals = np.array([objective.goal(value) for value in found.value.tolist()])
    near = (found.violation <= 1) & (found.gap <= goals) & (found.value >= CANCELS * known.value)
    return found if np.all(near) else None


def is_quadratic(mean: MeanLoss, problem: Problem) -> bool:
    """Whether the loss is one, in the precision that its matrix has."""
    return (
        isinstance(mean.scores.loss, fl.SquaredError)
        and mean.x.dtype == np.float64
        and problem.bounds is None
        and len(problem.stages) == 1
    )
