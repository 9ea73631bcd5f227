"""Two columns to learn from in the light rooms: the seven cars, or what a page has typed, as surfaces to go down."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope.errors import InputError
from downslope.models.surface import Surface
from downslope.playground.limits import SHOWN_ROWS
from downslope.records.figures import count
from downslope.types import Matrix, Vector
from downslope.words import say

CARS: Matrix = np.array(
    [[3.5, 18.0], [3.69, 15.0], [3.44, 18.0], [3.43, 16.0], [4.34, 15.0], [4.42, 14.0], [2.37, 24.0]]
)
"""Weight in thousands of pounds and miles per gallon of the seven cars of the published exercise."""
DATA_LOSSES = ("squared", "absolute", "huber")
AROUND = 2.0
"""Half the side of the box about a least-squares line, in units of its own distance from zero."""
SAID = {"squared": "({})**2", "absolute": "|{}|", "huber": "huber({})"}


@dataclass(frozen=True)
class Columns:
    """Two columns: table (n, 2). center, scale: what x was shifted and divided by, 0 and 1 where it was not."""

    table: Matrix
    center: float
    scale: float


def columns(data: str, scaled: bool) -> Columns:
    """Return the seven cars where ``data`` is empty, or the rows typed in it; raises InputError."""
    table = read_pairs(data) if data else CARS
    if not scaled:
        return Columns(table, 0.0, 1.0)
    center, spread = float(table[:, 0].mean()), float(table[:, 0].std())
    return Columns(np.column_stack([(table[:, 0] - center) / spread, table[:, 1]]), center, spread)


def read_pairs(data: str) -> Matrix:
    """Return rows of two numbers, one a line or with ; between them; raises InputError in one sentence."""
    rows: list[list[float]] = []
    for line in re.split(r"[;\n]", data):
        parts = re.split(r"[,\s]+", line.strip())
        if parts == [""]:
            continue
        rows.append(_pair(line.strip(), parts))
        if len(rows) > SHOWN_ROWS:
            message = say(
                "more than {most} rows were given; take the room of your own data for large tables",
                most=count(SHOWN_ROWS),
            )
            raise InputError(message)
    table = np.array(rows, np.float64).reshape(-1, 2)
    if table.shape[0] < 2 or np.ptp(table[:, 0]) == 0:
        message = say("give two rows or more, x and y in each, with more than one value of x")
        raise InputError(message)
    return table


def _pair(line: str, parts: list[str]) -> list[float]:
    try:
        pair = [float(each) for each in parts]
    except ValueError:
        pair = []
    if len(pair) != 2 or not all(math.isfinite(each) and abs(each) <= 1e9 for each in pair):
        message = say('the row "{line}" is not two numbers, x and y', line=line[:40])
        raise InputError(message)
    return pair


def line_surface(data: str, scaled: bool, loss: str) -> Surface:
    """Return the mean loss of ``w x + b`` on two columns, as a surface of w and b."""
    table = columns(data, scaled).table
    x, y = table.T
    best = least_squares(table)
    half = AROUND * np.maximum(np.abs(best), 1e-3 * max(float(np.abs(best).max()), 1e-9))
    box = tuple((float(low), float(high)) for low, high in zip(best - half, best + half, strict=True))
    of_scores = _losses(loss, y)

    def function(weights: Any) -> Any:
        return of_scores(weights[0] * x + weights[1])

    formula = f"mean({SAID[loss].format('w*x + b - y')})"
    return Surface("data" if data else "cars", ("w", "b"), formula, function, box)


def least_squares(table: Matrix) -> Vector:
    """Return slope and intercept of the least-squares line through two columns."""
    design = np.column_stack([table[:, 0], np.ones(table.shape[0])])
    return np.asarray(np.linalg.lstsq(design, table[:, 1], rcond=None)[0], np.float64)


def slope_surface() -> Surface:
    """Return the mean squared error of the cars by the slope alone, the intercept held at its best."""
    x, y = CARS.T
    slope, intercept = (float(each) for each in least_squares(CARS))

    def function(weights: Any) -> Any:
        return ((weights[0] * x + intercept - y) ** 2).mean()

    formula = f"mean((w*x + {intercept:.3f} - y)**2)"
    return Surface("cars", ("w",), formula, function, ((2.5 * slope, -0.5 * slope),))


def _losses(name: str, y: Any) -> Callable[[Any], Any]:
    from downslope.engines.network.losses import example_losses
    from downslope.losses import make_loss

    loss = make_loss(name)

    def mean(scores: Any) -> Any:
        each: Any = example_losses(loss, scores[:, None], y)
        return each.mean()

    return mean
