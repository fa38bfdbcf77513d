"""Any loss in scikit-learn's HistGradientBoosting*, through the private interface of their own losses."""

# mypy: allow-subclassing-any, no-warn-return-any

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import sklearn
from sklearn import ensemble
from sklearn.utils.validation import check_is_fitted

from .. import _boosters, _call
from .._kernels import Loss, RowwiseLoss, SetLoss
from .._resolve import resolve, with_parameters
from .._threads import num_threads
from ..distribution import _LogLinkLoss
from ..regression import _RegressionLoss

try:
    from sklearn._loss.loss import BaseLoss
except ImportError:  # said when somebody asks for a loss
    BaseLoss = object

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from typing_extensions import Self

__all__ = ["HistGradientBoostingRegressor", "hist_gradient_boosting_loss"]

# What HistGradientBoosting* of scikit-learn 1.2 to 1.9 ask of a loss.
INTERFACE = ("__call__", "fit_intercept_only", "gradient", "gradient_hessian", "init_gradient_and_hessian")

CURVATURES = ("auto", "psd", "majorize", "fisher")


def hist_gradient_boosting_loss(loss: str | Loss, *, curvature: str = "auto") -> Any:
    """
    Return a loss as HistGradientBoostingClassifier and HistGradientBoostingRegressor take it: ``loss=``.

    Parameters
    ----------
    loss : Loss or str
        A loss object, or the name of one with its defaults. Losses of regression and with a log link go with the
        regressor, binary and row-wise ones with the classifier; more than two classes take a row-wise one.
    curvature : {"auto", "psd", "majorize", "fisher"}, default "auto"
        What stands for the Hessian, which must be positive. "majorize" makes smaller steps, which do not overshoot.
        "auto" is the kind that trained best with this loss.

    Returns
    -------
    sklearn._loss.loss.BaseLoss
        To be cloned, pickled, or searched over like any other parameter. It remembers the number of classes of the last
        fit, so estimators that are fitted at the same time in threads need one each; `sklearn.base.clone` sees to it.

    Raises
    ------
    ImportError
        If this version of scikit-learn has another interface: it is private, and not promised to stay.
    TypeError
        If `loss` is none, or one of whole sets (Dice, Jaccard, SoftF1, Tversky), whose rows have no losses of their
        own.
    ValueError
        If `curvature` is none of the four. When fitted: if targets are not what the loss takes, or there are monotonic
        constraints and the loss has kinks (AbsoluteError, EpsilonInsensitive, Quantile).

    Notes
    -----
    Boosting starts from ``loss.init_score``; ``predict`` of the regressor is ``loss.inverse_link``, ``predict_proba``
    of the classifier ``loss.predict_proba``, the posterior (it raises for hinge losses, which have none). ``predict``
    of the classifier takes the class of the largest score: where the loss weights classes, that is the class of the
    largest *weighted* probability.

    Sample weights multiply gradients and Hessians, ``class_weight`` of the classifier is made into sample weights, and
    early stopping with ``scoring="loss"`` looks at this loss. Derivatives are written into scikit-learn's float32
    arrays without a copy, on as many threads as it uses itself.

    With `BinaryCrossEntropy`, `CrossEntropy`, `Poisson` and, if ``curvature="psd"``, `Gamma` the trees are those of
    scikit-learn's own losses.
    `SquaredError` is twice scikit-learn's half squared error: the trees are the same if ``l2_regularization`` is
    doubled. `AbsoluteError` differs in rows that lie exactly at their prediction (gradient 0 here, -1 there) and in the
    median of weighted rows; `Quantile` puts an exact minimiser into each leaf, where scikit-learn interpolates between
    rows. Trees are not grown where the Hessians of a node sum to less than 1e-3, so losses of a tiny scale (targets in
    millionths) should be scaled up.

    Examples
    --------
    >>> import fastloss as fl
    >>> from fastloss.sklearn import hist_gradient_boosting_loss
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> loss = hist_gradient_boosting_loss(fl.BinaryFocal(gamma=1.0))
    >>> model = HistGradientBoostingClassifier(loss=loss, max_iter=20).fit(X, y)
    >>> model.predict_proba(X).shape
    (569, 2)
    """
    _check_interface("hist_gradient_boosting_loss")
    found = resolve(loss)
    if isinstance(found, SetLoss):
        raise TypeError(
            f"{found.name} is a loss of a whole set, not of rows, and trees are grown from the losses of rows: use a "
            f"binary loss, such as BinaryFocal"
        )
    if found.kind == "columns":
        raise TypeError(
            f"{found.name} is a loss of several numbers a row, and scikit-learn's regressor grows one tree a round: "
            "use fastloss.sklearn.HistGradientBoostingRegressor(loss=...)"
        )
    if found.target_domain == "classes":
        raise TypeError(
            f"{found.name} is a loss of ordered classes by one score, which scikit-learn does not have: use "
            "the regressors of fastloss.sklearn, fastloss.lightgbm or fastloss.xgboost"
        )
    if found.kind == "segments":
        if found._belongs == "group" or found.n_columns_ != 1:
            raise TypeError(
                f"{found!r} needs what scikit-learn's trees have no place for, groups of rows or several numbers a "
                "row: use fastloss.lightgbm or fastloss.xgboost"
            )
        return _BoostedTimes(found, curvature)
    is_regression = isinstance(found, (_RegressionLoss, _LogLinkLoss))
    return (_BoostedRegression if is_regression else _BoostedClassification)(found, curvature)


def _check_interface(name: str) -> None:
    missing = [name for name in INTERFACE if not hasattr(BaseLoss, name)]
    constraints = getattr(ensemble.HistGradientBoostingRegressor, "_parameter_constraints", {})
    if missing or BaseLoss not in constraints.get("loss", ()):
        lacks = f"its losses have no {', '.join(missing)}" if missing else "it takes no objects as loss"
        raise ImportError(
            f"{name} uses a private interface of scikit-learn, which version {sklearn.__version__} does not have: "
            f"{lacks}. Versions 1.2 to 1.9 have it"
        )


class _Link:
    def __init__(self, loss: Any) -> None:
        self._loss = loss

    def inverse(self, raw_prediction: np.ndarray) -> np.ndarray:
        if isinstance(self._loss, RowwiseLoss):
            raise ValueError(f"{self._loss.name} is a loss of classes: use HistGradientBoostingClassifier")
        return self._loss.inverse_link(raw_prediction)


class _BoostedRegression(BaseLoss):
    """A pointwise loss as scikit-learn calls it. Arrays come as y (n,), raw scores (n, 1) and weights (n,) or None."""

    approx_hessian = True
    is_multiclass = False
    n_classes: int | None = None

    # scikit-learn's own __init__ wants compiled functions, which nobody calls once the methods below are there.
    def __init__(self, loss: Any, curvature: str) -> None:
        _call.check_choice("curvature", curvature, CURVATURES)
        self._loss = loss
        self._chosen = curvature
        self._curvature = _boosters.hessian_of(loss, curvature)
        self.closs = None
        self.link = _Link(loss)
        self.differentiable = not loss.traits.refits_leaves
        self.constant_hessian = False
        self._by_row = isinstance(loss, RowwiseLoss)

    def __repr__(self) -> str:
        curvature = "" if self._chosen == "auto" else f", curvature={self._chosen!r}"
        return f"hist_gradient_boosting_loss({self._loss!r}{curvature})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the loss, and the curvature: ``loss__gamma`` and ``loss__curvature`` of a search."""
        return {**self._loss.parameters, "curvature": self._chosen}

    def set_params(self, curvature: str | None = None, **parameters: Any) -> _BoostedRegression:
        """Take another loss of the same class, and another curvature."""
        loss = with_parameters(self._loss, parameters)
        self.__init__(loss, self._chosen if curvature is None else curvature)  # type: ignore[misc]
        return self

    def __sklearn_clone__(self) -> _BoostedRegression:
        return type(self)(self._loss, self._chosen)

    def __getattr__(self, name: str) -> Any:
        # An attribute that says whether this is a loss of classification; AttributeError is the answer "no".
        if name == "predict_proba":
            raise AttributeError(f"{self._loss.name} is a loss of regression: use HistGradientBoostingRegressor")
        raise AttributeError(name)

    def _operands(self, y_true: np.ndarray, raw_prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return scores and targets as the loss takes them."""
        if raw_prediction.ndim == 2:
            raw_prediction = _only_column(raw_prediction, self._loss)
        return raw_prediction, y_true

    def __call__(self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, n_threads: int = 1) -> float:
        with num_threads(n_threads):
            return self._loss(*self._operands(y_true, raw_prediction), sample_weight=sample_weight)

    def loss(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, loss_out: Any = None, n_threads: int = 1
    ) -> np.ndarray:
        with num_threads(n_threads):
            z, target = self._operands(y_true, raw_prediction)
            values = self._loss(z, target, sample_weight=sample_weight, reduction="none")
        if loss_out is None:
            return values
        loss_out[...] = values
        return loss_out

    def gradient(
        self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, gradient_out: Any = None, n_threads: int = 1
    ) -> np.ndarray:
        z, target = self._operands(y_true, raw_prediction)
        options = {"sample_weight": sample_weight, "reduction": "sum", "gradient_out": gradient_out}
        with num_threads(n_threads):
            return self._loss.gradient(z, target, **options)

    def gradient_hessian(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        gradient_out: Any = None,
        hessian_out: Any = None,
        n_threads: int = 1,
    ) -> tuple[np.ndarray, np.ndarray]:
        z, target = self._operands(y_true, raw_prediction)
        outputs = {"gradient_out": gradient_out, "hessian_out": hessian_out}
        options = {"sample_weight": sample_weight, "reduction": "sum", "curvature": self._curvature}
        with num_threads(n_threads):
            return self._loss.gradient_and_hessian(z, target, **options, **outputs)

    def fit_intercept_only(self, y_true: Any, sample_weight: Any = None) -> Any:
        if not self.differentiable:
            _refuse_monotonic_leaves(self._loss)
        return np.float64(self._loss.init_score(y_true, sample_weight))


class _BoostedTimes(_BoostedRegression):
    """A loss of survival times: y holds those of events and, negative, of censoring; sorted once for each data set."""

    def __init__(self, loss: Any, curvature: str) -> None:
        super().__init__(loss, curvature)
        self._known: list[tuple[Any, Any, Any]] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known": []}

    def _prepared(self, y_true: Any, sample_weight: Any) -> Any:
        for y, weight, prepared in self._known:
            if _boosters.is_same(y, y_true) and _boosters.is_same(weight, sample_weight):
                return prepared
        prepared = self._loss.prepare(y_true, sample_weight)
        self._known[:] = [(y_true, sample_weight, prepared), *self._known[:1]]  # those of training and of validation
        return prepared

    def __call__(self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, n_threads: int = 1) -> float:
        with num_threads(n_threads):
            z, target = self._operands(y_true, raw_prediction)
            return float(self._prepared(target, sample_weight)(z))

    def gradient_hessian(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        gradient_out: Any = None,
        hessian_out: Any = None,
        n_threads: int = 1,
    ) -> tuple[np.ndarray, np.ndarray]:
        z, target = self._operands(y_true, raw_prediction)
        options = {"gradient_out": gradient_out, "hessian_out": hessian_out, "curvature": self._curvature}
        with num_threads(n_threads):
            return self._prepared(target, sample_weight).gradient_and_hessian(z, reduction="sum", **options)


class _BoostedOutputs(_BoostedRegression):
    """A loss of several numbers a row, or of several targets: raw scores are (n, P), and y numbers the rows."""

    is_multiclass = True  # P trees a round

    def __init__(self, loss: Any, curvature: str, targets: list[np.ndarray], outputs: int) -> None:
        super().__init__(loss, curvature)
        self.n_classes = outputs
        self.differentiable = True  # scikit-learn refits leaves from differences of y and scores
        self.training = _boosters.Training(loss, curvature, targets)

    def __call__(self, y_true: Any, raw_prediction: Any, sample_weight: Any = None, n_threads: int = 1) -> float:
        with num_threads(n_threads):
            return self.training.metric(y_true, raw_prediction, sample_weight)

    def gradient_hessian(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        gradient_out: Any = None,
        hessian_out: Any = None,
        n_threads: int = 1,
    ) -> tuple[np.ndarray, np.ndarray]:
        target, weight = self.training.operands(y_true, sample_weight)
        outputs = {"gradient_out": gradient_out, "hessian_out": hessian_out}
        options = {"sample_weight": weight, "reduction": "sum", "curvature": self._curvature}
        with num_threads(n_threads):
            return self._loss.gradient_and_hessian(raw_prediction, target, **options, **outputs)

    def fit_intercept_only(self, y_true: Any, sample_weight: Any = None) -> Any:
        target = y_true if self.training.rows is None else self.training.rows[y_true.astype(np.intp)]
        return _boosters.start_scores(self._loss, target, sample_weight, int(self.n_classes or 1))


class HistGradientBoostingRegressor(_boosters.Regression, ensemble.HistGradientBoostingRegressor):
    """
    scikit-learn's HistGradientBoostingRegressor, trained on any loss of real targets, of one or several numbers a row.

    Of a loss of several numbers a row, such as `GaussianNLL` or `Quantiles`, and of several targets, as many trees
    are grown in each round. Training starts at the constant that minimises the loss, and early stopping with
    ``scoring="loss"``, the default, looks at the loss itself.

    Parameters
    ----------
    loss : Loss or str, default "squared_error"
        A loss of this package, or its name. Binary losses are for y in [0, 1], and predict probabilities.
    curvature : {"auto", "psd", "majorize", "fisher"}, default "auto"
        What stands for the Hessian, which must be positive; "auto" is the kind that trained best with this loss.
    **kwargs
        The parameters of ``sklearn.ensemble.HistGradientBoostingRegressor``, except `quantile`, which is one of
        `fastloss.Quantile`.

    Attributes
    ----------
    loss_ : Loss
        The loss object that was trained on.
    init_score_ : ndarray of shape (1,), (P,) or (m,)
        The raw scores that training started from.

    See Also
    --------
    hist_gradient_boosting_loss : losses of one prediction, and of classes, in scikit-learn's own estimators.

    Examples
    --------
    >>> import numpy as np, fastloss as fl
    >>> from fastloss.sklearn import HistGradientBoostingRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 2))
    >>> y = X[:, 0] + np.exp(X[:, 1] / 2) * rng.normal(size=1000)
    >>> model = HistGradientBoostingRegressor(fl.GaussianNLL(), max_iter=30, max_leaf_nodes=7).fit(X, y)
    >>> model.predict_quantiles(X[:3], [0.1, 0.9]).shape
    (3, 2)
    """

    library = "sklearn"
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **getattr(ensemble.HistGradientBoostingRegressor, "_parameter_constraints", {}),
        "loss": [str, Loss],
    }

    def __init__(self, loss: Loss | str = "squared_error", *, curvature: str = "auto", **kwargs: Any) -> None:
        if "quantile" in kwargs:
            raise TypeError("quantile is a parameter of the loss: pass loss=fastloss.Quantile(q=...)")
        super().__init__(loss, **kwargs)
        self.curvature = curvature

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self:
        """
        Train.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        y : array_like of shape (n,) or (n, m)
            Numbers in the domain of the loss. Of several targets, which losses of one prediction and one target take,
            nan or what is masked is missing.
        sample_weight : array_like of shape (n,), optional
            Multiplies each row's loss.
        X_val, y_val, sample_weight_val : array_like, optional
            What early stopping looks at instead of a part of the rows, as scikit-learn takes it from version 1.7 on.

        Returns
        -------
        self
            The estimator.

        Raises
        ------
        ValueError
            If y is not what the loss takes, or a parameter would count for nothing here.
        TypeError
            If the loss is one of groups of rows, or of times whose scale is fitted.
        """
        _check_interface("HistGradientBoostingRegressor")
        fit = self._begin(y, sample_weight, [] if y_val is None else [y_val], True)
        outputs = self._n_outputs()
        targets = [fit.targets, *fit.eval_targets]
        if self.loss_.kind == "segments":
            if fit.targets.ndim == 2:
                raise ValueError("y of bounds of times is for the regressors of fastloss.lightgbm or fastloss.xgboost")
            self._loss = hist_gradient_boosting_loss(self.loss_, curvature=self.curvature)
        elif outputs == 1:
            self._loss = _BoostedRegression(self.loss_, self.curvature)
        else:
            if fit.targets.ndim == 2 and self.scoring != "loss":
                raise ValueError(f"scoring must be 'loss' with several targets; got {self.scoring!r}")
            self._loss = _BoostedOutputs(self.loss_, self.curvature, targets, outputs)
            targets = self._loss.training.labels
        options = {"X_val": X_val, "y_val": None if y_val is None else targets[1]}
        options["sample_weight_val"] = sample_weight_val
        given = {name: value for name, value in options.items() if value is not None}
        try:
            super().fit(X, targets[0], sample_weight, **given)
        finally:
            if isinstance(self._loss, _BoostedOutputs):
                self._loss.training.forget()
        self.init_score_ = self._baseline_prediction.ravel()
        self._take_baseline(X, fit, None)
        return self

    # What scikit-learn's own regressor asks itself: trees a round, and the loss that a name stands for.

    def _encode_y(self, y: Any) -> Any:
        self.n_trees_per_iteration_ = self._n_outputs()
        return y.astype(np.float64, copy=False)

    def _get_loss(self, sample_weight: Any) -> Any:
        return self._loss

    def _raw_scores(self, X: Any, options: dict[str, Any]) -> NDArray[Any]:
        check_is_fitted(self)
        return self._as_scores(self._raw_predict(X, **options))

    def _as_scores(self, raw_prediction: NDArray[Any]) -> NDArray[Any]:
        return raw_prediction[:, 0] if self._n_outputs() == 1 else raw_prediction

    def predict(self, X: Any) -> NDArray[Any]:
        """
        Return predictions on the scale of y.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.

        Returns
        -------
        ndarray of shape (n,), (n, m) or (n, Q)
            The inverse link of the raw scores; of a distribution its mean; of several targets or quantiles a column
            each.
        """
        return self._predicted(self._raw_scores(X, {}))

    def staged_predict(self, X: Any) -> Iterator[NDArray[Any]]:
        """
        Predict with the trees of the first round, of more, and so on.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.

        Yields
        ------
        ndarray
            What `predict` returns.
        """
        for raw_prediction in self._staged_raw_predict(X):
            yield self._predicted(self._as_scores(raw_prediction))


def _signature() -> inspect.Signature:
    """Return the parameters of scikit-learn's regressor, and of ours: what `get_params` and editors go by."""
    theirs = inspect.signature(ensemble.HistGradientBoostingRegressor.__init__)
    curvature = inspect.Parameter("curvature", inspect.Parameter.KEYWORD_ONLY, default="auto")
    return theirs.replace(parameters=[*(p for p in theirs.parameters.values() if p.name != "quantile"), curvature])


vars(HistGradientBoostingRegressor)["__init__"].__signature__ = _signature()


class _BoostedClassification(_BoostedRegression):
    """A binary or row-wise loss as scikit-learn calls it: y holds class indices, raw scores are (n, 1) or (n, K)."""

    def _operands(self, y_true: np.ndarray, raw_prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not self._by_row:
            return super()._operands(y_true, raw_prediction)
        return self._logits(raw_prediction), y_true.astype(np.intp)

    def _logits(self, raw_prediction: np.ndarray) -> np.ndarray:
        """Return the scores of all classes; of two, boosting knows one: 0 is that of the other."""
        if self.is_multiclass:
            return raw_prediction
        logits = np.zeros((len(raw_prediction), 2), raw_prediction.dtype, order="F")
        logits[:, 1] = raw_prediction if raw_prediction.ndim == 1 else _only_column(raw_prediction, self._loss)
        return logits

    def gradient_hessian(
        self,
        y_true: Any,
        raw_prediction: Any,
        sample_weight: Any = None,
        gradient_out: Any = None,
        hessian_out: Any = None,
        n_threads: int = 1,
    ) -> tuple[np.ndarray, np.ndarray]:
        if self.is_multiclass or not self._by_row:
            return super().gradient_hessian(y_true, raw_prediction, sample_weight, gradient_out, hessian_out, n_threads)
        of_both = super().gradient_hessian(y_true, raw_prediction, sample_weight, n_threads=n_threads)
        of_second = []
        for derivative, out in zip(of_both, (gradient_out, hessian_out), strict=True):
            if out is not None:
                out[...] = derivative[:, 1]
            of_second.append(derivative[:, 1] if out is None else out)
        return of_second[0], of_second[1]

    def fit_intercept_only(self, y_true: Any, sample_weight: Any = None) -> Any:
        n_classes = max(2, int(np.max(y_true)) + 1)
        if not self._by_row:
            if n_classes > 2:
                raise ValueError(
                    f"{self._loss.name} scores one class against another, but y has {n_classes} classes: use a "
                    f"row-wise loss, such as CrossEntropy or Focal"
                )
            return super().fit_intercept_only(y_true, sample_weight)
        self.n_classes, self.is_multiclass = n_classes, n_classes > 2
        # Not as integers yet: numbers of regression are refused here.
        scores = self._loss.init_score(y_true, sample_weight, n_classes=n_classes)
        return scores if self.is_multiclass else np.float64(scores[1] - scores[0])

    def predict_proba(self, raw_prediction: np.ndarray) -> np.ndarray:
        if self._by_row:
            is_one = raw_prediction.shape[1] == 1
            return self._loss.predict_proba(self._logits(raw_prediction) if is_one else raw_prediction)
        positive = self._loss.predict_proba(_only_column(raw_prediction, self._loss))
        return np.stack([1 - positive, positive], axis=1)


def _refuse_monotonic_leaves(loss: Any) -> None:
    """Refuse new values for the leaves of a constrained tree: scikit-learn does not hold them to the constraints."""
    # Nothing that a loss is given says which tree it is for; only what calls fit_intercept_only knows.
    grower = sys._getframe(2).f_locals.get("grower")
    if getattr(grower, "with_monotonic_cst", False):
        raise ValueError(
            f"monotonic_cst must be None with {loss.name}: scikit-learn sets the leaves of its trees to their best "
            f"constants afterwards, where they are not monotonic any more (nor with its own absolute_error and "
            f"quantile); use a loss without kinks, such as Huber or Expectile"
        )


def _only_column(raw_prediction: np.ndarray, loss: Any) -> np.ndarray:
    if raw_prediction.shape[1] != 1:
        raise ValueError(
            f"{loss.name} takes one score for each row, but the estimator makes {raw_prediction.shape[1]}: "
            f"more than two classes need a row-wise loss, such as CrossEntropy or Focal"
        )
    return raw_prediction[:, 0]
