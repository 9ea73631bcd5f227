"""A source of sums that reads block after block from disk, one ahead of the work.

The blocks go round in a ring of buffers that are used again, by plain reads and not by a map of the file, so what is
resident is what the ring holds. One thread reads and widens the next block while the engine's threads work on this.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from downslope.data.blocks import Block, Examples, Source, SparseRows, add
from downslope.data.large.layout import (
    Buffers,
    Columns,
    DamagedError,
    Gathered,
    Layout,
    columns_in,
    read_block,
    read_rows,
)
from downslope.types import Indices, Vector

Part = TypeVar("Part")

RING = 3
"""Blocks in memory at once: one worked on, one read and waiting, one being read."""
AHEAD = 3
"""Blocks that the disk is told of before they are asked for."""


@dataclass(frozen=True, eq=False)
class Stream(Source):
    """The examples of one part of a block cache.

    folder: of its blocks, ``00000000.block`` and so on, all of ``layout.rows`` but the last. key: of the cache. count:
    examples. class_share: (classes,) a factor on the weight of each class, or None. window: bytes that a window of rows
    to be mixed may take. levels, center, scale: as ``Examples`` have them; model features are stored, so both are
    applied.
    """

    folder: Path
    key: str
    layout: Layout
    count: int
    levels: int
    center: Vector
    scale: Vector
    class_share: Vector | None = None
    window: int = 64 << 20
    applied: bool = True
    level_scale: Vector | None = None
    level_offset: Vector | None = None
    sparse: int = 0
    sparse_center: Vector | None = None
    sparse_scale: Vector | None = None
    checked: set[int] = field(default_factory=set[int])
    _ring: list[Buffers] = field(default_factory=list[Buffers])

    @property
    def rows(self) -> int:
        """n, the number of examples."""
        return self.count

    @property
    def categories(self) -> int:
        """q, the number of category features."""
        return self.layout.categories

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32 or float64: the precision of ``numbers``."""
        return np.dtype(self.layout.number_type)

    @cached_property
    def entries(self) -> int:
        """Entries of all sparse rows together, as the scan counted them."""
        return round(self.layout.entries * self.count)

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return -(-self.count // self.layout.rows)

    def path(self, block: int) -> Path:
        """Return where a block lies."""
        return self.folder / f"{block:08d}.block"

    def weighted(self, class_share: Vector) -> Stream:
        """Return the same examples, the weight of each class multiplied by a factor (classes,)."""
        return replace(self, class_share=class_share, _ring=[])

    def through(self, ring: list[Buffers]) -> Stream:
        """Return the same examples, read through a ring that streams of one layout use in turn."""
        return replace(self, _ring=ring)

    def total(self, work: Callable[[Examples], Part], *, features: bool = True) -> Part:
        """Return the sum of the work on each block, in their order; raises DamagedError."""
        found: Any = None
        for block in self.parts(features=features):
            part = work(block)
            found = part if found is None else add(found, part)
        return found

    def parts(self, *, features: bool = True, blocks: Sequence[int] | None = None) -> Generator[Examples]:
        """Yield blocks as Examples; each is valid until the next is asked for."""
        order = range(self.blocks) if blocks is None else blocks
        if not self._ring:
            self._ring.extend(Buffers.of(self.layout) for _ in range(RING))
        with ThreadPoolExecutor(1, thread_name_prefix="downslope-read") as reader:
            waiting: list[Future[Examples]] = []
            ahead = iter(enumerate(order))
            try:
                for turn, block in ahead:
                    waiting.append(reader.submit(self._load, self._ring[turn % RING], block, features))
                    if len(waiting) == RING - 1:
                        break
                while waiting:
                    ready = waiting.pop(0).result()
                    following = next(ahead, None)
                    if following is not None:
                        turn, block = following
                        waiting.append(reader.submit(self._load, self._ring[turn % RING], block, features))
                    yield ready
            finally:
                for each in waiting:
                    each.cancel()

    def check(self) -> None:
        """Compare the checksums of all blocks that were not read whole yet; raises DamagedError."""
        for _ in self.parts(blocks=[block for block in range(self.blocks) if block not in self.checked]):
            pass

    def _load(self, buffers: Buffers, block: int, features: bool) -> Examples:
        check = block not in self.checked
        if features:
            self._announce(block + AHEAD)
        rows, entries = read_block(self.path(block), self.key, self.layout, buffers, features=features, check=check)
        if rows != self.rows_of(block):
            raise DamagedError(f"{self.path(block)} has another number of rows than it should have")
        if features:
            self.checked.add(block)
        return self.examples(columns_in(self.layout, buffers, rows, entries, features=features))

    def _announce(self, block: int) -> None:
        """Let the system begin to read a block that will be asked for soon."""
        if block >= self.blocks or not hasattr(os, "posix_fadvise"):
            return
        with suppress(OSError), self.path(block).open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)

    def examples(self, read: Columns) -> Examples:
        """Return some rows, as they were read, as Examples with the weights of their classes."""
        each = read.weights if self.layout.weight_type else None
        if self.class_share is not None:
            share = self.class_share[read.target.astype(np.intp)]
            each = share if each is None else each * share
        return self._of(Block(0, read.numbers, read.codes, read.sparse), read.target, each)

    def _of(self, block: Block, target: Vector, weights: Vector | None) -> Examples:
        """Return rows whose weights are complete as Examples."""
        return Examples(
            (block,), self.levels, target, weights, self.center, self.scale, applied=True, sparse=self.sparse
        )

    def pick(self, rows: Indices) -> Examples:
        """Return the examples of the given indices, rising, in memory as one block."""
        found: list[Examples] = []
        size = self.layout.rows
        blocks = np.unique(rows // size)
        for block, part in zip(blocks, self.parts(blocks=blocks.tolist()), strict=True):
            inside = rows[(rows >= block * size) & (rows < (block + 1) * size)] - block * size
            found.append(part.pick(inside))
        return self.together(found)

    def together(self, parts: Sequence[Examples]) -> Examples:
        """Return the rows of some parts, each one block whose weights are complete, as one block."""
        blocks = [each.blocks[0] for each in parts]
        sparse = [each.sparse for each in blocks if each.sparse is not None]
        weights = [each.weights for each in parts if each.weights is not None]
        block = Block(
            0, np.concatenate([each.numbers for each in blocks]), np.concatenate([each.codes for each in blocks]),
            SparseRows.joined(sparse) if sparse else None,
        )  # fmt: skip
        target = np.concatenate([each.target for each in parts])
        return self._of(block, target, np.concatenate(weights) if weights else None)

    def read_pieces(
        self, pieces: Sequence[tuple[int, int, int]], into: Columns, entries: Gathered | None
    ) -> Columns:  # fmt: skip
        """Read (block, first, last), in their order, one after another into memory; return the rows there now.

        entries: where sparse rows go. Raises DamagedError.
        """
        if entries is not None:
            entries.clear()
        groups = [(block, [span[1:] for span in spans]) for block, spans in groupby(pieces, key=itemgetter(0))]
        for group in groups[:AHEAD]:
            self._announce_rows(*group)
        place = 0
        for turn, (block, spans) in enumerate(groups):
            if turn + AHEAD < len(groups):
                self._announce_rows(*groups[turn + AHEAD])
            with self._scattered(block) as file:
                for first, last in spans:
                    here = slice(place, place + last - first)
                    read_rows(file, self.layout, self.rows_of(block), first, last, into[here])
                    place += last - first
                if entries is not None:
                    entries.read(file, self.rows_of(block), spans)
        return replace(into[:place], sparse=None if entries is None else entries.found())

    def rows_of(self, block: int) -> int:
        """Return the rows of a block: all are whole but the last."""
        return min(self.layout.rows, self.count - block * self.layout.rows)

    @contextmanager
    def _scattered(self, block: int) -> Generator[int]:
        """Open a block of which only some rows will be read; raises DamagedError."""
        try:
            file = os.open(self.path(block), os.O_RDONLY)
        except OSError as error:
            raise DamagedError(f"{self.path(block)} cannot be read: {error.strerror}") from error
        try:
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)
            yield file
        finally:
            os.close(file)

    def _announce_rows(self, block: int, spans: Sequence[tuple[int, int]]) -> None:
        """Let the system begin to read some rows of a block."""
        if not hasattr(os, "posix_fadvise"):
            return
        with self._scattered(block) as file:
            for first, last in spans:
                for place, size in self.layout.ranges(self.rows_of(block), first, last).values():
                    os.posix_fadvise(file, place, size, os.POSIX_FADV_WILLNEED)
