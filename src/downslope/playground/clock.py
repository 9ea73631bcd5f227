"""The clock of a running room: plays it in its own thread, at display rate, and takes it forth and back by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from downslope.playground.limits import FRAMES_A_SECOND, PLAYING_SECONDS, UPDATES_A_SECOND
from downslope.playground.rooms import Running
from downslope.playground.rooms.picture import Picture

BUSY = 0.7
"""Share of the time between two frames that updates may take; the rest is for the frame itself."""
TOLD_EVERY = 0.25
"""Seconds between two accounts of the clock while it plays."""
CATCH_UP = 0.25
"""Seconds' worth of updates that a clock makes up for where the machine was busy elsewhere."""
AT_ONCE = 2000
"""Updates between two looks at whether the room is still wanted."""
Tell = Callable[[str, Picture], None]
"""Takes the kind of a message and what it holds."""


class Clock:
    """Plays one running room until it is stopped."""

    def __init__(self, running: Running, tell: Tell) -> None:
        """Take a room at its start, and whom to tell of its frames."""
        self._running, self._tell = running, tell
        self._changed = threading.Condition()
        self._playing, self._stopped = False, False
        self._speed, self._measured, self._debt = 60.0, 0.0, 0.0
        self._asked = self._ticked = time.monotonic()
        self._thread: threading.Thread | None = None

    @property
    def update(self) -> int:
        """Where the room stands."""
        return self._running.update

    def picture(self) -> Picture:
        """Return all that the room shows."""
        with self._changed:
            return self._running.picture()

    def adopt(self, settings: Any, tell: Tell) -> bool:
        """Take settings that begin nothing anew, and whom to tell from now on; False where they would."""
        with self._changed:
            if self._stopped or not self._running.adopt(settings):
                return False
            self._tell = tell
            return True

    def sweep(self, updates: int) -> Iterator[Picture]:
        """Return the map of many settings; see ``Running``."""
        with self._changed:
            return self._running.sweep(updates)

    def play(self, speed: float) -> None:
        """Play at so many updates a second, as far as the machine gives them."""
        with self._changed:
            self._speed = min(max(speed, 0.1), UPDATES_A_SECOND)
            self._playing, self._debt = True, 0.0
            self._asked = self._ticked = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="playground clock", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            self._tell_clock()

    def pause(self) -> None:
        """Stand still."""
        with self._changed:
            self._playing = False
            self._tell_clock()

    def go(self, update: int) -> None:
        """Stand still at an update, and show it."""
        with self._changed:
            self._playing = False
            self._reach(min(max(update, 0), self._running.last))
            if not self._stopped:
                self._tell("frame", self._running.frame())
                self._tell_clock()

    def _reach(self, update: int) -> None:
        """Go to an update in pieces, so that a room that is closed meanwhile is left at once."""
        if update < self._running.update:
            self._running.seek(update)
        while self._running.update < update and not self._stopped:
            self._running.advance(min(AT_ONCE, update - self._running.update))

    def stop(self) -> None:
        """End for good; the thread ends with its present piece of work."""
        self._stopped = True  # seen between two pieces of work, without waiting for the one under way
        if self._changed.acquire(timeout=0.01):
            self._changed.notify_all()
            self._changed.release()

    def _run(self) -> None:
        due, told = time.monotonic(), 0.0
        while not self._stopped:
            with self._changed:
                if not self._playing:
                    self._changed.wait(timeout=1.0)
                    due = time.monotonic()
                    continue
                began = time.monotonic()
                self._play_on()
                if began - told > TOLD_EVERY or not self._playing:
                    self._tell_clock()
                    told = began
            due = max(due + 1.0 / FRAMES_A_SECOND, began)
            time.sleep(max(0.0, due - time.monotonic()))

    def _play_on(self) -> None:
        """Take the updates that are due since the last frame, as many as fit before the next."""
        if self._stopped:
            return
        began, before = time.monotonic(), self._running.update
        budget = BUSY / FRAMES_A_SECOND
        self._debt = min(self._debt + self._speed * (began - self._ticked), self._speed * CATCH_UP)
        self._ticked = began
        fitting = budget * self._measured if self._measured else 16.0
        count = min(int(self._debt), max(1, int(fitting)), AT_ONCE, self._running.last - before)
        if count > 0:
            self._running.advance(count)
            seconds = max(time.monotonic() - began, 1e-6)
            rate = count / seconds
            self._measured = rate if not self._measured else 0.9 * self._measured + 0.1 * rate
            self._debt -= count
            self._tell("frame", self._running.frame())
        if self._running.update >= self._running.last or began - self._asked > PLAYING_SECONDS:
            self._playing = False

    def _tell_clock(self) -> None:
        running = self._running
        self._tell("clock", Picture({
            "playing": self._playing, "update": running.update, "last": running.last, "speed": self._speed,
            "possible": self._measured or float("nan"),
        }))  # fmt: skip
