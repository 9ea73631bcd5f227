"""Passes over rows without their zeros, beside numbers and codes: the sparse twins of ``kernels``.

A row is its numbers, its levels and its entries; only what is written out is read. Entries add straight into the
float64 sums, since a buffer of all columns would be longer than the rows that fill it.
"""

from __future__ import annotations

import numpy as np

from downslope.compiling import inlined, kernel
from downslope.engines.kernels import FLUSH, TILE, gather_tile, score_tile, tile_losses, weigh_tile
from downslope.types import Codes, FloatArray, Matrix, Offsets, Vector


@inlined
def score_entries(
    starts: Offsets, places: Codes, values: FloatArray, weights: FloatArray, base: int, first: int, last: int,
    scores: FloatArray,
) -> None:  # fmt: skip
    """Add to ``scores[: last - first]`` what the entries of rows first .. last score; base is p + m."""
    zero = values.dtype.type(0)
    for i in range(first, last):
        score = zero
        for e in range(starts[i], starts[i + 1]):
            score += values[e] * weights[base + places[e]]
        scores[i - first] += score


@kernel
def loss_and_gradient(
    numbers: FloatArray, codes: Codes, starts: Offsets, places: Codes, values: FloatArray, base: int,
    weights: FloatArray, intercept: float, target: Vector, example_weights: Vector, family: int, low: float,
    high: float, width: float, start: int, stop: int, gradient: Vector,
) -> tuple[float, float]:  # fmt: skip
    """Return the summed loss and the summed slope of rows start .. stop, and add to ``gradient`` (d,) float64.

    starts, places, values: the sparse rows. base: p + m, the weight of the first sparse column.
    """
    fast = numbers.itemsize == 4
    scores = np.empty(TILE, numbers.dtype)
    targets = np.empty(TILE, numbers.dtype)
    losses = np.empty(TILE, numbers.dtype)
    part = np.zeros(base, numbers.dtype)
    total = 0.0
    slope_sum = 0.0
    tiles = 0
    for first in range(start, stop, TILE):
        last = min(first + TILE, stop)
        count = last - first
        for i in range(count):
            targets[i] = target[first + i]
        score_tile(numbers, codes, weights, intercept, first, last, scores)
        score_entries(starts, places, values, weights, base, first, last, scores)
        tile_losses(fast, family, low, high, width, scores, targets, losses, count)
        tile_loss, tile_slope = weigh_tile(example_weights, first, scores, losses, count)
        total += tile_loss
        slope_sum += tile_slope
        gather_tile(numbers, codes, scores, first, last, part)
        for i in range(first, last):
            slope = scores[i - first]
            for e in range(starts[i], starts[i + 1]):
                gradient[base + places[e]] += slope * values[e]
        tiles += 1
        if tiles == FLUSH:
            tiles = 0
            for j in range(base):
                gradient[j] += part[j]
                part[j] = 0
    for j in range(base):
        gradient[j] += part[j]
    return total, slope_sum


@kernel
def add_scores(
    starts: Offsets, places: Codes, values: FloatArray, weights: Vector, start: int, stop: int, out: Vector
) -> None:
    """Add to ``out[start:stop]`` what the entries score with (s,) weights, in the precision of ``weights``."""
    for i in range(start, stop):
        score = 0.0
        for e in range(starts[i], starts[i + 1]):
            score += values[e] * weights[places[e]]
        out[i] += score


@kernel
def gather(
    starts: Offsets, places: Codes, values: FloatArray, slopes: Vector, start: int, stop: int, gradient: Vector
) -> None:
    """Add to ``gradient`` (s,) float64 the entries of rows start .. stop times the ``slopes`` (n,) of their rows."""
    for i in range(start, stop):
        slope = slopes[i]
        for e in range(starts[i], starts[i + 1]):
            gradient[places[e]] += slope * values[e]


@kernel
def add_output_scores(
    starts: Offsets, places: Codes, values: FloatArray, weights: FloatArray, scores: FloatArray
) -> None:
    """Add to ``scores`` (n, k) what the entries score with (s, k) weights."""
    for i in range(scores.shape[0]):
        for e in range(starts[i], starts[i + 1]):
            value = values[e]
            row = weights[places[e]]
            for c in range(scores.shape[1]):
                scores[i, c] += value * row[c]


@kernel
def gather_outputs(starts: Offsets, places: Codes, values: FloatArray, slopes: FloatArray, gathered: Matrix) -> None:
    """Add to ``gathered`` (s, k) the entries times the ``slopes`` (n, k) of their rows."""
    for i in range(slopes.shape[0]):
        for e in range(starts[i], starts[i + 1]):
            value = values[e]
            row = gathered[places[e]]
            for c in range(slopes.shape[1]):
                row[c] += value * slopes[i, c]


@kernel
def column_sums(
    starts: Offsets, places: Codes, values: FloatArray, row_weights: Vector, start: int, stop: int, sums: Matrix
) -> None:
    """Add to ``sums`` (2, s) the values of each column and their squares, by row weight (n,) unless that is empty."""
    weighted = row_weights.shape[0] > 0
    for i in range(start, stop):
        weight = row_weights[i] if weighted else 1.0
        for e in range(starts[i], starts[i + 1]):
            value = np.float64(values[e])
            sums[0, places[e]] += weight * value
            sums[1, places[e]] += weight * value * value


@kernel
def moments(
    numbers: FloatArray, codes: Codes, starts: Offsets, places: Codes, values: FloatArray, base: int, center: Vector,
    row_weights: Vector, amounts: Vector, start: int, stop: int, total: Matrix, pull: Vector,
) -> None:  # fmt: skip
    """Add z z' of rows start .. stop to the upper part of ``total`` (d + 1, d + 1), and z times amounts to ``pull``.

    z is (numbers - center, a 1 for each level, entries, 1). row_weights, amounts: (n,), or empty for 1 and 0.
    """
    p = numbers.shape[1]
    q = codes.shape[1]
    d = total.shape[0] - 1
    weighted = row_weights.shape[0] > 0
    place = np.empty(d + 1, np.int64)
    entry = np.empty(d + 1, np.float64)
    for i in range(start, stop):
        count = 0
        for j in range(p):
            place[count] = j
            entry[count] = numbers[i, j] - center[j]
            count += 1
        for c in range(q):
            place[count] = p + codes[i, c]
            entry[count] = 1.0
            count += 1
        for e in range(starts[i], starts[i + 1]):
            place[count] = base + places[e]
            entry[count] = values[e]
            count += 1
        place[count] = d
        entry[count] = 1.0
        count += 1
        weight = row_weights[i] if weighted else 1.0
        amount = weight * amounts[i] if amounts.shape[0] > 0 else 0.0
        for a in range(count):
            scaled = weight * entry[a]
            row = place[a]
            pull[row] += amount * entry[a]
            for b in range(a, count):
                column = place[b]
                total[min(row, column), max(row, column)] += scaled * entry[b]


@kernel
def row_squares(
    starts: Offsets, places: Codes, values: FloatArray, center: Vector, scale: Vector, start: int, stop: int,
    out: Vector,
) -> None:  # fmt: skip
    """Add to ``out[start:stop]`` by how much the entries lengthen ((x - center) / scale)^2 over an empty row."""
    for i in range(start, stop):
        square = 0.0
        for e in range(starts[i], starts[i + 1]):
            value, middle, size = np.float64(values[e]), center[places[e]], scale[places[e]]
            square += value * (value - 2.0 * middle) / (size * size)
        out[i] += square
