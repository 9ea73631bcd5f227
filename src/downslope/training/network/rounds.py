"""A network trained where rows lie apart, or outgrow the memory: holders step on their own rows, states are averaged.

What is chosen by measurement, batch size, learning rate and rounds, is chosen on a sample in memory, and the first
updates, in which the rates race, are taken there. Then rounds follow as those of linear models do, see
``training.rounds``: each begins from the averaged weights, rule's memory and running statistics alone, so it can be
asked for again of another holder, and a run is taken up from the last round. With one holder it is plain descent.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from downslope.choices.rounds import rounds_for
from downslope.data.blocks import Source, Walked
from downslope.engines.network.rules import settled_weights
from downslope.records import Choice, GapKind, Spec, StepRecord, Verdict
from downslope.records.figures import figure
from downslope.training.checkpoint import Checkpoint, Keeper
from downslope.training.logbook import Watch
from downslope.training.network.course import WARMUP, Course
from downslope.training.network.descent import EXPLODED, NetworkDescent
from downslope.training.network.progress import Ended
from downslope.training.network.racing import RETRIES, divergence
from downslope.training.network.telling import waited_enough, work_done
from downslope.training.network.walk import Leaves, NetworkWalk, Recipe, averaged, built, leaves_of, loss_sum, shortened
from downslope.types import JsonValue
from downslope.words import Sentence, say

KIND = "network in rounds"
"""What the checkpoints call themselves."""
LEAST_ROUNDS = 48
"""Rounds of a run, at least: a network that is averaged a few times only ends short of what one machine reaches."""


@dataclass
class Standing:
    """How far the rounds have come: all that a checkpoint holds beside the arrays."""

    epoch: int = 0
    turn: int = 0
    updates: int = 0
    clipped: float = 0.0
    stepped: int = 0
    epoch_stepped: int = 0
    epoch_loss: float = 0.0
    rate: float = math.nan
    best: float = math.inf
    best_update: int = 0
    waited: int = 0
    retries: int = 0
    seconds: float = 0.0


class NetworkRounds:
    """The rounds of one training, and the look at the end of each epoch."""

    def __init__(
        self, examples: Source, held: Source | None, recipe: Recipe, holders: int, rate: float,
        raced: NetworkDescent, course: Course, spec: Spec, watch: Watch | None, keeper: Keeper,
        step_seconds: Callable[[], float],
    ) -> None:  # fmt: skip
        """Begin where the race on the sample ended, or where the keeper's checkpoint stands.

        holders: of the rows. rate: of their steps. course: of all examples, whose passes are those of the rounds.
        step_seconds: measures a step.
        """
        self.examples, self.held, self.recipe, self.raced = examples, held, recipe, raced
        self.course, self.spec, self.watch, self.keeper = course, spec, watch, keeper
        self.holders = holders
        self.epochs = max(1, math.ceil(course.updates / course.updates_an_epoch))
        self.warmup = spec.warmup or (WARMUP if spec.schedule == "auto" and not raced.progress.evidence else 0.0)
        self.standing = Standing(rate=rate, updates=raced.progress.updates, clipped=float(np.max(raced.state.clipped)))
        self.state, self.raced_passes = (
            leaves_of(raced.state),
            self._of_all(raced.course.passes(raced.progress.updates)),
        )
        self.steps = [replace(each, passes=self._of_all(each.passes)) for each in raced.progress.steps]
        self.best: Leaves = ()
        self._began = time.perf_counter()
        if keeper.begin is not None:
            self._restore(keeper.begin)
        self.turns = self._rounds(step_seconds)

    def _rounds(self, step_seconds: Callable[[], float]) -> Choice:
        """Return the rounds of an epoch; what is on a disk of this machine alone need not be cut."""
        if self.holders == 1:
            return Choice("rounds_an_epoch", 1, say("all rows are in one place, and there is nothing to average"))
        measured = self.raced.looks()
        scale = measured[-1].noise.scale if measured else math.nan
        sent = np.concatenate([leaf.ravel().astype(np.float64) for leaf in self.state])
        known = min(scale, self.examples.rows) if scale > 0 else float(self.recipe.batch)
        least = -(-LEAST_ROUNDS // self.epochs)
        return self.keeper.choose(
            "rounds_an_epoch",
            lambda: rounds_for(self.examples, self.holders, self.recipe.batch, known, step_seconds(), sent, least),
        )

    @property
    def seconds(self) -> float:
        """Seconds of descent so far, earlier sittings included."""
        return self.standing.seconds + time.perf_counter() - self._began

    @property
    def passes(self) -> float:
        """How often every example has been used."""
        return self.raced_passes + self.standing.stepped / self.examples.rows

    def _of_all(self, passes: float) -> float:
        """Return passes over the sample as those over all examples."""
        return passes * self.raced.course.rows / self.examples.rows

    def loss_on(self, source: Source, leaves: Leaves) -> float:
        """Return the mean loss of a source by example weight, in the network's units and without penalty."""
        return source.total(partial(loss_sum, recipe=self.recipe, leaves=leaves)) / source.weight_sum

    def judged(self) -> Leaves:
        """Return the weights and running statistics to judge and to keep, of the state as it stands."""
        state = built(self.recipe).state(self.state)
        return leaves_of((settled_weights(self.recipe.rule, state.rule, state.weights), state.statistics))

    def run(self) -> Ended:
        """Run the rounds that are left; a KeyboardInterrupt ends them where they stand."""
        try:
            while self.standing.epoch < self.epochs:
                ended = self._epoch()
                if ended is not None:
                    return ended
        except KeyboardInterrupt:
            return self._end(Verdict.STOPPED, say("stopped by hand after {work}", work=self._work()))
        return self._end(Verdict.BUDGET, say("all the planned work is done: {work}", work=self._work()))

    def _epoch(self) -> Ended | None:
        standing, turns = self.standing, int(self.turns.value)
        while standing.turn < turns:
            walk = NetworkWalk(
                self.recipe, self.state, standing.rate, self.course.schedule, self.warmup, self.epochs, standing.epoch,
                standing.turn, turns,
            )  # fmt: skip
            found = self.examples.each(walk)
            if not all(each.whole for each in found):
                ended = self._fallen()
                if ended is not None:
                    return ended
                continue
            self._take(found)
            self.keeper.offer(self._checkpoint)
            if self.seconds >= (self.spec.max_seconds or math.inf):
                break
        return self._look()

    def _take(self, found: list[Walked]) -> None:
        """Go on from the average of what the holders came to."""
        standing, stepped = self.standing, sum(each.rows for each in found)
        if stepped:
            before = self.state
            standing.clipped += shortened(before, found)
            made = built(self.recipe)
            first = made.state(before)
            self.state = leaves_of(made.state(averaged(before, found))._replace(key=first.key, alive=first.alive))
        standing.turn += 1
        standing.stepped += stepped
        standing.epoch_stepped += stepped
        standing.epoch_loss += sum(each.loss for each in found)
        standing.updates += -(-stepped // (self.recipe.batch * len(found)))

    def _look(self) -> Ended | None:
        """Judge where an epoch ended; return the end of the training, or None."""
        standing = self.standing
        loss = standing.epoch_loss / standing.epoch_stepped if standing.epoch_stepped else math.nan
        judged, held = self.judged(), math.nan
        if self.held is not None:
            held = self.loss_on(self.held, judged)
            if held < standing.best:
                standing.best, standing.best_update, standing.waited = held, standing.updates, 0
                self.best = judged
            else:
                standing.waited += 1
        unit = self.recipe.target.objective
        share = self.course.share(
            min(round(standing.stepped / self.examples.rows * self.course.updates_an_epoch), self.course.updates - 1), 1
        )
        record = StepRecord(
            standing.updates, self.passes, self.seconds, loss * unit, math.nan, standing.rate * float(share[0]),
            math.nan, GapKind.NONE, False, held * unit,
        )  # fmt: skip
        self.steps.append(record)
        if self.watch is not None:
            self.watch(record)
        standing.epoch, standing.turn = standing.epoch + 1, 0
        standing.epoch_stepped, standing.epoch_loss = 0, 0.0
        if standing.waited >= self.spec.patience:
            return self._end(Verdict.CONVERGED, waited_enough(self.spec.patience, standing.best_update))
        if self.seconds >= (self.spec.max_seconds or math.inf):
            return self._end(Verdict.BUDGET, say("max-seconds is reached after {work}", work=self._work()))
        return None

    def _fallen(self) -> Ended | None:
        """Halve a rate that was chosen here and ask for the round again; else end at the last average."""
        standing = self.standing
        if self.raced.progress.evidence and standing.retries < RETRIES:
            standing.retries += 1
            standing.rate *= 0.5
            return None
        looks = self.raced.looks()
        what = say("the loss of a batch was no number or {factor} times the start's", factor=figure(EXPLODED))
        limit = looks[-1].limit if looks else math.nan
        return self._end(Verdict.DIVERGED, divergence(standing.updates + 1, what, standing.rate, limit))

    def _end(self, verdict: Verdict, message: Sentence) -> Ended:
        leaves = self.best or self.judged()
        weights, statistics = built(self.recipe).judged(leaves)
        return Ended(verdict, message, weights, statistics)

    def _work(self) -> Sentence:
        return work_done(self.standing.updates, self.passes)

    def _checkpoint(self) -> Checkpoint:
        arrays = {f"state.{index}": leaf for index, leaf in enumerate(self.state)}
        arrays |= {f"best.{index}": leaf for index, leaf in enumerate(self.best)}
        told: dict[str, JsonValue] = dict(vars(self.standing))
        told["log"] = {"updates": self.standing.updates, "seconds": self.seconds}
        return Checkpoint(KIND, arrays, told, tuple(self.steps))

    def _restore(self, begin: Checkpoint) -> None:
        self.keeper.taken_up(KIND)
        standing = {name: begin.values[name] for name in vars(self.standing)}
        self.standing = Standing(**standing | {"seconds": begin.values["log"]["seconds"]})
        self.steps = list(begin.steps)
        like = {f"state.{index}": leaf for index, leaf in enumerate(self.state)}
        self.state = tuple(self.keeper.fitting(like).values())
        if math.isfinite(self.standing.best):
            like = {f"best.{index}": leaf for index, leaf in enumerate(self.judged())}
            self.best = tuple(self.keeper.fitting(like).values())
