"""Tables of figures: to the terminal, to ``RESULTS.md``, and a short one to the README."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from benchmarks.problems import SOFTMAX_L2
from benchmarks.race import TARGETS, Entry
from benchmarks.reference import PRECISION, SOFTMAX_PRECISION


@dataclass(frozen=True)
class Figure:
    """One claim and what was measured.

    ours, theirs: in words, with units. ratio: what the target speaks of. at_least: True where a larger
    ratio is better. compared: the peer or ceiling.
    """

    claim: str
    ours: str
    theirs: str
    compared: str
    ratio: float
    target: float
    at_least: bool = True
    unit: str = "x"
    note: str = ""

    @property
    def held(self) -> bool:
        """True where the target is met."""
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target

    @property
    def wanted(self) -> str:
        """The target in words."""
        return f"{'≥' if self.at_least else '≤'} {self.target:g}{self.unit}"


@dataclass
class Results:
    """All that one run measured, in order."""

    machine: dict[str, str]
    figures: list[Figure] = field(default_factory=list)
    races: list[tuple[str, list[Entry]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def seconds(value: float) -> str:
    """Return a time with a fitting unit."""
    if value < 0.01:
        return f"{value * 1e3:.2f} ms"
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.2f} s"


def number(value: float) -> str:
    """Return a ratio with three digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


COLUMNS = ("claim", "ours", "compared with", "theirs", "ratio", "target", "held")


def figure_row(figure: Figure) -> tuple[str, ...]:
    """Return a figure as the cells of ``COLUMNS``."""
    return (
        figure.claim,
        figure.ours,
        figure.compared,
        figure.theirs,
        f"{number(figure.ratio)}{figure.unit}",
        figure.wanted,
        "yes" if figure.held else "NO",
    )


def entry_row(entry: Entry) -> tuple[str, ...]:
    """Return a trainer, its setting, and its time to each target or its defaults' time and gap."""
    if entry.shipped:
        timing, gap = entry.shipped
        return (entry.name, entry.setting, f"{seconds(timing.seconds)} to gap {gap:.1e}", "", str(timing.runs))
    cells, runs = [], set()
    for target in TARGETS:
        hit = entry.reached.get(target)
        cells.append(f"{seconds(hit.timing.seconds)} (gap {hit.gap:.1e})" if hit else f"not met, {entry.lowest:.1e}")
        if hit:
            runs.add(hit.timing.runs)
    return (entry.name, entry.setting, *cells, "/".join(map(str, sorted(runs))))


RACE_COLUMNS = ("trainer", "setting", "to gap 1e-2", "to gap 1e-4", "runs")


def markdown_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(each.replace("|", "/") for each in row) + " |" for row in rows)])


def page(results: Results) -> str:
    """Return ``RESULTS.md``."""
    parts = [
        "# Results", f"Written by `make bench` on {date.today().isoformat()}; do not edit.",
        "\n".join(f"- {key}: {value}" for key, value in results.machine.items()),
        "Times are medians of whole calls in a warm process (the last column says how many), short calls each the mean "
        "of several in a row. Peers that iterate are stopped by an oracle at the first iteration that is good "
        "enough. Rows `downslope, whole call` and figures `and its proof` stop themselves by tolerance; rows `stopped "
        "by the oracle` and the other race figures (squared loss apart) are given the peers' oracle. Choosing is in "
        "both. A gap is the share of the drop from zero weights that is still to come, against a float64 minimum "
        f"proved to {PRECISION:.0e}, of a softmax to {SOFTMAX_PRECISION:.0e}. The penalty is 1/n, of a softmax "
        f"{SOFTMAX_L2:.0e}; a gap of a trainer as shipped includes what its own penalty differs by.",
    ]  # fmt: skip
    if results.figures:
        parts += ["## Figures", markdown_table(COLUMNS, [figure_row(each) for each in results.figures])]
        parts += [f"- {each.claim}: {each.note}" for each in results.figures if each.note]
    for title, entries in results.races:
        parts += [f"## {title}", markdown_table(RACE_COLUMNS, [entry_row(each) for each in entries])]
    parts += [f"- {note}" for note in results.notes]
    return "\n\n".join(parts) + "\n"


def show(results: Results) -> None:
    """Print the tables to the terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if results.figures:
        table = Table(*COLUMNS, title="Figures")
        for figure in results.figures:
            table.add_row(*figure_row(figure), style="" if figure.held else "red")
        console.print(table)
    for title, entries in results.races:
        table = Table(*RACE_COLUMNS, title=title)
        for entry in entries:
            table.add_row(*entry_row(entry), style="bold" if entry.name.startswith("downslope") else "")
        console.print(table)


README_COLUMNS = {
    "README.md": ("measured", "downslope", "best peer", "its time", "ratio"),
    "README.zh-CN.md": ("测量项", "downslope", "最好的对手", "对手用时", "倍数"),
}


def fill_readme(path: Path, results: Results) -> bool:
    """Write the figures between the ``bench`` markers of a README; return whether the markers are there."""
    text = path.read_text(encoding="utf-8")
    rows = [
        (each.claim, each.ours, each.compared, each.theirs, f"{number(each.ratio)}{each.unit}")
        for each in results.figures
    ]
    columns = README_COLUMNS.get(path.name, README_COLUMNS["README.md"])
    filled, count = re.subn(
        r"(<!-- bench -->).*?(<!-- /bench -->)",
        lambda match: f"{match[1]}\n{markdown_table(columns, rows)}\n{match[2]}", text, flags=re.DOTALL,
    )  # fmt: skip
    if count:
        path.write_text(filled, encoding="utf-8")
    return count > 0
