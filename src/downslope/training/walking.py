"""The rows that a holder steps on in one round, in an order drawn afresh each epoch, wherever they lie.

Files are often sorted, by time or by what is to be learned, and so are the blocks made of them. To step on one block
after the other would follow each in turn and forget the ones before. So a round takes a few batches of every block in
memory, then the next few of every block, and so on to the end of its share; and windows of streams in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import TypeAlias

from downslope.data.batches import order, order_within
from downslope.data.blocks import Examples, Source
from downslope.data.large.held import Held
from downslope.data.large.stream import Stream
from downslope.data.large.windows import Window, Windows, piece_rows, window_rows
from downslope.types import Indices

Slice: TypeAlias = tuple[Examples, Indices, int, int]
"""Examples, an order of them, and from which place in it to which they are stepped on."""
TOGETHER = 16
"""Streams whose windows take turns; each has a thread that reads ahead."""
PARTS = 4096
"""Blocks that a shard in memory has at most, so that each has an order of its own."""


@lru_cache(maxsize=1)
def _orders_of(seed: int, epoch: int) -> dict[tuple[int, int], Indices]:
    """Return where the orders of one epoch are kept, by place and rows: every round of it goes on in them."""
    del seed, epoch
    return {}


class Slices:
    """The rows of one epoch that a holder steps on.

    held: numbered shards. The orders of what is in memory are drawn once an epoch, and kept until the next.
    """

    def __init__(self, held: Sequence[tuple[int, Source]], seed: int, epoch: int) -> None:
        """Take the shards in the order of an epoch."""
        self.seed, self.epoch = seed, epoch
        mixed = [held[int(index)] for index in order(len(held), seed + 1, epoch)]
        self._streams = [source for _, source in mixed if isinstance(source, Stream)]
        self._parts = [(number * PARTS + part, each) for number, source in mixed for part, each in _parts(source)]

    def of(self, turn: int, turns: int, at_once: int, batch: int = 1) -> Iterator[Slice]:
        """Yield one of ``turns`` rounds: slices of each block in memory in turn, and windows of each stream in turn.

        at_once: rows of a block, about, before the next block has its turn. batch: slices are whole batches, but for
        the last of a block. What is yielded is valid until the next is asked for.
        """
        mixed = [(part, self._order(place, part.rows)) for place, part in self._parts]
        yield from _in_turn(mixed, turn, turns, at_once, batch)
        for first in range(0, len(self._streams), TOGETHER):
            for windows in self._windows(self._streams[first : first + TOGETHER], turn, turns):
                yield from _in_turn(windows, 0, 1, at_once, batch)

    def _order(self, place: int, rows: int) -> Indices:
        kept = _orders_of(self.seed, self.epoch)
        if (place, rows) not in kept:
            kept[place, rows] = order_within(rows, self.seed, self.epoch, place)
        return kept[place, rows]

    def _windows(
        self, streams: Sequence[Stream], turn: int, turns: int
    ) -> Iterator[list[tuple[Window, Indices]]]:  # fmt: skip
        """Yield a window of each stream, so small that all of them take the memory of one, then the next of each."""
        halvings = (len(streams) - 1).bit_length()
        under_way: list[Iterator[tuple[Window, Indices]]] = []
        for stream in streams:
            windows = Windows(stream, self.seed, max(window_rows(stream) >> halvings, piece_rows(stream)))
            edges = [windows.count * each // turns for each in (turn, turn + 1)]
            under_way.append(windows.epoch(self.epoch, *edges))
        for together in zip_longest(*under_way):
            yield [each for each in together if each is not None]


def _in_turn(
    parts: Sequence[tuple[Examples, Indices]], turn: int, turns: int, at_once: int, batch: int
) -> Iterator[Slice]:
    """Yield some rows of each part, then the next of each, to the end of one of ``turns`` shares."""
    largest = max((part.rows for part, _ in parts), default=0)
    cuts = max(largest // (turns * max(at_once, batch)), 1) if len(parts) > 1 else 1
    for cut in range(turn * cuts, (turn + 1) * cuts):
        for part, rows in parts:
            begin, end = (_edge(part.rows, each, turns * cuts, batch) for each in (cut, cut + 1))
            if end > begin:
                yield part, rows, begin, end


def _parts(source: Source) -> Iterator[tuple[int, Examples]]:
    """Return the numbered blocks of a shard that lie in memory."""
    if isinstance(source, Held):
        return enumerate(source.parts)
    return enumerate([source] if isinstance(source, Examples) else [])


def _edge(rows: int, turn: int, turns: int, batch: int) -> int:
    """Return where a turn begins, after whole batches; the end of the rows where there are no more turns."""
    return rows if turn == turns else rows * turn // turns // batch * batch
