"""Sparse columns of rows that are seen once: each gets a number when it is first met, and keeps it.

The first rows settle how texts, levels and names are hashed and how rare each n-gram is, as a scan does for a table
that can be read twice. A bucket that comes up later gets the next number; its n-gram is taken to be as rare as one
that no row of the first had. What all rows have met is counted on the way, so that the names, the shares and the order
of the columns in the model are those of the whole pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow, compute
from downslope.data.blocks import SparseRows
from downslope.data.columns import levels_of
from downslope.data.fit_plan import Fitted
from downslope.data.large.met import TextSketch
from downslope.data.large.met_entries import Names
from downslope.data.sparse import counted_of, text_column
from downslope.data.table import Table
from downslope.data.text.buckets import COUNT, LARGEST, MIXED, TOLD, Buckets
from downslope.data.text.columns import NAMED, TextFeature, feature_of_met, tf_idf
from downslope.data.text.features import (
    FileFeature,
    HashedCategory,
    SparseFeature,
    hashed_levels,
    masked,
    merged,
    side_by_side,
)
from downslope.errors import OptionError
from downslope.records.figures import count
from downslope.records.sizes import written
from downslope.records.spec import Spec
from downslope.types import Codes, Matrix, Vector
from downslope.words import say

COLUMN_BYTES = 160
"""Bytes of memory that one pass takes for a sparse column and an output: its state, twice while that grows, and the
weights of several moments (measured: 110)."""
SHARING = 1 << 16
"""Levels by which it is measured how many share their bucket, at most; then every second bucket goes."""
FULL_BITS = 31
"""Bits of a hash by which two levels are told apart."""

Held = NDArray[np.bool_]


class Growing:
    """The sparse columns met so far, all features in one numbering.

    size: their number.
    """

    def __init__(self, features: Sequence[SparseFeature], rows: int, spec: Spec, memory: int, outputs: int) -> None:
        """Begin with none; features: as the first ``rows`` training rows have them. memory: bytes for data."""
        self.most = max(memory // 2 // (COLUMN_BYTES * outputs), 1)
        self.memory, self.size = memory, 0
        self._factors: Vector = np.empty(0)
        self._texts: dict[str, TextSketch] = {}
        self._parts = [self._part(each, rows, spec) for each in features]

    def _part(self, feature: SparseFeature, rows: int, spec: Spec) -> _Part:
        if isinstance(feature, FileFeature):
            return _Entries(feature, standardize=spec.standardize)
        if isinstance(feature, HashedCategory):
            return _Levels(feature)
        sketch = self._texts.setdefault(feature.column, TextSketch((), ()))
        return _Text(feature, sketch, np.log(1.0 + rows) + 1.0)

    @property
    def factors(self) -> Vector:
        """(size,) the rarity of a text's columns, what the others are divided by."""
        return self._factors[: self.size]

    @property
    def bad(self) -> int:
        """Malformed lines left out."""
        return sum(each.bad for each in self._parts)

    def encode(self, table: Table, train: Held, first: int, dtype: np.dtype[Any]) -> SparseRows:
        """Return the sparse rows of a table, whose training rows give new columns their numbers.

        first: rows that stand before these. Raises ColumnError, and OptionError where the columns become too many.
        """
        out = None if train.all() else ~train
        for column, sketch in self._texts.items():
            sketch.note(text_column(table, column), out, first)
        found: list[tuple[_Part, SparseRows]] = []
        for part in self._parts:
            counted, fresh = part.meet(table, train, self.size)
            self._grow(part.factors_of(table, fresh))
            found.append((part, counted))
        rows = [part.rows(numbered, self.factors, dtype) for part, numbered in found]
        return side_by_side(rows, [0] * len(rows))

    def _grow(self, factors: Vector) -> None:
        there, before = self._factors.shape[0], self.size
        self.size += factors.shape[0]
        if self.size > self.most:
            message = say(
                "{columns} sparse columns have been met, more than --memory has room for: it leaves {memory} for data; "
                "raise it, or set fewer --hash-bits",
                columns=count(self.size),
                memory=written(self.memory),
            )
            raise OptionError(message)
        if self.size > there:
            self._factors = np.append(self._factors, np.empty(max(self.size - there, there // 4)))
        self._factors[before : self.size] = factors

    def ended(self, fitted: Sequence[Fitted]) -> tuple[list[Fitted], NDArray[np.int64]]:
        """Return how all columns became features by the whole pass, and the number (s,) of each sparse column."""
        left = iter(self._parts)
        found: list[Fitted] = []
        numbers: list[NDArray[np.int64]] = []
        for each in fitted:
            if each.left_out is not None or not each.sparse:
                found.append(each)
                continue
            parts = [next(left) for _ in each.sparse]
            features: list[SparseFeature] = []
            for part in parts:
                buckets, met, number = part.ranked()
                features.append(part.ended(buckets, met, self.factors[number]))
                numbers.append(number)
            kept = tuple(feature for feature in features if feature.size)
            found.append(replace(each, sparse=kept, written=sum(part.entries for part in parts)))
        return found, np.concatenate(numbers)


class _Part(ABC):
    """The columns of one feature.

    table: (ids,) int32, the column of each id among those of this feature, -1 where it has none. buckets, told: of
    those columns, see ``number_entries``; ``size`` of them are filled. numbers: (size,) of each among all columns.
    entries: of all rows. bad: malformed lines left out.
    """

    def __init__(self, bits: int) -> None:
        self.bits, self.entries, self.bad = bits, 0, 0
        self.table: Codes = np.full(1 << bits if bits else 1, -1, np.int32)
        self.size = 0
        self.buckets: Codes = np.empty(0, np.int32)
        self.told: Matrix = np.empty((0, TOLD))
        self.numbers: Codes = np.empty(0, np.int32)
        self._alone = True

    @abstractmethod
    def count(self, table: Table) -> SparseRows:
        """Return what each row of a table meets, by id; raises ColumnError."""

    def meet(self, table: Table, train: Held, first: int) -> tuple[SparseRows, Codes]:
        """Return what each row of a table meets, by column, and the entries that were the first of a new one.

        Those have the numbers from ``first`` on.
        """
        from downslope.data.text.rows import number_entries

        counted = self.count(table)
        self.entries += counted.entries
        mask = (1 << self.bits) - 1 if self.bits else -1
        if not self.bits:
            self._widen(int(counted.places.max(initial=-1)) + 1)
        room = min(counted.entries, self.table.shape[0])
        self._hold(self.size + room)
        fresh, columns = np.empty(room, np.int32), np.empty(counted.entries, np.int32)
        before = self.size
        self.size = number_entries(
            counted.starts,
            counted.places,
            counted.values,
            train,
            mask,
            self.table,
            self.buckets,
            self.told,
            before,
            fresh,
            columns,
        )
        more = self.size - before
        self.numbers = np.append(self.numbers, np.arange(first, first + more, dtype=np.int32))
        self._alone = self._alone and first == before
        if not self._alone:
            columns = np.where(columns >= 0, self.numbers[columns], -1)
        return SparseRows(counted.starts, columns, counted.values), fresh[:more]

    def _hold(self, columns: int) -> None:
        """Make room for so many columns."""
        there = self.buckets.shape[0]
        if columns > there:
            wider = max(columns, there * 5 // 4) - there
            self.buckets = np.append(self.buckets, np.empty(wider, np.int32))
            self.told = np.append(self.told, np.empty((wider, TOLD)), axis=0)

    def _widen(self, size: int) -> None:
        """Make room for so many ids."""
        there = self.table.shape[0]
        if size > there:
            self.table = np.pad(self.table, (0, max(size, 2 * there) - there), constant_values=-1)

    def factors_of(self, table: Table, fresh: Codes) -> Vector:
        """Return the factor of each column met anew, from the entries that were the first of each."""
        del table
        return np.ones(fresh.size)

    def rows(self, numbered: SparseRows, factors: Vector, dtype: np.dtype[Any]) -> SparseRows:
        """Return rows by column as those of the model."""
        return merged(numbered, _same, numbered.places, factors, dtype)

    def new(self, count: int) -> slice:
        """Return where the last so many columns stand."""
        return slice(self.size - count, self.size)

    def ranked(self) -> tuple[Buckets, NDArray[np.int64], NDArray[np.int64]]:
        """Return the buckets met, the most frequent first, the rows (s,) of each, and the number of its column."""
        counts = self.told[: self.size, COUNT].astype(np.int64)
        order = np.argsort(-counts, kind="stable")
        return Buckets(self.buckets[order]), counts[order], self.numbers[order].astype(np.int64)

    @abstractmethod
    def ended(self, buckets: Buckets, met: NDArray[np.int64], factors: Vector) -> SparseFeature:
        """Return the feature by all rows."""


def _same(columns: Codes) -> Codes:
    return columns


class _Text(_Part):
    """The n-grams of one kind of a text. sketch: of its rows. unseen: the rarity of what the first rows lacked."""

    def __init__(self, feature: TextFeature, sketch: TextSketch, unseen: float) -> None:
        super().__init__(feature.bits)
        self.feature, self.sketch, self.unseen = feature, sketch, unseen

    def count(self, table: Table) -> SparseRows:
        return counted_of(self.feature, table)

    def factors_of(self, table: Table, fresh: Codes) -> Vector:
        del table
        known = self.feature.buckets.finder()(self.buckets[self.new(fresh.size)])
        return np.where(known >= 0, self.feature.rarity[known], self.unseen)

    def rows(self, numbered: SparseRows, factors: Vector, dtype: np.dtype[Any]) -> SparseRows:
        return tf_idf(numbered, _same, factors, dtype)

    def ended(self, buckets: Buckets, met: NDArray[np.int64], factors: Vector) -> SparseFeature:
        feature, text = self.feature, self.sketch.sample.text()
        rows = self.sketch.train
        found = feature_of_met(feature.column, text, buckets, met, rows, feature.kind, feature.bits)
        return replace(found, rarity=factors)


class _Levels(_Part):
    """The levels of a category that have no weight of their own. names: of the buckets, as they were first met."""

    def __init__(self, feature: HashedCategory) -> None:
        super().__init__(feature.bits)
        self.feature = feature
        self._sharing = Sharing(feature.bits)
        self._names: list[bytes] = []

    def count(self, table: Table) -> SparseRows:
        return counted_of(self.feature, table)

    def factors_of(self, table: Table, fresh: Codes) -> Vector:
        levels = levels_of(table.column(self.feature.column))
        known = arrow().array(self.feature.known, levels.names.type)
        rare = ~compute().is_in(levels.names, value_set=known).to_numpy(zero_copy_only=False)
        names = levels.names.filter(arrow().array(rare))
        full = hashed_levels(names, FULL_BITS)
        self._sharing.add(full)
        if len(self._names) < NAMED:
            buckets, places = np.unique(masked(full, self.bits), return_index=True)
            wanted = self.buckets[self.new(fresh.size)]
            self._names += [str(names[place].as_py()).encode() for place in places[np.searchsorted(buckets, wanted)]]
        return np.ones(fresh.size)

    def ended(self, buckets: Buckets, met: NDArray[np.int64], factors: Vector) -> SparseFeature:
        del met, factors
        place = np.full(1 << self.bits, -1, np.int32)
        named = min(len(self._names), self.size)
        place[self.buckets[:named]] = np.arange(named)
        names: list[bytes] = [self._names[each] if each >= 0 else b"" for each in place[buckets.ids[:NAMED]].tolist()]
        return replace(self.feature, buckets=buckets.named(names), shared=self._sharing.share())


class _Entries(_Part):
    """The features that rows name themselves."""

    def __init__(self, feature: FileFeature, *, standardize: bool) -> None:
        super().__init__(feature.bits)
        self.feature, self.standardize, self.names = feature, standardize, Names()

    def count(self, table: Table) -> SparseRows:
        assert table.entries is not None
        self.bad += table.entries.bad
        return counted_of(self.feature, table)

    def factors_of(self, table: Table, fresh: Codes) -> Vector:
        assert table.entries is not None
        new = self.new(fresh.size)
        named = fresh[: NAMED - self.names.count]
        if table.entries.origins is not None and named.size:
            self.names.add(self.buckets[new][: named.size], *table.entries.names(named.astype(np.intp)))
        largest = self.told[new, LARGEST]
        return np.where(largest > 0, largest, 1.0) if self.standardize else np.ones(fresh.size)

    def ended(self, buckets: Buckets, met: NDArray[np.int64], factors: Vector) -> SparseFeature:
        mixed = self.told[: self.size, MIXED] > 0
        shared = float(self.told[: self.size, COUNT][mixed].sum() / max(met.sum(), 1))
        return replace(self.feature, buckets=self.names.of(buckets, self.bits), scale=factors, shared=shared)


class Sharing:
    """How many levels share their bucket with another: counted in a sample of the buckets, each with all its levels."""

    def __init__(self, bits: int) -> None:
        """Begin with no level. bits: of the hash."""
        self.bits, self.every = bits, 1
        self.met: Codes = np.empty(0, np.int32)

    def add(self, full: Codes) -> None:
        """Take in some levels by their hash of ``FULL_BITS`` bits, whose last bits are the bucket."""
        self.met = np.union1d(self.met, self._sampled(full))
        while self.met.shape[0] > SHARING:
            self.every *= 2
            self.met = self._sampled(self.met)

    def _sampled(self, full: Codes) -> Codes:
        return full[masked(full, self.bits) % self.every == 0]

    def share(self) -> float:
        """Return the share of the levels that share their bucket with another."""
        _, place, times = np.unique(masked(self.met, self.bits), return_inverse=True, return_counts=True)
        return float((times[place] > 1).mean()) if place.size else 0.0
