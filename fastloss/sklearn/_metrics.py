"""Drop-in replacements of metrics of scikit-learn: the same results, without one-hot encoding.

Every function here looks for the usual case: arrays of the right shapes, labels that are classes, probabilities that
sum to 1. There it computes the metric in blocks of rows that stay in cache, on all threads. Whatever is not that case,
right or wrong, goes to scikit-learn's own function, so errors, warnings and rare inputs are scikit-learn's own too.
"""

# mypy: no-warn-return-any

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn
from scipy.special import xlogy
from sklearn import metrics

from .._kernels import Loss, get_num_threads
from ..binary import Hinge
from ..multiclass import MulticlassHinge
from ..regression import AbsoluteError, Quantile, SquaredError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "brier_score_loss",
    "d2_brier_score",
    "d2_log_loss_score",
    "hinge_loss",
    "log_loss",
    "mean_absolute_error",
    "mean_gamma_deviance",
    "mean_pinball_loss",
    "mean_poisson_deviance",
    "mean_squared_error",
    "mean_tweedie_deviance",
]

# Elements of a block: two megabytes of float64, which stay in the last cache. With a quarter of it, which fits the
# second level, threads wait for each other to hand over the interpreter, and two took twice as long as one.
BLOCK = 1 << 18
# Fewer elements than this are done before threads have started.
ENOUGH_FOR_THREADS = 1 << 19
# Short rows are added up faster by einsum; long ones more exactly by sum, in pairs.
FEW_COLUMNS = 32


# ------------------------------------------------------------------------------------------- what goes to scikit-learn


def _theirs(name: str, *arguments: Any, **options: Any) -> Any:
    """Call scikit-learn's function of that name. Older ones lack some options; what has its default is left out."""
    function = getattr(metrics, name)
    ours = inspect.signature(globals()[name]).parameters
    return function(*arguments, **{key: v for key, v in options.items() if v is not ours[key].default})


def _plain(values: Any, kinds: str) -> np.ndarray | None:
    """Return `values` as an array of one of the kinds of dtypes, or None where scikit-learn should look at them."""
    if isinstance(values, np.ndarray):
        if isinstance(values, (np.matrix, np.ma.MaskedArray)):
            return None
    elif hasattr(values, "to_numpy") and hasattr(values, "index"):
        values = values.to_numpy()
    elif not isinstance(values, (list, tuple)) or sklearn.get_config()["array_api_dispatch"]:
        return None
    try:
        array = np.asarray(values)
    except ValueError:
        return None
    return array if array.dtype.kind in kinds and array.dtype.isnative else None


def _floats(values: Any) -> np.ndarray | None:
    """Return `values` as a float32 or float64 array; integers become float64."""
    array = _plain(values, "fiub")
    if array is None or array.size == 0 or array.dtype.char in "eg":
        return None
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _usual_weights(sample_weight: Any, n: int) -> np.ndarray | None:
    """Return weights that mean nothing unusual, or None: finite, none negative, some positive."""
    w = _plain(sample_weight, "fiu")
    if w is None or w.shape != (n,) or not (w.min() >= 0 and 0 < w.sum(dtype=np.float64) < np.inf):
        return None
    return w.astype(np.float64, copy=False)


# ------------------------------------------------------------------------------------------------------- class labels


def _codes(y_true: Any, labels: Any, n_classes: int) -> np.ndarray | None:
    """
    Return the position of each label among the sorted classes, or None if they are not `n_classes` usual classes.

    Integers that are their own positions are not copied.
    """
    y = _plain(y_true, "iubfUO")
    # Some versions of scikit-learn warn of classes that are nearly as many as rows.
    if y is None or y.ndim != 1 or not 2 <= n_classes <= y.size // 2:
        return None
    if y.dtype.kind in "biu":
        y = y.view(np.uint8) if y.dtype.kind == "b" else y
        if labels is None or _counts_up(labels, n_classes):
            if y.min() < 0 or y.max() >= n_classes:
                return None if labels is not None else _looked_up(y, None, n_classes)
            seen = np.zeros(n_classes, bool)
            seen[y] = True
            return y if labels is not None or seen.all() else None
    elif y.dtype.kind == "f":
        # inf equals itself rounded down, too.
        if not (np.isfinite(y).all() and np.array_equal(y, np.floor(y))):
            return None
    elif y.dtype.kind == "O" and not all(isinstance(label, str) for label in y):
        return None
    return _looked_up(y, labels, n_classes)


def _counts_up(labels: Any, n_classes: int) -> bool:
    array = _plain(labels, "iu")
    return array is not None and np.array_equal(array, np.arange(n_classes))


def _looked_up(y: np.ndarray, labels: Any, n_classes: int) -> np.ndarray | None:
    found, codes = np.unique(y, return_inverse=True)
    if labels is not None:
        classes = _plain(labels, "iubfUO")
        if classes is None or (classes.dtype.kind in "UO") != (y.dtype.kind in "UO"):
            return None
        if len(classes) != n_classes or not np.array_equal(np.unique(classes), classes):
            return None
        if not np.isin(found, classes).all():
            return None
        return np.searchsorted(classes, found)[codes]
    return codes if len(found) == n_classes else None


# -------------------------------------------------------------------------------------------------------------- blocks


def _over_blocks(part: Callable[[slice], Any], n_rows: int, n_columns: int) -> list[Any]:
    """Return `part` of each block of rows, in their order: the results do not depend on the number of threads."""
    size = max(1, BLOCK // n_columns)
    blocks: Iterator[slice] = (slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size))
    n_threads = get_num_threads() if n_rows * n_columns >= ENOUGH_FOR_THREADS else 1
    if n_threads == 1:
        return [part(block) for block in blocks]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(part, blocks))


Rows = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _sum_of_rows(
    rows: Rows, p: np.ndarray, codes: np.ndarray, w: np.ndarray | None, both: bool = False
) -> float | None:
    """
    Return the weighted sum of `rows(probabilities, codes)`, or None if the probabilities are not such.

    One pass: each block is checked and used while it is in cache. With `both`, `p` holds the probabilities of the
    second of two classes.
    """
    tolerance = math.sqrt(np.finfo(p.dtype).eps)

    def part(block: slice) -> float | None:
        q = p[block]
        with np.errstate(all="ignore"):
            if not _within_0_and_1(q):
                return None
            if both:
                q = np.stack([1 - q, q], axis=1)
            else:
                sums = np.einsum("ij->i", q) if q.shape[1] < FEW_COLUMNS else q.sum(axis=1)
                if not (sums.min() >= 1 - tolerance and sums.max() <= 1 + tolerance):
                    return None
            values = rows(q, codes[block])
            return float(values.sum(dtype=np.float64) if w is None else values @ w[block])

    found = _over_blocks(part, len(p), 2 if both else p.shape[1])
    return None if None in found else math.fsum(found)


def _within_0_and_1(q: np.ndarray) -> bool:
    """Whether all elements are; nan is not."""
    # Read as integers, floats from 0 to 1 are in their order, and all others beyond: one pass instead of two.
    integers: Any = np.dtype(f"u{q.itemsize}")
    if q.view(integers).max() <= np.ones(1, q.dtype).view(integers)[0]:
        return True
    # -0.0 looks larger.
    return bool(q.min() >= 0 and q.max() <= 1)


def _chosen(q: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return q[i, codes[i]]."""
    if not q.flags.c_contiguous:
        return q[np.arange(len(q)), codes]
    positions = np.arange(0, q.size, q.shape[1])
    return q.reshape(-1).take(np.add(positions, codes, out=positions, casting="unsafe"))


def _log_losses(q: np.ndarray, codes: np.ndarray) -> np.ndarray:
    eps = np.finfo(q.dtype).eps
    return -np.log(np.clip(_chosen(q, codes), eps, 1 - eps))


def _brier_scores(q: np.ndarray, codes: np.ndarray) -> np.ndarray:
    distance = q.copy()
    distance[np.arange(len(q)), codes] -= 1
    return np.einsum("ij,ij->i", distance, distance)


class _Usual:
    """Probabilities of classes, codes of the labels and weights, all of them as they usually are."""

    def __init__(self, p: np.ndarray, codes: np.ndarray, w: np.ndarray | None, n_classes: int) -> None:
        self.p, self.codes, self.w, self.n_classes = p, codes, w, n_classes

    @classmethod
    def of(cls, y_true: Any, y_proba: Any, sample_weight: Any, labels: Any) -> _Usual | None:
        """Look at the arguments, and return None if something about them is not usual."""
        p = _floats(y_proba)
        if p is None or p.ndim not in (1, 2):
            return None
        if p.ndim == 2 and p.shape[1] == 1:
            p = p[:, 0]
        n_classes = 2 if p.ndim == 1 else p.shape[1]
        w = None
        if sample_weight is not None:
            w = _usual_weights(sample_weight, len(p))
            if w is None:
                return None
        codes = _codes(y_true, labels, n_classes)
        if codes is None or len(codes) != len(p):
            return None
        return cls(p, codes, w, n_classes)

    def sum(self, rows: Rows) -> float | None:
        return _sum_of_rows(rows, self.p, self.codes, self.w, both=self.p.ndim == 1)

    @property
    def weight(self) -> float:
        return float(len(self.codes)) if self.w is None else float(self.w.sum())

    @property
    def shares(self) -> np.ndarray:
        """The weighted proportions of the classes."""
        return np.bincount(self.codes, self.w, self.n_classes) / self.weight


def log_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike | None = None,
    *,
    normalize: bool = True,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    y_pred: Any = "deprecated",
) -> float:
    """
    Return the log loss, the cross-entropy of probabilities, as `sklearn.metrics.log_loss` does.

    It is sum_i w_i (-log p_i) / sum_i w_i, where p_i is the probability given to the true class of row i, clipped to
    [eps, 1 - eps] for the eps of its dtype.

    Parameters
    ----------
    y_true : array_like of shape (n,)
        Class labels, numbers or strings.
    y_proba : array_like of shape (n, K) or (n,)
        Probabilities, the classes in the order of their sorted labels; or those of the second class of two.
    normalize : bool, default True
        Whether to divide by the sum of the weights.
    sample_weight : array_like of shape (n,), optional
    labels : array_like of shape (K,), optional
        All classes; needed if `y_true` lacks some of them.
    y_pred : array_like
        The former name of `y_proba`, deprecated in scikit-learn 1.9.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    Notes
    -----
    scikit-learn makes a one-hot table of the labels and several others of its size. Here blocks of rows are checked and
    used in one pass over `y_proba`; memory grows with n at most (labels that are not 0 to K - 1), not with n K. The
    sums run in another order, so the last digits may differ: by 1e-15 of the result in float64. float32 probabilities
    are added up in float64.

    To score logits, use `loss_scorer` or ``fl.cross_entropy(logits, y)``, which do not go through probabilities.

    Examples
    --------
    >>> from fastloss.sklearn import log_loss
    >>> round(log_loss(["spam", "ham", "ham", "spam"], [[0.1, 0.9], [0.9, 0.1], [0.8, 0.2], [0.35, 0.65]]), 5)
    0.21616
    """
    usual = None
    if isinstance(y_pred, str) and y_pred == "deprecated" and isinstance(normalize, bool):
        usual = _Usual.of(y_true, y_proba, sample_weight, labels)
    total = None if usual is None else usual.sum(_log_losses)
    if usual is None or total is None:
        options = {"normalize": normalize, "sample_weight": sample_weight, "labels": labels, "y_pred": y_pred}
        return _theirs("log_loss", y_true, *([] if y_proba is None else [y_proba]), **options)
    return total / usual.weight if normalize else total


def _usual_brier(y_true: Any, y_proba: Any, sample_weight: Any, pos_label: Any, labels: Any) -> _Usual | None:
    """The same for Brier scores, which read the probabilities of one class with `pos_label` instead of `labels`."""
    if np.ndim(y_proba) == 1 or np.shape(y_proba)[1:] == (1,):
        # scikit-learn takes the greater of two numbers as the positive label, and nothing for granted with strings.
        if pos_label is not None or _plain(y_true, "iubf") is None:
            return None
        labels = None
    return _Usual.of(y_true, y_proba, sample_weight, labels)


def brier_score_loss(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: float | bool | str | None = None,
    labels: ArrayLike | None = None,
    scale_by_half: bool | str = "auto",
) -> float:
    """
    Return the Brier score of probabilities, as `sklearn.metrics.brier_score_loss` does.

    It is sum_i w_i sum_k (p_ik - [k = y_i])^2 / sum_i w_i, and half of it for two classes.

    Parameters
    ----------
    y_true : array_like of shape (n,)
        Class labels, numbers or strings.
    y_proba : array_like of shape (n, K) or (n,)
        Probabilities, the classes in the order of their sorted labels; or those of the positive class.
    sample_weight : array_like of shape (n,), optional
    pos_label : label, optional
        The positive class, for probabilities of shape (n,). By default the greater of two numbers.
    labels : array_like of shape (K,), optional
        All classes, for probabilities of shape (n, K).
    scale_by_half : bool or "auto", default "auto"
        Whether to halve the score; "auto" does with two classes.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    See Also
    --------
    log_loss : what is said there about memory and digits holds here.

    Examples
    --------
    >>> from fastloss.sklearn import brier_score_loss
    >>> round(brier_score_loss([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]), 12)
    0.0375
    """
    usual = None
    if isinstance(scale_by_half, bool) or (isinstance(scale_by_half, str) and scale_by_half == "auto"):
        usual = _usual_brier(y_true, y_proba, sample_weight, pos_label, labels)
    total = None if usual is None else usual.sum(_brier_scores)
    if usual is None or total is None:
        options = {"pos_label": pos_label, "labels": labels, "scale_by_half": scale_by_half}
        return _theirs("brier_score_loss", y_true, y_proba, sample_weight=sample_weight, **options)
    if scale_by_half == "auto":
        scale_by_half = usual.n_classes < 3
    return total / usual.weight * (0.5 if scale_by_half else 1.0)


def d2_log_loss_score(
    y_true: ArrayLike,
    y_proba: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    y_pred: Any = "deprecated",
) -> float:
    """
    Return the share of the log loss that is explained, as `sklearn.metrics.d2_log_loss_score` does.

    It is 1 - log_loss(y, p) / log_loss(y, shares), where every row is given the weighted shares of the classes.

    Parameters
    ----------
    y_true : array_like of shape (n,)
        Class labels, numbers or strings.
    y_proba : array_like of shape (n, K) or (n,)
        Probabilities, the classes in the order of their sorted labels; or those of the second class of two.
    sample_weight : array_like of shape (n,), optional
    labels : array_like of shape (K,), optional
        All classes; needed if `y_true` lacks some of them.
    y_pred : array_like
        The former name of `y_proba`, deprecated in scikit-learn 1.9.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    Examples
    --------
    >>> from fastloss.sklearn import d2_log_loss_score
    >>> d2_log_loss_score([0, 0, 1, 1, 1, 0], [0.5] * 6)
    0.0
    """
    usual = None
    if isinstance(y_pred, str) and y_pred == "deprecated":
        usual = _Usual.of(y_true, y_proba, sample_weight, labels)
    total = None if usual is None else usual.sum(_log_losses)
    if usual is None or total is None:
        options = {"sample_weight": sample_weight, "labels": labels, "y_pred": y_pred}
        return _theirs("d2_log_loss_score", y_true, *([] if y_proba is None else [y_proba]), **options)
    shares = usual.shares
    eps = np.finfo(shares.dtype).eps
    of_shares = -float(shares @ np.log(np.clip(shares, eps, 1 - eps)))
    return 1 - total / usual.weight / of_shares


def d2_brier_score(
    y_true: ArrayLike,
    y_proba: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: float | bool | str | None = None,
    labels: ArrayLike | None = None,
) -> float:
    """
    Return the share of the Brier score that is explained (the skill score), as `sklearn.metrics.d2_brier_score` does.

    It is 1 - brier_score_loss(y, p) / brier_score_loss(y, shares), where every row is given the weighted shares of the
    classes.

    Parameters
    ----------
    y_true, y_proba, sample_weight, pos_label, labels
        As in `brier_score_loss`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    Examples
    --------
    >>> from fastloss.sklearn import d2_brier_score
    >>> d2_brier_score([0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5])
    0.0
    """
    usual = _usual_brier(y_true, y_proba, sample_weight, pos_label, labels)
    total = None if usual is None else usual.sum(_brier_scores)
    if usual is None or total is None:
        options = {"sample_weight": sample_weight, "pos_label": pos_label, "labels": labels}
        return _theirs("d2_brier_score", y_true, y_proba, **options)
    shares = usual.shares
    return 1 - total / usual.weight / float(shares @ (1 - shares))


def hinge_loss(
    y_true: ArrayLike,
    pred_decision: ArrayLike,
    *,
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """
    Return the mean hinge loss of decisions, as `sklearn.metrics.hinge_loss` does.

    For two classes it is the mean of max(0, 1 - d) where the greater label is true and max(0, 1 + d) elsewhere
    (`fastloss.Hinge`), for more that of Crammer and Singer (`fastloss.MulticlassHinge`).

    Parameters
    ----------
    y_true : array_like of shape (n,)
        Class labels.
    pred_decision : array_like of shape (n,) or (n, K)
        What a decision_function returns.
    labels : array_like of shape (K,), optional
        All classes; needed if `y_true` lacks some of more than two.
    sample_weight : array_like of shape (n,), optional

    Returns
    -------
    float

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    Examples
    --------
    >>> from fastloss.sklearn import hinge_loss
    >>> hinge_loss([-1, 1, 1], [-2.5, 0.5, 0.25])
    0.4166666666666667
    """
    z = _floats(pred_decision)
    # With one score labels say how many classes there are, not which is the greater.
    if z is not None and ((z.ndim == 1 and labels is None) or (z.ndim == 2 and z.shape[1] > 2)):
        codes = _codes(y_true, labels, 2 if z.ndim == 1 else z.shape[1])
        if codes is not None:
            value = _mean_of_loss(Hinge() if z.ndim == 1 else MulticlassHinge(), z, codes, sample_weight)
            if value is not None:
                return value
    return metrics.hinge_loss(y_true, pred_decision, labels=labels, sample_weight=sample_weight)


# ---------------------------------------------------------------------------------------------------------- regression


def _mean_of_loss(loss: Any, z: np.ndarray, target: np.ndarray, sample_weight: Any) -> float | None:
    """Return the mean of a loss, or None if scikit-learn should look at the arguments: then it is not finite."""
    w = None
    if sample_weight is not None:
        w = _usual_weights(sample_weight, len(z))
        if w is None:
            return None
    value = loss(z, target, sample_weight=w) if len(target) == len(z) else math.nan
    return value if math.isfinite(value) else None


def _pair(y_true: Any, y_pred: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Return targets and predictions of shape (n,) in their common dtype, or None."""
    target, z = _floats(y_true), _floats(y_pred)
    if target is None or z is None or z.ndim != 1 or target.shape != z.shape:
        return None
    dtype = np.result_type(target, z)
    return target.astype(dtype, copy=False), z.astype(dtype, copy=False)


def _mean_error(name: str, loss: Loss | None, y_true: Any, y_pred: Any, options: dict[str, Any]) -> Any:
    """Return the mean of a loss of the residuals, or what scikit-learn says."""
    pair = None
    if loss is not None and isinstance(options["multioutput"], str) and options["multioutput"] == "uniform_average":
        pair = _pair(y_true, y_pred)
    value = None if pair is None else _mean_of_loss(loss, pair[1], pair[0], options["sample_weight"])
    return _theirs(name, y_true, y_pred, **options) if value is None else value


def mean_squared_error(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: str | ArrayLike = "uniform_average",
) -> Any:
    """
    Return the mean of (y_true - y_pred)^2, as `sklearn.metrics.mean_squared_error` does.

    Parameters
    ----------
    y_true, y_pred : array_like of shape (n,) or (n, n_outputs)
        Arrays of one output are computed by `fastloss.SquaredError`, others by scikit-learn.
    sample_weight : array_like of shape (n,), optional
    multioutput : {"raw_values", "uniform_average"} or array_like of shape (n_outputs,), default "uniform_average"

    Returns
    -------
    float, or ndarray of floats for "raw_values"

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    Examples
    --------
    >>> from fastloss.sklearn import mean_squared_error
    >>> mean_squared_error([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
    0.375
    """
    options = {"sample_weight": sample_weight, "multioutput": multioutput}
    return _mean_error("mean_squared_error", SquaredError(), y_true, y_pred, options)


def mean_absolute_error(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    multioutput: str | ArrayLike = "uniform_average",
) -> Any:
    """
    Return the mean of abs(y_true - y_pred), as `sklearn.metrics.mean_absolute_error` does.

    Parameters
    ----------
    y_true, y_pred : array_like of shape (n,) or (n, n_outputs)
        Arrays of one output are computed by `fastloss.AbsoluteError`, others by scikit-learn.
    sample_weight : array_like of shape (n,), optional
    multioutput : {"raw_values", "uniform_average"} or array_like of shape (n_outputs,), default "uniform_average"

    Returns
    -------
    float, or ndarray of floats for "raw_values"

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    Examples
    --------
    >>> from fastloss.sklearn import mean_absolute_error
    >>> mean_absolute_error([3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0])
    0.5
    """
    options = {"sample_weight": sample_weight, "multioutput": multioutput}
    return _mean_error("mean_absolute_error", AbsoluteError(), y_true, y_pred, options)


def mean_pinball_loss(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    alpha: float = 0.5,
    multioutput: str | ArrayLike = "uniform_average",
) -> Any:
    """
    Return the mean of max(alpha r, (alpha - 1) r), r = y_true - y_pred, as `sklearn.metrics.mean_pinball_loss` does.

    Parameters
    ----------
    y_true, y_pred : array_like of shape (n,) or (n, n_outputs)
        Arrays of one output are computed by `fastloss.Quantile`, others by scikit-learn.
    sample_weight : array_like of shape (n,), optional
    alpha : float, default 0.5
        The quantile that minimises it.
    multioutput : {"raw_values", "uniform_average"} or array_like of shape (n_outputs,), default "uniform_average"

    Returns
    -------
    float, or ndarray of floats for "raw_values"

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    Examples
    --------
    >>> from fastloss.sklearn import mean_pinball_loss
    >>> round(mean_pinball_loss([1, 2, 3], [0, 2, 3], alpha=0.1), 12)
    0.033333333333
    """
    options = {"sample_weight": sample_weight, "alpha": alpha, "multioutput": multioutput}
    loss = Quantile(q=alpha) if isinstance(alpha, float) and 0.0 < alpha < 1.0 else None
    return _mean_error("mean_pinball_loss", loss, y_true, y_pred, options)


def _unit_deviance(t: np.ndarray, mean: np.ndarray, p: float) -> np.ndarray:
    if p == 1:
        return 2 * (xlogy(t, t / mean) - t + mean)
    if p == 2:
        return 2 * (np.log(mean / t) + t / mean - 1)
    constant = np.power(t, 2 - p) / ((1 - p) * (2 - p))
    return 2 * (constant - t * np.power(mean, 1 - p) / (1 - p) + np.power(mean, 2 - p) / (2 - p))


def _mean_deviance(y_true: Any, y_pred: Any, sample_weight: Any, p: float) -> float | None:
    """Return the mean of the unit deviance, or None if scikit-learn should look at the arguments."""
    pair = _pair(y_true, y_pred)
    if pair is None:
        return None
    t, mean = pair
    w = None
    if sample_weight is not None:
        w = _usual_weights(sample_weight, len(t))
        if w is None:
            return None

    def part(block: slice) -> float:
        with np.errstate(all="ignore"):
            # A target of 0 where there must be none gives infinity.
            if not (t[block].min() >= 0 and mean[block].min() > 0):
                return math.nan
            deviance = _unit_deviance(t[block], mean[block], p)
            return float(deviance.sum(dtype=np.float64) if w is None else deviance @ w[block])

    parts = _over_blocks(part, len(t), 1)
    # fsum raises where inf meets -inf.
    total = math.fsum(parts) if all(map(math.isfinite, parts)) else math.nan
    return total / (len(t) if w is None else float(w.sum())) if math.isfinite(total) else None


def mean_poisson_deviance(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """
    Return the mean Poisson deviance of predicted means, as `sklearn.metrics.mean_poisson_deviance` does.

    It is the mean of 2 (t log(t / m) - t + m): twice what `fastloss.Poisson` at log(m) exceeds that at log(t).

    Parameters
    ----------
    y_true, y_pred : array_like of shape (n,)
        Targets t >= 0 and means m > 0.
    sample_weight : array_like of shape (n,), optional

    Returns
    -------
    float

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    Examples
    --------
    >>> from fastloss.sklearn import mean_poisson_deviance
    >>> round(mean_poisson_deviance([2, 0, 1, 4], [0.5, 0.5, 2.0, 2.0]), 9)
    1.426015132
    """
    value = _mean_deviance(y_true, y_pred, sample_weight, 1)
    return metrics.mean_poisson_deviance(y_true, y_pred, sample_weight=sample_weight) if value is None else value


def mean_gamma_deviance(y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None) -> float:
    """
    Return the mean gamma deviance of predicted means, as `sklearn.metrics.mean_gamma_deviance` does.

    It is the mean of 2 (log(m / t) + t / m - 1): twice what `fastloss.Gamma` at log(m) exceeds that at log(t).

    Parameters
    ----------
    y_true, y_pred : array_like of shape (n,)
        Targets t > 0 and means m > 0.
    sample_weight : array_like of shape (n,), optional

    Returns
    -------
    float

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    Examples
    --------
    >>> from fastloss.sklearn import mean_gamma_deviance
    >>> round(mean_gamma_deviance([2, 0.5, 1, 4], [0.5, 0.5, 2.0, 2.0]), 9)
    1.056852819
    """
    value = _mean_deviance(y_true, y_pred, sample_weight, 2)
    return metrics.mean_gamma_deviance(y_true, y_pred, sample_weight=sample_weight) if value is None else value


def mean_tweedie_deviance(
    y_true: ArrayLike, y_pred: ArrayLike, *, sample_weight: ArrayLike | None = None, power: float = 0
) -> float:
    """
    Return the mean Tweedie deviance of predicted means, as `sklearn.metrics.mean_tweedie_deviance` does.

    For powers in (1, 2) it is twice the mean of what `fastloss.Tweedie` at log(y_pred) exceeds that at log(y_true).

    Parameters
    ----------
    y_true, y_pred : array_like of shape (n,)
    sample_weight : array_like of shape (n,), optional
    power : float, default 0
        Powers in [1, 2] are computed here, others by scikit-learn.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        And every other error and warning of scikit-learn, from itself.

    Examples
    --------
    >>> from fastloss.sklearn import mean_tweedie_deviance
    >>> round(mean_tweedie_deviance([2, 0, 1, 4], [0.5, 0.5, 2.0, 2.0], power=1), 9)
    1.426015132
    """
    is_number = isinstance(power, (int, float)) and not isinstance(power, bool)
    value = _mean_deviance(y_true, y_pred, sample_weight, power) if is_number and 1 <= power <= 2 else None
    if value is None:
        return metrics.mean_tweedie_deviance(y_true, y_pred, sample_weight=sample_weight, power=power)
    return value
