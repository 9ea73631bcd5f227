"""The way of a running room, kept as a few of its frames, so that it can be gone again without an engine.

The run is made again from its settings: an update depends on its number alone, so these frames are those of the room.
They lie closer near the start, where a run changes most, and their gaps grow evenly from there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downslope.errors import InputError
from downslope.playground.limits import REPLAY_FRAMES, REPLAY_SECONDS
from downslope.playground.rooms import Running
from downslope.playground.rooms.picture import Picture
from downslope.records.figures import count, duration
from downslope.reporting import size_in_page
from downslope.types import JsonValue
from downslope.words import say

Packed = tuple[dict[str, JsonValue], list[bytes]]
"""The JSON of an answer, and its buffers."""
AT_ONCE = 2000
"""Updates between two looks at the time and at whether the page is still wanted."""
GROWTH = 16_000
"""Bytes by which a later frame may be larger than the first: loss curves of 400 points, of the kept run too."""
BEYOND = 2
"""Updates after the last good one in which a run that has diverged is known to have: the second meets its loss."""
FEWEST = 2
"""Frames that are kept however large they are: the start and the end."""
LEVELS = 65_535
"""Steps between the least and the most of a picture of numbers; what is shown of it has 256 shades."""
PICTURES = 3
"""Dimensions of an array that is a row of pictures."""


@dataclass
class Recording:
    """A way as far as it is recorded.

    picture: what the room shows besides its frames. frames: at the start, on the way and at the end, packed. updates:
    where each stands. done: False while the run goes on.
    """

    picture: Picture
    frames: list[Packed] = field(default_factory=list[Packed])
    updates: list[int] = field(default_factory=list[int])
    done: bool = False

    def packed(self) -> Packed:
        """Return the picture as an answer to which the arrays and values of any frame are added."""
        values = {**self.picture.values, "last": self.updates[-1], "frames": len(self.frames)}
        return Picture(values, self.picture.arrays).packed()


def recorded(running: Running, until: int, room: int, *, ended: bool = False) -> Iterator[Recording]:
    """Take a run from its start to an update, and return the same recording again and again until it is done.

    until: the update at which it ends, or before where the run cannot go as far. room: bytes of a file that the frames
    may take. ended: it is tried to go beyond, as whoever saw the run end there has done. Raises InputError where it
    takes longer than REPLAY_SECONDS.
    """
    began = time.monotonic()
    first = running.frame()
    recording = Recording(_besides(running.picture(), first))
    _keep(recording, first)
    until = min(until, running.last)
    for place in places(until, _fitting(recording, room))[1:]:
        while running.update < min(place, running.last):
            running.advance(min(AT_ONCE, place - running.update))
            _in_time(began, running.update, min(until, running.last))
            yield recording
        _keep(recording, running.frame())
        if running.update < place:
            break
    if ended:
        running.advance(BEYOND)
        _keep(recording, running.frame())
    recording.done = True
    yield recording


def places(last: int, most: int) -> list[int]:
    """Return at most so many updates from 0 to the last, each gap longer than that before by the same; all if they fit.

    most: at least 2.
    """
    steps = min(last, most - 1)
    if steps == 0:
        return [0]
    return [step + round((last - steps) * (step / steps) ** 2) for step in range(steps + 1)]


def coarse(array: NDArray[np.float32]) -> tuple[list[list[float]], NDArray[np.uint16]]:
    """Return pictures (count, rows, columns) in 65,536 levels: the least and the most of each, and its levels.

    Both ends are kept as they are, and nothing between moves by more than a 131,070th of what lies between them.
    """
    flat = array.reshape(len(array), -1).astype(np.float64)
    least, most = flat.min(axis=1), flat.max(axis=1)
    span = np.where(most > least, most - least, 1.0)
    levels = np.rint((flat - least[:, None]) / span[:, None] * LEVELS).astype("<u2")
    return np.column_stack([least, most]).tolist(), levels.reshape(array.shape)


def _keep(recording: Recording, frame: Picture) -> None:
    """Add a frame; a run that could not go on stands where it was, or before, and tells why."""
    update = int(frame.values["update"])
    while recording.updates and recording.updates[-1] >= update:
        recording.updates.pop()
        recording.frames.pop()
    recording.updates.append(update)
    recording.frames.append(_packed(frame))


def _packed(frame: Picture) -> Packed:
    """Return a frame with its pictures in levels, but for one that holds what is no number."""
    told, buffers = frame.packed()
    accounts = cast("list[dict[str, Any]]", told["arrays"])
    for index, account in enumerate(accounts):
        array = frame.arrays[account["name"]]
        if array.ndim == PICTURES and np.isfinite(array).all():
            account["ranges"], levels = coarse(array)
            account["dtype"], buffers[index] = "uint16", levels.tobytes()
    return told, buffers


def _besides(picture: Picture, frame: Picture) -> Picture:
    """Return what of a picture is in no frame."""

    def left(all_: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in all_.items() if name not in known}

    return Picture(left(picture.values, frame.values), left(picture.arrays, frame.arrays))


def _fitting(recording: Recording, room: int) -> int:
    """Return how many frames there is room for."""
    left = room - size_in_page(*recording.packed())
    return max(FEWEST, min(REPLAY_FRAMES, left // (size_in_page(*recording.frames[0]) + GROWTH)))


def _in_time(began: float, update: int, until: int) -> None:
    """Raise InputError where the time for a page is spent before the end of the way."""
    if update < until and time.monotonic() - began > REPLAY_SECONDS:
        message = say(
            "a replay page of {updates} updates takes longer to make than {seconds}, in which it came to update "
            "{update}; go back to there or before, and save it again",
            updates=count(until), seconds=duration(REPLAY_SECONDS), update=count(update),
        )  # fmt: skip
        raise InputError(message)
