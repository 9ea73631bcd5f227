"""Blocks: the currency between the data and the engines.

A table that fits in memory is one block; a table that does not is a stream of them. Either way a block
knows the global index of its first row, so an order of examples can depend on the seed and the global
index alone, never on how the rows happened to be cut.

What trains a model asks for two things only: sums over all examples, and a few examples by their index. A
``Source`` gives both, wherever its rows lie. Three cases explain it. ``Examples`` hold their rows in memory: a sum
is the work done on them, once. A stream reads block after block and adds up what the work gives of each. A cluster
lets each worker do that on its own rows and adds up what the workers send.

A category stays an index: ``codes[i, c]`` is the level of row i in category c, already offset by the
levels of the categories before it, so that ``weights[p + codes[i, c]]`` is the weight of that level. The
one-hot columns that the level stands for are never written out.

Text, hashed columns and sparse matrices keep their zeros unwritten too: a block may carry sparse rows beside its
numbers and codes. Their columns come last: ``weights[p + m + places[e]]`` is the weight of entry e.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar, cast

import numpy as np

from downslope.types import Codes, FloatArray, Indices, Offsets, Vector

Part = TypeVar("Part")
MANY = 1 << 18
"""Entries from which on a compiled loop takes them: a tenth of the time, and it must be loaded first."""


def add(left: Part, right: Part) -> Part:
    """Return the sum of two results of one piece of work: numbers, arrays, or tuples of such."""
    if isinstance(left, tuple):
        pairs = zip(cast("tuple[Any, ...]", left), cast("tuple[Any, ...]", right), strict=True)
        return cast("Part", tuple(add(each, other) for each, other in pairs))
    return cast("Any", left) + right


@dataclass(frozen=True)
class SparseRows:
    """Rows without their zeros: compressed sparse rows, three plain arrays.

    starts: (n + 1,) int64; row i is the entries ``starts[i]`` up to ``starts[i + 1]``. places: (entries,) int32, the
    column of each entry in [0, s), none twice in a row. values: (entries,) float, in the precision of the block.
    A slice of rows shares ``places`` and ``values``, so ``starts`` need not begin at 0.
    """

    starts: Offsets
    places: Codes
    values: FloatArray

    @property
    def rows(self) -> int:
        """Rows."""
        return self.starts.shape[0] - 1

    @property
    def entries(self) -> int:
        """Entries that are written out."""
        return int(self.starts[-1] - self.starts[0])

    def between(self, first: int, last: int) -> SparseRows:
        """Return the rows from ``first`` up to ``last``, without a copy."""
        return SparseRows(self.starts[first : last + 1], self.places, self.values)

    def take(self, rows: Indices) -> SparseRows:
        """Return the rows of the given indices, in that order."""
        lengths = self.starts[rows + 1] - self.starts[rows]
        starts = np.zeros(rows.shape[0] + 1, np.int64)
        np.cumsum(lengths, out=starts[1:])
        if starts[-1] >= MANY:
            from downslope.data.gather import take_rows

            places, values = np.empty(int(starts[-1]), np.int32), np.empty(int(starts[-1]), self.values.dtype)
            take_rows(self.starts, self.places, self.values, rows, starts, places, values)
            return SparseRows(starts, places, values)
        entries: Offsets = np.repeat(self.starts[rows] - starts[:-1], lengths) + np.arange(int(starts[-1]))
        return SparseRows(starts, self.places[entries], self.values[entries])

    @classmethod
    def joined(cls, parts: Sequence[SparseRows]) -> SparseRows:
        """Return the rows of all parts, one after the other."""
        cuts = [slice(int(each.starts[0]), int(each.starts[-1])) for each in parts]
        lengths = np.concatenate([np.diff(each.starts) for each in parts])
        return cls(
            np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            np.concatenate([each.places[cut] for each, cut in zip(parts, cuts, strict=True)]),
            np.concatenate([each.values[cut] for each, cut in zip(parts, cuts, strict=True)]),
        )


@dataclass(frozen=True)
class Block:
    """Some consecutive rows.

    start: global index of the first row.
    numbers: (n, p) float, C-contiguous.
    codes: (n, q) int32, C-contiguous, each value in [0, m).
    sparse: the sparse rows, or None where there are no sparse columns.
    """

    start: int
    numbers: FloatArray
    codes: Codes
    sparse: SparseRows | None = None

    @property
    def rows(self) -> int:
        """Rows in this block."""
        return self.numbers.shape[0]


@dataclass(frozen=True)
class Walked:
    """What came of steps on some rows: sums of arrays, how many rows, their loss, and whether all went well."""

    sums: tuple[FloatArray, ...]
    rows: int
    loss: float
    whole: bool


class Source(ABC):
    """Examples wherever they lie: what a linear model is trained on.

    levels, center, scale, applied, level_scale, level_offset, sparse, sparse_center, sparse_scale: as ``Examples``
    have them.
    """

    levels: int
    center: Vector
    scale: Vector
    applied: bool
    level_scale: Vector | None
    level_offset: Vector | None
    sparse: int
    sparse_center: Vector | None
    sparse_scale: Vector | None

    @property
    @abstractmethod
    def rows(self) -> int:
        """n, the number of examples."""

    @property
    @abstractmethod
    def categories(self) -> int:
        """q, the number of category features."""

    @property
    @abstractmethod
    def dtype(self) -> np.dtype[np.floating]:
        """float32 or float64: the precision of ``numbers``."""

    @abstractmethod
    def total(self, work: Callable[[Examples], Part], *, features: bool = True) -> Part:
        """Return the sum of ``work(part)`` over parts that together are all the examples.

        work: gives numbers, arrays or tuples of them (see ``add``), keeps nothing of what it was given, and, so that
        it can be sent to where the examples lie, is a function of a module or a ``functools.partial`` of one.
        features: False where the work looks at targets and weights alone; the parts may then have no features.
        """

    @abstractmethod
    def pick(self, rows: Indices) -> Examples:
        """Return the examples of the given global indices, rising, in memory as one block."""

    def each(self, work: Callable[[Sequence[tuple[int, Source]]], Walked]) -> list[Walked]:
        """Return what ``work`` gives of each of those who hold the rows: of (number, shard) of all that one holds.

        work: as ``total`` takes it, and its answer rests on nothing but itself and the rows.
        """
        return [work([(0, self)])]

    @property
    def numbers(self) -> int:
        """p, the number of number features."""
        return self.center.shape[0]

    @property
    def features(self) -> int:
        """d = p + m + s, the number of weights per output."""
        return self.numbers + self.levels + self.sparse

    @cached_property
    def entries(self) -> int:
        """Entries of all sparse rows together; 0 where there are no sparse columns."""
        return self.total(_entries) if self.sparse else 0

    @cached_property
    def weight_sum(self) -> float:
        """The sum of the example weights; n without weights."""
        return self.total(_weight_sum, features=False)

    @cached_property
    def target_mean(self) -> float:
        """The mean of the target by example weight."""
        return self.total(_target_sum, features=False) / self.weight_sum


@dataclass(frozen=True)
class Examples(Source):
    """Feature blocks with their targets and weights: all that a linear model is trained on.

    blocks: in the order of the global row index, without holes.
    levels: m, the number of levels of all categories together.
    target: (n,) float64. A number; for classification the class index 0 .. k-1.
    weights: (n,) float64, not negative, or None where every example counts the same.
    center, scale: (p,) float64. Model feature j is ``(original - center[j]) / scale[j]``.
    applied: True where ``numbers`` already hold model features; False where they hold original values
        (a caller's own array, which is read in place) and the engine applies center and scale as it reads.
    level_scale, level_offset: (m,) float64, or None for 1 and 0. The model feature of a level is
        ``offset + scale`` where the level is present and ``offset`` where it is not.
    sparse: s, the number of sparse columns; 0 where the blocks have none.
    sparse_center, sparse_scale: (s,) float64, or None for 0 and 1. The model feature of a sparse column is
        ``(original - center) / scale``; both are folded into the weights, and no zero is written out for them.
    """

    blocks: tuple[Block, ...]
    levels: int
    target: Vector
    weights: Vector | None
    center: Vector
    scale: Vector
    applied: bool
    level_scale: Vector | None = None
    level_offset: Vector | None = None
    sparse: int = 0
    sparse_center: Vector | None = None
    sparse_scale: Vector | None = None

    def __iter__(self) -> Iterator[Block]:
        """Iterate over the blocks, in order, as often as asked."""
        return iter(self.blocks)

    @property
    def rows(self) -> int:
        """n, the number of examples."""
        return self.target.shape[0]

    @property
    def categories(self) -> int:
        """q, the number of category features."""
        return self.blocks[0].codes.shape[1]

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32 or float64: the precision of ``numbers``."""
        return self.blocks[0].numbers.dtype

    def total(self, work: Callable[[Examples], Part], *, features: bool = True) -> Part:
        """Return the work done on all examples at once."""
        del features
        return work(self)

    def pick(self, rows: Indices) -> Examples:
        """Return the examples of the given global indices, rising, as one block."""
        parts = [
            (block, rows[inside] - block.start)
            for block in self
            if (inside := (rows >= block.start) & (rows < block.start + block.rows)).any()
        ]
        numbers = np.ascontiguousarray(np.concatenate([block.numbers[own] for block, own in parts]))
        codes = np.ascontiguousarray(np.concatenate([block.codes[own] for block, own in parts]))
        taken = [block.sparse.take(own) for block, own in parts if block.sparse is not None]
        sparse = SparseRows.joined(taken) if taken else None
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, blocks=(Block(0, numbers, codes, sparse),), target=self.target[rows], weights=weights)

    def retarget(self, target: Vector) -> Examples:
        """Return the same rows with another target, shape (n,)."""
        return replace(self, target=target)


def _entries(examples: Examples) -> int:
    return sum(block.sparse.entries for block in examples if block.sparse is not None)


def _weight_sum(examples: Examples) -> float:
    return float(examples.rows if examples.weights is None else examples.weights.sum())


def _target_sum(examples: Examples) -> float:
    return float(examples.target.sum() if examples.weights is None else examples.target @ examples.weights)
