"""The benchmark of the core: python benchmarks/core.py [--quick] [--filter REGEX] [--json FILE] [--update-docs].

Every case is timed in turns with its peers, after their answers are compared, and held against the memory limit
of the same run. Exit code 1 if an answer differs or, in a full run, a target is missed.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

import process
import report
from cases import LARGE, all_cases

import fastloss as fl
from fastloss.__main__ import machine
from fastloss._bench.cases import Case, Problem, make_problem, our_call
from fastloss._bench.limits import MemoryLimit
from fastloss._bench.peers import Peer, agreeing_peers, load_libraries
from fastloss._bench.timing import Times, seconds_of, take_turns

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
OURS, BASELINE, ONE_THREAD = "fastloss", "baseline", "one thread"
# Seconds of timing for a case; a quick run only shows that everything works.
BUDGET = {"limits": 3.0, "small": 1.0, "sweep": 1.5, "catalogue": 1.5, "catalogue-sweep": 0.8}
QUICK_ROUNDS = 2
# Rounds of copies and reads before each large case; the catalogue has many.
LIMIT_ROUNDS = {"limits": 3, "catalogue": 1}
# In the catalogue only the best peer counts: one that takes so many times as long is not timed again.
HOPELESS = 3.0
PEERS = ("torch", "jax", "sklearn", "scipy")


def on_one_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Wrap a call so that it runs on one thread."""

    def wrapped() -> Any:
        with fl.num_threads(1):
            return call()

    return wrapped


def calls_of(problem: Problem, peers: list[Peer]) -> dict[str, Callable[[], Any]]:
    """Collect everything that takes turns in a case."""
    calls: dict[str, Callable[[], Any]] = {OURS: our_call(problem)}
    if problem.case.section == "limits":
        calls[ONE_THREAD] = on_one_thread(calls[OURS])
    if problem.case.baseline:
        calls[BASELINE] = our_call(problem, problem.case.baseline)
    return calls | {peer.name: peer.call for peer in peers}


def factors_of(case: Case, times: dict[str, Times], peers: list[Peer]) -> dict[str, float]:
    """Our speed against the best of each group of peers, our own baseline, and ourselves on one thread."""
    ours = times[OURS].best
    groups = {
        "users": [peer.name for peer in peers if peer.group == "users"],
        "kernels": [peer.name for peer in peers if peer.group == "kernels"],
        "peers": [peer.name for peer in peers],
        "baseline": [BASELINE] if BASELINE in times else [],
        "threads": [ONE_THREAD] if ONE_THREAD in times else [],
    }
    return {group: min(times[name].best for name in names) / ours for group, names in groups.items() if names}


def contenders(peers: list[Peer]) -> list[Peer]:
    """Return the peers of which one is the fastest, from the better of two calls each."""
    seconds = [min(seconds_of(peer.call) for _ in range(2)) for peer in peers]
    return [peer for peer, time in zip(peers, seconds, strict=True) if time <= HOPELESS * min(seconds)]


def run_case(case: Case, modules: list[Any], rounds: int | None) -> dict[str, Any]:
    """Compare the answers of a case, time it, and return what was found."""
    problem = make_problem(case)
    peers, remarks = agreeing_peers(problem, our_call(problem), modules, fl.config()["threads"])
    if case.section.startswith("catalogue"):
        peers = contenders(peers)
    times = take_turns(calls_of(problem, peers), BUDGET[case.section], rounds)
    return {
        "name": case.name,
        "section": case.section,
        "kernel": case.kernel,
        "shape": case.shape_text,
        "dtype": case.dtype,
        "want": case.want,
        "outputs": case.outputs,
        "seconds": times[OURS].best,
        "spread": times[OURS].spread,
        "bytes_read": problem.bytes_read,
        "bytes_written": problem.bytes_written,
        "peers": {peer.name: {"seconds": times[peer.name].best, "spread": times[peer.name].spread} for peer in peers},
        "best_peer": min(peers, key=lambda peer: times[peer.name].best).name if peers else None,
        "factors": factors_of(case, times, peers),
        "targets": case.targets,
        "remarks": remarks,
    }


def judge(result: dict[str, Any], limit: MemoryLimit) -> None:
    """Add the share of the memory limit, best of the whole run, and the targets that were missed."""
    factors, targets = result["factors"], result["targets"]
    if result["section"] in LARGE:
        factors["share"] = limit.seconds(result["bytes_read"], result["bytes_written"]) / result["seconds"]
    # A target against a peer that is not installed, or has nothing like this case, is neither kept nor missed.
    result["kept"] = [name for name, target in targets.items() if name in factors and factors[name] >= target]
    result["missed"] = [name for name, target in targets.items() if name in factors and factors[name] < target]


def measure_cases(cases: list[Case], modules: list[Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Run the cases one after the other, with the memory limit measured before each large one."""
    limit = MemoryLimit(fl.config()["threads"]) if any(case.section in LARGE for case in cases) else None
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else None)
    results = []
    for position, case in enumerate(cases, start=1):
        print(f"[{position}/{len(cases)}] {case.name}", file=sys.stderr, flush=True)
        if limit and case.section in LARGE:
            limit.measure(1 if arguments.quick else LIMIT_ROUNDS[case.section])
        results.append(run_case(case, modules, rounds))
        gc.collect()
    for result in results:
        judge(result, limit)
    rates = {} if limit is None else {"copy": limit.copy, "read": limit.read}
    return {
        "cases": results,
        **{name: {"gigabytes_per_second": rate.best / 1e9, "how": rate.how} for name, rate in rates.items()},
    }


def measure_facts(pattern: re.Pattern[str], quick: bool) -> list[dict[str, Any]]:
    """Measure what needs processes of its own."""
    facts = []
    for name, measurement in process.MEASUREMENTS.items():
        if pattern.search(f"process/{name}"):
            print(f"[process/{name}]", file=sys.stderr, flush=True)
            facts += [{**asdict(fact), "ok": fact.ok} for fact in measurement(quick)]
    return facts


def show(run: dict[str, Any]) -> None:
    """Print the tables of a run."""
    print(run["machine"])
    for name in ("copy", "read"):
        if name in run:
            print(f"memory limit, {name}: {run[name]['gigabytes_per_second']:.1f} GB/s ({run[name]['how']})")
    for section, results in groupby(run["cases"], key=lambda result: result["section"]):
        print("\n" + report.case_table(section, list(results)))
    if run["facts"]:
        print("\n" + report.fact_table(run["facts"]))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--quick", action="store_true", help="few rows and rounds: shows that it runs, not how fast")
    parser.add_argument(
        "--filter", default="", metavar="REGEX", help="only cases whose name matches, such as ^limits/huber"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the cases and stop")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to a file")
    parser.add_argument("--rounds", type=int, help="rounds per case, instead of a time budget")
    parser.add_argument("--no-peers", action="store_true", help="time fastloss alone")
    parser.add_argument(
        "--update-docs", action="store_true", help="write the speed table of docs/performance.md; then: chart.py"
    )
    arguments = parser.parse_args(argv)
    is_partial = arguments.quick or arguments.no_peers or arguments.filter not in ("", "^limits/")
    if arguments.update_docs and is_partial:
        parser.error("--update-docs needs a full run, or at least --filter ^limits/ without --quick and --no-peers")
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark and return its exit code."""
    arguments = parse(argv)
    pattern = re.compile(arguments.filter)
    cases = [case for case in all_cases(arguments.quick) if pattern.search(case.name)]
    if arguments.list:
        print("\n".join(case.name for case in cases))
        return 0
    modules, versions = ([], {}) if arguments.no_peers else load_libraries(PEERS)
    run = {
        "date": str(date.today()),
        "machine": machine(),
        "versions": versions,
        **measure_cases(cases, modules, arguments),
        "facts": measure_facts(pattern, arguments.quick),
    }
    show(run)
    if arguments.json:
        arguments.json.write_text(json.dumps(run, indent=1), encoding="utf-8")
    if arguments.update_docs:
        report.update_speed_table(PAGE, run)
    differs = any(result["remarks"] for result in run["cases"])
    missed = any(result["missed"] for result in run["cases"]) or not all(fact["ok"] for fact in run["facts"])
    return int(differs or (missed and not arguments.quick and not arguments.no_peers))


if __name__ == "__main__":
    sys.exit(main())
