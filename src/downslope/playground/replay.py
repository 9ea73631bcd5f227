"""A replay page: one room as it was, in a file that plays, steps and scrubs by itself and asks nobody."""

from __future__ import annotations

from typing import Any

from downslope.errors import InputError
from downslope.playground.rooms import Room
from downslope.playground.rooms.table import settings_from
from downslope.reporting import document
from downslope.types import JsonValue
from downslope.words import LANGUAGES, say

NOTE = "This page needs JavaScript. Nothing that it shows leaves it."


def replay_page(room: Room, content: dict[str, JsonValue]) -> tuple[str, bytes]:
    """Return the name and the bytes of the page of an instant room.

    content: ``state``, its settings; ``at``, the step at which it opens; ``language``. Raises InputError for a room
    whose picture does not hold its whole way, and for settings that are none.
    """
    if room.draw is None:
        message = say("the room {name} cannot be kept as a page: its engine draws as it goes", name=room.name)
        raise InputError(message)
    state, at, language = content.get("state", {}), content.get("at", 0), content.get("language")
    picture = room.draw(settings_from(room.settings, state))
    told, buffers = picture.packed()
    known: dict[str, Any] = {
        "room": room.name, "still": True, "state": state,
        "at": at if isinstance(at, int) and not isinstance(at, bool) and at >= 0 else 0,
    }  # fmt: skip
    answers = [({"is": "picture", "room": room.name, **told}, buffers)]
    spoken = language if isinstance(language, str) and language in LANGUAGES else ""
    return f"{room.name}.html", document(answers, title="Downslope", words=NOTE, language=spoken, known=known)
