"""What a linear model may be given beside features and targets: offsets, weights of the penalty, bounds."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np

from .. import _call
from .._resolve import resolve as of_name
from ..combined import LossSum
from ._bounded import Bounds


def resolve(loss: Any) -> Any:
    """Return the loss, or sum of losses, that an object or a name stands for."""
    return loss if isinstance(loss, LossSum) else of_name(loss)


def checked_sum(loss: Any) -> Any:
    """Return a loss; refuse sums that a linear model has no place for."""
    if not isinstance(loss, LossSum):
        return loss
    if loss.kind not in ("pointwise", "columns"):
        raise ValueError(
            f"{loss!r} is {loss.kind}: linear models take sums of losses of elements, such as BinaryCrossEntropy() + "
            "Brier(), or of the same columns"
        )
    links = sorted({each.traits.link for _, each in loss.terms})
    if len(links) > 1 and loss.target_domain != "unit interval":
        raise ValueError(f"{loss!r} adds losses whose scores mean different things: their links are {', '.join(links)}")
    return loss


def checked_offset(offset: Any, n_rows: int, n_outputs: int, dtype: Any) -> np.ndarray | None:
    """Return the offset with a column for each score, or None."""
    if offset is None:
        return None
    found = _numbers("offset", offset)
    shape: tuple[int, ...] = (n_rows,) if n_outputs == 1 else (n_rows, n_outputs)
    if found.shape != shape:
        rule = "one number a row" if n_outputs == 1 else "one number for each row and score"
        raise ValueError(f"offset must have shape {shape}, {rule}, got {found.shape}")
    with np.errstate(over="ignore"):
        rounded = found.astype(dtype)
    wrong = ~np.isfinite(rounded)
    if wrong.any():
        _call.raise_first("offset", found, wrong, f"must be finite in {np.dtype(dtype).name}")
    return rounded.reshape(n_rows, n_outputs)


def level(offset: np.ndarray | None, weight: np.ndarray | None, link: str) -> Any:
    """By how much the best constant is lower for the offset, each score: exactly so for Poisson, else about."""
    if offset is None:
        return 0.0
    wide = offset.astype(np.float64)
    if link != "log":
        return np.average(wide, axis=0, weights=weight)
    counted = wide if weight is None else np.where(weight.reshape(len(wide), -1) > 0, wide, -np.inf)
    most = np.max(counted, axis=0)
    return most + np.log(np.average(np.exp(np.minimum(wide - most, 0.0)), axis=0, weights=weight))


def checked_penalty_weight(penalty_weight: Any, n_features: int) -> np.ndarray | None:
    """Return one factor a feature, or None."""
    if penalty_weight is None:
        return None
    found = _of_features("penalty_weight", penalty_weight, n_features)
    wrong = ~((found >= 0) & np.isfinite(found))
    if wrong.any():
        _call.raise_first("penalty_weight", found, wrong, "must be finite and not negative")
    return found


def checked_bounds(bounds: Any, positive: Any, n_features: int) -> Bounds | None:
    """Return the least and the largest value of each coefficient, or None."""
    if not isinstance(positive, (bool, np.bool_)):
        raise TypeError(f"positive must be True or False, not {type(positive).__name__}")
    if positive:
        if bounds is not None:
            raise ValueError("positive=True stands for bounds=(0, inf): give one of the two")
        bounds = 0.0, math.inf
    if bounds is None:
        return None
    if not isinstance(bounds, (tuple, list, np.ndarray)) or len(bounds) != 2:
        raise ValueError("bounds must be a pair (low, high) of numbers, or of arrays of one number a feature")
    ends = []
    for name, end, limitless in (("bounds[0]", bounds[0], -math.inf), ("bounds[1]", bounds[1], math.inf)):
        found = _of_features(name, limitless if end is None else end, n_features)
        wrong = np.isnan(found) | (found == -limitless)
        if wrong.any():
            _call.raise_first(name, found, wrong, f"must be a number and not {-limitless}")
        ends.append(found)
    crossed = ends[0] > ends[1]
    if crossed.any():
        j = int(np.argmax(crossed))
        raise ValueError(f"bounds of feature {j} leave nothing between them: {ends[0][j]} > {ends[1][j]}")
    return None if np.all(np.isinf(ends)) else (ends[0], ends[1])


def _of_features(name: str, values: Any, n_features: int) -> np.ndarray:
    found = _numbers(name, values)
    if found.ndim and found.shape != (n_features,):
        raise ValueError(f"{name} must be one number, or one for each of the {n_features} features, got {found.shape}")
    return np.array(np.broadcast_to(found, n_features))


def _numbers(name: str, values: Any) -> np.ndarray:
    found = np.asarray(values)
    # Strings that look like numbers are none; objects may be.
    if found.dtype.kind in "fiubO":
        with contextlib.suppress(TypeError, ValueError):
            return found.astype(np.float64)
    raise TypeError(f"{name} must hold real numbers, not {found.dtype}")
