"""Where each cell of a sweep over a network lies: too slow, sweet spot, too large or diverged.

The minimum of a network is not known, so the reference is the lowest loss of the map at the same passes, and how far
a cell fell from its own start on the way there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from downslope.records import NetworkCell, Spread, Verdict, Zone
from downslope.records.figures import figure, plural
from downslope.words import Sentence, say

NEAR = 0.95
"""Share of the way to the lowest loss of the map at the same passes from which a cell is in the sweet spot."""


@dataclass(frozen=True)
class Found:
    """A cell where it ended. train, held: losses of the seeds that stood. at_start: as judged, a mean over all seeds.

    round: at whose end, from 0. updates, passes: that every seed took. dropped: in the worse half there.
    """

    learning_rate: float
    batch_size: int
    start: str
    seeds: int
    train: tuple[float, ...]
    held: tuple[float, ...]
    at_start: float
    round: int
    updates: int
    passes: float
    dropped: bool

    @property
    def diverged(self) -> int:
        """How many of the seeds diverged."""
        return self.seeds - len(self.train)

    def loss(self, by_held: bool) -> float:
        """Return the mean of the losses that the cell is judged by, inf where a seed diverged."""
        return math.inf if self.diverged else float(np.mean(self.held if by_held else self.train))


@dataclass(frozen=True)
class Column:
    """The cells of one batch size, and the lowest judged loss among them at the end of each round."""

    found: Sequence[Found]
    lows: Sequence[float]


def cells_with_zones(columns: Sequence[Column], by_held: bool) -> tuple[NetworkCell, ...]:
    """Return the cells of a map.

    A cell that fell at least NEAR times as far as the lowest of the map at the same passes is in the sweet spot.
    Another one is too slow where its rate is no higher than the best for its batch size and start, or where it fell
    nearly as far as that, or where neither came away from its start; else its rate is too large. It is lost where a
    seed diverged, or where such a rate ended above the start by more than could be taken for standing still.
    """
    rounds = max(len(column.lows) for column in columns)
    lows = [min(column.lows[each] for column in columns if each < len(column.lows)) for each in range(rounds)]
    cells: list[NetworkCell] = []
    for column in columns:
        for start in dict.fromkeys(each.start for each in column.found):
            row = [each for each in column.found if each.start == start]
            fallen = [_fallen(each, each.loss(by_held), lows[each.round]) for each in row]
            cells += _row(row, fallen, by_held)
    return tuple(sorted(cells, key=lambda each: (each.batch_size, each.start, each.learning_rate)))


def _fallen(cell: Found, loss: float, low: float) -> float:
    """Return how far a cell fell, 1 for the lowest of the map; nan where a seed diverged."""
    if cell.diverged:
        return math.nan
    way = cell.at_start - low
    return (cell.at_start - loss) / way if way > 0 else 0.0


def _row(row: Sequence[Found], fallen: Sequence[float], by_held: bool) -> list[NetworkCell]:
    """Return the cells of one batch size and start."""
    ranked = sorted(
        zip(row, fallen, strict=True), key=lambda pair: (pair[0].diverged, -pair[0].round, pair[0].loss(by_held))
    )
    best, far = ranked[0]
    return [_cell(each, share, _zone(each, share, best, far)) for each, share in zip(row, fallen, strict=True)]


def _zone(cell: Found, fallen: float, best: Found, far: float) -> Zone:
    if cell.diverged:
        return Zone.DIVERGED
    if fallen >= NEAR:
        return Zone.SWEET_SPOT
    still = 1.0 - NEAR
    if cell.learning_rate <= best.learning_rate or fallen >= NEAR * far > 0 or max(abs(fallen), far) <= still:
        return Zone.TOO_SLOW
    return Zone.DIVERGED if fallen < -still else Zone.TOO_LARGE


def _cell(found: Found, fallen: float, zone: Zone) -> NetworkCell:
    return NetworkCell(
        found.learning_rate, found.batch_size, found.start, found.seeds, found.diverged,
        spread(found.train, lost=math.inf), spread(found.held, lost=math.inf if found.diverged else math.nan),
        found.at_start, fallen, found.updates, found.passes, found.dropped and not found.diverged,
        Verdict.DIVERGED if found.diverged else Verdict.BUDGET, _message(found), zone,
    )  # fmt: skip


def updates_and_passes(updates: int, passes: float) -> Sentence:
    """Return the work done in words, such as ``120 updates, 0.5 passes``."""
    told = figure(passes)
    many = say("{count} pass", count=told) if passes == 1 else say("{count} passes", count=told)
    return say("{updates}, {passes}", updates=plural(updates, "update"), passes=many)


def _message(found: Found) -> Sentence:
    work = updates_and_passes(found.updates, found.passes)
    if found.diverged == found.seeds:
        return say("diverged after {work}", work=work)
    if found.diverged:
        return say(
            "diverged with {diverged} of {seeds} seeds, first after {work}",
            diverged=found.diverged,
            seeds=found.seeds,
            work=work,
        )
    if found.dropped:
        return say("dropped after {work}: in the worse half of its batch size", work=work)
    return say("all the planned work is done: {work}", work=work)


def spread(losses: Sequence[float], *, lost: float) -> Spread:
    """Return the mean and the standard deviation of some losses; lost: the mean of none."""
    if not losses:
        return Spread(lost)
    return Spread(float(np.mean(losses)), float(np.std(losses, ddof=1)) if len(losses) > 1 else math.nan)


def best_cell(cells: Sequence[NetworkCell], by_held: bool) -> NetworkCell | None:
    """Return the cell with the lowest judged loss of those that ran to the end, None where none did."""
    ended = [each for each in cells if not each.dropped and not each.diverged]
    return min(ended, key=lambda each: (each.held if by_held else each.train).mean, default=None)
