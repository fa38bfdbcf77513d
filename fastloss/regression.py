"""Losses for regression, pointwise in prediction and target of any shape."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call, _parameters, _posterior
from ._kernels import PointwiseLoss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["AbsoluteError", "Huber", "SquaredError", "absolute_error", "huber", "l2", "mse", "squared_error"]


class _RegressionLoss(PointwiseLoss):
    """What losses on the scale of the target have in common: the raw score is the prediction."""

    __slots__ = ()

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return the prediction that raw scores stand for: the scores themselves.

        Parameters
        ----------
        z : array_like
            Raw scores.

        Returns
        -------
        ndarray
            `z`, as an array.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.SquaredError().inverse_link([1.0, -2.0])
        array([ 1., -2.])
        """
        return _call.prediction_array(z, "z")[()]


class SquaredError(_RegressionLoss):
    """
    Squared error, (z - y)^2.

    With r = z - y: value r^2, gradient 2 r, Hessian 2. There is no factor 1/2, as in torch and Keras;
    scikit-learn's, XGBoost's and LightGBM's squared losses are half of it.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. All three curvatures
    are 2.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.SquaredError()
    >>> loss([1.0, 3.0], [0.0, 1.0])
    2.5
    >>> value, gradient = loss.value_and_gradient([1.0, 3.0], [0.0, 1.0], reduction="sum")
    >>> value, gradient
    (5.0, array([2., 4.]))
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("squared_error", {}, ())

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: the weighted mean.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If a weight is not finite and >= 0, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.SquaredError().init_score([1.0, 2.0, 6.0])
        3.0
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        return float(np.average(t, weights=w))


class AbsoluteError(_RegressionLoss):
    """
    Absolute error, abs(z - y).

    With r = z - y: value abs(r), gradient sign(r) and 0 at r = 0, Hessian 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. ``curvature="psd"`` gives 1,
    what gradient boosting uses for a loss without curvature of its own.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.AbsoluteError()
    >>> loss([1.0, 3.0], [0.0, 1.0])
    1.5
    >>> loss.gradient([1.0, -3.0, 5.0], [0.0, 1.0, 5.0], reduction="sum")
    array([ 1., -1.,  0.])
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("absolute_error", {}, ())

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: the weighted median.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            Between two targets with half of the weight on either side, their mean.

        Raises
        ------
        ValueError
            If a weight is not finite and >= 0, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.AbsoluteError().init_score([1.0, 2.0, 6.0])
        2.0
        >>> fl.AbsoluteError().init_score([1.0, 2.0, 6.0], sample_weight=[1.0, 1.0, 2.0])
        4.0
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        return _posterior.weighted_median(t, w)


class Huber(_RegressionLoss):
    """
    Huber loss: squared near the target, absolute far from it.

    With r = z - y: value r^2 / 2 where abs(r) <= delta, else delta (abs(r) - delta / 2); gradient r, bounded to
    [-delta, delta]; Hessian 1 where abs(r) <= delta, else 0.

    Parameters
    ----------
    delta : float, default 1.0
        Where the loss turns from squared to absolute; finite and > 0.

    Raises
    ------
    TypeError
        If `delta` is not a real number.
    ValueError
        If `delta` is not finite and > 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. ``curvature="majorize"``
    gives min(1, delta / abs(r)): a Newton step with it never overshoots.

    References
    ----------
    P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35 (1964),
    https://doi.org/10.1214/aoms/1177703732

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Huber(delta=1.5)
    >>> loss([0.0, 3.0], [0.5, 0.0], reduction="none")
    array([0.125, 3.375])
    >>> loss.gradient([0.0, 3.0], [0.5, 0.0], reduction="sum")
    array([-0.5,  1.5])
    """

    __slots__ = ()

    def __init__(self, delta: float = 1.0) -> None:
        delta = _parameters.real("delta", delta, "> 0")
        super().__init__("huber", {"delta": delta}, (delta,))

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: Huber's location estimate.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            Where the weighted gradients add up to 0.

        Raises
        ------
        ValueError
            If a weight is not finite and >= 0, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Huber(delta=1.0).init_score([0.0, 1.0, 2.0, 100.0])
        1.5
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)

        def gradient_and_slope(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            derivatives = self.gradient_and_hessian(np.full(t.shape, z), t, sample_weight=w, reduction="sum")
            gradient, slope = (np.sum(each, keepdims=True) for each in derivatives)
            return gradient, slope

        start = np.array([_posterior.weighted_median(t, w)])
        return float(_posterior.root_of_rising(gradient_and_slope, start)[0])


def squared_error(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> Any:
    """
    Squared error, (z - y)^2.

    Parameters
    ----------
    prediction : array_like
        Predictions z of any shape.
    target : array_like
        Targets y; must broadcast to `prediction`.
    sample_weight : array_like, optional
        Weights that broadcast to `prediction`; finite and >= 0. What has weight 0 counts nowhere.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers.
    ValueError
        If shapes do not fit, a weight is not finite and >= 0, or `reduction` is unknown.

    See Also
    --------
    SquaredError : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.squared_error([1.0, 3.0], [0.0, 1.0], sample_weight=[3.0, 1.0])
    1.75
    """
    return _SQUARED_ERROR._value(prediction, target, sample_weight, reduction)


def mse(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> Any:
    """
    Mean squared error: `squared_error` under its usual name.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.mse([1.0, 3.0], [0.0, 1.0])
    2.5
    """
    return _SQUARED_ERROR._value(prediction, target, sample_weight, reduction)


def l2(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "sum",
) -> Any:
    """
    Sum of squared errors: `squared_error`, added up.

    Parameters
    ----------
    prediction, target, sample_weight
        As for `squared_error`.
    reduction : {"mean", "sum", "none"}, default "sum"
        As for `squared_error`.

    Returns
    -------
    float or ndarray

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.l2([1.0, 3.0], [0.0, 1.0])
    5.0
    """
    return _SQUARED_ERROR._value(prediction, target, sample_weight, reduction)


def absolute_error(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
) -> Any:
    """
    Absolute error, abs(z - y).

    Parameters
    ----------
    prediction : array_like
        Predictions z of any shape.
    target : array_like
        Targets y; must broadcast to `prediction`.
    sample_weight : array_like, optional
        Weights that broadcast to `prediction`; finite and >= 0. What has weight 0 counts nowhere.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers.
    ValueError
        If shapes do not fit, a weight is not finite and >= 0, or `reduction` is unknown.

    See Also
    --------
    AbsoluteError : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.absolute_error([1.0, 3.0], [0.0, 1.0])
    1.5
    """
    return _ABSOLUTE_ERROR._value(prediction, target, sample_weight, reduction)


def huber(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    delta: float = 1.0,
) -> Any:
    """
    Huber loss: squared near the target, absolute far from it.

    With r = z - y: r^2 / 2 where abs(r) <= delta, else delta (abs(r) - delta / 2).

    Parameters
    ----------
    prediction : array_like
        Predictions z of any shape.
    target : array_like
        Targets y; must broadcast to `prediction`.
    sample_weight : array_like, optional
        Weights that broadcast to `prediction`; finite and >= 0. What has weight 0 counts nowhere.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l.
    delta : float, default 1.0
        Where the loss turns from squared to absolute; finite and > 0.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or `delta` not a real number.
    ValueError
        If shapes do not fit, a weight is not finite and >= 0, `delta` not > 0, or `reduction` unknown.

    See Also
    --------
    Huber : the same loss as an object, with gradient and Hessian.

    References
    ----------
    P. J. Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35 (1964),
    https://doi.org/10.1214/aoms/1177703732

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.huber([0.0, 3.0], [0.5, 0.0], delta=1.5)
    1.75
    """
    try:
        loss = _huber(delta)
    except TypeError:
        loss = Huber(delta)
    return loss._value(prediction, target, sample_weight, reduction)


# A function makes the loss of its parameters once; parameters without a hash (arrays) raise TypeError there.
_SQUARED_ERROR = SquaredError()
_ABSOLUTE_ERROR = AbsoluteError()
_huber: Callable[..., Huber] = functools.lru_cache(maxsize=64, typed=True)(Huber)
