"""
JAX on the CPU, through XLA's foreign functions: python benchmarks/jax_ffi.py [--sizes 16,10000,...] [--rounds N].

Builds examples/jax_ffi.c, makes a differentiable JAX function of it, and compares a jitted value_and_grad of the mean
with the same through `jax.pure_callback`, and with the loss written in JAX; in turns, on the same arrays, after values
and gradients are compared. Shortest times. A size is a number of elements, or rows x classes.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import platform
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from report import columns

import fastloss as fl
from fastloss._resolve import parse_loss

SOURCE = Path(__file__).resolve().parent.parent / "examples" / "jax_ffi.c"
SIZES = "16,10000,1000000,16x10,1000x10,100000x10"
BATCH = 2e-3


def register(folder: str) -> None:
    """Build the library, and tell XLA of its function."""
    library = Path(folder, "jax_ffi.so")
    includes = (sysconfig.get_path("include"), jax.ffi.include_dir(), fl.get_include())
    subprocess.run(
        ["cc", "-O2", "-shared", "-fPIC", "-o", library, SOURCE, *(f"-I{each}" for each in includes)], check=True
    )
    found = ctypes.PyDLL(str(library))  # stays loaded, as long as the process lives
    found.set_up()
    target = jax.ffi.pycapsule(found.value_and_gradient)
    jax.ffi.register_ffi_target("fastloss.value_and_gradient", target, platform="cpu")


def shapes(z: Any, loss: str) -> tuple[Any, Any]:
    """What a loss returns: values of elements or rows, and a gradient like the prediction."""
    shape = z.shape if parse_loss(loss).kind == "pointwise" else z.shape[:-1]
    return jax.ShapeDtypeStruct(shape, z.dtype), jax.ShapeDtypeStruct(z.shape, z.dtype)


def through_ffi(z: Any, t: Any, loss: str) -> Any:
    """Values and gradient in the program."""
    call = jax.ffi.ffi_call("fastloss.value_and_gradient", shapes(z, loss), vmap_method="broadcast_all")
    return call(z, t, loss=loss)


def through_callback(z: Any, t: Any, loss: str) -> Any:
    """Values and gradient in Python, which the program calls."""
    found = parse_loss(loss)

    def call(z: Any, t: Any) -> Any:
        return found.value_and_gradient(np.asarray(z), np.asarray(t), reduction="none")

    return jax.pure_callback(call, shapes(z, loss), z, t, vmap_method="broadcast_all")


def differentiable(through: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of (prediction, target, loss) that JAX differentiates by the prediction."""

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
    def values(z: Any, t: Any, loss: str) -> Any:
        return through(z, t, loss)[0]

    def forward(z: Any, t: Any, loss: str) -> Any:
        return through(z, t, loss)

    def backward(loss: str, gradient: Any, factor: Any) -> Any:
        return gradient * factor.reshape(factor.shape + (1,) * (gradient.ndim - factor.ndim)), None

    values.defvjp(forward, backward)
    return values


def huber(z: Any, t: Any) -> Any:
    """As optax writes it, delta = 1."""
    r = jnp.abs(z - t)
    q = jnp.minimum(r, 1.0)
    return 0.5 * q**2 + (r - q)


def cross_entropy(z: Any, t: Any) -> Any:
    """As optax's softmax_cross_entropy_with_integer_labels."""
    return jax.nn.logsumexp(z, axis=-1) - jnp.take_along_axis(z, t[..., None], axis=-1)[..., 0]


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument(
        "--processor",
        action="store_true",
        help="processor time: for one thread, after taskset -c 0",
    )
    options = parser.parse_args()
    clock = time.process_time if options.processor else time.perf_counter
    rng = np.random.default_rng(0)
    table = [["loss", "size", "through FFI", "callback", "in JAX"]]
    with tempfile.TemporaryDirectory() as folder:
        register(folder)
        for size in options.sizes.split(","):
            shape = tuple(int(each) for each in size.split("x"))
            z = jnp.asarray(rng.normal(size=shape), jnp.float32)
            rows = len(shape) == 2
            t = jnp.asarray(rng.integers(0, shape[-1], shape[0]) if rows else rng.normal(size=shape))
            t = t.astype(jnp.int32 if rows else jnp.float32)
            loss, written = ("CrossEntropy()", cross_entropy) if rows else ("Huber()", huber)
            ways = {
                "ffi": functools.partial(differentiable(through_ffi), loss=loss),
                "callback": functools.partial(differentiable(through_callback), loss=loss),
                "jax": written,
            }
            calls = {}
            for name, way in ways.items():
                step = jax.jit(jax.value_and_grad(lambda z, t, way=way: way(z, t).mean()))
                calls[name] = functools.partial(lambda step, z, t: jax.block_until_ready(step(z, t)), step, z, t)
            expected = calls["jax"]()
            for call in calls.values():
                np.testing.assert_allclose(call()[0], expected[0], rtol=1e-4)
                np.testing.assert_allclose(call()[1], expected[1], rtol=1e-3, atol=1e-4 / shape[0])
            best = dict.fromkeys(calls, np.inf)
            for _ in range(options.rounds):
                for name, call in calls.items():
                    n = 1 if best[name] == np.inf else max(1, int(BATCH / best[name]))
                    start = clock()
                    for _ in range(n):
                        call()
                    best[name] = min(best[name], (clock() - start) / n)
            others = [f"{best[name] / best['ffi']:.1f}x" for name in ("callback", "jax")]
            table.append([loss, size, f"{best['ffi'] * 1e6:,.0f} us", *others])
            print(*table[-1], sep="\t", flush=True)
    print()
    print(columns(table))
    print(f"fastloss {fl.__version__} ({fl.config()['isa']}, {fl.get_num_threads()} threads), jax {jax.__version__}")
    print(platform.processor() or platform.machine(), time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
