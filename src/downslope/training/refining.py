"""The last digits of a small least-squares problem: two more steps on a gradient summed in extended precision.

Where columns nearly repeat each other, rounding in the gradient is multiplied by the condition. The step itself
may stay in float64: each one shortens the error by the factor to which the Hessian is known (iterative
refinement; Higham 2002, section 12.1). Where ``longdouble`` is no wider than float64, the steps still correct
the Hessian's own rounding.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np

from downslope.data.blocks import Examples, Source
from downslope.models.linear import Objective, Point
from downslope.training.metric import Metric

CELLS = 100_000
"""Cells up to which the steps are taken: about a millisecond."""
STEPS = 2


def refines(examples: Source, objective: Objective) -> TypeGuard[Examples]:
    """Say whether ``refined`` applies: squared loss without l1, on a small table of float64 model features."""
    if not isinstance(examples, Examples):
        return False
    small = examples.rows * examples.numbers <= CELLS and examples.dtype == np.float64
    plain = examples.applied and not examples.categories and not examples.sparse
    return small and plain and objective.loss.name == "squared" and objective.l1 == 0


def refined(examples: Examples, objective: Objective, metric: Metric, point: Point) -> Point:
    """Return the point after STEPS steps ``-H^-1 g``, g in extended precision; metric holds H."""
    wide: Any = np.longdouble
    numbers = np.concatenate([block.numbers for block in examples]).astype(wide)
    each = np.ones(examples.rows, wide) if examples.weights is None else examples.weights.astype(wide)
    share = 2.0 * each / each.sum()
    weights, intercept = point.weights[:, 0].astype(wide), point.intercept.astype(wide)
    for _ in range(STEPS):
        slopes = share * (numbers @ weights + intercept - examples.target)
        gradient = (slopes @ numbers + objective.l2 * weights).astype(np.float64)
        fixed = np.atleast_1d(slopes.sum()).astype(np.float64) if objective.intercept else np.zeros(1)
        step = metric.solve(Point(gradient[:, None], fixed))
        weights, intercept = weights - step.weights[:, 0], intercept - step.intercept
    return Point(weights.astype(np.float64)[:, None], intercept.astype(np.float64))
