"""A problem to learn: data from a file or from scikit-learn, and which task its target is."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
from sklearn import datasets
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from . import BUNDLED

MOST_CLASSES = 50
# More distinct values of a text column than this are taken for names or free text, of which a model learns nothing.
MOST_CATEGORIES = 50
FEWEST_ROWS = 30


class BadInput(Exception):
    """What the user gave cannot be compared on; the message says why, in one sentence."""


@dataclass(frozen=True)
class Problem:
    """Features, and a target as the losses take it."""

    name: str
    task: str
    why: str  # the task was taken for that
    features: Any  # a pandas.DataFrame
    target: np.ndarray  # class indices, or numbers
    classes: tuple[str, ...]  # of a binary task: negative, positive
    notes: tuple[str, ...]  # columns that were left out, rows that were not sampled

    @property
    def is_classification(self) -> bool:
        """Whether the target holds classes."""
        return bool(self.classes)

    @property
    def is_imbalanced(self) -> bool:
        """Whether a class is less than half as frequent as it would be if all were alike."""
        return self.is_classification and bool(
            np.bincount(self.target).min() * 2 * len(self.classes) < len(self.target)
        )


# ---- files -----------------------------------------------------------------------------------------------------------


def read(path: Path) -> Any:
    """Read a table."""
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            return pd.read_csv(path, sep=separator(path), low_memory=False)
    except ImportError as error:
        raise BadInput(f"{path} needs a library that is not installed: {first_line(error)}") from error
    except (OSError, ValueError, UnicodeError, pd.errors.EmptyDataError) as error:  # ParserError is a ValueError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise BadInput(f"cannot read {path}: {reason}") from error


def separator(path: Path) -> str:
    """Return the separator that the names of columns are full of."""
    if path.suffix.lower() not in (".csv", ".tsv", ".txt"):
        return ","  # compressed: pandas opens it
    with path.open(encoding="utf-8", errors="replace") as file:
        header = file.readline()
    return max(",;\t|", key=header.count)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, as the end of a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def bundled(name: str) -> Any:
    """Return one of scikit-learn's own data sets, with names of classes for their numbers."""
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    if name in ("breast_cancer", "iris", "wine"):
        bunch.frame["target"] = np.asarray(bunch.target_names)[bunch.frame["target"]]
    return bunch.frame


def table_of(data: str, target: str | None) -> tuple[str, Any, str]:
    """Return a name, a table and the name of the target's column."""
    path = Path(data)
    if data in BUNDLED and not path.exists():
        name, frame = data, bundled(data)
        target = "target" if target is None else target
    else:
        if not path.exists():
            raise BadInput(f"there is no file {data!r}, and the bundled data sets are {', '.join(BUNDLED)}")
        name, frame = path.name, read(path)
    frame.columns = frame.columns.astype(str)
    columns = ", ".join(map(repr, frame.columns[:12])) + (", ..." if frame.shape[1] > 12 else "")
    if target is None:
        raise BadInput(f"--target must name the column to predict, one of {columns}")
    if target not in frame.columns:
        raise BadInput(f"{name} has no column {target!r}; it has {columns}")
    if list(frame.columns).count(target) > 1:
        raise BadInput(f"{name} has more than one column {target!r}")
    return name, frame, target


# ---- the target ------------------------------------------------------------------------------------------------------


def is_number(column: Any) -> bool:
    """Whether a column holds numbers, and no classes by name."""
    return bool(types.is_numeric_dtype(column.dtype)) and not types.is_bool_dtype(column.dtype)


def task_of(column: Any) -> tuple[str, str]:
    """Return the task that a target looks like, and what it was taken for that for."""
    values, counts = np.unique(column.to_numpy() if is_number(column) else column.astype(str), return_counts=True)
    n = len(values)
    if n == 2:
        return "binary", "since the target has two values"
    if not is_number(column):
        if n > MOST_CLASSES or 2 * n > len(column):
            raise BadInput(
                f"the target {column.name!r} holds text, {n} different values in {len(column)} rows: neither numbers "
                f"nor at most {MOST_CLASSES} classes"
            )
        return "multiclass", f"since the target has {n} names"
    whole = bool(np.all(values == np.round(values)))
    if whole and n <= 20 and counts.min() * 5 >= counts.max() and n == values[-1] - values[0] + 1:
        return "multiclass", f"since the target has {n} whole numbers in a row, all of them frequent"
    if whole and values[0] == 0:
        return "counts", "since the target holds whole numbers from 0 on"
    if values[0] == 0 and counts[0] > 0.02 * len(column):
        return "amounts", "since the target is never negative, and often 0"
    # Skewed: the mean far from the median.
    if values[0] > 0 and np.mean(column) > 1.5 * np.median(column):
        return "amounts", "since the target is positive and skewed"
    return "regression", "since the target holds numbers"


def encoded(column: Any, task: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the target as losses take it, and the names of classes; check that it fits the task."""
    if task not in ("binary", "multiclass"):
        if not is_number(column):
            raise BadInput(f"the target {column.name!r} holds {column.iloc[0]!r}, and {task} needs numbers")
        numbers = column.to_numpy(np.float64)
        if task != "regression" and numbers.min() < 0:
            raise BadInput(f"the target {column.name!r} is negative in places, and {task} are not")
        return numbers, ()
    labels = column if is_number(column) else column.astype(str)
    classes, codes, counts = np.unique(labels.to_numpy(), return_inverse=True, return_counts=True)
    if task == "binary" and len(classes) > 2:
        raise BadInput(f"the target {column.name!r} has {len(classes)} values, and a binary task has two")
    if len(classes) > MOST_CLASSES:
        raise BadInput(f"the target {column.name!r} has {len(classes)} classes; at most {MOST_CLASSES} are compared")
    if counts.min() < 3:
        raise BadInput(
            f"class {str(classes[counts.argmin()])!r} of the target {column.name!r} has only {counts.min()} "
            f"row{'s' if counts.min() > 1 else ''}, and cross-validation needs 3 of each"
        )
    if len(classes) == 2 and isinstance(classes[1], str) and counts[0] < counts[1] and classes[1] not in ("True", "1"):
        classes, codes = classes[::-1], 1 - codes  # of two names, the rarer is what is looked for
    return codes, tuple(map(str, classes))


# ---- features --------------------------------------------------------------------------------------------------------


def usable(frame: Any) -> tuple[Any, list[str]]:
    """Return the columns that a model can learn from, and notes on the others."""
    kept, left_out = {}, []
    for name in frame.columns:
        column = frame[name]
        if types.is_bool_dtype(column.dtype):
            kept[name] = column.astype("Int8").astype(np.float64)
        elif types.is_complex_dtype(column.dtype) or not (is_number(column) or is_text(column)):
            left_out.append(f"{name} ({column.dtype})")
        elif column.nunique() < 2:
            left_out.append(f"{name} (constant)")
        elif is_number(column):
            kept[name] = column.astype(np.float64).replace([np.inf, -np.inf], np.nan)
        elif column.nunique() > MOST_CATEGORIES:
            left_out.append(f"{name} (text of {column.nunique()} values)")
        else:
            names = column.astype(object).map(str, na_action="ignore").astype(object)
            names[column.isna()] = np.nan  # pandas.NA is none of scikit-learn's names for what is missing
            kept[name] = names
    if not kept:
        raise BadInput("there is no column to predict from: " + (", ".join(left_out) or "the target is the only one"))
    return pd.DataFrame(kept), [f"Columns left out: {', '.join(left_out)}."] if left_out else []


def is_text(column: Any) -> bool:
    """Whether a column holds names."""
    return isinstance(column.dtype, pd.CategoricalDtype) or bool(
        types.is_object_dtype(column.dtype) or types.is_string_dtype(column.dtype)
    )


NUMBERS, NAMES = make_column_selector(dtype_include=np.number), make_column_selector(dtype_exclude=np.number)


def for_linear() -> Any:
    """Return what makes of columns what a linear model takes."""
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    names = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("names", names, NAMES)])


def for_trees() -> Any:
    """Return what makes of columns what boosted trees take: names come first, as codes; what is missing is nan."""
    names = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return ColumnTransformer([("names", names, NAMES), ("numbers", "passthrough", NUMBERS)])


PREPARE: dict[str, Callable[[], Any]] = {"linear": for_linear, "trees": for_trees}


# ---- all together ----------------------------------------------------------------------------------------------------


def load(data: str, target: str | None, task: str | None, rows: int, seed: int) -> Problem:
    """Read a problem; whatever is wrong with it is said as `BadInput`."""
    if seed < 0 or rows < FEWEST_ROWS:
        raise BadInput(f"--seed must be at least 0, and --rows at least {FEWEST_ROWS}")
    name, frame, target = table_of(data, target)
    column = frame[target]
    missing = column.isna().to_numpy()
    if is_number(column):
        missing = ~np.isfinite(column.to_numpy(np.float64, na_value=np.nan))
    if len(column) and missing.any():
        raise BadInput(
            f"the target {target!r} is missing or not finite in {missing.sum()} of {len(column)} rows, first in row "
            f"{int(missing.argmax())}"
        )
    if len(column) < FEWEST_ROWS:
        raise BadInput(f"{name} has {len(column)} rows; a comparison needs at least {FEWEST_ROWS}")
    if column.nunique() == 1:
        raise BadInput(f"the target {target!r} is constant: {column.iloc[0]!s}")
    notes = []
    if not is_number(column) and not types.is_bool_dtype(column.dtype) and not is_text(column):
        raise BadInput(f"the target {target!r} holds {column.dtype}: neither numbers nor classes")
    found, why = (task, "as asked for") if task else task_of(column)
    values, classes = encoded(column, found)
    features, left_out = usable(frame.drop(columns=target))
    notes += left_out
    if len(column) > rows:
        some = np.sort(np.random.default_rng(seed).choice(len(column), rows, replace=False))
        if classes and np.bincount(values[some], minlength=len(classes)).min() < 3:
            raise BadInput(f"a sample of {rows} rows holds fewer than 3 of a class: give more --rows")
        notes.append(f"A sample of {rows} of {len(column)} rows.")
        features, values = features.iloc[some], values[some]
    features.columns = [re.sub(r"\s+", " ", each) for each in features.columns]
    return Problem(name, found, why, features.reset_index(drop=True), values, classes, tuple(notes))
