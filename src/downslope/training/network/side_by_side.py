"""Several trainings of one network in one program: lanes that differ in learning rate, start and seed.

Unlike the lanes of ``descent``, which are the first updates of one training, these are trainings in their own right:
each begins at weights of its own, and each seed has an order of the examples of its own. What they share is a batch
size, so that all take a step at once.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np
from numpy.typing import NDArray

from downslope.engines.network.inputs import Data, Passes, batch_loss, parts_of
from downslope.engines.network.loop import Program, State, Tree, first_state
from downslope.engines.network.rules import Rule, rule_of, settled_weights
from downslope.errors import OptionError
from downslope.machine import available_bytes
from downslope.models.network.grammar import Architecture
from downslope.models.network.layers import KERNEL, Statistics, build_network
from downslope.records import Spec
from downslope.records.sizes import written
from downslope.training.network.course import Course, Order
from downslope.training.network.descent import CHUNK_SECONDS, EXPLODED, MOST_STEPS, convolves
from downslope.training.network.posing import mean_loss
from downslope.training.network.progress import NetworkProblem
from downslope.training.network.settling import FLOAT, bytes_of_a_step
from downslope.types import Indices
from downslope.words import Sentence, say

MEASURED = 8192
"""Most training rows that a training loss is measured on."""
FIRST_STEPS = 8
"""Updates of the first call, by which the time of one is measured."""
COPIES = 8
"""Trees of weights that a step of one lane holds: the weights, the rule's memory, the gradient, and all that anew."""

WORTH = 3e9
"""Weights times examples to come of lanes that are dropped, from which on they are taken out of the program: that means
to compile it anew, and a lane of a small network goes along at next to no cost."""

Starts = Mapping[tuple[str, int], Tree]
"""Starting weights by (start, seed)."""
TellUpdate = Callable[[int], None]


@dataclass(frozen=True)
class Lane:
    """One of several trainings: its learning rate, how its weights start, and its seed."""

    rate: float
    start: str
    seed: int


@dataclass(frozen=True)
class Losses:
    """Mean losses in units of the target, without penalty; held is nan where nothing is held out."""

    train: float
    held: float


def starting_points(
    architecture: Architecture, shape: tuple[int, ...], outputs: int, starts: Sequence[str], seeds: Sequence[int]
) -> Starts:
    """Return the weights that each start and seed begins with; those of a fit with this start and seed."""

    def weights(start: str, seed: int) -> Tree:
        network = build_network(replace(architecture, start=start), shape, outputs, jax.random.PRNGKey(seed))
        return parts_of(network)[0]

    return {(start, seed): weights(start, seed) for start in starts for seed in seeds}


class Judge:
    """Measures losses: on all rows held out, and on at most MEASURED training rows, the same for every lane."""

    def __init__(self, problem: NetworkProblem, seed: int) -> None:
        """Take the problem; seed: of the choice of training rows."""
        self.problem, self._passes = problem, Passes(problem.rest)
        rows = problem.train.rows
        drawn = np.random.default_rng(seed).permutation(rows)[:MEASURED]
        self.rows = min(rows, MEASURED)
        self._train = problem.train if self.rows == rows else some_rows(problem.train, np.sort(drawn))

    def losses(self, weights: Tree, statistics: Statistics) -> Losses:
        """Return both losses."""
        return Losses(self.train(weights, statistics), self.held(weights, statistics))

    def train(self, weights: Tree, statistics: Statistics) -> float:
        """Return the training loss."""
        return self._loss(weights, statistics, self._train)

    def held(self, weights: Tree, statistics: Statistics) -> float:
        """Return the held-out loss, nan where nothing is held out."""
        held = self.problem.held
        return math.nan if held is None else self._loss(weights, statistics, held)

    def _loss(self, weights: Tree, statistics: Statistics, data: Data) -> float:
        return mean_loss(self.problem, self._passes, weights, statistics, data) * self.problem.scale.objective


def some_rows(data: Data, rows: NDArray[np.intp]) -> Data:
    """Return some rows of data."""
    return data._replace(
        numbers=data.numbers[rows], codes=data.codes[rows], target=data.target[rows],
        weights=None if data.weights is None else data.weights[rows],
    )  # fmt: skip


@dataclass(frozen=True)
class Stepping:
    """How lanes take a step: what they learn by which rule (name, rule), and the compiled program of one batch size."""

    problem: NetworkProblem
    rule: tuple[str, Rule]
    program: Program


def named_rule(spec: Spec, usual: str) -> tuple[str, Rule]:
    """Return the rule that a spec asks for, ``usual`` where it leaves it to choice."""
    name = usual if spec.rule == "auto" else spec.rule
    return name, rule_of(name, spec.momentum, spec.weight_decay)


def stepping(
    problem: NetworkProblem, course: Course, rule: tuple[str, Rule], start: float, *, clip: float | None, pieces: int,
    own_rows: bool = False,
) -> Stepping:  # fmt: skip
    """Return the program for lanes of one batch size, compiled when it is first used.

    start: the training loss before the first step, in units of the target; EXPLODED times it ends a lane. own_rows:
    lanes of several seeds, each with its own order of the examples.
    """
    limit = EXPLODED * max(start / problem.scale.objective, 1e-30)
    program = Program(
        batch_loss(problem.rest, problem.loss, problem.l2), rule[1], course.batch,
        min(MOST_STEPS, course.updates_an_epoch), limit, lanes=True, clip=clip, pieces=pieces,
        one_by_one=convolves(problem.network), own_rows=own_rows, norm_every=MOST_STEPS,
    )  # fmt: skip
    return Stepping(problem, rule, program)


class SideBySide:
    """Trainings that go side by side, all with one batch size and one plan."""

    def __init__(self, how: Stepping, course: Course, lanes: Sequence[Lane], starts: Starts) -> None:
        """Place every lane at its start. course: the plan of each; its seed is left to the lanes."""
        self.how, self.course, self.lanes = how, course, list(lanes)
        self.update, self.seconds = 0, 0.0
        statistics = how.problem.network.statistics
        keys = dict.fromkeys((each.start, each.seed) for each in lanes)
        first = {
            key: first_state(starts[key], how.rule[1], statistics, key[1], keep_good=False) for key in keys
        }  # fmt: skip
        states = [first[each.start, each.seed] for each in lanes]
        # NumPy's arrays: what JAX does one by one is compiled for every shape.
        self.state: State = jax.tree.map(lambda *leaves: np.stack([np.asarray(leaf) for leaf in leaves]), *states)
        self._carried, self._places = self.lanes, np.arange(len(self.lanes))
        self._orders = {seed: Order(replace(course, seed=seed)) for _, seed in keys}
        self._step_seconds = math.nan

    @property
    def alive(self) -> NDArray[np.bool_]:
        """Which lanes (lanes,) have not diverged."""
        return np.asarray(self.state.alive)[self._places]

    @property
    def updates(self) -> NDArray[np.int32]:
        """How many updates (lanes,) each has taken: those that have diverged stand still."""
        return np.asarray(self.state.updates)[self._places]

    def advance_to(self, update: int, tell: TellUpdate | None = None) -> None:
        """Take the updates up to ``update``, or until no lane stands. tell: called with the update, now and then."""
        rates = np.array([each.rate for each in self._carried])
        while self.update < update and self.alive.any():
            count = self._chunk(update)
            share = self.course.share(self.update, count)
            began = time.perf_counter()
            self.state, _ = self.how.program.advance(
                self.state, self.how.problem.train, self._rows(count), np.outer(rates, share)
            )
            took = time.perf_counter() - began
            self.seconds += took
            self._step_seconds = took / count
            self.update += count
            if tell is not None:
                tell(self.update)

    def _chunk(self, update: int) -> int:
        """Return how many updates to take before looking up: within one epoch, for about CHUNK_SECONDS."""
        epoch = self.course.updates_an_epoch
        left = min(update - self.update, epoch - self.update % epoch)
        usual = FIRST_STEPS if math.isnan(self._step_seconds) else int(CHUNK_SECONDS / max(self._step_seconds, 1e-9))
        return min(left, max(1, usual), MOST_STEPS)

    def _rows(self, count: int) -> Indices:
        """Return the rows of the next updates, (n,) for one seed and (lanes, n) for several."""
        drawn = {seed: order.rows(self.update, count) for seed, order in self._orders.items()}
        if len(drawn) == 1:
            return next(iter(drawn.values()))
        return np.stack([drawn[each.seed] for each in self._carried]).astype(np.int32)

    def keep(self, indices: Sequence[int]) -> None:
        """Go on with some of the lanes only; the others stand still, or leave the program where that is worth it."""
        dropped = len(self._carried) - len(indices)
        self.lanes, self._places = [self.lanes[index] for index in indices], self._places[np.array(indices, np.intp)]
        if convolves(self.how.problem.network) or dropped * self._work_to_come() > WORTH:
            self.state = jax.tree.map(lambda leaf: np.asarray(leaf)[self._places], self.state)
            self._carried, self._places = self.lanes, np.arange(len(self.lanes))
            self._step_seconds = math.nan
        else:
            going = np.isin(np.arange(len(self._carried)), self._places)
            self.state = self.state._replace(alive=np.asarray(self.state.alive) & going)

    def _work_to_come(self) -> float:
        """Return the weights of a lane times the examples that it has still to see."""
        learned = sum(leaf.size for leaf in jax.tree.leaves(self.how.problem.weights))
        return float(learned) * (self.course.updates - self.update) * self.course.batch

    def weights(self, index: int) -> tuple[Tree, Statistics]:
        """Return the weights that a lane is judged by, and its running statistics."""
        place = int(self._places[index])
        own: State = jax.tree.map(lambda leaf: np.array(np.asarray(leaf)[place]), self.state)
        return settled_weights(self.how.rule[0], own.rule, own.weights), own.statistics


def check_lanes(
    architecture: Architecture,
    shape: tuple[int, ...],
    outputs: int,
    lanes: int,
    batch: int,
    pieces: int,
    remedy: Sentence,
) -> None:
    """Raise OptionError where so many lanes would not fit in memory; remedy: what to do then."""
    weights = COPIES * FLOAT * lanes * learned_numbers(architecture, shape, outputs)
    needed = weights + bytes_of_a_step(architecture, shape, lanes, batch, pieces)
    free = available_bytes()
    if free is not None and needed > free:
        message = say(
            '{lanes} trainings of "{model}" side by side would take about {needed} of memory, but {free} are free; '
            "{remedy}",
            lanes=lanes,
            model=architecture.text,
            needed=written(needed),
            free=written(free),
            remedy=remedy,
        )
        raise OptionError(message)


def learned_numbers(architecture: Architecture, shape: tuple[int, ...], outputs: int) -> int:
    """Return how many numbers a network learns, without building it. shape: of one example."""
    total, units = 0, [*architecture.channels, *architecture.hidden]
    for channels in architecture.channels:
        height, width, before = shape
        total += KERNEL**2 * before * channels
        shape = (height // 2, width // 2, channels)
    inputs = math.prod(shape)
    for outwards in (*architecture.hidden, outputs):
        total += inputs * outwards
        inputs = outwards
    own = 1 if architecture.normalisation == "none" else 3  # a bias, and then a scale and a shift
    return total + own * sum(units) + outputs
