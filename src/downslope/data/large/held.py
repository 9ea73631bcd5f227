"""The blocks of a stream held in memory, where there is room: the same sums, and no disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from downslope.data.blocks import Examples, Source, add
from downslope.data.large.stream import Stream
from downslope.types import Indices

Part = TypeVar("Part")


class Held(Source):
    """The examples of a stream, read once; a sum has the same bits, since it is added up block by block."""

    def __init__(self, stream: Stream) -> None:
        """Read a stream of at least one row; raises DamagedError."""
        for name in (
            "levels", "center", "scale", "applied", "level_scale", "level_offset", "sparse", "sparse_center",
            "sparse_scale",
        ):  # fmt: skip
            setattr(self, name, getattr(stream, name))
        self.stream = stream
        self.parts = [part.pick(np.arange(part.rows)) for part in stream.parts()]

    @property
    def rows(self) -> int:
        """n, the number of examples."""
        return self.stream.rows

    @property
    def categories(self) -> int:
        """q, the number of category features."""
        return self.stream.categories

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32 or float64: the precision of ``numbers``."""
        return self.stream.dtype

    def total(self, work: Callable[[Examples], Part], *, features: bool = True) -> Part:
        """Return the sum of the work on each block, in their order."""
        del features
        found: Any = None
        for part in self.parts:
            result = work(part)
            found = result if found is None else add(found, result)
        return found

    def pick(self, rows: Indices) -> Examples:
        """Return the examples of the given indices, rising, in memory as one block."""
        size, found = self.stream.layout.rows, list[Examples]()
        for block in np.unique(rows // size):
            inside = rows[rows // size == block] - block * size
            found.append(self.parts[int(block)].pick(inside))
        return self.stream.together(found)
