from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from downslope.data.batches import batch_bounds, order


@given(st.integers(0, 500), st.integers(0, 2**60), st.integers(0, 1000))
def test_an_order_is_a_permutation_that_the_arguments_alone_decide(rows: int, seed: int, epoch: int) -> None:
    once = order(rows, seed, epoch)
    assert once.dtype == np.int32
    np.testing.assert_array_equal(np.sort(once), np.arange(rows))
    np.testing.assert_array_equal(once, order(rows, seed, epoch))


def test_every_epoch_and_every_seed_is_shuffled_anew() -> None:
    orders = {order(1000, seed, epoch).tobytes() for seed in range(10) for epoch in range(10)}
    assert len(orders) == 100


def test_every_example_is_equally_likely_in_every_place() -> None:
    counts = np.zeros((10, 10))
    for epoch in range(5000):
        counts[np.arange(10), order(10, 3, epoch)] += 1
    assert ((counts - 500) ** 2 / 500).sum() < 126  # chi-squared with 81 degrees: 1 in 1,000 lies above 125


@given(st.integers(1, 1000), st.integers(1, 1200))
def test_bounds_cut_every_row_into_batches_with_a_partial_last(rows: int, size: int) -> None:
    bounds = batch_bounds(rows, size)
    sizes = np.diff(bounds)
    assert bounds[0] == 0
    assert bounds[-1] == rows
    assert (sizes[:-1] == size).all()
    assert 1 <= sizes[-1] <= size
