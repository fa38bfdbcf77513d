"""The installed package: its version, what it holds, and what importing it does to the process."""

import importlib.metadata
import importlib.resources
import os
import re
import subprocess
import sys
from pathlib import Path

import cases
import numpy as np
import pytest

import fastloss as fl

CHECKOUT = Path(__file__).parents[1]


def run_python(program, **options):
    """Run `program` in a fresh interpreter, outside the checkout unless told otherwise."""
    options = {"cwd": Path(sys.prefix), **options}
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, **options)


def output_of(program):
    process = run_python(program)
    assert process.returncode == 0, process.stderr
    return process.stdout.split()


def test_version_agrees_everywhere():
    changelog = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (CHECKOUT / "CITATION.cff").read_text(encoding="utf-8")
    assert importlib.metadata.version("fastloss") == fl.__version__
    assert re.search(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)[1] == fl.__version__
    assert re.search(r"^version: (\S+)$", citation, re.MULTILINE)[1] == fl.__version__
    assert fl.config()["version"] == fl.__version__


def test_package_holds_type_information_and_no_sources():
    names = {entry.name for entry in importlib.resources.files("fastloss").iterdir()}
    assert {"py.typed", "_kernels.pyi"} <= names
    sources = [
        path.as_posix()
        for path in importlib.metadata.files("fastloss")
        if path.suffix in {".c", ".h", ".pyx", ".pxd", ".o"}
    ]
    public = [f"fastloss/include/fastloss_api.{kind}" for kind in ("h", "pxd")]  # what get_include() promises
    assert sorted(sources) == public


def test_licenses_come_with_what_they_cover():
    """Linux wheels hold GCC's libgomp, and so the text of its license and of the exception that lets others use it."""
    licenses = {
        path.name: path.read_text(encoding="utf-8")
        for path in importlib.metadata.files("fastloss")
        if "licenses" in path.parts
    }
    assert "BSD 3-Clause License" in licenses["LICENSE"]
    assert "GNU GENERAL PUBLIC LICENSE\n                       Version 3" in licenses["libgomp.txt"]
    assert "GCC RUNTIME LIBRARY EXCEPTION\n\nVersion 3.1" in licenses["libgomp.txt"]


def test_console_script_is_the_command_line():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="fastloss")
    assert callable(script.load())


USER_CODE = """\
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastloss as fl

logits = np.zeros((3, 2), dtype=np.float32)
classes = np.zeros(3, dtype=np.int64)
elements = np.ones((3, 2), dtype=np.float32)
one_a_row = np.ones(3)
number: float
array: NDArray[Any]
number = fl.mse([1.0, 2.0], [1.0, 3.0]) + fl.l2([1.0], [2.0]) + fl.zero_one(logits, classes)
array = logits - fl.softmax(logits, axis=0)
array = fl.CrossEntropy().packed_hessian(logits, classes, curvature="psd")
array = fl.Focal().hessian_vector_product(logits, classes, elements)
print(fl.Huber(delta=2.0).name, fl.config()["isa"], [each.__name__ for each in fl.losses()])
"""

USER_CODE_OF_A_LOSS = """
{name} = fl.{build}
number = fl.{name}({scores}, {target})
number = {name}({scores}, {target}, reduction="sum"{axis})
array = {name}({scores}, {target}, sample_weight=None, reduction="none"{axis})
array = {name}.gradient({scores}, {target}, gradient_out=np.empty_like({scores}){axis})
number, array = {name}.value_and_gradient({scores}, {target}{axis})
array, array = {name}.value_and_gradient({scores}, {target}, reduction="none"{axis})
array, array = {name}.gradient_and_hessian({scores}, {target}, curvature="psd"{axis})
number, array, array = {name}.value_gradient_and_hessian({scores}, {target}, curvature="majorize"{axis})
array = {name}.inverse_link({scores})
print({name}.init_score({target}), {name}.parameters, {name}.target_domain, {name} == fl.{build})
value, gradient, hessian = fl.reference.{name}({scores}, {target})
"""


def user_code():
    """Every loss with its parameters, every method, every kind of result: what a stub may get wrong."""
    parts = [USER_CODE]
    for case in cases.TABLE:
        if case.together:  # their arguments are their own: tests/users/user_core.py
            continue
        parameters = case.parameters[0 if case.columnwise else -1]  # the function has as many columns, too
        given = {name: [1.0, 2.0] if x is cases.CLASS_WEIGHT else x for name, x in parameters.items()}
        arguments = ", ".join(f"{name}={np.asarray(x).tolist()!r}" for name, x in given.items())
        parts += [
            USER_CODE_OF_A_LOSS.format(
                name=case.function,
                build=f"{case.constructor}({arguments})",
                scores=f"np.zeros((3, {len(case.build(parameters).columns)}))" if case.columnwise else "logits",
                target="classes"
                if case.rowwise or case.domain == "ordered row"
                else f"{cases.some_target(case)} * one_a_row"
                if case.columnwise
                else "elements",
                axis=", axis=-1" if case.rowwise or case.columnwise else ", axis=(0,)" if case.setwise else "",
            )
        ]
    return "".join(parts)


def test_stubs_serve_strict_user_code(tmp_path):
    pytest.importorskip("mypy")
    program = tmp_path / "user.py"
    program.write_text(user_code(), encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_strict_user_code_runs():
    """What the stubs are tested with is what a user may write."""
    exec(compile(user_code(), "user.py", "exec"), {})


def test_stubs_agree_with_the_compiled_module(tmp_path):
    pytest.importorskip("mypy")
    allowed = tmp_path / "allowed"
    allowed.write_text("fastloss._kernels.__test__\n", encoding="utf-8")  # Cython adds it
    process = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "fastloss._kernels", "--allowlist", str(allowed)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_import_needs_numpy_alone():
    modules = output_of(
        "import sys, numpy; before = set(sys.modules); import fastloss;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    assert set(modules) <= {"fastloss", "cython_runtime", *sys.stdlib_module_names} | {
        name for name in modules if name.startswith("_cython")
    }


def test_import_is_fast():
    """At most a sixth of NumPy's own import, in the best of a few processes."""
    program = """
import time
times = [time.process_time()]
import numpy
times.append(time.process_time())
import fastloss
times.append(time.process_time())
print((times[2] - times[1]) / (times[1] - times[0]))
"""
    assert min(float(output_of(program)[0]) for _ in range(5)) <= 1 / 6


def test_import_changes_nothing_in_the_process():
    """No environment variable, no thread, no output, no flush-to-zero (as `-ffast-math` would bring)."""
    process = run_python(
        """
import os, threading
import numpy

def n_threads():
    return len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 0

def halve_a_subnormal():
    halves.append(float(numpy.float64(1e-310) * 0.5))

environment, threads = dict(os.environ), n_threads()
import fastloss
assert dict(os.environ) == environment
assert n_threads() == threads
halves = []
halve_a_subnormal()
thread = threading.Thread(target=halve_a_subnormal)
thread.start()
thread.join()
assert halves == [5e-311, 5e-311], halves
"""
    )
    assert (process.returncode, process.stdout, process.stderr) == (0, "", "")


@pytest.mark.skipif(
    not (CHECKOUT / "fastloss" / "__init__.py").exists() or any((CHECKOUT / "fastloss").glob("_kernels*.so")),
    reason="no checkout, or one with the module built in place",
)
def test_import_from_the_checkout_says_what_to_do():
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    process = run_python("import fastloss", cwd=CHECKOUT, env=environment)
    assert process.returncode != 0
    assert "ImportError" in process.stderr
    assert "pip install" in process.stderr


@pytest.mark.parametrize("columns", [60, 80])
def test_help_of_every_command_fits_into_a_terminal(capsys, monkeypatch, columns):
    from fastloss.__main__ import COMMANDS, main

    monkeypatch.setenv("COLUMNS", str(columns))
    for command in ([], *([name] for name in COMMANDS)):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        printed = capsys.readouterr().out
        assert "usage: fastloss" in printed
        assert max(map(len, printed.splitlines())) <= columns


@pytest.mark.skipif(not (CHECKOUT / "setup.py").is_file(), reason="needs the source tree")
def test_readme_of_the_package_has_absolute_links(monkeypatch):
    """Of the build step alone: setup.py is read up to the call that builds."""
    monkeypatch.chdir(CHECKOUT)
    source = (CHECKOUT / "setup.py").read_text(encoding="utf-8")
    names = {"Path": Path, "re": re}
    exec(source[source.index("def absolute_readme") : source.index("def stop(")], names)
    links = re.findall(r"\]\(([^)]+)\)", names["absolute_readme"]())
    assert len(links) >= 10
    assert all(link.startswith("https://") for link in links)
    assert not [link for link in links if "/docs/" in link and link.endswith(".md")]  # built pages, with their pictures
