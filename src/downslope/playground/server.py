"""The local server: one page, the built front end, and a line for each page to a session of its own.

Starlette and Uvicorn are loaded when a server is made. The event loop only moves bytes: every message is answered in
a thread, and what a session sends goes through an ``Outbox``, which keeps the newest and drops what is late, so that
neither a slow page nor a fast one costs memory, or another page its turn.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from downslope.playground.crew import Bell, Crew
from downslope.playground.gate import Gate
from downslope.playground.helpers import Door, Guest, can_help
from downslope.playground.inbox import FloodError, Inbox
from downslope.playground.limits import MESSAGE_BYTES, SESSIONS
from downslope.playground.outbox import Outbox
from downslope.playground.page import FRONT, NO_TOKEN, NOT_BUILT, PAGE, START, headers
from downslope.playground.session import Session
from downslope.playground.wire import Message, WireError, pack, unpack

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket
    from uvicorn import Server

MALFORMED, REFUSED, LATER = 1007, 1008, 1013
"""Why a line is closed: a frame that is no message; too many messages; too many pages."""
PING_SECONDS = 20.0
"""Seconds between two looks whether a silent page is still there."""
THREADS = 8
"""Threads that answer pages at most: so many may take long at once and leave the others to theirs."""
TURN_SECONDS = 5e-4
"""How long a thread may keep the interpreter to itself while the loop has bytes to move."""
Begin = Callable[[Callable[[Message, list[bytes]], None]], Session]
"""Makes the session of a page from what sends to it."""


class Playground:
    """All pages that are open, and the threads that answer them.

    alone: whether sessions begin with what only this process has, so that no other can help.
    """

    def __init__(self, gate: Gate, begin: Begin = Session) -> None:
        """Take who may come in, and how a session begins."""
        self.gate, self._begin = gate, begin
        self.alone = begin is not Session
        self.sessions: set[Session] = set()
        self._crew = Crew(THREADS)
        self._bell: Bell | None = None

    def app(self) -> Starlette:
        """Return the application."""
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.routing import Mount, Route, WebSocketRoute
        from starlette.staticfiles import StaticFiles

        routes = [
            Route("/", self._page),
            Route("/start.js", self._start),
            WebSocketRoute("/ws", self._line),
            Mount("/front", StaticFiles(directory=FRONT, check_dir=False)),
        ]
        return Starlette(routes=routes, middleware=[Middleware(_AtTheGate, gate=self.gate)])

    def close(self) -> None:
        """Free every session and thread."""
        for session in list(self.sessions):
            session.close()
        self._crew.close()

    async def _page(self, request: Request) -> Response:
        from starlette.responses import HTMLResponse, PlainTextResponse

        if not self.gate.knows_token(request.query_params):
            return PlainTextResponse(NO_TOKEN, 403)
        built = (FRONT / "downslope.js").is_file()
        return HTMLResponse(PAGE) if built else PlainTextResponse(NOT_BUILT, 503)

    async def _start(self, request: Request) -> Response:
        from starlette.responses import Response

        del request
        return Response(START, media_type="text/javascript")

    async def _line(self, websocket: WebSocket) -> None:
        """Hold the line of one page from its opening to its end."""
        host, origin = websocket.headers.get("host", ""), websocket.headers.get("origin", "")
        if not (self.gate.knows_origin(origin, host) and self.gate.knows_token(websocket.query_params)):
            await websocket.close(REFUSED)
            return
        await websocket.accept()
        if len(self.sessions) >= SESSIONS:
            await websocket.close(LATER, "too many pages are open; close one")
            return
        await self._serve(websocket)

    async def _serve(self, websocket: WebSocket) -> None:
        if self._bell is None:
            self._bell = Bell(asyncio.get_running_loop())
        bell = self._bell
        outbox, inbox = Outbox(bell), Inbox()
        session = self._begin(lambda content, buffers: outbox.put(content, pack(content, buffers)))
        self.sessions.add(session)
        tasks = [
            asyncio.create_task(each)
            for each in (_listen(websocket, inbox), self._answer(session, inbox, bell), _speak(websocket, outbox))
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.sessions.discard(session)
            session.close()
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _answer(self, session: Session, inbox: Inbox, bell: Bell) -> None:
        while True:
            await self._crew.run(bell, partial(session.receive, *await inbox.take()))


async def _listen(websocket: WebSocket, inbox: Inbox) -> None:
    """Take what a page sends until it goes, or is sent away."""
    from starlette.websockets import WebSocketDisconnect

    try:
        while True:
            frame = await _frame(websocket)
            inbox.count()
            inbox.put(*unpack(frame))
    except WebSocketDisconnect:
        return
    except WireError as error:
        await _send_away(websocket, MALFORMED, str(error))
    except FloodError as error:
        await _send_away(websocket, REFUSED, str(error))


async def _frame(websocket: WebSocket) -> bytes:
    from starlette.websockets import WebSocketDisconnect

    event: Any = await websocket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event.get("code", 1005))
    frame = event.get("bytes")
    if frame is None:
        message = "a message is a binary frame, not text"
        raise WireError(message)
    return frame


async def _send_away(websocket: WebSocket, code: int, reason: str) -> None:
    with suppress(RuntimeError, OSError):
        await websocket.close(code, reason[:120])


async def _speak(websocket: WebSocket, outbox: Outbox) -> None:
    """Send what there is, at the pace at which the page takes it."""
    from starlette.websockets import WebSocketDisconnect

    with suppress(WebSocketDisconnect, RuntimeError, OSError):
        while True:
            await websocket.send_bytes(await outbox.take())


class _AtTheGate:
    """Turns away requests whose Host is not ours, and puts the headers on every answer."""

    def __init__(self, app: Any, gate: Gate) -> None:
        self.app, self.gate = app, gate

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
        if not self.gate.knows_host(host):
            await self._refuse(scope, receive, send)
            return
        more = [(name.lower().encode(), value.encode()) for name, value in headers(host).items()]

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self.app(scope, receive, with_headers)

    async def _refuse(self, scope: Any, receive: Any, send: Any) -> None:
        from starlette.responses import PlainTextResponse
        from starlette.websockets import WebSocketClose

        answer = (
            PlainTextResponse("This server does not go by that name.\n", 421)
            if scope["type"] == "http"
            else WebSocketClose(REFUSED)
        )
        await answer(scope, receive, send)


def server(playground: Playground) -> Server:
    """Return a server for a socket that listens already; ``run(sockets=[...])`` serves until it is told to end."""
    import uvicorn

    config = uvicorn.Config(
        playground.app(), ws="websockets-sansio", ws_max_size=MESSAGE_BYTES, ws_per_message_deflate=False,
        ws_ping_interval=PING_SECONDS, ws_ping_timeout=PING_SECONDS, log_level="error", access_log=False,
        lifespan="off", timeout_graceful_shutdown=1, server_header=False, h11_max_incomplete_event_size=16 << 10,
    )  # fmt: skip
    return uvicorn.Server(config)


def _lock_database() -> None:
    """Take from DuckDB, for the rest of this process, the right to open files: tables come to it in memory."""
    from downslope.data.database import connection

    connection().execute("set enable_external_access = false")


def serve(playground: Playground, listening: socket.socket) -> None:
    """Serve until Ctrl-C, with helpers where many pages come, and free everything."""
    door = Door(playground.gate, lambda: len(playground.sessions))
    with _ready(playground), suppress(KeyboardInterrupt):
        if playground.alone or not can_help():
            server(playground).run(sockets=[listening])
        else:
            asyncio.run(_serve_with(server(playground), lambda running: door.keep(running, listening), door.close))


def serve_beside(playground: Playground, line: socket.socket) -> None:
    """Serve what another process hands over, until that ends."""
    with _ready(playground), suppress(KeyboardInterrupt):
        asyncio.run(_serve_with(server(playground), lambda running: Guest(running, line).stay()))


async def _serve_with(
    running: Server, beside: Callable[[Server], Awaitable[None]], after: Callable[[], None] = lambda: None
) -> None:
    """Run a server that listens nowhere beside what brings it connections."""
    bringing = asyncio.ensure_future(beside(running))
    try:
        await running.serve(sockets=[])
    finally:
        bringing.cancel()
        with suppress(asyncio.CancelledError):
            await bringing
        after()


@contextmanager
def _ready(playground: Playground) -> Generator[None]:
    """Make this process one that serves, and free everything at the end."""
    _lock_database()
    before = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        playground.close()
