"""What a step costs on this machine: measured once for each shape of problem, and kept beside the kernels.

A clock never gives the same answer twice, and a choice that rests on it would not either. So the first
measurement of a shape is the one that counts: later processes read it, and the same seed makes the same choice.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from downslope.compiling import CACHE_FOLDER
from downslope.data.batches import order
from downslope.data.blocks import Examples
from downslope.engines.racing import Lanes
from downslope.models.linear import Objective

SMALL, LARGE = 8, 1024
"""Batch sizes at which a pass is timed; their difference is what the steps themselves cost."""
TRIES = 5

MEASURED: dict[str, StepCost] = {}
"""What this process has measured or read, for where nothing can be kept on disk."""


@dataclass(frozen=True)
class StepCost:
    """Seconds that a step costs whatever its batch, and seconds for each example in it.

    Their ratio, from which choices are made, is a power of two.
    """

    step: float
    example: float


def step_cost(examples: Examples, objective: Objective, rule: int, momentum: float, seed: int) -> StepCost:
    """Return the cost of a step on problems of this shape; ``examples`` in one block, a thousand or so."""
    name = (
        f"step-{examples.numbers}-{examples.categories}-{examples.levels}-{objective.outputs}-{objective.loss.name}-"
        f"{rule}-{examples.dtype.name}-{min(examples.rows, 2 * LARGE)}.json"
    )
    return kept_cost(name, lambda: _measure(examples, objective, rule, momentum, seed))


def kept_cost(name: str, measure: Callable[[], StepCost]) -> StepCost:
    """Return the cost kept under a file's name, or measure and keep it."""
    if name not in MEASURED:
        path = Path(CACHE_FOLDER) / name
        MEASURED[name] = _read(path) or _keep(path, measure())
    return MEASURED[name]


def _measure(examples: Examples, objective: Objective, rule: int, momentum: float, seed: int) -> StepCost:
    rows = order(examples.rows, seed, 0)
    times = {SMALL: np.inf, LARGE: np.inf}
    for attempt in range(TRIES + 1):
        for size, best in times.items():
            lanes = Lanes.start(examples, objective, np.array([1e-9]), rule, momentum)
            share = np.ones(-(-examples.rows // size))
            began = time.perf_counter()
            lanes.epoch(examples, objective, rows, size, share, 0)
            spent = time.perf_counter() - began
            times[size] = min(best, spent) if attempt > 0 else best  # the first one may compile
    many, few = -(-examples.rows // SMALL), -(-examples.rows // LARGE)
    step = max((times[SMALL] - times[LARGE]) / max(many - few, 1), 1e-9)
    example = max((times[LARGE] - few * step) / examples.rows, 1e-9)
    return StepCost(float(2.0 ** round(np.log2(step / example)) * example), float(example))


def _read(path: Path) -> StepCost | None:
    """Return what was kept, None where there is nothing, or nothing that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = cast("dict[str, float]", json.loads(path.read_text()))
        cost = StepCost(float(kept["step"]), float(kept["example"]))
        return cost if cost.step > 0 and cost.example > 0 else None
    return None


def _keep(path: Path, cost: StepCost) -> StepCost:
    """Keep a measurement and return the one that counts: that of whoever was first."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False) as file:
            json.dump({"step": cost.step, "example": cost.example}, file)
        try:
            os.link(file.name, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links: the last one counts
            Path(file.name).replace(path)
        Path(file.name).unlink(missing_ok=True)
    return _read(path) or cost
