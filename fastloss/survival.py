"""Losses of the time to an event, which for some rows is only known to be longer: Cox's and accelerated failure times.

A target is one number a row: the time of the event or, negative, that at which the row was last seen without one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import _call, _complaints, _kernels, _parameters
from ._segments import (
    BLOCK_ROWS,
    Layout,
    PreparedLoss,
    RowsTogether,
    blocks_of,
    checked_weights,
    labels_of_rows,
    of_rows,
    refuse_missing,
)
from ._traits import Traits

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Reduction

__all__ = [
    "AFT",
    "CoxPH",
    "aft",
    "concordance_index",
    "cox_ph",
    "integrated_brier_score",
    "survival_target",
    "time_dependent_auc",
]

TIME_RULE = "must be a finite time > 0, or minus that for a row without an event"


# ------------------------------------------------------------------------------------------------------- targets


def survival_target(time: ArrayLike, event: ArrayLike) -> np.ndarray:
    """
    Return the target of survival losses: the time, negative where there was no event.

    One number a row passes through every library's label; XGBoost's ``survival:cox`` reads it the same way.

    Parameters
    ----------
    time : array_like of shape (n,)
        The time of the event, or the last one at which a row was seen; finite and > 0.
    event : array_like of shape (n,)
        Whether there was an event: booleans, or 0 and 1.

    Returns
    -------
    ndarray of shape (n,)
        In float64.

    Raises
    ------
    ValueError
        If a time is not finite and > 0, an event neither 0 nor 1, or lengths differ.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.survival_target([5.0, 3.0, 8.0], [True, False, True])
    array([ 5., -3.,  8.])
    """
    times = of_rows(_call.real_array(time, "time"), "time", None)
    if np.asarray(time).dtype.kind == "b":
        raise TypeError("time holds booleans, which are no times: time comes before event")
    bad = ~(np.isfinite(times) & (times > 0))
    if bad.any():
        _complaints.raise_first("time", times, bad, "must be finite and > 0")
    events = of_rows(event, "event", len(times))
    refuse_missing(event, events, "event")
    if events.dtype.kind == "O":
        try:
            events = events.astype(np.float64)
        except (TypeError, ValueError):
            raise TypeError("event must hold booleans, or 0 and 1; got objects") from None
    if events.dtype.kind not in "biuf":
        raise TypeError(f"event must hold booleans, or 0 and 1; got dtype {events.dtype}")
    if events.dtype.kind != "b":
        bad = ~((events == 0) | (events == 1))
        if bad.any():
            _complaints.raise_first("event", events, bad, "must be a boolean, or 0 or 1")
        events = events == 1
    return np.where(events, times, -times)


def _fields(target: Any) -> np.ndarray | None:
    """Return the target of a structured array of scikit-survival, of an event and a time; None of all else."""
    dtype = getattr(target, "dtype", None)
    names = getattr(dtype, "names", None)
    if not names:
        return None
    flags = [name for name in names if target.dtype[name].kind == "b"]
    numbers = [name for name in names if target.dtype[name].kind in "fiu"]
    if len(names) != 2 or len(flags) != 1 or len(numbers) != 1:
        raise ValueError(
            f"target has the fields {', '.join(names)}; a structured array must have two, a boolean event and a time"
        )
    return survival_target(target[numbers[0]], target[flags[0]])


def signed_times(target: Any, weight: Any = None, name: str = "target") -> np.ndarray:
    """Return a target of one number a row as float64, after a check of the rows that count."""
    times = _fields(target)
    if times is None:
        if len(np.shape(target)) == 2 and np.shape(target)[1] > 1:
            raise ValueError(
                f"{name} must hold one number per row, the time or, of a censored row, minus the time; got shape "
                f"{np.shape(target)}. fastloss.survival_target(time, event) makes it of two columns"
            )
        times = of_rows(_call.real_array(target, name), name, None)
    bad = ~(np.isfinite(times) & (times != 0))
    if bad.any() and weight is not None and np.shape(weight) == times.shape:
        bad &= np.asarray(weight) != 0
    if bad.any():
        _complaints.raise_first(name, times, bad, TIME_RULE)
    return times


def checked_times(times: Any) -> np.ndarray:
    """Return times at which something is asked for, as float64."""
    at = np.atleast_1d(np.asarray(_call.real_array(times, "times"), np.float64))
    if at.ndim != 1:
        raise ValueError(f"times must have one dimension; got shape {at.shape}")
    if not (at >= 0).all():
        _complaints.raise_first("times", at, ~(at >= 0), "must be >= 0")
    return at


def _counted(target: np.ndarray, sample_weight: Any) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
    """Return checked weights, the rows of positive weight and the others; None, None where all rows count."""
    weight = checked_weights(sample_weight, len(target))
    if weight is None or (weight > 0).all():
        return weight, None, None
    return weight, np.flatnonzero(weight > 0), np.flatnonzero(weight == 0)


# ----------------------------------------------------------------------------------------------------------- Cox


class CoxPH(RowsTogether):
    """
    Negative log partial likelihood of Cox's proportional hazards model, of log hazard ratios.

    With a score z and a weight w a row, R the sum of w exp(z) over the rows at risk at a time, and the d events of that
    time with weights that sum to W and D the sum of their w exp(z):

        Efron     sum over events of -w z  +  W / d times the sum over k < d of log(R - k D / d)
        Breslow   sum over events of w (log(R) - z)

    The sum goes over all times, and over the strata, each with its own rows at risk.

    Parameters
    ----------
    ties : {"efron", "breslow"}, default "efron"
        What is done with events at the same time; without such they are the same.

    Raises
    ------
    ValueError
        If `ties` is neither of them.

    Notes
    -----
    The methods take `prediction` of shape (n,), and as `target` the time of the event or, negative, of censoring
    (`survival_target`), or a structured array as scikit-survival has it. ``strata=`` holds the stratum of each row.
    A row censored at the time of an event was at risk then. `prepare` sorts once; a call is linear in n after it.

    Under "mean" the sum is divided by the sum of all weights, under "none" an event has
    w (-z + 1 / d times the sum of the logarithms), a censored row 0. Where there is no event at all, the loss is 0, and
    so is its gradient. The same number added to all scores of a stratum changes nothing, so that `init_score` is 0.

    ``curvature="psd"`` is the Hessian's diagonal, which is >= 0. ``"majorize"`` is half the weight of the events up to
    a row's time: with it no step of all scores at once raises the loss.

    References
    ----------
    D. R. Cox, "Regression models and life-tables", J. R. Stat. Soc. B 34 (1972).
    B. Efron, "The efficiency of Cox's likelihood function for censored data", J. Am. Stat. Assoc. 72 (1977),
    https://doi.org/10.1080/01621459.1977.10480613

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.CoxPH()
    >>> target = fl.survival_target([1.0, 2.0, 3.0], [True, False, True])
    >>> round(loss([0.0, 0.0, 0.0], target, reduction="sum"), 12)
    1.098612288668
    >>> loss.gradient([0.0, 0.0, 0.0], target, reduction="sum").round(3)
    array([-0.667,  0.333,  0.333])
    """

    __slots__ = ()
    traits = Traits("identity")
    _belongs = "strata"
    _no_fisher = "a partial likelihood says nothing of when rows are censored, on which its expectation depends"
    ties: str

    def __init__(self, ties: str = "efron") -> None:
        _call.check_choice("ties", ties, ("efron", "breslow"))
        super().__init__("cox_ph", {"ties": ties}, (float(ties == "breslow"),))

    def _layout(self, target: Any, sample_weight: Any, strata: Any) -> Layout:
        times = signed_times(target, sample_weight)
        n = len(times)
        weight, counted, left_out = _counted(times, sample_weight)
        keys = [times < 0, -np.abs(times)]
        if strata is not None:
            keys.append(labels_of_rows(strata, "strata", n).codes)
        if counted is not None:
            keys = [each[counted] for each in keys]
        order = np.lexsort(keys) if len(keys) > 2 or keys[0].any() else np.argsort(keys[1], kind="stable")
        censored, falling, *rest = (each[order] for each in keys)
        first = np.ones(len(order), bool)
        begins = np.zeros(len(order), bool)
        begins[:1] = True
        if rest:
            begins[1:] = rest[0][1:] != rest[0][:-1]
        first[1:] = (falling[1:] != falling[:-1]) | begins[1:]
        segment = np.append(np.flatnonzero(first), len(order)).astype(np.int64)
        n_events = np.add.reduceat(~censored, segment[:-1], dtype=np.int64) if len(order) else segment[:0]
        if counted is not None:
            order = counted[order]
        return Layout(
            order.astype(np.int64),
            None if weight is None else weight[order],
            None,
            None,
            segment,
            blocks_of(segment),
            n_events,
            begins[segment[:-1]].astype(np.uint8),
            float(len(order)) if weight is None else float(weight.sum()),
            n,
            n,
            left_out,
        )

    def _product(self, layout: Layout, z: np.ndarray, v: np.ndarray) -> np.ndarray:
        assert layout.begins is not None
        assert layout.n_events is not None
        w = np.ones(len(z)) if layout.weight is None else layout.weight
        starts = np.append(np.flatnonzero(layout.begins), layout.n_segments)
        product = np.empty(len(z))
        for low, high in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            rows = slice(int(layout.segment[low]), int(layout.segment[high]))
            segment = layout.segment[low : high + 1] - layout.segment[low]
            stratum = _Stratum(z[rows] + np.log(w[rows]), w[rows], segment, layout.n_events[low:high], self.ties)
            product[rows] = stratum.product(v[rows])
        return product

    def baseline_hazard(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        strata: ArrayLike | None = None,
    ) -> Any:
        """
        Return Breslow's cumulative hazard of a row of score 0.

        Its jump at a time is the weight of the events over the sum of w exp(z) of the rows at risk.

        Parameters
        ----------
        prediction : array_like of shape (n,)
            Scores of the model.
        target, sample_weight, strata : array_like
            Those that it was fitted to.

        Returns
        -------
        times, hazard : ndarray of shape (m,)
            The times of events, ascending, and the cumulative hazard from each on. With `strata` a dictionary of such
            pairs.
        """
        z = _call.real_array(prediction, "prediction")
        times = signed_times(target, sample_weight)
        if z.shape != times.shape:
            raise ValueError(f"prediction must have shape {times.shape}, as the target says, got {z.shape}")
        weight = checked_weights(sample_weight, len(z))
        w = np.ones(len(z)) if weight is None else weight
        if strata is None:
            return _breslow(z, times, w)
        labels, code = labels_of_rows(strata, "strata", len(z))
        return {
            label: _breslow(z[code == i], times[code == i], w[code == i]) for i, label in enumerate(labels.tolist())
        }


class _Stratum:
    """
    The softmaxes of the events of a stratum, in logarithms, so that no score is lost to a larger one.

    `log_e` holds those of w exp(z), in the order of a `Layout`. There is one softmax for each event, or with Breslow's
    ties one for each time: in the k-th of d, events of its time count 1 - k / d.
    """

    def __init__(self, log_e: np.ndarray, w: np.ndarray, segment: np.ndarray, n_events: np.ndarray, ties: str) -> None:
        self.log_e, self.n_times = log_e, len(segment) - 1
        self.some = np.flatnonzero(n_events > 0)
        self.d, self.first, self.end = n_events[self.some], segment[self.some], segment[self.some + 1]
        self.time_of_row = np.repeat(np.arange(self.n_times), np.diff(segment))
        self.is_event = np.arange(len(log_e)) < np.repeat(segment[:-1] + n_events, np.diff(segment))
        each = self.d if ties == "efron" else np.ones_like(self.d)
        self.time = np.repeat(np.arange(len(self.some)), each)
        self.part = 1 - (np.arange(len(self.time)) - np.repeat(np.cumsum(each) - each, each)) / each[self.time]
        of_events = np.bincount(self.time_of_row[self.is_event], w[self.is_event], self.n_times)[self.some]
        self.log_amount = np.log((of_events / each)[self.time])
        self.log_risk = self.sums(log_e)

    def sums(self, log_x: np.ndarray) -> np.ndarray:
        """Return the logarithm of each softmax's sum over the rows at risk, of x whose logarithms are given."""
        others = np.where(self.is_event, -np.inf, log_x)
        of_events = np.full(self.n_times, -np.inf)
        np.logaddexp.at(of_events, self.time_of_row[self.is_event], log_x[self.is_event])
        before = np.append(-np.inf, np.logaddexp.accumulate(log_x))[self.first]
        at_time = np.full(self.n_times, -np.inf)
        np.logaddexp.at(at_time, self.time_of_row, others)
        rest = np.logaddexp(before, at_time[self.some])[self.time]
        return np.asarray(np.logaddexp(rest, of_events[self.some][self.time] + np.log(self.part)))

    def spread(self, log_x: np.ndarray) -> np.ndarray:
        """Return e times what x of all softmaxes adds up to for each row that is at risk in them."""
        whole, parts = np.full((2, self.n_times), -np.inf)
        np.logaddexp.at(whole, self.some[self.time], log_x)
        np.logaddexp.at(parts, self.some[self.time], log_x + np.log(self.part))
        whole = np.logaddexp.accumulate(whole[::-1])[::-1]
        after = np.append(whole[1:], -np.inf)
        of_row = np.where(self.is_event, np.logaddexp(after, parts)[self.time_of_row], whole[self.time_of_row])
        return np.asarray(np.exp(self.log_e + of_row))

    def product(self, v: np.ndarray) -> np.ndarray:
        """Return the Hessian times v: the sum of p (v - p v) over all softmaxes."""
        if not len(self.some):
            return np.zeros(len(v))
        inverse = self.log_amount - self.log_risk
        found = v * self.spread(inverse)
        for sign in (1.0, -1.0):
            log_v = np.log(np.maximum(sign * v, 0.0))
            found -= sign * self.spread(inverse + self.sums(self.log_e + log_v) - self.log_risk)
        return np.asarray(found)


def _breslow(z: np.ndarray, times: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z, times, w = z[w > 0], times[w > 0], w[w > 0]
    if not len(z):
        return np.empty(0), np.empty(0)
    order = np.argsort(-np.abs(times), kind="stable")
    z, times, w = z[order], times[order], w[order]
    # log of the sum of exponentials over all rows up to each, by halves of the rows: no score is lost to a larger one.
    at_risk = np.logaddexp.accumulate(z + np.log(w))
    ends = np.flatnonzero(np.append(np.abs(times[1:]) != np.abs(times[:-1]), True))
    starts = np.concatenate([[0], ends[:-1] + 1])
    events = np.add.reduceat(np.where(times > 0, w, 0.0), starts)
    with np.errstate(over="ignore", under="ignore"):
        jumps = events * np.exp(-at_risk[ends])
    some = events > 0
    return np.abs(times[ends])[some][::-1], np.cumsum(jumps[some][::-1])


def survival_of_hazard(z: Any, hazard: Any, times: Any, strata: Any = None) -> np.ndarray:
    """Return exp(-H(t) exp(z)) of a cumulative hazard (times, H), or of one for each stratum."""
    z = np.asarray(z, np.float64)
    at = checked_times(times)
    if not isinstance(hazard, dict):
        return _survival(z, hazard, at)
    if strata is None:
        raise ValueError("the model was fitted with strata: pass those of the rows")
    labels, code = labels_of_rows(strata, "strata", len(z))
    found = np.empty((len(z), len(at)))
    for i, label in enumerate(labels.tolist()):
        if label not in hazard:
            raise ValueError(f"strata holds {label!r}, which the model has not seen")
        found[code == i] = _survival(z[code == i], hazard[label], at)
    return found


def _survival(z: np.ndarray, hazard: tuple[np.ndarray, np.ndarray], at: np.ndarray) -> np.ndarray:
    known, cumulative = hazard
    until = np.append(0.0, cumulative)[np.searchsorted(known, at, side="right")]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(np.exp(-np.where(until == 0, 0.0, until * np.exp(z)[:, None])))


# ----------------------------------------------------------------------------------------------------------- AFT

DISTRIBUTIONS = ("normal", "logistic", "extreme")
# Of each, the log of the median of exp(x).
LOG_MEDIANS = {"normal": 0.0, "logistic": 0.0, "extreme": math.log(math.log(2.0))}


class AFT(RowsTogether):
    """
    Negative log-likelihood of an accelerated failure time: log T = z + scale x, with x of a known distribution.

    With f and F the density and the distribution function of x, a = (log(lower) - z) / scale and b the same of upper:

        event         -log(f(a)) + log(scale) + log(t)
        censored      -log(1 - F(a)) after the time, -log(F(b)) before it
        interval      -log(F(b) - F(a))

    Parameters
    ----------
    distribution : {"normal", "logistic", "extreme"}, default "normal"
        Of x: T is log-normal, log-logistic or Weibull. "extreme" is the least extreme value, F = 1 - exp(-exp(x)).
    scale : float or None, default 1.0
        Of log T, > 0. None: fitted; then a prediction has two columns, z and the logarithm of the scale.

    Raises
    ------
    TypeError
        If `scale` is no real number.
    ValueError
        If a parameter is out of its range.

    Notes
    -----
    The methods take as `target` the time of the event or, negative, of censoring (`survival_target`), a structured
    array as scikit-survival has it, or an array of shape (n, 2) with lower and upper bounds of the time: the same twice
    for an event, an upper bound of inf for a row censored after the lower one, a lower bound of 0 for one censored
    before the upper one. `prediction` has shape (n,), or (n, 2) with a fitted scale.

    The distributions are those of XGBoost's ``survival:aft``. In z all are convex: ``curvature="psd"`` is exact. Of the
    log of the scale it is the larger of the exact one and the gradient's magnitude. ``"majorize"`` in z is a bound
    with which a Newton step never passes the minimum: 1 / scale^2 of normal distributions, half that of logistic ones,
    and of extreme values the mean curvature of the interval or 1, whichever is larger.

    References
    ----------
    A. Barnwal, H. Cho, T. Hocking, "Survival regression with accelerated failure time model in XGBoost", J. Comput.
    Graph. Stat. 31 (2022), https://doi.org/10.1080/10618600.2022.2067548

    Examples
    --------
    >>> import fastloss as fl
    >>> loss = fl.AFT("extreme", scale=0.5)
    >>> loss([0.0, 1.0], [1.0, -2.0], reduction="none").round(6)
    array([0.306853, 0.541341])
    >>> loss([0.0, 1.0], [[0.5, 1.5], [2.0, float("inf")]], reduction="none").round(6)
    array([0.395413, 0.541341])
    """

    __slots__ = ()
    traits = Traits("log")
    _no_fisher = "its expectation depends on when each row would have been censored, also of those with an event"
    distribution: str
    scale: float | None

    def __init__(self, distribution: str = "normal", scale: float | None = 1.0) -> None:
        _call.check_choice("distribution", distribution, DISTRIBUTIONS)
        if scale is not None:
            scale = _parameters.real("scale", scale, "in [1e-12, 1e12]")
        fixed = 1.0 if scale is None else scale
        code = DISTRIBUTIONS.index(distribution)
        super().__init__(
            "aft",
            {"distribution": distribution, "scale": scale},
            (float(code), fixed, float(scale is None), math.log(fixed)),
        )

    @property
    def n_columns_(self) -> int:
        """How many numbers a prediction has for each row."""
        return 2 if self.parameters["scale"] is None else 1

    def _layout(self, target: Any, sample_weight: Any, belongs: Any) -> Layout:
        lower, upper = log_bounds(target, sample_weight)
        n = len(lower)
        weight, order, left_out = _counted(lower, sample_weight)
        if order is not None:
            lower, upper = lower[order], upper[order]
            weight = None if weight is None else weight[order]
        total = float(len(lower)) if weight is None else float(weight.sum())
        segment = np.append(np.arange(0, len(lower), BLOCK_ROWS), len(lower)).astype(np.int64)
        return Layout(order, weight, lower, upper, segment, blocks_of(segment), None, None, total, n, n, left_out)

    def _parts(self, z: ArrayLike) -> tuple[np.ndarray, Any]:
        """Return places and scales of raw scores."""
        wide = _call.prediction_array(z, "z")
        if self.n_columns_ == 1:
            return wide, self.parameters["scale"]
        if wide.ndim == 0 or wide.shape[-1] != 2:
            raise ValueError(f"z must hold 2 numbers a row (place, log of the scale), got shape {wide.shape}")
        return wide[..., 0], np.exp(wide[..., 1])

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return the median time.

        Parameters
        ----------
        z : array_like of shape (n,), or (n, 2) with a fitted scale
            Raw scores.

        Returns
        -------
        ndarray of shape (n,)
        """
        place, scale = self._parts(z)
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(place + place.dtype.type(LOG_MEDIANS[self.parameters["distribution"]]) * scale)

    def distribution_of(self, z: ArrayLike) -> Any:
        """
        Return the distribution of each row's time, as SciPy has it; it is imported here.

        Parameters
        ----------
        z : array_like of shape (n,), or (n, 2) with a fitted scale
            Raw scores.

        Returns
        -------
        scipy.stats.rv_frozen
        """
        from scipy import stats

        place, scale = self._parts(np.asarray(z, np.float64))
        kind = self.parameters["distribution"]
        if kind == "normal":
            return stats.lognorm(s=scale, scale=np.exp(place))
        of_time = stats.fisk if kind == "logistic" else stats.weibull_min
        return of_time(c=1 / scale, scale=np.exp(place))

    def survival_function(self, z: ArrayLike, times: ArrayLike) -> np.ndarray:
        """
        Return the probability of no event up to each of some times.

        Parameters
        ----------
        z : array_like of shape (n,), or (n, 2) with a fitted scale
            Raw scores.
        times : array_like of shape (m,)

        Returns
        -------
        ndarray of shape (n, m)
        """
        place, scale = self._parts(np.asarray(z, np.float64))
        at = checked_times(times)
        with np.errstate(divide="ignore", over="ignore"):
            x = (np.log(at) - place[:, None]) / (scale if self.n_columns_ == 1 else np.asarray(scale)[:, None])
        kind = self.parameters["distribution"]
        with np.errstate(over="ignore", under="ignore"):
            if kind == "extreme":
                return np.asarray(np.exp(-np.exp(x)))
            if kind == "logistic":
                return np.asarray(1 / (1 + np.exp(x)))
        return np.array([[0.5 * math.erfc(each / math.sqrt(2)) for each in row] for row in x.tolist()]).reshape(x.shape)

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """
        Return the score that minimises the loss if all rows have the same; with a fitted scale two of them.

        Parameters
        ----------
        target : array_like
            As for a call.
        sample_weight : array_like of shape (n,), optional

        Returns
        -------
        float, or ndarray of shape (2,)

        Raises
        ------
        ValueError
            If no row counts.
        """
        prepared = self.prepare(target, sample_weight)
        layout = prepared.layout
        if layout.n_rows == 0 or layout.lower is None or layout.upper is None:
            raise ValueError("init_score needs a row with a positive weight")
        ends = np.concatenate([layout.lower, layout.upper])
        ends = ends[np.isfinite(ends)]
        start = np.zeros(self.n_columns_)
        if len(ends):
            start[0] = ends.mean()
            if len(start) > 1:
                start[1] = math.log(max(float(ends.std()), 1e-3))
        best = _best_constant(prepared, start)
        return float(best[0]) if len(best) == 1 else best


def _best_constant(prepared: PreparedLoss, z: np.ndarray) -> np.ndarray:
    """Return the columns of a constant of least loss, by steps of the diagonal that are halved until they descend."""

    def evaluate(z: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        rows = np.full(prepared.n_rows, z[0]) if len(z) == 1 else np.tile(z, (prepared.n_rows, 1))
        value, gradient, hessian = prepared.value_gradient_and_hessian(rows, curvature="psd")
        return value, np.atleast_1d(gradient.sum(axis=0)), np.atleast_1d(hessian.sum(axis=0))

    value, gradient, hessian = evaluate(z)
    for _ in range(500):
        step = -gradient / np.where(hessian > 0, hessian, 1.0)
        step = np.clip(step, -5.0, 5.0)
        if not -(gradient @ step) > 1e-15 * (1 + abs(value)):
            break
        share = 1.0
        while share > 1e-9:
            there = evaluate(z + share * step)
            if there[0] <= value + 1e-4 * share * float(gradient @ step):
                break
            share /= 2
        else:
            break
        z = np.clip(z + share * step, -700.0, 700.0)
        value, gradient, hessian = there
    return z


def log_bounds(target: Any, weight: Any = None, name: str = "target") -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithms of lower and upper bounds of the times; of an event they are the same."""
    if _fields(target) is None and np.ndim(target) == 2 and np.shape(target)[1] == 2:
        bounds = np.array(_call.real_array(target, name))
        lower, upper = bounds[:, 0], bounds[:, 1]
        bad = ~((lower >= 0) & (lower < np.inf) & (upper > 0) & (lower <= upper))
        if weight is not None and np.shape(weight) == lower.shape:
            bad &= np.asarray(weight) != 0
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"{name}[{row}] = {bounds[row].tolist()} must hold bounds of a time, 0 <= lower <= upper, lower finite "
                f"and upper > 0"
            )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log(lower), np.log(upper)
    times = signed_times(target, weight, name)
    with np.errstate(divide="ignore"):
        lower = np.log(np.abs(times))
    return lower, np.where(times > 0, lower, np.inf)


# --------------------------------------------------------------------------------------------------- concordance


def concordance_index(target: ArrayLike, risk: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """
    Harrell's concordance index: of pairs of which one had its event first, in how many it has the higher risk.

    Parameters
    ----------
    target : array_like of shape (n,)
        The time of the event or, negative, of censoring (`survival_target`), or a structured array as scikit-survival
        has it.
    risk : array_like of shape (n,)
        The higher, the earlier the event is expected: what `CoxPH` models predict, or minus a predicted time.
    sample_weight : array_like of shape (n,), optional
        A pair weighs the product of its rows' weights.

    Returns
    -------
    float
        In [0, 1], 1/2 by chance; nan if no pair can be compared.

    Raises
    ------
    ValueError
        If shapes do not fit, or an element is out of its range.

    Notes
    -----
    A pair counts if the earlier time is that of an event; of equal times, if one is that of an event and the other of
    censoring. Equal risks count one half. The time is O(n log n).

    References
    ----------
    F. E. Harrell et al., "Evaluating the yield of medical tests", JAMA 247 (1982).

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.concordance_index([1.0, 2.0, -3.0], [0.9, 0.2, 0.5])
    0.6666666666666666
    """
    times = signed_times(target, sample_weight)
    scores = of_rows(_call.real_array(risk, "risk"), "risk", len(times))
    weight = checked_weights(sample_weight, len(times))
    if weight is not None:
        some = weight > 0
        times, scores, weight = times[some], scores[some], weight[some]
    if np.isnan(scores).any():
        _complaints.raise_first("risk", scores, np.isnan(scores), "must be a number")
    ranks = np.unique(scores, return_inverse=True)[1].reshape(-1).astype(np.int64)
    # By time, descending; the censored first, for they outlive the events of their time.
    order = np.lexsort((times > 0, -np.abs(times)))
    times = times[order]
    w = None if weight is None else np.ascontiguousarray(weight[order])
    concordant, tied, pairs = _kernels.count_pairs(np.ascontiguousarray(times), np.ascontiguousarray(ranks[order]), w)
    return (concordant + 0.5 * tied) / pairs if pairs > 0 else math.nan


# ------------------------------------------------------------------------------------------- scores over times


class _Censoring:
    """The Kaplan-Meier estimate of being watched: the events of a time come before those who are censored at it."""

    def __init__(self, times: np.ndarray, weight: np.ndarray) -> None:
        self.known, place = np.unique(np.abs(times), return_inverse=True)
        place = place.reshape(-1)
        all_rows = np.bincount(place, weight, len(self.known))
        events = np.bincount(place, np.where(times > 0, weight, 0.0), len(self.known))
        at_risk = np.cumsum(all_rows[::-1])[::-1] - events
        censored = all_rows - events
        # The last at risk may be all censored: what rounding leaves of them is none.
        last = np.divide(censored, at_risk, out=np.zeros_like(at_risk), where=censored > 0)
        last[-1:] = censored[-1:] > 0
        self.survival = np.append(1.0, np.cumprod(1 - np.minimum(last, 1.0)))

    def until(self, at: np.ndarray, side: Literal["left", "right"]) -> np.ndarray:
        """Return the probability to be watched longer than some times ("right"), or as long ("left")."""
        return np.asarray(self.survival[np.searchsorted(self.known, at, side=side)])


class _Watched:
    """Checked times of rows that count, and at which times they are to be judged."""

    def __init__(self, target: Any, times: Any, train_target: Any, sample_weight: Any) -> None:
        signed = signed_times(target, sample_weight)
        weight = checked_weights(sample_weight, len(signed))
        self.n_rows = len(signed)
        self.counted = np.ones(self.n_rows, bool) if weight is None else weight > 0
        self.weight = (np.ones(self.n_rows) if weight is None else weight)[self.counted]
        self.signed = signed[self.counted]
        self.times = checked_times(times)
        if not self.times.size or (np.diff(self.times) <= 0).any():
            raise ValueError("times must hold a time or several that rise")
        if not len(self.signed):
            raise ValueError("target has no row that counts")
        if train_target is None:
            censoring = _Censoring(self.signed, self.weight)
        else:
            known = signed_times(train_target, name="train_target")
            censoring = _Censoring(known, np.ones(len(known)))
        self.is_event = self.signed > 0
        at_events, self.at_times = censoring.until(np.abs(self.signed), "left"), censoring.until(self.times, "right")
        bad = self.is_event & (self.signed <= self.times[-1]) & (at_events == 0)
        if bad.any():
            row = int(np.flatnonzero(self.counted)[np.argmax(bad)])
            raise ValueError(f"target[{row}] is an event at a time up to which no row of train_target was watched")
        self.of_events = np.divide(self.weight, at_events, out=np.zeros(len(self.signed)), where=at_events > 0)

    def per_time(self, value: Any, name: str) -> np.ndarray:
        """Return the rows that count of an array of shape (n, m)."""
        array = np.asarray(_call.real_array(value, name), np.float64)
        shape = self.n_rows, len(self.times)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, a number for each row and time; got {array.shape}")
        return np.asarray(array[self.counted])


def integrated_brier_score(
    target: ArrayLike,
    survival: ArrayLike,
    times: ArrayLike,
    *,
    train_target: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    reduction: Literal["mean", "none"] = "mean",
) -> Any:
    """
    Squared error of probabilities of survival, of censored times: Graf's Brier score.

    At a time t, with G the probability to be watched longer, a row with an event by then counts S(t)^2 / G(time-), one
    that is seen later (1 - S(t))^2 / G(t), and one that was censored before nothing.

    Parameters
    ----------
    target : array_like of shape (n,)
        The time of the event or, negative, of censoring (`survival_target`), or a structured array as scikit-survival
        has it.
    survival : array_like of shape (n, m)
        Probabilities of no event up to each of `times`, as `predict_survival_function` returns them.
    times : array_like of shape (m,)
        Rising.
    train_target : array_like, optional
        What G is estimated from, by Kaplan and Meier; `target` itself by default.
    sample_weight : array_like of shape (n,), optional
        Finite and >= 0.
    reduction : {"mean", "none"}, default "mean"
        The mean over time from the first to the last of `times`, by the trapezoidal rule; or the score at each of them.

    Returns
    -------
    float or ndarray of shape (m,)
        Less is better; 1/4 is what a constant 1/2 has.

    Raises
    ------
    ValueError
        If shapes do not fit, an element is out of its range, or a row was watched longer than any of `train_target`.

    References
    ----------
    E. Graf et al., "Assessment and comparison of prognostic classification schemes for survival data", Stat. Med. 18
    (1999), https://doi.org/10.1002/(SICI)1097-0258(19990915/30)18:17/18%3C2529::AID-SIM274%3E3.0.CO;2-5

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.integrated_brier_score([1.0, 2.0, 3.0], [[0.5, 0.5], [1.0, 0.5], [1.0, 0.5]], [1.0, 2.0], reduction="none")
    array([0.08333333, 0.25      ])
    """
    _call.check_choice("reduction", reduction, ("mean", "none"))
    rows = _Watched(target, times, train_target, sample_weight)
    s = rows.per_time(survival, "survival")
    bad = ~((s >= 0) & (s <= 1))
    if bad.any():
        _complaints.raise_first("survival", s, bad, "must lie in [0, 1]")
    later = np.abs(rows.signed)[:, None] > rows.times
    lost = later.any(axis=0) & (rows.at_times == 0)
    if lost.any():
        _complaints.raise_first("times", rows.times, lost, "is a time up to which no row of train_target was watched")
    inverse = np.divide(1.0, rows.at_times, out=np.zeros(len(rows.times)), where=rows.at_times > 0)
    over = rows.is_event[:, None] & ~later
    each = np.where(over, rows.of_events[:, None] * s**2, 0.0)
    each += np.where(later, rows.weight[:, None] * (1 - s) ** 2 * inverse, 0.0)
    score = each.sum(axis=0) / rows.weight.sum()
    if reduction == "none":
        return score
    apart = np.diff(rows.times)
    return float((score[1:] + score[:-1]) @ apart / 2 / apart.sum()) if len(apart) else float(score[0])


def time_dependent_auc(
    target: ArrayLike,
    risk: ArrayLike,
    times: ArrayLike,
    *,
    train_target: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> np.ndarray:
    """
    Area under the ROC curve of who has had the event by a time, of censored times: cumulative cases, dynamic controls.

    Of pairs of a row with an event by t and one that is seen later, in how many the first has the higher risk. An event
    counts 1 / G(time-) rows, with G the probability to be watched longer.

    Parameters
    ----------
    target : array_like of shape (n,)
        The time of the event or, negative, of censoring (`survival_target`), or a structured array as scikit-survival
        has it.
    risk : array_like of shape (n,) or (n, m)
        The higher, the earlier the event is expected; one for all times, or one for each.
    times : array_like of shape (m,)
        Rising.
    train_target : array_like, optional
        What G is estimated from, by Kaplan and Meier; `target` itself by default.
    sample_weight : array_like of shape (n,), optional
        Finite and >= 0.

    Returns
    -------
    ndarray of shape (m,)
        In [0, 1], 1/2 by chance; nan at times before the first event, and from the last row on.

    Raises
    ------
    ValueError
        If shapes do not fit, an element is out of its range, or a row was watched longer than any of `train_target`.

    References
    ----------
    H. Uno et al., "Evaluating prediction rules for t-year survivors with censored regression models", J. Am. Stat.
    Assoc. 102 (2007), https://doi.org/10.1198/016214507000000149

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.time_dependent_auc([1.0, 2.0, -3.0], [0.9, 0.2, 0.5], [1.0, 2.0])
    array([1. , 0.5])
    """
    rows = _Watched(target, times, train_target, sample_weight)
    scores = np.asarray(_call.real_array(risk, "risk"), np.float64)
    if scores.ndim == 1:
        scores = of_rows(scores, "risk", rows.n_rows)[rows.counted][:, None]
    else:
        scores = rows.per_time(scores, "risk")
    if np.isnan(scores).any():
        _complaints.raise_first("risk", scores, np.isnan(scores), "must be a number")
    found = np.full(len(rows.times), math.nan)
    for k, t in enumerate(rows.times.tolist()):
        if k < scores.shape[1]:
            known, rank = np.unique(scores[:, k], return_inverse=True)
            rank = rank.reshape(-1)
        later = np.abs(rows.signed) > t
        cases = np.bincount(rank, np.where(rows.is_event & ~later, rows.of_events, 0.0), len(known))
        controls = np.bincount(rank, np.where(later, rows.weight, 0.0), len(known))
        pairs = cases.sum() * controls.sum()
        if pairs > 0:
            found[k] = cases @ (np.cumsum(controls) - 0.5 * controls) / pairs
    return found


# ------------------------------------------------------------------------------------------------------ functions


def cox_ph(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    strata: ArrayLike | None = None,
    ties: str = "efron",
) -> Any:
    """
    Negative log partial likelihood of Cox's proportional hazards model.

    The sum over events of w (-z + log of the sum of w exp(z) over the rows at risk); `ties` is for events at one time.

    Parameters
    ----------
    prediction : array_like of shape (n,)
        Log hazard ratios z.
    target : array_like of shape (n,)
        The time of the event or, negative, of censoring.
    sample_weight : array_like of shape (n,), optional
        Finite and >= 0.
    reduction : {"mean", "sum", "none"}, default "mean"
        The sum divided by the sum of weights, the sum, or an array of the events' parts.
    strata : array_like of shape (n,), optional
        The stratum of each row.
    ties : {"efron", "breslow"}, default "efron"
        What is done with events at the same time.

    Returns
    -------
    float or ndarray

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range.

    See Also
    --------
    CoxPH : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.cox_ph([0.0, 0.0], [1.0, -2.0], reduction="sum"), 12)
    0.69314718056
    """
    return _cox_ph(ties)._value(prediction, target, strata, sample_weight, reduction)


def aft(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    reduction: Reduction = "mean",
    distribution: str = "normal",
    scale: float | None = 1.0,
) -> Any:
    """
    Negative log-likelihood of an accelerated failure time, log T = z + scale x.

    -log(f(a)) + log(scale t) of an event, -log(F(b) - F(a)) of bounds of the time, with a = (log(lower) - z) / scale.

    Parameters
    ----------
    prediction : array_like of shape (n,), or (n, 2) with a fitted scale
        Places z of log T.
    target : array_like of shape (n,) or (n, 2)
        The time of the event or, negative, of censoring; or lower and upper bounds.
    sample_weight : array_like of shape (n,), optional
        Finite and >= 0.
    reduction : {"mean", "sum", "none"}, default "mean"
        The sum divided by the sum of weights, the sum, or an array.
    distribution : {"normal", "logistic", "extreme"}, default "normal"
        Of x.
    scale : float or None, default 1.0
        > 0; None: the prediction's second column is its logarithm.

    Returns
    -------
    float or ndarray

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range.

    See Also
    --------
    AFT : the same loss as an object, with gradient, Hessian, notes and source.

    Examples
    --------
    >>> import fastloss as fl
    >>> round(fl.aft([0.0], [-1.0]), 12)
    0.69314718056
    """
    try:
        loss = _aft(distribution, scale)
    except TypeError:
        loss = AFT(distribution, scale)
    return loss._value(prediction, target, None, sample_weight, reduction)


# A function makes the loss of its parameters once; parameters without a hash (arrays) raise TypeError there.
_once = functools.lru_cache(maxsize=64, typed=True)
_cox_ph: Callable[..., CoxPH] = _once(CoxPH)
_aft: Callable[..., AFT] = _once(AFT)
