"""One training by steps on rows without their zeros, with all that it remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np

from downslope.data.blocks import Examples, Source, SparseRows
from downslope.engines.arguments import LossShape
from downslope.engines.racing import penalty_of, relative_weights
from downslope.engines.sparse_steps import Entries, run_sparse_output_steps, run_sparse_steps, settle
from downslope.models.linear import Objective, Point
from downslope.types import FloatArray, Indices, Vector

Shown: TypeAlias = "tuple[FloatArray, Vector]"
"""Gains and sizes (d + 1, k + 1), and (3,) what ``seen`` held."""
NO_ORDER: Indices = np.empty(0, np.int32)


@dataclass
class SparseTraining:
    """Where a training by sparse steps stands; the arrays change in place.

    base: p + m, the place of the first sparse column. state: (d + 1, 2 k + 2), see ``sparse_steps``. seen: (3,)
    examples met, the sum of their normalised squares, and the clock of the penalties. shift: (s,) centre over scale of
    the sparse columns: steps leave centres out, since the intercept takes them up. limit: the mean loss of a batch
    above which the training ends.
    """

    base: int
    objective: Objective
    state: FloatArray
    seen: Vector
    shift: Vector | None
    limit: float
    _rows: tuple[Examples, Entries] | None = None

    @classmethod
    def start(cls, examples: Source, objective: Objective, start: Point, limit: float) -> SparseTraining:
        """Return a training at ``start`` on examples whose numbers are model features."""
        state = np.zeros((examples.features + 1, 2 * objective.outputs + 2), examples.dtype)
        base = examples.numbers + examples.levels
        training = cls(base, objective, state, np.zeros(3), _shift(examples), limit)
        training.place(start)
        return training

    def place(self, point: Point) -> None:
        """Set the weights, and leave what else is remembered."""
        outputs = self.objective.outputs
        self.state[:-1, :outputs] = point.weights
        self.state[-1, :outputs] = point.intercept
        if self.shift is not None:
            self.state[-1, :outputs] -= self.shift @ point.weights[self.base :]

    def widen(self, features: int) -> None:
        """Make room for sparse columns that came up since, and for more to come; their weights are zero."""
        there = self.state.shape[0]
        if features + 1 > there:
            more = max(features + 1 - there, there // 4)
            new = np.zeros((more, self.state.shape[1]), self.state.dtype)
            self.state = np.concatenate([self.state[:-1], new, self.state[-1:]])

    def advance(
        self, examples: Examples, order: Indices, begin: int, end: int, batch: int, rates: Vector
    ) -> tuple[int, float]:  # fmt: skip
        """Run the batches of ``order[begin:end]`` of examples in one block; return the updates and the summed loss."""
        if self._rows is None or self._rows[0] is not examples:
            self._rows = examples, entries_of(examples)
        objective, rows = self.objective, self._rows[1]._replace(order=order)
        loss, penalty = LossShape.of(objective.loss), penalty_of(objective)
        if objective.outputs == 1:
            return run_sparse_steps(rows, begin, end, batch, loss, penalty, rates, self.state, self.seen, self.limit)
        return run_sparse_output_steps(
            rows, begin, end, batch, objective.softmax, loss, penalty, rates, self.state, self.seen, self.limit,
            objective.outputs,
        )  # fmt: skip

    @property
    def shown(self) -> Shown:
        """What every column has shown so far, without the weights."""
        outputs = self.objective.outputs
        return self.state[:, outputs : 2 * outputs + 1].copy(), self.seen.copy()

    def take_up(self, shown: Shown) -> None:
        """Go on from what the columns have shown to an earlier training, if it had as many; the weights stay."""
        outputs = self.objective.outputs
        if shown[0].shape == (self.state.shape[0], outputs + 1):
            self.state[:, outputs : 2 * outputs + 1] = shown[0]
            self.seen[:2] = shown[1][:2]

    def point(self) -> Point:
        """Return where the training stands, every penalty paid."""
        outputs = self.objective.outputs
        settle(self.state, outputs, cast("float", self.state.dtype.type(self.seen[2])), penalty_of(self.objective))
        self.seen[2] = 0.0
        weights = self.state[:-1, :outputs].astype(np.float64)
        intercept = self.state[-1, :outputs].astype(np.float64)
        if self.shift is not None:
            intercept = intercept + self.shift @ weights[self.base :]
        return Point(weights, intercept)


def _shift(examples: Source) -> Vector | None:
    """Return centre over scale of the sparse columns (s,), None where they have none."""
    if examples.sparse_scale is None or examples.sparse_center is None:
        return None
    return examples.sparse_center * (1.0 / examples.sparse_scale)


def entries_of(examples: Examples) -> Entries:
    """Return what the loops read of examples in one block, scales taken into the values."""
    (block,) = examples.blocks
    sparse = block.sparse
    if sparse is None:
        none = np.empty(0, np.int32)
        sparse = SparseRows(np.zeros(block.rows + 1, np.int64), none, np.empty(0, block.numbers.dtype))
    values = sparse.values
    if examples.sparse_scale is not None:
        share = 1.0 / examples.sparse_scale
        values = values * share.astype(values.dtype)[sparse.places]
    return Entries(
        block.numbers, block.codes, sparse.starts, sparse.places, values, examples.numbers + examples.levels,
        examples.target, relative_weights(examples), NO_ORDER,
    )  # fmt: skip
