"""Checks of the parameters that losses take: each returns the checked value or says what is wrong with it."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from . import _call


def as_attributes(loss_class: Any) -> None:
    """
    Make the parameters of a loss attributes of its objects: properties, for `__getattr__` slows down every call.

    A constructor that is given what the object is called with says so; objects have a signature, that of `gradient`
    without the array to write to.
    """
    init = loss_class.__init__
    for name in init.__code__.co_varnames[1 : init.__code__.co_argcount]:
        setattr(loss_class, name, property(functools.partial(_parameter, name)))

    @functools.wraps(init)
    def checked(self: Any, *arguments: Any, **options: Any) -> None:
        if len(arguments) > 1 and all(hasattr(each, "__len__") and type(each) is not str for each in arguments[:2]):
            name = loss_class.__name__
            raise TypeError(
                f"{name}(...) takes the parameters of the loss, and the loss takes prediction and target: "
                f"{name}()(prediction, target)"
            )
        init(self, *arguments, **options)

    loss_class.__init__ = checked
    loss_class.__signature__ = _OfObjects()


class _OfObjects:
    """The signature of a call; a class has that of its constructor."""

    def __get__(self, loss: Any, loss_class: type) -> Any:
        if loss is None:
            return None
        import inspect

        called = inspect.signature(loss.gradient)
        return called.replace(parameters=[each for name, each in called.parameters.items() if name != "gradient_out"])


def _parameter(name: str, loss: Any) -> Any:
    return loss.parameters[name]


def real(name: str, value: Any, rule: str) -> float:
    """Return `value` as a finite float that keeps `rule`, one of `_RULES`."""
    if isinstance(value, (bool, np.bool_, str, bytes, bytearray)) or getattr(value, "ndim", 0) != 0:
        _refuse(f"{name} must be a real number", value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        _refuse(f"{name} must be a real number", value)
    except OverflowError:
        number = math.inf
    if not (math.isfinite(number) and _RULES[rule](number)):
        rule = rule if rule == "finite" else f"finite and {rule}"
        raise ValueError(f"{name} must be {rule}, got {value!r}")
    return number


# What a finite number must keep besides.
_RULES: dict[str, Callable[[float], bool]] = {
    "finite": lambda number: True,
    "> 0": lambda number: number > 0.0,
    ">= 0": lambda number: number >= 0.0,
    "in [0, 1]": lambda number: 0.0 <= number <= 1.0,
    "in (0, 1]": lambda number: 0.0 < number <= 1.0,
    "in (0, 1)": lambda number: 0.0 < number < 1.0,
    "in [1e-12, 1e12]": lambda number: 1e-12 <= number <= 1e12,
    "in [-100, 100]": lambda number: -100.0 <= number <= 100.0,
    "in (1, 2)": lambda number: 1.0 < number < 2.0,
}


def boolean(name: str, value: Any) -> bool:
    """Return `value` as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        _refuse(f"{name} must be True or False", value)
    return bool(value)


def whole(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an int in [low, high]."""
    if isinstance(value, (bool, np.bool_)):
        _refuse(f"{name} must be an integer", value)
    try:
        number = operator.index(value)
    except TypeError:
        _refuse(f"{name} must be an integer", value)
    if not low <= number <= high:
        raise ValueError(f"{name} must lie in [{low}, {high}], got {number}")
    return number


def rising(name: str, value: Any, rule: str) -> tuple[float, ...]:
    """Return numbers that keep `rule`, one of `_RULES`, and rise, at most 64."""
    given = _call.operand(value, name)
    if given.ndim != 1 or not 1 <= len(given) <= 64:
        raise ValueError(f"{name} must hold 1 to 64 levels, got an array of shape {given.shape}")
    found = tuple(real(f"{name}[{i}]", level, rule) for i, level in enumerate(given.tolist()))
    for i in range(1, len(found)):
        if not found[i - 1] < found[i]:
            raise ValueError(f"{name} must rise, but {name}[{i}] = {found[i]!r} follows {found[i - 1]!r}")
    return found


def weight_array(name: str, value: Any) -> np.ndarray:
    """Return a private, read-only, contiguous float64 copy of an array of finite weights >= 0."""
    if isinstance(value, str) and value == "balanced":
        raise TypeError(
            f"{name} must be an array of real numbers: a loss knows no counts of classes. For class indices y of K "
            "classes they are len(y) / (K * numpy.bincount(y)); estimators take class_weight='balanced'"
        )
    if isinstance(value, dict):
        raise TypeError(
            f"{name} must be an array of real numbers in the order of the classes, not dict: pass "
            "[weights[k] for k in range(n_classes)]"
        )
    if isinstance(value, (str, bytes, bytearray)):
        _refuse(f"{name} must be an array of real numbers", value)
    given = _call.operand(value, name)
    if given.dtype.kind == "b":
        _refuse(f"{name} must be an array of real numbers", value)
    weights = np.array(given, dtype=np.float64, order="C", copy=True)
    bad = np.argwhere(~(np.isfinite(weights) & (weights >= 0.0)))
    if len(bad):
        where = tuple(bad[0].tolist())
        at = f"[{', '.join(map(str, where))}]" if where else ""
        raise ValueError(f"{name}{at} = {weights[where].item()!r} must be finite and >= 0")
    weights.setflags(write=False)
    return weights


def class_weights(value: Any) -> np.ndarray | None:
    """Return one weight per class, or None."""
    if value is None:
        return None
    weights = weight_array("class_weight", value)
    if weights.ndim != 1 or not len(weights):
        raise ValueError(f"class_weight must hold one number per class, got an array of shape {weights.shape}")
    return weights


def optional_index(name: str, value: Any) -> int | None:
    """Return an integer of 64 bits, or None."""
    if value is None:
        return None
    if isinstance(value, (bool, np.bool_)):
        _refuse(f"{name} must be an integer or None", value)
    try:
        index = operator.index(value)
    except TypeError:
        _refuse(f"{name} must be an integer or None", value)
    if not -(2**63) <= index < 2**63:
        raise ValueError(f"{name} must fit in 64 bits, got {index}")
    return index


def _refuse(rule: str, value: Any) -> NoReturn:
    of_dtype = f" of dtype {np.asarray(value).dtype}" if isinstance(value, (list, tuple, np.ndarray)) else ""
    # The functions come here while they handle their cache's own TypeError, which is nobody's concern.
    raise TypeError(f"{rule}, not {type(value).__name__}{of_dtype}") from None
