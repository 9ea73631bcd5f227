"""DS507: a network only seemed to stop: its steps were tiny."""

from __future__ import annotations

import math

from downslope.diagnosis.facts import stands_at
from downslope.diagnosis.stop_facts import best_rate, gain_at, more_than_chance, of_the_loss
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import count, figure
from downslope.records.shape import StopKind, StopPoint


def find(run: Run) -> Finding | None:
    """Explain an unfinished descent by a rate far below the stability limit measured where it ended."""
    stop = stands_at(run, StopKind.SMALL_RATE)
    if stop is None or run.verdict != Verdict.BUDGET or not math.isfinite(stop.stability_limit):
        return None
    if not more_than_chance(stop.drop, stop, run):
        return None
    return Finding(
        "DS507",
        "Learning rate far below the stability limit",
        f"learning rate {figure(stop.learning_rate)} is {figure(stop.stability_limit / stop.learning_rate, 2)} times "
        f"below the stability limit {figure(stop.stability_limit)} where the run ended, and the loss can still fall "
        f"by {of_the_loss(stop.drop, stop)}{_pace(stop)}",
        _remedy(run, stop),
    )


def _pace(stop: StopPoint) -> str:
    if not stop.expected > 0:
        return ""
    return f": at the pace of an update there that takes {count(stop.drop / stop.expected)} more"


def _remedy(run: Run, stop: StopPoint) -> str:
    rate = best_rate(stop)
    times = gain_at(stop, rate) / stop.expected if stop.expected > 0 else math.nan
    gain = f", with which an update gains {figure(times, 2)} times as much there" if times > 1 else ""
    auto = "" if run.spec.learning_rate == "auto" else ", or leave it to auto"
    return f"try --learning-rate {figure(rate, 2)}{gain}{auto}"
