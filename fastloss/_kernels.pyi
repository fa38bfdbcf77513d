from collections.abc import Sequence
from typing import Any, ClassVar, Literal, TypeAlias, overload

from numpy.typing import ArrayLike, NDArray
from typing_extensions import Self, disjoint_base

from ._arrays import Reduction
from ._low_level import LowLevel
from ._traits import Traits

_Array: TypeAlias = NDArray[Any]
_Curvature: TypeAlias = Literal["exact", "psd", "majorize", "fisher"]
_Axes: TypeAlias = int | tuple[int, ...] | None

@disjoint_base
class Loss:
    def __init__(self, kernel: str, parameters: dict[str, Any], coefficients: Sequence[float] = ()) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> dict[str, Any]: ...
    @property
    def kind(self) -> Literal["pointwise", "rowwise", "columns", "setwise", "segments"]: ...
    @property
    def curvatures(self) -> tuple[str, ...]: ...
    @property
    def target_domain(self) -> Literal["any", "unit interval", "nonnegative", "positive"]: ...
    traits: ClassVar[Traits]
    def low_level(
        self,
        outputs: str | Sequence[str] = "value",
        *,
        columns: int | None = None,
        dtype: Literal["float64", "float32"] = "float64",
    ) -> LowLevel: ...
    def _add_piece(self, piece: Any, state: _Array, block: int, mean: bool, only_check: bool) -> None: ...
    def _values_of_sets(self, state: _Array, single: bool) -> _Array: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def __add__(self, other: Any) -> Any: ...
    def __radd__(self, other: Any) -> Any: ...
    def __mul__(self, factor: Any) -> Any: ...
    def __rmul__(self, factor: Any) -> Any: ...
    def replace(self, **parameters: Any) -> Self: ...
    def __sklearn_clone__(self) -> Self: ...
    def __eq__(self, value: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __copy__(self) -> Loss: ...
    def __deepcopy__(self, memo: dict[int, Any]) -> Loss: ...

class PointwiseLoss(Loss):
    def _value(
        self, prediction: ArrayLike, target: ArrayLike, sample_weight: ArrayLike | None, reduction: str
    ) -> Any: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> float: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
    ) -> _Array: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
    ) -> Any: ...
    def gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: Reduction = "mean",
        gradient_out: _Array | None = None,
    ) -> _Array: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
        gradient_out: _Array | None = None,
    ) -> tuple[float, _Array]: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
        gradient_out: _Array | None = None,
    ) -> tuple[_Array, _Array]: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        gradient_out: _Array | None = None,
    ) -> tuple[Any, _Array]: ...
    def gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: Reduction = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[_Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[float, _Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[_Array, _Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[Any, _Array, _Array]: ...

@disjoint_base
class RowwiseLoss(Loss):
    def _full_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        vector: ArrayLike | None,
        axis: int,
        sample_weight: ArrayLike | None,
        reduction: str,
        curvature: str,
    ) -> _Array: ...
    def _value(
        self, prediction: ArrayLike, target: ArrayLike, axis: int, sample_weight: ArrayLike | None, reduction: str
    ) -> Any: ...
    def __init__(
        self,
        kernel: str,
        parameters: dict[str, Any],
        coefficients: Sequence[float] = (),
        class_weight: _Array | None = None,
        label_smoothing: float = 0.0,
        ignore_index: int | None = None,
    ) -> None: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> float: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
    ) -> _Array: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
    ) -> Any: ...
    def gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Reduction = "mean",
        gradient_out: _Array | None = None,
    ) -> _Array: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
        gradient_out: _Array | None = None,
    ) -> tuple[float, _Array]: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
        gradient_out: _Array | None = None,
    ) -> tuple[_Array, _Array]: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        gradient_out: _Array | None = None,
    ) -> tuple[Any, _Array]: ...
    def gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Reduction = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[_Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[float, _Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[_Array, _Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[Any, _Array, _Array]: ...

class ColumnLoss(Loss):
    def _value(
        self, prediction: ArrayLike, target: ArrayLike, axis: int, sample_weight: ArrayLike | None, reduction: str
    ) -> Any: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> float: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
    ) -> _Array: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
    ) -> Any: ...
    def gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Reduction = "mean",
        gradient_out: _Array | None = None,
    ) -> _Array: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
        gradient_out: _Array | None = None,
    ) -> tuple[float, _Array]: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
        gradient_out: _Array | None = None,
    ) -> tuple[_Array, _Array]: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        gradient_out: _Array | None = None,
    ) -> tuple[Any, _Array]: ...
    def gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Reduction = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[_Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[float, _Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[_Array, _Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[Any, _Array, _Array]: ...
    def packed_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Reduction = "mean",
        curvature: Literal["exact", "psd", "fisher"] = "exact",
    ) -> _Array: ...
    def hessian_vector_product(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        vector: ArrayLike,
        *,
        axis: int = -1,
        sample_weight: ArrayLike | None = None,
        reduction: Reduction = "mean",
        curvature: Literal["exact", "psd", "fisher"] = "exact",
    ) -> _Array: ...

class SetLoss(Loss):
    def _value(
        self, prediction: ArrayLike, target: ArrayLike, axis: _Axes, sample_weight: ArrayLike | None, reduction: str
    ) -> Any: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> float: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
    ) -> _Array: ...
    @overload
    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
    ) -> Any: ...
    def gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: Reduction = "mean",
        gradient_out: _Array | None = None,
    ) -> _Array: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
        gradient_out: _Array | None = None,
    ) -> tuple[float, _Array]: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
        gradient_out: _Array | None = None,
    ) -> tuple[_Array, _Array]: ...
    @overload
    def value_and_gradient(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        gradient_out: _Array | None = None,
    ) -> tuple[Any, _Array]: ...
    def gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: Reduction = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[_Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["mean", "sum"] = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[float, _Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: Literal["none"],
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[_Array, _Array, _Array]: ...
    @overload
    def value_gradient_and_hessian(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        axis: _Axes = None,
        sample_weight: ArrayLike | None = None,
        reduction: str = "mean",
        curvature: _Curvature = "exact",
        gradient_out: _Array | None = None,
        hessian_out: _Array | None = None,
    ) -> tuple[Any, _Array, _Array]: ...

class SegmentLoss(Loss):
    def _run(
        self,
        layout: Any,
        workspace: _Array,
        prediction: _Array,
        want: int,
        outputs: Sequence[_Array | None],
        curvature: str,
        scale: float,
    ) -> float: ...

def size_of_workspace(layout: Any) -> int: ...
def count_pairs(times: _Array, ranks: _Array, weights: _Array | None) -> tuple[float, float, float]: ...

@disjoint_base
class Columns:
    def __init__(self, data: _Array, n_rows: int, rows: _Array | None = None, starts: _Array | None = None) -> None: ...
    def products(self, v: _Array, out: _Array, first: int = 0, which: _Array | None = None) -> None: ...
    def moments(self, which: _Array, h: _Array, sums: _Array, squares: _Array) -> None: ...
    def scores(self, which: _Array, coef: _Array, z: _Array) -> None: ...
    def descend(
        self,
        which: _Array,
        coef: _Array,
        of_columns: _Array,
        slope: _Array,
        h: _Array,
        shift: float,
        total: float,
        rounds: int = 1,
    ) -> tuple[float, float]: ...
    def add_squares(self, h: _Array, first: int, out: _Array) -> None: ...
    def ascend(
        self,
        order: _Array,
        n_moving: int,
        of_rows: _Array,
        dual: _Array,
        coef: _Array,
        state: _Array,
        rounds: int,
        seed: int,
    ) -> tuple[float, int]: ...
    def ascend_classes(
        self,
        order: _Array,
        n_moving: int,
        target: _Array,
        of_rows: _Array,
        offset: _Array | None,
        dual: _Array,
        coef: _Array,
        of_classes: _Array,
        state: _Array,
        rounds: int,
        seed: int,
    ) -> tuple[float, int]: ...

def row_function(name: str, x: ArrayLike, axis: int, out: _Array | None) -> Any: ...
def unary(name: str, x: ArrayLike, out: _Array | None) -> Any: ...

_c_api: Any

def _new_flat(loss: Loss, want: int, n_columns: int, single: bool) -> int: ...
def block_items(n_classes: int, n_items: int) -> int: ...
def get_num_threads() -> int: ...
def config() -> dict[str, Any]: ...
