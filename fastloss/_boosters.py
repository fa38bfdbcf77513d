"""What the boosters' modules share: which loss fits a task, its targets, derivatives, start value and predictions."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

import fastloss as fl

from . import _labels
from ._booster_parameters import check_parameters
from ._kernels import Loss, PointwiseLoss, RowwiseLoss, SetLoss, get_num_threads
from ._resolve import HasLoss, resolve
from ._segments import PreparedLoss, group_starts
from ._threads import num_threads
from .likelihood import quantiles_of
from .survival import log_bounds, signed_times, survival_of_hazard

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

OWN = ("loss", "curvature")  # parameters that the libraries' own estimators do not have
CURVATURES = ("auto", "exact", "psd", "majorize", "fisher")

# Probabilities of two classes that were rounded to half precision, or to three digits, still sum to 1.
MOST_OFF_ONE = 2e-3

# The same loss for two classes and for more, for those who give a name and leave the rest to us.
BINARY_OF = {"cross_entropy": "binary_cross_entropy", "focal": "binary_focal", "multiclass_hinge": "hinge"}
MULTICLASS_OF = {binary: multiclass for multiclass, binary in BINARY_OF.items()}


def is_binary(loss: Loss) -> bool:
    """Whether `loss` is of one logit and a target in [0, 1]."""
    return isinstance(loss, PointwiseLoss) and loss.target_domain == "unit interval"


def boosting_loss(loss: Any) -> Any:
    """Return the loss object that `loss` is or names, if trees can be boosted on it."""
    found = resolve(loss)
    if isinstance(found, SetLoss):
        raise ValueError(
            f"{found!r} is one number for a whole set, so it has no derivatives of single rows to boost trees on; "
            "take BinaryFocal or BinaryCrossEntropy(pos_weight=...) for imbalanced classes"
        )
    return found


def classification_loss(loss: Any, n_classes: int) -> Any:
    """Return the loss for a target of `n_classes` classes; a name may stand for its binary or multiclass form."""
    if isinstance(loss, str):
        name = boosting_loss(loss).name
        loss = (BINARY_OF if n_classes <= 2 else MULTICLASS_OF).get(name, loss)
    found = boosting_loss(loss)
    if not isinstance(found, RowwiseLoss) and not is_binary(found):
        raise ValueError(f"{found!r} is no loss for classification: its targets are not classes")
    if n_classes > 2 and not isinstance(found, RowwiseLoss):
        raise ValueError(
            f"{found!r} is a loss of two classes, and y has {n_classes}; "
            "take one of rows of logits, such as CrossEntropy or Focal"
        )
    return found


def regression_loss(loss: Any) -> Any:
    """Return the loss for a real target."""
    found = boosting_loss(loss)
    if isinstance(found, RowwiseLoss):
        raise ValueError(f"{found!r} is a loss of classes, not of a real target")
    return found


class Targets(NamedTuple):
    """A target as the losses take it, and what its classes are called."""

    values: NDArray[Any]  # (n,) class indices, or (n, K) probabilities
    classes: NDArray[Any]


def classification_targets(y: ArrayLike, classes: NDArray[Any] | None = None, name: str = "y") -> Targets:
    """Encode labels as indices of their sorted classes; rows of probabilities (n, K) stay what they are."""
    array = np.asarray(y)
    if array.ndim != 2 or array.shape[1] == 1:
        known, codes = _labels.encode(y, classes, name)
        if len(known) < 2:
            raise ValueError(f"{name} must hold two classes or more; got {known.tolist()}")
        return Targets(codes, known)
    n_classes = array.shape[1]
    if classes is not None and len(classes) != n_classes:
        raise ValueError(f"{name} has {n_classes} columns of probabilities, and there are {len(classes)} classes")
    if not np.issubdtype(array.dtype, np.number) or not ((array >= 0) & (array <= 1)).all():
        raise ValueError(
            f"{name} has {n_classes} columns, which must be the probabilities of as many classes; several labels a row "
            "are for a regressor with a binary loss, such as BinaryCrossEntropy, whose predictions are probabilities"
        )
    return Targets(np.ascontiguousarray(array, np.float64), np.arange(n_classes) if classes is None else classes)


def real_targets(y: ArrayLike, name: str = "y", several: bool = False) -> NDArray[np.float64]:
    """
    Return a real target of shape (n,); its domain is the loss's affair.

    With `several`, targets of shape (n, m) are taken, too, in which nan, or what is masked, is missing.
    """
    array = np.ma.filled(y.astype(np.float64), np.nan) if isinstance(y, np.ma.MaskedArray) else np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    several = several and array.ndim == 2
    if array.ndim != 1 and not several:
        raise ValueError(
            f"{name} must be of shape (n,); got {array.shape}. Several targets a row are for losses of one prediction "
            "each, such as Huber or BinaryCrossEntropy, and for regressors"
        )
    values = np.ascontiguousarray(array, np.float64)
    fits = ~np.isinf(values) if several else np.isfinite(values)
    if not fits.all():
        first = ", ".join(map(str, np.argwhere(~fits)[0].tolist()))
        advice = "nan is a missing label" if several else "leave rows without a target out"
        raise ValueError(f"{name}[{first}] = {values[~fits][0]} must be finite: {advice}")
    return values


def targets_together(loss: Any, y: Any, name: str = "y") -> NDArray[np.float64]:
    """Return a target of a loss of rows that belong together: times, bounds of shape (n, 2) for `AFT`, relevances."""
    if isinstance(loss, fl.AFT) and getattr(getattr(y, "dtype", None), "names", None) is None:
        array = np.asarray(y)
        if array.ndim == 2 and array.shape[1] == 2:
            log_bounds(array, name=name)
            return np.ascontiguousarray(array, np.float64)
    if isinstance(loss, (fl.AFT, fl.CoxPH)):
        return signed_times(y, name=name)
    return real_targets(y, name)


def as_loss_takes(loss: Loss, targets: Targets) -> NDArray[Any]:
    """Of probabilities of two classes, a loss of one logit takes those of the second; of codes, real numbers."""
    values = targets.values
    if isinstance(loss, RowwiseLoss):
        return values
    if values.ndim == 2:
        off = np.abs(values.sum(axis=1) - 1) > MOST_OFF_ONE
        if off.any():
            raise ValueError(
                f"{loss!r} takes the probability of the second class alone, so the two must sum to 1; row "
                f"{int(np.argmax(off))} of y is {values[off][0].tolist()}"
            )
        values = values[:, 1]
    return np.ascontiguousarray(values, np.float64)


def n_outputs(loss: Any, n_classes: int) -> int:
    """How many raw scores a row has."""
    if loss.kind == "columns":
        return len(loss.columns)
    if loss.kind == "segments":
        return int(loss.n_columns_)
    return n_classes if isinstance(loss, RowwiseLoss) else 1


def start_scores(loss: Any, target: NDArray[Any], weight: NDArray[Any] | None, outputs: int) -> NDArray[np.float64]:
    """
    Return the constant raw scores at which the loss is least, of shape (outputs,).

    Classes that weigh nothing get a score that is low, but finite: trees do not start at infinity.
    """
    if loss.kind == "pointwise" and target.ndim == 2:
        return np.array([_start_of_column(loss, j, t, weight) for j, t in enumerate(target.T)])
    options = {"n_classes": outputs} if isinstance(loss, RowwiseLoss) and target.ndim == 1 else {}
    return np.atleast_1d(np.asarray(loss.init_score(target, weight, **options), np.float64))


def _start_of_column(loss: Any, j: int, target: NDArray[Any], weight: NDArray[Any] | None) -> float:
    known = weight_of_known(target, weight)
    if not known.any():
        raise ValueError(f"y[:, {j}] holds no target that counts: all are missing, or weigh nothing")
    return float(loss.init_score(target, known))


def weight_of_known(target: NDArray[Any], weight: NDArray[Any] | None) -> NDArray[np.float64]:
    """Return the weights of targets: 0 where they are missing."""
    known = ~np.isnan(target)
    return known.astype(np.float64) if weight is None else np.where(known, weight, 0.0)


def hessian_of(loss: Loss, curvature: str) -> str:
    """Return the curvature that "auto" stands for with this loss, or the one that was asked for."""
    if curvature not in CURVATURES:
        raise ValueError(f"curvature must be one of {CURVATURES}; got {curvature!r}")
    if curvature != "auto":
        return curvature
    return loss.traits.boosting


class Derivatives:
    """
    Gradient and Hessian of each row, in float32 and in the memory order of the scores, as boosters take them.

    Parameters
    ----------
    loss : Loss
        What is boosted.
    curvature : {"auto", "exact", "psd", "majorize"}
        "auto" is what trained best with this loss, see `fastloss._traits.Traits`.
    scores_per_thread : int
        Take no more threads than there are so many raw scores for each. Of a booster with an OpenMP runtime of its own:
        our workers go on waiting on its processors when it has already begun to grow the tree.

    Notes
    -----
    The arrays of the last call are used again once the caller has dropped them: fresh memory costs more than the
    derivatives.
    """

    def __init__(self, loss: Any, curvature: str = "auto", scores_per_thread: int = 1) -> None:
        self.loss, self.curvature, self.scores_per_thread = loss, hessian_of(loss, curvature), scores_per_thread
        self.spare: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        self.recent: tuple[Any, Any, PreparedLoss] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "spare": [], "recent": None}

    def prepared(self, target: NDArray[Any], weight: NDArray[Any] | None) -> PreparedLoss:
        """Return the prepared loss of rows that belong together; labels are the same in every round."""
        if self.recent is None or not (is_same(self.recent[0], target) and is_same(self.recent[1], weight)):
            self.recent = np.array(target), weight, self.loss.prepare(target, weight)
        return self.recent[2]

    def buffers(self, z: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return arrays like `z` that nobody else holds."""
        try:
            gradient, hessian = self.spare.pop()
        except IndexError:
            pass
        else:
            # As many as of something that only a name here stands for: two, or from Python 3.14 on one.
            alone = object()
            most = sys.getrefcount(alone)
            unheld = sys.getrefcount(gradient) <= most and sys.getrefcount(hessian) <= most
            if unheld and gradient.shape == z.shape and gradient.strides == _strides(z):
                return gradient, hessian
        return np.empty_like(z, np.float32), np.empty_like(z, np.float32)

    def __call__(
        self, z: NDArray[Any], target: Any, weight: NDArray[Any] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        gradient, hessian = self.buffers(z)
        if weight is not None and len(weight) == 0:
            weight = None
        if weight is not None and z.ndim > weight.ndim and isinstance(self.loss, PointwiseLoss):
            weight = weight[:, None]
        if self.loss.kind == "segments" and not isinstance(target, PreparedLoss):
            target = self.prepared(target, weight)
        with num_threads(max(1, min(get_num_threads(), z.size // self.scores_per_thread))):
            if isinstance(target, PreparedLoss):
                target.gradient_and_hessian(
                    z, reduction="sum", curvature=self.curvature, gradient_out=gradient, hessian_out=hessian
                )
                self.spare[:] = [(gradient, hessian)]
                return gradient, hessian
            self.loss.gradient_and_hessian(
                z,
                target,
                sample_weight=weight,
                reduction="sum",
                curvature=self.curvature,
                gradient_out=gradient,
                hessian_out=hessian,
            )
        self.spare[:] = [(gradient, hessian)]
        return gradient, hessian


def is_same(known: NDArray[Any] | None, given: NDArray[Any] | None) -> bool:
    """Whether two arrays, or none, hold the same."""
    return known is given or (known is not None and given is not None and np.array_equal(known, given))


def _strides(z: NDArray[Any]) -> tuple[int, ...]:
    return tuple(stride * 4 // z.itemsize for stride in z.strides)


def class_targets(loss: Loss, label: NDArray[Any]) -> NDArray[Any]:
    """Boosters keep labels as float32; rows of logits want class indices."""
    return label.astype(np.intp) if isinstance(loss, RowwiseLoss) and label.ndim == 1 else label


class Together:
    """
    Data sets of a loss of rows that belong together, each prepared when it is first asked for.

    Labels are numbers of rows, counted through all data sets, so that the first one says which it is.
    """

    def __init__(self, loss: Any, targets: list[NDArray[Any]], groups: list[Any] | None) -> None:
        self.loss, self.targets = loss, targets
        self.groups = [None] * len(targets) if groups is None else groups
        if loss._belongs == "group" and any(each is None for each in self.groups):
            raise ValueError(f"{loss!r} needs the groups of rows: take LGBMRanker or XGBRanker, and their group=")
        self.starts = np.cumsum([0, *map(len, targets)])
        self.known: dict[int, tuple[Any, PreparedLoss]] = {}

    def prepared(self, label: NDArray[Any], weight: NDArray[Any] | None) -> PreparedLoss:
        """Return the loss of the data set that has these labels."""
        number = int(np.searchsorted(self.starts, label[0], side="right")) - 1
        if len(label) != len(self.targets[number]):
            raise ValueError(f"{self.loss!r} needs all rows of a data set at once, got {len(label)} of them")
        weight = None if weight is None or len(weight) == 0 else weight
        found = self.known.get(number)
        if found is None or not is_same(found[0], weight):
            given = {} if self.groups[number] is None else {self.loss._belongs: self.groups[number]}
            found = weight, self.loss.prepare(self.targets[number], weight, **given)
            self.known[number] = found
        return found[1]


WITHOUT_DATA: dict[str, Any] = {"rows": None, "labels": [], "last": None, "together": None}


class Training:
    """
    What an estimator's own objective and metric know: the loss, and the targets of all data sets.

    A booster's labels are single numbers, so rows of probabilities are looked up by the number of the row, which
    takes the label's place. `labels` are those of the training data and then of each evaluation set.
    """

    def __init__(
        self,
        loss: Any,
        curvature: str,
        targets: list[NDArray[Any]],
        scores_per_thread: int = 1,
        groups: list[Any] | None = None,
    ) -> None:
        self.loss = loss
        self.derivatives = Derivatives(loss, curvature, scores_per_thread)
        self.rows: NDArray[Any] | None = None
        self.labels = targets
        self.last: tuple[Any, Any, Any] | None = None
        self.together: Together | None = None
        if loss.kind == "segments":
            self.together = Together(loss, targets, groups)
        if targets[0].ndim == 2 or self.together is not None:
            n_rows = sum(map(len, targets))
            self.rows = np.concatenate(targets) if self.together is None else None
            self.some_are_missing = self.rows is not None and bool(np.isnan(self.rows).any())
            if n_rows > 2**24:
                raise ValueError("y of this kind is supported for up to 16,777,216 rows, with those of eval_set")
            ends = np.cumsum([len(each) for each in targets])
            self.labels = np.split(np.arange(n_rows, dtype=np.float32), ends[:-1])

    def __getstate__(self) -> dict[str, Any]:
        # A fitted model is not to carry its training data.
        return {**self.__dict__, **WITHOUT_DATA}

    def forget(self) -> None:
        """Let go of the targets."""
        self.__dict__.update(WITHOUT_DATA)

    def __deepcopy__(self, memo: dict[int, Any]) -> Training:
        return self  # LightGBM copies its parameters before it trains

    def operands(self, label: NDArray[Any], weight: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Return targets and weights, as the loss takes them, of a booster's labels and weights of rows."""
        weight = None if weight is None or len(weight) == 0 else weight
        if self.rows is None:
            return class_targets(self.loss, label), weight
        target = self.rows[label.astype(np.intp)]
        if self.loss.kind != "pointwise":
            return target, weight
        weight = None if weight is None else weight[:, None]
        return target, weight_of_known(target, weight) if self.some_are_missing else weight

    def __call__(
        self, label: NDArray[Any], z: NDArray[Any], weight: NDArray[Any] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return gradient and Hessian."""
        if self.together is not None:
            return self.derivatives(z, self.together.prepared(label, weight))
        # Boosters hand over the same labels in every round.
        if self.last is None or not (is_same(self.last[0], label) and is_same(self.last[1], weight)):
            self.last = label, weight, self.operands(label, weight)
        return self.derivatives(z, *self.last[2])

    def metric(self, label: NDArray[Any], z: NDArray[Any], weight: NDArray[Any] | None) -> float:
        """Return the weighted mean of the loss."""
        if self.together is not None:
            return float(self.together.prepared(label, None if weight is None or len(weight) == 0 else weight)(z))
        target, weight = self.operands(label, weight)
        return float(self.loss(z, target, sample_weight=weight))


def class_probabilities(loss: Any, z: NDArray[Any]) -> NDArray[Any]:
    """Return probabilities of shape (n, K) of raw scores, of shape (n,) for two classes or (n, K)."""
    p = loss.predict_proba(z)
    return np.column_stack([1 - p, p]) if p.ndim == 1 else p


def class_codes(loss: Any, z: NDArray[Any]) -> NDArray[np.intp]:
    """Return the most probable class of each row; of losses without probabilities, that of the largest score."""
    try:
        p = loss.predict_proba(z)
    except NotImplementedError:
        p, middle = z, 0.0
    else:
        middle = 0.5
    return np.asarray(p > middle if p.ndim == 1 else p.argmax(axis=1), np.intp)


# ---------------------------------------------------------------------------------------------------- saved models


class Record(NamedTuple):
    """What a native model says of its loss and its classes."""

    loss: Any  # None of a loss that is none of this package
    shown: str
    classes: NDArray[Any] | None


def record(loss: Any, classes: NDArray[Any] | None) -> str:
    """Write a loss and its classes down, for the attributes of a native model."""
    is_ours = type(loss) in fl.losses()
    return json.dumps(
        {
            "loss": loss.name if is_ours else None,
            "parameters": loss.parameters if is_ours else {},
            "shown": repr(loss),
            "classes": None if classes is None or classes.dtype.kind not in "biufUO" else classes.tolist(),
        },
        default=lambda value: value.tolist() if hasattr(value, "tolist") else None,
    )


def read_record(text: str) -> Record:
    """Return what `record` wrote."""
    found = json.loads(text)
    loss = None
    if found["loss"] is not None:
        loss = type(resolve(found["loss"]))(**found["parameters"])
    return Record(loss, found["shown"], None if found["classes"] is None else np.array(found["classes"]))


def hazard_record(hazard: Any) -> str:
    """Return a baseline hazard, or those of strata, as text that stands in a native model."""
    each = hazard.items() if isinstance(hazard, dict) else [(None, hazard)]
    pairs = [[label, times.tolist(), cumulative.tolist()] for label, (times, cumulative) in each]
    return json.dumps({"stratified": isinstance(hazard, dict), "pairs": pairs})


def read_hazard(text: str) -> Any:
    """Return what `hazard_record` wrote."""
    found = json.loads(text)
    pairs = {label: (np.array(times), np.array(cumulative)) for label, times, cumulative in found["pairs"]}
    return pairs if found["stratified"] else pairs[None]


# ------------------------------------------------------------------------------------------------------ estimators


def of_library(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that a library's own estimator has: without those of ours, and without the loss's own."""
    return {name: value for name, value in parameters.items() if name.partition("__")[0] not in OWN}


class Fit(NamedTuple):
    """What a fit is about, as far as it is the same for every booster."""

    targets: NDArray[Any]
    eval_targets: list[NDArray[Any]]
    weight: NDArray[Any] | None  # of rows, class weights included
    of_class: NDArray[Any] | None
    start: NDArray[np.float64] | None  # None where the caller gave one, or a model to go on with


class LossEstimator(HasLoss):
    """
    What the estimators of all boosters do alike: choose the loss, encode targets, weigh rows, find the start value.

    A library's module adds what it does in its own way: its `fit`, which begins with `_begin`, how raw scores are asked
    for, and where the start value and the record of the loss stand in the model. `Classification` and `Regression`
    know the target.
    """

    library: ClassVar[str]
    curvature: Any
    loss_: Any
    init_score_: NDArray[np.float64]
    _labels: NDArray[Any]

    def _given(self) -> dict[str, Any]:
        """Return the parameters of the library's own estimator."""
        return of_library(self.get_params(deep=False))  # type: ignore[attr-defined]

    def _class_weights(self, codes: NDArray[Any] | None, sample_weight: Any) -> NDArray[Any] | None:
        """Return what a row of each class weighs, or None; `codes` are None where y holds no labels."""
        return None

    def _n_outputs(self) -> int:
        return n_outputs(self.loss_, self._n_labels())

    def _begin(self, y: Any, sample_weight: Any, eval_targets: list[Any], start_is_given: bool) -> Fit:
        """Check parameters, choose the loss, encode all targets, and find the constant to start from."""
        parameters = self._given()
        check_parameters(self.library, parameters)
        start_is_given = start_is_given or parameters.get("boost_from_average") is False  # then it is 0
        targets, codes = self._choose_loss(y)
        evals = [self._encode(each, f"y of eval_set[{i}]") for i, each in enumerate(eval_targets)]
        weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        of_class = self._class_weights(codes, weight)
        if of_class is not None and codes is not None:
            weight = of_class[codes] if weight is None else weight * of_class[codes]
        if self.loss_.kind == "columns" and targets.dtype == np.float64:
            # As trees see targets: a spread below their rounding would be one of nothing to begin with.
            with np.errstate(over="ignore"):
                targets = targets.astype(np.float32).astype(np.float64)
        start = None if start_is_given else start_scores(self.loss_, targets, weight, self._n_outputs())
        self.init_score_ = np.zeros(self._n_outputs()) if start is None else start
        return Fit(targets, evals, weight, of_class, start)

    def _take_record(self, text: str | None, outputs: int) -> None:
        """Take the loss that a loaded model was trained on; of a model that does not say, the estimator's stands."""
        found = None if text is None else read_record(text)
        if found is not None and found.loss is None and repr(self.loss) != found.shown:
            raise ValueError(
                f"the model was trained on {found.shown}, which is no loss of this package: load it with an estimator "
                "of that loss"
            )
        if found is not None and found.loss is not None:
            self.loss = found.loss
        self._take_classes(None if found is None else found.classes, outputs)

    def _needs_labels(self, name: str, codes: NDArray[Any] | None) -> NDArray[Any]:
        if codes is None:
            raise ValueError(f"{name} must be None where y holds probabilities: multiply it into y")
        return codes

    # What the two tasks say.

    def _n_labels(self) -> int:
        raise NotImplementedError

    def _choose_loss(self, y: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Set the loss that fits y; return y as the loss takes it, and its class codes, if it holds labels."""
        raise NotImplementedError

    def _encode(self, y: Any, name: str = "y") -> NDArray[Any]:
        """Return a target as the loss takes it."""
        raise NotImplementedError

    def _take_classes(self, classes: NDArray[Any] | None, outputs: int) -> None:
        """Set classes and loss of a loaded model."""
        raise NotImplementedError

    def _predicted(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Return what `predict` makes of raw scores."""
        raise NotImplementedError

    # What rankers and losses of survival times add.

    def _groups(self, fit: Fit, options: dict[str, Any]) -> list[Any] | None:
        """Return the groups or strata of all data sets, taken out of the options of `fit`."""
        return None

    def _take_baseline(self, X: Any, fit: Fit, groups: list[Any] | None) -> None:
        """Set what the loss needs of the training data for its predictions."""

    # What a library's module says.

    def _raw_scores(self, X: Any, options: dict[str, Any]) -> NDArray[Any]:
        raise NotImplementedError


class Classification(LossEstimator):
    """Of an estimator of classes: labels, probabilities, and the most probable class."""

    def _set_classes(self, classes: NDArray[Any]) -> None:
        self._labels = classes

    def _n_labels(self) -> int:
        return len(self._labels)

    def _choose_loss(self, y: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
        targets = classification_targets(y)
        self.loss_ = classification_loss(self.loss, len(targets.classes))
        self._set_classes(targets.classes)
        return as_loss_takes(self.loss_, targets), targets.values if targets.values.ndim == 1 else None

    def _encode(self, y: Any, name: str = "y") -> NDArray[Any]:
        return as_loss_takes(self.loss_, classification_targets(y, self._labels, name))

    def _take_classes(self, classes: NDArray[Any] | None, outputs: int) -> None:
        n_classes = max(2, outputs)
        self.loss_ = classification_loss(self.loss, n_classes)
        self._set_classes(np.arange(n_classes) if classes is None else classes)

    def _predicted(self, scores: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(self._labels[class_codes(self.loss_, scores)])

    def _probabilities(self, scores: NDArray[Any]) -> NDArray[Any]:
        return class_probabilities(self.loss_, scores)


class Regression(LossEstimator):
    """Of an estimator of numbers: predictions are on the scale of y."""

    _n_targets = 1

    def _n_labels(self) -> int:
        return 1

    def _n_outputs(self) -> int:
        return super()._n_outputs() if self._n_targets == 1 else self._n_targets

    def _choose_loss(self, y: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
        self.loss_ = regression_loss(self.loss)
        targets = self._as_numbers(y, "y")
        self._n_targets = targets.shape[1] if self.loss_.kind == "pointwise" and targets.ndim == 2 else 1
        return targets, None

    def _as_numbers(self, y: Any, name: str) -> NDArray[Any]:
        if self.loss_.kind == "segments":
            return targets_together(self.loss_, y, name)
        return real_targets(y, name, several=self.loss_.kind == "pointwise")

    def _encode(self, y: Any, name: str = "y") -> NDArray[Any]:
        targets = self._as_numbers(y, name)
        if self.loss_.kind == "pointwise" and targets.shape[1:] != ((self._n_targets,) if self._n_targets > 1 else ()):
            raise ValueError(f"{name} must hold as many targets a row as y, {self._n_targets}; got {targets.shape}")
        return targets

    def _take_classes(self, classes: NDArray[Any] | None, outputs: int) -> None:
        self.loss_ = regression_loss(self.loss)
        self._n_targets = outputs if self.loss_.kind == "pointwise" else 1

    def _groups(self, fit: Fit, options: dict[str, Any]) -> list[Any] | None:
        strata, of_eval = options.pop("strata", None), options.pop("eval_strata", None)
        if strata is None and of_eval is None:
            return None
        if not isinstance(self.loss_, fl.CoxPH):
            raise ValueError(f"{self.loss_!r} has no strata, which are those of fastloss.CoxPH")
        found = [strata, *(of_eval or ())]
        if len(found) != 1 + len(fit.eval_targets) or any(each is None for each in found):
            raise ValueError(
                f"strata, and eval_strata for each set of eval_set, go together: there are {len(fit.eval_targets)} sets"
            )
        return found

    def _take_baseline(self, X: Any, fit: Fit, groups: list[Any] | None) -> None:
        """Of `CoxPH`, set the baseline hazard of the training data."""
        self.__dict__.pop("baseline_hazard_", None)
        if isinstance(self.loss_, fl.CoxPH):
            strata = None if groups is None else groups[0]
            scores = self._raw_scores(X, {})
            given = {"sample_weight": fit.weight, "strata": strata}
            self.baseline_hazard_ = self.loss_.baseline_hazard(scores, fit.targets, **given)

    def predict_survival_function(
        self, X: Any, times: ArrayLike, strata: ArrayLike | None = None, **options: Any
    ) -> NDArray[Any]:
        """
        Return the probability of no event up to each of some times, under `fastloss.CoxPH` or `fastloss.AFT`.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        times : array_like of shape (m,)
            >= 0.
        strata : array_like of shape (n,), optional
            The stratum of each row, of a model that was fitted with them.
        **options
            As the library's own `predict` takes them.

        Returns
        -------
        ndarray of shape (n, m)
            Of `CoxPH` exp(-H(t) exp(score)) with Breslow's cumulative hazard H of the training data.

        Raises
        ------
        AttributeError
            If the loss is not one of survival times, or the model was loaded and does not know the hazard.
        """
        if isinstance(self.loss_, fl.AFT):
            return self.loss_.survival_function(self._raw_scores(X, options), times)
        if not isinstance(self.loss_, fl.CoxPH):
            raise AttributeError(f"{self.loss_!r} is not a loss of survival times, as fastloss.CoxPH is")
        if not hasattr(self, "baseline_hazard_"):
            raise AttributeError(
                "the model was loaded and does not know the baseline hazard: set baseline_hazard_ to "
                "loss_.baseline_hazard(predict(X), y) of the training data"
            )
        return survival_of_hazard(self._raw_scores(X, options), self.baseline_hazard_, times, strata)

    def _predicted(self, scores: NDArray[Any]) -> NDArray[Any]:
        return np.asarray(self.loss_.mean(scores) if hasattr(self.loss_, "mean") else self.loss_.inverse_link(scores))

    @property
    def decision_function(self) -> Any:
        """``decision_function(X)``: raw scores, under losses of several numbers a row alone, of shape (n, P)."""
        if resolve(self.loss).kind != "columns":
            raise AttributeError(f"{type(self).__name__} has a decision_function under losses of several numbers a row")

        def decision_function(X: Any, **options: Any) -> NDArray[Any]:
            return self._raw_scores(X, options)

        return decision_function

    def predict_distribution(self, X: Any, **options: Any) -> Any:
        """
        Return the distribution of each row's target, of a loss of a distribution's parameters such as `GaussianNLL`.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        **options
            As the library's own `predict` takes them.

        Returns
        -------
        scipy.stats.rv_frozen
            One distribution for each row: ``.mean()``, ``.std()``, ``.ppf(0.9)``, ``.interval(0.8)``.

        Raises
        ------
        AttributeError
            If the loss is not one of a distribution.
        """
        if isinstance(self.loss_, fl.AFT):
            return self.loss_.distribution_of(self._raw_scores(X, options))
        if not hasattr(self.loss_, "distribution"):
            raise AttributeError(f"{self.loss_!r} is not the loss of a distribution, as fastloss.GaussianNLL is")
        return self.loss_.distribution(self._raw_scores(X, options))

    def predict_quantiles(self, X: Any, q: ArrayLike, **options: Any) -> NDArray[Any]:
        """
        Return quantiles of each row's target, of a loss of a distribution's parameters.

        Parameters
        ----------
        X : array_like or DataFrame of shape (n, d)
            Features.
        q : array_like of shape (Q,)
            Levels, each in (0, 1).
        **options
            As the library's own `predict` takes them.

        Returns
        -------
        ndarray of shape (n, Q)

        Raises
        ------
        AttributeError
            If the loss is not one of a distribution.
        ValueError
            If `q` does not hold levels in (0, 1).
        """
        distribution = self.predict_distribution(X, **options)
        return quantiles_of(distribution, q)


class Ranking(Regression):
    """Of an estimator of scores that order the rows of each group."""

    def _choose_loss(self, y: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
        self.loss_ = ranking_loss(self.loss)
        return self._encode(y), None

    def _take_classes(self, classes: NDArray[Any] | None, outputs: int) -> None:
        self.loss_ = ranking_loss(self.loss)


def ranking_loss(loss: Any) -> Any:
    """Return the loss of groups of rows that `loss` is or names."""
    found = boosting_loss(loss)
    if getattr(found, "_belongs", None) != "group":
        raise ValueError(f"{found!r} knows nothing of groups: take GroupSoftmax or PairwiseLogistic, or a regressor")
    return found


def group_sizes(group: Any, n: int, name: str = "group") -> NDArray[np.int64]:
    """Return sizes of consecutive groups, of sizes or of ids."""
    if group is None:
        raise ValueError(f"{name} must be given: sizes of consecutive groups, or the id of each row's")
    return np.diff(group_starts(group, n))
