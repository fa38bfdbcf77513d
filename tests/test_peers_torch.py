"""PyTorch: names, defaults and constants of torch.nn.functional next to ours."""

import inspect

import cases
import numpy as np
import pytest
from peers import REDUCTIONS, assert_close, assert_same, draw, draw_weight, one_hot

import fastloss as fl

torch = pytest.importorskip("torch")
F = torch.nn.functional

reductions = pytest.mark.parametrize("reduction", REDUCTIONS)


def value_and_gradient(function, z):
    """A function of torch and its gradient as arrays; a value per element is summed before it is differentiated."""
    prediction = torch.tensor(z, requires_grad=True)
    value = function(prediction)
    value.sum().backward()
    return value.detach().numpy(), prediction.grad.numpy()


def signs(t):
    """Targets 0 and 1 as torch's margin losses want them: -1 and 1."""
    return torch.tensor(2 * t - 1)


# ------------------------------------------------------------------------------- classes


@pytest.mark.parametrize("kind", ["index", "probability"])
@reductions
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy(dtype, kind, reduction, smoothing, weighted):
    """`cross_entropy`: the same name, options and mean, but `weight` is `class_weight` here.

    The mean over class indices is divided by the class weights of the targets, the mean over probabilities by the
    number of rows, in both libraries: a one-hot target and its index have different means as soon as classes have
    weights. `ignore_index` is None here, -100 in torch; if all rows are ignored, both give nan (here with a warning).
    """
    z, t = draw(kind, (40, 5), dtype)
    weight = draw_weight(5) if weighted else None
    options = {}
    if kind == "index":
        t[::5] = 3
        options["ignore_index"] = 3
    theirs = value_and_gradient(
        lambda logits: F.cross_entropy(
            logits,
            torch.tensor(t),
            weight=None if weight is None else torch.tensor(weight.astype(dtype)),
            label_smoothing=smoothing,
            reduction=reduction,
            **options,
        ),
        z,
    )
    loss = fl.CrossEntropy(class_weight=weight, label_smoothing=smoothing, **options)
    assert_same(loss, z, t, theirs, reduction=reduction)


@pytest.mark.parametrize("kind", ["index", "probability"])
def test_cross_entropy_of_images(dtype, kind):
    """torch wants the classes on axis 1; here they are on the last one, unless `axis` says otherwise."""
    z, t = draw(kind, (6, 4, 7, 5), dtype)
    if kind == "probability":
        t = np.moveaxis(t, -1, 1).copy()
    theirs = F.cross_entropy(torch.tensor(np.moveaxis(z, -1, 1).copy()), torch.tensor(t))
    assert_close(fl.cross_entropy(np.moveaxis(z, -1, 1), t, axis=1), theirs, dtype)


@pytest.mark.filterwarnings("ignore:reduction:UserWarning")  # torch itself says that "mean" is not the mean
@pytest.mark.parametrize("kind", ["index", "probability"])
def test_kl_divergence(dtype, kind):
    """`kl_div` takes log-probabilities and has two means; ours takes logits and has one.

    reduction="mean" divides by the number of elements (rows times classes), "batchmean" by the number of rows: that is
    our "mean". A class index means a one-hot target here; torch takes probabilities only (or their logarithms, with
    log_target=True).
    """
    z, t = draw(kind, (40, 5), dtype)
    target = torch.tensor(t if kind == "probability" else one_hot(t, 5, dtype))
    for reduction, theirs, factor in (("mean", "batchmean", 1), ("mean", "mean", 5), ("sum", "sum", 1)):
        pair = value_and_gradient(lambda x, name=theirs: F.kl_div(F.log_softmax(x, -1), target, reduction=name), z)
        assert_same(fl.KLDivergence(), z, t, pair, factor, reduction=reduction)
    each = F.kl_div(F.log_softmax(torch.tensor(z), -1), target, reduction="none")
    assert_close(fl.kl_divergence(z, t, reduction="none"), each.sum(-1), dtype)


@pytest.mark.parametrize("margin", [1.0, 0.5])
@reductions
def test_multiclass_hinge_of_two_classes(dtype, margin, reduction):
    """`multi_margin_loss` (Weston and Watkins) sums over all other classes and divides by their number plus one.

    Ours (Crammer and Singer) takes the largest of them and divides by nothing. With two classes there is only one
    other, and ours is twice torch's.
    """
    z, t = draw("index", (40, 2), dtype)
    theirs = value_and_gradient(
        lambda x: F.multi_margin_loss(x, torch.tensor(t), margin=margin, reduction=reduction), z
    )
    assert_same(fl.MulticlassHinge(margin=margin), z, t, theirs, 2, reduction=reduction)


def test_multiclass_hinge_is_not_multi_margin(dtype):
    """With K > 2 classes they are different losses: K times torch's is between ours and K - 1 times ours."""
    z, t = draw("index", (200, 5), dtype)
    ours = fl.multiclass_hinge(z, t, reduction="none")
    theirs = 5 * F.multi_margin_loss(torch.tensor(z), torch.tensor(t), reduction="none").numpy()
    assert np.all(theirs >= ours * (1 - 1e-5))
    assert np.all(theirs <= 4 * ours * (1 + 1e-5))
    assert np.any(theirs > 2 * ours)
    assert np.any((theirs < 1.5 * ours) & (ours > 0))


# -------------------------------------------------------------------- binary, multilabel


@reductions
@pytest.mark.parametrize("pos_weight", [None, 3.0, "array"])
def test_binary_cross_entropy(dtype, reduction, pos_weight):
    """`binary_cross_entropy_with_logits`: the same options; `weight` is `sample_weight`.

    With a weight torch's mean is still divided by the number of elements. `label_smoothing` is ours alone.
    """
    z, t = draw("soft", (40, 5), dtype)
    q = draw_weight(5, dtype) if pos_weight == "array" else pos_weight
    w = draw_weight((40, 5), dtype)
    options = {"pos_weight": None if q is None else torch.as_tensor(np.asarray(q, dtype)), "reduction": reduction}
    loss, target = fl.BinaryCrossEntropy(pos_weight=q), torch.tensor(t)
    theirs = value_and_gradient(lambda x: F.binary_cross_entropy_with_logits(x, target, **options), z)
    assert_same(loss, z, t, theirs, reduction=reduction)
    weighted = value_and_gradient(
        lambda x: F.binary_cross_entropy_with_logits(x, target, weight=torch.tensor(w), **options), z
    )
    factor = w.size / w.sum(dtype=float) if reduction == "mean" else 1
    assert_same(loss, z, t, weighted, factor, sample_weight=w, reduction=reduction)


@reductions
def test_binary_cross_entropy_of_signs(dtype, reduction):
    """`soft_margin_loss` is binary cross-entropy for targets -1 and 1; here targets are 0 and 1, or between."""
    z, t = draw("hard", (40, 5), dtype)
    theirs = value_and_gradient(lambda x: F.soft_margin_loss(x, signs(t), reduction=reduction), z)
    assert_same(fl.BinaryCrossEntropy(), z, t, theirs, reduction=reduction)


def test_binary_cross_entropy_of_labels(dtype):
    """`multilabel_soft_margin_loss` is binary cross-entropy averaged over the labels of each row first."""
    z, t = draw("hard", (40, 5), dtype)
    each = F.multilabel_soft_margin_loss(torch.tensor(z), torch.tensor(t), reduction="none")
    assert_close(fl.binary_cross_entropy(z, t, reduction="none").mean(axis=1), each, dtype)


def focal_of_torchvision(z, t, gamma, alpha):
    """`torchvision.ops.sigmoid_focal_loss`, line by line; alpha < 0 is none."""
    p = torch.sigmoid(z)
    ce = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    p_t = p * t + (1 - p) * (1 - t)
    value = ce * (1 - p_t) ** gamma
    return value if alpha < 0 else (alpha * t + (1 - alpha) * (1 - t)) * value


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 2.5])
@pytest.mark.parametrize("alpha", [-1, 0.25])
def test_binary_focal(dtype, gamma, alpha):
    """torchvision's `sigmoid_focal_loss` has alpha=0.25 by default, and -1 means none; here it is None by default.

    In both, alpha is the weight of positives and 1 - alpha that of negatives. With 0 < gamma < 1 torchvision's
    gradient is nan where the sigmoid saturates (from logits of 17 in float32).
    """
    z, t = draw("hard", (300,), dtype)
    theirs = value_and_gradient(lambda x: focal_of_torchvision(x, torch.tensor(t), gamma, alpha), z)
    assert_same(fl.BinaryFocal(gamma=gamma, alpha=None if alpha < 0 else alpha), z, t, theirs, reduction="none")


def test_binary_focal_of_soft_targets(dtype):
    """torchvision puts a soft target into p_t; here a soft target mixes the two hard losses, as in kornia.

    The two agree on hard targets alone: at t = 0.9 and z = 0.3 torchvision has 0.0340, and ours is 0.0437.
    """
    z, t = np.asarray([0.3], dtype), np.asarray([0.9], dtype)
    theirs = focal_of_torchvision(torch.tensor(z), torch.tensor(t), 2.0, 0.25).item()
    assert theirs == pytest.approx(0.0340, abs=5e-5)
    loss = fl.BinaryFocal(gamma=2.0, alpha=0.25)
    assert loss(z, t) == pytest.approx(0.0437, abs=5e-5)
    assert loss(z, t) == pytest.approx(0.9 * loss(z, [1.0]) + 0.1 * loss(z, [0.0]), rel=1e-5)


@reductions
def test_hinge(dtype, reduction):
    """torch has the hinge loss in two disguises, both for targets -1 and 1; here targets are 0 and 1.

    `margin_ranking_loss` of the score and zero, with margin 1 (its default is 0), and `hinge_embedding_loss` of the
    margin y z and the target -1 (for the target 1 it is the score itself and no hinge).
    """
    z, t = draw("hard", (40, 5), dtype)
    y = signs(t)
    for function in (
        lambda x: F.margin_ranking_loss(x, torch.zeros_like(x), y, margin=1.0, reduction=reduction),
        lambda x: F.hinge_embedding_loss(x * y, -torch.ones_like(x), margin=1.0, reduction=reduction),
    ):
        assert_same(fl.Hinge(), z, t, value_and_gradient(function, z), reduction=reduction)


@reductions
def test_brier(dtype, reduction):
    """The Brier score is the squared error of the probability: `mse_loss(sigmoid(z), t)`."""
    z, t = draw("soft", (40, 5), dtype)
    theirs = value_and_gradient(lambda x: F.mse_loss(torch.sigmoid(x), torch.tensor(t), reduction=reduction), z)
    assert_same(fl.Brier(), z, t, theirs, reduction=reduction)


# ---------------------------------------------------------------------------- regression


@reductions
def test_squared_and_absolute_error(dtype, reduction):
    """`mse_loss` and `l1_loss`: the square without a half, and the absolute value."""
    z, t = draw("real", (200,), dtype)
    target = torch.tensor(t)
    theirs = value_and_gradient(lambda x: F.mse_loss(x, target, reduction=reduction), z)
    assert_same(fl.SquaredError(), z, t, theirs, reduction=reduction)
    theirs = value_and_gradient(lambda x: F.l1_loss(x, target, reduction=reduction), z)
    assert_same(fl.AbsoluteError(), z, t, theirs, reduction=reduction)


@reductions
@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_huber_and_smooth_l1(dtype, reduction, width):
    """`huber_loss` and `smooth_l1_loss` as in torch: with delta = beta, Huber is delta times smooth L1.

    Huber has curvature 1 and slope delta far out, smooth L1 curvature 1 / beta and slope 1: they are equal at 1 only,
    and at delta = beta = 2 and a residual of 5 they are 8 and 4. torch takes beta=0 for `l1_loss`; ours refuses it.
    """
    z, t = draw("real", (200,), dtype)
    target = torch.tensor(t)
    huber = value_and_gradient(lambda x: F.huber_loss(x, target, delta=width, reduction=reduction), z)
    smooth_l1 = value_and_gradient(lambda x: F.smooth_l1_loss(x, target, beta=width, reduction=reduction), z)
    assert_same(fl.Huber(delta=width), z, t, huber, reduction=reduction)
    assert_same(fl.SmoothL1(beta=width), z, t, smooth_l1, reduction=reduction)
    assert_same(fl.Huber(delta=width), z, t, smooth_l1, width, reduction=reduction)
    assert (fl.huber(5.0, 0.0, delta=2.0), fl.smooth_l1(5.0, 0.0, beta=2.0)) == (8.0, 4.0)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weighted_mean(dtype, name):
    """Three functions, two means: `mse_loss` and `l1_loss` divide by the sum of weights, `huber_loss` by the number.

    Ours always divides by the sum of weights, so that doubling all weights changes nothing.
    """
    function = getattr(F, name)
    if "weight" not in inspect.signature(function).parameters:
        pytest.skip("this torch has no weights there")
    z, t = draw("real", (200,), dtype)
    w = draw_weight(200, dtype)
    loss = {"mse_loss": fl.SquaredError(), "l1_loss": fl.AbsoluteError(), "huber_loss": fl.Huber()}[name]
    theirs = value_and_gradient(lambda x: function(x, torch.tensor(t), weight=torch.tensor(w)), z)
    factor = w.size / w.sum(dtype=float) if name == "huber_loss" else 1
    assert_same(loss, z, t, theirs, factor, sample_weight=w)


@reductions
def test_poisson(dtype, reduction):
    """`poisson_nll_loss` with its defaults, log_input=True and full=False: e^z - y z, without a constant.

    full=True adds Stirling's approximation of log y! for y > 1, which no derivative sees. With log_input=False torch
    takes the mean itself and adds 1e-8 inside the logarithm; ours always takes the logarithm of the mean.
    """
    z, t = draw("count", (200,), dtype)
    target = torch.tensor(t)
    theirs = value_and_gradient(lambda x: F.poisson_nll_loss(x, target, reduction=reduction), z)
    assert_same(fl.Poisson(), z, t, theirs, reduction=reduction)
    full = value_and_gradient(lambda x: F.poisson_nll_loss(x, target, full=True, reduction="sum"), z)
    y = t[t > 1].astype(float)
    constant = np.sum(y * np.log(y) - y + np.log(2 * np.pi * y) / 2)
    value, gradient = fl.Poisson().value_and_gradient(z, t, reduction="sum")
    assert_close(value + constant, full[0], dtype)
    assert_close(gradient, full[1], dtype)


# --------------------------------------------------------------------------------- arrays


def test_tensors_are_arrays():
    """CPU tensors go in without a copy; arrays come out."""
    z, t = draw("index", (40, 5), np.float32)
    value, gradient = fl.CrossEntropy().value_and_gradient(torch.tensor(z), torch.tensor(t))
    plain = fl.CrossEntropy().value_and_gradient(z, t)
    assert value == plain[0]
    assert cases.same_bits(gradient, plain[1])
