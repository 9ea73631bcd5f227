"""DS107: someone stopped the run."""

from __future__ import annotations

import math

from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure, plural


def find(run: Run) -> Finding | None:
    """Say what a run that was stopped by hand is worth."""
    if run.verdict != Verdict.STOPPED:
        return None
    reached = f" at gap {figure(run.gap, 2)}" if math.isfinite(run.gap) else ""
    evidence = f"stopped by hand after {plural(run.updates, 'update')} and {plural(run.passes, 'pass', 'passes')}"
    return Finding(
        "DS107",
        "Stopped by hand",
        evidence + reached,
        "the weights reached so far are kept and can predict; where the run was long enough for a checkpoint, "
        "downslope resume finishes it, and fit begins anew",
    )
