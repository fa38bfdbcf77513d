"""Coverage of lines and branches: of the kernels, of the Cython driver, and of the Python files around them.

    python tests/c/covered.py [--list] [--floors kernels=0.95,driver=0.95,python=0.84] [PYTEST ARGUMENTS]

In a copy of the checkout the module is built without optimisation and with gcov's counters, and every `ALWAYS_INLINE`
function as one of its own, so that a branch is counted where it is written and not once for each place it was inlined
into. Cython writes #line directives, so that gcov speaks of the .pyx. The harness is linked to the same objects; first
it runs, and then the Python tests. A branch that any instruction set or real type takes counts as taken. What Cython
makes of a line of the driver is full of branches for errors of Python's own functions: of an `if`, `elif` or `while`
the last two count, which are its decision.

Needs Cython, setuptools, coverage, pytest-xdist and what the tests need in the running interpreter, GCC and gcov.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cases

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COUNTERS = "-O0 --coverage -fprofile-update=single"  # threads may lose counts, but not the first
# Not optimised, the tests take long: of each driver one loss, and one real type, for the harness has had all of them.
KEPT = ("cross_entropy", "hinge", "multiclass_hinge", "huber", "gaussian_nll", "tversky")
LEFT_OUT = sorted({case.function for case in cases.TABLE} - set(KEPT))
LEFT_OUT += "float64 test_interrupt under_load same_bits".split()
TESTS = [
    *(f"tests/test_{name}.py" for name in (
        "c_api", "columns", "combined", "fisher", "halves", "init_score", "inputs", "isa", "labels", "layouts",
        "linear", "linear_wide", "long_rows", "memory", "objects", "options", "ordinal", "errors", "full_hessian",
        "roads", "segments", "sets", "signals", "streaming", "survival_scores", "threads", "weights",
    )),
    *("-k", f"not ({' or '.join(LEFT_OUT)}) or python_threads or test_outside_the_domain"),
]  # fmt: skip
# Modules that are Python on top of the losses, with tests of their own.
AROUND = "_bench/* _compare/* sklearn/* _booster_parameters.py _boosters.py _check.py _dask_linear.py _demo.py"
AROUND += " _labels.py _low_level.py _score.py _terminal.py __main__.py catboost.py combined.py dask.py lightgbm.py"
AROUND = [f"*/fastloss/{name}" for name in f"{AROUND} onnx.py torch.py xgboost.py reference.py _resolve.py".split()]


def call(*command, **options):
    done = subprocess.run([str(part) for part in command], check=False, text=True, **options)
    if done.returncode:
        sys.exit(f"{done.stdout or ''}{done.stderr or ''}\n{' '.join(map(str, command))}: failed ({done.returncode})")
    return done


def has_avx512():
    """Whether the code for vectors of 64 bytes runs here at all; where it does not, its lines count as missed."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "avx512vl" in cpuinfo.read_text()


def build(tree):
    if tree.exists():
        shutil.rmtree(tree)
    tree.mkdir(parents=True)
    for name in ("csrc", "fastloss", "tests"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.so", "__pycache__", "_kernels.c"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    simd = tree / "csrc" / "simd.h"
    inline = "#define ALWAYS_INLINE static inline __attribute__((always_inline))"
    text = simd.read_text()
    assert inline in text
    simd.write_text(text.replace(inline, "#define ALWAYS_INLINE static __attribute__((noinline, unused))"))
    environment = {**os.environ, "FASTLOSS_EXTRA_FLAGS": COUNTERS}
    call(
        sys.executable,
        "setup.py",
        "-q",
        "build_ext",
        "-i",
        "--cython-line-directives",
        cwd=tree,
        env=environment,
        capture_output=True,
    )
    harness = tree / "harness"
    objects = sorted(tree.glob("build/temp*/*-*/csrc/kernels.o")) + sorted(
        tree.glob("build/temp*/common/csrc/dispatch.o")
    )
    call("gcc", "-std=gnu11", "-O1", f"-I{tree}/csrc", "-c", HERE / "harness.c", "-o", tree / "harness.o")
    call("gcc", tree / "harness.o", *objects, "--coverage", "-lm", "-o", harness)
    return harness


def counted(tree):
    """Of each source file: its lines with their counts, and its branches: (line, number) with theirs."""
    lines = collections.defaultdict(collections.Counter)
    branches = collections.defaultdict(collections.Counter)
    for data in sorted(tree.rglob("*.gcda")):
        done = call("gcov", "--stdout", "--json-format", "--branch-probabilities", data, cwd=tree, capture_output=True)
        for text in done.stdout.splitlines():
            for file in json.loads(text)["files"]:
                name = os.path.relpath(os.path.join(tree, file["file"]), tree)
                if not name.startswith(("csrc", "fastloss")) or name.endswith((".c.in", "_kernels.c")):
                    continue
                seen = collections.Counter()  # of a function's line: how many branches have passed
                for line in file["lines"]:
                    number = line["line_number"]
                    lines[name][number] += line["count"]
                    at = number, line.get("function_name")
                    for branch in line["branches"]:
                        if not branch["throw"]:
                            branches[name][number, seen[at]] += branch["count"]
                            seen[at] += 1
    return lines, branches


def decisions(lines, branches, source):
    """Of the driver: the lines of code, and of each decision the two ways."""
    text = source.read_text().splitlines()
    code = {n: line.strip() for n, line in enumerate(text, 1) if line.strip()}
    own_lines, own_branches = collections.Counter(), collections.Counter()
    for n, count in lines.items():
        # Cython counts some lines of documentation, and numbers beyond the end stand for code of its own.
        if n in code and (count or re.match(r"[a-z_]+\b[^`]*[\w)\]]$|.*[:(]$", code[n])):
            own_lines[n] += count
    for n, line in code.items():
        ways = sorted((which, count) for (at, which), count in branches.items() if at == n)
        if re.match(r"(if|elif|while)\b", line) and len(ways) >= 2:
            for which, count in ways[-2:]:
                own_branches[n, which] += count
    return own_lines, own_branches


def share(counts):
    return sum(count > 0 for count in counts.values()), len(counts)


def percent(part, whole):
    return f"{part / whole:8.1%}" if whole else f"{'-':>8}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="what is not covered, line by line")
    parser.add_argument("--floors", default=f"kernels={0.95 if has_avx512() else 0.93},driver=0.95,python=0.84")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "coverage")
    parser.add_argument("--no-build", action="store_true", help="only count again")
    parser.add_argument("tests", nargs="*", default=TESTS)
    options = parser.parse_args()
    floors = {name: float(x) for name, x in (part.split("=") for part in options.floors.split(","))}
    tree = (options.folder / "tree").resolve()

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree), os.environ.get("PYTHONPATH", "")])}
    if not options.no_build:
        harness = build(tree)
        table = tree / "table.bin"
        call(sys.executable, HERE / "table.py", table, "--coarse", env=environment, capture_output=True)
        ask = "import fastloss; print(*fastloss.config()['isas'])"
        isas = call(sys.executable, "-c", ask, cwd=tree, env=environment, capture_output=True).stdout.split()
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda isa: call(harness, table, "--brief", "--isa", isa, capture_output=True), isas))
        settings = tree / "coverage.ini"
        omit = "".join(f"\n    {pattern}" for pattern in AROUND)
        settings.write_text(f"[run]\nbranch = true\nsource_pkgs = fastloss\npatch = subprocess\nomit = {omit}\n")
        run = [sys.executable, "-m", "coverage", "run", f"--rcfile={settings}"]
        in_parallel = ("-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider")
        call(*run, *in_parallel, *options.tests, cwd=tree, env=environment)
        call(sys.executable, "-m", "coverage", "combine", "-q", f"--rcfile={settings}", cwd=tree, env=environment)
    report = tree / "coverage.json"
    call(sys.executable, "-m", "coverage", "json", "-q", "-o", report, cwd=tree, env=environment)

    lines, branches = counted(tree)
    totals = {name: [0, 0] for name in floors}
    print(f"{'file':44}{'lines':>8}{'branches':>10}")
    for name in sorted(lines):
        group = "driver" if name.endswith(".pyx") else "kernels"
        if group == "driver":
            lines[name], branches[name] = decisions(lines[name], branches[name], tree / name)
        by_line, by_branch = share(lines[name]), share(branches[name])
        totals[group][0] += by_branch[0]
        totals[group][1] += by_branch[1]
        print(f"{name:44}{percent(*by_line)}{percent(*by_branch):>10}")
        if options.list:
            for number in sorted(n for n, count in lines[name].items() if not count):
                print(f"    {number}: not run")
            taken = collections.defaultdict(list)
            for (number, which), count in sorted(branches[name].items()):
                if not count and lines[name][number]:
                    taken[number].append(which)
            for number, which in taken.items():
                print(f"    {number}: branch {which} never taken")
    for name, file in sorted(json.loads(report.read_text())["files"].items()):
        found = file["summary"]
        totals["python"][0] += found["covered_lines"] + found["covered_branches"]
        totals["python"][1] += found["num_statements"] + found["num_branches"]
        print(
            f"{name:44}{percent(found['covered_lines'], found['num_statements'])}"
            f"{percent(found['covered_branches'], found['num_branches']):>10}"
        )
        if options.list:
            print(f"    {file['missing_lines']}")
    failed = False
    for name, (part, whole) in totals.items():
        below = not whole or part < floors[name] * whole
        failed |= below
        print(f"{name:10} {percent(part, whole)} (floor {floors[name]:.1%}){' FAILED' if below else ''}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
