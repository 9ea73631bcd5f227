"""The textbook's claim on one's own data: full batch, stochastic, mini-batch and scaled from the same start.

Steps on batches end well only where their learning rate falls to nothing, so a look at a run that was planned
for longer says little of what a shorter one would reach. Every budget therefore gets a run planned for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope.data.batches import order
from downslope.data.blocks import Source
from downslope.engines import linear as engine
from downslope.engines.racing import standardised
from downslope.errors import OptionError
from downslope.fitting.axes import checked_seeds
from downslope.fitting.budgets import (
    Mark,
    Trace,
    budgets,
    checkpoints,
    example_checkpoints,
    reached,
    updates_within,
)
from downslope.fitting.network_task import learns_network, with_target
from downslope.fitting.race_network import race_network
from downslope.fitting.ready import Ready, Tell, make_ready, spec_of
from downslope.models.linear import Objective, Point
from downslope.records import Spec, Verdict
from downslope.records.comparison import NetworkRace, RaceEntry, RaceResult, Reached
from downslope.steps import rule_number
from downslope.training import Training, train
from downslope.training.course import Course, trainer_of
from downslope.training.loop import pose
from downslope.words import say

METHODS = ("full-batch", "stochastic", "mini-batch", "scaled")
CHOSEN = ("method", "rule", "learning_rate", "schedule", "warmup", "average")
"""Settings that a race decides for each method, and takes from nobody."""
PASSES = 5
"""Passes that each method of a race is given, unless ``epochs`` says otherwise."""
SEEDS = 5
MINIMUM_TOLERANCE = 1e-9
"""Gap at which the minimum that the race is measured against is known."""


@dataclass(frozen=True)
class Runner:
    """One method with its traces, one a seed: the marks of each in the order of their updates."""

    ended: Training
    traces: tuple[Trace, ...]

    @property
    def last(self) -> Trace:
        """The last mark of each trace."""
        return tuple(trace[-1] for trace in self.traces)


def race(
    source: object, target: object = None, *, spec: Spec | None = None, seeds: int | None = None,
    tell: Tell | None = None, **settings: Any,
) -> RaceResult | NetworkRace:  # fmt: skip
    """Run every method on the same examples from zero weights and compare the gaps they reach.

    At equal updates, equal examples and equal seconds; the methods that draw their examples at random run
    ``seeds`` times (default 5) in different orders, once for each budget. Learning rates and batch sizes are chosen
    as ``fit`` does; the seconds are of the descent alone, kernels compiled before, but those of the scaled method
    include the measurement of its Hessian. Arguments and errors are those of ``fit``, and OptionError for a
    setting that a race chooses.

    With a ``model`` such as ``mlp:64``, or with images, networks are raced: full batch, stochastic and mini-batch (32
    unless ``batch_size`` says otherwise) from the same starting weights, by plain steps or by the ``rule`` named, each
    at a rate raced for it. The result is a ``NetworkRace``, whose losses are told on training and held-out rows: a
    network's minimum is not known. Full batch takes one update a pass, by default 3, or 1 with convolutions; ``seeds``
    is 3 by default, and a method is cut at 20,000 updates (5,000 with convolutions) unless ``epochs`` is given.
    """
    source, named = with_target(source, target)
    asked = spec_of(source, named, spec, settings)
    if asked.cluster is not None:
        message = say("a race times its methods on one machine, one after the other; leave --cluster out")
        raise OptionError(message)
    if learns_network(source, asked):
        return race_network(source, asked, seeds, tell)
    return _race_linear(source, _checked(asked), checked_seeds(seeds, SEEDS), tell)


def _race_linear(source: object, asked: Spec, seeds: int, tell: Tell | None) -> RaceResult:
    began = time.perf_counter()
    ready = make_ready(source, asked, tell)
    passes = PASSES if isinstance(asked.epochs, str) else max(1, math.ceil(asked.epochs))
    exact = _train(ready, replace(asked, tolerance=MINIMUM_TOLERANCE, epochs="auto", batch_size="auto"))
    objective = pose(ready.examples, replace(asked, l2=exact.resolved["l2"]), ready.prepared.loss, ready.outputs)
    runners: dict[str, Runner] = {}
    for method in METHODS:
        if tell is not None:
            tell("method", method)
        runners[method] = _runner(method, ready, objective.objective, asked, passes, seeds)
    drop = exact.objective_at_start - exact.objective
    compared = budgets(
        (trace for runner in runners.values() for trace in runner.traces), ready.examples.rows, passes
    )  # fmt: skip
    entries = tuple(
        _entry(method, runner, compared, exact.objective, drop, ready.examples.rows)
        for method, runner in runners.items()
    )  # fmt: skip
    return RaceResult(
        asked.source or "the table", asked.target, ready.examples.rows, ready.examples.features,
        ready.prepared.loss, exact.objective_at_start, exact.objective, exact.gap_kind, entries,
        time.perf_counter() - began,
    )  # fmt: skip


def _checked(spec: Spec) -> Spec:
    """Return the spec; raises OptionError where it sets what a race decides."""
    usual = Spec()
    for name in CHOSEN:
        if getattr(spec, name) != getattr(usual, name):
            message = f"race runs every method at the {name.replace('_', ' ')} chosen for it; leave {name} out"
            raise OptionError(message)
    return spec


def _train(ready: Ready, spec: Spec, start: Point | None = None) -> Training:
    plan = ready.prepared.plan
    origin = plan.center, plan.scale
    return train(ready.examples, spec, ready.prepared.loss, ready.outputs, start=start, origin=origin)


def _runner(method: str, ready: Ready, objective: Objective, asked: Spec, passes: int, seeds: int) -> Runner:
    """Train by one method, and return where it stood at every budget."""
    examples, rows = ready.examples, ready.examples.rows
    zero = Point.zeros(examples.features, objective.outputs)
    wanted = replace(
        asked, method=method, epochs="auto" if method == "scaled" else passes, tolerance=MINIMUM_TOLERANCE,
        batch_size=asked.batch_size if method == "mini-batch" else "auto",
    )  # fmt: skip
    ended = _train(ready, wanted, zero)
    steps = [each for each in ended.steps if each.exact]
    if method == "scaled":
        before = ended.seconds["choose"]
        marks = tuple(Mark(each.update, each.passes * rows, before + each.seconds, each.objective) for each in steps)
        return Runner(ended, (marks,))
    if method == "full-batch":
        taken = [each for each in steps if each.update > 0 or each is steps[0]]
        marks = tuple(Mark(each.update, float(each.update * rows), each.seconds, each.objective) for each in taken)
        return Runner(ended, (marks,))
    course = Course(
        standardised(examples), objective, int(ended.resolved["batch_size"]),
        rule_number(str(ended.resolved["rule"])), asked.momentum, passes, str(ended.resolved["schedule"]), 0.0, False,
        asked.seed,
    )  # fmt: skip
    rate, start = float(ended.resolved["learning_rate"]), ended.objective_at_start
    _planned(replace(course, updates=1), 0.0, start)  # compiles its kernels
    traces = [_trace(replace(course, seed=asked.seed + each), rate, start) for each in range(seeds)]
    return Runner(ended, tuple(traces))


def _trace(course: Course, rate: float, start: float) -> Trace:
    """Run one order of the examples anew for every budget."""
    total = course.epochs * course.updates_an_epoch
    rows = course.examples.rows
    within = (updates_within(rows, course.batch, each) for each in example_checkpoints(rows, course.epochs))
    budgets = {min(course.epochs, total), *checkpoints(total), *within} - {0}
    return (
        Mark(0, 0.0, 0.0, start),
        *(_planned(replace(course, updates=each), rate, start) for each in sorted(budgets)),
    )


def _planned(course: Course, rate: float, start: float) -> Mark:
    """Run ``course.updates`` updates; looking at where they end takes no time of the race."""
    rows, each = course.examples.rows, course.updates_an_epoch
    trainer = trainer_of(course, rate, start, Point.zeros(course.examples.features, course.objective.outputs))
    whole, examples, began = True, 0.0, time.perf_counter()
    for epoch in range(-(-course.updates // each)):
        end = min((course.updates - epoch * each) * course.batch, rows)
        _, whole = trainer.advance(order(rows, course.seed, epoch), 0, end)
        examples += end
        if not whole:
            break
    seconds = time.perf_counter() - began
    value = _value(course.examples, course.objective, trainer.point()) if whole else math.inf
    return Mark(course.updates, examples, seconds, value)


def _value(examples: Source, objective: Objective, point: Point) -> float:
    value = engine.evaluate(examples, objective, point).objective if point.finite else math.inf
    return value if math.isfinite(value) else math.inf


def _entry(
    method: str, runner: Runner, compared: dict[str, list[float]], minimum: float, drop: float, rows: int
) -> RaceEntry:
    last, ended = runner.last, runner.ended

    def gap(objective: float) -> float:
        return max((objective - minimum) / drop, 0.0) if drop > 0 else 0.0

    def at_equal(name: str) -> tuple[Reached, ...]:
        return tuple(_reached(runner, budget, name, gap) for budget in compared[name])

    failed = any(not math.isfinite(each.objective) for each in last) or ended.verdict is Verdict.DIVERGED
    return RaceEntry(
        method, float(ended.resolved["learning_rate"]), int(ended.resolved["batch_size"]), len(last),
        Verdict.DIVERGED if failed else ended.verdict, ended.message, _mean([gap(each.objective) for each in last]),
        max(each.updates for each in last), max(each.examples for each in last) / rows,
        float(np.median([each.seconds for each in last])),
        at_equal("updates"), at_equal("examples"), at_equal("seconds"),
    )  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _reached(runner: Runner, budget: float, name: str, gap: Callable[[float], float]) -> Reached:
    """Return the gap where a budget was spent.

    A method that had come to the end of its passes stands where it ended, except in updates: it made no more.
    """
    ended = runner.ended.verdict is Verdict.CONVERGED or name != "updates"
    marks = reached(runner.traces, budget, name, ended)
    if marks is None:
        return Reached(budget, math.nan)
    gaps = [gap(mark.objective) for mark in marks]
    scatter = float(np.std(gaps)) if len(gaps) > 1 and np.isfinite(gaps).all() else math.nan
    return Reached(budget, _mean(gaps), scatter)
