"""
Linear models over Dask: python benchmarks/chunks.py [--rows N] [--features N] [--chunks N].

Fits `fastloss.dask.LossClassifier` on one and on two worker processes, and counts what a pass over the rows takes: its
time, and the bytes that workers send each other and that a task hands on.
"""

from __future__ import annotations

import argparse
import logging
import time
from typing import Any

import dask
import dask.array as da
import distributed
import numpy as np

import fastloss as fl
import fastloss._dask_linear as passes
import fastloss.dask
from fastloss.sklearn import LossClassifier

OPTIONS: dict[str, Any] = {"loss": "binary_cross_entropy", "alpha": 1e-4, "tol": 1e-8}


def make(rows: int, features: int, chunks: int) -> tuple[Any, Any]:
    """Rows that each worker makes by itself."""

    def block(block_info: Any = None) -> np.ndarray:
        (start, stop), _ = block_info[None]["array-location"]
        return np.random.default_rng(start).normal(size=(stop - start, features)).astype(np.float32)

    sizes = tuple(int(n) for n in np.diff(np.linspace(0, rows, chunks + 1).astype(int)))
    x = da.map_blocks(block, chunks=(sizes, (features,)), dtype=np.float32, meta=np.empty((0, 0), np.float32))
    y = (x[:, 0] - 0.5 * x[:, 1] + x[:, 2] * x[:, 3] > 0).astype(np.int8)
    return x, y


def sent(dask_worker: Any) -> int:
    """Return the bytes that a worker has sent to others."""
    return int(dask_worker.transfer_outgoing_bytes_total)


class Counted:
    """`_tree`, which computes a pass, with a log: seconds, bytes from worker to worker, bytes of the result."""

    def __init__(self, client: Any) -> None:
        self.client, self.inner = client, passes._tree
        self.log: list[tuple[float, int, int]] = []

    def __call__(self, add: Any, parts: list[Any]) -> Any:
        """Compute the sum of parts."""
        before, start = sum(self.client.run(sent).values()), time.perf_counter()
        found = self.inner(add, parts)
        seconds, after = time.perf_counter() - start, sum(self.client.run(sent).values())
        size = sum(each.nbytes for each in found) if isinstance(found, list) else 0
        self.log.append((seconds, after - before, size))
        return found


def measured(n_workers: int, options: argparse.Namespace) -> tuple[float, Any, Any, Any]:
    """Return the seconds of a pass, the model, and X and y if there are two workers."""
    cluster = distributed.LocalCluster(
        n_workers=n_workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR
    )
    with cluster, distributed.Client(cluster) as client:
        x, y = client.persist(make(options.rows, options.features, options.chunks))
        distributed.wait([x, y])
        passes._tree = counted = Counted(client)  # type: ignore[assignment]
        try:
            start = time.perf_counter()
            model = fastloss.dask.LossClassifier(**OPTIONS).fit(x, y)
            whole = time.perf_counter() - start
        finally:
            passes._tree = counted.inner
        seconds, moved, size = np.array(counted.log).T
        print(
            f"{n_workers} workers: {whole:.2f} s for {len(seconds)} passes of {options.chunks} tasks; the shortest "
            f"{min(seconds) * 1e3:.0f} ms, median {np.median(seconds) * 1e3:.0f} ms; from worker to worker "
            f"{np.mean(moved):,.0f} bytes a pass; sums of at most {max(size):,.0f} bytes",
            flush=True,
        )
        here = dask.compute(x, y) if n_workers > 1 else (None, None)
    return float(np.median(seconds)), model, *here


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--features", type=int, default=30)
    parser.add_argument("--chunks", type=int, default=8)
    options = parser.parse_args()
    one, *_ = measured(1, options)
    two, model, x, y = measured(2, options)
    print(f"a pass of two workers is {one / two:.2f} times as fast")
    start = time.perf_counter()
    with fl.num_threads(1):
        there = LossClassifier(**OPTIONS).fit(x, y)
    difference = np.max(np.abs(model.coef_ - there.coef_))
    print(f"in memory, one thread: {time.perf_counter() - start:.2f} s; coefficients differ by {difference:.0e}")


if __name__ == "__main__":
    main()
