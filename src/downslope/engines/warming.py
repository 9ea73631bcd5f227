"""Compiles the kernels of whole passes ahead of the first training: ``python -m downslope.engines.warming``."""

from __future__ import annotations

import time

import numpy as np

from downslope.data.blocks import Block, Examples
from downslope.engines import linear as engine
from downslope.engines.moments import level_counts, second_moments
from downslope.engines.ranking import area_by_keys
from downslope.engines.scaling import moments_about
from downslope.losses import Log
from downslope.models.linear import Objective, Point


def compile_passes() -> float:
    """Compile, or load from disk, what a default fit uses, in both precisions; return the seconds it took."""
    began = time.perf_counter()
    target = np.array([0.0, 1.0, 1.0, 0.0])
    for precision in (np.float32, np.float64):
        numbers = np.linspace(0.0, 1.0, 8, dtype=precision).reshape(4, 2)
        codes = np.array([[0], [1], [0], [1]], dtype=np.int32)
        examples = Examples((Block(0, numbers, codes),), 2, target, None, np.zeros(2), np.ones(2), True)
        objective = Objective(Log(), 0.0, 1.0, True)
        point = Point.zeros(examples.features, 1)
        engine.evaluate(examples, objective, point)
        scores = engine.exact_scores(examples, point)
        seen = engine.examine(examples, objective, np.ascontiguousarray(scores[:, 0]), target, 0.0)
        engine.exact_gather(examples, seen.slopes[:, None])
        second_moments(examples, None)
        level_counts(codes, engine.NONE, 2)
        moments_about(numbers, np.zeros(2, precision))
    area_by_keys(np.linspace(0.0, 1.0, 4), target)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(f"Kernels ready in {compile_passes():.1f} s")
