"""Why a descent grew instead of falling, in one sentence with its numbers, and what to try."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from downslope.choices.batch_curvature import batch_curvatures, largest_curvature
from downslope.choices.curvature import Moments, in_memory
from downslope.data.blocks import Examples, Source
from downslope.models.linear import Objective, Point
from downslope.records import Curvature, Spec
from downslope.records.figures import count, figure, plural
from downslope.training.forecast import error_factors
from downslope.training.metric import Metric
from downslope.types import Vector
from downslope.words import NOTHING, Sentence, named, say

BY_SIZE = ("adagrad", "rmsprop", "adam")
"""Rules that divide a gradient by its own size, for which no curvature bounds the rate."""
SAFE = 0.5
"""Share of a limit to try: there no direction overshoots."""
CAUTION = 0.1
"""Share of the rate to try where there is no limit to go by."""


@dataclass(frozen=True)
class Fall:
    """A descent that diverged: at which update, at what rate, with which batches, from which last good point."""

    update: int
    rate: float
    batch: int
    rule: str
    point: Point


def explain_divergence(
    fall: Fall, examples: Source, objective: Objective, shape: Curvature, moments: Moments, metric: Metric,
    spec: Spec,
) -> Sentence:  # fmt: skip
    """Return what happened, the limit that was passed and by how much, and what to try."""
    head = say("diverged at step {update}: ", update=count(fall.update))
    if fall.rule in BY_SIZE:
        return head + _without_limit(fall)
    if objective.loss.cornered:
        return head + _cornered(fall, objective)
    limit = rate_limit(fall.rule, spec.momentum, shape.largest)
    batches = None
    if fall.batch < examples.rows:
        batches = batch_curvatures(in_memory(examples), objective, fall.point, fall.batch, spec.seed)
    if fall.rate > limit:
        return head + _above(fall, limit, shape, batches, _when_standardised(fall, moments, metric, spec), spec)
    if batches is not None:
        return head + _steep_batches(fall, limit, batches, spec)
    return head + _near_or_grown(fall, limit, in_memory(examples), objective, shape, spec)


def rate_limit(rule: str, momentum: float, largest: float) -> float:
    """Return the learning rate above which a rule diverges on a bowl of that largest curvature.

    plain ``2 / L``; momentum ``2 (1 + m) / L`` (Polyak 1964, theorem 9); nesterov
    ``2 (1 + m) / ((1 + 2 m) L)``: there the characteristic polynomial has the root -1.
    """
    if not largest > 0:
        return float("inf")
    factor = {"plain": 1.0, "momentum": 1.0 + momentum, "nesterov": (1.0 + momentum) / (1.0 + 2.0 * momentum)}[rule]
    return factor * 2.0 / largest


def _above(
    fall: Fall, limit: float, shape: Curvature, batches: Vector | None, standardised: float | None, spec: Spec
) -> Sentence:
    origin, of = {
        "plain": (say("2 / largest curvature"), NOTHING),
        "momentum": (
            say("2 (1 + momentum) / largest curvature"),
            say(" of momentum {momentum}", momentum=figure(spec.momentum)),
        ),
        "nesterov": (
            say("2 (1 + m) / (1 + 2 m) / largest curvature"),
            say(" of Nesterov's momentum {momentum}", momentum=figure(spec.momentum)),
        ),
    }[fall.rule]
    factor = float(error_factors(fall.rule, spec.momentum, fall.rate, np.array([shape.largest]))[0])
    words = say(
        "learning rate {rate} is above the stability limit {limit}{of} ({origin} {largest}); "
        "along that direction each step multiplies the error by {factor}",
        rate=figure(fall.rate),
        limit=figure(limit),
        of=of,
        origin=origin,
        largest=figure(shape.largest),
        factor=figure(factor),
    )
    wanted = SAFE * limit
    if batches is not None:
        wanted = min(wanted, SAFE * _batch_limit(fall, batches, spec))
        words += say(", and {steepness}", steepness=_steepness(fall, batches))
    if standardised is not None and standardised > 2 * limit:
        stable = say("then any rate below {bound} is stable", bound=figure(standardised))
        return say(
            "{words}. Try {wanted}, or standardise: {stable}.", words=words, wanted=figure(wanted, 2), stable=stable
        )
    return say("{words}. Try {wanted}.", words=words, wanted=figure(wanted, 2))


def _steep_batches(fall: Fall, limit: float, batches: Vector, spec: Spec) -> Sentence:
    own = _batch_limit(fall, batches, spec)
    added = (
        ""
        if fall.rule == "plain"
        else say(", with {rule} adding up {steps} steps,", rule=named(fall.rule), steps=figure(1 / (1 - spec.momentum)))
    )
    words = say(
        "full-batch steps are stable up to a learning rate of {limit}, but {steepness}, and learning "
        "rate {rate}{added} overshoots them",
        limit=figure(limit),
        steepness=_steepness(fall, batches),
        rate=figure(fall.rate),
        added=added,
    )
    if own >= fall.rate:
        words = say(
            "learning rate {rate} is within the limit {limit} of full-batch steps, and {steepness}: the "
            "noise of the batches carried the weights away",
            rate=figure(fall.rate),
            limit=figure(limit),
            steepness=_steepness(fall, batches),
        )
    larger = say("a larger batch") if fall.batch > 1 else say("mini-batches")
    wanted = SAFE * own if own < fall.rate else min(SAFE * own, CAUTION * fall.rate)
    return say("{words}. Try {wanted}, or {larger}.", words=words, wanted=figure(wanted, 2), larger=larger)


def _steepness(fall: Fall, batches: Vector) -> Sentence:
    steepest, middle = figure(float(batches[-1])), figure(float(np.median(batches)))
    if fall.batch == 1:
        return say(
            "single examples are steeper than the whole: curvature up to {steepest}, {middle} in the middle",
            steepest=steepest,
            middle=middle,
        )
    seen = plural(batches.size, "batch", "batches")
    return say(
        "single batches are steeper than the whole: of {seen} of {examples} the steepest has "
        "curvature {steepest}, the middle one {middle}",
        seen=seen,
        examples=plural(fall.batch, "example"),
        steepest=steepest,
        middle=middle,
    )


def _batch_limit(fall: Fall, batches: Vector, spec: Spec) -> float:
    """Return the rate at which no step overshoots its own batch; momentum adds up ``1 / (1 - m)`` steps."""
    kept = 1.0 if fall.rule == "plain" else 1.0 - spec.momentum
    return kept * 2.0 / max(float(batches[-1]), 1e-300)


def _near_or_grown(
    fall: Fall, limit: float, examples: Examples, objective: Objective, shape: Curvature, spec: Spec
) -> Sentence:
    if objective.loss.name == "squared":
        return say(
            "learning rate {rate} is so near the stability limit {limit} that its swings grew before "
            "they could settle. Try {wanted}.",
            rate=figure(fall.rate),
            limit=figure(limit),
            wanted=figure(SAFE * limit, 2),
        )
    there = largest_curvature(examples, objective, fall.point, spec.seed)
    now = rate_limit(fall.rule, spec.momentum, max(there, shape.largest))
    within = say(
        "learning rate {rate} is within the limit {limit} at the start", rate=figure(fall.rate), limit=figure(limit)
    )
    words = say("{within}, but the curvature grew", within=within)
    if now < fall.rate:
        words += say(
            ": from {largest} to {there} at the last good step, where the limit is {now}",
            largest=figure(shape.largest),
            there=figure(there),
            now=figure(now),
        )
    wanted = min(SAFE * now, CAUTION * fall.rate)
    return say(
        "{words}. Try {wanted}, or the scaled method, which measures the curvature on its way.",
        words=words,
        wanted=figure(wanted, 2),
    )


def _without_limit(fall: Fall) -> Sentence:
    return say(
        "{rule} divides each gradient by its own size, so no curvature limits its rate, but every "
        "weight moves by about the learning rate a step, and {rate} is too far. Try {wanted}, or "
        "leave the rate to auto.",
        rule=named(fall.rule),
        rate=figure(fall.rate),
        wanted=figure(CAUTION * fall.rate, 2),
    )


def _cornered(fall: Fall, objective: Objective) -> Sentence:
    return say(
        "the {loss} loss has a corner and no curvature, so a step is as long far from the minimum as "
        "near it, and learning rate {rate} jumps across. Try {wanted}, or leave the rate to auto.",
        loss=named(objective.loss.name),
        rate=figure(fall.rate),
        wanted=figure(CAUTION * fall.rate, 2),
    )


def _when_standardised(fall: Fall, moments: Moments, metric: Metric, spec: Spec) -> float | None:
    if spec.standardize or fall.rule != "plain":
        return None
    return limit_when_standardised(moments, metric)


def limit_when_standardised(moments: Moments, metric: Metric) -> float | None:
    """Return the stability limit that the same examples would have with standardised features."""
    if moments.matrix is None or not metric.intercept:
        return None
    matrix = moments.matrix
    mean = matrix[:-1, -1]
    variance = np.diag(matrix)[:-1] - mean**2
    kept = variance > 1e-12 * np.diag(matrix)[:-1]
    if not kept.any():
        return None
    deviation = np.sqrt(variance[kept])
    correlation = (matrix[:-1, :-1][np.ix_(kept, kept)] - np.outer(mean[kept], mean[kept])) / np.outer(
        deviation, deviation
    )
    bend = metric.matrix(0)[-1, -1] / max(matrix[-1, -1], 1e-300)
    return float(2.0 / (bend * max(np.linalg.eigvalsh(correlation)[-1], 1.0)))
