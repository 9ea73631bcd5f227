"""Shards: a table's rows in parts that lie apart, and who of several holds which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np

from downslope.data.blocks import Source
from downslope.types import Indices


class Opener(Protocol):
    """How a shard is opened by whoever holds it; it travels to them, so it is small and can be pickled."""

    def open(self, index: int) -> Source:
        """Return the rows of a shard, numbered from 0."""
        ...

    def discard(self, index: int) -> None:
        """Remove what was kept of a shard, because it is damaged."""
        ...


@dataclass(frozen=True)
class Sharded:
    """A table in shards.

    name: tells the tables of one crew apart. counts: rows of each shard, which may be 0. opener: opens them.
    """

    name: str
    counts: tuple[int, ...]
    opener: Opener

    @cached_property
    def starts(self) -> Indices:
        """The global index of each shard's first row, and behind the last the rows of all."""
        return np.array(list(accumulate(self.counts, initial=0)), np.int64)

    @property
    def rows(self) -> int:
        """Rows of all shards."""
        return int(self.starts[-1])


def dealt(sizes: Sequence[int], workers: int) -> list[tuple[int, int]]:
    """Return (first, last) shard of each worker: consecutive, none empty, sizes as even as the cuts allow.

    sizes: of the shards, in bytes or rows. Fewer are returned where there are fewer shards than workers.
    """
    workers = min(workers, len(sizes))
    whole = sum(sizes)
    edges, held = [0], 0.0
    for index, size in enumerate(sizes):
        left = workers - len(edges)
        share = whole * len(edges) / workers
        if left and index > edges[-1] and (held + size / 2 > share or len(sizes) - index == left):
            edges.append(index)
        held += size
    return list(pairwise([*edges, len(sizes)]))
