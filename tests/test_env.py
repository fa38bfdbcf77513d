"""How many threads a call takes: quotas of containers, variables of OpenMP, joblib, and regions of other libraries."""

import os

import pytest

import fastloss as fl
from fastloss import _threads

needs_openmp = pytest.mark.skipif(not fl.config()["openmp"], reason="built without OpenMP")

# What stands in /proc/self/cgroup and, as it were, below /sys/fs/cgroup; and how many processors that is.
V2, V1 = "0::/\n", "5:cpuset:/\n4:cpu,cpuacct:/\n1:name=systemd:/x\n0::/\n"
QUOTAS = {
    "no files": (V2, {}, None),
    "no quota": (V2, {"cpu.max": "max 100000\n"}, None),
    "two": (V2, {"cpu.max": "200000 100000\n"}, 2),
    "one and a half": (V2, {"cpu.max": "150000 100000\n"}, 2),
    "a tenth": (V2, {"cpu.max": "10000 100000\n"}, 1),
    "another period": (V2, {"cpu.max": "150000 50000\n"}, 3),
    "own group": ("0::/a/b\n", {"a/b/cpu.max": "300000 100000\n"}, 3),
    "group above": ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "400000 100000\n"}, 4),
    "the smallest": ("0::/a/b\n", {"a/b/cpu.max": "500000 100000\n", "a/cpu.max": "100000 100000\n"}, 1),
    "beside": ("0::/a\n", {"b/cpu.max": "100000 100000\n"}, None),
    "not visible": ("0::/docker/0123\n", {"cpu.max": "200000 100000\n"}, 2),
    "outside": ("0::/../a\n", {"cpu.max": "200000 100000\n", "../cpu.max": "100000 100000\n"}, 2),
    "a path with colons": ("0::/a:b\n", {"a:b/cpu.max": "200000 100000\n"}, 2),
    "no membership": (None, {"cpu.max": "200000 100000\n"}, 2),
    "membership is garbage": ("\x00\n::::\nx\n", {}, None),
    "garbage": (V2, {"cpu.max": "many 100000\n"}, None),
    "not UTF-8": (V2, {"cpu.max": b"\xff\xfe"}, None),
    "empty": (V2, {"cpu.max": ""}, None),
    "without period": (V2, {"cpu.max": "100000\n"}, None),
    "period 0": (V2, {"cpu.max": "100000 0\n"}, None),
    "quota 0": (V2, {"cpu.max": "0 100000\n"}, None),
    "version 1": (V1, {"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    "version 1, no quota": (V1, {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
    "version 1, no period": (V1, {"cpu/cpu.cfs_quota_us": "100000\n"}, None),
    "version 1, own group": (
        "4:cpuacct,cpu:/docker/0123\n",
        {"cpu/docker/0123/cpu.cfs_quota_us": "100000\n", "cpu/docker/0123/cpu.cfs_period_us": "100000\n"},
        1,
    ),
    "version 1, another controller": (
        "4:cpuset:/\n",
        {"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"},
        None,
    ),
    "both versions": (
        V1,
        {"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n", "cpu.max": "200000 100000\n"},
        2,
    ),
}


@pytest.mark.parametrize(("membership", "files", "processors"), QUOTAS.values(), ids=QUOTAS)
def test_quota(tmp_path, membership, files, processors):
    root = tmp_path / "root"
    for name, content in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    if membership is not None:
        (tmp_path / "membership").write_text(membership)
    assert _threads.cgroup_quota(str(root), str(tmp_path / "membership")) == processors


QUOTA = """
import os
import fastloss as fl
from fastloss import _threads
files = os.getcwd()
def set_quota(processors):
    with open("cpu.max", "w") as file:
        file.write(f"{processors}00000 100000")
_threads.cgroup_quota.__defaults__ = (files, os.path.join(files, "membership"))
choose = _threads.choose
_threads.choose = lambda runtime: choose(64)  # a large machine
os.sched_getaffinity = lambda pid: set(range(48))
"""


@needs_openmp
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_quota_and_mask_limit_the_default(run_python, monkeypatch):
    """Read once; and anew in a forked child, which may be in another group."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run_python(
        QUOTA
        + """
assert fl.get_num_threads() == 48
_threads._forget_quota()
set_quota(6)
assert fl.get_num_threads() == 6
set_quota(5)
assert fl.get_num_threads() == 6
pid = os.fork()
if pid == 0:
    os._exit(0 if fl.get_num_threads() == 5 else 1)
assert os.waitpid(pid, 0)[1] == 0
assert fl.get_num_threads() == 6
with fl.num_threads(9):
    assert fl.get_num_threads() == 9
fl.set_num_threads(10)
assert fl.get_num_threads() == 10
fl.set_num_threads(None)
del os.sched_getaffinity
os.cpu_count = lambda: None
assert fl.get_num_threads() == 1
"""
    )


@needs_openmp
def test_omp_num_threads_is_more_than_the_quota(run_python):
    run_python(QUOTA + "set_quota(2)\nassert fl.get_num_threads() == 64\n", OMP_NUM_THREADS="64")


SAME_BITS = """
import numpy as np, fastloss as fl
rng = np.random.default_rng(0)
z, t = rng.normal(size=(60_001, 10)), rng.integers(0, 10, 60_001)
loss = fl.CrossEntropy(label_smoothing=0.1)
def bits():
    value, gradient = loss.value_and_gradient(z, t)
    return value.hex(), gradient.tobytes(), fl.softmax(z).tobytes(), fl.huber(z, -z).hex()
with fl.num_threads(1):
    expected = bits()
for n in (2, 3, 16):
    with fl.num_threads(n):
        assert bits() == expected, n
assert bits() == expected
"""


@needs_openmp
@pytest.mark.parametrize(
    "setting",
    [
        "OMP_DYNAMIC=true",
        "OMP_THREAD_LIMIT=2",
        "OMP_SCHEDULE=dynamic,1",
        "OMP_PROC_BIND=close",
        "OMP_WAIT_POLICY=active",
        "OMP_NUM_THREADS=5,2",
        "OMP_MAX_ACTIVE_LEVELS=0",
    ],
)
def test_variables_of_openmp_change_no_bits(run_python, setting):
    """Not even those that give a call fewer threads than it asks for."""
    name, _, value = setting.partition("=")
    run_python(SAME_BITS, **{name: value})


@needs_openmp
def test_one_thread_inside_a_parallel_region(run_python):
    """Of the same runtime: here three of its threads call Python."""
    out = run_python(
        SAME_BITS
        + """
import ctypes, os, threading
with open("/proc/self/maps") as maps:
    files = {line.split()[-1] for line in maps if "libgomp" in line}
if files:
    gomp = ctypes.CDLL(min(files))
    seen = []
    all_there = threading.Barrier(3)
    def tasks():
        return set(os.listdir("/proc/self/task"))
    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def inside(_):
        all_there.wait()
        before = tasks()  # those of an earlier, larger team may just be ending
        with fl.num_threads(4):
            seen.append((fl.get_num_threads(), bits() == expected, tasks() - before))
    gomp.GOMP_parallel(inside, None, 3, 0)
    assert seen == [(1, True, set())] * 3, seen
    assert bits() == expected
print("seen" if files else "no libgomp")
"""
        if os.path.exists("/proc/self/maps")
        else "print('no maps')"
    )
    if "seen" not in out:
        pytest.skip(out)


@needs_openmp
def test_joblib_tells_its_workers(run_python, monkeypatch):
    """As many threads in each worker of loky as joblib wants there."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    pytest.importorskip("joblib")
    run_python(
        """
import joblib
from joblib.externals.loky import get_reusable_executor
from fastloss import get_num_threads
for inner in (1, 2):
    with joblib.parallel_config(backend="loky", n_jobs=2, inner_max_num_threads=inner):
        found = joblib.Parallel()(joblib.delayed(get_num_threads)() for _ in range(4))
    assert found == [inner] * 4, found
    get_reusable_executor().shutdown(wait=True)
"""
    )
