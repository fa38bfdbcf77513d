"""The same numbers as torch, torchvision's formula, scikit-learn, SciPy and optax, where they define the same loss."""

import cases
import numpy as np
import pytest

import fastloss as fl


def close(dtype):
    return {"rtol": 2e-5, "atol": 2e-6} if dtype == np.float32 else {"rtol": 1e-11, "atol": 1e-13}


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("kind", ["index", "probability"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_torch_cross_entropy(torch, dtype, kind, reduction, smoothing, weighted):
    z, t = cases.draw(cases.CASES[0], kind, (40, 5), dtype)
    weight = np.random.default_rng(0).uniform(0.2, 2, 5) if weighted else None
    options = {}
    if kind == "index":
        t[::5] = 3
        options["ignore_index"] = 3
    logits = torch.tensor(z, requires_grad=True)
    value = torch.nn.functional.cross_entropy(
        logits,
        torch.tensor(t),
        weight=None if weight is None else torch.tensor(weight.astype(dtype)),
        label_smoothing=smoothing,
        reduction=reduction,
        **options,
    )
    value.sum().backward()
    loss = fl.CrossEntropy(class_weight=weight, label_smoothing=smoothing, **options)
    found, gradient = loss.value_and_gradient(z, t, reduction=reduction)
    np.testing.assert_allclose(found, value.detach().numpy(), **close(dtype))
    np.testing.assert_allclose(gradient, logits.grad.numpy(), **close(dtype))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("pos_weight", [None, 3.0, "array"])
def test_torch_binary_cross_entropy(torch, dtype, reduction, pos_weight):
    z, t = cases.draw(cases.POINTWISE[0], "soft", (40, 5), dtype)
    q = np.random.default_rng(0).uniform(0.2, 2, 5) if pos_weight == "array" else pos_weight
    logits = torch.tensor(z, requires_grad=True)
    value = torch.nn.functional.binary_cross_entropy_with_logits(
        logits,
        torch.tensor(t),
        pos_weight=None if q is None else torch.as_tensor(np.asarray(q, dtype)),
        reduction=reduction,
    )
    value.sum().backward()
    found, gradient = fl.BinaryCrossEntropy(pos_weight=q).value_and_gradient(z, t, reduction=reduction)
    np.testing.assert_allclose(found, value.detach().numpy(), **close(dtype))
    np.testing.assert_allclose(gradient, logits.grad.numpy(), **close(dtype))


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 2.5])
@pytest.mark.parametrize("alpha", [-1, 0.25])
def test_binary_focal_as_torchvision_writes_it(torch, dtype, gamma, alpha):
    z, t = cases.draw(cases.POINTWISE[0], "hard", (300,), dtype)
    logits, target = torch.tensor(z, requires_grad=True), torch.tensor(t)
    p = torch.sigmoid(logits)
    ce = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p_t = p * target + (1 - p) * (1 - target)
    value = ce * (1 - p_t) ** gamma
    if alpha >= 0:
        value = (alpha * target + (1 - alpha) * (1 - target)) * value
    value.mean().backward()
    loss = fl.BinaryFocal(gamma=gamma, alpha=None if alpha < 0 else alpha)
    found, gradient = loss.value_and_gradient(z, t)
    np.testing.assert_allclose(found, value.mean().item(), **close(dtype))
    np.testing.assert_allclose(gradient, logits.grad.numpy(), **close(dtype))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_torch_regression(torch, dtype, reduction):
    z, t = cases.draw(cases.POINTWISE[2], "real", (200,), dtype)
    for loss, function, options in (
        (fl.Huber(delta=1.5), torch.nn.functional.huber_loss, {"delta": 1.5}),
        (fl.SquaredError(), torch.nn.functional.mse_loss, {}),
        (fl.AbsoluteError(), torch.nn.functional.l1_loss, {}),
    ):
        prediction = torch.tensor(z, requires_grad=True)
        value = function(prediction, torch.tensor(t), reduction=reduction, **options)
        value.sum().backward()
        found, gradient = loss.value_and_gradient(z, t, reduction=reduction)
        np.testing.assert_allclose(found, value.detach().numpy(), **close(dtype))
        np.testing.assert_allclose(gradient, prediction.grad.numpy(), **close(dtype))


def test_torch_tensors_are_arrays(torch):
    z, t = cases.draw(cases.CASES[0], "index", (40, 5), np.float32)
    value, gradient = fl.CrossEntropy().value_and_gradient(torch.tensor(z), torch.tensor(t))
    plain = fl.CrossEntropy().value_and_gradient(z, t)
    assert value == plain[0]
    assert cases.same_bits(gradient, plain[1])


def test_scipy(dtype):
    special = pytest.importorskip("scipy.special")
    x = cases.draw_prediction(np.random.default_rng(0), (30, 7), dtype)
    for axis in (0, 1):
        np.testing.assert_allclose(fl.log_softmax(x, axis=axis), special.log_softmax(x, axis=axis), **close(dtype))
        np.testing.assert_allclose(fl.softmax(x, axis=axis), special.softmax(x, axis=axis), **close(dtype))
        np.testing.assert_allclose(fl.logsumexp(x, axis=axis), special.logsumexp(x, axis=axis), **close(dtype))
    np.testing.assert_allclose(fl.sigmoid(x), special.expit(x), **close(dtype))
    np.testing.assert_allclose(fl.log_sigmoid(x), special.log_expit(x), **close(dtype))
    value = fl.huber(x, np.zeros(7, dtype), delta=1.5, reduction="none")
    np.testing.assert_allclose(value, special.huber(1.5, x.astype(float)), **close(dtype))


def test_sklearn_metrics():
    metrics = pytest.importorskip("sklearn.metrics")
    z, t = cases.draw(cases.CASES[0], "index", (200, 4))
    w = np.random.default_rng(0).uniform(0, 2, 200)
    assert fl.cross_entropy(z, t, sample_weight=w) == pytest.approx(
        metrics.log_loss(t, fl.softmax(z), sample_weight=w), rel=1e-12
    )
    x, y = cases.draw(cases.POINTWISE[2], "real", (200,))
    assert fl.mse(x, y, sample_weight=w) == pytest.approx(metrics.mean_squared_error(y, x, sample_weight=w))
    assert fl.absolute_error(x, y, sample_weight=w) == pytest.approx(metrics.mean_absolute_error(y, x, sample_weight=w))


def test_sklearn_losses(dtype):
    """scikit-learn's private losses: half the squared error, the same cross-entropies, gradients and Hessians."""
    losses = pytest.importorskip("sklearn._loss.loss")
    x, y = cases.draw(cases.POINTWISE[2], "real", (200,), dtype)
    z, t = cases.draw(cases.POINTWISE[0], "soft", (200,), dtype)
    for ours, theirs, prediction, target in (
        (fl.BinaryCrossEntropy(), losses.HalfBinomialLoss(), z, t),
        (fl.Huber(delta=0.7), losses.HuberLoss(delta=0.7), x, y),
        (fl.SquaredError(), losses.HalfSquaredError(), x, y),
    ):
        factor = 2 if isinstance(ours, fl.SquaredError) else 1
        found = ours.value_gradient_and_hessian(prediction, target, reduction="none")
        np.testing.assert_allclose(found[0], factor * theirs.loss(target, prediction), **close(dtype))
        if isinstance(ours, fl.Huber):
            continue  # scikit-learn's delta is a quantile until it is fitted, and its Hessian constant
        gradient, hessian = theirs.gradient_hessian(target, prediction)
        np.testing.assert_allclose(found[1], factor * gradient, **close(dtype))
        np.testing.assert_allclose(found[2], factor * hessian, **close(dtype))
    z, t = cases.draw(cases.CASES[0], "index", (200, 5), dtype)
    theirs = losses.HalfMultinomialLoss(n_classes=5)
    found = fl.CrossEntropy().value_gradient_and_hessian(z, t, reduction="none")
    target = t.astype(dtype)
    np.testing.assert_allclose(found[0], theirs.loss(target, z), **close(dtype))
    gradient, hessian = theirs.gradient_hessian(target, z)
    np.testing.assert_allclose(found[1], gradient, **close(dtype))
    np.testing.assert_allclose(found[2], hessian, **close(dtype))


def test_optax():
    optax = pytest.importorskip("optax")
    dtype = np.float32
    z, t = cases.draw(cases.CASES[0], "index", (40, 5), dtype)
    found = fl.cross_entropy(z, t, reduction="none")
    np.testing.assert_allclose(found, optax.softmax_cross_entropy_with_integer_labels(z, t), **close(dtype))
    z, t = cases.draw(cases.POINTWISE[0], "hard", (40,), dtype)
    found = fl.binary_cross_entropy(z, t, reduction="none")
    np.testing.assert_allclose(found, optax.sigmoid_binary_cross_entropy(z, t), **close(dtype))
    found = fl.binary_focal(z, t, gamma=2.0, alpha=0.25, reduction="none")
    np.testing.assert_allclose(found, optax.sigmoid_focal_loss(z, t, alpha=0.25, gamma=2.0), **close(dtype))
    found = fl.huber(z, t, delta=0.5, reduction="none")
    np.testing.assert_allclose(found, optax.huber_loss(z, t, delta=0.5), **close(dtype))
