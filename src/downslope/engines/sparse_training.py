"""One training by steps on rows without their zeros, with all that it remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, cast

import numpy as np

from downslope.data.blocks import Examples, SparseRows
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

    state: (d + 1, 2 k + 2), see ``sparse_steps``. seen: (3,) examples met, the sum of their normalised squares, and the
    clock of the penalties. shift: (s,) centre over scale of the sparse columns: steps leave centres out, since the
    intercept takes them up. limit: the mean loss of a batch above which the training ends.
    """

    rows: Entries
    objective: Objective
    state: FloatArray
    seen: Vector
    shift: Vector | None
    limit: float

    @classmethod
    def start(cls, examples: Examples, objective: Objective, start: Point, limit: float) -> SparseTraining:
        """Return a training at ``start`` on examples in one block, whose numbers are model features."""
        rows, shift = entries_of(examples)
        outputs, dtype = objective.outputs, rows.values.dtype
        state = np.zeros((examples.features + 1, 2 * outputs + 2), dtype)
        training = cls(rows, objective, state, np.zeros(3), shift, limit)
        training.place(start)
        return training

    def place(self, point: Point) -> None:
        """Set the weights, and leave what else is remembered."""
        outputs = self.objective.outputs
        self.state[:-1, :outputs] = point.weights
        self.state[-1, :outputs] = point.intercept
        if self.shift is not None:
            self.state[-1, :outputs] -= self.shift @ point.weights[self.rows.base :]

    def advance(self, order: Indices, begin: int, end: int, batch: int, rates: Vector) -> tuple[int, float]:
        """Run the batches of ``order[begin:end]``; return the updates done and the summed loss."""
        objective, rows = self.objective, self.rows._replace(order=order)
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
            intercept = intercept + self.shift @ weights[self.rows.base :]
        return Point(weights, intercept)


def entries_of(examples: Examples) -> tuple[Entries, Vector | None]:
    """Return what the loops read of examples in one block, scales taken into the values, and centre over scale."""
    (block,) = examples.blocks
    sparse = block.sparse
    if sparse is None:
        none = np.empty(0, np.int32)
        sparse = SparseRows(np.zeros(block.rows + 1, np.int64), none, np.empty(0, block.numbers.dtype))
    values, shift = sparse.values, None
    if examples.sparse_scale is not None and examples.sparse_center is not None:
        share = 1.0 / examples.sparse_scale
        values = values * share.astype(values.dtype)[sparse.places]
        shift = examples.sparse_center * share
    rows = Entries(
        block.numbers, block.codes, sparse.starts, sparse.places, values, examples.numbers + examples.levels,
        examples.target, relative_weights(examples), NO_ORDER,
    )  # fmt: skip
    return rows, shift
