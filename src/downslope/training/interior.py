"""A loss with a corner, followed from the inside of its dual box to the corner.

A cornered loss is ``max over t in [low, high] of r t``. Scaled steps on a rounded corner grow short as the
corner narrows, since few examples still bend the objective. Here the corner is rounded by a barrier instead,
``mu log(t - low) + mu log(high - t)``, under which every example keeps some curvature, and mu falls with each
step: the primal-dual method of Mehrotra (1992), as Portnoy and Koenker (1997) use it for quantiles. Each step
is a Newton step whose Hessian is the second moments of the features weighted by example, the same matrix that
every scaled step uses; the t are feasible slopes, so each step also proves how far the minimum is.

An l1 penalty is the same kind of corner at weight 0, one a weight, and is carried along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeGuard

import numpy as np

from downslope.certificate import Bound, certify
from downslope.choices.curvature import WIDE
from downslope.data.blocks import Examples, Source
from downslope.engines import linear as engine
from downslope.engines.moments import second_moments
from downslope.models.linear import Objective, Point
from downslope.records import GapKind
from downslope.training.logbook import Descent, Logbook
from downslope.training.metric import Inverse, inner, inverse_of
from downslope.types import Matrix, Vector

STEPS = 200
BACK_OFF = 0.995
"""Share of the way to the wall of the box that a step goes."""
HINDERED = 0.3
"""A corrected step shorter than this share of the plain one was hindered by its correction."""
CENTRING = 0.4
"""Share of the complementarity that a step back to the centre of the box aims at."""
SMALLEST = 1e-13
"""Mean complementarity, relative to the first, at which float64 has no more to give."""


@dataclass
class Corner:
    """One batch of corners: residual ``r = e - q s``, dual t in (low, high), multipliers u, v of its walls."""

    low: float
    high: float
    t: Vector
    u: Vector
    v: Vector

    @classmethod
    def start(cls, low: float, high: float, residual: Vector) -> Corner:
        """Place t in the middle of the box, and walls that hold the residuals with about equal slack."""
        away = max(float(np.sqrt(np.mean(residual**2))), 1e-12)
        return cls(
            low, high, np.full(residual.shape, 0.5 * (low + high)), np.maximum(residual, 0.0) + away,
            np.maximum(-residual, 0.0) + away,
        )  # fmt: skip

    @property
    def gaps(self) -> tuple[Vector, Vector]:
        """Return the distances of t to the upper and the lower wall."""
        return self.high - self.t, self.t - self.low

    def complementarity(self) -> Vector:
        """Return u (high - t) + v (t - low) of each: what is left of the duality gap."""
        above, below = self.gaps
        return self.u * above + self.v * below

    def stiffness(self) -> Vector:
        """Return dr/dt: the reciprocal of the curvature that this corner has for now."""
        above, below = self.gaps
        return self.u / above + self.v / below

    def pull(self, residual: Vector, mu: float, second: tuple[Vector, Vector]) -> Vector:
        """Return how far the residual is from where mu wants it, Mehrotra's second-order terms taken off."""
        above, below = self.gaps
        return residual - (mu - second[0]) / above + (mu - second[1]) / below

    def moves(self, change: Vector, mu: float, second: tuple[Vector, Vector]) -> tuple[Vector, Vector, Vector]:
        """Return the changes of (t, u, v) that go with a change of t."""
        above, below = self.gaps
        up = (mu - second[0]) / above - self.u + self.u * change / above
        down = (mu - second[1]) / below - self.v - self.v * change / below
        return change, up, down

    def longest(self, moves: tuple[Vector, Vector, Vector]) -> tuple[float, float]:
        """Return the longest steps (of t, of u and v) that stay inside, at most 1."""
        change, up, down = moves
        above, below = self.gaps
        inside = min(_reach(above, -change), _reach(below, change))
        return inside, min(_reach(self.u, up), _reach(self.v, down))

    def advance(self, moves: tuple[Vector, Vector, Vector], inside: float, walls: float) -> None:
        """Take the step."""
        self.t = self.t + inside * moves[0]
        self.u = self.u + walls * moves[1]
        self.v = self.v + walls * moves[2]


def _reach(value: Vector, change: Vector) -> float:
    falling = change < 0
    if not falling.any():
        return 1.0
    return min(1.0, BACK_OFF * float((value[falling] / -change[falling]).min()))


def fits(examples: Source, objective: Objective) -> TypeGuard[Examples]:
    """Say whether the method applies: a cornered loss, on examples in memory, and features few enough for moments."""
    return isinstance(examples, Examples) and objective.loss.cornered and examples.features <= WIDE


def descend_interior(examples: Examples, objective: Objective, log: Logbook, tolerance: float) -> Descent:
    """Minimise a cornered objective, one output after another, until the duality gap of all is the tolerance."""
    weights = np.zeros((examples.features, objective.outputs))
    intercept = np.zeros(objective.outputs)
    slopes = np.zeros((examples.rows, objective.outputs))
    for k in range(objective.outputs):
        one = replace(objective, outputs=1)
        work = _Interior(examples.retarget(objective.target_of(examples.target, k)), one, log)
        work.run(tolerance)
        weights[:, k], intercept[k], slopes[:, k] = work.weights[:-1], work.weights[-1], work.slopes()
    bound = certify(examples, objective, Point(weights, intercept), slopes=slopes)
    log.passes += 2
    return _concluded(bound, log, tolerance)


def _concluded(bound: Bound, log: Logbook, tolerance: float) -> Descent:
    proved = math.isfinite(bound.lower)
    gap = bound.gap(log.start) if proved else log.steps[-1].gap
    kind = GapKind.CERTIFIED if proved else GapKind.ESTIMATED
    log.note(bound.objective, math.sqrt(inner(bound.gradient, bound.gradient)), 1.0, gap, kind)
    return Descent(bound.point, bound.objective, gap, kind, gap <= tolerance)


class _Interior:
    """One output on its way."""

    def __init__(self, examples: Examples, objective: Objective, log: Logbook) -> None:
        self.examples, self.objective, self.log = examples, objective, log
        loss = objective.loss
        self.sign = 2.0 * examples.target - 1.0 if loss.classifies else np.ones(examples.rows)
        self.aim = np.ones(examples.rows) if loss.classifies else examples.target
        self.share = (
            np.full(examples.rows, 1.0 / examples.rows)
            if examples.weights is None
            else (examples.weights / examples.weight_sum)
        )
        self.counted = self.share > 0
        self.size = examples.features + int(objective.intercept)
        self.weights = np.zeros(examples.features + 1)
        if objective.intercept:
            self.weights[-1] = loss.constant_score(examples.target, examples.weights)
        self.scores = np.full(examples.rows, self.weights[-1])
        self.rows = Corner.start(loss.low, loss.high, self.residual())
        self.lasso: Corner | None = None
        if objective.l1 > 0:
            self.lasso = Corner.start(-objective.l1, objective.l1, np.zeros(examples.features))
            self.lasso.u += 1e-3
            self.lasso.v += 1e-3

    def residual(self) -> Vector:
        """Return e - q s of each example."""
        return self.aim - self.sign * self.scores

    def slopes(self) -> Vector:
        """Return the slopes by the score that the dual t stand for."""
        return -self.sign * self.rows.t

    def run(self, tolerance: float) -> None:
        """Step until the mean complementarity, which bounds F - F* once all is feasible, is within tolerance."""
        start = self._objective_at(self.aim)
        first = self._complementarity()
        for _ in range(STEPS):
            left = self._complementarity()
            value = self._objective()
            drop = max(start - value, 1e-300)
            self.log.note(value, float("nan"), 1.0, left / (drop + left), GapKind.ESTIMATED)
            self.log.last = Point(self.weights[:-1, None].copy(), self.weights[-1:].copy())
            if left <= 0.3 * tolerance * (drop + left) or left <= SMALLEST * first or self.log.spent:
                break
            if not self._step():
                break

    def _objective(self) -> float:
        return self._objective_at(self.residual()) + self.objective.penalty(self.weights[:-1, None])

    def _objective_at(self, residual: Vector) -> float:
        loss = np.where(residual > 0, self.rows.high, self.rows.low) * residual
        return float(self.share @ loss)

    def _complementarity(self) -> float:
        total = float(self.share @ self.rows.complementarity())
        return total + (float(self.lasso.complementarity().sum()) if self.lasso else 0.0)

    def _step(self) -> bool:
        """Take one predictor-corrector step; False where the normal equations fail."""
        stiff = np.maximum(self.rows.stiffness(), 1e-300)
        matrix = self._matrix(1.0 / stiff)
        if not np.isfinite(matrix).all():
            return False
        inverse = inverse_of(matrix)
        residual = self.residual()
        none = (np.zeros(1), np.zeros(1))
        direct, lasso_moves, change, _ = self._solve(inverse, stiff, residual, 0.0, none, none)
        left = self._complementarity()
        mu, reach = self._centre(direct, lasso_moves, left)
        second = (-direct[0] * direct[1], direct[0] * direct[2])
        lasso_second = (
            none if lasso_moves is None else (-lasso_moves[0] * lasso_moves[1], lasso_moves[0] * lasso_moves[2])
        )
        direct, lasso_moves, change, moved = self._solve(inverse, stiff, residual, mu, second, lasso_second)
        inside, walls = self._longest(direct, lasso_moves)
        if min(inside, walls) < HINDERED * max(reach, HINDERED):
            centred = CENTRING * left / self._pairs()
            direct, lasso_moves, change, moved = self._solve(inverse, stiff, residual, centred, none, none)
            inside, walls = self._longest(direct, lasso_moves)
        self.rows.advance(direct, inside, walls)
        if self.lasso is not None and lasso_moves is not None:
            self.lasso.advance(lasso_moves, inside, walls)
        self.weights[: self.size] += walls * change[: self.size]
        self.scores = self.scores + walls * moved
        self.log.updates += 1
        self.log.passes += 5
        return max(inside, walls) > 1e-8

    def _longest(
        self, direct: tuple[Vector, Vector, Vector], lasso_moves: tuple[Vector, Vector, Vector] | None
    ) -> tuple[float, float]:
        inside, walls = self.rows.longest(direct)
        if self.lasso is not None and lasso_moves is not None:
            also = self.lasso.longest(lasso_moves)
            inside, walls = min(inside, also[0]), min(walls, also[1])
        return inside, walls

    def _pairs(self) -> float:
        """Return how many pairs of wall and multiplier the complementarity is summed over, as shares."""
        return 2.0 + (2.0 * self.lasso.t.size if self.lasso is not None else 0.0)

    def _matrix(self, bend: Vector) -> Matrix:
        moments = second_moments(self.examples, bend, exact=True)
        matrix = moments if self.objective.intercept else moments[:-1, :-1]
        d = self.examples.features
        matrix[np.arange(d), np.arange(d)] += self.objective.l2
        if self.lasso is not None:
            matrix[np.arange(d), np.arange(d)] += 1.0 / np.maximum(self.lasso.stiffness(), 1e-300)
        return matrix

    def _gather(self, amounts: Vector) -> Vector:
        """Return the sums of the amounts (n,) times each feature and, last, of the amounts, as shares."""
        slopes = (self.share * amounts)[:, None]
        sums = engine.exact_gather(self.examples, slopes)[:, 0]
        return np.append(sums, slopes.sum()) if self.objective.intercept else sums

    def _solve(
        self, inverse: Inverse, stiff: Vector, residual: Vector, mu: float, second: tuple[Vector, Vector],
        lasso_second: tuple[Vector, Vector],
    ) -> tuple[tuple[Vector, Vector, Vector], tuple[Vector, Vector, Vector] | None, Vector, Vector]:  # fmt: skip
        """Solve the Newton system; return the moves of the corners, of the weights, and of the scores."""
        d = self.examples.features
        pull = self.rows.pull(residual, mu, second)
        right = self._gather(self.sign * (self.rows.t + pull / stiff))
        right[:d] -= self.objective.l2 * self.weights[:d]
        weight_pull = np.zeros(d)
        if self.lasso is not None:
            weight_pull = self.lasso.pull(-self.weights[:d], mu, lasso_second)
            right[:d] += self.lasso.t + weight_pull / self.lasso.stiffness()
        change = np.zeros(d + 1)
        change[: self.size] = inverse(right)
        moved = engine.exact_scores(self.examples, Point(change[:d, None], change[d:]))[:, 0]
        moves = self.rows.moves((pull - self.sign * moved) / stiff, mu, second)
        lasso_moves = None
        if self.lasso is not None:
            lasso_moves = self.lasso.moves((weight_pull - change[:d]) / self.lasso.stiffness(), mu, lasso_second)
        return moves, lasso_moves, change, moved

    def _centre(
        self, moves: tuple[Vector, Vector, Vector], lasso_moves: tuple[Vector, Vector, Vector] | None, left: float
    ) -> tuple[float, float]:
        """Return mu, what the plain step would leave by Mehrotra's cube of its share, and that step's reach."""
        inside, walls = self._longest(moves, lasso_moves)
        ahead = replace(self.rows)
        ahead.advance(moves, inside, walls)
        after = float(self.share @ ahead.complementarity())
        if self.lasso is not None and lasso_moves is not None:
            ahead = replace(self.lasso)
            ahead.advance(lasso_moves, inside, walls)
            after += float(ahead.complementarity().sum())
        return (after / left) ** 3 * left / self._pairs() if left > 0 else 0.0, min(inside, walls)
