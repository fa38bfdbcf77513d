"""
Hazards, choices and concordance against lifelines and scikit-survival: python survival.py [--quick] [--cpu].

Prepared `CoxPH` by rows and threads, `GroupSoftmax` beside `CrossEntropy` of groups of equal size and the same targets,
then fits at equal coefficients, concordance, a conditional logit, and LightGBM's time with `CoxPH` beside its own
squared error. All that is compared takes turns, and the shortest times count. On a machine that others use, --cpu takes
the processor's time of one thread in place of the clock's.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from report import columns

import fastloss as fl

# What a part is held to: nanoseconds a row, or how many times as long the other takes.
NANOSECONDS = 40
SHARE = 0.6
TIMES_OF_FITS, TIMES_OF_CONCORDANCE, TIMES_OF_BOOSTING = 20, 10, 1 / 1.15


def shortest(calls: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """Let calls take turns, after one that does not count; return the shortest time of each."""
    best = dict.fromkeys(calls, float("inf"))
    for turn in range(rounds + (rounds > 1)):
        for name, call in calls.items():
            began = clock()
            call()
            if turn or rounds == 1:
                best[name] = min(best[name], clock() - began)
    return best


def times_of(rng: np.random.Generator, risk: np.ndarray, tied: bool = False) -> np.ndarray:
    """Half of the rows censored; tied: to days of a year."""
    times, end = (rng.exponential(size=len(risk)) * factor for factor in (np.exp(-risk), np.exp(-risk)))
    if tied:
        times, end = np.ceil(times * 365), np.ceil(end * 365)
    return fl.survival_target(np.minimum(times, end) + 1e-12, times <= end)


def passes(factor: float, threads: list[int], clock: Callable[[], float]) -> Iterator[list[str]]:
    """Gradient and Hessian of prepared targets, by rows, ties and threads."""
    for tied in (False, True):
        for n in (10_000, 100_000, int(1_000_000 * factor)):
            for count in threads:
                with fl.num_threads(count):
                    each = one_pass(n, tied, clock) / n * 1e9
                name = f"CoxPH, gradient and Hessian, {n:,} rows{', 365 days' if tied else ''}, {count} threads"
                is_held = count > 1
                verdict = ("pass" if each <= NANOSECONDS else "MISS") if is_held else "-"
                yield [name, f"{each:.1f} ns a row", f"<= {NANOSECONDS:g}" if is_held else "-", verdict]


def one_pass(n: int, tied: bool, clock: Callable[[], float]) -> float:
    """Seconds of a call with reused outputs."""
    rng = np.random.default_rng(0)
    z, gradient, hessian = rng.normal(size=n), np.empty(n), np.empty(n)
    prepared = fl.CoxPH().prepare(times_of(rng, z, tied))
    call = lambda: prepared.gradient_and_hessian(z, gradient_out=gradient, hessian_out=hessian)
    return shortest({"": call}, max(5, 1_000_000 // n), clock)[""]


def groups(factor: float, clock: Callable[[], float]) -> Iterator[list[str]]:
    """Value and gradient of groups of equal size, and of the same rows as a matrix."""
    for size in (2, 5, 10, 100, 1000):
        best = of_size(size, int(1_000_000 * factor) // size, clock)
        share = best["rows"] / best["groups"]
        name = f"GroupSoftmax, value and gradient, groups of {size}: speed of CrossEntropy's"
        yield [name, f"{share:.0%}", f">= {SHARE:.0%}", "pass" if share >= SHARE else "MISS"]


def of_size(size: int, m: int, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of both, for m groups."""
    rng = np.random.default_rng(0)
    z, chosen = rng.normal(size=(m, size)), np.eye(size)[rng.integers(0, size, m)]
    gradient, loss = np.empty((m, size)), fl.CrossEntropy()
    prepared = fl.GroupSoftmax().prepare(chosen.ravel(), group=np.full(m, size))
    calls = {
        "groups": lambda: prepared.value_and_gradient(z.ravel(), gradient_out=gradient.reshape(-1)),
        "rows": lambda: loss.value_and_gradient(z, chosen, gradient_out=gradient),
    }
    return shortest(calls, 15, clock)


def concordance(factor: float, clock: Callable[[], float]) -> Iterator[list[str]]:
    """Of lifelines."""
    from lifelines.utils import concordance_index

    rng = np.random.default_rng(0)
    risk = rng.normal(size=int(1_000_000 * factor))
    y = times_of(rng, risk)
    ours = shortest({"": lambda: fl.concordance_index(y, risk)}, 3, clock)[""]
    theirs = shortest({"": lambda: concordance_index(np.abs(y), -risk, y > 0)}, 1, clock)[""]
    yield versus(f"concordance of {len(y):,} rows, lifelines'", ours, theirs, TIMES_OF_CONCORDANCE)


def versus(name: str, ours: float, theirs: float, least: float) -> list[str]:
    """A line of the table."""
    ratio = theirs / ours
    said = f"{ours * 1e3:.1f} ms, theirs {theirs / ours:.2f} times that"
    return [name, said, f">= {least:.3g}", "pass" if ratio >= least else "MISS"]


def fits(factor: float, clock: Callable[[], float]) -> Iterator[list[str]]:
    """Unpenalised hazards at equal coefficients; times without ties, then of days."""
    import lifelines
    import pandas as pd
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    from fastloss.sklearn import LossRegressor

    rng = np.random.default_rng(0)
    n, d = int(20_000 * factor), 10
    for tied in (False, True):
        x = rng.normal(size=(n, d))
        y = times_of(rng, x @ rng.normal(size=d) / 3, tied)
        frame = pd.DataFrame(x).assign(t=np.abs(y), e=y > 0)
        frame.columns = [*(f"x{j}" for j in range(d)), "t", "e"]
        structured = np.array(list(zip(y > 0, np.abs(y), strict=True)), [("event", bool), ("time", float)])
        found: dict[str, np.ndarray] = {}

        def own(x: Any = x, y: Any = y, found: Any = found) -> None:
            found["fastloss"] = LossRegressor(loss=fl.CoxPH(), penalty=None).fit(x, y).coef_

        def of_lifelines(frame: Any = frame, found: Any = found) -> None:
            found["lifelines"] = lifelines.CoxPHFitter().fit(frame, "t", "e").params_.to_numpy()

        def of_sksurv(x: Any = x, structured: Any = structured, found: Any = found) -> None:
            found["scikit-survival"] = CoxPHSurvivalAnalysis(ties="efron").fit(x, structured).coef_

        ours = shortest({"": own}, 3, clock)[""]
        for name, fit in (("lifelines", of_lifelines), ("scikit-survival", of_sksurv)):
            theirs = shortest({"": fit}, 1, clock)[""]
            apart = np.abs(found[name] - found["fastloss"]).max()
            days = ", 365 days" if tied else ""
            yield versus(f"fit of {n:,} x {d}{days}, {name}' (off by {apart:.0e})", ours, theirs, TIMES_OF_FITS)


def choices(factor: float, clock: Callable[[], float]) -> Iterator[list[str]]:
    """A conditional logit with its standard errors."""
    from fastloss.sklearn import LossRegressor

    rng = np.random.default_rng(0)
    m, size, d = int(100_000 * factor), 10, 10
    x = rng.normal(size=(m * size, d))
    utility = (x @ rng.normal(size=d) / 3 + rng.gumbel(size=m * size)).reshape(m, size)
    chosen, group = np.eye(size)[utility.argmax(axis=1)].ravel(), np.full(m, size)
    model = LossRegressor(loss=fl.GroupSoftmax(), penalty=None)
    took = shortest({"": lambda: model.fit(x, chosen, group=group)}, 1, clock)[""]
    errors = shortest({"": lambda: model.inference(x, chosen, group=group)}, 1, clock)[""]
    said = f"{took:.2f} s, standard errors {errors:.2f} s"
    yield [f"conditional logit of {len(x):,} x {d} in {m:,} groups", said, "seconds", "pass" if took < 10 else "MISS"]


def boosting(factor: float, clock: Callable[[], float]) -> Iterator[list[str]]:
    """LightGBM with CoxPH beside its own squared error."""
    import lightgbm

    import fastloss.lightgbm

    rng = np.random.default_rng(0)
    x = rng.normal(size=(int(1_000_000 * factor), 20)).astype(np.float32)
    y = times_of(rng, x[:, 0] + x[:, 1] * x[:, 2])
    data = lightgbm.Dataset(x, y).construct()
    parameters = {"num_threads": 1 if clock is time.thread_time else 0, "verbose": -1, "metric": "None"}

    def train(objective: Any) -> None:
        lightgbm.train({**parameters, "objective": objective}, data, 50)

    own = fastloss.lightgbm.objective(fl.CoxPH())
    best = shortest({"theirs": lambda: train("regression_l2"), "ours": lambda: train(own)}, 2, clock)
    name = f"LightGBM of {len(x):,} x 20, 50 rounds with CoxPH, its own L2's"
    yield versus(name, best["ours"], best["theirs"], TIMES_OF_BOOSTING)


PARTS = {
    "groups": groups,
    "concordance": concordance,
    "fits": fits,
    "choices": choices,
    "boosting": boosting,
}


def main(arguments: list[str]) -> None:
    """Print the table, a line as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rows")
    parser.add_argument("--rows", type=float, default=None, help="a share of the rows")
    parser.add_argument("--cpu", action="store_true", help="time of the processor, on one thread")
    parser.add_argument("--only", default=None, help=f"one of passes, {', '.join(PARTS)}")
    options = parser.parse_args(arguments)
    warnings.simplefilter("ignore")
    factor = options.rows or (0.05 if options.quick else 1.0)
    clock = time.thread_time if options.cpu else time.perf_counter
    if options.cpu:
        fl.set_num_threads(1)
    lines = []
    for name in ("passes", *PARTS):
        if options.only not in (None, name):
            continue
        threads = [1] if options.cpu else [1, 2]
        for line in passes(factor, threads, clock) if name == "passes" else PARTS[name](factor, clock):
            lines.append(line)
            print("  ".join(line), file=sys.stderr, flush=True)
    print(columns([["", "measured", "target", ""], *lines]))
    print(fl.config())


if __name__ == "__main__":
    main(sys.argv[1:])
