"""Rows that are seen once, as they come, from standard input or from files: planned by the first of them, none cached.

The rows come in chunks of a size that depends on the columns alone. The first chunk is the head: it settles the plan,
the classes and the centre and scale of every number, as a scan does for a table that can be read twice. A level that
comes up later is "other"; a class that does is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow
from downslope.data.blocks import Block, Examples
from downslope.data.columns import kind_of, levels_of
from downslope.data.files import holds_entries
from downslope.data.holdout import scatter
from downslope.data.large.encoding import target_values
from downslope.data.large.pipe import PIPE, open_pipe
from downslope.data.large.planned import Planned, planned_of
from downslope.data.large.reading import TEXT_BYTES, Files, open_files
from downslope.data.large.scan import empty_scan, sides_of, take_in
from downslope.data.table import Table
from downslope.data.target import finite, weight_values
from downslope.errors import OptionError, SourceError, TargetError
from downslope.records.figures import count
from downslope.records.run import DataSummary
from downslope.records.spec import Spec
from downslope.types import Vector
from downslope.words import Sentence, say

CHUNK_BYTES, MOST_ROWS, LEAST_ROWS = 16 << 20, 1 << 16, 1 << 8
KEPT_ROWS = 1 << 16
"""Rows of each part that are kept to judge by, at most; then every second of them goes."""
TOP = (1 << 64) - 1


def in_one_pass(spec: Spec) -> bool:
    """Return whether a spec asks for one pass over rows of which none is kept."""
    return spec.passes == 1 or spec.source == PIPE


@dataclass
class Once:
    """A table on its way: its first chunk is read and planned, the rest comes.

    balance: (classes,) a factor on the weight of each class, or None. rows, dropped: read so far, and without a target.
    bad: files that turned out to be damaged, and were left from there on.
    """

    files: Files
    spec: Spec
    planned: Planned
    head: Table
    rest: Iterator[Table]
    bad: list[str]
    balance: Vector | None = None
    rows: int = 0
    dropped: int = 0

    @classmethod
    def begin(cls, source: str, spec: Spec, memory: int) -> Once:
        """Read and plan the head; raises SourceError, ColumnError, TargetError or OptionError."""
        bad: list[str] = []
        if holds_entries(source):
            message = say("one pass is over tables, and {source} holds sparse rows; leave passes out", source=source)
            raise OptionError(message)
        if source == PIPE:
            files, tables = open_pipe(spec.drop, memory)
        else:
            files = open_files(source, where=spec.where, drop=spec.drop, memory=memory, skip_bad=spec.skip_bad_files)
            bad += files.bad
            tables = _tables(files, spec, bad)
        chunks = in_chunks(tables, chunk_rows(files))
        head = next(chunks, None)
        if head is None:
            message = say("{source} has columns but no rows; give a table with data", source=files.source)
            raise SourceError(message)
        seen = empty_scan(files, spec)
        take_in(seen, head, spec, 0)
        seen.rows = head.rows
        following = next(chunks, None)
        known = spec
        if following is not None and spec.precision == "auto":
            known = replace(spec, precision="float32")
        try:
            planned = planned_of(seen, known, files, (), ())
        except TargetError as error:
            if following is None:
                raise
            message = say(
                "{problem} (in the first {rows} rows, by which one pass is planned: shuffle the rows, or leave "
                "--passes out)",
                problem=str(error),
                rows=count(head.rows),
            )
            raise TargetError(message) from None
        rest = chunks if following is None else chain([following], chunks)
        balance = None
        if spec.class_weight is not None:
            counts = np.array([seen.target.counts[each][0] for each in planned.class_values], np.float64)
            balance = counts.sum() / (counts.size * np.maximum(counts, 1.0))
        return cls(files, spec, planned, head, rest, bad, balance)

    def chunks(self) -> Iterator[tuple[Examples | None, Examples | None]]:
        """Yield the training and the held-out rows of each chunk, the head first; None where there are none."""
        for table in chain([self.head], self.rest):
            yield self._encoded(table)

    def _encoded(self, table: Table) -> tuple[Examples | None, Examples | None]:
        spec, first = self.spec, self.rows
        column = table.column(spec.target)
        check_classes_known(column, first, spec, self.planned)
        target, present = target_values(column, first, spec, self.planned)
        sides = sides_of(present, first, spec)
        numbers, codes = self.planned.plan.encode(table)
        weights = None
        if spec.weights is not None:
            weights = weight_values(table.column(spec.weights), spec.weights, first)
        if self.balance is not None:
            share = self.balance[target.astype(np.intp)]
            weights = share if weights is None else weights * share
        self.rows += table.rows
        self.dropped += table.rows - int(present.sum())
        rows = _Encoded(numbers, codes, target, weights)
        return self._part(rows, sides.train), self._part(rows, sides.held)

    def _part(self, rows: _Encoded, chosen: NDArray[np.bool_]) -> Examples | None:
        if not chosen.any():
            return None
        plan = self.planned.plan
        weights = None if rows.weights is None else rows.weights[chosen]
        block = Block(0, rows.numbers[chosen], rows.codes[chosen])
        return Examples((block,), plan.levels, rows.target[chosen], weights, plan.center, plan.scale, applied=True)

    def summary(self, train: int, held: int) -> DataSummary:
        """Return what is said of the table, so many rows of it having trained and been held out."""
        return replace(
            self.planned.summary, rows=train + held, train_rows=train, holdout_rows=held, dropped_rows=self.dropped
        )


@dataclass(frozen=True)
class _Encoded:
    numbers: Any
    codes: Any
    target: Vector
    weights: Vector | None


class Kept:
    """A sample of the rows met so far: those whose hash lies below a limit that is halved when they are too many."""

    def __init__(self, seed: int, most: int = KEPT_ROWS) -> None:
        """Begin with no rows."""
        self.seed, self.most, self.limit, self.met = seed, most, TOP, 0
        self._parts: list[tuple[NDArray[np.uint64], Examples]] = []

    def add(self, examples: Examples | None) -> None:
        """Take in some rows that follow."""
        if examples is None:
            return
        hashes = scatter(np.arange(self.met, self.met + examples.rows, dtype=np.int64), self.seed)
        self.met += examples.rows
        self._parts.append((hashes, examples))
        self._thin()
        while sum(each.rows for _, each in self._parts) > self.most:
            self.limit //= 2
            self._thin()

    def _thin(self) -> None:
        kept: list[tuple[NDArray[np.uint64], Examples]] = []
        for hashes, examples in self._parts:
            chosen = np.flatnonzero(hashes <= np.uint64(self.limit))
            if chosen.size == examples.rows:
                kept.append((hashes, examples))
            elif chosen.size:
                kept.append((hashes[chosen], examples.pick(chosen)))
        self._parts = kept

    def examples(self) -> Examples | None:
        """Return the rows that are kept, in one block; None before there are any."""
        if not self._parts:
            return None
        parts = [each for _, each in self._parts]
        weights = [each.weights for each in parts if each.weights is not None]
        numbers = np.concatenate([each.blocks[0].numbers for each in parts])
        codes = np.concatenate([each.blocks[0].codes for each in parts])
        joined = replace(
            parts[0], blocks=(Block(0, numbers, codes),), target=np.concatenate([each.target for each in parts]),
            weights=np.concatenate(weights) if weights else None,
        )  # fmt: skip
        first = np.concatenate([hashes for hashes, _ in self._parts])
        self._parts = [(first, joined)]
        return joined


def chunk_rows(files: Files) -> int:
    """Return the rows of a chunk, a power of two."""
    width = sum(TEXT_BYTES if kind_of(each) in ("category", "nested", "binary") else 8 for each in files.types)
    return min(max(1 << (CHUNK_BYTES // max(width, 1)).bit_length() - 1, LEAST_ROWS), MOST_ROWS)


def in_chunks(tables: Iterator[Table], rows: int) -> Iterator[Table]:
    """Yield the rows of some tables cut anew, so many at a time; the last may be fewer."""
    waiting: list[Any] = []
    held = 0
    source = ""
    for table in tables:
        source = table.source
        part = table.arrow
        while held + part.num_rows >= rows:
            waiting.append(part.slice(0, rows - held))
            part = part.slice(rows - held)
            yield Table(_joined(waiting), source, rows)
            waiting, held = [], 0
        if part.num_rows:
            waiting.append(part)
            held += part.num_rows
    if held:
        yield Table(_joined(waiting), source, held)


def _joined(parts: list[Any]) -> Any:
    return arrow().concat_tables(parts).unify_dictionaries()


def _tables(files: Files, spec: Spec, bad: list[str]) -> Iterator[Table]:
    for path in files.paths:
        try:
            yield from files.batches(path)
        except SourceError:
            if not spec.skip_bad_files:
                raise
            bad.append(str(path))


def check_classes_known(column: Any, first: int, spec: Spec, planned: Planned) -> None:
    """Raise TargetError for a class that the head does not have; ``first`` rows stand before these."""
    if not planned.classes:
        return
    names: list[str]
    if isinstance(planned.class_values[0], str):
        levels = levels_of(column)
        names, codes = [str(each) for each in levels.names.to_pylist()], levels.codes
        strange = np.array([*(each not in planned.class_values for each in names), False])
    else:
        numbers = finite(column, spec.target, first)
        values, codes = np.unique(numbers.values, return_inverse=True)
        names, strange = [str(each) for each in values.tolist()], ~np.isin(values, np.array(planned.class_values))
        if numbers.missing is not None:
            codes, strange = np.where(numbers.missing, values.size, codes), np.append(strange, False)
    wrong = np.flatnonzero(strange[codes])
    if wrong.size:
        place = int(wrong[0])
        raise TargetError(_unknown_class(names[int(codes[place])], first + place + 1, spec.target))


def _unknown_class(name: str, row: int, target: str) -> Sentence:
    return say(
        'row {row} has the class "{name}" of the target "{target}", which the first rows, by which one pass is '
        "planned, do not have; shuffle the rows, or leave --passes out",
        row=count(row),
        name=name,
        target=target,
    )
