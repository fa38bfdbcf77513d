"""The cases of the core's benchmark: one list, and the targets they are held to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from fastloss._bench.cases import CATALOGUE, CORE, LOSSES, ROWS, Case

# The sections whose times are held against the memory limit.
LARGE = ("limits", "catalogue")

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
