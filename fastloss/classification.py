"""Losses for classification on raw scores (logits): classes along an axis, or binary and multilabel."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call, _parameters, _posterior, rowwise
from ._kernels import PointwiseLoss, RowwiseLoss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "BinaryCrossEntropy",
    "BinaryFocal",
    "CrossEntropy",
    "Focal",
    "binary_cross_entropy",
    "binary_focal",
    "cross_entropy",
    "focal",
]


class _SoftmaxLoss(RowwiseLoss):
    """What losses on the softmax of logits have in common."""

    __slots__ = ()

    def inverse_link(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the softmax of raw scores, whatever the parameters of the loss.

        Parameters
        ----------
        z : array_like
            Logits of any shape.
        axis : int, default -1
            The axis of the classes.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.CrossEntropy().inverse_link([0.0, 0.0])
        array([0.5, 0.5])
        """
        return rowwise.softmax(z, axis)


class CrossEntropy(_SoftmaxLoss):
    """
    Cross-entropy of the softmax of logits.

    With p = softmax(z) along the classes, K of them, and a class index y per row as target:

        value     -sum_k a_k log p_k
        gradient  S p_j - a_j
        Hessian   S p_j (1 - p_j)

    where a_k = (1 - e) w_y [k = y] + (e / K) w_k, S = sum_k a_k, w is `class_weight` and e is `label_smoothing`.
    With probabilities t as target a_k = w_k ((1 - e) t_k + e / K). They need not sum to 1.

    Parameters
    ----------
    class_weight : array_like of shape (K,), optional
        A weight for each class; finite and >= 0.
    label_smoothing : float, default 0.0
        The share of the target that is spread evenly over all classes; in [0, 1].
    ignore_index : int, optional
        Rows with this index as target count nowhere; it may be any integer. With class indices only.

    Raises
    ------
    TypeError
        If a parameter is not of its type.
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    The methods take `prediction` of any shape with the classes along `axis`, and as `target` either one class index
    per row (the shape without `axis`, integers) or probabilities (the whole shape).
    ``reduction="mean"`` divides by the sum of sample weights times, for indices, class weights: torch's and
    scikit-learn's mean. The loss is convex: ``curvature="psd"`` is the Hessian.

    References
    ----------
    C. Szegedy et al., "Rethinking the Inception architecture" (label smoothing), https://arxiv.org/abs/1512.00567

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.CrossEntropy()
    >>> loss([[0.0, 0.0], [30.0, 0.0]], [1, 0], reduction="none")
    array([6.93147181e-01, 9.35762297e-14])
    >>> loss.gradient([[0.0, 0.0]], [1])
    array([[ 0.5, -0.5]])
    >>> round(loss([[0.0, 0.0]], [[0.3, 0.7]]), 12)
    0.69314718056
    """

    __slots__ = ()

    def __init__(
        self,
        class_weight: ArrayLike | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
    ) -> None:
        options = _softmax_options(class_weight, label_smoothing, ignore_index)
        super().__init__("cross_entropy", options, (), **options)

    def predict_proba(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the class probabilities that raw scores stand for.

        Without options this is the softmax. Class weights and label smoothing move the scores that minimise
        the loss away from the classes' log probabilities; both are undone. Undoing smoothing is clipped at
        0; a class of weight 0 gets probability 0.

        Parameters
        ----------
        z : array_like
            Logits of any shape.
        axis : int, default -1
            The axis of the classes.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.CrossEntropy().predict_proba([0.0, 0.0])
        array([0.5, 0.5])
        >>> fl.CrossEntropy(class_weight=[1.0, 3.0]).predict_proba([0.0, 0.0])
        array([0.75, 0.25])
        """
        class_weight, smoothing = self.parameters["class_weight"], self.parameters["label_smoothing"]
        if class_weight is None and smoothing == 0.0:
            return rowwise.softmax(z, axis)
        return _posterior.in_float64(z, lambda wide: _posterior.softmax_posterior(wide, class_weight, smoothing), axis)

    def init_score(
        self, target: ArrayLike, sample_weight: ArrayLike | None = None, *, n_classes: int | None = None
    ) -> np.ndarray:
        """
        Return the constant logits that minimise the loss: log proportions of the classes, centred.

        Parameters
        ----------
        target : array_like
            Class indices of shape (n,), or probabilities of shape (n, K).
        sample_weight : array_like of shape (n,), optional
            Finite and >= 0.
        n_classes : int, optional
            K, for class indices. By default the length of `class_weight`, else the largest index plus 1.

        Returns
        -------
        ndarray of shape (K,)
            float64; their mean is 0. The proportion of a class that does not occur is taken as 2^-52.

        Raises
        ------
        ValueError
            If a target or weight is out of its range, or no row counts.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.CrossEntropy().init_score([0, 0, 0, 1])
        array([ 0.54930614, -0.54930614])
        """
        scores = np.log(_posterior.class_shares(target, sample_weight, n_classes, **self.parameters))
        return scores - scores.mean()


class Focal(_SoftmaxLoss):
    """
    Focal loss on the softmax of logits: cross-entropy that looks away from rows it has right.

    With p = softmax(z) along the classes, a class index y per row as target, s = p_y, r = 1 - s, l = log s:

        value     -a r^gamma l
        gradient  c (p_j - [j = y])
        Hessian   c p_j (1 - p_j) + d (p_j - [j = y])^2

        c = a (r^gamma - gamma s l r^(gamma - 1))
        d = a gamma s r^(gamma - 2) ((2 + l) r - (gamma - 1) s l)

    where a is the class weight of y. r is the sum of the other probabilities, so nothing is lost where s is
    close to 1, and gamma < 1 is finite there. Probabilities t as target, and smoothing, mix the losses of the
    classes linearly, with the same shares as in `CrossEntropy`. gamma = 0 is `CrossEntropy`.

    Parameters
    ----------
    gamma : float, default 2.0
        How much rows count less that are right already; finite and >= 0.
    class_weight : array_like of shape (K,), optional
        A weight for each class; finite and >= 0.
    label_smoothing : float, default 0.0
        The share of the target that is spread evenly over all classes; in [0, 1].
    ignore_index : int, optional
        Rows with this index as target count nowhere; it may be any integer. With class indices only.

    Raises
    ------
    TypeError
        If a parameter is not of its type.
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    The methods take `prediction` of any shape with the classes along `axis`, and as `target` either one class index
    per row (the shape without `axis`, integers) or probabilities (the whole shape).
    The Hessian is negative for badly wrong rows (gamma = 2: s below 0.058), where a Newton step would go the
    wrong way. ``curvature="psd"`` gives c p_j (1 - p_j), which is never negative.

    References
    ----------
    T.-Y. Lin et al., "Focal loss for dense object detection", https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Focal(gamma=2.0)
    >>> round(loss([[0.0, 0.0]], [1]), 12)
    0.17328679514
    >>> loss([[0.0, 0.0]], [1]) / fl.cross_entropy([[0.0, 0.0]], [1])
    0.25
    """

    __slots__ = ()

    def __init__(
        self,
        gamma: float = 2.0,
        class_weight: ArrayLike | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
    ) -> None:
        gamma = _parameters.real("gamma", gamma, ">= 0")
        options = _softmax_options(class_weight, label_smoothing, ignore_index)
        super().__init__("focal", {"gamma": gamma, **options}, (gamma,), **options)

    def predict_proba(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the calibrated class probabilities, which are not the softmax.

        The focal loss is least where p_k / (w_k c(p_k)) is proportional to the probability of class k, with
        p = softmax(z), c(s) = (1 - s)^gamma - gamma s log(s) (1 - s)^(gamma - 1) and class weights w. Label
        smoothing is undone, clipped at 0; a class of weight 0 gets probability 0.

        Parameters
        ----------
        z : array_like
            Logits of any shape.
        axis : int, default -1
            The axis of the classes.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        References
        ----------
        N. Charoenphakdee et al., "On focal loss for class-posterior probability estimation", CVPR 2021,
        https://arxiv.org/abs/2011.09172

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.softmax([2.0, 0.0])
        array([0.88079708, 0.11920292])
        >>> fl.Focal(gamma=2.0).predict_proba([2.0, 0.0])
        array([0.99549648, 0.00450352])
        """
        gamma, class_weight = self.parameters["gamma"], self.parameters["class_weight"]
        smoothing = self.parameters["label_smoothing"]
        return _posterior.in_float64(
            z,
            lambda wide: _posterior.softmax_posterior(_posterior.focal_log_odds(wide, gamma), class_weight, smoothing),
            axis,
        )

    def init_score(
        self, target: ArrayLike, sample_weight: ArrayLike | None = None, *, n_classes: int | None = None
    ) -> np.ndarray:
        """
        Return the constant logits that minimise the loss.

        Parameters
        ----------
        target : array_like
            Class indices of shape (n,), or probabilities of shape (n, K).
        sample_weight : array_like of shape (n,), optional
            Finite and >= 0.
        n_classes : int, optional
            K, for class indices. By default the length of `class_weight`, else the largest index plus 1.

        Returns
        -------
        ndarray of shape (K,)
            float64; their mean is 0. The proportion of a class that does not occur is taken as 2^-52.

        Raises
        ------
        ValueError
            If a target or weight is out of its range, or no row counts.

        Examples
        --------
        >>> import fastloss as fl
        >>> loss = fl.Focal(gamma=2.0)
        >>> z = loss.init_score([0, 0, 0, 1])
        >>> z
        array([ 0.20518366, -0.20518366])
        >>> loss.predict_proba(z)
        array([0.75, 0.25])
        """
        gamma, options = self.parameters["gamma"], dict(self.parameters)
        del options["gamma"]
        shares = _posterior.class_shares(target, sample_weight, n_classes, **options)
        return _posterior.softmax_focal_scores(shares, gamma)


class BinaryCrossEntropy(PointwiseLoss):
    """
    Binary cross-entropy of the sigmoid of logits, for one or many labels.

    With p = sigmoid(z), q = `pos_weight` and a target t in [0, 1]:

        value     q t log(1 + exp(-z)) + (1 - t) log(1 + exp(z))
        gradient  (1 - t) p - q t (1 - p)
        Hessian   (q t + 1 - t) p (1 - p)

    evaluated through exp(-abs(z)), which keeps all digits in both tails.

    Parameters
    ----------
    pos_weight : float or array_like, optional
        The weight of positives; finite and >= 0. An array broadcasts to the logits: one weight per label.
    label_smoothing : float, default 0.0
        e turns t into t (1 - e) + e / 2; in [0, 1].

    Raises
    ------
    TypeError
        If a parameter is not of its type.
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The loss is convex:
    ``curvature="psd"`` is the Hessian.

    References
    ----------
    torch.nn.BCEWithLogitsLoss, for `pos_weight`.

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.BinaryCrossEntropy()
    >>> loss([0.0, 40.0], [1.0, 1.0], reduction="none")
    array([6.93147181e-01, 4.24835426e-18])
    >>> loss.gradient([0.0, 0.0], [1, 0], reduction="sum")
    array([-0.5,  0.5])
    """

    __slots__ = ()

    def __init__(self, pos_weight: ArrayLike | None = None, label_smoothing: float = 0.0) -> None:
        in_coefficients = 1.0
        if pos_weight is not None:
            weights = _parameters.weight_array("pos_weight", pos_weight)
            if weights.ndim == 0:
                pos_weight = in_coefficients = float(weights)
            else:
                pos_weight = weights
        label_smoothing = _parameters.real("label_smoothing", label_smoothing, "in [0, 1]")
        super().__init__(
            "binary_cross_entropy",
            {"pos_weight": pos_weight, "label_smoothing": label_smoothing},
            (in_coefficients, label_smoothing),
        )

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return the sigmoid of raw scores, whatever the parameters of the loss.

        Parameters
        ----------
        z : array_like
            Logits of any shape.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.BinaryCrossEntropy(pos_weight=3.0).inverse_link([0.0])
        array([0.5])
        """
        return rowwise.sigmoid(z)

    def predict_proba(self, z: ArrayLike) -> Any:
        """
        Return the probability of the positive label that raw scores stand for.

        Without options this is the sigmoid. `pos_weight` multiplies the odds at which the loss is least, and
        label smoothing mixes the probability with 1/2; both are undone. Undoing smoothing is clipped to
        [0, 1]; positives of weight 0 get probability 0.

        Parameters
        ----------
        z : array_like
            Logits of any shape.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.BinaryCrossEntropy().predict_proba([0.0])
        array([0.5])
        >>> fl.BinaryCrossEntropy(pos_weight=3.0).predict_proba([0.0])
        array([0.25])
        """
        pos_weight, smoothing = self.parameters["pos_weight"], self.parameters["label_smoothing"]
        if pos_weight is None and smoothing == 0.0:
            return rowwise.sigmoid(z)

        def posterior(wide: np.ndarray) -> np.ndarray:
            positive: float | np.ndarray = 1.0 if pos_weight is None else pos_weight
            if isinstance(positive, np.ndarray):
                positive = _call.broadcast(positive, "pos_weight", wide.shape, "z")
            return _posterior.binary_posterior(wide, smoothing, positive, 1.0)

        return _posterior.in_float64(z, posterior)

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant logit that minimises the loss: the log odds of the weighted labels.

        Parameters
        ----------
        target : array_like
            Targets in [0, 1] of any shape; `pos_weight` must broadcast to it.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            A share of positives or negatives less than 2^-52 is taken as 2^-52.

        Raises
        ------
        ValueError
            If a target or weight is out of its range, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.BinaryCrossEntropy().init_score([0, 0, 0, 1])
        -1.0986122886681098
        """
        pos_weight, smoothing = self.parameters["pos_weight"], self.parameters["label_smoothing"]
        per_element = pos_weight if isinstance(pos_weight, np.ndarray) else None
        t, w, q = _posterior.elements_that_count(target, sample_weight, 1.0, per_element)
        t = t * (1.0 - smoothing) + smoothing / 2
        positive = w * t * (q if q is not None else 1.0 if pos_weight is None else pos_weight)
        return _posterior.log_odds(float(np.sum(positive)), float(np.sum(w * (1.0 - t))))


class BinaryFocal(PointwiseLoss):
    """
    Focal loss on the sigmoid of logits, for one or many labels.

    With m = z for positives and -z for negatives, s = sigmoid(m), r = sigmoid(-m), l = log s:

        value     -a r^gamma l
        gradient  -+ a r^gamma (r - gamma s l)      (- for positives, + for negatives)
        Hessian   a s r^gamma (r (1 + 2 gamma + gamma l) - gamma^2 s l)

    where a is `alpha` for positives and 1 - `alpha` for negatives. A target t in between mixes the two linearly.
    r is its own sigmoid and not 1 - s, so nothing is lost where s is close to 1, and gamma < 1 is finite there.
    gamma = 0 without alpha is `BinaryCrossEntropy`.

    Parameters
    ----------
    gamma : float, default 2.0
        How much labels count less that are right already; finite and >= 0.
    alpha : float, optional
        The weight of positives, 1 - alpha being that of negatives; in [0, 1]. None weights neither.
    label_smoothing : float, default 0.0
        e turns t into t (1 - e) + e / 2; in [0, 1].

    Raises
    ------
    TypeError
        If a parameter is not of its type.
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. The Hessian is negative
    for badly wrong labels (gamma = 2: s below 0.058), where a Newton step would go the wrong way.
    ``curvature="psd"`` gives a s r^(gamma + 1) (1 - gamma s l / r), which is never negative.

    References
    ----------
    T.-Y. Lin et al., "Focal loss for dense object detection", https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.BinaryFocal(gamma=2.0, alpha=0.25)
    >>> loss([0.0, 0.0], [1, 0], reduction="none")
    array([0.0433217, 0.1299651])
    >>> fl.BinaryFocal(gamma=0.5).gradient([100.0], [1.0])
    array([-1.0762644e-65])
    """

    __slots__ = ()

    def __init__(self, gamma: float = 2.0, alpha: float | None = None, label_smoothing: float = 0.0) -> None:
        gamma = _parameters.real("gamma", gamma, ">= 0")
        if alpha is not None:
            alpha = _parameters.real("alpha", alpha, "in [0, 1]")
        label_smoothing = _parameters.real("label_smoothing", label_smoothing, "in [0, 1]")
        super().__init__(
            "binary_focal",
            {"gamma": gamma, "alpha": alpha, "label_smoothing": label_smoothing},
            (gamma, *_alphas(alpha), label_smoothing),
        )

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return the sigmoid of raw scores, whatever the parameters of the loss.

        Parameters
        ----------
        z : array_like
            Logits of any shape.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.BinaryFocal(alpha=0.25).inverse_link([0.0])
        array([0.5])
        """
        return rowwise.sigmoid(z)

    def predict_proba(self, z: ArrayLike) -> Any:
        """
        Return the calibrated probability of the positive label, which is not the sigmoid.

        With c(m) the factor between the gradients of the focal loss and of cross-entropy at margin m, the loss
        is least where

            logit(probability) = z + log c(-z) - log c(z) + log((1 - alpha) / alpha)

        Label smoothing is undone, clipped to [0, 1]; labels of weight 0 (alpha 0 or 1) get probability 0.

        Parameters
        ----------
        z : array_like
            Logits of any shape.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        References
        ----------
        N. Charoenphakdee et al., "On focal loss for class-posterior probability estimation", CVPR 2021,
        https://arxiv.org/abs/2011.09172

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.BinaryFocal(gamma=2.0).predict_proba([-2.0, 0.0, 2.0])
        array([0.00450352, 0.5       , 0.99549648])
        """
        gamma, alpha = self.parameters["gamma"], self.parameters["alpha"]
        smoothing = self.parameters["label_smoothing"]
        return _posterior.in_float64(
            z,
            lambda wide: _posterior.binary_posterior(
                _posterior.binary_focal_log_odds(wide, gamma), smoothing, *_alphas(alpha)
            ),
        )

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant logit that minimises the loss.

        It is not the log odds of the labels: for rare positives those are far too low for the focal loss, and
        boosting that starts there may not find its way out.

        Parameters
        ----------
        target : array_like
            Targets in [0, 1] of any shape.
        sample_weight : array_like, optional
            Weights that broadcast to `target`; finite and >= 0.

        Returns
        -------
        float
            A share of positives or negatives less than 2^-52 is taken as 2^-52.

        Raises
        ------
        ValueError
            If a target or weight is out of its range, or no element has a positive weight.

        Examples
        --------
        >>> import fastloss as fl
        >>> loss = fl.BinaryFocal(gamma=2.0)
        >>> z = loss.init_score([0, 0, 0, 1])
        >>> round(z, 6)
        -0.410367
        >>> round(float(loss.predict_proba(z)), 12)
        0.25
        """
        smoothing = self.parameters["label_smoothing"]
        t, w, _ = _posterior.elements_that_count(target, sample_weight, 1.0)
        positive, negative = _alphas(self.parameters["alpha"])
        t = t * (1.0 - smoothing) + smoothing / 2
        odds = _posterior.log_odds(positive * float(np.sum(w * t)), negative * float(np.sum(w * (1.0 - t))))
        return _posterior.binary_focal_score(odds, self.parameters["gamma"])


def cross_entropy(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    axis: int = -1,
    class_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> Any:
    """
    Cross-entropy of the softmax of logits.

    For a row with class index y it is -log softmax(z)_y; `CrossEntropy` has the formula with all options.

    Parameters
    ----------
    prediction : array_like
        Logits of any shape with the classes along `axis`.
    target : array_like
        One class index per row (the shape of the logits without `axis`, integers), or probabilities (the whole shape).
    sample_weight : array_like, optional
        One weight per row; finite and >= 0. A row of weight 0 counts nowhere.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l. For class indices w is the sample weight times the class weight.
    axis : int, default -1
        The axis of the classes.
    class_weight : array_like of shape (K,), optional
        A weight for each class; finite and >= 0.
    label_smoothing : float, default 0.0
        The share of the target that is spread evenly over all classes; in [0, 1].
    ignore_index : int, optional
        Rows with this index as target count nowhere. With class indices only.

    Returns
    -------
    float or ndarray
        One number per row, in the dtype of `prediction`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or a parameter not of its type.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range.

    See Also
    --------
    CrossEntropy : the same loss as an object, with gradient and Hessian.

    References
    ----------
    C. Szegedy et al., "Rethinking the Inception architecture" (label smoothing), https://arxiv.org/abs/1512.00567

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.cross_entropy([[0.0, 0.0], [2.0, 2.0]], [1, 0]), 12)
    0.69314718056
    """
    try:
        loss = _cross_entropy(class_weight, label_smoothing, ignore_index)
    except TypeError:
        loss = CrossEntropy(class_weight, label_smoothing, ignore_index)
    return loss._value(prediction, target, axis, sample_weight, reduction)


def focal(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    axis: int = -1,
    gamma: float = 2.0,
    class_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
) -> Any:
    """
    Focal loss on the softmax of logits.

    For a row with class index y and s = softmax(z)_y it is -(1 - s)^gamma log s; `Focal` has the formula with
    all options.

    Parameters
    ----------
    prediction : array_like
        Logits of any shape with the classes along `axis`.
    target : array_like
        One class index per row (the shape of the logits without `axis`, integers), or probabilities (the whole shape).
    sample_weight : array_like, optional
        One weight per row; finite and >= 0. A row of weight 0 counts nowhere.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l. For class indices w is the sample weight times the class weight.
    axis : int, default -1
        The axis of the classes.
    gamma : float, default 2.0
        How much rows count less that are right already; finite and >= 0.
    class_weight : array_like of shape (K,), optional
        A weight for each class; finite and >= 0.
    label_smoothing : float, default 0.0
        The share of the target that is spread evenly over all classes; in [0, 1].
    ignore_index : int, optional
        Rows with this index as target count nowhere. With class indices only.

    Returns
    -------
    float or ndarray
        One number per row, in the dtype of `prediction`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or a parameter not of its type.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range.

    See Also
    --------
    Focal : the same loss as an object, with gradient and Hessian.

    References
    ----------
    T.-Y. Lin et al., "Focal loss for dense object detection", https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.focal([[0.0, 0.0], [2.0, 2.0]], [1, 0], gamma=2.0), 12)
    0.17328679514
    """
    try:
        loss = _focal(gamma, class_weight, label_smoothing, ignore_index)
    except TypeError:
        loss = Focal(gamma, class_weight, label_smoothing, ignore_index)
    return loss._value(prediction, target, axis, sample_weight, reduction)


def binary_cross_entropy(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    pos_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """
    Binary cross-entropy of the sigmoid of logits, for one or many labels.

    With q = `pos_weight`: q t log(1 + exp(-z)) + (1 - t) log(1 + exp(z)).

    Parameters
    ----------
    prediction : array_like
        Logits z of any shape.
    target : array_like
        Targets t in [0, 1]; must broadcast to `prediction`.
    sample_weight : array_like, optional
        Weights that broadcast to `prediction`; finite and >= 0. What has weight 0 counts nowhere.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l.
    pos_weight : float or array_like, optional
        The weight of positives; finite and >= 0. An array broadcasts to the logits: one weight per label.
    label_smoothing : float, default 0.0
        e turns t into t (1 - e) + e / 2; in [0, 1].

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or a parameter not of its type.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range.

    See Also
    --------
    BinaryCrossEntropy : the same loss as an object, with gradient and Hessian.

    References
    ----------
    torch.nn.BCEWithLogitsLoss, for `pos_weight`.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.binary_cross_entropy([0.0, 0.0], [1, 0]), 12)
    0.69314718056
    """
    try:
        loss = _binary_cross_entropy(pos_weight, label_smoothing)
    except TypeError:
        loss = BinaryCrossEntropy(pos_weight, label_smoothing)
    return loss._value(prediction, target, sample_weight, reduction)


def binary_focal(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: str = "mean",
    gamma: float = 2.0,
    alpha: float | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """
    Focal loss on the sigmoid of logits, for one or many labels.

    For a positive with s = sigmoid(z) it is -alpha (1 - s)^gamma log s, for a negative with s = sigmoid(-z)
    -(1 - alpha) (1 - s)^gamma log s; `BinaryFocal` has the formula with all options.

    Parameters
    ----------
    prediction : array_like
        Logits z of any shape.
    target : array_like
        Targets t in [0, 1]; must broadcast to `prediction`.
    sample_weight : array_like, optional
        Weights that broadcast to `prediction`; finite and >= 0. What has weight 0 counts nowhere.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l.
    gamma : float, default 2.0
        How much labels count less that are right already; finite and >= 0.
    alpha : float, optional
        The weight of positives, 1 - alpha being that of negatives; in [0, 1]. None weights neither.
    label_smoothing : float, default 0.0
        e turns t into t (1 - e) + e / 2; in [0, 1].

    Returns
    -------
    float or ndarray
        An array in the shape and dtype of `prediction` under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or a parameter not of its type.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range.

    See Also
    --------
    BinaryFocal : the same loss as an object, with gradient and Hessian.

    References
    ----------
    T.-Y. Lin et al., "Focal loss for dense object detection", https://arxiv.org/abs/1708.02002

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.binary_focal([0.0, 0.0], [1, 0], gamma=2.0), 12)
    0.17328679514
    """
    try:
        loss = _binary_focal(gamma, alpha, label_smoothing)
    except TypeError:
        loss = BinaryFocal(gamma, alpha, label_smoothing)
    return loss._value(prediction, target, sample_weight, reduction)


def _softmax_options(class_weight: Any, label_smoothing: Any, ignore_index: Any) -> dict[str, Any]:
    return {
        "class_weight": _parameters.class_weights(class_weight),
        "label_smoothing": _parameters.real("label_smoothing", label_smoothing, "in [0, 1]"),
        "ignore_index": _parameters.optional_index("ignore_index", ignore_index),
    }


def _alphas(alpha: float | None) -> tuple[float, float]:
    """Return the weights of positives and of negatives."""
    return (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)


# A function makes the loss of its parameters once; parameters without a hash (arrays) raise TypeError there.
_once = functools.lru_cache(maxsize=64, typed=True)
_cross_entropy: Callable[..., CrossEntropy] = _once(CrossEntropy)
_focal: Callable[..., Focal] = _once(Focal)
_binary_cross_entropy: Callable[..., BinaryCrossEntropy] = _once(BinaryCrossEntropy)
_binary_focal: Callable[..., BinaryFocal] = _once(BinaryFocal)
