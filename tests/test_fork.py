"""A forked process goes on computing, on threads of its own, with the same bits; and so does its parent.

Each case is a process of its own with a hard time limit: this file, run as a script with the name of a scenario, and of
the libraries to import before fastloss and after it. (FASTLOSS_NO_ATFORK=1 pytest tests/test_fork.py shows what it is
without the handler.)
"""

import concurrent.futures
import contextlib
import faulthandler
import functools
import glob
import importlib
import importlib.util
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork") or not os.path.exists("/proc/self/task"), reason="needs fork and /proc"
)

SECONDS = 180  # of a scenario; the slowest takes some 5 on a machine with nothing else to do
THREADS = 3

# --------------------------------------------------------------------------------------- what the processes run


def n_threads():
    return len(os.listdir("/proc/self/task"))


def results():
    """What a row-wise and a pointwise call give on several threads, to the bit."""
    import fastloss as fl

    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(100_000, 3)), rng.integers(0, 3, 100_000)
    with fl.num_threads(THREADS):
        value, gradient = fl.CrossEntropy().value_and_gradient(z, t)
        return value.hex(), zlib.crc32(gradient), fl.huber(z, z[::-1].copy()).hex()


@functools.cache
def expected():
    return results()


def same():
    return results() == expected()


def same_on_threads():
    """The same bits, and the threads that this takes are new and there."""
    before = n_threads()
    return same() and n_threads() == before + THREADS - 1


def same_on_one_thread():
    before = n_threads()
    return same() and n_threads() == before


def in_child(work, ends=os._exit):
    """Fork; whether `work` holds in the child is the child's exit code."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(SECONDS // 4)
        ends(0 if work() else 1)
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the child ended with status {status}"


def after_a_parallel_region():
    in_child(same_on_threads)
    assert same()
    in_child(same_on_threads)
    in_child(same_on_threads)  # with nothing computed in between
    assert same()


def nested():
    def child():
        good = same_on_threads()
        in_child(same_on_threads)
        return good and same()

    in_child(child)
    in_child(lambda: in_child(same_on_threads) is None)  # a child that has not computed forks
    assert same()


def ends_as_programs_do():
    in_child(same_on_threads, ends=sys.exit)
    assert same()


def in_a_thread(work):
    """`work` in a Python thread, whose error is ours."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def from_a_thread():
    in_a_thread(lambda: in_child(same_on_threads))

    def computes_first():
        assert same()
        in_child(same_on_threads)
        assert same()

    in_a_thread(computes_first)
    assert same()


def threads_in_the_child():
    def child():
        good = [same_on_threads()]
        in_a_thread(lambda: good.append(same_on_threads()))
        return good == [True, True]

    in_child(child)


def while_others_compute(forks=24):
    """Two threads are inside kernels all the time."""
    stop, wrong = threading.Event(), []

    def busy():
        while not stop.is_set():
            if not same():
                wrong.append(1)

    others = [threading.Thread(target=busy) for _ in range(2)]
    for other in others:
        other.start()
    try:
        for _ in range(forks // 2):
            in_child(same_on_threads)

        def forks_in_a_thread():
            for _ in range(forks // 2):
                in_child(same)

        in_a_thread(forks_in_a_thread)
    finally:
        stop.set()
        for other in others:
            other.join()
    assert not wrong


def task(_):
    return results()


def pool(method):
    with multiprocessing.get_context(method).Pool(2) as workers:
        assert workers.map(task, range(6), chunksize=1) == [expected()] * 6
    assert same()


def executor(method):
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as workers:
        assert list(workers.map(task, range(6))) == [expected()] * 6
    assert same()


def joblib_backend(backend):
    joblib = importlib.import_module("joblib")
    assert joblib.Parallel(2, backend=backend)(joblib.delayed(results)() for _ in range(4)) == [expected()] * 4
    assert same()
    if backend == "loky":
        joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


def subprocesses():
    """`subprocess` may fork or not, with or without the handlers."""
    program = [sys.executable, "-c", "import fastloss as fl; print(fl.mse([1.0], [3.0]))"]
    for options in ({}, {"preexec_fn": lambda: None}, {"close_fds": False}):
        assert subprocess.run(program, capture_output=True, check=True, **options).stdout == b"4.0\n"
        assert same()


def threads_end_at_the_fork():
    """The parent's idle threads, which the child would wait for."""
    assert n_threads() == THREADS
    in_child(lambda: True)
    while n_threads() > 1:  # or the time is up
        time.sleep(0.01)
    assert same_on_threads()


def handler_switched_off():
    """Nothing happens at a fork."""
    in_child(lambda: True)
    assert same_on_one_thread()  # beside those of before


def threads_are_lost():
    """The child computes without any, whatever it is told."""

    def child():
        import fastloss as fl

        fl.set_num_threads(THREADS)
        good = same_on_one_thread() and fl.get_num_threads() == 1
        in_child(same_on_one_thread)
        return good

    in_child(child)
    assert same_on_one_thread()  # beside those of before


SCENARIOS = {
    each.__name__: each
    for each in (
        after_a_parallel_region,
        nested,
        ends_as_programs_do,
        from_a_thread,
        threads_in_the_child,
        while_others_compute,
        subprocesses,
        threads_end_at_the_fork,
        handler_switched_off,
        threads_are_lost,
    )
}
SCENARIOS |= {f"pool_{method}": functools.partial(pool, method) for method in ("fork", "forkserver", "spawn")}
SCENARIOS |= {f"executor_{method}": functools.partial(executor, method) for method in ("fork", "forkserver", "spawn")}
SCENARIOS |= {f"joblib_{backend}": functools.partial(joblib_backend, backend) for backend in ("loky", "threading")}


def use_torch():
    torch = importlib.import_module("torch")
    torch.set_num_threads(2)
    torch.ones(2_000_000).exp().sum()


def use_sklearn():
    module = importlib.import_module("sklearn.metrics")
    x = np.random.default_rng(0).normal(size=(3000, 8))
    module.pairwise_distances_argmin(x, x)


def use_xgboost():
    xgboost = importlib.import_module("xgboost")
    data = xgboost.DMatrix(np.arange(2000.0).reshape(-1, 1), np.arange(2000.0))
    xgboost.train({"nthread": 2, "verbosity": 0}, data, 1)


def use_lightgbm():
    lightgbm = importlib.import_module("lightgbm")
    data = lightgbm.Dataset(np.arange(2000.0).reshape(-1, 1), np.arange(2000.0))
    lightgbm.train({"num_threads": 2, "verbose": -1}, data, 1)


# Each brings an OpenMP runtime of its own, or takes the one that is there.
LIBRARIES = {"torch": use_torch, "sklearn": use_sklearn, "xgboost": use_xgboost, "lightgbm": use_lightgbm}


def main(scenario, before, after):
    faulthandler.register(signal.SIGALRM, chain=True)  # tells where it hangs, in a child, too, and then ends it
    signal.alarm(SECONDS)
    warnings.filterwarnings("ignore", message=".*multi-threaded, use of fork", category=DeprecationWarning)
    for names in (before, ["fastloss"], after):
        for name in names:
            with warnings.catch_warnings():
                if name != "fastloss":
                    warnings.simplefilter("ignore")
                importlib.import_module(name)
    for name in before + after:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            LIBRARIES[name]()
    expected()
    SCENARIOS[scenario]()
    for name in before + after:
        LIBRARIES[name]()
    print("done")


# ---------------------------------------------------------------------------------------------------- the tests


@pytest.fixture
def run(tmp_path):
    """Runs a scenario in a process group of its own, which ends with it."""

    def run(scenario, before=(), after=(), **environment):
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
        if scenario in PLAIN:
            environment.pop("KMP_INIT_AT_FORK", None)  # joblib sets it wherever it is imported, which may be here
        process = subprocess.Popen(
            [sys.executable, "-W", "error", __file__, json.dumps([scenario, [*before], [*after]])],
            env=environment,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=SECONDS * 1.2)
        except subprocess.TimeoutExpired:
            output = "hangs"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.returncode == 0, f"exit {process.returncode}\n{output}"
        assert output.endswith("done\n"), output

    return run


@functools.cache
def preload(name):
    """The file of an OpenMP runtime of this machine, or None."""
    places = {
        "libomp": ("/usr/lib/llvm-*/lib/libomp.so.5", "/usr/lib*/libomp.so", "/usr/lib/*/libomp.so.5"),
        "libgomp": ("/usr/lib*/libgomp.so.1", "/usr/lib/*/libgomp.so.1"),
    }
    found = [file for place in places[name] for file in sorted(glob.glob(place))]
    return found[-1] if found else None


@pytest.fixture(autouse=True)
def with_openmp():
    import fastloss as fl

    if not fl.config()["openmp"]:
        pytest.skip("built without OpenMP")


@pytest.fixture
def with_libgomp():
    import fastloss as fl

    if "GCC" not in fl.config()["compiler"]:
        pytest.skip("built for another runtime, whose handler is its own")


SPECIAL = ("handler_switched_off", "threads_are_lost", "threads_end_at_the_fork")
PLAIN = [name for name in SCENARIOS if name not in SPECIAL]


@pytest.mark.parametrize("scenario", PLAIN)
def test_fork(run, scenario):
    if scenario.startswith("joblib"):
        pytest.importorskip("joblib")
    run(scenario)


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("scenario", ["after_a_parallel_region", "while_others_compute"])
def test_fork_beside_another_library(run, scenario, library, order):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"needs {library}")
    run(scenario, **{order: [library]})


@pytest.mark.parametrize("runtimes", ["libomp", "libgomp libomp", "libomp libgomp"])
@pytest.mark.parametrize(
    "scenario", ["after_a_parallel_region", "nested", "from_a_thread", "while_others_compute", "pool_fork"]
)
def test_fork_under_another_runtime(run, scenario, runtimes):
    """The one that is loaded first runs the threads, whichever we were built with."""
    files = [preload(name) for name in runtimes.split()]
    if None in files:
        pytest.skip(f"needs {runtimes}")
    run(scenario, LD_PRELOAD=" ".join(files))


@pytest.mark.parametrize("setting", ["FALSE", "0"])
def test_fork_under_libomp_that_is_told_to_do_nothing(run, setting):
    """As joblib tells it, wherever it is imported."""
    if preload("libomp") is None:
        pytest.skip("needs libomp")
    run("threads_are_lost", LD_PRELOAD=preload("libomp"), KMP_INIT_AT_FORK=setting)


@pytest.mark.usefixtures("with_libgomp")
def test_the_handler_ends_threads(run):
    run("threads_end_at_the_fork")


@pytest.mark.usefixtures("with_libgomp")
def test_the_handler_can_be_switched_off(run):
    run("handler_switched_off", FASTLOSS_NO_ATFORK="1")


@pytest.mark.usefixtures("with_libgomp")
def test_fork_under_a_runtime_that_cannot_give_its_threads_back(run, tmp_path):
    """As libgomp before GCC 9: a copy of the package that looks for a function that is nowhere."""
    import fastloss as fl

    copied = tmp_path / "copy" / "fastloss"
    shutil.copytree(Path(fl.__file__).parent, copied, ignore=shutil.ignore_patterns("__pycache__"))
    module = copied / Path(fl._kernels.__file__).name
    code = module.read_bytes()
    assert code.count(b"omp_pause_resource_all\0") == 1
    module.write_bytes(code.replace(b"omp_pause_resource_all\0", b"omp_pause_resource_nil\0"))
    run("threads_are_lost", PYTHONPATH=str(copied.parent))


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
