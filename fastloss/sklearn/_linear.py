"""Linear models of any loss: classifier and regressor."""

from __future__ import annotations

import contextlib
import copy
import functools
import math
import numbers
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import compute_class_weight
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    assert_all_finite,
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped, unused-ignore]

import fastloss as fl

from .. import _call
from .._kernels import RowwiseLoss, SetLoss
from .._labels import encode
from .._resolve import HasLoss
from ..combined import LossSum
from ._bounded import Bounds, clipped
from ._distributions import OfDistributions
from ._objective import (
    Columns,
    Kinks,
    KinksOfColumns,
    MeanLoss,
    OneAgainstRest,
    RankKinks,
    Rows,
    Scores,
    SeveralNumbers,
    SumOfScores,
    TwoClasses,
    columns_of,
)
from ._options import checked_bounds, checked_offset, checked_penalty_weight, checked_sum, level, resolve
from ._quadratic import Found, is_quadratic, minima
from ._solvers import MOST_NEWTON, OUT_OF_STEPS, SOLVERS, Fit, Problem, Progress, choose, solve, takes_matrix, width_of
from ._together import OfRowsTogether

if TYPE_CHECKING:
    from ._inference import Inference

PENALTIES = ("l1", "l2", "elasticnet")
SEVERAL_TARGETS = "for several columns of classes fit a model to each, as scikit-learn's MultiOutputClassifier does"
# Larger arrays are checked for nan and inf by the gradient, where they cannot hide, and not in a pass of their own.
CHECKED_AT_ONCE = 1 << 20
# Threads cost more than they bring below this many features.
ONE_THREAD = 1 << 18
# So many fits do not pay for a matrix.
FEW_FITS = 4
# Rows that the first intercept is computed of.
ROWS_FOR_START = 1 << 14


class Prepared(NamedTuple):
    """What X is fitted to, as the solvers take it."""

    loss: Any
    target: np.ndarray
    weight: np.ndarray | None
    n_outputs: int
    one_hot: bool


class CoefficientPath(NamedTuple):
    """Coefficients of the fits along a path; the last axis is that of `alphas`."""

    alphas: np.ndarray
    coefs: np.ndarray
    intercepts: np.ndarray


class _LossModel(HasLoss, BaseEstimator):  # type: ignore[misc, unused-ignore]
    """What both estimators share: parameters, solvers, scores."""

    def __init__(
        self,
        loss: Any,
        *,
        penalty: str | None,
        alpha: float,
        l1_ratio: float,
        fit_intercept: bool,
        solver: str,
        max_iter: int,
        tol: float,
        warm_start: bool,
        verbose: int,
        penalty_weight: Any,
        bounds: Any,
        positive: bool,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.verbose = verbose
        self.penalty_weight = penalty_weight
        self.bounds = bounds
        self.positive = positive

    # Of the rows that a fold is scored by, where a scorer knows of none.
    _offset_of_fold: Any = None
    # What partial_fit remembers.
    _stream: Any = None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _checked_penalty(self) -> tuple[float, float]:
        """Check the parameters; return the amounts of L1 and L2."""
        _call.check_choice("solver", self.solver, ("auto", *SOLVERS))
        if self.penalty is not None and self.penalty not in PENALTIES:
            raise ValueError(f"penalty must be None, 'l1', 'l2' or 'elasticnet', got {self.penalty!r}")
        for name, low, high in (("alpha", 0.0, math.inf), ("l1_ratio", 0.0, 1.0), ("tol", 0.0, math.inf)):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float, np.floating, np.integer)):
                raise TypeError(f"{name} must be a number, not {type(value).__name__}")
            if not (low <= value <= high) or math.isinf(value) or (name == "tol" and value == 0):
                raise ValueError(
                    f"{name} must lie in [{low:g}, {high:g}), got {value!r}"
                    if name != "l1_ratio"
                    else f"l1_ratio must lie in [0, 1], got {value!r}"
                )
        if not isinstance(self.max_iter, numbers.Integral) or isinstance(self.max_iter, bool):
            raise TypeError(f"max_iter must be an integer, not {type(self.max_iter).__name__}")
        if self.max_iter < 1:
            raise ValueError(f"max_iter must be at least 1, got {self.max_iter}")
        l1_share = {None: 0.0, "l2": 0.0, "l1": 1.0, "elasticnet": float(self.l1_ratio)}[self.penalty]
        alpha = 0.0 if self.penalty is None else float(self.alpha)
        return alpha * l1_share, alpha * (1.0 - l1_share)

    def _checked_features(self, x: Any, reset: bool) -> Any:
        """Return X as float64 or float32, dense or CSR, as it lies in memory."""
        lazy = reset and type(x) is np.ndarray and x.dtype.kind == "f" and x.size > CHECKED_AT_ONCE
        x = validate_data(
            self,
            x,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            reset=reset,
            ensure_all_finite=not lazy,
        )
        if isinstance(x, np.ndarray) and not (x.flags.c_contiguous or x.flags.f_contiguous):
            # Rows or columns far from each other in memory: BLAS would copy each block each time.
            x = np.ascontiguousarray(x)
        return x

    def fit_blocks(self, blocks: Any) -> Any:
        """
        Fit the model in passes over blocks of rows, of which there is one at a time in memory.

        The same model as that of `fit` to all rows: every iteration goes through all blocks, and losses with kinks are
        rounded over `tol` times the spread of the targets. Newton's method takes few passes; more than 1500
        coefficients take L-BFGS, with more. Coordinate descent, which needs columns, is not among the solvers here.

        Parameters
        ----------
        blocks : iterable of (X, y), (X, y, weight) or (X, y, weight, offset)
            Must start anew each time it is gone through, with the same rows: a list, or an object whose ``__iter__``
            reads files. Each of X, y, weight and offset is as for `fit`; None is no weight and no offset.

        Returns
        -------
        estimator
            Itself.

        Raises
        ------
        TypeError
            If `blocks` is an iterator, which ends after one pass, or a block is no such tuple.
        ValueError
            As `fit` does; or if passes find different numbers of rows.

        Warns
        -----
        ConvergenceWarning
            As for `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastloss.sklearn import LossRegressor
        >>> class Rows:
        ...     def __iter__(self):
        ...         for seed in range(10):
        ...             x = np.random.default_rng(seed).normal(size=(100, 2))
        ...             yield x, 3 * x[:, 0] + 1
        >>> model = LossRegressor("squared_error", penalty=None).fit_blocks(Rows())
        >>> bool(np.allclose([*model.coef_, model.intercept_], [3, 0, 1], atol=1e-6))
        True
        """
        from ._blocks import fit_blocks

        fit_blocks(self, blocks)
        self._stream = None
        return self

    def path(
        self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None, *, alphas: Any = None
    ) -> CoefficientPath:
        """
        Return the coefficients of the fits with some `alpha`, each from the one before; the model stays as it is.

        The same as a loop of `fit` with ``warm_start=True``, but what does not depend on `alpha` is done once: for many
        small fits, or a path of the lasso, this takes a fraction of the time.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            As for `fit`.
        y : array_like
            As for `fit`.
        sample_weight : array_like of shape (n,), optional
            As for `fit`.
        offset : array_like, optional
            As for `fit`.
        alphas : int or array_like, optional
            The amounts, or how many, as for `LossRegressorCV`; 100 by default.

        Returns
        -------
        CoefficientPath
            ``alphas`` of shape (n_alphas,), falling; ``coefs``, in the shape of `coef_` with a last axis of alphas; and
            ``intercepts``, of shape (n_alphas,) or (n_outputs, n_alphas).

        Raises
        ------
        ValueError
            As for `fit`; or without a penalty.

        Warns
        -----
        ConvergenceWarning
            As for `fit`, of each amount.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from fastloss.sklearn import LossRegressor
        >>> X, y = load_diabetes(return_X_y=True)
        >>> alphas, coefs, intercepts = LossRegressor("huber", penalty="l1").path(X, y, alphas=20)
        >>> coefs.shape, intercepts.shape
        ((10, 20), (20,))
        """
        from ._cv import alphas_of, checked_alphas

        if self.penalty is None:
            raise ValueError("penalty must be 'l1', 'l2' or 'elasticnet': without one there is no path")
        model: Any = copy.copy(self)
        model.warm_start = False
        along = checked_alphas(alphas)
        with model._fits(X, y, sample_weight, offset) as fits:
            if isinstance(along, int):
                added = fits.offset
                added = added[:, 0] if added is not None and fits.rows.n_outputs == 1 else added
                along = alphas_of(along, model, fits.x, fits.rows, added)
            thetas = np.stack(list(fits.along(model, along)))
            model._keep_fit(fits, thetas[-1])
            coefs, intercepts = thetas[..., : fits.x.shape[1]], thetas[..., -1] * bool(self.fit_intercept)
            shapes = (len(along), *model.coef_.shape), (len(along), *np.shape(model.intercept_))
        coefs, intercepts = (
            np.moveaxis(each.astype(fits.x.dtype).reshape(shape), 0, -1)
            for each, shape in zip((coefs, intercepts), shapes, strict=True)
        )
        return CoefficientPath(along, coefs, intercepts)

    def inference(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        offset: Any = None,
        *,
        covariance: str = "model",
        clusters: Any = None,
        strata: Any = None,
        group: Any = None,
    ) -> Inference:
        """
        Return standard errors of the coefficients of the fitted model; printed, they are a table.

        With the Hessian H and the penalty P of the summed objective, g_i the gradients of the rows (of the clusters)
        and c a correction for small samples:

        - "model": inv(H + P) H inv(H + P), if the loss is a likelihood, times the dispersion that
          the rows show (`SquaredError`, `Gamma`, `Tweedie`, `InverseGaussian`, with the expected Hessian).
        - "robust": c inv(H + P) sum g_i g_i' inv(H + P), c = n / (n - p), for any smooth loss.
        - "cluster": the same with the sums of each cluster, c = G / (G - 1) (n - 1) / (n - p) for G clusters.

        Of `fastloss.CoxPH` g_i are the score residuals of Lin and Wei [1]_, of `GroupSoftmax` the gradients of the
        groups, whose number n is. With a fitted scale of `AFT` its logarithm is the last coefficient.

        A penalty draws coefficients to 0, of which errors say nothing. The coefficients of all classes of a loss of
        rows are known up to what is the same for all: their errors are those of distances from the mean of the classes.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features that the model was fitted to.
        y : array_like of shape (n,) or (n, K)
            Its targets.
        sample_weight : array_like of shape (n,), optional
            Numbers of rows.
        offset : array_like, optional
            As in `fit`.
        covariance : {"model", "robust", "cluster"}, default "model"
            As above.
        clusters : array_like of shape (n,), optional
            Labels of what rows belong to, for "cluster".
        strata, group : array_like, optional
            As in `fit` of `LossRegressor`.

        Returns
        -------
        Inference
            With ``standard_errors``, ``z_values``, ``p_values``, ``confidence_interval(level)``, ``covariance``.

        Raises
        ------
        ValueError
            With an L1 norm or bounds, whose coefficients are no smooth function of the rows; for losses with kinks; for
            "model" if the loss is no likelihood; for `PairwiseLogistic`.

        References
        ----------
        .. [1] Lin, Wei (1989), The robust inference for the Cox proportional hazards model, Journal of the American
           Statistical Association 84, https://doi.org/10.1080/01621459.1989.10478874

        Examples
        --------
        >>> import numpy as np
        >>> from fastloss.sklearn import LossRegressor
        >>> rng = np.random.default_rng(0)
        >>> X = rng.normal(size=(400, 2))
        >>> y = rng.poisson(np.exp(X[:, 0] / 2))
        >>> found = LossRegressor("poisson", penalty=None).fit(X, y).inference(X, y, covariance="robust")
        >>> (found.p_values < 0.01).tolist()
        [True, False, False]
        """
        from ._inference import inference

        belongs = {"strata": strata, "group": group}
        return inference(self, X, y, sample_weight, offset, covariance, clusters, belongs)

    def _checked_data(self, x: Any, y: Any) -> Any:
        """Check loss and parameters, and that there is a target; return X."""
        self._checked_loss()
        self._checked_penalty()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        return self._checked_features(x, reset=True)

    def _checked_loss(self) -> Any:
        """Return the loss, if it is one for this estimator."""
        raise NotImplementedError

    def _checked_weight(self, x: Any, sample_weight: Any) -> np.ndarray | None:
        if sample_weight is None:
            return None
        weight = self._weight_of_rows(x, sample_weight)
        if not np.any(weight):
            raise ValueError("Sample weights must contain at least one non-zero number.")
        return weight

    @staticmethod
    def _weight_of_rows(x: Any, sample_weight: Any) -> np.ndarray:
        weight: np.ndarray = _check_sample_weight(sample_weight, x, dtype=x.dtype, ensure_non_negative=True)
        return weight

    def _fits(self, X: Any, y: Any, sample_weight: Any, offset: Any) -> Fits:
        """Check all that is given; return what fits it."""
        raise NotImplementedError

    def _keep_fit(self, fits: Fits, theta: np.ndarray) -> None:
        self._keep(theta, fits.x.shape[1], fits.x.dtype, *fits.kept)
        self._stream = None

    def _keep(self, theta: np.ndarray, n_features: int, dtype: Any, *of_targets: Any) -> None:
        """Set the coefficients and what else there is of a fit."""
        raise NotImplementedError

    def _problem(
        self, stages: list[tuple[Scores, bool]], columns: Columns, magnitude: Any, loss: Any
    ) -> tuple[Problem, np.ndarray, Bounds | None]:
        """Return the problem in coordinates, which features have no penalty, and the bounds of coefficients."""
        l1, l2 = self._checked_penalty()
        n_features = len(columns.spread)
        penalty_weight = checked_penalty_weight(self.penalty_weight, n_features)
        factor = np.ones(n_features) if penalty_weight is None else penalty_weight
        bounds = checked_bounds(self.bounds, self.positive, n_features)
        alone = l1 == 0 and bounds is None
        alike = bool(np.all(factor == factor[0]))
        # The penalty is that of the coefficients of X as it is.
        of_intercept = np.zeros(int(self.fit_intercept))
        problem = Problem(
            stages=stages,
            l1=np.append(l1 * factor / columns.spread, of_intercept),
            l2=np.append(l2 * factor / np.square(columns.spread), of_intercept),
            limits=np.asarray(magnitude)[:, None] * np.ones(n_features + len(of_intercept)),
            solver=self.solver,
            rounded=loss.traits.has_kinks,
            ridge=l2 * factor[0] if alone and alike else 0.0,
            bounds=self._bounds_of_coordinates(bounds, columns, loss),
            held=l2 * factor if alone and not alike and l2 > 0 and np.all(factor > 0) else None,
        )
        return problem, (factor == 0) | (l1 + l2 == 0), bounds

    def _finished(
        self,
        fit: Fit,
        progress: Progress,
        columns: Columns,
        free: np.ndarray,
        bounds: Bounds | None,
        loss: Any,
        dtype: Any,
    ) -> np.ndarray:
        """Set what a fit says of itself, and return its coefficients; `free`: which have no penalty."""
        n_outputs, n_features = len(fit.theta), len(free)
        coef, intercept = columns.coefficients(fit.theta[:, :n_features], 0.0, dtype)
        if bounds is not None:
            # Also where a column is constant and makes no difference.
            coef = np.clip(coef, *bounds).astype(dtype)
            intercept = -coef @ columns.centre
        theta = coef
        if self.fit_intercept:
            theta = np.column_stack([coef, fit.theta[:, n_features:] + intercept[:, None]])
        if n_outputs > 1 and isinstance(loss, RowwiseLoss):
            # The same for all classes makes no difference.
            free = free if bounds is None else free & np.all(np.isinf(bounds), axis=0)
            free = np.append(free, np.ones(theta.shape[1] - n_features, bool))
            theta[:, free] -= theta[:, free].mean(axis=0)
        self.n_iter_ = max(1, len(progress.curve))
        self.loss_curve_ = progress.curve
        if fit.stopped:
            _warn(type(self).__name__, fit, self.n_iter_, self.penalty, dtype)
        return np.asarray(theta, dtype=np.float64)

    def _bounds_of_coordinates(self, bounds: Bounds | None, columns: Columns, loss: Any) -> Bounds | None:
        if bounds is None:
            return None
        if loss.traits.has_kinks and np.any(bounds[0] == bounds[1]):
            j = int(np.argmax(bounds[0] == bounds[1]))
            raise ValueError(
                f"bounds of feature {j} are the same, {bounds[0][j]}, and a fit of {loss.name} moves between bounds: "
                f"leave out the feature, and add what it contributes to offset"
            )
        spread = np.where(columns.moves, columns.spread, 1.0)
        none = np.full(int(self.fit_intercept), np.inf)
        low, high = (
            np.where(columns.moves, end * spread, sign * np.inf) for end, sign in zip(bounds, (-1, 1), strict=True)
        )
        return np.append(low, -none), np.append(high, none)

    def _start(
        self,
        loss: Any,
        target: np.ndarray,
        weight: np.ndarray | None,
        some: np.ndarray,
        weight_of_some: np.ndarray | None,
        n_outputs: int,
        one_hot: bool,
        offset: np.ndarray | None,
        offset_of_some: np.ndarray | None,
        n_rows: int | None = None,
    ) -> np.ndarray:
        """
        The constant scores of least loss, or 0 without an intercept.

        Of labels and of means, where few events decide, it is that of all rows, else that of `some`. With an offset it
        is near.
        """
        if not self.fit_intercept:
            return np.zeros(n_outputs)
        if loss.kind == "rowwise":
            n_classes = max(2, n_outputs)
            if target.ndim == 1:
                # Of each class one row, with the weight of all of its rows.
                some = np.arange(n_classes)
                weight_of_some = np.bincount(target.astype(np.intp), weight, minlength=n_classes)
            scores = loss.init_score(some, weight_of_some, n_classes=n_classes)
            if n_outputs == 1:
                scores = scores[1:] - scores[0]
        elif loss.kind == "columns":
            scores = np.atleast_1d(loss.init_score(some, weight_of_some))
        else:
            columns = target[:, None] == np.arange(n_outputs) if one_hot else target.reshape(len(target), -1)
            of_some = some[:, None] == np.arange(n_outputs) if one_hot else some.reshape(len(some), -1)
            if loss.target_domain == "any" and offset_of_some is not None:
                of_some, offset = of_some - offset_of_some, None
            scores = np.empty(n_outputs)
            for k in range(n_outputs):
                mine, mine_of_some = (w if w is None or w.ndim == 1 else w[:, k] for w in (weight, weight_of_some))
                if loss.target_domain == "any":
                    scores[k] = loss.init_score(of_some[:, k], mine_of_some)
                    continue
                share = np.average(columns[:, k], weights=mine)
                if loss.target_domain == "unit interval" and (one_hot or np.all((some == 0) | (some == 1))):
                    scores[k] = loss.init_score(np.array([0.0, 1.0]), np.array([1.0 - share, share]))
                elif loss.traits.link == "log":
                    scores[k] = loss.init_score(np.array([share]))
                else:
                    scores[k] = loss.init_score(of_some[:, k], mine_of_some)
        if loss.target_domain == "unit interval":
            # A class that does not occur has a score of minus infinity, from where there is no way back.
            most = math.log(n_rows or len(target)) + 2
            scores = np.clip(scores, -most, most)
        return np.asarray(scores - level(offset, weight, loss.traits.link), dtype=np.float64)

    def _scores(self, x: Any, offset: Any = None) -> np.ndarray:
        check_is_fitted(self)
        x = self._checked_features(x, reset=False)
        scores: np.ndarray = safe_sparse_dot(x, self.coef_.T, dense_output=True) + self.intercept_
        n_outputs = scores.shape[1] if scores.ndim == 2 else 1
        offset = self._offset_of_fold if offset is None else offset
        added = checked_offset(offset, x.shape[0], n_outputs, scores.dtype)
        return scores if added is None else scores + added.reshape(scores.shape)


class Fits:
    """
    Fits of models that differ in the amount of the penalty to the same rows: all else is made once.

    Each starts from the end of the one before; the first, if its model has `warm_start`, from the model's coefficients.
    """

    def __init__(self, model: Any, x: Any, rows: Prepared, offset: Any = None, kept: tuple[Any, ...] = ()) -> None:
        """`kept`: what else the model keeps of the targets."""
        self.x, self.kept, self.are_many = x, kept, False
        loss, target, weight, n_outputs, one_hot = rows
        offset = checked_offset(offset, x.shape[0], n_outputs, x.dtype)
        # Weights count relative to each other.
        if weight is not None:
            weight = weight / weight.dtype.type(np.max(weight))
        self.rows, self.offset = Prepared(loss, target, weight, n_outputs, one_hot), offset
        with _one_blas_thread:
            few = _few_rows(len(target), weight)
            some = np.ascontiguousarray(target[few])
            weight_of_some = None if weight is None else np.ascontiguousarray(weight[few])
            offset_of_some = None if offset is None else offset[few]
            self.start = model._start(
                loss, target, weight, some, weight_of_some, n_outputs, one_hot, offset, offset_of_some
            )
            at_start = self.start if offset_of_some is None else self.start + offset_of_some
            self.spread, self.magnitude = of_constant(loss, some, weight_of_some, at_start, n_outputs, one_hot, x.dtype)
            self.unit = scatter_of(loss, some, weight_of_some, at_start)
            self.fit_intercept = bool(model.fit_intercept)
            self.columns = columns_of(x, weight, self.fit_intercept)
        self.theta: np.ndarray | None = None
        self._stages: dict[bool, list[tuple[Scores, bool]]] = {}
        self._mean: MeanLoss | None = None

    def __enter__(self) -> Fits:
        small = self.x.shape[0] * self.x.shape[1] * self.rows.n_outputs < ONE_THREAD
        self._open = contextlib.ExitStack()
        self.executor = self._open.enter_context(_threads(1 if small else fl.get_num_threads()))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def stages(self, tol: float, is_warm: bool) -> list[tuple[Scores, bool]]:
        """The losses that lead to that which is minimised."""
        if is_warm not in self._stages:
            self._stages[is_warm] = stages_of(*self.rows, self.spread, tol, is_warm)
            for scores, _ in self._stages[is_warm]:
                scores.offset, scores.unit = self.offset, self.unit
        return self._stages[is_warm]

    def _first(self, model: Any) -> tuple[np.ndarray, bool]:
        """Where to start, and whether that is where a fit ended."""
        if self.theta is not None:
            return self.theta, True
        n_outputs, n_features = self.rows.n_outputs, self.x.shape[1]
        theta = np.zeros((n_outputs, n_features + self.fit_intercept))
        if self.fit_intercept:
            theta[:, -1] = self.start
        coef = getattr(model, "coef_", None) if model.warm_start else None
        if coef is None or np.size(coef) != n_outputs * n_features:
            return theta, False
        before = np.reshape(coef, (n_outputs, -1)).astype(np.float64)
        theta[:, :n_features], intercept = self.columns.coordinates(before, model.intercept_)
        if self.fit_intercept:
            theta[:, -1] = intercept
        return theta, True

    def _mean_of(self, scores: Scores) -> MeanLoss:
        if self._mean is None:
            x = self.x
            self._mean = MeanLoss(x, scores, self.fit_intercept, self.executor, self.columns)
            # An element of X that is not finite makes the gradient so, also in a row of weight 0.
            self._mean.examine = lambda: assert_all_finite(x, input_name="X")
            self._mean.is_along_path = self.are_many
        self._mean = self._mean.with_scores(scores)
        return self._mean

    def along(self, model: Any, alphas: np.ndarray) -> Iterator[np.ndarray]:
        """Go through falling amounts: what `minimise` returns and sets for each."""
        self.are_many = len(alphas) > FEW_FITS
        found = self._at_once(model, alphas)
        for i, alpha in enumerate(alphas.tolist()):
            model.alpha = alpha
            if found is None:
                yield self.minimise(model)
            else:
                model.n_iter_, model.loss_curve_ = 1, [float(found.value[i])]
                yield found.theta[i]

    def _at_once(self, model: Any, alphas: np.ndarray) -> Found | None:
        """All of a path, in coefficients, if the loss is a quadratic function whose matrix serves for it; or None."""
        n = self.x.shape[1]
        model.alpha = 1.0
        with _one_blas_thread:
            theta, is_warm = self._first(model)
            stages = self.stages(float(model.tol), is_warm)
            problem, _, _ = model._problem(stages, self.columns, self.magnitude, self.rows.loss)
            mean = self._mean_of(stages[-1][0])
            if model.verbose or not is_quadratic(mean, problem) or not takes_matrix(mean, problem):
                return None
            amounts = alphas[:, None]
            found = minima(mean, problem, amounts * problem.l1, amounts * problem.l2, theta, float(model.tol))
            if found is None:
                return None
            self.theta = found.theta[-1]
            coef, intercept = self.columns.coefficients(found.theta[..., :n], 0.0, self.x.dtype)
            if self.fit_intercept:
                coef = np.concatenate([coef, found.theta[..., n:] + intercept[..., None]], axis=-1)
            return Found(coef, found.value, found.violation, found.gap)

    def minimise(self, model: Any) -> np.ndarray:
        """Fit, set `n_iter_` and `loss_curve_`, and return coefficients with the intercepts in the last column."""
        with _one_blas_thread:
            x, loss, tol = self.x, self.rows.loss, float(model.tol)
            theta, is_warm = self._first(model)
            stages = self.stages(tol, is_warm)
            problem, free, bounds = model._problem(stages, self.columns, self.magnitude, loss)
            theta = clipped(theta, problem.bounds)
            progress = Progress(model.max_iter, model.verbose)
            mean = self._mean_of(stages[-1][0])
            if choose(problem, mean) == "newton" and width_of(mean) > 4 * MOST_NEWTON:
                raise ValueError(
                    f"solver 'newton' needs a matrix of {width_of(mean)} x {width_of(mean)} numbers for these features "
                    f"and classes: use 'lbfgs'"
                )
            fit = solve(mean, problem, theta, tol, progress)
            self.theta = fit.theta
            return np.asarray(model._finished(fit, progress, self.columns, free, bounds, loss, x.dtype))


@functools.cache
def _blas() -> list[Any]:
    """The BLAS libraries of the process."""
    return [each for each in ThreadpoolController().lib_controllers if each.user_api == "blas"]


class _OneBlasThread:
    """
    Rows are shared out to threads here; each needs a BLAS of one thread, and gets the same bits.

    The limit is that of the process: of several fits at once the first sets it and the last takes it back.
    """

    def __init__(self) -> None:
        self.lock, self.n_inside, self.before = threading.Lock(), 0, list[Any]()

    def __enter__(self) -> None:
        with self.lock:
            if self.n_inside == 0:
                self.before = [each.get_num_threads() for each in _blas()]
                for each in _blas():
                    each.set_num_threads(1)
            self.n_inside += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.n_inside -= 1
            if self.n_inside == 0:
                for each, before in zip(_blas(), self.before, strict=True):
                    each.set_num_threads(before)


_one_blas_thread = _OneBlasThread()


def _few_rows(n: int, weight: np.ndarray | None) -> Any:
    """Rows that count, all or so many of them in steps that have no rhythm."""
    if n <= ROWS_FOR_START:
        return slice(None)
    steps = np.arange(ROWS_FOR_START) * ((math.sqrt(5) - 1) / 2) % 1
    if weight is None:
        return np.sort((steps * n).astype(np.intp))
    counting = np.flatnonzero(weight if weight.ndim == 1 else weight.any(axis=1))
    few = np.sort(counting[(steps * len(counting)).astype(np.intp)])
    if weight.ndim == 1:
        return few
    elsewhere = ~np.any(weight[few], axis=0)  # columns whose labels are far between
    return np.union1d(few, weight[:, elsewhere].argmax(axis=0))


def _warn(estimator: str, fit: Fit, n_iter: int, penalty: str | None, dtype: Any) -> None:
    """Say what stopped, what is left and what would help."""
    if fit.stopped == OUT_OF_STEPS:
        advice = "increase max_iter or tol"
    elif dtype == np.float32:
        advice = "pass X as float64, or increase tol"
    elif penalty is None:
        advice = "increase tol, or add a penalty: without one there may be no minimum"
    else:
        advice = "increase tol or alpha, or leave out features that repeat others"
    # A gap between an objective and its bound has no gradient.
    slope = "" if math.isnan(fit.violation) else f"largest component of the gradient is {fit.violation:.2g} times what "
    slope = slope and f"{slope}tol allows, the "
    warnings.warn(
        f"{estimator} did not converge in {n_iter} iterations: {fit.stopped}. The {slope}objective {fit.value:.6g} may "
        f"be {fit.gap:.2g} above the minimum. To mend it: {advice}",
        ConvergenceWarning,
        stacklevel=5,
    )


@contextlib.contextmanager
def _threads(n: int) -> Iterator[ThreadPoolExecutor | None]:
    if n == 1:
        yield None
        return
    with ThreadPoolExecutor(n) as executor:
        yield executor


def scores_of(loss: Any, target: np.ndarray, weight: np.ndarray | None, n_outputs: int, one_hot: bool) -> Scores:
    if isinstance(loss, RowwiseLoss):
        return (TwoClasses if n_outputs == 1 else Rows)(loss, target, weight, n_outputs)
    if loss.kind == "columns":
        return SeveralNumbers(loss, target, weight, n_outputs)
    return (OneAgainstRest if one_hot else Scores)(loss, target, weight, n_outputs)


def stages_of(
    loss: Any,
    target: np.ndarray,
    weight: np.ndarray | None,
    n_outputs: int,
    one_hot: bool,
    spread: float,
    tol: float,
    is_warm: bool,
) -> list[tuple[Scores, bool]]:
    """
    Return losses that lead to `loss`, which comes last or is as near to the last as `tol` wants it.

    The second of each pair says whether a fit to a sample of the rows does not replace it.
    """
    if isinstance(loss, LossSum) and loss.traits.has_kinks:
        each = [
            (factor, stages_of(term, target, weight, n_outputs, one_hot, spread, tol, True))
            for factor, term in loss.terms
        ]
        like = scores_of(loss, target, weight, n_outputs, one_hot)
        n_stages = max(len(stages) for _, stages in each)
        return [
            (
                SumOfScores(like, [(factor, stages[min(i, len(stages) - 1)][0]) for factor, stages in each]),
                all(stages[min(i, len(stages) - 1)][1] for _, stages in each),
            )
            for i in range(n_stages)
        ]
    if loss.traits.has_kinks:  # they are rounded, and the rounding goes to 0
        n_stages = max(2, math.ceil(-math.log10(tol)) + 1)
        widths = [spread * tol ** (i / (n_stages - 1)) for i in range(n_stages)]
        if isinstance(loss, RowwiseLoss) and n_outputs > 1:
            return [(RankKinks(loss, target, weight, n_outputs, w, spread), w <= 0.03 * spread) for w in widths]
        if isinstance(loss, fl.LaplaceNLL) or loss.parameters.get("noncrossing"):
            return [(KinksOfColumns(loss, target, weight, n_outputs, w, spread), w <= 0.03 * spread) for w in widths]
        return [(Kinks(loss, target, weight, n_outputs, w, spread, one_hot), w <= 0.03 * spread) for w in widths]
    stages = []
    parameter = loss.traits.bend
    if parameter is not None and not is_warm:  # from far away Huber losses of falling delta lead to where it bends
        bend = float(loss.parameters.get(parameter, 1.0))
        delta = spread / 2
        while delta > 3 * bend:
            stages.append((Scores(fl.Huber(delta), target, weight, n_outputs), False))
            delta /= 5
    return [*stages, (scores_of(loss, target, weight, n_outputs, one_hot), True)]


def of_constant(
    loss: Any,
    target: np.ndarray,
    weight: np.ndarray | None,
    start: np.ndarray,
    n_outputs: int,
    one_hot: bool,
    dtype: Any,
) -> tuple[float, np.ndarray]:
    """Return the spread of targets around constant scores, and the mean magnitude of the gradient there."""
    rows = slice(0, len(target))
    z = np.empty((len(target), n_outputs), dtype)
    z[:] = start
    gradient = np.empty_like(z)
    scores = scores_of(loss, target, weight, n_outputs, one_hot)
    total = scores.total_weight(rows) or 1.0
    # At a kink it says nothing.
    magnitude: np.ndarray = np.ones(n_outputs)
    if not loss.traits.has_kinks or loss.traits.fisher is not None or isinstance(loss, LossSum):
        scores.value_and_gradient(z, rows, gradient)
        magnitude = np.asarray(np.sum(np.abs(gradient), axis=0, dtype=np.float64) / total)
    if loss.target_domain != "any":
        return float(loss.parameters.get("margin", 1.0)) or 1.0, magnitude
    # Of several numbers a row the first is a place among the targets.
    z = z[:, :1] if loss.kind == "columns" else z
    distance: np.ndarray = np.abs(target.reshape(len(target), -1) - z)
    if weight is not None:
        distance = distance * weight.reshape(len(target), -1)
    spread = float(np.sum(distance.mean(axis=1, dtype=np.float64))) / total
    return spread or 1.0, magnitude


def scatter_of(loss: Any, target: np.ndarray, weight: np.ndarray | None, z: np.ndarray) -> float:
    """Return how far losses of several numbers a row lie from their mean at `z`; of others, whose sizes tell, 0."""
    if loss.kind != "columns":
        return 0.0
    values = loss(np.broadcast_to(z, (len(target), np.shape(z)[-1])), target, reduction="none")
    scatter = np.average(np.abs(values - np.average(values, weights=weight)), weights=weight)
    return float(scatter) if np.isfinite(scatter) else 0.0


def numbers_of(y: Any, dtype: Any) -> Any:
    """Return y, where it has several columns as numbers with nan in place of what is masked."""
    if isinstance(y, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(y), np.nan, np.ma.getdata(y)).astype(dtype)
    return y


def allowed(y: Any) -> str | bool:
    """Which numbers y may hold that are not finite: of several columns nan, for labels that are missing."""
    shape = np.asarray(y).shape
    return "allow-nan" if len(shape) == 2 and shape[1] > 1 else True


def checked_labels(y: Any, dtype: Any) -> np.ndarray:
    """Return y with one column or several, of which some may be missing (nan), as it came."""
    y = numbers_of(y, dtype)
    return np.asarray(
        check_array(y, ensure_2d=False, dtype=None, input_name="y", ensure_min_samples=0, ensure_all_finite=allowed(y))
    )


def with_missing(
    y: np.ndarray, weight: np.ndarray | None, factors: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """
    Return targets and weights of columns in which labels may be missing (nan): there the weight is 0.

    Each column weighs as much in all as the rows do, so that it is fitted as if it were alone with its labels. Of some
    of the rows this takes `factors`, one a column (`factors_of`), and weights then are those of labels in any case.
    """
    missing = np.isnan(y) if y.ndim == 2 and y.dtype.kind == "f" else np.zeros(1, bool)
    if y.ndim == 1 or (factors is None and not missing.any()):
        return y, weight
    of_rows = np.ones(len(y), y.dtype) if weight is None else weight
    of_labels = np.where(missing, 0, of_rows[:, None]).astype(y.dtype)
    if factors is None:
        factors = factors_of(np.sum(of_rows, dtype=np.float64), of_labels.sum(axis=0, dtype=np.float64))
    known = y[of_labels.argmax(axis=0), np.arange(y.shape[1])]
    of_labels *= factors.astype(y.dtype)
    return np.where(missing, np.where(np.isnan(known), 1, known), y), of_labels


def factors_of(total: float, of_labels: np.ndarray) -> np.ndarray:
    """Return what makes columns, whose labels weigh `of_labels`, weigh as much as all rows do."""
    if not of_labels.all():
        raise ValueError(f"y has no label of positive weight in column {int(np.argmin(of_labels))}")
    return np.asarray(total / of_labels)


def without_missing(y: Any) -> np.ndarray | None:
    """Return y of several columns as numbers, if labels are missing."""
    y = numbers_of(y, np.float64)
    if allowed(y) is True or np.asarray(y).dtype.kind != "f" or not np.isnan(np.asarray(y)).any():
        return None
    return np.asarray(y, np.float64)


# ------------------------------------------------------------------------------------------------------ classifier


def _has_probabilities(model: Any) -> bool:
    loss = resolve(model.loss)
    terms = [each for _, each in loss.terms] if isinstance(loss, LossSum) else [loss]
    return not any(isinstance(each, (fl.Hinge, fl.MulticlassHinge)) for each in terms)


class LossClassifier(ClassifierMixin, _LossModel):  # type: ignore[misc, unused-ignore]
    """
    Linear classifier with any loss of class labels.

    With scores z_i = coef x_i + intercept it minimises

        sum_i w_i loss(z_i, y_i) / sum_i w_i  +  alpha penalty(coef)

    where w_i is the sample weight times the class weight and the penalty is ||coef||_2^2 / 2 for "l2", ||coef||_1 for
    "l1" and ``l1_ratio`` ||coef||_1 + (1 - ``l1_ratio``) ||coef||_2^2 / 2 for "elasticnet". The intercept is never
    penalised.

    Parameters
    ----------
    loss : loss object or str, default "cross_entropy"
        One of rows (`fastloss.CrossEntropy`, `Focal`, ...) or of labels (`fastloss.BinaryCrossEntropy`, `Hinge`, ...);
        a name stands for the default parameters. More than two classes with a loss of labels are one problem for each
        class, that class against all others, and the loss of a row is the sum.
    penalty : {None, "l1", "l2", "elasticnet"}, default "l2"
        What is added to the mean loss.
    alpha : float, default 1e-4
        How much of it; >= 0.
    l1_ratio : float, default 0.5
        The share of the L1 norm in "elasticnet"; in [0, 1].
    fit_intercept : bool, default True
        Whether there is an intercept; else it is 0.
    class_weight : dict, "balanced" or None, default None
        What multiplies the weights of the rows of each class; "balanced" gives all classes the same total.
    solver : {"auto", "newton", "lbfgs", "descent"}, default "auto"
        "newton" forms the Hessian, of ``n_features + 1`` rows and columns, or that times the number of classes for a
        loss of rows. It takes few iterations, and coefficients that are 0 are exactly 0. "lbfgs" is SciPy's L-BFGS-B,
        in coordinates in which the Hessian of a sample of the rows is the identity where that is cheap. "descent" goes
        from column to column of a working set, for an L1 norm and very many features; without one, with a kink or with
        bounds, and for losses of rows but cross-entropy, it is "auto". "auto" takes "descent" where it can be and there
        are 256 features or more, "newton" where the Hessian is small and cheap, or there is an L1 norm or a kink, else
        "lbfgs".
    max_iter : int, default 1000
        The most iterations.
    tol : float, default 1e-6
        The fit ends where no component j of the (smallest sub-)gradient is larger than ``tol`` times the spread of
        feature j (its standard deviation; without an intercept the root mean square) times the mean magnitude of the
        loss's derivative at the best constant, and the objective is at most ``tol`` of its value above the minimum, as
        far as the curvature there tells. It does not depend on the units of features or targets.
    warm_start : bool, default False
        Whether to start from the coefficients of the last fit.
    verbose : int, default 0
        Whether to print each iteration.
    penalty_weight : float or array_like of shape (n_features,), optional
        What multiplies the penalty of each feature; finite and >= 0. A feature of weight 0 is not penalised.
    bounds : (low, high), optional
        The least and the largest value of the coefficients: numbers, or arrays of one a feature; None and infinities
        are no bound. The same for all rows of `coef_`, and never for the intercept.
    positive : bool, default False
        Whether no coefficient may be negative: ``bounds=(0, inf)``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes; the numbers of the columns, if `y` has columns.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        One row for two classes.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Zeros without an intercept.
    n_iter_ : int
        The iterations on all rows.
    loss_curve_ : list of float
        The objective after each of them. Losses with kinks are shown as they are rounded.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if `X` has strings for them.

    See Also
    --------
    LossRegressor : the same for numbers.
    fastloss.sklearn.TemperatureScaling : calibrates scores, for example those of a hinge loss.

    Notes
    -----
    **The same as scikit-learn's**, with n the sum of the weights:

    ==========================================  ==========================================================
    scikit-learn                                here
    ==========================================  ==========================================================
    ``LogisticRegression(C=C)``                 ``loss="cross_entropy", alpha=1 / (C * n)``
    ``SGDClassifier(loss="log_loss", ...)``     ``loss="binary_cross_entropy"``, same penalty and ``alpha``
    ``SGDClassifier(loss="hinge", ...)``        ``loss="hinge"``, same penalty and ``alpha``; so "squared_hinge" and
                                                "modified_huber"
    ``LinearSVC(C=C)``                          ``loss="squared_hinge", alpha=1 / (C * n)``, but it penalises the
                                                intercept
    ==========================================  ==========================================================

    **Two classes** have one score, which a loss of rows sees as logits (0, z): the penalty is that of
    LogisticRegression, not half of it.

    **Targets.** Labels of any kind; or an array (n, K) of probabilities, for a loss of rows those of K classes (rows
    need not sum to 1), for a loss of labels those of K labels that may hold at the same time (multilabel).

    **Losses with kinks** (`Hinge`, `MulticlassHinge`) are rounded near them over a width that goes down to ``tol``, so
    that the objective is within about ``tol`` of the minimum (``tol * log(K)`` for `MulticlassHinge`). With an L2 norm
    they are not, and the fit ends by the duality gap: for `Hinge` and up to 64 columns the method of multipliers, and
    of more than 1500 coefficients coordinate ascent from row to row. **Losses that are not convex** (`Focal`, `Poly1`,
    `GeneralizedCrossEntropy`, `BinaryFocal`, `Brier`) may have several minima: the fit is the one that the solver
    reaches from the best constant. Losses of a whole set of rows (`Dice`, ...) are not means over rows and are refused.

    **predict** gives the class of the largest score, and for two classes the second where the score is positive.
    **predict_proba** is the loss's own posterior, which undoes weights and smoothing inside the loss. It is then not
    at 1/2 where the prediction changes.

    **Features of any scale.** Features are centred and scaled inside, without a copy of X, and sparse X stays sparse;
    the penalty is that of `coef_`. A constant feature beside an intercept has the coefficient 0.

    **Time and memory.** X is read once for each value and gradient, in blocks that stay in cache, and not copied; a
    fit to every 16th block of rows proposes where to start if rows are many. With an L2 norm alone and far more
    features than rows, the problem is that of as many combinations of the rows. The results are the same bits for any
    number of threads.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> import fastloss as fl
    >>> from fastloss.sklearn import LossClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = LossClassifier(loss=fl.BinaryFocal(gamma=2.0), alpha=1e-3).fit(X, y)
    >>> model.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        loss: Any = "cross_entropy",
        *,
        penalty: str | None = "l2",
        alpha: float = 1e-4,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        class_weight: Any = None,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-6,
        warm_start: bool = False,
        verbose: int = 0,
        penalty_weight: Any = None,
        bounds: Any = None,
        positive: bool = False,
    ) -> None:
        super().__init__(
            loss,
            penalty=penalty,
            alpha=alpha,
            l1_ratio=l1_ratio,
            fit_intercept=fit_intercept,
            solver=solver,
            max_iter=max_iter,
            tol=tol,
            warm_start=warm_start,
            verbose=verbose,
            penalty_weight=penalty_weight,
            bounds=bounds,
            positive=positive,
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        with contextlib.suppress(TypeError, ValueError):
            # As the tag has it, probabilities of labels are neither 0 nor 1, which those of these two may be.
            clipped = (fl.SquaredHinge, fl.ModifiedHuber)
            tags.classifier_tags.multi_label = not isinstance(resolve(self.loss), (RowwiseLoss, *clipped))
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> LossClassifier:
        """
        Fit the model.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features: float64 and float32 in C or F order and CSR are used as they are.
        y : array_like of shape (n,) or (n, K)
            Labels, or probabilities of K classes or K labels. Of K labels each may be missing, nan or masked: it counts
            nowhere, and each label is fitted to the rows that have it.
        sample_weight : array_like of shape (n,), optional
            >= 0. A row of weight 0 counts nowhere.
        offset : array_like of shape (n,) or (n, n_classes), optional
            What is added to the scores of each row: one number for one score (two classes), else one for each score.

        Returns
        -------
        LossClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If the loss is not one of labels or rows, a parameter or target is out of its range, or there is only one
            class.

        Warns
        -----
        ConvergenceWarning
            If the minimum was not reached to `tol`: what stopped the fit, how far it may be above the minimum, and what
            would help.
        """
        with self._fits(X, y, sample_weight, offset) as fits:
            self._keep_fit(fits, fits.minimise(self))
        return self

    def _fits(self, X: Any, y: Any, sample_weight: Any, offset: Any) -> Fits:
        X = self._checked_data(X, y)
        rows, classes = self._prepared(X, y, sample_weight)
        # A function of two scores in one; what belongs to a column of y is always one.
        is_multilabel = rows.target.ndim == 2 and not isinstance(rows.loss, RowwiseLoss)
        return Fits(self, X, rows, offset, (classes, is_multilabel))

    def _keep(self, theta: np.ndarray, n_features: int, dtype: Any, classes: np.ndarray, is_multilabel: bool) -> None:
        self.classes_ = classes
        self._is_multilabel = is_multilabel
        self.coef_ = np.ascontiguousarray(theta[:, :n_features], dtype=dtype)
        self.intercept_ = (theta[:, -1] if self.fit_intercept else np.zeros(len(theta))).astype(dtype)

    def _prepared(
        self, x: Any, y: Any, sample_weight: Any, factors: np.ndarray | None = None
    ) -> tuple[Prepared, np.ndarray]:
        """Return what X, as it was checked, is fitted to, and the classes; `factors` as for `with_missing`."""
        loss = self._checked_loss()
        weight = self._checked_weight(x, sample_weight)
        target, n_outputs, one_hot, classes = self._checked_target(loss, x, y)
        target, weight = with_missing(target, weight, factors)
        if target.ndim == 1 and self.class_weight is not None:
            of_class = self._weights_of_classes(classes, target, weight)
            weight = of_class[target].astype(x.dtype) * (1 if weight is None else weight)
        elif self.class_weight is not None:
            raise ValueError("class_weight needs class labels as y; for probabilities use sample_weight")
        loss, target = for_two_classes(loss, target, n_outputs, x.dtype)
        return Prepared(loss, target, weight, n_outputs, one_hot), classes

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> LossClassifier:
        """
        Fit the model to one more batch of rows, and to what is remembered of those before.

        The first 1000 rows (10 for each coefficient, if that is more) are kept, and the model is that of `fit`. From
        then on earlier rows are remembered by value, gradient and Hessian of their loss where the model was when they
        came: memory does not grow. For the squared error the model stays that of `fit` to all rows; for other losses it
        comes as near as the model at the time was to the last one [1]_. Losses with kinks are rounded over a tenth of
        the spread of the targets by then, and come less near: `fit_blocks` is better for them.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features of the batch.
        y : array_like of shape (n,) or (n, K)
            As for `fit`.
        classes : array_like of shape (n_classes,), optional
            All classes: needed in the first call if `y` are labels, unless the model was fitted before.
        sample_weight : array_like of shape (n,), optional
            >= 0. Weights count relative to those of all batches.

        Returns
        -------
        LossClassifier
            The estimator itself. A `fit` or `fit_blocks` in between starts anew.

        Raises
        ------
        ValueError
            As for `fit`; if the first call has no classes; or if there are more than 1500
            coefficients, for which `fit_blocks` has passes.

        References
        ----------
        .. [1] Luo, Song (2020), Renewable estimation and incremental inference in generalized linear models with
           streaming data sets, Journal of the Royal Statistical Society B 82 (1).

        Examples
        --------
        >>> import numpy as np
        >>> from fastloss.sklearn import LossClassifier
        >>> model = LossClassifier("binary_cross_entropy", alpha=0.01)
        >>> for seed in range(30):
        ...     x = np.random.default_rng(seed).normal(size=(100, 2))
        ...     model = model.partial_fit(x, x[:, 0] > 0, classes=[False, True])
        >>> model.predict([[1.0, 0.0], [-1.0, 0.0]]).tolist()
        [True, False]
        """
        from ._blocks import partial_fit

        partial_fit(self, X, y, classes, sample_weight)
        return self

    def _checked_loss(self) -> Any:
        loss = checked_sum(resolve(self.loss))
        if isinstance(loss, SetLoss):
            raise ValueError(
                f"{loss!r} is one number for a whole set of rows and not a mean over rows, so that no weight of a row "
                f"has a meaning for it: use a loss of labels, such as BinaryFocal"
            )
        if loss.target_domain != "unit interval":
            raise ValueError(f"{loss!r} is a loss of real numbers: use LossRegressor, or a loss of labels or classes")
        if loss.parameters.get("ignore_index") is not None:
            raise ValueError("ignore_index has no meaning for labels: give such rows a sample_weight of 0")
        return loss

    def _checked_target(self, loss: Any, x: Any, y: Any) -> tuple[np.ndarray, int, bool, np.ndarray]:
        """Return targets as the loss takes them, the number of scores, whether each is a class's, and the classes."""
        by_row = isinstance(loss, RowwiseLoss)
        y = numbers_of(y, x.dtype)
        y = np.asarray(y) if hasattr(y, "__array__") else y
        # Of objects, such as strings, `encode` says which row has none.
        is_objects = getattr(getattr(y, "dtype", None), "kind", "") == "O"
        finite = not is_objects and (True if by_row else allowed(y))
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y", ensure_min_samples=0, ensure_all_finite=finite)
        check_consistent_length(x, y)
        if y.ndim == 2 and y.shape[1] > 1:
            if y.dtype.kind not in "fiub":
                raise ValueError(
                    f"Unknown label type: y with columns must hold numbers in [0, 1], not {y.dtype}; {SEVERAL_TARGETS}"
                )
            outside = ~((y >= 0) & (y <= 1) | (y != y))  # nan is a label that is missing
            if outside.any():
                _call.raise_first(
                    "y", y, outside, f"must lie in [0, 1], as labels or probabilities in columns do; {SEVERAL_TARGETS}"
                )
            if isinstance(loss, fl.MulticlassHinge):
                raise ValueError("MulticlassHinge needs class labels as y: its kinks depend on the one true class")
            n_columns = y.shape[1]
            n_outputs = 1 if by_row and n_columns == 2 else n_columns
            return np.ascontiguousarray(y, dtype=x.dtype), n_outputs, False, np.arange(n_columns)
        y = column_or_1d(y, warn=True)
        classes, codes = encode(y)
        if len(classes) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes in the data, but the data contains only "
                f"one class: {classes.tolist()[0]!r}"
            )
        n_outputs = 1 if len(classes) == 2 else len(classes)
        return codes, n_outputs, not by_row and n_outputs > 1, classes

    def _weights_of_classes(self, classes: np.ndarray, codes: np.ndarray, weight: np.ndarray | None) -> np.ndarray:
        if isinstance(self.class_weight, str) and self.class_weight == "balanced":
            totals = np.bincount(codes, weight, minlength=len(classes))
            with np.errstate(divide="ignore"):
                return np.where(totals > 0, totals.sum() / (len(classes) * totals), 0.0)
        return np.asarray(compute_class_weight(self.class_weight, classes=classes, y=classes[codes]))

    def decision_function(self, X: Any, offset: Any = None) -> np.ndarray:
        """
        Return the scores.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        offset : array_like of shape (n,) or (n, n_classes), optional
            What is added to the scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n,) or (n, n_classes)
            One score per row for two classes.
        """
        scores = self._scores(X, offset)
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict(self, X: Any, offset: Any = None) -> np.ndarray:
        """
        Return the class of the largest score, or for each label whether its score is positive.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        offset : array_like of shape (n,) or (n, n_classes), optional
            What is added to the scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n,), or (n, K) for K labels in columns
            In the second case 0 and 1.
        """
        scores = self._scores(X, offset)
        if self._is_multilabel:
            return (scores > 0).astype(int)
        chosen = (scores[:, 0] > 0).astype(int) if scores.shape[1] == 1 else scores.argmax(axis=1)
        return np.asarray(self.classes_[chosen])

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator, unused-ignore]
    def predict_proba(self, X: Any, offset: Any = None) -> np.ndarray:
        """
        Return the probabilities at which the loss is least.

        Not there for hinge losses, whose scores say which class is likelier but not by how much.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        offset : array_like of shape (n,) or (n, n_classes), optional
            What is added to the scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n, n_classes)
            Rows sum to 1, unless labels came in columns. With a loss of labels those of more than two classes are
            divided by their sum.
        """
        scores = self._scores(X, offset)
        loss: Any = resolve(self.loss)
        by_row = isinstance(loss, RowwiseLoss)
        if by_row:
            if scores.shape[1] == 1:
                scores = np.concatenate([np.zeros_like(scores), scores], axis=1)
            return np.asarray(loss.predict_proba(scores))
        probability = np.asarray(loss.predict_proba(scores))
        if self._is_multilabel:
            return probability
        if probability.shape[1] == 1:
            return np.concatenate([1 - probability, probability], axis=1)
        total = probability.sum(axis=1, keepdims=True)
        nothing = total == 0
        probability = np.where(nothing, 1.0, probability)
        return np.asarray(probability / np.where(nothing, probability.shape[1], total))

    def predict_log_proba(self, X: Any, offset: Any = None) -> np.ndarray:
        """
        Return the logarithms of the probabilities.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        offset : array_like of shape (n,) or (n, n_classes), optional
            What is added to the scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n, n_classes)
            As for `predict_proba`.
        """
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(X, offset)))

    predict_log_proba = available_if(_has_probabilities)(predict_log_proba)

    def score(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> float:
        """
        Return the share of rows whose class is predicted, of several labels all of them.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        y : array_like of shape (n,) or (n, K)
            What is true.
        sample_weight : array_like of shape (n,), optional
            >= 0.
        offset : array_like of shape (n,) or (n, n_classes), optional
            What is added to the scores, as in `fit`.

        Returns
        -------
        float
            Greater is better; at most 1.
        """
        labels, predicted = without_missing(y) if self._is_multilabel else None, self.predict(X, offset)
        if labels is not None:
            right = ((labels == predicted) | np.isnan(labels)).all(axis=1)
            known = ~np.isnan(labels).all(axis=1)
            weight = known if sample_weight is None else known * np.asarray(sample_weight)
            return float(np.average(right, weights=weight))
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))


def for_two_classes(loss: Any, target: np.ndarray, n_outputs: int, dtype: Any) -> tuple[Any, np.ndarray]:
    """Two class indices become 0.0 and 1.0, and cross-entropy of two classes that of one label, which is quicker."""
    if n_outputs > 1 or target.ndim == 2:
        return loss, target
    if isinstance(loss, fl.CrossEntropy) and loss.parameters["class_weight"] is None:
        loss = fl.BinaryCrossEntropy(label_smoothing=loss.parameters["label_smoothing"])
    if isinstance(loss, RowwiseLoss) and not isinstance(loss, fl.MulticlassHinge):
        return loss, target
    return loss, target.astype(dtype)


# ------------------------------------------------------------------------------------------------------- regressor


class LossRegressor(OfDistributions, OfRowsTogether, RegressorMixin, _LossModel):  # type: ignore[misc, unused-ignore]
    """
    Linear regression with any loss of numbers.

    With scores z_i = coef x_i + intercept it minimises

        sum_i w_i loss(z_i, y_i) / sum_i w_i  +  alpha penalty(coef)

    where w_i is the sample weight and the penalty is ||coef||_2^2 / 2 for "l2", ||coef||_1 for "l1" and
    ``l1_ratio`` ||coef||_1 + (1 - ``l1_ratio``) ||coef||_2^2 / 2 for "elasticnet". The intercept is never penalised.

    Parameters
    ----------
    loss : loss object or str, default "huber"
        One of numbers (`fastloss.Huber`, `Quantile`, ...), with a log link (`fastloss.Poisson`, `Gamma`, `Tweedie`),
        where the score is the logarithm of the prediction, or of several numbers a row (`fastloss.GaussianNLL`,
        `Quantiles`, ...), with a score for each; a name stands for the default parameters.
    penalty : {None, "l1", "l2", "elasticnet"}, default "l2"
        What is added to the mean loss.
    alpha : float, default 1e-4
        How much of it; >= 0.
    l1_ratio : float, default 0.5
        The share of the L1 norm in "elasticnet"; in [0, 1].
    fit_intercept : bool, default True
        Whether there is an intercept; else it is 0.
    solver : {"auto", "newton", "lbfgs", "descent"}, default "auto"
        As for `LossClassifier`.
    max_iter : int, default 1000
        The most iterations.
    tol : float, default 1e-6
        The fit ends where no component j of the (smallest sub-)gradient is larger than ``tol`` times the spread of
        feature j (its standard deviation; without an intercept the root mean square) times the mean magnitude of the
        loss's derivative at the best constant, and the objective is at most ``tol`` of its value above the minimum, as
        far as the curvature there tells. It does not depend on the units of features or targets.
    warm_start : bool, default False
        Whether to start from the coefficients of the last fit.
    verbose : int, default 0
        Whether to print each iteration.
    penalty_weight : float or array_like of shape (n_features,), optional
        What multiplies the penalty of each feature; finite and >= 0. A feature of weight 0 is not penalised.
    bounds : (low, high), optional
        The least and the largest value of the coefficients: numbers, or arrays of one a feature; None and infinities
        are no bound. The same for all rows of `coef_`, and never for the intercept.
    positive : bool, default False
        Whether no coefficient may be negative: ``bounds=(0, inf)``.

    Attributes
    ----------
    baseline_hazard_ : tuple of ndarray, or dict of such
        Of `CoxPH`: times of events and Breslow's cumulative hazard of score 0; with strata one pair for each.
    scale_ : float
        Of `AFT` with ``scale=None``: that of log t, the same for all rows.
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Two dimensions if `y` has them, or the loss is one of several numbers a row: then a row for each of its columns.
    intercept_ : float or ndarray of shape (n_targets,)
        0 without an intercept.
    n_iter_ : int
        The iterations on all rows.
    loss_curve_ : list of float
        The objective after each of them. Losses with kinks are shown as they are rounded.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if `X` has strings for them.

    See Also
    --------
    LossClassifier : the same for class labels.

    Notes
    -----
    **The same as scikit-learn's**, with n the sum of the weights:

    =============================================  =============================================================
    scikit-learn                                   here
    =============================================  =============================================================
    ``Ridge(alpha=a)``                             ``loss="squared_error", alpha=2 * a / n``
    ``Lasso(alpha=a)``                             ``loss="squared_error", penalty="l1", alpha=2 * a``
    ``ElasticNet(alpha=a, l1_ratio=r)``            ``loss="squared_error", penalty="elasticnet", alpha=2 * a,
                                                   l1_ratio=r``
    ``HuberRegressor(epsilon=e, alpha=a)``         ``loss=Huber(e * scale_), alpha=a * scale_ / n``, with the
                                                   ``scale_`` that it finds
    ``QuantileRegressor(quantile=q, alpha=a)``     ``loss=Quantile(q), penalty="l1", alpha=a``
    ``PoissonRegressor(alpha=a)``, Gamma, Tweedie  ``loss="poisson", alpha=a``; the losses differ by a constant
    ``SGDRegressor(loss=..., alpha=a)``            same ``penalty`` and ``alpha``, but 2 * a for "squared_error",
                                                   half of which is meant there
    =============================================  =============================================================

    Several targets, `y` of shape (n, n_targets), are problems of their own that are solved together; the loss of a
    row is the sum.

    **Losses with kinks** (`AbsoluteError`, `AbsolutePercentageError`, `Quantile`, `EpsilonInsensitive`) are rounded
    near them over a width that goes down to ``tol`` times the mean absolute deviation of y, so that the objective is
    within about half of that of the minimum. With an L2 norm they are not, and the fit ends by the duality gap: for up
    to 64 columns the method of multipliers, and of more than 1500 coefficients coordinate ascent from row to row.
    **Robust losses** are approached by Huber losses if y is far more spread than their bend. `Cauchy` and `Tukey` are
    not convex and may have several minima; the fit is the one that is reached from there.

    **Several numbers a row.** Losses of the parameters of a distribution, and `Quantiles`, have coefficients for each
    of ``loss.columns``; an offset has their shape. Such losses are not convex; the fit is the minimum that is reached
    from the best constants. `LaplaceNLL` and `Quantiles` are rounded like other losses with kinks.

    **Rows that belong together.** `CoxPH` is fitted with ``strata=`` and takes no intercept, nor do `GroupSoftmax` and
    `PairwiseLogistic` with ``group=``; predictions are scores. Of `AFT` they are median times.

    **Time and memory.** As for `LossClassifier`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> import fastloss as fl
    >>> from fastloss.sklearn import LossRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> median = LossRegressor(loss=fl.Quantile(q=0.5), penalty=None).fit(X, y)
    >>> round(float((median.predict(X) > y).mean()), 1)
    0.5
    """

    def __init__(
        self,
        loss: Any = "huber",
        *,
        penalty: str | None = "l2",
        alpha: float = 1e-4,
        l1_ratio: float = 0.5,
        fit_intercept: bool = True,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-6,
        warm_start: bool = False,
        verbose: int = 0,
        penalty_weight: Any = None,
        bounds: Any = None,
        positive: bool = False,
    ) -> None:
        super().__init__(
            loss,
            penalty=penalty,
            alpha=alpha,
            l1_ratio=l1_ratio,
            fit_intercept=fit_intercept,
            solver=solver,
            max_iter=max_iter,
            tol=tol,
            warm_start=warm_start,
            verbose=verbose,
            penalty_weight=penalty_weight,
            bounds=bounds,
            positive=positive,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        with contextlib.suppress(TypeError, ValueError):
            tags.target_tags.positive_only = resolve(self.loss).target_domain != "any"
        # As the tag has it, several targets may be negative.
        tags.target_tags.multi_output = not tags.target_tags.positive_only and not self._is_of_columns
        return tags

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        offset: Any = None,
        *,
        strata: Any = None,
        group: Any = None,
    ) -> LossRegressor:
        """
        Fit the model.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features: float64 and float32 in C or F order and CSR are used as they are.
        y : array_like of shape (n,) or (n, n_targets)
            What to predict. Of several targets each may be missing, nan or masked: it counts nowhere, and each target
            is fitted to the rows that have it.
        sample_weight : array_like of shape (n,), optional
            >= 0. A row of weight 0 counts nowhere.
        offset : array_like of shape (n,), (n, n_targets) or (n, P), optional
            What is added to the scores, in the shape of `y`: with a log link, for example, the logarithm of exposures.
            Of losses of several numbers a row one for each of these.
        strata : array_like of shape (n,), optional
            Of `fastloss.CoxPH`: the stratum of each row.
        group : array_like, optional
            Of `fastloss.GroupSoftmax` and `PairwiseLogistic`: sizes of consecutive groups, or the id of each row's.

        Returns
        -------
        LossRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If the loss is not one of numbers, or a parameter or target is out of its range.

        Warns
        -----
        ConvergenceWarning
            If the minimum was not reached to `tol`: what stopped the fit, how far it may be above the minimum, and what
            would help.
        """
        loss = resolve(self.loss)
        if loss.kind == "segments":
            self._fit_together(X, y, sample_weight, offset, strata, group)
            return self
        if strata is not None or group is not None:
            raise TypeError(f"{loss!r} has no strata and no groups")
        with self._fits(X, y, sample_weight, offset) as fits:
            self._keep_fit(fits, fits.minimise(self))
        return self

    def _fits(self, X: Any, y: Any, sample_weight: Any, offset: Any) -> Fits:
        X = self._checked_data(X, y)
        rows = self._prepared(X, y, sample_weight)
        return Fits(self, X, rows, offset, (rows.target.ndim == 1,))

    def _keep(self, theta: np.ndarray, n_features: int, dtype: Any, is_vector: bool) -> None:
        coef = np.ascontiguousarray(theta[:, :n_features], dtype=dtype)
        intercept = (theta[:, -1] if self.fit_intercept else np.zeros(len(theta))).astype(dtype)
        is_vector = is_vector and not self._is_of_columns
        self.coef_: np.ndarray = coef[0] if is_vector else coef
        self.intercept_: Any = float(intercept[0]) if is_vector else intercept

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> LossRegressor:
        """
        Fit the model to one more batch of rows, and to what is remembered of those before.

        The first 1000 rows (10 for each coefficient, if that is more) are kept, and the model is that of `fit`. From
        then on earlier rows are remembered by value, gradient and Hessian of their loss where the model was when they
        came: memory does not grow. For the squared error the model stays that of `fit` to all rows; for other losses it
        comes as near as the model at the time was to the last one [1]_. Losses with kinks are rounded over a tenth of
        the spread of the targets by then, and come less near: `fit_blocks` is better for them.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features of the batch.
        y : array_like of shape (n,) or (n, n_targets)
            As for `fit`.
        sample_weight : array_like of shape (n,), optional
            >= 0. Weights count relative to those of all batches.

        Returns
        -------
        LossRegressor
            The estimator itself. A `fit` or `fit_blocks` in between starts anew.

        Raises
        ------
        ValueError
            As for `fit`; or if there are more than 1500 coefficients, for which `fit_blocks` has passes.

        References
        ----------
        .. [1] Luo, Song (2020), Renewable estimation and incremental inference in generalized linear models with
           streaming data sets, Journal of the Royal Statistical Society B 82 (1).

        Examples
        --------
        >>> import numpy as np
        >>> from fastloss.sklearn import LossRegressor
        >>> model = LossRegressor("squared_error", penalty=None)
        >>> for seed in range(30):
        ...     x = np.random.default_rng(seed).normal(size=(100, 2))
        ...     model = model.partial_fit(x, 3 * x[:, 0] + 1)
        >>> bool(np.allclose(model.coef_, [3, 0], atol=1e-6))
        True
        """
        from ._blocks import partial_fit

        partial_fit(self, X, y, None, sample_weight)
        return self

    def _checked_loss(self) -> Any:
        loss = checked_sum(resolve(self.loss))
        if loss.kind == "segments":
            raise ValueError(f"{loss!r} is a loss of rows that belong together: only LossRegressor.fit takes it")
        if loss.target_domain == "classes":
            raise ValueError(f"{loss!r} is a loss of ordered classes: use OrdinalClassifier")
        if loss.traits.link == "identity" and loss.target_domain != "any":
            raise ValueError(f"{loss!r} takes predictions > -1, and those of a linear model have no bound")
        if isinstance(loss, SetLoss) or loss.target_domain == "unit interval":
            raise ValueError(f"{loss!r} is a loss of labels or classes: use LossClassifier, or a loss of real numbers")
        return loss

    def _prepared(self, x: Any, y: Any, sample_weight: Any, factors: np.ndarray | None = None) -> Prepared:
        """Return what X, as it was checked, is fitted to; `factors` as for `with_missing`."""
        loss = self._checked_loss()
        y = numbers_of(y, x.dtype)
        y = check_array(
            y, ensure_2d=False, dtype=x.dtype, input_name="y", ensure_min_samples=0, ensure_all_finite=allowed(y)
        )
        check_consistent_length(x, y)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if y.ndim > 2:
            raise ValueError(f"y must have shape (n,) or (n, n_targets), got {y.shape}")
        if loss.kind == "columns" and y.ndim == 2:
            raise ValueError(f"y must have shape (n,), got {y.shape}: {loss!r} has several numbers for one target")
        if loss.target_domain != "any":
            within, rule = _call.TARGET_RULES[loss.target_domain]
            outside = ~(within(y) | np.isnan(y))
            if outside.any():
                _call.raise_first("y", y, outside, rule)
        weight = self._checked_weight(x, sample_weight)
        if loss.kind == "columns":
            return Prepared(loss, np.ascontiguousarray(y), weight, len(loss.columns), False)
        y, weight = with_missing(y, weight, factors)
        return Prepared(loss, np.ascontiguousarray(y), weight, 1 if y.ndim == 1 else y.shape[1], False)

    def predict(self, X: Any, offset: Any = None) -> np.ndarray:
        """
        Return the predictions: the scores, their exponentials where the loss has a log link, or means of distributions.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        offset : array_like of shape (n,) or (n, n_targets), optional
            What is added to the scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n,) or (n, n_targets)
            In the shape of `y`; of `Quantiles` (n, Q).
        """
        return self._predicted(self._time_scores(X, offset))

    def score(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> float:
        """
        Return the share of the variance of `y` that is explained, R2, or of survival times the concordance index.

        Of `Quantiles` it is the share of the loss of the best constant quantiles.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        y : array_like of shape (n,) or (n, n_targets)
            What is true.
        sample_weight : array_like of shape (n,), optional
            >= 0.
        offset : array_like of shape (n,) or (n, n_targets), optional
            What is added to the scores, as in `fit`.

        Returns
        -------
        float
            Greater is better; at most 1.
        """
        if resolve(self.loss).kind == "segments":
            return self._concordance(X, y, sample_weight, offset)
        if isinstance(resolve(self.loss), fl.Quantiles):
            return self._explained(X, y, sample_weight, offset)
        targets, predicted = without_missing(y), self.predict(X, offset)
        if targets is None:
            return float(r2_score(y, predicted, sample_weight=sample_weight))
        weight = np.ones(len(targets)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        columns = [(~np.isnan(t), t, z) for t, z in zip(targets.T, predicted.T, strict=True)]
        return float(np.mean([r2_score(t[some], z[some], sample_weight=weight[some]) for some, t, z in columns]))
