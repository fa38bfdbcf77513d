"""The plots: what the losses look like, and what they did."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.image
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter, StrMethodFormatter

from .._kernels import RowwiseLoss
from .study import FAR, Study, label_of, usual
from .verdict import standings

# Okabe and Ito: told apart with any colour vision; the line says which of two that share a colour.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", (0, (5, 1.5)), (0, (1, 1)))
MARKERS = "osD^vPX*hp<"
WIDTH = 12.0
LOOK: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "svg.hashsalt": "fastloss",  # the same file for the same numbers
}


def style(position: int) -> dict[str, Any]:
    """Return colour and line of the loss at a position of the list."""
    return {"color": COLOURS[position % len(COLOURS)], "linestyle": LINES[position // len(COLOURS) % len(LINES)]}


def figure_of(rows: int, columns: int, height: float, **options: Any) -> tuple[Any, np.ndarray]:
    """Return a figure, without a window, and its axes in rows and columns."""
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def legend(figure: Any, axes: Any) -> None:
    """Put one legend for all axes below them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, max(2, len(labels) // 3)))


def all_figures(study: Study) -> dict[str, Any]:
    """Return each figure under its title."""
    with mpl.rc_context(LOOK):
        return {
            "What the losses look like": shapes(study),
            "Metrics": dots(study),
            "Reliability: what is said, and what comes": reliability(study),
            "Calibration and robustness": calibration_and_robustness(study),
        }


def save(figures: dict[str, Any], path: Path) -> None:
    """Write all figures into one PNG, one below the other, each under its title."""
    pictures = []
    with mpl.rc_context(LOOK):
        for title, figure in figures.items():
            figure.suptitle(title, fontsize=14, fontweight="bold")
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png")
            figure.suptitle(None)
            buffer.seek(0)
            pictures.append(matplotlib.image.imread(buffer))
    matplotlib.image.imsave(path, np.ascontiguousarray(np.concatenate(pictures)), format="png")


def svg(figure: Any) -> str:
    """Return a figure as text, the same for the same numbers."""
    buffer = io.StringIO()
    with mpl.rc_context(LOOK):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


# ---- losses ----------------------------------------------------------------------------------------------------------


def shape_of(loss: Any, x: np.ndarray, study: Study) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return value, gradient and curvature of a loss against margin, residual, or score if the link is a logarithm."""
    problem = study.problem
    if isinstance(loss, RowwiseLoss):
        logits = np.zeros((len(x), len(problem.classes)))
        logits[:, -1] = x
        target = np.full(len(x), logits.shape[1] - 1)
        value, gradient, hessian = loss.value_gradient_and_hessian(logits, target, reduction="none")
        return value, gradient[:, -1], hessian[:, -1]
    target = np.ones(len(x)) if problem.is_classification else np.zeros(len(x))
    if loss.target_domain in ("nonnegative", "positive"):
        # Scores are logarithms of predictions, the target is the mean: like others, against prediction - target.
        mean = float(np.mean(problem.target))
        target = np.full(len(x), mean)
        value, gradient, hessian = loss.value_gradient_and_hessian(
            np.log(np.maximum(x + mean, 1e-3 * mean)), target, reduction="none"
        )
        least = loss([np.log(mean)], [mean])
        return value - least, gradient, hessian
    value, gradient, hessian = loss.value_gradient_and_hessian(x, target, reduction="none")
    return value, gradient, hessian


def shapes(study: Study) -> Any:
    """Draw loss, gradient and curvature."""
    problem = study.problem
    if problem.is_classification:
        x = np.linspace(-4.0, 4.0, 801)
        against = "margin: score of the true class" + (", the others 0" if problem.task == "multiclass" else "")
        unit = 1.0
    else:
        unit = study.spread
        low = -0.99 * float(np.mean(problem.target)) if problem.task != "regression" else -FAR * unit
        x = np.linspace(max(low, -FAR * unit), FAR * unit, 801)
        against = "residual: prediction - target"
    figure, axes = figure_of(1, 3, 4.6)
    for position, result in enumerate(study.results):
        curves = shape_of(result.loss, x, study)
        # Each in the units of its own slope: losses of different units, which a fit does not care about.
        size = scale_of(curves[1], problem.is_classification)
        for axis, curve, power in zip(axes[0], curves, (1, 0, -1), strict=True):
            scaled = curve if problem.is_classification else curve / size / unit**power
            axis.plot(x, scaled, label=result.label, **style(position))
    titles = ("Loss", "Gradient", "Curvature")
    most = ((-0.2, 6.0), (-4.2, 4.2), (-0.6, 4.4)) if problem.is_classification else ((-0.2, 8), (-4.2, 4.2), (-0.6, 3))
    for axis, title, (lowest, highest) in zip(axes[0], titles, most, strict=True):
        axis.set(title=title, xlabel=against)
        axis.margins(x=0)
        low, high = axis.get_ylim()
        axis.set_ylim(max(low, lowest), min(high, highest))
    if not problem.is_classification:
        axes[0, 0].set_ylabel("scaled to slope 1 at one spread")
    legend(figure, axes[0, 0])
    return figure


def scale_of(gradient: np.ndarray, is_classification: bool) -> float:
    """Return the magnitude of the gradient one spread to the right, where x has 6 of them."""
    at = round((1 + 1 / FAR) / 2 * (len(gradient) - 1))
    return 1.0 if is_classification else max(float(np.abs(gradient[at])), 1e-12)


# ---- what they did ---------------------------------------------------------------------------------------------------


def dots(study: Study) -> Any:
    """Draw every metric: the mean, and the standard error of the difference from the best."""
    found = list(standings(study).values())
    columns = 4 if len(found) == 4 else 3
    rows = -(-len(found) // columns)
    figure, axes = figure_of(rows, columns, (0.26 * len(study.results) + 1.1) * rows, sharey=True)
    labels = [each.label for each in study.results]
    better = {metric.name: "more is better" if metric.more_is_better else "less is better" for metric in study.metrics}
    for axis, standing in zip(axes.flat, found, strict=False):
        for label, row in standing.rows.items():
            place = labels.index(label)
            if not np.isfinite(row.mean):
                axis.annotate(f"{row.mean}", (1, place), xycoords=("axes fraction", "data"), ha="right", va="center")
                continue
            axis.errorbar(
                row.mean,
                place,
                xerr=row.error,
                fmt="o" if row.is_tie else "X",
                color="#009E73" if row.is_tie else "#767676",
                capsize=3,
                markersize=7,
            )
        if (constant := standing.best_baseline) is not None:
            axis.axvline(standing.baselines[constant], color="#999999", linewidth=1.2, linestyle=(0, (1, 2)))
        axis.set(title=standing.metric, xlabel=better[standing.metric], yticks=range(len(labels)), yticklabels=labels)
        axis.set_ylim(len(labels) - 0.4, -0.6)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        means = [row.mean for row in standing.rows.values() if np.isfinite(row.mean)]
        if means and max(means) > 20 * min(means) > 0:
            logarithmic(axis, axis.xaxis)
    for axis in axes.flat[len(found) :]:
        axis.set_axis_off()
    figure.text(0.995, 0.003, "green circles: the best and its ties; bars: standard error of the difference from it; "
                "dotted: the best constant",
                ha="right", va="bottom", fontsize=9, color="#555555")  # fmt: skip
    figure.get_layout_engine().set(rect=(0, 0.03, 1, 0.97))
    return figure


def logarithmic(axes: Any, axis: Any) -> None:
    """Make an axis logarithmic, with plain numbers."""
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def reliability(study: Study) -> Any:
    """Draw a diagram for each loss, with the usual loss behind it."""
    drawn = [each for each in study.results if each.pooled]
    columns = min(4, len(drawn))
    rows = -(-len(drawn) // columns)
    figure, axes = figure_of(rows, columns, 3.0 * rows, sharex=True, sharey=True)
    bins = {each.label: each.reliability() for each in drawn}
    default = bins.get(label_of(usual(study.problem.task)))
    low, high = limits(study, [np.concatenate([each["said"], each["came"]]) for each in bins.values()])
    for axis, result in zip(axes.flat, drawn, strict=False):
        if default is not None:
            axis.plot(default["said"], default["came"], color="#C4C4C4", linewidth=4)
        axis.plot([low, high], [low, high], color="#333333", linewidth=1, linestyle=(0, (4, 3)))
        axis.plot(bins[result.label]["said"], bins[result.label]["came"], marker="o", markersize=4, **style(0))
        axis.set_title(result.label, fontsize=9.5 if len(result.label) < 32 else 8)
        axis.annotate(f"calibration error {result.calibration_error():.3g}", (0.98, 0.04), xycoords="axes fraction",
                      fontsize=8.5, ha="right")  # fmt: skip
        axis.set(xlim=(low, high), ylim=(low, high))
    for axis in axes.flat[len(drawn) :]:
        axis.set_axis_off()
    task = study.problem.task
    said, came = {
        "binary": (f"probability of {''.join(study.problem.classes[-1:])}", "share of rows"),
        "multiclass": ("probability of the likeliest class", "share that are it"),
    }.get(task, ("prediction, mean of a tenth", "target, mean of the same rows"))
    figure.supxlabel(said + "; gray: the usual loss, dashed: as it should be", fontsize=10)
    figure.supylabel(came, fontsize=10)
    return figure


def limits(study: Study, values: list[np.ndarray]) -> tuple[float, float]:
    """Return the ends of both axes."""
    if study.problem.is_classification:
        return -0.02, 1.02
    everything = np.concatenate(values)
    low, high = np.quantile(everything, [0.01, 0.99])
    return float(low - 0.05 * (high - low)), float(high + 0.05 * (high - low))


def calibration_and_robustness(study: Study) -> Any:
    """Draw the calibration error, and the metric of robustness against the share of wrong targets."""
    figure, axes = figure_of(1, 2, 0.24 * len(study.results) + 3.2)
    left, right = axes[0]
    labels = [each.label for each in study.results]
    for place, result in enumerate(study.results):
        if result.pooled:
            left.barh(place, result.calibration_error(), color="#56B4E9", height=0.6)
        else:
            left.annotate("no probabilities", (0, place), xytext=(4, 0), textcoords="offset points", va="center",
                          fontsize=9, color="#555555")  # fmt: skip
    unit = "in units of the target" if not study.problem.is_classification else "share of 1"
    left.set(title="Calibration error", xlabel=f"mean distance from the diagonal,\n{unit}; less is better")
    left.set(yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.4, -0.6))
    left.grid(axis="y", visible=False)

    metric = study.robust_metric
    for position, result in enumerate(study.results):
        clean = float(np.mean(result.metrics[metric.name][: study.folds]))
        y = [clean, *(float(np.mean(result.robustness[share])) for share in study.shares)]
        right.plot([0, *study.shares], y, label=result.label, marker=MARKERS[position % len(MARKERS)], markersize=6,
                   **style(position))  # fmt: skip
    what = "labels changed to another class" if study.problem.is_classification else "targets made gross"
    direction = "more is better" if metric.more_is_better else "less is better"
    right.set(title="Robustness", xlabel=f"share of the training\n{what}", ylabel=f"{metric.name}; {direction}")
    right.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    right.set_xticks([0, *study.shares])
    lines = [line.get_ydata() for line in right.lines]
    if not metric.more_is_better and np.max(lines) > 5 * np.min(lines) > 0:
        logarithmic(right, right.yaxis)
    right.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=9)
    return figure
