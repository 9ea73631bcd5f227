"""Text and hashed levels larger than memory: plan, blocks and answers are those of the table held whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import downslope as ds
from downslope.data.blocks import Examples, SparseRows
from downslope.data.features import Prepared, prepare
from downslope.data.large.layout import Layout, write_block
from downslope.data.large.met import Sample, bits_to_stream
from downslope.data.large.prepare import LargePrepared, prepare_large
from downslope.data.large.stream import Stream
from downslope.data.sources import read
from downslope.data.text.columns import NAMING_BYTES
from downslope.data.text.features import HashedCategory, TextFeature
from downslope.errors import InputError, OptionError
from downslope.fitting import large
from downslope.records import Spec
from downslope.records.grams import Kind
from downslope.training import train

MEMORY = 300 << 20
ROWS = 3000
WORDS = [f"Wört{index}" if index % 3 else f"w{index}" for index in range(600)]


def table_of(rows: int = ROWS) -> pa.Table:
    """Return a table of a text, a number, a category of many levels and a target of two classes."""
    drawn = np.random.default_rng(0)
    share = 1.0 / np.arange(1, len(WORDS) + 1)
    docs = [drawn.choice(len(WORDS), drawn.integers(3, 30), p=share / share.sum()) for _ in range(rows)]
    weights = drawn.normal(size=len(WORDS))
    size = drawn.normal(size=rows)
    good = np.array([weights[doc].mean() for doc in docs]) + 0.3 * size + 0.2 * drawn.logistic(size=rows) > 0
    text: list[str | None] = [" ".join(WORDS[word] for word in doc) for doc in docs]
    text[5] = None
    cities = [f"city {int(each)}" for each in drawn.pareto(0.5, rows) % 700]
    return pa.table({"text": text, "size": size, "city": cities, "good": np.where(good, "yes", "no")})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("text")
    table = table_of()
    for index, first in enumerate((0, 1100, 2000)):
        pq.write_table(table.slice(first, (1100, 900, 1000)[index]), place / f"part{index}.parquet")
    pyarrow.csv.write_csv(table, place / "whole.csv")
    return place


def spec_of(folder: Path, tmp_path: Path, source: str = "*.parquet", **settings: Any) -> Spec:
    given = {"text": ("text",), "hash_bits": 13, "grams": ("word:1-2", "char_wb:3-3"), "holdout": 0.0} | settings
    cache = str(tmp_path / "cache")
    return Spec(source=str(folder / source), target="good", cache=cache, precision="float32", **given)


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the settings of a fit that streams."""
    monkeypatch.setattr(large, "needed_memory", lambda *given: 1 << 60)
    return {"text": "text", "hash_bits": 12, "memory": "2GB", "cache": str(tmp_path / "cache"), "runs": None}


def quiet(event: str, what: object) -> None:
    del event, what


def streamed(spec: Spec, memory: int = MEMORY) -> LargePrepared:
    return prepare_large(spec.source, spec, memory, quiet)


def held(spec: Spec) -> Prepared:
    return prepare(read(spec.source), spec)


def rows_of(examples: Any) -> SparseRows:
    rows = examples.pick(np.arange(examples.rows)).blocks[0].sparse
    assert rows is not None
    return rows


@pytest.mark.parametrize("source", ["*.parquet", "whole.csv"])
def test_plan_and_rows_are_those_of_the_table_in_memory(folder: Path, tmp_path: Path, source: str) -> None:
    spec = spec_of(folder, tmp_path, source)
    big, small = streamed(spec), held(spec)
    assert [type(each) for each in big.plan.sparse] == [TextFeature, TextFeature, HashedCategory]
    for mine, theirs in zip(big.plan.sparse, small.plan.sparse, strict=True):
        np.testing.assert_array_equal(mine.buckets.ids, theirs.buckets.ids)
        names = [[each.feature_name(place) for place in range(each.size)] for each in (mine, theirs)]
        assert names[0] == names[1]
        assert mine.to_json() == theirs.to_json()
    assert big.summary == small.summary
    mine, theirs = rows_of(big.train), rows_of(small.train)
    for name in ("starts", "places", "values"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name))
    assert big.train.entries == small.train.entries


def test_the_cut_of_files_and_batches_changes_nothing(folder: Path, tmp_path: Path) -> None:
    spec = spec_of(folder, tmp_path)
    few, many = streamed(spec, 120 << 20), streamed(replace(spec, source=str(folder / "whole.csv")))
    assert [each.to_json() for each in few.plan.sparse] == [each.to_json() for each in many.plan.sparse]
    for mine, theirs in zip(few.plan.sparse, many.plan.sparse, strict=True):
        for name, array in mine.arrays().items():
            np.testing.assert_array_equal(array, theirs.arrays()[name])


@pytest.mark.parametrize(
    ("settings", "off"),
    [
        ({"method": "scaled", "tolerance": 1e-6}, 1e-6),
        ({"method": "full-batch", "epochs": 10}, 1e-6),
        ({"method": "mini-batch", "epochs": 4}, 5e-3),
        ({"method": "mini-batch", "epochs": 4, "grams": ("word:1-1",), "hash_bits": "auto"}, 5e-3),
        ({"method": "scaled", "loss": "softmax", "tolerance": 1e-5}, 1e-5),
    ],
)
def test_training_comes_to_the_same_loss(folder: Path, tmp_path: Path, settings: dict[str, Any], off: float) -> None:
    spec = spec_of(folder, tmp_path, l2=1e-3, **settings)
    big, small = streamed(spec), held(spec)
    stream = replace(big.train, window=60_000)
    outputs = 2 if big.loss == "softmax" else 1
    mine, theirs = (train(examples, spec, small.loss, outputs) for examples in (stream, small.train))
    fell = theirs.objective_at_start - theirs.objective
    assert mine.objective == pytest.approx(theirs.objective, abs=off * fell)
    assert mine.verdict == theirs.verdict
    if settings["method"] == "scaled":
        assert mine.gap_kind == "certified"


def test_a_wide_penalty_is_found_on_a_sample(folder: Path, tmp_path: Path) -> None:
    spec = spec_of(folder, tmp_path, method="mini-batch", epochs=1)
    found = train(streamed(spec).train, spec, "log", 1)
    assert any(each.name == "l2" and len(each.candidates) > 1 for each in found.choices)


def test_held_out_rows_are_scored_and_the_cache_is_used_again(
    folder: Path, tmp_path: Path, given: dict[str, Any]
) -> None:
    run = ds.fit(str(folder / "*.parquet"), "good", **given)
    assert run.holdout["auc"] > run.baseline["auc"] + 0.15
    assert run.environment["streamed"]["bytes_per_row"] > 100
    assert any(each.feature.startswith("text: ") for each in run.coefficients)
    told: list[str] = []
    again = ds.fit(str(folder / "*.parquet"), "good", tell=lambda event, _: told.append(event), **given)
    assert not any(each.startswith(("scanning", "encoding")) for each in told)
    assert again.holdout == run.holdout
    predictions = ds.predict(run, str(folder / "whole.csv")).column("prediction").to_pylist()
    right = np.mean([each == truth for each, truth in zip(predictions, table_of()["good"].to_pylist(), strict=True)])
    assert right > 0.7


def test_a_damaged_block_of_entries_is_found_and_written_again(
    folder: Path, tmp_path: Path, given: dict[str, Any]
) -> None:
    before = ds.fit(str(folder / "*.parquet"), "good", **given)
    (block,) = (tmp_path / "cache").glob("*/train/00000000.block")
    content = bytearray(block.read_bytes())
    content[-5000] ^= 0xFF
    block.write_bytes(content)
    told: list[str] = []
    after = ds.fit(str(folder / "*.parquet"), "good", tell=lambda event, _: told.append(str(event)), **given)
    assert any("damaged" in each for each in told)
    assert after.holdout == before.holdout


def test_a_lost_array_of_the_plan_is_scanned_for_again(folder: Path, tmp_path: Path) -> None:
    spec = spec_of(folder, tmp_path)
    before = streamed(spec)
    (kept,) = (tmp_path / "cache").glob("*/planned.npz")
    kept.write_bytes(kept.read_bytes()[:1000])
    after = streamed(spec)
    assert any("damaged" in str(each) for each in after.notes)
    np.testing.assert_array_equal(before.plan.sparse[0].buckets.ids, after.plan.sparse[0].buckets.ids)


def test_rows_of_any_length_come_back_as_they_were(tmp_path: Path) -> None:
    drawn = np.random.default_rng(1)
    lengths = drawn.integers(0, 6, 1500)
    lengths[700] = 5000  # far above the average
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    places = drawn.integers(0, 9000, int(starts[-1])).astype(np.int32)
    whole = SparseRows(starts, places, drawn.normal(size=places.size).astype(np.float32))
    layout = replace(Layout.of(1, 0, 0, "float32", "float32", "", 2.5), rows=512)
    numbers = drawn.normal(size=(1500, 1)).astype(np.float32)
    for block, first in enumerate(range(0, 1500, 512)):
        last = min(first + 512, 1500)
        part = whole.take(np.arange(first, last))
        columns: dict[str, Any] = {
            "target": numbers[first:last, 0], "numbers": numbers[first:last], "codes": np.zeros((last - first, 0)),
            "starts": part.starts, "places": part.places, "values": part.values,
        }  # fmt: skip
        write_block(tmp_path / f"{block:08d}.block", "key", layout, last - first, last, columns)
    stream = Stream(tmp_path, "key", layout, 1500, 0, np.zeros(1), np.ones(1), sparse=9000, window=8000)
    chosen = np.sort(drawn.choice(1500, 400, replace=False))
    found, wanted = rows_of_part(stream.pick(chosen)), whole.take(chosen)
    np.testing.assert_array_equal(found.places, wanted.places)
    np.testing.assert_array_equal(found.values, wanted.values)
    course = windows_of(stream)
    met = np.concatenate([course_rows for course_rows in course])
    assert sorted(met.tolist()) == sorted(lengths.tolist())


def rows_of_part(part: Examples) -> SparseRows:
    rows = part.blocks[0].sparse
    assert rows is not None
    return rows


def windows_of(stream: Stream) -> list[Any]:
    """Return the lengths of the rows of each window of an epoch, each row's numbers beside its entries."""
    from downslope.data.large.windows import Windows, window_rows

    windows = Windows(stream, 0, window_rows(stream))
    assert windows.count > 3
    return [np.diff(rows_of_part(window).starts).copy() for window, _ in windows.epoch(0)]


def test_a_sample_of_long_texts_is_the_same_however_it_is_cut() -> None:
    column = pa.chunked_array([[f"{index:06d} " + "x" * 50_000 for index in range(1200)]])
    assert column.nbytes > 3 * NAMING_BYTES
    whole, cut, halves = Sample(), Sample(), (Sample(), Sample())
    whole.add(column, 0)
    for first in range(0, 1200, 70):
        cut.add(column.slice(first, 70), first)
    halves[0].add(column.slice(0, 500), 0)
    halves[1].add(column.slice(500), 500)
    halves[0].join(halves[1])
    assert whole.every == cut.every == halves[0].every > 1
    for other in (cut, halves[0]):
        np.testing.assert_array_equal(whole.text().content, other.text().content)


def test_more_memory_makes_a_cache_of_its_own(folder: Path, tmp_path: Path) -> None:
    spec = spec_of(folder, tmp_path, hash_bits="auto", grams=("word:1-1",))
    streamed(spec, 1 << 30)
    streamed(spec, 4 << 30)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_many_classes_have_fewer_buckets_each_and_are_told(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0)
    text = [" ".join(f"w{each}" for each in row) for row in drawn.integers(0, 30_000, (4000, 30))]
    for classes in (2, 6):
        path = tmp_path / f"{classes}.parquet"
        pq.write_table(pa.table({"text": text, "y": [f"c{each}" for each in drawn.integers(0, classes, 4000)]}), path)
        spec = Spec(source=str(path), target="y", text=("text",), cache=str(tmp_path / "cache"))
        found = streamed(spec, 200 << 20)
        (feature,) = found.plan.sparse
        assert isinstance(feature, TextFeature)
        assert feature.bits == {2: 18, 6: 15}[classes]
        assert f'"text" is hashed into 2^{feature.bits} buckets and no more' in str(found.notes[0])


def test_bits_leave_room_for_the_columns() -> None:
    words = Kind.of("word:1-2")
    assert bits_to_stream(Spec(), words, 10 << 30, 64 << 30) == 24
    assert bits_to_stream(Spec(), words, 10 << 30, 450 << 20) == 19
    assert bits_to_stream(Spec(), words, 1000, 450 << 20) == 14
    assert bits_to_stream(Spec(hash_bits=22), words, 10 << 30, 450 << 20) == 22


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"text": ("txt",)}, 'no text column "txt" to learn from in .*nearest: "text"'),
        ({"text": ("size",)}, 'column "size" is to be read as text, but holds number'),
        ({"hash_bits": 30}, "--hash-bits 30 takes 4.29 GB to count the buckets"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, tmp_path: Path, settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        streamed(spec_of(folder, tmp_path, **settings))


def test_what_is_not_for_text_is_refused(folder: Path) -> None:
    source = str(folder / "whole.csv")
    for settings in (
        {"cluster": "auto", "hash_bits": 12},
        {"cluster": "auto", "text": "text"},
    ):
        with pytest.raises(OptionError, match="learned from on one machine"):
            ds.fit(source, "good", runs=None, **settings)
