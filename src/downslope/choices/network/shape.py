"""The curvature about some weights, and how long a plain step may be: the numbers behind "try another rate"."""

from __future__ import annotations

import math

import numpy as np

from downslope.engines.network.curvature import PROBES, STEPS, Spectrum, extremes, trace
from downslope.engines.network.landscape import Landscape
from downslope.records.shape import Shape
from downslope.types import FloatArray, Indices

PIECES = 32
"""Parts of a sample whose curvatures tell how far the sample's may be from that of all rows."""


def sampled(landscape: Landscape, count: int | None, pieces: int, seed: int) -> Indices | None:
    """Return ``count`` distinct rows, cut down to a multiple of ``pieces``; None, for all, where count reaches them."""
    if count is None or max(count, pieces) >= landscape.rows:
        return None
    most = max(pieces, count // pieces * pieces)
    return np.random.default_rng(seed).choice(landscape.rows, most, replace=False).astype(np.int32)


def measure_shape(
    landscape: Landscape, weights: FloatArray, *, sample: int | None = None, steps: int = STEPS,
    probes: int = PROBES, seed: int = 0,
) -> Shape:  # fmt: skip
    """Return the outer eigenvalues and the trace of the Hessian at ``weights`` (P,).

    sample: rows to measure on, None for all; the largest eigenvalue of a sample tends to be above that of all rows.
    steps: most steps of Lanczos' method. probes: random directions of the trace. Raises InputError where the loss
    has no finite curvature.
    """
    rows = sampled(landscape, sample, PIECES, seed)
    found = extremes(landscape, weights, steps=steps, rows=rows, seed=seed)
    total, error = trace(landscape, weights, probes=probes, rows=rows, seed=seed)
    largest, used = float(found.values[0]), landscape.rows if rows is None else rows.size
    return Shape(
        largest, float(found.errors[0]), found.smallest, found.smallest_error, condition_of(found), total, error,
        2.0 / largest if largest > found.errors[0] else math.inf, _sampling_error(landscape, weights, found, rows),
        used, landscape.rows, landscape.size, found.products + min(probes, landscape.size),
    )  # fmt: skip


def limit_curvature(
    landscape: Landscape, weights: FloatArray, divisors: FloatArray | None, shape: Shape, *, sample: int | None = None,
    steps: int = STEPS, seed: int = 0,
) -> float:  # fmt: skip
    """Return the largest curvature in the coordinates in which a rule's steps are plain.

    divisors: (P,) what the rule divides each component of a gradient by, None for a rule that does not. shape: of the
    loss in its own coordinates. With D the divisors it is the largest eigenvalue of ``D^-1/2 H D^-1/2``, which has
    the eigenvalues of ``D^-1 H``.
    """
    if divisors is None:
        return shape.largest
    rows = sampled(landscape, sample, PIECES, seed)
    scales = (1.0 / np.sqrt(divisors.astype(np.float64))).astype(landscape.dtype)
    return float(extremes(landscape, weights, steps=steps, rows=rows, scales=scales, seed=seed).values[0])


def condition_of(found: Spectrum) -> float:
    """Return largest over smallest eigenvalue: inf where the smallest is zero to its error, nan where it is below."""
    if abs(found.smallest) <= found.smallest_error:
        return math.inf
    return float(found.values[0]) / found.smallest if found.smallest > 0 else math.nan


def _sampling_error(landscape: Landscape, weights: FloatArray, found: Spectrum, rows: Indices | None) -> float:
    """Return the standard error of the curvature along the steepest direction, drawn without replacement."""
    if rows is None:
        return 0.0
    each = landscape.bends(weights, found.vectors[0], rows.reshape(PIECES, -1))
    left = 1.0 - rows.size / landscape.rows
    return float(each.std(ddof=1)) * math.sqrt(left / each.size)
