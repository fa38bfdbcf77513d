"""Losses for multiclass classification: rows of raw scores (logits), one for each class along an axis."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from . import _call, _parameters, _posterior, rowwise
from ._kernels import PointwiseLoss, RowwiseLoss
from ._traits import Traits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Reduction

__all__ = [
    "CrossEntropy",
    "Focal",
    "GeneralizedCrossEntropy",
    "KLDivergence",
    "MulticlassHinge",
    "Poly1",
    "cross_entropy",
    "focal",
    "generalized_cross_entropy",
    "kl_divergence",
    "multiclass_hinge",
    "poly1",
    "zero_one",
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

    def packed_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: str = "exact",
    ) -> np.ndarray:
        """
        Return the full K x K Hessian of each row of logits, its upper triangle packed.

        Parameters
        ----------
        prediction : array_like
            Logits of any shape with K classes along `axis`.
        target : array_like
            One class index per row, or probabilities, as in a call.
        axis : int, default -1
            The axis of the classes.
        sample_weight : array_like, optional
            One weight per row; finite and >= 0.
        reduction : {"mean", "sum", "none"}, default "mean"
            "mean" divides by the sum of the weights; the Hessians of the rows are not added up.
        curvature : {"exact", "psd"}, default "exact"
            "psd" gives the positive semidefinite part that is left when the curvature of the loss as a function of
            the probability is dropped (Gauss-Newton). That of `CrossEntropy` is the Hessian.

        Returns
        -------
        ndarray
            Along `axis` the K (K + 1) / 2 entries (0, 0), (0, 1), ..., (0, K - 1), (1, 1), ... of each row, as
            `numpy.triu_indices` counts them and CatBoost expects them; in the dtype of `prediction`.

        Raises
        ------
        TypeError
            If an argument is not an array of real numbers.
        ValueError
            If shapes do not fit, or an element is out of its range.

        See Also
        --------
        hessian_vector_product : the same without the K x K numbers.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.CrossEntropy().packed_hessian([[0.0, 0.0]], [1])
        array([[ 0.25, -0.25,  0.25]])
        """
        return self._full_hessian(prediction, target, None, axis, sample_weight, reduction, curvature)

    def hessian_vector_product(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        vector: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: str = "exact",
    ) -> np.ndarray:
        """
        Return the product of each row's full Hessian with a vector of its own.

        Parameters
        ----------
        prediction : array_like
            Logits of any shape with K classes along `axis`.
        target : array_like
            One class index per row, or probabilities, as in a call.
        vector : array_like
            One vector of K numbers per row: the shape of `prediction`.
        axis : int, default -1
            The axis of the classes.
        sample_weight : array_like, optional
            One weight per row; finite and >= 0.
        reduction : {"mean", "sum", "none"}, default "mean"
            "mean" divides by the sum of the weights.
        curvature : {"exact", "psd"}, default "exact"
            As in `packed_hessian`.

        Returns
        -------
        ndarray
            In the shape and dtype of `prediction`.

        Raises
        ------
        TypeError
            If an argument is not an array of real numbers.
        ValueError
            If shapes do not fit, or an element is out of its range.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.CrossEntropy().hessian_vector_product([[0.0, 0.0]], [1], [[1.0, -1.0]])
        array([[ 0.5, -0.5]])
        """
        return self._full_hessian(prediction, target, vector, axis, sample_weight, reduction, curvature)


class _SharesLoss(RowwiseLoss):
    """What losses without options have in common: the best constants follow from the shares of the classes."""

    __slots__ = ()

    def init_score(
        self, target: ArrayLike, sample_weight: ArrayLike | None = None, *, n_classes: int | None = None
    ) -> np.ndarray:
        """
        Return the constant scores that minimise the loss; the notes of the class say which they are.

        Parameters
        ----------
        target : array_like
            Class indices of shape (n,), or probabilities of shape (n, K).
        sample_weight : array_like of shape (n,), optional
            Finite and >= 0.
        n_classes : int, optional
            K, for class indices. By default the largest index plus 1.

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
        >>> fl.KLDivergence().init_score([0, 0, 0, 1])
        array([ 0.54930614, -0.54930614])
        >>> fl.MulticlassHinge().init_score([0, 0, 0, 1])
        array([ 0.5, -0.5])
        """
        return self._best_scores(_posterior.class_shares(target, sample_weight, n_classes))

    def _best_scores(self, shares: np.ndarray) -> np.ndarray:
        raise NotImplementedError


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
    ``curvature="majorize"`` gives S / 2, which bounds the whole Hessian of a row and not its diagonal alone: a Newton
    step of all logits at once never raises the loss.

    Measured error: value 2.8, gradient 6.0 ulp (float32); 2.8, 3.8 (float64), beyond half an ulp of the input.

    References
    ----------
    C. Szegedy et al., "Rethinking the Inception architecture" (label smoothing), https://arxiv.org/abs/1512.00567

    D. Böhning, "Multinomial logistic regression algorithm", Ann. Inst. Stat. Math. 44 (1992),
    https://doi.org/10.1007/BF00048682, for the bound.

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
    traits = Traits("softmax", fisher="exact")
    class_weight: np.ndarray | None
    label_smoothing: float
    ignore_index: int | None

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
        return _posterior.centred(np.log(_posterior.class_shares(target, sample_weight, n_classes, **self.parameters)))


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
    wrong way. ``curvature="psd"`` gives c p_j (1 - p_j), which is never negative. ``curvature="majorize"`` gives
    a (1 + gamma) (1 + gamma / e) / 2 with e = 2.718..., which bounds the whole Hessian of every row: a Newton step of
    all logits at once never raises the loss.

    Measured error: value 11.4, gradient 13.5 ulp (float32); 9.4, 10.5 (float64), beyond half an ulp of the input.

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
    traits = Traits("softmax")
    gamma: float
    class_weight: np.ndarray | None
    label_smoothing: float
    ignore_index: int | None

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


class MulticlassHinge(_SharesLoss):
    """
    Multiclass hinge loss of Crammer and Singer: the true class has to lead all others by a margin.

    With m = `margin`, a class index y per row as target, and M the largest of the other scores, z_c (the first one):

        value     max(0, m + M - z_y)
        gradient  [j = c] - [j = y] where the value is > 0, else 0
        Hessian   0

    Probabilities t as target mix the losses of the classes linearly, sum_k t_k L_k. They need not sum to 1. A single
    class has nobody to lead: its loss is 0.

    Parameters
    ----------
    margin : float, default 1.0
        By how much the true class has to lead; finite and > 0.

    Raises
    ------
    TypeError
        If `margin` is not a real number.
    ValueError
        If `margin` is not finite and > 0.

    Notes
    -----
    The methods take `prediction` of any shape with the classes along `axis`, and as `target` either one class index
    per row (the shape without `axis`, integers) or probabilities (the whole shape).
    This is the loss of scikit-learn's ``hinge_loss`` and optax's ``multiclass_hinge_loss``. torch's ``MultiMarginLoss``
    is another one, that of Weston and Watkins: it sums max(0, m + z_j - z_y) over all j and divides by K. Keras's
    ``CategoricalHinge`` counts a score of 0 among the others, so it differs where all of those are negative.

    `init_score` puts a class with more than half of the weight `margin` above all others, and is all 0 without one:
    there the loss does not look for the most frequent class.

    The loss is convex without curvature of its own: ``curvature="psd"`` gives 1, what gradient boosting uses for such
    losses. ``curvature="majorize"`` gives 1 / gap, gap being the distance to where another piece of the maximum takes
    over: the least of abs(m + M - z_y) and, where the value is > 0, M minus the second largest of the other scores.
    That parabola of all logits stays above the loss: a Newton step never raises it. Probabilities mix the curvatures
    as they mix the losses.

    Measured error: value 1.7, gradient 0.5 ulp (float32); 1.5, 0.5 (float64), beyond half an ulp of the input.

    References
    ----------
    K. Crammer, Y. Singer, "On the algorithmic implementation of multiclass kernel-based vector machines",
    JMLR 2 (2001), https://www.jmlr.org/papers/v2/crammer01a.html

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.MulticlassHinge()
    >>> loss([[2.0, 0.5, 0.0], [2.0, 0.5, 0.0]], [0, 1], reduction="none")
    array([0. , 2.5])
    >>> loss.gradient([[2.0, 0.5, 0.0]], [1])
    array([[ 1., -1.,  0.]])
    """

    __slots__ = ()
    traits = Traits("margin", has_kinks=True)
    margin: float

    def __init__(self, margin: float = 1.0) -> None:
        margin = _parameters.real("margin", margin, "> 0")
        super().__init__("multiclass_hinge", {"margin": margin}, (margin,))

    def inverse_link(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return raw scores as they are: a margin has no link.

        Parameters
        ----------
        z : array_like
            Raw scores of any shape.
        axis : int, default -1
            The axis of the classes; makes no difference.

        Returns
        -------
        ndarray
            `z`, as an array.

        Examples
        --------
        >>> import fastloss as fl
        >>> fl.MulticlassHinge().inverse_link([1.0, -2.0])
        array([ 1., -2.])
        """
        given = _call.prediction_array(z, "z")
        _call.checked_axis(axis, given, "z")
        return given

    def predict_proba(self, z: ArrayLike, axis: int = -1) -> NoReturn:
        """
        Raise NotImplementedError: the scores of the multiclass hinge loss hold no probabilities.

        At its minimum a class of probability above 1/2 leads by `margin`, whatever its probability; without such a
        class all scores are equal. Use another loss, or calibrate the scores.

        Parameters
        ----------
        z : array_like
            Raw scores; not looked at.
        axis : int, default -1
            The axis of the classes.

        Raises
        ------
        NotImplementedError
            Always.

        References
        ----------
        Y. Liu, "Fisher consistency of multicategory support vector machines", AISTATS 2007,
        https://proceedings.mlr.press/v2/liu07b.html
        """
        raise NotImplementedError(
            "multiclass hinge loss has no probabilities: its scores say at most which class has more than half of "
            "them. Use another loss, or calibrate the scores"
        )

    def _best_scores(self, shares: np.ndarray) -> np.ndarray:
        return _posterior.multiclass_hinge_scores(shares, self.parameters["margin"])


class KLDivergence(_SoftmaxLoss, _SharesLoss):
    """
    Kullback-Leibler divergence of the softmax of logits from the target's probabilities.

    With p = softmax(z) along the classes, probabilities t as target, T = sum_k t_k and 0 log 0 = 0:

        value     sum_k t_k (log t_k - log p_k)
        gradient  T p_j - t_j
        Hessian   T p_j (1 - p_j)

    It is cross-entropy minus the entropy of the target: 0 where p = t, with the same gradient. t need not sum to 1,
    and the value may then be negative. A class index y per row stands for t_y = 1, and -log p_y.

    Notes
    -----
    The methods take `prediction` of any shape with the classes along `axis`, and as `target` either one class index
    per row (the shape without `axis`, integers) or probabilities (the whole shape).
    torch's ``kl_div`` takes log-probabilities instead of logits, and its ``reduction="mean"`` divides by the number of
    elements n K; the mean over rows, as here, is its ``"batchmean"``. Keras's takes probabilities, and clips them at
    1e-7. SciPy's ``rel_entr`` has the terms of this sum, its ``kl_div`` others.

    `init_score` is the log proportions of the classes, centred.

    The loss is convex: ``curvature="psd"`` is the Hessian. ``curvature="majorize"`` gives T / 2, which bounds the whole
    Hessian of a row and not its diagonal alone: a Newton step of all logits at once never raises the loss.

    Measured error: value 1.4, gradient 5.4 ulp (float32); 1.8, 3.8 (float64), beyond half an ulp of the input.

    References
    ----------
    S. Kullback, R. A. Leibler, "On information and sufficiency", Ann. Math. Statist. 22 (1951),
    https://doi.org/10.1214/aoms/1177729694

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.KLDivergence()
    >>> loss([[0.0, 0.0]], [[0.25, 0.75]], reduction="none")
    array([0.13081204])
    >>> loss.gradient([[0.0, 0.0]], [[0.25, 0.75]])
    array([[ 0.25, -0.25]])
    """

    __slots__ = ()
    traits = Traits("softmax", fisher="exact")

    def __init__(self) -> None:
        super().__init__("kl_divergence", {}, ())

    def predict_proba(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the class probabilities that raw scores stand for: the softmax.

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
        >>> fl.KLDivergence().predict_proba([0.0, 0.0])
        array([0.5, 0.5])
        """
        return rowwise.softmax(z, axis)

    def _best_scores(self, shares: np.ndarray) -> np.ndarray:
        return _posterior.centred(np.log(shares))


class Poly1(_SoftmaxLoss, _SharesLoss):
    """
    Poly-1 loss: cross-entropy with another first coefficient of its series in 1 - p.

    With p = softmax(z) along the classes, a class index y per row as target and c = 1 + epsilon p_y:

        value     -log p_y + epsilon (1 - p_y)
        gradient  c (p_j - [j = y])
        Hessian   c p_j (1 - p_j) - epsilon p_y (p_j - [j = y])^2

    Probabilities t as target mix the losses of the classes linearly, sum_k t_k L_k. They need not sum to 1.
    epsilon = 0 is `CrossEntropy`.

    Parameters
    ----------
    epsilon : float, default 1.0
        What is added to the coefficient of 1 - p_y, which is 1 in cross-entropy; finite. Below -1 the loss is not
        least where p_y = 1, but at p_y = -1 / epsilon.

    Raises
    ------
    TypeError
        If `epsilon` is not a real number.
    ValueError
        If `epsilon` is not finite.

    Notes
    -----
    The methods take `prediction` of any shape with the classes along `axis`, and as `target` either one class index
    per row (the shape without `axis`, integers) or probabilities (the whole shape).
    optax's ``poly_loss_cross_entropy`` is the same loss with 2.0 for the default of epsilon.

    `init_score` solves share_j proportional to p_j / (1 + epsilon p_j) for p, exactly, by a root in one variable.

    The loss is not convex in the logits. ``curvature="psd"`` gives abs(c) p_j (1 - p_j), which is never negative, and
    is the Hessian for epsilon = 0. ``curvature="majorize"`` gives (1 + epsilon) / 2 for epsilon >= 0, else
    1/2 + 8/27 abs(epsilon), which bounds the whole Hessian of every row: a Newton step of all logits at once never
    raises it.

    Measured error: value 12.7, gradient 5.9 ulp (float32); 11.3, 5.2 (float64), beyond half an ulp of the input.

    References
    ----------
    Z. Leng et al., "PolyLoss: a polynomial expansion perspective of classification loss functions", ICLR 2022,
    https://arxiv.org/abs/2204.12511

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.Poly1(epsilon=1.0)
    >>> loss([[0.0, 0.0], [2.0, 0.0]], [1, 0], reduction="none")
    array([1.19314718, 0.24613093])
    >>> loss.gradient([[0.0, 0.0]], [1])
    array([[ 0.75, -0.75]])
    """

    __slots__ = ()
    traits = Traits("softmax")
    epsilon: float

    def __init__(self, epsilon: float = 1.0) -> None:
        epsilon = _parameters.real("epsilon", epsilon, "finite")
        super().__init__("poly1", {"epsilon": epsilon}, (epsilon,))

    def predict_proba(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the calibrated class probabilities, which are not the softmax.

        The loss is least where p_k / (1 + epsilon p_k) is proportional to the probability of class k, with
        p = softmax(z). For epsilon < -1 that is no probability for every p, and the softmax is returned.

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
        >>> fl.softmax([2.0, 0.0])
        array([0.88079708, 0.11920292])
        >>> fl.Poly1(epsilon=1.0).predict_proba([2.0, 0.0])
        array([0.81471167, 0.18528833])
        """
        epsilon = self.parameters["epsilon"]
        if epsilon < -1.0:
            return rowwise.softmax(z, axis)
        return _posterior.in_float64(z, lambda wide: rowwise.softmax(_posterior.poly1_log_odds(wide, epsilon)), axis)

    def _best_scores(self, shares: np.ndarray) -> np.ndarray:
        return _posterior.poly1_scores(shares, self.parameters["epsilon"])


class GeneralizedCrossEntropy(_SoftmaxLoss, _SharesLoss):
    """
    Generalised cross-entropy: between cross-entropy (q near 0) and mean absolute error (q = 1), for noisy labels.

    With p = softmax(z) along the classes, a class index y per row as target and c = p_y^q:

        value     (1 - p_y^q) / q
        gradient  c (p_j - [j = y])
        Hessian   c (p_j (1 - p_j) - q (p_j - [j = y])^2)

    Probabilities t as target mix the losses of the classes linearly, sum_k t_k L_k. They need not sum to 1.

    Parameters
    ----------
    q : float, default 0.7
        How much rows count less that are badly wrong, and may be mislabelled; in (0, 1].

    Raises
    ------
    TypeError
        If `q` is not a real number.
    ValueError
        If `q` is not in (0, 1].

    Notes
    -----
    The methods take `prediction` of any shape with the classes along `axis`, and as `target` either one class index
    per row (the shape without `axis`, integers) or probabilities (the whole shape).
    Keras's ``CategoricalGeneralizedCrossEntropy`` takes probabilities instead of logits, class indices only, and its q
    is 0.5 by default. The paper also truncates the loss; this is the loss without truncation.

    `init_score` has log(share) / (1 - q) for each class, centred, where that gives a class a probability of more than
    2^-52 times the largest, and that much where not: for q = 1 all probability would go to the most frequent class.

    The loss is bounded and not convex; its Hessian is negative for badly wrong rows. ``curvature="psd"`` gives
    c p_j (1 - p_j), which is never negative. ``curvature="majorize"`` gives 1/2, which bounds the whole Hessian of
    every row: a Newton step of all logits at once never raises the loss.

    Measured error: value 2.6, gradient 10.1 ulp (float32); 2.8, 5.9 (float64), beyond half an ulp of the input.

    References
    ----------
    Z. Zhang, M. R. Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy labels",
    NeurIPS 2018, https://arxiv.org/abs/1805.07836

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.GeneralizedCrossEntropy(q=0.5)
    >>> loss([[0.0, 0.0], [9.0, 0.0]], [1, 1], reduction="none")
    array([0.58578644, 1.97778338])
    >>> loss.gradient([[0.0, 0.0]], [1])
    array([[ 0.35355339, -0.35355339]])
    """

    __slots__ = ()
    traits = Traits("softmax")
    q: float

    def __init__(self, q: float = 0.7) -> None:
        q = _parameters.real("q", q, "in (0, 1]")
        super().__init__("generalized_cross_entropy", {"q": q}, (q,))

    def predict_proba(self, z: ArrayLike, axis: int = -1) -> Any:
        """
        Return the calibrated class probabilities: softmax((1 - q) z), less sure than the softmax.

        The loss is least where p_k^(1 - q) is proportional to the probability of class k, with p = softmax(z). For
        q = 1 it is least at scores that say which class is likeliest, not by how much, and the softmax is returned.

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
        >>> fl.softmax([2.0, 0.0])
        array([0.88079708, 0.11920292])
        >>> fl.GeneralizedCrossEntropy(q=0.5).predict_proba([2.0, 0.0])
        array([0.73105858, 0.26894142])
        """
        q = self.parameters["q"]
        if q == 1.0:
            return rowwise.softmax(z, axis)
        return _posterior.in_float64(z, lambda wide: rowwise.softmax((1.0 - q) * wide), axis)

    def _best_scores(self, shares: np.ndarray) -> np.ndarray:
        return _posterior.generalized_cross_entropy_scores(shares, self.parameters["q"])


def cross_entropy(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
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
    reduction: Reduction = "mean",
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


def multiclass_hinge(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    axis: int = -1,
    margin: float = 1.0,
) -> Any:
    """
    Multiclass hinge loss of Crammer and Singer: the true class has to lead all others by a margin.

    max(0, margin + max_{j != y} z_j - z_y) for a row with class index y.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Logits with the classes along `axis`; one class index per row (integers) or probabilities (the whole shape); one
        weight >= 0 per row.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l.
    axis : int, default -1
        The axis of the classes.
    margin : float, default 1.0
        By how much the true class has to lead; finite and > 0.

    Returns
    -------
    float or ndarray
        One number per row, in the dtype of `prediction`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or the parameter not a real number.
    ValueError
        If shapes do not fit, or an element or the parameter is out of its range.

    See Also
    --------
    MulticlassHinge : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.multiclass_hinge([[2.0, 0.5, 0.0], [2.0, 0.5, 0.0]], [0, 1])
    1.25
    """
    try:
        loss = _multiclass_hinge(margin)
    except TypeError:
        loss = MulticlassHinge(margin)
    return loss._value(prediction, target, axis, sample_weight, reduction)


def kl_divergence(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    axis: int = -1,
) -> Any:
    """
    Kullback-Leibler divergence of the softmax of logits from the target's probabilities.

    sum_k t_k (log t_k - log softmax(z)_k), and -log softmax(z)_y for a row with class index y.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Logits with the classes along `axis`; one class index per row (integers) or probabilities (the whole shape); one
        weight >= 0 per row.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l.
    axis : int, default -1
        The axis of the classes.

    Returns
    -------
    float or ndarray
        One number per row, in the dtype of `prediction`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers.
    ValueError
        If shapes do not fit, or an element is out of its range.

    See Also
    --------
    KLDivergence : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.kl_divergence([[0.0, 0.0]], [[0.25, 0.75]]), 12)
    0.130812035941
    """
    return _KL_DIVERGENCE._value(prediction, target, axis, sample_weight, reduction)


def poly1(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    axis: int = -1,
    epsilon: float = 1.0,
) -> Any:
    """
    Poly-1 loss: cross-entropy with another first coefficient of its series in 1 - p.

    -log p + epsilon (1 - p) with p = softmax(z)_y for a row with class index y.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Logits with the classes along `axis`; one class index per row (integers) or probabilities (the whole shape); one
        weight >= 0 per row.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l.
    axis : int, default -1
        The axis of the classes.
    epsilon : float, default 1.0
        What is added to the coefficient of 1 - p, which is 1 in cross-entropy; finite.

    Returns
    -------
    float or ndarray
        One number per row, in the dtype of `prediction`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or the parameter not a real number.
    ValueError
        If shapes do not fit, or an element or the parameter is out of its range.

    See Also
    --------
    Poly1 : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.poly1([[0.0, 0.0]], [1], epsilon=1.0), 12)
    1.19314718056
    """
    try:
        loss = _poly1(epsilon)
    except TypeError:
        loss = Poly1(epsilon)
    return loss._value(prediction, target, axis, sample_weight, reduction)


def generalized_cross_entropy(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    axis: int = -1,
    q: float = 0.7,
) -> Any:
    """
    Generalised cross-entropy: between cross-entropy and mean absolute error, for noisy labels.

    (1 - p^q) / q with p = softmax(z)_y for a row with class index y.

    Parameters
    ----------
    prediction, target, sample_weight : array_like
        Logits with the classes along `axis`; one class index per row (integers) or probabilities (the whole shape); one
        weight >= 0 per row.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l.
    axis : int, default -1
        The axis of the classes.
    q : float, default 0.7
        How much rows count less that are badly wrong; in (0, 1].

    Returns
    -------
    float or ndarray
        One number per row, in the dtype of `prediction`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or the parameter not a real number.
    ValueError
        If shapes do not fit, or an element or the parameter is out of its range.

    See Also
    --------
    GeneralizedCrossEntropy : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.generalized_cross_entropy([[0.0, 0.0]], [1], q=0.5), 12)
    0.585786437627
    """
    try:
        loss = _generalized_cross_entropy(q)
    except TypeError:
        loss = GeneralizedCrossEntropy(q)
    return loss._value(prediction, target, axis, sample_weight, reduction)


def zero_one(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    axis: int = -1,
) -> Any:
    """
    0-1 loss of raw scores: the share of wrong predictions, under "mean". A value only; it has no use for a gradient.

    The shape of the target decides. One class index per row: 1 where the largest score of the row, the first one of
    equals, is not that of the class. One target t per score, or a single number for all: t [z <= 0] + (1 - t) [z > 0],
    which is 1 where the score is on the wrong side of 0.

    Parameters
    ----------
    prediction : array_like
        Raw scores z of any shape.
    target : array_like
        Class indices, in the shape of `prediction` without `axis`; or labels in [0, 1], in the shape of `prediction`
        (so one-hot targets are read as labels) or a single number (also where `prediction` is a single row).
    sample_weight : array_like, optional
        Finite and >= 0: one per row for class indices, else whatever broadcasts to `prediction`.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l.
    axis : int, default -1
        The axis of the classes, for class indices.

    Returns
    -------
    float or ndarray
        An array in the shape of `target`, or of `prediction` for labels, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers.
    ValueError
        If shapes do not fit, or an element is out of its range.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.zero_one([[2.0, 0.5, 0.0], [2.0, 0.5, 0.0]], [0, 1])
    0.5
    >>> fl.zero_one([1.5, -0.5, 0.0], [1, 1, 0], reduction="none")
    array([0., 1., 0.])
    """
    z = _call.prediction_array(prediction, "prediction", as_stored=True)
    t = _call.operand(target, "target", as_stored=True)
    if t.ndim == 0 or t.shape == z.shape:
        return _ZERO_ONE._value(z, t, sample_weight, reduction)
    axis = _call.checked_axis(axis, z, "prediction")
    row_shape = z.shape[:axis] + z.shape[axis + 1 :]
    if t.shape != row_shape:
        indices = f"one class index per row, shape {row_shape}, or " if row_shape else ""
        raise ValueError(
            f"target must hold {indices}one label per score, shape {z.shape}, or be a single label; got shape {t.shape}"
        )
    return _MULTICLASS_ZERO_ONE._value(z, t, axis, sample_weight, reduction)


def _softmax_options(class_weight: Any, label_smoothing: Any, ignore_index: Any) -> dict[str, Any]:
    return {
        "class_weight": _parameters.class_weights(class_weight),
        "label_smoothing": _parameters.real("label_smoothing", label_smoothing, "in [0, 1]"),
        "ignore_index": _parameters.optional_index("ignore_index", ignore_index),
    }


# A function makes the loss of its parameters once; parameters without a hash (arrays) raise TypeError there.
_once = functools.lru_cache(maxsize=64, typed=True)
_cross_entropy: Callable[..., CrossEntropy] = _once(CrossEntropy)
_focal: Callable[..., Focal] = _once(Focal)
_multiclass_hinge: Callable[..., MulticlassHinge] = _once(MulticlassHinge)
_poly1: Callable[..., Poly1] = _once(Poly1)
_generalized_cross_entropy: Callable[..., GeneralizedCrossEntropy] = _once(GeneralizedCrossEntropy)
_KL_DIVERGENCE = KLDivergence()
# Not losses that anybody minimises, so no classes of their own.
_ZERO_ONE = PointwiseLoss("zero_one", {}, ())
_MULTICLASS_ZERO_ONE = RowwiseLoss("multiclass_zero_one", {}, ())
