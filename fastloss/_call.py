"""Arrays in general: everything that is not plain contiguous NumPy arrays comes through here.

The compiled methods of a loss handle exact, C-contiguous, native float arrays themselves and hand the rest to
`general_pointwise` and `general_rowwise`. These

1. read whatever the user has as arrays (`_as_array`), or say in a TypeError why that cannot be;
2. check shapes and options;
3. bring predictions, targets, weights and outputs to views of two dimensions (outer, inner) or, with
   classes, of three (outer, K, inner). Any memory order arrives there without a copy, for axes are sorted by
   stride and merged where every array steps through them as one; what does not fit in is copied;
4. call the same kernels, and copy to the user's arrays what had to be computed elsewhere.

No element is calculated here: only types are converted, and errors described.
"""

from __future__ import annotations

import math
import operator
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import _kernels

try:
    from numpy.exceptions import TooHardError
except ImportError:  # NumPy before 1.25
    from numpy import TooHardError  # type: ignore[no-redef, attr-defined, unused-ignore]

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

VALUE, GRADIENT, HESSIAN = 1, 2, 4
REDUCTIONS = ("mean", "sum", "none")
CURVATURES = ("exact", "psd", "majorize")

# Where targets may lie, and how to say so.
TARGET_RULES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "unit interval": (lambda t: (t >= 0) & (t <= 1), "must lie in [0, 1]"),
    "nonnegative": (lambda t: (t >= 0) & np.isfinite(t), "must be finite and >= 0"),
    "positive": (lambda t: (t > 0) & np.isfinite(t), "must be finite and > 0"),
}

# Up to here C-ordered rows go through tiles like others (csrc/rows.h).
FEW_CLASSES = 64

# Overlap of strided arrays is an integer problem that can take for ever; more work than this, and a copy is cheaper.
OVERLAP_WORK = 100_000


# ------------------------------------------------------------------------------------------- pointwise losses


def general_pointwise(
    loss: Any,
    want: int,
    prediction: ArrayLike,
    target: ArrayLike,
    sample_weight: ArrayLike | None,
    reduction: str,
    curvature: str,
    gradient_out: np.ndarray | None,
    hessian_out: np.ndarray | None,
) -> Any:
    """Evaluate a pointwise loss for arrays of any kind; `want` is a mask of VALUE, GRADIENT, HESSIAN."""
    check_choice("reduction", reduction, REDUCTIONS)
    check_choice("curvature", curvature, CURVATURES)
    given = prediction_array(prediction, "prediction")
    shape = given.shape
    z, dtype = _computable(given)
    t = broadcast(operand(target, "target"), "target", shape)
    w = None
    if sample_weight is not None:
        w = broadcast(_scaled_weights(sample_weight, reduction), "sample_weight", shape)
    pos_weight = loss.parameters.get("pos_weight")
    if not isinstance(pos_weight, np.ndarray):
        pos_weight = None
    else:
        pos_weight = broadcast(pos_weight, "pos_weight", shape)
    outputs = _Outputs(given, dtype, want, reduction, shape, gradient_out, hessian_out)
    if z.size == 0:
        return outputs.of_nothing()

    order = _axes_by_stride(z)
    z = z.transpose(order)
    if len(_merged(z.shape, [z])) > 2:
        z = z.copy(order="C")
    inputs = [array if array is None else array.transpose(order) for array in (t, w, pos_weight)]

    together = [z]
    buffers: list[np.ndarray | None] = []
    for out, may_be_z in zip(outputs.arrays, (False, True, False), strict=True):
        buffer = None if out is None else out.transpose(order)
        if buffer is not None and (
            not _is_direct(buffer, z.dtype, narrower=True)
            or len(_merged(z.shape, [*together, buffer])) > 2
            or _conflicts(buffer, z, inputs, may_be_z)
        ):
            buffer = np.empty(z.shape, z.dtype)
        if buffer is not None:
            together.append(buffer)
        buffers.append(buffer)
    for position, array in enumerate(inputs):
        if array is not None:
            if len(_merged(z.shape, [*together, array])) > 2:
                inputs[position] = array = array.copy(order="C")
            together.append(array)

    sizes = [size for size, _ in _merged(z.shape, together)]
    outer, inner = [1] * (2 - len(sizes)) + sizes

    def flat(array: Any) -> Any:
        return None if array is None else array.reshape(outer, inner)

    t, w_flat, pos_weight = map(flat, inputs)
    value, gradient, hessian = map(flat, buffers)
    try:
        total = _kernels.run_pointwise(
            loss, flat(z), t, w_flat, pos_weight, reduction, curvature, value, gradient, hessian
        )
    except _kernels.BadElement as error:
        raise_bad_element(loss, error, given, target, None, sample_weight)
    outputs.collect([buffer if buffer is None else buffer.transpose(_inverse(order)) for buffer in buffers])
    if outputs.mean_is_nan(total):
        warn_if_nothing_counts(w)
    return outputs.result(total)


# -------------------------------------------------------------------------------------------- row-wise losses


def general_rowwise(
    loss: Any,
    want: int,
    prediction: ArrayLike,
    target: ArrayLike,
    axis: int,
    sample_weight: ArrayLike | None,
    reduction: str,
    curvature: str,
    gradient_out: np.ndarray | None,
    hessian_out: np.ndarray | None,
) -> Any:
    """Evaluate a row-wise loss for arrays of any kind and any axis of classes."""
    check_choice("reduction", reduction, REDUCTIONS)
    check_choice("curvature", curvature, CURVATURES)
    given = prediction_array(prediction, "prediction")
    axis = checked_axis(axis, given, "prediction")
    row_shape = given.shape[:axis] + given.shape[axis + 1 :]
    n_classes = given.shape[axis]
    z, dtype = _computable(given)
    w = _row_weights(sample_weight, row_shape, reduction)
    t, has_indices = _row_targets(loss, target, given.shape, axis, w)
    outputs = _Outputs(given, dtype, want, reduction, row_shape, gradient_out, hessian_out)
    if math.prod(row_shape) == 0:
        return outputs.of_nothing()
    if n_classes == 0:
        raise ValueError(f"prediction must have at least one class along axis {axis}, got shape {given.shape}")

    layout = _RowLayout(z, axis)
    t = layout.add_rows(t) if has_indices else layout.add_full(t)
    w = None if w is None else layout.add_rows(w)
    value, gradient, hessian = outputs.arrays
    value_buffer = None if value is None else layout.row_buffer(value)
    full_buffers = [
        None if gradient is None else layout.full_buffer(gradient, (t, w), may_be_z=True),
        None if hessian is None else layout.full_buffer(hessian, (t, w), may_be_z=False),
    ]
    flat, flat_rows = layout.flat, layout.flat_rows
    try:
        total = _kernels.run_rowwise(
            loss,
            flat(layout.z),
            flat_rows(t) if has_indices else flat(t),
            flat_rows(w),
            reduction,
            curvature,
            flat_rows(value_buffer),
            *map(flat, full_buffers),
        )
    except _kernels.BadElement as error:
        raise_bad_element(loss, error, given, target, axis, sample_weight)
    outputs.collect([layout.rows_for_user(value_buffer), *map(layout.full_for_user, full_buffers)])
    if outputs.mean_is_nan(total):
        warn_if_no_row_counts(loss, t if has_indices else None, w)
    return outputs.result(total)


def full_hessian(
    loss: Any,
    prediction: ArrayLike,
    target: ArrayLike,
    vector: ArrayLike | None,
    axis: int,
    sample_weight: ArrayLike | None,
    reduction: str,
    curvature: str,
) -> np.ndarray:
    """
    Return each row's full Hessian packed along `axis`, or its product with the row's `vector` if there is one.

    Arrays whose classes are not the last of C-ordered axes are copied: the result is much larger than they are.
    """
    check_choice("reduction", reduction, REDUCTIONS)
    check_choice("curvature", curvature, ("exact", "psd"))
    given = prediction_array(prediction, "prediction")
    axis = checked_axis(axis, given, "prediction")
    z, dtype = _computable(given)
    n_classes = given.shape[axis]
    row_shape = given.shape[:axis] + given.shape[axis + 1 :]
    w = _row_weights(sample_weight, row_shape, reduction)
    t, has_indices = _row_targets(loss, target, given.shape, axis, w)
    if n_classes == 0:
        raise ValueError(f"prediction must have at least one class along axis {axis}, got shape {given.shape}")

    def rows(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.moveaxis(array, axis, -1)).reshape(-1, n_classes, 1)

    v = None
    if vector is not None:
        v = operand(vector, "vector")
        if v.shape != given.shape:
            raise ValueError(f"vector must have the prediction's shape, {given.shape}, got {v.shape}")
        v = rows(v.astype(z.dtype, copy=False))
    size = n_classes if v is not None else n_classes * (n_classes + 1) // 2
    n_rows = math.prod(row_shape)
    out = np.empty((n_rows, size, 1), z.dtype)
    if n_rows:
        try:
            _kernels.run_full_hessian(
                loss,
                rows(z),
                np.ascontiguousarray(t).reshape(-1, 1) if has_indices else rows(t),
                None if w is None else np.ascontiguousarray(w).reshape(-1, 1),
                reduction == "mean",
                curvature,
                v,
                out,
            )
        except _kernels.BadElement as error:
            raise_bad_element(loss, error, given, target, axis, sample_weight)
    with np.errstate(over="ignore", under="ignore"):
        return np.moveaxis(out.reshape(*row_shape, size), -1, axis).astype(dtype, copy=False)


def _scaled_weights(sample_weight: ArrayLike, reduction: str) -> np.ndarray:
    """Return weights as an array; those of a mean on a scale that float32 can hold, for a common factor drops out."""
    w = operand(sample_weight, "sample_weight")
    return near_one(w) if reduction == "mean" else w


def near_one(weights: np.ndarray) -> np.ndarray:
    """Return weights; if they are far from 1, times the power of two that brings the largest to [1/2, 1)."""
    largest = float(weights.max()) if weights.size else 0.0
    if 1e-10 < largest < 1e10 or not 0.0 < largest < math.inf or weights.min() < 0:
        return weights  # those that are none are found where all others are
    return np.asarray(np.ldexp(weights.astype(np.float64), -math.frexp(largest)[1]))


def _row_weights(
    sample_weight: ArrayLike | None, row_shape: tuple[int, ...], reduction: str = "sum"
) -> np.ndarray | None:
    if sample_weight is None:
        return None
    w = _scaled_weights(sample_weight, reduction)
    if w.shape not in (row_shape, ()):
        raise ValueError(
            f"sample_weight must hold one number per row, shape {row_shape}, or be a single number; got shape {w.shape}"
        )
    return np.broadcast_to(w, row_shape)


def _row_targets(
    loss: Any, target: ArrayLike, shape: tuple[int, ...], axis: int, w: np.ndarray | None
) -> tuple[np.ndarray, bool]:
    """Return targets, and whether they are class indices: one number per row, or else probabilities."""
    row_shape, n_classes = shape[:axis] + shape[axis + 1 :], shape[axis]
    ignore_index = loss.parameters.get("ignore_index")
    class_weight = loss.parameters.get("class_weight")
    t = operand(target, "target")
    has_indices = t.shape == row_shape
    if has_indices:
        t = class_indices(t, w, ignore_index, n_classes)
    elif t.shape != shape:
        raise ValueError(
            f"target must hold one class index per row, shape {row_shape}, or probabilities, "
            f"shape {shape}; got shape {t.shape}"
        )
    elif ignore_index is not None:
        raise ValueError("ignore_index needs class indices as target, got probabilities")
    if class_weight is not None and len(class_weight) != n_classes:
        raise ValueError(f"class_weight holds {len(class_weight)} numbers, but prediction has {n_classes} classes")
    return t, has_indices


def class_indices(t: np.ndarray, w: np.ndarray | None, ignore_index: int | None, n_classes: int | None) -> np.ndarray:
    """Return `t` as integers; numbers of a float type pass if all of them are integral."""
    if t.dtype.kind in "iu":
        return t
    if t.dtype.kind == "b":
        return t.astype(np.uint8)
    counts = True if w is None else w != 0
    fractional = counts & ~((np.floor(t) == t) & np.isfinite(t))
    if fractional.any():
        where, at = _first(fractional)
        raise ValueError(
            f"target{at} = {_show(t[where])} is not a class index: one number per row must be an integer "
            f"(probabilities have the shape of the logits)"
        )
    # Beyond 2**53 no class and no ignore_index is meant; the cast to integers would be undefined.
    outside = counts & (np.abs(t) > 2.0**53)
    if outside.any():
        raise_class_index(t, outside, n_classes, ignore_index)
    return np.where(counts, t, 0).astype(np.int64)


class _RowLayout:
    """The way in which logits with classes along `axis` become (outer, K, inner).

    "Rows" mode: the classes of a row are neighbours in memory. "Columns" mode: the same class of neighbouring
    rows is, as in F-ordered (n, K) arrays and in images with the channel before the pixels. Whatever has neither
    is copied to its own memory order without gaps, which has one of them.
    """

    def __init__(self, z: np.ndarray, axis: int) -> None:
        if any(stride == 0 and size > 1 for stride, size in zip(z.strides, z.shape, strict=True)):
            z = z.copy(order="C")
        self.together: list[np.ndarray] = []
        self.z = self._arranged(z, axis)
        if not self._joins(self.z):
            self.z = self._arranged(z.copy(order="K"), axis)
        self.together.append(self._row_view(self.z))

    def _arranged(self, z: np.ndarray, axis: int) -> np.ndarray:
        """Return `z` with its rows sorted by stride and the classes last; set the order and the mode."""
        rows = [row for row in _axes_by_stride(z) if row != axis]
        self.order = [*rows, axis]
        self.row_order = [row - (row > axis) for row in rows]
        z = z.transpose(self.order)
        self.n_classes = z.shape[-1]
        groups = _merged(z.shape[:-1], [self._row_view(z)])
        inner_is_dense = bool(groups) and groups[-1][1][0] == z.itemsize
        classes_are_dense = z.strides[-1] == z.itemsize
        self.by_columns = inner_is_dense and (self.n_classes == 1 or not classes_are_dense)
        return z

    @staticmethod
    def _row_view(array: np.ndarray) -> np.ndarray:
        return array[..., 0]

    def _empty(self, dtype: np.dtype) -> np.ndarray:
        return np.empty_like(self.z, dtype=dtype, order="K", subok=False)

    def add_full(self, array: np.ndarray) -> np.ndarray:
        array = array.transpose(self.order)
        if not self._joins(array):
            copied = self._empty(array.dtype)
            copied[...] = array
            array = copied
        self.together.append(self._row_view(array))
        return array

    def add_rows(self, array: np.ndarray) -> np.ndarray:
        array = array.transpose(self.row_order)
        if self._splits(array):
            array = array.copy(order="C")
        self.together.append(array)
        return array

    def row_buffer(self, out: np.ndarray, inputs: Sequence[np.ndarray | None] = ()) -> np.ndarray:
        buffer = out.transpose(self.row_order)
        if not _is_direct(buffer, self.z.dtype) or self._splits(buffer) or _conflicts(buffer, self.z, inputs, False):
            buffer = np.empty(buffer.shape, self.z.dtype)
        self.together.append(buffer)
        return buffer

    def _splits(self, array: np.ndarray) -> bool:
        """Whether one number per row, cheap to copy, would cut up what the logits walk through in one go."""
        return len(_merged(array.shape, [*self.together, array])) > len(_merged(array.shape, self.together))

    def full_buffer(self, out: np.ndarray, inputs: Sequence[np.ndarray | None], may_be_z: bool) -> np.ndarray:
        buffer = out.transpose(self.order)
        conflicts = _conflicts(buffer, self.z, inputs, may_be_z)
        # Long rows would take another loop for the sake of a narrower output, and so end in other bits.
        narrower = self.by_columns or self.n_classes <= FEW_CLASSES
        if conflicts or not _is_direct(buffer, self.z.dtype, narrower) or not self._joins(buffer):
            buffer = self._empty(self.z.dtype)
        self.together.append(self._row_view(buffer))
        return buffer

    def _joins(self, array: np.ndarray) -> bool:
        """Whether an array of rows and classes has the strides that the mode and the other arrays ask for."""
        groups = _merged(self.z.shape[:-1], [*self.together, self._row_view(array)])
        if len(groups) > 2:
            return False
        if self.by_columns:
            return groups[-1][1][-1] == array.itemsize
        return self.n_classes == 1 or array.strides[-1] == array.itemsize

    def _sizes(self) -> tuple[int, int]:
        sizes = [size for size, _ in _merged(self.z.shape[:-1], self.together)]
        if len(sizes) < 2:
            size = math.prod(sizes)
            return (1, size) if self.by_columns else (size, 1)
        return sizes[0], sizes[1]

    def flat(self, array: np.ndarray | None) -> Any:
        return None if array is None else array.reshape(*self._sizes(), self.n_classes).swapaxes(1, 2)

    def flat_rows(self, array: np.ndarray | None) -> Any:
        return None if array is None else array.reshape(self._sizes())

    def full_for_user(self, array: np.ndarray | None) -> Any:
        return None if array is None else array.transpose(_inverse(self.order))

    def rows_for_user(self, array: np.ndarray | None) -> Any:
        return None if array is None else array.transpose(_inverse(self.row_order))


# ------------------------------------------------------------------------------------------------- set losses

# Sets of one call to the kernels: scratch grows with them.
MAX_SETS = 4096


def general_sets(
    loss: Any,
    want: int,
    prediction: ArrayLike,
    target: ArrayLike,
    axis: int | tuple[int, ...] | None,
    sample_weight: ArrayLike | None,
    reduction: str,
    curvature: str,
    gradient_out: np.ndarray | None,
    hessian_out: np.ndarray | None,
) -> Any:
    """Evaluate a set loss for arrays of any kind; a set extends along `axis`, None for all axes."""
    check_choice("reduction", reduction, REDUCTIONS)
    check_choice("curvature", curvature, CURVATURES)
    given = prediction_array(prediction, "prediction")
    along = _checked_axes(axis, given)
    set_axes = [number for number in range(given.ndim) if number not in along]
    set_shape = tuple(given.shape[number] for number in set_axes)
    z, dtype = _computable(given)
    t = broadcast(operand(target, "target"), "target", given.shape)
    w = None
    if sample_weight is not None:
        w = broadcast(operand(sample_weight, "sample_weight"), "sample_weight", given.shape)
    outputs = _Outputs(given, dtype, want, reduction, set_shape, gradient_out, hessian_out)
    if z.size == 0:
        if outputs.arrays[0] is not None:
            outputs.arrays[0][...] = np.nan
        return outputs.of_nothing()

    order = [*(number for number in _axes_by_stride(z) if number in along), *set_axes]
    n_along = len(along)

    first_set: Any = (..., *[0] * len(set_axes))

    def walks(arrays: Sequence[np.ndarray]) -> bool:
        """Whether the sets are one dimension of all arrays, and their elements two."""
        elements = _merged(arrays[0].shape[:n_along], [a[first_set] for a in arrays])
        sets = _merged(set_shape, [a[(0,) * n_along] for a in arrays])
        return len(elements) <= 2 and len(sets) <= 1

    z = z.transpose(order)
    if not walks([z]):
        z = z.copy(order="C")
    together = [z]

    def joined(array: np.ndarray | None) -> np.ndarray | None:
        """Return it, or a copy without gaps, which walks with everything."""
        if array is None:
            return None
        array = array.transpose(order)
        if not walks([*together, array]):
            array = array.copy(order="C")
        together.append(array)
        return array

    inputs = [joined(t), joined(w)]
    buffers: list[np.ndarray | None] = []
    for out in outputs.arrays[1:]:
        buffer = None if out is None else out.transpose(order)
        if buffer is not None and (
            not _is_direct(buffer, z.dtype, narrower=True)
            or not walks([*together, buffer])
            or _conflicts(buffer, z, inputs, may_be_z=False)
        ):
            buffer = np.empty(z.shape, z.dtype)
        if buffer is not None:
            together.append(buffer)
        buffers.append(buffer)

    groups = _merged(z.shape[:n_along], [a[first_set] for a in together])
    sizes = [size for size, _ in groups]
    if len(sizes) < 2:
        inner_is_dense = bool(groups) and groups[0][1][0] == z.itemsize
        size = math.prod(sizes)
        sizes = [1, size] if inner_is_dense else [size, 1]
    n_sets = math.prod(set_shape)
    outer, inner = sizes

    def flat(array: np.ndarray | None) -> Any:
        return None if array is None else array.reshape(outer, inner, n_sets).swapaxes(1, 2)

    z_flat, t_flat, w_flat, gradient, hessian = map(flat, (z, *inputs, *buffers))
    values = np.empty(n_sets)
    scale = 1.0 / n_sets if reduction == "mean" else 1.0
    try:
        for start in range(0, n_sets, MAX_SETS):
            part = slice(start, start + MAX_SETS)
            parts: Any = [None if a is None else a[:, part] for a in (z_flat, t_flat, w_flat, gradient, hessian)]
            z_part, t_part, w_part, *derivatives = parts
            _kernels.run_sets(loss, z_part, t_part, w_part, scale, curvature, values[part], *derivatives)
    except _kernels.BadElement as error:
        raise_bad_element(loss, error, given, target, None, sample_weight)
    if outputs.arrays[0] is not None:
        outputs.arrays[0][...] = values.reshape(set_shape)
    outputs.collect([None, *(buffer if buffer is None else buffer.transpose(_inverse(order)) for buffer in buffers)])
    total = float(np.sum(values))
    return outputs.result(total / n_sets if reduction == "mean" else total)


def _checked_axes(axis: Any, array: np.ndarray) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(array.ndim))
    axes = tuple(checked_axis(each, array, "prediction") for each in (axis if isinstance(axis, tuple) else (axis,)))
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis names an axis twice: {axis!r}")
    return axes


# ---------------------------------------------------------------------------------------------- row functions


def general_row_function(kind: str, x: ArrayLike, axis: int, out: np.ndarray | None) -> Any:
    """Evaluate log_softmax, softmax or logsumexp for arrays of any kind along any axis."""
    given = prediction_array(x, "x")
    axis = checked_axis(axis, given, "x")
    row_shape = given.shape[:axis] + given.shape[axis + 1 :]
    z, dtype = _computable(given)
    reduces = kind == "logsumexp"
    shape = row_shape if reduces else given.shape
    _check_out(out, "out", shape, dtype)
    result = out if out is not None else _fresh(given, shape, dtype)
    if z.size == 0:
        result[...] = -np.inf
        return _returned(result, out)
    layout = _RowLayout(z, axis)
    if reduces:
        buffer = layout.row_buffer(result)
        _kernels.run_row_function(kind, layout.flat(layout.z), layout.flat_rows(buffer))
        computed = layout.rows_for_user(buffer)
    else:
        buffer = layout.full_buffer(result, (), may_be_z=True)
        _kernels.run_row_function(kind, layout.flat(layout.z), layout.flat(buffer))
        computed = layout.full_for_user(buffer)
    _copy_back(computed, result)
    return _returned(result, out)


def general_unary(kind: str, x: ArrayLike, out: np.ndarray | None) -> Any:
    """Evaluate sigmoid or log_sigmoid for arrays of any kind."""
    given = prediction_array(x, "x")
    z, dtype = _computable(given)
    _check_out(out, "out", given.shape, dtype)
    result = out if out is not None else _fresh(given, given.shape, dtype)
    if z.size == 0:
        return _returned(result, out)
    order = _axes_by_stride(z)
    z = z.transpose(order)
    if not z.flags.c_contiguous:
        z = z.copy(order="C")
    buffer = result.transpose(order)
    if not _is_direct(buffer, z.dtype) or not buffer.flags.c_contiguous or _conflicts(buffer, z, (), may_be_z=True):
        buffer = np.empty(z.shape, z.dtype)
    _kernels.run_unary(kind, z.reshape(-1), buffer.reshape(-1))
    _copy_back(buffer.transpose(_inverse(order)), result)
    return _returned(result, out)


# ---------------------------------------------------------------------------------------------------- outputs


class _Outputs:
    """The arrays that a call returns or fills: (value, gradient, hessian), None for what is not an array."""

    def __init__(
        self,
        given: np.ndarray,
        dtype: np.dtype,
        want: int,
        reduction: str,
        value_shape: tuple[int, ...],
        gradient_out: np.ndarray | None,
        hessian_out: np.ndarray | None,
    ) -> None:
        self.want = want
        self.reduction = reduction
        # Boosters hand out float64 scores and take float32 derivatives.
        _check_out(gradient_out, "gradient_out", given.shape, dtype, narrower=True)
        _check_out(hessian_out, "hessian_out", given.shape, dtype, narrower=True)
        if gradient_out is not None and hessian_out is not None and _overlap(gradient_out, hessian_out):
            raise ValueError("gradient_out and hessian_out overlap in memory")
        value = gradient = hessian = None
        if want & VALUE and reduction == "none":
            value = _fresh(given, value_shape, dtype)
        if want & GRADIENT:
            gradient = gradient_out if gradient_out is not None else _fresh(given, given.shape, dtype)
        if want & HESSIAN:
            hessian = hessian_out if hessian_out is not None else _fresh(given, given.shape, dtype)
        self.arrays = [value, gradient, hessian]

    def collect(self, computed: Sequence[np.ndarray | None]) -> None:
        """Copy what was computed elsewhere to where it belongs."""
        for source, destination in zip(computed, self.arrays, strict=True):
            if source is not None:
                assert destination is not None
                _copy_back(source, destination)

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

    def mean_is_nan(self, total: float | None) -> bool:
        return bool(self.want & VALUE) and self.reduction == "mean" and total is not None and math.isnan(total)


def _check_out(out: Any, argument: str, shape: tuple[int, ...], dtype: np.dtype, narrower: bool = False) -> None:
    if out is None:
        return
    if not isinstance(out, np.ndarray) or _is_masked(out) or isinstance(out, np.matrix):
        raise TypeError(f"{argument} must be a NumPy array, not {type(out).__name__}")
    given = out.dtype.newbyteorder("=")
    if given != dtype and not (narrower and dtype == np.float64 and given == np.float32):
        or_float32 = " or float32," if narrower and dtype == np.float64 else ""
        raise TypeError(f"{argument} must have the dtype of the prediction, {dtype},{or_float32} not {out.dtype}")
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


def _returned(result: np.ndarray, out: np.ndarray | None) -> Any:
    """Return the user's own array as it is, and a new one without dimensions as a NumPy scalar, as ufuncs do."""
    return out if out is not None else result[()]


def _copy_back(source: np.ndarray, destination: np.ndarray) -> None:
    if not np.may_share_memory(source, destination):
        # float16 cannot hold every float32: an overflow to inf is what it should be.
        with np.errstate(over="ignore", under="ignore"):
            destination[...] = source


def _is_direct(buffer: np.ndarray, dtype: np.dtype, narrower: bool = False) -> bool:
    """Whether a kernel of `dtype` can write to `buffer`; derivatives also where it is float32 and the kernel is not."""
    return (
        (buffer.dtype == dtype or (narrower and buffer.dtype == np.float32))
        and buffer.dtype.isnative
        and buffer.flags.aligned
        and all(stride % buffer.itemsize == 0 for stride in buffer.strides)
    )


def _conflicts(buffer: np.ndarray, z: np.ndarray, inputs: Sequence[np.ndarray | None], may_be_z: bool) -> bool:
    """Whether writing to `buffer` would change what is still to be read. The gradient may go in place of `z`."""
    if not (may_be_z and _is_same(buffer, z)) and _overlap(buffer, z):
        return True
    return any(_overlap(buffer, array) for array in inputs if array is not None)


def _is_same(a: np.ndarray, b: np.ndarray) -> bool:
    same_layout = a.strides == b.strides and a.shape == b.shape and a.dtype == b.dtype
    return same_layout and a.__array_interface__["data"][0] == b.__array_interface__["data"][0]


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=OVERLAP_WORK)  # type: ignore[arg-type, unused-ignore]
    except TooHardError:
        return True


# ------------------------------------------------------------------------------- what users hand over, as arrays


def prediction_array(value: ArrayLike, argument: str) -> np.ndarray:
    """Return `value` as an array of a float type that kernels know; integers become float64."""
    array = _as_array(value, argument)
    kind = array.dtype.kind
    if kind == "f" and array.dtype.char in "efd":
        return array
    if kind in "iu":
        return array.astype(np.float64)
    if _is_bfloat16(array.dtype):
        return array
    raise TypeError(
        f"{argument} has dtype {array.dtype}{_origin(value, array)}; expected float64, float32, float16, bfloat16 "
        f"or integers, which are read as float64"
    )


def real_array(value: ArrayLike, argument: str) -> np.ndarray:
    """Return `value` as a float64 array."""
    return operand(value, argument).astype(np.float64, copy=False)


def _computable(given: np.ndarray) -> tuple[np.ndarray, np.dtype]:
    """Return the array that kernels read, and the dtype of results."""
    dtype = given.dtype.newbyteorder("=")
    if dtype.char not in "fd":
        return given.astype(np.float32, order="K", copy=True), dtype
    return _native(given), dtype


def operand(value: ArrayLike, argument: str) -> np.ndarray:
    """Return a target or weights as float32, float64, integers or bool, aligned and in native byte order."""
    array = _as_array(value, argument)
    if array.dtype.char == "e" or _is_bfloat16(array.dtype):
        return array.astype(np.float32)
    if array.dtype.kind not in "iub" and array.dtype.char not in "fd":
        raise TypeError(
            f"{argument} has dtype {array.dtype}{_origin(value, array)}; expected real numbers of at most 64 bits"
        )
    return _native(array)


def _native(array: np.ndarray) -> np.ndarray:
    if array.dtype.isnative and array.flags.aligned and all(stride % array.itemsize == 0 for stride in array.strides):
        return array
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="K", copy=True)


def _as_array(value: Any, argument: str) -> np.ndarray:
    """Return what `value` holds as an exact ndarray, without a copy where NumPy can do without."""
    if type(value) is np.ndarray:
        return value
    if value is None:
        raise TypeError(f"{argument} must be an array or a number, not None")
    if isinstance(value, np.ndarray):
        if _is_masked(value):
            raise TypeError(
                f"{argument} is a masked array; give what is masked a sample_weight of 0 and pass its .data instead"
            )
        if isinstance(value, np.matrix):
            raise TypeError(f"{argument} is a np.matrix; pass np.asarray({argument}) instead")
        return value.view(np.ndarray)
    if hasattr(value, "tocsr") or hasattr(value, "todense"):
        raise TypeError(
            f"{argument} is a sparse {type(value).__name__}; pass a dense array, for example its .toarray()"
        )
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{argument} cannot be read as an array: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # whatever the object's own conversion raises
        raise TypeError(f"{argument} cannot be read as a NumPy array: {error}") from error
    if array.dtype.kind == "O" and _is_nullable_numeric(value):
        array = value.to_numpy(dtype="float64", na_value=np.nan)
    return array if type(array) is np.ndarray else np.asarray(array)


def _is_nullable_numeric(value: Any) -> bool:
    """Whether a pandas object is one of numbers with missing values, which NumPy reads as objects."""
    if not hasattr(value, "to_numpy"):
        return False
    dtypes = getattr(value, "dtypes", None)
    dtypes = [getattr(value, "dtype", None)] if dtypes is None or not hasattr(dtypes, "__iter__") else list(dtypes)
    return all(getattr(dtype, "kind", "O") in "iuf" for dtype in dtypes)


def _is_masked(value: np.ndarray) -> bool:
    # numpy.ma is slow to import, and no masked array exists before somebody did.
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(value, masked.MaskedArray)


def _is_bfloat16(dtype: np.dtype) -> bool:
    return dtype.name == "bfloat16"


def _origin(value: Any, array: np.ndarray) -> str:
    if array.dtype.kind == "O" and not isinstance(value, np.ndarray):
        return f" when read from {type(value).__name__}"
    return ""


def broadcast(array: np.ndarray, argument: str, shape: tuple[int, ...], to: str = "prediction") -> np.ndarray:
    """Return `array` as a view of the shape of the prediction; the prediction itself is never stretched."""
    if array.shape == shape:
        return array
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        pass
    hint = ""
    if [size for size in array.shape if size != 1] == [size for size in shape if size != 1]:
        hint = ": reshape one of them, for as they are every element would be paired with every other"
    raise ValueError(f"{argument} of shape {array.shape} does not broadcast to the shape of {to}, {shape}{hint}")


def checked_axis(axis: Any, array: np.ndarray, argument: str) -> int:
    """Return the number of an axis, counted from the first."""
    try:
        number = operator.index(axis)
    except TypeError:
        raise TypeError(f"axis must be an integer, not {type(axis).__name__}") from None
    if array.ndim == 0:
        raise ValueError(f"{argument} must have an axis of classes, got a single number")
    if not -array.ndim <= number < array.ndim:
        raise ValueError(f"axis {number} does not exist: {argument} has {array.ndim} dimensions")
    return number % array.ndim


def check_choice(argument: str, value: Any, choices: Sequence[str]) -> None:
    """Raise the ValueError that names the choices if `value` is none of them."""
    if not isinstance(value, str) or value not in choices:
        named = ", ".join(map(repr, choices[:-1])) + f" or {choices[-1]!r}"
        raise ValueError(f"{argument} must be {named}, got {value!r}")


# ----------------------------------------------------------------------------------------------------- strides


def _axes_by_stride(array: np.ndarray) -> list[int]:
    """Return the axes from the largest step in memory to the smallest, in their own order where equal."""
    return sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))


def _inverse(order: Sequence[int]) -> list[int]:
    inverse = [0] * len(order)
    for position, axis in enumerate(order):
        inverse[axis] = position
    return inverse


def _merged(shape: Sequence[int], arrays: Sequence[np.ndarray]) -> list[tuple[int, list[int]]]:
    """
    Return the (size, strides) of the fewest dimensions through which all `arrays` can be walked together.

    Two neighbouring axes are one where every array's step along the first is its whole way along the second.
    """
    groups: list[tuple[int, list[int]]] = []
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        steps = [array.strides[axis] for array in arrays]
        if groups and all(before == size * step for before, step in zip(groups[-1][1], steps, strict=True)):
            groups[-1] = (groups[-1][0] * size, steps)
        else:
            groups.append((size, steps))
    return groups


# ---------------------------------------------------------------------------------------- errors and warnings


def raise_bad_element(
    loss: Any,
    error: Exception,
    prediction: ArrayLike,
    target: ArrayLike,
    axis: int | None,
    sample_weight: ArrayLike | None,
) -> NoReturn:
    """
    Raise the ValueError for an element that a kernel refused.

    The kernel says only which argument is bad: the first offending position is looked up here, in the
    coordinates of the user's own array, for the kernel may have seen it broadcast or in another order.
    """
    if not isinstance(error, _kernels.BadElement):
        raise error  # the MemoryError that came in its place
    weights = None if sample_weight is None else operand(sample_weight, "sample_weight")
    if error.argument == "sample_weight" and weights is not None:
        bad = ~(np.isfinite(weights) & (weights >= 0))
        if bad.any():
            raise_first("sample_weight", weights, bad, "must be finite and >= 0")
        beyond = weights > np.finfo(np.float32).max
        raise_first("sample_weight", weights, beyond, "is too large for float32, the type of the kernels")

    given = _as_array(prediction, "prediction")
    t = operand(target, "target")
    # What has weight 0 is not looked at, unless nothing else is wrong.
    counts = None if weights is None else weights != 0
    if axis is None or t.shape == given.shape:
        within, rule = TARGET_RULES[loss.target_domain]
        bad = ~within(t)
        if counts is not None:
            if axis is not None and counts.ndim:
                counts = np.expand_dims(counts, axis)
            bad = _preferred(bad, counts)
        raise_first("target", t, bad, rule)
    n_classes = given.shape[axis]
    ignore_index = loss.parameters.get("ignore_index")
    bad = (t < 0) | (t >= n_classes)
    if ignore_index is not None:
        bad &= t != ignore_index
    if counts is not None:
        bad = _preferred(bad, counts)
    raise_class_index(t, bad, n_classes, ignore_index)


def raise_class_index(t: np.ndarray, bad: np.ndarray, n_classes: int | None, ignore_index: int | None) -> NoReturn:
    """Raise the ValueError that names the first bad class index."""
    rule = "must be >= 0" if n_classes is None else f"must lie in [0, {n_classes})"
    or_ignored = "" if ignore_index is None else f" (or be ignore_index, {ignore_index})"
    raise_first("target", t, bad, f"is not a class index: {rule}{or_ignored}")


def raise_first(argument: str, array: np.ndarray, bad: np.ndarray, rule: str) -> NoReturn:
    """Raise the ValueError that names the first element of `array` where `bad` holds."""
    if not bad.any():
        raise ValueError(f"{argument} {rule}") from None
    where, at = _first(bad)
    raise ValueError(f"{argument}{at} = {_show(array[where])} {rule}") from None


def _preferred(bad: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the bad elements that count, or all bad ones if none does or the shapes cannot tell."""
    try:
        counted = bad & np.broadcast_to(counts, bad.shape)
    except ValueError:
        return bad
    return counted if counted.any() else bad


def _first(bad: np.ndarray) -> tuple[tuple[int, ...], str]:
    where = tuple(int(index) for index in np.unravel_index(int(np.argmax(bad)), bad.shape))
    return where, f"[{', '.join(map(str, where))}]" if where else ""


def _show(element: Any) -> str:
    return repr(element.item())


def warn_if_nothing_counts(sample_weight: np.ndarray | None) -> None:
    """Warn that a mean is nan for want of weight, if that is why; a nan among the predictions is none of ours."""
    if sample_weight is not None and not np.any(sample_weight):
        warn_mean_of_nothing()


def warn_if_no_row_counts(loss: Any, target: np.ndarray | None, sample_weight: np.ndarray | None) -> None:
    """The same for rows. `target` is looked at if it holds class indices, which may be ignored or of weight 0."""
    counts = np.array(True) if sample_weight is None else sample_weight != 0
    one_per_row = target is not None and (sample_weight is None or target.shape == sample_weight.shape)
    if target is not None and one_per_row and target.dtype.kind in "iu":
        ignore_index = loss.parameters.get("ignore_index")
        class_weight = loss.parameters.get("class_weight")
        if ignore_index is not None:
            counts = counts & (target != ignore_index)
        if class_weight is not None:
            inside = (target >= 0) & (target < len(class_weight))
            counts = counts & inside & (class_weight[np.where(inside, target, 0).astype(np.intp)] != 0)
    if not counts.any():
        warn_mean_of_nothing()


def warn_mean_of_nothing() -> None:
    """Warn as `np.mean([])` does, at the line of the caller outside this package."""
    level = 2
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        frame = frame.f_back  # type: ignore[assignment]
        level += 1
    warnings.warn("mean of nothing: no row counts", RuntimeWarning, stacklevel=level)
