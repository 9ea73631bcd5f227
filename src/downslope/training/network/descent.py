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
from contextlib import suppress
from functools import partial

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
from downslope.errors import InputError
from downslope.models.network.layers import Convolution, Network, Statistics
from downslope.records import Choice, GapKind, StepRecord, Verdict
from downslope.records.figures import figure
from downslope.records.files import record_from_json, record_to_json
from downslope.records.shape import Look, StopPoint
from downslope.training.checkpoint import Checkpoint, Keeper
from downslope.training.logbook import Watch
from downslope.training.network.course import Course, Order
from downslope.training.network.falling_back import BegunChunks
from downslope.training.network.measuring import Measuring, lost_in_noise
from downslope.training.network.path import KeptPath
from downslope.training.network.posing import mean_loss
from downslope.training.network.progress import LISTS, TOLD, Ended, NetworkProblem, Progress, named_leaves
from downslope.training.network.racing import (
    NEARLY,
    RETRIES,
    Race,
    divergence,
    first_bad,
    halvings,
    lasting_lane,
    restarted,
)
from downslope.training.network.telling import beside_limit, only_noise, raced, waited_enough, work_done
from downslope.types import Vector
from downslope.words import NOTHING, Sentence, say

CHUNK_SECONDS = 0.25
"""Seconds between two trips to the host."""
NORM_EVERY = 8
"""Updates between two whose gradient's length is taken: a mean of a few of them tells as much as all."""
MOST_STEPS = 2048
"""Most updates of one chunk, for which its program makes room."""
SETTLED = 0.25
"""Share of the planned updates before which a small gradient ends nothing: at a start it may only be slow."""
EXPLODED = 1e3
"""A batch loss this many times that of the start ends a lane."""
AT_ONCE = ("plain", "momentum", "nesterov")
"""Rules whose stability limit is known before their first step; the others divide by what they have met."""
KIND = "network"
"""What its checkpoints call themselves."""


class NetworkDescent:
    """Runs a training from where its state stands to its end."""

    def __init__(
        self, problem: NetworkProblem, course: Course, rule: tuple[str, Rule], rates: Vector, *, patience: int,
        max_seconds: float, clip: float | None, pieces: int, watch: Watch | None, measuring: Measuring,
        momentum: float = 0.0, keeper: Keeper | None = None, path: KeptPath | None = None,
    ) -> None:  # fmt: skip
        """Place the training at its start, or where the keeper's checkpoint stands.

        rates: to race, highest first, or the one given. measuring: of curvature and noise on the way. momentum: of the
        rule. path: of the weights, to be kept. Raises RunError for a checkpoint of another model.
        """
        self.problem, self.course, self.watch = problem, course, watch
        self.measuring, self.momentum = measuring, momentum
        self.rule_name, self.rule = rule
        self.patience, self.max_seconds, self.clip, self.pieces = patience, max_seconds, clip, pieces
        self.passes = Passes(problem.rest)
        self.start = self.loss_on(problem.weights, problem.network.statistics, problem.train)
        self.limit = EXPLODED * max(self.start, 1e-30) if math.isfinite(self.start) else math.inf
        self.progress = Progress(rates=[float(each) for each in rates])
        first = first_state(problem.weights, self.rule, problem.network.statistics, course.seed, keep_good=False)
        self.state: State = as_lanes(first, rates.size) if rates.size > 1 else first
        # A copy: the compiled steps reuse the memory of the state that they are given.
        self.best: tuple[Tree, Statistics] = jax.tree.map(np.array, (problem.weights, problem.network.statistics))
        if rates.size == 1:
            self.progress.chosen = float(rates[0])
        self._order = Order(course)
        self._programs: dict[bool, Program] = {}
        self._begun = BegunChunks(problem, course.batch)
        self._step_seconds = math.nan
        self.measure_seconds = 0.0
        self._began = time.perf_counter()
        self.path = path or KeptPath()
        self._keep_moment()
        self.keeper = keeper or Keeper()
        begin = self.keeper.taken_up(KIND)
        if begin is not None:
            self._restore(begin)

    def to_checkpoint(self) -> Checkpoint:
        """Return the whole state, between two chunks."""
        progress = self.progress
        log = {"updates": progress.updates, "seconds": self.seconds}
        told = {name: getattr(progress, name) for name in (*TOLD, *LISTS)} | {"path": self.path.to_values()}
        arrays = named_leaves("state", self.state) | named_leaves("best", self.best) | self.path.to_arrays()
        return Checkpoint(KIND, arrays, told | {"log": log}, tuple(progress.steps))

    def _restore(self, begin: Checkpoint) -> None:
        progress, told = self.progress, begin.values
        for name in TOLD:
            setattr(progress, name, told[name])
        for name in LISTS:
            setattr(progress, name, list(told[name]))
        progress.seconds, progress.steps = told["log"]["seconds"], list(begin.steps)
        statistics = self.problem.network.statistics
        first = first_state(self.problem.weights, self.rule, statistics, self.course.seed, keep_good=False)
        like = as_lanes(first, len(progress.rates)) if self.racing else first
        self.state = self._leaves_like("state", like)
        self.best = self._leaves_like("best", self.best)
        shapes = self.path.arrays_like(told["path"], (self.state.weights, self.state.statistics))
        self.path.restore(told["path"], self.keeper.fitting(shapes))

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
        return mean_loss(self.problem, self.passes, weights, statistics, data)

    def run(self) -> Ended:
        """Train to the end; a KeyboardInterrupt ends it where it stands."""
        if self.progress.updates == 0 and self.rule_name in AT_ONCE:
            self.look_around()
        try:
            while True:
                ended = self.advance()
                if ended is not None:
                    return ended
                self.keeper.offer(self.to_checkpoint)
        except KeyboardInterrupt:
            if not self.progress.steps:
                raise
            return self._end(Verdict.STOPPED, say("stopped by hand after {work}", work=self._work()))

    def advance(self) -> Ended | None:
        """Take one chunk of updates and look at what came of it; return the end of the training, or None."""
        progress, course = self.progress, self.course
        count = self._chunk_size()
        share = course.share(progress.updates, count)
        rates = np.outer(progress.rates, share) if self.racing else progress.chosen * share
        rows = self._order.rows(progress.updates, count)
        if not self.racing:
            self._begun.begin(self.state, rows, rates)
        began = time.perf_counter()
        fresh = self.racing not in self._programs
        self.state, chunk = self._program().advance(self.state, self.problem.train, rows, rates)
        if not fresh:
            self._step_seconds = (time.perf_counter() - began) / count
        ended = self._after_race_chunk(chunk, count) if self.racing else self._after_chunk(chunk, count)
        if ended is None:
            self._keep_moment()
        if ended is None and course.measures_at(progress.updates):
            self.look_around()
        return ended

    def _keep_moment(self) -> None:
        """Keep where the training stands on its path, if that is due."""
        if self.path.is_mark(self.progress.updates):
            settle = partial(settled_weights, self.rule_name)
            weights = (jax.vmap(settle) if self.racing else settle)(self.state.rule, self.state.weights)
            self.path.keep(self.progress.updates, (weights, self.state.statistics))

    def look_around(self) -> None:
        """Measure curvature and noise where the training stands, once; silent where there is no finite curvature."""
        progress = self.progress
        if self.racing or (progress.looks and progress.looks[-1]["update"] == progress.updates):
            return
        began = time.perf_counter()
        rate = progress.chosen * float(self.course.share(max(progress.updates - 1, 0), 1)[0])
        with suppress(InputError):
            look = self.measuring.look(
                self.state, (self.rule_name, self.momentum), rate, progress.updates,
                self.course.passes(progress.updates),
            )  # fmt: skip
            progress.looks.append(record_to_json(look))
        self.measure_seconds += time.perf_counter() - began

    def _program(self) -> Program:
        if self.racing not in self._programs:
            loss = batch_loss(self.problem.rest, self.problem.loss, self.problem.l2)
            steps = min(MOST_STEPS, self.course.updates_an_epoch)
            self._programs[self.racing] = Program(
                loss, self.rule, self.course.batch, steps, self.limit, lanes=self.racing, clip=self.clip,
                pieces=self.pieces, one_by_one=convolves(self.problem.network), norm_every=NORM_EVERY,
            )  # fmt: skip
        return self._programs[self.racing]

    def _chunk_size(self) -> int:
        """Return how many updates to take before the host is told: about CHUNK_SECONDS of them, within one epoch."""
        updates = self.progress.updates
        left = self.path.next_mark(updates, self.course.next_stop(updates)) - updates
        usual = 8 if math.isnan(self._step_seconds) else max(1, int(CHUNK_SECONDS / max(self._step_seconds, 1e-9)))
        return min(left, usual, MOST_STEPS)

    def _after_race_chunk(self, chunk: Chunk, count: int) -> Ended | None:
        progress, course = self.progress, self.course
        race = Race(course.race)
        progress.raced = race.added(progress.raced or [0.0] * len(progress.rates), chunk, progress.updates)
        progress.updates += count
        leader = int(np.argmin(progress.raced)) if np.isfinite(progress.raced).any() else len(progress.rates) - 1
        self._note(chunk.losses[leader], chunk.norms[leader], progress.rates[leader], lanes=len(progress.rates))
        if progress.updates < course.race:
            return None
        mean = race.means(progress.raced)
        progress.evidence = race.evidence(progress.rates, mean, self.problem.scale.objective)
        if not np.isfinite(mean).any():
            return self._end(
                Verdict.DIVERGED, say("diverged at every rate from {rate} down", rate=figure(progress.rates[0]))
            )
        winner = lasting_lane(progress.rates, mean, self.start)
        self.state = lane(self.state, winner)
        self.path.choose(winner)
        progress.chosen = progress.rates[winner]
        progress.rates = [progress.chosen]
        self._step_seconds = math.nan
        return None

    def _after_chunk(self, chunk: Chunk, count: int) -> Ended | None:
        progress = self.progress
        if not bool(self.state.alive):
            return self._after_divergence(chunk)
        progress.updates += count
        held = self._look() if self.course.looks_at(progress.updates) else math.nan
        rate = progress.chosen * float(self.course.share(progress.updates - 1, 1)[0])
        self._note(chunk.losses, chunk.norms, rate, held)
        message = self._converged()
        if message:
            return self._end(Verdict.CONVERGED, message)
        if progress.updates >= self.course.updates:
            return self._end(Verdict.BUDGET, say("all the planned work is done: {work}", work=self._work()))
        if self.seconds >= self.max_seconds:
            return self._end(Verdict.BUDGET, say("max-seconds is reached after {work}", work=self._work()))
        return None

    def _converged(self) -> Sentence:
        """Return why nothing more is to be gained, empty while something may be."""
        progress, rows = self.progress, self.problem.train.rows
        if progress.waited >= self.patience:
            return waited_enough(self.patience, progress.best_update)
        if len(progress.noises) >= self.patience and progress.updates >= SETTLED * self.course.updates:
            spread, signal = np.mean(progress.noises[-self.patience :], axis=0)
            if lost_in_noise(spread, signal, rows):
                return only_noise(self.patience, signal, spread / rows)
        return NOTHING

    def _look(self) -> float:
        """Return the held-out loss, and keep the weights where it is the lowest; nan where no rows are held out.

        Without them, and where the rate stays as it is, the noise of the gradient is looked at instead.
        """
        progress, held = self.progress, self.problem.held
        if held is None:
            if self.course.schedule == "constant":
                noise = self.measuring.noise(self.state.weights, self.state.statistics)
                progress.noises.append((noise.spread, noise.signal))
            return math.nan
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
        bad = first_bad(chunk, self.limit)
        loss, explained = float(chunk.losses[bad]), NOTHING
        progress.updates += bad
        good = self._begun.last_good(self._program(), bad)
        if not math.isfinite(loss):
            explained = self._begun.where_numbers_ceased(self._program(), good, bad)
        self.state = good
        if progress.evidence and progress.retries < RETRIES:
            progress.retries += 1
            progress.chosen *= 0.5
            self.state = restarted(good, self.rule, self.course.seed)
            self._begun.forget()
            progress.updates = int(self.state.updates)
            return None
        what = explained or say("the loss is {loss} times the start's", loss=figure(loss / self.start))
        limit = self.looks()[-1].limit if progress.looks else math.nan
        return self._end(Verdict.DIVERGED, divergence(progress.updates + 1, what, progress.chosen, limit))

    def _end(self, verdict: Verdict, message: Sentence) -> Ended:
        weights = settled_weights(self.rule_name, self.state.rule, self.state.weights)
        statistics = self.state.statistics
        if verdict is not Verdict.DIVERGED and not self.racing:
            self.path.end(self.progress.updates, (weights, statistics))
        if self.racing:
            weights, statistics = self.problem.weights, self.problem.network.statistics
            self.path.start_only()
        if math.isfinite(self.progress.best):
            weights, statistics = self.best
        return Ended(verdict, message, weights, statistics)

    def _work(self) -> Sentence:
        return work_done(self.progress.updates, self.course.passes(self.progress.updates))

    def _note(
        self, losses: NDArray[np.float32], norms: NDArray[np.float32], rate: float, held: float = math.nan,
        lanes: int = 1,
    ) -> None:  # fmt: skip
        """Record the mean of the batch losses met since the last look."""
        known = losses[np.isfinite(losses)]
        objective = float(known.mean()) * self.problem.scale.objective if known.size else math.nan
        lengths = norms[np.isfinite(norms)].astype(np.float64)
        norm = float(np.sqrt(np.mean(lengths**2))) if lengths.size else math.nan
        record = StepRecord(
            self.progress.updates, self.course.passes(self.progress.updates), self.seconds, objective, norm, rate,
            math.nan, GapKind.NONE, False, held * self.problem.scale.objective,
        )  # fmt: skip
        self.progress.steps.append(record)
        if self.watch is not None:
            self.watch(record)

    def choice(self) -> Choice | None:
        """Return the learning rate chosen, with what the others reached; None where it was given."""
        progress = self.progress
        if not progress.evidence:
            return None
        reason = raced(len(progress.evidence), self.course.race, NEARLY)
        beside = beside_limit(self.looks(), progress.chosen * 2**progress.retries)
        return Choice("learning_rate", progress.chosen, reason + beside + halvings(progress.retries),
                      tuple(progress.evidence))  # fmt: skip

    def looks(self) -> tuple[Look, ...]:
        """Return what was measured along the run."""
        return tuple(record_from_json(Look, each) for each in self.progress.looks)

    def stop_point(self, ended: Ended, objective: float) -> StopPoint | None:
        """Return what kind of point the training ended at; None where it diverged, or where nothing can be measured.

        objective: the loss there. The rate is compared with the stability limit only where it stays as it is to the
        end and steps are plain.
        """
        if ended.verdict is Verdict.DIVERGED or self.racing:
            return None
        steady = self.rule_name == "plain" and self.course.schedule == "constant"
        with suppress(InputError):
            return self.measuring.stop(
                ended.weights, ended.statistics, rate=self.progress.chosen if steady else math.nan,
                batch=self.course.batch, fallen=self.start - objective,
            )  # fmt: skip
        return None


def convolves(network: Network) -> bool:
    """Return whether a network has convolutions, whose lanes gain nothing from going side by side."""
    return any(isinstance(each.layer, Convolution) for each in network.hidden)
