"""The table of equivalents in the documentation: both sides of each row give the same, where the peer is there."""

import numpy as np
import pytest
from equivalents import EQUIVALENTS, IMPORTS, Row
from peers import draw, draw_weight, import_keras, one_hot

import fastloss as fl

ROWS = [pytest.param(peer, row, id=f"{peer}: {row.theirs}") for peer, rows in EQUIVALENTS.items() for row in rows]
DTYPES = {"torch": np.float64, "keras": np.float32, "optax": np.float32, "sklearn": np.float64, "scipy": np.float64}


def names_of(peer):
    """What the page's import statements define; the test is skipped without the peer."""
    if peer == "keras":
        import_keras()
    pytest.importorskip(peer)
    names = {"np": np}
    exec("\n".join(IMPORTS[peer]), names)
    return names


def arguments(row, dtype):
    """z, t and what else the expressions may name, as arrays."""
    matrix = row.kind in ("index", "probability", "one-hot", "labels")
    shape = (60, 4) if matrix else (60, 1) if row.kind == "column" else (60,)
    kind = {"one-hot": "index", "labels": "hard", "column": "real"}.get(row.kind, row.kind)
    z, t = draw(kind, shape, dtype)
    if row.kind == "one-hot":
        t = one_hot(t, shape[-1], dtype)
    w = draw_weight(shape if row.kind == "column" else 60, dtype)
    X = np.random.default_rng(1).normal(size=(60, 3))
    return {"z": z, "t": t, "w": w, "c": draw_weight(4, dtype), "X": X}


def as_peer(peer, names, array):
    return {
        "torch": lambda: names["torch"].tensor(array),
        "keras": lambda: names["ops"].convert_to_tensor(array),
        "optax": lambda: names["jax"].numpy.asarray(array),
    }.get(peer, lambda: array)()


@pytest.mark.parametrize(("peer", "row"), ROWS)
def test_row(peer, row: Row):
    names, given = names_of(peer), arguments(row, DTYPES[peer])
    theirs = eval(row.theirs, {**names, "fl": fl, **{name: as_peer(peer, names, x) for name, x in given.items()}})
    ours = eval(row.ours, {**names, "fl": fl, **given})
    if not isinstance(ours, tuple):
        ours, theirs = (ours,), (theirs,)
    # Fits stop a little short of the minimum; float32 peers clip and add 1e-7.
    rtol = 1e-4 if ".fit(" in row.ours else 5e-5 if DTYPES[peer] == np.float32 else 1e-10
    for found, expected in zip(ours, theirs, strict=True):
        expected = np.asarray(expected, float)
        assert np.shape(found) == expected.shape
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol / 10)
