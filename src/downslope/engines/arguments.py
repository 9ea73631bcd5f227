"""What the compiled loops are given, in groups: plain named tuples, whose fields the compiler sees."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.losses import Loss
from downslope.types import Codes, FloatArray, Indices, Vector

Counts: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


class Rows(NamedTuple):
    """The examples that batches are drawn from.

    numbers: (n, p), model features. codes: (n, q). target: (n,) float64. weights: (n,) float64 with mean 1, or
    empty where every example counts the same. order: the rows in the order in which batches take them.
    """

    numbers: FloatArray
    codes: Codes
    target: Vector
    weights: Vector
    order: Indices


class LossShape(NamedTuple):
    """What the compiled loops know of a loss: see ``downslope.losses.Loss``."""

    family: int
    low: float
    high: float
    width: float

    @classmethod
    def of(cls, loss: Loss) -> LossShape:
        """Return the shape of a loss."""
        return cls(loss.family, loss.low, loss.high, loss.width)


class Penalty(NamedTuple):
    """The penalties of an objective, and whether its intercept is learned."""

    l1: float
    l2: float
    intercept: bool


class Rule(NamedTuple):
    """How a gradient becomes a step: the number of a rule in ``downslope.steps``, and its momentum."""

    number: int
    momentum: float


class State(NamedTuple):
    """Where a training stands, changed in place: the intercept is the last row of each array.

    weights, first, second: (d + 1,) or (d + 1, columns) in the precision of the data; the last two are what
    the rule remembers. average: of the same shape in float64, the mean of the iterates averaged so far.
    """

    weights: FloatArray
    first: FloatArray
    second: FloatArray
    average: FloatArray
