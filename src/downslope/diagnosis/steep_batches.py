"""DS102: single batches are steeper than all examples together."""

from __future__ import annotations

from downslope.diagnosis.facts import CONSTANT_CURVATURE, full_batch_limit, number, peak_rate
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure, plural
from downslope.words import say

SMALLER = 4
"""Factor to advise: the mean curvature of a batch is an average over its examples, so its excess falls with
the rate and with the batch size alike; a factor of four leaves room without slowing the descent to a crawl."""


def find(run: Run) -> Finding | None:
    """Explain a divergence of a sampled method at a rate that full-batch steps would bear.

    Only for a loss of constant curvature: there full-batch steps at this rate cannot diverge, so what diverged
    is the difference between a batch and the whole.
    """
    rate, limit, batch = peak_rate(run), full_batch_limit(run), _batch_size(run)
    bears = run.setting("loss") in CONSTANT_CURVATURE and run.setting("rule") == "plain" and rate <= limit
    if run.verdict != Verdict.DIVERGED or not bears or not batch < run.data.train_rows:
        return None
    return Finding(
        "DS102",
        say("Single batches are steeper than the whole"),
        say(
            "learning rate {rate} is within the stability limit {limit} of full-batch steps, so it was "
            "the batches of {examples}, some of them steeper than the whole, that threw it out",
            rate=figure(rate),
            limit=figure(limit),
            examples=plural(batch, "example"),
        ),
        say(
            "try --learning-rate {rate}, a batch size above {batch}, or leave both to auto",
            rate=figure(rate / SMALLER, 2),
            batch=f"{batch:.0f}",
        ),
    )


def _batch_size(run: Run) -> float:
    method = run.setting("method")
    if method == "stochastic":
        return 1
    return number(run, "batch_size") if method == "mini-batch" else float("inf")
