"""Losses by name: what estimators and boosters take where a user may give an object or a word."""

from __future__ import annotations

import difflib
from typing import Any

import fastloss as fl

from ._kernels import Loss


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
    classes: dict[str, Any] = {each.__name__: each for each in fl.losses()}
    functions: dict[str, Any] = {each().name: each for each in classes.values()}
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
    raise TypeError(f"loss must be a loss object, such as fastloss.Huber(), or a name, not {type(loss).__name__}")
