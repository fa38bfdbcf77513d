"""The reference: `fastloss.reference`, plain NumPy in float64, which computes the Hessian as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastloss import reference

from .cases import KINDS, LOSSES, ROWS, Problem
from .peers import Peer


def peers(problem: Problem, n_threads: int) -> Iterator[Peer]:
    """Yield the text-book twin of a kernel, with its mean."""
    kernel, want = problem.case.kernel, problem.case.want
    if problem.case.outputs == "reused":
        return
    twin = getattr(reference, kernel)
    if "function" in KINDS[kernel]:
        yield Peer("reference", "users", "fresh", lambda: (None, twin(problem.z)))
        return
    n_values = 1 if KINDS[kernel] == "set" else len(problem.z) if KINDS[kernel] in ROWS else problem.z.size

    def call() -> tuple[Any, Any]:
        value, gradient, _ = twin(problem.z, problem.t, **LOSSES[kernel].parameters)
        return np.mean(value), None if want == "value" else gradient / n_values

    yield Peer("reference", "users", "fresh", call)
