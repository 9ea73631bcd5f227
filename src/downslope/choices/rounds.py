"""How long those who hold the rows step apart before their weights are averaged: a round.

Averaging costs its way, so a round should not be short. Apart, each steps towards the minimum of its own rows. What it
learns from fewer examples than the gradient's noise scale is mostly noise, which the average takes away; past that it
is drift, which the average does not. So a round is as many batches as make a noise scale, more where the way of the
weights would else take above a tenth of the time, and at most an epoch of its rows (the trade of local SGD, Stich 2019,
theorem 2.2).
"""

from __future__ import annotations

import time

from downslope.choices.batch_size import PROBE, noise_scale
from downslope.choices.curvature import sampled
from downslope.choices.start import constant_start
from downslope.choices.step_cost import step_cost
from downslope.data.blocks import Source, Walked
from downslope.models.linear import Objective, Point
from downslope.records import Choice
from downslope.records.figures import duration, figure
from downslope.types import FloatArray
from downslope.words import say

WAY = 0.1
"""Share of the time that the way of the weights may take."""
MOST = 64
"""Rounds of an epoch, at most."""
KNOCKS = 3
"""Times that the way is measured; the shortest counts."""


def choose_rounds(
    examples: Source, objective: Objective, holders: int, batch: int, rule: int, momentum: float, seed: int
) -> Choice:  # fmt: skip
    """Return how many rounds an epoch has, from the noise scale, the time of a step and that of the way, measured."""
    some = sampled(examples, PROBE, seed)
    scale = noise_scale(some, objective, constant_start(some, objective))
    cost = step_cost(some, objective, rule, momentum, seed)
    nothing = Point.zeros(examples.features, objective.outputs).weights
    return rounds_for(examples, holders, batch, scale, cost.step + batch * cost.example, nothing)


def rounds_for(
    examples: Source, holders: int, batch: int, scale: float, step: float, sent: FloatArray, least: int = 1
) -> Choice:
    """Return how many rounds an epoch has; scale: of the noise, in examples. step: seconds of a batch.

    sent: as many numbers as travel to each holder and back. least: rounds of an epoch, unless batches are fewer.
    """
    way = min(_way(examples, sent) for _ in range(KNOCKS))
    by_noise, by_way = scale / batch, way / (WAY * step)
    batches = examples.rows / holders / batch
    wanted = min(max(by_noise, by_way, 1.0), batches)
    rounds = int(min(max(round(batches / wanted), min(least, batches), 1), MOST))
    reason = say(
        "each steps apart for {steps} batches, for the noise scale is {scale} examples, a batch takes {step} and the "
        "way of the weights {way}",
        steps=figure(batches / rounds), scale=figure(scale), step=duration(step), way=duration(way),
    )  # fmt: skip
    evidence = ({"noise_scale": scale, "seconds_per_batch": step, "seconds_of_the_way": way, "holders": holders},)
    return Choice("rounds_an_epoch", rounds, reason, evidence)


def _way(examples: Source, sent: FloatArray) -> float:
    """Return the seconds that weights take to all who hold rows and back."""
    began = time.perf_counter()
    examples.each(Echo(sent))
    return time.perf_counter() - began


class Echo:
    """Answers with the numbers that it was sent."""

    def __init__(self, sent: FloatArray) -> None:
        """Take the numbers."""
        self.sent = sent

    def __call__(self, held: object) -> Walked:
        """Return them."""
        del held
        return Walked((self.sent,), 0, 0.0, True)
