"""DS503: a network diverged at a rate above the limit that was measured on the way."""

from __future__ import annotations

import math

from downslope.diagnosis.above_limit import SAFE_SHARE
from downslope.diagnosis.facts import number, sound_looks
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import count, figure
from downslope.records.shape import Look
from downslope.words import named, say

SIGMAS = 2.0
"""Standard errors by which the rate must be above the limit."""


def find(run: Run) -> Finding | None:
    """Explain a divergence by a rate above the limit at the last look before it.

    The limit holds for steps along the mean of all examples; single batches are steeper, so that it is no lower for
    them. A limit measured after the loss had left would be what came of it, and is not used.
    """
    looks = sound_looks(run)
    if run.verdict != Verdict.DIVERGED or not looks:
        return None
    look = looks[-1]
    rate = _last_rate(run, look)
    if not rate > look.limit * (1 + SIGMAS * _error(look)):
        return None
    origin = say(
        "{factor} / largest curvature {curvature}",
        factor=figure(look.limit * look.limit_curvature, 2),
        curvature=figure(look.limit_curvature),
    )
    chosen = run.spec.learning_rate == "auto"
    return Finding(
        "DS503",
        say("Learning rate above the limit of the curvature"),
        say(
            "learning rate {rate} is {times} times the limit {limit} of {rule} steps ({origin}), "
            "measured at update {update}: such steps grow, and the loss left at update {last}",
            rate=figure(rate),
            times=figure(rate / look.limit, 2),
            limit=figure(look.limit),
            rule=named(run.setting("rule")),
            origin=origin,
            update=count(look.update),
            last=count(run.updates + 1),
        ),
        say("try --learning-rate {rate}", rate=figure(SAFE_SHARE * look.limit, 2))
        + ("" if chosen else say(", or leave it to auto")),
    )


def _last_rate(run: Run, look: Look) -> float:
    """Return the rate in use when the run diverged: that of a look there, of its last record, or what is left of it."""
    if look.update >= run.updates:
        return look.learning_rate
    return min(number(run, "learning_rate"), *(step.learning_rate for step in run.steps[-1:]), math.inf)


def _error(look: Look) -> float:
    """Return the standard error of the largest curvature as a share of it."""
    errors = look.shape.sampling_error + look.shape.largest_error
    return errors / look.shape.largest if look.shape.largest > 0 else math.inf
