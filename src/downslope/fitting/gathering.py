"""The ends of many descents, gathered by the minimum that each has reached; and what a point of zero slope is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.models.surface import Surface
from downslope.records.surface import Basin, Stop
from downslope.types import Indices, Matrix, Vector

if TYPE_CHECKING:
    from downslope.engines.network.functions import Descended, Measure, Measured

NEAR = 0.02
"""A minimum is reached from within this share of the box."""
SAME = 1e-3
"""Ends within this share of the box, each way, are one minimum."""
LONGEST = max(len(each.value) for each in Stop)
"""Letters of the longest kind of point, for an array of kinds that may change."""
FLOOR = 30
"""Ends on level valley floors are one minimum within this many times ``SAME``."""
LEVEL = 1e-6
"""A curvature this small a share of the largest is none; so is a slope that across the box makes so little."""
PROBE = 1e-2
"""How far to look along a level direction, as a share of the box."""
TIP = 1e-8
"""A search has come to the tip of a corner where its step is shorter than this share of the box."""
SEARCHING = 60
"""Steps and halvings of that search."""
FEWEST = 64
"""Points at which values are measured at once, or four times as many, and so on: each number is a program."""
POLISHING = 30
"""Newton steps with which the ends of descents are brought to the bottom."""


@dataclass(frozen=True)
class Ground:
    """A function in a box. low, high: (d,) its corners. spread: highest less lowest value met at the starts."""

    measure: Measure
    low: Vector
    high: Vector
    spread: float

    @property
    def extent(self) -> Vector:
        """The sides of the box, (d,)."""
        return self.high - self.low

    def inside(self, points: Matrix) -> NDArray[np.bool_]:
        """Say which points lie in the box, or next to it."""
        edge = NEAR * self.extent
        return np.all((points >= self.low - edge) & (points <= self.high + edge), axis=1)


@dataclass(frozen=True)
class Gathered:
    """minima: lowest first. elsewhere: share of starts by where else they ended. reached: (n,) index, -1 for none."""

    minima: tuple[Basin, ...]
    elsewhere: Mapping[str, float]
    reached: Indices


def gather(ground: Ground, surface: Surface, descended: Descended, ended: Matrix) -> Gathered:
    """Gather descents by the minimum they have reached, and the rest by what they are.

    ended: (n, d) where they are judged: their ends, or for noisy ones where they would come to rest.
    """
    at_end = ground.measure(ended)
    alive = descended.alive & np.isfinite(at_end.values)
    bottoms, measured = _polished(ground, ended, at_end)
    still = np.abs(newton_step(measured, ground) / ground.extent).max(axis=1) < 0.1 * SAME
    still &= _across(ground, measured) <= SAME
    near = (np.abs(bottoms - ended) <= NEAR * ground.extent).all(axis=1)
    inside = ground.inside(ended) & ground.inside(bottoms)
    stops = np.array([each.value for each in stops_at(ground, bottoms, measured)], f"<U{LONGEST}")
    arrived = alive & inside & near & still
    low = arrived & np.isin(stops, [Stop.MINIMUM.value, Stop.FLAT_MINIMUM.value])
    values = np.array(measured.values)
    _onto_corners(ground, ended, alive & inside & ~low & ~arrived, (bottoms, values, low, stops))
    reached, centers = _clusters(ground, bottoms, values, low, stops == Stop.FLAT_MINIMUM.value)
    minima = tuple(
        _basin(ground, surface, bottoms[center], float(values[center]), Stop(str(stops[center])),
               descended.moved[reached == index], reached.size)
        for index, center in enumerate(centers)
    )  # fmt: skip
    names = np.select(
        [~alive, ~ground.inside(ended), arrived & (stops == Stop.SADDLE.value), _across(ground, at_end) <= LEVEL],
        ["diverged", "outside the box", "saddle", "plateau"], "still descending",
    )  # fmt: skip
    words, counts = np.unique(names[reached < 0], return_counts=True)
    elsewhere = {str(word): int(count) / reached.size for word, count in zip(words, counts, strict=True)}
    return Gathered(minima, elsewhere, reached)


def _across(ground: Ground, measured: Measured) -> Vector:
    """Return what the slope at each point makes across the box, as a share of the spread of values; (n,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        rise = np.abs(measured.gradients * ground.extent).max(axis=1)
        return np.where(rise == 0, 0.0, np.nan_to_num(rise / max(ground.spread, 1e-300), nan=np.inf))


def newton_step(measured: Measured, ground: Ground) -> Matrix:
    """Return ``|H|^-1 g`` (n, d) at each point, level directions left out.

    Infinite where there is no number, and where a direction is level and yet has a slope: no end is near there.
    """
    steps = np.full(measured.gradients.shape, np.inf)
    good = np.isfinite(measured.hessians).all(axis=(1, 2)) & np.isfinite(measured.gradients).all(axis=1)
    if not good.any():
        return steps
    bends, ways = np.linalg.eigh(measured.hessians[good])
    along = np.einsum("nij,ni->nj", ways, measured.gradients[good])
    bent = np.abs(bends) > LEVEL * np.abs(bends).max(axis=1, keepdims=True)
    with np.errstate(over="ignore", invalid="ignore"):
        length = np.where(bent, along / np.where(bent, np.abs(bends), 1.0), 0.0)
        step = np.einsum("nij,nj->ni", ways, length)
        sloping = (~bent & (np.abs(along) * ground.extent.max() > LEVEL * ground.spread)).any(axis=1)
    steps[good] = np.where(sloping[:, None], np.inf, step)
    return steps


def _polished(ground: Ground, points: Matrix, measured: Measured) -> tuple[Matrix, Measured]:
    """Return the points of zero slope next to the ends, by Newton's method; one that cannot move stays."""
    moving = np.array(points)
    for _ in range(POLISHING):
        step = newton_step(measured, ground)
        length = np.abs(step / ground.extent).max(axis=1)
        movable = np.isfinite(length) & (length > 1e-12)
        if not movable.any():
            break
        shorter = np.where(movable, np.minimum(1.0, NEAR / np.maximum(length, 1e-300)), 0.0)
        moving = moving - shorter[:, None] * np.where(movable[:, None], step, 0.0)
        measured = ground.measure(moving)
    return moving, measured


def stops_at(ground: Ground, points: Matrix, measured: Measured) -> list[Stop]:
    """Return what each point of zero slope is, by the curvatures there; along level directions a look decides."""
    bends, ways = np.linalg.eigh(np.nan_to_num(measured.hessians))
    scale = np.maximum(np.abs(bends).max(axis=1), 1e-300)
    falling = bends[:, 0] < -LEVEL * scale
    level = (np.abs(bends) <= LEVEL * scale[:, None]).any(axis=1) & ~falling
    found = [Stop.SADDLE if down else Stop.MINIMUM for down in falling]
    doubtful = np.flatnonzero(level)
    if doubtful.size:
        ahead = PROBE * ways[doubtful].transpose(0, 2, 1) * ground.extent
        around = points[doubtful][:, None, :] + np.concatenate([ahead, -ahead], axis=1)
        met = _values(ground, around).reshape(doubtful.size, -1)
        rise = np.nan_to_num(met - measured.values[doubtful][:, None], nan=np.inf)
        for index, each in zip(doubtful, rise, strict=True):
            found[index] = _seen(each, 1e-12 * ground.spread)
    return found


def _seen(rise: Vector, nothing: float) -> Stop:
    if (rise < -nothing).any():
        return Stop.SADDLE
    return Stop.FLAT_MINIMUM if (rise > nothing).any() else Stop.PLATEAU


def _onto_corners(ground: Ground, ended: Matrix, free: NDArray[np.bool_], told: tuple[Any, ...]) -> None:
    """Bring ends next to the tip of a corner, such as that of ``abs(x)``, onto it: no slope tells that it is near.

    A search along the axes halves its step where no neighbour is lower (Hooke and Jeeves 1961); where slopes are
    smooth it goes on moving, and its step does not shrink to nothing. Then no direction at all may be lower.
    """
    bottoms, values, low, stops = told
    some = np.flatnonzero(free)
    if not some.size:
        return
    points, met, reach = ended[some], _values(ground, ended[some]), np.full(some.size, 0.5 * NEAR)
    axes = np.concatenate([np.eye(ended.shape[1]), -np.eye(ended.shape[1])])
    for _ in range(SEARCHING):
        found, lower = _neighbours(ground, points, reach, axes)
        better = lower < met
        points, met = np.where(better[:, None], found, points), np.where(better, lower, met)
        reach = np.where(better, reach, 0.5 * reach)
    ways = np.random.default_rng(0).normal(size=(8 * ended.shape[1], ended.shape[1]))
    ways /= np.abs(ways).max(axis=1, keepdims=True)
    _, around = _neighbours(ground, points, np.full(some.size, SAME), ways)
    near = (np.abs(points - ended[some]) <= NEAR * ground.extent).all(axis=1)
    corner = near & (reach < TIP) & (around > met + 1e-12 * ground.spread)
    here = some[corner]
    bottoms[here], values[here], low[here], stops[here] = points[corner], met[corner], True, Stop.MINIMUM.value


def _values(ground: Ground, points: NDArray[np.float64]) -> Vector:
    """Return the values at points (..., d), measured as many at a time as few programs can: fours upon fours."""
    flat = points.reshape(-1, points.shape[-1])
    many = FEWEST
    while many < flat.shape[0]:
        many *= 4
    return ground.measure.values(np.resize(flat, (many, flat.shape[1])))[: flat.shape[0]]


def _neighbours(ground: Ground, points: Matrix, reach: Vector, ways: Matrix) -> tuple[Matrix, Vector]:
    """Return the lowest neighbour (n, d) of each point, so far away in shares of the box, and its value."""
    around = points[:, None, :] + reach[:, None, None] * ways * ground.extent
    met = _values(ground, around).reshape(points.shape[0], -1)
    met = np.where(np.isfinite(met), met, np.inf)
    best = met.argmin(axis=1)
    chosen = np.take_along_axis(around, best[:, None, None], axis=1)[:, 0]
    return chosen, met.min(axis=1)


def _clusters(
    ground: Ground, points: Matrix, values: Vector, low: NDArray[np.bool_], flat: NDArray[np.bool_]
) -> tuple[Indices, list[int]]:
    """Return (reached, centers): ends that touch are one minimum, and a level valley floor is one as a whole."""
    graphs: Any = import_module("scipy.sparse.csgraph")
    sparse: Any = import_module("scipy.sparse")
    reached = np.full(points.shape[0], -1, np.int32)
    members = np.flatnonzero(low)
    if not members.size:
        return reached, []
    cells = np.round(points[members] / (SAME * ground.extent))
    distinct, cell_of = np.unique(cells, axis=0, return_inverse=True)
    level = np.zeros(len(distinct), bool)
    level[cell_of.reshape(-1)] = flat[members]
    pairs = _touching(distinct, np.arange(len(distinct)), 1.5)
    pairs = np.concatenate([pairs, _touching(distinct, np.flatnonzero(level), FLOOR)])
    links = sparse.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(distinct), len(distinct)))
    found: tuple[int, NDArray[np.int32]] = graphs.connected_components(links, directed=False)
    count, each = found[0], found[1][cell_of.reshape(-1)]
    lowest = [int(members[each == i][np.argmin(values[members[each == i]])]) for i in range(count)]
    step = 1e-9 * max(ground.spread, 1e-300)

    def height(index: int) -> tuple[float, ...]:
        at = lowest[index]
        return round(float(values[at]) / step), *(-round(float(each), 6) for each in points[at])

    ranked = sorted(range(count), key=height)
    place = np.empty(count, np.int32)
    place[ranked] = np.arange(count)
    reached[members] = place[each]
    return reached, [lowest[i] for i in ranked]


def _touching(cells: NDArray[np.float64], some: NDArray[np.intp], apart: float) -> NDArray[np.intp]:
    """Return the pairs (m, 2) among some of the cells that are at most so many cells apart each way."""
    spatial: Any = import_module("scipy.spatial")
    if some.size < 2:
        return np.empty((0, 2), np.intp)
    return some[spatial.KDTree(cells[some]).query_pairs(apart, p=np.inf, output_type="ndarray")]


def _basin(
    ground: Ground, surface: Surface, point: Vector, value: float, stop: Stop, moved: NDArray[np.int32], starts: int
) -> Basin:
    points = np.array([each.point for each in surface.minima]).reshape(-1, point.size)
    known = (np.abs(points - point) <= SAME * ground.extent).all(axis=1).any()
    lowest = surface.lowest is not None and value <= surface.lowest + 1e-9 * ground.spread
    return Basin(
        tuple(float(each) for each in point), value, stop, int(moved.size), moved.size / starts,
        float(np.median(moved)), bool(known), lowest,
    )  # fmt: skip
