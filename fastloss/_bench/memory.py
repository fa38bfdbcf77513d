"""What memory a call needs, and what there is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


def memory_bytes(field: str) -> int:
    """Return VmRSS, the memory this process holds, or VmHWM, the most it held since the last reset.

    Not ru_maxrss of getrusage: a child inherits it from the process that started it.
    """
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise KeyError(field)


def reset_peak() -> None:
    """Forget the peak so far."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_of(call: Callable[[], Any]) -> int:
    """Return the bytes that a call needs beyond what the process holds, its results included."""
    reset_peak()
    before = memory_bytes("VmRSS")
    call()
    return memory_bytes("VmHWM") - before


def available_bytes() -> int:
    """Return how much memory there is for arrays: of the machine, and of a container's limit."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    try:
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text(encoding="ascii")) for name in ("max", "current"))
        free = min(free, limit - used)
    except (OSError, ValueError):
        pass  # no such limit
    return free
