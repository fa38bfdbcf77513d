"""Calibration of classifiers by minimising the cross-entropy of rescaled logits."""

# mypy: allow-subclassing-any, no-warn-return-any

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_predict
from sklearn.utils import assert_all_finite, get_tags, indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
)

from ..binary import BinaryCrossEntropy
from ..multiclass import CrossEntropy
from ..rowwise import sigmoid, softmax
from ._scorers import codes_of, logits_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Self


__all__ = ["TemperatureScaling", "VectorScaling"]

# Elements of a block of logits: with what is computed of them they stay in cache, and no array grows with n K.
BLOCK = 1 << 16
# How far the temperature may be from the spread of the logits, as a logarithm. At the ends classes are separated
# without a mistake, or scores say less than nothing.
FARTHEST = 10.0
MOST_STEPS = 100


class _ScaledLogits(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """What calibrators have in common: where logits come from, and what becomes of them."""

    def __init__(self, estimator: Any = None, *, cv: Any = None) -> None:
        self.estimator = estimator
        self.cv = cv

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, **fit_params: Any) -> Self:
        """
        Fit the estimator, if there is one to be fitted, and the scaling of its logits.

        Parameters
        ----------
        X : array_like of shape (n, n_features), or of logits
            What the estimator takes. Without an estimator, logits (n, K), or (n,) or (n, 1) of the second of two
            classes.
        y : array_like of shape (n,)
            Class labels.
        sample_weight : array_like of shape (n,), optional
            Finite and >= 0. The estimator gets them too if its `fit` takes them.
        **fit_params
            More for the estimator's `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If logits and labels do not fit together, or are not what they should be.
        """
        labels: Any = column_or_1d(y, warn=True)
        assert_all_finite(labels, input_name="y")
        check_classification_targets(labels)
        w = None
        if sample_weight is not None:
            w = _check_sample_weight(sample_weight, X, ensure_non_negative=True)
        if self.estimator is None:
            z = _as_logits(X)
            self.classes_ = _classes_of(labels, z)
        else:
            z, labels = self._estimated(X, labels, w, fit_params)
        if len(labels) != len(z):
            raise ValueError(f"X and y must be of one length, got {len(z)} and {len(labels)}")
        if not np.isfinite(z).all():
            raise ValueError("the scores of the estimator hold nan or infinity")
        self._fit_scaling(z, codes_of(labels, self.classes_), w)
        return self

    def _estimated(
        self, X: Any, y: Any, sample_weight: Any, fit_params: dict[str, Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return scores of rows that the estimator did not see when it was fitted, and labels; fit it on all."""
        X, y = indexable(X, y)
        if _routing_enabled():
            params = process_routing(self, "fit", sample_weight=sample_weight, **fit_params).estimator.fit
        else:
            params = dict(fit_params)
            if sample_weight is not None and has_fit_parameter(self.estimator, "sample_weight"):
                params["sample_weight"] = sample_weight
        self.estimator_ = clone(self.estimator)
        if isinstance(self.estimator, FrozenEstimator):
            z = self._scores(X)
        else:
            method = _method_of(self.estimator)
            z = cross_val_predict(clone(self.estimator), X, y, cv=self.cv, method=method, params=params)
            z = _logits_of_response(z, method)
            self.estimator_.fit(X, y, **params)
        self.classes_ = np.asarray(self.estimator_.classes_)
        return z, y

    def _scores(self, X: Any) -> np.ndarray:
        """Return logits, before they are scaled."""
        check_is_fitted(self)
        if self.estimator is None:
            z = _as_logits(X)
            if (2 if z.ndim == 1 else z.shape[1]) != len(self.classes_):
                raise ValueError(f"X must hold logits of {len(self.classes_)} classes, got shape {z.shape}")
            return z
        method = _method_of(self.estimator_)
        return _logits_of_response(getattr(self.estimator_, method)(X), method)

    def decision_function(self, X: Any) -> np.ndarray:
        """
        Return the scaled logits.

        Parameters
        ----------
        X : array_like
            As in `fit`.

        Returns
        -------
        ndarray of shape (n,) for two classes, else (n, K)
        """
        return self._scaled(self._scores(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """
        Return calibrated probabilities: the softmax of the scaled logits, or the sigmoid for two classes.

        Parameters
        ----------
        X : array_like
            As in `fit`.

        Returns
        -------
        ndarray of shape (n, K)
        """
        z = self.decision_function(X)
        if z.ndim == 2:
            return softmax(z)
        return np.stack([sigmoid(-z), sigmoid(z)], axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """
        Return the class of the largest scaled logit.

        Parameters
        ----------
        X : array_like
            As in `fit`.

        Returns
        -------
        ndarray of shape (n,)
        """
        z = self.decision_function(X)
        return self.classes_[(z > 0).astype(np.intp) if z.ndim == 1 else z.argmax(axis=1)]

    def _fit_scaling(self, z: np.ndarray, codes: np.ndarray, w: np.ndarray | None) -> None:
        raise NotImplementedError

    def _scaled(self, z: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    @property
    def n_features_in_(self) -> int:
        """The number of features that the estimator has seen."""
        check_is_fitted(self)
        if self.estimator is None:
            return 1 if len(self.classes_) == 2 else len(self.classes_)
        return self.estimator_.n_features_in_

    def get_metadata_routing(self) -> MetadataRouter:
        """
        Return what `fit` asks for and sends on; see scikit-learn's guide to metadata routing.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        router = MetadataRouter(owner=self).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=MethodMapping().add(caller="fit", callee="fit"))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.estimator is not None:
            tags.input_tags = get_tags(self.estimator).input_tags
        return tags


class TemperatureScaling(_ScaledLogits):
    """
    Calibration of a classifier by one number, the temperature, by which its logits are divided.

    With logits z and temperature T, probabilities are softmax(z / T), or sigmoid(z / T) for two classes, where T
    minimises the weighted mean cross-entropy. Classes stay in their order: predictions do not change, only how sure
    they are.

    Parameters
    ----------
    estimator : classifier, optional
        Its `decision_function` gives the logits, else the logarithms of its `predict_proba`. T is fitted on predictions
        for rows it was not fitted on, by cross-validation, and the estimator itself on all rows. A fitted one in a
        `sklearn.frozen.FrozenEstimator` stays as it is, and all rows are for the temperature; they should be other rows
        than it has seen. Without an estimator, `fit`, `predict_proba` and the others take logits as X.
    cv : int, cross-validation generator or iterable, optional
        As in `sklearn.model_selection.cross_val_predict`: by default five stratified folds.

    Attributes
    ----------
    temperature_ : float
        T. More than 1 if the classifier was too sure of itself.
    classes_ : ndarray of shape (K,)
        The labels. Those of logits are the sorted labels of y, or 0 to K - 1 if there are more logits than labels.
    estimator_ : classifier
        The fitted estimator, if there is one.
    n_iter_ : int
        Newton's steps.

    Notes
    -----
    The cross-entropy is convex in 1 / T, so its slope has one root, which Newton's method finds in log T. A bracket
    around it is halved where a step would leave it. T lies within exp(10) times the spread of the logits, either way:
    it is small where the logits separate the classes without a mistake, and at the upper end where they are worse than
    chance.

    scikit-learn's ``CalibratedClassifierCV(estimator, method="temperature", ensemble=False)`` gives the same
    probabilities for decision functions. For two classes it takes z as two logits, -z and z, so that its temperature is
    twice this one. Of `predict_proba` it takes log(p + 1e-12) where this clips p to [eps, 1 - eps]; that of two classes
    it (1.9) reads as if it were a decision function.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks",
    https://arxiv.org/abs/1706.04599

    Examples
    --------
    >>> from fastloss.sklearn import TemperatureScaling
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_digits(return_X_y=True)
    >>> calibrated = TemperatureScaling(GaussianNB(var_smoothing=1e-4)).fit(X, y)
    >>> calibrated.temperature_ > 5  # naive Bayes is much too sure
    True
    >>> calibrated.predict_proba(X).shape
    (1797, 10)
    """

    def _fit_scaling(self, z: np.ndarray, codes: np.ndarray, w: np.ndarray | None) -> None:
        self.temperature_, self.n_iter_ = best_temperature(z, codes, w)

    def _scaled(self, z: np.ndarray) -> np.ndarray:
        return z / self.temperature_


class VectorScaling(_ScaledLogits):
    """
    Calibration of a classifier by a factor and a shift for the logit of each class.

    With logits z, probabilities are softmax(a z + b), a and b of one number for each class, which minimise the weighted
    mean cross-entropy. For two classes they are sigmoid(a z + b): Platt's method, without his smoothing of labels.
    Unlike one temperature, this can change which class is the likeliest, and wants more rows.

    Parameters
    ----------
    estimator : classifier, optional
        As in `TemperatureScaling`.
    cv : int, cross-validation generator or iterable, optional
        As in `TemperatureScaling`.

    Attributes
    ----------
    weight_ : ndarray of shape (K,), or (1,) for two classes
        a.
    bias_ : ndarray of shape (K,), or (1,) for two classes
        b. That of more than two classes sums to 0.
    classes_ : ndarray of shape (K,)
        The labels.
    estimator_ : classifier
        The fitted estimator, if there is one.
    n_iter_ : int
        Steps of L-BFGS.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On calibration of modern neural networks",
    https://arxiv.org/abs/1706.04599

    Examples
    --------
    >>> from fastloss.sklearn import VectorScaling
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_digits(return_X_y=True)
    >>> calibrated = VectorScaling(GaussianNB(var_smoothing=1e-4)).fit(X, y)
    >>> calibrated.weight_.shape
    (10,)
    """

    def _fit_scaling(self, z: np.ndarray, codes: np.ndarray, w: np.ndarray | None) -> None:
        columns = z.reshape(len(z), -1)
        # In units of the logits' spread all parameters have the same scale.
        total = len(z) if w is None else float(w.sum())
        centre, spread = np.zeros(columns.shape[1]), np.zeros(columns.shape[1])
        for part, _, weight in _blocks(columns, None, w):
            centre += _sum_of_rows(part, weight) / total
        for part, _, weight in _blocks(columns, None, w):
            spread += _sum_of_rows(np.square(part - centre), weight) / total
        spread = np.sqrt(spread)
        spread[spread == 0] = 1.0
        n = len(spread)

        def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = 0.0, np.zeros(2 * n)
            for part, target, weight in _blocks(columns, codes, w):
                u = (part - centre) / spread
                of_part, g = _value_and_gradient(u * x[:n] + x[n:], target, weight)
                value += of_part
                slope[:n] += np.einsum("ij,ij->j", g, u)
                slope[n:] += g.sum(axis=0)
            return value / total, slope / total

        found = minimize(
            objective,
            np.r_[spread, centre],
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 1000, "maxcor": 20, "gtol": 1e-9, "ftol": 1e-15},
        )
        if found.status == 1:
            warnings.warn(f"VectorScaling has not converged: {found.message}", ConvergenceWarning, stacklevel=3)
        self.n_iter_ = max(1, int(found.nit))
        self.weight_ = found.x[:n] / spread
        self.bias_ = found.x[n:] - self.weight_ * centre
        if n > 1:
            self.bias_ -= self.bias_.mean()

    def _scaled(self, z: np.ndarray) -> np.ndarray:
        return z * self.weight_ + self.bias_


# ------------------------------------------------------------------------------------------------------------- fitting


def best_temperature(z: np.ndarray, codes: np.ndarray, w: np.ndarray | None) -> tuple[float, int]:
    """Return the T that minimises the cross-entropy of z / T, and the steps it took to find it."""
    spread = _spread(z)
    if spread == 0:
        return 1.0, 1
    low, high, position = -FARTHEST, FARTHEST, -math.log(spread)
    low, high = low + position, high + position
    # The first guess changes nothing: T = 1, log(1 / T) = 0.
    position = min(max(0.0, low), high)
    step = 0
    while step < MOST_STEPS:
        step += 1
        slope, curvature = _slope_and_curvature(z, codes, w, math.exp(position))
        if slope > 0:
            high = position
        else:
            low = position
        newton = position - slope / (curvature * math.exp(position)) if curvature > 0 else math.inf
        before, position = position, newton if low <= newton <= high else (low + high) / 2
        if abs(position - before) <= 1e-13:
            break
    return math.exp(-position), step


def _spread(z: np.ndarray) -> float:
    """Return the root mean square of logits around the mean of their row, or around 0 for two classes."""
    total = sum(
        float(np.square(part - (part.mean(axis=1, keepdims=True) if z.ndim == 2 else 0.0)).sum())
        for part, _, _ in _blocks(z, None, None)
    )
    return math.sqrt(total / z.size)


def _sum_of_rows(array: np.ndarray, w: np.ndarray | None) -> np.ndarray:
    return array.sum(axis=0) if w is None else w @ array


def _slope_and_curvature(z: np.ndarray, codes: np.ndarray, w: np.ndarray | None, factor: float) -> tuple[float, float]:
    """Return the derivatives of the summed cross-entropy of `factor` z with respect to the factor."""
    slope = curvature = 0.0
    for part, target, weight in _blocks(z, codes, w):
        options: Any = {"sample_weight": weight, "reduction": "sum"}
        if z.ndim == 1:
            g, h = BinaryCrossEntropy().gradient_and_hessian(factor * part, target, **options)
            bent = h * part
        else:
            g = CrossEntropy().gradient(factor * part, target, **options)
            bent = CrossEntropy().hessian_vector_product(factor * part, target, part, **options)
        slope += float(np.vdot(g, part))
        curvature += float(np.vdot(bent, part))
    return slope, curvature


def _value_and_gradient(z: np.ndarray, target: np.ndarray, w: np.ndarray | None) -> tuple[float, np.ndarray]:
    """Return the summed cross-entropy of logits (n, K), or (n, 1) for two classes, and its gradient."""
    loss: Any = CrossEntropy() if z.shape[1] > 1 else BinaryCrossEntropy()
    if z.shape[1] > 1:
        return loss.value_and_gradient(z, target, sample_weight=w, reduction="sum")
    value, gradient = loss.value_and_gradient(z[:, 0], target, sample_weight=w, reduction="sum")
    return value, gradient[:, None]


def _blocks(z: np.ndarray, codes: Any, w: Any) -> Iterator[tuple[np.ndarray, Any, Any]]:
    size = max(1, BLOCK // (z.shape[1] if z.ndim == 2 else 1))
    for start in range(0, len(z), size):
        rows = slice(start, start + size)
        part = z[rows].astype(np.float64, copy=False)
        yield part, None if codes is None else codes[rows], None if w is None else w[rows]


# -------------------------------------------------------------------------------------------------------------- logits


def _as_logits(X: Any) -> np.ndarray:
    z = check_array(X, ensure_2d=False, dtype=[np.float64, np.float32], input_name="X")
    return z[:, 0] if z.ndim == 2 and z.shape[1] == 1 else z


def _classes_of(y: np.ndarray, z: np.ndarray) -> np.ndarray:
    classes = np.unique(y)
    n_classes = 2 if z.ndim == 1 else z.shape[1]
    if len(classes) == n_classes:
        return classes
    # A small set of rows may lack a class.
    if y.dtype.kind in "iu" and classes[0] >= 0 and classes[-1] < n_classes:
        return np.arange(n_classes)
    raise ValueError(f"X holds logits of {n_classes} classes, shape {z.shape}, but y has {len(classes)} labels")


def _method_of(estimator: Any) -> str:
    for method in ("decision_function", "predict_proba"):
        if hasattr(estimator, method):
            return method
    raise TypeError(f"{type(estimator).__name__} has neither decision_function nor predict_proba")


def _logits_of_response(response: Any, method: str) -> np.ndarray:
    """Return logits (n, K), or (n,) for two classes."""
    z = np.asarray(response)
    if method == "predict_proba":
        z = logits_of(z)
    if z.ndim == 2 and z.shape[1] <= 2:
        return z[:, -1] - z[:, 0] if z.shape[1] == 2 else z[:, 0]
    return z
