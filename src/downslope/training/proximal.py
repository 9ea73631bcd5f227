"""A scaled step in the presence of an l1 penalty: minimise the quadratic model and the penalty together."""

from __future__ import annotations

import numpy as np

from downslope.engines.quadratic import coordinate_descent
from downslope.models.linear import Objective, Point
from downslope.steps import soft_threshold
from downslope.training.metric import Metric
from downslope.types import Vector

SWEEPS = 200
"""Most sweeps of coordinate descent over one model; sweeps end when no coordinate moves F by its tolerance."""
PRECISE = 1e-16


def proximal_step(metric: Metric, point: Point, gradient: Point, objective: Objective) -> tuple[Point, float]:
    """Return the minimum of the model and how much lower the model is there (positive).

    The model is ``g'(x - a) + (x - a)' H (x - a) / 2 + l1 |x|_1`` at a = ``point``, with g the gradient of the
    smooth part (Lee, Sun and Saunders 2014, eq. 2.3).
    """
    columns = np.vstack([point.weights, point.intercept])
    slopes = np.vstack([gradient.weights, gradient.intercept])
    result = columns.copy()
    decrease = 0.0
    size = columns.shape[0] if objective.intercept else columns.shape[0] - 1
    for k in range(columns.shape[1]):
        start, slope = np.ascontiguousarray(columns[:size, k]), np.ascontiguousarray(slopes[:size, k])
        matrix = metric.matrix(k)
        if matrix.ndim == 2:
            end = coordinate_descent(
                matrix, slope, start, objective.l1, int(objective.intercept), SWEEPS, PRECISE
            )
            bend = (end - start) @ matrix @ (end - start)
        else:
            end = _diagonal(matrix, slope, start, objective)
            bend = float(((end - start) ** 2) @ matrix)
        result[:size, k] = end
        free = size - int(objective.intercept)
        lasso = objective.l1 * (np.abs(end[:free]).sum() - np.abs(start[:free]).sum())
        decrease -= float(slope @ (end - start) + 0.5 * bend + lasso)
    return Point(result[:-1], result[-1]), decrease


def _diagonal(matrix: Vector, slope: Vector, start: Vector, objective: Objective) -> Vector:
    end = start - slope / matrix
    free = start.size - int(objective.intercept)
    end[:free] = soft_threshold(end[:free], objective.l1 / matrix[:free])
    return end
