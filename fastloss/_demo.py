"""The demonstration: every loss at work on real data, every kernel held against the NumPy text-book twin.

Imported by ``python -m fastloss demo`` alone, for it needs rich, SciPy and scikit-learn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.panel import Panel
from rich.text import Text
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import HuberRegressor, LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped, unused-ignore]

import fastloss as fl

from ._terminal import new_console, print_table, show_progress

# The models carry a light ridge penalty: without one, separable classes have no finite optimum.
PENALTY = 1e-3
MOST_STEPS = 300
# A kernel further from the text-book than this fails the demonstration.
MOST_ULP = 16.0
TIMING_ROUNDS = 15
SECONDS_PER_TIMING = 2e-3


# ---- data ------------------------------------------------------------------------------------------------------


Metric = Callable[[np.ndarray, np.ndarray], float]


def accuracy_of_classes(score: np.ndarray, target: np.ndarray) -> float:
    """Share of rows whose largest logit is the true class."""
    return float(np.mean(score.argmax(axis=1) == target))


def accuracy_of_sign(score: np.ndarray, target: np.ndarray) -> float:
    """Share of rows whose logit has the true side of zero."""
    return float(np.mean((score > 0) == (target > 0.5)))


def mean_absolute_error(score: np.ndarray, target: np.ndarray) -> float:
    """Mean absolute error, here in standard deviations of the target."""
    return float(np.mean(np.abs(score - target)))


def explained_variance(score: np.ndarray, target: np.ndarray) -> float:
    """Share of the target's variance that the scores explain (R2)."""
    return float(1 - np.mean(np.square(score - target)) / target.var())


@dataclass(frozen=True)
class Source:
    """One of scikit-learn's bundled data sets, and how well a model does there: name, metric, format."""

    title: str
    load: Callable[..., Any]
    metrics: tuple[tuple[str, Metric, str], ...]
    n_outputs: int = 1
    is_regression: bool = False


SOURCES = {
    "digits": Source(
        "digits: 1797 images of 8 x 8 pixels, 10 classes",
        load_digits,
        (("accuracy", accuracy_of_classes, ".1%"),),
        n_outputs=10,
    ),
    "cancer": Source(
        "breast cancer: 569 tumours, 30 measurements, benign or malignant",
        load_breast_cancer,
        (("accuracy", accuracy_of_sign, ".1%"),),
    ),
    "diabetes": Source(
        "diabetes: 442 patients, 10 measurements, progress of the disease",
        load_diabetes,
        (("absolute error", mean_absolute_error, ".3f"), ("R2", explained_variance, ".2f")),
        is_regression=True,
    ),
}


@dataclass(frozen=True)
class Problem:
    """A data set, ready to fit: standardised features with a last column of ones, rows split in two."""

    source: Source
    features: np.ndarray
    target: np.ndarray
    train: np.ndarray
    test: np.ndarray

    @property
    def start(self) -> np.ndarray:
        """The coefficients a fit starts from: all zero; one column per class, or a plain vector."""
        n_features, n_outputs = self.features.shape[1], self.source.n_outputs
        return np.zeros(n_features if n_outputs == 1 else (n_features, n_outputs))


def load_problem(source: Source) -> Problem:
    """Load, split and standardise a data set; a regression target is standardised like the features."""
    features, target = source.load(return_X_y=True)
    strata = None if source.is_regression else target
    train, test = train_test_split(np.arange(len(target)), test_size=0.25, random_state=0, stratify=strata)
    features = StandardScaler().fit(features[train]).transform(features)
    if source.is_regression:
        target = (target - target[train].mean()) / target[train].std()
    return Problem(source, np.column_stack([features, np.ones(len(features))]), target, train, test)


# ---- fits ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Solution:
    """Coefficients found by a solver, and the steps it took."""

    coefficients: np.ndarray
    steps: int


Objective = Callable[[np.ndarray], tuple[float, np.ndarray]]


def lbfgs(objective: Objective, start: np.ndarray) -> Solution:
    """Minimise a smooth objective by SciPy's L-BFGS."""
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": MOST_STEPS})
    return Solution(found.x, found.nit)


def subgradient(objective: Objective, start: np.ndarray) -> Solution:
    """Minimise an objective with kinks by subgradient steps of shrinking length; the best point seen wins."""
    point, best_point, best_value = start, start, np.inf
    for step in range(MOST_STEPS):
        value, slope = objective(point)
        if value < best_value:
            best_point, best_value = point, value
        point = point - 0.2 / np.sqrt(step + 1.0) * slope
    return Solution(best_point, MOST_STEPS)


# Every loss of the demonstration: label, loss, data set.
LOSSES = [
    ("CrossEntropy", fl.CrossEntropy(), "digits"),
    ("Focal, gamma 2", fl.Focal(gamma=2.0), "digits"),
    ("BinaryCrossEntropy", fl.BinaryCrossEntropy(), "cancer"),
    ("BinaryFocal, gamma 2", fl.BinaryFocal(gamma=2.0), "cancer"),
    ("Huber, delta 1", fl.Huber(delta=1.0), "diabetes"),
    ("SquaredError", fl.SquaredError(), "diabetes"),
    ("AbsoluteError", fl.AbsoluteError(), "diabetes"),
]


@dataclass(frozen=True)
class Fit:
    """What a fitted model reports, and the scores it gives to every row of its data set."""

    label: str
    data: str
    is_smooth: bool
    steps: int
    seconds: float
    peer_seconds: float | None  # of scikit-learn's model, where it has one
    loss: tuple[float, ...]  # before and after
    metrics: list[tuple[float, ...]]
    score: np.ndarray


def objective_of(loss: Any, problem: Problem) -> Objective:
    """Mean loss plus penalty of a linear model's coefficients, with the gradient by the chain rule."""
    features, target = problem.features[problem.train], problem.target[problem.train]
    is_penalised = np.ones_like(problem.start)
    is_penalised[-1] = 0.0

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        coefficients = flat.reshape(problem.start.shape)
        value, slope = loss.value_and_gradient(features @ coefficients, target)
        shrunk = PENALTY * is_penalised * coefficients
        return value + 0.5 * np.vdot(shrunk, coefficients), (features.T @ slope + shrunk).ravel()

    return objective


def fit(label: str, loss: Any, data: str, problem: Problem) -> Fit:
    """Fit a linear model with a loss; report training loss and test metrics, each before and after."""
    is_smooth = not isinstance(loss, fl.AbsoluteError)
    solver = lbfgs if is_smooth else subgradient
    began = time.perf_counter()
    solution = solver(objective_of(loss, problem), problem.start.ravel())
    seconds = time.perf_counter() - began

    train, test = problem.train, problem.test
    scores = [problem.features @ c.reshape(problem.start.shape) for c in (problem.start, solution.coefficients)]
    return Fit(
        label,
        data,
        is_smooth,
        solution.steps,
        seconds,
        peer_seconds(loss, problem),
        tuple(loss(score[train], problem.target[train]) for score in scores),
        [
            tuple(metric(score[test], problem.target[test]) for score in scores)
            for _, metric, _ in problem.source.metrics
        ],
        scores[-1],
    )


def peer_seconds(loss: Any, problem: Problem) -> float | None:
    """Return the time of scikit-learn's own linear model of a loss; None where it has none."""
    train = problem.train
    strength = 1 / (PENALTY * len(train))
    peers = {
        fl.CrossEntropy: lambda: LogisticRegression(C=strength, max_iter=MOST_STEPS),
        fl.BinaryCrossEntropy: lambda: LogisticRegression(C=strength, max_iter=MOST_STEPS),
        fl.Huber: lambda: HuberRegressor(alpha=PENALTY * len(train) / 2, max_iter=MOST_STEPS),
        fl.SquaredError: lambda: Ridge(alpha=PENALTY * len(train)),
    }
    if type(loss) not in peers:
        return None
    model = peers[type(loss)]()
    began = time.perf_counter()
    model.fit(problem.features[train, :-1], problem.target[train])
    return time.perf_counter() - began


# ---- kernels against the NumPy reference ------------------------------------------------------------------------


@dataclass(frozen=True)
class Kernel:
    """One kernel and its text-book twin: the same arrays in, the same tuple of arrays out."""

    label: str
    arrays: tuple[np.ndarray, ...]
    ours: Callable[..., tuple[np.ndarray, ...]]
    reference: Callable[..., tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Comparison:
    """The largest error of each output in ulp, and how many times faster than NumPy, in one dtype."""

    ulp: tuple[float, ...]
    speed: float

    @property
    def ok(self) -> bool:
        """Whether every output stays within the bound; nan does not."""
        return all(error <= MOST_ULP for error in self.ulp)


def loss_kernel(label: str, loss: Any, score: np.ndarray, target: np.ndarray) -> Kernel:
    """The kernel of a loss: value, gradient and Hessian of every element."""
    twin = getattr(fl.reference, loss.name)
    return Kernel(
        label,
        (score, target),
        lambda z, y: loss.value_gradient_and_hessian(z, y, reduction="none"),
        lambda z, y: twin(z, y, **loss.parameters),
    )


def function_kernel(name: str, score: np.ndarray) -> Kernel:
    """The kernel of a function of the logits alone, such as log_softmax."""
    ours, twin = getattr(fl, name), getattr(fl.reference, name)
    return Kernel(name, (score,), lambda x: (ours(x),), lambda x: (twin(x),))


# The functions of logits alone, and the data set whose scores they are tried on.
FUNCTIONS = [
    ("log_softmax", "digits"),
    ("softmax", "digits"),
    ("logsumexp", "digits"),
    ("sigmoid", "cancer"),
    ("log_sigmoid", "cancer"),
]


def all_kernels(fits: list[Fit], problems: dict[str, Problem]) -> list[Kernel]:
    """Collect every kernel: each loss on the scores of its own fit, each function on those of a first fit."""
    score_of = {fit.data: fit.score for fit in reversed(fits)}
    return [
        *(
            loss_kernel(fit.label, loss, fit.score, problems[data].target)
            for fit, (_, loss, data) in zip(fits, LOSSES, strict=True)
        ),
        *(function_kernel(name, score_of[data]) for name, data in FUNCTIONS),
    ]


def largest_error(computed: np.ndarray, exact: np.ndarray) -> float:
    """Return the largest error of an array in units in the last place (ulp) of its dtype.

    The unit of an element is the distance between neighbouring numbers of the dtype at the element's exact
    magnitude, or at the mean magnitude of the array where that is larger: an element next to nothing is not
    asked for more digits than an average one has.
    """
    magnitude = np.abs(exact)
    unit = np.spacing(np.maximum(magnitude, magnitude.mean()).astype(computed.dtype))
    return float(np.max(np.abs(computed - exact) / unit))


def fastest(calls: list[Callable[[], Any]]) -> list[float]:
    """Return the shortest time of each call, in seconds, over rounds in which they take turns."""
    repeats = []
    for call in calls:
        began = time.perf_counter()
        call()
        repeats.append(1 + int(SECONDS_PER_TIMING / (time.perf_counter() - began)))
    best = [np.inf] * len(calls)
    for _ in range(TIMING_ROUNDS):
        for position, (call, repeat) in enumerate(zip(calls, repeats, strict=True)):
            began = time.perf_counter()
            for _ in range(repeat):
                call()
            best[position] = min(best[position], (time.perf_counter() - began) / repeat)
    return best


def compare(kernel: Kernel, dtype: type) -> Comparison:
    """Hold a kernel against its twin on the same arrays, all rounded to dtype first.

    The exact results are the twin's in extended precision, where the platform has one; the times are those of
    the twin as it stands, in float64.
    """
    score, *target = kernel.arrays
    arrays = [score.astype(dtype), *(t.astype(dtype) if t.dtype.kind == "f" else t for t in target)]
    computed = kernel.ours(*arrays)
    exact = kernel.reference(arrays[0].astype(np.longdouble), *arrays[1:])
    ulp = tuple(largest_error(c, e) for c, e in zip(computed, exact, strict=True))
    ours, reference = fastest([lambda: kernel.ours(*arrays), lambda: kernel.reference(*arrays)])
    return Comparison(ulp, reference / ours)


DTYPES = (np.float32, np.float64)
PARTS = ("value", "grad", "Hess", "speed")


# ---- output ----------------------------------------------------------------------------------------------------


def show_fits(console: Console, fits: list[Fit], problems: dict[str, Problem]) -> None:
    """Print how each fit went, a table per data set."""
    console.print("[bold]Linear models fitted on fastloss's values and gradients[/]")
    for data, problem in problems.items():
        metrics = problem.source.metrics
        header = ["", "training\nloss", *(f"test\n{name}" for name, _, _ in metrics), "steps", "time", "scikit-\nlearn"]
        rows = [
            [
                row.label + ("" if row.is_smooth else " *"),
                f"{row.loss[0]:.4f} -> [bold]{row.loss[1]:.4f}[/]",
                *(
                    f"{before:{form}} -> [bold green]{after:{form}}[/]"
                    for (before, after), (_, _, form) in zip(row.metrics, metrics, strict=True)
                ),
                str(row.steps),
                milliseconds(row.seconds),
                "-" if row.peer_seconds is None else milliseconds(row.peer_seconds),
            ]
            for row in fits
            if row.data == data
        ]
        console.print(f"\n[cyan]{problem.source.title}[/]")
        print_table(console, header, rows)
    console.print(
        f"[dim]Solver: L-BFGS, on three quarters of the rows, with a ridge penalty of {PENALTY:g}. BLAS on one thread. "
        "scikit-learn: the time of its own model, with the same penalty (LogisticRegression, Ridge, and "
        "HuberRegressor, which fits a scale as well).\n"
        "* Absolute error has kinks, where L-BFGS may stall: subgradient steps, shrinking as 1/sqrt(step).[/]\n"
    )


def milliseconds(seconds: float) -> str:
    """Format a time."""
    return f"{seconds * 1e3:.1f} ms" if seconds < 0.01 else f"{seconds * 1e3:.0f} ms"


def in_ulp(error: float | None) -> str:
    """Format an error; red where it is beyond the bound."""
    if error is None:
        return ""
    return f"{error:.1f}" if error <= MOST_ULP else f"[bold red]{error:.1f}[/]"


def show_comparisons(console: Console, rows: list[tuple[Kernel, list[Comparison]]]) -> None:
    """Print errors and speeds of every kernel, a group of columns for each dtype."""
    console.print("[bold]Every kernel against the NumPy reference, on all scores of the fitted models[/]\n")
    header = ["", *(f"{d.__name__}\n{part}" for d in DTYPES for part in PARTS)]
    table = []
    for kernel, comparisons in rows:
        cells = []
        for comparison in comparisons:
            errors = [*comparison.ulp, None, None][:3]
            cells += [*map(in_ulp, errors), f"[bold green]{comparison.speed:.0f}x[/]"]
        table.append([f"{kernel.label} [dim]{'x'.join(map(str, kernel.arrays[0].shape))}[/]", *cells])
    print_table(console, header, table)
    console.print(
        "[dim]value, grad, Hess: the largest error in ulp, the distance of neighbouring numbers at the exact result, "
        "or at the mean result where that is larger. speed: against the text-book formulas in NumPy, which compute "
        "value, gradient and Hessian in float64, as fastloss does here in the dtype above.[/]\n"
    )


def show_verdict(console: Console, rows: list[tuple[Kernel, list[Comparison]]], seconds: float) -> int:
    """Print the closing line and return the exit code."""
    failed = [kernel.label for kernel, comparisons in rows if not all(c.ok for c in comparisons)]
    if failed:
        console.print(f"[bold red]Beyond {MOST_ULP:g} ulp: {', '.join(failed)}.[/]")
        return 1
    worst = max(max(comparison.ulp) for _, comparisons in rows for comparison in comparisons)
    console.print(
        f"[bold green]All {len(rows)} kernels agree with NumPy to {worst:.1f} ulp in float32 and float64.[/] "
        f"Done in {seconds:.1f} s."
    )
    return 0


def run(machine: str) -> int:
    """Run the demonstration and return its exit code: 0 if every comparison held, else 1."""
    console = new_console()
    began = time.perf_counter()
    console.print(Panel.fit(Text(machine), title="[bold]fastloss[/]", border_style="cyan"))

    problems = {name: load_problem(source) for name, source in SOURCES.items()}
    with show_progress(console) as progress:
        task = progress.add_task("", total=len(LOSSES) * 2 + len(FUNCTIONS))
        fits = []
        # Problems this small fit into one core, where BLAS's threads would wait for each other and for the kernels'.
        with threadpool_limits(1, user_api="blas"):
            for label, loss, data in LOSSES:
                progress.update(task, description=f"fitting {label}")
                fits.append(fit(label, loss, data, problems[data]))
                progress.advance(task)

        kernels = all_kernels(fits, problems)
        comparisons = []
        for kernel in kernels:
            progress.update(task, description=f"checking {kernel.label}")
            comparisons.append((kernel, [compare(kernel, dtype) for dtype in DTYPES]))
            progress.advance(task)

    show_fits(console, fits, problems)
    show_comparisons(console, comparisons)
    return show_verdict(console, comparisons, time.perf_counter() - began)
