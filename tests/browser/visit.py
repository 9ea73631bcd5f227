"""A page of the playground as a person has it open, and what was said between it and the server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlparse

import numpy as np

from tools.browser import ROOT, Line, Playground

TABLES: dict[str, list[dict[str, Any]]] = json.loads((ROOT / "web/src/rooms/tables.json").read_text())["rooms"]
DRAWN = (ROOT / "web/src/rooms/rooms.ts").read_text()
ROOMS = [name for name in TABLES if f'"{name}"' in DRAWN]
"""The rooms that the front end shows."""
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PATIENCE = 30.0
"""Seconds to wait for the engine: the first picture of a room may compile a program."""


@dataclass
class Visit:
    """One page. line: its messages. strange: what it asked of others, and what went wrong in its console."""

    page: Any
    context: Any
    playground: Playground
    line: Line = field(default_factory=Line)
    strange: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, chromium: Any, playground: Playground, **options: Any) -> Visit:
        """Open an empty page; options are those of a browser context, such as viewport and color_scheme."""
        given = {"viewport": WIDE, "locale": "en-US", "color_scheme": "light", "accept_downloads": True, **options}
        context = chromium.new_context(**given)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        visit = cls(page, context, playground)
        visit.line.listen(page)
        page.on("request", visit._asked)
        page.on("pageerror", lambda error: visit.strange.append(f"error: {error}"))
        page.on("console", visit._told)
        return visit

    def _asked(self, request: Any) -> None:
        place = urlparse(request.url)
        if place.scheme not in ("data", "blob") and place.netloc != self.playground.host:
            self.strange.append(f"asked {request.url}")

    def _told(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.strange.append(f"console: {message.text}")

    def check(self) -> None:
        """Assert that the page kept to itself and that nothing went wrong."""
        assert not self.strange

    def open(self, room: str, **words: Any) -> Visit:
        """Go to a room by a link, and wait until it is drawn."""
        self.page.goto(self.playground.place(room, **words))
        self.page.locator("main h1").wait_for()
        self.until(lambda: bool(self.line.of("picture", room)))
        self.settle()
        return self

    def until(self, holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Wait until something holds, while the page lives on."""
        began = time.monotonic()
        while not holds():
            assert time.monotonic() - began < seconds, "this took too long"
            self.page.wait_for_timeout(10)

    def settle(self) -> None:
        """Wait until all that was asked for is answered and drawn, and the address has followed."""
        self.until(self._answered)
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def _answered(self) -> bool:
        asked = [each["id"] for each, _ in self.line.asked if each["do"] in ("open", "set")]
        heard = [each.get("id", -1) for each, _ in self.line.heard if each["is"] in ("picture", "error")]
        return bool(heard) and max(heard) >= max(asked)

    def picture(self, room: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return the newest picture of a room, settled: its JSON, and its arrays by name."""
        self.settle()
        held: dict[str, np.ndarray] = {}
        for content, buffers in self.line.of("picture", room):
            held = {each["name"]: held[each["name"]] for each in content.get("arrays", []) if each.get("held")}
            held |= arrays(content, buffers)
        return self.line.of("picture", room)[-1][0], held

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return self.page.locator(selector).first.inner_text()


def arrays(content: dict[str, Any], buffers: list[bytes]) -> dict[str, np.ndarray]:
    """Return the arrays that came with an answer, by name: not those that the page held already."""
    came = [told for told in content.get("arrays", []) if not told.get("held")]
    return {
        told["name"]: np.frombuffer(each, told["dtype"]).reshape(told["shape"])
        for told, each in zip(came, buffers, strict=False)
    }


@cache
def axe() -> str:
    """Return the source of axe-core, installed with the checks of the front end where it is not yet."""
    from tools import front_end

    front_end.install_checks()
    return (ROOT / "web/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
