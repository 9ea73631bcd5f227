"""Blocks: the currency between the data and the engines.

A table that fits in memory is one block; a table that does not is a stream of them. Either way a block
knows the global index of its first row, so an order of examples can depend on the seed and the global
index alone, never on how the rows happened to be cut.

A category stays an index: ``codes[i, c]`` is the level of row i in category c, already offset by the
levels of the categories before it, so that ``weights[p + codes[i, c]]`` is the weight of that level. The
one-hot columns that the level stands for are never written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from downslope.types import Codes, FloatArray, Vector


@dataclass(frozen=True)
class Block:
    """Some consecutive rows.

    start: global index of the first row.
    numbers: (n, p) float, C-contiguous.
    codes: (n, q) int32, C-contiguous, each value in [0, m).
    """

    start: int
    numbers: FloatArray
    codes: Codes

    @property
    def rows(self) -> int:
        """Rows in this block."""
        return self.numbers.shape[0]


@dataclass(frozen=True)
class Examples:
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

    def __iter__(self) -> Iterator[Block]:
        """Iterate over the blocks, in order, as often as asked."""
        return iter(self.blocks)

    @property
    def rows(self) -> int:
        """n, the number of examples."""
        return self.target.shape[0]

    @property
    def numbers(self) -> int:
        """p, the number of number features."""
        return self.center.shape[0]

    @property
    def categories(self) -> int:
        """q, the number of category features."""
        return self.blocks[0].codes.shape[1]

    @property
    def features(self) -> int:
        """d = p + m, the number of weights per output."""
        return self.numbers + self.levels

    @cached_property
    def weight_sum(self) -> float:
        """The sum of the example weights; n without weights."""
        return float(self.rows if self.weights is None else self.weights.sum())

    @cached_property
    def target_mean(self) -> float:
        """The mean of the target by example weight."""
        total = self.target.sum() if self.weights is None else self.target @ self.weights
        return float(total) / self.weight_sum

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """float32 or float64: the precision of ``numbers``."""
        return self.blocks[0].numbers.dtype

    def retarget(self, target: Vector) -> Examples:
        """Return the same rows with another target, shape (n,)."""
        return replace(self, target=target)
