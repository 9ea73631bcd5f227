"""The map of learning rates by batch sizes: every cell a lane, all of them fed by one read of each batch."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from downslope.choices.curvature import mean_bend, measure_moments, shape_of
from downslope.choices.start import constant_start
from downslope.cluster.tasks import spread
from downslope.data.batches import order
from downslope.engines.racing import EXPLODED, Lanes, standardised
from downslope.errors import OptionError
from downslope.fitting.axes import number_axis, start_axis
from downslope.fitting.cluster import check_files
from downslope.fitting.network_task import learns_network, with_target
from downslope.fitting.ready import Ready, Tell, make_ready, spec_of
from downslope.fitting.sweep_network import Axes, sweep_network
from downslope.models.linear import Objective
from downslope.records import Spec, Verdict
from downslope.records.comparison import NetworkSweep, SweepCell, SweepResult, Zone
from downslope.steps import rule_number, schedule
from downslope.training import train
from downslope.training.divergence import BY_SIZE
from downslope.training.loop import pose
from downslope.types import Vector

PASSES = 3
RATES = 12
RATIO = 4.0
"""Twelve rates a factor of four apart: from far too large to far too small for every batch size."""
ABOVE = 32.0
"""The highest rate in units of the stability limit. Losses whose slope is bounded bear a rate well above it."""
HIGHEST = 8.0
"""The highest rate of a rule that divides gradients by their own size, in standard units."""
SIZES = (8, 32, 128, 512)
FAR = 10.0
"""A cell whose gap is more than this many times the smallest of the map is not in the sweet spot."""
MINIMUM_TOLERANCE = 1e-9
UNUSED = ("method", "average")
"""Settings that a sweep has no use for."""


Cells: TypeAlias = dict[tuple[float, int], float]
"""A number for each (learning rate, batch size)."""


def sweep(
    source: object, target: object = None, *, spec: Spec | None = None,
    learning_rates: Sequence[float] | None = None, batch_sizes: Sequence[int] | None = None,
    starts: Sequence[str] | None = None, seeds: int | None = None, tell: Tell | None = None, **settings: Any,
) -> SweepResult | NetworkSweep:  # fmt: skip
    """Train every pair of learning rate and batch size for a few passes, and say which are too slow or diverge.

    learning_rates: default far below to far above the stability limit. batch_sizes: default 8 to 512; each must be
    a multiple of the smallest, whose batches the larger ones gather. A ``learning_rate`` or ``batch_size`` among
    the settings is a list of one. The rate is constant unless ``schedule`` says otherwise, so that a rate too
    large shows. Other arguments and errors are those of ``fit``, and OptionError for a setting without a use here.

    With a ``model`` such as ``mlp:64``, or with images, the cells are networks, and the result is a ``NetworkSweep``.
    learning_rates: default those that a fit races, and a decade more either way. batch_sizes: any, default three that
    suit the rows. starts: default the ``start`` of the settings. seeds: how many trainings each cell is, default 3, or
    1 with convolutions; each seed draws starting weights, an order of the examples and dropout of its own, and
    leaves the held-out rows as they are. When a seventh and three sevenths of the passes are done, the worse half of
    the cells of each batch size is dropped, by the mean of their held-out loss over all seeds (training loss
    where nothing is held out). Raises OptionError where the trainings would not fit in memory.

    With a ``cluster`` every worker reads the source by itself and trains a share of the cells: some of the learning
    rates of a linear model, some of the batch sizes of a network.
    """
    source, named = with_target(source, target)
    asked = spec_of(source, named, spec, settings)
    rates = number_axis("learning_rate", asked.learning_rate, learning_rates)
    sizes = number_axis("batch_size", asked.batch_size, batch_sizes)
    if learns_network(source, asked):
        return sweep_network(source, asked, Axes(rates, sizes, start_axis(asked, starts), seeds), tell)
    for name, given in (("start", starts), ("seeds", seeds)):
        if given is not None:
            message = (
                f"a linear model starts at zero weights, and {name} is for networks; name a --model such as mlp:64"
            )
            raise OptionError(message)
    return _sweep_linear(source, asked, rates, sizes, tell)


def _sweep_linear(
    source: object, asked: Spec, learning_rates: Sequence[float] | None, batch_sizes: Sequence[int] | None,
    tell: Tell | None,
) -> SweepResult:  # fmt: skip
    began = time.perf_counter()
    asked = _checked(asked)
    ready = make_ready(source, asked, tell)
    passes = PASSES if isinstance(asked.epochs, str) else max(1, math.ceil(asked.epochs))
    plan = ready.prepared.plan
    if plan.sparse:
        message = "sweep holds the rows of all its trainings side by side, which sparse rows are not; leave text out"
        raise OptionError(message)
    exact = train(
        ready.examples, replace(_plain(asked), tolerance=MINIMUM_TOLERANCE), ready.prepared.loss, ready.outputs,
        origin=(plan.center, plan.scale),
    )  # fmt: skip
    posed = pose(ready.examples, replace(asked, l2=exact.resolved["l2"]), ready.prepared.loss, ready.outputs)
    limit = _stability_limit(ready, posed.objective, asked.seed)
    rates = _rates(learning_rates, limit, asked.rule)
    sizes = _sizes(batch_sizes, ready.examples.rows)
    reached = _reached(source, ready, posed.objective, asked, rates, sizes, passes, exact.objective_at_start)
    drop = exact.objective_at_start - exact.objective
    gaps = {key: max((value - exact.objective) / drop, 0.0) if drop > 0 else 0.0 for key, value in reached.items()}
    cells = _cells(rates, sizes, reached, gaps, exact.objective_at_start, asked.tolerance)
    good = [each for each in cells if each.verdict is not Verdict.DIVERGED]
    return SweepResult(
        asked.source or "the table", asked.target, ready.examples.rows, ready.examples.features,
        ready.prepared.loss, "plain" if asked.rule == "auto" else asked.rule, float(passes),
        exact.objective_at_start, exact.objective, exact.gap_kind, limit, tuple(rates.tolist()), sizes, cells,
        min(good, key=lambda each: each.gap) if good else None, time.perf_counter() - began,
    )  # fmt: skip


def _checked(spec: Spec) -> Spec:
    """Return the spec, its axes left out; raises OptionError where it sets what a sweep has no use for."""
    usual = Spec()
    for name in UNUSED:
        if getattr(spec, name) not in (getattr(usual, name), "mini-batch"):
            message = f"sweep trains by mini-batches and returns the last iterate; leave {name} out"
            raise OptionError(message)
    return replace(spec, learning_rate="auto", batch_size="auto")


def _rates(asked: Sequence[float] | None, limit: float, rule: str) -> Vector:
    if asked is not None:
        return np.unique(np.asarray(asked, dtype=np.float64))
    highest = HIGHEST if rule in BY_SIZE or not math.isfinite(limit) else ABOVE * limit
    return np.array([highest / RATIO**power for power in range(RATES - 1, -1, -1)])


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


def _reached(
    source: object, ready: Ready, objective: Objective, spec: Spec, rates: Vector, sizes: tuple[int, ...], passes: int,
    start: float,
) -> Cells:  # fmt: skip
    """Return F reached by every (rate, size): here, or each worker of a cluster a share of the rates."""
    if spec.cluster is None:
        return _run(ready, objective, spec, rates, sizes, passes, start)
    check_files(source, spec)
    there = replace(spec, cluster=None, workers="auto")
    work = partial(_share, str(spec.source or source), objective, there, sizes, passes, start)
    asked = None if isinstance(spec.workers, str) else int(spec.workers)
    parts = spread(work, lambda workers: [rates[each::workers] for each in range(min(workers, rates.size))],
                   spec.cluster, asked)  # fmt: skip
    return {place: value for part in parts for place, value in part.items()}


def _share(
    source: str, objective: Objective, spec: Spec, sizes: tuple[int, ...], passes: int, start: float, rates: Vector
) -> Cells:  # fmt: skip
    """Return F reached by some of the rates, on a worker that reads the source by itself."""
    return _run(make_ready(source, spec, None), objective, spec, rates, sizes, passes, start)


def _run(
    ready: Ready, objective: Objective, spec: Spec, rates: Vector, sizes: tuple[int, ...], passes: int, start: float
) -> Cells:
    """Return F reached by every (rate, size): lanes over all of them, batches of the smallest size."""
    examples = standardised(ready.examples)
    base = sizes[0]
    every = np.repeat(np.array(sizes) // base, rates.size)
    lanes = Lanes.start(
        examples, objective, np.tile(rates, len(sizes)), rule_number("plain" if spec.rule == "auto" else spec.rule),
        spec.momentum, every, EXPLODED * max(start, 1e-300),
    )  # fmt: skip
    count = -(-examples.rows // base)
    name = "constant" if spec.schedule == "auto" else spec.schedule
    for epoch in range(passes):
        share = schedule(name, np.arange(count, dtype=np.float64) + epoch * count, passes * count, spec.warmup)
        lanes.epoch(examples, objective, order(examples.rows, spec.seed, epoch), base, share, epoch)
    reached = lanes.objectives(examples, objective)
    keys = [(float(rate), size) for size in sizes for rate in rates]
    return dict(zip(keys, reached.tolist(), strict=True))


def _cells(
    rates: Vector, sizes: tuple[int, ...], reached: Cells, gaps: Cells, start: float, tolerance: float
) -> tuple[SweepCell, ...]:
    """Return the cells with their zones.

    A cell is lost where it blew up or ended above the start. Else it is in the sweet spot where its gap is within
    FAR times the smallest of the map and it has come at least half as many decades, or to the tolerance; outside of
    it, the rate is too small below the best one for that batch size, and above it too large: the steps bounce far
    above the minimum.
    """
    lost = {key: not math.isfinite(value) or value > start for key, value in reached.items()}
    least = min((gap for key, gap in gaps.items() if not lost[key]), default=0.0)
    sweet = max(min(FAR * least, math.sqrt(least)), tolerance)
    cells: list[SweepCell] = []
    for size in sizes:
        best = min(rates.tolist(), key=lambda rate: (lost[rate, size], gaps[rate, size]))
        for rate in rates.tolist():
            key = rate, size
            if lost[key] or (gaps[key] > sweet and rate > best):
                zone = Zone.DIVERGED
            else:
                zone = Zone.SWEET_SPOT if gaps[key] <= sweet else Zone.TOO_SLOW
            verdict = Verdict.DIVERGED if lost[key] else Verdict.BUDGET
            cells.append(SweepCell(rate, size, reached[key], gaps[key], verdict, zone))
    return tuple(cells)
