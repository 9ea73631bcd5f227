"""Small tables in shards, made anew by whoever opens them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from downslope.cluster.shard import Sharded
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


@dataclass(frozen=True)
class Small:
    """Opens shards of so many rows each. more: rows that the last one has besides."""

    rows: tuple[int, ...]
    more: int = 0

    def open(self, index: int) -> Examples:
        """Return the rows of a shard."""
        return rows_of(index, self.rows[index] + (self.more if index == len(self.rows) - 1 else 0))

    def discard(self, index: int) -> None:
        """Nothing is kept."""


def table_of(rows: Sequence[int], more: int = 0) -> Sharded:
    """Return a table in shards of so many rows each."""
    return Sharded(f"small {more}", tuple(rows), Small(tuple(rows), more))


def whole_of(rows: Sequence[int]) -> Examples:
    """Return the same rows as one table in memory."""
    parts = joined([rows_of(index, count) for index, count in enumerate(rows) if count])
    return parts.pick(np.arange(parts.rows))
