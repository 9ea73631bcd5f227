"""A replay page holds the picture of a room for its settings, and nothing else is needed to see it."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downslope.playground.session import Session
from downslope.reporting import front


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in a front end of two lines where the real one is not built: what is tested is what the page holds."""
    if not (front.FRONT / "downslope.js").exists():
        (tmp_path / "front").mkdir()
        (tmp_path / "front" / "downslope.js").write_text("export default 1\n")
        (tmp_path / "front" / "downslope.css").write_text("\n")
        monkeypatch.setattr(front, "FRONT", tmp_path / "front")


def answers(*messages: dict[str, Any]) -> list[tuple[dict[str, Any], list[bytes]]]:
    sent: list[tuple[dict[str, Any], list[bytes]]] = []
    session = Session(lambda content, buffers: sent.append((content, buffers)))
    for message in messages:
        session.receive(message, [])
    session.close()
    return sent


def held(page: bytes) -> dict[str, Any]:
    found = re.search(r'id="downslope-page">(.*?)</script>', page.decode(), re.DOTALL)
    assert found
    return json.loads(found[1])


def test_a_room_that_measures_time_is_kept_with_a_measurement_of_its_own() -> None:
    ((file, (page,)),) = answers({"do": "replay", "room": "batches", "id": 1, "state": {}})
    (kept,) = held(page)["answers"]
    assert file["name"] == "batches.html"
    assert [each["name"] for each in kept["answer"]["ways"]] == ["full", "mini", "one"]


STATE = {"rate": 2.0, "start": -3.0, "steps": 12}


@pytest.mark.parametrize("room", ["one-weight", "two-weights", "valleys"])
def test_a_replay_page_holds_the_picture_that_the_room_shows(room: str) -> None:
    (picture, buffers), (file, (page,)) = answers(
        {"do": "open", "room": room, "id": 1, "state": {"steps": 12}},
        {"do": "replay", "room": room, "id": 2, "state": {"steps": 12}, "at": 5, "language": "zh"},
    )
    assert {name: file[name] for name in ("is", "room", "id", "name", "what")} == {
        "is": "file", "room": room, "id": 2, "name": f"{room}.html", "what": "replay",
    }  # fmt: skip
    told = held(page)
    assert told["known"] == {"room": room, "still": True, "state": {"steps": 12}, "at": 5, "language": "zh"}
    (kept,) = told["answers"]
    assert {**kept["answer"], "id": 1} == json.loads(json.dumps(picture))
    assert [base64.b64decode(each) for each in kept["buffers"]] == [bytes(each) for each in buffers]


def test_a_session_goes_on_as_it_was() -> None:
    *_, (clock, _) = answers(
        {"do": "open", "room": "network", "id": 1, "state": {}},
        {"do": "replay", "room": "one-weight", "id": 2, "state": STATE},
        {"do": "step", "room": "network", "id": 3, "count": 1},
    )
    assert clock["room"] == "network"
    assert clock["is"] in ("frame", "clock")


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"room": "your-data"}, "the room your-data cannot be kept as a page: what it holds is a table of one's own"),
        ({"room": "nowhere"}, "there is no room called"),
        ({"room": ["x"]}, "there is no room called"),
        ({"room": "one-weight", "state": {"rate": -1}}, "rate must be"),
        ({"room": "one-weight", "state": 3}, "the state of a room is an object of settings"),
    ],
)
def test_what_cannot_be_kept_is_one_sentence(message: dict[str, Any], why: str) -> None:
    ((told, _),) = answers({"do": "replay", "id": 1, "state": {}, **message})
    assert told["is"] == "error"
    assert why in told["message"]


@pytest.mark.parametrize("at", [-1, True, "5", 1.5, None, np.iinfo(np.int64).max])
def test_a_step_that_makes_no_sense_is_the_start(at: Any) -> None:
    ((_, (page,)),) = answers({"do": "replay", "room": "one-weight", "id": 1, "state": STATE, "at": at})
    assert held(page)["known"]["at"] == (at if at == np.iinfo(np.int64).max else 0)
