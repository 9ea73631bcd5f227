"""Full-batch descent: every step sees every example."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from downslope.certificate import certify, has_proof, relative_gap
from downslope.choices.curvature import Moments
from downslope.choices.learning_rate import full_batch_rate
from downslope.data.blocks import Examples
from downslope.engines import linear as engine
from downslope.models.linear import Objective, Point
from downslope.records import Choice, Curvature, GapKind, Spec
from downslope.records.spec import RULES
from downslope.steps import RuleState, rule_number, schedule, soft_threshold, step
from downslope.training.divergence import Fall, explain_divergence
from downslope.training.forecast import steps_still_needed
from downslope.training.logbook import Descent, Logbook
from downslope.training.metric import Metric, inner
from downslope.training.proximal import proximal_step
from downslope.training.scaled import ScaledDescent, metric_at
from downslope.types import JsonValue, Matrix

REFRESHED = frozenset(4**power for power in range(2, 16))
"""Updates after which the Hessian that gaps are estimated with is measured anew, unless it is the same everywhere."""
LINES = 400
"""Steps recorded one by one; after that, each step that is a whole multiple of a growing stride."""


def descend_full_batch(
    examples: Examples, objective: Objective, moments: Moments, metric: Metric, shape: Curvature, spec: Spec,
    log: Logbook, start: Point | None,
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
    judge = ScaledDescent(examples, objective, objective, moments, metric, log, spec.seed)
    descent = _loop(examples, objective, judge, shape, spec, log, rule_number(rule), rate, name, average, start)
    return descent, choices, settled


def _loop(
    examples: Examples, objective: Objective, judge: ScaledDescent, shape: Curvature, spec: Spec, log: Logbook,
    rule: int, rate: float, name: str, average: bool, start: Point | None,
) -> Descent:  # fmt: skip
    point = start or Point.zeros(examples.features, objective.outputs)
    state = RuleState.zeros((examples.features + 1, objective.outputs))
    total = max(int(log.most_passes), 1)
    log.counts_updates = True
    mean_point, averaged = point, 0
    seen = engine.evaluate(examples, objective, point)
    while True:
        if log.updates in REFRESHED:
            _refresh(judge, point, spec.seed, log)
        distance = _distance(judge, point, seen.gradient, objective)
        gap = relative_gap(distance, log.start, seen.objective)
        share = float(schedule(name, np.array([float(log.updates)]), total, spec.warmup)[0])
        if log.updates <= LINES or log.updates % (log.updates // LINES) == 0 or gap <= spec.tolerance:
            log.note(seen.objective, seen.gradient_norm, rate * share, gap, GapKind.ESTIMATED)
        log.last = point
        if gap <= spec.tolerance:
            ended = _proved(examples, objective, judge, mean_point if average else point, log, spec.tolerance)
            if ended is not None:
                return ended
        log.planned = log.updates >= total
        if log.spent or seen.gradient_norm == 0:
            ended = Descent(
                mean_point if average and averaged else point, seen.objective, gap, GapKind.ESTIMATED,
                seen.gradient_norm == 0,
            )  # fmt: skip
            if name != "constant" or average:
                return ended
            needed = _still_needed(judge, point, seen, gap, rule, rate, spec, log)
            return replace(ended, predicted=needed, sure=math.isfinite(needed))
        following, state = take_step(point, seen.gradient, state, rule, rate * share, spec, objective)
        seen_next = engine.evaluate(examples, objective, following)
        log.updates += 1
        log.passes += 1
        if not following.finite or log.diverging(seen_next.objective):
            fall = Fall(log.updates, rate, examples.rows, RULES[rule], point)
            message = explain_divergence(fall, examples, objective, shape, judge.moments, judge.metric, spec)
            log.note(seen_next.objective, seen_next.gradient_norm, rate * share)
            return Descent(point, seen.objective, math.nan, GapKind.NONE, False, failed=True, message=message)
        point, seen = following, seen_next
        if average and log.updates >= total // 2:
            averaged += 1
            mean_point = Point(
                mean_point.weights + (point.weights - mean_point.weights) / averaged,
                mean_point.intercept + (point.intercept - mean_point.intercept) / averaged,
            )


def _refresh(judge: ScaledDescent, point: Point, seed: int, log: Logbook) -> None:
    """Measure the Hessian where the descent has come to; a squared loss has the same one everywhere."""
    if judge.squared or judge.objective.loss.cornered or judge.moments.matrix is None:
        return
    judge.metric = metric_at(judge.examples, judge.objective, point, judge.moments, seed)
    log.passes += (judge.moments.sampled or judge.examples.rows) / judge.examples.rows


def _still_needed(
    judge: ScaledDescent, point: Point, seen: engine.Evaluation, gap: float, rule: int, rate: float, spec: Spec,
    log: Logbook,
) -> float:  # fmt: skip
    """Return the passes that plain arithmetic on the curvature says are still needed, nan where it cannot say."""
    if not gap < 1 or judge.objective.loss.cornered:
        return math.nan
    _refresh(judge, point, spec.seed, log)
    wanted = spec.tolerance * max(log.start - seen.objective, 0.0) / (1.0 - gap)
    return steps_still_needed(
        judge.metric, seen.gradient, judge.objective, wanted, RULES[rule], spec.momentum, rate, judge.squared
    )  # fmt: skip


def take_step(
    point: Point, gradient: Point, state: RuleState, rule: int, rate: float, spec: Spec, objective: Objective
) -> tuple[Point, RuleState]:
    """Return the point and the rule's state after one update, l1 by its proximal step."""
    columns = np.vstack([gradient.weights, gradient.intercept])
    change, gain, state = step(rule, columns, state, rate, spec.momentum)
    weights: Matrix = point.weights - np.asarray(change[:-1], np.float64)
    if objective.l1 > 0:
        weights = np.asarray(soft_threshold(weights, gain[:-1] * objective.l1), np.float64)
    return Point(weights, point.intercept - change[-1]), state


def _distance(judge: ScaledDescent, point: Point, gradient: Point, objective: Objective) -> float:
    if objective.l1 > 0:
        return max(proximal_step(judge.metric, point, gradient, objective)[1], 0.0)
    return 0.5 * max(inner(gradient, judge.metric.solve(gradient)), 0.0)


def _proved(
    examples: Examples, objective: Objective, judge: ScaledDescent, point: Point, log: Logbook, tolerance: float
) -> Descent | None:
    """Return the end of the run if the gap can be proved; without a proof to be had, the estimate stands."""
    if not (has_proof(objective) or judge.squared):
        seen = engine.evaluate(examples, objective, point)
        gap = relative_gap(_distance(judge, point, seen.gradient, objective), log.start, seen.objective)
        return Descent(point, seen.objective, gap, GapKind.ESTIMATED, True) if gap <= tolerance else None
    bound = judge.certify(point) if judge.squared else certify(examples, objective, point)
    gap = bound.gap(log.start)
    if gap > tolerance:
        return None
    log.note(bound.objective, math.sqrt(inner(bound.gradient, bound.gradient)), 0.0, gap, GapKind.CERTIFIED)
    return Descent(bound.point, bound.objective, gap, GapKind.CERTIFIED, True)
