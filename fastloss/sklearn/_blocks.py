"""Fits of rows that are not all there at once: passes over blocks, and batches that come one after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.utils.validation import check_consistent_length, column_or_1d

import fastloss as fl

from .._kernels import RowwiseLoss
from .._labels import encode
from . import _linear as linear
from ._bounded import clipped
from ._objective import Columns, MeanLoss, Scores, columns_of
from ._options import checked_offset, level
from ._scorers import codes_of
from ._solvers import MOST_NEWTON, Fit, Progress, through, width_of
from ._solvers import _Moments as Moments

# Weights of labels stay what they are.
UNCHANGED = np.ones(1)
# Rows whose targets say where regressions start.
ROWS_FOR_START = 1 << 14
# Batches are kept as they are until there are so many rows, and so many for each coefficient.
ROWS_KEPT, ROWS_A_COEFFICIENT = 1000, 10


class Stage(Scores):
    """A loss of which each block of rows makes scores of its own."""

    def __init__(self, make: Callable[[np.ndarray, np.ndarray | None], Scores], like: Scores) -> None:
        """`like`: any of those that `make` returns."""
        super().__init__(like.loss, like.target, like.weight, like.n_outputs)
        self.make, self.is_coupled = make, like.is_coupled


class MeanOfParts:
    """The mean over parts that are means themselves, with the interface of `MeanLoss` that solvers need."""

    every = 1

    def __init__(self, x: Any, scores: Scores, fit_intercept: bool, columns: Columns, n_rows: int) -> None:
        """`x`: no rows, with the dtype and the columns of those of all parts."""
        self.x, self.scores, self.fit_intercept, self.columns = x, scores, fit_intercept, columns
        self.n_features, self.n_rows, self.n_sampled = x.shape[1], n_rows, n_rows
        self.shape = (scores.n_outputs, self.n_features + fit_intercept)
        self.total = 1.0

    def parts(self) -> Iterator[Any]:
        """Go through the parts once."""
        raise NotImplementedError

    def with_scores(self, scores: Scores) -> Any:
        """The same rows under another loss."""
        other = copy.copy(self)
        other.scores, other.shape = scores, (scores.n_outputs, self.shape[1])
        return other

    def sampled(self, every: int) -> Any:
        """All rows: to read some of a block takes as long as to read it."""
        return self

    def _mean(self, evaluate: Callable[[Any], tuple[Any, ...]]) -> list[Any]:
        total, sums = 0.0, None
        for part in self.parts():
            values = evaluate(part)
            total += part.total
            if sums is None:
                sums = [part.total * value for value in values]
            else:
                for i, value in enumerate(values):
                    sums[i] = sums[i] + part.total * value
        assert sums is not None
        self.total = total
        return [each / total for each in sums]

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """As for `MeanLoss`."""
        value, gradient = self._mean(lambda part: part.value_and_gradient(theta))
        return float(value), gradient

    def value_of_constant(self, intercept: np.ndarray) -> float:
        """As for `MeanLoss`."""
        return float(self._mean(lambda part: (part.value_of_constant(intercept),))[0])

    def mean_curvature(self, theta: np.ndarray) -> float:
        """As for `MeanLoss`."""
        return float(self._mean(lambda part: (part.mean_curvature(theta),))[0])

    def hessian(self, theta: np.ndarray, curvature: str, dtype: Any = np.float64) -> np.ndarray:
        """As for `MeanLoss`."""
        return np.asarray(self._mean(lambda part: (part.hessian(theta, curvature, dtype),))[0])


@dataclass
class Block:
    """Rows as they were checked; `y` as it came."""

    x: Any
    y: np.ndarray
    weight: np.ndarray | None
    offset: Any


class Blocks:
    """A re-iterable of (X, y[, weight[, offset]]), each block checked as it comes by."""

    def __init__(self, model: Any, blocks: Any) -> None:
        if iter(blocks) is blocks:
            raise TypeError(
                "blocks must start anew each time they are gone through, as a list or an object with __iter__ does; an "
                "iterator ends after one pass"
            )
        self.model, self.blocks = model, blocks
        self.n_rows = 0

    def __iter__(self) -> Iterator[Block]:
        n_rows, is_first = 0, self.n_rows == 0
        for i, block in enumerate(self.blocks):
            if not isinstance(block, (tuple, list)) or not 2 <= len(block) <= 4:
                raise TypeError(f"block {i} must be a tuple (X, y), (X, y, weight) or (X, y, weight, offset)")
            x, y, weight, offset = (*block, None, None)[:4]
            x = self.model._checked_features(x, reset=is_first and i == 0)
            y = linear.checked_labels(y, x.dtype)
            check_consistent_length(x, y)
            if weight is not None:
                weight = self.model._weight_of_rows(x, weight)
            n_rows += x.shape[0]
            if weight is None or np.any(weight):
                yield Block(x, y if y.ndim == 2 and y.shape[1] > 1 else column_or_1d(y), weight, offset)
        if is_first and not n_rows:
            raise ValueError("blocks hold no rows")
        if not is_first and n_rows != self.n_rows:
            raise ValueError(f"blocks held {self.n_rows} rows in the first pass and {n_rows} in a later one")
        self.n_rows = n_rows


@dataclass
class Summary:
    """What a pass over blocks finds out: columns by their sums, labels by their weights, targets by some of them."""

    dtypes: list[Any] = field(default_factory=list)
    total: float = 0.0
    n_rows: int = 0
    # Of columns: means, sums of squares about them, and largest distances.
    mean: Any = 0.0
    squares: Any = 0.0
    # Of labels.
    weight_of: dict[Any, float] = field(default_factory=dict)
    # Of targets that are numbers: what those that are there weigh, their mean, and some rows.
    of_labels: Any = 0.0
    some_are_missing: bool = False
    mean_target: Any = 0.0
    some: list[tuple[np.ndarray, np.ndarray, Any]] = field(default_factory=list)

    def add(self, block: Block, are_labels: bool) -> None:
        """Take in a block."""
        n = block.x.shape[0]
        weight = np.ones(n) if block.weight is None else block.weight.astype(np.float64)
        total = float(np.sum(weight))
        columns = columns_of(block.x, block.weight, True)
        spread = np.where(columns.moves, columns.spread, 0.0)
        before, self.total = self.total, self.total + total
        share = total / self.total
        distance = columns.centre - self.mean
        self.mean = self.mean + share * distance
        self.squares = self.squares + total * spread**2 + before * share * distance**2
        self.dtypes.append(block.x.dtype)
        self.n_rows += n
        if are_labels and block.y.ndim == 1:
            labels, codes = np.unique(block.y, return_inverse=True)
            for label, counted in zip(labels.tolist(), np.bincount(codes, weight), strict=True):
                self.weight_of[label] = self.weight_of.get(label, 0.0) + float(counted)
            return
        y = np.asarray(block.y, dtype=np.float64)
        missing = np.isnan(y)
        self.some_are_missing = self.some_are_missing or bool(missing.any())
        of_labels = np.where(missing, 0.0, weight if y.ndim == 1 else weight[:, None])
        sums = of_labels.sum(axis=0)
        self.of_labels = self.of_labels + sums
        distance = (of_labels * np.where(missing, 0.0, y)).sum(axis=0) - sums * self.mean_target
        self.mean_target = self.mean_target + distance / np.where(self.of_labels > 0, self.of_labels, 1.0)
        kept = np.linspace(0, n - 1, min(n, ROWS_FOR_START // 4)).astype(np.intp)
        offset = None if block.offset is None else np.asarray(block.offset)[kept]
        self.some.append((y[kept], weight[kept], offset))
        if sum(len(each[0]) for each in self.some) > 2 * ROWS_FOR_START:
            self.some = [tuple(None if a is None else a[::2] for a in each) for each in self.some]  # type: ignore[misc]

    def columns(self, centred: bool) -> Columns:
        """Where the columns lie, exactly."""
        spread = np.sqrt(self.squares / self.total + (0.0 if centred else np.square(self.mean)))
        spread[spread <= 64 * np.finfo(np.float64).eps * np.abs(self.mean)] = np.inf
        return Columns(
            np.asarray(self.mean) if centred else np.zeros(len(spread)), np.where(spread > 0, spread, np.inf)
        )

    def factors(self) -> np.ndarray | None:
        """What multiplies the weights of columns in which labels are missing; None if there are none."""
        return linear.factors_of(self.total, self.of_labels) if self.some_are_missing else None

    def sample(self) -> tuple[np.ndarray, np.ndarray | None, Any]:
        """Some targets with weights and offsets."""
        y: np.ndarray = np.concatenate([each[0] for each in self.some])
        weight: np.ndarray | None = np.concatenate([each[1] for each in self.some])
        offsets = [each[2] for each in self.some]
        factors = self.factors()
        if factors is not None and weight is not None:
            # The mean stands for the labels of a column that are all elsewhere.
            elsewhere = ~np.any(~np.isnan(y) & (weight > 0)[:, None], axis=0)
            y[weight.argmax(), elsewhere] = self.mean_target[elsewhere]
            y, weight = linear.with_missing(y, weight, factors)
        return y, weight, None if any(each is None for each in offsets) else np.concatenate(offsets)


class MeanOfBlocks(MeanOfParts):
    """The mean loss over blocks, each read once a pass and then forgotten."""

    def __init__(
        self, blocks: Blocks, prepare: Callable[[Block], tuple[Any, ...]], executor: Any, *arguments: Any
    ) -> None:
        """`prepare` makes features, target, weight and offset of a block."""
        super().__init__(*arguments)
        self.blocks, self.prepare, self.executor, self.stage = blocks, prepare, executor, self.scores

    def with_scores(self, scores: Scores) -> Any:
        """As for all parts."""
        other = super().with_scores(scores)
        other.stage = scores if isinstance(scores, Stage) else self.stage
        return other

    def parts(self) -> Iterator[Any]:
        """A mean loss of each block."""
        for block in self.blocks:
            x, target, weight, offset = self.prepare(block)
            assert isinstance(self.stage, Stage)
            scores = self.stage.make(target, weight)
            scores.offset = offset
            if isinstance(self.scores, Moments):
                scores = Moments(scores)
            part = MeanLoss(x, scores, self.fit_intercept, self.executor, self.columns)
            if part.total > 0:
                yield part


@dataclass
class Quadratic:
    """
    Rows that were forgotten: their loss as a parabola about `theta`; sums, not means.

    Of several targets, whose labels may be missing, weights and values are those of each, else of all outputs together.
    """

    theta: np.ndarray
    gradient: np.ndarray
    matrix: np.ndarray
    totals: np.ndarray
    values: np.ndarray

    @property
    def total(self) -> float:
        """What rows weigh, as for `MeanLoss`."""
        return float(np.mean(self.totals))

    def weighed(self, factors: np.ndarray) -> Quadratic:
        """The same with other weights of the targets."""
        gradient, matrix = factors[:, None] * self.gradient, factors[:, None, None] * self.matrix
        return Quadratic(self.theta, gradient, matrix, factors * self.totals, factors * self.values)

    def _product(self, step: np.ndarray) -> np.ndarray:
        flat = step.reshape(len(self.matrix), -1)
        return np.stack([m @ v for m, v in zip(self.matrix, flat, strict=True)]).reshape(step.shape)

    def _at(self, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        step = theta - self.theta
        bend = self._product(step)
        risen = step * (self.gradient + bend / 2)
        return self.values + risen.reshape(len(self.values), -1).sum(axis=1), self.gradient + bend

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """As for `MeanLoss`, but for a constant."""
        values, gradient = self._at(theta)
        return float(values.sum()) / self.total, gradient / self.total

    def value_of_constant(self, intercept: np.ndarray) -> float:
        """Its own size, for what it is measured by."""
        return 0.0

    def mean_curvature(self, theta: np.ndarray) -> float:
        """Of no use here."""
        return 1.0

    def hessian(self, theta: np.ndarray, curvature: str, dtype: Any = np.float64) -> np.ndarray:
        """The matrix."""
        return self.matrix / self.total

    def moved(self, theta: np.ndarray, rows: list[MeanLoss], stage: Stage) -> Quadratic:
        """Return the parabola about another point, with the rows that are to be forgotten."""
        values, gradient = self._at(theta)
        matrix, totals = self.matrix, self.totals
        for part in rows:
            value, slope = part.value_and_gradient(theta)
            gradient = gradient + part.total * slope
            matrix = matrix + part.total * part.hessian(theta, "psd")
            if len(totals) == 1:
                values, totals = values + part.total * value, totals + part.total
                continue
            of_labels = _weights_of_labels(part.scores.target, part.scores.weight)
            totals = totals + of_labels.sum(axis=0, dtype=np.float64)
            for k in range(len(totals)):
                alone = np.where(np.arange(len(totals)) == k, of_labels, of_labels.dtype.type(0))
                of_one = part.with_scores(stage.make(part.scores.target, alone))
                values[k] += part.total * of_one.value_and_gradient(theta)[0]
        return Quadratic(theta, gradient, matrix, totals, values)


def _weights_of_labels(target: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
    """Return the weights of labels of several columns, of those of rows or labels."""
    ones = np.ones(target.shape, target.dtype)
    return ones if weight is None else ones * (weight if weight.ndim == 2 else weight[:, None])


class MeanOfBatches(MeanOfParts):
    """The mean loss over what was forgotten and what is kept."""

    def __init__(self, past: Quadratic, rows: list[MeanLoss], *arguments: Any) -> None:
        super().__init__(*arguments)
        self.past, self.rows = past, rows

    def parts(self) -> Iterator[Any]:
        """The past, if there is one, and each batch."""
        if self.past.total > 0:
            yield self.past
        assert isinstance(self.scores, Stage)
        for part in self.rows:
            yield part.with_scores(self.scores.make(part.scores.target, part.scores.weight))


# ------------------------------------------------------------------------------------------------------- the fits


@dataclass
class Kind:
    """What all rows have in common: the loss as the solvers take it, and what its targets are."""

    loss: Any
    n_outputs: int
    one_hot: bool
    # None of numbers.
    classes: np.ndarray | None
    # Whether targets are one number a row.
    is_vector: bool
    dtype: Any

    def stages(self, spread: float, tol: float, which: slice) -> list[tuple[Scores, bool]]:
        """Losses that lead to that of the fit."""
        arguments = self.n_outputs, self.one_hot, spread, tol, False
        shape = (0,) if self.is_vector else (0, max(2, self.n_outputs))
        nothing = np.zeros(shape, np.intp if self.has_codes else self.dtype)
        found = linear.stages_of(self.loss, nothing, None, *arguments)

        def maker(i: int) -> Callable[[np.ndarray, np.ndarray | None], Scores]:
            return lambda target, weight: linear.stages_of(self.loss, target, weight, *arguments)[i][0]

        return [(Stage(maker(i), found[i][0]), found[i][1]) for i in range(len(found))[which]]

    @property
    def has_codes(self) -> bool:
        """Whether targets are class indices."""
        return (
            self.classes is not None and self.is_vector and (self.n_outputs > 1 or isinstance(self.loss, RowwiseLoss))
        )


def _kind(model: Any, block: Block, dtype: Any, classes: np.ndarray | None) -> Kind:
    """Of any block, and of all classes where targets are labels."""
    if classes is None:
        prepared = model._prepared(block.x[:1].astype(dtype), block.y[:1], None, UNCHANGED)
        rows, columns = prepared if is_classifier(model) else (prepared, None)
        return Kind(rows.loss, rows.n_outputs, False, columns, rows.target.ndim == 1, dtype)
    loss = model._checked_loss()
    n_outputs = 1 if len(classes) == 2 else len(classes)
    one_hot = n_outputs > 1 and not isinstance(loss, RowwiseLoss)
    loss, _ = linear.for_two_classes(loss, np.zeros(1, np.intp), n_outputs, dtype)
    return Kind(loss, n_outputs, one_hot, classes, True, dtype)


def _prepared(
    model: Any, kind: Kind, block: Block, weights: np.ndarray | None, factors: np.ndarray | None
) -> tuple[Any, np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Return features, target, weight and offset of a block; `weights`: of classes; `factors`: of columns, or None."""
    x = block.x if block.x.dtype == kind.dtype else block.x.astype(kind.dtype)
    weight = None if block.weight is None else block.weight.astype(kind.dtype)
    if kind.classes is not None and kind.is_vector:
        codes = codes_of(block.y, kind.classes)
        if weights is not None:
            weight = weights[codes].astype(kind.dtype) * (1 if weight is None else weight)
        target = codes if kind.has_codes else codes.astype(kind.dtype)
    else:
        found = model._prepared(x, block.y, None, UNCHANGED)
        found = found[0] if is_classifier(model) else found
        target = found.target
        if target.shape[1:] != (() if kind.is_vector else (max(2, kind.n_outputs),)):
            raise ValueError(f"y has the shape {target.shape}, and that of the first block had other columns")
        if factors is not None:
            weight = found.weight * factors.astype(kind.dtype) * (1 if weight is None else weight[:, None])
    return x, target, weight, checked_offset(block.offset, x.shape[0], kind.n_outputs, kind.dtype)


def fit_blocks(model: Any, blocks: Any) -> Any:
    """Fit in passes over blocks; return the model."""
    model._checked_loss()
    model._checked_penalty()
    source, summary = Blocks(model, blocks), Summary()
    of_labels = is_classifier(model)
    first: Block | None = None
    for block in source:
        first = first or block
        if not of_labels or block.y.ndim == 2:
            model._prepared(block.x, block.y, None, UNCHANGED)
        summary.add(block, of_labels)
    if first is None:
        raise ValueError("blocks must contain at least one row whose weight is not 0")
    dtype = np.dtype(np.float32 if all(each == np.float32 for each in summary.dtypes) else np.float64)
    classes, weights = None, None
    if of_labels and first.y.ndim == 1:
        classes, codes = encode(np.array(list(summary.weight_of)))
        counts = np.zeros(len(classes))
        counts[codes] = list(summary.weight_of.values())
        if len(classes) < 2:
            raise ValueError(f"blocks must hold at least two classes, and hold only {classes.tolist()[0]!r}")
        if model.class_weight is not None:
            weights = model._weights_of_classes(classes, np.arange(len(classes)), counts)
            counts = counts * weights
    elif of_labels and model.class_weight is not None:
        raise ValueError("class_weight needs class labels as y; for probabilities use weights")
    kind = _kind(model, first, dtype, classes)
    factors = summary.factors()
    if classes is not None:
        target = np.arange(len(classes)).astype(np.intp if kind.has_codes else dtype)
        some: tuple[Any, Any, Any] = target, counts, None
        start = model._start(
            kind.loss, target, counts, target, counts, kind.n_outputs, kind.one_hot, None, None, summary.n_rows
        )
    else:
        of_some, weight_of_some, offset = summary.sample()
        some = of_some.astype(dtype), weight_of_some, checked_offset(offset, len(of_some), kind.n_outputs, dtype)
        mean = np.reshape(summary.mean_target, (1, -1))
        start = model._start(
            kind.loss, mean, None, some[0], some[1], kind.n_outputs, False, None, some[2], summary.n_rows
        )
        if kind.loss.target_domain != "any":
            start = start - level(some[2], some[1], kind.loss.traits.link)
    at_start = start if some[2] is None else start + some[2]
    spread, magnitude = linear.of_constant(kind.loss, some[0], some[1], at_start, kind.n_outputs, kind.one_hot, dtype)
    columns = summary.columns(bool(model.fit_intercept))
    stages = kind.stages(spread, float(model.tol), slice(None))
    problem, free, bounds = model._problem(stages, columns, magnitude, kind.loss)
    theta = np.zeros((kind.n_outputs, len(free) + bool(model.fit_intercept)))
    if model.fit_intercept:
        theta[:, -1] = start
    progress = Progress(model.max_iter, model.verbose)
    with linear._one_blas_thread, linear._threads(fl.get_num_threads()) as executor:
        mean_of_all: Any = MeanOfBlocks(
            source,
            lambda block: _prepared(model, kind, block, weights, factors),
            executor,
            np.empty((0, len(free)), dtype),
            stages[-1][0],
            bool(model.fit_intercept),
            columns,
            summary.n_rows,
        )
        if model.solver in ("auto", "descent"):
            problem = replace(problem, solver="newton" if width_of(mean_of_all) <= MOST_NEWTON else "lbfgs")
        scale = mean_of_all.value_of_constant(theta[:, -1] if model.fit_intercept else np.zeros(len(theta)))
        fit = through(mean_of_all, stages, problem, clipped(theta, problem.bounds), float(model.tol), progress, scale)
    _keep(model, kind, model._finished(fit, progress, columns, free, bounds, kind.loss, dtype), len(free))
    return model


def _keep(model: Any, kind: Kind, theta: np.ndarray, n_features: int) -> None:
    if is_classifier(model):
        multilabel = not kind.is_vector and not isinstance(kind.loss, RowwiseLoss)
        model._keep(theta, n_features, kind.dtype, kind.classes, multilabel)
    else:
        model._keep(theta, n_features, kind.dtype, kind.is_vector)


@dataclass
class Stream:
    """Batches that came one after the other: the last ones as they are, and what is left of those before."""

    kind: Kind
    weights: np.ndarray | None
    kept: list[tuple[Any, np.ndarray, np.ndarray | None]] = field(default_factory=list)
    past: Quadratic | None = None
    columns: Columns | None = None
    spread: float = 1.0
    magnitude: Any = 1.0
    # Whether labels of several targets are missing, whose weights in `kept` are then those of labels.
    some_are_missing: bool = False
    # The mean loss of a constant.
    scale: float = 1.0


def partial_fit(model: Any, x: Any, y: Any, classes: Any, sample_weight: Any) -> Any:
    """Fit to a batch and what is known of those before; return the model."""
    model._checked_loss()
    model._checked_penalty()
    stream: Stream | None = copy.copy(model._stream)
    block = _checked_batch(model, x, y, sample_weight, stream is None)
    if stream is None:
        stream = _new_stream(model, block, classes)
    elif classes is not None and not np.array_equal(np.unique(classes), np.asarray(stream.kind.classes)):
        raise ValueError(f"classes are {np.unique(classes).tolist()}, and were {stream.kind.classes} in the first call")
    kind = stream.kind
    is_missing = not kind.is_vector and block.y.dtype.kind == "f" and bool(np.isnan(block.y).any())
    x, target, weight, _ = _prepared(model, kind, block, stream.weights, UNCHANGED if is_missing else None)
    if is_missing and not np.any(weight) and (stream.kept or stream.past is not None):
        return model  # nothing is known of any target
    if weight is not None and weight.ndim == 1 and not np.any(weight):
        raise ValueError("Sample weights must contain at least one non-zero number.")
    width = (x.shape[1] + bool(model.fit_intercept)) * (kind.n_outputs if _is_coupled(kind) else 1)
    if width > MOST_NEWTON:
        raise ValueError(
            f"partial_fit remembers rows by a matrix of {width} x {width} numbers for these features and classes, and "
            f"takes up to {MOST_NEWTON}: use fit_blocks"
        )
    stream.kept = [*stream.kept, (x, target, weight)]
    stream.some_are_missing = stream.some_are_missing or is_missing
    if stream.past is None:
        theta = _fit_of_kept(model, stream, max(ROWS_KEPT, ROWS_A_COEFFICIENT * width))
    else:
        theta = _fit_of_stream(model, stream)
    _keep(model, kind, theta, x.shape[1])
    model._stream = stream
    return model


def _is_coupled(kind: Kind) -> bool:
    return kind.loss.kind == "columns" or (isinstance(kind.loss, RowwiseLoss) and kind.n_outputs > 1)


def _checked_batch(model: Any, x: Any, y: Any, sample_weight: Any, is_first: bool) -> Block:
    if y is None:
        raise ValueError(f"{type(model).__name__} requires y to be passed, but the target y is None")
    x = model._checked_features(x, reset=is_first)
    y = linear.checked_labels(y, x.dtype)
    check_consistent_length(x, y)
    y = y if y.ndim == 2 and y.shape[1] > 1 else column_or_1d(y, warn=True)
    return Block(x, y, model._checked_weight(x, sample_weight), None)


def _new_stream(model: Any, block: Block, classes: Any) -> Stream:
    found = weights = None
    if is_classifier(model):
        if block.y.ndim == 1:
            classes = getattr(model, "classes_", None) if classes is None else classes
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            found = np.unique(column_or_1d(classes))
            if len(found) < 2:
                raise ValueError(f"classes must be at least two, got {found.tolist()}")
        if isinstance(model.class_weight, str):
            raise ValueError("class_weight='balanced' needs all rows at once: pass a dict of weights to partial_fit")
        if model.class_weight is not None:
            if found is None:
                raise ValueError("class_weight needs class labels as y; for probabilities use sample_weight")
            weights = model._weights_of_classes(found, np.arange(len(found)), None)
    return Stream(_kind(model, block, block.x.dtype, found), weights)


def _fit_of_kept(model: Any, stream: Stream, most: int) -> np.ndarray:
    """Return the fit of all rows so far; turn them into a parabola if there are enough."""
    kind = stream.kind
    xs, targets, of_rows = zip(*stream.kept, strict=True)
    stack = sparse.vstack if any(sparse.issparse(x) for x in xs) else np.concatenate
    x: Any = xs[0] if len(xs) == 1 else stack(xs)
    x = x.tocsr() if sparse.issparse(x) else x
    target = np.concatenate(targets)
    weight = factors = None
    if stream.some_are_missing:
        of_labels = np.concatenate([_weights_of_labels(t, w) for t, w in zip(targets, of_rows, strict=True)])
        weight, factors = of_labels, _factors(0.0, of_labels)
    elif any(w is not None for w in of_rows):
        weight = np.concatenate(
            [np.ones(len(t), x.dtype) if w is None else w for t, w in zip(targets, of_rows, strict=True)]
        )
    stream.kept = [(x, target, weight)]
    weight = weight if factors is None or weight is None else weight * factors.astype(x.dtype)
    counts = target if weight is None else target[weight > 0]
    if kind.classes is not None and kind.is_vector and len(np.unique(counts)) < 2:
        # There is no minimum yet, only the best constant.
        start = model._start(kind.loss, target, weight, target, weight, kind.n_outputs, kind.one_hot, None, None)
        model.n_iter_, model.loss_curve_ = 0, []
        theta = np.zeros((kind.n_outputs, x.shape[1] + bool(model.fit_intercept)))
        theta[:, x.shape[1] :] = start[:, None]
        return theta
    with linear.Fits(model, x, linear.Prepared(kind.loss, target, weight, kind.n_outputs, kind.one_hot)) as fits:
        theta = fits.minimise(model)
    if x.shape[0] < most:
        return np.asarray(theta)
    columns = columns_of(x, weight, bool(model.fit_intercept))
    # Later rows may say more of columns that are constant so far.
    stream.columns = columns = Columns(columns.centre, np.where(columns.moves, columns.spread, 1.0))
    start = np.zeros(kind.n_outputs)
    if model.fit_intercept:
        start = model._start(kind.loss, target, weight, target, weight, kind.n_outputs, kind.one_hot, None, None)
    stream.spread, stream.magnitude = linear.of_constant(
        kind.loss, target, weight, start, kind.n_outputs, kind.one_hot, kind.dtype
    )
    at, intercept = columns.coordinates(theta[:, : x.shape[1]], theta[:, -1] if model.fit_intercept else 0.0)
    at = np.column_stack([at, intercept]) if model.fit_intercept else at
    n_blocks = 1 if _is_coupled(kind) else kind.n_outputs
    width = at.size // n_blocks
    none = np.zeros(n_blocks if target.ndim == 2 else 1)
    nothing = Quadratic(at, np.zeros(at.shape), np.zeros((n_blocks, width, width)), none, none.copy())
    with linear._one_blas_thread:
        stage = _stage(stream, float(model.tol))
        stream.past = nothing.moved(at, _means(model, stream, stage, None), stage)
        stream.scale = abs(_means(model, stream, stage, factors)[0].value_of_constant(start))
    stream.kept = []
    return np.asarray(theta)


def _stage(stream: Stream, tol: float) -> Stage:
    """The loss itself; with kinks, which have no curvature, rounded over a tenth of the spread."""
    which = slice(1, 2) if stream.kind.loss.traits.has_kinks else slice(-1, None)
    stage = stream.kind.stages(stream.spread, 1e-6 if stream.kind.loss.traits.has_kinks else tol, which)[0][0]
    assert isinstance(stage, Stage)
    return stage


def _factors(before: Any, of_labels: np.ndarray) -> np.ndarray:
    """Return what the weights of labels are multiplied by, with those `before` of each column."""
    totals = before + of_labels.sum(axis=0, dtype=np.float64)
    return linear.factors_of(float(totals.max()), totals)


def _means(model: Any, stream: Stream, stage: Stage, factors: np.ndarray | None) -> list[MeanLoss]:
    assert stream.columns is not None
    found = []
    for x, target, weight in stream.kept:
        of_rows = weight if factors is None else _weights_of_labels(target, weight) * factors.astype(target.dtype)
        found.append(MeanLoss(x, stage.make(target, of_rows), bool(model.fit_intercept), None, stream.columns))
    return found


def _fit_of_stream(model: Any, stream: Stream) -> np.ndarray:
    """Return the fit of the parabola and the last batch, which becomes a part of it."""
    past, columns, kind = stream.past, stream.columns, stream.kind
    assert past is not None
    assert columns is not None
    stage = _stage(stream, float(model.tol))
    problem, free, bounds = model._problem([(stage, True)], columns, stream.magnitude, kind.loss)
    problem = replace(problem, solver="newton")
    progress = Progress(model.max_iter, model.verbose)
    with linear._one_blas_thread:
        factors = None
        if stream.some_are_missing:
            _, target, weight = stream.kept[0]
            factors = _factors(past.totals, _weights_of_labels(target, weight))
        rows = _means(model, stream, stage, factors)
        x = np.empty((0, len(free)), kind.dtype)
        n_rows = sum(part.n_rows for part in rows)
        before = past if factors is None else past.weighed(factors)
        mean: Any = MeanOfBatches(before, rows, x, stage, bool(model.fit_intercept), columns, n_rows)
        theta = clipped(past.theta, problem.bounds)
        fit: Fit = through(mean, [(stage, True)], problem, theta, float(model.tol), progress, stream.scale)
        rows = rows if factors is None else _means(model, stream, stage, None)
        stream.past, stream.kept = past.moved(fit.theta, rows, stage), []
    return np.asarray(model._finished(fit, progress, columns, free, bounds, kind.loss, kind.dtype))
