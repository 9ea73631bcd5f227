"""What is the matter with a run, how we know, and what to do: one rule a file, each ``Run -> Finding | None``.

A rule reads the record and nothing else, so that any recorded run can be explained anywhere. It speaks
only where its cause follows from numbers in the record: a wrong explanation is worse than none.

Codes: DS1xx the descent, DS2xx the shape of the slope, DS3xx the data, DS4xx what the scores are worth, DS5xx networks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from downslope.diagnosis import (
    above_limit,
    answer_given_away,
    arithmetic,
    batch_noise,
    budget,
    clipped,
    columns_left_out,
    curvature_grew,
    dead_units,
    diverged_above_limit,
    drift,
    far_below_limit,
    ill_conditioned,
    imbalance,
    missing_values,
    no_better,
    noise_floor,
    noisy_batch,
    overfit,
    plateau,
    redundant_batch,
    saddle,
    same_units,
    separable,
    small_rate,
    steep_batches,
    stopped,
    target_missing,
    unlike_gradients,
    unscaled,
)
from downslope.records import Finding, Run

Rule: TypeAlias = Callable[[Run], Finding | None]

RULES: tuple[Rule, ...] = (
    above_limit.find,
    steep_batches.find,
    curvature_grew.find,
    far_below_limit.find,
    batch_noise.find,
    budget.find,
    stopped.find,
    arithmetic.find,
    unscaled.find,
    ill_conditioned.find,
    separable.find,
    imbalance.find,
    missing_values.find,
    columns_left_out.find,
    target_missing.find,
    no_better.find,
    overfit.find,
    drift.find,
    answer_given_away.find,
    same_units.find,
    dead_units.find,
    diverged_above_limit.find,
    saddle.find,
    plateau.find,
    noise_floor.find,
    small_rate.find,
    unlike_gradients.find,
    redundant_batch.find,
    noisy_batch.find,
    clipped.find,
)


def diagnose(run: Run) -> tuple[Finding, ...]:
    """Return every finding that the run's own numbers support, in the order of their codes."""
    return tuple(finding for rule in RULES if (finding := rule(run)) is not None)
