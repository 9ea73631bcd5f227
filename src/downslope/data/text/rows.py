"""Loops over the entries of sparse rows: join those of one column, and see what each column has met."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from downslope.compiling import inlined, kernel
from downslope.data.text.buckets import COUNT, FIRST, LARGEST, MIXED
from downslope.types import Codes, FloatArray, Matrix, Offsets, Vector


@kernel
def merge_rows(
    starts: Offsets, columns: Codes, values: FloatArray, share: Vector, new_starts: Offsets, places: Codes,
    merged: FloatArray,
) -> None:  # fmt: skip
    """Write rows anew, values times the ``share`` (s,) of their column; a column met twice in a row adds up.

    columns, values: (entries,) of the rows. Entries of column -1 are left out.
    """
    last = np.full(share.shape[0], -1, np.int32)
    filled = 0
    base = starts[0]
    for row in range(starts.shape[0] - 1):
        first = filled
        for e in range(starts[row] - base, starts[row + 1] - base):
            column = columns[e]
            if column < 0:
                continue
            value = values[e] * share[column]
            if last[column] >= first:
                merged[last[column]] += value
                continue
            places[filled], merged[filled] = column, value
            last[column] = filled
            filled += 1
        new_starts[row + 1] = filled


@inlined
def note(told: Matrix, column: int, id: int, size: float) -> None:
    """Note of a column one more entry."""
    told[column, COUNT] += 1
    if told[column, FIRST] != id:
        told[column, MIXED] = 1
    if size > told[column, LARGEST]:
        told[column, LARGEST] = size


@kernel
def number_entries(
    starts: Offsets, ids: Codes, values: FloatArray, train: NDArray[np.bool_], mask: int, table: Codes, buckets: Codes,
    told: Matrix, size: int, fresh: Codes, columns: Codes,
) -> int:  # fmt: skip
    """Number what training rows meet anew, note what is told of all that they meet, and return how many there are now.

    starts, ids, values: rows. mask: the bits of an id that are its bucket. table: (all buckets,) the column of each, -1
    where it has none. buckets, told: (columns,), (columns, TOLD), of which ``size`` are filled. fresh: filled with the
    entry that was the first of each new column. columns: (entries,) filled with the column of each entry, -1 where it
    has none. What is told of a column lies together, since to look for it in several places took three times as long.
    """
    before, base = size, starts[0]
    for row in range(starts.shape[0] - 1):
        first, last = starts[row] - base, starts[row + 1] - base
        for e in range(first, last):
            columns[e] = table[ids[e] & mask]
        if not train[row]:
            continue
        for e in range(first, last):
            bucket = ids[e] & mask
            if columns[e] < 0 and table[bucket] < 0:
                table[bucket] = size
                buckets[size], fresh[size - before] = bucket, e
                told[size, FIRST], told[size, COUNT] = ids[e], 0
                told[size, MIXED], told[size, LARGEST] = 0, 0
                size += 1
            if columns[e] < 0:
                columns[e] = table[bucket]
            note(told, columns[e], ids[e], abs(values[e]))
    return size


@kernel
def look_at_columns(
    columns: Codes, ids: Codes, values: FloatArray, first: Offsets, mixed: NDArray[np.bool_], largest: Vector
) -> None:
    """Note of each column its first entry, whether entries of several ids share it, and its largest size."""
    for e in range(columns.shape[0]):
        column = columns[e]
        if column < 0:
            continue
        if first[column] < 0:
            first[column] = e
        mixed[column] |= ids[first[column]] != ids[e]
        largest[column] = max(largest[column], abs(values[e]))


@kernel
def note_entries(
    buckets: Codes, ids: Codes, values: Vector, counts: Codes, firsts: Codes, mixed: NDArray[np.bool_], largest: Vector,
    fresh: Offsets,
) -> int:  # fmt: skip
    """Note of each bucket how often it was met, the id met first, whether others came, and the largest size.

    counts, firsts, mixed, largest: (buckets,) as they stood before these entries. fresh: filled with the entries that
    are the first of their bucket, as many as it holds; how many is returned.
    """
    found = 0
    for e in range(buckets.shape[0]):
        bucket = buckets[e]
        if counts[bucket] == 0:
            firsts[bucket] = ids[e]
            if found < fresh.shape[0]:
                fresh[found] = e
                found += 1
        elif firsts[bucket] != ids[e]:
            mixed[bucket] = True
        counts[bucket] += 1
        largest[bucket] = max(largest[bucket], abs(values[e]))
    return found
