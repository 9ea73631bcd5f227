from __future__ import annotations

from datetime import date, datetime, time, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.data.features import Prepared, prepare
from downslope.data.holdout import LEAST_ROWS, scatter
from downslope.data.sources import read
from downslope.errors import ColumnError, InputError, OptionError, TargetError
from downslope.records.spec import Spec


def made(columns: dict[str, object], **call: object) -> Prepared:
    rows = len(columns["y"])  # type: ignore[arg-type]
    x = np.random.default_rng(0).normal(size=rows)
    return prepare(read({"x": x, **columns}), Spec(**{"target": "y", **call}))  # type: ignore[arg-type]


def complaint(kind: type[InputError], columns: dict[str, object], **call: object) -> str:
    with pytest.raises(kind) as caught:
        made(columns, **call)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(st.integers(LEAST_ROWS, 400), st.floats(0.01, 0.99), st.integers(0, 2**40))
def test_a_random_hold_out_has_its_share_and_both_parts(rows: int, share: float, seed: int) -> None:
    ready = made({"y": np.arange(float(rows))}, holdout=share, seed=seed)
    held = ready.holdout_rows
    assert held.shape[0] == min(max(round(share * rows), 1), rows - 1)
    assert (np.diff(held) > 0).all()
    assert ready.holdout is not None
    np.testing.assert_array_equal(ready.holdout.target, held)
    np.testing.assert_array_equal(ready.train.target, np.setdiff1d(np.arange(rows), held))
    assert ready.holdout.blocks[0].rows == held.shape[0]


def test_it_depends_on_the_seed_and_not_on_what_the_rows_hold() -> None:
    drawn = np.random.default_rng(1)
    first = made({"y": drawn.normal(size=500)}).holdout_rows
    np.testing.assert_array_equal(first, made({"y": drawn.normal(size=500), "z": drawn.normal(size=500)}).holdout_rows)
    assert not np.array_equal(first, made({"y": drawn.normal(size=500)}, seed=1).holdout_rows)


def test_scatter_is_spread_evenly_and_free_of_neighbours() -> None:
    drawn = scatter(np.arange(100_000), 0) / 2.0**64
    assert np.unique(drawn).shape[0] == 100_000
    counts = np.histogram(drawn, bins=100, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 150  # chi-squared with 99 degrees: 1 in 1,000 lies above 149
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.02
    assert abs(np.corrcoef(drawn, scatter(np.arange(100_000), 1))[0, 1]) < 0.02


def test_no_hold_out_where_none_is_asked_or_rows_are_few() -> None:
    ready = made({"y": np.arange(100.0)}, holdout=0)
    assert ready.holdout is None
    assert ready.holdout_rows.shape == (0,)
    assert ready.notes == ()
    few = made({"y": np.arange(7.0)})
    assert few.holdout is None
    assert few.summary.train_rows == 7
    assert "7 rows are too few to hold any out" in few.notes[0]
    assert made({"y": np.arange(float(LEAST_ROWS))}).summary.holdout_rows == 4


@given(st.integers(0, 1000))
def test_a_rare_class_is_on_both_sides(seed: int) -> None:
    y = ["common"] * 100 + ["rare"] * 2 + ["seldom"] * 3
    ready = made({"y": y}, seed=seed)
    assert ready.holdout is not None
    for part in (ready.train, ready.holdout):
        assert set(part.target) == {0.0, 1.0, 2.0}


def test_a_class_of_one_row_is_refused_with_the_remedy() -> None:
    y = ["common"] * 50 + ["lone"] + ["other"] * 50
    text = complaint(OptionError, {"y": y})
    assert 'class "lone"' in text
    assert "--holdout 0" in text
    assert made({"y": y}, holdout=0).summary.train_rows == 101


@pytest.mark.parametrize(
    "values",
    [
        list(range(100)),
        np.linspace(0, 1, 100).tolist(),
        [date(2024, 1, 1) + timedelta(days=index) for index in range(100)],
        [datetime(2024, 1, 1) + timedelta(minutes=index) for index in range(100)],
        [time(index // 60, index % 60) for index in range(100)],
    ],
)
def test_by_a_time_or_number_the_last_are_held_out(values: list[object]) -> None:
    shuffled = np.random.default_rng(0).permutation(100)
    ready = made({"when": [values[each] for each in shuffled], "y": shuffled}, holdout_by="when", holdout=0.3)
    assert ready.holdout is not None
    assert sorted(ready.holdout.target) == list(range(70, 100))
    assert sorted(ready.train.target) == list(range(70))


def test_equal_times_stay_together_and_missing_ones_train() -> None:
    days = [None, *([1] * 50), *([2] * 30), *([3] * 20)]
    for share, last in ((0.2, 20), (0.1, 20), (0.3, 20), (0.45, 50), (0.99, 50)):
        ready = made({"day": days, "y": np.arange(101)}, holdout_by="day", holdout=share)
        np.testing.assert_array_equal(ready.holdout_rows, np.arange(101 - last, 101))


@given(st.integers(0, 500), st.floats(0.1, 0.9))
def test_by_a_group_whole_groups_are_held_out(seed: int, share: float) -> None:
    groups = [f"group {index % 13}" if index % 13 else None for index in range(260)]
    ready = made({"g": groups, "y": np.arange(260)}, holdout_by="g", holdout=share, seed=seed)
    held = {groups[row] for row in ready.holdout_rows}
    rest = {groups[row] for row in np.setdiff1d(np.arange(260), ready.holdout_rows)}
    assert not held & rest
    assert abs(ready.holdout_rows.shape[0] - share * 260) <= 20
    assert ready.plan.inputs == ("x",)
    assert "left out: its groups" in ready.summary.columns[1].treatment


def test_rows_without_a_target_take_no_part() -> None:
    y = np.where(np.arange(100) % 4 == 0, np.nan, np.arange(100.0))
    for by in (None, "x"):
        ready = made({"y": y}, holdout_by=by)
        assert ready.summary.holdout_rows == 15
        assert not (ready.holdout_rows % 4 == 0).any()
        assert ready.holdout is not None
        np.testing.assert_array_equal(ready.holdout.target, ready.holdout_rows)


def test_a_split_that_cannot_be_is_refused() -> None:
    y = ["a"] * 50 + ["b"] * 50
    assert 'without class "b"' in complaint(OptionError, {"y": y, "day": np.arange(100)}, holdout_by="day", holdout=0.6)
    assert 'hold-out without class "a"' in complaint(OptionError, {"y": y, "day": range(100)}, holdout_by="day")
    numbers = np.arange(100.0)
    assert "one value only" in complaint(OptionError, {"y": numbers, "day": [1] * 100}, holdout_by="day")
    assert "one group only" in complaint(OptionError, {"y": numbers, "day": ["a"] * 100}, holdout_by="day")
    assert "nested" in complaint(OptionError, {"y": numbers, "day": [[1]] * 100}, holdout_by="day")
    assert 'nearest: "day"' in complaint(ColumnError, {"y": numbers, "day": range(100)}, holdout_by="dya")
    flat = [1.0] * 80 + [2.0] * 20
    assert "constant in the training part" in complaint(TargetError, {"y": flat, "d": range(100)}, holdout_by="d")
