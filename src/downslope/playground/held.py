"""What a page has of its last picture: arrays that are the same in the next need not be sent again.

A drag of a start leaves the landscape as it was, and the landscape is most of a picture. A page says in ``since`` the
number of the picture that it holds; of one that it holds not, as after a picture that was dropped on the way, nothing
is left out.
"""

from __future__ import annotations

from typing import cast

from downslope.types import JsonValue

Told = dict[str, JsonValue]


class Held:
    """The arrays of the last picture that was sent."""

    def __init__(self) -> None:
        """Begin with none."""
        self._number: int | None = None
        self._arrays: dict[str, tuple[Told, bytes]] = {}

    def leave_out(self, content: Told, buffers: list[bytes], number: int, since: JsonValue) -> tuple[Told, list[bytes]]:
        """Return a picture without the arrays that the page holds, each marked ``held`` in the account of arrays.

        content, buffers: the whole picture, as it is to be sent with this number. since: what the page says it holds.
        """
        accounts = cast("list[Told]", content.get("arrays", []))
        before = self._arrays if since is not None and since == self._number else {}
        now = {str(each["name"]): (each, held) for each, held in zip(accounts, buffers, strict=True)}
        self._number, self._arrays = number, now
        same = [before.get(name) == each for name, each in now.items()]
        if not any(same):
            return content, buffers
        told = [{**each, "held": True} if held else each for each, held in zip(accounts, same, strict=True)]
        return {**content, "arrays": cast("JsonValue", told)}, [
            each for each, held in zip(buffers, same, strict=True) if not held
        ]
