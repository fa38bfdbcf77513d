"""
CatBoost: any loss of this package as an objective, with its weights, start value, metric and probabilities right.

`CatBoostClassifier` and `CatBoostRegressor` are CatBoost's own estimators with one more parameter, `loss`. `objective`
and `metric` are for CatBoost's own estimators.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import catboost  # CatBoost: this file is fastloss.catboost, and imports are absolute
except ModuleNotFoundError as error:
    if error.name != "catboost":
        raise
    raise ImportError('fastloss.catboost needs CatBoost: pip install "fastloss[catboost]"') from None

from . import _boosters, _labels
from ._booster_parameters import check_metrics
from ._kernels import Loss, RowwiseLoss
from .survival import AFT

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

__all__ = ["CatBoostClassifier", "CatBoostRegressor", "metric", "objective"]


def _loss_of_one_score(loss: Any) -> Any:
    """Return the loss, unless CatBoost would have to ask for its derivatives row by row."""
    found = _boosters.boosting_loss(loss)
    if found.kind == "columns":
        raise ValueError(
            f"{found!r} is a loss of several numbers a row, of which CatBoost wants several targets: use "
            "fastloss.catboost.CatBoostRegressor(loss=...)"
        )
    return _loss_of_rows(found)


def _loss_of_rows(loss: Any) -> Any:
    """Return the loss, unless it is of rows that belong together."""
    found = _boosters.boosting_loss(loss)
    if found.kind == "segments" and not (isinstance(found, AFT) and found.scale is not None):
        raise ValueError(
            f"{found!r} needs all rows that belong together at once, and CatBoost asks for some at a time: use "
            "fastloss.lightgbm or fastloss.xgboost"
        )
    return found


class objective:
    """
    Return the objective of a loss, as `loss_function` of CatBoost's estimators.

    CatBoost climbs: what it is given are the derivatives of minus the loss.

    Parameters
    ----------
    loss : Loss or str
        A loss of this package, or its name.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The second derivative that leaves are estimated with; "auto" is the kind that trained best with this loss.

    Returns
    -------
    object
        With the methods ``calc_ders_range(approxes, targets, weights)`` for one raw score per row, and
        ``calc_ders_multi(approxes, target, weight)`` for a row of logits. It pickles.

    Raises
    ------
    ValueError
        If `loss` is no loss of single rows, or `curvature` is none of the above.

    Notes
    -----
    CatBoost asks for an `eval_metric` together with an objective that is not its own, starts at raw scores of 0
    unless there is a `baseline`, and for logits needs `classes_count`. The estimators of this module see to all that.

    Rows of logits are slow: CatBoost calls Python once per row.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.catboost
    >>> fl.catboost.objective(fl.SquaredError()).calc_ders_range(np.array([0.5, 3.0]), np.array([0.0, 0.0]), None)
    array([[-1., -2.],
           [-6., -2.]])
    """

    def __init__(self, loss: Loss | str, curvature: str = "auto") -> None:
        self.loss: Any = _loss_of_one_score(loss)
        self.curvature = _boosters.hessian_of(self.loss, curvature)

    def calc_ders_range(
        self, approxes: NDArray[Any], targets: NDArray[Any], weights: NDArray[Any] | None
    ) -> NDArray[np.float64]:
        """Return pairs of derivatives of a block of rows."""
        # CatBoost holds the interpreter for hundreds of short blocks a tree: contiguous arrays take the short way here.
        derivatives = np.empty((2, len(approxes)))
        self.loss.gradient_and_hessian(
            np.asarray(approxes, np.float64),
            targets,
            sample_weight=weights,
            reduction="sum",
            curvature=self.curvature,
            gradient_out=derivatives[0],
            hessian_out=derivatives[1],
        )
        return np.negative(derivatives, out=derivatives).T

    def calc_ders_multi(
        self, approxes: NDArray[Any], target: float, weight: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the gradient and the Hessian of one row of logits."""
        z = np.asarray(approxes, np.float64)
        options = {"sample_weight": weight, "reduction": "sum"}
        if not hasattr(self.loss, "packed_hessian") or self.curvature == "majorize":
            gradient, diagonal = self.loss.gradient_and_hessian(z, int(target), curvature=self.curvature, **options)
            return -gradient, np.diag(-diagonal)
        hessian = np.empty((len(z), len(z)))
        rows, columns = np.triu_indices(len(z))
        packed = -self.loss.packed_hessian(z, int(target), curvature=self.curvature, **options)
        hessian[rows, columns] = hessian[columns, rows] = packed
        return -self.loss.gradient(z, int(target), **options), hessian

    def __repr__(self) -> str:
        return f"fastloss.catboost.objective({self.loss!r})"


class _Metric:
    """CatBoost names a metric after its class, so each loss gets one."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def __reduce__(self) -> Any:
        return metric, (self.loss,)

    def __repr__(self) -> str:
        return f"fastloss.catboost.metric({self.loss!r})"

    def is_max_optimal(self) -> bool:
        """Less is better."""
        return False

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:
        """Return the sums of weighted losses and of weights."""
        z = np.column_stack(approxes) if isinstance(self.loss, RowwiseLoss) else np.asarray(approxes[0])
        w = np.ones(len(z)) if weight is None or len(weight) == 0 else np.asarray(weight, np.float64)
        t = _boosters.class_targets(self.loss, np.asarray(target))
        value, mean = (self.loss(z, t, sample_weight=w, reduction=reduction) for reduction in ("sum", "mean"))
        # Class weights of the loss itself are a part of what the mean is divided by.
        return float(value), float(value / mean if mean else w.sum())

    def get_final_error(self, error: float, weight: float) -> float:
        """Return the mean."""
        return error / weight if weight else np.nan


def metric(loss: Loss | str) -> _Metric:
    """
    Return a loss as a metric, as `eval_metric` of CatBoost's estimators.

    Parameters
    ----------
    loss : Loss or str
        A loss of this package, or its name.

    Returns
    -------
    object
        With the methods ``evaluate(approxes, target, weight)``, ``get_final_error`` and ``is_max_optimal``: the
        weighted mean of the loss over raw scores, of which less is better. It pickles.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.catboost
    >>> fl.catboost.metric(fl.Hinge()).evaluate([np.array([0.5, -2.0])], np.array([1.0, 0.0]), None)
    (0.5, 2.0)
    """
    found = _loss_of_one_score(loss)
    named: type[_Metric] = type(found.name, (_Metric,), {})
    return named(found)


class _OfRows:
    """
    What an objective and a metric of several scores a row know.

    CatBoost makes a score for each target, so a label stands in all of them. It takes no baseline then: the start value
    is added here.
    """

    def __init__(self, training: _boosters.Training, start: NDArray[np.float64]) -> None:
        self.training, self.start = training, start


class _RowObjective(_OfRows, catboost.MultiTargetCustomObjective):  # type: ignore[misc, unused-ignore]
    """A loss of several scores a row, which CatBoost asks for row by row."""

    def calc_ders_multi(
        self, approxes: NDArray[Any], targets: NDArray[Any], weight: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the gradient and the Hessian of one row."""
        z = np.asarray(approxes, np.float64)[None] + self.start
        target, w = self.training.operands(np.asarray(targets[:1]), np.array([weight], np.float64))
        # The whole matrix takes seven times as long, and the expected one of most distributions is a diagonal.
        gradient, diagonal = self.training.loss.gradient_and_hessian(
            z, target, sample_weight=w, reduction="sum", curvature=self.training.derivatives.curvature
        )
        return -gradient[0], np.diag(-diagonal[0])


class _RowMetric(_OfRows, catboost.MultiTargetCustomMetric):  # type: ignore[misc, unused-ignore]
    """The mean of a loss of several scores a row."""

    def is_max_optimal(self) -> bool:
        """Less is better."""
        return False

    def evaluate(self, approxes: Any, targets: Any, weight: Any) -> tuple[float, float]:
        """Return the sums of weighted losses and of weights."""
        z = np.column_stack(approxes) + self.start
        target, w = self.training.operands(np.asarray(targets[0]), None if weight is None else np.asarray(weight))
        value = float(self.training.loss(z, target, sample_weight=w, reduction="sum"))
        if w is None:
            return value, float(np.size(target))
        return value, float(np.broadcast_to(w, np.shape(target)).sum())

    def get_final_error(self, error: float, weight: float) -> float:
        """Return the mean."""
        return error / weight if weight else np.nan


CLASS_WEIGHTS = ("class_weights", "auto_class_weights", "scale_pos_weight")
# What `fit` sets by itself, so that a loaded model is not to take it for the user's.
SET_BY_FIT = ("loss_function", "eval_metric", "boost_from_average", "classes_count")


class _CatBoost(_boosters.LossEstimator):
    """What CatBoost does in its own way: parameters stand in a dictionary, the model has a bias and metadata."""

    library = "catboost"
    # CatBoost's
    _init_params: dict[str, Any]
    _canonized_params: dict[str, Any] | None
    get_metadata: Any
    get_scale_and_bias: Any
    set_scale_and_bias: Any

    @property
    def loss(self) -> Any:
        """The parameter."""
        return self._init_params["loss"]

    @loss.setter
    def loss(self, loss: Any) -> None:
        self._init_params["loss"] = loss

    @property
    def curvature(self) -> Any:
        """The parameter."""
        return self._init_params["curvature"]

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        own = ("loss_", "init_score_", "_labels", "_n_targets")
        return {**state, "__fastloss": {name: self.__dict__[name] for name in own if name in self.__dict__}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        self.__dict__.update(state.pop("__fastloss", {}))
        super().__setstate__(state)  # type: ignore[misc]

    def fit(
        self, X: Any, y: Any = None, *, sample_weight: ArrayLike | None = None, eval_set: Any = None, **options: Any
    ) -> Self:
        """
        Train.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features; no Pool.
        y : array_like of shape (n,), (n, 2) or (n, m)
            Of a classifier labels of any type, or probabilities; of a regressor numbers in the domain of the loss, of
            which losses of one prediction take several targets a row: nan, or what is masked, is missing.
        sample_weight : array_like of shape (n,), optional
            Multiplies each row's loss, together with the class weights of a classifier.
        eval_set : (X, y), Pool, or list of them, optional
            What metrics are measured on. Class weights weigh it, too. The weights of a Pool count, and its labels must
            be class codes: 0 to K - 1, also where the labels of y are strings.
        **options
            As CatBoost's own `fit` takes them.

        Returns
        -------
        self
            The estimator.

        Raises
        ------
        ValueError
            If y is not what the loss takes, or if a parameter or a metric would count for nothing here.
        """
        if isinstance(X, catboost.Pool) or y is None:
            raise TypeError("X and y must be given apart, with cat_features=..., and not as a Pool")
        given = options.get("baseline") is not None or options.get("init_model") is not None
        sets = [eval_set] if isinstance(eval_set, (tuple, catboost.Pool)) else list(eval_set or ())
        labels = [each if isinstance(each, catboost.Pool) else each[1] for each in sets]
        fit = self._begin(y, sample_weight, labels, given)
        if fit.targets.ndim == 2 and self.loss_.kind == "segments":
            raise ValueError("y of bounds of times is not for CatBoost, whose targets are single numbers: pass times")
        if fit.targets.ndim == 2 and isinstance(self.loss_, RowwiseLoss):
            raise ValueError(
                f"y of probabilities is supported for losses of one logit, not for {self.loss_!r}: "
                "CatBoost's targets are classes"
            )
        outputs = self._n_outputs()
        by_row = outputs > 1 and not isinstance(self.loss_, RowwiseLoss)
        if by_row and given:
            raise ValueError(
                f"baseline and init_model must be None with {outputs} scores a row: CatBoost has no place for them"
            )
        targets = [fit.targets, *fit.eval_targets]
        if by_row:
            training = _boosters.Training(self.loss_, self.curvature, targets)
            targets = [np.tile(each[:, None], outputs) for each in training.labels]
        params = self._given()
        for name in ("eval_metric", "custom_metric", "custom_loss"):
            metrics = params.get(name)
            listed = metrics if isinstance(metrics, (list, tuple)) else [] if metrics is None else [metrics]
            check_metrics("catboost", self.loss_, listed)
        features = {
            name: params.get(name) if options.get(name) is None else options[name]
            for name in ("cat_features", "text_features", "embedding_features")
        }
        if sets:
            options["eval_set"] = [
                self._as_pool(f"eval_set[{i}]", each, target, fit, features)
                for i, (each, target) in enumerate(zip(sets, targets[1:], strict=True))
            ]
        if fit.start is not None and not by_row:
            options["baseline"] = _constant(fit.start, len(fit.targets))
        if isinstance(options.get("init_model"), catboost.CatBoost):
            # CatBoost would go on with what it remembers of its training, which knows nothing of the bias.
            options["init_model"] = options["init_model"].copy()

        params["boost_from_average"] = False
        own_metric: Any
        if by_row:
            start = self.init_score_
            named = type(self.loss_.name, (_RowMetric,), {})
            params["loss_function"], own_metric = _RowObjective(training, start), named(training, start)
        else:
            params["loss_function"], own_metric = objective(self.loss_, self.curvature), metric(self.loss_)
        if params.get("eval_metric") is None:
            params["eval_metric"] = own_metric
        if isinstance(self.loss_, RowwiseLoss) and outputs > 1:
            params["classes_count"] = outputs
        for name in CLASS_WEIGHTS:
            params.pop(name, None)
        params_of_user = self._init_params
        self._init_params, self._canonized_params = params, None
        try:
            with warnings.catch_warnings():
                # CatBoost would like to compile Python objectives; these are compiled.
                warnings.filterwarnings("ignore", message=".*numba", category=UserWarning)
                warnings.filterwarnings("ignore", message="(Can't|Failed to) opti", category=UserWarning)
                catboost.CatBoost.fit(self, X, targets[0], sample_weight=fit.weight, **options)
        finally:
            self._init_params, self._canonized_params = params_of_user, None
        if fit.start is not None:
            self.set_scale_and_bias(1.0, fit.start.tolist())
        self.init_score_ = self._bias()
        self.get_metadata()["fastloss"] = _boosters.record(self.loss_, self.__dict__.get("_labels"))
        return self

    def _encode(self, y: Any, name: str = "y") -> NDArray[Any]:
        if isinstance(y, catboost.Pool):
            y = np.asarray(y.get_label())
            classes = self.__dict__.get("_labels")
            # Where classes have names, numbers are their codes.
            if classes is not None and isinstance(classes[0], str) and y.dtype.kind in "iuf":
                y = classes[_labels.encode(y, range(len(classes)), name).codes]
        return super()._encode(y, name)

    def _as_pool(
        self, name: str, given: Any, target: NDArray[Any], fit: _boosters.Fit, features: dict[str, Any]
    ) -> catboost.Pool:
        """Return an evaluation set with its start value and its weights."""
        weight = None if fit.of_class is None else fit.of_class[target.astype(np.intp)]
        if isinstance(given, catboost.Pool) and target.ndim == 2:
            raise TypeError(f"{name} must be (X, y), and not a Pool, with several scores a row")
        if isinstance(given, catboost.Pool):
            label = np.asarray(given.get_label())
            # (Words and numbers are not compared.)
            if label.dtype.kind not in "biuf" or not np.array_equal(label, target):
                raise ValueError(f"{name} is a Pool, whose labels must be class codes, 0 to K - 1; or give (X, y)")
            pool = given.slice(np.arange(given.num_row()))
            weight = np.asarray(pool.get_weight()) * (1 if weight is None else weight)
        else:
            pool = catboost.Pool(given[0], target, **features)
        if weight is not None:
            pool.set_weight(weight)
        if fit.start is not None and target.ndim == 1:
            pool.set_baseline(_constant(fit.start, len(target)))
        return pool

    def _bias(self) -> NDArray[np.float64]:
        return np.atleast_1d(np.asarray(self.get_scale_and_bias()[1], np.float64))

    def load_model(self, fname: Any = None, format: str = "cbm", stream: Any = None, blob: Any = None) -> Any:
        """
        Load a native model, with its start value, its loss and its classes.

        Parameters
        ----------
        fname : str, optional
            Its file; or give `stream` or `blob`.
        format : str, default "cbm"
            The format of the file.
        stream : file-like, optional
            Where to read the model.
        blob : bytes, optional
            The model itself.

        Returns
        -------
        self
            The estimator. The loss is that which the model was trained on; of a model of CatBoost's own objectives it
            is the parameter.
        """
        own = {name: self._init_params[name] for name in _boosters.OWN}
        super().load_model(fname, format, stream, blob)  # type: ignore[misc]
        self._init_params = {name: value for name, value in self._init_params.items() if name not in SET_BY_FIT} | own
        self.init_score_ = self._bias()
        self._take_record(self.get_metadata().get("fastloss"), len(self.init_score_))
        return self

    def _made_of(self, prediction_type: str | None) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
        """Return what makes raw scores what is asked for; None where CatBoost does."""
        return self._predicted if prediction_type in (None, "Class") else None

    def predict(self, X: Any, prediction_type: str | None = None, **options: Any) -> NDArray[Any]:
        """
        Return the most probable class of each row, or the prediction on the scale of y.

        Parameters
        ----------
        X : array_like, DataFrame or Pool of shape (n, d)
            Features.
        prediction_type : str, optional
            What else: "RawFormulaVal" for raw scores; of a classifier "Class" (the default), "Probability" or
            "LogProbability"; or what CatBoost has.
        **options
            As CatBoost's own `predict` takes them.

        Returns
        -------
        ndarray
            Of a classifier labels of shape (n,): of the most probable classes or, under a loss without probabilities,
            of the largest scores. Of a regressor the inverse link of the scores. Or what `prediction_type` asks for.
        """
        made_of = self._made_of(prediction_type)
        if made_of is None:
            return np.asarray(catboost.CatBoost.predict(self, X, prediction_type=prediction_type, **options))
        return self._of_rows(made_of, self._raw_scores(X, options))

    def staged_predict(self, X: Any, prediction_type: str | None = None, **options: Any) -> Iterator[NDArray[Any]]:
        """
        Predict with the first trees, with more, and so on.

        Parameters
        ----------
        X : array_like, DataFrame or Pool of shape (n, d)
            Features.
        prediction_type : str, optional
            As for `predict`.
        **options
            As CatBoost's own `staged_predict` takes them.

        Yields
        ------
        ndarray
            What `predict` returns.
        """
        made_of = self._made_of(prediction_type)
        asked_for = "RawFormulaVal" if made_of else prediction_type
        for scores in catboost.CatBoost.staged_predict(self, X, prediction_type=asked_for, **options):
            yield self._of_rows(made_of, np.asarray(scores)) if made_of else scores

    def _raw_scores(self, X: Any, options: dict[str, Any]) -> NDArray[Any]:
        return np.asarray(catboost.CatBoost.predict(self, X, prediction_type="RawFormulaVal", **options))

    def _of_rows(self, made_of: Callable[[NDArray[Any]], NDArray[Any]], scores: NDArray[Any]) -> NDArray[Any]:
        """Apply a function of rows of scores; CatBoost takes the features of a single row, too."""
        is_single = scores.ndim < (2 if self._n_outputs() > 1 else 1)
        return np.asarray(made_of(scores[None])[0]) if is_single else made_of(scores)

    def eval_metrics(self, data: Any, metrics: Any, *arguments: Any, **options: Any) -> Any:
        """Measure metrics, as CatBoost does; those that would take raw scores for something else are refused."""
        check_metrics("catboost", self.loss_, [metrics] if isinstance(metrics, str) else metrics)
        return super().eval_metrics(data, metrics, *arguments, **options)  # type: ignore[misc]

    def grid_search(self, *arguments: Any, **options: Any) -> Any:
        """Refuse: CatBoost searches with its own objectives only."""
        raise NotImplementedError(
            "grid_search and randomized_search are CatBoost's, which train its own objectives only: take "
            "sklearn.model_selection.GridSearchCV or RandomizedSearchCV"
        )

    randomized_search = grid_search

    def select_features(self, *arguments: Any, **options: Any) -> Any:
        """Refuse: CatBoost selects with its own objectives only."""
        raise NotImplementedError(
            "select_features is CatBoost's, which trains its own objectives only: take sklearn.feature_selection.RFE"
        )


class _Classifier(_CatBoost, _boosters.Classification):
    @property
    def classes_(self) -> Any:
        """The labels of the classes; of a loaded model that does not know them, 0 to K - 1."""
        return self.__dict__.get("_labels")

    def _class_weights(self, codes: NDArray[Any] | None, sample_weight: Any) -> NDArray[Any] | None:
        given = {name: self._init_params.get(name) for name in CLASS_WEIGHTS}
        weighting = {name: value for name, value in given.items() if value is not None and str(value) != "None"}
        if not weighting:
            return None
        if len(weighting) > 1:
            raise ValueError(f"only one of {', '.join(weighting)} can be given")
        codes = self._needs_labels(next(iter(weighting)), codes)
        return _per_class(weighting, codes, sample_weight, self._labels)

    def _made_of(self, prediction_type: str | None) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
        own = {"Probability": self._probabilities, "LogProbability": self._log_probabilities}
        return own.get(str(prediction_type)) or super()._made_of(prediction_type)

    def _log_probabilities(self, scores: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self._probabilities(scores)))


class _Regressor(_CatBoost, _boosters.Regression):
    def _choose_loss(self, y: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
        _loss_of_rows(self.loss)
        return super()._choose_loss(y)


class CatBoostClassifier(_Classifier, catboost.CatBoostClassifier):  # type: ignore[misc, unused-ignore]
    """
    CatBoost's classifier, trained on any loss for classes.

    Training starts at the constant that minimises the loss, which becomes the bias of the model, so that the native
    model carries it wherever it is saved. Sample and class weights multiply the derivatives. The loss itself, over
    raw scores, is the metric of `eval_set` and of early stopping, unless `eval_metric` names another one.

    Parameters
    ----------
    loss : Loss or str, default "cross_entropy"
        A loss of this package, or its name. A name stands for the form that fits y: "focal" is BinaryFocal for two
        classes, Focal for more. A loss of rows of logits (an object) has a raw score per class also for two classes.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The second derivative that leaves are estimated with; "auto" is the kind that trained best with this loss.
    **kwargs
        The parameters of ``catboost.CatBoostClassifier``. Those of its own objectives are refused, with what to write
        instead: `loss_function`, `class_names`, ...

    Attributes
    ----------
    loss_ : Loss
        The loss object that was trained on.
    init_score_ : ndarray of shape (1,) or (K,)
        The raw scores that training started from; the bias of the model.

    Notes
    -----
    `fit` takes probabilities of shape (n, 2) for soft or smoothed labels, too; the classes are then 0 and 1. CatBoost
    has no room for those of more classes, and calls Python once per row for rows of logits, which takes most of the
    time of training.
    `predict_proba` is the posterior that the loss stands for: of a focal loss not the sigmoid. After few trees, or if
    they were stopped early, it may be far off. Of hinge losses it raises NotImplementedError; they have none.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.catboost
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> y = np.where(X[:, 0] + X[:, 1] > 2, "rare", "often")
    >>> model = fl.catboost.CatBoostClassifier(loss=fl.BinaryFocal(gamma=2.0), iterations=50, verbose=False,
    ...                                        learning_rate=0.3, allow_writing_files=False).fit(X, y)
    >>> bool(np.mean(model.predict(X) == y) > 0.97)
    True
    >>> model.predict_proba(X[:2]).shape
    (2, 2)
    """

    def __init__(self, loss: Loss | str = "cross_entropy", *, curvature: str = "auto", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._init_params.update(loss=loss, curvature=curvature)

    def decision_function(self, X: Any, **options: Any) -> NDArray[Any]:
        """Return raw scores, of shape (n,), or (n, K) of a loss of rows of logits."""
        return self._raw_scores(X, options)

    def predict_proba(self, X: Any, **options: Any) -> NDArray[Any]:
        """
        Return the probabilities of the classes that the loss stands for.

        Parameters
        ----------
        X : array_like, DataFrame or Pool of shape (n, d)
            Features.
        **options
            As ``catboost.CatBoostClassifier.predict_proba`` takes them.

        Returns
        -------
        ndarray of shape (n, K)
            Probabilities.

        Raises
        ------
        NotImplementedError
            If the loss has no probabilities: hinge losses.
        """
        return self.predict(X, "Probability", **options)

    def predict_log_proba(self, X: Any, **options: Any) -> NDArray[Any]:
        """Return the logarithms of the probabilities, as `predict_proba` returns these."""
        return self.predict(X, "LogProbability", **options)

    def staged_predict_proba(self, X: Any, **options: Any) -> Iterator[NDArray[Any]]:
        """Yield probabilities by the first trees, by more, and so on."""
        return self.staged_predict(X, "Probability", **options)

    def staged_predict_log_proba(self, X: Any, **options: Any) -> Iterator[NDArray[Any]]:
        """Yield the logarithms of what `staged_predict_proba` yields."""
        return self.staged_predict(X, "LogProbability", **options)

    def set_probability_threshold(self, binclass_probability_threshold: float | None = None) -> None:
        """Refuse: CatBoost would compare the sigmoid of the score, which is not the probability of each loss."""
        raise NotImplementedError(
            "compare predict_proba with the threshold, or take sklearn.model_selection.FixedThresholdClassifier"
        )

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy of predictions; a Pool knows its y."""
        target = np.asarray(X.get_label() if y is None else y)
        return float(np.average(self.predict(X) == target, weights=sample_weight))


class CatBoostRegressor(_Regressor, catboost.CatBoostRegressor):  # type: ignore[misc, unused-ignore]
    """
    CatBoost's regressor, trained on any loss of real targets.

    Training starts at the constant that minimises the loss, which becomes the bias of the model. Predictions are on
    the scale of y: the inverse link of raw scores, an exponential for Poisson, Gamma and Tweedie.

    Losses of several numbers a row, such as `GaussianNLL`, and several targets are slow: CatBoost calls Python once per
    row for them, twice in each round.

    Parameters
    ----------
    loss : Loss or str, default "squared_error"
        A loss of this package, or its name. Binary losses are for y in [0, 1], and predict probabilities.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The second derivative that leaves are estimated with; "auto" is the kind that trained best with this loss.
    **kwargs
        The parameters of ``catboost.CatBoostRegressor``, except `loss_function`.

    Attributes
    ----------
    loss_ : Loss
        The loss object that was trained on.
    init_score_ : ndarray of shape (1,)
        The raw score that training started from; the bias of the model.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.catboost
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2))
    >>> y = 3 * X[:, 0] + rng.standard_cauchy(1000)
    >>> model = fl.catboost.CatBoostRegressor(loss=fl.Huber(delta=1.0), iterations=100, learning_rate=0.2,
    ...                                       verbose=False, allow_writing_files=False).fit(X, y)
    >>> bool(np.median(np.abs(model.predict(X) - 3 * X[:, 0])) < 0.6)
    True
    """

    def __init__(self, loss: Loss | str = "squared_error", *, curvature: str = "auto", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # CatBoost's regressor writes its own default down.
        if self._init_params.get("loss_function") == "RMSE":
            del self._init_params["loss_function"]
        self._init_params.update(loss=loss, curvature=curvature)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return R2, the share of the variance of y that predictions explain; a Pool knows its y."""
        target = np.asarray(X.get_label() if y is None else y, np.float64)
        mean = np.average(target, weights=sample_weight)
        residual = np.average((target - self.predict(X)) ** 2, weights=sample_weight)
        return float(1 - residual / np.average((target - mean) ** 2, weights=sample_weight))


def _constant(start: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.full(n, start[0]) if len(start) == 1 else np.tile(start, (n, 1))


def _per_class(
    weighting: dict[str, Any], codes: NDArray[Any], sample_weight: ArrayLike | None, classes: NDArray[Any]
) -> NDArray[np.float64]:
    """What CatBoost's parameters make a row of each class weigh."""
    ((name, value),) = weighting.items()
    if name == "scale_pos_weight":
        if len(classes) != 2:
            raise ValueError(f"scale_pos_weight is for two classes, and y has {len(classes)}")
        return np.array([1.0, value])
    if name == "class_weights":
        if isinstance(value, dict):
            return np.array([value.get(label, 1.0) for label in classes.tolist()], np.float64)
        if len(value) != len(classes):
            raise ValueError(f"class_weights has {len(value)} weights, and y {len(classes)} classes")
        return np.asarray(value, np.float64)
    mass = np.bincount(codes, None if sample_weight is None else np.asarray(sample_weight, np.float64), len(classes))
    balanced: NDArray[np.float64] = mass.max() / mass
    if value not in ("Balanced", "SqrtBalanced"):
        raise ValueError(f"auto_class_weights must be 'Balanced' or 'SqrtBalanced'; got {value!r}")
    return balanced if value == "Balanced" else np.sqrt(balanced)
