"""What is measured: the kernels, one list of cases, and the targets they are held to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import fastloss as fl

# What a kernel works on: for losses the kind of target (`make_target`), and they return a value and a gradient; row
# functions and "element" functions return an array.
CORE = {
    "huber": "regression",
    "squared_error": "regression",
    "absolute_error": "regression",
    "binary_cross_entropy": "binary",
    "binary_focal": "binary",
    "cross_entropy": "classes",
    "focal": "classes",
    "log_softmax": "row function",
    "softmax": "row function",
    "logsumexp": "row function",
    "sigmoid": "element function",
    "log_sigmoid": "element function",
}

# Losses beyond the core.
CATALOGUE = {
    "hinge": "binary",
    "squared_hinge": "binary",
    "modified_huber": "binary",
    "exponential": "binary",
    "brier": "binary",
    "smooth_l1": "regression",
    "pseudo_huber": "regression",
    "log_cosh": "regression",
    "fair": "regression",
    "cauchy": "regression",
    "quantile": "regression",
    "expectile": "regression",
    "epsilon_insensitive": "regression",
    "squared_epsilon_insensitive": "regression",
    "poisson": "count",
    "gamma": "positive",
    "tweedie": "count",
    "multiclass_hinge": "classes",
    "kl_divergence": "distribution",
    "poly1": "classes",
    "generalized_cross_entropy": "classes",
    "tversky": "set",
    "dice": "set",
    "jaccard": "set",
    "soft_f1": "set",
}

KINDS = CORE | CATALOGUE
ROWS = ("classes", "distribution", "row function")

# Peers are set up with these same parameters.
LOSSES: dict[str, Any] = {
    "huber": fl.Huber(delta=1.0),
    "squared_error": fl.SquaredError(),
    "absolute_error": fl.AbsoluteError(),
    "binary_cross_entropy": fl.BinaryCrossEntropy(),
    "binary_focal": fl.BinaryFocal(gamma=2.0),
    "cross_entropy": fl.CrossEntropy(),
    "focal": fl.Focal(gamma=2.0),
    "hinge": fl.Hinge(),
    "squared_hinge": fl.SquaredHinge(),
    "modified_huber": fl.ModifiedHuber(),
    "exponential": fl.Exponential(),
    "brier": fl.Brier(),
    "smooth_l1": fl.SmoothL1(beta=1.0),
    "pseudo_huber": fl.PseudoHuber(delta=1.0),
    "log_cosh": fl.LogCosh(),
    "fair": fl.Fair(c=1.0),
    "cauchy": fl.Cauchy(c=1.0),
    "quantile": fl.Quantile(q=0.9),
    "expectile": fl.Expectile(q=0.9),
    "epsilon_insensitive": fl.EpsilonInsensitive(epsilon=0.1),
    "squared_epsilon_insensitive": fl.SquaredEpsilonInsensitive(epsilon=0.1),
    "poisson": fl.Poisson(),
    "gamma": fl.Gamma(),
    "tweedie": fl.Tweedie(power=1.5),
    "multiclass_hinge": fl.MulticlassHinge(margin=1.0),
    "kl_divergence": fl.KLDivergence(),
    "poly1": fl.Poly1(epsilon=1.0),
    "generalized_cross_entropy": fl.GeneralizedCrossEntropy(q=0.7),
    "tversky": fl.Tversky(alpha=0.3, beta=0.7, smooth=1.0),
    "dice": fl.Dice(smooth=1.0),
    "jaccard": fl.Jaccard(smooth=1.0),
    "soft_f1": fl.SoftF1(beta=2.0, smooth=1.0),
}


@dataclass(frozen=True)
class Case:
    """One thing to time, and its targets.

    Targets, each a least factor: "share" of the memory limit; speed against the best peer of a group
    ("users": what users write; "kernels": torch's own kernels chained by hand; "peers": any); "baseline": speed
    against fastloss's own `baseline` kernel on the same arrays.
    """

    section: str
    kernel: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    want: str = "value+gradient"
    outputs: str = "reused"
    targets: dict[str, float] = field(default_factory=dict, hash=False)
    baseline: str | None = None

    @property
    def name(self) -> str:
        """The case in words; `--filter` searches here."""
        return f"{self.section}/{self.kernel} {self.dtype} {self.shape_text} {self.want} {self.outputs}"

    @property
    def shape_text(self) -> str:
        """The shape as people write it: 1,000,000 x 10."""
        return " x ".join(f"{length:,}" for length in self.shape)

    @property
    def elements(self) -> int:
        """The number of predictions."""
        return int(np.prod(self.shape))

    def smaller(self, factor: int) -> Case:
        """Return the same case with fewer rows, for a quick look; its targets do not apply."""
        return replace(self, shape=(max(1, self.shape[0] // factor), *self.shape[1:]), targets={})


# The sections whose times are held against the memory limit.
LARGE = ("limits", "catalogue")


# ---- the arrays of a case --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """The arrays of a case: prediction, target (None for functions) and an output to reuse."""

    case: Case
    z: np.ndarray
    t: np.ndarray | None
    out: np.ndarray

    @property
    def bytes_read(self) -> int:
        """Bytes a perfect kernel reads; the gradient of a set loss needs the sums of the whole set first."""
        n_passes = 2 if KINDS[self.case.kernel] == "set" and self.case.want != "value" else 1
        return n_passes * (self.z.nbytes + (0 if self.t is None else self.t.nbytes))

    @property
    def bytes_written(self) -> int:
        """Bytes a perfect kernel writes."""
        return 0 if self.case.want == "value" else self.out.nbytes


def make_target(kind: str, shape: tuple[int, ...], dtype: str, random: np.random.Generator) -> np.ndarray | None:
    """Make targets in the one form that every peer takes: int64 class indices, or the prediction's dtype."""
    if kind == "regression":
        return random.standard_normal(shape, dtype=dtype)
    if kind in ("binary", "set"):
        return random.integers(0, 2, shape, dtype=np.int8).astype(dtype)
    if kind == "classes":
        return random.integers(0, shape[-1], shape[:-1])
    if kind == "count":
        return random.integers(0, 8, shape, dtype=np.int8).astype(dtype)
    if kind == "positive":
        return random.standard_exponential(shape, dtype=dtype) + np.asarray(0.01, dtype)
    if kind == "distribution":
        t = random.standard_exponential(shape, dtype=dtype)
        t /= t.sum(axis=-1, keepdims=True)
        return t
    return None


def avoid_kinks(kernel: str, z: np.ndarray, t: np.ndarray | None) -> None:
    """Change the few elements or rows at a kink, where each library chooses its own subgradient."""
    if KINDS[kernel] == "regression":
        t[t == z] += 1
    elif KINDS[kernel] == "binary":
        z[np.abs(z) == 1] = 0
    elif kernel == "multiclass_hinge":
        with_margin = z + z.dtype.type(1)
        rows = np.arange(len(z))
        with_margin[rows, t] = z[rows, t]
        second, largest = np.partition(with_margin, -2, axis=-1)[:, -2:].T
        z[second == largest] = np.arange(z.shape[-1]) * 0.3


def make_problem(case: Case) -> Problem:
    """Make the arrays of a case, always the same ones; the output is touched, so that its pages exist."""
    random = np.random.default_rng(0)
    z = random.standard_normal(case.shape, dtype=case.dtype)
    z *= 3
    out_shape = case.shape[:-1] if case.kernel == "logsumexp" else case.shape
    out = np.full(out_shape, 1, dtype=case.dtype)
    t = make_target(KINDS[case.kernel], case.shape, case.dtype, random)
    avoid_kinks(case.kernel, z, t)
    return Problem(case, z, t, out)


def our_call(problem: Problem, kernel: str | None = None) -> Callable[[], tuple[Any, Any]]:
    """Return the call of fastloss that answers a case, as a pair (value, array) with None for what is not asked."""
    kernel, z, t = kernel or problem.case.kernel, problem.z, problem.t
    out = problem.out if problem.case.outputs == "reused" else None
    if t is None:
        function = getattr(fl, kernel)
        return lambda: (None, function(z, out=out))
    loss = LOSSES[kernel]
    if problem.case.want == "value":
        return lambda: (loss(z, t), None)
    if out is None:
        return lambda: loss.value_and_gradient(z, t)
    return lambda: loss.value_and_gradient(z, t, gradient_out=out)


# ---- the list --------------------------------------------------------------------------------------------------

FEW_CLASSES = ((2_000_000, 2), (1_000_000, 10))
SOME_CLASSES = ((100_000, 100), (20_000, 1000))
MANY_CLASSES = ((1000, 32_000), (256, 128_256))
ALL_CLASSES = FEW_CLASSES + SOME_CLASSES + MANY_CLASSES

USERS = {"users": 4.0, "kernels": 2.0}
USERS_TEN = {"users": 10.0, "kernels": 2.0}

# kernel, shape, dtype, share of the memory limit, factors against the peers
VALUE_AND_GRADIENT: list[tuple[str, tuple[int, ...], str, float, dict[str, float]]] = [
    ("huber", (20_000_000,), "float32", 0.90, USERS),
    ("huber", (10_000_000,), "float64", 0.90, USERS),
    ("squared_error", (20_000_000,), "float32", 0.90, USERS),
    ("squared_error", (10_000_000,), "float64", 0.90, USERS),
    ("binary_cross_entropy", (20_000_000,), "float32", 0.80, USERS_TEN),
    ("binary_cross_entropy", (10_000_000,), "float64", 0.60, USERS_TEN),
    ("binary_focal", (20_000_000,), "float32", 0.75, USERS_TEN),
    ("binary_focal", (10_000_000,), "float64", 0.50, USERS_TEN),
    *(("cross_entropy", shape, "float32", 0.75, USERS) for shape in FEW_CLASSES),
    ("cross_entropy", SOME_CLASSES[0], "float32", 0.65, USERS),
    ("cross_entropy", SOME_CLASSES[1], "float32", 0.70, USERS),
    *(("cross_entropy", shape, "float32", 0.75, USERS) for shape in MANY_CLASSES),
    *(("cross_entropy", shape, "float64", 0.55, USERS) for shape in ALL_CLASSES),
]


def limit_cases() -> Iterator[Case]:
    """The targets at full size: each with outputs reused, where the memory limit counts, and with fresh ones."""
    for kernel, shape, dtype, share, factors in VALUE_AND_GRADIENT:
        yield Case("limits", kernel, shape, dtype, targets={"share": share, **factors})
        yield Case("limits", kernel, shape, dtype, outputs="fresh", targets=factors)
    for shape in MANY_CLASSES:
        yield Case("limits", "cross_entropy", shape, want="value", targets={"share": 0.85, "peers": 1.0})
    for shape in ALL_CLASSES:
        few = shape in FEW_CLASSES
        targets = {"share": 0.75 if few else 0.80, "kernels": 5.0 if few else 1.05}
        yield Case("limits", "log_softmax", shape, want="array", targets=targets)
        yield Case("limits", "log_softmax", shape, want="array", outputs="fresh", targets={"users": 1.0})
    for shape in ALL_CLASSES:
        focal = Case("limits", "focal", shape, targets={"baseline": 0.8}, baseline="cross_entropy")
        yield focal
        yield replace(focal, outputs="fresh", targets={"users": 10.0}, baseline=None)


# Those whose value and gradient need no exponential, logarithm or power.
PLAIN = {
    *("hinge", "squared_hinge", "modified_huber", "smooth_l1", "pseudo_huber", "quantile", "expectile"),
    *("epsilon_insensitive", "squared_epsilon_insensitive"),
}


def catalogue_cases() -> Iterator[Case]:
    """Each further loss once: against the memory limit with outputs reused, and what users write with fresh ones.

    Row-wise and set losses have no target there: a row's maximum or sum, and a second pass, come on top of the memory.
    """
    for kernel, kind in CATALOGUE.items():
        shape = (1_000_000, 10) if kind in ROWS else (10_000_000,)
        is_pointwise = kind not in ROWS and kind != "set"
        share = {"share": 0.90 if kernel in PLAIN else 0.70} if is_pointwise else {}
        yield Case("catalogue", kernel, shape, targets={**share, "peers": 1.0})
        yield Case("catalogue", kernel, shape, outputs="fresh", targets={"peers": 1.0})


def catalogue_sweep_cases(largest: int = 10**8) -> Iterator[Case]:
    """Each further loss at every size from 16 to 1e8 elements: nowhere behind the best peer."""
    for kernel, kind in CATALOGUE.items():
        for size in (16, *(10**exponent for exponent in range(2, 9))):
            if size > largest:
                continue
            shape = (max(1, size // 10), 10) if kind in ROWS else (size,)
            yield Case("catalogue-sweep", kernel, shape, outputs="fresh", targets={"peers": 1.0})
            if kernel == "pseudo_huber":  # SciPy has its value alone
                yield Case("catalogue-sweep", kernel, shape, want="value", outputs="fresh", targets={"peers": 1.0})


def small_cases() -> Iterator[Case]:
    """Calls where the work is nothing and the way to it everything.

    Element functions should not be behind, no more: SciPy's are ufuncs, and a call of one is all NumPy's machinery.
    """
    for kernel, kind in CORE.items():
        target = 1.0 if kind == "element function" else 4.0
        shapes = (
            [(1, 10), (16, 10), (64, 10)] if kind in ("classes", "row function") else [(1,), (10,), (100,), (1000,)]
        )
        for shape in shapes:
            for outputs in ("fresh", "reused"):
                want = "value+gradient" if kernel in LOSSES else "array"
                yield Case("small", kernel, shape, want=want, outputs=outputs, targets={"peers": target})


def sweep_cases(largest: int = 10**8) -> Iterator[Case]:
    """Every size from 1 to 1e8 elements by decades: nowhere behind any peer."""
    for kernel, kind in CORE.items():
        is_rowwise = kind in ROWS
        for n_classes in (2, 10, 1000) if is_rowwise else (1,):
            size = n_classes
            while size <= largest:
                shape = (size // n_classes, n_classes) if is_rowwise else (size,)
                want = "value+gradient" if kernel in LOSSES else "array"
                yield Case("sweep", kernel, shape, want=want, outputs="fresh", targets={"peers": 1.0})
                size *= 10


def all_cases(quick: bool) -> list[Case]:
    """Every case; a quick run has the same ones with few rows, and a short sweep."""
    largest = 10**5 if quick else 10**8
    cases = [
        *(*limit_cases(), *small_cases(), *sweep_cases(largest)),
        *(*catalogue_cases(), *catalogue_sweep_cases(largest)),
    ]
    return [case.smaller(32) if quick and case.section in LARGE else case for case in cases]
