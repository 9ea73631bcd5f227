"""DS105: the loss bounces on the noise of the batches instead of falling."""

from __future__ import annotations

from statistics import fmean, pstdev

from downslope.diagnosis.facts import number
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure, plural
from downslope.words import say

LOOKS = 4
"""Fewest recorded objectives in each of the last two quarters of the run: fewer show no trend."""

SIGMAS = 2.0
"""A fall of the mean from one quarter to the next within this many standard errors is no fall."""

LARGER = 4
"""Factor by which to advise a larger batch: the floor of constant steps is proportional to rate / batch size
(Bottou, Curtis and Nocedal 2018, theorem 4.6)."""


def find(run: Run) -> Finding | None:
    """Explain an unfinished sampled descent with constant steps by the noise of its batches."""
    sampled = run.setting("method") in ("mini-batch", "stochastic")
    constant = run.setting("schedule") == "constant" and run.setting("average") is False
    unfinished = run.verdict in (Verdict.BUDGET, Verdict.STOPPED) and not run.gap <= run.spec.tolerance
    if not (sampled and constant and unfinished):
        return None
    scatter = _scatter_without_trend(run)
    if not scatter > run.spec.tolerance:
        return None
    batch = 1 if run.setting("method") == "stochastic" else number(run, "batch_size")
    return Finding(
        "DS105",
        say("Down to the noise of the batches"),
        say(
            "over the last quarter of the run the objective no longer fell but scattered by {scatter} of "
            "the whole drop, with a constant learning rate and batches of {examples}",
            scatter=figure(scatter, 2),
            examples=plural(batch, "example"),
        ),
        say(
            "let the rate fall (--schedule inverse), average the iterates (--average), or take --batch-size {larger}",
            larger=f"{LARGER * batch:.0f}",
        ),
    )


def _scatter_without_trend(run: Run) -> float:
    """Return the scatter of the objective over the last quarter as a share of the whole drop, nan where it fell."""
    objectives = [step.objective for step in run.steps if step.exact]
    quarter = len(objectives) // 4
    if quarter < LOOKS:
        return float("nan")
    earlier, later = objectives[-2 * quarter : -quarter], objectives[-quarter:]
    drop = run.objective_at_start - fmean(later)
    standard_error = ((pstdev(earlier) ** 2 + pstdev(later) ** 2) / quarter) ** 0.5
    if drop <= 0 or fmean(earlier) - fmean(later) > SIGMAS * standard_error:
        return float("nan")
    return pstdev(later) / drop
