"""DS301: the classes do not overlap, so only the penalty keeps the weights finite."""

from __future__ import annotations

from downslope.diagnosis.facts import number
from downslope.records import Finding, Run
from downslope.records.figures import figure, plural
from downslope.records.networks import has_hidden_layers
from downslope.words import say

TINY_PENALTY = 1e-5
"""l2 below which the penalty costs a weight of 10 less than 0.001 of loss: too little to hold it back."""

REMEDY_PENALTY = 1e-3
"""l2 to advise: it holds a standardised weight near 1 to 10 once the examples are all on the right side."""


def find(run: Run) -> Finding | None:
    """Say that the training rows are separated without error, which drives the weights out.

    A score that puts every row on its side proves that the classes are linearly separable, and then the
    log and softmax losses have no minimum without a penalty (Albert and Anderson 1984). Hidden layers may have
    learned the rows by heart: no such proof.
    """
    likelihood = run.setting("loss") in ("log", "softmax") and not has_hidden_layers(run)
    if not likelihood or run.train.get("accuracy") != 1.0 or not number(run, "l2") < TINY_PENALTY:
        return None
    return Finding(
        "DS301",
        say("The classes do not overlap"),
        say(
            "all {rows} are classified without error and l2 is {l2}, so larger weights always lower the "
            "loss and their size means little",
            rows=plural(run.data.train_rows, "training row"),
            l2=figure(number(run, "l2")),
        ),
        say(
            "set --l2 {l2} or more if the coefficients or probabilities are to be read",
            l2=figure(REMEDY_PENALTY),
        ),
    )
