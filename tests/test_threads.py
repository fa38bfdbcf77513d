"""The same bits for any number of threads, and no more threads than there is room for (test_fork.py: after a fork)."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import cases
import numpy as np
import pytest

import fastloss as fl

needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs an affinity mask")
needs_openmp = pytest.mark.skipif(not fl.config().get("openmp"), reason="built without OpenMP")

# Several blocks each, and a rest.
BIG_ROWS = ((150_001, 2), (40_001, 10), (3003, 100), (303, 1000), (11, 32_003))


def bits(result):
    return [x.hex() if isinstance(x, float) else np.asarray(x).tobytes() for x in result]


def big_problems(setup, dtype):
    shapes = BIG_ROWS if setup.case.rowwise else ((600_011,),)
    for shape in shapes:
        z, t = setup.draw(shape, dtype)
        yield setup.build(shape[-1]), z, t
        if shape[-1] in (2, 10):
            yield setup.build(shape[-1]), np.asfortranarray(z), t


def test_any_number_of_threads_gives_the_same_bits(few_setup, dtype):
    for loss, z, t in big_problems(few_setup, dtype):
        w = np.random.default_rng(0).uniform(0, 2, z.shape[:1])
        for options, counts in (({}, range(1, 8)), ({"sample_weight": w}, (1, 2, 5))):
            first = None
            for n in counts:
                with fl.num_threads(n):
                    found = bits(loss.value_gradient_and_hessian(z, t, **options))
                    found.append(loss(z, t, **options).hex())
                first = first or found
                assert found == first, (few_setup, z.shape, n)


def test_row_functions_give_the_same_bits(dtype):
    rng = np.random.default_rng(0)
    for shape in BIG_ROWS:
        x = cases.draw_prediction(rng, shape, dtype)
        for name in ("log_softmax", "softmax", "logsumexp", "sigmoid", "log_sigmoid"):
            function = getattr(fl, name)
            with fl.num_threads(1):
                one = function(x)
            for n in (2, 3, 7):
                with fl.num_threads(n):
                    assert cases.same_bits(function(x), one), (name, shape, n)


def test_repeated_calls_give_the_same_bits(dtype):
    z, t = cases.draw(cases.CASES[0], "index", (60_001, 10), dtype)
    loss = fl.CrossEntropy()
    with fl.num_threads(4):
        first = bits(loss.value_and_gradient(z, t))
        for _ in range(20):
            assert bits(loss.value_and_gradient(z, t)) == first


def test_under_load(dtype):
    """Fifty times, on 1 to 16 threads, while others keep the processors busy."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(27_001, 10)).astype(dtype)
    t, w = rng.integers(0, 10, len(x)), rng.uniform(0, 2, len(x))
    calls = (
        lambda: fl.Huber().value_and_gradient(x, x[::-1]),
        lambda: fl.CrossEntropy().value_and_gradient(x, t, sample_weight=w),
        lambda: fl.CrossEntropy().value_and_gradient(x.reshape(10, -1), t[:10]),
        lambda: fl.Dice().value_and_gradient(x, np.ones_like(x)),
    )
    with fl.num_threads(1):
        expected = [bits(call()) for call in calls]
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            np.sort(x, axis=None)  # without the GIL

    others = [threading.Thread(target=busy) for _ in range(3)]
    for other in others:
        other.start()
    try:
        for i in range(50):
            n = 1 + i % 16
            with fl.num_threads(n):
                assert [bits(call()) for call in calls] == expected, n
    finally:
        stop.set()
        for other in others:
            other.join()


def test_python_threads(dtype):
    """Eight threads that call at once, each with OpenMP threads of its own."""
    z, t = cases.draw(cases.CASES[0], "index", (60_001, 10), dtype)
    x = z.ravel()
    ce, huber = fl.CrossEntropy(), fl.Huber()
    expected = bits(ce.value_and_gradient(z, t)), bits(huber.value_and_gradient(x, x[::-1].copy()))
    start = threading.Barrier(8)

    def work(i):
        start.wait(60)
        with fl.num_threads(1 + i % 3):
            return [
                (bits(ce.value_and_gradient(z, t)), bits(huber.value_and_gradient(x, x[::-1].copy()))) for _ in range(4)
            ]

    with ThreadPoolExecutor(8) as pool:
        for results in pool.map(work, range(8)):
            assert all(result == expected for result in results)


# --------------------------------------------------------------------- how many threads


@pytest.fixture
def default_threads():
    fl.set_num_threads(None)
    yield fl.config()["threads"]
    fl.set_num_threads(None)


def test_set_num_threads(default_threads):
    fl.set_num_threads(3)
    assert fl.config()["threads"] == 3
    with fl.num_threads(2):
        assert fl.config()["threads"] == 2
        with fl.num_threads(5):
            assert fl.config()["threads"] == 5
        assert fl.config()["threads"] == 2
    assert fl.config()["threads"] == 3
    fl.set_num_threads(None)
    assert fl.config()["threads"] == default_threads


def test_num_threads_is_restored_after_an_error(default_threads):
    with pytest.raises(KeyError), fl.num_threads(2):
        raise KeyError
    assert fl.config()["threads"] == default_threads


def test_num_threads_is_the_own_thread_s(default_threads):
    entered, checked = threading.Event(), threading.Event()
    seen = []

    def other():
        entered.wait(60)
        seen.append(fl.config()["threads"])
        checked.set()

    thread = threading.Thread(target=other)
    thread.start()
    with fl.num_threads(default_threads + 3):
        entered.set()
        assert checked.wait(60)
    thread.join()
    assert seen == [default_threads]


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", True, np.nan])
def test_refused_numbers_of_threads(default_threads, n):
    error = ValueError if n in (0, -1) and not isinstance(n, bool) else TypeError
    with pytest.raises(error, match="threads"):
        fl.set_num_threads(n)
    with pytest.raises(error, match="threads"), fl.num_threads(n):
        pass
    assert fl.config()["threads"] == default_threads


@pytest.mark.skipif(bool(fl.config().get("openmp")), reason="built with OpenMP")
def test_one_thread_without_openmp():
    with fl.num_threads(4):
        assert fl.get_num_threads() == 1


@needs_openmp
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_the_threads_exist(run_python):
    """Asking for three gives three, asking for one starts none."""
    run_python(
        """
import numpy as np, fastloss as fl
def threads():
    return int(next(line for line in open("/proc/self/status") if line.startswith("Threads:")).split()[1])
z = np.ones(4_000_000)
before = threads()
with fl.num_threads(1):
    fl.mse(z, z)
assert threads() == before, threads()
with fl.num_threads(3):
    fl.mse(z, z)
assert threads() == before + 2, (threads(), before)
""",
        OPENBLAS_NUM_THREADS="1",
    )


def test_import_starts_no_threads(run_python):
    if not os.path.exists("/proc/self/status"):
        pytest.skip("needs /proc")
    run_python(
        """
import numpy as np
def threads():
    return int(next(line for line in open("/proc/self/status") if line.startswith("Threads:")).split()[1])
before = threads()
import fastloss as fl
fl.mse(np.ones(10), np.ones(10))
assert threads() == before
""",
        OPENBLAS_NUM_THREADS="1",
    )


@needs_affinity
@needs_openmp
def test_default_follows_the_affinity_mask(run_python, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import fastloss as fl
assert fl.config()["threads"] == 1, fl.config()
"""
    run_python(code)
    # Also if it is narrowed later on.
    run_python(code.replace("import os\n", "import os, fastloss\n", 1))


@needs_openmp
@pytest.mark.parametrize("n", [1, 3, 7])
def test_omp_num_threads(run_python, n):
    out = run_python("import fastloss as fl; print(fl.config()['threads'])", OMP_NUM_THREADS=str(n))
    assert int(out) == n


@needs_openmp
def test_threadpoolctl(run_python):
    pytest.importorskip("threadpoolctl")
    run_python(
        """
import fastloss as fl, threadpoolctl
with threadpoolctl.threadpool_limits(1):
    assert fl.config()["threads"] == 1
    with fl.num_threads(3):
        assert fl.config()["threads"] == 3
assert fl.config()["threads"] == 4
""",
        OMP_NUM_THREADS="4",
    )


@pytest.mark.parametrize("n", [0, -1, 2000 if fl._threads.MAX_THREADS < 2000 else 10**6, 2**40, 2**70])
def test_a_number_of_threads_that_cannot_be_meant(n):
    """The system would refuse them, and OpenMP end the process."""
    with pytest.raises(ValueError, match=f"at most {fl._threads.MAX_THREADS}, got {n}"):
        fl.set_num_threads(n)
    with pytest.raises(ValueError, match="number of threads"), fl.num_threads(n):
        pass
