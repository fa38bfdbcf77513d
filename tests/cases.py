"""One row for each loss: how it is built, what it is fed, how exact it has to be. Every test reads this table.

Tolerances
----------
An exact result is the text-book twin (`fastloss.reference`) in a wider type: float64 for float32 kernels,
extended precision for float64 kernels; the twins themselves are checked against mpmath. A kernel's result may be
wrong by

* 4 ulp, 8 for the Hessian of cross-entropies, Brier's, Cauchy's and the negative binomial's, the product of two such
  results, 6 for Tukey's, the square of one; focal losses
  8 + 2 gamma (12 for the usual gamma), for a power multiplies the error of its base, and with a gamma that is not
  whole 12 + gamma times the margin, for then it is ``exp(gamma log(1 - p))``, whose argument is rounded,
* and by what half an ulp of its input does to the exact result: of the logit, of the residual, of each
  difference from the largest logit of the row.

Where two terms cancel (a probability and a soft target, the losses of the two labels of a soft target, the two parts
of the Hessian of a loss that is not convex, Poly1 with a negative epsilon), ulps are those of the sum of the terms'
magnitudes. Not so for the log link, where the mean is subtracted from the target wherever the prediction is a good
one: there the kernels compute the exponential in two words, and value and gradient are held to 4 ulp of the *result*
plus 1/16 ulp of the larger term.

A sample weight and the division by the sum of weights add one ulp each. Kernels avoid subnormal numbers: an exponential
below the smallest normal number may be lost, with whatever it is multiplied by.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

import fastloss as fl
from fastloss import reference

DTYPES = (np.float32, np.float64)
SPREADS = ("normal", "wide", "huge", "small")
CLASS_WEIGHT = "drawn"  # stands for a vector that fits the number of classes


@dataclass(frozen=True)
class Case:
    function: str
    constructor: str
    # Of the target: "real", "probability" (elementwise), "count" (>= 0), "positive" (> 0), "class" (index or
    # probabilities of a row), "set" (elementwise, but one number for all of them), "together" (rows that belong to
    # groups or strata: tests/test_segments.py), "real row", "positive row", "count row", "share row" (in (0, 1)) and
    # "ordered row" (a class index): one number for a row of several that mean different things.
    domain: str
    parameters: tuple[dict[str, Any], ...]
    refused: tuple[tuple[dict[str, Any], str], ...]  # parameters, and the one the message has to name
    exact: Callable[..., Any]  # value in mpmath
    ulps: Callable[..., float] = lambda **parameters: 4.0
    ulps_of_input: Callable[..., Any] | None = None  # ulps that the input accounts for, beyond its own half ulp
    hessian_ulps: float = 4.0  # at least
    # Where a part of the formula may overflow though a tiny target brings it back: anything but nan is right there.
    overflows: Callable[..., Any] | None = None
    terms: Callable[..., Any] | None = None  # magnitudes of the terms, where they cancel
    larger_terms: Callable[..., Any] | None = None  # where they cancel and count only 1/64
    of_target: Callable[..., Any] = lambda t, **parameters: 1.0  # a factor of a loss of the residual
    lost: Callable[..., Any] = lambda tiny, z, t, **parameters: 1.0  # what exponentials are multiplied by
    # Where a derivative jumps: residuals for real targets, else logits.
    kinks: Callable[..., tuple[float, ...]] = lambda **parameters: ()
    gap: Callable[..., Any] | None = None  # how far a row is from where a derivative jumps
    convex: bool = True
    # What majorize promises beyond the curvature: a parabola above the whole loss; no step beyond the minimum.
    parabola: bool = True
    stops_at_minimum: bool = False
    curvatures: Callable[..., Any] | None = None  # psd and majorize, as documented
    has_posterior: bool = True
    logarithms: tuple[bool, ...] = ()  # of the columns of a row: those whose exponential counts
    inverse_link: str = "identity"
    twin: Callable[..., Any] = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "twin", getattr(reference, self.function))

    @property
    def rowwise(self):
        return self.domain == "class"

    @property
    def setwise(self):
        return self.domain == "set"

    @property
    def together(self):
        return self.domain == "together"

    @property
    def columnwise(self):
        return self.domain.endswith(" row")

    @property
    def kinds(self):
        return {
            "real": ("real",),
            "count": ("count",),
            "positive": ("positive",),
            "probability": ("hard", "soft"),
            "set": ("hard", "soft"),
            "together": (),
            "class": ("index", "probability"),
        }[self.domain]

    @property
    def has_options(self):
        """Class weights, label smoothing, an ignored class."""
        return "class_weight" in inspect.signature(self.twin).parameters

    def parameter(self, name, parameters):
        """Its value, given or the default; 0 for a loss without it."""
        known = inspect.signature(self.twin).parameters
        return parameters.get(name, known[name].default if name in known else 0.0)

    def from_kink(self, z, t, parameters):
        """How far each prediction (or row) is from where a derivative jumps."""
        if self.gap is not None:
            return self.gap(z, t, **parameters)
        x = z - t if self.domain == "real" else z
        distances = [np.abs(x - kink) for kink in self.kinks(**parameters)]
        distance = np.min(distances, axis=0) if distances else np.full(np.shape(x), np.inf)
        return distance.min(axis=-1) if self.rowwise else distance

    def build(self, parameters, n_classes=None):
        return getattr(fl, self.constructor)(**resolve(parameters, n_classes))

    def __str__(self):
        return self.function


def resolve(parameters, n_classes=None):
    """Parameters with a class weight of the right length."""
    if parameters.get("class_weight") is not CLASS_WEIGHT:
        return dict(parameters)
    weight = np.random.default_rng(n_classes).uniform(0.2, 3.0, n_classes)
    return {**parameters, "class_weight": weight}


# ---------------------------------------------------------------- terms that cancel, ulps


def _row_parts(z, t, class_weight=None, label_smoothing=0.0, ignore_index=None):
    z, a, _ = reference._amounts(z, t, class_weight, label_smoothing, ignore_index, -1)
    return a, np.sum(a, axis=-1, keepdims=True), *reference._probabilities(z)


def _is_one_hot(z, t, label_smoothing):
    return np.ndim(t) < np.ndim(z) and label_smoothing == 0


def _cross_entropy_terms(z, t, **parameters):
    a, total, log_p, p, rest, _ = _row_parts(z, t, **parameters)
    one_hot = _is_one_hot(z, t, parameters.get("label_smoothing", 0.0))
    return None, (total - a) * p + a * rest if one_hot else total * p + a, None


def _focal_terms(z, t, gamma=2.0, **parameters):
    a, _, log_p, p, rest, is_largest = _row_parts(z, t, **parameters)
    p_phi = reference._times(p, np.where(rest == 0, 1.0, -log_p / rest))
    g = a * rest**gamma * (1 + gamma * p_phi)
    total = g.sum(axis=-1, keepdims=True)
    one_hot = _is_one_hot(z, t, parameters.get("label_smoothing", 0.0))
    gradient = g * rest + p * (total - g) if one_hot else g + p * total
    e = a * gamma * rest ** (gamma + 1) * (reference._times(p, 2 - log_p) + abs(gamma - 1) * p * p_phi)
    largest = np.sum(np.where(is_largest, e, 0.0), axis=-1, keepdims=True)
    largest_rest = np.sum(np.where(is_largest, rest, 0.0), axis=-1, keepdims=True)
    share = np.where(is_largest | (p == 0), 0.0, p / largest_rest)
    smaller = np.where(is_largest, 0.0, e / rest**2)
    from_others = p**2 * np.sum(smaller, axis=-1, keepdims=True) + share**2 * largest
    return None, gradient, e + from_others + p * rest * total


def _binary_cross_entropy_terms(z, t, pos_weight=None, label_smoothing=0.0):
    t, not_t = reference._binary_target(t, z, label_smoothing)
    qt = t if pos_weight is None else pos_weight * t
    return None, not_t * reference.sigmoid(z) + qt * reference.sigmoid(-z), None


def _binary_focal_terms(z, t, gamma=2.0, alpha=None, label_smoothing=0.0):
    t, not_t = reference._binary_target(t, z, label_smoothing)
    if alpha is not None:
        t, not_t = alpha * t, (1 - alpha) * not_t

    def hessian(m):
        s, rho, loss = reference.sigmoid(m), reference.sigmoid(-m), -reference.log_sigmoid(m)
        s_phi = reference._times(s, np.where(rho == 0, 1.0, loss / rho))
        return rho ** (gamma + 1) * (s * (1 + 2 * gamma + gamma**2 * s_phi) + gamma * reference._times(s, loss))

    _, first, _ = reference._binary_focal_of_margin(z, gamma)
    _, not_first, _ = reference._binary_focal_of_margin(-z, gamma)
    return None, np.abs(t * first) + np.abs(not_t * not_first), t * hessian(z) + not_t * hessian(-z)


def _both_labels_terms(twin):
    """Of ``t F(z) + (1 - t) F(-z)``: the derivatives of the two labels point in opposite directions."""

    def terms(z, t):
        _, *positive = twin(z, np.ones_like(z))
        _, *negative = twin(z, np.zeros_like(z))
        parts = zip(positive, negative, strict=True)
        return None, *(reference._times(t, np.abs(a)) + reference._times(1 - t, np.abs(b)) for a, b in parts)

    return terms


def _brier_terms(z, t):
    p, not_p = reference.sigmoid(z), reference.sigmoid(-z)
    difference, v = (1 - t) * p + t * not_p, p * not_p
    # The square doubles the relative error of a difference, of which one digit is one of 2 |p - t|.
    value = np.abs(difference * ((1 - t) * p - t * not_p)) * 2
    hessian = 2 * v * ((1 - t) * p * (2 * not_p + p) + t * not_p * (2 * p + not_p))
    return value, 2 * difference * v, hessian


def _kl_divergence_terms(z, t):
    _, gradient, _ = _cross_entropy_terms(z, t)
    if t.ndim < z.ndim:
        return None, gradient, None
    log_p, *_ = reference._probabilities(z)
    value = reference._times(t, -log_p) + np.where(t > 0, -t * np.log(t), 0.0)
    return value.sum(axis=-1), gradient, None


def _mixture_terms(z, t, c, slope, value):
    """Of ``sum_k t_k l(p_k)``, with ``dl/dz_j = c(p_k) (p_j - d_jk)`` and ``p dc/dp = slope``: magnitudes."""
    a, _, log_p, p, rest, _ = _row_parts(z, t)
    g, bend = reference._times(a, c(log_p, p)), reference._times(a, np.abs(slope(log_p, p)))
    total = g.sum(axis=-1, keepdims=True)
    gradient = p * (total - g) + g * rest if t.ndim < z.ndim else p * total + g
    hessian = total * p * rest + p**2 * reference._others(bend) + bend * rest**2
    return value, gradient, hessian


def _poly1_terms(z, t, epsilon=1.0):
    if epsilon >= 0:
        return _mixture_terms(z, t, lambda log_p, p: 1 + epsilon * p, lambda log_p, p: epsilon * p, None)
    # -log p and epsilon (1 - p) cancel, however they are put together; 1 + epsilon p likewise.
    a, _, log_p, _, rest, _ = _row_parts(z, t)
    value = np.sum(reference._times(a, -log_p) + abs(epsilon) * reference._times(a, rest), axis=-1)
    factor = lambda log_p, p: abs(1 + epsilon) + abs(epsilon) * -np.expm1(log_p)
    return _mixture_terms(z, t, factor, lambda log_p, p: epsilon * p, value)


def _generalized_cross_entropy_terms(z, t, q=0.7):
    power = lambda log_p, p: np.exp(q * log_p)
    return _mixture_terms(z, t, power, lambda log_p, p: q * np.exp(q * log_p), None)


def _multiclass_hinge_terms(z, t, margin=1.0):
    _, one, _ = reference.multiclass_hinge(z, t, margin)
    if t.ndim < z.ndim:
        return None, None, None
    # Sums of targets, one of them subtracted.
    return None, np.where(np.isfinite(one), t.sum(axis=-1, keepdims=True) * (one != 0), 0.0) + np.abs(one), None


def _multiclass_hinge_gap(z, t, margin=1.0):
    """How far a row is from a tie of its largest logits, or any of its classes from its kink."""
    down = -np.sort(-z, axis=-1)
    largest, second = down[..., :1], down[..., 1:2]
    third = down[..., 2:3] if z.shape[-1] > 2 else np.full_like(largest, -np.inf)
    other = np.where(z == largest, second, largest)
    gaps = [np.abs(margin + other - z).min(axis=-1), (largest - second)[..., 0], (second - third)[..., 0]]
    return np.min(gaps, axis=0) / 2


def _larger_terms(*terms):
    return [np.max([np.abs(x) for x in each], axis=0) if each else None for each in terms]


def _poisson_larger_terms(z, y):
    mean = np.exp(z)
    return _larger_terms((mean, reference._times(y, z)), (mean, y), ())


def _gamma_larger_terms(z, y):
    ratio = y * np.exp(-z)
    return _larger_terms((z, ratio), (np.ones_like(z), ratio), ())


def _inverse_gaussian_larger_terms(z, y):
    inverse = np.exp(-z)
    falling = inverse * (y * inverse)
    return _larger_terms((falling / 2, inverse), (inverse, falling), (2 * falling, inverse))


def _negative_binomial_larger_terms(z, y, dispersion=1.0):
    scale = np.where(z > 0, 1 / (np.exp(-z) + dispersion), np.exp(z) / (1 + dispersion * np.exp(z)))
    return _larger_terms((), (scale, scale * y * np.exp(-z)), ())


def _tweedie_larger_terms(z, y, power=1.5):
    rising, falling = np.exp((2 - power) * z), reference._times(y, np.exp((1 - power) * z))
    return _larger_terms((), (rising, falling), ())


def _is_whole(gamma):
    return gamma == int(gamma)


def _power_ulps(gamma=2.0, **parameters):
    return 8.0 + 2 * gamma if _is_whole(gamma) else 12.0


def _margin(gamma, rest):
    """gamma times the margin, for a gamma that is not whole."""
    return 0.0 if _is_whole(gamma) else gamma * np.abs(np.log(np.maximum(rest, np.finfo(rest.dtype).tiny)))


def _focal_margin(z, t, gamma=2.0, **parameters):
    _, _, _, _, rest, _ = _row_parts(z, t, **parameters)
    return _margin(gamma, np.min(rest, axis=-1, keepdims=True))


def _binary_focal_margin(z, t, gamma=2.0, **parameters):
    return _margin(gamma, np.asarray(reference.sigmoid(-np.abs(z))))


def _of_row(value, first, second):
    """Magnitudes of the terms of a value and of two columns' gradients, (gradient, Hessian) each."""
    value, *columns = np.broadcast_arrays(value, first[0], second[0], first[1], second[1])
    return value, np.stack(columns[:2], axis=-1), np.stack(columns[2:], axis=-1)


def _gaussian_terms(z, t):
    m, s = z[..., 0], z[..., 1]
    scale = np.exp(-s)
    r = np.abs(t - m) * scale
    return _of_row(np.abs(s) + r**2 / 2 + 1, (r * scale, scale**2), (1 + r**2, 2 * r**2))


def _log_normal_terms(z, t):
    value, gradient, hessian = _gaussian_terms(z, np.log(t))
    return value + np.abs(np.log(t)), gradient, hessian


def _laplace_terms(z, t):
    scale = np.exp(-z[..., 1])
    r = np.abs(t - z[..., 0]) * scale
    return _of_row(np.abs(z[..., 1]) + r + 1, (scale, 0.0), (1 + r, r))


def _logistic_terms(z, t):
    scale = np.exp(-z[..., 1])
    r = np.abs(t - z[..., 0]) * scale
    e = np.exp(-r)
    v, bend = np.tanh(r / 2), 2 * e / (1 + e) ** 2
    moment = r * v + r**2 * bend
    return _of_row(np.abs(z[..., 1]) + r + 1, (v * scale, bend * scale**2), (1 + moment, moment))


def _student_t_terms(z, t, df=5.0):
    scale = np.exp(-z[..., 1])
    square = ((t - z[..., 0]) * scale) ** 2
    if df is None:
        df = np.exp(z[..., 2])
        value, gradient, hessian = _student_t_terms(z[..., :2], t, df)
        share = square / (df + square)
        spread = np.where(square < 0.25 * df, df * share**2, df * (np.log1p(square / df) + share)) + share + 1
        bend = spread + df * share**2
        return (
            value + df * 0,
            np.stack([*np.moveaxis(gradient, -1, 0), spread], -1),
            np.stack([*np.moveaxis(hessian, -1, 0), bend], -1),
        )
    w = (df + 1) / (df + square)
    value = np.abs(z[..., 1]) + (df + 1) / 2 * np.log1p(square / df) + 3
    return _of_row(value, (w * np.sqrt(square) * scale, w * scale**2), (1 + w * square, 2 * w * square))


def _weibull_terms(z, t):
    k = np.exp(z[..., 1])
    u = k * (np.log(t) - z[..., 0])
    x, size = np.exp(u), np.abs(u)
    value = np.abs(np.log(t)) + np.abs(z[..., 1]) + size + x
    return _of_row(value, (k * (1 + x), k**2 * x * (1 + size)), (size * (1 + x) + 1, size * (1 + x) + size**2 * x))


def _gamma_terms(z, t):
    a, d = np.exp(z[..., 1]), np.abs(z[..., 0] - np.log(t))
    x = np.exp(-(z[..., 0] - np.log(t)))
    deviance = np.maximum(x - 1 + np.log(1 / x), 0)
    value = np.abs(z[..., 1]) + 1 + a * deviance + np.abs(np.log(t)) + np.exp(-z[..., 1]) * 0
    return _of_row(value, (a * np.minimum(d, 1 + x), a * x), (1 + a * deviance, 2 + a * deviance))


def _negative_binomial_nll_terms(z, t):
    m, a, q = np.exp(z[..., 0]), np.exp(z[..., 1]), np.exp(-z[..., 1])
    both = 1 + a * m
    first = (m + t) / both
    log_m, log_t = np.log1p(a * m), np.log1p(a * t)
    pull = np.abs(m - t) / both
    near = np.abs(a * pull) < 0.25
    lost = np.where(near, a * pull**2, q * (log_m + log_t) + pull)
    log_sum = np.abs(np.log(t + q)) + np.abs(z[..., 0]) + np.abs(z[..., 1])
    value = q * (log_m + log_t) + t * (log_sum + 2 + np.log1p(t)) + log_sum
    gap = 1.5 + a * 0
    return _of_row(value, (first, m * (1 + a * t) / both**2), (lost + gap, lost + a * (pull * first) + gap))


def _beta_terms(z, t):
    p, m, rest = np.exp(z[..., 1]), reference.sigmoid(z[..., 0]), reference.sigmoid(-z[..., 0])
    log_m, log_rest = np.log(m), np.log(rest)
    log_t, log_other = np.abs(np.log(t)), np.abs(np.log1p(-t))
    deviance = p * (m * (np.abs(log_m) + log_t) + rest * (np.abs(log_rest) + log_other))
    value = deviance + log_t + log_other + np.abs(log_m) + np.abs(log_rest) + np.abs(z[..., 1]) + 3
    pull = p * m * rest * (np.abs(z[..., 0]) + log_t + log_other) + 1
    return _of_row(value, (pull, pull + p * m * rest + 1), (deviance + 3, deviance + 6))


def _all_threshold_terms(z, t, n_classes=3):
    return None, None, None


def _rising_terms(z, t, q=(0.1, 0.5, 0.9), noncrossing=False):
    if not noncrossing:
        return None, None, None
    size = np.abs(z).sum(axis=-1) + np.abs(t) + z.shape[-1]
    ones = np.ones_like(z)
    # the slopes of all quantiles may cancel
    share, bend = np.exp(np.minimum(z, 0)), np.exp(-np.abs(z))
    share[..., 0] = 1
    return z.shape[-1] * size, z.shape[-1] * ones * share, z.shape[-1] * ones * bend


def _gaussian_crps_terms(z, t):
    scale = np.exp(z[..., 1])
    r = np.abs(t - z[..., 0]) / scale
    return _of_row(scale * (r + 1), (np.minimum(1, r), np.exp(-(r**2) / 2) / scale), (scale, 2 * scale))


def _log_normal_crps_terms(z, t):
    return _gaussian_crps_terms(z, np.log(t))


def _zero_inflated_poisson_terms(z, t):
    m, e = np.exp(z[..., 0]), np.abs(z[..., 1])
    w = z[..., 1] + m
    rest_w, zero = reference.sigmoid(-w), t == 0
    value = np.where(zero, 0, m + t * (np.abs(z[..., 0]) + 1 + np.log1p(t)) + e + 2)
    bend_w, pull = reference.sigmoid(w) * rest_w, m * rest_w
    first = np.where(zero, 0, m + t), np.where(zero, pull + m**2 * bend_w, m)
    return _of_row(value, first, (0.0, np.where(zero, bend_w, 0) + 0.25 * np.exp(-e)))


def _no_terms(z, t, **parameters):
    return None, None, None


# ------------------------------------------------------------------------ mpmath values


def _mp_row(mp, z, t, class_weight, label_smoothing, loss_of_class):
    n_classes = len(z)
    w = [1] * n_classes if class_weight is None else [mp.mpf(float(x)) for x in class_weight]
    e = mp.mpf(label_smoothing)
    odds = [mp.exp(x) for x in z]
    p = [x / mp.fsum(odds) for x in odds]
    return mp.fsum(w[k] * ((1 - e) * t[k] + e / n_classes) * loss_of_class(p[k]) for k in range(n_classes))


def _mp_cross_entropy(mp, z, t, class_weight=None, label_smoothing=0.0, ignore_index=None):
    return _mp_row(mp, z, t, class_weight, label_smoothing, lambda p: -mp.log(p))


def _mp_focal(mp, z, t, gamma=2.0, class_weight=None, label_smoothing=0.0, ignore_index=None):
    return _mp_row(mp, z, t, class_weight, label_smoothing, lambda p: -((1 - p) ** mp.mpf(gamma)) * mp.log(p))


def _mp_binary(mp, z, t, label_smoothing, positive, negative):
    e = mp.mpf(label_smoothing)
    t = t * (1 - e) + e / 2
    p = 1 / (1 + mp.exp(-z))
    return t * positive(p) + (1 - t) * negative(p)


def _mp_binary_cross_entropy(mp, z, t, pos_weight=None, label_smoothing=0.0):
    q = mp.mpf(1 if pos_weight is None else pos_weight)
    return _mp_binary(mp, z, t, label_smoothing, lambda p: -q * mp.log(p), lambda p: -mp.log(1 - p))


def _mp_binary_focal(mp, z, t, gamma=2.0, alpha=None, label_smoothing=0.0):
    g = mp.mpf(gamma)
    positive, negative = (1, 1) if alpha is None else (mp.mpf(alpha), 1 - mp.mpf(alpha))
    return _mp_binary(
        mp,
        z,
        t,
        label_smoothing,
        lambda p: -positive * (1 - p) ** g * mp.log(p),
        lambda p: -negative * p**g * mp.log(1 - p),
    )


def _mp_gaussian_nll(mp, z, t):
    return z[1] + ((t - z[0]) * mp.exp(-z[1])) ** 2 / 2 + mp.log(2 * mp.pi) / 2


def _mp_student_t_nll(mp, z, t, df=5.0):
    v, r = mp.exp(z[2]) if df is None else mp.mpf(df), (t - z[0]) * mp.exp(-z[1])
    constant = mp.loggamma(v / 2) + mp.log(v * mp.pi) / 2 - mp.loggamma((v + 1) / 2)
    return z[1] + (v + 1) / 2 * mp.log(1 + r**2 / v) + constant


def _mp_gamma_nll(mp, z, t):
    a = mp.exp(z[1])
    return mp.loggamma(a) - a * (z[1] - z[0] - t * mp.exp(-z[0])) - (a - 1) * mp.log(t)


def _mp_weibull_nll(mp, z, t):
    u = mp.exp(z[1]) * (mp.log(t) - z[0])
    return mp.log(t) - z[1] - u + mp.exp(u)


def _mp_zero_inflated_poisson_nll(mp, z, t):
    m, share = mp.exp(z[0]), 1 / (1 + mp.exp(-z[1]))
    if t == 0:
        return -mp.log(share + (1 - share) * mp.exp(-m))
    return m - t * z[0] + mp.loggamma(t + 1) - mp.log(1 - share)


def _mp_barron(mp, z, t, alpha=1.0, c=1.0):
    a, square = mp.mpf(alpha), ((z - t) / mp.mpf(c)) ** 2
    if a == 2:
        return square / 2
    b = abs(a - 2)
    return mp.log1p(square / b) if a == 0 else b / a * ((1 + square / b) ** (a / 2) - 1)


def _mp_cumulative_logit(mp, z, t, thresholds=(-1.0, 1.0)):
    k = int(t)
    above = [mp.mpf(1), *(1 / (1 + mp.exp(mp.mpf(c) - z)) for c in thresholds), mp.mpf(0)]
    return -mp.log(above[k] - above[k + 1])


def _mp_negative_binomial_nll(mp, z, t):
    m, a = mp.exp(z[0]), mp.exp(z[1])
    q = 1 / a
    gammas = mp.loggamma(q) + mp.loggamma(t + 1) - mp.loggamma(t + q)
    return gammas + q * mp.log1p(a * m) + t * mp.log1p(1 / (a * m))


def _mp_beta_nll(mp, z, t):
    p, m = mp.exp(z[1]), 1 / (1 + mp.exp(-z[0]))
    a, b = p * m, p / (1 + mp.exp(z[0]))
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(p) - (a - 1) * mp.log(t) - (b - 1) * mp.log(1 - t)


def _mp_all_threshold(mp, z, t, n_classes=3):
    return mp.fsum(mp.log1p(mp.exp(-z[k] if t > k else z[k])) for k in range(n_classes - 1))


def _mp_quantiles(mp, z, t, q=(0.1, 0.5, 0.9), noncrossing=False):
    points = list(z)
    for k in range(1, len(points) if noncrossing else 0):
        points[k] = points[k - 1] + mp.log1p(mp.exp(z[k]))
    return mp.fsum(_mp_quantile(mp, a, t, b) for a, b in zip(points, q, strict=True))


def _mp_gaussian_crps(mp, z, t):
    scale = mp.exp(z[1])
    r = (t - z[0]) / scale
    return scale * (r * mp.erf(r / mp.sqrt(2)) + mp.exp(-r * r / 2) * mp.sqrt(2 / mp.pi) - 1 / mp.sqrt(mp.pi))


def _mp_huber(mp, z, t, delta=1.0):
    r, delta = abs(z - t), mp.mpf(delta)
    return r**2 / 2 if r <= delta else delta * (r - delta / 2)


def _mp_both_labels(of_margin):
    return lambda mp, z, t, **parameters: t * of_margin(mp, z) + (1 - t) * of_margin(mp, -z)


def _mp_hinge(mp, m):
    return max(mp.mpf(0), 1 - m)


def _mp_modified_huber(mp, m):
    return _mp_hinge(mp, m) ** 2 if m >= -1 else -4 * m


def _mp_kl_divergence(mp, z, t):
    entropy = -mp.fsum(x * mp.log(x) for x in t if x > 0)
    return _mp_cross_entropy(mp, z, t) - entropy


def _mp_poly1(mp, z, t, epsilon=1.0):
    return _mp_row(mp, z, t, None, 0, lambda p: -mp.log(p) + mp.mpf(epsilon) * (1 - p))


def _mp_generalized_cross_entropy(mp, z, t, q=0.7):
    return _mp_row(mp, z, t, None, 0, lambda p: (1 - p ** mp.mpf(q)) / mp.mpf(q))


def _mp_multiclass_hinge(mp, z, t, margin=1.0):
    return mp.fsum(
        t[k] * max(mp.mpf(0), mp.mpf(margin) + max(z[:k] + z[k + 1 :]) - z[k]) for k in range(len(z)) if len(z) > 1
    )


def _mp_cauchy(mp, z, t, c=1.0):
    c = mp.mpf(c)
    return c**2 / 2 * mp.log(1 + ((z - t) / c) ** 2)


def _mp_fair(mp, z, t, c=1.0):
    x = abs(z - t) / mp.mpf(c)
    return mp.mpf(c) ** 2 * (x - mp.log(1 + x))


def _mp_pseudo_huber(mp, z, t, delta=1.0):
    delta = mp.mpf(delta)
    return delta**2 * (mp.sqrt(1 + ((z - t) / delta) ** 2) - 1)


def _mp_tukey(mp, z, t, c=4.685):
    c = mp.mpf(c)
    return c**2 / 6 * (1 - max(mp.mpf(0), 1 - ((z - t) / c) ** 2) ** 3)


def _mp_quantile(mp, z, t, q=0.5):
    q = mp.mpf(q)
    return max(q * (t - z), (q - 1) * (t - z))


def _mp_expectile(mp, z, t, q=0.5):
    return abs(mp.mpf(q) - (1 if t < z else 0)) * (z - t) ** 2


def _mp_epsilon_insensitive(mp, z, t, epsilon=0.1):
    return max(mp.mpf(0), abs(z - t) - mp.mpf(epsilon))


def _mp_tweedie(mp, z, t, power=1.5):
    up, down = 2 - mp.mpf(power), 1 - mp.mpf(power)
    return mp.exp(up * z) / up - t * mp.exp(down * z) / down


def _mp_negative_binomial(mp, z, t, dispersion=1.0):
    a, m = mp.mpf(dispersion), mp.exp(z)
    return (t + 1 / a) * mp.log(1 + a * m) - t * (z + mp.log(a))


def _mp_tversky(mp, z, t, alpha=0.5, beta=0.5, smooth=1.0):
    """`z` and `t` are the lists of a set."""
    p = [1 / (1 + mp.exp(-x)) for x in z]
    both = mp.fsum(x * y for x, y in zip(p, t, strict=True))
    false_positive, false_negative = mp.fsum(p) - both, mp.fsum(t) - both
    n = both + mp.mpf(smooth)
    return 1 - n / (n + mp.mpf(alpha) * false_positive + mp.mpf(beta) * false_negative)


def _mp_soft_f1(mp, z, t, beta=1.0, smooth=1.0):
    square = mp.mpf(beta) ** 2
    return _mp_tversky(mp, z, t, 1 / (1 + square), square / (1 + square), smooth)


# ----------------------------------------------------------------------------- curvatures
# psd and majorize as the documentation has them.


def _by_label(of_margin):
    def curvatures(z, t, **parameters):
        positive, negative = of_margin(z, **parameters), of_margin(-z, **parameters)
        return [t * a + (1 - t) * b for a, b in zip(positive, negative, strict=True)]

    return curvatures


def _of_residual(formula):
    return lambda z, t, **parameters: formula(z - t, **parameters)


def _tukey_curvatures(r, c=4.685):
    weight = np.maximum(0, 1 - (r / c) ** 2) ** 2
    return weight, weight


def _inverse_gaussian_curvatures(z, y):
    bound = np.exp(-z) * np.maximum(1, 2 * y * np.exp(-z) - 1)
    return bound, bound


def _logarithmic_mean_bound(x, y):
    return (2 * np.sqrt(x) * np.sqrt(y) + (x + y) / 2) / 3


def _poisson_curvatures(z, y):
    return np.exp(z), np.maximum(np.exp(z), _logarithmic_mean_bound(np.exp(z), y))


def _negative_binomial_curvatures(z, y, dispersion=1.0):
    u, both = z + np.log(dispersion), y + 1 / z.dtype.type(dispersion)
    exact = both * reference.sigmoid(u) * reference.sigmoid(-u)
    # mean and target over 1 + dispersion * mean
    bound = _logarithmic_mean_bound(reference.sigmoid(u) / dispersion, y * reference.sigmoid(-u))
    return exact, np.maximum(exact, bound)


def _modified_huber_curvatures(m):
    far = 4 / (1 - np.minimum(m, -1))
    psd = np.where(m >= 1, 0.0, np.where(m < -1, far, 2.0))
    return psd, np.where(m >= 1, 2.0, psd)


# ------------------------------------------------------------------------------ the table

_BAD_SMOOTHING = (
    ({"label_smoothing": -0.1}, "label_smoothing"),
    ({"label_smoothing": 1.5}, "label_smoothing"),
    ({"label_smoothing": np.nan}, "label_smoothing"),
)
_BAD_ROWWISE = _BAD_SMOOTHING + (
    ({"class_weight": [1.0, -1.0]}, "class_weight"),
    ({"class_weight": [1.0, np.nan]}, "class_weight"),
    ({"class_weight": [1.0, np.inf]}, "class_weight"),
    ({"class_weight": [[1.0, 2.0]]}, "class_weight"),
    ({"ignore_index": 1.5}, "ignore_index"),
)
_BAD_SMOOTH = tuple(({"smooth": smooth}, "smooth") for smooth in (-0.1, np.nan, np.inf, "one", None))
_BAD_GAMMA = tuple(({"gamma": gamma}, "gamma") for gamma in (-1.0, np.nan, np.inf, "two"))

TABLE = (
    Case(
        function="cross_entropy",
        constructor="CrossEntropy",
        domain="class",
        parameters=(
            {},
            {"label_smoothing": 0.1},
            {"class_weight": CLASS_WEIGHT},
            {"class_weight": CLASS_WEIGHT, "label_smoothing": 0.25},
        ),
        refused=_BAD_ROWWISE,
        exact=_mp_cross_entropy,
        hessian_ulps=8.0,
        terms=_cross_entropy_terms,
        inverse_link="softmax",
    ),
    Case(
        function="focal",
        constructor="Focal",
        domain="class",
        parameters=(
            {},
            {"gamma": 0.0},
            {"gamma": 0.5},
            {"gamma": 1.0},
            {"gamma": 1.7, "label_smoothing": 0.1},
            {"gamma": 3.0, "class_weight": CLASS_WEIGHT},
            {"gamma": 5.0},
        ),
        refused=_BAD_ROWWISE + _BAD_GAMMA,
        exact=_mp_focal,
        ulps=_power_ulps,
        ulps_of_input=_focal_margin,
        terms=_focal_terms,
        convex=False,
        inverse_link="softmax",
    ),
    Case(
        function="binary_cross_entropy",
        constructor="BinaryCrossEntropy",
        domain="probability",
        parameters=(
            {},
            {"label_smoothing": 0.1},
            {"pos_weight": 3.5},
            {"pos_weight": 0.2, "label_smoothing": 0.3},
        ),
        refused=_BAD_SMOOTHING + tuple(({"pos_weight": q}, "pos_weight") for q in (-1.0, np.nan, np.inf, "heavy")),
        exact=_mp_binary_cross_entropy,
        lost=lambda tiny, z, t, pos_weight=None, **parameters: np.maximum(
            1.0, 0.0 if pos_weight is None else pos_weight
        ),
        hessian_ulps=8.0,
        terms=_binary_cross_entropy_terms,
        inverse_link="sigmoid",
    ),
    Case(
        function="binary_focal",
        constructor="BinaryFocal",
        domain="probability",
        parameters=(
            {},
            {"gamma": 0.0},
            {"gamma": 0.5},
            {"gamma": 1.0, "alpha": 0.25},
            {"gamma": 3.3, "alpha": 0.9},
            {"gamma": 2.0, "alpha": 1.0},
            {"gamma": 2.0, "alpha": 0.0},
            {"gamma": 5.0, "label_smoothing": 0.1},
        ),
        refused=_BAD_SMOOTHING
        + _BAD_GAMMA
        + tuple(({"alpha": alpha}, "alpha") for alpha in (-0.1, 1.1, np.nan, "half")),
        exact=_mp_binary_focal,
        ulps=_power_ulps,
        ulps_of_input=_binary_focal_margin,
        terms=_binary_focal_terms,
        convex=False,
        parabola=False,
        inverse_link="sigmoid",
    ),
    Case(
        function="huber",
        constructor="Huber",
        domain="real",
        parameters=({}, {"delta": 0.1}, {"delta": 1.35}, {"delta": 20.0}),
        refused=tuple(({"delta": delta}, "delta") for delta in (0.0, -1.0, np.nan, np.inf, "one", None)),
        exact=_mp_huber,
        kinks=lambda delta=1.0: (-delta, delta),
    ),
    Case(
        function="squared_error",
        constructor="SquaredError",
        domain="real",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: (z - t) ** 2,
    ),
    Case(
        function="absolute_error",
        constructor="AbsoluteError",
        domain="real",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: abs(z - t),
        kinks=lambda: (0.0,),
    ),
    Case(
        function="absolute_percentage_error",
        constructor="AbsolutePercentageError",
        domain="real",
        parameters=({}, {"epsilon": 1.0}, {"epsilon": 0.1}),
        refused=tuple(({"epsilon": epsilon}, "epsilon") for epsilon in (0.0, -0.1, np.nan, np.inf, "one", None)),
        exact=lambda mp, z, t, epsilon=2.0**-52: abs(z - t) / max(abs(t), mp.mpf(epsilon)),
        of_target=lambda t, epsilon=2.0**-52: epsilon / np.maximum(np.abs(t), epsilon),
        kinks=lambda epsilon=2.0**-52: (0.0,),
        curvatures=lambda z, t, epsilon=2.0**-52: (
            1 / np.maximum(np.abs(t), epsilon),
            1 / np.maximum(np.abs(t), epsilon) / np.abs(z - t),
        ),
    ),
    Case(
        function="multiclass_hinge",
        constructor="MulticlassHinge",
        domain="class",
        parameters=({}, {"margin": 0.3}),
        refused=tuple(({"margin": margin}, "margin") for margin in (0.0, -1.0, np.nan, np.inf, "one", None)),
        exact=_mp_multiclass_hinge,
        terms=_multiclass_hinge_terms,
        gap=_multiclass_hinge_gap,
        has_posterior=False,
        parabola=False,
    ),
    Case(
        function="kl_divergence",
        constructor="KLDivergence",
        domain="class",
        parameters=({},),
        refused=(),
        exact=_mp_kl_divergence,
        hessian_ulps=8.0,
        terms=_kl_divergence_terms,
        inverse_link="softmax",
    ),
    Case(
        function="poly1",
        constructor="Poly1",
        domain="class",
        parameters=({}, {"epsilon": 0.0}, {"epsilon": -0.7}, {"epsilon": -1.0}, {"epsilon": -4.0}, {"epsilon": 5.5}),
        refused=tuple(({"epsilon": epsilon}, "epsilon") for epsilon in (np.nan, np.inf, -np.inf, "one", None)),
        ulps=lambda epsilon=1.0: 5.0 if epsilon >= 0 else 6.0,
        exact=_mp_poly1,
        hessian_ulps=8.0,
        terms=_poly1_terms,
        convex=False,
        inverse_link="softmax",
    ),
    Case(
        function="generalized_cross_entropy",
        constructor="GeneralizedCrossEntropy",
        domain="class",
        parameters=({}, {"q": 0.05}, {"q": 1.0}, {"q": 0.5}),
        refused=tuple(({"q": q}, "q") for q in (0.0, -0.5, 1.5, np.nan, np.inf, "one", None)),
        ulps=lambda q=0.7: 5.0,
        exact=_mp_generalized_cross_entropy,
        hessian_ulps=8.0,
        terms=_generalized_cross_entropy_terms,
        convex=False,
        inverse_link="softmax",
    ),
    Case(
        function="hinge",
        constructor="Hinge",
        domain="probability",
        parameters=({},),
        refused=(),
        exact=_mp_both_labels(_mp_hinge),
        terms=_both_labels_terms(reference.hinge),
        kinks=lambda: (-1.0, 1.0),
        curvatures=_by_label(lambda m: (np.ones_like(m), 1 / (2 * np.abs(1 - m)))),
        has_posterior=False,
    ),
    Case(
        function="squared_hinge",
        constructor="SquaredHinge",
        domain="probability",
        parameters=({},),
        refused=(),
        exact=_mp_both_labels(lambda mp, m: _mp_hinge(mp, m) ** 2),
        terms=_both_labels_terms(reference.squared_hinge),
        kinks=lambda: (-1.0, 1.0),
        stops_at_minimum=True,
        curvatures=_by_label(lambda m: (2.0 * (m < 1), np.full_like(m, 2.0))),
        overflows=lambda largest, z, t: 4 * (1 + np.abs(z)) ** 2 > largest,
    ),
    Case(
        function="modified_huber",
        constructor="ModifiedHuber",
        domain="probability",
        parameters=({},),
        refused=(),
        exact=_mp_both_labels(_mp_modified_huber),
        terms=_both_labels_terms(reference.modified_huber),
        kinks=lambda: (-1.0, 1.0),
        curvatures=_by_label(_modified_huber_curvatures),
        overflows=lambda largest, z, t: 4 * (1 + np.abs(z)) > largest,
    ),
    Case(
        function="exponential",
        constructor="Exponential",
        domain="probability",
        parameters=({},),
        refused=(),
        exact=_mp_both_labels(lambda mp, m: mp.exp(-m)),
        terms=_both_labels_terms(reference.exponential),
        parabola=False,
        stops_at_minimum=True,
        curvatures=_by_label(lambda m: (np.exp(-m), np.exp(-m))),
        inverse_link="sigmoid of twice",
        overflows=lambda largest, z, t: np.abs(z) > 0.999 * np.log(largest),
    ),
    Case(
        function="brier",
        constructor="Brier",
        domain="probability",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: (1 / (1 + mp.exp(-z)) - t) ** 2,
        hessian_ulps=8.0,
        terms=_brier_terms,
        convex=False,
        stops_at_minimum=True,
        curvatures=lambda z, t: (
            2 * (reference.sigmoid(z) * reference.sigmoid(-z)) ** 2,
            np.full_like(z, 0.15406),
        ),
        inverse_link="sigmoid",
    ),
    Case(
        function="smooth_l1",
        constructor="SmoothL1",
        domain="real",
        parameters=({}, {"beta": 0.1}, {"beta": 3.7}),
        refused=tuple(({"beta": beta}, "beta") for beta in (0.0, -1.0, np.nan, np.inf, "one", None)),
        exact=lambda mp, z, t, beta=1.0: _mp_huber(mp, z, t, beta) / mp.mpf(beta),
        kinks=lambda beta=1.0: (-beta, beta),
        stops_at_minimum=True,
        curvatures=_of_residual(lambda r, beta=1.0: (1 / np.maximum(np.abs(r), beta),) * 2),
    ),
    Case(
        function="pseudo_huber",
        constructor="PseudoHuber",
        domain="real",
        parameters=({}, {"delta": 0.1}, {"delta": 13.7}),
        refused=tuple(({"delta": delta}, "delta") for delta in (0.0, -1.0, np.nan, np.inf, "one", None)),
        exact=_mp_pseudo_huber,
        stops_at_minimum=True,
        hessian_ulps=8.0,
        curvatures=_of_residual(
            lambda r, delta=1.0: (np.hypot(1, r / delta) ** -3, 1 / np.hypot(1, r / delta)),
        ),
    ),
    Case(
        function="log_cosh",
        constructor="LogCosh",
        domain="real",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: mp.log(mp.cosh(z - t)),
        stops_at_minimum=True,
        curvatures=_of_residual(
            lambda r: (np.cosh(np.minimum(np.abs(r), 300)) ** -2, np.where(r == 0, 1.0, np.tanh(r) / r))
        ),
    ),
    Case(
        function="fair",
        constructor="Fair",
        domain="real",
        parameters=({}, {"c": 0.1}, {"c": 13.7}),
        refused=tuple(({"c": c}, "c") for c in (0.0, -1.0, np.nan, np.inf, "one", None)),
        exact=_mp_fair,
        # |r|^3 in the value.
        kinks=lambda c=1.0: (0.0,),
        stops_at_minimum=True,
        curvatures=_of_residual(lambda r, c=1.0: (1 / (1 + np.abs(r) / c) ** 2, 1 / (1 + np.abs(r) / c))),
    ),
    Case(
        function="cauchy",
        constructor="Cauchy",
        domain="real",
        parameters=({}, {"c": 0.1}, {"c": 13.7}),
        refused=tuple(({"c": c}, "c") for c in (0.0, -1.0, np.nan, np.inf, "one", None)),
        exact=_mp_cauchy,
        hessian_ulps=8.0,
        terms=lambda z, t, c=1.0: (None, None, 1 / (1 + ((z - t) / c) ** 2)),
        convex=False,
        stops_at_minimum=True,
        curvatures=_of_residual(lambda r, c=1.0: (1 / (1 + (r / c) ** 2),) * 2),
    ),
    Case(
        function="tukey",
        constructor="Tukey",
        domain="real",
        parameters=({}, {"c": 0.1}, {"c": 13.7}),
        refused=tuple(({"c": c}, "c") for c in (0.0, -1.0, np.nan, np.inf, "one", None)),
        exact=_mp_tukey,
        ulps=lambda c=4.685: 6.0,
        terms=lambda z, t, c=4.685: (
            None,
            None,
            np.maximum(0, 1 - ((z - t) / c) ** 2) * (1 + 5 * ((z - t) / c) ** 2),
        ),
        kinks=lambda c=4.685: (-c, c),
        convex=False,
        stops_at_minimum=True,
        curvatures=_of_residual(_tukey_curvatures),
    ),
    Case(
        function="barron",
        constructor="Barron",
        domain="residual",
        parameters=({}, {"alpha": 2.0}, {"alpha": 0.0, "c": 0.3}, {"alpha": -2.0, "c": 2.0}, {"alpha": 1.5, "c": 5.5}),
        refused=tuple(({"alpha": a}, "alpha") for a in (101.0, -101.0, np.nan, np.inf, "one", None))
        + tuple(({"c": c}, "c") for c in (0.0, -1.0, np.nan, np.inf, "one", None)),
        exact=_mp_barron,
        convex=False,
    ),
    Case(
        function="squared_log_error",
        constructor="SquaredLogError",
        domain="above -1",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: (mp.log1p(z) - mp.log1p(t)) ** 2,
        convex=False,
        stops_at_minimum=True,
    ),
    Case(
        function="cumulative_logit",
        constructor="CumulativeLogit",
        domain="ordered",
        parameters=({}, {"thresholds": (0.3,)}, {"thresholds": (-3.0, -0.5, -0.4, 2.0, 2.5)}),
        refused=tuple(
            ({"thresholds": c}, "thresholds")
            for c in ((), (1.0, 1.0), (2.0, 1.0), (np.nan,), (np.inf,), 0.5, [[0.5]], "all", None)
        ),
        exact=_mp_cumulative_logit,
    ),
    Case(
        function="quantile",
        constructor="Quantile",
        domain="real",
        parameters=({}, {"q": 0.1}, {"q": 0.95}),
        refused=tuple(({"q": q}, "q") for q in (0.0, 1.0, -0.5, 1.5, np.nan, np.inf, "one", None)),
        exact=_mp_quantile,
        kinks=lambda q=0.5: (0.0,),
        curvatures=_of_residual(lambda r, q=0.5: (np.ones_like(r), 1 / (2 * np.abs(r)))),
    ),
    Case(
        function="expectile",
        constructor="Expectile",
        domain="real",
        parameters=({}, {"q": 0.1}, {"q": 0.95}),
        refused=tuple(({"q": q}, "q") for q in (0.0, 1.0, -0.5, 1.5, np.nan, np.inf, "one", None)),
        exact=_mp_expectile,
        kinks=lambda q=0.5: (0.0,),
        stops_at_minimum=True,
        curvatures=_of_residual(
            lambda r, q=0.5: (np.where(r > 0, 2 * (1 - q), 2 * q), np.full_like(r, 2 * max(q, 1 - q)))
        ),
    ),
    Case(
        function="epsilon_insensitive",
        constructor="EpsilonInsensitive",
        domain="real",
        parameters=({}, {"epsilon": 0.0}, {"epsilon": 0.3}, {"epsilon": 5.5}),
        refused=tuple(({"epsilon": epsilon}, "epsilon") for epsilon in (-0.1, np.nan, np.inf, "one", None)),
        exact=_mp_epsilon_insensitive,
        kinks=lambda epsilon=0.1: (-epsilon, epsilon),
        stops_at_minimum=True,
        curvatures=_of_residual(
            lambda r, epsilon=0.1: (np.ones_like(r), (1 / np.abs(r - epsilon) + 1 / np.abs(r + epsilon)) / 2)
        ),
    ),
    Case(
        function="squared_epsilon_insensitive",
        constructor="SquaredEpsilonInsensitive",
        domain="real",
        parameters=({}, {"epsilon": 0.0}, {"epsilon": 0.3}, {"epsilon": 5.5}),
        refused=tuple(({"epsilon": epsilon}, "epsilon") for epsilon in (-0.1, np.nan, np.inf, "one", None)),
        exact=lambda mp, z, t, epsilon=0.1: _mp_epsilon_insensitive(mp, z, t, epsilon) ** 2,
        kinks=lambda epsilon=0.1: (-epsilon, epsilon),
        stops_at_minimum=True,
        curvatures=_of_residual(lambda r, epsilon=0.1: (2.0 * (np.abs(r) > epsilon), np.full_like(r, 2.0))),
    ),
    Case(
        function="poisson",
        constructor="Poisson",
        domain="count",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: mp.exp(z) - t * z,
        larger_terms=_poisson_larger_terms,
        parabola=False,
        stops_at_minimum=True,
        curvatures=_poisson_curvatures,
        inverse_link="exp",
    ),
    Case(
        function="gamma",
        constructor="Gamma",
        domain="positive",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: z + t * mp.exp(-z),
        larger_terms=_gamma_larger_terms,
        lost=lambda tiny, z, y: np.maximum(1.0, y),
        parabola=False,
        stops_at_minimum=True,
        curvatures=lambda z, y: (y * np.exp(-z), np.maximum(1, y * np.exp(-z))),
        inverse_link="exp",
        overflows=lambda largest, z, y: -z > 0.999 * np.log(largest),
    ),
    Case(
        function="tweedie",
        constructor="Tweedie",
        domain="count",
        parameters=({}, {"power": 1.1}, {"power": 1.9}),
        refused=tuple(({"power": power}, "power") for power in (1.0, 2.0, 0.0, 3.0, np.nan, np.inf, "one", None)),
        exact=_mp_tweedie,
        larger_terms=_tweedie_larger_terms,
        lost=lambda tiny, z, y, power=1.5: np.maximum(1.0, y) / min(power - 1, 2 - power),
        parabola=False,
        stops_at_minimum=True,
        curvatures=lambda z, y, power=1.5: (
            (2 - power) * np.exp((2 - power) * z) + (power - 1) * y * np.exp((1 - power) * z),
            np.maximum(np.exp((2 - power) * z), y * np.exp((1 - power) * z)),
        ),
        inverse_link="exp",
        overflows=lambda largest, z, y, power=1.5: (
            np.maximum((2 - power) * z, (1 - power) * z + np.log(np.maximum(y, 1))) > 0.95 * np.log(largest)
        ),
    ),
    Case(
        function="inverse_gaussian",
        constructor="InverseGaussian",
        domain="positive",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: t * mp.exp(-2 * z) / 2 - mp.exp(-z),
        larger_terms=_inverse_gaussian_larger_terms,
        lost=lambda tiny, z, y: np.maximum(1.0, y),
        convex=False,
        parabola=False,
        stops_at_minimum=True,
        curvatures=_inverse_gaussian_curvatures,
        inverse_link="exp",
        overflows=lambda largest, z, y: (
            (-z > 0.999 * np.log(largest)) | ((z < 0) & (np.log(y) - 2 * z > 0.99 * np.log(largest)))
        ),
    ),
    Case(
        function="negative_binomial",
        constructor="NegativeBinomial",
        domain="count",
        parameters=({}, {"dispersion": 0.03}, {"dispersion": 7.0}),
        refused=tuple(({"dispersion": a}, "dispersion") for a in (0.0, -1.0, 1e-13, 1e13, np.nan, np.inf, "one", None)),
        exact=_mp_negative_binomial,
        larger_terms=_negative_binomial_larger_terms,
        hessian_ulps=8.0,
        lost=lambda tiny, z, y, dispersion=1.0: np.maximum(1.0, y) * max(dispersion, 1 / dispersion**2),
        parabola=False,
        stops_at_minimum=True,
        curvatures=_negative_binomial_curvatures,
        inverse_link="exp",
    ),
    Case(
        function="gaussian_nll",
        constructor="GaussianNLL",
        domain="real row",
        parameters=({},),
        refused=(),
        exact=_mp_gaussian_nll,
        terms=_gaussian_terms,
        logarithms=(False, True),
    ),
    Case(
        function="laplace_nll",
        constructor="LaplaceNLL",
        domain="real row",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: z[1] + abs(t - z[0]) * mp.exp(-z[1]) + mp.log(2),
        terms=_laplace_terms,
        logarithms=(False, True),
    ),
    Case(
        function="logistic_nll",
        constructor="LogisticNLL",
        domain="real row",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: z[1] + 2 * mp.log(2 * mp.cosh((t - z[0]) * mp.exp(-z[1]) / 2)),
        terms=_logistic_terms,
        logarithms=(False, True),
    ),
    Case(
        function="student_t_nll",
        constructor="StudentTNLL",
        domain="real row",
        parameters=({}, {"df": 0.7}, {"df": None}, {"df": 55.0}),
        refused=tuple(({"df": df}, "df") for df in (0.0, -1.0, np.nan, np.inf, "one")),
        exact=_mp_student_t_nll,
        terms=_student_t_terms,
        lost=lambda tiny, z, t: np.exp(np.abs(z).max(axis=-1)),
        logarithms=(False, True, True),
    ),
    Case(
        function="log_normal_nll",
        constructor="LogNormalNLL",
        domain="positive row",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: _mp_gaussian_nll(mp, z, mp.log(t)) + mp.log(t),
        terms=_log_normal_terms,
        logarithms=(False, True),
    ),
    Case(
        function="gamma_nll",
        constructor="GammaNLL",
        domain="positive row",
        parameters=({},),
        refused=(),
        exact=_mp_gamma_nll,
        terms=_gamma_terms,
        logarithms=(False, True),
    ),
    Case(
        function="weibull_nll",
        constructor="WeibullNLL",
        domain="positive row",
        parameters=({},),
        refused=(),
        exact=_mp_weibull_nll,
        terms=_weibull_terms,
        logarithms=(False, True),
    ),
    Case(
        function="zero_inflated_poisson_nll",
        constructor="ZeroInflatedPoissonNLL",
        domain="count row",
        parameters=({},),
        refused=(),
        exact=_mp_zero_inflated_poisson_nll,
        terms=_zero_inflated_poisson_terms,
        lost=lambda tiny, z, t: 1 + np.exp(2 * z[..., 0]),
        logarithms=(True, True),
    ),
    Case(
        function="negative_binomial_nll",
        constructor="NegativeBinomialNLL",
        domain="count row",
        parameters=({},),
        refused=(),
        exact=_mp_negative_binomial_nll,
        terms=_negative_binomial_nll_terms,
        lost=lambda tiny, z, t: (1 + t) * np.exp(2 * np.abs(z).max(axis=-1)),
        logarithms=(True, True),
    ),
    Case(
        function="beta_nll",
        constructor="BetaNLL",
        domain="share row",
        parameters=({},),
        refused=(),
        exact=_mp_beta_nll,
        terms=_beta_terms,
        logarithms=(True, True),
    ),
    Case(
        function="all_threshold",
        constructor="AllThreshold",
        domain="ordered row",
        parameters=({}, {"n_classes": 2}, {"n_classes": 12}),
        refused=tuple(({"n_classes": n}, "n_classes") for n in (1, 66, 3.0, "one", None, True)),
        exact=_mp_all_threshold,
        terms=_all_threshold_terms,
    ),
    Case(
        function="gaussian_crps",
        constructor="GaussianCRPS",
        domain="real row",
        parameters=({},),
        refused=(),
        exact=_mp_gaussian_crps,
        terms=_gaussian_crps_terms,
        logarithms=(False, True),
    ),
    Case(
        function="log_normal_crps",
        constructor="LogNormalCRPS",
        domain="positive row",
        parameters=({},),
        refused=(),
        exact=lambda mp, z, t: _mp_gaussian_crps(mp, z, mp.log(t)),
        terms=_log_normal_crps_terms,
        logarithms=(False, True),
    ),
    Case(
        function="quantiles",
        constructor="Quantiles",
        domain="real row",
        parameters=(
            {},
            {"q": (0.25,)},
            {"q": (0.1, 0.5, 0.6, 0.9), "noncrossing": True},
            {"q": (0.4,), "noncrossing": True},
            {"q": tuple(k / 20 for k in range(1, 20)), "noncrossing": True},
            {"q": tuple(k / 20 for k in range(1, 20))},
        ),
        refused=tuple(
            ({"q": q}, "q")
            for q in ((), (0.0, 0.5), (0.5, 1.0), (0.5, 0.5), (0.9, 0.1), (np.nan,), 0.5, [[0.5]], "all", None)
        )
        + tuple(({"noncrossing": x}, "noncrossing") for x in (None, 1, "yes")),
        exact=_mp_quantiles,
        terms=_rising_terms,
    ),
    Case(
        function="tversky",
        constructor="Tversky",
        domain="set",
        parameters=({}, {"alpha": 0.3, "beta": 0.7, "smooth": 0.0}, {"alpha": 2.0, "beta": 0.0, "smooth": 0.5}),
        refused=_BAD_SMOOTH
        + tuple(({name: x}, name) for name in ("alpha", "beta") for x in (-0.1, np.nan, np.inf, "one", None)),
        exact=_mp_tversky,
        inverse_link="sigmoid",
    ),
    Case(
        function="dice",
        constructor="Dice",
        domain="set",
        parameters=({}, {"smooth": 0.0}, {"smooth": 12.5}),
        refused=_BAD_SMOOTH,
        exact=lambda mp, z, t, smooth=1.0: _mp_tversky(mp, z, t, 0.5, 0.5, smooth),
        inverse_link="sigmoid",
    ),
    Case(
        function="jaccard",
        constructor="Jaccard",
        domain="set",
        parameters=({}, {"smooth": 0.0}, {"smooth": 12.5}),
        refused=_BAD_SMOOTH,
        exact=lambda mp, z, t, smooth=1.0: _mp_tversky(mp, z, t, 1, 1, smooth),
        inverse_link="sigmoid",
    ),
    Case(
        function="soft_f1",
        constructor="SoftF1",
        domain="set",
        parameters=({}, {"beta": 2.0, "smooth": 0.0}, {"beta": 0.5, "smooth": 0.1}),
        refused=_BAD_SMOOTH + tuple(({"beta": beta}, "beta") for beta in (-1.0, np.nan, np.inf, "one", None)),
        exact=_mp_soft_f1,
        inverse_link="sigmoid",
    ),
    Case(
        function="cox_ph",
        constructor="CoxPH",
        domain="together",
        parameters=({}, {"ties": "breslow"}),
        refused=tuple(({"ties": ties}, "ties") for ties in ("exact", None, 1.0)),
        exact=lambda *arguments, **parameters: None,  # tests/test_segments.py
        has_posterior=False,
    ),
    Case(
        function="aft",
        constructor="AFT",
        domain="together",
        parameters=({}, {"distribution": "logistic"}, {"distribution": "extreme", "scale": 0.5}),
        refused=(
            ({"distribution": "cauchy"}, "distribution"),
            *(({"scale": scale}, "scale") for scale in (0.0, -1.0, np.nan, np.inf, "one")),
        ),
        exact=lambda *arguments, **parameters: None,
        has_posterior=False,
        inverse_link="log",
    ),
    *(
        Case(
            function=function,
            constructor=constructor,
            domain="together",
            parameters=({},),
            refused=(),
            exact=lambda *arguments, **parameters: None,
            has_posterior=False,
        )
        for function, constructor in (("group_softmax", "GroupSoftmax"), ("pairwise_logistic", "PairwiseLogistic"))
    ),
)

# Losses of sets are not elementwise in anything: tests/test_sets.py has their tests; tests/test_columns.py those of
# rows of numbers that mean different things, tests/test_segments.py those of rows that belong together.
# Those with targets or predictions of their own kind, or digits that depend on a parameter: tests/test_ordinal.py,
# tests/test_squared_log_error.py, tests/test_barron.py.
OWN = tuple(case for case in TABLE if case.domain in ("ordered", "above -1", "residual"))
CASES = tuple(
    case for case in TABLE if not case.setwise and not case.columnwise and not case.together and case not in OWN
)
COLUMNS = tuple(case for case in TABLE if case.columnwise)
POINTWISE = tuple(case for case in CASES if not case.rowwise)
ROWWISE = tuple(case for case in CASES if case.rowwise)
SETS = tuple(case for case in TABLE if case.setwise)


def label(parameters):
    text = ",".join(f"{k}={v if not isinstance(v, np.ndarray) else '...'}" for k, v in parameters.items())
    return text or "defaults"


# ---------------------------------------------------------------------- configured losses


class Setup(NamedTuple):
    """A configured loss and the kind of target that it is fed."""

    case: Case
    given: dict[str, Any]
    kind: str

    def parameters(self, n_classes=None):
        return resolve(self.given, n_classes)

    def build(self, n_classes=None):
        return self.case.build(self.given, n_classes)

    def draw(self, shape, dtype=np.float64, spread="normal", seed=0):
        return draw(self.case, self.kind, shape, dtype, spread, seed)

    def __str__(self):
        return f"{self.case}-{label(self.given)}-{self.kind}"


SETUPS = tuple(Setup(case, p, kind) for case in CASES for p in case.parameters for kind in case.kinds)
# One parameter set of each loss that uses all of them: for what depends on the way and not on the formula.
FEW_SETUPS = tuple(Setup(case, case.parameters[-1], kind) for case in CASES for kind in case.kinds)


# ----------------------------------------------------------------------------------- draws


def draw_prediction(rng, shape, dtype=np.float64, spread="normal"):
    x = rng.normal(size=shape)
    if spread == "normal":
        x *= 2
    elif spread == "wide":
        x *= 25
    elif spread == "huge":
        x = np.sign(x) * 10 ** rng.uniform(1, 4, shape)
    elif spread == "small":
        x = np.sign(x) * 10 ** rng.uniform(-30, 0, shape)
    return x.astype(dtype)


def draw_target(rng, kind, shape, dtype=np.float64):
    """`shape` is the prediction's; classes stand last."""
    if kind == "real":
        return rng.normal(size=shape).astype(dtype)
    if kind == "hard":
        return rng.integers(0, 2, shape).astype(dtype)
    if kind == "count":
        # A mixture of counts and other numbers, many of them 0.
        whole = rng.poisson(rng.choice([0.3, 3.0, 300.0], shape))
        return np.where(rng.uniform(size=shape) < 0.5, whole, 10 ** rng.normal(size=shape)).astype(dtype)
    if kind == "positive":
        return (10 ** rng.normal(size=shape)).astype(dtype)
    if kind == "soft":
        t = rng.uniform(0, 1, shape)
        return np.where(rng.uniform(size=shape) < 0.2, np.round(t), t).astype(dtype)
    if kind == "index":
        return rng.integers(0, shape[-1], shape[:-1])
    t = rng.exponential(size=shape) * (rng.uniform(size=shape) < 0.7)
    return (t / np.maximum(t.sum(axis=-1, keepdims=True), 1e-3)).clip(0, 1).astype(dtype)


def draw(case, kind, shape, dtype=np.float64, spread="normal", seed=0):
    rng = np.random.default_rng([seed, *map(int, shape)])
    if not case.rowwise:
        return draw_prediction(rng, shape, dtype, spread), draw_target(rng, kind, shape, dtype)
    z = draw_prediction(rng, shape, dtype, spread)
    return z, draw_target(rng, kind, shape, dtype)


def draw_columns(case, loss, shape, dtype, spread="normal", seed=0):
    """Raw scores with the columns last, and targets."""
    rng = np.random.default_rng([seed, *shape])
    width = {"normal": 1.0, "wide": 6.0, "small": 1e-3}[spread]
    z = (width * rng.normal(size=(*shape, len(loss.columns)))).astype(dtype)
    t = {
        "real row": lambda: rng.normal(size=shape) * 2,
        "positive row": lambda: rng.exponential(size=shape) + 1e-3,
        "count row": lambda: rng.poisson(3, shape) * rng.integers(0, 2, shape),
        "share row": lambda: rng.beta(0.7, 1.3, shape).clip(2.0**-20, 1 - 2.0**-20),
        "ordered row": lambda: rng.integers(0, len(loss.columns) + 1, shape),
    }[case.domain]()
    return z, t.astype(dtype)


def some_target(case):
    """A target that a loss of columns takes."""
    return 0.5 if case.domain == "share row" else 1.0


def fixed_numbers(n, seed):
    """n numbers in [0, 1), exact in float32, from integer arithmetic alone: the same on every machine."""
    x = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    x = (x ^ (x >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return (x >> np.uint64(41)).astype(np.float64) / 2.0**23


def fixed_inputs(kind, shape, dtype):
    """Rows of logits and the targets of a kind, the same on every machine: what digests are taken of."""
    n, n_classes = int(np.prod(shape)), shape[-1]
    z = (fixed_numbers(n, 1) - 0.5) * np.where(fixed_numbers(n, 2) < 0.25, 256.0, 16.0)
    u = fixed_numbers(n, 3)
    t = {
        "real": (u - 0.5) * 8,
        "hard": np.floor(u * 2),
        "soft": u,
        "count": np.floor(u * 8),
        "positive": u + 0.0625,
        "share": u * 0.9375 + 0.03125,
        "ordered": np.floor(u * (n_classes + 1)),
        "index": u,
        "probability": u / max(4, 2 ** int(n_classes - 1).bit_length() / 2),
    }[kind]
    z, t = z.reshape(shape).astype(dtype), t.reshape(shape).astype(dtype)
    return (z, np.floor(t[:, 0] * n_classes).astype(np.int64)) if kind == "index" else (z, t)


def hard_numbers(dtype):
    """Logits and residuals that break careless code."""
    info = np.finfo(dtype)
    edges = (-np.log(info.smallest_subnormal), -np.log(info.tiny), np.log(info.max), -np.log(info.eps), 17.0)
    positive = [0.0, info.smallest_subnormal, info.tiny, info.eps, 1e-4, 1.0, 0.5, 1e30, info.max, np.inf]
    positive += [float(edge) * factor for edge in edges for factor in (0.99, 1.0, 1.01)]
    numbers = np.array(positive + [-x for x in positive] + [np.nan], dtype)
    return numbers


def hard_rows(dtype):
    """Rows of three logits that break careless code."""
    info = np.finfo(dtype)
    inf, nan, big, tiny = np.inf, np.nan, float(info.max), float(info.smallest_subnormal)
    rows = [
        [0, 0, 0],
        [-0.0, 0.0, -0.0],
        [tiny, -tiny, 0],
        [17, 0, 0],
        [0, 104, -104],
        [0, 0, 120],
        [300, -300, 0],
        [800, 0, -800],
        [1e4, 1e4, -1e4],
        [-1e30, -1e30, -1e30],
        [1e30, 1, 1],
        [0.4 * big, 0, -0.4 * big],
        [big, big, big],
        [-big, -big, -big],
        [-inf, 0, 1],
        [0, -inf, -inf],
        [-inf, -inf, -1e30],
        [inf, 0, 1],
        [0, 1, inf],
        [-inf, inf, 0],
        [-inf, inf, -inf],
        [inf, big, -big],
        [inf, inf, 0],
        [inf, inf, inf],
        [-inf, -inf, -inf],
        [nan, 0, 1],
        [0, 0, nan],
        [inf, nan, 0],
        [-inf, nan, -inf],
    ]
    return np.array(rows, dtype)


# ------------------------------------------------------------------- what is expected


def wide(dtype):
    """The type in which a result of `dtype` counts as exact."""
    return np.float64 if np.dtype(dtype) == np.float32 else np.longdouble


def has_wide(dtype):
    return np.finfo(wide(dtype)).eps < np.finfo(dtype).eps / 256


class Bounded(NamedTuple):
    exact: Any
    tolerance: Any


class Element(NamedTuple):
    """What an error is counted in, and how much of it is the input's."""

    exact: Any
    ulp: Any
    of_input: Any


class Expected(NamedTuple):
    value: Bounded
    gradient: Bounded
    hessian: Bounded


def ulp(magnitude, dtype):
    """Distance of neighbouring numbers of `dtype` at this magnitude."""
    info = np.finfo(dtype)
    magnitude = np.abs(magnitude)
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(np.where(np.isfinite(magnitude), magnitude, 1.0))
        spacing = np.ldexp(np.asarray(info.eps, magnitude.dtype), exponent - 1)
    return np.maximum(spacing, np.asarray(info.smallest_subnormal, magnitude.dtype))


@np.errstate(all="ignore")
def _difference(changed, base):
    d = np.abs(changed - base)
    return np.where(np.isfinite(d), d, 0.0)


def _of_class(x, index):
    """One number of each row."""
    index = np.clip(np.asarray(index, np.int64), 0, x.shape[-1] - 1)
    return np.take_along_axis(x, index[..., np.newaxis], axis=-1)[..., 0]


@np.errstate(all="ignore")
def _input_slack(case, parameters, z, t, dtype, base, magnitudes):
    """What half an ulp of the input does to the exact value, gradient and Hessian."""
    half = np.finfo(dtype).eps / z.dtype.type(2)
    if not case.rowwise:
        factor = case.of_target(t, **parameters)
        if case.domain == "real":
            z, t = z - t, np.zeros_like(z)
        still, *changes = (case.twin(z * (1 + h), t, **parameters) for h in (0, half, -half))
        return [
            factor * np.maximum(_difference(up, exact), _difference(down, exact))
            for up, down, exact in zip(*changes, still, strict=True)
        ]

    n_classes = z.shape[-1]
    largest = z.max(axis=-1, keepdims=True)
    below = np.where(z == largest, 0.0, z - largest)
    if n_classes <= 64:
        # One copy of the row for each of its logits, with that logit moved.
        moved = np.where(np.eye(n_classes, dtype=bool), (z + below * half)[..., np.newaxis, :], z[..., np.newaxis, :])
        if t.ndim == z.ndim:
            copies = np.broadcast_to(t[..., np.newaxis, :], moved.shape)
        else:
            copies = np.broadcast_to(t[..., np.newaxis], moved.shape[:-1])
        value, gradient, hessian = case.twin(moved, copies, **parameters)
        return [
            _difference(value, base[0][..., np.newaxis]).sum(axis=-1),
            _difference(gradient, base[1][..., np.newaxis, :]).sum(axis=-2),
            _difference(hessian, base[2][..., np.newaxis, :]).sum(axis=-2),
        ]
    if case.gap is not None:
        return [half * np.sum(np.abs(base[1]) * np.where(np.isfinite(below), np.abs(below), 0.0), axis=-1), 0.0, 0.0]
    # Many classes: log p_j moves by at most |d_j| + sum_k p_k |d_k| halves of an ulp, and with it all the rest. Of
    # losses of p_k other than its logarithm the derivative has a power or multiple of p_k, too.
    _, p, _, _ = reference._probabilities(z)
    finite = np.where(np.isfinite(below), np.abs(below), 0.0)
    mean = np.sum(p * finite, axis=-1, keepdims=True)
    relative = (1 + parameters.get("gamma", 0.0)) * half * (finite + mean)
    true = np.where(t > 0, finite, 0.0).max(axis=-1) if t.ndim == z.ndim else _of_class(finite, t)
    strength = case.parameter("q", parameters) + abs(case.parameter("epsilon", parameters))
    relative += strength * half * (true[..., np.newaxis] + mean)
    slack = [
        half * np.sum(np.abs(base[1]) * finite, axis=-1),
        relative * magnitudes[1],
        2 * relative * magnitudes[2],
    ]
    return [np.where(np.isfinite(s), s, 0.0) for s in slack]


@np.errstate(all="ignore")
def elements(case, parameters, z, t, dtype):
    """Value, gradient and Hessian of `z` and `t` in the wide type, classes last: exact, and how errors are counted."""
    base = case.twin(z, t, **parameters)
    terms = (None, None, None) if case.terms is None else case.terms(z, t, **parameters)
    terms = [
        np.abs(exact) if magnitude is None else np.maximum(magnitude, np.abs(exact))
        for exact, magnitude in zip(base, terms, strict=True)
    ]
    ulps = [ulp(magnitude, dtype) for magnitude in terms]
    slack = _input_slack(case, parameters, z, t, dtype, base, terms)
    if case.larger_terms is not None:
        larger = case.larger_terms(z, t, **parameters)
        ulps = [x if each is None else x + ulp(each, dtype) / 64 for x, each in zip(ulps, larger, strict=True)]
    if case.ulps_of_input is not None:
        more = np.asarray(case.ulps_of_input(z, t, **parameters))
        slack = [
            x + each * (more.reshape(each.shape) if more.size == each.size else more)
            for x, each in zip(slack, ulps, strict=True)
        ]
    # Each class's probability may be lost, and with it what focal losses make of it: up to (1 + gamma)^2 |log p| p.
    tiny = z.dtype.type(np.finfo(dtype).tiny)
    lost = (4 + (z.shape[-1] if case.rowwise else 0)) * tiny * case.lost(tiny, z, t, **parameters)
    if "focal" in case.function:
        lost *= (1 + parameters.get("gamma", 2.0)) ** 2 * -np.log(tiny)
    return [Element(exact, each, x + lost) for exact, each, x in zip(base, ulps, slack, strict=True)]


def tversky_parameters(case, parameters):
    """Every case as alpha, beta and smooth."""
    smooth = parameters.get("smooth", 1.0)
    if case.function == "tversky":
        return parameters.get("alpha", 0.5), parameters.get("beta", 0.5), smooth
    if case.function == "soft_f1":
        square = parameters.get("beta", 1.0) ** 2
        return 1 / (1 + square), square / (1 + square), smooth
    return (0.5, 0.5, smooth) if case.function == "dice" else (1.0, 1.0, smooth)


@np.errstate(all="ignore")
def set_elements(case, parameters, z, t, w, axis, dtype):
    """As `elements`, of a loss of sets: value of each set, gradient and Hessian of each element."""
    base = case.twin(z, t, **parameters, sample_weight=w, axis=axis)
    alpha, beta, smooth = (z.dtype.type(x) for x in tversky_parameters(case, parameters))

    counts = w > 0
    z, t = np.where(counts, z, 0), np.where(counts, t, 0)
    p, not_p, not_t = reference.sigmoid(z), reference.sigmoid(-z), 1 - t
    v = w * (p * not_p)
    half = np.finfo(dtype).eps / z.dtype.type(2)
    moved = half * np.where(np.isfinite(z), np.abs(z), 0)  # half an ulp of the logit

    def total(x):
        return np.sum(np.where(counts, x, 0), axis=axis, keepdims=True)

    n, fp, fn = total(w * p * t) + smooth, total(w * p * not_t), total(w * not_p * t)
    wrong = alpha * fp + beta * fn
    d = n + wrong
    q = (t * (wrong + beta * n) + not_t * alpha * n) / d**2
    bend = 1 + 2 * v * (t + alpha * not_t + beta * t) / d
    terms = [np.abs(base[0]), v * q, v * q * bend]
    moved_n, moved_wrong = total(v * moved * t), total(v * moved * (alpha * not_t + beta * t))
    moved_d = moved_n + moved_wrong
    moved_q = (t * (moved_wrong + beta * moved_n) + not_t * alpha * moved_n) / d**2 + 2 * q * moved_d / d
    of_input = [
        np.squeeze(total(np.abs(base[1]) * moved), axis=axis),
        v * moved_q + v * q * moved,
        (v * moved_q + v * q * (3 * moved + moved_d / d)) * bend,
    ]
    # Sigmoids below the smallest normal number may be lost, and with them what they are divided by.
    tiny = 8 * np.finfo(dtype).tiny * max(1.0, float(np.max(w))) * max(1.0, float(alpha), float(beta))
    lost = tiny * np.maximum(1, 1 / d)
    lost = np.squeeze(lost, axis=axis), lost, lost * np.maximum(1, 1 / d)
    return [
        Element(exact, ulp(each, dtype), more + nothing)
        for exact, each, more, nothing in zip(base, terms, of_input, lost, strict=True)
    ]


@np.errstate(all="ignore")
def expected(case, parameters, prediction, target, dtype, *, sample_weight=None, reduction="none", axis=-1):
    """Exact value, gradient and Hessian with the error that is allowed, for results of `dtype`."""
    real = wide(dtype)
    z = np.asarray(prediction).astype(real)
    t = np.asarray(target)
    if t.dtype.kind in "fV":
        t = t.astype(real)
    if case.rowwise:
        z = np.moveaxis(z, axis, -1)
        t = np.moveaxis(t, axis, -1) if t.ndim == z.ndim else t
    else:
        t = np.broadcast_to(t, z.shape)

    parts = elements(case, parameters, z, t, dtype)
    base = [part.exact for part in parts]
    ulps = case.ulps(**parameters)
    tolerance = [
        part.ulp * max(ulps, case.hessian_ulps if i == 2 else 0) + part.of_input for i, part in enumerate(parts)
    ]
    if case.overflows is not None:
        beyond = case.overflows(np.finfo(dtype).max, z, t, **parameters)
        tolerance = [np.where(beyond, np.inf, allowed) for allowed in tolerance]

    if case.rowwise:
        counts = np.ones(z.shape[:-1], real)
        if t.ndim < z.ndim:
            if parameters.get("class_weight") is not None:
                counts = np.asarray(parameters["class_weight"], real)[np.clip(t.astype(np.int64), 0, z.shape[-1] - 1)]
            if parameters.get("ignore_index") is not None:
                counts = np.where(t == parameters["ignore_index"], 0.0, counts)
        w = np.ones(z.shape[:-1], real)
    else:
        counts = np.ones(z.shape, real)
        w = np.ones(z.shape, real)
    more = 0.0
    if sample_weight is not None:
        w = np.broadcast_to(np.asarray(sample_weight, real), w.shape)
        more += 1
    total = np.sum(w * counts)
    if reduction == "mean":
        more += 1

    def scaled(i, scale):
        exact = np.where(scale == 0, 0.0, base[i] * scale)
        bound = np.where(scale == 0, 0.0, tolerance[i] * scale)
        bound = bound + np.where(scale == 0, 0.0, more * ulp(exact, dtype))
        return exact, np.where(np.isnan(bound), 0.0, bound)

    per_row = w[..., np.newaxis] if case.rowwise else w
    derivative_scale = per_row / total if reduction == "mean" and total > 0 else per_row
    derivatives = []
    for i in (1, 2):
        exact, bound = scaled(i, np.broadcast_to(derivative_scale, base[i].shape))
        if case.rowwise:
            exact, bound = np.moveaxis(exact, -1, axis), np.moveaxis(bound, -1, axis)
        derivatives.append(Bounded(exact, bound))
    exact, bound = scaled(0, w)
    if reduction == "none":
        value = Bounded(exact, bound)
    else:
        divisor = total if reduction == "mean" else 1.0
        roundoff = 8 * np.finfo(np.float64).eps * np.sum(np.abs(exact)) / divisor
        value = Bounded(np.sum(exact) / divisor, np.sum(bound) / divisor + roundoff)
    return Expected(value, *derivatives)


@np.errstate(all="ignore")
def expected_of_columns(case, loss, parameters, z, t, ulps=8):
    """Exact value, gradient and Hessian, and what they may be off by: ulps of their terms, and the input's rounding.

    The logarithm of a scale is as good as its exponential, which rounds like 1 does; so does log(t) like itself.
    """
    real = wide(z.dtype)
    eps = np.finfo(z.dtype).eps
    exact_z, exact_t = z.astype(real), t.astype(real)
    exact = case.twin(exact_z, exact_t, **parameters)
    slack = [np.zeros_like(each) for each in exact]

    def move(moved_z, moved_t):
        for total, found, base in zip(slack, case.twin(moved_z, moved_t, **parameters), exact, strict=True):
            total += np.nan_to_num(np.abs(found - base), posinf=0.0)

    for k in range(z.shape[-1]):
        step = np.zeros(z.shape[-1], real)
        step[k] = eps
        size = np.abs(exact_z) + (2.0 if case.logarithms[k : k + 1] == (True,) else 0.0)
        move(exact_z + step * size, exact_t)
    if case.domain == "real row" or case.domain == "share row":
        move(exact_z, exact_t * (1 + real(eps) / 2))
    elif case.domain == "positive row":
        move(exact_z, exact_t * np.exp(eps * np.maximum(1, np.abs(np.log(exact_t)))))
    terms = case.terms(exact_z, exact_t, **parameters)
    tiny = 8 * np.finfo(z.dtype).tiny
    lost = np.broadcast_to(tiny * case.lost(tiny, exact_z, exact_t), exact_t.shape)
    tolerances = []
    for found, magnitude, rounding in zip(exact, terms, slack, strict=True):
        size = np.abs(found) if magnitude is None else np.maximum(np.abs(found), magnitude)
        tolerances.append(ulps * ulp(size, z.dtype) + rounding + (lost if found.ndim == 1 else lost[..., np.newaxis]))
    return [Bounded(a, b) for a, b in zip(exact, tolerances, strict=True)]


@np.errstate(all="ignore")
def assert_within(actual, bounded, what, dtype=None):
    """`actual` is the exact result, up to its tolerance; nan and infinities are where they have to be."""
    actual = np.asarray(actual)
    exact, tolerance = np.broadcast_arrays(bounded.exact, bounded.tolerance)
    assert actual.shape == exact.shape, f"{what}: shape {actual.shape}, expected {exact.shape}"
    if dtype is not None:
        assert actual.dtype == dtype, f"{what}: {actual.dtype}, expected {np.dtype(dtype)}"
    rounded = exact.astype(actual.dtype)
    found = actual.astype(exact.dtype)
    special = ~np.isfinite(rounded)
    right = np.where(
        special,
        (found == rounded.astype(exact.dtype)) | (np.isnan(found) & np.isnan(exact)),
        np.abs(found - exact) <= tolerance,
    )
    if right.all():
        return
    wrong = np.argwhere(~right)
    where = tuple(wrong[0])
    excess = np.where(right, 0, np.abs(found - exact) / tolerance)
    finite = np.isfinite(excess)
    if finite.any() and np.max(excess[finite]) > 1:
        where = np.unravel_index(np.argmax(np.where(finite, excess, 0)), excess.shape)
    raise AssertionError(
        f"{what}: {len(wrong)} of {actual.size} wrong; at {tuple(map(int, where))} {actual[where]!r} instead of "
        f"{exact[where]!r} ({float(np.abs(found - exact)[where] / ulp(exact, actual.dtype)[where]):.3g} ulp, "
        f"allowed {float(tolerance[where] / ulp(exact, actual.dtype)[where]):.3g})"
    )


def assert_result(result, bounds, what, dtype):
    """A ``(value, gradient, hessian)`` triple against `expected`."""
    for name, actual, bounded in zip(("value", "gradient", "hessian"), result, bounds, strict=True):
        scalar = np.ndim(bounded.exact) == 0 and isinstance(actual, float) and not isinstance(actual, np.floating)
        assert_within(actual, bounded, f"{what}: {name}", None if scalar else dtype)


def half_types():
    types = [np.float16]
    try:
        import ml_dtypes
    except ImportError:
        return types
    return [*types, ml_dtypes.bfloat16]


def same_bits(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
