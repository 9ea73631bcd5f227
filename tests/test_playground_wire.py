"""One frame each way: what is packed is read back, and nothing else is read at all."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.playground.wire import WireError, pack, unpack

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip
CONTENTS = st.dictionaries(st.text(max_size=8).filter(lambda name: name != "buffers"), VALUES, max_size=5)
BUFFERS = st.lists(st.binary(max_size=50), max_size=5)


def frame_of(text: bytes, rest: bytes = b"") -> bytes:
    return struct.pack("<I", len(text)) + text + rest


@given(CONTENTS, BUFFERS)
def test_what_is_packed_is_read_back(content: dict[str, object], buffers: list[bytes]) -> None:
    assert unpack(pack(content, buffers)) == (content, buffers)


def test_a_frame_is_laid_out_as_the_page_says() -> None:
    frame = pack({"is": "picture"}, [b"abc", b"defg"])
    (length,) = struct.unpack_from("<I", frame)
    assert json.loads(frame[4 : 4 + length]) == {"is": "picture", "buffers": [3, 4]}
    first = -(-(4 + length) // 8) * 8
    assert frame[first : first + 3] == b"abc"
    second = -(-(first + 3) // 8) * 8
    assert frame[second:] == b"defg"


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(frame: bytes) -> None:
    try:
        content, _ = unpack(frame)
    except WireError:
        return
    assert isinstance(content, dict)


@given(CONTENTS, BUFFERS, st.data())
def test_a_frame_cut_short_or_run_on_is_refused(
    content: dict[str, object], buffers: list[bytes], data: st.DataObject
) -> None:
    frame = pack(content, buffers)
    with pytest.raises(WireError):
        unpack(frame[: data.draw(st.integers(0, len(frame) - 1))])
    with pytest.raises(WireError):
        unpack(frame + b"\0")


@pytest.mark.parametrize(
    "text",
    [b"[]", b"7", b"", b"{", b'{"a": NaN}', b'{"a": Infinity}', b"\xff{}", b"[" * 5000, b'{"buffers": 3}',
     b'{"buffers": [-1]}', b'{"buffers": [true]}', b'{"buffers": [1.5]}', b'{"buffers": [9]}',
     json.dumps({"buffers": [0] * 65}).encode()],
)  # fmt: skip
def test_json_that_is_no_message_is_refused(text: bytes) -> None:
    with pytest.raises(WireError):
        unpack(frame_of(text))


def test_json_longer_than_allowed_is_refused_before_it_is_read() -> None:
    text = json.dumps({"a": "b" * 100}).encode()
    assert unpack(frame_of(text), len(text))
    with pytest.raises(WireError, match="too long"):
        unpack(frame_of(text), len(text) - 1)
