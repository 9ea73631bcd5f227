"""What waits to be sent to one page: of pictures, frames and the like only the newest, for a late one is of no use."""

from __future__ import annotations

import asyncio
import threading
from collections import deque

from downslope.playground.crew import Bell
from downslope.playground.wire import Message

NEWEST = ("picture", "frame", "clock", "progress", "sweep")
"""Kinds of which a newer message takes the place of an older one that has not been sent."""
KEPT = 32
"""Messages of other kinds that wait at most; the oldest goes first."""


class Outbox:
    """Filled from any thread, emptied by the event loop; holds no more than a message of each kind and ``KEPT``."""

    def __init__(self, bell: Bell) -> None:
        """Take the bell of the loop that sends."""
        self._bell = bell
        self._lock = threading.Lock()
        self._newest: dict[str, bytes] = {}
        self._others: deque[bytes] = deque(maxlen=KEPT)
        self._filled = asyncio.Event()
        self._woken = False
        self.dropped = 0

    def put(self, content: Message, frame: bytes) -> None:
        """Add a message; a frame that a new picture makes meaningless goes."""
        kind = str(content["is"])
        with self._lock:
            if kind in NEWEST:
                self.dropped += kind in self._newest
                self._newest.pop(kind, None)
                if kind == "picture":
                    self._newest.pop("frame", None)
                self._newest[kind] = frame
            else:
                self._others.append(frame)
            wake, self._woken = not self._woken, True
        if wake:
            self._bell.call(self._filled.set)

    async def take(self) -> bytes:
        """Return the next message once there is one."""
        while True:
            with self._lock:
                if self._others:
                    return self._others.popleft()
                if self._newest:
                    return self._newest.pop(next(iter(self._newest)))
                self._filled.clear()
                self._woken = False
            await self._filled.wait()
