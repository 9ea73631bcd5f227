"""The rooms: each a table of settings, and functions from settings to pictures on the real engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from downslope.playground.rooms.picture import Picture
from downslope.views.page_parts import Page


class Running(Protocol):
    """A room that runs by a clock: it takes updates forth and back, and tells what changed."""

    @property
    def update(self) -> int:
        """Where it stands."""
        ...

    @property
    def last(self) -> int:
        """The update that it cannot go beyond."""
        ...

    def picture(self) -> Picture:
        """Return all that the room shows."""
        ...

    def frame(self) -> Picture:
        """Return what changed with the last steps."""
        ...

    def advance(self, count: int) -> None:
        """Take so many updates, or as many as there are."""
        ...

    def seek(self, update: int) -> None:
        """Go to an update that was or will be, on the same way."""
        ...

    def adopt(self, settings: Any) -> bool:
        """Take settings that begin nothing anew, where these are such, and say so."""
        ...

    def sweep(self, updates: int) -> Iterator[Picture]:
        """Return the map of many settings from the same start, again and again as more of it is known.

        Each picture has ``done``. It is taken in a thread of its own, while the room goes on.
        """
        ...


class Kept(Protocol):
    """A room that keeps what a page brings, and works on it beside the page."""

    def picture(self, settings: Any) -> Picture:
        """Take new settings, and return what there is."""
        ...

    def receive(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Do what a message asks; raises InputError."""
        ...

    def close(self) -> None:
        """End what runs, and free what is kept."""
        ...


Tell = Callable[[str, Picture | Page, list[bytes], int], None]
"""Takes the kind of a message, what it holds, buffers beside, and the number of the request that led to it."""


@dataclass(frozen=True)
class Room:
    """A room by its settings.

    draw: of an instant room, its picture. begin: of a running room, its start. keep: of a room that keeps a table, the
    room with whom to tell, and with the table and its name that are there from the beginning.
    """

    name: str
    settings: type
    draw: Callable[[Any], Picture] | None = None
    begin: Callable[[Any], Running] | None = None
    keep: Callable[[Tell, Any, str], Kept] | None = None


@cache
def rooms() -> dict[str, Room]:
    """Return the rooms by name, in the order in which they are shown."""
    from downslope.playground.rooms import batches, network, one_weight, two_weights, valleys, your_data

    return {
        each.name: each
        for each in (
            Room("one-weight", one_weight.OneWeight, draw=one_weight.draw),
            Room("two-weights", two_weights.TwoWeights, draw=two_weights.draw),
            Room("batches", batches.Batches, draw=batches.draw),
            Room("valleys", valleys.Valleys, draw=valleys.draw),
            Room("network", network.NetworkRoom, begin=network.begin),
            Room("your-data", your_data.YourData, keep=your_data.Desk),
        )
    }
