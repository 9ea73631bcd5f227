"""Sections drawn for a terminal or a pipe, with Rich."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import IO

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text as RichText

from downslope.cli.chart import BESIDE, chart
from downslope.views import Curve, Facts, Part, Section, Table, Text, Tone

WIDEST = 100
"""Columns used at most: longer lines are hard to read."""

INDENT = 2
CHART_HEIGHT = 8
CHART_WIDTH = 72

BLANK = Text("")
STYLES = {
    Tone.PLAIN: "",
    Tone.QUIET: "dim",
    Tone.STRONG: "bold",
    Tone.ACCENT: "cyan",
    Tone.GOOD: "green",
    Tone.WARN: "yellow",
    Tone.BAD: "red",
}


def print_sections(title: str, sections: Iterable[Section], file: IO[str] | None = None) -> None:
    """Print a title and sections on a file, standard output when None."""
    target = file or sys.stdout
    console = console_for(target)
    with console.capture() as page:
        console.print(RichText(title, style="bold"))
        for section in sections:
            console.print()
            console.print(RichText(section.title, style="bold cyan"))
            for part in section.parts:
                console.print(Padding(_drawn(part, console), (0, 0, 0, INDENT), expand=False) if part != BLANK else "")
    target.writelines(line.rstrip() + "\n" for line in page.get().splitlines())


def console_for(file: IO[str]) -> Console:
    """Return a console that writes words as they are: no markup, no emoji, no guessed colours."""
    console = Console(file=file, highlight=False, markup=False, emoji=False)
    console.width = min(console.width, WIDEST)
    return console


def _drawn(part: Part, console: Console) -> RenderableType:
    if isinstance(part, Text):
        return _text(part)
    if isinstance(part, Facts):
        return _facts(part)
    return _curve(part, console) if isinstance(part, Curve) else _table(part, console)


def _text(text: Text) -> RichText:
    return RichText(text.text, style=STYLES[text.tone])


def _facts(facts: Facts) -> RichTable:
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in facts.rows:
        grid.add_row(RichText(label), _text(value))
    return grid


def _table(table: Table, console: Console) -> RichTable:
    """Draw a table, its spare columns left out one by one where it would be wider than the page."""
    left_out: tuple[int, ...] = ()
    for count in range(len(table.spare) + 1):
        left_out = table.spare[:count]
        if _columns(table, left_out).__rich_measure__(console, console.options).maximum <= console.width - INDENT:
            break
    return _columns(table, left_out)


def _columns(table: Table, left_out: tuple[int, ...]) -> RichTable:
    drawn = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    kept = [index for index in range(len(table.heads)) if index not in left_out]
    for index in kept:
        drawn.add_column(
            RichText(table.heads[index]),
            justify="right" if index in table.right else "left",
            overflow="fold" if index in table.fold else "ellipsis",
            no_wrap=index not in table.fold,
        )
    for row in table.rows:
        drawn.add_row(*(_text(row[index]) for index in kept))
    return drawn


def _curve(curve: Curve, console: Console) -> RichText:
    unicode = console.encoding.lower().startswith("utf")
    lines = chart(curve, min(console.width - 2 * INDENT, CHART_WIDTH), CHART_HEIGHT, unicode=unicode)
    beside = f"; {BESIDE} {curve.beside.label}" if curve.beside else ""
    drawn = RichText(f"{curve.y_label}{beside}{', logarithmic' if curve.log else ''}\n", style="dim", no_wrap=True)
    for line in lines:
        label, axis, dots = _split(line)
        drawn.append(label + axis)
        for piece in re.split(f"({BESIDE})", dots):
            drawn.append(piece, style="not dim yellow" if piece == BESIDE else "not dim cyan")
        drawn.append("\n")
    drawn.rstrip()
    return drawn


def _split(line: str) -> tuple[str, str, str]:
    """Return a line of a chart as what is left of the axis, the axis, and what is right of it."""
    for axis in "│|":
        left, found, right = line.partition(axis)
        if found:
            return left, found, right
    return line, "", ""
