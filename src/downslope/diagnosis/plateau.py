"""DS505: a network ended on a plateau: nothing tells which way is down."""

from __future__ import annotations

from downslope.diagnosis import dead_units, same_units
from downslope.diagnosis.facts import AT_ONE_RATE, stands_at
from downslope.diagnosis.stop_facts import of_the_loss
from downslope.records import Finding, Run
from downslope.records.figures import figure, share
from downslope.records.shape import StopKind

BOTTOM = 0.1
"""Share of the start's loss below which flat ground is the bottom: examples that are all answered well curve little."""

SATURATING = ("sigmoid", "tanh")
"""Activations that go flat for scores of either sign."""


def find(run: Run) -> Finding | None:
    """Say that neither slope nor curvature would change a loss that is still high; silent where units say why."""
    stop = stands_at(run, StopKind.PLATEAU)
    if stop is None or not run.objective > BOTTOM * run.objective_at_start > 0:
        return None
    if same_units.find(run) or dead_units.find(run):
        return None
    return Finding(
        "DS505",
        "Ended on a plateau",
        f"with {share(run.objective / run.objective_at_start)} of the start's loss left, a slope of "
        f"{figure(stop.gradient_norm)} and curvatures up to {figure(max(abs(stop.largest), abs(stop.smallest)))} "
        f"change it by less than {of_the_loss(stop.negligible, stop)} within a distance of {figure(stop.reach)}",
        f"try {_others(run)}",
    )


def _others(run: Run) -> str:
    ways = [] if run.spec.standardize else ["standardised columns (leave out --no-standardize)"]
    if run.setting("activation") in SATURATING:
        ways.append("--activation relu, which does not go flat for large scores")
    if run.setting("normalisation") == "none":
        ways.append("--normalisation batch, which keeps units where they bend")
    if run.setting("rule") in AT_ONE_RATE:
        ways.append("--rule adam, whose steps do not shrink with the slope")
    return ", or ".join(ways) or f"another start (--seed {run.spec.seed + 1})"
