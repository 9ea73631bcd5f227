"""What runs in a worker: its shards, opened when first asked for, and the sums over them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope.cluster.shard import Shard
from downslope.cluster.tree import Node, nodes_of, sum_below
from downslope.data.blocks import Block, Examples, Source
from downslope.types import Indices


@dataclass(frozen=True)
class Reply:
    """Sums of the nodes that a worker's shards make up.

    rows: examples that went into them, counted as they were added up. seconds: at work, without the way.
    """

    sums: dict[Node, Any]
    rows: int
    seconds: float


class Worker:
    """Holds the shards numbered ``first`` onwards.

    threads: how many its passes use; 0 leaves that to the machine.
    """

    def __init__(self, shards: Sequence[Shard], first: int, threads: int = 0) -> None:
        """Hold the shards, and open none yet."""
        if threads:
            os.environ["DOWNSLOPE_THREADS"] = str(threads)
        self.shards, self.first = shards, first
        self._opened: dict[int, Source] = {}

    def alive(self) -> int:
        """Return the process, to tell one that works from one that hangs."""
        return os.getpid()

    def opened(self) -> int:
        """Open every shard, which reads and encodes what is not there yet; return their rows."""
        return sum(self._source(index).rows for index in self._mine())

    def total(self, work: Callable[[Examples], Any], features: bool) -> Reply:
        """Return the sums of ``work`` over the shards, as ``Source.total`` of each gives them."""
        began = time.perf_counter()
        rows = 0

        def leaf(index: int) -> Any:
            nonlocal rows
            source = self._source(index)
            found = source.total(work, features=features)
            rows += source.rows
            return found

        sums = {node: sum_below(node, leaf) for node in nodes_of(self.first, self.first + len(self.shards))}
        return Reply(sums, rows, time.perf_counter() - began)

    def pick(self, rows: Indices) -> Examples | None:
        """Return the examples of some global rows, rising, that lie in these shards; None where none does."""
        parts: list[Examples] = []
        for index in self._mine():
            shard = self.shards[index - self.first]
            inside = rows[(rows >= shard.start) & (rows < shard.start + shard.rows)]
            if inside.size:
                parts.append(self._source(index).pick(inside - shard.start))
        return joined(parts) if parts else None

    def _mine(self) -> range:
        return range(self.first, self.first + len(self.shards))

    def _source(self, index: int) -> Source:
        if index not in self._opened:
            self._opened[index] = self.shards[index - self.first].open()
        return self._opened[index]


def joined(parts: Sequence[Examples]) -> Examples:
    """Return the examples of all parts, one after the other, as blocks in memory."""
    blocks: list[Block] = []
    start = 0
    for part in parts:
        for block in part:
            blocks.append(replace(block, start=start))
            start += block.rows
    target = np.concatenate([each.target for each in parts])
    weights = None if parts[0].weights is None else np.concatenate([_weights(each) for each in parts])
    return replace(parts[0], blocks=tuple(blocks), target=target, weights=weights)


def _weights(examples: Examples) -> Any:
    return np.ones(examples.rows) if examples.weights is None else examples.weights
