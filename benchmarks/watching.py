"""What a person waits for, measured in the page: first paint, redraw after a drag, frames while a network trains."""

from __future__ import annotations

import statistics
from itertools import pairwise
from typing import Any

from tools.browser import Playground

WATCH_PAINT = """
new MutationObserver((_, watch) => {
  if (!document.querySelector("main figure svg, main figure canvas")) return;
  watch.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.drawn = performance.now(); }));
}).observe(document, { childList: true, subtree: true });
"""
PAINTED = """() => window.drawn && ({
  paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime / 1000, drawn: window.drawn / 1000 })"""
WATCH_DRAG = """
(way) => {
  let moved = 0;
  window.redraws = [];
  addEventListener("pointermove", (event) => { moved ||= event.timeStamp; }, true);
  new MutationObserver(() => {
    const since = moved;
    moved = 0;
    if (since) requestAnimationFrame(() => setTimeout(() => window.redraws.push(performance.now() - since)));
  }).observe(document.querySelector(way), { attributes: true, attributeFilter: ["d"] });
}
"""
"""Milliseconds from a move of the pointer to the end of the frame that shows the steps drawn again."""
WATCH_FRAMES = """
(seconds) => new Promise((done) => {
  const times = [];
  const next = (now) => {
    times.push(now);
    if (now - times[0] < 1000 * seconds) requestAnimationFrame(next);
    else done(times);
  };
  requestAnimationFrame(next);
})
"""
WAY = "main figure svg path.way:not(.ghost):not(.ahead)"
FIELD = "main figure svg .field"


def first_paint(browser: Any, playground: Playground, room: str) -> tuple[float, float]:
    """Return the seconds to the first paint of a page that was never open, and to the first picture of its room."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        page.add_init_script(WATCH_PAINT)
        page.goto(playground.place(room))
        found = page.wait_for_function(PAINTED).json_value()
        return found["paint"], found["drawn"]
    finally:
        context.close()


def redraws(page: Any, moves: int, apart: float = 40.0) -> list[float]:
    """Drag across the first picture of a light room that is open, and return the seconds that each redraw took.

    apart: milliseconds between two moves, as many as a hand leaves that follows what it sees.
    """
    page.evaluate(WATCH_DRAG, WAY)
    box = page.locator(FIELD).first.bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    for move in range(moves):
        share = 0.2 + 0.6 * move / moves
        page.mouse.move(box["x"] + share * box["width"], box["y"] + (0.5 + 0.2 * (share - 0.5)) * box["height"])
        page.wait_for_timeout(apart)
    page.mouse.up()
    page.wait_for_timeout(200)
    return [each / 1000 for each in page.evaluate("() => window.redraws")]


def frames_a_second(page: Any, seconds: float) -> tuple[float, float]:
    """Return the frames a second that a page draws, and the longest that one of them took, in seconds."""
    times = page.evaluate(WATCH_FRAMES, seconds)
    gaps = [after - before for before, after in pairwise(times)]
    return 1000 * len(gaps) / (times[-1] - times[0]), max(gaps) / 1000


def train(page: Any, line: Any, seconds: float) -> dict[str, float]:
    """Play the room of networks that is open, and return frames a second drawn and got, and updates a second."""
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_timeout(1000)
    first = line.of("frame", "network")
    drawn, longest = frames_a_second(page, seconds)
    last = line.of("frame", "network")
    page.get_by_role("button", name="Pause", exact=True).click()
    updates = last[-1][0]["update"] - first[-1][0]["update"]
    got = len(last) - len(first)
    return {"drawn": drawn, "got": got / seconds, "updates": updates / seconds, "longest": longest}


def typical(times: list[float]) -> tuple[float, float]:
    """Return the median of times, and the one that nineteen of twenty stay below."""
    return statistics.median(times), sorted(times)[int(0.95 * (len(times) - 1))]
