"""A race of methods as tables: the gap each had reached at equal updates, equal examples and equal seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from downslope.records import RaceEntry, RaceResult, Reached, Verdict
from downslope.records.figures import count, duration, figure, plural
from downslope.views.after import TONES, plural_passes
from downslope.views.parts import Section, Table, Text, Tone, facts, texts

Column: TypeAlias = tuple[Reached, ...]

BUDGETS: tuple[tuple[str, Callable[[RaceEntry], Column], Callable[[float], str]], ...] = (
    ("updates", lambda entry: entry.at_equal_updates, count),
    ("examples", lambda entry: entry.at_equal_examples, count),
    ("seconds", lambda entry: entry.at_equal_seconds, duration),
)


def race_report(race: RaceResult) -> tuple[Section, ...]:
    """Return the sections of a race: what ran, three tables of gaps, and who led by each measure."""
    head = facts(
        (
            "data",
            f"{race.source}, {plural(race.rows, 'row')}, {plural(race.features, 'feature')}, target {race.target}",
        ),
        ("loss", f"{race.loss_name}, {figure(race.objective_at_start, 4)} at the start, minimum {_minimum(race)}"),
    )
    tables = [section for name, of, write in BUDGETS for section in _budget_section(race.entries, name, of, write)]
    ending = Section("What it shows", tuple(Text(line) for line in _leaders(race.entries)))
    sections = (Section("The race", (head, _runners(race.entries))), *tables, ending)
    return tuple(section for section in sections if section.parts)


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


def _budget_section(
    entries: Sequence[RaceEntry], name: str, of: Callable[[RaceEntry], Column], write: Callable[[float], str]
) -> list[Section]:
    """Return a table of gaps: a row for each budget, a column for each method."""
    budgets = [reached.budget for reached in max((of(entry) for entry in entries), key=len, default=())]
    if not budgets:
        return []
    rows = [
        (Text(write(budget)), *(_cell(of(entry), index, best=_best(entries, of, index)) for entry in entries))
        for index, budget in enumerate(budgets)
    ]
    heads = (name, *(entry.name for entry in entries))
    return [Section(f"Gap at equal {name}", (Table(heads, tuple(rows), right=frozenset(range(len(heads)))),))]


def _cell(column: Column, index: int, *, best: float) -> Text:
    if index >= len(column) or math.isnan(column[index].gap):
        return Text("–", Tone.QUIET)
    reached = column[index]
    if math.isinf(reached.gap):
        return Text("diverged", Tone.BAD)
    scatter = f" ± {figure(reached.scatter, 2)}" if reached.scatter > 0 else ""
    return Text(f"{figure(reached.gap, 2)}{scatter}", Tone.GOOD if reached.gap == best else Tone.PLAIN)


def _best(entries: Sequence[RaceEntry], of: Callable[[RaceEntry], Column], index: int) -> float:
    """Return the smallest gap at one checkpoint, nan where no method got there."""
    gaps = [of(entry)[index].gap for entry in entries if len(of(entry)) > index]
    return min((gap for gap in gaps if math.isfinite(gap)), default=math.nan)


def _leaders(entries: Sequence[RaceEntry]) -> list[str]:
    """Say which method was nearest to the minimum halfway and at the end of each list of budgets."""
    lines: list[str] = []
    for name, of, write in BUDGETS:
        last = max((len(of(entry)) for entry in entries), default=0) - 1
        for index in sorted({last // 2, last} - {-1}):
            gap = _best(entries, of, index)
            leaders = [entry for entry in entries if len(of(entry)) > index and of(entry)[index].gap == gap]
            if leaders:
                budget = of(leaders[0])[index].budget
                after = f"{write(budget)} {name}" if name != "seconds" else write(budget)
                lines.append(f"After {after}: {leaders[0].name} is nearest to the minimum, at gap {figure(gap, 2)}.")
    return lines + [f"{entry.name} diverged." for entry in entries if entry.verdict == Verdict.DIVERGED]
