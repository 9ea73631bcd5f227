"""How steep single batches are: steeper than all examples together, and so less patient with a long step.

The Hessian of a batch is the mean of ``l''_i z_i z_i'`` over its examples alone, z = (features, 1). Its largest
eigenvalue averages to more than that of the whole, and of one example it is ``l''_i |z_i|^2``. A step longer
than ``2 / curvature`` of the batch that it is taken on overshoots that batch, however flat the whole may be.
"""

from __future__ import annotations

import math

import numpy as np

from downslope.choices.curvature import sample_rows
from downslope.data.batches import order
from downslope.data.blocks import Examples
from downslope.engines import linear as engine
from downslope.engines import sparse
from downslope.models.linear import Objective, Point
from downslope.types import Vector

BATCHES = 32
"""Batches whose curvature is measured: the steepest of them stands for all but a few in a hundred."""
EXAMPLES = 50_000
"""Examples whose own curvature is measured, all of them up to here."""
POWER_STEPS = 30
"""Steps of power iteration: the largest eigenvalue from below, to a few per cent."""


def row_squares(examples: Examples) -> Vector:
    """Return the squared length (n,) of each feature row, the intercept's 1 included."""
    squares = np.ones(examples.rows)
    present = np.ones(examples.levels)
    if examples.level_scale is not None and examples.level_offset is not None:
        present = (examples.level_offset + examples.level_scale) ** 2 - examples.level_offset**2
        squares += float(examples.level_offset @ examples.level_offset)
    for rows, numbers, codes, _ in engine.chunks(examples):
        values = numbers if examples.applied else (numbers - examples.center) / examples.scale
        squares[rows] += np.einsum("ij,ij->i", values, values)
        squares[rows] += present[codes].sum(axis=1)
    return squares + _entry_squares(examples)


def _entry_squares(examples: Examples) -> Vector:
    """Return the squared length (n,) of the sparse columns in each row."""
    center, scale = examples.sparse_center, examples.sparse_scale
    if center is None or scale is None:
        center, scale = np.zeros(examples.sparse), np.ones(examples.sparse)
    squares = np.full(examples.rows, float(((center / scale) ** 2).sum()))
    for block in examples:
        if block.sparse is not None:
            entries = engine.entries_of(block.sparse)
            sparse.row_squares(*entries, center, scale, 0, block.rows, engine.rows_of(block, squares))
    return squares


def bends_at(examples: Examples, objective: Objective, point: Point, mean_weight: float = math.nan) -> Vector:
    """Return the curvature (n,) of each example's loss by its score at ``point``, times its relative weight.

    mean_weight: what weights are relative to, where not their own mean. Of several outputs the largest; of a
    softmax the bound ``2 p (1 - p)`` of the largest eigenvalue of ``diag(p) - p p'`` (Gershgorin), at most a half.
    """
    scores = engine.exact_scores(examples, point)
    if objective.softmax:
        bends = np.minimum(2.0 * objective.loss.curvature(scores, examples.target).max(axis=1), 0.5)
    else:
        bends = np.max([
            objective.loss.curvature(scores[:, k], objective.target_of(examples.target, k))
            for k in range(objective.outputs)
        ], axis=0)  # fmt: skip
    if examples.weights is not None:
        usual = examples.weight_sum / examples.rows
        bends = bends * (examples.weights / (usual if math.isnan(mean_weight) else mean_weight))
    return bends


def batch_curvatures(examples: Examples, objective: Objective, point: Point, batch: int, seed: int) -> Vector:
    """Return the largest curvature at ``point`` of some batches of ``batch`` examples, in rising order.

    Batches as the first epoch of ``seed`` draws them; for one example a step, of every example (or of a sample).
    """
    usual = examples.weight_sum / examples.rows
    if batch == 1:
        some = examples
        if examples.rows > EXAMPLES:
            some = engine.take(examples, sample_rows(examples, EXAMPLES, seed))
        squares = row_squares(some) - (0.0 if objective.intercept else 1.0)
        return np.sort(bends_at(some, objective, point, usual) * squares + objective.l2)
    drawn = order(examples.rows, seed, 0)
    count = min(BATCHES, -(-examples.rows // batch))
    parts = [np.sort(drawn[each * batch : (each + 1) * batch]) for each in range(count)]
    return np.sort([largest_curvature(engine.take(examples, rows), objective, point, seed, usual) for rows in parts])


def largest_curvature(
    examples: Examples, objective: Objective, point: Point, seed: int, mean_weight: float = math.nan
) -> float:
    """Return the largest curvature of the objective on these examples at ``point``, by power iteration."""
    bends = bends_at(examples, objective, point, mean_weight)
    direction = Point(np.random.default_rng(seed).standard_normal((examples.features, 1)), np.ones(1))
    largest = 0.0
    for _ in range(POWER_STEPS):
        length = float(np.sqrt((direction.weights**2).sum() + (direction.intercept**2).sum()))
        if not length > 0:
            break
        direction = Point(direction.weights / length, direction.intercept / length)
        slopes = engine.exact_scores(examples, direction) * bends[:, None]
        fixed = slopes.mean(axis=0) if objective.intercept else np.zeros(1)
        direction = Point(engine.exact_gather(examples, slopes) / examples.rows, fixed)
        largest = float(np.sqrt((direction.weights**2).sum() + (direction.intercept**2).sum()))
    return largest + objective.l2


def stable_rate(largest: float, spread: float, batch: int) -> float:
    """Return the rate above which steps on batches of ``batch`` examples drift away instead of settling.

    ``2 / (largest (B - 1) / B + spread / B)`` (Jain et al. 2018, "Parallelizing stochastic gradient descent for
    least squares regression", theorem 1). largest: curvature of the whole. spread: mean square over mean of the
    examples' own curvatures, ``sum h_i^2 / sum h_i``.
    """
    return 2.0 / (largest * (batch - 1) / batch + spread / batch)
