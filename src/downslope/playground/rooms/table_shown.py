"""A table as a page is shown it: its columns with what they hold, its first rows, and the whole of it as CSV."""

from __future__ import annotations

import io
from typing import Any

from downslope.data.arrow import arrow
from downslope.data.columns import kind_of

SHOWN_ROWS = 20
"""Rows of a table that a page sees."""
SHOWN_COLUMNS = 40
"""Columns of which it sees the cells; of the others it has the names."""
LETTERS = 100
"""Letters of a cell, and of the name of a type, that it sees."""
LARGEST = 2**53
"""The largest whole number that a page can tell from the next."""


def shown(table: Any, name: str) -> dict[str, Any] | None:
    """Return what a page is shown of a table, None for none; kinds are those of ``data.columns.kind_of``."""
    if table is None:
        return None
    first = table.slice(0, SHOWN_ROWS)
    columns = [_cells(first.column(place)) for place in range(min(SHOWN_COLUMNS, table.num_columns))]
    return {
        "name": name, "rows": table.num_rows,
        "columns": [
            {"name": each.name, "type": str(each.type)[:LETTERS], "kind": kind_of(each.type)} for each in table.schema
        ],
        "first": [list(row) for row in zip(*columns, strict=True)],
    }  # fmt: skip


def _cells(column: Any) -> list[Any]:
    """Return values as JSON holds them: numbers, booleans and nulls as they are, all else as text."""
    try:
        values = column.to_pylist()
    except (arrow().ArrowException, ValueError, OverflowError):  # a day before the year 1, or a part of a nanosecond
        values = _texts(column)
    return [_cell(each) for each in values]


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) <= LARGEST:
        return value
    return str(value)[:LETTERS]


def _texts(column: Any) -> list[str | None]:
    try:
        return column.cast(arrow().string()).to_pylist()
    except (arrow().ArrowException, ValueError):
        return [str(each) if each.is_valid else None for each in column]


def as_csv(table: Any) -> bytes:
    """Return a table as CSV, what CSV has no form for as text."""
    import pyarrow.csv as csv

    writer: Any = csv
    for place, each in enumerate(table.schema):
        if kind_of(each.type) == "binary" or not _has_form(writer, table.select([place])):
            texts = arrow().array(_texts(table.column(place)), arrow().string())
            table = table.set_column(place, each.name, texts)
    packed = io.BytesIO()
    writer.write_csv(table, packed)
    return packed.getvalue()


def _has_form(writer: Any, column: Any) -> bool:
    """Return whether CSV has a form for a table of one column."""
    try:
        writer.write_csv(column.slice(0, 0), io.BytesIO())
    except arrow().ArrowException:
        return False
    return True
