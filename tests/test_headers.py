"""The headers of the kernels: each compiles alone, none includes itself by a detour; functions stay short."""

import graphlib
import itertools
import pathlib
import re
import shutil
import subprocess

import pytest

CSRC = pathlib.Path(__file__).resolve().parent.parent / "csrc"
HEADERS = sorted(CSRC.glob("*.h"))
MOST_LINES, MOST_PARAMETERS = 60, 8
FUNCTION = re.compile(r"^(?:ALWAYS_INLINE|SHARED|static)[^;{}=#]*?(\w+)\(([^{};]*)\)\s*\{.*?^\}", re.M | re.S)

pytestmark = pytest.mark.skipif(not HEADERS, reason="needs the checkout")


def included(header):
    return set(re.findall(r'^#include "(\w+\.h)"', header.read_text(), re.M))


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
@pytest.mark.parametrize("header", HEADERS, ids=lambda header: header.name)
def test_every_header_compiles_alone(header):
    for bits in (32, 64):
        command = [
            "cc",
            "-std=gnu11",
            "-fsyntax-only",
            "-Werror=implicit",
            f"-DFL_REAL={bits}",
            "-DFL_ISA=any",
            "-xc",
            "-",
        ]
        twice = f'#include "{header}"\n' * 2
        subprocess.run(command, input=twice, text=True, check=True)


def test_headers_include_no_circle():
    graphlib.TopologicalSorter({header.name: included(header) for header in HEADERS}).prepare()


def functions(path):
    """Name, number of lines and of parameters of every function of a file."""
    for match in FUNCTION.finditer(path.read_text()):
        yield match[1], match[0].count("\n") + 1, match[2].count(",") + 1


def test_functions_are_short():
    sources = [path for pattern in ("*.[ch]", "losses/*.h") for path in CSRC.glob(pattern)]
    found = [(path.name, *function) for path in sources for function in functions(path)]
    assert len(found) > len(sources)
    assert [each for each in found if each[2] > MOST_LINES or each[3] > MOST_PARAMETERS] == []


CYTHON = sorted((CSRC.parent / "fastloss").glob("*.pyx"))
CYTHON_FUNCTION = re.compile(r"^( *)(?:cdef|cpdef|def)\b(?! (?:class|extern)\b)[^=(\n]*?(\w+)\(", re.M)
# Longer, or of more parameters, and why.
EXCEPTIONS = {
    "call": "the arguments of the public methods, one for one: each of them costs a small call if it is packed",
    "call_general": "those of call",
    "ascend_classes": "the arrays of fl_class_ascent, one for one",
}


def cython_functions(path):
    """As `functions`; without the docstrings, which users read."""
    lines = re.sub(r'"""[\s\S]*?"""', "", path.read_text()).splitlines()
    text = "\n".join(lines)
    for match in CYTHON_FUNCTION.finditer(text):
        first = text.count("\n", 0, match.start())
        indented = re.compile(rf"\s*$| {{{len(match[1]) + 1}}}").match
        body = "\n".join(itertools.takewhile(indented, lines[first + 1 :])).rstrip()
        arguments = re.match(r"[^()]*(?:\([^()]*\)[^()]*)*", text[match.end() :])[0]
        names = [each.strip() for each in re.sub(r"\[[^]]*\]", "", arguments).split(",")]
        yield match[2], body.count("\n") + 2, len([each for each in names if each not in ("", "*", "self")])


@pytest.mark.parametrize("path", CYTHON, ids=lambda path: path.name)
def test_functions_of_cython_are_short(path):
    found = list(cython_functions(path))
    assert len(found) > 50
    long = {name for name, lines, n in found if lines > MOST_LINES or n > MOST_PARAMETERS}
    assert long == EXCEPTIONS.keys()
