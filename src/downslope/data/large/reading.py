"""Read files some rows at a time, in order and in bounded memory, one file after the other.

Plain Parquet and Arrow files are read by PyArrow, a text staying the dictionary that it is stored as; everything
else, and every ``--where``, by a DuckDB that is held to a share of the memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from downslope.data.arrow import arrow
from downslope.data.columns import kind_of
from downslope.data.database import bounded, literal, quoted, sentence
from downslope.data.files import check_drop, format_of, formats_of
from downslope.data.sparse import check_entries
from downslope.data.table import Table, check_names
from downslope.data.text.entries import FORMATS, LABEL
from downslope.data.text.lines import label_table, line_batches, may_be_classes
from downslope.errors import SourceError
from downslope.types import Vector
from downslope.words import Sentence, joined, say

MOST_ROWS, LEAST_ROWS = 1 << 17, 1 << 10
"""Rows that are read at once, at most and at least."""
TEXT_BYTES = 32
"""Bytes that a text is taken to have where its file does not say."""
LONG_BYTES = 2048
"""Bytes that a string is taken to have that is to be learned from as text."""
LINES_SHARE, MOST_LINES = 48, 8 << 20
"""Lines of sparse rows are read by one of so many parts of the memory at once, and at most so many bytes."""
MOST_LABELS = 4
"""Distinct labels that are looked at: more than two are numbers."""
PIPE = "-"
"""What standard input is called on the command line."""
SMALLEST_DATABASE = 128 << 20
"""Bytes of memory that DuckDB is given at least."""


@dataclass(frozen=True)
class Files:
    """Files of one format and the same columns, to be read as one table.

    source: in words. paths: in order. kind: their format. names, types: of the columns that are kept, Arrow types.
    where: a condition on the rows. memory: bytes that a reader may hold. bad: files that
    were left out. groups: (first, last) row groups of the one Parquet file, None for all rows. texts: columns of long
    strings, hardly any of which comes twice. skip_bad_lines: leave out malformed lines of sparse rows.
    """

    source: str
    paths: tuple[Path, ...]
    kind: str
    names: tuple[str, ...]
    types: tuple[Any, ...]
    where: str | None
    memory: int
    bad: tuple[str, ...] = ()
    groups: tuple[int, int] | None = None
    texts: tuple[str, ...] = ()
    skip_bad_lines: bool = False

    @property
    def batch_rows(self) -> int:
        """Rows to read at once: a sixteenth of the memory, as far as types tell."""
        width = sum(_width(each) for each in self.types) + LONG_BYTES * len(self.texts)
        return min(max(self.memory // (16 * max(width, 1)), LEAST_ROWS), MOST_ROWS)

    def batches(self, path: Path) -> Iterator[Table]:
        """Yield the rows of one file, in order; raises SourceError where it is damaged."""
        if self.kind in FORMATS:
            yield from self._entries(path)
            return
        try:
            for each in self._raw(path):
                if each.num_rows:
                    yield Table(each, self.source, each.num_rows)
        except failures() as error:
            raise SourceError(complaint(self.kind, path, error, where=self.where is not None)) from None

    def _entries(self, path: Path) -> Iterator[Table]:
        """Yield the rows of a file of sparse rows; raises SourceError."""
        classes = kind_of(self.types[0]) == "category"
        packed = format_of(path)[1]
        for labels, entries in line_batches(path, self.kind, packed, self.line_bytes, skip_bad=self.skip_bad_lines):
            if entries.rows.rows:
                yield Table(label_table(labels, classes=classes), self.source, entries.rows.rows, entries)

    @property
    def line_bytes(self) -> int:
        """Bytes of lines of sparse rows to read at once."""
        return min(max(self.memory // LINES_SHARE, 1 << 16), MOST_LINES)

    def _raw(self, path: Path) -> Iterator[Any]:
        if self.kind == "Parquet" and self.where is None:
            return _parquet_batches(path, self, self.batch_rows)
        if self.kind == "Arrow" and self.where is None:
            return _arrow_batches(path, self.names, self.batch_rows)
        return self._database_batches(path)

    def _relation(self, path: Path) -> Any:
        cursor = bounded(max(self.memory // 4, SMALLEST_DATABASE))
        relation = cursor.sql(f"select * from {_reader(self, path)}")
        return relation if self.where is None else relation.filter(self.where)

    def _database_batches(self, path: Path) -> Iterator[Any]:
        relation = self._relation(path)
        relation = relation.project(", ".join(quoted(name) for name in self.names))
        for batch in relation.to_arrow_reader(self.batch_rows):
            yield arrow().Table.from_batches([batch])

    def count(self, path: Path) -> int:
        """Return the rows of one file; raises SourceError where it is damaged."""
        try:
            if self.kind == "Parquet" and self.where is None and format_of(path)[1] is None:
                return _parquet_rows(path, self.groups)
            if self.kind == "Arrow" and self.where is None:
                return sum(each.num_rows for each in self._raw(path))
            return int(self._relation(path).aggregate("count(*)").fetchall()[0][0])
        except failures() as error:
            raise SourceError(complaint(self.kind, path, error, where=self.where is not None)) from None

    def digest(self) -> str:
        """Return a fingerprint of the files: paths, sizes, times and places on disk, and of their columns."""
        digest = sha256()
        for path in self.paths:
            seen = path.stat()
            told = f"{path.resolve()}\0{seen.st_size}\0{seen.st_mtime_ns}\0{seen.st_ino}\n"
            digest.update(told.encode("utf-8", "surrogateescape"))
        digest.update(repr((self.kind, self.names, [str(each) for each in self.types], self.where)).encode())
        return digest.hexdigest()

    @property
    def size(self) -> int:
        """Bytes of the files; 0 of a pipe, which nobody can know."""
        return sum(path.stat().st_size for path in self.paths if str(path) != PIPE)


def complaint(kind: str, path: Path, error: Exception, *, where: bool = False) -> Sentence:
    """Return what is the matter with a file, and what to do. where: there was a condition, which may be to blame."""
    text = sentence(error)
    if where and "Binder" in type(error).__name__:
        return say("--where does not work: {error}", error=text)
    if kind in ("Parquet", "Arrow"):
        return say(
            "{path} is not a whole {kind} file: it is truncated, damaged, or of another format; write it again, or "
            "set --skip-bad-files",
            path=str(path),
            kind=kind,
        )
    return say(
        "{path} cannot be read as {kind}: {reason}; mend it, or set --skip-bad-files",
        path=str(path),
        kind=kind,
        reason=text,
    )


def failures() -> tuple[type[Exception], ...]:
    """Return what a reader raises."""
    import duckdb

    return (duckdb.Error, arrow().ArrowException, OSError, EOFError)


def _width(dtype: Any) -> int:
    return TEXT_BYTES if kind_of(dtype) in ("category", "nested", "binary") else 8


def open_files(
    source: str, *, where: str | None, drop: Sequence[str], memory: int, skip_bad: bool = False, careful: bool = False,
    texts: Sequence[str] = (), skip_bad_lines: bool = False,
) -> Files:  # fmt: skip
    """Return the files that a path, glob or folder means, their columns compared.

    skip_bad: leave damaged files out, and count them. careful: look at all rows of text files before their types are
    settled. texts: columns of long strings. skip_bad_lines: leave out malformed lines of sparse rows. Raises
    SourceError, which names the file that is damaged or has other columns.
    """
    paths, kind = formats_of(source)
    if kind in FORMATS:
        check_entries(source, where, drop)
        files = Files(source, tuple(paths), kind, (LABEL,), (arrow().float64(),), None, memory)
        return _with_labels(replace(files, skip_bad_lines=skip_bad_lines), skip_bad=skip_bad, careful=careful)
    good: list[Path] = []
    bad: list[str] = []
    columns: list[tuple[tuple[str, ...], tuple[Any, ...]]] = []
    for path in paths:
        try:
            columns.append(_columns_of(path, kind, memory, careful=careful))
            good.append(path)
        except failures() as error:
            if not skip_bad:
                raise SourceError(complaint(kind, path, error)) from None
            bad.append(str(path))
    if not good:
        message = say("{source} holds no file that can be read; write its files again", source=source)
        raise SourceError(message)
    names, types = columns[0]
    for path, (other_names, other_types) in zip(good[1:], columns[1:], strict=True):
        types = _agreed(good[0], names, types, path, other_names, other_types)
    check_names(names, source)
    check_drop(names, drop, source)
    kept = [index for index, name in enumerate(names) if name not in drop]
    return Files(
        source, tuple(good), kind, tuple(names[index] for index in kept), tuple(types[index] for index in kept), where,
        memory, tuple(bad), texts=tuple(texts),
    )  # fmt: skip


def _with_labels(files: Files, *, skip_bad: bool, careful: bool) -> Files:
    """Return files of sparse rows, their labels taken for classes where those looked at are two whole numbers."""
    met = np.empty(0)
    for labels in _labels(files, skip_bad=skip_bad):
        met = np.unique(np.append(met, labels))[:MOST_LABELS]
        if not may_be_classes(met):
            return files
        if not careful and not np.isnan(met).all():
            break
    return replace(files, types=(arrow().string(),))


def _labels(files: Files, *, skip_bad: bool) -> Iterator[Vector]:
    """Yield the labels of files of sparse rows; skip_bad: pass over damaged files, else raise SourceError."""
    for path in files.paths:
        try:
            for table in files.batches(path):
                yield table.arrow[LABEL].to_numpy()
        except SourceError:
            if not skip_bad:
                raise


def _agreed(
    first: Path, names: tuple[str, ...], types: tuple[Any, ...], path: Path, other: tuple[str, ...],
    other_types: tuple[Any, ...],
) -> tuple[Any, ...]:  # fmt: skip
    """Return types that suit both files; raises SourceError with the difference where there are none."""
    lacks = [name for name in names if name not in other]
    more = [name for name in other if name not in names]
    if lacks or more:
        told = [say('lacks "{name}"', name=name) for name in lacks[:3]]
        told += [say('has "{name}" besides', name=name) for name in more[:3]]
        message = say(
            "{path} has other columns than {first}: it {difference}; read one kind of file, or set --drop",
            path=str(path),
            first=first.name,
            difference=joined(say(", "), told),
        )
        raise SourceError(message)
    place = {name: dtype for name, dtype in zip(other, other_types, strict=True)}
    return tuple(_wider(first, name, dtype, path, place[name]) for name, dtype in zip(names, types, strict=True))


def _wider(first: Path, name: str, dtype: Any, path: Path, other: Any) -> Any:
    pyarrow = arrow()
    if dtype == other or kind_of(other) == "null":
        return dtype
    if kind_of(dtype) == "null":
        return other
    if kind_of(dtype) == kind_of(other) == "number":
        return pyarrow.float64()
    if kind_of(dtype) == kind_of(other) and kind_of(dtype) == "category":
        return dtype
    message = say(
        'column "{name}" is {other} in {path} but {dtype} in {first}; write the files alike, or set --drop {name}',
        name=name,
        other=str(other),
        path=str(path),
        dtype=str(dtype),
        first=first.name,
    )
    raise SourceError(message)


def _columns_of(path: Path, kind: str, memory: int, *, careful: bool) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    """Return the names and Arrow types of a file's columns."""
    if kind == "Parquet" and format_of(path)[1] is None:
        schema = import_module("pyarrow.parquet").read_schema(str(path))
    elif kind == "Arrow" and format_of(path)[1] is None:
        schema = _arrow_schema(path)
    else:
        reader = _reader_of(path, kind, ("sample_size = -1",) if careful else ())
        relation = bounded(max(memory // 4, SMALLEST_DATABASE)).sql(f"select * from {reader} limit 0")
        schema = relation.to_arrow_table().schema
    return tuple(schema.names), tuple(schema.types)


def _reader_of(path: Path, kind: str, more: Sequence[str] = ()) -> str:
    """Return the SQL that reads one file."""
    name = {"Parquet": "read_parquet", "JSON": "read_json"}.get(kind, "read_csv")
    options = [*(["delim = '\t'"] if kind == "TSV" else []), *(more if kind != "Parquet" else ())]
    return f"{name}({', '.join([literal(str(path)), *options])})"


def _reader(files: Files, path: Path) -> str:
    """Return the SQL that reads one file, with the types that suit all of them."""
    if files.kind not in ("CSV", "TSV"):
        return _reader_of(path, files.kind)
    known = {name: _sql_type(dtype) for name, dtype in zip(files.names, files.types, strict=True)}
    listed = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in known.items() if kind)
    return _reader_of(path, files.kind, (f"types = {{{listed}}}",) if listed else ())


def _sql_type(dtype: Any) -> str:
    return {
        "int64": "BIGINT", "double": "DOUBLE", "string": "VARCHAR", "bool": "BOOLEAN", "date32[day]": "DATE",
        "timestamp[us]": "TIMESTAMP", "time64[us]": "TIME",
    }.get(str(dtype), "")  # fmt: skip


def row_groups(path: Path) -> list[int]:
    """Return the bytes of each row group of a Parquet file."""
    found = import_module("pyarrow.parquet").read_metadata(str(path))
    return [int(found.row_group(index).total_byte_size) for index in range(found.num_row_groups)]


def _parquet_rows(path: Path, groups: tuple[int, int] | None) -> int:
    found = import_module("pyarrow.parquet").read_metadata(str(path))
    return sum(int(found.row_group(index).num_rows) for index in range(*(groups or (0, found.num_row_groups))))


def _parquet_batches(path: Path, files: Files, rows: int) -> Iterator[Any]:
    pyarrow, parquet = arrow(), import_module("pyarrow.parquet")
    schema, names = parquet.read_schema(str(path)), list(files.names)
    levels = [each.name for each in schema if kind_of(each.type) == "category" and each.name not in files.texts]
    file = parquet.ParquetFile(str(path), read_dictionary=levels, pre_buffer=False, buffer_size=1 << 20)
    chosen = None if files.groups is None else list(range(*files.groups))
    for batch in file.iter_batches(rows, row_groups=chosen, columns=names, use_threads=True):
        yield pyarrow.Table.from_batches([batch]).select(names)


def _arrow_file(path: Path) -> Any:
    pyarrow = arrow()
    source = pyarrow.OSFile(str(path))
    try:
        return pyarrow.ipc.open_file(source)
    except pyarrow.ArrowInvalid:
        source.seek(0)
        return pyarrow.ipc.open_stream(source)


def _arrow_schema(path: Path) -> Any:
    return _arrow_file(path).schema


def _arrow_batches(path: Path, names: Sequence[str], rows: int) -> Iterator[Any]:
    file = _arrow_file(path)
    count = getattr(file, "num_record_batches", None)
    for each in file if count is None else (file.get_batch(index) for index in range(count)):
        table = arrow().Table.from_batches([each]).select(list(names))
        for first in range(0, table.num_rows, rows):
            yield table.slice(first, rows)
