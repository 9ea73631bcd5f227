"""Where a training starts. A convex bowl has one bottom, so zero weights suffice; the intercept can do better."""

from __future__ import annotations

import numpy as np

from downslope.data.blocks import Examples
from downslope.models.linear import Objective, Point
from downslope.types import Vector

RARE = 1e-12


def constant_start(examples: Examples, objective: Objective) -> Point:
    """Return zero weights with the best constant score of each output: it costs a look at the targets alone."""
    point = Point.zeros(examples.features, objective.outputs)
    if not objective.intercept:
        return point
    if objective.softmax:
        classes = examples.target.astype(np.intp)
        counts: Vector = np.bincount(classes, examples.weights, objective.outputs).astype(np.float64)
        logs = np.log(np.maximum(counts / counts.sum(), RARE))
        return Point(point.weights, logs - logs.mean())
    best = [
        objective.loss.constant_score(objective.target_of(examples.target, k), examples.weights)
        for k in range(objective.outputs)
    ]
    return Point(point.weights, np.array(best))


def middle(values: Vector, weights: Vector | None) -> float:
    """Return the median of (n,) values; a whole weight c counts its value c times."""
    if weights is None:
        return float(np.median(values))
    ranked = np.argsort(values, kind="stable")
    ranked = ranked[weights[ranked] > 0]
    passed: Vector = np.cumsum(weights[ranked])
    half = 0.5 * float(passed[-1])
    lower = ranked[np.searchsorted(passed, half * (1 - 1e-12))]
    upper = ranked[min(int(np.searchsorted(passed, half * (1 + 1e-12), side="right")), ranked.size - 1)]
    return 0.5 * float(values[lower] + values[upper])
