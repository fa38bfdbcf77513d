"""Minimisation of mean loss + penalty: Newton's method, L-BFGS, samples of the rows and rounded kinks to start from."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from ._interior import interior, lasso
from ._objective import SAMPLE_ROWS, Kinks, MeanLoss, RankKinks, Scores

# Up to here a dense matrix of the coefficients is small beside X, and its factorisation beside a pass over X.
MOST_NEWTON = 1500
# A Hessian of fewer multiplications costs little more than the gradient.
CHEAP_HESSIAN = 2e7
# A sample has one row in so many, if that leaves so many rows for each coefficient.
SAMPLING, SAMPLE_PER_COEFFICIENT = 16, 24
# Multiplications that a preconditioner may cost.
CHEAP_PRECONDITIONER = 4e9
ROWS_PER_COEFFICIENT = 8
# With 1,000 features it takes as long as 13 of them.
STEPS_BEFORE_PRECONDITIONER = 20
CORRECTIONS = 10
# Up to where steps are made more cautious.
MOST_CAUTION = 4**10


@dataclass
class Progress:
    """The objective after each iteration; prints it if wanted."""

    max_iter: int
    verbose: int = 0
    curve: list[float] = field(default_factory=list)

    def add(self, value: float, violation: float) -> None:
        """Note an iteration: the objective, and the gradient as a multiple of what ends the fit."""
        self.curve.append(value)
        if self.verbose:
            print(f"iteration {len(self.curve):4d}  objective {value:.10g}  gradient / tolerance {violation:.3g}")

    @property
    def is_over(self) -> bool:
        """Whether there may be no more iterations."""
        return len(self.curve) >= self.max_iter


class Objective:
    """Mean loss + l1 * norm1(coef) + l2 / 2 * norm2(coef)^2; never the intercepts."""

    def __init__(self, mean: MeanLoss, l1: float, l2: float, limits: np.ndarray, tol: float) -> None:
        """`limits` times `tol`: how large each component of the gradient may be at the minimum."""
        self.mean, self.limits, self.tol = mean, limits * tol, tol
        penalised = np.arange(mean.shape[1]) < mean.n_features
        self.l1, self.l2 = l1 * penalised, l2 * penalised

    def smooth(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient of all but the L1 norm."""
        value, gradient = self.mean.value_and_gradient(theta)
        shrunk = self.l2 * theta
        return value + 0.5 * float(np.vdot(shrunk, theta)), gradient + shrunk

    def norm(self, theta: np.ndarray) -> float:
        """The L1 part."""
        return float(np.sum(self.l1 * np.abs(theta)))

    def hessian(self, theta: np.ndarray, curvature: str, dtype: Any = np.float64) -> np.ndarray:
        """The Hessian's blocks of the smooth part."""
        blocks = self.mean.hessian(theta, curvature, dtype)
        index = np.arange(blocks.shape[1])
        blocks[:, index, index] += np.tile(self.l2, blocks.shape[1] // len(self.l2))
        return blocks

    def violation(self, theta: np.ndarray, gradient: np.ndarray) -> float:
        """The largest component of the smallest subgradient, over its limit."""
        at_zero = np.maximum(np.abs(gradient) - self.l1, 0.0)
        subgradient = np.where(theta != 0, np.abs(gradient + self.l1 * np.sign(theta)), at_zero)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(subgradient > 0, subgradient / self.limits, 0.0)
        return float(np.max(relative)) if np.all(np.isfinite(gradient)) else np.inf


# ------------------------------------------------------------------------------------------------------- Newton


def newton(objective: Objective, theta: np.ndarray, progress: Progress) -> tuple[np.ndarray, bool]:
    """
    Newton's method, for the L1 norm on its model of the smooth part; return the minimum and whether it is one.

    The Hessian is the exact one where it is positive definite, else the psd one; after steps that had to be cut short,
    that which majorizes, whose step cannot go too far, or one with a larger diagonal.
    """
    epsilon = float(np.finfo(objective.mean.x.dtype).eps)
    value, gradient = objective.smooth(theta)
    value += objective.norm(theta)
    violation = objective.violation(theta, gradient)
    cautious, caution, polished, exhausted = 0, 1, False, False
    while violation > 1 or not polished:
        # Where Newton's method has arrived it doubles the digits: one more step costs little and leaves no doubt.
        polished = violation <= 1
        if violation == 0 or (progress.is_over and not polished):
            break
        end, decrease = _newton_step(objective, theta, gradient, caution if cautious else 0)
        noise = 8 * epsilon * abs(value)
        share, found = 1.0, None
        while share > 1e-9:
            trial = end if share == 1.0 else theta + share * (end - theta)
            new_value, new_gradient = objective.smooth(trial)
            new_value += objective.norm(trial)
            if new_value <= value + 1e-4 * share * decrease + noise:
                found = trial
                break
            share *= 0.5 if np.isfinite(new_value) else 0.1
        # Beyond what this precision can show there is nothing to be gained.
        exhausted = -decrease <= noise
        if found is None or (exhausted and objective.violation(found, new_gradient) >= violation):
            if exhausted or polished or caution >= MOST_CAUTION:
                break
            caution *= 4
            cautious = caution
            continue
        if share < 0.25:
            caution = min(4 * caution, MOST_CAUTION)
            cautious = min(caution, 16)
        elif cautious:
            cautious -= 1
            caution = max(1, caution // 2)
        theta, value, gradient = found, new_value, new_gradient
        violation = objective.violation(theta, gradient)
        progress.add(value, violation)
    return theta, violation <= 1 or exhausted


def _newton_step(
    objective: Objective, theta: np.ndarray, gradient: np.ndarray, caution: int
) -> tuple[np.ndarray, float]:
    """Return the minimum of the quadratic model, and how far the model falls to there."""
    flat = None
    for curvature in ("majorize",) if caution else ("exact", "psd"):
        blocks = objective.hessian(theta, curvature)
        if caution and objective.mean.scores.is_coupled:
            # Of rows no curvature is known that majorizes.
            index = np.arange(blocks.shape[1])
            blocks[:, index, index] *= 1 + 1e-3 * caution
        flat = gradient.reshape(len(blocks), -1)
        try:
            factors = [_factor(block, attempts=1 if curvature == "exact" else 12) for block in blocks]
            break
        except LinAlgError:
            continue
    else:
        # Not a number somewhere: a step against the gradient may lead out.
        return theta - gradient, -float(np.vdot(gradient, gradient))
    start = theta.reshape(len(blocks), -1)
    if np.any(objective.l1):
        # The same for all classes changes neither a loss of rows nor, for some signs, the L1 norm.
        index = np.arange(blocks.shape[1])
        blocks[:, index, index] += 1e-8 * blocks[:, index, index].max()
        l1 = np.tile(objective.l1, start.shape[1] // len(objective.l1))
        end = np.stack(
            [lasso(block, block @ x - g, l1, x.copy()) for block, g, x in zip(blocks, flat, start, strict=True)]
        )
    else:
        end = start - np.stack([cho_solve(factor, g) for factor, g in zip(factors, flat, strict=True)])
    end = end.reshape(theta.shape)
    decrease = float(np.vdot(gradient, end - theta)) + objective.norm(end) - objective.norm(theta)
    return end, min(decrease, 0.0)


def _factor(matrix: np.ndarray, attempts: int) -> Any:
    """Return the Cholesky factor, with as small an addition to the diagonal (of `matrix` too) as it takes."""
    if not np.all(np.isfinite(matrix)):
        raise LinAlgError
    diagonal = np.einsum("ii->i", matrix)
    largest = float(np.max(np.abs(diagonal)))
    added = 1e-14 * largest if largest > 0 else 1.0
    for _ in range(attempts):
        diagonal += added
        try:
            return cho_factor(matrix, lower=True, check_finite=False)
        except LinAlgError:
            added *= 10
    raise LinAlgError


# ------------------------------------------------------------------------------------------------------- L-BFGS


class _Stop(Exception):
    pass


@dataclass
class Scaling:
    """
    Coordinates in which the Hessian is about the identity: theta = factor^-T v, or v / root without a factor.

    One factor for all, or one for each block.
    """

    shape: tuple[int, int]
    root: np.ndarray | None = None
    factors: list[np.ndarray] | None = None

    def _rows(self, flat: np.ndarray, apply: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        assert self.factors is not None
        if len(self.factors) == 1:
            rows = flat.reshape(-1, len(self.factors[0]))
            return apply(self.factors[0], rows.T).T.reshape(self.shape)
        rows = flat.reshape(len(self.factors), -1)
        return np.stack([apply(factor, row) for factor, row in zip(self.factors, rows, strict=True)]).reshape(
            self.shape
        )

    def theta(self, v: np.ndarray) -> np.ndarray:
        """Coefficients of coordinates."""
        if self.root is not None:
            return np.asarray(v.reshape(self.shape) / self.root)
        return self._rows(v, lambda f, r: solve_triangular(f, r, lower=True, trans="T", check_finite=False))

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """Coordinates of coefficients."""
        if self.root is not None:
            return np.asarray(theta * self.root).ravel()
        return self._rows(theta, lambda f, r: f.T @ r).ravel()

    def gradient(self, gradient: np.ndarray) -> np.ndarray:
        """The gradient by the coordinates."""
        if self.root is not None:
            return np.asarray(gradient / self.root).ravel()
        return self._rows(gradient, lambda f, r: solve_triangular(f, r, lower=True, check_finite=False)).ravel()


def lbfgs(objective: Objective, theta: np.ndarray, progress: Progress) -> tuple[np.ndarray, bool]:
    """
    L-BFGS in coordinates in which the Hessian is about the identity; return the minimum and whether it is one.

    With an L1 norm theta is the difference of two vectors that are not negative, in which the norm is linear.
    """
    scaling = _diagonal_scaling(objective, theta)
    mean = objective.mean
    if not np.any(objective.l1) and _preconditioner_is_cheap(objective):
        if mean.n_sampled < SAMPLE_PER_COEFFICIENT * mean.shape[1]:
            # Features may be as good as uncorrelated; then it is over before the matrix would be there.
            theta, value, violation = _lbfgs(objective, theta, progress, scaling, STEPS_BEFORE_PRECONDITIONER)
            if violation <= 1 or progress.is_over:
                return theta, violation <= 1
        scaling = _full_scaling(objective, theta)
    best = np.inf
    while True:
        theta, value, violation = _lbfgs(objective, theta, progress, scaling, progress.max_iter)
        if violation <= 1 or progress.is_over or not value < best:
            break
        # SciPy's line search has given up, often only because of what it remembers.
        best = value
    # Without a decrease that this precision can show it is as good as it gets.
    least = 4 * float(np.sqrt(np.finfo(mean.x.dtype).eps)) / objective.tol
    return theta, violation <= (1 if progress.is_over else max(10.0, least))


def _sample_of(mean: MeanLoss, n_rows: int) -> MeanLoss:
    every = mean.every * max(1, mean.n_sampled // max(n_rows, SAMPLE_ROWS))
    sample = mean if every == mean.every else mean.sampled(every)
    return sample if sample.total > 0 else mean


def _diagonal_scaling(objective: Objective, theta: np.ndarray) -> Scaling:
    mean = objective.mean
    sample = _sample_of(mean, max(1024, mean.n_sampled // SAMPLING))
    squares = sample.mean_squares()
    usual = squares[squares > 0].mean() if np.any(squares > 0) else 1.0
    squares = np.where(squares > 1e-6 * usual, squares, usual)
    curvature = _mean_curvature(sample, theta)
    return Scaling(mean.shape, root=np.sqrt(curvature * squares + objective.l2))


def _mean_curvature(mean: MeanLoss, theta: np.ndarray) -> float:
    """The loss's mean second derivative by a score."""
    n_outputs = mean.shape[0]
    coef, intercept = mean._split(theta)
    total = 0.0
    for block in mean.blocks:
        z = mean._scores(
            mean.matrix(block), coef, intercept, np.empty((block.stop - block.start, n_outputs), coef.dtype)
        )
        h = mean.scores.hessian(z, block, "psd")
        if mean.scores.is_coupled:
            h = h[:, np.cumsum([0, *range(n_outputs, 1, -1)])]
        total += float(np.sum(h))
    curvature = total / (n_outputs * mean.total)
    return curvature if np.isfinite(curvature) and curvature > 0 else 1.0


def width_of(mean: MeanLoss) -> int:
    """The size of a block of the Hessian."""
    return int(mean.shape[1] * (mean.shape[0] if mean.scores.is_coupled else 1))


def _preconditioner_is_cheap(objective: Objective) -> bool:
    width = objective.mean.shape[1]
    return width <= 2 * MOST_NEWTON and ROWS_PER_COEFFICIENT * float(width) ** 3 <= 8 * CHEAP_PRECONDITIONER


def _full_scaling(objective: Objective, theta: np.ndarray) -> Scaling:
    """Of the psd Hessian of a sample; where that would be too large, of the features' second moments."""
    mean = objective.mean
    width = width_of(mean)
    n_blocks = 1 if mean.scores.is_coupled else mean.shape[0]
    # More rows make a better model; it should not cost more than a pass over all of them.
    of_hessian = max(ROWS_PER_COEFFICIENT * width, min(mean.n_sampled // SAMPLING, int(2e9 / (n_blocks * width**2))))
    if n_blocks * float(width) ** 2 * of_hessian <= CHEAP_PRECONDITIONER and width <= MOST_NEWTON:
        sample = _sample_of(mean, of_hessian)
        blocks = sample.hessian(theta, "psd", np.float32)
        penalty = objective.l2
    else:
        width = mean.shape[1]
        sample = _sample_of(mean, ROWS_PER_COEFFICIENT * width)
        blocks = sample.with_scores(_Moments(sample.scores)).hessian(np.zeros((1, width)), "psd", np.float32)
        blocks *= _mean_curvature(_sample_of(sample, 1024), theta)
        penalty = objective.l2
    index = np.arange(blocks.shape[1])
    diagonal = blocks[:, index, index]
    blocks[:, index, index] += np.tile(penalty, blocks.shape[1] // len(penalty)) + 1e-6 * diagonal.mean()
    try:
        factors = [np.tril(_factor(block, attempts=12)[0]) for block in blocks]
    except LinAlgError:
        return _diagonal_scaling(objective, theta)
    return Scaling(mean.shape, factors=factors)


class _Moments(Scores):
    """Scores whose Hessian is the weight."""

    def __init__(self, scores: Scores) -> None:
        super().__init__(scores.loss, scores.target, scores.weight, 1)

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        weight = np.ones(len(z)) if self.weight is None else self.weight[rows]
        return np.asarray(weight, dtype=z.dtype)[:, None]


def _lbfgs(
    objective: Objective, theta: np.ndarray, progress: Progress, scaling: Scaling, max_iter: int
) -> tuple[np.ndarray, float, float]:
    """Return the best point with its value and violation."""
    split = bool(np.any(objective.l1))
    best: dict[str, Any] = {"value": np.inf}
    first = objective.smooth(theta)
    size = theta.size
    gradient = scaling.gradient(first[1])
    length = float(np.linalg.norm(gradient)) or 1.0
    l1 = np.broadcast_to(objective.l1, theta.shape)
    slope = scaling.gradient(l1) if split else None

    def position(u: np.ndarray) -> np.ndarray:
        v = u[:size] - u[size:] if split else u
        return scaling.theta(length * v)

    def function(u: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal first
        if first is not None:
            at, (value, gradient) = theta, first
            first = None  # type: ignore[assignment]
        else:
            at = position(u)
            value, gradient = objective.smooth(at)
        # Of the two parts, which need not have met in the difference.
        value += (
            float(l1.ravel() @ np.abs(at).ravel()) if slope is None else length * float(slope @ (u[:size] + u[size:]))
        )
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            return 1e100, np.nan_to_num(u, copy=True)
        violation = objective.violation(at, gradient)
        if value < best["value"]:
            best.update(value=value, theta=at, violation=violation)
        if violation <= 1:
            best.update(value=value, theta=at, violation=violation)
            raise _Stop
        # Scaled so that the first step, which SciPy makes of length 1, is that of Newton's method.
        descent = scaling.gradient(gradient) / length
        if slope is not None:
            rising = slope / length
            descent = np.concatenate([descent + rising, rising - descent])
        return value / length**2, descent

    def callback(_: np.ndarray) -> None:
        progress.add(best["value"], best["violation"])
        if progress.is_over:
            raise _Stop

    start = scaling.coordinates(theta) / length
    bounds = None
    if split:
        start = np.concatenate([np.maximum(start, 0), np.maximum(-start, 0)])
        free = (l1 == 0).ravel()
        # What is not penalised is free, and has no negative part.
        start[:size][free] -= start[size:][free]
        start[size:][free] = 0
        bounds = [(None if each else 0.0, None) for each in free] + [(0.0, 0.0 if each else None) for each in free]
    options = {"maxiter": max_iter, "maxfun": 20 * max_iter, "gtol": 0.0, "ftol": 4e-16, "maxcor": CORRECTIONS}
    try:
        with np.errstate(all="ignore"):
            minimize(function, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=callback, options=options)
    except _Stop:
        pass
    if "theta" not in best:
        return theta, np.inf, np.inf
    if not progress.curve:
        progress.add(best["value"], best["violation"])
    return best["theta"], best["value"], best["violation"]


# ------------------------------------------------------------------------------------------------- how to go about it


SOLVERS: dict[str, Callable[[Objective, np.ndarray, Progress], tuple[np.ndarray, bool]]] = {
    "newton": newton,
    "lbfgs": lbfgs,
}


def choose(solver: str, mean: MeanLoss, l1: float, rounded: bool) -> str:
    """The solver that "auto" stands for."""
    if solver != "auto":
        return solver
    width = width_of(mean)
    n_blocks = 1 if mean.scores.is_coupled else mean.shape[0]
    if width > MOST_NEWTON:
        return "lbfgs"
    if l1 > 0 or rounded:
        return "newton"
    return "newton" if float(mean.n_sampled) * n_blocks * width**2 <= CHEAP_HESSIAN else "lbfgs"


def solve(
    mean: MeanLoss,
    stages: list[tuple[Scores, bool]],
    theta: np.ndarray,
    l1: float,
    l2: float,
    limits: np.ndarray,
    tol: float,
    solver: str,
    progress: Progress,
    rounded: bool,
) -> tuple[np.ndarray, bool]:
    """
    Minimise the last of the stages, each from the minimum of the one before; return the minimum and whether it is one.

    `limits` are those of the gradient for a tolerance of 1. A stage that is not `needed` after a fit to a sample is
    left out then.
    """
    name = choose(solver, mean, l1, rounded)
    last = stages[-1][0]
    if isinstance(last, (Kinks, RankKinks)) and name == "newton":
        penalised = np.arange(mean.shape[1]) < mean.n_features
        return interior(mean.with_scores(last), theta, l1 * penalised, l2 * penalised, limits * tol, tol, progress)
    n_sample = mean.n_sampled // SAMPLING
    if n_sample >= max(SAMPLE_PER_COEFFICIENT * width_of(mean), 1024) and mean.n_sampled * mean.n_features >= 1e6:
        sample = mean.sampled(mean.every * SAMPLING)
        if sample.total > 0:
            # The sample's minimum is off by about this much of the gradient; closer need not be.
            near = max(tol, 0.05 / np.sqrt(n_sample))
            silent = Progress(progress.max_iter)
            theta, _ = solve(sample, stages, theta, l1, l2, limits, near, solver, silent, rounded)
            stages = [stage for stage in stages if stage[1]]
    converged = False
    for i, (scores, _) in enumerate(stages):
        is_last = i == len(stages) - 1
        objective = Objective(mean.with_scores(scores), l1, l2, limits, tol if is_last else max(tol, 1e-2))
        theta, converged = SOLVERS[name](objective, theta, progress)
        if progress.is_over:
            return theta, converged and is_last
    return theta, converged


def warn_not_converged(estimator: str, max_iter: int) -> None:
    """Warn as scikit-learn does."""
    warnings.warn(
        f"{estimator} did not converge in {max_iter} iterations. Increase max_iter or tol, or scale the features",
        ConvergenceWarning,
        stacklevel=3,
    )
