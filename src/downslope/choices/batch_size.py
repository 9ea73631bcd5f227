"""The batch size: from the measured noise of the gradient and the measured time of a step.

The gradient of a batch of B examples is the full gradient plus noise of variance ``trace(Sigma) / B``. Steps
needed for the same progress fall with B as ``1 + noise scale / B`` (McCandlish et al. 2018, eq. 2.11), where
the noise scale is ``trace(Sigma) / |G|^2``; the time of a step grows as ``step + B example``. The best B
minimises the product.
"""

from __future__ import annotations

import time

import numpy as np

from downslope.choices.curvature import sample_rows
from downslope.choices.start import constant_start
from downslope.data.blocks import Examples
from downslope.data.batches import order
from downslope.engines import linear as engine
from downslope.engines.racing import Lanes
from downslope.models.linear import Objective, Point
from downslope.records import Choice
from downslope.types import JsonValue

CANDIDATES = (8, 16, 32, 64, 128, 256, 512, 1024)
PROBE = 2048
"""Examples on which noise and time are measured."""
CLOSE_STEPS = 0.5
"""How far towards the minimum the noise is measured: halfway, where most of a run is spent."""


def noise_scale(examples: Examples, objective: Objective, point: Point) -> float:
    """Return trace(Sigma) / |G|^2 at a point, the squared norm of G corrected for the sample's own noise."""
    scores = engine.exact_scores(examples, point)
    slopes = objective.slopes(scores, examples.target)
    if examples.weights is not None:
        slopes = slopes * (examples.weights * examples.rows / examples.weight_sum)[:, None]
    squares = _row_squares(examples)
    each = squares * (slopes**2).sum(axis=1)
    mean = engine.exact_gather(examples, slopes) / examples.rows
    fixed = slopes.mean(axis=0) if objective.intercept else np.zeros(objective.outputs)
    size = float((mean**2).sum() + (fixed**2).sum())
    spread = max(float(each.mean()) - size, 0.0) * examples.rows / max(examples.rows - 1, 1)
    signal = max(size - spread / examples.rows, 1e-3 * size, 1e-300)
    return spread / signal


def _row_squares(examples: Examples) -> np.ndarray:
    """Return the squared length of each feature row, the intercept's 1 included."""
    squares = np.empty(examples.rows)
    for rows, numbers, codes in engine.chunks(examples):
        values = numbers if examples.applied else (numbers - examples.center) / examples.scale
        squares[rows] = np.einsum("ij,ij->i", values, values) + codes.shape[1] + 1.0
    return squares


def choose_batch_size(examples: Examples, objective: Objective, rule: int, momentum: float, seed: int) -> Choice:
    """Return the batch size with the smallest predicted time to the minimum, with its evidence."""
    some = examples
    if examples.rows > PROBE:
        some = engine.take(examples, sample_rows(examples, PROBE, seed))
    at_start = noise_scale(some, objective, constant_start(some, objective))
    candidates: list[dict[str, JsonValue]] = []
    step_seconds, example_seconds = _step_times(some, objective, rule, momentum, seed)
    for size in CANDIDATES:
        if size > max(examples.rows, CANDIDATES[0]):
            break
        steps = 1.0 + at_start / size
        candidates.append({
            "batch_size": size, "relative_steps": steps,
            "seconds_per_step": step_seconds + size * example_seconds,
            "relative_time": steps * (step_seconds + size * example_seconds),
        })  # fmt: skip
    best = min(candidates, key=lambda each: each["relative_time"])
    reason = (
        f"the gradient's noise scale is {at_start:.3g} examples, and a step costs as much as reading "
        f"{step_seconds / max(example_seconds, 1e-12):.2g} examples"
    )
    return Choice("batch_size", best["batch_size"], reason, tuple(candidates))


OVERHEAD: dict[tuple[int, int, int], tuple[float, float]] = {}
"""Measured once a process for each shape of problem, so that the same seed makes the same choice."""


def _step_times(examples: Examples, objective: Objective, rule: int, momentum: float, seed: int) -> tuple[float, float]:
    """Return (seconds a step, seconds an example), from the times at two batch sizes, rounded to powers of two."""
    key = (examples.features, objective.outputs, rule)
    if key not in OVERHEAD:
        rows = order(examples.rows, seed, 0)
        times: list[float] = []
        for size in (CANDIDATES[0], CANDIDATES[-1]):
            lanes = Lanes.start(examples, objective, np.array([1e-9]), rule, momentum)
            share = np.ones(-(-examples.rows // size))
            lanes.epoch(examples, objective, rows, size, share, 0)
            runs: list[float] = []
            for _ in range(3):
                began = time.perf_counter()
                lanes.epoch(examples, objective, rows, size, share, 0)
                runs.append(time.perf_counter() - began)
            times.append(min(runs))
        many, few = -(-examples.rows // CANDIDATES[0]), -(-examples.rows // CANDIDATES[-1])
        step_seconds = max((times[0] - times[1]) / max(many - few, 1), 1e-9)
        example_seconds = max((times[1] - few * step_seconds) / examples.rows, 1e-9)
        OVERHEAD[key] = step_seconds, example_seconds
    step_seconds, example_seconds = OVERHEAD[key]
    ratio = 2.0 ** round(np.log2(step_seconds / example_seconds))
    return ratio * example_seconds, example_seconds
