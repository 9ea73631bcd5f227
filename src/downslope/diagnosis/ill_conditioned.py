"""DS202: columns that nearly repeat each other leave the coefficients undetermined."""

from __future__ import annotations

import math

from downslope.diagnosis.facts import number
from downslope.records import Finding, Run
from downslope.records.figures import figure
from downslope.words import say

DIGITS = 16
"""Decimal digits of float64, in which every solution is computed."""

SINGULAR = 1e8
"""Condition at which half of those digits may be lost."""


def find(run: Run) -> Finding | None:
    """Name the condition that remains after scaling, and what it costs in digits.

    A relative rounding error e in the Hessian moves the solution by up to condition * e (Higham 2002,
    theorem 7.2). Silent where the smallest curvature is exactly zero because the levels of a category add
    up to the intercept: that is a choice of coordinates and harms no prediction.
    """
    condition = run.curvature.condition_after
    redundant_levels = number(run, "l2") == 0 and any(_has_levels(column.treatment) for column in run.data.columns)
    if not condition >= SINGULAR or (math.isinf(condition) and redundant_levels):
        return None
    lost = min(DIGITS, math.ceil(math.log10(condition))) if math.isfinite(condition) else DIGITS
    size = (
        say("condition {condition}", condition=figure(condition, 2))
        if math.isfinite(condition)
        else say("condition beyond 1e16")
    )
    return Finding(
        "DS202",
        say("Columns that nearly repeat each other"),
        say(
            "{size} after scaling: up to {lost} of the {digits} digits of float64 can be lost in the coefficients",
            size=size,
            lost=lost,
            digits=DIGITS,
        ),
        say(
            "leave out columns that follow from others (centre a column before taking its powers), or "
            "set --l2; predictions on similar rows are far less affected"
        ),
    )


def _has_levels(treatment: str) -> bool:
    return treatment.startswith("one-hot")
