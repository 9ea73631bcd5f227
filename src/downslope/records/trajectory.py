"""The path of a run: its weights at some moments, from which slices of its loss show where it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for annotations only, so that the nouns need no NumPy
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Moments of a training, in order.

    updates: how many had been taken at each, the start, 0, included. arrays: the weights and the running statistics
    of batch normalisation, under the names that the model gives them, each with the moments as its first axis.
    """

    updates: tuple[int, ...]
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)

    def moment(self, index: int) -> dict[str, NDArray[Any]]:
        """Return the arrays of one moment, as those of a model."""
        return {name: array[index] for name, array in self.arrays.items()}
