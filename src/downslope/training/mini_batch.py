"""Mini-batch and stochastic descent: a fresh shuffle every epoch, a step a batch, gradients averaged.

Where the learning rate is left to choice, rates a factor of two apart run side by side in lanes, on the same
batches, and are halved as the run goes on: the best lane is not found before the training, it is the training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.choices.batch_size import choose_batch_size
from downslope.choices.curvature import Moments
from downslope.choices.learning_rate import candidate_rates
from downslope.choices.sparse_steps import check_sparse_rule, choose_sparse_rate, sparse_batch_size
from downslope.choices.start import constant_start
from downslope.choices.window import check_batch, choose_window
from downslope.data.blocks import Examples, Source
from downslope.engines import linear as engine
from downslope.engines.racing import EXPLODED, Lanes, standardised
from downslope.models.linear import Objective, Point
from downslope.records import Choice, Curvature, GapKind, Spec
from downslope.records.spec import RULES
from downslope.steps import rule_number
from downslope.training.checkpoint import Checkpoint, Keeper, point_arrays, point_of
from downslope.training.course import Course, Turn, lane_arrays, lanes_of, trainer_of
from downslope.training.divergence import Fall, explain_divergence
from downslope.training.forecast import epochs_still_needed
from downslope.training.judging import REFRESHED, Judge
from downslope.training.logbook import DIVERGED, Descent, Logbook
from downslope.training.metric import Metric
from downslope.types import JsonValue, Vector
from downslope.words import say

HALVINGS = (0.05, 0.2, 0.5, 0.8)
"""Shares of the run after which the worse half of the lanes is dropped; at the end the best one stays."""
KINDS = ("batches at one rate", "batches at several rates")
"""What the checkpoints call themselves."""

__all__ = ["Course", "descend_in_batches", "trainer_of"]


def descend_in_batches(
    method: str, examples: Source, objective: Objective, moments: Moments, metric: Metric, shape: Curvature,
    spec: Spec, log: Logbook, start: Point | None, keeper: Keeper,
) -> tuple[Descent, list[Choice], dict[str, JsonValue]]:  # fmt: skip
    """Run epochs of batches until the gap is reached, the budget is spent, or the loss grows."""
    ready = standardised(examples) if isinstance(examples, Examples) else examples
    choices: list[Choice] = []
    rule = rule_number(_rule(examples, spec))
    batch = 1
    if method == "mini-batch":
        batch = _batch_size(ready, objective, rule, spec, choices, keeper)
    epochs = max(1, math.ceil(log.most_passes))
    log.counts_updates = True
    average = spec.average is True
    name = spec.schedule
    if name == "auto":
        name = "constant" if average else "cosine"
    course = Course(ready, objective, batch, rule, spec.momentum, epochs, name, spec.warmup, average, spec.seed)
    if course.windows is not None:
        check_batch(course.windows, batch)
        choices.append(choose_window(course.windows, objective))
    judge = Judge(ready, objective, moments, metric, log, spec)
    point = start or _start(ready, objective)
    if isinstance(spec.learning_rate, str) and not examples.sparse:
        race = _Race(course, judge, candidate_rates(shape, RULES[rule]), point, keeper)
        descent = race.run()
        choices.append(race.choice())
        rate = race.best.rate
    else:
        rate = _rate(course, spec, choices, keeper)
        descent = _Single(course, judge, rate, point, keeper).run()
    if descent.failed:
        fall = Fall(log.updates, rate, batch, RULES[rule], descent.point)
        message = explain_divergence(fall, ready, objective, shape, moments, metric, spec)
        descent = replace(descent, message=message)
    settled: dict[str, JsonValue] = {
        "rule": RULES[rule], "learning_rate": rate, "batch_size": batch, "schedule": name, "average": average,
        "epochs": epochs,
    }  # fmt: skip
    return descent, choices, settled


def _start(examples: Source, objective: Objective) -> Point:
    """Return where steps begin: at zero; on sparse rows, whose steps have a size, at the best constant."""
    if examples.sparse:
        return constant_start(examples, objective)
    return Point.zeros(examples.features, objective.outputs)


def _rule(examples: Source, spec: Spec) -> str:
    """Return the rule of the steps; raises OptionError for one that would move weights that a sparse row has not."""
    if not examples.sparse:
        return "plain" if spec.rule == "auto" else spec.rule
    check_sparse_rule(spec)
    return "adagrad"


def _rate(course: Course, spec: Spec, choices: list[Choice], keeper: Keeper) -> float:
    """Return the learning rate that was given, or the one chosen for sparse steps."""
    if not isinstance(spec.learning_rate, str):
        return float(spec.learning_rate)

    def choose() -> Choice:
        return choose_sparse_rate(course.examples, course.objective, course.batch, course.seed)

    choices.append(keeper.choose("learning_rate", choose))
    return float(choices[-1].value)


def _batch_size(
    examples: Source, objective: Objective, rule: int, spec: Spec, choices: list[Choice], keeper: Keeper
) -> int:
    if not isinstance(spec.batch_size, str):
        return min(int(spec.batch_size), examples.rows)
    if examples.sparse:
        choices.append(sparse_batch_size(examples))
        return int(choices[-1].value)
    choice = keeper.choose("batch_size", lambda: choose_batch_size(examples, objective, rule, spec.momentum, spec.seed))
    choices.append(choice)
    return min(int(choice.value), examples.rows)


class _Place:
    """How far through its epochs a run in batches has come: all whole epochs before, and pieces of this one."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.epoch = self.piece = 0

    def epochs(self) -> Iterator[int]:
        """Go through the epochs that are left."""
        while self.epoch < self.course.epochs:
            yield self.epoch
            self.epoch, self.piece = self.epoch + 1, 0

    def turns(self) -> Iterator[Turn]:
        """Go through the pieces left of this epoch."""
        for turn in self.course.turns(self.epoch, self.piece):
            self.piece = turn.index + 1
            yield turn


class _Single:
    """One training with the learning rate given."""

    def __init__(self, course: Course, judge: Judge, rate: float, start: Point, keeper: Keeper) -> None:
        self.course, self.log, self.rate, self.keeper = course, judge.log, rate, keeper
        self.place = _Place(course)
        self.trainer = trainer_of(course, rate, judge.log.start, start)
        self.looks = _Looks(course, judge)
        self.point, self.reached = start, judge.log.start
        begin = keeper.taken_up(KINDS[0])
        if begin is not None:
            self.trainer.restore(keeper, begin.values)
            self.point, self.reached = point_of("point", begin.arrays), float(begin.values["reached"])
            self.looks.restore(begin, self.place, self.point)

    def run(self) -> Descent:
        """Run the epochs that are left."""
        for epoch in self.place.epochs():
            ended = self._epoch(epoch)
            if ended is not None:
                return ended
            if self.log.spent:
                break
        return self.looks.conclude(self.point, self.reached)

    def _epoch(self, epoch: int) -> Descent | None:
        course, log, trainer = self.course, self.log, self.trainer
        trainer.averaging = course.average and epoch >= course.averaging_from
        for turn in self.place.turns():
            mean_loss, whole = trainer.advance(turn.rows, turn.begin, turn.end, turn.examples)
            log.updates = trainer.updates
            log.passes += (turn.end - turn.begin) / course.examples.rows
            if not whole or not _bearable(mean_loss, log):
                log.updates += 0 if whole else 1
                return _fallen(self.point, self.reached)
            if log.seconds >= log.most_seconds:
                break
            self.keeper.offer(self.to_checkpoint)
        ended, value = self.looks.judge(trainer.point(), self.rate * float(course.share(trainer.updates - 1, 1)[0]))
        if not _bearable(value, log):
            return _fallen(self.point, self.reached)
        self.point, self.reached = trainer.point(), value
        return ended

    def to_checkpoint(self) -> Checkpoint:
        """Return the whole state, between two pieces."""
        arrays, values = self.trainer.to_checkpoint()
        arrays |= point_arrays("point", self.point)
        return self.looks.to_checkpoint(KINDS[0], arrays, values | {"reached": self.reached}, self.place)


def _bearable(objective: float, log: Logbook) -> bool:
    return objective <= DIVERGED * max(log.start, 1e-300)


def _fallen(point: Point, objective: float) -> Descent:
    """Return the end of a run that diverged, at its last good point."""
    return Descent(point, objective, math.nan, GapKind.NONE, False, failed=True)


class _Looks:
    """The looks at one run, each where an epoch ended."""

    def __init__(self, course: Course, judge: Judge) -> None:
        self.course, self.judging, self.log = course, judge, judge.log
        self.count = 0
        self.to_prove = math.nan

    def judge(self, point: Point, rate: float) -> tuple[Descent | None, float]:
        """Record F and its gap at a point; return the end of the run, or None, and F."""
        judge, log = self.judging, self.log
        seen = engine.evaluate(self.course.examples, self.course.objective, point)
        log.passes += 1
        if not math.isfinite(seen.objective):
            return None, seen.objective
        self.count += 1
        last = log.updates >= self.course.epochs * self.course.updates_an_epoch
        if self.count == 1 or self.count in REFRESHED or last:
            judge.refresh(point)
        gap = judge.gap(point, seen)
        log.note(seen.objective, seen.gradient_norm, rate, gap, GapKind.ESTIMATED)
        log.last = point
        self.to_prove = judge.gap_to_prove(point, seen, gap)
        ended = judge.proof(point, rate) if self.to_prove <= judge.tolerance else None
        return ended, seen.objective if ended is None else ended.objective

    def to_checkpoint(
        self, kind: str, arrays: dict[str, NDArray[Any]], values: dict[str, JsonValue], place: _Place
    ) -> Checkpoint:
        """Return a checkpoint of what is given, of the looks and of the log."""
        mine = {
            "epoch": place.epoch, "piece": place.piece, "looks": self.count, "to_prove": self.to_prove,
            "log": self.log.to_values(),
        }  # fmt: skip
        return Checkpoint(kind, arrays | self.judging.arrays(), values | mine, tuple(self.log.steps))

    def restore(self, begin: Checkpoint, place: _Place, last: Point) -> None:
        """Go on from what ``to_checkpoint`` gave."""
        values = begin.values
        place.epoch, place.piece, self.count = values["epoch"], values["piece"], values["looks"]
        self.to_prove = values["to_prove"]
        self.judging.restore(begin.arrays)
        self.log.restore(values["log"], begin.steps, last if begin.steps else None)

    def conclude(self, point: Point, objective: float) -> Descent:
        """Return the end of a run whose budget is spent, and what it would have needed."""
        course, log = self.course, self.log
        log.planned = True
        gap = log.steps[-1].gap if log.steps else math.nan
        predicted = math.nan
        if course.schedule != "constant" and log.updates >= course.epochs * course.updates_an_epoch:
            predicted = epochs_still_needed(course.epochs, self.to_prove, self.judging.tolerance)
        return Descent(point, objective, gap, GapKind.ESTIMATED, False, predicted=predicted)


@dataclass(frozen=True)
class Leader:
    """The best lane at the last look: where it stood, and its rate."""

    objective: float
    point: Point
    rate: float


class _Race:
    """All candidate rates side by side, the worse half of the lanes dropped now and then.

    On the way a lane is judged by the mean of its iterates over half an epoch: the noise that a long step
    leaves in the last iterate will go as the rate falls, and should not count against it.
    """

    def __init__(self, course: Course, judge: Judge, rates: Vector, start: Point, keeper: Keeper) -> None:
        self.course, self.log, self.keeper = course, judge.log, keeper
        self.place = _Place(course)
        limit = EXPLODED * max(self.log.start, 1e-300)
        self.lanes = Lanes.start(
            course.examples, course.objective, rates, course.rule, course.momentum, None, limit, start
        )
        self.looks = _Looks(course, judge)
        self.halvings = {max(1, round(share * course.epochs)) for share in HALVINGS}
        self.best = Leader(math.inf, start, float(rates[0]))
        self.evidence: dict[float, dict[str, JsonValue]] = {}
        self.updates = 0
        begin = keeper.taken_up(KINDS[1])
        if begin is not None:
            self._restore(begin)

    def to_checkpoint(self) -> Checkpoint:
        """Return the whole state, between two pieces."""
        best = self.best
        arrays = lane_arrays(self.lanes) | point_arrays("best", best.point)
        values: dict[str, JsonValue] = {
            "averaged": self.lanes.averaged, "made": self.updates, "best_rate": best.rate,
            "best_objective": best.objective, "evidence": list(self.evidence.values()),
        }  # fmt: skip
        return self.looks.to_checkpoint(KINDS[1], arrays, values, self.place)

    def _restore(self, begin: Checkpoint) -> None:
        values = begin.values
        self.lanes = lanes_of(self.lanes, self.keeper, values["averaged"])
        self.updates = values["made"]
        self.best = Leader(values["best_objective"], point_of("best", begin.arrays), values["best_rate"])
        self.evidence = {each["learning_rate"]: each for each in values["evidence"]}
        self.looks.restore(begin, self.place, self.best.point)

    def run(self) -> Descent:
        """Run the epochs that are left; return the descent of the best lane."""
        for epoch in self.place.epochs():
            ended = self._epoch(epoch)
            if ended is not None:
                return ended
            if self.log.spent or not self.lanes.alive.any():
                break
        return self.looks.conclude(self.best.point, self.best.objective)

    def _epoch(self, epoch: int) -> Descent | None:
        course, lanes, log = self.course, self.lanes, self.log
        last = epoch + 1 == course.epochs
        averaging = course.average and epoch >= course.averaging_from
        look = epoch + 1 in self.halvings or last or lanes.rates.size == 1
        half = len(course.pieces()) // 2
        for turn in self.place.turns():
            begin, end = turn.begin, turn.end
            middle = turn.index == half and look and not last and lanes.rates.size > 1
            if lanes.averaged < 0 and (averaging or middle):
                lanes.averaged = 0
            share = course.share(self.updates, -(-(end - begin) // course.batch))
            lanes.epoch(turn.examples, course.objective, turn.rows, course.batch, share, epoch, begin, end)
            self.updates += share.size
            log.passes += (end - begin) / course.examples.rows
            if not lanes.alive.any() or log.seconds >= log.most_seconds:
                look = True
                break
            log.updates = self.updates
            self.keeper.offer(self.to_checkpoint)
        log.updates = self.updates
        if not look:
            return None
        self._halve(epoch + 1)
        if not averaging:
            self.lanes.averaged = -1
        rate = self.best.rate * float(course.share(self.updates - 1, 1)[0])
        return self.looks.judge(self.best.point, rate)[0]

    def _halve(self, epochs: int) -> None:
        """Drop the worse half of the lanes, and note the best of those still running."""
        lanes = self.lanes
        points = [lanes.point(lane, average=True) for lane in range(lanes.rates.size)]
        reached = [
            self._objective(point) if alive else math.inf for point, alive in zip(points, lanes.alive, strict=True)
        ]
        self.log.passes += lanes.rates.size
        for rate, value in zip(lanes.rates.tolist(), reached, strict=True):
            objective = value if math.isfinite(value) else None
            self.evidence[rate] = {"learning_rate": rate, "objective": objective, "epochs": epochs}
        ranked = np.argsort(reached, kind="stable")
        winner = int(ranked[0])
        if math.isfinite(reached[winner]):
            self.best = Leader(reached[winner], points[winner], float(lanes.rates[winner]))
        self.lanes = lanes.keep(np.sort(ranked[: max(1, lanes.rates.size // 2)]))

    def _objective(self, point: Point) -> float:
        if not point.finite:
            return math.inf
        value = engine.evaluate(self.course.examples, self.course.objective, point).objective
        return value if math.isfinite(value) else math.inf

    def choice(self) -> Choice:
        """Return the rate chosen, with what each of the others had reached when it was dropped."""
        candidates = tuple(self.evidence[each] for each in sorted(self.evidence, reverse=True))
        reason = say(
            "the lowest loss of {rates} rates run side by side on the same batches, the worse half "
            "dropped {times} times",
            rates=len(candidates),
            times=len(HALVINGS),
        )
        return Choice("learning_rate", self.best.rate, reason, candidates)
