"""The batch size: from the measured noise of the gradient and the measured time of a step.

The gradient of a batch of B examples is the full gradient plus noise of variance ``trace(Sigma) / B``. Steps
needed for the same progress fall with B as ``1 + noise scale / B`` (McCandlish et al. 2018, eq. 2.11), where
the noise scale is ``trace(Sigma) / |G|^2``; the time of a step grows as ``step + B example``. The best B
minimises the product.
"""

from __future__ import annotations

import numpy as np

from downslope.choices.batch_curvature import row_squares
from downslope.choices.curvature import sampled
from downslope.choices.start import constant_start
from downslope.choices.step_cost import step_cost
from downslope.data.blocks import Examples, Source
from downslope.engines import linear as engine
from downslope.models.linear import Objective, Point
from downslope.records import Choice
from downslope.records.figures import figure
from downslope.types import JsonValue
from downslope.words import say

CANDIDATES = (8, 16, 32, 64, 128, 256, 512, 1024)
PROBE = 2048
"""Examples on which noise and time are measured."""


def noise_scale(examples: Examples, objective: Objective, point: Point) -> float:
    """Return trace(Sigma) / |G|^2 at a point, the squared norm of G corrected for the sample's own noise."""
    scores = engine.exact_scores(examples, point)
    slopes = objective.slopes(scores, examples.target)
    if examples.weights is not None:
        slopes = slopes * (examples.weights * examples.rows / examples.weight_sum)[:, None]
    squares = row_squares(examples) - (0.0 if objective.intercept else 1.0)
    each = squares * (slopes**2).sum(axis=1)
    mean = engine.exact_gather(examples, slopes) / examples.rows
    fixed = slopes.mean(axis=0) if objective.intercept else np.zeros(objective.outputs)
    size = float((mean**2).sum() + (fixed**2).sum())
    spread = max(float(each.mean()) - size, 0.0) * examples.rows / max(examples.rows - 1, 1)
    signal = max(size - spread / examples.rows, 1e-3 * size, 1e-300)
    return spread / signal


def choose_batch_size(examples: Source, objective: Objective, rule: int, momentum: float, seed: int) -> Choice:
    """Return the batch size with the smallest predicted time to the minimum, with its evidence."""
    some = sampled(examples, PROBE, seed)
    at_start = noise_scale(some, objective, constant_start(some, objective))
    candidates: list[dict[str, JsonValue]] = []
    cost = step_cost(some, objective, rule, momentum, seed)
    for size in CANDIDATES:
        if size > max(examples.rows, CANDIDATES[0]):
            break
        steps = 1.0 + at_start / size
        candidates.append({
            "batch_size": size, "relative_steps": steps,
            "seconds_per_step": cost.step + size * cost.example,
            "relative_time": steps * (cost.step + size * cost.example),
        })  # fmt: skip
    best = min(candidates, key=lambda each: each["relative_time"])
    reason = say(
        "the gradient's noise scale at the start is {scale} examples, and a step costs as much as "
        "reading {examples} of them",
        scale=figure(at_start),
        examples=figure(cost.step / cost.example, 2),
    )
    return Choice("batch_size", best["batch_size"], reason, tuple(candidates))
