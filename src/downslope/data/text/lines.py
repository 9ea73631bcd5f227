"""Files of svmlight and Vowpal Wabbit text: whole files to rows, and what to say of a malformed line."""

from __future__ import annotations

import gzip
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow, compute
from downslope.data.blocks import SparseRows
from downslope.data.parallel import in_parts
from downslope.data.text.entries import LABEL, VOWPAL_WABBIT, FileEntries, Origins
from downslope.errors import SourceError
from downslope.machine import threads
from downslope.types import Codes, Offsets, Vector
from downslope.words import Sentence, say

AT_ONCE = 1 << 20
"""Bytes that a thread reads at once."""
SHOWN = 60
"""Characters of a malformed line that are shown."""
NEWLINE = 10
Bytes: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class _Part:
    """Some lines as rows.

    values: None where all are 1. begins: (rows,) where the line of each row begins. origins: (entries,) where the name
    of each entry begins in it. bad: where the malformed lines begin, and what is wrong with each.
    """

    labels: Vector
    importance: Vector
    starts: Offsets
    ids: Codes
    values: Vector | None
    origins: Codes
    begins: Offsets
    bad: list[tuple[int, int]]


class _Scratch(threading.local):
    """The arrays that a thread reads a part into: memory used again costs a tenth of memory that is new."""

    arrays: dict[str, NDArray[Any]]

    def __init__(self) -> None:
        self.arrays = {}

    def array(self, name: str, size: int, dtype: type[np.generic]) -> NDArray[Any]:
        """Return an array of at least this size; what it held is gone."""
        there = self.arrays.get(name)
        if there is None or there.shape[0] < size:
            there = self.arrays[name] = np.empty(size, dtype)
        return there


def read_lines(paths: Sequence[Path], format: str, packing: Sequence[str | None], *, skip_bad: bool) -> Any:
    """Return the rows of files as (Arrow table of their labels, FileEntries); raises SourceError.

    packing: the compression of each file. skip_bad: leave malformed lines out and count them.
    """
    found = [
        _read(str(path), content, format, skip_bad=skip_bad)
        for path, packed in zip(paths, packing, strict=True)
        for content in [_content(path, packed)]
    ]
    labels, entries = _together(found, format)
    if not entries.rows.rows:
        message = say("{source} holds no row; give a file with examples", source=str(paths[0]))
        raise SourceError(message)
    return label_table(labels, classes=are_classes(labels)), entries


@dataclass(frozen=True)
class _Read:
    """What some whole lines hold, the malformed left out and counted."""

    content: Bytes
    parts: list[_Part]
    bad: int


def _read(name: str, content: Bytes, format: str, *, skip_bad: bool, before: int = 0) -> _Read:
    """Read whole lines, before which so many others stand in their file; raises SourceError."""
    found = _parts(content, format)
    wrong = [each for part in found for each in part.bad]
    if wrong and not skip_bad:
        raise SourceError(_complaint(name, content, *wrong[0], before))
    return _Read(content, found, len(wrong))


def _together(found: Sequence[_Read], format: str) -> tuple[Vector, FileEntries]:
    """Return the labels and the entries of lines of several files, or of several places of one."""
    parts = [part for each in found for part in each.parts]
    bases = np.cumsum([0, *(each.content.shape[0] for each in found)])
    begins = [part.begins + base for each, base in zip(found, bases.tolist(), strict=False) for part in each.parts]
    importance = np.concatenate([each.importance for each in parts])
    named = format == VOWPAL_WABBIT
    origins = Origins(np.concatenate(begins), np.concatenate([each.origins for each in parts])) if named else None
    entries = FileEntries(
        format, _joined(parts), None if bool((importance == 1).all()) else importance, origins,
        tuple(each.content for each in found) if named else (), sum(each.bad for each in found),
    )  # fmt: skip
    return np.concatenate([each.labels for each in parts]), entries


def line_batches(
    path: Path, format: str, packed: str | None, size: int, *, skip_bad: bool
) -> Iterator[tuple[Vector, FileEntries]]:  # fmt: skip
    """Yield the labels and entries of a file, about ``size`` bytes of whole lines at once; raises SourceError."""
    try:
        with _opened(path, packed) as stream:
            yield from batches_of(stream, str(path), format, size, skip_bad=skip_bad)
    except (OSError, EOFError, zlib.error):
        raise SourceError(_unreadable(path)) from None


def batches_of(
    stream: Any, name: str, format: str, size: int, *, skip_bad: bool
) -> Iterator[tuple[Vector, FileEntries]]:  # fmt: skip
    """Yield the labels and entries of lines as they come, about ``size`` bytes at once; raises SourceError."""
    from downslope.data.text import parsing

    before = 0
    for content in _contents(stream, size):
        yield _together([_read(name, content, format, skip_bad=skip_bad, before=before)], format)
        before += int(parsing.count_lines(content, 0, content.shape[0]))


def _contents(stream: Any, size: int) -> Iterator[Bytes]:
    """Yield the bytes of a stream, whole lines with a newline at the end."""
    left = b""
    while part := stream.read(size):
        cut = part.rfind(b"\n") + 1
        if not cut:
            left += part
            continue
        yield np.frombuffer(bytearray(left + part[:cut]), np.uint8)
        left = part[cut:]
    if left:
        yield np.frombuffer(bytearray(left + b"\n"), np.uint8)


def _opened(path: Path, packed: str | None) -> Any:
    if packed == "gzip":
        return gzip.open(path)
    return arrow().input_stream(str(path), compression=packed) if packed else path.open("rb")


def _joined(parts: list[_Part]) -> SparseRows:
    """Return the rows of all parts; values that are all 1 in float32, since nothing is lost by it."""
    return SparseRows.joined([
        SparseRows(
            each.starts, each.ids,
            np.broadcast_to(np.float32(1), each.ids.shape) if each.values is None else each.values,
        )
        for each in parts
    ])  # fmt: skip


def _content(path: Path, packed: str | None) -> Bytes:
    """Return the bytes of a file, a newline at the end."""
    try:
        if packed == "gzip":
            whole = np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8)
        elif packed:
            with arrow().input_stream(str(path), compression=packed) as stream:
                whole = np.frombuffer(stream.read(), np.uint8)
        else:
            whole = np.fromfile(path, np.uint8)
    except (OSError, EOFError, zlib.error):
        raise SourceError(_unreadable(path)) from None
    if whole.size and whole[-1] == NEWLINE:
        return whole if whole.flags.writeable else whole.copy()
    return np.append(whole, np.uint8(NEWLINE))


def _unreadable(path: Path) -> Sentence:
    return say("{path} cannot be read whole: it is truncated, damaged or not compressed at all", path=str(path))


def _parts(content: Bytes, format: str) -> list[_Part]:
    """Return the lines of a file in parts of whole lines, read on all processors."""
    from downslope.data.text import parsing

    named = format == VOWPAL_WABBIT
    read = parsing.read_vw if named else parsing.read_svmlight
    scratch = _Scratch()

    def part(first: int, last: int) -> _Part:
        begin, stop = _after_newline(content, first), _after_newline(content, last)
        count, room = int(parsing.count_lines(content, begin, stop)), (stop - begin) // 2 + 1
        out = parsing.Lines(
            np.empty(count), np.empty(count), np.zeros(count + 1, np.int64), scratch.array("ids", room, np.int32),
            scratch.array("values", room, np.float64), scratch.array("origins", room if named else 0, np.int32),
            np.empty(count, np.int64), np.empty(count, np.uint8),
        )  # fmt: skip
        rows = read(content, begin, stop, out)
        filled = int(out.starts[rows])
        values = out.values[:filled]
        wrong = np.flatnonzero(out.status > parsing.SKIPPED)
        return _Part(
            out.labels[:rows], out.importance[:rows], out.starts[: rows + 1], out.ids[:filled].copy(),
            None if bool((values == 1).all()) else values.copy(), out.origins[: filled if named else 0].copy(),
            out.begins[out.status == parsing.ROW],
            [(int(out.begins[line]), int(out.status[line])) for line in wrong.tolist()],
        )  # fmt: skip

    size = content.shape[0]
    return in_parts(size, part, max(-(-size // AT_ONCE), threads() if size > 1 << 16 else 1))


def _after_newline(content: Bytes, place: int) -> int:
    """Return where the first line begins that begins at a place or behind it."""
    from downslope.data.text import parsing

    return place if place == 0 else int(parsing.line_end(content, place - 1)) + 1


def _complaint(name: str, content: Bytes, begin: int, wrong: int, before: int) -> Sentence:
    from downslope.data.text import parsing

    line = before + int(parsing.count_lines(content, 0, begin))
    text = content[begin : int(parsing.line_end(content, begin))].tobytes().decode("utf-8", "replace").strip()
    return say(
        "{path}, line {line}: {wrong}: {text}; mend it, or leave such lines out with --skip-bad-lines",
        path=name,
        line=line + 1,
        wrong=_reason(wrong),
        text=repr(text if len(text) <= SHOWN else text[:SHOWN] + "..."),
    )


def _reason(wrong: int) -> Sentence:
    from downslope.data.text import parsing

    return {
        parsing.NO_LABEL: say("it does not begin with a label, which is a number"),
        parsing.NO_ENTRY: say("an entry is not index:value"),
        parsing.NO_INDEX: say("an index is above 2147483647"),
        parsing.NO_VALUE: say("a value is not a number"),
        parsing.TWICE: say("an index stands twice"),
        parsing.NO_BAR: say("no bar | stands before the features"),
        parsing.NO_HEAD: say("before the bar stands something else than a label, an importance and a tag"),
        parsing.NO_IMPORTANCE: say("an importance is negative"),
        parsing.NO_NAME: say("a feature has no name"),
    }[wrong]


def are_classes(labels: Vector) -> bool:
    """Return whether labels are two classes: two whole numbers; all else is numbers."""
    present = labels[~np.isnan(labels)]
    if not present.size:
        return False
    low, high = float(present.min()), float(present.max())
    return low < high and may_be_classes(labels)


def may_be_classes(labels: Vector) -> bool:
    """Return whether labels are two whole numbers at most, which more labels may make two classes."""
    present = labels[~np.isnan(labels)]
    if not present.size:
        return True
    low, high = float(present.min()), float(present.max())
    two = bool(((present == low) | (present == high)).all())
    return two and low.is_integer() and high.is_integer() and max(abs(low), abs(high)) < 2**31


def are_two(names: Sequence[str]) -> bool:
    """Return whether the names that ``label_table`` gave to labels are those of two whole numbers at most."""
    return len(names) <= 2 and all(re.fullmatch(r"-?\d{1,10}", name) and abs(int(name)) < 2**31 for name in names)


def label_table(labels: Vector, *, classes: bool) -> Any:
    """Return the labels as a column: as names of classes, or as numbers. Classes: those of the whole source."""
    pyarrow = arrow()
    missing = np.isnan(labels)
    column = pyarrow.array(labels, mask=missing)
    if classes:
        whole = column.cast(pyarrow.int64()) if may_be_classes(labels) else column
        return pyarrow.table({LABEL: compute().cast(whole, pyarrow.string())})
    return pyarrow.table({LABEL: pyarrow.nulls(labels.shape[0]) if missing.all() else column})
