"""Labels to codes: which classes a target holds, and the number of each row's class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Integers of a smaller span are counted, others sorted.
COUNTED_SPAN = 1 << 16


class Labels(NamedTuple):
    """The sorted classes, and the position of each row's label among them."""

    classes: NDArray[Any]
    codes: NDArray[np.intp]


def encode(y: Any, classes: Any = None, name: str = "y") -> Labels:
    """
    Return the classes of labels, and the code of each.

    Parameters
    ----------
    y : array_like of shape (n,) or (n, 1)
        Labels of any type that can be sorted: integers, whole floats, truth values, strings, objects; a column of
        pandas or Polars, with categories too.
    classes : array_like of shape (K,), optional
        The classes that are known already, in any order; codes are positions in it.
    name : str
        What errors call `y`.

    Returns
    -------
    Labels
        `classes`, sorted unless they were given, and `codes` of shape (n,).

    Raises
    ------
    TypeError
        If `y` is of a type that is none of labels, or of several that cannot be sorted.
    ValueError
        If `y` has several columns; if a label is missing (None, nan, a masked one), infinite or no whole number; or
        if it is none of `classes`. The first such row is named.

    Examples
    --------
    >>> from fastloss._labels import encode
    >>> encode(["no", "yes", "no"]).codes
    array([0, 1, 0])
    """
    labels = labels_of(y, name)
    found, codes = _counted(labels) or _sorted(labels, name)
    if classes is None:
        return Labels(found, codes)
    known = np.asarray(classes)
    positions = {label: position for position, label in enumerate(known.tolist())}
    position_of = np.array([positions.get(label, -1) for label in found.tolist()], np.intp)
    codes = position_of[codes]
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise ValueError(f"{name}[{row}] = {labels.tolist()[row]!r} is none of the classes {known}")
    return Labels(known, codes)


def labels_of(y: Any, name: str = "y") -> NDArray[Any]:
    """Return labels as an array of shape (n,), in which none is missing, infinite or a fraction."""
    array = np.asarray(y)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2:
        raise ValueError(
            f"{name} must be one column of labels; got {array.shape[1]}, shape {array.shape}. Fit one model a column, "
            "with sklearn.multioutput.MultiOutputClassifier"
        )
    if array.ndim != 1:
        raise ValueError(f"{name} must be of shape (n,); got {array.shape}")
    if array.dtype.kind in "cV":
        raise TypeError(f"{name} must hold labels; its dtype is {array.dtype}")
    _refuse(_missing(y, array), array, name, "is missing: leave such rows out, or give them a class of their own")
    array = _of_their_type(array)
    if array.dtype.kind == "f":
        _refuse(np.isinf(array), array, name, "is no label: labels must be finite")
        _refuse(
            array != np.floor(array),
            array,
            name,
            "is no whole number. Unknown label type: continuous. Use a regressor, or make classes of ranges, with "
            "numpy.digitize",
        )
    return array


def _missing(y: Any, array: NDArray[Any]) -> NDArray[np.bool_]:
    """Which labels are not there."""
    if array.dtype.kind == "f":
        missing = np.isnan(array)
    elif array.dtype.kind in "mM":
        missing = np.isnat(array)
    elif array.dtype.kind in ("O", "T"):
        missing = np.fromiter((_is_nothing(label) for label in array), np.bool_, len(array))
    else:
        missing = np.zeros(len(array), np.bool_)
    if isinstance(y, np.ma.MaskedArray):
        missing |= np.ma.getmaskarray(y).reshape(len(array))
    return np.asarray(missing)


def _is_nothing(label: Any) -> bool:
    if label is None:
        return True
    try:
        return bool(label != label)
    except TypeError:  # pandas.NA does not know whether it equals itself
        return True


def _refuse(bad: NDArray[np.bool_], array: NDArray[Any], name: str, what: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{name}[{row}] = {array[row]!s} {what}")


def _of_their_type(array: NDArray[Any]) -> NDArray[Any]:
    """Numbers that came as objects, as in a column that was filled up, become numbers again."""
    if array.dtype.kind != "O":
        return array
    try:
        numbers = np.array(array.tolist())
    except ValueError:  # lists of several lengths
        return array
    is_same = numbers.dtype.kind in "biuf" and numbers.shape == array.shape and bool((numbers == array).all())
    return numbers if is_same else array


def _counted(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]] | None:
    """Return classes and codes of integers of a small span, without a sort; None of others."""
    if labels.dtype.kind not in "biu" or not len(labels):
        return None
    numbers = labels.view(np.uint8) if labels.dtype.kind == "b" else labels
    low, high = numbers.min(), numbers.max()
    if int(high) - int(low) >= COUNTED_SPAN:
        return None
    # In eight bytes: the span of {-100, 100} is beyond the type that holds both.
    widest = np.dtype(f"{numbers.dtype.kind}8")
    offsets = np.subtract(numbers, low, dtype=widest).astype(np.intp, copy=False)
    occurs = np.bincount(offsets) > 0
    classes = (np.flatnonzero(occurs).astype(widest) + low.astype(widest)).astype(labels.dtype)
    codes = offsets if len(classes) == len(occurs) else (np.cumsum(occurs) - 1)[offsets]
    return classes, codes


def _sorted(labels: NDArray[Any], name: str) -> tuple[NDArray[Any], NDArray[np.intp]]:
    try:
        classes, codes = np.unique(labels, return_inverse=True)
    except TypeError as error:
        types = [type(label) for label in labels]
        row = next((i for i, each in enumerate(types) if each is not types[0]), 0)
        raise TypeError(
            f"{name} must hold labels of one type; {name}[0] is a {types[0].__name__} and {name}[{row}] a "
            f"{types[row].__name__}"
        ) from error
    return classes, codes.astype(np.intp, copy=False).reshape(len(labels))
