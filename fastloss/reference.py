"""The losses as a text book writes them: NumPy, float64, no speed.

Every loss has a twin here of the same name with the same parameters. It returns ``(value, gradient,
hessian)``, one element for each prediction (for row-wise losses one value for each row, for losses of sets one
for each set), not weighted and not reduced. The kernels are tested against these twins; they are also the place
to look up what a loss is, exactly. Input in extended precision (`numpy.longdouble`) is computed in it.

Three habits keep float64 accurate in the tails, where the obvious code has no digit left:
the largest logit is subtracted first, ``log(1 + x)`` is ``log1p(x)``, and ``1 - p`` is the sum of the other
probabilities.
"""

# What is private here stays without annotations, as a text book would have it.
# mypy: allow-untyped-defs, allow-untyped-calls, no-warn-return-any

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import ArrayLike

    _Twin: TypeAlias = tuple[Any, Any, Any]
    _Axes: TypeAlias = int | tuple[int, ...] | None

__all__ = [
    "absolute_error",
    "absolute_percentage_error",
    "binary_cross_entropy",
    "binary_focal",
    "brier",
    "cauchy",
    "cross_entropy",
    "dice",
    "epsilon_insensitive",
    "expectile",
    "exponential",
    "fair",
    "focal",
    "gamma",
    "generalized_cross_entropy",
    "hinge",
    "huber",
    "inverse_gaussian",
    "jaccard",
    "kl_divergence",
    "log_cosh",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "modified_huber",
    "multiclass_hinge",
    "negative_binomial",
    "poisson",
    "poly1",
    "pseudo_huber",
    "quantile",
    "sigmoid",
    "smooth_l1",
    "soft_f1",
    "softmax",
    "squared_epsilon_insensitive",
    "squared_error",
    "squared_hinge",
    "tukey",
    "tversky",
    "tweedie",
]


def _real(x):
    x = np.asarray(x)
    return x.astype(np.result_type(x.dtype, np.float64), copy=False)


def _times(weight, x):
    """``weight * x`` with ``0 * inf = 0``, as ``0 log 0 = 0``; nan stays nan."""
    return np.where((weight == 0) & ~np.isnan(x), 0.0, weight * x)


# ---------------------------------------------------------------------- row functions


def _probabilities(z):
    """``log p``, ``p``, ``1 - p`` over the last axis, and where the (first) largest logit stands.

    One ``+inf`` is probability 1. A row with nan, with two ``+inf``, or with nothing but ``-inf`` has no
    probabilities: it is nan.
    """
    largest = z.max(axis=-1, keepdims=True)
    undefined = (
        np.isnan(largest)
        | (largest == -np.inf)
        | ((largest == np.inf) & (np.sum(z == np.inf, axis=-1, keepdims=True) > 1))
    )
    # z == largest first: inf - inf would be nan.
    below = np.where(z == largest, 0.0, z - largest)
    below = np.where(undefined, np.nan, below)
    is_largest = np.arange(z.shape[-1]) == np.argmax(below, axis=-1)[..., np.newaxis]
    odds = np.exp(below)
    # of a single class, too, nothing is known where it is undefined
    other_odds = np.where(undefined, np.nan, np.sum(np.where(is_largest, 0.0, odds), axis=-1, keepdims=True))
    log_p = below - np.log1p(other_odds)
    p = odds / (1 + other_odds)
    rest = np.where(is_largest, other_odds, 1 + (other_odds - odds)) / (1 + other_odds)
    return log_p, p, rest, is_largest


@np.errstate(all="ignore")
def log_softmax(x: ArrayLike, axis: int = -1) -> Any:
    """``x - logsumexp(x)`` along `axis`.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.log_softmax([0.0, 50.0])
    array([-5.00000000e+01, -1.92874985e-22])
    """
    log_p, *_ = _probabilities(np.moveaxis(_real(x), axis, -1))
    return np.moveaxis(log_p, -1, axis)


@np.errstate(all="ignore")
def softmax(x: ArrayLike, axis: int = -1) -> Any:
    """``exp(x) / sum(exp(x))`` along `axis`."""
    _, p, *_ = _probabilities(np.moveaxis(_real(x), axis, -1))
    return np.moveaxis(p, -1, axis)


@np.errstate(all="ignore")
def logsumexp(x: ArrayLike, axis: int = -1) -> Any:
    """``log(sum(exp(x)))`` along `axis`; ``-inf`` for a row of ``-inf``, ``inf`` for a row with ``inf``."""
    z = np.moveaxis(_real(x), axis, -1)
    log_p, *_ = _probabilities(z)
    largest = z.max(axis=-1)
    # log_p of the largest is -log1p(sum of the other odds).
    return np.where(np.isfinite(largest), largest - log_p.max(axis=-1), largest)


@np.errstate(all="ignore")
def sigmoid(x: ArrayLike) -> Any:
    """``1 / (1 + exp(-x))``."""
    z = _real(x)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


@np.errstate(all="ignore")
def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@np.errstate(all="ignore")
def log_sigmoid(x: ArrayLike) -> Any:
    """``-log(1 + exp(-x))``."""
    return -_softplus(-_real(x))


# ------------------------------------------------------------------- row-wise losses


def _amounts(logits, target, class_weight, label_smoothing, ignore_index, axis):
    """Logits with the classes last, the amount ``a_k`` of each class, and which rows count.

    ``a_k = w_k ((1 - e) t_k + e / K)`` for class weights ``w``, smoothing ``e`` and ``K`` classes; a class
    index is the target whose ``t`` is 1 for that class and 0 elsewhere. The loss of a row is
    ``sum_k a_k l_k``, where ``l_k`` is the loss if class ``k`` is the true one.
    """
    z = np.moveaxis(_real(logits), axis, -1)
    n_classes = z.shape[-1]
    target = np.asarray(target)
    counts = np.ones(z.shape[:-1] + (1,), bool)
    if target.ndim == z.ndim:
        t = np.moveaxis(_real(target), axis, -1)
    else:
        t = (target[..., np.newaxis] == np.arange(n_classes)).astype(z.dtype)
        if ignore_index is not None:
            counts = target[..., np.newaxis] != ignore_index
    if t.shape != z.shape:
        raise ValueError(f"target: shape {target.shape} does not fit logits of shape {np.shape(logits)}")
    w = np.ones(n_classes) if class_weight is None else _real(class_weight)
    smoothing = z.dtype.type(label_smoothing)
    return z, w * ((1 - smoothing) * t + smoothing / n_classes), counts


def _rows(value, gradient, hessian, counts, axis):
    return (
        np.where(counts[..., 0], value, 0.0),
        np.moveaxis(np.where(counts, gradient, 0.0), -1, axis),
        np.moveaxis(np.where(counts, hessian, 0.0), -1, axis),
    )


@np.errstate(all="ignore")
def cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    class_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    axis: int = -1,
) -> _Twin:
    """Cross-entropy of softmax: ``-sum_k a_k log p_k``.

    With ``A = sum_k a_k``, the gradient is ``A p_j - a_j`` and the Hessian's diagonal ``A p_j (1 - p_j)``.

    Parameters
    ----------
    logits : array_like
    target : array_like
        Class indices (logits' shape without `axis`) or probabilities (logits' shape).
    class_weight : array_like of shape (K,), optional
    label_smoothing : float
        ``e`` in ``a_k = w_k ((1 - e) t_k + e / K)``.
    ignore_index : int, optional
        Rows with this class index are 0 throughout.
    axis : int

    Returns
    -------
    value, gradient, hessian : numpy.ndarray

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.cross_entropy([[0.0, 0.0]], [1])
    >>> value, gradient, hessian
    (array([0.69314718]), array([[ 0.5, -0.5]]), array([[0.25, 0.25]]))
    """
    z, a, counts = _amounts(logits, target, class_weight, label_smoothing, ignore_index, axis)
    log_p, p, rest, _ = _probabilities(z)
    total = np.sum(a, axis=-1, keepdims=True)
    value = np.sum(_times(a, -log_p), axis=-1)
    # A p - a, written so that p near 1 does not cancel.
    gradient = (total - a) * p - a * rest
    hessian = total * p * rest
    return _rows(value, gradient, hessian, counts, axis)


@np.errstate(all="ignore")
def focal(
    logits: ArrayLike,
    target: ArrayLike,
    gamma: float = 2.0,
    class_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    axis: int = -1,
) -> _Twin:
    """Focal loss of softmax: ``-sum_k a_k (1 - p_k)^gamma log p_k`` (Lin et al., arXiv:1708.02002).

    Parameters are those of `cross_entropy`, which it is for ``gamma = 0``. With

        G_k = -a_k (1 - p_k)^(gamma - 1) (1 - p_k - gamma p_k log p_k)
        E_k = a_k gamma p_k (1 - p_k)^(gamma - 2) ((2 + log p_k) (1 - p_k) - (gamma - 1) p_k log p_k)

    (``p_k G_k`` is ``p_k dl_k/dp_k`` less its factor ``1 - p_k``), the gradient is ``G_j - p_j sum_k G_k`` and the
    Hessian's diagonal ``E_j (1 - p_j)^2 + p_j^2 sum_{k != j} E_k - p_j (1 - p_j) sum_k G_k``.
    """
    z, a, counts = _amounts(logits, target, class_weight, label_smoothing, ignore_index, axis)
    log_p, p, rest, is_largest = _probabilities(z)
    gamma = z.dtype.type(gamma)
    value = np.sum(_times(a, rest**gamma * -log_p), axis=-1)

    # -log(p) / (1 - p) tends to 1: with it no power of 1 - p is negative, and p = 1 is finite.
    p_phi = _times(p, np.where(rest == 0, 1.0, -log_p / rest))
    g = -a * rest**gamma * (1 + gamma * p_phi)
    total = np.sum(g, axis=-1, keepdims=True)
    gradient = g * rest - p * (total - g)

    # E_k (1 - p_k)^2. Only the largest probability can be so near 1 that dividing by (1 - p_k)^2 has to wait.
    e = a * gamma * rest ** (gamma + 1) * (_times(p, 2 + log_p) + (gamma - 1) * p * p_phi)
    largest = np.sum(np.where(is_largest, e, 0.0), axis=-1, keepdims=True)
    largest_rest = np.sum(np.where(is_largest, rest, 0.0), axis=-1, keepdims=True)
    share = np.where(is_largest | (p == 0), 0.0, p / largest_rest)
    smaller = np.where(is_largest, 0.0, e / rest**2)
    from_others = p**2 * (np.sum(smaller, axis=-1, keepdims=True) - smaller) + share**2 * largest
    hessian = e + from_others - p * rest * total
    return _rows(value, gradient, hessian, counts, axis)


def _others(x):
    """``sum_{k != j} x_k``. Only the largest of them may be so large that subtracting it from the sum cancels."""
    total = np.sum(x, axis=-1, keepdims=True)
    is_largest = np.arange(x.shape[-1]) == np.argmax(np.abs(x), axis=-1)[..., np.newaxis]
    return np.where(is_largest, np.sum(np.where(is_largest, 0.0, x), axis=-1, keepdims=True), total - x)


def _mixture(t, c, p, rest):
    """Gradient of ``sum_k t_k l(p_k)`` with ``dl/dz_j = c(p_k) (p_j - [j = k])``; ``t_k c_k`` and their sum."""
    g = _times(t, c)
    return p * _others(g) - g * rest, g, np.sum(g, axis=-1, keepdims=True)


@np.errstate(all="ignore")
def kl_divergence(logits: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Kullback-Leibler divergence of softmax from the target: ``sum_k t_k (log t_k - log p_k)``, ``0 log 0 = 0``.

    Cross-entropy less the entropy of the target, hence with the same derivatives.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.kl_divergence([[0.0, 0.0]], [[0.25, 0.75]])
    >>> value, gradient
    (array([0.13081204]), array([[ 0.25, -0.25]]))
    """
    z, t, counts = _amounts(logits, target, None, 0.0, None, axis)
    log_p, p, rest, _ = _probabilities(z)
    value = np.sum(_times(t, -log_p) + np.where(t > 0, t * np.log(t), 0.0), axis=-1)
    gradient, _, total = _mixture(t, np.ones_like(p), p, rest)
    return _rows(value, gradient, total * p * rest, counts, axis)


@np.errstate(all="ignore")
def poly1(logits: ArrayLike, target: ArrayLike, epsilon: float = 1.0, axis: int = -1) -> _Twin:
    """Poly-1 loss: ``sum_k t_k (-log p_k + epsilon (1 - p_k))`` (Leng et al., arXiv:2204.12511).

    Gradient ``sum_k t_k (1 + epsilon p_k) (p_j - d_jk)``, the Hessian's diagonal
    ``sum_k t_k ((1 + epsilon p_k) p_j (1 - p_j) - epsilon p_k (p_j - d_jk)^2)``, where ``d_jk = [j = k]``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.poly1([[0.0, 0.0]], [1], epsilon=1.0)
    >>> value, gradient
    (array([1.19314718]), array([[ 0.75, -0.75]]))
    """
    z, t, counts = _amounts(logits, target, None, 0.0, None, axis)
    log_p, p, rest, _ = _probabilities(z)
    epsilon = z.dtype.type(epsilon)
    # -log p - (1 - p), half a square where p is near 1: what remains for epsilon = -1.
    above = np.where(rest < 0.5, _x_minus_log1p(-rest), -log_p - rest)
    value = np.sum(_times(t, above) + (1 + epsilon) * _times(t, rest), axis=-1)
    # For epsilon = -1 it is 1 - p.
    c = np.where(p <= 0.5, 1 + epsilon * p, (1 + epsilon) - epsilon * rest)
    gradient, _, total = _mixture(t, c, p, rest)
    tp = t * p
    hessian = total * p * rest - epsilon * (p**2 * _others(tp) + tp * rest**2)
    return _rows(value, gradient, hessian, counts, axis)


@np.errstate(all="ignore")
def generalized_cross_entropy(logits: ArrayLike, target: ArrayLike, q: float = 0.7, axis: int = -1) -> _Twin:
    """Generalised cross-entropy: ``sum_k t_k (1 - p_k^q) / q`` (Zhang and Sabuncu, arXiv:1805.07836).

    Gradient ``sum_k t_k p_k^q (p_j - d_jk)``, the Hessian's diagonal
    ``sum_k t_k p_k^q (p_j (1 - p_j) - q (p_j - d_jk)^2)``, where ``d_jk = [j = k]``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.generalized_cross_entropy([[0.0, 0.0]], [1], q=1.0)
    >>> value, gradient
    (array([0.5]), array([[ 0.25, -0.25]]))
    """
    z, t, counts = _amounts(logits, target, None, 0.0, None, axis)
    log_p, p, rest, _ = _probabilities(z)
    q = z.dtype.type(q)
    value = np.sum(_times(t, -np.expm1(q * log_p) / q), axis=-1)
    gradient, g, total = _mixture(t, np.exp(q * log_p), p, rest)
    hessian = total * p * rest - q * (p**2 * _others(g) + g * rest**2)
    return _rows(value, gradient, hessian, counts, axis)


@np.errstate(all="ignore")
def multiclass_hinge(logits: ArrayLike, target: ArrayLike, margin: float = 1.0, axis: int = -1) -> _Twin:
    """Hinge loss of Crammer and Singer (JMLR 2, 2001): ``sum_k t_k max(0, margin + max_{j != k} z_j - z_k)``.

    The gradient of the loss of class ``k`` is 1 at the (first) largest other logit and -1 at ``k`` where the loss
    is positive; the Hessian is 0.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.multiclass_hinge([[0.5, 0.0]], [1])
    (array([1.5]), array([[ 1., -1.]]), array([[0., 0.]]))
    """
    z, t, counts = _amounts(logits, target, None, 0.0, None, axis)
    _, p, _, _ = _probabilities(z)
    undefined = np.isnan(p)
    classes = np.arange(z.shape[-1])
    is_first = classes == np.argmax(z, axis=-1)[..., np.newaxis]
    without = np.where(is_first, -np.inf, z)
    is_second = ~is_first & (classes == np.argmax(without, axis=-1)[..., np.newaxis])
    largest_other = np.where(is_first, without.max(axis=-1, keepdims=True), z.max(axis=-1, keepdims=True))
    # The two logits first: beside a large margin their difference would lose its digits.
    excess = z.dtype.type(margin) + (largest_other - z)
    loss = np.maximum(excess, 0)
    active = np.where(excess > 0, t, 0.0)
    of_first = np.sum(np.where(is_first, active, 0.0), axis=-1, keepdims=True)
    of_others = np.sum(np.where(is_first, 0.0, active), axis=-1, keepdims=True)
    gradient = is_first * of_others + is_second * of_first - active
    value = np.sum(_times(t, loss), axis=-1)
    value = np.where(undefined.any(axis=-1), np.nan, value)
    gradient = np.where(undefined, np.nan, gradient)
    return _rows(value, gradient, np.where(undefined, np.nan, 0.0), counts, axis)


# -------------------------------------------------------------- binary and multilabel


def _binary_target(target, z, label_smoothing):
    """``t`` and ``1 - t`` after smoothing."""
    t = np.broadcast_to(_real(target), z.shape)
    smoothing = z.dtype.type(label_smoothing)
    return t * (1 - smoothing) + smoothing / 2, (1 - t) * (1 - smoothing) + smoothing / 2


@np.errstate(all="ignore")
def binary_cross_entropy(
    logits: ArrayLike, target: ArrayLike, pos_weight: ArrayLike | None = None, label_smoothing: float = 0.0
) -> _Twin:
    """Cross-entropy of the sigmoid: ``q t softplus(-z) + (1 - t) softplus(z)``.

    Gradient ``(1 - t) p - q t (1 - p)``, Hessian ``(q t + 1 - t) p (1 - p)``, with ``p = sigmoid(z)``.

    Parameters
    ----------
    logits : array_like
    target : array_like
        In [0, 1].
    pos_weight : array_like, optional
        ``q``, the weight of the positive part.
    label_smoothing : float
        ``e``: ``t`` becomes ``t (1 - e) + e / 2``.

    Returns
    -------
    value, gradient, hessian : numpy.ndarray

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.binary_cross_entropy([0.0], [1.0])
    (array([0.69314718]), array([-0.5]), array([0.25]))
    """
    z = _real(logits)
    t, not_t = _binary_target(target, z, label_smoothing)
    qt = t if pos_weight is None else _real(pos_weight) * t
    p, not_p = sigmoid(z), sigmoid(-z)
    value = _times(qt, _softplus(-z)) + _times(not_t, _softplus(z))
    gradient = not_t * p - qt * not_p
    hessian = (qt + not_t) * p * not_p
    return value, gradient, hessian


def _binary_focal_of_margin(m, gamma):
    """``-(1 - s)^gamma log s`` of the margin ``m``, ``s = sigmoid(m)``, and its two derivatives."""
    s, rho = sigmoid(m), sigmoid(-m)
    loss = _softplus(-m)
    s_phi = _times(s, np.where(rho == 0, 1.0, loss / rho))
    value = rho**gamma * loss
    first = -(rho ** (gamma + 1)) * (1 + gamma * s_phi)
    second = rho ** (gamma + 1) * (s * (1 + 2 * gamma + gamma**2 * s_phi) - gamma * _times(s, loss))
    return value, first, second


@np.errstate(all="ignore")
def binary_focal(
    logits: ArrayLike, target: ArrayLike, gamma: float = 2.0, alpha: float | None = None, label_smoothing: float = 0.0
) -> _Twin:
    """Focal loss of the sigmoid (Lin et al., arXiv:1708.02002).

    ``-alpha (1 - p)^gamma log(p)`` for a positive, ``-(1 - alpha) p^gamma log(1 - p)`` for a negative (no
    factors if `alpha` is None), and ``t`` times the one plus ``1 - t`` times the other between them.
    With margin ``m``, ``s = sigmoid(m)``, ``r = 1 - s`` and ``l = log s``, the derivatives of ``-r^gamma l`` are
    ``-r^gamma (r - gamma s l)`` and ``s r^gamma (r (1 + 2 gamma + gamma l) - gamma^2 s l)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, _, _ = reference.binary_focal([0.0], [1.0], gamma=2.0, alpha=0.25)
    >>> float(value[0])
    0.04332169878499658
    """
    z = _real(logits)
    t, not_t = _binary_target(target, z, label_smoothing)
    if alpha is not None:
        alpha = z.dtype.type(alpha)
        t, not_t = alpha * t, (1 - alpha) * not_t
    gamma = z.dtype.type(gamma)
    value, first, second = _binary_focal_of_margin(z, gamma)
    not_value, not_first, not_second = _binary_focal_of_margin(-z, gamma)
    return (
        _times(t, value) + _times(not_t, not_value),
        t * first - not_t * not_first,
        t * second + not_t * not_second,
    )


def _labels(target, z):
    t = np.broadcast_to(_real(target), z.shape)
    return t, 1 - t


def _of_both_labels(logits, target, of_margin):
    """``t F(z) + (1 - t) F(-z)`` and its derivatives; `of_margin` gives ``F(m)``, ``F'(m)`` and ``F''(m)``."""
    z = _real(logits)
    t, not_t = _labels(target, z)
    value, first, second = of_margin(z)
    not_value, not_first, not_second = of_margin(-z)
    return (
        _times(t, value) + _times(not_t, not_value),
        _times(t, first) - _times(not_t, not_first),
        _times(t, second) + _times(not_t, not_second),
    )


@np.errstate(all="ignore")
def hinge(logits: ArrayLike, target: ArrayLike) -> _Twin:
    """``max(0, 1 - m)`` of the margin ``m = z`` for a positive, ``-z`` for a negative (Cortes and Vapnik 1995).

    ``t`` times the one plus ``1 - t`` times the other between them. Derivative -1 where ``m < 1``, Hessian 0.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.hinge([0.5, 0.5], [1.0, 0.0])
    (array([0.5, 1.5]), array([-1.,  1.]), array([0., 0.]))
    """

    def of_margin(m):
        nothing = np.where(np.isnan(m), m, 0.0)
        return np.maximum(0, 1 - m), np.where(m < 1, -1.0, nothing), nothing

    return _of_both_labels(logits, target, of_margin)


@np.errstate(all="ignore")
def squared_hinge(logits: ArrayLike, target: ArrayLike) -> _Twin:
    """``max(0, 1 - m)^2`` of the margin, as in `hinge`; derivative ``-2 max(0, 1 - m)``, Hessian 2 where ``m < 1``."""

    def of_margin(m):
        excess = np.maximum(0, 1 - m)
        return excess**2, -2 * excess, np.where(m < 1, 2.0, np.where(np.isnan(m), m, 0.0))

    return _of_both_labels(logits, target, of_margin)


@np.errstate(all="ignore")
def modified_huber(logits: ArrayLike, target: ArrayLike) -> _Twin:
    """``max(0, 1 - m)^2`` where the margin ``m >= -1``, else ``-4 m`` (Zhang, ICML 2004); margin as in `hinge`.

    Derivative ``-2 max(0, 1 - m)`` or -4, Hessian 2 where ``-1 <= m < 1``, else 0.
    """

    def of_margin(m):
        excess = np.maximum(0, 1 - m)
        far = m < -1
        return (
            np.where(far, -4 * m, excess**2),
            np.where(far, -4.0, -2 * excess),
            np.where((m >= -1) & (m < 1), 2.0, np.where(np.isnan(m), m, 0.0)),
        )

    return _of_both_labels(logits, target, of_margin)


@np.errstate(all="ignore")
def exponential(logits: ArrayLike, target: ArrayLike) -> _Twin:
    """``exp(-m)`` of the margin, as in `hinge`, with derivative ``-exp(-m)`` (Friedman, Hastie, Tibshirani 2000)."""

    def of_margin(m):
        e = np.exp(-m)
        return e, -e, e

    return _of_both_labels(logits, target, of_margin)


@np.errstate(all="ignore")
def brier(logits: ArrayLike, target: ArrayLike) -> _Twin:
    """``(p - t)^2`` of ``p = sigmoid(z)`` (Brier 1950).

    With ``v = p (1 - p)``, the gradient is ``2 (p - t) v`` and the Hessian ``2 v (v + (p - t) (1 - 2 p))``.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.brier([0.0], [1.0])
    (array([0.25]), array([-0.25]), array([0.125]))
    """
    z = _real(logits)
    t, not_t = _labels(target, z)
    p, not_p = sigmoid(z), sigmoid(-z)
    # p - t, written so that p near 1 does not cancel.
    d = not_t * p - t * not_p
    v = p * not_p
    # v + (p - t) (1 - 2 p), likewise.
    return d**2, 2 * d * v, 2 * v * (not_t * p * (2 * not_p - p) + t * not_p * (2 * p - not_p))


# ------------------------------------------------------------------------- regression


def _residual(prediction, target):
    z = _real(prediction)
    return z - np.broadcast_to(_real(target), z.shape)


@np.errstate(all="ignore")
def squared_error(prediction: ArrayLike, target: ArrayLike) -> _Twin:
    """``(z - y)^2``, with gradient ``2 (z - y)`` and Hessian 2."""
    r = _residual(prediction, target)
    return r**2, 2 * r, np.where(np.isnan(r), r, 2.0)


@np.errstate(all="ignore")
def absolute_error(prediction: ArrayLike, target: ArrayLike) -> _Twin:
    """``|z - y|``, with gradient ``sign(z - y)`` (0 where they are equal) and Hessian 0."""
    r = _residual(prediction, target)
    return np.abs(r), np.sign(r), np.where(np.isnan(r), r, 0.0)


@np.errstate(all="ignore")
def absolute_percentage_error(
    prediction: ArrayLike, target: ArrayLike, epsilon: float = 2.220446049250313e-16
) -> _Twin:
    """Absolute percentage error: ``|z - t| / max(|t|, epsilon)``.

    Gradient ``sign(z - t) / max(|t|, epsilon)``, 0 at the kink; Hessian 0.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.absolute_percentage_error([3.0], [4.0])
    (array([0.25]), array([-0.25]), array([0.]))
    """
    z = _real(prediction)
    t = np.broadcast_to(_real(target), z.shape)
    scale = np.maximum(np.abs(t), z.dtype.type(epsilon))
    r = z - t
    return np.abs(r) / scale, np.sign(r) / scale, _times(0.0, r)


@np.errstate(all="ignore")
def huber(prediction: ArrayLike, target: ArrayLike, delta: float = 1.0) -> _Twin:
    """``r^2 / 2`` where ``|r| <= delta``, else ``delta (|r| - delta / 2)``, of ``r = z - y`` (Huber 1964).

    The gradient is ``r`` clipped to ``[-delta, delta]``, the Hessian 1 inside and 0 outside.

    Parameters
    ----------
    prediction, target : array_like
    delta : float

    Returns
    -------
    value, gradient, hessian : numpy.ndarray

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.huber([0.5, 3.0], [0.0, 0.0], delta=1.0)
    (array([0.125, 2.5  ]), array([0.5, 1. ]), array([1., 0.]))
    """
    r = _residual(prediction, target)
    inside = np.abs(r) <= delta
    value = np.where(inside, r**2 / 2, delta * (np.abs(r) - delta / 2))
    hessian = np.where(np.isnan(r), r, np.where(inside, 1.0, 0.0))
    return value, np.clip(r, -delta, delta), hessian


@np.errstate(all="ignore")
def smooth_l1(prediction: ArrayLike, target: ArrayLike, beta: float = 1.0) -> _Twin:
    """Huber's loss divided by `beta`: ``r^2 / (2 beta)`` where ``|r| < beta``, else ``|r| - beta / 2`` (Girshick 2015).

    The gradient is ``r / beta`` clipped to [-1, 1], the Hessian ``1 / beta`` inside and 0 outside.
    """
    r = _residual(prediction, target)
    distance, beta = np.abs(r), r.dtype.type(beta)
    inside = distance < beta
    value = np.where(inside, r * (r / beta) / 2, distance - beta / 2)
    hessian = np.where(np.isnan(r), r, np.where(inside, 1 / beta, 0.0))
    return value, np.clip(r / beta, -1, 1), hessian


@np.errstate(all="ignore")
def pseudo_huber(prediction: ArrayLike, target: ArrayLike, delta: float = 1.0) -> _Twin:
    """``delta^2 (sqrt(1 + (r / delta)^2) - 1)``.

    The gradient is ``r / s`` with ``s = sqrt(1 + (r / delta)^2)``, the Hessian ``1 / s^3``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.pseudo_huber([1e-4, 1e200], [0.0, 0.0])
    >>> value, gradient
    (array([4.99999999e-009, 1.00000000e+200]), array([9.99999995e-05, 1.00000000e+00]))
    """
    r = _residual(prediction, target)
    delta = r.dtype.type(delta)
    x = np.abs(r / delta)
    s, far = np.hypot(1, x), x > 1
    # s - 1 = x (x / (1 + s)), divided by x where x may be infinite.
    share = np.where(far, 1 / (1 / x + np.hypot(1, 1 / x)), x / (1 + s))
    slope = np.where(far, np.sign(r) / np.hypot(1, 1 / x), r / delta / s)
    return delta * (np.abs(r) * share), delta * slope, s**-3


@np.errstate(all="ignore")
def log_cosh(prediction: ArrayLike, target: ArrayLike) -> _Twin:
    """``log(cosh(r))``, with gradient ``tanh(r)`` and Hessian ``1 - tanh(r)^2 = 4 e / (1 + e)^2``, ``e = exp(-2 |r|)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.log_cosh([1e-4, 1000.0], [0.0, 0.0])
    >>> value
    array([4.99999999e-09, 9.99306853e+02])
    """
    r = _residual(prediction, target)
    distance = np.abs(r)
    e = np.exp(-2 * distance)
    near = np.log1p(np.sinh(np.minimum(distance, 2)) ** 2) / 2
    log_2 = np.log(r.dtype.type(2))
    value = np.where(distance < 2, near, (distance - log_2) + np.log1p(e))
    return value, np.tanh(r), 4 * e / (1 + e) ** 2


def _x_minus_log1p(x):
    """``x - log(1 + x)`` for ``x >= -1 / 2``, with all its digits near 0.

    There ``log(1 + x)`` is ``2 atanh(s)``, a series in ``s = x / (2 + x)``, and ``x - 2 s = s x``.
    """
    s = np.minimum(x, 1) / (2 + np.minimum(x, 1))
    series = np.zeros_like(s)
    for k in range(49, 1, -2):
        series = (series + 1 / s.dtype.type(k)) * s**2
    near = s * x - 2 * s * series
    return np.where(np.isinf(x), x, np.where(x < 1, near, x - np.log1p(x)))


@np.errstate(all="ignore")
def fair(prediction: ArrayLike, target: ArrayLike, c: float = 1.0) -> _Twin:
    """``c^2 (x - log(1 + x))`` of ``x = |r| / c`` (Fair 1974); gradient ``r / (1 + x)``, Hessian ``1 / (1 + x)^2``."""
    r = _residual(prediction, target)
    c = r.dtype.type(c)
    x = np.abs(r) / c
    slope = np.where(x > 1, np.sign(r) / (1 + 1 / x), r / c / (1 + x))
    return c * (c * _x_minus_log1p(x)), c * slope, (1 + x) ** -2


@np.errstate(all="ignore")
def cauchy(prediction: ArrayLike, target: ArrayLike, c: float = 1.0) -> _Twin:
    """``c^2 / 2 log(1 + x^2)`` of ``x = r / c``; gradient ``r / (1 + x^2)``, Hessian ``(1 - x^2) / (1 + x^2)^2``."""
    r = _residual(prediction, target)
    c = r.dtype.type(c)
    x = r / c
    far = np.abs(x) > 1
    y = np.where(far, 1 / x, x)
    both = 1 + y**2
    logarithm = np.log1p(y**2) + np.where(far, 2 * np.log(np.abs(x)), 0.0)
    curvature = (1 - y) * (1 + y) / both**2
    return c * (c * logarithm) / 2, c * (y / both), np.where(far, -(y**2) * curvature, curvature)


@np.errstate(all="ignore")
def tukey(prediction: ArrayLike, target: ArrayLike, c: float = 4.685) -> _Twin:
    """Tukey's biweight: ``c^2 / 6 (1 - (1 - x^2)^3)`` of ``x = |r| / c``, constant from ``x = 1`` on.

    Gradient ``r (1 - x^2)^2`` and Hessian ``(1 - x^2) (1 - 5 x^2)``, 0 from there on.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.tukey([1.0, 3.0], [0.0, 0.0], c=2.0)
    (array([0.38541667, 0.66666667]), array([0.5625, 0.    ]), array([-0.1875,  0.    ]))
    """
    z = _real(prediction)
    r = z - _real(target)
    c = z.dtype.type(c)
    near = np.minimum(np.abs(r), c)
    x = near / c
    rest = (c - near) / c * (1 + x)
    # r^2 times a sum of one sign: 1 - (1 - x^2)^3 would cancel near the target.
    value = near**2 * (3 - 3 * x**2 + x**4) / 6
    far = near == c
    return value, np.where(far, 0.0, r * rest**2), np.where(far, 0.0, rest * (1 - 5 * x**2))


@np.errstate(all="ignore")
def quantile(prediction: ArrayLike, target: ArrayLike, q: float = 0.5) -> _Twin:
    """Pinball loss: ``q (y - z)`` where ``y > z``, else ``(1 - q) (z - y)`` (Koenker and Bassett 1978).

    The gradient is ``-q`` below the target, ``1 - q`` above and 0 at it; the Hessian is 0.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.quantile([1.0, 3.0], [2.0, 2.0], q=0.75)
    (array([0.75, 0.25]), array([-0.75,  0.25]), array([0., 0.]))
    """
    r = _residual(prediction, target)
    q = r.dtype.type(q)
    weight = np.where(r > 0, 1 - q, q)
    return weight * np.abs(r), weight * np.sign(r), np.where(np.isnan(r), r, 0.0)


@np.errstate(all="ignore")
def expectile(prediction: ArrayLike, target: ArrayLike, q: float = 0.5) -> _Twin:
    """``a r^2`` with ``a = 1 - q`` where ``z > y``, else ``q`` (Newey and Powell 1987).

    The gradient is ``2 a r``, the Hessian ``2 a``.
    """
    r = _residual(prediction, target)
    q = r.dtype.type(q)
    weight = np.where(r > 0, 1 - q, q)
    return weight * r**2, 2 * weight * r, np.where(np.isnan(r), r, 2 * weight)


@np.errstate(all="ignore")
def epsilon_insensitive(prediction: ArrayLike, target: ArrayLike, epsilon: float = 0.1) -> _Twin:
    """``max(0, |r| - epsilon)`` (Vapnik 1995); gradient ``sign(r)`` where ``|r| > epsilon``, else 0; Hessian 0."""
    r = _residual(prediction, target)
    epsilon = r.dtype.type(epsilon)
    slope = np.where(np.abs(r) > epsilon, np.sign(r), np.where(np.isnan(r), r, 0.0))
    return np.maximum(0, np.abs(r) - epsilon), slope, np.where(np.isnan(r), r, 0.0)


@np.errstate(all="ignore")
def squared_epsilon_insensitive(prediction: ArrayLike, target: ArrayLike, epsilon: float = 0.1) -> _Twin:
    """``max(0, |r| - epsilon)^2``; gradient ``2 sign(r) max(0, |r| - epsilon)``, Hessian 2 where ``|r| > epsilon``."""
    r = _residual(prediction, target)
    excess = np.maximum(0, np.abs(r) - r.dtype.type(epsilon))
    hessian = np.where(excess > 0, 2.0, np.where(np.isnan(r), r, 0.0))
    return excess**2, 2 * np.sign(r) * excess, hessian


# ---------------------------------------------------------- positive targets, log link


@np.errstate(all="ignore")
def poisson(prediction: ArrayLike, target: ArrayLike) -> _Twin:
    """Poisson deviance, halved and less what only depends on the target: ``exp(z) - y z`` of the log of the mean ``z``.

    Gradient ``exp(z) - y``, Hessian ``exp(z)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.poisson([0.0], [3.0])
    (array([1.]), array([-2.]), array([1.]))
    """
    z = _real(prediction)
    y = np.broadcast_to(_real(target), z.shape)
    mean = np.exp(z)
    # exp(z) wins over y z at infinity.
    value = np.where(mean == np.inf, mean, mean - _times(y, z))
    return value, mean - y, mean


@np.errstate(all="ignore")
def gamma(prediction: ArrayLike, target: ArrayLike) -> _Twin:
    """Gamma deviance, halved and less what only depends on the target: ``z + y exp(-z)`` of the log of the mean ``z``.

    Gradient ``1 - y exp(-z)``, Hessian ``y exp(-z)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.gamma([0.0], [3.0])
    (array([3.]), array([-2.]), array([3.]))
    """
    z = _real(prediction)
    ratio = np.broadcast_to(_real(target), z.shape) * np.exp(-z)
    return np.where(ratio == np.inf, ratio, z + ratio), 1 - ratio, ratio


@np.errstate(all="ignore")
def tweedie(prediction: ArrayLike, target: ArrayLike, power: float = 1.5) -> _Twin:
    """Tweedie deviance, halved and less what only depends on the target, of the log of the mean ``z``.

    ``exp((2 - P) z) / (2 - P) - y exp((1 - P) z) / (1 - P)`` for the power ``1 < P < 2``, with gradient
    ``exp((2 - P) z) - y exp((1 - P) z)`` and Hessian ``(2 - P) exp((2 - P) z) - (1 - P) y exp((1 - P) z)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.tweedie([0.0], [3.0], power=1.5)
    (array([8.]), array([-2.]), array([2.]))
    """
    z = _real(prediction)
    y = np.broadcast_to(_real(target), z.shape)
    power = z.dtype.type(power)
    up, down = 2 - power, power - 1
    rising, falling = np.exp(up * z), _times(y, np.exp(-down * z))
    return rising / up + falling / down, rising - falling, up * rising + down * falling


@np.errstate(all="ignore")
def negative_binomial(prediction: ArrayLike, target: ArrayLike, dispersion: float = 1.0) -> _Twin:
    """Negative log-likelihood of counts with variance ``m + a m^2``, less what only depends on the target.

    With the mean ``m = exp(z)``: value ``log(1 + a m) / a + y log(1 + 1 / (a m))``, gradient ``(m - y) / (1 + a m)``,
    Hessian ``m (1 + a y) / (1 + a m)^2``.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.negative_binomial([0.0], [3.0], dispersion=1.0)
    (array([2.77258872]), array([-1.]), array([1.]))
    """
    z = _real(prediction)
    y = np.broadcast_to(_real(target), z.shape)
    a = z.dtype.type(dispersion)
    u = z + np.log(a)
    value = _softplus(u) / a + _times(y, _softplus(-u))
    # divided by m, which overflows, where it is large
    m, inverse = np.exp(np.minimum(z, 0)), np.exp(-np.maximum(z, 0))
    gradient = np.where(z > 0, (1 - y * inverse) / (inverse + a), (m - y) / (1 + a * m))
    hessian = np.where(z > 0, inverse * (1 + a * y) / (inverse + a) ** 2, m * (1 + a * y) / (1 + a * m) ** 2)
    return value, gradient, hessian


@np.errstate(all="ignore")
def inverse_gaussian(prediction: ArrayLike, target: ArrayLike) -> _Twin:
    """Inverse Gaussian deviance, halved and less what only depends on the target, of the log of the mean ``z``.

    ``y exp(-2 z) / 2 - exp(-z)``, with gradient ``exp(-z) - y exp(-2 z)`` and Hessian ``2 y exp(-2 z) - exp(-z)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.inverse_gaussian([0.0], [3.0])
    (array([0.5]), array([-2.]), array([5.]))
    """
    z = _real(prediction)
    y = np.broadcast_to(_real(target), z.shape)
    inverse = np.exp(-z)
    ratio = y * inverse
    return inverse * (ratio / 2 - 1), inverse * (1 - ratio), inverse * (2 * ratio - 1)


# --------------------------------------------------------------------- overlap of sets


@np.errstate(all="ignore")
def tversky(
    logits: ArrayLike,
    target: ArrayLike,
    alpha: float = 0.5,
    beta: float = 0.5,
    smooth: float = 1.0,
    sample_weight: ArrayLike | None = None,
    axis: _Axes = None,
) -> _Twin:
    """One minus the Tversky index of the sets ``p = sigmoid(z)`` and ``t`` (Salehi et al., arXiv:1706.05721).

    With ``TP = sum w p t``, ``FP = sum w p (1 - t)``, ``FN = sum w (1 - p) t`` over the elements of a set, and
    ``D = TP + alpha FP + beta FN + smooth``, the loss is ``1 - (TP + smooth) / D = (alpha FP + beta FN) / D``.
    With ``n = TP + smooth``, ``v = p (1 - p)``, ``b = t + alpha (1 - t) - beta t`` and ``Q = (t D - n b) / D^2``, the
    gradient is ``-w v Q`` and the Hessian's diagonal ``-w v (1 - 2 p) Q + 2 w^2 v^2 b Q / D``.

    Parameters
    ----------
    logits, target : array_like
    alpha, beta : float
        Weights of false positives and false negatives.
    smooth : float
    sample_weight : array_like, optional
        ``w``; an element of weight 0 counts nowhere.
    axis : int or tuple of int, optional
        The axes over which a set extends; all of them by default.

    Returns
    -------
    value : numpy.ndarray
        One for each set.
    gradient, hessian : numpy.ndarray
        One for each logit.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.tversky([0.0, 0.0], [1.0, 0.0], smooth=0.0)
    >>> value, gradient
    (array(0.5), array([-0.1875,  0.0625]))
    """
    z = _real(logits)
    t = np.broadcast_to(_real(target), z.shape)
    w = np.ones_like(z) if sample_weight is None else np.broadcast_to(_real(sample_weight).astype(z.dtype), z.shape)
    alpha, beta, smooth = (z.dtype.type(x) for x in (alpha, beta, smooth))
    # What weighs nothing may be nan.
    z, t = np.where(w == 0, 0.0, z), np.where(w == 0, 0.0, t)
    p, not_p, not_t = sigmoid(z), sigmoid(-z), 1 - t
    tp, fp, fn = (np.sum(w * x, axis=axis, keepdims=True) for x in (p * t, p * not_t, not_p * t))
    wrong, n = alpha * fp + beta * fn, tp + smooth
    d = wrong + n
    q = (t * (wrong + beta * n) - not_t * (alpha * n)) / d**2
    b = t + alpha * not_t - beta * t
    v = w * (p * not_p)
    return (
        np.squeeze(wrong / d, axis=axis),
        -v * q,
        v * q * ((p - not_p) + 2 * v * b / d),
    )


def dice(
    logits: ArrayLike,
    target: ArrayLike,
    smooth: float = 1.0,
    sample_weight: ArrayLike | None = None,
    axis: _Axes = None,
) -> _Twin:
    """``1 - 2 (TP + smooth) / (2 TP + FP + FN + 2 smooth)`` (arXiv:1606.04797): `tversky` of ``alpha = beta = 1/2``."""
    return tversky(logits, target, 0.5, 0.5, smooth, sample_weight, axis)


def jaccard(
    logits: ArrayLike,
    target: ArrayLike,
    smooth: float = 1.0,
    sample_weight: ArrayLike | None = None,
    axis: _Axes = None,
) -> _Twin:
    """``1 - (TP + smooth) / (TP + FP + FN + smooth)``, intersection over union: `tversky` of ``alpha = beta = 1``."""
    return tversky(logits, target, 1.0, 1.0, smooth, sample_weight, axis)


def soft_f1(
    logits: ArrayLike,
    target: ArrayLike,
    beta: float = 1.0,
    smooth: float = 1.0,
    sample_weight: ArrayLike | None = None,
    axis: _Axes = None,
) -> _Twin:
    """One minus the F score of expected counts: `tversky` of ``1 / (1 + beta^2)`` and ``beta^2 / (1 + beta^2)``."""
    beta = _real(logits).dtype.type(beta)
    both = 1 + beta**2
    return tversky(logits, target, 1 / both, beta**2 / both, smooth, sample_weight, axis)
