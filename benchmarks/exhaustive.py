"""The vector functions of csrc/real.h and special.h over all floats.

python benchmarks/exhaustive.py [--filter REGEX] [--every N]

Compiles exhaustive.c with the flags that setup.py has for each instruction set that runs here, and prints the largest
error of each function over its domain, in ulp, and where it is. Takes minutes, on one core; an Nth of that with
``--every N``, which looks at one vector of neighbouring floats in N.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import re
import runpy
import subprocess
import sysconfig
import tempfile
import time
from pathlib import Path
from unittest import mock

import fastloss as fl

ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS = ("exp_nonpositive", "exp_any", "expm1_nonpositive", "log1p_unit", "log1p_nonnegative", "log_normal")
FUNCTIONS += ("erf_of", "log_positive", "remainder_of", "digamma_gap", "trigamma_gap")


class Worst(ctypes.Structure):
    """As in exhaustive.c."""

    _fields_ = (
        ("ulps", ctypes.c_double),
        ("where", ctypes.c_float),
        ("n", ctypes.c_int64),
        ("n_wrong", ctypes.c_int64),
    )


def compiled(flags: list[str], folder: str) -> ctypes.CDLL:
    """Compile exhaustive.c as the build compiles a file of kernels, and load it."""
    library = Path(folder, "exhaustive.so")
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    source = ROOT / "benchmarks" / "exhaustive.c"
    command = [*compiler.split(), *flags, "-shared", "-I", str(ROOT / "csrc"), str(source), "-o", str(library), "-lm"]
    subprocess.run([*command, "-fvisibility=default"], check=True)
    return ctypes.CDLL(str(library))


def main() -> None:
    """Compile, run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="", metavar="REGEX", help="only functions that match")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="a vector of neighbouring floats in N")
    options = parser.parse_args()
    if options.every < 1:
        parser.error("--every must be at least 1")
    with mock.patch("setuptools.setup"):
        build = runpy.run_path(str(ROOT / "setup.py"))
    isas = {isa: flags for table in build["ISAS"].values() for isa, flags in table.items()}
    for isa in fl.config()["isas"]:
        with tempfile.TemporaryDirectory() as folder:
            library = compiled(build["FLAGS"] + isas[isa], folder)
            for name in FUNCTIONS:
                if not re.search(options.filter, name):
                    continue
                run = getattr(library, f"exhaust_{name}")
                run.restype, run.argtypes = Worst, (ctypes.c_int64,)
                began = time.perf_counter()
                worst = run(options.every)
                where = f"{worst.where:.9g} ({worst.where.hex()})"
                seconds = time.perf_counter() - began
                print(f"{isa:9} {name:18} {worst.ulps:.4f} ulp at {where}", end=", ")
                print(
                    f"{worst.n:,} floats, {worst.n_wrong} wrong infinities, nans or zeros, {seconds:.0f} s", flush=True
                )


if __name__ == "__main__":
    main()
