"""What one page holds of the engine: takes its messages, and answers with pictures, frames and sentences.

A session knows nothing of the network. It is given ``send``, and may call it from threads of its own; a server puts
WebSockets around it, a notebook its own messages. No message can make it fail: what is wrong with one is answered.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from typing import Any, cast

from downslope.errors import DownslopeError, InputError, nearest
from downslope.playground.beside import REPLAYS, Beside
from downslope.playground.clock import Clock
from downslope.playground.held import Held
from downslope.playground.limits import SWEEP_UPDATES
from downslope.playground.rooms import Kept, Room, rooms
from downslope.playground.rooms.pair import Pair
from downslope.playground.rooms.picture import Picture
from downslope.playground.rooms.table import settings_from
from downslope.records.figures import count
from downslope.types import JsonValue
from downslope.words import Sentence, both, say

Send = Callable[[dict[str, JsonValue], list[bytes]], None]
MOST_ID = 2**53
"""The largest number that a page can tell apart from the next."""


class Session:
    """One page's share of the engine; ``receive`` is called by one thread at a time."""

    def __init__(self, send: Send, table: Any = None, name: str = "") -> None:
        """Take what sends a message: its JSON and its buffers; and a table to begin with, if any, and its name."""
        self._send, self._table, self._name = send, table, name
        self._kept: Kept | None = None
        self._room: Room | None = None
        self._clock: Clock | None = None
        self._kept_settings: Any = None
        self._beside: Beside | None = None
        self._replayed: Beside | None = None
        self._held = Held()
        self._closed = False
        self._lock = threading.Lock()

    def receive(self, content: dict[str, JsonValue], buffers: list[bytes]) -> None:
        """Answer a message; one that makes no sense is answered with an error, and nothing else happens."""
        room, number = content.get("room"), content.get("id")
        try:
            self._answer(content, buffers)
        except DownslopeError as error:
            self._tell_error(room, number, error.sentence)
        except MemoryError:
            self._tell_error(room, number, say("this does not fit in memory; ask for less"))
        except Exception as error:
            logging.getLogger("downslope.playground").exception("a message could not be answered")
            self._tell_error(
                room, number, say("this should not happen ({name}); please report it", name=type(error).__name__)
            )

    def close(self) -> None:
        """Free all that the session holds; what comes after is not answered."""
        self._closed = True
        if self._replayed is not None:
            self._replayed.stop()
        self._leave()
        self._free()

    def _answer(self, content: dict[str, JsonValue], buffers: list[bytes]) -> None:
        asked: dict[str, Callable[[dict[str, JsonValue]], None]] = {
            "open": self._open, "set": self._set, "play": self._play, "pause": self._pause, "step": self._step,
            "back": self._back, "reset": self._reset, "seek": self._seek, "close": self._close,
            "sweep": self._sweep, "replay": self._replay, "stop": lambda told: self._stop(told, buffers),
            **dict.fromkeys(("upload", "fit", "download"), lambda told: self._hand_over(told, buffers)),
        }  # fmt: skip
        name = content.get("do")
        if not isinstance(name, str) or name not in asked:
            message = say(
                "there is nothing to do that is called {name}{nearest}",
                name=repr(str(name)[:40]),
                nearest=nearest(str(name)[:40], asked),
            )
            raise InputError(message)
        number = content.get("id")
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MOST_ID:
            message = say("a message needs an id, a whole number")
            raise InputError(message)
        asked[name](content)

    def _open(self, content: dict[str, JsonValue]) -> None:
        self._show(_named(content), content)

    def _set(self, content: dict[str, JsonValue]) -> None:
        self._show(self._here(content), content)

    def _show(self, room: Room, content: dict[str, JsonValue]) -> None:
        """Draw a room, or begin it, by the settings asked for; until that has worked, it goes on as it was."""
        number = cast("int", content["id"])
        settings: Any = settings_from(cast("Any", room.settings), content.get("state", {}))
        if room.keep is not None:
            picture = self._keep(room, settings)
        elif room.draw is not None:
            picture = room.draw(settings)
            self._leave()
            self._room = room
        else:
            picture = self._run(room, number, settings, content)
        told, buffers = self._held.leave_out(*picture.packed(), number, content.get("since"))
        self._pass_on("picture", room.name, told, number, buffers)

    def _run(self, room: Room, number: int, settings: Any, content: dict[str, JsonValue]) -> Picture:
        """Return the picture of a running room, begun anew unless the settings only look elsewhere."""
        kept: Any = content.get("kept")
        kept = None if kept is None else settings_from(cast("Any", room.settings), kept)

        def tell(kind: str, told: Picture) -> None:
            self._tell(kind, room.name, told, number)

        here = self._clock if room is self._room and kept == self._kept_settings else None
        if here is not None and here.adopt(settings, tell):
            return here.picture()
        begin = cast("Any", room.begin)
        running = begin(settings) if kept is None else Pair(begin(settings), begin(kept))
        clock = Clock(running, tell)
        picture = clock.picture()
        beside = self._beside if room is self._room else None
        self._leave(beside)
        self._room, self._clock, self._kept_settings = room, clock, kept
        return picture

    def _sweep(self, content: dict[str, JsonValue]) -> None:
        """Begin to draw the map of many settings beside what is played; the one before it ends."""
        room, clock, number = self._here(content), self._clock_of(content), cast("int", content["id"])
        updates = _count(content, "updates")
        if updates > SWEEP_UPDATES:
            message = say("updates of a map must be at most {most}", most=count(SWEEP_UPDATES))
            raise InputError(message)
        self._stop_beside()
        self._beside = Beside(
            clock.sweep(updates), lambda told: self._tell("sweep", room.name, told, number),
            lambda sentence: self._tell_error(room.name, number, sentence),
        )  # fmt: skip

    def _stop_beside(self) -> None:
        beside, self._beside = self._beside, None
        if beside is not None:
            beside.stop()

    def _stop(self, content: dict[str, JsonValue], buffers: list[bytes]) -> None:
        if self._here(content) and self._clock is not None:
            self._stop_beside()
        else:
            self._hand_over(content, buffers)

    def _keep(self, room: Room, settings: Any) -> Picture:
        """Return the picture of the room that keeps a table, which it does while others are open."""
        if self._room is not room:
            self._leave()
        if self._kept is None:
            keep = cast("Any", room.keep)

            def tell(kind: str, told: Picture, buffers: list[bytes], number: int) -> None:
                self._tell(kind, room.name, told, number, buffers)

            self._kept = keep(tell, self._table, self._name)
        self._room = room
        return cast("Kept", self._kept).picture(settings)

    def _hand_over(self, content: dict[str, JsonValue], buffers: list[bytes]) -> None:
        room = self._here(content)
        if room.keep is None or self._kept is None:
            message = say("the room {name} takes no table", name=room.name)
            raise InputError(message)
        self._kept.receive(content, buffers)

    def _here(self, content: dict[str, JsonValue]) -> Room:
        if self._room is None or content.get("room") != self._room.name:
            message = say("that room is not open; open it first")
            raise InputError(message)
        return self._room

    def _clock_of(self, content: dict[str, JsonValue]) -> Clock:
        room = self._here(content)
        if self._clock is None:
            message = say("the room {name} has no clock here: its picture holds the whole way", name=room.name)
            raise InputError(message)
        return self._clock

    def _play(self, content: dict[str, JsonValue]) -> None:
        speed = content.get("speed", 60.0)
        if isinstance(speed, bool) or not isinstance(speed, int | float) or not speed > 0 or math.isinf(speed):
            message = say("speed must be a number of updates a second above 0")
            raise InputError(message)
        self._clock_of(content).play(float(speed))

    def _pause(self, content: dict[str, JsonValue]) -> None:
        self._clock_of(content).pause()

    def _step(self, content: dict[str, JsonValue]) -> None:
        clock = self._clock_of(content)
        clock.go(clock.update + _count(content, "count"))

    def _back(self, content: dict[str, JsonValue]) -> None:
        clock = self._clock_of(content)
        clock.go(clock.update - _count(content, "count"))

    def _reset(self, content: dict[str, JsonValue]) -> None:
        self._clock_of(content).go(0)

    def _seek(self, content: dict[str, JsonValue]) -> None:
        self._clock_of(content).go(_count(content, "update", 0))

    def _replay(self, content: dict[str, JsonValue]) -> None:
        """Send a room as a page that needs no session; what is shown here goes on."""
        from downslope.playground.replay import replay_page

        room, number = _named(content), cast("int", content["id"])
        if room.begin is not None:
            self._replay_of_a_run(room, content, number)
            return
        name, whole = replay_page(room, content)
        self._pass_on("file", room.name, {"name": name, "what": "replay"}, number, [whole])

    def _replay_of_a_run(self, room: Room, content: dict[str, JsonValue], number: int) -> None:
        """Begin to make the page of a running room beside what is played; one that is not done yet ends."""
        from downslope.playground.replay import Made, replay_of_a_run

        def tell(made: Picture) -> None:
            if isinstance(made, Made) and made.name:
                self._pass_on("file", room.name, {"name": made.name, "what": "replay"}, number, [made.page])

        if self._replayed is not None:
            self._replayed.stop()
        self._replayed = Beside(
            replay_of_a_run(room, content), tell,
            lambda sentence: self._tell_error(room.name, number, sentence), REPLAYS,
        )  # fmt: skip

    def _close(self, content: dict[str, JsonValue]) -> None:
        del content
        keeps = self._room is not None and self._room.keep is not None
        self._leave()
        if keeps:
            self._free()

    def _free(self) -> None:
        """Give up the table that is kept, and end its fit."""
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def _leave(self, but: Beside | None = None) -> None:
        """End what runs, but for work beside that is to go on."""
        with self._lock:
            clock, self._clock, self._room = self._clock, None, None
        if self._beside is not but:
            self._stop_beside()
        if clock is not None:
            clock.stop()

    def _tell(self, kind: str, room: str, told: Picture, number: int, beside: list[bytes] | None = None) -> None:
        """Send what a request led to; frames and clocks bear the number of the request that began their room."""
        if not self._closed:
            content, buffers = told.packed()
            self._pass_on(kind, room, content, number, [*buffers, *(beside or [])])

    def _pass_on(self, kind: str, room: str, told: dict[str, JsonValue], number: int, buffers: list[bytes]) -> None:
        if kind == "error":
            told["said"] = both(told["message"])
        if not self._closed:
            self._send({"is": kind, "room": room, "id": number, **told}, buffers)

    def _tell_error(self, room: JsonValue, number: JsonValue, message: Sentence) -> None:
        known = isinstance(room, str) and room in rooms()
        told: dict[str, JsonValue] = {
            "is": "error", "room": room if known else "", "message": message, "said": both(message)
        }  # fmt: skip
        if isinstance(number, int) and not isinstance(number, bool):
            told["id"] = number
        if not self._closed:
            self._send(told, [])


def _named(content: dict[str, JsonValue]) -> Room:
    """Return the room that a message names; raises InputError."""
    found = rooms()
    name = content.get("room")
    if not isinstance(name, str) or name not in found:
        message = say(
            "there is no room called {name}{nearest}",
            name=repr(str(name)[:40]),
            nearest=nearest(str(name)[:40], found),
        )
        raise InputError(message)
    return found[name]


def _count(content: dict[str, JsonValue], name: str, least: int = 1) -> int:
    value = content.get(name, 1)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MOST_ID:
        message = say("{name} must be a whole number of at least {least}", name=name, least=least)
        raise InputError(message)
    return value
