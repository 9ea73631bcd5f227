"""DS507: a network only seemed to stop: its steps were tiny."""

from __future__ import annotations

import math

from downslope.diagnosis.facts import stands_at
from downslope.diagnosis.stop_facts import best_rate, gain_at, more_than_chance, of_the_loss
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import count, figure
from downslope.records.shape import StopKind, StopPoint
from downslope.words import Sentence, say


def find(run: Run) -> Finding | None:
    """Explain an unfinished descent by a rate far below the stability limit measured where it ended."""
    stop = stands_at(run, StopKind.SMALL_RATE)
    if stop is None or run.verdict != Verdict.BUDGET or not math.isfinite(stop.stability_limit):
        return None
    if not more_than_chance(stop.drop, stop, run):
        return None
    return Finding(
        "DS507",
        say("Learning rate far below the stability limit"),
        say(
            "learning rate {rate} is {times} times below the stability limit "
            "{limit} where the run ended, and the loss can still fall by {fall}{pace}",
            rate=figure(stop.learning_rate),
            times=figure(stop.stability_limit / stop.learning_rate, 2),
            limit=figure(stop.stability_limit),
            fall=of_the_loss(stop.drop, stop),
            pace=_pace(stop),
        ),
        _remedy(run, stop),
    )


def _pace(stop: StopPoint) -> str:
    if not stop.expected > 0:
        return ""
    return say(": at the pace of an update there that takes {updates} more", updates=count(stop.drop / stop.expected))


def _remedy(run: Run, stop: StopPoint) -> Sentence:
    rate = best_rate(stop)
    times = gain_at(stop, rate) / stop.expected if stop.expected > 0 else math.nan
    gain = say(", with which an update gains {times} times as much there", times=figure(times, 2)) if times > 1 else ""
    auto = "" if run.spec.learning_rate == "auto" else say(", or leave it to auto")
    return say("try --learning-rate {rate}{gain}{auto}", rate=figure(rate, 2), gain=gain, auto=auto)
