"""DS401: the model has learned next to nothing that holds on new rows."""

from __future__ import annotations

from downslope.diagnosis import dead_units, plateau, saddle, same_units
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import figure, plural
from downslope.records.networks import has_hidden_layers, is_network
from downslope.records.scores import SCORES, loss_score
from downslope.words import Sentence, say

CAUSES = (same_units, dead_units, saddle, plateau)
"""Rules that say why a network learned nothing."""

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
    if not baseline > 0 or reached < (1 - LITTLE) * baseline or any(rule.find(run) for rule in CAUSES):
        return None
    ended = say("the training had converged") if is_network(run) else say("the minimum was reached")
    return Finding(
        "DS401",
        say("No better than the baseline"),
        say(
            "{score} {reached} on {rows}, against {baseline} for an answer that looks at no column, although {ended}",
            score=SCORES[name].label,
            reached=figure(reached, 4),
            rows=plural(run.data.holdout_rows, "held-out row"),
            baseline=figure(baseline, 4),
            ended=ended,
        ),
        _remedy(run),
    )


def _remedy(run: Run) -> Sentence:
    if has_hidden_layers(run):
        return say(
            "see whether --model linear does better: if it does, this network is at fault (try another "
            "--learning-rate or --start), and if not, the examples may say little about the target"
        )
    if is_network(run):
        return say("the pixels say little about the target in a linear way: try --model cnn")
    return say("the columns say little about the target in a linear way: add columns, or combine those there are")
