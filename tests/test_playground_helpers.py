"""A playground with more pages than one process should draw: helpers take them, and nobody notices."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from downslope.playground.helpers import PAGES_ALONE, PAGES_WAIT, can_help
from downslope.playground.wire import pack, unpack

pytestmark = pytest.mark.skipif(not can_help(), reason="no other core, or a system that hands no sockets on")
PAGES = 2 * PAGES_WAIT
PATIENCE = 60.0


@dataclass
class Class:
    """A playground as it is started by a person, and its link."""

    process: subprocess.Popen[str]
    link: str

    def line(self, stack: ExitStack, token: str = "") -> ClientConnection:
        place = urlparse(self.link)
        own = socket.create_connection((str(place.hostname), int(place.port or 0)))
        stack.callback(own.close)
        asked = f"ws://{place.netloc}/ws?{token or place.query}"
        return stack.enter_context(
            connect(asked, sock=own, origin=f"http://{place.netloc}", open_timeout=PATIENCE, compression=None)  # type: ignore[arg-type]
        )

    def helpers(self) -> list[int]:
        """Return the process numbers of the helpers."""
        found: list[int] = []
        for each in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((each / "stat").read_text().rpartition(")")[2].split()[1])
                told = (each / "cmdline").read_text()
            except OSError:
                continue
            if parent == self.process.pid and "playground.helper_process" in told:
                found.append(int(each.name))
        return found


@pytest.fixture
def room() -> Iterator[Class]:
    process = subprocess.Popen(
        [sys.executable, "-m", "downslope", "play", "--no-browser"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process:
        yield Class(process, process.stdout.readline().strip())
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def needed(line: ClientConnection, rate: float) -> int:
    """Return the steps that the engine took at a rate."""
    line.send(pack({"do": "open", "room": "one-weight", "id": 1, "state": {"rate": rate}}))
    content, _ = unpack(line.recv(timeout=PATIENCE), 1 << 20)  # type: ignore[arg-type]
    return int(content["needed"])  # type: ignore[arg-type]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
def test_a_class_is_dealt_out_to_helpers_that_come_and_go(room: Class) -> None:
    with ExitStack() as stack:
        for _ in range(PAGES_ALONE):
            assert needed(room.line(stack), 1.6) == 1
        assert room.helpers() == [], "a few pages are drawn by one process"
        pages = [room.line(stack) for _ in range(PAGES - PAGES_ALONE)]
        assert [needed(each, 0.1) for each in pages] == [81] * len(pages)
        helpers = room.helpers()
        assert helpers
        with pytest.raises(InvalidStatus):
            room.line(stack, "token=wrong")
        os.kill(helpers[0], signal.SIGKILL)
        lost = 0
        for each in pages:
            try:
                assert needed(each, 1.0) == 6
            except ConnectionClosed:
                lost += 1
        assert 0 < lost < len(pages), "the pages of one helper, and no others"
        assert [needed(room.line(stack), 1.6) for _ in range(lost)] == [1] * lost
    others = room.helpers()
    room.process.send_signal(signal.SIGINT)
    room.process.wait(20)
    assert not [each for each in others if Path(f"/proc/{each}").exists()]
