"""Arrays of any memory order as what the kernels walk through, without a copy where that can be.

An array for the kernels has two dimensions (outer, inner) or, with classes or sets, three. Any memory order arrives
there without a copy, for axes are sorted by stride and merged where every array steps through them as one; what does
not fit in is copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

try:
    from numpy.exceptions import TooHardError
except ImportError:  # NumPy before 1.25
    from numpy import TooHardError  # type: ignore[no-redef, attr-defined, unused-ignore]

# Overlap of strided arrays is an integer problem that can take for ever; more work than this, and a copy is cheaper.
OVERLAP_WORK = 100_000


def axes_by_stride(array: np.ndarray) -> list[int]:
    """Return the axes from the largest step in memory to the smallest, in their own order where equal."""
    return sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))


def inverse(order: Sequence[int]) -> list[int]:
    """Return the order that undoes a transposition."""
    undone = [0] * len(order)
    for position, axis in enumerate(order):
        undone[axis] = position
    return undone


def merged(shape: Sequence[int], arrays: Sequence[np.ndarray]) -> list[tuple[int, list[int]]]:
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


def is_direct(buffer: np.ndarray) -> bool:
    """Whether a kernel can write to `buffer`, which is of one of the types of results."""
    return (
        buffer.dtype.isnative
        and buffer.flags.aligned
        and all(stride % buffer.itemsize == 0 for stride in buffer.strides)
    )


def native_type(array: np.ndarray) -> np.dtype:
    return array.dtype.newbyteorder("=")


def conflicts(buffer: np.ndarray, z: np.ndarray, inputs: Sequence[np.ndarray | None], may_be_z: bool) -> bool:
    """Whether writing to `buffer` would change what is still to be read. The gradient may go in place of `z`."""
    if not (may_be_z and _is_same(buffer, z)) and overlap(buffer, z):
        return True
    return any(overlap(buffer, array) for array in inputs if array is not None)


def _is_same(a: np.ndarray, b: np.ndarray) -> bool:
    same_layout = a.strides == b.strides and a.shape == b.shape and a.dtype == b.dtype
    return same_layout and a.__array_interface__["data"][0] == b.__array_interface__["data"][0]


def overlap(a: np.ndarray, b: np.ndarray) -> bool:
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=OVERLAP_WORK)  # type: ignore[arg-type, unused-ignore]
    except TooHardError:
        return True


# Rows and columns of a block of a transposition, and the bytes from which blocks pay.
BLOCK = (32, 512)
LARGE_COPY = 1 << 20


def c_ordered(array: np.ndarray) -> np.ndarray:
    """
    Return a copy in C order.

    NumPy copies a large matrix of the other order element by element from far-away places: a block at a time stays in
    the caches, and takes a third of the time.
    """
    if array.ndim != 2 or array.nbytes < LARGE_COPY or abs(array.strides[0]) >= abs(array.strides[1]):
        return array.copy(order="C")
    copied = np.empty(array.shape, array.dtype)
    for i in range(0, array.shape[0], BLOCK[0]):
        for k in range(0, array.shape[1], BLOCK[1]):
            block = slice(i, i + BLOCK[0]), slice(k, k + BLOCK[1])
            copied[block] = array[block]
    return copied


class ElementLayout:
    """The way in which arrays of any number of axes, all alike, become (outer, inner)."""

    def __init__(self, z: np.ndarray) -> None:
        self.order = axes_by_stride(z)
        z = z.transpose(self.order)
        if len(merged(z.shape, [z])) > 2:
            z = z.copy(order="C")
        self.z = z
        self.together = [z]

    def turned(self, array: np.ndarray | None) -> np.ndarray | None:
        return None if array is None else array.transpose(self.order)

    def _joins(self, array: np.ndarray) -> bool:
        return len(merged(self.z.shape, [*self.together, array])) <= 2

    def buffer(self, out: np.ndarray | None, inputs: Sequence[np.ndarray | None], may_be_z: bool) -> np.ndarray | None:
        """Return where the kernels write to: `out` where they can, else an array for the time being."""
        if out is None:
            return None
        buffer = out.transpose(self.order)
        joins = is_direct(buffer) and self._joins(buffer)
        if not joins or conflicts(buffer, self.z, inputs, may_be_z):
            buffer = np.empty(self.z.shape, native_type(buffer))
        self.together.append(buffer)
        return buffer

    def joined(self, array: np.ndarray | None) -> np.ndarray | None:
        """Return a turned array, or a copy without gaps, which walks with everything."""
        if array is None:
            return None
        if not self._joins(array):
            array = c_ordered(array)
        self.together.append(array)
        return array

    def flat(self, array: np.ndarray | None) -> Any:
        if array is None:
            return None
        sizes = [size for size, _ in merged(self.z.shape, self.together)]
        outer, inner = [1] * (2 - len(sizes)) + sizes
        return array.reshape(outer, inner)

    def for_user(self, array: np.ndarray | None) -> Any:
        return None if array is None else array.transpose(inverse(self.order))


class SetLayout:
    """The way in which arrays whose sets extend `along` some axes become (outer, sets, inner)."""

    def __init__(self, z: np.ndarray, along: tuple[int, ...]) -> None:
        set_axes = [axis for axis in range(z.ndim) if axis not in along]
        self.order = [*(axis for axis in axes_by_stride(z) if axis in along), *set_axes]
        self.n_along = len(along)
        z = z.transpose(self.order)
        self.z = z if self._walks([z]) else z.copy(order="C")
        self.together = [self.z]

    def _elements(self, arrays: Sequence[np.ndarray]) -> list[tuple[int, list[int]]]:
        """Return the dimensions of the elements of the first set."""
        first: Any = (..., *[0] * (arrays[0].ndim - self.n_along))
        return merged(arrays[0].shape[: self.n_along], [array[first] for array in arrays])

    def _walks(self, arrays: Sequence[np.ndarray]) -> bool:
        """Whether the sets are one dimension of all arrays, and their elements two."""
        sets = merged(arrays[0].shape[self.n_along :], [array[(0,) * self.n_along] for array in arrays])
        return len(self._elements(arrays)) <= 2 and len(sets) <= 1

    def joined(self, array: np.ndarray | None) -> np.ndarray | None:
        """Return it, or a copy without gaps, which walks with everything."""
        if array is None:
            return None
        array = array.transpose(self.order)
        if not self._walks([*self.together, array]):
            array = array.copy(order="C")
        self.together.append(array)
        return array

    def buffer(self, out: np.ndarray | None, inputs: Sequence[np.ndarray | None]) -> np.ndarray | None:
        """Return where the kernels write to: `out` where they can, else an array for the time being."""
        if out is None:
            return None
        buffer = out.transpose(self.order)
        walks = is_direct(buffer) and self._walks([*self.together, buffer])
        if not walks or conflicts(buffer, self.z, inputs, may_be_z=False):
            buffer = np.empty(self.z.shape, native_type(buffer))
        self.together.append(buffer)
        return buffer

    def flat(self, array: np.ndarray | None) -> Any:
        if array is None:
            return None
        groups = self._elements(self.together)
        sizes = [size for size, _ in groups]
        if len(sizes) < 2:
            inner_is_dense = bool(groups) and groups[0][1][0] == self.z.itemsize
            size = math.prod(sizes)
            sizes = [1, size] if inner_is_dense else [size, 1]
        return array.reshape(*sizes, math.prod(self.z.shape[self.n_along :])).swapaxes(1, 2)

    def for_user(self, array: np.ndarray | None) -> Any:
        return None if array is None else array.transpose(inverse(self.order))


class RowLayout:
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
        rows = [row for row in axes_by_stride(z) if row != axis]
        self.order = [*rows, axis]
        self.row_order = [row - (row > axis) for row in rows]
        z = z.transpose(self.order)
        self.n_classes = z.shape[-1]
        groups = merged(z.shape[:-1], [self._row_view(z)])
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
        if not is_direct(buffer) or self._splits(buffer) or conflicts(buffer, self.z, inputs, False):
            buffer = np.empty(buffer.shape, native_type(buffer))
        self.together.append(buffer)
        return buffer

    def _splits(self, array: np.ndarray) -> bool:
        """Whether one number per row, cheap to copy, would cut up what the logits walk through in one go."""
        return len(merged(array.shape, [*self.together, array])) > len(merged(array.shape, self.together))

    def full_buffer(self, out: np.ndarray, inputs: Sequence[np.ndarray | None], may_be_z: bool) -> np.ndarray:
        buffer = out.transpose(self.order)
        fits = is_direct(buffer) and self._joins(buffer)
        if not fits or conflicts(buffer, self.z, inputs, may_be_z):
            buffer = self._empty(native_type(buffer))
        self.together.append(self._row_view(buffer))
        return buffer

    def _joins(self, array: np.ndarray) -> bool:
        """Whether an array of rows and classes has the strides that the mode and the other arrays ask for."""
        groups = merged(self.z.shape[:-1], [*self.together, self._row_view(array)])
        if len(groups) > 2:
            return False
        if self.by_columns:
            return groups[-1][1][-1] == array.itemsize
        return self.n_classes == 1 or array.strides[-1] == array.itemsize

    def _sizes(self) -> tuple[int, int]:
        sizes = [size for size, _ in merged(self.z.shape[:-1], self.together)]
        if len(sizes) < 2:
            size = math.prod(sizes)
            return (1, size) if self.by_columns else (size, 1)
        return sizes[0], sizes[1]

    def flat(self, array: np.ndarray | None) -> Any:
        return None if array is None else array.reshape(*self._sizes(), self.n_classes).swapaxes(1, 2)

    def flat_rows(self, array: np.ndarray | None) -> Any:
        return None if array is None else array.reshape(self._sizes())

    def for_user(self, array: np.ndarray | None) -> Any:
        return None if array is None else array.transpose(inverse(self.order))

    def rows_for_user(self, array: np.ndarray | None) -> Any:
        return None if array is None else array.transpose(inverse(self.row_order))
