"""The step of the scaled method on a small function: the inverse Hessian applied to the gradient, made safe.

Newton's step ``H^-1 g`` is wrong in two ways far from a minimum: where the ground curves down it climbs, and where it
hardly curves it leaps. So curvatures are taken by their size (Dauphin et al. 2014, saddle-free Newton), a damping is
added to them (Levenberg 1944), and a line search shortens what is still too long. For least squares the Hessian of
``mean(r^2)`` is taken as ``2 J'J / m``, as if the residuals r (m,) were linear (Gauss-Newton).
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from downslope.types import Matrix, Vector

Array = jax.Array
ENOUGH_DROP = 1e-4
"""The share of the drop that the slope promises which a step must bring (Armijo 1966)."""
SHORTEST = 2.0**-30
"""The shortest step of a line search, as a share of the whole."""


@dataclass(frozen=True)
class Bowl:
    """A function near a point. gradient: (d,). bends: (d,) its curvatures, rising. ways: (d, d) their directions."""

    value: float
    gradient: Vector
    bends: Vector
    ways: Matrix

    @property
    def finite(self) -> bool:
        """False where a slope or a curvature is no number."""
        return bool(np.isfinite(self.value) and np.isfinite(self.gradient).all() and np.isfinite(self.bends).all())

    @property
    def norm(self) -> float:
        """The length of the gradient."""
        return float(np.linalg.norm(self.gradient))

    def step(self, damping: float) -> Vector:
        """Return ``(|H| + damping I)^-1 g``; directions that are level to rounding keep to the damping."""
        sizes = np.abs(self.bends)
        floor = sizes.max() * sizes.size * np.finfo(np.float64).eps if sizes.size else 0.0
        scales = np.maximum(sizes, floor) + damping
        along = self.ways.T @ self.gradient
        return self.ways @ np.divide(along, scales, out=np.array(along), where=scales > 0)

    def gap(self) -> float:
        """Return ``g' |H|^-1 g / 2``, the drop to the bottom of the bowl that fits here."""
        return float(0.5 * self.gradient @ self.step(0.0))


class FlatFunction:
    """A function of a vector, compiled: its value, and the bowl that fits it at a point."""

    def __init__(self, function: Callable[[Array], Array], *, residuals: bool = False) -> None:
        """Take a function to a number or, with ``residuals``, to an array whose mean square is minimised."""
        flat = (lambda point: jnp.mean(jnp.square(function(point)))) if residuals else function
        self._value = jax.jit(flat)
        self._fit = jax.jit(lambda point: (*jax.value_and_grad(flat)(point), jax.hessian(flat)(point)))
        self._fit_residuals = jax.jit(lambda point: _gauss_newton(function, point))
        self.residuals = residuals

    def value(self, point: Vector) -> float:
        """Return the value at a point (d,)."""
        return float(self._value(point))

    def bowl(self, point: Vector, *, exact: bool = False) -> Bowl:
        """Return the bowl at a point (d,); of residuals the Gauss-Newton one, unless the exact one is asked for."""
        value, gradient, hessian = (self._fit if exact or not self.residuals else self._fit_residuals)(point)
        slope, bend = np.asarray(gradient, np.float64), np.asarray(hessian, np.float64)
        if not np.isfinite(bend).all():
            unknown: NDArray[Any] = np.full(slope.size, np.nan)
            return Bowl(float(value), slope, unknown, np.eye(slope.size))
        return Bowl(float(value), slope, *np.linalg.eigh(0.5 * (bend + bend.T)))

    def shortened(self, point: Vector, bowl: Bowl, step: Vector) -> tuple[float, float]:
        """Return (share, value): the longest of 1, 1/2, 1/4 .. of a step that brings enough; share 0 for none."""
        share, promise = 1.0, float(bowl.gradient @ step)
        while share >= SHORTEST:
            value = self.value(point - share * step)
            if value <= bowl.value - ENOUGH_DROP * share * promise and value < bowl.value:
                return share, value
            share *= 0.5
        return 0.0, bowl.value

    def escape(self, point: Vector, bowl: Bowl) -> Vector | None:
        """Return a lower point along the direction that curves down most, None where there is none."""
        size = max(1.0, float(np.linalg.norm(point)))
        lengths = size * np.array([sign * 0.5**power for power in range(20) for sign in (1.0, -1.0)])
        tried = [point + length * bowl.ways[:, 0] for length in lengths]
        values = np.array([self.value(each) for each in tried])
        values[~np.isfinite(values)] = np.inf
        best = int(np.argmin(values))
        return tried[best] if values[best] < bowl.value else None


def _gauss_newton(function: Callable[[Array], Array], point: Array) -> tuple[Array, Array, Array]:
    met = jnp.ravel(function(point))
    slopes = jax.jacobian(lambda each: jnp.ravel(function(each)))(point)
    return jnp.mean(jnp.square(met)), 2.0 * slopes.T @ met / met.size, 2.0 * slopes.T @ slopes / met.size
