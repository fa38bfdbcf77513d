"""The command line: ``python -m fastloss`` or, once installed, ``fastloss``."""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

import numpy as np

import fastloss as fl

MISSING_LIBRARY = 2
DEMO_LIBRARIES = ("rich", "scipy", "sklearn")


def processor_name() -> str:
    """Return the processor's name as people know it, or the architecture where that is all there is."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def machine() -> str:
    """Return one line that says what ran here: versions, instruction set, threads, processor."""
    config = fl.config()
    threads = config["threads"]
    return (
        f"fastloss {config['version']}, NumPy {np.__version__}, {config['isa']} kernels, "
        f"{threads} thread{'' if threads == 1 else 's'}, {processor_name()}"
    )


def info() -> int:
    """Print what runs here, one fact a line."""
    facts = {**fl.config(), "python": platform.python_version(), "numpy": np.__version__, "processor": processor_name()}
    width = max(map(len, facts))
    for name, fact in facts.items():
        text = ", ".join(map(str, fact)) if isinstance(fact, (list, tuple)) else str(fact)
        print(f"{name:<{width}}  {text}")
    return 0


def demo() -> int:
    """Run the demonstration; it alone needs rich, SciPy and scikit-learn."""
    try:
        from fastloss import _demo
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in DEMO_LIBRARIES:
            raise
        print(f'The demo needs {library}, which is not installed: pip install "fastloss[demo]"', file=sys.stderr)
        return MISSING_LIBRARY
    return _demo.run(machine())


COMMANDS = {
    "demo": (demo, "fit a linear model with each loss on real data, and check every kernel against NumPy"),
    "info": (info, "show version, instruction sets, threads and compiler"),
}


def parser() -> argparse.ArgumentParser:
    """Build the parser, one sub-command for each entry of COMMANDS."""
    result = argparse.ArgumentParser(
        prog="fastloss",
        description="Loss functions with their gradients and Hessians, for NumPy arrays, at the speed of memory.",
        epilog="FASTLOSS_ISA=baseline|x86_v3|x86_v4|neon forces an instruction set, "
        "OMP_NUM_THREADS=1 keeps everything on one core.",
    )
    result.add_argument("--version", action="version", version=f"fastloss {fl.__version__}")
    commands = result.add_subparsers(dest="command", metavar="command", title="commands")
    for name, (_, purpose) in COMMANDS.items():
        commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
    return result


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 fine, 1 a comparison failed, 2 a library is missing."""
    arguments = parser().parse_args(argv)
    if arguments.command is None:
        parser().print_help()
        return 0
    command, _ = COMMANDS[arguments.command]
    return command()


if __name__ == "__main__":
    sys.exit(main())
