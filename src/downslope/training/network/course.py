"""What one training of a network goes by: how many updates, when to look, and the learning rates on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from downslope.data.batches import order
from downslope.records import Spec
from downslope.steps import schedule
from downslope.types import Indices, Vector

EPOCHS, FEWEST_EPOCHS, EXAMPLES = 20, 6, 300_000
"""Passes that are planned where none are named: as many as go through so many examples, within these two. The rate
falls to zero by the end of the plan, and a plan that overfits before it never sees the small rates."""
LEAST_UPDATES = 1000
"""Updates that a training is planned for where no epochs are named and a table is so short that 20 give fewer."""
WARMUP = 0.05
"""Share of the updates over which the rate rises, where no schedule is named."""
RACE_SHARE, RACE_LEAST, RACE_MOST = 0.02, 100, 0.1
"""Updates that the raced rates get, or that pass before the first measurement: this share of all, at least so many,
at most that share."""
LOOKS_AN_EPOCH, LOOKS_SHARE = 4, 0.1
"""Most looks at the held-out part an epoch: a long epoch is looked at in between, as far as that takes no more than
this share of its time."""
STEP_PASSES = 3
"""Passes forward that a step costs, its gradient included."""
LONG_EPOCH = 2000
"""Updates of an epoch that is looked at in between."""


@dataclass(frozen=True)
class Course:
    """The plan of a training, known before its first step.

    rows: training examples. batch: examples a step. updates: in all. look: updates between two looks. race:
    updates for which the rates are raced, 0 where the rate is given. first, every: updates before the first
    measurement of curvature and noise, and between two, 0 for no more. schedule, warmup: as in ``Spec``.
    """

    rows: int
    batch: int
    updates: int
    look: int
    race: int
    first: int
    every: int
    schedule: str
    warmup: float
    seed: int

    @property
    def updates_an_epoch(self) -> int:
        """Batches in one epoch, the partial last one included."""
        return -(-self.rows // self.batch)

    def passes(self, updates: int) -> float:
        """Return how often every example has been used after so many updates."""
        epochs, rest = divmod(updates, self.updates_an_epoch)
        return epochs + min(rest * self.batch, self.rows) / self.rows

    def share(self, first: int, count: int) -> Vector:
        """Return the schedule of ``count`` updates from ``first`` on."""
        return schedule(self.schedule, np.arange(first, first + count, dtype=np.float64), self.updates, self.warmup)

    def next_stop(self, updates: int) -> int:
        """Return where the next chunk ends at the latest: an epoch, a look, a measurement, the race or the run."""
        ends = [self._multiple(updates, self.updates_an_epoch), self._multiple(updates, self.look), self.updates]
        ends += [mark for mark in (self.race, self.first) if updates < mark]
        if self.every:
            ends.append(self._multiple(updates, self.every))
        return min(ends)

    def measures_at(self, updates: int) -> bool:
        """Say whether curvature and noise are measured after so many updates."""
        return updates == self.first or bool(self.every and updates % self.every == 0)

    def looks_at(self, updates: int) -> bool:
        """Say whether the held-out part is looked at after so many updates."""
        return updates % self.look == 0 or updates == self.updates

    @staticmethod
    def _multiple(updates: int, step: int) -> int:
        return (updates // step + 1) * step


def planned_passes(rows: int, spec: Spec) -> float:
    """Return the passes over so many rows that a training is planned for, a short table's fewest updates aside."""
    if not isinstance(spec.epochs, str):
        return float(spec.epochs)
    return min(max(EXAMPLES / rows, FEWEST_EPOCHS), EPOCHS)


def course_of(rows: int, batch: int, spec: Spec, own_rate: bool, held: int = 0) -> Course:
    """Return the plan of a training; own_rate: the rate need not be raced. held: held-out examples."""
    an_epoch = -(-rows // batch)
    if isinstance(spec.epochs, str):
        updates = max(math.ceil(planned_passes(rows, spec) * an_epoch), LEAST_UPDATES)
    else:
        updates = max(1, math.ceil(float(spec.epochs) * an_epoch))
    first = min(max(RACE_LEAST, round(RACE_SHARE * updates)), max(1, round(RACE_MOST * updates)))
    race = 0 if own_rate else first
    every = 0 if spec.measure_every is None else max(1, round(spec.measure_every * an_epoch))
    affordable = LOOKS_SHARE * STEP_PASSES * rows / max(held, 1)
    look = an_epoch if an_epoch < LONG_EPOCH else -(-an_epoch // int(np.clip(affordable, 1, LOOKS_AN_EPOCH)))
    usual = spec.schedule == "auto"
    warmup = spec.warmup or (WARMUP if usual else 0.0)
    if race and not spec.warmup:
        warmup = race // 2 / updates  # so that the half of the race that is judged runs at the whole rates
    name = "cosine" if usual else spec.schedule
    return Course(rows, batch, updates, look, race, first, every, name, warmup, spec.seed)


class Order:
    """The rows of consecutive updates, across epochs; each epoch's order is drawn once."""

    def __init__(self, course: Course) -> None:
        """Take the course whose seed and batches it follows."""
        self.course, self.epoch = course, -1
        self._drawn: Indices = np.empty(0, np.int32)

    def rows(self, first: int, count: int) -> Indices:
        """Return the rows of ``count`` updates from ``first`` on, all of one epoch."""
        epoch, within = divmod(first, self.course.updates_an_epoch)
        if epoch != self.epoch:
            self._drawn, self.epoch = order(self.course.rows, self.course.seed, epoch), epoch
        batch = self.course.batch
        return self._drawn[within * batch : min((within + count) * batch, self.course.rows)]
