"""What the commands print: a console, its progress, and tables of which nothing is cut off. Needs rich."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 100
GAP = 2  # between columns
NARROWEST_LABEL = 20


def new_console() -> Console:
    """Make a console; where there is no terminal and no word of its width, one that tables fit into."""
    console = Console(highlight=False)
    known = console.is_terminal or "COLUMNS" in os.environ
    return console if known else Console(highlight=False, width=WIDTH_WITHOUT_TERMINAL)


def show_progress(console: Console) -> Progress:
    """Make the progress display; it leaves nothing behind, and keeps silent where there is no terminal."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        console=console, transient=True,
    )  # fmt: skip


def width_of(cell: str) -> int:
    """Return how many columns of the terminal a cell takes, without its markup."""
    return max((line.cell_len for line in Text.from_markup(cell).split("\n")), default=0)


def print_table(console: Console, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """
    Print a first column of labels, the others numbers. Where the console is too narrow for all columns, the labels
    wrap, and the columns go into several tables: no number is cut off.
    """
    widths = [max(map(width_of, column)) for column in zip(header, *rows, strict=True)]
    label = min(widths[0], max(NARROWEST_LABEL, console.width - GAP - sum(each + GAP for each in widths[1:])))
    label = min(label, max(NARROWEST_LABEL, console.width - GAP - max(widths[1:], default=0)))
    groups: list[list[int]] = [[]]
    for position in range(1, len(header)):
        used = label + sum(widths[each] + GAP for each in groups[-1])
        if groups[-1] and used + widths[position] + GAP > console.width - GAP:
            groups.append([])
        groups[-1].append(position)
    for group in groups:
        table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, header_style="dim")
        table.add_column(header[0], width=label, overflow="fold")
        for position in group:
            table.add_column(header[position], justify="right", no_wrap=True, min_width=widths[position])
        for row in rows:
            table.add_row(row[0], *(row[position] for position in group))
        console.print(table)


def unwritable(path: str | None) -> str | None:
    """Say why a file cannot be written, before anything is computed for it; None if it can."""
    if path is None:
        return None
    file = Path(path)
    folder = file.resolve().parent
    if not folder.is_dir():
        return f"there is no folder {str(file.parent)!r} to write {path!r} to"
    if file.is_dir():
        return f"{path!r} is a folder, and a file is to be written"
    if not os.access(file if file.exists() else folder, os.W_OK):
        return f"{path!r} may not be written"
    return None
