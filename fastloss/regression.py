"""Losses for regression, pointwise in prediction and target of any shape."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call, _parameters, _posterior
from ._kernels import PointwiseLoss
from ._traits import Traits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Reduction

__all__ = [
    "AbsoluteError",
    "AbsolutePercentageError",
    "Barron",
    "Cauchy",
    "EpsilonInsensitive",
    "Expectile",
    "Fair",
    "Huber",
    "LogCosh",
    "PseudoHuber",
    "Quantile",
    "SmoothL1",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "SquaredLogError",
    "Tukey",
    "absolute_error",
    "absolute_percentage_error",
    "barron",
    "cauchy",
    "epsilon_insensitive",
    "expectile",
    "fair",
    "huber",
    "l2",
    "log_cosh",
    "mse",
    "pseudo_huber",
    "quantile",
    "smooth_l1",
    "squared_epsilon_insensitive",
    "squared_error",
    "squared_log_error",
    "tukey",
]


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


class _LossWithRoot(_RegressionLoss):
    """What convex losses have in common whose minimiser has no closed form: the gradients there add up to 0."""

    __slots__ = ()

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: where the weighted gradients add up to 0.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            nan if a target that counts is nan.

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
        return _posterior.best_constant(self, t, w, self._near_the_minimum(t, w))

    def _near_the_minimum(self, t: np.ndarray, w: np.ndarray) -> float:
        return _posterior.weighted_median(t, w)


class SquaredError(_RegressionLoss):
    """
    Squared error, (z - t)^2.

    With r = z - t: value r^2, gradient 2 r, Hessian 2. There is no factor 1/2, as in torch and Keras;
    scikit-learn's, XGBoost's and LightGBM's squared losses are half of it.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. All three curvatures
    are 2.

    Measured error: value 0.5, gradient 0.0 ulp (float32); 0.5, 0.0 (float64), beyond half an ulp of the input.

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
    traits = Traits("identity", fisher="exact")

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
        return _posterior.weighted_mean(t, w)


class AbsoluteError(_RegressionLoss):
    """
    Absolute error, abs(z - t).

    With r = z - t: value abs(r), gradient sign(r) and 0 at r = 0, Hessian 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. ``curvature="psd"`` gives 1,
    what gradient boosting uses for a loss without curvature of its own. ``curvature="majorize"`` gives 1 / abs(r):
    the parabola with it lies above the loss everywhere, so a Newton step never raises it.

    Measured error: value 0.0, gradient 0.0 ulp (float32); 0.0, 0.0 (float64), beyond half an ulp of the input.

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
    traits = Traits("identity", has_kinks=True, refits_leaves=True)

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


class AbsolutePercentageError(_RegressionLoss):
    """
    Absolute percentage error, abs(z - t) / max(abs(t), epsilon): errors in proportion to their targets.

    With r = z - t and s = max(abs(t), epsilon): value abs(r) / s, gradient sign(r) / s and 0 at r = 0, Hessian 0.

    Parameters
    ----------
    epsilon : float, default 2.220446049250313e-16
        What stands in for smaller targets; finite and > 0. The default is scikit-learn's, where a target of 0 outweighs
        all others; 1, say, takes errors as they are where targets are below 1, as LightGBM does.

    Raises
    ------
    TypeError
        If `epsilon` is not a real number.
    ValueError
        If `epsilon` is not finite and > 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. ``curvature="psd"`` gives 1 / s,
    that of `AbsoluteError` over s. ``curvature="majorize"`` gives 1 / (s abs(r)): the parabola with it lies above the
    loss everywhere, so a Newton step never raises it.

    The definition is that of scikit-learn's mean_absolute_percentage_error; Keras multiplies it by 100 and takes
    epsilon = 1e-7.

    Measured error: value 0.8, gradient 0.6 ulp (float32); 0.5, 0.5 (float64), beyond half an ulp of the input.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.AbsolutePercentageError()
    >>> loss([1.0, 3.0], [2.0, 4.0], reduction="none")
    array([0.5 , 0.25])
    >>> loss.gradient([1.0, 3.0], [2.0, 4.0], reduction="sum")
    array([-0.5 , -0.25])
    """

    __slots__ = ()
    traits = Traits("identity", has_kinks=True, refits_leaves=True)
    epsilon: float

    def __init__(self, epsilon: float = 2.220446049250313e-16) -> None:
        epsilon = _parameters.real("epsilon", epsilon, "> 0")
        super().__init__("absolute_percentage_error", {"epsilon": epsilon}, (epsilon,))

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: the median of targets weighted by 1 / s.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            nan if a target that counts is nan.

        Raises
        ------
        ValueError
            If a weight is not finite and >= 0, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.AbsolutePercentageError().init_score([1.0, 2.0, 6.0, 7.0])
        1.0
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        epsilon = self.parameters["epsilon"]
        return _posterior.weighted_median(t, w * (epsilon / np.maximum(np.abs(t), epsilon)))


class Huber(_LossWithRoot):
    """
    Huber loss: squared near the target, absolute far from it.

    With r = z - t: value r^2 / 2 where abs(r) <= delta, else delta (abs(r) - delta / 2); gradient r, bounded to
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
    The methods take `prediction` of any shape and a `target` that broadcasts to it. ``"psd"`` and
    ``"majorize"`` as `curvature` give gradient / r = min(1, delta / abs(r)): positive, and the parabola with it lies
    above the loss everywhere, so a Newton step never raises it.

    Measured error: value 1.6, gradient 0.5 ulp (float32); 1.1, 0.0 (float64), beyond half an ulp of the input.

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
    traits = Traits("identity", bend="delta")
    delta: float

    def __init__(self, delta: float = 1.0) -> None:
        delta = _parameters.real("delta", delta, "> 0")
        super().__init__("huber", {"delta": delta}, (delta,))


class SmoothL1(_LossWithRoot):
    """
    Smooth L1 loss: `Huber` scaled to the slope of the absolute error.

    With r = z - t:

        value     r^2 / (2 beta) where abs(r) < beta, else abs(r) - beta / 2
        gradient  r / beta, bounded to [-1, 1]
        Hessian   1 / beta where abs(r) < beta, else 0

    Parameters
    ----------
    beta : float, default 1.0
        Where the loss turns from squared to absolute; finite and > 0.

    Raises
    ------
    TypeError
        If `beta` is not a real number.
    ValueError
        If `beta` is not finite and > 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. ``"psd"`` and ``"majorize"`` as
    `curvature` give gradient / r = 1 / max(beta, abs(r)): positive, and the parabola with it lies above the loss
    everywhere, so a Newton step never raises it.

    This is torch's smooth L1: smooth_l1(beta=b) is huber(delta=b) / b. torch reads beta = 0 as the absolute error, for
    which there is `AbsoluteError`.

    Measured error: value 1.4, gradient 0.9 ulp (float32); 1.6, 1.0 (float64), beyond half an ulp of the input.

    References
    ----------
    R. Girshick, "Fast R-CNN", https://arxiv.org/abs/1504.08083

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.SmoothL1(beta=2.0)
    >>> loss([0.5, 3.0], [0.0, 0.0], reduction="none")
    array([0.0625, 2.    ])
    >>> loss.gradient([0.5, 3.0], [0.0, 0.0], reduction="sum")
    array([0.25, 1.  ])
    """

    __slots__ = ()
    traits = Traits("identity", bend="beta")
    beta: float

    def __init__(self, beta: float = 1.0) -> None:
        beta = _parameters.real("beta", beta, "> 0")
        super().__init__("smooth_l1", {"beta": beta}, (beta,))


class PseudoHuber(_LossWithRoot):
    """
    Pseudo-Huber loss: squared near the target, absolute far from it, and smooth in between.

    With r = z - t and x = r / delta:

        value     delta^2 (sqrt(1 + x^2) - 1)
        gradient  r / sqrt(1 + x^2)
        Hessian   (1 + x^2)^(-3/2)

    The value is evaluated as r^2 / (sqrt(1 + x^2) + 1), which keeps all digits near the target.

    Parameters
    ----------
    delta : float, default 1.0
        The slope far from the target, and the residual about which the loss bends; finite and > 0.

    Raises
    ------
    TypeError
        If `delta` is not a real number.
    ValueError
        If `delta` is not finite and > 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The loss is convex:
    ``curvature="psd"`` is the Hessian, with which a Newton step from abs(r) > delta lands farther away.
    ``curvature="majorize"`` gives gradient / r = (1 + x^2)^(-1/2): the parabola with it lies above the loss everywhere,
    so a Newton step never raises it.

    The definition is that of scipy.special.pseudo_huber and of XGBoost. With delta = 1 it is the Charbonnier loss
    sqrt(1 + r^2) - 1.

    Measured error: value 3.8, gradient 3.3 ulp (float32); 3.1, 3.1 (float64), beyond half an ulp of the input.

    References
    ----------
    P. Charbonnier, L. Blanc-Féraud, G. Aubert, M. Barlaud, "Deterministic edge-preserving regularization in computed
    imaging", IEEE Trans. Image Process. 6 (1997), https://doi.org/10.1109/83.551699

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.PseudoHuber(delta=2.0)
    >>> loss([1.5, 0.0], [0.0, 0.0], reduction="none")
    array([1., 0.])
    >>> loss.gradient([1.5, 0.0], [0.0, 0.0], reduction="sum")
    array([1.2, 0. ])
    """

    __slots__ = ()
    traits = Traits("identity", bend="delta", boosting="majorize")
    delta: float

    def __init__(self, delta: float = 1.0) -> None:
        delta = _parameters.real("delta", delta, "> 0")
        super().__init__("pseudo_huber", {"delta": delta}, (delta,))


class LogCosh(_LossWithRoot):
    """
    Logarithm of the hyperbolic cosine of the residual: squared near the target, absolute far from it.

    With r = z - t:

        value     log(cosh(r)), evaluated without cosh: r^2 / 2 near 0, abs(r) - log(2) far from it
        gradient  tanh(r)
        Hessian   1 - tanh(r)^2

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The loss is convex:
    ``curvature="psd"`` is the Hessian, with which a Newton step from abs(r) > 1.09 lands farther away.
    ``curvature="majorize"`` gives gradient / r = tanh(r) / r: the parabola with it lies above the loss everywhere, so a
    Newton step never raises it.

    Keras, optax and CatBoost define it alike.

    Measured error: value 1.4, gradient 2.4 ulp (float32); 1.4, 2.6 (float64), beyond half an ulp of the input.

    References
    ----------
    R. A. Saleh, A. K. Md. E. Saleh, "Statistical properties of the log-cosh loss function used in machine learning",
    https://arxiv.org/abs/2208.04564

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.LogCosh()
    >>> loss([1.0, 100.0], [0.0, 0.0], reduction="none")
    array([ 0.43378083, 99.30685282])
    >>> loss.gradient([1.0, 100.0], [0.0, 0.0], reduction="sum")
    array([0.76159416, 1.        ])
    """

    __slots__ = ()
    traits = Traits("identity", bend="", boosting="majorize")

    def __init__(self) -> None:
        super().__init__("log_cosh", {}, ())


class Fair(_LossWithRoot):
    """
    Fair's loss: squared near the target, and less and less curved away from it.

    With r = z - t and x = abs(r) / c:

        value     c^2 (x - log(1 + x))
        gradient  r / (1 + x)
        Hessian   1 / (1 + x)^2

    Parameters
    ----------
    c : float, default 1.0
        The slope far from the target, and the residual at which it is half reached; finite and > 0.

    Raises
    ------
    TypeError
        If `c` is not a real number.
    ValueError
        If `c` is not finite and > 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The loss is convex:
    ``curvature="psd"`` is the Hessian, with which a Newton step from abs(r) > c lands farther away.
    ``curvature="majorize"`` gives gradient / r = 1 / (1 + x): the parabola with it lies above the loss everywhere, so a
    Newton step never raises it.

    LightGBM's objective "fair" has the same definition and the same c (fair_c).

    Measured error: value 4.2, gradient 3.0 ulp (float32); 3.5, 2.7 (float64), beyond half an ulp of the input.

    References
    ----------
    R. C. Fair, "On the robust estimation of econometric models", Ann. Econ. Soc. Meas. 3 (1974), 667-677

    P. W. Holland, R. E. Welsch, "Robust regression using iteratively reweighted least-squares", Comm. Statist. Theory
    Methods 6 (1977), https://doi.org/10.1080/03610927708827533

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Fair(c=2.0)
    >>> loss([2.0, 0.0], [0.0, 0.0], reduction="none")
    array([1.22741128, 0.        ])
    >>> loss.gradient([2.0, -2.0], [0.0, 0.0], reduction="sum")
    array([ 1., -1.])
    """

    __slots__ = ()
    traits = Traits("identity", bend="c", boosting="majorize")
    c: float

    def __init__(self, c: float = 1.0) -> None:
        c = _parameters.real("c", c, "> 0")
        super().__init__("fair", {"c": c}, (c,))


class Cauchy(_RegressionLoss):
    """
    Cauchy (Lorentzian) loss: far from the target it hardly grows, and its gradient fades away.

    With r = z - t and x = r / c:

        value     c^2 / 2 log(1 + x^2)
        gradient  r / (1 + x^2), at most c / 2 and that at abs(r) = c
        Hessian   (1 - x^2) / (1 + x^2)^2

    Parameters
    ----------
    c : float, default 1.0
        The residual from which on targets lose influence; finite and > 0.

    Raises
    ------
    TypeError
        If `c` is not a real number.
    ValueError
        If `c` is not finite and > 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The loss is not convex: beyond c
    the Hessian is negative, where a Newton step would go the wrong way. ``"psd"`` and ``"majorize"`` as `curvature`
    give gradient / r = 1 / (1 + x^2): positive, and the parabola with it lies above the loss everywhere, so a Newton
    step never raises it.

    scipy.optimize.least_squares has the same definition (loss="cauchy", f_scale=c). kornia's cauchy_loss is this one
    with c = sqrt(2).

    Measured error: value 3.1, gradient 3.0 ulp (float32); 3.5, 2.6 (float64), beyond half an ulp of the input.

    References
    ----------
    M. J. Black, P. Anandan, "The robust estimation of multiple motions", Comput. Vis. Image Underst. 63 (1996),
    https://doi.org/10.1006/cviu.1996.0006

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Cauchy()
    >>> loss([1.0, 3.0], [0.0, 0.0], reduction="none")
    array([0.34657359, 1.15129255])
    >>> gradient, hessian = loss.gradient_and_hessian([1.0, 3.0], [0.0, 0.0], reduction="sum")
    >>> gradient, hessian
    (array([0.5, 0.3]), array([ 0.  , -0.08]))
    """

    __slots__ = ()
    traits = Traits("identity", bend="c")
    c: float

    def __init__(self, c: float = 1.0) -> None:
        c = _parameters.real("c", c, "> 0")
        super().__init__("cauchy", {"c": c}, (c,))

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: the location of the targets' bulk.

        Targets in groups further apart than c have a minimum at each group. The lowest of all is sought from the
        targets, or from 64 quantiles of them if they are more.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            nan if a target that counts is nan.

        Raises
        ------
        ValueError
            If a weight is not finite and >= 0, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> round(fl.Cauchy().init_score([-1.0, 0.0, 1.0, 1000.0]), 6)
        0.001
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        return _posterior.best_constant_of_many(self, t, w, self.parameters["c"])


class Tukey(_RegressionLoss):
    """
    Tukey's biweight: targets farther away than c have no influence at all.

    With r = z - t and x = r / c:

        value     c^2 / 6 (1 - (1 - x^2)^3) where abs(r) < c, else c^2 / 6
        gradient  r (1 - x^2)^2 where abs(r) < c, else 0
        Hessian   (1 - x^2) (1 - 5 x^2) where abs(r) < c, else 0

    Parameters
    ----------
    c : float, default 4.685
        The residual from which on targets are ignored; finite and > 0. With the default a mean of targets of standard
        deviation 1 keeps 95 % of its efficiency.

    Raises
    ------
    TypeError
        If `c` is not a real number.
    ValueError
        If `c` is not finite and > 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The loss is not convex: beyond
    c / sqrt(5) the Hessian is negative, where a Newton step would go the wrong way. ``"psd"`` and ``"majorize"`` as
    `curvature` give gradient / r = (1 - x^2)^2: positive, and the parabola with it lies above the loss everywhere, so a
    Newton step never raises it.

    statsmodels' robust.norms.TukeyBiweight is the same up to the constant: its rho is 0 at r = 0 as well.

    Measured error: value 5.1, gradient 3.8 ulp (float32); 5.0, 3.9 (float64), beyond half an ulp of the input.

    References
    ----------
    A. E. Beaton, J. W. Tukey, "The fitting of power series, meaning polynomials, illustrated on band-spectroscopic
    data", Technometrics 16 (1974), https://doi.org/10.1080/00401706.1974.10489171

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Tukey(c=2.0)
    >>> loss([1.0, 3.0], [0.0, 0.0], reduction="none")
    array([0.38541667, 0.66666667])
    >>> gradient, hessian = loss.gradient_and_hessian([1.0, 3.0], [0.0, 0.0], reduction="sum")
    >>> gradient, hessian
    (array([0.5625, 0.    ]), array([-0.1875,  0.    ]))
    """

    __slots__ = ()
    traits = Traits("identity", bend="c")
    c: float

    def __init__(self, c: float = 4.685) -> None:
        c = _parameters.real("c", c, "> 0")
        super().__init__("tukey", {"c": c}, (c,))

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: the location of the targets' bulk.

        It is sought from the targets, or from 64 quantiles of them if they are more, as for `Cauchy`.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            nan if a target that counts is nan.

        Raises
        ------
        ValueError
            If a weight is not finite and >= 0, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> round(fl.Tukey().init_score([-1.0, 0.0, 1.0, 1000.0]), 12)
        0.0
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        return _posterior.best_constant_of_many(self, t, w, self.parameters["c"])


class Quantile(_RegressionLoss):
    """
    Quantile (pinball) loss, least at the q-quantile of the targets.

    With r = z - t:

        value     q (t - z) where t > z, else (1 - q) (z - t)
        gradient  -q where t > z, 1 - q where t < z, and 0 at r = 0
        Hessian   0

    Parameters
    ----------
    q : float, default 0.5
        The quantile; > 0 and < 1. Predictions below the target cost q per unit, those above it 1 - q.

    Raises
    ------
    TypeError
        If `q` is not a real number.
    ValueError
        If `q` is not in (0, 1).

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. ``curvature="psd"`` gives 1, what
    gradient boosting uses for a loss without curvature of its own. ``curvature="majorize"`` gives 1 / (2 abs(r)): the
    parabola with it lies above the loss everywhere, so a Newton step never raises it.

    With q = 0.5 it is half of `AbsoluteError`. scikit-learn (mean_pinball_loss, alpha), XGBoost (quantile_alpha),
    LightGBM and CatBoost (alpha) define it alike.

    Measured error: value 1.0, gradient 0.5 ulp (float32); 0.7, 0.3 (float64), beyond half an ulp of the input.

    References
    ----------
    R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978), https://doi.org/10.2307/1913643

    D. R. Hunter, K. Lange, "Quantile regression via an MM algorithm", J. Comput. Graph. Statist. 9 (2000),
    https://doi.org/10.1080/10618600.2000.10474866

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Quantile(q=0.9)
    >>> loss([0.0, 3.0], [1.0, 1.0], reduction="none")
    array([0.9, 0.2])
    >>> loss.gradient([0.0, 3.0, 1.0], [1.0, 1.0, 1.0], reduction="sum")
    array([-0.9,  0.1,  0. ])
    """

    __slots__ = ()
    traits = Traits("identity", has_kinks=True, refits_leaves=True)
    q: float

    def __init__(self, q: float = 0.5) -> None:
        q = _parameters.real("q", q, "in (0, 1)")
        super().__init__("quantile", {"q": q}, (q,))

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: the weighted q-quantile.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            Where the share q of the weight ends between two targets, their mean. nan if a target that counts is nan.

        Raises
        ------
        ValueError
            If a weight is not finite and >= 0, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Quantile(q=0.9).init_score([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        6.0
        >>> fl.Quantile(q=0.75).init_score([1.0, 2.0, 3.0, 4.0])
        3.5
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        return float(_posterior.weighted_quantiles(t, w, self.parameters["q"]))


class Expectile(_LossWithRoot):
    """
    Expectile loss: squared error that weighs predictions below and above the target differently.

    With r = z - t and the weight a = q where t > z, 1 - q where t < z:

        value     a r^2
        gradient  2 a r
        Hessian   2 a, and 2 q at r = 0

    Parameters
    ----------
    q : float, default 0.5
        > 0 and < 1. Predictions below the target cost q r^2, those above it (1 - q) r^2.

    Raises
    ------
    TypeError
        If `q` is not a real number.
    ValueError
        If `q` is not in (0, 1).

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The loss is convex:
    ``curvature="psd"`` is the Hessian. ``curvature="majorize"`` gives its largest value, 2 max(q, 1 - q): the parabola
    with it lies above the loss everywhere, so a Newton step never raises it.

    As in `Quantile`, a larger q means larger predictions. With q = 0.5 it is half of `SquaredError`. CatBoost's
    Expectile (alpha) has the same definition.

    Measured error: value 1.5, gradient 1.0 ulp (float32); 1.2, 0.7 (float64), beyond half an ulp of the input.

    References
    ----------
    W. K. Newey, J. L. Powell, "Asymmetric least squares estimation and testing", Econometrica 55 (1987),
    https://doi.org/10.2307/1911031

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Expectile(q=0.8)
    >>> loss([0.0, 3.0], [1.0, 1.0], reduction="none")
    array([0.8, 0.8])
    >>> loss.gradient([0.0, 3.0], [1.0, 1.0], reduction="sum")
    array([-1.6,  0.8])
    """

    __slots__ = ()
    traits = Traits("identity")
    q: float

    def __init__(self, q: float = 0.5) -> None:
        q = _parameters.real("q", q, "in (0, 1)")
        super().__init__("expectile", {"q": q}, (q,))

    def _near_the_minimum(self, t: np.ndarray, w: np.ndarray) -> float:
        return _posterior.weighted_mean(t, w)


class EpsilonInsensitive(_RegressionLoss):
    """
    Epsilon-insensitive loss: absolute error beyond a margin within which nothing counts.

    With r = z - t:

        value     max(0, abs(r) - epsilon)
        gradient  sign(r) where abs(r) > epsilon, else 0
        Hessian   0

    Parameters
    ----------
    epsilon : float, default 0.1
        Half of the width of the margin; finite and >= 0. With 0 the loss is `AbsoluteError`.

    Raises
    ------
    TypeError
        If `epsilon` is not a real number.
    ValueError
        If `epsilon` is not finite and >= 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. ``curvature="psd"`` gives 1, what
    gradient boosting uses for a loss without curvature of its own. ``curvature="majorize"`` gives (1 / abs(r - epsilon)
    + 1 / abs(r + epsilon)) / 2: the loss is half of the absolute errors of r - epsilon and r + epsilon, minus epsilon,
    and the parabola with this curvature lies above it everywhere, so a Newton step never raises it.

    scikit-learn's SGDRegressor and LinearSVR have the same definition.

    Measured error: value 0.7, gradient 0.0 ulp (float32); 0.5, 0.0 (float64), beyond half an ulp of the input.

    References
    ----------
    A. J. Smola, B. Schölkopf, "A tutorial on support vector regression", Stat. Comput. 14 (2004),
    https://doi.org/10.1023/B:STCO.0000035301.49549.88

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.EpsilonInsensitive(epsilon=0.5)
    >>> loss([0.25, 2.0], [0.0, 0.0], reduction="none")
    array([0. , 1.5])
    >>> loss.gradient([0.25, 2.0], [0.0, 0.0], reduction="sum")
    array([0., 1.])
    """

    __slots__ = ()
    traits = Traits("identity", has_kinks=True, refits_leaves=True)
    epsilon: float

    def __init__(self, epsilon: float = 0.1) -> None:
        epsilon = _parameters.real("epsilon", epsilon, ">= 0")
        super().__init__("epsilon_insensitive", {"epsilon": epsilon}, (epsilon,))

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: the middle of the constants that do.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            nan if a target that counts is nan.

        Raises
        ------
        ValueError
            If a weight is not finite and >= 0, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.EpsilonInsensitive(epsilon=0.5).init_score([1.0, 2.0, 6.0])
        2.0
        >>> fl.EpsilonInsensitive(epsilon=3.0).init_score([1.0, 2.0, 6.0])
        3.5
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        # Half of the absolute errors from both ends of the margin, but for a constant: the median of all these ends.
        ends = np.concatenate([t - self.parameters["epsilon"], t + self.parameters["epsilon"]])
        return _posterior.weighted_median(ends, np.concatenate([w, w]))


class SquaredEpsilonInsensitive(_LossWithRoot):
    """
    Squared epsilon-insensitive loss: squared distance beyond a margin within which nothing counts.

    With r = z - t:

        value     max(0, abs(r) - epsilon)^2
        gradient  2 sign(r) max(0, abs(r) - epsilon)
        Hessian   2 where abs(r) > epsilon, else 0

    Parameters
    ----------
    epsilon : float, default 0.1
        Half of the width of the margin; finite and >= 0. With 0 the loss is `SquaredError`.

    Raises
    ------
    TypeError
        If `epsilon` is not a real number.
    ValueError
        If `epsilon` is not finite and >= 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The loss is convex:
    ``curvature="psd"`` is the Hessian. ``curvature="majorize"`` gives 2 everywhere: the parabola with it lies above the
    loss everywhere, so a Newton step never raises it.

    scikit-learn's SGDRegressor and LinearSVR have the same definition, without a factor 1/2.

    Measured error: value 2.1, gradient 0.7 ulp (float32); 1.9, 0.5 (float64), beyond half an ulp of the input.

    References
    ----------
    C.-H. Ho, C.-J. Lin, "Large-scale linear support vector regression", J. Mach. Learn. Res. 13 (2012),
    https://jmlr.org/papers/v13/ho12a.html

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.SquaredEpsilonInsensitive(epsilon=0.5)
    >>> loss([0.25, 2.0], [0.0, 0.0], reduction="none")
    array([0.  , 2.25])
    >>> loss.gradient([0.25, 2.0], [0.0, 0.0], reduction="sum")
    array([0., 3.])
    """

    __slots__ = ()
    traits = Traits("identity")
    epsilon: float

    def __init__(self, epsilon: float = 0.1) -> None:
        epsilon = _parameters.real("epsilon", epsilon, ">= 0")
        super().__init__("squared_epsilon_insensitive", {"epsilon": epsilon}, (epsilon,))

    def _near_the_minimum(self, t: np.ndarray, w: np.ndarray) -> float:
        # The middle of the constants without loss, where there are any.
        with np.errstate(invalid="ignore"):
            return float(t.min() / 2.0 + t.max() / 2.0)


class SquaredLogError(_RegressionLoss):
    """
    Squared error of log(1 + z) and log(1 + t): errors count in per cent, and targets may be 0.

    With L = log(1 + z) - log(1 + t), a prediction z > -1, and a target t, finite and >= 0:

        value     L^2
        gradient  2 L / (1 + z)
        Hessian   2 (1 - L) / (1 + z)^2

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The raw score is the prediction
    itself: at -1 the value is inf, below it nan. The loss is not convex: where 1 + z is more than e times 1 + t the
    Hessian is negative. ``"psd"`` and ``"majorize"`` as `curvature` give 2 (1 + abs(L)) / (1 + z)^2, at least the
    Hessian, and a Newton step with it never passes the minimum, nor -1.

    The root of the mean is RMSLE. XGBoost's reg:squaredlogerror is half of it, and moves predictions up to -1 + 1e-6;
    scikit-learn's mean_squared_log_error and Keras' have the same value, Keras of numbers that are raised to 1e-7.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.SquaredLogError()
    >>> loss([1.0, 3.0], [3.0, 3.0], reduction="none")
    array([0.48045301, 0.        ])
    >>> loss.gradient([1.0], [3.0])
    array([-0.69314718])
    """

    __slots__ = ()
    traits = Traits("identity")

    def __init__(self) -> None:
        super().__init__("squared_log_error", {}, ())

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: exp of the mean of log(1 + t), less 1.

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
            If a target or weight is out of its range, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> round(fl.SquaredLogError().init_score([0.0, 3.0]), 12)
        1.0
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        # The kernel knows which targets there are. It gets the user's array, to name a place in it.
        whole = _call.real_array(target, "target")
        self._value(np.zeros(whole.shape), whole, sample_weight, "sum")
        return math.expm1(_posterior.weighted_mean(np.log1p(t), w))


class Barron(_RegressionLoss):
    """
    Barron's general loss: one family from squared error over pseudo-Huber and Cauchy to Welsch, by its shape alpha.

    With r = z - t, a = alpha, b = abs(a - 2) and x^2 = (r / c)^2 / b:

        value     b / a ((1 + x^2)^(a / 2) - 1)
        gradient  r / c^2 (1 + x^2)^(a / 2 - 1)
        Hessian   (1 + x^2)^(a / 2 - 2) (1 + (a - 1) x^2) / c^2

    alpha = 2 is (r / c)^2 / 2, 1 is sqrt(1 + (r / c)^2) - 1, 0 is log(1 + (r / c)^2 / 2), -2 is Geman and McClure's.

    Parameters
    ----------
    alpha : float, default 1.0
        The shape: the smaller, the less outliers pull; below 1 the loss is not convex, below 0 bounded. In [-100, 100].
    c : float, default 1.0
        The residual from which on the loss is no parabola any more; finite and > 0.

    Raises
    ------
    TypeError
        If `alpha` or `c` is not a real number.
    ValueError
        If `alpha` is not in [-100, 100], or `c` not finite and > 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. Unlike `PseudoHuber` and `Cauchy`
    it is a function of r / c, and its curvature at 0 is 1 / c^2. ``curvature="majorize"``, and ``"psd"`` where alpha <
    1, gives gradient / r = (1 + x^2)^(a / 2 - 1) / c^2: the parabola with it lies above the loss everywhere, so a
    Newton step never raises it. From 1 on psd is the Hessian, and beyond 2 majorize, too, whose step stops at the
    minimum.

    It is Optax's and Barron's own general loss without the normalising constant of a density.

    References
    ----------
    J. T. Barron, "A general and adaptive robust loss function", CVPR (2019), https://arxiv.org/abs/1701.03077

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Barron(alpha=1.0, c=1.0)
    >>> loss([0.75, 0.0], [0.0, 0.0], reduction="none")
    array([0.25, 0.  ])
    >>> fl.Barron(alpha=2.0, c=2.0).gradient([2.0], [0.0])
    array([0.5])
    """

    __slots__ = ()
    traits = Traits("identity", bend="c", boosting="majorize")
    alpha: float
    c: float

    def __init__(self, alpha: float = 1.0, c: float = 1.0) -> None:
        alpha = _parameters.real("alpha", alpha, "in [-100, 100]")
        c = _parameters.real("c", c, "> 0")
        super().__init__("barron", {"alpha": alpha, "c": c}, (alpha, c, c * math.sqrt(abs(alpha - 2.0))))

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant prediction that minimises the loss: between mean and median, or the location of the bulk.

        Below alpha = 1 it is sought from the targets, or from 64 quantiles of them if they are more, as for `Cauchy`.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            nan if a target that counts is nan.

        Raises
        ------
        ValueError
            If a weight is not finite and >= 0, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Barron(alpha=-2.0).init_score([0.0, 0.0, 100.0]) < 1e-3
        True
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        if self.alpha < 1.0:
            return _posterior.best_constant_of_many(self, t, w, self.c)
        return _posterior.best_constant(self, t, w, _posterior.weighted_median(t, w))


def squared_error(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Squared error, (z - t)^2.

    Parameters
    ----------
    prediction : array_like
        Predictions z of any shape.
    target : array_like
        Targets t; must broadcast to `prediction`.
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
    reduction: Reduction = "mean",
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
    reduction: Reduction = "sum",
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
    reduction: Reduction = "mean",
) -> Any:
    """
    Absolute error, abs(z - t).

    Parameters
    ----------
    prediction : array_like
        Predictions z of any shape.
    target : array_like
        Targets t; must broadcast to `prediction`.
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
    reduction: Reduction = "mean",
    delta: float = 1.0,
) -> Any:
    """
    Huber loss: squared near the target, absolute far from it.

    With r = z - t: r^2 / 2 where abs(r) <= delta, else delta (abs(r) - delta / 2).

    Parameters
    ----------
    prediction : array_like
        Predictions z of any shape.
    target : array_like
        Targets t; must broadcast to `prediction`.
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


def smooth_l1(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    beta: float = 1.0,
) -> Any:
    """
    Smooth L1 loss: r^2 / (2 beta) where abs(r) < beta, else abs(r) - beta / 2, with r = z - t.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    beta : float, default 1.0
        Where the loss turns from squared to absolute; finite and > 0.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    SmoothL1 : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.smooth_l1([0.5, 3.0], [0.0, 0.0], beta=2.0, reduction="sum")
    2.0625
    """
    try:
        loss = _smooth_l1(beta)
    except TypeError:
        loss = SmoothL1(beta)
    return loss._value(prediction, target, sample_weight, reduction)


def pseudo_huber(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    delta: float = 1.0,
) -> Any:
    """
    Pseudo-Huber loss, delta^2 (sqrt(1 + (r / delta)^2) - 1) with r = z - t.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    delta : float, default 1.0
        The slope far from the target; finite and > 0.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    PseudoHuber : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.pseudo_huber([1.5, 0.0], [0.0, 0.0], delta=2.0)
    0.5
    """
    try:
        loss = _pseudo_huber(delta)
    except TypeError:
        loss = PseudoHuber(delta)
    return loss._value(prediction, target, sample_weight, reduction)


def log_cosh(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Logarithm of the hyperbolic cosine of the residual, log(cosh(z - t)).

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    LogCosh : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.log_cosh([100.0], [0.0]), 12)
    99.30685281944
    """
    return _LOG_COSH._value(prediction, target, sample_weight, reduction)


def fair(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    c: float = 1.0,
) -> Any:
    """
    Fair's loss, c^2 (abs(r) / c - log(1 + abs(r) / c)) with r = z - t.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    c : float, default 1.0
        The slope far from the target; finite and > 0.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    Fair : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.fair([2.0], [0.0], c=2.0), 12)
    1.22741127776
    """
    try:
        loss = _fair(c)
    except TypeError:
        loss = Fair(c)
    return loss._value(prediction, target, sample_weight, reduction)


def cauchy(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    c: float = 1.0,
) -> Any:
    """
    Cauchy (Lorentzian) loss, c^2 / 2 log(1 + (r / c)^2) with r = z - t.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    c : float, default 1.0
        The residual from which on targets lose influence; finite and > 0.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    Cauchy : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.cauchy([3.0], [0.0]), 12)
    1.151292546497
    """
    try:
        loss = _cauchy(c)
    except TypeError:
        loss = Cauchy(c)
    return loss._value(prediction, target, sample_weight, reduction)


def quantile(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    q: float = 0.5,
) -> Any:
    """
    Quantile (pinball) loss: q (t - z) where t > z, else (1 - q) (z - t).

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    q : float, default 0.5
        The quantile; > 0 and < 1.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    Quantile : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.quantile([0.0, 3.0], [1.0, 1.0], q=0.75)
    0.625
    """
    try:
        loss = _quantile(q)
    except TypeError:
        loss = Quantile(q)
    return loss._value(prediction, target, sample_weight, reduction)


def expectile(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    q: float = 0.5,
) -> Any:
    """
    Expectile loss: q r^2 where t > z, else (1 - q) r^2, with r = z - t.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    q : float, default 0.5
        The expectile; > 0 and < 1.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    Expectile : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.expectile([0.0, 3.0], [1.0, 1.0], q=0.75)
    0.875
    """
    try:
        loss = _expectile(q)
    except TypeError:
        loss = Expectile(q)
    return loss._value(prediction, target, sample_weight, reduction)


def epsilon_insensitive(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    epsilon: float = 0.1,
) -> Any:
    """
    Epsilon-insensitive loss, max(0, abs(z - t) - epsilon).

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    epsilon : float, default 0.1
        Half of the width of the margin; finite and >= 0.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    EpsilonInsensitive : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.epsilon_insensitive([0.25, 2.0], [0.0, 0.0], epsilon=0.5)
    0.75
    """
    try:
        loss = _epsilon_insensitive(epsilon)
    except TypeError:
        loss = EpsilonInsensitive(epsilon)
    return loss._value(prediction, target, sample_weight, reduction)


def squared_epsilon_insensitive(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    epsilon: float = 0.1,
) -> Any:
    """
    Squared epsilon-insensitive loss, max(0, abs(z - t) - epsilon)^2.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    epsilon : float, default 0.1
        Half of the width of the margin; finite and >= 0.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    SquaredEpsilonInsensitive : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.squared_epsilon_insensitive([0.25, 2.0], [0.0, 0.0], epsilon=0.5)
    1.125
    """
    try:
        loss = _squared_epsilon_insensitive(epsilon)
    except TypeError:
        loss = SquaredEpsilonInsensitive(epsilon)
    return loss._value(prediction, target, sample_weight, reduction)


def absolute_percentage_error(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    epsilon: float = 2.220446049250313e-16,
) -> Any:
    """
    Absolute percentage error, abs(z - t) / max(abs(t), epsilon).

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    epsilon : float, default 2.220446049250313e-16
        What stands in for smaller targets; finite and > 0.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    AbsolutePercentageError : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.absolute_percentage_error([1.0, 3.0], [2.0, 4.0])
    0.375
    """
    try:
        loss = _absolute_percentage_error(epsilon)
    except TypeError:
        loss = AbsolutePercentageError(epsilon)
    return loss._value(prediction, target, sample_weight, reduction)


def tukey(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    c: float = 4.685,
) -> Any:
    """
    Tukey's biweight, c^2 / 6 (1 - (1 - (r / c)^2)^3) of r = z - t, constant where abs(r) >= c.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    c : float, default 4.685
        The residual from which on targets are ignored; finite and > 0.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    Tukey : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.tukey([2.0, 9.0], [0.0, 0.0], c=2.0, reduction="none")
    array([0.66666667, 0.66666667])
    """
    try:
        loss = _tukey(c)
    except TypeError:
        loss = Tukey(c)
    return loss._value(prediction, target, sample_weight, reduction)


def barron(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    alpha: float = 1.0,
    c: float = 1.0,
) -> Any:
    """
    Barron's general loss, b / a ((1 + (r / c)^2 / b)^(a / 2) - 1) of r = z - t, a = alpha, b = abs(a - 2).

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    alpha : float, default 1.0
        The shape: the smaller, the less outliers pull; in [-100, 100].
    c : float, default 1.0
        The residual from which on the loss is no parabola any more; finite and > 0.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    Barron : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.barron([0.75], [0.0], alpha=1.0)
    0.25
    """
    try:
        loss = _barron(alpha, c)
    except TypeError:
        loss = Barron(alpha, c)
    return loss._value(prediction, target, sample_weight, reduction)


def squared_log_error(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Squared error of log(1 + z) and log(1 + t).

    Targets t are finite and >= 0.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    SquaredLogError : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.squared_log_error([1.0, 3.0], [3.0, 3.0]), 12)
    0.240226506959
    """
    return _SQUARED_LOG_ERROR._value(prediction, target, sample_weight, reduction)


# A function makes the loss of its parameters once; parameters without a hash (arrays) raise TypeError there.
_once = functools.lru_cache(maxsize=64, typed=True)
_SQUARED_ERROR = SquaredError()
_ABSOLUTE_ERROR = AbsoluteError()
_LOG_COSH = LogCosh()
_huber: Callable[..., Huber] = _once(Huber)
_smooth_l1: Callable[..., SmoothL1] = _once(SmoothL1)
_pseudo_huber: Callable[..., PseudoHuber] = _once(PseudoHuber)
_fair: Callable[..., Fair] = _once(Fair)
_cauchy: Callable[..., Cauchy] = _once(Cauchy)
_quantile: Callable[..., Quantile] = _once(Quantile)
_expectile: Callable[..., Expectile] = _once(Expectile)
_epsilon_insensitive: Callable[..., EpsilonInsensitive] = _once(EpsilonInsensitive)
_squared_epsilon_insensitive: Callable[..., SquaredEpsilonInsensitive] = _once(SquaredEpsilonInsensitive)
_absolute_percentage_error: Callable[..., AbsolutePercentageError] = _once(AbsolutePercentageError)
_tukey: Callable[..., Tukey] = _once(Tukey)
_barron: Callable[..., Barron] = _once(Barron)
_SQUARED_LOG_ERROR = SquaredLogError()
