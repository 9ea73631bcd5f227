"""A shard: some consecutive rows of a table, and how whoever is asked to hold them gets at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from downslope.data.blocks import Source


@dataclass(frozen=True)
class Shard:
    """Some consecutive rows.

    start: global index of the first row. rows: how many. open: gives the rows, numbered from 0; it travels to the
    worker, so it is a function of a module or a ``functools.partial`` of one.
    """

    start: int
    rows: int
    open: Callable[[], Source]


def dealt(shards: Sequence[Shard], workers: int) -> list[tuple[int, int]]:
    """Return (first, last) shard of each worker: consecutive, none empty, rows as even as the cuts allow.

    Fewer are returned where there are fewer shards than workers.
    """
    workers = min(workers, len(shards))
    rows = sum(each.rows for each in shards)
    edges, held = [0], 0
    for index, each in enumerate(shards):
        left = workers - len(edges)
        share = rows * len(edges) / workers
        if left and index > edges[-1] and (held + each.rows / 2 > share or len(shards) - index == left):
            edges.append(index)
        held += each.rows
    return list(pairwise([*edges, len(shards)]))
