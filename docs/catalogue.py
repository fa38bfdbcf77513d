"""
Sphinx extension: writes the pages that follow from the code, into generated/.

A page for each loss, from its class, the tables of losses and curvatures, formulas.py and the C file of its kernel; a
page for each peer, from the table of equivalents and what the tests say about definitions (tests/equivalents.py,
tests/test_peers_*.py); the table of measured errors, from the docstrings; the API reference, from each `__all__`.
"""

import ast
import contextlib
import functools
import inspect
import io
import math
import re
import sys
from pathlib import Path

import numpy as np
import pictures
from equivalents import EQUIVALENTS, IMPORTS
from formulas import FORMULAS, NAMES, typeset
from leads import LEADS
from sphinx.application import Sphinx
from sphinx.config import Config

import fastloss as fl
from fastloss.__main__ import main

CHECKOUT = Path(__file__).resolve().parent.parent
GENERATED = CHECKOUT / "docs" / "generated"
FAMILIES = {
    "multiclass": "One class of many",
    "binary": "Yes or no",
    "regression": "Regression",
    "distribution": "Amounts and counts",
    "likelihood": "Several numbers a row",
    "ordinal": "Ordered classes",
    "overlap": "Overlap of sets",
    "survival": "Time to event",
    "groups": "Rows that belong together",
}
MODULES = ("", ".sklearn", ".lightgbm", ".xgboost", ".catboost", ".dask", ".torch", ".onnx", ".reference")
PEERS = {
    "torch": "PyTorch",
    "keras": "TensorFlow and Keras",
    "optax": "JAX and Optax",
    "sklearn": "scikit-learn",
    "scipy": "SciPy",
}


def family(loss: type) -> str:
    return loss.__module__.rpartition(".")[2]


def write(name: str, text: str) -> None:
    """Write a page, but not again what it holds already: Sphinx goes by the time of the file."""
    path = GENERATED / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def table_rows(page: str, loss: type) -> tuple[str, list[str]]:
    """Return the head of the page's table in which a loss stands, and its rows."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    for table in re.findall(r"(?:^\|.*\n)+", text + "\n", re.MULTILINE):
        head, rule, *rows = table.splitlines()
        found = [row for row in rows if re.search(rf"`{loss.__name__}[(`]", row.split(" | ")[0])]
        if found:
            return f"{head}\n{rule}", found
    raise LookupError(f"{loss.__name__} is in no table of {page}")


def lead(loss: type) -> str:
    """What a loss is, when to take it, when not, and where to look."""
    given = LEADS[loss.__name__]
    instead = ", ".join(f"[{name}]({getattr(fl, name)().name}.md)" for name in given.instead)
    return f"""{given.what}

**When.** {given.when}

**When not.** {given.when_not}

**Instead.** {instead}. The guide discusses the choice under
[{given.see}](../../guide.md#{anchor(given.see)}).{examples(loss)}
"""


def anchor(heading: str) -> str:
    """The anchor of a heading, as MyST makes it."""
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def examples(loss: type) -> str:
    """The case studies in which a loss is trained with, as a sentence."""
    found = []
    for path in sorted((CHECKOUT / "examples").glob("plot_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        others = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg != "loss"}
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in others}
        if loss.__name__ in names or loss().name in texts:
            title = ast.get_docstring(tree).splitlines()[0]
            found.append(f"[{title}](../gallery/{path.stem}.rst)")
    return f"\n\n**Case studies.** {'; '.join(found)}." if found else ""


def elsewhere(loss: type) -> str:
    """What other libraries call it, of the table of equivalents, and where the tests compare them."""
    pattern = re.compile(rf"fl\.(?:{loss().name}|{loss.__name__})\(")
    rows = [
        f"| [{PEERS[peer]}](../peers/{peer}.md) | `{row.theirs}` | `{row.ours}` |"
        for peer in PEERS
        for row in EQUIVALENTS[peer]
        if pattern.search(row.ours)
    ]
    parts = []
    if rows:
        parts.append("| | there | here |\n|---|---|---|\n" + "\n".join(dict.fromkeys(rows)) + "\n")
    named = re.compile(rf"\bfl\.(?:{loss().name}|{loss.__name__})\b")
    found = [
        f"[{PEERS[peer]}: {title}](../peers/{peer}.md#{anchor(title)})"
        for peer in PEERS
        for title, _, source in comparisons(peer)
        if named.search(source)
    ]
    if found:
        parts.append("What differs: " + "; ".join(found) + ".\n")
    return "## In other libraries\n\n" + "\n".join(parts) if parts else ""


def formula(loss: type) -> str:
    given = FORMULAS[loss.__name__]
    lines = {
        "value": given.value,
        "gradient": given.gradient,
        "Hessian": given.hessian,
    }
    lines = [rf"\text{{{name}}} &\quad {typeset(expression)}" for name, expression in lines.items()]
    where = [rf"{typeset(name)} &= {typeset(expression)}" for name, expression in given.where.items()]
    text = "```{math}\n\\begin{aligned}\n" + " \\\\[6pt]\n".join(lines) + "\n\\end{aligned}\n```\n"
    if where:
        text += "\nwhere\n\n```{math}\n\\begin{aligned}\n" + " \\\\[6pt]\n".join(where) + "\n\\end{aligned}\n```\n"
    return text


def names_of_columns(loss: type) -> str:
    """What columns are called elsewhere on the page."""
    if family(loss) != "likelihood":
        return ""
    if loss is fl.Quantiles:
        return ", $q_j$ its level, and $r_j = z_j - t$"
    if loss().columns[1].startswith("log of the scale") and loss is not fl.WeibullNLL:
        return ": $z_0$ is also called $m$, and $z_1$ is $s$"
    return ""


def picture(name: str, where: str) -> str:
    """The picture of a loss, side by side for screens and stacked for phones; the style sheet chooses."""
    return f"""```{{eval-rst}}
.. plot::
   :filename-prefix: {name}-{where}
   :alt: value, gradient and Hessian of {name}
   :class: for-{where}

   import pictures
   pictures.loss("{name}", stacked={where == "phones"})
```
"""


def loss_page(loss: type) -> str:
    name = loss.__name__
    function = loss().name
    unit = {"overlap": "element of a set", "multiclass": "row", "likelihood": "row", "groups": "group"}.get(
        family(loss), "element"
    )
    labels = family(loss) in ("multiclass", "binary", "overlap")
    hard, options = (", with a hard target", "options and soft targets") if labels else ("", "parameters and sources")
    head, rows = table_rows("docs/curvature.md", loss)
    return f"""# {name}

{lead(loss)}
## Formula

{NAMES[family(loss)]}{names_of_columns(loss)}.

{formula(loss)}
Of one {unit}{hard}, as papers write it; the docstring below has {options}, and the
[kernel](#as-it-is-computed) the form in which it is computed.

{picture(name, "screens")}
{picture(name, "phones")}

{pictures.method(name)}

## Curvature

{head}
{chr(10).join(rows)}

{elsewhere(loss)}
## Class and function

```{{eval-rst}}
.. autoclass:: fastloss.{name}
   :members:
   :inherited-members:
   :special-members: __call__

.. autofunction:: fastloss.{function}
```

## As it is computed

The obvious form loses digits, or overflows, where terms cancel or numbers end. This is the form that runs, the same
for every dtype, memory layout and instruction set; its comment says why. Here `z` is the prediction, `t` the target,
and `o.p` holds the parameters of the loss.

```{{literalinclude}} ../../../csrc/losses/{function}.inc.h
:language: c
```
"""


def losses_index() -> str:
    parts = ["# Losses\n\nOne page for each loss: formula, picture, curvature, documentation and kernel.\n"]
    for module, title in FAMILIES.items():
        losses = [loss for loss in fl.losses() if family(loss) == module]
        rows = "\n".join(f"| [{loss.__name__}]({loss().name}.md) | {LEADS[loss.__name__].when} |" for loss in losses)
        names = "\n".join(loss().name for loss in losses)
        parts.append(f"## {title}\n\n| loss | when |\n|---|---|\n{rows}\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n")
    return "\n".join(parts)


def tests_of(peer: str) -> str:
    return (CHECKOUT / "tests" / f"test_peers_{peer}.py").read_text(encoding="utf-8")


@functools.cache
def comparisons(peer: str) -> list[tuple[str, str, str]]:
    """Title, docstring and source of each test against a peer."""
    text, found = tests_of(peer), []
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            title = node.name.removeprefix("test_").replace("_", " ")
            title = f"{title[0].upper()}{title[1:]}".replace("Kl ", "KL ")
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            found.append((title, ast.get_docstring(node), "\n".join(text.splitlines()[first - 1 : node.end_lineno])))
    return found


def differences(peer: str) -> str:
    """What the docstrings of the tests against a peer say."""
    parts = [f"{ast.get_docstring(ast.parse(tests_of(peer)))}\n"]
    return "\n".join(parts + [f"### {title}\n\n{said}\n" for title, said, _ in comparisons(peer)])


def peer_page(peer: str) -> str:
    rows = "\n".join(f"| {row.kind} | `{row.theirs}` | `{row.ours}` |" for row in EQUIVALENTS[peer])
    imports = "\n".join(IMPORTS[peer])
    return f"""# Coming from {PEERS[peer]}

Each row gives the same number or array on both sides: `tests/test_equivalents.py` evaluates both wherever
{PEERS[peer]} is installed. `z` is the prediction (logits, scores), `t` the target, `w` sample weights, `c` class
weights, `X` a table of features.

```python
{imports}
import fastloss as fl
```

| target | {PEERS[peer]} | fastloss |
|---|---|---|
{rows}

## What differs

From the tests that compare the two, `tests/test_peers_{peer}.py`: each of these statements is checked there.

{differences(peer)}"""


def accuracy_table() -> str:
    """The measured errors: in ulp, and as the largest relative error that they can be."""
    head = "| loss | value, float32 | gradient, float32 | value, float64 | gradient, float64 |\n|---|--:|--:|--:|--:|\n"
    epsilon = [np.finfo(dtype).eps for dtype in (np.float32, np.float32, np.float64, np.float64)]
    pattern = r"Measured error: value (\S+), gradient (\S+) ulp \(float32\);\s+(\S+), (\S+) \(float64\)"
    rows = []
    for loss in fl.losses():
        if found := re.search(pattern, inspect.getdoc(loss)):
            errors = zip(found.groups(), epsilon, strict=True)
            numbers = " | ".join(f"{ulp} ({power_of_ten(float(ulp) * eps)})" for ulp, eps in errors)
            rows.append(f"| [{loss.__name__}](/generated/losses/{loss().name}.md) | {numbers} |\n")
    return head + "".join(rows)


def power_of_ten(number: float) -> str:
    """A number with one digit, rounded up: an upper bound."""
    exponent = math.floor(math.log10(number)) if number else 0
    digits = math.ceil(number / 10.0 ** (exponent - 1) - 1e-9) / 10
    return f"{digits:g} x 10<sup>{exponent}</sup>" if number else "0"


def exported(module: str) -> list[str]:
    """Return `__all__` of a module, whose library need not be installed."""
    path = CHECKOUT / module.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise LookupError(f"{module} has no __all__")


def api() -> str:
    parts = [
        "# API reference\n\nLosses have [pages of their own](/generated/losses/index.md), with formulas and pictures. "
        "The rest of the package:\n"
    ]
    on_their_pages = {name for loss in fl.losses() for name in (loss.__name__, loss().name)} | {"reference"}
    for module in (f"fastloss{each}" for each in MODULES):
        names = [name for name in exported(module) if module != "fastloss" or name not in on_their_pages]
        listed = "\n".join(f"   {name}" for name in names)
        parts.append(
            f"## {module}\n\n```{{eval-rst}}\n.. currentmodule:: {module}\n\n.. autosummary::\n   :toctree: api\n\n"
            f"{listed}\n```\n"
        )
    return "\n".join(parts)


def write_comparison() -> None:
    """The report that `fastloss compare` writes, for its page to show."""
    page = GENERATED / "report" / "comparison.html"
    if not page.exists():
        page.parent.mkdir(parents=True, exist_ok=True)
        losses = ["binary_cross_entropy", "binary_focal", "brier", "squared_hinge", "poly1"]
        with contextlib.redirect_stdout(io.StringIO()):
            status = main(["compare", "--quick", "--data", "breast_cancer", "--html", str(page), "--losses", *losses])
        if status:
            raise RuntimeError("fastloss compare failed")


def write_pages(app: Sphinx, config: Config) -> None:
    write("losses/index.md", losses_index())
    for loss in fl.losses():
        write(f"losses/{loss().name}.md", loss_page(loss))
    for peer in PEERS:
        write(f"peers/{peer}.md", peer_page(peer))
    write_comparison()
    write("api.md", api())
    write("accuracy.inc", accuracy_table())


def keep_formulas(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Leave the line breaks of an indented block after a colon as they are: formulas stand there, not quotations."""
    for i in range(len(lines) - 2):
        here, there = (re.match(" *", lines[j])[0] for j in (i, i + 2))
        if lines[i].endswith(":") and not lines[i].endswith("::") and not lines[i + 1] and len(there) > len(here):
            lines[i] += ":"


def is_not_ours(app: Sphinx, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out what a class inherits from another library."""
    module = getattr(getattr(obj, "fget", obj), "__module__", None) or "fastloss"
    return None if module.startswith("fastloss") else True


def forget_mocked_torch(configuration: dict, script: str) -> None:
    """Let an example import `fastloss.torch` anew: the pages of the API were made of it beside a torch that is none."""
    sys.modules.pop("fastloss.torch", None)


def arguments_of_examples(configuration: dict, script: dict) -> list[str]:
    """Where the examples leave their plot, seen from their folder: it is printed."""
    return ["../docs/_build"]


def declare_safe(app: Sphinx, config: object) -> None:
    """Say of the extension that copies MathJax at the end what it does not say: that pages may be read in parallel."""
    app.extensions["sphinx-mathjax-offline"].parallel_read_safe = True


def setup(app: Sphinx) -> dict[str, bool]:
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("config-inited", write_pages)  # before Sphinx looks for pages
    app.connect("config-inited", declare_safe)
    app.connect("autodoc-skip-member", is_not_ours)
    app.connect("autodoc-process-docstring", keep_formulas, priority=100)  # before numpydoc
    return {"parallel_read_safe": True}
