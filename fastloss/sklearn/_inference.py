"""Standard errors of linear models: from the model, robust, and of rows that belong together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.linalg import block_diag
from sklearn.base import is_classifier
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted, column_or_1d

import fastloss as fl

from .. import _call
from .._kernels import ColumnLoss
from .._resolve import resolve
from .._segments import checked_weights
from . import _linear as linear
from ._objective import MeanLoss, Scores, columns_of
from ._options import checked_bounds, checked_offset
from ._together import LinearScores, gradients_of_units, refuse

COVARIANCES = ("model", "robust", "cluster")
# Rows whose products are formed at a time.
ROWS = 4096


@dataclass(frozen=True)
class Inference:
    """
    Coefficients with what is known of their errors; prints itself as a table.

    Attributes
    ----------
    names : list of str
        What each coefficient belongs to: its class or target, if there are several, and its feature.
    coef : ndarray of shape (n,)
        The coefficients, those of a score with its intercept last.
    covariance : ndarray of shape (n, n)
        Of the coefficients.
    kind : str
        How it was found.
    n_rows : float
        The sum of the weights.
    """

    names: list[str]
    coef: np.ndarray
    covariance: np.ndarray
    kind: str
    n_rows: float

    @property
    def standard_errors(self) -> np.ndarray:
        """The roots of the variances."""
        return np.asarray(np.sqrt(np.maximum(np.diag(self.covariance), 0.0)))

    @property
    def z_values(self) -> np.ndarray:
        """Coefficients over their standard errors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.coef / self.standard_errors)

    @property
    def p_values(self) -> np.ndarray:
        """How likely a normal variable is to be as far from 0, on either side."""
        return np.asarray(2 * stats.norm.sf(np.abs(self.z_values)))

    def confidence_interval(self, level: float = 0.95) -> np.ndarray:
        """
        Return the ends of intervals of the normal distribution.

        Parameters
        ----------
        level : float, default 0.95
            Their probability; in (0, 1).

        Returns
        -------
        ndarray of shape (n, 2)
            Low and high.

        Raises
        ------
        ValueError
            If `level` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level must lie in (0, 1), got {level!r}")
        away = stats.norm.isf((1 - level) / 2) * self.standard_errors
        return np.column_stack([self.coef - away, self.coef + away])

    def __str__(self) -> str:
        ends = self.confidence_interval()
        width = max(len("coefficient"), *(len(name) for name in self.names))
        lines = [
            f"{self.n_rows:g} rows, standard errors: {self.kind}",
            f"{'':<{width}} {'value':>11} {'std. error':>11} {'z':>8} {'p':>7} {'2.5 %':>11} {'97.5 %':>11}",
        ]
        rows = zip(self.names, self.coef, self.standard_errors, self.z_values, self.p_values, ends, strict=True)
        lines += [
            f"{name:<{width}} {value:>11.4g} {error:>11.4g} {z:>8.2f} {p:>7.3f} {low:>11.4g} {high:>11.4g}"
            for name, value, error, z, p, (low, high) in rows
        ]
        return "\n".join(lines)


def inference(
    model: Any,
    x: Any,
    y: Any,
    sample_weight: Any,
    offset: Any,
    covariance: str,
    clusters: Any,
    belongs: dict[str, Any],
) -> Inference:
    """Return the errors of a fitted model's coefficients, for the rows that it was fitted to."""
    check_is_fitted(model)
    _call.check_choice("covariance", covariance, COVARIANCES)
    if (clusters is None) == (covariance == "cluster"):
        raise ValueError("covariance='cluster' and clusters, one label a row, go together")
    l1, l2 = model._checked_penalty()
    if l1 > 0:
        raise ValueError(
            "an L1 norm chooses coefficients, of which standard errors do not know: use penalty None or 'l2'"
        )
    # In single precision directions without curvature, as classes have them, could not be told from others.
    x = model._checked_features(x, reset=False).astype(np.float64, copy=False)
    if checked_bounds(model.bounds, model.positive, x.shape[1]) is not None:
        raise ValueError("bounds cut off the distribution of coefficients: fit without them")
    given = resolve(model.loss)
    if given.kind == "segments":
        refuse(given, offset=offset)
        return _together(model, x, given.prepare(y, sample_weight, **belongs), sample_weight, covariance, clusters, l2)
    if any(each is not None for each in belongs.values()):
        raise TypeError(f"{given!r} has no strata and no groups")
    prepared = model._prepared(x, y, sample_weight)
    rows = prepared[0] if is_classifier(model) else prepared
    loss, n_outputs = rows.loss, rows.n_outputs
    if rows.weight is not None and rows.weight.ndim == 2:
        raise ValueError("y has missing labels: take standard errors of each column by a model of its own")
    if loss.traits.has_kinks:
        raise ValueError(f"{loss.name} has kinks and no curvature to take standard errors from")
    scale = _dispersion_rule(loss) if covariance == "model" else None
    if scale in ("squares", "pearson") and n_outputs > 1:
        raise ValueError("covariance='model' takes one column of targets: use covariance='robust'")
    codes = None if clusters is None else _codes(clusters, x.shape[0])
    scores = linear.scores_of(loss, rows.target, rows.weight, n_outputs, rows.one_hot)
    scores.offset = checked_offset(offset, x.shape[0], n_outputs, x.dtype)
    columns = columns_of(x, rows.weight, bool(model.fit_intercept))
    coef = np.reshape(model.coef_, (n_outputs, -1)).astype(np.float64)
    theta, intercept = columns.coordinates(coef, np.reshape(model.intercept_, -1).astype(np.float64))
    if model.fit_intercept:
        theta = np.column_stack([theta, intercept])
    with linear._one_blas_thread:
        mean = MeanLoss(x, scores, bool(model.fit_intercept), None, columns)
        curvature = "fisher" if scale == "pearson" else "exact"
        blocks = mean.hessian(theta, curvature) * mean.total
    hessian = blocks[0] if len(blocks) == 1 else block_diag(*blocks)
    problem, _, _ = model._problem([(scores, True)], columns, np.ones(n_outputs), loss)
    bread = _inverse(hessian + np.diag(np.tile(problem.l2 * mean.total, n_outputs)))
    z = np.empty((x.shape[0], n_outputs), x.dtype)
    z[:] = safe_sparse_dot(x, coef.T, dense_output=True) + np.reshape(model.intercept_, -1)
    z += 0.0 if scores.offset is None else scores.offset
    freedom = _freedom(mean.total, hessian)
    if covariance == "model":
        of_coordinates = bread @ hessian @ bread * _dispersion(scale, rows, z, freedom)
    else:
        meat, n_groups = _products(x, scores, z, columns, bool(model.fit_intercept), codes)
        of_coordinates = _correction(mean.total, freedom, None if codes is None else n_groups) * bread @ meat @ bread
    turn = np.kron(np.eye(n_outputs), _turn(columns, bool(model.fit_intercept)))
    found = turn @ of_coordinates @ turn.T
    values = np.column_stack([coef, np.reshape(model.intercept_, -1)]) if model.fit_intercept else coef
    return Inference(_names(model, loss, n_outputs, x.shape[1]), values.ravel(), found, covariance, float(mean.total))


def _together(
    model: Any, x: Any, prepared: Any, sample_weight: Any, covariance: str, clusters: Any, l2: float
) -> Inference:
    """Under a loss of rows that belong together; a fitted scale is the last coefficient, by its logarithm."""
    loss = prepared.loss
    if isinstance(loss, fl.PairwiseLogistic):
        raise ValueError(
            f"{loss!r} has no standard errors: the pairs of a group are not independent, their loss is no likelihood"
        )
    if prepared.n_rows != x.shape[0]:
        raise ValueError(f"X has {x.shape[0]} rows, and y {prepared.n_rows}")
    scores = LinearScores(x, prepared, isinstance(loss, fl.AFT) and bool(model.fit_intercept), 0.0, l2)
    coef = np.asarray(model.coef_, np.float64)
    theta = scores.theta_of(coef, float(model.intercept_), float(model.scale_))
    total = float(prepared.total_weight)
    penalised = scores.hessian(theta) * total
    hessian, bread = penalised - np.diag(scores.l2) * total, _inverse(penalised)
    weight = checked_weights(sample_weight, x.shape[0])
    if covariance == "model":
        of_coordinates = bread @ hessian @ bread
    else:
        of_coordinates = bread @ _meat(scores, theta, weight, clusters, _freedom(total, hessian)) @ bread
    turn = block_diag(_turn(scores, scores.has_intercept), np.eye(int(scores.has_scale)))
    more = [float(model.intercept_)] if scores.has_intercept else []
    more += [float(np.log(model.scale_))] if scores.has_scale else []
    names = _feature_names(model, x.shape[1])
    names += (["intercept"] if scores.has_intercept else []) + (["log(scale)"] if scores.has_scale else [])
    n_rows = float(x.shape[0] if weight is None else weight.sum())
    return Inference(names, np.append(coef, more), turn @ of_coordinates @ turn.T, covariance, n_rows)


def _meat(scores: LinearScores, theta: np.ndarray, weight: np.ndarray | None, clusters: Any, freedom: float) -> Any:
    """Return the sum of outer products of the gradients of units, or of clusters of them, for a small sample."""
    gradients, unit = gradients_of_units(scores, theta)
    counts = np.ones(len(unit)) if weight is None else weight
    total, counted = scores.prepared.total_weight, counts > 0
    size = np.bincount(unit[counted], minlength=len(gradients))
    of_unit = np.bincount(unit[counted], counts[counted], len(gradients)) / np.maximum(size, 1)
    if clusters is None:
        gradients = gradients / np.sqrt(np.where(of_unit > 0, of_unit, 1.0))[:, None]
        return _correction(total, freedom, None) * gradients.T @ gradients
    codes = _codes(clusters, len(unit))
    of_group = np.zeros(len(gradients), np.int64)
    of_group[unit[counted]] = codes[counted]
    apart = counted & (of_group[unit] != codes)
    if apart.any():
        raise ValueError(f"clusters[{int(np.argmax(apart))}] differs from that of other rows of its group")
    sums = np.zeros((int(codes.max()) + 1, gradients.shape[1]))
    np.add.at(sums, of_group[size > 0], gradients[size > 0])
    return _correction(total, freedom, len(np.unique(codes[counted]))) * sums.T @ sums


def _freedom(total: float, hessian: np.ndarray) -> float:
    return max(total - float(np.linalg.matrix_rank(hessian, hermitian=True)), 1.0)


def _correction(n: float, freedom: float, n_clusters: int | None) -> float:
    """For small samples, of rows or of clusters."""
    return n / freedom if n_clusters is None else n_clusters / max(n_clusters - 1, 1) * (n - 1) / freedom


def _turn(columns: Any, fit_intercept: bool) -> np.ndarray:
    """From coordinates to coefficients, which are those over spreads; an intercept makes up for the centres."""
    turn: np.ndarray = np.diag(1 / columns.spread)
    if fit_intercept:
        turn = np.block([[turn, np.zeros((len(turn), 1))], [-columns.centre / columns.spread, np.ones((1, 1))]])
    return turn


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """The inverse, on what is not without curvature: of classes only differences matter."""
    return np.asarray(np.linalg.pinv(matrix, rcond=1e-10, hermitian=True))


def _codes(clusters: Any, n_rows: int) -> np.ndarray:
    labels = column_or_1d(np.asarray(clusters))
    if len(labels) != n_rows:
        raise ValueError(f"clusters must have one label for each of {n_rows} rows, got {len(labels)}")
    return np.asarray(np.unique(labels, return_inverse=True)[1])


def _dispersion_rule(loss: Any) -> str:
    """How much rows scatter: as the likelihood says, or by the squares of what is left."""
    if isinstance(loss, fl.SquaredError):
        return "squares"
    if isinstance(loss, (fl.Gamma, fl.Tweedie, fl.InverseGaussian)):
        return "pearson"
    if isinstance(loss, (fl.Poisson, fl.NegativeBinomial)):
        return "known"
    if isinstance(loss, ColumnLoss) and not isinstance(loss, (fl.GaussianCRPS, fl.LogNormalCRPS)):
        return "known"
    plain = isinstance(loss, (fl.BinaryCrossEntropy, fl.CrossEntropy, fl.KLDivergence))
    weighs = [name for name in ("pos_weight", "class_weight", "label_smoothing") if np.any(loss.parameters.get(name))]
    if plain and not weighs:
        return "known"
    raise ValueError(f"{loss!r} is no likelihood, from which standard errors would follow: use covariance='robust'")


def _dispersion(rule: str | None, rows: Any, z: np.ndarray, freedom: float) -> Any:
    if rule == "known":
        return 1.0
    target = rows.target.reshape(z.shape).astype(np.float64)
    weight = np.ones((len(z), 1)) if rows.weight is None else rows.weight[:, None].astype(np.float64)
    if rule == "squares":
        # The loss is twice the half square that a normal distribution has.
        each = 2 * np.sum(weight * np.square(target - z), axis=0) / freedom
    else:
        mean, power = np.exp(z.astype(np.float64)), _power(rows.loss)
        each = np.sum(weight * np.square(target - mean) / mean**power, axis=0) / freedom
    return float(each[0])


def _power(loss: Any) -> float:
    if isinstance(loss, fl.Tweedie):
        return float(loss.parameters["power"])
    return 2.0 if isinstance(loss, fl.Gamma) else 3.0


def _products(
    x: Any, scores: Scores, z: np.ndarray, columns: Any, fit_intercept: bool, codes: np.ndarray | None
) -> tuple[np.ndarray, int]:
    """Return the sum of outer products of gradients, of rows or of clusters, and how many of these there are."""
    weight = scores.weight
    width = z.shape[1] * (x.shape[1] + fit_intercept)
    sums = None if codes is None else np.zeros((int(codes.max()) + 1, width))
    total = np.zeros((width, width))
    for at in range(0, len(z), ROWS):
        rows = slice(at, min(at + ROWS, len(z)))
        u = np.empty_like(z[rows])
        scores.value_and_gradient(z[rows], rows, u)
        block = x[rows]
        block = block.toarray() if not isinstance(block, np.ndarray) else block
        block = (block - columns.centre) / columns.spread
        if fit_intercept:
            block = np.column_stack([block, np.ones(len(block))])
        gradients = (u[:, :, None] * block[:, None, :]).reshape(len(block), -1).astype(np.float64)
        if sums is not None:
            assert codes is not None
            np.add.at(sums, codes[rows], gradients)
            continue
        if weight is not None:
            # A weight is a number of rows, whose gradients are counted one by one.
            of_rows = weight[rows].astype(np.float64)
            gradients = (
                gradients * np.sqrt(np.divide(1.0, of_rows, out=np.zeros_like(of_rows), where=of_rows > 0))[:, None]
            )
        total += gradients.T @ gradients
    if sums is None:
        return total, len(z)
    counted = sums if weight is None else sums[np.unique(codes[weight > 0])] if codes is not None else sums
    return counted.T @ counted, len(counted)


def _feature_names(model: Any, n_features: int) -> list[str]:
    return [str(name) for name in getattr(model, "feature_names_in_", [f"x{j}" for j in range(n_features)])]


def _names(model: Any, loss: Any, n_outputs: int, n_features: int) -> list[str]:
    features = _feature_names(model, n_features)
    features = [*features, "intercept"] if model.fit_intercept else features
    if n_outputs == 1:
        return features
    of_scores = model.classes_.tolist() if is_classifier(model) else getattr(loss, "columns", range(n_outputs))
    return [f"{score}: {name}" for score in of_scores for name in features]
