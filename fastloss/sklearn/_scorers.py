"""Scorers: any loss as scikit-learn's model selection takes it, from raw scores."""

# mypy: allow-subclassing-any, no-warn-return-any

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics._scorer import _BaseScorer
from sklearn.utils.validation import column_or_1d

from .._kernels import Loss, PointwiseLoss, RowwiseLoss, SetLoss
from .._resolve import HasLoss, resolve
from ..binary import Exponential, _MarginLoss
from ..distribution import _LogLinkLoss
from ..multiclass import MulticlassHinge
from ..regression import _RegressionLoss
from ..rowwise import logsumexp, sigmoid, softmax
from ._distributions import meaning
from ._linear import numbers_of, with_missing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["loss_scorer"]

# Losses of a margin, whose scores are not to be had from probabilities.
WITHOUT_PROBABILITIES = (_MarginLoss, MulticlassHinge)

RESPONSES = ("decision_function", "predict_proba", "predict")


def loss_scorer(
    loss: str | Loss, *, labels: ArrayLike | None = None, response_method: str | None = None
) -> _LossScorer:
    """
    Return a scorer for ``scoring=`` of scikit-learn's cross-validation and searches: minus the mean loss.

    The loss is taken of what `decision_function` returns where that is what the loss takes for scores, so classifiers
    need no probabilities, and no digit is lost in them. With ``cross_entropy`` or ``binary_cross_entropy`` it is
    scikit-learn's "neg_log_loss".

    Parameters
    ----------
    loss : Loss or str
        A loss object, or the name of one with its defaults.
    labels : array_like of shape (K,), optional
        All classes. A class that an estimator has not seen, in a fold whose rows to train on lack it, has probability
        0 for the estimator, clipped as below; without `labels` its rows are refused. For estimators without
        ``classes_``, in the order of the scores.
    response_method : {"decision_function", "predict_proba", "predict"}, optional
        What of the estimator is scored. By default `decision_function`, else `predict_proba`, for losses of classes,
        and `predict` for losses of regression.

    Returns
    -------
    callable
        ``scorer(estimator, X, y, sample_weight=None, offset=None)``, a scorer as `sklearn.metrics.make_scorer` returns
        it: with `set_score_request` for metadata routing, and for pickle. Greater is better. An offset goes to the
        method of the estimator that is asked, as `LossClassifier` and `LossRegressor` take it.

    Raises
    ------
    TypeError, ValueError
        If `loss` is none, or `response_method` is not one of those. When called: if the loss and the estimator do not
        go together, labels are unknown, or the loss refuses what it is given.

    Notes
    -----
    - Decision functions are the scores of what the estimator was fitted to, which need not be log odds: those of focal
      or weighted losses, of SVC or AdaBoost are not. By default they are scored if `predict_proba` says that they are
      what this loss takes them for (its own scores, or logits), or there are no probabilities to ask; otherwise the
      probabilities are.
    - Two classes: one score z for the second of them is a score for binary losses, and the logits (0, z) for row-wise
      ones. More than two are for row-wise losses; with a binary loss the losses of each class against all others are
      added up, which is also what `LossClassifier` fits.
    - Probabilities p, where there is no decision function, stand for the logits log p, those of two classes for their
      log odds, clipped to [eps, 1 - eps] as scikit-learn's log_loss does. Losses of a margin (Hinge, SquaredHinge,
      ModifiedHuber, MulticlassHinge) cannot be had from probabilities and refuse them.
    - Losses of regression take ``predict(X)``. Those with a log link (Poisson, Gamma, Tweedie) take
      ``log(predict(X))``, since `predict` returns means; these must be positive.
    - Losses of several numbers a row, such as `GaussianNLL` or `Quantiles`, take ``decision_function(X)``, which
      `LossRegressor` and the estimators of the boosters have under such losses.
    - Of several targets or labels those that are missing, nan or masked, count nowhere, as in a fit.
    - Multilabel targets of shape (n, L) go with scores of that shape; the binary losses of the labels are added up.

    Examples
    --------
    >>> import fastloss as fl
    >>> from fastloss.sklearn import loss_scorer
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.model_selection import cross_val_score
    >>> X, y = load_iris(return_X_y=True)
    >>> cross_val_score(RidgeClassifier(), X, y, scoring=loss_scorer(fl.MulticlassHinge())).round(2)
    array([-0.5 , -0.36, -0.47, -0.42, -0.35])
    """
    found = resolve(loss)
    if found.kind == "columns" and found.target_domain == "classes":
        raise ValueError(
            f"{found!r} is a loss of ordered classes, of which there is no scorer: use OrdinalClassifier.score"
        )
    if found.kind == "segments":
        raise ValueError(
            f"{found!r} is a loss of survival times or groups, of which there is no scorer: LossRegressor.score is the "
            "concordance index, or call fastloss.concordance_index"
        )
    is_regression = isinstance(found, (_RegressionLoss, _LogLinkLoss))
    if found.kind == "columns":
        if response_method not in (None, "decision_function"):
            raise ValueError(f"response_method must be 'decision_function' for {found.name}, got {response_method!r}")
        return _LossScorer(found, labels, "decision_function")
    if response_method is None:
        chosen: Any = "predict" if is_regression else ("decision_function", "predict_proba")
    elif response_method not in RESPONSES or (response_method == "predict") != is_regression:
        needs = "'predict'" if is_regression else "'decision_function' or 'predict_proba'"
        raise ValueError(f"response_method must be {needs} for {found.name}, got {response_method!r}")
    else:
        chosen = response_method
    return _LossScorer(found, labels, chosen)


def mean_loss(y_true: Any, y_pred: Any, sample_weight: Any = None, offset: Any = None) -> None:
    """Tell scikit-learn by its signature what a scorer can be sent."""


class _LossScorer(_BaseScorer):
    """A loss of the scores of an estimator, with the requests and caches of scikit-learn's scorers."""

    def __init__(self, loss: Any, labels: Any, response_method: Any) -> None:
        super().__init__(mean_loss, -1, {}, response_method)
        self._loss = loss
        self._labels = labels

    def __repr__(self) -> str:
        labels = "" if self._labels is None else f", labels={self._labels!r}"
        method = "" if not isinstance(self._response_method, str) else f", response_method={self._response_method!r}"
        return f"loss_scorer({self._loss!r}{labels}{method if self._response_method != 'predict' else ''})"

    def __call__(
        self, estimator: Any, X: Any, y_true: Any, *, sample_weight: Any = None, offset: Any = None, **kwargs: Any
    ) -> float:
        if offset is None:
            return super().__call__(estimator, X, y_true, sample_weight=sample_weight, **kwargs)
        return self._score(None, estimator, X, y_true, sample_weight=sample_weight, offset=offset, **kwargs)

    def _score(self, method_caller: Any, estimator: Any, X: Any, y_true: Any, **kwargs: Any) -> float:
        if self._loss.kind == "columns":
            _refuse_other_columns(self._loss, estimator)
        method = self._method_of(estimator)
        many_labels = np.ndim(y_true) == 2 and np.shape(y_true)[1] > 1
        if self._loss.kind == "columns":
            added = {} if kwargs.get("offset") is None else {"offset": kwargs["offset"]}
            z = np.asarray(getattr(estimator, method)(X, **added))
            return -self._loss(z, column_or_1d(y_true), sample_weight=kwargs.get("sample_weight"))

        # scikit-learn's caller picks columns by classes, which multilabel estimators have none of.
        def respond(method: str) -> Any:
            if kwargs.get("offset") is not None:
                return getattr(estimator, method)(X, offset=kwargs["offset"])
            return getattr(estimator, method)(X) if many_labels else method_caller(estimator, method, X)

        response = respond(method)
        loss, sample_weight = self._loss, kwargs.get("sample_weight")
        may_choose = not isinstance(self._response_method, str) and not isinstance(loss, WITHOUT_PROBABILITIES)
        if may_choose and method == "decision_function" and hasattr(estimator, "predict_proba"):
            probability = respond("predict_proba")
            if not _stand_for(response, probability, loss, many_labels):
                method, response = "predict_proba", probability
        if method == "predict":
            z = _regression_scores(loss, np.asarray(response))
            target = np.asarray(numbers_of(y_true, z.dtype))
            if z.ndim == 1 and target.ndim == 2:
                target = column_or_1d(target)
            n_terms = 1
        else:
            z = scores_of(response, method, loss, many_labels)
            if many_labels:
                target = np.asarray(numbers_of(y_true, z.dtype))
            else:
                z, classes = self._of_all_labels(z, self._classes(estimator))
                z, target = _class_scores(z, loss, codes_of(column_or_1d(y_true), classes), len(classes))
            # The loss of a row is the sum of those of its labels, as in a fit.
            n_terms = z.shape[1] if z.ndim == 2 and isinstance(loss, PointwiseLoss) else 1
        if z.ndim == 2 and isinstance(loss, PointwiseLoss):
            sample_weight = None if sample_weight is None else np.asarray(sample_weight)
            target, sample_weight = with_missing(target, sample_weight)
            if sample_weight is not None and sample_weight.ndim == 1:
                sample_weight = sample_weight[:, None]
        elif sample_weight is not None and z.ndim == 2 and not isinstance(loss, RowwiseLoss):
            sample_weight = np.asarray(sample_weight)[:, None]
        return -n_terms * loss(z, target, sample_weight=sample_weight)

    def _method_of(self, estimator: Any) -> str:
        methods = [self._response_method] if isinstance(self._response_method, str) else self._response_method
        for method in methods:
            if hasattr(estimator, method):
                return method
        raise TypeError(
            f"{self._loss.name} needs an estimator with {' or '.join(methods)}; {type(estimator).__name__} has none"
        )

    def _classes(self, estimator: Any) -> np.ndarray:
        classes = getattr(estimator, "classes_", self._labels)
        if classes is None:
            raise ValueError(
                f"{type(estimator).__name__} has no classes_: tell the scorer with loss_scorer(..., labels=)"
            )
        return np.asarray(classes)

    def _of_all_labels(self, z: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and classes with those of `labels` that the estimator lacks, whose probability is 0 to it."""
        labels = classes if self._labels is None else np.asarray(self._labels)
        missing = labels[~np.isin(labels, classes)]
        if not len(missing):
            return z, classes
        if isinstance(self._loss, WITHOUT_PROBABILITIES):
            raise ValueError(
                f"the estimator has not seen the classes {missing.tolist()}, which therefore have probability 0; "
                f"{self._loss.name} has no score for that"
            )
        if isinstance(self._loss, RowwiseLoss):
            z = two_logits(z)
            z = z - logsumexp(z)[:, None]
            least = logits_of(np.zeros(1, z.dtype))
        else:
            z = np.stack([-z, z], axis=1) if z.ndim == 1 else z
            least = _scores_of_log_odds(log_odds_of(np.zeros(1, z.dtype)), self._loss)
        columns = np.broadcast_to(least, (len(z), len(missing)))
        return np.concatenate([z, columns], axis=1), np.concatenate([classes, missing])


def _refuse_other_columns(loss: Any, estimator: Any) -> None:
    """Refuse a model of other numbers a row, if it says what its own are."""
    model = getattr(estimator, "best_estimator_", estimator)
    while hasattr(model, "steps"):
        model = model.steps[-1][1]
    if isinstance(model, HasLoss):
        own = meaning(model.loss)
        if own.kind != "columns" or own.columns != loss.columns:
            raise ValueError(f"{loss!r} takes {', '.join(loss.columns)}, and the model has the scores of {own!r}")


def _stand_for(scores: Any, probability: Any, loss: Any, many_labels: bool) -> bool:
    """Whether probabilities are what a loss has for these scores, or are their sigmoid or softmax."""
    scores, probability = np.asarray(scores), _columns_of(probability)
    by_row = isinstance(loss, RowwiseLoss)
    z = two_logits(scores) if by_row else scores
    found = [softmax(z) if by_row else sigmoid(z)]
    if not isinstance(loss, SetLoss):  # a set has no posterior of its elements
        found.append(loss.predict_proba(z))
    if not by_row and scores.ndim == 2 and not many_labels:
        found = [p / p.sum(axis=1, keepdims=True) for p in found]
    of_second = probability.ndim == 1 or (probability.ndim == 2 and scores.ndim == 1)
    if of_second:
        probability = probability if probability.ndim == 1 else probability[:, 1]
        found = [p if p.ndim == 1 else p[:, 1] for p in found]
    # Single precision is enough to tell one rule from another.
    return any(p.shape == probability.shape and np.allclose(p, probability, rtol=1e-4, atol=1e-6) for p in found)


def _class_scores(z: np.ndarray, loss: Any, codes: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and targets as the loss takes them."""
    if n_classes != (z.shape[1] if z.ndim == 2 else 2):
        raise ValueError(f"the estimator has {n_classes} classes, but its scores have shape {z.shape}")
    if isinstance(loss, RowwiseLoss):
        return two_logits(z), codes
    if z.ndim == 1 or n_classes == 2:
        return (z if z.ndim == 1 else z[:, 1] - z[:, 0]), codes
    return z, codes[:, None] == np.arange(n_classes)


def codes_of(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the position of each label in `classes`, which need not be sorted; an unknown label is an error."""
    counts_up = y.dtype.kind in "biu" and np.array_equal(classes, np.arange(len(classes)))
    if counts_up and y.size and y.min() >= 0 and y.max() < len(classes):
        return y.astype(np.intp)
    found, codes = np.unique(y, return_inverse=True)
    unknown = found[~np.isin(found, classes)]
    if len(unknown):
        raise ValueError(
            f"y holds {unknown.tolist()}, which are not among the classes {classes.tolist()}: where rows to train on "
            f"lack a class, tell a scorer all of them with loss_scorer(..., labels=)"
        )
    order = np.argsort(classes)
    return order[np.searchsorted(classes, found, sorter=order)][codes]


def _columns_of(response: Any) -> np.ndarray:
    if isinstance(response, list):  # of labels, each with the probabilities of no and yes
        response = np.stack([p[:, -1] for p in response], axis=1)
    return np.asarray(response)


def scores_of(response: Any, method: str, loss: Any, many_labels: bool) -> np.ndarray:
    """Return the scores that the responses of a classifier stand for."""
    response = _columns_of(response)
    if method == "decision_function":
        return response
    if isinstance(loss, WITHOUT_PROBABILITIES):
        raise TypeError(
            f"{loss.name} is a loss of margins, which are not to be had from probabilities: it needs an estimator with "
            f"a decision_function"
        )
    # Of two classes the difference of logarithms is the log odds; of more, each class is against all others.
    are_odds = many_labels or (isinstance(loss, PointwiseLoss) and response.shape[1:] != (2,))
    return _scores_of_log_odds(log_odds_of(response) if are_odds else logits_of(response), loss)


def _scores_of_log_odds(log_odds: np.ndarray, loss: Any) -> np.ndarray:
    return log_odds / 2.0 if isinstance(loss, Exponential) else log_odds


def log_odds_of(p: np.ndarray) -> np.ndarray:
    """Return log odds of probabilities, clipped as scikit-learn's log_loss does."""
    eps = np.finfo(p.dtype).eps
    p = np.clip(p, eps, 1 - eps)
    return np.log(p) - np.log1p(-p)


def logits_of(p: np.ndarray) -> np.ndarray:
    """Return log odds of probabilities (n,) of the second of two classes, or logarithms of those (n, K) of all."""
    if p.ndim == 1:
        return log_odds_of(p)
    eps = np.finfo(p.dtype).eps
    return np.log(np.clip(p, eps, 1 - eps))


def two_logits(z: np.ndarray) -> np.ndarray:
    """Return logits (0, z) of two classes for scores (n,), others as they are."""
    if z.ndim == 2:
        return z
    logits = np.zeros((len(z), 2), z.dtype, order="F")
    logits[:, 1] = z
    return logits


def _regression_scores(loss: Any, prediction: np.ndarray) -> np.ndarray:
    if not isinstance(loss, _LogLinkLoss):
        return prediction
    if not np.all(prediction > 0):
        raise ValueError(f"{loss.name} is scored at the logarithm of predictions, which must be positive")
    return np.log(prediction)
