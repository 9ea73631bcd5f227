"""Descent on a function of any tree of arrays, by a rule, through the loop of networks.

With data the function is a mean over examples, and a batch of them gives a noisy slope; without, or with all the data
at every step, the slope is exact, so that convergence shows in it.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from downslope.data.batches import order
from downslope.engines.network.loop import Chunk, Program, State, as_lanes, first_state, lane
from downslope.engines.network.problems import FunctionProblem
from downslope.engines.network.rules import Rule, settled_weights
from downslope.records import Choice, Spec, StepRecord, Verdict
from downslope.records.figures import figure, plural
from downslope.records.files import record_from_json, record_to_json
from downslope.training.checkpoint import Checkpoint, Keeper
from downslope.training.logbook import Watch
from downslope.training.network.course import EPOCHS, Course, course_of
from downslope.training.network.progress import named_leaves
from downslope.training.network.racing import RETRIES, Race, divergence, first_bad, halvings, restarted
from downslope.types import Indices, Vector
from downslope.words import NOTHING, Sentence, part_of, say

UPDATES, LEAST_UPDATES = 2000, 1000
"""Updates where none are named: with exact slopes, and the fewest with batches."""
RATES = tuple(float(rate) for rate in 10.0 ** np.arange(1.0, -6.5, -0.5))
"""Rates that are raced on a function of which nothing is known, highest first."""
CHUNK_SECONDS, MOST_STEPS = 0.25, 2048
"""Seconds between two trips to the host, and the most updates between them."""
EXPLODED = 1e3
"""A loss so many times the size of the start's, or of 1, above the start ends a lane."""
KIND = "function"
"""What the checkpoints of a descent by a rule call themselves."""
SAME = {True: 1e-6, False: 1e-3}
"""Share by which the loss at the start may differ from that of an earlier sitting, in float64 and in float32."""


@dataclass(frozen=True)
class Descent:
    """Where a descent came to.

    weights: a tree, as the problem has them. rate: in use at the end, nan for none. seconds: of descent, earlier
    sittings included.
    """

    weights: Any
    verdict: Verdict
    message: Sentence
    updates: int
    passes: float
    steps: tuple[StepRecord, ...]
    choices: tuple[Choice, ...]
    rate: float
    seconds: float


def check_start(keeper: Keeper, begin: Checkpoint, value: float, double: bool) -> None:
    """Raise RunError where the loss at the start, a value, is not that of a checkpoint: it is another loss."""
    kept = float(begin.values["start"])
    if abs(value - kept) > SAME[double] * max(abs(value), abs(kept)):
        message = say(
            "the loss is {value} at the start here, and was {kept} there", value=figure(value, 6), kept=figure(kept, 6)
        )
        raise keeper.foreign(message)


def plan(problem: FunctionProblem, spec: Spec, batch: int, updates: int | None, own_rate: bool) -> Course:
    """Return the course of a descent by a rule; batch 0 is all data, whose slopes are exact.

    With exact slopes a rate that was given stays as it is, and one that was raced, which is the highest that
    serves at first, falls to zero.
    """
    exact = batch == 0
    used = 1 if exact else problem.rows // batch * batch
    an_epoch = 1 if exact else used // batch
    asked = spec
    if exact and spec.schedule == "auto":
        asked = replace(asked, schedule="constant" if own_rate else "cosine")
    if updates is None and isinstance(spec.epochs, str):
        updates = UPDATES if exact else max(EPOCHS * an_epoch, LEAST_UPDATES)
    if updates is not None:
        asked = replace(asked, epochs=(updates - 0.5) / an_epoch)  # rounded up there, whatever its last digit
    return course_of(used, max(batch, 1), asked, own_rate)


class RuleDescent:
    """Goes down by a rule of Optax; rates that are left to choice are raced on the first updates, and continued."""

    def __init__(
        self, problem: FunctionProblem, course: Course, rule: tuple[str, Rule], rates: Vector, spec: Spec, *,
        exact: bool, watch: Watch | None, keeper: Keeper | None = None,
    ) -> None:  # fmt: skip
        """Place the descent at its start, or where the keeper's checkpoint stands.

        rates: to race, highest first, or the one given. exact: all data a step. Raises RunError for a checkpoint of
        another descent.
        """
        self.problem, self.course, self.spec, self.exact, self.watch = problem, course, spec, exact, watch
        self.name, self.rule = rule
        self.start = problem.whole(problem.weights)
        self.limit = self.start.value + EXPLODED * max(abs(self.start.value), 1.0)
        self.rates: list[float] = [float(each) for each in rates]
        self.rate = self.rates[0]
        first = first_state(problem.weights, self.rule, (), course.seed)
        self.state: State = as_lanes(first, rates.size) if rates.size > 1 else first
        self.steps: list[StepRecord] = []
        self.choices: list[Choice] = []
        self.updates, self.retries = 0, 0
        self._raced = [0.0] * len(self.rates)
        self._order: tuple[int, Indices] = (-1, np.empty(0, np.int32))
        self._programs: dict[bool, Program] = {}
        self._step_seconds = math.nan
        self._earlier, self._began = 0.0, time.perf_counter()
        self.keeper = keeper or Keeper()
        begin = self.keeper.taken_up(KIND)
        if begin is not None:
            self._restore(begin)

    def to_checkpoint(self) -> Checkpoint:
        """Return the whole state, between two chunks."""
        told = {
            "updates": self.updates, "retries": self.retries, "rate": self.rate, "rates": self.rates,
            "raced": self._raced, "choices": [record_to_json(each) for each in self.choices],
            "start": self.start.value, "log": {"updates": self.updates, "seconds": self.seconds},
        }  # fmt: skip
        return Checkpoint(KIND, named_leaves("state", self.state), told, tuple(self.steps))

    def _restore(self, begin: Checkpoint) -> None:
        told = begin.values
        check_start(self.keeper, begin, self.start.value, self.problem.double)
        self.updates, self.retries, self.rate = told["updates"], told["retries"], told["rate"]
        self.rates, self._raced = list(told["rates"]), list(told["raced"])
        self.choices = [record_from_json(Choice, each) for each in told["choices"]]
        self.steps, self._earlier = list(begin.steps), told["log"]["seconds"]
        first = first_state(self.problem.weights, self.rule, (), self.course.seed)
        like = as_lanes(first, len(self.rates)) if len(self.rates) > 1 else first
        found = self.keeper.fitting(named_leaves("state", like))
        # Copies: the compiled steps reuse the memory of the state that they are given.
        leaves = [jnp.array(each, copy=True) for each in found.values()]
        self.state = jax.tree.unflatten(jax.tree.structure(like), leaves)

    @property
    def seconds(self) -> float:
        """Seconds of descent so far, earlier sittings included."""
        return self._earlier + time.perf_counter() - self._began

    def run(self) -> Descent:
        """Descend to the end; a KeyboardInterrupt ends it where it stands."""
        if not self.steps:
            self._note(self.start.value, self.start.norm, update=0)
        verdict, message = self._checked_start()
        try:
            while not message:
                verdict, message = self._advance()
                if not message:
                    self.keeper.offer(self.to_checkpoint)
        except KeyboardInterrupt:
            verdict, message = (
                Verdict.STOPPED,
                say("stopped by hand after {updates}", updates=plural(self.updates, "update")),
            )
        state = lane(self.state, int(np.argmin(self._raced))) if len(self.rates) > 1 else self.state
        weights = settled_weights(self.name, state.rule, state.weights)
        if verdict is Verdict.DIVERGED:
            weights = state.last_good
        return Descent(
            weights, verdict, message, self.updates, self._passes(), tuple(self.steps), tuple(self.choices),
            self.rate, self.seconds,
        )  # fmt: skip

    def _checked_start(self) -> tuple[Verdict, Sentence]:
        if self.exact and self.start.norm == 0:
            return Verdict.CONVERGED, say("the gradient is zero at the start, so no rule takes a step")
        return Verdict.BUDGET, NOTHING

    def _advance(self) -> tuple[Verdict, Sentence]:
        """Take one chunk of updates; return how the descent ended, with an empty sentence while it goes on."""
        racing, count = len(self.rates) > 1, self._chunk_size()
        share = self.course.share(self.updates, count)
        began, fresh = time.perf_counter(), racing not in self._programs
        rates = np.outer(self.rates, share) if racing else self.rate * share
        before = jax.tree.map(lambda leaf: leaf.copy(), self.state) if self.exact and not racing else None
        self.state, chunk = self._program(racing).advance(self.state, self.problem.data, self._rows(count), rates)
        small = np.flatnonzero(chunk.norms <= self.spec.tolerance * self.start.norm)
        if before is not None and small.size:
            return self._converged(before, chunk, int(small[0]), rates)
        if not fresh:
            self._step_seconds = (time.perf_counter() - began) / count
        return self._after_race(chunk, count) if racing else self._after(chunk, count)

    def _program(self, racing: bool) -> Program:
        if racing not in self._programs:
            steps = MOST_STEPS if self.exact else min(MOST_STEPS, self.course.updates_an_epoch)
            self._programs[racing] = Program(
                self.problem.batch_loss(self.exact), self.rule, self.course.batch, steps, self.limit, lanes=racing,
                clip=self.spec.clip,
            )  # fmt: skip
        return self._programs[racing]

    def _chunk_size(self) -> int:
        usual = 16 if math.isnan(self._step_seconds) else max(1, int(CHUNK_SECONDS / max(self._step_seconds, 1e-9)))
        stop = self.course.updates if self.exact else self.course.next_stop(self.updates)
        if len(self.rates) > 1:
            stop = min(stop, self.course.race)
        return min(stop - self.updates, usual, MOST_STEPS)

    def _rows(self, count: int) -> Indices:
        """Return the rows of the next updates: of each epoch's new order of all, as far as whole batches go."""
        if self.exact:
            return np.zeros(count, np.int32)
        epoch, within = divmod(self.updates, self.course.updates_an_epoch)
        if epoch != self._order[0]:
            self._order = epoch, order(self.problem.rows, self.course.seed, epoch)
        batch = self.course.batch
        return self._order[1][within * batch : (within + count) * batch]

    def _after_race(self, chunk: Chunk, count: int) -> tuple[Verdict, Sentence]:
        race = Race(self.course.race)
        self._raced = race.added(self._raced, chunk, self.updates)
        self.updates += count
        if self.updates < self.course.race:
            return Verdict.BUDGET, NOTHING
        mean = race.means(self._raced)
        if self.exact:
            mean = np.array([self._reached(lane(self.state, index)) for index in range(len(self.rates))])
        mean = np.where(np.asarray(self.state.alive) & np.isfinite(mean), mean, np.inf)
        if not np.isfinite(mean).any():
            return Verdict.DIVERGED, say(
                "diverged at every rate from {highest} to {lowest}",
                highest=figure(self.rates[0]),
                lowest=figure(self.rates[-1]),
            )
        winner = int(np.argmin(mean))
        self.rate = self.rates[winner]
        first = plural(self.course.race, "update")
        reason = say(
            "the lowest loss of {rates} rates run side by side for the first {first}",
            rates=len(self.rates),
            first=first,
        )
        evidence = tuple(race.evidence(self.rates, mean))
        self.choices.append(Choice("learning_rate", self.rate, reason, evidence))
        self._note_chunk(chunk.losses[winner], chunk.norms[winner])
        self.state, self.rates, self._step_seconds = lane(self.state, winner), [self.rate], math.nan
        return Verdict.BUDGET, NOTHING

    def _reached(self, state: State) -> float:
        return self.problem.whole(settled_weights(self.name, state.rule, state.weights)).value

    def _after(self, chunk: Chunk, count: int) -> tuple[Verdict, Sentence]:
        if not bool(self.state.alive):
            return self._after_divergence(chunk)
        self.updates += count
        self._note_chunk(chunk.losses, chunk.norms)
        if self.updates >= self.course.updates:
            return Verdict.BUDGET, say(
                "all the planned work is done: {updates}", updates=plural(self.updates, "update")
            )
        if self.seconds >= (self.spec.max_seconds or math.inf):
            return Verdict.BUDGET, say("max-seconds is reached after {updates}", updates=plural(self.updates, "update"))
        return Verdict.BUDGET, NOTHING

    def _converged(self, before: State, chunk: Chunk, index: int, rates: Vector) -> tuple[Verdict, Sentence]:
        """End at the first update of a chunk whose gradient was small enough, by going there again."""
        self.state = before
        if index:
            self.state, _ = self._program(False).advance(before, self.problem.data, self._rows(index), rates[:index])
        self.updates += index
        ratio = figure(float(chunk.norms[index]) / self.start.norm)
        work = plural(self.updates, "update")
        return Verdict.CONVERGED, say(
            "converged: the gradient has shrunk to {ratio} of that at the start after {work}", ratio=ratio, work=work
        )

    def _after_divergence(self, chunk: Chunk) -> tuple[Verdict, Sentence]:
        """End at the last good weights; a rate that was raced is halved first."""
        bad = first_bad(chunk, self.limit)
        self.updates += bad
        self._note_chunk(chunk.losses[:bad], chunk.norms[:bad])
        if self.choices and self.retries < RETRIES:
            self.retries, self.rate = self.retries + 1, 0.5 * self.rate
            self.state = restarted(self.state, self.rule, self.course.seed)
            last = self.choices[-1]
            raced = part_of(last.reason, "raced") or last.reason
            reason = say("{raced}{halvings}", raced=raced, halvings=halvings(self.retries))
            self.choices[-1] = replace(last, value=self.rate, reason=reason)
            return Verdict.BUDGET, NOTHING
        met = float(chunk.losses[bad])
        what = say("the loss is {loss}", loss=figure(met)) if math.isfinite(met) else say("the loss is not a number")
        return Verdict.DIVERGED, divergence(self.updates + 1, what, self.rate)

    def _note_chunk(self, losses: NDArray[np.float32], norms: NDArray[np.float32]) -> None:
        """Record where the last chunk stood: its mean loss, or where slopes are exact its last."""
        known = np.isfinite(losses) & np.isfinite(norms)
        if not known.any():
            return
        if self.exact:
            self._note(float(losses[known][-1]), float(norms[known][-1]), update=self.updates - 1)
        else:
            length = float(np.sqrt(np.mean(norms[known].astype(np.float64) ** 2)))
            self._note(float(losses[known].mean()), length)

    def _note(self, objective: float, norm: float, update: int | None = None) -> None:
        at = self.updates if update is None else update
        if self.steps and at <= self.steps[-1].update:  # one step with exact slopes tells of the start once more
            return
        record = StepRecord(
            at, self._passes(at), self.seconds, objective, norm, self.rate, exact=self.exact or at == 0
        )  # fmt: skip
        self.steps.append(record)
        if self.watch is not None:
            self.watch(record)

    def _passes(self, updates: int | None = None) -> float:
        """Return how often each example has been used, after so many updates or so far."""
        done = self.updates if updates is None else updates
        if not self.problem.rows:
            return 0.0
        return float(done) if self.exact else done * self.course.batch / self.problem.rows
