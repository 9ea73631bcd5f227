"""DS404: one column may give the answer away."""

from __future__ import annotations

from downslope.records import Coefficient, Finding, Run
from downslope.records.figures import figure
from downslope.words import named, say

PERFECT = {"accuracy": 0.999, "r2": 0.999, "auc": 0.9999}
"""Held-out scores that real questions rarely allow."""

ROWS = 100
"""Fewest held-out rows for which such a score is not luck."""

DOMINANT = 3.0
"""How many times stronger than every other the strongest coefficient must be to be named."""


def find(run: Run) -> Finding | None:
    """Name the dominant coefficient of a model that is suspiciously good on held-out rows."""
    perfect = next((name for name, least in PERFECT.items() if run.holdout.get(name, 0.0) >= least), None)
    if perfect is None or run.data.holdout_rows < ROWS or run.baseline.get(perfect, 0.0) >= PERFECT[perfect]:
        return None
    strongest = _dominant(run.coefficients)
    if strongest is None:
        return None
    return Finding(
        "DS404",
        say("A column may give the answer away"),
        say(
            '{score} {value} on held-out rows, and "{feature}" is more than {times} times '
            "stronger than any other feature",
            score=named(perfect),
            value=figure(run.holdout[perfect], 5),
            feature=strongest.feature,
            times=f"{DOMINANT:.0f}",
        ),
        say(
            'if "{feature}" is known only once the answer is, leave its column out with --drop',
            feature=strongest.feature,
        ),
    )


def _dominant(coefficients: tuple[Coefficient, ...]) -> Coefficient | None:
    """Return the coefficient that outweighs those of every other feature, None where there is no such."""
    ranked = sorted(coefficients, key=lambda each: -each.strength)
    others = [each.strength for each in ranked if each.feature != ranked[0].feature]
    return ranked[0] if others and ranked[0].strength >= DOMINANT * max(others) else None
