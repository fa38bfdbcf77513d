"""Losses of several numbers a row: the parameters of a distribution of the target.

The prediction has one axis more than the target, with the columns of the loss along `axis`: a location and the
logarithm of a scale, say. The value is the full negative logarithm of the density, constants included, or a score of
it, so that it compares across distributions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call, _parameters, _posterior
from ._kernels import ColumnLoss
from ._traits import Traits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Reduction

__all__ = [
    "BetaNLL",
    "GammaNLL",
    "GaussianCRPS",
    "GaussianNLL",
    "LaplaceNLL",
    "LogNormalCRPS",
    "LogNormalNLL",
    "LogisticNLL",
    "NegativeBinomialNLL",
    "Quantiles",
    "StudentTNLL",
    "WeibullNLL",
    "ZeroInflatedPoissonNLL",
    "beta_nll",
    "gamma_nll",
    "gaussian_crps",
    "gaussian_nll",
    "laplace_nll",
    "log_normal_crps",
    "log_normal_nll",
    "logistic_nll",
    "negative_binomial_nll",
    "quantiles",
    "student_t_nll",
    "weibull_nll",
    "zero_inflated_poisson_nll",
]


class _DistributionLoss(ColumnLoss):
    """What the losses of a distribution's parameters have in common."""

    __slots__ = ()
    traits = Traits("columns", boosting="fisher", fisher="own")
    columns: Any = ()
    # The parameters that a user knows, as `inverse_link` gives them: raw scores as they are, or exp of them.
    _is_logarithm: Any = ()

    def inverse_link(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the parameters that raw scores stand for.

        Parameters
        ----------
        z : array_like
            Raw scores, with the loss's columns along `axis`.
        axis : int

        Returns
        -------
        ndarray
            In the shape and dtype of `z`: the scores themselves, and exp of those that are logarithms.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.GaussianNLL().inverse_link([[1.0, 0.0]])
        array([[1., 1.]])
        """

        def parameters(wide: np.ndarray) -> np.ndarray:
            if wide.shape[-1] != len(self.columns):
                raise ValueError(
                    f"z must hold {len(self.columns)} numbers a row ({', '.join(self.columns)}), got {wide.shape[-1]}"
                )
            with np.errstate(over="ignore", under="ignore"):
                return self._parameters_of(wide)

        return _posterior.in_float64(z, parameters, axis)

    def _parameters_of(self, z: np.ndarray) -> np.ndarray:
        return np.where(self._is_logarithm, np.exp(z), z)

    def distribution(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the distributions that raw scores stand for, as SciPy has them; it is imported here.

        Parameters
        ----------
        z : array_like
            Raw scores, with the loss's columns along `axis`.
        axis : int

        Returns
        -------
        scipy.stats.rv_frozen
            One distribution for each row.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.GaussianNLL().distribution([[1.0, 0.0]]).mean()
        array([1.])
        """
        from scipy import stats

        parameters = self.inverse_link(np.asarray(z, dtype=np.float64), axis)
        return self._of_scipy(stats, *np.moveaxis(parameters, axis, 0))

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        raise NotImplementedError

    def mean(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the means of the distributions that raw scores stand for.

        Parameters
        ----------
        z : array_like
            Raw scores, with the loss's columns along `axis`.
        axis : int

        Returns
        -------
        ndarray
            One number for each row.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.GaussianNLL().mean([[1.0, 0.0]])
        array([1.])
        """
        return self.distribution(z, axis).mean()

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> np.ndarray:
        """
        Return the raw scores, one for each column, that minimise the loss if all rows have the same.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        ndarray of shape (P,)
            Of targets that are all the same, the scale of least loss is 0; this gives a scale of 2^-52 of them then.

        Raises
        ------
        ValueError
            If a target or weight is out of its range, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.GaussianNLL().init_score([-1.0, 1.0])
        array([0., 0.])
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        # The kernel knows which targets there are. It gets the user's array, to name a place in it.
        whole = _call.real_array(target, "target")
        self._value(np.zeros((*whole.shape, len(self.columns))), whole, -1, sample_weight, "sum")
        return self._best(t, w / w.sum())

    def _start(self, t: np.ndarray, w: np.ndarray) -> tuple[float, ...]:
        """Return scores near the best ones; `w` sums to 1."""
        raise NotImplementedError

    def _best(self, t: np.ndarray, w: np.ndarray) -> np.ndarray:
        """Return the best scores; `w` sums to 1."""
        return best_constant(self, np.array(self._start(t, w)), t, w)


def levels_of(q: ArrayLike) -> np.ndarray:
    """Return the levels of quantiles, checked."""
    levels = _call.operand(q, "q").astype(np.float64)
    if levels.ndim != 1 or not len(levels):
        raise ValueError(f"q must hold levels, of shape (Q,) with Q >= 1; got shape {levels.shape}")
    outside = ~((levels > 0) & (levels < 1))
    if outside.any():
        _call.raise_first("q", levels, outside, "must lie in (0, 1)")
    return levels


def quantiles_of(distribution: Any, q: ArrayLike) -> np.ndarray:
    """Return the quantiles of SciPy's distributions of rows, a column for each level."""
    return np.stack([distribution.ppf(level) for level in levels_of(q)], axis=1)


def best_constant(loss: Any, z: np.ndarray, t: np.ndarray, w: np.ndarray) -> np.ndarray:
    """
    Return the scores that are best for all rows, from `z` on by Newton's method.

    With the Hessian of the mean or, where that is not positive definite, the diagonal of psd.
    """
    if not np.isfinite(z).all() or np.ptp(t) == 0:
        return z

    def evaluate(z: np.ndarray) -> tuple[float, np.ndarray]:
        rows = np.broadcast_to(z, (*t.shape, len(z)))
        value, gradient = loss.value_and_gradient(rows, t, sample_weight=w, reduction="sum")
        return value, gradient.sum(axis=0)

    value, gradient = evaluate(z)
    for _ in range(100):
        rows = np.broadcast_to(z, (*t.shape, len(z)))
        packed = loss.packed_hessian(rows, t, sample_weight=w, reduction="sum").sum(axis=0)
        _, diagonal = loss.gradient_and_hessian(rows, t, sample_weight=w, reduction="sum", curvature="psd")
        hessian = np.zeros((len(z), len(z)))
        hessian[np.triu_indices(len(z))] = packed
        hessian = np.triu(hessian) + np.triu(hessian, 1).T
        try:
            np.linalg.cholesky(hessian)
            step = -np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            step = -gradient / diagonal.sum(axis=0)
        if not -(gradient @ step) > 1e-15 * (1.0 + abs(value)):
            break
        share = 1.0
        while share > 2.0**-40:
            there = z + share * step
            there_value, there_gradient = evaluate(there)
            if there_value <= value + 1e-4 * share * float(gradient @ step) + 1e-16 * abs(value):
                break
            share /= 2.0
        else:
            break
        z, value, gradient = there, there_value, there_gradient
    return z


def _log_of_spread(spread: float, size: float) -> float:
    """Return its logarithm, finite also when it is 0."""
    return math.log(max(spread, _posterior.SMALLEST_SHARE * abs(size), float(np.finfo(np.float64).tiny)))


def _location_and_log_scale(t: np.ndarray, w: np.ndarray) -> tuple[float, float]:
    mean = _posterior.weighted_mean(t, w)
    return mean, _log_of_spread(math.sqrt(_posterior.weighted_mean((t - mean) ** 2, w)), mean)


class _LocationScaleLoss(_DistributionLoss):
    """The columns are a location and the logarithm of a scale."""

    __slots__ = ()
    _is_logarithm: Any = (False, True)

    def _start(self, t: np.ndarray, w: np.ndarray) -> tuple[float, ...]:
        return _location_and_log_scale(t, w)


class _OfLogarithmLoss(_LocationScaleLoss):
    """The same of the logarithm of the target."""

    __slots__ = ()

    def _start(self, t: np.ndarray, w: np.ndarray) -> tuple[float, float]:
        return _location_and_log_scale(np.log(t), w)


class GaussianNLL(_LocationScaleLoss):
    """
    Negative log-likelihood of a normal distribution, of its mean and the logarithm of its standard deviation.

    With the mean m and the log of the scale s = z[0], z[1], r = (t - m) exp(-s) and a target t:

        value     s + r^2 / 2 + log(2 pi) / 2
        gradient  -r exp(-s), 1 - r^2
        Hessian   exp(-2 s), 2 r^2; beside the diagonal 2 r exp(-s)
        Fisher    exp(-2 s), 2

    Notes
    -----
    The loss is not convex. ``curvature="fisher"`` gives the expectation of the Hessian over targets from the
    distribution itself, the metric of the natural gradient. ``"psd"`` takes 1 + r^2 for s, the mean of the exact
    curvature and its expectation: a Newton step of s alone never passes the minimum. ``"majorize"`` takes r^2 + max(1,
    r^2), nowhere below the exact one.

    torch's GaussianNLLLoss takes the variance, not the logarithm of its root, and leaves out log(2 pi) / 2 unless
    full=True. CatBoost's RMSEWithUncertainty has the same parameters.

    References
    ----------
    D. A. Nix, A. S. Weigend, "Estimating the mean and variance of the target probability distribution" (1994),
    https://doi.org/10.1109/ICNN.1994.374138

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.GaussianNLL()
    >>> loss([[0.0, 0.0]], [2.0], reduction="none")
    array([2.91893853])
    >>> gradient, hessian = loss.gradient_and_hessian([[0.0, 0.0]], [2.0], curvature="fisher")
    >>> gradient, hessian
    (array([[-2., -3.]]), array([[1., 2.]]))
    """

    __slots__ = ()
    columns = ("mean", "log of the scale")

    def __init__(self) -> None:
        super().__init__("gaussian_nll", {}, ())

    def _best(self, t: np.ndarray, w: np.ndarray) -> np.ndarray:
        return np.array(self._start(t, w))

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        return stats.norm(*parameters)


class LaplaceNLL(_LocationScaleLoss):
    """
    Negative log-likelihood of a Laplace distribution, of its median and the logarithm of its scale.

    With the median m and the log of the scale s = z[0], z[1], r = abs(t - m) exp(-s) and a target t:

        value     s + r + log(2)
        gradient  sign(m - t) exp(-s), 1 - r
        Hessian   0, r; beside the diagonal -sign(m - t) exp(-s)
        Fisher    exp(-2 s), 1

    Notes
    -----
    Where t = m the gradient of m is 0. ``curvature="psd"`` takes the expected curvature of m, for it has none of its
    own, and (1 + r) / 2 for s, the mean of the exact one and its expectation: a Newton step of s alone never passes the
    minimum. ``"majorize"`` takes exp(-s) / abs(t - m) for m, of the parabola above, and the larger of psd and exact for
    s.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.LaplaceNLL()
    >>> loss([[0.0, 0.0]], [2.0], reduction="none")
    array([2.69314718])
    >>> loss.gradient([[0.0, 0.0]], [2.0])
    array([[-1., -1.]])
    """

    __slots__ = ()
    traits = Traits("columns", has_kinks=True, boosting="fisher", fisher="own")
    columns = ("median", "log of the scale")

    def __init__(self) -> None:
        super().__init__("laplace_nll", {}, ())

    def _best(self, t: np.ndarray, w: np.ndarray) -> np.ndarray:
        median = _posterior.weighted_median(t, w)
        return np.array([median, _log_of_spread(_posterior.weighted_mean(np.abs(t - median), w), median)])

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        return stats.laplace(*parameters)


class LogisticNLL(_LocationScaleLoss):
    """
    Negative log-likelihood of a logistic distribution, of its location and the logarithm of its scale.

    With the location m and the log of the scale s = z[0], z[1], r = (t - m) exp(-s), v = tanh(r / 2) and a target t:

        value     s + abs(r) + 2 log(1 + exp(-abs(r)))
        gradient  -v exp(-s), 1 - r v
        Hessian   (1 - v^2) exp(-2 s) / 2, r v + r^2 (1 - v^2) / 2
        Fisher    exp(-2 s) / 3, (3 + pi^2) / 9

    Notes
    -----
    ``curvature="psd"`` and ``"majorize"`` take v / r exp(-2 s) for m, of the parabola above. For s psd is the mean of
    the exact curvature and its expectation, majorize the larger of psd and exact: a Newton step of one column never
    raises the value.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.LogisticNLL()
    >>> loss([[0.0, 0.0]], [0.0], reduction="none")
    array([1.38629436])
    >>> loss.gradient([[0.0, 0.0]], [2.0])
    array([[-0.76159416, -0.52318831]])
    """

    __slots__ = ()
    columns = ("location", "log of the scale")

    def __init__(self) -> None:
        super().__init__("logistic_nll", {}, ())

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        return stats.logistic(*parameters)


class StudentTNLL(_LocationScaleLoss):
    """
    Negative log-likelihood of Student's t distribution, of its location and the logarithm of its scale: robust.

    With v = `df`, the location m and the log of the scale s = z[0], z[1], r = (t - m) exp(-s), w = (v + 1) / (v + r^2)
    and a target t:

        value     s + (v + 1) / 2 log(1 + r^2 / v) + log(gamma(v / 2) sqrt(pi v) / gamma((v + 1) / 2))
        gradient  -w r exp(-s), 1 - w r^2
        Hessian   w (v - r^2) / (v + r^2) exp(-2 s), 2 v w r^2 / (v + r^2)
        Fisher    (v + 1) / (v + 3) exp(-2 s), 2 v / (v + 3)

    With ``df=None`` v = exp(z[2]) is fitted, too. With p = r^2 / (v + r^2), D = log(1 + r^2 / v) - p and A =
    log(gamma(v / 2) sqrt(v) / gamma((v + 1) / 2)), whose derivatives by log(v) are A' and A'', the third column has

        gradient  (v D - p) / 2 + A'
        Hessian   (v D - v p^2 + p (1 - p)) / 2 + A''
        Fisher    (3 - v) / (2 (v + 1) (v + 3)) + A'' - A'

    Parameters
    ----------
    df : float or None, default 5.0
        Degrees of freedom, the fewer the heavier the tails; finite and > 0. None: a third column, their logarithm.

    Raises
    ------
    TypeError
        If `df` is neither a real number nor None.
    ValueError
        If `df` is not finite and > 0.

    Notes
    -----
    ``curvature="psd"`` and ``"majorize"`` take w exp(-2 s) for m, of the parabola above. For s psd is the mean of the
    exact curvature and its expectation, majorize the parabola above, too: a Newton step of one column never raises the
    value. For log(v) psd is the larger of exact and Fisher, and abs(gradient) besides, so that no step is longer
    than 1: both are next to nothing where v is large. majorize is the larger of exact and 0.0332 r^2 + 0.325.

    References
    ----------
    K. L. Lange, R. J. A. Little, J. M. G. Taylor, "Robust statistical modeling using the t distribution", J. Am. Stat.
    Assoc. 84 (1989), https://doi.org/10.1080/01621459.1989.10478852

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.StudentTNLL(df=1.0)
    >>> loss([[0.0, 0.0]], [1.0], reduction="none")
    array([1.83787707])
    >>> loss.gradient([[0.0, 0.0]], [3.0])
    array([[-0.6, -0.8]])
    """

    __slots__ = ()
    # Where df is large, the natural gradient of its logarithm is next to nothing.
    traits = Traits("columns", boosting="majorize", fisher="own")
    name = "student_t_nll"

    def __init__(self, df: float | None = 5.0) -> None:
        if df is None:
            super().__init__("free_student_t_nll", {"df": None}, ())
            return
        df = _parameters.real("df", df, "> 0")
        super().__init__("student_t_nll", {"df": df}, (df, math.sqrt(df), _log_beta_of_t(df)))

    @property
    def columns(self) -> tuple[str, ...]:
        """One name for each column."""
        names = ("location", "log of the scale")
        return names if self.parameters["df"] is not None else (*names, "log of df")

    @property
    def _is_logarithm(self) -> Any:
        return (False, True, True)[: len(self.columns)]

    def _start(self, t: np.ndarray, w: np.ndarray) -> tuple[float, ...]:
        median = _posterior.weighted_median(t, w)
        start = median, _log_of_spread(_posterior.weighted_median(np.abs(t - median), w), median)
        return start if self.parameters["df"] is not None else (*start, math.log(5.0))

    def mean(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the locations, which are the means where there are any: of more than one degree of freedom.

        Parameters
        ----------
        z : array_like
            Raw scores, with the loss's columns along `axis`.
        axis : int

        Returns
        -------
        ndarray
            One number for each row.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.StudentTNLL(df=1.0).mean([[2.0, 0.0]])
        array([2.])
        """
        return np.take(self.inverse_link(z, axis), 0, axis=axis)

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        if self.parameters["df"] is None:
            location, scale, df = parameters
            return stats.t(df, location, scale)
        return stats.t(self.parameters["df"], *parameters)


class LogNormalNLL(_OfLogarithmLoss):
    """
    Negative log-likelihood of a log-normal distribution, of the mean and the log of the standard deviation of log(t).

    `GaussianNLL` of log(t), and log(t); targets t are finite and > 0.

    Notes
    -----
    Derivatives and curvatures are those of `GaussianNLL` at log(t). SciPy's lognorm has s = the scale and scale =
    exp(m).

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.LogNormalNLL()
    >>> loss([[0.0, 0.0]], [1.0], reduction="none")
    array([0.91893853])
    >>> loss.gradient([[1.0, 0.0]], [1.0])
    array([[1., 0.]])
    """

    __slots__ = ()
    columns = ("mean of log t", "log of the scale of log t")

    def __init__(self) -> None:
        super().__init__("log_normal_nll", {}, ())

    def _best(self, t: np.ndarray, w: np.ndarray) -> np.ndarray:
        return np.array(self._start(t, w))

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        return stats.lognorm(parameters[1], scale=np.exp(parameters[0]))


class GammaNLL(_DistributionLoss):
    """
    Negative log-likelihood of a gamma distribution, of the logarithms of its mean and of its shape.

    With u = z[0], the shape a = exp(z[1]), x = t exp(-u) and a target t, finite and > 0:

        value     log(gamma(a)) - a log(a) + a + a (x - 1 - log(x)) + log(t)
        gradient  a (1 - x), a (psi(a) - log(a) + x - 1 - log(x))
        Hessian   a x, the gradient of z[1] and a (a psi'(a) - 1); beside the diagonal a (1 - x)
        Fisher    a, a (a psi'(a) - 1)

    Notes
    -----
    Unlike `Gamma`, which has the mean alone. ``curvature="psd"`` takes a (1 + x) / 2 for u: a Newton step of u alone
    never passes the minimum; for z[1] the mean of the exact curvature and its expectation. ``"majorize"`` takes the
    larger of psd and exact. SciPy's gamma has a = the shape and scale = mean / shape.

    References
    ----------
    P. McCullagh, J. A. Nelder, "Generalized linear models", 2nd ed. (1989), https://doi.org/10.1201/9780203753736

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.GammaNLL()
    >>> loss([[0.0, 0.0]], [2.0], reduction="none")
    array([2.])
    >>> loss.gradient([[0.0, 0.0]], [2.0])
    array([[-1.        , -0.27036285]])
    """

    __slots__ = ()
    columns = ("log of the mean", "log of the shape")
    _is_logarithm = (True, True)

    def __init__(self) -> None:
        super().__init__("gamma_nll", {}, ())

    def _start(self, t: np.ndarray, w: np.ndarray) -> tuple[float, float]:
        # log(mean) - mean of log is about 1 / (2 shape)
        log_mean = _posterior.log_mean(t, w)
        gap = log_mean - _posterior.weighted_mean(np.log(t), w)
        return log_mean, -math.log(2.0 * max(gap, _posterior.SMALLEST_SHARE))

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        mean, shape = parameters
        return stats.gamma(shape, scale=mean / shape)


class WeibullNLL(_DistributionLoss):
    """
    Negative log-likelihood of a Weibull distribution, of the logarithms of its scale and of its shape.

    With the shape k = exp(z[1]), u = k (log(t) - z[0]), x = exp(u) and a target t, finite and > 0:

        value     log(t) - z[1] - u + x
        gradient  k (1 - x), u x - u - 1
        Hessian   k^2 x, u (x - 1) + u^2 x; beside the diagonal k (1 - x - u x)
        Fisher    k^2, (1 - c)^2 + pi^2 / 6; beside the diagonal (c - 1) k, with Euler's c = 0.5772

    Notes
    -----
    ``curvature="psd"`` takes k^2 (1 + x) / 2 for z[0]: a Newton step of it alone never passes the minimum; for z[1] the
    mean of the exact curvature and its expectation. ``"majorize"`` takes the larger of psd and exact. SciPy's
    weibull_min has c = k.

    References
    ----------
    W. Weibull, "A statistical distribution function of wide applicability", J. Appl. Mech. 18 (1951),
    https://doi.org/10.1115/1.4010337

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.WeibullNLL()
    >>> loss([[0.0, 0.0]], [2.0], reduction="none")
    array([2.])
    >>> loss.gradient([[0.0, 0.0]], [2.0])
    array([[-1.        , -0.30685282]])
    """

    __slots__ = ()
    columns = ("log of the scale", "log of the shape")
    _is_logarithm = (True, True)

    def __init__(self) -> None:
        super().__init__("weibull_nll", {}, ())

    def _start(self, t: np.ndarray, w: np.ndarray) -> tuple[float, float]:
        # The logarithm has the standard deviation pi / sqrt(6) / shape, and the mean log(scale) - euler / shape.
        mean, log_spread = _location_and_log_scale(np.log(t), w)
        log_shape = math.log(math.pi / math.sqrt(6.0)) - log_spread
        return mean + 0.5772156649015329 * math.exp(-log_shape), log_shape

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        scale, shape = parameters
        return stats.weibull_min(shape, scale=scale)


class ZeroInflatedPoissonNLL(_DistributionLoss):
    """
    Negative log-likelihood of counts that are 0 more often than Poisson's.

    With the mean m = exp(z[0]), the share s = sigmoid(z[1]) of extra zeros, w = z[1] + m and a target t, finite and >=
    0:

        value     -log(s + (1 - s) exp(-m)) of t = 0, else m - t z[0] + log(t!) - log(1 - s)
        gradient  m sigmoid(-w), s - sigmoid(w) of t = 0, else m - t, s
        Hessian   m sigmoid(-w) (1 - m sigmoid(w)), s (1 - s) - sigmoid(w) sigmoid(-w) of t = 0, else m, s (1 - s)

    Notes
    -----
    ``curvature="fisher"`` gives the expectation of the Hessian under the distribution itself. ``"psd"`` takes m of
    z[0], or m sigmoid(-w) where t = 0, and s (1 - s) of z[1]: what of the Hessian is never negative. ``"majorize"``
    takes max(m, t) of z[0], as `Poisson` does, and of z[1] the parabola above: a Newton step of one column never raises
    the value.

    The mean of the counts is (1 - s) m.

    References
    ----------
    D. Lambert, "Zero-inflated Poisson regression, with an application to defects in manufacturing", Technometrics 34
    (1992), https://doi.org/10.2307/1269547

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.ZeroInflatedPoissonNLL()
    >>> loss([[0.0, 0.0], [0.0, 0.0]], [0.0, 1.0], reduction="none")
    array([0.37988549, 1.69314718])
    >>> loss.gradient([[0.0, 0.0]], [1.0])
    array([[0. , 0.5]])
    """

    __slots__ = ()
    columns = ("log of the mean", "logit of the share of extra zeros")

    def __init__(self) -> None:
        super().__init__("zero_inflated_poisson_nll", {}, ())

    def _parameters_of(self, z: np.ndarray) -> np.ndarray:
        return np.stack([np.exp(z[..., 0]), np.exp(-np.logaddexp(0.0, -z[..., 1]))], axis=-1)

    def _start(self, t: np.ndarray, w: np.ndarray) -> tuple[float, float]:
        zeros, log_mean = float(np.sum(w[t == 0])), _posterior.log_mean(t, w)
        # what of the zeros Poisson's distribution of the other counts does not explain
        mean = math.exp(log_mean) / max(1.0 - zeros, _posterior.SMALLEST_SHARE)
        extra = min(max(zeros - math.exp(-mean), 1e-3), 0.999)
        return log_mean - math.log1p(-extra), math.log(extra) - math.log1p(-extra)

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        return _zero_inflated_poisson()(*parameters)


class NegativeBinomialNLL(_DistributionLoss):
    """
    Negative log-likelihood of a negative binomial distribution, of the logarithms of its mean and of its dispersion.

    With the mean m = exp(z[0]), the dispersion a = exp(z[1]), q = 1 / a, the variance m + a m^2 and a target t, finite
    and >= 0:

        value     log(gamma(q) t! / gamma(t + q)) + q log(1 + a m) + t log(1 + 1 / (a m))
        gradient  g0 = (m - t) / (1 + a m), q (psi(t + q) - psi(q) - log(1 + a m)) + g0
        Hessian   m (1 + a t) / (1 + a m)^2, q^2 (psi'(q) - psi'(t + q)) - a g0^2 / (1 + a t) - g1 and terms that cancel
        Fisher    m / (1 + a m), q^2 (psi'(q) - E psi'(t + q)) - m / (1 + a m)

    Notes
    -----
    `NegativeBinomial` has the mean alone. ``curvature="fisher"`` of z[1] is an integral, by a quadrature of twelve
    points: its relative error is below 1e-5 up to a dispersion of 1, below 1e-3 to 2 and below 2e-2 to 10. ``"psd"`` of
    z[1] is the larger of the exact curvature and the first term of that integral's series, p^2 / (2 (1 + a)) of
    p = a m / (1 + a m), and abs(g1) besides, so that no Newton step of z[1] is longer than 1: where the dispersion is
    next to 0 the expected curvature is next to nothing, too. ``"majorize"`` takes the parabolas above
    (q + t) log(1 + a m) of z[0] and above t log(1 + a m) of z[1], and 0.0663 m for q log(1 + a m): a Newton step of one
    column never raises the value.

    Beyond dispersions of exp(-300) and exp(300) (float32: exp(-40), exp(40)) the loss does not change any more. SciPy's
    nbinom has n = q and p = 1 / (1 + a m), statsmodels' NegativeBinomial the same `alpha` = a.

    References
    ----------
    J. M. Hilbe, "Negative binomial regression", 2nd ed. (2011), https://doi.org/10.1017/CBO9780511973420
    R. A. Fisher, "The negative binomial distribution", Ann. Eugenics 11 (1941),
    https://doi.org/10.1111/j.1469-1809.1941.tb02284.x

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.NegativeBinomialNLL()
    >>> loss([[0.0, 0.0]], [2.0], reduction="none").round(8)
    array([2.07944154])
    >>> loss.gradient([[0.0, 0.0]], [2.0]).round(8)
    array([[-0.5       ,  0.30685282]])
    """

    __slots__ = ()
    traits = Traits("columns", boosting="psd", fisher="own")
    columns = ("log of the mean", "log of the dispersion")
    _is_logarithm = (True, True)

    def __init__(self) -> None:
        super().__init__("negative_binomial_nll", {}, ())

    def _start(self, t: np.ndarray, w: np.ndarray) -> tuple[float, float]:
        log_mean = _posterior.log_mean(t, w)
        mean = math.exp(log_mean)
        spread = _posterior.weighted_mean((t - mean) ** 2, w)
        return log_mean, math.log(max((spread - mean) / mean**2, 1e-4))

    def _best(self, t: np.ndarray, w: np.ndarray) -> np.ndarray:
        start = np.array(self._start(t, w))
        if not t.any():
            return start
        # The mean is the best one whatever the dispersion. Of counts spread no more than Poisson's none is best, and
        # 1e-4 stands for it.
        score = start.copy()
        score[1] = math.log(1e-4)
        rows = np.broadcast_to(score, (*t.shape, 2))
        if self.gradient(rows, t, sample_weight=w, reduction="sum")[..., 1].sum() >= 0.0:
            return score
        return super()._best(t, w)

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        mean, dispersion = parameters
        return stats.nbinom(1.0 / dispersion, 1.0 / (1.0 + dispersion * mean))


class BetaNLL(_DistributionLoss):
    """
    Negative log-likelihood of a beta distribution, of the logit of its mean and the logarithm of its precision.

    For shares. With the mean m = sigmoid(z[0]), the precision p = exp(z[1]), the shapes a = m p and b = (1 - m) p,
    v = m (1 - m) and a target t in (0, 1):

        value     log(gamma(a) gamma(b) / gamma(p)) - (a - 1) log(t) - (b - 1) log(1 - t)
        gradient  p v (psi(a) - psi(b) - logit(t)), a (psi(a) - log(t)) + b (psi(b) - log(1 - t)) - p psi(p)
        Hessian   Fisher and, of the gradient (g0, g1), (1 - 2 m) g0, g1; beside the diagonal g0
        Fisher    (p v)^2 (psi'(a) + psi'(b)), a^2 psi'(a) + b^2 psi'(b) - p^2 psi'(p)

    Notes
    -----
    The variance is v / (1 + p). ``curvature="psd"`` takes the larger of exact and Fisher for z[0], and for z[1] their
    mean. ``"majorize"`` takes p (1 / 4 + abs(logit(t)) / (6 sqrt(3))) + 2 for z[0], nowhere below the exact one, and
    the larger of psd and exact for z[1].

    SciPy's beta has the shapes a and b. A share of exactly 0 or 1 has no density: `BinaryCrossEntropy` takes it.

    References
    ----------
    S. Ferrari, F. Cribari-Neto, "Beta regression for modelling rates and proportions", J. Appl. Stat. 31 (2004),
    https://doi.org/10.1080/0266476042000214501

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.BetaNLL()
    >>> round(loss([[0.0, 0.6931471805599453]], [0.3]), 8)
    0.0
    >>> loss.gradient([[0.0, 0.0]], [0.5]).round(8)
    array([[ 0.        , -0.69314718]])
    """

    __slots__ = ()
    columns = ("logit of the mean", "log of the precision")

    def __init__(self) -> None:
        super().__init__("beta_nll", {}, ())

    def _parameters_of(self, z: np.ndarray) -> np.ndarray:
        return np.stack([np.exp(-np.logaddexp(0.0, -z[..., 0])), np.exp(z[..., 1])], axis=-1)

    def _start(self, t: np.ndarray, w: np.ndarray) -> tuple[float, float]:
        mean = _posterior.weighted_mean(t, w)
        spread = max(_posterior.weighted_mean((t - mean) ** 2, w), _posterior.SMALLEST_SHARE)
        precision = max(mean * (1.0 - mean) / spread - 1.0, 1e-3)
        return math.log(mean) - math.log1p(-mean), math.log(precision)

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        mean, precision = parameters
        return stats.beta(mean * precision, (1.0 - mean) * precision)


class GaussianCRPS(_LocationScaleLoss):
    """
    Continuous ranked probability score of a normal distribution, of its mean and the logarithm of its scale.

    With the mean m and the log of the scale s = z[0], z[1], r = (t - m) exp(-s), the normal density phi and a target t:

        value     exp(s) (r erf(r / sqrt(2)) + 2 phi(r) - 1 / sqrt(pi))
        gradient  -erf(r / sqrt(2)), exp(s) (2 phi(r) - 1 / sqrt(pi))
        Hessian   2 phi(r) exp(-s), exp(s) (2 phi(r) (1 + r^2) - 1 / sqrt(pi)); beside the diagonal 2 r phi(r)
        Fisher    exp(-s) / sqrt(pi), exp(s) / (2 sqrt(pi))

    Notes
    -----
    In the unit of the target, and kinder to outliers than `GaussianNLL`: of a certain forecast it is the absolute
    error. ``curvature="fisher"`` gives the expectation of the Hessian under the distribution itself, the metric that
    NGBoost divides this score by. ``"psd"`` and ``"majorize"`` take gradient / (m - t) for m, of the parabola above,
    and 0.5285 exp(s) for s: a Newton step of s alone never passes the minimum.

    References
    ----------
    T. Gneiting, A. E. Raftery, "Strictly proper scoring rules, prediction, and estimation", J. Am. Stat. Assoc. 102
    (2007), https://doi.org/10.1198/016214506000001437

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.GaussianCRPS()
    >>> loss([[0.0, 0.0]], [0.0], reduction="none")
    array([0.23369498])
    >>> loss.gradient([[0.0, 0.0]], [0.0])
    array([[-0.        ,  0.23369498]])
    """

    __slots__ = ()
    columns = ("mean", "log of the scale")

    def __init__(self) -> None:
        super().__init__("gaussian_crps", {}, ())

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        return stats.norm(*parameters)


class LogNormalCRPS(_OfLogarithmLoss):
    """
    Continuous ranked probability score of log(t): of a log-normal distribution, in the unit of the logarithm.

    `GaussianCRPS` of log(t); targets t are finite and > 0.

    Notes
    -----
    Derivatives and curvatures are those of `GaussianCRPS` at log(t). It is the score of the logarithm's normal
    distribution, as NGBoost takes it, not that of the log-normal one on the target's own scale.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.LogNormalCRPS()
    >>> loss([[0.0, 0.0]], [1.0], reduction="none")
    array([0.23369498])
    >>> loss.gradient([[0.0, 0.0]], [1.0])
    array([[-0.        ,  0.23369498]])
    """

    __slots__ = ()
    columns = ("mean of log t", "log of the scale of log t")

    def __init__(self) -> None:
        super().__init__("log_normal_crps", {}, ())

    def _of_scipy(self, stats: Any, *parameters: np.ndarray) -> Any:
        return stats.lognorm(parameters[1], scale=np.exp(parameters[0]))


class Quantiles(ColumnLoss):
    """
    Pinball losses of several quantiles at once, one column each; the value is their sum.

    With the levels q = (q_1, ..., q_P) and a target t, column k has the value, gradient and Hessian of `Quantile` at
    q_k. With `noncrossing` the quantiles are x_1 = z[0] and x_k = x_{k-1} + log(1 + exp(z[k - 1])), which rise, and
    with s = sigmoid(z[k - 1]), of the first 1, and the sum G of the pinball slopes at x_k, ..., x_P:

        gradient  s G
        Hessian   s (1 - s) G

    Parameters
    ----------
    q : sequence of float, default (0.1, 0.5, 0.9)
        The levels, rising, each in (0, 1); at most 64.
    noncrossing : bool, default False
        Whether the scores are the first quantile and, as a softplus, steps from each to the next.

    Raises
    ------
    TypeError
        If `q` is not a sequence of real numbers, or `noncrossing` not a bool.
    ValueError
        If a level is not in (0, 1), or they do not rise, or there are none or more than 64.

    Notes
    -----
    ``curvature`` means what it does for `Quantile`. Each column is fitted for itself: quantiles of a model may cross.
    With `noncrossing` they never do: psd is s^2 times the number of quantiles from k on, majorize the larger of exact
    and s times the sum of the 1 / (2 abs(x_j - t)): a Newton step of one column never raises the value.

    References
    ----------
    R. Koenker, G. Bassett, "Regression quantiles", Econometrica 46 (1978), https://doi.org/10.2307/1913643

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Quantiles(q=(0.1, 0.5, 0.9))
    >>> round(loss([[0.0, 1.0, 2.0]], [1.5]), 12)
    0.45
    >>> loss.gradient([[0.0, 1.0, 2.0]], [1.5])
    array([[-0.1, -0.5,  0.1]])
    >>> fl.Quantiles(q=(0.1, 0.9), noncrossing=True).inverse_link([[1.0, 0.0]])
    array([[1.        , 1.69314718]])
    """

    __slots__ = ()
    traits = Traits("columns", has_kinks=True)
    name = "quantiles"

    def __init__(self, q: ArrayLike = (0.1, 0.5, 0.9), noncrossing: bool = False) -> None:
        levels = _parameters.rising("q", q, "in (0, 1)")
        noncrossing = _parameters.boolean("noncrossing", noncrossing)
        kernel = "rising_quantiles" if noncrossing else "quantiles"
        super().__init__(kernel, {"q": levels, "noncrossing": noncrossing}, levels)

    @property
    def columns(self) -> tuple[str, ...]:
        """One name for each column."""
        names = tuple(f"quantile {level:g}" for level in self.parameters["q"])
        if not self.parameters["noncrossing"]:
            return names
        return (names[0], *(f"step to {name}" for name in names[1:]))

    def inverse_link(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the quantiles that raw scores stand for: the scores themselves, or the sums of their steps.

        Parameters
        ----------
        z : array_like
            Raw scores, with the loss's columns along `axis`.
        axis : int

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Quantiles().inverse_link([[0.0, 1.0, 2.0]])
        array([[0., 1., 2.]])
        """
        if not self.parameters["noncrossing"]:
            return _call.prediction_array(z, "z")[()]

        def quantiles(wide: np.ndarray) -> np.ndarray:
            steps = np.logaddexp(0.0, wide)
            steps[..., 0] = wide[..., 0]
            return np.cumsum(steps, axis=-1)

        return _posterior.in_float64(z, quantiles, axis)

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> np.ndarray:
        """
        Return the constant predictions, one for each level, that minimise the loss: the weighted quantiles.

        Parameters
        ----------
        target : array_like
            Targets of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        ndarray of shape (P,)
            nan if a target that counts is nan.

        Raises
        ------
        ValueError
            If a weight is not finite and >= 0, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Quantiles(q=(0.25, 0.5)).init_score([1.0, 2.0, 3.0, 4.0])
        array([1.5, 2.5])
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        best = _posterior.weighted_quantiles(t, w, np.asarray(self.parameters["q"]))
        if not self.parameters["noncrossing"] or np.isnan(best).any():
            return best
        # The inverse of softplus; of quantiles that are the same, a step of 2^-52 of their spread.
        size = max(float(np.ptp(best)), float(np.abs(best).max()), float(np.finfo(np.float64).tiny))
        steps = np.maximum(np.diff(best), _posterior.SMALLEST_SHARE * size)
        return np.concatenate([best[:1], steps + np.log(-np.expm1(-steps))])


def gaussian_nll(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Negative log-likelihood of a normal distribution, s + ((t - m) exp(-s))^2 / 2 + log(2 pi) / 2.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with mean and log of the scale along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    GaussianNLL : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.gaussian_nll([[0.0, 0.0]], [0.0]), 12)
    0.918938533205
    """
    return _GAUSSIAN_NLL._value(prediction, target, axis, sample_weight, reduction)


def laplace_nll(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Negative log-likelihood of a Laplace distribution, s + abs(t - m) exp(-s) + log(2).

    Parameters
    ----------
    prediction : array_like
        Raw scores, with median and log of the scale along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    LaplaceNLL : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.laplace_nll([[0.0, 0.0]], [0.0]), 12)
    0.69314718056
    """
    return _LAPLACE_NLL._value(prediction, target, axis, sample_weight, reduction)


def logistic_nll(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Negative log-likelihood of a logistic distribution, s + abs(r) + 2 log(1 + exp(-abs(r))), r = (t - m) exp(-s).

    Parameters
    ----------
    prediction : array_like
        Raw scores, with location and log of the scale along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    LogisticNLL : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.logistic_nll([[0.0, 0.0]], [0.0]), 12)
    1.38629436112
    """
    return _LOGISTIC_NLL._value(prediction, target, axis, sample_weight, reduction)


def student_t_nll(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    df: float | None = 5.0,
) -> Any:
    """
    Negative log-likelihood of Student's t distribution with `df` degrees of freedom.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with location and log of the scale along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.
    df : float or None, default 5.0
        Degrees of freedom, the fewer the heavier the tails; finite and > 0. None: a third column, their logarithm.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    StudentTNLL : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.student_t_nll([[0.0, 0.0]], [1.0], df=1.0), 12)
    1.837877066409
    """
    try:
        loss = _student_t_nll(df)
    except TypeError:
        loss = StudentTNLL(df)
    return loss._value(prediction, target, axis, sample_weight, reduction)


def log_normal_nll(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Negative log-likelihood of a log-normal distribution: `gaussian_nll` of log(t), and log(t).

    Parameters
    ----------
    prediction : array_like
        Raw scores, with mean of log t and log of the scale of log t along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    LogNormalNLL : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.log_normal_nll([[0.0, 0.0]], [1.0]), 12)
    0.918938533205
    """
    return _LOG_NORMAL_NLL._value(prediction, target, axis, sample_weight, reduction)


def gamma_nll(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Negative log-likelihood of a gamma distribution, of the logarithms of its mean and of its shape.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with log of the mean and log of the shape along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    GammaNLL : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.gamma_nll([[0.0, 0.0]], [2.0])
    2.0
    """
    return _GAMMA_NLL._value(prediction, target, axis, sample_weight, reduction)


def weibull_nll(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Negative log-likelihood of a Weibull distribution, of the logarithms of its scale and of its shape.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with log of the scale and log of the shape along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    WeibullNLL : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.weibull_nll([[0.0, 0.0]], [2.0])
    2.0
    """
    return _WEIBULL_NLL._value(prediction, target, axis, sample_weight, reduction)


def zero_inflated_poisson_nll(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Negative log-likelihood of counts that are 0 more often than Poisson's.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with log of the mean and logit of the share of extra zeros along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    ZeroInflatedPoissonNLL : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.zero_inflated_poisson_nll([[0.0, 0.0]], [0.0]), 12)
    0.379885493042
    """
    return _ZERO_INFLATED_POISSON_NLL._value(prediction, target, axis, sample_weight, reduction)


def negative_binomial_nll(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Negative log-likelihood of a negative binomial distribution, of the logarithms of its mean and of its dispersion.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with log of the mean and log of the dispersion along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    NegativeBinomialNLL : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.negative_binomial_nll([[0.0, 0.0]], [2.0]), 12)
    2.07944154168
    """
    return _NEGATIVE_BINOMIAL_NLL._value(prediction, target, axis, sample_weight, reduction)


def beta_nll(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Negative log-likelihood of a beta distribution, of the logit of its mean and the logarithm of its precision.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with logit of the mean and log of the precision along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    BetaNLL : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.beta_nll([[0.0, 0.0]], [0.5]), 12)
    0.451582705289
    """
    return _BETA_NLL._value(prediction, target, axis, sample_weight, reduction)


def gaussian_crps(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Continuous ranked probability score of a normal distribution, in the unit of the target.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with mean and log of the scale along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    GaussianCRPS : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.gaussian_crps([[0.0, 0.0]], [0.0]), 12)
    0.233694977255
    """
    return _GAUSSIAN_CRPS._value(prediction, target, axis, sample_weight, reduction)


def log_normal_crps(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Continuous ranked probability score of log(t), whose distribution is normal.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with mean of log t and log of the scale of log t along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    LogNormalCRPS : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.log_normal_crps([[0.0, 0.0]], [1.0]), 12)
    0.233694977255
    """
    return _LOG_NORMAL_CRPS._value(prediction, target, axis, sample_weight, reduction)


def quantiles(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    q: ArrayLike = (0.1, 0.5, 0.9),
    noncrossing: bool = False,
) -> Any:
    """
    Sum of the pinball losses of several quantiles, one column each.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with one number for each level along `axis`.
    target : array_like
        One number per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.
    q : sequence of float, default (0.1, 0.5, 0.9)
        The levels, rising, each in (0, 1); at most 64.
    noncrossing : bool, default False
        Whether the scores are the first quantile and, as a softplus, steps from each to the next.

    Returns
    -------
    float or ndarray
        An array with one value per row under "none".

    Raises
    ------
    TypeError, ValueError
        If an argument is not of its kind, or out of its range.

    See Also
    --------
    Quantiles : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.quantiles([[0.0, 1.0, 2.0]], [1.5], q=(0.1, 0.5, 0.9)), 12)
    0.45
    """
    try:
        loss = _quantiles(q, noncrossing)
    except TypeError:
        loss = Quantiles(q, noncrossing)
    return loss._value(prediction, target, axis, sample_weight, reduction)


@functools.cache
def _zero_inflated_poisson() -> Any:
    """Return the distribution of the mean and the share of extra zeros, which SciPy does not have."""
    from scipy import stats

    class ZeroInflatedPoisson(stats.rv_discrete):  # type: ignore[misc, unused-ignore]
        def _argcheck(self, mean: Any, share: Any) -> Any:
            return (mean >= 0) & (share >= 0) & (share <= 1)

        def _pmf(self, k: Any, mean: Any, share: Any) -> Any:
            return np.where(k == 0, share, 0.0) + (1.0 - share) * stats.poisson.pmf(k, mean)

        def _cdf(self, k: Any, mean: Any, share: Any) -> Any:
            return np.where(k >= 0, share + (1.0 - share) * stats.poisson.cdf(k, mean), 0.0)

        def _ppf(self, q: Any, mean: Any, share: Any) -> Any:
            with np.errstate(divide="ignore", invalid="ignore"):
                above = (q - share) / (1.0 - share)
            return np.where(above > 0, stats.poisson.ppf(np.clip(above, 0.0, 1.0), mean), 0.0)

        def _stats(self, mean: Any, share: Any) -> Any:
            return (1.0 - share) * mean, (1.0 - share) * mean * (1.0 + share * mean), None, None

        def _rvs(self, mean: Any, share: Any, size: Any = None, random_state: Any = None) -> Any:
            return random_state.poisson(mean, size) * (random_state.uniform(size=size) >= share)

    return ZeroInflatedPoisson(name="zero_inflated_poisson", shapes="mean, share")


def _log_beta_of_t(v: float) -> float:
    """
    Return log(gamma(v / 2) sqrt(pi v) / gamma((v + 1) / 2)).

    The difference of two logarithms of gamma functions would cancel. From v = 40 on it is log(2 pi) / 2 and a series in
    1 / v; below, v + 2 stands in, and log((v + 1) / v) - log((v + 2) / v) / 2 is added.
    """
    below = []
    while v < 40.0:
        below.append(math.log1p(1.0 / v) - 0.5 * math.log1p(2.0 / v))
        v += 2.0
    # Of more there is nothing left of the series, and no power overflows.
    v = min(v, 1e20)
    series = sum(c / v ** (2 * i + 1) for i, c in enumerate((1 / 4, -1 / 24, 1 / 20, -17 / 112, 31 / 36, -691 / 88)))
    return math.fsum([math.log(2.0 * math.pi) / 2.0, series, *below])


# A function makes the loss of its parameters once; parameters without a hash (arrays) raise TypeError there.
_once = functools.lru_cache(maxsize=64, typed=True)
_GAUSSIAN_NLL = GaussianNLL()
_LAPLACE_NLL = LaplaceNLL()
_LOGISTIC_NLL = LogisticNLL()
_student_t_nll: Callable[..., StudentTNLL] = _once(StudentTNLL)
_LOG_NORMAL_NLL = LogNormalNLL()
_GAMMA_NLL = GammaNLL()
_WEIBULL_NLL = WeibullNLL()
_ZERO_INFLATED_POISSON_NLL = ZeroInflatedPoissonNLL()
_NEGATIVE_BINOMIAL_NLL = NegativeBinomialNLL()
_BETA_NLL = BetaNLL()
_GAUSSIAN_CRPS = GaussianCRPS()
_LOG_NORMAL_CRPS = LogNormalCRPS()
_quantiles: Callable[..., Quantiles] = _once(Quantiles)
