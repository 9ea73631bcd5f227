"""Full passes over the examples: scores, loss and gradient in one read, second moments.

Rows are handled in tiles that stay in the cache nearest the core: score the tile, turn scores into losses
and slopes, add the rows back weighted by their slopes. The data are read from memory once. Sums run in the
precision of the data within a few tiles and in float64 above them.
"""

from __future__ import annotations

import math

import numpy as np

from downslope.compiling import inlined, kernel
from downslope.engines.elementary import ONE, ZERO, exp_single, log1p_single, single
from downslope.losses import CLIPPED, HINGE, LOG, POISSON, SQUARED
from downslope.types import Codes, FloatArray, Matrix, Vector

TILE = 64
NUDGE = 1e-6
FLUSH = 16
"""Tiles between two additions to the float64 sums."""


@inlined
def clipped(residual: float, low: float, high: float, width: float) -> float:
    """Return the best t of ``max over t in [low, high] of residual t - width t^2 / 2``."""
    if width > 0:
        return min(max(residual / width, low), high)
    if residual > 0:
        return high
    if residual < 0:
        return low
    return 0.5 * (low + high)


@inlined
def loss_and_slope(
    family: int, low: float, high: float, width: float, score: float, target: float
) -> tuple[float, float]:
    """Return one example's loss and slope in float64; the formulas are those of ``downslope.losses``.

    Poisson leaves out ``y log y - y``, which no weight can change.
    """
    if family == SQUARED:
        residual = score - target
        return residual * residual, 2.0 * residual
    if family == CLIPPED:
        best = clipped(target - score, low, high, width)
        return best * (target - score - 0.5 * width * best), -best
    if family == LOG:
        small = math.exp(-abs(score))
        upper = 1.0 / (1.0 + small)
        chance = upper if score >= 0 else small * upper
        return math.log1p(small) + max(score, 0.0) - target * score, chance - target
    if family == POISSON:
        mean = math.exp(score)
        return mean - target * score, mean - target
    sign = 2.0 * target - 1.0
    short = 1.0 - sign * score
    if family == HINGE:
        best = clipped(short, low, high, width)
        return best * (short - 0.5 * width * best), -sign * best
    short = max(short, 0.0)
    return short * short, -2.0 * sign * short


@inlined
def log_tile(scores: FloatArray, targets: FloatArray, losses: FloatArray, count: int) -> None:
    """Log loss of a tile in float32 vector code: fills ``losses``, turns ``scores`` into slopes."""
    for i in range(count):
        score = single(scores[i])
        small = exp_single(-abs(score))
        upper = ONE / (ONE + small)
        chance = upper if score >= ZERO else small * upper
        losses[i] = log1p_single(small) + max(score, ZERO) - single(targets[i]) * score
        scores[i] = chance - single(targets[i])


@inlined
def poisson_tile(scores: FloatArray, targets: FloatArray, losses: FloatArray, count: int) -> None:
    """Poisson loss of a tile in float32 vector code: fills ``losses``, turns ``scores`` into slopes."""
    for i in range(count):
        mean = exp_single(single(scores[i]))
        losses[i] = mean - single(targets[i]) * single(scores[i])
        scores[i] = mean - single(targets[i])


@inlined
def tile_losses(
    fast: bool, family: int, low: float, high: float, width: float, scores: FloatArray, targets: FloatArray,
    losses: FloatArray, count: int,
) -> None:  # fmt: skip
    """Fill ``losses`` and turn ``scores`` into slopes; ``fast`` allows float32 arithmetic."""
    if fast and family == LOG:
        log_tile(scores, targets, losses, count)
    elif fast and family == POISSON:
        poisson_tile(scores, targets, losses, count)
    elif family == SQUARED:
        for i in range(count):
            residual = scores[i] - targets[i]
            losses[i] = residual * residual
            scores[i] = residual + residual
    else:
        for i in range(count):
            loss, slope = loss_and_slope(family, low, high, width, float(scores[i]), float(targets[i]))
            losses[i] = loss
            scores[i] = slope


@inlined
def score_tile(
    numbers: FloatArray, codes: Codes, weights: FloatArray, intercept: float, first: int, last: int, scores: FloatArray
) -> None:
    """Fill ``scores[: last - first]`` with ``Xw + b``, four rows at a time so that weights are read once."""
    p = numbers.shape[1]
    q = codes.shape[1]
    zero = numbers.dtype.type(0)
    fours = first + (last - first) // 4 * 4
    for i in range(first, fours, 4):
        x0, x1, x2, x3 = numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]
        s0, s1, s2, s3 = zero, zero, zero, zero
        for j in range(p):
            w = weights[j]
            s0 += x0[j] * w
            s1 += x1[j] * w
            s2 += x2[j] * w
            s3 += x3[j] * w
        scores[i - first] = s0 + intercept
        scores[i - first + 1] = s1 + intercept
        scores[i - first + 2] = s2 + intercept
        scores[i - first + 3] = s3 + intercept
    for i in range(fours, last):
        s0 = zero
        for j in range(p):
            s0 += numbers[i, j] * weights[j]
        scores[i - first] = s0 + intercept
    if q > 0:
        for i in range(first, last):
            s0 = zero
            for c in range(q):
                s0 += weights[p + codes[i, c]]
            scores[i - first] += s0


@inlined
def gather_tile(
    numbers: FloatArray, codes: Codes, slopes: FloatArray, first: int, last: int, gradient: FloatArray
) -> None:
    """Add to ``gradient`` the rows weighted by their slopes, four rows at a time."""
    p = numbers.shape[1]
    q = codes.shape[1]
    fours = first + (last - first) // 4 * 4
    for i in range(first, fours, 4):
        x0, x1, x2, x3 = numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]
        r0, r1, r2, r3 = slopes[i - first], slopes[i - first + 1], slopes[i - first + 2], slopes[i - first + 3]
        for j in range(p):
            gradient[j] += r0 * x0[j] + r1 * x1[j] + r2 * x2[j] + r3 * x3[j]
    for i in range(fours, last):
        r0 = slopes[i - first]
        for j in range(p):
            gradient[j] += r0 * numbers[i, j]
    if q > 0:
        for i in range(first, last):
            r0 = slopes[i - first]
            for c in range(q):
                gradient[p + codes[i, c]] += r0


@inlined
def weigh_tile(
    example_weights: Vector, first: int, slopes: FloatArray, losses: FloatArray, count: int
) -> tuple[float, float]:
    """Multiply losses and slopes by the weights of their examples, if there are any; return the sums of both."""
    if example_weights.shape[0] > 0:
        for i in range(count):
            losses[i] *= example_weights[first + i]
            slopes[i] *= example_weights[first + i]
    loss_sum = 0.0
    slope_sum = 0.0
    for i in range(count):
        loss_sum += losses[i]
        slope_sum += slopes[i]
    return loss_sum, slope_sum


@kernel
def loss_and_gradient(
    numbers: FloatArray, codes: Codes, weights: FloatArray, intercept: float, target: Vector, example_weights: Vector,
    family: int, low: float, high: float, width: float, start: int, stop: int, gradient: Vector,
) -> tuple[float, float]:  # fmt: skip
    """Return the summed loss and the summed slope of rows start .. stop, and add to ``gradient`` (d,) float64."""
    d = weights.shape[0]
    fast = numbers.itemsize == 4
    scores = np.empty(TILE, numbers.dtype)
    targets = np.empty(TILE, numbers.dtype)
    losses = np.empty(TILE, numbers.dtype)
    part = np.zeros(d, numbers.dtype)
    total = 0.0
    slope_sum = 0.0
    tiles = 0
    for first in range(start, stop, TILE):
        last = min(first + TILE, stop)
        count = last - first
        for i in range(count):
            targets[i] = target[first + i]
        score_tile(numbers, codes, weights, intercept, first, last, scores)
        tile_losses(fast, family, low, high, width, scores, targets, losses, count)
        tile_loss, tile_slope = weigh_tile(example_weights, first, scores, losses, count)
        total += tile_loss
        slope_sum += tile_slope
        gather_tile(numbers, codes, scores, first, last, part)
        tiles += 1
        if tiles == FLUSH:
            tiles = 0
            for j in range(d):
                gradient[j] += part[j]
                part[j] = 0
    for j in range(d):
        gradient[j] += part[j]
    return total, slope_sum


@kernel
def scores_of(
    numbers: FloatArray, codes: Codes, weights: Vector, intercept: float, start: int, stop: int, out: Vector
) -> None:
    """Fill ``out[start:stop]`` with ``Xw + b`` summed in the precision of ``weights``."""
    p = numbers.shape[1]
    q = codes.shape[1]
    for i in range(start, stop):
        score = intercept
        for j in range(p):
            score += numbers[i, j] * weights[j]
        for c in range(q):
            score += weights[p + codes[i, c]]
        out[i] = score


@kernel
def gather(numbers: FloatArray, codes: Codes, slopes: Vector, start: int, stop: int, gradient: Vector) -> None:
    """Add to ``gradient`` (d,) float64 the rows start .. stop weighted by ``slopes`` (n,), in float64."""
    p = numbers.shape[1]
    q = codes.shape[1]
    for i in range(start, stop):
        slope = slopes[i]
        for j in range(p):
            gradient[j] += slope * numbers[i, j]
        for c in range(q):
            gradient[p + codes[i, c]] += slope


@kernel
def cross_moments(
    numbers: FloatArray, codes: Codes, row_weights: Vector, start: int, stop: int, cross: Matrix, tables: Matrix
) -> None:
    """Add the second moments that involve a category to ``cross`` and ``tables``, both float64.

    cross: (m, p + 1); column j holds the sum of number j by level, the last column the summed weights by level.
    tables: (m, m); the upper part holds the summed weights of each pair of levels of two categories.
    """
    p = numbers.shape[1]
    q = codes.shape[1]
    weighted = row_weights.shape[0] > 0
    for i in range(start, stop):
        weight = row_weights[i] if weighted else 1.0
        for c in range(q):
            level = codes[i, c]
            cross[level, p] += weight
            for j in range(p):
                cross[level, j] += weight * numbers[i, j]
            for other in range(c + 1, q):
                tables[level, codes[i, other]] += weight


@kernel
def count_levels(codes: Codes, row_weights: Vector, start: int, stop: int, counts: Vector) -> None:
    """Add to ``counts`` (m,) the rows start .. stop that hold each level, by their weights."""
    weighted = row_weights.shape[0] > 0
    for i in range(start, stop):
        weight = row_weights[i] if weighted else 1.0
        for c in range(codes.shape[1]):
            counts[codes[i, c]] += weight


@kernel
def survey(
    numbers: FloatArray, slopes: Vector, row_weights: Vector, shift: FloatArray, start: int, stop: int, sums: Matrix
) -> None:
    """Add to ``sums`` (3, p) float64, per column: x - shift, its square (both by row weight), and slope times x.

    row_weights and slopes: (n,) float64, or empty. One read serves the means, the deviations and the first
    gradient; a column that is not finite leaves its sums not finite.
    """
    p = numbers.shape[1]
    weighted = row_weights.shape[0] > 0
    sloped = slopes.shape[0] > 0
    zero = numbers.dtype.type(0)
    first = np.zeros(p, numbers.dtype)
    second = np.zeros(p, numbers.dtype)
    third = np.zeros(p, numbers.dtype)
    for head in range(start, stop, TILE):
        tail = min(head + TILE, stop)
        for i in range(head, tail):
            x = numbers[i]
            weight = numbers.dtype.type(row_weights[i]) if weighted else numbers.dtype.type(1)
            slope = numbers.dtype.type(slopes[i]) if sloped else zero
            for j in range(p):
                away = x[j] - shift[j]
                first[j] += weight * away
                second[j] += weight * away * away
                third[j] += slope * away
        for j in range(p):
            sums[0, j] += first[j]
            sums[1, j] += second[j]
            sums[2, j] += third[j]
            first[j] = zero
            second[j] = zero
            third[j] = zero


@inlined
def bend_at(family: int, low: float, high: float, width: float, score: float, target: float, slope: float) -> float:
    """Return the curvature of one example's loss, given its slope."""
    if family == SQUARED:
        return 2.0
    if family == LOG:
        chance = slope + target
        return chance * (1.0 - chance)
    if family == POISSON:
        return slope + target
    _, beyond = loss_and_slope(family, low, high, width, score + NUDGE, target)
    return (beyond - slope) / NUDGE


@kernel
def examine(
    scores: Vector, target: Vector, example_weights: Vector, shift: float, family: int, low: float, high: float,
    width: float, start: int, stop: int, slopes: Vector,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Fill ``slopes[start:stop]`` at ``scores + shift``, all float64; return four sums by example weight.

    The sums of the loss, of the slope, of the curvature (by a difference of slopes where the loss is made of
    pieces, exactly for log and poisson) and of slope times score.
    """
    weighted = example_weights.shape[0] > 0
    total = 0.0
    slope_sum = 0.0
    bend_sum = 0.0
    product = 0.0
    for i in range(start, stop):
        score = scores[i] + shift
        loss, slope = loss_and_slope(family, low, high, width, score, target[i])
        bend = bend_at(family, low, high, width, score, target[i], slope)
        slopes[i] = slope
        weight = example_weights[i] if weighted else 1.0
        total += weight * loss
        slope_sum += weight * slope
        bend_sum += weight * bend
        product += weight * slope * score
    return total, slope_sum, bend_sum, product
