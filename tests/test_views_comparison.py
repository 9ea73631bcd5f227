"""A race and a sweep, as tables."""

from __future__ import annotations

import math
from dataclasses import replace

from downslope.records import GapKind, RaceEntry, RaceResult, Reached, SweepCell, SweepResult, Verdict, Zone
from downslope.views import Facts, Section, Table, Text, race_report, sweep_report
from downslope.views.parts import Tone


def entry(name: str, *gaps: float, scatter: float = math.nan, verdict: Verdict = Verdict.BUDGET) -> RaceEntry:
    marks = tuple(Reached(budget, gap, scatter) for budget, gap in zip((1, 10, 100), gaps, strict=True))
    return RaceEntry(name, 0.1, 8, 5, verdict, "", gaps[-1], 100, 5.0, 0.2, marks, marks, marks)


RACE = RaceResult(
    "cars.csv", "mpg", 318, 11, "squared", 608.5, 9.741, GapKind.CERTIFIED,
    (
        entry("full-batch", 0.4, 0.05, 0.05),
        entry("stochastic", 0.9, math.nan, 6e-4, scatter=2e-4),
        entry("mini-batch", 0.5, 0.04, math.inf, verdict=Verdict.DIVERGED),
    ),
    1.9,
)  # fmt: skip

SWEEP = SweepResult(
    "cars.csv", "mpg", 318, 11, "squared", "plain", 3.0, 608.5, 9.741, GapKind.CERTIFIED, 0.227, (0.01, 0.1, 1.0),
    (8, 32),
    (
        SweepCell(0.01, 8, 60.0, 0.09, Verdict.BUDGET, Zone.TOO_SLOW),
        SweepCell(0.1, 8, 10.0, 0.0013, Verdict.BUDGET, Zone.SWEET_SPOT),
        SweepCell(1.0, 8, math.inf, math.inf, Verdict.DIVERGED, Zone.DIVERGED),
        SweepCell(0.01, 32, 300.0, 0.5, Verdict.BUDGET, Zone.TOO_SLOW),
        SweepCell(0.1, 32, 14.0, 0.0077, Verdict.BUDGET, Zone.SWEET_SPOT),
    ),
    SweepCell(0.1, 8, 10.0, 0.0013, Verdict.BUDGET, Zone.SWEET_SPOT),
    0.7,
)  # fmt: skip


def table_of(section: Section) -> Table:
    return next(part for part in section.parts if isinstance(part, Table))


def test_a_race_compares_at_equal_budgets() -> None:
    sections = {section.title: section for section in race_report(RACE)}
    assert list(sections) == [
        "The race", "Gap at equal updates", "Gap at equal examples", "Gap at equal seconds", "What it shows",
    ]  # fmt: skip
    table = table_of(sections["Gap at equal updates"])
    assert table.heads == ("updates", "full-batch", "stochastic", "mini-batch")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["1", "0.4", "0.9 ± 0.0002", "0.5"],
        ["10", "0.05", "–", "0.04"],
        ["100", "0.05", "0.0006 ± 0.0002", "diverged"],
    ]
    assert [cell.tone for cell in table.rows[2]] == [Tone.PLAIN, Tone.PLAIN, Tone.GOOD, Tone.BAD]


def test_a_race_puts_the_methods_in_order() -> None:
    ending = race_report(RACE)[-1]
    lines = [part.text for part in ending.parts if isinstance(part, Text)]
    assert lines[0] == "After 1 update, nearest to the minimum first: full-batch 0.4, mini-batch 0.5, stochastic 0.9."
    assert lines[-1] == "mini-batch diverged."


def test_a_method_that_has_ended_is_quiet_and_a_gap_below_what_is_known_says_so() -> None:
    done = replace(entry("full-batch", 0.4, 1e-12, 1e-12), updates=1)
    table = table_of(race_report(replace(RACE, entries=(done, entry("stochastic", 0.9, 0.1, 0.01))))[1])
    assert [cell.text for cell in table.rows[2]] == ["100", "< 1e-9", "0.01"]
    ended = replace(done, at_equal_updates=tuple(replace(each, gap=0.4) for each in done.at_equal_updates))
    table = table_of(race_report(replace(RACE, entries=(ended, entry("stochastic", 0.9, 0.1, 0.01))))[1])
    assert [row[1].tone for row in table.rows] == [Tone.GOOD, Tone.QUIET, Tone.QUIET]


def test_examples_are_also_counted_in_passes() -> None:
    table = table_of(race_report(replace(RACE, rows=10))[2])
    assert table.heads[:2] == ("examples", "passes")
    assert [row[1].text for row in table.rows] == ["0.1", "1", "10"]


def test_a_race_without_entries_is_empty() -> None:
    sections = race_report(replace(RACE, entries=()))
    assert [section.title for section in sections] == ["The race"]


def test_a_sweep_is_a_map_from_the_highest_rate_down() -> None:
    head, page = sweep_report(SWEEP)
    assert isinstance(head.parts[0], Facts)
    table = table_of(page)
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["1", "×", "–"],
        ["0.1", "0.0013 ★", "0.0077 ●"],
        ["0.01", "0.09 ·", "0.5 ·"],
    ]
    assert table.rows[0][1].tone == Tone.BAD
    assert table.rows[1][2].tone == Tone.GOOD
    assert table.rows[2][1].tone == Tone.WARN
    assert page.parts[-1] == Text(
        "Best: learning rate 0.1 with batches of 8 examples, gap 0.0013; full-batch steps are stable below 0.227."
    )


def test_a_sweep_in_which_all_diverged() -> None:
    lost = replace(SWEEP, best=None, cells=())
    last = sweep_report(lost)[-1].parts[-1]
    assert last == Text("Every cell diverged; try learning rates below 0.01.", Tone.BAD)
