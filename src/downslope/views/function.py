"""The descent of a function as a page: how the loss went down, and what kind of point it ended at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from downslope.records.figures import duration, figure, plural
from downslope.records.files import record_to_json
from downslope.records.run import Verdict
from downslope.records.surface import Minimum, Stop
from downslope.types import JsonValue
from downslope.views.after import TONES, plural_passes
from downslope.views.before import show
from downslope.views.curve import LEAST, POINTS, SPREAD, thin
from downslope.views.parts import Curve, Facts, Part, Section, Table, Text, Tone, facts, texts

NUMBERS = 12
"""Most numbers to learn that are written out."""
KINDS = {
    Stop.MINIMUM: Tone.GOOD, Stop.FLAT_MINIMUM: Tone.GOOD, Stop.SADDLE: Tone.WARN, Stop.PLATEAU: Tone.WARN,
    Stop.SLOPE: Tone.WARN, Stop.UNKNOWN: Tone.QUIET,
}  # fmt: skip
SHOWN = ("method", "rule", "learning_rate", "batch_size", "schedule", "precision", "tolerance")
"""The settings that are told."""


def function_report(minimum: Minimum) -> tuple[Section, ...]:
    """Return the sections of a descent of a function, in the order in which a reader asks."""
    learned = f"{plural(minimum.size, 'number')} to learn"
    head = facts(("loss", minimum.function), ("size", f"{learned}, {_examples(minimum)}"))
    sections = (
        Section("The function", (head,)),
        Section("Chosen, and why", (_choices(minimum),)),
        Section("How the loss went down", _descent(minimum)),
        Section("Where it ended", (_end(minimum),)),
        Section("What was learned", _learned(minimum)),
        Section("Record", (_record(minimum),)),
    )
    return tuple(section for section in sections if section.parts)


def function_json(minimum: Minimum) -> dict[str, JsonValue]:
    """Return the descent of a function as one object of strict JSON values, without what was learned and its steps."""
    names = (
        "run", "path", "function", "size", "rows", "verdict", "message", "value", "gradient_norm", "kind", "reason",
        "smallest", "largest", "objective_at_start", "passes", "updates", "resolved", "seconds", "choices",
    )  # fmt: skip
    whole = record_to_json(replace(minimum, params=None, steps=(), arrays={}))
    return {name: whole[name] for name in names}


def function_listing(minima: Sequence[Minimum]) -> tuple[Section, ...]:
    """Return the table of descents of functions, none where there are none."""
    heads = ("run", "method", "verdict", "loss", "point", "time")
    rows = tuple(_row(each) for each in minima)
    return (Section("Functions", (Table(heads, rows, right=frozenset({3, 5}), spare=(5, 1)),)),) if rows else ()


def _row(minimum: Minimum) -> tuple[Text, ...]:
    seconds = minimum.seconds.get("total", math.nan)
    return (
        *texts(minimum.run, str(minimum.setting("method"))),
        Text(minimum.verdict.value, TONES[minimum.verdict]), Text(figure(minimum.value, 4)),
        Text(minimum.kind.value, KINDS[minimum.kind]), Text(duration(seconds) if math.isfinite(seconds) else "–"),
    )  # fmt: skip


def _examples(minimum: Minimum) -> str:
    return plural(minimum.rows, "example") if minimum.rows else "no data"


def _choices(minimum: Minimum) -> Facts:
    chosen = {each.name: each for each in minimum.choices}
    rows: list[tuple[str, str]] = []
    for name in [each for each in SHOWN if minimum.resolved.get(each) is not None]:
        value = show(minimum.resolved[name])
        because = f": {chosen[name].reason}" if name in chosen else ""
        rows.append((name.replace("_", " "), value + because))
    return facts(*rows)


def _descent(minimum: Minimum) -> tuple[Part, ...]:
    ends = f"loss {figure(minimum.objective_at_start, 4)} at the start, {figure(minimum.value, 4)} at the end"
    work = plural(minimum.updates, "update") + (f", {plural_passes(minimum.passes)}" if minimum.rows else "")
    curve = _curve(minimum)
    text = Text(f"{ends}; {work}")
    return (curve, text) if curve else (text,)


def _curve(minimum: Minimum) -> Curve | None:
    points = [(float(each.update), each.objective) for each in minimum.steps if math.isfinite(each.objective)]
    if len(points) < LEAST or len({y for _, y in points}) < LEAST:
        return None
    kept = thin(points, POINTS)
    lowest, highest = min(y for _, y in kept), max(y for _, y in kept)
    log = lowest > 0 and highest / lowest >= SPREAD
    return Curve(tuple(x for x, _ in kept), tuple(y for _, y in kept), "updates", "loss", log)


def _end(minimum: Minimum) -> Facts:
    tone = TONES.get(minimum.verdict, Tone.PLAIN)
    rows = [
        ("verdict", Text(minimum.message or minimum.verdict.value, tone)),
        ("point", Text(minimum.kind.value, KINDS[minimum.kind])),
        ("known by", Text(minimum.reason)),
        ("gradient", Text(figure(minimum.gradient_norm))),
    ]
    if minimum.verdict is Verdict.STOPPED and minimum.run:
        rows.append(("to go on", Text(f'minimize(..., resume="{minimum.run}") with the same loss, params and data')))
    return Facts(tuple(rows))


def _learned(minimum: Minimum) -> tuple[Part, ...]:
    if not minimum.arrays:
        return ()
    if minimum.size <= NUMBERS:
        rows = [(name, _numbers(array)) for name, array in minimum.arrays.items()]
    else:
        rows = [(name, "x".join(map(str, array.shape)) or "1 number") for name, array in minimum.arrays.items()]
    more = len(rows) - NUMBERS
    table = Table(("where", "numbers" if minimum.size <= NUMBERS else "shape"),
                  tuple(texts(*row) for row in rows[:NUMBERS]), fold=frozenset({1}))  # fmt: skip
    return (table, Text(f"and {plural(more, 'more array')}", Tone.QUIET)) if more > 0 else (table,)


def _numbers(array: Any) -> str:
    return ", ".join(figure(each, 6) for each in array.ravel().tolist())


def _record(minimum: Minimum) -> Facts:
    saved = Text(minimum.path, Tone.STRONG) if minimum.path else Text("not saved")
    parts = ", ".join(f"{name} {duration(spent)}" for name, spent in minimum.seconds.items() if name != "total")
    total = f"{duration(minimum.seconds['total'])}: " if "total" in minimum.seconds else ""
    return Facts((("saved", saved), ("time", Text(total + parts))))
