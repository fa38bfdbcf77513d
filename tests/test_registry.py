"""Every loss has all its pieces: class, function, reference twin, row in cases.py, formula, documentation."""

import ast
import doctest
import inspect
import pathlib
import re

import cases
import numpy as np
import pytest

import fastloss as fl
from fastloss import reference

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
FORMULAS = CHECKOUT / "csrc" / "losses"
README = CHECKOUT / "README.md"
ROW_FUNCTIONS = ("log_softmax", "softmax", "logsumexp", "sigmoid", "log_sigmoid")


@pytest.fixture(params=fl.losses(), ids=lambda each: each.__name__)
def loss_class(request):
    return request.param


def snake_case(name):
    if name in ("StudentTNLL", "CoxPH"):
        return {"StudentTNLL": "student_t_nll", "CoxPH": "cox_ph"}[name]  # two words of capitals in a row
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def own_parameters(callable_):
    """Name -> default, without what every loss has."""
    shared = {"self", "prediction", "target", "logits", "sample_weight", "reduction", "axis", "strata", "group"}
    signature = inspect.signature(callable_)
    return {name: p.default for name, p in signature.parameters.items() if name not in shared}


def test_function_with_the_same_parameters(loss_class):
    function = getattr(fl, snake_case(loss_class.__name__))
    assert function.__name__ == snake_case(loss_class.__name__)
    assert function.__name__ in fl.__all__
    assert loss_class.__name__ in fl.__all__
    assert own_parameters(function) == own_parameters(loss_class)
    signature = inspect.signature(function).parameters
    assert list(signature)[:2] == ["prediction", "target"]
    assert signature["sample_weight"].default is None
    assert signature["reduction"].default == "mean"
    assert signature["sample_weight"].kind is signature["reduction"].kind is inspect.Parameter.KEYWORD_ONLY
    case = next(case for case in cases.TABLE if case.constructor == loss_class.__name__)
    assert ("axis" in signature) == (case.rowwise or case.columnwise or case.setwise)
    if "axis" in signature:
        assert signature["axis"].default == (None if case.setwise else -1)


def test_name(loss_class):
    assert loss_class().name == snake_case(loss_class.__name__)
    assert list(loss_class().parameters) == list(own_parameters(loss_class))


def test_traits(loss_class):
    """Said by the loss itself; and what can be seen of them from outside."""
    assert loss_class.traits is not fl.Loss.traits, "what it is to those who train with it: fastloss/_traits.py"
    traits, loss = loss_class.traits, loss_class()
    assert traits.bend in (None, "", *loss.parameters)
    assert traits.boosting in loss.curvatures
    assert (traits.fisher is not None) == ("fisher" in loss.curvatures)
    z = np.array([[-2.0, 0.5, 3.0]])
    if traits.link == "columns":
        assert loss.kind == "columns"
    elif traits.link == "softmax":
        assert np.array_equal(loss.inverse_link(z), fl.softmax(z))
    elif traits.link in ("identity", "margin"):
        assert np.array_equal(loss.inverse_link(z), z)
    elif traits.link == "log":
        assert np.array_equal(loss.inverse_link(z), np.exp(z))
    else:
        probability = loss.inverse_link(z)
        assert ((probability > 0) & (probability < 1)).all()


def test_reference_twin_with_the_same_parameters(loss_class):
    twin = getattr(reference, snake_case(loss_class.__name__))
    assert twin.__name__ in reference.__all__
    assert own_parameters(twin) == own_parameters(loss_class)


def test_row_in_cases(loss_class):
    rows = [case for case in cases.TABLE if case.constructor == loss_class.__name__]
    assert len(rows) == 1
    (case,) = rows
    assert case.function == snake_case(loss_class.__name__)
    # Every parameter appears with another value than its default.
    used = {name for parameters in case.parameters for name in parameters}
    assert used | {"ignore_index"} >= set(own_parameters(loss_class))
    refused = {word for _, word in case.refused}
    assert refused >= set(own_parameters(loss_class))


def test_no_row_without_a_loss():
    assert {case.constructor for case in cases.TABLE} == {each.__name__ for each in fl.losses()}


@pytest.mark.skipif(not FORMULAS.is_dir(), reason="needs the source tree")
def test_formula(loss_class):
    name = snake_case(loss_class.__name__)
    path = FORMULAS / f"{name}.inc.h"
    assert path.is_file()
    assert path.read_text().lstrip().startswith("/*"), "the derivation stands where the formula is"
    assert re.search(rf"\b{name}\b", (FORMULAS.parent / "losses.def").read_text())


@pytest.mark.skipif(not FORMULAS.is_dir(), reason="needs the source tree")
def test_no_formula_without_a_loss():
    names = (
        {snake_case(each.__name__) for each in fl.losses()} | set(ROW_FUNCTIONS) | {"zero_one", "multiclass_zero_one"}
    )
    texts = {path.name: path.read_text() for path in FORMULAS.glob("*.inc.h")}
    shared = {name for name in texts if any(f'#include "{name}"' in text for text in texts.values())}
    assert {name.removesuffix(".inc.h") for name in texts.keys() - shared} <= names


@pytest.mark.skipif(not README.is_file(), reason="needs the source tree")
def test_in_the_tables(loss_class):
    """With its parameters and their defaults; and what psd and majorize are."""
    losses, curvature = (page.read_text(encoding="utf-8") for page in (README, CHECKOUT / "docs" / "curvature.md"))
    written = re.search(rf"^\| `{loss_class.__name__}\((.*?)\)`", losses, re.MULTILINE)
    assert written, "no line in the table of losses"
    call = ast.parse(f"loss({written[1]})", mode="eval").body
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    parameters = own_parameters(loss_class)
    assert given.keys() == parameters.keys() or loss_class is fl.Focal
    assert {name: parameters[name] for name in given} == given
    assert re.search(rf"^\|[^|]*`{loss_class.__name__}`", curvature, re.MULTILINE), "no line in the table of curvatures"


@pytest.mark.skipif(not README.is_file(), reason="needs the source tree")
def test_readme_counts_the_losses():
    assert f" {len(fl.losses())} losses" in README.read_text(encoding="utf-8")


def documented():
    found = {each.__name__: each for each in fl.losses()}
    for name in fl.__all__:
        each = getattr(fl, name)
        if callable(each):
            found[name] = each
    for each in fl.losses():
        for name in dir(each):
            if not name.startswith("_") and callable(getattr(each, name)):
                found[f"{each.__name__}.{name}"] = getattr(each, name)
    return found


@pytest.mark.parametrize("name", documented())
def test_docstring_with_a_running_example(name):
    each = documented()[name]
    text = inspect.getdoc(each)
    assert text, f"{name} has no docstring"
    if inspect.isclass(each) or "." not in name:
        assert "Examples\n--------" in text, f"{name} has no example"
    test = doctest.DocTestParser().get_doctest(text, {"fl": fl}, name, None, 0)
    report = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("name", reference.__all__)
def test_examples_of_the_reference(name):
    text = inspect.getdoc(getattr(reference, name))
    assert text
    test = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    report = []
    doctest.DocTestRunner().run(test, out=report.append)
    assert not report, "".join(report)


def test_everything_exported_exists():
    for name in fl.__all__:
        assert getattr(fl, name) is not None
    assert len(set(fl.__all__)) == len(fl.__all__)
    assert set(fl.__all__) <= set(dir(fl))


def test_dir_lists_what_is_public():
    public = {name for name in dir(fl) if not name.startswith("_")}
    modules = {"catboost", "dask", "lightgbm", "onnx", "sklearn", "torch", "xgboost"}
    assert public == {name for name in fl.__all__ if not name.startswith("_")} | modules | {"reference"}


def test_modules_are_imported_when_touched(run_python):
    pytest.importorskip("sklearn")
    run_python("import sys, fastloss as fl; assert 'fastloss.sklearn' not in sys.modules; fl.sklearn.LossRegressor()")


def test_objects_have_a_signature(loss_class):
    assert list(inspect.signature(loss_class).parameters) == list(loss_class().parameters)
    parameters = inspect.signature(loss_class()).parameters
    assert list(parameters)[:2] == ["prediction", "target"]
    assert {"sample_weight", "reduction"} <= set(parameters)
    assert "gradient_out" not in parameters


def test_classes_know_where_they_live(loss_class):
    assert loss_class.__module__.split(".")[0] == "fastloss"
    assert loss_class.__qualname__ == loss_class.__name__
