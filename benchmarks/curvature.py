"""
Which curvature trees are best grown with: python benchmarks/curvature.py [--only focal] [--details] [--markdown FILE].

Every loss is trained by LightGBM, XGBoost, HistGradientBoosting and, if it is of one number a row, CatBoost (which asks
for those of several row by row, and takes the whole Hessian), with each of the candidates:

    exact, psd, majorize, fisher   the curvatures of the loss, fisher of likelihoods (scikit-learn refuses exact)
    xgboost                        XGBoost's own pseudo-Hessian since 2026, of those losses that have one there
    bounded                        max(psd, |gradient|): no step is longer than 1, on scales of logits and logarithms;
                                   of a distribution's parameters max(fisher, |gradient| sqrt(fisher))

The same 60 rounds, learning rate and 15 leaves, 600 rows, one thread, and else the defaults of the library. Half of the
rows train; on the other half the loss is measured after each round. Data sets are real, or made with what makes losses
hard: few positives, wrong labels, gross outliers, counts that are mostly 0, a spread that depends on features. A
candidate that is the same numbers as another one on the data is not trained twice.

A number is a share of what can be gained: 0 is the loss of the best constant, 1 the least loss that any library and
candidate reached on these rows. The first number is at the best round, where early stopping would stop, the second at
the end (no less than -10 of a training). It stood still if the training loss fell by less than a tenth of what it did
with another candidate, and diverged if it rose by more than that; trainings are counted, one for each library and data
set. Data on which nobody gained anything are left out.

The rule for "auto": of psd, majorize and fisher the one that diverges least often; of these, psd unless another one
gains as much at the best round, to 0.02, and at least 0.1 more at the end, or 0.02 more at the best round. The last
column is what its traits say, and names the rule's if that is another one.

Needs pip install "fastloss[examples,xgboost,catboost]" rich, and a quarter of an hour.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import catboost
import lightgbm
import numpy as np
import sklearn
import xgboost
from rich.box import MARKDOWN, SIMPLE_HEAD
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import train_test_split
from statsmodels.datasets import anes96, engel, fair, randhie

import fastloss as fl
from fastloss import _boosters
from fastloss.catboost import CatBoostClassifier, CatBoostRegressor
from fastloss.lightgbm import LGBMClassifier, LGBMRegressor
from fastloss.sklearn import HistGradientBoostingRegressor, hist_gradient_boosting_loss
from fastloss.xgboost import XGBClassifier, XGBRegressor

ROUNDS, RATE, LEAVES, ROWS = 60, 0.1, 15, 600
OWN_KINDS = ("exact", "psd", "majorize", "fisher")
KINDS = (*OWN_KINDS, "xgboost", "bounded")

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
    "Barron(alpha=0.5)",
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
    "Tukey()",
]
NONNEGATIVE = ["NegativeBinomial()", "Poisson()", "Tweedie()"]
POSITIVE = ["Gamma()", "InverseGaussian()", "SquaredLogError()"]
OF_COLUMNS = [
    "GaussianNLL()",
    "LaplaceNLL()",
    "LogisticNLL()",
    "StudentTNLL()",
    "StudentTNLL(df=None)",
    "GaussianCRPS()",
    "Quantiles()",
    "Quantiles(noncrossing=True)",
]
OF_POSITIVE = ["LogNormalNLL()", "GammaNLL()", "WeibullNLL()", "LogNormalCRPS()"]
OF_COUNTS = ["NegativeBinomialNLL()", "ZeroInflatedPoissonNLL()"]
OF_SHARES = ["BetaNLL()"]
ORDERED = ["AllThreshold(4)", "CumulativeLogit((-1.0, 0.0, 1.0))"]


# ---- data ------------------------------------------------------------------------------------------------------

Data = tuple[str, np.ndarray, np.ndarray]


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


@cache
def food() -> tuple[np.ndarray, np.ndarray]:
    """Engel's households: income, and what is spent on food, in hundreds of francs: spread more where it is more."""
    rows = engel.load_pandas().data
    return rows[["income"]].to_numpy(), rows["foodexp"].to_numpy(np.float64) / 100


@cache
def voters() -> tuple[np.ndarray, np.ndarray]:
    """American National Election Study of 1996: what a voter thinks, and the party, from 0 to 6, in four steps."""
    rows = anes96.load_pandas().data
    X = rows[["logpopul", "TVnews", "selfLR", "ClinLR", "DoleLR", "age", "educ", "income"]].to_numpy(np.float64)
    return X, np.digitize(rows["PID"].to_numpy(), [1, 3, 5]).astype(np.float64)


@cache
def made(n: int = 1000) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.random.Generator]:
    """Features, a location and the logarithm of a spread that depend on them."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 8))
    return X, np.sin(2 * X[:, 0]) + 0.5 * X[:, 1] + 0.5 * X[:, 3] * X[:, 4], 0.7 * X[:, 2] - 0.5, rng


def two_classes() -> Iterator[Data]:
    X, y = health_insurance()
    yield "15 visits or more, 2.2 %", X[::5], (y[::5] >= 15).astype(int)
    X, y = datasets.load_breast_cancer(return_X_y=True)
    yield "breast cancer", X[:, :10], y
    X, y = datasets.make_classification(
        4000, 20, n_informative=6, weights=[0.95], flip_y=0.02, class_sep=0.7, random_state=0
    )
    yield "made, 5 %, wrong labels", X, y


def more_classes() -> Iterator[Data]:
    X, y = health_insurance()
    yield "visits: 0, to 4, to 14, more", X[::10], np.digitize(y[::10], [1, 5, 15])
    X, y = datasets.load_wine(return_X_y=True)
    yield "wine", X, y
    X, y = datasets.load_iris(return_X_y=True)
    yield "iris, 10 % wrong", X, np.where(np.random.default_rng(0).random(150) < 0.1, (y + 1) % 3, y)
    X, y = datasets.make_classification(
        2000, 20, n_informative=8, n_classes=4, weights=[0.8, 0.12, 0.06, 0.02], flip_y=0.02, random_state=0
    )
    yield "made, 80 to 2 %", X, y


def real_targets() -> Iterator[Data]:
    X, y = datasets.load_diabetes(return_X_y=True)
    yield "diabetes, 25 to 346", X, y
    X, y = datasets.make_friedman1(1000, noise=1.0, random_state=0)
    yield "Friedman, t noise", X, y / 5 + 0.2 * np.random.default_rng(0).standard_t(2, len(y))
    rng = np.random.default_rng(1)
    y = y + (rng.random(len(y)) < 0.05) * rng.normal(0, 50, len(y))
    yield "Friedman, gross outliers", X, y


def counts() -> Iterator[Data]:
    X, y = health_insurance()
    yield "visits", X[::10], y[::10]
    X, y = affairs()
    yield "affairs", X[::3], y[::3]
    X, y = datasets.make_friedman1(1000, random_state=0)
    yield "made, rare", X, np.random.default_rng(0).poisson(np.exp(y / 4 - 5.0)).astype(float)


def amounts() -> Iterator[Data]:
    X, y = affairs()
    yield "affairs, if any", X[y > 0], y[y > 0]
    yield "food", *food()
    X, y = datasets.make_friedman1(1000, random_state=0)
    yield "made, shape 1/2", X, np.random.default_rng(0).gamma(0.5, np.exp(y / 4)) + 1e-6


def spread() -> Iterator[Data]:
    yield "food", *food()
    X, location, log_spread, _ = made()
    rng = np.random.default_rng(1)
    yield "made, a spread that depends", X, location + np.exp(log_spread) * rng.normal(size=len(X))
    yield "made, that and t noise", X, location + np.exp(log_spread) * rng.standard_t(2, len(X))


def shares() -> Iterator[Data]:
    X, y = datasets.load_breast_cancer(return_X_y=True)
    yield "compactness of cells", np.delete(X[:, :10], 5, axis=1), X[:, 5]
    X, location, log_spread, _ = made()
    mean, precision = 1 / (1 + np.exp(-location)), np.exp(1.5 - log_spread)
    y = np.random.default_rng(2).beta(mean * precision, (1 - mean) * precision)
    yield "made, shares", X, y.clip(1e-6, 1 - 1e-6)


def ordered() -> Iterator[Data]:
    yield "voters", *voters()
    X, location, _, _ = made()
    noise = np.random.default_rng(3).logistic(size=len(X))
    yield "made, four steps", X, np.digitize(location + 0.5 * noise, [-1, 0, 1]).astype(float)


class Task(NamedTuple):
    losses: list[str]
    data_sets: Callable[[], Iterator[Data]]
    classifies: bool = False


TASKS = [
    Task(BINARY, two_classes, classifies=True),
    Task(ROWWISE, more_classes, classifies=True),
    Task(REAL, real_targets),
    Task(NONNEGATIVE, counts),
    Task(POSITIVE, amounts),
    Task(OF_COLUMNS, spread),
    Task(OF_POSITIVE, amounts),
    Task(OF_COUNTS, counts),
    Task(OF_SHARES, shares),
    Task(ORDERED, ordered),
]

# ---- candidates ------------------------------------------------------------------------------------------------

Hessian = Callable[[Any, np.ndarray, Any, np.ndarray], np.ndarray]  # of a loss, scores, targets, gradient


def of_tweedie(loss: Any, z: np.ndarray, t: Any, g: np.ndarray) -> np.ndarray:
    p = loss.power
    return (p * t * np.exp((1 - p) * z) + (3 - p) * np.exp((2 - p) * z)) / 3


XGBOOST: dict[str, Hessian] = {
    "poisson": lambda loss, z, t, g: (t + 2 * np.exp(z)) / 3,
    "tweedie": of_tweedie,
    "gamma": lambda loss, z, t, g: (2 * t * np.exp(-z) + 1) / 3,
    "cross_entropy": lambda loss, z, t, g: np.maximum(np.abs(g), 1e-16),
}


def with_bound(loss: Any, z: np.ndarray, t: Any, g: np.ndarray) -> np.ndarray:
    kind = "fisher" if loss.kind == "columns" else "psd"
    _, h = type(loss).__base__.gradient_and_hessian(loss, z, t, reduction="sum", curvature=kind)
    return np.maximum(h, np.abs(g) * np.sqrt(h) if loss.kind == "columns" else np.abs(g))


def of_kind(name: str, kind: str) -> tuple[Any, str] | None:
    """Return a loss and the curvature to ask for; None if it has no such candidate."""
    loss = eval(name, vars(fl))
    traits = loss.traits
    if kind in OWN_KINDS:
        return None if kind == "fisher" and not traits.fisher else (loss, kind)
    is_likelihood = loss.kind == "columns" and traits.fisher is not None
    has_scale = traits.link in ("log", "sigmoid", "softmax") or is_likelihood
    hessian = XGBOOST.get(loss.name) if kind == "xgboost" else with_bound if has_scale else None
    if hessian is None:
        return None

    def gradient_and_hessian(self: Any, z: Any, t: Any, *, sample_weight: Any = None, **options: Any) -> Any:
        out = options.pop("hessian_out", None)
        gradient = self.gradient(z, t, reduction="sum")
        with np.errstate(over="ignore"):
            found = hessian(self, z, t, gradient)
        if options.get("gradient_out") is not None:
            options["gradient_out"][...] = gradient
        if out is None:
            return gradient, found
        out[...] = found
        return gradient, out

    ruled = type(type(loss).__name__, (type(loss),), {"gradient_and_hessian": gradient_and_hessian})
    return ruled(**loss.parameters), "psd"


def trace(name: str, kind: str, split: Split, outputs: int) -> np.ndarray | None:
    """Return Hessians around the best constant, by which candidates that are the same are known."""
    found = of_kind(name, kind)
    if found is None:
        return None
    loss, curvature = found
    rng = np.random.default_rng(0)
    start = _boosters.start_scores(loss, split.y, None, outputs)
    z = start + rng.normal(0, 1.0 + 0.1 * abs(start), (len(split.y), len(start)))
    _, hessian = loss.gradient_and_hessian(
        np.asfortranarray(z) if outputs > 1 else z[:, 0], split.y, reduction="sum", curvature=curvature
    )
    return np.asarray(hessian, np.float32)


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
    options = {"max_iter": ROUNDS, "learning_rate": RATE, "max_leaf_nodes": LEAVES, "random_state": 0}
    options |= {"early_stopping": True, "scoring": "loss", "n_iter_no_change": ROUNDS}
    if classifies:
        model = HistGradientBoostingClassifier(hist_gradient_boosting_loss(loss, curvature=kind), **options)
    else:
        model = HistGradientBoostingRegressor(loss, curvature=kind, **options)
    model.fit(split.X, split.y, X_val=split.X_test, y_val=split.y_test)
    return list(-model.train_score_[1:]), list(-model.validation_score_[1:])


def by_catboost(loss: Any, kind: str, classifies: bool, split: Split) -> tuple[list[float], list[float]]:
    model = (CatBoostClassifier if classifies else CatBoostRegressor)(
        loss,
        curvature=kind,
        iterations=ROUNDS,
        learning_rate=RATE,
        depth=4,
        thread_count=1,
        allow_writing_files=False,
        verbose=False,
    )
    model.fit(split.X, split.y, eval_set=(split.X_test, split.y_test), use_best_model=False)
    of_train, of_test = model.get_evals_result().values()
    return next(iter(of_train.values())), next(iter(of_test.values()))


LIBRARIES = {"LightGBM": by_lightgbm, "XGBoost": by_xgboost, "HGB": by_scikit_learn, "CatBoost": by_catboost}


class Course(NamedTuple):
    """How a training went, as differences from the loss of the best constant."""

    fall: float  # of the training loss, at the end
    best: float  # gain on the test rows, at the best round
    end: float


def course(library: str, name: str, kind: str, classifies: bool, split: Split, outputs: int) -> Course:
    loss, curvature = of_kind(name, kind) or (None, "")
    start = _boosters.start_scores(loss, split.y, None, outputs)
    constant = lambda y: loss(np.broadcast_to(start, (len(y), outputs)) if outputs > 1 else np.full(len(y), *start), y)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            of_train, of_test = LIBRARIES[library](loss, curvature, classifies, split)
    except (ArithmeticError, ValueError, lightgbm.basic.LightGBMError, catboost.CatBoostError) as error:
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


def candidates(name: str, number: int, library: str, data: str) -> dict[str, Course]:
    """Train with all candidates; those that are the same numbers once."""
    task = TASKS[number]
    X, y = next(each[1:] for each in task.data_sets() if each[0] == data)
    if len(y) > ROWS:
        X, y = X[:: len(y) // ROWS], y[:: len(y) // ROWS]
    rare = task.classifies and np.bincount(y.astype(int)).min() < 2
    of_both = train_test_split(
        X, y, test_size=0.5, random_state=0, stratify=y if task.classifies and not rare else None
    )
    split = Split(*of_both)
    outputs = _boosters.n_outputs(eval(name, vars(fl)), int(y.max()) + 1)
    found: dict[str, Course] = {}
    known: list[tuple[np.ndarray, str]] = []
    for kind in ("psd", *(kind for kind in KINDS if kind != "psd")):
        hessian = trace(name, kind, split, outputs)
        if hessian is None or (library == "HGB" and kind == "exact"):
            continue
        same = [first for other, first in known if np.allclose(hessian, other, rtol=1e-5, atol=1e-12)]
        found[kind] = found[same[0]] if same else course(library, name, kind, task.classifies, split, outputs)
        known.append((hessian, kind))
    return found


def measure(only: str, jobs: int, minutes: float) -> dict[Key, Course]:
    """Train on everything; losses that are not through in time are left out."""
    todo = [
        (name, number, library, data)
        for number, task in enumerate(TASKS)
        for name in task.losses
        if only in name
        for data, *_ in task.data_sets()
        for library in LIBRARIES
        if library != "CatBoost" or eval(name, vars(fl)).kind == "pointwise"
    ]
    # Those first whose candidates differ most.
    todo.sort(key=lambda job: (TASKS[job[1]].losses is REAL, job[1] == 0))
    end = time.monotonic() + 60 * minutes
    found: dict[Key, Course] = {}
    with multiprocessing.Pool(jobs) as pool:
        results = [pool.apply_async(candidates, job) for job in todo]
        for job, result in zip(todo, track(results, console=Console(stderr=True)), strict=True):
            try:
                courses = result.get(max(0.0, min(end - time.monotonic(), 1e6)))
            except multiprocessing.TimeoutError:
                return {key: one for key, one in found.items() if key[0] != job[0]}
            found.update({(job[0], job[3], job[2], kind): one for kind, one in courses.items()})
    return found


def cells(found: dict[Key, Course]) -> dict[Key, Cell]:
    """Compare with the best that anybody reached on the same data."""
    result = {}
    for key, each in found.items():
        loss, data, library, _ = key
        most = max(other.best for other_key, other in found.items() if other_key[:2] == (loss, data))
        if most == 0:
            continue
        fall = max(other.fall for (*others, _), other in found.items() if others == [loss, data, library])
        diverged = int(each.fall < -0.1 * fall)
        still = int(abs(each.fall) <= 0.1 * fall)
        result[key] = Cell(each.best / most, each.end / most, diverged, still, 1)
    return result


def together(some: list[Cell]) -> Cell:
    if not some:
        return Cell(np.nan, np.nan, 0, 0, 0)
    ends = [max(each.end, -10.0) for each in some]
    sums = [sum(each[i] for each in some) for i in (2, 3, 4)]
    return Cell(float(np.mean([each.best for each in some])), float(np.mean(ends)), *sums)


def by_rule(of: dict[str, Cell]) -> str:
    """What the rule makes "auto" of a loss."""
    able = {kind: cell for kind, cell in of.items() if kind in ("psd", "majorize", "fisher") and cell.of}
    least = min(cell.diverged for cell in able.values())
    able = {kind: cell for kind, cell in able.items() if cell.diverged == least}
    best = next(iter(able))
    for kind, cell in able.items():
        gain = cell.best - able[best].best
        if gain >= 0.02 or (gain >= -0.02 and cell.end >= able[best].end + 0.1):
            best = kind
    return best


def chosen(loss: str, of: dict[str, Cell]) -> str:
    auto, rule = _boosters.hessian_of(eval(loss, vars(fl)), "auto"), by_rule(of)
    return auto if of[auto] == of[rule] else f"{auto}, by the rule {rule}"


def tables(result: dict[Key, Cell], details: bool, box: Any) -> Iterator[Table]:
    losses = list(dict.fromkeys(loss for loss, *_ in result))
    table = Table(box=box)
    for head in ("loss", '"auto"', *KINDS):
        table.add_column(head, no_wrap=True)
    for loss in losses:
        of = {
            kind: together([cell for key, cell in result.items() if (key[0], key[-1]) == (loss, kind)])
            for kind in KINDS
        }
        table.add_row(f"`{loss}`", chosen(loss, of), *map(str, of.values()))
    yield table
    if details:
        table = Table(box=box)
        for head in ("loss", "data", "library", *KINDS):
            table.add_column(head, no_wrap=True)
        for loss, data, library in dict.fromkeys(key[:3] for key in result):
            row = [result.get((loss, data, library, kind), together([])) for kind in KINDS]
            table.add_row(loss, data, library, *map(str, row))
        yield table


def processor() -> str:
    """Return what /proc calls it, where there is one."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="losses whose name contains this")
    parser.add_argument("--details", action="store_true", help="a second table: each data set and library")
    parser.add_argument("--markdown", type=Path, help="also write the tables to this file")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, default=np.inf, help="the most; losses unfinished then are left out")
    options = parser.parse_args()
    start = time.monotonic()
    result = cells(measure(options.only, options.jobs, options.minutes))
    versions = ", ".join(f"{each.__name__} {each.__version__}" for each in (lightgbm, xgboost, sklearn, catboost, np))
    n_data = len({data for _, data, *_ in result})
    about = f"{time.strftime('%Y-%m-%d')}, {processor()}, fastloss {fl.__version__}, {versions}; {n_data} data sets, "
    about += f"{math.ceil((time.monotonic() - start) / 60)} minutes"
    for table in tables(result, options.details, SIMPLE_HEAD):
        Console(width=240).print(about, table)
    if options.markdown:
        with options.markdown.open("w", encoding="utf-8") as file:
            for table in tables(result, options.details, MARKDOWN):
                Console(file=file, width=240).print(about, table)


if __name__ == "__main__":
    main()
