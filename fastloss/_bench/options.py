"""The options of a call: what each changes in the arrays, the loss or the arguments of a plain one.

The suite `--options` holds the time of each against the plain value and gradient of the same shape and dtype.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .cases import KINDS, LOSSES, ROWS, Case, Problem

Change = Callable[[Problem, np.random.Generator], dict[str, Any]]
PLAIN = "plain"
LAST = 8  # the last axis of (n, classes, LAST)
COLUMNS = 10  # of a pointwise loss over a matrix
SETS = 1000  # of an overlap loss along axis 0
IGNORED = -100


@dataclass(frozen=True)
class Option:
    """What it changes, as fields of a problem; the most times plain that it is to take, and of some kernels."""

    change: Change
    aim: float | None = None
    aims: dict[str, float] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("float32", "float64")
    classes: int = 10**9


# ---- changes -----------------------------------------------------------------------------------------------------


def with_loss(**parameters: Any) -> Change:
    """Other parameters of the loss."""
    return lambda problem, random: {"loss": LOSSES[problem.case.kernel].replace(**parameters)}


def with_arguments(**arguments: Any) -> Change:
    """Other arguments of the call."""
    return lambda problem, random: {"arguments": arguments}


def weights_like(problem: Problem, random: np.random.Generator, dtype: Any = None) -> np.ndarray:
    """Return a weight for each row, or each element of a pointwise loss."""
    weights: np.ndarray = random.uniform(0.5, 1.5, np.shape(problem.t)).astype(dtype or problem.case.dtype)
    return weights


def sample_weight(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """A weight for each row or element, of the dtype of the predictions."""
    return {"arguments": {"sample_weight": weights_like(problem, random)}}


def float64_weight(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """The same in float64."""
    return {"arguments": {"sample_weight": weights_like(problem, random, np.float64)}}


def ignored(problem: Problem, random: np.random.Generator) -> np.ndarray:
    """Return the labels, every tenth ignored."""
    return np.where(random.random(problem.t.shape) < 0.1, IGNORED, problem.t)


def ignore_index(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """Every tenth row ignored."""
    return {"t": ignored(problem, random), "loss": LOSSES[problem.case.kernel].replace(ignore_index=IGNORED)}


def class_weights(problem: Problem, random: np.random.Generator) -> np.ndarray:
    """Return a weight for each class."""
    return random.uniform(0.5, 1.5, problem.case.shape[-1])


def class_weight(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """A weight for each class."""
    return {"loss": LOSSES[problem.case.kernel].replace(class_weight=class_weights(problem, random))}


def all_three(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """Weights of rows and of classes, every tenth row ignored."""
    loss = LOSSES[problem.case.kernel]
    return {
        "t": ignored(problem, random),
        "loss": loss.replace(class_weight=class_weights(problem, random), ignore_index=IGNORED),
        "arguments": {"sample_weight": weights_like(problem, random)},
    }


def probabilities(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """A probability for each class as the target."""
    t = random.standard_exponential(problem.z.shape, dtype=problem.z.dtype)
    t /= t.sum(axis=-1, keepdims=True)
    return {"t": t}


def hessian(curvature: str) -> Change:
    """The diagonal Hessian beside value and gradient."""

    def change(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
        arguments = {"curvature": curvature, "hessian_out": np.ones_like(problem.z)}
        return {"method": "value_gradient_and_hessian", "arguments": arguments}

    return change


def fortran(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """Predictions and gradient with each class in one piece; of a pointwise loss against targets that are not."""
    if KINDS[problem.case.kernel] in ROWS:
        return {"z": np.asfortranarray(problem.z), "out": np.asfortranarray(problem.out)}
    z, t, out = (each.reshape(-1, COLUMNS) for each in (problem.z, problem.t, problem.out))
    return {"z": np.asfortranarray(z), "t": t, "out": np.asfortranarray(out)}


def gaps(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """Rows of a wider matrix."""
    wide = np.ones((problem.z.shape[0], problem.z.shape[1] + 3), problem.z.dtype)
    wide[:, :-3] = problem.z
    return {"z": wide[:, :-3]}


def axis_1(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """Classes on axis 1 of (n, classes, 8), as images have them."""
    rows, classes = problem.z.shape
    z = np.ascontiguousarray(problem.z.reshape(rows // LAST, LAST, classes).swapaxes(1, 2))
    return {"z": z, "t": problem.t.reshape(-1, LAST), "out": np.ones_like(z), "arguments": {"axis": 1}}


def labels(dtype: str) -> Change:
    """Labels of another integer type."""
    return lambda problem, random: {"t": problem.t.astype(dtype)}


def target(dtype: str) -> Change:
    """Targets of another type."""
    return lambda problem, random: {"t": (np.ceil(problem.t) if "int" in dtype else problem.t).astype(dtype)}


def halves(name: str) -> Change:
    """Predictions, targets that are no labels, and gradient in 16 bits."""

    def change(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
        dtype: Any = name
        if name == "bfloat16":
            from ml_dtypes import bfloat16 as dtype
        z, out, t = problem.z.astype(dtype), problem.out.astype(dtype), problem.t
        return {"z": z, "out": out, "t": t if t.dtype.kind == "i" else t.astype(dtype)}

    return change


def column(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """A column of (n, 2)."""
    pair = np.ones((problem.z.shape[0], 2), problem.z.dtype)
    pair[:, 0] = problem.z
    return {"z": pair[:, 0]}


def in_matrix(field_of: str, shape: tuple[int, int]) -> Change:
    """A matrix of predictions with one weight or target for each row (-1, 1), each column, or for all of them."""

    def change(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
        z, t, out = (each.reshape(-1, COLUMNS) for each in (problem.z, problem.t, problem.out))
        rows, columns = (len(z) if shape[0] < 0 else 1), (COLUMNS if shape[1] < 0 else 1)
        few = np.ascontiguousarray(t[:rows, :columns])
        if field_of == "t":
            return {"z": z, "out": out, "t": few}
        weight = random.uniform(0.5, 1.5, few.shape).astype(problem.case.dtype)
        return {"z": z, "out": out, "t": t, "arguments": {"sample_weight": weight}}

    return change


def soft_target(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """Targets between 0 and 1."""
    return {"t": random.random(problem.z.shape, dtype=problem.z.dtype)}


def axis_0(problem: Problem, random: np.random.Generator) -> dict[str, Any]:
    """A set in each column of (n, 1000)."""
    z, t, out = (each.reshape(-1, SETS) for each in (problem.z, problem.t, problem.out))
    return {"z": z, "t": t, "out": out, "arguments": {"axis": 0}}


# ---- the options, and of which losses they are measured -----------------------------------------------------------

HALVES = {name: Option(halves(name), 1.15, dtypes=("float32",)) for name in ("float16", "bfloat16")}
HESSIANS = {
    f"{curvature} Hessian": Option(hessian(curvature), 2.0, {"focal": 2.2})
    for curvature in ("exact", "psd", "majorize")
}

OF_CLASSES = {
    "sample_weight": Option(sample_weight, 1.4),
    "ignore_index": Option(ignore_index, 1.4),
    "class_weight": Option(class_weight, 1.5),
    "all three": Option(all_three, 1.7),
    "label_smoothing": Option(with_loss(label_smoothing=0.1), 1.6, {"focal": 3.0}),
    "probabilities": Option(probabilities, 2.2, {"focal": 3.5}),
    **HESSIANS,
    "F order": Option(fortran, 1.8),
    "rows with gaps": Option(gaps, 1.4),
    f"axis 1 of (n, classes, {LAST})": Option(axis_1, 1.1),
    "reduction='none'": Option(with_arguments(reduction="none"), 1.5),
    "int32 labels": Option(labels("int32"), 1.3),
    "int8 labels": Option(labels("int8"), 1.3, classes=128),
    **HALVES,
}

OF_ELEMENTS = {
    "sample_weight": Option(sample_weight, 1.5),
    "float64 sample_weight": Option(float64_weight, 2.0, dtypes=("float32",)),
    "a weight a row": Option(in_matrix("weight", (-1, 1)), 1.25),
    "a weight a column": Option(in_matrix("weight", (1, -1)), 1.25),
    "a scalar weight": Option(in_matrix("weight", (1, 1)), 1.25),
    "a target a row": Option(in_matrix("t", (-1, 1)), 1.25),
    "a target a column": Option(in_matrix("t", (1, -1)), 1.25),
    "a scalar target": Option(in_matrix("t", (1, 1)), 1.25),
    "int64 target": Option(target("int64"), 1.5),
    "float64 target": Option(target("float64"), 1.5, dtypes=("float32",)),
    "a column of (n, 2)": Option(column, 1.9),
    "F order against C order": Option(fortran, 3.0),
    **{name: replace(option, aim=1.6, aims={}) for name, option in HESSIANS.items()},
    "reduction='none'": Option(with_arguments(reduction="none"), 1.5),
    **HALVES,
}

OF_SETS = {
    "sample_weight": Option(sample_weight),
    "soft target": Option(soft_target),
    f"axis 0 of (n, {SETS:,})": Option(axis_0),
    **{name: replace(option, aim=1.15) for name, option in HALVES.items()},
}

# Other losses of classes against plain cross-entropy: "its own".
OWN = "against cross_entropy"
AGAINST = {"multiclass_hinge": 1.4, "poly1": 1.5, "generalized_cross_entropy": 1.5, "focal": 1.5, "kl_divergence": 3.2}
OF_LOSSES = {OWN: Option(lambda problem, random: {}, None, AGAINST)}

OPTIONS = {"classes": OF_CLASSES, "element": OF_ELEMENTS, "set": OF_SETS}

ELEMENT_KERNELS = ("huber", "binary_cross_entropy", "binary_focal", "poisson", "gamma", "tweedie", "log_cosh", "hinge")
ROW_SHAPES = (
    (1_000_000, 2), (400_000, 10), (40_000, 100), (4_000, 1_000), (96, 32_000), (40, 128_256),
)  # fmt: skip
QUICK_SHAPES = ((40_000, 10), (4_000, 100))


def kind_of(kernel: str) -> str:
    """Return which options a kernel has."""
    kind = KINDS[kernel]
    return kind if kind == "set" else "classes" if kind in ROWS else "element"


def option_of(kernel: str, name: str) -> Option:
    """Return the option of a kernel."""
    return OF_LOSSES[OWN] if name == OWN else OPTIONS[kind_of(kernel)][name]


def aim_of(kernel: str, name: str) -> float | None:
    """Return the most times plain that an option of a kernel is to take."""
    option = option_of(kernel, name)
    return option.aims.get(kernel, option.aim)


def can(kernel: str, name: str) -> bool:
    """Whether there is such a call: kinds of curvature that the loss has, bfloat16 where NumPy knows it."""
    if name.endswith(" Hessian"):
        return name.split()[0] in getattr(LOSSES[kernel], "curvatures", ())
    return name != "bfloat16" or importlib.util.find_spec("ml_dtypes") is not None


def option_cases(quick: bool) -> Iterator[Case]:
    """Every option, the quickest losses first."""
    elements = 400_000 if quick else 4_000_000
    plan: list[tuple[str, tuple[int, ...]]] = [
        *((kernel, (elements,)) for kernel in (ELEMENT_KERNELS[:2] if quick else ELEMENT_KERNELS)),
        ("dice", (elements,)),
        *(
            (kernel, shape)
            for kernel in (("cross_entropy",) if quick else ("cross_entropy", "focal"))
            for shape in (QUICK_SHAPES if quick else ROW_SHAPES)
        ),
    ]
    for kernel, shape in plan:
        for dtype in ("float32",) if quick else ("float32", "float64"):
            for name, option in OPTIONS[kind_of(kernel)].items():
                # (An element's shape has no classes.)
                if dtype in option.dtypes and shape[1:] < (option.classes,) and can(kernel, name):
                    yield Case("options", kernel, shape, dtype, option=name)
    for kernel in AGAINST:
        for shape in QUICK_SHAPES if quick else ROW_SHAPES:
            for dtype in ("float32",) if quick else ("float32", "float64"):
                yield Case("options", kernel, shape, dtype, baseline="cross_entropy", option=OWN)


def plain_case(case: Case) -> Case:
    """Return the plain case that an option is held against."""
    return replace(case, kernel=case.baseline or case.kernel, option="")


def with_option(problem: Problem) -> Problem:
    """Return the problem with what the option of its case changes."""
    if not problem.case.option:
        return problem
    change = option_of(problem.case.kernel, problem.case.option).change
    return replace(problem, **change(problem, np.random.default_rng(1)))
