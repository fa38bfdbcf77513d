"""The losses as a text book writes them: NumPy, float64, no speed.

Every loss has a twin here of the same name with the same parameters. It returns ``(value, gradient,
hessian)``, one element for each prediction (for row-wise losses one value for each row), not weighted and
not reduced. The kernels are tested against these twins; they are also the place to look up what a
loss is, exactly. Input in extended precision (`numpy.longdouble`) is computed in it.

Three habits keep float64 accurate in the tails, where the obvious code has no digit left:
the largest logit is subtracted first, ``log(1 + x)`` is ``log1p(x)``, and ``1 - p`` is the sum of the other
probabilities.
"""

from __future__ import annotations

import numpy as np

__all__ = [
    "absolute_error",
    "binary_cross_entropy",
    "binary_focal",
    "cross_entropy",
    "focal",
    "huber",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "sigmoid",
    "softmax",
    "squared_error",
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
    other_odds = np.sum(np.where(is_largest, 0.0, odds), axis=-1, keepdims=True)
    log_p = below - np.log1p(other_odds)
    p = odds / (1 + other_odds)
    rest = np.where(is_largest, other_odds, 1 + (other_odds - odds)) / (1 + other_odds)
    return log_p, p, rest, is_largest


@np.errstate(all="ignore")
def log_softmax(x, axis=-1):
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
def softmax(x, axis=-1):
    """``exp(x) / sum(exp(x))`` along `axis`."""
    _, p, *_ = _probabilities(np.moveaxis(_real(x), axis, -1))
    return np.moveaxis(p, -1, axis)


@np.errstate(all="ignore")
def logsumexp(x, axis=-1):
    """``log(sum(exp(x)))`` along `axis`; ``-inf`` for a row of ``-inf``, ``inf`` for a row with ``inf``."""
    x = np.moveaxis(_real(x), axis, -1)
    log_p, *_ = _probabilities(x)
    largest = x.max(axis=-1)
    # log_p of the largest is -log1p(sum of the other odds).
    return np.where(np.isfinite(largest), largest - log_p.max(axis=-1), largest)


@np.errstate(all="ignore")
def sigmoid(x):
    """``1 / (1 + exp(-x))``."""
    x = _real(x)
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


@np.errstate(all="ignore")
def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@np.errstate(all="ignore")
def log_sigmoid(x):
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
def cross_entropy(logits, target, class_weight=None, label_smoothing=0.0, ignore_index=None, axis=-1):
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
def focal(logits, target, gamma=2.0, class_weight=None, label_smoothing=0.0, ignore_index=None, axis=-1):
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


# -------------------------------------------------------------- binary and multilabel


def _binary_target(target, z, label_smoothing):
    """``t`` and ``1 - t`` after smoothing."""
    t = np.broadcast_to(_real(target), z.shape)
    smoothing = z.dtype.type(label_smoothing)
    return t * (1 - smoothing) + smoothing / 2, (1 - t) * (1 - smoothing) + smoothing / 2


@np.errstate(all="ignore")
def binary_cross_entropy(logits, target, pos_weight=None, label_smoothing=0.0):
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
def binary_focal(logits, target, gamma=2.0, alpha=None, label_smoothing=0.0):
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


# ------------------------------------------------------------------------- regression


def _residual(prediction, target):
    z = _real(prediction)
    return z - np.broadcast_to(_real(target), z.shape)


@np.errstate(all="ignore")
def squared_error(prediction, target):
    """``(z - y)^2``, with gradient ``2 (z - y)`` and Hessian 2."""
    r = _residual(prediction, target)
    return r**2, 2 * r, np.where(np.isnan(r), r, 2.0)


@np.errstate(all="ignore")
def absolute_error(prediction, target):
    """``|z - y|``, with gradient ``sign(z - y)`` (0 where they are equal) and Hessian 0."""
    r = _residual(prediction, target)
    return np.abs(r), np.sign(r), np.where(np.isnan(r), r, 0.0)


@np.errstate(all="ignore")
def huber(prediction, target, delta=1.0):
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
