"""Linear models that choose the amount of the penalty by cross-validation along a path."""

from __future__ import annotations

import copy
import numbers
from typing import Any

import numpy as np
from joblib import Parallel, delayed  # type: ignore[import-untyped, unused-ignore]
from sklearn.base import is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

import fastloss as fl

from .._resolve import resolve
from .._segments import checked_weights, of_rows
from . import _together as together
from ._linear import Fits, LossClassifier, LossRegressor, Prepared, checked_labels, of_constant, scores_of
from ._objective import columns_of
from ._options import checked_bounds, checked_offset, checked_penalty_weight
from ._scorers import _LossScorer, loss_scorer

N_ALPHAS = 100
# The least alpha of a path over the largest: with an L1 norm, and without one.
RATIO_L1, RATIO_L2 = 1e-3, 1e-7
# At so many times the curvature of all features together, L2 leaves little of any coefficient.
MOST_L2 = 10.0


def alpha_max(model: Any, x: Any, rows: Prepared, offset: Any, l1_share: float) -> float:
    """
    Return the least alpha at which all penalised coefficients are 0; of L2 alone, where they are near 0.

    At coefficients of 0 a feature stays out if the derivative of the mean loss by its coefficient, X' u for the
    derivatives u by the scores, is at most alpha times the share of the L1 norm and the weight of the feature.
    """
    loss, target, weight, n_outputs, one_hot = rows
    n = len(target)
    factor = checked_penalty_weight(model.penalty_weight, x.shape[1])
    factor = np.ones(x.shape[1]) if factor is None else factor
    added = checked_offset(offset, n, n_outputs, x.dtype)
    z = np.empty((n, n_outputs), x.dtype)
    if added is None and not np.any(factor == 0):
        z[:] = model._start(loss, target, weight, target, weight, n_outputs, one_hot, None, None)
    else:
        z[:] = _without_penalised(model, x, rows, added, factor == 0)
    everything = slice(0, n)
    scores = scores_of(loss, target, weight, n_outputs, one_hot)
    total = scores.total_weight(everything)
    if l1_share == 0:
        spread = columns_of(x, weight, bool(model.fit_intercept)).spread
        if loss.traits.has_kinks:
            curvature = 1 / of_constant(loss, target, weight, z, n_outputs, one_hot, x.dtype)[0]
        else:
            curvature = float(np.sum(scores.diagonal(z, everything), dtype=np.float64)) / (n_outputs * total)
        counted = np.isfinite(spread) & (factor > 0)
        return MOST_L2 * curvature * float(np.sum(np.square(spread[counted]) / factor[counted])) or 1.0
    u = np.empty_like(z)
    scores.value_and_gradient(z, everything, u)
    slopes = u.astype(np.float64) / total
    counts = np.ones((n, 1)) if weight is None else weight.reshape(n, -1).astype(np.float64)
    if model.fit_intercept:
        # At a kink any slope between those beside it will do: those that sum to 0 with all others.
        at_kink = _at_kink(loss, target, z, one_hot) & (counts > 0)
        slopes = np.where(at_kink, 0.0, slopes)
        free = np.where(np.any(at_kink, axis=0), at_kink * counts, counts)
        slopes = slopes - free * slopes.sum(axis=0) / free.sum(axis=0)
    derivative = np.asarray(x.T @ slopes)
    bounds = checked_bounds(model.bounds, model.positive, x.shape[1])
    falls = np.abs(derivative)
    if bounds is not None:
        rises = (bounds[1] > 0)[:, None] * np.maximum(-derivative, 0)
        falls = np.maximum(rises, (bounds[0] < 0)[:, None] * np.maximum(derivative, 0))
    penalised = factor > 0
    most = float(np.max(falls[penalised] / factor[penalised, None], initial=0.0)) / l1_share
    return most or float(np.finfo(np.float64).eps)


def _without_penalised(model: Any, x: Any, rows: Prepared, offset: Any, free: np.ndarray) -> np.ndarray:
    """Return the scores of the fit of what is not penalised."""
    few = x[:, np.flatnonzero(free)] if np.any(free) else np.ones((x.shape[0], 1), x.dtype)
    null = copy.copy(model)
    bounds = checked_bounds(model.bounds, model.positive, x.shape[1])
    if bounds is not None:
        bounds = tuple(end[free] for end in bounds) if np.any(free) else None
    null.set_params(penalty=None, penalty_weight=None, bounds=bounds, positive=False)
    if not np.any(free) and not model.fit_intercept:
        return np.zeros((x.shape[0], rows.n_outputs)) + (0.0 if offset is None else offset)
    given = offset if offset is None or rows.n_outputs > 1 else offset[:, 0]
    with Fits(null, few, rows, given) as fits:
        theta = fits.minimise(null)
    z = np.asarray(few @ theta[:, : few.shape[1]].T) + (theta[:, -1] if model.fit_intercept else 0.0)
    return z + (0.0 if offset is None else offset)


def _at_kink(loss: Any, target: np.ndarray, z: np.ndarray, one_hot: bool) -> np.ndarray:
    """Where a score is so near to a kink that the slope there is not known."""
    if not loss.traits.has_kinks:
        return np.zeros(z.shape, bool)
    away = 1e-5 * (1 + np.abs(z))
    scores = scores_of(loss, target, None, z.shape[1], one_hot)
    below, above = np.empty_like(z), np.empty_like(z)
    scores.value_and_gradient(z - away, slice(0, len(z)), below)
    scores.value_and_gradient(z + away, slice(0, len(z)), above)
    return np.asarray(np.abs(above - below) > 1e-6)


def checked_alphas(alphas: Any) -> int | np.ndarray:
    """Return how many amounts there are to be, or the amounts, falling."""
    if alphas is None:
        return N_ALPHAS
    if isinstance(alphas, numbers.Integral) and not isinstance(alphas, bool):
        if alphas < 1:
            raise ValueError(f"alphas must be at least 1 where it is a number of them, got {alphas}")
        return int(alphas)
    given = np.asarray(alphas)
    if given.ndim != 1 or not given.size or given.dtype.kind not in "fiu":
        raise ValueError("alphas must be None, how many, or a list of numbers")
    wrong = ~((given >= 0) & np.isfinite(given))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"alphas[{at}] = {given[at]} must be finite and not negative")
    return np.asarray(np.sort(np.unique(given.astype(np.float64)))[::-1])


def alphas_of(n: int, model: Any, x: Any, rows: Prepared, offset: Any) -> np.ndarray:
    """Return `n` amounts, falling from the least that leaves nothing."""
    l1_share = {"l1": 1.0, "l2": 0.0, "elasticnet": float(model.l1_ratio)}[model.penalty]
    most = alpha_max(model, x, rows, offset, l1_share)
    return np.asarray(most * np.geomspace(1.0, RATIO_L1 if l1_share else RATIO_L2, n))


class _Path:
    """What both estimators with cross-validation share."""

    alphas: Any
    l1_ratio: Any
    cv: Any
    scoring: Any
    one_standard_error: bool
    penalty: str | None
    n_jobs: int | None

    @property
    def partial_fit(self) -> Any:
        """Not there."""
        raise AttributeError(self._no_parts("partial_fit"))

    @property
    def fit_blocks(self) -> Any:
        """Not there."""
        raise AttributeError(self._no_parts("fit_blocks"))

    @property
    def path(self) -> Any:
        """Not there."""
        name = type(self).__name__
        raise AttributeError(f"{name} has no path of its own; path is a method of {name.removesuffix('CV')}")

    def _no_parts(self, method: str) -> str:
        name = type(self).__name__
        return f"{name} needs all rows for its folds; {method} of {name.removesuffix('CV')} takes one alpha"

    def plot_path(self, ax: Any = None) -> Any:
        """
        Draw the scores along the path: each fold, the mean with its standard error, and the alpha that was chosen.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; None is a figure of its own.

        Returns
        -------
        matplotlib.axes.Axes
            With a logarithmic axis of alpha; of several `l1_ratio` it shows the chosen one.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before `fit`.
        ModuleNotFoundError
            Without matplotlib.
        """
        check_is_fitted(self)
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.figure().add_subplot()
        this: Any = self
        alphas, scores = this.alphas_, this.cv_scores_
        if scores.ndim == 3:
            chosen = self._checked_ratios().index(this.l1_ratio_)
            alphas, scores = alphas[chosen], scores[chosen]
        # A fold that is scored by no row has no score.
        known = np.maximum(np.sum(~np.isnan(scores), axis=1), 1)
        mean, error = np.nanmean(scores, axis=1), np.nanstd(scores, axis=1, ddof=1) / np.sqrt(known)
        ax.plot(alphas, scores, color="0.8", linewidth=0.8)
        ax.errorbar(alphas, mean, error, color="C0", capsize=2, label="mean and standard error")
        ax.axvline(this.alpha_, color="C1", linestyle="--", label=f"alpha_ = {this.alpha_:.3g}")
        ax.set(xscale="log", xlabel="alpha", ylabel="score of the left-out fold")
        ax.legend()
        return ax

    def _model(self, l1_ratio: float, **parameters: Any) -> Any:
        base = LossClassifier if is_classifier(self) else LossRegressor
        names = base._get_param_names()
        shared = {name: getattr(self, name) for name in names if name not in ("alpha", "l1_ratio", "warm_start")}
        return base(**{**shared, "l1_ratio": l1_ratio, **parameters})

    def _checked_penalty(self) -> tuple[float, float]:
        """Check the parameters; how much of each penalty there is comes later."""
        self._checked_ratios()
        return 0.0, 0.0

    def _checked_ratios(self) -> list[float]:
        ratios = [self.l1_ratio] if isinstance(self.l1_ratio, numbers.Real) else list(self.l1_ratio)
        if not ratios:
            raise ValueError("l1_ratio must be a number or several, got none")
        if self.penalty is None:
            raise ValueError("penalty must be 'l1', 'l2' or 'elasticnet': without one there is nothing to choose")
        if len(ratios) > 1 and self.penalty != "elasticnet":
            raise ValueError(f"several l1_ratio need penalty='elasticnet', got {self.penalty!r}")
        for ratio in ratios:
            self._model(float(ratio), alpha=1.0)._checked_penalty()
        return [float(ratio) for ratio in ratios]

    def _fit_path(self, X: Any, y: Any, sample_weight: Any, offset: Any) -> Any:
        ratios, alphas = self._checked_ratios(), checked_alphas(self.alphas)
        this: Any = self
        X = this._checked_data(X, y)
        y = checked_labels(y, X.dtype)
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        models = [self._model(ratio, alpha=1.0) for ratio in ratios]
        rows, classes = _of_all(models[0], X, y, sample_weight)
        n_outputs = rows.n_outputs
        added = checked_offset(offset, X.shape[0], n_outputs, X.dtype)
        given = None if added is None else (added[:, 0] if n_outputs == 1 else added)
        if isinstance(alphas, int):
            each = [alphas_of(alphas, model, X, rows, given) for model in models]
        else:
            each = [alphas] * len(ratios)
        weight = None if sample_weight is None else this._checked_weight(X, sample_weight)
        scorer = None if self.scoring is None else check_scoring(models[0], scoring=self.scoring)
        folds = list(check_cv(self.cv, y, classifier=is_classifier(self)).split(X, y))
        jobs = (
            delayed(_scores_along)(copy.copy(model), along, X, y, weight, given, fold, i, _Judge(scorer, rows, classes))
            for model, along in zip(models, each, strict=True)
            for i, fold in enumerate(folds)
        )
        found = np.array(Parallel(n_jobs=self.n_jobs, prefer="threads")(jobs))
        scores = found.reshape(len(ratios), len(folds), -1).swapaxes(1, 2)
        self._choose(scores, np.array(each), ratios)
        best = self._model(self.l1_ratio_, alpha=self.alpha_).fit(X, y, sample_weight, given)
        for name, value in vars(best).items():
            if name == "_is_multilabel" or (name.endswith("_") and name != "n_features_in_"):
                setattr(self, name, value)
        return self

    def _fit_path_together(self, X: Any, y: Any, sample_weight: Any, offset: Any, strata: Any, group: Any) -> Any:
        """Of survival times: folds of rows, each scored by its own likelihood unless there is a scorer."""
        this: Any = self
        loss: Any = resolve(this.loss)
        if not isinstance(loss, (fl.AFT, fl.CoxPH)) or group is not None:
            raise ValueError(f"{loss!r} has groups, which folds of rows would cut: fit LossRegressor with some alphas")
        together.refuse(loss, offset=offset)
        ratios, alphas = self._checked_ratios(), checked_alphas(self.alphas)
        X = this._checked_features(X, reset=True)
        check_consistent_length(X, y)
        y = y if getattr(getattr(y, "dtype", None), "names", None) else np.asarray(y)
        weight = checked_weights(sample_weight, len(y))
        given = {"sample_weight": weight} | ({} if strata is None else {"strata": of_rows(strata, "strata", len(y))})
        prepared = loss.prepare(y, weight, strata=given.get("strata"))
        lines = together.LinearScores(X, prepared, isinstance(loss, fl.AFT) and bool(this.fit_intercept), 0.0, 0.0)
        start = together.start_of(lines, y, weight)
        folds = list(check_cv(self.cv, y).split(X))
        scorer = None if self.scoring is None else check_scoring(self._model(ratios[0], alpha=1.0), self.scoring)
        each, found = [], []
        for ratio in ratios:
            share = {"l1": 1.0, "l2": 0.0, "elasticnet": ratio}[str(self.penalty)]
            along = alphas
            if isinstance(along, int):
                most = together.alpha_max(lines, start, share, MOST_L2)
                along = most * np.geomspace(1.0, RATIO_L1 if share else RATIO_L2, along)
            jobs = (delayed(_times_along)(self._model(ratio), along, X, y, given, fold, scorer) for fold in folds)
            each.append(along)
            found.append(Parallel(n_jobs=self.n_jobs, prefer="threads")(jobs))
        self._choose(np.array(found).swapaxes(1, 2), np.array(each), ratios)
        best = self._model(self.l1_ratio_, alpha=self.alpha_).fit(X, y, **given)
        for name, value in vars(best).items():
            if name.endswith("_") and name != "n_features_in_":
                setattr(self, name, value)
        return self

    def _choose(self, scores: np.ndarray, alphas: np.ndarray, ratios: list[float]) -> None:
        """Set what was found, of scores (ratios, alphas, folds)."""
        known = np.where(np.isnan(scores), 0.0, scores)
        n_known = np.sum(~np.isnan(scores), axis=2)
        if not np.all(n_known):
            raise ValueError("no fold has a score: the rows that a fold is scored by have no weight")
        mean = known.sum(axis=2) / n_known
        best, at = np.unravel_index(int(np.argmax(mean)), mean.shape)
        if self.one_standard_error:
            with np.errstate(invalid="ignore"):
                spread = float(np.nanstd(scores[best, at], ddof=1)) if n_known[best, at] > 1 else 0.0
            enough = mean[best, at] - spread / np.sqrt(n_known[best, at])
            at = np.flatnonzero(mean[best] >= enough)[0] if np.isfinite(enough) else at
        self.alpha_, self.l1_ratio_ = float(alphas[best, at]), float(ratios[best])
        one = isinstance(self.l1_ratio, numbers.Real)
        self.alphas_: np.ndarray = alphas[0] if one else alphas
        self.cv_scores_: np.ndarray = scores[0] if one else scores


class _Judge:
    """The score of a model on the rows that a fold was not fitted to; greater is better."""

    def __init__(self, scorer: Any, rows: Prepared, classes: Any) -> None:
        """`classes`: all of them, or None."""
        self.scorer, self.rows, self.classes = scorer, rows, classes

    def __call__(self, model: Any, x: Any, y: Any, test: np.ndarray, weight: Any, offset: Any, fold: int) -> float:
        """`x` and `y` of the rows `test`."""
        model = copy.copy(model)
        model._offset_of_fold = None if offset is None else offset[test]
        of_test = None if weight is None else weight[test]
        if self.scorer is not None:
            counted = {} if of_test is None or not _takes_weight(self.scorer) else {"sample_weight": of_test}
            return float(self.scorer(model, x, y, **counted))
        rows = self.rows
        if rows.weight is not None and not np.any(rows.weight[test]):
            return float("nan")
        of_loss = None if rows.weight is None else rows.weight[test]
        if self.classes is not None and len(model.classes_) < len(self.classes):
            scorer = loss_scorer(rows.loss, labels=self.classes, response_method="decision_function")
            missing = self.classes[~np.isin(self.classes, model.classes_)].tolist()
            try:
                return float(scorer(model, x, y, sample_weight=of_loss))
            except ValueError as error:
                raise ValueError(
                    f"the rows that fold {fold} is fitted to lack the classes {missing}, for which {rows.loss.name} "
                    f"has no score: use fewer folds, or a scoring that needs none"
                ) from error
        scores = scores_of(rows.loss, rows.target[test], of_loss, rows.n_outputs, rows.one_hot)
        z = np.asarray(model._scores(x)).reshape(len(test), -1)
        everything = slice(0, len(test))
        value = scores.value_and_gradient(z, everything, np.empty_like(z))
        return -value / scores.total_weight(everything)


def _takes_weight(scorer: Any) -> bool:
    known = getattr(scorer, "_accept_sample_weight", None)
    return isinstance(scorer, _LossScorer) or (known is not None and bool(known()))


def _of_all(model: Any, x: Any, y: Any, sample_weight: Any) -> tuple[Prepared, np.ndarray | None]:
    prepared = model._prepared(x, y, sample_weight)
    if isinstance(prepared, Prepared):
        return prepared, None
    rows, classes = prepared
    return rows, classes if rows.target.ndim == 1 else None


def _scores_along(
    model: Any, alphas: np.ndarray, x: Any, y: Any, weight: Any, offset: Any, fold: Any, i: int, judge: _Judge
) -> list[float]:
    """Return the scores of one fold along the path, each fit from the one before."""
    train, test = (np.arange(len(y))[rows] for rows in fold)
    x_train, y_train, x_test, y_test = x[train], y[train], x[test], y[test]
    of_train = None if weight is None else weight[train]
    offset_of_train = None if offset is None else offset[train]
    classes = None if judge.classes is None else np.unique(y_train)
    if classes is not None and len(classes) < 2:
        raise ValueError(
            f"the rows that fold {i} is fitted to have only one class, {classes.tolist()[0]!r}: use fewer folds, or a "
            f"cv that shares out the classes"
        )
    if judge.rows.weight is not None and judge.rows.weight.ndim == 2:
        of_labels = np.any(judge.rows.weight[train], axis=0)
        if not of_labels.all():
            raise ValueError(
                f"the rows that fold {i} is fitted to have no label in column {int(np.argmin(of_labels))} of y: use "
                f"fewer folds, or a cv that shares out the labels"
            )
    if classes is not None and offset_of_train is not None and len(classes) < len(judge.classes):
        raise ValueError(f"the rows that fold {i} is fitted to lack a class, which offset has a column for")
    found = []
    with model._fits(x_train, y_train, of_train, offset_of_train) as fits:
        for theta in fits.along(model, alphas):
            model._keep_fit(fits, theta)
            found.append(judge(model, x_test, y_test, test, weight, offset, i))
    return found


def _times_along(
    model: Any, alphas: np.ndarray, x: Any, y: Any, given: dict[str, Any], fold: Any, scorer: Any
) -> list[float]:
    """Return the scores of one fold along the path, each fit from the one before; nan where it has nothing to tell."""
    train, test = (np.arange(len(y))[rows] for rows in fold)
    of_train, of_test = (
        {name: value[rows] for name, value in given.items() if value is not None} for rows in (train, test)
    )
    loss: Any = resolve(model.loss)
    judge = loss.prepare(y[test], **of_test)
    tells = judge.total_weight > 0 and (isinstance(loss, fl.AFT) or judge.layout.n_events.any())
    found = []
    for alpha in alphas:
        model.set_params(alpha=float(alpha), warm_start=True)
        model.fit(x[train], y[train], **of_train)
        if scorer is not None:
            found.append(float(scorer(model, x[test], y[test])))
        else:
            found.append(-float(judge(model._time_scores(x[test]))) if tells else float("nan"))
    return found


class LossClassifierCV(_Path, LossClassifier):
    """
    Linear classifier with any loss and the amount of the penalty that does best on rows it has not seen.

    The objective is that of `LossClassifier`. For each fold and each ``l1_ratio`` the model goes along a path of
    falling ``alpha``, each fit from the one before, and is scored on the rows that it was not fitted to; the
    ``alpha`` of the best mean score is then fitted to all rows.

    Parameters
    ----------
    loss : loss object or str, default 'cross_entropy'
        As for `LossClassifier`.
    penalty : {"l1", "l2", "elasticnet"}, default "l2"
        What is added to the mean loss.
    alphas : int or array_like, optional
        The amounts to choose from, or how many; 100 by default. The path then starts at the least alpha at which all
        penalised coefficients are 0, and ends at 1/1000 of it. With L2 alone, where there is no such alpha, it goes
        from 10 times the curvature of the loss times the sum of the variances of the features over 7 powers of ten.
    l1_ratio : float or list of float, default 0.5
        The share of the L1 norm in "elasticnet", or several to choose from.
    cv : int, splitter or iterable, optional
        As `sklearn.model_selection.check_cv` takes it; 5 folds with about the same share of each class by default.
    scoring : str or callable, optional
        Any scorer, of which greater is better. By default minus the mean loss that is minimised, without the penalty.
    one_standard_error : bool, default False
        Whether to take, instead of the best, the largest alpha whose mean score is within one standard error (of the
        scores of the folds) of the best.
    fit_intercept : bool, default True
        Whether there is an intercept; else it is 0.
    class_weight : dict, "balanced" or None, default None
        As for `LossClassifier`.
    solver : {"auto", "newton", "lbfgs", "descent"}, default "auto"
        As for `LossClassifier`.
    max_iter : int, default 1000
        The most iterations of a fit.
    tol : float, default 1e-6
        As for `LossClassifier`.
    n_jobs : int, optional
        How many folds are fitted at the same time, in threads that share `X`. A fit has threads of its own.
    verbose : int, default 0
        Whether to print each iteration.
    penalty_weight : float or array_like of shape (n_features,), optional
        As for `LossClassifier`.
    bounds : (low, high), optional
        As for `LossClassifier`.
    positive : bool, default False
        As for `LossClassifier`.

    Attributes
    ----------
    alpha_ : float
        The amount that was chosen.
    l1_ratio_ : float
        The share that goes with it.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratio, n_alphas)
        All amounts, falling; two dimensions if `l1_ratio` is a list.
    cv_scores_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratio, n_alphas, n_folds)
        The scores; nan where all rows to score by have the weight 0.
    classes_ : ndarray of shape (n_classes,)
        The classes.
    coef_ : ndarray
        As for `LossClassifier`, fitted to all rows; so are `intercept_`, `n_iter_` and `loss_curve_`.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        0 without an intercept.
    n_iter_ : int
        The iterations of the last fit.
    loss_curve_ : list of float
        The objective after each of them.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if `X` has strings for them.

    See Also
    --------
    LossClassifier : one fit.

    Notes
    -----
    **Where the path starts.** With coefficients of 0 and the best intercept let u be the derivatives of the mean loss
    by the scores. The coefficient of feature j stays 0 if ``|X_j' u| <= alpha * l1_ratio * penalty_weight_j``; the path
    starts where this holds for all. With an offset, or features that are not penalised, these are fitted first. At
    kinks u is not unique: those of rows at a kink are taken as equal, and the path may start a little above.

    **Folds that lack a class.** The model of such a fold does not know it; rows of the class are scored as
    `fastloss.sklearn.loss_scorer` scores a class that an estimator has not seen, and losses of a margin refuse it.

    References
    ----------
    .. [1] Friedman, Hastie, Tibshirani (2010), Regularization Paths for Generalized Linear Models via Coordinate
       Descent, Journal of Statistical Software 33 (1).

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fastloss.sklearn import LossClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = LossClassifierCV("binary_cross_entropy", penalty="l1", alphas=10).fit(X, y)
    >>> model.cv_scores_.shape
    (10, 5)
    >>> bool(model.alpha_ < model.alphas_[0])
    True
    """

    def __init__(
        self,
        loss: Any = "cross_entropy",
        *,
        penalty: str | None = "l2",
        alphas: Any = None,
        l1_ratio: Any = 0.5,
        cv: Any = None,
        scoring: Any = None,
        one_standard_error: bool = False,
        fit_intercept: bool = True,
        class_weight: Any = None,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-6,
        n_jobs: int | None = None,
        verbose: int = 0,
        penalty_weight: Any = None,
        bounds: Any = None,
        positive: bool = False,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alphas = alphas
        self.l1_ratio = l1_ratio
        self.cv = cv
        self.scoring = scoring
        self.one_standard_error = one_standard_error
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.penalty_weight = penalty_weight
        self.bounds = bounds
        self.positive = positive

    def fit(self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None) -> LossClassifierCV:
        """
        Choose the amount of the penalty, and fit the model with it.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        y : array_like of shape (n,) or (n, K)
            As for `LossClassifier`.
        sample_weight : array_like of shape (n,), optional
            >= 0. A row of weight 0 counts nowhere; scorers that take weights get them.
        offset : array_like of shape (n,) or (n, K), optional
            What is added to the scores, in fits and where they are scored.

        Returns
        -------
        LossClassifierCV
            The estimator itself.

        Raises
        ------
        ValueError
            As for `LossClassifier`; or if the rows that a fold is fitted to lack a class that a score needs.

        Warns
        -----
        ConvergenceWarning
            As for `LossClassifier`.
        """
        self._fit_path(X, y, sample_weight, offset)
        return self


class LossRegressorCV(_Path, LossRegressor):
    """
    Linear regression with any loss and the amount of the penalty that does best on rows it has not seen.

    The objective is that of `LossRegressor`. For each fold and each ``l1_ratio`` the model goes along a path of falling
    ``alpha``, each fit from the one before, and is scored on the rows that it was not fitted to; the
    ``alpha`` of the best mean score is then fitted to all rows.

    Parameters
    ----------
    loss : loss object or str, default 'huber'
        As for `LossRegressor`.
    penalty : {"l1", "l2", "elasticnet"}, default "l2"
        What is added to the mean loss.
    alphas : int or array_like, optional
        The amounts to choose from, or how many; 100 by default. The path then starts at the least alpha at which all
        penalised coefficients are 0, and ends at 1/1000 of it. With L2 alone, where there is no such alpha, it goes
        from 10 times the curvature of the loss times the sum of the variances of the features over 7 powers of ten.
    l1_ratio : float or list of float, default 0.5
        The share of the L1 norm in "elasticnet", or several to choose from.
    cv : int, splitter or iterable, optional
        As `sklearn.model_selection.check_cv` takes it; 5 folds by default.
    scoring : str or callable, optional
        Any scorer, of which greater is better. By default minus the mean loss that is minimised, without the penalty.
    one_standard_error : bool, default False
        Whether to take, instead of the best, the largest alpha whose mean score is within one standard error (of the
        scores of the folds) of the best.
    fit_intercept : bool, default True
        Whether there is an intercept; else it is 0.
    solver : {"auto", "newton", "lbfgs", "descent"}, default "auto"
        As for `LossRegressor`.
    max_iter : int, default 1000
        The most iterations of a fit.
    tol : float, default 1e-6
        As for `LossRegressor`.
    n_jobs : int, optional
        How many folds are fitted at the same time, in threads that share `X`. A fit has threads of its own.
    verbose : int, default 0
        Whether to print each iteration.
    penalty_weight : float or array_like of shape (n_features,), optional
        As for `LossRegressor`.
    bounds : (low, high), optional
        As for `LossRegressor`.
    positive : bool, default False
        As for `LossRegressor`.

    Attributes
    ----------
    alpha_ : float
        The amount that was chosen.
    l1_ratio_ : float
        The share that goes with it.
    alphas_ : ndarray of shape (n_alphas,) or (n_l1_ratio, n_alphas)
        All amounts, falling; two dimensions if `l1_ratio` is a list.
    cv_scores_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratio, n_alphas, n_folds)
        The scores; nan where all rows to score by have the weight 0.
    coef_ : ndarray
        As for `LossRegressor`, fitted to all rows; so are `intercept_`, `n_iter_` and `loss_curve_`.
    intercept_ : float or ndarray of shape (n_targets,)
        0 without an intercept.
    n_iter_ : int
        The iterations of the last fit.
    loss_curve_ : list of float
        The objective after each of them.
    n_features_in_ : int
        The number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, if `X` has strings for them.

    See Also
    --------
    LossRegressor : one fit.

    Notes
    -----
    **Where the path starts.** With coefficients of 0 and the best intercept let u be the derivatives of the mean loss
    by the scores. The coefficient of feature j stays 0 if ``|X_j' u| <= alpha * l1_ratio * penalty_weight_j``; the path
    starts where this holds for all. With an offset, or features that are not penalised, these are fitted first. At
    kinks u is not unique: those of rows at a kink are taken as equal, and the path may start a little above.

    References
    ----------
    .. [1] Friedman, Hastie, Tibshirani (2010), Regularization Paths for Generalized Linear Models via Coordinate
       Descent, Journal of Statistical Software 33 (1).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastloss.sklearn import LossRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LossRegressorCV("squared_error", penalty="elasticnet", alphas=20, l1_ratio=[0.5, 1.0]).fit(X, y)
    >>> model.cv_scores_.shape, model.l1_ratio_ in (0.5, 1.0)
    ((2, 20, 5), True)
    """

    def __init__(
        self,
        loss: Any = "huber",
        *,
        penalty: str | None = "l2",
        alphas: Any = None,
        l1_ratio: Any = 0.5,
        cv: Any = None,
        scoring: Any = None,
        one_standard_error: bool = False,
        fit_intercept: bool = True,
        solver: str = "auto",
        max_iter: int = 1000,
        tol: float = 1e-6,
        n_jobs: int | None = None,
        verbose: int = 0,
        penalty_weight: Any = None,
        bounds: Any = None,
        positive: bool = False,
    ) -> None:
        self.loss = loss
        self.penalty = penalty
        self.alphas = alphas
        self.l1_ratio = l1_ratio
        self.cv = cv
        self.scoring = scoring
        self.one_standard_error = one_standard_error
        self.fit_intercept = fit_intercept
        self.solver = solver
        self.max_iter = max_iter
        self.tol = tol
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.penalty_weight = penalty_weight
        self.bounds = bounds
        self.positive = positive

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        offset: Any = None,
        *,
        strata: Any = None,
        group: Any = None,
    ) -> LossRegressorCV:
        """
        Choose the amount of the penalty, and fit the model with it.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        y : array_like of shape (n,) or (n, n_targets)
            As for `LossRegressor`.
        sample_weight : array_like of shape (n,), optional
            >= 0. A row of weight 0 counts nowhere; scorers that take weights get them.
        offset : array_like of shape (n,) or (n, n_targets), optional
            What is added to the scores, in fits and where they are scored.
        strata : array_like of shape (n,), optional
            Of `fastloss.CoxPH`: the stratum of each row. A fold is scored by its own partial likelihood.
        group : array_like, optional
            Refused: folds of rows would cut groups.

        Returns
        -------
        LossRegressorCV
            The estimator itself.

        Raises
        ------
        ValueError
            As for `LossRegressor`.

        Warns
        -----
        ConvergenceWarning
            As for `LossRegressor`.
        """
        loss = resolve(self.loss)
        if loss.kind == "segments":
            self._fit_path_together(X, y, sample_weight, offset, strata, group)
            return self
        if strata is not None or group is not None:
            raise TypeError(f"{loss!r} has no strata and no groups")
        self._fit_path(X, y, sample_weight, offset)
        return self
