"""The steps of one pass, at several rates side by side: in lanes on dense rows, each by a training on sparse ones."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downslope.choices.batch_size import choose_batch_size
from downslope.choices.learning_rate import LANES, SPREAD
from downslope.choices.sparse_steps import check_sparse_rule, sparse_batch_size, sparse_rates
from downslope.choices.start import constant_start
from downslope.data.blocks import Examples
from downslope.data.large.windows import Window
from downslope.data.parallel import in_parallel
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
    """Rates side by side on rows without their zeros, whose columns become more."""

    def __init__(self, head: Examples, objective: Objective, spec: Spec, keeper: Keeper, start: float) -> None:
        """Choose what is left to choice by the first rows; start: F at zero. Raises OptionError."""
        del keeper
        check_sparse_rule(spec)
        self.choices, self.rule = [], ADAGRAD
        self.batch = 1
        if spec.method != "stochastic":
            if isinstance(spec.batch_size, str):
                self.choices.append(sparse_batch_size(head))
            self.batch = int(self.choices[0].value if self.choices else cast("int", spec.batch_size))
        given = [spec.learning_rate] if not isinstance(spec.learning_rate, str) else sparse_rates(head, objective)
        self.racing: dict[float, bool] = {float(rate): True for rate in given}
        self.start = constant_start(head, objective)
        limit = EXPLODED * max(start, 1e-300)
        self.trainings: dict[float, SparseTraining] = {
            rate: SparseTraining.start(head, objective, self.start, limit) for rate in self.racing
        }  # fmt: skip

    @property
    def rates(self) -> Vector:
        """Those still in the race."""
        return np.array(list(self.racing))

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Whether each has a finite loss."""
        return np.array(list(self.racing.values()))

    def advance(self, window: Window, order: Indices, seen: int) -> Vector:
        """See ``Steps``."""
        del seen
        batches = -(-window.rows // self.batch)

        def step(rate: float) -> float:
            if not self.racing[rate]:
                return math.inf
            training = self.trainings[rate]
            training.widen(window.features)
            done, total = training.advance(window, order, 0, window.rows, self.batch, np.full(batches, rate))
            self.racing[rate] = done == batches and math.isfinite(total)
            return total / window.rows if self.racing[rate] else math.inf

        return np.array(in_parallel(step, self.racing))

    def halve(self, losses: Vector) -> None:
        """See ``Steps``."""
        rates = list(self.racing)
        ranked = np.argsort(losses, kind="stable")[: max(1, len(rates) // 2)]
        kept: list[float] = [rates[place] for place in np.sort(ranked)]
        self.racing = {rate: self.racing[rate] for rate in kept}
        self.trainings = {rate: self.trainings[rate] for rate in kept}

    def point(self, rate: float) -> Point:
        """See ``Steps``."""
        return self.trainings[rate].point()

    def to_checkpoint(self) -> tuple[dict[str, NDArray[Any]], dict[str, JsonValue]]:
        """See ``Steps``."""
        arrays = {
            f"{name}.{place}": getattr(training, name)
            for place, training in enumerate(self.trainings.values())
            for name in ("state", "seen")
        }
        return arrays | {"rates": self.rates, "alive": self.alive}, {}

    def restore(self, keeper: Keeper, begin: Checkpoint) -> None:
        """See ``Steps``: the rows that came before the checkpoint come again, and with them its columns."""
        arrays = begin.arrays
        rates: list[float] = arrays.get("rates", np.empty(0)).tolist()
        if not rates or not set(rates) <= set(self.racing) or "alive" not in arrays:
            raise keeper.foreign(say("it holds other learning rates"))
        trainings = {rate: self.trainings[rate] for rate in rates}
        for place, training in enumerate(trainings.values()):
            state, mine = arrays.get(f"state.{place}", np.empty((0, 0))), training.state
            if state.shape[1:] != mine.shape[1:] or state.dtype != mine.dtype or state.shape[0] < mine.shape[0]:
                raise keeper.foreign(say("it holds the state of other columns"))
            training.seen = keeper.fitting({f"seen.{place}": training.seen})[f"seen.{place}"]
            training.state = state
        self.trainings = trainings
        self.racing = {rate: bool(well) for rate, well in zip(rates, arrays["alive"], strict=True)}


def first_rates(spec: Spec) -> Vector:
    """Return the rates to race, highest first: a standard unit, and factors of two below."""
    if not isinstance(spec.learning_rate, str):
        return np.array([float(spec.learning_rate)])
    return 1.0 / SPREAD ** np.arange(LANES, dtype=np.float64)
