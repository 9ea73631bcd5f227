"""What every loss is: the abstract class, the families that compiled loops tell apart, and the best constant."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import numpy as np

from downslope.types import Vector

SQUARED, CLIPPED, POISSON, LOG, HINGE, SQUARED_HINGE, SOFTMAX = range(7)
"""The families that the compiled engine tells apart."""


@dataclass(frozen=True)
class Loss(ABC):
    """One loss. ``family``, ``low``, ``high`` and ``width`` are what the compiled engine needs of it."""

    name: ClassVar[str]
    family: ClassVar[int]
    classifies: ClassVar[bool] = False
    probabilistic: ClassVar[bool] = False
    by_target: ClassVar[bool] = True
    """Whether the curvature depends on the target and not on the score alone."""

    @property
    def low(self) -> float:
        """Lower end of the clipped slope."""
        return -math.inf

    @property
    def high(self) -> float:
        """Upper end of the clipped slope."""
        return math.inf

    @property
    def width(self) -> float:
        """Width over which a corner is rounded; 0 for a true corner."""
        return 0.0

    @property
    def cornered(self) -> bool:
        """True where the slope jumps, so that gradient steps need a rounded stand-in."""
        return False

    def rounded(self, width: float) -> Loss:
        """Return the loss with its corner rounded over ``width``; a loss without a corner is itself."""
        del width
        return self

    @abstractmethod
    def value(self, score: Vector, target: Vector) -> Vector:
        """Return the loss of each example."""

    @abstractmethod
    def slope(self, score: Vector, target: Vector) -> Vector:
        """Return the derivative of the loss by the score; at a corner, one of the subgradients."""

    @abstractmethod
    def curvature(self, score: Vector, target: Vector) -> Vector:
        """Return the second derivative of the loss by the score (the slope's derivative where it has one)."""

    def majorant(self, score: Vector, target: Vector) -> Vector:
        """Return the curvature of a bowl that touches the loss at the score and lies nowhere below it."""
        return self.curvature(score, target)

    @abstractmethod
    def conjugate(self, slope: Vector, target: Vector) -> Vector:
        """Return ``max over s of slope s - loss(s)``, inf outside its domain."""

    def mean_response(self, score: Vector) -> Vector:
        """Return what the model predicts for a score: the score itself unless the loss has a link."""
        return score

    def constant_score(self, target: Vector, weights: Vector | None) -> float:
        """Return the one score for all examples that has the smallest loss: where the mean slope changes sign."""
        from scipy import optimize

        find = cast("Any", optimize).brentq
        share = None if weights is None else weights / weights.sum()

        def mean_slope(score: float) -> float:
            slopes = self.slope(np.full(target.shape, score), target)
            return float(slopes.mean() if share is None else slopes @ share)

        low, high = self._bracket(target)
        if not mean_slope(low) < 0 < mean_slope(high):
            return low if mean_slope(low) >= 0 else high
        return float(find(mean_slope, low, high, xtol=1e-15 * max(abs(low), abs(high))))

    def _bracket(self, target: Vector) -> tuple[float, float]:
        return float(target.min()), float(target.max())


def mean_target(target: Vector, weights: Vector | None) -> float:
    """Return the mean target, by weight where there are weights."""
    return float(target.mean() if weights is None else target @ weights / weights.sum())
