"""Many trainings, one read of each batch.

A lane is one training. Its weights are ``outputs`` neighbouring columns of one matrix (d + 1, lanes x
outputs), so the rows of a batch, once read, serve every lane from the cache. A softmax is one lane of k
columns; a race of 32 learning rates is 32 lanes of one.
"""

from __future__ import annotations

# The arguments of a kernel are typed by the compiler at its first call.
# ruff: noqa: ANN001, ANN201, PLR0913
import numpy as np

from downslope.engines.compiling import inlined, kernel
from downslope.engines.elementary import ONE, ZERO, exp_single, log1p_single, single
from downslope.engines.kernels import loss_and_slope
from downslope.engines.stepping import apply_rule, shrink_to_zero
from downslope.losses import LOG, SOFTMAX
from downslope.steps import BETA_FIRST, BETA_SECOND, PLAIN

TILE = 64


@inlined
def fetch(numbers, order, head, tail, tile):
    """Copy the rows ``order[head:tail]`` into ``tile``, in a plain loop: array assignment costs four times that."""
    for i in range(head, tail):
        row = order[i]
        for j in range(numbers.shape[1]):
            tile[i - head, j] = numbers[row, j]


@inlined
def add_levels(codes, rows, p, weights, scores):
    """Add to ``scores`` the intercepts and the weights of each row's levels."""
    size, columns = weights.shape
    for i in range(rows.shape[0]):
        for k in range(columns):
            scores[i, k] += weights[size - 1, k]
        for c in range(codes.shape[1]):
            level = p + codes[rows[i], c]
            for k in range(columns):
                scores[i, k] += weights[level, k]


@inlined
def gather_levels(codes, rows, p, slopes, total):
    """Add the slopes to the intercepts' gradient and to that of each row's levels."""
    size, columns = total.shape
    for i in range(rows.shape[0]):
        for k in range(columns):
            total[size - 1, k] += slopes[i, k]
        for c in range(codes.shape[1]):
            level = p + codes[rows[i], c]
            for k in range(columns):
                total[level, k] += slopes[i, k]


@inlined
def softmax_losses(scores, target, outputs, losses):
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
def log_lanes(scores, truths, line, losses):
    """Log loss of a tile in every lane, in float32 vector code; ``line`` (lanes,) float32 is scratch."""
    for i in range(scores.shape[0]):
        truth = single(truths[i])
        for k in range(scores.shape[1]):
            score = single(scores[i, k])
            small = exp_single(-abs(score))
            upper = ONE / (ONE + small)
            chance = upper if score >= ZERO else small * upper
            line[k] += log1p_single(small) + max(score, ZERO) - truth * score
            scores[i, k] = chance - truth
    for k in range(line.shape[0]):
        losses[k] += line[k]
        line[k] = 0


@inlined
def row_losses(family, low, high, width, outputs, scores, target, losses):
    """Add to ``losses`` (lanes,) those of one row and turn its scores (columns,) into slopes.

    With several outputs of a scalar loss, output k is asked whether the target is k (one against the rest).
    """
    if family == SOFTMAX:
        softmax_losses(scores, target, outputs, losses)
    else:
        for lane in range(losses.shape[0]):
            for output in range(outputs):
                k = lane * outputs + output
                truth = target if outputs == 1 else (1.0 if target == output else 0.0)
                loss, slope = loss_and_slope(family, low, high, width, float(scores[k]), truth)
                losses[lane] += loss
                scores[k] = slope


@kernel
def run_lanes(
    numbers, codes, target, example_weights, order, begin, end, batch, family, low, high, width, outputs, rule,
    rates, share, every, momentum, l1, l2, intercept, weights, first, second, gradient, seen, average, averaged,
    updates, limit, alive,
):
    """Run the batches of ``order[begin:end]`` in every lane; return (batches done, summed losses, averaged).

    rates: (lanes,). share: (batches,), the schedule. every: (lanes,) int64, batches that one step of the
    lane gathers; ``gradient`` (d + 1, columns) and ``seen`` (lanes,) hold what is gathered so far, and the
    last batch of the run makes a step of what is left. updates: (lanes,) int64, steps taken. alive: (lanes,)
    bool, cleared for a lane whose gathered loss is not finite or above ``limit``; its weights stay as they
    were. The other arguments are those of ``stepping.run_steps``, with ``average`` (d + 1, columns).
    """
    size, columns = weights.shape
    d = size - 1
    lanes = rates.shape[0]
    weighted = example_weights.shape[0] > 0
    vectored = numbers.itemsize == 4 and family == LOG and outputs == 1 and not weighted
    truths = np.empty(TILE, np.float32)
    line = np.zeros(lanes, np.float32)
    p = numbers.shape[1]
    most = min(batch, TILE)
    tile = np.empty((most, p), numbers.dtype)
    scores = np.empty((most, columns), numbers.dtype)
    part = np.empty((p, columns), numbers.dtype)
    losses = np.zeros(lanes)
    before = np.zeros(lanes)
    total = np.zeros(lanes)
    bias_first = np.ones(columns)
    bias_second = np.ones(columns)
    rate = np.zeros(columns, numbers.dtype)
    keep = np.zeros(columns, numbers.dtype)
    scale = np.zeros(columns, numbers.dtype)
    done = 0
    for start in range(begin, end, batch):
        stop = min(start + batch, end)
        losses[:] = 0.0
        for head in range(start, stop, TILE):
            tail = min(head + TILE, stop)
            rows = order[head:tail]
            count = tail - head
            fetch(numbers, order, head, tail, tile)
            np.dot(tile[:count], weights[:p], scores[:count])
            add_levels(codes, rows, p, weights, scores)
            if vectored:
                for i in range(count):
                    truths[i] = target[rows[i]]
                log_lanes(scores[:count], truths, line, losses)
            else:
                for i in range(count):
                    before[:] = losses
                    row_losses(family, low, high, width, outputs, scores[i], target[rows[i]], losses)
                    if weighted:
                        for k in range(columns):
                            scores[i, k] *= example_weights[rows[i]]
                        for lane in range(lanes):
                            losses[lane] = before[lane] + (losses[lane] - before[lane]) * example_weights[rows[i]]
            np.dot(tile[:count].T, scores[:count], part)
            for j in range(p):
                for k in range(columns):
                    gradient[j, k] += part[j, k]
            gather_levels(codes, rows, p, scores, gradient)
        final = stop == end
        for lane in range(lanes):
            seen[lane] += stop - start
            if alive[lane] and not losses[lane] <= limit * (stop - start):
                alive[lane] = False
            if alive[lane]:
                total[lane] += losses[lane]
            due = (done + 1) % every[lane] == 0 or final
            for k in range(lane * outputs, (lane + 1) * outputs):
                moving = alive[lane] and due
                rate[k] = rates[lane] * share[done] if moving else 0.0
                scale[k] = 1.0 / seen[lane]
                keep[k] = 0.0 if due else 1.0
                bias_first[k] = 1.0 - BETA_FIRST ** (updates[lane] + 1)
                bias_second[k] = 1.0 - BETA_SECOND ** (updates[lane] + 1)
            if due:
                seen[lane] = 0
                updates[lane] += 1
        for j in range(size):
            penalty = numbers.dtype.type(l2 if j < d else 0.0)
            if j == d and not intercept:
                gradient[j] = 0
                break
            lane_weights = weights[j]
            slopes = gradient[j]
            if rule == PLAIN:
                for k in range(columns):
                    moved = lane_weights[k] - rate[k] * (slopes[k] * scale[k] + penalty * lane_weights[k])
                    lane_weights[k] = moved if rate[k] > 0 else lane_weights[k]
                    slopes[k] *= keep[k]
                if l1 > 0 and j < d:
                    for k in range(columns):
                        lane_weights[k] = shrink_to_zero(lane_weights[k], rate[k] * l1)
            else:
                for k in range(columns):
                    if rate[k] > 0:
                        slope = slopes[k] * scale[k] + penalty * lane_weights[k]
                        moved, gain, new_first, new_second = apply_rule(
                            rule, slope, rate[k], momentum, bias_first[k], bias_second[k],
                            float(first[j, k]), float(second[j, k])
                        )
                        first[j, k] = new_first
                        second[j, k] = new_second
                        lane_weights[k] -= moved
                        if l1 > 0 and j < d:
                            lane_weights[k] = shrink_to_zero(lane_weights[k], gain * l1)
                    slopes[k] *= keep[k]
        if averaged >= 0:
            averaged += 1
            for j in range(size):
                for k in range(columns):
                    average[j, k] += (weights[j, k] - average[j, k]) / averaged
        done += 1
        if not alive.any():
            break
    return done, total, averaged
