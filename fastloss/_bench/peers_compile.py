"""torch.compile: forward and backward fused by its compiler; it has no way to reuse outputs."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from .cases import KINDS, Problem
from .peers import Peer
from .peers_torch import FUNCTIONS, LOSSES, autograd


def peers(problem: Problem, n_threads: int) -> Iterator[Peer]:
    """Yield torch.compile's way to answer a problem, compiled for this very shape."""
    torch.set_num_threads(n_threads)
    kernel = problem.case.kernel
    if problem.case.want == "value" or problem.case.outputs == "reused":
        return
    z = torch.from_numpy(problem.z)
    if "function" in KINDS[kernel]:
        function = torch.compile(FUNCTIONS[kernel], dynamic=False)
        yield Peer("torch.compile", "users", "fresh", lambda: (None, function(z)))
    else:
        loss = torch.compile(LOSSES[kernel], dynamic=False)
        yield Peer("torch.compile", "users", "fresh", autograd(loss, z, torch.from_numpy(problem.t)))
