"""PyTorch: autograd as users write it, and its own kernels chained by hand over preallocated outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

import fastloss as fl

from .cases import KINDS, Problem
from .formulas import formulas
from .peers import Peer

aten = torch.ops.aten
Tensor = torch.Tensor
NONE, MEAN = 0, 1


def binary_focal(z: Tensor, t: Tensor) -> Tensor:
    """torchvision's sigmoid_focal_loss, gamma 2, no alpha."""
    p = torch.sigmoid(z)
    cross_entropy = F.binary_cross_entropy_with_logits(z, t, reduction="none")
    p_target = p * t + (1 - p) * (1 - t)
    return (cross_entropy * (1 - p_target) ** 2).mean()


def log_cosh(z: Tensor, t: Tensor) -> Tensor:
    """As Keras has it."""
    r = z - t
    return (r + F.softplus(-2 * r) - math.log(2)).mean()


def multiclass_hinge(z: Tensor, t: Tensor) -> Tensor:
    """Crammer and Singer's hinge; torch's multi_margin_loss is another one."""
    target = t[:, None]
    others = z.scatter(-1, target, -math.inf).max(-1).values
    return F.relu(1 + others - z.gather(-1, target)[:, 0]).mean()


OPERATIONS = SimpleNamespace(
    **{name: getattr(torch, name) for name in "abs exp log1p sqrt square where maximum relu sigmoid mean sum".split()},
    margin=lambda z, t: (2 * t - 1) * z,
    log_p=lambda z, t: torch.log_softmax(z, -1).gather(-1, t[:, None])[:, 0],
)

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    **formulas(OPERATIONS),
    "huber": F.huber_loss,
    "squared_error": F.mse_loss,
    "absolute_error": F.l1_loss,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    "binary_focal": binary_focal,
    "cross_entropy": F.cross_entropy,
    "brier": lambda z, t: F.mse_loss(torch.sigmoid(z), t),
    "smooth_l1": F.smooth_l1_loss,
    "log_cosh": log_cosh,
    "poisson": F.poisson_nll_loss,
    "multiclass_hinge": multiclass_hinge,
    "kl_divergence": lambda z, t: F.kl_div(F.log_softmax(z, -1), t, reduction="batchmean"),
}

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "log_softmax": lambda x: torch.log_softmax(x, -1),
    "softmax": lambda x: torch.softmax(x, -1),
    "logsumexp": lambda x: torch.logsumexp(x, -1),
    "sigmoid": torch.sigmoid,
    "log_sigmoid": F.logsigmoid,
}

FUNCTIONS_OUT: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "log_softmax": lambda x, out: aten._log_softmax.out(x, -1, False, out=out),
    "softmax": lambda x, out: aten._softmax.out(x, -1, False, out=out),
    "logsumexp": lambda x, out: torch.logsumexp(x, -1, out=out),
    "sigmoid": lambda x, out: torch.sigmoid(x, out=out),
    "log_sigmoid": lambda x, out: aten.log_sigmoid.out(x, out=out),
}


# ---- kernels chained by hand: each function preallocates, and returns forward(), backward() -------------------------

Chain = tuple[Callable[[], Any], Callable[[], Any]]


def chain_cross_entropy(z: Tensor, t: Tensor, value: Tensor, gradient: Tensor) -> Chain:
    """log_softmax, nll_loss and their backward kernels."""
    log_p, slope = torch.empty_like(z), torch.empty_like(z)
    total_weight, one = value.clone(), torch.ones_like(value)

    def forward() -> None:
        aten._log_softmax.out(z, -1, False, out=log_p)
        aten.nll_loss_forward.output(log_p, t, None, MEAN, -100, output=value, total_weight=total_weight)

    def backward() -> None:
        aten.nll_loss_backward.grad_input(one, log_p, t, None, MEAN, -100, total_weight, grad_input=slope)
        aten._log_softmax_backward_data.out(slope, log_p, -1, z.dtype, out=gradient)

    return forward, backward


def mean_of(element_out: Callable[..., Any], z: Tensor, t: Tensor, *options: Any, value: Tensor) -> Callable[[], Any]:
    """Chain an element-wise kernel and the mean: with a mean of their own, their out= resizes its array twice."""
    element = torch.empty_like(z)

    def forward() -> None:
        element_out(z, t, *options, out=element)
        torch.mean(element, 0, out=value)

    return forward


def chain_huber(z: Tensor, t: Tensor, value: Tensor, gradient: Tensor) -> Chain:
    """huber_loss and its backward kernel."""
    one = torch.ones_like(value)
    return (
        mean_of(aten.huber_loss.out, z, t, NONE, 1.0, value=value),
        lambda: aten.huber_loss_backward.out(one, z, t, MEAN, 1.0, grad_input=gradient),
    )


def chain_smooth_l1(z: Tensor, t: Tensor, value: Tensor, gradient: Tensor) -> Chain:
    """smooth_l1_loss and its backward kernel."""
    one = torch.ones_like(value)
    return (
        mean_of(aten.smooth_l1_loss.out, z, t, NONE, 1.0, value=value),
        lambda: aten.smooth_l1_loss_backward.grad_input(one, z, t, MEAN, 1.0, grad_input=gradient),
    )


def chain_squared_error(z: Tensor, t: Tensor, value: Tensor, gradient: Tensor) -> Chain:
    """mse_loss and its backward kernel."""
    one = torch.ones_like(value)
    return (
        mean_of(aten.mse_loss.out, z, t, NONE, value=value),
        lambda: aten.mse_loss_backward.grad_input(one, z, t, MEAN, grad_input=gradient),
    )


def chain_binary_cross_entropy(z: Tensor, t: Tensor, value: Tensor, gradient: Tensor) -> Chain:
    """binary_cross_entropy_with_logits, and (sigmoid(z) - t) / n, for torch has no backward kernel of its own."""

    def backward() -> None:
        torch.sigmoid(z, out=gradient)
        gradient.sub_(t).mul_(1 / z.numel())

    return mean_of(aten.binary_cross_entropy_with_logits.out, z, t, None, None, NONE, value=value), backward


CHAINS = {
    "cross_entropy": chain_cross_entropy,
    "huber": chain_huber,
    "smooth_l1": chain_smooth_l1,
    "squared_error": chain_squared_error,
    "binary_cross_entropy": chain_binary_cross_entropy,
}


# ---- options -----------------------------------------------------------------------------------------------------


def tensor_of(array: Any) -> Tensor:
    """Share the memory of an array, bfloat16 too."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view("int16")).view(torch.bfloat16)
    return torch.from_numpy(array)


def weighted(kernel: str, weight: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """The weighted mean."""
    loss: Any = LOSSES[kernel]
    return lambda z, t: (loss(z, t, reduction="none") * weight).sum() / weight.sum()


def option_loss(problem: Problem) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Return what users of torch write for a loss with an option, None where there is no such option."""
    kernel, option = problem.case.kernel, problem.case.option
    if kernel not in ("cross_entropy", "huber", "binary_cross_entropy"):
        return None
    if option in ("F order", "rows with gaps", "bfloat16", "a column of (n, 2)") or option.startswith("axis 1 "):
        return LOSSES[kernel]
    if option == "sample_weight":
        return weighted(kernel, torch.from_numpy(problem.arguments.get(option, problem.z)))
    if kernel != "cross_entropy":
        return None
    if option == "probabilities":
        return F.cross_entropy
    parameters = (problem.loss or fl.CrossEntropy()).parameters
    if option == "class_weight":
        weight = parameters[option]
        weight = None if weight is None else torch.from_numpy(np.array(weight, problem.case.dtype))
        return lambda z, t: F.cross_entropy(z, t, weight=weight)
    if option in ("label_smoothing", "ignore_index"):
        options = {option: parameters[option]}
        return lambda z, t: F.cross_entropy(z, t, **options)
    return None


# ---- peers -----------------------------------------------------------------------------------------------------


def autograd(loss: Callable[[Tensor, Tensor], Tensor], z: Tensor, t: Tensor) -> Callable[[], tuple[Tensor, Tensor]]:
    """Value and gradient as users get them."""
    z = z.detach().requires_grad_()

    def call() -> tuple[Tensor, Tensor]:
        value = loss(z, t)
        value.backward()
        gradient, z.grad = z.grad, None
        return value.detach(), gradient

    return call


def in_float32(call: Callable[[], tuple[Tensor, Tensor]]) -> Callable[[], tuple[Tensor, Any]]:
    """Let NumPy read a gradient in bfloat16 when it is compared, not when it is timed."""

    class Gradient:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor

        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
            return self.tensor.float().numpy()

    def converted() -> tuple[Tensor, Any]:
        value, gradient = call()
        return value, Gradient(gradient)

    return converted


def value_alone(loss: Callable[[Tensor, Tensor], Tensor], z: Tensor, t: Tensor) -> Callable[[], tuple[Tensor, None]]:
    """The value without a graph."""

    def call() -> tuple[Tensor, None]:
        with torch.no_grad():
            return loss(z, t), None

    return call


def chained(kernel: str, z: Tensor, t: Tensor, want_gradient: bool) -> Callable[[], tuple[Tensor, Tensor | None]]:
    """Forward, and backward if asked, over preallocated outputs."""
    value, gradient = torch.zeros((), dtype=z.dtype), torch.ones_like(z)
    forward, backward = CHAINS[kernel](z, t, value, gradient)

    def call() -> tuple[Tensor, Tensor | None]:
        forward()
        if not want_gradient:
            return value, None
        backward()
        return value, gradient

    return call


def peers(problem: Problem, n_threads: int) -> Iterator[Peer]:
    """Yield torch's ways to answer a problem."""
    torch.set_num_threads(n_threads)
    kernel, want = problem.case.kernel, problem.case.want
    if problem.case.option:
        if (loss := option_loss(problem)) is not None:
            call = autograd(loss, tensor_of(problem.z), tensor_of(problem.t))
            as_float32 = problem.case.option == "bfloat16"
            yield Peer("torch autograd", "users", "reused", in_float32(call) if as_float32 else call)
        return
    z = torch.from_numpy(problem.z)
    if "function" in KINDS[kernel]:
        function, function_out, out = FUNCTIONS[kernel], FUNCTIONS_OUT[kernel], torch.from_numpy(problem.out).clone()
        yield Peer("torch", "users", "fresh", lambda: (None, function(z)))
        yield Peer("torch out=", "kernels", "reused", lambda: (None, function_out(z, out)))
        return
    if kernel not in LOSSES:  # nothing that users would write
        return
    t = torch.from_numpy(problem.t)
    if want == "value":
        yield Peer("torch", "users", "fresh", value_alone(LOSSES[kernel], z, t))
    elif problem.case.outputs == "fresh":
        yield Peer("torch autograd", "users", "fresh", autograd(LOSSES[kernel], z, t))
    if kernel in CHAINS and (want == "value" or problem.case.outputs == "reused"):
        yield Peer("torch kernels", "kernels", "reused", chained(kernel, z, t, want != "value"))
