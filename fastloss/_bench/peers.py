"""The peers: who else answers a case, on the same arrays, with the same answer.

Each module `peers_<library>.py` has a table of its losses and a function `peers(problem, n_threads)` that yields the
peers it has for a problem.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .cases import KINDS, Case, Problem

# The modules of peers; of each what it imports, and the distributions that pip knows these by.
LIBRARIES: dict[str, dict[str, str]] = {
    "reference": {},
    "torch": {"torch": "torch"},
    "compile": {"torch": "torch"},
    "jax": {"jax": "jax", "optax": "optax"},
    "tensorflow": {"tensorflow": "tensorflow", "keras": "keras"},
    "sklearn": {"sklearn": "scikit-learn"},
    "scipy": {"scipy": "scipy"},
    "numexpr": {"numexpr": "numexpr"},
}

# Peers sum float32 in float32, and 1 - p in float32 has no more digits than these.
VALUE_TOLERANCE = {"float32": 1e-3, "float64": 1e-8, "bfloat16": 2e-2}
ARRAY_TOLERANCE = {"float32": 2e-5, "float64": 1e-10, "bfloat16": 2e-2}


@dataclass(frozen=True)
class Peer:
    """One way to answer a problem: `call` returns (value, array), None for what was not asked."""

    name: str
    group: str
    outputs: str
    call: Callable[[], tuple[Any, Any]]
    scale: float = 1.0


def missing_from(library: str) -> list[str]:
    """Return the distributions that a module of peers needs and that are not installed."""
    return [pip_name for name, pip_name in LIBRARIES[library].items() if importlib.util.find_spec(name) is None]


def versions_of(library: str) -> dict[str, str]:
    """Return the versions of what a module of peers measures."""
    return {pip_name: importlib.import_module(name).__version__ for name, pip_name in LIBRARIES[library].items()}


def load_library(library: str) -> Any:
    """Import a module of peers."""
    return importlib.import_module(f".peers_{library}", __package__)


def load_libraries(libraries: Iterable[str]) -> tuple[list[Any], dict[str, str]]:
    """Import the peers' modules that can be, and return them with the versions of their libraries."""
    modules: list[Any] = []
    versions: dict[str, str] = {}
    for library in libraries:
        if missing := missing_from(library):
            print(f"no {library} among the peers: pip install {' '.join(missing)}", file=sys.stderr)
            continue
        modules.append(load_library(library))
        versions |= versions_of(library)
    return modules, versions


def peers_of(modules: list[Any], problem: Problem, n_threads: int) -> list[Peer]:
    """Collect the peers of a problem that treat outputs as the case does; a value alone has no outputs."""
    found = [peer for module in modules for peer in module.peers(problem, n_threads)]
    return [peer for peer in found if problem.case.want == "value" or peer.outputs == problem.case.outputs]


def agreeing_peers(
    problem: Problem, call: Callable[[], Any], modules: list[Any], n_threads: int
) -> tuple[list[Peer], list[str]]:
    """Return the peers whose answers are ours, and of the others what differs."""
    answer = call()
    peers, remarks = [], []
    for peer in peers_of(modules, problem, n_threads):
        differs = difference(answer, peer, problem.case)
        if differs is None:
            peers.append(peer)
        else:
            remarks.append(f"{peer.name}: {differs}")
    return peers, remarks


def difference(ours: tuple[Any, Any], peer: Peer, case: Case) -> str | None:
    """Compare a peer's answer with ours; return what differs, or None.

    Values are compared relatively, arrays element by element against their largest element. The gradient of a set
    loss is as exact as the peer's sums.
    """
    dtype = "bfloat16" if case.option == "bfloat16" else case.dtype
    array_tolerance = (VALUE_TOLERANCE if KINDS[case.kernel] == "set" else ARRAY_TOLERANCE)[dtype]
    value, array = peer.call()
    if ours[0] is not None:
        error = abs(float(value) - ours[0]) / max(abs(ours[0]), np.finfo(case.dtype).tiny)
        if not error <= VALUE_TOLERANCE[dtype]:
            return f"value {float(value):.9g} instead of {ours[0]:.9g}"
    if ours[1] is not None:
        # In place, for these arrays can be gigabytes.
        gap = np.multiply(np.asarray(array).reshape(ours[1].shape), np.dtype(case.dtype).type(peer.scale))
        gap -= ours[1]
        error = max(gap.max(), -gap.min()) / max(ours[1].max(), -ours[1].min(), np.finfo(case.dtype).tiny)
        if not error <= array_tolerance:
            return f"arrays differ by {error:.2g} of the largest element"
    return None
