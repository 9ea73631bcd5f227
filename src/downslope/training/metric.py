"""The metric of a scaled step: an approximate Hessian, held so that it can be applied and inverted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from scipy import linalg

from downslope.choices.curvature import Moments, fix_free_direction
from downslope.models.linear import Objective, Point
from downslope.types import Matrix, Vector

SINGULAR = 1e-13
"""Smallest squared pivot, relative to its diagonal, for which a Cholesky factor is worth its digits."""
MEMORY = 20
"""Pairs of step and gradient change that L-BFGS keeps (Nocedal and Wright 2006, algorithm 7.4)."""


@dataclass(frozen=True)
class Metric:
    """An approximate Hessian of each output, the intercept last: (d + 1, d + 1) matrices, or diagonals (d + 1,).

    matrices[c] holds for output c, or matrices[0] for all. joint: where given, the matrix of all outputs
    together, (k (d + 1), k (d + 1)), which is then inverted instead.
    """

    matrices: tuple[Matrix, ...]
    intercept: bool
    joint: Matrix | None = None

    def matrix(self, output: int) -> Matrix:
        """Return the matrix, or diagonal, of one output."""
        return self.matrices[min(output, len(self.matrices) - 1)]

    @cached_property
    def _inverses(self) -> list[Inverse]:
        return [inverse_of(each) for each in ((self.joint,) if self.joint is not None else self.matrices)]

    def solve(self, gradient: Point) -> Point:
        """Return H^-1 g; a direction without curvature is left alone."""
        if self.joint is not None:
            return Point.from_flat(self._inverses[0](gradient.flat()), gradient.intercept.shape[0])
        columns = np.vstack([gradient.weights, gradient.intercept])
        solved = np.zeros_like(columns)
        size = columns.shape[0] if self.intercept else columns.shape[0] - 1
        if len(self._inverses) == 1:
            solved[:size] = self._inverses[0](columns[:size])
        else:
            for k in range(columns.shape[1]):
                solved[:size, k] = self._inverses[k](columns[:size, k])
        return Point(solved[:-1], solved[-1])


Inverse = Callable[[Vector], Vector]
"""Takes and gives (d,) or (d, k)."""


def upper_factor(matrix: Matrix) -> Matrix:
    """Return the upper Cholesky factor of a positive matrix; raises LinAlgError."""
    return np.asarray(cast("Any", linalg).cholesky(matrix, lower=False, check_finite=False))


def solve_factored(factor: Matrix, right: Vector) -> Vector:
    """Return the solution of ``factor' factor x = right``."""
    return np.asarray(cast("Any", linalg).cho_solve((factor, False), right, check_finite=False))


def inverse_of(matrix: Matrix) -> Inverse:
    """Return the function that multiplies by the inverse of a positive matrix, or of a diagonal (d,).

    By Cholesky; by the pseudo-inverse where the matrix is singular to rounding, so that a direction without
    curvature gets no step rather than rounding blown up.
    """
    if matrix.ndim == 1:
        scale = np.where(matrix > 0, 1.0 / np.where(matrix > 0, matrix, 1.0), 0.0)
        return lambda right: (scale * right.T).T
    try:
        factor = upper_factor(matrix)
        pivots: Vector = np.diag(factor) ** 2
        if bool((pivots > SINGULAR * np.diag(matrix)).all()):
            return lambda right: solve_factored(factor, right)
    except np.linalg.LinAlgError:
        pass
    size = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    unit = np.where(size > 0, 1.0 / np.where(size > 0, size, 1.0), 0.0)
    found = np.linalg.eigh(matrix * np.outer(unit, unit))
    values: Vector = found.eigenvalues
    kept = values > values[-1] * SINGULAR
    half: Matrix = unit[:, None] * found.eigenvectors[:, kept] / np.sqrt(values[kept])
    return lambda right: half @ (half.T @ right)


def inner(left: Point, right: Point) -> float:
    """Return the inner product of two points."""
    return float(np.vdot(left.weights, right.weights) + np.vdot(left.intercept, right.intercept))


def moved(point: Point, direction: Point, length: float) -> Point:
    """Return ``point + length direction``."""
    return Point(point.weights + length * direction.weights, point.intercept + length * direction.intercept)


class Memory:
    """L-BFGS over a metric: recent steps bend the metric to the curvature that they met."""

    def __init__(self) -> None:
        """Start with nothing remembered."""
        self._pairs: deque[tuple[Point, Point, float]] = deque(maxlen=MEMORY)

    def remember(self, step: Point, change: Point) -> None:
        """Keep a step and the change of gradient along it, if the curvature along it was positive."""
        bend = inner(step, change)
        if bend > 1e-12 * np.sqrt(inner(step, step) * inner(change, change)):
            self._pairs.append((step, change, 1.0 / bend))

    @property
    def pairs(self) -> list[tuple[Point, Point]]:
        """The pairs remembered, oldest first."""
        return [(step, change) for step, change, _ in self._pairs]

    def forget(self) -> None:
        """Drop all pairs."""
        self._pairs.clear()

    def direction(self, gradient: Point, metric: Metric) -> Point:
        """Return minus the two-loop product H^-1 g (Nocedal and Wright 2006, algorithm 7.4)."""
        q = gradient
        shares: list[float] = []
        for step, change, scale in reversed(self._pairs):
            share = scale * inner(step, q)
            shares.append(share)
            q = moved(q, change, -share)
        result = metric.solve(q)
        for (step, change, scale), share in zip(self._pairs, reversed(shares), strict=True):
            result = moved(result, step, share - scale * inner(change, result))
        return Point(-result.weights, -result.intercept)


def uniform_metric(moments: Moments, objective: Objective, bends: Vector, intercept: Vector) -> Metric:
    """Return the metric of examples that all have the scores ``intercept`` (k,), and curvature ``bends`` (k,).

    The Hessian of a softmax at constant scores is ``(diag(p) - p p') x moments``.
    """
    matrix = moments.diagonal if moments.matrix is None else moments.matrix
    if moments.matrix is not None and joins(objective, matrix.shape[0] - 1):
        chance: Vector = objective.loss.mean_response(intercept[None, :])[0]
        spread: Matrix = np.diag(chance) - np.outer(chance, chance)
        joint = cast("Matrix", np.kron(spread, matrix))
        return joint_metric(fix_free_direction(joint, chance.size), objective)
    alike = bool((bends == bends[0]).all())
    return weighted_metric([bend * matrix for bend in (bends[:1] if alike else bends)], objective)


def _with_penalty(matrix: Matrix, objective: Objective) -> Matrix:
    size = matrix.shape[0]
    penalty = np.full(size, objective.l2)
    penalty[-1] = 0.0
    result = matrix + (np.diag(penalty) if matrix.ndim == 2 else penalty)
    if objective.intercept:
        return result
    return result[:-1, :-1] if matrix.ndim == 2 else result[:-1]


JOINT_SIZE = 1200
"""Parameters of all outputs up to which a softmax is given one Hessian; its Cholesky takes some 10 ms."""


def joins(objective: Objective, features: int) -> bool:
    """Say whether the outputs are coupled and few enough for one Hessian over all of them."""
    return objective.softmax and objective.intercept and objective.outputs * (features + 1) <= JOINT_SIZE


def joint_metric(joint: Matrix, objective: Objective) -> Metric:
    """Return the metric of a Hessian over all outputs, the penalty added; its blocks serve a proximal step."""
    size = joint.shape[0] // objective.outputs
    penalty = np.tile(np.append(np.full(size - 1, objective.l2), 0.0), objective.outputs)
    whole = joint + np.diag(penalty)
    blocks = tuple(whole[k * size : (k + 1) * size, k * size : (k + 1) * size] for k in range(objective.outputs))
    return Metric(blocks, True, whole)


def weighted_metric(matrices: list[Matrix], objective: Objective) -> Metric:
    """Return the metric of second moments that are already weighted by curvature, one an output."""
    return Metric(tuple(_with_penalty(each, objective) for each in matrices), objective.intercept)
