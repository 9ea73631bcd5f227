"""What one read leaves behind of rows that name their features themselves: svmlight and Vowpal Wabbit text.

Everything is kept by bucket, in arrays that two sketches of consecutive rows add up: how often it was met, the largest
value, the feature that came first, whether another one came later, and of the first many buckets a name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from downslope.data.encodings import LeftOut
from downslope.data.fit_plan import Fitted
from downslope.data.fit_sparse import ENTRIES, NO_FEATURE, bits_for_names, origins_of
from downslope.data.large.met import check_bits, most_bits
from downslope.data.text.buckets import Buckets
from downslope.data.text.columns import NAMED
from downslope.data.text.entries import SVMLIGHT, FileEntries
from downslope.data.text.features import FileFeature, masked
from downslope.errors import OptionError
from downslope.records.sizes import written
from downslope.records.spec import Spec
from downslope.types import Codes, Vector
from downslope.words import say

BUCKET_BYTES = 17
"""Bytes of all arrays for a bucket."""
Held = NDArray[np.bool_]


@dataclass
class Names:
    """Names of buckets: buckets (n,), letters in UTF-8 one after the other, and where each ends (n,)."""

    buckets: list[Codes] = field(default_factory=list[Codes])
    letters: list[NDArray[np.uint8]] = field(default_factory=list[NDArray[np.uint8]])
    lengths: list[NDArray[np.int64]] = field(default_factory=list[NDArray[np.int64]])
    count: int = 0

    def add(self, buckets: Codes, letters: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        """Take in some names."""
        self.buckets.append(buckets)
        self.letters.append(letters)
        self.lengths.append(np.diff(ends, prepend=0))
        self.count += int(buckets.shape[0])

    def join(self, later: Names) -> None:
        """Take in the names that follow."""
        self.buckets += later.buckets
        self.letters += later.letters
        self.lengths += later.lengths
        self.count += later.count

    def of(self, met: Buckets, bits: int) -> Buckets:
        """Return buckets with the first name of each of the first NAMED of them, where it has one."""
        if not self.count:
            return met
        places = met.finder()(masked(np.concatenate(self.buckets), bits))
        kept = min(met.size, NAMED)
        known = np.flatnonzero((places >= 0) & (places < kept))
        first = np.full(kept, -1, np.int64)
        first[places[known][::-1]] = known[::-1]  # of several, the last written stays: the first
        lengths = np.concatenate(self.lengths)
        begins = np.cumsum(lengths) - lengths
        told = first >= 0
        own = np.where(told, lengths[first], 0)
        ends = np.cumsum(own)
        places_of = np.repeat(np.where(told, begins[first], 0) - (ends - own), own) + np.arange(int(ends[-1]))
        return replace(met, letters=np.concatenate(self.letters)[places_of], ends=ends.astype(np.int64))


class EntriesSketch:
    """The entries of some files.

    format: of the files. bits: of the hash of names, 0 for indices. entries: of all rows. bad: lines left out.
    """

    def __init__(self, format: str, bits: int, memory: int) -> None:
        """Begin with no row. memory: bytes that the arrays may take."""
        self.format, self.bits, self.memory = format, bits, memory
        self.entries = self.bad = 0
        self.names = Names()
        size = 1 << bits if bits else 0
        self.counts: NDArray[np.int32] = np.zeros(size, np.int32)
        self.firsts: Codes = np.zeros(size, np.int32)
        self.mixed: NDArray[np.bool_] = np.zeros(size, np.bool_)
        self.largest: Vector = np.zeros(size)

    @classmethod
    def of(cls, format: str, spec: Spec, memory: int) -> EntriesSketch:
        """Return the empty sketch of files of a format; memory: bytes for data. Raises OptionError."""
        if format == SVMLIGHT:
            return cls(format, 0, memory // 2)
        if not isinstance(spec.hash_bits, str):
            check_bits(int(spec.hash_bits), memory // (BUCKET_BYTES // 4))
            return cls(format, int(spec.hash_bits), memory // 2)
        return cls(format, most_bits(memory), memory // 2)

    def update(self, entries: FileEntries, out: Held | None) -> None:
        """Take in some rows, of which ``out`` do not train; raises OptionError."""
        from downslope.data.text.rows import note_entries

        self.entries += entries.rows.entries
        self.bad += entries.bad
        rows = None if out is None else np.flatnonzero(~out)
        chosen = entries.rows if rows is None else entries.rows.take(rows)
        buckets = masked(chosen.places, self.bits)
        self._hold(int(buckets.max(initial=-1)) + 1)
        room = min(NAMED - self.names.count, chosen.entries) if entries.origins is not None else 0
        fresh = np.empty(max(room, 0), np.int64)
        values = chosen.values.astype(np.float64, copy=False)
        found = note_entries(
            buckets, chosen.places, values, self.counts, self.firsts, self.mixed, self.largest, fresh
        )  # fmt: skip
        if found:
            new = fresh[:found]
            place = new if rows is None else origins_of(entries.rows, rows)[new]
            self.names.add(buckets[new], *entries.names(place))

    def _hold(self, size: int) -> None:
        """Make room for so many buckets; raises OptionError where they are too many to be counted."""
        there = self.counts.shape[0]
        if size <= there:
            return
        if size * BUCKET_BYTES > self.memory:
            message = say(
                "indices up to {highest} take {size} to be counted, and {memory} are there for it; number the features "
                "from 1, or raise --memory",
                highest=size - 1, size=written(size * BUCKET_BYTES), memory=written(self.memory),
            )  # fmt: skip
            raise OptionError(message)
        wider = min(max(size, 2 * there), self.memory // BUCKET_BYTES) - there
        self.counts, self.firsts = np.pad(self.counts, (0, wider)), np.pad(self.firsts, (0, wider))
        self.mixed, self.largest = np.pad(self.mixed, (0, wider)), np.pad(self.largest, (0, wider))

    def join(self, later: EntriesSketch) -> None:
        """Take in the sketch of the rows that follow."""
        self._hold(later.counts.shape[0])
        self.entries += later.entries
        self.bad += later.bad
        self._add(later)
        self.names.join(later.names)

    def _add(self, later: EntriesSketch) -> None:
        """Add what another has seen of the first buckets."""
        here = slice(later.counts.shape[0])
        known = self.counts[here] > 0
        self.mixed[here] |= later.mixed | (known & (later.counts > 0) & (self.firsts[here] != later.firsts))
        self.firsts[here] = np.where(known, self.firsts[here], later.firsts)
        self.counts[here] += later.counts
        self.largest[here] = np.maximum(self.largest[here], later.largest)

    def _folded(self, bits: int) -> EntriesSketch:
        """Return what fewer bits of the hash would have met."""
        found = EntriesSketch(self.format, bits, self.memory)
        found.entries, found.bad, found.names = self.entries, self.bad, self.names
        size = 1 << bits
        for first in range(0, self.counts.shape[0], size):
            part = EntriesSketch(self.format, 0, self.memory)
            part.counts, part.firsts = self.counts[first : first + size], self.firsts[first : first + size]
            part.mixed, part.largest = self.mixed[first : first + size], self.largest[first : first + size]
            found._add(part)
        return found

    def fitted(self, spec: Spec) -> Fitted:
        """Return how the features become sparse columns; see ``fit_sparse.fit_entries``."""
        sketch = self
        if self.bits and isinstance(spec.hash_bits, str):
            sketch = self._folded(min(bits_for_names(int(np.count_nonzero(self.counts))), self.bits))
        buckets, met = Buckets.counted(sketch.counts)
        if not buckets.size:
            return Fitted("sparse", 0, left_out=LeftOut(ENTRIES, "sparse", NO_FEATURE))
        largest = sketch.largest[buckets.ids]
        scale = np.where(largest > 0, largest, 1.0) if spec.standardize else np.ones(buckets.size)
        shared = float(met[sketch.mixed[buckets.ids]].sum() / met.sum())
        feature = FileFeature(self.format, sketch.bits, sketch.names.of(buckets, sketch.bits), scale, shared)
        return Fitted("sparse", 0, sparse=(feature,), written=self.entries)
