"""JAX with Optax, jitted; it has no way to reuse outputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

# XLA reports at length, on stderr, each compilation that takes seconds; it reads this once, when imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jax.numpy as jnp
import optax
from cases import KINDS, Problem
from peers import Peer

jax.config.update("jax_enable_x64", True)


def focal(z: jax.Array, t: jax.Array) -> jax.Array:
    """Focal loss of softmax, gamma 2; Optax has none."""
    log_p = jnp.take_along_axis(jax.nn.log_softmax(z), t[:, None], -1)[:, 0]
    return jnp.mean(-jnp.square(1 - jnp.exp(log_p)) * log_p)


LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "huber": lambda z, t: optax.losses.huber_loss(z, t, delta=1.0).mean(),
    "squared_error": lambda z, t: optax.losses.squared_error(z, t).mean(),
    "absolute_error": lambda z, t: jnp.abs(z - t).mean(),
    "binary_cross_entropy": lambda z, t: optax.losses.sigmoid_binary_cross_entropy(z, t).mean(),
    "binary_focal": lambda z, t: optax.losses.sigmoid_focal_loss(z, t, alpha=None, gamma=2.0).mean(),
    "cross_entropy": lambda z, t: optax.losses.softmax_cross_entropy_with_integer_labels(z, t).mean(),
    "focal": focal,
}

FUNCTIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "log_softmax": jax.nn.log_softmax,
    "softmax": jax.nn.softmax,
    "logsumexp": lambda x: jax.nn.logsumexp(x, axis=-1),
    "sigmoid": jax.nn.sigmoid,
    "log_sigmoid": jax.nn.log_sigmoid,
}


def peers(problem: Problem, n_threads: int) -> Iterator[Peer]:
    """Yield JAX's way to answer a problem; XLA chooses its threads itself."""
    kernel, want = problem.case.kernel, problem.case.want
    if want != "value" and problem.case.outputs == "reused":
        return
    arrays = [jnp.asarray(array) for array in (problem.z, problem.t) if array is not None]
    if "function" in KINDS[kernel]:
        function = jax.jit(FUNCTIONS[kernel])
        run: Callable[[], Any] = lambda: (None, function(*arrays))
    elif want == "value":
        loss = jax.jit(LOSSES[kernel])
        run = lambda: (loss(*arrays), None)
    else:
        value_and_gradient = jax.jit(jax.value_and_grad(LOSSES[kernel]))
        run = lambda: value_and_gradient(*arrays)
    yield Peer("jax", "users", "fresh", lambda: jax.block_until_ready(run()))
