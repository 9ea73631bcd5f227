"""What a descent by plain steps is judged by: how far the minimum still is at a point, and the proof of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.certificate import certify, has_proof, relative_gap
from downslope.choices.curvature import Moments
from downslope.data.blocks import Source
from downslope.engines import linear as engine
from downslope.engines.linear import Evaluation
from downslope.models.linear import Objective, Point
from downslope.records import GapKind, Spec
from downslope.training.checkpoint import Arrays, metric_arrays, metric_of
from downslope.training.logbook import Descent, Logbook
from downslope.training.metric import Metric, inner
from downslope.training.proximal import proximal_step
from downslope.training.scaled import ScaledDescent, Stand, metric_at, native_distance

REFRESHED = frozenset(4**power for power in range(2, 16))
"""Looks at which the Hessian that gaps are estimated with is measured anew: seldom, and ever more so."""


class Judge:
    """Judges the points of one descent."""

    def __init__(
        self, examples: Source, objective: Objective, moments: Moments, metric: Metric, log: Logbook, spec: Spec
    ) -> None:
        """Take what is minimised, and the Hessian at the start."""
        self.examples, self.objective, self.moments = examples, objective, moments
        self.log, self.tolerance, self.seed = log, spec.tolerance, spec.seed
        self.work = ScaledDescent(examples, objective, objective, moments, metric, log, spec.seed)

    @property
    def metric(self) -> Metric:
        """The Hessian measured last."""
        return self.work.metric

    @property
    def exact(self) -> bool:
        """True where the Hessian is the same everywhere, so that distances are exact and prove themselves."""
        return self.work.squared

    def refresh(self, point: Point) -> None:
        """Measure the Hessian at a point; a squared loss needs it but once, and a corner has none."""
        if self.exact or self.objective.loss.cornered or self.moments.matrix is None:
            return
        self.work.metric = metric_at(self.examples, self.objective, point, self.moments, self.seed)
        self.log.passes += (self.moments.sampled or self.examples.rows) / self.examples.rows

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was measured on the way, for a checkpoint."""
        half = {} if self.work.half is None else {"judge.half": self.work.half}
        return metric_arrays("judge.metric", self.metric) | half

    def restore(self, arrays: Arrays) -> None:
        """Go on with what ``arrays`` gave."""
        self.work.metric = metric_of("judge.metric", arrays, self.metric.intercept)
        half = arrays.get("judge.half")
        self.work.half = None if half is None else np.array(half)

    def gap(self, point: Point, seen: Evaluation) -> float:
        """Return the gap at a point, estimated with the Hessian measured last."""
        if self.objective.l1 > 0:
            distance = max(proximal_step(self.metric, point, seen.gradient, self.objective)[1], 0.0)
        else:
            distance = 0.5 * max(inner(seen.gradient, self.metric.solve(seen.gradient)), 0.0)
        return relative_gap(distance, self.log.start, seen.objective)

    def gap_to_prove(self, point: Point, seen: Evaluation, gap: float) -> float:
        """Return the larger of the gap and of the bound that a proof would give, as far as one pass can see it."""
        if self.exact or self.objective.l2 == 0:
            return gap
        distance = native_distance(Stand(point, seen), self.objective)
        return max(gap, relative_gap(distance, self.log.start, seen.objective))

    def proof(self, point: Point, rate: float) -> Descent | None:
        """Return the end of the descent if the gap is proved; where no proof is to be had, the estimate stands."""
        if not (has_proof(self.objective) or self.exact):
            seen = engine.evaluate(self.examples, self.objective, point)
            gap = self.gap(point, seen)
            ended = Descent(point, seen.objective, gap, GapKind.ESTIMATED, True)
            return ended if gap <= self.tolerance else None
        bound = self.work.certify(point) if self.exact else certify(self.examples, self.objective, point)
        gap = bound.gap(self.log.start)
        if not gap <= self.tolerance:
            return None
        self.log.note(bound.objective, math.sqrt(inner(bound.gradient, bound.gradient)), rate, gap, GapKind.CERTIFIED)
        return Descent(bound.point, bound.objective, gap, GapKind.CERTIFIED, True)
