"""Sums of losses of one prediction and one target: ``0.5 * fl.Dice() + fl.BinaryCrossEntropy()``."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call
from ._kernels import Loss
from ._traits import Traits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["LossSum"]

# What has the same prediction and target: losses of a kind, and of elements and sets.
_TOGETHER = (frozenset({"pointwise", "setwise"}), frozenset({"rowwise"}), frozenset({"columns"}))
_NARROWER = ("any", "nonnegative", "positive", "unit interval", "open interval", "classes")


def _terms_of(loss: Any) -> tuple[tuple[float, Loss], ...] | None:
    if isinstance(loss, LossSum):
        return loss.terms
    return ((1.0, loss),) if isinstance(loss, Loss) else None


def add(first: Any, second: Any) -> Any:
    """Return the sum of two losses; that of a loss and 0, with which `sum` begins, is the loss."""
    for one, other in ((first, second), (second, first)):
        if type(one) is int and one == 0:
            return other
    terms = [_terms_of(each) for each in (first, second)]
    if terms[0] is None or terms[1] is None:
        return NotImplemented
    return LossSum(terms[0] + terms[1])


def multiply(loss: Any, factor: Any) -> Any:
    """Return a loss times a finite number > 0."""
    if isinstance(factor, (bool, np.bool_)) or not isinstance(factor, numbers.Real):
        return NotImplemented
    terms = _terms_of(loss)
    assert terms is not None
    number = float(factor)
    if not 0.0 < number < math.inf:
        raise ValueError(f"a loss can be multiplied by a finite number > 0, got {factor!r}")
    return LossSum(tuple((number * weight, each) for weight, each in terms))


class LossSum:
    """
    A sum of losses of one prediction and one target, each times a number > 0.

    It is what ``0.5 * fl.Dice() + fl.BinaryCrossEntropy()`` makes. It is called like its losses, and value, gradient
    and Hessian are the sums of theirs.

    Parameters
    ----------
    terms : sequence of (float, Loss)
        Factors, finite and > 0, and losses: of elements and of sets, or all of rows of logits, or all of the same
        columns.

    Raises
    ------
    TypeError
        If a term is not a number and a loss.
    ValueError
        If a factor is not finite and > 0, there are no terms, or the losses have no prediction and target in common.

    Notes
    -----
    Each loss reduces for itself: under "mean" a set loss is one number for the batch, and what is added to it the mean
    over the elements. ``reduction="none"`` is for losses of one kind. Every `curvature` that all of the losses have is
    the sum of theirs: psd is never negative, majorize nowhere below exact.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = 0.5 * fl.Dice() + fl.BinaryCrossEntropy()
    >>> loss
    0.5 * Dice(smooth=1.0) + BinaryCrossEntropy(pos_weight=None, label_smoothing=0.0)
    >>> z, t = [0.0, 1.0], [0.0, 1.0]
    >>> loss(z, t) == 0.5 * fl.dice(z, t) + fl.binary_cross_entropy(z, t)
    True
    """

    __slots__ = ("kind", "terms")
    terms: tuple[tuple[float, Any], ...]
    kind: str

    def __init__(self, terms: Any) -> None:
        found: list[tuple[float, Any]] = []
        for factor, loss in terms:
            if not isinstance(loss, Loss) or isinstance(factor, bool) or not isinstance(factor, numbers.Real):
                raise TypeError(f"terms must be pairs of a number and a loss, got {factor!r} and {loss!r}")
            if not 0.0 < float(factor) < math.inf:
                raise ValueError(f"a loss can be multiplied by a finite number > 0, got {factor!r}")
            found.append((float(factor), loss))
        if not found:
            raise ValueError("terms must hold at least one loss")
        kinds = {loss.kind for _, loss in found}
        if not any(kinds <= together for together in _TOGETHER):
            raise ValueError(
                f"losses of one prediction and one target can be added; {found[0][1].name} is {found[0][1].kind}, and "
                + ", ".join(f"{loss.name} {loss.kind}" for _, loss in found[1:])
            )
        columns = {loss.columns for _, loss in found} if kinds == {"columns"} else set()
        if len({len(each) for each in columns}) > 1:
            raise ValueError(f"losses of one prediction can be added; their columns are {sorted(columns)}")
        object.__setattr__(self, "terms", tuple(found))
        object.__setattr__(self, "kind", found[0][1].kind if len(kinds) == 1 else "setwise")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} objects are immutable")

    @property
    def name(self) -> str:
        """The names of the losses."""
        return "_plus_".join(str(loss.name) for _, loss in self.terms)

    @property
    def traits(self) -> Traits:
        """Those of the first loss."""
        first: Traits = self.terms[0][1].traits
        return first

    @property
    def parameters(self) -> dict[str, Any]:
        """What rebuilds the object."""
        return {"terms": self.terms}

    @property
    def curvatures(self) -> tuple[str, ...]:
        """What `curvature` may be: what it may be for every loss."""
        every = [loss.curvatures for _, loss in self.terms]
        return tuple(each for each in every[0] if all(each in other for other in every))

    @property
    def target_domain(self) -> str:
        """Where targets may lie: the narrowest of the losses' domains."""
        return str(max((loss.target_domain for _, loss in self.terms), key=_NARROWER.index))

    def __add__(self, other: Any) -> Any:
        return add(self, other)

    def __radd__(self, other: Any) -> Any:
        return add(other, self)

    def __mul__(self, factor: Any) -> Any:
        return multiply(self, factor)

    __rmul__ = __mul__

    def __repr__(self) -> str:
        return " + ".join(repr(loss) if factor == 1.0 else f"{factor!r} * {loss!r}" for factor, loss in self.terms)

    def __eq__(self, other: object) -> bool:
        return self.terms == other.terms if isinstance(other, LossSum) else NotImplemented

    def __hash__(self) -> int:
        return hash((LossSum, self.terms))

    def __reduce__(self) -> Any:
        return LossSum, (self.terms,)

    def __copy__(self) -> LossSum:
        return self

    def __deepcopy__(self, memo: Any) -> LossSum:
        return self

    def __sklearn_clone__(self) -> LossSum:
        return self

    def _sum(self, method: str, prediction: ArrayLike, target: ArrayLike, options: dict[str, Any]) -> Any:
        """Add up what a method of the losses returns, numbers and arrays, each times its factor."""
        _call.check_choice("reduction", options["reduction"], _call.REDUCTIONS)
        if options["reduction"] == "none" and len({loss.kind for _, loss in self.terms}) > 1:
            raise ValueError(
                'reduction="none" is for losses of one kind: of a set there is one number, of its elements one for each'
            )
        if "curvature" in options:
            _call.check_choice("curvature", options["curvature"], self.curvatures)
        axis = options.pop("axis", None)
        total: list[Any] = []
        for factor, loss in self.terms:
            own = {} if axis is None or loss.kind == "pointwise" else {"axis": axis}
            found = getattr(loss, method)(prediction, target, **options, **own)
            parts = found if isinstance(found, tuple) else (found,)
            for i, part in enumerate(parts):
                if isinstance(part, np.ndarray) and part.ndim:
                    if factor != 1.0:
                        part *= part.dtype.type(factor)
                elif factor != 1.0:
                    part = factor * part
                if i == len(total):
                    total.append(part)
                else:
                    total[i] += part
        return tuple(total)

    @staticmethod
    def _written(outs: tuple[np.ndarray | None, ...], derivatives: tuple[Any, ...]) -> tuple[Any, ...]:
        """Copy derivatives into the arrays that were given for them, and return those."""
        written = []
        for out, found, name in zip(outs, derivatives, ("gradient_out", "hessian_out"), strict=False):
            if out is None:
                written.append(found)
                continue
            if not isinstance(out, np.ndarray) or out.shape != found.shape or out.dtype != found.dtype:
                raise ValueError(f"{name} must be an array of shape {found.shape} and dtype {found.dtype}")
            out[...] = found
            written.append(out)
        return tuple(written)

    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: Any = None,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
    ) -> Any:
        """
        Return the value: the sum of the losses' values, each times its factor.

        Parameters
        ----------
        prediction, target, sample_weight, reduction
            As the losses take them.
        axis : int or tuple of int, optional
            Of losses of rows and of sets; None is what they have by default.

        Returns
        -------
        float or ndarray
            As the losses return it.

        Raises
        ------
        TypeError, ValueError
            If an argument is not of its kind, or out of its range.

        Examples
        --------
        >>> import fastloss as fl
        >>> (2 * fl.SquaredError() + fl.AbsoluteError())([3.0], [1.0])
        10.0
        """
        options = {"axis": axis, "sample_weight": sample_weight, "reduction": reduction}
        return self._sum("__call__", prediction, target, options)[0]

    def gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: Any = None,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        gradient_out: np.ndarray | None = None,
    ) -> Any:
        """Return the gradient of the value."""
        options = {"axis": axis, "sample_weight": sample_weight, "reduction": reduction}
        return self._written((gradient_out,), self._sum("gradient", prediction, target, options))[0]

    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: Any = None,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        gradient_out: np.ndarray | None = None,
    ) -> tuple[Any, ...]:
        """Return value and gradient."""
        options = {"axis": axis, "sample_weight": sample_weight, "reduction": reduction}
        value, *derivatives = self._sum("value_and_gradient", prediction, target, options)
        return (value, *self._written((gradient_out,), tuple(derivatives)))

    def gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: Any = None,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: str = "exact",
        gradient_out: np.ndarray | None = None,
        hessian_out: np.ndarray | None = None,
    ) -> tuple[Any, ...]:
        """Return gradient and diagonal Hessian."""
        options = {"axis": axis, "sample_weight": sample_weight, "reduction": reduction, "curvature": curvature}
        derivatives = self._sum("gradient_and_hessian", prediction, target, options)
        return self._written((gradient_out, hessian_out), derivatives)

    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: Any = None,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: str = "exact",
        gradient_out: np.ndarray | None = None,
        hessian_out: np.ndarray | None = None,
    ) -> tuple[Any, ...]:
        """Return value, gradient and diagonal Hessian."""
        options = {"axis": axis, "sample_weight": sample_weight, "reduction": reduction, "curvature": curvature}
        value, *derivatives = self._sum("value_gradient_and_hessian", prediction, target, options)
        return (value, *self._written((gradient_out, hessian_out), tuple(derivatives)))

    def inverse_link(self, z: ArrayLike) -> Any:
        """Return what raw scores stand for, which is what they do for the first loss."""
        return self.terms[0][1].inverse_link(z)
