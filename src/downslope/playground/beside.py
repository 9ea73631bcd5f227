"""Work that a page asks for beside what it plays: in a thread of its own, one of a kind for all pages at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

from downslope.errors import DownslopeError
from downslope.playground.rooms.picture import Picture
from downslope.words import Sentence, say

TOLD_EVERY = 0.2
"""Seconds between two accounts of how far it is."""
WAIT = 0.2
"""Seconds between two looks whether work that waits for its turn is still wanted."""
MAPS, REPLAYS = threading.Lock(), threading.Lock()
"""Held by the page whose work goes on: the work of many pages waits in line, and so takes no more than that of one."""


class Beside:
    """Takes pictures as they are made, and tells them, until it is stopped."""

    def __init__(
        self,
        pictures: Iterator[Picture],
        tell: Callable[[Picture], None],
        fail: Callable[[Sentence], None],
        turn: threading.Lock = MAPS,
    ) -> None:
        """Begin; fail: takes the sentence of what went wrong. turn: held by the work of this kind that goes on."""
        self._pictures, self._tell, self._fail, self._turn = pictures, tell, fail, turn
        self._stopped = threading.Event()
        threading.Thread(target=self._run, name="playground beside", daemon=True).start()

    def stop(self) -> None:
        """End with the present piece of work, and tell no more."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._turn.acquire(timeout=WAIT):
            if self._stopped.is_set():
                return
        try:
            self._work()
        except DownslopeError as error:
            self._fail(error.sentence)
        except Exception as error:
            logging.getLogger("downslope.playground").exception("work beside a room failed")
            self._fail(say("this should not happen ({name}); please report it", name=type(error).__name__))
        finally:
            self._turn.release()

    def _work(self) -> None:
        told = 0.0
        for picture in self._pictures:
            if self._stopped.is_set():
                return
            now = time.monotonic()
            if picture.values.get("done") or now - told > TOLD_EVERY:
                self._tell(picture)
                told = now
