"""The headers of the kernels: each compiles alone, none includes itself by a detour."""

import graphlib
import pathlib
import re
import shutil
import subprocess

import pytest

CSRC = pathlib.Path(__file__).resolve().parent.parent / "csrc"
HEADERS = sorted(CSRC.glob("*.h"))

pytestmark = pytest.mark.skipif(not HEADERS, reason="needs the checkout")


def included(header):
    return set(re.findall(r'^#include "(\w+\.h)"', header.read_text(), re.M))


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.name)
def test_every_header_compiles_alone(header):
    for bits in (32, 64):
        command = ["cc", "-std=gnu11", "-fsyntax-only", f"-DFL_REAL={bits}", "-DFL_ISA=any", "-xc", "-"]
        twice = f'#include "{header}"\n' * 2
        subprocess.run(command, input=twice, text=True, check=True)


def test_headers_include_no_circle():
    graphlib.TopologicalSorter({header.name: included(header) for header in HEADERS}).prepare()
