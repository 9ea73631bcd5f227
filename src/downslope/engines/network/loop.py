"""The loop of a network: many steps in one compiled program, one trip to the host a chunk.

A program is compiled once for a network, a rule and a batch size, and then told how many steps to take. Rows are
gathered from the whole data on the device; the host sends their order and the learning rate of each step. A step
whose loss is not finite, or far above the start, is the last that its lane takes, and the host is told where it
happened. To keep the weights before it costs a copy at every step; who can take a chunk again goes without.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from downslope.engines.network.rules import Rule
from downslope.types import Indices

Array = jax.Array
Tree = Any
"""A pytree of arrays."""
BatchLoss = Callable[[Tree, Tree, Tree, Array, Array, Array], tuple[Array, Tree]]
"""(weights, statistics, data, rows, counted, key) -> (mean loss of the batch, statistics)."""


class State(NamedTuple):
    """Where a training stands; with lanes every leaf has them as its first axis.

    weights, rule: pytrees. last_good: the weights of the last batch whose loss was good, None where they are not kept;
    then the weights of a lane that is not alive are of no use. statistics: of batch normalisation. key: raw random
    key (uint32). alive: False once a loss was not finite or above the limit. updates: steps taken. clipped: steps
    whose gradient was shortened.
    """

    weights: Tree
    last_good: Tree
    rule: Tree
    statistics: Tree
    key: Array
    alive: Array
    updates: Array
    clipped: Array


@dataclass(frozen=True)
class Chunk:
    """What one call did.

    losses: (steps,) or (lanes, steps) the mean loss of each batch, nan for steps that a dead lane did not take.
    norms: the length of each gradient, nan where it was not taken.
    """

    losses: NDArray[np.float32]
    norms: NDArray[np.float32]


class Program:
    """The compiled steps of one training, or of several lanes side by side."""

    def __init__(
        self, loss: BatchLoss, rule: Rule, batch: int, steps: int, limit: float, *, lanes: bool = False,
        clip: float | None = None, pieces: int = 1, one_by_one: bool = False, own_rows: bool = False,
        norm_every: int = 1,
    ) -> None:  # fmt: skip
        """Take a loss and a rule.

        batch: examples a step. steps: most steps a call. limit: a batch loss above it ends a lane. clip: longest
        gradient let through. pieces: parts of a batch whose gradients are added up, for batches larger than memory.
        one_by_one: each lane takes all its steps before the next one begins, for steps that fill the machine alone.
        own_rows: each lane has an order of the rows of its own. norm_every: steps of a call between two whose
        gradient's length is taken, besides its last; 1 where gradients are clipped.
        """
        norm_every = 1 if clip is not None else norm_every
        self.batch, self.steps, self.lanes = batch, steps, lanes
        together = lanes and not one_by_one
        single = partial(_run, loss, rule, limit, (clip, norm_every), pieces, together)
        over = (_one_by_one if one_by_one else _side_by_side)(single, own_rows) if lanes else single
        self._advance = jax.jit(over, donate_argnums=0)

    def advance(self, state: State, data: Tree, rows: Indices, rates: NDArray[Any]) -> tuple[State, Chunk]:
        """Take the steps that ``rows`` (n,) of the data make, batch after batch, the last one partial if need be.

        rows: (lanes, n) where lanes have their own. rates: (steps,) or (lanes, steps). Raises ValueError for more rows
        than a call takes.
        """
        examples, lanes = rows.shape[-1], rows.shape[:-1]
        count = -(-examples // self.batch)
        if count > self.steps:
            message = f"{count} steps in one call, but the program takes at most {self.steps}"
            raise ValueError(message)
        order = np.zeros((*lanes, self.steps * self.batch), np.int32)
        order[..., :examples] = rows
        sizes = np.full(self.steps, self.batch, np.int32)
        sizes[count - 1] = examples - (count - 1) * self.batch
        padded = np.zeros((*rates.shape[:-1], self.steps), np.float32)
        padded[..., :count] = rates
        state, (losses, norms) = self._advance(
            state, data, order.reshape(*lanes, self.steps, self.batch), sizes, padded, np.int32(count)
        )
        return state, Chunk(np.asarray(losses)[..., :count], np.asarray(norms)[..., :count])


def _side_by_side(single: Callable[..., Any], own_rows: bool) -> Callable[..., Any]:
    return jax.vmap(single, in_axes=(0, None, 0 if own_rows else None, None, 0, None))


def _one_by_one(single: Callable[..., Any], own_rows: bool) -> Callable[..., Any]:
    def over(state: State, data: Tree, order: Array, sizes: Array, rates: Array, count: Array) -> Any:
        def one(own: tuple[State, Array, Array | None]) -> Any:
            rows = order if own[2] is None else own[2]
            return single(own[0], data, rows, sizes, own[1], count)

        return jax.lax.map(one, (state, rates, order if own_rows else None))

    return over


def _run(
    loss: BatchLoss, rule: Rule, limit: float, norms_by: tuple[float | None, int], pieces: int, together: bool,
    state: State, data: Tree, order: Array, sizes: Array, rates: Array, count: Array,
) -> tuple[State, tuple[Array, Array]]:  # fmt: skip
    """Take ``count`` steps of one lane, or as many as it lives.

    together: with other lanes, all of which go through all steps, where one that is not alive stays as it is: to let
    each end by itself would make the whole loop choose between old and new at every step.
    """
    steps, batch = order.shape
    places = jnp.arange(batch, dtype=jnp.int32)
    clip, every = norms_by

    def step(carried: tuple[Array, State, Array, Array]) -> tuple[Array, State, Array, Array]:
        index, before, losses, norms = carried
        counted = (places < sizes[index]).astype(jnp.float32)
        key = jax.random.fold_in(before.key, before.updates)
        value, statistics, gradient = _gradient(loss, before, data, order[index], counted, key, pieces)
        if every == 1:
            norm = optax.tree.norm(gradient)
        else:
            nan = jnp.full((), jnp.nan, value.dtype)
            wanted = (index % every == 0) | (index == count - 1)  # the same for all lanes
            norm = jax.lax.cond(wanted, optax.tree.norm, lambda gradient: nan, gradient)
        shortened = jnp.zeros((), jnp.int32)
        if clip is not None:
            factor = jnp.minimum(1.0, clip / jnp.maximum(norm, 1e-30))
            gradient = jax.tree.map(lambda leaf: leaf * factor, gradient)
            shortened = (norm > clip).astype(jnp.int32)
        change, memory = rule(rates[index]).update(gradient, before.rule, before.weights)
        weights = optax.apply_updates(before.weights, change)
        good = before.alive & jnp.isfinite(value) & (value <= limit)
        after = State(
            weights, None if before.last_good is None else before.weights, memory, statistics, before.key, good,
            before.updates + good, before.clipped + shortened,
        )  # fmt: skip
        if before.last_good is not None or together:
            kept = before._replace(alive=good)
            after = jax.tree.map(lambda new, old: jnp.where(good, new, old), after, kept)
        if together:
            value = jnp.where(before.alive, value, jnp.nan)
        told = value.astype(losses.dtype), norm.astype(norms.dtype)  # float64 is told of in float32
        return index + 1, after, losses.at[index].set(told[0]), norms.at[index].set(told[1])

    def goes_on(carried: tuple[Array, State, Array, Array]) -> Array:
        going = carried[0] < count
        return going if together else going & carried[1].alive

    empty = jnp.full(steps, jnp.nan, jnp.float32)
    _, state, losses, norms = jax.lax.while_loop(goes_on, step, (jnp.zeros((), jnp.int32), state, empty, empty))
    return state, (losses, norms)


def _gradient(
    loss: BatchLoss, state: State, data: Tree, rows: Array, counted: Array, key: Array, pieces: int
) -> tuple[Array, Tree, Tree]:
    """Return the mean loss of a batch, the statistics after it and the gradient, in as many parts as asked."""
    ask = jax.value_and_grad(loss, has_aux=True)
    if pieces == 1:
        (value, statistics), gradient = ask(state.weights, state.statistics, data, rows, counted, key)
        return value, statistics, gradient
    total = jnp.maximum(counted.sum(), 1.0)

    def add(
        carried: tuple[Array, Tree, Tree], part: tuple[Array, Array, Array]
    ) -> tuple[tuple[Array, Tree, Tree], None]:
        value, statistics, gradient = carried
        some, here, index = part
        (more, statistics), slope = ask(state.weights, statistics, data, some, here, jax.random.fold_in(key, index))
        share = here.sum() / total
        gradient = jax.tree.map(lambda old, new: old + share * new, gradient, slope)
        return (value + share * more, statistics, gradient), None

    nothing = jax.tree.map(jnp.zeros_like, state.weights)
    parts = (rows.reshape(pieces, -1), counted.reshape(pieces, -1), jnp.arange(pieces))
    (value, statistics, gradient), _ = jax.lax.scan(add, (jnp.zeros((), jnp.float32), state.statistics, nothing), parts)
    return value, statistics, gradient


def first_state(weights: Tree, rule: Rule, statistics: Tree, seed: int, keep_good: bool = True) -> State:
    """Return the state before the first step, each leaf in memory of its own, for a program takes its state over.

    keep_good: keep the last weights whose loss was good.
    """
    state = State(
        weights, weights if keep_good else None, rule(0.0 * jnp.ones(())).init(weights), statistics,
        jax.random.PRNGKey(seed), jnp.ones((), bool), jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32),
    )  # fmt: skip
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), state)


def as_lanes(state: State, count: int) -> State:
    """Return ``count`` lanes that all stand where one does."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)).copy(), state)


def lane(state: State, index: int) -> State:
    """Return one lane by itself."""
    return jax.tree.map(lambda leaf: leaf[index], state)


def some_lanes(state: State, indices: NDArray[np.intp]) -> State:
    """Return some of the lanes."""
    return jax.tree.map(lambda leaf: leaf[indices], state)
