"""The command line: ``python -m fastloss`` or, once installed, ``fastloss``."""

from __future__ import annotations

import argparse
import platform
import shutil
import sys
import textwrap
from pathlib import Path

import numpy as np

import fastloss as fl
from fastloss import _bench, _compare, _score

MISSING_LIBRARY = 2
INTERRUPTED = 130  # as shells have it: 128 and the number of the signal
# What a command needs besides NumPy; the extra of the same name brings it.
LIBRARIES = {
    "bench": ("matplotlib", "rich"),
    "compare": ("matplotlib", "pandas", "rich", "scipy", "sklearn", "threadpoolctl"),
    "demo": ("rich", "scipy", "sklearn", "threadpoolctl"),
    "score": ("pyarrow",),
}


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


def info(options: argparse.Namespace) -> int:
    """Print what runs here, one fact a line."""
    facts = {**fl.config(), "python": platform.python_version(), "numpy": np.__version__, "processor": processor_name()}
    width = max(map(len, facts))
    for name, fact in facts.items():
        text = ", ".join(map(str, fact)) if isinstance(fact, (list, tuple)) else str(fact)
        columns = shutil.get_terminal_size().columns
        print(textwrap.fill(text, columns, initial_indent=f"{name:<{width}}  ", subsequent_indent=" " * (width + 2)))
    return 0


def demo(options: argparse.Namespace) -> int:
    """Run the demonstration."""
    from fastloss import _demo

    return _demo.run(machine())


# What runs, what for, and what adds its options.
COMMANDS = {
    "bench": (_bench.run, "measure kernels against peers and the limits of this machine", _bench.arguments),
    "compare": (_compare.run, "compare what losses do to a model's predictions, on your data", _compare.arguments),
    "demo": (demo, "fit a linear model with each loss on real data, and check every kernel against NumPy", None),
    "info": (info, "show version, instruction sets, threads and compiler", None),
    "score": (_score.run, "evaluate a loss of predictions in files of any size", _score.arguments),
}


def parser() -> argparse.ArgumentParser:
    """Build the parser, one sub-command for each entry of COMMANDS."""
    result = argparse.ArgumentParser(
        prog="fastloss",
        description="Loss functions with their gradients and Hessians, for NumPy arrays: in one pass over memory.",
        epilog="FASTLOSS_ISA=baseline|x86_v3|x86_v4|neon forces an instruction set, "
        "OMP_NUM_THREADS=1 keeps everything on one core.",
    )
    result.add_argument("--version", action="version", version=f"fastloss {fl.__version__}")
    commands = result.add_subparsers(dest="command", metavar="command", title="commands")
    for name, (_, purpose, arguments) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=purpose[0].upper() + purpose[1:] + ".")
        if arguments is not None:
            arguments(command)
    return result


def main(argv: list[str] | None = None) -> int:
    """Run one command; its exit code: 0, 1 (comparison failed, no rows), 2 (bad input, no library), 130 (Ctrl-C)."""
    options = parser().parse_args(argv)
    if options.command is None:
        parser().print_help()
        return 0
    try:
        return COMMANDS[options.command][0](options)
    except KeyboardInterrupt:
        print(f"\nfastloss {options.command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in LIBRARIES.get(options.command, ()):
            raise
        print(
            f"fastloss {options.command} needs {library}, which is not installed: "
            f'pip install "fastloss[{options.command}]"',
            file=sys.stderr,
        )
        return MISSING_LIBRARY


if __name__ == "__main__":
    sys.exit(main())
