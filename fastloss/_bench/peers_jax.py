"""JAX with Optax, jitted; it has no way to reuse outputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

# XLA reports at length, on stderr, each compilation that takes seconds; it reads this once, when imported.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax
import jax.numpy as jnp
import optax

from .cases import KINDS, Problem
from .formulas import formulas
from .peers import Peer

jax.config.update("jax_enable_x64", True)


OPERATIONS = SimpleNamespace(
    **{name: getattr(jnp, name) for name in "abs exp log1p sqrt square where maximum mean sum".split()},
    relu=jax.nn.relu,
    sigmoid=jax.nn.sigmoid,
    margin=lambda z, t: (2 * t - 1) * z,
    log_p=lambda z, t: jnp.take_along_axis(jax.nn.log_softmax(z), t[:, None], -1)[:, 0],
)


def poly1(z: jax.Array, t: jax.Array) -> jax.Array:
    """Poly-1, epsilon 1; Optax takes one-hot targets alone."""
    return optax.losses.poly_loss_cross_entropy(z, jax.nn.one_hot(t, z.shape[-1], dtype=z.dtype), epsilon=1.0).mean()


def tversky(alpha: float, beta: float) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Optax's Dice loss, of one set of logits."""
    options = {"smooth": 1.0, "alpha": alpha, "beta": beta, "axis": 0}
    return lambda z, t: optax.losses.dice_loss(z[:, None], t[:, None], **options)


LOSSES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    **formulas(OPERATIONS),
    "huber": lambda z, t: optax.losses.huber_loss(z, t, delta=1.0).mean(),
    "squared_error": lambda z, t: optax.losses.squared_error(z, t).mean(),
    "binary_cross_entropy": lambda z, t: optax.losses.sigmoid_binary_cross_entropy(z, t).mean(),
    "binary_focal": lambda z, t: optax.losses.sigmoid_focal_loss(z, t, alpha=None, gamma=2.0).mean(),
    "cross_entropy": lambda z, t: optax.losses.softmax_cross_entropy_with_integer_labels(z, t).mean(),
    "hinge": lambda z, t: optax.losses.hinge_loss(z, 2 * t - 1).mean(),
    "smooth_l1": lambda z, t: optax.losses.huber_loss(z, t, delta=1.0).mean(),
    "log_cosh": lambda z, t: optax.losses.log_cosh(z, t).mean(),
    "multiclass_hinge": lambda z, t: optax.losses.multiclass_hinge_loss(z, t).mean(),
    "kl_divergence": lambda z, t: optax.losses.kl_divergence(jax.nn.log_softmax(z), t).mean(),
    "poly1": poly1,
    "tversky": tversky(0.3, 0.7),
    "dice": tversky(0.5, 0.5),
    "jaccard": tversky(1.0, 1.0),
    "soft_f1": tversky(0.2, 0.8),
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
