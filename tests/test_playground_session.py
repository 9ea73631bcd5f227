"""A session by itself, as a notebook would hold one: what it answers, and how its running room keeps time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from downslope.playground.session import Session

Heard = list[tuple[dict[str, Any], list[bytes]]]


class Page:
    """What a page is to a session: it keeps what it hears."""

    def __init__(self) -> None:
        self.heard: Heard = []
        self.session = Session(lambda content, buffers: self.heard.append((content, buffers)))

    def ask(self, do: str, number: int = 1, room: str = "network", **more: Any) -> None:
        self.session.receive({"do": do, "room": room, "id": number, **more}, [])

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [content for content, _ in list(self.heard) if content["is"] == kind]

    def last(self, kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the newest message of a kind, and its arrays."""
        content, buffers = next(each for each in reversed(self.heard) if each[0]["is"] == kind)
        arrays = {
            told["name"]: np.frombuffer(each, told["dtype"]).reshape(told["shape"])
            for told, each in zip(content["arrays"], buffers, strict=True)
        }
        return content, arrays


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.session.close()
    wait_until(lambda: not clocks())


def clocks() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "playground clock"]


def beside() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "playground beside"]


def wait_until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, "this took too long"
        time.sleep(0.01)


def test_an_instant_room_answers_with_its_picture(page: Page) -> None:
    page.ask("open", 4, "one-weight", state={"rate": 1.6})
    content, arrays = page.last("picture")
    assert (content["id"], content["room"], content["needed"]) == (4, "one-weight", 1)
    assert arrays["path"].dtype == np.float32
    assert arrays["path"].shape == (2, 3)


def test_what_a_page_holds_is_not_sent_again(page: Page) -> None:
    page.ask("open", 1, "two-weights", state={"rate": 0.03})
    whole, buffers = page.heard[-1]
    page.ask("set", 2, "two-weights", state={"rate": 0.03, "start_x": 1.0}, since=1)
    content, fewer = page.heard[-1]
    held = [each["name"] for each in content["arrays"] if each.get("held")]
    assert held == ["heights", "table"]
    assert len(fewer) == len(buffers) - 2
    assert sum(map(len, fewer)) < 0.5 * sum(map(len, buffers))
    page.ask("set", 3, "two-weights", state={"rate": 0.03}, since=2)
    back, _ = page.heard[-1]
    assert [each["name"] for each in back["arrays"] if each.get("held")] == ["heights", "table"]
    for since in (1, 2, "3", None, -1):  # none of these is the last picture
        page.ask("set", 4, "two-weights", state={"rate": 0.03}, since=since)
        content, again = page.heard[-1]
        assert content["arrays"] == whole["arrays"]
        assert again == buffers
        page.session.receive({"do": "set", "room": "two-weights", "id": 3, "state": {"rate": 0.03}}, [])


def test_a_running_room_plays_pauses_and_goes_by_hand(page: Page) -> None:
    page.ask("open", 5)
    page.ask("play", 6, speed=2000)
    wait_until(lambda: len(page.of("frame")) > 20)
    page.ask("pause", 7)
    assert page.of("clock")[-1]["playing"] is False
    time.sleep(0.05)
    count = len(page.of("frame"))
    time.sleep(0.1)
    assert len(page.of("frame")) == count
    assert {each["id"] for each in page.of("frame")} == {5}
    for number, (do, more, update) in enumerate(
        [("reset", {}, 0), ("step", {}, 1), ("step", {"count": 10}, 11), ("back", {"count": 3}, 8),
         ("back", {"count": 99}, 0), ("seek", {"update": 40}, 40)]
    ):  # fmt: skip
        page.ask(do, 8 + number, **more)
        assert page.of("frame")[-1]["update"] == page.of("clock")[-1]["update"] == update


@pytest.mark.alone
def test_a_room_that_is_played_keeps_to_its_speed_and_to_display_rate(page: Page) -> None:
    page.ask("open")
    page.ask("step", count=64)  # compiled now
    page.heard.clear()
    began = time.monotonic()
    page.ask("play", speed=1000)
    time.sleep(1.0)
    page.ask("pause")
    seconds = time.monotonic() - began
    updates = page.of("clock")[-1]["update"] - 64
    assert 0.6 * 1000 * seconds < updates < 1.1 * 1000 * seconds + 20
    assert 30 * seconds < len(page.of("frame")) <= 62 * seconds


def test_playing_gives_the_same_as_stepping(page: Page) -> None:
    page.ask("open")
    page.ask("play", speed=5000)
    wait_until(lambda: bool(page.of("frame")) and page.of("frame")[-1]["update"] > 200)
    page.ask("pause")
    content, arrays = page.last("frame")
    page.ask("open", 2)
    page.ask("seek", 3, update=content["update"])
    np.testing.assert_array_equal(page.last("frame")[1]["weights"], arrays["weights"])


def test_new_settings_begin_again_and_the_old_clock_ends(page: Page) -> None:
    page.ask("open", 1)
    page.ask("play", 2, speed=500)
    wait_until(lambda: bool(page.of("frame")))
    page.ask("set", 3, state={"data": "xor"})
    content, _ = page.last("picture")
    assert (content["id"], content["update"]) == (3, 0)
    wait_until(lambda: not clocks())
    count = len(page.of("frame"))
    time.sleep(0.1)
    assert len(page.of("frame")) == count


def test_to_look_elsewhere_goes_on_playing(page: Page) -> None:
    page.ask("open", 1, state={"rate": 0.01})
    page.ask("step", 2, count=20)
    page.ask("set", 3, state={"rate": 0.01, "example": 9})
    content, _ = page.last("picture")
    assert (content["id"], content["update"]) == (3, 20)
    page.ask("step", 4)
    assert page.of("frame")[-1]["id"] == 3
    page.ask("set", 5, state={"rate": 0.02, "example": 9})
    assert page.of("picture")[-1]["update"] == 0


def test_a_run_is_kept_beside_and_both_go_together(page: Page) -> None:
    page.ask("open", 1, state={"rate": 0.3}, kept={"rate": 0.03})
    page.ask("step", 2, count=12)
    content, arrays = page.last("frame")
    assert content["kept:update"] == content["update"] == 12
    assert (arrays["kept:weights"] != arrays["weights"]).any()
    page.ask("set", 3, state={"rate": 0.3})
    assert "kept:update" not in page.of("picture")[-1]
    page.ask("set", 4, state={}, kept={"rate": -1})
    assert "rate must be" in page.of("error")[-1]["message"]


def test_a_map_is_drawn_beside_what_is_played(page: Page) -> None:
    page.ask("open", 1, state={"layers": ""})
    page.ask("sweep", 2, updates=64)
    page.ask("play", 3, speed=500)
    wait_until(lambda: any(each["done"] for each in page.of("sweep")), 60)
    content, arrays = page.last("sweep")
    assert content["id"] == 2
    assert arrays["losses"].shape == (arrays["batches"].size, arrays["rates"].size)
    assert np.isfinite(arrays["losses"][:, 0]).all()
    assert page.of("frame")[-1]["update"] > 0
    wait_until(lambda: not beside())


def test_a_map_ends_with_its_room_and_goes_on_with_new_settings(page: Page) -> None:
    page.ask("open", 1)
    page.ask("sweep", 2, updates=5000)
    page.ask("set", 3, state={"rate": 0.1})
    assert beside()
    page.ask("stop", 4)
    wait_until(lambda: not beside(), 20)
    page.ask("sweep", 5, updates=5000)
    page.ask("open", 6, "one-weight")
    wait_until(lambda: not beside(), 20)
    assert not [each for each in page.of("sweep") if each["done"]]


def test_closing_ends_what_runs(page: Page) -> None:
    page.ask("open")
    page.ask("play", speed=1000)
    wait_until(lambda: bool(page.of("frame")))
    page.session.close()
    wait_until(lambda: not clocks())
    page.heard.clear()
    page.ask("step", 9)
    assert not page.heard


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"do": "open", "room": "cellar", "id": 1}, "no room called"),
        ({"do": 7, "room": "network", "id": 1}, "nothing to do"),
        ({"do": "open", "room": "network"}, "needs an id"),
        ({"do": "open", "room": "network", "id": -1}, "needs an id"),
        ({"do": "open", "room": "network", "id": 1, "state": {"layers": "x"}}, "layers are"),
        ({"do": "set", "room": "one-weight", "id": 1}, "not open"),
        ({"do": "play", "room": "network", "id": 1, "speed": 0}, "speed"),
        ({"do": "play", "room": "network", "id": 1, "speed": "fast"}, "speed"),
        ({"do": "step", "room": "network", "id": 1, "count": 0}, "count"),
        ({"do": "seek", "room": "network", "id": 1, "update": -4}, "update"),
        ({"do": "sweep", "room": "network", "id": 1, "updates": 5001}, "at most 5,000"),
        ({"do": "sweep", "room": "network", "id": 1, "updates": 0}, "updates must be"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_answered_and_the_room_goes_on(page: Page, message: dict[str, Any], words: str) -> None:
    page.ask("open", 50)
    page.ask("step", 51, count=5)
    page.session.receive(message, [])
    content, buffers = page.heard[-1]
    assert content["is"] == "error"
    assert words in content["message"]
    assert not buffers
    page.ask("step", 52)
    assert page.of("frame")[-1]["update"] == 6


def test_an_instant_room_has_no_clock(page: Page) -> None:
    page.ask("open", 1, "one-weight")
    page.ask("play", 2, "one-weight")
    assert "has no clock" in page.of("error")[-1]["message"]
