"""The chart of the README, drawn from the table of docs/performance.md: python benchmarks/chart.py."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import report
from matplotlib.figure import Figure

DOCS = Path(__file__).resolve().parent.parent / "docs"
CHART = DOCS / "_static" / "speed.svg"
# What people know, at the sizes that they have.
SHOWN = {
    ("huber", "20,000,000 float32"): "Huber, 20,000,000",
    ("binary_cross_entropy", "20,000,000 float32"): "binary cross-entropy, 20,000,000",
    ("binary_focal", "20,000,000 float32"): "binary focal, 20,000,000",
    ("cross_entropy", "1,000,000 x 10 float32"): "cross-entropy, 1,000,000 x 10",
    ("cross_entropy", "256 x 128,256 float32"): "cross-entropy, 256 x 128,256",
    ("focal", "1,000,000 x 10 float32"): "focal, 1,000,000 x 10",
}


def factors() -> dict[str, tuple[float, float | None]]:
    """Return how many times as long what users write takes, and torch's kernels by hand."""
    found = {}
    for line in report.speed_table(DOCS / "performance.md").splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")] if line.startswith("| `") else []
        name = cells and SHOWN.get((cells[0].split("`")[1], cells[1]))
        if name and "value and gradient" in cells[0]:
            kernels = cells[5].removesuffix("x") if len(cells) > 5 else ""
            found[name] = float(cells[4].removesuffix("x")), float(kernels) if kernels else None
    return {name: found[name] for name in SHOWN.values()}


def draw() -> None:
    """Write the chart; the same numbers give the same file."""
    mpl.rcParams |= {"svg.hashsalt": "fastloss", "font.family": "DejaVu Sans", "font.size": 10}
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots()
    for at, (users, kernels) in enumerate(factors().values()):
        pairs = ((users, "#0072b2", "what users write"), (kernels, "#e69f00", "torch's kernels, by hand"))
        for step, (factor, colour, label) in enumerate(pairs):
            if factor is not None:
                bar = axes.barh(at + 0.38 * step, factor, 0.36, color=colour, label=None if at else label)
                axes.bar_label(bar, [f"{factor:.1f}"], padding=3, fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks([each + 0.19 for each in range(len(SHOWN))], SHOWN.values())
    axes.invert_yaxis()
    axes.set_xlabel("time, in times of fastloss's (line: 1), float32, two threads")
    axes.set_title("Value and gradient: how long others take", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(CHART, metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    draw()
