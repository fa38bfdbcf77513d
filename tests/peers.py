"""What the tests against other libraries share: the arrays, and how close is the same."""

import importlib.util
import os
from unittest import mock

import numpy as np
import pytest

REDUCTIONS = ("mean", "sum", "none")


def import_keras():
    """Import Keras on the backend that is asked for, or the first that is installed; it reads the variable once."""
    for backend in ("torch", "jax", "tensorflow"):
        if importlib.util.find_spec(backend):
            with mock.patch.dict(os.environ, {"KERAS_BACKEND": os.environ.get("KERAS_BACKEND", backend)}):
                return pytest.importorskip("keras")
    return pytest.skip("Keras has no backend here", allow_module_level=True)


def draw(kind, shape, dtype, seed=0):
    """Predictions that float32 does not saturate, and targets of one kind."""
    rng = np.random.default_rng([seed, *shape])
    z = (2 * rng.normal(size=shape)).astype(dtype)
    target = {
        "real": lambda: rng.normal(size=shape),
        "hard": lambda: rng.integers(0, 2, shape),
        "soft": lambda: rng.uniform(0, 1, shape),
        "count": lambda: rng.poisson(2, shape),
        "positive": lambda: rng.exponential(size=shape) + 0.01,
        "index": lambda: rng.integers(0, shape[-1], shape[:-1]),
        "probability": lambda: rng.dirichlet(np.ones(shape[-1]), shape[:-1]),
    }[kind]()
    return z, target if kind == "index" else target.astype(dtype)


def draw_weight(shape, dtype=np.float64):
    """Sample weights, class weights."""
    return np.random.default_rng(99).uniform(0.2, 2, shape).astype(dtype)


def one_hot(index, n_classes, dtype):
    return np.eye(n_classes, dtype=dtype)[index]


def assert_close(found, theirs, dtype):
    """Equal up to the digits that peers keep: they subtract from 1, and sum float32 in float32."""
    tolerance = {"rtol": 2e-5, "atol": 2e-6} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-13}
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(theirs, float), **tolerance)


def assert_same(loss, z, t, theirs, factor=1.0, **options):
    """Value and gradient of a loss are the peer's pair, times `factor`."""
    for ours, peer in zip(loss.value_and_gradient(z, t, **options), theirs, strict=True):
        assert_close(ours, factor * np.asarray(peer), z.dtype)
