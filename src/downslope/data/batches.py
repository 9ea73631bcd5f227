"""The order in which examples are read: a fresh shuffle every epoch, cut into batches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from downslope.types import Indices

_INT32_MOST = 2**31 - 1


def order(rows: int, seed: int, epoch: int) -> Indices:
    """Return the order of the examples in one epoch, a permutation of 0 .. rows - 1.

    It depends on the three arguments alone. int32 where the indices fit, else int64.
    """
    drawn = np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, epoch))))
    if rows <= _INT32_MOST:
        return drawn.permutation(np.arange(rows, dtype=np.int32))
    return drawn.permutation(np.arange(rows, dtype=np.int64))


def order_within(rows: int, seed: int, epoch: int, window: int) -> Indices:
    """Return the order of the rows of one window of an epoch, as ``order`` gives that of a whole epoch."""
    drawn = np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, epoch, window + 1))))
    return drawn.permutation(np.arange(rows, dtype=np.int32))


def batch_bounds(rows: int, size: int) -> NDArray[np.int64]:
    """Return where each batch starts, and at the end ``rows``, shape (batches + 1,); the last may be partial."""
    return np.append(np.arange(0, rows, size, dtype=np.int64), np.int64(rows))
