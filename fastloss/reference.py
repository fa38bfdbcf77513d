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
    "aft",
    "all_threshold",
    "barron",
    "beta_nll",
    "binary_cross_entropy",
    "binary_focal",
    "brier",
    "cauchy",
    "cox_ph",
    "cross_entropy",
    "cumulative_logit",
    "dice",
    "epsilon_insensitive",
    "expectile",
    "exponential",
    "fair",
    "focal",
    "gamma",
    "gamma_nll",
    "gaussian_crps",
    "gaussian_nll",
    "generalized_cross_entropy",
    "group_softmax",
    "hinge",
    "huber",
    "inverse_gaussian",
    "jaccard",
    "kl_divergence",
    "laplace_nll",
    "linear_cross_entropy",
    "log_cosh",
    "log_normal_crps",
    "log_normal_nll",
    "log_sigmoid",
    "log_softmax",
    "logistic_nll",
    "logsumexp",
    "modified_huber",
    "multiclass_hinge",
    "negative_binomial",
    "negative_binomial_nll",
    "pairwise_logistic",
    "poisson",
    "poly1",
    "pseudo_huber",
    "quantile",
    "quantiles",
    "sigmoid",
    "smooth_l1",
    "soft_f1",
    "softmax",
    "squared_epsilon_insensitive",
    "squared_error",
    "squared_hinge",
    "squared_log_error",
    "student_t_nll",
    "tukey",
    "tversky",
    "tweedie",
    "weibull_nll",
    "zero_inflated_poisson_nll",
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
def linear_cross_entropy(
    x: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike,
    bias: ArrayLike | None = None,
    class_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    gamma: float = 0.0,
    softcap: float | None = None,
) -> _Twin:
    """Focal loss (``gamma = 0``: cross-entropy) of the logits ``z = x @ weight.T + bias`` of a linear layer.

    With ``softcap = c`` the logits are ``u = c tanh(z / c)``, with ``u' = 1 - tanh^2`` and ``u'' = -2 u' tanh / c``.
    Gradient ``G`` and Hessian are those by ``z``; ``G @ weight``, ``G.T @ x`` and ``G.sum(axis=0)`` are those of the
    sum by `x`, `weight` and `bias`.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.linear_cross_entropy([[1.0]], [[0.0], [0.0]], [1])
    >>> value, gradient, hessian
    (array([0.69314718]), array([[ 0.5, -0.5]]), array([[0.25, 0.25]]))
    """
    z = _real(x) @ _real(weight).T + (0.0 if bias is None else _real(bias))
    if softcap is None:
        return focal(z, target, gamma, class_weight, label_smoothing, ignore_index)
    tanh, slope = np.tanh(z / softcap), np.cosh(z / softcap) ** -2.0
    value, g, h = focal(softcap * tanh, target, gamma, class_weight, label_smoothing, ignore_index)
    return value, slope * g, slope**2 * h - 2 * slope * tanh / softcap * g


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


# ------------------------------------------------------------------ several numbers a row


def _columns(prediction, target, axis):
    """Columns of the prediction, one array each, and the target, as real as they are."""
    z = np.moveaxis(_real(prediction), axis, -1)
    return [z[..., k] for k in range(z.shape[-1])], _real(target).astype(z.dtype)


def _stacked(value, gradient, hessian, axis):
    value, *columns = np.broadcast_arrays(value, *gradient, *hessian)
    half = len(columns) // 2
    return value, np.stack(columns[:half], axis=axis), np.stack(columns[half:], axis=axis)


def cumulative_logit(prediction: ArrayLike, target: ArrayLike, thresholds: ArrayLike = (-1.0, 1.0)) -> _Twin:
    """``-log(sigmoid(a) - sigmoid(b))``, ``a = z - c[t - 1]``, ``b = z - c[t]`` of ordered classes (McCullagh 1980).

    Gradient ``sigmoid(b) - sigmoid(-a)``, Hessian ``sigmoid(a) sigmoid(-a) + sigmoid(b) sigmoid(-b)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.cumulative_logit([0.0], [1], thresholds=(-1.0, 1.0))
    >>> value.round(8), gradient, hessian.round(8)
    (array([0.77193683]), array([0.]), array([0.39322387]))
    """
    z = _real(prediction)
    t = np.broadcast_to(_real(target), z.shape).astype(np.intp)
    edges = np.concatenate([[-np.inf], np.asarray(thresholds), [np.inf]]).astype(z.dtype)
    a, b = z - edges[t], z - edges[t + 1]
    value = _softplus(-a) + _softplus(b) - np.log(-np.expm1(edges[t] - edges[t + 1]))
    return value, sigmoid(b) - sigmoid(-a), sigmoid(a) * sigmoid(-a) + sigmoid(b) * sigmoid(-b)


@np.errstate(all="ignore")
def squared_log_error(prediction: ArrayLike, target: ArrayLike) -> _Twin:
    """``L^2``, ``L = log1p(z) - log1p(t)``; gradient ``2 L / (1 + z)``, Hessian ``2 (1 - L) / (1 + z)^2``.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.squared_log_error([0.0], [0.0])
    (array([0.]), array([0.]), array([2.]))
    """
    z = _real(prediction)
    t = np.broadcast_to(_real(target), z.shape)
    log = np.log1p((z - t) / (1 + t))
    return log**2, 2 * log / (1 + z), 2 * (1 - log) / (1 + z) ** 2


@np.errstate(all="ignore")
def barron(prediction: ArrayLike, target: ArrayLike, alpha: float = 1.0, c: float = 1.0) -> _Twin:
    """Barron's general loss (arXiv:1701.03077): ``b / alpha ((1 + x^2)^(alpha / 2) - 1)``, ``x^2 = (r / c)^2 / b``.

    Of ``b = |alpha - 2|``; ``log1p(x^2)`` for ``alpha = 0``, ``(r / c)^2 / 2`` for 2. Gradient
    ``r / c^2 (1 + x^2)^(alpha / 2 - 1)``, Hessian ``(1 + x^2)^(alpha / 2 - 2) (1 + (alpha - 1) x^2) / c^2``.

    Examples
    --------
    >>> from fastloss import reference
    >>> reference.barron([0.75], [0.0], alpha=1.0)
    (array([0.25]), array([0.6]), array([0.512]))
    """
    z = _real(prediction)
    r = z - np.broadcast_to(_real(target), z.shape)
    alpha, c = z.dtype.type(alpha), z.dtype.type(c)
    if alpha == 2:
        return (r / c) ** 2 / 2, r / c**2, 0 * r + 1 / c**2
    b = np.abs(alpha - 2)
    square = (r / c) ** 2 / b
    log = np.log1p(square)
    value = log * b / 2 if alpha == 0 else b / alpha * np.expm1(alpha / 2 * log)
    weight = np.exp((alpha / 2 - 1) * log) / c**2
    bend = np.where(np.isinf(square), alpha - 1, (1 + (alpha - 1) * square) / (1 + square))
    return value, r * weight, weight * bend


@np.errstate(all="ignore")
def gaussian_nll(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Negative log-density of a normal distribution, of its mean ``m`` and the log of its standard deviation ``s``.

    With ``r = (t - m) exp(-s)``: value ``s + r^2 / 2 + log(2 pi) / 2``, gradient ``(-r exp(-s), 1 - r^2)``, the
    Hessian's diagonal ``(exp(-2 s), 2 r^2)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.gaussian_nll([[0.0, 0.0]], [2.0])
    >>> value, gradient, hessian
    (array([2.91893853]), array([[-2., -3.]]), array([[1., 8.]]))
    """
    (m, s), t = _columns(prediction, target, axis)
    scale = np.exp(-s)
    r = (t - m) * scale
    value = s + r**2 / 2 + np.log(8 * np.arctan(m.dtype.type(1))) / 2
    return _stacked(value, (-r * scale, 1 - r**2), (scale**2, 2 * r**2), axis)


@np.errstate(all="ignore")
def log_normal_nll(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Negative log-density of a log-normal distribution: `gaussian_nll` of ``log(t)``, and ``log(t)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.log_normal_nll([[0.0, 0.0]], [1.0])
    >>> value, gradient, hessian
    (array([0.91893853]), array([[-0.,  1.]]), array([[1., 0.]]))
    """
    log_t = np.log(_real(target))
    value, gradient, hessian = gaussian_nll(prediction, log_t, axis)
    return value + log_t, gradient, hessian


@np.errstate(all="ignore")
def laplace_nll(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Negative log-density of a Laplace distribution, of its median ``m`` and the logarithm ``s`` of its scale.

    With ``r = |t - m| exp(-s)``: value ``s + r + log(2)``, gradient ``(sign(m - t) exp(-s), 1 - r)``, the Hessian's
    diagonal ``(0, r)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.laplace_nll([[0.0, 0.0]], [2.0])
    >>> value, gradient, hessian
    (array([2.69314718]), array([[-1., -1.]]), array([[0., 2.]]))
    """
    (m, s), t = _columns(prediction, target, axis)
    scale = np.exp(-s)
    r = np.abs(t - m) * scale
    slope = np.where(t == m, 0 * s, np.sign(m - t) * scale)
    return _stacked(s + r + np.log(m.dtype.type(2)), (slope, 1 - r), (_times(0.0, m - t), r), axis)


@np.errstate(all="ignore")
def logistic_nll(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Negative log-density of a logistic distribution, of its location ``m`` and the logarithm ``s`` of its scale.

    With ``r = (t - m) exp(-s)`` and ``v = tanh(r / 2)``: value ``s + |r| + 2 log1p(exp(-|r|))``, gradient
    ``(-v exp(-s), 1 - r v)``, the Hessian's diagonal ``((1 - v^2) exp(-2 s) / 2, r v + r^2 (1 - v^2) / 2)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.logistic_nll([[0.0, 0.0]], [0.0])
    >>> value, gradient, hessian
    (array([1.38629436]), array([[-0.,  1.]]), array([[0.5, 0. ]]))
    """
    (m, s), t = _columns(prediction, target, axis)
    scale = np.exp(-s)
    r = (t - m) * scale
    e = np.exp(-np.abs(r))
    v, bend = np.tanh(r / 2), 2 * e / (1 + e) ** 2
    moment = np.where(np.isinf(r), np.abs(r), r * v)
    gradient = (-v * scale, 1 - moment)
    return _stacked(s + np.abs(r) + 2 * np.log1p(e), gradient, (bend * scale**2, moment + _times(bend, r**2)), axis)


@np.errstate(all="ignore")
def student_t_nll(prediction: ArrayLike, target: ArrayLike, df: float | None = 5.0, axis: int = -1) -> _Twin:
    """Negative log-density of Student's t distribution with ``df`` = ``v`` degrees of freedom.

    Of its location ``m`` and the logarithm ``s`` of its scale. With ``r = (t - m) exp(-s)`` and
    ``w = (v + 1) / (v + r^2)``: value
    ``s + (v + 1) / 2 log1p(r^2 / v) + log(Gamma(v / 2) sqrt(pi v) / Gamma((v + 1) / 2))``, gradient
    ``(-w r exp(-s), 1 - w r^2)``, the Hessian's diagonal
    ``(w (v - r^2) / (v + r^2) exp(-2 s), 2 v w r^2 / (v + r^2))``. ``df=None``: a third number of a row is ``log(v)``.
    With ``p = r^2 / (v + r^2)``, ``D = log1p(r^2 / v) - p`` and the derivatives ``A'``, ``A''`` of the constant by it,
    the gradient is ``(v D - p) / 2 + A'`` and the Hessian ``(v D - v p^2 + p (1 - p)) / 2 + A''``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.student_t_nll([[0.0, 0.0]], [1.0], df=1.0)
    >>> value, gradient, hessian
    (array([1.83787707]), array([[-1.,  0.]]), array([[0., 1.]]))
    """
    (m, s, *log_v), t = _columns(prediction, target, axis)
    v = np.exp(log_v[0]) if df is None else m.dtype.type(df)
    scale = np.exp(-s)
    y = (t - m) * scale / np.sqrt(v)
    # of 1 / y^2 far from the target, where y^2 may overflow
    far = np.abs(y) > 1
    inverse = np.where(far, 1 / y, y)
    both = 1 + inverse**2
    share, rest = np.where(far, 1, inverse**2) / both, np.where(far, inverse**2, 1) / both
    slope = inverse / both
    log = np.where(far, 2 * np.log(np.abs(y)) + np.log1p(inverse**2), np.log1p(inverse**2))
    gradient = (-(v + 1) / np.sqrt(v) * slope * scale, 1 - (v + 1) * share)
    exact = (v + 1) / v * scale**2 * rest * (rest - share), 2 * (v + 1) * share * rest
    if df is None:
        square = np.where(far, 1 / inverse**2, inverse**2)
        series = sum((n + 1) / (n + 2) * (-square) ** n for n in range(60))
        spread = v * np.where(square < 0.25, square**2 * series, log - share)
        constant, slope_v, bend_v = _gamma_quotient(v)
        slopes = (*gradient, (spread - share) / 2 + slope_v)
        bends = (*exact, (spread - v * share**2 + share * rest) / 2 + bend_v)
        return _stacked(s + (v + 1) / 2 * log + constant, slopes, bends, axis)
    return _stacked(s + (v + 1) / 2 * log + _log_beta_of_t(v), gradient, exact, axis)


def _gamma_quotient(v):
    """``log(Gamma(v / 2) sqrt(pi v) / Gamma((v + 1) / 2))`` and its derivatives by ``log(v)``."""
    coefficients = (1 / 4, -1 / 24, 1 / 20, -17 / 112, 31 / 36, -691 / 88, 5461 / 52)
    one = v.dtype.type(1)
    moved, below = v, [0 * v, 0 * v, 0 * v]
    for _ in range(25):  # to v + 2: log1p(1 / v) - log1p(2 / v) / 2 less
        few = moved < 40
        x = np.where(few, moved, 1)
        first = -1 / (x * (1 + x)) + 1 / (x * (x + 2))
        second = (2 * x + 1) / (x * (1 + x)) ** 2 - (2 * x + 2) / (x * (x + 2)) ** 2
        # by log(v): v d/dv, and v d/dv of that
        terms = np.log1p(1 / x) - np.log1p(2 / x) / 2, v * first, v * first + v**2 * second
        below = [total + np.where(few, term, 0) for total, term in zip(below, terms, strict=True)]
        moved = np.where(few, moved + 2, moved)
    orders = [(2 * i + 1, v.dtype.type(c)) for i, c in enumerate(coefficients)]
    value = np.log(8 * np.arctan(one)) / 2 + sum(c * moved ** (-one * n) for n, c in orders)
    first = sum(-n * c * moved ** (-one * (n + 1)) for n, c in orders)
    second = sum(n * (n + 1) * c * moved ** (-one * (n + 2)) for n, c in orders)
    return value + below[0], v * first + below[1], v * first + v**2 * second + below[2]


def _log_beta_of_t(v):
    """``log(Gamma(v / 2) sqrt(pi v) / Gamma((v + 1) / 2))``; by Stirling's series from 40 on, below by recurrence."""
    less = v.dtype.type(0)
    pi = 4 * np.arctan(v.dtype.type(1))
    root = np.log(v) / 2
    while v < 40:
        less += np.log((v + 1) / v)
        v = v + 2
    terms = (1 / 4, -1 / 24, 1 / 20, -17 / 112, 31 / 36, -691 / 88, 5461 / 52)
    series = sum(v.dtype.type(c) / v ** (2 * i + 1) for i, c in enumerate(terms))
    return np.log(2 * pi) / 2 + root - np.log(v) / 2 + series + less


@np.errstate(all="ignore")
def weibull_nll(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Negative log-density of a Weibull distribution, of the logarithms of its scale, ``z0``, and of its shape, ``z1``.

    With ``k = exp(z1)``, ``u = k (log(t) - z0)`` and ``x = exp(u)``: value ``log(t) - z1 - u + x``, gradient
    ``(k (1 - x), u x - u - 1)``, the Hessian's diagonal ``(k^2 x, u (x - 1) + u^2 x)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.weibull_nll([[0.0, 0.0]], [1.0])
    >>> value, gradient, hessian
    (array([1.]), array([[ 0., -1.]]), array([[1., 0.]]))
    """
    (z0, z1), t = _columns(prediction, target, axis)
    k = np.exp(z1)
    u = k * (np.log(t) - z0)
    x = np.exp(u)
    moment = _times(x, u)
    return _stacked(np.log(t) - z1 - u + x, (k * (1 - x), moment - u - 1), (k**2 * x, moment - u + u * moment), axis)


@np.errstate(all="ignore")
def quantiles(
    prediction: ArrayLike,
    target: ArrayLike,
    q: ArrayLike = (0.1, 0.5, 0.9),
    noncrossing: bool = False,
    axis: int = -1,
) -> _Twin:
    """Sum of the pinball losses (`quantile`) of a row's numbers, one for each level of ``q``.

    ``noncrossing``: of the first number, and of sums of it and the softplus of those that follow. With ``s`` the
    sigmoid of a number, 1 of the first, and ``G`` the sum of the slopes from its quantile on: gradient ``s G``, the
    Hessian's diagonal ``s (1 - s) G``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.quantiles([[0.0, 1.0, 2.0]], [1.5], q=(0.1, 0.5, 0.9))
    >>> value, gradient
    (array([0.45]), array([[-0.1, -0.5,  0.1]]))
    """
    z, t = _columns(prediction, target, axis)
    points = list(z)
    for k in range(1, len(z) if noncrossing else 0):
        points[k] = points[k - 1] + _softplus(z[k])
    each = [quantile(column, t, level) for column, level in zip(points, np.asarray(q), strict=True)]
    value, gradient, hessian = zip(*each, strict=True)
    if noncrossing:
        slope = np.cumsum(gradient[::-1], axis=0)[::-1]
        share = [1 + 0 * z[0], *(sigmoid(column) for column in z[1:])]
        rest = [0 * z[0], *(sigmoid(-column) for column in z[1:])]
        gradient = tuple(s * g for s, g in zip(share, slope, strict=True))
        hessian = tuple(s * r * g for s, r, g in zip(share, rest, slope, strict=True))
    return _stacked(np.sum(value, axis=0), gradient, hessian, axis)


def _stirling(a):
    """What Stirling leaves of ``log Gamma(a)``, ``a (log(a) - psi(a))`` and ``a (a psi'(a) - 1)``.

    By the asymptotic series from 30 on, below by recurrence.
    """
    bernoulli = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
    one, steps = a.dtype.type(1), 30
    moved = np.where(a < steps, a + steps, a)
    powers = [(2 * k + 2, a.dtype.type(b)) for k, b in enumerate(bernoulli)]
    remainder = sum(b / (n * (n - 1)) * moved ** (one - n) for n, b in powers)
    # log(a) - psi(a) and psi'(a), of the one that is moved
    gap = 1 / (2 * moved) + sum(b / n * moved ** (-one * n) for n, b in powers)
    slope = 1 / moved + 1 / (2 * moved**2) + sum(b * moved ** (-one - n) for n, b in powers)
    terms = [a + k for k in range(steps)]
    growth = np.where(a < steps, np.log1p(steps / a), 0)
    gap = gap + np.where(a < steps, sum(1 / x for x in terms), 0) - growth
    slope = slope + np.where(a < steps, sum(1 / x**2 for x in terms), 0)
    # (moved - 1 / 2) log(moved) - moved, less the same of a, less the logarithms of the terms
    back = (moved - one / 2) * growth - np.where(a < steps, sum(np.log1p(k / a) for k in range(steps)) + steps, 0)
    far_gap = one / 2 + sum(b / n * moved ** (1 - n) for n, b in powers)
    far_slope = one / 2 + sum(b * moved ** (1 - n) for n, b in powers)
    far = a >= steps
    return remainder + back, np.where(far, far_gap, a * gap), np.where(far, far_slope, a * (a * slope - 1))


@np.errstate(all="ignore")
def gamma_nll(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Negative log-density of a gamma distribution, of the logarithms of its mean, ``u``, and of its shape.

    With the shape ``a``, ``x = t exp(-u)`` and ``D = x - 1 - log(x)``: value
    ``lgamma(a) - a log(a) + a + a D + log(t)``, gradient ``(a (1 - x), g)``, ``g = a (psi(a) - log(a) + D)``, the
    Hessian's diagonal ``(a x, g + a (a psi'(a) - 1))``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.gamma_nll([[0.0, 0.0]], [2.0])
    >>> value, gradient, hessian
    (array([2.]), array([[-1.        , -0.27036285]]), array([[2.        , 0.37457122]]))
    """
    (u, log_a), t = _columns(prediction, target, axis)
    a, d = np.exp(log_a), u - np.log(t)
    x = np.exp(-d)
    # x - 1 - log(x) loses all digits where x is next to 1; half a dozen terms do there.
    near = d**2 / 2 * (1 - d / 3 * (1 - d / 4 * (1 - d / 5 * (1 - d / 6 * (1 - d / 7 * (1 - d / 8))))))
    deviance = np.where(np.abs(d) < 1e-2, near, np.where(x == np.inf, x, np.expm1(-d) + d))
    remainder, gap, bend = _stirling(a)
    pi = 4 * np.arctan(a.dtype.type(1))
    pull = -np.expm1(-d)
    shape = a * deviance - gap
    value = remainder - log_a / 2 + np.log(2 * pi) / 2 + a * deviance + np.log(t)
    return _stacked(value, (a * pull, shape), (a * x, shape + bend), axis)


def _erf(x):
    """``2 / sqrt(pi) x exp(-x^2) (1 + 2 x^2 / 3 (1 + 2 x^2 / 5 (...)))``: a sum of one sign."""
    distance = np.minimum(np.abs(x), 7)
    square, total = distance**2, np.ones_like(distance)
    for n in range(401, 1, -2):
        total = 1 + total * 2 * square / n
    root = np.sqrt(np.arctan(distance.dtype.type(1)))
    return np.copysign(np.minimum(1, distance * np.exp(-square) * total / root), x)


@np.errstate(all="ignore")
def negative_binomial_nll(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Negative log-likelihood of a count of mean ``m`` and variance ``m + a m^2``, of ``log(m)`` and ``log(a)``.

    With ``q = 1 / a``: value ``log(Gamma(q) t! / Gamma(t + q)) + q log1p(a m) + t log1p(1 / (a m))``, gradient
    ``(g0, g1) = (m - t) / (1 + a m), q (psi(t + q) - psi(q) - log1p(a m)) + g0``, the Hessian's diagonal
    ``(m (1 + a t) / (1 + a m)^2, q^2 (psi'(q) - psi'(t + q)) - m / (1 + a m) - g1 + g0 / (1 + a m))``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.negative_binomial_nll([[0.0, 0.0]], [2.0])
    >>> value.round(8), gradient.round(8)
    (array([2.07944154]), array([[-0.5       ,  0.30685282]]))
    """
    (z0, z1), t = _columns(prediction, target, axis)
    one = z0.dtype.type(1)
    m, a, q = np.exp(z0), np.exp(z1), np.exp(-z1)
    y, x, k = 1 + a * m, 1 + a * t, 1 / (1 + a * t)
    log_m, log_t = np.log1p(a * m), np.log1p(a * t)
    g0 = (m - t) / y
    # q (s - log1p(s)), of 1 + s = x / y
    s = -a * g0
    series = sum((-s) ** n * (one / (n + 2)) for n in range(40))
    lost = np.where(np.abs(s) < 0.25, a * g0**2 * series, q * (s + log_m - log_t))
    of_q, of_sum, of_next = _stirling(q), _stirling(t + q), _stirling(t + 1)
    log_two_pi = np.log(8 * np.arctan(one))
    log_factorial = (t + one / 2) * np.log(t + 1) - (t + 1) + log_two_pi / 2 + of_next[0]
    value = (
        q * (log_m - log_t) + t * (np.log1p(1 / (a * m)) - np.log(t + q)) + t + log_t / 2 + of_q[0] - of_sum[0]
    ) + log_factorial
    g1 = of_q[1] - k * of_sum[1] - lost
    bend = lost - a * g0**2 * k + of_q[2] - of_q[1] - k * (k * of_sum[2] - of_sum[1])
    return _stacked(np.where(t == 0, q * log_m, value), (g0, g1), (m * x / y**2, bend), axis)


@np.errstate(all="ignore")
def beta_nll(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Negative log-density of a beta distribution, of the logit of its mean ``m`` and the logarithm of ``p = a + b``.

    With ``a = m p``, ``b = (1 - m) p`` and ``v = m (1 - m)``: value
    ``log(Gamma(a) Gamma(b) / Gamma(p)) - (a - 1) log(t) - (b - 1) log(1 - t)``, gradient ``(g0, g1) =
    p v (psi(a) - psi(b) - logit(t)), a (psi(a) - log(t)) + b (psi(b) - log(1 - t)) - p psi(p)``, the Hessian's diagonal
    ``(p v)^2 (psi'(a) + psi'(b)) + (1 - 2 m) g0, a^2 psi'(a) + b^2 psi'(b) - p^2 psi'(p) + g1``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.beta_nll([[0.0, 0.0]], [0.5])
    >>> value.round(8), gradient.round(8)
    (array([0.45158271]), array([[ 0.        , -0.69314718]]))
    """
    (z0, z1), t = _columns(prediction, target, axis)
    m, rest, p = sigmoid(z0), sigmoid(-z0), np.exp(z1)
    a, b = m * p, rest * p
    log_m, log_rest = -_softplus(-z0), -_softplus(z0)
    log_t, log_other = np.log(t), np.log1p(-t)
    of_a, of_b, of_p = _stirling(a), _stirling(b), _stirling(p)
    deviance = a * (log_m - log_t) + b * (log_rest - log_other)
    pi = 4 * np.arctan(z0.dtype.type(1))
    logs = (np.log(2 * pi) - log_m - log_rest - z1) / 2
    value = deviance + log_t + log_other + logs + of_a[0] + of_b[0] - of_p[0]
    g0 = a * rest * (z0 - log_t + log_other) - rest * of_a[1] + m * of_b[1]
    g1 = deviance - of_a[1] - of_b[1] + of_p[1]
    bend = a * rest + rest**2 * of_a[2] + m**2 * of_b[2] + (rest - m) * g0
    return _stacked(value, (g0, g1), (bend, of_a[2] + of_b[2] - of_p[2] + g1), axis)


def all_threshold(prediction: ArrayLike, target: ArrayLike, n_classes: int = 3, axis: int = -1) -> _Twin:
    """Sum of binary cross-entropies of ``target > k``, of the logits ``z_k`` (Rennie & Srebro 2005).

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.all_threshold([[0.0, 0.0]], [1])
    >>> value, gradient
    (array([1.38629436]), array([[-0.5,  0.5]]))
    """
    z, t = _columns(prediction, target, axis)
    each = [binary_cross_entropy(z[k], (t > k).astype(t.dtype)) for k in range(n_classes - 1)]
    value, gradient, hessian = zip(*each, strict=True)
    return _stacked(np.sum(value, axis=0), gradient, hessian, axis)


@np.errstate(all="ignore")
def gaussian_crps(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Continuous ranked probability score of a normal distribution of mean ``m`` and log standard deviation ``s``.

    With ``r = (t - m) exp(-s)`` and the normal density ``phi``: value
    ``exp(s) (r erf(r / sqrt(2)) + 2 phi(r) - 1 / sqrt(pi))``, gradient
    ``(-erf(r / sqrt(2)), exp(s) (2 phi(r) - 1 / sqrt(pi)))``, the Hessian's diagonal
    ``(2 phi(r) exp(-s), exp(s) (2 phi(r) (1 + r^2) - 1 / sqrt(pi)))``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.gaussian_crps([[0.0, 0.0]], [0.0])
    >>> value, gradient, hessian
    (array([0.23369498]), array([[-0.        ,  0.23369498]]), array([[0.79788456, 0.23369498]]))
    """
    (m, s), t = _columns(prediction, target, axis)
    scale = np.exp(s)
    r = (t - m) / scale
    root = 2 * np.sqrt(np.arctan(m.dtype.type(1)))
    twice, share = np.sqrt(m.dtype.type(2)) / root * np.exp(-(r**2) / 2), _erf(r / np.sqrt(m.dtype.type(2)))
    pull = twice - 1 / root
    hessian = (twice / scale, scale * (_times(twice, r**2) + pull))
    return _stacked(scale * (r * share + pull), (-share, scale * pull), hessian, axis)


@np.errstate(all="ignore")
def log_normal_crps(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """`gaussian_crps` of ``log(t)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.log_normal_crps([[0.0, 0.0]], [1.0])
    >>> value, gradient
    (array([0.23369498]), array([[-0.        ,  0.23369498]]))
    """
    return gaussian_crps(prediction, np.log(_real(target)), axis)


@np.errstate(all="ignore")
def zero_inflated_poisson_nll(prediction: ArrayLike, target: ArrayLike, axis: int = -1) -> _Twin:
    """Negative log-likelihood of a count that is 0 with probability ``s``, and Poisson's of mean ``m`` otherwise.

    Of ``log(m)`` and the logit of ``s``. With ``w = z1 + m``: value ``-log(s + (1 - s) exp(-m))`` of a count of 0, else
    ``m - t z0 + log(t!) - log(1 - s)``; gradient ``(m sigmoid(-w), s - sigmoid(w))`` or ``(m - t, s)``; the Hessian's
    diagonal ``(m sigmoid(-w) (1 - m sigmoid(w)), s (1 - s) - sigmoid(w) sigmoid(-w))`` or ``(m, s (1 - s))``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, _ = reference.zero_inflated_poisson_nll([[0.0, 0.0]], [1.0])
    >>> value, gradient
    (array([1.69314718]), array([[0. , 0.5]]))
    """
    (z0, z1), t = _columns(prediction, target, axis)
    m = np.exp(z0)
    w = z1 + m
    share, rest, share_w, rest_w = sigmoid(z1), sigmoid(-z1), sigmoid(w), sigmoid(-w)
    some = -np.expm1(-m)
    zero = np.where(rest * some < 0.5, -np.log1p(-rest * some), -np.log(share + rest * np.exp(-m)))
    log_n = np.log(t + 1)
    half = m.dtype.type(1) / 2
    log_factorial = (t + half) * log_n - (t + 1) + np.log(8 * np.arctan(m.dtype.type(1))) / 2 + _stirling(t + 1)[0]
    is_zero = t == 0
    value = np.where(is_zero, zero, _softplus(z1) + m - t * z0 + log_factorial)
    pull = _times(rest_w, m)
    gradient = np.where(is_zero, pull, m - t), np.where(is_zero, -share_w * rest * some, share)
    bend = _times(share_w * rest_w, m)
    of_mean = np.where(is_zero, pull - _times(bend, m), m)
    return _stacked(value, gradient, (of_mean, share * rest - np.where(is_zero, share_w * rest_w, 0)), axis)


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


# ---------------------------------------------------------------------- rows that belong together


def _weights(weight, z):
    return np.ones_like(z) if weight is None else np.broadcast_to(np.asarray(weight, z.dtype), z.shape)


def cox_ph(
    prediction: ArrayLike,
    target: ArrayLike,
    ties: str = "efron",
    sample_weight: ArrayLike | None = None,
    strata: ArrayLike | None = None,
) -> _Twin:
    """Cox's negative log partial likelihood: at each time a softmax of the rows at risk, in which events were chosen.

    A target is the time of the event or, negative, of censoring. Of d events at a time, Efron's sum takes d such
    softmaxes, in the k-th of which each of these events counts 1 - k / d; Breslow's takes one, in which all count 1.
    The value of an event is its weight times -z and the mean of the logarithms of these sums; value and derivatives
    are weighted, and those of a row are by its own score.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.cox_ph([0.0, 0.0], [1.0, -2.0])
    >>> value, gradient, hessian
    (array([0.69314718, 0.        ]), array([-0.5,  0.5]), array([0.25, 0.25]))
    """
    z, t = _real(prediction), _real(target)
    w = _weights(sample_weight, z)
    stratum = np.zeros(len(z)) if strata is None else np.asarray(strata)
    value, gradient, hessian = np.zeros((3, len(z)), z.dtype)
    for one in np.unique(stratum):
        for time in np.unique(t[(stratum == one) & (t > 0) & (w > 0)]):
            event = (stratum == one) & (t == time) & (w > 0)
            at_risk = (stratum == one) & (abs(t) >= time) & (w > 0)
            d = z.dtype.type(np.sum(event)) if ties == "efron" else z.dtype.type(1)
            largest = z[at_risk].max()
            for k in range(int(d)):
                counts = np.where(event, w * (1 - k / d), np.where(at_risk, w, 0))
                e = np.where(at_risk, counts * np.exp(np.where(at_risk, z - largest, 0)), 0)
                p = e / e.sum()
                value += np.where(event, w * (largest - z + np.log(e.sum())), 0) / d
                gradient += np.sum(w[event]) / d * p
                hessian += np.sum(w[event]) / d * p * (1 - p)
            gradient -= np.where(event, w, 0)
    return value, gradient, hessian


def _aft_parts(distribution, x):
    """Density, probability up to ``x`` and beyond it, and the derivatives of the log density."""
    from math import erfc, pi

    if distribution == "normal":
        below = np.array([erfc(-each / 2**0.5) / 2 for each in x])
        beyond = np.array([erfc(each / 2**0.5) / 2 for each in x])
        return np.exp(-x * x / 2) / np.sqrt(2 * pi), below, beyond, -x, -np.ones_like(x)
    if distribution == "logistic":
        below, beyond = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))
        return below * beyond, below, beyond, beyond - below, -2 * below * beyond
    u = np.exp(x)
    return np.where(u < np.inf, u * np.exp(-u), 0.0), -np.expm1(-u), np.exp(-u), 1 - u, -u


@np.errstate(all="ignore")
def aft(prediction: ArrayLike, target: ArrayLike, distribution: str = "normal", scale: float | None = 1.0) -> _Twin:
    """Negative log-likelihood of ``log T = z + scale x``, with ``x`` normal, logistic or of the least extreme value.

    With the density ``f`` and the distribution function ``F`` of ``x``, ``a = (log(lower) - z) / scale`` and ``b`` the
    same of the upper bound: ``-log f(a) + log(scale t)`` of an event, ``-log(F(b) - F(a))`` of bounds.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.aft([0.0], [-1.0], distribution="extreme")
    >>> value, gradient, hessian
    (array([1.]), array([-1.]), array([1.]))
    """
    z, t = np.asarray(prediction, float), np.asarray(target, float)
    s = np.exp(z[:, 1]) if scale is None else np.full(len(z), float(scale))
    place = z[:, 0] if scale is None else z
    lower, upper = t.T if t.ndim == 2 else (abs(t), np.where(t > 0, t, np.inf))
    a, b = (np.log(lower) - place) / s, (np.log(upper) - place) / s
    (fa, below_a, beyond_a, psi_a, bend_a), (fb, below_b, beyond_b, psi_b, _) = (
        _aft_parts(distribution, each) for each in (a, b)
    )
    apart = np.where(a > 0, beyond_a - beyond_b, below_b - below_a)
    ua, ub = np.where(fa > 0, fa / apart, 0), np.where(fb > 0, fb / apart, 0)
    fa_a, fb_b = _times(ua, a), _times(ub, b)
    event = lower == upper
    value = np.where(event, -np.log(fa) + np.log(s * lower), -np.log(apart))
    gradient = np.where(event, psi_a, ub - ua) / s
    hessian = np.where(event, -bend_a, (ub - ua) ** 2 - _times(ub, psi_b) + _times(ua, psi_a)) / s**2
    if scale is not None:
        return value, gradient, hessian
    spread = np.where(event, 1 + a * psi_a, fb_b - fa_a)
    interval = spread**2 - _times(fb_b, b * psi_b) + _times(fa_a, a * psi_a) - fb_b + fa_a
    bend = np.where(event, -(a**2) * bend_a - a * psi_a, interval)
    return value, np.stack([gradient, spread], axis=1), np.stack([hessian, bend], axis=1)


def _members(group, n):
    """Rows of each group, of sizes or ids."""
    group = np.asarray(group)
    if len(group) != n:
        group = np.repeat(np.arange(len(group)), group)
    _, first = np.unique(group, return_index=True)
    return [np.flatnonzero(group == group[i]) for i in np.sort(first)]


def group_softmax(
    prediction: ArrayLike, target: ArrayLike, group: Any = None, sample_weight: ArrayLike | None = None
) -> _Twin:
    """Cross-entropy of targets and softmax within each group: one value a group, derivatives of each row.

    With ``U = sum w t`` over a group and ``p`` its softmax: value ``-sum w t log p``, gradient ``U p - w t``, Hessian
    ``U p (1 - p)``.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.group_softmax([0.0, 0.0], [1, 0], group=[2])
    >>> value, gradient, hessian
    (array([0.69314718]), array([-0.5,  0.5]), array([0.25, 0.25]))
    """
    z, t = _real(prediction), _real(target)
    w = _weights(sample_weight, z)
    gradient, hessian = np.zeros((2, len(z)), z.dtype)
    values = []
    for rows in _members(group, len(z)):
        rows = rows[w[rows] > 0]
        log_p, p, rest, _ = _probabilities(z[rows]) if len(rows) else (z[rows],) * 3 + (None,)
        u = w[rows] * t[rows]
        values.append(np.sum(_times(u, -log_p)))
        gradient[rows] = (u.sum() - u) * p - u * rest
        hessian[rows] = u.sum() * p * rest
    return np.array(values, z.dtype), gradient, hessian


def pairwise_logistic(
    prediction: ArrayLike, target: ArrayLike, group: Any = None, sample_weight: ArrayLike | None = None
) -> _Twin:
    """``log(1 + exp(z_j - z_i))`` over the pairs of each group in which ``i`` has the larger target.

    A pair weighs the mean of its rows' weights; rows of weight 0 are in none. One value a group, derivatives of each
    row.

    Examples
    --------
    >>> from fastloss import reference
    >>> value, gradient, hessian = reference.pairwise_logistic([0.0, 0.0], [1, 0], group=[2])
    >>> value, gradient, hessian
    (array([0.69314718]), array([-0.5,  0.5]), array([0.25, 0.25]))
    """
    z, t = _real(prediction), _real(target)
    w = _weights(sample_weight, z)
    gradient, hessian = np.zeros((2, len(z)), z.dtype)
    values = []
    for rows in _members(group, len(z)):
        value = z.dtype.type(0)
        for i in rows:
            for j in rows:
                if t[i] > t[j] and w[i] > 0 and w[j] > 0:
                    margin, c = z[i] - z[j], (w[i] + w[j]) / 2
                    e = np.exp(-abs(margin))
                    q, p = (e / (1 + e), 1 / (1 + e)) if margin > 0 else (1 / (1 + e), e / (1 + e))
                    value += c * (np.log1p(e) + max(-margin, 0))
                    gradient[i] -= c * q
                    gradient[j] += c * q
                    hessian[[i, j]] += c * p * q
        values.append(value)
    return np.array(values, z.dtype), gradient, hessian
