"""What the record of a network's run is asked by those who explain it and by those who show it."""

from __future__ import annotations

from downslope.records.run import Run

LAYER = ".layer"
"""How the name ends of what holds a hidden layer's weights."""


def is_network(run: Run) -> bool:
    """Return whether the loop of networks trained the run; it alone records which model it made of the one asked for.

    A linear model of images is trained by it too: no gap and no curvature at the start speak for such a run.
    """
    return "model" in run.resolved


def has_hidden_layers(run: Run) -> bool:
    """Return whether the model has hidden layers: a loss with many minima, and weights that are no coefficients."""
    return run.setting("model") not in ("auto", "linear")


def layer_label(name: str) -> str:
    """Return the name of a layer as it is read, such as ``hidden.0`` for ``hidden.0.layer``."""
    return name.removesuffix(LAYER)
