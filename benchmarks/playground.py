"""The playground as a person meets it: paint, drags and frames in a real browser, and a hundred pages at once."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.race import Effort
from benchmarks.results import Figure, seconds
from benchmarks.watching import first_paint, redraws, train, typical
from tools.browser import Line, Playground, chromium, playground

LIGHT = ("one-weight", "two-weights")
PAGES, LOAD_SECONDS = 100, 10.0
MOVES = 60
TRAIN_SECONDS, SPEED = 8.0, "5000"
"""Seconds that the network trains, and the updates a second that are asked for."""
ALLOWED = {"paint": 1.0, "redraw": 0.05, "frames": 55.0, "updates": 1000.0, "load": 10.0, "freed": 5.0}
"""The targets of the playground."""


def figures(effort: Effort) -> list[Figure]:
    """Return every figure of this page; the front end is built where it is not."""
    with playground() as served, chromium() as browser:
        found = [*_paint(browser, served, effort.repeats)]
        for room in LIGHT:
            found += _drags(browser, served, room)
        found += _training(browser, served)
    for room in LIGHT:
        with playground() as served:
            found += _load(served, room)
    return found


def _paint(browser: Any, served: Playground, repeats: int) -> list[Figure]:
    first_paint(browser, served, LIGHT[0])  # the first page of all finds an engine that has yet to be loaded
    times = [first_paint(browser, served, LIGHT[0]) for _ in range(repeats)]
    paint, drawn = (statistics.median(each) for each in zip(*times, strict=True))
    return [
        _within(
            "playground, first paint of a page", paint, ALLOWED["paint"], f"its first picture after {seconds(drawn)}"
        )
    ]


def _opened(browser: Any, served: Playground, room: str) -> tuple[Any, Any, Line]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, line = context.new_page(), Line()
    line.listen(page)
    page.goto(served.place(room))
    page.locator("main figure").first.wait_for()
    page.wait_for_timeout(500)
    return context, page, line


def _drags(browser: Any, served: Playground, room: str) -> list[Figure]:
    context, page, _ = _opened(browser, served, room)
    redraws(page, 10)
    middle, slow = typical(redraws(page, MOVES))
    context.close()
    note = f"19 of 20 within {seconds(slow)}, the wait for the screen's next frame included"
    return [_within(f"playground, from drag to redraw, {room}", middle, ALLOWED["redraw"], note)]


def _training(browser: Any, served: Playground) -> list[Figure]:
    context, page, line = _opened(browser, served, "network")
    page.get_by_label("Speed").select_option(SPEED)
    found = train(page, line, TRAIN_SECONDS)
    context.close()
    note = f"{found['got']:.0f} of them with new weights; longest {seconds(found['longest'])}"
    return [
        _above("playground, frames a second while a network trains", found["drawn"], ALLOWED["frames"], note),
        _above("playground, updates a second meanwhile", found["updates"], ALLOWED["updates"], f"{SPEED} asked for"),
    ]


def _load(served: Playground, room: str) -> list[Figure]:
    before = _cpu(served.pid)
    found = load(served.link, room, PAGES, LOAD_SECONDS)
    spent = 1000 * (_cpu(served.pid) - before) / (found["mean"] * PAGES * found["seconds"])
    note = f"the page with the fewest; {found['mean']:.1f} on average; the server spends {spent:.2f} ms a picture"
    freed = _until(lambda: _lines(served) == 0)
    return [
        _above(f"playground, {PAGES} pages at once, {room}, frames a second", found["least"], ALLOWED["load"], note),
        _within(f"playground, {PAGES} pages closed, until their sessions are free", freed, ALLOWED["freed"]),
    ]


def load(link: str, room: str, pages: int, duration: float) -> dict[str, Any]:
    """Return what many pages at once get, driven from a process of their own."""
    command = [sys.executable, "-m", "benchmarks.load", link, room, str(pages), str(duration)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    return json.loads(done.stdout)


def _cpu(process: int) -> float:
    """Return the seconds of processor that a process has used, all of its threads together."""
    parts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / 100


def _lines(served: Playground) -> int:
    """Return how many lines of pages the server holds open."""
    port = f"{int(served.host.rpartition(':')[2]):04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port}") and row[3] in ("01", "08") for row in rows)


def _until(holds: Callable[[], bool]) -> float:
    began = time.perf_counter()
    while not holds() and time.perf_counter() - began < 60:
        time.sleep(0.01)
    return time.perf_counter() - began


def _within(claim: str, measured: float, limit: float, note: str = "") -> Figure:
    words = seconds(measured), seconds(limit)
    return Figure(claim, *words, "limit", measured, limit, at_least=False, unit=" s", note=note)


def _above(claim: str, measured: float, wanted: float, note: str = "") -> Figure:
    return Figure(claim, f"{measured:,.0f}", f"{wanted:,.0f}", "wanted", measured, wanted, unit="", note=note)
