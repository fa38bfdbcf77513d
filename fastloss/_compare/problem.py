"""A problem to learn: data from a file or from scikit-learn, and which task its target is."""

from __future__ import annotations

import codecs
import pprint
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
    notes: tuple[str, ...]  # columns and rows that were left out, what was noticed of the file
    code: str = ""  # reads X and y, as a model takes them

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


@dataclass(frozen=True)
class Format:
    """How a text file is written; what nobody says is noticed."""

    sep: str | None = None
    decimal: str | None = None
    encoding: str | None = None


# A number with a decimal comma, and perhaps with points between the thousands.
DECIMAL_COMMA = r"\s*[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+(?:[eE][+-]?\d+)?\s*"
WHOLE_NUMBER = r"\s*[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)\s*"
# A number as pandas reads it, and one with commas between the thousands.
NUMBER = r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*"
THOUSANDS = r"\s*[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?\s*"
# What stands for a missing number and is not known to pandas.
MARKS = ("?", "-", "--", ".", "..", "*", "n.a.", "N.A.", "k.A.")
DATE = r"\s*(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})(?:[T ].*)?"
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods")
ENCODINGS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def read(path: Path, given: Format) -> tuple[Any, str, list[str]]:
    """Read a table; return it, the call of pandas that does, and notes on what was noticed and not said."""
    name = str(path)
    if path.suffix.lower() in SPREADSHEETS:
        raise BadInput(f"{path} is a spreadsheet: save it as CSV")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(path), f"pd.read_parquet({name!r})", []
        options, notes = noticed(path, given)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.DtypeWarning)
            frame = pd.read_csv(path, low_memory=False, **options)
            more, said = written(frame, given.decimal, options.get("sep", ","))
            if more:
                options |= more
                frame = pd.read_csv(path, low_memory=False, **options)
                notes += said
    except ImportError as error:
        raise BadInput(f"{path} needs a library that is not installed: {first_line(error)}") from error
    except (OSError, ValueError, UnicodeError, LookupError, pd.errors.EmptyDataError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise BadInput(f"cannot read {path}: {reason}") from error
    arguments = "".join(f", {key}={value!r}" for key, value in options.items())
    return frame, f"pd.read_csv({name!r}{arguments})", notes


def noticed(path: Path, given: Format) -> tuple[dict[str, Any], list[str]]:
    """Return the options for pandas of a text file, as they were given or can be seen, and notes on the latter."""
    options: dict[str, Any] = {}
    notes: list[str] = []
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):  # others are compressed: pandas opens them
        encoding = given.encoding or encoding_of(path)
        if encoding != "utf-8":
            options["encoding"] = encoding
            if encoding != given.encoding and not encoding.startswith("utf-8"):
                notes.append(f"Encoding {encoding}, noticed; --encoding changes it.")
        with path.open(encoding=encoding, errors="replace") as file:
            first, skipped = file.readline(), 0
            named = re.fullmatch(r"\W*sep=(.)\s*", first)  # Excel's own line
            while first.startswith("#") or (skipped == 0 and named):
                first, skipped = file.readline(), skipped + 1
        header = re.sub(r'"[^"]*"', "", first)
        found = named[1] if named else max(",;\t|", key=header.count)
        if found not in header and len(header.split()) > 1:
            found = r"\s+"
        if skipped:
            options["skiprows"] = skipped
            notes.append(f"{several(skipped, 'line')} before the names of the columns left out.")
        if given.sep is None and found != ",":
            options["sep"] = found
            between = "spaces" if found == r"\s+" else repr(found)
            notes.append(f"Columns separated by {between}, noticed; --sep changes it.")
        if f"{found} " in header:
            options["skipinitialspace"] = True
    if given.sep is not None:
        options["sep"] = given.sep.replace("\\t", "\t")
    if given.decimal is not None:
        options["decimal"] = given.decimal
    return options, notes


def encoding_of(path: Path) -> str:
    """Return the encoding of a text: what its first bytes say, UTF-8 if it is that, or that of Western Windows."""
    with path.open("rb") as file:
        start = file.read(1 << 20)
    for mark, encoding in ENCODINGS.items():
        if start.startswith(mark):
            return encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def written(frame: Any, decimal: str | None, sep: str) -> tuple[dict[str, Any], list[str]]:
    """Return options for pandas of columns whose numbers are written in another way than its own, and notes on them."""
    commas, thousands, marks = [], [], {}
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        if not is_text(column):
            continue
        texts = column.dropna().astype(str)
        marked = texts.str.strip().isin(MARKS)
        texts, found = texts[~marked], sorted(set(texts[marked].str.strip()))
        plain, with_thousands, with_comma = (texts.str.fullmatch(each) for each in (NUMBER, THOUSANDS, DECIMAL_COMMA))
        whole = texts.str.fullmatch(WHOLE_NUMBER)
        may_be_thousands = with_thousands.any() and (with_thousands | plain).all()
        if decimal != "." and with_comma.any() and (with_comma | whole).all() and not (may_be_thousands and sep == ","):
            commas.append(str(name))
        elif may_be_thousands:
            thousands.append(str(name))
        elif not plain.all():
            continue
        if found and len(texts):
            marks[name] = found
    options: dict[str, Any] = {}
    notes = []
    if commas:
        options = {"decimal": ",", "thousands": "."}
        notes = [f"Decimal commas, noticed in {listed(commas)}; --decimal changes it."]
    elif thousands and decimal != ",":
        options = {"thousands": ","}
        notes = [f"Commas between thousands, noticed in {listed(thousands)}; --decimal , makes decimal commas of them."]
    if marks:
        options["na_values"] = marks
        signs = " ".join(sorted({sign for each in marks.values() for sign in each}))
        notes.append(f"{signs} taken for what is missing in {listed(list(map(str, marks)))}.")
    return options, notes


def several(number: int, what: str) -> str:
    """Write how many there are of something."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def listed(names: list[str], most: int = 5) -> str:
    """Write names one after the other, the first few of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, as the end of a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def bundled(name: str) -> tuple[Any, str]:
    """Return one of scikit-learn's own data sets, with names of classes for their numbers, and the code for that."""
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    code = f"sklearn.datasets.load_{name}(as_frame=True).frame"
    if name in ("breast_cancer", "iris", "wine"):
        bunch.frame["target"] = np.asarray(bunch.target_names)[bunch.frame["target"]]
        names = dict(enumerate(map(str, bunch.target_names)))
        code += f'\ntable["target"] = table["target"].map({names})'
    return bunch.frame, code


def table_of(data: str, target: str | None, given: Format) -> tuple[str, Any, str, str, list[str]]:
    """Return a name, a table, the name of the target's column, the code that reads the table, and notes."""
    path = Path(data)
    notes: list[str] = []
    if data in BUNDLED and not path.exists():
        name = data
        frame, code = bundled(data)
        target = "target" if target is None else target
    else:
        if not path.exists():
            raise BadInput(f"there is no file {data!r}, and the bundled data sets are {', '.join(BUNDLED)}")
        name = path.name
        frame, code, notes = read(path, given)
    frame.columns = frame.columns.astype(str)
    columns = ", ".join(map(repr, frame.columns[:12])) + (", ..." if frame.shape[1] > 12 else "")
    if target is None:
        raise BadInput(f"--target must name the column to predict, one of {columns}")
    if target not in frame.columns:
        alone = "; is the separator another (--sep)?" if frame.shape[1] == 1 else ""
        raise BadInput(f"{name} has no column {target!r}; it has {columns}{alone}")
    if list(frame.columns).count(target) > 1:
        raise BadInput(f"{name} has more than one column {target!r}")
    return name, frame, target, code, notes


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
                f"the target {column.name!r} holds text, such as {example(column)}, {n} different values in "
                f"{len(column)} rows: neither numbers nor at most {MOST_CLASSES} classes"
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
    kept, left_out, counting = {}, [], []
    for name in frame.columns:
        column = frame[name]
        if types.is_bool_dtype(column.dtype):
            kept[name] = column.astype("Int8").astype(np.float64)
        elif types.is_complex_dtype(column.dtype) or not (is_number(column) or is_text(column)):
            left_out.append(f"{name} ({column.dtype})")
        elif column.nunique() < 2:
            left_out.append(f"{name} (constant)")
        elif re.fullmatch(r"Unnamed: \d+", name) and counts_rows(column):
            left_out.append(f"{name} (no name, and it counts the rows: an index)")
        elif is_number(column):
            kept[name] = column.astype(np.float64).replace([np.inf, -np.inf], np.nan)
            if counts_rows(column):
                counting.append(name)
        elif column.nunique() > MOST_CATEGORIES:
            what = "dates: make numbers of them" if column.dropna().astype(str).str.fullmatch(DATE).all() else "text"
            left_out.append(f"{name} ({what}; {column.nunique()} values such as {example(column)})")
        else:
            names = column.astype(object).map(str, na_action="ignore").astype(object)
            names[column.isna()] = np.nan  # pandas.NA is none of scikit-learn's names for what is missing
            kept[name] = names
    if not kept:
        raise BadInput("there is no column to predict from: " + (", ".join(left_out) or "the target is the only one"))
    notes = [f"Columns left out: {', '.join(left_out)}."] if left_out else []
    if counting:
        notes.append(f"Used, though it counts the rows: {listed(counting)}; if it is a mere number, take it out.")
    return pd.DataFrame(kept), notes


def example(column: Any, most: int = 30) -> str:
    """Write the first value of a column, cut where it is long."""
    text = str(column.dropna().iloc[0])
    return repr(text if len(text) <= most else text[: most - 3] + "...")


def counts_rows(column: Any) -> bool:
    """Whether a column is a number of each row, one after the other."""
    return is_number(column) and bool((np.diff(column.to_numpy(np.float64, na_value=np.nan)) == 1).all())


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


def load(data: str, target: str | None, task: str | None, rows: int, seed: int, given: Format | None = None) -> Problem:
    """Read a problem; whatever is wrong with it is said as `BadInput`."""
    if seed < 0 or rows < FEWEST_ROWS:
        raise BadInput(f"--seed must be at least 0, and --rows at least {FEWEST_ROWS}")
    name, frame, target, code, notes = table_of(data, target, given or Format())
    column = frame[target]
    missing = column.isna().to_numpy()
    if is_number(column):
        missing = ~np.isfinite(column.to_numpy(np.float64, na_value=np.nan))
    if missing.any():
        notes.append(f"{missing.sum()} of {len(column)} rows have no target, and are left out.")
        frame = frame[~missing].reset_index(drop=True)
        column = frame[target]
    if len(column) < FEWEST_ROWS:
        raise BadInput(f"{name} has {len(column)} rows with a target; a comparison needs at least {FEWEST_ROWS}")
    if column.nunique() == 1:
        raise BadInput(f"the target {target!r} is constant: {column.iloc[0]!s}")
    if not is_number(column) and not types.is_bool_dtype(column.dtype) and not is_text(column):
        raise BadInput(f"the target {target!r} holds {column.dtype}: neither numbers nor classes")
    found, why = (task, "as asked for") if task else task_of(column)
    values, classes = encoded(column, found)
    features, left_out = usable(frame.drop(columns=target))
    code = code_of(code, column, features, bool(missing.any()), classes)
    notes += left_out
    if len(column) > rows:
        some = np.sort(np.random.default_rng(seed).choice(len(column), rows, replace=False))
        if classes and np.bincount(values[some], minlength=len(classes)).min() < 3:
            raise BadInput(f"a sample of {rows} rows holds fewer than 3 of a class: give more --rows")
        notes.append(f"A sample of {rows} of {len(column)} rows.")
        features, values = features.iloc[some], values[some]
    features.columns = [re.sub(r"\s+", " ", each) for each in features.columns]
    return Problem(name, found, why, features.reset_index(drop=True), values, classes, tuple(notes), code)


def code_of(code: str, column: Any, features: Any, drops_rows: bool, classes: tuple[str, ...]) -> str:
    """Return lines that read X and y, and name the columns of numbers and of names."""
    target = str(column.name)
    lines = [f"table = {code}"]
    if drops_rows and is_number(column):
        lines.append(f"table = table[np.isfinite(table[{target!r}].astype(float))]")
    elif drops_rows:
        lines.append(f"table = table.dropna(subset=[{target!r}])")
    of_kind = {"numbers": NUMBERS(features), "names": NAMES(features)}
    for kind, columns in of_kind.items():
        if columns:
            lines.append(f"{kind} = {pprint.pformat(columns, width=100, compact=True)}")
    parts = {
        "numbers": "table[numbers].astype(float).replace([np.inf, -np.inf], np.nan)",
        "names": "table[names].astype(str)",
    }
    lines += [f"X_{kind} = {part}" for kind, part in parts.items() if of_kind[kind]]
    both = [f"X_{kind}" for kind in parts if of_kind[kind]]
    lines.append(f"X = {both[0]}" if len(both) == 1 else f"X = {both[0]}.join({both[1]})")
    y = f"table[{target!r}]" + ("" if is_number(column) else ".astype(str)")
    if len(classes) == 2:
        positive = classes[1] if is_number(column) else repr(classes[1])
        y += f" == {positive}"
    lines.append(f"y = {y}")
    return "\n".join(lines)
