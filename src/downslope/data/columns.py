"""Columns: from one Arrow column to NumPy, as numbers or as the levels of a category.

Nulls and NaN are one and the same: missing. An infinity is refused, by column and row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow, compute
from downslope.errors import ColumnError
from downslope.types import FloatArray
from downslope.words import say

MONTHS = tuple(str(month) for month in range(1, 13))
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HOURS = tuple(str(hour) for hour in range(24))
CYCLES: dict[str, tuple[int, tuple[str, ...]]] = {"month": (1, MONTHS), "weekday": (0, WEEKDAYS), "hour": (0, HOURS)}
"""Parts that come round again, so that each value has its own weight: part -> (first value, names)."""

DAY_PARTS = ("year", "month", "day", "weekday")
CLOCK_PARTS = ("hour", "minute", "second")

_INTERVAL = np.dtype([("months", np.int32), ("days", np.int32), ("nanoseconds", np.int64)])
_MONTH_SECONDS = 30 * 86_400  # as DuckDB orders intervals


@dataclass(frozen=True)
class Numbers:
    """A column as numbers.

    values: (n,) of any real dtype; what stands where a value is missing has no meaning.
    missing: (n,) bool, or None where nothing is missing.
    """

    values: NDArray[Any]
    missing: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Levels:
    """A column as levels.

    codes: (n,) int32, an index into ``names``, -1 where missing.
    names: a ``pyarrow.Array`` of distinct strings, each of which may be used or not.
    """

    codes: NDArray[np.int32]
    names: Any


def kind_of(dtype: Any) -> str:
    """Return what a column of an Arrow type holds.

    One of number, boolean, category, date, time, null; nested or binary for what no model can use.
    """
    types = arrow().types
    for kind, tests in (
        ("boolean", (types.is_boolean,)),
        ("number", (types.is_integer, types.is_floating, types.is_decimal, types.is_duration, types.is_interval)),
        ("category", (types.is_string, types.is_large_string, types.is_string_view)),
        ("date", (types.is_date, types.is_timestamp)),
        ("time", (types.is_time,)),
        ("null", (types.is_null,)),
        ("binary", (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)),
    ):
        if any(test(dtype) for test in tests):
            return kind
    if types.is_dictionary(dtype):
        return "category" if kind_of(dtype.value_type) in ("category", "number", "boolean") else "nested"
    return "nested"


def parts_of(dtype: Any) -> tuple[str, ...]:
    """Return the parts that a date or time of an Arrow type can be taken to."""
    types = arrow().types
    if types.is_timestamp(dtype):
        return DAY_PARTS + CLOCK_PARTS
    return CLOCK_PARTS if types.is_time(dtype) else DAY_PARTS


def numbers_of(column: Any, name: str, first: int = 0) -> Numbers:
    """Return a number or boolean column as Numbers; raises ColumnError on an infinity.

    first: rows of the table before those of this column, where it holds but some.
    """
    missing = _nulls(column)
    types = arrow().types
    if types.is_interval(column.type):
        return Numbers(_interval_seconds(column), missing)
    if types.is_null(column.type):
        return Numbers(np.zeros(len(column)), np.ones(len(column), dtype=np.bool_))
    plain = _plain_numbers(column)
    if missing is not None:
        plain = compute().fill_null(plain, False if types.is_boolean(plain.type) else 0)
    values = _values(plain)
    if types.is_duration(column.type):
        values = values / {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
    if values.dtype.kind == "f":
        missing = _with_nan(values, missing, name, first)
    return Numbers(values, missing)


def _plain_numbers(column: Any) -> Any:
    pyarrow = arrow()
    if pyarrow.types.is_decimal(column.type):
        return column.cast(pyarrow.float64())
    return column.cast(pyarrow.int64()) if pyarrow.types.is_duration(column.type) else column


def _values(column: Any) -> NDArray[Any]:
    pyarrow = arrow()
    if pyarrow.types.is_boolean(column.type):
        column = column.cast(pyarrow.uint8())
    return cast("NDArray[Any]", column.to_numpy())


def _nulls(column: Any) -> NDArray[np.bool_] | None:
    return cast("NDArray[np.bool_]", compute().is_null(column).to_numpy()) if column.null_count else None


def _with_nan(values: FloatArray, missing: NDArray[np.bool_] | None, name: str, first: int) -> NDArray[np.bool_] | None:
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):  # one sum is cheaper than a test of each value
            return missing
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        message = say(
            'column "{name}" is {infinity} in row {row}; replace it by a number or leave it empty',
            name=name,
            infinity=say("infinity") if values[row] > 0 else say("minus infinity"),
            row=first + row + 1,
        )
        raise ColumnError(message)
    absent = np.isnan(values)
    if not absent.any():
        return missing
    return absent if missing is None else absent | missing


def _interval_seconds(column: Any) -> NDArray[np.float64]:
    whole = column.combine_chunks()
    chunks = whole.chunks if hasattr(whole, "chunks") else [whole]
    parts = [np.frombuffer(each.buffers()[1], _INTERVAL)[each.offset : each.offset + len(each)] for each in chunks]
    fields = np.concatenate(parts) if parts else np.empty(0, _INTERVAL)
    return fields["months"] * float(_MONTH_SECONDS) + fields["days"] * 86_400.0 + fields["nanoseconds"] / 1e9


def part_of(column: Any, part: str) -> Numbers:
    """Return one part of a date or time column as whole numbers; a time zone is taken to UTC first."""
    pyarrow, pc = arrow(), compute()
    types = pyarrow.types
    if types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pyarrow.timestamp(column.type.unit))
    if types.is_date64(column.type):
        column = column.cast(pyarrow.date32())
    take = pc.day_of_week if part == "weekday" else getattr(pc, part)
    found = take(column)
    missing = _nulls(found)
    return Numbers(_values(pc.fill_null(found, 0) if missing is not None else found), missing)


def levels_of(column: Any) -> Levels:
    """Return a text, dictionary, whole-number or boolean column as Levels."""
    pyarrow, pc = arrow(), compute()
    if pyarrow.types.is_dictionary(column.type):
        found = _stored_levels(column)
        if found is not None:
            return found
        column = column.cast(column.type.value_type)
    if not pyarrow.types.is_string(column.type):
        column = column.cast(pyarrow.string() if column.nbytes < 2**30 else pyarrow.large_string())
    encoded = pc.dictionary_encode(column)
    if encoded.num_chunks == 0:
        return Levels(np.empty(0, np.int32), pyarrow.array([], pyarrow.string()))
    return _joined(encoded.chunks)


def _stored_levels(column: Any) -> Levels | None:
    """Return a dictionary of distinct strings as it is; None where it is of another kind."""
    pyarrow = arrow()
    if not pyarrow.types.is_string(column.type.value_type) or column.num_chunks == 0:
        return None
    levels = _joined(column.unify_dictionaries().chunks)
    names = levels.names
    return levels if names.null_count == 0 and len(names.unique()) == len(names) else None


def _joined(chunks: Sequence[Any]) -> Levels:
    # The last chunk has the longest dictionary: each begins with the one before.
    return Levels(np.concatenate([_codes(chunk) for chunk in chunks]), chunks[-1].dictionary)


def _codes(chunk: Any) -> NDArray[np.int32]:
    indices = chunk.indices
    if indices.type != arrow().int32():
        indices = indices.cast(arrow().int32())
    return cast("NDArray[np.int32]", (indices.fill_null(-1) if indices.null_count else indices).to_numpy())


def cycle_of(column: Any, part: str) -> Levels:
    """Return a part that comes round again (month, weekday, hour) as Levels."""
    first, names = CYCLES[part]
    numbers = part_of(column, part)
    codes = (numbers.values - first).astype(np.int32)
    if numbers.missing is not None:
        codes[numbers.missing] = -1
    return Levels(codes, arrow().array(names))


def monotone(values: NDArray[Any]) -> bool:
    """Return whether numbers rise from each row to the next, or fall from each to the next."""
    for later, earlier in ((values[1:], values[:-1]), (values[:-1], values[1:])):
        if bool(np.all(later[:64] > earlier[:64])) and bool(np.all(later > earlier)):
            return True
    return False


def text_names(names: Any, indices: Sequence[int] | NDArray[Any]) -> list[str]:
    """Return the strings at some places of ``Levels.names``."""
    return cast("list[str]", names.take(arrow().array(indices, arrow().int64())).to_pylist())
