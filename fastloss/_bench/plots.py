"""A run as plots: each function draws into a figure, and returns whether there was something to draw."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread, imsave

from .cases import CORE
from .report import LABELS, libraries_in, threads_text
from .results import OURS, Key, Run, limits_of, memory_rate, numbers_of, rows_of, share_of_limit, times_plain

# Okabe and Ito's colours, apart for every kind of colour blindness; markers say the same again.
STYLES = {
    OURS: ("#0072B2", "o"),
    "reference": ("#000000", "x"),
    "scipy": ("#999999", "s"),
    "numexpr": ("#7B4F9E", "P"),
    "sklearn": ("#F0E442", "D"),
    "torch": ("#D55E00", "^"),
    "compile": ("#CC79A7", "v"),
    "jax": ("#009E73", "<"),
    "tensorflow": ("#56B4E9", ">"),
}
PNG_DPI = 110
MEMORY, ARITHMETIC = "#0072B2", "#E69F00"


def style_of(library: str) -> dict[str, Any]:
    """Return how the points of a library look."""
    colour, marker = STYLES[library]
    edge = {} if marker == "x" else {"markeredgecolor": "#333333", "markeredgewidth": 0.5}
    return {"color": colour, "marker": marker, "label": LABELS[library], "markersize": 7, **edge}


def most_threads(run: Run) -> int:
    """Return the largest number of threads that was measured."""
    return max(map(int, run["limits"]), default=1)


def shares(run: Run, dtype: str) -> dict[str, tuple[Any, float, Any]]:
    """Return row, time and share of the limit of each kernel at its first large size."""
    threads = most_threads(run)
    rows = rows_of(run, "large", outputs="reused", threads=threads, dtype=dtype)
    times = numbers_of(rows)
    found: dict[str, tuple[Any, float, Any]] = {}
    for row in rows:
        seconds = times[Key(row["case"], threads)][OURS]
        if row["kernel"] not in found:
            found[row["kernel"]] = row, seconds, share_of_limit(row, seconds, limits_of(run, threads))
    return found


def draw_roofline(figure: Any, run: Run) -> bool:
    """Arithmetic against operations per byte, under the roofs of memory and of arithmetic."""
    found = shares(run, "float32")
    if not found:
        return False
    threads = most_threads(run)
    limits = limits_of(run, threads)
    axes = figure.subplots()
    memory = memory_rate(limits) / 1e9
    peaks = {dtype: limits[dtype] / 1e9 for dtype in ("float32", "float64")}
    x = np.geomspace(0.05, 15, 200)
    axes.loglog(x, np.minimum(memory * x, peaks["float32"]), color="#333333", lw=2)
    axes.plot([0.05, 15], [peaks["float64"]] * 2, color="#333333", ls="--", lw=1)
    for dtype, peak in peaks.items():
        axes.text(0.052, peak * 1.06, f"multiply-adds, {dtype}: {peak:.0f} Gflop/s", fontsize=9)
    points = []
    for kernel, (row, seconds, share) in found.items():
        intensity = row["operations"] / (row["bytes_read"] + row["bytes_written"])
        points.append((intensity, row["operations"] / seconds / 1e9, kernel, share.bound))
    for bound, colour in (("memory", MEMORY), ("arithmetic", ARITHMETIC)):
        these = [point for point in points if point[3] == bound]
        if these:
            options = {"s": 36, "color": colour, "edgecolors": "white", "zorder": 3, "label": f"limit set by {bound}"}
            axes.scatter([p[0] for p in these], [p[1] for p in these], **options)
    # The names of the core stand to the right, in the order of their points.
    core = sorted((point for point in points if point[2] in CORE), key=lambda point: point[1])
    low, high = axes.get_ylim()
    for (intensity, rate, kernel, _), height in zip(core, np.geomspace(1.4 * low, 0.6 * high, len(core)), strict=True):
        line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6}
        axes.annotate(kernel, (intensity, rate), (20, height), fontsize=9, va="center", arrowprops=line)
    axes.set(xlabel="operations per byte of memory", ylabel="Gflop/s", xlim=(0.05, 120))
    axes.text(0.9, memory * 1.1, f"memory: {memory:.0f} GB/s", fontsize=9, ha="right")
    axes.set_title(f"Roofline, float32, {threads_text(threads)}", loc="left", weight="bold")
    axes.legend(loc="lower center", frameon=False)
    axes.grid(alpha=0.2)
    return True


def draw_shares(figure: Any, run: Run) -> bool:
    """Each kernel's share of its limit, as bars."""
    found = shares(run, "float32")
    if not found:
        return False
    ranked = sorted(found.items(), key=lambda pair: pair[1][2].share)
    axes = figure.subplots()
    for position, (_, (_, _, share)) in enumerate(ranked):
        axes.barh(position, share.share * 100, color=MEMORY if share.bound == "memory" else ARITHMETIC)
        axes.text(share.share * 100 + 1, position, f"{share.share:.0%}", va="center", fontsize=8)
    for bound, colour in (("memory", MEMORY), ("arithmetic", ARITHMETIC)):
        axes.barh([0], [0], color=colour, label=f"limit set by {bound}")
    axes.legend(loc="lower right", frameon=False)
    axes.axvline(100, color="#333333", lw=1)
    axes.set_yticks(range(len(ranked)), [kernel for kernel, _ in ranked], fontsize=8)
    axes.set(xlabel="share of the limit, %", xlim=(0, max(115, *(100 * s.share + 12 for _, (_, _, s) in ranked))))
    axes.set_title("How close each kernel comes to its limit, float32", loc="left", weight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    return True


def draw_dots(figure: Any, run: Run, rows: list[Any], title: str, unit: str, scale: float) -> bool:
    """One line for each kernel, one point for each library."""
    numbers = {key: found for key, found in numbers_of(rows).items() if len(found) > 1}
    if not numbers:
        return False
    kernel_of = {Key(row["case"], row["threads"]): row["kernel"] for row in rows}
    axes = figure.subplots()
    # The first size of a kernel alone.
    keys = {kernel_of[key]: key for key in reversed(numbers)}
    order = sorted(keys, key=lambda kernel: numbers[keys[kernel]][OURS])
    for library in reversed(libraries_in(run)):
        points = [(numbers[keys[kernel]].get(library), y) for y, kernel in enumerate(order)]
        known = [(max(number, 1e3 if "MB" in unit else 0) * scale, y) for number, y in points if number is not None]
        if known:
            axes.plot(*zip(*known, strict=True), ls="", **style_of(library))
    axes.set_yticks(range(len(order)), order)
    axes.set(xscale="log", xlabel=unit)
    axes.set_title(title, loc="left", weight="bold")
    axes.grid(axis="both", alpha=0.2)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return True


def draw_peers(figure: Any, run: Run) -> bool:
    """Large arrays."""
    threads = most_threads(run)
    rows = rows_of(run, "large", outputs="fresh", dtype="float32", threads=threads)
    return draw_dots(figure, run, rows, f"Time of a large call, float32, {threads_text(threads)}", "milliseconds", 1e3)


def draw_calls(figure: Any, run: Run) -> bool:
    """Ten predictions."""
    return draw_dots(figure, run, rows_of(run, "call"), "Call overhead: ten predictions", "microseconds", 1e6)


def draw_memory(figure: Any, run: Run) -> bool:
    """Peak memory."""
    rows = rows_of(run, "memory")
    return draw_dots(
        figure, run, rows, "Memory a call holds beyond inputs and result", "MB (at the left edge: none)", 1e-6
    )


def draw_sizes(figure: Any, run: Run) -> bool:
    """Time per prediction over sizes."""
    rows = [
        row
        for section in ("sweep", "large")
        for row in rows_of(run, section, outputs="fresh", dtype="float32", threads=most_threads(run))
        if "32,000" not in row["shape"]
    ]
    swept = {row["kernel"] for row in rows if row["section"] == "sweep"}
    kernels = [kernel for kernel in dict.fromkeys(row["kernel"] for row in rows) if kernel in swept]
    if not kernels:
        return False
    columns = min(3, len(kernels))
    grid = figure.subplots(-(-len(kernels) // columns), columns, sharex=True, sharey=True, squeeze=False)
    for kernel, axes in zip(kernels, grid.flat, strict=False):
        these = [row for row in rows if row["kernel"] == kernel]
        size = {Key(row["case"], row["threads"]): row["elements"] for row in these}
        numbers = numbers_of(these)
        for library in reversed(libraries_in(run)):
            points = sorted((size[key], found[library]) for key, found in numbers.items() if library in found)
            if points:
                n, seconds = np.transpose(points)
                axes.loglog(n, seconds / n * 1e9, **style_of(library))
        axes.set_title(kernel, fontsize=10, loc="left")
        axes.grid(alpha=0.2)
    for axes in list(grid.flat)[len(kernels) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("predictions")
    for axes in grid[:, 0]:
        axes.set_ylabel("ns per prediction")
    found: dict[str, Any] = {}
    for axes in grid.flat:
        found |= dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    labels = [LABELS[library] for library in libraries_in(run) if LABELS[library] in found]
    figure.legend([found[label] for label in labels], labels, loc="outside right upper", frameon=False)
    figure.suptitle("From small to large, float32, fresh outputs", x=0.01, ha="left", weight="bold")
    return True


def draw_threads(figure: Any, run: Run) -> bool:
    """Speed against one thread."""
    counts = sorted(map(int, run["limits"]))
    times = numbers_of(rows_of(run, "large", outputs="reused", library=OURS, dtype="float32"))
    kernel_of = {row["case"]: row["kernel"] for row in run["rows"]}
    lines = {}
    for key in times:
        if key.threads == 1 and kernel_of[key.case] not in lines:
            known = [(n, times[key][OURS] / times[Key(key.case, n)][OURS]) for n in counts if Key(key.case, n) in times]
            if len(known) > 1:
                lines[kernel_of[key.case]] = known
    if not lines:
        return False
    axes = figure.subplots()
    ranked = sorted(lines, key=lambda kernel: lines[kernel][-1][1])
    colours = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"]
    width = 0.8 / (len(counts) - 1)
    for position, kernel in enumerate(ranked):
        for place, (n, speed) in enumerate(lines[kernel][1:]):
            axes.barh(position + place * width, speed, height=width, color=colours[(counts.index(n) - 1) % 6])
            axes.text(speed + 0.02 * max(counts), position + place * width, f"{speed:.2f}", va="center", fontsize=8)
    for n in counts[1:]:
        axes.barh([0], [0], color=colours[(counts.index(n) - 1) % 6], label=threads_text(n))
    axes.axvline(1, color="#333333", lw=1)
    axes.set_yticks(np.arange(len(ranked)) + 0.4 - width / 2, ranked)
    axes.set(xlabel="speed against one thread", xlim=(0, max(counts) * 1.1))
    axes.set_title("Threads: large calls, outputs reused", loc="left", weight="bold")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right")
    return True


def draw_options(figure: Any, run: Run) -> bool:
    """A heat map: every option as times the plain call."""
    rows = rows_of(run, "options")
    if not rows:
        return False
    lines = {f"{row['kernel']}: {row['option']}": (row["kernel"], row["option"]) for row in rows}
    places = {(row["shape"], row["dtype"]): None for row in rows}
    grid = np.full((len(lines), len(places)), np.nan)
    for place, (shape, dtype) in enumerate(places):
        for line, (kernel, option) in enumerate(lines.values()):
            these = [row for row in rows if (row["kernel"], row["option"], row["dtype"]) == (kernel, option, dtype)]
            grid[line, place] = times_plain(these).get((option, shape), [np.nan])[0]
    figure.set_size_inches(4 + 1.1 * len(places), 2 + 0.24 * len(lines))
    axes = figure.subplots()
    picture = axes.imshow(np.log2(grid), cmap="PuOr_r", vmin=-3, vmax=3, aspect="auto")
    for (line, place), ratio in np.ndenumerate(grid):
        if ratio == ratio:
            axes.text(place, line, f"{ratio:.2f}", ha="center", va="center", fontsize=8)
    axes.set_yticks(range(len(lines)), lines, fontsize=8)
    axes.set_xticks(range(len(places)), ["\n".join(place) for place in places], fontsize=8, rotation=60)
    axes.set_title("Times plain of each option", loc="left", weight="bold")
    bar = figure.colorbar(picture, ticks=range(-3, 4), shrink=0.5)
    bar.ax.set_yticklabels([f"{2.0**exponent:g}" for exponent in range(-3, 4)])
    return True


# Each with its size in inches.
PLOTS: dict[Callable[[Any, Run], bool], tuple[float, float]] = {
    draw_roofline: (9, 6),
    draw_shares: (9, 7),
    draw_peers: (9, 7),
    draw_sizes: (11, 6.5),
    draw_calls: (9, 4.5),
    draw_threads: (9, 4.5),
    draw_memory: (9, 4.5),
    draw_options: (9, 9),
}


def figures_of(run: Run) -> list[Figure]:
    """Draw every plot for which there is something to show."""
    figures = []
    for draw, size in PLOTS.items():
        figure = Figure(figsize=size, layout="constrained")
        if draw(figure, run):
            figures.append(figure)
    return figures


def svg_of(figure: Figure) -> bytes:
    """Return a figure as SVG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    return buffer.getvalue()


def save_png(figures: list[Figure], file: Any) -> None:
    """Write figures as one picture, one below the other."""
    pictures = []
    for figure in figures:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=PNG_DPI)
        buffer.seek(0)
        pictures.append(imread(buffer))
    width = max(picture.shape[1] for picture in pictures)
    padding = [((0, PNG_DPI // 5), (0, width - picture.shape[1]), (0, 0)) for picture in pictures]
    padded = [np.pad(picture, pad, constant_values=1.0) for picture, pad in zip(pictures, padding, strict=True)]
    imsave(file, np.concatenate(padded))
