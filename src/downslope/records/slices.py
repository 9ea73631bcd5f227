"""Slices of a loss: its values along a line and over a plane, with the run's own path at its true loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

from downslope.records.showing import Shown

DIRECTIONS = ("random", "hessian", "path")
"""Where the directions of a slice come from."""


@dataclass(frozen=True)
class PathPoint:
    """Weights that the run passed through.

    x, y: where they fall on the slice, in its units; y is 0 on a line. loss: the TRUE loss of those weights.
    slice_loss: the loss of the slice at (x, y), which differs where the path leaves it. off: distance of the weights
    from the slice, as a length in weights.
    """

    update: int
    x: float
    y: float
    loss: float
    slice_loss: float
    off: float

    @property
    def apart(self) -> float:
        """How far the loss of the slice is from the true one, inf where one of them is no number."""
        apart = abs(self.loss - self.slice_loss)
        return math.inf if math.isnan(apart) else apart


@dataclass(frozen=True)
class LineSlice(Shown):
    """The loss along one direction through the weights.

    directions: random, hessian, path, or gradient. xs (points,), losses (points,): x = 0 is where the weights are.
    length: of one unit of x, in weights. loss: at the weights. explained: share of the path's squared distances from
    the weights that lies on the line, nan without a path. curvature: of the direction where it is an eigenvector.
    rows of all_rows: examples that the losses are over.

    Of a run: its name; the name of its loss and the unit that all losses here are in; l2, the penalty that they
    include. own_statistics: the network normalises batches, and each point of the path has its true loss by the
    running statistics of its moment, while the slice holds those of the weights everywhere.
    """

    directions: str
    xs: tuple[float, ...]
    losses: tuple[float, ...]
    length: float
    loss: float
    rows: int
    all_rows: int
    explained: float = float("nan")
    curvature: float = float("nan")
    path: tuple[PathPoint, ...] = ()
    run: str = ""
    loss_name: str = ""
    unit: str = ""
    l2: float = 0.0
    own_statistics: bool = False

    @property
    def farthest(self) -> PathPoint | None:
        """The point of the path whose true loss is farthest from that of the slice; None without a path."""
        return max(self.path, key=lambda point: point.apart, default=None)


@dataclass(frozen=True)
class PlaneSlice(Shown):
    """The loss over the plane that two directions span through the weights.

    losses: one row for each of ys, one value for each of xs; (0, 0) is where the weights are. lengths: of one unit of
    x and of y, in weights. cosine: between the directions, 0 where they are at right angles. curvatures: of the
    directions where they are eigenvectors. The rest is as in ``LineSlice``.
    """

    directions: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    losses: tuple[tuple[float, ...], ...]
    lengths: tuple[float, ...]
    cosine: float
    loss: float
    rows: int
    all_rows: int
    explained: float = float("nan")
    curvatures: tuple[float, ...] = ()
    path: tuple[PathPoint, ...] = ()
    run: str = ""
    loss_name: str = ""
    unit: str = ""
    l2: float = 0.0
    own_statistics: bool = False

    @property
    def farthest(self) -> PathPoint | None:
        """The point of the path whose true loss is farthest from that of the slice; None without a path."""
        return max(self.path, key=lambda point: point.apart, default=None)
