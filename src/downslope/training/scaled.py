"""The scaled method: full-batch steps ``-H^-1 g``, gradient descent with the Goldilocks step.

In one dimension the ideal learning rate is 1 / f''; in many it is the inverse of the Hessian. H comes from one
matrix of second moments (``choices.curvature``); L-BFGS bends it to the curvature that the steps meet, and
when the steps slow down it is measured once more where they have come to. A line search guards each step.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace

import numpy as np

from downslope.certificate import Bound, certify, has_proof, relative_gap
from downslope.choices.curvature import SCATTERED, Moments, bent_moments, exact_moments, joint_moments
from downslope.data.blocks import Source
from downslope.engines import linear as engine
from downslope.engines.linear import Evaluation
from downslope.models.linear import Objective, Point
from downslope.records import GapKind
from downslope.training.checkpoint import Checkpoint, Keeper, metric_arrays, metric_of, point_arrays, point_of
from downslope.training.logbook import Descent, Logbook
from downslope.training.metric import Memory, Metric, inner, joins, joint_metric, moved, weighted_metric
from downslope.training.proximal import proximal_step
from downslope.training.squared import fits, half_inverse
from downslope.types import JsonValue, Matrix

ARMIJO = 1e-4
"""Share of the predicted decrease that a step must reach (Nocedal and Wright 2006, eq. 3.4)."""
CURVATURE = 0.9
"""Share of the starting slope that may be left where F is too flat to compare (their eq. 3.7a)."""
HALVINGS = 30
NOISE = {4: 2e-7, 8: 1e-15}
"""Relative noise of F by bytes of a number in the data: below it, F cannot tell two points apart."""
POLISHES = 12
"""Steps on the float64 gradient once the passes over float32 data can tell no more."""
EXHAUSTED = 1e-17
"""Estimated gap at which float64 itself has no more to give."""
CELLS_PER_SECOND, PRODUCTS_PER_SECOND = 5e9, 1e11
"""How fast a pass reads and BLAS multiplies on two cores (measured); only their ratio decides anything."""
MOST_PATIENCE = 16
"""Most steps between two Hessians that did not help; doubled from 1 while they do not."""
DOUBT = 0.7
"""Share of what a proof was worse than its forecast by, that the next forecast is held to."""
SLOW = 0.25
"""A pass that leaves more than this share of the distance is slow enough to think of a new Hessian."""
SCALED = "scaled"
"""What the checkpoints call themselves."""


@dataclass(frozen=True)
class Stand:
    """A point with its evaluation: a look at the slope from one place."""

    point: Point
    seen: Evaluation


def native_distance(stand: Stand, objective: Objective) -> float:
    """Return F - D as one pass sees it, without a pass of its own; inf without l2.

    By Fenchel's equality the conjugates at ``v = l'(s)`` add up to ``z.w - loss``; see ``certificate``.
    """
    if objective.l2 == 0:
        return math.inf
    weights = stand.point.weights
    sums = stand.seen.gradient.weights - objective.l2 * weights
    over = np.maximum(np.abs(sums) - objective.l1, 0.0)
    conjugate = float((over**2).sum()) / (2.0 * objective.l2)
    return max(objective.penalty(weights) + float(np.vdot(sums, weights)) + conjugate, 0.0)


class ScaledDescent:
    """One descent of a smooth objective (plus an l1 penalty) by scaled steps."""

    def __init__(
        self, examples: Source, objective: Objective, true: Objective, moments: Moments, metric: Metric,
        log: Logbook, seed: int,
    ) -> None:  # fmt: skip
        """Take what is to be minimised, and the metric to begin with; ``true`` is what a certificate bounds."""
        self.examples, self.objective, self.true = examples, objective, true
        self.moments, self.metric, self.log, self.seed = moments, metric, log, seed
        self.memory = Memory()
        self.noise = NOISE[examples.dtype.itemsize]
        self.half: Matrix | None = None
        self.doubt = 1.0
        self.age = 0
        self.patience = 1
        self.drops = deque[float](maxlen=2)

    def evaluate(self, point: Point) -> Stand:
        """Look at the slope from ``point``: one pass."""
        seen = engine.evaluate(self.examples, self.objective, point)
        self.log.passes += 1
        return Stand(point, seen)

    def estimate(self, stand: Stand) -> float:
        """Return the distance to the minimum by the quadratic model: g' H^-1 g / 2, or the model's decrease."""
        if self.objective.l1 > 0:
            _, decrease = proximal_step(self.metric, stand.point, stand.seen.gradient, self.objective)
            return max(decrease, 0.0)
        return 0.5 * max(inner(stand.seen.gradient, self.metric.solve(stand.seen.gradient)), 0.0)

    def _distance(self, stand: Stand) -> float:
        """Return the estimate, or what the last two drops of F foretell if that is more.

        A metric that has grown too stiff makes the model's distance too small; drops that shrink by a factor
        r a step still have ``drop r / (1 - r)`` to go.
        """
        distance = self.estimate(stand)
        if len(self.drops) == 2 and 0 < self.drops[1] < self.drops[0]:
            ratio = self.drops[1] / self.drops[0]
            distance = max(distance, self.drops[1] * ratio / (1.0 - ratio))
        return distance

    def run(self, stand: Stand, tolerance: float, keeper: Keeper | None = None) -> Descent:
        """Step until the gap is at most ``tolerance``, the budget is spent, or F can tell no more."""
        return self._run(stand, self.estimate(stand), 1.0, tolerance, keeper or Keeper())

    def resume(self, keeper: Keeper, tolerance: float) -> Descent:
        """Go on from a checkpoint of ``run``; raises RunError where it does not fit."""
        begin = keeper.begin
        assert begin is not None
        values = begin.values
        like = point_arrays("point", Point.zeros(self.examples.features, self.objective.outputs))
        point = point_of("point", keeper.fitting(like))
        self.metric = metric_of("metric", begin.arrays, self.metric.intercept)
        for index in range(values["pairs"]):
            self.memory.remember(point_of(f"step.{index}", begin.arrays), point_of(f"change.{index}", begin.arrays))
        self.drops.extend(values["drops"])
        self.doubt, self.age, self.patience = values["doubt"], values["age"], values["patience"]
        self.half = begin.arrays.get("half")
        stand = self.evaluate(point)
        self.log.restore(values["log"], begin.steps, point)
        return self._run(stand, values["distance"], values["length"], tolerance, keeper)

    def to_checkpoint(self, stand: Stand, distance: float, length: float) -> Checkpoint:
        """Return the whole state, between a step and the look at it."""
        arrays = point_arrays("point", stand.point) | metric_arrays("metric", self.metric)
        for index, (step, change) in enumerate(self.memory.pairs):
            arrays |= point_arrays(f"step.{index}", step) | point_arrays(f"change.{index}", change)
        if self.half is not None:
            arrays["half"] = self.half
        values: dict[str, JsonValue] = {
            "pairs": len(self.memory.pairs), "drops": list(self.drops), "doubt": self.doubt, "age": self.age,
            "patience": self.patience, "distance": distance, "length": length, "log": self.log.to_values(),
        }  # fmt: skip
        return Checkpoint(SCALED, arrays, values, tuple(self.log.steps))

    def _run(self, stand: Stand, distance: float, length: float, tolerance: float, keeper: Keeper) -> Descent:
        while True:
            gap = relative_gap(distance, self.log.start, stand.seen.objective)
            self.log.note(
                stand.seen.objective, stand.seen.gradient_norm, length, gap, GapKind.ESTIMATED,
                exact=self.objective == self.true,
            )  # fmt: skip
            self.log.last = stand.point
            end = self._maybe_end(stand, distance, gap, tolerance)
            if end is not None:
                return end
            following, length = self._step(stand)
            if following is None:
                return self._polish(stand, tolerance)
            self.log.updates += 1
            self.drops.append(stand.seen.objective - following.seen.objective)
            before, distance = distance, self._distance(following)
            stand = following
            self.age += 1
            if self._slow(distance, before, tolerance, stand):
                self.patience = min(2 * self.patience, MOST_PATIENCE) if self.age <= self.patience else 1
                self.rebuild(stand.point)
                distance = self._distance(stand)
            here, left, step = stand, distance, length
            keeper.offer(lambda here=here, left=left, step=step: self.to_checkpoint(here, left, step))

    def _maybe_end(self, stand: Stand, distance: float, gap: float, tolerance: float) -> Descent | None:
        if self.log.spent:
            return Descent(stand.point, stand.seen.objective, gap, GapKind.ESTIMATED, gap <= tolerance)
        if self.objective != self.true:
            close = relative_gap(distance, self.log.start, stand.seen.objective) <= tolerance
            return Descent(stand.point, stand.seen.objective, gap, GapKind.ESTIMATED, True) if close else None
        if has_proof(self.true) or self.squared:
            native = distance if self.squared or self.objective.l2 == 0 else native_distance(stand, self.objective)
            if relative_gap(self.doubt * native, self.log.start, stand.seen.objective) <= tolerance:
                bound = self.certify(stand.point)
                if bound.gap(self.log.start) <= tolerance:
                    return self._proved(bound, tolerance)
                self.doubt = max(1.0, DOUBT * bound.distance / max(native, 1e-300))
                if distance <= self.noise * abs(stand.seen.objective):
                    return self._polish(stand, tolerance)
        elif gap <= 0.1 * tolerance:
            return Descent(stand.point, stand.seen.objective, gap, GapKind.ESTIMATED, True)
        return None

    @property
    def squared(self) -> bool:
        """True where the objective is one known quadratic."""
        return fits(self.examples, self.objective)

    def certify(self, point: Point) -> Bound:
        """Prove how far ``point`` is from the minimum: two float64 reads, and for squared loss the exact Hessian."""
        if self.squared and self.half is None:
            exact = self.moments
            if self.moments.sampled or self.examples.dtype != np.float64:
                exact = exact_moments(self.examples)
                self.log.passes += 1
            if exact.matrix is not None:
                self.half = half_inverse(exact.matrix, self.objective)
        self.log.passes += 2
        return certify(self.examples, self.objective, point, self.true, self.half)

    def _proved(self, bound: Bound, tolerance: float) -> Descent:
        gap = bound.gap(self.log.start)
        norm = math.sqrt(inner(bound.gradient, bound.gradient))
        self.log.note(bound.objective, norm, 1.0, gap, GapKind.CERTIFIED)
        return Descent(bound.point, bound.objective, gap, GapKind.CERTIFIED, gap <= tolerance)

    def _polish(self, stand: Stand, tolerance: float) -> Descent:
        """Step on the exact gradient while the distance keeps falling; then say what can be said."""
        bound = self.certify(stand.point)
        best, best_distance = bound, self._remaining(bound)
        for _ in range(POLISHES):
            if (
                self.objective != self.true
                or self.log.spent
                or (math.isfinite(best.lower) and best.gap(self.log.start) <= tolerance)
            ):
                break
            if self.objective.l1 > 0:
                target, _ = proximal_step(self.metric, best.point, best.gradient, self.objective)
            else:
                target = moved(best.point, self.memory.direction(best.gradient, self.metric), 1.0)
            bound = self.certify(target)
            self.log.updates += 1
            distance = self._remaining(bound)
            if not distance < 0.7 * best_distance:
                break
            best, best_distance = bound, distance
        if math.isfinite(best.lower):
            return self._proved(best, tolerance)
        gap = relative_gap(best_distance, self.log.start, best.objective)
        self.log.note(best.objective, math.sqrt(inner(best.gradient, best.gradient)), 1.0, gap, GapKind.ESTIMATED)
        return Descent(best.point, best.objective, gap, GapKind.ESTIMATED, gap <= tolerance)

    def _remaining(self, bound: Bound) -> float:
        if math.isfinite(bound.lower):
            return bound.distance
        if self.objective.l1 > 0:
            return max(proximal_step(self.metric, bound.point, bound.gradient, self.objective)[1], 0.0)
        return 0.5 * max(inner(bound.gradient, self.metric.solve(bound.gradient)), 0.0)

    def _step(self, stand: Stand) -> tuple[Stand | None, float]:
        """Return the next stand and the length of the step, or None where no step lowers F."""
        if self.objective.l1 > 0:
            target, decrease = proximal_step(self.metric, stand.point, stand.seen.gradient, self.objective)
            direction = moved(target, stand.point, -1.0)
            slope = -decrease
        else:
            direction = self.memory.direction(stand.seen.gradient, self.metric)
            slope = inner(stand.seen.gradient, direction)
            if slope >= 0:
                self.memory.forget()
                direction = self.memory.direction(stand.seen.gradient, self.metric)
                slope = inner(stand.seen.gradient, direction)
        if not slope < 0 or not math.isfinite(slope):
            return None, 0.0
        return self._search(stand, direction, slope)

    def _search(self, stand: Stand, direction: Point, slope: float) -> tuple[Stand | None, float]:
        """Shorten the step until it lowers F enough: by the parabola through what was seen, at least a tenth."""
        start = stand.seen.objective
        noise = self.noise * abs(start)
        length = 1.0
        for _ in range(HALVINGS):
            following = self.evaluate(moved(stand.point, direction, length))
            value = following.seen.objective
            along = inner(following.seen.gradient, direction) if math.isfinite(value) else math.inf
            lower = value <= start + ARMIJO * length * slope
            flat = abs(value - start) <= noise and abs(along) <= CURVATURE * abs(slope) and self.objective.l1 == 0
            if lower or flat:
                if self.objective.l1 == 0:
                    self.memory.remember(
                        moved(following.point, stand.point, -1.0),
                        moved(following.seen.gradient, stand.seen.gradient, -1.0),
                    )
                return following, length
            if self.log.spent or length * abs(slope) < 0.1 * noise:
                break
            rise = value - start - length * slope
            best = -0.5 * slope * length**2 / rise if math.isfinite(rise) and rise > 0 else 0.1 * length
            length = min(max(best, 0.1 * length), 0.5 * length)
        return None, 0.0

    def _slow(self, distance: float, before: float, tolerance: float, stand: Stand) -> bool:
        """Say whether a new Hessian would save more passes than it costs, by counted operations."""
        if self.squared or self.moments.matrix is None or self.age < self.patience or not before > 0:
            return False
        if self.objective.softmax and self.metric.joint is None:
            return False  # blocks of single classes miss what couples them: L-BFGS learns more from the steps
        share = distance / before
        if share <= SLOW or self.log.spent:
            return False
        proof = has_proof(self.true) and self.objective.l2 > 0
        left = native_distance(stand, self.objective) if proof else 10 * distance
        wanted = tolerance * max(self.log.start - stand.seen.objective, 1e-300)
        passes = math.log(max(left / max(wanted, 1e-300), 1.0)) / -math.log(min(share, 0.95))
        rows = self.moments.sampled or self.examples.rows
        dense, outputs = self.examples.numbers, self.objective.outputs
        written = dense + self.examples.categories + self.examples.entries / self.examples.rows
        cells = self.examples.rows * written * outputs
        size = self.examples.features + 1
        matrices = outputs * (outputs + 1) // 2 if joins(self.objective, self.examples.features) else outputs
        products = SCATTERED * written**2 if self.examples.sparse else dense * dense
        cost = matrices * (rows * products + size**3 / 3) / PRODUCTS_PER_SECOND
        return passes * cells / CELLS_PER_SECOND > 1.5 * cost

    def rebuild(self, point: Point, *, majorant: bool = False) -> None:
        """Measure the Hessian again, where the steps have come to, or a majorant of it, for a loss of one output."""
        if majorant:
            bent = bent_moments(self.examples, self.objective, point, self.moments, self.seed, majorant=True)
            self.metric = weighted_metric(bent, self.objective)
        else:
            self.metric = metric_at(self.examples, self.objective, point, self.moments, self.seed)
        self.log.passes += (self.moments.sampled or self.examples.rows) / self.examples.rows
        self.memory.forget()
        self.age = 0


def metric_at(examples: Source, objective: Objective, point: Point, moments: Moments, seed: int) -> Metric:
    """Return the Hessian at a point as a metric, over all outputs at once where a softmax couples few of them."""
    if joins(objective, examples.features):
        return joint_metric(joint_moments(examples, objective, point, moments, seed), objective)
    return weighted_metric(bent_moments(examples, objective, point, moments, seed), objective)


ROUNDINGS = 12
"""Times the rounded corner is narrowed."""
NARROWING = 0.15


def descend_cornered(
    examples: Source, true: Objective, moments: Moments, log: Logbook, seed: int, start: Point, width: float,
    tolerance: float,
) -> Descent:  # fmt: skip
    """Minimise a loss with a corner through rounded stand-ins of falling width, each from where the last ended.

    width: that of the first, in units of the residual. The slopes of a stand-in are feasible in the dual of
    the true loss, so its minimum certifies the true gap (Nesterov 2005).
    """
    point = start
    best: Descent | None = None
    for _ in range(ROUNDINGS):
        rounded = replace(true, loss=true.loss.rounded(width))
        metric = metric_at(examples, rounded, point, moments, seed)
        work = ScaledDescent(examples, rounded, true, moments, metric, log, seed)
        ended = work.run(work.evaluate(point), 0.2 * tolerance)
        bound = work.certify(ended.point)
        gap = (
            bound.gap(log.start)
            if math.isfinite(bound.lower)
            else relative_gap(max(bound.objective - ended.objective, 0.0), log.start, bound.objective)
        )
        kind = GapKind.CERTIFIED if math.isfinite(bound.lower) else GapKind.ESTIMATED
        log.note(bound.objective, math.sqrt(inner(bound.gradient, bound.gradient)), 1.0, gap, kind)
        if best is None or bound.objective <= best.objective or gap < best.gap:
            best = Descent(bound.point, bound.objective, gap, kind, gap <= tolerance)
        point = bound.point
        if gap <= tolerance or log.spent:
            break
        width *= NARROWING
    return best if best is not None else Descent(start, math.inf, math.nan, GapKind.NONE, False)
