"""One-hot columns in a dense array, brought back to the codes that they stand for.

A table that was one-hot encoded and standardised before it came here has columns of two values each, most of
a row at the lower one. Reading them costs forty times what their codes cost, and their second moments more.
A column is taken for a dummy when every row holds one of two values; nothing is assumed and nothing is lost:
``x = low + (high - low) [active]`` is folded into the weights like any other scaling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.engines.compiling import inlined, kernel
from downslope.engines.linear import in_parts
from downslope.types import Codes, FloatArray, Vector

LOOK = 2048
"""Rows looked at to guess which columns are dummies, spread over the whole array."""
WORTH = 16
"""Dummies below which reading the array as it is costs no more."""
MOST_ACTIVE = 24
"""Dummies active in one row beyond which codes no longer save anything."""
STRIDE = 8


@dataclass(frozen=True)
class Dummies:
    """A dense array taken apart.

    numbers: (n, p) the other columns, C-contiguous. codes: (n, q) int32 indices into ``columns``, padded with
    ``len(columns)``. number_columns, columns: where they stood in the array. low, high: (m,) the two values
    of each dummy.
    """

    numbers: FloatArray
    codes: Codes
    number_columns: NDArray[np.intp]
    columns: NDArray[np.intp]
    low: Vector
    high: Vector


@kernel
def _list_active(
    row: FloatArray, index: Codes, low: FloatArray, high: FloatArray, first: int, last: int, codes: Codes, i: int,
    active: int,
) -> tuple[int, int]:  # fmt: skip
    """List the active dummies among the columns first .. last of row i, after the ``active`` before them.

    Returns (active, -1), or as second a column that held a third value, or -2 where ``codes`` is full.
    """
    for j in range(first, last):
        value = row[j]
        if index[j] >= 0 and value != low[j]:
            if np.isnan(high[j]):
                high[j] = value
            if value != high[j]:
                return active, index[j]
            if active == codes.shape[1]:
                return active, -2
            codes[i, active] = index[j]
            active += 1
    return active, -1


@inlined
def _away_from(array: FloatArray, i: int, low: FloatArray, counted: FloatArray, first: int) -> float:
    """Return how far the next STRIDE columns of row i are from their lower values, in vector code.

    The compiler knows the number of columns; with a number it has to look up, the loop takes three times as long.
    """
    away: Any = array.dtype.type(0)
    for k in range(STRIDE):
        away += abs(array[i, first + k] - low[first + k]) * counted[first + k]
    return away


@kernel
def _split(
    array: FloatArray, index: Codes, counted: FloatArray, low: FloatArray, high: FloatArray, others: NDArray[np.intp],
    start: int, stop: int, numbers: FloatArray, codes: Codes, counts: NDArray[np.int64],
) -> int:  # fmt: skip
    """Copy the other columns and list the active dummies of rows start .. stop; return a column that is none.

    index: (d,) the number of each dummy, -1 for another column. counted: (d,) 1 for a dummy, else 0. low, high:
    (d,) the two values, high NaN where unknown and filled in when first met. counts: (1,) the most active in
    one row. Returns -1 where every dummy held true, -2 where a row has more active ones than codes has columns.
    """
    width = array.shape[1]
    whole = width // STRIDE * STRIDE
    pad = (index >= 0).sum()
    most = 0
    for i in range(start, stop):
        row = array[i]
        for j in range(others.shape[0]):
            numbers[i, j] = row[others[j]]
        active = 0
        for first in range(0, whole, STRIDE):
            if _away_from(array, i, low, counted, first) != 0:
                active, failed = _list_active(row, index, low, high, first, first + STRIDE, codes, i, active)
                if failed != -1:
                    return failed
        active, failed = _list_active(row, index, low, high, whole, width, codes, i, active)
        if failed != -1:
            return failed
        for j in range(active, codes.shape[1]):
            codes[i, j] = pad
        most = max(most, active)
    counts[0] = most
    return -1


def find_dummies(array: FloatArray) -> Dummies | None:
    """Return a dense C-contiguous array (n, d) taken apart, or None where it holds too few dummies.

    The guess from a look at some rows is checked on every row; a column that fails goes to the numbers.
    """
    guessed = _guess(array)
    while guessed is not None:
        columns, low, high = guessed
        failed = _try(array, columns, low, high)
        if isinstance(failed, Dummies):
            return failed
        if failed < 0 or columns.size - 1 < WORTH:
            return None
        kept = np.arange(columns.size) != failed
        guessed = columns[kept], low[kept], high[kept]
    return None


def _guess(array: FloatArray) -> tuple[NDArray[np.intp], FloatArray, FloatArray] | None:
    rows, width = array.shape
    some = array[:: max(rows // LOOK, 1)]
    least: FloatArray = some.min(axis=0)
    most: FloatArray = some.max(axis=0)
    two = ((some == least) | (some == most)).all(axis=0)
    if int(two.sum()) < max(WORTH, width // 2):
        return None
    lower = (some == least).sum(axis=0) * 2 >= some.shape[0]
    low, high = np.where(lower, least, most), np.where(lower, most, least)
    high = np.where(least == most, np.nan, high).astype(array.dtype)
    columns = np.flatnonzero(two)
    return columns, low[columns].astype(array.dtype), high[columns]


def _try(array: FloatArray, columns: NDArray[np.intp], low: FloatArray, high: FloatArray) -> Dummies | int:
    rows, width = array.shape
    others = np.setdiff1d(np.arange(width, dtype=np.intp), columns)
    numbers = np.empty((rows, others.size), array.dtype)
    some = array[:: max(rows // LOOK, 1), columns]
    seen = int((some != low).sum(axis=1).max(initial=0))
    codes = np.empty((rows, min(seen + 1, MOST_ACTIVE)), np.int32)

    index = np.full(width, -1, np.int32)
    index[columns] = np.arange(columns.size)
    counted = (index >= 0).astype(array.dtype)
    whole_low, whole_high = np.zeros(width, array.dtype), np.zeros(width, array.dtype)
    whole_low[columns], whole_high[columns] = low, high

    def part(start: int, stop: int) -> tuple[int, int, FloatArray]:
        own, counts = whole_high.copy(), np.zeros(1, np.int64)
        result = _split(array, index, counted, whole_low, own, others, start, stop, numbers, codes, counts)
        return int(result), int(counts[0]), own[columns]

    parts = in_parts(rows, rows * width, part)
    for result, _, _ in parts:
        if result != -1:
            return result  # a row with more active ones than any that was looked at is rare: read the array as it is
    met = high.copy()
    for _, _, own in parts:
        fresh = np.isnan(met)
        met[fresh] = own[fresh]
        clash = np.flatnonzero(~np.isnan(own) & (own != met))
        if clash.size:
            return int(clash[0])
    met = np.where(np.isnan(met), low, met)
    active = max(count for _, count, _ in parts)
    if active * 3 > columns.size:
        return -2
    kept = codes if active == codes.shape[1] else np.ascontiguousarray(codes[:, :active])
    return Dummies(numbers, kept, others, columns, low.astype(np.float64), met.astype(np.float64))
