"""
Loss functions with gradients and Hessians for NumPy arrays, in one pass over memory.

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

import os
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

from . import _parameters
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
from .groups import GroupSoftmax, PairwiseLogistic, group_softmax, pairwise_logistic
from .likelihood import (
    BetaNLL,
    GammaNLL,
    GaussianCRPS,
    GaussianNLL,
    LaplaceNLL,
    LogisticNLL,
    LogNormalCRPS,
    LogNormalNLL,
    NegativeBinomialNLL,
    Quantiles,
    StudentTNLL,
    WeibullNLL,
    ZeroInflatedPoissonNLL,
    beta_nll,
    gamma_nll,
    gaussian_crps,
    gaussian_nll,
    laplace_nll,
    log_normal_crps,
    log_normal_nll,
    logistic_nll,
    negative_binomial_nll,
    quantiles,
    student_t_nll,
    weibull_nll,
    zero_inflated_poisson_nll,
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
from .ordinal import AllThreshold, CumulativeLogit, all_threshold, cumulative_logit
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
    Barron,
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
    SquaredLogError,
    Tukey,
    absolute_error,
    absolute_percentage_error,
    barron,
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
    squared_log_error,
    tukey,
)
from .rowwise import (
    log_sigmoid,
    log_softmax,
    logsumexp,
    sigmoid,
    softmax,
)
from .survival import (
    AFT,
    CoxPH,
    aft,
    concordance_index,
    cox_ph,
    integrated_brier_score,
    survival_target,
    time_dependent_auc,
)

if TYPE_CHECKING:
    from . import reference
    from ._check import check_objective
    from ._streaming import streaming

__version__ = "0.1.0"

__all__ = [
    "AFT",
    "AbsoluteError",
    "AbsolutePercentageError",
    "AllThreshold",
    "Barron",
    "BetaNLL",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "Brier",
    "Cauchy",
    "CoxPH",
    "CrossEntropy",
    "CumulativeLogit",
    "Dice",
    "EpsilonInsensitive",
    "Expectile",
    "Exponential",
    "Fair",
    "Focal",
    "Gamma",
    "GammaNLL",
    "GaussianCRPS",
    "GaussianNLL",
    "GeneralizedCrossEntropy",
    "GroupSoftmax",
    "Hinge",
    "Huber",
    "InverseGaussian",
    "Jaccard",
    "KLDivergence",
    "LaplaceNLL",
    "LogCosh",
    "LogNormalCRPS",
    "LogNormalNLL",
    "LogisticNLL",
    "Loss",
    "ModifiedHuber",
    "MulticlassHinge",
    "NegativeBinomial",
    "NegativeBinomialNLL",
    "PairwiseLogistic",
    "Poisson",
    "Poly1",
    "PseudoHuber",
    "Quantile",
    "Quantiles",
    "SmoothL1",
    "SoftF1",
    "SquaredEpsilonInsensitive",
    "SquaredError",
    "SquaredHinge",
    "SquaredLogError",
    "StudentTNLL",
    "Tukey",
    "Tversky",
    "Tweedie",
    "WeibullNLL",
    "ZeroInflatedPoissonNLL",
    "absolute_error",
    "absolute_percentage_error",
    "aft",
    "all_threshold",
    "barron",
    "beta_nll",
    "binary_cross_entropy",
    "binary_focal",
    "brier",
    "cauchy",
    "check_objective",
    "concordance_index",
    "config",
    "cox_ph",
    "cross_entropy",
    "cumulative_logit",
    "dice",
    "epsilon_insensitive",
    "expectile",
    "exponential",
    "fair",
    "focal",
    "gamma",
    "gamma_nll",
    "gaussian_crps",
    "gaussian_nll",
    "generalized_cross_entropy",
    "get_include",
    "get_num_threads",
    "group_softmax",
    "hinge",
    "huber",
    "integrated_brier_score",
    "inverse_gaussian",
    "jaccard",
    "kl_divergence",
    "l2",
    "laplace_nll",
    "linear_cross_entropy",
    "linear_cross_entropy_value_and_gradient",
    "log_cosh",
    "log_normal_crps",
    "log_normal_nll",
    "log_sigmoid",
    "log_softmax",
    "logistic_nll",
    "logsumexp",
    "losses",
    "modified_huber",
    "mse",
    "multiclass_hinge",
    "negative_binomial",
    "negative_binomial_nll",
    "num_threads",
    "pairwise_logistic",
    "poisson",
    "poly1",
    "pseudo_huber",
    "quantile",
    "quantiles",
    "reference",
    "set_num_threads",
    "sigmoid",
    "smooth_l1",
    "soft_f1",
    "softmax",
    "squared_epsilon_insensitive",
    "squared_error",
    "squared_hinge",
    "squared_log_error",
    "streaming",
    "student_t_nll",
    "survival_target",
    "time_dependent_auc",
    "tukey",
    "tversky",
    "tweedie",
    "weibull_nll",
    "zero_inflated_poisson_nll",
    "zero_one",
]


def losses() -> list[type[Loss]]:
    """
    Return every loss class, sorted by name.

    Examples
    --------
    >>> import fastloss as fl
    >>> [loss.__name__ for loss in fl.losses()][:3]
    ['AFT', 'AbsoluteError', 'AbsolutePercentageError']
    """
    exported = [globals().get(name) for name in __all__]
    return [each for each in exported if isinstance(each, type) and issubclass(each, Loss) and each is not Loss]


for _each in losses():
    _parameters.as_attributes(_each)


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


def get_include() -> str:
    """
    Return the folder of `fastloss_api.h` and `fastloss_api.pxd`, by which other extensions compute losses.

    Examples
    --------
    >>> import fastloss as fl
    >>> import os
    >>> sorted(os.listdir(fl.get_include()))
    ['fastloss_api.h', 'fastloss_api.pxd']
    """
    return os.path.join(os.path.dirname(__file__), "include")


# Modules that import their library, when they are touched.
_MODULES = ("catboost", "dask", "lightgbm", "onnx", "reference", "sklearn", "torch", "xgboost")

if not TYPE_CHECKING:  # it would give a type to every misspelled name

    def __getattr__(name: str) -> Any:
        # Nobody waits for them at import.
        if name in _MODULES:
            from importlib import import_module

            return import_module(f"fastloss.{name}")
        if name == "check_objective":
            from ._check import check_objective

            return check_objective
        if name == "streaming":
            from ._streaming import streaming

            return streaming
        raise AttributeError(f"module 'fastloss' has no attribute {name!r}")


def __dir__() -> list[str]:
    dunders = [name for name in globals() if name.startswith("__") and name != "__getattr__"]
    return sorted({*__all__, *_MODULES, *dunders})
