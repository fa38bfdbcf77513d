"""Linear scores under a loss of rows that belong together: survival, choices, rankings.

Such a loss is no sum over rows, so that it does not go through X block by block as `_objective` does. Newton's method
with the whole Hessian where there are few features, else L-BFGS; with an L1 norm the model of each step is minimised
by coordinates, and many features take accelerated proximal steps.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import optimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_consistent_length

import fastloss as fl

from ..survival import survival_of_hazard
from ._options import resolve

# Features beyond which no Hessian is formed.
MOST_FEATURES = 400
# Relative rounding of a value, below which two are the same.
ROUNDING = 1e-14


@dataclass
class LinearFit:
    """
    Where a fit ended.

    Attributes
    ----------
    theta : ndarray
        Coefficients, then the intercept and the log of the scale, as far as there are such.
    curve : list of float
        The objective after each iteration.
    stopped : str
        Why it did not converge; empty if it did.
    """

    theta: np.ndarray
    curve: list[float] = field(default_factory=list)
    stopped: str = ""


class LinearScores:
    """
    The mean loss of linear scores as a function of theta, in coordinates in which columns have about the spread 1.

    `l1` and `l2` hold a penalty for each number of theta.
    """

    def __init__(self, x: Any, prepared: Any, has_intercept: bool, l1: float, l2: float) -> None:
        self.x, self.prepared, self.has_intercept = x, prepared, has_intercept
        self.is_sparse = not isinstance(x, np.ndarray)
        self.has_scale = prepared.loss.n_columns_ == 2
        mean, squares = _moments(x)
        if isinstance(prepared.loss, fl.AFT) and not has_intercept:
            # Nothing would make up for what centring adds to all scores; for the other losses it makes no difference.
            mean = np.zeros_like(mean)
        self.centre = np.zeros_like(mean) if self.is_sparse else mean
        spread = np.sqrt(np.maximum(squares - mean**2, 0.0))
        self.moves = spread > 1e-12 * np.sqrt(squares)
        # Where the penalty bends more than the loss does, a step is as long as that allows.
        start = np.zeros((x.shape[0], 2) if self.has_scale else x.shape[0])
        curvature = prepared.gradient_and_hessian(start, curvature="psd")[1]
        bend = float((curvature[:, 0] if self.has_scale else curvature).sum())
        spread = np.sqrt(spread**2 + l2 / bend) if bend > 0 and np.isfinite(bend) else spread
        self.spread = np.where(self.moves, spread, 1.0)
        free = np.zeros(int(has_intercept) + int(self.has_scale))
        self.l1 = np.append(l1 / self.spread, free)
        self.l2 = np.append(l2 / self.spread**2, free)
        self._dense: np.ndarray | None = None

    @property
    def n_theta(self) -> int:
        """How many numbers there are to find."""
        return len(self.l1)

    @property
    def features(self) -> np.ndarray:
        """The columns centred and scaled, those that are constant 0."""
        if self._dense is None:
            x = self.x.toarray() if self.is_sparse else self.x
            self._dense = np.asarray((x - self.centre) / self.spread * self.moves, np.float64)
        return self._dense

    def scores(self, theta: np.ndarray) -> np.ndarray:
        """The prediction of the loss."""
        n = len(self.centre)
        coef = np.where(self.moves, theta[:n] / self.spread, 0.0)
        z = np.asarray(self.x @ coef, np.float64) - coef @ self.centre
        if self.has_intercept:
            z += theta[n]
        return np.stack([z, np.full(len(z), theta[-1])], axis=1) if self.has_scale else z

    def smooth(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Loss and L2 norm, and their gradient; where a step goes too far they may be infinite or nan."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            value, by_score = self.prepared.value_and_gradient(self.scores(theta))
            place = by_score[:, 0] if self.has_scale else by_score
            of_features = np.asarray(self.x.T @ place) - place.sum() * self.centre
            gradient = [np.where(self.moves, of_features / self.spread, 0.0)]
            gradient += [np.sum(place, keepdims=True)] if self.has_intercept else []
            gradient += [np.sum(by_score[:, 1], keepdims=True)] if self.has_scale else []
            return value + 0.5 * float(self.l2 @ theta**2), np.concatenate(gradient) + self.l2 * theta

    def whole(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Return all that is minimised, and the gradient of the smooth part."""
        value, gradient = self.smooth(theta)
        return value + float(self.l1 @ np.abs(theta)), gradient

    def hessian(self, theta: np.ndarray) -> np.ndarray:
        """That of the smooth part, never less than what is positive definite beside rounding."""
        x = self.features
        if self.has_intercept:
            x = np.column_stack([x, np.ones(len(x))])
        full = np.zeros((self.n_theta, self.n_theta))
        matrix = hessian_of(self.prepared, self.scores(theta), x)
        full[: len(matrix), : len(matrix)] = matrix
        full += np.diag(self.l2)
        return full

    def theta_of(self, coef: np.ndarray, intercept: float, scale: float) -> np.ndarray:
        """Return the coordinates of coefficients of X as it is."""
        more = [intercept + coef @ self.centre] if self.has_intercept else []
        more += [math.log(scale)] if self.has_scale else []
        return np.append(coef * self.spread, more)

    def coefficients(self, theta: np.ndarray) -> tuple[np.ndarray, float, float]:
        """Coefficients of X as it is, intercept and scale."""
        n = len(self.centre)
        coef = np.where(self.moves, theta[:n] / self.spread, 0.0)
        intercept = float(theta[n] - coef @ self.centre) if self.has_intercept else 0.0
        return coef, intercept, float(np.exp(theta[-1])) if self.has_scale else 1.0


def _moments(x: Any) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(x, np.ndarray):
        wide = x.astype(np.float64, copy=False)
        return wide.mean(axis=0), np.einsum("ij,ij->j", wide, wide) / len(wide)
    mean = np.asarray(x.mean(axis=0), np.float64).ravel()
    return mean, np.asarray(x.multiply(x).mean(axis=0), np.float64).ravel()


# ------------------------------------------------------------------------------------------------ Hessians


def hessian_of(prepared: Any, z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the mean loss's Hessian by coefficients of x; with a fitted scale its diagonal stands for the last one."""
    name = prepared.loss.name
    if name == "cox_ph":
        return np.asarray(_of_cox(prepared, z, x) / prepared.total_weight)
    if name == "group_softmax":
        return np.asarray(_of_groups(prepared, z, x) / prepared.total_weight)
    _, diagonal = prepared.gradient_and_hessian(z, curvature="psd")
    if diagonal.ndim == 1:
        return np.asarray(x.T @ (x * diagonal[:, None]))
    return _with_scale(prepared, z, x, diagonal)


def _with_scale(prepared: Any, z: np.ndarray, x: np.ndarray, diagonal: np.ndarray) -> np.ndarray:
    """The log of the scale is a column that all rows have in common; what is mixed comes from differences."""
    step = 1e-5
    moved = z.copy()
    moved[:, 1] += step
    ahead = prepared.gradient(moved)[:, 0]
    moved[:, 1] -= 2 * step
    mixed = (ahead - prepared.gradient(moved)[:, 0]) / (2 * step)
    n = x.shape[1]
    full = np.empty((n + 1, n + 1))
    full[:n, :n] = x.T @ (x * diagonal[:, :1])
    full[n, :n] = full[:n, n] = x.T @ mixed
    exact = prepared.gradient_and_hessian(z)[1][:, 1].sum()
    full[n, n] = exact if exact > 0 else diagonal[:, 1].sum()
    return full


def _of_groups(prepared: Any, z: np.ndarray, x: np.ndarray) -> np.ndarray:
    layout = prepared.layout
    if layout.order is not None:
        z, x = z[layout.order], x.take(layout.order, axis=0)
    filled = np.diff(layout.segment) > 0
    first, sizes = layout.segment[:-1][filled], np.diff(layout.segment)[filled]
    chosen = layout.lower if layout.weight is None else layout.lower * layout.weight
    total = np.add.reduceat(chosen, first)
    e = np.exp(z - np.repeat(np.maximum.reduceat(z, first), sizes))
    p = e / np.repeat(np.add.reduceat(e, first), sizes)
    mean = np.add.reduceat(x * p[:, None], first, axis=0)
    return np.asarray(x.T @ (x * (p * np.repeat(total, sizes))[:, None]) - mean.T @ (mean * total[:, None]))


def _of_cox(prepared: Any, z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Sum over the events of the variance of x over the rows at risk, stratum by stratum."""
    matrix = np.zeros((x.shape[1], x.shape[1]))
    for _, risk_sets in _strata(prepared, z, x):
        matrix += risk_sets.variances()
    return matrix


def _strata(prepared: Any, z: np.ndarray, x: np.ndarray) -> Iterator[tuple[np.ndarray, _RiskSets]]:
    """Yield the rows of each stratum of `CoxPH` that has events, in order of time, and what is at risk there."""
    layout = prepared.layout
    starts = np.append(layout.segment[:-1][layout.begins == 1], layout.n_rows)
    for first, end in itertools.pairwise(starts):
        low, high = np.searchsorted(layout.segment, (first, end))
        rows = layout.order[first:end]
        w = np.ones(len(rows)) if layout.weight is None else layout.weight[first:end]
        segment, n_events = layout.segment[low : high + 1] - first, layout.n_events[low:high]
        if n_events.any():
            yield rows, _RiskSets(z[rows], x.take(rows, axis=0), w, segment, n_events, prepared.loss.ties)


class _RiskSets:
    """
    Means of x over the rows at risk in a stratum: one for each event of a time, or with Breslow's ties for each time.

    In the k-th of d, events of its time count 1 - k / d.
    """

    def __init__(
        self, z: np.ndarray, x: np.ndarray, w: np.ndarray, segment: np.ndarray, n_events: np.ndarray, ties: str
    ) -> None:
        e = w * np.exp(np.maximum(z - z.max(), -700.0))
        self.x, self.w, self.n_times = x, w, len(segment) - 1
        self.e, self.ex = e, e[:, None] * x
        sizes = np.diff(segment)
        self.time_of_row = np.repeat(np.arange(self.n_times), sizes)
        self.is_event = np.arange(len(e)) < np.repeat(segment[:-1] + n_events, sizes)
        some = np.flatnonzero(n_events > 0)
        end, d = segment[some + 1], n_events[some]
        # Rows since the last time with events, then all before them.
        since = np.append(0, end[:-1])
        at_risk = np.cumsum(np.add.reduceat(e[: end[-1]], since))
        at_risk_x = np.cumsum(np.add.reduceat(self.ex[: end[-1]], since, axis=0), axis=0)
        events, first = np.flatnonzero(self.is_event), np.cumsum(d) - d
        each = d if ties == "efron" else np.ones_like(d)
        of_set = np.repeat(np.arange(len(some)), each)
        self.time, self.n_sets = some[of_set], each[of_set]
        self.share = (np.arange(len(of_set)) - np.repeat(np.cumsum(each) - each, each)) / self.n_sets
        self.amount = np.add.reduceat(w[events], first)[of_set] / self.n_sets
        self.total = at_risk[of_set]
        sums = at_risk_x if len(of_set) == len(some) else at_risk_x.take(of_set, axis=0)
        if self.share.any():
            self.total = self.total - self.share * np.add.reduceat(e[events], first)[of_set]
            sums = sums - self.share[:, None] * np.add.reduceat(self.ex.take(events, axis=0), first, axis=0).take(
                of_set, axis=0
            )
        self.mean = sums / self.total[:, None]

    def of_rows(self, amounts: np.ndarray) -> np.ndarray:
        """Return for each row the sum of the amounts of all sets that it is in, as far as it is."""
        of_row = np.cumsum(self._of_times(amounts)[::-1])[::-1][self.time_of_row]
        if self.share.any():
            of_row -= np.where(self.is_event, self._of_times(amounts * self.share)[self.time_of_row], 0.0)
        return np.asarray(of_row)

    def _of_times(self, amounts: np.ndarray) -> np.ndarray:
        return np.bincount(self.time, amounts, self.n_times)

    def variances(self) -> np.ndarray:
        """Return the sum of the variances of x over the sets."""
        of_row = self.of_rows(self.amount / self.total)
        return np.asarray(self.x.T @ (self.ex * of_row[:, None]) - self.mean.T @ (self.mean * self.amount[:, None]))

    def residuals(self) -> np.ndarray:
        """Return the score residuals of the rows, times their weights, of the negative logarithm (Lin and Wei 1989)."""
        x, inverse = self.x, self.amount / self.total
        found = self.ex * self.of_rows(inverse)[:, None]
        for j in range(x.shape[1]):
            found[:, j] -= self.e * self.of_rows(inverse * self.mean[:, j])
            # An event's own term is the mean over the sets of its time.
            mean = self._of_times(self.mean[:, j] / self.n_sets)[self.time_of_row]
            found[:, j] -= np.where(self.is_event, self.w * (x[:, j] - mean), 0.0)
        return np.asarray(found)


# ---------------------------------------------------------------------------------------- gradients of units


def gradients_of_units(scores: LinearScores, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return what each independent unit adds to the gradient of the sum, and the unit of each row.

    Units are rows; of `GroupSoftmax`, groups; of `CoxPH` rows, too, with their score residuals, which make up for a
    row's part in the risk sets of others.
    """
    prepared, x, z = scores.prepared, scores.features, scores.scores(theta)
    loss, layout = prepared.loss, prepared.layout
    unit = np.arange(len(x))
    if loss.name == "cox_ph":
        found = np.zeros(x.shape)
        for rows, risk_sets in _strata(prepared, z, x):
            found[rows] = risk_sets.residuals()
        return found, unit
    with np.errstate(over="ignore", under="ignore"):
        u = prepared.gradient(z, reduction="sum")
    place = u[:, 0] if scores.has_scale else u
    found = x * place[:, None]
    if loss.name == "group_softmax":
        rows = unit if layout.order is None else layout.order
        unit = np.full(len(x), -1)
        unit[rows] = np.repeat(np.arange(layout.n_segments), np.diff(layout.segment))
        sums = np.zeros((layout.n_segments, x.shape[1]))
        np.add.at(sums, unit[rows], found[rows])
        return sums, unit
    more = [place] if scores.has_intercept else []
    more += [u[:, 1]] if scores.has_scale else []
    return np.column_stack([found, *more]), unit


# --------------------------------------------------------------------------------------- where a fit begins


def start_of(scores: LinearScores, y: Any, sample_weight: Any) -> np.ndarray:
    """Return the coordinates of the constant of least loss."""
    start = np.zeros(scores.n_theta)
    n = len(scores.centre)
    if len(start) > n:
        constant = np.atleast_1d(scores.prepared.loss.init_score(y, sample_weight))
        start[n:] = constant if scores.has_intercept else constant[1:]
    return start


def alpha_max(scores: LinearScores, start: np.ndarray, l1_share: float, most_l2: float) -> float:
    """Return the least alpha at which all coefficients are 0; of L2 alone `most_l2` times the curvature of all."""
    n = len(scores.centre)
    spread = scores.spread * scores.moves
    if l1_share:
        most = float(np.max(np.abs(scores.smooth(start)[1][:n]) * spread, initial=0.0)) / l1_share
    else:
        curvature = scores.prepared.gradient_and_hessian(scores.scores(start), curvature="psd")[1]
        bend = float((curvature[:, 0] if scores.has_scale else curvature).sum())
        most = most_l2 * bend * float(np.sum(spread**2))
    return most or float(np.finfo(np.float64).eps)


# ------------------------------------------------------------------------------------------------- solvers


def fit(scores: LinearScores, start: np.ndarray, tol: float, max_iter: int, solver: str) -> LinearFit:
    """Minimise; `solver` "newton" or "lbfgs" is taken where it can be."""
    value, gradient = scores.smooth(start)
    limit = tol * max(_magnitude(scores, start), 1e-300)
    if not np.isfinite(value):
        return LinearFit(start, [value], "the loss at the start is not finite")
    few = scores.n_theta <= MOST_FEATURES and scores.prepared.loss.name != "pairwise_logistic"
    few = few and (not scores.is_sparse or scores.x.shape[0] * scores.n_theta < 5e7)
    if few if solver == "auto" else solver == "newton" and few:
        return _newton(scores, start, limit, max_iter)
    return _proximal(scores, start, limit, max_iter) if scores.l1.any() else _lbfgs(scores, start, limit, max_iter)


def _magnitude(scores: LinearScores, theta: np.ndarray) -> float:
    """The mean size of a row's derivative."""
    gradient = scores.prepared.gradient(scores.scores(theta))
    return float(np.abs(gradient).sum())


def _violation(scores: LinearScores, theta: np.ndarray, gradient: np.ndarray) -> float:
    """The largest component of the smallest subgradient."""
    at_zero = np.maximum(np.abs(gradient) - scores.l1, 0.0)
    return float(np.max(np.where(theta == 0, at_zero, np.abs(gradient + scores.l1 * np.sign(theta))), initial=0.0))


def _newton(scores: LinearScores, theta: np.ndarray, limit: float, max_iter: int) -> LinearFit:
    curve: list[float] = []
    value, gradient = scores.whole(theta)
    for _ in range(max_iter):
        if _violation(scores, theta, gradient) <= limit:
            return LinearFit(theta, curve)
        matrix = scores.hessian(theta)
        matrix[np.diag_indices(len(matrix))] += 1e-12 * np.trace(matrix) / len(matrix) + 1e-300
        step = _step(matrix, gradient, theta, scores.l1)
        slope = float(gradient @ step + scores.l1 @ (np.abs(theta + step) - np.abs(theta)))
        share, there, ahead = 1.0, math.inf, gradient
        while share > 1e-10:
            there, ahead = scores.whole(theta + share * step)
            if there <= value + 1e-4 * share * slope + ROUNDING * abs(value):
                break
            share /= 2
        else:
            return LinearFit(theta, curve, "no step lowers the objective")
        theta = theta + share * step
        if there >= value - ROUNDING * abs(value) and slope > -ROUNDING * (1 + abs(value)):
            return LinearFit(theta, [*curve, there])
        value, gradient = there, ahead
        curve.append(value)
    return LinearFit(theta, curve, f"{max_iter} iterations were not enough")


def _step(matrix: np.ndarray, gradient: np.ndarray, theta: np.ndarray, l1: np.ndarray) -> np.ndarray:
    """Minimise the quadratic model with the L1 norm."""
    if not l1.any():
        try:
            step = np.asarray(-np.linalg.solve(matrix, gradient))
        except np.linalg.LinAlgError:
            step = gradient
        return step if gradient @ step < 0 else np.asarray(-gradient / np.maximum(np.abs(np.diag(matrix)), 1e-300))
    new, residual = theta.copy(), gradient.copy()  # the model's gradient at `new`
    diagonal = np.diag(matrix)
    for _ in range(1000):
        largest = 0.0
        for j in range(len(new)):
            wanted = new[j] - residual[j] / diagonal[j]
            wanted = math.copysign(max(abs(wanted) - l1[j] / diagonal[j], 0.0), wanted)
            change = wanted - new[j]
            if change:
                residual += change * matrix[j]
                new[j] = wanted
                largest = max(largest, abs(change) * math.sqrt(diagonal[j]))
        if largest <= 1e-12 * (1 + float(np.max(np.abs(new) * np.sqrt(diagonal)))):
            break
    return np.asarray(new - theta)


def _lbfgs(scores: LinearScores, theta: np.ndarray, limit: float, max_iter: int) -> LinearFit:
    curve: list[float] = []
    last: list[float] = [math.nan]

    def evaluate(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = scores.smooth(theta)
        last[0] = value
        return value, gradient

    callback: Callable[[np.ndarray], None] = lambda _: curve.append(last[0])
    options = {"maxiter": max_iter, "maxfun": 4 * max_iter, "gtol": limit, "ftol": 0.0, "maxcor": 20}
    found = optimize.minimize(evaluate, theta, jac=True, method="L-BFGS-B", options=options, callback=callback)
    good = np.abs(found.jac).max() <= max(100 * limit, 1e-9) or found.success
    return LinearFit(found.x, curve, "" if good else str(found.message))


def _proximal(scores: LinearScores, theta: np.ndarray, limit: float, max_iter: int) -> LinearFit:
    """Accelerated proximal steps that start anew where the objective rises."""
    curve: list[float] = []
    length, momentum, ahead = 1.0, 1.0, theta
    value = scores.whole(theta)[0]
    for _ in range(20 * max_iter):
        smooth, gradient = scores.smooth(ahead)
        while True:
            wanted = ahead - length * gradient
            new = np.sign(wanted) * np.maximum(np.abs(wanted) - length * scores.l1, 0.0)
            apart = new - ahead
            there = scores.smooth(new)[0]
            if there <= smooth + float(gradient @ apart) + float(apart @ apart) / (2 * length) + ROUNDING * abs(smooth):
                break
            length /= 2
        total = there + float(scores.l1 @ np.abs(new))
        if total > value + ROUNDING * abs(value) and momentum > 1:
            momentum, ahead = 1.0, theta
            continue
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = new + (momentum - 1) / following * (new - theta)
        theta, momentum, value = new, following, total
        curve.append(value)
        length *= 1.1
        if len(curve) % 5 == 0 and _violation(scores, theta, scores.smooth(theta)[1]) <= limit:
            return LinearFit(theta, curve)
    return LinearFit(theta, curve, f"{20 * max_iter} iterations were not enough")


# ------------------------------------------------------------------------------------------------- estimator


def refuse(loss: Any, **options: Any) -> None:
    """Raise the ValueError that names an option that is not None."""
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name} is not for {loss!r}: linear models of rows that belong together have none")


class OfRowsTogether:
    """What `LossRegressor` does under losses of survival times and of groups."""

    coef_: np.ndarray
    intercept_: Any
    scale_: float

    def _fit_together(self: Any, X: Any, y: Any, sample_weight: Any, offset: Any, strata: Any, group: Any) -> Any:
        """Fit, and take down the baseline hazard of `CoxPH`."""
        loss: Any = resolve(self.loss)
        refuse(
            loss,
            offset=offset,
            penalty_weight=self.penalty_weight,
            bounds=self.bounds,
            positive=self.positive or None,
        )
        l1, l2 = self._checked_penalty()
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        X = self._checked_features(X, reset=True)
        check_consistent_length(X, y)
        if isinstance(X, np.ndarray) and not np.isfinite(X).all():
            raise ValueError("Input X contains NaN or infinity.")
        prepared = loss.prepare(y, sample_weight, strata=strata, group=group)
        if prepared.total_weight == 0:
            raise ValueError("Sample weights must contain at least one non-zero number.")
        is_time = isinstance(loss, fl.AFT)
        scores = LinearScores(X, prepared, is_time and bool(self.fit_intercept), l1, l2)
        start = start_of(scores, y, sample_weight)
        coef = getattr(self, "coef_", None) if self.warm_start else None
        if coef is not None and np.shape(coef) == (X.shape[1],):
            start = scores.theta_of(np.asarray(coef, np.float64), float(self.intercept_), self.scale_)
        found = fit(scores, start, float(self.tol), int(self.max_iter), self.solver)
        if found.stopped:
            warnings.warn(
                f"{type(self).__name__} did not converge in {len(found.curve)} iterations: {found.stopped}. Increase "
                f"max_iter, tol or alpha",
                ConvergenceWarning,
                stacklevel=3,
            )
        coef, intercept, self.scale_ = scores.coefficients(found.theta)
        self.coef_, self.intercept_ = coef.astype(X.dtype), intercept
        self.n_iter_, self.loss_curve_ = max(1, len(found.curve)), found.curve or [scores.whole(found.theta)[0]]
        if isinstance(loss, fl.CoxPH):
            z = np.asarray(X @ coef, np.float64)
            self.baseline_hazard_ = loss.baseline_hazard(z, y, sample_weight=sample_weight, strata=strata)
        return self

    def _time_scores(self: Any, X: Any, offset: Any = None) -> np.ndarray:
        """Scores as the loss takes them: with a fitted scale a second column."""
        loss: Any = resolve(self.loss)
        if loss.kind == "segments":
            refuse(loss, offset=offset)
        z = np.asarray(self._scores(X, offset))
        if getattr(loss, "n_columns_", 1) == 1:
            return z
        return np.stack([z, np.full(len(z), math.log(self.scale_), z.dtype)], axis=1)

    def predict_survival_function(self: Any, X: Any, times: Any, strata: Any = None) -> np.ndarray:
        """
        Return the probability that there is no event up to each of some times, under `CoxPH` or `AFT`.

        Parameters
        ----------
        X : {array_like, sparse matrix} of shape (n, n_features)
            Features.
        times : array_like of shape (m,)
            >= 0.
        strata : array_like of shape (n,), optional
            The stratum of each row, of a `CoxPH` model that was fitted with them.

        Returns
        -------
        ndarray of shape (n, m)
            Of `CoxPH` exp(-H(t) exp(score)) with Breslow's cumulative hazard H, a step function that stays what it is
            after the last event.

        Raises
        ------
        AttributeError
            If the loss is not one of survival times.
        ValueError
            If the model was fitted with strata, and there are none here, or one that it has not seen.
        """
        loss: Any = resolve(self.loss)
        if isinstance(loss, fl.AFT):
            return np.asarray(loss.survival_function(self._time_scores(X), times))
        if not isinstance(loss, fl.CoxPH):
            raise AttributeError(f"{loss!r} is not a loss of survival times, as fastloss.CoxPH is")
        return survival_of_hazard(self._scores(X), self.baseline_hazard_, times, strata)

    def _concordance(self: Any, X: Any, y: Any, sample_weight: Any, offset: Any) -> float:
        loss: Any = resolve(self.loss)
        refuse(loss, offset=offset)
        if not isinstance(loss, (fl.AFT, fl.CoxPH)):
            raise ValueError(f"{loss!r} needs to know the groups of rows: call it with predict(X) and group=")
        risk = self._scores(X) if isinstance(loss, fl.CoxPH) else -self._scores(X)
        return fl.concordance_index(y, risk, sample_weight)
