"""What the pages of all kinds of records have in common."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from downslope.records import Choice, Finding, StepRecord
from downslope.records.files import plain
from downslope.records.shape import StopPoint
from downslope.records.spec import Spec, settings
from downslope.types import JsonValue
from downslope.views.curve import thin_indices
from downslope.words import both

POINTS = 2000
"""Steps of a run that a page keeps: more than a screen has pixels across."""
STEP = ("update", "passes", "seconds", "objective", "gradient_norm", "learning_rate", "gap", "holdout")
"""The columns of the array ``steps``."""


@dataclass(frozen=True)
class Numbers:
    """Numbers in rows: the values one after another, nan where one is not known, and how many along each axis."""

    values: array[float]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Hold the shape to the values."""
        if math.prod(self.shape) != len(self.values):
            message = f"{len(self.values)} numbers do not fill {self.shape}"
            raise ValueError(message)


@dataclass(frozen=True)
class Page:
    """What a page shows. content: strict JSON; ``kind`` says of what. arrays: float32, by name."""

    content: Mapping[str, JsonValue]
    arrays: Mapping[str, Numbers] = field(default_factory=dict[str, Numbers])

    def packed(self) -> tuple[dict[str, JsonValue], list[bytes]]:
        """Return the JSON, with an account of the arrays, and their bytes, little-endian."""
        told: list[JsonValue] = [
            {"name": name, "dtype": "float32", "shape": list(each.shape)} for name, each in self.arrays.items()
        ]
        return {**self.content, "arrays": told}, [_bytes(each.values) for each in self.arrays.values()]


def _bytes(values: array[float]) -> bytes:
    from sys import byteorder

    if byteorder == "big":
        values = array("f", values)
        values.byteswap()
    return values.tobytes()


def numbers(rows: Sequence[Sequence[float]], width: int) -> Numbers:
    """Return rows of ``width`` numbers each; what float32 cannot hold is infinite."""
    return Numbers(array("f", (_held(each) for row in rows for each in row)), (len(rows), width))


def line(values: Iterable[float]) -> Numbers:
    """Return numbers in one row."""
    held = array("f", (_held(each) for each in values))
    return Numbers(held, (len(held),))


def of_array(values: Any) -> Numbers:
    """Return a NumPy array of any shape."""
    return Numbers(array("f", map(_held, values.ravel().tolist())), tuple(values.shape))


def _held(value: float) -> float:
    return value if abs(value) <= 3.4e38 or math.isnan(value) else math.copysign(math.inf, value)


def number(value: float) -> float | None:
    """Return a number as JSON has it: None where it is not finite."""
    return value if math.isfinite(value) else None


def bound(value: float) -> JsonValue:
    """Return a number that may be infinite, as ``"inf"``: a limit that nothing sets; None where it is not known."""
    return plain(value) if not math.isnan(value) else None


def told(text: str) -> JsonValue:
    """Return a sentence in every language, so that a page can change its own without asking."""
    return {str(language): words for language, words in both(text).items()}


def steps_of(steps: Sequence[StepRecord]) -> Numbers:
    """Return the recorded steps, (n, 8) by the columns of ``STEP``, thinned so that no peak is lost."""
    kept = thin_indices([step.objective for step in steps], POINTS)
    looked = {index for index, step in enumerate(steps) if math.isfinite(step.holdout)}
    chosen = sorted({*kept, *looked} if len(looked) <= POINTS else kept)
    return numbers([[float(getattr(steps[index], name)) for name in STEP] for index in chosen], len(STEP))


def findings_of(findings: Sequence[Finding]) -> list[JsonValue]:
    """Return the findings in every language."""
    return [
        {
            "code": each.code, "title": told(each.title), "evidence": told(each.evidence),
            "remedy": told(each.remedy),
        }
        for each in findings
    ]  # fmt: skip


def choices_of(choices: Sequence[Choice]) -> list[JsonValue]:
    """Return the choices with their reasons, and what was measured for each as a table."""
    return [
        {
            "name": each.name, "value": plain(each.value), "reason": told(each.reason),
            "candidates": _table(each.candidates),
        }
        for each in choices
    ]  # fmt: skip


def stop_of(point: StopPoint | None) -> JsonValue:
    """Return what kind of point a training ended at, and what was measured there; None where nothing was."""
    if point is None:
        return None
    names = ("loss", "gradient_norm", "gradient_error", "drop", "largest", "smallest", "escape_drop", "learning_rate")
    return {
        "kind": point.kind.value, "message": told(point.message), "batch": point.batch, "rows": point.rows,
        "all_rows": point.all_rows, **{name: number(getattr(point, name)) for name in names},
    }  # fmt: skip


def _table(rows: Sequence[Mapping[str, JsonValue]]) -> JsonValue:
    head = list(dict.fromkeys(name for row in rows for name in row))
    return {"head": head, "rows": [[plain(row.get(name)) for name in head] for row in rows]} if rows else None


def asked_of(spec: Spec, leave_out: Sequence[str] = ()) -> dict[str, JsonValue]:
    """Return the settings that were asked for: those that are not at their default."""
    return {
        name: plain(getattr(spec, name))
        for name, (default, _) in settings().items()
        if name not in leave_out and getattr(spec, name) != default
    }


def python_value(value: JsonValue) -> str:
    """Return a setting as Python has it."""
    return repr(tuple(cast("list[JsonValue]", value)) if isinstance(value, list) else value)
