"""A run as one page of HTML that needs nothing else: no script, no font, no network."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from pathlib import Path

from .report import Table, sentences
from .results import Run

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1000px; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; margin: .5em 0 2em; font-variant-numeric: tabular-nums }
th, td { padding: .15em .7em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap }
th:first-child, td:first-child { text-align: left } div { overflow-x: auto } img { width: 100%; margin: 1em 0 }
.verdict { font-weight: bold } .machine { color: #555 }
"""


def html_of(table: Table) -> str:
    """Return a table with its title and its sentence."""
    lines = [("th", table.header), *(("td", row) for row in table.rows)]
    body = "\n".join("<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>" for tag, cells in lines)
    return f"<h2>{escape(table.title)}</h2>\n<p>{escape(table.note)}</p>\n<div><table>\n{body}\n</table></div>"


def write_page(run: Run, tables: list[Table], svgs: Iterable[bytes], file: Path) -> None:
    """Write plots, tables and remarks."""
    verdict, *others = map(escape, sentences(run))
    versions = ", ".join(f"{name} {version}" for name, version in sorted(run["versions"].items()))
    images = [f'<img alt="" src="data:image/svg+xml;base64,{base64.b64encode(svg).decode()}">' for svg in svgs]
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>fastloss bench</title><style>{STYLE}</style></head><body>',
        "<h1>fastloss bench</h1>",
        f'<p class="machine">{escape(run["machine"])}<br>{escape(versions)}<br>{escape(run["date"])}'
        f"{' (a quick run)' if run['quick'] else ''}</p>",
        f'<p class="verdict">{verdict}</p>',
        *images,
        *map(html_of, tables),
        "<ul>" + "".join(f"<li>{each}</li>" for each in others) + "</ul>" if others else "",
        "</body></html>",
    ]
    file.write_text("\n".join(parts), encoding="utf-8")
