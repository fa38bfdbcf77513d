"""What is measured in processes of their own: import time, peak memory, instruction sets, the wheel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fastloss as fl

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent

IMPORT_SCRIPT = """
import numpy, time
began = time.perf_counter()
import fastloss
print(time.perf_counter() - began)
"""

PEAK_CALLS = [
    ("huber", "reused", 10_000_000),
    ("huber", "fresh", 10_000_000),
    ("binary_focal", "reused", 10_000_000),
    ("cross_entropy", "reused", 1_000_000, 10),
    ("cross_entropy", "fresh", 100_000, 100),
    ("cross_entropy", "reused", 256, 128_256),
    ("log_softmax", "fresh", 1000, 32_000),
]


@dataclass(frozen=True)
class Fact:
    """A measured number against a bound it should not exceed (or, for speeds, not fall short of)."""

    name: str
    number: float
    unit: str
    bound: float
    is_least: bool = False

    @property
    def ok(self) -> bool:
        """Whether the bound is kept."""
        return self.number >= self.bound if self.is_least else self.number <= self.bound


def output_of(*command: str, **environment: str) -> str:
    """Run a Python command and return what it prints; not in the checkout, whose source folder is not the package."""
    command = (sys.executable, *command)
    return subprocess.run(
        command, cwd=HERE, env=os.environ | environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def import_time(quick: bool) -> Iterator[Fact]:
    """The time `import fastloss` takes when NumPy is imported already."""
    seconds = [float(output_of("-c", IMPORT_SCRIPT)) for _ in range(5 if quick else 25)]
    yield Fact("import beyond NumPy", min(seconds) * 1e3, "ms", 10)


def peak_memory(quick: bool) -> Iterator[Fact]:
    """Bytes a call needs beyond its inputs and outputs."""
    for kernel, outputs, *shape in PEAK_CALLS[:2] if quick else PEAK_CALLS:
        n_bytes = float(output_of(str(HERE / "peak.py"), kernel, outputs, *map(str, shape)))
        yield Fact(f"memory beyond results: {kernel} {tuple(shape)} {outputs}", n_bytes / 2**20, "MB", 1)


def instruction_sets(quick: bool) -> Iterator[Fact]:
    """Speed of each weaker instruction set as a share of the best one's, case by case; the least is reported."""
    best, *weaker = fl.config()["isas"]
    options = ["--filter", "^limits/.* reused", "--no-peers", "--rounds", "10", *(["--quick"] if quick else [])]
    seconds: dict[str, dict[str, float]] = {isa: {} for isa in (best, *weaker)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        # Twice in turns: the machine may change its mind in between.
        for isa in [best, *weaker] * (1 if quick else 2):
            output_of(str(HERE / "core.py"), *options, "--json", str(file), FASTLOSS_ISA=isa)
            for result in json.loads(file.read_text(encoding="utf-8"))["cases"]:
                known = seconds[isa].get(result["name"], float("inf"))
                seconds[isa][result["name"]] = min(known, result["seconds"])
    for isa in weaker:
        name, share = min(
            ((name, time_best / seconds[isa][name]) for name, time_best in seconds[best].items()),
            key=lambda pair: pair[1],
        )
        bound = 0.5 if isa == "x86_v3" else 0.0
        yield Fact(f"speed of {isa} to {best}, least: {name.partition('/')[2]}", share, "x", bound, is_least=True)


def package(quick: bool) -> Iterator[Fact]:
    """Size of the wheel, and the time to build it, from a clean copy of the checkout."""
    if quick:
        return
    with tempfile.TemporaryDirectory() as folder:
        source, wheels = Path(folder) / "source", Path(folder) / "wheels"
        shutil.copytree(CHECKOUT, source, ignore=shutil.ignore_patterns("build", "dist", ".*", "*.egg-info", "*.so"))
        began = time.perf_counter()
        output_of("-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(source))
        seconds = time.perf_counter() - began
        (wheel,) = wheels.glob("*.whl")
        yield Fact("size of the wheel", wheel.stat().st_size / 2**20, "MB", 3)
        yield Fact("pip builds it in", seconds, "s", 90)


# In the order in which they run.
MEASUREMENTS = {
    "import": import_time,
    "memory": peak_memory,
    "isa": instruction_sets,
    "package": package,
}
