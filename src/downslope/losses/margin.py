"""Losses of a class by its margin: hinge and squared hinge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from downslope.losses.loss import HINGE, SQUARED_HINGE, Loss
from downslope.types import Vector


@dataclass(frozen=True)
class Hinge(Loss):
    """``max(0, 1 - m)`` with the margin m = (2 y - 1) s, y in {0, 1}."""

    name: ClassVar[str] = "hinge"
    family: ClassVar[int] = HINGE
    classifies: ClassVar[bool] = True
    smoothing: float = 0.0

    @property
    def low(self) -> float:
        """0: an example beyond the margin pulls no more."""
        return 0.0

    @property
    def high(self) -> float:
        """1: an example short of the margin pulls with all its weight."""
        return 1.0

    @property
    def width(self) -> float:
        """The rounding of the corner at margin 1."""
        return self.smoothing

    @property
    def cornered(self) -> bool:
        """True while the corner has no width."""
        return self.smoothing == 0

    def rounded(self, width: float) -> Hinge:
        """Return the loss with its corner rounded."""
        return replace(self, smoothing=width)

    def _dual(self, short: Vector) -> Vector:
        if self.width == 0:
            return np.where(short > 0, 1.0, 0.0)
        return np.clip(short / self.width, 0.0, 1.0)

    def value(self, score: Vector, target: Vector) -> Vector:
        """Return r t - width t^2 / 2 with r = 1 - m at the best t in [0, 1]."""
        short = 1.0 - (2.0 * target - 1.0) * score
        best = self._dual(short)
        return best * (short - 0.5 * self.width * best)

    def slope(self, score: Vector, target: Vector) -> Vector:
        """Return -(2 y - 1) t."""
        sign = 2.0 * target - 1.0
        return -sign * self._dual(1.0 - sign * score)

    def curvature(self, score: Vector, target: Vector) -> Vector:
        """Return 1 / width on the rounded corner, else 0."""
        if self.width == 0:
            return np.zeros(score.shape)
        short = 1.0 - (2.0 * target - 1.0) * score
        return np.where((short > 0) & (short < self.width), 1.0 / self.width, 0.0)

    def conjugate(self, slope: Vector, target: Vector) -> Vector:
        """Return -t + width t^2 / 2 with t = -(2 y - 1) v in [0, 1]."""
        best = -(2.0 * target - 1.0) * slope
        return np.where((best >= 0) & (best <= 1), best * (0.5 * self.width * best - 1.0), np.inf)

    def _bracket(self, target: Vector) -> tuple[float, float]:
        return -1.0, 1.0


@dataclass(frozen=True)
class SquaredHinge(Loss):
    """``max(0, 1 - m)^2`` with the margin m = (2 y - 1) s, y in {0, 1}."""

    name: ClassVar[str] = "squared-hinge"
    family: ClassVar[int] = SQUARED_HINGE
    classifies: ClassVar[bool] = True

    def value(self, score: Vector, target: Vector) -> Vector:
        """Return max(0, 1 - m)^2."""
        return np.maximum(0.0, 1.0 - (2.0 * target - 1.0) * score) ** 2

    def slope(self, score: Vector, target: Vector) -> Vector:
        """Return -2 (2 y - 1) max(0, 1 - m)."""
        sign = 2.0 * target - 1.0
        return -2.0 * sign * np.maximum(0.0, 1.0 - sign * score)

    def curvature(self, score: Vector, target: Vector) -> Vector:
        """Return 2 where the margin is short of 1, else 0."""
        return np.where((2.0 * target - 1.0) * score < 1.0, 2.0, 0.0)

    def conjugate(self, slope: Vector, target: Vector) -> Vector:
        """Return t^2 / 4 - t with t = -(2 y - 1) v >= 0."""
        best = -(2.0 * target - 1.0) * slope
        return np.where(best >= 0, best * (0.25 * best - 1.0), np.inf)

    def _bracket(self, target: Vector) -> tuple[float, float]:
        return -1.0, 1.0
