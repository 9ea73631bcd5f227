"""The squared loss: one bowl, known whole from its second moments, so that one scaled step lands in its bottom.

``F(w) = F(a) + g'(w - a) + (w - a)' H (w - a) / 2`` is exact, with H and g from one read of the examples in
float64. The step ``-H^-1 g`` is taken through the eigenvectors of H: directions without curvature (columns that
repeat one another) are left at the start, and the same eigenvalues are the curvature, its condition and the
proof of the gap.

A large table is read once: F and its gradient at the bottom follow from those at the start, and the proof allows
for the rounding of all its sums. Where that allowance is more than was asked for, the examples are read again.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from downslope.certificate import Bound, certify, quadratic_bound
from downslope.choices.curvature import WIDE, Moments
from downslope.data.blocks import Examples, Source
from downslope.engines import linear as engine
from downslope.losses import Squared
from downslope.models.linear import Objective, Point
from downslope.records import GapKind
from downslope.training.logbook import Descent, Logbook
from downslope.types import Matrix, Vector

SINGULAR = 1e-14
"""Eigenvalues below this share of the largest, times the number of features, are rounding."""
SMALL = 100_000
"""Cells up to which the bottom is reached by steps on residuals, which cost nothing there and keep all digits."""
STEPS = 4


def fits(examples: Source, objective: Objective) -> bool:
    """Say whether the loss is squared, without l1, on features few enough for their second moments."""
    return objective.loss.name == "squared" and objective.l1 == 0 and examples.features <= WIDE


def descend_squared(
    examples: Source, objective: Objective, moments: Moments, start: Point, log: Logbook, tolerance: float
) -> Descent:
    """Step to the bottom and prove it. moments: exact ones, as ``exact_moments`` gives them."""
    assert moments.matrix is not None
    half = half_inverse(moments.matrix, objective)
    large = examples.rows * moments.matrix.shape[0] > SMALL
    if large and moments.pull is not None and not start.weights.any():
        best = bound = _landed(examples, objective, moments.matrix, moments.pull, start, half, log)
    else:
        best = bound = _look(examples, objective, start, half, log)
    for _ in range(STEPS):
        gap = bound.gap(log.start)
        if (gap <= tolerance and (large or gap <= 1e-14)) or log.spent:
            break
        before = bound.distance
        log.updates += 1
        bound = _look(examples, objective, step(bound, half), half, log)
        if bound.distance < best.distance:
            best = bound
        if not bound.distance < 0.5 * before:
            break
    gap = best.gap(log.start)
    return Descent(best.point, best.objective, gap, GapKind.CERTIFIED, gap <= tolerance)


def least_squares(examples: Source, objective: Objective, moments: Matrix, start: Point) -> Point:
    """Return the bottom of the squared loss, as far as second moments tell, from a start without weights: one read.

    A loss that is a bowl near its minimum and straight far from it (huber) is steeper there than at a constant.
    """
    sums, total = examples.total(partial(_pull_sums, middle=float(start.intercept[0])))
    pulled = sums / examples.weight_sum
    slope = -2.0 * np.append(pulled, total / examples.weight_sum if objective.intercept else 0.0)
    bowl = Objective(Squared(), 0.0, objective.l2, objective.intercept)
    return step(Bound(0.0, -math.inf, Point(slope[:-1, None], slope[-1:]), start), half_inverse(moments, bowl))


def _pull_sums(examples: Examples, middle: float) -> tuple[Vector, float]:
    away = examples.target - middle
    counted = away if examples.weights is None else away * examples.weights
    return engine.exact_gather(examples, counted[:, None])[:, 0], float(counted.sum())


def _square_sum(examples: Examples, middle: float) -> float:
    away = examples.target - middle
    squares = away * away
    return float(squares.sum() if examples.weights is None else squares @ examples.weights)


def _landed(
    examples: Source, objective: Objective, moments: Matrix, pull: Vector, start: Point, half: Matrix, log: Logbook
) -> Bound:
    """Return the proof at the bottom that second moments foretell, from a start without weights.

    Sums of n products are off by at most ``n eps`` times the sums of their sizes (Higham 2002, section 3.1), which
    are at most the root of the product of two mean squares; that much is added to the gradient and to F.
    """
    apart = examples.target_mean - float(start.intercept[0])
    about = partial(_square_sum, middle=float(start.intercept[0]))
    square = examples.total(about, features=False) / examples.weight_sum
    slope = -2.0 * (pull + apart * moments[:, -1])
    fixed = slope[-1:] if objective.intercept else np.zeros(1)
    first = Bound(square, -math.inf, Point(slope[:-1, None], fixed), start)
    _note(first, log)
    log.updates += 1
    end = step(first, half)
    moved = np.append(end.weights[:, 0], end.intercept - start.intercept)
    bent = 2.0 * moments @ moved
    bent[:-1] += objective.l2 * moved[:-1]
    value = square + float(slope @ moved + 0.5 * moved @ bent)
    rounding = examples.rows * np.finfo(np.float64).eps
    size = np.sqrt(np.maximum(np.diag(moments), 0.0))
    bent_size = float(size @ np.abs(moved))
    left, off = slope + bent, 4.0 * rounding * size * (math.sqrt(square) + bent_size)
    if not objective.intercept:
        left[-1] = off[-1] = 0.0
    kept = half.shape[0]
    distance = 0.5 * float(((np.abs(half.T @ left[:kept]) + np.abs(half).T @ off[:kept]) ** 2).sum())
    lower = value - distance - 4.0 * rounding * (square + bent_size**2)
    bound = Bound(value, lower, Point(left[:-1, None], left[-1:]), end)
    _note(bound, log)
    return bound


def half_inverse(moments: Matrix, objective: Objective) -> Matrix:
    """Return half with ``H^+ = half half'`` for the Hessian of a squared loss, (d + 1, r), (d, r) without intercept.

    The eigenvectors are those of H with a unit diagonal, which is the better conditioned.
    """
    size = moments.shape[0] if objective.intercept else moments.shape[0] - 1
    hessian = 2.0 * moments[:size, :size]
    for j in range(moments.shape[0] - 1):
        hessian[j, j] += objective.l2
    unit = np.sqrt(np.maximum(np.diag(hessian), 0.0))
    unit = np.where(unit > 0, 1.0 / np.where(unit > 0, unit, 1.0), 0.0)
    values, vectors = np.linalg.eigh(hessian * np.outer(unit, unit))
    kept = values > values[-1] * size * SINGULAR
    return unit[:, None] * vectors[:, kept] / np.sqrt(values[kept])


def _look(examples: Source, objective: Objective, point: Point, half: Matrix, log: Logbook) -> Bound:
    """Return the proof at a point, and record it: one read of float64 data, two of float32."""
    if examples.dtype == np.float64:
        seen = engine.evaluate(examples, objective, point)
        bound = quadratic_bound(seen.objective, seen.gradient, point, half)
        log.passes += 1
    else:
        bound = certify(examples, objective, point, half=half)
        log.passes += 2
    _note(bound, log)
    return bound


def _note(bound: Bound, log: Logbook) -> None:
    """Record a proof; the first of two has none yet."""
    norm = math.sqrt(float((bound.gradient.weights**2).sum() + (bound.gradient.intercept**2).sum()))
    log.note(bound.objective, norm, 1.0, bound.gap(log.start), GapKind.CERTIFIED)
    log.last = bound.point


def step(bound: Bound, half: Matrix) -> Point:
    """Return ``point - H^-1 g``, H^-1 = half half'."""
    point = bound.point
    size = half.shape[0]
    gradient = np.append(bound.gradient.weights[:, 0], bound.gradient.intercept)
    change: Vector = np.concatenate([half @ (half.T @ gradient[:size]), np.zeros(gradient.size - size)])
    return Point(point.weights - change[:-1, None], point.intercept - change[-1:])
