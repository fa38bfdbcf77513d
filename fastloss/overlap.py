"""Overlap of sets, on logits: one number for a batch, or for each set in it. Tversky's index and its special cases."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import _call, _parameters, _posterior, rowwise
from ._kernels import SetLoss
from ._traits import Traits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Reduction

__all__ = ["Dice", "Jaccard", "SoftF1", "Tversky", "dice", "jaccard", "soft_f1", "tversky"]


class _OverlapLoss(SetLoss):
    """What losses of the overlap have in common: the same formula, with other weights of the two kinds of error."""

    __slots__ = ()

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return the sigmoid of raw scores: how much each element is taken to belong to the set.

        Parameters
        ----------
        z : array_like
            Logits of any shape.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Dice().inverse_link([0.0])
        array([0.5])
        """
        return rowwise.sigmoid(z)

    def predict_proba(self, z: ArrayLike) -> NoReturn:
        """
        Raise NotImplementedError: the scores of an overlap hold no probabilities.

        Whether an element had better be in the set depends on all others, so its score is no measure of its own
        probability. `inverse_link` gives its membership; calibrate that for a probability.

        Parameters
        ----------
        z : array_like
            Logits; not looked at.

        Raises
        ------
        NotImplementedError
            Always.
        """
        raise NotImplementedError(
            f"{self.name} loss has no probabilities: whether an element had better be in the set depends on all "
            "others. inverse_link gives its membership; calibrate that for a probability"
        )

    def init_score(
        self,
        target: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        axis: int | tuple[int, ...] | None = None,
    ) -> Any:
        """
        Return the constant logit that minimises the loss: everything in the set, or everything out of it.

        The loss of a constant is a ratio of two straight lines in its sigmoid, so it falls all the way to 1 or to 0.
        The logit returned is log(2^52) or log(2^-52), whichever is better, or 0 where both are as good. There is next
        to no gradient left there: start training at 0 instead.

        Parameters
        ----------
        target : array_like
            Targets in [0, 1] of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.
        axis : int or tuple of int, optional
            The axes over which a set extends; by default all. Sets are minimised on their own.

        Returns
        -------
        float or ndarray
            One number, or one for each set.

        Raises
        ------
        ValueError
            If a target or weight is out of its range, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Dice().init_score([0, 0, 1, 1])
        36.04365338911715
        >>> fl.Dice().init_score([[0, 1], [0, 0], [0, 1]], axis=0)
        array([-36.04365339,  36.04365339])
        """
        _posterior.elements_that_count(target, sample_weight, 1.0)
        t = _call.real_array(target, "target")
        end = -math.log(_posterior.SMALLEST_SHARE)
        nothing, everything = (
            np.asarray(self._value(np.full(t.shape, z), t, axis, sample_weight, "none")) for z in (-end, end)
        )
        scores = np.where(everything < nothing, end, np.where(nothing < everything, -end, 0.0))
        return scores if scores.ndim else float(scores)


class Tversky(_OverlapLoss):
    """
    Tversky loss: 1 minus the soft Tversky index of a set of labels.

    With p = sigmoid(z), targets t in [0, 1], sample weights w, and sums over a set

        TP = sum w p t,  FP = sum w p (1 - t),  FN = sum w (1 - p) t,
        n = TP + smooth,  D = TP + alpha FP + beta FN + smooth:

        value     1 - n / D = (alpha FP + beta FN) / D
        gradient  -w v Q,  v = p (1 - p),  Q = (t D - n b) / D^2,  b = t + alpha (1 - t) - beta t
        Hessian   -w v (1 - 2 p) Q + 2 w^2 v^2 b Q / D

    The second form of the value has no digits to lose. Where D = 0 the value is nan.

    Parameters
    ----------
    alpha : float, default 0.5
        The weight of false positives; finite and >= 0.
    beta : float, default 0.5
        The weight of false negatives; finite and >= 0.
    smooth : float, default 1.0
        Added to both sides of the ratio, so that an empty set is no 0 / 0; finite and >= 0.

    Raises
    ------
    TypeError
        If a parameter is not a real number.
    ValueError
        If a parameter is not finite and >= 0.

    Notes
    -----
    The methods take `prediction` of any shape, a `target` that broadcasts to it, and as ``axis`` the axes over which a
    set extends. By default that is all of them: one number for the batch. For (n, K) labels ``axis=0`` gives each class
    its own set, and ``reduction`` says what becomes of the K numbers. `sample_weight` broadcasts to the prediction and
    weighs elements within their set. The loss couples all elements of a set, so mini-batches change it.

    alpha weights false positives, as in the paper. Keras (3.15) has the two the other way round, against its own
    documentation: its alpha is this beta. `Dice`, `Jaccard` and `SoftF1` are this loss with other weights.

    ``curvature="psd"`` gives abs(gradient): a Newton step has length 1, downhill. ``curvature="majorize"`` gives
    w v abs(Q) (1 + 2 w v abs(b) / D), which bounds the diagonal. The loss is monotone in each logit, so no step of one
    logit passes a minimum; nothing is said of steps of all logits at once, because the others' change is not in the
    diagonal.

    Measured error: value 2.6, gradient 4.7 ulp (float32); 4.3, 12.0 (float64), beyond half an ulp of the input.

    References
    ----------
    S. S. M. Salehi, D. Erdogmus, A. Gholipour, "Tversky loss function for image segmentation using 3D fully
    convolutional deep networks", https://arxiv.org/abs/1706.05721

    A. Tversky, "Features of similarity", Psychol. Rev. 84 (1977), https://doi.org/10.1037/0033-295X.84.4.327

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Tversky(alpha=0.3, beta=0.7)
    >>> round(loss([2.0, -1.0, 0.0], [1, 0, 1]), 12)
    0.1775953037
    >>> loss.gradient([2.0, -1.0, 0.0], [1, 0, 1])
    array([-0.02732006,  0.01675637, -0.06505173])
    >>> loss([[2.0, -1.0], [-2.0, 1.0]], [[1, 0], [0, 1]], axis=0, reduction="none")
    array([0.05960146, 0.13447071])
    """

    __slots__ = ()
    traits = Traits("sigmoid")
    alpha: float
    beta: float
    smooth: float

    def __init__(self, alpha: float = 0.5, beta: float = 0.5, smooth: float = 1.0) -> None:
        alpha = _parameters.real("alpha", alpha, ">= 0")
        beta = _parameters.real("beta", beta, ">= 0")
        smooth = _parameters.real("smooth", smooth, ">= 0")
        super().__init__("tversky", {"alpha": alpha, "beta": beta, "smooth": smooth}, (alpha, beta, smooth))


class Dice(_OverlapLoss):
    """
    Dice loss: 1 minus the soft Dice coefficient (Sorensen, F1) of a set of labels.

    With p = sigmoid(z), targets t in [0, 1], sample weights w, and sums over a set TP = sum w p t,
    FP = sum w p (1 - t), FN = sum w (1 - p) t:

        value     (FP + FN) / (2 TP + FP + FN + 2 smooth) = 1 - 2 (TP + smooth) / (sum w p + sum w t + 2 smooth)
        gradient  w p (1 - p) (1 - value - 2 t) / (sum w p + sum w t + 2 smooth)

    The Hessian is that of `Tversky` with alpha = beta = 1/2, which this is.

    Parameters
    ----------
    smooth : float, default 1.0
        Added to both sides of the ratio, so that an empty set is no 0 / 0; finite and >= 0.

    Raises
    ------
    TypeError
        If a parameter is not a real number.
    ValueError
        If a parameter is not finite and >= 0.

    Notes
    -----
    The methods take `prediction` of any shape, a `target` that broadcasts to it, and as ``axis`` the axes over which a
    set extends. By default that is all of them: one number for the batch. For (n, K) labels ``axis=0`` gives each class
    its own set, and ``reduction`` says what becomes of the K numbers. `sample_weight` broadcasts to the prediction and
    weighs elements within their set. The loss couples all elements of a set, so mini-batches change it.

    A constant c that is added to numerator and denominator of 2 TP / (2 TP + FP + FN), as Keras and most others do, is
    smooth = c / 2 here. V-Net's own loss has squares of p and t in the denominator, which changes the loss for p
    in between 0 and 1.

    All of `Tversky`'s notes hold. ``curvature="psd"`` gives abs(gradient): a Newton step has length 1, downhill.
    ``curvature="majorize"`` bounds the diagonal: no step of one logit passes a minimum; nothing is said of steps of all
    logits at once.

    Measured error: value 2.6, gradient 4.7 ulp (float32); 4.6, 7.3 (float64), beyond half an ulp of the input.

    References
    ----------
    F. Milletari, N. Navab, S.-A. Ahmadi, "V-Net: fully convolutional neural networks for volumetric medical image
    segmentation", https://arxiv.org/abs/1606.04797

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Dice()
    >>> round(loss([2.0, -1.0, 0.0], [1, 0, 1]), 12)
    0.157200964876
    >>> loss.gradient([2.0, -1.0, 0.0], [1, 0, 1])
    array([-0.02150519,  0.02932956, -0.05120595])
    """

    __slots__ = ()
    traits = Traits("sigmoid")
    smooth: float

    def __init__(self, smooth: float = 1.0) -> None:
        smooth = _parameters.real("smooth", smooth, ">= 0")
        super().__init__("dice", {"smooth": smooth}, (0.5, 0.5, smooth))


class Jaccard(_OverlapLoss):
    """
    Jaccard loss: 1 minus the soft intersection over union (IoU) of a set of labels.

    With p = sigmoid(z), targets t in [0, 1], sample weights w, and sums over a set TP = sum w p t,
    FP = sum w p (1 - t), FN = sum w (1 - p) t, U = TP + FP + FN + smooth:

        value     (FP + FN) / U = 1 - (TP + smooth) / U
        gradient  w p (1 - p) ((1 - t) (1 - value) - t) / U

    The Hessian is that of `Tversky` with alpha = beta = 1, which this is.

    Parameters
    ----------
    smooth : float, default 1.0
        Added to both sides of the ratio, so that an empty set is no 0 / 0; finite and >= 0.

    Raises
    ------
    TypeError
        If a parameter is not a real number.
    ValueError
        If a parameter is not finite and >= 0.

    Notes
    -----
    The methods take `prediction` of any shape, a `target` that broadcasts to it, and as ``axis`` the axes over which a
    set extends. By default that is all of them: one number for the batch. For (n, K) labels ``axis=0`` gives each class
    its own set, and ``reduction`` says what becomes of the K numbers. `sample_weight` broadcasts to the prediction and
    weighs elements within their set. The loss couples all elements of a set, so mini-batches change it.

    All of `Tversky`'s notes hold. ``curvature="psd"`` gives abs(gradient): a Newton step has length 1, downhill.
    ``curvature="majorize"`` bounds the diagonal: no step of one logit passes a minimum; nothing is said of steps of all
    logits at once.

    Measured error: value 2.5, gradient 4.3 ulp (float32); 4.3, 8.4 (float64), beyond half an ulp of the input.

    References
    ----------
    M. A. Rahman, Y. Wang, "Optimizing intersection-over-union in deep neural networks for image segmentation",
    ISVC 2016, https://doi.org/10.1007/978-3-319-50835-1_22

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Jaccard()
    >>> round(loss([2.0, -1.0, 0.0], [1, 0, 1]), 12)
    0.271691727966
    >>> loss.gradient([2.0, -1.0, 0.0], [1, 0, 1])
    array([-0.03211853,  0.04380442, -0.07647736])
    """

    __slots__ = ()
    traits = Traits("sigmoid")
    smooth: float

    def __init__(self, smooth: float = 1.0) -> None:
        smooth = _parameters.real("smooth", smooth, ">= 0")
        super().__init__("jaccard", {"smooth": smooth}, (1.0, 1.0, smooth))


class SoftF1(_OverlapLoss):
    """
    Soft F1, and F-beta, loss: 1 minus the F-score with memberships in place of decisions.

    With p = sigmoid(z), targets t in [0, 1], sample weights w, sums over a set TP = sum w p t, FP = sum w p (1 - t),
    FN = sum w (1 - p) t, and B = beta:

        value     (FP + B^2 FN) / ((1 + B^2) (TP + smooth) + FP + B^2 FN)

    Gradient and Hessian are those of `Tversky` with alpha = 1 / (1 + B^2) and beta = B^2 / (1 + B^2), which this is.

    Parameters
    ----------
    beta : float, default 1.0
        How many times as important recall is as precision; finite and >= 0. 1 is `Dice`.
    smooth : float, default 1.0
        Added to both sides of the ratio, so that an empty set is no 0 / 0; finite and >= 0.

    Raises
    ------
    TypeError
        If a parameter is not a real number.
    ValueError
        If a parameter is not finite and >= 0.

    Notes
    -----
    The methods take `prediction` of any shape, a `target` that broadcasts to it, and as ``axis`` the axes over which a
    set extends. By default that is all of them: one number for the batch. For (n, K) labels ``axis=0`` gives each class
    its own set, and ``reduction`` says what becomes of the K numbers. `sample_weight` broadcasts to the prediction and
    weighs elements within their set. The loss couples all elements of a set, so mini-batches change it.

    scikit-learn's ``fbeta_score`` counts decisions, so it has no gradient; with ``axis=0`` the mean of this loss is the
    soft counterpart of 1 minus its macro average, and without ``axis`` of 1 minus its micro average.

    All of `Tversky`'s notes hold. ``curvature="psd"`` gives abs(gradient): a Newton step has length 1, downhill.
    ``curvature="majorize"`` bounds the diagonal: no step of one logit passes a minimum; nothing is said of steps of all
    logits at once.

    Measured error: value 2.8, gradient 4.8 ulp (float32); 5.1, 10.4 (float64), beyond half an ulp of the input.

    References
    ----------
    G. Bénédict et al., "sigmoidF1: a smooth F1 score surrogate loss for multilabel classification",
    https://arxiv.org/abs/2108.10566

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.SoftF1(beta=2.0)
    >>> round(loss([2.0, -1.0, 0.0], [1, 0, 1]), 12)
    0.187426765985
    >>> loss.gradient([2.0, -1.0, 0.0], [1, 0, 1])
    array([-0.03001098,  0.01090542, -0.07145907])
    """

    __slots__ = ()
    traits = Traits("sigmoid")
    beta: float
    smooth: float

    def __init__(self, beta: float = 1.0, smooth: float = 1.0) -> None:
        beta = _parameters.real("beta", beta, ">= 0")
        smooth = _parameters.real("smooth", smooth, ">= 0")
        square = beta * beta
        recall = square / (1.0 + square) if square < math.inf else 1.0
        super().__init__("soft_f1", {"beta": beta, "smooth": smooth}, (1.0 / (1.0 + square), recall, smooth))


def tversky(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    axis: int | tuple[int, ...] | None = None,
    alpha: float = 0.5,
    beta: float = 0.5,
    smooth: float = 1.0,
) -> Any:
    """
    Tversky loss: 1 minus the soft Tversky index of a set of labels.

    (alpha FP + beta FN) / (TP + alpha FP + beta FN + smooth) with p = sigmoid(z), TP = sum w p t,
    FP = sum w p (1 - t), FN = sum w (1 - p) t.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Logits z of any shape; targets t in [0, 1] and weights w >= 0 that broadcast to them.
    reduction : {"mean", "sum", "none"}, default "mean"
        Mean, sum or array of the sets' numbers.
    axis : int or tuple of int, optional
        The axes over which a set extends; by default all. 0 for (n, K) labels: one set for each class.
    alpha : float, default 0.5
        The weight of false positives; finite and >= 0.
    beta : float, default 0.5
        The weight of false negatives; finite and >= 0.
    smooth : float, default 1.0
        Added to both sides of the ratio, so that an empty set is no 0 / 0; finite and >= 0.

    Returns
    -------
    float or ndarray
        One number per set, in the dtype of `prediction`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or a parameter not a real number.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range.

    See Also
    --------
    Tversky : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.tversky([0.0, 0.0], [1, 0], alpha=0.3, beta=0.7), 12)
    0.25
    """
    try:
        loss = _tversky(alpha, beta, smooth)
    except TypeError:
        loss = Tversky(alpha, beta, smooth)
    return loss._value(prediction, target, axis, sample_weight, reduction)


def dice(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    axis: int | tuple[int, ...] | None = None,
    smooth: float = 1.0,
) -> Any:
    """
    Dice loss: 1 minus the soft Dice coefficient (Sorensen, F1) of a set of labels.

    (FP + FN) / (2 TP + FP + FN + 2 smooth) with p = sigmoid(z), TP = sum w p t,
    FP = sum w p (1 - t), FN = sum w (1 - p) t.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Logits z of any shape; targets t in [0, 1] and weights w >= 0 that broadcast to them.
    reduction : {"mean", "sum", "none"}, default "mean"
        Mean, sum or array of the sets' numbers.
    axis : int or tuple of int, optional
        The axes over which a set extends; by default all. 0 for (n, K) labels: one set for each class.
    smooth : float, default 1.0
        Added to both sides of the ratio, so that an empty set is no 0 / 0; finite and >= 0.

    Returns
    -------
    float or ndarray
        One number per set, in the dtype of `prediction`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or a parameter not a real number.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range.

    See Also
    --------
    Dice : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.dice([0.0, 0.0], [1, 0]), 12)
    0.25
    """
    try:
        loss = _dice(smooth)
    except TypeError:
        loss = Dice(smooth)
    return loss._value(prediction, target, axis, sample_weight, reduction)


def jaccard(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    axis: int | tuple[int, ...] | None = None,
    smooth: float = 1.0,
) -> Any:
    """
    Jaccard loss: 1 minus the soft intersection over union (IoU) of a set of labels.

    (FP + FN) / (TP + FP + FN + smooth) with p = sigmoid(z), TP = sum w p t,
    FP = sum w p (1 - t), FN = sum w (1 - p) t.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Logits z of any shape; targets t in [0, 1] and weights w >= 0 that broadcast to them.
    reduction : {"mean", "sum", "none"}, default "mean"
        Mean, sum or array of the sets' numbers.
    axis : int or tuple of int, optional
        The axes over which a set extends; by default all. 0 for (n, K) labels: one set for each class.
    smooth : float, default 1.0
        Added to both sides of the ratio, so that an empty set is no 0 / 0; finite and >= 0.

    Returns
    -------
    float or ndarray
        One number per set, in the dtype of `prediction`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or a parameter not a real number.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range.

    See Also
    --------
    Jaccard : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.jaccard([0.0, 0.0], [1, 0]), 12)
    0.4
    """
    try:
        loss = _jaccard(smooth)
    except TypeError:
        loss = Jaccard(smooth)
    return loss._value(prediction, target, axis, sample_weight, reduction)


def soft_f1(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    axis: int | tuple[int, ...] | None = None,
    beta: float = 1.0,
    smooth: float = 1.0,
) -> Any:
    """
    Soft F1, and F-beta, loss: 1 minus the F-score with memberships in place of decisions.

    (FP + B^2 FN) / ((1 + B^2) (TP + smooth) + FP + B^2 FN) with B = beta, p = sigmoid(z),
    TP = sum w p t, FP = sum w p (1 - t), FN = sum w (1 - p) t.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Logits z of any shape; targets t in [0, 1] and weights w >= 0 that broadcast to them.
    reduction : {"mean", "sum", "none"}, default "mean"
        Mean, sum or array of the sets' numbers.
    axis : int or tuple of int, optional
        The axes over which a set extends; by default all. 0 for (n, K) labels: one set for each class.
    beta : float, default 1.0
        How many times as important recall is as precision; finite and >= 0. 1 is `Dice`.
    smooth : float, default 1.0
        Added to both sides of the ratio, so that an empty set is no 0 / 0; finite and >= 0.

    Returns
    -------
    float or ndarray
        One number per set, in the dtype of `prediction`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or a parameter not a real number.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range.

    See Also
    --------
    SoftF1 : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.soft_f1([0.0, 0.0], [1, 0], beta=2.0), 12)
    0.25
    """
    try:
        loss = _soft_f1(beta, smooth)
    except TypeError:
        loss = SoftF1(beta, smooth)
    return loss._value(prediction, target, axis, sample_weight, reduction)


# A function makes the loss of its parameters once; parameters without a hash (arrays) raise TypeError there.
_once = functools.lru_cache(maxsize=64, typed=True)
_tversky: Callable[..., Tversky] = _once(Tversky)
_dice: Callable[..., Dice] = _once(Dice)
_jaccard: Callable[..., Jaccard] = _once(Jaccard)
_soft_f1: Callable[..., SoftF1] = _once(SoftF1)
