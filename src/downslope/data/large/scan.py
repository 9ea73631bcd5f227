"""One look at every row: what a plan is made of, gathered file by file in bounded memory.

A row is held out where the hash of its global index and the seed says so: that needs no other row, so it is the same
however the rows are cut, and wherever they lie. Its share is the one asked for to within the noise of a draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.columns import Levels, Numbers, kind_of, levels_of, parts_of, text_names
from downslope.data.encode import decode
from downslope.data.fit_plan import names_rows
from downslope.data.holdout import scatter
from downslope.data.large.met import RareSketch, TextSketch, check_bits
from downslope.data.large.met_entries import EntriesSketch
from downslope.data.large.reading import Files
from downslope.data.large.sketches import Distinct, Held, LevelSketch, NumberSketch
from downslope.data.parallel import in_parallel
from downslope.data.sparse import check_linear, check_texts
from downslope.data.table import Table
from downslope.data.target import (
    MOST_CLASSES,
    check_counts,
    check_kind,
    check_weights,
    finite,
    number_name,
    wants_classes,
    weight_values,
)
from downslope.data.text.entries import FORMATS
from downslope.data.text.lines import are_two
from downslope.errors import ColumnError, OptionError, SourceError, nearest
from downslope.records.spec import Spec
from downslope.types import Vector
from downslope.words import say

Told = Callable[[int], None]
"""Called with the rows read so far."""
TOP = 1 << 64


@dataclass
class ColumnSketch:
    """One column: its kind, and a sketch of each of its parts; "" is the value itself.

    rare: of a category whose rarer levels are to be hashed.
    """

    kind: str
    rows: int = 0
    nulls: int = 0
    parts: dict[str, NumberSketch | LevelSketch] = field(default_factory=dict[str, "NumberSketch | LevelSketch"])
    rare: RareSketch | None = None

    @classmethod
    def of(cls, name: str, dtype: Any, bits: int = 0) -> ColumnSketch:
        """Return the empty sketch of a column of an Arrow type; bits: to hash the rarer levels of a category to."""
        kind = kind_of(dtype)
        if kind == "category":
            return cls(kind, parts={"": LevelSketch()}, rare=RareSketch(bits) if bits else None)
        if kind in ("number", "boolean"):
            named = Distinct() if kind == "number" and names_rows(name) else None
            return cls(kind, parts={"": NumberSketch(distinct=named)})
        if kind in ("date", "time"):
            cycles = ("month", "weekday", "hour")
            each = {part: LevelSketch() if part in cycles else NumberSketch() for part in parts_of(dtype)}
            return cls(kind, parts=dict(each))
        return cls(kind)

    def update(self, column: Any, name: str, held: Held | None, first: int) -> None:
        """Take in some rows."""
        self.rows += len(column)
        self.nulls += int(column.null_count)
        for part, sketch in self.parts.items():
            found = decode(column, (name, part), self.kind, first)
            if isinstance(sketch, NumberSketch):
                assert isinstance(found, Numbers)
                sketch.update(found, held)
            else:
                assert isinstance(found, Levels)
                sketch.update(found, held)
                if self.rare is not None:
                    self.rare.update(found.names, found.codes, held)

    def join(self, later: ColumnSketch) -> None:
        """Take in the sketch of the rows that follow."""
        self.rows += later.rows
        self.nulls += later.nulls
        for part, sketch in self.parts.items():
            other = later.parts[part]
            if isinstance(sketch, NumberSketch):
                assert isinstance(other, NumberSketch)
                sketch.join(other)
            else:
                assert isinstance(other, LevelSketch)
                sketch.join(other)
        if self.rare is not None and later.rare is not None:
            self.rare.join(later.rare)


@dataclass
class TargetSketch:
    """The target: rows of each class in the training part and the hold-out, or the range of its numbers.

    name, kind, loss: as asked. classes: whether it is taken for classes. counts: class -> (training, held out), by name
    or by number. low, high, present: of the numbers. single: whether float32 holds them all.
    """

    name: str
    kind: str
    classes: bool
    loss: str
    counts: dict[Any, list[int]] = field(default_factory=dict[Any, "list[int]"])
    present: int = 0
    low: float = np.inf
    high: float = -np.inf
    single: bool = True

    def present_in(self, column: Any, first: int) -> NDArray[np.bool_]:
        """Return which of some rows have a target."""
        if self.classes and self.kind == "category":
            return levels_of(column).codes >= 0
        missing = finite(column, self.name, first).missing
        return np.ones(len(column), np.bool_) if missing is None else ~missing

    def update(self, column: Any, present: NDArray[np.bool_], held: Held, first: int) -> None:
        """Take in some rows, ``first`` of which stand before them."""
        if not self.classes:
            values = finite(column, self.name, first).values.astype(np.float64)
            if self.loss == "poisson":
                check_counts(values, present, self.name, first)
            self._range(values[present])
            return
        if self.kind == "category":
            levels = levels_of(column)
            codes, names = levels.codes, text_names(levels.names, np.arange(len(levels.names)))
        else:
            found, codes = np.unique(finite(column, self.name, first).values, return_inverse=True)
            names = found.tolist()
        for side, rows in enumerate((present & ~held, present & held)):
            counts = np.bincount(codes[rows], minlength=len(names))
            for place in np.flatnonzero(counts):
                self.counts.setdefault(names[place], [0, 0])[side] += int(counts[place])
        self._check_count()

    def _check_count(self) -> None:
        if len(self.counts) > MOST_CLASSES:
            from downslope.data.target import check_classes

            check_classes([str(each) for each in self.counts], self.name)

    def _range(self, values: Vector) -> None:
        if values.size:
            self.present += values.size
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
            self.single = self.single and bool((values.astype(np.float32) == values).all())

    def join(self, later: TargetSketch) -> None:
        """Take in the sketch of the rows that follow."""
        for name, (train, held) in later.counts.items():
            known = self.counts.setdefault(name, [0, 0])
            known[0] += train
            known[1] += held
        self.present += later.present
        self.low, self.high = min(self.low, later.low), max(self.high, later.high)
        self.single = self.single and later.single
        self._check_count()

    def names(self) -> tuple[str, ...]:
        """Return the classes, sorted, by their names."""
        ordered = sorted(self.counts)
        if self.kind == "boolean":
            return tuple(("false", "true")[int(each)] for each in ordered)
        return tuple(ordered if self.kind == "category" else (number_name(each) for each in ordered))


@dataclass
class Scan:
    """All that one read of a table leaves behind.

    columns: sketches by name. target: of the target. rows: read. train_rows, holdout_rows: with a target. weight: the
    sum of the training weights. single: whether float32 holds all weights. weighted: whether rows have weights of their
    own. entries: of files of sparse rows.
    """

    columns: dict[str, ColumnSketch | TextSketch]
    target: TargetSketch
    rows: int = 0
    train_rows: int = 0
    holdout_rows: int = 0
    weight: float = 0.0
    single: bool = True
    weighted: bool = False
    entries: EntriesSketch | None = None

    def join(self, later: Scan) -> None:
        """Take in the scan of the rows that follow."""
        for name, column in self.columns.items():
            other = later.columns[name]
            if isinstance(column, TextSketch):
                assert isinstance(other, TextSketch)
                column.join(other)
            else:
                assert isinstance(other, ColumnSketch)
                column.join(other)
        self.target.join(later.target)
        self.rows += later.rows
        self.train_rows += later.train_rows
        self.holdout_rows += later.holdout_rows
        self.weight += later.weight
        self.single = self.single and later.single
        self.weighted = self.weighted or later.weighted
        if self.entries is not None and later.entries is not None:
            self.entries.join(later.entries)


@dataclass(frozen=True)
class Sides:
    """Which of some rows train, and which are held out: (rows,) each; a row without a target does neither."""

    present: NDArray[np.bool_]
    held: Held

    @property
    def train(self) -> NDArray[np.bool_]:
        """The rows that train."""
        return self.present & ~self.held


def sides_of(present: NDArray[np.bool_], first: int, spec: Spec) -> Sides:
    """Return the sides of some rows whose global indices begin at ``first``."""
    if spec.holdout == 0:
        return Sides(present, np.zeros(present.shape, np.bool_))
    index: NDArray[np.int64] = np.arange(first, first + present.shape[0], dtype=np.int64)
    drawn = scatter(index, spec.seed)
    return Sides(present, present & (drawn < np.uint64(min(int(spec.holdout * TOP), TOP - 1))))


def empty_scan(files: Files, spec: Spec) -> Scan:
    """Return a scan before the first row; raises ColumnError, TargetError or OptionError."""
    types = dict(zip(files.names, files.types, strict=True))
    for name, use in ((spec.target, say("target")), (spec.weights, say("weights column"))):
        if name is not None and name not in types:
            message = say(
                'there is no {use} "{name}" in {source}{near}',
                use=use, name=name, source=files.source, near=nearest(name, files.names),
            )  # fmt: skip
            raise ColumnError(message)
    if spec.holdout_by is not None:
        message = say(
            "--holdout-by needs all rows in memory, which this table has no room for; leave it out, or raise --memory"
        )
        raise OptionError(message)
    kind = kind_of(types[spec.target])
    classes = wants_classes(spec.target, kind, spec)
    if not classes:
        check_kind(kind, spec.target, spec.loss)
    asides = (spec.target, spec.weights, *spec.drop)
    names = [name for name in types if name not in asides]
    check_texts(types, names, files.source, spec)
    bits = 0 if isinstance(spec.hash_bits, str) or spec.model not in ("auto", "linear") else int(spec.hash_bits)
    if bits:
        check_bits(bits, files.memory)
    columns: dict[str, ColumnSketch | TextSketch] = {
        name: TextSketch.of(spec, files.size, files.memory // len(spec.text))
        if name in spec.text
        else ColumnSketch.of(name, types[name], bits)
        for name in names
    }
    entries = None
    if files.kind in FORMATS:
        check_linear(files.source, spec)
        entries = EntriesSketch.of(files.kind, spec, files.memory)
    target = TargetSketch(spec.target, kind, classes, spec.loss)
    return Scan(columns, target, weighted=spec.weights is not None, entries=entries)


def scan(files: Files, spec: Spec, told: Told | None = None) -> tuple[Scan, tuple[int, ...], tuple[str, ...]]:
    """Return the scan of all files, the rows of each, and the files that turned out to be damaged.

    With ``spec.skip_bad_files`` a damaged file counts for nothing and has no rows; else it raises SourceError.
    """
    whole = empty_scan(files, spec)
    rows: list[int] = []
    bad: list[str] = []
    for path in files.paths:
        try:
            found = scan_file(files, path, spec, whole.rows, told)
        except SourceError:
            if not spec.skip_bad_files:
                raise
            bad.append(str(path))
            rows.append(0)
            continue
        rows.append(found.rows)
        whole.join(found)
    check_scan(whole, files, spec)
    return whole, tuple(rows), tuple(bad)


def check_scan(whole: Scan, files: Files, spec: Spec) -> None:
    """Raise SourceError where a table has no rows, WeightsError where their weights are nothing."""
    if not whole.rows:
        message = say("{source} has columns but no rows; give a table with data", source=files.source)
        raise SourceError(message)
    if files.kind in FORMATS and kind_of(files.types[0]) == "category" and not are_two(list(whole.target.counts)):
        raise SourceError(say("{source} holds other labels than two whole numbers", source=files.source))
    if whole.weighted:
        check_weights(np.array([whole.weight]), spec.weights or "weights", say("row of the training part"))


def scan_file(files: Files, path: Path, spec: Spec, first: int, told: Told | None = None) -> Scan:
    """Return the scan of one file, whose rows are numbered from ``first``."""
    found = empty_scan(files, spec)
    for table in files.batches(path):
        take_in(found, table, spec, first + found.rows)
        found.rows += table.rows
        if told is not None:
            told(first + found.rows)
    return found


def take_in(found: Scan, table: Table, spec: Spec, first: int) -> None:
    """Take in some rows whose global indices begin at ``first``; all but how many they are."""
    column = table.column(spec.target)
    present = found.target.present_in(column, first)
    sides = sides_of(present, first, spec)
    found.target.update(column, present, sides.held, first)
    train = sides.train
    count = int(train.sum())
    found.train_rows += count
    found.holdout_rows += int(sides.held.sum())
    weights = row_weights(table, spec, first)
    found.weight += float(count if weights is None else weights[train].sum())
    if weights is not None:
        found.weighted = True
        found.single = found.single and bool((weights.astype(np.float32) == weights).all())
    out = None if count == table.rows else ~train
    if found.entries is not None and table.entries is not None:
        found.entries.update(table.entries, out)
    in_parallel(lambda name: found.columns[name].update(table.column(name), name, out, first), found.columns)


def row_weights(table: Table, spec: Spec, first: int) -> Vector | None:
    """Return the weight of each of some rows, None where all count the same; ``first`` stand before them."""
    if spec.weights is not None:
        return weight_values(table.column(spec.weights), spec.weights, first)
    return None if table.entries is None else table.entries.importance


def numbered(files: Files, rows: tuple[int, ...]) -> Iterator[tuple[int, Path]]:
    """Yield (first global row, path) of each file that has rows."""
    first = 0
    for path, count in zip(files.paths, rows, strict=True):
        if count:
            yield first, path
        first += count
