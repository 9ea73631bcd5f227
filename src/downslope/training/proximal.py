"""A scaled step in the presence of an l1 penalty: minimise the quadratic model and the penalty together."""

from __future__ import annotations

import numpy as np

from downslope.engines.quadratic import coordinate_descent
from downslope.models.linear import Objective, Point
from downslope.steps import soft_threshold
from downslope.training.metric import Metric
from downslope.types import Matrix, Vector

SWEEPS = 200
"""Most sweeps of coordinate descent over one model; sweeps end when no coordinate moves F by its tolerance."""
PRECISE = 1e-16


def proximal_step(metric: Metric, point: Point, gradient: Point, objective: Objective) -> tuple[Point, float]:
    """Return the minimum of the model and how much lower the model is there (positive).

    The model is ``g'(x - a) + (x - a)' H (x - a) / 2 + l1 |x|_1`` at a = ``point``, with g the gradient of the
    smooth part (Lee, Sun and Saunders 2014, eq. 2.3).
    """
    if metric.joint is not None:
        penalties = np.tile(np.append(np.full(point.weights.shape[0], objective.l1), 0.0), objective.outputs)
        end, decrease = _dense(metric.joint, gradient.flat(), point.flat(), penalties)
        return Point.from_flat(end, objective.outputs), decrease
    columns = np.vstack([point.weights, point.intercept])
    slopes = np.vstack([gradient.weights, gradient.intercept])
    result = columns.copy()
    total = 0.0
    size = columns.shape[0] if objective.intercept else columns.shape[0] - 1
    penalties = np.full(size, objective.l1)
    penalties[columns.shape[0] - 1 :] = 0.0
    for k in range(columns.shape[1]):
        start, slope = np.ascontiguousarray(columns[:size, k]), np.ascontiguousarray(slopes[:size, k])
        matrix = metric.matrix(k)
        step = _dense if matrix.ndim == 2 else _diagonal
        result[:size, k], decrease = step(matrix, slope, start, penalties)
        total += decrease
    return Point(result[:-1], result[-1]), total


def _dense(matrix: Matrix, slope: Vector, start: Vector, penalties: Vector) -> tuple[Vector, float]:
    end = coordinate_descent(matrix, slope, start, penalties, SWEEPS, PRECISE)
    return end, _decrease(slope, start, end, float((end - start) @ matrix @ (end - start)), penalties)


def _diagonal(diagonal: Vector, slope: Vector, start: Vector, penalties: Vector) -> tuple[Vector, float]:
    end = np.asarray(soft_threshold(start - slope / diagonal, penalties / diagonal), np.float64)
    return end, _decrease(slope, start, end, float((end - start) ** 2 @ diagonal), penalties)


def _decrease(slope: Vector, start: Vector, end: Vector, bend: float, penalties: Vector) -> float:
    """Return how much lower the model is at ``end`` than at ``start``; bend is the step's square in the metric."""
    lasso = float(penalties @ (np.abs(end) - np.abs(start)))
    return -float(slope @ (end - start)) - 0.5 * bend - lasso
