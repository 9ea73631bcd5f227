"""The path of a training: its weights at moments spread evenly over the updates, however many there turn out to be.

A moment is kept at every multiple of a stride, and where there are too many, every other one goes and the stride
doubles. So at any update there are at least half as many as asked for, but for the first stretch of a run, and which
ones depends on the number of updates alone: a run that was taken up again keeps the same.
"""

# The types of JAX and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from downslope.engines.network.loop import Tree
from downslope.models.network.layers import Statistics
from downslope.models.network.model import arrays_of
from downslope.records import Spec
from downslope.records.trajectory import Trajectory
from downslope.types import JsonValue

MOMENTS = 40
"""Moments that are kept where none are named."""
MOST_BYTES = 1 << 24
"""16 MB: a path that would take more is kept only when asked for."""
EARLY = 8
"""The stride at the start is that of a run this many times shorter than planned, since a run may end early."""
RACED = 8
"""Most moments while rates race, since every rate has weights of its own."""
NAME = "path"
"""What the names of its arrays in a checkpoint begin with."""


def moments_kept(spec: Spec, weights: Tree) -> int:
    """Return how many moments a training keeps: as many as asked, or MOMENTS where those fit into MOST_BYTES."""
    if not isinstance(spec.keep_path, str):
        return int(spec.keep_path)
    size = sum(int(leaf.size) * leaf.dtype.itemsize for leaf in jax.tree.leaves(weights))
    return MOMENTS if MOMENTS * size <= MOST_BYTES else 0


class KeptPath:
    """The moments kept so far: update numbers, and own copies of the leaves of (weights, statistics).

    While rates race, the leaves have the lanes as their first axis.
    """

    def __init__(self, most: int = 0, planned: int = 1, race: int = 0) -> None:
        """Keep at most so many moments of a training of ``planned`` updates, of which ``race`` are a race."""
        self.most = most
        self.stride = max(1, -(-planned // (EARLY * max(most, 1))), -(-race // RACED))
        self.updates: list[int] = []
        self._moments: list[list[NDArray[Any]]] = []

    def next_mark(self, updates: int, stop: int) -> int:
        """Return the next update that is kept, or ``stop`` where that comes first."""
        return min((updates // self.stride + 1) * self.stride, stop) if self.most else stop

    def is_mark(self, updates: int) -> bool:
        """Say whether a moment is to be kept after so many updates, and is not yet."""
        return bool(self.most) and updates % self.stride == 0 and (not self.updates or updates > self.updates[-1])

    def keep(self, updates: int, tree: Tree) -> None:
        """Keep a moment: the (weights, statistics) after so many updates."""
        self._add(updates, tree)
        # One place is left for the end of the run.
        while len(self.updates) > max(self.most - 1, 1):
            self.stride *= 2
            kept = [index for index, update in enumerate(self.updates) if update % self.stride == 0]
            self.updates = [self.updates[index] for index in kept]
            self._moments = [self._moments[index] for index in kept]

    def end(self, updates: int, tree: Tree) -> None:
        """Keep the end of the run, wherever it comes."""
        if self.most > 1 and updates > self.updates[-1]:
            self._add(updates, tree)

    def choose(self, lane: int) -> None:
        """Go on with one of several lanes."""
        self._moments = [[leaf[lane].copy() for leaf in moment] for moment in self._moments]

    def start_only(self) -> None:
        """Keep the start alone, where the run ended before a lane was chosen."""
        if self.updates:
            self.updates, self._moments = self.updates[:1], self._moments[:1]
            self.choose(0)

    def trajectory(self, weights: Tree, statistics: Statistics) -> Trajectory | None:
        """Return the path under the names of arrays like those given; None where none was kept."""
        if not self.updates:
            return None
        tree = jax.tree.structure((weights, statistics))
        return Trajectory(tuple(self.updates), arrays_of(*jax.tree.unflatten(tree, self._stacked())))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the moments as arrays of a checkpoint."""
        return {f"{NAME}.{index}": stacked for index, stacked in enumerate(self._stacked())}

    def to_values(self) -> JsonValue:
        """Return the rest as a value of a checkpoint."""
        return {"updates": self.updates, "stride": self.stride}

    def arrays_like(self, values: JsonValue, tree: Tree) -> dict[str, NDArray[Any]]:
        """Return arrays shaped as those of a checkpoint with these values. tree: a (weights, statistics)."""
        count = len(values["updates"])
        leaves = enumerate(jax.tree.leaves(tree)) if count else ()
        return {f"{NAME}.{index}": np.broadcast_to(leaf, (count, *leaf.shape)) for index, leaf in leaves}

    def restore(self, values: JsonValue, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take up what ``to_values`` and ``to_arrays`` gave."""
        self.stride, self.updates = int(values["stride"]), list(values["updates"])
        self._moments = [[array[index].copy() for array in arrays.values()] for index in range(len(self.updates))]

    def _add(self, updates: int, tree: Tree) -> None:
        self.updates.append(updates)
        self._moments.append([np.array(leaf) for leaf in jax.tree.leaves(tree)])

    def _stacked(self) -> list[NDArray[Any]]:
        return [np.stack(leaves) for leaves in zip(*self._moments, strict=True)]
