"""More than 2**31 elements, and offsets beyond 2**32 bytes: where 32 bits are not enough.

None of it needs much memory. Arrays repeat one number (a stride of 0), overlap themselves (rows that start one element
further), are mapped but never written to, or have few elements very far from each other. What walks through all of
2**31 elements is marked "big" and runs with ``pytest -m big``.
"""

import math
import mmap
import resource
import sys

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import fastloss as fl

MANY = 2**31 + 10
LONG = 2**16  # classes of a long row

big = pytest.mark.big
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or sys.maxsize < 2**32, reason="needs 64 bits and Linux"
)


@pytest.fixture(autouse=True)
def little_memory():
    """No array of that size is ever copied."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 3 * 2**20, "kB"


def mapped(count, dtype):
    """Zeros that take memory only where they are written to."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    return np.frombuffer(mmap.mmap(-1, count * np.dtype(dtype).itemsize, flags=flags), dtype, count)


def same(number, count=MANY, dtype=np.float32):
    return np.broadcast_to(dtype(number), count)


@big
@pytest.mark.parametrize("weighted", [False, True])
def test_pointwise(weighted):
    loss = fl.AbsoluteError()
    w = same(2.0, dtype=np.float64) if weighted else None
    # Halves and quarters add up without an error.
    assert loss(same(0.5), same(0.25), sample_weight=w, reduction="sum") == 0.25 * MANY * (2 if weighted else 1)


@big
def test_targets_in_a_sparse_file(tmp_path):
    """Bytes, of which the last few count."""
    t = np.memmap(tmp_path / "t", np.uint8, "w+", shape=MANY)
    t[[0, 2**31 - 1, 2**31, 2**31 + 5, MANY - 1]] = 1
    assert fl.absolute_error(same(0), t, reduction="sum") == 5
    assert (tmp_path / "t").stat().st_blocks * 512 < 2**20


@big
def test_set():
    """n elements of probability 1/2, all of them in the set: TP = FN = n / 2."""
    value = fl.dice(same(0), same(1, dtype=np.uint8))
    assert value == pytest.approx(1 - MANY / (MANY + MANY / 2), rel=1e-9)


@big
def test_rows_of_few_classes():
    """Every row starts one logit further, and the last logit of all is a large one."""
    n = 2**31 // 3 + 10
    room = mapped(n + 2, np.float32)
    room[-1] = 2**20
    z = as_strided(room, (n, 3), (4, 4))
    assert z.size > 2**31
    value = fl.cross_entropy(z, same(0, n, np.uint8), reduction="sum")
    assert value == pytest.approx((n - 1) * math.log(3) + 2**20, rel=1e-7)  # that of each row is rounded to float32


@big
def test_long_rows():
    n = 2**31 // LONG + 1
    room = np.zeros(n + LONG, np.float32)
    room[-2] = 2**20  # the last logit of the last row
    z = as_strided(room, (n, LONG), (4, 4))
    assert z.size > 2**31
    values = fl.logsumexp(z)
    np.testing.assert_allclose(values, [math.log(LONG)] * (n - 1) + [2**20], rtol=1e-6)
    values = fl.cross_entropy(z, same(LONG - 1, n, np.int64), reduction="none")
    np.testing.assert_allclose(values, [math.log(LONG)] * (n - 1) + [0], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", ["rows", "classes"])
def test_elements_far_from_each_other(dtype, far):
    """Inputs and outputs whose neighbours are megabytes apart: as if they stood side by side."""
    step = 2**20
    shape, k = (2**11 + 1, step), 3 if far == "rows" else 2**11 + 1
    rng = np.random.default_rng(0)

    def spread(x):
        """In memory of its own; one axis of x is along the far one."""
        room = mapped(math.prod(shape), x.dtype).reshape(shape)
        view = room[:, : x.shape[1]] if far == "rows" else room[:, : x.shape[0]].T
        view[...] = x
        assert max(view.strides) * (max(view.shape) - 1) >= 2**31 * x.itemsize
        return view

    n = shape[0] if far == "rows" else 3
    z = rng.normal(size=(n, k)).astype(dtype)
    soft = np.full((n, k), 0.25, dtype)
    for loss, t in (
        (fl.CrossEntropy(), rng.integers(0, k, n)),
        (fl.Focal(), soft),
        (fl.Huber(), soft),
        (fl.Dice(), soft),
    ):
        value, *derivatives = loss.value_gradient_and_hessian(z, t)
        outs = [spread(np.zeros_like(z)) for _ in range(2)]
        target = spread(t) if t.ndim == 2 else t
        found, *_ = loss.value_gradient_and_hessian(spread(z), target, gradient_out=outs[0], hessian_out=outs[1])
        assert found == pytest.approx(value, rel=1e-6)
        for out, right in zip(outs, derivatives, strict=True):
            np.testing.assert_allclose(out, right, rtol=1e-5, atol=1e-12)
    out = spread(np.zeros_like(z))
    fl.softmax(spread(z), out=out)
    np.testing.assert_allclose(out, fl.softmax(z), rtol=1e-5)
