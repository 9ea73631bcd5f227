"""The minima that are known of a ground: those that a crowd of starts reached, and what other descents come to."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from downslope.playground.rooms.ground import Ground
from downslope.records.surface import Basin, Stop
from downslope.types import Indices

if TYPE_CHECKING:
    from downslope.engines.network.functions import Descended
    from downslope.fitting.gathering import Gathered

SAME, LEVEL_FLOOR = 1e-3, 1e-6
"""Minima within this share of the box are one; so are level ones whose losses differ by this share of the spread."""


class Known:
    """The minima that the crowd reached, and after them those that only other descents came to."""

    def __init__(self, ground: Ground, gathered: Gathered, spread: float) -> None:
        """Take what the crowd gathered; spread: of the losses that it met."""
        self.minima: list[Basin] = list(gathered.minima)
        self.spread = spread
        self._ground, self._extent = ground, ground.extent

    def places(self, gathered: Gathered) -> Indices:
        """Return for each descent the index of its minimum here, -1 for none."""
        here = np.array([self._place(each) for each in gathered.minima], np.int32)
        if not here.size:
            return gathered.reached
        return np.asarray(np.where(gathered.reached >= 0, here[gathered.reached], -1), np.int32)

    def nearest(self, descended: Descended) -> Indices:
        """Return for each descent the index of the minimum that it has come near to, -1 for none.

        Near is what it is for ``gather``, and Newton's step from there must lead to the minimum.
        """
        from downslope.fitting import gathering

        ends, known = descended.points, [*self.minima, *self._unmet()]
        if not known:
            return np.full((ends.shape[0],), -1, np.int32)
        points = np.array([each.point for each in known])
        whole = gathering.Ground(self._ground.measure, self._ground.low, self._ground.high, self.spread)
        with np.errstate(over="ignore", invalid="ignore"):  # where descents have run away
            ahead = ends - gathering.newton_step(self._ground.measure(ends), whole)
            apart = (np.abs(ends[:, None] - points) / self._extent).max(axis=2)
            beyond = (np.abs(ahead[:, None] - points) / self._extent).max(axis=2)
        there = (apart <= gathering.NEAR) & (beyond <= 0.25 * gathering.NEAR) & descended.alive[:, None]
        nearest = np.where(there, beyond, np.inf).argmin(axis=1)
        found: list[int] = np.where(there.any(axis=1), nearest, -1).tolist()
        here = {each: each if each < len(self.minima) else self._place(known[each]) for each in set(found)}
        return np.array([here[each] for each in found], np.int32)

    def _unmet(self) -> list[Basin]:
        """Return the minima that the surface is known to have, none of the crowd having come there."""
        met = np.array([each.point for each in self.minima]).reshape(-1, self._extent.size)
        whole = self._ground.surface.lowest is not None
        return [
            Basin(tuple(each.point.tolist()), each.loss, Stop.MINIMUM, 0, 0.0, math.nan, True, whole and each.lowest)
            for each in self._ground.valleys
            if not (np.abs(met - each.point) <= SAME * self._extent).all(axis=1).any()
        ]

    def _place(self, basin: Basin) -> int:
        """Return the index of a minimum, at whose place or on whose level floor it is, or give it one."""
        points = np.array([each.point for each in self.minima]).reshape(-1, self._extent.size)
        same = (np.abs(points - basin.point) <= SAME * self._extent).all(axis=1)
        if basin.stop is Stop.FLAT_MINIMUM:
            apart = [abs(each.value - basin.value) for each in self.minima]
            level = [each.stop is Stop.FLAT_MINIMUM for each in self.minima]
            same |= np.array(level, bool) & (np.array(apart) <= LEVEL_FLOOR * self.spread)
        if not same.any():
            self.minima.append(replace(basin, starts=0, share=0.0))
            return len(self.minima) - 1
        return int(np.argmax(same))
