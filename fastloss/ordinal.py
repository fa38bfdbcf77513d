"""Losses of ordered classes, such as grades and stars: the target is a class index, and order counts."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call, _parameters, _posterior
from ._kernels import ColumnLoss, PointwiseLoss
from ._traits import Traits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Reduction

__all__ = ["AllThreshold", "CumulativeLogit", "all_threshold", "cumulative_logit"]


def _classes_from_exceedances(exceedances: np.ndarray) -> np.ndarray:
    """Return P(t = k) along the last axis, of P(t > 0), P(t > 1), ...; where these rise, of what they fell to."""
    falling = np.minimum.accumulate(exceedances, axis=-1)
    ends = [(0, 0)] * (falling.ndim - 1)
    edges = np.pad(np.pad(falling, [*ends, (1, 0)], constant_values=1.0), [*ends, (0, 1)])
    shares: np.ndarray = edges[..., :-1] - edges[..., 1:]
    return shares


class AllThreshold(ColumnLoss):
    """
    Binary cross-entropies of ordered classes: of each threshold between two of them, whether the class is above it.

    With the columns z[0], ..., z[n_classes - 2], p_k = sigmoid(z[k]), the probability that the class is above k, and
    the class t, an integer in [0, n_classes):

        value     sum over k of log(1 + exp(z[k])) - [t > k] z[k]
        gradient  p_k - [t > k]
        Hessian   p_k (1 - p_k)

    Parameters
    ----------
    n_classes : int, default 3
        The number of classes; in [2, 65].

    Raises
    ------
    TypeError
        If `n_classes` is not an integer.
    ValueError
        If `n_classes` is not in [2, 65].

    Notes
    -----
    The loss is convex, and the full Hessian is its diagonal: ``curvature="psd"`` and ``"fisher"`` are exact.
    ``"majorize"`` is tanh(z / 2) / (2 z), of the parabola above. Each threshold is fitted for itself: of a model the
    p_k need not fall. `predict_proba` takes the smallest so far for those that do not.

    References
    ----------
    J. D. M. Rennie, N. Srebro, "Loss functions for preference levels: regression with discrete ordered labels" (2005),
    https://people.csail.mit.edu/jrennie/papers/ijcai05-preference.pdf

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.AllThreshold(n_classes=3)
    >>> loss([[0.0, 0.0]], [1], reduction="none")
    array([1.38629436])
    >>> loss.gradient([[0.0, 0.0]], [1])
    array([[-0.5,  0.5]])
    >>> loss.predict_proba([[0.0, -800.0]])
    array([[0.5, 0.5, 0. ]])
    """

    __slots__ = ()
    traits = Traits("columns", fisher="exact")
    n_classes: int

    def __init__(self, n_classes: int = 3) -> None:
        n_classes = _parameters.whole("n_classes", n_classes, 2, 65)
        super().__init__("all_threshold", {"n_classes": n_classes}, tuple(range(n_classes - 1)))

    @property
    def columns(self) -> tuple[str, ...]:
        """One name for each column."""
        return tuple(f"logit of t > {k}" for k in range(self.n_classes - 1))

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return the probabilities of being above each threshold that raw scores stand for: sigmoid(z).

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
        >>> fl.AllThreshold().inverse_link([[0.0, -800.0]])
        array([[0.5, 0. ]])
        """
        return _posterior.in_float64(z, lambda wide: np.exp(-np.logaddexp(0.0, -wide)))

    def predict_proba(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the probabilities of the classes that raw scores stand for.

        Parameters
        ----------
        z : array_like
            Raw scores, with the loss's columns along `axis`.
        axis : int

        Returns
        -------
        ndarray
            Along `axis`, one number for each class. They sum to 1.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.AllThreshold().predict_proba([[0.0, 0.0]])
        array([[0.5, 0. , 0.5]])
        """

        def classes(wide: np.ndarray) -> np.ndarray:
            if wide.shape[-1] != len(self.columns):
                raise ValueError(f"z must hold {len(self.columns)} numbers a row, got {wide.shape[-1]}")
            return _classes_from_exceedances(np.exp(-np.logaddexp(0.0, -wide)))

        return _posterior.in_float64(z, classes, axis)

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> np.ndarray:
        """
        Return the raw scores that minimise the loss if all rows have the same: the log odds of being above a threshold.

        Parameters
        ----------
        target : array_like
            Class indices of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        ndarray of shape (n_classes - 1,)
            Where all classes lie on one side the minimum is infinite; this gives the log odds of a share of 2^-52.

        Raises
        ------
        ValueError
            If a target or weight is out of its range, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.AllThreshold().init_score([0, 1, 1, 2]).round(4)
        array([ 1.0986, -1.0986])
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        # The kernel knows which targets there are. It gets the user's array, to name a place in it.
        whole = _call.real_array(target, "target")
        self._value(np.zeros((*whole.shape, self.n_classes - 1)), whole, -1, sample_weight, "sum")
        above = [t > k for k in range(self.n_classes - 1)]
        return np.array([_posterior.log_odds(float(w[each].sum()), float(w[~each].sum())) for each in above])


class CumulativeLogit(PointwiseLoss):
    """
    Negative log-likelihood of ordered classes by one score and thresholds: the proportional-odds model.

    With the thresholds c, P(t > k) = sigmoid(z - c[k]), and a = z - c[t - 1] (inf of the first class), b = z - c[t]
    (-inf of the last) of the class t, an integer in [0, len(thresholds)]:

        value     -log(sigmoid(a) - sigmoid(b))
        gradient  sigmoid(b) - sigmoid(-a)
        Hessian   sigmoid(a) sigmoid(-a) + sigmoid(b) sigmoid(-b)

    Parameters
    ----------
    thresholds : sequence of float, default (-1.0, 1.0)
        Where one class gives way to the next: one less than there are classes, rising and finite; at most 64.

    Raises
    ------
    TypeError
        If `thresholds` is not a sequence of real numbers.
    ValueError
        If a threshold is not finite, or they do not rise, or there are none or more than 64.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` of class indices that broadcasts to it. The thresholds
    belong to the loss: `fit_thresholds` gives the loss with the best ones for some scores. The loss is convex:
    ``curvature="psd"`` is the Hessian. ``"majorize"`` adds up the parabolas above both softplus of which it consists,
    ``"fisher"`` is the sum over k of v_k (P(t = k) + P(t = k + 1)) with v_k = sigmoid(z - c[k]) sigmoid(c[k] - z).

    It is statsmodels' OrderedModel(distr="logit") and R's polr.

    References
    ----------
    P. McCullagh, "Regression models for ordinal data", J. R. Statist. Soc. B 42 (1980),
    https://doi.org/10.1111/j.2517-6161.1980.tb01109.x

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.CumulativeLogit(thresholds=(-1.0, 1.0))
    >>> loss([0.0, 0.0], [1, 2], reduction="none")
    array([0.77193683, 1.31326169])
    >>> loss.gradient([0.0, 0.0], [1, 2], reduction="sum")
    array([ 0.        , -0.73105858])
    >>> loss.predict_proba([0.0])
    array([[0.26894142, 0.46211716, 0.26894142]])
    """

    __slots__ = ()
    traits = Traits("margin", fisher="own")
    thresholds: tuple[float, ...]

    def __init__(self, thresholds: ArrayLike = (-1.0, 1.0)) -> None:
        found = _parameters.rising("thresholds", thresholds, "finite")
        super().__init__("cumulative_logit", {"thresholds": found}, found)

    @property
    def n_classes(self) -> int:
        """How many classes the thresholds part."""
        return len(self.parameters["thresholds"]) + 1

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return what raw scores stand for: the scores themselves.

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
        >>> fl.CumulativeLogit().inverse_link([0.0, 1.0])
        array([0., 1.])
        """
        return _call.prediction_array(z, "z")[()]

    def predict_proba(self, z: ArrayLike) -> Any:
        """
        Return the probabilities of the classes that raw scores stand for.

        Parameters
        ----------
        z : array_like
            Raw scores of any shape.

        Returns
        -------
        ndarray
            In the shape of `z` and an axis of the classes. They sum to 1.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.CumulativeLogit((0.0,)).predict_proba([0.0])
        array([[0.5, 0.5]])
        """
        given = _call.prediction_array(z, "z")
        c = np.array(self.parameters["thresholds"])
        wide = given.astype(np.float64)[..., np.newaxis] - c
        above, below = np.exp(-np.logaddexp(0.0, -wide)), np.exp(-np.logaddexp(0.0, wide))
        # Nothing is subtracted: sigmoid(a) - sigmoid(b) = (1 - exp(b - a)) sigmoid(a) sigmoid(-b).
        between = -np.expm1(-np.diff(c)) * above[..., :-1] * below[..., 1:]
        every = np.concatenate([below[..., :1], between, above[..., -1:]], axis=-1)
        return every.astype(given.dtype.newbyteorder("="))

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant score that minimises the loss with these thresholds.

        Parameters
        ----------
        target : array_like
            Class indices of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            If all are of the first or the last class the minimum is infinite; this gives 36.04 beyond a threshold then.

        Raises
        ------
        ValueError
            If a target or weight is out of its range, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.CumulativeLogit().init_score([0, 1, 2])
        0.0
        """
        t, w, _ = _posterior.elements_that_count(target, sample_weight)
        # The kernel knows which targets there are. It gets the user's array, to name a place in it.
        whole = _call.real_array(target, "target")
        self._value(np.zeros(whole.shape), whole, sample_weight, "sum")
        c = self.parameters["thresholds"]
        if (t == 0).all():
            return float(c[0] + math.log(_posterior.SMALLEST_SHARE))
        if (t == len(c)).all():
            return float(c[-1] - math.log(_posterior.SMALLEST_SHARE))
        return _posterior.best_constant(self, t, w, (c[0] + c[-1]) / 2.0)

    def fit_thresholds(
        self, z: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> CumulativeLogit:
        """
        Return the loss with the thresholds that fit scores best: of least total loss.

        Parameters
        ----------
        z : array_like
            Raw scores of any shape.
        target : array_like
            Class indices that broadcast to `z`, every class among them.
        sample_weight : array_like, optional
            Weights that broadcast to `z`; finite and >= 0.

        Returns
        -------
        CumulativeLogit
            As many classes as this one has.

        Raises
        ------
        ValueError
            If a target or weight is out of its range, a score is not finite, or a class has no weight: its two
            thresholds would be one.

        Notes
        -----
        By Newton's method, which the loss suits: it is strictly convex in the thresholds, and its Hessian tridiagonal.

        Examples
        --------
        >>> import fastloss as fl
        >>> loss = fl.CumulativeLogit().fit_thresholds([0.0, 0.0, 0.0, 0.0], [0, 1, 1, 2])
        >>> [round(c, 6) for c in loss.thresholds]
        [-1.098612, 1.098612]
        """
        scores = _call.real_array(z, "z").astype(np.float64)
        whole = _call.real_array(target, "target")
        self._value(scores, whole, sample_weight, "sum")
        t = np.broadcast_to(whole, scores.shape).ravel()
        w = np.ones(scores.shape) if sample_weight is None else _call.real_array(sample_weight, "sample_weight")
        w = np.broadcast_to(w, scores.shape).ravel().astype(np.float64)
        counts = w > 0
        bad = np.argwhere(~np.isfinite(scores) & counts.reshape(scores.shape))
        if len(bad):
            where = tuple(bad[0].tolist())
            raise ValueError(f"z[{', '.join(map(str, where))}] = {scores[where]} must be finite")
        scores, t, w = scores.ravel()[counts], t[counts].astype(np.intp), w[counts]
        shares = np.bincount(t, weights=w, minlength=self.n_classes)
        if not (shares > 0).all():
            missing = int(np.flatnonzero(~(shares > 0))[0])
            raise ValueError(f"target must hold every class; none of positive weight is {missing}")
        return CumulativeLogit(_best_thresholds(scores, t, w / w.sum(), shares / shares.sum()))


def threshold_gradient(
    kind: type, z: np.ndarray, codes: np.ndarray, w: np.ndarray, shares: np.ndarray, thresholds: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the mean loss of scores, and its gradients by scores and by thresholds; `w` and `shares` sum to 1."""
    if kind is AllThreshold:
        columns = z[:, np.newaxis] - thresholds
        loss = AllThreshold(len(shares))
        value, gradient = loss.value_and_gradient(columns, codes, sample_weight=w, reduction="sum")
        return value, gradient.sum(axis=1), -gradient.sum(axis=0)
    value, of_thresholds, _ = _of_thresholds(z, codes, w, shares, thresholds)
    if not (np.diff(thresholds) > 0).all():  # a step that is lost in rounding
        return math.inf, np.zeros_like(z), of_thresholds
    gradient = CumulativeLogit(thresholds).gradient(z, codes, sample_weight=w, reduction="sum")
    return value, gradient, of_thresholds


def _of_thresholds(
    z: np.ndarray, t: np.ndarray, w: np.ndarray, shares: np.ndarray, c: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the mean loss, and its gradient and Hessian by the thresholds."""
    last = len(c)
    edges = np.concatenate([[-np.inf], c, [np.inf]])
    a, b = edges[t] - z, z - edges[t + 1]  # the loss is softplus(a) + softplus(b) - log(1 - exp(-gap))
    gap = np.concatenate([[np.inf], np.diff(c), [np.inf]])
    with np.errstate(divide="ignore"):
        total = np.sum(w * (np.logaddexp(0.0, a) + np.logaddexp(0.0, b))) - shares @ np.log(-np.expm1(-gap))
        pull = shares / np.expm1(np.minimum(gap, 700.0))  # of the gap, nothing at the ends
        stiff = pull / -np.expm1(-gap)
    slope_a, slope_b = np.exp(-np.logaddexp(0.0, -a)), np.exp(-np.logaddexp(0.0, -b))
    of_low = np.bincount(t, w * slope_a, minlength=last + 1)[1:]
    of_high = np.bincount(t, w * slope_b, minlength=last + 1)[:-1]
    bend_low = np.bincount(t, w * slope_a * (1.0 - slope_a), minlength=last + 1)[1:]
    bend_high = np.bincount(t, w * slope_b * (1.0 - slope_b), minlength=last + 1)[:-1]
    hessian = np.diag(bend_low + bend_high + stiff[:-1] + stiff[1:])
    for k in range(1, last):
        hessian[k - 1, k] = hessian[k, k - 1] = -stiff[k]
    return float(total), of_low - of_high - pull[:-1] + pull[1:], hessian


def _best_thresholds(z: np.ndarray, t: np.ndarray, w: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return rising thresholds of least mean loss; `w` sums to 1."""
    below = np.cumsum(shares)[:-1]
    # Of scores that say nothing these are the best; of others they are at least the right way round.
    start = np.log(below) - np.log1p(-below)
    c = float(np.sum(w * z)) + start * math.sqrt(1.0 + float(np.var(z)) * 0.35)

    def evaluate(c: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return _of_thresholds(z, t, w, shares, c)

    value, gradient, hessian = evaluate(c)
    for _ in range(100):
        step = -np.linalg.solve(hessian, gradient)
        decrease = -float(gradient @ step)
        if not decrease > 1e-18 * (1.0 + abs(value)):
            break
        share = 1.0
        while share > 2.0**-40:
            there = c + share * step
            if (np.diff(there) > 0).all():
                found = evaluate(there)
                if found[0] <= value - 1e-4 * share * decrease + 1e-16 * abs(value):
                    break
            share /= 2.0
        else:
            break
        c, (value, gradient, hessian) = there, found
    best: np.ndarray = c
    return best


def all_threshold(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    axis: int = -1,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    n_classes: int = 3,
) -> Any:
    """
    Binary cross-entropies of ordered classes: of each threshold between two of them, whether the class is above it.

    Parameters
    ----------
    prediction : array_like
        Raw scores, with the logits of t > 0, t > 1, ... along `axis`.
    target : array_like
        One class index per row: the shape of the prediction without `axis`.
    axis : int
        The axis of the columns.
    sample_weight : array_like, optional
        One weight per row, finite and >= 0.
    reduction : {"mean", "sum", "none"}
        As for `cross_entropy`.
    n_classes : int, default 3
        The number of classes; in [2, 65].

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
    AllThreshold : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.all_threshold([[0.0, 0.0]], [1]), 12)
    1.38629436112
    """
    try:
        loss = _all_threshold(n_classes)
    except TypeError:
        loss = AllThreshold(n_classes)
    return loss._value(prediction, target, axis, sample_weight, reduction)


def cumulative_logit(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    thresholds: ArrayLike = (-1.0, 1.0),
) -> Any:
    """
    Negative log-likelihood of ordered classes by one score and thresholds: the proportional-odds model.

    Parameters
    ----------
    prediction, target, sample_weight, reduction
        As for `squared_error`.
    thresholds : sequence of float, default (-1.0, 1.0)
        One less than there are classes, rising and finite; at most 64.

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
    CumulativeLogit : the same loss as an object, with gradient and Hessian.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.cumulative_logit([0.0], [1], thresholds=(-1.0, 1.0)), 12)
    0.771936832905
    """
    try:
        loss = _cumulative_logit(thresholds)
    except TypeError:
        loss = CumulativeLogit(thresholds)
    return loss._value(prediction, target, sample_weight, reduction)


# A function makes the loss of its parameters once; parameters without a hash (arrays) raise TypeError there.
_once = functools.lru_cache(maxsize=64, typed=True)
_all_threshold: Callable[..., AllThreshold] = _once(AllThreshold)
_cumulative_logit: Callable[..., CumulativeLogit] = _once(CumulativeLogit)
