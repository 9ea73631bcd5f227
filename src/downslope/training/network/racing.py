"""Learning rates raced on the first updates of a training, and what is done where the one chosen is too high later."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from downslope.engines.network.loop import Chunk, State, first_state
from downslope.engines.network.rules import Rule
from downslope.records.figures import count, figure, plural
from downslope.types import JsonValue, Vector
from downslope.words import NOTHING, Sentence, say

NEARLY = 0.98
"""Share of the best lane's drop that a smaller rate must reach to be preferred: a race is short, a run is long."""
RETRIES = 3
"""Times that a rate which was chosen here is halved where it diverges later."""


@dataclass(frozen=True)
class Race:
    """A race over the first ``length`` updates, judged by the batch losses of its second half."""

    length: int

    @property
    def judged(self) -> int:
        """Updates whose losses count."""
        return max(self.length - self.length // 2, 1)

    def added(self, totals: Sequence[float], chunk: Chunk, done: int) -> list[float]:
        """Return the sums (lanes,) of the losses that count, those of a chunk after ``done`` updates included."""
        late = chunk.losses[:, max(self.length // 2 - done, 0) :]
        finite = np.where(np.isfinite(late), late, np.inf)
        # One after another: a sum that does not depend on where the chunks were cut.
        return np.cumsum(np.column_stack([totals, finite]), axis=1)[:, -1].tolist()

    def means(self, totals: Sequence[float]) -> Vector:
        """Return the mean loss (lanes,) of the second half."""
        return np.asarray(totals, np.float64) / self.judged

    def evidence(self, rates: Sequence[float], means: Vector, unit: float = 1.0) -> list[dict[str, JsonValue]]:
        """Return what each rate reached, as a choice keeps it; unit: of the losses, in those of the target."""
        return [
            {"learning_rate": rate, "objective": float(value) * unit if math.isfinite(value) else None,
             "updates": self.length}
            for rate, value in zip(rates, means, strict=True)
        ]  # fmt: skip


def lasting_lane(rates: Sequence[float], means: Vector, start: float) -> int:
    """Return the lane with the smallest rate of those that fell nearly as far as the best: rates must last."""
    drop = start - np.where(np.isfinite(means), means, np.inf)
    near = np.flatnonzero(drop >= NEARLY * drop.max()) if drop.max() > 0 else np.array([int(np.argmin(means))])
    return int(near[np.argmin(np.array(rates)[near])])


def first_bad(chunk: Chunk, limit: float) -> int:
    """Return the first step of a chunk whose loss was no number, or above the limit."""
    good = np.isfinite(chunk.losses) & (chunk.losses <= limit)
    return int(np.argmin(good))


def restarted(state: State, rule: Rule, seed: int) -> State:
    """Return a state at the last good weights with the rule's memory empty, to go on with at a smaller rate."""
    good = state.weights if state.last_good is None else state.last_good
    fresh = first_state(good, rule, state.statistics, seed, keep_good=state.last_good is not None)
    return fresh._replace(updates=state.updates, clipped=state.clipped)


def halvings(retries: int) -> Sentence:
    """Return how often a rate was halved, to be put after the reason for its choice."""
    return say("; halved {times} where it diverged later", times=plural(retries, "time")) if retries else NOTHING


def divergence(update: int, what: str, rate: float, limit: float = math.nan) -> Sentence:
    """Return the message of a run that diverged at an update; limit: the rate's, where one was measured before."""
    smaller = rate / 4
    if 0 < limit < rate:
        smaller = min(smaller, limit / 2)
    return say(
        "diverged at update {update}: {what} at learning rate {rate}; try {smaller}, or leave the rate to choice",
        update=count(update),
        what=what,
        rate=figure(rate),
        smaller=figure(smaller, 2),
    )
