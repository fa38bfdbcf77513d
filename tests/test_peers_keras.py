"""Keras, which takes the target first and probabilities or means where ours takes logits.

Its losses clip probabilities to [1e-7, 1 - 1e-7], or add 1e-7 before they divide or take a logarithm; these inputs are
where that does not show. A function of Keras returns the mean over the last axis, not the elements.
"""

import importlib

import numpy as np
import pytest
from peers import assert_close, assert_same, draw, draw_weight, import_keras, one_hot

import fastloss as fl

DTYPE = np.float32  # Keras's default


keras = import_keras()
losses, ops = keras.losses, keras.ops
if keras.backend.backend() not in ("torch", "jax"):
    pytest.skip("gradients are taken with torch or JAX", allow_module_level=True)


def value_and_gradient(function, z):
    """A function of Keras, one value per row or set, and the gradient of its sum."""
    if keras.backend.backend() == "jax":
        jax = importlib.import_module("jax")
        return function(z), jax.grad(lambda x: function(x).sum())(z)
    torch = importlib.import_module("torch")
    prediction = torch.tensor(z, requires_grad=True)
    value = function(prediction)
    value.sum().backward()
    return value.detach().numpy(), prediction.grad.numpy()


def column(*arrays):
    """Elements as rows of one, whose mean over the last axis is the element."""
    return [array[:, np.newaxis] for array in arrays]


# ------------------------------------------------------------------------------- classes


def test_cross_entropy():
    """`sparse_categorical_crossentropy` is for indices, `categorical_crossentropy` for probabilities; here one is both.

    Both need from_logits=True: without it they clip probabilities at 1e-7, and no loss exceeds 16.1.
    """
    z, t = draw("index", (40, 5), DTYPE)
    theirs = value_and_gradient(lambda x: losses.sparse_categorical_crossentropy(t, x, from_logits=True), z)
    assert_same(fl.CrossEntropy(), z, t, theirs, reduction="none")
    theirs = value_and_gradient(
        lambda x: losses.categorical_crossentropy(one_hot(t, 5, DTYPE), x, from_logits=True, label_smoothing=0.2), z
    )
    assert_same(fl.CrossEntropy(label_smoothing=0.2), z, t, theirs, reduction="none")
    z, t = draw("probability", (40, 5), DTYPE)
    theirs = value_and_gradient(lambda x: losses.categorical_crossentropy(t, x, from_logits=True), z)
    assert_same(fl.CrossEntropy(), z, t, theirs, reduction="none")


def test_ignored_class():
    """`ignore_class` is `ignore_index`; the mean counts the other rows in both, and where none is left Keras has 0."""
    z, t = draw("index", (40, 5), DTYPE)
    theirs = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=3)(t, z)
    assert_close(fl.cross_entropy(z, t, ignore_index=3), theirs, DTYPE)


@pytest.mark.parametrize("gamma", [1.0, 2.0, 2.5])
@pytest.mark.parametrize("alpha", [0.25, [0.2, 0.5, 1.0, 1.5, 2.0]])
def test_focal(gamma, alpha):
    """`categorical_focal_crossentropy`: `alpha` is a factor (0.25 by default), or one per class: our `class_weight`.

    A scalar alpha only scales the loss. Keras divides no mean by it, ours divides "mean" by the class weights of the
    targets; the rows are the same.
    """
    z, t = draw("index", (40, 5), DTYPE)
    target = one_hot(t, 5, DTYPE)
    theirs = value_and_gradient(
        lambda x: losses.categorical_focal_crossentropy(target, x, alpha=alpha, gamma=gamma, from_logits=True), z
    )
    loss = fl.Focal(gamma=gamma, class_weight=np.full(5, alpha) if np.isscalar(alpha) else alpha)
    assert_same(loss, z, t, theirs, reduction="none")


@pytest.mark.parametrize("q", [0.3, 0.5, 0.7])
def test_generalized_cross_entropy(q):
    """`categorical_generalized_cross_entropy` takes probabilities and indices; the class has q=0.5, ours 0.7."""
    z, t = draw("index", (40, 5), DTYPE)
    theirs = value_and_gradient(lambda x: losses.categorical_generalized_cross_entropy(t, ops.softmax(x), q), z)
    assert_same(fl.GeneralizedCrossEntropy(q=q), z, t, theirs, reduction="none")
    assert losses.CategoricalGeneralizedCrossEntropy().q == 0.5
    assert fl.GeneralizedCrossEntropy() == fl.GeneralizedCrossEntropy(q=0.7)


def test_kl_divergence():
    """`kl_divergence` takes probabilities, ours logits; it clips a target of 0 to 1e-7, which costs nothing here."""
    z, t = draw("probability", (40, 5), DTYPE)
    t = 0.9 * t + DTYPE(0.02)
    theirs = value_and_gradient(lambda x: losses.kl_divergence(t, ops.softmax(x)), z)
    assert_same(fl.KLDivergence(), z, t, theirs, reduction="none")


def test_multiclass_hinge():
    """`categorical_hinge` is Crammer and Singer's with margin 1, if the largest other logit is not negative.

    It takes the maximum of (1 - t) z, where the target's own class stands as 0: if all other logits are negative, its
    loss is max(0, 1 - z_y), which shifts with the logits; ours never does.
    """
    z, t = draw("index", (40, 5), DTYPE)
    z = np.abs(z)
    target = one_hot(t, 5, DTYPE)
    theirs = value_and_gradient(lambda x: losses.categorical_hinge(target, x), z)
    assert_same(fl.MulticlassHinge(), z, t, theirs, reduction="none")
    shifted = z - DTYPE(20)
    assert_close(fl.multiclass_hinge(shifted, t), np.mean(theirs[0]), DTYPE)
    wrong, _ = value_and_gradient(lambda x: losses.categorical_hinge(target, x), shifted)
    assert_close(1 - shifted[np.arange(len(t)), t], wrong, DTYPE)


# -------------------------------------------------------------------- binary, multilabel


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_binary_cross_entropy(smoothing):
    """`binary_crossentropy` with from_logits=True; label smoothing is the same, t (1 - e) + e / 2."""
    z, t = column(*draw("soft", (200,), DTYPE))
    theirs = value_and_gradient(
        lambda x: losses.binary_crossentropy(t, x, from_logits=True, label_smoothing=smoothing), z
    )
    loss = fl.BinaryCrossEntropy(label_smoothing=smoothing)
    assert_same(loss, z[:, 0], t[:, 0], (theirs[0], theirs[1][:, 0]), reduction="none")


def test_binary_focal():
    """`binary_focal_crossentropy` has alpha=0.25 and ignores it unless apply_class_balancing=True; here it counts.

    from_logits=True takes the sigmoid first and then clips it: no loss exceeds 16.1, and the gradient beyond is 0.
    """
    z, t = column(*draw("hard", (200,), DTYPE))
    for balanced, loss in ((False, fl.BinaryFocal()), (True, fl.BinaryFocal(alpha=0.25))):
        theirs = value_and_gradient(
            lambda x, on=balanced: losses.binary_focal_crossentropy(
                t, x, apply_class_balancing=on, alpha=0.25, from_logits=True
            ),
            z,
        )
        assert_same(loss, z[:, 0], t[:, 0], (theirs[0], theirs[1][:, 0]), reduction="none")
    far = np.array([[-200.0]], DTYPE), np.array([[1.0]], DTYPE)
    assert losses.binary_focal_crossentropy(far[1], far[0], from_logits=True)[0] == pytest.approx(16.118, abs=1e-3)
    assert fl.binary_focal(*far) == 200.0


def test_binary_focal_of_soft_targets():
    """Keras puts a soft or smoothed target into p_t, as torchvision does; here it mixes the two hard losses."""
    z, t = np.array([[0.3]], DTYPE), np.array([[0.9]], DTYPE)
    theirs = losses.binary_focal_crossentropy(t, z, apply_class_balancing=True, from_logits=True)
    assert theirs[0] == pytest.approx(0.0340, abs=5e-5)
    assert fl.binary_focal(z, t, alpha=0.25) == pytest.approx(0.0437, abs=5e-5)


@pytest.mark.parametrize(("name", "loss"), [("hinge", fl.Hinge()), ("squared_hinge", fl.SquaredHinge())], ids=str)
def test_hinges(name, loss):
    """`hinge` and `squared_hinge` take targets -1 and 1; a batch of zeros and ones alone is taken for -1 and 1.

    Ours takes 0 and 1. The square has no half, as here.
    """
    z, t = column(*draw("hard", (200,), DTYPE))
    for target in (t, 2 * t - 1):
        theirs = value_and_gradient(lambda x, y=target: getattr(losses, name)(y, x), z)
        assert_same(loss, z[:, 0], t[:, 0], (theirs[0], theirs[1][:, 0]), reduction="none")


# ---------------------------------------------------------------------------- regression


@pytest.mark.parametrize(
    ("name", "options", "loss"),
    [
        ("mean_squared_error", {}, fl.SquaredError()),
        ("mean_absolute_error", {}, fl.AbsoluteError()),
        ("huber", {"delta": 0.7}, fl.Huber(delta=0.7)),
        ("log_cosh", {}, fl.LogCosh()),
    ],
    ids=["mean_squared_error", "mean_absolute_error", "huber", "log_cosh"],
)
def test_regression(name, options, loss):
    """`mean_squared_error` is the square without a half, `huber` has the same delta, `log_cosh` is the same function.

    Their values are means over the last axis: for (n, d) arrays ours with "none" and a mean over it.
    """
    z, t = draw("real", (20, 10), DTYPE)
    theirs = value_and_gradient(lambda x: getattr(losses, name)(t, x, **options), z)
    value, gradient = loss.value_and_gradient(z, t, reduction="none")
    assert_close(value.mean(axis=1), theirs[0], DTYPE)
    assert_close(gradient / 10, theirs[1], DTYPE)


def test_log_cosh_of_small_residuals():
    """`log_cosh` loses the digits of small residuals: at 1e-4 it is 0 in float32, and the loss is 5e-9."""
    z, t = np.array([[1e-4]], DTYPE), np.zeros((1, 1), DTYPE)
    assert losses.log_cosh(t, z)[0] != pytest.approx(5e-9, rel=0.5)
    assert fl.log_cosh(z, t) == pytest.approx(5e-9, rel=1e-5)


def test_weighted_mean():
    """Keras has two weighted means, and the default, "sum_over_batch_size", divides by the number of rows.

    Ours divides by the sum of weights: "mean_with_sample_weight" in Keras. "mean" there is yet another name of the
    default.
    """
    z, t = column(*draw("real", (200,), DTYPE))
    w = draw_weight(200, DTYPE)
    ours = fl.squared_error(z, t, sample_weight=w[:, np.newaxis])
    theirs = {
        reduction: losses.MeanSquaredError(reduction=reduction)(t, z, sample_weight=w)
        for reduction in ("sum_over_batch_size", "mean", "mean_with_sample_weight")
    }
    assert_close(ours, theirs["mean_with_sample_weight"], DTYPE)
    assert_close(ours * w.sum(dtype=float) / w.size, theirs["sum_over_batch_size"], DTYPE)
    assert theirs["mean"] == theirs["sum_over_batch_size"]


def test_poisson():
    """`poisson` takes the mean, ours its logarithm: y_pred - y log(y_pred + 1e-7) of y_pred = e^z, no constant."""
    z, t = column(*draw("count", (200,), DTYPE))
    z = np.abs(z)
    theirs = value_and_gradient(lambda x: losses.poisson(t, ops.exp(x)), z)
    assert_same(fl.Poisson(), z[:, 0], t[:, 0], (theirs[0], theirs[1][:, 0]), reduction="none")


# ------------------------------------------------------------------------------------ sets


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_dice(axis):
    """`dice` takes probabilities, ours logits; it has no `smooth` but 1e-7 in the denominator: smooth=0 here, not 1.

    `axis` are the axes over which a set extends, as here; None is all of them.
    """
    z, t = draw("hard", (20, 10), DTYPE)
    theirs = value_and_gradient(lambda x: losses.dice(t, ops.sigmoid(x), axis=axis), z)
    reduction = "mean" if axis is None else "none"
    assert_same(fl.Dice(smooth=0.0), z, t, theirs, axis=axis, reduction=reduction)
    assert_same(fl.SoftF1(smooth=0.0), z, t, theirs, axis=axis, reduction=reduction)


def test_tversky():
    """`tversky` takes probabilities and has no `smooth`; up to 3.15 its alpha and beta are swapped.

    Here, in the paper and in Keras's own text, alpha is the weight of false positives; its code gives alpha to false
    negatives. Later versions of Keras mend that, so one of the two orders has to fit. alpha = beta = 1 is Jaccard.
    """
    z, t = draw("hard", (20, 10), DTYPE)
    swapped, documented = (
        value_and_gradient(lambda x, a=alpha, b=beta: losses.tversky(t, ops.sigmoid(x), alpha=a, beta=b), z)
        for alpha, beta in ((0.7, 0.3), (0.3, 0.7))
    )
    loss = fl.Tversky(alpha=0.3, beta=0.7, smooth=0.0)
    release = tuple(int(number) for number in keras.__version__.split(".")[:2])
    if release <= (3, 15):
        assert_same(loss, z, t, swapped)
    else:
        fits = np.isclose([float(swapped[0]), float(documented[0])], loss(z, t), rtol=1e-4)
        assert fits.any()
    jaccard = value_and_gradient(lambda x: losses.tversky(t, ops.sigmoid(x), alpha=1.0, beta=1.0), z)
    assert_same(fl.Jaccard(smooth=0.0), z, t, jaccard)
