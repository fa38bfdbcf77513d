"""Calls with arrays in general: everything that is not plain contiguous NumPy arrays is prepared here.

A call goes one way: `prepare` reads what the user has (`_arrays.py`), checks shapes and options, and finds views
that the kernels can walk through (`_strides.py`); the kernels run on them (`_kernels.pyx`); `Prepared.deliver` copies
what had to be computed elsewhere and returns what the method returns. No element is calculated here: only types are
converted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import (
    BFLOAT16_BITS,
    broadcast,
    check_choice,
    checked_axis,
    class_indices,
    computable,
    is_masked,
    near_one,
    operand,
    prediction_array,
    real_array,
    widened,
)
from ._complaints import TARGET_RULES, raise_class_index, raise_first, warn_mean_of_nothing
from ._strides import ElementLayout, RowLayout, SetLayout, native_type, overlap

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# What the modules around the losses use of these rooms.
__all__ = [
    "CURVATURES",
    "REDUCTIONS",
    "TARGET_RULES",
    "broadcast",
    "check_choice",
    "checked_axis",
    "class_indices",
    "near_one",
    "operand",
    "prediction_array",
    "raise_class_index",
    "raise_first",
    "real_array",
    "row_weights",
    "warn_mean_of_nothing",
]

VALUE, GRADIENT, HESSIAN = 1, 2, 4
REDUCTIONS = ("mean", "sum", "none")
CURVATURES = ("exact", "psd", "majorize")


class Prepared:
    """
    What a call runs on, and what it returns.

    The arrays for the kernels have the shape (outer, inner) or (outer, classes, inner); None for those that there are
    not. There is no prediction where there is nothing to compute. Target and weights as given are kept for complaints.
    """

    def __init__(
        self, outputs: Outputs, given: np.ndarray, axis: int | None, target: np.ndarray, weight: np.ndarray | None
    ) -> None:
        self.outputs = outputs
        self.shape = given.shape
        self.axis = axis
        self.dtype: np.dtype | None = None  # of a stream's predictions
        self.given_target, self.given_weight = target, weight
        nothing: np.ndarray | None = None
        self.prediction = self.target = self.weight = self.pos_weight = self.vector = nothing
        self.value = self.gradient = self.hessian = self.set_values = nothing
        self.buffers: Sequence[np.ndarray | None] = (None, None, None)

    def deliver(self, total: float | None) -> Any:
        """Return what the method returns, given the sum or mean of the values."""
        if self.set_values is not None:
            total = self.outputs.take_sets(self.set_values)
        self.outputs.collect(self.buffers)
        return self.outputs.result(total)

    def deliver_nothing(self) -> Any:
        """Return what the method returns for a prediction without elements."""
        return self.outputs.of_nothing()


def as_arrays(prediction: Any, target: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return what a call was given as arrays; as it is if that fails, for `prepare` to say why."""
    try:
        read = prediction_array(prediction, "prediction", as_stored=True), operand(target, "target", as_stored=True)
        return *read, None if weight is None else operand(weight, "sample_weight", as_stored=True)
    except Exception:
        return prediction, target, weight


def prepare(
    loss: Any,
    want: int,
    prediction: ArrayLike,
    target: ArrayLike,
    axis: Any,
    sample_weight: ArrayLike | None,
    reduction: str,
    curvature: str,
    gradient_out: np.ndarray | None,
    hessian_out: np.ndarray | None,
) -> Prepared:
    """Prepare a call with arrays of any kind; `want` is a mask of VALUE, GRADIENT, HESSIAN."""
    check_choice("reduction", reduction, REDUCTIONS)
    check_choice("curvature", curvature, loss.curvatures)
    given = prediction_array(prediction, "prediction", as_stored=True)
    outputs = (want, reduction, gradient_out, hessian_out)
    if loss.kind in ("rowwise", "columns"):
        return _prepare_rows(loss, given, target, axis, sample_weight, outputs)
    if loss.kind == "setwise":
        return _prepare_sets(given, target, axis, sample_weight, outputs)
    return _prepare_elements(loss, given, target, sample_weight, outputs)


# What a call asks for: what is wanted, the reduction, and where to write gradient and Hessian.
Wishes = tuple[int, str, "np.ndarray | None", "np.ndarray | None"]


def _prepare_elements(
    loss: Any, given: np.ndarray, target: ArrayLike, sample_weight: ArrayLike | None, wishes: Wishes
) -> Prepared:
    shape = given.shape
    z, dtype = computable(given)
    given_target = operand(target, "target", as_stored=True)
    t = broadcast(given_target, "target", shape)
    given_weight = w = None
    if sample_weight is not None:
        given_weight = operand(sample_weight, "sample_weight", as_stored=True)
        w = broadcast(given_weight, "sample_weight", shape)
    pos_weight = loss.parameters.get("pos_weight")
    pos_weight = broadcast(pos_weight, "pos_weight", shape) if isinstance(pos_weight, np.ndarray) else None
    outputs = _outputs(given, dtype, shape, wishes)
    call = Prepared(outputs, given, None, given_target, given_weight)
    if z.size == 0:
        return call

    layout = ElementLayout(z)
    inputs = [layout.turned(array) for array in (t, w, pos_weight)]
    buffers = [
        layout.buffer(out, inputs, may_be_z) for out, may_be_z in zip(outputs.arrays, (False, True, False), strict=True)
    ]
    inputs = [layout.joined(array) for array in inputs]
    call.prediction = layout.flat(layout.z)
    call.target, call.weight, call.pos_weight = map(layout.flat, inputs)
    call.value, call.gradient, call.hessian = map(layout.flat, buffers)
    call.buffers = [layout.for_user(buffer) for buffer in buffers]
    return call


def _prepare_rows(
    loss: Any, given: np.ndarray, target: ArrayLike, axis: Any, sample_weight: ArrayLike | None, wishes: Wishes
) -> Prepared:
    axis = checked_axis(axis, given, "prediction")
    row_shape = given.shape[:axis] + given.shape[axis + 1 :]
    z, dtype = computable(given)
    w = row_weights(sample_weight, row_shape, as_stored=True)
    given_target = operand(target, "target", as_stored=True)
    t, has_indices = _row_targets(loss, given_target, given.shape, axis, w)
    outputs = _outputs(given, dtype, row_shape, wishes)
    call = Prepared(outputs, given, axis if loss.kind == "rowwise" else None, given_target, w)
    if math.prod(row_shape) == 0:
        return call
    _check_classes(given, axis)

    layout = RowLayout(z, axis)
    t = layout.add_rows(t) if has_indices else layout.add_full(t)
    w = None if w is None else layout.add_rows(w)
    value, gradient, hessian = outputs.arrays
    value = None if value is None else layout.row_buffer(value)
    gradient = None if gradient is None else layout.full_buffer(gradient, (t, w), may_be_z=True)
    hessian = None if hessian is None else layout.full_buffer(hessian, (t, w), may_be_z=False)
    call.prediction = layout.flat(layout.z)
    call.target = layout.flat_rows(t) if has_indices else layout.flat(t)
    call.weight, call.value = layout.flat_rows(w), layout.flat_rows(value)
    call.gradient, call.hessian = layout.flat(gradient), layout.flat(hessian)
    call.buffers = [layout.rows_for_user(value), layout.for_user(gradient), layout.for_user(hessian)]
    return call


def _prepare_sets(
    given: np.ndarray, target: ArrayLike, axis: Any, sample_weight: ArrayLike | None, wishes: Wishes
) -> Prepared:
    # A set extends along `axis`, None for all axes.
    along = _checked_axes(axis, given)
    set_shape = tuple(size for number, size in enumerate(given.shape) if number not in along)
    z, dtype = computable(given)
    given_target = operand(target, "target", as_stored=True)
    t = broadcast(given_target, "target", given.shape)
    given_weight = w = None
    if sample_weight is not None:
        given_weight = operand(sample_weight, "sample_weight", as_stored=True)
        w = broadcast(given_weight, "sample_weight", given.shape)
    outputs = _outputs(given, dtype, set_shape, wishes)
    call = Prepared(outputs, given, None, given_target, given_weight)
    if z.size == 0:
        if outputs.arrays[0] is not None:
            outputs.arrays[0][...] = np.nan
        return call

    layout = SetLayout(z, along)
    inputs = [layout.joined(array) for array in (t, w)]
    buffers = [layout.buffer(out, inputs) for out in outputs.arrays[1:]]
    call.prediction = layout.flat(layout.z)
    call.target, call.weight = map(layout.flat, inputs)
    call.gradient, call.hessian = map(layout.flat, buffers)
    call.set_values = np.empty(math.prod(set_shape))
    call.buffers = [None, *(layout.for_user(buffer) for buffer in buffers)]
    return call


def prepare_full_hessian(
    loss: Any,
    prediction: ArrayLike,
    target: ArrayLike,
    vector: ArrayLike | None,
    axis: Any,
    sample_weight: ArrayLike | None,
    reduction: str,
    curvature: str,
) -> Prepared:
    """
    Prepare each row's full Hessian packed along `axis`, or its product with the row's `vector` if there is one.

    Arrays whose classes are not the last of C-ordered axes are copied: the result is much larger than they are.
    """
    check_choice("reduction", reduction, REDUCTIONS)
    check_choice("curvature", curvature, tuple(each for each in loss.curvatures if each != "majorize"))
    given = prediction_array(prediction, "prediction", as_stored=True)
    axis = checked_axis(axis, given, "prediction")
    z, dtype = computable(given)
    n_classes = given.shape[axis]
    row_shape = given.shape[:axis] + given.shape[axis + 1 :]
    w = row_weights(sample_weight, row_shape, as_stored=True)
    given_target = operand(target, "target", as_stored=True)
    t, has_indices = _row_targets(loss, given_target, given.shape, axis, w)
    _check_classes(given, axis)

    def rows(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(array, axis, -1)).reshape(-1, n_classes, 1)

    v = None
    if vector is not None:
        v = operand(vector, "vector")
        if v.shape != given.shape:
            raise ValueError(f"vector must have the prediction's shape, {given.shape}, got {v.shape}")
        v = rows(v.astype(np.float64 if z.dtype == np.float64 else np.float32, copy=False))
    size = n_classes if v is not None else n_classes * (n_classes + 1) // 2
    n_rows = math.prod(row_shape)
    computed = np.empty((n_rows, size, 1), dtype)
    moved = np.moveaxis(computed.reshape(*row_shape, size), -1, axis)
    call = Prepared(
        Outputs(GRADIENT, "none", [None, moved, None]),
        given,
        axis if loss.kind == "rowwise" else None,
        given_target,
        w,
    )
    if n_rows == 0:
        return call
    call.prediction = rows(z)
    call.target = np.ascontiguousarray(t).reshape(-1, 1) if has_indices else rows(t)
    call.weight = None if w is None else np.ascontiguousarray(w).reshape(-1, 1)
    call.vector, call.gradient = v, computed
    call.buffers = [None, moved, None]
    return call


def prepare_stream(
    loss: Any, prediction: ArrayLike, target: ArrayLike, axis: Any, sample_weight: ArrayLike | None
) -> Prepared:
    """
    Prepare a block of a stream: elements, or rows, one after another in C order, whatever the arrays' memory order.

    Every array has the shape (1, elements), (rows, classes, 1) or (rows, 1). A block of nothing has no prediction.
    """
    given = prediction_array(prediction, "prediction")
    call = prepare(loss, 0, given, target, axis, sample_weight, "sum", "exact", None, None)
    if given.size == 0:
        return call
    z, call.dtype = computable(given)
    t, w, pos_weight = call.given_target, call.given_weight, loss.parameters.get("pos_weight")
    if loss.kind in ("rowwise", "columns"):
        along: tuple[int, ...] = (checked_axis(axis, given, "prediction"),)
        t, _ = _row_targets(loss, t, given.shape, along[0], w)
    elif loss.kind == "setwise":
        every = _checked_axes(axis, given)
        along = tuple(number for number in range(given.ndim) if number not in every)
    else:
        call.prediction = np.ascontiguousarray(z).reshape(1, -1)
        pos_weight = pos_weight if isinstance(pos_weight, np.ndarray) else None
        call.target, call.weight, call.pos_weight = (
            None if each is None else np.ascontiguousarray(np.broadcast_to(each, given.shape)).reshape(1, -1)
            for each in (t, w, pos_weight)
        )
        return call

    def rows(array: np.ndarray | None) -> np.ndarray | None:
        if array is None:
            return None
        if loss.kind != "setwise" and array.shape != given.shape:
            return np.ascontiguousarray(array).reshape(-1, 1)
        last = np.moveaxis(np.broadcast_to(array, given.shape), along, range(-len(along), 0))
        n_classes = math.prod(last.shape[last.ndim - len(along) :])
        return np.ascontiguousarray(last).reshape(-1, n_classes, 1)

    call.prediction, call.target, call.weight = rows(z), rows(t), rows(w)
    return call


def prepare_row_function(reduces: bool, x: ArrayLike, axis: Any, out: np.ndarray | None) -> Prepared:
    """Prepare log_softmax, softmax or, which `reduces`, logsumexp for arrays of any kind along any axis."""
    given = prediction_array(x, "x", as_stored=True)
    axis = checked_axis(axis, given, "x")
    shape = given.shape[:axis] + given.shape[axis + 1 :] if reduces else given.shape
    z, call, result = _prepare_function(given, shape, axis, out)
    if z.size == 0:
        result[...] = -np.inf
        return call
    layout = RowLayout(z, axis)
    if reduces:
        buffer = layout.row_buffer(result)
        call.value = layout.flat_rows(buffer)
        call.buffers = [layout.rows_for_user(buffer), None, None]
    else:
        buffer = layout.full_buffer(result, (), may_be_z=True)
        call.gradient = layout.flat(buffer)
        call.buffers = [layout.for_user(buffer), None, None]
    call.prediction = layout.flat(layout.z)
    return call


def prepare_unary(x: ArrayLike, out: np.ndarray | None) -> Prepared:
    """Prepare sigmoid or log_sigmoid for arrays of any kind."""
    given = prediction_array(x, "x", as_stored=True)
    z, call, result = _prepare_function(given, given.shape, None, out)
    if z.size == 0:
        return call
    layout = ElementLayout(z)
    buffer = layout.buffer(result, (), may_be_z=True)
    call.prediction, call.value = layout.flat(layout.z), layout.flat(buffer)
    call.buffers = [layout.for_user(buffer), None, None]
    return call


def _prepare_function(
    given: np.ndarray, shape: tuple[int, ...], axis: int | None, out: np.ndarray | None
) -> tuple[np.ndarray, Prepared, np.ndarray]:
    z, dtype = computable(given)
    _check_out(out, "out", shape, z.dtype)
    result = out if out is not None else _fresh(given, shape, dtype)
    return z, Prepared(Outputs(VALUE, "none", [result, None, None]), given, axis, given, None), result


# ------------------------------------------------------------------------------------------ targets and weights


def row_weights(
    sample_weight: ArrayLike | None, row_shape: tuple[int, ...], as_stored: bool = False
) -> np.ndarray | None:
    """Return one weight per row, or None."""
    if sample_weight is None:
        return None
    w = operand(sample_weight, "sample_weight", as_stored)
    if w.shape not in (row_shape, ()):
        raise ValueError(
            f"sample_weight must hold one number per row, shape {row_shape}, or be a single number; got shape {w.shape}"
        )
    return np.broadcast_to(w, row_shape)


def _row_targets(
    loss: Any, t: np.ndarray, shape: tuple[int, ...], axis: int, w: np.ndarray | None
) -> tuple[np.ndarray, bool]:
    """Return targets, and whether they are one number per row, as class indices are, or else probabilities."""
    row_shape, n_classes = shape[:axis] + shape[axis + 1 :], shape[axis]
    if loss.kind == "columns":
        return _check_columns(loss, t, row_shape, n_classes, axis), True
    ignore_index = loss.parameters.get("ignore_index")
    class_weight = loss.parameters.get("class_weight")
    has_indices = t.shape == row_shape
    if has_indices:
        t = class_indices(widened(t), None if w is None else widened(w), ignore_index, n_classes)
    elif t.shape != shape:
        raise ValueError(
            f"target must hold one class index per row, shape {row_shape}, or probabilities, "
            f"shape {shape}; got shape {t.shape}"
            + (": the prediction comes first, then the target" if t.ndim == len(shape) + 1 else "")
        )
    elif t.ndim == 1 and t.dtype.kind in "iub":
        raise ValueError(
            f"target of shape {t.shape} holds integers for a prediction of one dimension, which is one row of "
            f"{n_classes} classes; pass one class index for that row, or its probabilities as floats "
            f"(for binary targets of {n_classes} scores there is BinaryCrossEntropy)"
        )
    elif ignore_index is not None:
        raise ValueError("ignore_index needs class indices as target, got probabilities")
    if class_weight is not None and len(class_weight) != n_classes:
        raise ValueError(f"class_weight holds {len(class_weight)} numbers, but prediction has {n_classes} classes")
    return t, has_indices


def _check_columns(loss: Any, t: np.ndarray, row_shape: tuple[int, ...], n_columns: int, axis: int) -> np.ndarray:
    if n_columns != len(loss.columns):
        raise ValueError(
            f"prediction must hold {len(loss.columns)} numbers along axis {axis} ({', '.join(loss.columns)}), "
            f"got {n_columns}"
        )
    if t.shape != row_shape:
        raise ValueError(f"target must hold one number per row, shape {row_shape}; got shape {t.shape}")
    return t


def _check_classes(given: np.ndarray, axis: int) -> None:
    if given.shape[axis] == 0:
        raise ValueError(f"prediction must have at least one class along axis {axis}, got shape {given.shape}")


def _checked_axes(axis: Any, array: np.ndarray) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(array.ndim))
    axes = tuple(checked_axis(each, array, "prediction") for each in (axis if isinstance(axis, tuple) else (axis,)))
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis names an axis twice: {axis!r}")
    return axes


# ---------------------------------------------------------------------------------------------------- outputs


class Outputs:
    """The arrays that a call returns or fills: (value, gradient, hessian), None for what is not an array."""

    def __init__(self, want: int, reduction: str, arrays: list[np.ndarray | None]) -> None:
        self.want, self.reduction, self.arrays = want, reduction, arrays

    def collect(self, computed: Sequence[np.ndarray | None]) -> None:
        """Copy what was computed elsewhere to where it belongs."""
        for source, destination in zip(computed, self.arrays, strict=True):
            if source is not None:
                assert destination is not None
                _copy_back(source, destination)

    def take_sets(self, values: np.ndarray) -> float:
        """Take over one value for each set; return their sum or mean."""
        if self.arrays[0] is not None:
            self.arrays[0][...] = values.reshape(self.arrays[0].shape)
        total = float(np.sum(values))
        return total / len(values) if self.reduction == "mean" else total

    def result(self, total: float | None) -> Any:
        """Return what the method returns: the wanted ones in order, a single one bare."""
        results: list[Any] = list(self.arrays)
        if self.want & VALUE and self.reduction != "none":
            results[0] = total
        wanted = [result for bit, result in zip((VALUE, GRADIENT, HESSIAN), results, strict=True) if self.want & bit]
        return wanted[0] if len(wanted) == 1 else tuple(wanted)

    def of_nothing(self) -> Any:
        """Return the result for a prediction without rows."""
        if self.want & VALUE and self.reduction == "mean":
            warn_mean_of_nothing()
        return self.result(math.nan if self.reduction == "mean" else 0.0)


def _outputs(given: np.ndarray, dtype: np.dtype, value_shape: tuple[int, ...], wishes: Wishes) -> Outputs:
    """Return new arrays, or the user's own after a check."""
    want, reduction, gradient_out, hessian_out = wishes
    # Boosters hand out float64 scores and take float32 derivatives; those of halves may be too small for halves.
    _check_out(gradient_out, "gradient_out", given.shape, given.dtype, or_float32=True)
    _check_out(hessian_out, "hessian_out", given.shape, given.dtype, or_float32=True)
    if gradient_out is not None and hessian_out is not None and overlap(gradient_out, hessian_out):
        raise ValueError("gradient_out and hessian_out overlap in memory")
    value = gradient = hessian = None
    if want & VALUE and reduction == "none":
        value = _fresh(given, value_shape, dtype)
    if want & GRADIENT:
        gradient = gradient_out if gradient_out is not None else _fresh(given, given.shape, dtype)
    if want & HESSIAN:
        hessian = hessian_out if hessian_out is not None else _fresh(given, given.shape, dtype)
    return Outputs(want, reduction, [value, gradient, hessian])


def _check_out(out: Any, argument: str, shape: tuple[int, ...], dtype: np.dtype, or_float32: bool = False) -> None:
    if out is None:
        return
    if not isinstance(out, np.ndarray) or is_masked(out) or isinstance(out, np.matrix):
        raise TypeError(f"{argument} must be a NumPy array, not {type(out).__name__}")
    dtype, given = dtype.newbyteorder("="), native_type(out)
    or_float32 = (or_float32 and dtype != np.float32) or dtype == BFLOAT16_BITS
    if given != dtype and not (or_float32 and given == np.float32):
        named = "bfloat16" if dtype == BFLOAT16_BITS else dtype
        also = " or float32," if or_float32 else ""
        raise TypeError(f"{argument} must have the dtype of the prediction, {named},{also} not {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"{argument} must have shape {shape}, got {out.shape}")
    if not out.flags.writeable:
        raise ValueError(f"{argument} is read-only")
    if out.size and any(stride == 0 and size > 1 for stride, size in zip(out.strides, out.shape, strict=True)):
        raise ValueError(f"{argument} has several elements in one place (a broadcast view)")


def _fresh(given: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return a new array in the memory order of `given`, if it has its shape."""
    if shape != given.shape or 0 in given.strides:
        return np.empty(shape, dtype)
    return np.empty_like(given, dtype=dtype, order="K", subok=False)


def _copy_back(source: np.ndarray, destination: np.ndarray) -> None:
    if not np.may_share_memory(source, destination):
        # float16 cannot hold every float32: an overflow to inf is what it should be.
        with np.errstate(over="ignore", under="ignore"):
            destination[...] = source
