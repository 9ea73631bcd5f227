"""A table that comes through a pipe: CSV on standard input, some rows at a time, of which nothing is kept."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from downslope.data.arrow import arrow
from downslope.data.database import sentence
from downslope.data.files import MAGIC, check_drop
from downslope.data.large.reading import Files
from downslope.data.table import Table, check_names
from downslope.errors import SourceError
from downslope.records.figures import count
from downslope.words import say

PIPE = "-"
"""What standard input is called on the command line."""
NAME = say("standard input")
SNIFFED = 4 << 20
"""Bytes at the beginning by which the types of columns are settled."""
DELIMITERS = ",\t;|"


def open_pipe(drop: tuple[str, ...], memory: int, stream: BinaryIO | None = None) -> tuple[Files, Iterator[Table]]:
    """Return what standard input promises, and its rows as they come; raises SourceError, ColumnError."""
    source = sys.stdin.buffer if stream is None else stream
    head = _some(source, SNIFFED)
    _check_text(head)
    names, types, delimiter = _columns(head)
    check_names(names, NAME)
    check_drop(names, drop, NAME)
    kept = [index for index, name in enumerate(names) if name not in drop]
    files = Files(
        NAME, (Path(PIPE),), "CSV", tuple(names[index] for index in kept), tuple(types[index] for index in kept), None,
        memory,
    )  # fmt: skip
    return files, _tables(_Joined(head, source), files, delimiter)


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
        """Return the next bytes, none at the end."""
        return self._head.read(size) or self._rest.read(size)
