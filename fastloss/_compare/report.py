"""The comparison as a whole: what is printed and written."""

from __future__ import annotations

import argparse
import base64
import json
import math
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape as plain
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from .._terminal import new_console, print_table, show_progress, unwritable
from .problem import BadInput, Format, Problem, load, several
from .study import Result, Study, measure, prepare
from .verdict import MATTERS, Standing, Verdict, errors_needed, number, recommend, robustness, spoiling, standings


def compare(options: argparse.Namespace) -> None:
    """Compare losses as the command line asks for; print, and write what is to be written."""
    console = new_console()
    for file in (options.json, options.html, options.png):
        if reason := unwritable(file):
            raise BadInput(reason)
    given = Format(options.sep, options.decimal, options.encoding)
    problem = load(options.data, options.target, options.task, options.rows, options.seed, given)
    console.print(Panel.fit(Text(headline(problem)), title="[bold]fastloss compare[/]", border_style="cyan"))
    study, pairs = prepare(problem, options.model, options.losses, options.metric, options.quick, options.seed)
    with show_progress(console) as progress:
        task = progress.add_task("", total=len(pairs) * len(study.results))
        for description in measure(study, pairs):
            progress.update(task, description=description)
            progress.advance(task)
    if not study.results:
        raise BadInput("no loss is left to compare: " + "; ".join(str(each.refusal) for each in study.refused))
    verdict = recommend(study)
    show(console, study, verdict)
    try:
        write(options, study, verdict)
    except OSError as error:
        raise BadInput(f"cannot write {error.filename}: {error.strerror}") from error


def write(options: argparse.Namespace, study: Study, verdict: Verdict) -> None:
    """Write the files that were asked for."""
    if options.json:
        text = json.dumps(as_json(study, verdict), indent=2, allow_nan=False)
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    if options.png or options.html:
        from . import plots

        figures = plots.all_figures(study)
        if options.png:
            plots.save(figures, Path(options.png))
        if options.html:
            drawings = {title: plots.svg(figure) for title, figure in figures.items()}
            Path(options.html).write_text(as_html(study, verdict, drawings), encoding="utf-8")


def headline(problem: Problem) -> str:
    """Say what the problem is."""
    rows, columns = problem.features.shape
    lines = [
        f"{problem.name}: {several(rows, 'row')}, {several(columns, 'column')}",
        f"task: {problem.task}, {problem.why}; --task changes it",
    ]
    if problem.task == "binary":
        share = np.mean(problem.target)
        lines.append(f"positive: {problem.classes[1]}, {share:.1%} of the rows; negative: {problem.classes[0]}")
    elif problem.is_classification:
        lines.append(f"{len(problem.classes)} classes: {', '.join(problem.classes)}")
    else:
        t = problem.target
        lines.append(f"target: from {number(t.min())} to {number(t.max())}, median {number(float(np.median(t)))}")
    return "\n".join([*lines, *problem.notes])


def how(study: Study) -> str:
    """Say how it was measured."""
    repeated = f", {study.repeats} times" if study.repeats > 1 else ""
    kind, tuned = ("Linear model", "penalty") if study.model.kind == "linear" else ("Gradient-boosted trees", "number")
    needed = errors_needed(len(study.results) - 1)
    return (
        f"{kind}, cross-validated in {study.folds} folds{repeated}; the {tuned} is chosen for each loss by "
        f"cross-validation within the training rows. *: the best, and what is not behind it by {needed:.1f} standard "
        f"errors (5 %, for {len(study.results) - 1} comparisons) and {MATTERS:.0%} of the gain over a constant. In "
        f"parentheses: constants, which know no features."
    )


# ---- numbers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A title, which way is better, the cell of each loss, and the losses that are marked."""

    title: str
    better: str
    cells: dict[str, str]
    marked: list[str]


def tables_of(study: Study) -> dict[str, list[Column]]:
    """Return the columns of each table: what predictions are worth, and what else there is to know."""

    def column(title: str, standing: Standing) -> Column:
        cells = {label: number(row.mean) for label, row in standing.rows.items()}
        cells |= {constant_label(label): number(value) for label, value in standing.baselines.items()}
        return Column(title, "higher" if standing.more_is_better else "lower", cells, standing.ties)

    errors = {each.label: each.calibration_error() for each in study.results}
    what = "flipped" if study.problem.is_classification else "gross"
    times = {each.label: f"{np.mean(each.seconds) * 1e3:,.0f} ms" for each in study.results}
    settings = {each.label: f"{shown_setting(study, each):g}" for each in study.results}
    setting = Column("alpha" if study.model.kind == "linear" else "trees", "", settings, [])
    return {
        "Metrics of rows that the model has not seen": [column(*each) for each in standings(study).items()],
        f"Calibration, {study.robust_metric.name} with wrong training targets, and the fit": [
            Column("calibration error", "lower", {k: number(v) for k, v in errors.items() if not math.isnan(v)}, []),
            *(column(f"{share:.0%} {what}", robustness(study, share)) for share in study.shares),
            setting,
            Column("fit time", "lower", times, []),
        ],
    }


def shown_setting(study: Study, result: Result) -> float:
    """Return the penalty, or the number of trees, that the printed program has."""
    model = study.model
    linear = model.kind == "linear"
    return model.alpha(result.loss, len(study.problem.target), result.setting) if linear else result.setting


def constant_label(label: str) -> str:
    """Write the name of a constant as no loss is written."""
    return f"({label})"


def row_labels(study: Study) -> list[str]:
    """Return the labels of the rows of all tables."""
    return [each.label for each in study.results] + [constant_label(each.label) for each in study.baselines]


def as_json(study: Study, verdict: Verdict) -> dict[str, Any]:
    """Return all that was found, as JSON has it; nan and infinities become null."""

    def finite(x: Any) -> Any:
        if isinstance(x, dict):
            return {str(key): finite(value) for key, value in x.items()}
        if isinstance(x, (list, tuple)):
            return [finite(each) for each in x]
        return x if not isinstance(x, float) or math.isfinite(x) else None

    found = standings(study)
    problem = study.problem

    def of_loss(result: Result) -> dict[str, Any]:
        rows = {name: standing.rows[result.label] for name, standing in found.items() if result.label in standing.rows}
        return {
            "loss": repr(result.loss),
            "metrics": {
                name: {"mean": row.mean, "worse_by": row.worse_by, "standard_error": row.error, "tie": row.is_tie}
                for name, row in rows.items()
            },
            "folds": result.metrics,
            "robustness": {f"{share:g}": values for share, values in result.robustness.items()},
            "reliability": result.reliability(),
            "calibration_error": result.calibration_error(),
            "not_converged": result.not_converged,
            "fit_seconds": float(np.mean(result.seconds)),
            "settings": result.settings,
            "code": study.model.code(result.loss, result.setting),
        }

    whole: dict[str, Any] = finite(
        {
            "data": {
                "name": problem.name,
                "rows": len(problem.target),
                "columns": problem.features.shape[1],
                "task": problem.task,
                "task_because": problem.why,
                "classes": problem.classes,
                "notes": problem.notes,
                "share_of_outliers": study.share_far,
            },
            "model": study.model.kind,
            "folds": study.folds,
            "repeats": study.repeats,
            "seed": study.model.seed,
            "main_metric": study.metrics[0].name,
            "robustness_metric": study.robust_metric.name,
            "robustness_is_of": spoiling(study),
            "losses": {result.label: of_loss(result) for result in study.results},
            "baselines": {each.label: each.metrics for each in study.baselines},
            "left_out": {result.label: result.refusal for result in study.refused},
            "recommendation": {
                "loss": verdict.label,
                "reasons": verdict.reasons,
                "aims": verdict.aims,
                "caveats": verdict.caveats,
            },
        }
    )
    return whole


# ---- text ------------------------------------------------------------------------------------------------------------


def code_of(study: Study, label: str) -> str:
    """Return the program that fits the recommended model."""
    return next(study.model.code(each.loss, each.setting) for each in study.results if each.label == label)


def show(console: Console, study: Study, verdict: Verdict) -> None:
    """Print table and recommendation."""
    for title, columns in tables_of(study).items():
        header = ["", *(f"{column.title} {column.better}".strip().replace(" ", "\n") for column in columns)]
        rows = []
        for label in row_labels(study):
            cells = []
            for column in columns:
                text = column.cells.get(label, "-")
                cells.append(f"[bold green]{text}*[/]" if label in column.marked else f"{text} ")
            rows.append([plain(label), *cells])
        console.print(f"\n[bold]{title}[/]\n")
        print_table(console, header, rows)
    console.print(f"[dim]{how(study)}[/]\n")
    console.print(f"[bold]Recommended: [green]{verdict.label}[/][/]")
    for lines in (verdict.reasons, verdict.aims, verdict.caveats):
        for line in lines:
            console.print(Padding(Text(line), (0, 0, 0, 2)))
        if lines:
            console.print()
    console.print(code_of(study, verdict.label), style="cyan", markup=False, soft_wrap=True)


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; } th:first-child, td:first-child { text-align: left; }
.best { font-weight: 700; color: #00654a; }
.box { border-left: 4px solid #0072b2; background: #f2f7fb; padding: .6rem 1rem; }
code, pre { font-size: .9rem; } pre { background: #f5f5f5; padding: .7rem; overflow-x: auto; } img { max-width: 100%; }
small, .dim { color: #555; }
"""


def as_html(study: Study, verdict: Verdict, drawings: dict[str, str]) -> str:
    """Return a page that needs no other file; drawings are SVG."""

    def items(lines: list[str]) -> str:
        return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>" if lines else ""

    tables = []
    for title, columns in tables_of(study).items():
        head = "<th>loss</th>" + "".join(
            f"<th>{escape(column.title)}<br><small>{column.better}</small></th>" for column in columns
        )
        rows = []
        for label in row_labels(study):
            cells = [f"<td><code>{escape(label)}</code></td>"]
            for column in columns:
                text = escape(column.cells.get(label, "-"))
                cells.append(f'<td class="best">{text}*</td>' if label in column.marked else f"<td>{text}</td>")
            rows.append(f"<tr>{''.join(cells)}</tr>")
        tables.append(
            f'<h2>{escape(title)}</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>"
        )
    images = []
    for title, drawing in drawings.items():
        data = base64.b64encode(drawing.encode()).decode()
        images.append(f'<h2>{escape(title)}</h2><img alt="{escape(title)}" src="data:image/svg+xml;base64,{data}">')
    about = "<br>".join(map(escape, headline(study.problem).splitlines()))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Losses compared: {escape(study.problem.name)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>
<h1>Losses compared: {escape(study.problem.name)}</h1>
<p>{about}</p>
<div class="box"><b>Recommended: <code>{escape(verdict.label)}</code></b>{items(verdict.reasons)}
<pre>{escape(code_of(study, verdict.label))}</pre></div>
<h2>For other aims</h2>{items(verdict.aims)}{items(verdict.caveats)}
{"".join(tables)}
<p class="dim">{escape(how(study))}</p>
{"".join(images)}
</body></html>
"""
