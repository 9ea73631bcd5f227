from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.data.features import prepare
from downslope.data.sources import read
from downslope.errors import ColumnError, InputError, OptionError, SourceError
from downslope.records.spec import Spec

ROWS = [{"a": 1, "b": 2.5, "c": "x"}, {"a": 2, "b": -1.0, "c": "y"}, {"a": 3, "b": 0.0, "c": "z"}]
TABLE = pa.Table.from_pylist(ROWS)
CSV = "a,b,c\n1,2.5,x\n2,-1.0,y\n3,0.0,z\n"
PRINTABLE = st.characters(exclude_categories=["Cs", "Cc"])
ODD_NAMES = ['he said "hi"', "two words", "名字", "line\nbreak", "a", "A", "select", "it's", "x.y", "%s"]


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return bool(text) and "\n" not in text and "Traceback" not in text and len(text) < 400


def refused(kind: type[InputError], *words: str, **call: object) -> str:
    with pytest.raises(kind) as caught:
        read(call.pop("source", None), **call)  # type: ignore[arg-type]
    assert one_sentence(caught.value), str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    return str(caught.value)


def zstd(path: Path, content: bytes) -> None:
    with pa.output_stream(str(path), compression="zstd") as stream:
        stream.write(content)


def stored(path: Path) -> bytes:
    """Return the three rows in the format that the name of a file promises, uncompressed."""
    name = path.name
    if ".csv" in name or ".txt" in name:
        return CSV.encode()
    if ".tsv" in name:
        return CSV.replace(",", "\t").encode()
    if ".ndjson" in name or ".jsonl" in name:
        return "\n".join(json.dumps(row) for row in ROWS).encode()
    if ".json" in name:
        return json.dumps(ROWS).encode()
    sink = pa.BufferOutputStream()
    if ".parquet" in name:
        parquet.write_table(TABLE, sink)
    elif ".feather" in name:
        feather.write_feather(TABLE, sink)
    else:
        maker = pa.ipc.new_stream if ".ipc" in name else pa.ipc.new_file
        with maker(sink, TABLE.schema) as writer:
            writer.write_table(TABLE)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize("form", ["csv", "tsv", "txt", "json", "ndjson", "jsonl", "parquet", "arrow", "feather", "ipc"])
def test_every_format_gives_the_same_rows(tmp_path: Path, form: str, packing: str) -> None:
    path = tmp_path / f"t.{form}{packing}"
    content = stored(path)
    if packing == ".gz":
        path.write_bytes(gzip.compress(content))
    elif packing == ".zst":
        zstd(path, content)
    else:
        path.write_bytes(content)
    table = read(path)
    assert table.rows == 3
    assert table.arrow.select(["a", "b", "c"]).to_pylist() == ROWS


def objects() -> dict[str, Callable[[], object]]:
    frame = pd.DataFrame(ROWS)
    structured = np.array([tuple(row.values()) for row in ROWS], dtype=[("a", ">i4"), ("b", "f8"), ("c", "U1")])
    values = "(values (1, 2.5::double, 'x'), (2, -1, 'y'), (3, 0, 'z'))"
    return {
        "pandas": lambda: frame.set_index(pd.Index([7, 8, 9])),
        "polars": lambda: pl.DataFrame(ROWS),
        "polars lazy": lambda: pl.LazyFrame(ROWS),
        "arrow": lambda: TABLE,
        "arrow batch": lambda: TABLE.to_batches()[0],
        "arrow reader": TABLE.to_reader,
        "duckdb": lambda: duckdb.sql(f"select * from {values} t(a, b, c)"),
        "dict": lambda: {name: [row[name] for row in ROWS] for name in "abc"},
        "dict of arrays": lambda: {"a": np.arange(1, 4), "b": frame["b"], "c": pl.Series(["x", "y", "z"])},
        "rows": lambda: ROWS,
        "structured": lambda: structured,
    }


@pytest.mark.parametrize("name", objects())
@pytest.mark.parametrize("where", [None, '"a" >= 2'])
def test_every_object_gives_the_same_rows(name: str, where: str | None) -> None:
    table = read(objects()[name](), where=where, drop=["b"])
    wanted = [{"a": row["a"], "c": row["c"]} for row in ROWS if where is None or row["a"] >= 2]
    assert table.arrow.to_pylist() == wanted
    assert table.names == ("a", "c")


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1", ">f8", "?", "longdouble"])
def test_arrays_keep_their_values_whatever_their_layout(dtype: str) -> None:
    values = (np.arange(12).reshape(3, 4) % 2 if dtype == "?" else np.arange(12).reshape(3, 4)).astype(dtype)
    for array in (values, np.asfortranarray(values), values[::-1][::-1]):
        table = read(array)
        assert table.names == ("x0", "x1", "x2", "x3")
        got = np.column_stack([column.to_numpy() for column in table.arrow.columns])
        np.testing.assert_array_equal(got, values)


def test_a_sparse_matrix_is_written_out_and_a_huge_one_refused() -> None:
    matrix = scipy.sparse.random_array((20, 5), density=0.3, rng=np.random.default_rng(0), format="csr")
    got = np.column_stack([column.to_numpy() for column in read(matrix).arrow.columns])
    np.testing.assert_array_equal(got, matrix.toarray())
    refused(SourceError, "sparse", "fewer rows", source=scipy.sparse.csr_array((10**6, 10**4)))


@settings(max_examples=25)
@given(st.lists(st.text(PRINTABLE, min_size=1, max_size=8), min_size=1, unique=True))
def test_any_names_survive_an_object_with_a_condition(names: list[str]) -> None:
    columns = {name: [index, index + 1] for index, name in enumerate(names)}
    table = read(columns, where="1 = 1")
    assert table.arrow.to_pydict() == columns


def test_odd_names_survive_a_file_a_condition_and_a_drop(tmp_path: Path) -> None:
    path = tmp_path / "it's [odd] 表.parquet"
    parquet.write_table(pa.table({name: [index, 10 + index] for index, name in enumerate(ODD_NAMES)}), path)
    table = read(path, where='"he said ""hi""" = 10', drop=["two words"])
    assert table.names == tuple(name for name in ODD_NAMES if name != "two words")
    assert table.arrow.to_pylist() == [{n: 10 + i for i, n in enumerate(ODD_NAMES) if n != "two words"}]


def test_odd_names_of_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text('"say ""hi""","two words",名字,"line\nbreak"\n1,2,3,4\n5,6,7,8\n', encoding="utf-8")
    assert read(path).names == ('say "hi"', "two words", "名字", "line\nbreak")


def test_folders_and_globs_are_read_in_order_and_by_name(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "b.csv").write_text("y,x\n20,2\n", encoding="utf-8")
    (tmp_path / "a.csv").write_text("x,y\n1,10\n", encoding="utf-8")
    (tmp_path / "deep" / "c.csv").write_text("x,y,z\n3,30,5\n", encoding="utf-8")
    (tmp_path / ".hidden.csv").write_text("q\n1\n", encoding="utf-8")
    (tmp_path / "_SUCCESS").write_text("", encoding="utf-8")
    whole = read(tmp_path).arrow.to_pydict()
    assert whole == {"x": [1, 2, 3], "y": [10, 20, 30], "z": [None, None, 5]}
    assert read(str(tmp_path / "*.csv")).arrow.column("x").to_pylist() == [1, 2]


@pytest.mark.parametrize("form", ["parquet", "arrow", "ndjson"])
def test_globs_of_other_formats(tmp_path: Path, form: str) -> None:
    for name in ("p", "q"):
        path = tmp_path / f"{name}.{form}"
        path.write_bytes(stored(path))
    assert read(str(tmp_path / f"*.{form}")).arrow.column("a").to_pylist() == [1, 2, 3, 1, 2, 3]


def test_a_query_is_read_and_local_variables_are_not() -> None:
    assert read(None, sql="select 1 as a union all select 2", where="a > 1").arrow.to_pydict() == {"a": [2]}
    local_frame = pd.DataFrame(ROWS)
    assert len(local_frame) == 3
    refused(SourceError, "query", "local_frame", sql="select * from local_frame")


def test_types_that_change_after_the_first_rows_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("a,b\n" + "1,2\n" * 30_000 + "x,2.5\n", encoding="utf-8")
    table = read(path)
    assert table.arrow.slice(30_000).to_pylist() == [{"a": "x", "b": 2.5}]


def test_quotes_first_seen_late_and_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("a,b\n" + "1,2\n" * 30_000 + '"x, y",3\n', encoding="utf-8")
    assert read(path).arrow.slice(30_000).to_pylist() == [{"a": "x, y", "b": 3}]


def broken(folder: Path) -> dict[str, tuple[bytes, str]]:
    """Return name -> (content, what the message must say)."""
    noise = np.random.default_rng(0).integers(0, 256, 40_000, dtype=np.uint8).tobytes()
    packed = gzip.compress(b"a,b\n" + b"".join(b"%d,%d\n" % (i * 7919 % 1009, i) for i in range(20_000)))
    whole = stored(folder / "t.parquet")
    return {
        "empty.csv": (b"", "is empty"),
        "blank.csv": (b"\n \n", "is empty"),
        "header.csv": (b"a,b,c\n", "no rows"),
        "empty.csv.gz": (gzip.compress(b""), ""),
        "half.csv.gz": (packed[: len(packed) // 2], "truncated"),
        "plain.csv.gz": (b"a,b\n1,2\n", "not compressed"),
        "half.parquet": (whole[: len(whole) // 2], "not a whole Parquet file"),
        "text.parquet": (b"a,b\n1,2\n", "not a whole Parquet file"),
        "half.parquet.gz": (gzip.compress(whole)[:200], "not a whole Parquet file"),
        "half.arrow": (stored(folder / "t.arrow")[:300], "not a whole Arrow file"),
        "text.feather": (b"a,b\n1,2\n", "not a whole Arrow file"),
        "half.json": (b'[{"a": 1}, {"a"', "JSON"),
        "none.json": (b"[]", "no rows"),
        "latin.csv": ("a,b\ncafé,1\nolé,2\n".encode("latin-1"), "UTF-8"),
        "chinese.csv": ("名,b\n中文,1\n世界,2\n".encode("gbk"), "UTF-8"),
        "noise.csv": (noise, ""),
        "noise.bin": (noise[:3000] + b"\0" * 100, ""),
        "book.xlsx": (b"PK\x03\x04" + noise, "no format that can be read"),
    }


@pytest.mark.parametrize("name", broken(Path()))
def test_a_broken_file_gets_one_sentence_that_names_it(tmp_path: Path, name: str) -> None:
    content, words = broken(tmp_path)[name]
    path = tmp_path / name
    path.write_bytes(content)
    refused(SourceError, name, words, source=str(path))


def test_a_missing_file_is_named_with_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text(CSV, encoding="utf-8")
    refused(SourceError, "no such file", 'nearest: "flights.csv"', source=str(tmp_path / "fligths.csv"))
    refused(SourceError, "no folder", source=str(tmp_path / "nowhere" / "flights.csv"))
    refused(SourceError, "no file matches", source=str(tmp_path / "*.parquet"))
    (tmp_path / "bare").mkdir()
    refused(SourceError, "holds no table", source=tmp_path / "bare")
    (tmp_path / "t.json").write_bytes(stored(tmp_path / "t.json"))
    refused(SourceError, "different formats", "CSV, JSON", source=tmp_path)
    refused(SourceError, "network", source="https://example.com/t.csv")
    refused(SourceError, "network", source="s3://bucket/t.parquet")
    refused(SourceError, "nothing to read")
    refused(SourceError, "nothing to read", source="")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("selec 1", "syntax error"),
        ("select a", '"a"'),
        ("select * from nowhere", "nowhere"),
        ("select 1; select 2", "one query"),
        ("", "one query"),
        ("create table t (a int)", "one query"),
        ("copy (select 1) to 'out.csv'", "one query"),
        ("select cast('x' as int) as a", "Could not convert"),
        ("select 1 as a where false", "no rows"),
        ("select * from 'https://example.com/t.csv'", "httpfs"),
    ],
)
def test_a_bad_query_gets_one_sentence(sql: str, words: str) -> None:
    refused(SourceError, words, sql=sql)


def test_a_query_and_a_source_exclude_each_other() -> None:
    refused(OptionError, "exclude each other", source="t.csv", sql="select 1")


@pytest.mark.parametrize("where", ["zz > 1", "a >", "a > 100", "c = 5 and", "error('x')", "c::int = 1"])
@pytest.mark.parametrize("form", ["csv", "parquet", "object", "arrow"])
def test_a_bad_condition_gets_one_sentence(tmp_path: Path, where: str, form: str) -> None:
    path = tmp_path / f"t.{form}"
    if form != "object":
        path.write_bytes(stored(path))
    refused(SourceError, "--where", source=TABLE if form == "object" else path, where=where)


def test_a_column_to_drop_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("price,weight\n1,2\n3,4\n", encoding="utf-8")
    refused(ColumnError, '"prise"', 'nearest: "price"', source=path, drop=["prise"])
    refused(ColumnError, '"prise"', source={"price": [1]}, drop=["prise"])
    refused(ColumnError, '"prise"', sql="select 1 as price", drop=["prise"])
    for source in (path, {"price": [1], "weight": [2]}):
        refused(SourceError, "no columns", source=source, drop=["price", "weight"])


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (5, "int"),
        (object(), "object"),
        (np.zeros((2, 2, 2)), "(2, 2, 2)"),
        (np.zeros((2, 2), complex), "complex"),
        (np.zeros((0, 2)), "no rows"),
        ({}, "no columns"),
        ({"a": [1, 2], "b": [1]}, "length"),
        ({"a": [1, "x"]}, '"a"'),
        ({"a": np.zeros((2, 2))}, '"a"'),
        (pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), 'more than one column named "a"'),
        (pd.DataFrame({"a": [1, "x"]}, dtype=object), "DataFrame"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), '"a"'),
    ],
)
def test_an_object_that_is_no_table_gets_one_sentence(source: object, words: str) -> None:
    refused(SourceError, words, source=source)


def rich_table() -> pa.Table:
    """Return columns of types that Parquet stores in more ways than one."""
    rows = 60
    words = pa.array([None if i % 7 == 0 else f"w{i % 5}" for i in range(rows)])
    return pa.table(
        {
            "word": words,
            "large": words.cast(pa.large_string()),
            "stored": words.dictionary_encode(),
            "coded": pa.array(np.arange(rows) % 3 * 10).dictionary_encode(),
            "span": pa.array(np.arange(rows) * 1000, pa.duration("ms")),
            "at": pa.array(np.arange(rows) * 10**9, pa.timestamp("us", "UTC")),
            "x": np.arange(rows, dtype=np.float32),
            "x.y": np.arange(rows, dtype=np.uint16),
            "flag": np.arange(rows) % 2 == 0,
        }
    )


@pytest.mark.parametrize("columns", [["word", "large", "x", "x.y", "at", "flag"], list(rich_table().column_names)])
@pytest.mark.parametrize("form", ["parquet", "arrow", "object"])
def test_the_same_rows_come_with_and_without_a_condition(tmp_path: Path, columns: list[str], form: str) -> None:
    table = rich_table().select(columns)
    path = tmp_path / f"t.{form}"
    if form == "parquet":
        parquet.write_table(table, path, row_group_size=17)
    elif form == "arrow":
        feather.write_feather(table, path)
    source = table if form == "object" else path
    for drop in ([], ["x"]):
        plain, filtered = read(source, drop=drop), read(source, drop=drop, where="true")
        assert plain.names == filtered.names == tuple(name for name in columns if name not in drop)
        spec = Spec(target="x.y", holdout=0)
        first, second = prepare(plain, spec), prepare(filtered, spec)
        assert first.plan.feature_names() == second.plan.feature_names() or "coded" in columns
        for one, other in ((first.plan, filtered), (second.plan, plain)):
            assert one.encode(other)[1].shape == (60, len(one.categories))
        np.testing.assert_array_equal(first.plan.encode(plain)[0], first.plan.encode(filtered)[0])
        np.testing.assert_array_equal(first.plan.encode(plain)[1], first.plan.encode(filtered)[1])


def test_a_plain_parquet_needs_no_database(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    path.write_bytes(stored(path))
    code = (
        "import sys; from downslope.data.sources import read; from downslope.data.features import prepare; "
        f"read({str(path)!r}); print([m for m in ('duckdb', 'pandas', 'polars', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
