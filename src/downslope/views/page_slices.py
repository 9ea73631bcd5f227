"""The page of a slice of a loss: its values along a line or over a plane, with the run's path at its true loss."""

from __future__ import annotations

from typing import Any

from downslope.records.slices import LineSlice, PathPoint, PlaneSlice
from downslope.views.page_parts import Numbers, Page, line, number, numbers

POINT = ("update", "x", "y", "loss", "slice_loss", "off")
"""The columns of the array ``points``: moments of the run, their true loss, that of the slice, and how far off it."""


def line_page(found: LineSlice) -> Page:
    """Return what a page shows of a slice along a line."""
    content = {**_content(found), "lengths": [found.length], "curvatures": [number(found.curvature)]}
    return Page(content, {"xs": line(found.xs), "losses": line(found.losses), "points": _points(found.path)})


def plane_page(found: PlaneSlice) -> Page:
    """Return what a page shows of a slice over a plane; ``heights`` is (rows, columns), first row at the least y."""
    content = {
        **_content(found), "lengths": list(found.lengths), "curvatures": [number(each) for each in found.curvatures],
        "cosine": number(found.cosine), "box": [[found.xs[0], found.xs[-1]], [found.ys[0], found.ys[-1]]],
    }  # fmt: skip
    return Page(content, {"heights": numbers(found.losses, len(found.xs)), "points": _points(found.path)})


def _content(found: LineSlice | PlaneSlice) -> dict[str, Any]:
    return {
        "kind": "slice", "plane": isinstance(found, PlaneSlice), "run": found.run, "directions": found.directions,
        "loss": found.loss_name, "unit": found.unit, "l2": found.l2, "at": number(found.loss), "rows": found.rows,
        "all_rows": found.all_rows, "explained": number(found.explained), "own_statistics": found.own_statistics,
        "python": f"import downslope as ds\n\n{_call(found)}.show()\n",
    }  # fmt: skip


def _call(found: LineSlice | PlaneSlice) -> str:
    """Return the Python that makes the slice, with the same seed and extent as its page was made by default."""
    plane = "" if isinstance(found, PlaneSlice) else ", plane=False"
    return f"ds.loss_slice({found.run or 'run'!r}, directions={found.directions!r}{plane})"


def _points(path: tuple[PathPoint, ...]) -> Numbers:
    return numbers([[float(getattr(each, name)) for name in POINT] for each in path], len(POINT))
