"""DS505: a network ended on a plateau: nothing tells which way is down."""

from __future__ import annotations

from downslope.diagnosis import dead_units, same_units
from downslope.diagnosis.facts import AT_ONE_RATE, stands_at
from downslope.diagnosis.stop_facts import of_the_loss
from downslope.records import Finding, Run
from downslope.records.figures import figure, share
from downslope.records.shape import StopKind
from downslope.words import Sentence, joined, say

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
        say("Ended on a plateau"),
        say(
            "with {left} of the start's loss left, a slope of {slope} and curvatures up to "
            "{curvature} change it by less than {fall} within a distance of {reach}",
            left=share(run.objective / run.objective_at_start),
            slope=figure(stop.gradient_norm),
            curvature=figure(max(abs(stop.largest), abs(stop.smallest))),
            fall=of_the_loss(stop.negligible, stop),
            reach=figure(stop.reach),
        ),
        say("try {others}", others=_others(run)),
    )


def _others(run: Run) -> Sentence:
    ways = [] if run.spec.standardize else [say("standardised columns (leave out --no-standardize)")]
    if run.setting("activation") in SATURATING:
        ways.append(say("--activation relu, which does not go flat for large scores"))
    if run.setting("normalisation") == "none":
        ways.append(say("--normalisation batch, which keeps units where they bend"))
    if run.setting("rule") in AT_ONE_RATE:
        ways.append(say("--rule adam, whose steps do not shrink with the slope"))
    return joined(say(", or "), ways) or say("another start (--seed {seed})", seed=run.spec.seed + 1)
