"""Many trainings, one read of each batch.

A lane is one training. Its weights are ``outputs`` neighbouring columns of one matrix (d + 1, lanes x
outputs), so the rows of a batch, once read, serve every lane from the cache. A softmax is one lane of k
columns; a race of 32 learning rates is 32 lanes of one.

Each part of a batch is a kernel of its own: in one long function the compiler loses sight of which arrays
are apart, and its loops over the columns are no longer vector code. No loop over columns has a branch: a lane
that does not move is multiplied through like the others and then keeps what it had.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from downslope.compiling import inlined, ordered_kernel
from downslope.engines.arguments import Counts, Flags, LossShape, Penalty, Rows, Rule, State
from downslope.engines.elementary import ONE, ZERO, exp_single, log1p_single, single
from downslope.engines.kernels import loss_and_slope
from downslope.engines.prefetch import prefetch_row
from downslope.losses import LOG, SOFTMAX
from downslope.steps import ADAGRAD, ADAM, BETA_FIRST, BETA_SECOND, DECAY, EPSILON, MOMENTUM, NESTEROV, PLAIN
from downslope.types import Codes, FloatArray, Indices, Vector

TILE = 64


class Pace(NamedTuple):
    """How each lane runs.

    rates: (lanes,) learning rates. share: (batches,), the schedule. every: (lanes,), batches that one step of
    the lane gathers. updates: (lanes,), steps taken. alive: (lanes,), cleared for a lane that blew up.
    """

    rates: Vector
    share: Vector
    every: Counts
    updates: Counts
    alive: Flags


class Moves(NamedTuple):
    """What each column does after a batch, (columns,) in the precision of the data.

    rate: 0 for a lane that gathers on or has ended. scale: 1 / examples gathered. keep: 1 where the gradient is
    gathered on, else 0. bias_first, bias_second: ``1 - beta^update`` of Adam's two means, 1 for other rules.
    """

    rate: FloatArray
    scale: FloatArray
    keep: FloatArray
    bias_first: FloatArray
    bias_second: FloatArray


@ordered_kernel
def fetch(numbers: FloatArray, batch: Indices, tile: FloatArray) -> None:
    """Copy the rows ``batch`` into ``tile``, in a plain loop: array assignment costs four times that."""
    for i in range(batch.shape[0]):
        row = batch[i]
        for j in range(numbers.shape[1]):
            tile[i, j] = numbers[row, j]


@ordered_kernel
def add_levels(codes: Codes, batch: Indices, weights: FloatArray, scores: FloatArray) -> None:
    """Add to ``scores`` the intercepts and the weights of each row's levels; weights: (m + 1, columns)."""
    last, columns = weights.shape[0] - 1, weights.shape[1]
    for i in range(batch.shape[0]):
        for k in range(columns):
            scores[i, k] += weights[last, k]
        for c in range(codes.shape[1]):
            level = codes[batch[i], c]
            for k in range(columns):
                scores[i, k] += weights[level, k]


@ordered_kernel
def gather_levels(codes: Codes, batch: Indices, slopes: FloatArray, total: FloatArray) -> None:
    """Add the slopes to the intercepts' gradient and to that of each row's levels; total: (m + 1, columns)."""
    last, columns = total.shape[0] - 1, total.shape[1]
    for i in range(batch.shape[0]):
        for k in range(columns):
            total[last, k] += slopes[i, k]
        for c in range(codes.shape[1]):
            level = codes[batch[i], c]
            for k in range(columns):
                total[level, k] += slopes[i, k]


@ordered_kernel
def gather_numbers(tile: FloatArray, slopes: FloatArray, part: FloatArray, total: FloatArray) -> None:
    """Add to ``total`` (p, columns) the rows of a tile times their slopes; ``part`` (p, columns) is scratch."""
    np.dot(tile.T, slopes, part)
    for j in range(part.shape[0]):
        for k in range(part.shape[1]):
            total[j, k] += part[j, k]


@inlined
def softmax_losses(scores: FloatArray, target: float, outputs: int, losses: Vector) -> None:
    """Add the loss of each lane for one row; turn its scores into probability minus truth."""
    chosen = int(target)
    for lane in range(losses.shape[0]):
        base = lane * outputs
        top = scores[base]
        for k in range(base + 1, base + outputs):
            top = max(top, scores[k])
        truth = scores[base + chosen]
        total = 0.0
        for k in range(base, base + outputs):
            scores[k] = np.exp(scores[k] - top)
            total += scores[k]
        losses[lane] += np.log(total) + top - truth
        for k in range(base, base + outputs):
            scores[k] /= total
        scores[base + chosen] -= 1.0


@inlined
def row_losses(loss: LossShape, outputs: int, scores: FloatArray, target: float, losses: Vector) -> None:
    """Add to ``losses`` (lanes,) those of one row and turn its scores (columns,) into slopes.

    With several outputs of a scalar loss, output k is asked whether the target is k (one against the rest).
    """
    if loss.family == SOFTMAX:
        softmax_losses(scores, target, outputs, losses)
    else:
        for k in range(scores.shape[0]):
            truth = target if outputs == 1 else (1.0 if target == k % outputs else 0.0)
            value, slope = loss_and_slope(loss.family, loss.low, loss.high, loss.width, float(scores[k]), truth)
            losses[k // outputs] += value
            scores[k] = slope


@ordered_kernel
def log_lanes(
    rows: Rows, batch: Indices, coming: Indices, scores: FloatArray, line: FloatArray, losses: Vector
) -> None:
    """Log loss of a tile in every lane, in float32 vector code; ``line`` (lanes,) float32 is scratch."""
    line[:] = 0
    for i in range(batch.shape[0]):
        if i < coming.shape[0]:
            prefetch_row(rows.numbers, coming[i])
        truth = single(rows.target[batch[i]])
        for k in range(scores.shape[1]):
            score = single(scores[i, k])
            small = exp_single(-abs(score))
            upper = ONE / (ONE + small)
            chance = upper if score >= ZERO else small * upper
            line[k] += log1p_single(small) + max(score, ZERO) - truth * score
            scores[i, k] = chance - truth
    for k in range(line.shape[0]):
        losses[k] += line[k]


@ordered_kernel
def any_lanes(
    rows: Rows, batch: Indices, coming: Indices, loss: LossShape, outputs: int, scores: FloatArray, line: Vector,
    losses: Vector,
) -> None:  # fmt: skip
    """Add to ``losses`` (lanes,) those of a tile, and turn scores into slopes, by example weight.

    ``line`` (lanes,) float64 is scratch.
    """
    for i in range(batch.shape[0]):
        if i < coming.shape[0]:
            prefetch_row(rows.numbers, coming[i])
        row: int = batch[i]
        line[:] = 0
        row_losses(loss, outputs, scores[i], rows.target[row], line)
        weight = rows.weights[row] if rows.weights.shape[0] > 0 else 1.0
        for k in range(scores.shape[1]):
            scores[i, k] *= weight
        for lane in range(losses.shape[0]):
            losses[lane] += line[lane] * weight


@ordered_kernel
def settle(
    losses: Vector, count: int, limit: float, done: int, final: bool, rule: Rule, pace: Pace, seen: Counts,
    total: Vector, moves: Moves,
) -> bool:  # fmt: skip
    """Fill ``moves`` after a batch of ``count`` examples; return True where every lane is due a step.

    losses: (lanes,) summed over the batch, added to ``total`` of the lanes alive. A lane whose mean loss is above
    ``limit`` or not finite ends here.
    """
    outputs = moves.rate.shape[0] // losses.shape[0]
    together = True
    for lane in range(losses.shape[0]):
        seen[lane] += count
        pace.alive[lane] = pace.alive[lane] and losses[lane] <= limit * count
        total[lane] += losses[lane] if pace.alive[lane] else 0.0
        due = (done + 1) % pace.every[lane] == 0 or final
        columns = slice(lane * outputs, (lane + 1) * outputs)
        moves.rate[columns] = pace.rates[lane] * pace.share[done] if pace.alive[lane] and due else 0.0
        moves.scale[columns] = 1.0 / seen[lane]
        moves.keep[columns] = 0.0 if due else 1.0
        if rule.number == ADAM:
            moves.bias_first[columns] = 1.0 - BETA_FIRST ** (pace.updates[lane] + 1)
            moves.bias_second[columns] = 1.0 - BETA_SECOND ** (pace.updates[lane] + 1)
        if due:
            seen[lane] = 0
            pace.updates[lane] += 1
        together = together and due
    return together


@inlined
def drawn_to_zero(weight: float, amount: float) -> float:
    """Move a weight towards zero by ``amount``, stopping at zero, without a branch; NaN stays NaN."""
    zero = weight - weight
    return max(weight - amount, zero) + min(weight + amount, zero)


@ordered_kernel
def step_plain(weights: FloatArray, gradient: FloatArray, moves: Moves, l1: float, l2: float) -> None:
    """Take a plain step in every lane."""
    threshold, penalty = weights.dtype.type(l1), weights.dtype.type(l2)
    rate, scale = moves.rate, moves.scale
    for j in range(weights.shape[0]):
        for k in range(weights.shape[1]):
            moved = weights[j, k] - rate[k] * (gradient[j, k] * scale[k] + penalty * weights[j, k])
            weights[j, k] = moved if rate[k] > 0 else weights[j, k]
        if l1 > 0:
            for k in range(weights.shape[1]):
                weights[j, k] = drawn_to_zero(weights[j, k], rate[k] * threshold)


@ordered_kernel
def step_with_momentum(
    weights: FloatArray, gradient: FloatArray, first: FloatArray, moves: Moves, momentum: float, ahead: bool,
    l1: float, l2: float,
) -> None:  # fmt: skip
    """Take a step along what the gradients agree on in every lane; ``ahead``: as Nesterov does."""
    numeric = weights.dtype.type
    threshold, penalty, kept = numeric(l1), numeric(l2), numeric(momentum)
    of_slope = numeric(1 if ahead else 0)
    of_speed = numeric(momentum if ahead else 1)
    rate, scale = moves.rate, moves.scale
    for j in range(weights.shape[0]):
        for k in range(weights.shape[1]):
            slope = gradient[j, k] * scale[k] + penalty * weights[j, k]
            speed = kept * first[j, k] + slope
            moved = weights[j, k] - rate[k] * (of_slope * slope + of_speed * speed)
            first[j, k] = speed if rate[k] > 0 else first[j, k]
            weights[j, k] = drawn_to_zero(moved, rate[k] * threshold) if rate[k] > 0 else weights[j, k]


@ordered_kernel
def step_by_size(
    weights: FloatArray, gradient: FloatArray, first: FloatArray, second: FloatArray, moves: Moves,
    memory: tuple[float, float, float, float], l1: float, l2: float,
) -> None:  # fmt: skip
    """Take a step divided by the size that gradients had, in every lane.

    memory: (old, new) share of the gradient in ``first``, then of its square in ``second``.
    """
    numeric = weights.dtype.type
    threshold, penalty, epsilon = numeric(l1), numeric(l2), numeric(EPSILON)
    old_first, new_first, old_second, new_second = (
        numeric(memory[0]), numeric(memory[1]), numeric(memory[2]), numeric(memory[3]),
    )  # fmt: skip
    rate, scale, bias_first, bias_second = moves.rate, moves.scale, moves.bias_first, moves.bias_second
    for j in range(weights.shape[0]):
        for k in range(weights.shape[1]):
            slope = gradient[j, k] * scale[k] + penalty * weights[j, k]
            mean = old_first * first[j, k] + new_first * slope
            square = old_second * second[j, k] + new_second * slope * slope
            gain = rate[k] / (np.sqrt(square / bias_second[k]) + epsilon)
            moved = weights[j, k] - gain * (mean / bias_first[k])
            first[j, k] = mean if rate[k] > 0 else first[j, k]
            second[j, k] = square if rate[k] > 0 else second[j, k]
            weights[j, k] = drawn_to_zero(moved, gain * threshold) if rate[k] > 0 else weights[j, k]


@inlined
def memory_of(rule: int) -> tuple[float, float, float, float]:
    """Return how much of the old and of the new the two memories of a rule take; see ``step_by_size``."""
    if rule == ADAM:
        return BETA_FIRST, 1.0 - BETA_FIRST, BETA_SECOND, 1.0 - BETA_SECOND
    if rule == ADAGRAD:
        return 0.0, 1.0, 1.0, 1.0
    return 0.0, 1.0, DECAY, 1.0 - DECAY


@ordered_kernel
def step_lanes(rule: Rule, state: State, gradient: FloatArray, moves: Moves, penalty: Penalty) -> None:
    """Take a step in every lane that moves; the intercept's row without penalty, or not at all."""
    size = gradient.shape[0]
    for part in range(2 if penalty.intercept else 1):
        place = slice(0, size - 1) if part == 0 else slice(size - 1, size)
        l1, l2 = (penalty.l1, penalty.l2) if part == 0 else (0.0, 0.0)
        weights, slopes, first = state.weights[place], gradient[place], state.first[place]
        if rule.number == PLAIN:
            step_plain(weights, slopes, moves, l1, l2)
        elif rule.number in (MOMENTUM, NESTEROV):
            step_with_momentum(weights, slopes, first, moves, rule.momentum, rule.number == NESTEROV, l1, l2)
        else:
            step_by_size(weights, slopes, first, state.second[place], moves, memory_of(rule.number), l1, l2)


@ordered_kernel
def clear_gathered(gradient: FloatArray, keep: FloatArray, together: bool) -> None:
    """Forget the gradient of the lanes that made their step."""
    if together:
        gradient[:] = 0
    else:
        for j in range(gradient.shape[0]):
            for k in range(gradient.shape[1]):
                gradient[j, k] = gradient[j, k] if keep[k] > 0 else 0


@ordered_kernel
def average_lanes(weights: FloatArray, average: FloatArray, averaged: int) -> None:
    """Move the means of the iterates to include ``weights``, which are those numbered ``averaged``."""
    for j in range(weights.shape[0]):
        for k in range(weights.shape[1]):
            average[j, k] += (weights[j, k] - average[j, k]) / averaged


@ordered_kernel
def run_lanes(
    rows: Rows, begin: int, end: int, batch: int, loss: LossShape, outputs: int, penalty: Penalty, rule: Rule,
    pace: Pace, state: State, averaged: int, limit: float,
) -> tuple[int, Vector, int]:  # fmt: skip
    """Run the batches of ``rows.order[begin:end]`` in every lane; return (batches done, summed losses, averaged).

    The last batch makes a step of whatever a lane has gathered. A lane whose mean loss of a batch is above
    ``limit`` or not finite ends before its step; its weights stay as they were. ``averaged`` as in ``run_steps``.
    """
    numbers, weights = rows.numbers, state.weights
    size, columns = weights.shape
    p = numbers.shape[1]
    lanes = pace.rates.shape[0]
    vectored = numbers.itemsize == 4 and loss.family == LOG and outputs == 1 and rows.weights.shape[0] == 0
    most = min(batch, TILE)
    tile = np.empty((most, p), numbers.dtype)
    scores = np.empty((most, columns), numbers.dtype)
    part = np.empty((p, columns), numbers.dtype)
    gradient = np.zeros((size, columns), numbers.dtype)
    line, fast_line = np.zeros(lanes), np.zeros(lanes, np.float32)
    losses, total = np.zeros(lanes), np.zeros(lanes)
    seen = np.zeros(lanes, np.int64)
    row = np.ones((5, columns), numbers.dtype)
    moves = Moves(row[0], row[1], row[2], row[3], row[4])
    done = 0
    for start in range(begin, end, batch):
        stop = min(start + batch, end)
        losses[:] = 0.0
        for head in range(start, stop, TILE):
            chosen = rows.order[head : min(head + TILE, stop)]
            count = chosen.shape[0]
            coming = rows.order[head + count : min(head + count + most, end)]
            fetch(numbers, chosen, tile)
            np.dot(tile[:count], weights[:p], scores[:count])
            add_levels(rows.codes, chosen, weights[p:], scores)
            if vectored:
                log_lanes(rows, chosen, coming, scores, fast_line, losses)
            else:
                any_lanes(rows, chosen, coming, loss, outputs, scores, line, losses)
            gather_numbers(tile[:count], scores[:count], part, gradient[:p])
            gather_levels(rows.codes, chosen, scores, gradient[p:])
        together = settle(losses, stop - start, limit, done, stop == end, rule, pace, seen, total, moves)
        step_lanes(rule, state, gradient, moves, penalty)
        clear_gathered(gradient, moves.keep, together)
        if averaged >= 0:
            averaged += 1
            average_lanes(weights, state.average, averaged)
        done += 1
        if not pace.alive.any():
            break
    return done, total, averaged
