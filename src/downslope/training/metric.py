"""The metric of a scaled step: an approximate Hessian, held so that it can be applied and inverted."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import cho_solve, cholesky

from downslope.models.linear import Objective, Point
from downslope.types import Matrix, Vector

JITTERS = (0.0, 1e-13, 1e-11, 1e-9, 1e-7, 1e-5)
"""Shares of the diagonal added, in turn, until Cholesky succeeds; the first is enough unless H is singular."""
MEMORY = 10
"""Pairs of step and gradient change that L-BFGS keeps (Nocedal and Wright 2006, algorithm 7.4)."""


@dataclass(frozen=True)
class Metric:
    """An approximate Hessian of each output, the intercept last: (d + 1, d + 1) matrices, or diagonals (d + 1,).

    shared: matrices[c] holds for output c, or matrices[0] for all.
    """

    matrices: tuple[Matrix, ...]
    intercept: bool

    def matrix(self, output: int) -> Matrix:
        """Return the matrix, or diagonal, of one output."""
        return self.matrices[min(output, len(self.matrices) - 1)]

    @cached_property
    def _factors(self) -> list[Matrix]:
        return [_factor(each) if each.ndim == 2 else each for each in self.matrices]

    def solve(self, gradient: Point) -> Point:
        """Return H^-1 g."""
        columns = np.vstack([gradient.weights, gradient.intercept])
        solved = np.zeros_like(columns)
        size = columns.shape[0] if self.intercept else columns.shape[0] - 1
        for k in range(columns.shape[1]):
            factor = self._factors[min(k, len(self._factors) - 1)]
            column = columns[:size, k]
            solved[:size, k] = cho_solve((factor, False), column, check_finite=False) if factor.ndim == 2 else (
                column / factor
            )
        return Point(solved[:-1], solved[-1])


def _factor(matrix: Matrix) -> Matrix:
    diagonal = np.diag(matrix)
    floor = np.where(diagonal > 0, diagonal, diagonal.max(initial=0.0) or 1.0)
    for jitter in JITTERS:
        try:
            return cholesky(matrix + np.diag(jitter * floor), lower=False, check_finite=False)
        except np.linalg.LinAlgError:
            continue
    return cholesky(np.diag(floor))


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


def uniform_metric(moments: Matrix | None, diagonal: Vector, objective: Objective, bends: Vector) -> Metric:
    """Return the metric of examples that all have the curvature ``bends`` (k,), one an output."""
    if moments is None:
        return Metric(tuple(_with_penalty(bend * diagonal, objective) for bend in bends), objective.intercept)
    return Metric(tuple(_with_penalty(bend * moments, objective) for bend in bends), objective.intercept)


def _with_penalty(matrix: Matrix, objective: Objective) -> Matrix:
    size = matrix.shape[0]
    penalty = np.full(size, objective.l2)
    penalty[-1] = 0.0
    result = matrix + (np.diag(penalty) if matrix.ndim == 2 else penalty)
    if objective.intercept:
        return result
    return result[:-1, :-1] if matrix.ndim == 2 else result[:-1]


def weighted_metric(matrices: list[Matrix], objective: Objective) -> Metric:
    """Return the metric of second moments that are already weighted by curvature, one an output."""
    return Metric(tuple(_with_penalty(each, objective) for each in matrices), objective.intercept)
