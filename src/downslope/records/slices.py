"""Slices of a loss: its values along a line and over a plane, with the run's own path at its true loss."""

from __future__ import annotations

from dataclasses import dataclass


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


@dataclass(frozen=True)
class LineSlice:
    """The loss along one direction through the weights.

    directions: random, hessian, path, or gradient. xs (points,), losses (points,): x = 0 is where the weights are.
    length: of one unit of x, in weights. loss: at the weights. explained: share of the path's squared distances from
    the weights that lies on the line, nan without a path. curvature: of the direction where it is an eigenvector.
    rows of all_rows: examples that the losses are over.
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


@dataclass(frozen=True)
class PlaneSlice:
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
