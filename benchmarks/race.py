"""One problem, every trainer: how long until the gap is 1e-2, and 1e-4?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from time import perf_counter

from benchmarks import peers, torch_loops, vowpal_wabbit
from benchmarks.clock import Reached, Timing, median_time, time_to_gaps, time_to_gaps_walking
from benchmarks.peers import Peer
from benchmarks.problems import Problem
from benchmarks.reference import Reference, Weights, objective

TARGETS = (1e-2, 1e-4)


@dataclass(frozen=True)
class Entry:
    """What one trainer did on one problem.

    reached: by target. shipped: time and gap of the defaults, for a peer as shipped. lowest: the lowest
    gap seen, where a target was not reached.
    """

    name: str
    setting: str
    reached: dict[float, Reached] = field(default_factory=dict)
    shipped: tuple[Timing, float] | None = None
    lowest: float = float("nan")


@dataclass(frozen=True)
class Effort:
    """How hard to try: seconds after which a call is too slow to try a longer one, repeats, seconds of screening."""

    limit: float = 40.0
    repeats: int = 5
    screening: float = 6.0


def gap_of(problem: Problem, minimum: Reference, weights: Weights) -> float:
    """Return the gap of the weights; infinity where they are not finite."""
    return minimum.gap(objective(problem, weights))


def race(problem: Problem, minimum: Reference, folder: Path, effort: Effort, say: Callable[[str], None]) -> list[Entry]:
    """Return an entry for every peer, as shipped and at its best setting."""
    entries = []
    for peer in [*peers.shipped_peers(problem), *vowpal_wabbit.shipped(problem, folder)]:
        entries.append(as_shipped(peer, problem, minimum, effort))
        say(describe(entries[-1]))
    singles = [each for each in [*peers.best_peers(problem), *torch_loops.peers(problem)] if not each.family]
    grids = [torch_loops.peers(problem), vowpal_wabbit.peers(problem, folder)]
    if problem.loss in peers.SGD_LOSSES:
        grids.append(peers.stochastic_grid())
    for peer in singles:
        entries.append(at_best(peer, problem, minimum, narrowed(effort, entries)))
        say(describe(entries[-1]))
    for grid in grids:
        near = narrowed(effort, entries)
        for peer in screened([each for each in grid if each.family], problem, minimum, near):
            entries.append(at_best(peer, problem, minimum, near))
            say(describe(entries[-1]))
    return entries


def fastest(entries: list[Entry], target: float) -> Entry | None:
    """Return the entry that reached the target in the shortest time."""
    there = [each for each in entries if target in each.reached]
    return min(there, key=lambda each: each.reached[target].timing.seconds, default=None)


def narrowed(effort: Effort, entries: list[Entry]) -> Effort:
    """Return the effort worth spending on the next peer: one 20 times slower than the best is not waited for."""
    best = fastest(entries, min(TARGETS))
    if best is None:
        return effort
    seconds = best.reached[min(TARGETS)].timing.seconds
    return replace(
        effort, limit=min(effort.limit, max(1.0, 20 * seconds)), screening=min(effort.screening, max(0.2, 4 * seconds))
    )


def as_shipped(peer: Peer, problem: Problem, minimum: Reference, effort: Effort) -> Entry:
    """Run the defaults and say where they ended."""
    assert peer.fit is not None
    fit = peer.fit
    gap = gap_of(problem, minimum, fit(problem, 0))
    timing = median_time(lambda: fit(problem, 0), effort.repeats)
    return Entry(peer.name, peer.setting, shipped=(timing, gap), lowest=gap)


def at_best(peer: Peer, problem: Problem, minimum: Reference, effort: Effort) -> Entry:
    """Find the shortest time in which this peer comes to each target."""
    gap = partial(gap_of, problem, minimum)
    if peer.direct:
        assert peer.fit is not None
        fit = peer.fit
        timing, lowest = median_time(lambda: fit(problem, 0), effort.repeats), gap(fit(problem, 0))
        reached = {target: Reached(timing, 1, lowest) for target in TARGETS if lowest <= target}
    elif peer.walk is not None:
        walk = peer.walk
        reached, lowest = time_to_gaps_walking(lambda: walk(problem), gap, TARGETS, effort.limit, effort.repeats)
    else:
        assert peer.fit is not None
        reached, lowest = time_to_gaps(partial(peer.fit, problem), gap, TARGETS, effort.limit, effort.repeats)
    return Entry(peer.name, peer.setting, reached, lowest=lowest)


def screened(variants: list[Peer], problem: Problem, minimum: Reference, effort: Effort) -> list[Peer]:
    """Return the variants that lead after a little time and after more: at most three, best first.

    Each is given the screening time, in doubling budgets; the leaders at the time of the first, of the
    middle and of the last look are kept.
    """
    if not variants:
        return []
    paths: dict[int, list[tuple[float, float]]] = {}
    for index, peer in enumerate(variants):
        looks = _walked(peer, problem) if peer.walk else _budgets(peer, problem)
        spent, path = 0.0, []
        for seconds, weights in islice(looks, 4000 if peer.walk else 16):
            spent = spent + seconds if peer.walk else seconds
            path.append((spent, gap_of(problem, minimum, weights)))
            stuck = len(path) > 4 and path[-1][1] == path[-4][1]
            if spent > effort.screening or stuck or not min(TARGETS) < path[-1][1] < 1e3:
                break
        paths[index] = path
    kept: list[int] = []
    for share in (1.0, 0.5, 0.2):
        horizon = share * effort.screening
        best = min(paths, key=lambda i: min((g for s, g in paths[i] if s <= horizon), default=float("inf")))
        if best not in kept:
            kept.append(best)
    return [variants[i] for i in kept]


def _budgets(peer: Peer, problem: Problem) -> Iterator[tuple[float, Weights]]:
    assert peer.fit is not None
    budget = 1
    while True:
        began = perf_counter()
        weights = peer.fit(problem, budget)
        yield perf_counter() - began, weights
        budget *= 2


def _walked(peer: Peer, problem: Problem) -> Iterator[tuple[float, Weights]]:
    assert peer.walk is not None
    steps = peer.walk(problem)
    while True:
        began = perf_counter()
        weights = next(steps)
        yield perf_counter() - began, weights


def describe(entry: Entry) -> str:
    """Return the entry as one line."""
    words = f"{entry.name} ({entry.setting})" if entry.setting else entry.name
    if entry.shipped:
        return f"{words}: {entry.shipped[0].seconds:.4g} s, gap {entry.shipped[1]:.2g}"
    times = [
        f"{target:g} in {hit.timing.seconds:.4g} s (budget {hit.budget}, gap {hit.gap:.1e}, {hit.timing.runs} runs)"
        for target, hit in entry.reached.items()
    ]
    return f"{words}: {'; '.join(times) or 'no target'}" + ("" if len(times) == 2 else f"; lowest {entry.lowest:.2g}")
