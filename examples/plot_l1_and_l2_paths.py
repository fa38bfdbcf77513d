"""
Paths of coefficients: L1 against L2
====================================

569 tumours with 30 measurements each (scikit-learn's ``load_breast_cancer``), malignant or benign. Many of the
measurements say the same, as radius, perimeter and area do. A linear model is fitted by cross-entropy with each
penalty, from one that leaves nothing to none. L2 makes all coefficients small and none of them zero, and shares weight
among those that say the same; L1 leaves out measurements one after the other.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from fastloss.sklearn import LossClassifier, log_loss

data = load_breast_cancer()
features, target = StandardScaler().fit_transform(data.data), data.target
train, test = train_test_split(np.arange(len(target)), test_size=0.4, random_state=0, stratify=target)

# %%
# Two paths
# ---------
# With L1, from the smallest `alpha` at which all coefficients are 0: there no measurement's gradient exceeds it. Each
# fit starts where the one before ended (``warm_start``).

share = target[train].mean()
largest = np.abs(features[train].T @ (target[train] - share)).max() / len(train)
alphas = {"l1": np.geomspace(largest, largest / 1000, 60), "l2": np.geomspace(100, 1e-3, 60)}
paths, chosen, losses = {}, {}, {}
for penalty, values in alphas.items():
    model = LossClassifier(loss="binary_cross_entropy", penalty=penalty, warm_start=True)
    coefficients, of_test = [], []
    for alpha in values:
        model.set_params(alpha=alpha).fit(features[train], target[train])
        coefficients.append(model.coef_[0].copy())
        of_test.append(log_loss(target[test], model.predict_proba(features[test])))
    paths[penalty], losses[penalty] = np.array(coefficients), np.array(of_test)
    chosen[penalty] = int(np.argmin(of_test))

print(f"{'':4}{'alpha':>10}{'not 0':>8}{'log loss of other rows':>25}")
for penalty, values in alphas.items():
    for at in sorted({0, 15, 30, 45, 59, chosen[penalty]}):
        count = np.count_nonzero(paths[penalty][at])
        best = "  least" if at == chosen[penalty] else ""
        print(f"{penalty:4}{values[at]:>10.2g}{count:>8}{losses[penalty][at]:>25.3f}{best}")
print("The least one is picked on the very rows it is reported for: a little too good, for both penalties alike.")

# %%
# The plot
# --------

kept = np.argsort(-np.abs(paths["l1"][chosen["l1"]]))[:5]
figure, axes = plt.subplots(2, 2, figsize=(11, 7), layout="constrained", sharex="col", height_ratios=[3, 1])
for column, penalty in enumerate(alphas):
    top, bottom = axes[:, column]
    top.plot(alphas[penalty], paths[penalty], color="lightgrey", linewidth=0.8)
    for position, feature in enumerate(kept):
        top.plot(alphas[penalty], paths[penalty][:, feature], color=f"C{position}", label=data.feature_names[feature])
    bottom.plot(alphas[penalty], losses[penalty], color="black")
    for panel in (top, bottom):
        panel.axvline(alphas[penalty][chosen[penalty]], color="grey", linestyle=":")
    n_kept = np.count_nonzero(paths[penalty][chosen[penalty]])
    top.set(
        xscale="log", title=f"{penalty.upper()}: {n_kept} of {len(data.feature_names)} coefficients at the dotted line"
    )
    bottom.set(xlabel="alpha", ylim=(0, 0.7), ylabel="log loss of other rows")
    bottom.invert_xaxis()
axes[0, 0].set_ylabel("coefficient")
axes[0, 0].legend(fontsize="small")

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
figure.savefig(folder / "l1_and_l2_paths.png", dpi=100)
print(f"\nplot: {folder / 'l1_and_l2_paths.png'}")
