"""Arrays in files: IDX (LeCun's format of MNIST), NPY and NPZ, the first two also gzipped.

The shape is known from the first bytes, so that what is missing can be counted and what would not fit be refused
before it is read. A file that holds Python objects is refused: loading them could run code.

Formats: yann.lecun.com/exdb/mnist, section "File formats"; numpy.lib.format.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zipfile
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from downslope.data.images.memory import check_memory
from downslope.errors import SourceError

NPY, ZIP, GZIP = b"\x93NUMPY", b"PK", b"\x1f\x8b"
IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
PART = 1 << 20
"""Bytes read at a time."""
BROKEN = (EOFError, OSError, ValueError, struct.error, zlib.error, zipfile.BadZipFile)
"""What a reader raises on a file that is cut off or damaged."""


@dataclass(frozen=True)
class Header:
    """What the first bytes of a stored array promise. column_major: the first axis varies fastest."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    column_major: bool = False

    @property
    def values(self) -> int:
        """How many numbers the array holds."""
        return math.prod(self.shape)


class Stream(Protocol):
    """What an open file can do here; ``read1`` returns what is there, however little."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, fewer only at the end."""
        ...

    def read1(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes, none only at the end."""
        ...


@contextmanager
def opened(path: Path) -> Generator[Stream]:
    """Open a file, through gzip where its first bytes say so; raises SourceError where it cannot be opened."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == GZIP
    except OSError as error:
        message = f"{path} cannot be opened: {error.strerror or error}"
        raise SourceError(message) from None
    with gzip.open(path, "rb") if packed else path.open("rb") as stream:
        yield cast("Stream", stream)


def header_in(path: Path) -> Header | None:
    """Return the header of an IDX or NPY file, None where it is neither; raises SourceError as ``opened``."""
    with opened(path) as stream:
        try:
            return _header(stream)
        except BROKEN:
            return None


def is_zip(path: Path) -> bool:
    """Say whether a file begins as a ZIP archive, which an NPZ file is."""
    with path.open("rb") as file:
        return file.read(2) == ZIP


def read_stored(path: Path) -> NDArray[Any]:
    """Return the array of an IDX or NPY file; raises SourceError, with the bytes missing where it is cut off."""
    with opened(path) as stream:
        return _read(stream, str(path))


@dataclass(frozen=True)
class Archive:
    """An NPZ file: its arrays' headers by name, None for an array of Python objects."""

    path: Path
    headers: dict[str, Header | None]

    def read(self, name: str) -> NDArray[Any]:
        """Return one array; raises SourceError."""
        what = f'the array "{name}" of {self.path}'
        if self.headers[name] is None:
            message = f"{what} holds Python objects, which are never loaded; save it as numbers or text"
            raise SourceError(message)
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(name + ".npy") as stream:
                return _read(cast("Stream", stream), what)
        except BROKEN as error:
            raise _damaged(str(self.path), error) from None


def open_archive(path: Path) -> Archive:
    """Return what an NPZ file holds; raises SourceError."""
    headers: dict[str, Header | None] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as stream:
                        headers[member.removesuffix(".npy")] = _plain(_header(cast("Stream", stream)))
    except BROKEN as error:
        raise _damaged(str(path), error) from None
    return Archive(path, headers)


def _plain(header: Header | None) -> Header | None:
    return None if header is None or header.dtype.hasobject else header


def _header(stream: Stream) -> Header | None:
    """Return the header that a stream begins with and leave it behind; raises ValueError or what a reader raises."""
    magic = stream.read(4)
    if len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in IDX_TYPES and magic[3] > 0:
        shape = struct.unpack(f">{magic[3]}I", stream.read(4 * magic[3]))
        return Header(shape, np.dtype(IDX_TYPES[magic[2]]))
    magic += stream.read(4)
    if magic[:6] != NPY or len(magic) < 8:
        return None
    count = 2 if magic[6] == 1 else 4
    written = stream.read(count)
    length = int.from_bytes(written, "little")
    whole = io.BytesIO(magic + written + stream.read(min(length, PART)))
    np.lib.format.read_magic(whole)
    parse = np.lib.format.read_array_header_1_0 if magic[6] == 1 else np.lib.format.read_array_header_2_0
    shape, column_major, dtype = parse(cast("IO[bytes]", whole))
    return Header(tuple(shape), dtype, bool(column_major))


def _read(stream: Stream, what: str) -> NDArray[Any]:
    try:
        header = _header(stream)
    except BROKEN as error:
        raise _damaged(what, error) from None
    if header is None:
        message = f"{what} is neither an IDX nor an NPY file; save the array again"
        raise SourceError(message)
    if header.dtype.hasobject:
        message = f"{what} holds Python objects, which are never loaded; save it as numbers or text"
        raise SourceError(message)
    check_memory(header.values, header.dtype.itemsize, what)
    flat = _filled(stream, header.values * header.dtype.itemsize, what).view(header.dtype)
    array = flat.reshape(header.shape, order="F" if header.column_major else "C")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _filled(stream: Stream, wanted: int, what: str) -> NDArray[np.uint8]:
    """Return as many bytes as wanted; raises SourceError where there are fewer or more."""
    found, got = np.empty(wanted, np.uint8), 0
    try:
        while got < wanted and (part := stream.read1(min(PART, wanted - got))):
            found[got : got + len(part)] = np.frombuffer(part, np.uint8)
            got += len(part)
        more = got == wanted and bool(stream.read1(1))  # at the end a packed stream checks itself
    except EOFError as error:
        if got == wanted:
            raise _damaged(what, error) from None
        more = False
    except BROKEN as error:
        raise _damaged(what, error) from None
    if got < wanted:
        missing = wanted - got
        message = f"{what} is cut off: {missing:,} of its {wanted:,} bytes of numbers are missing; fetch it again"
        raise SourceError(message)
    if more:
        message = f"{what} goes on after the {wanted:,} bytes of numbers that its first bytes promise; write it again"
        raise SourceError(message)
    return found


def _damaged(what: str, error: Exception) -> SourceError:
    if isinstance(error, SourceError):
        return error
    return SourceError(f"{what} is damaged or cut off and cannot be read; fetch it again")
