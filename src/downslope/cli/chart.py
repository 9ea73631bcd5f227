"""A curve drawn with characters: braille dots, eight to a character, or stars where there are none.

What is seen beside it stands as an ``o`` for each point, so that the two are told apart without colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from downslope.records.figures import figure
from downslope.views import Curve

DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the braille patterns block (U+2800), by row and column of the cell."""

BRAILLE = 0x2800

MARGIN = 9
"""Characters to the left of the axis."""

BESIDE = "o"
"""A point of what is seen beside a curve."""


def chart(curve: Curve, width: int, height: int, *, unicode: bool = True) -> list[str]:
    """Return the lines of a chart: ``height`` rows with labels on the left, an axis, and labels below it."""
    columns = max(width - MARGIN - 2, 10)
    across, down = (2, 4) if unicode else (1, 1)
    marks = set(_marks(curve, columns * across, height * down))
    beside = _beside(curve, columns, height)
    bar, corner, line = ("│", "└", "─") if unicode else ("|", "+", "-")
    lines: list[str] = []
    labels = _labels(curve, height)
    for row in range(height):
        cells = "".join(
            BESIDE if (column, row) in beside else _cell(marks, row, column, unicode=unicode)
            for column in range(columns)
        )
        lines.append(f"{labels.get(row, ''):>{MARGIN}} {bar}{cells}".rstrip())
    lines.append(f"{'':>{MARGIN}} {corner}{line * columns}")
    first, last = figure(curve.xs[0], 2), f"{figure(curve.xs[-1])} {curve.x_label}"
    lines.append(f"{'':>{MARGIN}}  {first}{last:>{max(columns - len(first), len(last) + 1)}}")
    return lines


def _ends(curve: Curve) -> tuple[float, float]:
    """Return the lowest and the highest value shown."""
    shown = curve.ys + (curve.beside.ys if curve.beside else ())
    return min(shown), max(shown)


def _height(curve: Curve, value: float) -> float:
    """Return where a value lies between the bottom, 0, and the top, 1."""
    lowest, highest = _ends(curve)
    if curve.log:
        value, lowest, highest = math.log(value), math.log(lowest), math.log(highest)
    return (value - lowest) / (highest - lowest)


def _marks(curve: Curve, columns: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield the dots (column, row from the top) of the points and of the straight lines between them."""
    span = curve.xs[-1] - curve.xs[0]
    dots = [
        ((x - curve.xs[0]) / span * (columns - 1), (1 - _height(curve, y)) * (rows - 1))
        for x, y in zip(curve.xs, curve.ys, strict=True)
    ]
    for (x, y), (to_x, to_y) in pairwise(dots):
        pieces = max(1, math.ceil(max(abs(to_x - x), abs(to_y - y))))
        for piece in range(pieces + 1):
            yield round(x + (to_x - x) * piece / pieces), round(y + (to_y - y) * piece / pieces)


def _beside(curve: Curve, columns: int, rows: int) -> set[tuple[int, int]]:
    """Return the cells (column, row from the top) of what is seen beside the curve.

    No two of them touch sideways, so that the curve shows between them; the lowest point always stands.
    """
    if curve.beside is None:
        return set()
    first, last = curve.xs[0], curve.xs[-1]
    points = list(zip(curve.beside.xs, curve.beside.ys, strict=True))
    lowest = min(points, key=lambda point: point[1])
    cells: dict[int, int] = {}
    for x, y in (lowest, points[-1], *points):
        column = min(max(round((x - first) / (last - first) * (columns - 1)), 0), columns - 1)
        if not {column - 1, column, column + 1} & cells.keys():
            cells[column] = round((1 - _height(curve, y)) * (rows - 1))
    return set(cells.items())


def _cell(marks: set[tuple[int, int]], row: int, column: int, *, unicode: bool) -> str:
    if not unicode:
        return "*" if (column, row) in marks else " "
    bits = sum(
        bit
        for down, pair in enumerate(DOTS)
        for across, bit in enumerate(pair)
        if (2 * column + across, 4 * row + down) in marks
    )
    return chr(BRAILLE + bits) if bits else " "


def _labels(curve: Curve, height: int) -> dict[int, str]:
    """Return the row -> label of the vertical axis: the ends, and the powers of ten or the middle between them."""
    lowest, highest = _ends(curve)
    between = (
        [10.0**power for power in range(math.ceil(math.log10(lowest)), math.floor(math.log10(highest)) + 1)]
        if curve.log
        else [(lowest + highest) / 2]
    )
    rows: dict[int, str] = {}
    for value in (highest, lowest, *reversed(between)):
        row = round((1 - _height(curve, value)) * (height - 1))
        if row not in rows:
            rows[row] = figure(value, 2 if curve.log else 4)
    return rows
