"""Encode: from columns to the arrays of a block, by the features of a plan.

The same functions write the training rows and the rows to predict, so the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow, compute
from downslope.data.columns import CYCLES, Levels, Numbers, cycle_of, levels_of, numbers_of, part_of
from downslope.data.encodings import MISSING, CategoryFeature, NumberFeature
from downslope.data.parallel import in_parallel
from downslope.types import Codes, FloatArray

Key: TypeAlias = tuple[str, str]
"""A column and its part."""

Decoded: TypeAlias = Mapping[Key, Numbers | Levels]
"""Columns as NumPy arrays, by column and part."""

Rows: TypeAlias = NDArray[np.intp] | None
"""Indices of the rows meant, rising; None for all."""

CHUNK_CELLS = 2**20  # written at a time, so that a chunk of the result stays in the cache
CHUNK_ROWS = (1024, 16_384)  # at least, for each call of NumPy has its price, and at most

T = TypeVar("T")
R = TypeVar("R")


def decode(column: Any, key: Key, kind: str, first: int = 0) -> Numbers | Levels:
    """Return a column, or a part of it, as NumPy arrays; raises ColumnError on an infinity.

    first: rows of the table before those of this column, where it holds but some.
    """
    name, part = key
    if kind == "category":
        return levels_of(column)
    if part in CYCLES:
        return cycle_of(column, part)
    return part_of(column, part) if part else numbers_of(column, name, first)


def source_key(feature: NumberFeature) -> Key:
    """Return what a number feature is computed from; an indicator of the missing needs any part."""
    part = feature.part
    if part == MISSING:
        part = {"date": "year", "time": "minute"}.get(feature.kind, "")
    return feature.column, part


def encode_numbers(
    features: Sequence[NumberFeature], decoded: Decoded, rows: Rows, count: int, dtype: np.dtype[Any]
) -> FloatArray:
    """Return the number features of some rows, shape (n, p), C-contiguous.

    count: rows in the decoded columns.
    """
    n = count if rows is None else rows.shape[0]
    chunk = _chunk(len(features))
    result: FloatArray = np.empty((n, len(features)), dtype)
    pairs = [(feature, cast("Numbers", decoded[source_key(feature)])) for feature in features]

    def write(start: int) -> None:
        stop = min(start + chunk, n)
        chosen = slice(start, stop) if rows is None else rows[start:stop]
        buffer = np.empty(stop - start)
        for j, (feature, numbers) in enumerate(pairs):
            _write_number(feature, numbers, chosen, buffer)
            result[start:stop, j] = buffer

    in_parallel(write, range(0, n, chunk))
    return result


def _chunk(columns: int) -> int:
    least, most = CHUNK_ROWS
    return min(max(CHUNK_CELLS // max(columns, 1), least), most)


def _write_number(
    feature: NumberFeature, numbers: Numbers, chosen: slice | NDArray[np.intp], out: NDArray[np.float64]
) -> None:
    absent = None if numbers.missing is None else numbers.missing[chosen]
    if feature.part == MISSING:
        out[:] = 0.0 if absent is None else absent
    else:
        out[:] = numbers.values[chosen]
        if absent is not None:
            out[absent] = feature.fill
    if feature.center != 0 or feature.scale != 1:
        out -= feature.center
        out /= feature.scale


def encode_codes(features: Sequence[CategoryFeature], decoded: Decoded, rows: Rows, count: int) -> Codes:
    """Return the level indices of some rows, shape (n, q), C-contiguous, offset into the m levels."""
    n = count if rows is None else rows.shape[0]
    chunk = _chunk(len(features))
    result: Codes = np.empty((n, len(features)), np.int32)
    offsets = np.cumsum([0, *(feature.size for feature in features)])
    columns = [
        (levels.codes, _lookup(feature, levels.names) + np.int32(offset))
        for feature, offset in zip(features, offsets[:-1], strict=True)
        for levels in [cast("Levels", decoded[feature.column, feature.part])]
    ]

    def write(start: int) -> None:
        stop = min(start + chunk, n)
        chosen = slice(start, stop) if rows is None else rows[start:stop]
        for c, (codes, lookup) in enumerate(columns):
            result[start:stop, c] = lookup[codes[chosen]]

    in_parallel(write, range(0, n, chunk))
    return result


def _lookup(feature: CategoryFeature, names: Any) -> NDArray[np.int32]:
    """Return the level index of each name, and at the end, where code -1 points, that of missing."""
    pyarrow = arrow()
    known = pyarrow.array(feature.levels, names.type)
    places = compute().index_in(names, value_set=known).fill_null(feature.size - 1).to_numpy()
    missing = len(feature.levels) if feature.missing else feature.size - 1
    return np.append(places, missing).astype(np.int32)
