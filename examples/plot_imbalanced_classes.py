"""
A rare class: focal, weighted and plain cross-entropy
=====================================================

Is a focal or a weighted loss better where one class is rare? Here the rare class is the digit 8 among all ten digits of
scikit-learn's ``load_digits``: 174 images of 1797, one in ten. This imbalance is made, by asking a question of real
data that are not imbalanced themselves. A linear model is fitted to half of the images by each of three losses and
looked at on the other half, 20 times over.

Three things are asked of it: does it rank eights before other digits (average precision), are its probabilities good
(log loss), and do they mean what they say (calibration curve)?
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedShuffleSplit

import fastloss as fl
from fastloss.sklearn import LossClassifier, log_loss

pixels, digit = load_digits(return_X_y=True)
pixels, is_eight = pixels / 16, (digit == 8).astype(int)
weight = (1 - is_eight.mean()) / is_eight.mean()
print(f"{is_eight.sum()} of {len(digit)} images are eights; the weight that balances them is {weight:.1f}")

# %%
# The losses
# ----------
# All three end in probabilities by `predict_proba`, which knows that a weighted or focal loss has its minimum elsewhere
# than at the log odds, and undoes it. Taking the sigmoid of the scores instead is the usual mistake; it is looked at,
# too.

losses = {
    "cross-entropy": fl.BinaryCrossEntropy(),
    f"weighted, {weight:.0f} : 1": fl.BinaryCrossEntropy(pos_weight=weight),
    "focal, gamma 2": fl.BinaryFocal(gamma=2.0),
}

# %%
# Twenty splits
# -------------

splits = StratifiedShuffleSplit(n_splits=20, test_size=0.5, random_state=0)
names = list(losses)
precision = {name: [] for name in names}
log_losses = {name: [] for name in names}
log_losses_of_sigmoid = {name: [] for name in names}
pooled = {name: ([], [], []) for name in names}
for train, test in splits.split(pixels, is_eight):
    for name, loss in losses.items():
        model = LossClassifier(loss=loss, alpha=1e-3).fit(pixels[train], is_eight[train])
        score = model.decision_function(pixels[test])
        probability = model.predict_proba(pixels[test])[:, 1]
        precision[name].append(average_precision_score(is_eight[test], score))
        log_losses[name].append(log_loss(is_eight[test], probability))
        log_losses_of_sigmoid[name].append(log_loss(is_eight[test], fl.sigmoid(score)))
        for collected, values in zip(pooled[name], (is_eight[test], probability, fl.sigmoid(score)), strict=True):
            collected.append(values)


def shown(values):
    return f"{np.mean(values):.3f} +- {np.std(values):.3f}"


print(f"\n{'':18}{'average precision':>20}{'log loss':>18}{'log loss of sigmoid':>22}")
for name in names:
    columns = shown(precision[name]), shown(log_losses[name]), shown(log_losses_of_sigmoid[name])
    print(f"{name:18}{columns[0]:>20}{columns[1]:>18}{columns[2]:>22}")
differences = {
    name: np.subtract(precision[name], precision["cross-entropy"]) for name in names if name != "cross-entropy"
}
for name, difference in differences.items():
    print(f"average precision, {name} minus cross-entropy: {shown(difference)} over the same splits")

# %%
# What they are worth
# -------------------
# Neither weights nor focus rank eights better than plain cross-entropy does: the differences are smaller than their
# spread. Both move the scores, so that the sigmoid of a score is no probability any more, and a threshold of 1/2 finds
# more or fewer eights; `predict_proba` takes that back.
#
# Points are splits. On the right, the share of eights among images of about the same probability: the diagonal is
# right. Dotted is the sigmoid of the scores where it is not the loss's own probability.

figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
for axes, values, title in ((left, precision, "average precision"), (middle, log_losses, "log loss")):
    for position, name in enumerate(names):
        jitter = np.linspace(-0.15, 0.15, len(values[name]))
        axes.plot(position + jitter, values[name], ".", color=f"C{position}")
        axes.hlines(np.mean(values[name]), position - 0.3, position + 0.3, color=f"C{position}")
    axes.set_xticks(range(len(names)), names, rotation=15)
    axes.set_title(f"{title} ({'higher' if axes is left else 'lower'} is better)")
for position, name in enumerate(names):
    truth, probability, sigmoid = map(np.concatenate, pooled[name])
    for values, style in ((probability, "o-"), (sigmoid, ":")):
        if style == "o-" or not np.allclose(values, probability):
            share, stated = calibration_curve(truth, values, n_bins=10)
            right.plot(stated, share, style, color=f"C{position}", markersize=4, label=name if style == "o-" else None)
right.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
right.set(xlabel="probability of an eight", ylabel="share of eights", title="calibration, all splits together")
right.legend()

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
figure.savefig(folder / "imbalanced_classes.png", dpi=100)
print(f"\nplot: {folder / 'imbalanced_classes.png'}")
