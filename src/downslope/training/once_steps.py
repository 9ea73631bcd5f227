"""The steps of one pass: rates raced in lanes on dense rows, one training at a rate chosen before on sparse ones."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.choices.batch_size import choose_batch_size
from downslope.choices.learning_rate import LANES, SPREAD
from downslope.choices.sparse_steps import check_sparse_rule, choose_sparse_rate, sparse_batch_size
from downslope.choices.start import constant_start
from downslope.data.blocks import Examples
from downslope.data.large.windows import Window
from downslope.engines.racing import EXPLODED, Lanes
from downslope.engines.sparse_training import SparseTraining
from downslope.models.linear import Objective, Point
from downslope.records import Choice, Spec
from downslope.steps import ADAGRAD, rule_number
from downslope.training.checkpoint import Checkpoint, Keeper
from downslope.training.course import lane_arrays, lanes_of
from downslope.types import Indices, JsonValue, Vector
from downslope.words import say


class Steps(ABC):
    """What steps on the rows of a pass, at one rate or several.

    batch: examples of a step. rule: its number. start: where the steps begin. choices: made before the first step.
    """

    batch: int
    rule: int
    start: Point
    choices: list[Choice]

    @property
    @abstractmethod
    def rates(self) -> Vector:
        """Those still in the race, highest first."""

    @property
    @abstractmethod
    def alive(self) -> NDArray[np.bool_]:
        """(rates,) whether each has a finite loss."""

    @abstractmethod
    def advance(self, window: Window, order: Indices, seen: int) -> Vector:
        """Step once on every row of a window; return the mean loss (rates,) met before each step.

        seen: rows stepped on before these.
        """

    @abstractmethod
    def halve(self, losses: Vector) -> None:
        """Drop the worse half of the rates by their losses (rates,)."""

    @abstractmethod
    def point(self, rate: float) -> Point:
        """Return where the steps at a rate have led."""

    @abstractmethod
    def to_checkpoint(self) -> tuple[dict[str, NDArray[Any]], dict[str, JsonValue]]:
        """Return all that is remembered, as arrays and JSON."""

    @abstractmethod
    def restore(self, keeper: Keeper, begin: Checkpoint) -> None:
        """Go on from what ``to_checkpoint`` gave; raises RunError where the arrays do not fit."""


class Raced(Steps):
    """Rates side by side in lanes, on dense rows."""

    def __init__(self, head: Examples, objective: Objective, spec: Spec, keeper: Keeper, start: float) -> None:
        """Choose what is left to choice by the first rows; start: F at zero. Raises OptionError."""
        self.objective, self.spec, self.choices = objective, spec, []
        self.rule = rule_number("adagrad" if spec.rule == "auto" else spec.rule)
        self.batch = self._batch(head, keeper)
        self.start = Point.zeros(head.features, objective.outputs)
        self.lanes = Lanes.start(
            head,
            objective,
            first_rates(spec),
            self.rule,
            spec.momentum,
            None,
            EXPLODED * max(start, 1e-300),
            self.start,
        )

    def _batch(self, head: Examples, keeper: Keeper) -> int:
        spec = self.spec
        if spec.method == "stochastic":
            return 1
        if not isinstance(spec.batch_size, str):
            return int(spec.batch_size)
        choice = keeper.choose(
            "batch_size", lambda: choose_batch_size(head, self.objective, self.rule, spec.momentum, spec.seed)
        )
        self.choices.append(choice)
        return int(choice.value)

    @property
    def rates(self) -> Vector:
        """Those of the lanes."""
        return self.lanes.rates

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Those of the lanes."""
        return self.lanes.alive

    def advance(self, window: Window, order: Indices, seen: int) -> Vector:
        """See ``Steps``."""
        batches = -(-window.rows // self.batch)
        share = np.ones(batches)
        if self.rule < ADAGRAD:
            seen_before = seen + self.batch * np.arange(batches)
            share = 1.0 / np.sqrt(1.0 + seen_before / (self.batch * (window.features + 1)))
        return self.lanes.epoch(window, self.objective, order, self.batch, share, 0)

    def halve(self, losses: Vector) -> None:
        """See ``Steps``."""
        ranked = np.argsort(np.where(self.alive, losses, np.inf), kind="stable")
        self.lanes = self.lanes.keep(np.sort(ranked[: max(1, self.rates.size // 2)]))
        if self.rates.size == 1 and self.spec.average is True:
            self.lanes.averaged = 0

    def point(self, rate: float) -> Point:
        """See ``Steps``."""
        lane = int(np.flatnonzero(self.rates == rate)[0])
        return self.lanes.point(lane, average=True)

    def to_checkpoint(self) -> tuple[dict[str, NDArray[Any]], dict[str, JsonValue]]:
        """See ``Steps``."""
        return lane_arrays(self.lanes), {"averaged": self.lanes.averaged}

    def restore(self, keeper: Keeper, begin: Checkpoint) -> None:
        """See ``Steps``."""
        self.lanes = lanes_of(self.lanes, keeper, begin.values["averaged"])


class Sparse(Steps):
    """One training on rows without their zeros, whose columns become more."""

    def __init__(self, head: Examples, objective: Objective, spec: Spec, keeper: Keeper, start: float) -> None:
        """Choose what is left to choice by the first rows; start: F at zero. Raises OptionError."""
        check_sparse_rule(spec)
        self.choices, self.rule = [], ADAGRAD
        self.batch = 1
        if spec.method != "stochastic":
            if isinstance(spec.batch_size, str):
                self.choices.append(sparse_batch_size(head))
            self.batch = int(self.choices[0].value if self.choices else spec.batch_size)
        if isinstance(spec.learning_rate, str):
            chosen = keeper.choose(
                "learning_rate", lambda: choose_sparse_rate(head, objective, self.batch, spec.seed)
            )  # fmt: skip
            self.choices.append(chosen)
        rate = spec.learning_rate if not isinstance(spec.learning_rate, str) else self.choices[-1].value
        self.rate, self.well = float(rate), True
        self.start = constant_start(head, objective)
        self.training = SparseTraining.start(head, objective, self.start, EXPLODED * max(start, 1e-300))

    @property
    def rates(self) -> Vector:
        """The only one."""
        return np.array([self.rate])

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Whether it has a finite loss, (1,)."""
        return np.array([self.well])

    def advance(self, window: Window, order: Indices, seen: int) -> Vector:
        """See ``Steps``."""
        del seen
        batches = -(-window.rows // self.batch)
        self.training.widen(window.features)
        rates = np.full(batches, self.rate)
        done, total = self.training.advance(window, order, 0, window.rows, self.batch, rates)
        self.well = done == batches and math.isfinite(total)
        return np.array([total / window.rows if self.well else np.inf])

    def halve(self, losses: Vector) -> None:
        """Keep the only rate."""

    def point(self, rate: float) -> Point:
        """See ``Steps``."""
        del rate
        return self.training.point()

    def to_checkpoint(self) -> tuple[dict[str, NDArray[Any]], dict[str, JsonValue]]:
        """See ``Steps``."""
        return {"state": self.training.state, "seen": self.training.seen}, {}

    def restore(self, keeper: Keeper, begin: Checkpoint) -> None:
        """See ``Steps``: the rows that came before the checkpoint come again, and with them its columns."""
        arrays, mine = begin.arrays, self.training.state
        state = arrays.get("state", np.empty((0, 0)))
        if state.shape[1:] != mine.shape[1:] or state.dtype != mine.dtype or state.shape[0] < mine.shape[0]:
            raise keeper.foreign(say("it holds the state of other columns"))
        self.training.state, self.training.seen = state, keeper.fitting({"seen": self.training.seen})["seen"]


def first_rates(spec: Spec) -> Vector:
    """Return the rates to race, highest first: a standard unit, and factors of two below."""
    if not isinstance(spec.learning_rate, str):
        return np.array([float(spec.learning_rate)])
    return 1.0 / SPREAD ** np.arange(LANES, dtype=np.float64)
