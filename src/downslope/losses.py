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

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from downslope.types import Matrix, Vector

SQUARED, CLIPPED, POISSON, LOG, HINGE, SQUARED_HINGE, SOFTMAX = range(7)
"""The families that the compiled engine tells apart."""

INTERCEPT_STEPS = 200
"""Bisections to place a constant score; each halves the bracket, and 200 exhaust float64."""


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

    @abstractmethod
    def conjugate(self, slope: Vector, target: Vector) -> Vector:
        """Return ``max over s of slope s - loss(s)``, inf outside its domain."""

    def mean_response(self, score: Vector) -> Vector:
        """Return what the model predicts for a score: the score itself unless the loss has a link."""
        return score

    def constant_score(self, target: Vector, weights: Vector | None) -> float:
        """Return the one score for all examples that has the smallest loss, by bisecting the mean slope."""
        share = None if weights is None else weights / weights.sum()

        def mean_slope(score: float) -> float:
            slopes = self.slope(np.full(target.shape, score), target)
            return float(slopes.mean() if share is None else slopes @ share)

        low, high = self._bracket(target)
        for _ in range(INTERCEPT_STEPS):
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            low, high = (middle, high) if mean_slope(middle) < 0 else (low, middle)
        return 0.5 * (low + high)

    def _bracket(self, target: Vector) -> tuple[float, float]:
        return float(target.min()), float(target.max())


def _mean(target: Vector, weights: Vector | None) -> float:
    return float(target.mean() if weights is None else target @ weights / weights.sum())


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
        return _mean(target, weights)


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
        """-1."""
        return -1.0

    @property
    def high(self) -> float:
        """1."""
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
        """-delta."""
        return -self.delta

    @property
    def high(self) -> float:
        """Delta."""
        return self.delta

    @property
    def width(self) -> float:
        """1: huber has no corner."""
        return 1.0


@dataclass(frozen=True)
class Quantile(_Clipped):
    """``q max(r, 0) + (1 - q) max(-r, 0)``, r = y - s (Koenker and Bassett 1978, eq. 3.1)."""

    name: ClassVar[str] = "quantile"
    quantile: float = 0.5
    smoothing: float = 0.0

    @property
    def low(self) -> float:
        """Q - 1."""
        return self.quantile - 1.0

    @property
    def high(self) -> float:
        """Q."""
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
        return math.log(max(_mean(target, weights), 1e-300))


def poisson_offset(target: Vector) -> Vector:
    """Return y log y - y, 0 at y = 0: the part of the deviance that no weight can change."""
    return target * np.log(np.where(target > 0, target, 1.0)) - target


@dataclass(frozen=True)
class Log(Loss):
    """``log(1 + e^s) - y s`` for y in {0, 1}: minus the log-probability of the class, in nats."""

    name: ClassVar[str] = "log"
    by_target: ClassVar[bool] = False
    family: ClassVar[int] = LOG
    classifies: ClassVar[bool] = True
    probabilistic: ClassVar[bool] = True

    def value(self, score: Vector, target: Vector) -> Vector:
        """Return log(1 + e^s) - y s without overflow."""
        return np.logaddexp(0.0, score) - target * score

    def slope(self, score: Vector, target: Vector) -> Vector:
        """Return sigmoid(s) - y."""
        return sigmoid(score) - target

    def curvature(self, score: Vector, target: Vector) -> Vector:
        """Return p (1 - p)."""
        del target
        return sigmoid(score) * sigmoid(-score)

    def conjugate(self, slope: Vector, target: Vector) -> Vector:
        """Return p log p + (1 - p) log(1 - p) with p = v + y in [0, 1]."""
        chance = slope + target
        inside = (chance >= 0) & (chance <= 1)
        p = np.clip(chance, 0.0, 1.0)
        return np.where(inside, _entropy(p) + _entropy(1.0 - p), np.inf)

    def mean_response(self, score: Vector) -> Vector:
        """Return sigmoid(s), the probability of class 1."""
        return sigmoid(score)

    def constant_score(self, target: Vector, weights: Vector | None) -> float:
        """Return the log odds of class 1."""
        mean = _mean(target, weights)
        return math.log(mean / (1.0 - mean)) if 0 < mean < 1 else math.copysign(30.0, mean - 0.5)


def _entropy(p: Vector) -> Vector:
    return p * np.log(np.where(p > 0, p, 1.0))


def sigmoid(score: Vector) -> Vector:
    """Return 1 / (1 + e^-s) without overflow."""
    small = np.exp(-np.abs(score))
    return np.where(score >= 0, 1.0, small) / (1.0 + small)


@dataclass(frozen=True)
class Hinge(Loss):
    """``max(0, 1 - m)`` with the margin m = (2 y - 1) s, y in {0, 1}."""

    name: ClassVar[str] = "hinge"
    family: ClassVar[int] = HINGE
    classifies: ClassVar[bool] = True
    smoothing: float = 0.0

    @property
    def low(self) -> float:
        """0."""
        return 0.0

    @property
    def high(self) -> float:
        """1."""
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


@dataclass(frozen=True)
class Softmax(Loss):
    """``log(sum_c e^s_c) - s_y``: minus the log-probability of the class, in nats. Scores are (n, k)."""

    name: ClassVar[str] = "softmax"
    family: ClassVar[int] = SOFTMAX
    classifies: ClassVar[bool] = True
    probabilistic: ClassVar[bool] = True

    def value(self, score: Matrix, target: Vector) -> Vector:
        """Return (n,) log-sum-exp minus the score of the class."""
        top = score.max(axis=1)
        chosen = score[np.arange(score.shape[0]), target.astype(np.intp)]
        return top + np.log(np.exp(score - top[:, None]).sum(axis=1)) - chosen

    def slope(self, score: Matrix, target: Vector) -> Matrix:
        """Return (n, k) probabilities minus the one-hot truth."""
        slope = self.mean_response(score)
        slope[np.arange(score.shape[0]), target.astype(np.intp)] -= 1.0
        return slope

    def curvature(self, score: Matrix, target: Vector) -> Matrix:
        """Return (n, k), the diagonal p (1 - p) of the curvature of each example."""
        del target
        chance = self.mean_response(score)
        return chance * (1.0 - chance)

    def conjugate(self, slope: Matrix, target: Vector) -> Vector:
        """Return (n,) sum of p log p with p = v + one-hot truth on the simplex."""
        chance = slope.copy()
        chance[np.arange(slope.shape[0]), target.astype(np.intp)] += 1.0
        return np.where((chance >= 0).all(axis=1), _entropy(np.maximum(chance, 0.0)).sum(axis=1), np.inf)

    def mean_response(self, score: Matrix) -> Matrix:
        """Return (n, k) probabilities."""
        chance = np.exp(score - score.max(axis=1, keepdims=True))
        return chance / chance.sum(axis=1, keepdims=True)


def make_loss(name: str, *, delta: float = 1.0, quantile: float = 0.5) -> Loss:
    """Return the loss called ``name``; delta is huber's (in units of the target), quantile the quantile's."""
    if name == Huber.name:
        return Huber(delta=delta)
    if name == Quantile.name:
        return Quantile(quantile=quantile)
    plain: tuple[type[Loss], ...] = (Squared, Absolute, Poisson, Log, Softmax, Hinge, SquaredHinge)
    return {each.name: each for each in plain}[name]()
