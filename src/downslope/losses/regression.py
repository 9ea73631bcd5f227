"""Losses of a number: squared, the clipped family of absolute, huber and quantile, and poisson."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from downslope.losses.loss import CLIPPED, POISSON, SQUARED, Loss, mean_target
from downslope.types import Vector


@dataclass(frozen=True)
class Squared(Loss):
    """``(y - s)^2`` without a half, so that its mean is the mean squared error."""

    name: ClassVar[str] = "squared"
    by_target: ClassVar[bool] = False
    family: ClassVar[int] = SQUARED

    def value(self, score: Vector, target: Vector) -> Vector:
        """Return (y - s)^2."""
        return (target - score) ** 2

    def slope(self, score: Vector, target: Vector) -> Vector:
        """Return 2 (s - y)."""
        return 2.0 * (score - target)

    def curvature(self, score: Vector, target: Vector) -> Vector:
        """Return 2."""
        del target
        return np.full(score.shape, 2.0)

    def conjugate(self, slope: Vector, target: Vector) -> Vector:
        """Return v^2 / 4 + v y."""
        return slope * (0.25 * slope + target)

    def constant_score(self, target: Vector, weights: Vector | None) -> float:
        """Return the mean target."""
        return mean_target(target, weights)


@dataclass(frozen=True)
class _Clipped(Loss):
    """``max over t in [low, high] of (y - s) t - width t^2 / 2``; its slope is ``-clip((y - s) / width)``."""

    family: ClassVar[int] = CLIPPED

    @property
    def cornered(self) -> bool:
        """True while the corner has no width."""
        return self.width == 0

    def _dual(self, residual: Vector) -> Vector:
        if self.width == 0:
            middle = 0.5 * (self.low + self.high)
            return np.where(residual > 0, self.high, np.where(residual < 0, self.low, middle))
        return np.clip(residual / self.width, self.low, self.high)

    def value(self, score: Vector, target: Vector) -> Vector:
        """Return r t - width t^2 / 2 at the best t."""
        residual = target - score
        best = self._dual(residual)
        return best * (residual - 0.5 * self.width * best)

    def slope(self, score: Vector, target: Vector) -> Vector:
        """Return -t at the best t."""
        return -self._dual(target - score)

    def curvature(self, score: Vector, target: Vector) -> Vector:
        """Return 1 / width where the slope is not clipped, else 0."""
        if self.width == 0:
            return np.zeros(score.shape)
        ratio = (target - score) / self.width
        return np.where((ratio > self.low) & (ratio < self.high), 1.0 / self.width, 0.0)

    def conjugate(self, slope: Vector, target: Vector) -> Vector:
        """Return v y + width v^2 / 2 for -v in [low, high]."""
        inside = (-slope >= self.low) & (-slope <= self.high)
        return np.where(inside, slope * (target + 0.5 * self.width * slope), np.inf)


@dataclass(frozen=True)
class Absolute(_Clipped):
    """``|y - s|``."""

    name: ClassVar[str] = "absolute"
    smoothing: float = 0.0

    @property
    def low(self) -> float:
        """-1: the slope of a score above the target is 1."""
        return -1.0

    @property
    def high(self) -> float:
        """1: the slope of a score below the target is -1."""
        return 1.0

    @property
    def width(self) -> float:
        """The rounding of the corner at y = s."""
        return self.smoothing

    def rounded(self, width: float) -> Absolute:
        """Return the loss with its corner rounded."""
        return replace(self, smoothing=width)


@dataclass(frozen=True)
class Huber(_Clipped):
    """Half the squared residual up to delta, a straight line beyond (Huber 1964, eq. 2.12).

    ``r^2 / 2`` for ``|r| <= delta``, else ``delta (|r| - delta / 2)``.
    """

    name: ClassVar[str] = "huber"
    delta: float = 1.0

    @property
    def low(self) -> float:
        """Minus delta: beyond it the slope no longer grows."""
        return -self.delta

    @property
    def high(self) -> float:
        """Delta: beyond it the slope no longer falls."""
        return self.delta

    @property
    def width(self) -> float:
        """1: huber has no corner."""
        return 1.0

    def majorant(self, score: Vector, target: Vector) -> Vector:
        """Return ``min(1, delta / |r|)``, the weight of iteratively reweighted least squares (Huber 1981, 7.8)."""
        return self.delta / np.maximum(np.abs(target - score), self.delta)


@dataclass(frozen=True)
class Quantile(_Clipped):
    """``q max(r, 0) + (1 - q) max(-r, 0)``, r = y - s (Koenker and Bassett 1978, eq. 3.1)."""

    name: ClassVar[str] = "quantile"
    quantile: float = 0.5
    smoothing: float = 0.0

    @property
    def low(self) -> float:
        """Quantile minus 1: a score too high is blamed by the share that should lie above it."""
        return self.quantile - 1.0

    @property
    def high(self) -> float:
        """The quantile: a score too low is blamed by the share that should lie below it."""
        return self.quantile

    @property
    def width(self) -> float:
        """The rounding of the corner at y = s."""
        return self.smoothing

    def rounded(self, width: float) -> Quantile:
        """Return the loss with its corner rounded."""
        return replace(self, smoothing=width)


@dataclass(frozen=True)
class Poisson(Loss):
    """Half the Poisson deviance with a log link: ``e^s - y s + y log y - y``, for counts y >= 0."""

    name: ClassVar[str] = "poisson"
    by_target: ClassVar[bool] = False
    family: ClassVar[int] = POISSON

    def value(self, score: Vector, target: Vector) -> Vector:
        """Return e^s - y s + y log y - y."""
        return np.exp(score) - target * score + poisson_offset(target)

    def slope(self, score: Vector, target: Vector) -> Vector:
        """Return e^s - y."""
        return np.exp(score) - target

    def curvature(self, score: Vector, target: Vector) -> Vector:
        """Return e^s."""
        del target
        return np.exp(score)

    def conjugate(self, slope: Vector, target: Vector) -> Vector:
        """Return m log m - m - (y log y - y) with m = v + y >= 0."""
        mean = slope + target
        return np.where(mean >= 0, poisson_offset(np.maximum(mean, 0.0)) - poisson_offset(target), np.inf)

    def mean_response(self, score: Vector) -> Vector:
        """Return e^s, the predicted count."""
        return np.exp(score)

    def constant_score(self, target: Vector, weights: Vector | None) -> float:
        """Return the log of the mean count."""
        return math.log(max(mean_target(target, weights), 1e-300))


def poisson_offset(target: Vector) -> Vector:
    """Return y log y - y, 0 at y = 0: the part of the deviance that no weight can change."""
    return target * np.log(np.where(target > 0, target, 1.0)) - target
