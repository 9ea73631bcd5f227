"""A race of methods as tables: the gap each had reached at equal updates, equal examples and equal seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from downslope.records import NetworkRace, RaceEntry, RaceResult, Reached, Verdict
from downslope.records.figures import count, duration, figure, plural
from downslope.views.after import TONES, plural_passes
from downslope.views.budgets import Comparison, Point, Progress
from downslope.views.parts import Section, Table, Text, Tone, facts, texts
from downslope.views.race_network import network_race_report

Column: TypeAlias = tuple[Reached, ...]

KNOWN = 1e-9
"""Gap below which nothing is said: the minimum itself is known no better."""

BUDGETS: tuple[tuple[str, Callable[[RaceEntry], Column]], ...] = (
    ("updates", lambda entry: entry.at_equal_updates),
    ("examples", lambda entry: entry.at_equal_examples),
    ("seconds", lambda entry: entry.at_equal_seconds),
)


def race_report(race: RaceResult | NetworkRace) -> tuple[Section, ...]:
    """Return the sections of a race: what ran, three tables of gaps (of a network: losses), and who led by each."""
    if isinstance(race, NetworkRace):
        return network_race_report(race)
    head = facts(
        (
            "data",
            f"{race.source}, {plural(race.rows, 'row')}, {plural(race.features, 'feature')}, target {race.target}",
        ),
        ("loss", f"{race.loss_name}, {figure(race.objective_at_start, 4)} at the start, minimum {_minimum(race)}"),
    )
    compared = [_comparison(race, kind, of) for kind, of in BUDGETS]
    tables = [(each.kind, each.table(_gap)) for each in compared]
    middle = [Section(f"Gap at equal {kind}", (table,)) for kind, table in tables if table is not None]
    if middle:
        middle[-1] = replace(middle[-1], parts=(*middle[-1].parts, _note(race)))
    ending = Section("What it shows", tuple(Text(line) for line in _orders(race, compared)))
    sections = (Section("The race", (head, _runners(race.entries))), *middle, ending)
    return tuple(section for section in sections if section.parts)


def _comparison(race: RaceResult, kind: str, of: Callable[[RaceEntry], Column]) -> Comparison:
    def progress(entry: RaceEntry) -> Progress:
        points = tuple(Point(each.budget, each.gap, each.scatter) for each in of(entry))
        spent = {"updates": float(entry.updates), "seconds": entry.seconds}.get(kind, math.inf)
        return Progress(entry.name, points, entry.updates, spent)

    return Comparison(kind, tuple(progress(entry) for entry in race.entries), race.rows)


def _note(race: RaceResult) -> Text:
    """Say what the numbers are."""
    lines = "–: not that far, or ended before; a method that has ended stands where it ended"
    if any(entry.seeds > 1 for entry in race.entries):
        lines = f"{lines}. ±: scatter over the orders of the examples, each run planned for its budget"
    return Text(f"{lines}.", Tone.QUIET)


def _minimum(race: RaceResult) -> str:
    known = {"certified": "certified", "estimated": "estimated"}.get(race.gap_kind.value, "not known")
    return f"{figure(race.minimum, 4)} ({known})"


def _runners(entries: Sequence[RaceEntry]) -> Table:
    heads = ("method", "rate", "batch", "orders", "updates", "passes", "time", "verdict")
    rows = tuple((*texts(*_runner(entry)), Text(entry.verdict.value, TONES[entry.verdict])) for entry in entries)
    return Table(heads, rows, right=frozenset(range(1, 7)), spare=(6, 3))


def _runner(entry: RaceEntry) -> tuple[str, ...]:
    rate = figure(entry.learning_rate) if math.isfinite(entry.learning_rate) else "–"
    work = (count(entry.updates), plural_passes(entry.passes).split()[0], duration(entry.seconds))
    return (entry.name, rate, count(entry.batch_size), str(entry.seeds), *work)


def _gap(gap: float) -> str:
    return f"< {figure(KNOWN)}" if gap < KNOWN else figure(gap, 2)


def _orders(race: RaceResult, compared: Sequence[Comparison]) -> list[str]:
    """Put the methods in order, nearest to the minimum first, at one telling budget of each kind."""
    lines: list[str] = []
    for each in compared:
        index = each.telling()
        if index is not None:
            standing = ", ".join(f"{name} {_gap(point.value)}" for name, point in each.ranked(index))
            lines.append(f"After {each.written(index)}, nearest to the minimum first: {standing}.")
    return lines + [f"{entry.name} diverged." for entry in race.entries if entry.verdict == Verdict.DIVERGED]
