"""The noise of the gradient: how far single examples pull apart, against the pull that they share.

``spread / signal`` is the simple noise scale, trace(Sigma) / |G|^2 (McCandlish et al. 2018, "An empirical model of
large-batch training", eq. 2.9). Gradients of small pieces of rows, compared with their mean, give both parts without
bias (the same, appendix A.1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import stdtrit

from downslope.engines.network.anatomy import layers_of
from downslope.engines.network.landscape import Landscape
from downslope.records.shape import LayerNoise, Noise
from downslope.types import FloatArray, Vector

SAMPLE = 2048
"""Rows that the noise is measured on."""
PIECE = 16
"""Rows whose gradients are taken together; fewer where there would be too few pieces."""
LEAST_PIECES = 64
CONFIDENCE = 0.95
ROUNDING = 1e-5
"""A direction of a gradient below this share of the largest is rounding: float32, summed over thousands of rows."""


def gradient_noise(
    landscape: Landscape, weights: FloatArray, *, sample: int = SAMPLE, piece: int | None = None,
    rate: float = math.nan, update: FloatArray | None = None, dead: Mapping[str, float] | None = None, seed: int = 0,
) -> Noise:  # fmt: skip
    """Return the noise of the gradient at ``weights`` (P,), with its interval, and the lengths of each layer's parts.

    sample: most rows to look at. piece: rows whose gradients are taken together. update: the last change (P,) of the
    weights, or else rate, that of a plain step. dead: from ``engines.network.anatomy.dead_units``.
    """
    count = min(sample, landscape.rows)
    size = max(1, min(PIECE, count // LEAST_PIECES)) if piece is None else min(piece, count)
    pieces = count // size
    drawn = np.random.default_rng(seed).permutation(landscape.rows)[: pieces * size]
    mean, squares, products = landscape.spread(weights, drawn.reshape(pieces, size))
    spread, signal, low, high = _estimate(float((mean.astype(np.float64) ** 2).sum()), squares, products, size)
    scale = spread / signal if signal > 0 else (math.inf if spread > 0 else 0.0)
    change = update if update is not None else rate * mean
    return Noise(
        scale, low, high, spread, signal, drawn.size, landscape.rows, size,
        _layers(landscape, weights, mean, change, dead or {}),
    )  # fmt: skip


def _estimate(whole: float, squares: Vector, products: Vector, size: int) -> tuple[float, float, float, float]:
    """Return spread, signal, and the interval of their ratio, from the gradients of ``size`` rows each.

    whole: the squared length of their mean. squares, products: as ``Landscape.spread`` gives them. How spread and
    signal scatter together is found by leaving out each piece in turn (jackknife, Efron and Stein 1981); the interval
    of the ratio is Fieller's (1954, eq. 13), which has no upper end where the signal may be zero.
    """
    c = squares.size
    if c < 3:
        return 0.0, whole, 0.0, 0.0 if c < 2 else math.inf
    total = float(squares.sum())
    spread, signal = _parts(whole, total, c, size)
    less = (c * c * whole - 2 * c * products + squares) / (c - 1) ** 2
    spreads, signals = _parts(less, total - squares, c - 1, size)
    apart = np.stack([spreads - np.mean(spreads), signals - np.mean(signals)])
    (va, cab), (_, vb) = (c - 1) / c * apart @ apart.T
    z = float(stdtrit(c - 1, 0.5 + CONFIDENCE / 2)) ** 2
    first, middle, last = signal**2 - z * vb, spread * signal - z * cab, spread**2 - z * va
    root = math.sqrt(max(middle**2 - first * last, 0.0))
    low = last / (middle + root) if last > 0 and middle + root > 0 else 0.0
    return spread, signal, float(low), float(middle + root) / first if first > 0 and signal > 0 else math.inf


def _parts(whole: float | Vector, total: float | Vector, c: int, size: int) -> tuple[float, float]:
    """Return spread and signal of c pieces; whole: the squared length of their mean, total: the sum of theirs."""
    scatter = (total - c * whole) / (c - 1)
    return size * scatter, whole - scatter / c  # type: ignore[return-value]


def _layers(
    landscape: Landscape, weights: FloatArray, gradient: FloatArray, update: FloatArray, dead: Mapping[str, float]
) -> tuple[LayerNoise, ...]:
    found: list[LayerNoise] = []
    for name, places in layers_of(landscape.like).items():
        here, slope, change = (
            math.sqrt(sum(float((each[place].astype(np.float64) ** 2).sum()) for place, _ in places))
            for each in (weights, gradient, update)
        )
        ratio = change / here if here > 0 else (math.nan if math.isnan(change) else math.inf)
        units, rank = _rank([gradient[place].reshape(shape) for place, shape in places if len(shape) > 1])
        found.append(LayerNoise(name, here, slope, ratio, units, rank, dead.get(name, math.nan)))
    return tuple(found)


def _rank(matrices: list[FloatArray]) -> tuple[int, int]:
    """Return how many units a layer's matrix leads into, and its rank to rounding; zeros where it has none."""
    if not matrices:
        return 0, 0
    flat = matrices[0].reshape(-1, matrices[0].shape[-1]).astype(np.float64)
    spread = np.sqrt(np.maximum(np.linalg.eigvalsh(flat.T @ flat), 0.0))
    return flat.shape[1], int((spread > ROUNDING * max(spread.max(), 1e-300)).sum())
