"""How the zones of a sweep are marked."""

from __future__ import annotations

from downslope.records import Zone
from downslope.views.parts import Tone

MARKS = {Zone.TOO_SLOW: "·", Zone.SWEET_SPOT: "●", Zone.TOO_LARGE: "○", Zone.DIVERGED: "×"}
"""One character a zone, so that the map can be read without colour."""

TONES = {Zone.TOO_SLOW: Tone.WARN, Zone.SWEET_SPOT: Tone.GOOD, Zone.TOO_LARGE: Tone.WARN, Zone.DIVERGED: Tone.BAD}
