"""DS501: the units of a hidden layer began as one and never parted."""

from __future__ import annotations

from downslope.diagnosis.facts import sound_looks
from downslope.records import Finding, Run
from downslope.records.figures import plural
from downslope.records.networks import LAYER, layer_label
from downslope.records.shape import LayerNoise
from downslope.words import joined, say

ALIKE = ("zeros", "constant")
"""Starts that give every unit of a layer the same weights."""

BENT = ("relu", "leaky-relu", "gelu", "silu", "softplus")
"""Activations that let about half of a signal through, for which the start he is scaled (He et al. 2015)."""


def find(run: Run) -> Finding | None:
    """Explain a layer that does the work of one unit by a start that gave all of its units the same weights.

    Units that see the same input, hold the same weights and meet the same weights above get the same gradient, so
    that no step can part them. The rank of the layer's gradient, at most 1, is the measurement that says so. Rank 1
    alone would not: one input, a linear activation or a single live unit have it too.
    """
    looks = sound_looks(run)
    layers = same_layers(run)
    if not layers:
        return None
    start = run.setting("start")
    ranks = joined(
        say(" and "),
        [
            say("{rank} for the {units} units of {layer}", rank=each.rank, units=each.units,
                layer=layer_label(each.name))
            for each in layers
        ],
    )  # fmt: skip
    random = "he" if run.setting("activation") in BENT else "glorot"
    return Finding(
        "DS501",
        say("All units of a layer are one"),
        say(
            "from --start {start} the units of a layer begin alike and get the same gradient, so that "
            "they stay alike: after {updates} the rank of the gradient is {ranks}",
            start=start,
            updates=plural(looks[-1].update, "update"),
            ranks=ranks,
        ),
        say("try --start {start}, which gives each unit weights of its own", start=random),
    )


def same_layers(run: Run) -> tuple[LayerNoise, ...]:
    """Return the hidden layers whose units all are one at the last look.

    Dropout, which leaves out other units at each step, would part them, if there were any gradient to do it with.
    """
    looks = sound_looks(run)
    if run.setting("start") not in ALIKE or not looks:
        return ()
    hidden = [layer for layer in looks[-1].noise.layers if layer.name.endswith(LAYER) and layer.units > 1]
    return tuple(layer for layer in hidden if layer.rank <= 1 and (run.spec.dropout == 0 or layer.weights == 0))
