"""What a fit on a cluster would read, move and hold, and how long it would take: a dry run on some rows of one file.

The first rows are read, scanned, encoded and passed over by one thread of this machine, and what each row took is
multiplied out. So the seconds are those of this machine's processors and disk; the start of the workers, and the way
of sums between machines, are left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from downslope.choices.curvature import measure_moments
from downslope.cluster.shard import dealt
from downslope.data.blocks import Block, Examples
from downslope.data.files import format_of
from downslope.data.large.encoding import target_values
from downslope.data.large.pieces import Piece, only
from downslope.data.large.planned import Planned, planned_of
from downslope.data.large.reading import Files
from downslope.data.large.scan import Scan, empty_scan, take_in
from downslope.data.table import Table
from downslope.data.target import outputs_of
from downslope.engines import linear as engine
from downslope.errors import SourceError
from downslope.losses import make_loss
from downslope.models.linear import Objective, Point
from downslope.records.spec import Spec
from downslope.types import JsonValue
from downslope.words import say

SAMPLE = 1 << 17
"""Rows that are looked at, at most."""
LOOKED_AT = 1 << 20
"""Bytes of a text file whose lines are counted."""
TURNS = 3
"""Times that a pass is measured."""
PASSES = 10.0
"""Passes that a fit is taken to need."""


@dataclass(frozen=True)
class Forecast:
    """A fit on a cluster, before it.

    rows: of the table; exact where the files say so, else by their bytes. read, held: bytes of the largest share of a
    worker, on disk as they are and encoded. moved: bytes that a worker sends in one pass; once: those of the second
    moments. seconds: to read and encode the largest share, and of one pass over it.
    """

    files: int
    pieces: int
    workers: int
    rows: int
    exact: bool
    sampled: int
    read: int
    held: int
    moved: int
    once: int
    prepare_seconds: float
    pass_seconds: float

    @property
    def seconds(self) -> float:
        """Seconds of a fit of PASSES passes."""
        return self.prepare_seconds + PASSES * self.pass_seconds

    @property
    def hours(self) -> float:
        """Worker hours of it, all workers together."""
        return self.workers * self.seconds / 3600

    def to_json(self) -> dict[str, JsonValue]:
        """Return all of it as plain values."""
        return asdict(self) | {"passes": PASSES, "seconds": self.seconds, "worker_hours": self.hours}


def forecast(files: Files, pieces: Sequence[Piece], spec: Spec, workers: int) -> Forecast:
    """Return what a fit with so many workers would take; raises SourceError, ColumnError, TargetError, OptionError."""
    ranges = dealt([each.size for each in pieces], workers)
    share = max(sum(each.size for each in pieces[first:last]) for first, last in ranges)
    whole = sum(each.size for each in pieces)
    with engine.one_blas_thread():
        rows, exact, seen, planned, prepare, one_pass = _measured(files, pieces, spec)
    mine = rows * share / max(whole, 1)
    outputs = outputs_of(planned.classes, planned.loss)
    width = planned.plan.features + 1
    nodes = max(2 * int(np.ceil(np.log2(max(len(pieces) / len(ranges), 1)))), 1)
    return Forecast(
        len(files.paths), len(pieces), len(ranges), rows, exact, seen.rows, share, int(mine * planned.layout.row_bytes),
        8 * nodes * width * outputs, 8 * nodes * width**2, prepare * mine, one_pass * mine,
    )  # fmt: skip


def _measured(
    files: Files, pieces: Sequence[Piece], spec: Spec
) -> tuple[int, bool, Scan, Planned, float, float]:  # fmt: skip
    """Return rows, whether those are exact, the scan of some, the plan, and seconds a row to prepare and to pass."""
    _warm(files, pieces, spec)
    began = time.perf_counter()
    tables = list(islice(_first_rows(files, pieces), -(-SAMPLE // files.batch_rows)))
    seen = empty_scan(files, spec)
    for table in tables:
        take_in(seen, table, spec, seen.rows)
        seen.rows += table.rows
    scanned = time.perf_counter() - began
    if not seen.rows:
        message = say("{source} has columns but no rows; give a table with data", source=files.source)
        raise SourceError(message)
    planned = planned_of(seen, spec, files, (seen.rows,), ())
    began = time.perf_counter()
    examples = _encoded(tables, spec, planned)
    encoded = time.perf_counter() - began
    rows, exact = _count(files, pieces, seen.rows)
    return rows, exact, seen, planned, (scanned + encoded) / seen.rows, _pass_seconds(examples, planned)


def _warm(files: Files, pieces: Sequence[Piece], spec: Spec) -> None:
    """Read a few rows before the clock runs: the first rows load libraries."""
    few = next(_first_rows(files, pieces), None)
    if few is not None:
        rows = min(few.rows, 256)
        take_in(empty_scan(files, spec), Table(few.arrow.slice(0, rows), few.source, rows), spec, 0)


def _first_rows(files: Files, pieces: Sequence[Piece]) -> Iterator[Table]:
    for piece in pieces:
        yield from only(files, piece).batches(piece.path)


def _encoded(tables: Sequence[Table], spec: Spec, planned: Planned) -> Examples:
    parts: list[tuple[Any, Any, Any]] = []
    first = 0
    for table in tables:
        target, present = target_values(table.column(spec.target), first, spec, planned)
        numbers, codes = planned.plan.encode(table)
        parts.append((numbers[present], codes[present], target[present]))
        first += table.rows
    numbers, codes, target = (np.concatenate(each) for each in zip(*parts, strict=True))
    plan = planned.plan
    return Examples((Block(0, numbers, codes),), plan.levels, target, None, plan.center, plan.scale, applied=True)


def _pass_seconds(examples: Examples, planned: Planned) -> float:
    """Return the seconds a row of a pass by one thread, and of a share of the pass that gives second moments."""
    outputs = outputs_of(planned.classes, planned.loss)
    objective = Objective(make_loss(planned.loss), 0.0, 1e-6, True, outputs)
    point = Point(np.zeros((examples.features, outputs)), np.zeros(outputs))
    width = examples.numbers + examples.levels
    few = examples.pick(np.arange(max(min(examples.rows, (engine.SMALL - 1) // max(width, 1)), 1)))
    engine.evaluate(few, objective, point)  # compiles, where that is needed
    began = time.perf_counter()
    for _ in range(TURNS):
        engine.evaluate(few, objective, point)
    passed = (time.perf_counter() - began) / TURNS
    began = time.perf_counter()
    measure_moments(few, None, 0)
    return (passed + (time.perf_counter() - began) / PASSES) / few.rows


def _count(files: Files, pieces: Sequence[Piece], seen: int) -> tuple[int, bool]:
    """Return the rows of a table, and whether they are known: Parquet says, else the lines in a part tell about."""
    if all(each.groups is not None for each in pieces):
        return sum(only(files, each).count(each.path) for each in pieces), True
    with pieces[0].path.open("rb") as file:
        text = file.read(LOOKED_AT)
    whole = sum(each.size for each in pieces)
    if files.kind in ("CSV", "TSV", "JSON") and format_of(pieces[0].path)[1] is None and text:
        return max(round(text.count(b"\n") * whole / len(text)), seen), False
    return sum(only(files, each).count(each.path) for each in pieces), True
