"""DS104: the steps were far shorter than the curvature allows."""

from __future__ import annotations

import math

from downslope.diagnosis.facts import BOUNDED_CURVATURE, full_batch_limit, peak_rate
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure, plural
from downslope.words import say

SAFE_SHARE = 0.5
"""Share of the limit that is compared with and advised: no direction overshoots there."""

FAR = 10
"""How many times longer the step must be allowed to be: below that the descent is not slow because of it."""


def find(run: Run) -> Finding | None:
    """Explain an unfinished full-batch descent by a learning rate far below the stability limit."""
    better = SAFE_SHARE * full_batch_limit(run)
    longer = better / peak_rate(run)
    unfinished = run.verdict in (Verdict.BUDGET, Verdict.STOPPED) and not run.gap <= run.spec.tolerance
    if not unfinished or not _limit_holds(run) or not longer >= FAR:
        return None
    evidence = say(
        "learning rate {rate} is {times} times below the stability limit {limit}",
        rate=figure(peak_rate(run)),
        times=figure(2 * longer, 2),
        limit=figure(full_batch_limit(run)),
    )
    remedy = say(
        "try --learning-rate {rate}, with which a pass goes {times} times as far, or auto",
        rate=figure(better, 2),
        times=figure(longer, 2),
    )
    if math.isfinite(run.predicted_passes):
        more = plural(run.predicted_passes, "more pass", "more passes")
        evidence += say("; going by the pace so far, at least {more} are needed", more=more)
    return Finding("DS104", say("Learning rate far below the stability limit"), evidence, remedy)


def _limit_holds(run: Run) -> bool:
    """Return whether the limit measured at the start is a fair guide to every step of this run."""
    return (
        run.setting("method") == "full-batch"
        and run.setting("rule") == "plain"
        and run.setting("schedule") == "constant"
        and run.setting("loss") in BOUNDED_CURVATURE
    )
