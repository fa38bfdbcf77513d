"""
Segmentation: Dice, cross-entropy, and their sum
================================================

Which pixels of an image belong to a lesion? 60 images of 48 x 48 pixels are drawn: noise, a gradient of light, ribs
that look like lesions to a single pixel, and one or two bright spots, which cover three pixels in a hundred. Each
pixel is judged by a linear model of what it and its surroundings look like.

The model is trained by cross-entropy, by Dice, by their sum, and by a Tversky loss that asks for recall, and looked
at on images it has not seen: overlap (the Dice score of the decisions), precision, recall, and the log loss of its
pixels, which says what the probabilities are worth.
"""

import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_laplace, maximum_filter
from scipy.optimize import minimize

import fastloss as fl

SIZE = 48
rng = np.random.default_rng(0)
rows, columns = np.mgrid[:SIZE, :SIZE]


def drawn():
    """Return an image and its mask."""
    image, mask = 0.5 * rng.normal(size=(SIZE, SIZE)) + rng.normal() * rows / SIZE, np.zeros((SIZE, SIZE), bool)
    for offset in rng.uniform(0, SIZE, 3):  # ribs
        image += 1.2 * np.exp(-(((columns + 0.3 * rows - offset) / 1.5) ** 2))
    for _ in range(rng.integers(1, 3)):
        row, column = rng.uniform(6, SIZE - 6, 2)
        radius = rng.uniform(2, 4.5)
        distance = np.hypot((rows - row) / rng.uniform(0.7, 1.3), columns - column)
        mask |= distance < radius
        image += 1.5 / (1 + np.exp(3 * (distance - radius)))
    return image, mask


def features(image):
    """Return what a pixel and its surroundings look like, at several scales."""
    blurred = [gaussian_filter(image, width) for width in (0, 1, 2, 4, 8)]
    spots = [gaussian_laplace(image, width) for width in (1.5, 2.5, 4)]
    layers = [*blurred, *spots, blurred[2] ** 2, spots[1] ** 2, maximum_filter(blurred[2], 9), np.ones_like(image)]
    return np.stack(layers, axis=-1).reshape(-1, len(layers))


images, masks = zip(*(drawn() for _ in range(60)), strict=True)
X, y = np.array([features(image) for image in images]), np.array(masks, float).reshape(60, -1)
middle, spread = X[:30].mean(axis=(0, 1)), X[:30].std(axis=(0, 1))
middle[-1], spread[-1] = 0, 1
X = (X - middle) / spread
print(f"{y.mean():.1%} of the pixels belong to a spot")

# %%
# Losses of whole images
# ----------------------
# Dice is a loss of a set: here of each image, with ``axis=1``, and the mean over the images is minimised. The sum
# of two losses is the sum of their values and of their gradients.


def dice(z, t):
    return fl.Dice().value_and_gradient(z, t, axis=1)


def tversky(z, t):
    return fl.Tversky(alpha=0.2, beta=0.8).value_and_gradient(z, t, axis=1)


def cross_entropy(z, t):
    return fl.BinaryCrossEntropy().value_and_gradient(z, t)


def dice_and_cross_entropy(z, t):
    (value, gradient), (more, steeper) = dice(z, t), cross_entropy(z, t)
    return value + more, gradient + steeper


def fitted(loss):
    """Return the coefficients that minimise a loss on the first 30 images, and the steps it took."""

    def objective(w):
        value, gradient = loss(X[:30] @ w, y[:30])
        return value + 5e-5 * w @ w, np.einsum("ijk,ij->k", X[:30], gradient) + 1e-4 * w

    found = minimize(objective, np.zeros(X.shape[-1]), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return found.x, found.nit


losses = {
    "cross-entropy": cross_entropy,
    "Dice": dice,
    "Dice + cross-entropy": dice_and_cross_entropy,
    "Tversky, recall": tversky,
}
scores = {}
print(f"\n{'':22}{'overlap':>9}{'precision':>11}{'recall':>8}{'log loss':>10}{'steps':>7}")
for name, loss in losses.items():
    w, steps = fitted(loss)
    scores[name] = z = X[30:] @ w
    found, truth = z > 0, y[30:] > 0
    both = np.sum(found & truth, axis=1)
    overlap = np.mean(2 * both / np.maximum(found.sum(axis=1) + truth.sum(axis=1), 1))
    precision, recall = both.sum() / max(found.sum(), 1), both.sum() / truth.sum()
    pixels = fl.binary_cross_entropy(z, y[30:])
    print(f"{name:22}{overlap:>9.3f}{precision:>11.3f}{recall:>8.3f}{pixels:>10.3f}{steps:>7}")

# %%
# What came out
# -------------
# Cross-entropy has the best probabilities. At a threshold of 1/2, nine of ten pixels that it finds are right, and it
# misses more than half of the spots' pixels.
# Dice decides for the overlap, which is what is asked; its sigmoid is hardly a probability.
# Their sum has nearly the overlap of Dice, and more of cross-entropy's precision and probabilities. Tversky's loss
# finds more pixels, and more that are none: a choice, by two numbers.

figure, axes = plt.subplots(2, 3, figsize=(7.5, 5.2), layout="constrained")
best = int(np.argmax(y[30:].sum(axis=1)))
panels = {"image": images[30 + best], "truth": masks[30 + best]}
panels |= {name: fl.sigmoid(z[best]).reshape(SIZE, SIZE) for name, z in scores.items()}
for panel, (name, picture) in zip(axes.flat, panels.items(), strict=True):
    panel.imshow(picture, cmap="gray", vmin=None if name == "image" else 0, vmax=None if name == "image" else 1)
    panel.set_title(name, fontsize=10)
    panel.set_axis_off()

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
figure.savefig(folder / "segmentation.png", dpi=100)
print(f"\nplot: {folder / 'segmentation.png'}")
