"""What runs in a worker: its shards, opened when first asked for, and the work on them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from downslope.cluster.library import ray
from downslope.cluster.shard import Sharded
from downslope.cluster.tree import Node, nodes_of, sum_below
from downslope.data.arrow import arrow
from downslope.data.blocks import Block, Examples, Source, Walked
from downslope.data.large.held import Held
from downslope.data.large.layout import DamagedError, Layout
from downslope.data.large.stream import Stream
from downslope.types import Indices

Part = TypeVar("Part")
Named: TypeAlias = "tuple[str, Sharded | None]"
"""A table by its name, and what it is where the worker has not been told yet."""


@dataclass(frozen=True)
class Reply:
    """Sums of the nodes that a worker's shards make up.

    rows: examples that went into them, counted as they were added up. seconds: at work, without the way.
    """

    sums: dict[Node, Any]
    rows: int
    seconds: float


class Worker:
    """Holds the shards from ``first`` up to ``last`` of every table that it is asked about.

    threads: how many its passes use, 0 to leave that as it is. hold: bytes of encoded rows that it may hold in memory;
    it streams the rest.
    """

    def __init__(self, first: int, last: int, threads: int = 0, hold: int = 0) -> None:
        """Hold the shards, and open none yet."""
        if threads:
            keep_to(threads)
        self.mine = range(first, last)
        self.left = hold
        self._tables: dict[str, Sharded] = {}
        self._opened: dict[tuple[str, int], Source] = {}
        self._rings: dict[Layout, list[Any]] = {}

    def alive(self) -> int:
        """Return the process, to tell one that works from one that hangs."""
        return os.getpid()

    def place(self) -> tuple[str, int]:
        """Return the node and the process."""
        return ray().get_runtime_context().get_node_id(), os.getpid()

    def each(self, work: Callable[[int], Any]) -> list[Any]:
        """Return ``work`` of the number of each shard."""
        return [work(index) for index in self.mine]

    def _table(self, named: Named) -> Sharded:
        """Return the table of a name, which comes with it the first time."""
        name, table = named
        if table is not None:
            self._tables[name] = table
        return self._tables[name]

    def total(self, named: Named, work: Callable[[Examples], Any], features: bool) -> Reply:
        """Return the sums of ``work`` over the shards, as ``Source.total`` of each gives them."""
        began = time.perf_counter()
        table = self._table(named)
        counted = 0

        def leaf(index: int) -> Any:
            nonlocal counted
            if not table.counts[index]:
                return None
            rows, found = self._with(table, index, lambda source: (source.rows, source.total(work, features=features)))
            counted += rows
            return found

        sums = {node: sum_below(node, leaf) for node in nodes_of(self.mine.start, self.mine.stop)}
        return Reply(sums, counted, time.perf_counter() - began)

    def walk(self, named: Named, work: Callable[[Sequence[tuple[int, Source]]], Walked]) -> Walked:
        """Return ``work`` of all shards that have rows; where one is damaged, it is opened anew first."""
        table = self._table(named)
        mine = [index for index in self.mine if table.counts[index]]
        try:
            return work([(index, self._source(table, index)) for index in mine])
        except DamagedError:
            for index in mine:
                self._with(table, index, lambda source: source.total(_read))
            return work([(index, self._source(table, index)) for index in mine])

    def pick(self, named: Named, rows: Indices) -> Examples | None:
        """Return the examples of some global rows, rising, that lie in these shards; None where none does."""
        table = self._table(named)
        parts: list[Examples] = []
        for index in self.mine:
            first, last = table.starts[index], table.starts[index + 1]
            inside = rows[(rows >= first) & (rows < last)] - first
            if inside.size:
                parts.append(self._with(table, index, lambda source, inside=inside: source.pick(inside)))
        return joined(parts) if parts else None

    def _with(self, table: Sharded, index: int, work: Callable[[Source], Part]) -> Part:
        """Return the work on a shard, opened anew where what was kept of it turns out to be damaged."""
        try:
            return work(self._source(table, index))
        except DamagedError:
            self._opened.pop((table.name, index), None)
            table.opener.discard(index)
            return work(self._source(table, index))

    def _source(self, table: Sharded, index: int) -> Source:
        place = table.name, index
        if place not in self._opened:
            self._opened[place] = self._nearer(table.opener.open(index))
        return self._opened[place]

    def _nearer(self, source: Source) -> Source:
        """Return a stream held in memory where there is room, else one that shares its buffers with the others."""
        if not isinstance(source, Stream):
            return source
        stream = source.through(self._rings.setdefault(source.layout, []))
        size = stream.rows * stream.layout.held_bytes
        if size > self.left:
            return stream
        self.left -= size
        return Held(stream)


def _read(examples: Examples) -> int:
    return examples.rows


def end_process(process: int) -> None:
    """End a process of this machine, if it is there still and a worker of Ray."""
    with suppress(OSError):
        if b"ray::Worker" in Path(f"/proc/{process}/cmdline").read_bytes():
            os.kill(process, signal.SIGKILL)


def keep_to(threads: int) -> None:
    """Let this process work with so many threads: kernels, Parquet and JAX."""
    os.environ["DOWNSLOPE_THREADS"] = str(threads)
    if threads == 1:  # read by JAX when a network first steps here
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    pyarrow: Any = arrow()
    pyarrow.set_cpu_count(threads)
    pyarrow.set_io_thread_count(threads)


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
