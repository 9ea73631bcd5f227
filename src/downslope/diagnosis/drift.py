"""DS403: the part held out by a column is unlike the part trained on."""

from __future__ import annotations

from downslope.diagnosis.facts import lost_on_holdout, rows_per_weight
from downslope.diagnosis.overfit import FEW, LOST, ROWS
from downslope.records import Finding, Run
from downslope.records.figures import figure, share
from downslope.records.scores import SCORES


def find(run: Run) -> Finding | None:
    """Explain a loss on rows held out by time or group, where there are too many rows to overfit them."""
    name, lost = lost_on_holdout(run)
    rows = rows_per_weight(run)
    if run.spec.holdout_by is None or run.data.holdout_rows < ROWS or not (lost > LOST and rows >= FEW):
        return None
    return Finding(
        "DS403",
        "The held-out part is unlike the rest",
        f"{SCORES[name].label} {figure(run.train[name])} on training rows but {figure(run.holdout[name])} on those "
        f'held out by "{run.spec.holdout_by}": {share(min(lost, 9.99))} of the gain is lost, with '
        f"{figure(rows, 2)} rows for each weight, too many for chance",
        f'look for columns whose meaning changes with "{run.spec.holdout_by}", or train on rows nearer to those '
        "to be predicted",
    )
