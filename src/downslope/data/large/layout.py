"""A block on disk: a header, then target, weights, codes and numbers of its rows, each in as few bytes as they need.

The parts lie one after another, so that a pass over targets alone reads only the beginning, and some rows can be read
without the others. A checksum tells a damaged block from a whole one.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.errors import SourceError
from downslope.types import Codes, FloatArray, JsonValue, Vector

MAGIC = b"downslope block 1\n"
HEADER = 512
"""Bytes before the first part."""
ALIGNED = 64
BLOCK_BYTES = 4 << 20
"""Bytes of a block, at most: what a disk reads at full speed, and a hundred of them fit in little memory."""
MOST_ROWS, LEAST_ROWS = 1 << 17, 1 << 8
PIECES = 64
"""Pieces of a block that are read apart where rows are to be mixed."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Layout:
    """What a row is: how many numbers and categories, and the types on disk, as NumPy names them.

    weights: "" where every row counts the same. rows: of a whole block, a power of two.
    """

    numbers: int
    categories: int
    number_type: str
    code_type: str
    target_type: str
    weight_type: str
    rows: int

    @classmethod
    def of(
        cls, numbers: int, categories: int, levels: int, precision: str, target_type: str, weight_type: str
    ) -> Layout:
        """Return the layout of a plan; its blocks hold as many rows as BLOCK_BYTES allow."""
        code_type = "uint8" if levels <= 1 << 8 else "uint16" if levels <= 1 << 16 else "int32"
        types = [precision] * numbers + [code_type] * categories + [target_type] + [weight_type] * bool(weight_type)
        width = sum(np.dtype(each).itemsize for each in types)
        rows = 1 << (BLOCK_BYTES // width).bit_length() - 1 if width < BLOCK_BYTES else 1
        return cls(
            numbers, categories, precision, code_type, target_type, weight_type,
            min(max(rows, LEAST_ROWS), MOST_ROWS),
        )  # fmt: skip

    @property
    def parts(self) -> dict[str, tuple[str, int]]:
        """Return the parts in order: name -> (type, columns)."""
        weights = {"weights": (self.weight_type, 1)} if self.weight_type else {}
        return {
            "target": (self.target_type, 1), **weights, "codes": (self.code_type, self.categories),
            "numbers": (self.number_type, self.numbers),
        }  # fmt: skip

    @property
    def row_bytes(self) -> int:
        """Bytes of a row on disk."""
        return sum(np.dtype(kind).itemsize * columns for kind, columns in self.parts.values())

    @property
    def held_bytes(self) -> int:
        """Bytes of a row in memory, as the engine reads it."""
        weights = 8 if self.weight_type else 0
        return np.dtype(self.number_type).itemsize * self.numbers + 4 * self.categories + 8 + weights

    def places(self, rows: int) -> dict[str, int]:
        """Return where each part begins in a block of so many rows, and under "" where the block ends."""
        found: dict[str, int] = {}
        place = HEADER
        for name, (kind, columns) in self.parts.items():
            found[name] = place
            size = rows * np.dtype(kind).itemsize * columns
            place += -(-size // ALIGNED) * ALIGNED
        return found | {"": place}

    def ranges(self, rows: int, first: int, last: int) -> dict[str, tuple[int, int]]:
        """Return where in a block of ``rows`` rows some of them lie: name of the part -> (place, bytes)."""
        places = self.places(rows)
        widths = {name: np.dtype(kind).itemsize * columns for name, (kind, columns) in self.parts.items()}
        return {name: (places[name] + first * width, (last - first) * width) for name, width in widths.items() if width}

    def to_json(self) -> dict[str, JsonValue]:
        """Return the layout as plain values."""
        return asdict(self)


@dataclass
class Buffers:
    """Memory that is used again for every block: the bytes as read, and what has to be widened for the engine."""

    raw: Bytes
    codes: Codes
    target: Vector
    weights: Vector

    @classmethod
    def of(cls, layout: Layout) -> Buffers:
        """Return buffers for a whole block."""
        rows = layout.rows
        return cls(
            aligned(layout.places(rows)[""]), np.empty((rows, layout.categories), np.int32), np.empty(rows),
            np.empty(rows if layout.weight_type else 0),
        )  # fmt: skip


def aligned(size: int) -> Bytes:
    """Return uninitialised bytes that begin at a whole line of the cache."""
    given = np.empty(size + ALIGNED, np.uint8)
    start = -given.ctypes.data % ALIGNED
    return given[start : start + size]


def write_block(path: Path, key: str, layout: Layout, rows: int, end: int, columns: dict[str, NDArray[Any]]) -> None:
    """Write a block whole or not at all. end: the global index after its last row. columns: by name of the part."""
    places = layout.places(rows)
    content = aligned(places[""])
    content[:] = 0
    for name, (kind, count) in layout.parts.items():
        size = rows * np.dtype(kind).itemsize * count
        place = content[places[name] : places[name] + size].view(kind)
        place[:] = columns[name][:rows].reshape(-1)
    header = {"key": key, "rows": rows, "end": end, "crc": zlib.crc32(content[HEADER:].data)}
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


def read_block(path: Path, key: str, layout: Layout, into: Bytes, *, features: bool, check: bool) -> int:
    """Read a block into the bytes of a buffer and return its rows.

    features: False for target and weights alone. check: compare the checksum, of a block read whole. Raises
    DamagedError.
    """
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            wanted = min(size, into.shape[0])
            if not features:
                wanted = min(wanted, layout.places(layout.rows)["codes"])
            _fill(file, into[:wanted])
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror}") from error
    header = read_header(into, path, key)
    rows = int(header["rows"])
    if size != layout.places(rows)[""]:
        raise DamagedError(f"{path} has another size than it was written with")
    if check and features and zlib.crc32(into[HEADER:size].data) != header["crc"]:
        raise DamagedError(f"{path} does not have the checksum that it was written with")
    return rows


def _fill(file: Any, into: Bytes) -> None:
    view = memoryview(into.data)
    while len(view):
        count = file.readinto(view)
        if not count:
            raise OSError(5, "it is shorter than it should be")
        view = view[count:]


def columns_in(
    layout: Layout, buffers: Buffers, rows: int, *, features: bool
) -> tuple[FloatArray, Codes, Vector, Vector]:  # fmt: skip
    """Return (numbers, codes, target, weights) of the block that lies in some buffers, as the engine reads them."""
    places = layout.places(rows)

    def part(name: str) -> NDArray[Any]:
        kind, columns = layout.parts[name]
        size = rows * np.dtype(kind).itemsize * columns
        return buffers.raw[places[name] : places[name] + size].view(kind)

    np.copyto(buffers.target[:rows], part("target"))
    if layout.weight_type:
        np.copyto(buffers.weights[:rows], part("weights"))
    codes, numbers = buffers.codes[:0], np.empty((rows, 0), layout.number_type)
    if features:
        codes = buffers.codes[:rows]
        np.copyto(codes.reshape(-1), part("codes"), casting="unsafe")
        numbers = part("numbers").reshape(rows, layout.numbers)
    return numbers, codes, buffers.target[:rows], buffers.weights[:rows]


def read_rows(
    file: int, layout: Layout, rows: int, first: int, last: int, into: tuple[FloatArray, Codes, Vector, Vector]
) -> None:
    """Read the rows from ``first`` up to ``last`` of an open block of ``rows`` rows straight into arrays."""
    numbers, codes, target, weights = into
    arrays: dict[str, NDArray[Any]] = {"numbers": numbers, "codes": codes, "target": target, "weights": weights}
    for name, (begin, size) in layout.ranges(rows, first, last).items():
        array, kind = arrays[name], np.dtype(layout.parts[name][0])
        direct = array.dtype == kind
        place: NDArray[Any] = array if direct else np.empty(array.size, kind)
        view = memoryview(place.reshape(-1).view(np.uint8).data)
        if os.preadv(file, [view], begin) != size:
            raise DamagedError("a block is shorter than it should be")
        if not direct:
            np.copyto(array.reshape(-1), place, casting="unsafe")
