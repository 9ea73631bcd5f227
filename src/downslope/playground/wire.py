"""A message as the bytes of one frame, both ways, as docs/front-end.md lays them out.

A little-endian ``uint32`` with the length of the JSON, the JSON, and the buffers, each from a multiple of 8 bytes after
the start. What comes from outside is read strictly: a frame is exactly as long as it says, or it is refused.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, cast

from downslope.errors import InputError
from downslope.playground.limits import JSON_BYTES
from downslope.types import JsonValue

PREFIX, ALIGNMENT = 4, 8
MOST_BUFFERS = 64
Message = dict[str, JsonValue]


class WireError(InputError):
    """A frame that is no message."""


def pack(content: Message, buffers: Sequence[bytes] = ()) -> bytes:
    """Return a message as the bytes of one frame."""
    told = {**content, "buffers": [len(each) for each in buffers]} if buffers else content
    text = json.dumps(told, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    parts = [struct.pack("<I", len(text)), text]
    end = PREFIX + len(text)
    for each in buffers:
        gap = -end % ALIGNMENT
        parts += [bytes(gap), each]
        end += gap + len(each)
    return b"".join(parts)


def unpack(frame: bytes, most_json: int = JSON_BYTES) -> tuple[Message, list[bytes]]:
    """Return the JSON of a frame, without the lengths of its buffers, and the buffers; raises WireError."""
    if len(frame) < PREFIX:
        message = "the frame is shorter than the length of its JSON"
        raise WireError(message)
    (length,) = struct.unpack_from("<I", frame)
    if length > most_json or PREFIX + length > len(frame):
        message = f"the frame says that its JSON has {length:,} bytes, which it does not, or which is too long"
        raise WireError(message)
    content = _read(frame[PREFIX : PREFIX + length])
    return content, _buffers(frame, PREFIX + length, content.pop("buffers", []))


def _read(text: bytes) -> Message:
    try:
        content = json.loads(text.decode("utf-8"), parse_constant=_refused)
    except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError too
        message = "the JSON of the frame does not read as JSON"
        raise WireError(message) from error
    if not isinstance(content, dict):
        message = "the JSON of a frame must be an object"
        raise WireError(message)
    return cast("Message", content)


def _refused(name: str) -> Any:
    raise ValueError(name)


def _buffers(frame: bytes, end: int, lengths: Any) -> list[bytes]:
    """Return the buffers of these lengths that begin after ``end``, and end where the frame does."""
    if not isinstance(lengths, list) or len(cast("list[Any]", lengths)) > MOST_BUFFERS:
        message = f"buffers must be a list of at most {MOST_BUFFERS} lengths"
        raise WireError(message)
    found: list[bytes] = []
    for length in cast("list[Any]", lengths):
        if not isinstance(length, int) or isinstance(length, bool) or length < 0:
            message = "the length of a buffer must be a whole number of bytes"
            raise WireError(message)
        begin = end + -end % ALIGNMENT
        end = begin + length
        if end > len(frame):
            message = "the frame is shorter than its buffers"
            raise WireError(message)
        found.append(frame[begin:end])
    if end != len(frame):
        message = "the frame is longer than its buffers"
        raise WireError(message)
    return found
