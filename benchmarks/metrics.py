"""fastloss.sklearn's metrics next to scikit-learn's: python benchmarks/metrics.py [--quick].

Both get the same arrays in turns; their answers are compared first. Memory is the highest mark of the process during a
call above what it held before, so it counts whatever anybody allocates. Exit code 1 if an answer differs or, in a full
run, the target is missed: log_loss of 1,000,000 x 10 in a fifteenth of scikit-learn's time, with less than a hundredth
of the probabilities' size in memory.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import sklearn
from sklearn import metrics as theirs

import fastloss.sklearn as ours
from fastloss.__main__ import machine
from fastloss._bench.memory import peak_of
from fastloss._bench.timing import take_turns

ROWS, CLASSES = 1_000_000, 10
TARGET_RATIO, TARGET_MEMORY = 15.0, 0.01


def cases(n: int) -> dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """Make arrays: what is shown, the metric's name, its arguments and its options."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(CLASSES), n)
    y = rng.integers(0, CLASSES, n)
    w = rng.uniform(0, 2, n)
    is_first, mean = (y == 0).astype(int), rng.gamma(2.0, size=n)
    count = rng.poisson(mean)
    letters = np.array(list("abcdefghij"))[y]
    size = f"{n:,} x {CLASSES}"
    return {
        f"log_loss, {size}": ("log_loss", (y, p), {}),
        f"log_loss, {size}, float32": ("log_loss", (y, p.astype(np.float32)), {}),
        f"log_loss, {size}, F order": ("log_loss", (y, np.asfortranarray(p)), {}),
        f"log_loss, {size}, weights": ("log_loss", (y, p), {"sample_weight": w}),
        f"log_loss, {size}, strings": ("log_loss", (letters, p), {}),
        f"log_loss, {n:,} of two": ("log_loss", (is_first, p[:, 0].copy()), {}),
        f"brier_score_loss, {size}": ("brier_score_loss", (y, p), {}),
        f"d2_log_loss_score, {size}": ("d2_log_loss_score", (y, p), {}),
        f"hinge_loss, {size}": ("hinge_loss", (y, rng.normal(size=(n, CLASSES))), {}),
        f"mean_squared_error, {n:,}": ("mean_squared_error", (mean, w), {}),
        f"mean_poisson_deviance, {n:,}": ("mean_poisson_deviance", (count, mean), {}),
    }


def main() -> int:
    """Run all cases and print a line for each."""
    quick = "--quick" in sys.argv[1:]
    print(f"{machine()}, scikit-learn {sklearn.__version__}\n")
    print(f"{'':38}{'fastloss':>10}{'scikit-learn':>14}{'ratio':>8}{'spread':>8}{'memory':>10}{'theirs':>10}")
    failed = False
    for position, (title, (name, arguments, options)) in enumerate(cases(ROWS // (50 if quick else 1)).items()):
        calls = {
            "ours": lambda name=name, a=arguments, o=options: getattr(ours, name)(*a, **o),
            "theirs": lambda name=name, a=arguments, o=options: getattr(theirs, name)(*a, **o),
        }
        answers = [call() for call in calls.values()]
        tolerance = 1e-5 if "float32" in title else 1e-13
        same = bool(np.isclose(*answers, rtol=tolerance, atol=tolerance))
        times = take_turns(calls, 0.0, rounds=2 if quick else 7)
        memory = [peak_of(call) for call in calls.values()]
        best = [times[who].best for who in calls]
        ratio = best[1] / best[0]
        line = f"{title:38}{best[0] * 1e3:>7.2f} ms{best[1] * 1e3:>11.1f} ms{ratio:>7.1f}x{times['ours'].spread:>8.2f}"
        line += "".join(f"{each / 1e6:>7.1f} MB" for each in memory)
        if not same:
            line += f"  differs: {answers[0]!r}, {answers[1]!r}"
        missed = (
            position == 0 and not quick and (ratio < TARGET_RATIO or memory[0] > TARGET_MEMORY * arguments[1].nbytes)
        )
        print(line + ("  target missed" if missed else ""), flush=True)
        failed |= missed or not same
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
