"""How steps on sparse rows are taken: the batch by what slopes cost, the rate by a race on the first examples.

The rule brings every column to one size and falls by itself, so that one small table of rates serves all problems.
Each is given one pass over the same examples from the same start, and judged by the loss of every batch before its
step: an honest loss, since no example has been met before it is scored (Blum, Kalai and Langford 1999).
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from downslope.choices.curvature import sampled
from downslope.choices.start import constant_start
from downslope.data.batches import order
from downslope.data.blocks import Examples, Source
from downslope.engines.sparse_training import SparseTraining
from downslope.errors import OptionError
from downslope.machine import threads
from downslope.models.linear import Objective
from downslope.records import Choice, Spec
from downslope.records.figures import count
from downslope.words import say

RATES = (2.0, 1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625)
"""A weight moves at first by about its rate, in units of the score over the largest value of its column."""
FIRST = 20_000
"""Examples of the race."""
BATCH = 8
"""Examples whose slopes are worked out together, in vector code; the weights that they share hardly meet."""


def check_sparse_rule(spec: Spec) -> None:
    """Raise OptionError for a rule or an average that would move weights which a sparse row has not."""
    if spec.rule not in ("auto", "adagrad") or spec.average is True:
        message = say(
            "steps on sparse columns go by adagrad, normalised by what each column has shown, and without an average; "
            "leave rule and average out, or use the method scaled"
        )
        raise OptionError(message)


def sparse_batch_size(examples: Source) -> Choice:
    """Return the batch size of steps on sparse rows."""
    size = min(BATCH, examples.rows)
    reason = say("sparse rows share few weights, so a few slopes at once cost less and change nothing else")
    return Choice("batch_size", size, reason)


def unit_of_score(examples: Examples, objective: Objective) -> float:
    """Return the size of the scores to be learned: the deviation of a target of numbers, else 1."""
    if objective.loss.classifies or objective.loss.name == "poisson":
        return 1.0
    return float(examples.target.std()) or 1.0


def sparse_rates(examples: Examples, objective: Objective) -> list[float]:
    """Return the rates to race, highest first."""
    return [unit_of_score(examples, objective) * rate for rate in RATES]


def choose_sparse_rate(source: Source, objective: Objective, batch: int, seed: int) -> Choice:
    """Return the rate with the lowest mean loss over one pass of the first examples in the order of ``seed``.

    Of a source that is not in memory, over a sample.
    """
    examples = source if isinstance(source, Examples) else sampled(source, FIRST, seed)
    drawn = order(examples.rows, seed, 0)[:FIRST]
    start = constant_start(examples, objective)
    updates = np.ones(-(-drawn.size // batch))
    rates = sparse_rates(examples, objective)

    def mean_loss(rate: float) -> float:
        training = SparseTraining.start(examples, objective, start, math.inf)
        done, total = training.advance(examples, drawn, 0, drawn.size, batch, rate * updates)
        return total / drawn.size if done == updates.size and math.isfinite(total) else math.inf

    with ThreadPoolExecutor(threads()) as pool:
        reached = list(pool.map(mean_loss, rates))
    best = int(np.argmin(reached))
    candidates = tuple({"learning_rate": rate, "loss": value} for rate, value in zip(rates, reached, strict=True))
    reason = say(
        "the lowest loss of {rates} rates over {rows} examples, each scored before its step",
        rates=len(rates),
        rows=count(drawn.size),
    )
    return Choice("learning_rate", rates[best], reason, candidates)
