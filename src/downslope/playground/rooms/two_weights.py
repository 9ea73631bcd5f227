"""Two weights: a landscape with the ways that several rules take down it from one start.

A line through data, ``w x + b``, has a loss that is a bowl; how long and narrow depends on the units of x alone. Its
curvatures are eigenvalues of the Hessian, their ratio the condition number, and 2 over the largest the limit of plain
steps. With x brought to mean 0 and deviation 1 the mean squared error is a round bowl, and rate 1/2 lands in one step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope import words
from downslope.errors import InputError, OptionError, nearest
from downslope.models.surface import Surface, surface_of
from downslope.playground.rooms.cars import CARS, DATA_LOSSES, columns, line_surface
from downslope.playground.rooms.ground import Ground, Path, Valley, kept_ground, rate_limit
from downslope.playground.rooms.picture import Picture, Sentence, say
from downslope.playground.rooms.table import choice, flag, number, text, whole
from downslope.records.spec import NETWORK_RULES, RULES
from downslope.types import JsonValue, Vector

SURFACES = (
    "bowl", "long-valley", "saddle", "plateau", "egg-crate", "himmelblau", "rosenbrock", "beale", "ackley",
    "six-hump-camel",
)  # fmt: skip
"""The named surfaces of two variables; a test holds them to ``models.surface``."""
OWN_DATA = ("cars", "data")
SIDE = 97
"""Points a side of the heights."""
RACERS = 4
"""Rules that race at most."""
TOLD = 100
"""Steps of the first rule that get a sentence."""
KEYS = ("step-lower", "step-crossed", "step-higher")
LEVEL = 1e-9
"""A part of a gradient below this share of the largest at the three points is zero."""


@dataclass(frozen=True)
class TwoWeights:
    """The settings of the room.

    scale: bring x to mean 0 and deviation 1. rules: names with commas, each with a rate of its own after @ if it has
    one. tolerance: of data, the share above the lowest loss at which a rule is there; of a surface, the share of the
    drop from the start that is left. data: two columns of one's own, rows with ; between them.
    """

    surface: str = choice("cars", (*OWN_DATA, *SURFACES, "expression"), "f")
    expression: str = text("x**4 - 3*x**2 + x + y**2", 200, "e")
    scale: bool = flag(False, "z")
    rules: str = text("plain", 120, "o")
    rate: float = number(0.03, 1e-6, 1e4, "r", log=True)
    momentum: float = number(0.9, 0.0, 0.999, "m")
    start_x: float = number(0.0, -1000.0, 1000.0, "x")
    start_y: float = number(0.0, -1000.0, 1000.0, "y")
    steps: int = whole(2500, 1, 5000, "n", log=True)
    tolerance: float = number(0.01, 1e-6, 0.5, "t", log=True)
    data: str = text("", 8000, "d")
    loss: str = choice("squared", DATA_LOSSES, "l")

    @property
    def of_data(self) -> bool:
        """True where the surface is the loss of a line through two columns."""
        return self.surface in OWN_DATA


@dataclass(frozen=True)
class Racer:
    """One rule, its rate and the way it went; needed: steps until it was there, None where it was not."""

    rule: str
    rate: float
    path: Path
    needed: int | None
    verdict: str


def draw(settings: TwoWeights) -> Picture:
    """Return the picture of the ways down from one start; raises OptionError or InputError in one sentence."""
    asked = racers_of(settings.rules, settings.rate)
    ground = _ground(settings, settings.scale)
    start = np.array([settings.start_x, settings.start_y])
    racers = [_race(settings, ground, start, rule, rate) for rule, rate in asked]
    shape, surface = _shape(ground, racers[0]), ground.surface
    values: dict[str, Any] = {
        "box": [list(each) for each in surface.box], "axes": list(surface.variables), "minima": ground.minima,
        "points": _points(ground, start), "shape": shape, "unscaled": _unscaled(settings),
        "runs": [{"rule": each.rule, "rate": each.rate, "needed": each.needed, "verdict": each.verdict,
                  "limit": rate_limit(each.rule, settings.momentum, shape["largest"] if shape else math.nan)}
                 for each in racers],
        "formula": surface.formula, "say": _run_sentences(settings, racers, shape),
        "steps_say": _step_keys(racers[0]), "code": code(settings, surface, asked[0]),
    }  # fmt: skip
    arrays = {"heights": ground.heights(SIDE), "table": _table(settings)}
    for each in racers:
        arrays[f"path:{each.rule}"], arrays[f"loss:{each.rule}"] = each.path.points, each.path.losses
    return Picture(values, arrays)


def racers_of(rules: str, rate: float) -> list[tuple[str, float]]:
    """Return the rules of a race with their rates; raises OptionError for one that does not exist."""
    found: dict[str, float] = {}
    for part in filter(None, (each.strip() for each in rules.split(","))):
        name, _, own = part.partition("@")
        if name not in RULES + NETWORK_RULES:
            message = words.say(
                'there is no rule called "{name}"{nearest}',
                name=name[:40],
                nearest=nearest(name, RULES + NETWORK_RULES),
            )
            raise OptionError(message)
        found[name] = _rate(part, own) if own else rate
    if not 1 <= len(found) <= RACERS:
        message = words.say("name one to {most} rules, with commas between them, such as plain,momentum", most=RACERS)
        raise OptionError(message)
    return list(found.items())


def _rate(part: str, own: str) -> float:
    try:
        rate = float(own)
    except ValueError:
        rate = math.nan
    if not 0 < rate <= 1e4:
        message = words.say('the rate in "{part}" must be a number above 0 and at most 10000', part=part[:40])
        raise OptionError(message)
    return rate


def _ground(settings: TwoWeights, scaled: bool) -> Ground:
    if settings.of_data:
        return kept_ground(line_surface, _data(settings), scaled, settings.loss)
    if settings.surface == "expression":
        return kept_ground(typed_surface, settings.expression)
    return kept_ground(surface_of, settings.surface)


def _data(settings: TwoWeights) -> str:
    if settings.surface == "cars":
        return ""
    if not settings.data.strip():
        message = words.say("type or paste two columns first: x and y in each row")
        raise InputError(message)
    return settings.data


def typed_surface(expression: str) -> Surface:
    """Return an expression of two variables as a surface; raises OptionError."""
    from downslope.models.surface.expression import expression_surface

    surface = expression_surface(expression)
    if len(surface.variables) != 2:
        message = words.say(
            "this room has two weights, but the expression has {variables}; use x and y",
            variables=", ".join(surface.variables),
        )
        raise OptionError(message)
    return surface


def _table(settings: TwoWeights) -> Any:
    if not settings.of_data:
        return np.empty((0, 2))
    return CARS if settings.surface == "cars" else columns(_data(settings), scaled=False).table


def _race(settings: TwoWeights, ground: Ground, start: Vector, rule: str, rate: float) -> Racer:
    path = ground.path(start, rule, rate, settings.momentum, settings.steps)
    goal = _goal(settings, ground, path)
    needed = None if math.isnan(goal) or path.diverged else _first_below(path.losses, goal)
    lengths = np.linalg.norm(path.gradients[[0, -1]], axis=1)
    if path.diverged:
        return Racer(rule, rate, path, None, "diverged")
    arrived = needed is not None or lengths[1] <= LEVEL * lengths[0]
    return Racer(rule, rate, path, needed, "converged" if arrived else "budget")


def _goal(settings: TwoWeights, ground: Ground, path: Path) -> float:
    """Return the loss at which a way down is there, nan where no minimum is known for it.

    On a surface of several minima it is judged by the one it ended at, and by the lowest where it ended at none.
    """
    ended = ground.valley_at(path.points[-1]) or next(iter(ground.valleys), None)
    if ended is None:
        return math.nan
    if settings.of_data:
        return (1.0 + settings.tolerance) * ended.loss
    return ended.loss + settings.tolerance * (float(path.losses[0]) - ended.loss)


def _first_below(losses: Vector, goal: float) -> int | None:
    there = losses <= goal
    return int(np.argmax(there)) if there.any() else None


def _shape(ground: Ground, first: Racer) -> dict[str, float] | None:
    """Return the curvature at the minimum that the first rule came to, or else at the lowest known."""
    valley = None if first.path.diverged else ground.valley_at(first.path.points[-1])
    return _bends(valley or next(iter(ground.valleys), None))


def _bends(valley: Valley | None) -> dict[str, float] | None:
    if valley is None or not np.isfinite(valley.curvatures).all():
        return None
    smallest, largest = float(valley.curvatures[0]), float(valley.curvatures[-1])
    kappa = largest / smallest if smallest > 0 else math.nan
    return {"kappa": kappa, "largest": largest, "smallest": smallest, "limit": rate_limit("plain", 0.0, largest)}


def _unscaled(settings: TwoWeights) -> dict[str, float] | None:
    if not (settings.of_data and settings.scale):
        return None
    return _bends(next(iter(_ground(settings, scaled=False).valleys), None))


def _points(ground: Ground, start: Vector) -> list[dict[str, JsonValue]]:
    """Return A at the start, B at the lowest minimum and C as far beyond it, with loss and gradient at each.

    Without a known minimum B is the middle of the box. What is rounding in a gradient is zero.
    """
    lowest = ground.valleys[0].point if ground.valleys else 0.5 * (ground.low + ground.high)
    places = np.array([start, lowest, 2.0 * lowest - start])
    losses, slopes = ground.measure.slopes(places)
    gradients = np.where(np.abs(slopes) <= LEVEL * np.nanmax(np.abs(slopes)), 0.0, slopes)
    return [
        {"name": name, "x": float(place[0]), "y": float(place[1]), "gradient": gradient.tolist(), "loss": float(loss)}
        for name, place, gradient, loss in zip("ABC", places, gradients, losses, strict=True)
    ]


def _run_sentences(settings: TwoWeights, racers: list[Racer], shape: dict[str, float] | None) -> list[Sentence]:
    told = [_ending(settings, each) for each in racers]
    if shape is not None and math.isfinite(shape["kappa"]):
        told.append(say("shape", **shape))
        first = racers[0]
        if first.rule == "plain":
            key = "rate-above" if first.rate > shape["limit"] else "rate-below"
            told.append(say(key, rate=first.rate, limit=shape["limit"], factor=abs(1 - first.rate * shape["largest"])))
    there = [each for each in racers if each.needed is not None]
    if len(racers) > 1 and there:
        best = min(there, key=lambda each: each.needed or 0)
        told.append(say("race-won", rule=best.rule, steps=best.needed))
    return told


def _ending(settings: TwoWeights, racer: Racer) -> Sentence:
    steps, loss = racer.path.points.shape[0] - 1, float(racer.path.losses[-1])
    told = {"rule": racer.rule, "rate": racer.rate, "steps": steps, "loss": loss}
    if racer.verdict == "diverged":
        return say("ran-away", **told)
    if racer.needed is None:
        return say("came-to-rest" if racer.verdict == "converged" else "not-there-yet", **told)
    return say("there", **told | {"steps": racer.needed, "tolerance": settings.tolerance})


def _step_keys(racer: Racer) -> list[str]:
    """Return what the first steps of a rule did to the loss, and whether they crossed the valley's floor.

    Only the keys of the sentences: their values are the losses, which the page has.
    """
    path = racer.path
    count = min(path.points.shape[0] - 1, TOLD)
    turned = (path.gradients[1 : count + 1] * path.gradients[:count]).sum(axis=1) < 0
    rose = path.losses[1 : count + 1] > path.losses[:count]
    kinds: list[int] = np.where(rose, 2, turned).tolist()
    told = [KEYS[kind] for kind in kinds]
    if racer.needed is not None and 1 <= racer.needed <= count:
        told[racer.needed - 1] = "step-there"
    return told


def code(settings: TwoWeights, surface: Surface, first: tuple[str, float]) -> str:
    """Return the Python that takes the same steps by the first rule."""
    rule = f'"{first[0]}", learning_rate={first[1]!r}, momentum={settings.momentum!r}'
    start, steps = f"[[{settings.start_x!r}, {settings.start_y!r}]]", settings.steps
    sides = [max(1e3, abs(settings.start_x)), max(1e3, abs(settings.start_y))]
    box = "(" + ", ".join(f"({-each:g}, {each:g})" for each in sides) + ")"
    told = f"found = ds.basins({{}}, {start}, {steps}, rule={rule},\n                  box={box}, keep=1)\n"
    ending = "print(found.path[:, 0])\n"
    if not settings.of_data:
        name = surface.name if settings.surface in SURFACES else surface.formula
        return "import downslope as ds\n\n" + told.format(repr(name)) + ending
    x, y = _table(settings).T
    scaled = "x = (x - x.mean()) / x.std()\n" if settings.scale else ""
    loss = {
        "squared": "(misses**2).mean()", "absolute": "abs(misses).mean()",
        "huber": "jnp.where(abs(misses) < 1, misses**2 / 2, abs(misses) - 0.5).mean()",
    }[settings.loss]  # fmt: skip
    return (
        ("import jax.numpy as jnp\n" if settings.loss == "huber" else "")
        + "import numpy as np\nimport downslope as ds\n\n"
        + f"x = np.array({x.tolist()})\ny = np.array({y.tolist()})\n{scaled}\n\n"
        + "def loss(weights):\n    misses = weights[0] * x + weights[1] - y\n    return " + loss + "\n\n\n"
        + told.format("loss") + ending
    )  # fmt: skip
