"""Mini-batches where rows lie apart: each holder steps on its own rows, and every round the weights are averaged.

Three cases explain it. With one holder it is plain mini-batch descent, cut into rounds. With a round of one batch each,
it is one descent whose batch is that of all holders together. Between the two lies local SGD (Stich 2019): the average
is weighted by the examples that each has stepped on. A round begins from the averaged weights alone, so it can be asked
for again of another holder, and a run is taken up from the last round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from downslope.choices.batch_size import choose_batch_size
from downslope.choices.curvature import Moments, sampled
from downslope.choices.learning_rate import candidate_rates
from downslope.choices.rounds import choose_rounds
from downslope.data.blocks import Examples, Source, Walked
from downslope.data.large.windows import Window
from downslope.engines import linear as engine
from downslope.engines.racing import Lanes
from downslope.errors import OptionError
from downslope.models.linear import Objective, Point
from downslope.records import Choice, Curvature, GapKind, Spec
from downslope.records.spec import RULES
from downslope.steps import PLAIN
from downslope.training.checkpoint import Checkpoint, Keeper, point_arrays, point_of
from downslope.training.course import Course, Several, Single
from downslope.training.divergence import Fall, explain_divergence
from downslope.training.judging import REFRESHED, Judge
from downslope.training.logbook import DIVERGED, Descent, Logbook
from downslope.training.metric import Metric
from downslope.training.walking import Slice, Slices
from downslope.types import JsonValue
from downslope.words import say

KIND = "batches in rounds"
"""What the checkpoints call themselves."""
RACED = 1 << 15
"""Examples on which learning rates are raced."""
RACE_EPOCHS = 4
AT_ONCE = 8
"""Batches of one block in memory before the next block has its turn."""


@dataclass(frozen=True)
class Walk:
    """One round of a holder: from the weights of all, over a slice of its own rows, in a fresh order each epoch.

    mean_weight: of all examples. limit: mean loss of a batch above which the walk ends.
    """

    point: Point
    objective: Objective
    batch: int
    rate: float
    epochs: int
    schedule: str
    warmup: float
    seed: int
    epoch: int
    turn: int
    turns: int
    mean_weight: float
    limit: float

    def __call__(self, held: Sequence[tuple[int, Source]]) -> Walked:
        """Return where the steps on some numbered shards lead, with the examples stepped on and their mean loss."""
        if not held:
            return Walked((np.zeros_like(self.point.weights), np.zeros_like(self.point.intercept)), 0, 0.0, True)
        rows = sum(source.rows for _, source in held)
        updates = self.epochs * max(-(-rows // self.batch), 1)
        course = Course(
            held[0][1], self.objective, self.batch, PLAIN, 0.0, self.epochs, self.schedule, self.warmup, False,
            self.seed, updates,
        )  # fmt: skip
        trainer = (Single if self.objective.outputs == 1 else Several)(course, self.rate, self.limit, self.point)
        trainer.updates = int((self.epoch + self.turn / self.turns) * updates / self.epochs)
        stepped, loss, whole = 0, 0.0, True
        for examples, chosen, begin, end in self._slices(held):
            mean, whole = trainer.advance(chosen, begin, end, self._weighed(examples))
            stepped, loss = stepped + end - begin, loss + mean * (end - begin)
            if not whole:
                break
        point = trainer.point()
        return Walked((point.weights * stepped, point.intercept * stepped), stepped, loss, whole and point.finite)

    def _slices(self, held: Sequence[tuple[int, Source]]) -> Iterator[Slice]:
        return Slices(held, self.seed, self.epoch).of(self.turn, self.turns, AT_ONCE * self.batch, self.batch)

    def _weighed(self, part: Examples) -> Examples:
        """Return rows that count as they do among all."""
        return Window(
            part.blocks, part.levels, part.target, part.weights, part.center, part.scale, part.applied,
            mean_weight=self.mean_weight,
        )  # fmt: skip


def descend_in_rounds(
    examples: Source, objective: Objective, moments: Moments, metric: Metric, shape: Curvature, spec: Spec,
    log: Logbook, start: Point | None, keeper: Keeper,
) -> tuple[Descent, list[Choice], dict[str, JsonValue]]:  # fmt: skip
    """Run rounds until the gap is reached, the budget is spent, or the loss grows."""
    if spec.rule not in ("auto", RULES[PLAIN]) or spec.average is True or examples.sparse:
        message = say("rounds of mini-batches take plain steps on dense rows; leave rule and average out")
        raise OptionError(message)
    choices: list[Choice] = []
    sample = sampled(examples, min(RACED, examples.rows), spec.seed)
    batch = _batch(sample, objective, spec, choices, keeper)
    epochs = max(1, math.ceil(log.most_passes))
    schedule = "cosine" if spec.schedule == "auto" else spec.schedule
    log.counts_updates = True
    rate = _rate(sample, objective, batch, schedule, shape, spec, choices, keeper)
    holders = len(examples.each(_one))
    choice = keeper.choose(
        "rounds_an_epoch",
        lambda: choose_rounds(examples, objective, holders, batch, PLAIN, spec.momentum, spec.seed),
    )
    choices.append(choice)
    first = Walk(
        start or Point.zeros(examples.features, objective.outputs), objective, batch, rate, epochs, schedule,
        spec.warmup, spec.seed, 0, 0, int(choice.value), examples.weight_sum / examples.rows, log.start,
    )  # fmt: skip
    descent = _Rounds(first, Judge(examples, objective, moments, metric, log, spec), keeper).run()
    if descent.failed:
        fall = Fall(log.updates, rate, batch, RULES[PLAIN], descent.point)
        descent = replace(
            descent, message=explain_divergence(fall, examples, objective, shape, moments, metric, spec)
        )  # fmt: skip
    settled: dict[str, JsonValue] = {
        "rule": RULES[PLAIN], "learning_rate": rate, "batch_size": batch, "schedule": schedule, "average": False,
        "epochs": epochs, "rounds_an_epoch": int(choice.value),
    }  # fmt: skip
    return descent, choices, settled


def _one(held: object) -> Walked:
    del held
    return Walked((), 0, 0.0, True)


def _batch(sample: Examples, objective: Objective, spec: Spec, choices: list[Choice], keeper: Keeper) -> int:
    if not isinstance(spec.batch_size, str):
        return int(spec.batch_size)
    choice = keeper.choose(
        "batch_size", lambda: choose_batch_size(sample, objective, PLAIN, spec.momentum, spec.seed)
    )  # fmt: skip
    choices.append(choice)
    return int(choice.value)


def _rate(
    sample: Examples, objective: Objective, batch: int, schedule: str, shape: Curvature, spec: Spec,
    choices: list[Choice], keeper: Keeper,
) -> float:  # fmt: skip
    """Return the learning rate that was given, or the best of a race on a sample of the rows."""
    if not isinstance(spec.learning_rate, str):
        return float(spec.learning_rate)

    def raced() -> Choice:
        rates = candidate_rates(shape, RULES[PLAIN])
        course = Course(sample, objective, batch, PLAIN, 0.0, RACE_EPOCHS, schedule, 0.0, False, spec.seed)
        lanes = Lanes.start(sample, objective, rates, PLAIN, 0.0, None, math.inf)
        for epoch in range(RACE_EPOCHS):
            for turn in course.turns(epoch):
                made = epoch * course.updates_an_epoch + turn.begin // batch
                share = course.share(made, -(-(turn.end - turn.begin) // batch))
                lanes.epoch(turn.examples, objective, turn.rows, batch, share, epoch, turn.begin, turn.end)
        reached = lanes.objectives(sample, objective)
        best = int(np.argmin(reached))
        reason = say(
            "the lowest loss of {rates} rates run side by side on {rows} sampled examples",
            rates=rates.size, rows=f"{sample.rows:,}",
        )  # fmt: skip
        evidence = tuple(
            {"learning_rate": float(rate), "objective": float(value) if math.isfinite(value) else None}
            for rate, value in zip(rates, reached, strict=True)
        )
        return Choice("learning_rate", float(rates[best]), reason, evidence)

    choices.append(keeper.choose("learning_rate", raced))
    return float(choices[-1].value)


class _Rounds:
    """The rounds of a run, and the look at the end of each epoch."""

    def __init__(self, first: Walk, judge: Judge, keeper: Keeper) -> None:
        self.walk, self.judging, self.log, self.keeper = first, judge, judge.log, keeper
        self.examples, self.looks = judge.examples, 0
        self.good, self.reached = first.point, judge.log.start
        begin = keeper.taken_up(KIND)
        if begin is not None:
            self._restore(begin)

    def run(self) -> Descent:
        """Run the epochs that are left."""
        while self.walk.epoch < self.walk.epochs:
            ended = self._epoch()
            if ended is not None:
                return ended
            self.walk = replace(self.walk, epoch=self.walk.epoch + 1, turn=0)
            if self.log.spent:
                break
        self.log.planned = True
        gap = self.log.steps[-1].gap if self.log.steps else math.nan
        return Descent(self.good, self.reached, gap, GapKind.ESTIMATED, False)

    def _epoch(self) -> Descent | None:
        while self.walk.turn < self.walk.turns:
            if not self._round():
                return Descent(self.good, self.reached, math.nan, GapKind.NONE, False, failed=True)
            if self.log.seconds >= self.log.most_seconds:
                break
        return self._look()

    def _round(self) -> bool:
        """Run a round and average what came of it; False where the loss grew too far."""
        found = self.examples.each(self.walk)
        stepped = sum(each.rows for each in found)
        loss = sum(each.loss for each in found)
        if not all(each.whole for each in found) or loss > DIVERGED * max(self.log.start, 1e-300) * max(stepped, 1):
            return False
        if stepped:
            weights, intercept = (
                np.sum(parts, axis=0) / stepped for parts in zip(*(one.sums for one in found), strict=True)
            )
            self.walk = replace(self.walk, point=Point(weights, intercept))
        self.walk = replace(self.walk, turn=self.walk.turn + 1)
        self.log.updates += -(-stepped // (self.walk.batch * len(found)))
        self.log.passes += stepped / self.examples.rows
        self.keeper.offer(self._checkpoint)
        return True

    def _look(self) -> Descent | None:
        """Record F and its gap where an epoch ended; return the end of the run, or None."""
        log, judge, point = self.log, self.judging, self.walk.point
        seen = engine.evaluate(self.examples, judge.objective, point)
        log.passes += 1
        if not math.isfinite(seen.objective) or seen.objective > DIVERGED * max(log.start, 1e-300):
            return Descent(self.good, self.reached, math.nan, GapKind.NONE, False, failed=True)
        self.looks += 1
        if self.looks == 1 or self.looks in REFRESHED or self.walk.epoch + 1 == self.walk.epochs:
            judge.refresh(point)
        gap = judge.gap(point, seen)
        log.note(seen.objective, seen.gradient_norm, self.walk.rate, gap, GapKind.ESTIMATED)
        log.last = self.good = point
        self.reached = seen.objective
        return judge.proof(point, self.walk.rate) if judge.gap_to_prove(point, seen, gap) <= judge.tolerance else None

    def _checkpoint(self) -> Checkpoint:
        arrays = point_arrays("point", self.walk.point) | point_arrays("good", self.good) | self.judging.arrays()
        values: dict[str, JsonValue] = {
            "epoch": self.walk.epoch, "turn": self.walk.turn, "looks": self.looks, "reached": self.reached,
            "log": self.log.to_values(),
        }  # fmt: skip
        return Checkpoint(KIND, arrays, values, tuple(self.log.steps))

    def _restore(self, begin: Checkpoint) -> None:
        values = begin.values
        self.keeper.fitting(point_arrays("point", self.walk.point))
        self.walk = replace(
            self.walk, point=point_of("point", begin.arrays), epoch=values["epoch"], turn=values["turn"]
        )  # fmt: skip
        self.good, self.reached, self.looks = point_of("good", begin.arrays), values["reached"], values["looks"]
        self.judging.restore(begin.arrays)
        self.log.restore(values["log"], begin.steps, self.good if begin.steps else None)
