"""DS106: the budget ended before the tolerance was reached."""

from __future__ import annotations

import math

from downslope.diagnosis import batch_noise, far_below_limit, noise_floor, small_rate
from downslope.diagnosis.facts import budget_spent, clock_ended_it, held_out_looks, number
from downslope.records import Finding, Run
from downslope.records.figures import count, duration, figure, plural
from downslope.records.networks import is_network
from downslope.words import Sentence, say

CAUSES = (far_below_limit, batch_noise, noise_floor, small_rate)
"""Rules that say why the budget was too small."""
FALLING = 0.01
"""Share of the whole fall since a network's start that its last look must show to call it still falling: a rate that
falls to nothing makes the last look the lowest of nearly every run."""
STEEP_VALLEY = 1e3
"""Condition from which plain steps need thousands of passes and the scaled method needs a handful."""


def find(run: Run) -> Finding | None:
    """Say how much more a run would have needed; silent where another rule names the cause."""
    if not budget_spent(run) or any(rule.find(run) for rule in CAUSES):
        return None
    if is_network(run):
        return _still_falling(run)
    reached = (
        say("gap {gap}", gap=figure(run.gap, 2))
        if math.isfinite(run.gap)
        else say("objective {objective}", objective=figure(run.objective))
    )
    evidence = say(
        "ended after {spent} at {reached}, before the tolerance {tolerance}",
        spent=_spent(run),
        reached=reached,
        tolerance=figure(run.spec.tolerance),
    )
    if math.isfinite(run.predicted_passes):
        more = plural(run.predicted_passes, "more pass", "more passes")
        evidence += say("; going by the pace so far, at least {more} are needed", more=more)
    return Finding("DS106", say("The budget ended first"), evidence, _remedy(run))


def _still_falling(run: Run) -> Finding | None:
    """Say that the held-out loss of a network was still falling; silent where it was not, or was never looked at."""
    looks = held_out_looks(run)
    if len(looks) < 3 or looks[-1][1] > min(value for _, value in looks):
        return None
    before, last = looks[-2][1], looks[-1][1]
    lately = (before - last) / max(run.objective_at_start - last, 1e-300)
    if lately < FALLING:
        return None
    evidence = say(
        "the held-out loss was still falling when the {spent} ended: from {before} to {last} at the "
        "last look, its lowest",
        spent=_spent(run),
        before=figure(before, 4),
        last=figure(last, 4),
    )
    more = math.ceil(2 * number(run, "epochs")) if not clock_ended_it(run) else math.nan
    remedy = (
        say("try --epochs {epochs}", epochs=f"{more:.0f}") if math.isfinite(more) else say("allow more --max-seconds")
    )
    return Finding("DS106", say("The budget ended first"), evidence, remedy)


def _spent(run: Run) -> str:
    if clock_ended_it(run):
        return say(
            "{time} and {passes}",
            time=duration(run.seconds.get("descend", math.nan)),
            passes=plural(run.passes, "pass", "passes"),
        )
    return plural(run.passes, "pass", "passes")


def _remedy(run: Run) -> Sentence:
    if run.setting("method") != "scaled" and run.curvature.condition_after >= STEEP_VALLEY:
        condition = figure(run.curvature.condition_after, 2)
        return say(
            "try --method scaled, whose steps do not depend on the condition, here {condition}", condition=condition
        )
    if not math.isfinite(run.predicted_passes):
        return say("give it more time (--epochs, --max-seconds), or accept a larger --tolerance")
    if clock_ended_it(run):
        seconds = run.seconds["descend"] * (1 + run.predicted_passes / max(run.passes, 1))
        return say("try --max-seconds {seconds}, or accept a larger --tolerance", seconds=figure(seconds, 2))
    epochs = number(run, "epochs")
    enough = math.ceil((epochs if math.isfinite(epochs) else run.passes) + run.predicted_passes)
    return say("try --epochs {epochs}, or accept a larger --tolerance", epochs=count(enough).replace(",", ""))
