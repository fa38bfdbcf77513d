"""
LightGBM: any loss of this package as an objective, with its weights, start value, metric and probabilities right.

`LGBMClassifier` and `LGBMRegressor` are LightGBM's own estimators with one more parameter, `loss`. `objective` and
`metric` are for ``lightgbm.train``, and for LightGBM's own estimators, also those for Dask.
"""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import lightgbm  # LightGBM: this file is fastloss.lightgbm, and imports are absolute
    from sklearn.preprocessing import LabelEncoder
    from sklearn.utils import column_or_1d
    from sklearn.utils.class_weight import compute_sample_weight
except ModuleNotFoundError as error:
    if error.name not in ("lightgbm", "sklearn"):
        raise
    raise ImportError('fastloss.lightgbm needs LightGBM and scikit-learn: pip install "fastloss[lightgbm]"') from None

from . import _boosters
from ._kernels import Loss, RowwiseLoss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["LGBMClassifier", "LGBMRegressor", "metric", "objective"]

# LightGBM applies no link to the scores of an objective that is not its own, so these would be wrong without a word.
METRICS_OF_PROBABILITIES = {
    *("binary_logloss", "binary", "logloss", "binary_error", "error"),
    *("multi_logloss", "multiclass", "softmax", "multiclassova", "multi_error"),
    *("cross_entropy", "xentropy", "cross_entropy_lambda", "xentlambda", "kullback_leibler", "kldiv"),
    *("poisson", "gamma", "gamma_deviance", "tweedie"),
}


class objective:
    """
    Return the objective of a loss, for ``lightgbm.train`` and for LightGBM's estimators.

    Parameters
    ----------
    loss : Loss or str
        A loss of this package, or its name.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The Hessian that trees are grown with; "auto" is the kind that trained best with this loss.

    Returns
    -------
    callable
        ``objective(preds, dataset)``, as ``params["objective"]`` of ``lightgbm.train`` is called, and
        ``objective(y_true, y_pred, weight)``, as the `objective` of an estimator is called, return gradient and
        Hessian of each row times its weight: float32, in the memory order of the scores. It pickles.

    Raises
    ------
    ValueError
        If `loss` is no loss of single rows, or `curvature` is none of the above.

    Notes
    -----
    Training starts at raw scores of 0, unless `init_score` says otherwise, and predictions are raw scores. The
    estimators of this module do better: they start at the best constant, and return probabilities.

    Examples
    --------
    >>> import lightgbm, numpy as np, fastloss as fl, fastloss.lightgbm
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> y = (X[:, 0] > 0.5).astype(float)
    >>> loss = fl.BinaryFocal(gamma=2.0)
    >>> parameters = {"objective": fl.lightgbm.objective(loss), "metric": "None", "verbose": -1}
    >>> booster = lightgbm.train(parameters, lightgbm.Dataset(X, y), num_boost_round=20)
    >>> bool(loss(booster.predict(X), y) < 0.03)
    True
    """

    def __init__(self, loss: Loss | str, curvature: str = "auto") -> None:
        self.derivatives = _boosters.Derivatives(_boosters.boosting_loss(loss), curvature)
        self.__name__ = f"objective({self.derivatives.loss!r})"

    def __call__(
        self, y_true: NDArray[Any], y_pred: Any, weight: NDArray[Any] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if isinstance(y_pred, lightgbm.Dataset):  # from lightgbm.train: (preds, dataset)
            y_true, y_pred, weight = y_pred.get_label(), y_true, y_pred.get_weight()
        return self.derivatives(y_pred, _boosters.class_targets(self.derivatives.loss, y_true), weight)

    def __repr__(self) -> str:
        return f"fastloss.lightgbm.{self.__name__}"


class metric:
    """
    Return a loss as a metric, for ``lightgbm.train`` and for LightGBM's estimators.

    Parameters
    ----------
    loss : Loss or str
        A loss of this package, or its name.

    Returns
    -------
    callable
        ``metric(preds, dataset)`` for `feval` of ``lightgbm.train``, and ``metric(y_true, y_pred, weight)`` for
        `eval_metric` of an estimator: the name of the loss, its weighted mean over raw scores, and False, because
        less is better.

    Notes
    -----
    Scores are raw only under an objective of one's own: LightGBM's own objectives hand probabilities to metrics.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.lightgbm
    >>> fl.lightgbm.metric(fl.Hinge())(np.array([1.0, 0.0]), np.array([0.5, -2.0]), None)
    ('hinge', 0.25, False)
    """

    def __init__(self, loss: Loss | str) -> None:
        self.loss: Any = _boosters.boosting_loss(loss)
        self.__name__ = self.loss.name

    def __call__(
        self, y_true: NDArray[Any], y_pred: Any, weight: NDArray[Any] | None = None
    ) -> tuple[str, float, bool]:
        if isinstance(y_pred, lightgbm.Dataset):
            y_true, y_pred, weight = y_pred.get_label(), y_true, y_pred.get_weight()
        target = _boosters.class_targets(self.loss, y_true)
        return self.loss.name, self.loss(y_pred, target, sample_weight=weight), False

    def __repr__(self) -> str:
        return f"fastloss.lightgbm.metric({self.loss!r})"


class _OwnObjective(_boosters.Training):
    """The objective and metric of an estimator."""

    def eval(self, y_true: NDArray[Any], y_pred: NDArray[Any], weight: NDArray[Any] | None) -> tuple[str, float, bool]:
        return self.loss.name, self.metric(y_true, y_pred, weight), False


class _LossMixin:
    """What the two estimators share: how they train, and where the start value goes."""

    loss: Loss | str
    curvature: str
    loss_: Any
    init_score_: NDArray[np.float64]
    # LightGBM's
    objective: Any
    get_params: Any
    _other_params: dict[str, Any]
    _Booster: Any

    def _process_params(self, stage: str) -> dict[str, Any]:
        # LightGBM would take a parameter named loss for its objective.
        own = ("loss", "curvature")
        others = {name: value for name, value in self.get_params().items() if name not in own}
        self.get_params = lambda: others
        try:
            params: dict[str, Any] = super()._process_params(stage)  # type: ignore[misc]
        finally:
            del self.get_params
        if stage == "fit":
            # Otherwise LightGBM adds the metric of the task, which does not know the link of these scores.
            metrics = _names(self._other_params.get("metric"))
            _refuse_metrics_of_probabilities(metrics)
            params["metric"] = metrics or "None"
            if isinstance(self.loss_, RowwiseLoss):
                params["num_class"] = len(self.init_score_)
        return params

    def _fit(
        self,
        X: Any,
        y: Any,
        encode: Callable[[Any], NDArray[Any]],
        class_weight: NDArray[Any] | None,
        sample_weight: Any,
        eval_set: Any,
        options: dict[str, Any],
    ) -> Any:
        """Train from the best constant, and put it into the first tree."""
        if self.objective is not None:
            raise ValueError("objective must be left alone: the loss is the objective")
        if self._other_params.get("linear_tree"):
            raise ValueError("linear_tree is not supported: its leaves cannot carry the start value")
        eval_X, eval_y = options.pop("eval_X", None), options.pop("eval_y", None)
        if eval_X is not None:
            together = isinstance(eval_X, tuple)
            eval_set = list(zip(eval_X, eval_y, strict=True)) if together else [(eval_X, eval_y)]
        elif isinstance(eval_set, tuple):
            eval_set = [eval_set]
        loss, targets = self.loss_, encode(y)
        evals = [targets if (x is X and each is y) else encode(each) for x, each in eval_set or ()]
        own = _OwnObjective(loss, self.curvature, [targets, *evals])
        labels = own.labels

        weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        if class_weight is not None:
            weight = class_weight if weight is None else weight * class_weight
        outputs = targets.shape[1] if targets.ndim == 2 else self._n_outputs()
        given = options.get("init_score") is not None or options.get("init_model") is not None
        start = np.zeros(outputs) if given else _boosters.start_scores(loss, targets, weight, outputs)
        self.init_score_ = start
        if not given:
            options["init_score"] = _constant(start, len(targets))
            options["eval_init_score"] = [_constant(start, len(each)) for each in evals] or None

        if eval_set is not None:
            # LightGBM recognises its training data by identity.
            same = [x is X and each is y for x, each in eval_set]
            of_eval = [labels[0] if is_same else label for label, is_same in zip(labels[1:], same, strict=True)]
            if "eval_X" in inspect.signature(lightgbm.LGBMModel.fit).parameters:  # LightGBM 4.7 renamed eval_set
                options["eval_X"], options["eval_y"] = tuple(x for x, _ in eval_set), tuple(of_eval)
            else:
                options["eval_set"] = [(x, label) for (x, _), label in zip(eval_set, of_eval, strict=True)]
        metrics = options.get("eval_metric")
        metrics = list(metrics) if isinstance(metrics, (list, tuple)) else [] if metrics is None else [metrics]
        _refuse_metrics_of_probabilities(metrics)
        options["eval_metric"] = [own.eval, *metrics]

        self._objective = own
        lightgbm.LGBMModel.fit(self, X, labels[0], sample_weight=sample_weight, **options)
        if start.any():
            _add_to_first_trees(self._Booster, start)
        self._objective = copy.copy(own)  # lets go of the targets
        return self

    def _n_outputs(self) -> int:
        return _boosters.n_outputs(self.loss_, getattr(self, "_n_classes", 1))


class LGBMClassifier(_LossMixin, lightgbm.LGBMClassifier):  # type: ignore[misc, unused-ignore]
    """
    LightGBM's classifier, trained on any loss for classes.

    Training starts at the constant that minimises the loss, which becomes a part of the first tree, so that the
    native model carries it wherever it is saved. Sample and class weights multiply gradient and Hessian. The loss
    itself, over raw scores, is the metric of `eval_set` and of early stopping.

    Parameters
    ----------
    loss : Loss or str, default "cross_entropy"
        A loss of this package, or its name. A name stands for the form that fits y: "focal" is BinaryFocal for two
        classes, Focal for more. A loss of rows of logits (an object) grows a tree per class also for two classes.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The Hessian that trees are grown with; "auto" is the kind that trained best with this loss.
    **kwargs
        The parameters of ``lightgbm.LGBMClassifier``, except `objective`.

    Attributes
    ----------
    loss_ : Loss
        The loss object that was trained on.
    init_score_ : ndarray of shape (1,) or (K,)
        The raw scores that training started from; they are part of the model's first trees.

    See Also
    --------
    objective : the objective alone, for ``lightgbm.train`` and Dask.

    Notes
    -----
    `fit` takes probabilities of shape (n, K) for soft or smoothed labels, too; the classes are then 0 to K - 1.
    Given an `init_score` or `init_model`, training starts from that, and nothing is added to the trees.
    `predict_proba` is the posterior that the loss stands for: of a focal loss it is calibrated. Of hinge losses it
    raises NotImplementedError; they have none.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.lightgbm
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> y = np.where(X[:, 0] + X[:, 1] > 2, "rare", "often")
    >>> model = fl.lightgbm.LGBMClassifier(loss=fl.BinaryFocal(gamma=2.0), n_estimators=30, verbose=-1).fit(X, y)
    >>> model.score(X, y) > 0.97
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
        sample_weight: ArrayLike | None = None,
        init_score: ArrayLike | None = None,
        eval_set: list[tuple[Any, Any]] | None = None,
        **options: Any,
    ) -> LGBMClassifier:
        """
        Train on labels, or on probabilities of shape (n, K).

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        y : array_like of shape (n,) or (n, K)
            Labels of any type; or probabilities.
        sample_weight : array_like of shape (n,), optional
            Multiplied with `class_weight`.
        init_score : array_like, optional
            Raw scores to start from, instead of the best constant. They are not part of the model.
        eval_set : list of (X, y), optional
            What metrics are measured on.
        **options
            As ``lightgbm.LGBMClassifier.fit`` takes them.

        Returns
        -------
        LGBMClassifier
            Itself.
        """
        targets = _boosters.classification_targets(_column(y))
        assert targets.classes is not None
        self.loss_ = _boosters.classification_loss(self.loss, len(targets.classes))
        # What LightGBM's own fit would set.
        self._le = LabelEncoder().fit(targets.classes)
        self._classes, self._n_classes = targets.classes, len(targets.classes)
        self._class_map = {label: code for code, label in enumerate(targets.classes.tolist())}
        self._class_weight = None
        weight = None
        if self.class_weight is not None:
            if targets.values.ndim == 2:
                raise ValueError("class_weight must be None where y holds probabilities: multiply them into y")
            weight = compute_sample_weight(self.class_weight, targets.classes[targets.values])
            if isinstance(self.class_weight, dict):
                self._class_weight = {self._class_map[label]: w for label, w in self.class_weight.items()}
        loss, classes = self.loss_, targets.classes

        def encode(labels: Any) -> NDArray[Any]:
            return _boosters.as_loss_takes(loss, _boosters.classification_targets(_column(labels), classes))

        options["init_score"] = init_score
        return self._fit(X, y, encode, weight, sample_weight, eval_set, options)  # type: ignore[no-any-return]

    def predict(self, X: Any, raw_score: bool = False, **options: Any) -> NDArray[Any]:
        """
        Return the most probable class of each row; of losses without probabilities, that of the largest score.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        raw_score : bool, default False
            Whether to return raw scores.
        **options
            As ``lightgbm.LGBMClassifier.predict`` takes them.

        Returns
        -------
        ndarray
            Labels of shape (n,); or what `raw_score`, `pred_leaf` or `pred_contrib` ask for.
        """
        scores = lightgbm.LGBMModel.predict(self, X, raw_score=raw_score, **options)
        if raw_score or options.get("pred_leaf") or options.get("pred_contrib"):
            return np.asarray(scores)
        return np.asarray(self._classes[_boosters.class_codes(self.loss_, scores)])

    def predict_proba(self, X: Any, raw_score: bool = False, **options: Any) -> NDArray[Any]:
        """
        Return the probabilities of the classes that the loss stands for.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        raw_score : bool, default False
            Whether to return raw scores.
        **options
            As ``lightgbm.LGBMClassifier.predict_proba`` takes them.

        Returns
        -------
        ndarray
            Probabilities of shape (n, K); or what `raw_score`, `pred_leaf` or `pred_contrib` ask for.

        Raises
        ------
        NotImplementedError
            If the loss has no probabilities: hinge losses.
        """
        scores = lightgbm.LGBMModel.predict(self, X, raw_score=raw_score, **options)
        if raw_score or options.get("pred_leaf") or options.get("pred_contrib"):
            return np.asarray(scores)
        return _boosters.class_probabilities(self.loss_, scores)

    def decision_function(self, X: Any, **options: Any) -> NDArray[Any]:
        """Return raw scores, of shape (n,), or (n, K) of a loss of rows of logits."""
        return np.asarray(lightgbm.LGBMModel.predict(self, X, raw_score=True, **options))


class LGBMRegressor(_LossMixin, lightgbm.LGBMRegressor):  # type: ignore[misc, unused-ignore]
    """
    LightGBM's regressor, trained on any loss of real targets.

    Training starts at the constant that minimises the loss, which becomes a part of the first tree. Predictions are
    on the scale of y: the inverse link of raw scores, an exponential for Poisson, Gamma and Tweedie.

    Parameters
    ----------
    loss : Loss or str, default "squared_error"
        A loss of this package, or its name. Binary losses are for y in [0, 1], and predict probabilities.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The Hessian that trees are grown with; "auto" is the kind that trained best with this loss.
    **kwargs
        The parameters of ``lightgbm.LGBMRegressor``, except `objective`.

    Attributes
    ----------
    loss_ : Loss
        The loss object that was trained on.
    init_score_ : ndarray of shape (1,)
        The raw score that training started from; it is part of the model's first tree.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.lightgbm
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2))
    >>> y = 3 * X[:, 0] + rng.standard_cauchy(1000)
    >>> model = fl.lightgbm.LGBMRegressor(loss=fl.Huber(delta=1.0), n_estimators=60, verbose=-1).fit(X, y)
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
        sample_weight: ArrayLike | None = None,
        init_score: ArrayLike | None = None,
        eval_set: list[tuple[Any, Any]] | None = None,
        **options: Any,
    ) -> LGBMRegressor:
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
        init_score : array_like of shape (n,), optional
            Raw scores to start from, instead of the best constant. They are not part of the model.
        eval_set : list of (X, y), optional
            What metrics are measured on.
        **options
            As ``lightgbm.LGBMRegressor.fit`` takes them.

        Returns
        -------
        LGBMRegressor
            Itself.
        """
        self.loss_ = _boosters.regression_loss(self.loss)
        options["init_score"] = init_score

        def encode(target: Any) -> NDArray[Any]:
            return np.ascontiguousarray(_column(target), np.float64)

        return self._fit(X, y, encode, None, sample_weight, eval_set, options)  # type: ignore[no-any-return]

    def predict(self, X: Any, raw_score: bool = False, **options: Any) -> NDArray[Any]:
        """
        Return predictions on the scale of y.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        raw_score : bool, default False
            Whether to return raw scores, before the inverse link.
        **options
            As ``lightgbm.LGBMRegressor.predict`` takes them.

        Returns
        -------
        ndarray
            Predictions of shape (n,); or what `raw_score`, `pred_leaf` or `pred_contrib` ask for.
        """
        scores = super().predict(X, raw_score=raw_score, **options)
        if raw_score or options.get("pred_leaf") or options.get("pred_contrib"):
            return np.asarray(scores)
        return np.asarray(self.loss_.inverse_link(scores))


def _constant(start: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    if len(start) == 1:
        return np.full(n, start[0])
    return np.asfortranarray(np.broadcast_to(start, (n, len(start))))


def _column(y: Any) -> Any:
    """Labels as an array; a column is a vector, with scikit-learn's warning."""
    array = np.asarray(y)
    return column_or_1d(array, warn=True) if array.ndim == 2 and array.shape[1] == 1 else array


def _names(metric: Any) -> list[str]:
    return [name.strip() for name in metric.split(",")] if isinstance(metric, str) else list(metric or [])


def _refuse_metrics_of_probabilities(metrics: list[Any]) -> None:
    for name in metrics:
        if isinstance(name, str) and name in METRICS_OF_PROBABILITIES:
            raise ValueError(
                f"LightGBM's metric {name!r} would take raw scores for probabilities here; the loss itself is "
                "always measured, and fastloss.lightgbm.metric(loss) measures others"
            )


def _add_to_first_trees(booster: lightgbm.Booster, start: NDArray[np.float64]) -> None:
    """Make the start value part of the model, so that it is there wherever the model goes."""
    text = booster.model_to_string(start_iteration=0, num_iteration=1)
    leaves = [int(n) for n in re.findall(r"^num_leaves=(\d+)$", text, re.MULTILINE)]
    if len(leaves) != len(start):
        raise RuntimeError(f"LightGBM grew {len(leaves)} first trees for {len(start)} raw scores")
    for tree, (count, value) in enumerate(zip(leaves, start, strict=True)):
        for leaf in range(count):
            booster.set_leaf_output(tree, leaf, booster.get_leaf_output(tree, leaf) + value)
