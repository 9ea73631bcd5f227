"""DS201: columns of unlike size make a long narrow valley."""

from __future__ import annotations

import math

from downslope.records import Finding, Run
from downslope.records.figures import figure
from downslope.words import say

NARROW = 100.0
"""Condition from which plain steps are slow: they need about condition / 2 steps for each factor e."""

GAIN = 10.0
"""How many times smaller scaling must make the condition for it to be named as the cause."""


def find(run: Run) -> Finding | None:
    """Name the scales of the columns as what makes the descent slow."""
    before, after = run.curvature.condition_before, run.curvature.condition_after
    if run.spec.standardize or run.setting("method") == "scaled" or not math.isfinite(before):
        return None
    if before < NARROW or not before >= GAIN * after:
        return None
    return Finding(
        "DS201",
        say("Columns of unlike size"),
        say(
            "the condition is {before} as the columns are and {after} once they are scaled; plain steps "
            "need about that many times as long",
            before=figure(before, 2),
            after=figure(after, 2),
        ),
        say("leave out --no-standardize"),
    )
