"""The shape of the slope: second moments of the features, and what follows from them.

Every loss here sees the features through the score alone, so its Hessian is
``mean of l''(s_i) z_i z_i'`` with z = (features, 1). At the start all scores are equal, and one matrix of
second moments, times the mean curvature of the loss, is the Hessian exactly. A sample of rows gives that
matrix in a fraction of a pass; each column is then brought to its exact size, and a column that the sample
hardly met (a rare category, written out) keeps its exact diagonal alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np

from downslope.data.blocks import Examples, Source
from downslope.engines import linear as engine
from downslope.engines.moments import (
    entry_squares,
    in_model_features,
    level_counts,
    moment_sums,
    moments_and_pull,
    second_moments,
    survey,
)
from downslope.models.linear import Objective, Point
from downslope.records import Curvature
from downslope.types import FloatArray, Indices, Matrix, Vector

WIDE = 4000
"""Features above which second moments are kept on the diagonal only (128 MB of float64 at the limit)."""
SAMPLE = 20_000
SAMPLE_PER_FEATURE = 25
"""Rows of a sample: at 25 a feature its eigenvalues lie within (1 +- 1/5)^2 of the true ones."""
FULL_WORK = 4e9
"""Multiplications below which all rows are used: about as long as reading them a few times."""
FEW = 64
"""Numbers written out in a row up to which all rows are used, however many: a sample would save the time of a few
passes, and cost dozens on a table of many rows, in which every level matters."""
SCATTERED = 16
"""Products of two numbers by BLAS in the time of one of two entries, added to where they belong (measured)."""
SEEN = (0.5, 2.0)
"""A sampled column whose second moment is off by more than this was hardly met in the sample."""


@dataclass(frozen=True)
class Moments:
    """Second moments of (features, 1).

    matrix: (d + 1, d + 1), or None above WIDE. diagonal: (d + 1,), exact. sampled: rows they were measured
    on, 0 for all of them. factor: (d + 1,), what brought each sampled column to its exact size, 0 for a
    column that the sample hardly met. pull: where asked for, the mean (d + 1,) of (features, 1) times the target
    less its mean.
    """

    matrix: Matrix | None
    diagonal: Vector
    sampled: int = 0
    factor: Vector | None = None
    pull: Vector | None = None


def sample_rows(examples: Source, count: int, seed: int) -> Indices:
    """Return ``count`` distinct global rows, ascending."""
    return np.sort(np.random.default_rng(seed).choice(examples.rows, size=count, replace=False, shuffle=False))


def sampled(examples: Source, count: int, seed: int) -> Examples:
    """Return ``count`` distinct examples in memory, or all where there are no more than that."""
    if isinstance(examples, Examples) and examples.rows <= count:
        return examples
    return engine.take(examples, sample_rows(examples, min(count, examples.rows), seed))


def in_memory(examples: Source, seed: int = 0) -> Examples:
    """Return the examples themselves where they lie in memory, else a sample of them."""
    return examples if isinstance(examples, Examples) else sampled(examples, SAMPLE, seed)


def sample_size(examples: Source) -> int:
    """Return how many rows a sample for second moments takes; all rows where that is cheap."""
    dense = examples.numbers
    few = dense + examples.categories <= FEW and not examples.sparse
    work = examples.rows * (dense * (dense + 1) + examples.categories * (dense + examples.categories))
    if examples.sparse:
        written = dense + examples.categories + examples.entries / examples.rows
        work = SCATTERED * examples.rows * written**2
    wanted = max(SAMPLE, SAMPLE_PER_FEATURE * examples.features)
    return examples.rows if few or work <= FULL_WORK or wanted >= examples.rows else wanted


def measure_moments(examples: Source, diagonal: Vector | None, seed: int) -> Moments:
    """Return the second moments; ``diagonal`` is the exact one where it is known already."""
    if examples.features > WIDE:
        return Moments(None, exact_diagonal(examples) if diagonal is None else diagonal)
    count = sample_size(examples)
    if count == examples.rows:
        matrix = second_moments(examples, None, examples.dtype == np.float64)
        return Moments(matrix, np.diag(matrix).copy())
    matrix = second_moments(engine.take(examples, sample_rows(examples, count, seed)), None)
    truth = exact_diagonal(examples) if diagonal is None else diagonal
    factor = column_factor(matrix, truth)
    return Moments(rescale(matrix, factor, truth), truth, count, factor)


def exact_moments(examples: Source) -> Moments:
    """Return the second moments and the pull of the target, of all rows and in float64, of at most WIDE features."""
    matrix, pull = moments_and_pull(examples, None, True, partial(_target_less, middle=examples.target_mean))
    return Moments(matrix, np.diag(matrix).copy(), pull=pull)


def _target_less(examples: Examples, middle: float) -> Vector:
    return examples.target - middle


def exact_diagonal(examples: Source) -> Vector:
    """Return the mean square of each feature and of the constant 1, (d + 1,)."""
    p, base = examples.numbers, examples.numbers + examples.levels
    diagonal = examples.total(_square_sums)
    diagonal[-1] = 1.0
    diagonal[:-1] /= examples.weight_sum
    if examples.level_scale is not None and examples.level_offset is not None:
        share, offset = diagonal[p:base].copy(), examples.level_offset
        diagonal[p:base] = (offset + examples.level_scale) ** 2 * share + offset**2 * (1.0 - share)
    if not examples.applied:
        diagonal[:p] /= examples.scale**2
    if examples.sparse_scale is not None:
        diagonal[base:-1] /= examples.sparse_scale**2
    return diagonal


def _square_sums(examples: Examples) -> Vector:
    p, base = examples.numbers, examples.numbers + examples.levels
    sums = np.zeros(examples.features + 1)
    shift = examples.center.astype(examples.dtype) if not examples.applied else np.zeros(p, examples.dtype)
    for block in examples:
        weights = engine.NONE if examples.weights is None else engine.rows_of(block, examples.weights)
        if p:
            sums[:p] += survey(block.numbers, engine.NONE, weights, shift)[1]
        sums[p:base] += level_counts(block.codes, weights, examples.levels)
    if examples.sparse:
        sums[base:-1] = entry_squares(examples)
    return sums


def column_factor(matrix: Matrix, diagonal: Vector) -> Vector:
    """Return what brings each sampled column to its exact size; 0 where the sample hardly met it."""
    ratio = diagonal / np.maximum(np.diag(matrix), 1e-300)
    met = (ratio > SEEN[0]) & (ratio < SEEN[1])
    return np.where(met, np.sqrt(np.where(met, ratio, 1.0)), 0.0)


def rescale(matrix: Matrix, factor: Vector, diagonal: Vector) -> Matrix:
    """Return the matrix with its columns resized; a column whose factor is 0 keeps ``diagonal`` alone."""
    result = matrix * np.outer(factor, factor)
    lost = factor == 0
    result[lost, lost] = diagonal[lost]
    return result


def bent_moments(
    examples: Source, objective: Objective, point: Point, moments: Moments, seed: int, *, majorant: bool = False
) -> list[Matrix]:
    """Return the second moments weighted by the curvature of the loss at ``point``, one (d + 1, d + 1) an output.

    majorant: by the curvature of bowls above the loss instead, whose steps never overshoot.
    """
    some = _sampled(examples, moments, seed)
    sums = some.total(partial(_bent_sums, objective=objective, point=point, majorant=majorant))
    return [_bent(some, each, moments) for each in sums]


BentSums: TypeAlias = tuple[Matrix, float]
"""Sums of z z' by the curvature of each example, and of the curvatures themselves."""


def _bent_sums(examples: Examples, objective: Objective, point: Point, majorant: bool) -> tuple[BentSums, ...]:
    scores = engine.exact_scores(examples, point)
    if majorant:
        bends = objective.loss.majorant(scores[:, 0], examples.target)[:, None]
    else:
        bends = _output_curvatures(objective, scores, examples.target)
    return tuple(_bent_sum(examples, bends[:, k]) for k in range(objective.outputs))


def _bent_sum(examples: Examples, bend: Vector) -> BentSums:
    return moment_sums(examples, bend, examples.dtype == np.float64, None)[0], float(bend.sum())


def joint_moments(examples: Source, objective: Objective, point: Point, moments: Moments, seed: int) -> Matrix:
    """Return the Hessian of a softmax loss over all outputs together, (k (d + 1), k (d + 1)), without penalty.

    Block (a, b) is the second moments weighted by ``p_a (1[a = b] - p_b)``. Scores that all move alike change
    no probability; that direction is given the curvature of the others.
    """
    some = _sampled(examples, moments, seed)
    sums = iter(some.total(partial(_joint_sums, objective=objective, point=point)))
    size, outputs = examples.features + 1, objective.outputs
    joint = np.zeros((outputs * size, outputs * size))
    for a in range(outputs):
        for b in range(a, outputs):
            block = _bent(some, next(sums), moments) * (1.0 if a == b else -1.0)
            joint[a * size : (a + 1) * size, b * size : (b + 1) * size] = block
            joint[b * size : (b + 1) * size, a * size : (a + 1) * size] = block
    return fix_free_direction(joint, outputs)


def _joint_sums(examples: Examples, objective: Objective, point: Point) -> tuple[BentSums, ...]:
    chance = objective.loss.mean_response(engine.exact_scores(examples, point))
    pairs = [(a, b) for a in range(objective.outputs) for b in range(a, objective.outputs)]
    return tuple(
        _bent_sum(examples, chance[:, a] * ((1.0 - chance[:, a]) if a == b else chance[:, b])) for a, b in pairs
    )


def fix_free_direction(joint: Matrix, outputs: int) -> Matrix:
    """Give the direction in which all intercepts move alike the mean curvature of the intercepts."""
    size = joint.shape[0] // outputs
    fixed = np.arange(1, outputs + 1) * size - 1
    joint[np.ix_(fixed, fixed)] += max(float(joint[fixed, fixed].mean()), 1e-12) / outputs
    return joint


def _sampled(examples: Source, moments: Moments, seed: int) -> Source:
    if not moments.sampled:
        return examples
    return engine.take(examples, sample_rows(examples, moments.sampled, seed))


def _output_curvatures(objective: Objective, scores: Matrix, target: Vector) -> Matrix:
    if objective.softmax:
        return objective.loss.curvature(scores, target)
    return np.column_stack([
        objective.loss.curvature(scores[:, k], objective.target_of(target, k)) for k in range(objective.outputs)
    ])  # fmt: skip


def _bent(some: Source, sums: BentSums, moments: Moments) -> Matrix:
    matrix = in_model_features(some, sums[0], np.zeros(some.features + 1))[0]
    if moments.factor is None:
        return matrix
    return rescale(matrix, moments.factor, moments.diagonal * (sums[1] / some.rows))


def hessian_at_start(moments: Matrix, objective: Objective, bend: float) -> Matrix:
    """Return the Hessian of one output where every example has the same curvature ``bend``."""
    hessian = bend * moments
    hessian.flat[: -1 : hessian.shape[0] + 1] += objective.l2
    return hessian if objective.intercept else hessian[:-1, :-1]


def mean_bend(examples: Source, objective: Objective, point: Point) -> Vector:
    """Return the mean curvature (k,) of the loss at constant scores, by output."""
    if objective.softmax:
        chance = objective.loss.mean_response(point.intercept[None, :])
        return (chance * (1.0 - chance))[0]
    bends = np.empty(objective.outputs)
    for k in range(objective.outputs):
        if not objective.loss.by_target:
            bends[k] = float(objective.loss.curvature(point.intercept[k : k + 1], np.zeros(1))[0])
            continue
        work = partial(_bend_sum, objective=objective, output=k, score=float(point.intercept[k]))
        bends[k] = examples.total(work, features=False) / examples.weight_sum
    return bends


def _bend_sum(examples: Examples, objective: Objective, output: int, score: float) -> float:
    target = objective.target_of(examples.target, output)
    curvature = objective.loss.curvature(np.full(target.shape, score), target)
    return float(curvature.sum() if examples.weights is None else curvature @ examples.weights)


def shape_of(
    examples: Source, objective: Objective, moments: Moments, bend: float, center: Vector, scale: Vector
) -> Curvature:
    """Return the largest and smallest curvature at the start, before and after scaling.

    bend: curvature of the loss by the score. center, scale: (p,), model feature = (original - center) / scale.
    The condition before scaling is that of the same examples in original units.
    """
    if moments.matrix is None:
        largest = largest_by_power(examples, bend) + objective.l2
        unknown = float("nan")
        return Curvature(largest, unknown, unknown, unknown, 2.0 / largest)
    after: Vector = np.asarray(np.linalg.eigvalsh(hessian_at_start(moments.matrix, objective, bend)), np.float64)
    before = after
    if bool(center.any()) or bool((scale != 1).any()):
        original = in_original_units(moments.matrix, center, scale)
        before = np.asarray(np.linalg.eigvalsh(hessian_at_start(original, objective, bend)), np.float64)
    return Curvature(
        float(after[-1]), float(max(after[0], 0.0)), condition(before), condition(after),
        2.0 / float(after[-1]) if after[-1] > 0 else math.inf,
    )  # fmt: skip


def condition(values: FloatArray) -> float:
    """Return largest over smallest of ascending eigenvalues, inf where the smallest is rounding."""
    floor = values[-1] * values.size * np.finfo(np.float64).eps
    return float(values[-1] / values[0]) if values[0] > floor else math.inf


def in_original_units(moments: Matrix, center: Vector, scale: Vector) -> Matrix:
    """Return the second moments of (original features, 1) from those of the model features."""
    p = center.shape[0]
    back = np.diag(np.concatenate([scale, np.ones(moments.shape[0] - p)]))
    back[:p, -1] = center
    return back @ moments @ back.T


def largest_by_power(examples: Source, bend: float, steps: int = 30) -> float:
    """Return ``bend`` times the largest second moment of (features, 1) along any direction.

    By power iteration on a sample: from below, to a few per cent.
    """
    some = only_met(engine.take(examples, sample_rows(examples, min(SAMPLE, examples.rows), 0)))
    direction = Point(np.random.default_rng(0).standard_normal((some.features, 1)), np.ones(1))
    for _ in range(steps):
        length = _length(direction)
        if not length > 0:
            break
        direction = Point(direction.weights / length, direction.intercept / length)
        scores = engine.exact_scores(some, direction)
        if some.weights is not None:
            scores *= some.weights[:, None]
        direction = Point(engine.exact_gather(some, scores) / some.weight_sum, scores.sum(axis=0) / some.weight_sum)
    return bend * _length(direction)


def only_met(examples: Examples) -> Examples:
    """Return examples in one block without the sparse columns in which nothing is written."""
    (block,) = examples.blocks
    if block.sparse is None:
        return examples
    met, places = np.unique(block.sparse.places, return_inverse=True)
    rows = replace(block.sparse, places=places.astype(np.int32))
    center, scale = examples.sparse_center, examples.sparse_scale
    return replace(
        examples, blocks=(replace(block, sparse=rows),), sparse=met.size,
        sparse_center=None if center is None else center[met], sparse_scale=None if scale is None else scale[met],
    )  # fmt: skip


def _length(point: Point) -> float:
    return float(np.hypot(np.linalg.norm(point.weights), np.linalg.norm(point.intercept)))
