"""DS403: the part held out by a column is unlike the part trained on."""

from __future__ import annotations

from downslope.diagnosis.facts import lost_on_holdout, rows_per_weight
from downslope.diagnosis.overfit import FEW, LOST, ROWS
from downslope.records import Finding, Run
from downslope.records.figures import figure, share
from downslope.records.scores import SCORES
from downslope.words import say


def find(run: Run) -> Finding | None:
    """Explain a loss on rows held out by time or group, where there are too many rows to overfit them."""
    name, lost = lost_on_holdout(run)
    rows = rows_per_weight(run)
    if run.spec.holdout_by is None or run.data.holdout_rows < ROWS or not (lost > LOST and rows >= FEW):
        return None
    return Finding(
        "DS403",
        say("The held-out part is unlike the rest"),
        say(
            '{score} {train} on training rows but {holdout} on those held out by "{column}": {lost} '
            "of the gain is lost, with {rows} rows for each weight, too many for chance",
            score=SCORES[name].label,
            train=figure(run.train[name]),
            holdout=figure(run.holdout[name]),
            column=run.spec.holdout_by,
            lost=share(min(lost, 9.99)),
            rows=figure(rows, 2),
        ),
        say(
            'look for columns whose meaning changes with "{column}", or train on rows nearer to those to be predicted',
            column=run.spec.holdout_by,
        ),
    )
