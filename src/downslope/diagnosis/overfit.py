"""DS402: what was gained on the training rows is lost on the held-out ones."""

from __future__ import annotations

from downslope.diagnosis.facts import lost_on_holdout, number, rows_per_weight
from downslope.records import Finding, Run
from downslope.records.figures import figure, share
from downslope.records.networks import has_hidden_layers
from downslope.records.scores import SCORES
from downslope.words import Sentence, say

LOST = 0.25
"""Share of the gain over the baseline that must be lost: chance alone takes less on a hundred rows or more."""

ROWS = 100
"""Fewest held-out rows for that to hold."""

FEW = 20.0
"""Training rows per weight below which a model can learn its rows by heart; above it the optimism, about one
weight's share of the noise each, is too small to explain such a loss."""

DROPOUT = 0.2
"""Share of the hidden units to advise leaving out at each step, where none are."""


def find(run: Run) -> Finding | None:
    """Explain a loss on randomly held-out rows by too many weights for too few rows."""
    name, lost = lost_on_holdout(run)
    rows = rows_per_weight(run)
    if run.spec.holdout_by is not None or run.data.holdout_rows < ROWS or not (lost > LOST and rows < FEW):
        return None
    return Finding(
        "DS402",
        say("Learned the training rows by heart"),
        say(
            "{score} {train} on training rows but {holdout} on held-out ones: {lost} of the gain is "
            "lost; there are only {rows} rows for each weight",
            score=SCORES[name].label,
            train=figure(run.train[name]),
            holdout=figure(run.holdout[name]),
            lost=share(min(lost, 9.99)),
            rows=figure(rows, 2),
        ),
        _remedy(run),
    )


def _remedy(run: Run) -> Sentence:
    l2 = number(run, "l2")
    larger = say("--l2 {l2}", l2=figure(max(10 * l2, 1e-3), 2)) if l2 >= 0 else say("a larger --l2")
    if not has_hidden_layers(run):
        return say("try {larger}, leave out columns, or train on more rows", larger=larger)
    fewer = say("--dropout {part}, ", part=figure(DROPOUT)) if run.spec.dropout == 0 else ""
    return say("try {fewer}{larger} or fewer units in --model, or train on more rows", fewer=fewer, larger=larger)
