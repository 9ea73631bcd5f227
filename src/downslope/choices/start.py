"""Where a training starts. A convex bowl has one bottom, so zero weights suffice; the intercept can do better."""

from __future__ import annotations

from functools import partial

import numpy as np

from downslope.choices.curvature import in_memory
from downslope.data.blocks import Examples, Source
from downslope.models.linear import Objective, Point
from downslope.types import Vector

RARE = 1e-12
BY_MEAN = ("squared", "log", "poisson")
"""Losses whose best constant score follows from the mean of the target."""


def constant_start(examples: Source, objective: Objective) -> Point:
    """Return zero weights with the best constant score of each output: it costs a look at the targets alone.

    Of a stream the mean decides; where a median or the like does, that of a sample, which is near enough to start at.
    """
    point = Point.zeros(examples.features, objective.outputs)
    if not objective.intercept:
        return point
    if objective.softmax:
        counts: Vector = examples.total(partial(_counts, outputs=objective.outputs), features=False)
        logs = np.log(np.maximum(counts / counts.sum(), RARE))
        return Point(point.weights, logs - logs.mean())
    if not isinstance(examples, Examples) and objective.loss.name in BY_MEAN:
        sums = examples.total(partial(_target_sums, objective=objective), features=False)
        means: Vector = sums / examples.weight_sum
        best = [objective.loss.constant_score(means[k : k + 1], None) for k in range(objective.outputs)]
        return Point(point.weights, np.array(best))
    some = in_memory(examples)
    best = [
        objective.loss.constant_score(objective.target_of(some.target, k), some.weights)
        for k in range(objective.outputs)
    ]
    return Point(point.weights, np.array(best))


def _counts(examples: Examples, outputs: int) -> Vector:
    return np.bincount(examples.target.astype(np.intp), examples.weights, outputs).astype(np.float64)


def _target_sums(examples: Examples, objective: Objective) -> Vector:
    each = np.ones(examples.rows) if examples.weights is None else examples.weights
    return np.array([objective.target_of(examples.target, k) @ each for k in range(objective.outputs)])


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
