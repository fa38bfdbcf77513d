"""What is measured: the kernels, the work that each needs, and the arrays of a case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

import fastloss as fl

# What a kernel works on: for losses the kind of target (`make_target`), and they return a value and a gradient; row
# functions and "element" functions return an array.
CORE = {
    "huber": "regression",
    "squared_error": "regression",
    "absolute_error": "regression",
    "binary_cross_entropy": "binary",
    "binary_focal": "binary",
    "cross_entropy": "classes",
    "focal": "classes",
    "log_softmax": "row function",
    "softmax": "row function",
    "logsumexp": "row function",
    "sigmoid": "element function",
    "log_sigmoid": "element function",
}

# Losses beyond the core.
CATALOGUE = {
    "hinge": "binary",
    "squared_hinge": "binary",
    "modified_huber": "binary",
    "exponential": "binary",
    "brier": "binary",
    "smooth_l1": "regression",
    "pseudo_huber": "regression",
    "log_cosh": "regression",
    "fair": "regression",
    "cauchy": "regression",
    "tukey": "regression",
    "absolute_percentage_error": "regression",
    "quantile": "regression",
    "expectile": "regression",
    "epsilon_insensitive": "regression",
    "squared_epsilon_insensitive": "regression",
    "poisson": "count",
    "gamma": "positive",
    "tweedie": "count",
    "inverse_gaussian": "positive",
    "negative_binomial": "count",
    "multiclass_hinge": "classes",
    "kl_divergence": "distribution",
    "poly1": "classes",
    "generalized_cross_entropy": "classes",
    "tversky": "set",
    "dice": "set",
    "jaccard": "set",
    "soft_f1": "set",
}

KINDS = CORE | CATALOGUE
ROWS = ("classes", "distribution", "row function")

# Peers are set up with these same parameters.
LOSSES: dict[str, Any] = {
    "huber": fl.Huber(delta=1.0),
    "squared_error": fl.SquaredError(),
    "absolute_error": fl.AbsoluteError(),
    "binary_cross_entropy": fl.BinaryCrossEntropy(),
    "binary_focal": fl.BinaryFocal(gamma=2.0),
    "cross_entropy": fl.CrossEntropy(),
    "focal": fl.Focal(gamma=2.0),
    "hinge": fl.Hinge(),
    "squared_hinge": fl.SquaredHinge(),
    "modified_huber": fl.ModifiedHuber(),
    "exponential": fl.Exponential(),
    "brier": fl.Brier(),
    "smooth_l1": fl.SmoothL1(beta=1.0),
    "pseudo_huber": fl.PseudoHuber(delta=1.0),
    "log_cosh": fl.LogCosh(),
    "fair": fl.Fair(c=1.0),
    "cauchy": fl.Cauchy(c=1.0),
    "tukey": fl.Tukey(c=4.685),
    "absolute_percentage_error": fl.AbsolutePercentageError(epsilon=1.0),
    "quantile": fl.Quantile(q=0.9),
    "expectile": fl.Expectile(q=0.9),
    "epsilon_insensitive": fl.EpsilonInsensitive(epsilon=0.1),
    "squared_epsilon_insensitive": fl.SquaredEpsilonInsensitive(epsilon=0.1),
    "poisson": fl.Poisson(),
    "gamma": fl.Gamma(),
    "tweedie": fl.Tweedie(power=1.5),
    "inverse_gaussian": fl.InverseGaussian(),
    "negative_binomial": fl.NegativeBinomial(dispersion=1.0),
    "multiclass_hinge": fl.MulticlassHinge(margin=1.0),
    "kl_divergence": fl.KLDivergence(),
    "poly1": fl.Poly1(epsilon=1.0),
    "generalized_cross_entropy": fl.GeneralizedCrossEntropy(q=0.7),
    "tversky": fl.Tversky(alpha=0.3, beta=0.7, smooth=1.0),
    "dice": fl.Dice(smooth=1.0),
    "jaccard": fl.Jaccard(smooth=1.0),
    "soft_f1": fl.SoftF1(beta=2.0, smooth=1.0),
}

# What value and gradient of one prediction take (the array, for functions): additions and multiplications (a
# multiply-add counts two), divisions and square roots; exponentials; logarithms. Not counted are comparisons,
# selections and conversions, and what a row needs once.
OPERATIONS: dict[str, tuple[int, int, int]] = {
    "huber": (5, 0, 0),
    "squared_error": (4, 0, 0),
    "absolute_error": (2, 0, 0),
    "binary_cross_entropy": (5, 1, 1),
    "binary_focal": (11, 1, 1),
    "cross_entropy": (3, 1, 0),
    "focal": (4, 1, 0),
    "log_softmax": (3, 1, 0),
    "softmax": (3, 1, 0),
    "logsumexp": (2, 1, 0),
    "sigmoid": (3, 1, 0),
    "log_sigmoid": (1, 1, 1),
    "hinge": (2, 0, 0),
    "squared_hinge": (4, 0, 0),
    "modified_huber": (6, 0, 0),
    "exponential": (2, 1, 0),
    "brier": (8, 1, 0),
    "smooth_l1": (6, 0, 0),
    "pseudo_huber": (8, 0, 0),
    "log_cosh": (8, 1, 1),
    "fair": (7, 0, 1),
    "cauchy": (7, 0, 1),
    "tukey": (12, 0, 0),
    "absolute_percentage_error": (3, 0, 0),
    "quantile": (3, 0, 0),
    "expectile": (5, 0, 0),
    "epsilon_insensitive": (3, 0, 0),
    "squared_epsilon_insensitive": (5, 0, 0),
    "poisson": (4, 1, 0),
    "gamma": (4, 1, 0),
    "tweedie": (8, 1, 0),
    "inverse_gaussian": (7, 1, 0),
    "negative_binomial": (14, 1, 1),
    "multiclass_hinge": (1, 0, 0),
    "kl_divergence": (7, 1, 1),
    "poly1": (4, 1, 0),
    "generalized_cross_entropy": (4, 1, 0),
    **dict.fromkeys(("tversky", "dice", "jaccard", "soft_f1"), (14, 2, 0)),
}
# An exponential or a logarithm is a polynomial of so many operations.
TRANSCENDENTAL = {"float32": 20, "float64": 32}


@dataclass(frozen=True)
class Case:
    """One thing to time, and its targets.

    Targets, each a least factor: "share" of the memory limit; speed against the best peer of a group
    ("users": what users write; "kernels": torch's own kernels chained by hand; "peers": any); "baseline": speed
    against fastloss's own `baseline` kernel on the same arrays.
    """

    section: str
    kernel: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    want: str = "value+gradient"
    outputs: str = "reused"
    targets: dict[str, float] = field(default_factory=dict, hash=False)
    baseline: str | None = None
    option: str = ""

    @property
    def name(self) -> str:
        """The case in words; `--filter` searches here."""
        words = (self.kernel, self.dtype, self.shape_text, self.option or f"{self.want} {self.outputs}")
        return f"{self.section}/{' '.join(words)}"

    @property
    def shape_text(self) -> str:
        """The shape as people write it: 1,000,000 x 10."""
        return " x ".join(f"{length:,}" for length in self.shape)

    @property
    def elements(self) -> int:
        """The number of predictions."""
        return int(np.prod(self.shape))

    @property
    def operations(self) -> int:
        """The arithmetic of value and gradient, or of the array of a function."""
        plain, *transcendental = OPERATIONS[self.kernel]
        return self.elements * (plain + TRANSCENDENTAL[self.dtype] * sum(transcendental))

    def smaller(self, factor: int) -> Case:
        """Return the same case with fewer rows, for a quick look; its targets do not apply."""
        return replace(self, shape=(max(1, self.shape[0] // factor), *self.shape[1:]), targets={})


# The sections whose times are held against the memory limit.
LARGE = ("limits", "catalogue")


# ---- the arrays of a case --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Problem:
    """The arrays of a case: prediction, target (None for functions) and an output to reuse; how the loss is called."""

    case: Case
    z: np.ndarray
    t: Any
    out: np.ndarray
    loss: Any = None
    method: str = "value_and_gradient"
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def bytes_read(self) -> int:
        """Bytes a perfect kernel reads; the gradient of a set loss needs the sums of the whole set first."""
        n_passes = 2 if KINDS[self.case.kernel] == "set" and self.case.want != "value" else 1
        return n_passes * (self.z.nbytes + (0 if self.t is None else self.t.nbytes))

    @property
    def bytes_written(self) -> int:
        """Bytes a perfect kernel writes."""
        return 0 if self.case.want == "value" else self.out.nbytes


def make_target(kind: str, shape: tuple[int, ...], dtype: Any, random: np.random.Generator) -> Any:
    """Make targets in the one form that every peer takes: int64 class indices, or the prediction's dtype."""
    if kind == "regression":
        return random.standard_normal(shape, dtype=dtype)
    if kind in ("binary", "set"):
        return random.integers(0, 2, shape, dtype=np.int8).astype(dtype)
    if kind == "classes":
        return random.integers(0, shape[-1], shape[:-1])
    if kind == "count":
        return random.integers(0, 8, shape, dtype=np.int8).astype(dtype)
    if kind == "positive":
        return random.standard_exponential(shape, dtype=dtype) + np.asarray(0.01, dtype)
    if kind == "distribution":
        t = random.standard_exponential(shape, dtype=dtype)
        t /= t.sum(axis=-1, keepdims=True)
        return t
    return None


def avoid_kinks(kernel: str, z: np.ndarray, t: Any) -> None:
    """Change the few elements or rows at a kink, where each library chooses its own subgradient."""
    if KINDS[kernel] == "regression":
        t[t == z] += 1
    elif KINDS[kernel] == "binary":
        z[np.abs(z) == 1] = 0
    elif kernel == "multiclass_hinge":
        with_margin = z + z.dtype.type(1)
        rows = np.arange(len(z))
        with_margin[rows, t] = z[rows, t]
        second, largest = np.partition(with_margin, -2, axis=-1)[:, -2:].T
        z[second == largest] = np.arange(z.shape[-1]) * 0.3


def make_problem(case: Case) -> Problem:
    """Make the arrays of a case, always the same ones; the output is touched, so that its pages exist."""
    random = np.random.default_rng(0)
    z = make_target("regression", case.shape, case.dtype, random)
    z *= 3
    out_shape = case.shape[:-1] if case.kernel == "logsumexp" else case.shape
    out = np.full(out_shape, 1, dtype=case.dtype)
    t = make_target(KINDS[case.kernel], case.shape, case.dtype, random)
    avoid_kinks(case.kernel, z, t)
    return Problem(case, z, t, out)


def our_call(problem: Problem, kernel: str | None = None) -> Callable[[], tuple[Any, Any]]:
    """Return the call of fastloss that answers a case, as a pair (value, array) with None for what is not asked."""
    kernel, z, t = kernel or problem.case.kernel, problem.z, problem.t
    out = problem.out if problem.case.outputs == "reused" else None
    if t is None:
        function = getattr(fl, kernel)
        return lambda: (None, function(z, out=out))
    loss = problem.loss or LOSSES[kernel]
    if problem.case.option:
        method = getattr(loss, problem.method)
        return partial(method, z, t, gradient_out=out, **problem.arguments)
    if problem.case.want == "value":
        return lambda: (loss(z, t), None)
    if out is None:
        return lambda: loss.value_and_gradient(z, t)
    return lambda: loss.value_and_gradient(z, t, gradient_out=out)
