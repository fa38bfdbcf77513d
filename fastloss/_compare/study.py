"""What is compared: the losses of a task, the model they train, and what is measured of its predictions."""

from __future__ import annotations

import ast
import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np
from sklearn import metrics as sk
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, RepeatedKFold, RepeatedStratifiedKFold, StratifiedKFold

import fastloss as fl

from .._kernels import RowwiseLoss
from .._resolve import resolve
from ..sklearn import LossClassifier, LossRegressor, hist_gradient_boosting_loss
from .problem import NAMES, NUMBERS, PREPARE, BadInput, Problem, first_line

FOLDS, REPEATS, QUICK_REPEATS = 5, 2, 1
# What a model is tuned by, on training rows alone: the penalty of a linear one as a multiple of that of scikit-learn's
# LogisticRegression, the number of trees. From the simplest model on: of those that do as well the first is taken.
INNER_FOLDS = 3
PATHS = {"linear": tuple(float(f"{10.0**k:.2g}") for k in np.arange(3.0, -3.1, -0.75)), "trees": (20.0, 60.0, 180.0)}
QUICK_PATHS = {"linear": (30.0, 1.0, 0.03), "trees": (20.0, 60.0)}
FLIPPED, GROSS = (0.1, 0.2, 0.3), (0.02, 0.05, 0.1)  # shares of training targets
# How far off a gross target is: this many spreads of the target, or of counts and amounts this many times the mean.
GROSS_BY = 20.0
BINS = 10
# A residual of more spreads than this is an outlier: a normal one is in one of 500 million cases.
FAR = 6.0

Predict = Callable[[Any], np.ndarray]


# ---- losses ----------------------------------------------------------------------------------------------------------


def usual(task: str) -> Any:
    """Return the loss that a task is fitted with if nobody asks."""
    return {
        "binary": fl.BinaryCrossEntropy(),
        "multiclass": fl.CrossEntropy(),
        "regression": fl.SquaredError(),
        "counts": fl.Poisson(),
        "amounts": fl.Tweedie(),
    }[task]


def losses_of(problem: Problem, model: str, spread: float) -> list[Any]:
    """Return every loss that fits the task and is none of the others times a constant."""
    more: list[Any] = []
    if problem.task == "binary":
        if problem.is_imbalanced:
            negative, positive = np.bincount(problem.target)
            more = [fl.BinaryCrossEntropy(pos_weight=rounded(negative / positive))]
        of_rows: list[Any] = [fl.GeneralizedCrossEntropy(), fl.Poly1()]
        margins: list[Any] = [fl.Hinge(), fl.SquaredHinge(), fl.ModifiedHuber(), fl.Exponential()]
        return [fl.BinaryCrossEntropy(), *more, fl.BinaryFocal(), fl.Brier(), *margins, *of_rows]
    if problem.task == "multiclass":
        if problem.is_imbalanced:
            counts = np.bincount(problem.target)
            more = [fl.CrossEntropy(class_weight=[rounded(w) for w in counts.mean() / counts])]
        # Linear models fit one class against the rest as well.
        each: list[Any] = [fl.BinaryCrossEntropy(), fl.Brier()] if model == "linear" else []
        smooth = fl.CrossEntropy(label_smoothing=0.1)
        of_rows = [fl.Focal(), fl.GeneralizedCrossEntropy(), fl.Poly1(), fl.MulticlassHinge()]
        return [fl.CrossEntropy(), *more, smooth, *of_rows, *each]
    # The constants with which a fit to normal residuals is as good as that of 1/0.95 as many rows by least squares.
    robust = [fl.Huber(delta=rounded(1.345 * spread)), fl.Cauchy(c=rounded(2.385 * spread))]
    if problem.task in ("counts", "amounts"):
        gamma = [fl.Gamma()] if problem.target.min() > 0 else []
        return [fl.Poisson(), fl.Tweedie(), *gamma, fl.SquaredError(), fl.AbsoluteError(), *robust]
    return [
        fl.SquaredError(),
        fl.AbsoluteError(),
        *robust,
        fl.PseudoHuber(delta=rounded(1.345 * spread)),
        fl.Fair(c=rounded(1.4 * spread)),
        fl.LogCosh(),
        fl.EpsilonInsensitive(epsilon=rounded(spread / 2)),
        fl.SquaredEpsilonInsensitive(epsilon=rounded(spread / 2)),
        fl.Quantile(q=0.9),
        fl.Expectile(q=0.9),
    ]


def rounded(x: float) -> float:
    """Return a number of two digits, as people write them."""
    return float(f"{x:.2g}")


def parse(text: str) -> Any:
    """Return the loss that a word, or a call with numbers, stands for."""
    try:
        call = ast.parse(text, mode="eval").body
        if isinstance(call, ast.Name):
            return resolve(call.id)
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise BadInput(f"--losses takes names, or objects such as 'Huber(delta=2)', not {text!r}")
        given = [ast.literal_eval(each) for each in call.args]
        named = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
        return type(resolve(call.func.id))(*given, **named)
    except (SyntaxError, TypeError, ValueError) as error:
        reason = "it is no expression" if isinstance(error, SyntaxError) else first_line(error)
        raise BadInput(f"--losses {text!r}: {reason}") from error


def label_of(loss: Any) -> str:
    """Return a loss as one writes it, but for the parameters that are as always."""
    usual_ones = type(loss)().parameters
    given = [
        f"{name}={value.tolist() if isinstance(value, np.ndarray) else value!r}"
        for name, value in loss.parameters.items()
        if isinstance(value, np.ndarray) or value != usual_ones[name]
    ]
    return f"{type(loss).__name__}({', '.join(given)})"


# ---- the model -------------------------------------------------------------------------------------------------------


def slope_of(loss: Any, problem: Problem) -> float:
    """
    Return the mean magnitude of the loss's gradient at the best constant, in units of the target's spread.

    The penalty of a linear model is this over the number of rows. So it does not depend on the units of the target, nor
    on a constant factor of the loss, and is as strong as that of scikit-learn's LogisticRegression.
    """
    target, unit = problem.target, 1.0
    by_row = isinstance(loss, RowwiseLoss)
    if by_row:
        scores = loss.init_score(target, n_classes=len(problem.classes))
        gradient = loss.gradient(np.tile(scores, (len(target), 1)), target, reduction="sum")
        return float(np.abs(gradient).sum() / (2 * len(target)))
    if problem.is_classification:
        target = (target == len(problem.classes) - 1).astype(np.float64)
    elif loss.target_domain == "any":
        unit = spread_of(target)
    gradient = loss.gradient(np.full(len(target), loss.init_score(target)), target, reduction="sum")
    return float(np.abs(gradient).mean()) / unit


# Shares of the rows nearest to the median; where they say a spread of next to nothing beside that of more rows, most
# targets are the same number (zeros, say), and the others are what has a spread.
NEAREST = (0.5, 0.75, 0.9, 0.97, 1.0)
NEXT_TO_NOTHING = 0.02


def spread_of(numbers: np.ndarray) -> float:
    """Return the standard deviation of the middle of numbers, whatever their tails; never 0."""
    distance = np.abs(numbers - np.median(numbers))
    # A normal distance is below the quantile of (1 + share) / 2 with that share.
    spreads = [
        float(np.quantile(distance, each)) / NormalDist().inv_cdf((1 + min(each, 0.997)) / 2) for each in NEAREST
    ]
    for near, far in itertools.pairwise(spreads):
        if near > NEXT_TO_NOTHING * far:
            return near
    return spreads[-1] or 1.0


@dataclass(frozen=True)
class Model:
    """The model that every loss trains."""

    kind: str
    problem: Problem
    quick: bool
    seed: int
    slopes: dict[Any, float] = field(default_factory=dict)

    def prepared(self, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the features of both, as the model takes them and as the first alone says how."""
        preparation = PREPARE[self.kind]()
        x = self.problem.features
        return preparation.fit_transform(x.iloc[train]), preparation.transform(x.iloc[test])

    @property
    def path(self) -> tuple[float, ...]:
        """The settings that a model is tuned over."""
        return (QUICK_PATHS if self.quick else PATHS)[self.kind]

    def alpha(self, loss: Any, n_rows: int, setting: float = 1.0) -> float:
        """Return the penalty of a linear model."""
        if loss not in self.slopes:
            try:
                self.slopes[loss] = max(slope_of(loss, self.problem), 1e-12)
            except (TypeError, ValueError):
                self.slopes[loss] = 1.0  # the model itself says best why it cannot be fitted with this loss
        return float(f"{setting * self.slopes[loss] / n_rows:.3g}")

    def of(self, loss: Any, n_rows: int, setting: float) -> Any:
        """Return the model, not yet fitted."""
        by_class = self.problem.is_classification
        if self.kind == "linear":
            return (LossClassifier if by_class else LossRegressor)(loss=loss, alpha=self.alpha(loss, n_rows, setting))
        estimator = HistGradientBoostingClassifier if by_class else HistGradientBoostingRegressor
        return estimator(
            loss=hist_gradient_boosting_loss(loss),
            max_iter=round(setting),
            early_stopping=False,
            categorical_features=list(range(len(NAMES(self.problem.features)))) or None,
            random_state=self.seed,
        )

    def tuned(self, loss: Any, x: np.ndarray, target: np.ndarray, metric: Metric, fallback: Metric) -> float:
        """Return the setting that does best in cross-validation within these rows, by a metric that the loss has."""
        found = np.zeros((len(self.path), 2))
        sure = True
        for train, test in inner_splits(self.problem, target, self.seed):
            model = self.of(loss, len(train), self.path[0])
            for row, setting in enumerate(self.path):
                if self.kind == "linear":  # each fit begins where the one before ended
                    model.set_params(alpha=self.alpha(loss, len(train), setting), warm_start=True)
                else:
                    model = self.of(loss, len(train), setting)
                fit(model, x[train], target[train])
                p = predictions_of(model, x[test], self.problem)
                sure = sure and getattr(p, metric.needs) is not None
                for column, each in enumerate((metric, fallback) if sure else (fallback, fallback)):
                    found[row, column] += (-1 if each.more_is_better else 1) * each.of(target[test], p)
        return self.path[int(np.argmin(found[:, 0 if sure else 1]))]

    def code(self, loss: Any, setting: float) -> str:
        """Return a program that fits the model."""
        name, classifier = label_of(loss), "Classifier" if self.problem.is_classification else "Regressor"
        names, numbers = NAMES(self.problem.features), NUMBERS(self.problem.features)
        imports = ["import numpy as np", "import pandas as pd", "import sklearn.datasets", "", "import fastloss as fl"]
        if "sklearn.datasets" not in self.problem.code:
            imports.remove("import sklearn.datasets")
        elif "pd." not in self.problem.code:
            imports.remove("import pandas as pd")
        if self.kind == "linear":
            imports += [
                f"from fastloss.sklearn import Loss{classifier}",
                "from sklearn.compose import make_column_transformer",
                "from sklearn.impute import SimpleImputer",
                "from sklearn.pipeline import make_pipeline",
                "from sklearn.preprocessing import OneHotEncoder, StandardScaler",
            ]
            parts = [
                '(make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers)' if numbers else "",
                '(OneHotEncoder(handle_unknown="ignore", sparse_output=False), names)' if names else "",
            ]
            alpha = self.alpha(loss, len(self.problem.target), setting)
            estimator = f"Loss{classifier}(loss=fl.{name}, alpha={alpha:g})"
        else:
            imports += [
                "from fastloss.sklearn import hist_gradient_boosting_loss",
                "from sklearn.compose import make_column_transformer",
                f"from sklearn.ensemble import HistGradientBoosting{classifier}",
                "from sklearn.pipeline import make_pipeline",
                "from sklearn.preprocessing import OrdinalEncoder",
            ]
            unknown = 'handle_unknown="use_encoded_value", unknown_value=np.nan'
            parts = [
                f"(OrdinalEncoder({unknown}), names)" if names else "",
                '("passthrough", numbers)' if numbers else "",
            ]
            categorical = f",\n        categorical_features=range({len(names)})" if names else ""
            trees = f"max_iter={round(setting)}, early_stopping=False, random_state={self.seed}"
            estimator = (
                f"HistGradientBoosting{classifier}(\n        loss=hist_gradient_boosting_loss(fl.{name}),\n"
                f"        {trees}{categorical},\n    )"
            )
        transformers = "".join(f"        {part},\n" for part in parts if part)
        return "\n".join(
            [
                *imports,
                "",
                self.problem.code,
                "model = make_pipeline(",
                f"    make_column_transformer(\n{transformers}    ),",
                f"    {estimator},",
                ")",
                "model.fit(X, y)",
            ]
        )


def inner_splits(problem: Problem, target: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the rows that a model is tuned on and those that say how well, for every fold."""
    folds, chosen = INNER_FOLDS, KFold
    if problem.is_classification:
        counts = np.bincount(target)
        folds, chosen = max(2, min(folds, int(counts[counts > 0].min()))), StratifiedKFold
    splitter = chosen(n_splits=folds, shuffle=True, random_state=seed)
    return list(splitter.split(np.empty((len(target), 0)), target))


# ---- metrics ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predictions:
    """What a model says of rows: numbers or class indices; probabilities and scores where there are any."""

    predicted: np.ndarray
    probability: np.ndarray | None = None
    score: np.ndarray | None = None


@dataclass(frozen=True)
class Metric:
    """A number that says how good predictions are."""

    name: str
    of: Callable[[np.ndarray, Predictions], float]
    more_is_better: bool = False
    needs: str = "predicted"


def log_loss(target: np.ndarray, p: Predictions) -> float:
    """Return the mean logarithm of how unlikely was what came; infinite if it was called impossible."""
    with np.errstate(divide="ignore"):
        return float(-np.mean(np.log(np.asarray(p.probability)[np.arange(len(target)), target])))


def brier(target: np.ndarray, p: Predictions) -> float:
    """Return the mean squared distance of probabilities from the class that came."""
    probability = np.asarray(p.probability)
    return float(np.mean(np.sum((probability - np.eye(probability.shape[1])[target]) ** 2, axis=1)))


def positive_deviance(power: float, floor: float) -> Callable[[np.ndarray, Predictions], float]:
    """Return the deviance; predictions below `floor` count as that, for those not above 0 would be infinitely bad."""
    return lambda t, p: float(sk.mean_tweedie_deviance(t, np.maximum(p.predicted, floor), power=power))


def metrics_of(problem: Problem) -> list[Metric]:
    """Return what is measured; the first is what the task is about, if nothing speaks against it."""
    decisions = [
        Metric("accuracy", lambda t, p: float(sk.accuracy_score(t, p.predicted)), True),
        Metric("balanced accuracy", lambda t, p: float(sk.balanced_accuracy_score(t, p.predicted)), True),
    ]
    if problem.task == "binary":
        return [
            Metric("log loss", log_loss, needs="probability"),
            Metric("Brier", lambda t, p: brier(t, p) / 2, needs="probability"),
            *decisions,
            Metric("average precision", lambda t, p: float(sk.average_precision_score(t, p.score)), True, "score"),
            Metric("ROC AUC", lambda t, p: float(sk.roc_auc_score(t, p.score)), True, "score"),
        ]
    if problem.task == "multiclass":
        return [
            Metric("log loss", log_loss, needs="probability"),
            Metric("Brier", brier, needs="probability"),
            *decisions,
            Metric("ROC AUC", lambda t, p: one_against_rest_auc(t, np.asarray(p.score)), True, "score"),
        ]
    errors = [
        Metric("RMSE", lambda t, p: float(np.sqrt(np.mean((p.predicted - t) ** 2)))),
        Metric("MAE", lambda t, p: float(np.mean(np.abs(p.predicted - t)))),
        Metric("median error", lambda t, p: float(np.median(np.abs(p.predicted - t)))),
    ]
    if problem.task == "regression":
        bound = Metric("pinball 0.9", lambda t, p: float(sk.mean_pinball_loss(t, p.predicted, alpha=0.9)))
        return [*errors, bound]
    power, name = (1.0, "Poisson deviance") if problem.task == "counts" else (1.5, "Tweedie deviance")
    return [Metric(name, positive_deviance(power, 1e-3 * float(problem.target.mean()))), *errors]


def one_against_rest_auc(target: np.ndarray, score: np.ndarray) -> float:
    """Return the mean area under the curve of each class's score."""
    return float(np.mean([sk.roc_auc_score(target == k, score[:, k]) for k in range(score.shape[1])]))


# ---- measuring -------------------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What a loss did. Metrics are of each fold; errors' shares have the metric of robustness of each fold."""

    loss: Any
    label: str
    metrics: dict[str, list[float]] = field(default_factory=dict)
    robustness: dict[float, list[float]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    pooled: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)  # what was said, what came
    settings: list[float] = field(default_factory=list)  # of each fold, as it was tuned
    not_converged: int = 0
    refusal: str | None = None

    @property
    def setting(self) -> float:
        """The setting in the middle of those of the folds."""
        return sorted(self.settings)[len(self.settings) // 2]

    def reliability(self) -> dict[str, list[float]]:
        """Return means of what was said and of what came, for equally many rows in the order of what was said."""
        if not self.pooled:
            return {"said": [], "came": []}
        said, came = (np.concatenate(each) for each in zip(*self.pooled, strict=True))
        bins = np.array_split(np.argsort(said, kind="stable"), min(BINS, len(said)))
        return {"said": [float(said[b].mean()) for b in bins], "came": [float(came[b].mean()) for b in bins]}

    def calibration_error(self) -> float:
        """Return the mean distance of the two; expected calibration error, if probabilities were said."""
        bins = self.reliability()
        return float(np.mean(np.abs(np.subtract(bins["said"], bins["came"])))) if bins["said"] else float("nan")


@dataclass(frozen=True)
class Study:
    """All that was measured."""

    problem: Problem
    model: Model
    metrics: list[Metric]
    robust_metric: Metric
    shares: tuple[float, ...]
    results: list[Result]
    baselines: list[Result]  # constants: what a loss has to be better than
    refused: list[Result]
    spread: float  # of the targets around a fitted median
    share_far: float  # of targets that are outliers
    test_per_train: float
    folds: int
    repeats: int
    judged_by: str  # why the first metric is what losses are judged by

    @property
    def n_train(self) -> int:
        """How many rows a model is fitted to."""
        return len(self.problem.target) * (self.folds - 1) // self.folds


def predictions_of(model: Any, x: np.ndarray, problem: Problem) -> Predictions:
    """Ask a fitted model all that it can say."""
    predicted = np.asarray(model.predict(x))
    if not problem.is_classification:
        return Predictions(predicted)
    try:
        probability = np.asarray(model.predict_proba(x))
    except (AttributeError, NotImplementedError, TypeError, ValueError):  # hinge losses have none
        probability = None
    return Predictions(predicted, probability, np.asarray(model.decision_function(x)))


def said_and_came(p: Predictions, target: np.ndarray, problem: Problem) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what a reliability diagram is of: predictions, or the probability of the positive or likeliest class."""
    if not problem.is_classification:
        return p.predicted, target
    if p.probability is None:
        return None
    if problem.task == "binary":
        return p.probability[:, 1], target.astype(np.float64)
    return p.probability.max(axis=1), (p.probability.argmax(axis=1) == target).astype(np.float64)


def spoiled(problem: Problem, target: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """
    Return training targets, a share of them wrong: another class, or a gross number. If a class is rare, the share is
    of its rows, and as many are wrong in every other class: of all rows it would drown the rare one.
    """
    wrong = rng.choice(len(target), round(share * len(target)), replace=False)
    if problem.is_imbalanced:
        counts = np.bincount(target)
        n_wrong = max(1, round(share * counts[counts > 0].min()))
        wrong = np.concatenate(
            [rng.choice(np.flatnonzero(target == k), n_wrong, replace=False) for k in np.unique(target)]
        )
    target = target.copy()
    if problem.is_classification:
        n_classes = len(problem.classes)
        target[wrong] = (target[wrong] + rng.integers(1, n_classes, len(wrong))) % n_classes
    elif problem.task == "regression":
        target[wrong] += GROSS_BY * spread_of(problem.target)
    else:
        target[wrong] = np.round(GROSS_BY * (target[wrong] + problem.target.mean()))
    return target


def fit(model: Any, x: np.ndarray, target: np.ndarray) -> tuple[float, bool]:
    """Fit; return the seconds, and whether the fit converged."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        began = time.perf_counter()
        model.fit(x, target)
        seconds = time.perf_counter() - began
    return seconds, not any(issubclass(each.category, ConvergenceWarning) for each in caught)


def residual_spread(model: Model, folds: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """Return the spread of targets around a median that the model predicts, and the share that lies far from it."""
    if model.problem.is_classification:
        return 1.0, 0.0
    residuals = []
    for train, test in folds:
        x_train, x_test = model.prepared(train, test)
        median = model.of(fl.AbsoluteError(), len(train), 1.0 if model.kind == "linear" else model.path[-1])
        fit(median, x_train, model.problem.target[train])
        residuals.append(model.problem.target[test] - median.predict(x_test))
    residual = np.concatenate(residuals)
    spread = spread_of(residual)
    return spread, float(np.mean(np.abs(residual - np.median(residual)) > FAR * spread))


def splits(problem: Problem, quick: bool, seed: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], int, int]:
    """Return training and test rows of all folds, the number of folds and that of repeats."""
    folds, repeats = FOLDS, QUICK_REPEATS if quick else REPEATS
    if problem.is_classification:
        folds = min(folds, int(np.bincount(problem.target).min()))
    chosen = RepeatedStratifiedKFold if problem.is_classification else RepeatedKFold
    splitter = chosen(n_splits=folds, n_repeats=repeats, random_state=seed)
    return list(splitter.split(problem.features, problem.target)), folds, repeats


def judged(problem: Problem, asked: str | None, share_far: float) -> tuple[list[Metric], str]:
    """Return all metrics, first the one that losses are judged by, and why it is this one."""
    metrics = metrics_of(problem)
    name, why = metrics[0].name, ""
    if asked is not None:
        name, why = asked, "as asked for"
        if asked not in (names := [metric.name for metric in metrics]):
            raise BadInput(f"--metric {asked!r} is none of {problem.task} tasks, which have {', '.join(names)}")
    elif problem.task == "regression" and share_far > 0.01:
        name = "MAE"
        why = (
            f"since {share_far:.1%} of the targets lie more than {FAR:.0f} spreads from a median fit, and squared "
            f"errors would be about these few rows"
        )
    return sorted(metrics, key=lambda metric: metric.name != name), why


def prepare(
    problem: Problem, kind: str, names: list[str] | None, asked: str | None, quick: bool, seed: int
) -> tuple[Study, list[tuple[np.ndarray, np.ndarray]]]:
    """Return a study in which nothing is measured yet, and its folds."""
    pairs, folds, repeats = splits(problem, quick, seed)
    model = Model(kind, problem, quick, seed)
    spread, share_far = residual_spread(model, pairs[:folds])
    losses = losses_of(problem, kind, spread) if names is None else [parse(name) for name in names]
    metrics, judged_by = judged(problem, asked, share_far)
    by_name = {metric.name: metric for metric in metrics}
    robust = (
        by_name["balanced accuracy" if problem.is_imbalanced else "accuracy"] if problem.is_classification else None
    )
    shares = FLIPPED if problem.is_classification else GROSS
    study = Study(
        problem,
        model,
        metrics,
        robust or (by_name["MAE"] if problem.task == "regression" else metrics[0]),
        shares[1:2] if quick else shares,
        [Result(loss, label) for label, loss in {label_of(loss): loss for loss in losses}.items()],
        [Result(None, name) for name in (("majority",) if problem.is_classification else ("mean", "median"))],
        [],
        spread,
        share_far,
        1.0 / (folds - 1),
        folds,
        repeats,
        judged_by,
    )
    return study, pairs


def constant(name: str, target: np.ndarray, n_rows: int, problem: Problem) -> Predictions:
    """Return what a model says that knows no features: the shares of classes, the mean or the median."""
    if not problem.is_classification:
        return Predictions(np.full(n_rows, float(np.mean(target) if name == "mean" else np.median(target))))
    shares = np.bincount(target, minlength=len(problem.classes)) / len(target)
    table = np.tile(shares, (n_rows, 1))
    score = np.zeros(n_rows) if problem.task == "binary" else table
    return Predictions(np.full(n_rows, int(np.argmax(shares))), table, score)


def measure(study: Study, pairs: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[str]:
    """Tune, fit and measure; yields what is next before each loss in each fold."""
    problem, model = study.problem, study.model
    for number, (train, test) in enumerate(pairs):
        x_train, x_test = model.prepared(train, test)
        t_train, t_test = problem.target[train], problem.target[test]
        for baseline in study.baselines:
            note(study, baseline, t_test, constant(baseline.label, t_train, len(test), problem))
        for result in list(study.results):
            yield f"{result.label}, fold {number + 1} of {len(pairs)}"
            try:
                setting = model.tuned(result.loss, x_train, t_train, study.metrics[0], study.robust_metric)
                estimator = model.of(result.loss, len(train), setting)
                seconds, converged = fit(estimator, x_train, t_train)
            except (TypeError, ValueError) as error:
                result.refusal = first_line(error)
                study.results.remove(result)
                study.refused.append(result)
                continue
            result.settings.append(setting)
            result.seconds.append(seconds)
            result.not_converged += not converged
            p = predictions_of(estimator, x_test, problem)
            note(study, result, t_test, p)
            if (pair := said_and_came(p, t_test, problem)) is not None:
                result.pooled.append(pair)
            if number >= study.folds:  # robustness is measured in the first repeat
                continue
            for share in study.shares:
                rng = np.random.default_rng([model.seed, number, round(1000 * share)])
                estimator = model.of(result.loss, len(train), setting)
                fit(estimator, x_train, spoiled(problem, t_train, share, rng))
                p = predictions_of(estimator, x_test, problem)
                result.robustness.setdefault(share, []).append(study.robust_metric.of(t_test, p))


def note(study: Study, result: Result, target: np.ndarray, p: Predictions) -> None:
    """Take down every metric that predictions have."""
    for metric in study.metrics:
        if getattr(p, metric.needs) is not None:
            result.metrics.setdefault(metric.name, []).append(metric.of(target, p))
