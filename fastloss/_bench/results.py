"""What a run says: times by kernel and library, shares of the limit, noise, and an older run next to it."""

from __future__ import annotations

import math
from collections import defaultdict
from statistics import geometric_mean, median
from typing import Any, NamedTuple

from .options import PLAIN

Run = dict[str, Any]
Row = dict[str, Any]
OURS = "fastloss"
# Spreads beyond which differences mean little, and nothing.
NOISY, TOO_NOISY = 0.10, 0.30
FEWEST_MEASUREMENTS = 3


class Key(NamedTuple):
    """A case on so many threads."""

    case: str
    threads: int


def rows_of(run: Run, section: str, **fields: Any) -> list[Row]:
    """Return the rows of a section with these values."""
    return [
        row
        for row in run["rows"]
        if row["section"] == section and all(row[name] == value for name, value in fields.items())
    ]


def numbers_of(rows: list[Row]) -> dict[Key, dict[str, float]]:
    """Return, case by case, the best time (or the memory) of each library; ours is the best of all processes."""
    found: dict[Key, dict[str, float]] = defaultdict(dict)
    for row in rows:
        known = found[Key(row["case"], row["threads"])]
        numbers = row["memory"] if "memory" in row else {name: times["best"] for name, times in row["calls"].items()}
        for name, number in numbers.items():
            library = OURS if name == OURS else row["library"]
            known[library] = min(number, known.get(library, math.inf))
    return found


def limits_of(run: Run, threads: int) -> dict[str, float]:
    """Return the best rates on at most so many threads: more are never slower, unless somebody else computes."""
    known = [limits for n, limits in run["limits"].items() if int(n) <= threads]
    return {name: max(limits[name]["best"] for limits in known) for name in known[0]} if known else {}


class Share(NamedTuple):
    """The least time that a case can take, what sets it, and the share of it in the time."""

    seconds: float
    bound: str
    share: float


def memory_rate(limits: dict[str, float], is_reader: bool = False) -> float:
    """Return the best rate at which memory is read, or read and written."""
    return max(limits[name] for name in (("read",) if is_reader else ("copy", "add", "update")))


def share_of_limit(row: Row, seconds: float, limits: dict[str, float]) -> Share:
    """Hold a time against the fastest that memory and arithmetic allow."""
    rate = memory_rate(limits, is_reader=4 * row["bytes_written"] < row["bytes_read"])
    memory = (row["bytes_read"] + row["bytes_written"]) / rate
    arithmetic = row["operations"] / limits[row["dtype"]]
    least = max(memory, arithmetic)
    return Share(least, "memory" if memory >= arithmetic else "arithmetic", least / seconds)


def times_plain(rows: list[Row]) -> dict[tuple[str, str], list[float]]:
    """Return by option and shape how many plain calls one takes, and how many of it a peer, each of one process."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in sorted(rows, key=lambda row: row["library"] != OURS):
        best = {name: times["best"] for name, times in row["calls"].items()}
        ours = best.pop(OURS)
        known = found.setdefault((row["option"], row["shape"]), [ours / row[PLAIN]["best"]])
        known += [min(best.values()) / ours] if best else []
    return found


# ---- noise -----------------------------------------------------------------------------------------------------


def spread_of(measurements: list[float]) -> float | None:
    """Return by how much the best rate exceeds the usual one, if it was measured often enough."""
    return max(measurements) / median(measurements) - 1 if len(measurements) >= FEWEST_MEASUREMENTS else None


def noise_of(run: Run) -> float | None:
    """Return the worst of: spread of a limit's own measurement, of our calls, of our best from process to process."""
    spreads = [
        *(spread_of(rate["history"]) for limits in run["limits"].values() for rate in limits.values()),
    ]
    usual = [row["calls"][OURS]["median"] / row["calls"][OURS]["best"] - 1 for row in run["rows"] if "calls" in row]
    again: dict[Key, list[float]] = defaultdict(list)
    for row in run["rows"]:
        if "calls" in row:
            again[Key(row["case"], row["threads"])].append(row["calls"][OURS]["best"])
    repeated = [max(times) / min(times) - 1 for times in again.values() if len(times) > 1]
    known = [spread for spread in spreads if spread is not None]
    known += [median(each) for each in (usual, repeated) if each]
    return max(known, default=None)


def verdict_on(noise: float | None) -> str:
    """Say whether a run can be believed."""
    if noise is None:
        return "Too little was measured to say how noisy the machine is."
    if noise < NOISY:
        return f"Quiet: repeated measurements differ by {noise:.0%}."
    if noise < TOO_NOISY:
        return f"Noisy: repeated measurements differ by {noise:.0%}; smaller differences mean nothing."
    return (
        f"TOO NOISY TO BE BELIEVED: repeated measurements differ by {noise:.0%}. "
        "Close what else runs, plug in the power supply, and run again."
    )


# ---- an older run ----------------------------------------------------------------------------------------------


class Comparison(NamedTuple):
    """Our times as a share of the older ones: below 1 is faster."""

    ratios: dict[Key, float]
    noise: float
    remarks: list[str]

    @property
    def mean(self) -> float:
        """The geometric mean of the ratios."""
        return geometric_mean(self.ratios.values())

    @property
    def changed(self) -> dict[Key, float]:
        """The ratios beyond noise, slowest first."""
        beyond = {key: ratio for key, ratio in self.ratios.items() if abs(math.log(ratio)) > math.log1p(self.noise)}
        return dict(sorted(beyond.items(), key=lambda pair: -pair[1]))


def compare(run: Run, old: Run) -> Comparison:
    """Hold our times against those of an older run, case by case."""
    new_times, old_times = (numbers_of([row for row in each["rows"] if "calls" in row]) for each in (run, old))
    ratios = {key: new_times[key][OURS] / old_times[key][OURS] for key in new_times if key in old_times}
    remarks = []
    if run["machine"] != old["machine"]:
        remarks.append(f"The older run is of another machine or version: {old['machine']}.")
    for threads in sorted(set(run["limits"]) & set(old["limits"]), key=int)[-1:]:
        rates = [memory_rate(limits_of(each, int(threads))) for each in (run, old)]
        remarks.append(f"Memory runs at {rates[0] / rates[1]:.2f} times its older rate.")
    noise = max(0.05, noise_of(run) or 0.0, noise_of(old) or 0.0)
    return Comparison(ratios, noise, remarks)
