"""Losses with kinks and an L2 norm: coordinate ascent on the dual problem, with steps of Newton's method on its faces.

A row's loss is max_u u (z - kink) - flat |u| over low <= u <= high. With X centred, lambda the amount of L2 and a
constant b that is free, the dual problem is

    max_u  -sum_i u_i kink_i - flat |u_i|  -  |sum_i u_i x_i|^2 / (2 lambda)      where sum_i u_i = 0

and the coefficients are -sum_i u_i x_i / lambda. The rounds of csrc/descent.h are those of Hsieh et al. (2008), and the
equation is left to the method of multipliers, whose multiplier is b. Rows whose u is at no end have scores that are
known: as soon as these rows are few enough, linear equations lead to where the other rows let them. Nothing of the size
columns by columns is ever made. Any u, scaled on one side until its sum is 0, gives a lower bound of the objective: the
distance from the minimum that a fit ends with is proven.

Of the maximum over classes a row's duals are at least 0 and add up to its weight (Crammer and Singer 2001); all is the
same, with a constant for each class, and for the ends of an interval the faces of a simplex.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, lstsq
from scipy.sparse import vstack

from .._kernels import Columns as Kernels
from ._objective import Columns, Kinks, MeanLoss, RankKinks

if TYPE_CHECKING:
    from ._solvers import Fit, Problem, Progress

# Rounds through the rows between two looks at the gap.
ROUNDS = 10
# Rows between their ends for which there are equations.
MOST_FREE = 4000
# What these cost beside numbers of X that are gone through: their factorisation and the products of their rows.
OF_FACTOR, OF_PRODUCTS = 1.0 / 96, 2.5
# What a row costs beside its numbers.
OF_ROW = 15
# The gap goes on to so much of what it may be, or for so many more looks.
MARGIN, MORE = 1e-3, 3
MOST_HALVINGS = 6
# Where squares of centred sparse rows are so many times smaller than those of the centre, half the digits are lost.
FAR = 1e8
# Looks in which the gap has to become half of what it was.
PATIENCE = 50
# Of a diagonal, that equations of rows which depend on each other have a solution.
RIDGE = 1e-12


def can_ascend(mean: MeanLoss, problem: Problem) -> bool:
    """Whether the loss is a sum of maxima as above, and L2 holds every coefficient alike."""
    scores = mean.scores
    columns = mean.columns
    rows_differ_by = float(np.sum(np.square(columns.spread[columns.moves])))
    far = mean.is_sparse and float(columns.centre @ columns.centre) > FAR * rows_differ_by
    if not problem.ridge > 0 or mean.every > 1 or far:
        return False
    return isinstance(scores, RankKinks) or (isinstance(scores, Kinks) and rows_of(scores) is not None)


def rows_of(scores: Kinks) -> tuple[np.ndarray, np.ndarray, np.ndarray, float] | None:
    """
    Return low, high and kink of each row and output, and half the width of what is flat; None if slopes are others.

    All of these losses are 0 at their kink.
    """
    target = scores.target_of(slice(0, len(scores.target)), np.dtype(np.float64)).astype(np.float64)
    parts, slope, _ = scores.parts(target.reshape(len(target), -1))
    shape = (len(target), scores.n_outputs)
    kinks = [np.broadcast_to(kink, shape) for kink, _ in parts]
    heights = [np.broadcast_to(height, shape) for _, height in parts]
    slope, flat = np.broadcast_to(slope, shape), 0.0
    if len(parts) == 1:
        kink, height = kinks[0], heights[0]
    elif not np.any(heights[0] * heights[1]):
        # Only one of them is there.
        kink, height = np.where(heights[0] > 0, *kinks), heights[0] + heights[1]
    elif not np.any(slope) and np.ptp(kinks[1] - kinks[0]) <= 1e-12 * np.max(np.abs(kinks[0])):
        kink, height, flat = (kinks[0] + kinks[1]) / 2, 2 * heights[0], float(np.mean(np.abs(kinks[1] - kinks[0]))) / 2
    else:
        return None
    weight = 1.0 if scores.weight is None else scores.weight.reshape(len(target), -1).astype(np.float64)
    if scores.offset is not None:
        kink = kink - scores.offset
    return (slope - height) * weight, (slope + height) * weight, kink, flat


def for_rows(mean: MeanLoss, problem: Problem) -> tuple[MeanLoss, Problem]:
    """
    Return the same problem, in the same coordinates, where L2 holds all coefficients alike and a row has one kink.

    With a penalty weight f > 0 of a column x the coefficient of x / sqrt(f) is held alike. A label between 0 and 1 is
    two rows, one of each class, with shares of the weight.
    """
    scores = mean.scores
    if problem.held is not None and isinstance(scores, (Kinks, RankKinks)):
        ridge = float(np.mean(problem.held))
        mean, problem = _in_units(mean, np.sqrt(ridge / problem.held)), replace(problem, ridge=ridge, held=None)
    if isinstance(scores, Kinks) and scores.loss.target_domain == "unit interval" and not scores.one_hot:
        target = scores.target.reshape(mean.n_rows, -1).astype(np.float64)
        is_soft = (target > 0) & (target < 1)
        if np.any(is_soft) and problem.ridge > 0:
            mean = _with_two_rows(mean, scores, target, is_soft)
    return mean, problem


def _in_units(mean: MeanLoss, unit: np.ndarray) -> MeanLoss:
    """The rows with columns times `unit`, in double precision."""
    x = mean.x.astype(np.float64)
    if mean.is_sparse:
        x.data *= unit[x.indices]
    else:
        x *= unit
    columns = Columns(mean.columns.centre * unit, mean.columns.spread * unit)
    other = MeanLoss(x, mean.scores, mean.fit_intercept, mean.executor, columns)
    other.examine = mean.examine
    return other


def _with_two_rows(mean: MeanLoss, scores: Kinks, target: np.ndarray, is_soft: np.ndarray) -> MeanLoss:
    """The rows, and again those with a label that `is_soft`: the first of a pair has the class 1, the second 0."""
    again = np.flatnonzero(np.any(is_soft, axis=1))
    weight = np.ones(len(target)) if scores.weight is None else scores.weight.astype(np.float64)
    weight = np.broadcast_to(weight.reshape(len(target), -1), target.shape)
    of_first, of_second = np.where(is_soft, target, 1.0), np.where(is_soft, 1 - target, 0.0)[again]
    classes = np.concatenate([np.where(is_soft, 1.0, target), np.zeros((len(again), target.shape[1]))])
    weights = np.concatenate([weight * of_first, weight[again] * of_second])
    x = vstack([mean.x, mean.x[again]], format="csr") if mean.is_sparse else np.concatenate([mean.x, mean.x[again]])
    if scores.n_outputs == 1:
        classes, weights = classes[:, 0], weights[:, 0]
    both = Kinks(scores.loss, classes, weights, scores.n_outputs, scores.width, scores.spread, False)
    both.unit = scores.unit
    if scores.offset is not None:
        both.offset = np.concatenate([scores.offset, scores.offset[again]])
    other = MeanLoss(x, both, mean.fit_intercept, mean.executor, mean.columns)
    other.examine = mean.examine
    return other


class _Dual:
    """A dual problem: where it is in the coefficients of all rows, and how far the best point is from the minimum."""

    # The rows, those that still move first; coefficients and constants of the best point.
    order: np.ndarray
    best: tuple[np.ndarray, np.ndarray]

    def __init__(self, x: Any, kernels: Kernels, mean: MeanLoss, l2: float, n_outputs: int) -> None:
        self.x, self.kernels, self.l2 = x, kernels, l2
        self.has_constant = mean.fit_intercept
        # A dense X whose columns are far from 0 is centred already.
        self.centre = np.zeros(x.shape[1]) if mean.is_explicit else mean.columns.centre
        self.along, self.of_centre = x @ self.centre, float(self.centre @ self.centre)
        square = np.asarray(x.multiply(x).sum(axis=1)).ravel() if mean.is_sparse else np.einsum("ij,ij->i", x, x)
        square = np.maximum(square - 2 * self.along + self.of_centre, 0.0)
        self.rounds, self.spent, self.value, self.bound, self.more = 0, 0.0, np.inf, -np.inf, 0
        # As curved as a coefficient of a column of about the size of a row.
        self.of_constant = l2 / (float(np.mean(square)) or 1.0) if self.has_constant else np.inf
        self.curvature = square / l2 + 1 / self.of_constant
        n_rows = x.shape[0]
        self.numbers_of_row = ((x.nnz if mean.is_sparse else x.size) / max(1, n_rows) + OF_ROW) * n_outputs

    @property
    def gap(self) -> float:
        """How far the best point is at most above the minimum."""
        return max(self.value - self.bound, 0.0)

    def go_on(self) -> None:
        """Some rounds, a step on the face if it is time, and a look at the gap."""
        moving = self._ascend(7919 * self.rounds + 1)
        self.rounds += ROUNDS
        self.spent += ROUNDS * moving * self.numbers_of_row
        free, n_free = self._free()
        price = OF_FACTOR * float(n_free) ** 3 + OF_PRODUCTS * float(n_free) ** 2
        if 0 < n_free <= MOST_FREE and self.spent >= price:
            self.spent = 0.0
            self._step(free)
        value, bound, coef, constant = self._look()
        if value < self.value:
            self.value, self.best = value, (coef, constant)
        self.bound = max(self.bound, bound)

    def _ascend(self, seed: int) -> int:
        """Go through the rows, and let the constants follow; return how many rows move."""
        raise NotImplementedError

    def _free(self) -> tuple[np.ndarray, int]:
        """The rows between their ends, and how many equations they make."""
        raise NotImplementedError

    def _step(self, free: np.ndarray) -> None:
        """Towards where the scores of these rows are what they should be, as far as the dual problem's value rises."""
        raise NotImplementedError

    def _look(self) -> tuple[float, float, np.ndarray, np.ndarray]:
        """The objective, its bound, and the coefficients and constants of the first."""
        raise NotImplementedError

    def _products(self, rows: np.ndarray) -> np.ndarray:
        """The centred rows times their own transpose, over l2."""
        x, along = self.x[rows], self.along[rows]
        products = x @ x.T
        products = products if isinstance(products, np.ndarray) else products.toarray()
        return np.asarray((products - along[:, None] - along + self.of_centre) / self.l2)


def _with_ridge(products: np.ndarray) -> np.ndarray:
    diagonal = np.einsum("ii->i", products)
    diagonal += RIDGE * (float(np.mean(diagonal)) or 1.0)
    return products


class _DualOfIntervals(_Dual):
    """That of one output of `Kinks`."""

    def __init__(self, x: Any, kernels: Kernels, mean: MeanLoss, rows: Any, k: int, l2: float, constant: float) -> None:
        super().__init__(x, kernels, mean, l2, 1)
        low, high, kink, self.flat = rows
        self.low, self.high, self.kink = (np.ascontiguousarray(each[:, k]) for each in (low, high, kink))
        self.of_rows = np.ascontiguousarray(np.stack([self.low, self.high, self.kink, self.curvature, self.along]))
        self.dual, self.coef = np.zeros(len(low)), np.zeros(x.shape[1])
        self.best = self.coef[None], np.array([constant])
        self.constant, self.sum, self.of_coef = constant, 0.0, 0.0
        self.order = np.flatnonzero(self.high > self.low)

    def _ascend(self, seed: int) -> int:
        state = np.array(
            [self.flat, self.l2, self.of_constant, self.constant, self.sum, self.of_coef, self.of_centre, 0.0]
        )
        _, moving = self.kernels.ascend(
            self.order, len(self.order), self.of_rows, self.dual, self.coef, state, ROUNDS, seed
        )
        self.sum, self.of_coef = float(state[4]), float(self.centre @ self.coef)
        self._multiply()
        return moving

    def _free(self) -> tuple[np.ndarray, int]:
        free = np.flatnonzero((self.dual > self.low) & (self.dual < self.high) & ((self.dual != 0) | (self.flat == 0)))
        return free, len(free)

    def _multiply(self) -> None:
        if self.has_constant:
            self.constant -= self.sum / self.of_constant

    def _step(self, free: np.ndarray) -> None:
        x, along, ends = self.x[free], self.along[free], np.sign(self.dual[free]) * self.flat
        products = _with_ridge(self._products(free))
        slope = x @ self.coef + self.sum / self.l2 * (along - self.of_centre) - self.of_coef
        slope += self.constant - self.kink[free] - ends
        try:
            factor = cho_factor(products, lower=True, check_finite=False)
        except LinAlgError:
            return
        of_slope, of_ones = cho_solve(factor, np.column_stack([slope, np.ones(len(free))]), check_finite=False).T
        shift = 0.0
        if self.has_constant:
            shift = -(self.sum + float(np.sum(of_slope))) / float(np.sum(of_ones))
        step, u, share = of_slope + shift * of_ones, self.dual[free], 1.0
        # Of what is flat only the side that u is on.
        low = np.where(ends > 0, 0.0, self.low[free])
        high = np.where(ends < 0, 0.0, self.high[free])
        for _ in range(MOST_HALVINGS):
            end = np.clip(u + share * step, low, high)
            change = end - u
            after = self.sum + float(np.sum(change))
            rises = float((slope + shift) @ change) - 0.5 * float(change @ products @ change)
            if rises - (after**2 - self.sum**2) / (2 * self.of_constant) > 0:
                break
            share *= 0.5
        else:
            return
        self.dual[free] = end
        self.coef -= x.T @ change / self.l2
        self.sum, self.of_coef = after, float(self.centre @ self.coef)
        self.constant += shift
        self._multiply()

    def _look(self) -> tuple[float, float, np.ndarray, np.ndarray]:
        coef = self.coef + self.sum / self.l2 * self.centre
        r = self.x @ coef + (self.constant - float(self.centre @ coef)) - self.kink
        if self.flat > 0:
            r = np.sign(r) * np.maximum(np.abs(r) - self.flat, 0.0)
        value = 0.5 * self.l2 * float(coef @ coef) + float(np.sum(np.maximum(self.low * r, self.high * r)))
        dual = self.dual
        if self.has_constant:
            above, below = float(np.sum(np.maximum(dual, 0.0))), float(np.sum(np.maximum(-dual, 0.0)))
            least = min(above, below)
            dual = dual * np.where(dual > 0, least / (above or 1.0), least / (below or 1.0))
        # With a sum of 0 the centre makes no difference.
        sums = self.x.T @ dual - float(np.sum(dual)) * self.centre
        bound = -float(dual @ self.kink) - self.flat * float(np.sum(np.abs(dual))) - float(sums @ sums) / (2 * self.l2)
        return value, bound, coef[None], np.array([self.constant])


class _DualOfClasses(_Dual):
    """That of all outputs of `RankKinks`: duals are derivatives by the scores, with the weight added at the class."""

    def __init__(self, x: Any, kernels: Kernels, mean: MeanLoss, l2: float, constants: np.ndarray) -> None:
        scores = mean.scores
        n_rows, k = len(scores.target), scores.n_outputs
        super().__init__(x, kernels, mean, l2, k)
        self.target, self.rows = scores.target.astype(np.int64), np.arange(n_rows)
        self.margin = float(scores.loss.parameters["margin"])
        self.offset = None if scores.offset is None else np.ascontiguousarray(scores.offset, dtype=np.float64)
        self.weight = np.ones(n_rows) if scores.weight is None else scores.weight.astype(np.float64)
        self.of_rows = np.ascontiguousarray(np.stack([self.weight, self.curvature, self.along]))
        # Whole vectors of classes.
        self.padded = np.zeros((x.shape[1], -k // 4 * -4))
        self.dual, self.coef = np.zeros((n_rows, k)), self.padded[:, :k]
        self.dual[self.rows, self.target] = self.weight
        self.of_classes = np.zeros((6, self.padded.shape[1]))
        self.constant, self.sum, self.of_coef = (row[:k] for row in self.of_classes[:3])
        self.constant[:] = constants
        self.best = self.coef.T.copy(), self.constant.copy()
        self.order = np.flatnonzero(self.weight > 0)

    def _ascend(self, seed: int) -> int:
        state = np.array([self.margin, self.l2, self.of_constant, self.of_centre])
        _, moving = self.kernels.ascend_classes(
            self.order, len(self.order), self.target, self.of_rows, self.offset, self.dual, self.padded,
            self.of_classes, state, ROUNDS, seed,
        )  # fmt: skip
        self._follow()
        return moving

    def _follow(self) -> None:
        """After the duals."""
        self.of_coef[:] = self.centre @ self.coef
        if self.has_constant:
            self.constant -= self.sum / self.of_constant

    def _free(self) -> tuple[np.ndarray, int]:
        n_on = np.count_nonzero(self.dual, axis=1)
        free = np.flatnonzero(n_on > 1)
        return free, int(np.sum(n_on[free] - 1))

    def _shifts(self, rows: Any) -> np.ndarray:
        """What is added to the scores before the maximum."""
        target = self.target[rows]
        shifts = np.full((len(target), self.dual.shape[1]), self.margin)
        shifts[np.arange(len(target)), target] = 0.0
        return shifts if self.offset is None else shifts + self.offset[rows]

    def _net(self) -> np.ndarray:
        """The duals with the weight subtracted at the class: what they are elsewhere, which has all of its digits."""
        net = self.dual.copy()
        net[self.rows, self.target] = 0.0
        net[self.rows, self.target] = -np.sum(net, axis=1)
        return net

    def _step(self, free: np.ndarray) -> None:
        # Where the weight is much larger than duals the rounds have few digits of them: the coefficients start anew.
        net = self._net()
        self.sum[:] = np.sum(net, axis=0)
        self.coef[:] = (self.x.T @ net) / -self.l2
        self.of_coef[:] = self.centre @ self.coef
        u = self.dual[free]
        on = u > 0
        # Each class that a row may be in is compared with the one that it is in most.
        of_rows, first = np.arange(len(free)), np.argmax(u, axis=1)
        others = on.copy()
        others[of_rows, first] = False
        row, one = np.nonzero(others)
        pairs = np.zeros((len(row), u.shape[1]))
        pairs[np.arange(len(row)), one] = 1.0
        pairs[np.arange(len(row)), first[row]] -= 1.0
        products = self._products(free)
        slope = self.x[free] @ self.coef + (self.along[free] - self.of_centre)[:, None] * self.sum / self.l2
        slope += self.constant - self.of_coef + self._shifts(free)
        try:
            factor = cho_factor(
                _with_ridge(products[np.ix_(row, row)] * (pairs @ pairs.T)), lower=True, check_finite=False
            )
        except LinAlgError:
            return
        right = np.column_stack([slope[row, one] - slope[row, first[row]], pairs])
        solved = cho_solve(factor, right, check_finite=False)
        step, shift = solved[:, 0], np.zeros(u.shape[1])
        if self.has_constant:
            # The same for all classes makes no difference.
            shift = lstsq(pairs.T @ solved[:, 1:], -(self.sum + pairs.T @ step), check_finite=False)[0]
            step = step + solved[:, 1:] @ shift
        along = np.zeros(u.shape)
        along[row, one] = step
        along[of_rows, first] = -np.sum(along, axis=1)
        share = 1.0
        for _ in range(MOST_HALVINGS):
            change = share * along
            if np.any(u + change < 0):
                change = _on_simplex(np.where(on, u + change, -np.inf), self.weight[free]) - u
            after = self.sum + np.sum(change, axis=0)
            rises = float(np.vdot(slope + shift, change)) - 0.5 * float(np.vdot(change, products @ change))
            if rises - float(after @ after - self.sum @ self.sum) / (2 * self.of_constant) > 0:
                break
            share *= 0.5
        else:
            return
        self.dual[free] = u + change
        self.coef -= self.x[free].T @ change / self.l2
        self.sum[:] = after
        self.constant += shift
        self._follow()

    def _look(self) -> tuple[float, float, np.ndarray, np.ndarray]:
        coef = self.coef + np.outer(self.centre, self.sum) / self.l2
        shifts = self._shifts(slice(None))
        z = self.x @ coef + (self.constant - self.centre @ coef) + shifts
        losses = np.max(z, axis=1) - z[self.rows, self.target]
        value = 0.5 * self.l2 * float(np.vdot(coef, coef)) + float(self.weight @ losses)
        dual = self._net()
        if self.has_constant:
            # Classes that have too much give to those that lack something, in rows of other classes.
            total = np.sum(dual, axis=0)
            surplus, deficit = np.maximum(total, 0.0), np.maximum(-total, 0.0)
            gives = np.maximum(dual, 0.0)
            gives[self.rows, self.target] = 0.0
            gives *= surplus / np.maximum(np.sum(gives, axis=0), 1e-300)
            dual += np.outer(np.sum(gives, axis=1), deficit / (float(np.sum(deficit)) or 1.0)) - gives
        sums = self.x.T @ dual - np.outer(self.centre, np.sum(dual, axis=0))
        bound = float(np.vdot(dual, shifts)) - float(np.vdot(sums, sums)) / (2 * self.l2)
        return value, bound, coef.T, self.constant.copy()


def _on_simplex(v: np.ndarray, total: np.ndarray) -> np.ndarray:
    """The nearest rows of numbers that are >= 0 and add up to `total`; 0 where v is minus infinity."""
    falling = -np.sort(-v, axis=1)
    sums = np.cumsum(np.where(np.isfinite(falling), falling, 0.0), axis=1) - total[:, None]
    at = sums / np.arange(1, v.shape[1] + 1)
    last = np.sum(falling > at, axis=1) - 1
    return np.asarray(np.maximum(v - at[np.arange(len(v)), np.maximum(last, 0)][:, None], 0.0))


def ascend(mean: MeanLoss, problem: Problem, theta: np.ndarray, tol: float, progress: Progress) -> Fit:
    """Minimise a loss of `Kinks` or `RankKinks` with an L2 norm."""
    from ._solvers import OUT_OF_DIGITS, OUT_OF_STEPS, Fit

    assert isinstance(mean.scores, (Kinks, RankKinks))
    columns, total, n = mean.columns, mean.total, mean.n_features
    if mean.is_sparse:
        x = mean.x.astype(np.float64, copy=False)
        kernels = Kernels(x.data, n, x.indices.astype(np.int32, copy=False), x.indptr.astype(np.int64))
    else:
        x = mean.x - columns.centre if mean.is_explicit else mean.x
        x = np.ascontiguousarray(x, dtype=np.float64)
        kernels = Kernels(x.ravel(), n)
    starts = theta[:, -1] if mean.fit_intercept else np.zeros(len(theta))
    duals: list[Any]
    if isinstance(mean.scores, RankKinks):
        duals = [_DualOfClasses(x, kernels, mean, problem.ridge * total, starts)]
    else:
        rows = rows_of(mean.scores)
        duals = [
            _DualOfIntervals(x, kernels, mean, rows, k, problem.ridge * total, float(start))
            for k, start in enumerate(starts)
        ]
    if mean.examine is not None and not all(np.all(np.isfinite(each.of_rows)) for each in duals):
        mean.examine()
    going, stopped = list(duals), ""
    value = gap = goal = before = np.inf
    while going:
        if progress.is_over:
            stopped = OUT_OF_STEPS
            break
        if len(progress.curve) % PATIENCE == PATIENCE - 1:
            if gap > 0.5 * before:
                stopped = OUT_OF_DIGITS
                break
            before = gap
        for _ in map(_Dual.go_on, going) if mean.executor is None else mean.executor.map(_Dual.go_on, going):
            pass
        value, gap = sum(each.value for each in duals) / total, sum(each.gap for each in duals) / total
        goal = tol * abs(value) + tol**2 * mean.scores.spread
        progress.add(value, gap / goal)
        share = goal * total / len(duals)
        for each in duals:
            each.more += each.gap <= share
        going = [each for each in going if each.gap > MARGIN * share and each.more <= MORE]
    if gap <= goal:
        stopped = ""
    coef = np.concatenate([each.best[0] for each in duals])
    end, _ = columns.coordinates(coef, np.zeros(len(coef)))
    if mean.fit_intercept:
        end = np.column_stack([end, np.concatenate([each.best[1] for each in duals])])
    return Fit(end, value, np.nan, gap, stopped)
