"""The weights before a step that went wrong, found again by taking the last steps once more.

To keep the last good weights at every step would cost a copy of them each time. The beginnings of the last two chunks
are enough: the same steps from the same state lead to the same bits.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from downslope.engines.network.anatomy import not_finite
from downslope.engines.network.loop import Program, State
from downslope.training.network.progress import NetworkProblem
from downslope.types import Indices, Vector
from downslope.words import Sentence, say


@dataclass(frozen=True)
class Begun:
    """One chunk as it was begun: the state, the rows and the rates of its steps."""

    state: State
    rows: Indices
    rates: Vector


class BegunChunks:
    """The last two chunks of a training as they were begun."""

    def __init__(self, problem: NetworkProblem, batch: int) -> None:
        """Take what is trained, and the examples of a step."""
        self.problem, self.batch = problem, batch
        self._begun: list[Begun] = []

    def begin(self, state: State, rows: Indices, rates: Vector) -> None:
        """Keep the beginning of a chunk."""
        self._begun = [*self._begun[-1:], Begun(jax.tree.map(jnp.copy, state), rows, rates)]

    def forget(self) -> None:
        """Keep none: the training goes on from another state than these lead to."""
        self._begun = []

    def last_good(self, program: Program, bad: int) -> State:
        """Return the state at the last weights whose loss was good, where that of step ``bad`` of a chunk was not.

        They are a step earlier, so in the chunk before where it was the first; the start of a sitting has none before.
        """
        if bad == 0 and len(self._begun) > 1:
            return self._again(program, self._begun[0], self._begun[0].rates.size - 1)
        return self._again(program, self._begun[-1], max(bad - 1, 0))

    def where_numbers_ceased(self, program: Program, good: State, bad: int) -> Sentence:
        """Return which layer gave no number: at the last good weights, in its gradient, or at those of step ``bad``."""
        here = self._again(program, self._begun[-1], bad)
        steps = [(good, bad - 1), (here, bad)] if bad else [(here, bad)]
        found = (self._ceased(state, step) for state, step in steps)
        return next((where for where in found if where is not None), say("the loss is not a number"))

    def _again(self, program: Program, begun: Begun, count: int) -> State:
        """Return where the first ``count`` steps of a chunk lead."""
        state = jax.tree.map(jnp.copy, begun.state)
        if count:
            state, _ = program.advance(state, self.problem.train, begun.rows[: count * self.batch], begun.rates[:count])
        return state

    def _ceased(self, state: State, step: int) -> Sentence | None:
        """Return where numbers ceased at a step of the last chunk, taken from ``state``."""
        rows, problem = self._begun[-1].rows[step * self.batch : (step + 1) * self.batch], self.problem
        return not_finite(problem.rest, problem.loss, problem.l2, state, problem.train, rows)
