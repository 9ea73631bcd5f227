"""What the rules on end points ask of one: shares of the loss, and the rate that would gain most."""

from __future__ import annotations

import math

from downslope.diagnosis.above_limit import SAFE_SHARE
from downslope.records import Run
from downslope.records.figures import share
from downslope.records.shape import StopPoint
from downslope.words import say

SURE = 2.0
"""How many times the fall that chance alone makes a fall on a sample must be."""


def of_the_loss(part: float, stop: StopPoint) -> str:
    """Return a fall of the loss as a share of the loss: the point's own numbers are in units of the scaled target."""
    return share(part / stop.loss) if stop.loss > 0 else say("part")


def more_than_chance(fall: float, stop: StopPoint, run: Run) -> bool:
    """Return whether a fall of the loss on the sample looked at is one on all training rows.

    At the minimum of all rows a sample of n of them still lets its own loss fall, by about ``loss P / n`` for P
    weights (exactly so for squared loss, and ``P / 2n`` for a likelihood: Wilks 1938).
    """
    if stop.rows >= stop.all_rows:
        return True
    weights = run.looks[-1].shape.weights if run.looks else math.inf
    return fall > SURE * abs(stop.loss) * weights / max(stop.rows, 1)


def taken_back(stop: StopPoint) -> float:
    """Return the share that curvature and noise take back of what the gradient gains at an update, nan if unknown."""
    gain = stop.learning_rate * stop.gradient_norm**2
    return 1.0 - stop.expected / gain if gain > 0 else math.nan


def best_rate(stop: StopPoint) -> float:
    """Return the rate whose plain update lowers the loss most on average, at most half the limit; nan if unknown.

    An update at rate r gains ``r g^2 - r^2 b / 2``, b what the curvature makes of gradient and noise, so that the
    best rate is ``g^2 / b`` (McCandlish et al. 2018, eq. 2.6); b follows from the gain at the rate in use.
    """
    lost = taken_back(stop)
    safe = SAFE_SHARE * stop.stability_limit if math.isfinite(stop.stability_limit) else math.nan
    if not lost > 0:
        return safe
    best = stop.learning_rate / (2.0 * lost)
    return best if math.isnan(safe) else min(best, safe)


def gain_at(stop: StopPoint, rate: float) -> float:
    """Return by how much a plain update at another rate would lower the loss on average."""
    ratio = rate / stop.learning_rate
    return stop.learning_rate * stop.gradient_norm**2 * (ratio - ratio**2 * taken_back(stop))
