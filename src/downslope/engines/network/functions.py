"""Many descents of one function at once: each start is a lane, and all take a step together.

Lanes are the last axis of every array, so that a function of a few variables becomes a handful of operations on
long rows of numbers. A lane whose slope or step is not finite stays where it was last finite.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from downslope.engines.network.rules import Rule, given_rule, rule_of, settled_weights
from downslope.errors import OptionError
from downslope.types import Matrix, Vector

Array = jax.Array
Function = Callable[[Array], Array]
"""A function of a vector (d,) to a number."""
STILL = 1e-6
"""A step shorter than this share of the box is no movement."""


class Lanes(NamedTuple):
    """Where the descents stand. points: (d, n). rule: memory of each. alive: (n,). moved: (n,) last step that moved."""

    points: Array
    rule: Any
    alive: Array
    moved: Array


@dataclass(frozen=True)
class Descended:
    """Where the descents came to.

    points: (n, d). alive: (n,), False where a slope or a step was not finite. moved: (n,) updates until its steps
    were shorter than ``STILL`` of the box. path: (steps + 1, keep, d), of the first lanes. values: (steps + 1, keep)
    and slopes: (steps + 1, keep, d), of the function along that path, empty where the program does not measure it.
    """

    points: Matrix
    alive: NDArray[np.bool_]
    moved: NDArray[np.int32]
    path: Matrix
    values: Matrix
    slopes: Matrix


class LaneProgram:
    """The compiled descents of n starts; compiling is done, and timed, when it is made."""

    def __init__(
        self, function: Function, rule: tuple[str, Rule], shape: tuple[int, int], steps: int, *, noisy: bool = False,
        keep: int = 0, measured: bool = False, precision: str = "float64",
    ) -> None:  # fmt: skip
        """Take a function and a rule.

        shape: (n, d), starts and variables. noisy: gradients will have noise. keep: lanes whose path is kept.
        measured: with the values and slopes along it. precision: float64 or float32.
        """
        self.double = precision == "float64"
        self.dtype = np.dtype(precision)
        lanes, variables = shape
        began = time.perf_counter()
        with in_precision(self.double):
            starts = jax.ShapeDtypeStruct((variables, lanes), self.dtype)
            row = jax.ShapeDtypeStruct((lanes,), self.dtype)
            one = jax.ShapeDtypeStruct((), self.dtype)
            extent = jax.ShapeDtypeStruct((variables,), self.dtype)
            seed = jax.ShapeDtypeStruct((), np.dtype(np.uint32))
            run = partial(_run, function, rule, steps, keep, noisy, measured)
            self._run = jax.jit(run).lower(starts, row, extent, one, seed).compile()
        self.compile_seconds = time.perf_counter() - began

    def descend(
        self, starts: Matrix, rates: Vector | float, extent: Vector, noise: float = 0.0, seed: int = 0
    ) -> Descended:
        """Descend from starts (n, d) at rates (n,), or all at one.

        extent: (d,) length of each side of the box. noise: standard deviation of what is added to each component of
        a gradient, drawn anew at every step of every lane.
        """
        with in_precision(self.double):
            points, alive, moved, path, seen = self._run(
                np.ascontiguousarray(starts.T, self.dtype), np.full(starts.shape[0], rates, self.dtype),
                np.asarray(extent, self.dtype), np.asarray(noise, self.dtype), np.asarray(seed, np.uint32),
            )  # fmt: skip
        whole = np.concatenate([starts.T[None, :, : path.shape[2]], np.asarray(path, np.float64)])
        values, slopes = (np.asarray(each, np.float64) for each in seen)
        return Descended(
            np.asarray(points, np.float64).T, np.asarray(alive), np.asarray(moved), whole.transpose(0, 2, 1), values,
            slopes.transpose(0, 2, 1),
        )  # fmt: skip


def in_precision(double: bool) -> AbstractContextManager[Any]:
    """Return a context in which JAX counts in float64, or in float32."""
    return jax.enable_x64(double)


def _run(
    function: Function, rule: tuple[str, Rule], steps: int, keep: int, noisy: bool, measured: bool, starts: Array,
    rates: Array, extent: Array, noise: Array, seed: Array,
) -> tuple[Array, Array, Array, Array, tuple[Array, Array]]:  # fmt: skip
    name, make = rule
    measure = jax.vmap(jax.value_and_grad(function), -1, (0, -1))
    looked = keep if measured else 0
    axes = _axes(make, starts[:, 0])
    update = jax.vmap(partial(_step, make), in_axes=(-1, axes, -1, 0), out_axes=(-1, axes))
    key = jax.random.PRNGKey(seed)

    def step(lanes: Lanes, index: Array) -> tuple[Lanes, Any]:
        value, gradient = measure(lanes.points)
        here = (value[:looked], gradient[:, :looked])
        if noisy:
            drawn = jax.random.normal(jax.random.fold_in(key, index), gradient.shape, gradient.dtype)
            gradient = gradient + noise * drawn
        change, memory = update(gradient, lanes.rule, lanes.points, rates)
        points = lanes.points + change
        alive = lanes.alive & jnp.isfinite(points).all(axis=0)
        far = jnp.square(change / extent[:, None]).sum(axis=0) > STILL**2
        moved = jnp.where(alive & far, (index + 1).astype(jnp.int32), lanes.moved)
        points = jnp.where(alive, points, lanes.points)
        return Lanes(points, memory, alive, moved), (points[:, :keep], here)

    start = jax.vmap(lambda point, rate: make(rate).init(point), in_axes=(-1, 0), out_axes=axes)(starts, rates)
    count = starts.shape[1]
    first = Lanes(starts, start, jnp.ones(count, bool), jnp.zeros(count, jnp.int32))
    lanes, (path, seen) = jax.lax.scan(step, first, jnp.arange(steps))
    answered = jax.vmap(partial(settled_weights, name), in_axes=(axes, -1), out_axes=-1)(lanes.rule, lanes.points)
    points = jnp.where(lanes.alive, answered, lanes.points)
    last = measure(lanes.points[:, :looked])
    values, slopes = (jnp.concatenate([each, end[None]]) for each, end in zip(seen, last, strict=True))
    return points, lanes.alive, lanes.moved, path, (values, slopes)


def _step(make: Rule, gradient: Array, memory: Any, point: Array, rate: Array) -> tuple[Array, Any]:
    change, memory = make(rate).update(gradient, memory, point)
    return jnp.asarray(change), memory


def _axes(make: Rule, point: Array) -> Any:
    """Return the axis of the lanes in each leaf of a rule's memory: the last, and none where it counts updates."""
    memory = jax.eval_shape(lambda one: make(jnp.ones((), one.dtype)).init(one), point)
    return jax.tree.map(lambda leaf: None if jnp.issubdtype(leaf.dtype, jnp.integer) else -1, memory)


@dataclass(frozen=True)
class Measured:
    """A function at points (n, d). values: (n,). gradients: (n, d). hessians: (n, d, d)."""

    values: Vector
    gradients: Matrix
    hessians: NDArray[np.float64]


class Measure:
    """Values, gradients and Hessians of a function at many points, in float64, compiled once for a number of them."""

    def __init__(self, function: Function) -> None:
        """Take a function of a vector."""
        one = (jax.value_and_grad(function), jax.hessian(function))
        self._all = jax.jit(jax.vmap(lambda point: (*one[0](point), one[1](point))))
        self._slopes = jax.jit(jax.vmap(one[0]))
        self._values = jax.jit(jax.vmap(function))

    def __call__(self, points: Matrix) -> Measured:
        """Return all three at points (n, d)."""
        with in_precision(True):
            values, gradients, hessians = self._all(points)
        return Measured(np.asarray(values), np.asarray(gradients), np.asarray(hessians))

    def slopes(self, points: Matrix) -> tuple[Vector, Matrix]:
        """Return the values (n,) and gradients (n, d) at points (n, d)."""
        with in_precision(True):
            values, gradients = self._slopes(points)
        return np.asarray(values), np.asarray(gradients)

    def values(self, points: Matrix) -> Vector:
        """Return the values at points (n, d)."""
        with in_precision(True):
            return np.asarray(self._values(points))


def value_shape(function: Function, variables: int) -> tuple[int, ...]:
    """Return the shape of what a function gives for a vector of so many variables, without running it."""
    with in_precision(True):
        return tuple(jax.eval_shape(function, jax.ShapeDtypeStruct((variables,), np.dtype(np.float64))).shape)


def rule_from(given: Any, momentum: float, weight_decay: float | None = None) -> tuple[str, Rule]:
    """Return a rule by its name, or a caller's own Optax transformation, which is called ``optax``."""
    if isinstance(given, optax.GradientTransformation):
        return "optax", given_rule(given)
    if not isinstance(given, str):
        message = f"a rule is a name or an Optax transformation, such as optax.adam(1e-3), not {given!r}"
        raise OptionError(message)
    return given, rule_of(given, momentum, weight_decay)
