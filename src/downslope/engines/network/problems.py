"""A caller's loss, parameters and data as the loops take them: what is learned, apart from what is not."""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from downslope.engines.network.functions import in_precision
from downslope.engines.network.loop import BatchLoss
from downslope.engines.network.newton import FlatFunction
from downslope.errors import OptionError
from downslope.types import Vector

Array = jax.Array
Tree = Any
ROWS_AT_ONCE = 65_536
"""Examples of a full pass that are taken together."""


class Whole(NamedTuple):
    """The value of a function over all its data, and the length of its gradient."""

    value: float
    norm: float


@dataclass(frozen=True)
class FunctionProblem:
    """A loss to minimise.

    loss: (params) or (params, batch) -> a number, or with ``residuals`` an array whose mean square is the loss.
    weights: what is learned of params. rest: what is not. data: a tree of arrays, None without. rows: their first
    axis, 0 without. double: counted in float64. modules: params is made of Equinox modules. plain: a tree like
    weights, True where params has a number and no array.
    """

    loss: Callable[..., Any]
    weights: Tree
    rest: Tree
    data: Tree
    rows: int
    residuals: bool
    double: bool
    modules: bool
    plain: Tree

    def of(self, weights: Tree, batch: Tree) -> Array:
        """Return the loss of some weights on a batch, of the residuals their mean square."""
        met = self._met(weights, batch)
        return jnp.mean(jnp.square(met)) if self.residuals else met

    def _met(self, weights: Tree, batch: Tree) -> Array:
        params = eqx.combine(weights, self.rest)
        return jnp.asarray(self.loss(params) if self.data is None else self.loss(params, batch))

    def batch_loss(self, exact: bool) -> BatchLoss:
        """Return the loss as the loop of networks takes it; exact: of all data at every step."""

        def of(weights: Tree, statistics: Tree, data: Tree, rows: Array, counted: Array, key: Array) -> Any:
            batch = data if exact else jax.tree.map(lambda leaf: leaf[rows], data)
            return self.of(weights, batch), statistics

        return of

    @cached_property
    def _slope(self) -> Any:
        return jax.jit(jax.value_and_grad(self.of))

    def whole(self, weights: Tree) -> Whole:
        """Return the loss of all data, a mean over parts of it that fit, and the length of its gradient."""
        value, total = 0.0, np.zeros(1)
        for first in range(0, max(self.rows, 1), ROWS_AT_ONCE):
            share = min(ROWS_AT_ONCE, self.rows - first) / self.rows if self.rows else 1.0
            some, slope = self._slope(weights, self._part(first))
            value += share * float(some)
            total = total + share * self.vector(slope)
        return Whole(value, float(np.linalg.norm(total)))

    def _part(self, first: int) -> Tree:
        if self.rows <= ROWS_AT_ONCE:
            return self.data
        return jax.tree.map(lambda leaf: leaf[first : first + ROWS_AT_ONCE], self.data)

    @property
    def size(self) -> int:
        """How many numbers are learned."""
        return sum(int(leaf.size) for leaf in jax.tree.leaves(self.weights))

    @property
    def flat_start(self) -> Vector:
        """The weights at the start as one vector, float64."""
        return self.vector(self.weights)

    def vector(self, weights: Tree) -> Vector:
        """Return weights as one vector, float64."""
        return np.asarray(ravel_pytree(weights)[0], np.float64)

    def unflatten(self, point: Vector) -> Tree:
        """Return a vector as the tree of weights that it is."""
        start, back = ravel_pytree(self.weights)
        return back(jnp.asarray(point, start.dtype))

    def flat(self, exact_hessian: bool) -> FlatFunction:
        """Return the loss of all data as a function of one vector; exact_hessian: of residuals too."""
        start, back = ravel_pytree(self.weights)
        ask = self.of if exact_hessian or not self.residuals else self._met
        return FlatFunction(
            lambda point: ask(back(point.astype(start.dtype)), self.data),
            residuals=self.residuals and not exact_hessian,
        )

    def answer(self, weights: Tree) -> Tree:
        """Return params of the caller's kind: numbers and NumPy arrays in a plain tree, JAX arrays within modules."""
        if self.modules:
            return eqx.combine(weights, self.rest)
        kept = jax.tree.map(lambda leaf, was: leaf.item() if was else np.asarray(leaf), weights, self.plain)
        return eqx.combine(kept, self.rest)


def pose(loss: Callable[..., Any], params: Tree, data: Tree, *, residuals: bool, double: bool) -> FunctionProblem:
    """Return a problem, checked; raises OptionError in one sentence for what cannot be descended.

    In a tree with an Equinox module the arrays of floats are learned; in any other every number is.
    """
    dtype = np.dtype(np.float64 if double else np.float32)
    modules = any(isinstance(each, eqx.Module) for each in jax.tree.leaves(params, is_leaf=_is_module))
    learned = eqx.is_inexact_array if modules else _is_number
    chosen, rest = eqx.partition(params, learned)
    if not jax.tree.leaves(chosen):
        message = "params holds no number to learn; give an array, or a tree of arrays of floats"
        raise OptionError(message)
    with in_precision(double):
        weights = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, dtype)), chosen)
        examples, rows = _as_examples(data, dtype)
        plain = jax.tree.map(lambda leaf: isinstance(leaf, int | float), chosen)
        problem = FunctionProblem(loss, weights, rest, examples, rows, residuals, double, modules, plain)
        _check_loss(problem)
    return problem


def _is_module(node: Any) -> bool:
    return isinstance(node, eqx.Module)


def _is_number(leaf: Any) -> bool:
    if isinstance(leaf, bool):
        return False
    if isinstance(leaf, int | float):
        return True
    kind = getattr(getattr(leaf, "dtype", None), "kind", "")
    return kind in ("f", "i", "u") or (kind == "V" and eqx.is_inexact_array(leaf))


def _as_examples(data: Tree, dtype: np.dtype[Any]) -> tuple[Tree, int]:
    """Return data on the device and the length of the first axis that all its arrays share; raises OptionError."""
    if data is None:
        return None, 0
    arrays = jax.tree.map(np.asarray, data)
    named = [(jax.tree_util.keystr(path) or "data", leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(arrays)]
    if not named:
        message = "data holds no array; give arrays with one row an example, or leave data out"
        raise OptionError(message)
    for name, leaf in named:
        if leaf.dtype.kind not in "fiub":
            message = f"{name} of data holds {leaf.dtype}, not numbers; encode it first"
            raise OptionError(message)
        if leaf.ndim == 0 or leaf.shape[0] != named[0][1].shape[0] or not leaf.shape[0]:
            told = ", ".join(f"{name} {leaf.shape}" for name, leaf in named[:4])
            message = f"the arrays of data must share a first axis of examples, but their shapes are {told}"
            raise OptionError(message)

    def placed(leaf: Any) -> Array:
        return jnp.asarray(leaf.astype(dtype) if leaf.dtype.kind == "f" else leaf)

    return jax.tree.map(placed, arrays), int(named[0][1].shape[0])


def _check_loss(problem: FunctionProblem) -> None:
    """Raise OptionError where the loss is no single real number, or not finite at the start."""
    found = jax.eval_shape(problem._met, problem.weights, problem.data)
    if not jnp.issubdtype(found.dtype, jnp.floating):
        message = f"the loss must be a real number, but has the type {found.dtype}"
        raise OptionError(message)
    if problem.residuals and found.size < 1:
        message = "residuals is set, but the loss returns an empty array"
        raise OptionError(message)
    if not problem.residuals and found.shape != ():
        message = (
            f"the loss must be one number, but has the shape {found.shape}; return its mean, or set residuals=True "
            "to minimise the mean of its squares"
        )
        raise OptionError(message)
    start = problem.whole(problem.weights)
    if not np.isfinite(start.value):
        message = f"the loss is {start.value} at the start; begin where it is a finite number"
        raise OptionError(message)
