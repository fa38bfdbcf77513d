"""The memory limit: the fastest copy and the fastest read of one and the same run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from timing import seconds_of

LEAST_BYTES = 1 << 28
CACHES = 8


def bytes_far_beyond_cache() -> int:
    """Return a size that no cache holds: eight last-level caches, at least 256 MB."""
    try:
        last_cache = os.sysconf("SC_LEVEL3_CACHE_SIZE")
    except (ValueError, OSError):
        last_cache = 0
    return max(LEAST_BYTES, CACHES * last_cache)


@dataclass
class Rate:
    """The best rate seen so far, in bytes per second, and the call that reached it."""

    best: float = 0.0
    how: str = ""

    def offer(self, rate: float, how: str) -> None:
        """Keep a rate if it is better."""
        if rate > self.best:
            self.best, self.how = rate, how


# A read is a reduction over one array that NumPy or its BLAS vectorises.
READS: dict[str, Callable[[np.ndarray], Any]] = {
    "np.max": np.max,
    "np.sum": np.sum,
    "np.dot": lambda a: np.dot(a, a),
}


class MemoryLimit:
    """Measures the limit again and again during a run, and keeps the best."""

    def __init__(self, n_threads: int) -> None:
        n = bytes_far_beyond_cache() // 4
        self._source, self._target = np.ones(n, np.float32), np.ones(n, np.float32)
        self._n_threads = n_threads
        self.copy, self.read = Rate(), Rate()

    def _calls(self, pool: ThreadPoolExecutor) -> Iterator[tuple[Rate, str, Callable[[], Any], int]]:
        for n_threads in sorted({1, self._n_threads}):
            sources = np.array_split(self._source, n_threads)
            targets = np.array_split(self._target, n_threads)
            threads = f"{n_threads} thread{'s' * (n_threads > 1)}"
            yield (
                *(self.copy, f"np.copyto, {threads}"),
                lambda s=sources, t=targets: list(pool.map(np.copyto, t, s)),
                self._source.nbytes + self._target.nbytes,
            )
            for name, read in READS.items():
                call = lambda read=read, s=sources: list(pool.map(read, s))
                yield self.read, f"{name}, {threads}", call, self._source.nbytes

    def measure(self, rounds: int = 3) -> None:
        """Copy and read the arrays a few times, on one thread and on all."""
        with ThreadPoolExecutor(self._n_threads) as pool:
            for _ in range(rounds):
                for rate, how, call, n_bytes in self._calls(pool):
                    rate.offer(n_bytes / seconds_of(call), how)

    def seconds(self, bytes_read: int, bytes_written: int) -> float:
        """Return the least time the bytes can take."""
        return (bytes_read + bytes_written) / (self.copy if bytes_written else self.read).best
