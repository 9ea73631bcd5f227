"""A hundred pages at once: each drags without a pause, and asks for the next picture as soon as it has the last.

    python -m benchmarks.load LINK ROOM PAGES SECONDS      # prints a JSON object

The pages are lines of their own in one process, as light as can be, so that the server has the machine: of a picture
only its length is read, and what is asked for is written beforehand.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlparse

from downslope.playground.wire import pack

FRAME_SECONDS = 1 / 60
"""A page asks no more often than its screen shows."""
DRAGS: dict[str, list[dict[str, Any]]] = {
    "one-weight": [{"start": -4 + 0.02 * step} for step in range(400)],
    "two-weights": [{"start_x": 0.02 * step, "start_y": -0.05 * step} for step in range(400)],
}
"""What a drag asks for, one state after another."""
READ = 1 << 16


def masked(payload: bytes) -> bytes:
    """Return a binary frame from a client, masked with zeros."""
    length = len(payload)
    head = b"\x82" + (bytes([0x80 | length]) if length < 126 else struct.pack("!BH", 0xFE, length))
    return head + bytes(4) + payload


@dataclass
class Page:
    """One line. due: when it may ask again. asked: when it did. waits: seconds until each answer was whole."""

    line: socket.socket
    messages: list[bytes]
    next: int = 0
    left: int = 0
    head: bytes = b""
    due: float = 0.0
    asked: float | None = None
    waits: list[float] = field(default_factory=list)

    def ask(self, now: float) -> None:
        """Ask for the next picture of the drag."""
        self.line.sendall(self.messages[self.next % len(self.messages)])
        self.next, self.asked, self.due = self.next + 1, now, now + FRAME_SECONDS

    def read(self) -> None:
        """Read what has come; an answer is whole where the last byte of its frame is here."""
        piece = self.line.recv(READ)
        if not piece:
            message = "the server has closed a line"
            raise ConnectionError(message)
        while piece:
            if self.left:
                taken = min(self.left, len(piece))
                self.left -= taken
                piece = piece[taken:]
                if not self.left:
                    self._whole()
                continue
            self.head += piece[:1]
            piece = piece[1:]
            self._length()

    def _length(self) -> None:
        """Read the length of a frame once its head is here."""
        if len(self.head) < 2:
            return
        kind = self.head[1]
        size = {126: 4, 127: 10}.get(kind, 2)
        if len(self.head) < size:
            return
        if self.head[0] & 0x0F != 2:
            message = "the server has sent what is no picture"
            raise ConnectionError(message)
        self.left = kind if size == 2 else int.from_bytes(self.head[2:size])
        self.head = b""

    def _whole(self) -> None:
        now = time.perf_counter()
        self.waits.append(now - (self.asked or now))
        self.asked = None


def connect(link: str, room: str) -> Page:
    """Open a line to a playground by its link."""
    place = urlparse(link)
    line = socket.create_connection((str(place.hostname), int(place.port or 80)), timeout=60)
    key = "AAAAAAAAAAAAAAAAAAAAAA=="
    line.sendall((
        f"GET /ws?{place.query} HTTP/1.1\r\nHost: {place.netloc}\r\nOrigin: http://{place.netloc}\r\n"
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode())  # fmt: skip
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += line.recv(1)
    if b" 101 " not in answer.split(b"\r\n")[0]:
        raise ConnectionError(answer.split(b"\r\n")[0].decode())
    messages = [
        masked(
            pack({"do": "set" if number else "open", "room": room, "id": number, "since": number - 1, "state": state})
        )
        for number, state in enumerate(DRAGS[room])
    ]
    return Page(line, messages)


def drag(link: str, room: str, pages: int, seconds: float) -> dict[str, Any]:
    """Drag on so many pages at once, and return frames a second of each page and the waits, after a first picture."""
    opened = [connect(link, room) for _ in range(pages)]
    told = selectors.DefaultSelector()
    for each in opened:
        told.register(each.line, selectors.EVENT_READ, each)
    _serve(told, opened, lambda: all(each.waits for each in opened), 60.0)
    for each in opened:
        each.waits.clear()
    began = time.perf_counter()
    _serve(told, opened, lambda: time.perf_counter() - began > seconds, seconds + 60)
    took = time.perf_counter() - began
    for each in opened:
        each.line.close()
    waits = sorted(wait for each in opened for wait in each.waits)
    return {
        "room": room, "pages": pages, "seconds": took, "least": min(len(each.waits) for each in opened) / took,
        "mean": len(waits) / took / pages, "median_wait": waits[len(waits) // 2], "worst_wait": waits[-1],
    }  # fmt: skip


def _serve(told: selectors.BaseSelector, opened: list[Page], done: Any, limit: float) -> None:
    ends = time.perf_counter() + limit
    while not done():
        now = time.perf_counter()
        if now > ends:
            message = "the server does not answer"
            raise TimeoutError(message)
        for each in opened:
            if each.asked is None and now >= each.due:
                each.ask(now)
        for key, _ in told.select(0.002):
            key.data.read()


if __name__ == "__main__":
    link, room, pages, seconds = sys.argv[1:]
    print(json.dumps(drag(link, room, int(pages), float(seconds))))
