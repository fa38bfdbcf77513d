"""PyTorch: any loss of this package as an autograd function over CPU tensors, and as a module."""

# mypy: allow-subclassing-any, allow-untyped-calls, allow-untyped-decorators, no-warn-return-any

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import operator
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _call
from ._arrays import BFLOAT16_BITS
from ._kernels import Loss as _Loss
from ._kernels import PointwiseLoss, SetLoss
from ._resolve import resolve

try:
    import torch  # PyTorch: this file is fastloss.torch, and imports are absolute
    from torch.autograd import forward_ad
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise
    raise ImportError('fastloss.torch needs PyTorch: pip install "fastloss[torch]"') from None

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Loss", "apply"]


def apply(
    loss: _Loss,
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

    Forward mode, second derivatives, ``torch.func`` and ``torch.compile(fullgraph=True)`` work as with torch's own.

    Parameters
    ----------
    loss : Loss
        Any loss object of fastloss, such as ``fl.Huber(delta=1.5)``.
    prediction : torch.Tensor
        A dense tensor on the CPU.
    target : torch.Tensor or array_like
        As the loss takes it. It gets no gradient, so it must neither require one nor carry a tangent.
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
        If the result is differentiated more often than the loss allows: thrice, or twice for losses of sets and
        `MulticlassHinge`, which have no products with their Hessians.

    Notes
    -----
    Tensors and kernels share memory: nothing is copied, in any memory order of the prediction. float16 and bfloat16
    are computed in float32, and the gradient is rounded to them once. The gradient is one new tensor of the
    prediction's size, kept with the prediction until the graph is freed.

    With ``reduction="none"`` each value depends on its own element, row or set only, and so takes its own factor in the
    backward pass. Second derivatives are products with the diagonal Hessian, or with that of each row; at a kink they
    are 0. Of what `torch.vmap` maps over, each member is a call of its own. Under `torch.compile` the call is the
    operator ``torch.ops.fastloss.value_and_gradient``, which can be differentiated once.

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
    # Tensors go through autograd; everything else goes past it.
    of_target = _constant("target", target) if isinstance(target, torch.Tensor) else None
    of_weight = _constant("sample_weight", sample_weight) if isinstance(sample_weight, torch.Tensor) else None
    # The gradient only where there will be a backward pass.
    ahead = prediction.requires_grad and torch.is_grad_enabled()
    if torch.compiler.is_compiling():
        weight = None if sample_weight is None else torch.as_tensor(sample_weight)
        axes = _axes(axis)
        return _operator(prediction, torch.as_tensor(target), weight, _text_of(loss), reduction, axes, ahead)[0]
    evaluation = _Evaluation(
        loss, options, target if of_target is None else None, sample_weight if of_weight is None else None
    )
    if not _is_transformed():
        if not ahead:
            return evaluation.value(prediction, of_target, of_weight)
        # What leaves a transform of torch.func may come wrapped.
        prediction = torch._C._functorch.unwrap_if_dead(prediction)
        return _plain_value(prediction, of_target, of_weight, evaluation)
    return _Value.apply(prediction, of_target, of_weight, evaluation, ahead)[0]


class Loss(torch.nn.Module):
    """
    A loss as a module, with its reduction: what `apply` computes.

    Parameters
    ----------
    loss : Loss or str
        A loss object of fastloss, or the name of one with its defaults.
    reduction : {"mean", "sum", "none"}, default "mean"
        As for `apply`.
    axis : int, or tuple of int for set losses, optional
        As for `apply`.

    Raises
    ------
    TypeError, ValueError
        If `loss` is none, `reduction` is none of the three, or `axis` is given to a loss that takes none.

    Examples
    --------
    >>> import torch
    >>> import fastloss as fl
    >>> import fastloss.torch
    >>> criterion = fastloss.torch.Loss(fl.Huber(delta=1.5))
    >>> criterion
    Loss(Huber(delta=1.5), reduction='mean')
    >>> criterion(torch.tensor([0.0, 3.0]), torch.tensor([0.5, 0.0]))
    tensor(1.7500)
    """

    def __init__(self, loss: _Loss | str, reduction: str = "mean", axis: int | tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.loss, self.reduction, self.axis = resolve(loss), reduction, axis
        _call.check_choice("reduction", reduction, _call.REDUCTIONS)
        _options(self.loss, reduction, axis)

    def forward(
        self,
        prediction: torch.Tensor,
        target: torch.Tensor | ArrayLike,
        sample_weight: torch.Tensor | ArrayLike | None = None,
    ) -> torch.Tensor:
        """
        Return the loss of a prediction.

        Parameters
        ----------
        prediction, target, sample_weight
            As for `apply`.

        Returns
        -------
        torch.Tensor
            As from `apply`.
        """
        return apply(
            self.loss, prediction, target, sample_weight=sample_weight, reduction=self.reduction, axis=self.axis
        )

    def extra_repr(self) -> str:
        """Return what stands in the parentheses of a printed module."""
        axis = "" if self.axis is None else f", axis={self.axis}"
        return f"{self.loss!r}, reduction={self.reduction!r}{axis}"


# ------------------------------------------------------------------------------------------- derivatives, for autograd


@dataclasses.dataclass(slots=True)
class _Evaluation:
    """A loss, its options and the constants that are no tensors: what autograd passes on as it is."""

    loss: Any
    options: dict[str, Any]
    target: Any = None
    sample_weight: Any = None

    def _arrays(self, target: torch.Tensor | None, weight: torch.Tensor | None) -> tuple[Any, dict[str, Any]]:
        sample_weight = self.sample_weight if weight is None else _array(weight)
        return self.target if target is None else _array(target), {"sample_weight": sample_weight, **self.options}

    def value(self, prediction: torch.Tensor, *constants: torch.Tensor | None) -> torch.Tensor:
        target, options = self._arrays(*constants)
        return _tensor(self.loss(_array(prediction), target, **options), prediction)

    def value_and_gradient(
        self, prediction: torch.Tensor, *constants: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        target, options = self._arrays(*constants)
        if prediction.dtype != torch.bfloat16:
            value, gradient = self.loss.value_and_gradient(_array(prediction), target, **options)
            return _tensor(value, prediction), _tensor(gradient, prediction)
        out = torch.empty_like(prediction)
        value, _ = self.loss.value_and_gradient(_array(prediction), target, gradient_out=_array(out), **options)
        return _tensor(value, prediction), out

    def hessian_product(
        self, prediction: torch.Tensor, vector: torch.Tensor, *constants: torch.Tensor | None
    ) -> torch.Tensor:
        target, options = self._arrays(*constants)
        if isinstance(self.loss, PointwiseLoss):
            hessian = self.loss.gradient_and_hessian(_array(prediction), target, **options)[1]
            return _tensor(hessian, prediction) * vector
        if not hasattr(self.loss, "hessian_vector_product"):
            raise RuntimeError(
                f"fastloss.torch can differentiate {self.loss.name} once only: a second derivative was asked for "
                f"(a backward pass through create_graph=True, or a transform in a transform), but this loss has no "
                f"product with its Hessian"
            )
        try:
            array = _array(vector)
        except RuntimeError as error:  # many vectors at once, without the transforms that autograd functions see
            raise RuntimeError(
                f"a batch of second derivatives of {self.loss.name} needs torch.func: use torch.func.hessian, or "
                f"vectorize=False"
            ) from error
        return _tensor(self.loss.hessian_vector_product(_array(prediction), target, array, **options), prediction)

    def reduced_axes(self, ndim: int) -> list[int]:
        """Return the axes that the values do not have."""
        if self.options["reduction"] != "none":
            return list(range(ndim))
        if isinstance(self.loss, PointwiseLoss):
            return []
        axes = _axes(self.options["axis"])
        return list(range(ndim)) if axes is None else sorted({axis % ndim for axis in axes})


def _mapped(function: Any, info: Any, in_dims: Any, arguments: Any) -> Any:
    """Return what `torch.vmap` wants of an autograd function: each member of the batch is a call of its own."""
    results = [
        function.apply(
            *(each if dim is None else each.select(dim, number) for each, dim in zip(arguments, in_dims, strict=True))
        )
        for number in range(info.batch_size)
    ]
    if not isinstance(results[0], tuple):
        return torch.stack(results), 0
    outputs = [None if each[0] is None else torch.stack(each) for each in zip(*results, strict=True)]
    return tuple(outputs), tuple(None if each is None else 0 for each in outputs)


class _Function(torch.autograd.Function):
    """A function whose signature torch need not find out anew at each call, which takes longer than a small loss."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        forward: Any = cls.forward
        forward.__signature__ = inspect.signature(forward)


class _Value(_Function):
    """The value; and the gradient, ahead of the backward pass, as a constant."""

    @staticmethod
    def forward(prediction: Any, target: Any, weight: Any, evaluation: Any, ahead: bool) -> Any:
        if ahead:
            return evaluation.value_and_gradient(prediction, target, weight)
        return evaluation.value(prediction, target, weight), None

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        prediction, target, weight, ctx.evaluation, _ = inputs
        gradient = output[1]
        if gradient is not None:
            ctx.mark_non_differentiable(gradient)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(prediction, gradient, target, weight)
        ctx.save_for_forward(prediction, gradient, target, weight)

    @staticmethod
    def backward(ctx: Any, factor: Any, _: Any) -> Any:
        return _gradient_times(factor, ctx), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Any, *of_constants: Any) -> Any:
        _check_forward_mode(*of_constants[:2])
        gradient = _Gradient.apply(*ctx.saved_tensors, ctx.evaluation)
        axes = ctx.evaluation.reduced_axes(gradient.ndim)
        product = gradient * tangent
        return product.sum(axes) if axes else product, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> Any:
        return _mapped(_Value, info, in_dims, arguments)


class _PlainValue(torch.autograd.Function):
    """The value where backward passes alone may follow: the same without what transforms need, which takes longer."""

    @staticmethod
    def forward(ctx: Any, prediction: Any, target: Any, weight: Any, evaluation: Any) -> Any:
        value, gradient = evaluation.value_and_gradient(prediction, target, weight)
        ctx.evaluation = evaluation
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(prediction, gradient, target, weight)
        return value

    @staticmethod
    def backward(ctx: Any, factor: Any) -> Any:
        return _gradient_times(factor, ctx), None, None, None


def _plain_value(*arguments: Any) -> Any:
    """Apply `_PlainValue` past `Function.apply`, which looks for transforms once more."""
    return super(torch.autograd.Function, _PlainValue).apply(*arguments)


def _gradient_times(factor: torch.Tensor | None, ctx: Any) -> torch.Tensor | None:
    """Return the gradient times what comes from above in a backward pass: as it is where that is 1."""
    if factor is None:
        return None
    prediction, gradient, target, weight = ctx.saved_tensors
    if gradient is None or torch.is_grad_enabled() or _has_tangent(prediction):
        gradient = _Gradient.apply(prediction, gradient, target, weight, ctx.evaluation)
    if _is_one(factor):
        return gradient
    if factor.ndim:
        axes = ctx.evaluation.reduced_axes(gradient.ndim)
        factor = factor.reshape([1 if axis in axes else size for axis, size in enumerate(gradient.shape)])
    return gradient * factor


def _has_tangent(tensor: torch.Tensor) -> bool:
    return forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None


def _is_transformed() -> bool:
    """Whether a transform of `torch.func` or a level of forward mode is at work."""
    return forward_ad._current_level >= 0 or torch._C._are_functorch_transforms_active()


class _Gradient(_Function):
    """The gradient as a function of the prediction; where it has been computed ahead, that one."""

    @staticmethod
    def forward(prediction: Any, gradient: Any, target: Any, weight: Any, evaluation: Any) -> Any:
        if gradient is None:
            return evaluation.value_and_gradient(prediction, target, weight)[1]
        return gradient.view_as(gradient)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        prediction, _, target, weight, ctx.evaluation = inputs
        ctx.save_for_backward(prediction, target, weight)
        ctx.save_for_forward(prediction, target, weight)

    @staticmethod
    def backward(ctx: Any, vector: Any) -> Any:
        prediction, *constants = ctx.saved_tensors
        return _HessianProduct.apply(prediction, vector, *constants, ctx.evaluation), None, None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Any, *_: Any) -> Any:
        _check_forward_mode()
        prediction, *constants = ctx.saved_tensors
        return _HessianProduct.apply(prediction, tangent, *constants, ctx.evaluation)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> Any:
        return _mapped(_Gradient, info, in_dims, arguments)


class _HessianProduct(_Function):
    """The Hessian at the prediction times a vector; only the second can be differentiated by."""

    @staticmethod
    def forward(prediction: Any, vector: Any, target: Any, weight: Any, evaluation: Any) -> Any:
        return evaluation.hessian_product(prediction, vector, target, weight)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        prediction, _, target, weight, ctx.evaluation = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(prediction, target, weight)
        ctx.save_for_forward(prediction, target, weight)

    @staticmethod
    def backward(ctx: Any, vector: Any) -> Any:
        if ctx.needs_input_grad[0]:
            raise RuntimeError(TWICE_ONLY)
        prediction, *constants = ctx.saved_tensors
        return None, _HessianProduct.apply(prediction, vector, *constants, ctx.evaluation), None, None, None

    @staticmethod
    def jvp(ctx: Any, tangent_of_prediction: Any, tangent: Any, *_: Any) -> Any:
        if tangent_of_prediction is not None:
            raise RuntimeError(TWICE_ONLY)
        prediction, *constants = ctx.saved_tensors
        return _HessianProduct.apply(prediction, tangent, *constants, ctx.evaluation)

    @staticmethod
    def vmap(info: Any, in_dims: Any, *arguments: Any) -> Any:
        return _mapped(_HessianProduct, info, in_dims, arguments)


def _check_forward_mode(target: Any = None, weight: Any = None) -> None:
    for argument, tangent in (("target", target), ("sample_weight", weight)):
        if tangent is not None:
            raise ValueError(f"{argument} has a tangent, but gets no derivative: pass {argument}.detach()")
    # torch would lose the outer tangent of any autograd function, without a word.
    levels = [interpreter.key() for interpreter in torch._C._functorch.get_interpreter_stack() or []]
    if levels.count(torch._C._functorch.TransformType.Jvp) > 1:
        raise RuntimeError(
            "torch cannot differentiate an autograd function by forward mode in forward mode: use torch.func.hessian, "
            "which is forward mode over a backward pass"
        )


CPU = torch.device("cpu")  # also where another device is the default
TWICE_ONLY = "fastloss.torch.apply can be differentiated twice only: a third derivative was asked for"


def _is_one(factor: torch.Tensor) -> bool:
    """Whether a factor may be left out: a loss is usually the root of its graph, and the factor 1."""
    if factor.ndim or torch.is_grad_enabled():
        return False
    try:
        return factor.item() == 1 and not _has_tangent(factor)
    except RuntimeError:  # it is many at once, in a batch of backward passes
        return False


# ------------------------------------------------------------------------------------------ an operator, for compilers


@functools.cache
def _loss_of(text: str) -> Any:
    parameters = json.loads(text)
    return type(resolve(parameters.pop("loss")))(**parameters)


@torch.compiler.assume_constant_result
def _text_of(loss: Any) -> str:
    """Return a loss as a text that stands in a graph."""
    parameters = {name: np.asarray(value).tolist() for name, value in loss.parameters.items()}
    text = json.dumps({"loss": loss.name, **parameters})
    if _loss_of(text) != loss:
        raise TypeError(f"torch.compile takes the losses of fastloss themselves, not {loss!r}")
    return text


@torch.library.custom_op(
    "fastloss::value_and_gradient",
    mutates_args=(),
    device_types="cpu",
    schema="(Tensor prediction, Tensor target, Tensor? sample_weight, str loss, str reduction, int[]? axis, bool ahead)"
    " -> (Tensor, Tensor)",
)
def _operator(
    prediction: Any, target: Any, sample_weight: Any, loss: str, reduction: str, axis: Any, ahead: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    evaluation = _evaluation_of(loss, reduction, axis)
    like = _gradient_like(prediction, ahead)
    if not ahead:
        return evaluation.value(prediction, target, sample_weight), like
    value, gradient = evaluation.value_and_gradient(prediction, target, sample_weight)
    return value, gradient if gradient.stride() == like.stride() else like.copy_(gradient)


@_operator.register_fake
def _(prediction: Any, target: Any, sample_weight: Any, loss: str, reduction: str, axis: Any, ahead: bool) -> Any:
    axes = _evaluation_of(loss, reduction, axis).reduced_axes(prediction.ndim)
    shape = [size for number, size in enumerate(prediction.shape) if number not in axes]
    return prediction.new_empty(shape, dtype=_dtype_of(prediction)), _gradient_like(prediction, ahead)


def _setup_context(ctx: Any, inputs: Any, output: Any) -> None:
    prediction, _, _, loss, reduction, axis, _ = inputs
    ctx.axes = _evaluation_of(loss, reduction, axis).reduced_axes(prediction.ndim)
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(output[1])


def _backward(ctx: Any, factor: Any, _: Any) -> Any:
    (gradient,) = ctx.saved_tensors
    shape = [1 if axis in ctx.axes else size for axis, size in enumerate(gradient.shape)]
    return gradient * factor.reshape(shape), None, None, None, None, None, None


_operator.register_autograd(_backward, setup_context=_setup_context)


def _evaluation_of(loss: str, reduction: str, axis: Any) -> _Evaluation:
    found = _loss_of(loss)
    return _Evaluation(found, _options(found, reduction, axis and (axis[0] if len(axis) == 1 else tuple(axis))))


def _gradient_like(prediction: torch.Tensor, ahead: bool) -> torch.Tensor:
    return torch.empty_like(prediction, dtype=_dtype_of(prediction)) if ahead else prediction.new_empty(0)


# ------------------------------------------------------------------------------------------------ arguments and arrays


def _options(loss: Any, reduction: str, axis: Any) -> dict[str, Any]:
    """Return what a loss's methods take besides arrays."""
    if not isinstance(loss, _Loss):
        is_class = isinstance(loss, type) and issubclass(loss, _Loss)
        hint = f": pass an object, {loss.__name__}()" if is_class else ""
        raise TypeError(f"loss must be a loss object of fastloss, not {loss!r}{hint}")
    if loss.kind in ("rowwise", "columns"):
        return {"reduction": reduction, "axis": -1 if axis is None else axis}
    if isinstance(loss, SetLoss):
        return {"reduction": reduction, "axis": axis}
    if axis is not None:
        raise TypeError(f"{loss.name} is evaluated element by element and takes no axis")
    return {"reduction": reduction}


def _axes(axis: Any) -> list[int] | None:
    return None if axis is None else [operator.index(each) for each in (axis if isinstance(axis, tuple) else (axis,))]


def _check_on_cpu(argument: str, tensor: torch.Tensor) -> None:
    if not tensor.is_cpu:
        raise ValueError(
            f"{argument} is on device {tensor.device}; fastloss computes on the CPU: pass {argument}.cpu()"
        )
    if tensor.layout != torch.strided:
        raise TypeError(
            f"{argument} has layout {tensor.layout}; pass a dense tensor, for example {argument}.to_dense()"
        )


def _constant(argument: str, tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor that gets no gradient."""
    _check_on_cpu(argument, tensor)
    if tensor.requires_grad:
        raise ValueError(f"{argument} requires a gradient, but gets none: pass {argument}.detach()")
    return tensor


def _array(tensor: torch.Tensor) -> np.ndarray:
    """Return a view of a tensor; NumPy has no bfloat16, but the kernels take its bits."""
    if tensor.dtype == torch.bfloat16:
        return tensor.detach().view(torch.int16).numpy().view(BFLOAT16_BITS)
    return tensor.numpy(force=True)


def _dtype_of(prediction: torch.Tensor) -> torch.dtype:
    """Return the dtype of values and derivatives."""
    return prediction.dtype if prediction.dtype.is_floating_point else torch.float64


def _tensor(result: Any, prediction: torch.Tensor) -> torch.Tensor:
    """Return a number or an array as a tensor of the dtype of the prediction."""
    dtype = _dtype_of(prediction)
    if isinstance(result, float):
        return torch.scalar_tensor(result, dtype=dtype, device=CPU)
    tensor = torch.from_numpy(np.asarray(result))
    return tensor if tensor.dtype == dtype else tensor.to(dtype)
