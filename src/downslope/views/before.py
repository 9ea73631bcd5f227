"""What was known before the first step: the data, the shape of the slope, and what was chosen."""

from __future__ import annotations

import math
from typing import cast

from downslope.records import Choice, ColumnSummary, Run, settings
from downslope.records.figures import count, figure, plural
from downslope.records.networks import is_network
from downslope.types import JsonValue
from downslope.views.parts import Facts, Part, Section, Table, Text, Tone, facts, texts

COLUMNS = 24
"""Most columns listed one by one."""

CANDIDATES = 12
"""Most candidates of a choice listed one by one."""

ALWAYS = ("loss", "model", "method", "learning_rate", "batch_size")
"""Settings that the report names for every run to which they apply, chosen or asked."""


def data_section(run: Run) -> Section:
    """Say what the data is: rows, columns, how each becomes features, what is missing."""
    data = run.data
    used = sum(column.features > 0 for column in data.columns)
    rows = f"{plural(data.rows, 'row')}: {count(data.train_rows)} to train"
    if data.holdout_rows:
        kept = f'by "{run.spec.holdout_by}"' if run.spec.holdout_by else "at random"
        rows += f", {count(data.holdout_rows)} held out {kept}"
    if data.dropped_rows:
        rows += f"; {count(data.dropped_rows)} more left out, their target is null"
    columns = f"{plural(len(data.columns), 'column')}, {used} in use, {plural(data.features, 'feature')}"
    if not any(column.missing for column in data.columns):
        columns += ", nothing missing"
    head = facts(("rows", rows), ("columns", columns), ("target", f"{run.spec.target}: {_target(run)}"))
    return Section("Data", (head, Text(""), _columns_table(data.columns)) if data.columns else (head,))


def _target(run: Run) -> str:
    classes = run.data.classes
    if not classes:
        return "a number, to be predicted"
    listed = ", ".join(classes[:6]) + (", …" if len(classes) > 6 else "")
    return f"{len(classes)} classes, {listed}"


def _columns_table(columns: tuple[ColumnSummary, ...]) -> Table:
    rows = [_column_row(column) for column in columns[:COLUMNS]]
    if len(columns) > COLUMNS:
        rest = columns[COLUMNS:]
        features, missing = sum(each.features for each in rest), sum(each.missing for each in rest)
        more = (f"and {len(rest)} more", "", "", count(features), count(missing) if missing else "")
        rows.append(tuple(Text(each, Tone.QUIET) for each in more))
    heads = ("column", "kind", "becomes", "features", "missing")
    shown = 5 if any(column.missing for column in columns) else 4
    cut = tuple(row[:shown] for row in rows)
    return Table(heads[:shown], cut, right=frozenset({3, 4}), fold=frozenset({0, 2}))


def _column_row(column: ColumnSummary) -> tuple[Text, ...]:
    values = (column.name, column.kind, column.treatment, count(column.features), count(column.missing))
    tone = Tone.PLAIN if column.features else Tone.QUIET
    shown = (*values[:4], values[4] if column.missing else "")
    return tuple(Text(value, tone) for value in shown)


def shape_section(run: Run) -> Section:
    """Say what shape the slope has: the condition before and after scaling, and the stability limit."""
    shape = run.curvature
    rows: list[tuple[str, str]] = []
    if not (math.isnan(shape.condition_before) and math.isnan(shape.condition_after)):
        rows.append(("condition", _condition(run)))
    if math.isfinite(shape.stability_limit):
        limit = f"{figure(shape.stability_limit)} = 2 / largest curvature {figure(shape.largest)}"
        rows.append(("stability limit", f"{limit}; longer full-batch steps diverge"))
    return Section("Shape of the slope", (facts(*rows),) if rows else ())


def _condition(run: Run) -> str:
    before, after = run.curvature.condition_before, run.curvature.condition_after
    if math.isnan(before):
        return f"{figure(after)} after scaling"
    levels = any(column.treatment.startswith("one-hot") for column in run.data.columns)
    flat = "the levels of a category add up to 1, so one direction is flat" if levels else "one direction is flat"
    narrow = "a round bowl" if after < 10 else "a long valley" if after < 1e4 else "a very narrow valley"
    ending = f": {narrow}" if math.isfinite(after) else f": {flat}"
    return f"{figure(before)} as the columns are, {figure(after)} after scaling{ending}"


def choices_section(run: Run, *, detail: bool) -> Section:
    """Say what was chosen and why, and what was asked."""
    chosen = {choice.name: choice for choice in run.choices}
    asked = [name for name, (default, _) in _tunable().items() if getattr(run.spec, name) != default]
    names = dict.fromkeys([*(name for name in ALWAYS if _applies(run, name)), *chosen, *asked])
    rows = tuple((name.replace("_", " "), Text(_chosen_line(run, name, chosen.get(name)))) for name in names)
    parts: list[Part] = [Facts(rows)]
    if detail:
        parts += [part for choice in run.choices if choice.candidates for part in _candidates(choice)]
    return Section("Chosen, and why", tuple(parts))


def _tunable() -> dict[str, tuple[object, object]]:
    return {name: pair for name, pair in settings().items() if pair[1].group != "Data"}


def _applies(run: Run, name: str) -> bool:
    """Return whether a setting means anything for the method of this run."""
    if name == "model":
        return is_network(run)
    if name == "learning_rate":
        return run.setting("method") != "scaled" and run.setting(name) != "auto"
    return name != "batch_size" or run.setting("method") == "mini-batch"


def _chosen_line(run: Run, name: str, choice: Choice | None) -> str:
    value = show(choice.value if choice else run.setting(name))
    if choice:
        return choice.reason if choice.reason.startswith(value) else f"{value}: {choice.reason}"
    if getattr(run.spec, name) != "auto":
        return f"{value}: as asked"
    return f"{value}: {_why_this_loss(run)}" if name == "loss" else value


def _why_this_loss(run: Run) -> str:
    classes = len(run.data.classes)
    return f"the target has {classes} classes" if classes else "the target is a number"


def _candidates(choice: Choice) -> tuple[Part, ...]:
    names = list(dict.fromkeys(name for row in choice.candidates for name in row))
    rows = tuple(texts(*(show(row.get(name, "")) for name in names)) for row in choice.candidates[:CANDIDATES])
    title = Text(f"measured for the {choice.name.replace('_', ' ')}", Tone.QUIET)
    heads = tuple(name.replace("_", " ") for name in names)
    return title, Table(heads, rows, right=frozenset(range(len(names))))


def show(value: JsonValue) -> str:
    """Return a setting or a measurement as words."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return figure(value)
    if isinstance(value, list | tuple):
        return ", ".join(show(each) for each in cast("list[JsonValue]", value))
    return "none" if value is None else str(value)
