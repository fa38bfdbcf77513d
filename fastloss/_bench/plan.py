"""What is run: the cases, and which library answers them on how many threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from .cases import CORE, KINDS, LOSSES, ROWS, Case

# Over all sizes, and in a quick run.
SWEPT = ("squared_error", "huber", "binary_cross_entropy", "cross_entropy", "focal", "log_softmax")
QUICK = ("huber", "binary_cross_entropy", "cross_entropy", "log_softmax")
ALONE = "fastloss"
# The text-book takes float64, and minutes for more.
LARGEST = {"reference": 10**7}
# In a quick run, what one leaves of its share of the time is the next one's: TensorFlow takes long to import.
ORDER = (ALONE, "reference", "scipy", "numexpr", "torch", "jax", "sklearn", "tensorflow", "compile")


@dataclass(frozen=True)
class Task:
    """The cases that one process answers, of a library next to fastloss (or fastloss alone) on so many threads."""

    library: str
    threads: int
    cases: tuple[Case, ...]


def case_of(section: str, kernel: str, n: int, **options: Any) -> Case:
    """Return a case of `n` predictions, ten classes a row."""
    shape = (max(1, n // 10), 10) if KINDS[kernel] in ROWS else (n,)
    return Case(section, kernel, shape, want="value+gradient" if kernel in LOSSES else "array", **options)


def all_cases(quick: bool) -> Iterator[Case]:
    """Every case, the quickest first. "large" has a size that no cache holds, but for peers in a quick run."""
    for kernel in QUICK if quick else CORE:
        yield case_of("call", kernel, 10, outputs="fresh")
    for kernel in QUICK if quick else KINDS:
        for dtype in ("float32",) if quick or kernel not in CORE else ("float32", "float64"):
            yield (reused := case_of("large", kernel, 10**7, dtype=dtype, outputs="reused"))
            yield (fresh := case_of("large", kernel, 10**6 if quick else 10**7, dtype=dtype, outputs="fresh"))
            if kernel in ("cross_entropy", "log_softmax") and dtype == "float32" and not quick:
                yield from (replace(case, shape=(1000, 32_000)) for case in (reused, fresh))
    for kernel in QUICK if quick else CORE:
        yield case_of("memory", kernel, 10**6 if quick else 10**7, outputs="fresh")
    # (10**7 stands among the large ones.)
    for exponent in (3, 5) if quick else (2, 3, 4, 5, 6, 8):
        for kernel in QUICK if quick else SWEPT:
            yield case_of("sweep", kernel, 10**exponent, outputs="fresh")


def thread_counts(most: int) -> list[int]:
    """Return 1, 2, 4 and so on, and as many as there are."""
    return sorted({most, *(2**exponent for exponent in range(most.bit_length()))} - {0})


def is_for(case: Case, library: str, threads: int, most_threads: int, quick: bool) -> bool:
    """Whether a library answers a case on so many threads."""
    if case.option:
        return threads == most_threads and library in (ALONE, "torch")
    if quick and library != ALONE and (threads != most_threads or library == "compile" or case.outputs == "reused"):
        return False
    if threads != most_threads:
        # How the large ones scale; peers on one thread, for those who have many processes.
        scales = case.section == "large" and case.kernel in CORE and case.dtype == "float32"
        return scales and (case.outputs == "reused" if library == ALONE else threads == 1 and case.outputs == "fresh")
    if library == "compile":
        return case.section in ("call", "large") and case.kernel in CORE and case.dtype == "float32"
    return case.elements <= LARGEST.get(library, case.elements) and not (library in LARGEST and case.dtype == "float64")


def tasks_of(cases: list[Case], libraries: list[str], threads: list[int], quick: bool) -> list[Task]:
    """Return who answers which cases; fastloss alone all of them, each library those that it has."""
    tasks = [
        Task(library, n, tuple(case for case in cases if is_for(case, library, n, max(threads), quick)))
        for n in sorted(threads, reverse=True)
        for library in ORDER
        if library == ALONE or library in libraries
    ]
    # fastloss alone first: a quick run may have no time left for the others.
    return sorted((task for task in tasks if task.cases), key=lambda task: task.library != ALONE)
