"""The textbook's claim on one's own data: full batch, stochastic, mini-batch and scaled from the same start."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from downslope.data.batches import order
from downslope.data.blocks import Examples
from downslope.engines import linear as engine
from downslope.engines.racing import standardised
from downslope.fitting.fit import Ready, Tell, make_ready, spec_of
from downslope.models.linear import Objective, Point
from downslope.records import Spec, Verdict
from downslope.records.comparison import RaceEntry, RaceResult, Reached
from downslope.steps import rule_number
from downslope.training import Training, train
from downslope.training.loop import pose
from downslope.training.mini_batch import Course, trainer_of

PASSES = 5
"""Passes that each method of a race is given, unless ``epochs`` says otherwise."""
SEEDS = 5
MINIMUM_TOLERANCE = 1e-9
"""Gap at which the minimum that the race is measured against is known."""
GRID = (1, 2, 5)
"""Checkpoints stand at these numbers times powers of ten."""


@dataclass(frozen=True)
class Mark:
    """Where one training stood: updates and examples so far, seconds of descent, F."""

    updates: int
    examples: float
    seconds: float
    objective: float


def race(
    source: object, target: str | None = None, *, spec: Spec | None = None, seeds: int = SEEDS,
    tell: Tell | None = None, **settings: Any,
) -> RaceResult:  # fmt: skip
    """Run every method on the same examples from zero weights and compare the gaps they reach.

    At equal updates, equal examples and equal seconds; the stochastic methods run ``seeds`` times in
    different orders. Learning rates and batch sizes are chosen as ``fit`` does; the seconds are of the descent
    alone. Arguments and errors are those of ``fit``.
    """
    began = time.perf_counter()
    asked = spec_of(source, target, spec, settings)
    ready = make_ready(source, asked, tell)
    passes = PASSES if isinstance(asked.epochs, str) else max(1, math.ceil(asked.epochs))
    common = replace(asked, epochs=passes, method="auto", batch_size="auto", learning_rate="auto", rule="auto",
                     schedule="auto", warmup=0.0)  # fmt: skip
    exact = _train(ready, replace(common, tolerance=MINIMUM_TOLERANCE, epochs="auto"))
    objective = pose(ready.examples, replace(common, l2=exact.resolved["l2"]), ready.prepared.loss, ready.outputs)
    drop = exact.objective_at_start - exact.objective
    traces: dict[str, list[list[Mark]]] = {}
    endings: dict[str, Training] = {}
    for method in ("full-batch", "stochastic", "mini-batch", "scaled"):
        if tell is not None:
            tell("method", method)
        wanted = replace(common, method=method, batch_size=asked.batch_size if method == "mini-batch" else "auto",
                         tolerance=MINIMUM_TOLERANCE)  # fmt: skip
        ended = _train(ready, wanted)
        endings[method] = ended
        traces[method] = _traces(ready, objective.objective, ended, asked, passes, seeds)
    entries = tuple(
        _entry(method, endings[method], traces, exact.objective, drop, ready.examples.rows, passes) for method in traces
    )
    return RaceResult(
        asked.source or "the table", asked.target, ready.examples.rows, ready.examples.features,
        ready.prepared.loss, exact.objective_at_start, exact.objective, exact.gap_kind, entries,
        time.perf_counter() - began,
    )  # fmt: skip


def _train(ready: Ready, spec: Spec) -> Training:
    plan = ready.prepared.plan
    return train(ready.examples, spec, ready.prepared.loss, ready.outputs, origin=(plan.center, plan.scale))


def _traces(
    ready: Ready, objective: Objective, ended: Training, spec: Spec, passes: int, seeds: int
) -> list[list[Mark]]:
    method = str(ended.resolved["method"])
    rows = ready.examples.rows
    if method in ("full-batch", "scaled"):
        return [[
            Mark(each.update, each.passes * rows, each.seconds, each.objective) for each in ended.steps if each.exact
        ]]  # fmt: skip
    examples = standardised(ready.examples)
    course = Course(
        examples, objective, int(ended.resolved["batch_size"]), rule_number(str(ended.resolved["rule"])),
        spec.momentum, passes, str(ended.resolved["schedule"]), 0.0, False, spec.seed,
    )  # fmt: skip
    rate, start = float(ended.resolved["learning_rate"]), ended.objective_at_start
    return [_trace(replace(course, seed=spec.seed + each), rate, start) for each in range(seeds)]


def checkpoints(most: int) -> list[int]:
    """Return 1, 2, 5, 10, 20, 50 ... up to ``most``, and ``most`` itself."""
    marks = [each * 10**power for power in range(len(str(most))) for each in GRID if each * 10**power < most]
    return [*marks, most]


def _trace(course: Course, rate: float, start: float) -> list[Mark]:
    """Run one order of the examples, and look at F at the checkpoints; looking takes no time of the race."""
    trainer = trainer_of(course, rate, start, Point.zeros(course.examples.features, course.objective.outputs))
    stops = set(checkpoints(course.epochs * course.updates_an_epoch))
    rows = course.examples.rows
    marks = [Mark(0, 0.0, 0.0, start)]
    seconds = 0.0
    for epoch in range(course.epochs):
        began = time.perf_counter()
        drawn = order(rows, course.seed, epoch)
        seconds += time.perf_counter() - began
        first = epoch * course.updates_an_epoch
        edges = sorted({0, course.updates_an_epoch} | {
            stop - first for stop in stops if first < stop < first + course.updates_an_epoch
        })  # fmt: skip
        for begin, end in pairwise(edges):
            began = time.perf_counter()
            _, whole = trainer.advance(drawn, begin * course.batch, min(end * course.batch, rows))
            seconds += time.perf_counter() - began
            value = _value(course.examples, course.objective, trainer.point()) if whole else math.inf
            seen = epoch * rows + min(end * course.batch, rows)
            marks.append(Mark(first + end, float(seen), seconds, value))
            if not whole:
                return marks
    return marks


def _value(examples: Examples, objective: Objective, point: Point) -> float:
    value = engine.evaluate(examples, objective, point).objective if point.finite else math.inf
    return value if math.isfinite(value) else math.inf


def _entry(
    method: str, ended: Training, traces: dict[str, list[list[Mark]]], minimum: float, drop: float, rows: int,
    passes: int,
) -> RaceEntry:  # fmt: skip
    own = traces[method]
    last = [trace[-1] for trace in own]
    most = max(trace[-1].updates for each in traces.values() for trace in each)
    updates = [float(each) for each in checkpoints(most)]
    examples = [rows / 10.0, rows / 2.0, *(float(rows * each) for each in range(1, passes + 1))]
    longest = max(trace[-1].seconds for each in traces.values() for trace in each)
    seconds = [longest / 2**power for power in range(7, -1, -1)]

    def reached(budgets: Sequence[float], name: str) -> tuple[Reached, ...]:
        return tuple(_reached(own, budget, name, minimum, drop) for budget in budgets)

    gap = float(np.mean([(each.objective - minimum) / drop for each in last])) if drop > 0 else 0.0
    failed = any(not math.isfinite(each.objective) for each in last)
    return RaceEntry(
        method, float(ended.resolved["learning_rate"]), int(ended.resolved["batch_size"]), len(own),
        Verdict.DIVERGED if failed else ended.verdict, ended.message, max(gap, 0.0),
        max(each.updates for each in last), max(each.examples for each in last) / rows,
        float(np.median([each.seconds for each in last])),
        reached(updates, "updates"), reached(examples, "examples"), reached(seconds, "seconds"),
    )  # fmt: skip


def _reached(traces: list[list[Mark]], budget: float, name: str, minimum: float, drop: float) -> Reached:
    """Return the gap where the budget was spent: the last look within it; a finished descent stays where it is."""
    gaps: list[float] = []
    for trace in traces:
        within = [each for each in trace if getattr(each, name) <= budget * (1 + 1e-9) and getattr(each, name) > 0]
        if not within:
            return Reached(budget, math.nan)
        gaps.append(max((within[-1].objective - minimum) / drop, 0.0) if drop > 0 else 0.0)
    scatter = float(np.std(gaps)) if len(gaps) > 1 and np.isfinite(gaps).all() else math.nan
    return Reached(budget, float(np.mean(gaps)), scatter)
