"""DS201: columns of unlike size make a long narrow valley."""

from __future__ import annotations

import math

from downslope.records import Finding, Run
from downslope.records.figures import figure

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
        "Columns of unlike size",
        f"the condition is {figure(before, 2)} as the columns are and {figure(after, 2)} once they are scaled; plain "
        f"steps need about that many times as long",
        "leave out --no-standardize",
    )
