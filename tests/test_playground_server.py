"""A real server on a free port and real lines to it: who is let in, what is refused, and that nobody else is harmed."""

from __future__ import annotations

import gc
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from downslope.errors import OptionError
from downslope.playground import limits
from downslope.playground.gate import Gate, check_host, listen, new_token
from downslope.playground.server import LATER, MALFORMED, REFUSED, Playground, server
from downslope.playground.session import Session
from downslope.playground.wire import pack, unpack


@dataclass
class Served:
    """A server that runs, and how to reach it. sends: what sends to each page, as its session was given it."""

    playground: Playground
    port: int
    token: str
    sends: list[Callable[..., None]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def line(self, token: str | None = None, origin: str | None = None, host: str | None = None) -> ClientConnection:
        """Open a line; with the right token and origin where none is named."""
        host = host or self.host
        asked = f"ws://{host}/ws?token={quote(self.token if token is None else token)}"
        given: Any = f"http://{host}" if origin is None else origin or None
        own = socket.create_connection(("127.0.0.1", self.port))
        try:
            return connect(asked, sock=own, origin=given, max_size=None, compression=None)
        except InvalidStatus:
            own.close()
            raise

    def get(self, path: str, host: str | None = None) -> http.client.HTTPResponse:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        line.request("GET", path, headers={} if host is None else {"Host": host})
        answer = line.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]
        line.close()
        return answer


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    listening = listen("127.0.0.1", 0)
    gate = Gate(new_token(), listening.getsockname()[1])
    sends: list[Callable[..., None]] = []

    def begin(send: Callable[..., None]) -> Session:
        sends.append(send)
        return Session(send)

    playground = Playground(gate, begin)
    running = server(playground)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    wait_until(lambda: running.started)
    yield Served(playground, gate.port, gate.token, sends)
    running.should_exit = True
    thread.join(10)
    playground.close()
    listening.close()
    assert not thread.is_alive()


def wait_until(holds: Callable[[], bool], seconds: float = 5.0) -> float:
    """Wait until something holds, and return how long that took; fails where it takes longer."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "this took too long"
        time.sleep(0.01)
    return time.monotonic() - began


def ask(line: ClientConnection, number: int = 1, **state: Any) -> dict[str, Any]:
    """Ask for a picture of the room of one weight, and return the answer's JSON."""
    line.send(pack({"do": "open", "room": "one-weight", "id": number, "state": state}))
    while True:
        content, _ = unpack(line.recv(timeout=20), 1 << 20)
        if content.get("id") == number:
            return content


def closed_with(line: ClientConnection) -> int:
    """Read until the line is closed, and return the code."""
    while True:
        try:
            line.recv(timeout=10)
        except ConnectionClosed as error:
            return 0 if error.rcvd is None else error.rcvd.code


def test_the_picture_comes_over_the_line_and_reproduces_the_exercise(served: Served) -> None:
    with served.line() as line:
        assert [ask(line, 7, rate=rate)["needed"] for rate in (0.1, 1.0, 1.6)] == [81, 6, 1]
        assert ask(line, 8, rate=4.0)["verdict"] == "diverged"


@pytest.mark.parametrize(
    ("token", "origin", "host"),
    [
        ("wrong", None, None), ("", None, None), ("é", None, None), (None, "http://evil.example", None),
        (None, "", None), (None, "null", None), (None, None, "evil.example"), (None, None, "127.0.0.1:1"),
    ],
)  # fmt: skip
def test_a_stranger_gets_no_line(served: Served, token: str | None, origin: str | None, host: str | None) -> None:
    before = set(served.playground.sessions)
    with pytest.raises(InvalidStatus) as caught:
        served.line(token, origin, host)
    assert caught.value.response.status_code == 403
    assert set(served.playground.sessions) <= before


def test_the_page_needs_its_token(served: Served) -> None:
    assert served.get("/").status == 403
    assert served.get("/?token=wrong").status == 403
    assert served.get(f"/?token={served.token}").status in (200, 503)  # 503 where the front end is not built


def test_a_name_that_is_not_ours_is_turned_away(served: Served) -> None:
    assert served.get(f"/?token={served.token}", host="evil.example").status == 421
    assert served.get(f"/?token={served.token}", host=f"localhost:{served.port}").status in (200, 503)
    assert served.get("/start.js", host="x" * 300).status == 421


@pytest.mark.parametrize("path", ["/?token=wrong", "/start.js", "/front/../pyproject.toml", "/nowhere"])
def test_every_answer_keeps_itself_to_itself(served: Served, path: str) -> None:
    found = dict(served.get(path).getheaders())
    policy = {part.split()[0]: part.split()[1:] for part in found["content-security-policy"].split("; ")}
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["connect-src"] == ["'self'", f"ws://{served.host}", f"wss://{served.host}"]
    assert found["x-content-type-options"] == "nosniff"
    assert found["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "path", ["/front/../server.py", "/front/..%2f..%2fpyproject.toml", "/front//etc/passwd", "/front/%2e%2e/page.py"]
)
def test_no_file_but_the_built_ones_is_given_out(served: Served, path: str) -> None:
    assert served.get(path).status == 404


@pytest.mark.parametrize("pieces", [1, 10_000])
def test_an_oversize_message_ends_its_line_alone(served: Served, pieces: int) -> None:
    with served.line() as other, served.line() as line:
        size = limits.MESSAGE_BYTES + 1 if pieces == 1 else 10_000
        with suppress(ConnectionClosed):
            line.send(bytes(size) for _ in range(pieces))
        assert closed_with(line) in (1009, 0)  # 0 where the line broke before the reason was read
        assert ask(other)["needed"] == 6


@pytest.mark.parametrize("frame", [b"", b"\xff\xff\xff\xff", b"\2\0\0\0[]", pack({"do": "open"}) + b"x", "a text"])
def test_a_malformed_message_ends_its_line_alone(served: Served, frame: bytes | str) -> None:
    with served.line() as other, served.line() as line:
        line.send(frame)
        assert closed_with(line) == MALFORMED
        assert ask(other)["needed"] == 6


def test_endless_messages_end_their_line_alone(served: Served) -> None:
    with served.line() as other, served.line() as line:
        message = pack({"do": "pause", "room": "one-weight", "id": 1})
        for _ in range(2 * int(limits.MESSAGES_A_SECOND * limits.MESSAGES_SECONDS)):
            try:
                line.send(message)
            except ConnectionClosed:
                break
        assert closed_with(line) == REFUSED
        assert ask(other)["needed"] == 6


@pytest.mark.parametrize(
    "message",
    [
        {"do": "open", "room": "one-weight", "id": 3, "state": {"rate": "fast"}},
        {"do": "open", "room": "one-weight", "id": 3, "state": {"function": "expression", "expression": "__import__"}},
        {"do": "open", "room": "../etc", "id": 3}, {"do": "format", "id": 3},
        {"do": "play", "room": "one-weight", "id": 3}, {"do": "open", "room": "one-weight", "id": 3, "state": [1]},
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_answered_and_the_room_goes_on(served: Served, message: dict[str, Any]) -> None:
    with served.line() as line:
        ask(line)
        line.send(pack(message))
        answer, _ = unpack(line.recv(timeout=10))
        assert answer["is"] == "error"
        assert answer["id"] == 3
        assert answer["message"]
        assert ask(line, 4)["needed"] == 6


def test_of_a_drag_the_last_settings_are_drawn(served: Served) -> None:
    with served.line() as line:
        ask(line)
        for number in range(10, 200):
            line.send(pack({"do": "set", "room": "one-weight", "id": number, "state": {"rate": 0.01 * number}}))
        seen: list[int] = []
        while not seen or seen[-1] < 199:
            seen.append(unpack(line.recv(timeout=10), 1 << 20)[0]["id"])
        assert seen == sorted(seen)


def test_closing_a_page_frees_its_session(served: Served) -> None:
    wait_until(lambda: not served.playground.sessions)
    with served.line() as line:
        ask(line)
        (session,) = served.playground.sessions
    assert wait_until(lambda: session not in served.playground.sessions) < 5.0


def test_a_page_that_vanishes_frees_its_session(served: Served) -> None:
    wait_until(lambda: not served.playground.sessions)
    with served.line() as line:
        ask(line)
        assert len(served.playground.sessions) == 1
        line.socket.shutdown(socket.SHUT_RDWR)
        assert wait_until(lambda: not served.playground.sessions) < 5.0


def test_a_flood_of_late_frames_leaves_memory_flat(served: Served) -> None:
    wait_until(lambda: not served.playground.sessions)
    before = len(served.sends)
    with served.line() as line:
        wait_until(lambda: len(served.sends) > before)  # the line stands before its session has begun
        send = served.sends[-1]
        frame = bytes(200_000)
        number = 0
        sizes: list[int] = []
        for second in range(3):
            for _ in range(24 * int(limits.FRAMES_A_SECOND)):  # a page reads none of them meanwhile
                number += 1
                send({"is": "frame", "room": "network", "id": 1, "number": number}, [frame])
            gc.collect()
            sizes.append(resident_bytes())
            del second
        assert sizes[2] - sizes[0] < 20 * len(frame), sizes
        seen: list[int] = []
        while not seen or seen[-1] < number:
            seen.append(unpack(line.recv(timeout=10))[0]["number"])
        assert seen == sorted(seen)
        assert len(seen) < number / 24, "late frames were queued"


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def test_one_page_too_many_is_told_to_come_later(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    wait_until(lambda: not served.playground.sessions)
    monkeypatch.setattr("downslope.playground.server.SESSIONS", 1)
    with served.line() as line:
        ask(line)
        with served.line() as another:
            assert closed_with(another) == LATER
        assert ask(line)["needed"] == 6


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.org"])
def test_beyond_loopback_needs_leave(host: str) -> None:
    with pytest.raises(OptionError, match="--allow-remote"):
        check_host(host, allow_remote=False)
    check_host(host, allow_remote=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_loopback_needs_none(host: str) -> None:
    check_host(host, allow_remote=False)


def test_a_port_in_use_is_one_sentence() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(OptionError, match="name another --port"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_remote_pages_are_known_by_address_where_every_address_is_listened_on() -> None:
    gate = Gate("token", 80, remote=True, named="0.0.0.0")
    assert gate.knows_host("192.168.1.7:8000")
    assert not gate.knows_host("evil.example")
    assert Gate("token", 80, remote=True, named="play.example").knows_host("play.example")
    assert gate.knows_origin("https://192.168.1.7", "192.168.1.7")
