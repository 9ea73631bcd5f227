"""Lanes in use: many trainings that share every batch read, kept together with what each remembers."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from downslope.data.blocks import Block, Examples, Source, SparseRows
from downslope.engines import lanes as compiled
from downslope.engines import linear as engine
from downslope.engines.arguments import Counts, Flags, LossShape, Penalty, Rows, Rule, State
from downslope.models.linear import Objective, Point
from downslope.types import FloatArray, Indices, Vector

EXPLODED = 1e6
"""A batch loss this many times that of the start ends a lane at once."""


def standardised(examples: Examples) -> Examples:
    """Return the examples with centre and scale applied, as steps on single rows need them, in one block.

    Those of sparse columns stay folded: a centre would fill the zeros.
    """
    if examples.applied and len(examples.blocks) == 1:
        return examples
    blocks = list(examples)
    numbers = np.concatenate([each.numbers for each in blocks])
    codes = np.concatenate([each.codes for each in blocks])
    parts = [each.sparse for each in blocks if each.sparse is not None]
    if not examples.applied:
        numbers -= examples.center.astype(numbers.dtype)
        numbers /= examples.scale.astype(numbers.dtype)
    block = Block(0, numbers, codes, SparseRows.joined(parts) if parts else None)
    return replace(examples, blocks=(block,), applied=True)


def relative_weights(examples: Examples) -> Vector:
    """Return the example weights with mean 1, or none."""
    return engine.NONE if examples.weights is None else examples.weights * (examples.rows / examples.weight_sum)


def rows_of(examples: Examples, order: Indices) -> Rows:
    """Return what the compiled loops read of examples in one block, in the given order."""
    block = examples.blocks[0]
    return Rows(block.numbers, block.codes, examples.target, relative_weights(examples), order)


def penalty_of(objective: Objective) -> Penalty:
    """Return the penalties of an objective for the compiled loops."""
    return Penalty(float(objective.l1), float(objective.l2), objective.intercept)


@dataclass
class Lanes:
    """Trainings side by side; the arrays change in place as they run.

    rates: (lanes,). every: (lanes,), batches that one step of the lane gathers. weights, first, second: (d + 1,
    lanes x outputs) in the precision of the data. updates, alive: (lanes,). limit: mean loss of a batch above
    which a lane ends. average: like weights, in float64; averaged: iterates in it, -1 where none is wanted.
    """

    rates: Vector
    every: Counts
    rule: int
    momentum: float
    outputs: int
    weights: FloatArray
    first: FloatArray
    second: FloatArray
    updates: Counts
    alive: Flags
    limit: float
    average: FloatArray
    averaged: int = -1

    @classmethod
    def start(
        cls, examples: Source, objective: Objective, rates: Vector, rule: int, momentum: float,
        every: Counts | None = None, limit: float = np.inf, start: Point | None = None,
    ) -> Lanes:  # fmt: skip
        """Place every lane at zero weights, or at ``start``."""
        columns = rates.size * objective.outputs
        zeros = np.zeros((examples.features + 1, columns), examples.dtype)
        weights = zeros.copy()
        if start is not None:
            weights[:] = np.tile(np.vstack([start.weights, start.intercept]), rates.size)
        steps = np.ones(rates.size, np.int64) if every is None else every.astype(np.int64)
        return cls(
            np.asarray(rates, np.float64), steps, rule, momentum, objective.outputs, weights, zeros, zeros.copy(),
            np.zeros(rates.size, np.int64), np.ones(rates.size, np.bool_), limit,
            np.zeros(zeros.shape),
        )  # fmt: skip

    def epoch(
        self, examples: Examples, objective: Objective, order: Indices, batch: int, share: Vector, epoch: int,
        begin: int = 0, end: int | None = None,
    ) -> Vector:  # fmt: skip
        """Run ``order[begin:end]`` in batches; return the mean loss (lanes,) seen on the way.

        share: (batches,), the schedule at each of these batches.
        """
        del epoch
        stop = order.shape[0] if end is None else end
        _, total, self.averaged = compiled.run_lanes(
            rows_of(examples, order), begin, stop, batch, LossShape.of(objective.loss), self.outputs,
            penalty_of(objective), Rule(self.rule, self.momentum),
            compiled.Pace(self.rates, share, self.every, self.updates, self.alive),
            State(self.weights, self.first, self.second, self.average), self.averaged, self.limit,
        )  # fmt: skip
        return total / max(stop - begin, 1)

    def point(self, lane: int, average: bool = False) -> Point:
        """Return where one lane stands."""
        columns = slice(lane * self.outputs, (lane + 1) * self.outputs)
        source = self.average if average and self.averaged > 0 else self.weights
        chosen = source[:, columns].astype(np.float64)
        return Point(np.ascontiguousarray(chosen[:-1]), chosen[-1].copy())

    def objectives(self, examples: Source, objective: Objective) -> Vector:
        """Return F of every lane, inf for one that blew up: one pass a lane."""
        reached = np.full(self.rates.size, np.inf)
        for lane in range(self.rates.size):
            point = self.point(lane)
            if self.alive[lane] and point.finite:
                value = engine.evaluate(examples, objective, point).objective
                reached[lane] = value if np.isfinite(value) else np.inf
        return reached

    def keep(self, lanes: Counts) -> Lanes:
        """Return the given lanes alone, with all that they remember."""
        columns = (lanes[:, None] * self.outputs + np.arange(self.outputs)).ravel()
        return replace(
            self, rates=self.rates[lanes], every=self.every[lanes], updates=self.updates[lanes],
            alive=self.alive[lanes], weights=np.ascontiguousarray(self.weights[:, columns]),
            first=np.ascontiguousarray(self.first[:, columns]), second=np.ascontiguousarray(self.second[:, columns]),
            average=np.ascontiguousarray(self.average[:, columns]),
        )  # fmt: skip
