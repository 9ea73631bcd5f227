"""The page of a running room holds frames of its way: those that the room shows at these updates, few and small."""

from __future__ import annotations

import base64
import json
import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downslope.playground import recording
from downslope.playground.limits import REPLAY_BYTES, REPLAY_FRAMES
from downslope.playground.recording import coarse, places, recorded
from downslope.playground.rooms.network import Training
from downslope.playground.rooms.network_settings import NetworkRoom
from downslope.playground.rooms.pair import Pair
from downslope.playground.rooms.picture import Picture
from downslope.playground.session import Session
from downslope.reporting import front

SMALL: dict[str, Any] = {"layers": "3", "batch": 25, "rate": 0.3}
SLOW: dict[str, Any] = {**SMALL, "rate": 0.01}
PATIENCE = 30.0


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in a front end of two lines: what is tested is what the page holds."""
    (tmp_path / "downslope.js").write_text("export default 1\n")
    (tmp_path / "downslope.css").write_text("\n")
    monkeypatch.setattr(front, "FRONT", tmp_path)


def answer(*messages: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
    """Return what a session says to the last of some messages, once it has: a file or an error."""
    heard: list[tuple[dict[str, Any], list[bytes]]] = []
    there = threading.Event()

    def send(content: dict[str, Any], buffers: list[bytes]) -> None:
        if content["is"] in ("file", "error") and content["id"] == len(messages):
            heard.append((content, buffers))
            there.set()

    session = Session(send)
    for number, message in enumerate(messages, 1):
        session.receive({"room": "network", "id": number, "state": SMALL, **message}, [])
    assert there.wait(PATIENCE)
    session.close()
    return heard[0]


def replayed(**content: Any) -> dict[str, Any]:
    file, (page,) = answer({"do": "replay", **content})
    assert (file["name"], file["what"]) == ("network.html", "replay")
    assert len(page) <= REPLAY_BYTES
    found = re.search(r'id="downslope-page">(.*?)</script>', page.decode(), re.DOTALL)
    assert found
    return json.loads(found[1])


def arrays(held: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of an answer in a page, levels as the numbers that they stand for."""
    found: dict[str, np.ndarray] = {}
    for told, each in zip(held["answer"]["arrays"], held["buffers"], strict=True):
        array = np.frombuffer(base64.b64decode(each), told["dtype"]).reshape(told["shape"])
        if told["dtype"] == "uint16":
            least, most = (np.array(end)[:, None, None] for end in zip(*told["ranges"], strict=True))
            array = least + (most - least) * (array / 65535)
        found[told["name"]] = array
    return found


def test_the_frames_are_those_of_the_room_at_their_updates() -> None:
    page = replayed(at=300, language="zh")
    assert page["known"].items() >= {"room": "network", "still": True, "at": 300, "language": "zh"}.items()
    picture, *frames = page["answers"]
    updates = [each["answer"]["update"] for each in frames]
    assert (updates[0], updates[-1], len(updates)) == (0, 300, REPLAY_FRAMES)
    assert (picture["answer"]["last"], picture["answer"]["frames"]) == (300, REPLAY_FRAMES)
    room = Training(NetworkRoom(**SMALL))
    for update, held in zip(updates, frames, strict=True):
        room.advance(update - room.update)
        shown, found = room.frame(), arrays(held)
        assert held["answer"]["say"] == json.loads(json.dumps(shown.values["say"]))
        assert held["answer"]["loss"] == shown.values["loss"]
        span = np.ptp(shown.arrays["units"], axis=(1, 2), keepdims=True)
        assert (np.abs(found.pop("units") - shown.arrays["units"]) <= span / 131_000 + 1e-7).all()
        for name, array in found.items():
            np.testing.assert_array_equal(array, shown.arrays[name].astype(array.dtype))


def test_the_picture_and_any_frame_make_the_picture_of_the_room() -> None:
    picture, first, *_ = replayed(at=3)["answers"]
    whole = Training(NetworkRoom(**SMALL)).picture()
    told = {**picture["answer"], **first["answer"]}
    assert set(whole.values) <= set(told)
    assert {*arrays(picture), *arrays(first)} == set(whole.arrays)
    assert not {*arrays(picture)} & {*arrays(first)}


def test_a_short_way_is_kept_whole() -> None:
    assert [each["answer"]["update"] for each in replayed(at=12)["answers"][1:]] == list(range(13))
    assert [each["answer"]["update"] for each in replayed()["answers"][1:]] == [0]


@pytest.mark.parametrize(("last", "most"), [(0, 80), (1, 80), (79, 80), (80, 80), (5000, 80), (10**6, 2), (100, 3)])
def test_places_lie_closer_near_the_start(last: int, most: int) -> None:
    found = places(last, most)
    assert (found[0], found[-1], len(found)) == (0, last, min(most, last + 1))
    gaps = np.diff(found)
    assert (gaps >= 1).all()
    assert (np.diff(gaps) >= -1).all()


def test_the_kept_run_goes_along() -> None:
    page = replayed(at=40, kept=SLOW)
    assert (page["known"]["kept"]["rate"], page["known"]["state"]["rate"]) == (0.01, 0.3)
    assert set(page["known"]["kept"]) == set(NetworkRoom.__dataclass_fields__)
    pair = Pair(Training(NetworkRoom(**SMALL)), Training(NetworkRoom(**SLOW)))
    pair.advance(40)
    last = page["answers"][-1]
    assert last["answer"]["kept:loss"] == pytest.approx(pair.frame().values["kept:loss"])
    assert last["answer"]["loss"] < last["answer"]["kept:loss"]
    assert arrays(last)["kept:units"].shape == arrays(last)["units"].shape


WILD: dict[str, Any] = {**SMALL, "rate": 1.0, "l2": 10.0}
"""Each step takes ten times the weights away."""


def test_a_run_that_diverges_ends_there_and_says_so() -> None:
    room = Training(NetworkRoom(**WILD))
    room.advance(500)
    assert room.diverged_at >= 0
    for asked in ({"at": 500}, {"at": room.last, "last": room.last}):
        frames = [each["answer"] for each in replayed(state=WILD, **asked)["answers"][1:]]
        assert [each["update"] for each in frames] == sorted({each["update"] for each in frames})
        assert frames[-1]["update"] == room.last
        assert frames[-1]["say"][0] == {"say": "network-diverged", "update": room.diverged_at, "rate": 1.0}


def test_whoever_has_not_seen_the_end_is_not_told_of_it() -> None:
    room = Training(NetworkRoom(**WILD))
    room.advance(500)
    frames = replayed(state=WILD, at=room.last, last=1_000_000)["answers"]
    assert "network-diverged" not in json.dumps(frames)


def test_a_large_network_has_fewer_frames_and_no_larger_page() -> None:
    one = list(recorded(Training(NetworkRoom(**SMALL)), 200, 400_000))[-1]
    assert recording.FEWEST < len(one.frames) < REPLAY_FRAMES
    assert sum(recording.size_in_page(*each) for each in one.frames) < 400_000
    assert (one.updates[0], one.updates[-1]) == (0, 200)
    least = list(recorded(Training(NetworkRoom(**SMALL)), 200, 0))[-1]
    assert least.updates == [0, 200]


def test_levels_keep_both_ends_and_what_is_flat() -> None:
    rng = np.random.default_rng(0)
    array = np.concatenate([rng.normal(size=(3, 40, 40)), np.full((1, 40, 40), 0.3)]).astype(np.float32)
    ranges, levels = coarse(array)
    assert levels.dtype == np.uint16
    assert ranges == [[float(each.min()), float(each.max())] for each in array]
    assert not levels[3].any()
    back = np.array(
        [least + (most - least) * (level / 65535) for (least, most), level in zip(ranges, levels, strict=True)]
    )
    assert (np.abs(back - array) <= np.ptp(array, axis=(1, 2), keepdims=True) / 131_000 + 1e-9).all()


class Broken:
    """A run whose one picture holds what is no number."""

    update = last = 0

    def picture(self) -> Picture:
        return Picture({**self.frame().values, "code": "pass"}, self.frame().arrays)

    def frame(self) -> Picture:
        units = np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 4, 4).copy()
        units[0, 1, 2] = np.inf
        return Picture({"update": 0, "say": []}, {"units": units})


def test_a_picture_that_holds_no_numbers_is_kept_as_it_is() -> None:
    broken: Any = Broken()
    (only,) = recorded(broken, 5, REPLAY_BYTES)
    ((told, (units,)),) = only.frames
    assert told["arrays"] == [{"name": "units", "dtype": "float32", "shape": [2, 4, 4]}]
    assert units == broken.frame().arrays["units"].tobytes()
    assert only.packed() == ({"code": "pass", "last": 0, "frames": 1}, [])


def test_a_way_that_takes_too_long_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "REPLAY_SECONDS", 0.0)
    told, _ = answer({"do": "replay", "at": 100_000})
    assert told["is"] == "error"
    assert re.fullmatch(
        r"a replay page of 100,000 updates takes longer to make than 0 µs, in which it came to update \d+; "
        r"go back to there or before, and save it again",
        told["message"],
    )
    assert "100,000" in told["said"]["zh"]
    assert "回放页面" in told["said"]["zh"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"state": {"rate": -1}}, "rate must be"),
        ({"state": 3}, "the state of a room is an object of settings"),
        ({"kept": {"rule": "nothing"}}, "rule must be one of"),
        ({"kept": "x"}, "the state of a room is an object of settings"),
    ],
)
def test_settings_that_are_none_are_one_sentence(content: dict[str, Any], why: str) -> None:
    told, _ = answer({"do": "replay", **content})
    assert told["is"] == "error"
    assert why in told["message"]


def test_the_room_goes_on_and_a_newer_page_takes_the_place_of_an_older() -> None:
    file, _ = answer(
        {"do": "open"}, {"do": "step", "count": 5}, {"do": "replay", "at": 1_000_000}, {"do": "replay", "at": 5}
    )
    assert (file["is"], file["id"]) == ("file", 4)


def test_a_session_that_closes_ends_its_page() -> None:
    sent: list[dict[str, Any]] = []
    session = Session(lambda content, _: sent.append(content))
    session.receive({"do": "replay", "room": "network", "id": 1, "state": SMALL, "at": 1_000_000}, [])
    session.close()
    file, _ = answer({"do": "replay", "at": 1})  # waits for the turn of the one before
    assert file["is"] == "file"
    assert sent == []
