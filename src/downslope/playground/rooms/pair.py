"""Two runs of a running room that go together: the one before the page, and one that was kept to compare with it."""

from __future__ import annotations

from typing import Any

from downslope.playground.rooms import Running
from downslope.playground.rooms.picture import Picture

KEPT = "kept:"
"""What the names of the arrays and values of the kept run begin with."""


class Pair:
    """Takes as many updates with both, from both starts; shows the frame of the first, and that of the kept beside."""

    def __init__(self, first: Running, kept: Running) -> None:
        """Take two runs that stand at the same update."""
        self._first, self._kept = first, kept

    @property
    def update(self) -> int:
        """Where the first stands; the kept one stands there too, unless it could not go as far."""
        return self._first.update

    @property
    def last(self) -> int:
        """The update that the first cannot go beyond."""
        return self._first.last

    def picture(self) -> Picture:
        """Return all that the room shows."""
        return _beside(self._first.picture(), self._kept.frame())

    def frame(self) -> Picture:
        """Return what changed with the last steps."""
        return _beside(self._first.frame(), self._kept.frame())

    def advance(self, count: int) -> None:
        """Take so many updates with both."""
        self._first.advance(count)
        self._follow()

    def seek(self, update: int) -> None:
        """Go to an update with both."""
        self._first.seek(update)
        self._follow()

    def adopt(self, settings: Any) -> bool:
        """Take settings that only look elsewhere, and say whether these are such."""
        return self._first.adopt(settings)

    def sweep(self, updates: int) -> Any:
        """Return the map of the first."""
        return self._first.sweep(updates)

    def _follow(self) -> None:
        """Bring the kept run to where the first stands, or as far as it goes."""
        goal = self._first.update
        if goal < self._kept.update:
            self._kept.seek(goal)
        elif goal > self._kept.update:
            self._kept.advance(goal - self._kept.update)


def _beside(first: Picture, kept: Picture) -> Picture:
    values = {KEPT + name: value for name, value in kept.values.items()}
    arrays = {KEPT + name: array for name, array in kept.arrays.items()}
    return Picture({**first.values, **values}, {**first.arrays, **arrays})
