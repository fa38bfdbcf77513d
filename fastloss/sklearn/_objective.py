"""The mean loss of linear scores, with gradient and Hessian, in one pass over X.

X goes through block by block: a block's scores, their loss and the block's part of the gradient follow one another
while the block is in cache. Blocks form spans, each with sums of its own, which threads take one by one and which are
added up in their order: the partition follows from shapes alone, so the bits do not depend on the number of threads.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastloss as fl

from .._kernels import Columns as Kernels

# A block is read from memory once and found in the last cache for the gradient. Less, and threads wait for each other
# to hand over the interpreter: 1 MB took 1.7 times as long with 1,000 features.
BLOCK_BYTES = 1 << 22
# Products for the Hessian of some rows, in half of a core's own cache.
PRODUCT_BYTES = 1 << 20
# Enough for threads of different speed, and little memory for their sums.
MOST_SPANS, SPAN_BYTES = 16, 16 << 20
# Rows of a block in a sample of the rows: short, for neighbours may be alike.
SAMPLE_ROWS = 256
# Rows and elements of a dense X that say where its columns lie.
ROWS_FOR_COLUMNS, ELEMENTS_FOR_COLUMNS = 1 << 14, 1 << 21
# Beyond so many spreads from 0 the digits of a column cancel, and blocks are centred before they are multiplied.
FAR = 16.0
# A product of two numbers of a sparse row takes as long as so many of dense ones.
SPARSE_PRODUCT = 16
# Rows of which fewer than one in so many have a second derivative are picked before they are multiplied.
FEW = 4
# Below, a sum of squares has lost digits.
SMALLEST = 1e-290


class Scores:
    """
    The loss of scores of shape (rows, outputs): summed value, gradient and Hessian of any range of rows.

    `weight` holds what the rows count, or what each output of them does, of shape (rows, outputs), or None. The Hessian
    has one column per output; if `is_coupled`, it is the upper triangle of the outputs' full matrix.
    """

    is_coupled = False
    # What is added to the scores of each row, of shape (rows, outputs), before they come here.
    offset: np.ndarray | None = None
    # How far the losses of rows lie from each other, where their mean may be 0 by chance and says nothing of its size.
    unit = 0.0

    def __init__(self, loss: Any, target: np.ndarray, weight: np.ndarray | None, n_outputs: int) -> None:
        self.loss, self.target, self.weight, self.n_outputs = loss, target, weight, n_outputs

    def in_double(self) -> Scores:
        """The same with targets and weights of double precision."""
        same = copy.copy(self)
        if same.target.dtype.kind == "f":
            same.target = same.target.astype(np.float64, copy=False)
        if same.weight is not None:
            same.weight = same.weight.astype(np.float64, copy=False)
        return same

    def weight_of(self, rows: slice) -> Any:
        """The weights of rows, in a shape that broadcasts to their scores."""
        if self.weight is None:
            return None
        of_rows = self.weight[rows]
        return of_rows if self.n_outputs == 1 or of_rows.ndim == 2 else of_rows[:, None]

    def target_of(self, rows: slice, dtype: np.dtype) -> np.ndarray:
        """The targets of rows, in a shape that broadcasts to their scores."""
        return np.asarray(self.target[rows])

    def total_weight(self, rows: slice) -> float:
        """What a sum over rows is divided by."""
        if self.weight is None:
            return float(rows.stop - rows.start)
        # Where labels are missing, each column weighs as much as all rows.
        return float(np.sum(self.weight[rows])) / (self.n_outputs if self.weight.ndim == 2 else 1)

    def value_and_gradient(self, z: np.ndarray, rows: slice, out: np.ndarray) -> float:
        """The sum of the losses of rows; the gradient goes to `out`."""
        if self.n_outputs == 1:
            z, out = z[:, 0], out[:, 0]
        weight = self.weight_of(rows)
        value, _ = self.loss.value_and_gradient(
            z, self.target_of(rows, z.dtype), sample_weight=weight, reduction="sum", gradient_out=out
        )
        return float(value)

    def diagonal(self, z: np.ndarray, rows: slice) -> np.ndarray:
        """The psd second derivatives by each score alone."""
        return self.hessian(z, rows, "psd")

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        """The weighted second derivatives, one row for each row."""
        z = z[:, 0] if self.n_outputs == 1 else z
        weight = self.weight_of(rows)
        _, hessian = self.loss.gradient_and_hessian(
            z, self.target_of(rows, z.dtype), sample_weight=weight, reduction="sum", curvature=curvature
        )
        return np.asarray(hessian.reshape(len(z), -1))


class OneAgainstRest(Scores):
    """Each class against all others: class indices become a row of zeros and a one when their turn comes."""

    def target_of(self, rows: slice, dtype: np.dtype) -> np.ndarray:
        """One for the row's class, zero for the others."""
        return np.asarray(self.target[rows, None] == np.arange(self.n_outputs), dtype=dtype)


class Rows(Scores):
    """A loss of whole rows with one score per class."""

    is_coupled = True

    def weight_of(self, rows: slice) -> Any:
        """One weight per row."""
        return None if self.weight is None else self.weight[rows]

    def total_weight(self, rows: slice) -> float:
        """Class indices weigh what their class does, as everywhere in this package."""
        class_weight = self.loss.parameters.get("class_weight")
        if class_weight is None or self.target.ndim == 2:
            return super().total_weight(rows)
        weight = class_weight[self.target[rows]]
        return float(np.sum(weight if self.weight is None else weight * self.weight[rows]))

    def diagonal(self, z: np.ndarray, rows: slice) -> np.ndarray:
        """Without the packed matrices, which take K times the memory."""
        _, diagonal = self.loss.gradient_and_hessian(
            z, self.target[rows], sample_weight=self.weight_of(rows), reduction="sum", curvature="psd"
        )
        return np.asarray(diagonal)

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        """The packed matrices; one that majorizes is not known and psd takes its place."""
        curvature = "psd" if curvature == "majorize" else curvature
        packed: np.ndarray = self.loss.packed_hessian(
            z, self.target[rows], sample_weight=self.weight_of(rows), reduction="sum", curvature=curvature
        )
        return packed


class SeveralNumbers(Rows):
    """A loss of several numbers a row, such as the parameters of a distribution, with one score for each."""

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        """
        The packed matrices.

        What is expected of them, if anything, takes the place of psd, whose matrices are diagonal: it is never
        negative, and stays so with the larger of the two diagonals, with which steps do not go too far.
        """
        options: dict[str, Any] = {"sample_weight": self.weight_of(rows), "reduction": "sum"}
        target = self.target[rows]
        if curvature in ("exact", "fisher") or "fisher" not in self.loss.curvatures:
            curvature = "psd" if curvature == "majorize" else curvature
            return np.asarray(self.loss.packed_hessian(z, target, curvature=curvature, **options))
        packed: np.ndarray = self.loss.packed_hessian(z, target, curvature="fisher", **options)
        first, second = np.triu_indices(self.n_outputs)
        packed[:, first == second] = np.maximum(packed[:, first == second], self.diagonal(z, rows))
        return packed


class TwoClasses(Rows):
    """A loss of rows with the scores 0 and z: softmax needs but one for two classes."""

    is_coupled = False

    def diagonal(self, z: np.ndarray, rows: slice) -> np.ndarray:
        """The only one."""
        return self.hessian(z, rows, "psd")

    def value_and_gradient(self, z: np.ndarray, rows: slice, out: np.ndarray) -> float:
        """As for rows."""
        both = _with_zero(z)
        value, _ = self.loss.value_and_gradient(
            both, self.target[rows], sample_weight=self.weight_of(rows), reduction="sum", gradient_out=both
        )
        out[:] = both[:, 1:]
        return float(value)

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        """The entry of the second score."""
        hessian: np.ndarray
        _, hessian = self.loss.gradient_and_hessian(
            _with_zero(z), self.target[rows], sample_weight=self.weight_of(rows), reduction="sum", curvature=curvature
        )
        return np.asarray(hessian[:, 1:])


def _with_zero(z: np.ndarray) -> np.ndarray:
    both = np.zeros((len(z), 2), z.dtype)
    both[:, 1:] = z
    return both


def _with_offset(scores: Scores, offset: np.ndarray | None) -> Scores:
    scores.offset = offset
    return scores


class Kinks(Scores):
    """
    A pointwise loss that is a sum of absolute values and a linear function, with its kinks rounded.

        l(z) = sum_c a_c abs(z - k_c) + b z + constant

    abs(r) becomes `huber(r, delta=width) / width`, which is lower by at most ``width / 2`` and has the same slope
    beyond the width. As the width goes to 0 the minimum goes to that of the loss itself.
    """

    def __init__(
        self,
        loss: Any,
        target: np.ndarray,
        weight: np.ndarray | None,
        n_outputs: int,
        width: float,
        spread: float,
        one_hot: bool,
    ) -> None:
        super().__init__(loss, target, weight, n_outputs)
        self.width, self.spread, self.one_hot = width, spread, one_hot
        self.huber: Any = fl.Huber(delta=width)

    def target_of(self, rows: slice, dtype: np.dtype) -> np.ndarray:
        """The targets; of class indices ones and zeros."""
        target = self.target[rows]
        if isinstance(self.loss, fl.Quantiles) and self.n_outputs > 1:
            return np.asarray(target[:, None])
        return (target[:, None] == np.arange(self.n_outputs)).astype(dtype) if self.one_hot else target

    def parts(self, t: np.ndarray) -> tuple[list[tuple[Any, Any]], Any, Any]:
        """The kinks with the height of each, the slope and the constant."""
        loss = self.loss
        if isinstance(loss, fl.AbsoluteError):
            return [(t, 1.0)], 0.0, 0.0
        if isinstance(loss, fl.AbsolutePercentageError):
            return [(t, 1 / np.maximum(np.abs(t), t.dtype.type(loss.parameters["epsilon"])))], 0.0, 0.0
        if isinstance(loss, (fl.Quantile, fl.Quantiles)):
            slope = 0.5 - np.asarray(loss.parameters["q"], t.dtype)
            return [(t, 0.5)], slope, -slope * t
        if isinstance(loss, fl.EpsilonInsensitive):
            epsilon = loss.parameters["epsilon"]
            return [(t - epsilon, 0.5), (t + epsilon, 0.5)], 0.0, -epsilon
        # A hinge loss; for two classes MulticlassHinge is one, with its own margin.
        margin = t.dtype.type(loss.parameters.get("margin", 1.0))
        return [(margin, t / 2), (-margin, (1 - t) / 2)], 0.5 - t, margin / 2

    @property
    def exact(self) -> Scores:
        """The loss itself, which has no curvature."""
        scores: Any = OneAgainstRest if self.one_hot else TwoClasses if self.loss.kind == "rowwise" else Scores
        return _with_offset(scores(self.loss, self.target, self.weight, self.n_outputs), self.offset)

    def value_and_gradient(self, z: np.ndarray, rows: slice, out: np.ndarray) -> float:
        """Those of the rounded loss."""
        if self.n_outputs == 1:
            z, out = z[:, 0], out[:, 0]
        weight = self.weight_of(rows)
        kinks, slope, constant = self.parts(self.target_of(rows, z.dtype))
        line = slope * z + constant
        value = float(np.sum(line if weight is None else line * weight, dtype=np.float64))
        gradient = np.empty(z.shape, z.dtype)
        out[...] = slope if weight is None else slope * weight
        for kink, height in kinks:
            height = np.broadcast_to(height if weight is None else height * weight, z.shape)
            part, _ = self.huber.value_and_gradient(
                z, np.broadcast_to(kink, z.shape), sample_weight=height, reduction="sum", gradient_out=gradient
            )
            value += part / self.width
            gradient /= self.width
            out += gradient
        return value

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        """That of the rounded loss."""
        z = z[:, 0] if self.n_outputs == 1 else z
        weight = self.weight_of(rows)
        kinks, _, _ = self.parts(self.target_of(rows, z.dtype))
        total = np.zeros(z.shape, z.dtype)
        for kink, height in kinks:
            height = np.broadcast_to(height if weight is None else height * weight, z.shape)
            _, hessian = self.huber.gradient_and_hessian(
                z, np.broadcast_to(kink, z.shape), sample_weight=height, reduction="sum", curvature=curvature
            )
            total += hessian / self.width
        return np.asarray(total.reshape(len(z), -1))


class KinksOfColumns(SeveralNumbers):
    """
    `LaplaceNLL`, or `Quantiles` that cannot cross, with its kinks rounded: functions of absolute values of r.

    abs(r) becomes h = r^2 / (2 width) up to the width, and from there abs(r) - width / 2.
    """

    def __init__(
        self, loss: Any, target: np.ndarray, weight: np.ndarray | None, n_outputs: int, width: float, spread: float
    ) -> None:
        super().__init__(loss, target, weight, n_outputs)
        self.width, self.spread = width, spread

    def _rounded(self, r: np.ndarray, exactly: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """h and its derivatives; unless `exactly`, the curvature of the parabola above in place of the second."""
        width, size = r.dtype.type(self.width), np.abs(r)
        value = np.where(size < width, r * r / (2 * width), size - width / 2)
        second = (size < width) / width if exactly else 1 / np.maximum(size, width)
        return value, np.clip(r / width, -1, 1), second

    def _of_laplace(self, z: np.ndarray, t: np.ndarray, exactly: bool) -> tuple[np.ndarray, ...]:
        """Value, gradient and packed Hessian of s + h exp(-s) + log(2)."""
        e = np.exp(-z[:, 1])
        h, slope, second = self._rounded(z[:, 0] - t, exactly)
        of_scale = h * e if exactly else (1 + h * e) / 2
        mixed = -slope * e if exactly else np.zeros_like(e)
        return (
            z[:, 1] + h * e + z.dtype.type(np.log(2)),
            np.stack([slope * e, 1 - h * e], axis=1),
            np.stack([second * e, mixed, of_scale], axis=1),
        )

    def _of_steps(self, z: np.ndarray, t: np.ndarray, exactly: bool) -> tuple[np.ndarray, ...]:
        """The same of the sum of (1/2 - q) r + h / 2, where quantiles are sums of the softplus of scores."""
        x = self.loss.inverse_link(z)
        slope = 0.5 - np.asarray(self.loss.parameters["q"], z.dtype)
        h, first, second = self._rounded(x - t[:, None], exactly)
        step = 1 / (1 + np.exp(-z))
        step[:, 0] = 1
        # What comes after a score moves with it.
        above = np.cumsum((slope + first / 2)[:, ::-1], axis=1)[:, ::-1]
        bend = np.cumsum(second[:, ::-1] / 2, axis=1)[:, ::-1]
        rows, columns = np.triu_indices(z.shape[1])
        packed = step[:, rows] * step[:, columns] * bend[:, columns]
        of_step = step * (1 - step) * above
        packed[:, rows == columns] += of_step if exactly else np.maximum(of_step, 0)
        return np.sum(slope * (x - t[:, None]) + h / 2, axis=1), step * above, packed

    def _derivatives(self, z: np.ndarray, rows: slice, exactly: bool) -> tuple[np.ndarray, ...]:
        of_loss = self._of_laplace if isinstance(self.loss, fl.LaplaceNLL) else self._of_steps
        found = of_loss(z, self.target[rows], exactly)
        weight = self.weight_of(rows)
        if weight is None:
            return found
        return tuple(each * (weight if each.ndim == 1 else weight[:, None]) for each in found)

    def value_and_gradient(self, z: np.ndarray, rows: slice, out: np.ndarray) -> float:
        """Those of the rounded loss."""
        value, out[...], _ = self._derivatives(z, rows, True)
        return float(np.sum(value, dtype=np.float64))

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        """That of the rounded loss, or a matrix that is never negative."""
        return self._derivatives(z, rows, curvature == "exact")[2]

    def diagonal(self, z: np.ndarray, rows: slice) -> np.ndarray:
        """That of a matrix that is never negative."""
        first, second = np.triu_indices(self.n_outputs)
        return np.asarray(self.hessian(z, rows, "psd")[:, first == second])


class SumOfScores(Scores):
    """A sum of losses, each with its kinks rounded."""

    def __init__(self, like: Scores, terms: list[tuple[float, Scores]]) -> None:
        super().__init__(like.loss, like.target, like.weight, like.n_outputs)
        self.terms, self.is_coupled = terms, like.is_coupled

    def weight_of(self, rows: slice) -> Any:
        """As for the losses."""
        return self.terms[0][1].weight_of(rows)

    def value_and_gradient(self, z: np.ndarray, rows: slice, out: np.ndarray) -> float:
        """The sums of theirs."""
        value, part = 0.0, np.empty_like(out)
        out[...] = 0
        for factor, scores in self.terms:
            value += factor * scores.value_and_gradient(z, rows, part)
            out += part * part.dtype.type(factor)
        return value

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        """The sum of theirs."""
        parts = [scores.hessian(z, rows, curvature) * z.dtype.type(factor) for factor, scores in self.terms]
        return np.asarray(sum(parts))

    def diagonal(self, z: np.ndarray, rows: slice) -> np.ndarray:
        """The sum of theirs."""
        return np.asarray(sum(scores.diagonal(z, rows) * z.dtype.type(factor) for factor, scores in self.terms))


class RankKinks(Rows):
    """
    The multiclass hinge loss with its kinks rounded: the maximum becomes a logarithm of a sum of exponentials.

    ``width * cross_entropy((z + margin [j != y]) / width, y)`` is higher by at most ``width * log(K)``.
    """

    def __init__(
        self, loss: Any, target: np.ndarray, weight: np.ndarray | None, n_outputs: int, width: float, spread: float
    ) -> None:
        super().__init__(loss, target, weight, n_outputs)
        self.width, self.spread, self.entropy = width, spread, fl.CrossEntropy()

    @property
    def exact(self) -> Scores:
        """The loss itself, which has no curvature."""
        return _with_offset(Rows(self.loss, self.target, self.weight, self.n_outputs), self.offset)

    def _shifted(self, z: np.ndarray, rows: slice) -> np.ndarray:
        shifted: np.ndarray = (z + z.dtype.type(self.loss.parameters["margin"])) / z.dtype.type(self.width)
        of_class = np.arange(len(z)), self.target[rows]
        shifted[of_class] = z[of_class] / z.dtype.type(self.width)
        return shifted

    def value_and_gradient(self, z: np.ndarray, rows: slice, out: np.ndarray) -> float:
        """Those of the rounded loss."""
        value, _ = self.entropy.value_and_gradient(
            self._shifted(z, rows),
            self.target[rows],
            sample_weight=self.weight_of(rows),
            reduction="sum",
            gradient_out=out,
        )
        return float(value * self.width)

    def hessian(self, z: np.ndarray, rows: slice, curvature: str) -> np.ndarray:
        """That of the rounded loss."""
        packed = self.entropy.packed_hessian(
            self._shifted(z, rows), self.target[rows], sample_weight=self.weight_of(rows), reduction="sum"
        )
        return np.asarray(packed / self.width)

    def diagonal(self, z: np.ndarray, rows: slice) -> np.ndarray:
        """That of the rounded loss."""
        _, diagonal = self.entropy.gradient_and_hessian(
            self._shifted(z, rows), self.target[rows], sample_weight=self.weight_of(rows), reduction="sum"
        )
        return np.asarray(diagonal / self.width)


@dataclass(frozen=True)
class Columns:
    """
    Where the columns of X lie: coordinates in which each has the mean 0 and the spread 1, while X stays as it is.

    A score is ``(x - centre) / spread @ coordinates``. A column that is constant beside an intercept, or zero, has an
    infinite spread: it does not move, and its coefficient is 0.
    """

    centre: np.ndarray
    spread: np.ndarray

    @property
    def is_far(self) -> bool:
        """Whether digits cancel where a mean is subtracted from a sum."""
        return bool(np.any(np.abs(self.centre) > FAR * self.spread))

    @property
    def moves(self) -> np.ndarray:
        """Which columns have a coefficient."""
        moving: np.ndarray = np.isfinite(self.spread)
        return moving

    def coordinates(self, coef: np.ndarray, intercept: Any) -> tuple[np.ndarray, Any]:
        """Those of coefficients of X as it is."""
        moving = np.where(self.moves, coef, 0.0)
        return moving * np.where(self.moves, self.spread, 1.0), intercept + moving @ self.centre

    def coefficients(self, coordinates: np.ndarray, intercept: Any, dtype: Any) -> tuple[np.ndarray, Any]:
        """Those of X as it is, rounded to `dtype`; the intercept makes up for what rounding does at the centre."""
        coef = (coordinates / self.spread).astype(dtype)
        return coef, intercept - coef @ self.centre


def weight_of_rows(weight: np.ndarray | None) -> np.ndarray | None:
    """Return one weight a row, the largest of its labels'."""
    return weight if weight is None or weight.ndim == 1 else np.asarray(weight.max(axis=1))


def sample_starts(n_rows: int, every: int) -> range:
    """Where the blocks of a sample of the rows start: of so many blocks one, and at least one in all."""
    starts = range(0, n_rows, SAMPLE_ROWS)
    return starts[min(every, len(starts)) // 2 :: every]


def columns_of(x: Any, weight: np.ndarray | None, centred: bool) -> Columns:
    """
    Return where the columns lie, of a sample of the rows if a dense X has many; a guess of it changes no minimum.

    But whether a column is constant all rows decide. `centred`: about the mean and not about 0.
    """
    n_rows, n_columns = x.shape
    weight = weight_of_rows(weight)
    every = max(1, n_rows // ROWS_FOR_COLUMNS, n_rows * n_columns // ELEMENTS_FOR_COLUMNS)
    if not isinstance(x, np.ndarray):
        columns = _of_sparse_columns(x, weight, centred)
    elif every == 1:
        columns = _of_dense_columns([(x, weight)], centred)
    else:
        rows = [slice(at, at + SAMPLE_ROWS) for at in sample_starts(n_rows, every)]
        columns = _of_dense_columns([(x[each], None if weight is None else weight[each]) for each in rows], centred)
        unclear = np.flatnonzero(~columns.moves)
        step = max(1, ELEMENTS_FOR_COLUMNS // n_rows)
        for at in range(0, len(unclear), step):
            some = unclear[at : at + step]
            found = _of_dense_columns([(x[:, some], weight)], centred)
            columns.centre[some], columns.spread[some] = found.centre, found.spread
    return columns


def _of_dense_columns(blocks: list[tuple[np.ndarray, np.ndarray | None]], centred: bool) -> Columns:
    weights = [np.ones(len(x)) if w is None else w.astype(np.float64) for x, w in blocks]
    total = sum(float(np.sum(w)) for w in weights) or 1.0
    centre, squares, largest = np.zeros((3, blocks[0][0].shape[1]))
    if centred:
        for (x, _), w in zip(blocks, weights, strict=True):
            centre += w @ x.astype(np.float64, copy=False) / total
    for (x, _), w in zip(blocks, weights, strict=True):
        distance = x - centre
        squares += np.einsum("i,ij,ij->j", w, distance, distance) / total
        odd = ~(squares > SMALLEST) | ~np.isfinite(squares)
        if np.any(odd):
            of_odd = np.max(np.abs(distance[w > 0][:, odd]), axis=0, initial=0.0)
            largest[odd] = np.maximum(largest[odd], of_odd)
    return _columns(centre, squares, largest)


def _of_sparse_columns(x: Any, weight: np.ndarray | None, centred: bool) -> Columns:
    n_columns = x.shape[1]
    w = np.ones(x.shape[0]) if weight is None else weight.astype(np.float64)
    total = float(np.sum(w)) or 1.0
    w_of = np.repeat(w, np.diff(x.indptr))
    data = x.data.astype(np.float64)
    centre, squares = np.zeros((2, n_columns))
    rest = np.zeros(1)
    if centred:
        centre = np.bincount(x.indices, w_of * data, minlength=n_columns) / total
        # What is not stored is 0.
        rest = np.maximum(1 - np.bincount(x.indices, w_of, minlength=n_columns) / total, 0.0) * np.square(centre)
    distance = data - centre[x.indices]
    squares = np.bincount(x.indices, w_of * np.square(distance), minlength=n_columns) / total + rest
    largest = np.zeros(n_columns)
    if not np.all(squares > SMALLEST) or not np.all(np.isfinite(squares)):
        np.maximum.at(largest, x.indices, np.where(w_of > 0, np.abs(distance), 0.0))
    return _columns(centre, squares, largest)


def _columns(centre: np.ndarray, squares: np.ndarray, largest: np.ndarray) -> Columns:
    """`largest` stands in for squares that are too small or too large for a number."""
    fine = (squares > SMALLEST) & np.isfinite(squares)
    spread = np.where(fine, np.sqrt(np.where(fine, squares, 0.0)), largest)
    spread[spread <= 8 * np.finfo(np.float64).eps * np.abs(centre)] = np.inf
    return Columns(centre, spread)


class MeanLoss:
    """
    The mean loss of linear scores as a function of theta, of shape (outputs, features [+ 1]).

    Theta are coordinates, as `Columns` has them; the intercepts, if there are any, are its last column.
    """

    def __init__(
        self, x: Any, scores: Scores, fit_intercept: bool, executor: Executor | None, columns: Columns, every: int = 1
    ) -> None:
        """`every`: of blocks of `SAMPLE_ROWS` rows only one in so many counts; 1 for all rows."""
        self.x, self.scores, self.fit_intercept, self.executor = x, scores, fit_intercept, executor
        self.columns = columns
        self.n_rows, self.n_features = x.shape
        self.shape = (scores.n_outputs, self.n_features + fit_intercept)
        self.is_sparse = not isinstance(x, np.ndarray)
        self.every = every
        if every > 1:
            starts = sample_starts(self.n_rows, every)
            self.blocks = [slice(start, min(start + SAMPLE_ROWS, self.n_rows)) for start in starts]
        else:
            per_row = (x.nnz / max(1, self.n_rows) * 1.5 if self.is_sparse else x.shape[1]) + 3 * scores.n_outputs
            size = max(16, int(BLOCK_BYTES / (x.dtype.itemsize * per_row)))
            self.blocks = [slice(at, min(at + size, self.n_rows)) for at in range(0, self.n_rows, size)]
        self.most_rows = max(block.stop - block.start for block in self.blocks)
        self.n_sampled = sum(block.stop - block.start for block in self.blocks)
        self.total = sum(map(scores.total_weight, self.blocks))
        # Blocks are centred and scaled before they are multiplied, instead of the products after it.
        self.is_explicit = not self.is_sparse and columns.is_far
        # What to call when a gradient is not finite.
        self.examine: Callable[[], None] | None = None
        # Slices of a sparse matrix are copies of their indices; they are made once.
        self._matrices: dict[int, Any] = {}
        self._kernels: dict[str, Kernels | None] = {}
        # What coordinate descent knows of the columns, and where it ended.
        self.by_columns: dict[str, Any] = {}
        # What is known of a loss that is a quadratic function.
        self.quadratic: dict[str, Any] = {}
        # Whether there will be other fits to the same rows, which what is made once pays for.
        self.is_along_path = False

    def sampled(self, every: int) -> MeanLoss:
        """The same of a sample of the rows."""
        other = MeanLoss(self.x, self.scores, self.fit_intercept, self.executor, self.columns, every)
        other.examine = self.examine
        return other

    def in_double(self) -> MeanLoss:
        """The same of a copy of X in double precision."""
        x, scores = self.x.astype(np.float64), self.scores.in_double()
        other = MeanLoss(x, scores, self.fit_intercept, self.executor, self.columns, self.every)
        other.examine = self.examine
        return other

    def with_scores(self, scores: Scores) -> MeanLoss:
        """The same rows under another loss."""
        if scores is self.scores:
            return self
        other = object.__new__(MeanLoss)
        other.__dict__.update(self.__dict__, scores=scores, shape=(scores.n_outputs, self.shape[1]))
        return other

    def matrix(self, block: slice) -> Any:
        """The features of a block."""
        if not self.is_sparse:
            return self._centred(self.x[block]) if self.is_explicit else self.x[block]
        found = self._matrices.get(block.start)
        if found is None:
            first, last = self.x.indptr[block.start], self.x.indptr[block.stop]
            pointers = self.x.indptr[block.start : block.stop + 1] - first
            found = type(self.x)(
                (self.x.data[first:last], self.x.indices[first:last], pointers),
                shape=(block.stop - block.start, self.n_features),
                copy=False,
            )
            self._matrices[block.start] = found
        return found

    def _centred(self, x: np.ndarray) -> np.ndarray:
        return np.asarray((x - self.columns.centre) / self.columns.spread, dtype=x.dtype)

    def _columnwise(self) -> Iterator[tuple[slice, np.ndarray]]:
        """The centred columns of a dense X, some at a time."""
        step = max(1, BLOCK_BYTES // (8 * self.n_rows))
        for at in range(0, self.n_features, step):
            some = slice(at, at + step)
            yield some, np.asarray(self.x[:, some] - self.columns.centre[some])

    def products_of_rows(self) -> np.ndarray:
        """The centred X times its own transpose, (rows, rows)."""
        if self.is_sparse:
            wide, centre = self.x.astype(np.float64, copy=False), self.columns.centre
            of_centre = wide @ centre
            return np.asarray((wide @ wide.T).toarray() - of_centre[:, None] - of_centre + centre @ centre)
        return np.asarray(sum(block @ block.T for _, block in self._columnwise()))

    def centred_scores(self, coef: np.ndarray) -> np.ndarray:
        """The centred X times coefficients in rows; a column each."""
        if self.is_sparse:
            return np.asarray(self.x @ coef.T - coef @ self.columns.centre)
        return np.asarray(sum(block @ coef[:, some].T for some, block in self._columnwise()))

    def combined_rows(self, combination: np.ndarray) -> np.ndarray:
        """The rows of the centred X times combinations in columns; a row each."""
        if self.is_sparse:
            return np.asarray((self.x.T @ combination).T - np.outer(combination.sum(axis=0), self.columns.centre))
        combined = np.empty((combination.shape[1], self.n_features))
        for some, block in self._columnwise():
            combined[:, some] = combination.T @ block
        return combined

    def _reduce(self, job: Callable[[list[slice]], Any], sum_bytes: int) -> Any:
        """Run a job over spans of blocks and add up the arrays that it returns, in the spans' order."""
        n_spans = max(2, min(MOST_SPANS, SPAN_BYTES // max(1, sum_bytes), len(self.blocks)))
        bounds = [len(self.blocks) * i // n_spans for i in range(n_spans + 1)]
        spans = [self.blocks[a:b] for a, b in itertools.pairwise(bounds) if a < b]
        results: Iterator[Any]
        if self.executor is None or len(spans) == 1:
            results = map(job, spans)
        else:
            results = self.executor.map(job, spans)
        total = next(results)
        for result in results:
            for mine, more in zip(total, result, strict=True):
                mine += more
        return total

    def _scores(
        self, x: Any, coef: np.ndarray, intercept: np.ndarray | None, block: slice, out: np.ndarray
    ) -> np.ndarray:
        if self.is_sparse:
            out = np.ascontiguousarray(x @ coef.T)
        else:
            np.matmul(x, coef.T, out=out)
        if intercept is not None:
            out += intercept
        if self.scores.offset is not None:
            out += self.scores.offset[block]
        return out

    def _split(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """What the features of a block are multiplied by, and what is added."""
        coef, intercept = theta[:, : self.n_features], theta[:, -1] if self.fit_intercept else np.zeros(len(theta))
        if self.is_explicit:
            coef = coef.astype(self.x.dtype)
        else:
            coef, intercept = self.columns.coefficients(coef, intercept, self.x.dtype)
        return np.ascontiguousarray(coef), intercept.astype(self.x.dtype) if self.fit_intercept else None

    def scores_of(self, theta: np.ndarray) -> np.ndarray:
        """The scores of all rows."""
        coef, intercept = self._split(theta)
        z = np.empty((self.n_rows, len(coef)), coef.dtype)

        def job(block: slice) -> None:
            x = self.matrix(block)
            z[block] = self._scores(x, coef, intercept, block, np.empty(z[block].shape, z.dtype))

        for _ in map(job, self.blocks) if self.executor is None else self.executor.map(job, self.blocks):
            pass
        return z

    def products_with(self, v: np.ndarray) -> np.ndarray:
        """The gradient of the mean for derivatives v by the scores."""

        def job(span: list[slice]) -> list[np.ndarray]:
            total = np.zeros(self.shape)
            for block in span:
                total[:, : self.n_features] += (self.matrix(block).T @ v[block]).T
                if self.fit_intercept:
                    total[:, -1] += np.sum(v[block], axis=0)
            return [total]

        (total,) = self._reduce(job, 8 * int(np.prod(self.shape)))
        total /= self.total
        if not self.is_explicit:
            self._of_coordinates(total)
        if self.examine is not None and not np.all(np.isfinite(total)):
            self.examine()
        return np.asarray(total)

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Value and gradient of the mean, in double precision between blocks."""
        coef, intercept = self._split(theta)

        def job(span: list[slice]) -> list[np.ndarray]:
            value, total = np.zeros(1), np.zeros(self.shape)
            z_of_block, gradient_of_block = np.empty((2, self.most_rows, len(coef)), coef.dtype)
            part = np.empty(coef.shape, coef.dtype)
            of_coef = total[:, : self.n_features]
            with fl.num_threads(1), np.errstate(all="ignore"):
                for block in span:
                    x, n = self.matrix(block), block.stop - block.start
                    z = self._scores(x, coef, intercept, block, z_of_block[:n])
                    gradient = gradient_of_block[:n]
                    value += self.scores.value_and_gradient(z, block, gradient)
                    if self.is_sparse:
                        of_coef += (x.T @ gradient).T
                    else:
                        of_coef += np.matmul(gradient.T, x, out=part)
                    if intercept is not None:
                        total[:, -1] += np.add.reduce(gradient, axis=0)
            return [value, total]

        value, gradient = self._reduce(job, 8 * theta.size)
        gradient /= self.total
        if not self.is_explicit:
            self._of_coordinates(gradient)
        if self.examine is not None and not np.all(np.isfinite(gradient)):
            self.examine()
        return float(value[0]) / self.total, gradient

    def _of_coordinates(self, products: np.ndarray) -> None:
        """Turn products with X and ones, along the last axis, into those with centred and scaled columns."""
        of_columns = products[..., : self.n_features]
        if self.fit_intercept:
            of_columns -= products[..., -1:] * self.columns.centre
        of_columns /= self.columns.spread

    def _sparse_rows(self) -> Kernels | None:
        """The rows of a sparse X, if products of their numbers are fewer than those of dense rows."""
        if not self.is_sparse or self.columns.is_far or not self.x.has_canonical_format:
            return None
        if "rows" not in self._kernels:
            x = self.x
            lengths = np.diff(x.indptr).astype(np.float64)
            few = float(lengths @ lengths) * SPARSE_PRODUCT <= float(x.shape[0]) * x.shape[1] ** 2
            data, indices = x.data.astype(np.float64, copy=False), x.indices.astype(np.int32, copy=False)
            self._kernels["rows"] = (
                Kernels(data, x.shape[1], indices, x.indptr.astype(np.int64)) if few and x.nnz else None
            )
        return self._kernels["rows"]

    def value_of_constant(self, intercept: np.ndarray) -> float:
        """The mean loss of scores that are the same for all rows but for the offset: X is not read."""

        def job(span: list[slice]) -> list[np.ndarray]:
            value = np.zeros(1)
            z, gradient = np.empty((2, self.most_rows, len(intercept)), self.x.dtype)
            with fl.num_threads(1), np.errstate(all="ignore"):
                for block in span:
                    n = block.stop - block.start
                    z[:] = intercept
                    if self.scores.offset is not None:
                        z[:n] += self.scores.offset[block]
                    value += self.scores.value_and_gradient(z[:n], block, gradient[:n])
            return [value]

        (value,) = self._reduce(job, 8)
        return float(value[0]) / self.total

    def mean_curvature(self, theta: np.ndarray) -> float:
        """The loss's mean psd second derivative by a score."""
        coef, intercept = self._split(theta)

        def job(span: list[slice]) -> list[np.ndarray]:
            total = np.zeros(1)
            with fl.num_threads(1), np.errstate(all="ignore"):
                for block in span:
                    z = np.empty((block.stop - block.start, len(coef)), coef.dtype)
                    z = self._scores(self.matrix(block), coef, intercept, block, z)
                    total += np.sum(self.scores.diagonal(z, block), dtype=np.float64)
            return [total]

        (total,) = self._reduce(job, 8)
        curvature = float(total[0]) / (self.shape[0] * self.total)
        return curvature if np.isfinite(curvature) and curvature > 0 else 1.0

    def hessian(self, theta: np.ndarray, curvature: str, dtype: Any = np.float64) -> np.ndarray:
        """
        The Hessian of the mean: of shape (blocks, d, d), one block per output or, if they are coupled, one in all.

        `dtype` is that of the products over a block of rows; float32 does for a preconditioner.
        """
        coef, intercept = self._split(theta)
        n_outputs, width = self.shape
        coupled = self.scores.is_coupled
        shape = (n_outputs, width, n_outputs, width) if coupled else (n_outputs, width, width)
        is_far = self.columns.is_far
        rows, pairs = self._sparse_rows(), _pairs(n_outputs, coupled)

        def job(span: list[slice]) -> list[np.ndarray]:
            total = np.zeros(shape)
            sums = np.zeros((0 if rows is None else len(pairs), width, width))
            with fl.num_threads(1), np.errstate(all="ignore"):
                for block in span:
                    x, n = self.matrix(block), block.stop - block.start
                    z = self._scores(x, coef, intercept, block, np.empty((n, n_outputs), coef.dtype))
                    h = self.scores.hessian(z, block, curvature).astype(dtype, copy=False)
                    if rows is not None:
                        _add_sparse(sums, rows, x, h, block.start)
                        continue
                    if self.is_sparse:
                        x = self._centred(x.toarray()) if is_far else x.toarray()
                    (_add_coupled if coupled else _add_products)(total, x, h, width, dtype)
            for (k, j), each in zip(pairs, sums, strict=False):
                of_pair = total[k, :, j, :] if coupled else total[k]
                of_pair += each + np.tril(each, -1).T + np.triu(each, 1).T
            return [total]

        (total,) = self._reduce(job, 8 * int(np.prod(shape)))
        total /= self.total
        if not is_far:
            self._of_coordinates(total)
            self._of_coordinates(total.swapaxes(-1, -3 if coupled else -2))
        if coupled:
            upper = np.arange(n_outputs)[:, None] < np.arange(n_outputs)
            for k, j in zip(*np.nonzero(upper), strict=True):
                total[j, :, k, :] = total[k, :, j, :].T
            total = total.reshape(1, n_outputs * width, n_outputs * width)
        return np.asarray(total)


def _add_products(total: np.ndarray, x: np.ndarray, h: np.ndarray, width: int, dtype: Any) -> None:
    """Add the rows' ``h_k x x^T`` to the matrix of each output."""
    scaled = np.empty((len(x), width), dtype)
    for of_output, of_rows in zip(total, h.T, strict=True):
        bent = np.flatnonzero(of_rows)
        # Losses with kinks bend in few rows.
        some = bent if len(bent) * FEW < len(x) else slice(None)
        part, of_some = x[some], of_rows[some]
        root, of_part = np.sqrt(np.abs(of_some)), scaled[: len(part)]
        np.multiply(part, root[:, None], out=of_part[:, : x.shape[1]], casting="same_kind")
        if width > x.shape[1]:
            of_part[:, -1] = root
        # The product of an array with itself, which BLAS does at half the price.
        of_output += of_part.T @ (of_part if np.all(of_some >= 0) else of_part * np.sign(of_some)[:, None])


def _pairs(n_outputs: int, coupled: bool) -> list[tuple[int, int]]:
    """The outputs that each column of a Hessian is of."""
    if coupled:
        return list(itertools.combinations_with_replacement(range(n_outputs), 2))
    return [(k, k) for k in range(n_outputs)]


def _add_sparse(sums: np.ndarray, rows: Kernels, x: Any, h: np.ndarray, first: int) -> None:
    """Add the products of sparse rows, on one side of the diagonal, to a matrix for each column of h."""
    for total, of_rows in zip(sums, np.ascontiguousarray(h.T, dtype=np.float64), strict=True):
        rows.add_squares(of_rows, first, total)
        if len(total) > x.shape[1]:
            total[-1, :-1] += x.T @ of_rows
            total[-1, -1] += np.sum(of_rows)


def _add_coupled(total: np.ndarray, x: np.ndarray, h: np.ndarray, width: int, dtype: Any) -> None:
    """Add the rows' ``H (x) x x^T`` to the upper blocks of one matrix for all outputs."""
    n_outputs = len(total)
    step = max(16, PRODUCT_BYTES // (8 * n_outputs * width))
    for start in range(0, len(x), step):
        part = slice(start, start + step)
        extended = np.ones((len(x[part]), width), dtype)
        extended[:, : x.shape[1]] = x[part]
        at = 0
        for k in range(n_outputs):
            of_row = h[part, at : at + n_outputs - k]
            at += n_outputs - k
            scaled = of_row[:, :, None] * extended[:, None, :]
            product = extended.T @ scaled.reshape(len(extended), -1)
            total[k, :, k:, :] += product.reshape(width, n_outputs - k, width)
