"""One-hot columns in a dense array, brought back to the codes that they stand for.

A table that was one-hot encoded and standardised before it came here has columns of two values each, most of
a row at the lower one. Reading them costs forty times what their codes cost, and their second moments more.
A column is taken for a dummy when every row holds one of two values; nothing is assumed and nothing is lost:
``x = low + (high - low) [active]`` is folded into the weights like any other scaling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.compiling import inlined, kernel
from downslope.engines.linear import in_parts
from downslope.types import Codes, FloatArray, Vector

LOOK = 2048
"""Rows looked at to guess which columns are dummies, spread over the whole array."""
WORTH = 16
"""Dummies below which reading the array as it is costs no more."""
MOST_ACTIVE = 24
"""Dummies active in one row beyond which codes no longer save anything."""
TOO_MANY = -2
NONE_SET, LOWEST, TOP_BYTE = np.uint64(0), np.uint64(1), np.uint64(56)
PLACES = np.uint64(0x0001020304050607)
"""Times 256^k, its top byte is k."""

Bits: TypeAlias = "NDArray[np.signedinteger[Any]]"


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


@inlined
def _flag_row(row: Bits, low_bits: Bits, mask: Bits, flags: NDArray[np.uint8]) -> None:
    """Set a flag of one byte for each dummy that is not at its lower value, in vector code."""
    for j in range(row.shape[0]):
        flags[j] = ((row[j] ^ low_bits[j]) & mask[j]) != 0


@inlined
def _list_flags(eights: NDArray[np.uint64], hit: NDArray[np.int64], found: NDArray[np.int64]) -> int:
    """List the set flags in ``found`` and return how many; eight are looked at together.

    Which of the words hold any is listed without a branch that the processor would have to guess. The lowest
    flag of a word times PLACES has in its top byte the number of the byte that the flag stood in.
    """
    hits = 0
    for word in range(eights.shape[0]):
        hit[hits] = word
        hits += eights[word] != NONE_SET
    count = 0
    for each in range(hits):
        left = eights[hit[each]]
        while left != NONE_SET:
            rest = left & (left - LOWEST)
            found[count] = 8 * hit[each] + np.int64(((left ^ rest) * PLACES) >> TOP_BYTE)
            count += 1
            left = rest
    return count


@kernel
def _split(
    array: FloatArray, bits: Bits, low_bits: Bits, mask: Bits, index: Codes, low: FloatArray, high: FloatArray,
    others: NDArray[np.intp], start: int, stop: int, numbers: FloatArray, codes: Codes, counts: NDArray[np.int64],
) -> int:  # fmt: skip
    """Copy the other columns and list the active dummies of rows start .. stop; return a column that is none.

    bits, low_bits: the array and ``low`` as whole numbers, which vector code compares faster. mask: (d,) all ones
    for a dummy, else 0. index: (d,) the number of each dummy, -1 for another column. low, high: (d,) the two
    values, high NaN where unknown and filled in when first met. counts: (1,) the most active in one row.
    Returns -1 where every dummy held true, TOO_MANY where a row has more active ones than codes has columns.
    """
    flags = np.zeros((array.shape[1] + 7) // 8 * 8, np.uint8)
    eights = flags.view(np.uint64)
    hit = np.empty(eights.shape[0] + 1, np.int64)
    found = np.empty(flags.shape[0], np.int64)
    codes[start:stop] = (index >= 0).sum()
    most = 0
    for i in range(start, stop):
        _flag_row(bits[i], low_bits, mask, flags)
        for j in range(others.shape[0]):
            numbers[i, j] = array[i, others[j]]
        active = 0
        for each in range(_list_flags(eights, hit, found)):
            j = found[each]
            value = array[i, j]
            if value == low[j]:  # minus zero
                continue
            if np.isnan(high[j]):
                high[j] = value
            if value != high[j]:
                return int(index[j])
            if active == codes.shape[1]:
                return TOO_MANY
            codes[i, active] = index[j]
            active += 1
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
        some = array[:: max(array.shape[0] // LOOK, 1), columns]
        active = int((some != low).sum(axis=1).max(initial=1))
        failed = _try(array, columns, low, high, min(active, MOST_ACTIVE))
        if failed == TOO_MANY and active < MOST_ACTIVE:
            failed = _try(array, columns, low, high, MOST_ACTIVE)
        if isinstance(failed, Dummies):
            return failed
        if failed == TOO_MANY or columns.size - 1 < WORTH:
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


def _try(array: FloatArray, columns: NDArray[np.intp], low: FloatArray, high: FloatArray, most: int) -> Dummies | int:
    """Return the array taken apart, or a column that is no dummy, or TOO_MANY with over ``most`` active in a row."""
    rows, width = array.shape
    others = np.setdiff1d(np.arange(width, dtype=np.intp), columns)
    numbers = np.empty((rows, others.size), array.dtype)
    codes = np.empty((rows, most), np.int32)

    index = np.full(width, -1, np.int32)
    index[columns] = np.arange(columns.size)
    whole = np.dtype(f"i{array.dtype.itemsize}")
    mask = np.where(index >= 0, -1, 0).astype(whole)
    whole_low, whole_high = np.zeros(width, array.dtype), np.zeros(width, array.dtype)
    whole_low[columns], whole_high[columns] = low, high
    bits, low_bits = array.view(whole), whole_low.view(whole)

    def part(start: int, stop: int) -> tuple[int, int, FloatArray]:
        own, counts = whole_high.copy(), np.zeros(1, np.int64)
        result = _split(array, bits, low_bits, mask, index, whole_low, own, others, start, stop, numbers, codes, counts)
        return int(result), int(counts[0]), own[columns]

    parts = in_parts(rows, rows * width, part)
    for result, _, _ in parts:
        if result != -1:
            return result
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
        return TOO_MANY
    kept = codes if active == codes.shape[1] else np.ascontiguousarray(codes[:, :active])
    return Dummies(numbers, kept, others, columns, low.astype(np.float64), met.astype(np.float64))
