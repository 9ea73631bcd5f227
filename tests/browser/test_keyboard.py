"""By keyboard alone: every control can be reached and seen to be, and whole rooms are worked without a pointer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.visit import ROOMS, Visit

Open = Callable[..., Visit]
MOST = 200
"""Stops of the Tab key in a room, at most."""
REACHABLE = """
() => {
  const asked = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const shown = (at) => at.checkVisibility({ visibilityProperty: true }) && !at.disabled && at.tabIndex >= 0;
  const radios = new Set();
  return [...document.querySelectorAll(asked)].filter((at) => {
    if (!shown(at)) return false;
    if (at.type !== "radio") return true;
    const first = !radios.has(at.name);
    radios.add(at.name);
    return first;
  }).length;
}
"""
FOCUSED = """
() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const box = at.getBoundingClientRect();
  const style = getComputedStyle(at);
  const marked = [at, ...at.querySelectorAll("*")].some((each) => {
    const own = getComputedStyle(each);
    return (own.outlineStyle !== "none" && parseFloat(own.outlineWidth) > 0) || own.boxShadow !== "none";
  });
  at.dataset.stop ??= String(Math.random());
  return { stop: at.dataset.stop, seen: box.width > 0 && box.height > 0 && style.visibility === "visible", marked,
    what: at.outerHTML.slice(0, 160) };
}
"""


@pytest.mark.parametrize("room", ROOMS)
def test_every_control_is_reached_by_tab_and_seen_to_be(visit: Open, room: str) -> None:
    page = visit().open(room).page
    wanted = page.evaluate(REACHABLE)
    stops: dict[str, dict[str, object]] = {}
    for _ in range(MOST):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at is None or at["stop"] in stops:
            break
        stops[at["stop"]] = at
    assert len(stops) == wanted
    assert [each["what"] for each in stops.values() if not (each["seen"] and each["marked"])] == []


def test_the_rooms_are_a_list_of_tabs_for_arrow_keys(visit: Open) -> None:
    here = visit().open(ROOMS[0])
    for name in [*ROOMS[1:], ROOMS[0]]:
        here.page.get_by_role("tab", selected=True).press("ArrowRight")
        here.until(lambda name=name: f"room={name}" in here.page.url)
        assert here.page.evaluate("() => document.activeElement.getAttribute('aria-selected')") == "true"


def test_the_first_stop_leads_past_the_tabs(visit: Open) -> None:
    page = visit().open("one-weight").page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("() => document.activeElement.tagName") == "MAIN"


def test_one_weight_is_worked_by_keys(visit: Open) -> None:
    here = visit().open("one-weight")
    page = here.page
    rate = page.get_by_role("slider", name="Learning rate").first
    start = page.get_by_role("slider", name="Starting weight")
    rate.press("ArrowRight")
    here.settle()
    assert here.line.asked[-1][0]["state"]["rate"] == pytest.approx(1.05)
    assert rate.get_attribute("aria-valuetext") == "1.05, sweet spot"
    start.press("ArrowLeft")
    here.settle()
    assert here.line.asked[-1][0]["state"]["start"] == pytest.approx(-4.1)
    start.press("End")
    shown = page.get_by_label("Step shown")
    last = int(shown.get_attribute("max"))
    assert int(shown.input_value()) == last
    start.press(",")
    assert int(shown.input_value()) == last - 1
    start.press("Home")
    start.press(".")
    assert int(shown.input_value()) == 1
    page.get_by_label("Speed").select_option("100")
    start.press(" ")
    here.until(lambda: int(shown.input_value()) == last)
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    here.settle()
    assert here.line.asked[-1][0]["state"] == here.line.asked[0][0]["state"]
    page.keyboard.press("Control+Shift+z")
    here.settle()
    assert here.line.asked[-1][0]["state"]["rate"] == pytest.approx(1.05)


def test_two_weights_are_worked_by_keys(visit: Open) -> None:
    here = visit().open("two-weights", f="himmelblau", r="0.01", n="200")
    page = here.page
    handle = page.get_by_role("button", name="Start (")
    handle.press("ArrowRight")
    handle.press("Shift+ArrowUp")
    here.settle()
    state, box = here.line.asked[-1][0]["state"], here.picture("two-weights")[0]["box"]
    assert state["start_x"] == pytest.approx((box[0][1] - box[0][0]) / 100)
    assert state["start_y"] == pytest.approx((box[1][1] - box[1][0]) / 10)
    momentum = page.get_by_label("Momentum", exact=True).first
    momentum.press(" ")
    here.settle()
    assert [each["rule"] for each in here.picture("two-weights")[0]["runs"]] == ["plain", "momentum"]


def test_words_and_a_table_stand_for_a_picture(visit: Open) -> None:
    here = visit().open("one-weight", r="0.8", n="1")
    page = here.page
    page.get_by_role("button", name="In words and as a table: The loss and every step").press("Enter")
    cells = page.get_by_role("region", name="The loss and every step: As a table").locator("tbody tr").all_inner_texts()
    assert [each.split("\t")[:2] for each in cells] == [["0", "−4"], ["1", "−2"]]


def test_reduced_motion_is_honoured(visit: Open) -> None:
    page = visit(reduced_motion="reduce").open("one-weight").page
    longest = """() => Math.max(...[...document.querySelectorAll("*")].map((at) => {
      const style = getComputedStyle(at);
      return Math.max(parseFloat(style.transitionDuration) || 0, parseFloat(style.animationDuration) || 0);
    }))"""
    assert page.evaluate(longest) <= 0.01
