"""DS106: the budget ended before the tolerance was reached."""

from __future__ import annotations

import math

from downslope.diagnosis import batch_noise, far_below_limit
from downslope.diagnosis.facts import budget_spent, clock_ended_it, number
from downslope.records import Finding, Run
from downslope.records.figures import count, duration, figure, plural

STEEP_VALLEY = 1e3
"""Condition from which plain steps need thousands of passes and the scaled method needs a handful."""


def find(run: Run) -> Finding | None:
    """Say how much more a run would have needed; silent where another rule names the cause."""
    if not budget_spent(run) or far_below_limit.find(run) or batch_noise.find(run):
        return None
    reached = f"gap {figure(run.gap, 2)}" if math.isfinite(run.gap) else f"objective {figure(run.objective)}"
    evidence = f"ended after {_spent(run)} at {reached}, before the tolerance {figure(run.spec.tolerance)}"
    if math.isfinite(run.predicted_passes):
        more = plural(run.predicted_passes, "more pass", "more passes")
        evidence += f"; going by the pace so far, at least {more} are needed"
    return Finding("DS106", "The budget ended first", evidence, _remedy(run))


def _spent(run: Run) -> str:
    if clock_ended_it(run):
        return f"{duration(run.seconds.get('descend', math.nan))} and {plural(run.passes, 'pass', 'passes')}"
    return plural(run.passes, "pass", "passes")


def _remedy(run: Run) -> str:
    if run.setting("method") != "scaled" and run.curvature.condition_after >= STEEP_VALLEY:
        condition = figure(run.curvature.condition_after, 2)
        return f"try --method scaled, whose steps do not depend on the condition, here {condition}"
    if not math.isfinite(run.predicted_passes):
        return "give it more time (--epochs, --max-seconds), or accept a larger --tolerance"
    if clock_ended_it(run):
        seconds = run.seconds["descend"] * (1 + run.predicted_passes / max(run.passes, 1))
        return f"try --max-seconds {figure(seconds, 2)}, or accept a larger --tolerance"
    epochs = number(run, "epochs")
    enough = math.ceil((epochs if math.isfinite(epochs) else run.passes) + run.predicted_passes)
    return f"try --epochs {count(enough).replace(',', '')}, or accept a larger --tolerance"
