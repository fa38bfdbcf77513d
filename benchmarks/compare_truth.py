"""How often `fastloss compare` is right: on made data whose right loss is known, of kinds and seeds.

    python benchmarks/compare_truth.py --few --rows 200     # 50 data sets, the table of docs/compare.md
    python benchmarks/compare_truth.py                      # all losses of each task, larger data: hours
    python benchmarks/compare_truth.py --seeds 1 --kinds logistic "normal errors"

Each data set is drawn from a model of one kind, so that it is known which losses are right for it: the likelihood it
was drawn from, or those that do not follow the wrong rows in it. A recommendation is right, or it is the usual choice
where another loss would have been better (overlooked), or it is wrong: a loss without reason.
"""

import argparse
import os
import platform
import time
from datetime import date

import numpy as np
import pandas as pd
import sklearn

import fastloss as fl
from fastloss.__main__ import processor_name
from fastloss._compare import study
from fastloss._compare.problem import Problem
from fastloss._compare.study import label_of, measure, prepare, usual
from fastloss._compare.verdict import recommend, standings

ROBUST = {"AbsoluteError", "Huber", "PseudoHuber", "Fair", "LogCosh", "Cauchy", "EpsilonInsensitive"}
COEFFICIENTS = np.array([1.2, -0.8, 0.5, 0.0, 0.0])


def logistic(x, rng, shift=0.0):
    return (x @ COEFFICIENTS + shift + rng.logistic(size=len(x)) > 0).astype(int)


def multinomial(x, rng):
    scores = x @ np.random.default_rng(7).normal(size=(x.shape[1], 4))
    return np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)


def gross(x, rng):
    wrong = rng.random(len(x)) < 0.05
    return x @ COEFFICIENTS + 0.5 * rng.normal(size=len(x)) + 60 * wrong * rng.exponential(size=len(x))


def wrong_labels(x, rng):
    """A fifth of one class lies far on the side of the other; changes x."""
    y = (rng.random(len(x)) < 0.5).astype(int)
    x[:, 0] += np.where(y, 2.0, -2.0)
    wrong = rng.random(len(x)) < np.where(y, 0.2, 0.0)
    x[wrong, 0] = rng.normal(size=wrong.sum()) - 8
    return y


def claims(x, rng):
    return rng.poisson(np.exp(x @ COEFFICIENTS / 2)) * rng.gamma(3.0, 1.0, len(x))


# Task, metric (None: the usual one), what makes the targets, and the losses that are right.
KINDS = {
    "logistic": ("binary", None, logistic, {"BinaryCrossEntropy"}),
    "logistic, 6 % positive": ("binary", None, lambda x, rng: logistic(x, rng, -3.6), {"BinaryCrossEntropy"}),
    "multinomial, 4 classes": ("multiclass", None, multinomial, {"CrossEntropy"}),
    "normal errors": ("regression", None, lambda x, rng: x @ COEFFICIENTS + rng.normal(size=len(x)), {"SquaredError"}),
    "Poisson counts": ("counts", None, lambda x, rng: rng.poisson(np.exp(x @ COEFFICIENTS / 2)), {"Poisson"}),
    "claims: many zeros": ("amounts", None, claims, {"Tweedie"}),
    "5 % gross targets": ("regression", None, gross, ROBUST),
    "errors of Student, 1.5 degrees": (
        "regression",
        None,
        lambda x, rng: x @ COEFFICIENTS + rng.standard_t(1.5, len(x)),
        ROBUST,
    ),
    "wrong labels far away, by accuracy": ("binary", "accuracy", wrong_labels, {"Brier", "GeneralizedCrossEntropy"}),
    "normal errors, by pinball 0.9": (
        "regression",
        "pinball 0.9",
        lambda x, rng: x @ COEFFICIENTS + rng.normal(size=len(x)),
        {"Quantile", "Expectile"},
    ),
}


# Four losses of each task, for a run of minutes.
FEW = {
    "binary": ["BinaryCrossEntropy", "BinaryFocal", "Brier", "GeneralizedCrossEntropy"],
    "multiclass": ["CrossEntropy", "Focal", "Poly1", "GeneralizedCrossEntropy"],
    "regression": ["SquaredError", "Huber", "Cauchy", "Quantile(q=0.9)"],
    "counts": ["Poisson", "Tweedie", "SquaredError", "Huber"],
    "amounts": ["Tweedie", "Poisson", "SquaredError", "Huber"],
}


def problem_of(kind, rows, seed):
    """Make a data set of a kind."""
    task, _, target, _ = KINDS[kind]
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    x = rng.normal(size=(rows, len(COEFFICIENTS)))
    y = target(x, rng)
    classes = tuple(map(str, np.unique(y))) if task in ("binary", "multiclass") else ()
    frame = pd.DataFrame(x, columns=[f"x{k}" for k in range(x.shape[1])])
    return Problem(kind, task, "as it was drawn", frame, y if classes else y.astype(float), classes, ())


def verdicts(kind, rows, seed, quick, few):
    """Return what is recommended, and what one standard error without correction would have recommended."""
    problem = problem_of(kind, rows, seed)
    prepared, pairs = prepare(problem, "linear", FEW[problem.task] if few else None, KINDS[kind][1], quick, seed)
    for _ in measure(prepared, pairs):
        pass
    main = standings(prepared)[prepared.metrics[0].name]
    default = label_of(usual(problem.task))
    row = main.rows[default]
    return recommend(prepared).label, default if row.worse_by <= row.error else main.best, default


def judge(kind, label, default):
    """Say whether a recommendation is right."""
    if label.partition("(")[0] in KINDS[kind][3] and "pos_weight" not in label and "smoothing" not in label:
        return "right"
    return "overlooked" if label == default else "wrong"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--full", action="store_true", help="10 folds instead of 5, and more penalties")
    parser.add_argument("--few", action="store_true", help="four losses of each task instead of all")
    parser.add_argument("--repeats", type=int, default=1, help="of the 5 folds; the command itself has 2")
    options = parser.parse_args()
    study.QUICK_REPEATS = options.repeats
    began = time.perf_counter()
    total, lines = {}, []
    for kind in options.kinds:
        counts = {}
        for seed in range(options.seeds):
            ours, one_error, default = verdicts(kind, options.rows, seed, not options.full, options.few)
            for rule, label in (("ours", ours), ("one", one_error)):
                found = judge(kind, label, default)
                counts[rule, found] = counts.get((rule, found), 0) + 1
                total[rule, found] = total.get((rule, found), 0) + 1
        lines.append((kind, counts))
        print(kind, counts, flush=True)
    print("\n| data | right | overlooked | wrong | right by one standard error |\n|---|--:|--:|--:|--:|")
    for name, counts in [*lines, ("**together**", total)]:
        cells = [counts.get(("ours", found), 0) for found in ("right", "overlooked", "wrong")]
        print(f"| {name} | {' | '.join(map(str, cells))} | {counts.get(('one', 'right'), 0)} |")
    print(
        f"\n{options.seeds} data sets of {options.rows} rows a kind, {options.repeats} times 5 folds, {date.today()}, "
        f"fastloss {fl.__version__}, "
        f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{processor_name()}; {time.perf_counter() - began:.0f} s"
    )


if __name__ == "__main__":
    main()
