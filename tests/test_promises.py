"""docs/promises.md: every promise names the tests that hold it, and every name is that of a test."""

import ast
import functools
import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PAGE = CHECKOUT / "docs" / "promises.md"
NOT_PROMISED = "What is not promised"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="needs the documentation")


def sections():
    """Title and text of each section of the page, but for what is not promised."""
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    titled = [part.partition("\n")[::2] for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]]
    return [section for section in titled if section[0] != NOT_PROMISED]


def promises():
    """The list items of each section, each a promise with the names of its tests, as (title and beginning, item)."""
    for title, text in sections():
        for item in re.split(r"^- ", text, flags=re.MULTILINE)[1:]:
            item = item.partition("\n\n")[0]
            yield pytest.param(item, id=f"{title}: {' '.join(item.split()[:4])}")


@functools.cache
def functions(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if hasattr(node, "name")}


def targets():
    return set(re.findall(r"^([\w-]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


def names(text):
    """What stands in backquotes and looks like a test: tests/test_x.py, tests/test_x.py::test_y, make target."""
    return re.findall(r"`(tests/\S+?\.py(?:::\w+)?|make [\w-]+)`", text)


def exists(name):
    if name.startswith("make "):
        return name.removeprefix("make ") in targets()
    path, _, function = name.partition("::")
    path = CHECKOUT / path
    return path.is_file() and (not function or function in functions(path))


def test_the_page_makes_promises():
    assert len(sections()) >= 10
    for title, text in sections():
        assert re.search(r"^- ", text, re.MULTILINE), f"{title}: no promise"


@pytest.mark.parametrize("promise", list(promises()))
def test_a_promise_names_tests_that_exist(promise):
    assert names(promise), f"no test holds: {promise}"
    missing = [name for name in names(promise) if not exists(name)]
    assert not missing, f"{missing} do not exist, and should hold: {promise}"


# Of the others a counter-example can only be built, not drawn: processes, signals, memory, other libraries.
SEARCHED = (
    "The same bits: **Any number of threads",
    "The same bits: **A stream gives",
    "Accuracy: **Every loss is",
    "Accuracy: **What holds in",
    "Accuracy: **psd is never",
    "Inputs: **Any array gives",
    "Inputs: **Outputs may lie",
    "Inputs: **Class indices of",
    "Errors: **An error names",
    "Errors: **After an error",
    "Weights: **Weight 0 is",
    "Weights: **The scale of",
    "nan and infinity: **Where there is",
    "Global state: **Losses do not",
    "Memory: **No call reads",
)


@pytest.mark.parametrize("beginning", SEARCHED)
def test_a_search_for_counter_examples_holds_what_can_be_drawn(beginning):
    (promise,) = (each.values[0] for each in promises() if each.id.startswith(beginning))
    assert re.search(r"`tests/test_(properties|fuzz)\.py", promise), promise


def test_nothing_in_backquotes_is_nearly_the_name_of_a_test():
    """A name that is spelled another way would be overlooked."""
    page = PAGE.read_text(encoding="utf-8")
    found = [text for text in re.findall(r"`([^`]*)`", page) if re.search(r"tests/|test_|^make\b|::", text)]
    assert sorted(found) == sorted(names(page))
    assert [name for name in found if not exists(name)] == []
