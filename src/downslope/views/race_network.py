"""A race of networks as tables: the losses each method had at equal updates, equal examples and equal seconds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from downslope.records import NetworkRace, NetworkRaceEntry, NetworkReached, Spread, Verdict
from downslope.records.figures import count, duration, figure, plural
from downslope.views.after import TONES, plural_passes
from downslope.views.budgets import Comparison, Point, Progress
from downslope.views.parts import Part, Section, Table, Text, Tone, facts, texts
from downslope.views.several import data_fact, measured_fact

Column: TypeAlias = tuple[NetworkReached, ...]

BUDGETS: tuple[tuple[str, Callable[[NetworkRaceEntry], Column]], ...] = (
    ("updates", lambda entry: entry.at_equal_updates),
    ("examples", lambda entry: entry.at_equal_examples),
    ("seconds", lambda entry: entry.at_equal_seconds),
)
LOSSES: dict[str, Callable[[NetworkReached], Spread]] = {
    "training loss": lambda reached: reached.train,
    "held-out loss": lambda reached: reached.held,
}


def network_race_report(race: NetworkRace) -> tuple[Section, ...]:
    """Return the sections of a race of networks: what ran, the losses at equal budgets, and who led by each."""
    held = f", {figure(race.held_at_start, 4)} on held-out rows" if race.held_rows else ""
    head = facts(
        ("data", data_fact(race)),
        ("network", f"{race.architecture}, {race.rule} steps, {plural_passes(race.passes)}"),
        ("loss", f"{race.loss_name}, {figure(race.train_at_start, 4)} at the start{held}{measured_fact(race)}"),
        ("full batch", f"one update a pass, so {plural(race.passes, 'update')} in all"),
    )
    compared = {(kind, loss): _comparison(race, kind, of, loss) for kind, of in BUDGETS for loss in _told(race)}
    middle = [_budget_section(race, kind, compared) for kind, _ in BUDGETS]
    ending = Section("What it shows", tuple(Text(line) for line in _orders(race, compared)))
    sections = (Section("The race", (head, _runners(race.entries))), *middle, ending)
    return tuple(section for section in sections if section.parts)


def _told(race: NetworkRace) -> list[str]:
    return list(LOSSES) if race.held_rows else list(LOSSES)[:1]


def _comparison(
    race: NetworkRace, kind: str, of: Callable[[NetworkRaceEntry], Column], loss: str
) -> Comparison:  # fmt: skip
    def progress(entry: NetworkRaceEntry) -> Progress:
        points = tuple(Point(each.budget, LOSSES[loss](each).mean, LOSSES[loss](each).deviation) for each in of(entry))
        spent = entry.passes * race.rows if kind == "examples" else entry.seconds
        return Progress(entry.name, points, entry.updates, float(entry.updates) if kind == "updates" else spent)

    return Comparison(kind, tuple(progress(entry) for entry in race.entries), race.rows)


def _budget_section(race: NetworkRace, kind: str, compared: dict[tuple[str, str], Comparison]) -> Section:
    parts: list[Part] = []
    for loss in _told(race):
        table = compared[kind, loss].table(lambda value: figure(value, 3))
        if table is not None:
            parts += [Text(loss, Tone.STRONG), table]
    if parts and kind == BUDGETS[-1][0]:
        parts.append(_note(race))
    return Section(f"At equal {kind}", tuple(parts))


def _note(race: NetworkRace) -> Text:
    """Say what the numbers are."""
    lines = "–: not that far, or ended before. A method that has done all its passes stands where it ended"
    if any(entry.seeds > 1 for entry in race.entries):
        lines = f"{lines}. ±: deviation over seeds, which draw the order of the examples; the start is one"
    if any(entry.schedule == "cosine" for entry in race.entries):
        lines = f"{lines}. Each budget has its own run, whose rate falls to nothing there; that of full batch stays"
    return Text(f"{lines}.", Tone.QUIET)


def _runners(entries: Sequence[NetworkRaceEntry]) -> Table:
    heads = ("method", "rate", "batch", "seeds", "updates", "passes", "time", "training", "held out", "verdict")
    rows = tuple(
        (*texts(*_runner(entry)), Text("cut" if _is_cut(entry) else entry.verdict.value, TONES[entry.verdict]))
        for entry in entries
    )
    return Table(heads, rows, right=frozenset(range(1, 9)), spare=(3, 6))


def _is_cut(entry: NetworkRaceEntry) -> bool:
    return entry.cut and entry.verdict is not Verdict.DIVERGED


def _runner(entry: NetworkRaceEntry) -> tuple[str, ...]:
    work = (count(entry.updates), plural_passes(entry.passes).split()[0], duration(entry.seconds))
    losses = tuple(figure(each.mean, 3) if math.isfinite(each.mean) else "–" for each in (entry.train, entry.held))
    return (entry.name, figure(entry.learning_rate), count(entry.batch_size), str(entry.seeds), *work, *losses)


def _orders(race: NetworkRace, compared: dict[tuple[str, str], Comparison]) -> list[str]:
    """Put the methods in order, the lowest loss first, at one telling budget of each kind; say who was cut or lost."""
    lines: list[str] = []
    loss = _told(race)[-1]
    for kind, _ in BUDGETS:
        each = compared[kind, loss]
        index = each.telling()
        if index is not None:
            standing = ", ".join(f"{name} {figure(point.value, 3)}" for name, point in each.ranked(index))
            lines.append(f"After {each.written(index)}, lowest {loss} first: {standing}.")
    for entry in race.entries:
        if entry.verdict is Verdict.DIVERGED or entry.cut:
            lines.append(f"{entry.name} {entry.message}.".replace(f"{entry.name} cut", f"{entry.name} was cut"))
    return lines
