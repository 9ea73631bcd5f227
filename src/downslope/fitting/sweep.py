"""The map of learning rates by batch sizes: every cell a lane, all of them fed by one read of each batch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from downslope.choices.curvature import mean_bend, measure_moments, shape_of
from downslope.choices.start import constant_start
from downslope.data.batches import order
from downslope.engines.racing import EXPLODED, Lanes, standardised
from downslope.errors import OptionError
from downslope.fitting.fit import Ready, Tell, make_ready, spec_of
from downslope.models.linear import Objective
from downslope.records import Spec, Verdict
from downslope.records.comparison import SweepCell, SweepResult, Zone
from downslope.steps import rule_number, schedule
from downslope.training import train
from downslope.training.loop import pose
from downslope.types import Vector

PASSES = 3
RATES = 12
"""Rates a factor of four apart, from eight times the stability limit down."""
RATIO = 4.0
SIZES = (8, 32, 128, 512)
SWEET = 0.95
"""Share of the best cell's drop that a cell must reach to be in the sweet spot."""
MINIMUM_TOLERANCE = 1e-9


def sweep(
    source: object, target: str | None = None, *, spec: Spec | None = None,
    learning_rates: Sequence[float] | None = None, batch_sizes: Sequence[int] | None = None,
    tell: Tell | None = None, **settings: Any,
) -> SweepResult:  # fmt: skip
    """Train every pair of learning rate and batch size for a few passes, and say which are too slow or diverge.

    learning_rates: default around the stability limit. batch_sizes: default 8 to 512; each must be a multiple
    of the smallest, whose batches the larger ones gather. Other arguments and errors are those of ``fit``.
    """
    began = time.perf_counter()
    asked = spec_of(source, target, spec, settings)
    ready = make_ready(source, asked, tell)
    passes = PASSES if isinstance(asked.epochs, str) else max(1, math.ceil(asked.epochs))
    plan = ready.prepared.plan
    exact = train(
        ready.examples, replace(_plain(asked), tolerance=MINIMUM_TOLERANCE), ready.prepared.loss, ready.outputs,
        origin=(plan.center, plan.scale),
    )  # fmt: skip
    posed = pose(ready.examples, replace(asked, l2=exact.resolved["l2"]), ready.prepared.loss, ready.outputs)
    limit = _stability_limit(ready, posed.objective, asked.seed)
    rates = np.sort(np.array(learning_rates or 8.0 * limit / RATIO ** np.arange(RATES), dtype=np.float64))
    sizes = _sizes(batch_sizes, ready.examples.rows)
    reached = _run(ready, posed.objective, asked, rates, sizes, passes, exact.objective_at_start)
    drop = exact.objective_at_start - exact.objective
    cells = _cells(rates, sizes, reached, exact.objective, exact.objective_at_start, drop)
    good = [each for each in cells if each.verdict is not Verdict.DIVERGED]
    return SweepResult(
        asked.source or "the table", asked.target, ready.examples.rows, ready.examples.features,
        ready.prepared.loss, "plain" if asked.rule == "auto" else asked.rule, float(passes),
        exact.objective_at_start, exact.objective, exact.gap_kind, limit, tuple(rates.tolist()), sizes, cells,
        min(good, key=lambda each: each.gap) if good else None, time.perf_counter() - began,
    )  # fmt: skip


def _plain(spec: Spec) -> Spec:
    return replace(
        spec, method="auto", rule="auto", learning_rate="auto", batch_size="auto", schedule="auto", epochs="auto",
        warmup=0.0,
    )  # fmt: skip


def _sizes(asked: Sequence[int] | None, rows: int) -> tuple[int, ...]:
    sizes = sorted({int(each) for each in asked or [each for each in SIZES if each <= rows] or [rows]})
    for size in sizes:
        if size < 1 or size % sizes[0]:
            message = f"batch-sizes must be whole multiples of the smallest, {sizes[0]}; {size} is not"
            raise OptionError(message)
    return tuple(sizes)


def _stability_limit(ready: Ready, objective: Objective, seed: int) -> float:
    examples = ready.examples
    first = constant_start(examples, objective)
    rounded = objective
    if objective.loss.cornered:
        spread = float(np.abs(examples.target - first.intercept[0]).mean()) or 1.0
        rounded = replace(objective, loss=objective.loss.rounded(1.0 if objective.loss.classifies else spread))
    bend = float(max(mean_bend(examples, rounded, first).max(), 1e-6))
    moments = measure_moments(examples, None, seed)
    return shape_of(examples, objective, moments, bend, examples.center, examples.scale).stability_limit


def _run(
    ready: Ready, objective: Objective, spec: Spec, rates: Vector, sizes: tuple[int, ...], passes: int, start: float
) -> dict[tuple[float, int], float]:
    """Return F reached by every (rate, size): lanes over all of them, batches of the smallest size."""
    examples = standardised(ready.examples)
    base = sizes[0]
    every = np.repeat(np.array(sizes) // base, rates.size)
    lanes = Lanes.start(
        examples, objective, np.tile(rates, len(sizes)), rule_number("plain" if spec.rule == "auto" else spec.rule),
        spec.momentum, every, EXPLODED * max(start, 1e-300),
    )  # fmt: skip
    count = -(-examples.rows // base)
    name = "cosine" if spec.schedule == "auto" else spec.schedule
    for epoch in range(passes):
        share = schedule(name, np.arange(count, dtype=np.float64) + epoch * count, passes * count, spec.warmup)
        lanes.epoch(examples, objective, order(examples.rows, spec.seed, epoch), base, share, epoch)
    reached = lanes.objectives(examples, objective)
    keys = [(float(rate), size) for size in sizes for rate in rates]
    return dict(zip(keys, reached.tolist(), strict=True))


def _cells(
    rates: Vector, sizes: tuple[int, ...], reached: dict[tuple[float, int], float], minimum: float, start: float,
    drop: float,
) -> tuple[SweepCell, ...]:  # fmt: skip
    cells: list[SweepCell] = []
    for size in sizes:
        row = [reached[float(rate), size] for rate in rates]
        best = int(np.argmin(row))
        for index, rate in enumerate(rates):
            value = row[index]
            lost = not math.isfinite(value) or value > start
            sweet = not lost and start - value >= SWEET * (start - row[best])
            zone = Zone.SWEET_SPOT if sweet else (Zone.DIVERGED if index > best or lost else Zone.TOO_SLOW)
            gap = max((value - minimum) / drop, 0.0) if drop > 0 else 0.0
            verdict = Verdict.DIVERGED if lost else Verdict.BUDGET
            cells.append(SweepCell(float(rate), size, value, gap, verdict, zone))
    return tuple(cells)
