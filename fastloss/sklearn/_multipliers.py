"""Losses with kinks and an L2 norm, few columns: the method of multipliers, Newton's method within (Li et al. 2018).

A row's loss is max_u u (z - kink) - flat |u| over low <= u <= high. Less (u - v)^2 / (2 width) it is smooth, and only
the few rows whose u is between its ends bend it: a Hessian is made of these. At the minimum v becomes the u of each
row, the width grows, and Newton's method goes on from there. After a few times the rows at their ends are the right
ones, and the minimum is that of the loss itself. The u of all rows, scaled on one side until their sum is 0, give a
lower bound of the objective: the distance from the minimum that a fit ends with is proven.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._algebra import Factor
from ._ascent import rows_of
from ._objective import Kinks, MeanLoss, Scores

if TYPE_CHECKING:
    from ._solvers import Fit, Problem, Progress

# With more columns interior points, which take fewer steps and so fewer factorisations, are faster.
MOST_COLUMNS = 64
# How many times wider after each minimum, and how many steps to one.
WIDER, MOST_STEPS = 4.0, 40
# Along a step the slope becomes so many times smaller, or it has been looked for so often.
OF_SLOPE, MOST_SHARES = 0.1, 30
# Newton's method ends where it has so little of the gap to gain, or of what the gap may be.
OF_GAP = 0.1
# The gap goes on to so much of what it may be, or for so many more looks.
MARGIN, MORE = 1e-3, 3
# Looks in which the gap has to become half of what it was.
PATIENCE = 4


def can_multiply(mean: MeanLoss, problem: Problem) -> bool:
    """Whether the loss is a sum of maxima as above, and L2 alone holds each of few columns."""
    if mean.n_features > MOST_COLUMNS:
        return False
    held = problem.l2[: mean.n_features][mean.columns.moves] > 0
    if not isinstance(mean.scores, Kinks) or mean.every > 1 or mean.x.dtype != np.float64 or problem.bounds is not None:
        return False
    return not np.any(problem.l1) and bool(np.all(held)) and rows_of(mean.scores) is not None


class _Maxima(Scores):
    """The losses of all rows less their distance from `before`, duals; seen by their Hessian."""

    def __init__(self, scores: Kinks) -> None:
        rows = rows_of(scores)
        assert rows is not None
        super().__init__(scores.loss, scores.target, scores.weight, scores.n_outputs)
        self.low, self.high, self.kink, self.flat = rows
        self.before = np.zeros(self.kink.shape)
        self.width = float(np.mean(self.high - self.low)) / scores.spread

    def free(self, z: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        """Where u would be largest if it had no ends."""
        u = self.before[rows] + self.width * (z - self.kink[rows])
        return np.asarray(np.sign(u) * np.maximum(np.abs(u) - self.width * self.flat, 0.0) if self.flat > 0 else u)

    def duals(self, z: np.ndarray) -> np.ndarray:
        """The derivatives by the scores."""
        return np.asarray(np.clip(self.free(z), self.low, self.high))

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        """The second derivatives: a number or 0."""
        u = self.free(z, rows)
        return np.asarray(self.width * ((u > self.low[rows]) & (u < self.high[rows]) & ((u != 0) | (self.flat == 0))))

    def exact(self, z: np.ndarray) -> float:
        """The losses themselves."""
        r = z - self.kink
        if self.flat > 0:
            r = np.sign(r) * np.maximum(np.abs(r) - self.flat, 0.0)
        return float(np.sum(np.maximum(self.low * r, self.high * r)))


class _Smooth:
    """The objective for some duals: where it is, and Newton's method from there."""

    def __init__(self, mean: MeanLoss, rows: _Maxima, l2: np.ndarray, theta: np.ndarray) -> None:
        self.mean, self.rows, self.l2, self.theta = mean.with_scores(rows), rows, l2, theta
        self.z = self.mean.scores_of(theta)
        self.held = np.append(mean.columns.moves, np.zeros(int(mean.fit_intercept), bool))

    def gradient(self, dual: np.ndarray) -> np.ndarray:
        """By the coordinates, for these duals."""
        return np.asarray(self.mean.products_with(dual) + self.l2 * self.theta)

    def minimise(self, goal: float) -> np.ndarray:
        """Go near the minimum; return the duals there."""
        mean, rows = self.mean, self.rows
        for _ in range(MOST_STEPS):
            dual = rows.duals(self.z)
            gradient = self.gradient(dual)
            blocks = mean.hessian(self.theta, "exact")
            diagonal = np.einsum("kii->ki", blocks)
            diagonal += self.l2
            if mean.fit_intercept:
                # No row may be between its ends; one would bend so much.
                np.maximum(diagonal[:, -1], rows.width / mean.total, out=diagonal[:, -1])
            step = -np.stack([Factor(block).solve(g) for block, g in zip(blocks, gradient, strict=True)])
            # What is left of the gradient counts in the bound as far as L2 lets it.
            left = float(np.sum(np.square(gradient[:, self.held]) / (2 * self.l2[self.held])))
            if left - float(np.vdot(gradient, step)) <= goal:
                break
            along = mean.scores_of(step)
            share = self._share(step, along, float(np.vdot(gradient, step)))
            if share == 0:
                break
            self.theta = self.theta + share * step
            self.z += share * along
        return dual

    def _share(self, step: np.ndarray, along: np.ndarray, first: float) -> float:
        """How much of a step leads to where the objective, which is convex, falls no longer along it."""
        of_norm, curvature = float(np.vdot(self.l2 * self.theta, step)), float(np.vdot(self.l2 * step, step))
        low, high, at_low, share = 0.0, np.inf, first, 1.0
        for _ in range(MOST_SHARES):
            slope = float(np.vdot(self.rows.duals(self.z + share * along), along)) / self.mean.total
            slope += of_norm + share * curvature
            if abs(slope) <= OF_SLOPE * abs(first):
                return share
            if slope < 0:
                low, at_low = share, slope
                share = 2 * share if high == np.inf else 0.5 * (low + high)
            else:
                high, at_high = share, slope
                # Where a line between both would be 0, but not too near to either.
                share = low + (high - low) * min(max(at_low / (at_low - at_high), 0.1), 0.9)
        return low


def multiply(mean: MeanLoss, problem: Problem, theta: np.ndarray, tol: float, progress: Progress) -> Fit:
    """Minimise a loss of `Kinks` with an L2 norm."""
    from ._solvers import OUT_OF_DIGITS, OUT_OF_STEPS, Fit

    assert isinstance(mean.scores, Kinks)
    rows, spread, l2 = _Maxima(mean.scores), mean.scores.spread, problem.l2
    at = _Smooth(mean, rows, l2, theta)

    def bound_of(dual: np.ndarray) -> float:
        if mean.fit_intercept:
            above, below = np.sum(np.maximum(dual, 0.0), axis=0), np.sum(np.maximum(-dual, 0.0), axis=0)
            least = np.minimum(above, below)
            up, down = (least / np.where(total > 0, total, 1.0) for total in (above, below))
            dual = dual * np.where(dual > 0, up, down)
        value = float(np.vdot(dual, rows.kink)) + rows.flat * float(np.sum(np.abs(dual)))
        sums = at.mean.products_with(dual)[:, at.held]
        return -value / mean.total - float(np.sum(np.square(sums) / (2 * l2[at.held])))

    best, least, goal, stopped, more, gaps = Fit(theta, np.inf, np.nan, np.inf), -np.inf, 0.0, "", 0, [np.inf]
    while True:
        dual = at.minimise(OF_GAP * max(min(gaps[-1], spread), MARGIN * goal))
        value = rows.exact(at.z) / mean.total + 0.5 * float(np.sum(l2 * np.square(at.theta)))
        if not np.isfinite(value):
            stopped = OUT_OF_DIGITS
            break
        least = max(least, bound_of(dual))
        if value < best.value:
            best = Fit(at.theta, value, np.nan, np.inf)
        best.gap = max(best.value - least, 0.0)
        goal = tol * abs(best.value) + tol**2 * spread
        progress.add(best.value, best.gap / goal)
        gaps.append(best.gap)
        more += best.gap <= goal
        if best.gap <= MARGIN * goal or more > MORE:
            break
        if progress.is_over:
            stopped = OUT_OF_STEPS
            break
        if len(gaps) > PATIENCE and gaps[-1] > 0.5 * gaps[-1 - PATIENCE]:
            stopped = OUT_OF_DIGITS
            break
        rows.before = dual
        rows.width *= WIDER
    best.stopped = "" if best.gap <= goal else stopped
    return best
