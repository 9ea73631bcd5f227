"""DS504: a network ended at a saddle: no slope, but a direction in which the loss falls."""

from __future__ import annotations

from downslope.diagnosis import same_units
from downslope.diagnosis.facts import number, stands_at
from downslope.diagnosis.stop_facts import more_than_chance, of_the_loss
from downslope.records import Finding, Run
from downslope.records.figures import figure
from downslope.records.shape import StopKind
from downslope.words import Sentence, say

SMALLER = 4
"""Factor by which to advise a smaller batch: half the gradient's signal to its noise, which pushes off a saddle."""


def find(run: Run) -> Finding | None:
    """Say that the loss still falls along a direction in which there is no slope, by how much and how far along.

    Silent where all units of a layer are one: then that is what makes the saddle.
    """
    stop = stands_at(run, StopKind.SADDLE)
    if stop is None or same_units.find(run) or not more_than_chance(stop.escape_drop, stop, run):
        return None
    return Finding(
        "DS504",
        say("Ended at a saddle"),
        say(
            "the gradient is {gradient}, as at a minimum, but one direction curves down by "
            "{curvature}, and along it the loss falls by {fall} within a distance of "
            "{distance}",
            gradient=figure(stop.gradient_norm),
            curvature=figure(-stop.smallest),
            fall=of_the_loss(stop.escape_drop, stop),
            distance=figure(stop.escape_length),
        ),
        _remedy(run),
    )


def _remedy(run: Run) -> Sentence:
    batch = number(run, "batch_size")
    noise = (
        say(", or --batch-size {batch}, whose noise pushes off a saddle", batch=f"{batch / SMALLER:.0f}")
        if batch >= 2 * SMALLER
        else ""
    )
    return say("try another start (--seed {seed}){noise}", seed=run.spec.seed + 1, noise=noise)
