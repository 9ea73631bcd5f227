"""Surfaces: functions of a few variables to see descent on, by name or by expression. JAX is loaded when one is made.

A surface is small enough to know everything about: where its minima are, how steep it is anywhere. What happens on
it happens in networks too, out of sight.
"""

from __future__ import annotations

import re

from downslope.errors import OptionError, nearest
from downslope.models.surface.surface import Box, KnownMinimum, Surface
from downslope.words import say

__all__ = ["Box", "KnownMinimum", "Surface", "surface_of"]

_WORDS = re.compile(r"[A-Za-z]{2,}([ _-][A-Za-z]+)*")
"""What looks like the name of a surface, and not like an expression."""


def surface_of(text: str, box: Box | None = None) -> Surface:
    """Return the surface of that name, or the one that an expression says; raises OptionError.

    box: in place of its own; expressions have one of -5 to 5 each way.
    """
    from downslope.models.surface.named import SURFACES

    name = text.strip().lower().replace(" ", "-").replace("_", "-")
    if name in SURFACES:
        surface = SURFACES[name]
    elif _WORDS.fullmatch(text.strip()):
        message = say(
            'there is no surface called "{text}"{nearest}; or write an expression such as x**2',
            text=text,
            nearest=nearest(name, SURFACES),
        )
        raise OptionError(message)
    else:
        from downslope.models.surface.expression import expression_surface

        surface = expression_surface(text)
    return surface if box is None else surface.within(box)
