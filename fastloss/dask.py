"""Dask: the losses over chunked arrays, lazily, with means over all chunks."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call
from ._kernels import Loss, PointwiseLoss, RowwiseLoss, SetLoss
from ._threads import num_threads

try:
    import dask.array  # Dask: this file is fastloss.dask, and imports are absolute
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "dask":
        raise
    raise ImportError('fastloss.dask needs Dask: pip install "fastloss[dask]"') from None

# Has types for some of its functions only.
da: Any = dask.array

__all__ = ["LossClassifier", "LossRegressor", "gradient_and_hessian", "value", "value_and_gradient"]

if TYPE_CHECKING:
    from ._dask_linear import LossClassifier, LossRegressor
else:

    def __getattr__(name: str) -> Any:
        # They need scikit-learn, and the losses do not.
        if name in ("LossClassifier", "LossRegressor"):
            from . import _dask_linear

            return getattr(_dask_linear, name)
        raise AttributeError(f"module 'fastloss.dask' has no attribute {name!r}")


def value(
    loss: Loss,
    prediction: Any,
    target: Any,
    *,
    sample_weight: Any = None,
    reduction: str = "mean",
    axis: int | None = None,
) -> Any:
    """
    Return a loss of Dask arrays, to be computed later.

    The mean is that over all chunks, sum(w l) / sum(w), and not the mean of the chunks' means.

    Parameters
    ----------
    loss : Loss
        A pointwise or row-wise loss object of fastloss, such as ``fl.Huber(delta=1.5)``.
    prediction : dask.array.Array
        In any chunks of known sizes. The classes of row-wise losses, and axes along which a ``pos_weight`` varies, are
        brought into one chunk.
    target, sample_weight : dask.array.Array or array_like
        As the loss takes them. They are brought into the chunks of `prediction`.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the values w l.
    axis : int, optional
        The axis of the classes of a row-wise loss, by default the last. Other losses take none.

    Returns
    -------
    dask.array.Array
        float64 without dimensions; under "none" the values, in the dtype of `prediction`.

    Raises
    ------
    TypeError
        If an argument is not of its type, has masked or sparse chunks (said when they are computed, where Dask does not
        know it before), or `loss` is one of sets: a set has elements in many chunks.
    ValueError
        If shapes do not fit or sizes of chunks are unknown. Elements out of their range raise it when they are
        computed; the message says in which chunk.

    Notes
    -----
    Each chunk is one task, computed on one thread: the scheduler runs as many of them together as it has threads. Under
    "mean" the weights are summed up before predictions are needed; where every row weighs the same, nothing is.
    Chunks' sums are added in double precision; the last digits depend on the chunks.

    Examples
    --------
    >>> import dask.array as da
    >>> import fastloss as fl
    >>> import fastloss.dask
    >>> prediction = da.from_array([0.0, 3.0, 1.0], chunks=2)
    >>> mean = fastloss.dask.value(fl.SquaredError(), prediction, [1.0, 1.0, 1.0])
    >>> float(mean.compute(scheduler="sync"))
    1.6666666666666667
    """
    problem = _Problem(loss, prediction, target, sample_weight, reduction, axis)
    if reduction == "none":
        rows = problem.row_axes if problem.rowwise else problem.axes
        return problem.blocks(_values, rows, problem.dtype)
    parts = problem.blocks(_sum, problem.axes, np.dtype(np.float64), one_each=True)
    return problem.reduced(parts)


def value_and_gradient(
    loss: Loss,
    prediction: Any,
    target: Any,
    *,
    sample_weight: Any = None,
    reduction: str = "mean",
    axis: int | None = None,
) -> tuple[Any, Any]:
    """
    Return a loss of Dask arrays and its gradient, to be computed later, together in one pass.

    Parameters
    ----------
    loss, prediction, target, sample_weight, reduction, axis
        As for `value`.

    Returns
    -------
    value : dask.array.Array
        As from `value`.
    gradient : dask.array.Array
        In the shape and dtype of `prediction`, and its chunks (a single one along the classes). Under "mean" it is
        divided by the sum of all weights.

    Raises
    ------
    TypeError, ValueError
        As `value`.

    Notes
    -----
    ``dask.compute(value, gradient)`` evaluates each chunk once; two calls of ``.compute()`` do so twice.

    Examples
    --------
    >>> import dask
    >>> import dask.array as da
    >>> import fastloss as fl
    >>> import fastloss.dask
    >>> prediction = da.from_array([0.0, 3.0], chunks=1)
    >>> lazy = fastloss.dask.value_and_gradient(fl.SquaredError(), prediction, [1.0, 1.0])
    >>> mean, gradient = dask.compute(*lazy, scheduler="sync")
    >>> float(mean), gradient
    (2.5, array([-1.,  2.]))
    """
    problem = _Problem(loss, prediction, target, sample_weight, reduction, axis)
    if reduction == "none":
        pairs = problem.blocks(_values_and_gradient, problem.axes, problem.dtype)
        rows = problem.row_axes if problem.rowwise else problem.axes
        values = da.blockwise(
            _first,
            rows,
            pairs,
            problem.axes,
            dtype=problem.dtype,
            meta=np.empty((0,) * len(rows), problem.dtype),
            align_arrays=False,
        )
        return values, problem.second(pairs)
    pairs = problem.blocks(_sum_and_gradient, problem.axes, problem.dtype)
    parts = da.blockwise(
        _first_as_block,
        problem.axes,
        pairs,
        problem.axes,
        dtype=np.dtype(np.float64),
        meta=np.empty((0,) * len(problem.axes)),
        adjust_chunks=problem.one_each(),
        align_arrays=False,
    )
    return problem.reduced(parts), problem.second(pairs)


def gradient_and_hessian(
    loss: Loss,
    prediction: Any,
    target: Any,
    *,
    sample_weight: Any = None,
    reduction: str = "mean",
    curvature: str = "exact",
    axis: int | None = None,
) -> tuple[Any, Any]:
    """
    Return gradient and Hessian of a loss of Dask arrays, to be computed later, together in one pass.

    Parameters
    ----------
    loss, prediction, target, sample_weight, reduction, axis
        As for `value`.
    curvature : {"exact", "psd", "majorize"}, default "exact"
        As for the methods of the loss.

    Returns
    -------
    gradient, hessian : dask.array.Array
        In the shape and dtype of `prediction`, and its chunks (a single one along the classes). Under "mean" they are
        divided by the sum of all weights. The Hessian is the diagonal.

    Raises
    ------
    TypeError, ValueError
        As `value`.

    Examples
    --------
    >>> import dask
    >>> import dask.array as da
    >>> import fastloss as fl
    >>> import fastloss.dask
    >>> prediction = da.from_array([0.0, 3.0], chunks=1)
    >>> lazy = fastloss.dask.gradient_and_hessian(fl.SquaredError(), prediction, [1.0, 1.0], reduction="sum")
    >>> dask.compute(*lazy, scheduler="sync")
    (array([-2.,  4.]), array([2., 2.]))
    """
    _call.check_choice("curvature", curvature, _call.CURVATURES)
    problem = _Problem(loss, prediction, target, sample_weight, reduction, axis)
    pairs = problem.blocks(_gradient_and_hessian, problem.axes, problem.dtype, curvature=curvature)
    return problem.second(pairs, operator.itemgetter(0)), problem.second(pairs)


class _Problem:
    """Arrays brought into the same chunks, and the sum of all weights."""

    def __init__(
        self, loss: Any, prediction: Any, target: Any, sample_weight: Any, reduction: str, axis: int | None
    ) -> None:
        _call.check_choice("reduction", reduction, _call.REDUCTIONS)
        if isinstance(loss, SetLoss):
            raise TypeError(
                f"{loss.name} is a loss of sets, whose elements lie in many chunks: it does not split into chunks"
            )
        if getattr(loss, "kind", None) == "segments":
            raise TypeError(
                f"{loss.name} is a loss of rows that belong together, which lie in many chunks: it does not split into "
                "chunks"
            )
        if not isinstance(loss, (PointwiseLoss, RowwiseLoss)):
            raise TypeError(f"loss must be a loss object of fastloss, not {loss!r}")
        self.rowwise = isinstance(loss, RowwiseLoss)
        if axis is not None and not self.rowwise:
            raise TypeError(f"{loss.name} is evaluated element by element and takes no axis")
        if not isinstance(prediction, da.Array):
            raise TypeError(f"prediction must be a dask.array.Array, not {type(prediction).__name__}")
        z = self.prediction = _known("prediction", prediction)
        self.dtype = _call.prediction_array(np.empty(0, z.dtype), "prediction").dtype.newbyteorder("=")
        self.loss, self.reduction = loss, reduction
        self.axes = tuple(range(z.ndim))
        self.row_axes: tuple[int, ...] = self.axes
        self.options: dict[str, Any] = {}
        t, w = _lazy("target", target), None if sample_weight is None else _lazy("sample_weight", sample_weight)
        if not self.rowwise:
            self._join_classes_of(loss.parameters.get("pos_weight"))
            self.target, self.weight = self._pointwise("target", t), self._pointwise("sample_weight", w)
        else:
            # Broadcasting costs nothing, and has all that the checks of shapes need.
            along = _call.checked_axis(-1 if axis is None else axis, np.broadcast_to(0, z.shape), "prediction")
            self.options = {"axis": along}
            self.row_axes = self.axes[:along] + self.axes[along + 1 :]
            if z.numblocks[along] != 1:
                z = self.prediction = z.rechunk({along: -1})
            self._rowwise(t, w, along)
        self.total = self._total() if reduction == "mean" else None

    def _join_classes_of(self, pos_weight: Any) -> None:
        """Bring the axes along which `pos_weight` varies into one chunk: the loss holds all of it."""
        if isinstance(pos_weight, np.ndarray):
            _call.broadcast(pos_weight, "pos_weight", self.prediction.shape)
            missing = self.prediction.ndim - pos_weight.ndim
            whole = {missing + number: -1 for number, size in enumerate(pos_weight.shape) if size != 1}
            self.prediction = self.prediction.rechunk(whole)

    def _pointwise(self, argument: str, array: Any) -> Any:
        if array is None:
            return None
        shape = self.prediction.shape
        _call.broadcast(np.broadcast_to(0, array.shape), argument, shape)
        # Chunks of what will be broadcast stay as small as they are.
        missing = len(shape) - array.ndim
        chunks = [
            self.prediction.chunks[missing + number] if size != 1 else (1,) for number, size in enumerate(array.shape)
        ]
        return array.rechunk(tuple(chunks)) if array.ndim else array

    def _rowwise(self, t: Any, w: Any, along: int) -> None:
        z = self.prediction
        row_shape = z.shape[:along] + z.shape[along + 1 :]
        row_chunks = z.chunks[:along] + z.chunks[along + 1 :]
        if t.shape not in (row_shape, z.shape):
            raise ValueError(
                f"target must hold one class index per row, shape {row_shape}, or probabilities, "
                f"shape {z.shape}; got shape {t.shape}"
            )
        parameters = self.loss.parameters
        if t.shape == z.shape and parameters.get("ignore_index") is not None:
            raise ValueError("ignore_index needs class indices as target, got probabilities")
        of_class = parameters.get("class_weight")
        if of_class is not None and len(of_class) != z.shape[along]:
            raise ValueError(f"class_weight holds {len(of_class)} numbers, but prediction has {z.shape[along]} classes")
        if w is not None and w.shape not in (row_shape, ()):
            raise ValueError(
                f"sample_weight must hold one number per row, shape {row_shape}, or be a single number; "
                f"got shape {w.shape}"
            )
        self.target = _in_chunks(t, row_chunks if t.shape == row_shape else z.chunks)
        self.weight = w if w is None or not w.ndim else _in_chunks(w, row_chunks)

    def _axes_of(self, array: Any) -> tuple[int, ...]:
        if self.rowwise:
            return self.axes if array.ndim == len(self.axes) else self.row_axes if array.ndim else ()
        return self.axes[len(self.axes) - array.ndim :]

    def _total(self) -> Any:
        """Return the sum of the weights: a number where every row weighs the same, or else a lazy one."""
        parameters = self.loss.parameters
        shape = [self.prediction.shape[number] for number in self.row_axes]
        has_indices = self.rowwise and self.target.ndim < len(self.axes)
        by_class = has_indices and any(parameters.get(name) is not None for name in ("class_weight", "ignore_index"))
        if not by_class:
            n_rows = float(math.prod(shape))
            if self.weight is None:
                return n_rows
            # A weight that is broadcast stands for so many.
            return n_rows / max(1, self.weight.size) * self.weight.sum(dtype=np.float64) if n_rows else 0.0
        arguments: list[Any] = [self.target, self.row_axes]
        if self.weight is not None:
            arguments += [self.weight, self._axes_of(self.weight)]
        parts = da.blockwise(
            _weight_of_rows,
            self.row_axes,
            *arguments,
            loss=self.loss,
            n_classes=self.prediction.shape[self.options["axis"]],
            dtype=np.dtype(np.float64),
            meta=np.empty((0,) * len(self.row_axes)),
            adjust_chunks=dict.fromkeys(self.row_axes, _one),
            align_arrays=False,
        )
        return parts.sum()

    def one_each(self) -> dict[int, Callable[[int], int]]:
        return dict.fromkeys(self.axes, _one)

    def blocks(
        self,
        function: Callable[..., Any],
        axes: tuple[int, ...],
        dtype: np.dtype,
        one_each: bool = False,
        **options: Any,
    ) -> Any:
        """Return `function` of each chunk, whose results have these axes of the prediction."""
        arguments: list[Any] = [self.prediction, self.axes, self.target, self._axes_of(self.target)]
        if self.weight is not None:
            arguments += [self.weight, self._axes_of(self.weight)]
        # Where each chunk starts, for errors.
        for number, sizes in enumerate(self.prediction.chunks):
            starts = np.cumsum([0, *sizes[:-1]])
            arguments += [da.from_array(starts, chunks=1), (number,)]
        scales = function in (_sum_and_gradient, _gradient_and_hessian)
        if scales and self.reduction == "mean":
            arguments += [da.asarray(self.total), ()]
        return da.blockwise(
            _evaluate,
            axes,
            *arguments,
            function=function,
            loss=self.loss,
            options={**self.options, **options},
            n_axes=len(self.axes),
            has_weight=self.weight is not None,
            has_total=scales and self.reduction == "mean",
            dtype=dtype,
            meta=np.empty((0,) * len(axes), dtype),
            adjust_chunks=self.one_each() if one_each else None,
            concatenate=True,
            align_arrays=False,
        )

    def second(self, pairs: Any, getter: Callable[..., Any] = operator.itemgetter(1)) -> Any:
        return da.blockwise(
            getter,
            self.axes,
            pairs,
            self.axes,
            dtype=self.dtype,
            meta=np.empty((0,) * len(self.axes), self.dtype),
            align_arrays=False,
        )

    def reduced(self, parts: Any) -> Any:
        total = parts.sum()
        if self.reduction == "sum":
            return total
        return da.blockwise(
            _mean, (), total, (), da.asarray(self.total), (), dtype=np.dtype(np.float64), meta=np.empty(())
        )


def _known(argument: str, array: Any) -> Any:
    _call.operand(array._meta, argument)
    if any(math.isnan(size) for sizes in array.chunks for size in sizes):
        raise ValueError(f"{argument} has chunks of unknown sizes: call its compute_chunk_sizes() first")
    return array


def _lazy(argument: str, value: Any) -> Any:
    if isinstance(value, da.Array):
        return _known(argument, value)
    return da.asarray(_call.operand(value, argument))


def _in_chunks(array: Any, chunks: Any) -> Any:
    return array if array.chunks == chunks else array.rechunk(chunks)


# ------------------------------------------------------------------------------------- what a task does, on arrays


def _evaluate(
    prediction: np.ndarray,
    target: np.ndarray,
    *others: Any,
    function: Callable[..., Any],
    loss: Any,
    options: dict[str, Any],
    n_axes: int,
    has_weight: bool,
    has_total: bool,
) -> Any:
    rest = list(others)
    weight = rest.pop(0) if has_weight else None
    starts = [int(rest.pop(0)[0]) for _ in range(n_axes)]
    total = float(rest.pop(0)) if has_total else None
    try:
        # The scheduler runs chunks side by side.
        with num_threads(1):
            z = _call.prediction_array(prediction, "prediction")
            return function(loss, z, target, {"sample_weight": weight, **options}, total)
    except ValueError as error:
        raise ValueError(f"in the chunk that starts at {tuple(starts)}: {error}") from None


def _sum(loss: Any, z: np.ndarray, t: np.ndarray, options: dict[str, Any], total: float | None) -> np.ndarray:
    return np.full((1,) * z.ndim, loss(z, t, reduction="sum", **options))


def _values(loss: Any, z: np.ndarray, t: np.ndarray, options: dict[str, Any], total: float | None) -> np.ndarray:
    return np.asarray(loss(z, t, reduction="none", **options))


def _values_and_gradient(loss: Any, z: np.ndarray, t: np.ndarray, options: dict[str, Any], total: float | None) -> Any:
    return loss.value_and_gradient(z, t, reduction="none", **options)


def _sum_and_gradient(loss: Any, z: np.ndarray, t: np.ndarray, options: dict[str, Any], total: float | None) -> Any:
    value, gradient = loss.value_and_gradient(_wide(z), t, reduction="sum", **options)
    return value, _divided(gradient, total, z)


def _gradient_and_hessian(loss: Any, z: np.ndarray, t: np.ndarray, options: dict[str, Any], total: float | None) -> Any:
    gradient, hessian = loss.gradient_and_hessian(_wide(z), t, reduction="sum", **options)
    return _divided(gradient, total, z), _divided(hessian, total, z)


def _wide(z: np.ndarray) -> np.ndarray:
    """Return half precision as float32: sums of weights would leave its range before they are divided."""
    return z.astype(np.float32) if z.dtype.itemsize == 2 and z.dtype.kind not in "iu" else z


def _divided(derivative: np.ndarray, total: float | None, z: np.ndarray) -> np.ndarray:
    """Return the derivative divided by the sum of all weights, in the dtype of the prediction."""
    if total is not None:
        # In float64: float32 may not hold the sum. If nothing counts, the derivative is 0.
        scale = 1 / total if total > 0 else 0.0
        np.multiply(derivative, scale, out=derivative, dtype=np.float64, casting="same_kind")
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(derivative).astype(z.dtype if z.dtype.kind not in "iu" else np.float64, copy=False)


def _weight_of_rows(t: np.ndarray, w: np.ndarray | None = None, *, loss: Any, n_classes: int) -> np.ndarray:
    """Return the sum of the weights of a chunk with class indices. Bad ones are for the loss to refuse."""
    parameters = loss.parameters
    ignore_index, of_class = parameters.get("ignore_index"), parameters.get("class_weight")
    weights = np.ones(t.shape) if w is None else np.broadcast_to(np.asarray(w, np.float64), t.shape).copy()
    t = _call.class_indices(_call.operand(t, "target"), weights, ignore_index, n_classes)
    inside = (t >= 0) & (t < n_classes)
    if of_class is not None:
        weights *= of_class[np.where(inside, t, 0).astype(np.intp)]
    counts = inside if ignore_index is None else inside & (t != ignore_index)
    return np.full((1,) * t.ndim, np.sum(weights, where=counts))


def _one(size: int) -> int:
    return 1


def _first(pair: Any) -> Any:
    # One block along the classes, which the values have not.
    while isinstance(pair, list):
        pair = pair[0]
    return np.asarray(pair[0])


def _first_as_block(pair: Any) -> np.ndarray:
    return np.full((1,) * np.ndim(pair[1]), pair[0])


def _mean(total: Any, weight: Any) -> Any:
    if weight > 0:
        return np.float64(total) / np.float64(weight)
    _call.warn_mean_of_nothing()
    return np.float64("nan")
