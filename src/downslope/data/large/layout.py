"""A block on disk: a header, then target, weights, codes and numbers of its rows, each in as few bytes as they need.

The parts lie one after another, so that a pass over targets alone reads only the beginning, and some rows can be read
without the others. Sparse rows come last, as three parts: where the entries of each row begin, their columns, their
values. A checksum tells a damaged block from a whole one.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.blocks import SparseRows
from downslope.errors import SourceError
from downslope.types import Codes, FloatArray, JsonValue, Vector

MAGIC = b"downslope block 1\n"
HEADER = 512
"""Bytes before the first part."""
ALIGNED = 64
BLOCK_BYTES, SPARSE_BLOCK_BYTES = 4 << 20, 16 << 20
"""Bytes of a block, at most: what a disk reads at full speed, and a hundred of them fit in little memory. Of sparse
rows more, and about: what is summed up of each has a number for every column, and columns are many."""
SPARSE_SHARE = 32
"""A block of sparse rows takes one of so many parts of the memory, and no more: rings of several are in memory."""
MOST_ROWS, LEAST_ROWS = 1 << 17, 1 << 8
PIECES = 64
"""Pieces of a block that are read apart where rows are to be mixed."""

START, PLACE = 4, 4
"""Bytes of where the entries of a row begin, and of the column of an entry."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Layout:
    """What a row is: how many numbers and categories, and the types on disk, as NumPy names them.

    weights: "" where every row counts the same. rows: of a whole block, a power of two. value_type: of the entries of
    sparse rows, "" where there are none. entries: of a row, on average.
    """

    numbers: int
    categories: int
    number_type: str
    code_type: str
    target_type: str
    weight_type: str
    rows: int
    value_type: str = ""
    entries: float = 0.0

    @classmethod
    def of(
        cls, numbers: int, categories: int, levels: int, precision: str, target_type: str, weight_type: str,
        entries: float | None = None, memory: int = 1 << 40,
    ) -> Layout:  # fmt: skip
        """Return the layout of a plan; its blocks hold about as many rows as BLOCK_BYTES allow.

        entries: of a sparse row, on average; None where rows have no sparse part. memory: bytes for data, which sparse
        blocks take a share of.
        """
        code_type = "uint8" if levels <= 1 << 8 else "uint16" if levels <= 1 << 16 else "int32"
        types = [precision] * numbers + [code_type] * categories + [target_type] + [weight_type] * bool(weight_type)
        value_type = "" if entries is None else precision
        width = sum(np.dtype(each).itemsize for each in types) + _entry_bytes(value_type, entries or 0.0)
        room = min(SPARSE_BLOCK_BYTES, memory // SPARSE_SHARE) if value_type else BLOCK_BYTES
        rows = 1 << (room // width).bit_length() - 1 if width < room else 1
        return cls(
            numbers, categories, precision, code_type, target_type, weight_type,
            min(max(rows, LEAST_ROWS), MOST_ROWS), value_type, entries or 0.0,
        )  # fmt: skip

    @property
    def parts(self) -> dict[str, tuple[str, int]]:
        """Return the parts before the sparse rows in order: name -> (type, columns)."""
        weights = {"weights": (self.weight_type, 1)} if self.weight_type else {}
        return {
            "target": (self.target_type, 1), **weights, "codes": (self.code_type, self.categories),
            "numbers": (self.number_type, self.numbers),
        }  # fmt: skip

    @property
    def row_bytes(self) -> int:
        """Bytes of a row on disk, about where there are sparse rows."""
        dense = sum(np.dtype(kind).itemsize * columns for kind, columns in self.parts.values())
        return dense + _entry_bytes(self.value_type, self.entries)

    @property
    def held_bytes(self) -> int:
        """Bytes of a row in memory, as the engine reads it, about where there are sparse rows."""
        weights = 8 if self.weight_type else 0
        dense = np.dtype(self.number_type).itemsize * self.numbers + 4 * self.categories + 8 + weights
        return dense + 2 * _entry_bytes(self.value_type, self.entries)  # twice: memory that grows is there twice

    def places(self, rows: int, entries: int = 0) -> dict[str, int]:
        """Return where each part begins in a block of so many rows and entries, and under "" where the block ends."""
        found: dict[str, int] = {}
        place = HEADER
        sizes = {name: rows * np.dtype(kind).itemsize * columns for name, (kind, columns) in self.parts.items()}
        if self.value_type:
            sizes |= {
                "starts": START * (rows + 1), "places": PLACE * entries,
                "values": np.dtype(self.value_type).itemsize * entries,
            }  # fmt: skip
        for name, size in sizes.items():
            found[name] = place
            place += -(-size // ALIGNED) * ALIGNED
        return found | {"": place}

    @property
    def sparse_parts(self) -> dict[str, str]:
        """Return the parts of the sparse rows in order: name -> type."""
        return {"starts": "int32", "places": "int32", "values": self.value_type} if self.value_type else {}

    def ranges(self, rows: int, first: int, last: int) -> dict[str, tuple[int, int]]:
        """Return where in a block of ``rows`` rows some of them lie: name of the part -> (place, bytes)."""
        places = self.places(rows)
        widths = {name: np.dtype(kind).itemsize * columns for name, (kind, columns) in self.parts.items()}
        return {name: (places[name] + first * width, (last - first) * width) for name, width in widths.items() if width}

    def to_json(self) -> dict[str, JsonValue]:
        """Return the layout as plain values."""
        return asdict(self)


def _entry_bytes(value_type: str, entries: float) -> int:
    """Return the bytes of the sparse part of a row of so many entries."""
    if not value_type:
        return 0
    return START + math.ceil(entries * (PLACE + np.dtype(value_type).itemsize))


@dataclass(frozen=True)
class Columns:
    """Rows as the engine reads them. numbers: (n, p). codes: (n, q). target, weights: (n,), weights of 0 rows if none.

    sparse: the sparse rows, None where there are none.
    """

    numbers: FloatArray
    codes: Codes
    target: Vector
    weights: Vector
    sparse: SparseRows | None = None

    def __getitem__(self, rows: slice) -> Columns:
        """Return some of the rows, without the sparse ones."""
        return Columns(self.numbers[rows], self.codes[rows], self.target[rows], self.weights[rows])

    @classmethod
    def empty(cls, layout: Layout, rows: int) -> Columns:
        """Return memory for so many rows, the sparse ones apart."""
        return cls(
            np.empty((rows, layout.numbers), layout.number_type), np.empty((rows, layout.categories), np.int32),
            np.empty(rows), np.empty(rows if layout.weight_type else 0),
        )  # fmt: skip


@dataclass
class Buffers:
    """Memory that is used again for every block: the bytes as read, and what has to be widened for the engine."""

    raw: Bytes
    codes: Codes
    target: Vector
    weights: Vector

    def hold(self, size: int) -> None:
        """Make room for so many bytes, for a block of more entries than those before; its header is kept."""
        if self.raw.shape[0] < size:
            wider = aligned(size)
            wider[:HEADER] = self.raw[:HEADER]
            self.raw = wider

    @classmethod
    def of(cls, layout: Layout) -> Buffers:
        """Return buffers for a whole block."""
        rows = layout.rows
        return cls(
            aligned(layout.places(rows, int(layout.entries * rows))[""]),
            np.empty((rows, layout.categories), np.int32), np.empty(rows), np.empty(rows if layout.weight_type else 0),
        )  # fmt: skip


def aligned(size: int) -> Bytes:
    """Return uninitialised bytes that begin at a whole line of the cache."""
    given = np.empty(size + ALIGNED, np.uint8)
    start = -given.ctypes.data % ALIGNED
    return given[start : start + size]


def write_block(path: Path, key: str, layout: Layout, rows: int, end: int, columns: dict[str, NDArray[Any]]) -> None:
    """Write a block whole or not at all. end: the global index after its last row. columns: by name of the part.

    Those of the sparse part: "starts" (rows + 1,) from 0, "places" and "values".
    """
    entries = columns["places"].shape[0] if layout.value_type else 0
    places = layout.places(rows, entries)
    content = aligned(places[""])
    content[:] = 0
    for name, (kind, count) in layout.parts.items():
        size = rows * np.dtype(kind).itemsize * count
        place = content[places[name] : places[name] + size].view(kind)
        place[:] = columns[name][:rows].reshape(-1)
    for name, kind in layout.sparse_parts.items():
        array = columns[name].astype(kind, copy=False)
        content[places[name] : places[name] + array.nbytes] = array.view(np.uint8)
    header = {"key": key, "rows": rows, "entries": entries, "end": end, "crc": zlib.crc32(content[HEADER:].data)}
    told = MAGIC + json.dumps(header).encode()
    content[: len(told)] = np.frombuffer(told, np.uint8)
    temporary = path.with_suffix(".part")
    with temporary.open("wb", buffering=0) as file:
        left = memoryview(content.data)
        while len(left):  # a disk that becomes full takes a part, and says so at the next write
            left = left[file.write(left) :]
    os.replace(temporary, path)


class DamagedError(SourceError):
    """A block is not what was written."""


def read_header(content: Bytes, path: Path, key: str) -> dict[str, Any]:
    """Return a block's header; raises DamagedError where it is no block of that key."""
    try:
        told = bytes(content[:HEADER])
        if not told.startswith(MAGIC):
            raise ValueError
        header = json.loads(told[len(MAGIC) :].rstrip(b"\0"))
        if header["key"] != key:
            raise ValueError
    except (ValueError, KeyError) as error:
        raise DamagedError(f"{path} is not a block of this table") from error
    return header


def read_block(
    path: Path, key: str, layout: Layout, into: Buffers, *, features: bool, check: bool
) -> tuple[int, int]:  # fmt: skip
    """Read a block into a buffer and return its rows and entries.

    features: False for target and weights alone. check: compare the checksum, of a block read whole. Raises
    DamagedError.
    """
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            _fill(file, into.raw[:HEADER])
            header = read_header(into.raw, path, key)
            rows, entries = int(header["rows"]), int(header["entries"])
            if size != layout.places(rows, entries)[""]:
                raise DamagedError(f"{path} has another size than it was written with")
            wanted = size if features else layout.places(rows)["codes"]
            into.hold(wanted)
            _fill(file, into.raw[HEADER:wanted])
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror}") from error
    if check and features and zlib.crc32(into.raw[HEADER:size].data) != header["crc"]:
        raise DamagedError(f"{path} does not have the checksum that it was written with")
    return rows, entries


def _fill(file: Any, into: Bytes) -> None:
    view = memoryview(into.data)
    while len(view):
        count = file.readinto(view)
        if not count:
            raise OSError(5, "it is shorter than it should be")
        view = view[count:]


def columns_in(layout: Layout, buffers: Buffers, rows: int, entries: int, *, features: bool) -> Columns:
    """Return the rows of the block that lies in some buffers, as the engine reads them."""
    places = layout.places(rows, entries)

    def part(name: str, kind: str, count: int) -> NDArray[Any]:
        return buffers.raw[places[name] : places[name] + count * np.dtype(kind).itemsize].view(kind)

    def dense(name: str) -> NDArray[Any]:
        kind, columns = layout.parts[name]
        return part(name, kind, rows * columns)

    np.copyto(buffers.target[:rows], dense("target"))
    if layout.weight_type:
        np.copyto(buffers.weights[:rows], dense("weights"))
    codes, numbers, sparse = buffers.codes[:0], np.empty((rows, 0), layout.number_type), None
    if features:
        codes = buffers.codes[:rows]
        np.copyto(codes.reshape(-1), dense("codes"), casting="unsafe")
        numbers = dense("numbers").reshape(rows, layout.numbers)
        if layout.value_type:
            counts = {"starts": rows + 1, "places": entries, "values": entries}
            starts, columns, values = (part(name, kind, counts[name]) for name, kind in layout.sparse_parts.items())
            sparse = SparseRows(starts.astype(np.int64), columns, values)
    return Columns(numbers, codes, buffers.target[:rows], buffers.weights[:rows], sparse)


def read_rows(file: int, layout: Layout, rows: int, first: int, last: int, into: Columns) -> None:
    """Read the rows from ``first`` up to ``last`` of an open block of ``rows`` rows, but for sparse ones, into arrays.

    Raises DamagedError.
    """
    arrays: dict[str, NDArray[Any]] = {
        "numbers": into.numbers, "codes": into.codes, "target": into.target, "weights": into.weights,
    }  # fmt: skip
    for name, (begin, _) in layout.ranges(rows, first, last).items():
        array, kind = arrays[name], np.dtype(layout.parts[name][0])
        direct = array.dtype == kind
        place: NDArray[Any] = array if direct else np.empty(array.size, kind)
        _read_at(file, place.reshape(-1), begin)
        if not direct:
            np.copyto(array.reshape(-1), place, casting="unsafe")


def _read_at(file: int, into: NDArray[Any], begin: int) -> None:
    """Fill an array from a place in a file; raises DamagedError where the file ends before."""
    view = memoryview(into.view(np.uint8).data)
    if len(view) and os.preadv(file, [view], begin) != len(view):
        raise DamagedError("a block is shorter than it should be")


class Gathered:
    """Sparse rows gathered from pieces of blocks, in memory that is used again."""

    def __init__(self, layout: Layout, rows: int) -> None:
        """Take room for so many rows of as many entries as rows have on average."""
        self.layout = layout
        self.starts = np.zeros(rows + 1, np.int64)
        self._hold(int(rows * layout.entries) + 1, 0)
        self.rows = self.entries = 0

    def _hold(self, entries: int, filled: int) -> None:
        """Take room for so many entries, and keep those that are there."""
        places, values = np.empty(entries, np.int32), np.empty(entries, self.layout.value_type)
        if filled:
            places[:filled], values[:filled] = self.places[:filled], self.values[:filled]
        self.places, self.values = places, values

    def clear(self) -> None:
        """Begin anew."""
        self.rows = self.entries = 0

    def read(self, file: int, rows: int, spans: Sequence[tuple[int, int]]) -> None:
        """Add spans (first, last) of the rows of an open block of ``rows`` rows; raises DamagedError."""
        starts_at = self.layout.places(rows)["starts"]
        whole = np.empty(1, np.int32)
        _read_at(file, whole, starts_at + START * rows)
        places = self.layout.places(rows, int(whole[0]))
        width = self.values.itemsize
        for first, last in spans:
            starts = np.empty(last - first + 1, np.int32)
            _read_at(file, starts, starts_at + START * first)
            begin, more = int(starts[0]), int(starts[-1] - starts[0])
            if self.entries + more > self.places.shape[0]:
                self._hold((self.entries + more) * 5 // 4, self.entries)
            here = slice(self.entries, self.entries + more)
            _read_at(file, self.places[here], places["places"] + PLACE * begin)
            _read_at(file, self.values[here], places["values"] + width * begin)
            self.starts[self.rows + 1 : self.rows + 1 + last - first] = starts[1:] + (self.entries - begin)
            self.rows, self.entries = self.rows + last - first, self.entries + more

    def found(self) -> SparseRows:
        """Return the rows; valid until the next are read."""
        return SparseRows(self.starts[: self.rows + 1], self.places[: self.entries], self.values[: self.entries])
