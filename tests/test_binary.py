"""The installed module: what it exports, needs and holds, which instructions stand where, and old processors."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zlib
from bisect import bisect_right
from collections import defaultdict
from itertools import combinations
from pathlib import Path

import pytest

import fastloss._kernels

CHECKOUT = Path(__file__).parents[1]
BINARY = Path(fastloss._kernels.__file__)

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("objdump") is None,
    reason="needs an ELF binary and binutils",
)
needs_x86 = pytest.mark.skipif(not sysconfig.get_platform().endswith("x86_64"), reason="needs x86-64")


def lines_of(*command):
    process = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True, timeout=120)
    return process.stdout.splitlines()


@pytest.fixture(scope="module")
def disassembly():
    """(address, "mnemonic operands") of each instruction."""
    lines = (
        re.match(r"\s*([0-9a-f]+):\s+(\S.*)", line) for line in lines_of("objdump", "-d", "--no-show-raw-insn", BINARY)
    )
    return [(int(match[1], 16), match[2]) for match in lines if match]


def test_exports_only_the_init_function():
    symbols = [line.split()[-1] for line in lines_of("nm", "-D", "--defined-only", BINARY)]
    assert symbols == ["PyInit__kernels"]


def test_needs_only_system_libraries():
    dynamic = "\n".join(lines_of("readelf", "-dW", BINARY))
    needed = {name.partition(".so")[0] for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)}
    # A repaired wheel brings libgomp under a name of its own: with the first digits of its hash.
    needed = {re.sub(r"^(libgomp)-[0-9a-f]{8}$", r"\1", name) for name in needed}
    needed = {re.sub(r"^(libc\.musl|ld-linux)-[\w-]+$", r"\1", name) for name in needed}
    assert needed <= {"libgomp", "libomp", "libc", "libc.musl", "libm", "libpthread", "libdl", "ld-linux"}
    config = fastloss.config()
    runtime = "libgomp" if config["compiler"].startswith("GCC") else "libomp"
    assert needed & {"libgomp", "libomp"} == ({runtime} if config["openmp"] else set())
    # Python's own link command may carry one, and a repaired wheel has its own; the project adds none.
    for path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic):
        assert path == "$ORIGIN/../fastloss.libs" or path in sysconfig.get_config_var("LDSHARED")


def test_no_memory_is_both_written_and_executed():
    """Neither segments nor the stack; code is not relocated, and pointers are read-only once they are."""
    segments = [line.split(maxsplit=6) for line in lines_of("readelf", "-lW", BINARY)]
    flags = {}
    for kind, *_, rest in (segment for segment in segments if len(segment) == 7 and segment[1].startswith("0x")):
        flags.setdefault(kind, []).append(set(re.match(r"[RWE ]+", rest)[0]) - {" "})
    assert [kind for kind, every in flags.items() for each in every if {"W", "E"} <= each] == []
    assert [sorted(each) for each in flags["GNU_STACK"]] == [["R", "W"]]
    assert len(flags["GNU_RELRO"]) == 1
    assert "TEXTREL" not in "\n".join(lines_of("readelf", "-dW", BINARY))


def test_is_small():
    """As small as a wheel makes it: six sets of kernels for each loss compress well."""
    assert len(zlib.compress(BINARY.read_bytes())) <= 3_000_000


def test_holds_no_path_of_the_build():
    assert str(CHECKOUT).encode() not in BINARY.read_bytes()


def test_one_place_sets_the_floating_point_mode(disassembly):
    """That of csrc/runtime.c, for its caller's good; `-ffast-math` at link time would add a constructor that sets
    flush-to-zero for the whole process."""
    sets_mode = re.compile(r"v?ldmxcsr|fldcw|fldenv|frstor|fxrstor|msr\s+fpcr")
    assert len([line for line in disassembly if sets_mode.match(line[1])]) == 1


# What an instruction needs of the processor.
NEEDS = {
    "x86_v3": re.compile(r"(v\w+|andn|bextr|bls\w+|bzhi|mulx|pdep|pext|rorx|s[ah][lr]x|[lt]zcnt)\b"),
    "x86_v4": re.compile(r"{evex}|[vk].*(%zmm|%k[0-7]|%[xy]mm(1[6-9]|2\d|3[01]))"),
}


class Graph:
    """What a stripped module tells of itself: functions and constant arrays, what refers to what, what each needs."""

    def __init__(self, disassembly):
        def numbers(pattern, *command):
            found = re.findall(pattern, "\n".join(lines_of(*command, BINARY)), re.MULTILINE)
            return [[int(number, 16) for number in (row if isinstance(row, tuple) else [row])] for row in found]

        sections = [
            numbers(rf"\] {name} +\w+ +([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)", "readelf", "-SW")[0]
            for name in (r"\.text", r"\.data\.rel\.ro", r"\.rodata")
        ]
        self.text, self.arrays, self.strings = (range(start, start + size) for start, _, size in sections)
        self.strings_at = sections[2][1]
        self.pointers = dict(numbers(r"^([0-9a-f]+) .* R_X86_64_RELATIVE +([0-9a-f]+)", "readelf", "-rW"))
        # Of an instruction: the target of a jump or call, or an address in memory relative to the instruction's own.
        references = [
            (place, int(to, 16)) for place, line in disassembly for to in re.findall(r"\b([0-9a-f]+) <", line)
        ]
        references += self.pointers.items()
        # Functions start where the unwind tables say, arrays where something points to; both end where the next starts.
        functions = (start for [start] in numbers(r" FDE .* pc=([0-9a-f]+)", "readelf", "-wf") if start in self.text)
        self.starts = sorted({self.text[0], *functions, *(to for _, to in references if to in self.arrays)})
        self.refers, self.needs = defaultdict(set), defaultdict(set)
        for place, to in references:
            if self.node(to):
                self.refers[self.node(place)].add(self.node(to))
        for place, line in disassembly:
            self.needs[self.node(place)] |= {isa for isa, pattern in NEEDS.items() if pattern.match(line)}

    def node(self, address):
        """Where the function or array that holds it starts; None for everything else, together."""
        if address in self.text or address in self.arrays:
            return self.starts[bisect_right(self.starts, address) - 1]
        return None

    def behind(self, node):
        """The node and all that one can get to from it."""
        found, new = set(), {node}
        while new:
            found |= new
            new = set().union(*(self.refers[each] for each in new)) - found
        return found

    def tables(self):
        """Instruction set and address of each `fl_kernels` (csrc/fastloss.h): name, array of losses."""
        for table, name in self.pointers.items():
            if name in self.strings and self.pointers.get(table + 8) in self.arrays:
                position = name - self.strings[0] + self.strings_at
                yield BINARY.read_bytes()[position : position + 20].partition(b"\0")[0].decode(), table


@needs_x86
def test_wide_instructions_stand_behind_their_table(disassembly):
    """Where only dispatch leads, which asks the processor; and no two tables share a function."""
    graph = Graph(disassembly)
    tables = sorted(graph.tables())
    assert [isa for isa, _ in tables] == sorted(["baseline", *NEEDS] * 2)  # float32 and float64
    behind = [graph.behind(table) for _, table in tables]
    for one, other in combinations(behind, 2):
        assert not one & other
    for (isa, _), nodes in zip(tables, behind, strict=True):
        assert len(nodes) > 2 * len(fastloss.losses())  # each has a function and an array of its own
        needs = set().union(*(graph.needs[node] for node in nodes))
        assert needs == {"baseline": set(), "x86_v3": {"x86_v3"}, "x86_v4": {"x86_v3", "x86_v4"}}[isa]
    kernels = set().union(*behind)
    for node in {None, *graph.starts} - kernels:
        assert not graph.needs[node], f"{node:x}"
        assert not graph.refers[node] & kernels - {table for _, table in tables}, f"{node:x}"


EVERY_KERNEL = """
import numpy as np
import fastloss as fl

for dtype in (np.float32, np.float64):
    z = np.linspace(-3, 3, 400).astype(dtype).reshape(40, 10)
    labels, classes, probabilities = np.asarray(z > 0, dtype), np.arange(40) % 10, fl.softmax(z)
    for loss in [loss_class() for loss_class in fl.losses()]:
        if loss.kind == "columns":
            rows = z[:, : len(loss.columns)]
            target = {"open interval": np.full(40, 0.5), "classes": classes % 2}.get(loss.target_domain, classes + 1)
            for curvature in loss.curvatures:
                loss.value_gradient_and_hessian(rows, target, curvature=curvature)
            loss.value_and_gradient(rows, target)
            loss.gradient(rows, target)
            loss(rows, target)
            loss.packed_hessian(rows, target)
            continue
        if loss.kind == "segments":
            of = {} if isinstance(loss, (fl.CoxPH, fl.AFT)) else {"group": [10, 30]}
            for curvature in loss.curvatures:
                loss.value_gradient_and_hessian(z[:, 0], classes + 1, curvature=curvature, **of)
            continue
        row_wise = isinstance(loss, fl._kernels.RowwiseLoss)
        for target in (classes if row_wise else labels, probabilities):
            if loss.target_domain == "positive":
                target = target + 1
            if loss.target_domain == "classes":
                target = np.rint(target)
            for curvature in ("exact", "psd", "majorize"):
                loss.value_gradient_and_hessian(z, target, curvature=curvature)
            loss.value_and_gradient(z, target)
            loss.gradient(z, target)
            loss(z, target)
    fl.dice(z, labels, axis=0)
    fl.zero_one(z, labels)
    fl.zero_one(z, classes)
    for function in (fl.log_softmax, fl.softmax, fl.logsumexp, fl.sigmoid, fl.log_sigmoid):
        function(z)
print(fl.config()["isa"])
"""


@needs_x86
@pytest.mark.skipif(not shutil.which("qemu-x86_64-static"), reason="needs qemu-user-static")
@pytest.mark.parametrize(("processor", "isa"), [("Nehalem-v1", "baseline"), ("Haswell-v1", "x86_v3")])
def test_runs_on_an_old_processor(processor, isa):
    """Without a choice of ours, with no instruction that the processor lacks."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FASTLOSS_")}
    process = subprocess.run(
        ["qemu-x86_64-static", "-cpu", processor, sys.executable, "-c", EVERY_KERNEL],
        cwd=sys.prefix,
        env={**environment, "OPENBLAS_CORETYPE": "Nehalem"},  # NumPy's OpenBLAS asks the real processor
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (process.returncode, process.stdout.strip()) == (0, isa), process.stderr
