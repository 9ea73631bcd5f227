"""The examples of a network as they are given to a training, on the host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from downslope.types import Codes, Vector


@dataclass(frozen=True)
class NetworkInputs:
    """Examples of a network, on the host.

    numbers: (n, p) model features, or (n, height, width, channels) pixels. codes: (n, q) int32, or None. target: (n,).
    weights: (n,), or None. shape: of one example, levels counted as features. center, scale: of pixels, by channel.
    """

    numbers: NDArray[Any]
    codes: Codes | None
    target: Vector
    weights: Vector | None
    shape: tuple[int, ...]
    center: Vector | float = 0.0
    scale: Vector | float = 1.0
