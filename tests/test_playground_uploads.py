"""Tables as bytes: every kind that is read, and tables made to do harm, each of which is one sentence."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest

from downslope.data.sources import read
from downslope.errors import SourceError
from downslope.playground import uploads, workbook
from downslope.playground.rooms.table_shown import as_csv, shown
from downslope.playground.uploads import Upload, table_of

SPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'


def sample(rows: int = 20) -> pa.Table:
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    kind = np.where(rng.random(rows) > 0.5, "hot", "cold")
    return pa.table({"x": x, "kind": kind, "y": 3 * x + (kind == "hot") + 0.1 * rng.normal(size=rows)})


def as_text(table: pa.Table) -> bytes:
    packed = io.BytesIO()
    csv.write_csv(table, packed)
    return packed.getvalue()


def as_parquet(table: pa.Table) -> bytes:
    packed = io.BytesIO()
    parquet.write_table(table, packed)
    return packed.getvalue()


def sheet_of(cells: str) -> str:
    return f"<worksheet {SPACE}><sheetData>{cells}</sheetData></worksheet>"


def packed(parts: dict[str, str]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return whole.getvalue()


def as_workbook(cells: str, shared: str = "", **more: str) -> bytes:
    """Return a workbook of one sheet, as small as ECMA-376 allows."""
    return packed(
        {"xl/worksheets/sheet1.xml": sheet_of(cells), "xl/sharedStrings.xml": f"<sst {SPACE}>{shared}</sst>"}
        | {f"xl/{name}.xml": part for name, part in more.items()}
    )


@pytest.mark.parametrize(
    ("whole", "kind"),
    [
        (as_text(sample()), "csv"), (as_text(sample()).replace(b",", b"\t"), "tsv"),
        (as_text(sample()).replace(b",", b"\t"), "csv"), (as_text(sample()).replace(b",", b";"), "csv"),
        (as_text(sample()).replace(b"\n", b"\r\n"), "csv"), (b"\n\n" + as_text(sample()) + b"\n", "csv"),
        (as_parquet(sample()), "parquet"), (as_text(sample()).decode().encode("utf-16"), "csv"),
        (as_text(sample()).decode().encode("utf-16-le"), "csv"),
        (as_text(sample()).decode().encode("utf-16-be"), "csv"),
        (as_text(sample()).decode().encode("utf-8-sig"), "csv"),
    ],
)  # fmt: skip
def test_a_table_is_read_from_its_bytes(whole: bytes, kind: str) -> None:
    table = table_of(whole, kind)
    assert table.column_names == ["x", "kind", "y"]
    np.testing.assert_allclose(table["y"].to_numpy(), sample()["y"].to_numpy())
    assert table["kind"].to_pylist() == sample()["kind"].to_pylist()


def test_text_in_chinese_encodings_is_read() -> None:
    table = table_of("重量,油耗\n3.5,18\n".encode("gb18030"), "csv")
    assert table.to_pydict() == {"重量": [3.5], "油耗": [18]}


@pytest.mark.parametrize("text", ["1,2,3\n4,5,6\n", "a,,b\n1,2,3\n", "1.5,2\n2.5,3\n", "day,on\n2024-01-02,true\n"])
def test_names_and_types_are_those_of_the_command_line(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)
    ours, theirs = table_of(text.encode(), "csv"), read(tmp_path / "a.csv").arrow
    assert ours.to_pydict() == theirs.to_pydict()


def test_the_first_sheet_of_a_workbook_is_read() -> None:
    cells = (
        '<row><c r="A1" t="s"><v>0</v></c><c r="B1" t="inlineStr"><is><t>y</t></is></c>'
        '<c r="D1" t="str"><v>z</v></c></row>'
        '<row><c r="A2"><v>1.5</v></c><c r="B2" t="s"><v>1</v></c><c r="D2" t="b"><v>1</v></c></row>'
        '<row/><row><c r="A4"><v>2</v></c><c r="B4" t="e"><v>#N/A</v></c><c r="D4" t="b"><v>0</v></c></row>'
    )
    spoken = "<si><r><t>r</t></r><r><t>ed</t></r><rPh><t>spoken</t></rPh></si>"
    table = table_of(as_workbook(cells, f"<si><t>x</t></si>{spoken}"), "xlsx")
    assert table.to_pydict() == {"x": [1.5, 2.0], "y": ["red", None], "column2": [None, None], "z": [True, False]}


def test_the_sheet_is_that_of_the_first_tab_and_days_are_days() -> None:
    texts = '<row>{}</row><row><c s="1"><v>45292</v></c><c s="2"><v>45292.75</v></c><c s="3"><v>1</v></c></row>'
    heads = "".join(f'<c t="str"><v>{name}</v></c>' for name in ("day", "time", "cost"))
    styles = (
        '<numFmts><numFmt numFmtId="170" formatCode="yyyy/mm/dd hh:mm"/><numFmt numFmtId="171" formatCode='
        '"[Red]&quot;paid&quot; 0.00"/></numFmts><cellStyleXfs><xf numFmtId="0"/></cellStyleXfs><cellXfs>'
        '<xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="170"/><xf numFmtId="171"/></cellXfs>'
    )
    rels = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    whole = packed({
        "xl/worksheets/sheet1.xml": sheet_of("<row><c><v>7</v></c></row>"),
        "xl/worksheets/sheet2.xml": sheet_of(texts.format(heads)),
        "xl/styles.xml": f"<styleSheet {SPACE}>{styles}</styleSheet>",
        "xl/workbook.xml": f'<workbook {SPACE} xmlns:r="{rels}"><sheets><sheet name="b" r:id="rId2"/>'
        '<sheet name="a" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": "<Relationships>"
        '<Relationship Id="rId1" Target="worksheets/sheet1.xml"/>'
        '<Relationship Id="rId2" Target="/xl/worksheets/sheet2.xml"/></Relationships>',
    })  # fmt: skip
    assert table_of(whole, "xlsx").to_pydict() == {
        "day": [dt.date(2024, 1, 1)], "time": [dt.datetime(2024, 1, 1, 18)], "cost": [1.0],
    }  # fmt: skip


BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"


@pytest.mark.parametrize(
    ("whole", "kind", "words"),
    [
        (b"\n", "csv", "csv"), (b"a,b\n", "csv", "no rows"), (b"a,b\n1,2\n3\n", "csv", "line 3 has 1 cells and"),
        (b'a,b\n1,2\n"3,4\n5,6\n', "csv", "close every quote"),
        (b"a,b,a\n1,2,3\n", "csv", 'more than one column named "a"'),
        (b",".join(b"c%d" % i for i in range(100_000)) + b"\n", "csv", "100,000 columns"),
        (b"\x00\x01\x02\x03" * 50, "csv", "no rows|read as csv"), (b"PAR1", "parquet", "read as parquet"),
        (b"PAR1" + bytes(99) + b"PAR1", "parquet", "read as parquet"), (b"PK", "xlsx", "read as xlsx"),
        (b"\xd0\xcf\x11\xe0 an older format", "xlsx", "save it again as xlsx or csv"),
        (as_workbook("<row>"), "xlsx", "read as xlsx"), (as_workbook(""), "xlsx", "no rows"),
        (as_workbook('<row><c t="s"><v>9</v></c></row>'), "xlsx", "read as xlsx"),
        (as_workbook("<row><c><v>x</v></c></row>"), "xlsx", "read as xlsx"),
        (as_workbook('<row><c t="str"><v>a</v></c><c t="str"><v>a</v></c></row>'), "xlsx", "more than one column"),
        (packed({"xl/worksheets/sheet1.xml": BOMB + sheet_of("<row><c><v>&b;</v></c></row>")}), "xlsx", "unpacks"),
        (packed({"xl/a.xml": "<a/>"}), "xlsx", "no sheet"),
        (as_workbook("<row><c r='XFD1'><v>1</v></c></row>" * 700), "xlsx", "more than 5,000,000 cells"),
        (as_workbook("<row><c r='XFD1'><v>1</v></c></row>" + "<row><c><v>1</v></c></row>" * 700), "xlsx", "5,000,000"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_one_sentence(whole: bytes, kind: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as raised:
        table_of(whole, kind)
    assert re.fullmatch(r"[^\n]{10,300}", str(raised.value))


def test_small_archives_that_unpack_to_much_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "PART_BYTES", 100_000)
    whole = as_workbook("<row><c><v>1</v></c></row>" * 10_000)
    assert len(whole) < 10_000
    with pytest.raises(SourceError, match="unpacks to more"):
        table_of(whole, "xlsx")
    monkeypatch.setattr(workbook, "PARTS", 3)
    with pytest.raises(SourceError, match="unpacks to more"):
        table_of(packed({f"xl/{place}": "" for place in range(9)}), "xlsx")
    monkeypatch.setattr(uploads, "TABLE_BYTES", 1 << 20)
    long = pa.table({"a": pa.array(["word" * 1000] * 5000).dictionary_encode().cast(pa.string())})
    assert len(as_parquet(long)) < 20_000
    with pytest.raises(SourceError, match="unpacks to more than 1 MB"):
        table_of(as_parquet(long), "parquet")


def test_words_that_are_no_text_are_refused() -> None:
    wrong = pa.array([b"\xff\xfe"]).view(pa.string())
    with pytest.raises(SourceError, match="read as parquet"):
        table_of(as_parquet(pa.table({"a": wrong})), "parquet")


def test_limits_of_rows_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "ROWS", 10)
    for kind, whole in (("csv", as_text(sample())), ("parquet", as_parquet(sample()))):
        with pytest.raises(SourceError, match=r"2[01] rows"):
            table_of(whole, kind)
    with pytest.raises(SourceError, match="200 MB"):
        Upload("a.csv", 201 << 20)
    with pytest.raises(SourceError, match="is empty"):
        Upload("a.csv", 0)
    for name in ("../../etc/passwd", "notes.docx", "csv"):
        with pytest.raises(SourceError, match="ends in"):
            Upload(name, 10)


def test_tables_of_all_pages_together_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = as_text(sample(2000))
    monkeypatch.setattr(uploads, "UPLOADS_BYTES", 2 * len(whole))
    held = [Upload("a.csv", len(whole)) for _ in range(2)]
    with pytest.raises(SourceError, match="other pages"):
        Upload("a.csv", 1)
    held[0].add(0, whole)
    size = held[0].table().nbytes
    assert size < len(whole)  # what counts from here on is the table
    Upload("a.csv", len(whole) - size).close()
    for each in held:
        each.close()
        each.close()
    Upload("a.csv", 2 * len(whole)).close()


def test_a_page_is_shown_the_first_rows_and_every_name() -> None:
    told = shown(pa.table({f"c{place}": [place] * 30 for place in range(60)}), "wide.csv")
    assert told is not None
    assert (told["rows"], len(told["columns"]), len(told["first"]), len(told["first"][0])) == (30, 60, 20, 40)
    assert told["columns"][59] == {"name": "c59", "type": "int64", "kind": "number"}


ODD: dict[str, Callable[[], pa.Array]] = {
    "nested": lambda: pa.array([[1, 2], None]), "days": lambda: pa.array([-(10**9), 0], pa.date32()),
    "moments": lambda: pa.array([10**18, 0], pa.timestamp("s")), "parts": lambda: pa.array([1, 2], pa.timestamp("ns")),
    "codes": lambda: pa.array(["a", None]).dictionary_encode(), "views": lambda: pa.array(["a", "b"], pa.string_view()),
    "large": lambda: pa.array([2**63 - 1, None]), "long": lambda: pa.array(["x" * 5000, "\x00"]),
    "nothing": lambda: pa.nulls(2), "bytes": lambda: pa.array([b"\xff", b"a"]),
    "spans": lambda: pa.array([1, 2], pa.duration("s")),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_every_type_is_shown_and_written(name: str) -> None:
    table = pa.table({"odd": ODD[name](), "x": [1.5, None]})
    told = shown(table, "odd.parquet")
    assert told is not None
    assert [row[1] for row in told["first"]] == [1.5, None]
    assert all(cell is None or len(str(cell)) <= 100 for cell, _ in told["first"])
    assert table_of(as_csv(table), "csv")["x"].to_pylist() == [1.5, None]
