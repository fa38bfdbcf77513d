"""Losses with kinks: a primal-dual interior-point method for sums of absolute values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy.linalg.lapack import dposv

from ._algebra import Factor
from ._bounded import Box
from ._objective import Columns, Kinks, MeanLoss, RankKinks, Scores

# How much nearer than the tolerance the products of slack and dual variable come to 0: the last steps are cheap.
MARGIN = 1e-3
MOST_STEPS = 200
# The same for all classes makes no difference to a loss of rows nor, for some signs, to the L1 norm.
LASSO_RIDGE = 1e-9
MOST_GUESSES = 12
CENTRING = 3
# A working set of columns begins so loosely, and grows by so many columns at least.
LOOSE, FEWEST = 1e-2, 50


class AbsoluteValues:
    """
    A sum of ``weight * abs(r)``, r a linear function of the coefficients, on its way to the minimum.

    abs(r) is the least p + m where r = p - m and both are >= 0. The dual variable u of that equation is the derivative
    by r; at the minimum p (1 - u) = m (1 + u) = 0, on the way all of these products are about the same. They count
    with the weight: a row of weight 2 goes the way of two rows.
    """

    du: np.ndarray
    dp: np.ndarray
    dm: np.ndarray

    def __init__(self, weight: np.ndarray, scale: Any, r: np.ndarray) -> None:
        """`scale`: the size of r that is to be expected."""
        self.weight, self.scale, self.live = weight, scale, weight > 0
        # 1 - u and 1 + u, each to its last digit.
        self.of_p, self.of_m = np.ones(r.shape), np.ones(r.shape)
        self.p, self.m = np.maximum(r / scale, 0) + 1, np.maximum(-r / scale, 0) + 1

    def at(self, r: np.ndarray) -> np.ndarray:
        """Begin a step at r; return the curvature by r."""
        self.r = r / self.scale
        self.d = self.live / (self.p / self.of_p + self.m / self.of_m)
        return np.asarray(self.weight * self.d / self.scale)

    def aim(self, goal: float, corrected: bool) -> np.ndarray:
        """Set what the products should become; return the derivative by r that the step starts with."""
        self.goal_p = self.goal_m = np.asarray(goal)
        if corrected:
            # What the first try would leave over, for the products are not linear.
            self.goal_p, self.goal_m = goal + self.dp * self.du, goal - self.dm * self.du
        self.rho = self.r - self.goal_p / self.of_p + self.goal_m / self.of_m
        return np.asarray(self.weight * (self.u + self.d * self.rho))

    def move(self, dr: np.ndarray) -> float:
        """Set the step that goes with a change of r; return how much of it can be made."""
        self.du = self.d * (dr / self.scale + self.rho)
        self.dp = self.live * ((self.goal_p + self.p * self.du) / self.of_p - self.p)
        self.dm = self.live * ((self.goal_m - self.m * self.du) / self.of_m - self.m)
        pairs = ((self.p, self.dp), (self.m, self.dm), (self.of_p, -self.du), (self.of_m, self.du))
        return min(_longest(x, dx) for x, dx in pairs)

    def products(self, share: float) -> float:
        """The weighted sum of the products after so much of the step."""
        p, m = self.p + share * self.dp, self.m + share * self.dm
        products = p * (self.of_p - share * self.du) + m * (self.of_m + share * self.du)
        return float(np.sum(self.weight * self.scale * products))

    def make(self, share: float) -> None:
        """Take so much of the step."""
        self.of_p -= share * self.du
        self.of_m += share * self.du
        self.p += share * self.dp
        self.m += share * self.dm
        self.du = self.dp = self.dm = np.zeros(self.p.shape)

    def value(self, r: np.ndarray) -> float:
        """The sum itself."""
        return float(np.sum(self.weight * np.abs(r)))

    def gap(self, r: np.ndarray) -> float:
        """How far the sum is above the least that the dual variables allow."""
        return float(np.sum(self.weight * (np.abs(r) - self.u * r)))

    @property
    def u(self) -> np.ndarray:
        """The derivative by r."""
        return np.asarray(np.where(self.of_p < self.of_m, 1 - self.of_p, self.of_m - 1))

    @property
    def total(self) -> float:
        """The weight of all products."""
        return 2 * float(np.sum(self.weight * self.scale))

    @property
    def is_zero(self) -> np.ndarray:
        """Where r tends to 0, and not the distance of u from 1 or -1."""
        return np.asarray(self.live & (np.maximum(self.p, self.m) < np.minimum(self.of_p, self.of_m)))


class Maxima:
    """
    A sum of ``weight * max_j (z_j + margin [j != y])`` over rows, on its way to the minimum.

    The maximum is the least top with slacks s_j = top - z_j - margin [j != y] >= 0. The dual variables u_j >= 0 are the
    derivatives by z_j and sum to 1; at the minimum all s_j u_j = 0, on the way they are about the same.
    """

    ds: np.ndarray
    du: np.ndarray
    dtop: np.ndarray

    def __init__(self, weight: np.ndarray, scale: float, target: np.ndarray, margin: float, z: np.ndarray) -> None:
        """`weight` of shape (n, 1); `scale`: the size of z that is to be expected."""
        self.weight, self.scale, self.live = weight, scale, weight > 0
        self.shift = np.full(z.shape, margin / scale)
        self.shift[np.arange(len(z)), target] = 0.0
        line = z / scale + self.shift
        self.top = line.max(axis=1, keepdims=True) + 1
        self.s, self.u = self.top - line, np.full(z.shape, 1 / z.shape[1])

    def at(self, z: np.ndarray) -> np.ndarray:
        """Begin a step at z; return c, with which the curvature is diag(c) - c c' / sum(c)."""
        self.rest = self.top - (z / self.scale + self.shift) - self.s
        self.d = self.live * self.u / self.s
        self.sum = np.where(self.live, self.d.sum(axis=1, keepdims=True), 1.0)
        return np.asarray(self.weight * self.d / self.scale)

    def aim(self, goal: float, corrected: bool) -> np.ndarray:
        """As for absolute values."""
        self.q = ((goal - self.ds * self.du) if corrected else goal) / self.s - self.d * self.rest
        self.excess = (self.q.sum(axis=1, keepdims=True) - 1) / self.sum
        return np.asarray(self.weight * (self.q - self.d * self.excess))

    def move(self, dz: np.ndarray) -> float:
        """As for absolute values."""
        dz = dz / self.scale
        self.dtop = self.live * (self.excess + (self.d * dz).sum(axis=1, keepdims=True) / self.sum)
        self.du = self.live * (self.q - self.d * (self.dtop - dz) - self.u)
        self.ds = self.live * (self.dtop - dz + self.rest)
        return min(_longest(self.s, self.ds), _longest(self.u, self.du))

    def products(self, share: float) -> float:
        """As for absolute values."""
        products = (self.s + share * self.ds) * (self.u + share * self.du)
        return float(np.sum(self.weight * self.scale * products))

    def make(self, share: float) -> None:
        """As for absolute values."""
        self.s += share * self.ds
        self.u += share * self.du
        self.top += share * self.dtop
        self.ds = self.du = np.zeros(self.s.shape)

    def value(self, z: np.ndarray) -> float:
        """The sum itself."""
        largest = np.max(z + self.scale * self.shift, axis=1)
        return float(np.sum(self.weight[:, 0] * largest))

    def gap(self, z: np.ndarray) -> float:
        """As for absolute values."""
        line = z + self.scale * self.shift
        return float(np.sum(self.weight[:, 0] * (np.max(line, axis=1) - np.sum(self.u * line, axis=1))))

    @property
    def total(self) -> float:
        """The weight of all products."""
        return float(np.sum(self.weight) * self.scale * self.s.shape[1])


def _longest(x: np.ndarray, dx: np.ndarray) -> float:
    """How many times dx can be added to x > 0 before an element is 0."""
    falls = dx < 0
    return float(np.min(x[falls] / -dx[falls], initial=1e300))


class _Given(Scores):
    """Derivatives that are known for each row; keeps the scores."""

    def __init__(self, scores: Scores, gradient: np.ndarray, curvature: np.ndarray | None, z: np.ndarray) -> None:
        super().__init__(scores.loss, scores.target, None, scores.n_outputs)
        self.given, self.curvature, self.z = gradient, curvature, z
        self.is_coupled = scores.is_coupled

    def value_and_gradient(self, z: np.ndarray, rows: slice, out: np.ndarray) -> float:
        self.z[rows] = z
        out[:] = self.given[rows]
        return 0.0

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        assert self.curvature is not None
        c = self.curvature[rows]
        if not self.is_coupled:
            return c
        first, second = np.triu_indices(self.n_outputs)
        total = c.sum(axis=1, keepdims=True)
        return np.asarray(c[:, first] * ((first == second) - c[:, second] / np.where(total > 0, total, 1.0)))


def interior(
    mean: MeanLoss, theta: np.ndarray, problem: Any, tol: float, progress: Any, slopes: np.ndarray | None = None
) -> tuple[np.ndarray, float, float, float, str]:
    """
    Minimise a loss of `Kinks` or `RankKinks` with both penalties, between bounds; return what `Fit` is made of.

    The derivatives by the scores at the end, duals of the rows, go to `slopes`.

    Mehrotra's predictor and corrector; each step solves the normal equations of the coefficients, as Newton's method
    does.
    """
    scores = mean.scores
    assert isinstance(scores, (Kinks, RankKinks))
    l1, l2, limits, bounds = problem.l1, problem.l2, problem.limits * tol, problem.bounds
    n_rows, shape = mean.n_rows, mean.shape
    everything = slice(0, n_rows)
    weight = np.ones((n_rows, 1)) if scores.weight is None else scores.weight.reshape(n_rows, -1).astype(np.float64)
    z = np.empty((n_rows, shape[0]))
    nothing = np.zeros((n_rows, shape[0]), mean.x.dtype)

    def transposed(v: np.ndarray, at: np.ndarray) -> np.ndarray:
        """X' v; the scores X at go to z."""
        _, product = mean.with_scores(_Given(scores, v, None, z)).value_and_gradient(at)
        return product * mean.total

    spread = scores.spread
    if bounds is not None:
        theta = Box.inside(theta, bounds, spread)
    transposed(nothing, theta)
    offset = 0.0 if scores.offset is None else scores.offset.astype(np.float64)
    rows: list[Any]
    if isinstance(scores, Kinks):
        target = scores.target_of(everything, mean.x.dtype).astype(np.float64).reshape(n_rows, -1)
        parts, slope, constants = scores.parts(target)
        rows = [
            AbsoluteValues(np.broadcast_to(weight * height, z.shape), spread, z + offset - kink)
            for kink, height in parts
        ]
        kinks = [kink - offset for kink, _ in parts]
    else:
        slope, constants = -1.0 * (scores.target[:, None] == np.arange(shape[0])), 0.0
        rows = [Maxima(weight, spread, scores.target, scores.loss.parameters["margin"], z + offset)]
        kinks = [0.0 - offset]
    constant = float(np.sum(np.broadcast_to(weight * (constants + slope * offset), z.shape)))
    slope = np.broadcast_to(weight * slope, z.shape)
    amount = np.broadcast_to(l1 * mean.total, shape)
    of_coef = AbsoluteValues(amount, spread, theta)
    has_l1 = bool(np.any(l1))
    box = None if bounds is None else Box(mean.total, spread, bounds, theta)
    others: list[Any] = [of_coef] if has_l1 else []
    groups: list[Any] = [*rows, *others] if box is None else [*rows, *others, box]
    whole = sum(group.total for group in groups)
    ridge = l2 * mean.total
    goal_of_fit = max(MARGIN * tol, 64 * float(np.finfo(mean.x.dtype).eps))
    converged, centred = False, 0
    value = violation = gap = np.inf
    v = np.zeros(z.shape)
    for _ in range(MOST_STEPS):
        if progress.is_over:
            break
        curvature = sum(group.at(z - kink) for group, kink in zip(rows, kinks, strict=True))
        added = np.broadcast_to(ridge, shape).copy()
        if has_l1:
            added += of_coef.at(theta)
        if box is not None:
            added += box.at()
        given = _Given(scores, nothing, np.asarray(curvature), z)
        blocks = mean.with_scores(given).hessian(theta, "exact") * mean.total
        index = np.arange(blocks.shape[1])
        blocks[:, index, index] += added.reshape(len(blocks), -1)
        factors = [Factor(block) for block in blocks]
        now, goal, corrected = theta, goal_of_fit if converged else 0.0, False
        for attempt in range(1 if converged else 2):
            v = slope + sum(group.aim(goal, corrected) for group in rows)
            gradient = transposed(np.asarray(v), now) + ridge * now
            for group in groups[len(rows) :]:
                gradient += group.aim(goal, corrected)
            flat = gradient.reshape(len(blocks), -1)
            step = -np.stack([factor.solve(g) for factor, g in zip(factors, flat, strict=True)]).reshape(shape)
            if scores.is_coupled:
                # The same for all classes makes no difference to the loss, and there is nothing that would hold it.
                same = slice(mean.n_features if len(groups) > len(rows) else 0, None)
                step[:, same] -= step[:, same].mean(axis=0)
            transposed(nothing, step)
            share = min(group.move(z) for group in rows)
            for group in groups[len(rows) :]:
                share = min(share, group.move(step))
            if attempt == 0 and not converged:
                before = sum(group.products(0.0) for group in groups) / whole
                share = min(1.0, share)
                after = sum(group.products(share) for group in groups) / whole
                goal, corrected = before * max(after / before, 0.0) ** 3, True
        share = min(1.0, 0.995 * share)
        if not share > 1e-8:
            break
        for group in groups:
            group.make(share)
        theta = theta + share * step
        left = sum(group.products(0.0) for group in groups) / whole
        v = slope + sum(group.weight * group.u for group in rows)
        gradient = transposed(np.asarray(v), theta) + ridge * theta
        if has_l1:
            gradient += amount * of_coef.u
        if box is not None:
            gradient += box.force
        violation = float(np.max(np.abs(gradient) / np.maximum(limits * mean.total, 1e-300)))
        value = constant + float(np.vdot(slope, z)) + 0.5 * float(np.sum(ridge * theta**2))
        value += sum(group.value(z - kink) for group, kink in zip(rows, kinks, strict=True))
        value += float(np.sum(amount * np.abs(theta)))
        progress.add(value / mean.total, max(violation, left / goal_of_fit))
        # Of several minima all of these steps but the last few know only the neighbourhood: those lead to its centre.
        centred += converged
        gap = sum(group.gap(z - kink) for group, kink in zip(rows, kinks, strict=True))
        if has_l1:
            gap += of_coef.gap(theta)
        if box is not None:
            gap += box.gap
        # And what the rest of the gradient may bring: as far as L2 lets it, or about as far as theta is from 0.
        rest = np.abs(gradient) / mean.total
        with np.errstate(divide="ignore", invalid="ignore"):
            brings = np.where(l2 > 0, np.square(rest) / (2 * l2), rest * (np.abs(theta) + spread))
        gap = gap / mean.total + float(np.sum(brings))
        near = gap <= tol * abs(value) / mean.total + tol**2 * spread
        if not converged and left <= goal_of_fit and violation <= 1 and near:
            converged, goal_of_fit = True, left
        if centred == CENTRING:
            break
    if slopes is not None:
        slopes[:] = v
    theta = np.where(of_coef.is_zero, 0.0, theta) if has_l1 else theta
    theta = theta if box is None else box.rounded(theta)
    stopped = "" if converged else "max_iter is reached" if progress.is_over else "its steps have become too short"
    return theta, value / mean.total, violation, gap, stopped


def by_columns(
    mean: MeanLoss, theta: np.ndarray, problem: Any, tol: float, progress: Any, most: int
) -> tuple[np.ndarray, float, float, float, str] | None:
    """
    As `interior` where an L1 norm holds very many columns: in working sets of them, of at most `most` coefficients.

    The duals of the rows say which columns are missing. Scaled until the norm holds all columns they are a point of the
    dual problem, whose value is linear in them: a share of the objective is what missing columns may bring. None where
    more columns are in use.
    """
    n, width, l1, l2 = mean.n_features, mean.shape[1], problem.l1, problem.l2
    outputs = mean.shape[0] if mean.scores.is_coupled else 1
    z, slopes = np.zeros((mean.n_rows, mean.shape[0])), np.zeros((mean.n_rows, mean.shape[0]))
    moves, near = mean.columns.moves, max(tol, LOOSE)
    # Without an intercept there have to be some columns, whichever they are.
    first = np.arange(n) < (0 if mean.fit_intercept else FEWEST)
    working = np.flatnonzero(np.any(theta[:, :n] != 0, axis=0) | first)
    while True:
        sub, columns = mean.x[:, working], mean.columns
        places = np.append(working, np.arange(n, width))
        where = Columns(columns.centre[working], columns.spread[working])
        few = MeanLoss(sub, mean.scores, mean.fit_intercept, mean.executor, where)
        few.examine = mean.examine
        part = replace(problem, l1=l1[places], l2=l2[places], limits=problem.limits[:, places])
        start = np.zeros((len(theta), len(places)))
        start[:, len(working) :] = theta[:, n:]
        end, value, violation, gap, stopped = interior(few, start, part, near, progress, slopes)
        theta = np.zeros_like(theta)
        theta[:, places] = end
        given = mean.with_scores(_Given(mean.scores, slopes.astype(mean.x.dtype), None, z))
        size = np.abs(given.value_and_gradient(theta)[1][:, :n]) * moves
        size[:, working] = 0.0
        excess = np.maximum(size - l1[:n], 0.0)
        scaled = float(np.min(l1[:n] / np.maximum(size, 1e-300), where=size > l1[:n], initial=1.0))
        gap = scaled * gap + (1 - scaled) * abs(value)
        missing = np.max(excess / problem.limits[:, :n], axis=0) / near
        violation = max(violation, float(np.max(missing, initial=0.0)))
        if progress.is_over or (stopped and near == tol):
            return theta, value, violation, gap, stopped or "max_iter is reached"
        add = np.flatnonzero(missing > 1)
        if not len(add):
            if near == tol:
                return theta, value, violation, gap, stopped
            near = tol
            continue
        kept = np.flatnonzero(np.any(theta[:, :n] != 0, axis=0))
        room = max(FEWEST, len(kept))
        add = add[np.argsort(-missing[add], kind="stable")[:room]]
        working = np.union1d(working, add)
        if outputs * (len(working) + 1) > most:
            return None


def lasso(matrix: np.ndarray, linear: np.ndarray, l1: np.ndarray, x: np.ndarray) -> np.ndarray:
    """
    Return the x that minimises x' matrix x / 2 - linear' x + sum l1 abs(x).

    Guess signs, solve, and guess again by what came out: right after a few rounds if x is near, else it may go in
    circles. Then interior points lead near. All in coordinates in which the matrix has a diagonal of ones.
    """
    diagonal = np.einsum("ii->i", matrix)
    root = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    matrix = matrix / root[:, None] / root
    linear, l1, x = linear / root, l1 / root, x * root
    index = np.arange(len(x))
    matrix[index, index] = 1 + LASSO_RIDGE
    slack = 1e-13 * (np.max(np.abs(linear)) + np.max(l1))
    found = lasso_by_guessing(matrix, linear, l1, x, slack)
    if found is not None:
        return found / root
    x = np.zeros_like(x)
    group = AbsoluteValues(l1, float(np.max(np.abs(linear), initial=1e-300)), x)
    for _ in range(60):
        normal = matrix.copy()
        normal[index, index] += group.at(x)
        factor = Factor(normal)
        goal = 0.0
        for corrected in (False, True):
            step = -factor.solve(matrix @ x - linear + group.aim(goal, corrected))
            share = min(1.0, group.move(step))
            if not corrected:
                before = group.products(0.0) / group.total
                goal = before * max(group.products(share) / group.total / before, 0.0) ** 3
        group.make(min(1.0, 0.995 * share))
        x = x + min(1.0, 0.995 * share) * step
        if before < 1e-10:
            break
    x = np.where(group.is_zero, 0.0, x)
    found = lasso_by_guessing(matrix, linear, l1, x, slack)
    return (x if found is None else found) / root


def lasso_by_guessing(
    matrix: np.ndarray, linear: np.ndarray, l1: np.ndarray, x: np.ndarray, slack: float
) -> np.ndarray | None:
    """Return the minimum that guesses of signs lead to from x, or None; derivatives may be wrong by `slack`."""
    diagonal, room = matrix.ravel()[:: len(matrix) + 1], l1 + slack
    # A row of zeros has nothing to say.
    free = (l1 == 0) & (diagonal > 0)
    residual = linear - matrix @ x
    for _ in range(MOST_GUESSES):
        pull = residual + diagonal * x
        support = ((np.abs(pull) > room) | free).nonzero()[0]
        sign = np.sign(pull[support])
        at, some = l1[support], matrix[support].take(support, axis=1)
        found, failed = sign, 0
        if len(support):
            _, found, failed = dposv(some, linear[support] - at * sign, lower=1)
        if failed:
            return None
        x = np.zeros_like(x)
        x[support] = found
        residual = linear - matrix @ x
        outside = np.abs(residual) > room
        outside[support] = False
        if not outside.any() and not ((found * sign < 0) & (at > 0)).any():
            return x
    return None
