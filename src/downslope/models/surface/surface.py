"""What a surface is: a function of a few variables, the box it is looked at in, and the minima known of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from downslope.errors import OptionError
from downslope.records.figures import figure
from downslope.words import NOTHING, Sentence, say

SIDE = 5.0
"""The box of a surface that brings none of its own: from minus this to plus this, each way."""
Box = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class KnownMinimum:
    """A minimum that is known. point: (d,). lowest: no point anywhere is lower."""

    point: tuple[float, ...]
    value: float
    lowest: bool = True


@dataclass(frozen=True)
class Surface:
    """A function of a vector, to descend.

    name: its name, or the expression itself. variables: d names, in the order of the vector. formula: as an
    expression. function: ``(d,) -> ()``, made of JAX operations. box: lowest and highest value of each variable.
    minima: those known, and complete: there is no other in the box. source: where they are known from. teaches: what
    to see on it, one sentence.
    """

    name: str
    variables: tuple[str, ...]
    formula: str
    function: Callable[[Any], Any] = field(repr=False, compare=False)
    box: Box
    minima: tuple[KnownMinimum, ...] = ()
    complete: bool = False
    source: str = ""
    teaches: Sentence = NOTHING

    @property
    def lowest(self) -> float | None:
        """The value of the known global minimum, None where none is known."""
        return next((each.value for each in self.minima if each.lowest), None)

    def within(self, box: Box) -> Surface:
        """Return the same surface in another box; raises OptionError where the box does not fit."""
        return replace(self, box=check_box(box, len(self.variables)), complete=False)


def check_box(box: Any, variables: int) -> Box:
    """Return a box as pairs of floats, one pair for all or one for each variable; raises OptionError."""
    try:
        pairs = [(float(low), float(high)) for low, high in box]
    except (TypeError, ValueError) as error:
        message = say(
            "a box is a pair of numbers for each variable, such as ((-5, 5), (0, 2)), not {box}", box=repr(box)
        )
        raise OptionError(message) from error
    if len(pairs) == 1:
        pairs *= variables
    if len(pairs) != variables:
        message = say(
            "the box has {pairs} pairs, but there are {variables} variables; give one pair or {variables}",
            pairs=len(pairs),
            variables=variables,
        )
        raise OptionError(message)
    for low, high in pairs:
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            message = say(
                "each pair of a box goes from low to high, but one is {low} to {high}",
                low=figure(low),
                high=figure(high),
            )
            raise OptionError(message)
    return tuple(pairs)
