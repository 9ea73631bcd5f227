"""The layers of a network and the network that they make, as Equinox modules that take whole batches.

A convolution is written as patches and one matrix product: the nine neighbours of each pixel are laid side by
side and multiplied by all kernels at once. On a processor that is twenty times as fast inside a compiled loop
as the convolution of the library, and no slower elsewhere.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from downslope.models.network.grammar import Architecture
from downslope.models.network.starts import starting_weights

Array = jax.Array
Statistics = tuple[tuple[Array, Array], ...]
"""What batch normalisation has seen: a running (mean, variance) for each of its layers."""

KERNEL = 3
LEAK = 0.01
MARGIN = 1e-5
"""Added to a variance before its root is divided by."""
KEPT = 0.9
"""Share of the running statistics that a batch leaves as they are."""

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    # Not jnp.maximum, whose slope at 0 is a half: here it is 0, as elsewhere, and a step is an eighth faster.
    "relu": lambda x: jnp.where(x > 0, x, 0),
    "leaky-relu": lambda x: jnp.where(x > 0, x, LEAK * x),
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
}


class Batch(NamedTuple):
    """Some examples as a network takes them.

    numbers: (b, p) model features, or (b, height, width, channels) pixels. codes: (b, q) int32 levels, each already
    offset as in ``data.blocks``; (b, 0) where there are none.
    """

    numbers: Array
    codes: Array


class Dense(eqx.Module):
    """Every unit sees every input: ``x W + b``, weight (inputs, units)."""

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """Return (b, units)."""
        return x @ self.weight + self.bias


class Features(eqx.Module):
    """The first layer on a table: ``x W + b`` with a level's row of W added in place of its one-hot column."""

    weight: Array
    bias: Array

    def __call__(self, batch: Batch) -> Array:
        """Return (b, units)."""
        p = batch.numbers.shape[1]
        scores = batch.numbers @ self.weight[:p] + self.bias
        if batch.codes.shape[1]:
            scores = scores + self.weight[p:][batch.codes].sum(axis=1)
        return scores


class Convolution(eqx.Module):
    """Every channel sees the KERNEL x KERNEL neighbourhood of a pixel; weight (KERNEL^2 channels in, channels out)."""

    weight: Array
    bias: Array

    def __call__(self, images: Array) -> Array:
        """Return (b, height, width, channels out), the border padded with zeros; the bias is left to the caller."""
        b, height, width, _ = images.shape
        reach = KERNEL // 2
        padded = jnp.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)))
        shifts = [padded[:, i : i + height, j : j + width] for i in range(KERNEL) for j in range(KERNEL)]
        patches = jnp.concatenate(shifts, axis=-1).reshape(b * height * width, -1)
        return (patches @ self.weight).reshape(b, height, width, -1)


def pooled(images: Array) -> Array:
    """Return the largest of each 2 x 2 pixels; an odd last row or column is left out."""
    height, width = images.shape[1] // 2 * 2, images.shape[2] // 2 * 2
    even, odd = images[:, 0:height:2], images[:, 1:height:2]
    rows = jnp.maximum(even, odd)
    return jnp.maximum(rows[:, :, 0:width:2], rows[:, :, 1:width:2])


class Normalisation(eqx.Module):
    """Brings units to mean 0 and deviation 1, then to a scale and shift of their own (both learned).

    over: batch (Ioffe and Szegedy 2015) or layer (Ba, Kiros and Hinton 2016).
    """

    scale: Array
    shift: Array
    over: str = eqx.field(static=True)

    def __call__(
        self, x: Array, seen: tuple[Array, Array], training: bool, counted: Array | None
    ) -> tuple[Array, tuple[Array, Array]]:
        """Return the units and what has been seen so far; counted (b,) is 0 for the rows that pad a batch."""
        if self.over == "layer":
            mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
        elif training:
            axes = tuple(range(x.ndim - 1))
            each = jnp.ones(x.shape[0], x.dtype) if counted is None else counted
            share = (each / jnp.maximum(each.sum(), 1)).reshape(-1, *[1] * (x.ndim - 1))
            spots = x[0, ..., 0].size
            mean = (share * x).sum(axis=axes) / spots
            variance = (share * (x - mean) ** 2).sum(axis=axes) / spots
            seen = (KEPT * seen[0] + (1 - KEPT) * mean, KEPT * seen[1] + (1 - KEPT) * variance)
        else:
            mean, variance = seen
        return (x - mean) * jax.lax.rsqrt(variance + MARGIN) * self.scale + self.shift, seen


class Hidden(eqx.Module):
    """A layer of weights, its normalisation if any, and its activation."""

    layer: Features | Dense | Convolution
    normalisation: Normalisation | None


class Network(eqx.Module):
    """Hidden layers, then one layer of scores."""

    hidden: tuple[Hidden, ...]
    last: Dense | Features
    activation: str = eqx.field(static=True)
    dropout: float = eqx.field(static=True)

    def __call__(
        self, batch: Batch, seen: Statistics = (), key: Array | None = None, counted: Array | None = None
    ) -> tuple[Array, Statistics]:
        """Return the scores (b, k) and the running statistics; a key means training: dropout, batch statistics."""
        act = ACTIVATIONS[self.activation]
        now: list[tuple[Array, Array]] = []
        x: Any = batch if self.tabular else batch.numbers
        for index, each in enumerate(self.hidden):
            if not isinstance(each.layer, Convolution) and not isinstance(x, Batch) and x.ndim > 2:
                x = x.reshape(x.shape[0], -1)
            layer: Any = each.layer
            x = layer(x)
            if each.normalisation is not None:
                before = seen[index] if seen else (jnp.zeros(x.shape[-1]), jnp.ones(x.shape[-1]))
                x, after = each.normalisation(x, before, key is not None, counted)
                now.append(after)
            x = act(pooled(x) + each.layer.bias) if isinstance(each.layer, Convolution) else act(x)
            if self.dropout and key is not None:
                kept = jax.random.bernoulli(jax.random.fold_in(key, index), 1 - self.dropout, x.shape)
                x = jnp.where(kept, x / (1 - self.dropout), 0)
        if not isinstance(x, Batch):
            x = x.reshape(x.shape[0], -1)
        last: Any = self.last
        return last(x), tuple(now)

    @property
    def tabular(self) -> bool:
        """True where the first layer takes numbers and codes."""
        return isinstance(self.hidden[0].layer if self.hidden else self.last, Features)

    @property
    def statistics(self) -> Statistics:
        """Return running statistics before anything was seen, one for each normalisation."""
        return tuple(
            (jnp.zeros_like(each.normalisation.shift), jnp.ones_like(each.normalisation.scale))
            for each in self.hidden
            if each.normalisation is not None
        )


def build_network(architecture: Architecture, shape: tuple[int, ...], outputs: int, key: Array) -> Network:
    """Return a network at its start, float32.

    shape: (features,) of a table, or (height, width, channels) of an image. outputs: k. Biases
    start at zero, and so do the weights of a network without a hidden layer.
    key: as ``jax.random.PRNGKey`` gives it.
    """
    rng = np.random.default_rng(np.asarray(key))
    hidden: list[Hidden] = []
    for channels in architecture.channels:
        height, width, before = shape
        weight = jnp.asarray(starting_weights(architecture.start, rng, (KERNEL**2 * before, channels)))
        hidden.append(_hidden(architecture, Convolution(weight, jnp.zeros(channels, jnp.float32)), channels))
        shape = (height // 2, width // 2, channels)
    table = len(shape) == 1
    inputs = 1
    for size in shape:
        inputs *= size
    for units in architecture.hidden:
        weight = jnp.asarray(starting_weights(architecture.start, rng, (inputs, units)))
        kind = Features if table else Dense
        hidden.append(_hidden(architecture, kind(weight, jnp.zeros(units, jnp.float32)), units))
        inputs, table = units, False
    last = (Features if table else Dense)(
        _last_weights(architecture, rng, inputs, outputs), jnp.zeros(outputs, jnp.float32)
    )
    return Network(tuple(hidden), last, architecture.activation, architecture.dropout)


def _last_weights(architecture: Architecture, rng: np.random.Generator, inputs: int, outputs: int) -> Array:
    """Return the start of the layer of scores, whose gradient parts the units below it."""
    if not architecture.hidden and not architecture.channels:
        return jnp.zeros((inputs, outputs), jnp.float32)
    return jnp.asarray(starting_weights(architecture.start, rng, (inputs, outputs)))


def _hidden(architecture: Architecture, layer: Features | Dense | Convolution, units: int) -> Hidden:
    if architecture.normalisation == "none":
        return Hidden(layer, None)
    return Hidden(
        layer, Normalisation(jnp.ones(units, jnp.float32), jnp.zeros(units, jnp.float32), architecture.normalisation)
    )
