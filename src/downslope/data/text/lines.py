"""Files of svmlight and Vowpal Wabbit text: whole files to rows, and what to say of a malformed line."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow, compute
from downslope.data.blocks import SparseRows
from downslope.data.text.buckets import in_parts, threads
from downslope.data.text.entries import LABEL, VOWPAL_WABBIT, FileEntries
from downslope.errors import SourceError
from downslope.types import Offsets, Vector
from downslope.words import Sentence, say

AT_ONCE = 1 << 22
"""Bytes that a thread reads at once."""
SHOWN = 60
"""Characters of a malformed line that are shown."""
NEWLINE = 10


@dataclass(frozen=True)
class _Part:
    """Some lines as rows; bad: numbers of the malformed ones, from 0, and what is wrong with each."""

    labels: Vector
    importance: Vector
    rows: SparseRows
    origins: Offsets
    bad: list[tuple[int, int]]


def read_lines(paths: Sequence[Path], format: str, packing: Sequence[str | None], *, skip_bad: bool) -> Any:
    """Return the rows of files as (Arrow table of their labels, FileEntries); raises SourceError.

    packing: the compression of each file. skip_bad: leave malformed lines out and count them.
    """
    contents: list[NDArray[np.uint8]] = []
    parts: list[_Part] = []
    base = bad = 0
    for path, packed in zip(paths, packing, strict=True):
        content = _content(path, packed)
        found = _parts(content, format, base)
        wrong = [each for part in found for each in part.bad]
        if wrong and not skip_bad:
            raise SourceError(_complaint(path, content, *wrong[0]))
        bad += len(wrong)
        parts += found
        base += content.shape[0]
        contents.append(content)
    rows = SparseRows.joined([each.rows for each in parts])
    if not rows.rows:
        message = say("{source} holds no row; give a file with examples", source=str(paths[0]))
        raise SourceError(message)
    importance = np.concatenate([each.importance for each in parts])
    named = format == VOWPAL_WABBIT
    entries = FileEntries(
        format, rows, None if bool((importance == 1).all()) else importance,
        np.concatenate([each.origins for each in parts]) if named else None, tuple(contents) if named else (), bad,
    )  # fmt: skip
    return _label_table(np.concatenate([each.labels for each in parts])), entries


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


def _parts(content: NDArray[np.uint8], format: str, base: int) -> list[_Part]:
    from downslope.data.text import parsing

    ends = np.flatnonzero(content == NEWLINE)
    lines = int(ends.shape[0])

    def part(first: int, last: int) -> _Part:
        size = int(ends[last - 1] - (ends[first - 1] if first else -1))
        count, room = last - first, size // 2 + 1
        out = parsing.Lines(
            np.empty(count), np.empty(count), np.zeros(count + 1, np.int64), np.empty(room, np.int32), np.empty(room),
            np.empty(room if format == VOWPAL_WABBIT else 0, np.int64), np.empty(count, np.uint8),
        )  # fmt: skip
        if format == VOWPAL_WABBIT:
            rows = parsing.read_vw(content, ends, first, last, base, out)
        else:
            rows = parsing.read_svmlight(content, ends, first, last, out)
        filled = int(out.starts[rows])
        wrong = np.flatnonzero(out.status > parsing.SKIPPED)
        return _Part(
            out.labels[:rows], out.importance[:rows],
            SparseRows(out.starts[: rows + 1], out.ids[:filled], out.values[:filled]),
            out.origins[:filled], [(first + line, int(out.status[line])) for line in wrong.tolist()],
        )  # fmt: skip

    return in_parts(lines, part, max(-(-content.shape[0] // AT_ONCE), threads() if lines > 1 << 10 else 1))


def _complaint(path: Path, content: NDArray[np.uint8], line: int, wrong: int) -> Sentence:
    ends = np.flatnonzero(content == NEWLINE)
    begin = int(ends[line - 1]) + 1 if line else 0
    text = content[begin : int(ends[line])].tobytes().decode("utf-8", "replace").strip()
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
