"""A table's bytes as a page sends them: gathered piece by piece, and read without a file, a path or a query.

The kind is told by the ending of the name, which serves for nothing else. CSV and TSV are read by PyArrow, Parquet too;
workbooks have a file of their own.
"""

from __future__ import annotations

import csv
import io
import struct
import threading
import zipfile
import zlib
from typing import Any
from xml.etree import ElementTree

from downslope.data.arrow import arrow
from downslope.data.table import check_names
from downslope.errors import SourceError
from downslope.playground.limits import CELLS, COLUMNS, PIECE_BYTES, ROWS, TABLE_BYTES, UPLOAD_BYTES, UPLOADS_BYTES
from downslope.playground.workbook import workbook_table
from downslope.records.figures import count
from downslope.words import say

KINDS = ("csv", "tsv", "xlsx", "parquet")
BETWEEN = (",", ";", "\t", "|")
"""What may stand between the cells of a CSV."""
BATCH_ROWS = 4096
"""Rows of a Parquet file that are unpacked at once."""
LOOKED_AT = 4096
"""Bytes from the beginning of a text by which its encoding is told."""
_held = {"bytes": 0}
_lock = threading.Lock()


def hold(more: int) -> None:
    """Count bytes of tables of all pages of this process; raises SourceError where there are too many."""
    with _lock:
        if more > 0 and _held["bytes"] + more > UPLOADS_BYTES:
            message = say("other pages hold too many tables at the moment; close one, or try again later")
            raise SourceError(message)
        _held["bytes"] += more


class Upload:
    """The pieces of one table, in order, and then the table; its bytes count until it is closed."""

    def __init__(self, name: str, size: int) -> None:
        """Take the name and the whole size; raises SourceError for a kind that is not read, or for too many bytes."""
        self.kind = kind_of(name)
        if size == 0:
            message = say("the file is empty; give one with a line of column names, and rows under it")
            raise SourceError(message)
        if not 0 < size <= UPLOAD_BYTES:
            message = say(
                "a table may have up to {most} MB here; fit a larger one with downslope fit", most=UPLOAD_BYTES >> 20
            )
            raise SourceError(message)
        hold(size)
        self.size, self._pieces, self.at, self._holds = size, list[bytes](), 0, size

    def add(self, at: int, piece: bytes) -> bool:
        """Add a piece; say whether it was the last. Raises SourceError for one out of order."""
        if at != self.at or len(piece) > PIECE_BYTES or self.at + len(piece) > self.size:
            message = say(
                "a piece of the table is out of order or too long: {at} of {size} bytes have come",
                at=count(self.at),
                size=count(self.size),
            )
            raise SourceError(message)
        self._pieces.append(piece)
        self.at += len(piece)
        return self.at == self.size

    def table(self) -> Any:
        """Return what has come as a ``pyarrow.Table``, and give up the bytes; raises SourceError."""
        whole = b"".join(self._pieces)
        self._pieces = []
        try:
            table = table_of(whole, self.kind)
            hold(table.nbytes - self._holds)
        except BaseException:
            self.close()
            raise
        self._holds = table.nbytes
        return table

    def close(self) -> None:
        """Give up what is held; once is enough, and twice does no harm."""
        hold(-self._holds)
        self._holds, self._pieces = 0, []


def kind_of(name: str) -> str:
    """Return the kind of a table by the ending of its name; raises SourceError."""
    kind = name.lower().rsplit(".", 1)[-1] if "." in name else ""
    kind = {"tab": "tsv", "pq": "parquet", "txt": "csv"}.get(kind, kind)
    if kind not in KINDS:
        message = say(
            "a table here is a file that ends in {kinds}; convert it, or fit it with downslope fit",
            kinds=", ".join(KINDS),
        )
        raise SourceError(message)
    return kind


def table_of(whole: bytes, kind: str) -> Any:
    """Return bytes as a ``pyarrow.Table``; raises SourceError where they are none of that kind, or hold too much."""
    readers = {"parquet": _parquet, "xlsx": workbook_table}
    try:
        table = readers[kind](whole) if kind in readers else _text(whole, "\t" if kind == "tsv" else None)
    except SourceError:
        raise
    except (
        arrow().ArrowException, zipfile.BadZipFile, zlib.error, struct.error, ElementTree.ParseError, LookupError,
        ValueError, ArithmeticError, OSError, EOFError, RuntimeError, csv.Error,
    ) as error:  # fmt: skip
        why = str(error).strip().split("\n")[0].rstrip(".")[:200]
        message = say("the file does not read as {kind}: {reason}", kind=kind, reason=why or type(error).__name__)
        raise SourceError(message) from None
    check_size(table.num_rows, table.num_columns)
    check_names(table.column_names, say("the table"))
    return table


def check_size(rows: int, columns: int) -> None:
    """Raise SourceError for a table of no rows, or of more than a page may hold."""
    if not rows or not columns:
        message = say("the table has no rows; it needs a line of column names, and rows under it")
        raise SourceError(message)
    if rows > ROWS or columns > COLUMNS or rows * columns > CELLS:
        message = say(
            "the table has {rows} rows of {columns} columns, and up to {most_rows} rows, {most_columns} columns "
            "and {most_cells} cells are read here; fit it with downslope fit",
            rows=count(rows),
            columns=count(columns),
            most_rows=count(ROWS),
            most_columns=count(COLUMNS),
            most_cells=count(CELLS),
        )
        raise SourceError(message)


def _parquet(whole: bytes) -> Any:
    import pyarrow.parquet as parquet

    reader: Any = parquet
    file = reader.ParquetFile(arrow().BufferReader(whole))
    check_size(file.metadata.num_rows, file.metadata.num_columns)
    batches, size = list[Any](), 0
    for batch in file.iter_batches(BATCH_ROWS):  # a small file may hold few words, each many times over
        size += batch.nbytes
        if size > TABLE_BYTES:
            message = say(
                "the table unpacks to more than {most} MB; fit it with downslope fit", most=count(TABLE_BYTES >> 20)
            )
            raise SourceError(message)
        batches.append(batch)
    table = arrow().Table.from_batches(batches, file.schema_arrow)
    table.validate(full=True)
    return table.combine_chunks()


def _text(whole: bytes, between: str | None) -> Any:
    import pyarrow.csv as arrow_csv

    reader: Any = arrow_csv
    text = _decoded(whole).lstrip(b"\r\n")
    first = text.split(b"\n", 1)[0].split(b"\r", 1)[0].decode("utf-8", "replace")
    sign = between or max(BETWEEN, key=first.count)
    check_size(max(1, text.count(b"\n")), first.count(sign) + 1)
    cells = next(csv.reader([first], delimiter=sign), list[str]())
    unnamed = bool(cells) and all(map(_is_number, cells))
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    try:
        table = reader.read_csv(
            io.BytesIO(text),
            read_options=reader.ReadOptions(autogenerate_column_names=unnamed),
            parse_options=reader.ParseOptions(delimiter=sign, newlines_in_values=True, invalid_row_handler=refuse),
            convert_options=reader.ConvertOptions(strings_can_be_null=True),
        )
    except arrow().ArrowInvalid:
        if not wrong:
            raise
        raise SourceError(_ragged(wrong[0], text)) from None
    if unnamed:
        return table.rename_columns([f"column{index}" for index in range(table.num_columns)])
    return table.rename_columns([name.strip() or f"column{index}" for index, name in enumerate(table.column_names)])


def _ragged(row: Any, text: bytes) -> str:
    """Say which line has more cells, or fewer, than there are columns."""
    place = text.find(row.text.encode())
    where = say("line {line}", line=text.count(bytes([10]), 0, place) + 1) if place >= 0 else say("a line")
    return say(
        "{where} has {cells} cells and the first line {first}; give every line as many, and close every quote",
        where=where,
        cells=count(row.actual_columns),
        first=count(row.expected_columns),
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _decoded(whole: bytes) -> bytes:
    """Return text in UTF-8, whichever common encoding it came in."""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if whole.startswith(mark):
            return whole.decode(name, "replace").encode()
    first = whole[:LOOKED_AT]
    for place, name in ((1, "utf-16-le"), (0, "utf-16-be")):  # without a mark: every other byte of plain text is zero
        if len(first) > 1 and first[place::2].count(0) > len(first) / 4 > 4 * first[1 - place :: 2].count(0):
            return whole.decode(name, "replace").encode()
    try:
        whole.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return whole.decode("gb18030").encode()
        except UnicodeDecodeError:
            return whole.decode("cp1252", "replace").encode()
    return whole
