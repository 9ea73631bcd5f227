"""Downslope as its users call it: the public estimators, nothing set but the objective and the tolerance."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np

from benchmarks.clock import Reached, median_time
from benchmarks.peers import Peer
from benchmarks.problems import Problem
from benchmarks.race import TARGETS, Effort, Entry, gap_of
from benchmarks.reference import Reference, Weights


def estimator(problem: Problem, **settings: Any) -> Any:
    """Return the estimator for this objective."""
    from downslope import GradientDescentClassifier, GradientDescentRegressor

    if problem.loss == "huber":
        settings["huber_delta"] = problem.delta
    kind = GradientDescentClassifier if problem.classifies else GradientDescentRegressor
    return kind(loss=problem.loss, l2=problem.l2, **settings)


def fit(problem: Problem, tolerance: float) -> tuple[Weights, Any]:
    """Return the weights that one call of fit ends with, and its Run."""
    model = estimator(problem, tolerance=tolerance).fit(problem.X, problem.y)
    return Weights.of(model.coef_, model.intercept_), model.run_


def by_passes(problem: Problem, budget: int) -> Weights:
    """Return the weights after a budget of passes, choosing included: stopped by the oracle, as the peers are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = estimator(problem, tolerance=0.0, max_passes=budget + 1).fit(problem.X, problem.y)
    return Weights.of(model.coef_, model.intercept_)


def oracle() -> Peer:
    """Return downslope as one of its own peers: the same search for the smallest budget that reaches a gap."""
    return Peer("downslope", "stopped by the oracle", fit=by_passes)


def entry(problem: Problem, minimum: Reference, effort: Effort) -> Entry:
    """Time the whole call at each tolerance; the gap kept is the true one, not the one it claims.

    The first call, which may compile, is not timed here; ``footprint`` states what it costs.
    """
    reached, lowest = {}, float("inf")
    words = ""
    for target in TARGETS:
        weights, run = fit(problem, target)
        gap = gap_of(problem, minimum, weights)
        timing = median_time(partial(fit, problem, target), effort.repeats)
        words = f"{run.resolved.get('method', '')}, {run.gap_kind}"
        lowest = min(lowest, gap)
        # Rounding of the reference and of float32 data: a hair above the target is the target.
        if gap <= target * 1.01:
            reached[target] = Reached(timing, int(np.ceil(run.passes)), gap)
    return Entry("downslope, whole call", words, reached, lowest=lowest)
