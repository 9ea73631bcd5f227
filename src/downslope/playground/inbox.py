"""What a page has sent and waits to be answered: of a drag's settings only the newest, and never more than a few."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from downslope.errors import InputError
from downslope.playground.limits import MESSAGES_A_SECOND, MESSAGES_SECONDS, PENDING
from downslope.playground.wire import Message


class FloodError(InputError):
    """A page sends more than any page of ours would."""


class Inbox:
    """Messages in order, filled and emptied by one event loop."""

    def __init__(self) -> None:
        """Begin with nothing, and with the right to a few seconds' worth at once."""
        self._waiting: deque[tuple[Message, list[bytes]]] = deque()
        self._filled = asyncio.Event()
        self._right, self._seen = MESSAGES_A_SECOND * MESSAGES_SECONDS, time.monotonic()

    def count(self) -> None:
        """Count a message that has come; raises FloodError where they come too fast for too long."""
        now = time.monotonic()
        self._right += (now - self._seen) * MESSAGES_A_SECOND - 1.0
        self._right, self._seen = min(self._right, MESSAGES_A_SECOND * MESSAGES_SECONDS), now
        if self._right < 0:
            message = f"more than {MESSAGES_A_SECOND} messages a second"
            raise FloodError(message)

    def put(self, content: Message, buffers: list[bytes]) -> None:
        """Add a message; raises FloodError where too many wait."""
        if self._waiting and _replaces(content, self._waiting[-1][0]):
            self._waiting.pop()
        if len(self._waiting) >= PENDING:
            message = f"more than {PENDING} messages wait to be answered"
            raise FloodError(message)
        self._waiting.append((content, buffers))
        self._filled.set()

    async def take(self) -> tuple[Message, list[bytes]]:
        """Return the next message once there is one."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        return self._waiting.popleft()


def _replaces(new: Message, old: Message) -> bool:
    return new.get("do") == "set" == old.get("do") and new.get("room") == old.get("room")
