"""Starts and valleys: thousands of starts at once, each coloured by the minimum it reaches, and one start's own way.

The descents and the gathering by minimum are those of ``downslope.basins``; here their programs are kept, so that a
rate can be dragged. One more lane goes down from a start of one's own, and its slope along the way shows saddles and
plateaus: where it is small without a minimum being near, steps are short, and still it may get away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.models.surface import Surface, surface_of
from downslope.playground.rooms.ground import Ground, kept_ground, rate_limit
from downslope.playground.rooms.picture import Picture, Sentence, say
from downslope.playground.rooms.table import SEEDS, choice, number, text, whole
from downslope.playground.rooms.two_weights import SURFACES, typed_surface
from downslope.records.spec import NETWORK_RULES, RULES
from downslope.types import JsonValue, Matrix, Vector

if TYPE_CHECKING:
    from downslope.engines.network.functions import Descended, LaneProgram
    from downslope.fitting.gathering import Gathered

SIDE = 97
"""Points a side of the heights."""
SLOW = 0.05
"""A slope below this share of the largest on the way counts as level ground."""
LEAST_LEVEL = 5
"""Steps that a way must spend on level ground to be said to have lingered there."""
NEAR_SADDLE = 0.01
"""A saddle nearer than this share of the box is one that a way lingered at."""
PROGRAMS = 24


@dataclass(frozen=True)
class Valleys:
    """The settings of the room. noise: deviation of what is added to each component of each gradient."""

    surface: str = choice("egg-crate", (*SURFACES, "expression"), "f")
    expression: str = text("sin(3*x) + sin(3*y) + (x**2 + y**2)/10", 200, "e")
    starts: int = whole(2000, 100, 10_000, "k", log=True)
    steps: int = whole(300, 10, 2000, "n", log=True)
    rule: str = choice("plain", RULES + NETWORK_RULES, "o")
    rate: float = number(0.002, 1e-6, 100.0, "r", log=True)
    momentum: float = number(0.9, 0.0, 0.999, "m")
    noise: float = number(0.0, 0.0, 100.0, "z")
    seed: int = whole(0, 0, SEEDS, "s")
    start_x: float = number(2.6, -1000.0, 1000.0, "x")
    start_y: float = number(1.7, -1000.0, 1000.0, "y")


def draw(settings: Valleys) -> Picture:
    """Return the picture of all descents; raises OptionError for an expression that is none of two weights."""
    ground = _ground(settings)
    origins = _origins(settings, ground)
    descended = _program(settings, ground, noisy=settings.noise > 0).descend(
        origins, settings.rate, ground.extent, settings.noise, settings.seed
    )
    gathered = _gathered(settings, ground, origins, descended)
    way = _Way(ground, descended)
    values: dict[str, Any] = {
        "box": [list(each) for each in ground.surface.box], "axes": list(ground.surface.variables),
        "formula": ground.surface.formula, "teaches": ground.surface.teaches,
        "minima": [_minimum(each) for each in gathered.minima], "elsewhere": dict(gathered.elsewhere),
        "steepest": _steepest(settings, ground), "way": way.told(settings, gathered),
        "say": [*_sentences(ground, gathered), *way.sentences(gathered)],
    }  # fmt: skip
    return Picture(values, {
        "heights": ground.heights(SIDE), "origins": origins[1:], "reached": gathered.reached[1:],
        "ends": descended.points[1:], "updates": descended.moved[1:], "path": way.points,
        "path_loss": way.losses, "path_slope": way.slopes,
    })  # fmt: skip


def _ground(settings: Valleys) -> Ground:
    make: Callable[..., Surface] = typed_surface if settings.surface == "expression" else surface_of
    return kept_ground(make, settings.expression if settings.surface == "expression" else settings.surface)


def _origins(settings: Valleys, ground: Ground) -> Matrix:
    """Return the starts (1 + n, 2): one's own, then those drawn from the box as ``basins`` draws them."""
    drawn = np.random.default_rng(settings.seed).random((settings.starts, 2))
    return np.vstack([[settings.start_x, settings.start_y], ground.low + ground.extent * drawn])


def _program(settings: Valleys, ground: Ground, *, noisy: bool) -> LaneProgram:
    return _kept(ground, settings.rule, settings.momentum, settings.starts + 1, settings.steps, noisy)


@lru_cache(maxsize=PROGRAMS)
def _kept(ground: Ground, rule: str, momentum: float, lanes: int, steps: int, noisy: bool) -> LaneProgram:
    from downslope.engines.network.functions import LaneProgram, rule_from

    made = rule_from(rule, momentum, None)
    return LaneProgram(ground.surface.function, made, (lanes, 2), steps, noisy=noisy, keep=1)


def _gathered(settings: Valleys, ground: Ground, origins: Matrix, descended: Descended) -> Gathered:
    """Return which start reaches which minimum; noisy ends are judged where they come to rest without the noise."""
    from downslope.fitting import gathering

    ended = descended.points
    if settings.noise:
        ended = _program(settings, ground, noisy=False).descend(ended, settings.rate, ground.extent).points
    met = ground.measure(origins).values  # as many points as are gathered, so that one program measures both
    known = met[np.isfinite(met)]
    spread = float(np.ptp(known)) if known.size else 0.0
    whole = gathering.Ground(ground.measure, ground.low, ground.high, spread)
    with np.errstate(over="ignore", invalid="ignore"):  # where descents have run away
        return gathering.gather(whole, ground.surface, descended, ended)


def _minimum(basin: Any) -> dict[str, JsonValue]:
    return {
        "x": float(basin.point[0]), "y": float(basin.point[1]), "loss": basin.value, "share": basin.share,
        "starts": basin.starts, "updates": basin.updates, "lowest": basin.lowest, "kind": basin.stop.value,
    }  # fmt: skip


def _steepest(settings: Valleys, ground: Ground) -> float:
    """Return the rate above which no minimum that is known here can hold a descent, nan where that is not known."""
    limits = [rate_limit(settings.rule, settings.momentum, float(each.curvatures[-1])) for each in ground.valleys]
    return max((each for each in limits if math.isfinite(each)), default=math.nan)


class _Way:
    """The way of one's own start, as far as it is finite."""

    def __init__(self, ground: Ground, descended: Descended) -> None:
        walked = descended.path[:, 0]
        losses, gradients = ground.measure.slopes(walked)
        good = np.isfinite(losses) & np.isfinite(gradients).all(axis=1)
        count = walked.shape[0] if good.all() else max(1, int(np.argmin(good)))
        count = min(count, max(int(descended.moved[0]), 1) + 1)
        self.points: Matrix = walked[:count]
        self.losses: Vector = losses[:count]
        self.slopes: Vector = np.linalg.norm(gradients[:count], axis=1)
        self.alive = bool(descended.alive[0])
        self._ground = ground

    def told(self, settings: Valleys, gathered: Gathered) -> dict[str, JsonValue]:
        return {
            "steps": self.points.shape[0] - 1, "reached": int(gathered.reached[0]), "alive": self.alive,
            "start": [settings.start_x, settings.start_y], "loss": float(self.losses[-1]),
        }  # fmt: skip

    def sentences(self, gathered: Gathered) -> list[Sentence]:
        """Return where the way ended, what valleys it jumped, and where it lingered and got away."""
        steps, reached = self.points.shape[0] - 1, int(gathered.reached[0])
        if reached >= 0:
            told = [say("way-reached", steps=steps, minimum=reached, loss=gathered.minima[reached].value)]
        else:
            told = [say("way-nowhere" if self.alive else "way-broke", steps=steps, loss=float(self.losses[-1]))]
        return [*told, *self._lingered()]

    def _lingered(self) -> list[Sentence]:
        """Return the longest stretch of level ground that the way left again, by what the curvature there is."""
        level = self.slopes <= SLOW * self.slopes.max()
        left = _longest(level)
        if left is None or left[1] - left[0] < LEAST_LEVEL:
            return []
        first, last = left
        flattest = first + int(np.argmin(self.slopes[first:last]))
        kind = "lingered-saddle" if self._near_saddle(self.points[flattest]) else "lingered-level"
        x, y = self.points[flattest].tolist()
        return [say(kind, first=first, last=last, x=x, y=y, slope=float(self.slopes[flattest]))]

    def _near_saddle(self, point: Vector) -> bool:
        """Say whether Newton's step leads, and not far, to a place of all but no slope that falls one way only."""
        here = self._ground.measure(point[None, :])
        bends = np.linalg.eigvalsh(here.hessians[0])
        if not bends[0] < 0 < bends[-1]:
            return False
        step = np.asarray(np.linalg.solve(here.hessians[0], here.gradients[0]), np.float64)
        there = self._ground.measure((point - step)[None, :])
        short = bool((np.abs(step) <= NEAR_SADDLE * self._ground.extent).all())
        return short and bool(np.linalg.norm(there.gradients) <= 0.1 * np.linalg.norm(here.gradients))


def _longest(level: NDArray[np.bool_]) -> tuple[int, int] | None:
    """Return begin and end of the longest stretch of True that does not last to the end, None for none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], level.astype(np.int8), [0]])))
    stretches = [(int(first), int(last)) for first, last in edges.reshape(-1, 2) if last < level.size]
    return max(stretches, key=lambda each: each[1] - each[0], default=None)


def _sentences(ground: Ground, gathered: Gathered) -> list[Sentence]:
    reached = sum(each.share for each in gathered.minima)
    known = ground.surface.lowest is not None
    lowest = sum((each.share for each in gathered.minima if each.lowest), 0.0) if known else None
    told = [say("starts-reached", share=reached, minima=len(gathered.minima), lowest=lowest)]
    names = {"diverged": "starts-diverged", "outside the box": "starts-outside", "saddle": "starts-saddle",
             "plateau": "starts-plateau", "still descending": "starts-descending"}  # fmt: skip
    return [*told, *(say(names[name], share=share) for name, share in gathered.elsewhere.items())]
