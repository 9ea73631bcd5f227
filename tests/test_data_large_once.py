"""Rows that are seen once: standard input, and files of which nothing is kept."""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import downslope as ds
from downslope.cli.running import run as command
from downslope.data.large import once
from downslope.data.large.once import Kept, in_chunks
from downslope.data.table import as_table
from downslope.errors import InputError
from downslope.records import Run, StepRecord, Verdict
from downslope.store import list_unfinished

ROWS = 12_000


class Cut(Exception):
    """What stands for a kill within this process: no code of ours handles it."""


def table_of(rows: int = ROWS, seed: int = 0) -> pa.Table:
    drawn = np.random.default_rng(seed)
    x, y = drawn.normal(size=(2, rows))
    city = drawn.choice(["Ulm", "Bonn", "Jena"], rows)
    score = x - y + (city == "Ulm")
    return pa.table({
        "x": x, "y": 100 * y + 7, "whole": drawn.integers(0, 9, rows), "city": city,
        "weight": drawn.integers(1, 4, rows),
        "late": score + drawn.logistic(size=rows) > 0.5, "size": 3 * score + drawn.normal(size=rows),
        "kind": np.array(["low", "middle", "high"])[np.digitize(score + drawn.normal(size=rows), [-1, 1])],
    })  # fmt: skip


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "MOST_ROWS", 512)


@pytest.fixture
def source(tmp_path: Path) -> str:
    table = table_of()
    for index, first in enumerate(range(0, ROWS, 5000)):
        pq.write_table(table.slice(first, 5000), tmp_path / f"part{index}.parquet")
    return str(tmp_path / "part*.parquet")


def csv_of(table: pa.Table, delimiter: str = ",") -> bytes:
    held = io.BytesIO()
    pyarrow.csv.write_csv(table, held, pyarrow.csv.WriteOptions(delimiter=delimiter))
    return held.getvalue()


def pipe(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def fit(source: str, target: str = "late", **settings: Any) -> Run:
    return ds.fit(source, target, **({"runs": None, "drop": others(target)} | settings))


def others(*names: str) -> tuple[str, ...]:
    """Return the columns to drop beside the ones in use."""
    return tuple(each for each in ("late", "size", "kind", "weight") if each not in names)


@pytest.mark.parametrize(
    ("target", "settings"),
    [("late", {}), ("size", {}), ("kind", {}), ("late", {"rule": "plain"}), ("late", {"weights": "weight"}),
     ("late", {"class_weight": "balanced"}), ("size", {"loss": "huber"}), ("late", {"method": "stochastic"}),
     ("late", {"average": True}), ("late", {"holdout": 0})],
)  # fmt: skip
def test_one_pass_comes_near_the_minimum(source: str, target: str, settings: dict[str, Any]) -> None:
    given = {"drop": others(target, str(settings.get("weights")))} | settings
    run = fit(source, target, passes=1, patience=1000, **given)
    exact = fit(source, target, **(given | {"rule": "auto", "method": "auto", "average": "auto", "tolerance": 1e-6}))
    drop = exact.baseline["loss"] - exact.train["loss"]
    assert run.train["loss"] - exact.train["loss"] < 0.05 * drop
    assert run.data.rows == ROWS
    assert run.data.train_rows == pytest.approx(ROWS if settings.get("holdout") == 0 else 0.8 * ROWS, rel=0.02)
    assert (run.verdict, run.passes) == (Verdict.BUDGET, 1)
    assert run.gap_kind == "none"
    assert [step.passes for step in run.steps] == sorted(step.passes for step in run.steps)
    assert run.steps[-1].passes == pytest.approx(1)
    assert run.environment["one_pass"]["planned_by_rows"] == 512


def test_standard_input_is_the_same_pass(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = fit(source, passes=1)
    for delimiter in (",", "\t", ";"):
        pipe(monkeypatch, csv_of(table_of(), delimiter))
        piped = fit("-")
        assert np.allclose(weights_of(piped), weights_of(files), rtol=1e-3, atol=1e-4)
        assert piped.data.rows == ROWS


def weights_of(run: Run) -> Any:
    model: Any = run.model
    return model.point.weights


def test_nothing_is_cached(source: str, tmp_path: Path) -> None:
    fit(source, passes=1, cache=str(tmp_path / "cache"), memory="700MB")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("piped", [False, True])
def test_a_pass_cut_short_goes_on_to_the_same_bits(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piped: bool
) -> None:
    content = csv_of(table_of())
    pipe(monkeypatch, content)
    given = "-" if piped else source
    whole = fit(given, passes=1)
    seen: list[StepRecord] = []

    def watch(step: StepRecord) -> None:
        seen.append(step)
        if len(seen) >= 10:
            raise Cut

    pipe(monkeypatch, content)
    with pytest.raises(Cut):
        fit(given, passes=1, runs=tmp_path / "runs", checkpoint_seconds=1e-9, watch=watch)
    (left,) = list_unfinished(tmp_path / "runs")
    pipe(monkeypatch, content)
    again = ds.resume(left.run, tmp_path / "runs")
    assert np.array_equal(weights_of(again), weights_of(whole))
    assert (again.updates, again.train, again.holdout) == (whole.updates, whole.train, whole.holdout)
    assert [step.objective for step in again.steps] == [step.objective for step in whole.steps]


def test_a_pass_of_other_rows_is_not_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def watch(step: StepRecord) -> None:
        if step.update > 100:
            raise Cut

    pipe(monkeypatch, csv_of(table_of()))
    with pytest.raises(Cut):
        fit("-", runs=tmp_path, checkpoint_seconds=1e-9, watch=watch)
    (left,) = list_unfinished(tmp_path)
    pipe(monkeypatch, csv_of(table_of(seed=1)))
    with pytest.raises(ds.errors.RunError, match="has changed since its last checkpoint"):
        ds.resume(left.run, tmp_path)


def test_a_pass_stops_early_once_the_loss_kept_aside_falls_no_more(source: str) -> None:
    run = fit(source, passes=1, tolerance=0.2, patience=2)
    assert run.verdict is Verdict.CONVERGED
    assert "has not fallen for 2 looks" in run.message
    assert run.data.rows < 0.95 * ROWS


def test_the_command_line_learns_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe(monkeypatch, csv_of(table_of(3000)))
    assert command(["fit", "-", "--target", "late", "--drop", "size,kind,weight", "--no-save"]) == 0
    assert "one pass over" in capsys.readouterr().out


def test_whole_numbers_may_be_followed_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"{each % 7},{(each * each) % 11},{int(each % 7 > each * each % 11)}" for each in range(300_000)]
    lines[290_000] = "0.5,1,1"
    pipe(monkeypatch, ("a,b,late\n" + "\n".join(lines)).encode())
    run = ds.fit("-", "late", runs=None, batch_size=512, learning_rate=0.1, patience=10_000)
    assert run.data.rows == 300_000


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "standard input is empty"),
        (gzip.compress(b"a,late\n1,0\n", mtime=0), "standard input is not text"),
        (b"PAR1" + bytes(100), "standard input is not text"),
        (b"a,a,late\n1,2,0\n", 'more than one column named "a"'),
        (b"a,b\n" + b"1,2\n" * 50, 'no target "late" in standard input'),
        (b"a,late\n", "has columns but no rows|cannot be read as CSV"),
        (b"a,late\n" + b"1,0\n2,1\n" * 600 + b"1,2,3\n", r"cannot be read as CSV"),
        (b"a,late\n" + b"1,0\n2,0\n" * 600, r"in the first 512 rows, by which one pass is planned"),
        (b"a,late\n" + b"1,no\n2,yes\n" * 600 + b"1,perhaps\n", r'row 1,201 has the class "perhaps"'),
        (b"a,late\n" + b"1,no\n2,yes\n" * 400_000 + b"x,no\n", r"cannot be read as CSV.*'x'"),
    ],
)
def test_bad_standard_input_is_one_sentence(monkeypatch: pytest.MonkeyPatch, content: bytes, told: str) -> None:
    pipe(monkeypatch, content)
    with pytest.raises(InputError, match=told):
        ds.fit("-", "late", runs=None, patience=10_000, batch_size=256)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"passes": 2}, "passes can only be 1"),
        ({"passes": 1, "method": "scaled"}, "one pass takes its steps on single rows or mini-batches"),
        ({"passes": 1, "epochs": 3}, "one pass takes its steps on single rows or mini-batches"),
        ({"passes": 1, "memory": "100MB"}, "allow at least"),
        ({"passes": 1, "target": "nosuch"}, 'no target "nosuch"'),
        ({"passes": 1, "target": ""}, "no target was named"),
    ],
)
def test_bad_settings_are_one_sentence(source: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        ds.fit(source, **({"target": "late", "runs": None} | settings))


def test_what_lies_in_memory_is_not_passed_once() -> None:
    with pytest.raises(InputError, match="what lies in memory can be read again"):
        ds.fit(table_of(100), "late", passes=1, runs=None)


def test_a_truncated_file_is_named_or_left_out(source: str, tmp_path: Path) -> None:
    path = tmp_path / "part1.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"part1\.parquet is not a whole Parquet file"):
        fit(source, passes=1)
    run = fit(source, passes=1, skip_bad_files=True)
    assert run.data.rows == ROWS - 5000
    assert run.environment["one_pass"]["bad_files"] == [str(path)]


def test_a_rate_too_large_is_said(source: str) -> None:
    run = fit(source, "size", passes=1, learning_rate=1e9, rule="plain")
    assert run.verdict is Verdict.DIVERGED
    assert "diverged within the first" in run.message


def test_the_rows_kept_are_a_sample_that_does_not_depend_on_the_cuts() -> None:
    run = table_of(4000)
    prepared = fit_prepared(run)
    samples = []
    for cuts in ([4000], [100, 3000, 900]):
        kept = Kept(0, 500)
        first = 0
        for count in cuts:
            kept.add(prepared.pick(np.arange(first, first + count)))
            first += count
        sample = kept.examples()
        assert sample is not None
        assert 200 < sample.rows <= 500
        assert kept.met == 4000
        samples.append(sample)
    assert np.array_equal(samples[0].blocks[0].numbers, samples[1].blocks[0].numbers)
    assert samples[0].target.mean() == pytest.approx(prepared.target.mean(), abs=0.1)


def fit_prepared(table: pa.Table) -> Any:
    from downslope.data.features import prepare
    from downslope.records import Spec

    return prepare(as_table(table, "the table"), Spec(target="late", holdout=0)).train


def test_chunks_hold_the_rows_in_order() -> None:
    table = table_of(1000)
    parts = [as_table(table.slice(first, 137), "t") for first in range(0, 1000, 137)]
    chunks = list(in_chunks(iter(parts), 256))
    assert [each.rows for each in chunks] == [256, 256, 256, 232]
    assert pa.concat_tables([each.arrow for each in chunks]).equals(table)
