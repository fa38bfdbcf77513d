"""A linear model of ordered classes: one score, and thresholds between the classes."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .._kernels import Loss
from .._resolve import resolve
from ..ordinal import AllThreshold, CumulativeLogit, threshold_gradient

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class OrdinalClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc, unused-ignore]
    """
    Linear model of ordered classes, such as grades: a score ``X @ coef_`` and thresholds that it has to pass.

    It minimises the weighted mean of the loss + alpha / 2 times the squared norm of the coefficients; thresholds are
    not penalised.

    Parameters
    ----------
    loss : {"cumulative_logit", "all_threshold"} or loss, default "cumulative_logit"
        `CumulativeLogit` is the proportional-odds model, whose probabilities are a likelihood's; `AllThreshold` adds up
        a binary cross-entropy for each threshold. Of an object its kind counts: thresholds are fitted.
    alpha : float, default 1e-4
        Weight of the penalty; >= 0.
    classes : sequence, optional
        The labels in their order. None: in that of a pandas Categorical, else sorted.
    max_iter : int, default 1000
        Most iterations.
    tol : float, default 1e-8
        The fit ends where no component of the gradient is larger, in units of the scaled features.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels in their order.
    coef_ : ndarray of shape (n_features,)
        One coefficient a feature.
    thresholds_ : ndarray of shape (n_classes - 1,)
        Where the score passes from one class to the next, rising.
    loss_ : Loss
        The loss, with its fitted thresholds.
    n_iter_ : int
        Iterations.
    n_features_in_ : int
        Features.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where X has some.

    See Also
    --------
    fastloss.CumulativeLogit : the loss, and its thresholds.

    Examples
    --------
    >>> from fastloss.sklearn import OrdinalClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], ["bad", "bad", "fair", "fair", "good", "good"]
    >>> model = OrdinalClassifier(alpha=0.01, classes=["bad", "fair", "good"]).fit(X, y)
    >>> model.predict([[0.5], [2.5], [9.0]])
    array(['bad', 'fair', 'good'], dtype='<U4')
    """

    def __init__(
        self,
        loss: Any = "cumulative_logit",
        *,
        alpha: float = 1e-4,
        classes: ArrayLike | None = None,
        max_iter: int = 1000,
        tol: float = 1e-8,
    ) -> None:
        self.loss = loss
        self.alpha = alpha
        self.classes = classes
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> OrdinalClassifier:
        """
        Fit coefficients and thresholds.

        Parameters
        ----------
        X : array_like, DataFrame or sparse matrix of shape (n, d)
            Features.
        y : array_like of shape (n,)
            Labels.
        sample_weight : array_like of shape (n,), optional
            Weights, finite and >= 0.

        Returns
        -------
        OrdinalClassifier
            Itself.

        Raises
        ------
        ValueError
            If the loss is not one of ordered classes, a label is not among `classes`, a parameter or weight is out of
            its range, or there are fewer than two classes of positive weight.

        Warns
        -----
        ConvergenceWarning
            If the minimum was not reached to `tol`.
        """
        kind = self._checked_loss()
        order = y.dtype.categories.to_numpy() if getattr(getattr(y, "dtype", None), "ordered", False) else None
        X, labels = validate_data(
            self, X, y, accept_sparse="csr", dtype=[np.float64, np.float32], y_numeric=False, multi_output=False
        )
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self.classes_, codes = self._ordered(labels, order if self.classes is None else np.asarray(self.classes))
        shares = np.bincount(codes, weights=weight, minlength=len(self.classes_))
        if (shares > 0).sum() < 2:
            raise ValueError("y must hold two classes or more of positive weight")
        if not (shares > 0).all():
            missing = self.classes_[int(np.flatnonzero(~(shares > 0))[0])]
            raise ValueError(f"y holds no row of positive weight of the class {missing}: leave it out of classes")
        self._minimise(kind, X, codes, weight / weight.sum(), shares / shares.sum())
        return self

    def _checked_loss(self) -> type:
        kind = type(resolve(self.loss) if not isinstance(self.loss, Loss) else self.loss)
        if kind not in (CumulativeLogit, AllThreshold):
            raise ValueError(
                f"loss must be cumulative_logit or all_threshold, losses of ordered classes; got {self.loss!r}"
            )
        if not (np.isreal(self.alpha) and 0 <= self.alpha < np.inf):
            raise ValueError(f"alpha must be finite and >= 0, got {self.alpha!r}")
        return kind

    @staticmethod
    def _ordered(labels: NDArray[Any], order: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Return the classes in their order, and which of them each label is."""
        known, codes = np.unique(labels, return_inverse=True)
        if order is None:
            return known, codes.astype(np.intp)
        if len(set(order.tolist())) != len(order):
            raise ValueError("classes must hold each label once")
        place = {label: k for k, label in enumerate(order.tolist())}
        of_known = np.array([place.get(label, -1) for label in known.tolist()], np.intp)
        if (of_known < 0).any():
            row = int(np.argmax(of_known[codes] < 0))
            raise ValueError(f"y[{row}] = {labels[row]!r} is none of the classes")
        return order, of_known[codes]

    def _minimise(
        self, kind: type, X: Any, codes: NDArray[np.intp], w: NDArray[np.float64], shares: NDArray[np.float64]
    ) -> None:
        """Minimise over coefficients of features of unit spread, the first threshold and the logs of the steps."""
        n_features, last = X.shape[1], len(shares) - 1
        size = np.sqrt(np.asarray(safe_sparse_dot(_squared(X).T, w), np.float64).ravel())
        mean = np.asarray(safe_sparse_dot(X.T, w), np.float64).ravel()
        spread = np.sqrt(np.maximum(size**2 - mean**2, 0.0))
        scale = np.where(spread > 1e-10 * size, spread, np.where(size > 0, size, 1.0))
        penalty = float(self.alpha) / scale**2

        def split(theta: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
            steps = np.exp(np.minimum(theta[n_features + 1 :], 50.0))
            return theta[:n_features], theta[n_features] + np.concatenate([[0.0], np.cumsum(steps)]), steps

        def evaluate(theta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            scaled, thresholds, steps = split(theta)
            # Of centred features: thresholds are where they are for the mean row.
            z = np.asarray(safe_sparse_dot(X, scaled / scale), np.float64) - mean @ (scaled / scale)
            value, of_score, of_thresholds = threshold_gradient(kind, z, codes, w, shares, thresholds)
            gradient = np.empty(len(theta))
            of_features = np.asarray(safe_sparse_dot(X.T, of_score), np.float64).ravel() - mean * of_score.sum()
            gradient[:n_features] = of_features / scale + penalty * scaled
            gradient[n_features] = of_thresholds.sum()
            gradient[n_features + 1 :] = steps * np.cumsum(of_thresholds[::-1])[::-1][1:]
            return value + 0.5 * float(penalty @ scaled**2), gradient

        below = np.cumsum(shares)[:-1]
        first = np.log(below) - np.log1p(-below)
        start = np.concatenate([np.zeros(n_features), first[:1], np.log(np.diff(first))])
        found = optimize.minimize(
            evaluate,
            start,
            jac=True,
            method="L-BFGS-B",
            options={
                "maxiter": self.max_iter,
                "maxfun": 2 * self.max_iter + 100,
                "gtol": self.tol,
                "ftol": 0.0,
                "maxcor": 20,
            },
        )
        scaled, thresholds, _ = split(found.x)
        self.coef_ = scaled / scale
        self.thresholds_ = thresholds + mean @ self.coef_
        self.n_iter_ = int(found.nit)
        self.loss_ = CumulativeLogit(self.thresholds_) if kind is CumulativeLogit else AllThreshold(last + 1)
        largest = float(np.abs(found.jac).max())
        if largest > max(self.tol, 1e-6):
            warnings.warn(
                f"the gradient is still {largest:.3g} after {found.nit} iterations: scale the features, or raise "
                "max_iter or alpha",
                ConvergenceWarning,
                stacklevel=3,
            )

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """
        Return the score of each row, ``X @ coef_``.

        Parameters
        ----------
        X : array_like, DataFrame or sparse matrix of shape (n, d)
            Features.

        Returns
        -------
        ndarray of shape (n,)
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        return np.asarray(safe_sparse_dot(X, self.coef_), np.float64)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """
        Return the probabilities of the classes.

        Parameters
        ----------
        X : array_like, DataFrame or sparse matrix of shape (n, d)
            Features.

        Returns
        -------
        ndarray of shape (n, n_classes)
            In the order of `classes_`.
        """
        score = self.decision_function(X)
        if isinstance(self.loss_, CumulativeLogit):
            return np.asarray(self.loss_.predict_proba(score))
        return np.asarray(self.loss_.predict_proba(score[:, np.newaxis] - self.thresholds_))

    def predict(self, X: Any) -> NDArray[Any]:
        """
        Return the most probable class of each row; of `AllThreshold`, the one between whose thresholds the score lies.

        Parameters
        ----------
        X : array_like, DataFrame or sparse matrix of shape (n, d)
            Features.

        Returns
        -------
        ndarray of shape (n,)
            Labels.
        """
        if isinstance(getattr(self, "loss_", None), AllThreshold):
            score = self.decision_function(X)
            return np.asarray(self.classes_[np.sum(score[:, np.newaxis] > self.thresholds_, axis=1)])
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _squared(X: Any) -> Any:
    return X.multiply(X) if hasattr(X, "multiply") else np.square(X)
