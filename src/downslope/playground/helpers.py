"""A playground in several processes: an interpreter draws one picture at a time, and a class has many pages.

The process that was started accepts every connection and keeps the first pages to itself. When there are more it
starts helpers, servers with the same gate, one for each other core. From then on a connection goes, as an open socket,
to the process that has the fewest; pages, sessions and rooms know nothing of it.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from downslope.machine import cores
from downslope.playground.gate import Gate

if TYPE_CHECKING:
    from uvicorn import Server

PROGRAM = "downslope.playground.helper_process"
PAGES_ALONE = 6
"""Pages of the first process at which it starts helpers."""
PAGES_WAIT = 12
"""Pages of the first process from which on a connection waits until the helpers stand, or ``START_SECONDS``."""
START_SECONDS = 20.0
AGAIN_SECONDS = 0.05
"""Until the next try where a connection could not be accepted."""
MOST = 7
"""Helpers at most."""
REPORT_SECONDS = 0.1
"""Between two looks of a helper at how many connections it has."""
END_SECONDS = 3.0
"""That a helper is given to end by itself."""
REPORT = struct.Struct("<II")
"""What a helper reports: the connections that it has been given so far, and those that are open."""


class Helper:
    """A helper as the first process sees it."""

    def __init__(self, gate: Gate) -> None:
        """Start its process, and tell it who may come in; it serves once ``ready`` is set."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM, str(theirs.fileno())],
                stdin=subprocess.PIPE, pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the first process, whose end is theirs
            )  # fmt: skip
        assert self._process.stdin is not None
        with self._process.stdin as told:
            told.write(json.dumps(asdict(gate)).encode())
        ours.setblocking(False)
        self._line = ours
        self._reports = b""
        self._given = self._taken = self._open = 0
        self.ready, self.gone = asyncio.Event(), False
        asyncio.get_running_loop().add_reader(ours, self._listen)

    @property
    def load(self) -> int:
        """The connections that it has."""
        return self._given - self._taken + self._open

    def take(self, connection: socket.socket) -> bool:
        """Give it a connection; return whether it could be given."""
        try:
            socket.send_fds(self._line, [b"c"], [connection.fileno()])
        except OSError:
            return False
        self._given += 1
        connection.close()
        return True

    def end(self) -> None:
        """Let it end, and wait until it has."""
        asyncio.get_running_loop().remove_reader(self._line)
        self._line.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        """Read what it reports; the last report counts."""
        try:
            told = self._line.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            told = b""
        if not told:
            self.gone = True
            asyncio.get_running_loop().remove_reader(self._line)
        self._reports += told
        whole = len(self._reports) // REPORT.size * REPORT.size
        if whole:
            self._taken, self._open = REPORT.unpack_from(self._reports, whole - REPORT.size)
            self._reports = self._reports[whole:]
        self.ready.set()


class Door:
    """Takes the connections of a listening socket, and deals them out."""

    def __init__(self, gate: Gate, pages: Callable[[], int]) -> None:
        """Take who may come in, and what tells how many pages the first process has."""
        self._gate, self._pages = gate, pages
        self._helpers: list[Helper] = []
        self._wait_until = 0.0

    async def keep(self, server: Server, listening: socket.socket) -> None:
        """Deal connections out for as long as the loop runs."""
        loop = asyncio.get_running_loop()
        listening.setblocking(False)
        await _started(server)
        while True:
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError:  # a page that has gone again, or no more files may be open: others will go
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            await self._give(server, connection)

    def close(self) -> None:
        """End the helpers."""
        for each in self._helpers:
            each.end()

    async def _give(self, server: Server, connection: socket.socket) -> None:
        pages = self._pages()
        if pages >= PAGES_ALONE and not self._wait_until:
            self._wait_until = time.monotonic() + START_SECONDS
            with suppress(OSError):  # no more processes: the pages are drawn here
                for _ in range(min(MOST, cores() - 1)):
                    self._helpers.append(Helper(self._gate))
        if pages >= PAGES_WAIT:
            await self._wait()
        there = [each for each in self._helpers if each.ready.is_set() and not each.gone]
        fewest = min(there, key=lambda each: each.load, default=None)
        if fewest is not None and fewest.load < len(server.server_state.connections) and fewest.take(connection):
            return
        await serve_here(server, connection)

    async def _wait(self) -> None:
        coming = [each.ready.wait() for each in self._helpers if not each.ready.is_set()]
        if coming:
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*coming), max(0.0, self._wait_until - time.monotonic()))


def can_help() -> bool:
    """Return whether helpers are of use here: other cores, and a system that hands open sockets on."""
    return hasattr(socket, "send_fds") and cores() > 1


async def _started(server: Server) -> None:
    while not server.started:
        await asyncio.sleep(0.005)


async def serve_here(server: Server, connection: socket.socket) -> None:
    """Serve a connection that was accepted elsewhere by a server that has started."""
    protocol = partial(
        server.config.http_protocol_class,
        config=server.config, server_state=server.server_state, app_state=server.lifespan.state,
    )  # fmt: skip
    connection.setblocking(False)
    with suppress(OSError):
        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)


class Guest:
    """A helper as it sees itself: serves the connections that come over a line until the line closes."""

    def __init__(self, server: Server, line: socket.socket) -> None:
        """Take a server that listens nowhere, and the line."""
        self._server, self._line = server, line
        self._taken = 0
        self._coming: set[asyncio.Task[None]] = set()

    async def stay(self) -> None:
        """Serve, and report now and then how much there is to do."""
        await _started(self._server)
        self._line.setblocking(False)
        asyncio.get_running_loop().add_reader(self._line, self._listen)
        before = b""
        while not self._server.should_exit:
            there = len(self._server.server_state.connections) + len(self._coming)
            report = REPORT.pack(self._taken, there)
            if report != before:
                with suppress(OSError):
                    self._line.send(report)
                before = report
            await asyncio.sleep(REPORT_SECONDS)

    def _listen(self) -> None:
        try:
            told, sockets, _, _ = socket.recv_fds(self._line, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            told, sockets = b"", []
        if not told:
            self._server.should_exit = True
            asyncio.get_running_loop().remove_reader(self._line)
        for each in sockets:
            self._taken += 1
            task = asyncio.create_task(serve_here(self._server, socket.socket(fileno=each)))
            self._coming.add(task)
            task.add_done_callback(self._coming.discard)
