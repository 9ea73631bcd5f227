"""Mini-batch and stochastic descent: a fresh shuffle every epoch, a step a batch, gradients averaged.

Where the learning rate is left to choice, rates a factor of two apart run side by side in lanes, on the same
batches, and are halved as the run goes on: the best lane is not found before the training, it is the training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from downslope.certificate import certify, has_proof, relative_gap
from downslope.choices.batch_size import choose_batch_size
from downslope.choices.curvature import Moments
from downslope.choices.learning_rate import candidate_rates
from downslope.data.batches import order
from downslope.data.blocks import Examples
from downslope.engines import linear as engine
from downslope.engines import stepping
from downslope.engines.arguments import LossShape, Rule, State
from downslope.engines.racing import EXPLODED, Lanes, penalty_of, rows_of, standardised
from downslope.models.linear import Objective, Point
from downslope.records import Choice, Curvature, GapKind, Spec
from downslope.records.spec import RULES
from downslope.steps import PLAIN, rule_number, schedule
from downslope.training.divergence import Fall, explain_divergence
from downslope.training.logbook import DIVERGED, Descent, Logbook
from downslope.training.metric import Metric, inner
from downslope.training.proximal import proximal_step
from downslope.training.scaled import ScaledDescent
from downslope.types import Indices, JsonValue, Vector

LOOKS = 16
"""Times an epoch is looked at, so that divergence is caught while it happens."""
HALVINGS = (0.05, 0.2, 0.5, 0.8)
"""Shares of the run after which the worse half of the lanes is dropped; at the end the best one stays."""


@dataclass
class Course:
    """What one run in batches goes by."""

    examples: Examples
    objective: Objective
    batch: int
    rule: int
    momentum: float
    epochs: int
    schedule: str
    warmup: float
    average: bool
    seed: int

    @property
    def updates_an_epoch(self) -> int:
        """Batches in one epoch, the partial last one included."""
        return -(-self.examples.rows // self.batch)

    def share(self, first: int, count: int) -> Vector:
        """Return the schedule of ``count`` updates from ``first`` on."""
        updates = np.arange(first, first + count, dtype=np.float64)
        return schedule(self.schedule, updates, self.epochs * self.updates_an_epoch, self.warmup)

    def pieces(self) -> list[tuple[int, int]]:
        """Return the (begin, end) of the pieces in which an epoch is run, whole batches each."""
        edges = np.unique(np.linspace(0, self.updates_an_epoch, LOOKS + 1).astype(int)) * self.batch
        edges[-1] = self.examples.rows
        return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))

    @property
    def averaging_from(self) -> int:
        """The epoch after which iterates are averaged: the second half of the run."""
        return self.epochs // 2


def descend_in_batches(
    method: str, examples: Examples, objective: Objective, moments: Moments, metric: Metric, shape: Curvature,
    spec: Spec, log: Logbook, start: Point | None,
) -> tuple[Descent, list[Choice], dict[str, JsonValue]]:  # fmt: skip
    """Run epochs of batches until the gap is reached, the budget is spent, or the loss grows."""
    ready = standardised(examples)
    choices: list[Choice] = []
    rule = rule_number("plain" if spec.rule == "auto" else spec.rule)
    batch = 1
    if method == "mini-batch":
        batch = _batch_size(ready, objective, rule, spec, choices)
    epochs = max(1, math.ceil(log.most_passes))
    log.counts_updates = True
    name = spec.schedule
    if name == "auto":
        name = "cosine" if spec.average != True else "constant"  # noqa: E712 - "auto" is neither
    average = spec.average is True
    course = Course(ready, objective, batch, rule, spec.momentum, epochs, name, spec.warmup, average, spec.seed)
    judge = ScaledDescent(ready, objective, objective, moments, metric, log, spec.seed)
    point = start or Point.zeros(examples.features, objective.outputs)
    if isinstance(spec.learning_rate, str):
        descent, choice = _race(course, judge, shape, spec, log, point)
        choices.append(choice)
        rate = float(choice.value)
    else:
        rate = float(spec.learning_rate)
        descent = _run(course, judge, shape, spec, log, rate, point)
    settled: dict[str, JsonValue] = {
        "rule": ("plain" if spec.rule == "auto" else spec.rule), "learning_rate": rate, "batch_size": batch,
        "schedule": name, "average": average, "epochs": epochs,
    }  # fmt: skip
    return descent, choices, settled


def _batch_size(examples: Examples, objective: Objective, rule: int, spec: Spec, choices: list[Choice]) -> int:
    if not isinstance(spec.batch_size, str):
        return min(int(spec.batch_size), examples.rows)
    choice = choose_batch_size(examples, objective, rule, spec.momentum, spec.seed)
    choices.append(choice)
    return min(int(choice.value), examples.rows)


def _run(
    course: Course, judge: ScaledDescent, shape: Curvature, spec: Spec, log: Logbook, rate: float, start: Point
) -> Descent:
    """Run with one learning rate."""
    trainer = trainer_of(course, rate, log.start, start)
    point, objective_now = start, log.start
    for epoch in range(course.epochs):
        rows = order(course.examples.rows, course.seed, epoch)
        for begin, end in course.pieces():
            trainer.averaging = course.average and epoch >= course.averaging_from
            mean_loss, whole = trainer.advance(rows, begin, end)
            log.updates = trainer.updates
            log.passes += (end - begin) / course.examples.rows
            if not whole or not mean_loss <= DIVERGED * max(log.start, 1e-300):
                return _fallen(course, judge, shape, spec, log.updates + 1, rate, point, objective_now)
            if log.seconds >= log.most_seconds:
                break
        candidate = trainer.point()
        current = rate * float(course.share(trainer.updates - 1, 1)[0])
        ended, value = _judge(course, judge, log, candidate, current, spec)
        if not math.isfinite(value) or value > DIVERGED * max(log.start, 1e-300):
            return _fallen(course, judge, shape, spec, log.updates, rate, point, objective_now)
        point, objective_now = candidate, value
        if ended is not None:
            return ended
        if log.spent:
            break
    log.planned = True
    return Descent(point, objective_now, log.steps[-1].gap, GapKind.ESTIMATED, False)


def _fallen(
    course: Course, judge: ScaledDescent, shape: Curvature, spec: Spec, update: int, rate: float, point: Point,
    objective_there: float,
) -> Descent:  # fmt: skip
    """Return the end of a run that diverged, at its last good point, explained."""
    fall = Fall(update, rate, course.batch, RULES[course.rule], point)
    message = explain_divergence(fall, course.examples, course.objective, shape, judge.moments, judge.metric, spec)
    return Descent(point, objective_there, math.nan, GapKind.NONE, False, failed=True, message=message)


def _judge(
    course: Course, judge: ScaledDescent, log: Logbook, point: Point, rate: float, spec: Spec
) -> tuple[Descent | None, float]:
    """Look at F and its slope where an epoch ended; return the end of the run, or None, and F."""
    seen = engine.evaluate(course.examples, course.objective, point)
    log.passes += 1
    if course.objective.l1 > 0:
        distance = max(proximal_step(judge.metric, point, seen.gradient, course.objective)[1], 0.0)
    else:
        distance = 0.5 * max(inner(seen.gradient, judge.metric.solve(seen.gradient)), 0.0)
    gap = relative_gap(distance, log.start, seen.objective)
    log.note(seen.objective, seen.gradient_norm, rate, gap, GapKind.ESTIMATED)
    log.last = point
    if not gap <= spec.tolerance:
        return None, seen.objective
    if not (has_proof(course.objective) or judge.squared):
        return Descent(point, seen.objective, gap, GapKind.ESTIMATED, True), seen.objective
    bound = judge.certify(point) if judge.squared else certify(course.examples, course.objective, point)
    proved = bound.gap(log.start)
    if proved > spec.tolerance:
        return None, seen.objective
    log.note(bound.objective, math.sqrt(inner(bound.gradient, bound.gradient)), rate, proved, GapKind.CERTIFIED)
    return Descent(bound.point, bound.objective, proved, GapKind.CERTIFIED, True), bound.objective


def trainer_of(course: Course, rate: float, start_objective: float, start: Point) -> Single | Several:
    """Return what runs one training: the fastest kernels for one output, a lane for several."""
    kind = Single if course.objective.outputs == 1 else Several
    return kind(course, rate, start_objective, start)


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

    def advance(self, rows: Indices, begin: int, end: int) -> tuple[float, bool]:
        """Run ``rows[begin:end]``; return the mean loss met, and whether all batches were run."""
        course, objective = self.course, self.course.objective
        count = -(-(end - begin) // course.batch)
        rates = self.rate * course.share(self.updates, count)
        given = rows_of(course.examples, rows)
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

    def advance(self, rows: Indices, begin: int, end: int) -> tuple[float, bool]:
        """Run ``rows[begin:end]``; return the mean loss met, and whether all batches were run."""
        course = self.course
        count = -(-(end - begin) // course.batch)
        if self.averaging and self.lanes.averaged < 0:
            self.lanes.averaged = 0
        share = course.share(self.updates, count)
        losses = self.lanes.epoch(course.examples, course.objective, rows, course.batch, share, 0, begin, end)
        self.updates += count
        return float(losses[0]), bool(self.lanes.alive[0])

    def point(self) -> Point:
        """Return where the training stands, the mean of its iterates once there is one."""
        return self.lanes.point(0, average=True)


def _race_epoch(course: Course, lanes: Lanes, log: Logbook, epoch: int, updates: int, looked: bool) -> int:
    """Run one epoch in every lane; return the updates so far.

    looked: the lanes are judged at its end, and the mean of the iterates is begun halfway.
    """
    rows = order(course.examples.rows, course.seed, epoch)
    if course.average and epoch >= course.averaging_from and lanes.averaged < 0:
        lanes.averaged = 0
    pieces = course.pieces()
    for index, (begin, end) in enumerate(pieces):
        if looked and epoch + 1 < course.epochs and index == len(pieces) // 2:
            lanes.averaged = 0
        count = -(-(end - begin) // course.batch)
        share = course.share(updates, count)
        lanes.epoch(course.examples, course.objective, rows, course.batch, share, epoch, begin, end)
        updates += count
        log.passes += (end - begin) / course.examples.rows
        if not lanes.alive.any() or log.seconds >= log.most_seconds:
            break
    log.updates = updates
    return updates


def _race(
    course: Course, judge: ScaledDescent, shape: Curvature, spec: Spec, log: Logbook, start: Point
) -> tuple[Descent, Choice]:
    """Run all candidate rates, halving the lanes on the way; return the best one's descent and the evidence.

    On the way a lane is judged by the mean of its iterates over half an epoch: the noise that a long step
    leaves in the last iterate will go as the rate falls, and should not count against it.
    """
    rates = candidate_rates(shape, "plain" if spec.rule == "auto" else spec.rule)
    limit = EXPLODED * max(log.start, 1e-300)
    lanes = Lanes.start(course.examples, course.objective, rates, course.rule, course.momentum, None, limit, start)
    evidence: dict[float, dict[str, JsonValue]] = {}
    looks = {max(1, round(share * course.epochs)) for share in HALVINGS} | {course.epochs}
    updates, best = 0, Leader(math.inf, start, float(rates[0]))
    for epoch in range(course.epochs):
        whole = course.average and epoch >= course.averaging_from
        updates = _race_epoch(course, lanes, log, epoch, updates, epoch + 1 in looks and not whole)
        late = epoch + 1 in looks or log.seconds >= log.most_seconds or not lanes.alive.any()
        if late or lanes.rates.size == 1:
            lanes, best = _halve(course, lanes, evidence, log, epoch + 1, best)
            if not whole:
                lanes.averaged = -1
            current = best.rate * float(course.share(updates - 1, 1)[0])
            ended, _ = _judge(course, judge, log, best.point, current, spec)
            if ended is not None:
                return ended, _chosen(best.rate, evidence)
        if log.spent or not lanes.alive.any():
            break
    log.planned = True
    last = log.steps[-1]
    return Descent(best.point, best.objective, last.gap, last.gap_kind, False), _chosen(best.rate, evidence)


@dataclass(frozen=True)
class Leader:
    """The best lane at the last look: where it stood, and its rate."""

    objective: float
    point: Point
    rate: float


def _halve(
    course: Course, lanes: Lanes, evidence: dict[float, dict[str, JsonValue]], log: Logbook, epochs: int, best: Leader
) -> tuple[Lanes, Leader]:
    """Drop the worse half of the lanes; return the rest and the best of those still running."""
    points = [lanes.point(lane, average=True) for lane in range(lanes.rates.size)]
    reached = np.array([
        _objective(course, point) if alive else math.inf for point, alive in zip(points, lanes.alive, strict=True)
    ])  # fmt: skip
    log.passes += lanes.rates.size
    for rate, value in zip(lanes.rates, reached, strict=True):
        evidence[float(rate)] = {
            "learning_rate": float(rate), "objective": float(value) if math.isfinite(value) else None,
            "epochs": epochs,
        }  # fmt: skip
    ranked = np.argsort(reached, kind="stable")
    winner = int(ranked[0])
    if math.isfinite(reached[winner]):
        best = Leader(float(reached[winner]), points[winner], float(lanes.rates[winner]))
    kept = np.sort(ranked[: max(1, lanes.rates.size // 2)])
    return lanes.keep(kept), best


def _objective(course: Course, point: Point) -> float:
    value = engine.evaluate(course.examples, course.objective, point).objective if point.finite else math.inf
    return value if math.isfinite(value) else math.inf


def _chosen(rate: float, evidence: dict[float, dict[str, JsonValue]]) -> Choice:
    candidates = tuple(evidence[each] for each in sorted(evidence, reverse=True))
    reason = (
        f"the lowest loss of {len(candidates)} rates run side by side on the same batches, the worse half dropped "
        f"{len(HALVINGS)} times"
    )
    return Choice("learning_rate", rate, reason, candidates)
