"""Losses of more than fits into memory: block by block, with the result of the whole.

A kernel adds up its values in blocks of a size that follows from the shape alone, and the blocks' sums in their order.
A stream is cut at the same places, whatever the blocks that it comes in: what is left of one waits for the next. So the
sums are those of one call with all of it, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

import fastloss._kernels as _kernels

from ._arrays import as_array, broadcast
from ._call import prepare_stream
from ._complaints import warn_mean_of_nothing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

WEIGHT_SUM, LARGEST_WEIGHT, WEIGHT_UNIT, SUMS = range(4)  # in a state, as the kernels know it
SET_SUMS, MOST_SETS = 3, 4096
AT_ONCE = 1 << 21  # elements of a block that are prepared together


class _Piece:
    """Rows or elements of a stream, as `_call.Prepared` holds them, and what a complaint about them needs."""

    vector = value = gradient = hessian = None

    def __init__(self, arrays: tuple[np.ndarray | None, ...], call: Any = None) -> None:
        self.arrays = arrays
        self.prediction, self.target, self.weight, self.pos_weight = arrays
        self.shape: tuple[int, ...] = getattr(call, "shape", ())
        self.axis, self.dtype = getattr(call, "axis", None), getattr(call, "dtype", None)
        self.given_target, self.given_weight = getattr(call, "given_target", None), getattr(call, "given_weight", None)

    @property
    def along(self) -> int:
        """The axis of the items."""
        return 0 if self.prediction is not None and self.prediction.ndim == 3 else 1

    def __len__(self) -> int:
        return 0 if self.prediction is None else int(self.prediction.shape[self.along])

    def part(self, start: int, stop: int) -> _Piece:
        cut = (slice(start, stop),) if self.along == 0 else (slice(None), slice(start, stop))
        return _Piece(tuple(None if array is None else array[cut] for array in self.arrays))

    def kept(self) -> _Piece:
        """The same in memory of its own."""
        return _Piece(tuple(None if array is None else array.copy() for array in self.arrays))

    def followed_by(self, other: _Piece) -> _Piece:
        pairs = zip(self.arrays, other.arrays, strict=True)
        joined = [None if a is None or b is None else np.concatenate([a, b], self.along) for a, b in pairs]
        return _Piece(tuple(joined))

    @property
    def looks(self) -> tuple[Any, ...]:
        """What all blocks of a stream have in common."""
        assert self.prediction is not None
        assert self.target is not None
        classes = self.prediction.shape[1] if self.along == 0 else 1
        return self.prediction.dtype.name, classes, self.target.ndim, self.weight is not None


class Streaming:
    """
    A loss of data that comes in blocks: from files, memory maps, Arrow batches or a network. `fl.streaming` makes it.

    Memory holds one block, and what is left of the one before. The result is that of one call with all of the data, bit
    for bit, however they are cut into blocks (C order; classes along the last axis).

    Attributes
    ----------
    n : int
        Rows, or elements of a loss without rows, so far.
    weight_sum : float
        The sum of the weights that count.

    Examples
    --------
    >>> import numpy as np
    >>> import fastloss as fl
    >>> running = fl.streaming(fl.Huber())
    >>> running.update([0.0, 3.0], [0.5, 0.0]).update([1.0], [1.0]).value()
    0.875
    """

    def __init__(self, loss: Any, reduction: str, axis: Any) -> None:
        self.loss, self.reduction, self.axis = loss, reduction, axis
        self.reset()

    def reset(self) -> None:
        """Forget all blocks."""
        self.n = 0
        self._state = np.array([0.0, 0.0, 1.0])
        self._rest: _Piece | None = None
        self._looks: tuple[Any, ...] | None = None
        self._dtype: Any = None  # of predictions, as they were given
        self._set_shape: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"streaming({self.loss!r}, reduction={self.reduction!r}): {self.n} items"

    def update(self, prediction: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None) -> Streaming:
        """
        Take in a block.

        Parameters
        ----------
        prediction, target, sample_weight : array_like
            As in a call of the loss: arrays, memory maps of any size, Arrow arrays. All blocks have the same dtype of
            predictions, the same classes and kind of target, and weights, or none has.

        Returns
        -------
        Streaming
            Itself.

        Raises
        ------
        ValueError, TypeError
            What a call of the loss raises, with the place in this block; and if a block is unlike those before. Nothing
            of the block has been added up then.
        """
        blocks = list(self._cut(prediction, target, sample_weight))
        try:
            n_sums = [self._check(*block) for block in blocks]
        except (ValueError, TypeError):
            if len(blocks) > 1:  # with the place in the whole block
                keywords = {} if self.loss.kind == "pointwise" else {"axis": self.axis}
                self.loss(prediction, target, sample_weight=sample_weight, reduction="sum", **keywords)
            raise
        for block, sums in zip(blocks, n_sums, strict=True):
            if sums:
                self._add(self._prepared(*block), sums)
        return self

    def update_from(self, blocks: Iterable[Any]) -> Streaming:
        """
        Take in all blocks of an iterable.

        Parameters
        ----------
        blocks : iterable of tuple
            ``(prediction, target)`` or ``(prediction, target, sample_weight)``.

        Returns
        -------
        Streaming
            Itself.

        Raises
        ------
        ValueError, TypeError
            As `update`, with the number of the block.
        """
        for number, block in enumerate(blocks):
            if not isinstance(block, (tuple, list)) or len(block) not in (2, 3):
                raise TypeError(
                    f"block {number} must be (prediction, target) or (prediction, target, sample_weight), "
                    f"not {type(block).__name__}"
                )
            try:
                self.update(*block)
            except (ValueError, TypeError) as error:
                raise type(error)(f"block {number}: {error}") from None
        return self

    def merge(self, other: Streaming) -> Streaming:
        """
        Take in what another stream of the same loss has added up: on another thread, process or machine.

        Equal to one stream up to the rounding of sums in double precision.

        Parameters
        ----------
        other : Streaming
            It stays as it is. It may have been pickled.

        Returns
        -------
        Streaming
            Itself.

        Raises
        ------
        ValueError
            If the other one has another loss, reduction, axis or number of classes.
        """
        mine, others = ((each.loss, each.reduction, each.axis) for each in (self, other))
        if mine != others:
            raise ValueError(f"other must be a stream of the same loss, reduction and axis, got {other!r}")
        if other.n == 0:
            return self
        if self.n == 0:
            self.n, self._looks, self._rest = other.n, other._looks, other._rest
            self._dtype, self._set_shape = other._dtype, other._set_shape
            self._state = other._state.copy()
            return self
        if self._looks != other._looks:
            raise ValueError(f"other holds blocks of another kind: {_unlike(self._looks, other._looks)}")
        ours, theirs = self._closed(), other._closed()
        largest = max(ours[LARGEST_WEIGHT], theirs[LARGEST_WEIGHT])
        for state in (ours, theirs):
            state[LARGEST_WEIGHT] = largest
            self._settle_unit(state)
        ours[WEIGHT_SUM] += theirs[WEIGHT_SUM]
        ours[SUMS:] += theirs[SUMS:]
        self._state, self._rest, self.n = ours, None, self.n + other.n
        return self

    @property
    def weight_sum(self) -> float:
        state = self._closed()
        return float(state[WEIGHT_SUM] / state[WEIGHT_UNIT])

    def value(self) -> Any:
        """
        Return the loss of all blocks so far; more may follow.

        Returns
        -------
        float or ndarray
            What a call of the loss with all blocks joined returns. Of nothing, the mean is nan with a RuntimeWarning.
        """
        if self._looks is None:
            if self.reduction == "none":
                raise ValueError("there is no block yet, and so no number of sets")
            if self.reduction == "mean":
                warn_mean_of_nothing()
            return math.nan if self.reduction == "mean" else 0.0
        state = self._closed()
        if self.loss.kind == "setwise":
            values = self.loss._values_of_sets(state, self._looks[0] == "float32")
            total = float(np.sum(values))
            if self.reduction == "none":
                return values.reshape(self._set_shape).astype(self._dtype)
            return total / len(values) if self.reduction == "mean" else total
        if self.reduction == "sum":
            return float(state[SUMS])
        if not state[WEIGHT_SUM] > 0:
            warn_mean_of_nothing()
            return math.nan
        return float(state[SUMS]) / float(state[WEIGHT_SUM])

    # ------------------------------------------------------------------------------------------- one block

    def _cut(self, prediction: Any, target: Any, sample_weight: Any) -> Iterable[tuple[Any, Any, Any]]:
        """Large arrays in slices, so that what has to be converted is never converted as a whole."""
        z = as_array(prediction, "prediction")
        if z.size <= AT_ONCE or z.ndim == 0 or self._sets_or_classes_first(z):
            yield z, target, sample_weight
            return
        t, w = as_array(target, "target"), None
        if self.loss.kind in ("pointwise", "setwise"):
            t = broadcast(t, "target", z.shape)
        if sample_weight is not None:
            w = as_array(sample_weight, "sample_weight")
            if self.loss.kind in ("pointwise", "setwise"):
                w = broadcast(w, "sample_weight", z.shape)
        long = [each for each in (t, w) if each is not None and each.ndim]
        if any(each.shape[0] != z.shape[0] for each in long) or t.ndim == 0:
            yield z, t, w  # refused, by the rule that it breaks
            return
        rows = max(1, AT_ONCE * len(z) // z.size)
        for start in range(0, len(z), rows):
            cut = slice(start, start + rows)
            yield z[cut], t[cut], w if w is None or w.ndim == 0 else w[cut]

    def _sets_or_classes_first(self, z: np.ndarray) -> bool:
        """Whether the first axis is not that of the stream: then it is refused (sets), or not cut."""
        return self.loss.kind in ("rowwise", "columns") and self.axis in (0, -z.ndim)

    def _prepared(self, prediction: Any, target: Any, sample_weight: Any) -> _Piece:
        call = prepare_stream(self.loss, prediction, target, self.axis, sample_weight)
        return _Piece((call.prediction, call.target, call.weight, call.pos_weight), call)

    def _check(self, prediction: Any, target: Any, sample_weight: Any) -> int:
        """Raise what is wrong with a block, before anything of it is added up; return how many sums it has."""
        piece = self._prepared(prediction, target, sample_weight)
        if not len(piece):
            return 0
        assert piece.prediction is not None
        n_sets = piece.prediction.shape[1] if self.loss.kind == "setwise" else 0
        if n_sets:
            self._set_shape = self._shape_of_sets(piece.shape)
        if n_sets > MOST_SETS:
            raise ValueError(f"a stream has at most {MOST_SETS} sets, got {n_sets}")
        if self._looks is not None and piece.looks != self._looks:
            raise ValueError(f"this block is unlike those before: {_unlike(self._looks, piece.looks)}")
        sums = np.array([0.0, self._state[LARGEST_WEIGHT], 1.0])
        state = np.concatenate([sums, np.zeros(max(1, SET_SUMS * n_sets))])
        block = _kernels.block_items(piece.prediction.shape[1] if piece.along == 0 else 1, len(piece))
        self.loss._add_piece(piece, state, block, self.reduction == "mean", True)
        self._state[LARGEST_WEIGHT] = state[LARGEST_WEIGHT]
        self._looks, self._dtype = piece.looks, piece.dtype
        return len(state) - SUMS

    def _shape_of_sets(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        axes = range(len(shape)) if self.axis is None else self.axis if isinstance(self.axis, tuple) else (self.axis,)
        along = [axis % len(shape) for axis in axes]
        if 0 not in along and shape:
            raise ValueError("axis must hold 0, along which the blocks follow each other: other sets end in a block")
        return tuple(size for axis, size in enumerate(shape) if axis not in along)

    def _add(self, piece: _Piece, n_sums: int) -> None:
        if len(self._state) == SUMS:
            self._state = np.concatenate([self._state, np.zeros(n_sums)])
        self._settle_unit(self._state)
        self.n += len(piece)
        assert self._looks is not None
        # Blocks of long rows hold several once there are many rows: so many wait.
        block = _kernels.block_items(self._looks[1], 1 << 40)
        needed = block if _kernels.block_items(self._looks[1], 1) == block else 8 * block
        start = 0
        if self._rest is not None:
            taken = self._filling(len(self._rest), len(piece), block, needed)
            self._rest = self._rest.followed_by(piece.part(0, taken))
            start = taken
            if self.n < needed or len(self._rest) % block:
                return
            self._run(self._rest, self._state, block)
            self._rest = None
        whole = (len(piece) - start) // block * block if self.n >= needed else 0
        if whole:
            self._run(piece.part(start, start + whole), self._state, block)
        if start + whole < len(piece):
            self._rest = piece.part(start + whole, len(piece)).kept()

    @staticmethod
    def _filling(waiting: int, new: int, block: int, needed: int) -> int:
        """How many new items join those that wait: up to the end of a block, or until there are enough."""
        return min(
            new, max(needed if waiting < needed and needed > block else 0, -(-waiting // block) * block) - waiting
        )

    def _run(self, piece: _Piece, state: np.ndarray, block: int) -> None:
        self.loss._add_piece(piece, state, block, self.reduction == "mean", False)

    def _closed(self) -> np.ndarray:
        """The state with what still waits."""
        state = self._state.copy()
        if self._rest is not None:
            assert self._looks is not None
            self._run(self._rest, state, _kernels.block_items(self._looks[1], self.n))
        return state

    def _settle_unit(self, state: np.ndarray) -> None:
        """Choose the power of two by which the weights are multiplied, as a run does for a mean."""
        largest, before = state[LARGEST_WEIGHT], state[WEIGHT_UNIT]
        if self.reduction != "mean" or self.loss.kind == "setwise" or largest == 0 or not math.isfinite(largest):
            return
        unit = 1.0 if 1e-10 < largest < 1e10 else math.ldexp(1.0, max(-1000, min(-math.frexp(largest)[1], 1000)))
        if unit != before:
            state[[WEIGHT_SUM, *range(SUMS, len(state))]] *= unit / before
            state[WEIGHT_UNIT] = unit


def _unlike(before: Any, now: Any) -> str:
    """What differs between two kinds of blocks."""
    words = (
        "predictions of dtype {}",
        "{} classes or columns",
        "targets with {} axes (2: one number a row or element; 3: one a class)",
        "sample weights: {}",
    )
    differing = [(word, a, b) for word, a, b in zip(words, before, now, strict=True) if a != b]
    word, a, b = differing[0]
    return f"{word.format(b)} after {word.format(a)}"


def streaming(loss: Any, *, reduction: str = "mean", axis: Any = None) -> Streaming:
    """
    Evaluate a loss over data that comes in blocks, with the result of the whole, and memory for one block.

    Parameters
    ----------
    loss : loss object or str
        An object, or the name of a loss with its defaults.
    reduction : {"mean", "sum", "none"}
        As in a call; "none" for losses of sets alone: one value a set.
    axis : int or tuple of int, optional
        As in a call, and its default. Sets have to extend along axis 0, that of the blocks.

    Returns
    -------
    Streaming
        ``update(prediction, target, sample_weight)`` takes in a block, ``update_from(blocks)`` all of an iterable,
        ``merge(other)`` another stream; ``value()`` is the loss so far.

    Raises
    ------
    ValueError
        If a reduction or axis is none of the loss's.

    Notes
    -----
    The value is that of one call with all blocks, bit for bit: a stream is cut where the kernels cut the whole.
    (Weights whose largest is below 1e-10 or above 1e10, met after others: up to rounding.)

    Examples
    --------
    >>> import numpy as np
    >>> import fastloss as fl
    >>> z, y = np.random.default_rng(0).normal(size=(2, 100_000))
    >>> blocks = ((z[i : i + 999], y[i : i + 999]) for i in range(0, len(z), 999))
    >>> fl.streaming("huber").update_from(blocks).value() == fl.huber(z, y)
    True
    """
    from ._resolve import resolve

    loss = resolve(loss)
    choices = ("mean", "sum", "none") if loss.kind == "setwise" else ("mean", "sum")
    if reduction not in choices:
        raise ValueError(f"reduction of a stream must be {' or '.join(map(repr, choices))}, got {reduction!r}")
    if loss.kind == "pointwise" and axis is not None:
        raise ValueError(f"{loss.name} is a function of single predictions, and has no axis")
    if loss.kind not in ("pointwise", "rowwise", "columns", "setwise"):
        raise ValueError(
            f"{loss.name} takes survival times or groups, all of them at once, and is not added up in blocks"
        )
    return Streaming(loss, reduction, -1 if axis is None and loss.kind in ("rowwise", "columns") else axis)
