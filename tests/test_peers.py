"""Every loss is compared with the libraries that have it; how definitions differ stands in each test's docstring."""

import inspect
import re
from pathlib import Path

import pytest

import fastloss as fl

HERE = Path(__file__).parent
# LightGBM alone trains it; its `fair_c` is our `c`.
# NGBoost and properscoring have the scores of normal distributions; neither is a dependency of the tests.
# Barron's own general loss is a module of JAX and of torch that few have.
# AFT is compared with SciPy's distributions, GroupSoftmax with CrossEntropy, in tests/test_segments.py; CoxPH with
# XGBoost's in tests/test_survival.py.
WITHOUT_PEER = {
    "AFT",
    "Barron",
    "CoxPH",
    "Fair",
    "GaussianCRPS",
    "GroupSoftmax",
    "LogNormalCRPS",
    "PairwiseLogistic",
}


def snake_case(loss):
    return next(name for name in fl.__all__ if name.replace("_", "") == loss.__name__.lower() and name.islower())


@pytest.mark.parametrize("loss", fl.losses(), ids=lambda loss: loss.__name__)
def test_every_loss_is_compared(loss):
    text = "\n".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_peers_*.py"))
    is_compared = re.search(rf"\bfl\.({loss.__name__}|{snake_case(loss)})\b", text) is not None
    assert is_compared != (loss.__name__ in WITHOUT_PEER)


@pytest.mark.parametrize("path", sorted(HERE.glob("test_peers_*.py")), ids=lambda path: path.stem)
def test_differences_are_stated(path):
    """Each comparison says in words what the peer calls the loss and where definitions differ."""
    text = path.read_text(encoding="utf-8")
    functions = re.findall(r'^def (test_\w+)\([^)]*\):\n    ("""|)', text, re.MULTILINE)
    assert functions
    assert [name for name, docstring in functions if not docstring] == []


def test_arguments_come_in_one_order():
    """The prediction first and the target second, as in torch and Optax.

    Keras, scikit-learn's metrics and its private losses take the target first; SciPy's `huber` and `pseudo_huber` take
    delta first and the residual second.
    """
    for loss in fl.losses():
        function = getattr(fl, snake_case(loss))
        assert list(inspect.signature(function).parameters)[:2] == ["prediction", "target"]
