"""Steps on batches of a table larger than memory: windows of rows, their order, and what they lead to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import downslope as ds
from downslope.data.large import layout, prepare
from downslope.data.large.layout import DamagedError
from downslope.data.large.prepare import prepare_large
from downslope.data.large.stream import Stream
from downslope.data.large.windows import Windows, piece_rows, window_rows
from downslope.errors import InputError
from downslope.fitting import large
from downslope.records import Run, Spec, StepRecord, Verdict
from downslope.store import list_unfinished

ROWS = 6000


class Cut(Exception):
    """What stands for a kill within this process: no code of ours handles it."""


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make blocks and windows small, so that a small table has many, and stream what would fit in memory."""
    monkeypatch.setattr(layout, "MOST_ROWS", 512)
    monkeypatch.setattr(prepare, "MOST_MIXED", 60_000)
    monkeypatch.setattr(large, "TRIVIAL", 10**9)
    monkeypatch.setattr(large, "needed_memory", lambda paths, kind: 1 << 60)


def sorted_table(rows: int = ROWS) -> pa.Table:
    """Return a table sorted by its target, the worst order there is for steps on batches."""
    drawn = np.random.default_rng(0)
    x, y = drawn.normal(size=(2, rows))
    city = drawn.choice(["Ulm", "Bonn", "Jena"], rows)
    late = x - y + (city == "Ulm") + drawn.logistic(size=rows) > 0.5
    table = pa.table({"x": x, "y": 100 * y, "city": city, "weight": drawn.integers(0, 4, rows), "late": late})
    return table.sort_by("late")


@pytest.fixture
def source(tmp_path: Path) -> str:
    pq.write_table(sorted_table(), tmp_path / "table.parquet")
    return str(tmp_path / "table.parquet")


def stream_of(source: str) -> Stream:
    spec = Spec(source=source, target="late", drop=("weight",), cache=str(Path(source).parent / "cache"), holdout=0)
    return prepare_large(source, spec, 200 << 20, lambda event, what: None).train


def fit(source: str, **settings: Any) -> Run:
    given = {"runs": None, "cache": str(Path(source).parent / "cache"), "memory": "1GB", "method": "mini-batch"}
    return ds.fit(source, "late", **(given | settings))


def seen_of(windows: Windows, epoch: int, first: int = 0) -> list[NDArray[Any]]:
    """Return what each window of an epoch holds, in the order in which it is stepped on: (rows, numbers and target)."""
    return [
        np.column_stack([window.blocks[0].numbers, window.target])[rows] for window, rows in windows.epoch(epoch, first)
    ]


def test_every_epoch_meets_every_row_once_in_a_fresh_order(source: str) -> None:
    stream = stream_of(source)
    windows = Windows(stream, 3, window_rows(stream))
    assert len(windows.sizes) > 3
    assert sum(windows.sizes) == stream.rows == ROWS
    whole = stream.pick(np.arange(ROWS))
    expected = np.column_stack([whole.blocks[0].numbers, whole.target])
    epochs = [np.concatenate(seen_of(windows, epoch)) for epoch in (0, 1)]
    for found in epochs:
        assert np.array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])
    assert not np.array_equal(*epochs)
    again = np.concatenate(seen_of(Windows(stream, 3, windows.rows), 1))
    assert np.array_equal(again, epochs[1])
    assert not np.array_equal(np.concatenate(seen_of(Windows(stream, 4, windows.rows), 1)), epochs[1])


def test_an_epoch_taken_up_within_goes_on_with_the_same_windows(source: str) -> None:
    stream = stream_of(source)
    windows = Windows(stream, 0, window_rows(stream))
    whole = seen_of(windows, 2)
    for mine, other in zip(seen_of(windows, 2, 2), whole[2:], strict=True):
        assert np.array_equal(mine, other)


def test_how_far_windows_lie_apart_is_told_as_it_is(source: str) -> None:
    stream = stream_of(source)
    windows = Windows(stream, 0, window_rows(stream))
    apart, shuffled = windows.apart(2)
    means = np.array([found[:, -1].mean() for found in seen_of(windows, 0)])
    share, sizes = stream.target_mean, np.array(windows.sizes)
    assert apart == pytest.approx(np.sqrt(sizes @ (means - share) ** 2 / ROWS / (share * (1 - share))))
    dealt = np.random.default_rng(0).permutation(stream.pick(np.arange(ROWS)).target)
    parts = np.split(dealt, np.cumsum(sizes)[:-1])
    full = np.sqrt(sum(each.size * (each.mean() - share) ** 2 for each in parts) / ROWS / (share * (1 - share)))
    assert 0.3 * shuffled < full < 3 * shuffled
    assert apart < 3 * shuffled
    numeric, _ = windows.apart(0)
    assert numeric == pytest.approx(apart)


def test_damage_is_found_before_a_row_is_stepped_on(source: str) -> None:
    stream = stream_of(source)
    content = bytearray(stream.path(3).read_bytes())
    content[-100] ^= 255
    stream.path(3).write_bytes(content)
    with pytest.raises(DamagedError, match="checksum"):
        next(Windows(stream, 0, window_rows(stream)).epoch(0))


def test_a_run_tells_how_far_windows_lie_apart(source: str) -> None:
    run = fit(source, epochs=2, batch_size=32, learning_rate=0.1)
    (choice,) = [each for each in run.choices if each.name == "window"]
    assert 0 < choice.candidates[0]["deviations_apart"] < 3 * choice.candidates[0]["of_a_full_shuffle"] < 0.5


def test_where_all_rows_fit_into_one_window_nothing_lies_apart(source: str) -> None:
    stream = stream_of(source)
    assert Windows(stream, 0, 8192).sizes == [ROWS]
    assert Windows(stream, 0, 8192).apart(2) == (pytest.approx(0, abs=1e-7), 0)
    assert piece_rows(stream) == 512 // layout.PIECES


@pytest.mark.parametrize(
    "settings",
    [{}, {"batch_size": 50, "learning_rate": 0.05}, {"method": "stochastic", "learning_rate": 0.003},
     {"rule": "adam", "batch_size": 32}, {"weights": "weight", "batch_size": 32},
     {"class_weight": "balanced", "batch_size": 32}, {"average": True, "batch_size": 32, "learning_rate": 0.1}],
)  # fmt: skip
def test_steps_on_windows_of_a_sorted_table_end_where_a_full_shuffle_ends(
    source: str, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    given = {"epochs": 12, "holdout": 0} | settings
    beyond = fit(source, **given)
    assert "streamed" in beyond.environment
    monkeypatch.undo()
    inside = fit(source, **given)
    assert "streamed" not in inside.environment
    least = fit(source, **(given | {"method": "scaled", "rule": "auto", "learning_rate": "auto", "batch_size": "auto",
                                    "average": "auto", "epochs": "auto", "tolerance": 1e-8}))  # fmt: skip
    drop = least.objective_at_start - least.objective
    assert (inside.objective - least.objective) / drop < 0.02
    assert (beyond.objective - least.objective) / drop < 0.02
    assert beyond.verdict in (Verdict.CONVERGED, Verdict.BUDGET)


def test_a_rate_too_large_is_explained(source: str) -> None:
    run = fit(source, learning_rate=1e6, batch_size=16, standardize=False)
    assert run.verdict is Verdict.DIVERGED
    assert "diverged at step" in run.message


def test_a_batch_larger_than_a_window_is_refused(source: str) -> None:
    with pytest.raises(InputError, match=r"does not fit into the 1,024 that are in memory"):
        fit(source, batch_size=5000)


@pytest.mark.parametrize("settings", [{"batch_size": 32, "epochs": 6}, {"method": "stochastic", "learning_rate": 0.01}])
def test_a_run_cut_short_goes_on_to_the_same_bits(source: str, tmp_path: Path, settings: dict[str, Any]) -> None:
    given = {"holdout": 0.2, "tolerance": 0, "epochs": 4} | settings
    whole = fit(source, **given)
    seen: list[StepRecord] = []

    def watch(step: StepRecord) -> None:
        seen.append(step)
        if len(seen) >= 2:
            raise Cut

    with pytest.raises(Cut):
        fit(source, **given, runs=tmp_path / "runs", checkpoint_seconds=1e-9, watch=watch)
    (left,) = list_unfinished(tmp_path / "runs")
    assert 0 < (left.updates or 0) < whole.updates
    again = ds.resume(left.run, tmp_path / "runs")
    assert np.array_equal(again.model.point.weights, whole.model.point.weights)
    assert again.objective == whole.objective
    assert again.holdout == whole.holdout
