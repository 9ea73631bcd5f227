"""The batch size of a network: from the noise scale at the start and the measured time of a step.

Steps needed for the same progress fall with the batch B as ``1 + noise scale / B`` (McCandlish et al. 2018,
eq. 2.11), and the time of a step grows as ``step + B example``. The best B minimises the product.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

import math
import time

import jax
import jax.numpy as jnp
import numpy as np

from downslope.choices.step_cost import StepCost
from downslope.engines.network.loop import BatchLoss, Program, Tree, first_state
from downslope.engines.network.rules import Rule
from downslope.models.network.layers import Statistics
from downslope.records import Choice
from downslope.records.figures import figure
from downslope.records.shape import Noise
from downslope.types import JsonValue
from downslope.words import say

CANDIDATES = (16, 32, 64, 128, 256, 512, 1024)
TIMED = {16: 32, 256: 4}
"""Batch size -> steps a timed call: the two sizes at which a step is timed."""
TRIES = 3
AT_THE_START = say("at the start")
"""When the noise is measured where nothing else is said."""
ALIKE = 1.25
"""Sizes whose predicted times are within this factor of the smallest are alike, and the largest of them is taken: the
noise scale grows along a run (McCandlish et al. 2018, section 3.1)."""


def choose_network_batch(
    noise: Noise, cost: StepCost, rows: int, most: int = CANDIDATES[-1], when: str = AT_THE_START
) -> Choice:
    """Return the largest batch size that is near the smallest predicted time to the minimum, with its evidence.

    noise: measured ``when``; its lower end counts where it has no upper one. cost: as ``network_step_cost`` measures
    it. rows: training examples; no batch is larger, and a noise scale above them counts as them, since a batch of all
    rows has no noise. most: that the memory holds, or that leave enough updates.
    """
    known = math.isfinite(noise.high)
    scale = min(noise.scale if known else max(noise.low, 1.0), float(rows))
    candidates: list[dict[str, JsonValue]] = []
    for size in CANDIDATES:
        if size > max(min(rows, most), CANDIDATES[0]):
            break
        steps, seconds = 1.0 + scale / size, cost.step + size * cost.example
        candidates.append({
            "batch_size": size, "relative_steps": steps, "seconds_per_step": seconds,
            "relative_time": steps * seconds,
        })  # fmt: skip
    least = min(float(each["relative_time"]) for each in candidates)
    best = [each for each in candidates if each["relative_time"] <= ALIKE * least][-1]
    measured = (
        say(
            "{scale} examples (95 %: {low} to {high})",
            scale=figure(noise.scale),
            low=figure(noise.low),
            high=figure(noise.high),
        )
        if known
        else say("above {low} examples", low=figure(noise.low))
    )
    reason = say(
        "the gradient's noise scale {when} is {measured}, and a step costs as much as {examples} of "
        "them; the largest size within {share} of the smallest predicted time, since noise grows "
        "along a run",
        when=when,
        measured=measured,
        examples=figure(cost.step / cost.example, 2),
        share=f"{ALIKE - 1:.0%}",
    )
    return Choice("batch_size", best["batch_size"], reason, tuple(candidates))


def network_step_cost(
    loss: BatchLoss, rule: Rule, weights: Tree, statistics: Statistics, data: Tree, count: int, seed: int = 0
) -> StepCost:
    """Return what one update costs on this machine, from the real loop at two batch sizes, its compilation left out.

    data: of ``count`` examples, as the loss takes it.
    The ratio of the two parts is rounded to a power of two, so that the clock's jitter seldom changes a choice; a step
    costs at least as much as an example in it.
    """
    spent = {size: math.inf for size in TIMED}
    for size, steps in TIMED.items():
        program = Program(loss, rule, size, steps, math.inf)
        rows = np.random.default_rng(seed).integers(0, count, size * steps, dtype=np.int32)
        own = jax.tree.map(jnp.array, (weights, statistics))  # the loop takes over the arrays that it is given
        state = first_state(own[0], rule, own[1], seed)
        for attempt in range(TRIES + 1):
            began = time.perf_counter()
            state, _ = program.advance(state, data, rows, np.zeros(steps))
            took = (time.perf_counter() - began) / steps
            spent[size] = min(spent[size], took) if attempt else math.inf  # the first call compiles
    small, large = TIMED
    example = max((spent[large] - spent[small]) / (large - small), 1e-12)
    step = max(spent[small] - small * example, example)
    return StepCost(2.0 ** round(math.log2(step / example)) * example, example)
