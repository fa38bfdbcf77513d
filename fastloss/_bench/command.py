"""The command: what is asked, its progress, its answer."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import fastloss as fl
from fastloss.__main__ import machine

from .._terminal import print_table, unwritable
from . import plan
from .options import option_cases
from .peers import LIBRARIES
from .report import Table, comparison_table, sentences, tables_of
from .results import compare
from .run import QUICK, Effort, installed, run_benchmark

BAD_OPTIONS = 2


def bench(options: argparse.Namespace) -> int:
    """Measure, show, and return the exit code: 1 if an answer differs."""
    if (options.html or options.png) and importlib.util.find_spec("matplotlib") is None:
        raise ModuleNotFoundError("matplotlib", name="matplotlib")
    libraries = list(LIBRARIES) if options.peers is None else [name for name in options.peers.split(",") if name]
    if unknown := set(libraries) - set(LIBRARIES):
        return refuse(f"--peers knows {', '.join(LIBRARIES)}, not {', '.join(sorted(unknown))}")
    try:
        pattern = re.compile(options.filter)
        most = fl.get_num_threads()
        threads = sorted({int(n) for n in options.threads.split(",")}) if options.threads else plan.thread_counts(most)
        if min(threads) < 1:
            raise ValueError(f"a number of threads is at least 1, not {min(threads)}")
        old = json.loads(Path(options.compare).read_text(encoding="utf-8")) if options.compare else None
    except (re.error, ValueError, OSError) as error:
        return refuse(str(error))
    every = option_cases if options.options else plan.all_cases
    cases = [case for case in every(options.quick) if pattern.search(case.name)]
    if not cases:
        return refuse(f"no case matches {options.filter!r}; --list shows them")
    if options.list:
        print("\n".join(case.name for case in cases))
        return 0
    for path in (options.json, options.html, options.png):
        if reason := unwritable(path):
            return refuse(reason)
    tasks = plan.tasks_of(cases, installed(libraries), threads, options.quick)
    console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160)
    console.print(machine(), highlight=False)
    columns = (BarColumn(30), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=sum(len(task.cases) for task in tasks))
        news = lambda text, done: progress.update(bar, advance=done, description=text)
        found = run_benchmark(tasks, QUICK if options.quick else Effort(), news, libraries, machine(), options.quick)
    tables = tables_of(found)
    if old is not None:
        tables.insert(0, comparison_table(compare(found, old)))
    show(console, tables, sentences(found))
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1), encoding="utf-8")
    if options.html or options.png:
        from . import page, plots

        figures = plots.figures_of(found)
        if options.html:
            page.write_page(found, tables, map(plots.svg_of, figures), Path(options.html))
        if options.png and figures:
            plots.save_png(figures, options.png)
    return int(any(row["remarks"] for row in found["rows"]))


def refuse(reason: str) -> int:
    """Say on stderr why nothing is run."""
    print(f"fastloss bench: {reason}", file=sys.stderr)
    return BAD_OPTIONS


def show(console: Console, tables: list[Table], remarks: list[str]) -> None:
    """Print tables, then what has to be said of them."""
    for table in tables:
        console.print(f"\n[bold]{escape(table.title)}[/]\n")
        header, *rows = ([escape(cell) for cell in row] for row in (table.header, *table.rows))
        print_table(console, header, rows)
        console.print(table.note, style="dim", highlight=False, markup=False)
    for remark in remarks:
        console.print(remark, highlight=False, markup=False)
