"""Minimisation of mean loss + penalty: Newton's method, L-BFGS, samples of the rows and rounded kinks to start from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, eigh
from scipy.optimize import minimize

import fastloss as fl

from ._algebra import Factor
from ._ascent import ascend, can_ascend, for_rows
from ._bounded import Bounds, boxed, clipped, ranges, smallest_subgradient
from ._descent import descend
from ._interior import by_columns, interior, lasso
from ._multipliers import can_multiply, multiply
from ._objective import SAMPLE_ROWS, Kinks, MeanLoss, RankKinks, Scores, columns_of, weight_of_rows
from ._quadratic import fit_quadratic, is_quadratic

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
# Of float64.
EPSILON = float(np.finfo(np.float64).eps)
# Evaluations without a decrease that matters, after which L-BFGS has come as far as it can.
PATIENCE = 20
# With so many times as many columns as rows, combinations of the rows are fewer unknowns.
MORE_COLUMNS = 1.5
# From so many columns on coordinate descent is faster under an L1 norm: Newton's method needs their matrix.
MANY_COLUMNS = 256
# Up to where steps are made more cautious.
MOST_CAUTION = 4**10
# Conjugate gradients end with so much of the residual, or after so many products.
RESIDUAL, MOST_PRODUCTS = 0.03, 500


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


@dataclass
class Fit:
    """
    Where a solver ended: `stopped` says why, and is empty at the minimum.

    `violation`: the gradient as a multiple of what it may be. `gap`: how far the objective may be above the minimum.
    """

    theta: np.ndarray
    value: float
    violation: float
    gap: float
    stopped: str = ""


OUT_OF_STEPS = "max_iter is reached"
OUT_OF_DIGITS = "no step lowers the objective any further"


class Objective:
    """Mean loss + sum of l1 * abs(coef) + l2 / 2 * coef^2, each coordinate with amounts and bounds of its own."""

    def __init__(
        self,
        mean: MeanLoss,
        l1: np.ndarray,
        l2: np.ndarray,
        limits: np.ndarray,
        tol: float,
        scale: float,
        bounds: Bounds | None = None,
    ) -> None:
        """
        `limits` times `tol`: how large each component of the gradient may be at the minimum.

        `l1` and `l2` of shape (coordinates,), zero for intercepts; `scale`: the value at a constant.
        """
        self.mean, self.limits, self.tol, self.scale = mean, limits * tol, tol, scale
        self.l1, self.l2, self.bounds = l1, l2, bounds
        self.epsilon = float(np.finfo(mean.x.dtype).eps)
        # The mean second derivative by a score, once it is known.
        self.curvature = 1.0
        self._last: tuple[np.ndarray, float, np.ndarray] | None = None

    def smooth(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient of all but the L1 norm."""
        if self._last is None or self._last[0] is not theta:
            value, gradient = self.mean.value_and_gradient(theta)
            shrunk = self.l2 * theta
            self._last = theta, value + 0.5 * float(np.vdot(shrunk, theta)), gradient + shrunk
        return self._last[1:]

    def norm(self, theta: np.ndarray) -> float:
        """The L1 part."""
        return float(np.sum(self.l1 * np.abs(theta)))

    def hessian(self, theta: np.ndarray, curvature: str, dtype: Any = np.float64) -> np.ndarray:
        """The Hessian's blocks of the smooth part, and a curvature along what makes no difference."""
        blocks = self.mean.hessian(theta, curvature, dtype)
        index = np.arange(blocks.shape[1])
        blocks[:, index, index] += np.tile(self.l2, blocks.shape[1] // len(self.l2))
        self._hold_shifts(blocks)
        return blocks

    def _hold_shifts(self, blocks: np.ndarray) -> None:
        """
        Add each coordinate's mean curvature along the direction in which all scores of a row move alike.

        Losses of classes do not change there. Where nothing else holds the coordinate either, a model knows of it only
        rounding, and its steps go so far that scores in single precision have no digit left. The gradient has no part
        in that direction, and so no other step changes.
        """
        if not self.mean.scores.is_coupled or self.mean.scores.loss.kind != "rowwise":
            return
        free = (self.l1 == 0) & (self.l2 == 0)
        if self.bounds is not None:
            free &= np.isinf(self.bounds[0]) & np.isinf(self.bounds[1])
        width = len(free)
        for j in np.flatnonzero(free):
            of_classes = blocks[:, j::width, j::width]
            of_classes += np.trace(of_classes, axis1=1, axis2=2)[:, None, None] / of_classes.shape[1] ** 2

    def subgradient(self, theta: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """The smallest subgradient, of a gradient of the smooth part."""
        if self.bounds is not None:
            return smallest_subgradient(theta, gradient, self.l1, *self.bounds)
        at_zero = np.sign(gradient) * np.maximum(np.abs(gradient) - self.l1, 0.0)
        smallest: np.ndarray = np.where(theta != 0, gradient + self.l1 * np.sign(theta), at_zero)
        return smallest

    def violation(self, theta: np.ndarray, gradient: np.ndarray) -> float:
        """The largest component of the smallest subgradient, over its limit."""
        subgradient = np.abs(self.subgradient(theta, gradient))
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = np.where(subgradient > 0, subgradient / self.limits, 0.0)
        return float(np.max(relative)) if np.all(np.isfinite(gradient)) else np.inf

    def gap(self, theta: np.ndarray, gradient: np.ndarray) -> float:
        """How far a convex objective is at most above its minimum, for the curvature that L2 gives it; or inf."""
        moving = np.append(self.mean.columns.moves, np.ones(int(self.mean.fit_intercept), bool))
        least = self.l2 + np.where(np.arange(len(self.l2)) < self.mean.n_features, 0.0, self.curvature)
        slopes = self.subgradient(theta, gradient)[:, moving]
        squares = np.square(slopes)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            each = np.where(squares > 0, squares / (2 * least[moving]), 0.0)
            if self.bounds is None:
                return float(np.sum(each))
            # Where only the L1 norm holds a coefficient: the norm at the minimum is at most the value over its amount.
            flat = np.isinf(each)
            size = max(abs(self.smooth(theta)[0]) + self.norm(theta), self.scale)
            norm = size * float(np.max(np.where(flat, np.abs(slopes) / self.l1[moving], 0.0), initial=0.0))
        return float(np.sum(np.where(flat, np.abs(slopes * theta[:, moving]), each))) + norm

    def size(self, value: float) -> float:
        """What a value is large or small beside."""
        return max(abs(value), self.mean.scores.unit)

    def goal(self, value: float) -> float:
        """How far above the minimum an end may be: a share of the value, or nothing beside that of a constant."""
        return self.tol * self.size(value) + (self.tol**2 + self.epsilon) * self.scale


# ------------------------------------------------------------------------------------------------------- Newton


Step = Callable[[Objective, np.ndarray, np.ndarray, int], "tuple[np.ndarray, float]"]


def newton(objective: Objective, theta: np.ndarray, progress: Progress, step: Step | None = None) -> Fit:
    """
    Newton's method, for the L1 norm on its model of the smooth part.

    The Hessian is the exact one where it is positive definite, else the psd one; after steps that had to be cut short,
    that which majorizes, whose step cannot go too far, or one with a larger diagonal. The fit ends where the gradient
    is small in each coordinate's units and the model, which knows the curvature of all rows, has no more to gain.
    """
    step = step or _newton_step
    value, gradient = objective.smooth(theta)
    value += objective.norm(theta)
    violation = objective.violation(theta, gradient)
    cautious, caution = 0, 1
    gap, stopped = np.inf, ""
    while violation > 0:
        # The model that is cautious has less to gain than there is.
        is_cautious = bool(cautious) and violation > 1
        end, decrease = step(objective, theta, gradient, caution if is_cautious else 0)
        noise = 8 * objective.epsilon * objective.size(value)
        gap = np.inf if is_cautious else -decrease
        # Where Newton's method has arrived it doubles the digits: one more step costs little and leaves no doubt.
        arrived = violation <= 1 and gap <= objective.goal(value)
        if progress.is_over and not arrived:
            stopped = OUT_OF_STEPS
            break
        share, found = 1.0, None
        while share > 1e-9:
            trial = end if share == 1.0 else theta + share * (end - theta)
            new_value, new_gradient = objective.smooth(trial)
            new_value += objective.norm(trial)
            if new_value <= value + 1e-4 * share * decrease + noise:
                found = trial
                break
            if arrived:
                break
            share *= 0.5 if np.isfinite(new_value) else 0.1
        # Beyond what this precision can show there is nothing to be gained.
        exhausted = not is_cautious and gap <= noise
        if found is None or ((exhausted or arrived) and objective.violation(found, new_gradient) >= violation):
            if arrived or exhausted:
                break
            if caution >= MOST_CAUTION:
                stopped = OUT_OF_DIGITS
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
        if arrived:
            break
    return Fit(theta, value, violation, gap, stopped)


def _newton_step(
    objective: Objective, theta: np.ndarray, gradient: np.ndarray, caution: int
) -> tuple[np.ndarray, float]:
    """Return the minimum of the quadratic model, and how far the model falls to there."""
    factors = None
    for curvature in ("majorize",) if caution else ("exact", "psd"):
        blocks = objective.hessian(theta, curvature)
        if caution and objective.mean.scores.is_coupled:
            # Of rows no curvature is known that majorizes.
            index = np.arange(blocks.shape[1])
            blocks[:, index, index] *= 1 + 1e-3 * caution
        try:
            factors = [Factor(block, attempts=1 if curvature == "exact" else 16) for block in blocks]
            break
        except LinAlgError:
            continue
    if factors is None:
        # Not a number somewhere: a step against the gradient may lead out.
        return clipped(theta - gradient, objective.bounds), -float(np.vdot(gradient, gradient))
    flat, start = gradient.reshape(len(blocks), -1), theta.reshape(len(blocks), -1)
    n_in_block = start.shape[1] // len(objective.l1)
    l1 = np.tile(objective.l1, n_in_block)
    if objective.bounds is not None:
        low, high = (np.tile(each, n_in_block) for each in objective.bounds)
        models = zip(blocks, flat, start, strict=True)
        end = np.stack([boxed(block, block @ x - g, l1, (low, high), x) for block, g, x in models])
    elif np.any(objective.l1):
        end = np.stack(
            [lasso(block, block @ x - g, l1, x.copy()) for block, g, x in zip(blocks, flat, start, strict=True)]
        )
    else:
        end = start - np.stack([factor.solve(g) for factor, g in zip(factors, flat, strict=True)])
    end = end.reshape(theta.shape)
    decrease = float(np.vdot(gradient, end - theta)) + objective.norm(end) - objective.norm(theta)
    return end, min(decrease, 0.0)


def conjugate_step(scaling: Scaling) -> Step:
    """Return a step by conjugate gradients, whose products with the Hessian are differences of gradients."""

    def step(objective: Objective, theta: np.ndarray, gradient: np.ndarray, caution: int) -> tuple[np.ndarray, float]:
        residual = -scaling.gradient(gradient)
        v = np.zeros_like(residual)
        direction = residual.copy()
        first = square = float(residual @ residual)
        away = np.sqrt(objective.epsilon) * max(1.0, float(np.linalg.norm(scaling.coordinates(theta))))
        for _ in range(MOST_PRODUCTS):
            if square <= RESIDUAL**2 * first:
                break
            along = scaling.theta(direction)
            share = away / float(np.sqrt(direction @ direction))
            _, there = objective.mean.value_and_gradient(theta + share * along)
            _, here = objective.smooth(theta)
            product = scaling.gradient((there + objective.l2 * theta - here) / share + objective.l2 * along)
            product += 1e-3 * caution * direction
            curvature = float(direction @ product)
            if not curvature > 0:
                break
            v += square / curvature * direction
            residual -= square / curvature * product
            before, square = square, float(residual @ residual)
            direction = residual + square / before * direction
        if not np.any(v):
            v = direction
        end = theta + scaling.theta(v)
        return end, min(float(np.vdot(gradient, end - theta)), 0.0)

    return step


# ------------------------------------------------------------------------------------------------------- L-BFGS


class _Stop(Exception):
    pass


@dataclass
class Scaling:
    """
    Coordinates v in which the Hessian is about the identity: those of `Factor`, or v / root without factors.

    One factor for all, or one for each block. `rate`: how many times the Hessian of all rows can be smaller than that
    of the factors, which is known where they are of a sample of its rows.
    """

    shape: tuple[int, int]
    root: np.ndarray | None = None
    factors: list[Factor] | None = None
    rate: float = np.inf

    def _by_factor(self, flat: np.ndarray, apply: Callable[[Factor, np.ndarray], np.ndarray]) -> np.ndarray:
        assert self.factors is not None
        n = len(self.factors)
        width = len(self.factors[0].root)
        parts = flat.reshape(1, -1, width) if n == 1 else flat.reshape(n, 1, width)
        done = [apply(factor, part.T).T for factor, part in zip(self.factors, parts, strict=True)]
        return np.stack(done).reshape(self.shape)

    def theta(self, v: np.ndarray) -> np.ndarray:
        """Coefficients of coordinates."""
        if self.root is not None:
            return np.asarray(v.reshape(self.shape) / self.root)
        return self._by_factor(v, Factor.from_coordinates)

    def coordinates(self, theta: np.ndarray) -> np.ndarray:
        """Coordinates of coefficients."""
        if self.root is not None:
            return np.asarray(theta * self.root).ravel()
        return self._by_factor(theta, Factor.to_coordinates).ravel()

    def gradient(self, gradient: np.ndarray) -> np.ndarray:
        """The gradient by the coordinates."""
        if self.root is not None:
            return np.asarray(gradient / self.root).ravel()
        return self._by_factor(gradient, Factor.gradient).ravel()


def lbfgs(objective: Objective, theta: np.ndarray, progress: Progress) -> Fit:
    """
    L-BFGS in coordinates in which the Hessian is about the identity.

    With an L1 norm theta is the difference of two vectors that are not negative, in which the norm is linear.
    """
    mean = objective.mean
    scaling = diagonal_scaling(objective, theta)
    if not np.any(objective.l1) and objective.bounds is None and _preconditioner_is_cheap(objective):
        if mean.n_sampled < SAMPLE_PER_COEFFICIENT * mean.shape[1]:
            # Features may be as good as uncorrelated; then it is over before the matrix would be there.
            fit = _lbfgs(objective, theta, progress, scaling, STEPS_BEFORE_PRECONDITIONER)
            if not fit.stopped or progress.is_over:
                return fit
            theta = fit.theta
        scaling = _full_scaling(objective, theta)
    best = np.inf
    while True:
        fit = _lbfgs(objective, theta, progress, scaling, progress.max_iter)
        if not fit.stopped or progress.is_over:
            return fit
        if not fit.value < best - objective.epsilon * abs(fit.value):
            # The gap is small enough; digits for the gradient are there only where Newton's method can be afforded.
            few_digits = objective.epsilon > EPSILON or width_of(mean) > MOST_NEWTON
            return replace(fit, stopped="") if few_digits and fit.gap <= objective.goal(fit.value) else fit
        # SciPy's line search has given up, often only because of what it remembers.
        best, theta = fit.value, fit.theta


def _sample_of(mean: MeanLoss, n_rows: int) -> MeanLoss:
    every = mean.every * max(1, mean.n_sampled // max(n_rows, SAMPLE_ROWS))
    sample = mean if every == mean.every else mean.sampled(every)
    return sample if sample.total > 0 else mean


def diagonal_scaling(objective: Objective, theta: np.ndarray) -> Scaling:
    """Of the mean curvature of a sample, for columns of the same spread."""
    mean = objective.mean
    objective.curvature = _sample_of(mean, max(1024, mean.n_sampled // SAMPLING)).mean_curvature(theta)
    return Scaling(mean.shape, root=np.broadcast_to(np.sqrt(objective.curvature + objective.l2), mean.shape))


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
    rate = np.inf
    if n_blocks * float(width) ** 2 * of_hessian <= CHEAP_PRECONDITIONER and width <= MOST_NEWTON:
        sample = _sample_of(mean, of_hessian)
        blocks = sample.hessian(theta, "psd", np.float32)
        rate = mean.total / sample.total
    else:
        width = mean.shape[1]
        sample = _sample_of(mean, ROWS_PER_COEFFICIENT * width)
        blocks = sample.with_scores(_Moments(sample.scores)).hessian(np.zeros((1, width)), "psd", np.float32)
        blocks *= objective.curvature
    index = np.arange(blocks.shape[1])
    blocks[:, index, index] *= 1 + 1e-6
    blocks[:, index, index] += np.tile(objective.l2, blocks.shape[1] // len(objective.l2))
    try:
        factors = [Factor(block) for block in blocks]
    except LinAlgError:
        return diagonal_scaling(objective, theta)
    return Scaling(mean.shape, factors=factors, rate=rate)


class _Moments(Scores):
    """Scores whose Hessian is the weight."""

    def __init__(self, scores: Scores) -> None:
        super().__init__(scores.loss, scores.target, weight_of_rows(scores.weight), 1)

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        weight = np.ones(len(z)) if self.weight is None else self.weight[rows]
        return np.asarray(weight, dtype=z.dtype)[:, None]


def _lbfgs(objective: Objective, theta: np.ndarray, progress: Progress, scaling: Scaling, max_iter: int) -> Fit:
    """Return the best point."""
    split = bool(np.any(objective.l1))
    best = Fit(theta, np.inf, np.inf, np.inf, OUT_OF_DIGITS)
    first: np.ndarray | None = theta
    size = theta.size
    gradient = scaling.gradient(objective.smooth(theta)[1])
    length = float(np.linalg.norm(gradient)) or 1.0
    l1 = np.broadcast_to(objective.l1, theta.shape)
    slope = scaling.gradient(l1) if split else None
    # Evaluations, and the value that a decrease is measured from with the number of its own.
    n_evaluations, since, of_since = 0, 0, np.inf

    def position(u: np.ndarray) -> np.ndarray:
        v = u[:size] - u[size:] if split else u
        return clipped(scaling.theta(length * v), objective.bounds)

    def function(u: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal first, best, n_evaluations, since, of_since
        at, first = position(u) if first is None else first, None
        value, gradient = objective.smooth(at)
        # Of the two parts, which need not have met in the difference.
        value += objective.norm(at) if slope is None else length * float(slope @ (u[:size] + u[size:]))
        if not (np.isfinite(value) and np.all(np.isfinite(gradient))):
            return 1e100, np.nan_to_num(u, copy=True)
        violation = objective.violation(at, gradient)
        descent = scaling.gradient(gradient)
        gap = objective.gap(at, gradient)
        if slope is None:
            # The Hessian of all rows is at most so many times smaller than that of a part of them.
            gap = min(gap, scaling.rate * 0.5 * float(descent @ descent))
        goal = objective.goal(value)
        is_there = violation <= 1 and gap <= goal
        if value < best.value or is_there:
            best = Fit(at, value, violation, gap, OUT_OF_DIGITS)
        n_evaluations += 1
        if of_since - best.value > objective.epsilon * abs(best.value):
            since, of_since = n_evaluations, best.value
        # Where the gradient is small, but not enough is known of the curvature, more of the same does not help.
        if is_there or violation <= 0.01 or n_evaluations - since > PATIENCE:
            best.stopped = "" if is_there else OUT_OF_DIGITS
            raise _Stop
        # Scaled so that the first step, which SciPy makes of length 1, is that of Newton's method.
        descent /= length
        if slope is not None:
            rising = slope / length
            descent = np.concatenate([descent + rising, rising - descent])
        return value / length**2, descent

    def callback(_: np.ndarray) -> None:
        progress.add(best.value, best.violation)
        if progress.is_over:
            best.stopped = OUT_OF_STEPS
            raise _Stop

    start = scaling.coordinates(theta) / length
    free = (l1 == 0).ravel()
    factor = np.ones(theta.shape) if scaling.root is None else scaling.root / length
    bounds = ranges(objective.bounds, factor, free, split)
    if split:
        start = np.concatenate([np.maximum(start, 0), np.maximum(-start, 0)])
        # What is not penalised is free, and has no negative part.
        start[:size][free] -= start[size:][free]
        start[size:][free] = 0
    options = {"maxiter": max_iter, "maxfun": 20 * max_iter, "gtol": 0.0, "ftol": 4e-16, "maxcor": CORRECTIONS}
    try:
        with np.errstate(all="ignore"):
            minimize(function, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=callback, options=options)
    except _Stop:
        pass
    if best.value < np.inf and not progress.curve:
        progress.add(best.value, best.violation)
    return best


# ------------------------------------------------------------------------------------------------- how to go about it


SOLVERS: dict[str, Callable[[Objective, np.ndarray, Progress], Fit]] = {
    "newton": newton,
    "lbfgs": lbfgs,
    "descent": descend,
}


def choose(problem: Problem, mean: MeanLoss) -> str:
    """The solver that "auto" stands for, and "descent" where there is nothing for it to do."""
    solver, has_l1 = problem.solver, bool(np.any(problem.l1))
    # The curvature of other losses of rows than the softmax's is not known to it.
    can_descend = not mean.scores.is_coupled or isinstance(mean.scores.loss, fl.CrossEntropy)
    can_descend = can_descend and has_l1 and not problem.rounded and problem.bounds is None
    if solver != "auto" and (can_descend or solver != "descent"):
        return solver
    width = width_of(mean)
    n_blocks = 1 if mean.scores.is_coupled else mean.shape[0]
    if can_descend and (mean.n_features >= MANY_COLUMNS or width > MOST_NEWTON):
        return "descent"
    if width > MOST_NEWTON:
        return "lbfgs"
    if has_l1 or problem.rounded:
        return "newton"
    return "newton" if float(mean.n_sampled) * n_blocks * width**2 <= CHEAP_HESSIAN else "lbfgs"


@dataclass(frozen=True)
class Problem:
    """What is minimised but for the rows: `limits` are those of the gradient for a tolerance of 1."""

    stages: list[tuple[Scores, bool]]
    l1: np.ndarray
    l2: np.ndarray
    limits: np.ndarray
    solver: str
    rounded: bool
    # The amount of L2 if there is no other penalty, the same for all coefficients and no bound, else 0.
    ridge: float
    # The least and the largest value of each coordinate.
    bounds: Bounds | None = None
    # The amounts of L2 of all coefficients, if there is nothing else and they differ.
    held: np.ndarray | None = None

    def objective(self, mean: MeanLoss, tol: float, scale: float) -> Objective:
        """The objective over some rows, to a tolerance."""
        return Objective(mean, self.l1, self.l2, self.limits, tol, scale, self.bounds)


def solve(mean: MeanLoss, problem: Problem, theta: np.ndarray, tol: float, progress: Progress) -> Fit:
    """
    Minimise the last of the stages, each from the minimum of the one before.

    A stage that is not `needed` after a fit to a sample is left out then. That fit proposes where to start, and how far
    below the constant the values of all rows are there decides.
    """
    last = mean.with_scores(problem.stages[-1][0])
    if is_quadratic(last, problem) and takes_matrix(last, problem):
        by_matrix = fit_quadratic(last, problem, theta, tol, progress)
        if by_matrix is not None:
            return by_matrix
    is_constant = not np.any(theta[:, : mean.n_features])
    at_start = last.value_of_constant(theta[:, -1] if mean.fit_intercept else np.zeros(len(theta)))
    rows = for_rows(last, problem) if problem.solver == "auto" and width_of(mean) > MOST_NEWTON else None
    if rows is not None and can_ascend(*rows):
        by_rows = ascend(*rows, theta, tol, progress)
        if not by_rows.stopped or progress.is_over:
            return by_rows
        theta, is_constant = by_rows.theta, False
    if problem.ridge > 0 and mean.n_rows <= MOST_NEWTON and mean.n_features > MORE_COLUMNS * mean.n_rows:
        with contextlib.suppress(LinAlgError):
            of_few = _of_few_rows(mean, problem, theta, tol, progress, at_start)
            if not of_few.stopped or progress.is_over:
                return of_few
            theta = of_few.theta
    name = choose(problem, mean)
    if problem.solver == "auto" and name == "newton" and can_multiply(last, problem):
        with contextlib.suppress(LinAlgError):
            by_width = multiply(last, problem, theta, tol, progress)
            if not by_width.stopped or progress.is_over:
                return by_width
    has_duals = isinstance(last.scores, (Kinks, RankKinks))
    if has_duals and name == "newton":
        try:
            return _by_duals(last, theta, problem, tol, progress)
        except LinAlgError:
            if is_constant:
                raise
        # The centre of another problem may be too near to the bounds of this one.
        return _by_duals(last, clipped(np.zeros_like(theta), problem.bounds), problem, tol, progress)
    if has_duals and problem.solver == "auto" and mean.every == 1 and _norm_holds_all(mean, problem):
        found = None
        with contextlib.suppress(LinAlgError):
            found = by_columns(last, theta, problem, tol, progress, MOST_NEWTON)
        if found is not None:
            return Fit(*found)
    fit: Fit | None = None
    n_sample = mean.n_sampled // SAMPLING
    is_long = n_sample >= max(SAMPLE_PER_COEFFICIENT * width_of(mean), 1024)
    # Descent goes through columns, in which some rows take as long as all of them.
    if is_long and mean.n_sampled * mean.n_features >= 1e6 and name != "descent":
        sample = mean.sampled(mean.every * SAMPLING)
        if sample.total > 0:
            # The sample's minimum is off by about this much of the gradient; closer need not be.
            near = max(tol, 0.05 / np.sqrt(n_sample))
            proposed = solve(sample, problem, theta, near, Progress(progress.max_iter)).theta
            stages = [stage for stage in problem.stages if stage[1]]
            first = problem.objective(mean.with_scores(stages[0][0]), tol, at_start)
            if not is_constant or first.smooth(proposed)[0] + first.norm(proposed) <= at_start:
                fit = through(mean, stages, problem, proposed, tol, progress, at_start)
    if fit is None or (fit.stopped and not progress.is_over):
        fit = through(mean, problem.stages, problem, theta, tol, progress, at_start)
    return fit


def _by_duals(mean: MeanLoss, theta: np.ndarray, problem: Problem, tol: float, progress: Progress) -> Fit:
    """Interior points; where single precision has too few digits for the last steps, in double."""
    fit = Fit(*interior(mean, theta, problem, tol, progress))
    if not fit.stopped or progress.is_over or mean.x.dtype == np.float64:
        return fit
    return Fit(*interior(mean.in_double(), theta, problem, tol, progress))


def takes_matrix(mean: MeanLoss, problem: Problem) -> bool:
    """Whether the matrix of the coefficients is small, and not dear beside all that it serves for."""
    if mean.every > 1 or width_of(mean) > MOST_NEWTON:
        return False
    return choose(problem, mean) == "newton" or (problem.solver == "auto" and mean.is_along_path)


def _norm_holds_all(mean: MeanLoss, problem: Problem) -> bool:
    return problem.bounds is None and bool(np.all(problem.l1[: mean.n_features][mean.columns.moves] > 0))


def through(
    mean: MeanLoss,
    stages: list[tuple[Scores, bool]],
    problem: Problem,
    theta: np.ndarray,
    tol: float,
    progress: Progress,
    scale: float,
) -> Fit:
    """Minimise one stage after the other, each from where the one before ended; `scale`: the value at a constant."""
    name = choose(problem, mean)
    for scores, _ in stages:
        is_last = scores is stages[-1][0]
        near = tol if is_last else max(tol, 1e-2)
        objective = problem.objective(mean.with_scores(scores), near, abs(scale))
        fit = SOLVERS[name](objective, theta, progress)
        if is_last and name == "descent" and fit.stopped and not progress.is_over:
            other = newton if width_of(mean) <= MOST_NEWTON else lbfgs
            again = other(objective, fit.theta, progress)
            fit = again if again.value < fit.value or not again.stopped else fit
        if is_last and name == "lbfgs" and fit.stopped and not progress.is_over:
            # What is left is a matter of the curvature of all rows.
            if width_of(mean) <= MOST_NEWTON:
                fit = newton(objective, fit.theta, progress)
            elif not np.any(problem.l1) and problem.bounds is None:
                fit = newton(objective, fit.theta, progress, conjugate_step(diagonal_scaling(objective, fit.theta)))
        if progress.is_over:
            return fit if is_last else Fit(fit.theta, fit.value, fit.violation, fit.gap, OUT_OF_STEPS)
        theta = fit.theta
    return fit


def _of_few_rows(
    mean: MeanLoss, problem: Problem, theta: np.ndarray, tol: float, progress: Progress, scale: float
) -> Fit:
    """
    Minimise over combinations of the rows, among which the minimum of a loss with an L2 norm alone is.

    With the centred X = C Q', Q' Q = 1, coef = Q a has the norm of a and the scores C a: the same problem with at most
    a column a row, where C C' = X X'. Whether digits were lost on the way, X itself decides.
    """
    columns, n = mean.columns, mean.n_features
    products = mean.products_of_rows()
    if not np.all(np.isfinite(products)):
        if mean.examine is not None:
            mean.examine()
        return Fit(theta, np.inf, np.inf, np.inf, OUT_OF_DIGITS)
    squares, vectors = eigh(products)
    kept = squares > len(squares) * np.finfo(np.float64).eps * squares[-1]
    roots, vectors = np.sqrt(squares[kept]), vectors[:, kept]
    features = np.ascontiguousarray(vectors * roots)
    narrow = columns_of(features, mean.scores.weight, mean.fit_intercept)
    other = MeanLoss(features, mean.scores, mean.fit_intercept, mean.executor, narrow)
    no_norm = np.zeros(int(mean.fit_intercept))
    alike = replace(
        problem,
        l1=np.zeros(other.shape[1]),
        l2=np.append(problem.ridge / np.square(narrow.spread), no_norm),
        limits=problem.limits[:, :1] * np.ones(other.shape[1]),
        solver="auto",
        ridge=0.0,
    )
    coef, _ = columns.coefficients(theta[:, :n], 0.0, np.float64)
    start, shift = narrow.coordinates(mean.centred_scores(coef).T @ (vectors / roots), 0.0)
    start = np.column_stack([start, theta[:, n:] + shift[:, None]]) if mean.fit_intercept else start
    fit = solve(other, alike, start, tol, progress)
    combination, intercept = narrow.coefficients(fit.theta[:, : other.n_features], 0.0, np.float64)
    moved = mean.combined_rows(vectors / roots @ combination.T)
    end = np.column_stack([columns.coordinates(moved, 0.0)[0], fit.theta[:, other.n_features :]])
    if mean.fit_intercept:
        end[:, -1] += intercept
    scores: Any = problem.stages[-1][0]
    # What rounds the kinks is not in the value that there is.
    objective = problem.objective(mean.with_scores(scores.exact if problem.rounded else scores), tol, abs(scale))
    value, gradient = objective.smooth(end)
    gap = fit.gap + max(value - fit.value, 0.0)
    if not problem.rounded:
        objective.curvature = objective.mean.mean_curvature(end)
        gap = min(gap, objective.gap(end, gradient))
    stopped = fit.stopped or ("" if gap <= objective.goal(value) else OUT_OF_DIGITS)
    return Fit(end, value, fit.violation, gap, stopped)
