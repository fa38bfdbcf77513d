"""
XGBoost: any loss of this package as an objective, with its weights, start value, metric and probabilities right.

`XGBClassifier` and `XGBRegressor` are XGBoost's own estimators with one more parameter, `loss`. `objective` and
`metric` are for ``xgboost.train``, and for XGBoost's own estimators, also those for Dask.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import sklearn  # noqa: F401
    import xgboost  # XGBoost: this file is fastloss.xgboost, and imports are absolute
except ModuleNotFoundError as error:
    if error.name not in ("xgboost", "sklearn"):
        raise
    raise ImportError('fastloss.xgboost needs XGBoost and scikit-learn: pip install "fastloss[xgboost]"') from None

from . import _boosters
from ._booster_parameters import check_metrics
from ._kernels import Loss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

__all__ = ["XGBClassifier", "XGBRanker", "XGBRegressor", "metric", "objective"]

# The objective of XGBoost whose raw scores are its predictions: what is written into a model trained on another loss.
NO_LINK = "reg:squarederror"

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


class _XGBoost(_boosters.LossEstimator):
    """What XGBoost does in its own way: base_score is the start value, and attributes of the model name the loss."""

    library = "xgboost"
    # XGBoost's
    objective: Any
    base_score: Any
    eval_metric: Any
    get_booster: Any
    _Booster: Any
    _training: _boosters.Training | None = None

    def get_xgb_params(self) -> dict[str, Any]:
        """Return the parameters for XGBoost's core."""
        params = _boosters.of_library(super().get_xgb_params())  # type: ignore[misc]
        if hasattr(self, "init_score_"):  # in training and after it
            params["objective"] = NO_LINK
            params["disable_default_eval_metric"] = True  # it does not know the link of these scores
            params["base_score"] = self.init_score_.tolist() if len(self.init_score_) > 1 else float(*self.init_score_)
            if len(self.init_score_) > 1:
                params["num_class"] = len(self.init_score_)
        return params

    def _configure_fit(self, booster: Any, params: dict[str, Any], *more: Any) -> Any:
        """Take the loss for the metric, unless there is another one: the last one stops early."""
        model, others, *rest = super()._configure_fit(booster, params, *more)  # type: ignore[misc]
        training = self._training
        assert training is not None

        def mean_loss(predt: NDArray[Any], data: Any) -> tuple[str, float]:
            return training.loss.name, training.metric(data.get_label(), predt, data.get_weight())

        return (model, mean_loss if self.eval_metric is None else others, *rest)

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        eval_set: Any = None,
        **options: Any,
    ) -> Self:
        """
        Train.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        y : array_like of shape (n,), (n, K) or (n, m)
            Of a classifier labels of any type, or probabilities; of a regressor numbers in the domain of the loss, of
            which losses of one prediction take several targets a row: nan, or what is masked, is missing.
        sample_weight : array_like of shape (n,), optional
            Multiplies each row's loss.
        eval_set : list of (X, y), optional
            What metrics are measured on.
        **options
            As XGBoost's own `fit` takes them. Of `fastloss.CoxPH` also ``strata=``, the stratum of each row, and
            ``eval_strata=``, a list of such for `eval_set`.

        Returns
        -------
        self
            The estimator.

        Raises
        ------
        ValueError
            If y is not what the loss takes, or if a parameter or a metric would count for nothing here.
        """
        before = options.get("xgb_model")
        given = any(each is not None for each in (self.base_score, options.get("base_margin"), before))
        fit = self._begin(y, sample_weight, [each for _, each in eval_set or ()], given)
        metrics = self.eval_metric if isinstance(self.eval_metric, (list, tuple)) else [self.eval_metric]
        check_metrics("xgboost", self.loss_, metrics)
        if before is not None:
            self.init_score_ = _start_of(before, self._n_outputs())
        elif self.base_score is not None:
            self.init_score_ = np.broadcast_to(np.asarray(self.base_score, np.float64), (self._n_outputs(),))
        targets = [fit.targets, *fit.eval_targets]
        groups = self._groups(fit, options)
        training = _boosters.Training(self.loss_, self.curvature, targets, SCORES_PER_THREAD, groups)
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
        self._Booster.set_attr(fastloss=_boosters.record(self.loss_, getattr(self, "_labels", None)))
        self._take_baseline(X, fit, groups)
        if hasattr(self, "baseline_hazard_"):
            self._Booster.set_attr(fastloss_hazard=_boosters.hazard_record(self.baseline_hazard_))
        return self

    def _load_model_attributes(self, config: dict[str, Any]) -> None:
        """Take what a native model says of the estimator, its loss and its start value."""
        objective_of_user = self.objective
        super()._load_model_attributes(config)  # type: ignore[misc]
        self.objective, self.base_score = objective_of_user, None
        booster = self.get_booster()
        self.init_score_ = _start_of(booster)
        self._take_record(booster.attr("fastloss"), len(self.init_score_))
        self.__dict__.pop("baseline_hazard_", None)
        if booster.attr("fastloss_hazard") is not None:
            self.baseline_hazard_ = _boosters.read_hazard(booster.attr("fastloss_hazard"))

    def _raw_scores(self, X: Any, options: dict[str, Any]) -> NDArray[Any]:
        return np.asarray(xgboost.XGBModel.predict(self, X, output_margin=True, **options))

    def predict(self, X: Any, *, output_margin: bool = False, **options: Any) -> NDArray[Any]:
        """
        Return the most probable class of each row, or the prediction on the scale of y.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        output_margin : bool, default False
            Whether to return raw scores.
        **options
            As XGBoost's own `predict` takes them.

        Returns
        -------
        ndarray
            Of a classifier labels of shape (n,): of the most probable classes or, under a loss without probabilities,
            of the largest scores. Of a regressor the inverse link of the scores. Or raw scores.
        """
        scores = self._raw_scores(X, options)
        return scores if output_margin else self._predicted(scores)


class _Classifier(_XGBoost, _boosters.Classification):
    def _set_classes(self, classes: NDArray[Any]) -> None:
        super()._set_classes(classes)
        self.n_classes_ = len(classes)

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels of the classes; of a loaded model that does not know them, 0 to K - 1."""
        return self._labels


class _Regressor(_XGBoost, _boosters.Regression):
    pass


class _Ranker(_XGBoost, _boosters.Ranking):
    def _groups(self, fit: _boosters.Fit, options: dict[str, Any]) -> list[Any] | None:
        groups = []
        for prefix, n in (("", [fit.targets]), ("eval_", fit.eval_targets)):
            found = [options.pop(prefix + name, None) for name in ("group", "qid")]
            if all(each is not None for each in found):
                raise ValueError(f"pass {prefix}group or {prefix}qid, not both")
            given = found[0] if found[0] is not None else found[1]
            sets = [given] if not prefix else list(given or [None] * len(n))
            if len(sets) != len(n):
                raise ValueError(f"{prefix}group holds {len(sets)} lists, and there are {len(n)} sets")
            groups += [
                _boosters.group_sizes(each, len(target), f"{prefix}group" + (f"[{i}]" if prefix else ""))
                for i, (each, target) in enumerate(zip(sets, n, strict=True))
            ]
        return groups


class XGBClassifier(_Classifier, xgboost.XGBClassifier):  # type: ignore[misc, unused-ignore]
    """
    XGBoost's classifier, trained on any loss for classes.

    Training starts at the constant that minimises the loss, which the native model keeps as `base_score`. Sample
    weights multiply gradient and Hessian. The loss itself, over raw scores, is the metric of `eval_set` and of
    early stopping, unless `eval_metric` names others; of several, the last one stops. Labels may be of any type.

    Parameters
    ----------
    loss : Loss or str, default "cross_entropy"
        A loss of this package, or its name. A name stands for the form that fits y: "focal" is BinaryFocal for two
        classes, Focal for more. A loss of rows of logits (an object) grows a tree per class also for two classes.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The Hessian that trees are grown with; "auto" is the kind that trained best with this loss.
    **kwargs
        The parameters of ``xgboost.XGBClassifier``; `base_score` is a raw score here. Those of its own objectives are
        refused, with what to write instead: `objective`, `scale_pos_weight`, ...

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
    `predict_proba` is the posterior that the loss stands for: of a focal loss not the sigmoid. After few trees, or if
    they were stopped early, it may be far off. Of hinge losses it raises NotImplementedError; they have none.

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

    def decision_function(self, X: Any, **options: Any) -> NDArray[Any]:
        """Return raw scores, of shape (n,), or (n, K) of a loss of rows of logits."""
        return self._raw_scores(X, options)

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
        return self._probabilities(self._raw_scores(X, options))


class XGBRegressor(_Regressor, xgboost.XGBRegressor):  # type: ignore[misc, unused-ignore]
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
        The parameters of ``xgboost.XGBRegressor``; `base_score` is a raw score here. Those of its own objectives are
        refused, with what to write instead: `objective`, `quantile_alpha`, `huber_slope`, ...

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


class XGBRanker(_Ranker, xgboost.XGBRanker):  # type: ignore[misc, unused-ignore]
    """
    XGBoost's ranker, trained on a loss of groups of rows.

    `fit` takes ``group=``, sizes of consecutive groups or the id of each row's, or ids as ``qid=``, and ``eval_group=``
    or ``eval_qid=`` for `eval_set`. Sample weights are those of rows. Predictions are raw scores, the higher the
    better.

    Parameters
    ----------
    loss : Loss or str, default "group_softmax"
        `fastloss.GroupSoftmax` or `fastloss.PairwiseLogistic`, or the name of one.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The Hessian that trees are grown with.
    **kwargs
        The parameters of ``xgboost.XGBRanker``, except `objective`.

    Attributes
    ----------
    loss_ : Loss
        The loss object that was trained on.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.xgboost
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> y = (X[:, 0] == X[:, 0].reshape(200, 5).max(axis=1).repeat(5)).astype(float)
    >>> model = fl.xgboost.XGBRanker(loss=fl.GroupSoftmax(), n_estimators=20)
    >>> scores = model.fit(X, y, group=np.full(200, 5)).predict(X)
    >>> bool(fl.group_softmax(scores, y, group=np.full(200, 5)) < 0.5)
    True
    """

    def __init__(self, loss: Loss | str = "group_softmax", *, curvature: str = "auto", **kwargs: Any) -> None:
        self.loss = loss
        self.curvature = curvature
        xgboost.XGBModel.__init__(self, **kwargs)  # the ranker's own wants one of XGBoost's objectives


# How XGBoost's own objectives get from their base_score, a probability or a mean, to a raw score.
LINKS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("binary:logistic", "binary:logitraw", "reg:logistic"), lambda p: np.log(p) - np.log1p(-p)),
    **dict.fromkeys(("count:poisson", "reg:gamma", "reg:tweedie"), np.log),
}


def _start_of(model: Any, outputs: int | None = None) -> NDArray[np.float64]:
    """Return the raw scores that a model starts from."""
    booster = model.get_booster() if isinstance(model, xgboost.XGBModel) else model
    if not isinstance(booster, xgboost.Booster):
        booster = xgboost.Booster(model_file=booster)
    learner = json.loads(booster.save_config())["learner"]
    start = np.atleast_1d(np.asarray(json.loads(learner["learner_model_param"]["base_score"]), np.float64))
    start = LINKS.get(learner["objective"]["name"], np.asarray)(start)
    found = max(len(start), int(learner["learner_model_param"]["num_class"]))
    if outputs not in (None, found):
        raise ValueError(f"xgb_model makes {found} scores a row, and the loss takes {outputs}")
    return np.array(np.broadcast_to(start, (found,)), np.float64)
