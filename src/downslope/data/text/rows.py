"""Loops over the entries of sparse rows: join those of one column, and see what each column has met."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from downslope.compiling import kernel
from downslope.types import Codes, FloatArray, Offsets, Vector


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
