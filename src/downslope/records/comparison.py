"""Several trainings side by side: a race of methods, and a map of learning rates by batch sizes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from downslope.records.run import GapKind, Verdict


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
    message: str
    gap: float
    updates: int
    passes: float
    seconds: float
    at_equal_updates: tuple[Reached, ...] = ()
    at_equal_examples: tuple[Reached, ...] = ()
    at_equal_seconds: tuple[Reached, ...] = ()


@dataclass(frozen=True)
class RaceResult:
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
    """Where a learning rate lies: below, in, or above the range that works."""

    TOO_SLOW = "too slow"
    SWEET_SPOT = "sweet spot"
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
class SweepResult:
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
