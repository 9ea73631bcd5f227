"""Pictures in a column of a Parquet file: bytes, or a struct of bytes and path as data sets of pictures have them."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from downslope.data.arrow import arrow, compute
from downslope.data.columns import kind_of
from downslope.errors import SourceError

STARTS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*", b"P5", b"P6")
"""How the bytes of a picture begin: PNG, JPEG, GIF, BMP, WebP, TIFF and the portable maps."""


def picture_column(path: Path) -> str | None:
    """Return the one column of a Parquet file that holds pictures, by its type and its first value; None without.

    Raises SourceError where there are several.
    """
    try:
        file = import_module("pyarrow.parquet").ParquetFile(str(path), memory_map=True)
        names: list[str] = [each.name for each in file.schema_arrow if _may_hold(each.type)]
        found = [name for name in names if _begins_as_picture(_first(file, name))]
    except (arrow().ArrowException, OSError):
        return None  # the reader of tables says what is wrong
    if len(found) > 1:
        message = (
            f'{path} holds pictures in more than one column, "{found[0]}" and "{found[1]}"; '
            "write one of them to a file of its own"
        )
        raise SourceError(message)
    return found[0] if found else None


def _may_hold(dtype: Any) -> bool:
    if arrow().types.is_struct(dtype):
        return any(each.name == "bytes" and kind_of(each.type) == "binary" for each in dtype)
    return kind_of(dtype) == "binary"


def _first(file: Any, name: str) -> bytes:
    """Return the bytes of the first value, none where there is none."""
    for batch in file.iter_batches(batch_size=1, columns=[name]):
        value = _bytes_of(batch.column(0))[0].as_py()
        return b"" if value is None else cast("bytes", value)
    return b""


def _begins_as_picture(value: bytes) -> bool:
    return value.startswith(STARTS)


def _bytes_of(column: Any) -> Any:
    return compute().struct_field(column, "bytes") if arrow().types.is_struct(column.type) else column


def read_pictures(paths: Sequence[Path], source: str) -> tuple[list[bytes], str, Any]:
    """Return the encoded pictures of Parquet files, the name of their column and the other columns; raises SourceError.

    The other columns are a ``pyarrow.Table`` of as many rows.
    """
    parquet = import_module("pyarrow.parquet")
    name = picture_column(paths[0])
    try:
        tables = [parquet.read_table(str(path)) for path in paths]
        whole = tables[0] if len(tables) == 1 else arrow().concat_tables(tables, promote_options="permissive")
    except (arrow().ArrowException, OSError):
        message = f"{source} is not a whole Parquet file: it is cut off, damaged, or of another format; write it again"
        raise SourceError(message) from None
    column = _bytes_of(whole.column(name))
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        message = f'row {row + 1:,} of {source} has no picture in its column "{name}"; leave the row out'
        raise SourceError(message)
    return column.to_pylist(), str(name), whole.drop_columns([name])
