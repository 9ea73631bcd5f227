"""How far the minimum still is: a proof where there is one.

Weak duality (Fenchel; Rockafellar 1970, theorem 31.1) bounds the minimum from below. For slopes v_i with
``sum c_i v_i = 0`` (needed where an intercept is learned) and ``z = X'(c v) / sum c``,

    F* >= D(v) = -(1 / sum c) sum c_i l*(v_i) - penalty*(-z),
    penalty*(z) = sum_j max(|z_j| - l1, 0)^2 / (2 l2).

At ``v_i = l'(s_i)`` and l1 = 0 the distance F - D is ``|grad_w F|^2 / (2 l2)``. Without l2 the penalty's
conjugate is 0 or infinite; an l1 alone is served by shrinking v until z fits. For the squared loss the
quadratic is known: ``F - F* = g' H^-1 g / 2``. Everything here is computed in float64 on the data as
stored, and the rounding of the sums is added to the bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from downslope.data.blocks import Examples, Source
from downslope.engines import linear as engine
from downslope.models.linear import Objective, Point
from downslope.types import Matrix, Vector

ROUNDING = 1e-13
"""Relative rounding allowed for in F and D; sums of slopes this close to zero count as balanced."""
INTERCEPT_STEPS = 25
FEASIBLE = 1e-9
"""Share of the plain class frequencies mixed into a softmax to balance its classes exactly."""


@dataclass(frozen=True)
class Bound:
    """What a certificate says of a point.

    objective: F in float64. lower: a proved lower bound of the minimum, -inf where there is no proof.
    gradient: of the smooth part of F, float64. point: the point, its intercept solved.
    """

    objective: float
    lower: float
    gradient: Point
    point: Point

    @property
    def distance(self) -> float:
        """Proved upper bound of F - F*."""
        return max(self.objective - self.lower, 0.0)

    def gap(self, start: float) -> float:
        """Return the proved upper bound of the gap, given F at zero weights."""
        return relative_gap(self.distance, start, self.objective)


def relative_gap(distance: float, start: float, objective: float) -> float:
    """Return (F - F*) / (F(start) - F*) when F - F* is ``distance``; it grows with ``distance``."""
    if not np.isfinite(distance):
        return float("nan")
    drop = start - objective + distance
    return distance / drop if drop > 0 else (0.0 if distance <= 0 else 1.0)


def start_objective(examples: Source, objective: Objective) -> float:
    """Return F at zero weights and intercept, in float64."""
    if objective.loss.classifies:
        counts = class_counts(examples, objective)
        classes = np.arange(counts.size, dtype=np.float64)
        return float(objective.losses(np.zeros((counts.size, objective.outputs)), classes) @ counts / counts.sum())
    return examples.total(partial(_loss_at_zero, objective=objective), features=False) / examples.weight_sum


def class_counts(examples: Source, objective: Objective) -> Vector:
    """Return the summed weights (classes,) of the examples of each class."""
    return class_totals(examples, max(objective.outputs, 2))


def class_totals(examples: Source, classes: int) -> Vector:
    """Return the summed weights (classes,) of the examples of so many classes."""
    return examples.total(partial(_class_counts, classes=classes), features=False)


def _class_counts(examples: Examples, classes: int) -> Vector:
    found = np.bincount(examples.target.astype(np.int32), weights=examples.weights, minlength=classes)
    return found.astype(np.float64)


def _loss_at_zero(examples: Examples, objective: Objective) -> float:
    return total(objective.losses(np.zeros((examples.rows, 1)), examples.target), examples)


def total(values: Vector, examples: Examples) -> float:
    """Return the sum of (n,) values by example weight."""
    return float(values.sum() if examples.weights is None else values @ examples.weights)


def mean(values: Vector, examples: Examples) -> float:
    """Return the mean of (n,) values by example weight."""
    return float(values.mean() if examples.weights is None else values @ examples.weights / examples.weight_sum)


def has_proof(objective: Objective) -> bool:
    """Say whether ``certify`` can prove a finite distance without being given second moments."""
    return objective.l2 > 0 or objective.l1 > 0


def certify(
    examples: Examples, objective: Objective, point: Point, true: Objective | None = None,
    half: Matrix | None = None, slopes: Matrix | None = None,
) -> Bound:  # fmt: skip
    """Return a Bound of F at ``point``: two float64 reads of the data.

    objective gives the slopes; where it is the rounded stand-in of a cornered loss, ``true`` is the objective
    that is bounded. slopes: (n, k) to bound with, where the method knows better ones than ``l'(s)``. half: (d + 1
    or d, r) with ``H^-1 = half half'``, of a squared loss with l1 = 0, which proves without a penalty.
    """
    true = true or objective
    scores = engine.exact_scores(examples, point)
    if not objective.softmax and slopes is None:
        return _certify_scalar(examples, objective, true, point, scores, half)
    if objective.intercept and slopes is None:
        shift = _solve_intercept(examples, objective, scores)
        scores += shift
        point = Point(point.weights, point.intercept + shift)
    value = mean(true.losses(scores, examples.target), examples) + true.penalty(point.weights)
    slopes = objective.slopes(scores, examples.target) if slopes is None else slopes
    return _bounded(examples, objective, true, point, value, slopes, half)


def _certify_scalar(
    examples: Examples, objective: Objective, true: Objective, point: Point, scores: Matrix, half: Matrix | None
) -> Bound:
    """Certify losses of one score each, with no more than sums and slopes by example."""
    slopes = np.empty_like(scores)
    shift = np.zeros(objective.outputs)
    value = product = 0.0
    for k in range(objective.outputs):
        target = objective.target_of(examples.target, k)
        shift[k], seen = _solve_shift(examples, objective, np.ascontiguousarray(scores[:, k]), target)
        slopes[:, k] = seen.slopes
        value += seen.loss
        product += seen.slope_score
    point = Point(point.weights, point.intercept + shift)
    if true != objective:
        value = mean(true.losses(scores + shift, examples.target), examples)
    value += true.penalty(point.weights)
    conjugate = product - value + true.penalty(point.weights) if true == objective else None
    return _bounded(examples, objective, true, point, value, slopes, half, conjugate)


def _solve_shift(
    examples: Examples, objective: Objective, scores: Vector, target: Vector
) -> tuple[float, engine.Examination]:
    """Return the shift of the scores that balances the slopes, and what is seen there."""
    shift = 0.0
    seen = engine.examine(examples, objective, scores, target, shift)
    if not objective.intercept:
        return shift, seen
    for _ in range(INTERCEPT_STEPS):
        if abs(seen.slope) < 1e-15 or seen.bend < 1e-12:
            break
        step = -seen.slope / seen.bend
        if abs(step) <= 1e-15 * (1.0 + abs(shift)):
            break
        following = engine.examine(examples, objective, scores, target, shift + step)
        if not abs(following.slope) < 0.5 * abs(seen.slope):
            break
        shift, seen = shift + step, following
    return shift, seen


def _bounded(
    examples: Examples, objective: Objective, true: Objective, point: Point, value: float, slopes: Matrix,
    half: Matrix | None, conjugate: float | None = None,
) -> Bound:  # fmt: skip
    """Return the Bound that slopes (n, k) prove; conjugate: their mean conjugate where it is known already."""
    counted = slopes if examples.weights is None else slopes * examples.weights[:, None]
    sums = engine.exact_gather(examples, counted) / examples.weight_sum
    fixed = counted.sum(axis=0) / examples.weight_sum if objective.intercept else np.zeros(objective.outputs)
    gradient = Point(sums + objective.l2 * point.weights, fixed)
    if half is not None:
        lower = value - _quadratic_distance(gradient, half)
    else:
        lower = _dual(examples, true, slopes, sums, conjugate)
    return Bound(value, lower - ROUNDING * (abs(value) + abs(lower) if np.isfinite(lower) else 0.0), gradient, point)


def quadratic_bound(value: float, gradient: Point, point: Point, half: Matrix) -> Bound:
    """Return the Bound of a squared loss whose float64 value and gradient at a point are known."""
    lower = value - _quadratic_distance(gradient, half)
    return Bound(value, lower - ROUNDING * (abs(value) + abs(lower)), gradient, point)


def _quadratic_distance(gradient: Point, half: Matrix) -> float:
    """Return g' H^+ g / 2 over all outputs; null directions of H carry no gradient but rounding."""
    g = np.vstack([gradient.weights, gradient.intercept])[: half.shape[0]]
    return float(0.5 * ((half.T @ g) ** 2).sum())


def _solve_intercept(examples: Examples, objective: Objective, scores: Matrix) -> Vector:
    """Return the shift (k,) of a softmax's intercepts that balances its slopes, by Newton steps on the scores."""
    shift = np.zeros(objective.outputs)
    share = (
        np.full(examples.rows, 1.0 / examples.rows)
        if examples.weights is None
        else (examples.weights / examples.weight_sum)
    )
    norm = np.inf
    for _ in range(INTERCEPT_STEPS):
        moved = scores + shift
        slope = share @ objective.slopes(moved, examples.target)
        before, norm = norm, float(np.abs(slope).max())
        if norm < 1e-15 or norm > 0.5 * before:
            break
        chance = objective.loss.mean_response(moved)
        curvature = np.diag(share @ chance) - chance.T @ (chance * share[:, None])
        step = np.linalg.lstsq(curvature, slope, rcond=None)[0]
        shift = shift - step + step.mean()
    return shift


def _dual(examples: Examples, objective: Objective, slopes: Matrix, sums: Matrix, conjugate: float | None) -> float:
    """Return D at the slopes, made feasible first; conjugate: that of the slopes as they come, where known."""
    if objective.l1 == 0 and objective.l2 == 0:
        return -np.inf
    if objective.intercept:
        balance = _balance_classes if objective.softmax else _balance_signs
        balanced = balance(examples, slopes)
        if balanced is not slopes:
            slopes, conjugate = balanced, None
            counted = slopes if examples.weights is None else slopes * examples.weights[:, None]
            sums = engine.exact_gather(examples, counted) / examples.weight_sum
    if objective.l2 == 0:
        shrink = min(1.0, objective.l1 / max(float(np.abs(sums).max()), 1e-300))
        return -_mean_conjugate(examples, objective, slopes * shrink)
    if conjugate is None:
        conjugate = _mean_conjugate(examples, objective, slopes)
    over = np.maximum(np.abs(sums) - objective.l1, 0.0)
    return -conjugate - float((over**2).sum()) / (2.0 * objective.l2)


def _mean_conjugate(examples: Examples, objective: Objective, slopes: Matrix) -> float:
    if objective.softmax:
        return mean(objective.loss.conjugate(slopes, examples.target), examples)
    return sum(
        mean(objective.loss.conjugate(slopes[:, k], objective.target_of(examples.target, k)), examples)
        for k in range(objective.outputs)
    )


def _balance_signs(examples: Examples, slopes: Matrix) -> Matrix:
    """Shrink the heavier sign of each output until the slopes add up to zero; 0 stays in every domain."""
    balanced = slopes
    for k in range(slopes.shape[1]):
        column = slopes[:, k] if examples.weights is None else slopes[:, k] * examples.weights
        up, down = float(column[column > 0].sum()), float(-column[column < 0].sum())
        if abs(up - down) <= 0.1 * ROUNDING * (up + down):
            continue
        if balanced is slopes:
            balanced = slopes.copy()
        heavy = balanced[:, k] > 0 if up > down else balanced[:, k] < 0
        balanced[heavy, k] *= min(up, down) / max(up, down)
    return balanced


def _balance_classes(examples: Examples, slopes: Matrix) -> Matrix:
    """Mix a constant distribution into the probabilities so that each class is predicted as often as it occurs.

    A class that no example has must be given no probability at all.
    """
    share = (
        np.full(examples.rows, 1.0 / examples.rows)
        if examples.weights is None
        else (examples.weights / examples.weight_sum)
    )
    classes = examples.target.astype(np.intp)
    truth = np.zeros_like(slopes)
    truth[np.arange(slopes.shape[0]), classes] = 1.0
    chance = slopes + truth
    frequency: Vector = share @ truth
    met = frequency > 0
    if not met.all():
        chance[:, ~met] = 0.0
        chance /= np.maximum(chance.sum(axis=1, keepdims=True), 1e-300)
    excess: Vector = share @ chance - frequency
    needed = float(np.max(np.abs(excess[met]) / frequency[met]))
    if needed <= 0.1 * ROUNDING:
        return slopes if met.all() else chance - truth
    mixed = min(max(FEASIBLE, 2.0 * needed), 1.0)
    constant = frequency - (1.0 - mixed) / mixed * excess
    return (1.0 - mixed) * chance + mixed * constant - truth
