"""Optax (and the softmax functions of JAX) next to ours; Optax never reduces, its users take the mean."""

import numpy as np
import pytest
from peers import assert_close, assert_same, draw, one_hot

import fastloss as fl

losses = pytest.importorskip("optax").losses
jax = pytest.importorskip("jax")
jnp = jax.numpy

DTYPE = np.float32  # JAX's default


def value_and_gradient(function, z):
    """A function of JAX, one value per element or row, and the gradient of its sum."""
    return function(z), jax.grad(lambda x: function(x).sum())(z)


def signs(t):
    """Targets 0 and 1 as the margin losses of Optax want them: -1 and 1."""
    return 2 * t - 1


# ------------------------------------------------------------------------------- classes


def test_row_functions():
    """`jax.nn` has the same names, and the last axis by default, but for `logsumexp`: all axes."""
    z, _ = draw("real", (30, 7), DTYPE)
    for axis in (0, 1):
        assert_close(fl.log_softmax(z, axis=axis), jax.nn.log_softmax(z, axis=axis), DTYPE)
        assert_close(fl.softmax(z, axis=axis), jax.nn.softmax(z, axis=axis), DTYPE)
        assert_close(fl.logsumexp(z, axis=axis), jax.nn.logsumexp(z, axis=axis), DTYPE)
    assert_close(fl.sigmoid(z), jax.nn.sigmoid(z), DTYPE)
    assert_close(fl.log_sigmoid(z), jax.nn.log_sigmoid(z), DTYPE)


def test_cross_entropy():
    """One function here, two in Optax: `softmax_cross_entropy_with_integer_labels` and `softmax_cross_entropy`.

    Optax has no class weights and no ignored index. A logit of -inf with a target of 0 is nan in
    `softmax_cross_entropy` and 0 in `safe_softmax_cross_entropy` and here.
    """
    z, t = draw("index", (40, 5), DTYPE)
    theirs = value_and_gradient(lambda x: losses.softmax_cross_entropy_with_integer_labels(x, t), z)
    assert_same(fl.CrossEntropy(), z, t, theirs, reduction="none")
    z, t = draw("probability", (40, 5), DTYPE)
    theirs = value_and_gradient(lambda x: losses.softmax_cross_entropy(x, t), z)
    assert_same(fl.CrossEntropy(), z, t, theirs, reduction="none")
    masked, t = np.array([[0, 1, -np.inf]], DTYPE), np.array([[0.5, 0.5, 0]], DTYPE)
    assert np.isnan(losses.softmax_cross_entropy(masked, t)[0])
    assert_close(fl.cross_entropy(masked, t), losses.safe_softmax_cross_entropy(masked, t)[0], DTYPE)


def test_label_smoothing():
    """`smooth_labels` makes targets; here `label_smoothing` is an option, and the index target may stay one."""
    z, t = draw("index", (40, 5), DTYPE)
    theirs = losses.softmax_cross_entropy(z, losses.smooth_labels(jnp.asarray(one_hot(t, 5, DTYPE)), 0.2))
    assert_close(fl.cross_entropy(z, t, label_smoothing=0.2, reduction="none"), theirs, DTYPE)


@pytest.mark.parametrize("kind", ["index", "probability"])
@pytest.mark.parametrize("epsilon", [2.0, 1.0, -0.5])
def test_poly1(kind, epsilon):
    """`poly_loss_cross_entropy` has epsilon=2 by default, ours 1, and takes probabilities only, ours indices too."""
    z, t = draw(kind, (40, 5), DTYPE)
    target = t if kind == "probability" else one_hot(t, 5, DTYPE)
    theirs = value_and_gradient(lambda x: losses.poly_loss_cross_entropy(x, target, epsilon=epsilon), z)
    assert_same(fl.Poly1(epsilon=epsilon), z, t, theirs, reduction="none")


def test_kl_divergence():
    """`kl_divergence` takes log-probabilities, ours logits.

    `generalized_kl_divergence` adds sum(p - t), which is 0 where targets sum to 1.
    """
    z, t = draw("probability", (40, 5), DTYPE)
    t[::2, 0] = 0
    t /= t.sum(axis=1, keepdims=True)
    for function in (losses.kl_divergence, losses.generalized_kl_divergence):
        theirs = value_and_gradient(lambda x, function=function: function(jax.nn.log_softmax(x), t), z)
        assert_same(fl.KLDivergence(), z, t, theirs, reduction="none")


def test_multiclass_hinge():
    """`multiclass_hinge_loss` is Crammer and Singer's, as here, with the margin fixed at 1."""
    z, t = draw("index", (40, 5), DTYPE)
    theirs = value_and_gradient(lambda x: losses.multiclass_hinge_loss(x, t), z)
    assert_same(fl.MulticlassHinge(), z, t, theirs, reduction="none")


# -------------------------------------------------------------------- binary, multilabel


def test_binary_cross_entropy():
    """`sigmoid_binary_cross_entropy`, soft targets included; `pos_weight` and `label_smoothing` are ours alone."""
    z, t = draw("soft", (40, 5), DTYPE)
    theirs = value_and_gradient(lambda x: losses.sigmoid_binary_cross_entropy(x, t), z)
    assert_same(fl.BinaryCrossEntropy(), z, t, theirs, reduction="none")


@pytest.mark.parametrize("gamma", [1.0, 2.0, 2.5])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_binary_focal(gamma, alpha):
    """`sigmoid_focal_loss` for hard targets: the same defaults, gamma=2 and alpha=None."""
    z, t = draw("hard", (200,), DTYPE)
    theirs = value_and_gradient(lambda x: losses.sigmoid_focal_loss(x, t, alpha=alpha, gamma=gamma), z)
    assert_same(fl.BinaryFocal(gamma=gamma, alpha=alpha), z, t, theirs, reduction="none")


def test_binary_focal_of_soft_targets():
    """Optax puts a soft target into p_t, as torchvision does; here it mixes the two hard losses (0.0340, 0.0437)."""
    z, t = np.array([0.3], DTYPE), np.array([0.9], DTYPE)
    assert losses.sigmoid_focal_loss(z, t, alpha=0.25)[0] == pytest.approx(0.0340, abs=5e-5)
    assert fl.binary_focal(z, t, alpha=0.25) == pytest.approx(0.0437, abs=5e-5)


def test_hinge():
    """`hinge_loss` wants targets -1 and 1; ours 0 and 1, and those between mix the two."""
    z, t = draw("hard", (200,), DTYPE)
    theirs = value_and_gradient(lambda x: losses.hinge_loss(x, signs(t)), z)
    assert_same(fl.Hinge(), z, t, theirs, reduction="none")


# ---------------------------------------------------------------------------- regression


def test_squared_error():
    """`squared_error` is the square, `l2_loss` half of it; `fl.l2` is neither, but the sum of squares."""
    z, t = draw("real", (200,), DTYPE)
    theirs = value_and_gradient(lambda x: losses.squared_error(x, t), z)
    assert_same(fl.SquaredError(), z, t, theirs, reduction="none")
    half = value_and_gradient(lambda x: losses.l2_loss(x, t), z)
    assert_same(fl.SquaredError(), z, t, half, 2, reduction="none")
    assert_close(fl.l2(z, t), 2 * losses.l2_loss(z, t).sum(), DTYPE)


@pytest.mark.parametrize("delta", [0.5, 1.0, 2.0])
def test_huber(delta):
    """`huber_loss`, with the same delta."""
    z, t = draw("real", (200,), DTYPE)
    theirs = value_and_gradient(lambda x: losses.huber_loss(x, t, delta=delta), z)
    assert_same(fl.Huber(delta=delta), z, t, theirs, reduction="none")


def test_log_cosh():
    """`log_cosh` loses the digits of small residuals: at 1e-4 it is 0 in float32, and the loss is 5e-9."""
    z, t = draw("real", (200,), DTYPE)
    theirs = value_and_gradient(lambda x: losses.log_cosh(x, t), z)
    assert_same(fl.LogCosh(), z, t, theirs, reduction="none")
    small = np.array([1e-4], DTYPE)
    assert losses.log_cosh(small)[0] != pytest.approx(5e-9, rel=0.5)
    assert fl.log_cosh(small, 0) == pytest.approx(5e-9, rel=1e-5)


# ------------------------------------------------------------------------------------ sets


@pytest.mark.parametrize("alpha", [0.5, 0.3, 1.0])
@pytest.mark.parametrize("smooth", [1.0, 0.1])
@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_tversky(alpha, smooth, kind):
    """`dice_loss` has Tversky's alpha (of false positives) and beta, and `smooth` where it is here: in both terms.

    For logits of one channel, and sums over the batch: `axis=0`. Its sums go over all axes between the first and the
    last by default, one set per image; with more channels it takes a softmax over them, where ours takes sigmoids.
    """
    z, t = draw(kind, (60,), DTYPE)
    beta = 1.3 - alpha
    theirs = value_and_gradient(
        lambda x: losses.dice_loss(x[:, None], t[:, None], smooth=smooth, alpha=alpha, beta=beta, axis=0), z
    )
    assert_same(fl.Tversky(alpha=alpha, beta=beta, smooth=smooth), z, t, theirs)
    if alpha == 1.0:
        jaccard = value_and_gradient(
            lambda x: losses.dice_loss(x[:, None], t[:, None], smooth=smooth, alpha=1, beta=1, axis=0), z
        )
        assert_same(fl.Jaccard(smooth=smooth), z, t, jaccard)


@pytest.mark.parametrize("smooth", [1.0, 0.1])
def test_dice(smooth):
    """`binary_dice_loss` of (n, d) logits is the mean over n sets, one per row: `axis=1` here.

    Its `smooth` is added to the intersection, not to its double: 1 - (2 TP + 2 s) / (2 TP + FP + FN + 2 s), as here.
    Many write 2 TP + s; theirs is `smooth` = s / 2.
    """
    z, t = draw("hard", (10, 30), DTYPE)
    theirs = value_and_gradient(lambda x: losses.binary_dice_loss(x, t, smooth=smooth), z)
    assert np.shape(theirs[0]) == (10,)
    assert_same(fl.Dice(smooth=smooth), z, t, theirs, axis=1, reduction="none")
    p = 1 / (1 + np.exp(-z.astype(float)))
    usual = 1 - (2 * (p * t).sum() + smooth) / (p.sum() + t.sum() + smooth)
    assert_close(fl.dice(z, t, smooth=smooth / 2), usual, DTYPE)
