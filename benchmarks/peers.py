"""The peers: who else answers a case, on the same arrays, with the same answer.

A library that is not installed is left out. Each module `peers_<library>.py` has a table of its losses and a
function `peers(problem, n_threads)` that yields the peers it has for a problem.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from cases import KINDS, Case, Problem

# The modules of peers, and the distributions each one needs.
LIBRARIES = {
    "peers_torch": ("torch",),
    "peers_jax": ("jax", "optax"),
    "peers_sklearn": ("scikit-learn",),
    "peers_scipy": ("scipy",),
}

# Peers sum float32 in float32, and 1 - p in float32 has no more digits than these.
VALUE_TOLERANCE = {"float32": 1e-3, "float64": 1e-8}
ARRAY_TOLERANCE = {"float32": 2e-5, "float64": 1e-10}


@dataclass(frozen=True)
class Peer:
    """One way to answer a problem: `call` returns (value, array), None for what was not asked."""

    name: str
    group: str
    outputs: str
    call: Callable[[], tuple[Any, Any]]
    scale: float = 1.0


def load_libraries() -> tuple[list[Any], dict[str, str]]:
    """Import the peers' modules that can be, and return them with the versions of their libraries."""
    modules, versions = [], {}
    for module, distributions in LIBRARIES.items():
        try:
            modules.append(importlib.import_module(module))
        except ModuleNotFoundError as error:
            print(f"{error.name} is not installed: no {' and '.join(distributions)} among the peers", file=sys.stderr)
            continue
        versions |= {name: importlib.metadata.version(name) for name in distributions}
    return modules, versions


def peers_of(modules: list[Any], problem: Problem, n_threads: int) -> list[Peer]:
    """Collect the peers of a problem that treat outputs as the case does; a value alone has no outputs."""
    found = [peer for module in modules for peer in module.peers(problem, n_threads)]
    return [peer for peer in found if problem.case.want == "value" or peer.outputs == problem.case.outputs]


def difference(ours: tuple[Any, Any], peer: Peer, case: Case) -> str | None:
    """Compare a peer's answer with ours; return what differs, or None.

    Values are compared relatively, arrays element by element against their largest element. The gradient of a set
    loss is as exact as the peer's sums.
    """
    dtype = case.dtype
    array_tolerance = (VALUE_TOLERANCE if KINDS[case.kernel] == "set" else ARRAY_TOLERANCE)[dtype]
    value, array = peer.call()
    if ours[0] is not None:
        error = abs(float(value) - ours[0]) / max(abs(ours[0]), np.finfo(dtype).tiny)
        if not error <= VALUE_TOLERANCE[dtype]:
            return f"value {float(value):.9g} instead of {ours[0]:.9g}"
    if ours[1] is not None:
        # In place, for these arrays can be gigabytes.
        gap = np.multiply(np.asarray(array).reshape(ours[1].shape), ours[1].dtype.type(peer.scale))
        gap -= ours[1]
        error = max(gap.max(), -gap.min()) / max(ours[1].max(), -ours[1].min(), np.finfo(dtype).tiny)
        if not error <= array_tolerance:
            return f"arrays differ by {error:.2g} of the largest element"
    return None
