"""DS502: many units of a layer are zero for every example, so that they learn nothing."""

from __future__ import annotations

import math

from downslope.diagnosis import same_units
from downslope.diagnosis.above_limit import SAFE_SHARE
from downslope.diagnosis.facts import number, sound_looks
from downslope.records import Finding, Run, Verdict
from downslope.records.figures import count, figure, share
from downslope.records.networks import layer_label
from downslope.records.shape import LayerNoise, Look
from downslope.words import Sentence, joined, say

MANY = 0.5
"""Share of a layer's units from which they are a loss: then a layer of half the size would do the same work. Fewer
are common in networks that learn well: units that start or end on the wrong side of zero."""

FAR_ABOVE = 2.0
"""How many times its limit a rate must be to be blamed: networks hover about their limit by themselves (Cohen et al.
2021, "Gradient descent on neural networks typically occurs at the edge of stability")."""

SMALLER = 4
"""Factor by which to advise a smaller rate where no limit says how much."""


def find(run: Run) -> Finding | None:
    """Name the layers most of whose units are zero for all examples looked at: no gradient comes back through them."""
    layers = dead_layers(run)
    if run.verdict == Verdict.DIVERGED or not layers or same_units.find(run):
        return None
    look = run.looks[-1]
    counts = joined(
        say(" and "),
        [
            say("{dead} of {units} in {layer}", dead=round(each.dead * each.units), units=each.units,
                layer=layer_label(each.name))
            for each in layers
        ],
    )  # fmt: skip
    worst = max(each.dead for each in layers)
    return Finding(
        "DS502",
        say("Dead units"),
        say(
            "at update {update} units are zero for all {rows} examples looked at, and no gradient comes "
            "back through them: {counts} (up to {worst} of a layer)",
            update=count(look.update),
            rows=count(look.noise.rows),
            counts=counts,
            worst=share(worst),
        ),
        _remedy(run),
    )


def dead_layers(run: Run) -> tuple[LayerNoise, ...]:
    """Return the layers of rectified units of which a large share were dead at the last look."""
    if run.setting("activation") != "relu" or not run.looks:
        return ()
    return tuple(layer for layer in run.looks[-1].noise.layers if layer.dead >= MANY)


def _remedy(run: Run) -> Sentence:
    other = say("--activation leaky-relu, whose units always let some gradient back")
    above = _furthest_above(run)
    if above is not None:
        return say(
            "try --learning-rate {rate}: at update {update} the rate was {times} times the "
            "limit measured there, and steps that long throw units out of reach; or {other}",
            rate=figure(SAFE_SHARE * above.limit, 2),
            update=count(above.update),
            times=figure(above.learning_rate / above.limit, 2),
            other=other,
        )
    rate = number(run, "learning_rate")
    smaller = say(", or --learning-rate {rate}", rate=figure(rate / SMALLER, 2)) if math.isfinite(rate) else ""
    return say("try {other}{smaller}", other=other, smaller=smaller)


def _furthest_above(run: Run) -> Look | None:
    """Return the look at which the rate was furthest above its limit, None where it never was far above."""
    looks = [look for look in sound_looks(run) if look.learning_rate > FAR_ABOVE * look.limit]
    return max(looks, key=lambda look: look.learning_rate / look.limit, default=None)
