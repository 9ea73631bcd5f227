"""What one read leaves behind of what becomes sparse columns: how often each bucket of a hash was met, and names.

As the sketches of other columns these can be added up, and how the rows were cut changes nothing. Buckets are counted
in an array of all of them, so the bits of the hash are settled before the first row: as many as in memory, unless the
columns that they may lead to would not fit beside the rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow, compute
from downslope.data.blocks import SparseRows
from downslope.data.encodings import LeftOut
from downslope.data.fit_plan import Fitted
from downslope.data.fit_sparse import NO_GRAM
from downslope.data.text.buckets import Buckets
from downslope.data.text.columns import FEWEST_BITS, MOST_BITS, NAMING_BYTES, Text, bits_of, feature_of_met, text_of
from downslope.data.text.columns import count as count_text
from downslope.data.text.entries import VOWPAL_WABBIT
from downslope.data.text.features import hashed_levels
from downslope.errors import OptionError
from downslope.records.grams import Kind
from downslope.records.sizes import written
from downslope.records.spec import Spec
from downslope.types import Codes
from downslope.words import say

COLUMN_BYTES = 400
"""Bytes of memory that training takes for a sparse column and an output, most for the steps that are remembered."""
COUNT_BYTES = 4
UNKNOWN_BITS = 22
"""Bits of the hash where nobody can say how much will come: the table of the columns takes 16 MB."""
UNPACKED = 4
"""A text has at most about so many times the bytes of the file that holds it."""

Held = NDArray[np.bool_]


def bits_to_stream(spec: Spec, kind: Kind, size: int, memory: int) -> int:
    """Return the bits of the hash of n-grams of a table of ``size`` bytes, 0 where that is not known.

    memory: bytes for data. Raises OptionError where the buckets of the bits that are asked for cannot be counted in it.
    """
    if not isinstance(spec.hash_bits, str):
        check_bits(int(spec.hash_bits), memory)
        return int(spec.hash_bits)
    return min(bits_of(UNPACKED * size, kind) if size else UNKNOWN_BITS, most_bits(memory))


def chooses_bits(kind: str, spec: Spec) -> bool:
    """Return whether the bits of a hash are chosen here: of texts and of named features. kind: format of the files."""
    return isinstance(spec.hash_bits, str) and (bool(spec.text) or kind == VOWPAL_WABBIT)


def most_bits(memory: int) -> int:
    """Return the bits of a hash whose columns take half of so many bytes; the other half is for rows."""
    return min(max(int(math.log2(max(memory // 2 // COLUMN_BYTES, 1))), FEWEST_BITS), MOST_BITS)


def check_bits(bits: int, memory: int) -> None:
    """Raise OptionError where the buckets of so many bits cannot be counted in so many bytes of memory."""
    if COUNT_BYTES << bits > memory // 2:
        message = say(
            "--hash-bits {bits} takes {size} to count the buckets, and {memory} are there for data; set fewer, or "
            "raise --memory",
            bits=bits, size=written(COUNT_BYTES << bits), memory=written(memory),
        )  # fmt: skip
        raise OptionError(message)


class Met:
    """How many training rows have met each bucket of a hash, and how many entries all rows have.

    bits: of the hash. entries: of all rows, whether they train or not.
    """

    def __init__(self, bits: int) -> None:
        """Begin with none."""
        self.bits, self.entries = bits, 0
        self.counts: NDArray[np.int32] = np.zeros(1 << bits, np.int32)  # the system gives what is written to

    def add(self, buckets: Codes, times: NDArray[Any] | None = None) -> None:
        """Count some buckets of training rows, each once or as often as given."""
        np.add.at(self.counts, buckets, np.int32(1) if times is None else times.astype(np.int32))

    def note(self, counted: SparseRows, out: Held | None) -> None:
        """Take in some rows by bucket, of which ``out`` do not train."""
        self.entries += counted.entries
        self.add(counted.places if out is None else counted.take(np.flatnonzero(~out)).places)

    def join(self, later: Met) -> None:
        """Take in what the rows that follow have met."""
        self.counts += later.counts
        self.entries += later.entries

    def found(self) -> tuple[Buckets, NDArray[np.int64]]:
        """Return the buckets that were met, the most frequent first, and the rows (s,) of each."""
        return Buckets.counted(self.counts)


@dataclass
class Sample:
    """Some rows of a text, spread over the whole: every so many, as soon as all would be too long.

    every: rows between two of them. texts: (global index, string) of those kept, each some of them.
    """

    every: int = 1
    texts: list[tuple[NDArray[np.int64], Any]] = field(default_factory=list[tuple[NDArray[np.int64], Any]])
    size: int = 0

    def add(self, column: Any, first: int) -> None:
        """Take in some rows, ``first`` of which stand before them."""
        rows = np.arange(first, first + len(column))
        chosen = np.flatnonzero(rows % self.every == 0)
        if chosen.size:
            strings = column.take(arrow().array(chosen)).cast(arrow().large_string())
            self.texts.append((rows[chosen], strings))
            self.size += _letters(strings)
        self._thin()

    def _thin(self) -> None:
        while self.size > NAMING_BYTES:
            self.every *= 2
            self._keep()

    def _keep(self) -> None:
        kept: list[tuple[NDArray[np.int64], Any]] = []
        for rows, strings in self.texts:
            chosen = np.flatnonzero(rows % self.every == 0)
            if chosen.size:
                kept.append((rows[chosen], strings.take(arrow().array(chosen))))
        self.texts = kept
        self.size = sum(_letters(strings) for _, strings in kept)

    def join(self, later: Sample) -> None:
        """Take in the sample of the rows that follow."""
        self.every = max(self.every, later.every)
        self.texts += later.texts
        self._keep()
        self._thin()

    def text(self) -> Text:
        """Return the rows."""
        chunks = [chunk for _, strings in self.texts for chunk in strings.chunks]
        return text_of(arrow().chunked_array(chunks, arrow().large_string()))


def _letters(strings: Any) -> int:
    """Return the bytes of strings, the same however they lie in memory."""
    return int(compute().sum(compute().binary_length(strings)).as_py() or 0)


@dataclass
class TextSketch:
    """A column of text: what its n-grams, of each kind, have met.

    kinds, met: as many as there are kinds of n-grams. train: training rows. sample: for the names.
    """

    kinds: tuple[Kind, ...]
    met: tuple[Met, ...]
    nulls: int = 0
    train: int = 0
    sample: Sample = field(default_factory=Sample)

    @classmethod
    def of(cls, spec: Spec, size: int, memory: int) -> TextSketch:
        """Return the empty sketch of a text in a table of so many bytes; raises OptionError, see ``bits_to_stream``."""
        kinds = tuple(Kind.of(told) for told in spec.grams)
        share = memory // len(kinds)
        return cls(kinds, tuple(Met(bits_to_stream(spec, each, size, share)) for each in kinds))

    def update(self, column: Any, name: str, out: Held | None, first: int) -> None:
        """Take in some rows, of which ``out`` do not train."""
        del name
        text = text_of(column)
        for kind, met in zip(self.kinds, self.met, strict=True):
            met.note(count_text(text, kind, met.bits), out)
        self.note(column, out, first)

    def note(self, column: Any, out: Held | None, first: int) -> None:
        """Take in some rows, but for what their n-grams have met."""
        self.nulls += int(column.null_count)
        self.train += len(column) if out is None else int(len(column) - out.sum())
        self.sample.add(column, first)

    def join(self, later: TextSketch) -> None:
        """Take in the sketch of the rows that follow."""
        self.nulls += later.nulls
        self.train += later.train
        for met, more in zip(self.met, later.met, strict=True):
            met.join(more)
        self.sample.join(later.sample)

    def fitted(self, name: str) -> Fitted:
        """Return how the text becomes sparse columns; see ``fit_sparse.fit_text_column``."""
        text, entries = self.sample.text(), 0
        features: list[Any] = []
        for kind, met in zip(self.kinds, self.met, strict=True):
            buckets, rows = met.found()
            if buckets.size:
                features.append(feature_of_met(name, text, buckets, rows, self.train, kind, met.bits))
                entries += met.entries
        if not features:
            return Fitted("text", self.nulls, left_out=LeftOut(name, "text", NO_GRAM))
        return Fitted("text", self.nulls, sparse=tuple(features), written=entries)


class RareSketch:
    """Which buckets the levels of a category fall into, if those beyond the most frequent are to be hashed."""

    def __init__(self, bits: int) -> None:
        """Begin with none."""
        self.met = Met(bits)

    def update(self, names: Any, codes: Codes, out: Held | None) -> None:
        """Take in some rows: names of levels, and the place of each row's, -1 where it has none."""
        kept = codes if out is None else codes[~out]
        times = np.bincount(kept + 1, minlength=len(names) + 1)[1:]
        self.met.add(hashed_levels(names, self.met.bits), times)

    def join(self, later: RareSketch) -> None:
        """Take in the sketch of the rows that follow."""
        self.met.join(later.met)

    def beyond(self, known: Sequence[str], times: Sequence[int]) -> tuple[Buckets, int]:
        """Return the buckets of other levels than some known ones, met so many times, and the rows of the others."""
        names = arrow().array(list(known), arrow().string())
        rest = self.met.counts.copy()
        np.subtract.at(rest, hashed_levels(names, self.met.bits), np.array(times, np.int32))
        return Buckets.counted(np.maximum(rest, 0))[0], int(np.maximum(rest, 0).sum())
