"""
A sensor with spikes: forecasts from a sequence
===============================================

The air over Mauna Loa has been measured since 1958; ``statsmodels`` brings along the weekly content of carbon dioxide
until 2001. Each week is predicted from the weeks before it, as sequences of sensors, of sounds or of prices are: a
linear model of the last values and of those a year ago. To some weeks of the training years a spike is added, as by a
loose contact; it is in the targets, and then among what later weeks are predicted from.

Squared error, Huber and absolute error are compared by their error on the last ten years, which are as they were
measured. Two quantiles make an interval, which should hold nine of ten weeks.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.datasets import co2

import fastloss as fl
from fastloss.sklearn import LossRegressor, mean_absolute_error

weeks = co2.load_pandas().data["co2"].interpolate().to_numpy()
LAGS = np.array([1, 2, 3, 4, 8, 26, 51, 52, 53])
N_TEST = 520
at = np.arange(LAGS.max(), len(weeks))


def sequence(values):
    """Return the values before each week, and the changes to that week."""
    return values[at[:, np.newaxis] - LAGS] - values[at - 1, np.newaxis], values[at] - values[at - 1]


def spiked(share, seed):
    """Return the measurements with spikes in the training years: 5 to 20 ppm too high."""
    rng = np.random.default_rng(seed)
    values = weeks.copy()
    rows = rng.random(len(weeks) - N_TEST - LAGS.max()) < share
    values[: len(rows)][rows] += rng.uniform(5, 20, rows.sum())
    return values


X, change = sequence(weeks)
X_test, y_test = X[-N_TEST:, 1:], change[-N_TEST:]
print(f"{len(weeks)} weeks, {len(LAGS)} of them behind each prediction")

# %%
# Errors by the share of spikes
# -----------------------------

losses = {
    "squared error": fl.SquaredError(),
    "Huber, delta 0.5": fl.Huber(delta=0.5),
    "absolute error": fl.AbsoluteError(),
}
shares = [0.0, 0.01, 0.03, 0.1]
errors = {name: np.empty((len(shares), 5)) for name in losses}
for row, share in enumerate(shares):
    for column in range(5):
        values, target = sequence(spiked(share, seed=column))
        for name, loss in losses.items():
            model = make_pipeline(StandardScaler(), LossRegressor(loss=loss, alpha=1e-4))
            model.fit(values[:-N_TEST, 1:], target[:-N_TEST])
            errors[name][row, column] = mean_absolute_error(y_test, model.predict(X_test))
print("\nmean absolute error in ppm on the last ten years, by the share of weeks with a spike among the others")
print(f"{'':20}" + "".join(f"{share:>16.0%}" for share in shares))
for name, found in errors.items():
    cells = [f"{mean:.3f} +- {spread:.3f}" for mean, spread in zip(found.mean(1), found.std(1), strict=True)]
    print(f"{name:20}" + "".join(f"{cell:>16}" for cell in cells))
print(f"{'no change':20}{mean_absolute_error(y_test, np.zeros(N_TEST)):>7.3f}")

# %%
# An interval
# -----------

bounds = []
for q in (0.05, 0.95):
    model = make_pipeline(StandardScaler(), LossRegressor(loss=fl.Quantile(q=q), alpha=1e-4))
    bounds.append(model.fit(X[:-N_TEST, 1:], change[:-N_TEST]).predict(X_test))
inside = np.mean((bounds[0] <= y_test) & (y_test <= bounds[1]))
width = np.mean(bounds[1] - bounds[0])
print(f"\nthe interval holds {inside:.0%} of the weeks of the last ten years, and is {width:.2f} ppm wide")

# %%
# What came out
# -------------
# While few weeks have spikes, Huber and absolute error lose little, and squared error is soon worse than predicting no
# change. With a tenth of them it is the other way round, and no loss is any good: robust losses forgive errors in the
# targets, and here each spike is also among the inputs of nine later weeks, where no loss helps. Mend inputs first.
# And the interval holds a little less than the nine of ten it was made for: the last ten years are not quite like
# those before.

figure, (top, bottom) = plt.subplots(2, 1, figsize=(5.6, 6.4), layout="constrained")
for name, found in errors.items():
    top.errorbar(shares, found.mean(axis=1), yerr=found.std(axis=1), fmt="o-", capsize=3, label=name)
top.set(xlabel="share of spikes in the training years", ylabel="mean absolute error, ppm")
top.legend(frameon=False)
shown = np.arange(104)
level = weeks[at[-N_TEST:] - 1]
bottom.fill_between(shown, (level + bounds[0])[:104], (level + bounds[1])[:104], alpha=0.3, label="nine of ten")
bottom.plot(shown, (level + y_test)[:104], ".", color="black", markersize=3, label="measured")
bottom.set(xlabel="week", ylabel="carbon dioxide, ppm", title="two years of the last ten")
bottom.legend(frameon=False)

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
figure.savefig(folder / "sensor_sequence.png", dpi=100)
print(f"\nplot: {folder / 'sensor_sequence.png'}")
