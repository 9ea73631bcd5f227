"""DS302: one class is so common that accuracy says little."""

from __future__ import annotations

from downslope.records import Finding, Run
from downslope.words import say

COMMON = 0.7
"""Share of the most common class from which always answering it looks like a good model."""

LITTLE = 0.25
"""Share of the way from the baseline's accuracy to 1 from which the accuracy speaks for the model after all."""


def find(run: Run) -> Finding | None:
    """Warn where the accuracy is little more than the share of the most common class."""
    scores = run.holdout if "accuracy" in run.holdout else run.train
    baseline, accuracy = run.baseline.get("accuracy"), scores.get("accuracy")
    if baseline is None or accuracy is None or run.spec.class_weight is not None:
        return None
    if baseline < COMMON or accuracy > baseline + LITTLE * (1 - baseline):
        return None
    return Finding(
        "DS302",
        say("Accuracy says little here"),
        say(
            "always answering the most common class is right for {baseline} % of the rows; the model is "
            "right for {accuracy} %",
            baseline=f"{100 * baseline:.1f}",
            accuracy=f"{100 * accuracy:.1f}",
        ),
        say("judge by the log loss or the area under ROC; if the rare class matters more, set --class-weight balanced"),
    )
