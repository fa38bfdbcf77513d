"""`fastloss.torch.apply`: every loss under autograd, the same numbers as without, and nothing copied."""

import copy
import pickle
import subprocess
import sys

import cases
import numpy as np
import pytest

import fastloss as fl

torch = pytest.importorskip("torch")

import fastloss.torch  # noqa: E402
from fastloss.torch import Loss, _text_of, apply  # noqa: E402

# Its forward mode scripts decompositions, of all losses, once in a process.
pytestmark = pytest.mark.filterwarnings(r"ignore:.torch\.jit\.script. is deprecated:DeprecationWarning")

REDUCTIONS = ("mean", "sum", "none")
reductions = pytest.mark.parametrize("reduction", REDUCTIONS)


def smooth_problem(setup, n_rows=24, n_classes=3):
    """Predictions away from kinks, and their targets."""
    z, t = setup.draw((n_rows, n_classes))
    far = setup.case.from_kink(z, t, setup.parameters(n_classes)) > 1e-3
    rows = far if setup.case.rowwise else far.all(axis=-1)
    return z[rows][:6], t[rows][:6]


def draw_weight(shape):
    return np.random.default_rng(3).uniform(0.2, 2, shape)


# ------------------------------------------------------------------------------------------------ derivatives


@reductions
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_gradcheck(few_setup, reduction, weighted):
    z, t = smooth_problem(few_setup)
    assert len(z) > 1
    loss = few_setup.build(z.shape[-1])
    w = draw_weight(len(z) if few_setup.case.rowwise else z.shape) if weighted else None
    target, weight = torch.tensor(t), None if w is None else torch.tensor(w)

    def function(prediction):
        return apply(loss, prediction, target, sample_weight=weight, reduction=reduction)

    assert torch.autograd.gradcheck(function, torch.tensor(z, requires_grad=True), atol=1e-6, rtol=1e-5)


@reductions
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)], ids=str)
def test_gradcheck_of_sets(set_case, reduction, axis):
    loss = set_case.build(set_case.parameters[-1])
    z, t = cases.draw(set_case, "soft", (4, 3, 2))
    target, weight = torch.tensor(t), torch.tensor(draw_weight(z.shape))

    def function(prediction):
        return apply(loss, prediction, target, sample_weight=weight, reduction=reduction, axis=axis)

    assert torch.autograd.gradcheck(function, torch.tensor(z, requires_grad=True))


@pytest.mark.parametrize("axis", [0, 1, 2, -2])
@reductions
def test_gradcheck_along_any_axis(axis, reduction):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4, 3, 5))
    target = torch.tensor(rng.integers(0, z.shape[axis], np.delete(z.shape, axis)))

    def function(prediction):
        return apply(fl.CrossEntropy(label_smoothing=0.1), prediction, target, reduction=reduction, axis=axis)

    assert torch.autograd.gradcheck(function, torch.tensor(z, requires_grad=True))


@reductions
def test_same_numbers_as_without_torch(few_setup, dtype, reduction):
    z, t = few_setup.draw((30, 4), dtype)
    loss = few_setup.build(4)
    value, gradient = loss.value_and_gradient(z, t, reduction=reduction)
    prediction = torch.tensor(z, requires_grad=True)
    found = apply(loss, prediction, torch.tensor(t), reduction=reduction)
    found.sum().backward()
    assert found.dtype == prediction.grad.dtype == prediction.dtype
    np.testing.assert_array_equal(found.detach().numpy(), np.asarray(value, dtype))
    np.testing.assert_array_equal(prediction.grad.numpy(), gradient)
    with torch.no_grad():
        alone = apply(loss, prediction, torch.tensor(t), reduction=reduction)
    assert not alone.requires_grad
    np.testing.assert_allclose(alone.numpy(), found.detach().numpy(), rtol=4 * np.finfo(dtype).eps)


def test_agrees_with_torch_in_a_network():
    """Forward, backward and a step, next to torch's own loss."""
    rng = np.random.default_rng(0)
    x, y = torch.tensor(rng.normal(size=(50, 8))), torch.tensor(rng.integers(0, 3, 50))
    grads = []
    for function in (torch.nn.functional.cross_entropy, lambda z, t: apply(fl.CrossEntropy(), z, t)):
        torch.manual_seed(0)
        layer = torch.nn.Linear(8, 3, dtype=torch.float64)
        (0.5 * function(layer(x), y)).backward()
        grads.append([parameter.grad.numpy() for parameter in layer.parameters()])
    for ours, theirs in zip(*grads, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_backward_twice_through_a_retained_graph():
    prediction = torch.tensor([0.0, 3.0], requires_grad=True)
    value = apply(fl.SquaredError(), prediction, [1.0, 1.0], reduction="sum")
    value.backward(retain_graph=True)
    value.backward()
    np.testing.assert_array_equal(prediction.grad.numpy(), [-4.0, 8.0])


def test_factor_of_the_output():
    prediction = torch.tensor([0.0, 3.0], requires_grad=True)
    (3 * apply(fl.SquaredError(), prediction, [1.0, 1.0], reduction="sum")).backward()
    np.testing.assert_array_equal(prediction.grad.numpy(), [-6.0, 12.0])
    prediction.grad = None
    values = apply(fl.SquaredError(), prediction, [1.0, 1.0], reduction="none")
    values.backward(torch.tensor([1.0, 10.0]))
    np.testing.assert_array_equal(prediction.grad.numpy(), [-2.0, 40.0])


# -------------------------------------------------------------------------------------------- dtypes and memory


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@reductions
def test_half_precision(kind, reduction):
    kind = getattr(torch, kind)
    rng = np.random.default_rng(0)
    prediction = torch.tensor(rng.normal(size=(20, 5)), dtype=kind, requires_grad=True)
    target = torch.tensor(rng.integers(0, 5, 20))
    value = apply(fl.CrossEntropy(), prediction, target, reduction=reduction)
    value.sum().backward()
    wide = prediction.detach().float().numpy()
    same, gradient = fl.CrossEntropy().value_and_gradient(wide, target.numpy(), reduction=reduction)
    assert value.dtype == prediction.grad.dtype == kind
    assert torch.equal(value, torch.tensor(same).to(kind))
    assert torch.equal(prediction.grad, torch.from_numpy(gradient).to(kind))


def test_targets_and_weights_of_any_kind():
    prediction = torch.tensor([0.5, -2.0, 3.0])
    loss = fl.BinaryCrossEntropy()
    expected = loss(prediction.numpy(), [0, 1, 1], sample_weight=[1, 2, 3])
    for target in ([0, 1, 1], np.array([0, 1, 1]), torch.tensor([False, True, True])):
        for weight in ([1, 2, 3], torch.tensor([1, 2, 3]), torch.tensor([1, 2, 3], dtype=torch.bfloat16)):
            assert apply(loss, prediction, target, sample_weight=weight).item() == np.float32(expected)
    for dtype in (torch.bfloat16, torch.float16, torch.int32):
        assert apply(loss, prediction, torch.tensor([0, 1, 1], dtype=dtype)).item() > 0


def test_integers_are_read_as_float64():
    value = apply(fl.SquaredError(), torch.tensor([1, 2]), [3.0, 3.0])
    assert value.dtype == torch.float64
    assert value.item() == 2.5


def test_predictions_are_not_copied(dtype, monkeypatch):
    """The loss sees the tensors' own memory."""
    seen = {}

    class Spy(fl.CrossEntropy):
        def value_and_gradient(self, prediction, target, **options):
            seen.update(
                prediction=prediction, target=target, gradient=super().value_and_gradient(prediction, target)[1]
            )
            return 0.0, seen["gradient"]

    prediction = torch.tensor(np.zeros((10, 4), dtype), requires_grad=True)
    target = torch.zeros(10, dtype=torch.int64)
    value = apply(Spy(), prediction, target)
    assert seen["prediction"].__array_interface__["data"][0] == prediction.data_ptr()
    assert seen["target"].__array_interface__["data"][0] == target.data_ptr()
    _, gradient, *_ = value.grad_fn.saved_tensors
    assert gradient.data_ptr() == seen["gradient"].__array_interface__["data"][0]


@pytest.mark.parametrize("order", ["transposed", "strided"])
def test_memory_orders(order):
    rng = np.random.default_rng(0)
    base = torch.tensor(rng.normal(size=(4, 20) if order == "transposed" else (20, 8)), requires_grad=True)
    prediction = base.T if order == "transposed" else base[:, ::2]
    target = torch.tensor(rng.integers(0, 4, 20))
    value = apply(fl.CrossEntropy(), prediction, target)
    (ours,) = torch.autograd.grad(value, base)
    (theirs,) = torch.autograd.grad(torch.nn.functional.cross_entropy(prediction, target), base)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-12, atol=1e-15)


def test_single_number():
    prediction = torch.tensor(3.0, requires_grad=True)
    apply(fl.Huber(), prediction, 0.0, reduction="none").backward()
    assert prediction.grad.item() == 1.0


def test_ignored_rows_and_warnings():
    prediction = torch.zeros((2, 3), requires_grad=True)
    loss = fl.CrossEntropy(ignore_index=-100)
    with pytest.warns(RuntimeWarning, match="mean of nothing"):
        value = apply(loss, prediction, torch.tensor([-100, -100]))
    assert torch.isnan(value)
    value.backward()
    assert not prediction.grad.any()


# ------------------------------------------------------------------------------------------ second derivatives


HAS_HESSIAN_PRODUCT = [
    setup for setup in cases.FEW_SETUPS if not setup.case.rowwise or hasattr(setup.build(3), "hessian_vector_product")
]


@pytest.mark.parametrize("setup", HAS_HESSIAN_PRODUCT, ids=str)
def test_second_derivatives(setup):
    z, t = smooth_problem(setup)
    loss = setup.build(z.shape[-1])
    w = torch.tensor(draw_weight(len(z) if setup.case.rowwise else z.shape))

    def function(prediction):
        return apply(loss, prediction, torch.tensor(t), sample_weight=w)

    prediction = torch.tensor(z, requires_grad=True)
    assert torch.autograd.gradgradcheck(function, prediction, atol=1e-5, rtol=1e-4, check_fwd_over_rev=True)


@pytest.mark.parametrize(
    ("loss", "target"), [(fl.Dice(), torch.ones(4, 3)), (fl.MulticlassHinge(), torch.tensor([0, 1, 2, 0]))], ids=str
)
def test_losses_without_hessian_products_are_differentiated_once(loss, target):
    prediction = torch.linspace(-1, 1, 12).reshape(4, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(apply(loss, prediction, target), prediction, create_graph=True)
    assert torch.isfinite(gradient).all()
    with pytest.raises(RuntimeError, match=f"can differentiate {loss.name} once only"):
        gradient.sum().backward()
    with pytest.raises(RuntimeError, match=f"can differentiate {loss.name} once only"):
        torch.func.hessian(lambda z: apply(loss, z, target))(prediction.detach())


def test_third_derivatives_are_refused():
    prediction = torch.zeros(3, dtype=torch.float64)
    hessian = torch.func.hessian(lambda z: apply(fl.BinaryCrossEntropy(), z, 1.0))
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        with pytest.raises(RuntimeError, match=r"can be differentiated twice only|in forward mode: use"):
            transform(hessian)(prediction)


# --------------------------------------------------------------------------- forward mode, batches, torch.func

functional = torch.autograd.functional
TRANSFORMS = {
    "reverse": functional.jacobian,
    "batched reverse": lambda f, z: functional.jacobian(f, z, vectorize=True),
    "batched forward": lambda f, z: functional.jacobian(f, z, vectorize=True, strategy="forward-mode"),
    "jacrev": lambda f, z: torch.func.jacrev(f)(z),
    "jacfwd": lambda f, z: torch.func.jacfwd(f)(z),
    "vmap": lambda f, z: torch.vmap(f, in_dims=1)(torch.stack([z, 2 * z], dim=1)),
    "vmap of grad": lambda f, z: torch.vmap(torch.func.grad(lambda z: f(z).sum()))(torch.stack([z, 2 * z])),
    "hessian": lambda f, z: torch.func.hessian(f)(z),
    "reverse over reverse": lambda f, z: torch.func.jacrev(torch.func.jacrev(f))(z),
    "reverse over forward": lambda f, z: torch.func.jacrev(torch.func.jacfwd(f))(z),
}


@reductions
@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS.keys())
@pytest.mark.parametrize("rowwise", [True, False], ids=["rows", "elements"])
def test_transforms_agree_with_torch(transform, reduction, rowwise):
    torch.manual_seed(0)
    z = torch.randn(4, 3, dtype=torch.float64)
    t = torch.tensor([0, 2, 1, 1]) if rowwise else torch.rand(4, 3, dtype=torch.float64)
    loss = fl.CrossEntropy() if rowwise else fl.BinaryCrossEntropy()
    functions = torch.nn.functional
    theirs = functions.cross_entropy if rowwise else functions.binary_cross_entropy_with_logits
    found = transform(lambda z: apply(loss, z, t, reduction=reduction), z)
    torch.testing.assert_close(found, transform(lambda z: theirs(z, t, reduction=reduction), z))


def test_plain_calls_need_nothing_of_transforms(monkeypatch):
    """A backward pass, a second one over it, and values alone: by a function without forward mode and vmap."""
    monkeypatch.setattr(fastloss.torch, "_Value", None)
    prediction = torch.tensor([0.0, 3.0], requires_grad=True)
    value = apply(fl.PseudoHuber(), prediction, 0.0)
    (gradient,) = torch.autograd.grad(value, prediction, create_graph=True)
    (hessian,) = torch.autograd.grad(gradient.sum(), prediction)
    torch.testing.assert_close(hessian, (1 + prediction.detach() ** 2) ** -1.5 / 2)
    with torch.no_grad():
        alone = apply(fl.PseudoHuber(), prediction, 0.0)
    assert alone.grad_fn is None
    torch.testing.assert_close(alone, value.detach())


def test_values_are_on_the_cpu_whatever_the_default_device():
    prediction = torch.tensor([0.0, 3.0], requires_grad=True)
    with torch.device("meta"):
        assert apply(fl.SquaredError(), prediction, 0.0).device.type == "cpu"


def test_what_has_left_a_transform_is_differentiated():
    """Its wrapper is dead, and would keep the gradient from what it wraps."""
    left = []

    def function(z):
        left.append(2 * z)
        return z.sum()

    prediction = torch.tensor([0.0, 3.0], requires_grad=True)
    torch.func.grad(function)(prediction)
    apply(fl.SquaredError(), left[0], 1.0, reduction="sum").backward()
    np.testing.assert_array_equal(prediction.grad.numpy(), [-4.0, 20.0])


def test_vmap_over_targets_and_weights():
    torch.manual_seed(0)
    z, t, w = torch.randn(3, 5, 4), torch.randint(4, (5, 3)), torch.rand(3, 5)
    loss = fl.Focal()
    found = torch.vmap(lambda z, t, w: apply(loss, z, t, sample_weight=w), in_dims=(0, 1, 0))(z, t, w)
    expected = [loss(z[i].numpy(), t[:, i].numpy(), sample_weight=w[i].numpy()) for i in range(3)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)


def test_forward_mode_of_a_factor_that_is_one():
    """The factor's value may be left out of a backward pass, its tangent not."""
    forward = torch.autograd.forward_ad
    with forward.dual_level():
        prediction = torch.tensor([0.0, 3.0], requires_grad=True)
        factor = forward.make_dual(torch.tensor(1.0), torch.tensor(10.0))
        (gradient,) = torch.autograd.grad(factor * apply(fl.SquaredError(), prediction, 1.0), prediction)
        assert torch.equal(forward.unpack_dual(gradient).tangent, torch.tensor([-10.0, 20.0]))


def test_what_torch_would_get_wrong_is_refused():
    prediction, target = torch.zeros(3), torch.tensor(1)
    with pytest.raises(RuntimeError, match=r"use torch\.func\.hessian"):
        torch.func.jacfwd(torch.func.jacfwd(lambda z: apply(fl.LogCosh(), z, 1.0)))(prediction)
    with pytest.raises(RuntimeError, match=r"use torch\.func\.hessian"):
        functional.hessian(lambda z: apply(fl.CrossEntropy(), z, target), prediction, vectorize=True)


@pytest.mark.parametrize("argument", ["target", "sample_weight"])
def test_constants_with_tangents_are_refused(argument):
    arguments = {"target": torch.zeros(3), "sample_weight": torch.ones(3)}

    def function(constant):
        return apply(fl.Huber(), torch.zeros(3), **{**arguments, argument: constant})

    with pytest.raises(ValueError, match=f"^{argument} has a tangent"):
        torch.func.jacfwd(function)(torch.ones(3))


# ------------------------------------------------------------------------------------------ modules and compilers


def test_module():
    criterion = Loss(fl.CrossEntropy(label_smoothing=0.1), reduction="sum", axis=1)
    assert repr(criterion) == (
        "Loss(CrossEntropy(class_weight=None, label_smoothing=0.1, ignore_index=None), reduction='sum', axis=1)"
    )
    z, t, w = torch.randn(4, 3, 2), torch.randint(3, (4, 2)), torch.rand(4, 2)
    expected = apply(criterion.loss, z, t, sample_weight=w, reduction="sum", axis=1)
    for same in (criterion, pickle.loads(pickle.dumps(criterion)), copy.deepcopy(criterion)):
        assert torch.equal(same(z, t, w), expected)
    assert torch.equal(Loss("huber")(z, 0.0), apply(fl.Huber(), z, 0.0))
    assert torch.nn.Sequential(torch.nn.Linear(2, 2), criterion).state_dict().keys() == {"0.weight", "0.bias"}
    for arguments, message in (
        (("hubber",), "did you mean 'huber'"),
        (("huber", "average"), "^reduction must be"),
        (("huber", "mean", 0), "takes no axis"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            Loss(*arguments)


@pytest.mark.parametrize(
    ("kind", "layout", "reduction"),
    [("float64", "plain", "sum"), ("float32", "transposed", "mean"), ("bfloat16", "strided", "none")]
    + [("int64", "plain", "none"), ("float32", "strided", "none")],
)
def test_opcheck(kind, layout, reduction):
    """Schema, autograd, fake tensors and what a compiler sees, for any memory order."""
    shape = {"plain": (5, 3), "transposed": (3, 5), "strided": (10, 6)}[layout]
    z = (4 * torch.randn(shape)).to(getattr(torch, kind))
    z = {"plain": z, "transposed": z.T, "strided": z[::2, ::2]}[layout]
    ahead = z.dtype.is_floating_point
    z = z.detach().requires_grad_(ahead)
    text = _text_of(fl.CrossEntropy(class_weight=[1, 2, 3]))
    arguments = (z, torch.tensor([0, 1, 2, 2, 1]), torch.rand(5), text, reduction, [1], ahead)
    torch.library.opcheck(torch.ops.fastloss.value_and_gradient, arguments)


@reductions
@pytest.mark.parametrize("loss", [fl.CrossEntropy(class_weight=[1, 2, 3]), fl.Huber(delta=0.5), fl.Dice()], ids=repr)
def test_compiled_in_one_graph(loss, reduction):
    torch.compiler.reset()
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(4, 3), torch.randn(6, 4)
    t = torch.tensor([0, 1, 2, 2, 1, 0]) if isinstance(loss, fl.CrossEntropy) else torch.rand(6, 3)
    criterion = Loss(loss, reduction=reduction)

    def step(x, t):
        return criterion(layer(x), t).sum() + apply(loss, layer(2 * x), t)

    results = []
    for function in (step, torch.compile(step, fullgraph=True, backend="aot_eager")):
        layer.zero_grad()
        value = function(x, t)
        value.backward()
        results.append((value.detach(), layer.weight.grad.clone()))
        with torch.no_grad():
            torch.testing.assert_close(function(x, t), value.detach())
    torch.testing.assert_close(*results)


def test_only_losses_of_this_package_are_compiled():
    class Own(fl.Huber):
        def __call__(self, *arguments, **options):
            return 0.0

    with pytest.raises(TypeError, match=r"torch\.compile takes the losses of fastloss themselves"):
        _text_of(Own())


# ------------------------------------------------------------------------------------------------------ errors


ONES = torch.ones((3, 2))
BAD = {
    "target requires a gradient": (
        ValueError,
        "^target requires a gradient",
        {"target": torch.ones(3, 2, requires_grad=True)},
    ),
    "weight requires a gradient": (
        ValueError,
        "^sample_weight requires a gradient",
        {"sample_weight": torch.ones(3, 2, requires_grad=True)},
    ),
    "prediction on a device": (ValueError, "^prediction is on device meta", {"prediction": ONES.to("meta")}),
    "target on a device": (ValueError, "^target is on device meta", {"target": ONES.to("meta")}),
    "sparse prediction": (TypeError, "^prediction has layout", {"prediction": ONES.to_sparse()}),
    "array as prediction": (TypeError, "^prediction must be a torch.Tensor, not ndarray", {"prediction": ONES.numpy()}),
    "complex prediction": (TypeError, "^prediction has dtype complex64", {"prediction": ONES.to(torch.complex64)}),
    "class of a loss": (TypeError, r"^loss must be a loss object.*Huber\(\)", {"loss": fl.Huber}),
    "name of a loss": (TypeError, "^loss must be a loss object", {"loss": "huber"}),
    "reduction": (ValueError, "^reduction must be", {"reduction": "average"}),
    "axis of a pointwise loss": (TypeError, "takes no axis", {"axis": 0}),
    "shape": (ValueError, "^target of shape", {"target": torch.ones(5)}),
    "weight negative": (ValueError, r"^sample_weight\[0, 1\]", {"sample_weight": torch.tensor([[1.0, -1.0]] * 3)}),
}


@pytest.mark.parametrize(("kind", "message", "changed"), BAD.values(), ids=BAD.keys())
def test_bad_arguments(kind, message, changed):
    arguments = {"loss": fl.Huber(), "prediction": ONES, "target": ONES, **changed}
    positional = [arguments.pop(name) for name in ("loss", "prediction", "target")]
    with pytest.raises(kind, match=message):
        apply(*positional, **arguments)


def test_axis_that_does_not_exist():
    with pytest.raises(ValueError, match="axis 2 does not exist"):
        apply(fl.CrossEntropy(), torch.zeros(3, 2, requires_grad=True), torch.zeros(3, dtype=torch.int64), axis=2)


def test_package_does_not_import_torch(tmp_path):
    code = "import sys, fastloss; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
