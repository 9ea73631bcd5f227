"""A linear model: its weights, and the objective that they are to bring down.

``F(w, b) = (1 / sum c_i) sum c_i l(y_i, x_i w + b) + l2 / 2 |w|^2 + l1 |w|_1``. Weights act on model
features (standardised numbers, then one column per level); the intercept carries no penalty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from downslope.losses import SOFTMAX, Loss
from downslope.types import Matrix, Vector


@dataclass(frozen=True)
class Point:
    """Where a training stands: weights (d, k) and intercept (k,), both float64."""

    weights: Matrix
    intercept: Vector

    @classmethod
    def zeros(cls, features: int, outputs: int) -> Point:
        """Return the start from which every gap is measured."""
        return cls(np.zeros((features, outputs)), np.zeros(outputs))

    @property
    def finite(self) -> bool:
        """True where no weight is NaN or infinite."""
        return bool(np.isfinite(self.weights).all() and np.isfinite(self.intercept).all())

    def flat(self) -> Vector:
        """Return all parameters as one vector, output after output, each with its intercept last."""
        return np.vstack([self.weights, self.intercept]).T.ravel()

    @classmethod
    def from_flat(cls, flat: Vector, outputs: int) -> Point:
        """Return the Point that ``flat`` gave."""
        columns = flat.reshape(outputs, -1).T
        return cls(np.ascontiguousarray(columns[:-1]), columns[-1].copy())


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    loss: see ``downslope.losses``. l1, l2: not negative. intercept: learned, or fixed at 0. outputs: k; for
    a loss other than softmax with k > 1, output c asks whether the class is c (one against the rest), and
    F is the sum over outputs.
    """

    loss: Loss
    l1: float
    l2: float
    intercept: bool
    outputs: int = 1

    @property
    def softmax(self) -> bool:
        """True where the outputs share one loss."""
        return self.loss.family == SOFTMAX

    def penalty(self, weights: Matrix) -> float:
        """Return l2 / 2 |w|^2 + l1 |w|_1."""
        smooth = 0.5 * self.l2 * float(np.vdot(weights, weights)) if self.l2 else 0.0
        return smooth + (self.l1 * float(np.abs(weights).sum()) if self.l1 else 0.0)

    def target_of(self, target: Vector, output: int) -> Vector:
        """Return the target that one output sees."""
        return target if self.outputs == 1 or self.softmax else (target == output).astype(np.float64)

    def losses(self, scores: Matrix, target: Vector) -> Vector:
        """Return the loss of each example, summed over outputs, for scores (n, k)."""
        if self.softmax:
            return self.loss.value(scores, target)
        each = [self.loss.value(scores[:, k], self.target_of(target, k)) for k in range(self.outputs)]
        return each[0] if len(each) == 1 else np.sum(each, axis=0)

    def slopes(self, scores: Matrix, target: Vector) -> Matrix:
        """Return the derivative of each example's loss by its scores, (n, k)."""
        if self.softmax:
            return self.loss.slope(scores, target)
        each = [self.loss.slope(scores[:, k], self.target_of(target, k)) for k in range(self.outputs)]
        return np.column_stack(each)
