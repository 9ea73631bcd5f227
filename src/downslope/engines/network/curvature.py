"""Eigenvalues, trace and Newton's step of a Hessian that is never written out, only multiplied by directions.

Lanczos' method (Lanczos 1950; Golub and Van Loan 2013, section 10.1) turns products ``H v`` into a small
tridiagonal matrix whose outer eigenvalues approach those of H. In floating point its vectors lose their right
angles, so each new one is set at right angles to all before it, twice (Parlett 1998, section 6.9).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.errors import InputError
from downslope.types import FloatArray, Indices, Matrix, Vector

if TYPE_CHECKING:
    from downslope.engines.network.landscape import Landscape

STEPS = 100
"""Most steps of Lanczos' method."""
MEMORY = 1 << 29
"""Bytes that its vectors may take; fewer steps where they would take more."""
TOLERANCE = 1e-4
"""Residual, as a share of the largest eigenvalue by size, at which an eigenvalue counts as found."""
LOOK = 5
"""Steps between two looks at the residuals."""
ROUNDING = 30.0
"""A new direction shorter than so many roundings of the whole is none: the old ones span all that H reaches."""
PROBES = 32
"""Random directions of a trace."""
NEWTON_STEPS = 24
"""Dimensions in which Newton's step is taken."""
FLAT = 1e-5
"""Curvatures below this share of the largest are taken as that in Newton's step, lest rounding grow."""

Product = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Krylov:
    """What some products with H tell of it.

    basis: (m, P) orthonormal rows. diagonal (m,), off (m - 1,): H within them, tridiagonal. left: length of what H
    carries out of their span, 0 where nothing does.
    """

    basis: FloatArray
    diagonal: Vector
    off: Vector
    left: float

    def eigen(self) -> tuple[Vector, Matrix]:
        """Return eigenvalues (m,) in rising order and eigenvectors (m, m), in columns, of the tridiagonal matrix."""
        within = np.diag(self.diagonal) + np.diag(self.off, 1) + np.diag(self.off, -1)
        values, vectors = np.linalg.eigh(within)
        return values, vectors


@dataclass(frozen=True)
class Spectrum:
    """The outer eigenvalues of H.

    values: (k,) the largest, falling. errors: (k,) ``|H v - value v|`` of each. vectors: (k, P), of length 1.
    smallest, smallest_error, smallest_vector: the same of the lowest. products: H times a direction, how often.
    """

    values: Vector
    errors: Vector
    vectors: FloatArray
    smallest: float
    smallest_error: float
    smallest_vector: FloatArray
    products: int


def lanczos(product: Product, start: FloatArray, steps: int, wanted: int, seed: int, tolerance: float) -> Krylov:
    """Return a Krylov space grown from ``start`` (P,), not zero, until its outer eigenvalues are found.

    wanted: how many of the largest, besides the smallest; 0 takes all steps. Where the space is exhausted before, it
    goes on from a new random direction, since the first meets an eigenvalue that occurs twice only once. Raises
    InputError where a product is not finite.
    """
    size, kind = start.size, start.dtype
    steps = max(2, min(steps, size, MEMORY // (size * kind.itemsize))) if size > 1 else 1
    rng = np.random.default_rng(seed)
    basis = np.zeros((steps, size), kind)
    diagonal, off = np.zeros(steps), np.zeros(steps)
    following, fresh = _unit(start), 0
    for j in range(steps):
        basis[j] = following
        rest = product(basis[j])
        if not np.isfinite(rest).all():
            message = "the curvature of the loss is not a number at these weights; measure at the last finite ones"
            raise InputError(message)
        diagonal[j] = float(basis[j] @ rest)
        rest = _cleared(rest, basis[: j + 1])
        off[j] = float(np.linalg.norm(rest))
        far = max(float(np.abs(diagonal[: j + 1]).max()), float(off[:j].max(initial=0.0)))
        exhausted = off[j] <= ROUNDING * float(np.finfo(kind).eps) * far
        now = Krylov(basis[: j + 1], diagonal[: j + 1], off[:j], 0.0 if exhausted else float(off[j]))
        if j + 1 == steps or (exhausted and wanted <= fresh + 1) or _found(now, wanted, tolerance, exhausted):
            return now
        if exhausted:
            off[j], fresh = 0.0, fresh + 1
            rest = _cleared(rng.standard_normal(size).astype(kind), basis[: j + 1])
        following = _unit(rest)
    raise AssertionError


def _found(space: Krylov, wanted: int, tolerance: float, exhausted: bool) -> bool:
    """Say whether the wanted eigenvalues are known well enough; what is left over bounds their residuals."""
    count = space.diagonal.size
    if exhausted or not wanted or count <= wanted or count % LOOK:
        return False
    values, vectors = space.eigen()
    outer = [0, *range(-wanted, 0)]
    return bool((space.left * np.abs(vectors[-1, outer]) <= tolerance * np.abs(values).max()).all())


def _cleared(vector: FloatArray, basis: FloatArray) -> FloatArray:
    """Return what is left of a vector at right angles to the rows of a basis."""
    for _ in range(2):
        vector = vector - (basis @ vector) @ basis
    return vector


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.linalg.norm(vector).astype(vector.dtype)


def extremes(
    landscape: Landscape, weights: FloatArray, *, top: int = 1, steps: int = STEPS, tolerance: float = TOLERANCE,
    rows: Indices | None = None, scales: FloatArray | None = None, seed: int = 0,
) -> Spectrum:  # fmt: skip
    """Return the ``top`` largest eigenvalues and the smallest of the Hessian of a landscape at ``weights`` (P,).

    scales: (P,) S of another set of coordinates, in which the Hessian is ``S H S``.

    Each is read off its vector anew, and its error from one more product: an eigenvalue of H lies within
    ``|H v - value v|`` of it (Parlett 1998, theorem 4.5.1).
    """

    def product(direction: FloatArray) -> FloatArray:
        if scales is None:
            return landscape.product(weights, direction, rows)
        return scales * landscape.product(weights, scales * direction, rows)

    start = np.random.default_rng(seed).standard_normal(landscape.size).astype(landscape.dtype)
    space = lanczos(product, start, steps, top, seed + 1, tolerance)
    _, inner = space.eigen()
    count = min(top, inner.shape[1])
    pairs = [_pair(product, inner[:, -1 - index], space.basis) for index in range(count)]
    lowest = _pair(product, inner[:, 0], space.basis)
    pairs.sort(key=lambda pair: -pair[0])
    return Spectrum(
        np.array([value for value, _, _ in pairs]), np.array([error for _, error, _ in pairs]),
        np.stack([vector for _, _, vector in pairs]), *lowest, space.diagonal.size + count + 1,
    )  # fmt: skip


def _pair(product: Product, inner: Vector, basis: FloatArray) -> tuple[float, float, FloatArray]:
    """Return the eigenvalue that a vector of the small matrix stands for, its residual, and its vector (P,)."""
    vector = _unit(inner.astype(basis.dtype) @ basis)
    reached = product(vector).astype(np.float64)
    value = float(vector @ reached)
    return value, float(np.linalg.norm(reached - value * vector)), vector


def trace(
    landscape: Landscape, weights: FloatArray, *, probes: int = PROBES, rows: Indices | None = None, seed: int = 0
) -> tuple[float, float]:
    """Return the trace of the Hessian and its standard error, nan of one probe; exact, with 0, where P <= probes.

    The mean of ``z'Hz`` over random signs z (Hutchinson 1990, "A stochastic estimator of the trace").
    """
    if landscape.size <= probes:
        units = np.eye(landscape.size, dtype=landscape.dtype)
        return float(sum(unit @ landscape.product(weights, unit, rows) for unit in units)), 0.0
    rng = np.random.default_rng(seed)
    found = np.empty(probes)
    for index in range(probes):
        signs = rng.choice(np.array([-1.0, 1.0]), landscape.size).astype(landscape.dtype)
        found[index] = float(signs.astype(np.float64) @ landscape.product(weights, signs, rows))
    return float(found.mean()), float(found.std(ddof=1)) / math.sqrt(probes) if probes > 1 else math.nan


def newton_step(
    landscape: Landscape, weights: FloatArray, gradient: FloatArray, *, steps: int = NEWTON_STEPS,
    rows: Indices | None = None,
) -> tuple[FloatArray, float]:  # fmt: skip
    """Return Newton's step (P,) within the Krylov space of the gradient, and the fall of the loss that it promises.

    Lanczos from the gradient takes the steps of conjugate gradients (Golub and Van Loan 2013, section 11.3). Where
    the loss curves down, the curvature counts by its size, so the step leads down there too (Dauphin et al. 2014,
    "Identifying and attacking the saddle point problem", section 5).
    """
    length = float(np.linalg.norm(gradient.astype(np.float64)))
    if not length > 0:
        return np.zeros_like(gradient), 0.0
    space = lanczos(lambda along: landscape.product(weights, along, rows), gradient, steps, 0, 0, 0.0)
    values, vectors = space.eigen()
    sizes = np.abs(values)
    if not sizes.max() > 0:
        return -gradient, length**2
    share = vectors[0] / np.maximum(sizes, FLAT * sizes.max())
    step: NDArray[Any] = (-length * (vectors @ share)).astype(gradient.dtype) @ space.basis
    return step, 0.5 * length**2 * float(vectors[0] @ share)
