"""The one pass that writes a table as blocks, training rows and held-out rows apart, and can be taken up again."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.blocks import SparseRows
from downslope.data.columns import levels_of
from downslope.data.large.cache import Cache
from downslope.data.large.layout import HEADER, Layout, aligned, read_header, write_block
from downslope.data.large.planned import Planned
from downslope.data.large.reading import Files
from downslope.data.large.scan import numbered, row_weights, sides_of
from downslope.data.table import Table
from downslope.data.target import finite
from downslope.errors import DownslopeError, SourceError
from downslope.records.sizes import written
from downslope.records.spec import Spec
from downslope.types import Vector
from downslope.words import say

TRAIN, HELD = "train", "held"
FULL = (errno.ENOSPC, errno.EDQUOT)


def encode_table(
    files: Files, spec: Spec, planned: Planned, cache: Cache, told: Callable[[int], None], before: int = 0
) -> None:  # fmt: skip
    """Write the blocks of a table into its cache, from where an earlier process stopped.

    told: called with the rows encoded. before: rows of the table that stand before those of the files. Raises
    SourceError where the disk is full, or the files change meanwhile; what was written is removed then.
    """
    try:
        _encode(files, spec, planned, cache, told, before)
    except OSError as error:
        if error.errno not in FULL:
            raise
        cache.remove()
        message = say(
            'the disk of "{folder}" became full while blocks of {size} were written there, which were removed again; '
            "make room, or name another place with --cache",
            folder=str(cache.folder.parent),
            size=written(planned.size),
        )
        raise SourceError(message) from None
    except DownslopeError:
        cache.remove()
        raise
    cache.finish()


def _encode(
    files: Files, spec: Spec, planned: Planned, cache: Cache, told: Callable[[int], None], before: int
) -> None:  # fmt: skip
    writers = {part: _Writer(cache.folder / part, cache.key, planned.layout) for part in (TRAIN, HELD)}
    for first, path in numbered(files, planned.file_rows):
        start = before + first
        for table in files.batches(path):
            _encode_rows(table, start, spec, planned, writers)
            start += table.rows
            told(start)
    for writer in writers.values():
        writer.flush()
    if [writers[TRAIN].rank, writers[HELD].rank] != [planned.summary.train_rows, planned.summary.holdout_rows]:
        message = say("{source} changed while it was read; fit again once it stays as it is", source=files.source)
        raise SourceError(message)


def _encode_rows(
    table: Table, first: int, spec: Spec, planned: Planned, writers: dict[str, _Writer]
) -> None:  # fmt: skip
    target, present = target_values(table.column(spec.target), first, spec, planned)
    sides = sides_of(present, first, spec)
    chosen = {TRAIN: sides.train, HELD: sides.held}
    if all(writers[part].has(int(rows.sum())) for part, rows in chosen.items()):
        for part, rows in chosen.items():
            writers[part].skip(int(rows.sum()))
        return
    numbers, codes = planned.plan.encode(table)
    columns: dict[str, NDArray[Any]] = {"target": target, "numbers": numbers, "codes": codes}
    if planned.layout.weight_type:
        weights = row_weights(table, spec, first)
        columns["weights"] = np.ones(table.rows) if weights is None else weights
    sparse = planned.plan.encode_sparse(table)
    for part, rows in chosen.items():
        writers[part].take(columns, sparse, rows, first)


def target_values(column: Any, first: int, spec: Spec, planned: Planned) -> tuple[Vector, NDArray[np.bool_]]:
    """Return the target (rows,) as the engine reads it, and which rows have one."""
    if planned.summary.target_kind == "category" and planned.classes and isinstance(planned.class_values[0], str):
        levels = levels_of(column)
        known = {name: float(index) for index, name in enumerate(planned.class_values)}
        table = np.array([*(known.get(name, 0.0) for name in levels.names.to_pylist()), 0.0])
        return table[levels.codes], levels.codes >= 0
    numbers = finite(column, spec.target, first)
    present = np.ones(len(column), np.bool_) if numbers.missing is None else ~numbers.missing
    if not planned.classes:
        return numbers.values.astype(np.float64), present
    known = np.array(planned.class_values)
    return np.minimum(np.searchsorted(known, numbers.values), known.size - 1).astype(np.float64), present


class _Writer:
    """Gathers the rows of one part until they are a block, and writes it."""

    def __init__(self, folder: Path, key: str, layout: Layout) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.key, self.layout = folder, key, layout
        self.done = self._whole_blocks()
        self.rank = self.end = 0
        self.columns: dict[str, NDArray[Any]] = {
            name: np.empty((layout.rows, count) if name in ("numbers", "codes") else layout.rows, kind)
            for name, (kind, count) in layout.parts.items()
        }
        self.gathered: list[SparseRows] = []

    def _whole_blocks(self) -> int:
        """Return how many whole blocks an earlier process has written."""
        count = 0
        while True:
            path = self.folder / f"{count:08d}.block"
            head = aligned(HEADER)
            try:
                with path.open("rb") as file:
                    size = file.readinto(head.data)
                header = read_header(head[:size], path, self.key)
            except (OSError, SourceError):
                return count
            rows, entries = int(header["rows"]), int(header["entries"])
            if rows < self.layout.rows or path.stat().st_size != self.layout.places(rows, entries)[""]:
                return count
            count += 1

    def has(self, rows: int) -> bool:
        """Return whether so many more rows lie in blocks that are written already."""
        return self.rank + rows <= self.done * self.layout.rows

    def skip(self, rows: int) -> None:
        """Pass over rows that are written already."""
        self.rank += rows

    def take(
        self, columns: dict[str, NDArray[Any]], sparse: SparseRows | None, rows: NDArray[np.bool_], first: int
    ) -> None:
        """Take in the chosen rows of some columns, the first of which has the global index ``first``."""
        chosen = np.flatnonzero(rows)
        written_already = min(max(self.done * self.layout.rows - self.rank, 0), chosen.size)
        self.rank += written_already
        chosen = chosen[written_already:]
        while chosen.size:
            filled = self.rank % self.layout.rows
            part, chosen = np.split(chosen, [self.layout.rows - filled])
            for name, array in self.columns.items():
                array[filled : filled + part.size] = columns[name][part]
            if sparse is not None:
                self.gathered.append(sparse.take(part))
            self.rank += part.size
            self.end = first + int(part[-1]) + 1
            if self.rank % self.layout.rows == 0:
                self._write(self.layout.rows)

    def flush(self) -> None:
        """Write the last block, which may hold fewer rows."""
        left = self.rank % self.layout.rows
        if left and self.rank > self.done * self.layout.rows:
            self._write(left)

    def _write(self, rows: int) -> None:
        number = (self.rank - 1) // self.layout.rows
        path = self.folder / f"{number:08d}.block"
        columns = self.columns
        if self.gathered:
            joined = SparseRows.joined(self.gathered)
            columns = columns | {"starts": joined.starts, "places": joined.places, "values": joined.values}
        write_block(path, self.key, self.layout, rows, self.end, columns)
        self.gathered = []
