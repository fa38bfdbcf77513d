"""
Peak memory of `fastloss score`, on Linux: python benchmarks/score.py [--rows N,N,...] [--formats npy,csv,parquet].

Writes predictions and targets of a binary loss, float64, into a folder that is removed afterwards; scores them in a
process of its own, and prints the most memory that the process had. A row is one prediction and one target.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
from report import columns

import fastloss as fl

# getrusage would count what this process held when it forked.
PROGRAM = """
import pathlib, re, sys
from fastloss.__main__ import main
code = main(["score", "--loss", "binary_cross_entropy", "--prediction", sys.argv[1], "--target", sys.argv[2]])
print(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def write(path: Path, array: np.ndarray) -> None:
    """Write a column of numbers in the format that the name says; Parquet with pyarrow's defaults."""
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(pyarrow.table({"number": array}), path)
    else:
        pyarrow.parquet.write_table(pyarrow.table({"number": array}), path)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="1000000,10000000")
    parser.add_argument("--formats", default="npy,csv,parquet")
    options = parser.parse_args()
    rows = [int(each) for each in options.rows.split(",")]
    table = [["format", *(f"{n:,} rows" for n in rows)]]
    rng = np.random.default_rng(0)
    for suffix in options.formats.split(","):
        table.append([suffix])
        for n in rows:
            with tempfile.TemporaryDirectory() as folder:
                files = [Path(folder, f"{name}.{suffix}") for name in ("prediction", "target")]
                write(files[0], rng.normal(size=n))
                write(files[1], rng.integers(0, 2, n).astype(np.float64))
                size = sum(each.stat().st_size for each in files)
                command = [sys.executable, "-c", PROGRAM, *map(str, files)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            peak = int(done.stdout.split()[1])  # kilobytes
            table[-1].append(f"{peak / 1024:.0f} MB for {size / 1024**2:.0f} MB of files")
    print(columns(table))
    print(f"fastloss {fl.__version__}, NumPy {np.__version__}, pyarrow {pyarrow.__version__}")
    print(platform.processor() or platform.machine(), time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
