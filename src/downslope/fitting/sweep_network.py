"""A map of learning rates by batch sizes by starts for a network: every cell a training, once for each seed.

The trainings of one batch size take their steps side by side. When a round ends, the worse half of the cells is
dropped, and the others go on for a round twice as long: successive halving (Jamieson and Talwalkar 2016, algorithm
1), in which every round costs about as much. Batch sizes do not compete for places: a large one takes few updates in
a first round, and a map is to show where its rates lie all the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from downslope.cluster.tasks import spread
from downslope.errors import OptionError
from downslope.fitting.axes import checked_seeds
from downslope.fitting.cluster import check_files
from downslope.fitting.network_task import NetworkTask, make_task
from downslope.fitting.ready import Tell
from downslope.fitting.zones import NEAR, Column, Found, best_cell, cells_with_zones
from downslope.models.network import Architecture
from downslope.records import NetworkSweep, Spec
from downslope.records.figures import plural
from downslope.training.network.course import Course, course_of
from downslope.training.network.settling import OWN_RATE, raced_rates
from downslope.types import Matrix, Vector
from downslope.words import say

if TYPE_CHECKING:
    from downslope.engines.network.rules import Rule
    from downslope.training.network.progress import NetworkProblem
    from downslope.training.network.side_by_side import Judge, Losses, SideBySide, Starts

ROUNDS = 3
"""Rounds of a batch size's cells; fewer where there are so few cells that not two would be left."""
PASSES, PASSES_CONVOLUTION = 7.0, 1.75
"""Passes of the cells that run to the end. A convolution is dear, and so are its many pixels."""
LEAST_UPDATES = 700
"""Updates that the smallest batch size gets at least, so that a first round has a hundred."""
SEEDS, SEEDS_CONVOLUTION = 3, 1
"""Seeds of each cell: those of dense networks go side by side at little cost, those of convolutions one by one."""
SIZES, SIZE_RATIO = 3, 4
SMALLEST = (8, 64)
"""Bounds of the smallest batch size of a map."""
DECADE = 10.0
"""The rates reach this far beyond those that a fit would race, both ways."""
UNUSED = (
    "method", "average", "tolerance", "patience", "max_seconds", "measure_every", "checkpoint_seconds", "keep_path",
)  # fmt: skip
"""Settings that a sweep of networks has no use for."""

Place: TypeAlias = tuple[float, str]
"""A learning rate and a start: where a cell of one batch size stands in the map."""


@dataclass(frozen=True)
class Axes:
    """What was asked of each axis; None is left to choice."""

    rates: Sequence[float] | None
    sizes: Sequence[float] | None
    starts: tuple[str, ...]
    seeds: int | None


@dataclass(frozen=True)
class Bench:
    """What all batch sizes of a sweep have in common. at_start: losses before the first step, by (start, seed)."""

    problem: NetworkProblem
    rule: tuple[str, Rule]
    judge: Judge
    starts: Starts
    at_start: dict[tuple[str, int], Losses]
    seeds: tuple[int, ...]
    places: tuple[Place, ...]
    spec: Spec
    tell: Tell | None


def sweep_network(source: object, spec: Spec, axes: Axes, tell: Tell | None) -> NetworkSweep:
    """Train every combination of learning rate, batch size, start and seed, and drop the worse half twice on the way.

    Arguments are those of ``sweep``. Raises InputError as ``fit`` does, and OptionError for a setting without a use
    here and where the trainings of one batch size do not fit in memory.
    """
    began = time.perf_counter()
    spec = _checked(spec)
    task = make_task(source, spec, tell)
    spec, convolves = task.spec, bool(task.architecture.channels)
    count = checked_seeds(axes.seeds, SEEDS_CONVOLUTION if convolves else SEEDS)
    seeds = tuple(spec.seed + each for each in range(count))
    sizes = _sizes(axes.sizes, task.rows, spec.pieces)
    spec = replace(spec, epochs=_passes(spec, sizes[0], task.rows, convolves))
    rule = "adam" if spec.rule == "auto" else spec.rule
    rates = tuple(sorted({float(each) for each in axes.rates or swept_rates(rule, task.architecture)}))
    places = tuple((rate, start) for start in axes.starts for rate in rates)
    _check_memory(task, len(places) * count, sizes[-1])
    courses = [_course(task.rows, size, spec) for size in sizes]
    rounds = rounds_of(len(places), courses[-1].updates)
    columns, judged = _columns(source, task, spec, (rule, places, seeds, rounds), courses, tell)
    by_held = task.held is not None
    cells = cells_with_zones(columns, by_held)
    ends = round_ends(courses[0].updates, rounds)
    return NetworkSweep(
        spec.source or "the source", spec.target, task.rows, task.held_rows, judged, task.train.shape,
        task.architecture.text, task.loss, rule, courses[0].schedule, tuple(courses[0].passes(end) for end in ends),
        by_held, NEAR, rates, sizes, axes.starts, seeds, cells, best_cell(cells, by_held), time.perf_counter() - began,
    )  # fmt: skip


Plan: TypeAlias = "tuple[str, tuple[Place, ...], tuple[int, ...], int]"
"""The rule, the places of each batch size, the seeds and the rounds."""


def _columns(
    source: object, task: NetworkTask, spec: Spec, plan: Plan, courses: Sequence[Course], tell: Tell | None
) -> tuple[list[Column], int]:
    """Return the column of each batch size, trained here or by workers of a cluster, and the rows it is judged on."""
    rule, places, seeds, rounds = plan
    if spec.cluster is None:
        bench = _bench(task, spec, rule, places, seeds, tell)
        return [_column(bench, course, rounds) for course in courses], bench.judge.rows
    check_files(source, spec)
    work = partial(_there, str(spec.source or source), replace(spec, cluster=None, workers="auto"), plan)
    asked = None if isinstance(spec.workers, str) else int(spec.workers)
    found = spread(work, lambda workers: list(courses), spec.cluster, asked)
    return [column for column, _ in found], found[0][1]


def _there(source: str, spec: Spec, plan: Plan, course: Course) -> tuple[Column, int]:
    """Return the column of one batch size, on a worker that reads the source by itself."""
    rule, places, seeds, rounds = plan
    bench = _bench(make_task(source, spec, None), spec, rule, places, seeds, None)
    return _column(bench, course, rounds), bench.judge.rows


def _checked(spec: Spec) -> Spec:
    """Return the spec without its axes; raises OptionError where it sets what a sweep has no use for."""
    usual = Spec()
    for name in UNUSED:
        if getattr(spec, name) not in (getattr(usual, name), "mini-batch"):
            message = (
                "sweep trains every cell of a network by mini-batches for the same passes, and stops for nothing "
                f"else; leave {name.replace('_', '-')} out"
            )
            raise OptionError(message)
    return replace(spec, learning_rate="auto", batch_size="auto")


def swept_rates(rule: str, architecture: Architecture) -> list[float]:
    """Return the rates that a rule races on a network and those within a DECADE of them: 1 and 3 of each decade."""
    raced = [OWN_RATE[rule]] if rule in OWN_RATE else raced_rates(rule, architecture).tolist()
    low, high = min(raced) / DECADE * 0.99, max(raced) * DECADE * 1.01
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    rates = [float(f"{digit}e{power}") for power in powers for digit in (1, 3)]
    return [each for each in rates if low <= each <= high]


def _sizes(asked: Sequence[float] | None, rows: int, pieces: int) -> tuple[int, ...]:
    """Return the batch sizes, rising, none above the rows, each in whole pieces.

    Left to choice: powers of two a factor of four apart, the smallest near half the root of the rows.
    """
    if asked is None:
        nearest = 2 ** round(math.log2(max(math.sqrt(rows) / 2, 1)))
        smallest = min(max(nearest, SMALLEST[0]), SMALLEST[1])
        asked = [smallest * SIZE_RATIO**power for power in range(SIZES)]
    return tuple(sorted({-(-min(int(each), rows) // pieces) * pieces for each in asked}))


def _passes(spec: Spec, smallest: int, rows: int, convolves: bool) -> float:
    if not isinstance(spec.epochs, str):
        return float(spec.epochs)
    least = LEAST_UPDATES * smallest / rows
    usual = PASSES_CONVOLUTION if convolves else PASSES
    return usual if least <= usual else float(math.ceil(least))


def rounds_of(cells: int, updates: int) -> int:
    """Return how many rounds there are: one where so few cells start that none is dropped. updates: the fewest."""
    return min(ROUNDS, max(1, cells.bit_length() - 1), updates)


def round_ends(updates: int, rounds: int) -> list[int]:
    """Return the updates at which rounds end, each twice as long as the one before."""
    ends = [0]
    for each in range(1, rounds):
        ends.append(max(ends[-1] + 1, round(updates * (2**each - 1) / (2**rounds - 1))))
    return [*ends[1:], updates]


def survivors(losses: Matrix) -> list[int]:
    """Return the better half of some cells, all seeds together: losses (cells, seeds), nan where a seed diverged."""
    means = losses.mean(axis=1)
    ranked = [index for index in np.argsort(means, kind="stable").tolist() if math.isfinite(means[index])]
    return sorted(ranked[: -(-len(losses) // 2)])


def _check_memory(task: NetworkTask, lanes: int, largest: int) -> None:
    from downslope.training.network.side_by_side import check_lanes

    remedy = say("give fewer learning rates, starts or seeds, or a smaller batch size")
    check_lanes(task.architecture, task.train.shape, task.outputs, lanes, largest, task.spec.pieces, remedy)


def _bench(
    task: NetworkTask, spec: Spec, rule: str, places: tuple[Place, ...], seeds: tuple[int, ...], tell: Tell | None
) -> Bench:
    from downslope.engines.network.caching import keep_programs
    from downslope.training.network.posing import pose_network
    from downslope.training.network.side_by_side import Judge, named_rule, starting_points

    keep_programs()
    problem = pose_network(task.architecture, task.train, task.held, spec, task.loss, task.outputs, task.huber_delta)
    names = tuple(dict.fromkeys(start for _, start in places))
    starts = starting_points(task.architecture, task.train.shape, task.outputs, names, seeds)
    judge = Judge(problem, spec.seed)
    at_start = {key: judge.losses(weights, problem.network.statistics) for key, weights in starts.items()}
    return Bench(problem, named_rule(spec, rule), judge, starts, at_start, seeds, places, spec, tell)


def _course(rows: int, size: int, spec: Spec) -> Course:
    """Return the plan of every training with one batch size; the rate stays as it is unless a schedule is named."""
    schedule = "constant" if spec.schedule == "auto" else spec.schedule
    return course_of(rows, size, replace(spec, schedule=schedule), True)


def _column(bench: Bench, course: Course, rounds: int) -> Column:
    """Train the cells of one batch size."""
    from downslope.training.network.side_by_side import Lane, SideBySide, stepping

    spec, count = bench.spec, len(bench.seeds)
    highest = max(each.train for each in bench.at_start.values())
    how = stepping(
        bench.problem, course, bench.rule, highest, clip=spec.clip, pieces=spec.pieces, own_rows=count > 1
    )  # fmt: skip
    lanes = [Lane(rate, start, seed) for rate, start in bench.places for seed in bench.seeds]
    running, standing = SideBySide(how, course, lanes, bench.starts), list(bench.places)
    found, lows = list[Found](), list[float]()
    ends = round_ends(course.updates, rounds)
    for index, end in enumerate(ends):
        running.advance_to(end, _teller(bench.tell, course, len(running.lanes)))
        losses = _judged(bench, running).reshape(len(standing), count)
        lows.append(float(np.min(losses.mean(axis=1), initial=math.inf, where=np.isfinite(losses).all(axis=1))))
        kept = [] if end == course.updates else survivors(losses)
        found += [
            _ended(bench, running, standing, place, losses[place], index, end < course.updates)
            for place in range(len(standing)) if place not in kept
        ]  # fmt: skip
        if not kept:
            break
        standing = [standing[place] for place in kept]
        running.keep([place * count + each for place in kept for each in range(count)])
    return Column(found, lows)


def _teller(tell: Tell | None, course: Course, lanes: int) -> Callable[[int], None] | None:
    if tell is None:
        return None
    return lambda update: tell(
        f"batches of {course.batch}:", f"{plural(lanes, 'training')}, update {update:,} of {course.updates:,}"
    )


def _judged(bench: Bench, running: SideBySide) -> Vector:
    """Return the loss (lanes,) that each lane is judged by, nan where it has diverged."""
    ask = bench.judge.train if bench.problem.held is None else bench.judge.held
    alive = running.alive
    losses = [ask(*running.weights(index)) if alive[index] else math.nan for index in range(len(running.lanes))]
    return np.where(np.isfinite(losses), losses, math.nan)


def _ended(
    bench: Bench, running: SideBySide, standing: Sequence[Place], place: int, losses: Vector, index: int, dropped: bool
) -> Found:
    """Return a cell where it ends. losses: (seeds,) as judged. index: of the round."""
    (rate, start), count = standing[place], len(bench.seeds)
    lanes = range(place * count, (place + 1) * count)
    judged = [float(each) for each in losses if math.isfinite(each)]
    train, held = judged, list[float]()
    if bench.problem.held is not None:
        stood = (lane for lane, loss in zip(lanes, losses, strict=True) if math.isfinite(loss))
        train, held = [bench.judge.train(*running.weights(lane)) for lane in stood], judged
    updates = int(running.updates[lanes.start : lanes.stop].min())
    at_start = [bench.at_start[start, seed] for seed in bench.seeds]
    judged_at_start = [each.train if bench.problem.held is None else each.held for each in at_start]
    return Found(
        rate, running.course.batch, start, count, tuple(train), tuple(held), float(np.mean(judged_at_start)), index,
        updates, running.course.passes(updates), dropped,
    )  # fmt: skip
