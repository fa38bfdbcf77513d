"""
Digits in Keras: five losses, one network
=========================================

The same small network (64 pixels, 64 hidden units, 10 classes) learns scikit-learn's 1797 images of digits in Keras,
with five losses: cross-entropy, smoothed cross-entropy and focal loss as Keras has them and as fastloss has them, and
two that Keras does not have. A custom gradient brings the kernels of fastloss into TensorFlow's graph, on the
processor.

Three questions: are values and gradients the same, how fast does each loss learn, and do the probabilities mean what
they say? (Where TensorFlow was not installed when this page was built, the code stands here without its results.)
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import fastloss as fl

pixels, digit = load_digits(return_X_y=True)
pixels = (pixels / 16).astype("float32")
X, X_test, y, y_test = train_test_split(pixels, digit, test_size=0.5, stratify=digit, random_state=0)

# %%
# A loss of fastloss in Keras
# ---------------------------
# Keras calls a loss with targets and scores and wants one number a row. `tf.numpy_function` hands over the arrays, and
# the gradient that came with the values goes back when TensorFlow asks for it.


def in_keras(loss):
    """Return a loss of Keras that is one of fastloss; targets are class indices."""

    def call(target, logits):
        @tf.custom_gradient
        def of_rows(z):
            def evaluate(z, t):
                return loss.value_and_gradient(z, t.reshape(len(z)).astype(int), reduction="none")

            value, gradient = tf.numpy_function(evaluate, [z, target], [tf.float32, tf.float32])
            value.set_shape(z.shape[:1])
            gradient.set_shape(z.shape)
            return value, lambda upstream: upstream[:, tf.newaxis] * gradient

        return of_rows(logits)

    return call


def one_hot(loss):
    """Return a loss of Keras for one-hot targets as one for class indices."""
    return lambda target, logits: loss(tf.one_hot(tf.cast(tf.reshape(target, [-1]), tf.int32), 10), logits)


ours = {
    "cross-entropy": fl.CrossEntropy(),
    "smoothed by 0.1": fl.CrossEntropy(label_smoothing=0.1),
    "focal, gamma 2": fl.Focal(gamma=2.0),
    "generalized, q 0.7": fl.GeneralizedCrossEntropy(q=0.7),
    "hinge": fl.MulticlassHinge(),
}
options = {"from_logits": True, "reduction": "none"}
theirs = {
    "cross-entropy": one_hot(keras.losses.CategoricalCrossentropy(**options)),
    "smoothed by 0.1": one_hot(keras.losses.CategoricalCrossentropy(label_smoothing=0.1, **options)),
    "focal, gamma 2": one_hot(keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=2.0, **options)),
}

# %%
# Values and gradients
# --------------------
# On random scores, in float32. Keras cuts the probabilities of its focal loss at 1e-7; here the scores are moderate.

scores = tf.constant(np.random.default_rng(0).normal(size=(1000, 10), scale=2), tf.float32)
labels = tf.constant(np.random.default_rng(1).integers(0, 10, 1000))
print(f"{'largest difference':20}{'value':>10}{'gradient':>10}")
for name, loss in theirs.items():
    found = []
    for function in (loss, in_keras(ours[name])):
        with tf.GradientTape() as tape:
            tape.watch(scores)
            value = function(labels, scores)
        found.append((value.numpy(), tape.gradient(value, scores).numpy()))
    differences = [np.abs(a - b).max() for a, b in zip(*found, strict=True)]
    print(f"{name:20}{differences[0]:>10.1e}{differences[1]:>10.1e}")
    assert max(differences) < 1e-5

# %%
# Training
# --------
# The same first parameters and the same order of the rows for all.


def trained(loss):
    """Return the accuracy on new digits after each epoch, and the scores at the end."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10)])
    network.compile(optimizer=keras.optimizers.Adam(0.003), loss=loss, metrics=["sparse_categorical_accuracy"])
    history = network.fit(X, y, epochs=15, batch_size=64, verbose=0, validation_data=(X_test, y_test))
    return history.history["val_sparse_categorical_accuracy"], network.predict(X_test, verbose=0)


def calibration_error(probability):
    """Return the mean distance of said and true shares, of ten groups of rows from unsure to sure."""
    sure, right = probability.max(axis=1), probability.argmax(axis=1) == y_test
    groups = np.array_split(np.argsort(sure), 10)
    return np.mean([abs(sure[group].mean() - right[group].mean()) for group in groups])


curves = {}
print(f"\n{'':20}{'from':>10}{'accuracy':>10}{'calibration error':>19}{'of the softmax':>16}")
for name, loss in ours.items():
    for origin, function in (("fastloss", in_keras(loss)), ("Keras", theirs.get(name))):
        if function is None:
            continue
        curve, z = trained(function)
        curves[name, origin] = curve
        errors = f"{'-':>19}{'-':>16}"
        if name != "hinge":
            errors = f"{calibration_error(loss.predict_proba(z)):>19.3f}{calibration_error(fl.softmax(z)):>16.3f}"
        print(f"{name:20}{origin:>10}{curve[-1]:>10.3f}{errors}")

# %%
# What came out
# -------------
# Values and gradients agree to the digits of float32, and so the curves of Keras and of fastloss coincide or nearly do:
# training multiplies last digits. Accuracies of one run differ by chance as well, so that no loss is chosen by this
# picture; it shows that they can be exchanged. What differs is what the scores mean: hinge has no probabilities, and
# those of the others are the loss's own `predict_proba` rather than the softmax. After few epochs neither is sure to be
# calibrated: look at new rows.

figure, axes = plt.subplots(figsize=(5.6, 4.4), layout="constrained")
for (name, origin), curve in curves.items():
    color = f"C{list(ours).index(name)}"
    label = name if origin == "fastloss" else None
    axes.plot(
        range(1, len(curve) + 1), curve, "-" if label else ":", color=color, linewidth=1.5 if label else 3, label=label
    )
axes.set(xlabel="epoch", ylabel="accuracy on new digits", ylim=(0.7, 1), title="lines: fastloss, dotted: Keras")
axes.legend(frameon=False)

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
figure.savefig(folder / "digits_keras.png", dpi=100)
print(f"\nplot: {folder / 'digits_keras.png'}")
