"""Results as text: a table for the terminal, and the table of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from fastloss._bench.report import duration

BEGIN, END = "<!-- speed table: begin -->", "<!-- speed table: end -->"


def columns(rows: Iterable[Iterable[str]]) -> str:
    """Align rows of cells: the first column to the left, the others to the right."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(cell.rjust(width) if position else cell.ljust(width) for position, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in cells)
    )
    return "\n".join(line.rstrip() for line in lines)


def against_target(number: float | None, target: float | None, percent: bool = False) -> str:
    """Format a number and the target it has, such as ``93% >= 90%`` or ``3.1x < 4x``."""
    if number is None:
        return "-"
    form = "{:.0%}" if percent else "{:.3g}x"
    if target is None:
        return form.format(number)
    return f"{form.format(number)} {'>=' if number >= target else '<'} {form.format(target)}"


def verdict(result: dict[str, Any]) -> str:
    """Say whether a case kept its targets, or what is wrong with its answers."""
    if result["remarks"]:
        return "DIFFERS " + "; ".join(result["remarks"])
    if result["missed"]:
        return "MISS"
    return "pass" if result["kept"] else "-"


def case_cells(result: dict[str, Any]) -> list[str]:
    """The cells of one result in the terminal's table."""
    targets, factors = result["targets"], result["factors"]
    cells = [
        against_target(factors.get(group), targets.get(group), percent=group == "share") for group in FACTOR_HEADERS
    ]
    return [
        result["name"].partition("/")[2],
        duration(result["seconds"]),
        f"{result['spread']:.2f}",
        *cells,
        result["best_peer"] or "-",
        verdict(result),
    ]


# Each kind of factor, and the head of its column.
FACTOR_HEADERS = {
    "share": "memory limit",
    "users": "users write",
    "kernels": "torch kernels",
    "peers": "any peer",
    "baseline": "own baseline",
    "threads": "one thread",
}


def case_table(section: str, results: list[dict[str, Any]]) -> str:
    """The table of a section, without the columns in which nothing stands."""
    header = [section, "time", "spread", *FACTOR_HEADERS.values(), "best peer is", ""]
    table = [header, *map(case_cells, results)]
    kept = [column for column in zip(*table, strict=True) if any(cell != "-" for cell in column[1:])]
    return columns(zip(*kept, strict=True))


def fact_table(facts: list[dict[str, Any]]) -> str:
    """The table of the facts measured in processes of their own."""
    return columns(
        [
            fact["name"],
            f"{fact['number']:.3g} {fact['unit']}",
            f"{'>=' if fact['is_least'] else '<='} {fact['bound']:g}",
            "pass" if fact["ok"] else "MISS",
        ]
        for fact in facts
    )


# ---- docs/performance.md ---------------------------------------------------------------------------------------


WANT_TEXT = {"value+gradient": ", value and gradient", "value": ", value", "array": ""}


def speed_rows(results: list[dict[str, Any]]) -> Iterable[list[str]]:
    """One row for each case at full size: time and share with outputs reused, factors like with like."""
    fresh = {(r["kernel"], r["shape"], r["dtype"], r["want"]): r for r in results if r["outputs"] == "fresh"}
    for result in results:
        if result["section"] != "limits" or result["outputs"] != "reused":
            continue
        users = fresh.get((result["kernel"], result["shape"], result["dtype"], result["want"]), result)
        factors = (users["factors"].get("users"), result["factors"].get("kernels"))
        yield [
            f"`{result['kernel']}`{WANT_TEXT[result['want']]}",
            f"{result['shape']} {result['dtype']}",
            duration(result["seconds"]),
            f"{result['factors']['share']:.0%}",
            *("" if factor is None else f"{factor:.1f}x" for factor in factors),
        ]


def as_speed_table(run: dict[str, Any]) -> str:
    """The speed table, with the machine and the versions it was measured on."""
    header = ["", "shape", "time", "of the memory limit", "against what users write", "against torch's kernels"]
    rows = [header, ["---", "---", *["--:"] * 4], *speed_rows(run["cases"])]
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    limits = [f"{run[name]['gigabytes_per_second']:.1f} GB/s {name} ({run[name]['how']})" for name in ("copy", "read")]
    noise = median(result["spread"] for result in run["cases"]) - 1
    return "\n".join(
        [
            *("| " + " | ".join(row) + " |" for row in rows),
            "",
            f"{run['date']}, {run['machine']}. Memory limit: {', '.join(limits)}. Peers: {versions}. "
            f"Times are minima; the median call took {noise:.0%} longer.",
        ]
    )


def parts(page: Path) -> tuple[str, str, str]:
    """Return what comes before the speed table, the table and what comes after it."""
    before, found_begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    table, found_end, after = rest.partition(END)
    if not (found_begin and found_end):
        raise SystemExit(f"{page.name} has no {BEGIN} ... {END}")
    return before, table, after


def speed_table(page: Path) -> str:
    """Return the speed table."""
    return parts(page)[1]


def update_speed_table(page: Path, run: dict[str, Any]) -> None:
    """Write the speed table between its markers."""
    before, _, after = parts(page)
    page.write_text(f"{before}{BEGIN}\n{as_speed_table(run)}\n{END}{after}", encoding="utf-8")
