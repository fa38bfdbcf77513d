"""SciPy's special functions; it has no gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import special

from .cases import Problem
from .peers import Peer

FUNCTIONS: dict[str, Callable[[np.ndarray], Any]] = {
    "log_softmax": lambda x: special.log_softmax(x, axis=-1),
    "softmax": lambda x: special.softmax(x, axis=-1),
    "logsumexp": lambda x: special.logsumexp(x, axis=-1),
    "sigmoid": special.expit,
    "log_sigmoid": special.log_expit,
}
UFUNCS = ("sigmoid", "log_sigmoid")
VALUES: dict[str, Callable[..., Any]] = {"huber": special.huber, "pseudo_huber": special.pseudo_huber}


def peers(problem: Problem, n_threads: int) -> Iterator[Peer]:
    """Yield SciPy's way to answer a problem: fresh outputs, and reused ones where the function is a ufunc."""
    kernel, z = problem.case.kernel, problem.z
    if kernel in VALUES and problem.case.want == "value":
        yield Peer("scipy", "users", "fresh", lambda: (np.mean(VALUES[kernel](1.0, z - problem.t)), None))
    if kernel not in FUNCTIONS:
        return
    function = FUNCTIONS[kernel]
    if problem.case.outputs == "fresh":
        yield Peer("scipy", "users", "fresh", lambda: (None, function(z)))
    elif kernel in UFUNCS:
        out = np.ones_like(z)
        yield Peer("scipy", "users", "reused", lambda: (None, function(z, out=out)))
