"""The log of one descent: what every method reports to, and what tells it to stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from downslope.models.linear import Point
from downslope.records import Choice, Curvature, GapKind, StepRecord, Verdict
from downslope.types import JsonValue
from downslope.words import NOTHING, Sentence

Watch = Callable[[StepRecord], None]

DIVERGED = 10.0
"""F this many times the start is divergence; below that a long first step may still recover."""
RISING = 5
"""Updates in a row, each above the start and above the one before, that are divergence."""


@dataclass
class Logbook:
    """Collects the steps of one descent. The only mutable thing in a training, made anew for each.

    start: F at zero weights. tolerance: the gap to reach. most_passes, most_seconds: the budget. last: the
    last good point, kept for a descent that is stopped by hand. counts_updates: the budget is not in passes.
    planned: all the updates that were planned are made. earlier: seconds before the run was taken up again.
    """

    start: float
    tolerance: float
    most_passes: float
    most_seconds: float
    watch: Watch | None = None
    steps: list[StepRecord] = field(default_factory=list[StepRecord])
    passes: float = 0.0
    updates: int = 0
    last: Point | None = None
    counts_updates: bool = False
    planned: bool = False
    earlier: float = 0.0
    _began: float = field(default_factory=time.perf_counter)
    _rising: int = 0

    @property
    def seconds(self) -> float:
        """Seconds of descent so far."""
        return self.earlier + time.perf_counter() - self._began

    @property
    def spent(self) -> bool:
        """True once the budget is used up; passes for the record are no part of a budget counted in updates."""
        passes = not self.counts_updates and self.passes >= self.most_passes
        return self.planned or passes or self.seconds >= self.most_seconds

    def note(
        self, objective: float, gradient_norm: float, rate: float, gap: float = math.nan,
        kind: GapKind = GapKind.NONE, exact: bool = True,
    ) -> StepRecord:  # fmt: skip
        """Record where the descent stands, and tell whoever watches."""
        record = StepRecord(
            self.updates, self.passes, self.seconds, objective, gradient_norm, rate, gap,
            kind if math.isfinite(gap) else GapKind.NONE, exact,
        )  # fmt: skip
        self.steps.append(record)
        if self.watch is not None:
            self.watch(record)
        return record

    def diverging(self, objective: float) -> bool:
        """Say whether F, seen after an update, shows divergence."""
        if not math.isfinite(objective) or objective > DIVERGED * max(self.start, 1e-300):
            return True
        last = self.steps[-1].objective if self.steps else self.start
        self._rising = self._rising + 1 if objective > last and objective > self.start else 0
        return self._rising >= RISING

    def to_values(self) -> dict[str, JsonValue]:
        """Return all but the steps as JSON, for a checkpoint."""
        return {"passes": self.passes, "updates": self.updates, "seconds": self.seconds, "rising": self._rising}

    def restore(self, values: Mapping[str, JsonValue], steps: tuple[StepRecord, ...], last: Point | None) -> None:
        """Go on from what ``to_values`` gave; last: the last good point."""
        self.passes, self.updates, self.earlier = values["passes"], values["updates"], values["seconds"]
        self._rising, self._began = values["rising"], time.perf_counter()
        self.steps, self.last = list(steps), last


@dataclass(frozen=True)
class Descent:
    """Where a method came to.

    gap, kind: how far that is from the minimum. done: the tolerance was reached. predicted: passes that would
    still be needed, where the method can tell; sure: from the curvature, so about right, and not the least.
    """

    point: Point
    objective: float
    gap: float
    kind: GapKind
    done: bool
    failed: bool = False
    message: Sentence = NOTHING
    predicted: float = math.nan
    sure: bool = False


@dataclass(frozen=True)
class Training:
    """What a descent came to; ``fitting`` makes a Run of it, ``estimators`` keep its point.

    message: the verdict in one sentence. gap_kind: how far the gap can be trusted. resolved: what each
    ``auto`` became. seconds: choose, descend. predicted_passes: still needed, nan where unknown or none.
    """

    point: Point
    verdict: Verdict
    message: Sentence
    objective_at_start: float
    objective: float
    gap: float
    gap_kind: GapKind
    passes: float
    updates: int
    steps: tuple[StepRecord, ...]
    choices: tuple[Choice, ...]
    resolved: Mapping[str, JsonValue]
    curvature: Curvature
    seconds: Mapping[str, float]
    predicted_passes: float = math.nan


TAIL = 0.75
"""The share of the passes after which the recorded gaps tell the pace: early on the steep directions set it."""


def passes_still_needed(steps: list[StepRecord], gap: float, tolerance: float) -> float:
    """Predict the passes until ``tolerance`` from the gaps recorded over the last quarter of the run.

    The gap is taken to go on shrinking by a constant factor a pass, found by least squares on its logarithm. On a
    bowl the pace can only slow down, so this is the least that will be needed; nan where the record shows no fall.
    """
    known = [each for each in steps if each.gap > 0 and math.isfinite(each.gap)]
    if not known or not 0 < tolerance < gap:
        return math.nan
    first, last = known[0].passes, known[-1].passes
    tail = [each for each in known if each.passes >= first + TAIL * (last - first)]
    if len(tail) < 3:
        tail = known[-3:]
    if len(tail) < 3 or tail[-1].passes <= tail[0].passes:
        return math.nan
    passes = [each.passes for each in tail]
    logs = [math.log(each.gap) for each in tail]
    middle, level = sum(passes) / len(tail), sum(logs) / len(tail)
    slope = sum((each - middle) * (log - level) for each, log in zip(passes, logs, strict=True))
    slope /= sum((each - middle) ** 2 for each in passes)
    return math.ceil(math.log(tolerance / gap) / slope) if slope < 0 else math.nan
