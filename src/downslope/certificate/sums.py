"""The proof from sums: of a source that no memory holds, in one pass, rarely in a few.

The slopes of a dual bound must add up to zero where an intercept is learned, and the factor that the heavier sign is
shrunk by is known only once all of them were seen. The conjugate of a loss is convex, so
``l*(a v) <= a l*(v) + (1 - a) l*(0)`` for a in [0, 1]: from the sums of each sign apart follows a bound on the
balanced slopes. It is as much a proof, and where the intercept is near its best, and a near 1, as good a one. A
softmax is balanced by a mixture of its probabilities with one constant distribution, bounded in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from downslope.certificate import bound as held
from downslope.certificate.bound import FEASIBLE, INTERCEPT_STEPS, ROUNDING, Bound, total
from downslope.data.blocks import Examples, Source
from downslope.engines import linear as engine
from downslope.models.linear import Objective, Point
from downslope.types import Matrix, Vector

WORTH = 0.01
"""Share of the distance that a better intercept must be good for, to be worth another pass."""


def certify(
    examples: Source, objective: Objective, point: Point, true: Objective | None = None,
    half: Matrix | None = None, slopes: Matrix | None = None,
) -> Bound:  # fmt: skip
    """Return a Bound of F at ``point``: two float64 reads of examples in memory, a pass or few of any other source.

    objective gives the slopes; where it is the rounded stand-in of a cornered loss, ``true`` is the objective
    that is bounded. slopes: (n, k) to bound with, in memory, where the method knows better ones than ``l'(s)``. half:
    (d + 1 or d, r) with ``H^-1 = half half'``, of a squared loss with l1 = 0, which proves without a penalty.
    """
    if isinstance(examples, Examples):
        return held.certify(examples, objective, point, true, half, slopes)
    true = true or objective
    found, step = _look(examples, objective, true, point, half)
    for _ in range(INTERCEPT_STEPS):
        worth = 0.5 * abs(float(found.gradient.intercept @ step))
        if half is not None or not worth > WORTH * found.distance or worth <= ROUNDING * abs(found.objective):
            break
        point = Point(point.weights, point.intercept + step)
        found, step = _look(examples, objective, true, point, half)
    return found


def _look(
    examples: Source, objective: Objective, true: Objective, point: Point, half: Matrix | None
) -> tuple[Bound, Vector]:
    """Return the Bound at a point as it is, by one pass, and the Newton step (k,) of its intercept."""
    if objective.softmax:
        seen = examples.total(partial(_softmax_sums, objective=objective, point=point, counts=_met(examples, true)))
        parts = _Softmax(*seen)
    else:
        parts = _Signs(*examples.total(partial(_sign_sums, objective=objective, true=true, point=point)))
    mass = examples.weight_sum
    value = float(parts.value) / mass + true.penalty(point.weights)
    sums, fixed = parts.sums / mass, parts.slope / mass
    fixed = fixed if objective.intercept else np.zeros_like(fixed)
    gradient = Point(sums + objective.l2 * point.weights, fixed)
    if half is not None:
        return held.quadratic_bound(value, gradient, point, half), np.zeros_like(fixed)
    lower = -np.inf
    if true.l1 > 0 or true.l2 > 0:
        feasible, conjugate = parts.balanced(mass) if objective.intercept else (sums, parts.conjugate / mass)
        lower = _dual(true, feasible, conjugate, parts.conjugate_at_zero / mass)
    margin = ROUNDING * (abs(value) + abs(lower)) if np.isfinite(lower) else 0.0
    step = parts.newton(mass) if objective.intercept else np.zeros_like(fixed)
    return Bound(value, lower - margin, gradient, point), step


def _dual(true: Objective, sums: Matrix, conjugate: float, at_zero: float) -> float:
    """Return D at balanced slopes; an l1 penalty alone shrinks them once more, until their sums fit it."""
    if true.l2 > 0:
        over = np.maximum(np.abs(sums) - true.l1, 0.0)
        return -conjugate - float((over**2).sum()) / (2.0 * true.l2)
    shrink = min(1.0, true.l1 / max(float(np.abs(sums).max()), 1e-300))
    return -(shrink * conjugate + (1.0 - shrink) * at_zero)


@dataclass(frozen=True)
class _Signs:
    """Sums over losses of one score each.

    value: of the loss. up, down: (d, k), of feature times slope, of the slopes above and below zero. slope_up,
    slope_down, conjugate_up, conjugate_down, zero_up, zero_down: (k,), of the slopes, of their conjugates and of the
    conjugates at zero, by sign. bend: (k,).
    """

    value: float
    up: Matrix
    down: Matrix
    slope_up: Vector
    slope_down: Vector
    conjugate_up: Vector
    conjugate_down: Vector
    zero_up: Vector
    zero_down: Vector
    bend: Vector

    @property
    def sums(self) -> Matrix:
        """Feature times slope (d, k)."""
        return self.up + self.down

    @property
    def slope(self) -> Vector:
        """The slopes (k,)."""
        return self.slope_up + self.slope_down

    @property
    def conjugate(self) -> float:
        """The conjugates of the slopes as they come."""
        return float((self.conjugate_up + self.conjugate_down).sum())

    @property
    def conjugate_at_zero(self) -> float:
        """The conjugates at zero."""
        return float((self.zero_up + self.zero_down).sum())

    def balanced(self, mass: float) -> tuple[Matrix, float]:
        """Return the mean feature times slope (d, k), and a bound of the mean conjugate, of the balanced slopes."""
        light = np.minimum(self.slope_up, -self.slope_down)
        above = light / np.maximum(self.slope_up, 1e-300)
        below = light / np.maximum(-self.slope_down, 1e-300)
        above, below = np.minimum(above, 1.0), np.minimum(below, 1.0)
        conjugate = above * self.conjugate_up + (1.0 - above) * self.zero_up
        conjugate += below * self.conjugate_down + (1.0 - below) * self.zero_down
        return (above * self.up + below * self.down) / mass, float(conjugate.sum()) / mass

    def newton(self, mass: float) -> Vector:
        """Return the step (k,) of the intercepts."""
        return np.where(self.bend > 1e-12 * mass, -self.slope / np.maximum(self.bend, 1e-12 * mass), 0.0)


def _sign_sums(examples: Examples, objective: Objective, true: Objective, point: Point) -> tuple[Any, ...]:
    scores = engine.exact_scores(examples, point)
    outputs = [_signs_of(examples, objective, true, scores[:, k], k) for k in range(objective.outputs)]
    slopes = np.column_stack([each for pair, _ in outputs for each in pair])
    gathered = engine.exact_gather(examples, slopes)
    sums = np.array([each for _, each in outputs])
    return (float(sums[:, 0].sum()), gathered[:, 0::2], gathered[:, 1::2], *(sums[:, i] for i in range(1, 8)))


def _signs_of(
    examples: Examples, objective: Objective, true: Objective, scores: Vector, output: int
) -> tuple[tuple[Vector, Vector], Vector]:
    """Return the slopes of one output above and below zero, by example weight, and the eight sums of _Signs."""
    target = objective.target_of(examples.target, output)
    seen = engine.examine(examples, objective, np.ascontiguousarray(scores), target, 0.0)
    slopes, loss = seen.slopes, true.loss.value(scores, target)
    conjugate = slopes * scores - loss if true == objective else true.loss.conjugate(slopes, target)
    at_zero = true.loss.conjugate(np.zeros_like(slopes), target)
    each = np.ones_like(slopes) if examples.weights is None else examples.weights
    rising = (slopes > 0) * each
    falling = each - rising
    sums = [total(loss, examples), *(
        float(values @ side) for values in (slopes, conjugate, at_zero) for side in (rising, falling)
    ), seen.bend * examples.weight_sum]  # fmt: skip
    return (slopes * rising, slopes * falling), np.array(sums)


@dataclass(frozen=True)
class _Softmax:
    """Sums over softmax losses.

    value: of the loss. sums, truth_sums: (d, k), of feature times slope and times truth. feature_sums: (d,). slope,
    truth: (k,). conjugate: of the slopes. bend: (k, k), of ``diag(p) - p p'``.
    """

    value: float
    sums: Matrix
    truth_sums: Matrix
    feature_sums: Vector
    slope: Vector
    truth: Vector
    conjugate: float
    bend: Matrix

    @property
    def conjugate_at_zero(self) -> float:
        """The conjugates at zero: those of a truth that is certain."""
        return 0.0

    def balanced(self, mass: float) -> tuple[Matrix, float]:
        """Return the mean feature times slope (d, k), and a bound of the mean conjugate, of the balanced slopes."""
        frequency, excess = self.truth / mass, self.slope / mass
        met = frequency > 0
        needed = float(np.max(np.abs(excess[met]) / frequency[met]))
        if needed <= 0.1 * ROUNDING:
            return self.sums / mass, self.conjugate / mass
        mixed = min(max(FEASIBLE, 2.0 * needed), 1.0)
        constant = np.where(met, frequency - (1.0 - mixed) / mixed * excess, 0.0)
        away = np.outer(self.feature_sums, constant) - self.truth_sums
        entropy = float(np.sum(constant[met] * np.log(np.maximum(constant[met], 1e-300))))
        sums = (1.0 - mixed) * self.sums + mixed * away
        return sums / mass, (1.0 - mixed) * self.conjugate / mass + mixed * entropy

    def newton(self, mass: float) -> Vector:
        """Return the step (k,) of the intercepts, which leaves their mean."""
        step = np.linalg.lstsq(self.bend / mass, self.slope / mass, rcond=None)[0]
        return step.mean() - step


def _met(examples: Source, objective: Objective) -> Vector:
    return held.class_counts(examples, objective)


def _softmax_sums(examples: Examples, objective: Objective, point: Point, counts: Vector) -> tuple[Any, ...]:
    """Return the sums of _Softmax; a class of weight 0 in ``counts`` (k,) is given no probability in the dual."""
    scores = engine.exact_scores(examples, point)
    chance = objective.loss.mean_response(scores)
    truth = np.zeros_like(chance)
    truth[np.arange(truth.shape[0]), examples.target.astype(np.intp)] = 1.0
    each = np.ones(examples.rows) if examples.weights is None else examples.weights
    bend = np.diag(each @ chance) - chance.T @ (chance * each[:, None])
    value = total(objective.losses(scores, examples.target), examples)
    if not (counts > 0).all():
        chance[:, counts <= 0] = 0.0
        chance /= np.maximum(chance.sum(axis=1, keepdims=True), 1e-300)
    slopes = chance - truth
    conjugate = total(objective.loss.conjugate(slopes, examples.target), examples)
    weighted = np.column_stack([slopes * each[:, None], truth * each[:, None], each])
    gathered = engine.exact_gather(examples, weighted)
    k = truth.shape[1]
    return (
        value, gathered[:, :k], gathered[:, k : 2 * k], gathered[:, -1], each @ slopes, each @ truth, conjugate, bend
    )  # fmt: skip
