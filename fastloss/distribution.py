"""Losses of positive targets on the log link: the raw score is the logarithm of the mean."""

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
    "Gamma",
    "InverseGaussian",
    "NegativeBinomial",
    "Poisson",
    "Tweedie",
    "gamma",
    "inverse_gaussian",
    "negative_binomial",
    "poisson",
    "tweedie",
]


class _LogLinkLoss(PointwiseLoss):
    """What the negative log-likelihoods of means exp(z) have in common: the constant exp(z) is the mean."""

    __slots__ = ()

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return the means that raw scores stand for: exp(z).

        Parameters
        ----------
        z : array_like
            Raw scores.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Poisson().inverse_link([0.0, 1.0])
        array([1.        , 2.71828183])
        """
        with np.errstate(over="ignore", under="ignore"):
            return _posterior.in_float64(z, np.exp)

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant score that minimises the loss: the logarithm of the weighted mean.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            If all targets that count are 0 the minimum lies at -inf; this gives log(2^-52) = -36.04 then.

        Raises
        ------
        ValueError
            If a target or weight is out of its range, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> round(fl.Poisson().init_score([0.0, 1.0, 5.0]), 12)
        0.69314718056
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        # The kernel knows which targets there are. It gets the user's array, to name a place in it.
        whole = _call.real_array(target, "target")
        self._value(np.zeros(whole.shape), whole, sample_weight, "sum")
        return _posterior.log_mean(t, w)


class Poisson(_LogLinkLoss):
    """
    Poisson loss on the log link, for counts and rates.

    With the mean exp(z) and a target t, finite and >= 0:

        value     exp(z) - t z
        gradient  exp(z) - t
        Hessian   exp(z)

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The raw score is the logarithm of
    the mean: `inverse_link` is exp.

    The loss is convex: ``curvature="psd"`` is the Hessian. ``curvature="majorize"`` gives the larger of m = exp(z) and
    (4 sqrt(m t) + m + t) / 6, which is no less than the logarithmic mean of m and t, the slope of the line from this
    gradient to the 0 at the minimum (Carlson 1972, https://doi.org/10.2307/2317088): a Newton step never passes the
    minimum. With the Hessian it does, far, where m is much smaller than t.

    The value leaves out the part that does not depend on z, log(t!), and may be negative. So do torch's PoissonNLLLoss
    with its defaults (log_input=True, full=False) and scikit-learn's HalfPoissonLoss. scikit-learn's
    mean_poisson_deviance, which takes exp(z), is twice the mean of loss + t log(t) - t. Keras takes exp(z) as well.
    XGBoost and LightGBM multiply the Hessian by exp(0.7).

    Measured error: value 1.5, gradient 1.4 ulp (float32); 3.9, 6.2 (float64), beyond half an ulp of the input.

    References
    ----------
    P. McCullagh, J. A. Nelder, "Generalized linear models", 2nd ed. (1989), https://doi.org/10.1201/9780203753736

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Poisson()
    >>> loss([0.0, 1.0], [2.0, 0.0], reduction="none")
    array([1.        , 2.71828183])
    >>> loss.gradient([0.0, 1.0], [2.0, 0.0], reduction="sum")
    array([-1.        ,  2.71828183])
    """

    __slots__ = ()
    traits = Traits("log", boosting="majorize", fisher="exact")

    def __init__(self) -> None:
        super().__init__("poisson", {}, ())


class Gamma(_LogLinkLoss):
    """
    Gamma loss on the log link, for positive targets whose spread grows with their mean.

    With the mean exp(z) and a target t, finite and > 0:

        value     z + t exp(-z)
        gradient  1 - t exp(-z)
        Hessian   t exp(-z)

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The raw score is the logarithm of
    the mean: `inverse_link` is exp.

    The loss is convex: ``curvature="psd"`` is the Hessian. ``curvature="majorize"`` gives max(1, t exp(-z)), at least
    the slope of the line from this gradient to the 0 at the minimum, so a Newton step never passes the minimum; with
    the Hessian it does, far, where exp(z) is much larger than t.

    The value leaves out the part that does not depend on z and may be negative, as scikit-learn's HalfGammaLoss does.
    scikit-learn's mean_gamma_deviance, which takes exp(z), is twice the mean of loss - log(t) - 1. XGBoost and LightGBM
    have the same gradient and Hessian.

    Measured error: value 1.5, gradient 1.6 ulp (float32); 5.0, 3.6 (float64), beyond half an ulp of the input.

    References
    ----------
    P. McCullagh, J. A. Nelder, "Generalized linear models", 2nd ed. (1989), https://doi.org/10.1201/9780203753736

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Gamma()
    >>> loss([0.0, 1.0], [2.0, 1.0], reduction="none")
    array([2.        , 1.36787944])
    >>> loss.gradient([0.0, 1.0], [2.0, 1.0], reduction="sum")
    array([-1.        ,  0.63212056])
    """

    __slots__ = ()
    traits = Traits("log", boosting="majorize", fisher="own")

    def __init__(self) -> None:
        super().__init__("gamma", {}, ())


class Tweedie(_LogLinkLoss):
    """
    Tweedie loss on the log link, for amounts of which many are exactly 0, as insurance claims.

    With P = `power`, the mean exp(z) and a target t, finite and >= 0:

        value     exp((2 - P) z) / (2 - P) - t exp((1 - P) z) / (1 - P)
        gradient  exp((2 - P) z) - t exp((1 - P) z)
        Hessian   (2 - P) exp((2 - P) z) - (1 - P) t exp((1 - P) z)

    Parameters
    ----------
    power : float, default 1.5
        The variance is proportional to this power of the mean; > 1 and < 2. 1 would be `Poisson`, 2 `Gamma`.

    Raises
    ------
    TypeError
        If `power` is not a real number.
    ValueError
        If `power` is not in (1, 2).

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The raw score is the logarithm of
    the mean: `inverse_link` is exp.

    The loss is convex: ``curvature="psd"`` is the Hessian. ``curvature="majorize"`` gives the larger of the two terms
    of the gradient, at least the slope of the line from this gradient to the 0 at the minimum, so a Newton step never
    passes the minimum.

    The value leaves out the part that does not depend on z, as scikit-learn's HalfTweedieLoss does. scikit-learn's
    mean_tweedie_deviance, which takes exp(z), is twice the mean of loss + t^(2 - P) / ((1 - P) (2 - P)). `power` is
    XGBoost's and LightGBM's tweedie_variance_power and CatBoost's variance_power.

    Measured error: value 2.1, gradient 4.2 ulp (float32); 2.3, 13.7 (float64), beyond half an ulp of the input.

    References
    ----------
    B. Jørgensen, "Exponential dispersion models", J. R. Statist. Soc. B 49 (1987),
    https://doi.org/10.1111/j.2517-6161.1987.tb01685.x

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Tweedie(power=1.5)
    >>> loss([0.0, 2.0], [0.0, 1.0], reduction="none")
    array([2.        , 6.17232254])
    >>> loss.gradient([0.0, 2.0], [0.0, 1.0], reduction="sum")
    array([1.        , 2.35040239])
    """

    __slots__ = ()
    traits = Traits("log", boosting="majorize", fisher="own")
    power: float

    def __init__(self, power: float = 1.5) -> None:
        power = _parameters.real("power", power, "in (1, 2)")
        super().__init__("tweedie", {"power": power}, (power,))


class InverseGaussian(_LogLinkLoss):
    """
    Inverse Gaussian loss on the log link, for positive targets with a heavy tail: the variance grows as the mean cubed.

    With the mean exp(z) and a target t, finite and > 0:

        value     t exp(-2 z) / 2 - exp(-z)
        gradient  exp(-z) - t exp(-2 z)
        Hessian   2 t exp(-2 z) - exp(-z)

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The raw score is the logarithm of
    the mean: `inverse_link` is exp.

    The loss is not convex: where the mean is more than twice the target the Hessian is negative. ``"psd"`` and
    ``"majorize"`` as `curvature` give exp(-z) max(1, 2 t exp(-z) - 1), at least the Hessian and at least the slope of
    the line from this gradient to the 0 at the minimum, so a Newton step never passes the minimum.

    The value leaves out the part that does not depend on z, as `Gamma` and `Tweedie` do, of which it would be power 3.
    scikit-learn's mean_tweedie_deviance(power=3), which takes exp(z), is twice the mean of loss + 1 / (2 t).

    Measured error: value 2.4, gradient 2.2 ulp (float32); 4.0, 6.2 (float64), beyond half an ulp of the input.

    References
    ----------
    M. C. K. Tweedie, "Statistical properties of inverse Gaussian distributions I", Ann. Math. Statist. 28 (1957),
    https://doi.org/10.1214/aoms/1177706964

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.InverseGaussian()
    >>> loss([0.0, 0.0], [2.0, 1.0], reduction="none")
    array([ 0. , -0.5])
    >>> loss.gradient([0.0, 0.0], [2.0, 1.0], reduction="sum")
    array([-1.,  0.])
    """

    __slots__ = ()
    traits = Traits("log", boosting="majorize", fisher="own")

    def __init__(self) -> None:
        super().__init__("inverse_gaussian", {}, ())


class NegativeBinomial(_LogLinkLoss):
    """
    Negative binomial loss on the log link, for counts that are spread more than Poisson's.

    With a = `dispersion`, the mean m = exp(z), the variance m + a m^2 and a target t, finite and >= 0:

        value     log(1 + a m) / a + t log(1 + 1 / (a m))
        gradient  (m - t) / (1 + a m)
        Hessian   m (1 + a t) / (1 + a m)^2

    Parameters
    ----------
    dispersion : float, default 1.0
        The part of the variance that grows as the mean squared; in [1e-12, 1e12]. The smaller, the nearer to `Poisson`.

    Raises
    ------
    TypeError
        If `dispersion` is not a real number.
    ValueError
        If `dispersion` is not in [1e-12, 1e12].

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The raw score is the logarithm of
    the mean: `inverse_link` is exp.

    The loss is convex: ``curvature="psd"`` is the Hessian. ``curvature="majorize"`` gives the larger of it
    and of what `Poisson` has, (4 sqrt(m t) + m + t) / 6, over 1 + a m: a Newton step never passes the minimum.

    The value is the negative log-likelihood without the part that does not depend on z,
    log(gamma(1 / a) t! / gamma(t + 1 / a)), as `Poisson` leaves out log(t!). statsmodels' NegativeBinomial family has
    the same `alpha`; SciPy's nbinom takes n = 1 / a and p = 1 / (1 + a m).

    Measured error: value 2.8, gradient 2.7 ulp (float32); 2.9, 6.7 (float64), beyond half an ulp of the input.

    References
    ----------
    J. M. Hilbe, "Negative binomial regression", 2nd ed. (2011), https://doi.org/10.1017/CBO9780511973420

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.NegativeBinomial(dispersion=0.5)
    >>> loss([0.0, 1.0], [2.0, 0.0], reduction="none")
    array([3.00815479, 1.71659507])
    >>> loss.gradient([0.0, 1.0], [2.0, 0.0], reduction="sum")
    array([-0.66666667,  1.15223377])
    """

    __slots__ = ()
    traits = Traits("log", boosting="majorize", fisher="own")
    dispersion: float

    def __init__(self, dispersion: float = 1.0) -> None:
        dispersion = _parameters.real("dispersion", dispersion, "in [1e-12, 1e12]")
        super().__init__("negative_binomial", {"dispersion": dispersion}, (dispersion, math.log(dispersion)))


def poisson(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Poisson loss on the log link, exp(z) - t z.

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
    Poisson : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.poisson([0.0, 0.0], [2.0, 0.0])
    1.0
    """
    return _POISSON._value(prediction, target, sample_weight, reduction)


def gamma(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Gamma loss on the log link, z + t exp(-z).

    Targets t are finite and > 0.

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
    Gamma : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.gamma([0.0, 0.0], [2.0, 1.0])
    1.5
    """
    return _GAMMA._value(prediction, target, sample_weight, reduction)


def tweedie(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    power: float = 1.5,
) -> Any:
    """
    Tweedie loss on the log link, exp((2 - P) z) / (2 - P) - t exp((1 - P) z) / (1 - P) with P = `power`.

    Targets t are finite and >= 0.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    power : float, default 1.5
        The variance is proportional to this power of the mean; > 1 and < 2.

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
    Tweedie : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.tweedie([0.0, 0.0], [0.0, 1.0], power=1.5)
    3.0
    """
    try:
        loss = _tweedie(power)
    except TypeError:
        loss = Tweedie(power)
    return loss._value(prediction, target, sample_weight, reduction)


def inverse_gaussian(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Inverse Gaussian loss on the log link, t exp(-2 z) / 2 - exp(-z).

    Targets t are finite and > 0.

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
    InverseGaussian : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.inverse_gaussian([0.0, 0.0], [2.0, 1.0])
    -0.25
    """
    return _INVERSE_GAUSSIAN._value(prediction, target, sample_weight, reduction)


def negative_binomial(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    dispersion: float = 1.0,
) -> Any:
    """
    Negative binomial loss on the log link, log(1 + a m) / a + t log(1 + 1 / (a m)) with a = `dispersion`, m = exp(z).

    Targets t are finite and >= 0.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    dispersion : float, default 1.0
        The part of the variance that grows as the mean squared; in [1e-12, 1e12].

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
    NegativeBinomial : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.negative_binomial([0.0, 0.0], [2.0, 0.0], dispersion=1.0), 12)
    1.38629436112
    """
    try:
        loss = _negative_binomial(dispersion)
    except TypeError:
        loss = NegativeBinomial(dispersion)
    return loss._value(prediction, target, sample_weight, reduction)


# A function makes the loss of its parameters once; parameters without a hash (arrays) raise TypeError there.
_POISSON = Poisson()
_GAMMA = Gamma()
_INVERSE_GAUSSIAN = InverseGaussian()
_once = functools.lru_cache(maxsize=64, typed=True)
_tweedie: Callable[..., Tweedie] = _once(Tweedie)
_negative_binomial: Callable[..., NegativeBinomial] = _once(NegativeBinomial)
