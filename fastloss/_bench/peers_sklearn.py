"""The losses that scikit-learn's own estimators train with (private, but fast)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from sklearn._loss import (
    HalfBinomialLoss,
    HalfGammaLoss,
    HalfMultinomialLoss,
    HalfPoissonLoss,
    HalfSquaredError,
    HalfTweedieLoss,
    HuberLoss,
    PinballLoss,
)
from sklearn._loss.loss import ExponentialLoss

from .cases import Problem
from .peers import Peer

# Loss for a number of classes, and its factor to ours: all but one are halves only in name.
LOSSES: dict[str, tuple[Callable[[int], Any], float]] = {
    "huber": (lambda n_classes: HuberLoss(delta=1.0), 1.0),
    "squared_error": (lambda n_classes: HalfSquaredError(), 2.0),
    "binary_cross_entropy": (lambda n_classes: HalfBinomialLoss(), 1.0),
    "cross_entropy": (lambda n_classes: HalfMultinomialLoss(n_classes=n_classes), 1.0),
    "exponential": (lambda n_classes: ExponentialLoss(), 1.0),
    "quantile": (lambda n_classes: PinballLoss(quantile=0.9), 1.0),
    "poisson": (lambda n_classes: HalfPoissonLoss(), 1.0),
    "gamma": (lambda n_classes: HalfGammaLoss(), 1.0),
    "tweedie": (lambda n_classes: HalfTweedieLoss(power=1.5), 1.0),
}

# A parallel region costs more than the work below this.
LEAST_PARALLEL = 10_000


def peers(problem: Problem, n_threads: int) -> Iterator[Peer]:
    """Yield scikit-learn's way to answer a problem; it returns a value per row, which its estimators average."""
    kernel = problem.case.kernel
    if kernel not in LOSSES or (problem.z.ndim == 2 and problem.case.shape[-1] < 3):
        return
    make, factor = LOSSES[kernel]
    loss = make(problem.case.shape[-1])
    z, t = problem.z, problem.t.astype(problem.z.dtype)
    n_threads = n_threads if z.size >= LEAST_PARALLEL else 1
    if problem.case.want == "value":
        yield Peer("sklearn", "users", "fresh", lambda: (factor * np.mean(loss.loss(t, z, n_threads=n_threads)), None))
        return
    reused = problem.case.outputs == "reused"
    value_out, gradient_out = (np.ones_like(t), np.ones_like(z)) if reused else (None, None)

    def call() -> tuple[Any, Any]:
        value, gradient = loss.loss_gradient(t, z, None, value_out, gradient_out, n_threads)
        return factor * np.mean(value), gradient

    yield Peer("sklearn", "users", problem.case.outputs, call, scale=factor / len(t))
