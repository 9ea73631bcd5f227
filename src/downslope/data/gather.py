"""The loop that gathers sparse rows, for many entries at once."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from downslope.compiling import kernel
from downslope.types import Codes, Indices, Offsets


@kernel
def take_rows(
    starts: Offsets, places: Codes, values: NDArray[Any], rows: Indices, new_starts: Offsets, new_places: Codes,
    new_values: NDArray[Any],
) -> None:  # fmt: skip
    """Write some rows one after the other, where ``new_starts`` says."""
    for i in range(rows.shape[0]):
        first, there = starts[rows[i]], new_starts[i]
        for e in range(new_starts[i + 1] - there):
            new_places[there + e] = places[first + e]
            new_values[there + e] = values[first + e]
