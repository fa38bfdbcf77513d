"""The limits of the machine: the fastest ways to move memory and to multiply and add, in one and the same run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .timing import seconds_of

# A quick run has smaller arrays: pages that nobody had before take longest of all.
LEAST_BYTES, QUICK_BYTES = 1 << 28, 1 << 26
CACHES, QUICK_CACHES = 8, 2
# A product of matrices of this order keeps a core busy for tens of milliseconds, and its operands fit a cache.
ORDER, QUICK_ORDER = 1024, 512


def bytes_far_beyond_cache(quick: bool) -> int:
    """Return a size that no cache holds: eight last-level caches, at least 256 MB; two and 64 MB for a quick look."""
    try:
        last_cache = os.sysconf("SC_LEVEL3_CACHE_SIZE")
    except (ValueError, OSError):
        last_cache = 0
    return max(QUICK_BYTES, QUICK_CACHES * last_cache) if quick else max(LEAST_BYTES, CACHES * last_cache)


@dataclass
class Rate:
    """The best rate seen, in bytes or operations per second, and how; and the best of each measurement."""

    best: float = 0.0
    how: str = ""
    history: list[float] = field(default_factory=list)

    def offer(self, rate: float, how: str) -> None:
        """Keep a rate if it is better."""
        if rate > self.best:
            self.best, self.how = rate, how
        self.history[-1] = max(self.history[-1], rate)


# A read is a reduction over one array that NumPy or its BLAS vectorises.
READS: dict[str, Callable[[np.ndarray], Any]] = {
    "np.max": np.max,
    "np.sum": np.sum,
    "np.dot": lambda a: np.dot(a, a),
}


class MemoryLimit:
    """Measures the limits again and again during a run, and keeps the best.

    copy reads one array and writes another; add reads two and writes one, as STREAM's triad does; update reads and
    writes one array in place, for which nothing is fetched that is only to be overwritten.
    """

    def __init__(self, n_threads: int, quick: bool = False) -> None:
        n = bytes_far_beyond_cache(quick) // 4
        self._source, self._target = np.ones(n, np.float32), np.ones(n, np.float32)
        self._n_threads = n_threads
        self.copy, self.read, self.add, self.update = Rate(), Rate(), Rate(), Rate()

    @property
    def rates(self) -> dict[str, Rate]:
        """Every rate by name."""
        return {"copy": self.copy, "read": self.read, "add": self.add, "update": self.update}

    def _calls(self, pool: ThreadPoolExecutor) -> Iterator[tuple[Rate, str, Callable[[], Any], int]]:
        def on_all(function: Callable[..., Any], *parts: list[np.ndarray]) -> Callable[[], Any]:
            return lambda: list(pool.map(function, *parts))

        n_bytes, half = self._source.nbytes, self._source.size // 2
        arrays = self._source, self._target, self._target[:half], self._target[half : 2 * half], self._source[:half]
        for n_threads in sorted({1, self._n_threads}):
            source, target, *thirds = (np.array_split(array, n_threads) for array in arrays)
            threads = f"{n_threads} thread{'s' * (n_threads > 1)}"
            yield self.copy, f"np.copyto, {threads}", on_all(np.copyto, target, source), 2 * n_bytes
            yield self.update, f"np.negative in place, {threads}", on_all(np.negative, target, target), 2 * n_bytes
            yield self.add, f"np.add, {threads}", on_all(np.add, *thirds), 3 * half * self._source.itemsize
            for name, read in READS.items():
                yield self.read, f"{name}, {threads}", on_all(read, source), n_bytes

    def measure(self, rounds: int = 3) -> None:
        """Copy and read the arrays a few times, on one thread and on all."""
        for rate in self.rates.values():
            rate.history.append(0.0)
        with ThreadPoolExecutor(self._n_threads) as pool:
            for _ in range(rounds):
                for rate, how, call, n_bytes in self._calls(pool):
                    rate.offer(n_bytes / seconds_of(call), how)

    def seconds(self, bytes_read: int, bytes_written: int) -> float:
        """Return the least time the bytes can take, at the rate of a copy or a read."""
        return (bytes_read + bytes_written) / (self.copy if bytes_written else self.read).best


def measure_arithmetic(quick: bool, rounds: int = 2) -> dict[str, float]:
    """Return operations per second of a product of matrices, for each dtype; a multiply-add counts two."""
    rates, order = {}, QUICK_ORDER if quick else ORDER
    for dtype in ("float32", "float64"):
        a = np.full((order, order), 0.5, dtype)
        product = partial(np.matmul, a, a, out=np.empty_like(a))
        product()
        rates[dtype] = 2 * order**3 / min(seconds_of(product) for _ in range(rounds))
    return rates
