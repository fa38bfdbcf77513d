"""Training with focal loss against the built-in objectives, of distributions against NGBoost, and objectives alone.

    python benchmarks/boosting.py [--rows 1000000] [--trees 50] [--rounds 3] [--only lightgbm]

1,000,000 x 20, 31 leaves, 50 rounds by default; binning is not timed. Calls take turns, and the least time counts.
Ratios below 1 mean that we take less time. `--only distributions` trains LightGBM on GaussianNLL, two trees a round,
against twice its built-in L2, and against NGBoost on at most 20,000 rows: as it comes, 500 rounds of 0.01, against ours
with the same depth of trees and as much learning in `--trees` rounds. CRPS is that of 5,000 new rows.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
from collections.abc import Callable

import numpy as np
import report

import fastloss as fl
from fastloss._bench.timing import seconds_of, take_turns

LOSS = fl.BinaryFocal(gamma=2.0)
# Grows the built-in's trees: what remains is the price of an objective in Python. Other losses' trees are other work.
SAME = fl.BinaryCrossEntropy()


def numpy_focal(z: np.ndarray, y: np.ndarray, gamma: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """The objective as it is written by hand: right, and stable enough."""
    p = 1 / (1 + np.exp(-z))
    sign = np.where(y > 0, -1.0, 1.0)
    q = np.where(y > 0, p, 1 - p).clip(1e-15, 1 - 1e-15)  # of the class of the row
    log_q = np.log(q)
    power = (1 - q) ** gamma
    gradient = sign * power * ((1 - q) - gamma * q * log_q)
    slope = gamma * (1 - q) ** (gamma - 1) * ((1 - q) - gamma * q * log_q) + power * (1 + gamma * (log_q + 1))
    return gradient, np.maximum(slope * q * (1 - q), 1e-16)


def data(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Twenty features and 2.5 % of positives."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 20)).astype(np.float32)
    score = X[:, :5].sum(1) + X[:, 5] * X[:, 6] + rng.normal(size=rows)
    return X, (score > np.quantile(score, 0.975)).astype(np.float32)


def lightgbm_calls(X: np.ndarray, y: np.ndarray, trees: int) -> dict[str, Callable[[], object]]:
    import lightgbm

    import fastloss.lightgbm

    parameters = {"num_leaves": 31, "verbose": -1, "metric": "None", "num_threads": fl.config()["threads"]}

    def train(objective: object, start: float = 0.0) -> Callable[[], object]:
        init_score = np.full(len(y), start) if start else None
        binned = lightgbm.Dataset(X, y, init_score=init_score, free_raw_data=False).construct()
        return lambda: lightgbm.train({**parameters, "objective": objective}, binned, trees)

    start = LOSS.init_score(y)
    return {
        "built-in binary": train("binary"),
        "fastloss BinaryFocal": train(fastloss.lightgbm.objective(LOSS), start),
        "fastloss BinaryCrossEntropy": train(fastloss.lightgbm.objective(SAME), SAME.init_score(y)),
        "NumPy focal": train(lambda z, dataset: numpy_focal(z, dataset.get_label()), start),
    }


def xgboost_calls(X: np.ndarray, y: np.ndarray, trees: int) -> dict[str, Callable[[], object]]:
    import xgboost

    import fastloss.xgboost

    binned = xgboost.QuantileDMatrix(X, y)
    shared = {"max_leaves": 31, "max_depth": 0, "grow_policy": "lossguide", "disable_default_eval_metric": True}
    shared |= {"nthread": fl.config()["threads"], "min_child_weight": 0}
    start = {**shared, "base_score": LOSS.init_score(y)}
    own, same = fastloss.xgboost.objective(LOSS), fastloss.xgboost.objective(SAME)
    return {
        "built-in binary:logistic": lambda: xgboost.train({**shared, "objective": "binary:logistic"}, binned, trees),
        "fastloss BinaryFocal": lambda: xgboost.train(start, binned, trees, obj=own),
        "fastloss BinaryCrossEntropy": lambda: xgboost.train(
            {**shared, "base_score": SAME.init_score(y)}, binned, trees, obj=same
        ),
        "NumPy focal": lambda: xgboost.train(
            start, binned, trees, obj=lambda z, matrix: numpy_focal(z, matrix.get_label())
        ),
    }


def catboost_calls(X: np.ndarray, y: np.ndarray, trees: int) -> dict[str, Callable[[], object]]:
    import catboost

    import fastloss.catboost

    shared = {"iterations": trees, "depth": 5, "verbose": False, "allow_writing_files": False, "learning_rate": 0.1}
    shared |= {"thread_count": fl.config()["threads"], "boost_from_average": False, "eval_metric": "Logloss"}
    shared |= {"leaf_estimation_method": "Newton", "leaf_estimation_iterations": 1, "bootstrap_type": "No"}
    shared |= {"metric_period": 1000, "boosting_type": "Plain"}
    pool = catboost.Pool(X, y)
    pool.quantize()

    def train(objective: object) -> Callable[[], object]:
        return lambda: catboost.CatBoost({**shared, "loss_function": objective}).fit(pool)

    return {
        "built-in Focal": train("Focal:focal_alpha=0.5;focal_gamma=2.0"),
        "fastloss BinaryFocal": train(fastloss.catboost.objective(LOSS)),
    }


LIBRARIES = {"lightgbm": lightgbm_calls, "xgboost": xgboost_calls, "catboost": catboost_calls}
# Least and most that the ratio to the built-in may be.
TARGETS = {"lightgbm": 1.0, "xgboost": 1.0, "catboost": 1.3}


def spread_data(rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Twenty features, a mean and a spread that depend on some of them."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 20)).astype(np.float32)
    return X, X[:, :3].sum(1) + X[:, 3] * X[:, 4] + np.exp(0.5 * X[:, 5] + 0.3 * X[:, 0]) * rng.normal(size=rows)


def distributions(rows: int, trees: int, rounds: int) -> list[list[str]]:
    """What the loss costs beside its trees, and time and CRPS against NGBoost."""
    import lightgbm

    import fastloss.lightgbm
    from fastloss._boosters import Derivatives

    loss, threads = fl.GaussianNLL(), fl.config()["threads"]
    X, y = spread_data(rows)
    binned = lightgbm.Dataset(X, y, free_raw_data=False).construct()
    start = np.repeat(loss.init_score(y), rows)
    with_start = lightgbm.Dataset(X, y, init_score=start, free_raw_data=False).construct()
    parameters = {"num_leaves": 31, "verbose": -1, "metric": "None", "num_threads": threads}
    ours = {**parameters, "num_class": 2, "objective": fastloss.lightgbm.objective(loss)}
    z = start.reshape(rows, 2, order="F")
    label, derivatives = binned.get_label(), Derivatives(loss)
    best = dict.fromkeys(("L2", "GaussianNLL", "objective"), np.inf)
    for _ in range(rounds):
        best["L2"] = min(
            best["L2"], seconds_of(lambda: lightgbm.train({**parameters, "objective": "l2"}, binned, trees))
        )
        best["GaussianNLL"] = min(best["GaussianNLL"], seconds_of(lambda: lightgbm.train(ours, with_start, trees)))
        best["objective"] = min(best["objective"], seconds_of(lambda: derivatives(z, label)))
    share = best["objective"] * trees / best["GaussianNLL"]
    table = [
        [f"lightgbm: GaussianNLL, {rows} rows", f"{best['GaussianNLL']:.2f} s", ""],
        ["of twice the time of its own L2", f"{best['GaussianNLL'] / (2 * best['L2']):.2f}", "<= 1.05"],
        ["of which the objective", f"{share:.1%}", "< 5 %"],
    ]
    if importlib.util.find_spec("ngboost") is None:
        return [*table, ["NGBoost is not installed", "", ""]]
    import ngboost

    n = min(rows, 20_000)
    X_new, y_new = spread_data(5000, seed=1)
    crps = fl.GaussianCRPS()
    options = {"n_estimators": trees, "learning_rate": 5.0 / trees, "num_leaves": 8, "n_jobs": threads, "verbose": -1}
    model = fastloss.lightgbm.LGBMRegressor(loss, **options)
    seconds = min(seconds_of(lambda: model.fit(X[:n], y[:n])) for _ in range(rounds))
    theirs = ngboost.NGBRegressor(verbose=False, random_state=0)
    seconds_there = seconds_of(lambda: theirs.fit(X[:n], y[:n]))
    found = theirs.pred_dist(X_new)
    there = crps(np.column_stack([found.loc, np.log(found.scale)]), y_new)
    return [
        *table,
        [f"NGBoost, {n} rows", f"{seconds_there:.2f} s, CRPS {there:.4f}", ""],
        [
            "LightGBM on GaussianNLL",
            f"{seconds:.2f} s, CRPS {crps(model.predict(X_new, raw_score=True), y_new):.4f}",
            "",
        ],
        ["NGBoost's time of ours", f"{seconds_there / seconds:.0f}", ">= 20"],
    ]


def objective_alone(y: np.ndarray) -> list[list[str]]:
    """The call as LightGBM and XGBoost make it, against NumPy's."""
    from fastloss._boosters import Derivatives

    own = Derivatives(LOSS)
    rows = []
    for name, dtype in (("float64 scores (LightGBM)", np.float64), ("float32 scores (XGBoost)", np.float32)):
        z = np.random.default_rng(1).normal(size=len(y)).astype(dtype)
        calls = {"ours": functools.partial(own, z, y), "numpy": functools.partial(numpy_focal, z, y)}
        times = {each: timed.best for each, timed in take_turns(calls, 4.0).items()}
        ratio = report.against_target(times["numpy"] / times["ours"], 15.0)
        rows.append([f"objective alone, {name}", *(report.duration(each) for each in times.values()), ratio])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--trees", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=(*LIBRARIES, "distributions"))
    options = parser.parse_args()
    config = fl.config()
    print(f"{config['isa']}, {config['threads']} threads; {options.rows} x 20, {options.trees} trees")
    if options.only in (None, "distributions"):
        found = distributions(options.rows, options.trees, options.rounds)
        print(report.columns([["distributions", "", "target"], *found]), flush=True)
    if options.only == "distributions":
        return
    X, y = data(options.rows)
    print(report.columns([["call", "fastloss", "NumPy", "NumPy / fastloss"], *objective_alone(y)]), flush=True)

    rows = [["training", "seconds", "of built-in", "target"]]
    for library, calls_of in LIBRARIES.items():
        if options.only not in (None, library):
            continue
        if importlib.util.find_spec(library) is None:
            print(f"{library} is not installed")
            continue
        calls = calls_of(X, y, options.trees)
        best = dict.fromkeys(calls, np.inf)
        for _ in range(options.rounds):
            for name, call in calls.items():
                best[name] = min(best[name], seconds_of(call))
        built_in = next(iter(best.values()))
        for name, seconds in best.items():
            target = f"<= {TARGETS[library]}" if name.startswith("fastloss") else ""
            rows.append([f"{library}: {name}", f"{seconds:.2f}", f"{seconds / built_in:.2f}", target])
    print(report.columns(rows))


if __name__ == "__main__":
    main()
