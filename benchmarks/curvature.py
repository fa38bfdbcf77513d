"""
Which curvature trees are best grown with: python benchmarks/curvature.py [--only focal] [--details] [--markdown FILE].

Every loss is trained by LightGBM, XGBoost and HistGradientBoosting with each kind of curvature (scikit-learn asks for a
positive one, so not with "exact"): the same 100 rounds, learning rate and 31 leaves, one thread, and else the defaults
of the library. Half of the rows train; on the other half the loss is measured after each round. Data sets are real, or
made with what makes losses hard: few positives, wrong labels, gross outliers, counts that are mostly 0.

A number is a share of what can be gained: 0 is the loss of the best constant, 1 the least loss that any library and
curvature reached on these rows. The first number is at the best round, where early stopping would stop, the second at
the end. It stood still if the training loss fell by less than a tenth of what it did with another curvature, and
diverged if it rose by more than that; trainings are counted, two for each library and data set. Data on which nobody
gained anything are left out.

The rule for "auto": "majorize" where it gains as much as "psd" at the best round and at least 0.1 more at the end, else
"psd". The last column is what its traits say, and names the rule if that says otherwise.

Needs pip install "fastloss[examples,xgboost]" rich, and some ten minutes.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import lightgbm
import numpy as np
from rich.box import MARKDOWN, SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from statsmodels.datasets import fair, randhie

import fastloss as fl
from fastloss import _boosters
from fastloss.lightgbm import LGBMClassifier, LGBMRegressor
from fastloss.sklearn import hist_gradient_boosting_loss
from fastloss.xgboost import XGBClassifier, XGBRegressor

ROUNDS, RATE, LEAVES, SPLITS = 100, 0.1, 31, 2
KINDS = ("exact", "psd", "majorize")

BINARY = [
    "BinaryCrossEntropy()",
    "BinaryFocal(gamma=1)",
    "BinaryFocal(gamma=2)",
    "BinaryFocal(gamma=5)",
    "Brier()",
    "Exponential()",
    "Hinge()",
    "ModifiedHuber()",
    "SquaredHinge()",
]
ROWWISE = [
    "CrossEntropy()",
    "Focal(gamma=2)",
    "GeneralizedCrossEntropy()",
    "MulticlassHinge()",
    "Poly1()",
]
REAL = [
    "AbsoluteError()",
    "Cauchy()",
    "EpsilonInsensitive()",
    "Expectile(q=0.9)",
    "Fair()",
    "Huber()",
    "LogCosh()",
    "PseudoHuber()",
    "Quantile(q=0.9)",
    "SmoothL1(beta=0.5)",
    "SquaredEpsilonInsensitive()",
    "SquaredError()",
]
NONNEGATIVE = ["Poisson()", "Tweedie()"]
POSITIVE = ["Gamma()"]


# ---- data ------------------------------------------------------------------------------------------------------


@cache
def health_insurance() -> tuple[np.ndarray, np.ndarray]:
    """RAND's health insurance experiment: what a person is like, and how many visits to doctors a year had."""
    rows = randhie.load_pandas().data
    return rows.drop(columns="mdvis").to_numpy(), rows["mdvis"].to_numpy(np.float64)


@cache
def affairs() -> tuple[np.ndarray, np.ndarray]:
    """Fair's survey of marriages: a person, and the time spent in affairs, which for two thirds is 0."""
    rows = fair.load_pandas().data
    return rows.drop(columns="affairs").to_numpy(), rows["affairs"].to_numpy(np.float64)


def made(share: float, wrong: float, separation: float) -> tuple[np.ndarray, np.ndarray]:
    """Two classes of which one is rare, with some labels drawn anew."""
    return datasets.make_classification(
        10_000, 20, n_informative=6, weights=[1 - share], flip_y=wrong, class_sep=separation, random_state=0
    )


def two_classes() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    X, y = health_insurance()
    yield "15 visits or more, 2.2 %", X, (y >= 15).astype(int)
    X, y = affairs()
    yield "many affairs, 2.3 %", X, (y > 5).astype(int)
    X, y = datasets.load_digits(return_X_y=True)
    yield "eights among digits, 10 %", X, (y == 8).astype(int)
    X, y = made(0.01, 0.005, 1.0)
    yield "made, 1 %", X, y
    X, y = made(0.05, 0.02, 0.7)
    yield "made, 5 %, wrong labels", X, y


def more_classes() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    X, y = health_insurance()
    yield "visits: 0, to 4, to 14, more", X[::2], np.digitize(y[::2], [1, 5, 15])
    X, y = datasets.load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    kept = rng.random(len(y)) < 0.8**y
    yield "digits, ever fewer", X[kept], y[kept]
    X, y = datasets.make_classification(
        5000, 20, n_informative=8, n_classes=4, weights=[0.8, 0.12, 0.06, 0.02], flip_y=0.02, random_state=0
    )
    yield "made, 80 to 2 %", X, y


def real_targets() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    X, y = health_insurance()
    yield "visits, square root", X[::2], np.sqrt(y[::2])
    X, y = datasets.load_diabetes(return_X_y=True)
    yield "diabetes, 25 to 346", X, y
    X, y = datasets.make_friedman1(3000, noise=1.0, random_state=0)
    yield "Friedman, t noise", X, y / 5 + 0.2 * np.random.default_rng(0).standard_t(2, len(y))
    rng = np.random.default_rng(1)
    y = y + (rng.random(len(y)) < 0.05) * rng.normal(0, 50, len(y))
    yield "Friedman, gross outliers", X, y


def counts() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    X, y = health_insurance()
    yield "visits", X[::2], y[::2]
    X, y = affairs()
    yield "affairs", X, y
    X, y = datasets.make_friedman1(3000, random_state=0)
    yield "made, rare", X, np.random.default_rng(0).poisson(np.exp(y / 4 - 5.0)).astype(float)


def amounts() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    X, y = health_insurance()
    yield "visits, if any", X[::2][y[::2] > 0], y[::2][y[::2] > 0]
    X, y = affairs()
    yield "affairs, if any", X[y > 0], y[y > 0]
    X, y = datasets.make_friedman1(3000, random_state=0)
    yield "made, shape 1/2", X, np.random.default_rng(0).gamma(0.5, np.exp(y / 4)) + 1e-6


class Task(NamedTuple):
    losses: list[str]
    data_sets: Callable[[], Iterator[tuple[str, np.ndarray, np.ndarray]]]
    classifies: bool = False


TASKS = [
    Task(BINARY, two_classes, classifies=True),
    Task(ROWWISE, more_classes, classifies=True),
    Task(REAL, real_targets),
    Task(NONNEGATIVE, counts),
    Task(POSITIVE, amounts),
]

# ---- training --------------------------------------------------------------------------------------------------


class Split(NamedTuple):
    X: np.ndarray
    X_test: np.ndarray
    y: np.ndarray
    y_test: np.ndarray


def by_lightgbm(loss: Any, kind: str, classifies: bool, split: Split) -> tuple[list[float], list[float]]:
    estimator = LGBMClassifier if classifies else LGBMRegressor
    model = estimator(
        loss, curvature=kind, n_estimators=ROUNDS, learning_rate=RATE, num_leaves=LEAVES, n_jobs=1, verbose=-1
    )
    evals = {"eval_X": (split.X, split.X_test), "eval_y": (split.y, split.y_test)}
    model.fit(split.X, split.y, **evals, callbacks=[lightgbm.record_evaluation(found := {})])
    of_train, of_test = found.values()
    return of_train[loss.name], of_test[loss.name]


def by_xgboost(loss: Any, kind: str, classifies: bool, split: Split) -> tuple[list[float], list[float]]:
    model = (XGBClassifier if classifies else XGBRegressor)(
        loss,
        curvature=kind,
        n_estimators=ROUNDS,
        learning_rate=RATE,
        grow_policy="lossguide",
        max_leaves=LEAVES,
        max_depth=0,
        n_jobs=1,
    )
    model.fit(split.X, split.y, eval_set=[(split.X, split.y), (split.X_test, split.y_test)], verbose=False)
    of_train, of_test = model.evals_result().values()
    return of_train[loss.name], of_test[loss.name]


def by_scikit_learn(loss: Any, kind: str, classifies: bool, split: Split) -> tuple[list[float], list[float]]:
    model = (HistGradientBoostingClassifier if classifies else HistGradientBoostingRegressor)(
        loss=hist_gradient_boosting_loss(loss, curvature=kind),
        max_iter=ROUNDS,
        learning_rate=RATE,
        max_leaf_nodes=LEAVES,
        early_stopping=True,
        scoring="loss",
        n_iter_no_change=ROUNDS,
        random_state=0,
    )
    model.fit(split.X, split.y, X_val=split.X_test, y_val=split.y_test)
    return list(-model.train_score_[1:]), list(-model.validation_score_[1:])


LIBRARIES = {"LightGBM": by_lightgbm, "XGBoost": by_xgboost, "HGB": by_scikit_learn}


class Course(NamedTuple):
    """How a training went, as differences from the loss of the best constant."""

    fall: float  # of the training loss, at the end
    best: float  # gain on the test rows, at the best round
    end: float


def course(library: str, loss: Any, kind: str, classifies: bool, split: Split) -> Course:
    outputs = int(split.y.max()) + 1 if isinstance(loss, fl._kernels.RowwiseLoss) else 1
    start = _boosters.start_scores(loss, split.y, None, outputs)
    constant = lambda y: loss(np.broadcast_to(start, (len(y), outputs)) if outputs > 1 else np.full(len(y), *start), y)
    try:
        of_train, of_test = LIBRARIES[library](loss, kind, classifies, split)
    except (ArithmeticError, ValueError, lightgbm.basic.LightGBMError) as error:
        print(f"{library}, {loss!r}, {kind}: {error}", file=sys.stderr)
        return Course(-np.inf, 0.0, -np.inf)
    at_start = constant(split.y_test)
    of_test = np.nan_to_num(of_test, nan=np.inf, posinf=np.inf)
    fall = constant(split.y) - of_train[-1] if np.isfinite(of_train[-1]) else -np.inf
    return Course(fall, max(0.0, at_start - of_test.min()), at_start - of_test[-1])


# ---- result ----------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    best: float
    end: float
    diverged: int
    stood_still: int
    of: int

    def __str__(self) -> str:
        if not self.of:
            return "-"
        notes = [f"{n} {words}" for n, words in ((self.diverged, "diverged"), (self.stood_still, "still")) if n]
        return f"{self.best:.2f}, {max(self.end, -9.99):.2f}" + (f"; {', '.join(notes)}" if notes else "")


Key = tuple[str, str, str, str]  # loss, data, library, kind


def measure(only: str) -> dict[Key, list[Course]]:
    found: dict[Key, list[Course]] = {}
    jobs = [
        (name, task, data, library, kind, split)
        for task in TASKS
        for name in task.losses
        if only in name
        for data in task.data_sets()
        for library in LIBRARIES
        for kind in KINDS
        if (library, kind) != ("HGB", "exact")
        for split in range(SPLITS)
    ]
    for name, task, (data, X, y), library, kind, seed in track(jobs, console=Console(stderr=True)):
        of_both = train_test_split(X, y, test_size=0.5, random_state=seed, stratify=y if task.classifies else None)
        loss = eval(name, vars(fl))
        one = course(library, loss, kind, task.classifies, Split(*of_both))
        found.setdefault((name, data, library, kind), []).append(one)
    return found


def cells(found: dict[Key, list[Course]]) -> dict[Key, Cell]:
    """Compare with the best that anybody reached on the same data."""
    mean = {key: Course(*np.mean(courses, axis=0)) for key, courses in found.items()}
    result = {}
    for key, each in mean.items():
        loss, data, library, _ = key
        most = max(other.best for other_key, other in mean.items() if other_key[:2] == (loss, data))
        if most == 0:
            continue
        fall = max(other.fall for (*others, _), other in mean.items() if others == [loss, data, library])
        diverged = sum(one.fall < -0.1 * fall for one in found[key])
        still = sum(abs(one.fall) <= 0.1 * fall for one in found[key])
        result[key] = Cell(each.best / most, each.end / most, diverged, still, len(found[key]))
    return result


def together(some: list[Cell]) -> Cell:
    if not some:
        return Cell(np.nan, np.nan, 0, 0, 0)
    ends = [max(each.end, -10.0) for each in some]
    sums = [sum(each[i] for each in some) for i in (2, 3, 4)]
    return Cell(float(np.mean([each.best for each in some])), float(np.mean(ends)), *sums)


def chosen(loss: str, psd: Cell, majorize: Cell) -> str:
    is_better = round(majorize.best, 2) >= round(psd.best, 2) and majorize.end >= psd.end + 0.1
    by_rule = "majorize" if is_better else "psd"
    auto = _boosters.hessian_of(eval(loss, vars(fl)), "auto")
    return auto if auto == by_rule else f"{auto}, by the rule {by_rule}"


def tables(result: dict[Key, Cell], details: bool, box: Any) -> Iterator[Table]:
    losses = list(dict.fromkeys(loss for loss, *_ in result))
    table = Table(box=box)
    for head in ("loss", *KINDS, '"auto"'):
        table.add_column(head, no_wrap=True)
    for loss in losses:
        row = [together([cell for key, cell in result.items() if (key[0], key[-1]) == (loss, kind)]) for kind in KINDS]
        table.add_row(f"`{loss}`", *map(str, row), chosen(loss, *row[1:]))
    yield table
    if details:
        table = Table(box=box)
        for head in ("loss", "data", "library", *KINDS):
            table.add_column(head, no_wrap=True)
        for loss, data, library in dict.fromkeys(key[:3] for key in result):
            row = [result.get((loss, data, library, kind), together([])) for kind in KINDS]
            table.add_row(loss, data, library, *map(str, row))
        yield table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="losses whose name contains this")
    parser.add_argument("--details", action="store_true", help="a second table: each data set and library")
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    result = cells(measure(options.only))
    for table in tables(result, options.details, SIMPLE_HEAD):
        Console(width=200).print(table)
    if options.markdown:
        with options.markdown.open("w", encoding="utf-8") as file:
            for table in tables(result, options.details, MARKDOWN):
                Console(file=file, width=200).print(table)


if __name__ == "__main__":
    main()
