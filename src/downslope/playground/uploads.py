"""A table's bytes as a page sends them: gathered piece by piece, and read without a file, a path or a query.

The kind is told by the ending of the name, which serves for nothing else. CSV and TSV are read by PyArrow, Parquet too;
of an Excel workbook the first sheet is read, from its XML (ECMA-376, part 1, section 18.3).
"""

from __future__ import annotations

import io
import re
import threading
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from downslope.data.arrow import arrow
from downslope.errors import SourceError
from downslope.playground.limits import CELLS, PIECE_BYTES, ROWS, UPLOAD_BYTES, UPLOADS_BYTES

KINDS = ("csv", "tsv", "xlsx", "parquet")
SHEET_BYTES = 400 << 20
"""Most bytes of a sheet once it is unpacked: a small archive may hold a huge one."""
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
BETWEEN = (",", ";", "\t", "|")
"""What may stand between the cells of a CSV."""
_held = {"bytes": 0}
_lock = threading.Lock()


class Upload:
    """The pieces of one table, in order."""

    def __init__(self, name: str, size: int) -> None:
        """Take the name and the whole size; raises SourceError for a kind that is not read, or for too many bytes."""
        self.kind = kind_of(name)
        if not 0 < size <= UPLOAD_BYTES:
            message = f"a table may have up to {UPLOAD_BYTES >> 20} MB here; fit a larger one with downslope fit"
            raise SourceError(message)
        with _lock:
            if _held["bytes"] + size > UPLOADS_BYTES:
                message = "other pages hold too many tables at the moment; close one, or try again later"
                raise SourceError(message)
            _held["bytes"] += size
        self.size, self._pieces, self.at, self._open = size, list[bytes](), 0, True

    def add(self, at: int, piece: bytes) -> bool:
        """Add a piece; say whether it was the last. Raises SourceError for one out of order."""
        if at != self.at or len(piece) > PIECE_BYTES or self.at + len(piece) > self.size:
            message = f"a piece of the table is out of order or too long: {self.at:,} of {self.size:,} bytes have come"
            raise SourceError(message)
        self._pieces.append(piece)
        self.at += len(piece)
        return self.at == self.size

    def table(self) -> Any:
        """Return what has come as a ``pyarrow.Table``, and give up the bytes; raises SourceError."""
        whole = b"".join(self._pieces)
        self.close()
        return table_of(whole, self.kind)

    def close(self) -> None:
        """Give up the bytes; once is enough, and twice does no harm."""
        with _lock:
            if self._open:
                _held["bytes"] -= self.size
                self._open = False
        self._pieces = []


def kind_of(name: str) -> str:
    """Return the kind of a table by the ending of its name; raises SourceError."""
    kind = name.lower().rsplit(".", 1)[-1] if "." in name else ""
    kind = {"tab": "tsv", "pq": "parquet", "txt": "csv"}.get(kind, kind)
    if kind not in KINDS:
        message = f"a table here is a file that ends in {', '.join(KINDS)}; convert it, or fit it with downslope fit"
        raise SourceError(message)
    return kind


def table_of(whole: bytes, kind: str) -> Any:
    """Return bytes as a ``pyarrow.Table``; raises SourceError where they are none of that kind, or hold too much."""
    pyarrow = arrow()
    readers = {"parquet": _parquet, "xlsx": _workbook}
    try:
        table = readers[kind](whole) if kind in readers else _text(whole, "\t" if kind == "tsv" else None)
    except (pyarrow.ArrowException, zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError, OSError) as error:
        if isinstance(error, SourceError):
            raise
        why = str(error).strip().split("\n")[0].rstrip(".")[:200]
        message = f"the file does not read as {kind}: {why}"
        raise SourceError(message) from None
    check_size(table.num_rows, table.num_columns)
    return table


def check_size(rows: int, columns: int) -> None:
    """Raise SourceError for a table of no rows, or of more than a page may hold."""
    if not rows or not columns:
        message = "the table has no rows; it needs a line of column names, and rows under it"
        raise SourceError(message)
    if rows > ROWS or rows * columns > CELLS:
        message = (
            f"the table has {rows:,} rows of {columns:,} columns, and up to {ROWS:,} rows and {CELLS:,} cells are read "
            "here; fit it with downslope fit"
        )
        raise SourceError(message)


def _parquet(whole: bytes) -> Any:
    import pyarrow.parquet as parquet

    reader: Any = parquet
    file = reader.ParquetFile(arrow().BufferReader(whole))
    check_size(file.metadata.num_rows, file.metadata.num_columns)
    return file.read()


def _text(whole: bytes, between: str | None) -> Any:
    import pyarrow.csv as csv

    reader: Any = csv
    text = _decoded(whole)
    first = text.lstrip(b"\r\n").split(b"\n", 1)[0].decode("utf-8", "replace")
    sign = between or max(BETWEEN, key=first.count)
    check_size(max(1, text.count(b"\n")), first.count(sign) + 1)
    return reader.read_csv(
        io.BytesIO(text), parse_options=reader.ParseOptions(delimiter=sign, newlines_in_values=True),
        convert_options=reader.ConvertOptions(strings_can_be_null=True),
    )  # fmt: skip


def _decoded(whole: bytes) -> bytes:
    """Return text in UTF-8, whichever common encoding it came in."""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if whole.startswith(mark):
            return whole.decode(name, "replace").encode()
    try:
        whole.decode("utf-8")
    except UnicodeDecodeError:
        try:
            return whole.decode("gb18030").encode()
        except UnicodeDecodeError:
            return whole.decode("cp1252", "replace").encode()
    return whole


def _workbook(whole: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        names = archive.namelist()
        sheets = sorted((each for each in names if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", each)), key=_number)
        if not sheets:
            message = "the workbook has no sheet"
            raise SourceError(message)
        shared = "xl/sharedStrings.xml"
        words = _words(_part(archive, shared)) if shared in names else []
        rows = list(_rows(_part(archive, sheets[0]), words))
    if not rows:
        check_size(0, 0)
    width = max(map(len, rows))
    check_size(len(rows), width)
    columns = list(zip(*(each + [None] * (width - len(each)) for each in rows), strict=True))
    return arrow().table({_heading(each[0], index): _values(each[1:]) for index, each in enumerate(columns)})


def _number(name: str) -> int:
    return int(re.sub(r"\D", "", name))


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        part = file.read(SHEET_BYTES + 1)
    if len(part) > SHEET_BYTES or b"<!DOCTYPE" in part[:4096]:
        message = "the workbook unpacks to more than is read here, or is not one that a spreadsheet writes"
        raise SourceError(message)
    return part


def _words(part: bytes) -> list[str]:
    """Return the shared strings of a workbook, in order."""
    return ["".join(text.text or "" for text in each.iter(f"{SHEET}t")) for each in ElementTree.fromstring(part)]


def _rows(part: bytes, words: list[str]) -> Iterator[list[Any]]:
    for row in ElementTree.fromstring(part).iter(f"{SHEET}row"):
        cells: list[Any] = []
        for cell in row.iter(f"{SHEET}c"):
            place = _column(cell.get("r", ""), len(cells))
            cells += [None] * (place - len(cells))
            cells.append(_value(cell, words))
        if any(each is not None for each in cells):
            yield cells


def _column(reference: str, after: int) -> int:
    """Return the column of a cell such as BC12, counted from 0; without a reference the next one."""
    letters = re.match(r"[A-Z]{1,3}", reference)
    place = 0
    for letter in letters[0] if letters else "":
        place = 26 * place + ord(letter) - ord("A") + 1
    return max(place - 1, after) if letters else after


def _value(cell: ElementTree.Element, words: list[str]) -> Any:
    kind, told = cell.get("t", "n"), cell.find(f"{SHEET}v")
    if kind == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(f"{SHEET}t"))
    if told is None or told.text is None or kind == "e":
        return None
    if kind == "s":
        return words[int(told.text)]
    if kind == "b":
        return told.text == "1"
    return told.text if kind in ("str", "d") else float(told.text)


def _heading(cell: Any, index: int) -> str:
    return str(cell) if cell is not None else f"column {index + 1}"


def _values(cells: tuple[Any, ...]) -> Any:
    """Return a column of one type: of its own where all cells agree, else of text."""
    kinds: set[type] = {type(each) for each in cells if each is not None}
    if len(kinds) <= 1:
        return arrow().array(list(cells))
    return arrow().array([_as_text(each) for each in cells])


def _as_text(cell: Any) -> str | None:
    if cell is None:
        return None
    return f"{cell:.15g}" if isinstance(cell, float) else str(cell)
