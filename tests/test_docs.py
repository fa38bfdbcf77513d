"""The documentation: its examples run, and its formulas are those of the kernels."""

import doctest
import importlib
import re
import sys
from pathlib import Path

import cases
import numpy as np
import pytest

import fastloss as fl

DOCS = Path(__file__).resolve().parent.parent / "docs"
NEEDS = {
    "boosters": ("lightgbm", "xgboost", "catboost"),
    "onnx": ("lightgbm", "xgboost", "catboost", "onnxruntime", "skl2onnx"),
    "sklearn": ("sklearn", "threadpoolctl", "pandas", "pyarrow"),
    "survival": ("lightgbm",),
}

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="needs the documentation")


def blocks(page):
    """The blocks of Python on a page, with their line numbers."""
    text = page.read_text(encoding="utf-8")
    for match in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 1, match[1]


PAGES = [page for page in sorted(DOCS.glob("*.md")) if any(blocks(page))]


def test_there_are_examples():
    assert len(PAGES) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_run(page):
    for name in NEEDS.get(page.stem, ()):
        pytest.importorskip(name)
    names, report = {}, []
    for line, source in blocks(page):
        assert source.startswith(">>> "), f"line {line}: an example that does not say what it gives"
        test = doctest.DocTestParser().get_doctest(source, names, page.name, str(page), line)
        doctest.DocTestRunner().run(test, out=report.append, clear_globs=False)
        names.update(test.globs)
    assert not report, "".join(report)


# -------------------------------------------------------------------------------- formulas


@pytest.fixture(scope="module")
def formulas():
    pytest.importorskip("latexify")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        yield importlib.import_module("formulas")
    sys.modules.pop("formulas")


FUNCTIONS = {name: getattr(np, name) for name in ("cosh", "exp", "log", "sign", "sqrt", "tanh")} | {"sum_k": np.sum}


def special_functions():
    special = pytest.importorskip("scipy.special")
    return {
        "erf": special.erf,
        "lgamma": special.gammaln,
        "psi": special.psi,
        "trigamma": lambda a: special.polygamma(1, a),
    }


def symbols(case, z, t, row, j):
    """What the formulas are made of, for one score."""
    if case.rowwise:
        p = fl.softmax(z)[row]
        by_class = t.ndim < z.ndim
        others = [k for k in range(z.shape[1]) if not by_class or k != t[row]]
        largest = max(others, key=lambda k: z[row, k])
        given = {"p_j": p[j], "p_k": p}
        if by_class:
            given |= {"p_y": p[t[row]], "is_y": float(j == t[row]), "z_y": z[row, t[row]], "z_other": z[row, largest]}
            return given | {"is_other": float(j == largest)}
        return given | {"t_j": t[row, j], "t_k": t[row]}
    if case.columnwise:
        given = {f"z_{k}": z[row, k] for k in range(z.shape[1])} | {"j": j, "t": t[row], "pi": np.pi}
        given |= {
            "p_j": float(fl.sigmoid(z[row, j])),
            "z_j": z[row, j],
            "z_k": z[row],
            "y_j": float(t[row] > j),
            "y_k": (t[row] > np.arange(z.shape[1])).astype(float),
        }
        q = np.array(case.parameters[-1].get("q", np.full(z.shape[1], np.nan)))
        return given | {"q_k": q, "q_j": q[j], "r_k": z[row] - t[row], "r_j": z[row, j] - t[row]}
    given = {"z": z[row], "t": t[row], "r": z[row] - t[row]}
    if case.domain == "ordered":
        edges = np.array([-np.inf, *case.parameters[-1]["thresholds"], np.inf])
        given |= {"c_l": edges[int(t[row])], "c_u": edges[int(t[row]) + 1]}
    if case.domain == "probability":
        y = 2 * t[row] - 1
        given |= {"p": float(fl.sigmoid(z[row])), "y": y, "m": y * z[row]}
    if case.setwise:
        p = fl.sigmoid(z)
        given |= {"p_j": p[row], "p_k": p, "t_j": t[row], "t_k": t}
    return given


@pytest.mark.parametrize("case", [case for case in cases.TABLE if not case.together], ids=str)
def test_formulas_are_those_of_the_kernels(formulas, case):
    formula = formulas.FORMULAS[case.constructor]
    parameters = {
        name: value
        for name, value in case.parameters[-1].items()
        if name not in ("label_smoothing", "class_weight", "pos_weight", "alpha")
    }
    if case.function == "tversky":
        parameters = {"alpha": 0.3, "beta": 0.9, "smooth": 0.5}
    loss = getattr(fl, case.constructor)(**parameters)
    rng = np.random.default_rng(0)
    n = 12
    several = 3 if case.rowwise else len(loss.columns) if case.columnwise else 1
    z = rng.normal(size=(n, several) if case.rowwise or case.columnwise else n, scale=2)
    if case.domain == "above -1":
        z = np.exp(z)
    t = {
        "class": lambda: rng.integers(0, 3, n) if case.function != "kl_divergence" else rng.dirichlet(np.ones(3), n),
        "real": lambda: rng.normal(size=n),
        "probability": lambda: rng.integers(0, 2, n).astype(float),
        "set": lambda: rng.integers(0, 2, n).astype(float),
        "count": lambda: rng.poisson(2, n).astype(float),
        "positive": lambda: rng.exponential(size=n),
        "share": lambda: rng.beta(2, 3, n),
        "ordered": lambda: rng.integers(0, loss.n_classes, n),
        "above -1": lambda: rng.exponential(size=n),
        "residual": lambda: rng.normal(size=n),
    }[case.domain.removesuffix(" row")]()
    value, gradient, hessian = loss.value_gradient_and_hessian(z, t, reduction="sum" if case.setwise else "none")
    for row in range(n):
        for j in range(several):
            functions = {**FUNCTIONS, **special_functions()}
            names = {**functions, **loss.parameters, **symbols(case, z, t, row, j)}
            for name, expression in formula.where.items():
                names[name] = eval(expression, names)
            at = (row, j) if case.rowwise or case.columnwise else row
            found = [eval(each, names) for each in (formula.value, formula.gradient, formula.hessian)]
            exact = [value if case.setwise else value[row], gradient[at], hessian[at]]
            assert found == pytest.approx(exact, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["AFT", "CoxPH", "GroupSoftmax", "PairwiseLogistic"])
def test_formulas_of_rows_together(formulas, name):
    """Of the first row: an event, of which all others are at risk then, or what comes first in its group."""
    formula = formulas.FORMULAS[name]
    rng = np.random.default_rng(0)
    z = rng.normal(size=6)
    loss = getattr(fl, name)(**{"scale": 0.7} if name == "AFT" else {})
    target = {"AFT": np.full(6, 2.0), "CoxPH": -np.arange(1.0, 7), "GroupSoftmax": rng.random(6)}.get(
        name, np.eye(6)[0]
    )
    if name == "CoxPH":
        target[0] = 1.0
    together = {} if name in ("AFT", "CoxPH") else {"group": [6]}
    found = loss.value_gradient_and_hessian(z, target, reduction="sum", **together)
    others = {"z_k": z[1:]} if name == "PairwiseLogistic" else {"z_k": z}
    p = fl.softmax(z)
    names = {
        **FUNCTIONS,
        **loss.parameters,
        "z_j": z[0],
        "p_j": p[0],
        "p_k": p,
        "t_k": target,
        "t_j": target[0],
        **others,
    }
    names |= {"t": target[0], "z": z[0], "pi": np.pi}
    for shorthand, expression in formula.where.items():
        names[shorthand] = eval(expression, names)
    value, gradient, hessian = (eval(each, names) for each in (formula.value, formula.gradient, formula.hessian))
    assert [gradient, hessian] == pytest.approx([found[1][0], found[2][0]])
    if name == "AFT":
        assert value == pytest.approx(loss(z[:1], target[:1]))
    else:
        assert value == pytest.approx(found[0])


def test_every_loss_has_a_lead_of_its_own():
    """What it is, when, when not, and what instead; the guide has the heading where the choice is discussed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(DOCS))
        leads = importlib.import_module("leads").LEADS
    sys.modules.pop("leads")
    names = {loss.__name__ for loss in fl.losses()}
    headings = set(re.findall(r"^## (.*)$", (DOCS / "guide.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(leads) == names
    for name, lead in leads.items():
        assert lead.see in headings
        assert set(lead.instead) <= names - {name}
        assert lead.instead
    sentences = [sentence for lead in leads.values() for sentence in (lead.what, lead.when, lead.when_not)]
    assert all(re.fullmatch(r"[A-Z`a-z].*[.]", sentence) for sentence in sentences)
    assert len({lead.what for lead in leads.values()}) == len(names)


def test_the_book_names_every_loss():
    """Each class has a line in its table of pros and cons."""
    text = (DOCS / "losses_from_the_beginning.md").read_text(encoding="utf-8")
    missing = [loss.__name__ for loss in fl.losses() if f"generated/losses/{loss().name}.md" not in text]
    assert not missing


def test_every_loss_has_a_formula(formulas):
    assert set(formulas.FORMULAS) == {loss.__name__ for loss in fl.losses()}
    for formula in formulas.FORMULAS.values():
        for expression in (formula.value, formula.gradient, formula.hessian, *formula.where.values()):
            text = formulas.typeset(expression)
            assert "_{" not in text.replace(r"\max_{", "").replace(r"argmax}_{", "")


def test_one_letter_for_targets():
    """Where formulas of a page, of a docstring and of the README stand one below the other, a target is t in all."""
    losses = [loss for loss in fl.losses() if not loss.__module__.endswith("multiclass")]
    other = [loss.__name__ for loss in losses if re.search(r"\btargets? y\b|\bz - y\b|\blog\(y\)", loss.__doc__)]
    assert not other
