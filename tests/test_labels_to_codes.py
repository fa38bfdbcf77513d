"""Labels of every type become codes of sorted classes; what is no label is refused, with its row."""

import numpy as np
import pytest

from fastloss._labels import encode

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")


def as_unique(labels):
    return np.unique(np.asarray(labels), return_inverse=True)


RNG = np.random.default_rng(0)
LABELS = {
    "strings": np.array(["b", "a", "c", "a"]),
    "list": ["yes", "no", "yes"],
    "objects": np.array(["b", "", "c", "b"], dtype=object),
    "bytes": np.array([b"b", b"a"]),
    "bools": np.array([True, False, True]),
    "one bool": np.array([True, True]),
    "whole floats": np.array([3.0, -1.0, 3.0, 0.0]),
    "halves": np.array([3, 1, 3], np.float16),
    "big endian": np.array([3, 1, 3], ">i4"),
    "strided": np.arange(20)[::-3],
    "days": np.array(["2020-01-02", "2019-05-05"], "M8[D]"),
    "wide span": np.array([2**40, -(2**40), 0, 2**40]),
    "ends of int64": np.array([2**63 - 1, -(2**63), 2**63 - 1]),
    "ends of uint64": np.array([2**64 - 1, 0, 2**64 - 1], np.uint64),
    "end of uint64": np.array([2**64 - 1, 2**64 - 3], np.uint64),
    "end of int64": np.array([-(2**63), -(2**63) + 2]),
    "one class": np.zeros(5, int),
    "none": np.zeros(0, int),
    "dates of objects": np.array([1, 2, 1], dtype=object),
    "categories": pd.Series(["b", "a", "b"], dtype="category"),
    "categories in another order": pd.Series(pd.Categorical(["b", "a"], ["b", "a", "never"])),
    "nullable integers": pd.Series([3, 1, 3], dtype="Int64"),
    "nullable bools": pd.Series([True, False], dtype="boolean"),
    "nullable strings": pd.Series(["x", "y"], dtype="string"),
    "a frame of one column": pd.DataFrame({"y": [3, 1, 2]}),
    "Polars": pl.Series(["x", "y", "x"]),
    "categories of Polars": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
}
LABELS |= {
    f"{kind}{bits}": RNG.choice(np.array([np.iinfo(f"{kind}{bits}").min, 5, np.iinfo(f"{kind}{bits}").max]), 30).astype(
        f"{kind}{bits}"
    )
    for kind in ("int", "uint")
    for bits in (8, 16, 32)
}


@pytest.mark.parametrize("name", LABELS)
def test_every_type(name):
    labels = LABELS[name]
    classes, codes = as_unique(np.asarray(labels).ravel())
    found = encode(labels)
    np.testing.assert_array_equal(found.classes, classes)
    np.testing.assert_array_equal(found.codes, codes)
    assert found.codes.dtype == np.intp
    if isinstance(labels, np.ndarray) and labels.dtype != object:
        assert found.classes.dtype == labels.dtype


def test_a_span_beyond_the_type():
    found = encode(np.array([100, -100, 100], np.int8))
    np.testing.assert_array_equal(found.classes, [-100, 100])
    np.testing.assert_array_equal(found.codes, [1, 0, 1])


def test_numbers_that_came_as_objects():
    found = encode(np.array([2, 1, 2], dtype=object))
    assert found.classes.dtype.kind == "i"
    with pytest.raises(ValueError, match=r"y\[1\] = 0.5 is no whole number"):
        encode(np.array([1, 0.5], dtype=object))
    # Doubles do not hold them apart.
    np.testing.assert_array_equal(encode(np.array([2**64 - 1, -1, 2**64 - 2], dtype=object)).codes, [2, 0, 1])


def test_known_classes_in_any_order():
    np.testing.assert_array_equal(encode(["b", "a", "b"], ["b", "never", "a"]).codes, [0, 2, 0])
    np.testing.assert_array_equal(encode([1.0, 0.0], [0, 1]).codes, [1, 0])
    np.testing.assert_array_equal(encode([True, False], [0, 1]).codes, [1, 0])
    assert len(encode([], [0, 1]).codes) == 0


@pytest.mark.parametrize(
    ("labels", "classes", "row"),
    [(["a", "x", "y"], ["a", "b"], "y[1] = 'x'"), ([0, 1, 2], [0, 1], "y[2] = 2"), ([0, 1], ["0", "1"], "y[0] = 0")],
)
def test_labels_that_are_unknown(labels, classes, row):
    with pytest.raises(ValueError, match="is none of the classes") as error:
        encode(labels, classes)
    assert str(error.value).startswith(row)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([1.0, 0.0, np.nan, np.nan]),
        np.array([1.0, 0.0, np.nan], np.float16),
        np.array(["a", "b", None], dtype=object),
        np.array(["a", "b", np.nan], dtype=object),
        np.array([1, 0, pd.NA], dtype=object),
        np.array(["2020-01-02", "2020-01-02", "NaT"], "M8[D]"),
        pd.Series([1, 0, None], dtype="Int64"),
        pd.Series(["a", "b", None], dtype="string"),
        pd.Series(["a", "b", None], dtype="category"),
        pd.Series([1.5, 2.5, None], dtype="category"),
        pd.Series(pd.to_datetime(["2020-01-01", "2020-01-01", None])),
        pl.Series(["a", "b", None]),
        pl.Series([1, 2, None]),
        np.ma.array([1, 0, 1], mask=[0, 0, 1]),
        np.ma.array([[1], [0], [1]], mask=[[0], [0], [1]]),
    ],
    ids=lambda y: f"{type(y).__module__.split('.')[0]} {y.dtype}",
)
def test_missing_labels(labels):
    with pytest.raises(ValueError, match=r"target\[2\] = .* is missing"):
        encode(labels, name="target")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", object])
def test_numbers_that_are_no_classes(dtype):
    with pytest.raises(ValueError, match=r"y\[1\] = 0.5 is no whole number. Unknown label type: continuous"):
        encode(np.array([1, 0.5, 0.25], dtype))
    with pytest.raises(ValueError, match=r"y\[1\] = -inf is no label"):
        encode(np.array([1, -np.inf, 2], dtype))


def test_what_is_no_column_of_labels():
    with pytest.raises(ValueError, match=r"one column of labels; got 2, shape \(5, 2\).*MultiOutputClassifier"):
        encode(np.zeros((5, 2), int))
    with pytest.raises(ValueError, match=r"shape \(n,\)"):
        encode(np.zeros((5, 2, 2), int))
    with pytest.raises(ValueError, match=r"shape \(n,\)"):
        encode(3)
    with pytest.raises(TypeError, match="complex"):
        encode(np.zeros(3, complex))
    with pytest.raises(TypeError, match=r"one type; y\[0\] is a str and y\[2\] a int"):
        encode(np.array(["a", "b", 1], dtype=object))
