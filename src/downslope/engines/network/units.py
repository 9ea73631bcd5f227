"""What every unit of a small network of dense layers does: over a mesh, on all examples, and on one, forth and back.

The slope of the loss by a unit's output is what back-propagation passes through it (Rumelhart, Hinton and Williams
1986, eq. 6): it is had here by adding a zero to every output and differentiating by it.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from downslope.engines.network.inputs import Data, batch_of, squared_weights
from downslope.engines.network.loop import BatchLoss, State, Tree
from downslope.engines.network.losses import example_losses
from downslope.losses import Loss
from downslope.models.network.layers import ACTIVATIONS, Batch, Network

Array = jax.Array


class Judged(NamedTuple):
    """A network on some examples. loss: mean, penalties left out. right: share of the classes told, by the sign."""

    loss: Array
    right: Array


class Seen(NamedTuple):
    """What a look at a network shows; in NumPy arrays where a ``Look`` has returned it.

    mesh: (units, points) outputs of every unit, layer after layer, the scores last. dead: (units,) True for a hidden
    unit of ReLU that is zero for all training examples, so that none passes a slope back through it. train, test: how
    it does. forth, back: (units,) outputs for one example, and the slope of its loss by each. gradient: of its loss,
    laid out as ``flat`` does the weights. weights: flat.
    """

    mesh: Any
    dead: Any
    train: Judged
    test: Judged
    forth: Any
    back: Any
    gradient: Any
    weights: Any


class Look:
    """Looks at a network of one shape, compiled once."""

    def __init__(self, rest: Tree, loss: Loss) -> None:
        """Take what is not learned of the network, and its loss of one score an example."""
        self._seen = jax.jit(partial(_seen, rest, loss))

    def __call__(self, weights: Tree, mesh: Data, train: Data, test: Data, row: int) -> Seen:
        """Return what is seen of some weights; mesh: points without targets; row: of the training examples."""
        return jax.device_get(self._seen(weights, mesh, train, test, jnp.int32(row)))


def penalised(loss: BatchLoss) -> BatchLoss:
    """Return a loss with penalties on all matrices of weights added; biases go free.

    The statistics of a state are here (l1, l2), so that another penalty needs no other program: l1 times the sum of
    the sizes of the weights, and ``l2 / 2`` times the sum of their squares.
    """

    def of(weights: Tree, statistics: Tree, data: Tree, rows: Array, counted: Array, key: Array) -> Any:
        l1, l2 = statistics
        value, _ = loss(weights, (), data, rows, counted, key)
        sizes = [jnp.abs(leaf).sum() for leaf in jax.tree.leaves(weights) if leaf.ndim > 1]
        return value + l1 * jnp.asarray(sum(sizes)) + 0.5 * l2 * squared_weights(weights), statistics

    return of


class LaneLosses:
    """Mean losses of several networks of one shape on some examples, compiled once for each number of them."""

    def __init__(self, rest: Tree, loss: Loss, settle: Callable[[Tree, Tree], Tree]) -> None:
        """Take what is not learned of the network, its loss of one score an example, and which weights to judge.

        settle: (memory of the rule, weights) -> the weights to judge.
        """
        self._losses = jax.jit(jax.vmap(partial(_lane_losses, rest, loss, settle), in_axes=(0, 0, None, None)))

    def __call__(self, state: State, train: Data, test: Data) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the losses (lanes,) on both."""
        return jax.device_get(self._losses(state.rule, state.weights, train, test))


def _lane_losses(
    rest: Tree, loss: Loss, settle: Callable[[Tree, Tree], Tree], memory: Tree, weights: Tree, train: Data, test: Data
) -> tuple[Array, Array]:
    settled = settle(memory, weights)
    scores = (_outputs(rest, settled, _all(data))[-1] for data in (train, test))
    first, second = (_judged(loss, each, data).loss for each, data in zip(scores, (train, test), strict=True))
    return first, second


def copied(tree: Tree) -> Tree:
    """Return a copy of a state, which a program would otherwise take over."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), tree)


def with_numbers(weights: Tree, numbers: Mapping[int, float]) -> Tree:
    """Return weights with some numbers put in, by their places in ``flat``; raises IndexError where there is none."""
    whole = np.array(flat(weights))
    for place, number in numbers.items():
        whole[place] = number
    parts: list[Any] = []
    for part in _parts(weights):
        parts.append(jnp.asarray(whole[: part.size].reshape(part.shape)))
        whole = whole[part.size :]
    return eqx.tree_at(_parts, weights, parts)


def flat(weights: Tree) -> Array:
    """Return weights as one vector: of each layer its matrix (inputs, units), row by row, and its biases."""
    return jnp.concatenate([part.ravel() for part in _parts(weights)])


def _parts(network: Network) -> list[Any]:
    layers: list[Any] = [*(each.layer for each in network.hidden), network.last]
    return [part for each in layers for part in (each.weight, each.bias)]


def _outputs(rest: Tree, weights: Tree, batch: Batch, nudges: list[Array] | None = None) -> list[Array]:
    """Return the outputs (b, units) of every layer, the scores last; nudges are added to each."""
    network: Network = eqx.combine(weights, rest)
    x: Any = batch
    found: list[Array] = []
    layers: list[Any] = [*(each.layer for each in network.hidden), network.last]
    for index, layer in enumerate(layers):
        x = layer(x)
        if index < len(network.hidden):
            x = ACTIVATIONS[network.activation](x)
        if nudges is not None:
            x = x + nudges[index]
        found.append(x)
    return found


def _seen(rest: Tree, loss: Loss, weights: Tree, mesh: Data, train: Data, test: Data, row: Array) -> Seen:
    over = [jnp.concatenate(_outputs(rest, weights, _all(data)), axis=1) for data in (mesh, train, test)]
    one = batch_of(train, row[None])

    def of(weights: Tree, nudges: list[Array]) -> tuple[Array, list[Array]]:
        outputs = _outputs(rest, weights, one, nudges)
        return example_losses(loss, outputs[-1], train.target[row[None]])[0], outputs

    nothing = [jnp.zeros_like(each) for each in _outputs(rest, weights, one)]
    (_, outputs), (gradient, back) = jax.value_and_grad(of, argnums=(0, 1), has_aux=True)(weights, nothing)
    network: Network = eqx.combine(weights, rest)
    silent = jnp.abs(over[1]).max(axis=0) == 0
    dead = silent.at[-1].set(False) & (network.activation == "relu")
    return Seen(
        over[0].T, dead, _judged(loss, over[1][:, -1:], train), _judged(loss, over[2][:, -1:], test),
        jnp.concatenate(outputs, axis=1)[0], jnp.concatenate(back, axis=1)[0], flat(gradient), flat(weights),
    )  # fmt: skip


def _all(data: Data) -> Batch:
    return Batch(data.numbers, data.codes)


def _judged(loss: Loss, scores: Array, data: Data) -> Judged:
    right = ((scores[:, 0] > 0) == (data.target > 0.5)).mean()
    return Judged(example_losses(loss, scores, data.target).mean(), right)
