"""Tables of predictions to a file or a stream, one after the other, in the format that its name asks for."""

from __future__ import annotations

import datetime
import json
import math
import os
import secrets
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from functools import partial
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from downslope.errors import OptionError


def kind_of(path: str) -> str:
    """Return the format that a file's ending asks for; raises OptionError on one that is not written."""
    ending = Path(path).suffix.lstrip(".").lower()
    if ending not in WRITERS:
        message = f'predictions cannot be written as "{Path(path).name}"; end the name in one of: {", ".join(WRITERS)}'
        raise OptionError(message)
    return ending


def write_file(parts: Iterator[Any], path: str, kind: str) -> int:
    """Write PyArrow tables of one schema to a file that appears whole or not at all; return its rows.

    Raises OSError where the disk refuses.
    """
    target = Path(path)
    unfinished = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        with unfinished.open("wb") as file:
            rows = write_stream(parts, file, kind)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return rows


def write_stream(parts: Iterator[Any], stream: IO[bytes], kind: str) -> int:
    """Write PyArrow tables of one schema, one at least, to an open stream of bytes; return the rows."""
    first = next(parts)
    rows = 0
    with WRITERS[kind](stream, first.schema) as write:
        for each in chain([first], parts):
            write(each)
            rows += each.num_rows
    return rows


Write: TypeAlias = "Callable[[Any], None]"


@contextmanager
def _csv(stream: IO[bytes], schema: Any, delimiter: str = ",") -> Generator[Write]:
    csv = import_module("pyarrow.csv")
    options = csv.WriteOptions(delimiter=delimiter, quoting_style="needed")
    with csv.CSVWriter(stream, schema, write_options=options) as writer:
        yield writer.write_table


@contextmanager
def _parquet(stream: IO[bytes], schema: Any) -> Generator[Write]:
    with import_module("pyarrow.parquet").ParquetWriter(stream, schema) as writer:
        yield writer.write_table


@contextmanager
def _arrow(stream: IO[bytes], schema: Any) -> Generator[Write]:
    with import_module("pyarrow").ipc.new_file(stream, schema) as writer:
        yield writer.write_table


@contextmanager
def _lines(
    stream: IO[bytes], schema: Any, *, begin: bytes = b"", between: bytes = b"\n", end: bytes = b"\n"
) -> Generator[Write]:
    del schema
    stream.write(begin)
    first = True

    def write(table: Any) -> None:
        nonlocal first
        for batch in table.to_batches(max_chunksize=10_000):
            for row in batch.to_pylist():
                stream.write(b"" if first else between)
                stream.write(json.dumps(_plain(row), ensure_ascii=False, allow_nan=False).encode())
                first = False

    yield write
    stream.write(end)


def _plain(value: Any) -> Any:
    """Return a value as strict JSON has it: times in ISO 8601, NaN and infinities as null, bytes as hex."""
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in cast("dict[Any, Any]", value).items()}
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[Any]", value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, datetime.timedelta | Decimal) else value


WRITERS: dict[str, Callable[[IO[bytes], Any], AbstractContextManager[Write]]] = {
    "csv": _csv,
    "tsv": partial(_csv, delimiter="\t"),
    "parquet": _parquet,
    "arrow": _arrow,
    "feather": _arrow,
    "json": partial(_lines, begin=b"[\n", between=b",\n", end=b"\n]\n"),
    "ndjson": _lines,
}
