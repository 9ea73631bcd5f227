"""The layers of a network by name: where their weights lie in the flat vector, and which of their units are dead."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from downslope.engines.network.inputs import ROWS_AT_ONCE, Data, batch_loss, batch_of
from downslope.engines.network.loop import State, Tree
from downslope.losses import Loss
from downslope.models.network.layers import Convolution, Network, Statistics
from downslope.types import Indices
from downslope.words import Sentence, say

Array = jax.Array


Place = tuple[slice, tuple[int, ...]]
"""Where an array lies in the flat vector of weights, and its shape."""


def layers_of(weights: Tree) -> dict[str, tuple[Place, ...]]:
    """Return where each layer's arrays lie, by a name such as ``hidden.0.layer``.

    A layer is what its arrays hang on; an array on the trunk of the tree is a layer of its own.
    """
    layers: dict[str, tuple[Place, ...]] = {}
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(weights)[0]]
    for path, place in zip(paths, filters_of(weights), strict=True):
        name = ".".join(str(_key(each)) for each in (path[:-1] or path)) or "weights"
        layers[name] = (*layers.get(name, ()), place)
    return layers


def filters_of(weights: Tree) -> tuple[Place, ...]:
    """Return place and shape of each array in the flat vector."""
    found: list[Place] = []
    first = 0
    for leaf in jax.tree.leaves(weights):
        size = int(np.prod(leaf.shape))
        found.append((slice(first, first + size), tuple(leaf.shape)))
        first += size
    return tuple(found)


def _key(key: Any) -> Any:
    return next((getattr(key, name) for name in ("name", "idx", "key") if hasattr(key, name)), key)


def dead_units(weights: Tree, rest: Tree, statistics: Statistics, data: Data, rows: Indices) -> dict[str, float]:
    """Return the share of units of each hidden layer that are zero for all of some rows (c,).

    Such a unit passes no gradient back and cannot learn from these rows. A unit of a convolution is a channel.
    """
    network: Network = eqx.combine(weights, rest)
    most: list[Any] = [0.0] * len(network.hidden)
    for first in range(0, rows.size, ROWS_AT_ONCE):
        some = rows[np.minimum(np.arange(first, first + ROWS_AT_ONCE), rows.size - 1)]
        found = _peaks(rest, weights, statistics, data, jnp.asarray(some, jnp.int32))
        most = [np.maximum(old, np.asarray(new)) for old, new in zip(most, found, strict=True)]
    return {f"hidden.{index}.layer": float(np.mean(peak == 0)) for index, peak in enumerate(most)}


@eqx.filter_jit
def _peaks(rest: Tree, weights: Tree, statistics: Statistics, data: Data, rows: Array) -> list[Array]:
    """Return the largest size (units,) of each hidden layer's outputs over some rows."""
    network: Network = eqx.combine(weights, rest)
    peaks: list[Array] = []
    for index, each in enumerate(network.hidden):
        # The network cut off behind this layer; its dropout plays no part without a key.
        cut = replace(network, hidden=network.hidden[: index + 1], last=_as_it_is)
        out, _ = cut(batch_of(data, rows), statistics)
        if isinstance(each.layer, Convolution):
            out = out.reshape(-1, each.layer.weight.shape[1])
        peaks.append(jnp.abs(out).max(axis=0))
    return peaks


def not_finite(rest: Tree, loss: Loss, l2: float, state: State, data: Data, rows: Indices) -> Sentence | None:
    """Return where a step on some rows stopped giving numbers, as the beginning of a sentence; None where it did not.

    Layers are asked in the order in which the numbers pass: forwards to the loss, then back through their gradients.
    """
    network: Network = eqx.combine(state.weights, rest)
    batch, key = batch_of(data, jnp.asarray(rows)), jax.random.fold_in(state.key, state.updates)
    counted = jnp.ones(rows.size, jnp.float32)
    for index in range(len(network.hidden)):
        cut = replace(network, hidden=network.hidden[: index + 1], last=_as_it_is)
        out, _ = cut(batch, state.statistics, key, counted)
        if not bool(jnp.isfinite(out).all()):
            return say("layer hidden.{index} gave numbers that are not finite", index=index)
    if not bool(jnp.isfinite(network(batch, state.statistics, key, counted)[0]).all()):
        return say("layer last gave scores that are not finite")
    ask = jax.value_and_grad(batch_loss(rest, loss, l2), has_aux=True)
    (value, _), gradient = ask(state.weights, state.statistics, data, jnp.asarray(rows), counted, key)
    if not bool(jnp.isfinite(value)):
        return say("the loss of finite scores is not a number")
    for path, leaf in reversed(jax.tree_util.tree_flatten_with_path(gradient)[0]):
        if not bool(jnp.isfinite(leaf).all()):
            layer = ".".join(str(_key(each)) for each in path[:-1])
            return say("the gradient of layer {layer} is not finite", layer=layer)
    return None


def _as_it_is(scores: Array) -> Array:
    return scores
