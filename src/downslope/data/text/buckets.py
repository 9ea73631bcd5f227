"""Buckets: the numbers of a hash that training rows have met, as columns side by side, and their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from downslope.types import Codes

MOST_DIRECT = 1 << 26
"""Buckets up to which a column is looked up in a table of all of them; above, by bisection of those met."""

FIRST, COUNT, MIXED, LARGEST = range(4)
"""What is told of a column: the id met first, how many entries, 1 where other ids came, the largest size."""
TOLD = 4

Part = TypeVar("Part")


@dataclass(frozen=True)
class Buckets:
    """Buckets as columns.

    ids: (s,) int32, the bucket of each column, the most frequent first. letters, ends: the names of the first columns
    in UTF-8, one after the other, and where each ends.
    """

    ids: Codes
    letters: NDArray[np.uint8] = field(default_factory=lambda: np.empty(0, np.uint8))
    ends: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def none(cls) -> Buckets:
        """Return no bucket."""
        return cls(np.empty(0, np.int32))

    @classmethod
    def met(cls, ids: Codes) -> tuple[Buckets, NDArray[np.int64]]:
        """Return the buckets of some entries, and how many entries (s,) each has, the most frequent first."""
        highest = int(ids.max(initial=-1)) + 1
        if highest <= max(4 * ids.shape[0], 1 << 20):
            return cls.counted(np.bincount(ids, minlength=highest))
        return cls._ranked(*np.unique(ids, return_counts=True))

    @classmethod
    def counted(cls, counts: NDArray[Any]) -> tuple[Buckets, NDArray[np.int64]]:
        """Return the buckets that were met so often, (buckets,), and how often (s,), the most frequent first."""
        used = np.flatnonzero(counts)
        return cls._ranked(used, counts[used].astype(np.int64))

    @classmethod
    def _ranked(cls, used: NDArray[Any], counts: NDArray[np.int64]) -> tuple[Buckets, NDArray[np.int64]]:
        order = np.argsort(-counts, kind="stable")
        return cls(used[order].astype(np.int32)), counts[order]

    @property
    def size(self) -> int:
        """s, the number of columns."""
        return int(self.ids.shape[0])

    def named(self, names: Sequence[bytes]) -> Buckets:
        """Return the buckets with names for the first of them; where a name is cut, it is cut between characters."""
        whole = [name.split(b"\0")[0].decode("utf-8", "ignore").encode() for name in names]
        ends = np.cumsum([len(name) for name in whole], dtype=np.int64)
        return replace(self, letters=np.frombuffer(b"".join(whole), np.uint8), ends=ends)

    def name(self, place: int) -> str:
        """Return the name of a column, or its bucket where no name is kept."""
        if place < self.ends.shape[0]:
            begin = int(self.ends[place - 1]) if place else 0
            told = self.letters[begin : int(self.ends[place])].tobytes().decode("utf-8", "replace")
            if told:
                return told
        return f"bucket {self.ids[place]}"

    def table(self, size: int) -> Codes:
        """Return the column of each of the first ``size`` buckets, -1 where it has none."""
        columns = np.full(size, -1, np.int32)
        columns[self.ids] = np.arange(self.size, dtype=np.int32)
        return columns

    def finder(self) -> Callable[[Codes], Codes]:
        """Return what gives the columns of buckets, -1 where a bucket was not met in training."""
        highest = int(self.ids.max(initial=-1)) + 1
        if highest < MOST_DIRECT:
            table = self._direct
            return lambda ids: table[np.minimum(ids, highest)]
        return self._bisected

    @cached_property
    def _direct(self) -> Codes:
        """The columns of all buckets up to the highest that was met, and of one that stands for all above."""
        return self.table(int(self.ids.max(initial=-1)) + 2)

    @cached_property
    def _sorted(self) -> tuple[Codes, NDArray[np.intp]]:
        order = np.argsort(self.ids)
        return self.ids[order], order

    def _bisected(self, ids: Codes) -> Codes:
        known, order = self._sorted
        places = np.minimum(np.searchsorted(known, ids), known.shape[0] - 1)
        return np.where(known[places] == ids, order[places], -1).astype(np.int32)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {"ids": self.ids, "letters": self.letters, "ends": self.ends}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> Buckets:
        """Return the buckets that ``arrays`` gave."""
        return cls(arrays["ids"], arrays["letters"], arrays["ends"])
