"""
LightGBM: any loss of this package as an objective, with its weights, start value, metric and probabilities right.

`LGBMClassifier` and `LGBMRegressor` are LightGBM's own estimators with one more parameter, `loss`. `objective` and
`metric` are for ``lightgbm.train``, and for LightGBM's own estimators, also those for Dask.
"""

from __future__ import annotations

import copy
import inspect
import re
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import lightgbm  # LightGBM: this file is fastloss.lightgbm, and imports are absolute
    from sklearn.preprocessing import LabelEncoder
    from sklearn.utils.class_weight import compute_class_weight
except ModuleNotFoundError as error:
    if error.name not in ("lightgbm", "sklearn"):
        raise
    raise ImportError('fastloss.lightgbm needs LightGBM and scikit-learn: pip install "fastloss[lightgbm]"') from None

from . import _boosters
from ._booster_parameters import check_metrics
from ._kernels import Loss

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

__all__ = ["LGBMClassifier", "LGBMRanker", "LGBMRegressor", "metric", "objective"]


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


class _NothingToSplit(Exception):
    """No column of the training data can be split: too few rows for two leaves, or the same value everywhere."""


class _LightGBM(_boosters.LossEstimator):
    """What LightGBM does in its own way: trees carry the start value, and parameters have many names."""

    library = "lightgbm"
    # LightGBM's
    get_params: Any
    _other_params: dict[str, Any]
    _Booster: Any
    _class_weight: Any
    _objective: Any
    n_estimators: Any

    def _process_params(self, stage: str) -> dict[str, Any]:
        # LightGBM would take a parameter named loss for its objective.
        others = self._given()
        self.get_params = lambda: others
        try:
            params: dict[str, Any] = super()._process_params(stage)  # type: ignore[misc]
        finally:
            del self.get_params
        if stage == "fit":
            # Otherwise LightGBM adds the metric of the task, which does not know the link of these scores.
            params["metric"] = self._named_metrics() or "None"
            if self._n_outputs() > 1:
                params["num_class"] = self._n_outputs()
        return params

    def _named_metrics(self) -> list[Any]:
        """Return the metrics among the parameters. (LightGBM sets an attribute _x for each parameter x.)"""
        named = (self._other_params.get(name) for name in ("metric", "metrics", "metric_types"))
        return check_metrics("lightgbm", self.loss_, _names(next((each for each in named if each is not None), None)))

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        init_score: ArrayLike | None = None,
        eval_set: list[tuple[Any, Any]] | None = None,
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
            Multiplies each row's loss, together with the `class_weight` of a classifier.
        init_score : array_like, optional
            Raw scores to start from, instead of the best constant. They are not part of the model.
        eval_set : list of (X, y), optional
            What metrics are measured on.
        **options
            As LightGBM's own `fit` takes them. Of `fastloss.CoxPH` also ``strata=``, the stratum of each row, and
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
        sets = _eval_sets(eval_set, options.pop("eval_X", None), options.pop("eval_y", None))
        # LightGBM recognises its training data by identity.
        same = [x is X and each is y for x, each in sets]
        given = init_score is not None or options.get("init_model") is not None
        fit = self._begin(y, sample_weight, [each for _, each in sets], given)
        groups = self._groups(fit, options)
        own = _OwnObjective(self.loss_, self.curvature, [fit.targets, *fit.eval_targets], groups=groups)
        labels = own.labels[0]
        of_eval = [labels if is_same else label for label, is_same in zip(own.labels[1:], same, strict=True)]
        if fit.targets.ndim == 2 and options.get("eval_class_weight") is not None:
            self._needs_labels("eval_class_weight", None)
        if fit.start is not None:
            init_score = _constant(fit.start, len(labels))
            options["eval_init_score"] = [_constant(fit.start, len(each)) for each in of_eval] or None
        if sets:
            if "eval_X" in inspect.signature(lightgbm.LGBMModel.fit).parameters:  # LightGBM 4.7 renamed eval_set
                options["eval_X"], options["eval_y"] = tuple(x for x, _ in sets), tuple(of_eval)
            else:
                options["eval_set"] = [(x, label) for (x, _), label in zip(sets, of_eval, strict=True)]
        metrics = options.pop("eval_metric", None)
        metrics = metrics if isinstance(metrics, (list, tuple)) else [] if metrics is None else [metrics]
        options["eval_metric"] = [own.eval, *check_metrics("lightgbm", self.loss_, metrics)]
        options["callbacks"] = [*(options.get("callbacks") or ()), _look_for_splits]

        self._class_weight = None if fit.of_class is None else dict(enumerate(fit.of_class.tolist()))
        self._objective = own
        try:
            lightgbm.LGBMModel.fit(self, X, labels, sample_weight=sample_weight, init_score=init_score, **options)
        except _NothingToSplit:
            self._class_weight = None
            self._fit_constant(X, len(labels), options)
        if fit.start is not None and fit.start.any():
            _add_to_first_trees(self._Booster, fit.start)
        self._objective = copy.copy(own)  # lets go of the targets
        self._take_baseline(X, fit, groups)
        return self

    def _fit_constant(self, X: Any, n: int, options: dict[str, Any]) -> None:
        """Train one leaf an output, of value 0: LightGBM's own objectives do it where there is nothing to split."""
        outputs, trees = self._n_outputs(), self.n_estimators
        self._objective, self.n_estimators = "regression" if outputs == 1 else "multiclass", 1
        kept = {name: value for name, value in options.items() if name in ("init_model", "feature_name")}
        try:
            lightgbm.LGBMModel.fit(self, X, np.zeros(n), **kept)
        finally:
            self.n_estimators = trees
        # An objective of LightGBM's has a link, and the native model is to know of none.
        text = self._Booster.model_to_string()
        self._Booster.model_from_string(re.sub(r"^objective=.*\n", "", text, count=1, flags=re.MULTILINE))
        if options.get("init_model") is None:  # else there is nothing new
            for tree in range(outputs):
                self._Booster.set_leaf_output(tree, 0, 0.0)

    def _raw_scores(self, X: Any, options: dict[str, Any]) -> NDArray[Any]:
        return np.asarray(lightgbm.LGBMModel.predict(self, X, raw_score=True, **options))

    def _answer(self, X: Any, raw_score: bool, options: dict[str, Any], made_of: Any) -> NDArray[Any]:
        """Return what is `made_of` raw scores, or the other things that can be asked of LightGBM."""
        scores = self._raw_scores(X, options)
        return scores if raw_score or options.get("pred_leaf") or options.get("pred_contrib") else made_of(scores)

    def predict(self, X: Any, raw_score: bool = False, **options: Any) -> NDArray[Any]:
        """
        Return the most probable class of each row, or the prediction on the scale of y.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        raw_score : bool, default False
            Whether to return raw scores.
        **options
            As LightGBM's own `predict` takes them.

        Returns
        -------
        ndarray
            Of a classifier labels of shape (n,): of the most probable classes or, under a loss without probabilities,
            of the largest scores. Of a regressor the inverse link of the scores. Or what `raw_score`, `pred_leaf` or
            `pred_contrib` ask for.
        """
        return self._answer(X, raw_score, options, self._predicted)


class _Classifier(_LightGBM, _boosters.Classification):
    """What LightGBM wants to know of classes."""

    class_weight: Any

    def _set_classes(self, classes: NDArray[Any]) -> None:
        super()._set_classes(classes)
        # What LightGBM's own fit would set.
        self._le = LabelEncoder().fit(classes)
        self._classes, self._n_classes = classes, len(classes)
        self._class_map = {label: code for code, label in enumerate(classes.tolist())}

    def _class_weights(self, codes: NDArray[Any] | None, sample_weight: Any) -> NDArray[Any] | None:
        if self.class_weight is None:
            return None
        codes = self._needs_labels("class_weight", codes)
        weight = compute_class_weight(self.class_weight, classes=self._labels, y=self._labels[codes])
        return np.asarray(weight, np.float64)


class _Regressor(_LightGBM, _boosters.Regression):
    pass


class _Ranker(_LightGBM, _boosters.Ranking):
    def _groups(self, fit: _boosters.Fit, options: dict[str, Any]) -> list[Any] | None:
        sizes = [_boosters.group_sizes(options.get("group"), len(fit.targets))]
        options["group"] = sizes[0]
        given = list(options.get("eval_group") or [None] * len(fit.eval_targets))
        if len(given) != len(fit.eval_targets):
            raise ValueError(f"eval_group holds {len(given)} lists, and there are {len(fit.eval_targets)} sets")
        for i, (each, target) in enumerate(zip(given, fit.eval_targets, strict=True)):
            sizes.append(_boosters.group_sizes(each, len(target), f"eval_group[{i}]"))
        options["eval_group"] = sizes[1:] or None
        return sizes


class LGBMClassifier(_Classifier, lightgbm.LGBMClassifier):  # type: ignore[misc, unused-ignore]
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
        The parameters of ``lightgbm.LGBMClassifier``. Those of its own objectives are refused, with what to write
        instead: `objective`, `scale_pos_weight`, `is_unbalance`, `alpha`, ...

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
    `predict_proba` is the posterior that the loss stands for: of a focal loss not the sigmoid. After few trees, or if
    they were stopped early, it may be far off. Of hinge losses it raises NotImplementedError; they have none.

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
        return self._answer(X, raw_score, options, self._probabilities)

    def decision_function(self, X: Any, **options: Any) -> NDArray[Any]:
        """Return raw scores, of shape (n,), or (n, K) of a loss of rows of logits."""
        return self._raw_scores(X, options)


class LGBMRegressor(_Regressor, lightgbm.LGBMRegressor):  # type: ignore[misc, unused-ignore]
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


class LGBMRanker(_Ranker, lightgbm.LGBMRanker):  # type: ignore[misc, unused-ignore]
    """
    LightGBM's ranker, trained on a loss of groups of rows.

    `fit` takes ``group=``, sizes of consecutive groups or the id of each row's, and ``eval_group=`` for `eval_set`.
    Predictions are raw scores, the higher the better.

    Parameters
    ----------
    loss : Loss or str, default "group_softmax"
        `fastloss.GroupSoftmax` or `fastloss.PairwiseLogistic`, or the name of one.
    curvature : {"auto", "exact", "psd", "majorize"}, default "auto"
        The Hessian that trees are grown with.
    **kwargs
        The parameters of ``lightgbm.LGBMRanker``, except `objective`.

    Attributes
    ----------
    loss_ : Loss
        The loss object that was trained on.

    Examples
    --------
    >>> import numpy as np, fastloss as fl, fastloss.lightgbm
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> y = (X[:, 0] == X[:, 0].reshape(200, 5).max(axis=1).repeat(5)).astype(float)
    >>> model = fl.lightgbm.LGBMRanker(loss=fl.GroupSoftmax(), n_estimators=20, verbose=-1)
    >>> scores = model.fit(X, y, group=np.full(200, 5)).predict(X)
    >>> bool(fl.group_softmax(scores, y, group=np.full(200, 5)) < 0.5)
    True
    """

    def __init__(self, loss: Loss | str = "group_softmax", *, curvature: str = "auto", **kwargs: Any) -> None:
        self.loss = loss
        self.curvature = curvature
        super().__init__(**kwargs)


def _constant(start: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    if len(start) == 1:
        return np.full(n, start[0])
    return np.asfortranarray(np.broadcast_to(start, (n, len(start))))


def _eval_sets(eval_set: Any, eval_X: Any, eval_y: Any) -> list[tuple[Any, Any]]:
    """Evaluation sets as pairs, in whichever way they were given."""
    if (eval_X is None) != (eval_y is None):
        raise ValueError("eval_X and eval_y must be given together")
    if eval_X is not None:
        return list(zip(eval_X, eval_y, strict=True)) if isinstance(eval_X, tuple) else [(eval_X, eval_y)]
    return [eval_set] if isinstance(eval_set, tuple) else list(eval_set or ())


def _names(metric: Any) -> list[Any]:
    return [name.strip() for name in metric.split(",")] if isinstance(metric, str) else list(metric or ())


def _look_for_splits(environment: Any) -> None:
    """Stop before LightGBM's C++ does, with a failed check, where no column can be split."""
    data = environment.model.train_set
    if environment.iteration == environment.begin_iteration and not any(
        data.feature_num_bin(column) for column in range(data.num_feature())
    ):
        raise _NothingToSplit


_look_for_splits.before_iteration = True  # type: ignore[attr-defined]


def _add_to_first_trees(booster: lightgbm.Booster, start: NDArray[np.float64]) -> None:
    """Make the start value part of the model, so that it is there wherever the model goes."""
    text = booster.model_to_string(start_iteration=0, num_iteration=1)
    leaves = [int(n) for n in re.findall(r"^num_leaves=(\d+)$", text, re.MULTILINE)]
    if len(leaves) != len(start):
        raise RuntimeError(f"LightGBM grew {len(leaves)} first trees for {len(start)} raw scores")
    for tree, (count, value) in enumerate(zip(leaves, start, strict=True)):
        for leaf in range(count):
            booster.set_leaf_output(tree, leaf, booster.get_leaf_output(tree, leaf) + value)
