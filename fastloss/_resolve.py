"""Losses by name: what estimators and boosters take where a user may give an object or a word."""

from __future__ import annotations

import ast
import difflib
import functools
import re
from typing import Any

import fastloss as fl

from ._kernels import Loss


class HasLoss:
    """An estimator whose `loss` is an object or a name, and searched like an estimator within: ``loss__delta``."""

    loss: Any

    def set_params(self, **parameters: Any) -> Any:
        """
        Set parameters of the estimator, and of its loss by names such as ``loss__delta``.

        Parameters
        ----------
        **parameters
            Losses do not change: with some of its own, a new one takes the place of the old, or of what `loss` sets.

        Returns
        -------
        estimator
            Itself.

        Raises
        ------
        ValueError
            If the loss has no parameter of a name, or refuses its value.
        """
        of_loss = {name: value for name, value in parameters.items() if name.startswith("loss__")}
        super().set_params(**{name: value for name, value in parameters.items() if name not in of_loss})  # type: ignore[misc]
        if of_loss:
            changed = {name.removeprefix("loss__"): value for name, value in of_loss.items()}
            super().set_params(loss=with_parameters(resolve(self.loss), changed))  # type: ignore[misc]
        return self


def with_parameters(loss: Any, parameters: dict[str, Any]) -> Any:
    """Return a loss with some other parameters; that it has none of a name is an error of a search, a ValueError."""
    unknown = [name for name in parameters if name not in loss.parameters]
    if unknown:
        raise ValueError(f"invalid parameter {unknown[0]!r}: {loss.name} has {sorted(loss.parameters) or 'none'}")
    return loss.replace(**parameters)


@functools.cache
def _names() -> tuple[dict[str, Any], dict[str, Any]]:
    """The classes of losses by their names, and by those of their functions."""
    classes: dict[str, Any] = {each.__name__: each for each in fl.losses()}
    return classes, {each().name: each for each in classes.values()}


def resolve(loss: Any) -> Any:
    """
    Return the loss object that `loss` stands for.

    Parameters
    ----------
    loss : loss object or str
        A name is that of a function or of a class, ``"huber"`` or ``"Huber"``, and stands for the default parameters.

    Returns
    -------
    loss object

    Raises
    ------
    TypeError
        If it is neither an object nor a name.
    ValueError
        If there is no loss of this name. The message lists those that come near.

    Examples
    --------
    >>> from fastloss._resolve import resolve
    >>> resolve("huber")
    Huber(delta=1.0)
    """
    if isinstance(loss, Loss):
        return loss
    classes, functions = _names()
    if isinstance(loss, str):
        found = functions.get(loss) or classes.get(loss)
        if found is not None:
            return found()
        spelled = {name.replace("_", "").casefold(): name for name in functions}
        near = difflib.get_close_matches(loss.replace("_", "").replace("-", "").casefold(), spelled, n=3)
        hint = " or ".join(repr(spelled[name]) for name in near) or "one of " + ", ".join(sorted(functions))
        raise ValueError(f"loss {loss!r} is not known: did you mean {hint}?" if near else f"loss {loss!r}: use {hint}")
    name = getattr(loss, "__name__", None)
    if name in classes or name in functions:
        constructor = (classes.get(name) or functions[name]).__name__
        raise TypeError(f"loss must be an object or a name: pass {constructor}() instead of {name}")
    from .combined import LossSum

    if isinstance(loss, LossSum):
        raise TypeError(
            f"loss must be one loss, not a sum of losses, which only calls and linear models take: {loss!r}"
        )
    raise TypeError(f"loss must be a loss object, such as fastloss.Huber(), or a name, not {type(loss).__name__}")


def parse_loss(text: str) -> Any:
    """
    Return the loss that a name, or a constructor with literal parameters, stands for. Nothing is evaluated.

    Parameters
    ----------
    text : str
        ``huber``, ``Huber`` or ``Huber(delta=2)``.

    Returns
    -------
    loss object

    Raises
    ------
    ValueError
        If it is no such thing, or the loss refuses a parameter.

    Examples
    --------
    >>> from fastloss._resolve import parse_loss
    >>> parse_loss("Quantile(q=0.9)")
    Quantile(q=0.9)
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.Constant(None)
    call = tree if isinstance(tree, ast.Call) else None
    name = call.func if call else tree
    if isinstance(name, ast.Attribute) and isinstance(name.value, ast.Name) and name.value.id in ("fl", "fastloss"):
        name = ast.Name(name.attr)
    if not isinstance(name, ast.Name):
        raise ValueError(f"a name or a call such as Huber(delta=2) is needed, got {text!r}")
    loss = resolve(name.id)
    if call is None:
        return loss
    try:
        positional = [ast.literal_eval(each) for each in call.args]
        named = {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg is not None}
        if len(named) < len(call.keywords):
            raise ValueError("** is not taken")
        return type(loss)(*positional, **named)
    except (ValueError, TypeError, SyntaxError) as error:
        words = re.sub(r"^malformed node.*", "parameters must be plain numbers, words or lists", str(error))
        raise ValueError(f"{name.id}: {words.replace('__init__() ', '')}") from None
