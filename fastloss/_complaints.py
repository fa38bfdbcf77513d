"""Errors and warnings in words: the argument, the rule, and the first offending position in the user's own array."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

# Where targets may lie, and how to say so.
TARGET_RULES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "unit interval": (lambda t: (t >= 0) & (t <= 1), "must lie in [0, 1]"),
    "nonnegative": (lambda t: (t >= 0) & np.isfinite(t), "must be finite and >= 0"),
    "positive": (lambda t: (t > 0) & np.isfinite(t), "must be finite and > 0"),
    "open interval": (lambda t: (t > 0) & (t < 1), "must lie in (0, 1)"),
}


def _target_rule(loss: Any) -> tuple[Callable[[np.ndarray], np.ndarray], str]:
    """Return which targets a loss takes, and how to say so."""
    if loss.target_domain != "classes":
        return TARGET_RULES[loss.target_domain]
    n_classes = loss.n_classes
    return (
        lambda t: (t >= 0) & (t < n_classes) & (t == np.floor(t)),
        f"is not a class index: must be a whole number in [0, {n_classes})",
    )


def raise_bad_element(
    loss: Any, argument: str, shape: tuple[int, ...], target: np.ndarray, axis: int | None, weights: np.ndarray | None
) -> NoReturn:
    """
    Raise the ValueError for an element that the kernels refused.

    They say which argument breaks its rule, in blocks and in another order of axes: the first offending position is
    looked up here, in the coordinates of the user's own array. `shape` is the prediction's.
    """
    if argument == "sample_weight" and weights is not None:
        bad = ~(np.isfinite(weights) & (weights >= 0))
        if bad.any():
            raise_first("sample_weight", weights, bad, "must be finite and >= 0")
        beyond = weights > np.finfo(np.float32).max
        raise_first("sample_weight", weights, beyond, "is too large for float32, the type of the kernels")

    # What has weight 0 is not looked at, unless nothing else is wrong.
    counts = None if weights is None else weights != 0
    if axis is None or target.shape == shape:
        within, rule = _target_rule(loss)
        if counts is not None and axis is not None and counts.ndim:
            counts = np.expand_dims(counts, axis)
        bad = _preferred(~within(target), counts)
        if bad.any():
            raise_first("target", target, bad, rule + (_hint_of_labels(target) if "[0, 1]" in rule else ""))
        with np.errstate(over="ignore", under="ignore"):
            bad = _preferred(~within(target.astype(np.float32)), counts)
        raise_first("target", target, bad, f"is no float32, the type of the kernels, that keeps the rule: it {rule}")
    n_classes = shape[axis]
    ignore_index = loss.parameters.get("ignore_index")
    bad = (target < 0) | (target >= n_classes)
    if ignore_index is not None:
        bad &= target != ignore_index
    bad = _preferred(bad, counts)
    raise_class_index(target, bad, n_classes, ignore_index)


def _hint_of_labels(target: np.ndarray) -> str:
    """Say what to write instead of labels of two classes that are not 0 and 1."""
    for labels in ((-1, 1), (1, 2)):
        if np.isin(target, labels).all():
            return f": of labels {labels[0]} and {labels[1]} pass target == {labels[1]}"
    # Logits, and not a probability that is wrong.
    are_scores = (target != np.floor(target)).any() and np.mean((target < 0) | (target > 1)) > 0.25
    return ": the prediction comes first, then the target" if are_scores else ""


def raise_large_weight(parameters: dict[str, Any]) -> NoReturn:
    """Raise the ValueError that names the first weight among the parameters that float32 cannot hold."""
    for name in ("pos_weight", "class_weight"):
        weights = np.asarray(0.0 if parameters.get(name) is None else parameters[name])
        beyond = weights > np.finfo(np.float32).max
        if beyond.any():
            raise_first(name, weights, beyond, "is too large for float32, the type of the kernels")
    raise AssertionError


def raise_class_index(t: np.ndarray, bad: np.ndarray, n_classes: int | None, ignore_index: int | None) -> NoReturn:
    """Raise the ValueError that names the first bad class index."""
    rule = "must be >= 0" if n_classes is None else f"must lie in [0, {n_classes})"
    or_ignored = "" if ignore_index is None else f" (or be ignore_index, {ignore_index})"
    from_one = bool(t.size) and t.min() == 1 and t.max() == n_classes
    hint = ": classes are counted from 0, and these from 1" if from_one else ""
    raise_first("target", t, bad, f"is not a class index: {rule}{or_ignored}{hint}")


def raise_first(argument: str, array: np.ndarray, bad: np.ndarray, rule: str) -> NoReturn:
    """Raise the ValueError that names the first element of `array` where `bad` holds."""
    if not bad.any():
        raise ValueError(f"{argument} {rule}") from None
    where, at = first(bad)
    raise ValueError(f"{argument}{at} = {show(array[where])} {rule}") from None


def _preferred(bad: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
    """Return the bad elements that count, or all bad ones if none does or the shapes cannot tell."""
    if counts is None:
        return bad
    try:
        counted = bad & np.broadcast_to(counts, bad.shape)
    except ValueError:
        return bad
    return counted if counted.any() else bad


def first(bad: np.ndarray) -> tuple[tuple[int, ...], str]:
    """Return where the first bad element stands, as an index and as it is written."""
    where = tuple(int(index) for index in np.unravel_index(int(np.argmax(bad)), bad.shape))
    return where, f"[{', '.join(map(str, where))}]" if where else ""


def show(element: Any) -> str:
    """Return how a number of an array is written."""
    return repr(element.item())


def warn_mean_of_nothing() -> None:
    """Warn as `np.mean([])` does, at the line of the caller outside this package."""
    level = 2
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == __package__:
        frame = frame.f_back  # type: ignore[assignment]
        level += 1
    warnings.warn("mean of nothing: no row counts", RuntimeWarning, stacklevel=level)
