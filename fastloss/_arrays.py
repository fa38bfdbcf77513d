"""What users hand over, read as arrays, or the sentence that says why it cannot be."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._complaints import first, raise_class_index, show

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Reduction = Literal["mean", "sum", "none"]

# The bits of bfloat16, a type that NumPy does not have: what torch's tensors of it are read as.
BFLOAT16_BITS = np.dtype([("bfloat16", np.uint16)])


def prediction_array(value: ArrayLike, argument: str, as_stored: bool = False) -> np.ndarray:
    """
    Return `value` as an array of a float type that kernels know; integers become float64.

    Bits of bfloat16 stay what they are if `as_stored`, else they become float32, with which NumPy can compute.
    """
    array = as_array(value, argument)
    kind = array.dtype.kind
    if kind == "f" and array.dtype.char in "efd":
        return array
    if kind in "iu":
        return array.astype(np.float64)
    if _is_bfloat16(array.dtype):
        return array if as_stored or array.dtype != BFLOAT16_BITS else widened(array)
    raise TypeError(
        f"{argument} has dtype {array.dtype}{_origin(value, array)}; expected float64, float32, float16, bfloat16 "
        f"or integers, which are read as float64"
    )


def real_array(value: ArrayLike, argument: str) -> np.ndarray:
    """Return `value` as a float64 array."""
    return operand(value, argument).astype(np.float64, copy=False)


def computable(given: np.ndarray) -> tuple[np.ndarray, np.dtype]:
    """Return the array that kernels read, and the dtype of results."""
    z = native(given)
    return z, np.dtype(np.float32) if z.dtype == BFLOAT16_BITS else z.dtype


def operand(value: ArrayLike, argument: str, as_stored: bool = False) -> np.ndarray:
    """
    Return a target or weights as real numbers of at most 64 bits, aligned and in native byte order.

    float16 and bfloat16 stay what they are if `as_stored`, which is for kernels, else they become float32.
    """
    array = as_array(value, argument)
    dtype = array.dtype
    if dtype.kind not in "iub" and dtype.char not in "fd":
        if is_half(dtype):
            return native(array) if as_stored else widened(array)
        hint = ""
        if argument == "target" and (array.dtype.kind in "UST" or (array.size and isinstance(array.flat[0], str))):
            hint = ": of labels take the codes, numpy.unique(labels, return_inverse=True)[1]"
        raise TypeError(
            f"{argument} has dtype {array.dtype}{_origin(value, array)}; expected real numbers of at most 64 bits{hint}"
        )
    return native(array)


def widened(array: np.ndarray) -> np.ndarray:
    """Return float16 and bfloat16 as float32, and any other array as it is."""
    if array.dtype == BFLOAT16_BITS:
        return np.asarray(np.left_shift(array["bfloat16"], 16, dtype=np.uint32)).view(np.float32)
    return array.astype(np.float32) if is_half(array.dtype) else array


def is_half(dtype: np.dtype) -> bool:
    return dtype.char == "e" or _is_bfloat16(dtype)


def native(array: np.ndarray) -> np.ndarray:
    flags = array.flags
    if (
        array.dtype.isnative
        and flags.aligned
        and (flags.c_contiguous or all(stride % array.itemsize == 0 for stride in array.strides))
    ):
        return array
    return np.array(array, dtype=array.dtype.newbyteorder("="), order="K", copy=True)


def as_array(value: Any, argument: str) -> np.ndarray:
    """Return what `value` holds as an exact ndarray, without a copy where NumPy can do without."""
    if type(value) is np.ndarray:
        return value
    if value is None:
        raise TypeError(f"{argument} must be an array or a number, not None")
    if isinstance(value, np.ndarray):
        if is_masked(value):
            raise TypeError(
                f"{argument} is a masked array; give what is masked a sample_weight of 0 and pass its .data instead"
            )
        if isinstance(value, np.matrix):
            raise TypeError(f"{argument} is a np.matrix; pass np.asarray({argument}) instead")
        return value.view(np.ndarray)
    # Looked up where methods stand: pandas' columns go through their labels for what they do not have.
    kind: Any = type(value)
    if hasattr(kind, "tocsr") or hasattr(kind, "todense"):
        raise TypeError(
            f"{argument} is a sparse {type(value).__name__}; pass a dense array, for example its .toarray()"
        )
    try:
        to_array = getattr(kind, "__array__", None)
        if to_array is None and hasattr(kind, "__dlpack__"):
            return np.from_dlpack(value)
        tensor: Any = getattr(sys.modules.get("torch"), "Tensor", ())
        if isinstance(value, tensor):
            if value.requires_grad:
                raise TypeError(
                    "it is a tensor that requires a gradient: pass its .detach(), or take fastloss.torch.apply, which "
                    "has the gradient"
                )
            if "bfloat16" in str(value.dtype):
                return np.asarray(value.view(sys.modules["torch"].int16)).view(BFLOAT16_BITS)
        array = np.asarray(value if to_array is None else to_array(value))
    except ValueError as error:
        raise ValueError(f"{argument} cannot be read as an array: {error}") from None
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # whatever the object's own conversion raises: panics of Rust are no Exception
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


def is_masked(value: np.ndarray) -> bool:
    # numpy.ma is slow to import, and no masked array exists before somebody did.
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(value, masked.MaskedArray)


def _is_bfloat16(dtype: np.dtype) -> bool:
    # A number of NumPy's own is none, and tells its name slowly.
    return dtype.isbuiltin != 1 and (dtype.name == "bfloat16" or dtype == BFLOAT16_BITS)


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
    elif argument == "target" and shape[:-1] == array.shape:
        hint = f": there are {shape[-1]} scores for each target, which losses of rows take, such as CrossEntropy"
        hint += ", and those of one score prediction[..., 1] - prediction[..., 0]" if shape[-1] == 2 else ""
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


def class_indices(t: np.ndarray, w: np.ndarray | None, ignore_index: int | None, n_classes: int | None) -> np.ndarray:
    """Return `t` as integers; numbers of a float type pass if all of them are integral."""
    if t.dtype.kind in "iu":
        return t
    if t.dtype.kind == "b":
        return t.astype(np.uint8)
    counts = True if w is None else w != 0
    fractional = counts & ~((np.floor(t) == t) & np.isfinite(t))
    if fractional.any():
        where, at = first(fractional)
        raise ValueError(
            f"target{at} = {show(t[where])} is not a class index: one number per row must be an integer "
            f"(probabilities have the shape of the logits)"
        )
    # Beyond 2**53 no class and no ignore_index is meant; the cast to integers would be undefined.
    outside = counts & (np.abs(t) > 2.0**53)
    if outside.any():
        raise_class_index(t, outside, n_classes, ignore_index)
    return np.where(counts, t, 0).astype(np.int64)


def near_one(weights: np.ndarray) -> np.ndarray:
    """Return weights; if they are far from 1, times the power of two that brings the largest to [1/2, 1)."""
    largest = float(weights.max()) if weights.size else 0.0
    if 1e-10 < largest < 1e10 or not 0.0 < largest < math.inf or weights.min() < 0:
        return weights  # those that are none are found where all others are
    return np.asarray(np.ldexp(weights.astype(np.float64), -math.frexp(largest)[1]))
