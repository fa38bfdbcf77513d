"""`fastloss score`: a loss of predictions in files that need not fit into memory. Parquet needs pyarrow."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import math
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

import fastloss as fl

from ._resolve import parse_loss

NOTHING_COUNTED, BAD_INPUT = 1, 2
AT_ONCE = 1 << 20  # numbers that are read together
PIECE = 1 << 20  # bytes of a Parquet column that are read together
FORMATS = (".npy", ".csv", ".tsv", ".txt", ".parquet")


class BadInput(Exception):
    """What is wrong with an option or a file."""


# --------------------------------------------------------------------------------------------- the files


class Reader:
    """Rows of numbers of a file, as many at a time as are asked for. Rows of one number have no second axis."""

    path: str
    columns: int
    n_read = 0  # rows

    def read(self, rows: int) -> np.ndarray:
        """Return the next `rows` rows; fewer at the end of the file."""
        raise NotImplementedError

    def place(self, row: int) -> str:
        """Say where a row, counted from 0, stands in the file."""
        return f"row {row}"

    def part_read(self) -> float:
        """The part of the file that has been read."""
        raise NotImplementedError


class NpyReader(Reader):
    """A .npy file: read, not mapped, so that memory stays flat; Fortran order is mapped."""

    def __init__(self, path: str, files: contextlib.ExitStack) -> None:
        self.path = path
        self.file: IO[bytes] = files.enter_context(open(path, "rb"))  # noqa: SIM115 - it is one
        try:
            version = np.lib.format.read_magic(self.file)
            read_header = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            self.shape, fortran, self.dtype = read_header(self.file)
        except ValueError as error:
            raise BadInput(f"{path}: no .npy file ({error})") from None
        if self.dtype.kind not in "biuf":
            raise BadInput(f"{path}: holds {self.dtype}, not real numbers")
        if len(self.shape) not in (1, 2):
            raise BadInput(f"{path}: shape {self.shape}; rows of numbers have one or two axes")
        self.columns = 1 if len(self.shape) == 1 else self.shape[1]
        expected = self.file.tell() + math.prod(self.shape) * self.dtype.itemsize
        if os.path.getsize(path) < expected:
            raise BadInput(f"{path}: is cut off: {os.path.getsize(path)} bytes of {expected}")
        self.mapped = np.load(path, mmap_mode="r") if fortran and self.columns > 1 else None

    def read(self, rows: int) -> np.ndarray:
        rows = min(rows, self.shape[0] - self.n_read)
        start, self.n_read = self.n_read, self.n_read + rows
        if self.mapped is not None:
            return np.array(self.mapped[start : start + rows])
        block = np.fromfile(self.file, self.dtype, rows * self.columns)
        if len(block) < rows * self.columns:
            raise BadInput(f"{self.path}: ends in row {start + len(block) // max(1, self.columns)}")
        return block if self.columns == 1 else block.reshape(rows, self.columns)

    def part_read(self) -> float:
        return self.n_read / max(1, self.shape[0])


class TextReader(Reader):
    """A file of lines of numbers, with commas, semicolons or tabs between them, and a line of names or none."""

    def __init__(self, path: str, columns: list[str] | None, files: contextlib.ExitStack) -> None:
        self.path = path
        self.size = os.path.getsize(path)
        self.file: IO[str] = files.enter_context(open(path, encoding="utf-8-sig"))  # noqa: SIM115 - it is one
        try:
            first = self.file.readline()
        except UnicodeDecodeError as error:
            raise BadInput(f"{path}: is no UTF-8 text ({error.reason})") from None
        self.separator = next((each for each in "\t;," if each in first), ",")
        cells = [cell.strip().strip('"') for cell in first.rstrip("\n").split(self.separator)]
        named = not all(map(_is_number, cells)) if first.strip() else False
        self.lines_before = 1 if named else 0
        self.used = _chosen(path, cells if named else None, columns, len(cells))
        self.columns = len(self.used)
        self.width = len(cells)
        self.bytes_read = len(first) if named else 0
        self.lines: Iterator[str] = self.file if named or not first else itertools.chain([first], self.file)

    def read(self, rows: int) -> np.ndarray:
        try:
            lines = list(itertools.islice(self.lines, rows))
        except UnicodeDecodeError as error:
            raise BadInput(f"{self.path}: is no UTF-8 text after row {self.n_read} ({error.reason})") from None
        self.bytes_read += sum(map(len, lines))
        while lines and not lines[-1].strip():
            lines.pop()
        if not lines:
            return np.empty(0 if self.columns == 1 else (0, self.columns))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                block = np.loadtxt(lines, delimiter=self.separator, ndmin=2, comments=None, quotechar='"')
        except (ValueError, UserWarning):
            block = None
        if block is None or block.shape != (len(lines), self.width):
            raise BadInput(f"{self.path}, {self._first_wrong(lines)}")
        self.n_read += len(block)
        block = block[:, self.used]
        return np.ascontiguousarray(block[:, 0] if self.columns == 1 else block)

    def _first_wrong(self, lines: list[str]) -> str:
        for number, line in enumerate(lines):
            where = self.place(self.n_read + number)
            cells = line.rstrip("\n").split(self.separator)
            if not line.strip():
                return f"{where}: is empty"
            if len(cells) != self.width:
                return f"{where}: {len(cells)} cells, and {self.width} in the first line"
            for column, cell in enumerate(cells):
                if not _is_number(cell.strip().strip('"')):
                    return f"{where}, column {column + 1}: {cell.strip()!r} is no number"
        return f"{self.place(self.n_read)}: cannot be read as numbers"

    def place(self, row: int) -> str:
        return f"line {row + 1 + self.lines_before}"

    def part_read(self) -> float:
        return min(1.0, self.bytes_read / max(1, self.size))


class ParquetReader(Reader):
    """A Parquet file, row group after row group."""

    def __init__(self, path: str, columns: list[str] | None, files: contextlib.ExitStack) -> None:
        parquet = importlib.import_module("pyarrow.parquet")
        self.path = path
        try:
            # With pre_buffer, which is the default, every row group that has been read would stay in memory.
            self.file = files.enter_context(parquet.ParquetFile(path, pre_buffer=False, buffer_size=PIECE))
        except Exception as error:  # pyarrow's own kinds
            raise BadInput(f"{path}: no Parquet file ({error})") from None
        names = self.file.schema_arrow.names
        self.names = [names[i] for i in _chosen(path, names, columns, len(names))]
        self.columns = len(self.names)
        self.n_rows = self.file.metadata.num_rows
        at_once = max(1, min(65536, AT_ONCE // self.columns))
        # One thread: with several, whole columns of row groups wait for each other.
        batches = self.file.iter_batches(batch_size=at_once, columns=self.names, use_threads=False)
        self.batches: Iterator[Any] = iter(batches)
        self.rest = np.empty((0, self.columns))
        self.n_decoded = 0

    def read(self, rows: int) -> np.ndarray:
        parts, n = [self.rest] if len(self.rest) else [], len(self.rest)
        while n < rows and (batch := next(self.batches, None)) is not None:
            parts.append(self._decoded(batch))
            n += len(parts[-1])
        # What is left is of the last batch: a view of all that was joined would keep it.
        left = max(0, n - rows)
        if left:
            self.rest, parts[-1] = parts[-1][-left:], parts[-1][:-left]
        else:
            self.rest = self.rest[:0]
        block = np.concatenate(parts) if parts else self.rest
        self.n_read += len(block)
        return block[:, 0] if self.columns == 1 else block

    def _decoded(self, batch: Any) -> np.ndarray:
        arrays = []
        for name, column in zip(self.names, batch.columns, strict=True):
            if column.null_count:
                row = self.n_decoded + int(np.argmax(np.asarray(column.is_null().to_numpy(zero_copy_only=False))))
                raise BadInput(f"{self.path}, row {row}: nothing stands in column {name!r}")
            array = column.to_numpy(zero_copy_only=False)
            if array.dtype.kind not in "biuf":
                raise BadInput(f"{self.path}: column {name!r} holds {column.type}, not real numbers")
            arrays.append(array)
        self.n_decoded += len(arrays[0])
        return np.stack(arrays, axis=1)

    def part_read(self) -> float:
        return float(self.n_read / max(1, self.n_rows))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _chosen(path: str, names: list[str] | None, columns: list[str] | None, n: int) -> list[int]:
    """Return the numbers of the columns that were asked for, by name or by number from 1; all, if none were."""
    if columns is None:
        return list(range(n))
    found = []
    for column in columns:
        if names is not None and column in names:
            found.append(names.index(column))
        elif column.isdecimal() and 1 <= int(column) <= n:
            found.append(int(column) - 1)
        else:
            have = f"has {', '.join(map(repr, names))}" if names else f"has columns 1 to {n}, without names"
            raise BadInput(f"{path}: there is no column {column!r}; it {have}")
    return found


def open_reader(option: str, given: str, files: contextlib.ExitStack) -> Reader:
    """Open ``FILE`` or ``FILE:COLUMN[,COLUMN]``; `files` closes it."""
    path, columns = given, None
    if not Path(given).exists() and ":" in given:
        head, _, tail = given.rpartition(":")
        if Path(head).exists():
            path, columns = head, tail.split(",")
    if not Path(path).is_file():
        raise BadInput(f"{option}: there is no file {path!r}")
    kind = Path(path).suffix.lower()
    if kind not in FORMATS:
        raise BadInput(f"{option}: {path!r} is none of {', '.join(FORMATS)}")
    try:
        if kind == ".npy":
            if columns is not None:
                raise BadInput(f"{option}: columns are chosen of csv and Parquet files, not of {path!r}")
            return NpyReader(path, files)
        return (ParquetReader if kind == ".parquet" else TextReader)(path, columns, files)
    except OSError as error:
        raise BadInput(f"{option}: {path!r} cannot be read: {error.strerror or error}") from None


# ------------------------------------------------------------------------------------------------ the run


@contextlib.contextmanager
def progress() -> Iterator[Callable[[float], None]]:
    """Show the part that is done, where there is a terminal; nothing is left behind."""
    if not sys.stderr.isatty():
        yield lambda part: None
        return
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        try:
            yield lambda part: print(f"\r[{'#' * int(40 * part):<40}] {part:4.0%}", end="", file=sys.stderr, flush=True)
        finally:
            print("\r" + " " * 50 + "\r", end="", file=sys.stderr, flush=True)
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("score", total=1.0)
        yield lambda part: bar.update(task, completed=part)


def _shaped(loss: Any, block: list[np.ndarray]) -> list[np.ndarray]:
    """Weights are one a row, whatever the row holds."""
    if len(block) == 3 and block[0].ndim == 2 and block[2].ndim == 1 and loss.kind in ("pointwise", "setwise"):
        block[2] = block[2][:, None]
    return block


def _in_file(error: Exception, readers: dict[str, Reader], start: int) -> str:
    """Say in which file and row an error of a block is."""
    match = re.match(r"(prediction|target|sample_weight)\[(\d+)(?:, (\d+))?\] = ", str(error))
    if not match or match[1] not in readers:
        return str(error)
    reader = readers[match[1]]
    column = f", column {int(match[3]) + 1}" if match[3] and reader.columns > 1 else ""
    rule = f"{match[1]} = {str(error)[match.end() :]}"
    return f"{reader.path}, {reader.place(start + int(match[2]))}{column}: {rule}"


def score(loss: Any, readers: dict[str, Reader], reduction: str, show: Callable[[float], None]) -> Any:
    """Go through all files together; return the stream."""
    running = fl.streaming(loss, reduction=reduction)
    first = readers["prediction"]
    rows = max(1, AT_ONCE // max(1, first.columns))
    if loss.kind == "rowwise" and first.columns == 1:
        raise BadInput(f"{first.path}: one column, and {loss.name} needs one for each class")
    while True:
        start = first.n_read
        block = [reader.read(rows) for reader in readers.values()]
        lengths = [len(each) for each in block]
        if len(set(lengths)) > 1:
            by_length = sorted(readers.values(), key=lambda each: each.n_read)
            raise BadInput(f"{by_length[0].path} ends after {by_length[0].n_read} rows, {by_length[-1].path} goes on")
        if not lengths[0]:
            return running
        try:
            running.update(*_shaped(loss, block))
        except (ValueError, TypeError) as error:
            raise BadInput(_in_file(error, readers, start)) from None
        del block  # before the next is read
        show(first.part_read())


def _loss(text: str) -> Any:
    try:
        return parse_loss(text)
    except ValueError as error:
        raise BadInput(f"--loss: {error}") from None


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    file = "FILE[:COLUMN,...]"
    parser.add_argument("--loss", required=True, metavar="NAME", help='a loss, such as huber or "Huber(delta=2)"')
    parser.add_argument(
        "--prediction", required=True, metavar=file, help="raw scores: npy, csv or parquet, of any size"
    )
    parser.add_argument("--target", required=True, metavar=file, help="targets, row by row")
    parser.add_argument("--weight", metavar=file, help="one weight a row")
    parser.add_argument("--reduction", choices=("mean", "sum"), default="mean", help="default: mean, weighted")


def run(options: argparse.Namespace) -> int:
    """Print the loss; return the exit code: 0, 1 (no row counts), 2 (bad input)."""
    given = {"prediction": options.prediction, "target": options.target, "sample_weight": options.weight}
    try:
        loss = _loss(options.loss)
        with contextlib.ExitStack() as files:
            readers = {
                name: open_reader(f"--{name.removeprefix('sample_')}", path, files)
                for name, path in given.items()
                if path
            }
            running = score(loss, readers, options.reduction, files.enter_context(progress()))
    except BadInput as error:
        print(f"fastloss score: {error}", file=sys.stderr)
        return BAD_INPUT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a mean of nothing
        value = running.value()
    print(repr(float(value)))
    if options.reduction == "mean" and loss.kind != "setwise" and not running.weight_sum > 0:
        print("fastloss score: no row counts, so that there is no mean", file=sys.stderr)
        return NOTHING_COUNTED
    return 0
