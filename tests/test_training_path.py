"""The moments that a training keeps: how many, how they are spread, and that a kill changes none of them."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from downslope.records import Spec
from downslope.store.trajectory import from_bytes, to_bytes
from downslope.training.network.path import EARLY, MOMENTS, MOST_BYTES, RACED, KeptPath, moments_kept
from tests.small_networks import small


def weights_at(update: int, lanes: int = 0) -> Any:
    """Return the leaves of a training whose weights tell where it stands."""
    own = np.array([update, -update], np.float32)
    if not lanes:
        return own, np.float32(update)
    return np.stack([own + np.float32(1000 * lane) for lane in range(lanes)]), np.full(lanes, update, np.float32)


def walk(path: KeptPath, first: int, last: int, step: int) -> None:
    """Go from one update to another in chunks of ``step``, which end at every mark."""
    updates = first
    while updates < last:
        updates = path.next_mark(updates, min(updates + step, last))
        if path.is_mark(updates):
            path.keep(updates, weights_at(updates))


@given(
    most=st.integers(1, 60), planned=st.integers(1, 5000), raced=st.booleans(), share=st.floats(0.01, 1.0),
    step=st.integers(1, 700),
)  # fmt: skip
def test_moments_are_spread_evenly_wherever_a_run_ends(
    most: int, planned: int, raced: bool, share: float, step: int
) -> None:
    path = KeptPath(most, planned, planned // 10 if raced else 0)
    first_stride, total = path.stride, max(1, round(share * planned))
    path.keep(0, weights_at(0))
    walk(path, 0, total, step)
    marks = list(path.updates)
    assert marks == list(range(0, total + 1, path.stride))
    room = max(most - 1, 1)
    assert len(marks) <= room
    if total >= first_stride * room:
        assert len(marks) >= (room + 1) / 2
    path.end(total, weights_at(total))
    assert len(path.updates) <= most
    assert path.updates[-1] == (total if most > 1 else 0)
    kept = path.to_arrays()
    np.testing.assert_array_equal(kept["path.0"][:, 0], path.updates)
    np.testing.assert_array_equal(kept["path.1"], path.updates)


@given(most=st.integers(2, 20), planned=st.integers(20, 900), cut=st.floats(0.0, 1.0), step=st.integers(1, 90))
def test_a_path_taken_up_again_is_the_path_never_cut(most: int, planned: int, cut: float, step: int) -> None:
    whole = KeptPath(most, planned)
    whole.keep(0, weights_at(0))
    walk(whole, 0, planned, 50)
    first = KeptPath(most, planned)
    first.keep(0, weights_at(0))
    where = round(cut * planned)
    walk(first, 0, where, step)
    values, arrays = first.to_values(), first.to_arrays()
    second = KeptPath(most, planned)
    second.keep(0, weights_at(0))
    like = second.arrays_like(values, weights_at(0))
    assert {name: (array.shape, array.dtype) for name, array in like.items()} == {
        name: (array.shape, array.dtype) for name, array in arrays.items()
    }
    second.restore(values, arrays)
    walk(second, where, planned, step)
    assert second.updates == whole.updates
    for name, array in whole.to_arrays().items():
        np.testing.assert_array_equal(second.to_arrays()[name], array)


def test_of_lanes_the_chosen_one_is_kept() -> None:
    path = KeptPath(10, 100, 80)
    assert path.stride == 80 // RACED
    for update in (0, 10, 20):
        path.keep(update, weights_at(update, lanes=3))
    path.choose(2)
    np.testing.assert_array_equal(path.to_arrays()["path.0"], [[2000, 2000], [2010, 1990], [2020, 1980]])


def test_where_no_lane_was_chosen_the_start_is_left() -> None:
    path = KeptPath(10, 100, 80)
    for update in (0, 10):
        path.keep(update, weights_at(update, lanes=2))
    path.start_only()
    assert path.updates == [0]
    np.testing.assert_array_equal(path.to_arrays()["path.0"], [[0, 0]])


def test_nothing_is_kept_where_nothing_is_asked_for() -> None:
    path = KeptPath(0, 100)
    assert not path.is_mark(0)
    assert path.next_mark(3, 50) == 50
    path.start_only()
    path.end(100, weights_at(100))
    assert path.to_arrays() == {}
    assert path.trajectory(weights_at(0), ()) is None


def test_the_first_stride_serves_a_run_that_ends_early() -> None:
    assert KeptPath(40, 40 * EARLY * 5).stride == 5
    assert KeptPath(40, 7).stride == 1


def test_large_networks_keep_a_path_only_when_asked() -> None:
    case = small("mlp:4", double=False)
    assert moments_kept(Spec(), case.weights) == MOMENTS
    assert moments_kept(Spec(keep_path=7), case.weights) == 7
    assert moments_kept(Spec(keep_path=0), case.weights) == 0
    wide = {"weight": np.empty(MOST_BYTES // MOMENTS // 4 + 1, np.float32)}
    assert moments_kept(Spec(), wide) == 0
    assert moments_kept(Spec(keep_path=3), wide) == 3


def test_a_trajectory_has_the_names_of_the_model_and_comes_back_from_its_file() -> None:
    case = small("mlp:4,3", normalisation="batch", double=False)
    path = KeptPath(5, 10)
    for update in (0, 2, 4):
        path.keep(update, (case.weights, case.statistics))
    found = path.trajectory(case.weights, case.statistics)
    assert found is not None
    assert found.updates == (0, 2, 4)
    assert found.arrays["hidden.0.layer.weight"].shape == (3, 6, 4)
    assert found.moment(1)["statistics.1.variance"].shape == (3,)
    np.testing.assert_array_equal(found.moment(2)["last.weight"], case.weights.last.weight)
    again = from_bytes(to_bytes(found))
    assert again.updates == found.updates
    assert again.arrays.keys() == found.arrays.keys()
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)
    with pytest.raises(ValueError, match="no whole safetensors file"):
        from_bytes(to_bytes(found)[:-3])
