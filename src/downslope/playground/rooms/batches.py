"""Batches: one loss, one start, one rate, and three ways to see the data: all of it, one example, a few at a time.

The gradient of a batch is the mean of its examples' gradients, so it scatters about that of all the data, the less the
larger it is: for batches of B out of n, drawn without putting back, by ``trace(Sigma)/B (n - B)/(n - 1)`` in the mean
square (Cochran 1977, Sampling Techniques, theorem 2.2). The noise scale, ``trace(Sigma)/|G|^2``, is the batch at which
the scatter is as long as the gradient itself (McCandlish et al. 2018, eq. 2.9).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.data.batches import order
from downslope.models.surface import Surface
from downslope.playground.rooms.cars import AROUND, CARS, least_squares
from downslope.playground.rooms.ground import EXPLODED, Ground, kept_ground
from downslope.playground.rooms.picture import Picture, Sentence, say
from downslope.playground.rooms.table import SEEDS, choice, number, whole
from downslope.types import Matrix, Vector

if TYPE_CHECKING:
    from downslope.choices.step_cost import StepCost
    from downslope.engines.network.loop import Program
    from downslope.engines.network.problems import FunctionProblem

WAYS = ("full", "mini", "one")
"""Full batch, mini-batch, one example at a time."""
MOMENTS = 200
"""Places of one way that are shown at most."""
CLOUD, SIZES = 300, 16
"""Batches in a cloud, and sizes between 1 and n at which its width is measured."""
SIDE = 97
"""Points a side of the heights."""
MOST_UPDATES = 20_000
"""Updates of one way at most, however many epochs are asked for."""


@dataclass(frozen=True)
class Batches:
    """The settings of the room. data: a line with noise, of so many examples, or the seven cars, x standardised.

    batch: of the mini-batches and of the cloud. moment: share of the full-batch way at which the cloud is drawn.
    """

    data: str = choice("line", ("line", "cars"), "f")
    examples: int = whole(100, 4, 1000, "e", log=True)
    noise: float = number(1.0, 0.0, 10.0, "z")
    seed: int = whole(0, 0, SEEDS, "s")
    batch: int = whole(10, 1, 1000, "b", log=True)
    epochs: int = whole(10, 1, 50, "n")
    rate: float = number(0.05, 1e-5, 10.0, "r", log=True)
    start_x: float = number(-2.0, -100.0, 100.0, "x")
    start_y: float = number(-2.0, -100.0, 100.0, "y")
    moment: float = number(0.0, 0.0, 1.0, "t")


@dataclass(frozen=True)
class Way:
    """One way down: places (k, 2) at updates (k,), with the loss (k,) of all the data there; needed as asked."""

    name: str
    batch: int
    updates: Vector
    places: Matrix
    losses: Vector
    taken: int
    diverged: bool


def draw(settings: Batches) -> Picture:
    """Return the picture of three ways down the same loss."""
    table = _table(settings)
    rows = table.shape[0]
    ground = kept_ground(_surface, settings.data, settings.examples, settings.noise, settings.seed)
    sizes = {"full": rows, "mini": min(settings.batch, rows), "one": 1}
    ways = [_way(settings, ground, name, sizes[name]) for name in WAYS]
    cost = _cost(rows)
    at = ways[0].places[round(settings.moment * (ways[0].places.shape[0] - 1))]
    cloud = _Cloud(table, at, settings.seed)
    best = ground.valleys[0]
    values: dict[str, Any] = {
        "box": [list(each) for each in ground.surface.box], "axes": list(ground.surface.variables), "rows": rows,
        "minimum": {"x": float(best.point[0]), "y": float(best.point[1]), "loss": best.loss},
        "limit": 2.0 / float(best.curvatures[-1]), "at": at.tolist(), "gradient": cloud.whole.tolist(),
        "noise_scale": cloud.scale, "batch": sizes["mini"],
        "ways": [_told(each, rows, cost) for each in ways], "say": _sentences(settings, ways, cloud, sizes["mini"]),
    }  # fmt: skip
    arrays: dict[str, Any] = {
        "heights": ground.heights(SIDE), "table": table, "cloud": cloud.of(sizes["mini"]), "scatter": cloud.widths(),
    }  # fmt: skip
    for each in ways:
        seconds = cost.step + cost.example * each.batch
        arrays[f"way:{each.name}"] = np.column_stack([
            each.updates, each.updates * each.batch, each.updates * seconds, each.places, each.losses,
        ])  # fmt: skip
    return Picture(values, arrays)


def _told(way: Way, rows: int, cost: StepCost) -> dict[str, Any]:
    return {
        "name": way.name, "batch": way.batch, "updates": way.taken, "an_epoch": rows // way.batch,
        "seconds_an_update": cost.step + cost.example * way.batch, "loss": float(way.losses[-1]),
        "verdict": "diverged" if way.diverged else "budget",
    }  # fmt: skip


def _table(settings: Batches) -> Matrix:
    return _drawn(settings.data, settings.examples, settings.noise, settings.seed)


@lru_cache(maxsize=16)
def _drawn(data: str, examples: int, noise: float, seed: int) -> Matrix:
    """Return two columns, x at mean 0 and deviation 1."""
    if data == "cars":
        x, y = CARS.T
    else:
        rng = np.random.default_rng(seed)
        x = rng.normal(size=examples)
        y = 1.5 * x + 1.0 + noise * rng.normal(size=examples)
    return np.column_stack([(x - x.mean()) / x.std(), y])


def _surface(data: str, examples: int, noise: float, seed: int) -> Surface:
    """Return the mean squared error of a line through all the data."""
    table = _drawn(data, examples, noise, seed)
    x, y = table.T

    def function(weights: Any) -> Any:
        return ((weights[0] * x + weights[1] - y) ** 2).mean()

    best = least_squares(table)
    half = 2.0 * AROUND * max(1.0, float(np.abs(best).max()))
    box = tuple((float(each - half), float(each + half)) for each in best)
    return Surface("batches", ("w", "b"), "mean((w*x + b - y)**2)", function, box)


def _example_loss(point: Any) -> Any:
    """Return the loss of one example as a function of (w, b, x, y)."""
    return (point[0] * point[2] + point[1] - point[3]) ** 2


def _batch_loss(weights: Any, batch: Any) -> Any:
    x, y = batch
    return ((weights[0] * x + weights[1] - y) ** 2).mean()


def _one_example() -> Surface:
    return Surface("example", ("w", "b", "x", "y"), "(w*x + b - y)**2", _example_loss, ((-1.0, 1.0),) * 4)


class _Cloud:
    """The gradients of batches at one place."""

    def __init__(self, table: Matrix, at: Vector, seed: int) -> None:
        points = np.column_stack([np.broadcast_to(at, (table.shape[0], 2)), table])
        _, slopes = kept_ground(_one_example).measure.slopes(points)
        self.each: Matrix = slopes[:, :2]
        self.whole: Vector = self.each.mean(axis=0)
        self.spread = float(self.each.var(axis=0).sum())
        self._rng = np.random.default_rng([seed, 1])
        self._draws = self._rng.random((CLOUD, table.shape[0])).argsort(axis=1)

    @property
    def scale(self) -> float:
        """The noise scale, nan where the gradient is zero."""
        length = float(self.whole @ self.whole)
        return self.spread / length if length else math.nan

    def of(self, batch: int) -> Matrix:
        """Return the gradients (``CLOUD``, 2) of random batches."""
        return self.each[self._draws[:, :batch]].mean(axis=1)

    def widths(self) -> Matrix:
        """Return batch sizes from 1 to n with the measured and the expected root mean square distance, (k, 3)."""
        rows = self.each.shape[0]
        along = rows ** (np.arange(SIZES) / (SIZES - 1))
        sizes = np.array(sorted({round(float(each)) for each in along}))
        sums = self.each[self._draws].cumsum(axis=1)
        measured = [float(np.sqrt(((sums[:, size - 1] / size - self.whole) ** 2).sum(axis=1).mean())) for size in sizes]
        expected = np.sqrt(self.spread / sizes * (rows - sizes) / (rows - 1))
        return np.column_stack([sizes, measured, expected])


def _way(settings: Batches, ground: Ground, name: str, batch: int) -> Way:
    """Go down by the loop of functions, in pieces of so many updates that their places make a path."""
    from downslope.engines.network.functions import in_precision
    from downslope.engines.network.loop import first_state

    problem, rule = _problem(settings.data, settings.examples, settings.noise, settings.seed), _rule()
    an_epoch = problem.rows // batch
    updates = min(an_epoch * settings.epochs, MOST_UPDATES)
    piece = _stride(updates)
    rows: Any = np.concatenate([
        order(problem.rows, settings.seed, epoch)[: an_epoch * batch] for epoch in range(-(-updates // an_epoch))
    ])  # fmt: skip
    start = np.array([settings.start_x, settings.start_y])
    places, moments = [start], [0]
    program = _program(batch, piece)
    with in_precision(True):
        state = first_state(start, rule, (), settings.seed, keep_good=False)
        while moments[-1] < updates:
            done, count = moments[-1], min(piece, updates - moments[-1])
            rates = np.full(count, settings.rate)
            state, _ = program.advance(state, problem.data, rows[done * batch : (done + count) * batch], rates)
            places.append(np.asarray(state.weights))
            moments.append(done + count)
    return _judged(ground, name, batch, np.array(places), np.array(moments, np.float64))


def _stride(updates: int) -> int:
    """Return the updates between two places that are shown, a power of two, so that few programs are compiled."""
    return 1 << max(0, math.ceil(math.log2(updates / MOMENTS)))


def _judged(ground: Ground, name: str, batch: int, places: Matrix, moments: Vector) -> Way:
    """Return a way as far as its losses are finite and not far above the start."""
    padded = np.resize(places, (MOMENTS + 1, 2))  # one program for any number
    losses = ground.measure.values(padded)[: places.shape[0]]
    with np.errstate(invalid="ignore"):
        good = np.isfinite(losses) & (losses <= losses[0] + EXPLODED * max(abs(losses[0]), 1.0))
    count = places.shape[0] if good.all() else max(1, int(np.argmin(good)))
    taken = int(moments[count - 1])
    return Way(name, batch, moments[:count], places[:count], losses[:count], taken, not bool(good.all()))


def _rule() -> Any:
    from downslope.engines.network.rules import rule_of

    return rule_of("plain", 0.0, None)


@lru_cache(maxsize=16)
def _problem(data: str, examples: int, noise: float, seed: int) -> FunctionProblem:
    from downslope.engines.network.problems import pose

    x, y = _drawn(data, examples, noise, seed).T
    return pose(_batch_loss, np.zeros(2), (x, y), residuals=False, double=True)


@lru_cache(maxsize=48)
def _program(batch: int, steps: int) -> Program:
    """Return the steps of a batch size; data of another size are compiled when they are first met."""
    from downslope.engines.network.loop import Program

    return Program(_problem("cars", 0, 0.0, 0).batch_loss(False), _rule(), batch, steps, math.inf)


@lru_cache(maxsize=16)
def _cost(rows: int) -> StepCost:
    """Return what an update costs on this machine, as the choice of a batch size measures it."""
    from downslope.choices.network.batch_size import network_step_cost
    from downslope.engines.network.functions import in_precision

    problem = _problem("line", rows, 1.0, 0)
    with in_precision(True):
        return network_step_cost(problem.batch_loss(False), _rule(), problem.weights, (), problem.data, problem.rows)


def _sentences(settings: Batches, ways: list[Way], cloud: _Cloud, batch: int) -> list[Sentence]:
    told = [
        say("way-diverged" if each.diverged else "way-went", way=each.name, batch=each.batch, updates=each.taken,
            loss=float(each.losses[-1]))
        for each in ways
    ]  # fmt: skip
    rows = cloud.each.shape[0]
    if math.isfinite(cloud.scale):
        key = "noise-more" if batch < cloud.scale else "noise-less"
        told.append(say(key, batch=batch, scale=cloud.scale, rows=rows, rate=settings.rate))
    return told
