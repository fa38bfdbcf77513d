"""The compiled module: what it exports, needs and holds, which instructions each object uses, and old processors."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zlib
from pathlib import Path

import pytest

import fastloss._kernels

CHECKOUT = Path(__file__).parents[1]
BINARY = Path(fastloss._kernels.__file__)
OBJECTS = sorted(CHECKOUT.glob(f"build/temp.{sysconfig.get_platform()}-{sys.implementation.cache_tag}/**/*.o"))

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux") or shutil.which("objdump") is None,
    reason="needs an ELF binary and binutils",
)
needs_objects = pytest.mark.skipif(not OBJECTS, reason="needs build/ as `pip install .` leaves it")
needs_x86 = pytest.mark.skipif(not sysconfig.get_platform().endswith("x86_64"), reason="needs x86-64")


def lines_of(*command):
    process = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True, timeout=120)
    return process.stdout.splitlines()


def instructions(path):
    """The disassembly: one "mnemonic operands" per instruction."""
    for line in lines_of("objdump", "-d", "--no-show-raw-insn", path):
        if match := re.match(r"\s*[0-9a-f]+:\s+(\S.*)", line):
            yield match[1]


def test_exports_only_the_init_function():
    symbols = [line.split()[-1] for line in lines_of("nm", "-D", "--defined-only", BINARY)]
    assert symbols == ["PyInit__kernels"]


def test_needs_only_system_libraries():
    dynamic = "\n".join(lines_of("readelf", "-d", BINARY))
    needed = {name.partition(".so")[0] for name in re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)}
    assert needed <= {"libgomp", "libomp", "libc", "libm", "libpthread", "libdl", "ld-linux-x86-64"}
    assert ("libgomp" in needed or "libomp" in needed) == bool(fastloss.config()["openmp"])
    # Python's own link command may carry one; the project adds none.
    for path in re.findall(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic):
        assert path in sysconfig.get_config_var("LDSHARED")


def test_is_small():
    """As small as a wheel makes it: six sets of kernels for each loss compress well."""
    assert len(zlib.compress(BINARY.read_bytes())) <= 2_500_000


def test_holds_no_path_of_the_build():
    assert str(CHECKOUT).encode() not in BINARY.read_bytes()


@needs_x86
def test_never_touches_the_floating_point_mode():
    """`-ffast-math` at link time adds a constructor that sets flush-to-zero for the whole process."""
    assert not [line for line in instructions(BINARY) if line.startswith(("ldmxcsr", "vldmxcsr", "fldcw"))]


@needs_objects
@needs_x86
@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: str(path.relative_to(CHECKOUT / "build")))
def test_objects_use_their_own_instruction_set(path):
    """Wide instructions stand only where dispatch has checked for them."""
    used = set()
    for line in instructions(path):
        used |= {"vex"} if line.startswith("v") else set()
        used |= set(re.findall(r"%([yz]mm|k(?=[0-7]))", line))
    isa = path.relative_to(CHECKOUT).parts[2].partition("-")[0]
    if isa == "x86_v4":
        assert "zmm" in used
    elif isa == "x86_v3":
        assert "ymm" in used
        assert not used & {"zmm", "k"}
    else:
        assert not used


@needs_objects
@pytest.mark.parametrize(
    "path",
    [path for path in OBJECTS if path.name == "kernels.o"],
    ids=lambda path: path.parts[-3],
)
def test_kernel_objects_share_no_function(path):
    """One hidden table each: a shared inline function could bring wide instructions to a narrow machine."""
    symbols = [line for line in lines_of("readelf", "-sW", path) if re.search(r" (GLOBAL|WEAK) ", line)]
    defined = [line for line in symbols if " UND " not in line]
    assert len(defined) == 1, defined
    assert " HIDDEN " in defined[0]


EVERY_KERNEL = """
import numpy as np
import fastloss as fl

for dtype in (np.float32, np.float64):
    z = np.linspace(-3, 3, 400).astype(dtype).reshape(40, 10)
    labels, classes, probabilities = np.asarray(z > 0, dtype), np.arange(40) % 10, fl.softmax(z)
    for loss in [loss_class() for loss_class in fl.losses()]:
        row_wise = isinstance(loss, fl._kernels.RowwiseLoss)
        for target in (classes if row_wise else labels, probabilities):
            if loss.target_domain == "positive":
                target = target + 1
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
