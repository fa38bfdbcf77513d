"""What users write where their library has no such loss: the same formulas for torch, JAX and TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Loss = Callable[[Any, Any], Any]


def formulas(x: Any) -> dict[str, Loss]:
    """Write each loss in the operations of `x`.

    They are abs, exp, log1p, sqrt, square, where, maximum, relu, sigmoid, mean and sum; `margin(z, t)` for targets 0
    and 1; and `log_p(z, t)`, the logarithm of the target's probability.
    """

    def modified_huber(z: Any, t: Any) -> Any:
        m = x.margin(z, t)
        return x.mean(x.where(m >= -1, x.square(x.relu(1 - m)), -4 * m))

    def fair(z: Any, t: Any) -> Any:
        r = x.abs(z - t)
        return x.mean(r - x.log1p(r))

    def quantile(z: Any, t: Any) -> Any:
        r = t - z
        return x.mean(x.maximum(0.9 * r, -0.1 * r))

    def focal(z: Any, t: Any) -> Any:
        log_p = x.log_p(z, t)
        return x.mean(-x.square(1 - x.exp(log_p)) * log_p)

    def poly1(z: Any, t: Any) -> Any:
        log_p = x.log_p(z, t)
        return x.mean(1 - log_p - x.exp(log_p))

    def tversky(alpha: float, beta: float) -> Loss:
        def loss(z: Any, t: Any) -> Any:
            p = x.sigmoid(z)
            both = x.sum(p * t)
            return 1 - (both + 1) / (both + alpha * (x.sum(p) - both) + beta * (x.sum(t) - both) + 1)

        return loss

    return {
        "absolute_error": lambda z, t: x.mean(x.abs(z - t)),
        "focal": focal,
        "hinge": lambda z, t: x.mean(x.relu(1 - x.margin(z, t))),
        "squared_hinge": lambda z, t: x.mean(x.square(x.relu(1 - x.margin(z, t)))),
        "modified_huber": modified_huber,
        "exponential": lambda z, t: x.mean(x.exp(-x.margin(z, t))),
        "brier": lambda z, t: x.mean(x.square(x.sigmoid(z) - t)),
        "pseudo_huber": lambda z, t: x.mean(x.sqrt(1 + x.square(z - t)) - 1),
        "fair": fair,
        "cauchy": lambda z, t: x.mean(x.log1p(x.square(z - t))) / 2,
        "quantile": quantile,
        "expectile": lambda z, t: x.mean(x.where(z > t, 0.1, 0.9) * x.square(z - t)),
        "epsilon_insensitive": lambda z, t: x.mean(x.relu(x.abs(z - t) - 0.1)),
        "squared_epsilon_insensitive": lambda z, t: x.mean(x.square(x.relu(x.abs(z - t) - 0.1))),
        "poisson": lambda z, t: x.mean(x.exp(z) - t * z),
        "gamma": lambda z, t: x.mean(z + t * x.exp(-z)),
        "tweedie": lambda z, t: x.mean(2 * x.exp(z / 2) + 2 * t * x.exp(-z / 2)),
        "poly1": poly1,
        "generalized_cross_entropy": lambda z, t: x.mean((1 - x.exp(0.7 * x.log_p(z, t))) / 0.7),
        "tversky": tversky(0.3, 0.7),
        "dice": tversky(0.5, 0.5),
        "jaccard": tversky(1.0, 1.0),
        "soft_f1": tversky(0.2, 0.8),
    }
