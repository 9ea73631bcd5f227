"""DS401: the model has learned next to nothing that holds on new rows."""

from __future__ import annotations

from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure, plural
from downslope.records.scores import SCORES, loss_score

LITTLE = 0.01
"""Share of the baseline's loss below which an improvement is not worth a model."""

ROWS = 30
"""Fewest held-out rows for which the comparison means anything."""


def find(run: Run) -> Finding | None:
    """Say that a finished descent is no better on held-out rows than the baseline."""
    name = loss_score(run.holdout, run.baseline)
    if run.verdict != Verdict.CONVERGED or name is None or run.data.holdout_rows < ROWS:
        return None
    reached, baseline = run.holdout[name], run.baseline[name]
    if not baseline > 0 or reached < (1 - LITTLE) * baseline:
        return None
    return Finding(
        "DS401",
        "No better than the baseline",
        f"{SCORES[name].label} {figure(reached, 4)} on {plural(run.data.holdout_rows, 'held-out row')}, against "
        f"{figure(baseline, 4)} for an answer that looks at no column, although the minimum was reached",
        "the columns say little about the target in a linear way: add columns, or combine those there are",
    )
