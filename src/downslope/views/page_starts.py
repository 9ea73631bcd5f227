"""The page of many descents of one function: which start reaches which minimum, and where the others went."""

from __future__ import annotations

from typing import Any

from downslope.records.files import plain
from downslope.records.surface import Basin, Basins
from downslope.types import JsonValue
from downslope.views.page_parts import Numbers, Page, choices_of, line, number, numbers, of_array, told

STARTS = 5000
"""Most starts that a page keeps one by one: more could not be told apart on it."""


def starts_page(basins: Basins) -> Page:
    """Return what a page shows of many descents; single starts go along where the function has one or two variables."""
    content: dict[str, Any] = {
        "kind": "starts", "source": basins.surface, "formula": basins.formula, "teaches": told(basins.teaches),
        "variables": list(basins.variables), "box": [list(each) for each in basins.box], "starts": basins.starts,
        "steps": basins.steps, "rule": basins.rule, "rate": basins.learning_rate, "noise": basins.noise,
        "seed": basins.seed, "lowest_known": number(basins.lowest_known),
        "minima": [_minimum(each) for each in basins.minima], "elsewhere": plain(dict(basins.elsewhere)),
        "choices": choices_of(basins.choices), "seconds": plain(dict(basins.seconds)), "python": _python(basins),
    }  # fmt: skip
    return Page(content, _arrays(basins) if len(basins.variables) <= 2 else {})


def _minimum(each: Basin) -> JsonValue:
    return {
        "point": [number(place) for place in each.point], "value": number(each.value), "stop": each.stop.value,
        "starts": each.starts, "share": each.share, "updates": number(each.updates), "lowest": each.lowest,
    }  # fmt: skip


def _arrays(basins: Basins) -> dict[str, Numbers]:
    """Return the starts, their ends and minima, some of them where they are many, and the first way that was kept."""
    gap = -(-basins.starts // STARTS)
    pairs = {name: of_array(getattr(basins, name)[::gap]) for name in ("origins", "ends")}
    reached = line(float(each) for each in basins.reached[::gap].tolist())
    ways = basins.path[:, 0, :] if basins.path.ndim == 3 and basins.path.shape[1] else None
    way = numbers([], len(basins.variables)) if ways is None else of_array(ways)
    return {**pairs, "reached": reached, "way": way}


def _python(basins: Basins) -> str:
    """Return the Python that does the same; a function of one's own and starts of one's own are named, not known."""
    named = repr(basins.surface) if basins.formula else "function"
    given: dict[str, JsonValue] = {"steps": basins.steps, "rule": basins.rule, "learning_rate": basins.learning_rate}
    given |= {name: value for name, value in (("noise", basins.noise), ("seed", basins.seed)) if value}
    words = ", ".join([named, str(basins.starts), *(f"{name}={value!r}" for name, value in given.items())])
    return f"import downslope as ds\n\nfound = ds.basins({words})\nfound.show()\n"
