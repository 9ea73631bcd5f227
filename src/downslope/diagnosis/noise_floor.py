"""DS506: the noise of the batches holds a network's loss up, at a learning rate that stays as it is."""

from __future__ import annotations

import math
from statistics import fmean, pstdev

from downslope.diagnosis.facts import number, stands_at
from downslope.diagnosis.stop_facts import best_rate, more_than_chance, of_the_loss, taken_back
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure, plural, share
from downslope.records.shape import StopKind, StopPoint
from downslope.words import say

LOOKS = 8
"""Fewest records in each of the last two quarters of a run: fewer show no trend."""

SIGMAS = 2.0
"""A fall of the mean from one quarter to the next within this many standard errors is no fall."""


def find(run: Run) -> Finding | None:
    """Say that noise undoes what the gradient gains, where the budget ended so at a constant rate.

    A falling rate leaves the noise floor by itself, and a run that converged had nothing more to gain. For rules
    whose gain at an update is not measured, the recorded losses must have come to rest.
    """
    stop = stands_at(run, StopKind.NOISE_FLOOR)
    if stop is None or run.verdict != Verdict.BUDGET or run.setting("schedule") != "constant":
        return None
    if not more_than_chance(stop.drop, stop, run):
        return None
    lost = taken_back(stop)
    if math.isnan(lost) and not _rests([step.objective for step in run.steps]):
        return None
    undone = (
        say("the loss no longer falls")
        if math.isnan(lost)
        else say("noise takes back {lost} of a step's gain", lost=share(lost))
    )
    return Finding(
        "DS506",
        say("Down to the noise of the batches"),
        say(
            "the gradient, {gradient}, is less than its scatter over batches of {examples}, "
            "{scatter}: at the constant learning rate {rate} {undone}, though the loss "
            "could still fall by {fall}",
            gradient=figure(stop.gradient_norm),
            examples=plural(stop.batch, "example"),
            scatter=figure(stop.gradient_error),
            rate=figure(number(run, "learning_rate")),
            undone=undone,
            fall=of_the_loss(stop.drop, stop),
        ),
        say("let the rate fall (--schedule cosine){slower}{larger}", slower=_slower(stop), larger=_larger(run, stop)),
    )


def _rests(objectives: list[float]) -> bool:
    """Return whether the mean of the last quarter of the records is no lower than that of the one before."""
    quarter = len(objectives) // 4
    if quarter < LOOKS:
        return False
    earlier, later = objectives[-2 * quarter : -quarter], objectives[-quarter:]
    error = ((pstdev(earlier) ** 2 + pstdev(later) ** 2) / quarter) ** 0.5
    return fmean(earlier) - fmean(later) <= SIGMAS * error


def _slower(stop: StopPoint) -> str:
    rate = best_rate(stop)
    return say(", try --learning-rate {rate}", rate=figure(rate, 2)) if rate < stop.learning_rate else ""


def _larger(run: Run, stop: StopPoint) -> str:
    """Name the batch whose gradient is as long as its scatter, which falls with the root of the batch."""
    size = stop.batch * (stop.gradient_error / max(stop.gradient_norm, 1e-300)) ** 2
    rounded = 2 ** math.ceil(math.log2(max(size, 1.0))) if size < run.data.train_rows else run.data.train_rows
    return say(", or take --batch-size {batch}", batch=rounded) if rounded > stop.batch else ""
