"""Coordinate descent on columns, for L1 norms: working sets, Newton's models, extrapolation (Massias et al. 2020).

A round takes the gradient by all coordinates and chooses a working set: the columns in use and those that are furthest
from where they should be. On these, and no others, models of second order are minimised column by column until they
are as good as the rest. It ends by the gradient of all columns; nothing of the size columns by columns is ever made.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import LinAlgError, solve

import fastloss as fl

from .._kernels import Columns as Kernels
from ._algebra import Factor
from ._objective import BLOCK_BYTES, MeanLoss

if TYPE_CHECKING:
    from ._solvers import Fit, Objective, Progress

# The first working set has so many columns, and each so many times as many as are in use.
FEWEST, GROWTH = 100, 2
# A round ends with so much of the violation of all columns, each of its models with so much of that.
OF_ROUND, OF_MODEL = 0.1, 0.1
MOST_MODELS, MOST_EPOCHS = 30, 2000
# Iterates that an extrapolation is made of.
REMEMBERED = 5
# Numbers of X that take longer than the hand-over from thread to thread.
WORTH_THREADS = 1 << 19
EPSILON = float(np.finfo(np.float64).eps)
# So many steps through the columns in use, or numbers in them, are as dear as their matrix.
WORTH_A_JUMP, MOST_USED = 8.0, 1500
# Coordinates that may come to 0 on the way there.
MOST_STOPS = 30
# Rounds that may bring nothing before the fit gives up.
PATIENCE = 3
# After so many passes over all columns those are left out that are sure to stay out, if one in so many is left.
PASSES, FEW = 2, 8
# Of columns that are looked at one in so many may be copied.
MOST_COPIED = 4
# Beside what is rounded in a product of a column.
SLACK = 1e-9


class _Columns:
    """Columns of X, dense or sparse."""

    executor: Any
    n_rows: int
    n_features: int
    kernels: Any
    # Of the last pass over all columns: the vectors of rows, and the products with them. How many passes there were.
    known: tuple[np.ndarray, np.ndarray] | None = None
    n_passes = 0
    _norms: np.ndarray | None = None

    def gradients(self, slopes: np.ndarray) -> np.ndarray:
        """The products of all centred columns, in units of their spread, with vectors of rows."""
        raise NotImplementedError

    def gradients_of(self, slopes: np.ndarray, which: np.ndarray) -> np.ndarray:
        """The same of some columns."""
        raise NotImplementedError

    def norms(self) -> np.ndarray:
        """The lengths of all centred columns in units of their spread."""
        raise NotImplementedError

    def take(self, which: np.ndarray) -> np.ndarray:
        """Make columns ready; return their numbers among what the kernels see."""
        raise NotImplementedError

    def beyond(self, slopes: np.ndarray, room: np.ndarray, used: np.ndarray) -> np.ndarray:
        """
        The products, but where they are sure to be less than `room`, and the column is not `used`, any that are less.

        A product with a vector is away from that with another by at most the distance of both times the length of the
        column. Few columns come near to their room between two passes over all of them.
        """
        if self.known is not None and self.known[0] is slopes:
            return self.known[1].copy()
        if self.known is not None and self.n_passes >= PASSES and self.known[0].shape == slopes.shape:
            if self._norms is None:
                self._norms = self.norms() * (1 + SLACK)
            before = self.known[1]
            away = np.sqrt(np.sum(np.square(slopes - self.known[0]), axis=1, keepdims=True))
            near = np.any(~(np.abs(before) + away * self._norms < room * (1 - SLACK)), axis=0) | used
            which = np.flatnonzero(near)
            if len(which) * FEW <= self.n_features:
                products = before.copy()
                products[:, which] = self.gradients_of(slopes, which)
                return products
        products = self.gradients(slopes)
        self.known, self.n_passes = (slopes, products), self.n_passes + 1
        return products.copy()


class _Sparse(_Columns):
    """Columns of a sparse X as they are: coordinates are coefficients."""

    def __init__(self, mean: MeanLoss) -> None:
        x = mean.x.tocsc()
        if not x.has_canonical_format:
            x = x.copy() if x is mean.x else x
            x.sum_duplicates()
        self.starts = x.indptr.astype(np.int64)
        self.kernels = Kernels(
            x.data.astype(np.float64, copy=False),
            x.shape[0],
            x.indices.astype(np.int32, copy=False),
            self.starts,
        )
        self.executor, (self.n_rows, self.n_features) = mean.executor, x.shape
        columns = mean.columns
        self.unit = np.where(columns.moves, columns.spread, 1.0)
        self.centre = columns.centre
        # Spans of about as many numbers each, for threads; few are done before these are awake.
        n_spans = 1 if len(x.data) < WORTH_THREADS else 8
        bounds = np.searchsorted(self.starts, np.linspace(0, self.starts[-1], n_spans + 1)[1:-1])
        self.bounds = [0, *(int(each) for each in bounds), self.n_features]

    def gradients(self, slopes: np.ndarray) -> np.ndarray:
        """As for all columns."""
        out = np.empty((len(slopes), self.n_features))
        spans = [slice(a, b) for a, b in zip(self.bounds, self.bounds[1:], strict=False) if a < b]

        def job(span: slice) -> None:
            for slope, row in zip(slopes, out, strict=True):
                self.kernels.products(slope, row[span], span.start)

        _run(self.executor, job, spans)
        out -= np.sum(slopes, axis=1, keepdims=True) * self.centre
        return np.divide(out, self.unit, out=out)

    def gradients_of(self, slopes: np.ndarray, which: np.ndarray) -> np.ndarray:
        """As for all columns."""
        out = np.empty((len(slopes), len(which)))
        for slope, row in zip(slopes, out, strict=True):
            self.kernels.products(slope, row, which=which)
        out -= np.sum(slopes, axis=1, keepdims=True) * self.centre[which]
        return np.asarray(np.divide(out, self.unit[which], out=out))

    def norms(self) -> np.ndarray:
        """As for all columns."""
        sums, squares = np.empty((2, self.n_features))
        self.kernels.moments(np.arange(self.n_features), np.ones(self.n_rows), sums, squares)
        of_centre = self.n_rows * np.square(self.centre)
        # Digits that cancel make them longer.
        away = np.maximum(squares - 2 * self.centre * sums + of_centre, 0.0) + SLACK * (squares + of_centre)
        return np.asarray(np.sqrt(away) / self.unit)

    def size_of(self, which: np.ndarray) -> int:
        """The numbers in some columns."""
        return int(np.sum(self.starts[which + 1] - self.starts[which]))

    def take(self, which: np.ndarray) -> np.ndarray:
        """Make columns ready; return their numbers among what the kernels see."""
        return which

    def shift_of(self, coordinates: np.ndarray) -> float:
        """What a constant has to add where the columns are not centred."""
        return -float(np.sum(coordinates / self.unit * self.centre))


class _Dense(_Columns):
    """Columns of a dense X, centred and in units of their spread, copied as they are needed."""

    def __init__(self, mean: MeanLoss) -> None:
        self.x, self.columns, self.executor = mean.x, mean.columns, mean.executor
        self.n_rows, self.n_features = mean.x.shape
        self.unit = np.ones(self.n_features)
        self.place = np.full(self.n_features, -1)
        self.copies = np.empty((0, self.n_rows))
        self.n_copied = 0
        self.kernels = Kernels(self.copies.ravel(), self.n_rows)
        self.is_plain = mean.x.dtype == np.float64 and not mean.columns.is_far
        step = max(16, (4 if self.is_plain else 1) * BLOCK_BYTES // (8 * self.n_rows))
        self.spans = [slice(at, at + step) for at in range(0, self.n_features, step)]

    def gradients(self, slopes: np.ndarray) -> np.ndarray:
        """As for all columns."""
        out = np.empty((len(slopes), self.n_features))
        total = np.sum(slopes, axis=1, keepdims=True)
        centre, spread = self.columns.centre, self.columns.spread

        def job(span: slice) -> None:
            x = self.x[:, span]
            if self.is_plain:
                out[:, span] = (slopes @ x - total * centre[span]) / spread[span]
            else:
                out[:, span] = slopes @ (x - centre[span]) / spread[span]

        _run(self.executor, job, self.spans)
        return out

    def gradients_of(self, slopes: np.ndarray, which: np.ndarray) -> np.ndarray:
        """As for all columns."""
        if self.n_copied + np.count_nonzero(self.place[which] < 0) > self.n_features // MOST_COPIED:
            return np.asarray(slopes @ (self.x[:, which] - self.columns.centre[which]) / self.columns.spread[which])
        place, out = self.take(which), np.empty((len(slopes), len(which)))
        for slope, row in zip(slopes, out, strict=True):
            self.kernels.products(slope, row, which=place)
        return out

    def norms(self) -> np.ndarray:
        """As for all columns."""
        out = np.empty(self.n_features)

        def job(span: slice) -> None:
            away = self.x[:, span] - self.columns.centre[span]
            out[span] = np.sqrt(np.einsum("ij,ij->j", away, away, dtype=np.float64)) / self.columns.spread[span]

        _run(self.executor, job, self.spans)
        return out

    def size_of(self, which: np.ndarray) -> int:
        """As for sparse columns."""
        return int(len(which) * self.n_rows)

    def take(self, which: np.ndarray) -> np.ndarray:
        """As for sparse columns."""
        new = which[self.place[which] < 0]
        if len(new):
            needed = self.n_copied + len(new)
            if needed > len(self.copies):
                larger = np.empty((max(needed, 2 * len(self.copies)), self.n_rows))
                larger[: self.n_copied] = self.copies[: self.n_copied]
                self.copies = larger
                self.kernels = Kernels(self.copies.ravel(), self.n_rows)
            x = self.x[:, new].T.astype(np.float64)
            x -= self.columns.centre[new, None]
            x /= self.columns.spread[new, None]
            self.copies[self.n_copied : needed] = x
            self.place[new] = np.arange(self.n_copied, needed)
            self.n_copied = needed
        return np.asarray(self.place[which])

    def shift_of(self, coordinates: np.ndarray) -> float:
        """They are centred."""
        return 0.0


def _run(executor: Any, job: Any, spans: list[slice]) -> None:
    for _ in map(job, spans) if executor is None or len(spans) == 1 else executor.map(job, spans):
        pass


class _Point:
    """Coordinates with the scores of all rows, of shape (outputs, rows), and what the loss is there."""

    def __init__(self, theta: np.ndarray, z: np.ndarray, loss: float, value: float, slope: np.ndarray) -> None:
        """`loss`: the value without the penalty."""
        self.theta, self.z, self.loss, self.value, self.slope = theta, z, loss, value, slope


class _Descent:
    """An objective seen from its columns, in whose own units all is that has the length of a working set."""

    def __init__(self, objective: Objective) -> None:
        self.objective, self.mean = objective, objective.mean
        mean = self.mean
        if mean.by_columns.get("columns") is None:
            mean.by_columns["columns"] = _Sparse(mean) if mean.is_sparse else _Dense(mean)
        self.x: _Sparse | _Dense = mean.by_columns["columns"]
        self.n, self.scores = mean.n_features, mean.scores.in_double()
        unit = self.x.unit
        self.l1, self.l2 = objective.l1[: self.n] * unit, objective.l2[: self.n] * np.square(unit)
        self.limits = objective.limits[:, : self.n] * unit

    def point(self, theta: np.ndarray, z: np.ndarray) -> _Point:
        """The point of coordinates with these scores."""
        slope = np.empty_like(z)
        with np.errstate(all="ignore"):
            loss = self.scores.value_and_gradient(z.T, slice(0, self.mean.n_rows), slope.T) / self.mean.total
        slope /= self.mean.total
        return _Point(theta, z, loss, loss + self._penalty(theta), slope)

    def _penalty(self, theta: np.ndarray) -> float:
        return 0.5 * float(np.sum(self.objective.l2 * np.square(theta))) + self.objective.norm(theta)

    def start(self, theta: np.ndarray) -> _Point:
        """The point of coordinates alone."""
        scores, at = self.mean.by_columns.get("end", (None, None))
        if at is not None and at.theta is theta and scores is self.mean.scores:
            # Where the fit before ended.
            return _Point(theta, at.z, at.loss, at.loss + self._penalty(theta), at.slope)
        z = np.zeros((len(theta), self.mean.n_rows))
        if self.scores.offset is not None:
            z += self.scores.offset.T
        for coordinates, row in zip(theta, z, strict=True):
            if self.mean.fit_intercept:
                row += coordinates[-1] + self.x.shift_of(coordinates[: self.n])
            used = np.flatnonzero(coordinates[: self.n])
            which = self.x.take(used)
            self.x.kernels.scores(which, coordinates[used] / self.x.unit[used], row)
        return self.point(theta, z)

    def gradient(self, at: _Point) -> np.ndarray:
        """By all coordinates."""
        gradient = np.zeros(at.theta.shape)
        used = np.any(at.theta[:, : self.n] != 0, axis=0)
        room = np.where(self.mean.columns.moves, self.objective.l1[: self.n], np.inf)
        gradient[:, : self.n] = self.x.beyond(at.slope, room, used)
        if self.mean.fit_intercept:
            gradient[:, -1] = np.sum(at.slope, axis=1)
        if self.mean.examine is not None and not np.all(np.isfinite(gradient)):
            self.mean.examine()
        gradient[:, : self.n] *= self.mean.columns.moves
        return np.asarray(gradient + self.objective.l2 * at.theta)

    def working_sets(self, theta: np.ndarray, excess: np.ndarray, size: int) -> list[np.ndarray]:
        """The columns in use by each output and the `size` that have the largest excess beside them."""
        used = theta[:, : self.n] != 0
        excess = np.where(used, 0.0, excess)
        far = np.flatnonzero(excess)
        if len(far) > size:
            far = far[np.argpartition(-excess.ravel()[far], size)[:size]]
        used.ravel()[far] = True
        return [np.flatnonzero(each) for each in used]

    def gap(self, at: _Point, gradient: np.ndarray) -> float:
        """
        How far the value is at most above the minimum of a convex loss that is not negative, or inf.

        Scaled by s until the penalty allows it, the slope is a point of the dual problem, and the conjugate of the loss
        is there at most s times what it is at the slope itself. With L2 its curvature says it.
        """
        by_curvature = self.objective.gap(at.theta, gradient)
        if np.any(self.objective.l2) or np.any(at.theta[:, : self.n][:, self.objective.l1[: self.n] == 0]):
            return by_curvature
        norm, n = self.objective.norm(at.theta), self.n
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(gradient[:, :n] != 0, self.objective.l1[:n] / np.abs(gradient[:, :n]), np.inf)
        s = min(1.0, float(np.min(room, initial=1.0)))
        gap = (1 - s) * (at.value - norm) + norm + s * float(np.vdot(at.theta, gradient))
        return min(by_curvature, max(gap, 0.0))


class _Models:
    """One quadratic model for each output, of a working set each: none knows of the others."""

    def __init__(self, of: _Descent, at: _Point, working: list[np.ndarray]) -> None:
        self.of, self.at, self.working = of, at, working
        x = of.x
        self.which = [x.take(each) for each in working]
        self.kernels = x.kernels
        self.starts = [row[each] / x.unit[each] for row, each in zip(at.theta, working, strict=True)]
        self.firsts = [np.empty(len(each)) for each in working]
        for which, slope, first in zip(self.which, at.slope, self.firsts, strict=True):
            self.kernels.products(slope, first, which=which)

    def violation(self) -> float:
        """The largest one of the working sets and the intercepts."""
        of, largest = self.of, 0.0
        for k, (columns, start, first) in enumerate(zip(self.working, self.starts, self.firsts, strict=True)):
            gradient, l1 = first + of.l2[columns] * start, of.l1[columns]
            excess = np.where(start != 0, np.abs(gradient + l1 * np.sign(start)), np.abs(gradient) - l1)
            largest = max(largest, float(np.max(excess / of.limits[k, columns], initial=0.0)))
            if of.mean.fit_intercept:
                largest = max(largest, abs(float(np.sum(self.at.slope[k]))) / of.objective.limits[k, -1])
        return largest

    def minimise(self, curvature: np.ndarray, probability: np.ndarray | None, goal: float) -> float:
        """
        Set `steps` of columns and `shifts` of constants; return how far value and slope say that it falls.

        `curvature` of shape (outputs, rows); with the softmax's probabilities, of that shape, outputs are coupled.
        """
        outputs = range(len(self.working))
        models = [self._model([k], curvature, None) for k in outputs] if probability is None else []
        if probability is not None:
            models = [self._model(list(outputs), curvature, probability)]
        executor = self.of.mean.executor
        size = sum(map(self.of.x.size_of, self.which))
        small = len(models) == 1 or size < WORTH_THREADS
        job = lambda model: model.minimise(goal, size // len(models))
        done = list(map(job, models) if executor is None or small else executor.map(job, models))
        ends = list(itertools.chain.from_iterable(each[0] for each in done))
        self.steps = [end - start for end, start in zip(ends, self.starts, strict=True)]
        self.shifts = np.concatenate([each[1] for each in done])
        falls = float(self.shifts @ np.sum(self.at.slope, axis=1))
        for columns, start, end, first in zip(self.working, self.starts, ends, self.firsts, strict=True):
            falls += float((first + self.of.l2[columns] * start) @ (end - start))
            falls += float(self.of.l1[columns] @ (np.abs(end) - np.abs(start)))
        return falls

    def _model(self, outputs: list[int], curvature: np.ndarray, probability: np.ndarray | None) -> _Model:
        of, of_columns = self.of, []
        h = curvature[outputs] / of.mean.total
        totals = np.sum(h, axis=1) if of.mean.fit_intercept else np.zeros(len(h))
        for k, of_rows, total in zip(outputs, h, totals, strict=True):
            columns = self.working[k]
            each = np.empty((5, len(columns)))
            each[:3] = of.l1[columns], of.l2[columns], of.limits[k, columns]
            self.kernels.moments(self.which[k], of_rows, each[3], each[4])
            if total > 0:
                each[4] -= np.square(each[3]) / total
            np.maximum(each[4], 0.0, out=each[4])
            of_columns.append(each)
        which, starts, firsts = ([all_of[k] for k in outputs] for all_of in (self.which, self.starts, self.firsts))
        return _Model(self.kernels, which, starts, firsts, of_columns, self.at.slope[outputs], h, totals, probability)

    def search(self, falls: float, noise: float) -> tuple[_Point | None, float]:
        """Go so far along the steps that the value falls; return the point and the share of the steps."""
        of, at = self.of, self.at
        change, dz = np.zeros(at.theta.shape), np.zeros(at.z.shape)
        for k, columns in enumerate(self.working):
            dz[k] = self.shifts[k]
            self.kernels.scores(self.which[k], self.steps[k], dz[k])
            change[k, columns] = self.steps[k] * of.x.unit[columns]
            if of.mean.fit_intercept:
                change[k, -1] = self.shifts[k] - of.x.shift_of(change[k, : of.n])
        share = 1.0
        while share > 1e-9:
            trial = of.point(at.theta + share * change, at.z + share * dz)
            if trial.value <= at.value + 1e-4 * share * falls + noise:
                return trial, share
            share *= 0.5 if np.isfinite(trial.value) else 0.1
        return None, 0.0


class _Model:
    """
    A quadratic model of one output or of coupled ones, coordinate descent on it, and extrapolation of that.

    The curvature by the scores of a row is h, or of coupled ones with probabilities p it is w (diag(p) - p p'), in
    which h are the diagonals: outputs take turns, and what all the others do to one is known from the mean of all
    changes, sum_k p_k d_k.
    """

    def __init__(
        self,
        kernels: Any,
        which: list[np.ndarray],
        starts: list[np.ndarray],
        firsts: list[np.ndarray],
        of_columns: list[np.ndarray],
        slopes: np.ndarray,
        h: np.ndarray,
        totals: np.ndarray,
        probability: np.ndarray | None,
    ) -> None:
        """`firsts`: derivatives of the loss by the coefficients at the start; `totals`: sums of h, or zeros."""
        self.kernels, self.which, self.starts, self.of_columns = kernels, which, starts, of_columns
        self.slopes, self.h, self.totals, self.p = slopes, h, totals, probability
        self.first, self.start = np.concatenate(firsts), np.concatenate(starts)
        self.l1, self.l2 = (np.concatenate([each[i] for each in of_columns]) for i in (0, 1))
        self.bounds = np.cumsum([len(start) for start in starts])[:-1]
        if probability is not None:
            # Of rows that are sure of their class there is no curvature, and nothing to divide.
            own = np.sum(probability * (1 - probability), axis=0)
            self.w = np.sum(h, axis=0) / np.maximum(own, 1e-300)
            self.wp = probability * self.w

    def minimise(self, goal: float, size: int) -> tuple[list[np.ndarray], np.ndarray]:
        """Return the coefficients and the shifts of the constants; `size`: the numbers of X that it goes through."""
        n = len(self.start)
        state = np.concatenate([self.start, np.zeros(len(self.h))])
        history = np.empty((REMEMBERED + 1, len(state)))
        self._place(state, None)
        spent = 0.0
        for epoch in range(MOST_EPOCHS):
            at = epoch % REMEMBERED
            if epoch and at == 0:
                spent += REMEMBERED * size
                used = int(np.count_nonzero(state[:n]))
                if spent * WORTH_A_JUMP >= len(self.h[0]) * used**2 and used <= MOST_USED:
                    self._jump(state)
                    spent = 0.0
                else:
                    history[-1] = state
                    self._extrapolate(history, state)
            history[at] = state
            coefs, shifts = np.split(state[:n], self.bounds), state[n:]
            if max(self._visit(k, coef, shifts) for k, coef in enumerate(coefs)) <= goal:
                break
        return np.split(state[:n], self.bounds), state[n:]

    def _visit(self, k: int, coef: np.ndarray, shifts: np.ndarray) -> float:
        before, shift = coef.copy(), float(shifts[k])
        slope = self.now[k]
        if self.p is not None:
            others = self.mean - self.p[k] * self.moved[k]
            slope -= self.wp[k] * (others - self.others[k])
            self.others[k] = others
        total = float(self.totals[k])
        if total > 0:
            shifts[k] = -float(np.sum(slope)) / total
        violation, shifts[k] = self.kernels.descend(
            self.which[k], coef, self.of_columns[k], slope, self.h[k], float(shifts[k]), total
        )
        if self.p is not None:
            step = np.full(len(slope), shifts[k] - shift)
            self.kernels.scores(self.which[k], coef - before, step)
            self.moved[k] += step
            self.mean += self.p[k] * step
        return float(violation)

    def _moves(self, state: np.ndarray) -> np.ndarray:
        """The changes of the scores."""
        n = len(self.start)
        moves = np.empty(self.h.shape)
        moves[:] = state[n:, None]
        for which, step, row in zip(self.which, np.split(state[:n] - self.start, self.bounds), moves, strict=True):
            self.kernels.scores(which, step, row)
        return moves

    def _place(self, state: np.ndarray, moves: np.ndarray | None) -> None:
        """Set what is kept of rows while the coordinates move."""
        shifts = state[len(self.start) :, None]
        self.now = self.slopes.copy() if moves is None else self.slopes + self.h * (moves - shifts)
        if self.p is not None:
            self.moved = np.zeros(self.h.shape) if moves is None else moves
            self.mean = np.sum(self.p * self.moved, axis=0)
            self.others = self.mean - self.p * self.moved
            self.now -= self.wp * self.others

    def _value(self, state: np.ndarray, moves: np.ndarray) -> float:
        """The model, but for a constant."""
        coef, shifts = state[: len(self.start)], state[len(self.start) :]
        value = float(self.first @ (coef - self.start)) + float(shifts @ np.sum(self.slopes, axis=1))
        if self.p is None:
            value += 0.5 * float(np.sum(self.h * np.square(moves)))
        else:
            distance = moves - np.sum(self.p * moves, axis=0)
            value += 0.5 * float(np.sum(self.wp * np.square(distance)))
        return value + float(self.l1 @ np.abs(coef)) + 0.5 * float(self.l2 @ np.square(coef))

    def _jump(self, state: np.ndarray) -> None:
        """Go to the minimum of the model among the coordinates in use and their signs, if it is lower there."""
        n, n_rows, outputs = len(self.start), self.h.shape[1], range(len(self.h))
        coefs, shifts = np.split(state[:n], self.bounds), state[n:]
        moves = self._moves(state)
        slopes = self.slopes + self.h * moves
        if self.p is not None:
            slopes -= self.wp * (np.sum(self.p * moves, axis=0) - self.p * moves)
        used = [np.flatnonzero(coef) for coef in coefs]
        rows, right, free, at = [], [], [], 0
        matrix = np.zeros((sum(map(len, used)) + len(self.h),) * 2)
        for k in outputs:
            x = np.zeros((len(used[k]) + 1, n_rows))
            for j, row in zip(self.which[k][used[k]], x, strict=False):
                self.kernels.scores(np.array([j]), np.ones(1), row)
            coef = coefs[k][used[k]]
            l1, l2 = self.of_columns[k][:2, used[k]]
            # Where there is no constant its row is zero, and Factor leaves it out.
            x[-1] = self.totals[k] > 0
            right.append(x @ slopes[k])
            right[-1][:-1] += l1 * np.sign(coef) + l2 * coef
            free.append(np.append(l1 == 0, True))
            part = slice(at, at + len(x))
            matrix[part, part] = (x * (self.h[k] if self.p is None else self.wp[k])) @ x.T
            np.einsum("ii->i", matrix[part, part])[:-1] += l2
            if self.p is not None:
                rows.append(x * (np.sqrt(self.w) * self.p[k]))
            at += len(x)
        if self.p is not None:
            along = np.concatenate(rows)
            matrix -= along @ along.T
        np.einsum("ii->i", matrix)[:] = np.maximum(np.einsum("ii->i", matrix), 0.0)
        flat = np.concatenate([np.append(coef[each], 0.0) for coef, each in zip(coefs, used, strict=True)])
        flat = _within_signs(matrix, np.concatenate(right), flat, np.concatenate(free))
        end, at = state.copy(), 0
        for k, of_output in zip(outputs, np.split(end[:n], self.bounds), strict=True):
            m = len(used[k])
            of_output[used[k]] = flat[at : at + m]
            end[n + k] = shifts[k] + flat[at + m]
            at += m + 1
        there = self._moves(end)
        if self._value(end, there) < self._value(state, moves):
            state[:] = end
            self._place(end, there)

    def _extrapolate(self, history: np.ndarray, state: np.ndarray) -> None:
        """Go to the combination of iterates that moves least, if the model is lower there."""
        differences = np.diff(history[:, : len(self.start)], axis=0)
        products = differences @ differences.T
        size = float(np.trace(products))
        if not 0 < size < np.inf:
            return
        products += 1e-12 * size * np.eye(len(products))
        try:
            share = solve(products, np.ones(len(products)), assume_a="pos", check_finite=False)
        except LinAlgError:
            return
        mixed = share / np.sum(share) @ history[1:]
        moves = self._moves(mixed)
        if self._value(mixed, moves) < self._value(state, self._moves(state)):
            state[:] = mixed
            self._place(mixed, moves)


def _within_signs(matrix: np.ndarray, gradient: np.ndarray, x: np.ndarray, free: np.ndarray) -> np.ndarray:
    """
    Return x moved towards the minimum of a quadratic function as far as no element that is not free changes its sign.

    One that comes to 0 stays there, and the others go on.
    """
    x, gradient, stays = x.copy(), gradient.copy(), np.zeros(len(x), bool)
    for _ in range(MOST_STOPS):
        moving = np.flatnonzero(~stays)
        try:
            step = -Factor(matrix[np.ix_(moving, moving)]).solve(gradient[moving])
        except LinAlgError:
            break
        crosses = ~free[moving] & ((x[moving] + step) * x[moving] <= 0)
        room = np.full(len(moving), np.inf)
        room[crosses] = x[moving][crosses] / -step[crosses]
        share = min(1.0, float(np.min(room, initial=np.inf)))
        x[moving] += share * step
        gradient += share * matrix[:, moving] @ step
        if not np.any(crosses):
            break
        at_zero = moving[room <= share]
        x[at_zero], stays[at_zero] = 0.0, True
    return x


def descend(objective: Objective, theta: np.ndarray, progress: Progress) -> Fit:
    """Minimise with an L1 norm."""
    from ._solvers import OUT_OF_DIGITS, OUT_OF_STEPS, Fit

    problem = _Descent(objective)
    everything, coupled = slice(0, objective.mean.n_rows), objective.mean.scores.is_coupled
    at, size, failures, caution = problem.start(theta), FEWEST, 0, 1.0
    while True:
        gradient = problem.gradient(at)
        subgradient = np.abs(objective.subgradient(at.theta, gradient))
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.where(subgradient > 0, subgradient / objective.limits, 0.0)
        violation = float(np.max(excess)) if np.all(np.isfinite(gradient)) else np.inf
        size = max(size, (GROWTH - 1) * int(np.count_nonzero(at.theta[:, : problem.n])))
        working = problem.working_sets(at.theta, excess[:, : problem.n], size)
        goal, gap, moved = max(OF_ROUND * violation, 0.1), np.inf, False
        noise = 8 * EPSILON * abs(at.value)
        for i in range(MOST_MODELS):
            models = _Models(problem, at, working)
            if i and models.violation() <= goal:
                break
            cautious = caution > 1
            with np.errstate(all="ignore"):
                if coupled:
                    h = caution * problem.scores.diagonal(at.z.T, everything)
                else:
                    h = problem.scores.hessian(at.z.T, everything, "majorize" if cautious else "psd")
            h = np.ascontiguousarray(h.T, dtype=np.float64)
            p = np.ascontiguousarray(fl.softmax(at.z.T).T) if coupled else None
            falls = min(models.minimise(h, p, OF_MODEL * goal), 0.0)
            if i == 0:
                gap = problem.gap(at, gradient) if cautious else -falls
                if violation <= 1 and gap <= objective.goal(at.value):
                    objective.mean.by_columns["end"] = objective.mean.scores, at
                    return Fit(at.theta, at.value, violation, gap)
            if progress.is_over:
                return Fit(at.theta, at.value, violation, gap, OUT_OF_STEPS)
            found, share = models.search(falls, noise)
            if found is None:
                caution = 2.0
                break
            caution = 2.0 if share < 0.6 else 1.0
            moved = moved or found.value < at.value
            at = found
            progress.add(at.value, violation)
        failures = 0 if moved else failures + 1
        if failures >= PATIENCE:
            return Fit(at.theta, at.value, violation, gap, "" if gap <= noise else OUT_OF_DIGITS)
