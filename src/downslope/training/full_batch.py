"""Full-batch descent: every step sees every example."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from downslope.choices.curvature import Moments
from downslope.choices.learning_rate import full_batch_rate
from downslope.data.blocks import Source
from downslope.engines import linear as engine
from downslope.models.linear import Objective, Point
from downslope.records import Choice, Curvature, GapKind, Spec
from downslope.steps import RuleState, rule_number, schedule, soft_threshold, step
from downslope.training.checkpoint import Checkpoint, Keeper, point_arrays, point_of
from downslope.training.divergence import Fall, explain_divergence
from downslope.training.forecast import steps_still_needed
from downslope.training.judging import REFRESHED, Judge
from downslope.training.logbook import Descent, Logbook, passes_still_needed
from downslope.training.metric import Metric
from downslope.types import JsonValue, Matrix

FEW = 4
"""Steps from which on a gap that does not fall shows that the curvature here is not the one the steps meet."""
LINES = 400
"""Steps recorded one by one; after that, each step that is a whole multiple of a growing stride."""
KIND = "full-batch"
"""What its checkpoints call themselves."""


@dataclass(frozen=True)
class Plan:
    """What the steps go by. total: updates planned."""

    rule: str
    rate: float
    schedule: str
    warmup: float
    momentum: float
    average: bool
    total: int

    def rate_at(self, update: int) -> float:
        """Return the learning rate in use at an update, counted from 0."""
        share = schedule(self.schedule, np.array([float(update)]), self.total, self.warmup)
        return self.rate * float(share[0])


def descend_full_batch(
    examples: Source, objective: Objective, moments: Moments, metric: Metric, shape: Curvature, spec: Spec,
    log: Logbook, start: Point | None, keeper: Keeper,
) -> tuple[Descent, list[Choice], dict[str, JsonValue]]:  # fmt: skip
    """Step against the whole gradient until the gap is reached, the budget is spent, or the loss grows."""
    rule = "plain" if spec.rule == "auto" else spec.rule
    name = "constant" if spec.schedule == "auto" else spec.schedule
    choices: list[Choice] = []
    if isinstance(spec.learning_rate, str):
        choice = full_batch_rate(examples, objective, moments, shape, rule, spec)
        choices.append(choice)
        rate = float(choice.value)
    else:
        rate = float(spec.learning_rate)
    average = spec.average is True
    settled: dict[str, JsonValue] = {
        "rule": rule, "learning_rate": rate, "batch_size": examples.rows, "schedule": name, "average": average,
    }  # fmt: skip
    log.counts_updates = True
    plan = Plan(rule, rate, name, spec.warmup, spec.momentum, average, max(int(log.most_passes), 1))
    judge = Judge(examples, objective, moments, metric, log, spec)
    walk = _Walk(judge, plan, start or Point.zeros(examples.features, objective.outputs), keeper)
    descent = walk.run()
    if descent.failed:
        fall = Fall(log.updates, rate, examples.rows, rule, descent.point)
        message = explain_divergence(fall, examples, objective, shape, moments, metric, spec)
        descent = replace(descent, message=message)
    return descent, choices, settled


class _Walk:
    """One descent on its way."""

    def __init__(self, judge: Judge, plan: Plan, start: Point, keeper: Keeper) -> None:
        self.judge, self.plan, self.log, self.keeper = judge, plan, judge.log, keeper
        self.point = self.mean = start
        self.averaged = 0
        self.state = RuleState.zeros((judge.examples.features + 1, judge.objective.outputs))
        begin = keeper.taken_up(KIND)
        if begin is not None:
            self._restore(begin)
        self.seen = engine.evaluate(judge.examples, judge.objective, self.point)

    def to_checkpoint(self) -> Checkpoint:
        """Return the whole state, between a step and the look at it."""
        points = point_arrays("point", self.point) | point_arrays("mean", self.mean)
        rule = {"rule.first": self.state.first, "rule.second": self.state.second}
        values = {"averaged": self.averaged, "made": self.state.updates, "log": self.log.to_values()}
        return Checkpoint(KIND, points | rule | self.judge.arrays(), values, tuple(self.log.steps))

    def _restore(self, begin: Checkpoint) -> None:
        mine = self.to_checkpoint().arrays
        found = self.keeper.fitting({name: mine[name] for name in mine if not name.startswith("judge")})
        self.point, self.mean = point_of("point", found), point_of("mean", found)
        self.averaged = begin.values["averaged"]
        self.state = RuleState(found["rule.first"], found["rule.second"], begin.values["made"])
        self.judge.restore(begin.arrays)
        self.log.restore(begin.values["log"], begin.steps, self.point if begin.steps else None)

    def run(self) -> Descent:
        """Step until there is a reason to stop."""
        while True:
            ended = self._look() or self._step()
            if ended is not None:
                return ended
            self.keeper.offer(self.to_checkpoint)

    @property
    def result(self) -> Point:
        """Where the walk has come to: the mean of its late points where that was asked for."""
        return self.mean if self.averaged else self.point

    def _look(self) -> Descent | None:
        """Record where the descent stands; return its end if the gap is reached or the budget spent."""
        log, judge, seen = self.log, self.judge, self.seen
        if log.updates in REFRESHED:
            judge.refresh(self.point)
        gap = judge.gap(self.point, seen)
        near = gap <= judge.tolerance
        if log.updates <= LINES or log.updates % (log.updates // LINES) == 0 or near:
            log.note(seen.objective, seen.gradient_norm, self.plan.rate_at(log.updates), gap, GapKind.ESTIMATED)
        log.last = self.point
        if near and (self.averaged or judge.gap_to_prove(self.point, seen, gap) <= judge.tolerance):
            ended = judge.proof(self.result, 0.0)
            if ended is not None:
                return ended
        log.planned = log.updates >= self.plan.total
        still = seen.gradient_norm == 0
        if not log.spent and not still:
            return None
        needed = math.nan if still else self._still_needed(gap)
        return Descent(
            self.result, seen.objective, gap, GapKind.ESTIMATED, still, predicted=needed, sure=math.isfinite(needed)
        )

    def _step(self) -> Descent | None:
        """Take a step; return the end of the descent if it diverged."""
        judge, log = self.judge, self.log
        rate = self.plan.rate_at(log.updates)
        following, self.state = take_step(self.point, self.seen.gradient, self.state, self.plan, rate, judge.objective)
        seen = engine.evaluate(judge.examples, judge.objective, following)
        log.updates += 1
        log.passes += 1
        if not following.finite or log.diverging(seen.objective):
            log.note(seen.objective, seen.gradient_norm, rate)
            return Descent(self.point, self.seen.objective, math.nan, GapKind.NONE, False, failed=True)
        self.point, self.seen = following, seen
        if self.plan.average and log.updates >= self.plan.total // 2:
            self.averaged += 1
            self.mean = Point(
                self.mean.weights + (following.weights - self.mean.weights) / self.averaged,
                self.mean.intercept + (following.intercept - self.mean.intercept) / self.averaged,
            )
        return None

    def _still_needed(self, gap: float) -> float:
        """Return the passes that the curvature says are still needed, nan where it cannot say."""
        judge, plan = self.judge, self.plan
        if plan.schedule != "constant" or plan.average or judge.objective.loss.cornered or not gap < 1:
            return math.nan
        falling = math.isfinite(passes_still_needed(self.log.steps, gap, judge.tolerance))
        if not judge.exact and len(self.log.steps) > FEW and gap > judge.tolerance and not falling:
            return math.nan
        judge.refresh(self.point)
        wanted = judge.tolerance * max(self.log.start - self.seen.objective, 0.0) / (1.0 - gap)
        return steps_still_needed(
            judge.metric, self.seen.gradient, judge.objective, wanted, plan.rule, plan.momentum, plan.rate, judge.exact
        )


def take_step(
    point: Point, gradient: Point, state: RuleState, plan: Plan, rate: float, objective: Objective
) -> tuple[Point, RuleState]:
    """Return the point and the rule's state after one update, l1 by its proximal step."""
    columns = np.vstack([gradient.weights, gradient.intercept])
    change, gain, state = step(rule_number(plan.rule), columns, state, rate, plan.momentum)
    weights: Matrix = point.weights - np.asarray(change[:-1], np.float64)
    if objective.l1 > 0:
        weights = np.asarray(soft_threshold(weights, gain[:-1] * objective.l1), np.float64)
    return Point(weights, point.intercept - change[-1]), state
