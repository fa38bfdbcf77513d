"""Sums of losses of one prediction and one target: ``0.5 * fl.Dice() + fl.BinaryCrossEntropy()``."""

from __future__ import annotations

import itertools
import math
import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call, _posterior
from ._kernels import Loss, get_num_threads
from ._threads import num_threads
from ._traits import Traits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["LossSum"]

# What has the same prediction and target: losses of a kind, and of elements and sets.
_TOGETHER = (frozenset({"pointwise", "setwise"}), frozenset({"rowwise"}), frozenset({"columns"}))
# Elements that all losses evaluate while they are in cache, and how many of them a thread goes through at a time.
BLOCK, SPAN = 1 << 16, 1 << 19
# Up to here targets are checked before anything is written, as the driver does (CHECK_FIRST_BYTES).
CHECKED_FIRST = 8 << 20
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


def _is_plain(array: Any) -> bool:
    return type(array) is np.ndarray and array.dtype.char in "fd" and array.flags.c_contiguous


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

    Large arrays of losses of elements are gone through in blocks, which all losses read while they are in cache: memory
    is read once, however many losses there are.

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
        """Those of the first loss, with kinks where any loss has some; a sum is no likelihood."""
        first: Traits = self.terms[0][1].traits
        has_kinks = any(loss.traits.has_kinks for _, loss in self.terms)
        return first._replace(has_kinks=has_kinks, bend=None, fisher=None, refits_leaves=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of losses of several numbers a row their names, as the first loss has them."""
        columns: tuple[str, ...] = self.terms[0][1].columns
        return columns

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

    def _sum(self, method: str, prediction: ArrayLike, target: ArrayLike, options: dict[str, Any], **outs: Any) -> Any:
        """Add up what a method of the losses returns, numbers and arrays, each times its factor."""
        _call.check_choice("reduction", options["reduction"], _call.REDUCTIONS)
        if options["reduction"] == "none" and len({loss.kind for _, loss in self.terms}) > 1:
            raise ValueError(
                'reduction="none" is for losses of one kind: of a set there is one number, of its elements one for each'
            )
        if "curvature" in options:
            _call.check_choice("curvature", options["curvature"], self.curvatures)
        axis = options.pop("axis", None)
        given = [outs[name] for name in ("gradient_out", "hessian_out") if name in outs]
        if (found := self._in_blocks(method, prediction, target, options, given)) is not None:
            return found
        return self._written(given, self._whole(method, prediction, target, options, axis))

    def _whole(
        self, method: str, prediction: ArrayLike, target: ArrayLike, options: dict[str, Any], axis: Any
    ) -> tuple[Any, ...]:
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

    def _in_blocks(
        self, method: str, prediction: Any, target: Any, options: dict[str, Any], outs: list[Any]
    ) -> tuple[Any, ...] | None:
        """The same of large plain arrays of elements, block by block; None of all others, and where one is refused."""
        weight, reduction = options["sample_weight"], options["reduction"]
        arrays = [prediction, target] + ([] if weight is None else [weight])
        if reduction == "none" or self.kind != "pointwise" or not all(map(_is_plain, arrays)):
            return None
        z, t = prediction, target
        n, dtype = z.size, z.dtype
        if n < SPAN or any(each.shape != z.shape or each.dtype != dtype for each in arrays):
            return None
        n_derivatives = ("gradient" in method) + ("hessian" in method)
        outs = [*outs, None, None][:n_derivatives]
        if t.nbytes <= CHECKED_FIRST and self.target_domain != "any" and any(out is not None for out in outs):
            return None
        for out in outs:
            if out is not None and (
                not _is_plain(out)
                or out.shape != z.shape
                or out.dtype != dtype
                or any(np.may_share_memory(out, each) for each in arrays)
            ):
                return None
        derivatives = [np.empty(z.shape, dtype) if out is None else out for out in outs]
        flat = [each.reshape(-1) for each in derivatives]
        names = ("gradient_out", "hessian_out")[:n_derivatives]
        total = float(n)
        if weight is not None:
            total = float(np.sum(weight, dtype=np.float64))
            # What a loss of the whole array refuses before anything is written.
            if not (0.0 < total < math.inf and np.min(weight) >= 0):
                return None
        total = total if reduction == "mean" else 1.0
        z, t, w = z.reshape(-1), t.reshape(-1), None if weight is None else weight.reshape(-1)
        has_value = method in ("__call__", "value_and_gradient", "value_gradient_and_hessian")
        own = {"reduction": "sum"} | ({"curvature": options["curvature"]} if "curvature" in options else {})

        def job(first: int) -> list[float]:
            values, room = [], np.empty((n_derivatives, BLOCK), dtype)
            with num_threads(1):
                for at in range(first, min(first + SPAN, n), BLOCK):
                    block = slice(at, min(at + BLOCK, n))
                    of_block = z[block], t[block]
                    weights = None if w is None else w[block]
                    for i, (factor, loss) in enumerate(self.terms):
                        parts = [each[: block.stop - at] for each in room] if i else [each[block] for each in flat]
                        outs = dict(zip(names, parts, strict=True))
                        found = getattr(loss, method)(*of_block, sample_weight=weights, **own, **outs)
                        if has_value:
                            values.append(factor / total * (found[0] if isinstance(found, tuple) else found))
                        for each, part in zip(flat, parts, strict=True):
                            part *= dtype.type(factor / total)
                            if i:
                                each[block] += part
            return values

        firsts = range(0, n, SPAN)
        n_threads = min(get_num_threads(), len(firsts))
        try:
            if n_threads == 1:
                values = list(map(job, firsts))
            else:
                from concurrent.futures import ThreadPoolExecutor

                with ThreadPoolExecutor(n_threads) as executor:
                    values = list(executor.map(job, firsts))
        except (TypeError, ValueError):
            # A loss of the whole array says it of the right element.
            return None
        return (math.fsum(itertools.chain(*values)), *derivatives) if has_value else tuple(derivatives)

    @staticmethod
    def _written(outs: list[np.ndarray | None], found: tuple[Any, ...]) -> tuple[Any, ...]:
        """Copy derivatives into the arrays that were given for them, and return those."""
        values, derivatives = found[: len(found) - len(outs)], found[len(found) - len(outs) :]
        written = list(values)
        for out, made, name in zip(outs, derivatives, ("gradient_out", "hessian_out"), strict=False):
            if out is None:
                written.append(made)
                continue
            if not isinstance(out, np.ndarray) or out.shape != made.shape or out.dtype != made.dtype:
                raise ValueError(f"{name} must be an array of shape {made.shape} and dtype {made.dtype}")
            out[...] = made
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
        return self._sum("gradient", prediction, target, options, gradient_out=gradient_out)[0]

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
        found: tuple[Any, ...] = self._sum("value_and_gradient", prediction, target, options, gradient_out=gradient_out)
        return found

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
        outs = {"gradient_out": gradient_out, "hessian_out": hessian_out}
        found: tuple[Any, ...] = self._sum("gradient_and_hessian", prediction, target, options, **outs)
        return found

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
        outs = {"gradient_out": gradient_out, "hessian_out": hessian_out}
        found: tuple[Any, ...] = self._sum("value_gradient_and_hessian", prediction, target, options, **outs)
        return found

    def inverse_link(self, z: ArrayLike) -> Any:
        """Return what raw scores stand for, which is what they do for the first loss."""
        return self.terms[0][1].inverse_link(z)

    def packed_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: Any = None,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: str = "exact",
    ) -> Any:
        """Return the whole Hessian of each row, of losses of rows and of columns that have it."""
        options = {"axis": axis, "sample_weight": sample_weight, "reduction": reduction, "curvature": curvature}
        return self._sum("packed_hessian", prediction, target, options)[0]

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """
        Return the constant raw score at which the sum is least, of losses of elements or of columns.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float, or ndarray of shape (P,)
            It lies between the best constants of the losses; of losses that are not convex there may be several.

        Raises
        ------
        ValueError
            As the losses do; or of losses of rows and of sets.

        Examples
        --------
        >>> import fastloss as fl
        >>> round((fl.SquaredError() + fl.AbsoluteError()).init_score([0.0, 1.0, 5.0]), 6)
        1.833333
        """
        if self.kind not in ("pointwise", "columns"):
            raise ValueError(f"init_score is for sums of losses of elements or of columns; {self.name} is {self.kind}")
        best = [loss.init_score(target, sample_weight) for _, loss in self.terms]
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        if self.kind == "columns":
            from .likelihood import best_constant

            return best_constant(self, np.array(best[0]), t, w / w.sum())
        low, high = min(best), max(best)
        for _ in range(100):
            middle = low + (high - low) / 2
            if not low < middle < high:
                break
            slope = np.sum(self.gradient(np.full(t.shape, middle), t, sample_weight=w, reduction="sum"))
            low, high = (low, middle) if slope > 0 else (middle, high)
        return float(high)

    def predict_proba(self, z: ArrayLike) -> Any:
        """
        Return the probabilities of the positive label at which the sum is least at raw scores, of losses of labels.

        Parameters
        ----------
        z : array_like
            Raw scores.

        Returns
        -------
        ndarray
            The p for which p g1 + (1 - p) g0 = 0, with the gradients g1 and g0 at the labels 1 and 0.

        Raises
        ------
        ValueError
            If the losses are not all of the labels of elements.

        Examples
        --------
        >>> import fastloss as fl
        >>> (fl.BinaryCrossEntropy() + fl.Brier()).predict_proba([0.0])
        array([0.5])
        """
        if self.kind != "pointwise" or self.target_domain != "unit interval":
            raise ValueError(f"predict_proba is for sums of losses of labels; {self.name} is none")
        z = _call.prediction_array(z, "z")
        zero, one = (self.gradient(z, np.full(z.shape, label, z.dtype), reduction="sum") for label in (0, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            p = zero / (zero - one)
        return np.where(np.isnan(p) & ~np.isnan(z), (z > 0).astype(z.dtype), p)
