"""DS508: the gradient fades or swells on its way back through the layers."""

from __future__ import annotations

import math

from downslope.diagnosis import dead_units, same_units
from downslope.diagnosis.facts import AT_ONE_RATE, sound_looks
from downslope.records import Finding, Run
from downslope.records.figures import count, figure
from downslope.records.networks import layer_label
from downslope.records.shape import LayerNoise, Look
from downslope.words import Sentence, joined, say

APART = 1e4
"""How many times faster, as a share of its weights, one layer must move than another: where the fast one moves by a
healthy 1e-3 of itself a step, the slow one moves by 1e-7, which is the rounding of float32."""

DIVIDING = ("adam", "adamw", "rmsprop", "adagrad", "schedule-free")
"""Rules that divide gradients by their size, so that layers move alike however unlike their gradients are."""

DIVISOR = 1e-8
"""What those add to the size; a gradient no longer than this is not brought up to the others."""

BENT = ("relu", "leaky-relu", "gelu", "silu")
"""Activations whose slope stays near 1 for half of their inputs, so that layers pass a gradient back whole."""


def find(run: Run) -> Finding | None:
    """Name the two layers whose weights are moved least and most, where that was so at every look.

    Silent where dead units or units that are all one stop the gradient: then that is the cause.
    """
    looks = sound_looks(run)
    if not looks or not all(_apart(run, look) for look in looks) or same_units.find(run) or dead_units.find(run):
        return None
    slow, fast = _ends(looks[-1])
    layers = [layer.name for layer in looks[-1].noise.layers]
    fades = layers.index(slow.name) < layers.index(fast.name)
    return Finding(
        "DS508",
        say("The gradient fades from layer to layer") if fades else say("The gradient swells from layer to layer"),
        say(
            "at update {update} the gradient of {slow} is {gradient} for weights of length {weights}, "
            "that of {fast} {other_gradient} for {other_weights}: one rate moves the second {times} further, "
            "as a share of itself",
            update=count(looks[-1].update),
            slow=layer_label(slow.name),
            gradient=figure(slow.gradient),
            weights=figure(slow.weights),
            fast=layer_label(fast.name),
            other_gradient=figure(fast.gradient),
            other_weights=figure(fast.weights),
            times=_times(slow, fast),
        ),
        say("try {others}", others=_others(run)),
    )


def _ends(look: Look) -> tuple[LayerNoise, LayerNoise]:
    """Return the layers whose weights one rate moves least and most, as a share of their length."""
    matrices = [layer for layer in look.noise.layers if layer.units and layer.weights > 0]
    return min(matrices, key=_pull), max(matrices, key=_pull)


def _pull(layer: LayerNoise) -> float:
    return layer.gradient / layer.weights


def _apart(run: Run, look: Look) -> bool:
    if sum(bool(layer.units and layer.weights > 0) for layer in look.noise.layers) < 2:
        return False
    slow, fast = _ends(look)
    if not _pull(fast) > APART * _pull(slow):
        return False
    rule = run.setting("rule")
    return rule in AT_ONE_RATE or (rule in DIVIDING and slow.gradient <= DIVISOR)


def _times(slow: LayerNoise, fast: LayerNoise) -> str:
    times = _pull(fast) / _pull(slow) if slow.gradient > 0 else math.inf
    return say("{times} times", times=figure(times, 2)) if math.isfinite(times) else say("infinitely")


def _others(run: Run) -> Sentence:
    ways = [] if run.spec.standardize else [say("standardised columns (leave out --no-standardize)")]
    if run.setting("normalisation") == "none":
        ways.append(say("--normalisation batch"))
    if run.setting("activation") not in BENT:
        ways.append(say("--activation relu with --start he"))
    elif run.setting("start") not in ("he", "orthogonal"):
        ways.append(say("--start he"))
    if run.setting("rule") in AT_ONE_RATE:
        ways.append(say("--rule adam, which moves all layers alike"))
    return joined(say(", or "), ways) or say("fewer layers in --model")
