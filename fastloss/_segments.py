"""Losses of rows that belong together: checked, sorted and cast once, called with predictions alone.

`prepare` makes of target, weights and strata or groups a `Layout`, the rows that count in the order in which the
kernels go through them (csrc/segments.h). A call without it prepares its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _arrays, _call, _complaints, _kernels, _labels
from ._strides import overlap

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

VALUE, GRADIENT, HESSIAN = _call.VALUE, _call.GRADIENT, _call.HESSIAN

# Rows of a block, unless a segment is larger: enough that starting it costs nothing.
BLOCK_ROWS = 8192


class Layout(NamedTuple):
    """
    The rows that count, in the order in which kernels go through them: fl_segments in csrc/fastloss.h.

    Attributes
    ----------
    order : ndarray of shape (n_rows,), optional
        The row of the prediction at each place; None where they stand in it as they are.
    weight, lower, upper : ndarray of shape (n_rows,), optional
        Weights, all positive, and targets.
    segment, block : ndarray
        Where each segment begins, and the first segment of each block; one more at the end.
    n_events, begins : ndarray of shape (n_segments,), optional
        How many of its rows are events; whether a stratum begins there.
    total : float
        What a mean is divided by.
    n_predictions : int
        Rows of a prediction.
    n_values : int
        How many values there are without a reduction.
    left_out : ndarray of int, optional
        Rows of the prediction that do not count.
    """

    order: np.ndarray | None
    weight: np.ndarray | None
    lower: np.ndarray | None
    upper: np.ndarray | None
    segment: np.ndarray
    block: np.ndarray
    n_events: np.ndarray | None
    begins: np.ndarray | None
    total: float
    n_predictions: int
    n_values: int
    left_out: np.ndarray | None

    @property
    def n_rows(self) -> int:
        """How many rows count."""
        return int(self.segment[-1])

    @property
    def n_segments(self) -> int:
        """How many groups, or times, there are."""
        return len(self.segment) - 1

    @property
    def n_blocks(self) -> int:
        """How many blocks are made of them."""
        return len(self.block) - 1


def blocks_of(segment: np.ndarray) -> np.ndarray:
    """Return the first segment of each block: whole segments, about as many rows in each block."""
    if len(segment) < 2:
        return np.zeros(1, np.int64)
    number = segment[:-1] // BLOCK_ROWS
    first = np.flatnonzero(np.concatenate([[True], number[1:] != number[:-1]]))
    return np.append(first, len(segment) - 1).astype(np.int64)


def of_rows(value: Any, argument: str, n: int | None) -> np.ndarray:
    """Return `value` as an array of one element a row; strings and pandas columns, too."""
    array = np.asarray(value)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or (n is not None and len(array) != n):
        rule = "one element per row" if n is None else f"one element per row, shape ({n},)"
        raise ValueError(f"{argument} must hold {rule}; got shape {array.shape}")
    return array


def refuse_missing(value: Any, array: np.ndarray, argument: str) -> None:
    """Raise the ValueError that names the first element that is None, nan or masked; `array` is made of `value`."""
    _labels._refuse(_labels._missing(value, array), array, argument, "is missing")


def labels_of_rows(value: Any, argument: str, n: int) -> _labels.Labels:
    """Return the sorted labels of anything that can be sorted, and the code of each row's."""
    array = of_rows(value, argument, n)
    refuse_missing(value, array, argument)
    return _labels.Labels(*_labels._sorted(array, argument))


def checked_weights(sample_weight: Any, n: int) -> np.ndarray | None:
    """Return one finite float64 weight >= 0 for each row, or None."""
    if sample_weight is None:
        return None
    w = _arrays.operand(sample_weight, "sample_weight")
    if w.shape not in ((n,), ()):
        raise ValueError(
            f"sample_weight must hold one number per row, shape ({n},), or be a single number; got shape {w.shape}"
        )
    w = np.broadcast_to(w, (n,)).astype(np.float64)
    bad = ~(np.isfinite(w) & (w >= 0))
    if bad.any():
        _complaints.raise_first("sample_weight", w, bad, "must be finite and >= 0")
    return w


def group_starts(group: Any, n: int) -> np.ndarray:
    """
    Return where each group begins, and n at the end, of sizes of consecutive groups or of ids of rows.

    As many numbers as rows are ids; fewer are sizes, which add up to the number of rows.
    """
    if group is None:
        raise TypeError("group must say which rows belong together: sizes of consecutive groups, or one id per row")
    array = np.asarray(group)
    if array.ndim != 1:
        raise ValueError(f"group must have one dimension, of sizes or of ids; got shape {array.shape}")
    if len(array) == n:
        refuse_missing(group, array, "group")
        return _starts_of_ids(array)
    if array.dtype.kind not in "iu":
        raise ValueError(
            f"group must hold sizes, integers that add up to the number of rows, {n}, or an id for each row; "
            f"got {len(array)} elements of dtype {array.dtype}"
        )
    if (array < 0).any():
        _complaints.raise_first("group", array, array < 0, "is no size of a group: must be >= 0")
    total = int(array.sum())
    if total != n:
        raise ValueError(f"group adds up to {total} rows, but the target has {n}")
    return np.concatenate([[0], np.cumsum(array[array > 0], dtype=np.int64)])


def _starts_of_ids(ids: np.ndarray) -> np.ndarray:
    if not len(ids):
        return np.zeros(1, np.int64)
    first = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    known, code = _labels._sorted(ids[first], "group")
    if len(known) < len(first):
        seen = np.zeros(len(known), bool)
        for place, each in zip(first.tolist(), code.tolist(), strict=True):
            if seen[each]:
                raise ValueError(
                    f"group[{place}] = {_complaints.show(ids[place])} was the id of other rows before: the rows of a "
                    f"group must follow each other"
                )
            seen[each] = True
    return np.append(first, len(ids)).astype(np.int64)


def group_layout(target: np.ndarray, weight: np.ndarray | None, starts: np.ndarray) -> Layout:
    """Return the layout of groups: without rows of weight 0, and with groups that lose all of theirs as empty ones."""
    n = len(target)
    order = left_out = None
    segment = starts
    if weight is not None and not (weight > 0).all():
        order = np.flatnonzero(weight > 0).astype(np.int64)
        left_out = np.flatnonzero(weight == 0)
        before = np.concatenate([[0], np.cumsum(weight > 0)])
        segment = before[starts].astype(np.int64)
        target, weight = target[order], weight[order]
    if weight is None:
        total = float(len(segment) - 1)
    else:
        # What a group weighs is the mean of its rows' weights.
        sums = np.concatenate([[0.0], np.cumsum(weight)])
        sizes = np.diff(segment)
        filled = sizes > 0
        of_group = np.add.reduceat(weight, segment[:-1][filled]) if filled.any() else sums[:0]
        total = float((of_group / sizes[filled]).sum())
    return Layout(
        order,
        None if weight is None else np.ascontiguousarray(weight),
        np.ascontiguousarray(target, np.float64),
        None,
        segment,
        blocks_of(segment),
        None,
        None,
        total,
        n,
        len(segment) - 1,
        left_out,
    )


class PreparedLoss:
    """
    A loss with its target, weights, strata or groups: checked, sorted and cast once, called with predictions alone.

    `fastloss.CoxPH.prepare` and its like return it. Objects may be pickled and used from several threads.

    Attributes
    ----------
    loss : Loss
        The loss.
    n_rows : int
        How many rows a prediction must have.
    total_weight : float
        What a mean is divided by.

    Examples
    --------
    >>> import fastloss as fl
    >>> prepared = fl.CoxPH().prepare([3.0, -2.0, 1.0])
    >>> prepared([0.0, 0.0, 0.0], reduction="sum") == fl.cox_ph([0.0, 0.0, 0.0], [3.0, -2.0, 1.0], reduction="sum")
    True
    """

    def __init__(self, loss: Any, layout: Layout) -> None:
        self.loss, self.layout = loss, layout
        self._spare: list[np.ndarray] = []

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_spare": []}

    def __repr__(self) -> str:
        return f"<{self.loss!r} of {self.n_rows} rows>"

    @property
    def n_rows(self) -> int:
        """How many rows a prediction must have."""
        return self.layout.n_predictions

    @property
    def total_weight(self) -> float:
        """What a mean is divided by."""
        return self.layout.total

    def _call(
        self,
        want: int,
        prediction: ArrayLike,
        reduction: str,
        curvature: str = "exact",
        gradient_out: np.ndarray | None = None,
        hessian_out: np.ndarray | None = None,
    ) -> Any:
        _call.check_choice("reduction", reduction, _call.REDUCTIONS)
        if curvature == "fisher" and not self.loss.traits.fisher:
            raise ValueError(f"{self.loss!r} has no curvature 'fisher': {self.loss._no_fisher}")
        _call.check_choice("curvature", curvature, self.loss.curvatures)
        curvature = "exact" if curvature == "fisher" else curvature
        layout, n_columns = self.layout, self.loss.n_columns_
        given = _call.prediction_array(prediction, "prediction")
        shape = (layout.n_predictions,) if n_columns == 1 else (layout.n_predictions, n_columns)
        if given.shape != shape:
            raise ValueError(f"prediction must have shape {shape}, as the target says, got {given.shape}")
        z, dtype = _arrays.computable(given)
        z = _arrays.widened(z)
        outputs = _call._outputs(given, dtype, (layout.n_values,), (want, reduction, gradient_out, hessian_out))
        if layout.total == 0:
            for array in outputs.arrays:
                if array is not None:
                    array[...] = 0
            return outputs.of_nothing()
        buffers = [_writable(array) for array in outputs.arrays]
        if buffers[0] is not None:
            buffers[0][...] = 0
        if any(each is not None and overlap(each, z) for each in buffers):
            z = z.copy()  # later passes read it again
        scale = 1.0 / layout.total if reduction == "mean" else 1.0
        total = self._run(want, z, [None if each is None else _columns(each) for each in buffers], curvature, scale)
        for buffer, array in zip(buffers, outputs.arrays, strict=True):
            if buffer is not array and buffer is not None and array is not None:
                with np.errstate(over="ignore", under="ignore"):
                    array[...] = buffer
        for array in outputs.arrays[1:]:
            if array is not None and layout.left_out is not None:
                array[layout.left_out] = 0
        return outputs.result(total * scale)

    def _run(self, want: int, z: np.ndarray, outputs: list[np.ndarray | None], curvature: str, scale: float) -> float:
        needed = _kernels.size_of_workspace(self.layout)
        try:
            workspace = self._spare.pop()
        except IndexError:
            workspace = np.empty(needed)
        total: float = self.loss._run(self.layout, workspace, _columns(z), want, outputs, curvature, scale)
        self._spare[:] = [workspace]
        return total

    def __call__(self, prediction: ArrayLike, *, reduction: str = "mean") -> Any:
        """
        Value of the loss.

        Parameters
        ----------
        prediction : array_like
            Raw scores, one a row.
        reduction : {"mean", "sum", "none"}

        Returns
        -------
        float or ndarray
        """
        return self._call(VALUE, prediction, reduction)

    def gradient(
        self, prediction: ArrayLike, *, reduction: str = "mean", gradient_out: np.ndarray | None = None
    ) -> Any:
        """Gradient of the reduced value with respect to the prediction."""
        return self._call(GRADIENT, prediction, reduction, "exact", gradient_out)

    def value_and_gradient(
        self, prediction: ArrayLike, *, reduction: str = "mean", gradient_out: np.ndarray | None = None
    ) -> Any:
        """Value and gradient: ``(value, gradient)``."""
        return self._call(VALUE | GRADIENT, prediction, reduction, "exact", gradient_out)

    def gradient_and_hessian(
        self,
        prediction: ArrayLike,
        *,
        reduction: str = "mean",
        curvature: str = "exact",
        gradient_out: np.ndarray | None = None,
        hessian_out: np.ndarray | None = None,
    ) -> Any:
        """Gradient and the Hessian's diagonal: ``(gradient, hessian)``."""
        return self._call(GRADIENT | HESSIAN, prediction, reduction, curvature, gradient_out, hessian_out)

    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        *,
        reduction: str = "mean",
        curvature: str = "exact",
        gradient_out: np.ndarray | None = None,
        hessian_out: np.ndarray | None = None,
    ) -> Any:
        """Value, gradient and the Hessian's diagonal: ``(value, gradient, hessian)``."""
        return self._call(VALUE | GRADIENT | HESSIAN, prediction, reduction, curvature, gradient_out, hessian_out)

    def hessian_vector_product(
        self, prediction: ArrayLike, vector: ArrayLike, *, reduction: str = "mean"
    ) -> np.ndarray:
        """
        The product of the whole Hessian, of all rows with all rows, and a vector; of `CoxPH` and `GroupSoftmax`.

        Parameters
        ----------
        prediction, vector : array_like of shape (n,)
        reduction : {"mean", "sum", "none"}

        Returns
        -------
        ndarray of shape (n,)
            In float64.

        Raises
        ------
        NotImplementedError
            If the loss is another.
        """
        _call.check_choice("reduction", reduction, _call.REDUCTIONS)
        z, v = (_call.real_array(each, name) for each, name in ((prediction, "prediction"), (vector, "vector")))
        for name, each in (("prediction", z), ("vector", v)):
            if each.shape != (self.n_rows,):
                raise ValueError(f"{name} must have shape ({self.n_rows},), as the target says, got {each.shape}")
        layout = self.layout
        rows = np.arange(self.n_rows) if layout.order is None else layout.order
        product = np.zeros(self.n_rows)
        if len(rows):
            with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
                product[rows] = self.loss._product(layout, z[rows], v[rows])
        return product / layout.total if reduction == "mean" else product


def _writable(out: np.ndarray | None) -> np.ndarray | None:
    """Return `out`, or an array of a type that kernels write in its place."""
    if out is None or (out.dtype.char in "fd" and out.dtype.isnative and out.flags.aligned):
        return out
    return np.empty(out.shape, np.float32 if out.dtype.char not in "fd" else out.dtype.newbyteorder("="))


def _columns(array: np.ndarray) -> np.ndarray:
    """Return a view of shape (rows, columns, 1)."""
    return array[:, None, None] if array.ndim == 1 else array[:, :, None]


class RowsTogether(_kernels.SegmentLoss):
    """What losses of rows that belong together have in common; `_belongs` names the argument that says which do."""

    __slots__ = ()
    _belongs: str | None = None
    # Why there is no expected Hessian, where the traits know of none.
    _no_fisher = "it is no likelihood of the target"

    @property
    def n_columns_(self) -> int:
        """How many numbers a prediction has for each row."""
        return 1

    def _layout(self, target: Any, sample_weight: Any, belongs: Any) -> Layout:
        raise NotImplementedError

    def prepare(
        self, target: ArrayLike, sample_weight: ArrayLike | None = None, *, strata: Any = None, group: Any = None
    ) -> PreparedLoss:
        """
        Check, sort and cast once what stays the same in many calls.

        Parameters
        ----------
        target : array_like
            As the loss takes it.
        sample_weight : array_like of shape (n,), optional
            Finite and >= 0. A row of weight 0 counts nowhere.
        strata : array_like of shape (n,), optional
            Of `CoxPH`: the stratum of each row.
        group : array_like
            Of `GroupSoftmax` and `PairwiseLogistic`: sizes of consecutive groups, or the id of each row's.

        Returns
        -------
        PreparedLoss
            Called with predictions alone; has the loss's methods.

        Raises
        ------
        TypeError
            If the loss knows nothing of strata or groups, or has none and needs them.
        ValueError
            If a target or weight is out of its range, or shapes do not fit.
        """
        given = {"strata": strata, "group": group}
        for name, value in given.items():
            if value is not None and name != self._belongs:
                raise TypeError(f"{type(self).__name__} has no {name}")
        belongs = None if self._belongs is None else given[self._belongs]
        return PreparedLoss(self, self._layout(target, sample_weight, belongs))

    def _prepared(self, target: Any, sample_weight: Any, belongs: dict[str, Any]) -> PreparedLoss:
        unknown = belongs.keys() - {self._belongs}
        if unknown:
            raise TypeError(f"{type(self).__name__} has no argument {sorted(unknown)[0]!r}")
        return PreparedLoss(self, self._layout(target, sample_weight, belongs.get(self._belongs or "")))

    def _value(self, prediction: Any, target: Any, belongs: Any, sample_weight: Any, reduction: str) -> Any:
        return PreparedLoss(self, self._layout(target, sample_weight, belongs))._call(VALUE, prediction, reduction)

    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        **belongs: Any,
    ) -> Any:
        """
        Value of the loss.

        Parameters
        ----------
        prediction : array_like of shape (n,)
            Raw scores, in order of the target; of `AFT` with a fitted scale (n, 2).
        target : array_like
            As the class says.
        sample_weight : array_like of shape (n,), optional
            Finite and >= 0. A row of weight 0 counts nowhere, whatever it holds.
        reduction : {"mean", "sum", "none"}
            The sum divided by the sum of weights, the sum, or an array.
        **belongs
            ``strata=`` of `CoxPH`, ``group=`` of `GroupSoftmax` and `PairwiseLogistic`; see `prepare`.

        Returns
        -------
        float or ndarray
        """
        return self._prepared(target, sample_weight, belongs)._call(VALUE, prediction, reduction)

    def gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        gradient_out: np.ndarray | None = None,
        **belongs: Any,
    ) -> Any:
        """
        Gradient of the reduced value with respect to the prediction.

        The other parameters are those of a call.

        Parameters
        ----------
        gradient_out : ndarray, optional
            An array of the prediction's shape and dtype to write into; it is returned.
        """
        return self._prepared(target, sample_weight, belongs)._call(
            GRADIENT, prediction, reduction, "exact", gradient_out
        )

    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        gradient_out: np.ndarray | None = None,
        **belongs: Any,
    ) -> Any:
        """Value and gradient: ``(value, gradient)``."""
        return self._prepared(target, sample_weight, belongs)._call(
            VALUE | GRADIENT, prediction, reduction, "exact", gradient_out
        )

    def gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: str = "exact",
        gradient_out: np.ndarray | None = None,
        hessian_out: np.ndarray | None = None,
        **belongs: Any,
    ) -> Any:
        """
        Gradient and the Hessian's diagonal: ``(gradient, hessian)``.

        Parameters
        ----------
        curvature : {"exact", "psd", "majorize", "fisher"}
            "psd" is never negative, and never 0 where the gradient is not; "majorize" is never below the exact second
            derivative; "fisher" is the expected one, which of these losses `GroupSoftmax` alone has, as the exact one.
        """
        return self._prepared(target, sample_weight, belongs)._call(
            GRADIENT | HESSIAN, prediction, reduction, curvature, gradient_out, hessian_out
        )

    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: str = "exact",
        gradient_out: np.ndarray | None = None,
        hessian_out: np.ndarray | None = None,
        **belongs: Any,
    ) -> Any:
        """Value, gradient and the Hessian's diagonal: ``(value, gradient, hessian)``."""
        return self._prepared(target, sample_weight, belongs)._call(
            VALUE | GRADIENT | HESSIAN, prediction, reduction, curvature, gradient_out, hessian_out
        )

    def _product(self, layout: Layout, z: np.ndarray, v: np.ndarray) -> np.ndarray:
        """The Hessian of the sum times a vector, in the layout's order."""
        raise NotImplementedError(f"{self.name} has no product of the whole Hessian")

    def predict_proba(self, z: ArrayLike) -> Any:
        """
        Raise an error: a single score stands for no probability.

        Raises
        ------
        NotImplementedError
        """
        raise NotImplementedError(f"{type(self).__name__} has no probabilities of single rows")

    def inverse_link(self, z: ArrayLike) -> Any:
        """
        Return the scores as they are.

        Parameters
        ----------
        z : array_like
            Raw scores.

        Returns
        -------
        ndarray
        """
        return np.array(_call.prediction_array(z, "z"))

    def init_score(self, target: ArrayLike, sample_weight: ArrayLike | None = None) -> Any:
        """
        Return 0: the same number added to all scores changes nothing.

        Parameters
        ----------
        target : array_like
            Checked only by losses that have a constant to find.
        sample_weight : array_like, optional

        Returns
        -------
        float
        """
        return 0.0
