"""Gradient and Fisher information of distributions: python benchmarks/distributions.py [--quick] [--threads N].

1,000,000 rows of two float64 scores and a target, as boosting asks for them in each round, with outputs reused: ours
against torch (autograd of the same density for the gradient, formulas for the Fisher information) and against NumPy
and SciPy by hand. Answers are compared first, and calls take turns, a copy of as many bytes as the loss reads and
writes among them: the memory limit is its time. Exit code 1 if an answer differs or,
in a full run, a target is missed: 8 times the speed of both, and 60 % of the memory limit where exp alone is needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from scipy import special

import fastloss as fl
from fastloss.__main__ import machine
from fastloss._bench.timing import take_turns

ROWS, QUICK_ROWS = 1_000_000, 20_000
TARGET_RATIO, TARGET_SHARE = 8.0, 0.6
Pair = tuple[np.ndarray, np.ndarray]


def gaussian_by_hand(z: np.ndarray, t: np.ndarray) -> Pair:
    """As a text book has it: columns of derivatives."""
    m, e = z[:, 0], np.exp(-z[:, 1])
    r = (t - m) * e
    return np.stack([-r * e, 1 - r * r], axis=1), np.stack([e * e, np.full_like(e, 2.0)], axis=1)


def gamma_by_hand(z: np.ndarray, t: np.ndarray) -> Pair:
    """Of the logarithms of mean and shape."""
    a, x = np.exp(z[:, 1]), t * np.exp(-z[:, 0])
    of_shape = a * (special.digamma(a) - z[:, 1] + x - 1 - np.log(x))
    fisher = a * (a * special.polygamma(1, a) - 1)
    return np.stack([a * (1 - x), of_shape], axis=1), np.stack([a, fisher], axis=1)


def negative_binomial_by_hand(z: np.ndarray, t: np.ndarray) -> Pair:
    """Of the logarithms of mean and dispersion; of these the gradient alone."""
    m, r = np.exp(z[:, 0]), np.exp(-z[:, 1])
    of_mean = r * (m - t) / (r + m)
    of_r = special.digamma(r) - special.digamma(t + r) + np.log1p(m / r) + (t - m) / (r + m)
    gradient = np.stack([of_mean, -of_r * r], axis=1)
    return gradient, gradient


BY_HAND: dict[str, Callable[..., Pair]] = {
    "gaussian_nll": gaussian_by_hand,
    "gamma_nll": gamma_by_hand,
    "negative_binomial_nll": negative_binomial_by_hand,
}
# The Fisher information of a dispersion is a sum over all counts, which nobody writes by hand: gradients are compared.
WITH_FISHER = {"gaussian_nll": True, "gamma_nll": True, "negative_binomial_nll": False}


def by_autograd(name: str, z: np.ndarray, t: np.ndarray) -> Callable[[], Pair] | None:
    """The gradient by torch's autograd, and the Fisher information by formulas; None without torch."""
    try:
        import torch
    except ImportError:
        return None
    scores, target = torch.from_numpy(z).requires_grad_(), torch.from_numpy(t)

    def negative_log_density(u: Any, s: Any) -> Any:
        if name == "gaussian_nll":
            return s + ((target - u) * torch.exp(-s)) ** 2 / 2
        if name == "gamma_nll":
            a, x = torch.exp(s), target * torch.exp(-u)
            return torch.lgamma(a) - a * s + a * (x - torch.log(x))
        r = torch.exp(-s)
        likelihood = torch.lgamma(target + r) - torch.lgamma(r) + target * (u + s)
        return (target + r) * torch.log1p(torch.exp(u + s)) - likelihood

    def fisher(u: Any, s: Any) -> Any:
        if name == "gaussian_nll":
            return torch.stack([torch.exp(-2 * s), torch.full_like(s, 2.0)], dim=1)
        a = torch.exp(s)
        if name == "gamma_nll":
            return torch.stack([a, a * (a * torch.special.polygamma(1, a) - 1)], dim=1)
        raise ValueError(name)

    def call() -> Pair:
        (gradient,) = torch.autograd.grad(negative_log_density(scores[:, 0], scores[:, 1]).sum(), scores)
        if not WITH_FISHER[name]:
            return gradient.numpy(), gradient.numpy()
        with torch.no_grad():
            return gradient.numpy(), fisher(scores[:, 0], scores[:, 1]).numpy()

    return call


def problem(name: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and targets, of which no answer is odd."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 2)) * [1.0, 0.5]
    t = rng.normal(size=n) if name == "gaussian_nll" else rng.gamma(2.0, size=n)
    return z, np.floor(t) if name == "negative_binomial_nll" else t


def main() -> int:
    """Compare, time and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows: shows that it runs, not how fast")
    parser.add_argument("--threads", type=int, default=fl.get_num_threads(), metavar="N")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds a case, instead of ten seconds")
    options = parser.parse_args()
    n = QUICK_ROWS if options.quick else ROWS
    fl.set_num_threads(options.threads)
    print(machine(), flush=True)
    ok = True
    pool = ThreadPoolExecutor(options.threads)
    for name, by_hand in BY_HAND.items():
        z, t = problem(name, n)
        gradient, fisher = np.empty_like(z), np.empty_like(z)
        loss: Any = getattr(fl, {each().name: each for each in fl.losses()}[name].__name__)()

        def ours(
            loss: Any = loss, name: str = name, z: Any = z, t: Any = t, g: Any = gradient, f: Any = fisher
        ) -> Pair:
            if not WITH_FISHER[name]:
                return loss.gradient(z, t, reduction="sum", gradient_out=g), g
            found: Pair = loss.gradient_and_hessian(
                z, t, reduction="sum", curvature="fisher", gradient_out=g, hessian_out=f
            )
            return found

        # Two scores and a target are read, two derivatives or four written.
        source, target = np.ones((2, (3 + 2 + 2 * WITH_FISHER[name]) * n // 2))
        parts = [np.array_split(each, options.threads) for each in (target, source)]
        calls: dict[str, Callable[[], Any]] = {
            "fastloss": ours,
            "copy": lambda parts=parts: list(pool.map(np.copyto, *parts)),
            "NumPy by hand": lambda by_hand=by_hand, z=z, t=t: by_hand(z, t),
        }
        torch_call = by_autograd(name, z, t)
        if torch_call is not None:
            import torch

            torch.set_num_threads(options.threads)
            calls["torch autograd"] = torch_call
        expected = [np.array(each) for each in ours()]
        for peer, call in list(calls.items())[2:]:
            found = call()
            close = all(np.allclose(a, b, rtol=1e-9, atol=1e-9) for a, b in zip(found, expected, strict=True))
            if not close:
                print(f"{name}: {peer} differs")
                ok = False
        times = take_turns(calls, 1.0 if options.quick else 10.0, options.rounds)
        best = {peer: each.best for peer, each in times.items()}
        share = best.pop("copy") / best["fastloss"]
        ratios = {peer: seconds / best["fastloss"] for peer, seconds in best.items() if peer != "fastloss"}
        said = ", ".join(f"{peer} {1e3 * best[peer]:.1f} ms ({ratio:.1f} times)" for peer, ratio in ratios.items())
        print(f"{name:22} {1e3 * best['fastloss']:.2f} ms, {share:.0%} of the memory limit; {said}", flush=True)
        if not options.quick:
            ok &= min(ratios.values()) >= TARGET_RATIO
            ok &= name != "gaussian_nll" or share >= TARGET_SHARE
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
