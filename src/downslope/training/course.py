"""One training in batches: the course that it follows, and what runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.batches import order
from downslope.data.blocks import Examples, Source
from downslope.data.large.stream import Stream
from downslope.data.large.windows import Windows, window_rows
from downslope.engines import stepping
from downslope.engines.arguments import LossShape, Rule, State
from downslope.engines.racing import EXPLODED, Lanes, penalty_of, rows_of
from downslope.engines.sparse_training import SparseTraining
from downslope.models.linear import Objective, Point
from downslope.steps import PLAIN, schedule
from downslope.training.checkpoint import Keeper
from downslope.types import Indices, JsonValue, Vector
from downslope.words import say

LOOKS = 16
"""Times an epoch is looked at, so that divergence is caught while it happens."""


@dataclass(frozen=True)
class Turn:
    """What is stepped on between two looks: ``rows[begin:end]`` of some examples in memory."""

    index: int
    examples: Examples
    rows: Indices
    begin: int
    end: int


@dataclass
class Course:
    """What one run in batches goes by.

    updates: planned, by which the schedule has run its course; 0 for whole epochs.
    """

    examples: Source
    objective: Objective
    batch: int
    rule: int
    momentum: float
    epochs: int
    schedule: str
    warmup: float
    average: bool
    seed: int
    updates: int = 0

    @cached_property
    def windows(self) -> Windows | None:
        """The windows of rows in memory that a stream is stepped on in, None where all rows are."""
        if not isinstance(self.examples, Stream):
            return None
        return Windows(self.examples, self.seed, window_rows(self.examples))

    @property
    def sizes(self) -> list[int]:
        """The rows of each window; of examples in memory there is one."""
        return [self.examples.rows] if self.windows is None else self.windows.sizes

    @property
    def updates_an_epoch(self) -> int:
        """Batches in one epoch, partial ones included: the last, and in a stream that of each window."""
        return sum(-(-rows // self.batch) for rows in self.sizes)

    def share(self, first: int, count: int) -> Vector:
        """Return the schedule of ``count`` updates from ``first`` on."""
        updates = np.arange(first, first + count, dtype=np.float64)
        return schedule(self.schedule, updates, self.updates or self.epochs * self.updates_an_epoch, self.warmup)

    def pieces(self) -> list[tuple[int, int, int]]:
        """Return the (window, begin, end) of the pieces in which an epoch is run, whole batches each."""
        looks = -(-LOOKS // len(self.sizes))
        found: list[tuple[int, int, int]] = []
        for window, rows in enumerate(self.sizes):
            edges = np.unique(np.linspace(0, -(-rows // self.batch), looks + 1).astype(int)) * self.batch
            edges[-1] = rows
            found += [(window, *pair) for pair in pairwise(edges.tolist())]
        return found

    def turns(self, epoch: int, first: int = 0) -> Iterator[Turn]:
        """Yield the pieces of an epoch from ``first`` on, each with its rows in memory."""
        pieces = list(enumerate(self.pieces()))[first:]
        if not pieces:
            return
        held = self._held(epoch, pieces[0][1][0])
        for _, inside in groupby(pieces, key=lambda each: each[1][0]):
            examples, rows = next(held)
            for index, (_, begin, end) in inside:
                yield Turn(index, examples, rows, begin, end)

    def _held(self, epoch: int, first: int) -> Iterator[tuple[Examples, Indices]]:
        """Yield the windows of an epoch from ``first`` on, each with the order of its rows."""
        if self.windows is not None:
            yield from self.windows.epoch(epoch, first)
        elif isinstance(self.examples, Examples):
            yield self.examples, order(self.examples.rows, self.seed, epoch)

    @property
    def averaging_from(self) -> int:
        """The epoch after which iterates are averaged: the second half of the run."""
        return self.epochs // 2


def trainer_of(course: Course, rate: float, start_objective: float, start: Point) -> Single | Several | Sparse:
    """Return what runs one training: the fastest kernels for one output, a lane for several, sparse steps."""
    if course.examples.sparse:
        return Sparse(course, rate, start_objective, start)
    kind = Single if course.objective.outputs == 1 else Several
    return kind(course, rate, start_objective, start)


def _held(course: Course, some: Examples | None) -> Examples:
    """Return the examples in memory that are stepped on."""
    held = course.examples if some is None else some
    assert isinstance(held, Examples)
    return held


class Single:
    """One training of one output: the fastest kernels."""

    def __init__(self, course: Course, rate: float, start_objective: float, start: Point) -> None:
        """Place the training at ``start``; a batch far above ``start_objective`` will end it."""
        self.course, self.rate = course, rate
        self.weights = np.append(start.weights[:, 0], start.intercept).astype(course.examples.dtype)
        self.first, self.second = np.zeros_like(self.weights), np.zeros_like(self.weights)
        self.average, self.averaged = np.zeros(self.weights.shape[0]), 0
        self.averaging = False
        self.updates = 0
        self.limit = EXPLODED * max(start_objective, 1e-300)

    def advance(self, rows: Indices, begin: int, end: int, some: Examples | None = None) -> tuple[float, bool]:
        """Run ``rows[begin:end]``, of the course's examples or of some of them in memory.

        Return the mean loss met, and whether all batches were run.
        """
        course, objective = self.course, self.course.objective
        count = -(-(end - begin) // course.batch)
        rates = self.rate * course.share(self.updates, count)
        given = rows_of(_held(course, some), rows)
        loss, penalty = LossShape.of(objective.loss), penalty_of(objective)
        if course.batch == 1 and course.rule == PLAIN and not self.averaging and objective.l1 == 0:
            done, total = stepping.run_single_steps(given, begin, end, loss, penalty, rates, self.weights, self.limit)
        else:
            done, total, averaged = stepping.run_steps(
                given, begin, end, course.batch, loss, penalty, Rule(course.rule, course.momentum), rates,
                State(self.weights, self.first, self.second, self.average), self.averaged if self.averaging else -1,
                self.updates, self.limit,
            )  # fmt: skip
            self.averaged = averaged if self.averaging else self.averaged
        self.updates += done
        return total / max(end - begin, 1), done == count

    def point(self) -> Point:
        """Return where the training stands, the mean of its iterates once there is one."""
        flat = self.average if self.averaged > 0 else self.weights.astype(np.float64)
        return Point(flat[:-1, None].copy(), flat[-1:].copy())

    def to_checkpoint(self) -> tuple[dict[str, NDArray[Any]], dict[str, JsonValue]]:
        """Return all that the training remembers, as arrays and JSON."""
        arrays = {name: getattr(self, name) for name in ("weights", "first", "second", "average")}
        return arrays, {"averaged": self.averaged, "made": self.updates}

    def restore(self, keeper: Keeper, values: Mapping[str, JsonValue]) -> None:
        """Go on from what ``to_checkpoint`` gave; raises RunError where the arrays do not fit."""
        for name, array in keeper.fitting(self.to_checkpoint()[0]).items():
            setattr(self, name, array)
        self.averaged, self.updates = values["averaged"], values["made"]


class Several:
    """One training of several outputs: one lane."""

    def __init__(self, course: Course, rate: float, start_objective: float, start: Point) -> None:
        """Place the training at ``start``; a batch far above ``start_objective`` will end it."""
        self.course = course
        limit = EXPLODED * max(start_objective, 1e-300)
        self.lanes = Lanes.start(
            course.examples, course.objective, np.array([rate]), course.rule, course.momentum, None, limit, start
        )
        self.averaging = False
        self.updates = 0

    def advance(self, rows: Indices, begin: int, end: int, some: Examples | None = None) -> tuple[float, bool]:
        """Run ``rows[begin:end]`` as ``Single.advance`` does."""
        course = self.course
        count = -(-(end - begin) // course.batch)
        if self.averaging and self.lanes.averaged < 0:
            self.lanes.averaged = 0
        share = course.share(self.updates, count)
        losses = self.lanes.epoch(_held(course, some), course.objective, rows, course.batch, share, 0, begin, end)
        self.updates += count
        return float(losses[0]), bool(self.lanes.alive[0])

    def point(self) -> Point:
        """Return where the training stands, the mean of its iterates once there is one."""
        return self.lanes.point(0, average=True)

    def to_checkpoint(self) -> tuple[dict[str, NDArray[Any]], dict[str, JsonValue]]:
        """Return all that the training remembers, as arrays and JSON."""
        return lane_arrays(self.lanes), {"averaged": self.lanes.averaged, "made": self.updates}

    def restore(self, keeper: Keeper, values: Mapping[str, JsonValue]) -> None:
        """Go on from what ``to_checkpoint`` gave; raises RunError where the arrays do not fit."""
        self.lanes = lanes_of(self.lanes, keeper, values["averaged"])
        self.updates = values["made"]


class Sparse:
    """One training on rows without their zeros, of any number of outputs."""

    def __init__(self, course: Course, rate: float, start_objective: float, start: Point) -> None:
        """Place the training at ``start``; a batch far above ``start_objective`` will end it."""
        self.course, self.rate = course, rate
        limit = EXPLODED * max(start_objective, 1e-300)
        self.training = SparseTraining.start(course.examples, course.objective, start, limit)
        self.averaging = False
        self.updates = 0

    def advance(self, rows: Indices, begin: int, end: int, some: Examples | None = None) -> tuple[float, bool]:
        """Run ``rows[begin:end]`` as ``Single.advance`` does."""
        count = -(-(end - begin) // self.course.batch)
        rates = self.rate * self.course.share(self.updates, count)
        done, total = self.training.advance(_held(self.course, some), rows, begin, end, self.course.batch, rates)
        self.updates += done
        return total / max(end - begin, 1), done == count

    def point(self) -> Point:
        """Return where the training stands."""
        return self.training.point()

    def to_checkpoint(self) -> tuple[dict[str, NDArray[Any]], dict[str, JsonValue]]:
        """Return all that the training remembers, as arrays and JSON."""
        return {"state": self.training.state, "seen": self.training.seen}, {"made": self.updates}

    def restore(self, keeper: Keeper, values: Mapping[str, JsonValue]) -> None:
        """Go on from what ``to_checkpoint`` gave; raises RunError where the arrays do not fit."""
        found = keeper.fitting(self.to_checkpoint()[0])
        self.training.state, self.training.seen = found["state"], found["seen"]
        self.updates = values["made"]


LANE_ARRAYS = ("rates", "every", "weights", "first", "second", "updates", "alive", "average")


def lane_arrays(lanes: Lanes) -> dict[str, NDArray[Any]]:
    """Return what lanes remember, by name."""
    return {f"lanes.{name}": getattr(lanes, name) for name in LANE_ARRAYS}


def lanes_of(start: Lanes, keeper: Keeper, averaged: int) -> Lanes:
    """Return the lanes that a checkpoint holds, as many as were left; raises RunError where they do not fit."""
    begin = keeper.begin
    kept = begin.arrays.get("lanes.rates") if begin is not None else None
    if kept is None or not 0 < kept.size <= start.rates.size:
        raise keeper.foreign(say("it holds other learning rates"))
    like = lane_arrays(start.keep(np.arange(kept.size)))
    found = keeper.fitting(like)
    return replace(start, averaged=averaged, **{name: found[f"lanes.{name}"] for name in LANE_ARRAYS})
