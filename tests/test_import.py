"""What importing and calling fastloss does to the rest of the process: nothing.

(That NumPy is all it needs, how fast it is, and that it starts no thread: tests/test_packaging.py, test_threads.py.)
"""

import importlib.util
import platform
import sys
import sysconfig

import pytest

import fastloss as fl

needs_openmp = pytest.mark.skipif(not fl.config()["openmp"], reason="built without OpenMP")

# Large enough for threads, of every kind of kernel, with all that raises an exception flag.
USE = """
import numpy as np
def use(fl):
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(60_000, 5)), rng.integers(0, 5, 60_000)
    z[0], z[1], z[2, 1], z[3] = np.inf, np.nan, -np.inf, 1e308
    x = np.r_[np.geomspace(1e-320, 1e308, 150_000), np.nan, np.inf, -np.inf]
    with fl.num_threads(3):
        for dtype in (np.float32, np.float64):
            with np.errstate(over="ignore", under="ignore"):
                a, b = z.astype(dtype), x.astype(dtype)
            for rows in (a, np.asfortranarray(a)):
                fl.CrossEntropy().value_gradient_and_hessian(rows, t)
            fl.Focal().packed_hessian(a, t)
            fl.softmax(a)
            fl.Huber().value_gradient_and_hessian(b, b[::-1].copy())
            fl.Poisson().value_gradient_and_hessian(b, np.ones_like(b))
            fl.Dice().value_gradient_and_hessian(a, np.ones_like(a))
            fl.linear_cross_entropy(a[4:], np.ones((3, 5), dtype), t[4:] % 3)
    fl.mse([1, 2], [2.0, 3.0])
"""


def test_import_and_calls_change_no_global_state(run_python):
    """Of Python, of NumPy and of the C library."""
    run_python(
        USE
        + """
import ctypes, decimal, gc, locale, os, random, signal, sys, threading, warnings
import numpy.linalg, numpy.random, multiprocessing
locale.setlocale(locale.LC_ALL, "C.UTF-8")
np.random.seed(5)
random.seed(5)
libc = ctypes.CDLL(None)
libc.setlocale.restype = libc.getenv.restype = ctypes.c_char_p

def state():
    return {
        "environment": dict(os.environ),
        "environment of C": {name: libc.getenv(name.encode()) for name in os.environ},
        "signal handlers": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "signal mask": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "warning filters": list(warnings.filters),
        "showwarning": warnings.showwarning,
        "errors of NumPy": np.geterr(),
        "printing of NumPy": np.get_printoptions(),
        "random numbers of NumPy": np.random.get_state()[1].tolist(),
        "random numbers": random.getstate(),
        "locale": (locale.setlocale(locale.LC_ALL), libc.setlocale(6, None)),
        "hooks": (sys.excepthook, sys.unraisablehook, sys.displayhook, threading.excepthook, sys.gettrace()),
        "imports": (list(sys.path), list(sys.meta_path), list(sys.path_hooks)),
        "limits": (sys.getrecursionlimit(), sys.getswitchinterval(), gc.isenabled(), gc.get_threshold()),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "folder": os.getcwd(),
        "umask": os.umask(0o22),
        "affinity": os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        "scheduling": os.nice(0),
        "start method": multiprocessing.get_start_method(allow_none=True),
        "decimal": str(decimal.getcontext()),
    }

np.seterr(divide="ignore", invalid="print")
os.umask(0o22)
before = state()
import fastloss as fl
imported = state()
use(fl)
used = state()
for now in (imported, used):
    assert {name: (before[name], now[name]) for name in before if before[name] != now[name]} == {}
""",
        OPENBLAS_NUM_THREADS="1",
    )


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64") or not sys.platform.startswith("linux"),
    reason="knows fenv_t of Linux on x86-64 and aarch64",
)
def test_floating_point_mode(run_python):
    """Rounding, traps and subnormal numbers, in this thread and in later ones (in others' modes: test_extremes.py)."""
    run_python(
        USE
        + """
import ctypes, platform, threading
libm = ctypes.CDLL("libm.so.6")
def mode():
    environment = (ctypes.c_uint32 * 16)()
    assert libm.fegetenv(environment) == 0
    if platform.machine() == "aarch64":
        return environment[0] & 0x07F79F00  # FPCR
    return environment[0] & 0xFFFF, environment[7] & ~0x3F  # x87's control word; MXCSR without the exception flags
def everywhere():
    found = []
    def look():
        halves = np.float64(1e-310) * np.float64(0.5), np.float32(1e-40) * np.float32(0.5)
        found.append((mode(), [float(each) for each in halves]))
    look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found
before = everywhere()
assert before[0] == before[1] and all(before[0][1]), before
import fastloss as fl
assert everywhere() == before
use(fl)
assert everywhere() == before
"""
    )


# One that fastloss itself never imports, and what starts its threads.
LIBRARIES = {
    "sklearn": """
import sklearn.metrics
x = np.random.default_rng(0).normal(size=(3000, 8))
sklearn.metrics.pairwise_distances_argmin(x, x)
""",
    "torch": """
import torch
torch.set_num_threads(2)
torch.ones(2_000_000).exp().sum()
""",
    "lightgbm": """
import lightgbm
lightgbm.train({"num_threads": 2, "verbose": -1}, lightgbm.Dataset(np.arange(2000.0)[:, None], np.arange(2000.0)), 1)
""",
    "xgboost": """
import xgboost
xgboost.train({"nthread": 2, "verbosity": 0}, xgboost.DMatrix(np.arange(2000.0)[:, None], np.arange(2000.0)), 1)
""",
}

COMPUTE = """
def compute():
    z, t = np.linspace(-20, 20, 600_000).reshape(-1, 3), np.arange(200_000) % 3
    with fl.num_threads({n}):
        value, gradient = fl.CrossEntropy().value_and_gradient(z, t)
    return value.hex(), zlib.crc32(gradient)
"""


def in_order(first, second):
    """fastloss before or after another library, and threads of both, twice."""
    import_ours, theirs = "import fastloss as fl\n", f"warnings.simplefilter('ignore')\n{LIBRARIES[first or second]}"
    code = "import warnings, zlib\nimport numpy as np\n" + COMPUTE.format(n=3)
    both = [theirs, import_ours] if first else [import_ours, "compute()\n", theirs]
    return code + "".join(both) + "found = compute()\n" + theirs + "assert compute() == found\nprint(*found)\n"


@needs_openmp
@pytest.mark.parametrize("fastloss_is", ["first", "second"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_import_orders(run_python, library, fastloss_is):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"needs {library}")
    alone = "import zlib\nimport numpy as np, fastloss as fl\n" + COMPUTE.format(n=1) + "print(*compute())\n"
    order = (None, library) if fastloss_is == "first" else (library, None)
    assert run_python(in_order(*order)) == run_python(alone)


@needs_openmp
def test_one_openmp_runtime(run_python, monkeypatch):
    """Loading fastloss brings one, and the threads are its."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    pytest.importorskip("threadpoolctl")
    run_python(
        """
import numpy as np, threadpoolctl
def runtimes():
    return [each for each in threadpoolctl.threadpool_info() if each["user_api"] == "openmp"]
assert runtimes() == []
import fastloss as fl
one, = runtimes()
assert one["prefix"] in ("libgomp", "libomp"), one
assert one["prefix"] == "libgomp" or "Clang" in fl.config()["compiler"], one
with threadpoolctl.threadpool_limits(5, user_api="openmp"):
    assert fl.get_num_threads() == min(5, len(__import__("os").sched_getaffinity(0)))
    fl.mse(np.ones(1_000_000), np.zeros(1_000_000))
assert runtimes() == [one]
"""
    )


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="knows the interpreters of Python up to 3.13")
def test_subinterpreters_are_refused(run_python):
    """Neither NumPy nor Cython knows more than one interpreter in a process: an ImportError, and nothing worse."""
    module = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    pytest.importorskip(module)
    program = """
import warnings
warnings.simplefilter("ignore")  # NumPy's own
try:
    import fastloss
except ImportError as error:
    print("refused:", error)
else:
    print("imported")
"""
    out = run_python(
        f"""
import {module} as interpreters
import fastloss as fl, numpy as np
def on_threads():
    with fl.num_threads(2):
        return fl.cross_entropy(np.zeros((100_000, 3)), np.arange(100_000) % 3)
expected = on_threads()
other = interpreters.create({"'legacy'" if sys.version_info >= (3, 13) else "isolated=False"})
interpreters.run_string(other, {program!r})
interpreters.destroy(other)
assert on_threads() == expected
"""
    )
    assert out.startswith("refused:"), out


def test_modules_may_be_imported_from_threads(run_python):
    """By many at once, each of which sees the whole package."""
    run_python(
        """
import sys, threading
import numpy as np
start, found = threading.Barrier(8), []
def work():
    start.wait()
    import fastloss as fl
    found.append(fl.CrossEntropy()(np.zeros((100_000, 2)), np.zeros(100_000, int)))
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and len(set(found)) == 1, found
"""
    )


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs free-threaded Python")
def test_the_gil_stays_off(run_python):
    run_python("import sys, fastloss; assert not sys._is_gil_enabled()")
