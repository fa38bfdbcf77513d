"""
One in a thousand: what a detector is trained with
==================================================

A detector looks at windows of an image, and one in a thousand holds what is sought. The windows are made: each has
twelve measurements, of which an object shifts five, and a hard kind of background (one window in a hundred) looks
half like it. A linear model of the measurements and their products is trained by plain cross-entropy, by focal loss,
and by cross-entropy with the weight that balances the classes, on 60,000 windows, and looked at on 200,000 others.

Does it rank objects before background (average precision)? How many of the objects are found, and at how many false
alarms, if each finds as many windows as there are objects? Are its probabilities good (log loss)?
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import average_precision_score, precision_recall_curve
from sklearn.preprocessing import PolynomialFeatures

import fastloss as fl
from fastloss.sklearn import LossClassifier, log_loss

rng = np.random.default_rng(0)
SHIFT = np.array([2.2, -1.8, 1.5, 1.2, 1.0] + [0.0] * 7)


def windows(n):
    """Return measurements of n windows with their products, and which of them hold an object."""
    holds = rng.random(n) < 1e-3
    hard = ~holds & (rng.random(n) < 1e-2)
    measured = rng.normal(size=(n, len(SHIFT))) + np.outer(holds + 0.5 * hard, SHIFT)
    return PolynomialFeatures(2, include_bias=False).fit_transform(measured), holds.astype(int)


X, y = windows(60_000)
X_new, y_new = windows(200_000)
print(f"{y.sum()} objects in {len(y)} windows, {y_new.sum()} in {len(y_new)} new ones")

# %%
# Three losses
# ------------

losses = {
    "cross-entropy": fl.BinaryCrossEntropy(),
    "focal, gamma 2": fl.BinaryFocal(gamma=2.0),
    "balanced": fl.BinaryCrossEntropy(pos_weight=(1 - y.mean()) / y.mean()),
}
scores = {}
print(f"\n{'':16}{'average precision':>19}{'found':>8}{'log loss':>10}{'of the sigmoid':>16}")
for name, loss in losses.items():
    model = LossClassifier(loss=loss, alpha=1e-5).fit(X, y)
    scores[name] = score = model.decision_function(X_new)
    first = np.argsort(-score)[: y_new.sum()]
    row = [average_precision_score(y_new, score), y_new[first].mean()]
    row += [log_loss(y_new, model.predict_proba(X_new)), log_loss(y_new, fl.sigmoid(score))]
    print(f"{name:16}{row[0]:>19.3f}{row[1]:>8.0%}{row[2]:>10.5f}{row[3]:>16.5f}")
print(
    f"{'the share':16}{y_new.mean():>19.3f}{y_new.mean():>8.1%}{log_loss(y_new, np.full(len(y_new), y.mean())):>10.5f}"
)

# %%
# What came out
# -------------
# All three rank the objects about alike, plain cross-entropy and focal loss a little better than the weighted one,
# which spends itself on background that resembles objects. With the probabilities of the loss, plain cross-entropy is
# best as well; the sigmoid of a focal or a weighted score says far too much. In this table of measurements imbalance
# alone is no reason to leave cross-entropy.
#
# Focal loss was made for something else: deep detectors that are trained on batches, in which the sum over a hundred
# thousand easy windows drowns the few others while features are still being learnt. A linear model has no features to
# learn.

figure, axes = plt.subplots(figsize=(5.6, 4.2), layout="constrained")
for name, score in scores.items():
    precision, recall, _ = precision_recall_curve(y_new, score)
    axes.plot(recall[::50], precision[::50], label=name)
axes.set(xlabel="recall: share of the objects found", ylabel="precision: share of the alarms that are right")
axes.legend(frameon=False)

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
figure.savefig(folder / "detection_imbalance.png", dpi=100)
print(f"\nplot: {folder / 'detection_imbalance.png'}")
