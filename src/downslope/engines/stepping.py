"""Stochastic and mini-batch steps of one training: every step a batch, every batch read once.

The rules are those of ``downslope.steps``, where their formulas and sources stand; a test holds the two
together. Weights are one vector of d + 1, the intercept last.
"""

from __future__ import annotations

# The arguments of a kernel are typed by the compiler at its first call.
# ruff: noqa: ANN001, ANN201, PLR0913
import math

import numpy as np

from downslope.engines.compiling import inlined, kernel
from downslope.engines.kernels import tile_losses
from downslope.steps import ADAGRAD, ADAM, BETA_FIRST, BETA_SECOND, DECAY, EPSILON, MOMENTUM, NESTEROV, PLAIN, RMSPROP


AHEAD = 6
"""Examples between asking for a row and using it; about the latency of memory over the time of a step."""


@inlined
def apply_rule(rule, gradient, rate, momentum, bias_first, bias_second, first, second):
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
def shrink_to_zero(weight, amount):
    """Move a weight towards zero by ``amount``, stopping at zero: the proximal step of l1."""
    if weight > amount:
        return weight - amount
    if weight < -amount:
        return weight + amount
    return weight - weight


@inlined
def score_row(numbers, codes, weights, row):
    """Return ``x w + b`` of one row."""
    p = numbers.shape[1]
    score = numbers.dtype.type(0)
    for j in range(p):
        score += numbers[row, j] * weights[j]
    for c in range(codes.shape[1]):
        score += weights[p + codes[row, c]]
    return score + weights[weights.shape[0] - 1]


@inlined
def add_rows(numbers, codes, rows, amounts, count, total):
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
def touch(numbers, row):
    """Return the sum of one number per cache line of a row, so that the row is on its way before it is used."""
    total = numbers.dtype.type(0)
    for j in range(0, numbers.shape[1], 64 // numbers.itemsize):
        total += numbers[row, j]
    return total


@kernel
def run_single_steps(
    numbers, codes, target, example_weights, order, begin, end, family, low, high, width, rates, l2, intercept,
    weights, limit,
):
    """Run plain steps of one example each; arguments and result as of ``run_steps``, and the touched sum.

    Scoring, loss and step of one example are three short loops with nothing between them.
    """
    p = numbers.shape[1]
    q = codes.shape[1]
    d = weights.shape[0] - 1
    fast = numbers.itemsize == 4
    weighted = example_weights.shape[0] > 0
    scores = np.empty(1, numbers.dtype)
    targets = np.empty(1, numbers.dtype)
    losses = np.empty(1, numbers.dtype)
    one = numbers.dtype.type(1)
    total = 0.0
    touched = numbers.dtype.type(0)
    for i in range(begin, end):
        if i + AHEAD < end:
            touched += touch(numbers, order[i + AHEAD])
        row = order[i]
        x = numbers[row]
        score = numbers.dtype.type(0)
        for j in range(p):
            score += x[j] * weights[j]
        for c in range(q):
            score += weights[p + codes[row, c]]
        scores[0] = score + weights[d]
        targets[0] = target[row]
        tile_losses(fast, family, low, high, width, scores, targets, losses, 1)
        if weighted:
            losses[0] *= example_weights[row]
            scores[0] *= example_weights[row]
        if not losses[0] <= limit:
            return i - begin, total, touched
        total += losses[0]
        rate = rates[i - begin]
        amount = numbers.dtype.type(rate * scores[0])
        shrink = numbers.dtype.type(one - rate * l2)
        for j in range(p):
            weights[j] = weights[j] * shrink - amount * x[j]
        if shrink != one:
            for j in range(p, d):
                weights[j] *= shrink
        for c in range(q):
            weights[p + codes[row, c]] -= amount
        if intercept:
            weights[d] -= amount
    return end - begin, total, touched


@kernel
def run_steps(
    numbers, codes, target, example_weights, order, begin, end, batch, family, low, high, width, rule, rates,
    momentum, l1, l2, intercept, weights, first, second, average, averaged, updates, limit,
):
    """Run the batches of ``order[begin:end]``; return (updates done, summed loss, averaged).

    example_weights: (n,) with mean 1, or empty. rates: (batches,) learning rate of each step.
    weights, first, second: (d + 1,) in the precision of the data, changed in place. average: (d + 1,)
    float64, the mean of the ``averaged`` iterates so far; ``averaged`` below 0 asks for no mean. updates:
    steps taken before. A batch whose mean loss is above ``limit`` or not finite ends the run before its
    step is taken.
    """
    size = weights.shape[0]
    d = size - 1
    fast = numbers.itemsize == 4
    weighted = example_weights.shape[0] > 0
    scores = np.empty(batch, numbers.dtype)
    targets = np.empty(batch, numbers.dtype)
    losses = np.empty(batch, numbers.dtype)
    gradient = np.zeros(size, numbers.dtype)
    plain = rule == PLAIN
    total = 0.0
    done = 0
    for start in range(begin, end, batch):
        count = min(batch, end - start)
        rows = order[start : start + count]
        for i in range(count):
            scores[i] = score_row(numbers, codes, weights, rows[i])
            targets[i] = target[rows[i]]
        tile_losses(fast, family, low, high, width, scores, targets, losses, count)
        if weighted:
            for i in range(count):
                losses[i] *= example_weights[rows[i]]
                scores[i] *= example_weights[rows[i]]
        loss = 0.0
        for i in range(count):
            loss += losses[i]
        if not loss <= limit * count:
            return done, total, averaged
        total += loss
        rate = rates[done]
        if plain:
            shrink = 1.0 - rate * l2
            if l2 > 0:
                for j in range(d):
                    weights[j] *= shrink
            fixed = weights[d]
            for i in range(count):
                scores[i] *= -rate / count
            add_rows(numbers, codes, rows, scores, count, weights)
            if l1 > 0:
                for j in range(d):
                    weights[j] = shrink_to_zero(weights[j], rate * l1)
            if not intercept:
                weights[d] = fixed
        else:
            for j in range(size):
                gradient[j] = 0
            add_rows(numbers, codes, rows, scores, count, gradient)
            bias_first = 1.0 - BETA_FIRST ** (updates + done + 1)
            bias_second = 1.0 - BETA_SECOND ** (updates + done + 1)
            for j in range(size):
                if j == d and not intercept:
                    break
                slope = gradient[j] / count + (l2 * weights[j] if j < d else 0.0)
                step, gain, new_first, new_second = apply_rule(
                    rule, slope, rate, momentum, bias_first, bias_second, float(first[j]), float(second[j])
                )
                first[j] = new_first
                second[j] = new_second
                weights[j] -= step
                if l1 > 0 and j < d:
                    weights[j] = shrink_to_zero(weights[j], gain * l1)
        if averaged >= 0:
            averaged += 1
            for j in range(size):
                average[j] += (weights[j] - average[j]) / averaged
        done += 1
    return done, total, averaged
