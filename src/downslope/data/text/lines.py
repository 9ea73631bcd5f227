"""Files of svmlight and Vowpal Wabbit text: whole files to rows, and what to say of a malformed line."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    contents: list[NDArray[np.uint8]] = []
    parts: list[_Part] = []
    begins: list[Offsets] = []
    base = bad = 0
    for path, packed in zip(paths, packing, strict=True):
        content = _content(path, packed)
        found = _parts(content, format)
        wrong = [each for part in found for each in part.bad]
        if wrong and not skip_bad:
            raise SourceError(_complaint(path, content, *wrong[0]))
        bad += len(wrong)
        parts += found
        begins += [part.begins + base for part in found]
        base += content.shape[0]
        contents.append(content)
    rows = _joined(parts)
    if not rows.rows:
        message = say("{source} holds no row; give a file with examples", source=str(paths[0]))
        raise SourceError(message)
    importance = np.concatenate([each.importance for each in parts])
    named = format == VOWPAL_WABBIT
    origins = Origins(np.concatenate(begins), np.concatenate([each.origins for each in parts])) if named else None
    entries = FileEntries(
        format, rows, None if bool((importance == 1).all()) else importance, origins,
        tuple(contents) if named else (), bad,
    )  # fmt: skip
    return _label_table(np.concatenate([each.labels for each in parts])), entries


def _joined(parts: list[_Part]) -> SparseRows:
    """Return the rows of all parts; values that are all 1 in float32, since nothing is lost by it."""
    return SparseRows.joined([
        SparseRows(
            each.starts, each.ids,
            np.broadcast_to(np.float32(1), each.ids.shape) if each.values is None else each.values,
        )
        for each in parts
    ])  # fmt: skip


def _content(path: Path, packed: str | None) -> NDArray[np.uint8]:
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
        message = say("{path} cannot be read whole: it is truncated, damaged or not compressed at all", path=str(path))
        raise SourceError(message) from None
    if whole.size and whole[-1] == NEWLINE:
        return whole if whole.flags.writeable else whole.copy()
    return np.append(whole, np.uint8(NEWLINE))


def _parts(content: NDArray[np.uint8], format: str) -> list[_Part]:
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


def _after_newline(content: NDArray[np.uint8], place: int) -> int:
    """Return where the first line begins that begins at a place or behind it."""
    from downslope.data.text import parsing

    return place if place == 0 else int(parsing.line_end(content, place - 1)) + 1


def _complaint(path: Path, content: NDArray[np.uint8], begin: int, wrong: int) -> Sentence:
    from downslope.data.text import parsing

    line = int(parsing.count_lines(content, 0, begin))
    text = content[begin : int(parsing.line_end(content, begin))].tobytes().decode("utf-8", "replace").strip()
    return say(
        "{path}, line {line}: {wrong}: {text}; mend it, or leave such lines out with --skip-bad-lines",
        path=str(path),
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


def _label_table(labels: Vector) -> Any:
    """Return the labels as a column: two whole numbers are two classes, all else is numbers."""
    pyarrow = arrow()
    missing = np.isnan(labels)
    column = pyarrow.array(labels, mask=missing)
    if missing.all():
        return pyarrow.table({LABEL: pyarrow.nulls(labels.shape[0])})
    low, high = float(labels[~missing].min()), float(labels[~missing].max())
    two = bool((missing | (labels == low) | (labels == high)).all())
    if two and low < high and low.is_integer() and high.is_integer() and max(abs(low), abs(high)) < 2**31:
        return pyarrow.table({LABEL: compute().cast(column.cast(pyarrow.int64()), pyarrow.string())})
    return pyarrow.table({LABEL: column})
