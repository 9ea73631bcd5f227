"""Batches: one loss, one start, one rate, and three ways to see the data: all of it, one example, a few at a time.

The gradient of a batch is the mean of its examples' gradients, so it scatters about that of all the data, the less the
larger it is: for batches of B out of n, drawn without putting back, by ``trace(Sigma)/B (n - B)/(n - 1)`` in the mean
square (Cochran 1977, Sampling Techniques, theorem 2.2). The noise scale, ``trace(Sigma)/|G|^2``, is the batch at which
the scatter is as long as the gradient itself (McCandlish et al. 2018, eq. 2.9).

The steps are those of the engine for linear models, compiled once for every batch size and every number of examples.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope import words
from downslope.data.batches import order
from downslope.errors import InputError
from downslope.losses import make_loss
from downslope.playground.rooms.cars import AROUND, columns, least_squares
from downslope.playground.rooms.ground import EXPLODED
from downslope.playground.rooms.picture import Picture, Sentence, say
from downslope.playground.rooms.table import SEEDS, choice, number, text, whole
from downslope.steps import PLAIN
from downslope.types import Indices, Matrix, Vector

if TYPE_CHECKING:
    from downslope.choices.step_cost import StepCost

WAYS = ("full", "mini", "one")
"""Full batch, mini-batch, one example at a time."""
SOURCES = ("line", "cars", "data")
"""A line with noise, the seven cars, two columns of one's own."""
AXES = ("examples", "updates", "seconds")
"""What the clock of the room counts, and what losses are drawn against."""
MOMENTS = 200
"""Places of one way that are shown at most."""
CLOUD, SIZES = 300, 16
"""Batches in a cloud, and sizes between 1 and n at which its width is measured."""
SIDE = 97
"""Points a side of the heights."""
SMALL, LARGE, TRIES = 8, 1024, 5
"""Batch sizes at which an update is timed, the larger of as many examples, and how often."""


@dataclass(frozen=True)
class Batches:
    """The settings of the room. source: a line with noise, of so many examples, the seven cars, or ``data``.

    data: two columns of one's own, rows with ; between them; x is standardised. batch: of the mini-batches and of the
    cloud. moment: share of the full-batch way at which the cloud is drawn. against: what the clock counts.
    """

    source: str = choice("line", SOURCES, "f")
    data: str = text("", 8000, "d")
    examples: int = whole(100, 4, 1000, "e", log=True)
    noise: float = number(1.0, 0.0, 10.0, "z")
    seed: int = whole(0, 0, SEEDS, "s")
    batch: int = whole(10, 1, 1000, "b", log=True)
    passes: int = whole(10, 1, 50, "n")
    rate: float = number(0.05, 1e-5, 10.0, "r", log=True)
    start_x: float = number(-2.0, -100.0, 100.0, "x")
    start_y: float = number(-2.0, -100.0, 100.0, "y")
    moment: float = number(0.0, 0.0, 1.0, "t")
    against: str = choice("examples", AXES, "a")


@dataclass(frozen=True)
class Way:
    """One way down: places (k, 2) at updates (k,), with the loss (k,) of all the data there; taken: updates in all."""

    name: str
    batch: int
    updates: Vector
    places: Matrix
    losses: Vector
    taken: int
    diverged: bool


class Line:
    """A line through two columns, and its mean squared error by (w, b)."""

    def __init__(self, table: Matrix) -> None:
        """Take the columns (n, 2)."""
        self.table = table
        x, y = table.T
        self.best: Vector = least_squares(table)
        self.lowest = float(((self.best[0] * x + self.best[1] - y) ** 2).mean())
        self.hessian = 2.0 * np.array([[(x * x).mean(), x.mean()], [x.mean(), 1.0]])

    def losses(self, places: Matrix) -> Vector:
        """Return the loss (k,) at places (k, 2): that of the best line, and what the way from there adds."""
        apart = places - self.best
        return self.lowest + 0.5 * np.einsum("ni,ij,nj->n", apart, self.hessian, apart)

    @cached_property
    def box(self) -> tuple[tuple[float, float], ...]:
        """The box that is shown: a square about the best line."""
        half = 1.5 * AROUND * max(1.0, float(np.abs(self.best).max()))
        return tuple((float(each - half), float(each + half)) for each in self.best)

    @cached_property
    def heights(self) -> Matrix:
        """The losses over the box (``SIDE``, ``SIDE``), first row at the least b."""
        w, b = (np.linspace(*each, SIDE) for each in self.box)
        return self.losses(np.column_stack([np.tile(w, SIDE), np.repeat(b, SIDE)])).reshape(SIDE, SIDE)

    @property
    def limit(self) -> float:
        """The stability limit of plain steps on all the data."""
        return 2.0 / float(np.linalg.eigvalsh(self.hessian)[-1])


def draw(settings: Batches) -> Picture:
    """Return the picture of three ways down the same loss; raises InputError in one sentence."""
    line = _line(settings)
    rows = line.table.shape[0]
    sizes = {"full": rows, "mini": min(settings.batch, rows), "one": 1}
    ways = [_way(settings, line, name, sizes[name]) for name in WAYS]
    cost = _cost()
    at = ways[0].places[round(settings.moment * (ways[0].places.shape[0] - 1))]
    cloud = _Cloud(line.table, at, settings.seed)
    drawn = cloud.of(sizes["mini"])
    values: dict[str, Any] = {
        "box": [list(each) for each in line.box], "axes": ["w", "b"], "formula": "mean((w*x + b - y)**2)",
        "rows": rows, "minimum": {"x": float(line.best[0]), "y": float(line.best[1]), "loss": line.lowest},
        "limit": line.limit, "at": at.tolist(), "gradient": cloud.whole.tolist(), "noise_scale": cloud.scale,
        "batch": sizes["mini"], "against": settings.against, "uphill": cloud.uphill(drawn),
        "ways": [_told(each, rows, cost) for each in ways],
        "say": _sentences(line, ways, cloud, drawn, settings.rate), "code": code(settings, rows),
    }  # fmt: skip
    arrays: dict[str, Any] = {
        "heights": line.heights, "table": line.table, "cloud": drawn, "scatter": cloud.widths(),
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


def _line(settings: Batches) -> Line:
    if settings.source == "line":
        return _drawn(settings.examples, settings.noise, settings.seed)
    if settings.source == "data" and not settings.data.strip():
        message = words.say("type or paste two columns first: x and y in each row")
        raise InputError(message)
    return _given(settings.data if settings.source == "data" else "")


@lru_cache(maxsize=16)
def _drawn(examples: int, noise: float, seed: int) -> Line:
    """Return a line with noise, x at mean 0 and deviation 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=examples)
    y = 1.5 * x + 1.0 + noise * rng.normal(size=examples)
    return Line(np.column_stack([(x - x.mean()) / x.std(), y]))


@lru_cache(maxsize=16)
def _given(data: str) -> Line:
    return Line(columns(data, scaled=True).table)


class _Cloud:
    """The gradients of batches at one place."""

    def __init__(self, table: Matrix, at: Vector, seed: int) -> None:
        x, y = table.T
        slopes = make_loss("squared").slope(at[0] * x + at[1], y)
        self.each: Matrix = np.column_stack([slopes * x, slopes])
        self.whole: Vector = self.each.mean(axis=0)
        self.spread = float(self.each.var(axis=0).sum())
        self._draws = _draws(table.shape[0], seed)

    @property
    def rows(self) -> int:
        return self.each.shape[0]

    @property
    def scale(self) -> float:
        """The noise scale, nan where the gradient is zero."""
        length = float(self.whole @ self.whole)
        return self.spread / length if length else math.nan

    def of(self, batch: int) -> Matrix:
        """Return the gradients (``CLOUD``, 2) of random batches."""
        return self.each[self._draws[:, :batch]].mean(axis=1)

    def uphill(self, drawn: Matrix) -> float:
        """Return the share of such batches whose step goes away from where all the data would go."""
        return float((drawn @ self.whole < 0).mean())

    def widths(self) -> Matrix:
        """Return batch sizes from 1 to n with the measured and the expected root mean square distance, (k, 3)."""
        along = self.rows ** (np.arange(SIZES) / (SIZES - 1))
        sizes = np.array(sorted({round(float(each)) for each in along}))
        sums = self.each[self._draws].cumsum(axis=1)[:, sizes - 1]
        apart = sums / sizes[:, None] - self.whole
        measured = np.sqrt((apart**2).sum(axis=2).mean(axis=0))
        expected = np.sqrt(self.spread / sizes * (self.rows - sizes) / (self.rows - 1))
        return np.column_stack([sizes, measured, expected])


@lru_cache(maxsize=8)
def _draws(rows: int, seed: int) -> NDArray[np.intp]:
    """Return ``CLOUD`` orders of the examples, each a row; its first B examples are a random batch of B."""
    return np.random.default_rng([seed, 1]).random((CLOUD, rows)).argsort(axis=1)


def _way(settings: Batches, line: Line, name: str, batch: int) -> Way:
    """Go down by the engine's steps, in pieces of so many updates that their places make a path."""
    rows = line.table.shape[0]
    an_epoch = rows // batch
    updates = an_epoch * settings.passes
    stride = 1 << max(0, math.ceil(math.log2(updates / MOMENTS)))
    steps = _Steps(line.table, _read(rows, settings.seed, settings.passes)[:, : an_epoch * batch].ravel())
    weights = np.array([settings.start_x, settings.start_y])
    rates = np.full(stride, settings.rate)
    moments = [*range(0, updates, stride), updates]
    places = [weights.copy()]
    for first, last in pairwise(moments):
        steps.take(first * batch, last * batch, batch, rates, weights)
        places.append(weights.copy())
    return _judged(line, name, batch, np.array(places), np.array(moments, np.float64))


@lru_cache(maxsize=8)
def _read(rows: int, seed: int, epochs: int) -> Indices:
    """Return the order of the examples in each epoch, (epochs, rows)."""
    return np.array([order(rows, seed, epoch) for epoch in range(epochs)], np.int32)


class _Steps:
    """Plain steps of a line's mean squared error along an order of examples."""

    def __init__(self, table: Matrix, read: Indices) -> None:
        from downslope.engines.arguments import LossShape, Penalty, Rows, Rule, State

        none = np.empty(0)
        codes = np.empty((table.shape[0], 0), np.int32)
        self._rows = Rows(np.ascontiguousarray(table[:, :1]), codes, np.ascontiguousarray(table[:, 1]), none, read)
        self._loss, self._penalty = LossShape.of(make_loss("squared")), Penalty(0.0, 0.0, True)
        self._rule, self._state = Rule(PLAIN, 0.0), State

    def take(self, begin: int, end: int, batch: int, rates: Vector, weights: Vector) -> None:
        """Take ``read[begin:end]`` in batches; the weights (2,) change in place."""
        from downslope.engines.stepping import run_steps

        state = self._state(weights, weights, weights, weights)
        run_steps(
            self._rows, begin, end, batch, self._loss, self._penalty, self._rule, rates, state, -1, 0, math.inf
        )  # fmt: skip


def _judged(line: Line, name: str, batch: int, places: Matrix, moments: Vector) -> Way:
    """Return a way as far as its losses are finite and not far above the start."""
    with np.errstate(over="ignore", invalid="ignore"):
        losses = line.losses(places)
        good = np.isfinite(losses) & (losses <= losses[0] + EXPLODED * max(abs(losses[0]), 1.0))
    count = places.shape[0] if good.all() else max(1, int(np.argmin(good)))
    taken = int(moments[count - 1])
    return Way(name, batch, moments[:count], places[:count], losses[:count], taken, not bool(good.all()))


@lru_cache(maxsize=1)
def _cost() -> StepCost:
    """Return what an update costs on this machine; the first measurement counts, as for the choice of a batch size."""
    from downslope.choices.step_cost import kept_cost

    return kept_cost("step-line.json", _measured)


def _measured() -> StepCost:
    from downslope.choices.step_cost import StepCost

    line = _drawn(LARGE, 1.0, 0)
    steps, weights, rates = _Steps(line.table, order(LARGE, 0, 0)), np.zeros(2), np.zeros(LARGE // SMALL)
    spent = {SMALL: math.inf, LARGE: math.inf}
    for attempt in range(TRIES + 1):
        for size in spent:
            began = time.perf_counter()
            steps.take(0, LARGE, size, rates, weights)
            took = time.perf_counter() - began
            spent[size] = min(spent[size], took) if attempt else math.inf  # the first call may compile
    step = max((spent[SMALL] - spent[LARGE]) / (LARGE // SMALL - 1), 1e-9)
    return StepCost(step, max((spent[LARGE] - step) / LARGE, 1e-10))


def _sentences(line: Line, ways: list[Way], cloud: _Cloud, drawn: Matrix, rate: float) -> list[Sentence]:
    batch = ways[1].batch
    alive = [each for each in ways if not each.diverged]
    told: list[Sentence] = []
    if len(alive) == len(ways):
        best = min(alive, key=lambda each: each.losses[-1])
        told.append(
            say("ways-lowest", way=best.name, batch=best.batch, loss=float(best.losses[-1]), lowest=line.lowest)
        )
    told += [
        say("way-diverged" if each.diverged else "way-went", way=each.name, batch=each.batch, updates=each.taken,
            loss=float(each.losses[-1]))
        for each in ways
    ]  # fmt: skip
    if math.isfinite(cloud.scale):
        key = "noise-more" if batch < cloud.scale else "noise-less"
        told.append(say(key, batch=batch, scale=cloud.scale, rows=cloud.rows, rate=rate))
        told.append(say("cloud-uphill", batch=batch, share=cloud.uphill(drawn)))
    return told


def code(settings: Batches, rows: int) -> str:
    """Return the Python that goes the same three ways."""
    start = f"[{settings.start_x!r}, {settings.start_y!r}]"
    sizes = "".join(f'    "{name}": {size},\n' for name, size in zip(
        WAYS, (rows, min(settings.batch, rows), 1), strict=True
    ))  # fmt: skip
    return (
        "import numpy as np\nimport downslope as ds\n\n"
        + _data_code(settings)
        + "x = (x - x.mean()) / x.std()\n\n\n"
        + "def loss(weights, batch):\n    x, y = batch\n"
        + "    return ((weights[0] * x + weights[1] - y) ** 2).mean()\n\n\n"
        + f"sizes = {{\n{sizes}}}\n"
        + "for name, size in sizes.items():\n"
        + f"    found = ds.minimize(loss, np.array({start}), (x, y), method=\"mini-batch\", batch_size=size,\n"
        + f'                        rule="plain", learning_rate={settings.rate!r}, schedule="constant",\n'
        + f"                        epochs={settings.passes}, seed={settings.seed}, precision=\"float64\")\n"
        + "    print(name, found.updates, found.params, found.value)\n"
    )  # fmt: skip


def _data_code(settings: Batches) -> str:
    if settings.source != "line":
        x, y = columns(settings.data if settings.source == "data" else "", scaled=False).table.T
        return f"x = np.array({x.tolist()})\ny = np.array({y.tolist()})\n"
    return (
        f"rng = np.random.default_rng({settings.seed})\nx = rng.normal(size={settings.examples})\n"
        f"y = 1.5 * x + 1.0 + {settings.noise!r} * rng.normal(size={settings.examples})\n"
    )
