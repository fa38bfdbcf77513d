"""Cross-entropy of a linear layer with many classes: the logits pass through one block of rows at a time."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call, _parameters
from ._kernels import get_num_threads
from ._threads import num_threads
from .multiclass import CrossEntropy, Focal
from .rowwise import sigmoid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

__all__ = ["linear_cross_entropy", "linear_cross_entropy_value_and_gradient"]

# A block reads the whole weight twice and its gradient once, so it needs enough rows that arithmetic and not memory
# takes the time; few classes get a block that stays in cache. These follow from shapes alone, and so do the results.
BLOCK_BYTES = 4 << 20
BLOCK_ROWS = 512
MAX_BLOCK_BYTES = 56 << 20
# The products go through the classes in parts, of which the weights take so many bytes.
PART_BYTES = 4 << 20
# What a block adds to the weights' gradient is computed for so many bytes at a time, which stay in cache.
SUM_BYTES = 1 << 20
# So many bytes of rows have their loss at a time, in cache, where all their classes lie together.
ROW_BYTES = 1 << 20
# A softmax takes about as long as a few products per logit. With so many features for each thread it is less than a
# tenth of the work, and more than one thread would only be in the way of those of BLAS, which spin between products.
FEATURES_PER_THREAD = 64


def linear_cross_entropy(
    x: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    class_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    gamma: float = 0.0,
    softcap: float | None = None,
    reduction: str = "mean",
) -> Any:
    """
    Cross-entropy of the logits of a linear layer, ``x @ weight.T + bias``, which never exist as a whole.

    For row i with class index y_i:

        z_ik = sum_j x_ij weight_kj + bias_k
        value_i = -log softmax(z_i)_{y_i}

    `CrossEntropy` and, with `gamma`, `Focal` have the formulas with all options.

    Parameters
    ----------
    x : array_like of shape (n, d)
        The features of each row.
    weight : array_like of shape (K, d)
        The weights of each class, as in ``torch.nn.Linear``.
    target : array_like of shape (n,)
        Class indices.
    bias : array_like of shape (K,), optional
        One number per class.
    sample_weight : array_like of shape (n,), optional
        Finite and >= 0. A row of weight 0 counts nowhere.
    class_weight : array_like of shape (K,), optional
        A weight for each class; finite and >= 0.
    label_smoothing : float, default 0.0
        The share of the target that is spread evenly over all classes; in [0, 1].
    ignore_index : int, optional
        Rows with this index as target count nowhere, and cost nothing.
    gamma : float, default 0.0
        That of the focal loss, which takes the place of the cross-entropy if it is > 0; finite and >= 0.
    softcap : float, optional
        A bound c of the logits, which are ``c tanh(z / c)`` then; finite and > 0. What the bias masks with -inf has
        the logit -c.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l, where w is the sample weight times the class weight.

    Returns
    -------
    float or ndarray
        One number per row, in the dtype of `x`, under "none".

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or a parameter not of its type.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range. All is checked before work starts.

    See Also
    --------
    linear_cross_entropy_value_and_gradient : the same with gradients, and how it is done.
    cross_entropy : for logits that exist.

    Examples
    --------
    >>> import fastloss as fl
    >>> x, weight = [[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [2.0, -1.0], [0.0, 0.0]]
    >>> values = fl.linear_cross_entropy(x, weight, [0, 1], reduction="none")
    >>> [round(value, 12) for value in values.tolist()]
    [1.098612288668, 0.239544766222]
    """
    options = (sample_weight, class_weight, label_smoothing, ignore_index, gamma, softcap)
    value, _ = _evaluate(x, weight, target, bias, *options, reduction, with_gradient=False)
    return value


def linear_cross_entropy_value_and_gradient(
    x: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    class_weight: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    ignore_index: int | None = None,
    gamma: float = 0.0,
    softcap: float | None = None,
    reduction: str = "mean",
) -> tuple[Any, tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    """
    Value and gradients of `linear_cross_entropy` with respect to `x`, `weight` and `bias`, in one pass.

    With G the derivative of the reduced value by z, of shape (n, K):

        grad_x = G weight
        grad_weight = G^T x
        grad_bias = sum_i G_i

    Parameters
    ----------
    x : array_like of shape (n, d)
        The features of each row.
    weight : array_like of shape (K, d)
        The weights of each class, as in ``torch.nn.Linear``.
    target : array_like of shape (n,)
        Class indices.
    bias : array_like of shape (K,), optional
        One number per class.
    sample_weight : array_like of shape (n,), optional
        Finite and >= 0. A row of weight 0 counts nowhere.
    class_weight : array_like of shape (K,), optional
        A weight for each class; finite and >= 0.
    label_smoothing : float, default 0.0
        The share of the target that is spread evenly over all classes; in [0, 1].
    ignore_index : int, optional
        Rows with this index as target count nowhere, and cost nothing.
    gamma : float, default 0.0
        That of the focal loss, which takes the place of the cross-entropy if it is > 0; finite and >= 0.
    softcap : float, optional
        A bound c of the logits, which are ``c tanh(z / c)`` then; finite and > 0. What the bias masks with -inf has
        the logit -c.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the array w l, where w is the sample weight times the class weight. The
        gradients under "none" are those of the sum.

    Returns
    -------
    value : float or ndarray
        One number per row, in the dtype of `x`, under "none".
    gradients : tuple
        ``(grad_x, grad_weight, grad_bias)``, each in the shape and dtype of its argument (float64 for integers);
        ``grad_bias`` is None if `bias` is.

    Raises
    ------
    TypeError
        If an argument is not an array of real numbers, or a parameter not of its type.
    ValueError
        If shapes do not fit, or an element or parameter is out of its range. All is checked before work starts.

    See Also
    --------
    linear_cross_entropy : the value alone.
    CrossEntropy : for logits that exist, and for probabilities as target.

    Notes
    -----
    **Memory.** Besides the results at most 64 MB for up to 250,000 classes and 1024 features: the logits of a block of
    rows (512 rows or 4 MB, whichever is more, but no more than 56 MB, or one row), two parts of `weight` or its
    gradient (5 MB, or one row), 1 MB of rows (or one, with `softcap` three) that have their loss, the features of a
    block three times, and a few numbers per row. The first block may have as many rows as there are features, 4 MB of
    them: its logits, and then their gradient, lie where the weights' gradient will be. `weight` is copied by parts
    where it is not of the dtype of the computation, or in neither C nor F order. The gradient of a float16 or bfloat16
    `weight` is added up in float32 before it is rounded.

    **dtypes.** All is computed in float64 if `x`, `weight` or `bias` is float64 or of integers, else in float32:
    float16 and bfloat16 are read as float32, and their gradients are rounded once, at the end.

    **Accuracy.** The value is summed in double precision. ``grad_weight`` is added up over the blocks in the dtype of
    the computation, after sums over the rows of a block, which BLAS takes; ``grad_x`` over the parts of the classes. So
    for float32 their errors are about those of one matrix product of the same size. ``grad_bias`` is added up over the
    blocks in double precision.

    **Threads.** The products use the threads of NumPy's BLAS. The softmax uses fastloss's, or only one where it is a
    small part of the work (d >= 64 per thread). The results are the same bits for the same BLAS, shapes and memory
    orders, if BLAS itself repeats its bits; with another number of BLAS threads it may not.

    References
    ----------
    E. Wijmans et al., "Cut your losses in large-vocabulary language models", https://arxiv.org/abs/2411.09009

    P.-L. Hsu et al., "Liger Kernel: efficient Triton kernels for LLM training", https://arxiv.org/abs/2410.10989

    Gemma Team, "Gemma 2: improving open language models at a practical size", https://arxiv.org/abs/2408.00118, for
    `softcap`.

    Examples
    --------
    >>> import fastloss as fl
    >>> x, weight = [[1.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]
    >>> value, (grad_x, grad_weight, grad_bias) = fl.linear_cross_entropy_value_and_gradient(x, weight, [0])
    >>> round(value, 12)
    0.69314718056
    >>> grad_weight
    array([[-0.5, -1. ],
           [ 0.5,  1. ]])
    >>> grad_bias is None
    True
    """
    options = (sample_weight, class_weight, label_smoothing, ignore_index, gamma, softcap)
    value, gradients = _evaluate(x, weight, target, bias, *options, reduction, with_gradient=True)
    return value, gradients


def _evaluate(
    x: ArrayLike,
    weight: ArrayLike,
    target: ArrayLike,
    bias: ArrayLike | None,
    sample_weight: ArrayLike | None,
    class_weight: ArrayLike | None,
    label_smoothing: float,
    ignore_index: int | None,
    gamma: float,
    softcap: float | None,
    reduction: str,
    with_gradient: bool,
) -> Any:
    _call.check_choice("reduction", reduction, _call.REDUCTIONS)
    gamma = _parameters.real("gamma", gamma, ">= 0")
    cap = None if softcap is None else _parameters.real("softcap", softcap, "> 0")
    options = CrossEntropy(class_weight, label_smoothing, ignore_index).parameters
    features, weights, biases = _matrices(x, weight, bias)
    n_rows, n_classes = len(features), len(weights)
    w, t, of_class = _checked_rows(target, sample_weight, options, n_rows, n_classes)
    smoothing = options["label_smoothing"]

    if reduction == "mean":
        # Their common scale drops out; here and now, before it can leave the range of float32.
        w, of_class = (each if each is None else _call.near_one(each) for each in (w, of_class))
    counts = np.ones(n_rows, bool) if w is None else w != 0
    if ignore_index is not None:
        counts &= t != ignore_index
    t = np.where(counts, t, 0).astype(np.intp)
    row_weight = counts.astype(np.float64) if w is None else np.where(counts, w, 0.0)
    if of_class is not None and n_classes:
        row_weight *= of_class[t]
        if smoothing == 0.0:
            counts &= row_weight != 0
    # Products with rows that do not count would bring a nan that is there into all others.
    rows = None if counts.all() else np.flatnonzero(counts)
    if rows is not None:
        t, w = t[rows], None if w is None else w[rows]
    divisor = 1.0 if reduction != "mean" else float(np.sum(row_weight))
    loss = Focal(gamma, of_class, smoothing) if gamma else CrossEntropy(of_class, smoothing)
    sums = _Blocks(features, weights, biases, rows, cap, None if divisor == 0 else 1 / divisor, with_gradient)
    # A small share of the time, or else as any other large call.
    one_thread = features.shape[1] >= FEATURES_PER_THREAD * get_num_threads()
    # nan and inf among the logits are no more worth a warning than they are in `cross_entropy`.
    with num_threads(1) if one_thread else contextlib.nullcontext(), np.errstate(all="ignore"):
        value = sums.run(loss, t, w, "none" if reduction == "none" else "sum")
        gradients = sums.gradients()
    if reduction == "mean":
        if divisor == 0:
            _call.warn_mean_of_nothing()
        value = math.nan if divisor == 0 else value / divisor
    return value, gradients


class _Blocks:
    """
    The sums over blocks of rows, of which only one has its logits at a time.

    Logits and weights go through the products in parts of the classes: `logits[k]` are those of part k, an array of its
    own without gaps, so that those of the first block can lie where the weights' gradient of that part will be.
    """

    def __init__(
        self,
        x: np.ndarray,
        weight: np.ndarray,
        bias: np.ndarray | None,
        rows: np.ndarray | None,
        cap: float | None,
        scale: float | None,
        with_gradient: bool,
    ) -> None:
        """`rows`: those that count, None for all. `scale`: the factor of gradients, None where nothing counts."""
        self.x, self.weight, self.rows, self.cap, self.scale = x, weight, rows, cap, scale
        arrays = (x, weight) if bias is None else (x, weight, bias)
        self.dtype = np.dtype(np.float64 if any(array.dtype.char == "d" for array in arrays) else np.float32)
        self.bias = None if bias is None else bias.astype(self.dtype, copy=False)
        self.dtypes = [array.dtype.newbyteorder("=") for array in arrays]
        self.with_gradient = with_gradient
        n_classes, n_features = weight.shape
        step = max(1, PART_BYTES // max(1, n_features * self.dtype.itemsize))
        self.parts = [slice(first, min(first + step, n_classes)) for first in range(0, n_classes, step)]
        if with_gradient:
            self.grad_x = np.zeros(x.shape, self.dtypes[0])
            self.grad_weight = np.empty(weight.shape, self.dtype)
            self.grad_bias = np.zeros(n_classes)
            self.is_first = True

    def run(self, loss: Any, t: np.ndarray, w: np.ndarray | None, reduction: str) -> Any:
        """Return the sum of the values, or the values, and leave the gradients' sums behind."""
        n_classes, n_features = self.weight.shape
        size = _rows_of_block(n_classes, self.dtype.itemsize)
        values = np.zeros(len(self.x), self.dtypes[0]) if reduction == "none" else None
        first_size = min(n_features, PART_BYTES // max(1, n_features * self.dtype.itemsize))
        total, start, buffer = 0.0, 0, None
        while start < len(t):
            within = self.with_gradient and start == 0 and first_size > size and self.scale is not None
            stop = min(start + (first_size if within else size), len(t))
            block: Any = slice(start, stop)
            chosen = block if self.rows is None else self.rows[block]
            x = np.require(self.x[chosen], self.dtype, ["C", "A"])
            if within:
                logits = [
                    self.grad_weight[part].reshape(-1)[: len(x) * (part.stop - part.start)].reshape(len(x), -1)
                    for part in self.parts
                ]
            else:
                if buffer is None:
                    buffer = np.empty(min(size, len(t) - start) * n_classes, self.dtype)
                logits = [buffer[len(x) * part.start : len(x) * part.stop].reshape(len(x), -1) for part in self.parts]
            for part, each in zip(self.parts, logits, strict=True):
                np.matmul(x, _for_product(self.weight[part], self.dtype).T, out=each)
                if self.bias is not None:
                    each += self.bias[part]
            for rows, value in self.losses(loss, logits, t[block], None if w is None else w[block], reduction):
                at = slice(start + rows.start, start + rows.stop)
                if values is None:
                    total += value
                else:
                    values[at if self.rows is None else self.rows[at]] = value
            if self.with_gradient and self.scale is not None:
                self.add_gradients(logits, x, chosen, within)
            start = stop
        return total if values is None else values

    def losses(
        self, loss: Any, logits: list[np.ndarray], t: np.ndarray, w: np.ndarray | None, reduction: str
    ) -> Iterator[tuple[slice, Any]]:
        """Yield rows and their losses; the gradient takes the place of the logits."""
        n_rows, n_classes = len(t), len(self.weight)
        in_pieces = len(logits) > 1
        step = n_rows
        if in_pieces or self.cap is not None:
            step = min(n_rows, max(1, ROW_BYTES // (n_classes * self.dtype.itemsize)))
        together = np.empty((step, n_classes), self.dtype) if in_pieces else None
        slope = np.empty((step, n_classes), self.dtype) if self.cap is not None else None
        for first in range(0, n_rows, step):
            rows = slice(first, min(first + step, n_rows))
            if together is None:
                z = logits[0][rows]
            else:
                z = np.concatenate([each[rows] for each in logits], axis=1, out=together[: rows.stop - first])
            u = None
            if self.cap is not None and slope is not None:
                u = slope[: len(z)]
                _cap(z, self.cap, u)
            weights = None if w is None else w[rows]
            if not self.with_gradient:
                yield rows, loss(z, t[rows], sample_weight=weights, reduction=reduction)
                continue
            value, _ = loss.value_and_gradient(z, t[rows], sample_weight=weights, reduction=reduction, gradient_out=z)
            if u is not None:
                z *= u
            if together is not None:
                for part, each in zip(self.parts, logits, strict=True):
                    each[rows] = z[:, part]
            yield rows, value

    def add_gradients(self, gradient: list[np.ndarray], x: np.ndarray, chosen: Any, within: bool) -> None:
        """Add what a block of rows adds. `within`: its gradient by the logits lies in that of the weights."""
        scale = self.dtype.type(self.scale)
        grad_x = np.zeros(x.shape, self.dtype)
        # Scaling the few features of a block is cheaper than scaling the weights' gradient.
        scaled = x * scale
        n_added = max(1, SUM_BYTES // max(1, x.shape[1] * self.dtype.itemsize))
        for part, each in zip(self.parts, gradient, strict=True):
            grad_x += np.matmul(each, _for_product(self.weight[part], self.dtype))
            if self.bias is not None:
                self.grad_bias[part] += np.add.reduce(each, axis=0)
            if self.is_first:
                np.matmul((each.copy() if within else each).T, scaled, out=self.grad_weight[part])
            else:
                for first in range(part.start, part.stop, n_added):
                    added = slice(first, min(first + n_added, part.stop))
                    of_part = slice(added.start - part.start, added.stop - part.start)
                    self.grad_weight[added] += np.matmul(each[:, of_part].T, scaled)
        grad_x *= scale
        self.grad_x[chosen] = grad_x
        self.is_first = False

    def gradients(self) -> Any:
        if not self.with_gradient:
            return None
        if self.is_first:
            self.grad_weight[...] = 0
        grad_bias = None
        if self.bias is not None:
            self.grad_bias *= 0.0 if self.scale is None else self.scale
            grad_bias = self.grad_bias.astype(self.dtypes[2], copy=False)
        return self.grad_x, self.grad_weight.astype(self.dtypes[1], copy=False), grad_bias


def _cap(z: np.ndarray, cap: float, slope: np.ndarray) -> None:
    """
    Put c tanh(z / c) in the place of z, and its derivative into `slope`.

    The derivative is 4 s (1 - s) with s = sigmoid(-2 abs(z) / c) <= 1 / 2: 1 - tanh^2 would lose all digits at the cap.
    """
    np.abs(z, out=slope)
    slope *= z.dtype.type(-2 / cap)
    sigmoid(slope, out=slope)
    z *= z.dtype.type(1 / cap)
    np.tanh(z, out=z)
    z *= z.dtype.type(cap)
    slope -= slope * slope
    slope *= 4


def _rows_of_block(n_classes: int, itemsize: int) -> int:
    bytes_per_row = max(1, n_classes * itemsize)
    return max(BLOCK_BYTES // bytes_per_row, min(BLOCK_ROWS, MAX_BLOCK_BYTES // bytes_per_row), 1)


def _matrices(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the arrays of the layer, of shapes that fit."""
    features, weights = _call.prediction_array(x, "x"), _call.prediction_array(weight, "weight")
    if features.ndim != 2:
        raise ValueError(f"x must have shape (rows, features), got shape {features.shape}")
    if weights.ndim != 2 or weights.shape[1] != features.shape[1]:
        raise ValueError(
            f"weight must have shape (classes, features), here (classes, {features.shape[1]}) as x has shape "
            f"{features.shape}; got shape {weights.shape}"
        )
    if len(features) and not len(weights):
        raise ValueError(f"weight must have at least one class, got shape {weights.shape}")
    if bias is None:
        return features, weights, None
    biases = _call.prediction_array(bias, "bias")
    if biases.shape != weights.shape[:1]:
        raise ValueError(f"bias must hold one number per class, shape {weights.shape[:1]}; got shape {biases.shape}")
    return features, weights, biases


def _checked_rows(
    target: ArrayLike, sample_weight: ArrayLike | None, options: dict[str, Any], n_rows: int, n_classes: int
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray | None]:
    """Return sample weights, class indices and class weights, with nothing wrong in them."""
    ignore_index, of_class = options["ignore_index"], options["class_weight"]
    w = None
    if sample_weight is not None:
        w = np.array(_call.row_weights(sample_weight, (n_rows,)), np.float64)
    t = _call.operand(target, "target")
    if t.shape != (n_rows,):
        no_probabilities = "; probabilities need all logits at once: see cross_entropy" if t.ndim == 2 else ""
        raise ValueError(
            f"target must hold one class index per row, shape {(n_rows,)}; got shape {t.shape}{no_probabilities}"
        )
    if of_class is not None and len(of_class) != n_classes:
        raise ValueError(f"class_weight holds {len(of_class)} numbers, but weight has {n_classes} classes")
    if w is not None:
        bad = ~(np.isfinite(w) & (w >= 0))
        if bad.any():
            _call.raise_first("sample_weight", w, bad, "must be finite and >= 0")
    t = _call.class_indices(t, w, ignore_index, n_classes)
    bad = (t < 0) | (t >= n_classes)
    if ignore_index is not None:
        bad &= t != ignore_index
    if w is not None:
        bad &= w != 0
    if bad.any():
        _call.raise_class_index(t, bad, n_classes, ignore_index)
    return w, t, of_class


def _for_product(matrix: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the matrix as BLAS can read it: rows or columns without gaps in them. NumPy has only slow loops else."""
    matrix = np.require(matrix, dtype, ["A"])
    for each in (matrix, matrix.T):
        step, along = each.strides
        if along == matrix.itemsize and step >= each.shape[1] * along and step % matrix.itemsize == 0:
            return matrix
    return np.ascontiguousarray(matrix)
