"""Score and target -> loss, slope, curvature, and the conjugate that a certificate needs.

Three known cases say what every loss here is. For a target y and a score s,

- ``squared``: (y - s)^2, whose slope 2 (s - y) grows without end;
- ``absolute``: |y - s|, whose slope is a sign, so that one wild target pulls no harder than another;
- ``log``: -log of the probability sigmoid(s) given to the class, whose slope is probability minus truth.

The first is a bowl, the second a wedge with a corner, the third flat at one end. Most of the others are
made of one formula: with a residual r, the loss is ``max over t in [low, high] of r t - width t^2 / 2``,
so its slope is a clipped line. ``absolute`` is [-1, 1] with width 0, ``huber`` is [-delta, delta] with width
1, ``quantile`` is [q - 1, q], ``hinge`` is [0, 1] in the residual 1 - margin. A corner (width 0) is rounded
by giving it a width: that is the smoothing of Nesterov (2005), "Smooth minimization of non-smooth
functions", eq. 2.5, and it lies below the corner by at most ``width max(low^2, high^2) / 2``.

All functions take and return float64 arrays of one shape, (n,), unless they say otherwise. Targets of the
classification losses are 0 or 1; of ``softmax`` the class index.
"""

from __future__ import annotations

from downslope.losses.loss import CLIPPED, HINGE, LOG, POISSON, SOFTMAX, SQUARED, SQUARED_HINGE, Loss
from downslope.losses.margin import Hinge, SquaredHinge
from downslope.losses.probability import Log, Softmax, sigmoid
from downslope.losses.regression import Absolute, Huber, Poisson, Quantile, Squared, poisson_offset

__all__ = [
    "CLIPPED",
    "HINGE",
    "LOG",
    "POISSON",
    "SOFTMAX",
    "SQUARED",
    "SQUARED_HINGE",
    "Absolute",
    "Hinge",
    "Huber",
    "Log",
    "Loss",
    "Poisson",
    "Quantile",
    "Softmax",
    "Squared",
    "SquaredHinge",
    "make_loss",
    "poisson_offset",
    "sigmoid",
]


def make_loss(name: str, *, delta: float = 1.0, quantile: float = 0.5) -> Loss:
    """Return the loss called ``name``; delta is huber's (in units of the target), quantile the quantile's."""
    if name == Huber.name:
        return Huber(delta=delta)
    if name == Quantile.name:
        return Quantile(quantile=quantile)
    plain: tuple[type[Loss], ...] = (Squared, Absolute, Poisson, Log, Softmax, Hinge, SquaredHinge)
    return {each.name: each for each in plain}[name]()
