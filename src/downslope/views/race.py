"""A race of methods as tables: the gap each had reached at equal updates, equal examples and equal seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from downslope.records import RaceEntry, RaceResult, Reached, Verdict
from downslope.records.figures import count, duration, figure, plural
from downslope.views.after import TONES, plural_passes
from downslope.views.parts import Section, Table, Text, Tone, facts, texts

Column: TypeAlias = tuple[Reached, ...]

KNOWN = 1e-9
"""Gap below which nothing is said: the minimum itself is known no better."""

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
    tables = [section for name, of, write in BUDGETS for section in _budget_section(race, name, of, write)]
    if tables:
        tables[-1] = replace(tables[-1], parts=(*tables[-1].parts, _note(race)))
    ending = Section("What it shows", tuple(Text(line) for line in _orders(race)))
    sections = (Section("The race", (head, _runners(race.entries))), *tables, ending)
    return tuple(section for section in sections if section.parts)


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


def _budget_section(
    race: RaceResult, name: str, of: Callable[[RaceEntry], Column], write: Callable[[float], str]
) -> list[Section]:
    """Return a table of gaps: a row for each budget that some method could use, a column for each method."""
    entries = race.entries
    budgets = [reached.budget for reached in max((of(entry) for entry in entries), key=len, default=())]
    shown = _shown(entries, name, of, budgets)
    if not shown:
        return []
    in_passes = name == "examples"
    rows = tuple(
        (
            Text(write(budgets[index])),
            *([Text(figure(budgets[index] / race.rows, 2), Tone.QUIET)] if in_passes else []),
            *(_cell(entry, of(entry), index, name, best=_best(entries, of, index)) for entry in entries),
        )
        for index in shown
    )
    heads = (name, *(["passes"] if in_passes else []), *(entry.name for entry in entries))
    return [Section(f"Gap at equal {name}", (Table(heads, rows, right=frozenset(range(len(heads)))),))]


def _shown(
    entries: Sequence[RaceEntry], name: str, of: Callable[[RaceEntry], Column], budgets: Sequence[float]
) -> list[int]:
    """Return the budgets worth a row: those that some method reached; of updates, powers of ten and where one ended."""
    reached = [
        index for index in range(len(budgets))
        if any(len(of(entry)) > index and not math.isnan(of(entry)[index].gap) for entry in entries)
    ]  # fmt: skip
    if name != "updates":
        return reached
    ends = {max((each for each in budgets if each <= entry.updates), default=0.0) for entry in entries}
    return [index for index in reached if budgets[index] in ends or math.log10(budgets[index]).is_integer()]


def _cell(entry: RaceEntry, column: Column, index: int, name: str, *, best: float) -> Text:
    if index >= len(column) or math.isnan(column[index].gap):
        return Text("–", Tone.QUIET)
    reached = column[index]
    if math.isinf(reached.gap):
        return Text("diverged", Tone.BAD)
    scatter = f" ± {figure(reached.scatter, 2)}" if reached.scatter > 0 else ""
    tone = Tone.GOOD if reached.gap == best else Tone.QUIET if _ended(entry, column, index, name) else Tone.PLAIN
    return Text(f"{_gap(reached.gap)}{scatter}", tone)


def _gap(gap: float) -> str:
    return f"< {figure(KNOWN)}" if gap < KNOWN else figure(gap, 2)


def _ended(entry: RaceEntry, column: Column, index: int, name: str) -> bool:
    """Return whether a method had come to its end before this budget, and stands where it ended."""
    spent = {"updates": float(entry.updates), "seconds": entry.seconds}.get(name, math.inf)
    return index > 0 and column[index - 1].budget >= spent


def _best(entries: Sequence[RaceEntry], of: Callable[[RaceEntry], Column], index: int) -> float:
    """Return the smallest gap at one checkpoint, nan where no method got there."""
    gaps = [of(entry)[index].gap for entry in entries if len(of(entry)) > index]
    return min((gap for gap in gaps if math.isfinite(gap)), default=math.nan)


def _orders(race: RaceResult) -> list[str]:
    """Put the methods in order, nearest to the minimum first, at one telling budget of each kind."""
    lines: list[str] = []
    for name, of, write in BUDGETS:
        index = _telling(race, name, of)
        if index is None:
            continue
        ranked = sorted(
            ((of(entry)[index], entry.name) for entry in race.entries if _stands(of(entry), index)),
            key=lambda pair: pair[0].gap,
        )
        budget = ranked[0][0].budget
        after = write(budget) if name == "seconds" else plural(budget, name[:-1])
        standing = ", ".join(f"{method} {_gap(reached.gap)}" for reached, method in ranked)
        lines.append(f"After {after}, nearest to the minimum first: {standing}.")
    return lines + [f"{entry.name} diverged." for entry in race.entries if entry.verdict == Verdict.DIVERGED]


def _stands(column: Column, index: int) -> bool:
    return len(column) > index and math.isfinite(column[index].gap)


def _telling(race: RaceResult, name: str, of: Callable[[RaceEntry], Column]) -> int | None:
    """Return the checkpoint to speak of: the last that most methods have reached, and for examples one pass."""
    longest = max((len(of(entry)) for entry in race.entries), default=0)
    counts = [sum(_stands(of(entry), index) for entry in race.entries) for index in range(longest)]
    if not any(counts):
        return None
    most = [index for index, number in enumerate(counts) if number == max(counts)]
    if name == "examples":
        budgets = [reached.budget for reached in max((of(entry) for entry in race.entries), key=len)]
        one_pass = [index for index, budget in enumerate(budgets) if budget == race.rows and counts[index] > 1]
        return one_pass[0] if one_pass else most[-1]
    return most[-1] if name == "updates" else most[0]
