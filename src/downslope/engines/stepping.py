"""Stochastic and mini-batch steps of one training: every step a batch, every batch read once.

The rules are those of ``downslope.steps``, where their formulas and sources stand; a test holds the two
together. Weights are one vector of d + 1, the intercept last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from downslope.compiling import inlined, kernel
from downslope.engines.arguments import LossShape, Penalty, Rows, Rule, State
from downslope.engines.kernels import tile_losses
from downslope.engines.prefetch import prefetch_row
from downslope.steps import ADAGRAD, ADAM, BETA_FIRST, BETA_SECOND, DECAY, EPSILON, MOMENTUM, NESTEROV, PLAIN, RMSPROP
from downslope.types import Codes, FloatArray, Indices, Vector

AHEAD = 8
"""Examples between asking for a row and using it: more than the latency of memory over the time of a step."""
PATIENCE = 64
"""Roundings of a weight that the shrinkage by l2 is saved up for, so that float32 does not round it away."""


@inlined
def apply_rule(
    rule: int, gradient: float, rate: float, momentum: float, bias_first: float, bias_second: float, first: float,
    second: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Return (step, gain) of one weight and its new state: ``weight -= step``; gain is the rate it felt.

    bias_first, bias_second: ``1 - beta^update`` of Adam's two means.
    """
    if rule == MOMENTUM:
        first = momentum * first + gradient
        return rate * first, rate, first, second
    if rule == NESTEROV:
        first = momentum * first + gradient
        return rate * (gradient + momentum * first), rate, first, second
    if rule == ADAGRAD:
        second += gradient * gradient
        gain = rate / (math.sqrt(second) + EPSILON)
        return gain * gradient, gain, first, second
    if rule == RMSPROP:
        second = DECAY * second + (1.0 - DECAY) * gradient * gradient
        gain = rate / (math.sqrt(second) + EPSILON)
        return gain * gradient, gain, first, second
    if rule == ADAM:
        first = BETA_FIRST * first + (1.0 - BETA_FIRST) * gradient
        second = BETA_SECOND * second + (1.0 - BETA_SECOND) * gradient * gradient
        gain = rate / (math.sqrt(second / bias_second) + EPSILON)
        return gain * first / bias_first, gain, first, second
    return rate * gradient, rate, first, second


@inlined
def shrink_to_zero(weight: float, amount: float) -> float:
    """Move a weight towards zero by ``amount``, stopping at zero: the proximal step of l1."""
    if weight > amount:
        return weight - amount
    if weight < -amount:
        return weight + amount
    return weight - weight


@inlined
def score_row(numbers: FloatArray, codes: Codes, weights: FloatArray, row: int) -> float:
    """Return ``x w + b`` of one row."""
    p = numbers.shape[1]
    score: Any = numbers.dtype.type(0)
    for j in range(p):
        score += numbers[row, j] * weights[j]
    for c in range(codes.shape[1]):
        score += weights[p + codes[row, c]]
    return score + weights[weights.shape[0] - 1]


@inlined
def add_rows(
    numbers: FloatArray, codes: Codes, rows: Indices, amounts: FloatArray, count: int, total: FloatArray
) -> None:
    """Add to ``total`` (d + 1,) the rows times their amounts, four rows at a time."""
    p = numbers.shape[1]
    q = codes.shape[1]
    d = total.shape[0] - 1
    fours = count // 4 * 4
    for i in range(0, fours, 4):
        x0, x1, x2, x3 = numbers[rows[i]], numbers[rows[i + 1]], numbers[rows[i + 2]], numbers[rows[i + 3]]
        a0, a1, a2, a3 = amounts[i], amounts[i + 1], amounts[i + 2], amounts[i + 3]
        for j in range(p):
            total[j] += a0 * x0[j] + a1 * x1[j] + a2 * x2[j] + a3 * x3[j]
    for i in range(fours, count):
        row = numbers[rows[i]]
        amount = amounts[i]
        for j in range(p):
            total[j] += amount * row[j]
    for i in range(count):
        for c in range(q):
            total[p + codes[rows[i], c]] += amounts[i]
        total[d] += amounts[i]


@inlined
def scale_weights(weights: FloatArray, factor: float) -> None:
    """Multiply all weights but the intercept."""
    for j in range(weights.shape[0] - 1):
        weights[j] *= factor


@inlined
def least_shrinkage(numbers: FloatArray) -> float:
    """Return the factor near 1 from which on a shrinkage is worth applying."""
    return 1.0 - PATIENCE * (1.2e-7 if numbers.itemsize == 4 else 2.3e-16)


@kernel
def run_single_steps(
    rows: Rows, begin: int, end: int, loss: LossShape, penalty: Penalty, rates: Vector, weights: FloatArray,
    limit: float,
) -> tuple[int, float]:  # fmt: skip
    """Run plain steps of one example each, without l1; return (updates done, summed loss) as ``run_steps`` does.

    Scoring, loss and step of one example are three short loops with nothing between them: even an inlined call
    that takes arrays can cost as much as the step, for counting who holds them.
    """
    numbers, codes, target, example_weights, order = rows
    p = numbers.shape[1]
    q = codes.shape[1]
    d = weights.shape[0] - 1
    fast = numbers.itemsize == 4
    weighted = example_weights.shape[0] > 0
    scores = np.empty(1, numbers.dtype)
    targets = np.empty(1, numbers.dtype)
    losses = np.empty(1, numbers.dtype)
    least = least_shrinkage(numbers)
    shrinkage = 1.0
    total = 0.0
    done = 0
    for i in range(begin, end):
        if i + AHEAD < end:
            prefetch_row(numbers, order[i + AHEAD])
        row = order[i]
        scores[0] = score_row(numbers, codes, weights, row)
        targets[0] = target[row]
        tile_losses(fast, loss.family, loss.low, loss.high, loss.width, scores, targets, losses, 1)
        weight = numbers.dtype.type(example_weights[row] if weighted else 1.0)
        losses[0] *= weight
        scores[0] *= weight
        if not losses[0] <= limit:
            break
        total += losses[0]
        rate = rates[done]
        shrinkage *= 1.0 - rate * penalty.l2
        if shrinkage < least:
            scale_weights(weights, shrinkage)
            shrinkage = 1.0
        amount = numbers.dtype.type(rate * scores[0])
        x = numbers[row]
        for j in range(p):
            weights[j] -= amount * x[j]
        for c in range(q):
            weights[p + codes[row, c]] -= amount
        if penalty.intercept:
            weights[d] -= amount
        done += 1
    scale_weights(weights, shrinkage)
    return done, total


@inlined
def slopes_of_batch(
    rows: Rows, batch: Indices, weights: FloatArray, loss: LossShape, scores: FloatArray, targets: FloatArray,
    losses: FloatArray,
) -> float:  # fmt: skip
    """Fill ``scores`` with the slopes of a batch, by example weight, and return its summed loss."""
    count = batch.shape[0]
    for i in range(count):
        scores[i] = score_row(rows.numbers, rows.codes, weights, batch[i])
        targets[i] = rows.target[batch[i]]
    fast = rows.numbers.itemsize == 4
    tile_losses(fast, loss.family, loss.low, loss.high, loss.width, scores, targets, losses, count)
    if rows.weights.shape[0] > 0:
        for i in range(count):
            losses[i] *= rows.weights[batch[i]]
            scores[i] *= rows.weights[batch[i]]
    total = 0.0
    for i in range(count):
        total += losses[i]
    return total


@inlined
def plain_step(
    rows: Rows, batch: Indices, slopes: FloatArray, rate: float, penalty: Penalty, weights: FloatArray
) -> None:
    """Step against the mean gradient of a batch, straight into the weights; l2 has been taken care of."""
    d = weights.shape[0] - 1
    count = batch.shape[0]
    fixed = weights[d]
    for i in range(count):
        slopes[i] *= -rate / count
    add_rows(rows.numbers, rows.codes, batch, slopes, count, weights)
    if penalty.l1 > 0:
        for j in range(d):
            weights[j] = shrink_to_zero(weights[j], rate * penalty.l1)
    if not penalty.intercept:
        weights[d] = fixed


@inlined
def ruled_step(
    rows: Rows, batch: Indices, slopes: FloatArray, rate: float, penalty: Penalty, rule: Rule, update: int,
    gradient: FloatArray, state: State,
) -> None:  # fmt: skip
    """Step by a rule with memory along the mean gradient of a batch; ``update`` counts from 1."""
    weights, first, second = state.weights, state.first, state.second
    d = weights.shape[0] - 1
    count = batch.shape[0]
    gradient[:] = 0
    add_rows(rows.numbers, rows.codes, batch, slopes, count, gradient)
    bias_first = 1.0 - BETA_FIRST**update
    bias_second = 1.0 - BETA_SECOND**update
    for j in range(d + 1 if penalty.intercept else d):
        slope = gradient[j] / count + (penalty.l2 * weights[j] if j < d else 0.0)
        moved, gain, new_first, new_second = apply_rule(
            rule.number, slope, rate, rule.momentum, bias_first, bias_second, float(first[j]), float(second[j])
        )
        first[j] = new_first
        second[j] = new_second
        weights[j] -= moved
        if penalty.l1 > 0 and j < d:
            weights[j] = shrink_to_zero(weights[j], gain * penalty.l1)


@inlined
def average_in(weights: FloatArray, average: FloatArray, averaged: int) -> None:
    """Move the mean of the iterates to include ``weights``, which is the one numbered ``averaged``."""
    for j in range(weights.shape[0]):
        average[j] += (weights[j] - average[j]) / averaged


@kernel
def run_steps(
    rows: Rows, begin: int, end: int, batch: int, loss: LossShape, penalty: Penalty, rule: Rule, rates: Vector,
    state: State, averaged: int, updates: int, limit: float,
) -> tuple[int, float, int]:  # fmt: skip
    """Run the batches of ``rows.order[begin:end]``; return (updates done, summed loss, averaged).

    rates: (batches,) learning rate of each step. averaged: iterates in the mean so far; below 0 asks for no
    mean. updates: steps taken before. A batch whose mean loss is above ``limit`` or not finite ends the run
    before its step is taken.
    """
    numbers, weights = rows.numbers, state.weights
    scores = np.empty(batch, numbers.dtype)
    targets = np.empty(batch, numbers.dtype)
    losses = np.empty(batch, numbers.dtype)
    gradient = np.zeros(weights.shape[0], numbers.dtype)
    plain = rule.number == PLAIN
    least = least_shrinkage(numbers) if penalty.l1 == 0 and averaged < 0 else 1.0
    shrinkage = 1.0
    total = 0.0
    done = 0
    for start in range(begin, end, batch):
        chosen = rows.order[start : min(start + batch, end)]
        met = slopes_of_batch(rows, chosen, weights, loss, scores, targets, losses)
        if not met <= limit * chosen.shape[0]:
            break
        total += met
        if plain:
            shrinkage *= 1.0 - rates[done] * penalty.l2
            if shrinkage < least:
                scale_weights(weights, shrinkage)
                shrinkage = 1.0
            plain_step(rows, chosen, scores, rates[done], penalty, weights)
        else:
            ruled_step(rows, chosen, scores, rates[done], penalty, rule, updates + done + 1, gradient, state)
        done += 1
        if averaged >= 0:
            averaged += 1
            average_in(weights, state.average, averaged)
    scale_weights(weights, shrinkage)
    return done, total, averaged
