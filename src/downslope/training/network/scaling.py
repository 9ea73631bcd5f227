"""A number target in units of its own deviation, which a network can reach from a start near zero."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from downslope.losses import Huber, Loss
from downslope.losses.loss import CLIPPED, SQUARED
from downslope.types import Matrix, Vector


@dataclass(frozen=True)
class TargetScale:
    """How the scores of a model come from those of its network: ``center + scale * score``.

    objective: what a loss in the network's units is multiplied by to be in those of the target.
    """

    center: float = 0.0
    scale: float = 1.0
    objective: float = 1.0

    def apply(self, scores: Matrix) -> Matrix:
        """Return scores (n, k) in units of the target."""
        return self.center + self.scale * scores


def scale_target(loss: Loss, target: Vector, weights: Vector | None) -> tuple[TargetScale, Loss, Vector]:
    """Return the scale of a target, the loss in its units, and the target as the network sees it."""
    mean = float(np.average(target, weights=weights))
    if loss.family not in (SQUARED, CLIPPED):
        return TargetScale(), loss, target
    deviation = math.sqrt(float(np.average((target - mean) ** 2, weights=weights))) or 1.0
    return *scaled_loss(loss, mean, deviation), (target - mean) / deviation


def scaled_loss(loss: Loss, center: float, deviation: float) -> tuple[TargetScale, Loss]:
    """Return the scale of a target with this mean and deviation, and a loss in its units."""
    factor = deviation if loss.cornered else deviation**2
    scaled = replace(loss, delta=loss.delta / deviation) if isinstance(loss, Huber) else loss
    return TargetScale(center, deviation, factor), scaled
