"""The same bits for any number of threads, no hang after a fork, and no more threads than there is room for."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import cases
import numpy as np
import pytest

import fastloss as fl

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
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
def test_default_follows_the_affinity_mask(run_python):
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import fastloss as fl
assert fl.config()["threads"] == 1, fl.config()
"""
    run_python(code, OMP_NUM_THREADS="")
    # Also if it is narrowed later on.
    run_python(code.replace("import os\n", "import os, fastloss\n", 1), OMP_NUM_THREADS="")


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


def test_joblib(default_threads):
    joblib = pytest.importorskip("joblib")
    z, t = cases.draw(cases.CASES[0], "index", (20_001, 10))
    loss = fl.CrossEntropy(label_smoothing=0.1)
    expected = bits(loss.value_and_gradient(z, t))
    for backend in ("threading", "loky"):
        results = joblib.Parallel(2, backend=backend)(joblib.delayed(loss.value_and_gradient)(z, t) for _ in range(4))
        assert all(bits(result) == expected for result in results)
    if hasattr(joblib.externals.loky, "get_reusable_executor"):
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


# --------------------------------------------------------------------------------- fork

FORK = """
import os, signal, sys, threading, warnings
warnings.filterwarnings("ignore", category=DeprecationWarning)  # forking with threads is what is tested
import numpy as np, fastloss as fl
z = np.random.default_rng(0).normal(size=(400_000, 3)); t = np.zeros(len(z), int)
loss = fl.CrossEntropy()
fl.set_num_threads(3)
expected = loss.value_and_gradient(z, t)
def same():
    value, gradient = loss.value_and_gradient(z, t)
    return value == expected[0] and np.array_equal(gradient, expected[1])
def child(work=same):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        try:
            good = work()
        except BaseException:
            good = False
        os._exit(0 if good else 1)
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"child ended with {status}"
"""


@needs_fork
def test_fork_after_a_parallel_region(run_python):
    run_python(FORK + "child()\nassert same()\nchild()\nassert same()\n")


@needs_fork
def test_nested_forks(run_python):
    run_python(FORK + "child(lambda: (same(), child(), same())[2])\n")


@needs_fork
@needs_openmp
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")
def test_a_forked_child_has_threads(run_python):
    run_python(
        FORK
        + """
def threads():
    return int(next(line for line in open("/proc/self/status") if line.startswith("Threads:")).split()[1])
child(lambda: same() and threads() == 3)
"""
    )


@needs_fork
def test_fork_from_a_thread_while_others_compute(run_python):
    run_python(
        FORK
        + """
stop = threading.Event()
def busy():
    while not stop.is_set():
        assert same()
threads = [threading.Thread(target=busy) for _ in range(2)]
for thread in threads: thread.start()
def forks():
    for _ in range(10): child()
forker = threading.Thread(target=forks); forker.start(); forker.join()
stop.set()
for thread in threads: thread.join()
""",
        timeout=180,
    )


@needs_fork
def test_multiprocessing_pool(run_python):
    run_python(
        FORK
        + """
import multiprocessing
signal.alarm(90)
def work(i):
    return same()
with multiprocessing.get_context("fork").Pool(4) as pool:
    assert all(pool.map(work, range(12)))
assert same()
"""
    )


@pytest.mark.skipif(sys.platform == "win32", reason="spawn is what Windows does anyway")
def test_spawned_processes(run_python):
    run_python(
        """
import multiprocessing, numpy as np, fastloss as fl
if __name__ == "__main__":
    loss = fl.Focal(gamma=1.5)
    z = np.ones((50_000, 3)); t = np.zeros(len(z), int)
    expected = loss(z, t)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.starmap(loss, [(z, t)] * 3) == [expected] * 3
"""
    )
