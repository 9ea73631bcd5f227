"""One weight: the loss as a curve, every step that a rate leads to, and the rates that lead nowhere.

Near a minimum of curvature f'' one plain step multiplies the error by ``1 - rate f''``: a rate of 1/f'' lands, one
above it steps over the minimum, and above 2/f'' the error grows at every step. For the other rules the limit is that
of ``engines.network.rules.limit_factor``, where it is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope import words
from downslope.errors import OptionError
from downslope.models.surface import Surface, surface_of
from downslope.playground.rooms.cars import slope_surface
from downslope.playground.rooms.ground import Ground, Path, Valley, kept_ground, rate_limit
from downslope.playground.rooms.picture import Picture, Sentence, say
from downslope.playground.rooms.table import choice, number, text, whole
from downslope.records.spec import NETWORK_RULES, RULES
from downslope.types import JsonValue, Vector

SLOW_STEPS = 10
"""A rate is too slow where it needs more steps than this to come within the tolerance of a bowl's minimum."""
TOLD = 100
"""Steps that get a sentence."""
SWINGS = 3
"""Steps that the picture makes room for."""
SIDE = 5.0
"""Half the side of what is looked at where a function brings nothing of its own."""
AXIS = 1e3
"""The rate axis goes from 1/f'' divided by this to twice the limit."""
LEVEL = 1e-6
"""A slope below this share of the first is none."""
ROUNDING = 1e-9
"""A rate of 1/f'' is one to within this share."""


@dataclass(frozen=True)
class OneWeight:
    """The settings of the room. tolerance: share of the starting distance at which it has landed."""

    function: str = choice("parabola", ("parabola", "two-valleys", "cars", "expression"), "f")
    expression: str = text("x**4/4 + x**3/3 - x**2", 200, "e")
    curvature: float = number(0.625, 0.01, 100.0, "c", log=True)
    start: float = number(-4.0, -100.0, 100.0, "w")
    rate: float = number(1.0, 1e-6, 1e4, "r", log=True)
    steps: int = whole(100, 1, 2000, "n", log=True)
    tolerance: float = number(0.0055, 1e-6, 0.5, "t", log=True)
    rule: str = choice("plain", RULES + NETWORK_RULES, "o")
    momentum: float = number(0.9, 0.0, 0.999, "m")


def draw(settings: OneWeight) -> Picture:
    """Return the picture of one descent; raises OptionError for an expression that is none of one weight."""
    ground = _ground(settings)
    start = np.array([settings.start])
    path = ground.path(start, settings.rule, settings.rate, settings.momentum, settings.steps)
    valley = _valley(ground, path)
    curvature = float(valley.curvatures[0]) if valley else float(ground.measure(start[None, :]).hessians[0, 0, 0])
    seen = _Seen(settings, ground, path, valley, curvature)
    values: dict[str, Any] = {
        "span": list(seen.span), "minimum": _place(valley), "curvature": curvature, "best": seen.best,
        "limit": seen.limit, "zones": seen.zones, "needed": seen.needed, "verdict": seen.verdict,
        "formula": ground.surface.formula, "say": _run_sentences(seen), "steps_say": _step_sentences(seen),
        "code": code(settings, ground.surface),
    }  # fmt: skip
    steps = np.column_stack([path.points[:, 0], path.losses, path.gradients[:, 0]])
    return Picture(values, {"curve": ground.curve(seen.span), "path": steps, "error": seen.shares})


def _ground(settings: OneWeight) -> Ground:
    if settings.function == "parabola":
        return kept_ground(_parabola, settings.curvature)
    if settings.function == "cars":
        return kept_ground(slope_surface)
    if settings.function == "two-valleys":
        return kept_ground(surface_of, "two-valleys")
    return kept_ground(_typed, settings.expression)


def _parabola(curvature: float) -> Surface:
    return surface_of(f"{0.5 * curvature:.12g}*x**2", ((-SIDE, SIDE),))


def _typed(expression: str) -> Surface:
    from downslope.models.surface.expression import expression_surface

    surface = expression_surface(expression)
    if len(surface.variables) != 1:
        message = words.say(
            "this room has one weight, but the expression has {variables}; use x alone",
            variables=", ".join(surface.variables),
        )
        raise OptionError(message)
    return surface


class _Seen:
    """What was measured of one descent, and what follows for the pictures and sentences."""

    def __init__(
        self, settings: OneWeight, ground: Ground, path: Path, valley: Valley | None, curvature: float
    ) -> None:
        self.settings, self.ground, self.path, self.valley, self.curvature = settings, ground, path, valley, curvature
        self.best = 1.0 / curvature if curvature > 0 else math.nan
        self.limit = rate_limit(settings.rule, settings.momentum, curvature)
        self.span = _span(ground, path, valley)
        self.distances: Vector = np.empty(0) if valley is None else path.points[:, 0] - valley.point[0]
        first = abs(self.distances[0]) if self.distances.size else 0.0
        self.shares: Vector = np.abs(self.distances) / first if first else np.empty(0)
        self.needed = _needed(self.shares, settings.tolerance)

    @property
    def zones(self) -> dict[str, float]:
        """The zones of the rate axis; slow, best and limit are those of plain steps on a bowl of this curvature."""
        known = math.isfinite(self.best)
        slow = self.best * (1.0 - self.settings.tolerance ** (1.0 / SLOW_STEPS))
        limit = self.limit if math.isfinite(self.limit) else 2.0 * self.best
        plain = self.settings.rule == "plain"
        return {
            "slow": slow if plain else math.nan, "best": self.best if plain else math.nan, "limit": self.limit,
            "least": self.best / AXIS if known else 1e-3, "most": 2.0 * limit if known else 10.0,
        }  # fmt: skip

    @property
    def verdict(self) -> str:
        if self.path.diverged:
            return "diverged"
        landed = self.shares.size > 0 and bool(self.shares[-1] <= self.settings.tolerance)
        slopes = np.abs(self.path.gradients[:, 0])
        return "converged" if landed or slopes[-1] <= LEVEL * slopes[0] else "budget"


def _needed(shares: Vector, tolerance: float) -> int | None:
    """Return the first step from which the distance stays within the tolerance, None where it does not."""
    outside = np.flatnonzero(~(shares <= tolerance))
    if not shares.size or (outside.size and outside[-1] == shares.size - 1):
        return None
    return int(outside[-1]) + 1 if outside.size else 0


def _valley(ground: Ground, path: Path) -> Valley | None:
    """Return the minimum that a path came to, or where it came to none the first one downhill of its start."""
    ended = None if path.diverged else ground.valley_at(path.points[-1])
    if ended is not None:
        return ended
    start, slope = path.points[0, 0], path.gradients[0, 0]
    below = [each for each in ground.valleys if (each.point[0] - start) * slope <= 0]
    return min(below, key=lambda each: abs(each.point[0] - start), default=None)


def _span(ground: Ground, path: Path, valley: Valley | None) -> tuple[float, float]:
    """Return what is looked at: the box of the surface, and the start and the minimum with some room around them.

    The first steps too, as far as half the box's width outside it: so a run that grows is seen to swing.
    """
    (low,), (high,) = ground.low, ground.high
    reach = 0.5 * (high - low)
    places = np.clip(path.points[1 : SWINGS + 1, 0], low - reach, high + reach).tolist()
    places += [float(path.points[0, 0])] + ([] if valley is None else [float(valley.point[0])])
    room = 0.1 * (max(high, *places) - min(low, *places))
    outside = [each for each in places if not low <= each <= high]
    low = min([low, *(each - room for each in outside)])
    high = max([high, *(each + room for each in outside)])
    return float(low), float(high)


def _place(valley: Valley | None) -> dict[str, JsonValue] | None:
    return None if valley is None else {"at": float(valley.point[0]), "loss": valley.loss}


def _run_sentences(seen: _Seen) -> list[Sentence]:
    told = [_ending(seen), _zone(seen)]
    valley = seen.valley
    if seen.verdict == "converged" and valley is not None and not valley.lowest:
        lowest = seen.ground.valleys[0]
        told.append(say("run-other-valley", at=float(valley.point[0]), loss=valley.loss,
                        lowest_at=float(lowest.point[0]), lowest_loss=lowest.loss))  # fmt: skip
    return [each for each in told if each is not None]


def _ending(seen: _Seen) -> Sentence:
    settings, steps = seen.settings, seen.path.points.shape[0] - 1
    if seen.path.gradients[0, 0] == 0:
        return say("run-level", at=settings.start)
    if seen.verdict == "diverged":
        return say("run-diverged", steps=steps, rate=settings.rate, limit=seen.limit)
    if seen.valley is None:
        return say("run-no-minimum", steps=steps, loss=float(seen.path.losses[-1]))
    if seen.needed is not None:
        return say("run-landed", steps=seen.needed, tolerance=settings.tolerance)
    grew = seen.shares.size > 0 and seen.shares[-1] > 1
    left = float(seen.shares[-1]) if seen.shares.size else math.nan
    return say("run-grows" if grew else "run-not-yet", steps=steps, left=left, tolerance=settings.tolerance)


def _zone(seen: _Seen) -> Sentence | None:
    """Return where the rate lies between too slow and diverging, for plain steps, the only ones that zones hold for."""
    zones, rate = seen.zones, seen.settings.rate
    if seen.settings.rule != "plain" or seen.valley is None or not math.isfinite(seen.best):
        return None
    below = (
        (zones["slow"], "rate-slow"),
        (zones["best"] * (1 + ROUNDING), "rate-sweet"),
        (seen.limit, "rate-overshoots"),
    )
    key = next((key for most, key in below if rate < most), "rate-diverges")
    return say(key, rate=rate, best=seen.best, limit=seen.limit, factor=abs(1.0 - rate * seen.curvature))


def _step_sentences(seen: _Seen) -> list[Sentence]:
    points, rate = seen.path.points[: TOLD + 1, 0].tolist(), seen.settings.rate
    slopes, distances = seen.path.gradients[: TOLD + 1, 0].tolist(), seen.distances[: TOLD + 1].tolist()
    told: list[Sentence] = []
    for step in range(1, len(points)):
        if not distances or distances[step - 1] == 0:
            told.append(say("moved", step=step, by=points[step] - points[step - 1], slope=slopes[step - 1]))
            continue
        told.append(_step(seen, step, rate, (distances[step - 1], distances[step])))
    return told


def _step(seen: _Seen, step: int, rate: float, distances: tuple[float, float]) -> Sentence:
    """Return what one step did to the distance from the minimum."""
    before, after = distances
    factor = abs(after / before)
    if seen.needed is not None and step == seen.needed:
        return say("landed", step=step, left=float(seen.shares[step]))
    passed = _passed_over(seen, step)
    if passed is not None:
        return say("jumped", step=step, rate=rate, over=passed)
    if before * after < 0:
        key = "overshot-grew" if factor > 1 else "overshot"
        return say(key, step=step, rate=rate, limit=seen.limit, factor=factor)
    return say("away" if factor > 1 else "closer", step=step, factor=factor)


def _passed_over(seen: _Seen, step: int) -> float | None:
    """Return the ridge between two minima that a step passed over, None for none."""
    if not seen.ground.ridges:
        return None
    before, after = sorted(seen.path.points[step - 1 : step + 1, 0].tolist())
    return next((each for each in seen.ground.ridges if before < each < after), None)


def code(settings: OneWeight, surface: Surface) -> str:
    """Return the Python that takes the same steps."""
    rule = f'"{settings.rule}", learning_rate={settings.rate!r}, momentum={settings.momentum!r}'
    if settings.function == "cars":
        return (
            "import numpy as np\nimport downslope as ds\n\n"
            "pounds = np.array([3.5, 3.69, 3.44, 3.43, 4.34, 4.42, 2.37])\n"
            "miles = np.array([18.0, 15.0, 18.0, 16.0, 15.0, 14.0, 24.0])\n"
            "slope, intercept = np.polyfit(pounds, miles, 1)\n\n\n"
            "def loss(weights):\n    return ((weights[0] * pounds + intercept - miles) ** 2).mean()\n\n\n"
            f"found = ds.basins(loss, [[{settings.start!r}]], {settings.steps}, rule={rule},\n"
            "                  box=((-100, 100),), keep=1)\nprint(found.path[:, 0, 0])\n"
        )
    name = surface.name if settings.function == "two-valleys" else surface.formula
    side = max(SIDE, abs(settings.start))
    return (
        "import downslope as ds\n\n"
        f"found = ds.basins({name!r}, [[{settings.start!r}]], {settings.steps}, rule={rule},\n"
        f"                  box=(({-side!r}, {side!r}),), keep=1)\nprint(found.path[:, 0, 0])\n"
    )
