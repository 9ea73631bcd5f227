"""A replay page: one room as it was, in a file that plays, steps and scrubs by itself and asks nobody."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, cast

from downslope.errors import InputError
from downslope.playground.limits import REPLAY_BYTES
from downslope.playground.recording import recorded
from downslope.playground.rooms import Room
from downslope.playground.rooms.pair import Pair
from downslope.playground.rooms.picture import Picture
from downslope.playground.rooms.table import settings_from
from downslope.reporting import Answers, document
from downslope.types import JsonValue
from downslope.words import LANGUAGES, say

NOTE = "This page needs JavaScript. Nothing that it shows leaves it."
Content = dict[str, JsonValue]


@dataclass(frozen=True)
class Made(Picture):
    """How far the page of a running room is; once it is done, its name and its bytes."""

    name: str = ""
    page: bytes = b""


def replay_page(room: Room, content: Content) -> tuple[str, bytes]:
    """Return the name and the bytes of the page of an instant room.

    content: ``state``, its settings; ``at``, the step at which it opens; ``language``. Raises InputError for a room
    that neither draws nor runs, and for settings that are none.
    """
    if room.draw is None:
        message = say("the room {name} cannot be kept as a page: what it holds is a table of one's own", name=room.name)
        raise InputError(message)
    state = content.get("state", {})
    told, buffers = room.draw(settings_from(room.settings, state)).packed()
    known = {"room": room.name, "still": True, "state": state, "at": _update(content, "at")}
    return f"{room.name}.html", _document([({"is": "picture", "room": room.name, **told}, buffers)], known, content)


def replay_of_a_run(room: Room, content: Content) -> Iterator[Made]:
    """Make the page of a running room, and return how far it is, again and again until it is done.

    The run is made again, from its start to where the page of the room stands. content: ``state``, its settings;
    ``kept``, those of the run that goes along, where there is one; ``at``, the update where it ends; ``last``, the one
    that it could not go beyond, where that is known; ``language``. Raises InputError for settings that are none, and
    where it takes longer than REPLAY_SECONDS.
    """
    begin, at = cast("Any", room.begin), _update(content, "at")
    settings = _settings(room, content.get("state", {}))
    known = {"room": room.name, "still": True, "state": asdict(settings), "at": at}
    running = begin(settings)
    if content.get("kept") is not None:
        kept = _settings(room, content["kept"])
        known["kept"] = asdict(kept)
        running = Pair(running, begin(kept))
    left = REPLAY_BYTES - len(_document([], known, content))
    for recording in recorded(running, at, left, ended=content.get("last") == at):
        if not recording.done:
            yield Made()
            continue
        answers = [("picture", recording.packed()), *(("frame", each) for each in recording.frames)]
        page = _document(
            [({"is": kind, "room": room.name, **told}, buffers) for kind, (told, buffers) in answers], known, content
        )
        yield Made({"done": True}, name=f"{room.name}.html", page=page)


def _document(answers: Answers, known: dict[str, Any], content: Content) -> bytes:
    language = content.get("language")
    spoken = language if isinstance(language, str) and language in LANGUAGES else ""
    return document(answers, title="Downslope", words=NOTE, language=spoken, known=known)


def _settings(room: Room, state: JsonValue) -> Any:
    return settings_from(cast("Any", room.settings), state)


def _update(content: Content, name: str) -> int:
    """Return an update or a step that a message names; 0 where it makes no sense."""
    at = content.get(name, 0)
    return at if isinstance(at, int) and not isinstance(at, bool) and at >= 0 else 0
