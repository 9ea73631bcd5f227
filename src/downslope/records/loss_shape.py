"""The loss about the final weights of a run, measured when asked for."""

from __future__ import annotations

from dataclasses import dataclass

from downslope.records.shape import Noise, Shape, StopPoint


@dataclass(frozen=True)
class LossShape:
    """What the loss of a trained network is like about its weights.

    run: its name. shape: curvature. noise: of the gradient, layer by layer. stop_point: what kind of point it is. They
    are in the network's own units, as in ``Run.looks``, since learning rates are: a loss there times ``unit`` is one
    in units of the target.
    """

    run: str
    shape: Shape
    noise: Noise
    stop_point: StopPoint
    unit: float = 1.0
