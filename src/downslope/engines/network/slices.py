"""Slices of a loss along a line or over a plane through some weights, with the run's own path at its true loss.

Directions: random ones, each filter brought to the length of the weights' own (Li et al. 2018, "Visualizing the
loss landscape of neural nets", section 4); those of the largest curvature; or those in which the path of the run
itself went furthest (the same, section 7). A path leaves any plane, so each of its points carries its true loss
beside that of the slice, and the slice tells how much of the path it holds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.engines.network.anatomy import filters_of
from downslope.engines.network.curvature import extremes
from downslope.engines.network.landscape import Landscape
from downslope.errors import OptionError, nearest
from downslope.machine import threads
from downslope.records.slices import DIRECTIONS, LineSlice, PathPoint, PlaneSlice
from downslope.types import FloatArray, Indices, Matrix, Vector

POINTS = 51
"""Points along each axis, where no number is given."""
MARGIN = 0.2
"""How far a slice goes beyond the path, as a share of it."""
NARROW = 1e-6
"""A path whose second extent is below this share of its first runs along a line."""
POINTS_A_CALL = 256

Path = Sequence[tuple[int, FloatArray]]
"""(update, weights (P,)) for some moments of a run."""


def line_slice(
    landscape: Landscape, weights: FloatArray, directions: str = "random", *, points: int = POINTS,
    extent: float | None = None, path: Path = (), path_losses: Sequence[float] | None = None,
    sample: Indices | None = None, seed: int = 0,
) -> LineSlice:  # fmt: skip
    """Return the loss at ``points`` places along one direction through ``weights`` (P,).

    directions: see DIRECTIONS. extent: how far to go either way, in lengths of the direction; None is 1, or all of
    the path. path: moments of the run to place on the slice. path_losses: their true losses over the same rows, where
    those are not the landscape's own at their weights. sample: rows to use, None for all. Raises OptionError.
    """
    ways, bends = slice_directions(landscape, weights, directions, 1, path, sample, seed)
    places, off, share = placed(path, weights, ways)
    (xs,) = _axes(places, directions, (points,), extent)
    losses = losses_at(landscape, weights, ways, np.vstack([xs[:, None], places]), sample)
    return LineSlice(
        directions, tuple(xs.tolist()), tuple(losses[: xs.size].tolist()), float(np.linalg.norm(ways[0])),
        landscape.value(weights, sample), landscape.rows if sample is None else sample.size, landscape.rows, share,
        bends[0] if bends else math.nan,
        _path(path, _truths(landscape, path, path_losses, sample), places, losses[xs.size :], off),
    )  # fmt: skip


def plane_slice(
    landscape: Landscape, weights: FloatArray, directions: str = "random", *,
    points: tuple[int, int] = (POINTS, POINTS), extent: float | None = None, path: Path = (),
    path_losses: Sequence[float] | None = None, sample: Indices | None = None, seed: int = 0,
) -> PlaneSlice:  # fmt: skip
    """Return the loss at ``points`` (along x, along y) of the plane of two directions; the rest as ``line_slice``."""
    ways, bends = slice_directions(landscape, weights, directions, 2, path, sample, seed)
    places, off, share = placed(path, weights, ways)
    xs, ys = _axes(places, directions, points, extent)
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    losses = losses_at(landscape, weights, ways, np.vstack([grid, places]), sample)
    plane = losses[: len(grid)].reshape(ys.size, xs.size)
    lengths = np.linalg.norm(ways.astype(np.float64), axis=1)
    return PlaneSlice(
        directions, tuple(xs.tolist()), tuple(ys.tolist()), tuple(tuple(row.tolist()) for row in plane),
        tuple(lengths.tolist()), float(ways[0].astype(np.float64) @ ways[1] / max(lengths.prod(), 1e-300)),
        landscape.value(weights, sample), landscape.rows if sample is None else sample.size, landscape.rows, share,
        bends, _path(path, _truths(landscape, path, path_losses, sample), places, losses[len(grid) :], off),
    )  # fmt: skip


def losses_at(
    landscape: Landscape, center: FloatArray, directions: FloatArray, places: Matrix, rows: Indices | None = None
) -> Vector:
    """Return the mean loss (c,) at ``center + places @ directions``, on all cores."""
    count = places.shape[0]
    at_once = max(1, min(POINTS_A_CALL, -(-count // threads())))
    parts = -(-count // at_once)
    filled = np.resize(places, (parts * at_once, places.shape[1]))  # repeats the first, so that all parts are alike

    def part(index: int) -> Vector:
        return landscape.values(center, directions, filled[index * at_once : (index + 1) * at_once], rows)

    first = part(0)  # alone, so that the program is compiled once
    with ThreadPoolExecutor(threads()) as pool:
        return np.concatenate([first, *pool.map(part, range(1, parts))])[:count]


def random_directions(landscape: Landscape, weights: FloatArray, count: int, seed: int) -> FloatArray:
    """Return random directions (count, P), normalised by filter.

    A filter is the weights into one unit, a column of a matrix: it gets the length of the weights' own column. Biases
    and scales stay as they are. Weights without a matrix are one filter, of length 1 where they are zero.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((count, landscape.size))
    arrays = filters_of(landscape.like)
    if all(len(shape) < 2 for _, shape in arrays):
        length = float(np.linalg.norm(weights)) or 1.0
        return (drawn * length / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(landscape.dtype)
    for place, shape in arrays:
        if len(shape) < 2:
            drawn[:, place] = 0.0
            continue
        own = np.linalg.norm(weights[place].reshape(-1, shape[-1]).astype(np.float64), axis=0)
        some = drawn[:, place].reshape(count, -1, shape[-1])
        drawn[:, place] = (some * (own / np.linalg.norm(some, axis=1, keepdims=True))).reshape(count, -1)
    return drawn.astype(landscape.dtype)


def path_directions(path: Path, weights: FloatArray, count: int, seed: int) -> FloatArray:
    """Return directions (count, P) of length 1 that hold most of the path: principal axes of its offsets.

    Offsets are taken from ``weights``, not from their mean, so that the slice passes through the weights.
    """
    offsets = _offsets(path, weights)
    values, vectors = np.linalg.eigh(offsets @ offsets.T)
    kept = [index for index in (-1, -2)[:count] if index >= -values.size and values[index] > NARROW**2 * values[-1]]
    found = [vectors[:, index] @ offsets for index in kept]
    rng = np.random.default_rng(seed)
    found += [rng.standard_normal(weights.size) for _ in range(count - len(found))]
    basis, _ = np.linalg.qr(np.stack(found).T)
    signs = np.sign(np.einsum("ij,ji->i", np.stack(found), basis))
    return (signs[:, None] * basis.T).astype(weights.dtype)


def placed(path: Path, weights: FloatArray, directions: FloatArray) -> tuple[Matrix, Vector, float]:
    """Return where the path falls on the slice, (t, m), how far off it lies (t,), and how much of it the slice holds.

    The last is the share of its squared distances from ``weights``; nan without a path that goes anywhere.
    """
    if not path:
        return np.empty((0, directions.shape[0])), np.empty(0), math.nan
    offsets, ways = _offsets(path, weights), directions.astype(np.float64)
    places: Matrix = np.linalg.lstsq(ways @ ways.T, ways @ offsets.T, rcond=None)[0].T.astype(np.float64)
    off: Vector = np.sqrt(((offsets - places @ ways) ** 2).sum(axis=1))
    whole = float((offsets**2).sum())
    return places, off, 1.0 - float((off**2).sum()) / whole if whole > 0 else math.nan


def _offsets(path: Path, weights: FloatArray) -> Matrix:
    return np.stack([each.astype(np.float64) - weights for _, each in path])


def slice_directions(
    landscape: Landscape,
    weights: FloatArray,
    directions: str,
    count: int,
    path: Path = (),
    rows: Indices | None = None,
    seed: int = 0,
) -> tuple[FloatArray, tuple[float, ...]]:
    """Return directions (count, P) by name, and their curvatures where those were measured."""
    if directions == "random":
        return random_directions(landscape, weights, count, seed), ()
    if directions == "path":
        if len(path) < 2:
            message = 'a slice through the path needs at least two of its points; choose "random" or "hessian"'
            raise OptionError(message)
        return path_directions(path, weights, count, seed), ()
    if directions != "hessian":
        message = f'a slice has no directions called "{directions}"{nearest(directions, DIRECTIONS)}'
        raise OptionError(message)
    if landscape.size < count:
        message = f"a plane needs two weights, but there is {landscape.size}; take a line"
        raise OptionError(message)
    found = extremes(landscape, weights, top=count, rows=rows, seed=seed)
    loss, length = abs(landscape.value(weights, rows)), float(np.linalg.norm(weights)) or 1.0
    # One unit of x is where the parabola would have risen by the loss itself, within reason.
    ways = np.clip(np.sqrt(2 * loss / np.maximum(np.abs(found.values), 1e-30)), 1e-3 * length, length)
    return (ways[:, None] * found.vectors).astype(landscape.dtype), tuple(float(each) for each in found.values)


def _axes(places: Matrix, directions: str, points: tuple[int, ...], extent: float | None) -> list[NDArray[Any]]:
    """Return the places along each axis: ``extent`` either way, or for a slice of the path all of it."""
    if directions != "path" or extent is not None:
        far = 1.0 if extent is None else extent
        return [np.linspace(-far, far, count) for count in points]
    axes: list[NDArray[Any]] = []
    widest = float(np.ptp(np.append(places, 0.0)))
    for axis, count in enumerate(points):
        low, high = min(0.0, float(places[:, axis].min())), max(0.0, float(places[:, axis].max()))
        more = max(MARGIN * (high - low), 0.05 * widest, 1e-12)
        axes.append(np.linspace(low - more, high + more, count))
    return axes


def _truths(
    landscape: Landscape, path: Path, given: Sequence[float] | None, rows: Indices | None
) -> Sequence[float]:  # fmt: skip
    if given is not None:
        return given
    return [landscape.value(each.astype(landscape.dtype, copy=False), rows) for _, each in path]


def _path(
    path: Path, truths: Sequence[float], places: Matrix, on_slice: Vector, off: Vector
) -> tuple[PathPoint, ...]:  # fmt: skip
    """Return each moment of the path with its true loss beside that of the slice."""
    return tuple(
        PathPoint(
            update, float(place[0]), float(place[1]) if place.size > 1 else 0.0, float(truth), float(value),
            float(away),
        )
        for (update, _), truth, place, value, away in zip(path, truths, places, on_slice, off, strict=True)
    )  # fmt: skip
