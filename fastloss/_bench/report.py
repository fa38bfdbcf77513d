"""A run as tables, for the terminal and for the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .options import aim_of
from .plan import ORDER
from .results import (
    OURS,
    Comparison,
    Key,
    Run,
    limits_of,
    noise_of,
    numbers_of,
    rows_of,
    share_of_limit,
    times_plain,
    verdict_on,
)

LABELS = {
    OURS: "fastloss",
    "reference": "NumPy reference",
    "scipy": "SciPy",
    "numexpr": "numexpr",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "compile": "torch.compile",
    "jax": "JAX",
    "tensorflow": "TensorFlow",
}


@dataclass
class Table:
    """A title, a sentence on how to read it, and cells."""

    title: str
    note: str
    header: list[str]
    rows: list[list[str]] = field(default_factory=list)


def duration(seconds: float) -> str:
    """Format a time in the unit that suits it."""
    for unit, factor in (("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def megabytes(n_bytes: float) -> str:
    """Format bytes."""
    return f"{n_bytes / 1e6:.1f} MB"


def threads_text(threads: int) -> str:
    """Format a number of threads."""
    return f"{threads} thread{'s' * (threads != 1)}"


def libraries_in(run: Run) -> list[str]:
    """Return the libraries that answered something, fastloss first."""
    return [library for library in ORDER if any(row["library"] == library for row in run["rows"])]


def limits_table(run: Run) -> Table:
    """The limits of the machine."""
    table = Table(
        "Limits of this machine",
        "The best rate of the run. Add reads two arrays and writes one; update works in place.",
        ["threads", "copy", "read", "add", "update", "float32", "float64"],
    )
    for threads, rates in sorted(run["limits"].items(), key=lambda pair: int(pair[0])):
        memory = [f"{rates[name]['best'] / 1e9:.1f} GB/s" for name in table.header[1:5]]
        table.rows.append([threads, *memory, *(f"{rates[d]['best'] / 1e9:.0f} Gflop/s" for d in table.header[5:])])
    return table


def kernel_table(run: Run) -> Table:
    """Every kernel as a share of its limit."""
    threads = max(map(int, run["limits"]), default=1)
    rows = rows_of(run, "large", outputs="reused", threads=threads)
    times = numbers_of(rows)
    table = Table(
        f"Kernels against the limit, {threads_text(threads)}",
        "Outputs reused. The limit is the least time that memory or arithmetic allows.",
        ["kernel", "dtype", "shape", "time", "median", "GB/s", "Gflop/s", "of the limit", "of"],
    )
    for row in rows:
        if row["library"] != OURS:
            continue
        seconds = times[Key(row["case"], threads)][OURS]
        share = share_of_limit(row, seconds, limits_of(run, threads))
        n_bytes = row["bytes_read"] + row["bytes_written"]
        rates = [f"{n_bytes / seconds / 1e9:.1f}", f"{row['operations'] / seconds / 1e9:.1f}"]
        median = duration(row["calls"][OURS]["median"])
        table.rows.append(
            [
                row["kernel"],
                row["dtype"],
                row["shape"],
                duration(seconds),
                median,
                *rates,
                f"{share.share:.0%}",
                share.bound,
            ]
        )
    return table


def peer_table(run: Run, title: str, note: str, rows: list[dict[str, Any]], text: Callable[[float], str]) -> Table:
    """Fastloss next to the libraries: its number, and how many times as much the others take."""
    numbers = numbers_of(rows)
    libraries = [each for each in libraries_in(run)[1:] if any(each in found for found in numbers.values())]
    table = Table(title, note, ["kernel", "dtype", "shape", "fastloss", *(LABELS[library] for library in libraries)])
    by_key = {Key(row["case"], row["threads"]): row for row in rows}
    for key, found in numbers.items():
        row = by_key[key]
        is_memory = "memory" in row
        others = [
            "" if other is None else text(other) if is_memory else f"{other / found[OURS]:.1f}x"
            for other in map(found.get, libraries)
        ]
        table.rows.append([row["kernel"], row["dtype"], row["shape"], text(found[OURS]), *others])
    return table


def options_tables(run: Run) -> list[Table]:
    """Every option as times the plain call, one table for each loss and dtype; torch's time beside it."""
    tables = []
    rows = rows_of(run, "options")
    for kernel, dtype in dict.fromkeys((row["kernel"], row["dtype"]) for row in rows):
        these = [row for row in rows if (row["kernel"], row["dtype"]) == (kernel, dtype)]
        shapes, times = list(dict.fromkeys(row["shape"] for row in these)), times_plain(these)
        note = "Time of value and gradient with the option, against the plain ones."
        if any(len(found) > 1 for found in times.values()):
            note += " Behind it: how many times as long as this torch takes."
        table = Table(f"Options of {kernel}, {dtype}", note, ["option", "aim", *shapes])
        for option in dict.fromkeys(row["option"] for row in these):
            aim = aim_of(kernel, option)
            cells = [" / ".join(f"{each:.2f}" for each in times.get((option, shape), ())) for shape in shapes]
            table.rows.append([option, "" if aim is None else f"{aim:g}", *cells])
        tables.append(table)
    return tables


def threads_table(run: Run) -> Table:
    """How large calls scale."""
    counts = sorted(map(int, run["limits"]))
    table = Table("Threads", "Speed against one thread, outputs reused.", ["kernel", *map(threads_text, counts)])
    times = numbers_of(rows_of(run, "large", outputs="reused", library=OURS, dtype="float32"))
    for key in times:
        alone = times.get(Key(key.case, 1))
        if alone and key.threads == max(counts):
            name = key.case.partition("/")[2].partition(" value")[0].partition(" array")[0]
            cells = [times.get(Key(key.case, n)) for n in counts]
            table.rows.append([name, *("" if c is None else f"{alone[OURS] / c[OURS]:.2f}x" for c in cells)])
    return table


def tables_of(run: Run) -> list[Table]:
    """Every table in which something stands."""
    counts = sorted(map(int, run["limits"]), reverse=True)
    most, times_as_long = max(counts, default=1), "Times as long as fastloss, which took turns with each."
    tables = [limits_table(run), kernel_table(run)]
    for outputs in ("fresh", "reused"):
        for threads in counts:
            rows = rows_of(run, "large", outputs=outputs, threads=threads)
            title = f"Large arrays, {outputs} outputs, {threads_text(threads)}"
            tables.append(peer_table(run, title, times_as_long, rows, duration))
    rows = rows_of(run, "call", threads=most)
    tables.append(peer_table(run, "Call overhead: ten predictions", times_as_long, rows, duration))
    tables.append(peer_table(run, "From small to large", times_as_long, rows_of(run, "sweep"), duration))
    tables.append(threads_table(run))
    note = "The most that a call holds beyond its inputs and its result."
    tables.append(peer_table(run, "Peak memory", note, rows_of(run, "memory", threads=most), megabytes))
    return [
        table for table in tables if (table.rows and len(table.header) > 4) or (table.title == "Threads" and table.rows)
    ] + options_tables(run)


def comparison_table(comparison: Comparison) -> Table:
    """What changed since an older run."""
    changed, all_cases = comparison.changed, len(comparison.ratios)
    note = (
        f"Mean of {all_cases} cases: {comparison.mean:.2f} times the older time; {all_cases - len(changed)} of them "
        f"differ by no more than the noise, {comparison.noise:.0%}. {' '.join(comparison.remarks)}"
        if all_cases
        else "The two runs have no case in common."
    )
    rows = [[key.case, str(key.threads), f"{ratio:.2f}"] for key, ratio in changed.items()]
    return Table("Against the older run", note, ["case", "threads", "new time / old"], rows)


def sentences(run: Run) -> list[str]:
    """Noise, answers that differ, and what was left out."""
    differs = [
        f"ANSWERS DIFFER: {row['case']}: {remark} ({row['library']})"
        for row in run["rows"]
        for remark in row["remarks"]
    ]
    return [verdict_on(noise_of(run)), *differs, *(f"Left out: {each}" for each in run["left_out"])]
