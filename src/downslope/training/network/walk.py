"""Steps and losses of a network on rows that lie elsewhere: plain values go there, and plain values come back.

Three cases explain it. A recipe says how to build the network and its steps, and whoever holds rows builds them once. A
walk takes the recipe and the numbers of a state, steps on some of the rows, and gives the numbers of the state where it
came to. A loss takes the same and looks at all rows without a step.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import DTypeLike, NDArray

from downslope.data.batches import order_within
from downslope.data.blocks import Examples, Source, Walked
from downslope.engines.network.inputs import Data, Passes, batch_loss, parts_of
from downslope.engines.network.loop import Program, State, Tree, first_state
from downslope.engines.network.rules import rule_of
from downslope.losses import Loss
from downslope.models.linear import Objective
from downslope.models.network.grammar import Architecture
from downslope.models.network.layers import Statistics, build_network
from downslope.steps import schedule
from downslope.training.network.scaling import TargetScale
from downslope.training.walking import Slices
from downslope.types import Codes, FloatArray, Matrix, Vector

AT_ONCE = 1 << 16
"""Most rows that lie on the device for the steps of one call."""
MOST_STEPS = 256
"""Most steps of one call."""
SCORED = 8192
"""Rows that are scored at once; the last of a block are filled up, so that one program serves all."""

Leaves = tuple[NDArray[Any], ...]
"""The arrays of a tree, in their order."""

CLIPPED = State._fields.index("clipped") - len(State._fields)
"""Where the arrays of a state say how many gradients were shortened: a field of one number, as all behind it are."""


@dataclass(frozen=True)
class Recipe:
    """How to build a network and its steps.

    shape: of one example, levels counted as features. outputs: k. loss: in the network's units, as ``target`` says.
    rule, momentum, weight_decay, clip, pieces, seed: as in ``Spec``. batch: examples a step. limit: a batch loss above
    it ends a walk. mean_weight: of all examples.
    """

    architecture: Architecture
    shape: tuple[int, ...]
    outputs: int
    loss: Loss
    l2: float
    target: TargetScale
    rule: str
    momentum: float
    weight_decay: float | None
    batch: int
    limit: float
    clip: float | None
    pieces: int
    seed: int
    mean_weight: float

    @property
    def steps(self) -> int:
        """Steps that one call takes, at most."""
        return int(np.clip(AT_ONCE // self.batch, 1, MOST_STEPS))


@dataclass(frozen=True)
class Rows:
    """Copies of some rows. numbers: (n, p). codes: (n, q). target: (n,). weights: (n,), or None."""

    numbers: FloatArray
    codes: Codes
    target: Vector
    weights: Vector | None

    @property
    def rows(self) -> int:
        """n."""
        return self.target.shape[0]

    @classmethod
    def of(cls, examples: Examples, rows: NDArray[Any] | slice) -> Rows:
        """Return some rows of examples of one block."""
        (block,) = examples.blocks
        weights = None if examples.weights is None else examples.weights[rows]
        return cls(block.numbers[rows], block.codes[rows], examples.target[rows], weights)

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Return all rows of some parts, one after the other."""
        weights = [each.weights for each in parts if each.weights is not None]
        numbers, codes, target = (
            np.concatenate([getattr(each, name) for each in parts]) for name in ("numbers", "codes", "target")
        )
        return cls(numbers, codes, target, np.concatenate(weights) if weights else None)


class Built:
    """A network and its compiled steps, as a recipe says."""

    def __init__(self, recipe: Recipe) -> None:
        """Build them; programs are compiled when first used."""
        self.recipe = recipe
        network = build_network(recipe.architecture, recipe.shape, recipe.outputs, jax.random.PRNGKey(recipe.seed))
        weights, rest = parts_of(network)
        rule = rule_of(recipe.rule, recipe.momentum, recipe.weight_decay)
        self.program = Program(
            batch_loss(rest, recipe.loss, recipe.l2), rule, recipe.batch, recipe.steps, recipe.limit, clip=recipe.clip,
            pieces=recipe.pieces, norm_every=recipe.steps,
        )  # fmt: skip
        self.passes = Passes(rest)
        self._like = first_state(weights, rule, network.statistics, recipe.seed, keep_good=False)

    def state(self, leaves: Leaves) -> State:
        """Return the state whose arrays these are."""
        return jax.tree.unflatten(jax.tree.structure(self._like), leaves)

    def judged(self, leaves: Leaves) -> tuple[Tree, Statistics]:
        """Return the weights and running statistics whose arrays these are."""
        return jax.tree.unflatten(jax.tree.structure((self._like.weights, self._like.statistics)), leaves)

    def data(self, rows: Rows, size: int) -> Data:
        """Return rows on the device, with zeros after them until there are ``size``."""
        scale, weights = self.recipe.target, rows.weights
        return Data(
            _filled(rows.numbers, size, np.float32), _filled(rows.codes, size, rows.codes.dtype),
            _filled((rows.target - scale.center) / scale.scale, size, np.float32),
            None if weights is None else _filled(weights / self.recipe.mean_weight, size, np.float32),
            jnp.zeros(()), jnp.ones(()),
        )  # fmt: skip


def _filled(values: NDArray[Any], size: int, kind: DTypeLike) -> jax.Array:
    """Return values on the device, with zeros after them until there are ``size``."""
    filled = np.zeros((size, *values.shape[1:]), kind)
    filled[: values.shape[0]] = values
    return jnp.asarray(filled)


@lru_cache(maxsize=2)
def built(recipe: Recipe) -> Built:
    """Return what a recipe says, built once in each process."""
    return Built(recipe)


def leaves_of(tree: Tree) -> Leaves:
    """Return own copies of the arrays of a tree, on the host."""
    return tuple(np.array(leaf) for leaf in jax.tree.leaves(tree))


@dataclass(frozen=True)
class NetworkWalk:
    """One round of a holder: from the state of all, over a slice of its own rows, in a fresh order each epoch.

    leaves: of the state. rate: before the schedule. epochs: of the whole run, which the schedule spans.
    """

    recipe: Recipe
    leaves: Leaves
    rate: float
    schedule: str
    warmup: float
    epochs: int
    epoch: int
    turn: int
    turns: int

    def __call__(self, held: Sequence[tuple[int, Source]]) -> Walked:
        """Return the state where the steps lead, times the examples stepped on, and the sum of their losses."""
        if not held:
            return Walked(tuple(np.zeros(leaf.shape) for leaf in self.leaves), 0, 0.0, True)
        recipe, made = self.recipe, built(self.recipe)
        rows = sum(source.rows for _, source in held)
        updates = self.epochs * -(-rows // recipe.batch)
        update = int((self.epoch + self.turn / self.turns) * updates / self.epochs)
        state = made.state(jax.device_put(self.leaves, may_alias=False))  # for the steps take it over
        state = state._replace(key=jax.random.fold_in(state.key, held[0][0]))  # so that dropouts differ
        stepped, loss, size = 0, 0.0, recipe.steps * recipe.batch
        for taken in self._taken(held, size):
            places = order_within(taken.rows, recipe.seed + 2, self.epoch, update)
            count = -(-taken.rows // recipe.batch)
            share = schedule(self.schedule, np.arange(update, update + count, dtype=np.float64), updates, self.warmup)
            state, chunk = made.program.advance(state, made.data(taken, size), places, self.rate * share)
            if not bool(state.alive):
                return Walked((), stepped, loss, False)
            sizes = np.full(count, recipe.batch)
            sizes[-1] = taken.rows - (count - 1) * recipe.batch
            update, stepped, loss = update + count, stepped + taken.rows, loss + float(chunk.losses @ sizes)
        return Walked(tuple(leaf * float(stepped) for leaf in leaves_of(state)), stepped, loss, True)

    def _taken(self, held: Sequence[tuple[int, Source]], size: int) -> Iterator[Rows]:
        """Yield the rows of this round, at most ``size`` at once, of many blocks."""
        parts, room = list[Rows](), size
        slices = Slices(held, self.recipe.seed, self.epoch)
        for examples, chosen, first, end in slices.of(self.turn, self.turns, self.recipe.batch):
            begin = first
            while begin < end:
                stop = min(end, begin + room)
                parts.append(Rows.of(examples, chosen[begin:stop]))
                room, begin = room - (stop - begin), stop
                if not room:
                    yield Rows.joined(parts)
                    parts, room = [], size
        if parts:
            yield Rows.joined(parts)


def shortened(before: Leaves, found: Sequence[Walked]) -> float:
    """Return how many gradients a clip shortened on the way from a state, the mean of the holders that stepped."""
    counts = [each.sums[CLIPPED] / each.rows - before[CLIPPED] for each in found if each.rows]
    return float(np.mean(counts)) if counts else 0.0


def averaged(before: Leaves, found: Sequence[Walked]) -> Leaves:
    """Return the mean of the states that some holders came to, by the examples that each stepped on.

    before: the state that they began from; whole numbers, such as the steps taken, are rounded.
    """
    stepped = sum(each.rows for each in found)
    means = [np.sum(parts, axis=0) / stepped for parts in zip(*(each.sums for each in found if each.rows), strict=True)]
    return tuple(
        mean.astype(leaf.dtype) if leaf.dtype.kind == "f" else np.rint(mean).astype(leaf.dtype)
        for mean, leaf in zip(means, before, strict=True)
    )


def scores_at(examples: Examples, recipe: Recipe, leaves: Leaves) -> Matrix:
    """Return the scores (n, k) of examples, in units of the target; leaves: of weights and running statistics."""
    made, parts = built(recipe), list[Matrix]()
    weights, statistics = made.judged(leaves)
    for first in range(0, examples.rows, SCORED):
        rows = Rows.of(examples, slice(first, first + SCORED))
        scores = made.passes.scores(weights, statistics, made.data(rows, SCORED))
        parts.append(scores[: rows.rows].astype(np.float64))
    return recipe.target.apply(np.concatenate(parts))


def loss_sum(examples: Examples, recipe: Recipe, leaves: Leaves) -> float:
    """Return the weighted sum of losses of examples, in the network's units and without penalty."""
    if not examples.rows:
        return 0.0
    scale = recipe.target
    scores = (scores_at(examples, recipe, leaves) - scale.center) / scale.scale
    with np.errstate(over="ignore", invalid="ignore"):  # scores may be anything at weights that went too far
        each = Objective(recipe.loss, 0.0, 0.0, True, recipe.outputs).losses(
            scores, (examples.target - scale.center) / scale.scale
        )
    return float(each.sum() if examples.weights is None else examples.weights @ each)
