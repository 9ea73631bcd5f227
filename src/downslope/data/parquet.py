"""One plain Parquet file, read by PyArrow: a text stays the dictionary that it is stored as.

DuckDB writes each text out again, and encoding 327,346 rows of three texts back to codes takes as long as reading
all the rest. A file with any type that the two readers would give differently is left to DuckDB.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from downslope.data.arrow import arrow


def schema_of(path: Path) -> Any:
    """Return the ``pyarrow.Schema`` of a Parquet file."""
    return import_module("pyarrow.parquet").read_schema(str(path), memory_map=True)


def read_plain(path: Path, drop: Sequence[str]) -> Any:
    """Return the columns of a file not in ``drop`` as a ``pyarrow.Table``, or None where it is not plain."""
    parquet = import_module("pyarrow.parquet")
    file = parquet.ParquetFile(str(path), memory_map=True)
    schema = file.schema_arrow
    names: list[str] = schema.names
    if len(set(names)) < len(names) or not all(_is_plain(each.type) for each in schema):
        return None
    keep = [name for name in names if name not in drop]
    texts = [each.name for each in schema if _is_text(each.type)]
    file = parquet.ParquetFile(str(path), memory_map=True, metadata=file.metadata, read_dictionary=texts)
    return file.read(columns=keep).select(keep)


def _is_text(dtype: Any) -> bool:
    return bool(arrow().types.is_string(dtype) or arrow().types.is_large_string(dtype))


def _is_plain(dtype: Any) -> bool:
    types = arrow().types
    tests = (
        types.is_integer, types.is_float32, types.is_float64, types.is_boolean,
        types.is_decimal, types.is_date32, types.is_timestamp,
    )  # fmt: skip
    return _is_text(dtype) or any(test(dtype) for test in tests)
