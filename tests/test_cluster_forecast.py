"""The dry run of a fit on a cluster: what it says of rows, bytes and seconds, against the files themselves."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest

from downslope.cli.running import run as command


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    rng = np.random.default_rng(1)
    for index in range(4):
        table = pa.table({"x": rng.normal(size=1000).astype(np.float32), "late": rng.random(1000) > 0.5})
        parquet.write_table(table, folder / f"{index}.parquet")
        csv.write_csv(table, folder / f"{index}.csv")
    return folder


def planned(capsys: pytest.CaptureFixture[str], source: str, *more: str) -> dict[str, float]:
    asked = ["fit", source, "--target", "late", "--cluster", "auto", "--plan", "--json", *more]
    assert command(asked) == 0
    return json.loads(capsys.readouterr().out)


def test_the_plan_counts_what_lies_there(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = planned(capsys, str(parts / "*.parquet"), "--workers", "3", "--price", "2")
    assert (found["rows"], found["files"], found["pieces"], found["workers"]) == (4000, 4, 4, 3)
    assert found["exact"]
    two_files = sorted(each.stat().st_size for each in parts.glob("*.parquet"))
    assert abs(found["read"] - sum(two_files[:2])) < 100
    assert found["held"] == pytest.approx(2000 * 9, rel=0.01), "a float64 and a class in a byte"
    assert found["moved"] == 8 * 2 * 2, "two weights, of two nodes"
    assert found["seconds"] == pytest.approx(found["prepare_seconds"] + 10 * found["pass_seconds"])
    assert found["cost"] == pytest.approx(2 * 3 * found["seconds"] / 3600)


def test_rows_of_text_files_are_estimated(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = planned(capsys, str(parts / "*.csv"), "--workers", "2")
    assert not found["exact"]
    assert found["rows"] == pytest.approx(4000, rel=0.05)


def test_a_plan_needs_a_cluster(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["fit", str(parts / "*.parquet"), "--target", "late", "--plan"]) == 2
    assert "--plan is of a fit on a cluster" in capsys.readouterr().err
    assert command(["fit", str(parts / "*.parquet"), "--target", "late", "--price", "2"]) == 2
    assert "--price is for --plan" in capsys.readouterr().err
