"""One training of a network, as a machine whose whole state can be put down and taken up again.

The state is small and explicit: the lanes still running with their rates, the weights that were best held out,
and the record so far. How the updates are cut into chunks changes nothing, so a run that was killed and taken up
again takes the same steps as one that was not.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from downslope.engines.network.inputs import Data, Passes, batch_loss
from downslope.engines.network.loop import (
    Chunk,
    Program,
    State,
    Tree,
    as_lanes,
    first_state,
    lane,
)
from downslope.engines.network.rules import Rule, settled_weights
from downslope.losses import Loss
from downslope.models.linear import Objective
from downslope.models.network.layers import Network, Statistics
from downslope.records import Choice, GapKind, StepRecord, Verdict
from downslope.records.figures import figure, plural
from downslope.training.checkpoint import Checkpoint, Keeper
from downslope.training.logbook import Watch
from downslope.training.network.course import Course, Order
from downslope.training.network.scaling import TargetScale
from downslope.types import JsonValue, Vector

CHUNK_SECONDS = 0.25
"""Seconds between two trips to the host."""
MOST_STEPS = 2048
"""Most updates of one chunk, for which its program makes room."""
EXPLODED = 1e3
"""A batch loss this many times that of the start ends a lane."""
NEARLY = 0.95
"""Share of the best lane's drop that a smaller rate must reach to be preferred: a race is short, a run is long."""
RETRIES = 3
"""Times that a run whose rate was chosen here goes back to its best weights with half the rate."""
KIND = "network"
"""What its checkpoints call themselves."""
TOLD = ("updates", "chosen", "best", "best_update", "waited", "retries")
LISTS = ("rates", "raced", "evidence")
"""The fields of ``Progress`` that a checkpoint holds as JSON."""


@dataclass(frozen=True)
class NetworkProblem:
    """What is to be trained on what.

    network: at its start. rest: what is not learned of it. train, held: on the device; held is None without one.
    loss: in the network's units, as ``scale`` says. outputs: k.
    """

    network: Network
    weights: Tree
    rest: Tree
    train: Data
    held: Data | None
    loss: Loss
    outputs: int
    l2: float
    scale: TargetScale


@dataclass
class Progress:
    """How far a training has come: all that a checkpoint holds beside the arrays.

    updates: steps taken. rates: of the lanes still running. chosen: the rate after the race. best, best_update: the
    lowest held-out loss and where. waited: looks since. retries: times the rate was halved. raced: summed losses of
    each lane over the second half of the race. seconds: of earlier sittings.
    """

    updates: int = 0
    rates: list[float] = field(default_factory=list[float])
    chosen: float = math.nan
    best: float = math.inf
    best_update: int = 0
    waited: int = 0
    retries: int = 0
    raced: list[float] = field(default_factory=list[float])
    evidence: list[dict[str, JsonValue]] = field(default_factory=list[dict[str, JsonValue]])
    seconds: float = 0.0
    steps: list[StepRecord] = field(default_factory=list[StepRecord])


@dataclass(frozen=True)
class Ended:
    """How a training ended, and with which weights."""

    verdict: Verdict
    message: str
    weights: Tree
    statistics: Statistics


class NetworkDescent:
    """Runs a training from where its state stands to its end."""

    def __init__(
        self, problem: NetworkProblem, course: Course, rule: tuple[str, Rule], rates: Vector, *, patience: int,
        max_seconds: float, clip: float | None, pieces: int, watch: Watch | None, keeper: Keeper | None = None,
    ) -> None:  # fmt: skip
        """Place the training at its start, or where the keeper's checkpoint stands.

        rates: to race, highest first, or the one given. Raises RunError for a checkpoint of another model.
        """
        self.problem, self.course, self.watch = problem, course, watch
        self.rule_name, self.rule = rule
        self.patience, self.max_seconds, self.clip, self.pieces = patience, max_seconds, clip, pieces
        self.passes = Passes(problem.rest)
        self.start = self.loss_on(problem.weights, problem.network.statistics, problem.train)
        self.limit = EXPLODED * max(self.start, 1e-30)
        self.progress = Progress(rates=[float(each) for each in rates])
        first = first_state(problem.weights, self.rule, problem.network.statistics, course.seed)
        self.state: State = as_lanes(first, rates.size) if rates.size > 1 else first
        # A copy: the compiled steps reuse the memory of the state that they are given.
        self.best: tuple[Tree, Statistics] = jax.tree.map(np.array, (problem.weights, problem.network.statistics))
        if rates.size == 1:
            self.progress.chosen = float(rates[0])
        self._order = Order(course)
        self._programs: dict[bool, Program] = {}
        self._step_seconds = math.nan
        self._began = time.perf_counter()
        self.keeper = keeper or Keeper()
        begin = self.keeper.taken_up(KIND)
        if begin is not None:
            self._restore(begin)

    def to_checkpoint(self) -> Checkpoint:
        """Return the whole state, between two chunks."""
        progress = self.progress
        log = {"updates": progress.updates, "seconds": self.seconds}
        told = {name: getattr(progress, name) for name in (*TOLD, *LISTS)}
        arrays = named_leaves("state", self.state) | named_leaves("best", self.best)
        return Checkpoint(KIND, arrays, told | {"log": log}, tuple(progress.steps))

    def _restore(self, begin: Checkpoint) -> None:
        progress, told = self.progress, begin.values
        for name in TOLD:
            setattr(progress, name, told[name])
        for name in LISTS:
            setattr(progress, name, list(told[name]))
        progress.seconds, progress.steps = told["log"]["seconds"], list(begin.steps)
        first = first_state(self.problem.weights, self.rule, self.problem.network.statistics, self.course.seed)
        like = as_lanes(first, len(progress.rates)) if self.racing else first
        self.state = self._leaves_like("state", like)
        self.best = self._leaves_like("best", self.best)

    def _leaves_like(self, name: str, like: Tree) -> Tree:
        """Return a tree of the checkpoint's arrays, copied: the compiled steps reuse the memory of a state."""
        found = self.keeper.fitting(named_leaves(name, like))
        leaves = [jnp.array(array, copy=True) for array in found.values()]
        return jax.tree.unflatten(jax.tree.structure(like), leaves)

    @property
    def racing(self) -> bool:
        """True while several rates run side by side."""
        return len(self.progress.rates) > 1

    @property
    def seconds(self) -> float:
        """Seconds of descent so far, earlier sittings included."""
        return self.progress.seconds + time.perf_counter() - self._began

    def loss_on(self, weights: Tree, statistics: Statistics, data: Data) -> float:
        """Return the mean loss over data by example weight, in the network's units and without penalty."""
        scores = self.passes.scores(weights, statistics, data).astype(np.float64)
        target = np.asarray(data.target, np.float64)
        each = Objective(self.problem.loss, 0.0, 0.0, True, self.problem.outputs).losses(scores, target)
        return float(each.mean() if data.weights is None else np.average(each, weights=np.asarray(data.weights)))

    def run(self) -> Ended:
        """Train to the end; a KeyboardInterrupt ends it where it stands."""
        try:
            while True:
                ended = self.advance()
                if ended is not None:
                    return ended
                self.keeper.offer(self.to_checkpoint)
        except KeyboardInterrupt:
            if not self.progress.steps:
                raise
            return self._end(Verdict.STOPPED, f"stopped by hand after {self._work()}")

    def advance(self) -> Ended | None:
        """Take one chunk of updates and look at what came of it; return the end of the training, or None."""
        progress, course = self.progress, self.course
        count = self._chunk_size()
        share = course.share(progress.updates, count)
        rates = np.outer(progress.rates, share) if self.racing else progress.chosen * share
        rows = self._order.rows(progress.updates, count)
        began = time.perf_counter()
        fresh = self.racing not in self._programs
        self.state, chunk = self._program().advance(self.state, self.problem.train, rows, rates)
        if not fresh:
            self._step_seconds = (time.perf_counter() - began) / count
        if self.racing:
            return self._after_race_chunk(chunk, count)
        return self._after_chunk(chunk, count)

    def _program(self) -> Program:
        if self.racing not in self._programs:
            loss = batch_loss(self.problem.rest, self.problem.loss, self.problem.l2)
            steps = min(MOST_STEPS, self.course.updates_an_epoch)
            self._programs[self.racing] = Program(
                loss, self.rule, self.course.batch, steps, self.limit, lanes=self.racing, clip=self.clip,
                pieces=self.pieces,
            )  # fmt: skip
        return self._programs[self.racing]

    def _chunk_size(self) -> int:
        """Return how many updates to take before the host is told: about CHUNK_SECONDS of them, within one epoch."""
        left = self.course.next_stop(self.progress.updates) - self.progress.updates
        usual = 8 if math.isnan(self._step_seconds) else max(1, int(CHUNK_SECONDS / max(self._step_seconds, 1e-9)))
        return min(left, usual, MOST_STEPS)

    def _after_race_chunk(self, chunk: Chunk, count: int) -> Ended | None:
        progress, course = self.progress, self.course
        half = course.race // 2
        first = max(half - progress.updates, 0)
        if not progress.raced:
            progress.raced = [0.0] * len(progress.rates)
        if first < count:
            late = np.where(np.isfinite(chunk.losses[:, first:]), chunk.losses[:, first:], np.inf)
            # One after another: a sum that does not depend on where the chunks were cut.
            progress.raced = np.cumsum(np.column_stack([progress.raced, late]), axis=1)[:, -1].tolist()
        progress.updates += count
        leader = int(np.argmin(progress.raced)) if np.isfinite(progress.raced).any() else len(progress.rates) - 1
        self._note(chunk.losses[leader], chunk.norms[leader], progress.rates[leader], lanes=len(progress.rates))
        if progress.updates < course.race:
            return None
        mean = [total / max(course.race - half, 1) for total in progress.raced]
        progress.evidence = [
            {"learning_rate": rate, "objective": value * self.problem.scale.objective if math.isfinite(value) else None,
             "updates": course.race}
            for rate, value in zip(progress.rates, mean, strict=True)
        ]  # fmt: skip
        if not np.isfinite(mean).any():
            return self._end(Verdict.DIVERGED, f"diverged at every rate from {figure(progress.rates[0])} down")
        winner = self._winner(np.array(mean))
        self.state = lane(self.state, winner)
        progress.chosen = progress.rates[winner]
        progress.rates = [progress.chosen]
        self._step_seconds = math.nan
        return None

    def _winner(self, mean: Vector) -> int:
        """Return the lane with the smallest rate of those that fell nearly as far as the best: rates last longer."""
        drop = self.start - np.where(np.isfinite(mean), mean, np.inf)
        near = np.flatnonzero(drop >= NEARLY * drop.max()) if drop.max() > 0 else np.array([int(np.argmin(mean))])
        return int(near[np.argmin(np.array(self.progress.rates)[near])])

    def _after_chunk(self, chunk: Chunk, count: int) -> Ended | None:
        progress = self.progress
        if not bool(self.state.alive):
            return self._after_divergence(chunk)
        progress.updates += count
        held = math.nan
        if self.problem.held is not None and self.course.looks_at(progress.updates):
            held = self._look()
        rate = progress.chosen * float(self.course.share(progress.updates - 1, 1)[0])
        self._note(chunk.losses, chunk.norms, rate, held)
        if progress.waited >= self.patience:
            message = (
                f"converged: the held-out loss has not fallen for {plural(self.patience, 'look')}; "
                f"the weights of update {progress.best_update:,}, its lowest, are kept"
            )
            return self._end(Verdict.CONVERGED, message)
        if progress.updates >= self.course.updates:
            return self._end(Verdict.BUDGET, f"all the planned work is done: {self._work()}")
        if self.seconds >= self.max_seconds:
            return self._end(Verdict.BUDGET, f"max-seconds is reached after {self._work()}")
        return None

    def _look(self) -> float:
        """Return the held-out loss, and keep the weights where it is the lowest."""
        progress, held = self.progress, self.problem.held
        assert held is not None
        weights = settled_weights(self.rule_name, self.state.rule, self.state.weights)
        value = self.loss_on(weights, self.state.statistics, held)
        if value < progress.best:
            progress.best, progress.best_update, progress.waited = value, progress.updates, 0
            self.best = jax.tree.map(np.array, (weights, self.state.statistics))
        else:
            progress.waited += 1
        return value

    def _after_divergence(self, chunk: Chunk) -> Ended | None:
        """End the run at its last good weights; a rate that was chosen here is halved first."""
        progress = self.progress
        finite = np.isfinite(chunk.losses) & (chunk.losses <= self.limit) & np.isfinite(chunk.norms)
        where = progress.updates + int(np.argmin(finite)) + 1
        if progress.evidence and progress.retries < RETRIES:
            progress.retries += 1
            progress.chosen *= 0.5
            fresh = first_state(self.state.weights, self.rule, self.state.statistics, self.course.seed)
            self.state = fresh._replace(updates=self.state.updates)
            progress.updates = where - 1
            return None
        met = float(chunk.losses[where - progress.updates - 1])
        what = (
            "the loss is not a number"
            if not math.isfinite(met)
            else f"the loss is {figure(met / self.start)} times the start's"
        )
        progress.updates = where - 1
        message = (
            f"diverged at update {where:,}: {what} at learning rate {figure(progress.chosen)}; "
            f"try {figure(progress.chosen / 4)}, or leave the rate to choice"
        )
        return self._end(Verdict.DIVERGED, message)

    def _end(self, verdict: Verdict, message: str) -> Ended:
        weights = settled_weights(self.rule_name, self.state.rule, self.state.weights)
        statistics = self.state.statistics
        if self.racing:
            weights, statistics = self.problem.weights, self.problem.network.statistics
        if math.isfinite(self.progress.best):
            weights, statistics = self.best
        return Ended(verdict, message, weights, statistics)

    def _work(self) -> str:
        passes = self.course.passes(self.progress.updates)
        return f"{plural(self.progress.updates, 'update')}, {plural(passes, 'pass', 'passes')}"

    def _note(
        self, losses: NDArray[np.float32], norms: NDArray[np.float32], rate: float, held: float = math.nan,
        lanes: int = 1,
    ) -> None:  # fmt: skip
        """Record the mean of the batch losses met since the last look."""
        known = losses[np.isfinite(losses)]
        objective = float(known.mean()) * self.problem.scale.objective if known.size else math.nan
        norm = float(np.sqrt(np.mean(norms[np.isfinite(norms)].astype(np.float64) ** 2))) if known.size else math.nan
        record = StepRecord(
            self.progress.updates, self.course.passes(self.progress.updates), self.seconds, objective, norm, rate,
            math.nan, GapKind.NONE, False, held * self.problem.scale.objective,
        )  # fmt: skip
        self.progress.steps.append(record)
        if self.watch is not None:
            self.watch(record)

    def choice(self, reason: str) -> Choice | None:
        """Return the learning rate chosen, with what the others reached; None where it was given."""
        if not self.progress.evidence:
            return None
        halved = (
            f"; halved {plural(self.progress.retries, 'time')} where it diverged later" if self.progress.retries else ""
        )
        return Choice("learning_rate", self.progress.chosen, reason + halved, tuple(self.progress.evidence))


def named_leaves(name: str, tree: Tree) -> dict[str, NDArray[Any]]:
    """Return own copies of the leaves of a tree, in their order, under a name."""
    return {f"{name}.{index}": np.array(leaf) for index, leaf in enumerate(jax.tree.leaves(tree))}
