"""Tables larger than memory: the plan, the blocks, the streams and the fit are those of the table held whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import downslope as ds
from downslope.cli.running import run as command
from downslope.data.fit_plan import fit_column
from downslope.data.large import cache as caches
from downslope.data.large import encoding, layout, sketches
from downslope.data.large.planned import fit_sketch
from downslope.data.large.prepare import LargePrepared, prepare_large
from downslope.data.large.reading import open_files
from downslope.data.large.scan import ColumnSketch, scan, sides_of
from downslope.errors import InputError
from downslope.fitting import large
from downslope.records import Spec

MEMORY = 200 << 20
ROWS = 5000


def quiet(event: str, what: object) -> None:
    """Take note of nothing."""


def table_of(rows: int = ROWS, seed: int = 0) -> pa.Table:
    """Return a table with every kind of column, missing values and a target of two classes."""
    drawn = np.random.default_rng(seed)
    size = drawn.normal(50.0, 9.0, rows)
    city = drawn.choice(["Ulm", "Bonn", "Jena", "Kiel"], rows, p=[0.5, 0.3, 0.15, 0.05])
    late = size / 9 + (city == "Ulm") + drawn.logistic(size=rows) > 6.2
    gaps = drawn.random(rows) < 0.1
    begin = datetime(2024, 1, 1)
    return pa.table({
        "row_id": np.arange(rows),
        "size": pa.array(size, mask=gaps),
        "whole": drawn.integers(0, 9, rows),
        "city": pa.array(city, mask=drawn.random(rows) < 0.05),
        "note": [f"n{each}" for each in drawn.integers(0, 10**9, rows)],
        "when": [begin + timedelta(hours=int(each)) for each in drawn.integers(0, 9000, rows)],
        "same": np.ones(rows),
        "nothing": pa.nulls(rows),
        "late": pa.array(late, mask=drawn.random(rows) < 0.01),
    })  # fmt: skip


def write_parts(folder: Path, table: pa.Table, parts: int = 3) -> str:
    """Write a table as several Parquet files and return their glob."""
    edges = np.linspace(0, table.num_rows, parts + 1).astype(int)
    for index, (first, last) in enumerate(pairwise(edges)):
        pq.write_table(table.slice(first, last - first), folder / f"part{index}.parquet", row_group_size=700)
    return str(folder / "part*.parquet")


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_parts(tmp_path, table_of())


def prepared_of(source: str, tmp_path: Path, **settings: Any) -> LargePrepared:
    """Return a table made ready, its cache in the test's own folder."""
    given: dict[str, Any] = {"source": source, "target": "late", "cache": str(tmp_path / "cache")}
    return prepare_large(source, Spec(**(given | settings)), MEMORY, quiet)


def whole(stream: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the numbers, codes and target of a stream."""
    found = stream.pick(np.arange(stream.rows))
    return found.blocks[0].numbers, found.blocks[0].codes, found.target


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "MOST_ROWS", 512)


def rows_of_training(table: pa.Table, spec: Spec) -> NDArray[np.intp]:
    """Return the rows that train by the rule of streams."""
    present = np.array([each is not None for each in table["late"].to_pylist()])
    return np.flatnonzero(sides_of(present, 0, spec).train)


def same_features(fitted: Any, expected: Any) -> None:
    """Assert that two columns became the same features, to rounding."""
    assert fitted.left_out == expected.left_out
    assert fitted.categories == expected.categories
    assert (fitted.kind, fitted.missing, fitted.distinct) == (expected.kind, expected.missing, expected.distinct)
    assert [each.name for each in fitted.numbers] == [each.name for each in expected.numbers]
    for mine, other in zip(fitted.numbers, expected.numbers, strict=True):
        assert [mine.center, mine.scale, mine.fill] == pytest.approx([other.center, other.scale, other.fill], rel=1e-12)


@pytest.mark.parametrize("cuts", [[5000], [1, 2, 4997], [1250] * 4, [499] * 10 + [10]])
def test_the_plan_of_a_table_cut_anyhow_is_the_plan_of_the_whole(cuts: Sequence[int]) -> None:
    table, spec = table_of(), Spec(target="late")
    rows = rows_of_training(table, spec)
    trains = np.isin(np.arange(table.num_rows), rows)
    for name in table.column_names[:-1]:
        sketch = ColumnSketch.of(name, table.schema.field(name).type)
        first = 0
        for count in cuts:
            part = ColumnSketch.of(name, table.schema.field(name).type)
            part.update(table[name].slice(first, count), name, ~trains[first : first + count], first)
            sketch.join(part)
            first += count
        expected = fit_column(table[name], name, rows, standardize=True)
        same_features(fit_sketch(sketch, name, spec), expected)


def test_levels_beyond_the_cap_keep_the_frequent_and_estimate_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sketches, "MOST_NAMES", 500)
    monkeypatch.setattr(sketches, "MOST_HASHES", 512)
    drawn = np.random.default_rng(0)
    values = [f"common{each}" for each in drawn.integers(0, 20, 20_000)] + [f"rare{each}" for each in range(8000)]
    shuffled = np.array(values)[drawn.permutation(len(values))]
    sketch = ColumnSketch.of("c", pa.string())
    for part in np.array_split(shuffled, 14):
        sketch.update(pa.chunked_array([part.tolist()]), "c", None, 0)
    found = sketch.parts[""]
    assert isinstance(found, sketches.LevelSketch)
    facts = found.facts()
    assert facts.distinct == pytest.approx(8020, rel=0.15)
    assert sorted(facts.names()[:20]) == sorted(f"common{each}" for each in range(20))
    assert len(found.counts) <= 500


def test_blocks_hold_what_the_plan_encodes(source: str, tmp_path: Path, small_blocks: None) -> None:
    del small_blocks
    table, prepared = table_of(), prepared_of(source, tmp_path)
    spec = Spec(target="late")
    rows = rows_of_training(table, spec)
    from downslope.data.table import as_table

    numbers, codes = prepared.plan.encode(as_table(table, "the table"))[:2]
    mine = whole(prepared.train)
    assert np.array_equal(mine[0], numbers[rows])
    assert np.array_equal(mine[1], codes[rows])
    late = np.array([float(bool(each)) for each in table["late"].to_pylist()])
    assert np.array_equal(mine[2], late[rows])
    assert prepared.holdout is not None
    assert prepared.train.rows + prepared.holdout.rows + prepared.summary.dropped_rows == ROWS
    assert prepared.holdout.rows == pytest.approx(0.2 * ROWS, rel=0.15)


def test_a_stream_of_targets_reads_no_features(source: str, tmp_path: Path) -> None:
    train = prepared_of(source, tmp_path).train
    assert train.total(lambda part: part.blocks[0].numbers.size, features=False) == 0
    assert train.target_mean == pytest.approx(whole(train)[2].mean())


def test_how_the_files_are_cut_changes_no_block(tmp_path: Path, small_blocks: None) -> None:
    del small_blocks
    found = []
    for parts in (1, 4):
        folder = tmp_path / str(parts)
        folder.mkdir()
        found.append(whole(prepared_of(write_parts(folder, table_of(), parts), folder).train))
    for mine, other in zip(*found, strict=True):
        assert np.allclose(mine, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "ndjson", "arrow"])
def test_other_formats_stream_alike(kind: str, tmp_path: Path) -> None:
    table = table_of(2000).drop_columns(["nothing", "when"])
    path = tmp_path / f"table.{kind}"
    if kind == "arrow":
        pyarrow.feather.write_feather(table, str(path), compression="uncompressed")
    elif kind == "ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    else:
        pyarrow.csv.write_csv(table, pa.output_stream(str(path), compression="gzip" if "gz" in kind else None))
    (tmp_path / "p").mkdir()
    expected = prepared_of(write_parts(tmp_path / "p", table), tmp_path / "p")
    prepared = prepared_of(str(path), tmp_path)
    assert prepared.plan.feature_names() == expected.plan.feature_names()
    for mine, other in zip(whole(prepared.train), whole(expected.train), strict=True):
        assert np.allclose(mine, other, rtol=1e-9, atol=1e-9)


def streamed(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> ds.Run:
    """Fit a table as a stream, though it would fit in memory."""
    monkeypatch.setattr(large, "TRIVIAL", 10**9)
    monkeypatch.setattr(large, "needed_memory", lambda paths, kind: 1 << 60)
    given = {"target": "late", "runs": None, "cache": str(tmp_path / "cache"), "memory": "1GB"}
    return ds.fit(source, **(given | settings))


@pytest.mark.parametrize(
    "settings",
    [{}, {"method": "full-batch", "epochs": 20}, {"loss": "hinge", "tolerance": 5e-2}, {"class_weight": "balanced"},
     {"target": "size"}, {"target": "size", "loss": "huber"}, {"target": "city"}, {"weights": "whole"}],
)  # fmt: skip
def test_a_streamed_fit_is_the_fit_in_memory(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None, settings: dict[str, Any]
) -> None:
    del small_blocks
    given = settings | {"holdout": 0}
    inside = ds.fit(source, **({"target": "late", "runs": None} | given))
    beyond = streamed(source, tmp_path, monkeypatch, **given)
    assert "streamed" in beyond.environment
    assert "streamed" not in inside.environment
    assert (beyond.verdict, beyond.gap_kind) == (inside.verdict, inside.gap_kind)
    slack = 5e-2 if settings.get("loss") == "hinge" else 1e-3
    assert beyond.objective == pytest.approx(inside.objective, rel=slack)
    assert set(beyond.train) == set(inside.train)
    for name, value in inside.train.items():
        assert beyond.train[name] == pytest.approx(value, rel=2e-2, abs=2e-3)
    assert beyond.data == inside.data


def test_a_held_out_part_is_scored_and_differs_from_the_training(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = streamed(source, tmp_path, monkeypatch)
    assert run.data.holdout_rows > 0
    assert 0.5 < run.holdout["auc"] < 1
    assert run.holdout["loss"] < run.baseline["loss"]
    assert run.model.predict(table_of(50)).shape == (50,)


def test_a_cache_is_used_again_and_another_seed_makes_another(source: str, tmp_path: Path) -> None:
    told: list[str] = []
    for seed in (0, 0, 1):
        spec = Spec(source=source, target="late", cache=str(tmp_path / "cache"), seed=seed)
        prepare_large(source, spec, MEMORY, lambda event, what: told.append(event))
        told.append("|")
    first, again, other = " ".join(told).split("|")[:3]
    assert "encoding" in first
    assert again.strip() == ""
    assert "encoding" in other


def test_an_encoding_cut_short_is_taken_up_again(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None
) -> None:
    del small_blocks
    expected = whole(prepared_of(source, tmp_path / "other").train)
    real, calls = encoding.write_block, [0]

    def killed(*given: Any) -> None:
        calls[0] += 1
        if calls[0] == 6:
            raise KeyboardInterrupt
        real(*given)

    monkeypatch.setattr(encoding, "write_block", killed)
    with pytest.raises(KeyboardInterrupt):
        prepared_of(source, tmp_path)
    calls[0] = 100
    prepared = prepared_of(source, tmp_path)
    assert calls[0] - 100 == prepared.train.blocks + (prepared.holdout.blocks if prepared.holdout else 0) - 5
    for mine, other in zip(whole(prepared.train), expected, strict=True):
        assert np.array_equal(mine, other)


@pytest.mark.parametrize("damage", ["bits", "short", "gone", "foreign", "plan"])
def test_a_damaged_cache_is_written_again_and_said(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None, damage: str
) -> None:
    del small_blocks
    expected = streamed(source, tmp_path, monkeypatch)
    (block,) = (tmp_path / "cache").glob("*/train/00000002.block")
    content = bytearray(block.read_bytes())
    if damage == "bits":
        content[1000] ^= 255
        block.write_bytes(content)
    elif damage == "short":
        block.write_bytes(content[:-64])
    elif damage == "gone":
        block.unlink()
    elif damage == "foreign":
        block.write_bytes(b"something else altogether" * 100)
    else:
        (block.parents[1] / caches.PLANNED).write_text("{")
    told: list[str] = []
    run = streamed(source, tmp_path, monkeypatch, tell=lambda event, what: told.append(event))
    assert run.objective == expected.objective
    assert any("encoding" in each for each in told)
    if damage != "gone":
        assert any("damaged" in each for each in told)


def test_the_oldest_cache_goes_when_the_size_is_bounded(tmp_path: Path, source: str) -> None:
    for seed in range(3):
        prepared_of(source, tmp_path, seed=seed, cache_size="600kB")
        for each in (tmp_path / "cache").glob("*/planned.json"):
            os.utime(each, (each.stat().st_mtime - 100,) * 2)
    kept = list((tmp_path / "cache").iterdir())
    assert 1 <= len(kept) < 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.drop_columns(["size"]), 'lacks "size"'),
        (lambda table: table.append_column("extra", table["size"]), 'has "extra" besides'),
        (lambda table: table.set_column(1, "size", pa.array(["x"] * table.num_rows)), 'column "size" is string'),
    ],
)
def test_a_file_with_other_columns_is_named_with_the_difference(tmp_path: Path, change: Any, told: str) -> None:
    source = write_parts(tmp_path, table_of())
    pq.write_table(change(table_of(100)), tmp_path / "part3.parquet")
    with pytest.raises(InputError, match=told) as caught:
        prepared_of(source, tmp_path)
    assert "part3.parquet" in str(caught.value)
    assert not list((tmp_path / "cache").glob("*/train"))


def test_a_truncated_file_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    source = write_parts(tmp_path, table_of())
    path = tmp_path / "part1.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"part1.parquet is not a whole Parquet file"):
        prepared_of(source, tmp_path)
    prepared = prepared_of(source, tmp_path, skip_bad_files=True)
    assert prepared.summary.rows + prepared.summary.dropped_rows == ROWS - len(range(ROWS // 3, 2 * ROWS // 3))
    assert "1 files left out" in str(prepared.notes[-1])


def test_a_full_disk_is_foretold_or_cleaned_up(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"above the 1 kB that --cache-size allows"):
        prepared_of(source, tmp_path, cache_size="1kB")

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encoding, "write_block", full)
    with pytest.raises(InputError, match="became full"):
        prepared_of(source, tmp_path)
    assert not list((tmp_path / "cache").iterdir())
    monkeypatch.undo()
    monkeypatch.setattr(caches, "SPARE", 1 << 60)
    with pytest.raises(InputError, match="make room, or name another place"):
        prepared_of(source, tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of one megabyte, where that is allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="no disk can be mounted here")
def test_a_disk_that_is_too_small_or_becomes_full(
    tmp_path: Path, small_disk: Path, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    del small_blocks
    source = write_parts(tmp_path, table_of(40_000).drop_columns(["note"]))
    with pytest.raises(InputError, match=r"the block cache of this table takes .* free; make room"):
        prepared_of(source, tmp_path, cache=str(small_disk), cache_size="10GB")
    monkeypatch.setattr(caches.Cache, "make_room", lambda self, size: None)
    with pytest.raises(InputError, match="became full while blocks of"):
        prepared_of(source, tmp_path, cache=str(small_disk), cache_size="10GB")
    assert list(small_disk.iterdir()) == []


def test_a_truncated_compressed_text_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    table = table_of().drop_columns(["nothing", "when"])
    for index in range(3):
        path = tmp_path / f"part{index}.csv.gz"
        pyarrow.csv.write_csv(table.slice(index * 1500, 1500), pa.output_stream(str(path), compression="gzip"))
    path.write_bytes(path.read_bytes()[:-20_000])
    source = str(tmp_path / "part*.csv.gz")
    with pytest.raises(InputError, match=r"part2.csv.gz cannot be read as CSV: .*--skip-bad-files"):
        prepared_of(source, tmp_path)
    prepared = prepared_of(source, tmp_path, skip_bad_files=True)
    assert prepared.summary.rows + prepared.summary.dropped_rows == 3000
    assert "1 files left out" in str(prepared.notes[-1])


def test_memory_too_small_for_one_block_says_how_much_is_needed(source: str, tmp_path: Path) -> None:
    spec = Spec(source=source, target="late", cache=str(tmp_path / "cache"))
    with pytest.raises(InputError, match=r"one block of this table takes .* MB .*; allow .* MB more"):
        prepare_large(source, spec, 1 << 20, quiet)
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_command_says_in_one_line_what_is_wrong_with_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(large, "TRIVIAL", 10**9)
    monkeypatch.setattr(large, "needed_memory", lambda paths, kind: 1 << 60)
    source = write_parts(tmp_path, table_of())
    (tmp_path / "part1.parquet").write_bytes((tmp_path / "part1.parquet").read_bytes()[:-100])
    given = ["--memory", "1GB", "--cache", str(tmp_path / "cache"), "--runs", str(tmp_path / "runs")]
    assert command(["fit", source, "--target", "late", *given]) == 2
    lines = [each for each in capsys.readouterr().err.splitlines() if each.startswith("error:")]
    assert len(lines) == 1
    assert "part1.parquet" in lines[0]
    assert not list((tmp_path / "cache").glob("*"))
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"memory": "much"}, "memory must be a size"),
        ({"memory": "100MB"}, "allow at least"),
        ({"holdout_by": "city"}, "holdout-by needs all rows"),
        ({"target": "nosuch"}, 'no target "nosuch"'),
        ({"target": "same"}, "constant, always 1"),
        ({"target": "note", "loss": "softmax"}, "above the 1,000 classes"),
        ({"target": "city", "loss": "squared"}, "is text, but the squared loss needs numbers"),
        ({"weights": "size"}, "missing in row"),
    ],
)
def test_bad_input_is_one_sentence(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        streamed(source, tmp_path, monkeypatch, **settings)


def test_an_infinity_is_named_by_its_row_in_the_whole_table(tmp_path: Path) -> None:
    table = table_of().drop_columns(["nothing"])
    size = np.array(table["whole"].to_pylist(), np.float64)
    size[4321] = np.inf
    source = write_parts(tmp_path, table.append_column("big", pa.array(size)))
    with pytest.raises(InputError, match='column "big" is infinity in row 4322'):
        prepared_of(source, tmp_path)


def test_a_number_further_down_a_csv_than_types_were_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    lines = [f"{each % 7},{each % 5},{each % 2}" for each in range(30_000)]
    lines[29_000] = "0.5,1,1"
    path.write_text("a,b,late\n" + "\n".join(lines) + "\n")
    prepared = prepared_of(str(path), tmp_path)
    assert prepared.summary.rows == 30_000


def test_the_scan_counts_every_row_once(source: str) -> None:
    files = open_files(source, where="whole < 5", drop=("note",), memory=MEMORY)
    found, rows, bad = scan(files, Spec(target="late"))
    expected = sum(each < 5 for each in table_of()["whole"].to_pylist())
    assert (found.rows, sum(rows), bad) == (expected, expected, ())
    assert "note" not in found.columns
