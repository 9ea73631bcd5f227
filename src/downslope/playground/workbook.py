"""The first sheet of an Excel workbook as a table, from its XML as it streams by (ECMA-376, part 1, section 18.3).

A workbook is a zip archive, and a small one may hold a huge sheet: nothing is unpacked whole and no tree is built, and
the bytes and the cells that have come by are counted.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from downslope.data.arrow import arrow
from downslope.data.table import check_names
from downslope.errors import SourceError
from downslope.records.figures import count
from downslope.words import say

PART_BYTES = 400 << 20
"""Most bytes of a part of a workbook once it is unpacked."""
PARTS = 10_000
"""Most parts of a workbook."""
SHEET_CELLS = 5_000_000
"""Most cells of a sheet, blank ones up to the last of a row included."""
READ_BYTES = 1 << 20
ENTRY = b"PK\x01\x02"
"""How every entry of an archive's directory begins (APPNOTE.TXT, 4.3.12)."""
SHEETS = re.compile(r"xl/worksheets/[^/]+\.xml")
DATES = range(14, 18), range(22, 23), range(27, 37), range(50, 59)
"""Numbers of the built-in formats that show a day (18.8.30; those from 27 on in Chinese, Japanese and Korean)."""
WORDED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
"""What in the code of a format is no letter of a date: quoted words, and colours or conditions in brackets."""
DAY_ZERO, DAY_ZERO_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)
MARCH_1900 = 60
"""Days up to the 29th of February 1900, which was none and which the format counts all the same (18.17.4.1)."""
LAST_DAY = 2_958_465
"""The last day of the year 9999."""


def workbook_table(whole: bytes) -> Any:
    """Return the first sheet of a workbook as a ``pyarrow.Table``, its first row the names of the columns.

    Raises SourceError where there is none, or more than is read here; what is no workbook at all raises what
    ``zipfile`` and ``ElementTree`` raise.
    """
    if not whole.startswith(b"PK"):
        message = say(
            "the file is no xlsx workbook; if it is locked or in an older format, save it again as xlsx or csv"
        )
        raise SourceError(message)
    if whole.count(ENTRY) > PARTS:
        raise _too_much()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        book = _Book(archive)
        sheet = _Sheet(book.words(), book.day_styles(), book.zero)
        _stream(archive, book.first_sheet(), sheet)
    return _as_table(sheet.rows)


def _too_much() -> SourceError:
    return SourceError(say("the workbook unpacks to more than is read here, or is not one that a spreadsheet writes"))


class _Part:
    """Takes the elements of a part as they come; the names are without their namespace."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = self._known.get(tag)
        if name is None:
            name = self._known[tag] = tag.rpartition("}")[2]
        self.begin(name, attributes)

    def end(self, tag: str) -> None:
        self.finish(self._known[tag])

    def data(self, text: str) -> None:
        """Take text between two tags."""

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""

    def finish(self, name: str) -> None:
        """Take the end of an element."""

    def doctype(self, *declared: object) -> None:
        """Refuse a document type, by which a few bytes can stand for many."""
        del declared
        raise _too_much()


def _stream(archive: zipfile.ZipFile, name: str, part: _Part) -> None:
    parser = ElementTree.XMLParser(target=part)
    count = 0
    with archive.open(name) as file:
        while piece := file.read(READ_BYTES):
            count += len(piece)
            if count > PART_BYTES:
                raise _too_much()
            parser.feed(piece)
    parser.close()


class _Elements(_Part):
    """Keeps the attributes of all elements of some names, each with the element that it stands in."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, dict[str, str]]] = []
        self._names, self._within = names, [""]

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name in self._names:
            self.found.append((self._within[-1], name, attributes))
        self._within.append(name)

    def finish(self, name: str) -> None:
        self._within.pop()


class _Book:
    """What the other parts of a workbook say of its sheets."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive, self._names = archive, frozenset(archive.namelist())
        self._workbook = self._elements("xl/workbook.xml", "sheet", "workbookPr")
        marked = any(each.get("date1904") in ("1", "true") for _, _, each in self._workbook)
        self.zero = DAY_ZERO_1904 if marked else DAY_ZERO

    def _elements(self, part: str, *names: str) -> list[tuple[str, str, dict[str, str]]]:
        elements = _Elements(*names)
        if part in self._names:
            _stream(self._archive, part, elements)
        return elements.found

    def first_sheet(self) -> str:
        """Return the part of the sheet whose tab comes first; raises SourceError where there is none."""
        places = {
            each.get("Id"): f"xl/{each.get('Target', '')}".replace("xl//", "")
            for _, _, each in self._elements("xl/_rels/workbook.xml.rels", "Relationship")
        }
        tabs = [
            places.get(next((value for key, value in each.items() if key.endswith("}id")), ""), "")
            for _, name, each in self._workbook
            if name == "sheet"
        ]
        others = sorted(filter(SHEETS.fullmatch, self._names), key=lambda each: (len(each), each))
        for each in (*tabs, *others):
            if each in self._names and SHEETS.fullmatch(each):
                return each
        message = say("the workbook has no sheet with cells; save the table on a sheet of its own")
        raise SourceError(message)

    def words(self) -> list[str]:
        """Return the strings that the cells share, in order."""
        words = _Words()
        if "xl/sharedStrings.xml" in self._names:
            _stream(self._archive, "xl/sharedStrings.xml", words)
        return words.found

    def day_styles(self) -> frozenset[str]:
        """Return the styles, as a cell names them, whose format shows a day."""
        found = self._elements("xl/styles.xml", "numFmt", "xf")
        codes = {each.get("numFmtId", ""): each.get("formatCode", "") for _, name, each in found if name == "numFmt"}
        days = {number for number, code in codes.items() if re.search("[yd]", WORDED.sub("", code), re.IGNORECASE)}
        days |= {str(number) for each in DATES for number in each if str(number) not in codes}
        styles = [each for within, name, each in found if name == "xf" and within == "cellXfs"]
        return frozenset(str(place) for place, each in enumerate(styles) if each.get("numFmtId") in days)


class _Words(_Part):
    """The strings that cells share; how a word is pronounced (``rPh``) is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._text, self._heard, self._spoken = list[str](), False, False

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            self._text = []
        elif name == "rPh":
            self._spoken = True
        self._heard = name == "t" and not self._spoken

    def data(self, text: str) -> None:
        if self._heard:
            self._text.append(text)

    def finish(self, name: str) -> None:
        if name == "si":
            self.found.append("".join(self._text))
        elif name == "rPh":
            self._spoken = False
        self._heard = False


class _Sheet(_Part):
    """The rows of a sheet that are not blank, each up to its last cell."""

    def __init__(self, words: list[str], days: frozenset[str], zero: datetime) -> None:
        super().__init__()
        self.rows: list[list[Any]] = []
        self._words, self._days, self._zero = words, days, zero
        self._row, self._text, self._heard = list[Any](), list[str](), False
        self._kind, self._style, self._count = "n", "", 0

    def begin(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self._row = []
        elif name == "c":
            self._fill_up_to(attributes.get("r", ""))
            self._kind, self._style = attributes.get("t", "n"), attributes.get("s", "")
            self._text = []
        self._heard = name == "v" or (name == "t" and self._kind == "inlineStr")

    def data(self, text: str) -> None:
        if self._heard:
            self._text.append(text)

    def finish(self, name: str) -> None:
        self._heard = False
        if name == "c":
            self._row.append(self._value("".join(self._text)))
        elif name == "row" and any(each is not None for each in self._row):
            self.rows.append(self._row)

    def _fill_up_to(self, reference: str) -> None:
        """Put blank cells before one such as BC12; without a reference it is the next one."""
        letters, place = re.match(r"[A-Z]{1,3}", reference), 0
        for letter in letters[0] if letters else "":
            place = 26 * place + ord(letter) - ord("A") + 1
        before = max(place - 1 - len(self._row), 0)
        self._count += before + 1
        if self._count > SHEET_CELLS:
            message = say("the sheet has more than {most} cells; save it as csv or parquet", most=count(SHEET_CELLS))
            raise SourceError(message)
        self._row += [None] * before

    def _value(self, text: str) -> Any:
        if self._kind == "inlineStr":
            return text
        if not text or self._kind == "e":
            return None
        if self._kind == "s":
            return self._words[int(text)]
        if self._kind == "b":
            return text == "1"
        if self._kind in ("str", "d"):
            return text
        return self._day(float(text)) if self._style in self._days else float(text)

    def _day(self, days: float) -> Any:
        """Return a count of days as a time, to the second; as it is where it counts none of the calendar's."""
        if not 0 <= days <= LAST_DAY:
            return days
        early = self._zero is DAY_ZERO and days < MARCH_1900
        return self._zero + timedelta(days=int(days) + early, seconds=round(days % 1 * 86_400))


def _as_table(rows: list[list[Any]]) -> Any:
    """Return rows as a table, the first one its names; raises SourceError for more cells than are read here."""
    width = max(map(len, rows), default=0)
    if len(rows) * width > SHEET_CELLS:
        message = say("the sheet has more than {most} cells; save it as csv or parquet", most=count(SHEET_CELLS))
        raise SourceError(message)
    names = [_heading(cell, index) for index, cell in enumerate([*(rows or [[]])[0], *[None] * width][:width])]
    check_names(names, say("the sheet"))
    columns = [_values([row[place] if place < len(row) else None for row in rows[1:]]) for place in range(width)]
    return arrow().table(dict(zip(names, columns, strict=True)))


def _heading(cell: Any, index: int) -> str:
    return (_as_text(cell) or "").strip() or f"column{index}"


def _values(cells: list[Any]) -> Any:
    """Return a column of one type: of its own where all cells agree, else of text."""
    kinds: set[type] = {type(each) for each in cells if each is not None}
    if kinds == {datetime}:
        whole = all(each is None or each.time() == datetime.min.time() for each in cells)
        return arrow().array(cells, arrow().timestamp("s")).cast(arrow().date32() if whole else arrow().timestamp("s"))
    if len(kinds) <= 1:
        return arrow().array(cells)
    return arrow().array([_as_text(each) for each in cells])


_TEXTS: dict[type, Callable[[Any], str]] = {
    float: "{:.15g}".format, bool: lambda cell: "true" if cell else "false",
    datetime: lambda cell: cell.isoformat(" ").removesuffix(" 00:00:00"),
}  # fmt: skip


def _as_text(cell: Any) -> str | None:
    return None if cell is None else _TEXTS.get(cell.__class__, str)(cell)
