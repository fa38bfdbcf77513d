"""What raw scores mean: the posterior behind a fitted score, and the constant that minimises a loss.

A loss that weights its classes, smooths its labels or focuses on hard rows has its minimum elsewhere than
at the log odds of the classes. Setting the expected gradient to zero for a row whose class probabilities
are eta shows where; solved for eta it is the calibrated posterior, solved for the score the initial score.

These functions are called once in a fit, not once in an iteration: they are NumPy, in float64.
"""

# mypy: no-warn-return-any

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from . import _call, rowwise

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._kernels import PointwiseLoss

# Of a class that never occurs the minimising score is infinite. Boosters and solvers start from finite ones.
SMALLEST_SHARE = 2.0**-52
NOTHING_COUNTS = "target must hold at least one element of positive weight"


# -------------------------------------------------------------------------------------------------- focal losses


def focal_log_factor(margin: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """
    Return log c and its derivative with respect to the margin.

    The gradient of a focal loss is that of the cross-entropy times c; with p = sigmoid(margin) of the
    true class and h(margin) = -p log(p) / (1 - p), which goes from 0 to 1,

        c = (1 - p)^gamma (1 + gamma h)
    """
    if gamma == 0.0:
        return np.zeros(margin.shape), np.zeros(margin.shape)
    e = np.exp(-np.abs(margin))
    p = np.where(margin >= 0, 1.0, e) / (1.0 + e)
    with np.errstate(divide="ignore", invalid="ignore"):
        h = np.where(margin >= 0, np.log1p(e) / e, e * (np.log1p(e) - margin))
    h = np.where(e == 0.0, np.where(margin > 0, 1.0, 0.0), h)
    log_one_minus_p = np.where(margin >= 0, -margin, 0.0) - np.log1p(e)
    log_factor = gamma * log_one_minus_p + np.log1p(gamma * h)
    slope = -gamma * p + gamma * (h - p) / (1.0 + gamma * h)
    return log_factor, slope


def binary_focal_log_odds(z: np.ndarray, gamma: float) -> np.ndarray:
    """
    Return the log odds of the posterior whose expected binary focal loss (without alpha) is least at z.

    eta c(z) (1 - p) = (1 - eta) c(-z) p, so logit(eta) = z + log c(-z) - log c(z).
    """
    # gamma z is what the two (1 - p)^gamma and p^gamma amount to; the difference of their logarithms
    # would be inf - inf at infinite scores.
    with np.errstate(invalid="ignore"):
        rest = [focal_log_factor(m, gamma)[0] - gamma * np.minimum(-m, 0.0) for m in (-z, z)]
    both = np.where(np.isinf(z), 0.0, rest[0] - rest[1])
    return (1.0 + gamma) * z + both


def focal_log_odds(z: np.ndarray, gamma: float) -> np.ndarray:
    """Return the log odds, up to a constant, of the classes whose expected focal loss is least at logits z."""
    log_p: np.ndarray = rowwise.log_softmax(z)
    with np.errstate(divide="ignore", invalid="ignore"):
        margin = log_p - np.log(-np.expm1(log_p))
        return log_p - focal_log_factor(margin, gamma)[0]


# ---------------------------------------------------------------------------------------------------- posteriors


def in_float64(z: ArrayLike, function: Callable[[np.ndarray], np.ndarray], axis: int | None = None) -> np.ndarray:
    """Return function(z), computed in float64 with the axis of classes last, in the dtype and shape of z."""
    given = _call.prediction_array(z, "z")
    dtype = given.dtype.newbyteorder("=")
    wide = given.astype(np.float64)
    if axis is None:
        return function(wide).astype(dtype)[()]
    axis = _call.checked_axis(axis, given, "z")
    return np.moveaxis(function(np.moveaxis(wide, axis, -1)), -1, axis).astype(dtype)


# What stands for a probability of 0 where smoothing has left no trace of how small it is: the logarithm is finite, that
# of the other class, too, and both are floats of single precision.
LEAST_PROBABILITY = 2.0**-23


def binary_posterior(
    log_odds: np.ndarray, label_smoothing: float, positive: float | np.ndarray, negative: float
) -> np.ndarray:
    """
    Return the probability of the positive class, given the log odds under weights of the two classes.

    Smoothing mixes the posterior with 1/2; undoing it is clipped to [2^-23, 1 - 2^-23]. A class of weight 0
    leaves no trace in the scores and gets probability 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.log(negative) - np.log(positive)
        shift = np.where(np.equal(positive, 0) | np.equal(negative, 0), -shift, shift)
        posterior = rowwise.sigmoid(np.asarray(log_odds + shift, dtype=np.float64))
    if 0.0 < label_smoothing < 1.0:
        posterior = (posterior - label_smoothing / 2) / (1.0 - label_smoothing)
        posterior = np.clip(posterior, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)
    return posterior


def softmax_posterior(log_odds: np.ndarray, class_weight: np.ndarray | None, label_smoothing: float) -> np.ndarray:
    """
    Return the class probabilities along the last axis, given log odds under class weights and smoothing.

    Smoothing mixes the posterior with 1/K; undoing it is clipped at 2^-23 and the row made to sum to 1.
    A class of weight 0 leaves no trace in the scores and gets probability 0.
    """
    n_classes = log_odds.shape[-1]
    occurs = np.ones(n_classes, dtype=bool)
    if class_weight is not None:
        occurs = class_weight > 0
        log_weight = np.log(np.where(occurs, class_weight, 1.0))
        log_odds = np.where(occurs, log_odds - log_weight, -np.inf)
    posterior = rowwise.softmax(log_odds)
    if 0.0 < label_smoothing < 1.0:
        share = label_smoothing / n_classes
        total = (1.0 - label_smoothing) + share * np.count_nonzero(occurs)
        posterior = np.where(occurs, np.maximum(posterior * total - share, LEAST_PROBABILITY), 0.0)
        posterior = posterior / posterior.sum(axis=-1, keepdims=True)
    return posterior


# ------------------------------------------------------------------------------------------------ initial scores


def elements_that_count(
    target: ArrayLike, sample_weight: ArrayLike | None, upper: float = np.inf, pos_weight: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return targets, weights and positive weights, flat and without the elements of weight 0."""
    t = _call.real_array(target, "target")
    w = _weights(sample_weight, t.shape)
    keep = w > 0
    if upper < np.inf:
        bad = ~((t >= 0) & (t <= upper)) & keep
        if bad.any():
            _call.raise_first("target", t, bad, f"must lie in [0, {upper:g}]")
    if not keep.any():
        raise ValueError(NOTHING_COUNTS)
    if pos_weight is not None:
        pos_weight = _call.broadcast(pos_weight, "pos_weight", t.shape, "target")[keep]
    return t[keep], w[keep], pos_weight


def class_shares(
    target: ArrayLike,
    sample_weight: ArrayLike | None,
    n_classes: int | None,
    class_weight: np.ndarray | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> np.ndarray:
    """Return how much of the loss falls on each class: its weighted, smoothed count, as a share of 1."""
    if n_classes is None and class_weight is not None:
        n_classes = len(class_weight)
    t = _call.operand(target, "target")
    if t.ndim == 0:
        raise ValueError("target must hold class indices, shape (n,), or probabilities, shape (n, K); got a number")
    if t.ndim > 1:
        if ignore_index is not None:
            raise ValueError("ignore_index needs class indices as target, got probabilities")
        w = _weights(sample_weight, t.shape[:-1])
        keep = w > 0
        bad = ~((t >= 0) & (t <= 1)) & keep[..., None]
        if bad.any():
            _call.raise_first("target", t, bad, "must lie in [0, 1]")
        counts = w[keep] @ t[keep].astype(np.float64)
    else:
        w = _weights(sample_weight, t.shape)
        t = _call.class_indices(t, w, ignore_index, n_classes)
        keep = w > 0
        if ignore_index is not None:
            keep &= t != ignore_index
        bad = ((t < 0) | (t >= (np.inf if n_classes is None else n_classes))) & keep
        if bad.any():
            _call.raise_class_index(t, bad, n_classes, ignore_index)
        counts = np.bincount(t[keep].astype(np.intp), weights=w[keep], minlength=n_classes or 0)
    if n_classes not in (None, len(counts)):
        raise ValueError(f"target must hold probabilities of {n_classes} classes, got shape {t.shape}")
    if class_weight is not None and len(class_weight) != len(counts):
        raise ValueError(f"class_weight holds {len(class_weight)} numbers, but target has {len(counts)} classes")
    smoothed = label_smoothing * w[keep].sum() / max(len(counts), 1)
    shares = (1.0 - label_smoothing) * counts + smoothed
    if class_weight is not None:
        shares = shares * class_weight
    whole = shares.sum()
    if not whole > 0:
        raise ValueError(NOTHING_COUNTS)
    return np.maximum(shares / whole, SMALLEST_SHARE)


def _weights(sample_weight: ArrayLike | None, shape: tuple[int, ...]) -> np.ndarray:
    if sample_weight is None:
        return np.ones(shape)
    w = _call.real_array(sample_weight, "sample_weight")
    bad = ~(np.isfinite(w) & (w >= 0))
    if bad.any():
        _call.raise_first("sample_weight", w, bad, "must be finite and >= 0")
    return _call.broadcast(w, "sample_weight", shape, "target")


def softmax_focal_scores(shares: np.ndarray, gamma: float) -> np.ndarray:
    """
    Return the K scores, centred, that minimise the focal loss of rows whose classes have these shares.

    The gradient's component j is p_j sum_k share_k c(p_k) - share_j c(p_j). So p_j / c(p_j) is proportional
    to share_j: log p - log c rises with the margin of p, and is inverted for each class at a common level,
    which is sought so that the probabilities sum to 1.
    """
    log_shares = np.log(shares)
    if gamma == 0.0 or len(shares) == 1:
        return log_shares - log_shares.mean()
    margins = log_shares.copy()

    def excess(level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        nonlocal margins

        def rising(m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            log_factor, slope = focal_log_factor(m, gamma)
            p = rowwise.sigmoid(m)
            return rowwise.log_sigmoid(m) - log_factor - log_shares - level, (1.0 - p) - slope

        margins = root_of_rising(rising, margins)
        p = rowwise.sigmoid(margins)
        one_minus_p = rowwise.sigmoid(-margins)
        rate = np.sum(p * one_minus_p / rising(margins)[1])
        return np.atleast_1d(np.log(np.sum(p))), np.atleast_1d(rate / np.sum(p))

    root_of_rising(excess, np.zeros(1))
    scores = rowwise.log_sigmoid(margins)
    return scores - scores.mean()


def binary_focal_score(log_odds: float, gamma: float) -> float:
    """Return the score at which the posterior of the binary focal loss has these log odds."""

    def rising(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope = 1.0 - focal_log_factor(z, gamma)[1] - focal_log_factor(-z, gamma)[1]
        return binary_focal_log_odds(z, gamma) - log_odds, slope

    return float(root_of_rising(rising, np.array([log_odds / (1.0 + gamma)]))[0])


def log_odds(positive: float, negative: float) -> float:
    """Return log(positive / negative), finite also when one of them is 0."""
    smallest = SMALLEST_SHARE * (positive + negative)
    if not smallest > 0:
        raise ValueError(NOTHING_COUNTS)
    return math.log(max(positive, smallest)) - math.log(max(negative, smallest))


def root_of_rising(
    function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], start: np.ndarray, first_step: float = 1.0
) -> np.ndarray:
    """
    Return where each component of a function that never falls is 0; of one that also falls, where it rises through 0.

    `function` maps an array to values and slopes, component by component. Newton's method, kept between
    bounds that close in: a step that leaves them, or a slope of 0, halves the interval instead. Until there are two
    bounds, no step is longer than `first_step`, which doubles each time.
    """
    x = np.array(start, dtype=np.float64)
    low, high = np.full(x.shape, -np.inf), np.full(x.shape, np.inf)
    # Added to a large start, a step of 1 may be nothing, and would look like convergence.
    reach = np.maximum(first_step, 2.0**-40 * np.abs(x))
    last_step = np.full(x.shape, np.inf)
    done = np.zeros(x.shape, dtype=bool)
    for _ in range(400):
        value, slope = function(x)
        low = np.where(value < 0, x, low)
        high = np.where(value > 0, x, high)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            newton = x - value / slope
            middle = low / 2.0 + high / 2.0
        # Until both bounds are known, steps double; then a step must at least halve the one before.
        outwards = np.where(value < 0, x + reach, x - reach)
        bounded = np.isfinite(low) & np.isfinite(high)
        fallback = np.where(bounded, middle, outwards)
        limit = np.where(bounded, last_step / 2.0, reach)
        good = np.isfinite(newton) & (newton >= low) & (newton <= high) & (np.abs(newton - x) <= limit)
        following = np.where(good, newton, fallback)
        following = np.where((value == 0) | done | np.isnan(value), x, following)
        last_step = np.where(bounded, np.abs(following - x), np.inf)
        reach = np.where(bounded, reach, reach * 2.0)
        done = done | (np.abs(following - x) <= 2.0**-52 * np.abs(following))
        x = following
        if done.all():
            break
    return x


# ------------------------------------------------------------------------------------- initial scores: regression

# A loss that is not convex is looked at from this many places, and followed down from the lowest of them.
PLACES, VALLEYS = 64, 8


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, shares: np.ndarray | float) -> np.ndarray:
    """Return below which values these shares of the weight lie; where that is all of a gap, its middle."""
    order = np.argsort(values, kind="stable")
    values, below = values[order], np.cumsum(weights[order])
    wanted = np.asarray(shares) * below[-1]
    if np.isnan(values[-1]):
        return np.full(wanted.shape, math.nan)
    # 0.58 of 100 is 57.99999999999999: rounding must not decide between an end and the middle of a gap.
    rounding = 2.0**-50 * below[-1]
    last = len(values) - 1
    left = values[np.minimum(np.searchsorted(below, wanted - rounding, side="left"), last)]
    right = values[np.minimum(np.searchsorted(below, wanted + rounding, side="right"), last)]
    with np.errstate(invalid="ignore"):
        return np.where(left == right, left, left / 2.0 + right / 2.0)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the median; where half of the weight lies on either side of a gap, its middle."""
    return float(weighted_quantiles(values, weights, 0.5))


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the mean; of infinite values what their sum is, without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.average(values, weights=weights))


def log_mean(t: np.ndarray, w: np.ndarray) -> float:
    """Return the logarithm of the weighted mean of numbers >= 0, finite also when it is 0."""
    largest = float(t.max())
    mean = weighted_mean(t / largest, w) if largest > 0.0 else 0.0
    return math.log(largest) + math.log(mean) if mean > 0.0 else math.log(SMALLEST_SHARE)


def best_constant(loss: PointwiseLoss, t: np.ndarray, w: np.ndarray, start: float) -> float:
    """Return the score, one for all targets, that minimises a convex loss. A start that is not finite is returned."""
    if not math.isfinite(start):
        return start
    spread = weighted_median(np.abs(t - start), w)
    reach = spread if 0.0 < spread < math.inf else 1.0
    return float(_stationary_scores(loss, t, w, np.array([start]), reach)[0])


def best_constant_of_many(loss: PointwiseLoss, t: np.ndarray, w: np.ndarray, reach: float) -> float:
    """
    Return the score, one for all targets, that minimises a bounded-influence loss with more than one minimum.

    The loss is evaluated at the targets, or at quantiles of them if there are many, and followed down from the
    lowest ones that are lower than their neighbours. `reach` is the width of its valleys.
    """
    finite = np.isfinite(t)
    if np.isnan(t).any() or not finite.any():
        return weighted_median(t, w)
    # What is infinitely far away pulls at no score, but would make all of them look equally bad.
    t, w = t[finite], w[finite]

    def total(z: float) -> float:
        return loss(np.full(t.shape, z), t, sample_weight=w, reduction="sum")

    places = np.unique(t if len(t) <= PLACES else weighted_quantiles(t, w, (np.arange(PLACES) + 0.5) / PLACES))
    height = np.array([total(z) for z in places])
    around = np.pad(height, 1, constant_values=np.inf)
    valleys = np.flatnonzero((height <= around[:-2]) & (height <= around[2:]))
    valleys = valleys[np.argsort(height[valleys], kind="stable")][:VALLEYS]
    scores = _stationary_scores(loss, t, w, places[valleys], reach)
    return float(min(scores, key=total))


def _stationary_scores(
    loss: PointwiseLoss, t: np.ndarray, w: np.ndarray, starts: np.ndarray, reach: float
) -> np.ndarray:
    """Return the scores downhill of `starts` at which the gradients of all targets add up to 0."""

    def gradient_and_slope(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sums = np.empty((2, len(z)))
        for i, each in enumerate(z):
            derivatives = loss.gradient_and_hessian(np.full(t.shape, each), t, sample_weight=w, reduction="sum")
            with np.errstate(over="ignore", invalid="ignore"):
                sums[:, i] = [np.sum(derivative) for derivative in derivatives]
        return sums[0], sums[1]

    return root_of_rising(gradient_and_slope, starts, reach)


# ------------------------------------------------------------------------------------------ classification losses


def label_weights(target: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, float]:
    """Return how much of the weight lies on positives and how much on negatives."""
    t, w, _ = elements_that_count(target, sample_weight, 1.0)
    return float(np.sum(w * t)), float(np.sum(w * (1.0 - t)))


def centred(scores: np.ndarray) -> np.ndarray:
    """Return the scores of classes, shifted to mean 0: row-wise losses see their differences alone."""
    centred_scores: np.ndarray = scores - scores.mean()
    return centred_scores


def poly1_log_odds(z: np.ndarray, epsilon: float) -> np.ndarray:
    """
    Return the log odds, up to a constant, of the classes whose expected Poly-1 loss is least at logits z.

    The expected gradient p_j sum_k eta_k (1 + epsilon p_k) - eta_j (1 + epsilon p_j) is 0 where eta_j is proportional
    to p_j / (1 + epsilon p_j). For epsilon >= -1 the denominator is a sum of two terms that are not negative.
    """
    log_p: np.ndarray = rowwise.log_softmax(z)
    with np.errstate(divide="ignore"):
        return log_p - np.log((1.0 + epsilon) * np.exp(log_p) - np.expm1(log_p))


def poly1_scores(shares: np.ndarray, epsilon: float) -> np.ndarray:
    """
    Return the K scores, centred, that minimise the Poly-1 loss of rows whose classes have these shares.

    -log p_k + epsilon (1 - p_k) is convex in p for every epsilon, so the minimum is the one point where the gradient
    is 0: p_j = share_j / (s - epsilon share_j), with s such that they sum to 1. The sum falls from infinity to 0 as s
    rises from the largest epsilon share_j; s is sought as e^u above that.
    """
    if len(shares) == 1:
        return np.zeros(1)
    pole = np.max(epsilon * shares)

    def probabilities(u: np.ndarray) -> np.ndarray:
        return shares / (np.exp(u) + (pole - epsilon * shares))

    def rising(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = probabilities(u)
        total = np.sum(p, keepdims=True)
        return -np.log(total), np.exp(u) * np.sum(p * p / shares, keepdims=True) / total

    return centred(np.log(probabilities(root_of_rising(rising, np.zeros(1)))))


def generalized_cross_entropy_scores(shares: np.ndarray, q: float) -> np.ndarray:
    """
    Return the K scores, centred, that minimise the generalised cross-entropy of rows whose classes have these shares.

    The expected gradient p_j sum_k share_k p_k^q - share_j p_j^q is 0 where p_j^(1 - q) is proportional to share_j. The
    closer q to 1, the more of p lies on the most frequent class, and all of it for q = 1.
    """
    below = np.log(shares) - np.log(shares.max())
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        scores = np.where(below < 0, below / (1.0 - q), 0.0)
    return centred(np.maximum(scores, math.log(SMALLEST_SHARE)))


def multiclass_hinge_scores(shares: np.ndarray, margin: float) -> np.ndarray:
    """
    Return K scores, centred, that minimise the Crammer-Singer loss of rows whose classes have these shares.

    A class with more than half of the weight, share s, gains by being `margin` ahead of all others:
    (1 - s) 2 margin < margin. Without one, any lead costs as much as it gains or more.
    """
    return centred(np.where(shares > 0.5, margin, 0.0))
