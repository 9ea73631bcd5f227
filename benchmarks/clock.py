"""How a time is taken.

A time is the median of five whole calls in a warm process, or of fewer where one call takes over ten
seconds; how many is kept beside it. A trainer that iterates is stopped by an oracle: it is run with growing
budgets, the smallest budget whose result is good enough is looked for, and that call is what is timed. No
user has that oracle, so the times of peers are the shortest that anyone could see.
"""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.reference import Weights

SLOW_SECONDS = 10.0
ROW_SECONDS, MOST_IN_A_ROW = 0.1, 50
"""Short calls are timed in rows that take so long together, of so many at most."""
Model = TypeVar("Model")


@dataclass(frozen=True)
class Timing:
    """Median seconds of some runs of the same work."""

    seconds: float
    runs: int


@dataclass(frozen=True)
class Reached:
    """What it took to come to a gap: the smallest budget that did, its time, and the gap there."""

    timing: Timing
    budget: int
    gap: float


def once(work: Callable[[], object]) -> float:
    """Return the seconds of one call, garbage collected before."""
    gc.collect()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median_time(work: Callable[[], object], repeats: int = 5) -> Timing:
    """Return the median of ``repeats`` calls; of one where the first takes over ten seconds.

    A short call is timed as the mean of several in a row, as ``timeit`` does: collecting garbage before each would
    empty the caches of the processor.
    """
    times = [once(work)]
    row = max(1, min(MOST_IN_A_ROW, math.ceil(ROW_SECONDS / max(times[0], 1e-9))))
    if row > 1:
        times = []
    while len(times) < repeats and (not times or times[0] <= SLOW_SECONDS):
        times.append(once(lambda: [work() for _ in range(row)]) / row)
    return Timing(statistics.median(times), len(times))


def time_to_gaps(
    fit: Callable[[int], Model],
    gap_of: Callable[[Model], float],
    targets: tuple[float, ...],
    limit: float,
    repeats: int = 5,
) -> tuple[dict[float, Reached], float]:
    """Return, for each target reached, the smallest budget that reaches it; and the lowest gap seen.

    fit: budget (iterations or epochs, at least 1) -> whatever ``gap_of`` judges. limit: seconds of one call after which
    larger budgets are not tried. The budget is doubled until the lowest target is reached, then halved in
    between, to within 5 %.
    """
    gaps: dict[int, float] = {}

    def gap_at(budget: int) -> tuple[float, float]:
        found: list[Model] = []
        seconds = once(lambda: found.append(fit(budget)))
        gaps[budget] = gap_of(found[0])
        return gaps[budget], seconds

    budget, stalled, last = 1, 0, float("inf")
    while True:
        gap, seconds = gap_at(budget)
        stalled = stalled + 1 if abs(gap - last) <= 1e-9 * abs(last) else 0
        last = gap
        if gap <= min(targets) or seconds > limit or stalled >= 3 or budget > 1_000_000:
            break
        budget *= 2
    reached = {}
    for target in targets:
        smallest = _smallest(target, gaps, lambda budget: gap_at(budget)[0])
        if smallest is not None:
            reached[target] = Reached(median_time(lambda b=smallest: fit(b), repeats), smallest, gaps[smallest])
    return reached, min(gaps.values())


def _smallest(target: float, gaps: dict[int, float], gap_at: Callable[[int], float]) -> int | None:
    good = [budget for budget, gap in gaps.items() if gap <= target]
    if not good:
        return None
    high = min(good)
    low = max((budget for budget in gaps if budget < high), default=0)
    while high - low > max(1, high // 20):
        middle = (low + high) // 2
        low, high = (low, middle) if gap_at(middle) <= target else (middle, high)
    return high


def time_to_gaps_walking(
    walk: Callable[[], Iterator[Weights]],
    gap_of: Callable[[Weights], float],
    targets: tuple[float, ...],
    limit: float,
    repeats: int = 5,
) -> tuple[dict[float, Reached], float]:
    """Do as ``time_to_gaps`` for a trainer that hands out its weights as it goes.

    The clock stands still while a gap is computed. The step at which a target is first met is then timed
    again as one uninterrupted walk.
    """
    spent, budget, lowest = 0.0, 0, float("inf")
    met: dict[float, tuple[int, float]] = {}
    steps = walk()
    while spent <= limit and len(met) < len(targets):
        began = time.perf_counter()
        weights = next(steps, None)
        spent += time.perf_counter() - began
        if weights is None:
            break
        budget += 1
        gap = gap_of(weights)
        lowest = min(lowest, gap)
        for target in targets:
            if gap <= target and target not in met:
                met[target] = (budget, gap)
        if gap != gap or gap > 1e6:
            break

    def take(count: int) -> None:
        again = walk()
        for _ in range(count):
            next(again)

    return {
        target: Reached(median_time(lambda c=count: take(c), repeats), count, gap)
        for target, (count, gap) in met.items()
    }, lowest
