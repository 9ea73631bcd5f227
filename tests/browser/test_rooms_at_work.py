"""The rooms of batches, valleys and networks, worked by keys alone, compared, linked and taken along as Python."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.browser.visit import Visit

Open = Callable[..., Visit]


def python_of(here: Visit) -> str:
    """Return what the Python that a room gives prints."""
    here.page.get_by_role("button", name="Copy the Python").click()
    code = here.page.evaluate("() => navigator.clipboard.readText()")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


def choose(here: Visit, name: str, value: str) -> None:
    """Write a value into the field of a setting, by keys."""
    row = here.page.locator("aside .field", has_text=name).locator("input[type=text]").first
    row.fill(value)
    row.press("Enter")
    here.settle()


def kept_and_now(page: Any) -> dict[str, tuple[str, str]]:
    """Return the table of two runs, by the name of the row."""
    rows = [each.split("\t") for each in page.get_by_label("Two runs, one start").locator("tbody tr").all_inner_texts()]
    return {name.strip(): (kept, now) for name, kept, now in rows}


def updates_of(here: Visit) -> int:
    """Return the update that the room of networks stands at."""
    told = [content for content, _ in here.line.heard if content["is"] in ("frame", "picture") and "update" in content]
    return int(told[-1]["update"]) if told else 0


def test_batches_are_worked_by_keys(visit: Open) -> None:
    here = visit().open("batches")
    page = here.page
    first = here.picture("batches")[0]
    page.get_by_role("slider", name="Batch size").press("End")
    here.settle()
    full = here.picture("batches")
    assert full[0]["batch"] == first["rows"]
    assert full[1]["cloud"] == pytest.approx(np.tile(full[0]["gradient"], (300, 1)), rel=1e-4)
    page.get_by_role("button", name="Updates", exact=True).press("Enter")
    shown = page.get_by_label("Step shown")
    shown.press("Home")
    shown.press(".")
    assert shown.input_value() != "0"
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    here.settle()
    assert here.line.asked[-1][0]["state"] == here.line.asked[0][0]["state"]


def test_ways_in_batches_are_compared_from_one_start(visit: Open) -> None:
    here = visit().open("batches")
    here.page.get_by_role("button", name="Keep this run to compare").click()
    choose(here, "Learning rate", "0.2")
    told = kept_and_now(here.page)
    assert told["Learning rate"] == ("0.05", "0.2")


def test_the_python_of_batches_ends_where_the_room_does(visit: Open) -> None:
    here = visit().open("batches", r="0.03")
    ways = {each["name"]: each for each in here.picture("batches")[0]["ways"]}
    for line in python_of(here).splitlines():
        name, updates, *_, value = line.split()
        assert (int(updates), float(value)) == (ways[name]["updates"], pytest.approx(ways[name]["loss"], rel=1e-6))


def test_valleys_are_worked_by_keys(visit: Open) -> None:
    here = visit().open("valleys", f="himmelblau", r="0.01")
    page = here.page
    rate = page.get_by_role("slider", name="Learning rate").first
    before = here.line.asked[-1][0]["state"]["rate"]
    rate.press("ArrowRight")
    here.settle()
    assert here.line.asked[-1][0]["state"]["rate"] > before
    page.get_by_role("button", name="By depth").press("Enter")
    assert page.get_by_role("button", name="By depth").get_attribute("aria-pressed") == "true"
    group = page.get_by_role("button", name="Show the starts that reach").first
    group.press("Enter")
    assert group.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Large steps leave the shallow valley").press("Enter")
    here.settle()
    left = here.picture("valleys")[0]["way"]["loss"]
    page.get_by_role("button", name="Small steps stay").press("Enter")
    here.settle()
    assert here.picture("valleys")[0]["way"]["loss"] > left
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    here.settle()
    assert here.line.asked[-1][0]["state"]["surface"] == "himmelblau"


def test_the_python_of_valleys_finds_what_the_room_shows(visit: Open) -> None:
    here = visit().open("valleys", f="himmelblau", r="0.01", s="500")
    minima = here.picture("valleys")[0]["minima"]
    lines = python_of(here).splitlines()
    told = [np.array(re.findall(r"[-+.\de]+", line), float) for line in lines[: len(minima)]]
    assert [each[3] for each in told] == pytest.approx([each["share"] for each in minima])
    assert np.array([each[:2] for each in told]) == pytest.approx(
        np.array([[each["x"], each["y"]] for each in minima]), abs=1e-4
    )


def test_a_network_is_worked_by_keys(visit: Open) -> None:
    here = visit().open("network")
    page = here.page
    page.get_by_role("button", name="Add a unit to layer 2").press("Enter")
    here.settle()
    page.get_by_role("button", name="Feature x₁²").press("Enter")
    here.settle()
    page.get_by_role("button", name="Add a hidden layer").press("Enter")
    here.settle()
    picture = here.picture("network")[0]
    assert (picture["features"], picture["layers"][:2]) == (["x", "y", "x2"], [4, 3])
    assert len(picture["layers"]) == 3
    page.get_by_role("button", name="Unit 2 of layer 1").press("Enter")
    play = page.get_by_role("button", name="Play", exact=True)
    play.press("Enter")
    here.until(lambda: updates_of(here) > 200)
    page.get_by_role("button", name="Pause", exact=True).press("Enter")
    page.wait_for_timeout(200)
    reached = updates_of(here)
    page.keyboard.press(".")
    here.until(lambda: updates_of(here) == reached + 1)
    page.keyboard.press(",")
    here.until(lambda: updates_of(here) == reached)
    page.keyboard.press("Home")
    here.until(lambda: updates_of(here) == 0)
    while not page.get_by_role("button", name="Undo").is_disabled():
        page.keyboard.press("Control+z")
        here.settle()
    assert here.line.asked[-1][0]["state"] == here.line.asked[0][0]["state"]


def at_update(here: Visit, steps: str) -> dict[str, Any]:
    """Take one step of so many updates from the start, and return what the page was told."""
    here.page.get_by_label("Updates of a step").select_option(label=steps)
    here.page.get_by_role("button", name="Step", exact=True).click()
    here.until(lambda: updates_of(here) > 0)
    here.until(lambda: bool(frames := here.line.of("frame", "network")) and frames[-1][0]["update"] > 0)
    return here.line.of("frame", "network")[-1][0]


def test_a_link_to_a_network_trains_the_same(visit: Open) -> None:
    first = visit().open("network", d="spiral", h="6,4", o="adam", r="0.01", b="16")
    first.page.get_by_role("button", name="Copy link").click()
    link = first.page.evaluate("() => navigator.clipboard.readText()")
    second = visit()
    second.page.goto(link)
    second.until(lambda: bool(second.line.of("picture", "network")))
    second.settle()
    one, other = (at_update(each, "100 updates") for each in (first, second))
    assert (one["update"], one["loss"], one["test_loss"]) == (other["update"], other["loss"], other["test_loss"])


def test_the_python_of_a_network_reaches_the_same_loss(visit: Open) -> None:
    here = visit().open("network", d="xor", o="momentum", r="0.02")
    code_says = python_of(here)
    for _ in range(10):
        at = updates_of(here)
        here.page.get_by_label("Updates of a step").select_option(label="100 updates")
        here.page.get_by_role("button", name="Step", exact=True).click()
        here.until(lambda at=at: updates_of(here) == at + 100)
    told = [content for content, _ in here.line.of("frame", "network") if content["update"] == 1000][-1]
    assert code_says.startswith("after 1000 updates: training loss ")
    losses = [float(each.split()[-1]) for each in code_says.split(": ")[1].split(", ")]
    assert losses == pytest.approx([told["loss"], told["test_loss"]], rel=1e-3)


def test_two_networks_are_compared_from_one_start(visit: Open) -> None:
    here = visit().open("network")
    page = here.page
    at_update(here, "100 updates")
    kept = updates_of(here)
    page.get_by_role("button", name="Keep this run to compare").click()
    choose(here, "Learning rate", "0.1")
    assert updates_of(here) in (0, kept)
    assert page.get_by_label("Two runs, one start").count() == 1
