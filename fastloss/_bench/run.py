"""Runs the plan, one process after the other, and collects what they find."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from .peers import missing_from
from .plan import ALONE, Task

FORMAT = 1
# Affinity first: libraries set up their threads when they are imported.
BOOT = """
import os, sys
if {cpus}: os.sched_setaffinity(0, {cpus})
sys.path[:] = {path}
from fastloss._bench.worker import main
main()
"""
# No graphics card, and no log.
ENVIRONMENT = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
ENVIRONMENT |= {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "1"}


@dataclass(frozen=True)
class Effort:
    """How much is spent: seconds for a case and for everything, and on the limits."""

    budget: float = 0.6
    seconds: float = math.inf
    limit_rounds: int = 4
    is_quick: bool = False


# Processes of a quick run are stopped so long after their time: an import cannot be interrupted.
GRACE = 3.0
QUICK = Effort(budget=0.05, seconds=21.0, is_quick=True)

News = Callable[[str, int], None]


def command(threads: int, most_threads: int) -> tuple[list[str], dict[str, str]]:
    """Return the command and the environment of a process on so many processors."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cpus = sorted(os.sched_getaffinity(0))[:threads] if has_affinity and threads < most_threads else []
    boot = BOOT.format(cpus=cpus, path=[os.path.abspath(entry) for entry in sys.path])
    n = {name: str(threads) for name in ("OMP_NUM_THREADS", "NUMEXPR_MAX_THREADS", "OPENBLAS_NUM_THREADS")}
    return [sys.executable, "-c", boot], {**os.environ, **ENVIRONMENT, **n}


def messages(task: Task, most_threads: int, effort: Effort, seconds: float) -> Iterator[dict[str, Any]]:
    """Run one process and yield what it tells; last of all why it failed, if it did."""
    request = {**asdict(task), **asdict(effort), "seconds": min(seconds, threading.TIMEOUT_MAX)}
    if effort.is_quick and task.library != ALONE:
        request["limit_rounds"] = 0
    line, environment = command(task.threads, most_threads)
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            *(line,), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
        )
        assert process.stdin is not None
        assert process.stdout is not None
        alarm = threading.Timer(min(seconds + GRACE, threading.TIMEOUT_MAX), process.kill)
        try:
            alarm.start()
            with contextlib.suppress(BrokenPipeError):  # it has ended already: its code and message tell why
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            for answer in process.stdout:
                yield json.loads(answer)
            process.wait()
        finally:
            is_over = not alarm.is_alive()
            alarm.cancel()
            process.kill()
            process.communicate()
        if process.returncode and is_over:
            yield {"left_out": "the rest: the time was over"}
        elif process.returncode:
            errors.seek(0)
            last = (errors.read().strip() or "no message").splitlines()[-1]
            yield {"left_out": f"the rest: the process ended with {process.returncode}: {last}"}


def run_tasks(tasks: list[Task], effort: Effort, news: News) -> dict[str, Any]:
    """Run the processes one after the other; `news(text, cases)` hears what happens, and how many cases are done."""
    began = time.perf_counter()
    limits: dict[str, dict[str, Any]] = {}
    run: dict[str, Any] = {"limits": limits, "versions": {}, "rows": [], "left_out": []}
    most_threads = max((task.threads for task in tasks), default=1)
    for position, task in enumerate(tasks):
        where = f"{task.library}, {task.threads} thread{'s' * (task.threads > 1)}"
        left = effort.seconds - (time.perf_counter() - began)
        if left < 0:
            run["left_out"].append(f"{where}: the time was over")
            continue
        left /= 2 if task.library == ALONE and position + 1 < len(tasks) else len(tasks) - position
        news(f"{where}: start", 0)
        done = 0
        for message in messages(task, most_threads, effort, left):
            if "limits" in message:
                known = limits.setdefault(str(task.threads), {})
                for name, (rate, how) in message["limits"].items():
                    known.setdefault(name, {"best": 0.0, "how": how, "history": []})["history"].append(rate)
                    if rate > known[name]["best"]:
                        known[name] |= {"best": rate, "how": how}
                news(f"{where}: the limits of the machine", 0)
            elif "versions" in message:
                run["versions"] |= message["versions"]
            elif "case" in message:
                news(f"{where}: {message['case']}", 1 if done else 0)
                done += 1
            elif "left_out" in message:
                run["left_out"].append(f"{where}: {message['left_out']}")
            elif message["row"]:
                run["rows"].append(message["row"])
        news(where, len(task.cases) - max(0, done - 1))
    return run


def run_benchmark(
    tasks: list[Task], effort: Effort, news: News, libraries: list[str], machine: str, quick: bool
) -> dict[str, Any]:
    """Run everything, and say of what and when it is."""
    run = run_tasks(tasks, effort, news)
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    for library in libraries:
        if missing := missing_from(library):
            run["left_out"].append(f"{library}: not installed (pip install {' '.join(missing)})")
    return {"format": FORMAT, "machine": machine, "date": now, "quick": quick, **run}


def installed(libraries: list[str]) -> list[str]:
    """Return the libraries that can be measured."""
    return [library for library in libraries if not missing_from(library)]
