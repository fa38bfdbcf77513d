"""
CatBoost: any loss of this package as an objective, with its weights, start value, metric and probabilities right.

`CatBoostClassifier` and `CatBoostRegressor` are CatBoost's own estimators with one more parameter, `loss`. `objective`
and `metric` are for CatBoost's own estimators.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import catboost  # CatBoost: this file is fastloss.catboost, and imports are absolute
except ModuleNotFoundError as error:
    if error.name != "catboost":
        raise
    raise ImportError('fastloss.catboost needs CatBoost: pip install "fastloss[catboost]"') from None

from . import _boosters
from ._kernels import Loss, RowwiseLoss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["CatBoostClassifier", "CatBoostRegressor", "metric", "objective"]


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
        self.loss: Any = _boosters.boosting_loss(loss)
        self.curvature = _boosters.hessian_of(self.loss, curvature)

    def calc_ders_range(
        self, approxes: NDArray[Any], targets: NDArray[Any], weights: NDArray[Any] | None
    ) -> NDArray[np.float64]:
        """Return pairs of derivatives of a block of rows."""
        # CatBoost holds the interpreter for hundreds of short blocks a tree: contiguous arrays take the short way here.
        derivatives = np.empty((2, len(approxes)))
        self.loss.gradient_and_hessian(
            approxes,
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
        value = self.loss(z, _boosters.class_targets(self.loss, np.asarray(target)), sample_weight=w, reduction="sum")
        return float(value), float(w.sum())

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
    found = _boosters.boosting_loss(loss)
    named: type[_Metric] = type(found.name, (_Metric,), {})
    return named(found)


class _LossMixin:
    """What the two estimators share: how they train, and where the start value goes."""

    loss_: Any
    init_score_: NDArray[np.float64]
    # CatBoost's
    _init_params: dict[str, Any]
    _canonized_params: dict[str, Any] | None

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        own = ("loss_", "init_score_", "_labels")
        return {**state, "__fastloss": {name: self.__dict__[name] for name in own if name in self.__dict__}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        self.__dict__.update(state.pop("__fastloss", {}))
        super().__setstate__(state)  # type: ignore[misc]

    def _fit_loss(
        self,
        X: Any,
        y: Any,
        encode: Callable[[Any], NDArray[Any]],
        class_weight: Callable[[NDArray[Any]], NDArray[Any]] | None,
        sample_weight: Any,
        eval_set: Any,
        options: dict[str, Any],
    ) -> Any:
        """Train from the best constant, and make it the bias of the model."""
        if isinstance(X, catboost.Pool) or y is None:
            raise TypeError("X and y must be given apart, with cat_features=..., and not as a Pool")
        loss = self.loss_
        params = {name: value for name, value in self._init_params.items() if name not in ("loss", "curvature")}
        if params.get("loss_function", params.get("objective")) is not None:
            raise ValueError("loss_function or objective must be left alone: the loss is the objective")
        pairs = [eval_set] if isinstance(eval_set, tuple) else list(eval_set or ())
        if any(isinstance(pair, catboost.Pool) for pair in pairs):
            raise TypeError("eval_set must be (X, y), or a list of such pairs, and no Pool")
        targets = encode(y)
        if targets.ndim == 2:
            raise ValueError(
                f"y of probabilities is supported for losses of one logit, not for {loss!r}: "
                "CatBoost's targets are classes"
            )
        weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        if class_weight is not None:
            weight = class_weight(targets) if weight is None else weight * class_weight(targets)
        outputs = self._n_outputs(targets)
        given = options.get("baseline") is not None or options.get("init_model") is not None
        start = np.zeros(outputs) if given else _boosters.start_scores(loss, targets, weight, outputs)
        self.init_score_ = start

        def constant(n: int) -> NDArray[np.float64]:
            return np.full(n, start[0]) if outputs == 1 else np.tile(start, (n, 1))

        if not given:
            options["baseline"] = constant(len(targets))
        features = {
            name: params.get(name) if options.get(name) is None else options[name]
            for name in ("cat_features", "text_features", "embedding_features")
        }
        pools = [
            catboost.Pool(x, encode(label), baseline=None if given else constant(len(label)), **features)
            for x, label in pairs
        ]
        if pools:
            options["eval_set"] = pools

        params["loss_function"] = objective(loss, self._init_params["curvature"])
        params.setdefault("eval_metric", metric(loss))
        params["boost_from_average"] = False
        if outputs > 1:
            params["classes_count"] = outputs
        for name in ("class_weights", "auto_class_weights", "scale_pos_weight"):
            params.pop(name, None)

        params_of_user = self._init_params
        self._init_params, self._canonized_params = params, None
        try:
            with warnings.catch_warnings():
                # CatBoost would like to compile Python objectives; these are compiled.
                warnings.filterwarnings("ignore", message=".*numba", category=UserWarning)
                warnings.filterwarnings("ignore", message="Can't optimi[sz]e method", category=UserWarning)
                catboost.CatBoost.fit(self, X, targets, sample_weight=weight, **options)
        finally:
            self._init_params, self._canonized_params = params_of_user, None
        if start.any():
            self.set_scale_and_bias(1.0, start.tolist())  # type: ignore[attr-defined]
        return self

    def _n_outputs(self, targets: NDArray[Any]) -> int:
        raise NotImplementedError

    def _raw(self, X: Any, options: dict[str, Any]) -> NDArray[Any]:
        return np.asarray(catboost.CatBoost.predict(self, X, prediction_type="RawFormulaVal", **options))


class CatBoostClassifier(_LossMixin, catboost.CatBoostClassifier):  # type: ignore[misc, unused-ignore]
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
        The parameters of ``catboost.CatBoostClassifier``, except `loss_function`.

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
    `predict_proba` is the posterior that the loss stands for: of a focal loss it is calibrated. Of hinge losses it
    raises NotImplementedError; they have none.

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

    def fit(
        self, X: Any, y: ArrayLike, *, sample_weight: ArrayLike | None = None, eval_set: Any = None, **options: Any
    ) -> CatBoostClassifier:
        """
        Train on labels, or on probabilities of shape (n, K).

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features; no Pool.
        y : array_like of shape (n,) or (n, K)
            Labels of any type; or probabilities.
        sample_weight : array_like of shape (n,), optional
            Multiplied with the class weights.
        eval_set : (X, y) or list of (X, y), optional
            What metrics are measured on.
        **options
            As ``catboost.CatBoostClassifier.fit`` takes them.

        Returns
        -------
        CatBoostClassifier
            Itself.
        """
        targets = _boosters.classification_targets(y)
        classes = targets.classes
        assert classes is not None
        self.loss_ = loss = _boosters.classification_loss(self._init_params["loss"], len(classes))
        self._labels = classes
        weighting = {
            name: self._init_params[name]
            for name in ("class_weights", "auto_class_weights", "scale_pos_weight")
            if self._init_params.get(name) not in (None, "None")
        }
        if len(weighting) > 1:
            raise ValueError(f"only one of {', '.join(weighting)} can be given")
        if weighting and targets.values.ndim == 2:
            raise ValueError(f"{next(iter(weighting))} must be None where y holds probabilities")

        def class_weight(codes: NDArray[Any]) -> NDArray[Any]:
            codes = codes.astype(np.intp)
            return np.asarray(_per_class(weighting, codes, sample_weight, classes)[codes])

        def encode(labels: Any) -> NDArray[Any]:
            return _boosters.as_loss_takes(loss, _boosters.classification_targets(labels, classes))

        self._fit_loss(X, y, encode, class_weight if weighting else None, sample_weight, eval_set, options)
        return self

    def _n_outputs(self, targets: NDArray[Any]) -> int:
        return _boosters.n_outputs(self.loss_, len(self._labels))

    @property
    def classes_(self) -> Any:
        """The labels of the classes; of a loaded native model, which does not know them, 0 to K - 1."""
        if "_labels" in self.__dict__ or not self.is_fitted():
            return self.__dict__.get("_labels")
        return np.arange(max(2, self._model_outputs()))

    def _model_outputs(self) -> int:
        return int(np.size(self.get_scale_and_bias()[1]))

    def load_model(self, *args: Any, **kwargs: Any) -> CatBoostClassifier:
        """Load a native model, with its start value; the loss is that of this estimator."""
        super().load_model(*args, **kwargs)
        self.__dict__.pop("_labels", None)
        outputs = self._model_outputs()
        self.loss_ = _boosters.classification_loss(self._init_params["loss"], max(2, outputs))
        self.init_score_ = np.atleast_1d(np.asarray(self.get_scale_and_bias()[1], np.float64))
        return self

    def decision_function(self, X: Any, **options: Any) -> NDArray[Any]:
        """Return raw scores, of shape (n,), or (n, K) of a loss of rows of logits."""
        return self._raw(X, options)

    def predict(self, X: Any, prediction_type: str = "Class", **options: Any) -> NDArray[Any]:
        """
        Return the most probable class of each row; of losses without probabilities, that of the largest score.

        Parameters
        ----------
        X : array_like, DataFrame or Pool of shape (n, d)
            Features.
        prediction_type : str, default "Class"
            "Class", "Probability", or what else CatBoost has: "RawFormulaVal", ...
        **options
            As ``catboost.CatBoostClassifier.predict`` takes them.

        Returns
        -------
        ndarray of shape (n,)
            Labels, or what `prediction_type` asks for.
        """
        if prediction_type == "Class":
            scores = self._raw(X, options)
            return np.asarray(self.classes_[_boosters.class_codes(self.loss_, scores)])
        if prediction_type == "Probability":
            return self.predict_proba(X, **options)
        if prediction_type == "LogProbability":
            return np.asarray(np.log(self.predict_proba(X, **options)))
        return np.asarray(catboost.CatBoost.predict(self, X, prediction_type=prediction_type, **options))

    def score(self, X: Any, y: ArrayLike, sample_weight: Any = None) -> float:
        """Return the accuracy of predictions."""
        return float(np.average(self.predict(X) == np.asarray(y), weights=sample_weight))

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
        scores = self._raw(X, options)
        return _boosters.class_probabilities(self.loss_, scores)


class CatBoostRegressor(_LossMixin, catboost.CatBoostRegressor):  # type: ignore[misc, unused-ignore]
    """
    CatBoost's regressor, trained on any loss of real targets.

    Training starts at the constant that minimises the loss, which becomes the bias of the model. Predictions are on
    the scale of y: the inverse link of raw scores, an exponential for Poisson, Gamma and Tweedie.

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

    def fit(
        self, X: Any, y: ArrayLike, *, sample_weight: ArrayLike | None = None, eval_set: Any = None, **options: Any
    ) -> CatBoostRegressor:
        """
        Train.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features; no Pool.
        y : array_like of shape (n,)
            Targets in the domain of the loss.
        sample_weight : array_like of shape (n,), optional
            Multiplies each row's loss.
        eval_set : (X, y) or list of (X, y), optional
            What metrics are measured on.
        **options
            As ``catboost.CatBoostRegressor.fit`` takes them.

        Returns
        -------
        CatBoostRegressor
            Itself.
        """
        self.loss_ = _boosters.regression_loss(self._init_params["loss"])

        def encode(target: Any) -> NDArray[Any]:
            return np.ascontiguousarray(np.asarray(target, np.float64).reshape(len(target)))

        self._fit_loss(X, y, encode, None, sample_weight, eval_set, options)
        return self

    def _n_outputs(self, targets: NDArray[Any]) -> int:
        return 1

    def load_model(self, *args: Any, **kwargs: Any) -> CatBoostRegressor:
        """Load a native model, with its start value; the loss is that of this estimator."""
        super().load_model(*args, **kwargs)
        self.loss_ = _boosters.regression_loss(self._init_params["loss"])
        self.init_score_ = np.atleast_1d(np.asarray(self.get_scale_and_bias()[1], np.float64))
        return self

    def predict(self, X: Any, prediction_type: str | None = None, **options: Any) -> NDArray[Any]:
        """
        Return predictions on the scale of y.

        Parameters
        ----------
        X : array_like, DataFrame or Pool of shape (n, d)
            Features.
        prediction_type : str, optional
            What CatBoost has: "RawFormulaVal" for raw scores, before the inverse link.
        **options
            As ``catboost.CatBoostRegressor.predict`` takes them.

        Returns
        -------
        ndarray of shape (n,)
            Predictions, or what `prediction_type` asks for.
        """
        if prediction_type is None:
            scores = self._raw(X, options)
            return np.asarray(self.loss_.inverse_link(scores))
        return np.asarray(catboost.CatBoost.predict(self, X, prediction_type=prediction_type, **options))

    def score(self, X: Any, y: ArrayLike, sample_weight: Any = None) -> float:
        """Return R2, the share of the variance of y that predictions explain."""
        target = np.asarray(y, np.float64)
        mean = np.average(target, weights=sample_weight)
        residual = np.average((target - self.predict(X)) ** 2, weights=sample_weight)
        return float(1 - residual / np.average((target - mean) ** 2, weights=sample_weight))


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
