"""Several trainings side by side: a race of methods, and a map of learning rates by batch sizes.

A linear model has one minimum, and what was reached is told as a gap. A network's minimum is not known, so its race
and its sweep tell losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from downslope.records.run import GapKind, Verdict
from downslope.records.showing import Shown
from downslope.words import Sentence


@dataclass(frozen=True)
class Reached:
    """How far a method had come when a budget was spent.

    budget: updates, examples or seconds, by the list it stands in. gap: the mean over seeds; nan where the
    method cannot be compared there (it ended before, or takes no such small a step), inf where it diverged.
    scatter: standard deviation of the gap over seeds; nan for a method that draws nothing at random.
    """

    budget: float
    gap: float
    scatter: float = float("nan")


@dataclass(frozen=True)
class RaceEntry:
    """One method of a race, at the learning rate and batch size chosen for it.

    seeds: how many orders of the examples it ran with. gap: at the end. updates, passes, seconds: in all.
    at_equal_updates, at_equal_examples, at_equal_seconds: one entry a checkpoint, the same budgets in the
    same order for every method of the race.
    """

    name: str
    learning_rate: float
    batch_size: int
    seeds: int
    verdict: Verdict
    message: Sentence
    gap: float
    updates: int
    passes: float
    seconds: float
    at_equal_updates: tuple[Reached, ...] = ()
    at_equal_examples: tuple[Reached, ...] = ()
    at_equal_seconds: tuple[Reached, ...] = ()


@dataclass(frozen=True)
class RaceResult(Shown):
    """Methods from the same start on the same examples.

    minimum: the objective that the gaps are measured against, and gap_kind how well it is known.
    seconds: for the whole race.
    """

    source: str
    target: str
    rows: int
    features: int
    loss_name: str
    objective_at_start: float
    minimum: float
    gap_kind: GapKind
    entries: tuple[RaceEntry, ...]
    seconds: float


class Zone(StrEnum):
    """Where a learning rate lies: below, in, or above the range that works.

    too large: only of networks; steps that stay well above the best without blowing up.
    """

    TOO_SLOW = "too slow"
    SWEET_SPOT = "sweet spot"
    TOO_LARGE = "too large"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class SweepCell:
    """One training of a sweep: one learning rate at one batch size."""

    learning_rate: float
    batch_size: int
    objective: float
    gap: float
    verdict: Verdict
    zone: Zone


@dataclass(frozen=True)
class SweepResult(Shown):
    """A map of learning rates by batch sizes, each cell trained for the same number of passes.

    learning_rates, batch_sizes: the two axes, rising. cells: in any order; a pair may be absent.
    best: the cell with the smallest gap, None where all diverged. stability_limit: of full-batch steps.
    """

    source: str
    target: str
    rows: int
    features: int
    loss_name: str
    rule: str
    passes: float
    objective_at_start: float
    minimum: float
    gap_kind: GapKind
    stability_limit: float
    learning_rates: tuple[float, ...]
    batch_sizes: tuple[int, ...]
    cells: tuple[SweepCell, ...]
    best: SweepCell | None
    seconds: float


@dataclass(frozen=True)
class Spread:
    """A loss over seeds: its mean, and its standard deviation as of a sample (n - 1), nan for one seed.

    A mean of nan: not measured. Of inf: no seed stood.
    """

    mean: float
    deviation: float = float("nan")


@dataclass(frozen=True)
class NetworkCell:
    """One learning rate, batch size and start of a sweep over a network, trained once for each seed.

    diverged: how many of the seeds did. train, held: mean losses where the cell ended, over the seeds that stood.
    at_start: the loss that the sweep judges by, before the first step. fallen: how far that loss fell from there, as a
    share of the way to the lowest of the map at the same passes; nan where a seed diverged. updates, passes: taken by
    every seed. dropped: in the worse half when a round ended, so that it did not go on.
    """

    learning_rate: float
    batch_size: int
    start: str
    seeds: int
    diverged: int
    train: Spread
    held: Spread
    at_start: float
    fallen: float
    updates: int
    passes: float
    dropped: bool
    verdict: Verdict
    message: Sentence
    zone: Zone


@dataclass(frozen=True)
class NetworkSweep(Shown):
    """A map of learning rates by batch sizes by starts for one network, each cell trained once for each seed.

    rows, held_rows: examples that are learned from, and that are held out. measured_rows: training examples that the
    training losses are of. shape: of one example. architecture: as a model string. seeds: each draws the starting
    weights, the order of the examples and the dropout of a training, and leaves the held-out rows as they are. rounds:
    passes at whose end the worse half of each batch size's cells was dropped; the last is the end. by_held: cells are
    judged by their held-out loss, else by their training loss. sweet: the share ``fallen`` from which a cell is in the
    sweet spot. best: the lowest of those that ran to the end, None where none did.
    """

    source: str
    target: str
    rows: int
    held_rows: int
    measured_rows: int
    shape: tuple[int, ...]
    architecture: str
    loss_name: str
    rule: str
    schedule: str
    rounds: tuple[float, ...]
    by_held: bool
    sweet: float
    learning_rates: tuple[float, ...]
    batch_sizes: tuple[int, ...]
    starts: tuple[str, ...]
    seeds: tuple[int, ...]
    cells: tuple[NetworkCell, ...]
    best: NetworkCell | None
    seconds: float

    def judged(self, cell: NetworkCell) -> Spread:
        """Return the loss that a cell is judged by."""
        return cell.held if self.by_held else cell.train


@dataclass(frozen=True)
class NetworkReached:
    """The losses that a method had when a budget was spent, over its seeds.

    budget: updates, examples or seconds, by the list it stands in. Means are nan where the method cannot be compared
    there, and inf where a seed diverged.
    """

    budget: float
    train: Spread
    held: Spread


@dataclass(frozen=True)
class NetworkRaceEntry:
    """One method of a race of networks, at the learning rate raced for it.

    seeds: how many times it ran, the examples and the dropout drawn anew. cut: it ended before the passes of the race.
    train, held: at the end. updates, passes: of each. seconds: the median. The three lists are as in ``RaceEntry``.
    """

    name: str
    learning_rate: float
    schedule: str
    batch_size: int
    seeds: int
    cut: bool
    verdict: Verdict
    message: Sentence
    train: Spread
    held: Spread
    updates: int
    passes: float
    seconds: float
    at_equal_updates: tuple[NetworkReached, ...] = ()
    at_equal_examples: tuple[NetworkReached, ...] = ()
    at_equal_seconds: tuple[NetworkReached, ...] = ()


@dataclass(frozen=True)
class NetworkRace(Shown):
    """Methods from the same starting weights of one network on the same examples.

    rows, held_rows, measured_rows, shape: as in ``NetworkSweep``. train_at_start, held_at_start: losses of the
    starting weights. passes: that each method was given. seconds: for the whole race.
    """

    source: str
    target: str
    rows: int
    held_rows: int
    measured_rows: int
    shape: tuple[int, ...]
    architecture: str
    loss_name: str
    rule: str
    passes: float
    train_at_start: float
    held_at_start: float
    entries: tuple[NetworkRaceEntry, ...]
    seconds: float
