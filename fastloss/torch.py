"""PyTorch: any loss of this package as an autograd function over CPU tensors."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from ._kernels import Loss, PointwiseLoss, SetLoss

try:
    import torch  # PyTorch: this file is fastloss.torch, and imports are absolute
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError('fastloss.torch needs PyTorch: pip install "fastloss[torch]"') from None

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["apply"]


def apply(
    loss: Loss,
    prediction: torch.Tensor,
    target: torch.Tensor | ArrayLike,
    *,
    sample_weight: torch.Tensor | ArrayLike | None = None,
    reduction: str = "mean",
    axis: int | tuple[int, ...] | None = None,
) -> torch.Tensor:
    """
    Evaluate a loss of tensors such that autograd can differentiate it by the prediction.

    The gradient is computed together with the value, in one pass over the prediction, if it will be needed:

        d value / d prediction = grad_output * gradient

    Parameters
    ----------
    loss : Loss
        Any loss object of fastloss, such as ``fl.Huber(delta=1.5)``.
    prediction : torch.Tensor
        A dense tensor on the CPU.
    target : torch.Tensor or array_like
        As the loss takes it. It gets no gradient, so it must not require one.
    sample_weight : torch.Tensor or array_like, optional
        As the loss takes it; finite and >= 0. It must not require a gradient.
    reduction : {"mean", "sum", "none"}, default "mean"
        sum(w l) / sum(w), sum(w l), or the values w l as a tensor.
    axis : int, or tuple of int for set losses, optional
        The axis of the classes of a row-wise loss, by default the last; the axes over which the sets of a set loss
        extend, by default all. Other losses take none.

    Returns
    -------
    torch.Tensor
        In the dtype of `prediction` (float64 for integers); without dimensions unless `reduction` is "none".

    Raises
    ------
    TypeError
        If an argument is not of its type, or `axis` is given to a loss that takes none.
    ValueError
        If a tensor is not on the CPU, a target or weight requires a gradient, or the loss refuses what it is given.
    RuntimeError
        If the result is differentiated twice (``create_graph=True``).

    Notes
    -----
    Tensors and kernels share memory: float64 and float32 are not copied, in any memory order of the prediction. float16
    and bfloat16 predictions are computed in a float32 copy, and the gradient is rounded to their dtype. The gradient
    is one new tensor of the prediction's size, kept until the graph is freed.

    With ``reduction="none"`` each value depends on its own element, row or set only, and so takes its own factor in the
    backward pass. Functional transforms (``torch.func``) cannot look into it.

    Examples
    --------
    >>> import torch
    >>> import fastloss as fl
    >>> import fastloss.torch
    >>> prediction = torch.tensor([0.0, 3.0], requires_grad=True)
    >>> value = fastloss.torch.apply(fl.Huber(delta=1.5), prediction, torch.tensor([0.5, 0.0]))
    >>> value.backward()
    >>> prediction.grad
    tensor([-0.2500,  0.7500])
    """
    options = _options(loss, reduction, axis)
    if not isinstance(prediction, torch.Tensor):
        raise TypeError(f"prediction must be a torch.Tensor, not {type(prediction).__name__}")
    _check_on_cpu("prediction", prediction)
    constants = [_constant("target", target), _constant("sample_weight", sample_weight)]
    if prediction.requires_grad and torch.is_grad_enabled():
        # A node for the backward pass, and its gradient, only where there will be one.
        return _Apply.apply(loss, prediction, *constants, options)  # type: ignore[no-any-return, no-untyped-call, unused-ignore]
    value = loss(_array(prediction), constants[0], sample_weight=constants[1], **options)  # type: ignore[operator]
    return _tensor(value, prediction)


class _Apply(torch.autograd.Function):  # type: ignore[misc, unused-ignore]
    @staticmethod
    def forward(ctx: Any, loss: Any, prediction: torch.Tensor, target: Any, sample_weight: Any, options: Any) -> Any:
        value, gradient = loss.value_and_gradient(_array(prediction), target, sample_weight=sample_weight, **options)
        ctx.save_for_backward(_tensor(gradient, prediction))
        ctx.reduced = _reduced_axes(loss, prediction.ndim, options) if options["reduction"] == "none" else None
        return _tensor(value, prediction)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "fastloss.torch.apply can be differentiated once only: its backward pass was asked for a graph of its "
                "own (create_graph=True, or a second derivative), which it does not have"
            )
        (grad_output,) = grad_outputs
        (gradient,) = ctx.saved_tensors
        if ctx.reduced is not None:
            shape = [1 if number in ctx.reduced else size for number, size in enumerate(gradient.shape)]
            gradient = gradient * grad_output.reshape(shape)
        elif grad_output != 1:
            # A loss is usually the root of its graph, and the factor 1.
            gradient = gradient * grad_output
        return None, gradient, None, None, None


def _options(loss: Any, reduction: str, axis: Any) -> dict[str, Any]:
    """Return what a loss's methods take besides arrays."""
    if not isinstance(loss, Loss):
        is_class = isinstance(loss, type) and issubclass(loss, Loss)
        hint = f": pass an object, {loss.__name__}()" if is_class else ""
        raise TypeError(f"loss must be a loss object of fastloss, not {loss!r}{hint}")
    if loss.kind in ("rowwise", "columns"):
        return {"reduction": reduction, "axis": -1 if axis is None else axis}
    if isinstance(loss, SetLoss):
        return {"reduction": reduction, "axis": axis}
    if axis is not None:
        raise TypeError(f"{loss.name} is evaluated element by element and takes no axis")
    return {"reduction": reduction}


def _reduced_axes(loss: Any, ndim: int, options: dict[str, Any]) -> set[int]:
    """Return the axes that the values of a loss do not have."""
    if isinstance(loss, PointwiseLoss):
        return set()
    axis = options["axis"]
    if axis is None:
        return set(range(ndim))
    return {operator.index(each) % ndim for each in (axis if isinstance(axis, tuple) else (axis,))}


def _check_on_cpu(argument: str, tensor: torch.Tensor) -> None:
    if tensor.device.type != "cpu":
        raise ValueError(
            f"{argument} is on device {tensor.device}; fastloss computes on the CPU: pass {argument}.cpu()"
        )
    if tensor.layout != torch.strided:
        raise TypeError(
            f"{argument} has layout {tensor.layout}; pass a dense tensor, for example {argument}.to_dense()"
        )


def _constant(argument: str, value: Any) -> Any:
    """Return what gets no gradient as the loss reads it."""
    if not isinstance(value, torch.Tensor):
        return value
    _check_on_cpu(argument, value)
    if value.requires_grad:
        raise ValueError(f"{argument} requires a gradient, but gets none: pass {argument}.detach()")
    return _array(value)


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Return a view of a tensor, or a float32 copy where NumPy has no such type. The kernels would make that, too."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    return np.asarray((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy())


def _tensor(result: Any, prediction: torch.Tensor) -> torch.Tensor:
    """Return a number or an array as a tensor of the dtype of the prediction."""
    dtype = prediction.dtype if prediction.dtype.is_floating_point else torch.float64
    tensor = torch.from_numpy(np.asarray(result))
    return tensor.to(dtype)
