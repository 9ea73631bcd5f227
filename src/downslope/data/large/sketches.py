"""What one read of a column leaves behind: sketches of a bounded size that can be added up.

A sketch sees the rows some at a time, and two sketches of consecutive rows join to that of all of them, so how the
rows were cut changes nothing but the last digits of a mean. Levels are counted exactly up to ``MOST_NAMES`` of them;
above that the rare half is let go now and then, and ``lost`` says how many rows a count may be short of at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.columns import Levels, Numbers, text_names
from downslope.data.fit_plan import IDENTIFIER_ROWS, MOST_LEVELS, LevelFacts, NumberFacts, check_deviation
from downslope.data.holdout import scatter

MOST_NAMES = 50_000
"""Levels of one column that are counted exactly."""
MOST_HASHES = 1 << 16
"""Distinct values of a sample by their hash, from which more of them are estimated, to about 0.4 %."""
TOP = float(1 << 64)

Hashes = NDArray[np.uint64]
Held = NDArray[np.bool_]
"""Which rows of some are held out, (rows,)."""


@dataclass
class Distinct:
    """How many distinct values there are: all occurrences of those whose hash is at most ``limit``.

    A sample of values, not of rows (Gibbons 2001, "Distinct sampling"), so it also tells whether any came twice.
    """

    limit: int = (1 << 64) - 1
    hashes: Hashes = field(default_factory=lambda: np.empty(0, np.uint64))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

    def add(self, hashes: Hashes, counts: NDArray[np.int64]) -> None:
        """Take in some values by their hashes, each with its occurrences."""
        near = hashes <= np.uint64(self.limit)
        if not near.any():
            return
        joined = np.concatenate([self.hashes, hashes[near]])
        found, places = np.unique(joined, return_inverse=True)
        weights = np.concatenate([self.counts, counts[near]])
        self.hashes = found
        self.counts = np.bincount(places, weights=weights, minlength=found.size).astype(np.int64)
        while self.hashes.size > MOST_HASHES:
            self.limit //= 2
            kept = self.hashes <= np.uint64(self.limit)
            self.hashes, self.counts = self.hashes[kept], self.counts[kept]

    def join(self, other: Distinct) -> None:
        """Take in what another has seen."""
        self.limit = min(self.limit, other.limit)
        kept = self.hashes <= np.uint64(self.limit)
        self.hashes, self.counts = self.hashes[kept], self.counts[kept]
        self.add(other.hashes, other.counts)

    @property
    def estimate(self) -> int:
        """Distinct values, exact up to MOST_HASHES of them."""
        return round(self.hashes.size * (TOP / (self.limit + 1)))

    @property
    def all_once(self) -> bool:
        """True where no value of the sample came twice."""
        return not bool((self.counts > 1).any())


@dataclass
class NumberSketch:
    """A column of numbers: mean and squares about it joined stably (Chan, Golub and LeVeque 1979, eq. 2.1).

    present, absent: training rows with a value and without. missing: null values of all rows. mean, squares: of the
    values, squares being the sum about the mean. order: 1 rising, -1 falling, 0 neither so far; first, last: values.
    distinct: kept where the column's name is that of an identifier.
    """

    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.float64))
    present: int = 0
    absent: int = 0
    missing: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: Any = None
    high: Any = None
    first: Any = None
    last: Any = None
    rising: bool = True
    falling: bool = True
    distinct: Distinct | None = None

    def update(self, numbers: Numbers, held: Held | None) -> None:
        """Take in some rows, those held out for their missing values alone."""
        gone = numbers.missing
        self.missing += 0 if gone is None else int(gone.sum())
        values = numbers.values if held is None else numbers.values[~held]
        if gone is not None:
            absent = gone if held is None else gone[~held]
            self.absent += int(absent.sum())
            values = values[~absent]
        if values.size:
            self.join(self._of(values))

    def _of(self, values: NDArray[Any]) -> NumberSketch:
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean(dtype=np.float64))
            rest = values.astype(np.float64)
            rest -= mean
            shift = float(rest.mean())
            rest -= shift
            squares = float(rest @ rest)
        whole = values.dtype.kind in "iu"
        distinct = None
        if self.distinct is not None and whole:
            distinct = Distinct()
            distinct.add(scatter(values.astype(np.int64), 0), np.ones(values.size, np.int64))
        return NumberSketch(
            values.dtype, values.size, 0, 0, mean + shift, squares, values.min().item(), values.max().item(),
            values[0].item(), values[-1].item(), whole and bool((values[1:] > values[:-1]).all()),
            whole and bool((values[1:] < values[:-1]).all()), distinct,
        )  # fmt: skip

    def join(self, later: NumberSketch) -> None:
        """Take in the sketch of the rows that follow."""
        self.absent += later.absent
        self.missing += later.missing
        if later.distinct is not None and self.distinct is not None:
            self.distinct.join(later.distinct)
        if not later.present:
            return
        if not self.present:
            self.dtype, self.low, self.high = later.dtype, later.low, later.high
            self.first, self.rising, self.falling = later.first, later.rising, later.falling
        else:
            self.rising = self.rising and later.rising and later.first > self.last
            self.falling = self.falling and later.falling and later.first < self.last
        total, apart = self.present + later.present, later.mean - self.mean
        self.mean += apart * (later.present / total)
        self.squares += later.squares + apart * apart * (self.present * (later.present / total))
        self.low, self.high, self.last = min(self.low, later.low), max(self.high, later.high), later.last
        self.present = total

    def facts(self, name: str) -> NumberFacts:
        """Return what the rows say; raises ColumnError on overflow."""
        rows = self.present + self.absent
        share = self.absent / rows if rows else 0.0
        if not self.present:
            return NumberFacts(0, share, self.missing, self.dtype)
        scale = math.sqrt(self.squares / self.present) if self.squares >= 0 else math.nan
        check_deviation(scale, name)
        return NumberFacts(
            self.present, share, self.missing, self.dtype, self.mean, scale, self.first, self.low, self.high
        )

    def labels_rows(self) -> bool:
        """Return whether the values only count or name the rows: monotone, or all distinct under such a name."""
        if self.present < IDENTIFIER_ROWS:
            return False
        return self.rising or self.falling or (self.distinct is not None and self.distinct.all_once)


@dataclass
class LevelSketch:
    """A category: counts of its levels among the training rows.

    counts: level -> rows. present, absent, missing: as for numbers. lost: rows that a count may lack at most, 0 while
    all levels were kept. distinct: of all levels, once some were let go.
    """

    counts: dict[str, int] = field(default_factory=dict[str, int])
    present: int = 0
    absent: int = 0
    missing: int = 0
    lost: int = 0
    distinct: Distinct | None = None

    def update(self, levels: Levels, held: Held | None) -> None:
        """Take in some rows, those held out for their missing values alone."""
        self.missing += int(np.count_nonzero(levels.codes < 0))
        codes = levels.codes if held is None else levels.codes[~held]
        counts = np.bincount(codes + 1, minlength=len(levels.names) + 1)
        used = np.flatnonzero(counts[1:])
        self.absent += int(counts[0])
        self.present += int(counts[1:].sum())
        self._count(text_names(levels.names, used), counts[1:][used].tolist())

    def _count(self, names: list[str], counts: list[int]) -> None:
        if self.distinct is not None:
            self.distinct.add(*_hashed(names, counts))
        for name, rows in zip(names, counts, strict=True):
            self.counts[name] = self.counts.get(name, 0) + rows
        self._forget()

    def _forget(self) -> None:
        if len(self.counts) <= MOST_NAMES:
            return
        if self.distinct is None:
            self.distinct = Distinct()
            self.distinct.add(*_hashed(list(self.counts), list(self.counts.values())))
        ranked = sorted(self.counts.items(), key=_by_rows)
        self.lost += ranked[MOST_NAMES // 2][1]
        self.counts = dict(ranked[: MOST_NAMES // 2])

    def join(self, later: LevelSketch) -> None:
        """Take in the sketch of the rows that follow."""
        self.present += later.present
        self.absent += later.absent
        self.missing += later.missing
        if later.distinct is not None and self.distinct is None:
            self.distinct = Distinct()
            self.distinct.add(*_hashed(list(self.counts), list(self.counts.values())))
        if later.distinct is not None and self.distinct is not None:
            self.distinct.join(later.distinct)
        elif self.distinct is not None:
            self.distinct.add(*_hashed(list(later.counts), list(later.counts.values())))
        self.lost += later.lost
        for name, rows in later.counts.items():
            self.counts[name] = self.counts.get(name, 0) + rows
        self._forget()

    def facts(self) -> LevelFacts:
        """Return what the rows say."""
        met = len(self.counts) if self.distinct is None else self.distinct.estimate
        return LevelFacts(met, self.present, self.absent, self.missing, self._most_frequent)

    def _most_frequent(self) -> tuple[str, ...]:
        return tuple(name for name, _ in sorted(self.counts.items(), key=_by_rows)[:MOST_LEVELS])


def _by_rows(pair: tuple[str, int]) -> tuple[int, str]:
    return -pair[1], pair[0]


def _hashed(names: list[str], counts: list[int]) -> tuple[Hashes, NDArray[np.int64]]:
    digests = b"".join(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, np.uint64), np.array(counts, np.int64)
