"""Steps on rows without their zeros: only the weights that a row meets are read, and only they move.

The rule is the normalised adaptive gradient (Ross, Mineiro and Langford 2013, "Normalized Online Learning",
algorithm 2), which does not ask in what units a column comes. With g the slope times the value x of an entry,
s the largest ``|x|`` met in its column, G the sum of squares ``g^2`` there, t the examples met and N the sum of
``(x / s)^2`` over them,

    |x| > s:   w <- w s / |x|,  s <- |x|        before the row is scored,
    w <- w - rate sqrt(t / N) g / (s sqrt(G))    after it.

A column multiplied by a gives weights divided by a, whatever a is. What a coordinate remembers lies in one line of
the cache: weight, gain ``1 / (s sqrt(G))``, s, and the clock at which penalties last reached it. A step shrinks
every weight by ``rate gain l2`` and towards zero by ``rate gain l1``; both are paid when the coordinate is next met,
for all steps since then at once, by the implicit step, which no rate can overshoot.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from downslope.compiling import inlined, kernel
from downslope.engines.arguments import LossShape, Penalty
from downslope.engines.kernels import tile_losses
from downslope.engines.prefetch import prefetch, prefetch_entry
from downslope.engines.stepping import shrink_to_zero
from downslope.types import Codes, FloatArray, Indices, Offsets, Vector

AHEAD = 6
"""Examples between asking for the weights of a row and using them; its entries are asked for as long before that."""
LINE = 16
"""Entries of float32 or int32 in a line of the cache."""


class Entries(NamedTuple):
    """The examples that steps are taken on.

    numbers (n, p), codes (n, q), starts, places, values: as in a ``Block``. base: p + m. target (n,) float64. weights:
    (n,) with mean 1, or empty. order: the rows in the order of the steps.
    """

    numbers: FloatArray
    codes: Codes
    starts: Offsets
    places: Codes
    values: FloatArray
    base: int
    target: Vector
    weights: Vector
    order: Indices


@inlined
def meet(state: FloatArray, place: int, value: float, clock: float, penalty: Penalty) -> float:
    """Bring one coordinate up to date before it is scored; return what it adds to the score."""
    weight, gain, size, since = state[place, 0], state[place, 1], state[place, 2], state[place, 3]
    due = gain * (clock - since)
    if due > 0:
        weight = weight / (1.0 + penalty.l2 * due)
        if penalty.l1 > 0:
            weight = shrink_to_zero(weight, penalty.l1 * due)
        state[place, 0] = weight
    state[place, 3] = clock
    length = abs(value)
    if length > size:
        share = size / length
        state[place, 0] = weight * share
        state[place, 1] = gain * share
        state[place, 2] = length
    return state[place, 0] * value


@inlined
def move(state: FloatArray, place: int, value: float, slope: float, rate: float) -> None:
    """Step one coordinate against ``slope`` times its value."""
    pull = slope * value
    gain, size = state[place, 1], state[place, 2]
    here = size * pull
    if here == 0:
        return
    gain = gain / math.sqrt(1.0 + gain * gain * here * here) if gain > 0 else 1.0 / abs(here)
    state[place, 1] = gain
    state[place, 0] -= rate * gain * pull


@inlined
def fetch(rows: Entries, state: FloatArray, position: int, end: int) -> None:
    """Ask the memory for the weights of a row some steps ahead, and for the entries of one still further."""
    if position + AHEAD < end:
        row = rows.order[position + AHEAD]
        for e in range(rows.starts[row], rows.starts[row + 1]):
            prefetch(state, rows.base + rows.places[e], 0)
    if position + 2 * AHEAD < end:
        row = rows.order[position + 2 * AHEAD]
        for e in range(rows.starts[row], rows.starts[row + 1], LINE):
            prefetch_entry(rows.places, e)
            prefetch_entry(rows.values, e)


@inlined
def score_one(rows: Entries, state: FloatArray, row: int, clock: float, penalty: Penalty, seen: Vector) -> float:
    """Return the score of one row, its coordinates brought up to date, and add to ``seen`` the row to t and N."""
    p = rows.numbers.shape[1]
    zero: Any = rows.values.dtype.type(0)
    score = zero
    norm = zero
    for j in range(p):
        value = rows.numbers[row, j]
        score += meet(state, j, value, clock, penalty)
        if value != 0:
            norm += (value / state[j, 2]) ** 2
    for c in range(rows.codes.shape[1]):
        place = p + rows.codes[row, c]
        score += meet(state, place, zero + 1, clock, penalty)
        norm += 1
    for e in range(rows.starts[row], rows.starts[row + 1]):
        place = rows.base + rows.places[e]
        value = rows.values[e]
        score += meet(state, place, value, clock, penalty)
        if value != 0:
            norm += (value / state[place, 2]) ** 2
    seen[0] += 1.0
    seen[1] += norm + (1.0 if penalty.intercept else 0.0)
    return score + state[state.shape[0] - 1, 0]


@inlined
def move_one(rows: Entries, state: FloatArray, row: int, slope: float, rate: float, penalty: Penalty) -> None:
    """Step the coordinates of one row."""
    p = rows.numbers.shape[1]
    one: Any = rows.values.dtype.type(1)
    for j in range(p):
        move(state, j, rows.numbers[row, j], slope, rate)
    for c in range(rows.codes.shape[1]):
        move(state, p + rows.codes[row, c], one, slope, rate)
    for e in range(rows.starts[row], rows.starts[row + 1]):
        move(state, rows.base + rows.places[e], rows.values[e], slope, rate)
    if penalty.intercept:
        move(state, state.shape[0] - 1, one, slope, rate)


@kernel
def run_sparse_steps(
    rows: Entries, begin: int, end: int, batch: int, loss: LossShape, penalty: Penalty, rates: Vector,
    state: FloatArray, seen: Vector, limit: float,
) -> tuple[int, float]:  # fmt: skip
    """Run the batches of ``rows.order[begin:end]``; return (updates done, summed loss).

    rates: (batches,) learning rate of each step. state: (d + 1, 4) weight, gain, s, clock of each coordinate, the
    intercept last. seen: (3,) t, N and the clock. The slopes of a batch are taken at the weights before it. A batch
    whose mean loss is above ``limit`` or not finite ends the run before its step.
    """
    kind: Any = rows.values.dtype.type
    fast = rows.values.itemsize == 4
    weighted = rows.weights.shape[0] > 0
    scores = np.empty(batch, rows.values.dtype)
    targets = np.empty(batch, rows.values.dtype)
    losses = np.empty(batch, rows.values.dtype)
    state[state.shape[0] - 1, 2] = 1
    total = 0.0
    done = 0
    for start in range(begin, end, batch):
        count = min(batch, end - start)
        clock = kind(seen[2])
        for i in range(count):
            fetch(rows, state, start + i, end)
            row = rows.order[start + i]
            scores[i] = score_one(rows, state, row, clock, penalty, seen)
            targets[i] = rows.target[row]
        tile_losses(fast, loss.family, loss.low, loss.high, loss.width, scores, targets, losses, count)
        met = 0.0
        for i in range(count):
            weight = kind(rows.weights[rows.order[start + i]] if weighted else 1.0)
            scores[i] *= weight
            met += losses[i] * weight
        if not met <= limit * count:
            break
        total += met
        rate = kind(rates[done] * math.sqrt(seen[0] / max(seen[1], 1e-30)))
        for i in range(count):
            move_one(rows, state, rows.order[start + i], scores[i], rate, penalty)
        seen[2] += count * rate
        done += 1
    return done, total


@kernel
def settle(state: FloatArray, columns: int, clock: float, penalty: Penalty) -> None:
    """Let every coordinate pay the penalties that are due, and set the clock of all to 0; the last is the intercept."""
    for place in range(state.shape[0]):
        since = state[place, state.shape[1] - 1]
        state[place, state.shape[1] - 1] = 0
        if place == state.shape[0] - 1:
            continue
        for c in range(columns):
            due = state[place, columns + c] * (clock - since)
            if due > 0:
                weight = state[place, c] / (1.0 + penalty.l2 * due)
                state[place, c] = shrink_to_zero(weight, penalty.l1 * due)


@inlined
def meet_outputs(
    state: FloatArray, place: int, value: float, clock: float, penalty: Penalty, scores: FloatArray
) -> None:
    """Do as ``meet`` for all outputs of one coordinate: state (d + 1, 2 k + 2) holds k weights, k gains, s, clock."""
    k = scores.shape[0]
    row = state[place]
    size, since = row[2 * k], row[2 * k + 1]
    length = abs(value)
    share = size / length if length > size else state.dtype.type(1)
    for c in range(k):
        due = row[k + c] * (clock - since)
        weight = row[c]
        if due > 0:
            weight = weight / (1.0 + penalty.l2 * due)
            if penalty.l1 > 0:
                weight = shrink_to_zero(weight, penalty.l1 * due)
        row[c] = weight * share
        row[k + c] *= share
        scores[c] += row[c] * value
    row[2 * k] = max(size, length)
    row[2 * k + 1] = clock


@inlined
def move_outputs(state: FloatArray, place: int, value: float, slopes: FloatArray, rate: float) -> None:
    """Do as ``move`` for all outputs of one coordinate."""
    k = slopes.shape[0]
    row = state[place]
    for c in range(k):
        pull = slopes[c] * value
        here = row[2 * k] * pull
        if here == 0:
            continue
        gain = row[k + c]
        gain = gain / math.sqrt(1.0 + gain * gain * here * here) if gain > 0 else 1.0 / abs(here)
        row[k + c] = gain
        row[c] -= rate * gain * pull


@inlined
def score_outputs(
    rows: Entries, state: FloatArray, row: int, clock: float, penalty: Penalty, seen: Vector, scores: FloatArray
) -> None:
    """Fill ``scores`` (k,) of one row, as ``score_one`` does for one output."""
    p = rows.numbers.shape[1]
    k = scores.shape[0]
    one: Any = rows.values.dtype.type(1)
    norm = 1.0 if penalty.intercept else 0.0
    for c in range(k):
        scores[c] = state[state.shape[0] - 1, c]
    for j in range(p):
        value = rows.numbers[row, j]
        meet_outputs(state, j, value, clock, penalty, scores)
        if value != 0:
            norm += (value / state[j, 2 * k]) ** 2
    for q in range(rows.codes.shape[1]):
        meet_outputs(state, p + rows.codes[row, q], one, clock, penalty, scores)
        norm += 1.0
    for e in range(rows.starts[row], rows.starts[row + 1]):
        place = rows.base + rows.places[e]
        meet_outputs(state, place, rows.values[e], clock, penalty, scores)
        if rows.values[e] != 0:
            norm += (rows.values[e] / state[place, 2 * k]) ** 2
    seen[0] += 1.0
    seen[1] += norm


@inlined
def softmax_slopes(scores: FloatArray, target: int) -> float:
    """Turn the scores (k,) of one row into slopes; return its loss."""
    top = scores.max()
    total = 0.0
    chosen = scores[target] - top
    for c in range(scores.shape[0]):
        scores[c] = math.exp(scores[c] - top)
        total += scores[c]
    for c in range(scores.shape[0]):
        scores[c] /= total
    scores[target] -= 1
    return math.log(total) - chosen


@inlined
def rest_slopes(
    fast: bool, loss: LossShape, scores: FloatArray, targets: FloatArray, losses: FloatArray, target: int
) -> float:
    """Turn the scores (k,) of one row into slopes, each class against the rest; return its loss."""
    targets[:] = 0
    targets[target] = 1
    tile_losses(fast, loss.family, loss.low, loss.high, loss.width, scores, targets, losses, scores.shape[0])
    return losses.sum()


@inlined
def move_row(rows: Entries, state: FloatArray, row: int, slopes: FloatArray, rate: float, penalty: Penalty) -> None:
    """Step the coordinates of one row, all outputs of each."""
    p = rows.numbers.shape[1]
    one: Any = rows.values.dtype.type(1)
    for j in range(p):
        move_outputs(state, j, rows.numbers[row, j], slopes, rate)
    for c in range(rows.codes.shape[1]):
        move_outputs(state, p + rows.codes[row, c], one, slopes, rate)
    for e in range(rows.starts[row], rows.starts[row + 1]):
        move_outputs(state, rows.base + rows.places[e], rows.values[e], slopes, rate)
    if penalty.intercept:
        move_outputs(state, state.shape[0] - 1, one, slopes, rate)


@kernel
def run_sparse_output_steps(
    rows: Entries, begin: int, end: int, batch: int, softmax: bool, loss: LossShape, penalty: Penalty, rates: Vector,
    state: FloatArray, seen: Vector, limit: float, outputs: int,
) -> tuple[int, float]:  # fmt: skip
    """Do as ``run_sparse_steps`` for k outputs: a softmax, or each class against the rest. state: (d + 1, 2 k + 2)."""
    kind: Any = rows.values.dtype.type
    fast = rows.values.itemsize == 4
    weighted = rows.weights.shape[0] > 0
    scores = np.empty((batch, outputs), rows.values.dtype)
    targets = np.empty(outputs, rows.values.dtype)
    losses = np.empty(outputs, rows.values.dtype)
    state[state.shape[0] - 1, 2 * outputs] = 1
    total = 0.0
    done = 0
    for start in range(begin, end, batch):
        count = min(batch, end - start)
        clock = kind(seen[2])
        met = 0.0
        for i in range(count):
            fetch(rows, state, start + i, end)
            row = rows.order[start + i]
            score_outputs(rows, state, row, clock, penalty, seen, scores[i])
            target = int(rows.target[row])
            if softmax:
                here = softmax_slopes(scores[i], target)
            else:
                here = rest_slopes(fast, loss, scores[i], targets, losses, target)
            weight = kind(rows.weights[row] if weighted else 1.0)
            scores[i] *= weight
            met += here * weight
        if not met <= limit * count:
            break
        total += met
        rate = kind(rates[done] * math.sqrt(seen[0] / max(seen[1], 1e-30)))
        for i in range(count):
            move_row(rows, state, rows.order[start + i], scores[i], rate, penalty)
        seen[2] += count * rate
        done += 1
    return done, total
