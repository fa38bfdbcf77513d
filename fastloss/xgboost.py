"""
XGBoost: any loss of this package as an objective, with its weights, start value, metric and probabilities right.

`XGBClassifier` and `XGBRegressor` are XGBoost's own estimators with one more parameter, `loss`. `objective` and
`metric` are for ``xgboost.train``, and for XGBoost's own estimators, also those for Dask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import xgboost  # XGBoost: this file is fastloss.xgboost, and imports are absolute
    from sklearn.utils import column_or_1d
except ModuleNotFoundError as error:
    if error.name not in ("xgboost", "sklearn"):
        raise
    raise ImportError('fastloss.xgboost needs XGBoost and scikit-learn: pip install "fastloss[xgboost]"') from None

from . import _boosters
from ._kernels import Loss, RowwiseLoss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["XGBClassifier", "XGBRegressor", "metric", "objective"]

# These take predictions for probabilities or means, and an objective that is not XGBoost's own gives raw scores.
METRICS_OF_PROBABILITIES = (
    *("logloss", "error", "error@", "mlogloss", "rmsle", "mape", "cox-nloglik"),
    *("poisson-nloglik", "gamma-nloglik", "gamma-deviance", "tweedie-nloglik"),
)

# A million take a millisecond; XGBoost's wheel has an OpenMP of its own, and two runtimes cost each other more.
SCORES_PER_THREAD = 2**20


class objective:
    """
    Return the objective of a loss, for ``xgboost.train`` and for XGBoost's estimators.

    Parameters
    ----------
    loss : Loss or str
        A loss of this package, or its name.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The Hessian that trees are grown with; "auto" is the kind that trained best with this loss.

    Returns
    -------
    callable
        ``objective(predt, dtrain)``, as ``xgboost.train(obj=...)`` calls it, and
        ``objective(y_true, y_pred, sample_weight)``, as the `objective` of an estimator is called, return gradient
        and Hessian of each row times its weight: float32, in the memory order of the scores. It pickles.

    Raises
    ------
    ValueError
        If `loss` is no loss of single rows, or `curvature` is none of the above.

    Notes
    -----
    Set `base_score` to the loss's `init_score`: XGBoost cannot estimate it for an objective that is not its own.
    Predictions are raw scores. The estimators of this module do both, and return probabilities.

    Examples
    --------
    >>> import numpy as np, xgboost, fastloss as fl, fastloss.xgboost
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> y = (X[:, 0] > 0.5).astype(float)
    >>> loss = fl.BinaryFocal(gamma=2.0)
    >>> parameters = {"base_score": loss.init_score(y), "disable_default_eval_metric": True}
    >>> booster = xgboost.train(parameters, xgboost.DMatrix(X, y), 20, obj=fl.xgboost.objective(loss))
    >>> bool(loss(booster.predict(xgboost.DMatrix(X)), y) < 0.03)
    True
    """

    def __init__(self, loss: Loss | str, curvature: str = "auto") -> None:
        self.derivatives = _boosters.Derivatives(_boosters.boosting_loss(loss), curvature, SCORES_PER_THREAD)
        self.__name__ = f"objective({self.derivatives.loss!r})"

    def __call__(
        self, y_true: NDArray[Any], y_pred: Any, sample_weight: NDArray[Any] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if isinstance(y_pred, xgboost.DMatrix):  # from xgboost.train: (predt, dtrain)
            y_true, y_pred, sample_weight = y_pred.get_label(), y_true, y_pred.get_weight()
        return self.derivatives(y_pred, _boosters.class_targets(self.derivatives.loss, y_true), sample_weight)

    def __repr__(self) -> str:
        return f"fastloss.xgboost.{self.__name__}"


class metric:
    """
    Return a loss as a metric, for ``xgboost.train`` and for XGBoost's estimators.

    Parameters
    ----------
    loss : Loss or str
        A loss of this package, or its name.

    Returns
    -------
    callable
        ``metric(predt, dtrain)`` for `custom_metric` of ``xgboost.train`` returns the name of the loss and its
        weighted mean over raw scores; ``metric(y_true, y_pred, sample_weight)`` for `eval_metric` of an estimator
        returns the mean alone. Less is better.

    Notes
    -----
    Scores are raw only under an objective of one's own: XGBoost's own objectives hand probabilities to metrics.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.xgboost
    >>> fl.xgboost.metric(fl.Hinge())(np.array([1.0, 0.0]), np.array([0.5, -2.0]))
    0.25
    """

    def __init__(self, loss: Loss | str) -> None:
        self.loss: Any = _boosters.boosting_loss(loss)
        self.__name__ = self.loss.name

    def __call__(self, y_true: NDArray[Any], y_pred: Any, sample_weight: NDArray[Any] | None = None) -> Any:
        if isinstance(y_pred, xgboost.DMatrix):
            return self.loss.name, self.mean(y_pred.get_label(), y_true, y_pred.get_weight())
        return self.mean(y_true, y_pred, sample_weight)

    def mean(self, label: NDArray[Any], z: NDArray[Any], weight: NDArray[Any] | None) -> float:
        """Return the weighted mean loss of raw scores."""
        weight = None if weight is None or len(weight) == 0 else weight
        target = _boosters.class_targets(self.loss, label)
        return float(self.loss(z, target, sample_weight=weight))

    def __repr__(self) -> str:
        return f"fastloss.xgboost.metric({self.loss!r})"


class _LossMixin:
    """What the two estimators share: how they train, and where the start value goes."""

    loss: Loss | str
    curvature: str
    loss_: Any
    init_score_: NDArray[np.float64]
    # XGBoost's
    objective: Any
    base_score: Any
    eval_metric: Any
    scale_pos_weight: Any
    _training: _boosters.Training | None = None

    def get_xgb_params(self) -> dict[str, Any]:
        """Return the parameters for XGBoost's core."""
        params: dict[str, Any] = super().get_xgb_params()  # type: ignore[misc]
        for own in ("loss", "curvature"):
            params.pop(own, None)
        if self._training is not None:
            params["disable_default_eval_metric"] = True  # it does not know the link of these scores
            params["base_score"] = self.init_score_.tolist() if len(self.init_score_) > 1 else float(*self.init_score_)
            if isinstance(self.loss_, RowwiseLoss):
                params["num_class"] = len(self.init_score_)
        return params

    def _configure_fit(self, booster: Any, params: dict[str, Any], *more: Any) -> Any:
        """Add the loss to the metrics, as the last one: that is the one that stops early."""
        model, others, *rest = super()._configure_fit(booster, params, *more)  # type: ignore[misc]
        training = self._training
        assert training is not None

        def metrics(predt: NDArray[Any], data: Any) -> list[tuple[str, float]]:
            found = [] if others is None else others(predt, data)
            found = found if isinstance(found, list) else [found]
            return [*found, (training.loss.name, training.metric(data.get_label(), predt, data.get_weight()))]

        return (model, metrics, *rest)

    def _fit(
        self,
        X: Any,
        y: Any,
        encode: Callable[[Any], NDArray[Any]],
        sample_weight: Any,
        eval_set: Any,
        options: dict[str, Any],
    ) -> Any:
        """Train from the best constant, which XGBoost keeps as base_score."""
        self._refuse_parameters()
        targets = encode(y)
        evals = [encode(each) for _, each in eval_set or ()]
        training = _boosters.Training(self.loss_, self.curvature, [targets, *evals], SCORES_PER_THREAD)
        weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        outputs = targets.shape[1] if targets.ndim == 2 else _boosters.n_outputs(self.loss_, self._n_classes())
        if self.base_score is not None:
            self.init_score_ = np.broadcast_to(np.asarray(self.base_score, np.float64), (outputs,))
        elif options.get("base_margin") is not None or options.get("xgb_model") is not None:
            self.init_score_ = np.zeros(outputs)
        else:
            self.init_score_ = _boosters.start_scores(self.loss_, targets, weight, outputs)
        if eval_set is not None:
            options["eval_set"] = [(x, label) for (x, _), label in zip(eval_set, training.labels[1:], strict=True)]

        def own_objective(y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return training(y_true, y_pred, sample_weight)

        objective_of_user = self.objective
        self._training, self.objective = training, own_objective
        try:
            xgboost.XGBModel.fit(self, X, training.labels[0], sample_weight=sample_weight, **options)
        finally:
            self._training, self.objective = None, objective_of_user
        return self

    def _refuse_parameters(self) -> None:
        default = "binary:logistic" if isinstance(self, xgboost.XGBClassifier) else "reg:squarederror"
        if self.objective not in (None, default):
            raise ValueError(f"objective must be left alone, got {self.objective!r}: the loss is the objective")
        if self.scale_pos_weight not in (None, 1):
            raise ValueError(
                "scale_pos_weight belongs to XGBoost's own objectives and would count for nothing here; "
                "take sample_weight, or a loss with pos_weight, alpha or class_weight"
            )
        metrics = self.eval_metric
        for name in [metrics] if isinstance(metrics, str) else metrics if isinstance(metrics, (list, tuple)) else []:
            if isinstance(name, str) and name.startswith(METRICS_OF_PROBABILITIES):
                raise ValueError(
                    f"XGBoost's metric {name!r} would take raw scores for probabilities here; the loss itself is "
                    "always measured, and fastloss.xgboost.metric(loss) measures others"
                )

    def _load_model_attributes(self, config: dict[str, Any]) -> None:
        """What a native model says of the estimator: not its loss."""
        objective_of_user = self.objective
        super()._load_model_attributes(config)  # type: ignore[misc]
        self.objective = objective_of_user
        self.init_score_ = np.atleast_1d(np.asarray(self.base_score, np.float64))
        self.base_score = None
        self.loss_ = self._resolved()

    def _n_classes(self) -> int:
        return int(getattr(self, "n_classes_", 1))

    def _resolved(self) -> Any:
        raise NotImplementedError


class XGBClassifier(_LossMixin, xgboost.XGBClassifier):  # type: ignore[misc, unused-ignore]
    """
    XGBoost's classifier, trained on any loss for classes.

    Training starts at the constant that minimises the loss, which the native model keeps as `base_score`. Sample
    weights multiply gradient and Hessian. The loss itself, over raw scores, is the metric of `eval_set` and of
    early stopping. Labels may be of any type.

    Parameters
    ----------
    loss : Loss or str, default "cross_entropy"
        A loss of this package, or its name. A name stands for the form that fits y: "focal" is BinaryFocal for two
        classes, Focal for more. A loss of rows of logits (an object) grows a tree per class also for two classes.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The Hessian that trees are grown with; "auto" is the kind that trained best with this loss.
    **kwargs
        The parameters of ``xgboost.XGBClassifier``, except `objective` and `scale_pos_weight`. `base_score` is a
        raw score here.

    Attributes
    ----------
    loss_ : Loss
        The loss object that was trained on.
    init_score_ : ndarray of shape (1,) or (K,)
        The raw scores that training started from; the native model's `base_score`.

    Notes
    -----
    `fit` takes probabilities of shape (n, K) for soft or smoothed labels, too; the classes are then 0 to K - 1.
    XGBoost's `min_child_weight` (1 by default) bounds the sum of Hessians in a leaf from below. A focal loss with
    gamma = 2 has Hessians of about a tenth of those of cross-entropy; lower it accordingly.
    `predict_proba` is the posterior that the loss stands for: of a focal loss it is calibrated. Of hinge losses it
    raises NotImplementedError; they have none.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.xgboost
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> y = np.where(X[:, 0] + X[:, 1] > 2, "rare", "often")
    >>> model = fl.xgboost.XGBClassifier(loss=fl.BinaryFocal(gamma=2.0), n_estimators=30, min_child_weight=0.1)
    >>> model.fit(X, y).score(X, y) > 0.97
    True
    >>> model.predict_proba(X[:2]).shape
    (2, 2)
    """

    def __init__(self, loss: Loss | str = "cross_entropy", *, curvature: str = "auto", **kwargs: Any) -> None:
        self.loss = loss
        self.curvature = curvature
        super().__init__(**kwargs)

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        eval_set: Any = None,
        **options: Any,
    ) -> XGBClassifier:
        """
        Train on labels, or on probabilities of shape (n, K).

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        y : array_like of shape (n,) or (n, K)
            Labels of any type; or probabilities.
        sample_weight : array_like of shape (n,), optional
            Multiplies each row's loss.
        eval_set : list of (X, y), optional
            What metrics are measured on.
        **options
            As ``xgboost.XGBClassifier.fit`` takes them.

        Returns
        -------
        XGBClassifier
            Itself.
        """
        classes = _boosters.classification_targets(_column(y)).classes
        assert classes is not None
        self._labels, self.n_classes_ = classes, len(classes)
        self.loss_ = loss = self._resolved()

        def encode(labels: Any) -> NDArray[Any]:
            return _boosters.as_loss_takes(loss, _boosters.classification_targets(_column(labels), classes))

        return self._fit(X, y, encode, sample_weight, eval_set, options)  # type: ignore[no-any-return]

    def _resolved(self) -> Any:
        return _boosters.classification_loss(self.loss, self.n_classes_)

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels of the classes; of a loaded native model, which does not know them, 0 to K - 1."""
        labels = getattr(self, "_labels", None)
        if labels is not None and len(labels) == self.n_classes_:
            return np.asarray(labels)
        return np.arange(self.n_classes_)

    def decision_function(self, X: Any, **options: Any) -> NDArray[Any]:
        """Return raw scores, of shape (n,), or (n, K) of a loss of rows of logits."""
        return np.asarray(xgboost.XGBModel.predict(self, X, output_margin=True, **options))

    def predict(self, X: Any, *, output_margin: bool = False, **options: Any) -> NDArray[Any]:
        """
        Return the most probable class of each row; of losses without probabilities, that of the largest score.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        output_margin : bool, default False
            Whether to return raw scores.
        **options
            As ``xgboost.XGBClassifier.predict`` takes them.

        Returns
        -------
        ndarray
            Labels of shape (n,), or raw scores.
        """
        scores = self.decision_function(X, **options)
        return scores if output_margin else self.classes_[_boosters.class_codes(self.loss_, scores)]

    def predict_proba(self, X: Any, **options: Any) -> NDArray[Any]:
        """
        Return the probabilities of the classes that the loss stands for.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        **options
            As ``xgboost.XGBClassifier.predict_proba`` takes them.

        Returns
        -------
        ndarray of shape (n, K)
            Probabilities.

        Raises
        ------
        NotImplementedError
            If the loss has no probabilities: hinge losses.
        """
        return _boosters.class_probabilities(self.loss_, self.decision_function(X, **options))


class XGBRegressor(_LossMixin, xgboost.XGBRegressor):  # type: ignore[misc, unused-ignore]
    """
    XGBoost's regressor, trained on any loss of real targets.

    Training starts at the constant that minimises the loss, which the native model keeps as `base_score`.
    Predictions are on the scale of y: the inverse link of raw scores, an exponential for Poisson, Gamma and Tweedie.

    Parameters
    ----------
    loss : Loss or str, default "squared_error"
        A loss of this package, or its name. Binary losses are for y in [0, 1], and predict probabilities.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The Hessian that trees are grown with; "auto" is the kind that trained best with this loss.
    **kwargs
        The parameters of ``xgboost.XGBRegressor``, except `objective`. `base_score` is a raw score here.

    Attributes
    ----------
    loss_ : Loss
        The loss object that was trained on.
    init_score_ : ndarray of shape (1,)
        The raw score that training started from; the native model's `base_score`.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.xgboost
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2))
    >>> y = 3 * X[:, 0] + rng.standard_cauchy(1000)
    >>> model = fl.xgboost.XGBRegressor(loss=fl.Huber(delta=1.0), n_estimators=30, max_depth=3).fit(X, y)
    >>> bool(np.median(np.abs(model.predict(X) - 3 * X[:, 0])) < 0.6)
    True
    """

    def __init__(self, loss: Loss | str = "squared_error", *, curvature: str = "auto", **kwargs: Any) -> None:
        self.loss = loss
        self.curvature = curvature
        super().__init__(**kwargs)

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        eval_set: Any = None,
        **options: Any,
    ) -> XGBRegressor:
        """
        Train.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        y : array_like of shape (n,)
            Targets in the domain of the loss.
        sample_weight : array_like of shape (n,), optional
            Multiplies each row's loss.
        eval_set : list of (X, y), optional
            What metrics are measured on.
        **options
            As ``xgboost.XGBRegressor.fit`` takes them.

        Returns
        -------
        XGBRegressor
            Itself.
        """
        self.loss_ = self._resolved()

        def encode(target: Any) -> NDArray[Any]:
            return np.ascontiguousarray(_column(target), np.float64)

        return self._fit(X, y, encode, sample_weight, eval_set, options)  # type: ignore[no-any-return]

    def _resolved(self) -> Any:
        return _boosters.regression_loss(self.loss)

    def predict(self, X: Any, *, output_margin: bool = False, **options: Any) -> NDArray[Any]:
        """
        Return predictions on the scale of y.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        output_margin : bool, default False
            Whether to return raw scores, before the inverse link.
        **options
            As ``xgboost.XGBRegressor.predict`` takes them.

        Returns
        -------
        ndarray of shape (n,)
            Predictions or raw scores.
        """
        scores = np.asarray(super().predict(X, output_margin=True, **options))
        return scores if output_margin else np.asarray(self.loss_.inverse_link(scores))


def _column(y: Any) -> Any:
    """Labels as an array; a column is a vector, with scikit-learn's warning."""
    array = np.asarray(y)
    return column_or_1d(array, warn=True) if array.ndim == 2 and array.shape[1] == 1 else array
