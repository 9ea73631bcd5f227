"""Starts and valleys: thousands of starts at once, each coloured by the minimum it reaches, and one start's own way.

The descents and the gathering by minimum are those of ``downslope.basins``; here their programs are kept, so that a
rate can be dragged. One more lane goes down from a start of one's own, and its slope along the way shows saddles and
plateaus: where it is small without a minimum being near, steps are short, and still it may get away. The same start
goes down at every rate of a row, which shows the rates at which its steps jump into other valleys.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.models.surface import Surface, surface_of
from downslope.playground.rooms.ground import Ground, kept_ground, rate_limit
from downslope.playground.rooms.picture import Picture, Sentence, say
from downslope.playground.rooms.reached import Known
from downslope.playground.rooms.table import SEEDS, choice, number, text, whole
from downslope.playground.rooms.two_weights import SURFACES, typed_surface
from downslope.records.spec import NETWORK_RULES, RULES
from downslope.records.surface import Basin, Stop
from downslope.types import Indices, JsonValue, Matrix, Vector

if TYPE_CHECKING:
    from downslope.engines.network.functions import Descended, LaneProgram
    from downslope.fitting.gathering import Gathered

DEEP_AND_SHALLOW = "(x**2 + y**2)/20 - 2*exp(-((x + 2)**2 + y**2)/2) - exp(-8*((x - 2)**2 + y**2))"
"""A wide deep valley and a narrow shallow one: steps too large for the second still settle in the first."""
SIDE = 97
"""Points a side of the heights."""
SLOW = 0.05
"""A slope below this share of the largest on the way counts as level ground."""
LEAST_LEVEL = 5
"""Steps that a way must spend on level ground to be said to have lingered there."""
NEAR_SADDLE = 0.01
"""A saddle nearer than this share of the box is one that a way lingered at."""
PROGRAMS = 32
ALONG = 8
"""Places on the straight line of a step where a ridge is looked for."""
STRIP, BELOW, ABOVE = 241, 200.0, 10.0
"""Rates of the row, and how far it goes below and above the steepest rate that a minimum can hold."""
CROWDS = 16
"""Crowds and rows of rates that are kept: a drag of one's own start leaves the crowd, one of the rate the row."""
ROUNDING = 1e-12
"""A place nearer to zero than this share of the box is zero."""
RATES = (1e-6, 100.0)
"""The least and the largest learning rate."""
TOLD = 300
"""Steps of one's own way that get a sentence."""


@dataclass(frozen=True)
class Valleys:
    """The settings of the room. slope_noise: deviation of what is added to each component of each gradient."""

    surface: str = choice("egg-crate", (*SURFACES, "expression"), "f")
    expression: str = text(DEEP_AND_SHALLOW, 200, "e")
    starts: int = whole(2000, 100, 10_000, "k", log=True)
    steps: int = whole(300, 10, 2000, "n", log=True)
    rule: str = choice("plain", RULES + NETWORK_RULES, "o")
    rate: float = number(0.002, *RATES, "r", log=True)
    momentum: float = number(0.9, 0.0, 0.999, "m")
    slope_noise: float = number(0.0, 0.0, 100.0, "z")
    seed: int = whole(0, 0, SEEDS, "s")
    start_x: float = number(2.6, -1000.0, 1000.0, "x")
    start_y: float = number(1.7, -1000.0, 1000.0, "y")


def draw(settings: Valleys) -> Picture:
    """Return the picture of all descents; raises OptionError for an expression that is none of two weights."""
    ground = _ground(settings)
    crowd = _crowd(replace(settings, start_x=0.0, start_y=0.0))
    known = Known(ground, crowd.gathered, crowd.spread)
    way = _Way(settings, ground, known)
    rates, reached = _row(settings, ground, known)
    steepest = _steepest(settings, ground)
    values: dict[str, Any] = {
        "box": [list(each) for each in ground.surface.box], "axes": list(ground.surface.variables),
        "formula": ground.surface.formula, "teaches": ground.surface.teaches, "starts": settings.starts,
        "minima": [_minimum(each, ground) for each in known.minima], "elsewhere": dict(crowd.gathered.elsewhere),
        "steepest": steepest, "way": way.told(), "steps_say": way.step_sentences(),
        "say": [*way.sentences(), *_starts_sentences(ground, crowd.gathered), *_hold(settings, ground)],
        "code": code(settings, ground),
    }  # fmt: skip
    return Picture(values, {
        "heights": ground.heights(SIDE), "origins": crowd.origins, "reached": crowd.gathered.reached,
        "ends": crowd.descended.points, "updates": crowd.descended.moved, "path": way.points,
        "path_loss": way.losses, "path_slope": way.slopes, "rates": rates, "rates_reached": reached,
    })  # fmt: skip


def _ground(settings: Valleys) -> Ground:
    make: Callable[..., Surface] = typed_surface if settings.surface == "expression" else surface_of
    return kept_ground(make, settings.expression if settings.surface == "expression" else settings.surface)


@dataclass(frozen=True)
class _Crowd:
    """The starts (n, 2) that are drawn, where they went, and what they reached; spread: of the losses they met."""

    origins: Matrix
    descended: Descended
    gathered: Gathered
    spread: float


@lru_cache(maxsize=CROWDS)
def _crowd(settings: Valleys) -> _Crowd:
    """Descend from starts drawn from the box as ``basins`` draws them."""
    ground = _ground(settings)
    drawn = np.random.default_rng(settings.seed).random((settings.starts, 2))
    origins = ground.low + ground.extent * drawn
    descended = _descend(settings, ground, origins, settings.rate)
    met = ground.measure(origins).values  # as many points as are gathered, so that one program measures both
    known = met[np.isfinite(met)]
    spread = float(np.ptp(known)) if known.size else 0.0
    return _Crowd(origins, descended, _gathered(settings, ground, descended, settings.rate, spread), spread)


def _descend(settings: Valleys, ground: Ground, origins: Matrix, rates: Vector | float) -> Descended:
    program = _program(settings, ground, origins.shape[0], noisy=settings.slope_noise > 0)
    return program.descend(origins, rates, ground.extent, settings.slope_noise, settings.seed)


def _program(settings: Valleys, ground: Ground, lanes: int, *, noisy: bool) -> LaneProgram:
    return _kept(ground, settings.rule, settings.momentum, lanes, settings.steps, noisy)


@lru_cache(maxsize=PROGRAMS)
def _kept(ground: Ground, rule: str, momentum: float, lanes: int, steps: int, noisy: bool) -> LaneProgram:
    from downslope.engines.network.functions import LaneProgram, rule_from

    made = rule_from(rule, momentum, None)
    keep = 1 if lanes == 1 else 0
    return LaneProgram(ground.surface.function, made, (lanes, 2), steps, noisy=noisy, keep=keep)


def _gathered(
    settings: Valleys, ground: Ground, descended: Descended, rates: Vector | float, spread: float
) -> Gathered:
    """Return which start reaches which minimum; noisy ends are judged where they come to rest without the noise."""
    from downslope.fitting import gathering

    ended = descended.points
    if settings.slope_noise:
        program = _program(settings, ground, ended.shape[0], noisy=False)
        ended = program.descend(ended, rates, ground.extent).points
    whole = gathering.Ground(ground.measure, ground.low, ground.high, spread)
    with np.errstate(over="ignore", invalid="ignore"):  # where descents have run away
        return gathering.gather(whole, ground.surface, descended, ended)


def _row(settings: Valleys, ground: Ground, known: Known) -> tuple[Vector, Indices]:
    """Return rates (m,), each a factor above the last, and which minimum one's own start reaches at each."""
    rates = np.geomspace(*_ends_of_row(settings, ground), STRIP)
    still = replace(settings, slope_noise=0.0, seed=0, starts=100, rate=1.0)
    descended = _row_descended(still, tuple(rates.tolist()))
    if any(each.stop is Stop.FLAT_MINIMUM for each in known.minima):  # which have no one place to be near to
        return rates, known.places(_gathered(still, ground, descended, rates, known.spread))
    return rates, known.nearest(descended)


def _ends_of_row(settings: Valleys, ground: Ground) -> tuple[float, float]:
    """Return the least and the largest rate of the row: about those that minima hold, or a share of the box."""
    steepest = _steepest(settings, ground)
    middle = steepest if math.isfinite(steepest) else 0.01 * float(ground.extent.max())
    least, most = RATES
    return max(least, middle / BELOW), min(most, middle * ABOVE)


@lru_cache(maxsize=CROWDS)
def _row_descended(settings: Valleys, rates: tuple[float, ...]) -> Descended:
    starts = np.tile([settings.start_x, settings.start_y], (len(rates), 1))
    return _descend(settings, _ground(settings), starts, np.array(rates))


def _minimum(basin: Basin, ground: Ground) -> dict[str, JsonValue]:
    x, y = _place(basin, ground)
    return {
        "x": x, "y": y, "loss": basin.value, "share": basin.share,
        "starts": basin.starts, "updates": basin.updates, "lowest": basin.lowest, "kind": basin.stop.value,
    }  # fmt: skip


def _place(basin: Basin, ground: Ground) -> list[float]:
    return np.where(np.abs(basin.point) < ROUNDING * ground.extent, 0.0, basin.point).tolist()


def _limits(settings: Valleys, ground: Ground) -> list[float]:
    """Return the rates above which each minimum that is known here lets a descent go, none where they are not known."""
    limits = [rate_limit(settings.rule, settings.momentum, float(each.curvatures[-1])) for each in ground.valleys]
    return [each for each in limits if math.isfinite(each)]


def _steepest(settings: Valleys, ground: Ground) -> float:
    """Return the rate above which no minimum that is known here can hold a descent, nan where that is not known."""
    return max(_limits(settings, ground), default=math.nan)


class _Way:
    """The way of one's own start, as far as it is finite."""

    def __init__(self, settings: Valleys, ground: Ground, known: Known) -> None:
        start = np.array([[settings.start_x, settings.start_y]])
        descended = _descend(settings, ground, start, settings.rate)
        walked = descended.path[:, 0]
        losses, gradients = ground.measure.slopes(walked)
        good = np.isfinite(losses) & np.isfinite(gradients).all(axis=1)
        count = walked.shape[0] if good.all() else max(1, int(np.argmin(good)))
        count = min(count, max(int(descended.moved[0]), 1) + 1)
        self.points: Matrix = walked[:count]
        self.losses: Vector = losses[:count]
        with np.errstate(over="ignore"):
            self.slopes: Vector = np.linalg.norm(gradients[:count], axis=1)
        self.alive = bool(descended.alive[0])
        self._turned = (gradients[1:count] * gradients[: count - 1]).sum(axis=1) < 0
        self._ground = ground
        self._ridges = self._highest_between(walked)[: count - 1]
        self._start = [settings.start_x, settings.start_y]
        gathered = _gathered(settings, ground, descended, settings.rate, known.spread)
        self.reached = int(known.places(gathered)[0])
        self._known = known
        self.lingered = self._level_stretch()

    def _highest_between(self, walked: Matrix) -> Vector:
        """Return the highest loss on the straight line of each step, ends left out."""
        shares = (np.arange(ALONG) + 1.0) / (ALONG + 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            between = walked[:-1, None, :] + shares[None, :, None] * np.diff(walked, axis=0)[:, None, :]
        met = self._ground.measure.values(between.reshape(-1, 2)).reshape(-1, ALONG)
        return np.where(np.isfinite(met), met, -np.inf).max(axis=1)

    @property
    def jumps(self) -> NDArray[np.intp]:
        """The steps, from 1, on whose straight line the loss is above both ends: over a ridge."""
        ends = np.maximum(self.losses[:-1], self.losses[1:])
        return np.flatnonzero(self._ridges > ends + 1e-9 * np.maximum(1.0, np.abs(ends))) + 1

    def told(self) -> dict[str, Any]:
        level = self.lingered
        return {
            "steps": self.points.shape[0] - 1, "reached": self.reached, "alive": self.alive, "start": self._start,
            "loss": float(self.losses[-1]), "jumps": self.jumps.tolist(),
            "lingered": level and {name: each for name, each in level.items() if name != "say"} | {"at": level["say"]},
        }  # fmt: skip

    def step_sentences(self) -> list[Sentence]:
        """Return what each step did to the loss, and which went over a ridge."""
        jumps = set(self.jumps.tolist())
        losses = self.losses.tolist()
        told: list[Sentence] = []
        for step in range(1, min(len(losses) - 1, TOLD) + 1):
            before, after = losses[step - 1], losses[step]
            if step in jumps:
                told.append(say("step-over-ridge", step=step, loss=after, before=before,
                                ridge=float(self._ridges[step - 1])))  # fmt: skip
                continue
            crossed = "step-crossed" if self._turned[step - 1] else "step-lower"
            told.append(
                Sentence(say="step-higher" if after > before else crossed, step=step, loss=after, before=before)
            )
        return told

    def sentences(self) -> list[Sentence]:
        """Return where the way ended, what ridges it jumped, and where it lingered and got away."""
        steps, loss = self.points.shape[0] - 1, float(self.losses[-1])
        if self.reached >= 0:
            x, y = _place(self._known.minima[self.reached], self._ground)
            told = [say("way-reached", steps=steps, minimum=self.reached, loss=loss, x=x, y=y)]
        else:
            told = [say("way-nowhere" if self.alive else "way-broke", steps=steps, loss=loss)]
        if self.jumps.size:
            told.append(say("way-jumped", jumps=int(self.jumps.size), first=int(self.jumps[0])))
        return [*told, *([self.lingered] if self.lingered else [])]

    def _level_stretch(self) -> Sentence | None:
        """Return the longest stretch of level ground that the way left again, by what the curvature there is."""
        level = self.slopes <= SLOW * self.slopes.max()
        left = _longest(level)
        if left is None or left[1] - left[0] < LEAST_LEVEL:
            return None
        first, last = left
        flattest = first + int(np.argmin(self.slopes[first:last]))
        kind = "lingered-saddle" if self._near_saddle(self.points[flattest]) else "lingered-level"
        x, y = self.points[flattest].tolist()
        return say(kind, first=first, last=last, x=x, y=y, slope=float(self.slopes[flattest]))

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


def _starts_sentences(ground: Ground, gathered: Gathered) -> list[Sentence]:
    reached = sum(each.share for each in gathered.minima)
    told = [say("starts-reached", share=reached, minima=len(gathered.minima))]
    if ground.surface.lowest is not None:
        told.append(say("starts-lowest", share=sum((each.share for each in gathered.minima if each.lowest), 0.0)))
    names = {"diverged": "starts-diverged", "outside the box": "starts-outside", "saddle": "starts-saddle",
             "plateau": "starts-plateau", "still descending": "starts-descending"}  # fmt: skip
    return [*told, *(say(names[name], share=share) for name, share in gathered.elsewhere.items())]


def _hold(settings: Valleys, ground: Ground) -> list[Sentence]:
    """Return how many of the minima that are known hold a descent at this rate, nothing where limits are not known."""
    limits = _limits(settings, ground)
    if not limits:
        return []
    holding = sum(1 for each in limits if each > settings.rate)
    if holding == len(limits):
        return [say("minima-hold", rate=settings.rate, known=len(limits), limit=min(limits))]
    return [say("minima-let-go", rate=settings.rate, known=len(limits), holding=holding)]


def code(settings: Valleys, ground: Ground) -> str:
    """Return the Python that descends from the same starts, and from one's own."""
    surface = repr(settings.surface if settings.surface in SURFACES else settings.expression)
    rule = f'rule="{settings.rule}", learning_rate={settings.rate!r}, momentum={settings.momentum!r}'
    same = f"{rule},\n    noise={settings.slope_noise!r}, seed={settings.seed}"
    box = _box_code(settings, ground)
    return (
        "import downslope as ds\n\n"
        f"found = ds.basins(\n    {surface}, {settings.starts}, {settings.steps}, {same},\n)\n"
        "for minimum in found.minima:\n    print(minimum.point, minimum.value, minimum.share)\n"
        "print(found.elsewhere)\n\n"
        f"mine = ds.basins(\n    {surface}, [[{settings.start_x!r}, {settings.start_y!r}]], {settings.steps}, {same},\n"
        f"    keep=1{box},\n)\n"
        "print(mine.path[:, 0])\n"
    )


def _box_code(settings: Valleys, ground: Ground) -> str:
    """Return the box for a start of one's own, where it lies outside that of the surface."""
    start = np.array([settings.start_x, settings.start_y])
    if ((start >= ground.low) & (start <= ground.high)).all():
        return ""
    low, high = np.minimum(start, ground.low).tolist(), np.maximum(start, ground.high).tolist()
    return f", box=(({low[0]!r}, {high[0]!r}), ({low[1]!r}, {high[1]!r}))"
