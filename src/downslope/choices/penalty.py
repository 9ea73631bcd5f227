"""How strong the penalty: 1 / n, or, where sparse columns are many, by the loss on rows set aside.

With few columns a penalty of 1 / n leaves the fit alone. With nearly as many columns as rows there are words that a
few rows have, and such a penalty lets the fit learn those rows by heart. What is right depends on how much the columns
tell, so penalties a factor of four apart are each given the same steps from the same start, and judged on the same
rows that none of them has met. As a multiple of 1 / n a penalty is the spread of weights that is expected before any
row is seen, so what is found on some of the rows holds for all.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from downslope.choices.sparse_steps import sparse_batch_size, unit_of_score
from downslope.choices.start import constant_start
from downslope.data.batches import order
from downslope.data.blocks import Source
from downslope.engines.linear import evaluate
from downslope.engines.racing import standardised
from downslope.engines.sparse_training import SparseTraining
from downslope.machine import threads
from downslope.models.linear import Objective
from downslope.records import Choice
from downslope.records.figures import count
from downslope.words import say

MULTIPLES = (16384.0, 4096.0, 1024.0, 256.0, 64.0, 16.0, 4.0, 1.0)
"""Penalties that are tried, in units of 1 / n, from strong to weak until the loss has risen twice."""
PAIR = 2
"""Penalties that are tried at once."""
ROWS_A_COLUMN = 10
"""Rows for each column from which on 1 / n is weak enough and the columns few enough."""
LEAST = 500
"""Rows below which those set aside would say little."""
MOST, MOST_ENTRIES = 50_000, 10_000_000
"""Rows that are looked at, a fifth of them set aside, and about their entries."""
RATE = 0.5
"""Of the steps at first, in units of the score; it falls to nothing."""
VISITS = 100_000
"""Examples that the steps of each penalty meet, in so many passes."""
LEAST_PASSES, MOST_PASSES = 3, 30


def is_wide(examples: Source) -> bool:
    """Return whether the columns are so many that the penalty is to be found on rows."""
    return examples.sparse > 0 and examples.rows >= LEAST and examples.features * ROWS_A_COLUMN > examples.rows


def choose_penalty(examples: Source, objective: Objective, size: float, seed: int) -> Choice:
    """Return the penalty whose weights have the lowest loss on rows set aside.

    objective: its penalty is not looked at. size: how many examples the weights of the examples stand for. The order
    of rows and steps follows from ``seed``.
    """
    most = min(MOST, int(MOST_ENTRIES * examples.rows / max(examples.entries, 1)))
    drawn = np.sort(order(examples.rows, seed, 0)[:most]).astype(np.int64)
    some = standardised(examples.pick(drawn))
    mixed = order(some.rows, seed, 1)
    held, kept = np.sort(mixed[: some.rows // 5]).astype(np.int64), mixed[some.rows // 5 :]
    aside = some.pick(held)
    share = size / examples.rows
    batch = int(sparse_batch_size(some).value)
    passes = min(MOST_PASSES, max(LEAST_PASSES, -(-VISITS // kept.size)))
    rate = RATE * unit_of_score(some, objective)
    start = constant_start(some, objective)

    def held_out_loss(multiple: float) -> float:
        posed = replace(objective, l2=multiple / (share * kept.size))
        training = SparseTraining.start(some, posed, start, math.inf)
        updates = -(-kept.size // batch)
        falling = rate * np.linspace(1.0, 0.0, passes * updates, endpoint=False)
        for turn in range(passes):
            rows = kept[order(kept.size, seed, turn)]
            training.advance(some, rows, 0, rows.size, batch, falling[turn * updates : (turn + 1) * updates])
        point = training.point()
        loss = evaluate(aside, posed, point).loss if point.finite else math.inf
        return loss if math.isfinite(loss) else math.inf

    reached: list[float] = []
    with ThreadPoolExecutor(min(PAIR, threads())) as pool:
        for begin in range(0, len(MULTIPLES), PAIR):
            reached += pool.map(held_out_loss, MULTIPLES[begin : begin + PAIR])
            if min(reached[-PAIR:]) > min(reached):
                break
    best = MULTIPLES[int(np.argmin(reached))] / size
    candidates = tuple({"l2": each / size, "loss": loss} for each, loss in zip(MULTIPLES, reached, strict=False))
    reason = say(
        "of {penalties} penalties the lowest loss on {held} rows set aside: {columns} columns are many for {rows} rows",
        held=count(held.size), penalties=len(reached), columns=count(examples.features), rows=count(examples.rows),
    )  # fmt: skip
    return Choice("l2", best, reason, candidates)
