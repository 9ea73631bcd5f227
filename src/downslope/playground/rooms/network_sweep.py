"""The map of learning rates by batch sizes for a small network: every cell the same start, after as many updates.

The rates of one batch size are the lanes of one program: they take their updates side by side, on the same batches.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.playground.limits import SWEEP_SECONDS
from downslope.playground.rooms.network_machine import STEPS, Batches, Shape, lanes, machine, starting_weights
from downslope.playground.rooms.network_settings import NetworkRoom
from downslope.playground.rooms.picture import Picture
from downslope.types import Matrix

if TYPE_CHECKING:
    from downslope.engines.network.inputs import Data

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
SIZES = (1, 3, 10, 30, 100)
"""Batch sizes of the map, and beyond them all the examples."""
EXPLODED = 1e3
"""A loss so many times the size of the start's, or of 1, above it has diverged, as in the room itself."""
REST = 1.0
"""Seconds of rest for each second of work, so that what is played meanwhile, here and elsewhere, goes on."""
LONGEST_REST = 0.2


def swept(
    shape: Shape, settings: NetworkRoom, given: dict[int, float], data: tuple[Data, Data], updates: int
) -> Iterator[Picture]:
    """Return the map as far as it is known, after every chunk of updates; the last one is done.

    Arrays: ``rates`` (r), ``batches`` (b), ``losses`` and ``test_losses`` (b, r), nan where not known yet and infinite
    where it diverged. JSON: ``updates``, ``part`` of the work that is done, ``done``, ``in_time`` False where the time
    was spent before the end.
    """
    rows = int(data[0].rows)
    sizes = [size for size in SIZES if size < rows] + [rows]
    losses: Matrix = np.full((len(sizes), len(RATES)), math.nan)
    tests = losses.copy()
    began = time.monotonic()
    weights = starting_weights(shape, settings.start, settings.start_seed, given)
    # Small batches first: their updates are the cheapest.
    for index, size in enumerate(sizes):
        for taken, lane_losses in _column(replace(shape, batch=size), settings, weights, data, updates):
            if lane_losses is not None:
                losses[index], tests[index] = lane_losses
            part = (index + taken / updates) / len(sizes)
            in_time = time.monotonic() - began < SWEEP_SECONDS
            yield _map(sizes, losses, tests, updates=updates, part=part, done=part == 1.0 or not in_time,
                       in_time=in_time)  # fmt: skip
            if not in_time:
                return


def _column(
    shape: Shape, settings: NetworkRoom, weights: Any, data: tuple[Data, Data], updates: int
) -> Iterator[tuple[int, tuple[Any, Any] | None]]:
    """Take the updates of one batch size; yield how many were taken, and at the end the losses of the lanes."""
    from downslope.engines.network.loop import as_lanes

    tools, (train, test) = lanes(shape), data
    batches = Batches(int(train.rows), shape.batch, settings.data_seed)
    state = machine(shape).first(weights, (settings.l1, settings.l2), settings.data_seed)
    state = as_lanes(state, len(RATES))
    start = float(tools.losses(state, train, test)[0][0])
    limit = start + EXPLODED * max(abs(start), 1.0)
    rates = np.array(RATES, np.float32)[:, None]
    taken = 0
    while taken < updates:
        began = time.monotonic()
        count = min(STEPS, updates - taken)
        rows = batches.of(taken, count)
        state, _ = tools.program.advance(state, train, rows, np.repeat(rates, count, axis=1))
        taken += count
        time.sleep(min(REST * (time.monotonic() - began), LONGEST_REST))
        if taken < updates:
            yield taken, None
    found = tools.losses(state, train, test)
    yield taken, (_diverged(found[0], limit), _diverged(found[1], limit))


def _diverged(losses: Any, limit: float) -> Any:
    """Return losses, infinite where they are no number or far above the start."""
    return np.where(np.isfinite(losses) & (losses <= limit), losses, math.inf)


def _map(sizes: list[int], losses: Matrix, tests: Matrix, **values: Any) -> Picture:
    arrays = {
        "rates": np.array(RATES),
        "batches": np.array(sizes),
        "losses": losses.copy(),
        "test_losses": tests.copy(),
    }
    return Picture(values, arrays)
