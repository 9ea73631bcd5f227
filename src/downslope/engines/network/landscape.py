"""A mean loss as a function of its weights, asked over all rows or some: value, gradient, and curvature.

Weights go in and out as one flat vector (P,), so that whoever measures needs no JAX. Rows are taken some at a time
and their means added up, so memory stays that of one piece however long the table is. Everything is compiled once
for a landscape and serves any weights of the same shape, all along a run.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from downslope.engines.network.dense import dense_along, is_dense
from downslope.engines.network.inputs import Data, batch_loss
from downslope.engines.network.loop import Tree
from downslope.losses import Loss
from downslope.models.network.layers import Network, Statistics
from downslope.types import FloatArray, Indices, Vector

Array = jax.Array
RowLoss = Callable[[Tree, Tree, Array], Array]
"""(weights, data, rows) -> mean loss of those rows of the data, penalty included."""
Along = Callable[[Tree, Tree, Tree, Array], Callable[[Array], Array]]
"""(center, directions, data, rows) -> (place (m,) -> mean loss there); directions: as many trees as m, stacked."""
POINTS_AT_ONCE = 256
"""Most weights whose losses are taken side by side."""
NEAR = 1 << 18
"""Bytes on the way to those losses that stay near the processor."""
AT_HAND = 1 << 26
"""Bytes on the way to the loss of one piece of rows; derivatives take a few times as many."""
MOST_ROWS = 1024
"""Rows that are gone through together at the most."""
LEAST_ROWS = 16


class Landscape:
    """The mean of a loss over rows, as a function of weights.

    size: P, the number of weights. rows: n of the data; 1 for a function that has none. Weights are flat vectors
    (P,); ``flat`` and ``tree`` turn a pytree into one and back. ``rows`` arguments are row numbers, None for all.
    """

    def __init__(
        self, loss: RowLoss, data: Tree, rows: int, like: Tree, at_once: int | None = None, along: Along | None = None
    ) -> None:
        """Take a loss and its data.

        like: weights, whose structure all others have. at_once: rows of one piece, None for as many as fit into
        AT_HAND. along: a quicker way to the same loss at many places on a line or plane, where there is one.
        """
        flat, self.tree = ravel_pytree(like)
        self.like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), like)
        self.size, self.dtype = int(flat.size), np.dtype(flat.dtype)
        self.data, self.rows, self._loss, self._along = data, rows, loss, along
        a_row = self._bytes_on_the_way(2) - self._bytes_on_the_way(1)
        self.at_once = at_once or max(LEAST_ROWS, min(MOST_ROWS, AT_HAND // max(a_row, 1)))
        self._value = jax.jit(self._value_of)
        self._gradient = jax.jit(self._gradient_of)
        self._product = jax.jit(self._product_of)
        self._spread = jax.jit(self._spread_of)
        self._bends = jax.jit(self._bends_of)
        self._values = jax.jit(self._values_of)

    def with_data(self, data: Tree, rows: int) -> Landscape:
        """Return the same landscape over other data, compiled programs kept."""
        other = copy.copy(self)
        other.data, other.rows = data, rows
        return other

    def flat(self, weights: Tree) -> FloatArray:
        """Return weights as one vector (P,)."""
        return np.asarray(ravel_pytree(weights)[0])

    def value(self, weights: FloatArray, rows: Indices | None = None) -> float:
        """Return the mean loss."""
        return float(self._value(weights, self.data, self._some(rows)))

    def gradient(self, weights: FloatArray, rows: Indices | None = None) -> FloatArray:
        """Return the gradient (P,) of the mean loss."""
        return np.asarray(self._gradient(weights, self.data, self._some(rows)))

    def product(self, weights: FloatArray, direction: FloatArray, rows: Indices | None = None) -> FloatArray:
        """Return the Hessian times a direction, (P,): the derivative of the gradient along it, forward over reverse.

        Pearlmutter (1994), "Fast exact multiplication by the Hessian".
        """
        along = direction.astype(self.dtype, copy=False)
        return np.asarray(self._product(weights, along, self.data, self._some(rows)))

    def spread(self, weights: FloatArray, pieces: Indices) -> tuple[FloatArray, Vector, Vector]:
        """Return how the gradients of pieces (c, b) of rows scatter.

        The mean gradient (P,); the squared length (c,) of each piece's gradient; its product (c,) with the mean.
        """
        mean, squares, products = self._spread(weights, self.data, pieces.astype(np.int32))
        return np.asarray(mean), np.asarray(squares, np.float64), np.asarray(products, np.float64)

    def bends(self, weights: FloatArray, direction: FloatArray, pieces: Indices) -> Vector:
        """Return the curvature v'Hv (c,) along a direction of each of the pieces (c, b) of rows by itself."""
        along = direction.astype(self.dtype, copy=False)
        return np.asarray(self._bends(weights, along, self.data, pieces.astype(np.int32)), np.float64)

    def values(
        self, center: FloatArray, directions: FloatArray, places: FloatArray, rows: Indices | None = None
    ) -> Vector:
        """Return the mean loss (c,) at each of ``center + places @ directions``; directions (m, P), places (c, m)."""
        along, where = directions.astype(self.dtype, copy=False), places.astype(self.dtype, copy=False)
        return np.asarray(self._values(center, along, where, self.data, self._some(rows)), np.float64)

    @cached_property
    def points_at_once(self) -> int:
        """How many weights go side by side, so that all on the way to their losses fits into NEAR."""
        return max(1, min(POINTS_AT_ONCE, NEAR // self._bytes_on_the_way(min(self.rows, self.at_once))))

    def _bytes_on_the_way(self, rows: int) -> int:
        """Return the bytes of all that is computed on the way from the weights to the loss of some rows."""
        weights = jax.ShapeDtypeStruct((self.size,), self.dtype)
        some = jax.ShapeDtypeStruct((rows,), jnp.int32)
        steps = jax.make_jaxpr(self._flat_loss)(weights, self.data, some).jaxpr.eqns
        return sum(each.aval.size * each.aval.dtype.itemsize for step in steps for each in step.outvars) or 1

    def _some(self, rows: Indices | None) -> Indices:
        return np.arange(self.rows, dtype=np.int32) if rows is None else rows.astype(np.int32)

    def _flat_loss(self, weights: Array, data: Tree, rows: Array) -> Array:
        return self._loss(self.tree(weights), data, rows)

    def _value_of(self, weights: Array, data: Tree, rows: Array) -> Array:
        return averaged(lambda some: self._flat_loss(weights, data, some), rows, self.at_once)

    def _gradient_of(self, weights: Array, data: Tree, rows: Array) -> Array:
        return averaged(lambda some: jax.grad(self._flat_loss)(weights, data, some), rows, self.at_once)

    def _product_of(self, weights: Array, direction: Array, data: Tree, rows: Array) -> Array:
        def piece(some: Array) -> Array:
            return jax.jvp(lambda at: jax.grad(self._flat_loss)(at, data, some), (weights,), (direction,))[1]

        return averaged(piece, rows, self.at_once)

    def _spread_of(self, weights: Array, data: Tree, pieces: Array) -> tuple[Array, Array, Array]:
        def slope(some: Array) -> Array:
            return jax.grad(self._flat_loss)(weights, data, some)

        def against(mean: Array, some: Array) -> tuple[Array, Array]:
            here = slope(some)
            return jnp.vdot(here, here), jnp.vdot(here, mean)

        total, _ = jax.lax.scan(lambda sum_, some: (sum_ + slope(some), None), jnp.zeros_like(weights), pieces)
        mean = total / pieces.shape[0]
        squares, products = jax.lax.map(lambda some: against(mean, some), pieces)
        return mean, squares, products

    def _bends_of(self, weights: Array, direction: Array, data: Tree, pieces: Array) -> Array:
        return jax.lax.map(lambda some: jnp.vdot(direction, self._product_of(weights, direction, data, some)), pieces)

    def _values_of(self, center: Array, directions: Array, places: Array, data: Tree, rows: Array) -> Array:
        def piece(some: Array) -> Array:
            if self._along is None:
                one = lambda place: self._flat_loss(center + place @ directions, data, some)  # noqa: E731
            else:
                one = self._along(self.tree(center), jax.vmap(self.tree)(directions), data, some)
            return jax.lax.map(one, places, batch_size=self.points_at_once)

        return averaged(piece, rows, self.at_once)


def averaged(ask: Callable[[Array], Array], rows: Array, at_once: int) -> Array:
    """Return the mean over rows (n,) of what ``ask`` answers, a mean over the rows that it is handed."""
    count = rows.shape[0]
    pieces = -(-count // at_once)
    size = -(-count // pieces)
    whole = count // size
    if whole == 1 and count == size:
        return ask(rows)
    some = rows[: whole * size].reshape(whole, size)
    like = jax.eval_shape(ask, some[0])
    total, _ = jax.lax.scan(lambda sum_, each: (sum_ + ask(each), None), jnp.zeros(like.shape, like.dtype), some)
    total, left = total * size, rows[whole * size :]
    if left.shape[0]:
        total = total + ask(left) * left.shape[0]
    return total / count


def network_landscape(
    rest: Tree, loss: Loss, l2: float, weights: Tree, statistics: Statistics, data: Data
) -> Landscape:
    """Return the loss of a network over its data: without dropout, by the running statistics.

    rest, weights: as ``inputs.parts_of`` gives them. ``with_data((statistics, data), data.rows)`` moves on to other
    statistics.
    """
    ask = batch_loss(rest, loss, l2)

    def of(weights: Tree, data: tuple[Statistics, Data], rows: Array) -> Array:
        key: Any = None
        return ask(weights, data[0], data[1], rows, jnp.ones(rows.shape[0], jnp.float32), key)[0]

    network: Network = eqx.combine(weights, rest)
    along = partial(dense_along, rest, loss, l2) if is_dense(network) else None
    return Landscape(of, (statistics, data), data.rows, weights, along=along)


def function_landscape(function: Callable[[Tree], Array], like: Tree) -> Landscape:
    """Return a function of weights alone, without data, as a landscape of one row."""
    return Landscape(lambda weights, data, rows: function(weights), (), 1, like)


def data_landscape(loss: Callable[[Tree, Tree], Array], like: Tree, data: Tree) -> Landscape:
    """Return ``loss(weights, batch)``, a mean over the batch, over all of ``data``: a tree of arrays (n, ...)."""
    rows = jax.tree.leaves(data)[0].shape[0]
    return Landscape(
        lambda weights, data, some: loss(weights, jax.tree.map(lambda leaf: leaf[some], data)), data, rows, like
    )
