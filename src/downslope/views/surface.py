"""Which start reaches which minimum, as a page: a table of minima, where else descents ended, and a map."""

from __future__ import annotations

import math

from downslope.records.figures import count, duration, figure, plural, share
from downslope.records.files import plain, record_to_json
from downslope.records.surface import Basin, Basins, Stop
from downslope.types import JsonValue
from downslope.views.parts import Facts, Section, Table, Text, Tone, facts

MARKS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""How the minima are written on a map, lowest first; those past the last, and starts that reach none, are dots."""
NONE = "·"
ROWS = 12
"""Minima in the table; the rest are counted."""
BAR = 14
"""Characters of the longest bar."""
FIRST_STEPS = 8
"""Steps shown of the way of a single start."""
ACROSS, EACH = 60, 4
"""Characters of a map in a row at most, three times those in a column; starts to a character at least."""
MEANINGS = {
    "diverged": "diverged: smaller steps may not",
    "outside the box": "ended outside the box",
    "saddle": "stopped at a saddle, where the slope is zero and a direction still falls",
    "plateau": "stopped on a plateau, where the slope is all but zero",
    "still descending": "had not arrived at the last step",
}


def surface_report(basins: Basins) -> tuple[Section, ...]:
    """Return the sections of many descents on one surface."""
    sections = [Section("The surface", (_head(basins),)), Section("Minima reached", _minima(basins))]
    if basins.choices:
        chosen = facts(
            *((each.name.replace("_", " "), f"{_said(each.value)}: {each.reason}") for each in basins.choices)
        )
        sections.insert(1, Section("Chosen, and why", (chosen,)))
    if basins.starts == 1 and basins.path.shape[1]:
        sections.append(Section("How the start went down", _path(basins)))
    elif len(basins.variables) <= 2 and basins.starts >= ACROSS * EACH:
        sections.append(Section("Which start reaches which minimum", _map(basins)))
    return tuple(sections)


def surface_json(basins: Basins) -> dict[str, JsonValue]:
    """Return many descents as one object of strict JSON values, without the single starts."""
    names = (
        "surface", "formula", "variables", "box", "starts", "steps", "rule", "learning_rate", "noise", "seed",
        "lowest_known", "elsewhere", "seconds",
    )  # fmt: skip
    told = {name: plain(getattr(basins, name)) for name in names}
    told["lowest_known"] = None if math.isnan(basins.lowest_known) else basins.lowest_known
    told["minima"] = [record_to_json(each) | {"name": _name(each, index)} for index, each in enumerate(basins.minima)]
    return told | {"choices": [record_to_json(each) for each in basins.choices]}


def _head(basins: Basins) -> Facts:
    sides = zip(basins.variables, basins.box, strict=True)
    noise = f", noise {figure(basins.noise)} on every slope" if basins.noise else ""
    work = f"{plural(basins.starts, 'start')}, {plural(basins.steps, 'step')} of the {basins.rule} rule"
    named = basins.formula and basins.formula != basins.surface
    rows = [
        ("surface", f"{basins.surface}: {basins.formula}" if named else basins.surface),
        ("starts in", ", ".join(f"{name} {figure(low)} to {figure(high)}" for name, (low, high) in sides)),
        ("descended", f"{work} at rate {figure(basins.learning_rate)}{noise}"),
        ("took", f"{duration(basins.seconds['descend'])}, and {duration(basins.seconds['compile'])} to compile"),
    ]
    return facts(*rows, *([("look for", basins.teaches)] if basins.teaches else []))


def _said(value: JsonValue) -> str:
    return figure(value) if isinstance(value, float) else str(value)


def _minima(basins: Basins) -> tuple[Table | Text, ...]:
    parts: list[Table | Text] = []
    if basins.minima:
        parts.append(_table(basins))
    else:
        parts.append(Text("No start reached a minimum.", Tone.WARN))
    rest = basins.minima[ROWS:]
    if rest:
        more = plural(len(rest), "more minimum", "more minima")
        parts.append(Text(f"and {more}, {share(sum(each.share for each in rest))} of the starts", Tone.QUIET))
    for name, part in sorted(basins.elsewhere.items(), key=lambda each: -each[1]):
        parts.append(Text(f"{share(part)} {MEANINGS[name]}", Tone.BAD if name == "diverged" else Tone.WARN))
    return tuple(parts)


def _table(basins: Basins) -> Table:
    most = max(each.share for each in basins.minima)
    heads = ("", *basins.variables, "value", "starts", "", "steps", "")
    rows = tuple(_row(basin, index, most) for index, basin in enumerate(basins.minima[:ROWS]))
    width = len(basins.variables)
    return Table(heads, rows, right=frozenset({*range(1, width + 3), width + 4}), spare=(width + 4, width + 3))


def _row(basin: Basin, index: int, most: float) -> tuple[Text, ...]:
    bar = "█" * max(1, round(BAR * basin.share / most))
    return (
        Text(_mark(index), Tone.ACCENT), *(Text(_coordinate(each)) for each in (*basin.point, basin.value)),
        Text(share(basin.share)), Text(bar, Tone.ACCENT), Text(count(basin.updates)),
        Text(_name(basin, index), Tone.GOOD if basin.lowest else Tone.QUIET),
    )  # fmt: skip


def _coordinate(value: float) -> str:
    """Return a coordinate or a value, with what is zero to rounding written as zero."""
    return figure(0.0 if abs(value) < 1e-9 else value, 5)


def _mark(index: int) -> str:
    return MARKS[index] if index < len(MARKS) else NONE


def _name(basin: Basin, index: int) -> str:
    """Return what a minimum may be called; the lowest is the global minimum only where that is known."""
    flat = " of level ground" if basin.stop is Stop.FLAT_MINIMUM else ""
    if basin.lowest:
        return f"global minimum{flat}"
    return f"lowest found{flat}" if index == 0 else f"local minimum{flat}"


def _path(basins: Basins) -> tuple[Text, ...]:
    """Return the way of the first start: its first steps and its last."""
    first = basins.path[:, 0, :].tolist()
    shown = sorted({*range(min(FIRST_STEPS, len(first))), len(first) - 1})
    return tuple(Text(f"step {count(step):>5}   {_point(basins.variables, first[step])}") for step in shown)


def _point(variables: tuple[str, ...], point: list[float]) -> str:
    return ", ".join(f"{name} = {_coordinate(value)}" for name, value in zip(variables, point, strict=True))


def _map(basins: Basins) -> tuple[Text, ...]:
    """Return the box as characters: in each cell the minimum that most of its starts reach."""
    import numpy as np

    low, high = np.array(basins.box).T
    place = np.clip((basins.origins - low) / (high - low), 0.0, 1.0 - 1e-12)
    plane = place.shape[1] == 2
    across = min(ACROSS, int(math.sqrt(3 * basins.starts / EACH))) if plane else ACROSS
    down = across // 3 if plane else 1
    column = (place[:, 0] * across).astype(np.intp)
    row = (place[:, -1] * down).astype(np.intp) if plane else np.zeros(len(place), np.intp)
    kinds = len(basins.minima) + 1
    votes = np.bincount((row * across + column) * kinds + basins.reached + 1, minlength=down * across * kinds)
    cells = votes.reshape(down, across, kinds)
    best = np.where(cells.sum(axis=2) > 0, cells.argmax(axis=2) - 1, -2)
    marks = {-2: " ", -1: NONE}
    lines = ["".join(marks.get(int(each), _mark(int(each))) for each in best[i]) for i in reversed(range(down))]
    ends = f"{basins.variables[0]} from {figure(float(low[0]))} to {figure(float(high[0]))} across"
    if down > 1:
        ends += f", {basins.variables[1]} from {figure(float(low[1]))} to {figure(float(high[1]))} upwards"
    others = f", or past {MARKS[-1]}" if len(basins.minima) > len(MARKS) else ""
    return (*(Text(line) for line in lines), Text(f"{ends}; {NONE} none{others}", Tone.QUIET))
