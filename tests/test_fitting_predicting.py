"""Predictions some rows at a time: those of the whole, from files and from standard input, in every format."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import downslope as ds
from downslope.cli.tables import WRITERS, write_file
from downslope.data.large import reading
from downslope.errors import ColumnError, OptionError, SourceError
from downslope.records import Run

ROWS = 3000


def table_of(rows: int = ROWS, seed: int = 0) -> pa.Table:
    drawn = np.random.default_rng(seed)
    x, city = drawn.normal(size=rows), drawn.choice(["Ulm", "Bonn", "Jena"], rows)
    words = np.array(["good fine", "bad", "dull old", "fine"])[drawn.integers(0, 4, rows)]
    late = x + (city == "Ulm") + (words == "bad") + drawn.logistic(size=rows) > 0.5
    return pa.table({
        "x": x, "city": pa.array(city).dictionary_encode(), "said": pa.array(words), "late": late, "whole": range(rows)
    })  # fmt: skip


@pytest.fixture(autouse=True)
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("downslope.fitting.predicting.memory_to_stream_in", lambda source, spec: 700 << 20)
    monkeypatch.setattr(reading, "MOST_ROWS", 1024)
    monkeypatch.setattr(reading, "MOST_LINES", 1 << 13)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("predicting")
    table = table_of()
    for index in range(2):
        pq.write_table(table.slice(index * 2000, 2000), folder / f"part-{index}.parquet")
    pyarrow.csv.write_csv(table.set_column(1, "city", table["city"].cast(pa.string())), folder / "table.csv")
    lines = [f"{1 if late else -1} |t {said}" for late, said in zip(*map(pa.Array.to_pylist, (
        table["late"].combine_chunks(), table["said"].combine_chunks())), strict=True)]  # fmt: skip
    (folder / "rows.vw").write_text("\n".join(lines) + "\n")
    return folder


SETTINGS: dict[str, dict[str, Any]] = {
    "part-*.parquet": {"target": "late", "text": "said"}, "table.csv": {"target": "late"}, "rows.vw": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[str, Run]:
    return {name: ds.fit(str(folder / name), runs=None, **settings) for name, settings in SETTINGS.items()}


@pytest.mark.parametrize("name", SETTINGS)
def test_parts_are_the_whole(folder: Path, trained: dict[str, Run], name: str) -> None:
    source = str(folder / name)
    whole = ds.predict(trained[name], source)
    parts = list(ds.predict_in_parts(trained[name], source))
    assert len(parts) > 2
    assert len({str(each.schema) for each in parts}) == 1
    joined = pa.concat_tables(parts)
    assert joined.num_rows == whole.num_rows == ROWS
    for column in whole.column_names:
        here, there = joined[column].to_pylist(), whole[column].to_pylist()
        assert here == (pytest.approx(there, rel=1e-12) if column.startswith("probability") else there), column


def test_a_network_predicts_in_parts(folder: Path) -> None:
    run = ds.fit(str(folder / "table.csv"), "late", model="mlp:4", epochs=1, runs=None)
    whole = ds.predict(run, str(folder / "table.csv"))
    joined = pa.concat_tables(ds.predict_in_parts(run, str(folder / "table.csv")))
    assert np.allclose(joined["probability true"].to_numpy(), whole["probability true"].to_numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["table.csv", "rows.vw"])
def test_standard_input_is_predicted_as_it_comes(
    folder: Path, trained: dict[str, Run], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((folder / name).read_bytes())))
    joined = pa.concat_tables(ds.predict_in_parts(trained[name], "-"))
    whole = ds.predict(trained[name], str(folder / name))
    assert joined["prediction"].to_pylist() == whole["prediction"].to_pylist()


@pytest.mark.parametrize("kind", WRITERS)
def test_parts_are_written_as_one(folder: Path, trained: dict[str, Run], kind: str, tmp_path: Path) -> None:
    parts = list(ds.predict_in_parts(trained["part-*.parquet"], str(folder / "part-*.parquet")))

    def given() -> Iterator[Any]:
        yield from parts

    assert write_file(given(), str(tmp_path / f"parts.{kind}"), kind) == ROWS
    write_file(iter([pa.concat_tables(parts)]), str(tmp_path / f"whole.{kind}"), kind)
    if kind == "parquet":
        read = [pq.read_table(tmp_path / f"{each}.{kind}") for each in ("parts", "whole")]
    elif kind in ("arrow", "feather"):
        read = [pa.ipc.open_file(tmp_path / f"{each}.{kind}").read_all() for each in ("parts", "whole")]
    else:
        read = [(tmp_path / f"{each}.{kind}").read_bytes() for each in ("parts", "whole")]
    assert read[0] == read[1]
    if kind == "json":
        assert len(json.loads((tmp_path / "parts.json").read_text())) == ROWS
    assert len(list(tmp_path.iterdir())) == 2, "nothing else is left"


def test_what_is_wrong_is_said(folder: Path, trained: dict[str, Run], tmp_path: Path) -> None:
    run = trained["part-*.parquet"]
    with pytest.raises(ColumnError, match='needs the column "x" and 2 more'):
        list(ds.predict_in_parts(run, str(folder / "rows.vw")))
    with pytest.raises(OptionError, match="memory must be a size"):
        list(ds.predict_in_parts(run, str(folder / "table.csv"), memory="much"))
    (tmp_path / "empty.csv").write_text("x,city,said\n")
    with pytest.raises(SourceError, match="has columns but no rows"):
        write_file(ds.predict_in_parts(run, str(tmp_path / "empty.csv")), str(tmp_path / "out.csv"), "csv")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes((folder / "part-0.parquet").read_bytes()[:-300])
    with pytest.raises(SourceError, match=r"broken\.parquet is not a whole Parquet file"):
        write_file(ds.predict_in_parts(run, str(broken)), str(tmp_path / "out.csv"), "csv")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["broken.parquet", "empty.csv"]
