"""One process of the benchmark: a library next to fastloss, the request on stdin, what is found as lines of JSON.

A library gets a process of its own, for in one and the same their threads disturb each other: workers of one OpenMP
runtime spin while another library computes, and each sets up its threads when it is loaded. Within it, fastloss and
the library take turns on the same arrays, with a pause in which workers fall asleep.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .cases import Case, make_problem, our_call
from .limits import MemoryLimit, measure_arithmetic
from .memory import available_bytes, peak_of
from .options import PLAIN, plain_case, with_option
from .peers import agreeing_peers, load_library, peers_of, versions_of
from .plan import ALONE
from .timing import Times, take_turns

# Arrays as large as the prediction that answering takes, at most: our own, a graph's, text-book NumPy's in float64.
ARRAYS = {ALONE: 5, "reference": 60}
ARRAYS_OF_PEERS = 12


def numbers(times: Times) -> dict[str, float]:
    """Return what is kept of the times of a call."""
    return {"best": times.best, "median": times.median, "batches": len(times.seconds)}


def answer(case: Case, modules: list[Any], request: dict[str, Any]) -> dict[str, Any] | None:
    """Compare, then measure a case; None if the library has nothing like it."""
    if modules:
        tiny = make_problem(replace(case, shape=(min(2, case.shape[0]), *case.shape[1:]), option=""))
        if not peers_of(modules, replace(tiny, case=replace(tiny.case, option=case.option)), request["threads"]):
            return None
    problem = with_option(make_problem(case))
    call = our_call(problem)
    peers, remarks = agreeing_peers(problem, call, modules, request["threads"])
    calls = {"fastloss": call} | {peer.name: peer.call for peer in peers}
    plain = {PLAIN: our_call(make_problem(plain_case(case)))} if case.option else {}
    row = {
        "case": case.name,
        **{name: getattr(case, name) for name in ("section", "kernel", "dtype", "want", "outputs", "elements")},
        "option": case.option,
        "shape": case.shape_text,
        **{name: request[name] for name in ("library", "threads")},
        "bytes_read": problem.bytes_read,
        "bytes_written": problem.bytes_written,
        "operations": case.operations,
        "remarks": remarks,
    }
    if case.section == "memory":
        results = problem.out.nbytes if case.outputs == "fresh" else 0
        return {**row, "memory": {name: max(0, peak_of(each) - results) for name, each in calls.items()}}
    times = take_turns(calls | plain, request["budget"], most_seconds=request["budget"])
    row |= {name: numbers(times[name]) for name in plain}
    return {**row, "calls": {name: numbers(times[name]) for name in calls}}


def reason_to_leave_out(case: Case, library: str) -> str | None:
    """Say why a case cannot be run here, if so."""
    if case.section == "memory" and not os.access("/proc/self/clear_refs", os.W_OK):
        return "peak memory is only known on Linux"
    itemsize = 4 if case.dtype == "float32" else 8
    needed, free = case.elements * itemsize * ARRAYS.get(library, ARRAYS_OF_PEERS), available_bytes()
    return f"may need {needed / 2**30:.1f} of {free / 2**30:.1f} GiB" if needed > 0.8 * free else None


def measure_limits(threads: int, rounds: int, is_quick: bool) -> Iterator[dict[str, tuple[float, str]]]:
    """Measure memory and arithmetic some rounds: each rate, and how it was reached."""
    if not rounds:
        return
    limit = MemoryLimit(threads, is_quick)
    for _ in range(rounds):
        limit.measure(1)
        rates = {name: (rate.history[-1], rate.how) for name, rate in limit.rates.items()}
        yield rates | {name: (rate, "np.matmul") for name, rate in measure_arithmetic(is_quick).items()}


def main() -> None:
    """Answer one request; what libraries print goes to stderr."""
    began = time.perf_counter()
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(**news: Any) -> None:
        print(json.dumps(news), file=results, flush=True)

    request = json.loads(sys.stdin.readline())
    library, threads = request["library"], request["threads"]
    # First of all: no thread of another library is there yet.
    for rates in measure_limits(threads, request["limit_rounds"], request["is_quick"]):
        tell(limits=rates)
    modules = [] if library == ALONE else [load_library(library)]
    tell(versions={} if library == ALONE else versions_of(library))
    for position, arguments in enumerate(request["cases"]):
        case = Case(**{**arguments, "shape": tuple(arguments["shape"])})
        if time.perf_counter() - began > request["seconds"]:
            tell(left_out=f"{len(request['cases']) - position} cases: the time was over")
            break
        tell(case=case.name)
        reason = reason_to_leave_out(case, library)
        if reason is None:
            tell(row=answer(case, modules, request))
            gc.collect()
        else:
            tell(left_out=f"{case.name}: {reason}")
