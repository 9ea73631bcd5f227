"""A real browser on a real playground: what the browser tests, the pictures of the READMEs and the benchmark share.

The browser is Debian's Chromium, driven by Playwright for Python; nothing is downloaded. The playground is the command
``downslope play`` in a process of its own, as a person runs it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlparse

from downslope.playground.wire import unpack
from tools import front_end

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-dev-shm-usage", "--font-render-hinting=none", "--hide-scrollbars",
)  # fmt: skip
"""Options of a browser that starts as root, without a display, and asks nobody for anything."""
MOST_JSON = 16 << 20
"""Longest JSON of an answer that is read."""
OURS_ALONE = ("JAX_ENABLE_X64", "JAX_PLATFORMS")
"""What a test run sets for itself, and a person's playground does not have."""


def find_browser() -> str | None:
    """Return the path of a Chromium, None where there is none; DOWNSLOPE_CHROMIUM names another."""
    named = os.environ.get("DOWNSLOPE_CHROMIUM")
    return named or next(filter(None, (shutil.which(name) for name in NAMES)), None)


@contextmanager
def chromium(*options: str) -> Iterator[Any]:
    """Run a browser without a window; more options of it may be given. Raises LookupError where there is none."""
    from playwright.sync_api import sync_playwright

    found = find_browser()
    if found is None:
        message = "no Chromium is installed; on Debian: apt-get install chromium"
        raise LookupError(message)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*QUIET, *options])
        try:
            yield browser
        finally:
            browser.close()


@dataclass(frozen=True)
class Playground:
    """A playground that runs. link: as it was printed, token included. pid: its process."""

    link: str
    pid: int

    @property
    def host(self) -> str:
        """Host and port."""
        return urlparse(self.link).netloc

    def place(self, room: str, **words: Any) -> str:
        """Return the link to a room, with words of the fragment such as lang and short names of settings."""
        return f"{self.link.split('#')[0]}#{urlencode({'room': room, **words})}"


@contextmanager
def playground(*arguments: str) -> Iterator[Playground]:
    """Run ``downslope play`` with more arguments until the block ends; the front end is built where it is not."""
    if not front_end.is_built():
        front_end.build()
    command = [sys.executable, "-m", "downslope", "play", *arguments, "--no-browser"]
    told = {name: value for name, value in os.environ.items() if name not in OURS_ALONE}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=told) as process:
        try:
            link = process.stdout.readline().strip() if process.stdout else ""
            if not link:
                message = "downslope play ended before it printed its link"
                raise RuntimeError(message)
            yield Playground(link, process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass
class Line:
    """What went over the WebSockets of a page, as it was heard. asked, heard: JSON and buffers, oldest first."""

    asked: list[tuple[dict[str, Any], list[bytes]]] = field(default_factory=list)
    heard: list[tuple[dict[str, Any], list[bytes]]] = field(default_factory=list)

    def listen(self, page: Any) -> None:
        """Hear all that a page sends and gets from now on."""
        page.on("websocket", self._meet)

    def _meet(self, socket: Any) -> None:
        socket.on("framesent", lambda frame: self._keep(self.asked, frame))
        socket.on("framereceived", lambda frame: self._keep(self.heard, frame))

    def _keep(self, kept: list[tuple[dict[str, Any], list[bytes]]], frame: Any) -> None:
        if isinstance(frame, bytes):
            kept.append(unpack(frame, MOST_JSON))

    def of(self, kind: str, room: str | None = None) -> list[tuple[dict[str, Any], list[bytes]]]:
        """Return the answers of a kind, of one room or of any, oldest first."""
        return [each for each in self.heard if each[0]["is"] == kind and room in (None, each[0]["room"])]
