"""Losses for binary and multilabel classification: one raw score (logit) and one target in [0, 1] each."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import _call, _parameters, _posterior, rowwise
from ._kernels import PointwiseLoss
from ._traits import Traits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Reduction

__all__ = [
    "BinaryCrossEntropy",
    "BinaryFocal",
    "Brier",
    "Exponential",
    "Hinge",
    "ModifiedHuber",
    "SquaredHinge",
    "binary_cross_entropy",
    "binary_focal",
    "brier",
    "exponential",
    "hinge",
    "modified_huber",
    "squared_hinge",
]


class _SigmoidLoss(PointwiseLoss):
    """What losses on the sigmoid of logits have in common."""

    __slots__ = ()

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


class BinaryCrossEntropy(_SigmoidLoss):
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
    ``curvature="psd"`` is the Hessian. ``curvature="majorize"`` gives (q t + 1 - t) tanh(z / 2) / (2 z): no parabola
    that touches the loss at z and stays above it is flatter, so a Newton step never raises it.

    Measured error: value 3.1, gradient 3.3 ulp (float32); 3.2, 3.5 (float64), beyond half an ulp of the input.

    References
    ----------
    torch.nn.BCEWithLogitsLoss, for `pos_weight`.

    T. S. Jaakkola, M. I. Jordan, "Bayesian parameter estimation via variational methods", Stat. Comput. 10 (2000),
    https://doi.org/10.1023/A:1008932416310, for the parabola.

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
    traits = Traits("sigmoid", fisher="exact")
    pos_weight: float | np.ndarray | None
    label_smoothing: float

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


class BinaryFocal(_SigmoidLoss):
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
    ``curvature="majorize"`` gives (1 + gamma) times that, the least multiple that is nowhere below the Hessian; for
    soft targets, whose minimum lies between the labels, 1/4 + gamma/6 times their weights, which bounds it anywhere.

    Measured error: value 10.8, gradient 12.1 ulp (float32); 11.3, 12.1 (float64), beyond half an ulp of the input.

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
    traits = Traits("sigmoid", boosting="majorize")
    gamma: float
    alpha: float | None
    label_smoothing: float

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


class _LabelLoss(PointwiseLoss):
    """What losses without options have in common: the best constant follows from the weights of the two labels."""

    __slots__ = ()

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """
        Return the constant score that minimises the loss; the notes of the class say which it is.

        Parameters
        ----------
        target : array_like
            Targets in [0, 1] of any shape.
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
        >>> [loss().init_score([0, 0, 0, 1]) for loss in (fl.Hinge, fl.SquaredHinge, fl.Exponential)]
        [-1.0, -0.5, -0.5493061443340549]
        """
        return self._best_score(*_posterior.label_weights(target, sample_weight))

    def _best_score(self, positive: float, negative: float) -> float:
        raise NotImplementedError


class _MarginLoss(_LabelLoss):
    """What the hinge losses have in common: a score is a margin, and stands for no mean of the target."""

    __slots__ = ()

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return raw scores as they are: a margin has no link.

        Parameters
        ----------
        z : array_like
            Raw scores of any shape.

        Returns
        -------
        ndarray
            `z`, as an array.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Hinge().inverse_link([1.0, -2.0])
        array([ 1., -2.])
        """
        return _call.prediction_array(z, "z")[()]


class _SquaredMarginLoss(_MarginLoss):
    """What losses that are (1 - m)^2 for margins m in [-1, 1] have in common: there they give probabilities."""

    __slots__ = ()

    def predict_proba(self, z: ArrayLike) -> Any:
        """
        Return the probability of the positive label that raw scores stand for.

        The loss is least at z = 2 probability - 1, so this is (z + 1) / 2, and 0 or 1 for scores outside [-1, 1].

        Parameters
        ----------
        z : array_like
            Raw scores of any shape.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.SquaredHinge().predict_proba([-2.0, 0.0, 0.5])
        array([0.  , 0.5 , 0.75])
        """
        return _posterior.in_float64(z, lambda wide: np.clip(wide, -1.0, 1.0) / 2.0 + 0.5)

    def _best_score(self, positive: float, negative: float) -> float:
        return (positive - negative) / (positive + negative)


class Hinge(_MarginLoss):
    """
    Hinge loss of the margin, for one or many labels: the loss of support vector machines.

    With F(m) = max(0, 1 - m) and a target t in [0, 1], which mixes the two labels linearly where it is in between:

        value     t F(z) + (1 - t) F(-z)
        gradient  (1 - t) [z > -1] - t [z < 1]
        Hessian   0

    At the kinks, z = 1 for positives and z = -1 for negatives, the gradient is 0.

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. Targets are 0 and 1; optax
    takes -1 and 1 instead, Keras both. `init_score` is 1 or -1, for the label with more weight, and 0 at a tie.

    The loss is convex without curvature of its own: ``curvature="psd"`` gives 1, what gradient boosting uses for such
    losses. ``curvature="majorize"`` gives t / (2 abs(1 - z)) + (1 - t) / (2 abs(1 + z)), the parabola that touches
    the loss at z and stays above it: a Newton step never raises it.

    Measured error: value 2.2, gradient 0.5 ulp (float32); 1.5, 0.0 (float64), beyond half an ulp of the input.

    References
    ----------
    C. Cortes, V. Vapnik, "Support-vector networks", Mach. Learn. 20 (1995), https://doi.org/10.1007/BF00994018

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Hinge()
    >>> loss([0.5, 0.5, 2.0], [1, 0, 1], reduction="none")
    array([0.5, 1.5, 0. ])
    >>> loss.gradient([0.5, 0.5], [1, 0], reduction="sum")
    array([-1.,  1.])
    """

    __slots__ = ()
    traits = Traits("margin", has_kinks=True)

    def __init__(self) -> None:
        super().__init__("hinge", {}, ())

    def predict_proba(self, z: ArrayLike) -> NoReturn:
        """
        Raise NotImplementedError: the scores of the hinge loss say which label is likelier, not by how much.

        The loss is least at 1 for every probability above 1/2 and at -1 for every one below. Use `SquaredHinge` or
        `ModifiedHuber`, or calibrate the scores.

        Parameters
        ----------
        z : array_like
            Raw scores; not looked at.

        Raises
        ------
        NotImplementedError
            Always.

        References
        ----------
        P. L. Bartlett, A. Tewari, "Sparseness vs estimating conditional probabilities", JMLR 8 (2007),
        https://www.jmlr.org/papers/v8/bartlett07a.html
        """
        raise NotImplementedError(
            "hinge loss has no probabilities: its scores say which label is likelier, not by how much. "
            "Use SquaredHinge or ModifiedHuber, or calibrate the scores"
        )

    def _best_score(self, positive: float, negative: float) -> float:
        return float(np.sign(positive - negative))


class SquaredHinge(_SquaredMarginLoss):
    """
    Squared hinge loss of the margin, for one or many labels.

    With F(m) = max(0, 1 - m)^2 and a target t in [0, 1], which mixes the two labels linearly where it is in between:

        value     t F(z) + (1 - t) F(-z)
        gradient  2 (1 - t) max(0, 1 + z) - 2 t max(0, 1 - z)
        Hessian   2 (1 - t) [z > -1] + 2 t [z < 1]

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. Targets are 0 and 1; Keras also
    takes -1 and 1. `init_score` is 2 s - 1 for a share s of positives.

    The loss is convex: ``curvature="psd"`` is the Hessian. ``curvature="majorize"`` gives 2, also beyond the kink: that
    parabola stays above the loss everywhere, so a Newton step never raises it.

    Measured error: value 2.8, gradient 1.5 ulp (float32); 2.6, 1.1 (float64), beyond half an ulp of the input.

    References
    ----------
    T. Zhang, "Statistical behavior and consistency of classification methods based on convex risk minimization",
    Ann. Statist. 32 (2004), https://doi.org/10.1214/aos/1079120130

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.SquaredHinge()
    >>> loss([0.5, 0.5, 2.0], [1, 0, 1], reduction="none")
    array([0.25, 2.25, 0.  ])
    >>> loss.gradient([0.5, 0.5], [1, 0], reduction="sum")
    array([-1.,  3.])
    """

    __slots__ = ()
    traits = Traits("margin")

    def __init__(self) -> None:
        super().__init__("squared_hinge", {}, ())


class ModifiedHuber(_SquaredMarginLoss):
    """
    Modified Huber loss of the margin, for one or many labels: the squared hinge, straight for badly wrong scores.

    With F(m) = max(0, 1 - m)^2 where m >= -1 and -4 m below, and a target t in [0, 1], which mixes the two labels
    linearly where it is in between:

        value     t F(z) + (1 - t) F(-z)
        gradient  t F'(z) - (1 - t) F'(-z),    F'(m) = -2 max(0, 1 - m) where m >= -1, else -4
        Hessian   t F''(z) + (1 - t) F''(-z),  F''(m) = 2 [-1 <= m < 1]

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. Targets are 0 and 1.
    `init_score` is 2 s - 1 for a share s of positives. Loss and probabilities are those of scikit-learn's
    ``SGDClassifier(loss="modified_huber")``.

    The loss is convex. ``curvature="psd"`` gives F'(m) / (m - 1) for F'': 2 where -1 <= m < 1, 4 / (1 - m) below, 0
    only where the gradient is 0. ``curvature="majorize"`` gives the same, and 2 for m >= 1: that parabola stays above
    the loss everywhere, so a Newton step never raises it.

    Measured error: value 2.7, gradient 1.5 ulp (float32); 2.6, 1.1 (float64), beyond half an ulp of the input.

    References
    ----------
    T. Zhang, "Solving large scale linear prediction problems using stochastic gradient descent algorithms",
    ICML 2004, https://doi.org/10.1145/1015330.1015332

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.ModifiedHuber()
    >>> loss([0.5, 0.5, 3.0], [1, 0, 0], reduction="none")
    array([ 0.25,  2.25, 12.  ])
    >>> loss.gradient([0.5, 0.5, 3.0], [1, 0, 0], reduction="sum")
    array([-1.,  3.,  4.])
    """

    __slots__ = ()
    traits = Traits("margin")

    def __init__(self) -> None:
        super().__init__("modified_huber", {}, ())


class Exponential(_LabelLoss):
    """
    Exponential loss of the margin, for one or many labels: the loss of AdaBoost.

    With a target t in [0, 1], which mixes the two labels linearly where it is in between:

        value     t exp(-z) + (1 - t) exp(z)
        gradient  (1 - t) exp(z) - t exp(-z)
        Hessian   t exp(-z) + (1 - t) exp(z)

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. Targets are 0 and 1.
    `init_score` is half of the log odds of the labels; a share of one of them less than 2^-52 is taken as 2^-52.

    The loss is convex, and all three curvatures are the Hessian: positive wherever the gradient is not 0, and its
    Newton step, a hyperbolic tangent of the distance, never passes the minimum. No parabola stays above an exponential
    everywhere.

    Measured error: value 2.1, gradient 1.7 ulp (float32); 1.8, 1.4 (float64), beyond half an ulp of the input.

    References
    ----------
    J. Friedman, T. Hastie, R. Tibshirani, "Additive logistic regression: a statistical view of boosting",
    Ann. Statist. 28 (2000), https://doi.org/10.1214/aos/1016218223

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Exponential()
    >>> loss([0.0, 1.0, 1.0], [1, 1, 0], reduction="none")
    array([1.        , 0.36787944, 2.71828183])
    >>> loss.gradient([0.0, 1.0, 1.0], [1, 1, 0], reduction="sum")
    array([-1.        , -0.36787944,  2.71828183])
    """

    __slots__ = ()
    traits = Traits("sigmoid")

    def __init__(self) -> None:
        super().__init__("exponential", {}, ())

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return sigmoid(2 z): a score is half of the log odds.

        Parameters
        ----------
        z : array_like
            Raw scores of any shape.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Exponential().inverse_link([0.0, 1.0])
        array([0.5       , 0.88079708])
        """
        return _posterior.in_float64(z, lambda wide: rowwise.sigmoid(2.0 * wide))

    def predict_proba(self, z: ArrayLike) -> Any:
        """
        Return the probability of the positive label that raw scores stand for: sigmoid(2 z).

        Parameters
        ----------
        z : array_like
            Raw scores of any shape.

        Returns
        -------
        ndarray
            In the shape and dtype of `z`.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.Exponential().predict_proba([0.0, 1.0])
        array([0.5       , 0.88079708])
        """
        return self.inverse_link(z)

    def _best_score(self, positive: float, negative: float) -> float:
        return _posterior.log_odds(positive, negative) / 2.0


class Brier(_SigmoidLoss, _LabelLoss):
    """
    Brier score: squared error of the sigmoid of logits, for one or many labels.

    With p = sigmoid(z), v = p (1 - p) and a target t in [0, 1]:

        value     (p - t)^2
        gradient  2 v (p - t)
        Hessian   2 v (v + (p - t) (1 - 2 p))

    Notes
    -----
    The methods take `prediction` of any shape and a `target` that broadcasts to it. `init_score` is the log odds of the
    weighted labels; a share of one of them less than 2^-52 is taken as 2^-52. scikit-learn's ``brier_score_loss`` takes
    probabilities instead of logits, and with more than two classes sums over them; Brier's own score sums over both
    labels, twice this.

    The loss is bounded and not convex; its Hessian is negative where p is far off. ``curvature="psd"`` gives 2 v^2
    (Gauss-Newton), which is never negative. ``curvature="majorize"`` gives the largest second derivative that any
    target and logit have, 0.154: that parabola stays above the loss everywhere, so a Newton step never
    raises it.

    Measured error: value 2.1, gradient 2.8 ulp (float32); 1.7, 2.8 (float64), beyond half an ulp of the input.

    References
    ----------
    G. W. Brier, "Verification of forecasts expressed in terms of probability", Mon. Weather Rev. 78 (1950),
    https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Brier()
    >>> loss([0.0, 2.0, -2.0], [1, 1, 1], reduction="none")
    array([0.25      , 0.01420934, 0.77580349])
    >>> loss.gradient([0.0, 2.0, -2.0], [1, 1, 1], reduction="sum")
    array([-0.25      , -0.02503108, -0.18495609])
    """

    __slots__ = ()
    traits = Traits("sigmoid")

    def __init__(self) -> None:
        super().__init__("brier", {}, ())

    def predict_proba(self, z: ArrayLike) -> Any:
        """
        Return the probability of the positive label that raw scores stand for: the sigmoid.

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
        >>> fl.Brier().predict_proba([0.0])
        array([0.5])
        """
        return rowwise.sigmoid(z)

    def _best_score(self, positive: float, negative: float) -> float:
        return _posterior.log_odds(positive, negative)


def binary_cross_entropy(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
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
    reduction: Reduction = "mean",
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


def hinge(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Hinge loss of the margin, for one or many labels.

    t max(0, 1 - z) + (1 - t) max(0, 1 + z).

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Raw scores z of any shape; targets t in [0, 1] and weights >= 0 that broadcast to them.
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
        If shapes do not fit, or an element is out of its range.

    See Also
    --------
    Hinge : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.hinge([0.5, 0.5], [1, 0])
    1.0
    """
    return _HINGE._value(prediction, target, sample_weight, reduction)


def squared_hinge(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Squared hinge loss of the margin, for one or many labels.

    t max(0, 1 - z)^2 + (1 - t) max(0, 1 + z)^2.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Raw scores z of any shape; targets t in [0, 1] and weights >= 0 that broadcast to them.
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
        If shapes do not fit, or an element is out of its range.

    See Also
    --------
    SquaredHinge : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.squared_hinge([0.5, 0.5], [1, 0])
    1.25
    """
    return _SQUARED_HINGE._value(prediction, target, sample_weight, reduction)


def modified_huber(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Modified Huber loss of the margin, for one or many labels.

    t F(z) + (1 - t) F(-z) with F(m) = max(0, 1 - m)^2 where m >= -1, else -4 m.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Raw scores z of any shape; targets t in [0, 1] and weights >= 0 that broadcast to them.
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
        If shapes do not fit, or an element is out of its range.

    See Also
    --------
    ModifiedHuber : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.modified_huber([0.5, 3.0], [0, 0])
    7.125
    """
    return _MODIFIED_HUBER._value(prediction, target, sample_weight, reduction)


def exponential(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Exponential loss of the margin, for one or many labels.

    t exp(-z) + (1 - t) exp(z).

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Raw scores z of any shape; targets t in [0, 1] and weights >= 0 that broadcast to them.
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
        If shapes do not fit, or an element is out of its range.

    See Also
    --------
    Exponential : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.exponential([0.0, 0.0], [1, 0])
    1.0
    """
    return _EXPONENTIAL._value(prediction, target, sample_weight, reduction)


def brier(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> Any:
    """
    Brier score: squared error of the sigmoid of logits, for one or many labels.

    (sigmoid(z) - t)^2.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Raw scores z of any shape; targets t in [0, 1] and weights >= 0 that broadcast to them.
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
        If shapes do not fit, or an element is out of its range.

    See Also
    --------
    Brier : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.brier([0.0, 0.0], [1, 0])
    0.25
    """
    return _BRIER._value(prediction, target, sample_weight, reduction)


def _alphas(alpha: float | None) -> tuple[float, float]:
    """Return the weights of positives and of negatives."""
    return (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)


# A function makes the loss of its parameters once; parameters without a hash (arrays) raise TypeError there.
_once = functools.lru_cache(maxsize=64, typed=True)
_binary_cross_entropy: Callable[..., BinaryCrossEntropy] = _once(BinaryCrossEntropy)
_binary_focal: Callable[..., BinaryFocal] = _once(BinaryFocal)
_HINGE = Hinge()
_SQUARED_HINGE = SquaredHinge()
_MODIFIED_HUBER = ModifiedHuber()
_EXPONENTIAL = Exponential()
_BRIER = Brier()
