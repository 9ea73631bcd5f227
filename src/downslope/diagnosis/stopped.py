"""DS107: someone stopped the run."""

from __future__ import annotations

import math

from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure, plural
from downslope.words import say


def find(run: Run) -> Finding | None:
    """Say what a run that was stopped by hand is worth."""
    if run.verdict != Verdict.STOPPED:
        return None
    reached = say(" at gap {gap}", gap=figure(run.gap, 2)) if math.isfinite(run.gap) else ""
    evidence = say(
        "stopped by hand after {updates} and {passes}",
        updates=plural(run.updates, "update"),
        passes=plural(run.passes, "pass", "passes"),
    )
    return Finding(
        "DS107",
        say("Stopped by hand"),
        evidence + reached,
        say(
            "the weights reached so far are kept and can predict; where the run was long enough for a "
            "checkpoint, downslope resume finishes it, and fit begins anew"
        ),
    )
