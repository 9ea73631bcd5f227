"""The order of a stream's examples in steps on batches: pieces of blocks drawn afresh, rows mixed within a window.

A full shuffle would read every row by itself. Here each epoch deals pieces (some ten kilobytes each) to windows that
fit in memory, and shuffles the rows of each. The pieces are dealt by strata: of W consecutive pieces each of the W
windows gets one, drawn at random. So every window is a sample of the whole table, and of a table that is sorted hardly
a worse one than a full shuffle gives. Which rows meet depends on the seed, the epoch, the global index and the rows of
a window, never on how files are cut. While one window is stepped on, the next is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.batches import order_within
from downslope.data.blocks import Examples
from downslope.data.large.layout import PIECES, Columns, Gathered
from downslope.data.large.stream import Stream
from downslope.types import Indices, Matrix, Vector

ORDER_BYTES, WEIGHT_BYTES = 4, 24
"""Bytes of a row in memory beside what is read: its place in the order, and its weight on the way to the engine."""


@dataclass(frozen=True)
class Window(Examples):
    """Some rows of a stream in memory, which count as they do among all. mean_weight: of all examples."""

    mean_weight: float = 1.0

    @cached_property
    def weight_sum(self) -> float:
        """The weight that so many examples have on average."""
        return self.rows * self.mean_weight


def piece_rows(stream: Stream) -> int:
    """Return the rows of a piece."""
    return max(stream.layout.rows // PIECES, 1)


def window_rows(stream: Stream) -> int:
    """Return the rows of a window: whole pieces, a power of two of them, as many as the stream may hold."""
    weighted = bool(stream.layout.weight_type) or stream.class_share is not None
    width = stream.layout.held_bytes + ORDER_BYTES + (WEIGHT_BYTES if weighted else 0)
    size = piece_rows(stream)
    return size << max(stream.window // (size * width), 1).bit_length() - 1


class Windows:
    """The windows of a stream, epoch after epoch; two of them are in memory.

    rows: of a window, see ``window_rows``.
    """

    def __init__(self, stream: Stream, seed: int, rows: int) -> None:
        """Take what is mixed."""
        self.stream, self.seed, self.rows = stream, seed, rows
        size = piece_rows(stream)
        self.whole, short = divmod(stream.rows, size)
        count = -(-(self.whole + (short > 0)) // (rows // size))
        self.strata, more = divmod(self.whole, count)
        self.sizes = [size * (self.strata + (window < more)) for window in range(count)]
        self.sizes[-1] += short
        self.short = short > 0
        self._memory: list[tuple[Columns, Gathered | None]] = []

    def owners(self, epoch: int) -> NDArray[np.int64]:
        """Return the window that each piece belongs to in an epoch, (pieces,); a short one, to the last."""
        count = len(self.sizes)
        drawn = np.random.Generator(np.random.SFC64(np.random.SeedSequence((self.seed, epoch))))
        dealt = drawn.permuted(np.tile(np.arange(count), (self.strata, 1)), axis=1).ravel()
        more = drawn.permutation(self.whole - self.strata * count)
        return np.concatenate([dealt, more, np.full(int(self.short), count - 1)])

    def pieces(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the pieces of each window of an epoch, rising."""
        owners = self.owners(epoch)
        cuts = np.cumsum(np.bincount(owners, minlength=len(self.sizes)))[:-1]
        return np.split(np.argsort(owners, kind="stable"), cuts)

    @property
    def count(self) -> int:
        """Windows of an epoch."""
        return len(self.sizes)

    def epoch(self, epoch: int, first: int = 0, end: int | None = None) -> Iterator[tuple[Window, Indices]]:
        """Yield the windows of an epoch from ``first`` up to ``end``, each with the order of its rows.

        Each is valid until the next but one is asked for, for the memory is used again. Raises DamagedError.
        """
        self.stream.check()
        if not self._memory:
            self._memory = [self._room(max(self.sizes)) for _ in range(2)]
        pieces = self.pieces(epoch)
        with ThreadPoolExecutor(1, thread_name_prefix="downslope-window") as reader:
            coming: Future[tuple[Window, Indices]] | None = None
            end = self.count if end is None else end
            for index in range(first, end):
                ready = self._load(pieces, epoch, index) if coming is None else coming.result()
                last = index + 1 == end
                coming = None if last else reader.submit(self._load, pieces, epoch, index + 1)
                yield ready

    def _room(self, rows: int) -> tuple[Columns, Gathered | None]:
        """Return memory that a window of so many rows is read into."""
        layout = self.stream.layout
        return Columns.empty(layout, rows), Gathered(layout, rows) if layout.value_type else None

    def _load(self, pieces: list[NDArray[np.int64]], epoch: int, index: int) -> tuple[Window, Indices]:
        chosen = pieces[index]
        found = self.stream.examples(self.stream.read_pieces(_spans(self.stream, chosen), *self._memory[index % 2]))
        window = Window(
            found.blocks, found.levels, found.target, found.weights, found.center, found.scale, True,
            sparse=found.sparse, mean_weight=self.stream.weight_sum / self.stream.rows,
        )  # fmt: skip
        return window, order_within(found.rows, self.seed, epoch, index)

    def apart(self, classes: int) -> tuple[float, float]:
        """Return how far the mean targets of the windows of the first epoch lie apart, and what a full shuffle gives.

        Both are deviations between windows in deviations of the target: the correlation ratio eta, which for rows dealt
        at random to W windows is about ``sqrt((W - 1) / (n - 1))``. classes: of the target, 0 for a number.
        """
        sums, squares = self._target_sums(max(classes, 1), numeric=not classes)
        rows = np.array(self.sizes, np.float64)[:, None]
        mean = sums.sum(axis=0) / rows.sum()
        total = float((squares / rows.sum() - mean**2).sum())
        between = float((rows * (sums / rows - mean) ** 2).sum() / rows.sum())
        shuffled = (len(self.sizes) - 1) / max(self.stream.rows - 1, 1)
        return (between / total) ** 0.5 if total > 0 else 0.0, shuffled**0.5

    def _target_sums(self, columns: int, *, numeric: bool) -> tuple[Matrix, Vector]:
        """Return the sum of the target, or of what says its class, by window (windows, columns), and its squares."""
        owner, size = self.owners(0), piece_rows(self.stream)
        sums, squares = np.zeros((len(self.sizes), columns)), np.zeros(columns)
        first = 0
        for part in self.stream.parts(features=False):
            place = owner[np.arange(first, first + part.rows) // size]
            if numeric:
                sums[:, 0] += np.bincount(place, weights=part.target, minlength=len(self.sizes))
                squares += part.target @ part.target
            else:
                cells = place * columns + part.target.astype(np.int64)
                sums += np.bincount(cells, minlength=sums.size).reshape(sums.shape)
            first += part.rows
        return sums, squares if numeric else sums.sum(axis=0)


def _spans(stream: Stream, pieces: NDArray[Any]) -> list[tuple[int, int, int]]:
    """Return (block, first row, row after the last) of some pieces."""
    size, block_rows = piece_rows(stream), stream.layout.rows
    return [
        (block, first, min(first + size, stream.rows_of(block)))
        for block, first in (divmod(piece * size, block_rows) for piece in pieces.tolist())
    ]
