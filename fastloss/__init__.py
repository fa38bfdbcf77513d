"""
Loss functions with gradients and Hessians for NumPy arrays, at the speed of memory.

A loss is one small immutable object; plain functions of the same name are there for one number.

>>> import fastloss as fl
>>> fl.huber([0.0, 3.0], [0.5, 0.0], delta=1.5)
1.75
>>> loss = fl.Huber(delta=1.5)
>>> value, gradient = loss.value_and_gradient([0.0, 3.0], [0.5, 0.0])
>>> gradient
array([-0.25,  0.75])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import fastloss._kernels as _kernels
except ModuleNotFoundError as error:
    if error.name != "fastloss._kernels":
        raise
    raise ImportError(
        "the compiled part of fastloss is missing: this is its source, not an installed package. "
        "Install it with `pip install .` in the checkout and start Python from another directory"
    ) from None

from ._kernels import Loss, get_num_threads
from ._threads import num_threads, set_num_threads
from .binary import (
    BinaryCrossEntropy,
    BinaryFocal,
    Brier,
    Exponential,
    Hinge,
    ModifiedHuber,
    SquaredHinge,
    binary_cross_entropy,
    binary_focal,
    brier,
    exponential,
    hinge,
    modified_huber,
    squared_hinge,
)
from .distribution import (
    Gamma,
    InverseGaussian,
    NegativeBinomial,
    Poisson,
    Tweedie,
    gamma,
    inverse_gaussian,
    negative_binomial,
    poisson,
    tweedie,
)
from .linear import linear_cross_entropy, linear_cross_entropy_value_and_gradient
from .multiclass import (
    CrossEntropy,
    Focal,
    GeneralizedCrossEntropy,
    KLDivergence,
    MulticlassHinge,
    Poly1,
    cross_entropy,
    focal,
    generalized_cross_entropy,
    kl_divergence,
    multiclass_hinge,
    poly1,
    zero_one,
)
from .overlap import (
    Dice,
    Jaccard,
    SoftF1,
    Tversky,
    dice,
    jaccard,
    soft_f1,
    tversky,
)
from .regression import (
    AbsoluteError,
    AbsolutePercentageError,
    Cauchy,
    EpsilonInsensitive,
    Expectile,
    Fair,
    Huber,
    LogCosh,
    PseudoHuber,
    Quantile,
    SmoothL1,
    SquaredEpsilonInsensitive,
    SquaredError,
    Tukey,
    absolute_error,
    absolute_percentage_error,
    cauchy,
    epsilon_insensitive,
    expectile,
    fair,
    huber,
    l2,
    log_cosh,
    mse,
    pseudo_huber,
    quantile,
    smooth_l1,
    squared_epsilon_insensitive,
    squared_error,
    tukey,
)
from .rowwise import (
    log_sigmoid,
    log_softmax,
    logsumexp,
    sigmoid,
    softmax,
)

if TYPE_CHECKING:
    from . import reference
    from ._check import check_objective

__version__ = "0.1.0"

__all__ = [
    "AbsoluteError",
    "AbsolutePercentageError",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "Brier",
    "Cauchy",
    "CrossEntropy",
    "Dice",
    "EpsilonInsensitive",
    "Expectile",
    "Exponential",
    "Fair",
    "Focal",
    "Gamma",
    "GeneralizedCrossEntropy",
    "Hinge",
    "Huber",
    "InverseGaussian",
    "Jaccard",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "ModifiedHuber",
    "MulticlassHinge",
    "NegativeBinomial",
    "Poisson",
    "Poly1",
    "PseudoHuber",
    "Quantile",
    "SmoothL1",
    "SoftF1",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "SquaredHinge",
    "Tukey",
    "Tversky",
    "Tweedie",
    "absolute_error",
    "absolute_percentage_error",
    "binary_cross_entropy",
    "binary_focal",
    "brier",
    "cauchy",
    "check_objective",
    "config",
    "cross_entropy",
    "dice",
    "epsilon_insensitive",
    "expectile",
    "exponential",
    "fair",
    "focal",
    "gamma",
    "generalized_cross_entropy",
    "get_num_threads",
    "hinge",
    "huber",
    "inverse_gaussian",
    "jaccard",
    "kl_divergence",
    "l2",
    "linear_cross_entropy",
    "linear_cross_entropy_value_and_gradient",
    "log_cosh",
    "log_sigmoid",
    "log_softmax",
    "logsumexp",
    "losses",
    "modified_huber",
    "mse",
    "multiclass_hinge",
    "negative_binomial",
    "num_threads",
    "poisson",
    "poly1",
    "pseudo_huber",
    "quantile",
    "reference",
    "set_num_threads",
    "sigmoid",
    "smooth_l1",
    "soft_f1",
    "softmax",
    "squared_epsilon_insensitive",
    "squared_error",
    "squared_hinge",
    "tukey",
    "tversky",
    "tweedie",
    "zero_one",
]


def losses() -> list[type[Loss]]:
    """
    Return every loss class, sorted by name.

    Examples
    --------
    >>> import fastloss as fl
    >>> [loss.__name__ for loss in fl.losses()][:3]
    ['AbsoluteError', 'AbsolutePercentageError', 'BinaryCrossEntropy']
    """
    exported = [globals().get(name) for name in __all__]
    return [each for each in exported if isinstance(each, type) and issubclass(each, Loss) and each is not Loss]


def config() -> dict[str, Any]:
    """
    Return what runs here.

    Returns
    -------
    dict
        ``version``; ``isa``, the instruction set in use, and ``isas``, those that can run here
        (``FASTLOSS_ISA`` forces one at import); ``threads`` of a large call; ``openmp``; ``compiler``.

    Examples
    --------
    >>> import fastloss as fl
    >>> fl.config()["isa"] in fl.config()["isas"]
    True
    """
    return {"version": __version__, "threads": get_num_threads(), **_kernels.config()}


if not TYPE_CHECKING:  # it would give a type to every misspelled name

    def __getattr__(name: str) -> Any:
        # For tests and for readers: nobody waits for them at import.
        if name == "reference":
            import fastloss.reference as module

            return module
        if name == "check_objective":
            from ._check import check_objective

            return check_objective
        raise AttributeError(f"module 'fastloss' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
