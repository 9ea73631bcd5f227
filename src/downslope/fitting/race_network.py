"""The textbook's claim for a network: full batch, stochastic and mini-batch from the same starting weights.

As in the race of linear models, every budget gets a run of its own, planned to end there, for a rate that falls only
later says little of what a shorter run would reach. Full-batch steps have no noise that a falling rate would average
away: they keep theirs, and one run passes through all budgets. No minimum is known, so what is told are losses.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from downslope.errors import OptionError
from downslope.fitting.axes import checked_seeds
from downslope.fitting.budgets import Mark, Trace, budgets, checkpoints, example_checkpoints, reached, updates_within
from downslope.fitting.network_task import NetworkTask, make_task
from downslope.fitting.ready import Tell
from downslope.fitting.zones import spread, updates_and_passes
from downslope.records import NetworkRace, NetworkRaceEntry, NetworkReached, Spec, Spread, Verdict
from downslope.records.figures import plural
from downslope.training.network.course import Course, course_of
from downslope.training.network.settling import OWN_RATE, raced_rates
from downslope.words import say

if TYPE_CHECKING:
    from downslope.engines.network.rules import Rule
    from downslope.training.network.progress import NetworkProblem
    from downslope.training.network.side_by_side import Judge, Losses, Stepping

CHOSEN = ("method", "learning_rate", "schedule", "warmup", "average")
"""Settings that a race decides for each method, and takes from nobody."""
UNUSED = ("tolerance", "patience", "max_seconds", "measure_every", "checkpoint_seconds", "keep_path")
"""Settings that a race has no use for."""
PASSES, PASSES_CONVOLUTION = 3, 1
"""Passes that each method is given, and so the updates of full batch, unless ``epochs`` says otherwise."""
MOST_UPDATES, MOST_UPDATES_CONVOLUTION = 20_000, 5_000
"""Updates at which a method is cut short, unless ``epochs`` is given: single examples of a long table are many."""
SEEDS = 3
MINI_BATCH = 32
PART = 512
"""Examples of a full batch that go through the network together."""
RACE_SHARE, RACE_LEAST = 10, 200
"""Rates are raced over this part of a method's updates, and over at least so many."""
Work: TypeAlias = tuple[int, int, int]
"""Examples, passes over them, and the most updates."""
POWERS = (1,)
"""Checkpoints of updates stand at powers of ten, and where a method ends."""


@dataclass(frozen=True)
class Contender:
    """One method: its plan, the parts in which it takes a batch, and whether it is cut before its passes are done.

    seeds: of its runs, one where nothing is drawn at random.
    """

    name: str
    course: Course
    pieces: int
    cut: bool
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Track:
    """What all methods of a race have in common. start: losses of the starting weights. rates: to race."""

    problem: NetworkProblem
    rule: tuple[str, Rule]
    judge: Judge
    start: Losses
    rates: tuple[float, ...]
    spec: Spec


@dataclass(frozen=True)
class Ran:
    """A method at the rate raced for it, with one trace a seed."""

    contender: Contender
    rate: float
    traces: tuple[Trace, ...]

    @property
    def last(self) -> Trace:
        """The last mark of each trace."""
        return tuple(trace[-1] for trace in self.traces)


def race_network(source: object, spec: Spec, seeds: int | None, tell: Tell | None) -> NetworkRace:
    """Run every method on the same examples from the same weights; arguments are those of ``race``.

    Raises InputError as ``fit`` does, and OptionError for a setting that a race decides or has no use for, and where
    the rates of one method, side by side, do not fit in memory.
    """
    began = time.perf_counter()
    task = make_task(source, _checked(spec), tell)
    count = checked_seeds(seeds, SEEDS)
    usual = PASSES_CONVOLUTION if task.architecture.channels else PASSES
    passes = usual if isinstance(task.spec.epochs, str) else max(1, math.ceil(task.spec.epochs))
    contenders = _contenders(task, passes, count)
    track = _track(task, contenders)
    ends = {each.course.updates for each in contenders}
    looks = sorted({*ends, *checkpoints(max(ends), POWERS)})
    ran: list[Ran] = []
    for contender in contenders:
        if tell is not None:
            tell("method", contender.name)
        ran.append(_ran(track, contender, passes, looks))
    compared = budgets((trace for each in ran for trace in each.traces), task.rows, passes, looks)
    return NetworkRace(
        task.spec.source or "the source", task.spec.target, task.rows, task.held_rows, track.judge.rows,
        task.train.shape, task.architecture.text, task.loss, track.rule[0], float(passes), track.start.train,
        track.start.held, tuple(_entry(each, compared) for each in ran), time.perf_counter() - began,
    )  # fmt: skip


def _checked(spec: Spec) -> Spec:
    """Return the spec; raises OptionError where it sets what a race decides or has no use for."""
    usual = Spec()
    for name in (*CHOSEN, *UNUSED):
        if getattr(spec, name) != getattr(usual, name):
            why = (
                f"runs every method at the {name.replace('_', ' ')} chosen for it" if name in CHOSEN
                else "gives every method its passes and stops for nothing else"
            )  # fmt: skip
            message = f"race {why}; leave {name.replace('_', '-')} out"
            raise OptionError(message)
    if spec.normalisation == "batch":
        message = (
            "the stochastic method takes one example a step, and batch normalisation brings the units of one example "
            "all to 0; set normalisation layer, or leave it out"
        )
        raise OptionError(message)
    return spec


def _contenders(task: NetworkTask, passes: int, seeds: int) -> tuple[Contender, ...]:
    """Return the methods with their plans."""
    spec, rows = task.spec, task.rows
    given = min(MINI_BATCH, max(1, rows // 4)) if isinstance(spec.batch_size, str) else min(int(spec.batch_size), rows)
    mini = -(-given // spec.pieces) * spec.pieces
    parts = -(-rows // PART)
    every = tuple(spec.seed + each for each in range(seeds))
    still = every if spec.dropout else every[:1]
    most = MOST_UPDATES_CONVOLUTION if task.architecture.channels else MOST_UPDATES
    work = rows, passes, most if isinstance(spec.epochs, str) else sys.maxsize
    return (
        _contender("full-batch", spec, work, -(-rows // parts) * parts, parts, still),
        _contender("stochastic", spec, work, 1, 1, every),
        _contender("mini-batch", spec, work, mini, spec.pieces, every),
    )


def _contender(name: str, spec: Spec, work: Work, batch: int, pieces: int, seeds: tuple[int, ...]) -> Contender:
    rows, passes, most = work
    schedule = "constant" if name == "full-batch" else "cosine"
    course = course_of(rows, batch, replace(spec, epochs=passes, schedule=schedule), True)
    updates = min(course.updates, most)
    return Contender(name, replace(course, updates=updates), pieces, updates < course.updates, seeds)


def _track(task: NetworkTask, contenders: Sequence[Contender]) -> Track:
    """Place the network at its start; raises OptionError where the rates of a method do not fit in memory."""
    from downslope.engines.network.caching import keep_programs
    from downslope.training.network.posing import pose_network
    from downslope.training.network.side_by_side import Judge, check_lanes, named_rule

    spec, architecture = task.spec, task.architecture
    name = "plain" if spec.rule == "auto" else spec.rule
    rates = (OWN_RATE[name],) if name in OWN_RATE else tuple(raced_rates(name, architecture).tolist())
    for each in contenders:
        check_lanes(
            architecture, task.train.shape, task.outputs, len(rates) * len(each.seeds), each.course.batch, each.pieces,
            say("give a smaller model, or fewer examples"),
        )  # fmt: skip
    keep_programs()
    problem = pose_network(architecture, task.train, task.held, spec, task.loss, task.outputs, task.huber_delta)
    judge = Judge(problem, spec.seed)
    start = judge.losses(problem.weights, problem.network.statistics)
    return Track(problem, named_rule(spec, name), judge, start, rates, spec)


def _ran(track: Track, contender: Contender, passes: int, looks: Sequence[int]) -> Ran:
    """Race the rates of one method, and run it at the best for every seed. looks: updates that all are compared at."""
    rate = _raced(track, contender)
    how = _stepping(track, contender)
    _planned(track, contender, how, rate, contender.seeds[0], [1])  # compiles its program
    marks = _budgets(contender.course, passes, looks)
    traces: list[Trace] = []
    for seed in contender.seeds:
        if contender.course.schedule == "constant":
            trace = _planned(track, contender, how, rate, seed, marks)
        else:
            trace = tuple(_planned(track, contender, how, rate, seed, [each])[0] for each in marks)
        traces.append((Mark(0, 0.0, 0.0, track.start.train, track.start.held), *trace))
    return Ran(contender, rate, tuple(traces))


def _budgets(course: Course, passes: int, looks: Sequence[int]) -> list[int]:
    """Return the updates that a method is looked at after: those of all methods, and what budgets of examples allow."""
    within = (updates_within(course.rows, course.batch, each) for each in example_checkpoints(course.rows, passes))
    return sorted(each for each in {*looks, *within} if 0 < each <= course.updates)


def _stepping(track: Track, contender: Contender, own_rows: bool = False) -> Stepping:
    from downslope.training.network.side_by_side import stepping

    return stepping(
        track.problem, contender.course, track.rule, track.start.train, clip=track.spec.clip, pieces=contender.pieces,
        own_rows=own_rows,
    )  # fmt: skip


def _raced(track: Track, contender: Contender) -> float:
    """Return the rate with the lowest training loss, a mean over the seeds, after all the updates of a method.

    Where these are many, a shorter run is planned, and the rate is the smallest one whose loss fell nearly as far as
    the best: the run to come is longer. A rate that diverges with one of the seeds is out.
    """
    from downslope.training.network.racing import lasting_lane
    from downslope.training.network.side_by_side import Lane, SideBySide

    if len(track.rates) == 1:
        return track.rates[0]
    course = contender.course
    if contender.name != "full-batch":
        course = replace(course, updates=min(course.updates, max(RACE_LEAST, course.updates // RACE_SHARE)))
    start, seeds = track.spec.start, contender.seeds
    lanes = [Lane(rate, start, seed) for rate in track.rates for seed in seeds]
    how = _stepping(track, contender, own_rows=len(seeds) > 1)
    running = SideBySide(how, course, lanes, {(start, seed): track.problem.weights for seed in seeds})
    running.advance_to(course.updates)
    alive = running.alive
    losses = [
        track.judge.train(*running.weights(index)) if alive[index] else math.inf for index in range(len(lanes))
    ]  # fmt: skip
    means = np.reshape(losses, (len(track.rates), len(seeds))).mean(axis=1)
    if course.updates == contender.course.updates and np.isfinite(means).any():
        return track.rates[int(np.argmin(means))]
    return track.rates[lasting_lane(track.rates, means, track.start.train)]


def _planned(
    track: Track, contender: Contender, how: Stepping, rate: float, seed: int, marks: Sequence[int]
) -> Trace:  # fmt: skip
    """Run once, planned to end at the last of some updates, and return where it stood after each of them.

    Measuring the losses takes no time of the race.
    """
    from downslope.training.network.side_by_side import Lane, SideBySide

    course, start = replace(contender.course, updates=marks[-1]), track.spec.start
    running = SideBySide(how, course, [Lane(rate, start, seed)], {(start, seed): track.problem.weights})
    trace: list[Mark] = []
    for update in marks:
        running.advance_to(update)
        train = held = math.inf
        if running.alive[0]:
            losses = track.judge.losses(*running.weights(0))
            train, held = losses.train, losses.held
        examples = course.passes(update) * course.rows
        trace.append(Mark(update, examples, running.seconds, train if math.isfinite(train) else math.inf, held))
    return tuple(trace)


def _entry(ran: Ran, compared: dict[str, list[float]]) -> NetworkRaceEntry:
    contender, last = ran.contender, ran.last
    course = contender.course

    def at_equal(name: str) -> tuple[NetworkReached, ...]:
        ended = name != "updates" and not contender.cut
        return tuple(_reached(reached(ran.traces, each, name, ended), each) for each in compared[name])

    lost = sum(not math.isfinite(each.objective) for each in last)
    passes = course.passes(course.updates)
    work = updates_and_passes(course.updates, passes)
    message = (
        say("cut short at {work}", work=work)
        if contender.cut
        else say("all the planned work is done: {work}", work=work)
    )
    if lost:
        message = say(
            "diverged with {lost} of {seeds} within {work}", lost=lost, seeds=plural(len(last), "seed"), work=work
        )
    return NetworkRaceEntry(
        contender.name, ran.rate, course.schedule, min(course.batch, course.rows), len(last), contender.cut,
        Verdict.DIVERGED if lost else Verdict.BUDGET, message, _spread([each.objective for each in last]),
        _spread([each.held for each in last]), course.updates, passes,
        float(np.median([each.seconds for each in last])), at_equal("updates"), at_equal("examples"),
        at_equal("seconds"),
    )  # fmt: skip


def _reached(marks: list[Mark] | None, budget: float) -> NetworkReached:
    if marks is None:
        return NetworkReached(budget, Spread(math.nan), Spread(math.nan))
    return NetworkReached(budget, _spread([each.objective for each in marks]), _spread([each.held for each in marks]))


def _spread(losses: Sequence[float]) -> Spread:
    """Return mean and deviation; of losses one of which is not finite, that one."""
    odd = [each for each in losses if not math.isfinite(each)]
    return Spread(odd[0]) if odd else spread(losses, lost=math.nan)
