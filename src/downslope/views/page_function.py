"""The page of a descent of a function: how the loss went down, what kind of point it ended at, and what was learned."""

from __future__ import annotations

from typing import Any

from downslope.records.files import plain
from downslope.records.surface import Minimum
from downslope.types import JsonValue
from downslope.views.page_parts import Page, asked_of, choices_of, number, python_value, steps_of, stop_of, told

NUMBERS = 200
"""Most numbers that are written out; of more, the shapes of the arrays that they stand in."""


def function_page(minimum: Minimum) -> Page:
    """Return what a page shows of a descent by ``minimize``."""
    content: dict[str, Any] = {
        "kind": "function", "run": minimum.run, "source": minimum.function, "target": "",
        "verdict": minimum.verdict.value, "message": told(minimum.message),
        "objective_at_start": number(minimum.objective_at_start), "objective": number(minimum.value),
        "gradient_norm": number(minimum.gradient_norm), "point": minimum.kind.value, "reason": told(minimum.reason),
        "smallest": number(minimum.smallest), "largest": number(minimum.largest),
        "passes": minimum.passes, "updates": minimum.updates, "rows": minimum.rows, "size": minimum.size,
        "seconds": {name: number(each) for name, each in minimum.seconds.items()},
        "choices": choices_of(minimum.choices), "asked": asked_of(minimum.spec),
        "settings": {name: plain(each) for name, each in minimum.resolved.items()},
        "stop_point": stop_of(minimum.stop_point), "learned": _learned(minimum),
        "environment": plain(dict(minimum.environment)), "command": "", "python": _python(minimum),
    }  # fmt: skip
    return Page(content, {"steps": steps_of(minimum.steps)})


def _learned(minimum: Minimum) -> list[JsonValue]:
    """Return each array that was learned: its path, its shape, and its numbers where they are few."""
    short = minimum.size <= NUMBERS
    return [
        {
            "name": name,
            "shape": list(each.shape),
            "values": plain(each.ravel().tolist()) if short else None,
        }
        for name, each in minimum.arrays.items()
    ]


def _python(minimum: Minimum) -> str:
    given = ["loss", "params", *(["data"] if minimum.rows else [])]
    given += [f"{name}={each!r}" for name, each in minimum.asked.items() if each]
    given += [f"{name}={python_value(value)}" for name, value in asked_of(minimum.spec).items()]
    named = f"loss = {minimum.function}  # the function, params{' and data' if minimum.rows else ''} as they were"
    return f"import downslope as ds\n\n{named}\nresult = ds.minimize({', '.join(given)})\nresult.show()\n"
