"""Class indices: every integer type, every extreme, every layout; what is ignored, and which label an error names.

That a label outside the range is refused by every loss and method, with nothing written, stands in test_errors.py. Here
are the ways in which a label can be mistaken for another: by a cast, by a sign, by a stride, by its place in a block.
"""

import itertools
import re

import cases
import numpy as np
import pytest
from test_layouts import LAYOUTS

import fastloss as fl

INTEGERS = [
    np.dtype(code) for code in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i2", ">i4", ">i8", ">u4", ">u8")
]
N, K = 40, 5
LOWEST, HIGHEST = -(2**63), 2**63 - 1


@pytest.fixture(params=INTEGERS, ids=str)
def integer(request):
    return request.param


def problem(n=N, k=K, dtype=np.float64):
    rng = np.random.default_rng([n, k])
    return rng.normal(size=(n, k)).astype(dtype), rng.integers(0, k, n)


def by_linear(z, t, **options):
    return fl.linear_cross_entropy(np.eye(len(z)), np.ascontiguousarray(z.T), t, **options)


def by_product(z, t, **options):
    weights = {name: options.pop(name) for name in ("sample_weight",) if name in options}
    return fl.CrossEntropy(**options).hessian_vector_product(z, t, np.ones_like(z), **weights)


# Each way by which labels get into the library.
WAYS = {
    "C order": lambda z, t, **options: fl.cross_entropy(z, t, **options),
    "F order": lambda z, t, **options: fl.cross_entropy(np.asfortranarray(z), t, **options),
    "strided": lambda z, t, **options: fl.cross_entropy(np.repeat(z, 2, axis=0)[::2], t, **options),
    "linear": by_linear,
    "product": by_product,
}


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def refused(way, z, t, position, label, **options):
    with pytest.raises(ValueError, match=r"target") as error:
        way(z, t, **options)
    where = ", ".join(map(str, np.atleast_1d(position)))
    assert f"target[{where}] = {label} " in str(error.value)
    assert re.search(rf"\[0, {z.shape[-1]}\)", str(error.value))


# -------------------------------------------------------------------------------------------------- types and layouts


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_integer_type_in_every_layout(integer, layout, dtype):
    z, t = problem(dtype=dtype)
    loss = fl.CrossEntropy(label_smoothing=0.1, class_weight=np.arange(1.0, K + 1))
    wanted = loss.value_gradient_and_hessian(z, t)
    found = loss.value_gradient_and_hessian(z, LAYOUTS[layout](t.astype(integer)))
    assert all(cases.same_bits(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_of_two_dimensions(integer, layout):
    """One label per pixel; classes along any axis, both in any memory order."""
    rng = np.random.default_rng(0)
    z, t = rng.normal(size=(3, 6, 7, K)), rng.integers(0, K, (3, 6, 7))
    loss = fl.Focal(ignore_index=2)
    wanted = loss.value_and_gradient(z, t, reduction="none")
    labels = LAYOUTS[layout](t.astype(integer))
    for axis in range(4):
        value, gradient = loss.value_and_gradient(np.moveaxis(z, -1, axis), labels, axis=axis, reduction="none")
        np.testing.assert_allclose(value, wanted[0], rtol=1e-14)
        np.testing.assert_allclose(np.moveaxis(gradient, axis, -1), wanted[1], rtol=1e-13)
        bad = t.astype(integer)
        bad[1, 4, 6] = K
        with pytest.raises(ValueError, match=rf"target\[1, 4, 6\] = {K} "):
            loss(np.moveaxis(z, -1, axis), LAYOUTS[layout](bad), axis=axis)


def test_more_classes_than_a_type_has_numbers():
    """The last class of a type, and no other, wherever the type ends."""
    for integer in ("i1", "u1", "i2", "u2"):
        highest = np.iinfo(integer).max
        for k in (highest, highest + 1, highest + 2):
            z = np.zeros((3, k), np.float32)
            z[:, -1] = 3
            t = np.array([0, highest - 1, highest], integer)
            if k == highest:
                refused(WAYS["C order"], z, t, 2, highest)
                continue
            assert fl.cross_entropy(z, t) == fl.cross_entropy(z, t.astype(np.int64))


# -------------------------------------------------------------------------------------------------- what is refused


def outside(integer):
    info = np.iinfo(integer)
    wrapped = [2**bits + 1 for bits in (8, 16, 32)] + [2**63 + 1, 2**64 - 1, -(2**63) + 1, -(2**32) + 1]
    numbers = {K, K + 1, -1, -K, info.min, info.max, *wrapped} - set(range(K))
    return sorted(x for x in numbers if info.min <= x <= info.max)


def test_labels_outside_the_range(way, integer):
    """Among them those that a cast to fewer bits, or to a sign, would make a class."""
    z, t = problem()
    for bad in outside(integer):
        for position in (0, N // 2, N - 1):
            labels = t.astype(integer)
            labels[position] = labels[-1] = bad
            refused(way, z, labels, position, bad)


@pytest.mark.parametrize(("n", "k"), [(67, 3), (300, 2), (70, 64), (40, 65), (9, 3000), (2, 40000)])
def test_each_position(n, k):
    """In lanes, tiles and blocks, with few and many classes."""
    z, t = problem(n, k, np.float32)
    for integer, bad in (("i8", k), ("i4", -1), ("u8", 2**64 - 1), ("i2", -(2**15))):
        if np.iinfo(integer).max < k:
            continue
        labels = t.astype(integer)
        for position in range(n):
            good, labels[position] = labels[position], bad
            for order in "CF":
                refused(WAYS["C order"], np.asarray(z, order=order), labels, position, bad)
            labels[position] = good


def test_the_first_of_several_is_named(way):
    z, t = problem()
    t[[11, 30]] = K, -1
    refused(way, z, t, 11, K)
    refused(way, z, t[::-1], N - 31, -1)
    refused(way, z, t, 30, -1, ignore_index=K)


def test_the_first_of_several_blocks_is_named():
    """Threads find them in any order."""
    z = np.zeros((400_000, 2), np.float32)
    t = np.zeros(400_000, np.int32)
    t[[199_999, 200_000, 399_999]] = 2, 3, 4
    with fl.num_threads(4):
        for _ in range(5):
            refused(WAYS["C order"], z, t, 199_999, 2)
            refused(WAYS["F order"], z, t, 199_999, 2)


def test_a_label_of_weight_zero_is_not_looked_at(way, integer):
    z, t = problem()
    w = np.ones(N)
    w[[0, 7, N - 1]] = 0
    labels = t.astype(integer)
    good = way(z, labels, sample_weight=w)
    for bad in outside(integer):
        labels[w == 0] = bad
        assert cases.same_bits(way(z, labels, sample_weight=w), good)
        labels[20] = bad
        refused(way, z, labels, 20, bad, sample_weight=w)
        labels[20] = t[20]


# ---------------------------------------------------------------------------------------------------- what is ignored


@pytest.mark.parametrize(
    "ignore_index", [0, K - 1, K, 100, 127, 255, -1, -100, -128, 2**31, 2**53 + 1, LOWEST, HIGHEST]
)
def test_ignored_labels(way, integer, ignore_index):
    """A valid class, one beyond, a negative number, the extremes: as if those rows were not there."""
    info = np.iinfo(integer)
    z, t = problem()
    kept = t != ignore_index
    labels = t.astype(integer)
    if info.min <= ignore_index <= info.max:
        kept[::7] = False
        labels[::7] = ignore_index
    spoilt = np.where(kept[:, np.newaxis], z, 0 if way is by_linear else np.nan)
    found = way(spoilt, labels, ignore_index=ignore_index)
    wanted = way(z[kept], labels[kept])
    if np.ndim(found):
        assert not np.any(found[~kept])
        found = found[kept]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-16)


def test_what_is_ignored_is_one_number(way, integer):
    """Neither its neighbours, nor what a cast would make the same: -1 is not 255, nor is 2**63 its opposite."""
    info = np.iinfo(integer)
    z, t = problem()
    near = [-1, -2, -100, -(2**31), 2**31, 2**32 - 1, LOWEST, LOWEST + 1, HIGHEST, HIGHEST - 1]
    labels_in_doubt = {info.min, info.max, *(x % 2 ** (8 * integer.itemsize) for x in near), *near} - set(range(K))
    for bad, ignore_index in itertools.product(labels_in_doubt, near):
        if bad == ignore_index or not info.min <= bad <= info.max:
            continue
        labels = t.astype(integer)
        labels[5] = bad
        refused(way, z, labels, 5, bad, ignore_index=ignore_index)


def test_ignore_index_is_an_integer_of_64_bits():
    for bad, errors in (
        (2**63, ValueError),
        (LOWEST - 1, ValueError),
        (1.0, TypeError),
        ("1", TypeError),
        (True, TypeError),
    ):
        with pytest.raises(errors, match="ignore_index"):
            fl.CrossEntropy(ignore_index=bad)
        with pytest.raises(errors, match="ignore_index"):
            fl.linear_cross_entropy(np.zeros((2, 2)), np.zeros((2, 2)), [0, 1], ignore_index=bad)


# ---------------------------------------------------------------------------------------------- labels of other types


@pytest.mark.parametrize("code", ["f2", "f4", "f8", ">f8", "?"])
def test_labels_that_are_whole_numbers(way, code):
    """Floats, as boosters hand them over, and truth values."""
    z, t = problem()
    t %= 2
    wanted = way(z, t)
    for layout in LAYOUTS.values():
        assert cases.same_bits(way(z, layout(t.astype(code))), wanted)
    if code != "?":
        t[3] = -100
        assert cases.same_bits(way(z, t.astype(code), ignore_index=-100), way(z, t, ignore_index=-100))


@pytest.mark.parametrize(
    "bad", [0.5, -0.5, 4.5, np.nan, np.inf, -np.inf, 5.0, -1.0, 2.0**53, 2.0**63, 2.0**64, -(2.0**63), 1e300]
)
def test_floats_that_are_no_labels(way, bad):
    z, t = problem()
    for position in (0, 17, N - 1):
        labels = t.astype(float)
        labels[position] = labels[-1] = bad
        for options in ({}, {"ignore_index": -100}, {"ignore_index": HIGHEST}, {"ignore_index": LOWEST}):
            if bad == options.get("ignore_index"):
                continue
            # Numbers that are whole may be shown as such.
            shown = re.escape(repr(bad)) if bad % 1 else rf"{bad:.0f}(\.0)?|{re.escape(repr(bad))}"
            with pytest.raises(ValueError, match=rf"target\[{position}\] = ({shown}) "):
                way(z, labels, **options)
        w = np.ones(N)
        w[[position, -1]] = 0
        assert cases.same_bits(way(z, labels, sample_weight=w), way(z, t, sample_weight=w))
