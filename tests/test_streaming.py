"""`fl.streaming`: the bits of one call with all blocks; flat memory; nothing of a bad block is added."""

import copy
import itertools
import pickle
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

import fastloss as fl

# Around the ends of kernels' blocks: 16384 elements, 5376 rows of 3, 2048-class rows one by one or eight together.
SIZES = (1, 7, 16383, 16384, 16385, 40001)
ROWS = ((1, 3), (5377, 3), (30000, 3), (9, 3000), (63, 3000), (64, 3000), (65, 3000), (130, 9000), (300, 100))


def cuts(n, seed):
    """Ends of blocks: some empty, some of one row."""
    rng = np.random.default_rng(seed)
    ends = [0, *sorted(rng.integers(0, n + 1, 8).tolist()), n]
    return itertools.pairwise(ends)


def assert_same_bits(loss, z, t, w=None, reductions=("mean", "sum"), **options):
    for reduction, seed in itertools.product(reductions, range(2)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            whole = loss(z, t, sample_weight=w, reduction=reduction, **options)
        running = fl.streaming(loss, reduction=reduction, **options)
        for start, stop in cuts(len(z), seed):
            running.update(z[start:stop], t[start:stop], None if w is None else w[start:stop])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing yet
                found = running.value() if running.n else None  # a look on the way changes nothing
        assert np.array_equal(found, whole, equal_nan=True)
        assert running.n == (z.size if loss.kind == "pointwise" else running.n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("n", SIZES)
def test_pointwise(n, dtype):
    rng = np.random.default_rng(n)
    z, t, w = rng.normal(size=n).astype(dtype), rng.normal(size=n), rng.exponential(size=n)
    w[::3] = 0
    assert_same_bits(fl.Huber(), z, t)
    assert_same_bits(fl.Huber(), z, t, w.astype(np.float32))
    assert_same_bits(fl.BinaryCrossEntropy(), z, t > 0, w)
    assert_same_bits(fl.Dice(), z, t > 0, w, reductions=("sum", "none"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "n_classes"), ROWS)
def test_rows(n, n_classes, dtype):
    rng = np.random.default_rng(n)
    z, t, w = rng.normal(size=(n, n_classes)).astype(dtype), rng.integers(0, n_classes, n), rng.exponential(size=n)
    assert_same_bits(fl.CrossEntropy(class_weight=rng.exponential(size=n_classes), ignore_index=2), z, t)
    assert_same_bits(fl.Focal(label_smoothing=0.1), z, t.astype(np.int16), w)
    if n_classes <= 100:
        assert_same_bits(fl.CrossEntropy(), z, fl.softmax(z), w)
        assert_same_bits(fl.Dice(), z, z > 0, reductions=("mean", "sum", "none"), axis=0)


def test_columns_axes_and_weights_among_the_parameters():
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(20000, 2)), rng.normal(size=20000)
    assert_same_bits(fl.GaussianNLL(), z, t)
    assert_same_bits(fl.BinaryCrossEntropy(pos_weight=[1.0, 3.0]), z, z > 0, np.abs(t)[:, None])
    images, labels = rng.normal(size=(40, 3, 20, 30)), rng.integers(0, 3, (40, 20, 30))
    loss = fl.CrossEntropy()
    running = fl.streaming(loss, axis=1).update(images[:13], labels[:13]).update(images[13:], labels[13:])
    assert running.value() == pytest.approx(loss(images, labels, axis=1), rel=1e-14)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_weights_of_any_scale(scale):
    rng = np.random.default_rng(1)
    z, t, w = rng.normal(size=50000).astype(np.float32), rng.normal(size=50000), rng.exponential(size=50000) * scale
    assert_same_bits(fl.Huber(), z, t, w, reductions=("mean",))
    w[:30000] *= 1e-12  # the unit changes on the way
    running = fl.streaming(fl.Huber())
    for start, stop in cuts(len(z), 3):
        running.update(z[start:stop], t[start:stop], w[start:stop])
    assert running.value() == pytest.approx(fl.huber(z, t, sample_weight=w), rel=1e-12)
    assert running.weight_sum == pytest.approx(w.sum())


def test_layouts_that_users_have(tmp_path):
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(2)
    z, t = rng.normal(size=(5000, 4)), rng.integers(0, 4, 5000)
    whole = fl.cross_entropy(z, t)
    half = len(z) // 2
    for made in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2], pd.DataFrame, lambda a: a.tolist()):
        running = fl.streaming("cross_entropy").update(made(z[:half]), t[:half]).update(made(z[half:]), t[half:])
        assert running.value() == whole
    np.save(tmp_path / "z.npy", z)
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    assert fl.streaming("cross_entropy").update(mapped, pd.Series(t)).value() == whole


def test_arrow_batches(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    z, t, w = np.random.default_rng(3).normal(size=(3, 30000))
    table = pa.table({"z": z.astype(np.float32), "t": t, "w": np.abs(w)})
    parquet.write_table(table, tmp_path / "table.parquet", row_group_size=7000)
    batches = parquet.ParquetFile(tmp_path / "table.parquet").iter_batches(batch_size=1234)
    running = fl.streaming("huber").update_from((each["z"], each["t"], each["w"]) for each in batches)
    assert running.value() == fl.huber(z.astype(np.float32), t, sample_weight=np.abs(w))


def test_one_large_block_is_cut():
    """Larger than what is prepared at once, and of integers, which have to be converted."""
    z = np.random.default_rng(4).integers(-5, 5, 5_000_001).astype(np.int8)
    assert fl.streaming("huber").update(z, 1.5).value() == fl.huber(z, 1.5)
    loss = fl.CrossEntropy()
    logits, t = z[:3_000_000].reshape(-1, 3), np.abs(z[:1_000_000]) % 3
    assert fl.streaming(loss).update(logits, t).value() == loss(logits, t)
    t[900_000] = 3
    running = fl.streaming(loss)
    with pytest.raises(ValueError, match=r"target\[900000\] = 3 is not a class index"):
        running.update(logits, t)
    assert running.n == 0


def test_a_bad_block_leaves_the_sums_alone():
    z, t = np.random.default_rng(5).normal(size=(2, 40000))
    running = fl.streaming(fl.Poisson(), reduction="sum").update(z[:30000], np.abs(t[:30000]))
    before = running.value()
    bad = np.abs(t[30000:])
    bad[9999] = -1.0
    with pytest.raises(ValueError, match=r"target\[9999\] = -1.0 must be finite and >= 0"):
        running.update(z[30000:], bad)
    with pytest.raises(ValueError, match=r"^block 1: sample_weight\[0\] = -1.0 must be finite"):
        fl.streaming("huber").update_from([(z, t, np.ones_like(z)), (z, t, -np.ones_like(z))])
    assert running.value() == before
    running.update(z[30000:], np.abs(t[30000:]))
    assert running.value() == fl.poisson(z, np.abs(t), reduction="sum")
    sets = fl.streaming(fl.Dice()).update(z, t > 0)
    with pytest.raises(ValueError, match=r"target\[0\] = 2.0 must lie in \[0, 1\]"):
        sets.update([1.0], [2.0])
    assert sets.value() == fl.dice(z, t > 0)


def test_blocks_have_to_be_alike():
    running = fl.streaming("cross_entropy").update(np.eye(3), [0, 1, 2])
    with pytest.raises(ValueError, match="4 classes or columns after 3 classes"):
        running.update(np.eye(4), [0, 1, 2, 3])
    with pytest.raises(ValueError, match="dtype float32 after predictions of dtype float64"):
        running.update(np.eye(3, dtype=np.float32), [0, 1, 2])
    with pytest.raises(ValueError, match="sample weights: True after sample weights: False"):
        running.update(np.eye(3), [0, 1, 2], [1, 1, 1])
    with pytest.raises(ValueError, match="targets with 3 axes"):
        running.update(np.eye(3), np.eye(3))
    assert running.update(np.empty((0, 3)), np.empty(0, int)).n == 3


def test_what_is_refused():
    with pytest.raises(ValueError, match="'mean' or 'sum', got 'none'"):
        fl.streaming("huber", reduction="none")
    with pytest.raises(ValueError, match="has no axis"):
        fl.streaming("huber", axis=0)
    with pytest.raises(ValueError, match="axis must hold 0"):
        fl.streaming("dice", axis=1).update(np.eye(3), np.eye(3))
    with pytest.raises(TypeError, match="block 0 must be"):
        fl.streaming("huber").update_from([np.ones(3)])
    with pytest.raises(ValueError, match="at most 4096 sets"):
        fl.streaming("dice", axis=0).update(np.ones((1, 4097)), np.ones((1, 4097)))


def test_nothing():
    assert fl.streaming("huber", reduction="sum").value() == 0.0
    with pytest.warns(RuntimeWarning, match="mean of nothing"):
        assert np.isnan(fl.streaming("huber").value())
    running = fl.streaming(fl.CrossEntropy(ignore_index=0)).update(np.eye(2), [0, 0])
    with pytest.warns(RuntimeWarning, match="mean of nothing"):
        assert np.isnan(running.value())
    running.update(np.eye(2), [0, 1]).reset()
    assert running.n == 0


def test_streams_of_several_processes_are_merged():
    rng = np.random.default_rng(6)
    z, t, w = rng.normal(size=50000), rng.normal(size=50000), rng.exponential(size=50000)
    for reduction, scale in itertools.product(("mean", "sum"), (1.0, 1e-20)):
        parts = [fl.streaming("huber", reduction=reduction).update(z[i::3], t[i::3], w[i::3] * scale) for i in range(3)]
        total = fl.streaming("huber", reduction=reduction)
        for part in parts:
            total.merge(pickle.loads(pickle.dumps(part)))
        whole = fl.huber(z, t, sample_weight=w * scale, reduction=reduction)
        assert total.value() == pytest.approx(whole, rel=1e-13)
        assert total.n == len(z)
    assert copy.deepcopy(total).value() == total.value()
    with pytest.raises(ValueError, match="the same loss"):
        total.merge(fl.streaming("cauchy", reduction="sum"))


def test_threads_change_no_bits():
    z, t = np.random.default_rng(7).normal(size=(2, 1_000_000))
    found = set()
    for threads in (1, 2, 3):
        with fl.num_threads(threads):
            found.add(fl.streaming("log_cosh").update(z, t).value())
    assert len(found) == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of memory as Linux writes it")
def test_memory_is_flat():
    program = """
        import resource, sys
        import numpy as np
        import fastloss as fl
        z = np.random.default_rng(0).normal(size=100_000)
        running = fl.streaming("cauchy").update(z, z)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        running.update_from((z + i, z) for i in range(1000))  # 800 MB
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    run = subprocess.run(command, cwd=sys.prefix, capture_output=True, text=True, check=True)
    assert int(run.stdout) < 10_000  # kilobytes
