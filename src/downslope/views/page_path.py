"""The path of a network's weights, from its kept moments: how far from start and end, and in the plane it moved most.

The plane is that of the two largest principal components of the moments about the last (Li et al., 2018, section 7),
found from the inner products of the moments alone, which are as many as the moments squared, however large the network.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from downslope.records.trajectory import Trajectory
from downslope.types import JsonValue
from downslope.views.page_parts import Numbers, of_array

STATISTICS = "statistics."
"""How the names begin of what batch normalisation has seen, which is no weight."""
PATH = ("update", "x", "y", "from_start", "from_end")
"""The columns of the array ``path``."""


def path_of(trajectory: Trajectory) -> tuple[JsonValue, Numbers]:
    """Return what share of its movement the plane holds, and the moments (m, 5) by the columns of ``PATH``."""
    products = _products(trajectory)
    values, vectors = np.linalg.eigh(products)
    most = values[::-1][:2].clip(0.0)
    places: NDArray[np.float64] = vectors[:, ::-1][:, :2] * np.sqrt(most)
    lengths = np.diag(products)
    from_end = np.sqrt(lengths.clip(0.0))
    from_start = np.sqrt((lengths + lengths[0] - 2.0 * products[0]).clip(0.0))
    rows = np.column_stack([np.array(trajectory.updates, np.float64), places, from_start, from_end])
    whole = float(lengths.sum())
    explained = float(most.sum() / whole) if whole > 0 else None
    return {"moments": len(trajectory.updates), "explained": explained}, of_array(rows)


def _products(trajectory: Trajectory) -> NDArray[np.float64]:
    """Return the inner products (m, m) of the moments, as movements from the last; only weights are counted."""
    count = len(trajectory.updates)
    products = np.zeros((count, count))
    for name, each in trajectory.arrays.items():
        if not name.startswith(STATISTICS):
            moved = np.asarray(each, np.float64).reshape(count, -1)
            moved = moved - moved[-1]
            products += moved @ moved.T
    return products
