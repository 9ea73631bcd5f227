"""Descent by scaled steps on a small function, where the whole inverse Hessian is at hand."""

from __future__ import annotations

import math
import time

import numpy as np

from downslope.engines.network.newton import Bowl
from downslope.engines.network.problems import FunctionProblem
from downslope.records import Spec, StepRecord, Verdict
from downslope.records.figures import figure, plural
from downslope.training.checkpoint import Checkpoint, Keeper
from downslope.training.logbook import Watch
from downslope.training.network.functions import Descent, check_start
from downslope.types import Vector
from downslope.words import NOTHING, Sentence, say

UPDATES = 200
"""Most updates where none are named; a bowl takes one, and a bent valley some twenty."""
FIRST_DAMPING, STRONGER, WEAKER = 1e-3, 10.0, 0.1
"""Damping after a step that had to be shortened, as a share of the largest curvature, and how it changes."""
CURVES_DOWN = 1e-6
"""A direction curves down where its curvature is this share of the largest, below zero."""
ROUNDING = 4 * float(np.finfo(np.float64).eps)
"""A drop that is this share of the value cannot be told from rounding."""
KIND = "function, scaled"
"""What the checkpoints of scaled steps call themselves."""


class ScaledDescent:
    """Goes down by scaled steps; see ``engines.network.newton``."""

    def __init__(
        self, problem: FunctionProblem, spec: Spec, updates: int | None, watch: Watch | None,
        keeper: Keeper | None = None,
    ) -> None:  # fmt: skip
        """Place the descent at its start, or where the keeper's checkpoint stands; raises RunError for another's."""
        self.problem, self.spec, self.watch = problem, spec, watch
        self.most = UPDATES if updates is None else updates
        self.flat = problem.flat(exact_hessian=False)
        self.point: Vector = problem.flat_start
        self.bowl: Bowl = self.flat.bowl(self.point)
        self.start_norm = self.bowl.norm
        self.damping = 0.0
        self.updates = 0
        self.steps: list[StepRecord] = []
        self._earlier, self._began = 0.0, time.perf_counter()
        self.start_value = self.bowl.value
        self.keeper = keeper or Keeper()
        begin = self.keeper.taken_up(KIND)
        if begin is not None:
            self._restore(begin)

    def to_checkpoint(self) -> Checkpoint:
        """Return the whole state, between two steps; the bowl at the point is found anew."""
        told = {
            "updates": self.updates, "damping": self.damping, "start": self.start_value,
            "log": {"updates": self.updates, "seconds": self.seconds},
        }  # fmt: skip
        return Checkpoint(KIND, {"point": self.point}, told, tuple(self.steps))

    def _restore(self, begin: Checkpoint) -> None:
        told = begin.values
        check_start(self.keeper, begin, self.start_value, self.problem.double)
        self.point = self.keeper.fitting({"point": self.point})["point"]
        self.updates, self.damping, self._earlier = told["updates"], told["damping"], told["log"]["seconds"]
        self.steps, self.bowl = list(begin.steps), self.flat.bowl(self.point)

    @property
    def seconds(self) -> float:
        """Seconds of descent so far, earlier sittings included."""
        return self._earlier + time.perf_counter() - self._began

    def run(self) -> Descent:
        """Descend until the slope, or what is left to gain, is nothing; a KeyboardInterrupt ends it."""
        if not self.steps:
            self._note(math.nan)
        try:
            verdict, message = self._judged()
            while not message:
                self.keeper.offer(self.to_checkpoint)
                verdict, message = self._step()
        except KeyboardInterrupt:
            verdict, message = (
                Verdict.STOPPED,
                say("stopped by hand after {updates}", updates=plural(self.updates, "update")),
            )
        passes = float(self.updates) if self.problem.rows else 0.0
        weights = self.problem.unflatten(self.point)
        return Descent(weights, verdict, message, self.updates, passes, tuple(self.steps), (), math.nan, self.seconds)

    def _step(self) -> tuple[Verdict, Sentence]:
        """Take one step; return how the descent ended, with an empty sentence while it goes on."""
        step = self.bowl.step(self.damping)
        share, _ = self.flat.shortened(self.point, self.bowl, step)
        if share == 0.0:
            gap = figure(self.bowl.gap())
            return Verdict.CONVERGED, say(
                "converged to rounding: no step is lower, and the bowl here promises {gap}", gap=gap
            )
        largest = float(np.abs(self.bowl.bends).max())
        if share < 1.0:
            self.damping = max(self.damping * STRONGER, FIRST_DAMPING * largest)
        else:
            self.damping = 0.0 if self.damping < ROUNDING * largest else self.damping * WEAKER
        return self._moved(self.point - share * step, share)

    def _moved(self, point: Vector, share: float) -> tuple[Verdict, Sentence]:
        self.point, self.updates = point, self.updates + 1
        self.bowl = self.flat.bowl(point)
        self._note(share)
        return self._judged()

    def _judged(self) -> tuple[Verdict, Sentence]:
        bowl, work = self.bowl, say("after {updates}", updates=plural(self.updates, "update"))
        if not bowl.finite:
            return Verdict.DIVERGED, say("diverged: a slope or a curvature is not a number {work}", work=work)
        small = bowl.norm <= self.spec.tolerance * self.start_norm
        if small or bowl.gap() <= ROUNDING * abs(bowl.value):
            lower = self._escaped() if self.updates < self.most else None
            if lower is not None:
                return self._moved(lower, 1.0)
            ratio = figure(bowl.norm / self.start_norm) if self.start_norm else "0"
            return Verdict.CONVERGED, say(
                "converged: the gradient has shrunk to {ratio} of that at the start {work}", ratio=ratio, work=work
            )
        if self.updates >= self.most:
            return Verdict.BUDGET, say(
                "all the planned work is done: {updates}", updates=plural(self.updates, "update")
            )
        if self.seconds >= (self.spec.max_seconds or math.inf):
            return Verdict.BUDGET, say("max-seconds is reached {work}", work=work)
        return Verdict.BUDGET, NOTHING

    def _escaped(self) -> Vector | None:
        """Return a point lower than a saddle, along the direction that curves down; None at a minimum."""
        bends = self.bowl.bends
        falling = bends.size > 0 and bends[0] < -CURVES_DOWN * max(float(np.abs(bends).max()), 1e-300)
        return self.flat.escape(self.point, self.bowl) if falling else None

    def _note(self, share: float) -> None:
        passes = float(self.updates) if self.problem.rows else 0.0
        record = StepRecord(self.updates, passes, self.seconds, self.bowl.value, self.bowl.norm, share)
        self.steps.append(record)
        if self.watch is not None:
            self.watch(record)
