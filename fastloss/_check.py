"""`check_objective`: what is wrong with a hand-written boosting objective, in words."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._kernels import Loss, RowwiseLoss
from .rowwise import sigmoid, softmax

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Finding", "ObjectiveReport", "check_objective"]

SIGNATURES = ("(z, y)", "lightgbm", "xgboost", "native", "catboost")
# Scores this many times as far from 0 as those of most checks: up to 14, where a probability is 1e-6.
FAR = 3.5
SEVERITIES = ("error", "warning", "note")

# How people call the arguments of an objective. What is in none of these is taken in the order (z, y).
LABEL_NAMES = {"y", "y_true", "ytrue", "true", "t", "label", "labels", "target", "targets"}
DATA_NAMES = {"data", "dtrain", "dtrain_", "train_data", "dataset", "train_set", "dmatrix", "dmat", "d", "ds"}
WEIGHT_NAMES = {"weight", "weights", "sample_weight", "w"}


class Finding(NamedTuple):
    """One thing that `check_objective` found: how bad it is, which check found it, and what it is."""

    severity: str
    check: str
    message: str


@dataclass(frozen=True)
class ObjectiveReport:
    """
    What `check_objective` found; prints itself.

    Attributes
    ----------
    objective : str
        The name of what was checked, and how it was called.
    findings : tuple of Finding
        The worst first. Each has a `severity` ("error": trained models will be wrong; "warning": they may be, or
        training may stand still; "note": a convention that one should know of), the `check`, and a `message`.
    checks : tuple of str
        The checks that were made.
    """

    objective: str
    findings: tuple[Finding, ...]
    checks: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error among the findings."""
        return all(finding.severity != "error" for finding in self.findings)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"{self.objective}: {'no error' if self.ok else 'wrong'}"]
        lines += [f"  {severity:8} {check}: {message}" for severity, check, message in self.findings]
        found = {finding.check for finding in self.findings}
        if passed := [check for check in self.checks if check not in found]:
            lines.append(f"  passed   {', '.join(passed)}")
        return "\n".join(lines)

    __repr__ = __str__


def check_objective(
    fn: Any,
    loss: Any = None,
    *,
    signature: str = "auto",
    target: ArrayLike | None = None,
    n_classes: int | None = None,
    weighted: bool | None = None,
) -> ObjectiveReport:
    """
    Look for what goes wrong in hand-written objectives of gradient boosting.

    The objective is called with a few dozen made-up rows, never with a booster, and its answers are compared with
    what they must be: the gradient with the loss, if it is given, else with what the gradient of a loss looks like;
    the Hessian with the slope of the gradient; large scores, sample weights, single rows and other memory orders
    with ordinary ones.

    Parameters
    ----------
    fn : callable or object
        The objective: ``fn(z, y)``, ``fn(z, y, weight)``, or as a booster calls it (see `signature`). `z` are raw
        scores, of shape (n,) or (n, K); it returns gradient and Hessian of the same shape.
    loss : Loss or callable, optional
        What the objective should be the gradient of: a loss of this package, or ``loss(z, y)`` that returns the
        loss of each row, or their sum. With it, the scale of the gradient is checked, too.
    signature : {"auto", "(z, y)", "lightgbm", "xgboost", "native", "catboost"}, default "auto"
        How `fn` is called. "lightgbm": ``fn(y_true, y_pred)``, optionally with `weight`; "xgboost":
        ``fn(y_true, y_pred)``, optionally with `sample_weight`; "native": ``fn(preds, data)``, where `data` has
        ``get_label()`` and ``get_weight()``; "catboost": an object with ``calc_ders_range`` or ``calc_ders_multi``.
        "auto" goes by these methods and by the names of the arguments.
    target : array_like of shape (n,), optional
        Targets as they will be in training. By default 0 and 1, or what the domain of `loss` asks for.
    n_classes : int, optional
        The number of classes of a multiclass objective, whose `z` has the shape (n, K).
    weighted : bool, optional
        Whether the objective will be trained with sample weights. By default that is supposed of an objective that
        takes weights, and of one with the signature of LightGBM or CatBoost, which do not complain when weights are
        ignored.

    Returns
    -------
    ObjectiveReport
        It prints itself; ``report.ok`` is False if anything is wrong; ``report.findings`` lists what.

    Raises
    ------
    TypeError
        If `fn` is neither callable nor has ``calc_ders_range`` or ``calc_ders_multi``.
    ValueError
        If `signature` is none of the above, or `target` or `n_classes` make no sense.

    Examples
    --------
    The derivatives with respect to the probability, where those with respect to the raw score are asked for:

    >>> import numpy as np
    >>> import fastloss as fl
    >>> def objective(y_true, y_pred, weight=None):
    ...     p = 1 / (1 + np.exp(-y_pred))
    ...     w = 1 if weight is None else weight
    ...     return w * (p - y_true) / (p * (1 - p)), w * (y_true / p**2 + (1 - y_true) / (1 - p) ** 2)
    >>> report = fl.check_objective(objective)
    >>> report.ok
    False
    >>> report.findings[0].check
    'hessian'
    >>> def focal(z, y):
    ...     return fl.BinaryFocal().gradient_and_hessian(z, y, reduction="none", curvature="psd")
    >>> fl.check_objective(focal)
    objective focal(z, y): no error
      passed   call, rows, inputs, gradient, hessian, large scores, confident scores, probability
    """
    if signature not in ("auto", *SIGNATURES):
        raise ValueError(f"signature must be one of {('auto', *SIGNATURES)}; got {signature!r}")
    objective = Objective.of(fn, signature)
    problem = Problem.of(loss, target, n_classes)
    examiner = Examiner(objective, problem, loss, weighted)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        findings = list(examiner.examine())
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return ObjectiveReport(f"objective {objective.name}", tuple(findings), tuple(examiner.checks))


class WrongAnswer(Exception):
    """The objective raised, or returned what is no pair of derivatives."""


class Dataset:
    """What a native objective asks of `lightgbm.Dataset` and `xgboost.DMatrix`."""

    def __init__(self, label: NDArray[Any], weight: NDArray[Any] | None) -> None:
        self.label, self.weight = label.astype(np.float32), weight

    def get_label(self) -> NDArray[Any]:
        return self.label

    def get_weight(self) -> NDArray[Any] | None:
        return self.weight

    def get_init_score(self) -> None:
        return None

    def get_group(self) -> None:
        return None

    def get_base_margin(self) -> NDArray[Any]:
        return np.empty(0, np.float32)

    def num_data(self) -> int:
        return len(self.label)

    num_row = num_data

    def get_field(self, name: str) -> NDArray[Any] | None:
        return {"label": self.label, "weight": self.weight}.get(name)

    get_float_info = get_field


@dataclass(frozen=True)
class Objective:
    """An objective of any signature, called in one way: raw scores, targets, weights to gradient and Hessian."""

    fn: Any
    signature: str
    takes_weights: bool
    name: str
    weight_keyword: str | None = None
    label_first: bool = False

    @classmethod
    def of(cls, fn: Any, signature: str) -> Objective:
        is_catboost = hasattr(fn, "calc_ders_range") or hasattr(fn, "calc_ders_multi")
        if signature == "catboost" or (signature == "auto" and is_catboost):
            if not is_catboost:
                raise TypeError("fn must have a method calc_ders_range or calc_ders_multi to be CatBoost's objective")
            return cls(fn, "catboost", True, f"{type(fn).__name__} (CatBoost)")
        if not callable(fn):
            raise TypeError(f"fn must be callable, or an objective of CatBoost; got {type(fn).__name__}")
        try:
            arguments = [
                each.name
                for each in inspect.signature(fn).parameters.values()
                if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
                and (each.default is each.empty or each.name.lower() in WEIGHT_NAMES)
            ]
        except (TypeError, ValueError):  # a compiled function without a signature
            arguments = []
        first, second = [*(name.lower() for name in arguments[:2]), "", ""][:2]
        weight = next((name for name in arguments[2:] if name.lower() in WEIGHT_NAMES), None)
        if signature == "auto":
            if second in DATA_NAMES:
                signature = "native"
            elif first in LABEL_NAMES and second not in LABEL_NAMES:
                signature = "xgboost" if weight == "sample_weight" else "lightgbm"
            else:
                signature = "(z, y)"
        if weight is None and len(arguments) > 2 and signature == "lightgbm":
            weight = arguments[2]  # LightGBM counts arguments and does not look at their names
        label_first = signature in ("lightgbm", "xgboost")
        order = "preds, data" if signature == "native" else "y_true, y_pred" if label_first else "z, y"
        name = getattr(fn, "__name__", None) or getattr(getattr(fn, "func", None), "__name__", type(fn).__name__)
        shown = f"{name}({order}{f', {weight}' if weight and signature != 'native' else ''})"
        return cls(fn, signature, signature == "native" or weight is not None, shown, weight, label_first)

    def __call__(self, z: NDArray[Any], y: NDArray[Any], w: Any = None) -> tuple[NDArray[Any], NDArray[Any]]:
        if z.ndim > 1 and self.signature == "(z, y)" and (y == np.floor(y)).all():
            y = y.astype(np.int64)  # boosters hand over classes as float32
        try:
            answer = self.call_catboost(z, y, w) if self.signature == "catboost" else self.call_function(z, y, w)
        except Exception as error:
            raise WrongAnswer(f"raised {type(error).__name__}: {error}") from error
        try:
            gradient, hessian = answer
        except (TypeError, ValueError):
            raise WrongAnswer(f"must return a gradient and a Hessian; returned {type(answer).__name__}") from None
        derivatives = []
        for name, array in (("gradient", gradient), ("Hessian", hessian)):
            try:
                derivative = np.asarray(array, np.float64)
            except (TypeError, ValueError):
                raise WrongAnswer(f"returned no array of numbers as the {name}") from None
            if derivative.shape != z.shape:
                flat = "; boosters hand over and take back (n, K) arrays" if derivative.size == z.size else ""
                raise WrongAnswer(f"returned a {name} of shape {derivative.shape} for scores of shape {z.shape}{flat}")
            derivatives.append(derivative)
        return derivatives[0], derivatives[1]

    def call_function(self, z: NDArray[Any], y: NDArray[Any], w: Any) -> Any:
        if self.signature == "native":
            return self.fn(z, Dataset(y, w))
        arguments = (y, z) if self.label_first else (z, y)
        if self.weight_keyword is None:
            return self.fn(*arguments)
        if self.label_first and self.signature == "lightgbm":
            return self.fn(*arguments, w)
        return self.fn(*arguments, **{self.weight_keyword: w})

    def call_catboost(self, z: NDArray[Any], y: NDArray[Any], w: Any) -> Any:
        """CatBoost climbs: its derivatives are those of minus the loss."""
        if z.ndim == 1:
            pairs = np.asarray(self.fn.calc_ders_range(z, y, w), np.float64)
            return -pairs[:, 0], -pairs[:, 1]
        gradient, hessian = np.empty(z.shape), np.empty(z.shape)
        for i, row in enumerate(z):
            first, second = self.fn.calc_ders_multi(row, y[i], 1.0 if w is None else w[i])
            gradient[i], hessian[i] = -np.asarray(first), -np.diagonal(np.asarray(second))
        return gradient, hessian


@dataclass(frozen=True)
class Problem:
    """Rows to try an objective on."""

    z: NDArray[Any]
    y: NDArray[Any]
    kind: str  # "binary", "multiclass", "regression" or "columns"
    shown: str = field(default="")

    @classmethod
    def of(cls, loss: Any, target: ArrayLike | None, n_classes: int | None) -> Problem:
        rng = np.random.default_rng(0)
        if getattr(loss, "kind", None) == "columns":
            y = cls.of_domain(loss.target_domain, len(loss.columns), rng) if target is None else cls.take(target, 60)
            y = y.astype(np.float32).astype(np.float64)
            return cls(loss.init_score(y) + rng.normal(0, 0.7, (len(y), len(loss.columns))), y, "columns")
        if getattr(loss, "kind", None) == "segments":
            raise ValueError(f"{loss!r} is a loss of rows that belong together; of single rows it can be checked")
        if n_classes is None and isinstance(loss, RowwiseLoss):
            n_classes = 3
        if n_classes is not None:
            if n_classes < 2:
                raise ValueError(f"n_classes must be at least 2; got {n_classes}")
            n = 20 * n_classes
            y = np.arange(n) % n_classes if target is None else cls.take(target, n)
            if not np.isin(y, np.arange(n_classes)).all():
                raise ValueError(f"target must hold classes 0 to {n_classes - 1}; got {np.unique(y)}")
            return cls(rng.normal(0, 1.5, (len(y), n_classes)), y.astype(np.float64), "multiclass")
        domain = getattr(loss, "target_domain", None)
        if target is not None:
            y = cls.take(target, 60)
        elif domain in ("any", "nonnegative", "positive"):
            y = rng.gamma(2.0, 1.0, 60)
            y = y if domain == "positive" else np.round(y) if domain == "nonnegative" else y - 2
        else:
            y = np.arange(60.0) % 2
        y = y.astype(np.float32).astype(np.float64)  # boosters keep targets in single precision
        if np.isin(y, (0, 1)).all():
            return cls(np.linspace(-4.1, 3.9, len(y)), y, "binary")
        if domain in ("nonnegative", "positive"):
            z = rng.uniform(-2, 2, len(y))
            is_prediction = isinstance(loss, Loss) and loss.traits.link == "identity"
            return cls(np.expm1(z) if is_prediction else z, y, "regression")
        scale = float(np.std(y)) or 1.0
        return cls(y + scale * np.linspace(-3.05, 2.95, len(y))[rng.permutation(len(y))], y, "regression")

    @staticmethod
    def of_domain(domain: str, n_columns: int, rng: np.random.Generator) -> NDArray[Any]:
        """Targets of a loss of columns."""
        if domain == "classes":
            return np.arange(60.0) % (n_columns + 1)
        if domain == "open interval":
            return np.asarray(rng.beta(2.0, 3.0, 60))
        y = rng.gamma(2.0, 1.0, 60)
        return np.asarray(y if domain == "positive" else np.round(y) if domain == "nonnegative" else y - 2)

    @staticmethod
    def take(target: ArrayLike, n: int) -> NDArray[Any]:
        """`n` of the targets, or as many as there are, spread evenly over their order."""
        y = np.sort(np.asarray(target, np.float64).ravel())
        if not y.size or not np.isfinite(y).all():
            raise ValueError("target must hold finite numbers, and at least one")
        return np.asarray(y[np.linspace(0, y.size - 1, min(n, y.size)).astype(int)])


class Examiner:
    """Makes the checks one after the other."""

    def __init__(self, objective: Objective, problem: Problem, loss: Any, weighted: bool | None) -> None:
        self.objective, self.problem, self.loss = objective, problem, loss
        self.is_ours = isinstance(loss, Loss)
        if weighted is None:
            weighted = objective.takes_weights or objective.signature in ("lightgbm", "catboost")
        self.weighted = weighted
        self.checks: list[str] = []

    def examine(self) -> Iterator[Finding]:
        z, y = self.problem.z, self.problem.y
        self.checks.append("call")
        try:
            self.gradient, self.hessian = self.objective(z.copy(), y.copy(), self.ones(y))
        except WrongAnswer as wrong:
            yield Finding("error", "call", str(wrong))
            return
        steps: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
            ("rows", self.check_rows),
            ("inputs", self.check_inputs),
            ("gradient", self.check_gradient),
            ("hessian", self.check_hessian),
            ("large scores", self.check_large_scores),
        ]
        if self.problem.kind not in ("regression", "columns"):
            steps.append(("confident scores", self.check_confident_scores))
        if self.problem.kind == "binary":
            steps.append(("probability", self.check_probability))
        if self.problem.z.ndim > 1:
            steps.insert(1, ("memory order", self.check_memory_order))
        if self.weighted:
            steps.append(("weights", self.check_weights))
        for name, check in steps:
            self.checks.append(name)
            try:
                yield from check()
            except WrongAnswer as wrong:
                yield Finding("error", name, str(wrong))

    def ones(self, y: NDArray[Any]) -> NDArray[Any] | None:
        return np.ones(len(y), np.float32) if self.objective.takes_weights else None

    def at(self, z: NDArray[Any], y: NDArray[Any] | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
        y = self.problem.y if y is None else y
        return self.objective(np.array(z, np.float64), y.copy(), self.ones(y))

    def where(self, wrong: NDArray[Any]) -> str:
        """The place of the largest of `wrong`, in words."""
        position = np.unravel_index(np.nanargmax(wrong), wrong.shape)
        z, y = self.problem.z[position[0]], self.problem.y[position[0]]
        return f"at z = {np.array2string(z, precision=3)}, y = {y:.6g}" + (
            f", class {position[1]}" if len(position) > 1 else ""
        )

    # ------------------------------------------------------------------ one row, one answer

    def check_rows(self) -> Iterator[Finding]:
        """The derivatives of a row depend on this row alone."""
        z, y = self.problem.z, self.problem.y
        order = np.random.default_rng(1).permutation(len(z))
        part = order[: len(z) // 2]
        for name, whole, half, shuffled in zip(
            ("gradient", "Hessian"),
            (self.gradient, self.hessian),
            self.at(z[part], y[part]),
            self.at(z[order], y[order]),
            strict=True,
        ):
            if alike(half, whole[part]) and alike(shuffled, whole[order]):
                continue
            n, m = len(z), len(part)
            if alike(half * m, whole[part] * n):
                yield Finding(
                    "error",
                    "rows",
                    f"the {name} is divided by the number of rows: boosters want each row's own. As it is,"
                    " min_child_weight and the regularisation weigh a thousand times as much with a thousand rows",
                )
            else:
                yield Finding(
                    "error",
                    "rows",
                    f"the {name} of a row depends on the rows beside it"
                    + (": a reshape in the wrong memory order?" if z.ndim > 1 else ""),
                )

    def check_memory_order(self) -> Iterator[Finding]:
        """LightGBM hands over (n, K) scores in Fortran order, XGBoost in C order."""
        z, y = self.problem.z, self.problem.y
        answers = [self.objective(np.array(z, order=order), y.copy(), self.ones(y)) for order in ("C", "F")]
        if not all(alike(*pair) for pair in zip(*answers, strict=True)):
            yield Finding(
                "error",
                "memory order",
                "the answer depends on the memory order of the (n, K) scores, which is Fortran's in LightGBM and"
                " C's in XGBoost: index them as z[row, class]",
            )

    def check_inputs(self) -> Iterator[Finding]:
        """Scores and targets are the booster's; the same ones give the same answer, in single precision, too."""
        z, y = self.problem.z.copy(), self.problem.y.copy()
        again = self.objective(z, y, self.ones(y))
        if not (np.array_equal(z, self.problem.z) and np.array_equal(y, self.problem.y)):
            yield Finding("error", "inputs", "writes into the scores or targets, which belong to the booster")
        elif not (np.array_equal(again[0], self.gradient, True) and np.array_equal(again[1], self.hessian, True)):
            yield Finding("error", "inputs", "gives another answer when it is called again")
        if self.objective.signature == "catboost":
            return  # CatBoost keeps scores in double precision
        single = self.problem.z.astype(np.float32)
        exact = self.at(single.astype(np.float64))
        for name, found, expected in zip(
            ("gradient", "Hessian"),
            self.objective(single, self.problem.y.astype(np.float32), self.ones(y)),
            exact,
            strict=True,
        ):
            if not alike(found, expected, 1e-2):
                yield Finding(
                    "error",
                    "inputs",
                    f"the {name} loses its digits in float32, in which XGBoost hands over scores:"
                    f" {self.where(np.abs(found - expected))}",
                )

    # ------------------------------------------------------------------ derivatives

    def check_gradient(self) -> Iterator[Finding]:
        """Against the loss, if there is one; else sign and symmetry."""
        z, y, g = self.problem.z, self.problem.y, self.gradient
        if not np.isfinite(g).all():
            yield Finding("error", "gradient", f"is not finite {self.where(~np.isfinite(g) * 1.0)}")
            return
        if self.loss is not None:
            yield from self.compare_with_loss()
            return
        jacobian, known = self.jacobian()
        if z.ndim > 1:
            asymmetric = np.abs(jacobian - jacobian.transpose(0, 2, 1)).max(axis=2) * known.all(axis=1, keepdims=True)
            if asymmetric.max() > 1e-2 * np.abs(jacobian).max():
                yield Finding(
                    "error",
                    "gradient",
                    "is the gradient of no loss: how the derivative of one class changes with the score of another"
                    f" differs from the reverse, {self.where(asymmetric)}",
                )
        # Where the score is far on the wrong side, the way down is known.
        if self.problem.kind == "multiclass":
            expected = np.where(np.arange(z.shape[1]) == y[:, None], -1, 1)
            counted = expected == -1
        elif self.problem.kind == "binary":
            expected = np.where(y > 0, -1, 1)
            counted = (np.sign(z) == expected) & (np.abs(z) > 1)
        else:
            expected = np.sign(z - y)
            counted = np.abs(z - y) > np.std(z - y) / 2
        signs = (np.sign(g) * expected)[counted & (g != 0)]
        if signs.size and (signs < 0).mean() > 0.9:
            other = "; CatBoost climbs, and wants minus the gradient" if self.objective.signature == "catboost" else ""
            yield Finding("error", "gradient", f"has the wrong sign: it points away from the target{other}")
        elif signs.size and (signs < 0).any() and self.problem.kind != "regression":
            wrong = (np.sign(g) * expected < 0) & counted
            yield Finding(
                "warning",
                "gradient",
                f"points away from the target in {100 * (signs < 0).mean():.0f} % of the rows whose score is on the"
                f" wrong side, most {self.where(wrong * np.abs(g))}",
            )

    def values(self, z: NDArray[Any]) -> NDArray[Any]:
        if self.is_ours:
            target = self.problem.y.astype(int) if isinstance(self.loss, RowwiseLoss) else self.problem.y
            return np.asarray(self.loss(z, target, reduction="none"), np.float64)
        return np.asarray(self.loss(z, self.problem.y.copy()), np.float64)

    def slope_of_loss(self, z: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """The gradient that the loss has at these scores; and where it could be told."""
        slope, known = np.zeros(z.shape), np.ones(z.shape, bool)
        if self.values(z).size == 1:  # a sum: row by row
            for position in np.ndindex(*z.shape):
                unit = np.zeros(z.shape)
                unit[position] = 1
                slope[position], known[position] = derivative(self.values, z, unit)
        else:
            for unit in units(z):
                column = unit.astype(bool)
                slope[column], known[column] = derivative(self.values, z, unit)
        return slope, known

    def compare_with_loss(self) -> Iterator[Finding]:
        z, g = self.problem.z, self.gradient
        slope, known = self.slope_of_loss(z)
        if matches(g, slope, known):
            yield from self.compare_far_out()
            return
        p = sigmoid(z)
        scale = ratio(g, slope, known)
        if scale is not None and scale < 0 and np.isclose(scale, -1, rtol=1e-2):
            yield Finding("error", "gradient", "has the wrong sign: it is minus the gradient of the loss")
        elif scale is not None and np.isclose(scale * len(z), 1, rtol=1e-2):
            yield Finding("error", "gradient", "is that of the mean: boosters want each row's own gradient")
        elif scale is not None:
            yield Finding("error", "gradient", f"is {scale:.4g} times the gradient of the loss")
        elif self.problem.kind == "binary" and matches(g * p * (1 - p), slope, known):
            yield Finding("error", "gradient", IN_PROBABILITY)
        else:
            wrong = np.abs(g - slope) * known
            place = np.unravel_index(np.argmax(wrong), wrong.shape)
            yield Finding(
                "error",
                "gradient",
                f"is {g[place]:.6g} where the slope of the loss is {slope[place]:.6g}, {self.where(wrong)}",
            )

    def compare_far_out(self) -> Iterator[Finding]:
        """Probabilities and exponents are often clipped where ordinary scores do not come."""
        y, far = self.problem.y, FAR * self.problem.z
        g, (slope, known) = self.at(far)[0], self.slope_of_loss(far)
        if np.isfinite(g).all() and not matches(g, slope, known):
            wrong = np.abs(g - slope) * known
            place = np.unravel_index(np.argmax(wrong), wrong.shape)
            yield Finding(
                "error",
                "gradient",
                f"is {g[place]:.6g} where the slope of the loss is {slope[place]:.6g}, at z = {far[place]:.4g},"
                f" y = {y[place[0]]:.6g}, and right nearer to 0: are probabilities or exponents clipped?",
            )

    def jacobian(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """d gradient / d score: (n,), or (n, K, K) with the score last; and where it could be told."""
        z = self.problem.z
        changes = [derivative(lambda scores: self.at(scores)[0], z, unit) for unit in units(z)]
        if z.ndim == 1:
            return changes[0]
        known = np.all([sure for _, sure in changes], axis=0)
        return np.stack([change for change, _ in changes], axis=2), known

    def check_hessian(self) -> Iterator[Finding]:
        z, y, g, h = self.problem.z, self.problem.y, self.gradient, self.hessian
        if not np.isfinite(h).all():
            yield Finding("error", "hessian", f"is not finite {self.where(~np.isfinite(h) * 1.0)}")
            return
        jacobian, known = self.jacobian()
        slope = jacobian if z.ndim == 1 else np.diagonal(jacobian, axis1=1, axis2=2)
        if known.mean() < 0.7:
            yield Finding(
                "error", "gradient", "is rough: it changes by jumps, or loses its digits, between nearby scores"
            )
            return
        negative = (h < -1e-12 * np.abs(h).max()) & known
        if matches(h, slope, known):
            if negative.any():
                yield Finding(
                    "warning",
                    "hessian",
                    f"is the slope of the gradient, and negative in {100 * negative.mean():.0f} % of the rows, most"
                    f" {self.where(-h * negative)}: boosters divide by its sum. Take a bound that is not negative",
                )
            return
        scale = ratio(h, slope, known)
        p = sigmoid(z) if z.ndim == 1 else softmax(z)
        other = np.where(y > 0, p, 1 - p) if z.ndim == 1 else np.where(np.arange(z.shape[1]) == y[:, None], p, 1 - p)
        n_classes = z.shape[1] if z.ndim > 1 else 2
        silent = [np.abs(g) * other, np.abs(slope)]  # Gauss-Newton of a sigmoid or softmax; curvature without its sign
        if self.problem.kind == "regression":
            silent.append(np.where(z == y, h, g / (z - y)))  # reweighted least squares
        if self.is_ours:
            target = y.astype(int) if isinstance(self.loss, RowwiseLoss) else y
            for curvature in self.loss.curvatures[1:]:
                silent.append(self.loss.gradient_and_hessian(z, target, reduction="none", curvature=curvature)[1])
        if any(matches(h, each, known) for each in silent) or floored(h, slope, known):
            return
        is_bound = bool(np.all(h >= slope - 1e-3 * np.abs(slope).max(), where=known)) and not negative.any()
        if scale is not None and scale < 0:
            yield Finding("error", "hessian", "has the wrong sign: it is minus the slope of the gradient")
        elif scale is not None and z.ndim > 1 and near(scale, 2, n_classes / (n_classes - 1)):
            whose = "XGBoost" if near(scale, 2) else "LightGBM"
            yield Finding("note", "hessian", f"is {scale:.4g} times the slope of the gradient, as {whose}'s own is")
        elif scale is not None:
            yield Finding(
                "warning" if scale > 1 else "error",
                "hessian",
                f"is {scale:.4g} times the slope of the gradient: steps are {1 / scale:.4g} times as long as Newton's",
            )
        elif z.ndim == 1 and matches(h * p * (1 - p), slope, known):
            yield Finding("error", "hessian", IN_PROBABILITY)
        elif z.ndim == 1 and matches(h, z * (1 - z), known):
            yield Finding("error", "hessian", "is p (1 - p) with the raw score in the place of the probability p")
        elif zero := [f"{label:g}" for label in np.unique(y) if not h[y == label].any() and slope[y == label].any()]:
            if len(zero) == len(np.unique(y)):
                yield Finding("error", "hessian", "is 0 everywhere: no tree can be grown")
            else:
                yield Finding(
                    "error",
                    "hessian",
                    f"is 0 for all rows with target {', '.join(zero)}, where the slope of the gradient is up to"
                    f" {np.abs(slope[np.isin(y, [float(each) for each in zero])]).max():.4g}",
                )
        elif np.ptp(h) < 1e-9 * np.abs(h).max() and h.flat[0] > 0:
            if not is_bound:
                yield Finding(
                    "warning",
                    "hessian",
                    f"is {h.flat[0]:.4g} everywhere, less than the slope of the gradient {self.where(slope)}: steps"
                    " may be too long",
                )
        elif is_bound:
            yield Finding(
                "note",
                "hessian",
                "is larger than the slope of the gradient, which is safe; steps are shorter than Newton's, most"
                f" {self.where(np.where(known, h - slope, 0))}",
            )
        else:
            wrong = np.abs(h - slope) * known
            place = np.unravel_index(np.argmax(wrong), wrong.shape)
            logistic = z.ndim == 1 and matches(h, p * (1 - p), known)
            yield Finding(
                "error",
                "hessian",
                f"is {h[place]:.6g} where the slope of the gradient is {slope[place]:.6g}, {self.where(wrong)}"
                + (": it is p (1 - p), that of the logistic loss" if logistic else ""),
            )

    # ------------------------------------------------------------------ far out

    def check_large_scores(self) -> Iterator[Finding]:
        z, y = self.problem.z, self.problem.y
        growth = 1.0
        # What is exp of a column, and again exp of that, overflows rightly farther out.
        for size in (3.0,) if self.problem.kind == "columns" else (8.0, 30.0, 100.0, 800.0, 1e4):
            far = size * np.where(np.arange(z.size).reshape(z.shape) % 3 == 0, 1.0, -1.0)
            if z.ndim > 1:
                far = far + 1e-3 * size * np.arange(z.shape[1])  # at a tie a curvature may be infinite, and rightly
            far = np.concatenate([far, -far])
            targets = np.concatenate([y, y])
            if z.ndim == 1 and self.problem.kind == "regression":
                far = far + targets
                if self.is_ours and self.loss.traits.link == "identity" and self.loss.target_domain != "any":
                    far = np.abs(far)  # there are no predictions below the targets' domain
            g, h = self.at(far, targets)
            for name, array in (("gradient", g), ("Hessian", h)):
                broken = np.isnan(array) | (np.isinf(array) & (growth < 1e6))
                if broken.any():
                    row = np.argwhere(broken)[0][0]
                    yield Finding(
                        "error",
                        "large scores",
                        f"the {name} is {array[broken].flat[0]} at z = {far[row]}, y = {targets[row]:g}:"
                        " the formula overflows, or takes the logarithm of 0",
                    )
                    return
            finite = g[np.isfinite(g)]
            growth = max(growth, float(np.abs(finite).max(initial=0)))
            stuck = (h == 0) & (np.abs(g) > 1e-3)
            # Beyond, 1 - p is 0 for everybody who computes it as it stands.
            if size * z.ndim <= 30 and stuck.any() and self.hessian.any():
                row = np.argwhere(stuck)[0][0]
                yield Finding(
                    "warning",
                    "large scores",
                    f"the Hessian is 0 at z = {far[row]}, y = {targets[row]:g}, where the gradient is"
                    f" {g[stuck].flat[0]:.4g}: such rows drop out of min_child_weight and make steps too long",
                )
                return

    def check_confident_scores(self) -> Iterator[Finding]:
        """A gradient that never ends, however right the score, belongs to a loss that falls for ever."""
        y, several = self.problem.y, self.problem.z.ndim > 1
        own = np.arange(self.problem.z.shape[1]) == y[:, None] if several else None
        direction = np.ones(len(y)) if several else np.where(y > 0, 1.0, -1.0)
        ends = []
        for score in (30.0, 100.0):
            g = self.at(score * (direction if own is None else own))[0]
            ends.append(g if own is None else g[own])
        pull, size = -ends[1] * direction, np.abs(self.gradient).max()
        endless = (pull > 1e-6 * size) & np.isclose(ends[0], ends[1], rtol=1e-6, atol=0)
        if endless.any():
            row = int(np.argmax(endless))
            yield Finding(
                "error" if pull.max() > 1e-3 * size else "warning",
                "confident scores",
                f"the gradient of y = {y[row]:g} stays at {ends[1][row]:.3g} however far on the right side its score"
                " is, so that scores grow for ever: is the probability clipped?",
            )

    def check_probability(self) -> Iterator[Finding]:
        """Boosters hand over raw scores; a formula of probabilities leaves [0, 1] or is clipped there."""
        inside, below, above = np.linspace(0.05, 0.95, 10), np.linspace(-5, -0.01, 10), np.linspace(1.01, 6, 10)
        for label in (0.0, 1.0):
            ends = [self.at(z, np.full(10, label))[0] for z in (inside, below, above)]
            finite = [np.isfinite(g).all() for g in ends]
            poles = np.abs(self.at(np.array([1e-9, 1 - 1e-9]), np.full(2, label))[0])
            what = ""
            if finite[0] and not (finite[1] and finite[2]):
                what = "the gradient is not finite below 0 or above 1"
            elif np.ptp(ends[1]) == 0 and np.ptp(ends[2]) == 0 and np.ptp(ends[0]) > 0:
                what = "the gradient is constant below 0 and above 1"
            elif finite[0] and not poles.max() <= 1e4 * np.abs(ends[0]).max():
                what = "the gradient has a pole at a score of 0 or 1"
            if what:
                yield Finding(
                    "error",
                    "probability",
                    f"takes the raw score for a probability: {what}. Boosters hand over raw scores; take their"
                    " sigmoid first",
                )
                return

    # ------------------------------------------------------------------ weights

    def check_weights(self) -> Iterator[Finding]:
        z, y = self.problem.z, self.problem.y
        if not self.objective.takes_weights:
            how = {
                "lightgbm": "takes no weights, and LightGBM ignores them without a word: add a third argument, weight",
                "xgboost": "takes no weights: add an argument named sample_weight",
            }.get(self.objective.signature, "takes no weights")
            yield Finding("error", "weights", f"{how}, and multiply gradient and Hessian by it")
            return
        w = np.random.default_rng(2).uniform(0.5, 3.0, len(z)).astype(np.float32)
        per_row = w if z.ndim == 1 else w[:, None]
        weighted = self.objective(z.copy(), y.copy(), w)
        for name, found, plain in zip(("gradient", "Hessian"), weighted, (self.gradient, self.hessian), strict=True):
            if alike(found, plain * per_row, 1e-4):
                continue
            if alike(found, plain):
                what = "ignores the sample weights"
            elif alike(found, plain * per_row**2, 1e-4):
                what = "is multiplied by the sample weights twice"
            else:
                what = "is not the one without weights times the weights"
            yield Finding("error", "weights", f"the {name} {what}")
        if self.objective.signature in ("lightgbm", "native", "catboost"):
            # LightGBM and CatBoost pass None where there are no weights; XGBoost's get_weight() an empty array.
            absent = [None, np.empty(0, np.float32)] if self.objective.signature == "native" else [None]
            for missing in absent:
                try:
                    if alike(self.objective(z.copy(), y.copy(), missing)[0], self.gradient):
                        return
                except WrongAnswer as wrong:
                    why = str(wrong)
                else:
                    why = "the gradient is another one"
            yield Finding("error", "weights", f"fails where there are none (the weights are None): {why}")


IN_PROBABILITY = (
    "is a derivative with respect to the probability p; boosters need the one with respect to the raw score:"
    " multiply the gradient by p (1 - p), and derive once more for the Hessian"
)


def units(z: NDArray[Any]) -> list[NDArray[Any]]:
    """Directions in which all rows are moved at once: one per class."""
    if z.ndim == 1:
        return [np.ones(z.shape)]
    return [np.broadcast_to(np.arange(z.shape[1]) == k, z.shape).astype(float) for k in range(z.shape[1])]


def derivative(
    f: Callable[[NDArray[Any]], NDArray[Any]], z: NDArray[Any], direction: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The change of f along a direction, by differences of fourth order; and where two steps agree: not at kinks."""

    def difference(s: float) -> NDArray[Any]:
        ends = [f(z + step * s * direction) for step in (1, -1, 2, -2)]
        return np.asarray((8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * s))

    coarse, fine = difference(1e-2), difference(4e-3)
    size = np.abs(fine) + 1e-2 * np.nanmax(np.abs(fine), initial=0.0)
    return fine, np.abs(coarse - fine) <= 1e-2 * size


def alike(a: NDArray[Any], b: NDArray[Any], tolerance: float = 1e-5) -> bool:
    """Equal up to rounding, next to the largest entry; nan equals nan."""
    size = np.max(np.abs(b), initial=0.0, where=np.isfinite(b))
    return bool(np.allclose(a, b, rtol=tolerance, atol=1e-2 * tolerance * size, equal_nan=True))


def matches(found: NDArray[Any], expected: NDArray[Any], known: NDArray[Any]) -> bool:
    """Whether they agree as well as differences of derivatives in single precision can tell."""
    size = np.max(np.abs(expected), initial=0.0, where=known & np.isfinite(expected))
    close = np.isclose(found, expected, rtol=1e-2, atol=1e-3 * size)
    return bool(close[known].all())


def ratio(found: NDArray[Any], expected: NDArray[Any], known: NDArray[Any]) -> float | None:
    """The number c with ``found = c expected``, if there is one."""
    counted = known & (np.abs(expected) > 1e-2 * np.max(np.abs(expected), initial=0.0))
    if not counted.any():
        return None
    c = float(np.median(found[counted] / expected[counted]))
    return c if c and np.isfinite(c) and matches(found / c, expected, known) else None


def floored(h: NDArray[Any], slope: NDArray[Any], known: NDArray[Any]) -> bool:
    """Whether h is the slope, but at least some positive number."""
    floor = float(h.min())
    return floor > 0 and matches(h, np.maximum(slope, floor), known)


def near(x: float, *values: float) -> bool:
    return any(abs(x - value) < 1e-2 * value for value in values)
