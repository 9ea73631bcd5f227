"""Rows that come through a pipe, some at a time, of which nothing is kept: CSV, svmlight or Vowpal Wabbit text."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from downslope.data.arrow import arrow
from downslope.data.database import sentence
from downslope.data.files import MAGIC, check_drop
from downslope.data.large.reading import PIPE, Files
from downslope.data.sparse import check_entries
from downslope.data.table import Table, check_names
from downslope.data.text.entries import LABEL, SVMLIGHT, VOWPAL_WABBIT
from downslope.data.text.lines import are_classes, batches_of, label_table
from downslope.errors import SourceError
from downslope.records.figures import count
from downslope.words import say

NAME = say("standard input")
SNIFFED = 4 << 20
"""Bytes at the beginning by which the types of columns are settled."""
DELIMITERS = ",\t;|"
NUMBER = rb"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
"""What begins a row that names its features itself."""
LINES = {
    SVMLIGHT: re.compile(NUMBER + rb"(?:[ \t]+(?:qid|\d+):" + NUMBER + rb")+[ \t]*(?:#.*)?"),
    VOWPAL_WABBIT: re.compile(NUMBER + rb"(?:[ \t]+" + NUMBER + rb"){0,2}(?:[ \t]*'?[^\s|]*)?[ \t]*\|[^\s|]*[ \t].*"),
}
"""What a line of each format looks like; neither is the header of a CSV, whose columns have names."""


def open_pipe(
    drop: tuple[str, ...], memory: int, stream: BinaryIO | None = None, *, texts: tuple[str, ...] = (),
    skip_bad_lines: bool = False,
) -> tuple[Files, Iterator[Table]]:  # fmt: skip
    """Return what standard input promises, and its rows as they come; raises SourceError, ColumnError or OptionError.

    texts: columns of long strings. skip_bad_lines: leave out malformed lines of sparse rows.
    """
    begun, source = _unbuffered(sys.stdin.buffer if stream is None else stream)
    head = begun + _some(source, SNIFFED - len(begun))
    _check_text(head)
    kind = format_of(head)
    if kind != "CSV":
        check_entries(NAME, None, drop)
        files = Files(NAME, (Path(PIPE),), kind, (LABEL,), (arrow().float64(),), None, memory)
        return _with_labels(replace(files, skip_bad_lines=skip_bad_lines), _Joined(head, source))
    names, types, delimiter = _columns(head)
    check_names(names, NAME)
    check_drop(names, drop, NAME)
    kept = [index for index, name in enumerate(names) if name not in drop]
    files = Files(
        NAME, (Path(PIPE),), "CSV", tuple(names[index] for index in kept), tuple(types[index] for index in kept), None,
        memory, texts=texts,
    )  # fmt: skip
    return files, _tables(_Joined(head, source), files, delimiter)


def _unbuffered(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    """Return what a stream has read ahead, and what it reads from.

    A thread that waits for a pipe in the middle of a buffer would bring the interpreter down at its end.
    """
    raw = getattr(stream, "raw", None)
    return (b"", stream) if raw is None else (stream.read1(io.DEFAULT_BUFFER_SIZE), raw)  # type: ignore[attr-defined]


def _some(source: BinaryIO, size: int) -> bytes:
    """Return so many bytes, or all there are: a pipe gives fewer at a time than are asked for."""
    parts: list[bytes] = []
    while size > 0:
        part = source.read(size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _check_text(head: bytes) -> None:
    if not head.strip():
        message = say(
            "standard input is empty; pipe a CSV with a header into it, such as: cat table.csv | downslope fit -"
        )
        raise SourceError(message)
    if any(head.startswith(magic) for magic in MAGIC) or b"\0" in head[:512]:
        message = say("standard input is not text; pipe CSV into it, unpacked, or name the file itself")
        raise SourceError(message)


def format_of(head: bytes) -> str:
    """Return the format that the first line has."""
    first = next(each for each in head.split(b"\n") if each.strip()).strip()
    return next((name for name, line in LINES.items() if line.fullmatch(first)), "CSV")


def _with_labels(files: Files, source: _Joined) -> tuple[Files, Iterator[Table]]:
    """Return files of sparse rows and their tables, the labels taken for classes where the first are two numbers."""
    found = batches_of(source, NAME, files.kind, files.line_bytes, skip_bad=files.skip_bad_lines)
    found = ((labels, entries) for labels, entries in found if entries.rows.rows)
    first = next(found, None)
    if first is None:
        message = say("{source} holds no row; give a file with examples", source=NAME)
        raise SourceError(message)
    classes = are_classes(first[0])

    def tables() -> Iterator[Table]:
        for labels, entries in chain([first], found):
            yield Table(label_table(labels, classes=classes), NAME, entries.rows.rows, entries)

    return replace(files, types=(arrow().string() if classes else arrow().float64(),)), tables()


def _columns(head: bytes) -> tuple[tuple[str, ...], tuple[Any, ...], str]:
    """Return the names and Arrow types of the columns, and what stands between them.

    Whole numbers at the beginning may be followed by others, so they are read as floats.
    """
    pyarrow, csv = arrow(), import_module("pyarrow.csv")
    whole = head[: head.rfind(b"\n") + 1] or head
    first = whole.split(b"\n", 1)[0].decode("utf-8", "replace")
    delimiter = max(DELIMITERS, key=first.count)
    try:
        schema = csv.read_csv(
            io.BytesIO(whole), parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
        ).schema
    except pyarrow.ArrowException as error:
        raise SourceError(_complaint(error)) from None
    types = tuple(pyarrow.float64() if pyarrow.types.is_integer(each) else each for each in schema.types)
    return tuple(schema.names), types, delimiter


def _tables(source: _Joined, files: Files, delimiter: str) -> Iterator[Table]:
    pyarrow, csv = arrow(), import_module("pyarrow.csv")
    rows = 0
    try:
        reader = csv.open_csv(
            pyarrow.PythonFile(source, mode="r"),
            read_options=csv.ReadOptions(use_threads=False, block_size=SNIFFED),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types=dict(zip(files.names, files.types, strict=True)), include_columns=list(files.names)
            ),
        )
        for batch in reader:
            rows += batch.num_rows
            if batch.num_rows:
                yield Table(pyarrow.Table.from_batches([batch]), NAME, batch.num_rows)
    except pyarrow.ArrowException as error:
        raise SourceError(_complaint(error, rows)) from None


def _complaint(error: Exception, rows: int = 0) -> Any:
    return say(
        "standard input cannot be read as CSV after row {row}: {reason}; mend that line",
        row=count(rows),
        reason=sentence(error),
    )


class _Joined(io.RawIOBase):
    """The bytes that were looked at, then the rest of the pipe."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = io.BytesIO(head), rest

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, so many unless the end comes before."""
        return self._head.read(size) or _some(self._rest, size)
