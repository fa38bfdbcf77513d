"""Linear models of Dask arrays and frames: `fastloss.dask.LossClassifier` and `LossRegressor`.

The models, the objective and its minimisation are those of `fastloss.sklearn`. A pass over the rows, which there goes
through blocks in memory, is here one graph: a task a chunk, whose sums (value, gradient, Hessian) are added up in a
tree. No chunk leaves its worker but for what the scheduler does itself, and a lost one is made again from where it
came from.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import dask.array
import numpy as np
from sklearn.utils.metaestimators import available_if

from ._arrays import is_masked
from ._call import TARGET_RULES
from ._resolve import resolve
from .likelihood import Quantiles, levels_of
from .sklearn import LossClassifier as _LossClassifier
from .sklearn import LossRegressor as _LossRegressor
from .sklearn._distributions import meaning
from .sklearn._linear import _has_probabilities, _warn, for_two_classes, of_constant, stages_of
from .sklearn._objective import Columns, MeanLoss, _columns
from .sklearn._options import checked_penalty_weight
from .sklearn._solvers import (
    MOST_NEWTON,
    Fit,
    Objective,
    Progress,
    _lbfgs,
    diagonal_scaling,
    newton,
    width_of,
)

# Have types for some of their functions only.
dask_: Any = dask
da: Any = dask.array

TREE = 8  # sums that a task adds up
SAMPLE = 1 << 14  # targets that say how far they lie from a constant
MOST_CLASSES = 10_000


# ------------------------------------------------------------------------------------------------------ chunks


def _is_frame(x: Any) -> bool:
    return hasattr(x, "npartitions") and hasattr(x, "to_delayed") and not isinstance(x, da.Array)


def _parts(name: str, given: Any, rows: Any) -> list[Any]:
    """Return the chunks of rows, each to be computed; `rows`: the chunks of X, if they are known."""
    if _is_frame(given):
        return list(given.to_delayed())
    if not isinstance(given, da.Array):
        if rows is None or any(math.isnan(n) for n in rows):
            raise TypeError(f"{name} must be a Dask array or frame in the chunks of X, not {type(given).__name__}")
        given = np.asarray(given)
        if len(given) != sum(rows):
            raise ValueError(f"{name} has {len(given)} rows, and X has {sum(rows)}")
        given = da.from_array(given, chunks=(rows, *given.shape[1:]))
    if given.ndim > 1 and given.numblocks[1] > 1:
        given = given.rechunk({1: -1})
    if rows is not None and not any(math.isnan(n) for n in (*rows, *given.chunks[0])) and given.chunks[0] != rows:
        if sum(given.chunks[0]) != sum(rows):
            raise ValueError(f"{name} has {sum(given.chunks[0])} rows, and X has {sum(rows)}")
        given = given.rechunk({0: rows})
    return list(given.to_delayed().ravel())


def _together(x: Any, y: Any, weight: Any) -> list[tuple[Any, Any, Any]]:
    """Return the chunks of X, y and weights, one with the other."""
    rows = x.chunks[0] if isinstance(x, da.Array) else None
    parts = {"X": _parts("X", x, rows), "y": _parts("y", y, rows)}
    if weight is not None:
        parts["sample_weight"] = _parts("sample_weight", weight, rows)
    for name, each in parts.items():
        if len(each) != len(parts["X"]):
            raise ValueError(
                f"{name} has {len(each)} chunks of rows, and X has {len(parts['X'])}: repartition one of them"
            )
    weights = parts.get("sample_weight", [None] * len(parts["X"]))
    return list(zip(parts["X"], parts["y"], weights, strict=True))


def _plain(name: str, chunk: Any, number: int) -> np.ndarray:
    if hasattr(chunk, "todense") or hasattr(chunk, "tocsr"):
        raise TypeError(f"{name}: chunk {number} is sparse; map it to dense arrays")
    if is_masked(chunk):
        raise TypeError(f"{name}: chunk {number} is masked; give what is masked a sample_weight of 0")
    return np.asarray(chunk)


def _read(x: Any, y: Any, weight: Any, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return a chunk as arrays, checked against each other."""
    x, y = _plain("X", x, number), _plain("y", y, number)
    x = np.ascontiguousarray(x, dtype=x.dtype if x.dtype in (np.float32, np.float64) else np.float64)
    y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
    w = None if weight is None else _plain("sample_weight", weight, number).astype(x.dtype).ravel()
    for name, each in (("y", y), ("sample_weight", w)):
        if each is not None and len(each) != len(x):
            raise ValueError(f"{name}: chunk {number} has {len(each)} rows, and that of X has {len(x)}")
    return x, y, w


def _first(name: str, array: np.ndarray, bad: np.ndarray, number: int, rule: str) -> None:
    if bad.any():
        where = int(np.argmax(bad.reshape(len(bad), -1).any(axis=1)))
        raise ValueError(f"{name}: row {where} of chunk {number} {rule}, got {array[where]!r}")


# --------------------------------------------------------------------------------------------- what a task does


def _look(x: Any, y: Any, weight: Any, number: int, domain: str | None, most: int) -> dict[str, Any]:
    """Check a chunk, and return what is needed to start: sums, classes (no domain), a few targets."""
    x, y, w = _read(x, y, weight, number)
    _first("X", x, ~np.isfinite(x), number, "must be finite")
    if w is not None:
        _first("sample_weight", w, ~(np.isfinite(w) & (w >= 0)), number, "must be finite and >= 0")
    if y.ndim != 1:
        raise ValueError(f"y must hold one label or number a row: chunk {number} has shape {y.shape}")
    ones = np.ones(len(x)) if w is None else w.astype(np.float64)
    found: dict[str, Any] = {
        "n": len(x),
        "dtype": x.dtype,
        "weight": float(ones.sum()),
        "largest": float(ones.max(initial=0.0)),
        "sums": ones @ x.astype(np.float64, copy=False),
    }
    if domain is None:
        if y.dtype.kind == "f":
            _first("y", y, np.isnan(y), number, "must be a label")
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) > MOST_CLASSES:
            raise ValueError(f"y: chunk {number} alone has {len(classes)} labels; is it a number? Use LossRegressor")
        return found | {"classes": classes, "totals": np.bincount(codes, ones, minlength=len(classes))}
    y = y.astype(np.float64)
    rule = TARGET_RULES.get(domain, (np.isfinite, "must be finite"))
    _first("y", y, ~rule[0](y), number, rule[1])
    some = np.linspace(0, len(y) - 1, min(most, len(y))).astype(np.intp)
    return found | {"total": float(ones @ y), "targets": y[some], "weights": ones[some]}


def _spreads(x: Any, weight: Any, centre: np.ndarray) -> list[np.ndarray]:
    """Return weighted squares of the distances from the centre, and the largest distance of what counts."""
    x = np.asarray(x)
    w = np.ones(len(x)) if weight is None else np.asarray(weight).astype(np.float64).ravel()
    distance = x - centre
    largest = np.max(np.abs(distance[w > 0]), axis=0, initial=0.0) if len(x) else np.zeros(len(centre))
    return [np.einsum("i,ij,ij->j", w, distance, distance), largest]


@dataclass(frozen=True)
class _Plan:
    """What the tasks of a fit have in common; `classes` None: y holds numbers."""

    loss: Any
    classes: np.ndarray | None
    of_class: np.ndarray | None
    largest: float
    n_outputs: int
    one_hot: bool
    fit_intercept: bool
    columns: Columns
    spread: float
    tol: float
    is_warm: bool
    stage: int = -1

    def stages(self, target: np.ndarray, weight: np.ndarray | None) -> list[Any]:
        return stages_of(
            self.loss, target, weight, self.n_outputs, self.one_hot, self.spread, self.tol, self.is_warm
        )  # fmt: skip

    def mean(self, x: Any, y: Any, weight: Any, number: int) -> MeanLoss:
        """The objective of the rows of a chunk."""
        x, y, w = _read(x, y, weight, number)
        loss: Any = self.loss
        if w is not None:
            w = w / w.dtype.type(self.largest)
        if self.classes is None:
            target = y.astype(x.dtype)
        else:
            target = np.searchsorted(self.classes, y)
            if self.of_class is not None:
                w = self.of_class[target].astype(x.dtype) * (1 if w is None else w)
            loss, target = for_two_classes(loss, target, self.n_outputs, x.dtype)
        plan = replace(self, loss=loss)
        return MeanLoss(x, plan.stages(target, w)[self.stage][0], self.fit_intercept, None, self.columns)


def _sums(x: Any, y: Any, weight: Any, number: int, plan: _Plan, theta: np.ndarray, what: str) -> list[np.ndarray]:
    """Return what a chunk adds to a mean, times the weights: their sum, and value and gradient or a Hessian."""
    if not len(x):
        return [np.zeros(1)]
    mean = plan.mean(x, y, weight, number)
    if not mean.total > 0:
        return [np.zeros(1)]
    total = np.array([mean.total])
    if what == "gradient":
        value, gradient = mean.value_and_gradient(theta)
        return [total, total * value, total * gradient]
    if what == "mean curvature":
        return [total, total * mean.mean_curvature(theta)]
    return [total, total * mean.hessian(theta, what)]


def _added(*parts: list[np.ndarray]) -> list[np.ndarray]:
    """Add up, in their order; what has nothing to add is short."""
    full = [part for part in parts if len(part) > 1]
    return [np.asarray(sum(each)) for each in zip(*full, strict=True)] if full else parts[0]


# ------------------------------------------------------------------------------------------------------- a fit


class _Mean:
    """`MeanLoss` for chunks: each method is one pass over all rows, and one graph."""

    every = 1

    def __init__(self, chunks: list[tuple[Any, Any, Any]], plan: _Plan, n_rows: int, dtype: Any) -> None:
        self.chunks, self.plan = chunks, plan
        self.columns, self.fit_intercept = plan.columns, plan.fit_intercept
        self.n_features = len(plan.columns.centre)
        self.shape = (plan.n_outputs, self.n_features + plan.fit_intercept)
        self.x = SimpleNamespace(dtype=np.dtype(dtype))
        nothing = np.zeros(0) if plan.classes is None else np.zeros(0, np.intp)
        loss, nothing = for_two_classes(plan.loss, nothing, plan.n_outputs, dtype) if plan.classes is not None else (
            plan.loss, nothing)  # fmt: skip
        self.scores = replace(plan, loss=loss).stages(nothing, None)[plan.stage][0]
        self.n_sampled = n_rows
        self.total = float(n_rows)  # of a sample, which is all rows here

    def sampled(self, every: int) -> _Mean:
        """All rows: a pass over some of the chunks takes as long as the slowest."""
        return self

    def _pass(self, theta: np.ndarray, what: str) -> list[np.ndarray]:
        task = dask_.delayed(_sums, pure=False)
        plan, at = dask_.delayed(self.plan, traverse=False), dask_.delayed(theta, traverse=False)
        sums = [task(*chunk, number, plan, at, what) for number, chunk in enumerate(self.chunks)]
        added: list[np.ndarray] = _tree(_added, sums)
        return added

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        total, value, gradient = self._pass(theta, "gradient")
        return float(value[0] / total[0]), gradient / total

    def hessian(self, theta: np.ndarray, curvature: str, dtype: Any = np.float64) -> np.ndarray:
        total, hessian = self._pass(theta, curvature)
        return np.asarray(hessian / total)

    def mean_curvature(self, theta: np.ndarray) -> float:
        total, curvature = self._pass(theta, "mean curvature")
        return float(curvature[0] / total[0])


def _tree(add: Any, parts: list[Any]) -> Any:
    """Compute the sum of what tasks return, some at a time."""
    join = dask_.delayed(add, pure=False)
    while len(parts) > 1:
        parts = [join(*parts[i : i + TREE]) for i in range(0, len(parts), TREE)]
    return dask_.compute(parts[0])[0]


def _joined(*parts: dict[str, Any]) -> dict[str, Any]:
    """What `_look` found in several chunks."""
    result = dict(parts[0])
    for part in parts[1:]:
        for key in ("n", "weight", "sums", "total"):
            if key in part:
                result[key] = result[key] + part[key]
        result["largest"] = max(result["largest"], part["largest"])
        result["dtype"] = np.result_type(result["dtype"], part["dtype"])
        for key in ("targets", "weights"):
            if key in part:
                result[key] = np.concatenate([result[key], part[key]])
        if "classes" in part:
            classes = np.concatenate([result["classes"], part["classes"]])
            totals = np.concatenate([result["totals"], part["totals"]])
            result["classes"], codes = np.unique(classes, return_inverse=True)
            result["totals"] = np.bincount(codes, totals)
    return result


def _largest(*parts: list[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(sum(part[0] for part in parts)), np.max([part[1] for part in parts], axis=0)]


def _fit(model: Any, x: Any, y: Any, weight: Any, loss: Any, is_classifier: bool) -> tuple[np.ndarray, Any]:
    """Return coefficients with the intercepts in the last column, and the classes."""
    if loss.kind not in ("pointwise", "rowwise", "columns"):
        raise ValueError(
            f"{loss!r} is no sum over rows (it compares them): it cannot be fitted chunk by chunk; use "
            f"fastloss.sklearn, in memory"
        )
    if not (isinstance(x, da.Array) or _is_frame(x)):
        raise TypeError(f"X must be a Dask array or frame, not {type(x).__name__}: use fastloss.sklearn for others")
    if model.bounds is not None or model.positive:
        name = "positive" if model.positive else "bounds"
        raise ValueError(f"{name} is not for chunks: fastloss.sklearn keeps coefficients within bounds, in memory")
    l1, l2 = model._checked_penalty()
    if l1 > 0 and loss.traits.has_kinks:
        raise ValueError(
            f"{loss!r} has kinks, and so has an L1 norm: both together are fitted in memory alone; use 'l2', or a "
            f"smooth loss"
        )
    chunks = _together(x, y, weight)
    look = dask_.delayed(_look, pure=False)
    domain = None if is_classifier else loss.target_domain
    most = max(16, SAMPLE // len(chunks))
    found = _tree(_joined, [look(*chunk, i, domain, most) for i, chunk in enumerate(chunks)])
    if not found["weight"] > 0:
        raise ValueError("X has no row that counts: all weights are 0, or there is none")
    centre = found["sums"] / found["weight"] if model.fit_intercept else np.zeros(len(found["sums"]))
    spreads = dask_.delayed(_spreads, pure=False)
    squares, largest = _tree(_largest, [spreads(part, w, centre) for part, _, w in chunks])
    columns = _columns(centre, squares / found["weight"], largest)

    classes = of_class = None
    if is_classifier:
        classes, totals = found["classes"], found["totals"]
        if len(classes) < 2:
            raise ValueError(f"{type(model).__name__} needs at least 2 classes, and y has only one: {classes[0]!r}")
        if model.class_weight is not None:
            of_class = _weights_of_classes(model.class_weight, classes, totals)
            totals = totals * of_class
        n_outputs = 1 if len(classes) == 2 else len(classes)
        some, of_some = np.arange(len(classes)), totals
    else:
        n_outputs = len(loss.columns) if loss.kind == "columns" else 1
        some, of_some = found["targets"], found["weights"]
    one_hot = is_classifier and loss.kind != "rowwise" and n_outputs > 1
    reduced, target = for_two_classes(loss, some, n_outputs, np.float64) if is_classifier else (loss, some)
    if loss.traits.link == "log" and loss.kind == "pointwise" and not is_classifier:
        mean = np.array([found["total"] / found["weight"]])
        start = model._start(reduced, mean, None, mean, None, n_outputs, one_hot, None, None)
    else:
        start = model._start(reduced, target, of_some, target, of_some, n_outputs, one_hot, None, None)
    spread, magnitude = of_constant(reduced, target, of_some, start, n_outputs, one_hot, np.float64)

    theta = np.zeros((n_outputs, len(centre) + bool(model.fit_intercept)))
    if model.fit_intercept:
        theta[:, -1] = start
    before = getattr(model, "coef_", None) if model.warm_start else None
    is_warm = before is not None and np.size(before) == n_outputs * len(centre)
    if before is not None and is_warm:
        theta[:, : len(centre)], intercept = columns.coordinates(
            np.reshape(before, (n_outputs, -1)).astype(np.float64), model.intercept_
        )
        if model.fit_intercept:
            theta[:, -1] = intercept
    heaviest = found["largest"] if weight is not None else 1.0
    plan = _Plan(loss, classes, of_class, heaviest, n_outputs, one_hot, bool(model.fit_intercept), columns, spread,
                 float(model.tol), is_warm)  # fmt: skip
    theta = _minimised(model, _Mean(chunks, plan, found["n"], found["dtype"]), theta, (l1, l2), magnitude)
    if n_outputs > 1 and loss.kind == "rowwise":  # the same for all classes makes no difference
        free = slice(None) if model.penalty is None else slice(len(centre), None)
        theta[:, free] -= theta[:, free].mean(axis=0)
    model.n_features_in_ = len(centre)
    if hasattr(x, "columns"):
        model.feature_names_in_ = np.array([str(name) for name in x.columns], dtype=object)
    return theta.astype(found["dtype"]), classes


def _minimised(
    model: Any, mean: _Mean, theta: np.ndarray, penalty: tuple[float, float], magnitude: np.ndarray
) -> np.ndarray:
    """Go through the stages that lead to the loss, each from the minimum of the one before."""
    progress = Progress(model.max_iter, model.verbose)
    columns, n_features = mean.columns, mean.n_features
    free = np.zeros(int(mean.fit_intercept))
    factor = checked_penalty_weight(model.penalty_weight, n_features)
    factor = np.ones(n_features) if factor is None else factor
    l1 = np.append(penalty[0] * factor / columns.spread, free)
    l2 = np.append(penalty[1] * factor / np.square(columns.spread), free)
    limits = np.asarray(magnitude)[:, None] * np.ones(theta.shape[1])
    n_stages = len(mean.plan.stages(mean.scores.target, None))
    fit: Fit | None = None
    scale: float | None = None
    for stage in range(n_stages):
        at = _Mean(mean.chunks, replace(mean.plan, stage=stage), mean.n_sampled, mean.x.dtype)
        near = float(model.tol) if stage == n_stages - 1 else max(float(model.tol), 1e-2)
        if scale is None:
            scale = abs(at.value_and_gradient(theta)[0])
        objective: Any = Objective(at, l1, l2, limits, near, scale)  # type: ignore[arg-type]
        if width_of(at) <= 2 * MOST_NEWTON:  # type: ignore[arg-type]
            fit = newton(objective, theta, progress)
        else:
            fit = _lbfgs(objective, theta, progress, diagonal_scaling(objective, theta), model.max_iter)
        theta = fit.theta
        if progress.is_over:
            break
    assert fit is not None
    model.n_iter_, model.loss_curve_ = max(1, len(progress.curve)), progress.curve
    if fit.stopped:
        _warn(type(model).__name__, fit, model.n_iter_, model.penalty, mean.x.dtype)
    coef, intercept = columns.coefficients(fit.theta[:, :n_features], 0.0, np.float64)
    return np.column_stack([coef, fit.theta[:, n_features:] + intercept[:, None]]) if mean.fit_intercept else coef


def _weights_of_classes(given: Any, classes: np.ndarray, totals: np.ndarray) -> np.ndarray:
    if isinstance(given, str):
        if given != "balanced":
            raise ValueError(f"class_weight must be 'balanced' or a dict, got {given!r}")
        with np.errstate(divide="ignore"):
            return np.where(totals > 0, totals.sum() / (len(classes) * totals), 0.0)
    unknown = [each for each in given if each not in classes]
    if unknown:
        raise ValueError(f"class_weight names {unknown[0]!r}, which is no label of y")
    return np.array([float(given.get(each, 1.0)) for each in classes.tolist()])


def _predicted(model: Any, x: Any, method: Any, dtype: Any, width: int | None) -> Any:
    """Apply a method of the model in memory to each chunk; NumPy arrays and the like as there."""
    if not (isinstance(x, da.Array) or _is_frame(x)):
        return method(model, x)
    if _is_frame(x):
        names = getattr(model, "feature_names_in_", None)
        if names is not None and [str(name) for name in x.columns] != names.tolist():
            raise ValueError(f"X must have the columns of the fit, {names.tolist()}, in their order")
        x = x.to_dask_array()
    if x.numblocks[1] > 1:
        x = x.rechunk({1: -1})
    bare = type(model)(**model.get_params(deep=False))
    bare.__dict__.update({key: value for key, value in vars(model).items() if key != "feature_names_in_"})
    empty = () if width is None else (width,)
    new = {"drop_axis": 1} if width is None else {"chunks": (x.chunks[0], empty)}
    return x.map_blocks(
        _of_chunk, bare, method, empty, dtype, dtype=dtype, meta=np.empty((0,) * (1 + len(empty)), dtype), **new
    )


def _of_chunk(x: np.ndarray, model: Any, method: Any, empty: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.asarray(method(model, np.asarray(x))) if len(x) else np.empty((0, *empty), dtype)


_PARAMETERS = """
    Parameters
    ----------
    X : dask.array.Array or dask.dataframe.DataFrame
        Features, chunked by rows; columns are brought into one chunk. Dense and finite.
    y : dask.array.Array, dask.dataframe.Series or array_like
        {y}
    sample_weight : the same, optional
        >= 0. A row of weight 0 counts nowhere.

    Returns
    -------
    estimator
        Itself.

    Raises
    ------
    ValueError, TypeError
        As in memory, with the chunk; if a chunk is masked or sparse; if the loss is no sum over rows.
"""


class LossClassifier(_LossClassifier):
    """
    `fastloss.sklearn.LossClassifier` for Dask arrays and frames: the same parameters, objective and model.

    Each pass over the rows is one graph of sums a chunk: of value and gradient, and where there are at most 3000
    coefficients (of all classes together, if the loss couples them), of the Hessian. No chunk is gathered. What is not
    computed is read again in each pass: persist X first if it fits.
    Losses with kinks are rounded as far as `tol` says, and take no L1 norm.

    See `fastloss.sklearn.LossClassifier` for parameters and attributes. y holds one label a row.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastloss.dask import LossClassifier
    >>> X = da.from_array([[0.0], [1.0], [2.0], [3.0]], chunks=2)
    >>> model = LossClassifier("cross_entropy", alpha=0.1).fit(X, ["a", "a", "b", "b"])
    >>> model.predict(X).compute(scheduler="sync").tolist()
    ['a', 'a', 'b', 'b']
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LossClassifier:  # type: ignore[override]
        theta, classes = _fit(self, X, y, sample_weight, self._checked_loss(), True)
        self.classes_ = np.asarray(classes)
        self._is_multilabel = False
        n = self.n_features_in_
        self.coef_ = np.ascontiguousarray(theta[:, :n])
        self.intercept_ = theta[:, n] if self.fit_intercept else np.zeros(len(theta), theta.dtype)
        return self

    fit.__doc__ = "Fit the model.\n" + _PARAMETERS.format(y="Labels, one a row.")

    def decision_function(self, X: Any) -> Any:  # type: ignore[override]
        """Return the scores of `fastloss.sklearn.LossClassifier.decision_function`; of Dask's, lazily."""
        width = None if len(self.coef_) == 1 else len(self.coef_)
        return _predicted(self, X, _LossClassifier.decision_function, self.coef_.dtype, width)

    def predict(self, X: Any) -> Any:  # type: ignore[override]
        """Return the class of the largest score; of Dask's, lazily."""
        return _predicted(self, X, _LossClassifier.predict, self.classes_.dtype, None)

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator, unused-ignore]
    def predict_proba(self, X: Any) -> Any:
        """Return the probabilities at which the loss is least; of Dask's, lazily."""
        return _predicted(self, X, _probabilities, self.coef_.dtype, len(self.classes_))


def _probabilities(model: Any, x: Any) -> Any:
    return super(LossClassifier, model).predict_proba(x)


class LossRegressor(_LossRegressor):
    """
    `fastloss.sklearn.LossRegressor` for Dask arrays and frames: the same parameters, objective and model.

    As `LossClassifier` here. y holds one number a row, also of losses of several numbers a row, such as `GaussianNLL`.

    Examples
    --------
    >>> import dask.array as da
    >>> from fastloss.dask import LossRegressor
    >>> X = da.from_array([[0.0], [1.0], [2.0], [3.0]], chunks=2)
    >>> model = LossRegressor("squared_error", penalty=None).fit(X, [1.0, 3.0, 5.0, 7.0])
    >>> model.predict(X).compute(scheduler="sync").round(6).tolist()
    [1.0, 3.0, 5.0, 7.0]
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> LossRegressor:  # type: ignore[override]
        loss = resolve(self.loss)
        if loss.kind in ("pointwise", "columns"):
            loss = self._checked_loss()
        if loss.kind == "setwise" or loss.target_domain == "unit interval":
            raise ValueError(f"{loss!r} is a loss of labels or classes: use LossClassifier, or a loss of real numbers")
        theta, _ = _fit(self, X, y, sample_weight, loss, False)
        n = self.n_features_in_
        self._keep(theta if self.fit_intercept else theta[:, :n], n, theta.dtype, True)
        return self

    fit.__doc__ = "Fit the model.\n" + _PARAMETERS.format(y="Numbers, one a row.")

    def predict(self, X: Any) -> Any:  # type: ignore[override]
        """Return the predictions; of Dask's, lazily."""
        width = len(self.coef_) if isinstance(meaning(self.loss), Quantiles) else None
        return _predicted(self, X, _LossRegressor.predict, self.coef_.dtype, width)

    @available_if(lambda self: self._is_of_columns)  # type: ignore[untyped-decorator, unused-ignore]
    def decision_function(self, X: Any) -> Any:
        """Return the scores of `fastloss.sklearn.LossRegressor.decision_function`; of Dask's, lazily."""
        return _predicted(self, X, _LossRegressor._scores, self.coef_.dtype, len(self.coef_))

    def predict_quantiles(self, X: Any, q: Any) -> Any:  # type: ignore[override]
        """Return quantiles of each row's target; of Dask's, lazily."""
        self._loss_of_distribution()  # refuses others at once, as levels are
        levels = levels_of(q)
        return _predicted(self, X, functools.partial(_quantiles, q=levels), np.float64, len(levels))

    def predict_distribution(self, X: Any, offset: Any = None) -> Any:
        """Return the distribution of each row's target, of rows in memory."""
        if isinstance(X, da.Array) or _is_frame(X):
            raise TypeError(
                "predict_distribution takes rows in memory, where its parameters are; of Dask's use predict_quantiles "
                "or decision_function, which are lazy"
            )
        return super().predict_distribution(X, offset)


def _quantiles(model: Any, x: Any, q: Any) -> Any:
    return super(LossRegressor, model).predict_quantiles(x, q)
