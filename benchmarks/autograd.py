"""
Forward and backward through torch's autograd: python benchmarks/autograd.py [--sizes 16,1000,...] [--rounds N].

`fastloss.torch.Loss` against what torch's users write, eager and through torch.compile, in turns on the same tensors,
after values and gradients are compared. Shortest times; the columns beside fastloss's say how many times as long the
others take. A size is a number of elements, or rows x classes.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from report import columns

import fastloss as fl
import fastloss.torch

SIZES = "16,1000,100000,1000000,10000000,16x10,10000x10,1000000x10,1000x32000"
# So many seconds of short calls together that the clock does not count, and few enough for a gap of a busy machine.
BATCH = 2e-4


def focal_of_logits(z: Any, t: Any) -> Any:
    """As torchvision's sigmoid_focal_loss, gamma = 2."""
    p = torch.sigmoid(z)
    return (F.binary_cross_entropy_with_logits(z, t, reduction="none") * (p + t - 2 * p * t) ** 2).mean()


def focal_of_classes(z: Any, t: Any) -> Any:
    """As it is written from cross-entropy, gamma = 2."""
    ce = F.cross_entropy(z, t, reduction="none")
    return ((-torch.expm1(-ce)) ** 2 * ce).mean()


ELEMENTS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "Huber": (fl.Huber(), F.huber_loss),
    "BinaryCrossEntropy": (fl.BinaryCrossEntropy(), F.binary_cross_entropy_with_logits),
    "BinaryFocal": (fl.BinaryFocal(), focal_of_logits),
}
ROWS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "CrossEntropy": (fl.CrossEntropy(), F.cross_entropy),
    "Focal": (fl.Focal(), focal_of_classes),
}


def step(loss: Any, z: Any, t: Any) -> Callable[[], Any]:
    """A forward and a backward pass, with a fresh gradient as after zero_grad()."""

    def call() -> Any:
        z.grad = None
        value = loss(z, t)
        value.backward()
        return value

    return call


def shortest(calls: dict[str, Callable[[], Any]], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """The shortest time of each, in turns."""
    times = dict.fromkeys(calls, np.inf)
    batch = {}
    for name, call in calls.items():
        start = clock()
        call()
        batch[name] = max(1, int(BATCH / (clock() - start)))
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            for _ in range(batch[name]):
                call()
            times[name] = min(times[name], (clock() - start) / batch[name])
    return times


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    parser.add_argument("--processor", action="store_true", help="processor time on one thread, for a busy machine")
    options = parser.parse_args()
    clock = time.process_time if options.processor else time.perf_counter
    if options.processor:
        torch.set_num_threads(1)
        fl.set_num_threads(1)
    table = [["loss", "size", "fastloss", "eager", "compiled"]]
    rng = np.random.default_rng(0)
    for size in options.sizes.split(","):
        shape = tuple(int(each) for each in size.split("x"))
        for name, (loss, written) in (ELEMENTS if len(shape) == 1 else ROWS).items():
            torch.compiler.reset()
            z = torch.tensor(rng.normal(size=shape), dtype=torch.float32, requires_grad=True)
            if len(shape) == 2:
                t = torch.tensor(rng.integers(0, shape[1], shape[0]))
            else:
                t = torch.tensor(rng.integers(0, 2, shape), dtype=torch.float32)
            calls = {"fastloss": step(fastloss.torch.Loss(loss), z, t), "eager": step(written, z, t)}
            if not options.eager:
                calls["compiled"] = step(torch.compile(written, dynamic=False), z, t)
            answers = {}
            for each, call in calls.items():
                call()
                answers[each] = (float(call().detach()), z.grad.clone())
            for value, gradient in answers.values():
                np.testing.assert_allclose(value, answers["fastloss"][0], rtol=1e-4)
                np.testing.assert_allclose(gradient, answers["fastloss"][1], rtol=1e-3, atol=1e-4 / shape[0])
            rounds = 10 * options.rounds if z.numel() < 50_000 else options.rounds
            best = shortest(calls, rounds if z.numel() < 5_000_000 else max(3, options.rounds // 3), clock)
            row = [f"{best[each] / best['fastloss']:.1f}x" for each in list(calls)[1:]]
            table.append([name, size, f"{best['fastloss'] * 1e6:,.0f} us", *row])
            print(*table[-1], sep="\t", flush=True)
    print()
    print(columns([each + [""] * (5 - len(each)) for each in table]))
    isa, threads = fl.config()["isa"], fl.get_num_threads()
    print(
        f"fastloss {fl.__version__} ({isa}, {threads} threads), torch {torch.__version__} ({torch.get_num_threads()})"
    )
    print(platform.processor() or platform.machine(), time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
