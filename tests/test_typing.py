"""What type checkers and editors know: types of users' code, and signature and text of everything public."""

import ast
import importlib.util
import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import cases
import pytest

import fastloss as fl
from fastloss import _kernels

USERS = Path(__file__).resolve().parent / "users"
NAMES = ("core", "sklearn", "lightgbm", "xgboost", "catboost", "torch", "dask")
# What a user's code is tested with for every loss alike, in test_packaging.py.
OF_LOSSES = {name for case in cases.TABLE for name in (case.function, case.constructor)}

pytestmark = pytest.mark.skipif(not USERS.exists(), reason="the tests stand alone, without the users' code")


def module_of(name):
    if name == "core":
        return fl
    pytest.importorskip(name)
    return importlib.import_module(f"fastloss.{name}")


def mypy(folder, *files):
    process = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "cache"), *map(str, files)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return process.stdout + process.stderr


def test_mypy_is_content_with_users_code(tmp_path):
    pytest.importorskip("mypy")
    files = [USERS / f"user_{name}.py" for name in NAMES if name == "core" or importlib.util.find_spec(name)]
    said = mypy(tmp_path, *files)
    assert said == f"Success: no issues found in {len(files)} source files\n"


MISTAKES = {
    'fl.Huber(delta="wide")': 'incompatible type "str"',
    "fl.Huber(width=2.0)": "Unexpected keyword argument",
    "len(fl.Huber()([1.0], [2.0]))": 'incompatible type "float"',
    "fl.Huber()([1.0], [2.0]).shape": '"float" has no attribute "shape"',
    'fl.Huber().gradient_and_hessian([1.0], [2.0], curvature="full")': 'expected "Literal[',
    'fl.huber([1.0], [2.0], reduction="avg")': 'expected "Literal[',
    'fl.gaussian_nll([[1.0, 0.0]], [2.0], reduction="avg")': 'expected "Literal[',
    "fl.Huber()([1.0], [2.0], axis=0)": "No overload variant",
    "fl.CrossEntropy().value_and_gradient([[1.0]], [0])[0].shape": '"float" has no attribute "shape"',
    "fl.softmaxx([1.0])": "has no attribute",
    "fls.LossRegressor(alfa=1.0)": "Unexpected keyword argument",
}


def test_mypy_finds_mistakes(tmp_path):
    """Types that are Any everywhere would do for all of these."""
    pytest.importorskip("mypy")
    lines = ["import fastloss as fl", "from fastloss import sklearn as fls", *(f"print({each})" for each in MISTAKES)]
    (tmp_path / "user.py").write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = mypy(tmp_path, "user.py").splitlines()
    for number, (mistake, words) in enumerate(MISTAKES.items(), 3):
        of_line = [each for each in said if each.startswith(f"user.py:{number}: error")]
        assert any(words in each for each in of_line), (mistake, of_line)


@pytest.mark.parametrize("name", NAMES)
def test_users_code_runs(name):
    pytest.importorskip("typing_extensions")
    module_of(name)
    runpy.run_path(str(USERS / f"user_{name}.py"))


@pytest.mark.parametrize("name", NAMES)
def test_users_code_uses_everything_public(name):
    tree = ast.parse((USERS / f"user_{name}.py").read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    public = set(module_of(name).__all__)
    assert public - used - (OF_LOSSES if name == "core" else set()) == set()


# ---- editors ---------------------------------------------------------------------------------------------------------


def described(module):
    """Every public callable of a module and every public method of its classes, under its name."""
    names = module.__all__ if hasattr(module, "__all__") else [n for n in vars(module) if not n.startswith("_")]
    for name in names:
        thing = getattr(module, name)
        if inspect.ismodule(thing) or not callable(thing):
            continue
        yield name, thing
        if not inspect.isclass(thing) or issubclass(thing, Exception):
            continue
        for method in dir(thing):
            function = inspect.getattr_static(thing, method)
            ours = (getattr(function, "__module__", None) or "").startswith("fastloss") or hasattr(
                function, "__objclass__"
            )
            if ours and callable(function) and (not method.startswith("_") or method == "__call__"):
                yield f"{name}.{method}", function


@pytest.mark.parametrize("name", [*NAMES, "_kernels"])
def test_editors_show_signature_and_text(name):
    found = dict(described(_kernels if name == "_kernels" else module_of(name)))
    assert found
    for where, thing in found.items():
        assert len((inspect.getdoc(thing) or "").strip()) > 20, where
        if where.endswith(".__call__") and not inspect.isfunction(thing):
            # A slot of a compiled class: its signature is the first line of its text.
            assert re.match(r"\w+\.__call__\(self, prediction, target, \*, ", thing.__doc__), where
        elif where.endswith(".load_model"):
            pass  # what CatBoost's own takes
        elif not (isinstance(thing, type) and thing.__module__ == "fastloss._kernels"):  # bases: nobody makes one
            assert set(inspect.signature(thing).parameters) - {"self"} != {"args", "kwargs"}, where
