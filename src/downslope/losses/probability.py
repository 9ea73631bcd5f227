"""Losses of a class by its probability: log for two classes, softmax for more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from downslope.losses.loss import LOG, SOFTMAX, Loss, mean_target
from downslope.types import Matrix, Vector


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
        mean = mean_target(target, weights)
        return math.log(mean / (1.0 - mean)) if 0 < mean < 1 else math.copysign(30.0, mean - 0.5)


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


def _entropy(p: Vector) -> Vector:
    return p * np.log(np.where(p > 0, p, 1.0))


def sigmoid(score: Vector) -> Vector:
    """Return 1 / (1 + e^-s) without overflow."""
    small = np.exp(-np.abs(score))
    return np.where(score >= 0, 1.0, small) / (1.0 + small)
