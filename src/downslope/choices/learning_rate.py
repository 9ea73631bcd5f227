"""The learning rate: from the measured curvature where theory gives it, by a race where it does not.

Of a bowl with curvatures between ``smallest`` and ``largest``, plain descent is fastest at
``2 / (largest + smallest)`` (Nesterov 2004, theorem 2.1.15); where curvature is only bounded from above, at
``1 / largest``. Adaptive rules divide the gradient by its own size, so no curvature says how long their step
should be: rates a factor of two apart are raced, each in a lane, on the same batches.
"""

from __future__ import annotations

import math

import numpy as np

from downslope.choices.curvature import Moments, in_memory, largest_by_power
from downslope.data.blocks import Source
from downslope.engines.racing import Lanes, standardised
from downslope.models.linear import Objective
from downslope.records import Choice, Curvature, Spec
from downslope.steps import rule_number
from downslope.types import Vector
from downslope.words import named, say

HIGHEST_CURVATURE = {"squared": 2.0, "huber": 1.0, "log": 0.25, "softmax": 0.5, "squared-hinge": 2.0}
"""The largest curvature that a loss has anywhere, by the score. Poisson and cornered losses have none."""
RACE_UPDATES = 25
"""Updates that each rate of a full-batch race is given."""
LANES = 16
SPREAD = 2.0
"""Ratio between neighbouring rates of a race: a rate off by this factor costs little, and is told apart."""


def full_batch_rate(
    examples: Source, objective: Objective, moments: Moments, shape: Curvature, rule: str, spec: Spec
) -> Choice:
    """Return the learning rate of full-batch descent with its evidence."""
    loss = objective.loss.name
    if rule == "plain" and loss in HIGHEST_CURVATURE and math.isfinite(shape.largest):
        return _by_theory(examples, objective, moments, shape, loss)
    return _by_race(examples, objective, shape, rule, spec)


def _by_theory(examples: Source, objective: Objective, moments: Moments, shape: Curvature, loss: str) -> Choice:
    if loss == "squared" and math.isfinite(shape.condition_after):
        rate = 2.0 / (shape.largest + shape.smallest)
        reason = say(
            "2 / (largest + smallest curvature) = 2 / ({largest} + {smallest})",
            largest=f"{shape.largest:.4g}",
            smallest=f"{shape.smallest:.4g}",
        )
    else:
        top = HIGHEST_CURVATURE[loss]
        largest = top * _largest_moment(examples, moments) + objective.l2
        rate = 1.0 / largest
        reason = say(
            "1 / {largest}, the largest curvature that the {loss} loss can have on these examples",
            largest=f"{largest:.4g}",
            loss=named(loss),
        )
    return Choice("learning_rate", rate, reason)


def _largest_moment(examples: Source, moments: Moments) -> float:
    if moments.matrix is None:
        return largest_by_power(examples, 1.0)
    return float(np.linalg.eigvalsh(moments.matrix)[-1])


def candidate_rates(shape: Curvature, rule: str, count: int = LANES) -> Vector:
    """Return the rates of a race, highest first.

    A rule that keeps the gradient's size starts at twice the stability limit; a rule that divides by it
    moves each weight by about its rate, so it starts at one standard unit.
    """
    own_size = rule in ("plain", "momentum", "nesterov")
    highest = 2.0 * shape.stability_limit if own_size and math.isfinite(shape.stability_limit) else 1.0
    return highest / SPREAD ** np.arange(count, dtype=np.float64)


def _by_race(examples: Source, objective: Objective, shape: Curvature, rule: str, spec: Spec) -> Choice:
    ready = standardised(in_memory(examples, spec.seed))
    rates = candidate_rates(shape, rule)
    lanes = Lanes.start(ready, objective, rates, rule_number(rule), spec.momentum)
    for epoch in range(RACE_UPDATES):
        lanes.epoch(ready, objective, np.arange(ready.rows, dtype=np.int32), ready.rows, np.ones(1), epoch)
    reached = lanes.objectives(ready, objective)
    best = int(np.argmin(reached))
    candidates = tuple(
        {"learning_rate": float(rate), "objective": float(value)} for rate, value in zip(rates, reached, strict=True)
    )
    reason = say(
        "the lowest loss of {rates} rates raced for {updates} updates with the {rule} rule",
        rates=rates.size,
        updates=RACE_UPDATES,
        rule=named(rule),
    )
    return Choice("learning_rate", float(rates[best]), reason, candidates)
