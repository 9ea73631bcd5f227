"""A surface with all that is compiled for it: what every drag on it asks for again.

The steps are those of ``downslope.basins``, one lane of them, and values, slopes and curvature those that it measures
the ground by. Programs are compiled once for a surface, a rule and a number of steps, which is rounded up so that a
longer run seldom needs a new one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.models.surface import Surface
from downslope.playground.rooms.picture import Plain
from downslope.types import Matrix, Vector

if TYPE_CHECKING:
    from downslope.engines.network.functions import LaneProgram, Measure

LENGTHS = (128, 512, 1024, 2560, 5120)
"""Steps that programs are compiled for."""
EXPLODED = 1e3
"""A loss so many times the size of the start's, or of 1, above the start ends a path: the engine's own bound."""
CURVE = 401
"""Points of a curve."""
LOOKED = 33
"""Points a side of the mesh on which minima are looked for."""
CANDIDATES, NEWTON_STEPS = 64, 30
"""Places from which Newton's method looks for a minimum, and its steps."""
NEAR = 1e-3
"""Two minima nearer than this share of the box are one, and a path that near to a minimum has come to it."""
STILL = 1e-9
"""Steps shorter than this share of the box are no steps: a path ends before them."""
GROUNDS = 48
"""Surfaces whose programs are kept; the one not used for longest goes first."""


@dataclass(frozen=True)
class Path:
    """The way down from one start: points (n + 1, d), their losses (n + 1,) and gradients (n + 1, d).

    It ends before the number of steps asked for where steps no longer move it, or where it ``diverged``.
    """

    points: Matrix
    losses: Vector
    gradients: Matrix
    diverged: bool


@dataclass(frozen=True)
class Valley:
    """A minimum: point (d,), its loss, curvatures (d,) from least to most, and whether none known is lower."""

    point: Vector
    loss: float
    curvatures: Vector
    lowest: bool


class Ground:
    """A surface to go down, compiled as it is asked for; safe to use from several threads."""

    def __init__(self, surface: Surface) -> None:
        """Take a surface."""
        from downslope.engines.network.caching import keep_programs
        from downslope.engines.network.functions import Measure

        keep_programs()
        self.surface = surface
        self.measure: Measure = Measure(surface.function)
        self.low, self.high = np.array(surface.box, np.float64).T
        self.extent: Vector = self.high - self.low
        self._programs: dict[tuple[str, float, int], LaneProgram] = {}
        self._lock = threading.Lock()
        self._heights: dict[int, Matrix] = {}
        self._curve: tuple[tuple[float, float], Matrix] | None = None

    def path(self, start: Vector, rule: str, rate: float, momentum: float, steps: int) -> Path:
        """Go down from a start (d,) by so many steps of a rule, or as far as they lead."""
        program = self._program(rule, momentum, next(each for each in LENGTHS if each >= steps))
        descended = program.descend(start[None, :], rate, self.extent)
        walked = descended.path[:, 0]
        end = min(steps, self._last_move(walked))
        losses, gradients = descended.values[:, 0], descended.slopes[:, 0]
        good = self._good(losses[: end + 1], gradients[: end + 1])
        count = end + 1 if good.all() else max(1, int(np.argmin(good)))
        diverged = not bool(good.all()) or (not bool(descended.alive[0]) and end < steps)
        return Path(walked[:count], losses[:count], gradients[:count], diverged)

    def _last_move(self, walked: Matrix) -> int:
        """Return the last step that moved, 1 where none did; column by column, as rows of two are slow to go over."""
        far = np.zeros(walked.shape[0] - 1, np.bool_)
        for places, side in zip(walked.T, self.extent.tolist(), strict=True):
            far |= np.abs(places[1:] - places[:-1]) > STILL * side
        return far.size - int(np.argmax(far[::-1])) if far.any() else 1

    def _good(self, losses: Vector, gradients: Matrix) -> NDArray[np.bool_]:
        limit = losses[0] + EXPLODED * max(abs(losses[0]), 1.0)
        with np.errstate(invalid="ignore"):
            good = np.isfinite(losses) & (losses <= limit)
            for slopes in gradients.T:
                good &= np.isfinite(slopes)
        return good

    def _program(self, rule: str, momentum: float, steps: int) -> LaneProgram:
        from downslope.engines.network.functions import LaneProgram, rule_from

        asked = (rule, momentum, steps)
        with self._lock:
            if asked not in self._programs:
                if len(self._programs) >= GROUNDS:
                    self._programs.pop(next(iter(self._programs)))
                shape = (1, self.extent.size)
                made = rule_from(rule, momentum, None)
                self._programs[asked] = LaneProgram(self.surface.function, made, shape, steps, keep=1, measured=True)
            return self._programs[asked]

    def heights(self, side: int) -> Matrix:
        """Return the losses (side, side) over the box of two variables, first row at the least y."""
        with self._lock:
            if side not in self._heights:
                self._heights[side] = self.measure.values(self._mesh(side)).reshape(side, side)
            return self._heights[side]

    def curve(self, span: tuple[float, float]) -> Matrix:
        """Return points of a span of one variable with their losses (``CURVE``, 2); the last span is kept."""
        kept = self._curve
        if kept is None or kept[0] != span:
            points = np.linspace(*span, CURVE)
            kept = span, np.column_stack([points, self.measure.values(points[:, None])])
            self._curve = kept
        return kept[1]

    def _mesh(self, side: int) -> Matrix:
        along = np.linspace(0.0, 1.0, side)
        if self.extent.size == 1:
            return self.low + self.extent * along[:, None]
        y, x = np.divmod(np.arange(side * side), side)
        return self.low + self.extent * np.column_stack([along[x], along[y]])

    @cached_property
    def valleys(self) -> tuple[Valley, ...]:
        """The minima in the box, lowest first: those known, or those that Newton's method finds from a mesh."""
        known = self.surface.minima
        points = np.array([each.point for each in known]) if known else self._found()
        if not points.size:
            return ()
        seen = self.measure(points)
        curvatures = np.linalg.eigvalsh(seen.hessians)
        lowest = seen.values.min() + 1e-9 * max(1.0, abs(float(seen.values.min())))
        valleys = [
            Valley(point, float(loss), bends, bool(loss <= lowest))
            for point, loss, bends in zip(points, seen.values, curvatures, strict=True)
        ]
        return tuple(sorted(valleys, key=lambda each: each.loss))

    def _found(self) -> Matrix:
        """Return minima (k, d) that Newton's method reaches from the lowest points of a mesh."""
        side = LOOKED if self.extent.size == 2 else LOOKED * LOOKED
        points = self._lows(side)
        if not points.size:
            return points
        many = np.resize(points, (CANDIDATES, self.extent.size))  # one program for any number
        for _ in range(NEWTON_STEPS):
            many = many - self._newton(many)
        seen = self.measure(many)
        usable = np.isfinite(seen.hessians).all(axis=(1, 2)) & np.isfinite(seen.values)
        bends = np.linalg.eigvalsh(np.where(usable[:, None, None], seen.hessians, 0.0))[:, 0]
        short = np.abs(self._newton(many) / self.extent).max(axis=1) < NEAR**2
        inside = ((many >= self.low) & (many <= self.high)).all(axis=1)
        return self._apart(many[usable & short & inside & (bends > 0)])

    def _newton(self, points: Matrix) -> Matrix:
        """Return Newton's step at points, zero where there is none, and never longer than a part of the box."""
        seen = self.measure(points)
        bent = np.isfinite(seen.hessians.reshape(points.shape[0], -1)).all(axis=1)
        bad = np.asarray(~(bent & np.isfinite(seen.gradients).all(axis=1)), np.bool_)
        hessians = np.where(bad[:, None, None], np.eye(self.extent.size), seen.hessians)
        hessians = np.where((np.linalg.det(hessians) == 0)[:, None, None], np.eye(self.extent.size), hessians)
        step = np.linalg.solve(hessians, np.where(bad[:, None], 0.0, seen.gradients)[:, :, None])[:, :, 0]
        most = self.extent / 4 if self.extent.size == 1 else self.extent / 2
        return np.clip(step, -most, most)

    def _lows(self, side: int) -> Matrix:
        """Return the points of a mesh that are no higher than their neighbours, lowest first."""
        mesh = self._mesh(side)
        values = self.measure.values(mesh)
        values = np.where(np.isfinite(values), values, np.inf)
        grid = np.pad(values.reshape((side,) * self.extent.size), 1, constant_values=np.inf)
        lowest = np.isfinite(grid)
        for axis in range(grid.ndim):
            for way in (-1, 1):
                lowest &= grid <= np.roll(grid, way, axis)
        inner = lowest[(slice(1, -1),) * grid.ndim].ravel()
        found = np.flatnonzero(inner)
        return mesh[found[np.argsort(values[found], kind="stable")][:CANDIDATES]]

    def _apart(self, points: Matrix) -> Matrix:
        kept: list[Vector] = []
        for point in points:
            if all(np.abs((point - other) / self.extent).max() > NEAR for other in kept):
                kept.append(point)
        return np.array(kept).reshape(-1, self.extent.size)

    @cached_property
    def minima(self) -> list[Plain]:
        """The minima of two variables as a picture tells them."""
        return [
            Plain(x=float(each.point[0]), y=float(each.point[1]), loss=each.loss, lowest=each.lowest)
            for each in self.valleys
        ]

    @cached_property
    def ridges(self) -> tuple[float, ...]:
        """The highest points between neighbouring minima of one variable, from left to right."""
        places = sorted(float(each.point[0]) for each in self.valleys)
        found: list[float] = []
        for low, high in pairwise(places):
            between = np.linspace(low, high, LOOKED * LOOKED)
            found.append(float(between[np.argmax(self.measure.values(between[:, None]))]))
        return tuple(found)

    def valley_at(self, point: Vector) -> Valley | None:
        """Return the minimum that a point lies at, None for none."""
        if not self.valleys:
            return None
        near = np.flatnonzero((np.abs((self._bottoms - point) / self.extent) <= NEAR).all(axis=1))
        return self.valleys[int(near[0])] if near.size else None

    @cached_property
    def _bottoms(self) -> Matrix:
        return np.array([each.point for each in self.valleys])


@lru_cache(maxsize=GROUNDS)
def kept_ground(make: Callable[..., Surface], *given: Any) -> Ground:
    """Return the ground that ``make(*given)`` gives, the same one for the same arguments while it is kept."""
    return Ground(make(*given))


def rate_limit(rule: str, momentum: float, curvature: float) -> float:
    """Return the rate above which a rule diverges on a bowl of this curvature, nan where that is not known.

    Only for rules whose steps are a rate times gradients: the others measure the curvature in coordinates of their own.
    """
    from downslope.engines.network.rules import limit_factor

    if rule not in ("plain", "momentum", "nesterov") or not curvature > 0:
        return float("nan")
    return limit_factor(rule, momentum) / curvature
