"""Addresses of C functions that compute a loss; see `Loss.low_level`."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any

import fastloss._kernels as _kernels

from ._arrays import check_choice

OUTPUTS = {"value": 1, "gradient": 2, "hessian": 4}
# NULL or an address each; no GIL while it runs.
PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_ssize_t, *[ctypes.c_void_p] * 4)

_made: dict[Any, LowLevel] = {}
_lock = threading.Lock()


class LowLevel(int):
    """
    The address of a C function, as an integer.

    Attributes
    ----------
    function : ctypes function
        The same, to be called.
    loss, outputs, columns, dtype
        What it computes.
    """

    function: Callable[..., int]
    loss: Any
    outputs: tuple[str, ...]
    columns: int
    dtype: str

    def __repr__(self) -> str:
        return f"<{' and '.join(self.outputs)} of {self.loss!r} at {int(self):#x}>"

    def __reduce__(self) -> Any:
        return low_level, (self.loss, self.outputs, self.columns, self.dtype)


def low_level(loss: Any, outputs: str | Sequence[str], columns: int | None, dtype: str) -> LowLevel:
    """Return the address of a function; the same for equal losses. See `Loss.low_level`."""
    names = (outputs,) if isinstance(outputs, str) else tuple(outputs)
    for name in names:
        check_choice("outputs", name, tuple(OUTPUTS))
    if not names:
        raise ValueError("outputs must name one or several of 'value', 'gradient' and 'hessian'")
    want = sum(OUTPUTS[name] for name in set(names))
    if want & OUTPUTS["hessian"] and not want & OUTPUTS["gradient"]:
        raise ValueError("outputs must hold 'gradient' beside 'hessian': they are computed together")
    check_choice("dtype", dtype, ("float64", "float32"))
    if loss.kind == "setwise":
        raise ValueError(f"{loss.name} has one value a set, and none for each element")
    if loss.kind == "columns":
        columns = len(loss.columns) if columns is None else columns
    if columns is None and loss.kind == "rowwise":
        raise ValueError(f"columns must be the number of classes: {loss.name} is a function of a row of them")
    columns = 1 if columns is None else columns
    if isinstance(columns, bool) or not isinstance(columns, int) or columns < 1:
        raise ValueError(f"columns must be an integer >= 1, got {columns!r}")
    if loss.kind == "columns" and columns != len(loss.columns):
        raise ValueError(f"columns must be {len(loss.columns)}, those of {loss.name}, got {columns}")
    class_weight = loss.parameters.get("class_weight")
    if class_weight is not None and len(class_weight) != columns:
        raise ValueError(f"columns must be {len(class_weight)}, as many as class_weight has numbers, got {columns}")
    key = (loss, want, columns, dtype)
    with _lock:
        found = _made.get(key)
        if found is None:
            found = LowLevel(_kernels._new_flat(loss, want, columns, dtype == "float32"))
            found.function = PROTOTYPE(int(found))
            found.loss, found.columns, found.dtype = loss, columns, dtype
            found.outputs = tuple(name for name, bit in OUTPUTS.items() if want & bit)
            _made[key] = found
        return found
