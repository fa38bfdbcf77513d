"""
Outliers: Huber, log-cosh and squared error
===========================================

The progress of diabetes in 442 patients (scikit-learn's ``load_diabetes``), predicted from ten measurements. Some of
the targets that a model is fitted to are spoilt: three standard deviations to twelve are added, all to the same side,
as by a slip of the decimal point. The targets it is judged by are as they were.

What each loss costs when nothing is spoilt, and what it saves when something is, is measured over 20 splits.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import ShuffleSplit
from sklearn.preprocessing import StandardScaler

import fastloss as fl
from fastloss.sklearn import LossRegressor, mean_absolute_error

features, progress = load_diabetes(return_X_y=True)
features = StandardScaler().fit_transform(features)
progress = (progress - progress.mean()) / progress.std()

losses = {
    "squared error": fl.SquaredError(),
    "Huber, delta 0.5": fl.Huber(delta=0.5),
    "log-cosh": fl.LogCosh(),
}


def spoilt(target, share, seed):
    """Add 3 to 12 standard deviations to a share of the targets."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(target))[: round(share * len(target))]
    target = target.copy()
    target[rows] += rng.uniform(3, 12, len(rows))
    return target, rows


# %%
# Errors on clean targets
# -----------------------

shares = [0.0, 0.05, 0.1, 0.2, 0.3]
splits = list(ShuffleSplit(n_splits=20, test_size=0.3, random_state=0).split(features))
errors = {name: np.empty((len(shares), len(splits))) for name in losses}
for row, share in enumerate(shares):
    for column, (train, test) in enumerate(splits):
        target, _ = spoilt(progress[train], share, seed=column)
        for name, loss in losses.items():
            model = LossRegressor(loss=loss, alpha=1e-3).fit(features[train], target)
            errors[name][row, column] = mean_absolute_error(progress[test], model.predict(features[test]))

print("mean absolute error on clean targets, in standard deviations, by the share of spoilt ones among those fitted to")
print(f"{'':18}" + "".join(f"{share:>16.0%}" for share in shares))
for name in losses:
    cells = (
        f"{mean:.3f} +- {spread:.3f}" for mean, spread in zip(errors[name].mean(1), errors[name].std(1), strict=True)
    )
    print(f"{name:18}" + "".join(f"{cell:>16}" for cell in cells))

# %%
# One feature, to see it
# ----------------------
# Fitted to the body mass index alone, with a fifth of the targets spoilt. The dashed line is the squared error of clean
# targets.

index = features[:, [2]]
target, rows = spoilt(progress, 0.2, seed=0)
line = np.linspace(index.min(), index.max(), 2)[:, None]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
left.plot(index, target, ".", color="lightgrey", label="targets")
left.plot(index[rows], target[rows], "x", color="grey", markersize=4, label="spoilt ones")
for position, (name, loss) in enumerate(losses.items()):
    left.plot(
        line, LossRegressor(loss=loss, alpha=0).fit(index, target).predict(line), color=f"C{position}", label=name
    )
clean = LossRegressor(loss="squared_error", alpha=0).fit(index, progress)
left.plot(line, clean.predict(line), "--", color="black", linewidth=1, label="without spoilt ones")
left.set(xlabel="body mass index, standardised", ylabel="progress, in standard deviations", title="20 % spoilt")
left.set_ylim(-2.5, 20)
left.legend(fontsize="small", loc="upper left", ncols=2)
for position, name in enumerate(losses):
    middle, spread = errors[name].mean(axis=1), errors[name].std(axis=1)
    right.plot(shares, middle, "o-", color=f"C{position}", label=name)
    right.fill_between(shares, middle - spread, middle + spread, color=f"C{position}", alpha=0.15, linewidth=0)
right.set(
    xlabel="share of spoilt targets", ylabel="mean absolute error on clean targets", title="20 splits, mean and spread"
)
right.legend()

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
figure.savefig(folder / "robust_regression.png", dpi=100)
print(f"\nplot: {folder / 'robust_regression.png'}")
