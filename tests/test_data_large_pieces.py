"""A table in pieces: cut by its files alone, scanned and encoded apart, and together the table that it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import pytest

from downslope.data.large import pieces
from downslope.data.large.encoding import HELD, TRAIN
from downslope.data.large.held import Held
from downslope.data.large.layout import DamagedError
from downslope.data.large.pieces import (
    Opening,
    count_piece,
    join_scans,
    key_of_table,
    pieces_of,
    scan_piece,
)
from downslope.data.large.planned import Planned, planned_of
from downslope.data.large.prepare import LargePrepared, prepare_large
from downslope.data.large.reading import open_files
from downslope.data.large.stream import Stream
from downslope.records import Spec

MEMORY = 256 << 20


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a glob of two files, the first of which has five row groups."""
    monkeypatch.setattr(pieces, "LEAST_BYTES", 1)
    rng = np.random.default_rng(2)
    for index, rows in enumerate((5000, 3000)):
        kind = np.array(["a", "b", None], object)[rng.integers(0, 3, rows)]
        table = pa.table({"x": rng.normal(size=rows), "n": rng.integers(0, 90, rows), "kind": pa.array(kind)})
        table = table.append_column("y", pa.array(rng.normal(size=rows)))
        parquet.write_table(table, tmp_path / f"{index}.parquet", row_group_size=(1000, 3000)[index])
    return str(tmp_path / "*.parquet")


def spec_of(source: str, **settings: Any) -> Spec:
    return Spec(source=source, target="y", cache=str(Path(source).parent / "cache"), **settings)


def opened(source: str, spec: Spec) -> tuple[Planned, list[Stream], list[Stream], Opening]:
    files = open_files(source, where=spec.where, drop=spec.drop, memory=MEMORY)
    parts = pieces_of(files)
    counts = [count_piece(files, each, skip_bad=False) for each in parts]
    found = [scan_piece(files, each, spec, sum(counts[:index])) for index, each in enumerate(parts)]
    seen, bad, table = join_scans(files, spec, parts, counts, found)
    assert not bad
    planned = planned_of(seen, spec, files, table.rows, bad)
    opening = Opening(table, spec, planned, TRAIN, key_of_table(files, spec, planned))
    held = Opening(table, spec, planned, HELD, opening.key)
    return planned, *([each.open(index) for index in range(len(parts))] for each in (opening, held)), opening


def rows_of(streams: list[Stream]) -> tuple[Any, Any, Any]:
    parts = [stream.pick(np.arange(stream.rows)) for stream in streams if stream.rows]
    blocks = [part.blocks[0] for part in parts]
    return (
        np.concatenate([each.numbers for each in blocks]), np.concatenate([each.codes for each in blocks]),
        np.concatenate([each.target for each in parts]),
    )  # fmt: skip


def whole(source: str, spec: Spec) -> LargePrepared:
    return prepare_large(source, spec, MEMORY, lambda event, what: None)


def test_pieces_together_are_the_table(source: str) -> None:
    spec = spec_of(source)
    planned, train, held, _ = opened(source, spec)
    assert [each.rows + other.rows for each, other in zip(train, held, strict=True)] == [1000] * 5 + [3000]
    expected = whole(source, spec)
    assert planned.summary == expected.summary
    assert expected.holdout is not None
    for ours, stream in ((train, expected.train), (held, expected.holdout)):
        for mine, theirs in zip(rows_of(ours), rows_of([stream]), strict=True):
            assert np.allclose(mine, theirs, rtol=1e-6, atol=1e-6)
            assert mine.shape == theirs.shape


def test_a_condition_and_text_files_are_cut_by_file(source: str) -> None:
    for each in sorted(Path(source).parent.glob("*.parquet")):
        csv.write_csv(parquet.read_table(each), each.with_suffix(".csv"))
    texts = source.replace(".parquet", ".csv")
    spec = spec_of(texts, where="n < 45")
    _, train, _, _ = opened(texts, spec)
    assert len(train) == 2
    assert sum(each.rows for each in train) == whole(texts, spec).train.rows
    with_groups = open_files(source, where="n < 45", drop=(), memory=MEMORY)
    assert [each.groups for each in pieces_of(with_groups)] == [None, None]


def test_a_damaged_piece_is_written_again(source: str) -> None:
    _, train, _, opening = opened(source, spec_of(source))
    before = rows_of([train[1]])
    block = train[1].path(0)
    content = bytearray(block.read_bytes())
    content[-5] ^= 255
    block.write_bytes(content)
    with pytest.raises(DamagedError):
        opening.open(1).total(lambda part: part.rows)
    opening.discard(1)
    assert all(np.array_equal(*each) for each in zip(rows_of([opening.open(1)]), before, strict=True))


def test_held_in_memory_gives_the_same_bits(source: str) -> None:
    _, train, _, _ = opened(source, spec_of(source))
    held = Held(train[5])

    def sums(part: Any) -> Any:
        return part.blocks[0].numbers.sum(axis=0)

    assert np.array_equal(held.total(sums), train[5].total(sums))
    rows = np.array([0, 7, 2000])
    assert np.array_equal(held.pick(rows).target, train[5].pick(rows).target)
    assert (held.rows, held.categories, held.dtype) == (train[5].rows, 1, train[5].dtype)
