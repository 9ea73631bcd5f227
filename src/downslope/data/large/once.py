"""Rows that are seen once, as they come, from standard input or from files: planned by the first of them, none cached.

The rows come in chunks of a size that depends on the columns alone, or on the bytes where rows name their features
themselves. The first chunk is the head: it settles the plan, the classes and the centre and scale of every number, as a
scan does for a table that can be read twice. A level that comes up later is "other", or hashed where that was asked
for; an n-gram or a feature that does gets a column then; a class that does is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow
from downslope.data.blocks import Block, Examples, SparseRows
from downslope.data.columns import kind_of, levels_of
from downslope.data.fit_plan import Fitted
from downslope.data.holdout import scatter
from downslope.data.large.ahead import ahead
from downslope.data.large.encoding import target_values
from downslope.data.large.growing import Growing
from downslope.data.large.met import UNKNOWN_BITS, chooses_bits, most_bits
from downslope.data.large.pipe import PIPE, open_pipe
from downslope.data.large.planned import Planned, fitted_of, planned_of
from downslope.data.large.reading import LONG_BYTES, TEXT_BYTES, Files, open_files
from downslope.data.large.scan import Scan, empty_scan, row_weights, sides_of, take_in
from downslope.data.table import Table
from downslope.data.target import finite, outputs_of
from downslope.data.text.entries import FORMATS, LABEL, VOWPAL_WABBIT
from downslope.errors import OptionError, SourceError, TargetError
from downslope.records.figures import count
from downslope.records.spec import Spec
from downslope.types import Vector
from downslope.words import Sentence, say

CHUNK_BYTES, MOST_ROWS, LEAST_ROWS = 16 << 20, 1 << 16, 1 << 8
TEXT_CHUNK_BYTES = 32 << 20
"""Bytes of a chunk with text, that the rate be chosen by enough rows."""
KEPT_ROWS = 1 << 16
"""Rows of each part that are kept to judge by, at most; then every second of them goes."""
TOP = (1 << 64) - 1


def in_one_pass(spec: Spec) -> bool:
    """Return whether a spec asks for one pass over rows of which none is kept."""
    return spec.passes == 1 or spec.source == PIPE


@dataclass
class Once:
    """A table on its way: its first chunk is read and planned, the rest comes.

    seen, fitted: the scan of the head, and what its columns became. bad: files that turned out to be damaged, and were
    left from there on. balance: (classes,) a factor on the weight of each class, or None. weighted: whether a row so
    far has had a weight of its own. growing: the sparse columns,
    None where there are none. rows, dropped: read so far, and without a target.
    """

    files: Files
    spec: Spec
    planned: Planned
    seen: Scan
    fitted: list[Fitted]
    head: Table
    rest: Iterator[Table]
    bad: list[str]
    balance: Vector | None = None
    weighted: bool = False
    growing: Growing | None = None
    rows: int = 0
    dropped: int = 0

    @classmethod
    def begin(cls, source: str, spec: Spec, memory: int) -> Once:
        """Read and plan the head; raises SourceError, ColumnError, TargetError or OptionError."""
        bad: list[str] = []
        files, tables = _opened(source, spec, memory, bad)
        spec = _with_target(spec, files)
        chunks = tables if files.kind in FORMATS else in_chunks(tables, chunk_rows(files))
        head = next(chunks, None)
        if head is None:
            message = say("{source} has columns but no rows; give a table with data", source=files.source)
            raise SourceError(message)
        seen, spec = _scanned(head, files, spec)
        chunks = ahead(chunks)
        following = next(chunks, None)
        if following is not None and spec.precision == "auto":
            spec = replace(spec, precision="float32")
        try:
            fitted = fitted_of(seen, spec, more_to_come=following is not None)
            planned = planned_of(seen, spec, files, (), (), fitted)
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
        spec = replace(spec, precision=planned.plan.precision)
        once = cls(files, spec, planned, seen, fitted, head, rest, bad, _balance(seen, spec, planned))
        if planned.plan.sparse:
            outputs = outputs_of(planned.classes, planned.loss)
            once.growing = Growing(planned.plan.sparse, seen.train_rows, spec, memory, outputs)
        return once

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
        sparse = None if self.growing is None else self.growing.encode(table, sides.train, first, numbers.dtype)
        weights = row_weights(table, spec, first)
        self.weighted = self.weighted or weights is not None
        if weights is None and self.weighted:
            weights = np.ones(table.rows)  # importances that a line of Vowpal Wabbit's may leave out
        if self.balance is not None:
            share = self.balance[target.astype(np.intp)]
            weights = share if weights is None else weights * share
        self.rows += table.rows
        self.dropped += table.rows - int(present.sum())
        rows = _Encoded(numbers, codes, sparse, target, weights)
        return self._part(rows, sides.train), self._part(rows, sides.held)

    def _part(self, rows: _Encoded, chosen: NDArray[np.bool_]) -> Examples | None:
        if not chosen.any():
            return None
        plan = self.planned.plan
        weights = None if rows.weights is None else rows.weights[chosen]
        sparse = None if rows.sparse is None else rows.sparse.take(np.flatnonzero(chosen))
        block = Block(0, rows.numbers[chosen], rows.codes[chosen], sparse)
        return Examples(
            (block,), plan.levels, rows.target[chosen], weights, plan.center, plan.scale, applied=True,
            sparse=0 if self.growing is None else self.growing.size,
        )  # fmt: skip

    def ended(self, train: int, held: int) -> tuple[Planned, NDArray[np.int64] | None]:
        """Return the plan by all rows, so many of which have trained and been held out.

        Beside it the number (s,) that each sparse column of that plan has had so far; None where there are none.
        """
        planned, numbers = self.planned, None
        if self.growing is not None:
            fitted, numbers = self.growing.ended(self.fitted)
            if self.seen.entries is not None:
                self.seen.entries.bad = self.growing.bad
            planned = planned_of(self.seen, self.spec, self.files, (), (), fitted)
        summary = replace(
            planned.summary, rows=train + held, train_rows=train, holdout_rows=held, dropped_rows=self.dropped
        )
        return replace(planned, summary=summary), numbers


@dataclass(frozen=True)
class _Encoded:
    numbers: Any
    codes: Any
    sparse: SparseRows | None
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
        weights = None
        if any(each.weights is not None for each in parts):
            weights = np.concatenate([np.ones(each.rows) if each.weights is None else each.weights for each in parts])
        numbers = np.concatenate([each.blocks[0].numbers for each in parts])
        codes = np.concatenate([each.blocks[0].codes for each in parts])
        sparse = [each.blocks[0].sparse for each in parts if each.blocks[0].sparse is not None]
        block = Block(0, numbers, codes, SparseRows.joined(sparse) if sparse else None)
        joined = replace(
            parts[-1], blocks=(block,), target=np.concatenate([each.target for each in parts]),
            weights=weights,
        )  # fmt: skip
        first = np.concatenate([hashes for hashes, _ in self._parts])
        self._parts = [(first, joined)]
        return joined


def _opened(source: str, spec: Spec, memory: int, bad: list[str]) -> tuple[Files, Iterator[Table]]:
    """Return the files of a source and their rows; damaged files are added to ``bad`` as they are met."""
    if source == PIPE:
        return open_pipe(spec.drop, memory, texts=spec.text, skip_bad_lines=spec.skip_bad_lines)
    files = open_files(
        source, where=spec.where, drop=spec.drop, memory=memory, skip_bad=spec.skip_bad_files, texts=spec.text,
        skip_bad_lines=spec.skip_bad_lines,
    )  # fmt: skip
    bad += files.bad
    return files, _tables(files, spec, bad)


def _with_target(spec: Spec, files: Files) -> Spec:
    """Return a spec with a target: that of rows that begin with a label is the label; raises OptionError."""
    if spec.target:
        return spec
    if files.kind in FORMATS:
        return replace(spec, target=LABEL)
    message = say("no target was named; say which column to predict with --target")
    raise OptionError(message)


def _scanned(head: Table, files: Files, spec: Spec) -> tuple[Scan, Spec]:
    """Return what the head leaves behind, and a spec that says in how many bits names of features are hashed.

    Later rows bring more names than the head has, so that its own number would be too few. Where classes are many, so
    are the weights of a column, and the head is looked at once more with fewer bits.
    """
    seen, known = _scan(head, files, spec)
    if chooses_bits(files.kind, spec) and seen.target.classes and len(seen.target.counts) > 2:
        seen, known = _scan(head, replace(files, memory=files.memory // len(seen.target.counts)), spec)
    return seen, known


def _scan(head: Table, files: Files, spec: Spec) -> tuple[Scan, Spec]:
    if files.kind == VOWPAL_WABBIT and chooses_bits(files.kind, spec):
        spec = replace(spec, hash_bits=min(UNKNOWN_BITS, most_bits(files.memory)))
    seen = empty_scan(files, spec)
    take_in(seen, head, spec, 0)
    seen.rows = head.rows
    return seen, spec


def _balance(seen: Scan, spec: Spec, planned: Planned) -> Vector | None:
    """Return the factor on the weight of each class (classes,) that makes all count the same, if that was asked for."""
    if spec.class_weight is None:
        return None
    counts = np.array([seen.target.counts[each][0] for each in planned.class_values], np.float64)
    return counts.sum() / (counts.size * np.maximum(counts, 1.0))


def chunk_rows(files: Files) -> int:
    """Return the rows of a chunk, a power of two."""
    width = sum(TEXT_BYTES if kind_of(each) in ("category", "nested", "binary") else 8 for each in files.types)
    width += LONG_BYTES * len(files.texts)
    size = TEXT_CHUNK_BYTES if files.texts else CHUNK_BYTES
    return min(max(1 << (size // max(width, 1)).bit_length() - 1, LEAST_ROWS), MOST_ROWS)


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
