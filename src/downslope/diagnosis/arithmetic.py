"""DS108: the numbers of the machine can tell no more."""

from __future__ import annotations

import math

from downslope.diagnosis.facts import budget_spent
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure
from downslope.words import say

ENDED_EARLY = "no further progress"
"""How the message of a run begins whose steps no longer lower the objective in its arithmetic."""


def find(run: Run) -> Finding | None:
    """Explain a descent that ended short of its tolerance before its budget did."""
    ended_early = run.verdict == Verdict.BUDGET and run.message.startswith(ENDED_EARLY)
    if not ended_early or budget_spent(run) or run.setting("method") not in ("scaled", "full-batch"):
        return None
    reached = (
        say("gap {gap}", gap=figure(run.gap, 2))
        if math.isfinite(run.gap)
        else say("objective {objective}", objective=figure(run.objective))
    )
    finer = "" if run.setting("precision") == "float64" else say(", or set --precision float64")
    return Finding(
        "DS108",
        say("Rounding hides the rest of the way"),
        say(
            "at {reached} the steps no longer lowered the objective, short of the tolerance {tolerance}",
            reached=reached,
            tolerance=figure(run.spec.tolerance),
        ),
        say("accept a larger --tolerance{finer}", finer=finer),
    )
