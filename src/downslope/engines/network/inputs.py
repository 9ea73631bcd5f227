"""The data of a network on the device, the loss of a batch of them, and full passes without a step."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from downslope.engines.network.loop import BatchLoss, Tree
from downslope.engines.network.losses import example_losses
from downslope.losses import Loss
from downslope.models.network.layers import Batch, Network, Statistics
from downslope.types import FloatArray

Array = jax.Array
ROWS_AT_ONCE = 64
"""Rows of a full pass that go through a network of convolutions together, so that their layers stay near."""
DENSE_ROWS = 2048
"""The same of a network of numbers, whose layers are small."""


class Data(NamedTuple):
    """Examples on the device.

    numbers: (n, p) float32 model features, or (n, height, width, channels) pixels, uint8 or float32. codes: (n, q)
    int32. target: (n,) float32. weights: (n,) float32 relative to their mean, or None. center, scale: pixels become
    ``(pixel - center) / scale``, broadcast over channels; 0 and 1 for a table.
    """

    numbers: Array
    codes: Array
    target: Array
    weights: Array | None
    center: Array
    scale: Array

    @property
    def rows(self) -> int:
        """n, the number of examples."""
        return self.target.shape[0]


def on_device(
    numbers: NDArray[Any], codes: NDArray[np.int32] | None, target: NDArray[Any], weights: NDArray[Any] | None,
    center: FloatArray | float = 0.0, scale: FloatArray | float = 1.0,
) -> Data:  # fmt: skip
    """Return examples as Data; numbers that are not uint8 become float32."""
    kept = numbers if numbers.dtype == np.uint8 else np.asarray(numbers, np.float32)
    none = np.empty((numbers.shape[0], 0), np.int32)
    each = None if weights is None else jnp.asarray(weights / weights.mean(), jnp.float32)
    return Data(
        jnp.asarray(kept), jnp.asarray(none if codes is None else codes), jnp.asarray(target, jnp.float32), each,
        jnp.asarray(center, jnp.float32), jnp.asarray(scale, jnp.float32),
    )  # fmt: skip


def batch_of(data: Data, rows: Array) -> Batch:
    """Return some rows as a network takes them."""
    numbers = data.numbers[rows]
    if data.numbers.ndim > 2 or data.numbers.dtype == jnp.uint8:
        numbers = (numbers.astype(jnp.float32) - data.center) / data.scale
    return Batch(numbers, data.codes[rows])


def parts_of(network: Network) -> tuple[Tree, Tree]:
    """Return what is learned of a network, and all the rest."""
    return eqx.partition(network, eqx.is_inexact_array)


def batch_loss(rest: Tree, loss: Loss, l2: float) -> BatchLoss:
    """Return the loss of a batch in training: the mean of its examples, and ``l2 / 2`` times the squared weights."""

    def of(
        weights: Tree, statistics: Statistics, data: Data, rows: Array, counted: Array, key: Array
    ) -> tuple[Array, Statistics]:
        network: Network = eqx.combine(weights, rest)
        scores, statistics = network(batch_of(data, rows), statistics, key, counted)
        each = example_losses(loss, scores, data.target[rows]) * counted
        if data.weights is not None:
            each = each * data.weights[rows]
        value = each.sum() / jnp.maximum(counted.sum(), 1.0)
        if l2:
            value = value + 0.5 * l2 * squared_weights(weights)
        return value, statistics

    return of


def squared_weights(weights: Tree) -> Array:
    """Return the sum of squares of all matrices of weights; biases and scales carry no penalty."""
    return jnp.asarray(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(weights) if leaf.ndim > 1))


class Passes:
    """Full passes of a network over data, compiled once."""

    def __init__(self, rest: Tree) -> None:
        """Take what is not learned of the network."""
        self._scores = jax.jit(partial(_scores, rest))

    def scores(self, weights: Tree, statistics: Statistics, data: Data) -> NDArray[np.float32]:
        """Return the scores (n, k) of all rows, without dropout, by the running statistics."""
        parts: list[NDArray[np.float32]] = []
        at_once = DENSE_ROWS if data.numbers.ndim == 2 else ROWS_AT_ONCE
        for first in range(0, data.rows, at_once):
            rows = np.minimum(np.arange(first, first + at_once, dtype=np.int32), data.rows - 1)
            part = self._scores(weights, statistics, data, rows)
            parts.append(np.asarray(part)[: data.rows - first])
        return np.concatenate(parts)


def _scores(rest: Tree, weights: Tree, statistics: Statistics, data: Data, rows: Array) -> Array:
    network: Network = eqx.combine(weights, rest)
    return network(batch_of(data, rows), statistics)[0]
