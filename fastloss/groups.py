"""Losses of groups of rows: what was chosen of some alternatives, and which of two rows belongs before the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call, _complaints
from ._segments import Layout, RowsTogether, checked_weights, group_layout, group_starts, of_rows
from ._traits import Traits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Reduction

__all__ = ["GroupSoftmax", "PairwiseLogistic", "group_softmax", "pairwise_logistic"]


class _GroupLoss(RowsTogether):
    """What losses of groups have in common."""

    __slots__ = ()
    _belongs = "group"

    def _checked(self, target: np.ndarray) -> tuple[np.ndarray, str]:
        """Return where a target breaks its rule, and the rule."""
        raise NotImplementedError

    def _layout(self, target: Any, sample_weight: Any, group: Any) -> Layout:
        t = of_rows(_call.real_array(target, "target"), "target", None)
        weight = checked_weights(sample_weight, len(t))
        bad, rule = self._checked(t)
        if weight is not None:
            bad = bad & (weight > 0)
        if bad.any():
            _complaints.raise_first("target", t, bad, rule)
        return group_layout(t, weight, group_starts(group, len(t)))


class GroupSoftmax(_GroupLoss):
    """
    Cross-entropy of what was chosen in each group of rows: conditional logit, ListNet.

    With p = softmax of the scores z of a group, targets t >= 0, weights w, and U = the sum of w t over the group:

        value     the sum of -w t log(p)
        gradient  U p - w t
        Hessian   U p (1 - p)

    Notes
    -----
    The methods take `prediction` and `target` of shape (n,), and ``group=``: the sizes of consecutive groups, or the id
    of each row's group, of which all rows follow each other. Where as many numbers as rows are given, they are ids. A
    target says what was chosen: 1 and zeros, counts, probabilities or relevances. In groups of equal size the loss is
    `CrossEntropy` with such targets.

    A group weighs the mean of its rows' weights. Under "mean" the sum is divided by the sum of the groups' weights;
    under "none" there is one number for each group. Rows of weight 0 are no alternatives.

    ``curvature="psd"`` and ``"fisher"`` are exact. ``"majorize"`` is U / 2: with it no step of all scores at once
    raises the loss.

    References
    ----------
    D. McFadden, "Conditional logit analysis of qualitative choice behavior" (1974).
    Z. Cao et al., "Learning to rank: from pairwise approach to listwise approach", ICML 2007,
    https://doi.org/10.1145/1273496.1273513

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.GroupSoftmax()
    >>> round(loss([0.0, 0.0, 1.0, 1.0, 1.0], [1, 0, 0, 0, 1], group=[2, 3], reduction="sum"), 12)
    1.791759469228
    >>> loss.gradient([0.0, 0.0, 1.0], [1, 0, 1], group=["a", "a", "b"], reduction="sum")
    array([-0.5,  0.5,  0. ])
    """

    __slots__ = ()
    traits = Traits("identity", fisher="exact")

    def __init__(self) -> None:
        super().__init__("group_softmax", {}, ())

    def _product(self, layout: Layout, z: np.ndarray, v: np.ndarray) -> np.ndarray:
        sizes = np.diff(layout.segment)
        first, sizes = layout.segment[:-1][sizes > 0], sizes[sizes > 0]
        chosen = layout.lower if layout.weight is None or layout.lower is None else layout.lower * layout.weight
        assert chosen is not None
        e = np.exp(z - np.repeat(np.maximum.reduceat(z, first), sizes))
        p = e / np.repeat(np.add.reduceat(e, first), sizes)
        mean = np.repeat(np.add.reduceat(p * v, first), sizes)
        return np.asarray(np.repeat(np.add.reduceat(chosen, first), sizes) * p * (v - mean))

    def _checked(self, target: np.ndarray) -> tuple[np.ndarray, str]:
        return ~((target >= 0) & np.isfinite(target)), "must be finite and >= 0"


class PairwiseLogistic(_GroupLoss):
    """
    Logistic loss of all pairs of rows of a group with different targets: RankNet.

    With q = 1 / (1 + exp(z[i] - z[j])) of a pair in which i has the larger target:

        value     -log(1 - q)
        gradient  -q for i, q for j
        Hessian   q (1 - q) for both

    Notes
    -----
    The methods take `prediction` and `target` of shape (n,), and ``group=``: the sizes of consecutive groups, or the id
    of each row's group, of which all rows follow each other. Where as many numbers as rows are given, they are ids.

    A pair weighs the mean of its rows' weights, a group the mean of those of all its rows. Under "mean" the sum is
    divided by the sum of the groups' weights; under "none" there is one number for each group. A group of m rows takes
    m^2 steps.

    ``curvature="psd"`` is exact. ``"majorize"`` is half the weight of a row's pairs: with it no step of all scores at
    once raises the loss.

    References
    ----------
    C. Burges et al., "Learning to rank using gradient descent", ICML 2005, https://doi.org/10.1145/1102351.1102363

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.PairwiseLogistic()
    >>> round(loss([0.0, 0.0, 0.0], [2, 1, 0], group=[3]), 12)
    2.07944154168
    >>> loss.gradient([0.0, 0.0, 0.0], [2, 1, 0], group=[3])
    array([-1.,  0.,  1.])
    """

    __slots__ = ()
    traits = Traits("identity")

    def __init__(self) -> None:
        super().__init__("pairwise_logistic", {}, ())

    def _checked(self, target: np.ndarray) -> tuple[np.ndarray, str]:
        return ~np.isfinite(target), "must be finite"


def group_softmax(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    group: ArrayLike | None = None,
) -> Any:
    """
    Cross-entropy of what was chosen in each group of rows.

    The sum of -w t log(p) with p = softmax of the scores of a group.

    Parameters
    ----------
    prediction : array_like of shape (n,)
        Scores z.
    target : array_like of shape (n,)
        What was chosen: 1 and zeros, counts, probabilities or relevances; finite and >= 0.
    sample_weight : array_like of shape (n,), optional
        Finite and >= 0.
    reduction : {"mean", "sum", "none"}, default "mean"
        The sum divided by the groups' weights, the sum, or one number for each group.
    group : array_like
        Sizes of consecutive groups, or the id of each row's.

    Returns
    -------
    float or ndarray

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or there is no `group`.
    ValueError
        If shapes do not fit, sizes do not add up, or an element is out of its range.

    See Also
    --------
    GroupSoftmax : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.group_softmax([0.0, 0.0], [1, 0], group=[2]), 12)
    0.69314718056
    """
    return _GROUP_SOFTMAX._value(prediction, target, group, sample_weight, reduction)


def pairwise_logistic(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    group: ArrayLike | None = None,
) -> Any:
    """
    Logistic loss of all pairs of rows of a group with different targets.

    log(1 + exp(z[j] - z[i])) where i has the larger target.

    Parameters
    ----------
    prediction : array_like of shape (n,)
        Scores z.
    target : array_like of shape (n,)
        Relevances, finite.
    sample_weight : array_like of shape (n,), optional
        Finite and >= 0.
    reduction : {"mean", "sum", "none"}, default "mean"
        The sum divided by the groups' weights, the sum, or one number for each group.
    group : array_like
        Sizes of consecutive groups, or the id of each row's.

    Returns
    -------
    float or ndarray

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or there is no `group`.
    ValueError
        If shapes do not fit, sizes do not add up, or an element is out of its range.

    See Also
    --------
    PairwiseLogistic : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.pairwise_logistic([0.0, 0.0], [1, 0], group=[2]), 12)
    0.69314718056
    """
    return _PAIRWISE_LOGISTIC._value(prediction, target, group, sample_weight, reduction)


_GROUP_SOFTMAX = GroupSoftmax()
_PAIRWISE_LOGISTIC = PairwiseLogistic()
