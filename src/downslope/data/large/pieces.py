"""A table in pieces that lie apart: files, or row groups of large Parquet files, each encoded into a cache of its own.

How a table is cut depends on its files alone, never on who holds the pieces. All pieces are encoded by the one plan of
the whole table, and a row is held out by its index in the whole table, so the pieces together are the table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import accumulate
from pathlib import Path

from downslope.data.files import format_of
from downslope.data.large.cache import Cache, key_of
from downslope.data.large.encoding import TRAIN
from downslope.data.large.planned import Planned
from downslope.data.large.prepare import encode, lacking, stream_of
from downslope.data.large.reading import Files, complaint, failures, row_groups
from downslope.data.large.scan import Scan, check_scan, empty_scan, scan_file
from downslope.data.large.stream import Stream
from downslope.errors import SourceError
from downslope.records.spec import Spec
from downslope.types import Vector

PIECES = 64
"""A table is cut in about so many pieces where its files allow."""
LEAST_BYTES = 4 << 20
"""A piece of a file has at least so many bytes, before compression."""


@dataclass(frozen=True)
class Piece:
    """Some consecutive rows as they lie in files. groups: (first, last) row groups, None for a whole file."""

    path: Path
    groups: tuple[int, int] | None
    size: int


def pieces_of(files: Files) -> tuple[Piece, ...]:
    """Return the pieces of some files, in order; raises SourceError where one is damaged."""
    share = max(files.size // PIECES, LEAST_BYTES)
    return tuple(piece for path in files.paths for piece in _cut(files, path, share))


def _cut(files: Files, path: Path, share: int) -> list[Piece]:
    size = path.stat().st_size
    if files.kind != "Parquet" or files.where is not None or format_of(path)[1] is not None:
        return [Piece(path, None, size)]
    try:
        groups = row_groups(path)
    except failures() as error:
        raise SourceError(complaint(files.kind, path, error)) from None
    found: list[Piece] = []
    first = held = 0
    for index, group in enumerate(groups):
        held += group
        if held >= share or index == len(groups) - 1:
            found.append(Piece(path, (first, index + 1), size * held // max(sum(groups), 1)))
            first, held = index + 1, 0
    return found


def only(files: Files, piece: Piece) -> Files:
    """Return the files as one piece of them alone."""
    return replace(files, paths=(piece.path,), groups=piece.groups)


def count_piece(files: Files, piece: Piece, skip_bad: bool) -> int:
    """Return the rows of a piece, 0 where it is damaged and that is to be borne; raises SourceError."""
    try:
        return only(files, piece).count(piece.path)
    except SourceError:
        if not skip_bad:
            raise
        return 0


def scan_piece(files: Files, piece: Piece, spec: Spec, first: int) -> Scan | None:
    """Return the scan of a piece whose first row has the index ``first``, None where it is damaged but may be."""
    try:
        return scan_file(only(files, piece), piece.path, spec, first)
    except SourceError:
        if not spec.skip_bad_files:
            raise
        return None


@dataclass(frozen=True)
class Pieces:
    """A table in pieces, each with the index of its first row and its rows that train and that are held out."""

    files: Files
    pieces: tuple[Piece, ...]
    firsts: tuple[int, ...]
    rows: tuple[int, ...]
    train: tuple[int, ...]
    held: tuple[int, ...]

    def rows_of(self, part: str) -> tuple[int, ...]:
        """Return the rows of each piece that are in a part."""
        return self.train if part == TRAIN else self.held


def join_scans(
    files: Files, spec: Spec, pieces: Sequence[Piece], counts: Sequence[int], found: Sequence[Scan | None]
) -> tuple[Scan, tuple[str, ...], Pieces]:
    """Return the scan of a table from those of its pieces, the files left out, and the pieces; raises as ``scan``.

    counts: rows of each piece, as ``count_piece`` gives them.
    """
    bad = tuple(dict.fromkeys(str(each.path) for each, scan in zip(pieces, found, strict=True) if scan is None))
    whole = empty_scan(files, spec)
    sides: list[tuple[int, int, int]] = []
    for piece, scan in zip(pieces, found, strict=True):
        if scan is None or str(piece.path) in bad:
            sides.append((0, 0, 0))
            continue
        sides.append((scan.rows, scan.train_rows, scan.holdout_rows))
        whole.join(scan)
    check_scan(whole, files, spec)
    rows, train, held = zip(*sides, strict=True)
    firsts = tuple(accumulate(counts, initial=0))[:-1]
    return whole, bad, Pieces(files, tuple(pieces), firsts, rows, train, held)


@dataclass(frozen=True)
class Opening:
    """How a part of a table in pieces is opened, by whoever holds some of them.

    part: training rows or held-out rows. key: of its caches, which tells tables and plans apart. class_share:
    (classes,) a factor on the weight of each class, or None.
    """

    table: Pieces
    spec: Spec
    planned: Planned
    part: str
    key: str
    class_share: Vector | None = None

    def open(self, index: int) -> Stream:
        """Return the examples of a piece, encoded now unless a cache has them; raises as ``encode_table``."""
        files = only(self.table.files, self.table.pieces[index])
        planned, cache = self._planned(index), self._cache(index)
        with cache.locked():
            if not cache.whole or lacking(planned, cache):
                encode(files, self.spec, planned, cache, _quiet, self.table.firsts[index])
            cache.touch()
        stream = stream_of(planned, cache, self.part, self.table.rows_of(self.part)[index])
        return stream if self.class_share is None else stream.weighted(self.class_share)

    def discard(self, index: int) -> None:
        """Remove what is cached of a piece, because it is damaged."""
        self._cache(index).remove()

    def _cache(self, index: int) -> Cache:
        files = only(self.table.files, self.table.pieces[index])
        return Cache.of(files, self.spec, f"{self.key}-{index:05d}")

    def _planned(self, index: int) -> Planned:
        table = self.table
        summary = replace(self.planned.summary, train_rows=table.train[index], holdout_rows=table.held[index])
        return replace(self.planned, file_rows=(table.rows[index],), summary=summary)


def key_of_table(files: Files, spec: Spec, planned: Planned) -> str:
    """Return the digest that the caches of a table's pieces are known by."""
    told = json.dumps(planned.to_json(), sort_keys=True, default=str)
    return sha256(f"{key_of(files, spec)} {told}".encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _quiet(event: str, what: object) -> None:
    del event, what
