"""A table of predictions to a file or a stream, in the format that its name asks for."""

from __future__ import annotations

import datetime
import json
import math
import os
import secrets
from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

from downslope.errors import OptionError


def kind_of(path: str) -> str:
    """Return the format that a file's ending asks for; raises OptionError on one that is not written."""
    ending = Path(path).suffix.lstrip(".").lower()
    if ending not in WRITERS:
        message = f'predictions cannot be written as "{Path(path).name}"; end the name in one of: {", ".join(WRITERS)}'
        raise OptionError(message)
    return ending


def write_file(table: Any, path: str, kind: str) -> None:
    """Write a PyArrow table to a file that appears whole or not at all; raises OSError where the disk refuses."""
    target = Path(path)
    partial = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    try:
        with partial.open("wb") as file:
            write_stream(table, file, kind)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_stream(table: Any, stream: IO[bytes], kind: str) -> None:
    """Write a PyArrow table to an open stream of bytes."""
    WRITERS[kind](table, stream)


def _csv(table: Any, stream: IO[bytes], delimiter: str = ",") -> None:
    csv = import_module("pyarrow.csv")
    csv.write_csv(table, stream, csv.WriteOptions(delimiter=delimiter, quoting_style="needed"))


def _tsv(table: Any, stream: IO[bytes]) -> None:
    _csv(table, stream, "\t")


def _parquet(table: Any, stream: IO[bytes]) -> None:
    import_module("pyarrow.parquet").write_table(table, stream)


def _arrow(table: Any, stream: IO[bytes]) -> None:
    with import_module("pyarrow").ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)


def _lines(table: Any, stream: IO[bytes], between: bytes = b"\n") -> None:
    first = True
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            stream.write(b"" if first else between)
            stream.write(json.dumps(_plain(row), ensure_ascii=False, allow_nan=False).encode())
            first = False


def _ndjson(table: Any, stream: IO[bytes]) -> None:
    _lines(table, stream)
    stream.write(b"\n")


def _json(table: Any, stream: IO[bytes]) -> None:
    stream.write(b"[\n")
    _lines(table, stream, b",\n")
    stream.write(b"\n]\n")


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


WRITERS: dict[str, Callable[[Any, IO[bytes]], None]] = {
    "csv": _csv,
    "tsv": _tsv,
    "parquet": _parquet,
    "arrow": _arrow,
    "feather": _arrow,
    "json": _json,
    "ndjson": _ndjson,
}
