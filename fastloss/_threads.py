"""How many threads a large call uses, and how a user changes that.

The first of these that says something decides:

1. one thread inside a parallel region of the same OpenMP runtime, and in a forked process whose
   runtime cannot start any (libgomp before GCC 9; libomp, once joblib has been imported);
2. ``with fastloss.num_threads(n)``, a context variable: it follows threads' and tasks' own contexts;
3. ``fastloss.set_num_threads(n)``, for the whole process;
4. ``OMP_NUM_THREADS`` and threadpoolctl, as the OpenMP runtime reports them to the calling thread;
5. the processors that this process may really use: its affinity mask and its cgroup's quota,
   which OpenMP runtimes do not look at (28 s instead of 0.3 s in a container, XGBoost issue 7653).

OpenMP's own settings are read and never written, so no other library in the process is affected.
"""

from __future__ import annotations

import contextlib
import contextvars
import operator
import os
from collections.abc import Iterator

_of_context: contextvars.ContextVar[int | None] = contextvars.ContextVar("fastloss_num_threads", default=None)
_of_process: int | None = None
_quota: int | None = None
_quota_is_known = False
# OpenMP runtimes read the variable once, when they are loaded.
_chosen_by_environment = bool(os.environ.get("OMP_NUM_THREADS", "").strip())


def choose(runtime: int) -> int:
    """Return the number of threads that a large call uses, where the OpenMP runtime would use `runtime` of them."""
    chosen = _of_context.get()
    if chosen is None:
        chosen = _of_process
    if chosen is not None:
        return chosen
    if _chosen_by_environment or runtime == 1:
        return runtime
    return min(runtime, usable_cpus())


def set_num_threads(n: int | None) -> None:
    """
    Set the number of threads for the whole process.

    Parameters
    ----------
    n : int or None
        At least 1. None goes back to the default: ``OMP_NUM_THREADS`` or threadpoolctl if they say
        something, else the processors that the process may use (affinity, cgroup quota).

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is less than 1.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.set_num_threads(1)
    >>> fl.get_num_threads()
    1
    >>> fl.set_num_threads(None)
    """
    global _of_process
    _of_process = None if n is None else _checked(n)


@contextlib.contextmanager
def num_threads(n: int) -> Iterator[None]:
    """
    Set the number of threads inside a ``with`` block, for this thread or task only.

    Parameters
    ----------
    n : int
        At least 1.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is less than 1.

    Examples
    --------
    >>> import fastloss as fl
    >>> with fl.num_threads(1):
    ...     fl.get_num_threads()
    1
    """
    token = _of_context.set(_checked(n))
    try:
        yield
    finally:
        _of_context.reset(token)


def usable_cpus() -> int:
    """Return the number of processors that this process may use: affinity mask and cgroup quota."""
    global _quota, _quota_is_known
    try:
        cpus = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        cpus = os.cpu_count() or 1
    if not _quota_is_known:
        _quota = cgroup_quota()
        _quota_is_known = True
    return max(1, cpus if _quota is None else min(cpus, _quota))


def cgroup_quota(root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> int | None:
    """
    Return the processors that the cgroup's quota amounts to, rounded up, or None without a quota.

    Every group from the process's own up to the root limits it, in version 2 (``cpu.max``) and in
    version 1 (``cpu.cfs_quota_us`` over ``cpu.cfs_period_us``). In a container the process's own
    path is often not visible below `root`; the root itself then holds the container's limit.
    """
    limits = []
    for line in _read(membership).splitlines() or ["0::/"]:
        _, _, controllers_and_path = line.partition(":")
        controllers, _, path = controllers_and_path.partition(":")
        if controllers == "":
            base, limit_of = root, _limit_v2
        elif "cpu" in controllers.split(","):
            base, limit_of = os.path.join(root, "cpu"), _limit_v1
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for depth in range(len(parts), -1, -1):
            limits.append(limit_of(os.path.join(base, *parts[:depth])))
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def _limit_v2(group: str) -> int | None:
    quota, _, period = _read(os.path.join(group, "cpu.max")).strip().partition(" ")
    return _processors(quota, period)


def _limit_v1(group: str) -> int | None:
    quota = _read(os.path.join(group, "cpu.cfs_quota_us"))
    period = _read(os.path.join(group, "cpu.cfs_period_us"))
    return _processors(quota, period)


def _processors(quota: str, period: str) -> int | None:
    """Return ceil(quota / period), or None for "max", -1 (no quota) and what is not a number."""
    try:
        used, of = int(quota), int(period)
    except ValueError:
        return None
    return -(-used // of) if used > 0 and of > 0 else None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _checked(n: int) -> int:
    if isinstance(n, bool):
        raise TypeError("the number of threads must be an integer, not bool")
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError(f"the number of threads must be an integer, not {type(n).__name__}") from None
    if n < 1:
        raise ValueError(f"the number of threads must be at least 1, got {n}")
    return n


def _forget_quota() -> None:
    global _quota_is_known
    _quota_is_known = False


if hasattr(os, "register_at_fork"):
    # A child may be moved to another group before it computes.
    os.register_at_fork(after_in_child=_forget_quota)
