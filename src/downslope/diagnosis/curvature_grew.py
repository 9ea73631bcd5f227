"""DS103: the slope bends harder further down than where its curvature was measured."""

from __future__ import annotations

from downslope.diagnosis.facts import CONSTANT_CURVATURE, full_batch_limit, peak_rate
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure
from downslope.words import named, say

SMALLER = 4
"""Factor to advise: how far the curvature grew is not known, and the next run measures again."""


def find(run: Run) -> Finding | None:
    """Explain a divergence of full-batch steps below the limit measured at the start.

    Below 2 / curvature a plain step never raises the loss (the descent lemma, Nesterov 2004, 1.2.3), so a
    divergence there proves that the curvature has grown since it was measured.
    """
    rate, limit = peak_rate(run), full_batch_limit(run)
    plain_full = run.setting("method") == "full-batch" and run.setting("rule") == "plain"
    if run.verdict != Verdict.DIVERGED or not plain_full or run.setting("loss") in CONSTANT_CURVATURE:
        return None
    if not rate <= limit:
        return None
    return Finding(
        "DS103",
        say("The curvature grew on the way"),
        say(
            "learning rate {rate} is within the stability limit {limit} measured at the start, where the "
            "{loss} loss is flatter than further down",
            rate=figure(rate),
            limit=figure(limit),
            loss=named(run.setting("loss")),
        ),
        say(
            "try --learning-rate {rate}, or --method scaled, which measures the curvature again",
            rate=figure(rate / SMALLER, 2),
        ),
    )
