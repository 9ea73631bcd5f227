"""Small tables in shards, made anew by whoever opens them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from downslope.cluster.shard import Shard
from downslope.cluster.worker import joined
from downslope.data.blocks import Block, Examples

NUMBERS = 6


def rows_of(seed: int = 0, rows: int = 10) -> Examples:
    """Return some rows of two classes."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, NUMBERS)).astype(np.float32)
    target = (numbers[:, 0] - 0.5 * numbers[:, 1] + rng.normal(size=rows) > 0).astype(np.float64)
    codes = np.zeros((rows, 0), np.int32)
    return Examples((Block(0, numbers, codes),), 0, target, None, np.zeros(NUMBERS), np.ones(NUMBERS), True)


def shards_of(rows: Sequence[int]) -> list[Shard]:
    """Return shards of so many rows each."""
    return [Shard(sum(rows[:index]), count, partial(rows_of, index, count)) for index, count in enumerate(rows)]


def whole_of(rows: Sequence[int]) -> Examples:
    """Return the same rows as one table in memory."""
    parts = joined([rows_of(index, count) for index, count in enumerate(rows)])
    return parts.pick(np.arange(parts.rows))
