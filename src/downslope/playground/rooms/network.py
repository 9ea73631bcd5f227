"""A small network at work: every update by the loop that trains all networks, every unit seen as it learns.

Programs are compiled once for a shape of network, a rule and a batch size, and kept; rates, data and starts change
without compiling. To go back, the state is kept now and then and the updates from there are taken again, which gives
the same bits: an update depends on its number alone.
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.batches import order
from downslope.errors import OptionError, nearest
from downslope.playground.rooms.picture import Picture, Sentence, say
from downslope.playground.rooms.points import CLASSES, COUNT, FEATURES, NUMBERS, SIDE, features_of, points_of
from downslope.playground.rooms.table import SEEDS, choice, number, text, whole
from downslope.records.spec import ACTIVATIONS, NETWORK_RULES, RULES, STARTS
from downslope.types import Indices, Matrix

if TYPE_CHECKING:
    from downslope.engines.network.inputs import Data
    from downslope.engines.network.loop import Program, State
    from downslope.engines.network.rules import Rule
    from downslope.engines.network.units import Look, Seen

MESH = 40
"""Points a side of the mesh that units are drawn over."""
LAYERS, UNITS = 6, 32
"""Hidden layers, and units of each, at most."""
MOST_UPDATES = 1_000_000
STEPS = 64
"""Updates in one call of a program."""
KEPT, FIRST_EVERY = 64, 500
"""States that are kept to go back to, and updates between two of them at first; more where the run is longer."""
CURVE = 400
"""Points of the loss curve; every second goes where there are more."""
EXPLODED = 1e3
"""A batch's loss so many times the size of the start's, or of 1, above the start ends a run: the engine's own bound."""
PROGRAMS = 24
"""Shapes of networks whose programs are kept."""


@dataclass(frozen=True)
class NetworkRoom:
    """The settings of the room.

    share: of the points that are trained on. features: names with commas. layers: units of each hidden layer with
    commas, empty for none. batch: examples an update; as many as there are is full batch. example: the training
    example whose way through the network is shown.
    """

    data: str = choice("circle", (*CLASSES, *NUMBERS), "d")
    noise: float = number(0.0, 0.0, 0.5, "z")
    share: float = number(0.5, 0.1, 0.9, "p")
    data_seed: int = whole(0, 0, SEEDS, "ds")
    features: str = text("x,y", 40, "i")
    layers: str = text("4,2", 40, "h")
    activation: str = choice("tanh", ACTIVATIONS, "a")
    start: str = choice("glorot", STARTS, "w")
    start_seed: int = whole(0, 0, SEEDS, "ws")
    rule: str = choice("plain", RULES + NETWORK_RULES, "o")
    rate: float = number(0.03, 1e-6, 100.0, "r", log=True)
    momentum: float = number(0.9, 0.0, 0.999, "m")
    batch: int = whole(10, 1, COUNT, "b", log=True)
    l1: float = number(0.0, 0.0, 10.0, "l1")
    l2: float = number(0.0, 0.0, 10.0, "l2")
    example: int = whole(0, 0, COUNT - 1, "x")

    @property
    def classifies(self) -> bool:
        """True where the points have classes."""
        return self.data in CLASSES


@dataclass(frozen=True)
class Shape:
    """What programs are compiled for."""

    inputs: int
    hidden: tuple[int, ...]
    activation: str
    classifies: bool
    rule: str
    momentum: float
    batch: int
    l1: float
    l2: float


@dataclass(frozen=True)
class Machine:
    """The programs of one shape. rest: what is not learned of its networks."""

    program: Program
    look: Look
    rule: Rule
    rest: Any


def hidden_of(layers: str) -> tuple[int, ...]:
    """Return the units of the hidden layers; raises OptionError."""
    parts = [each.strip() for each in layers.split(",") if each.strip()]
    good = all(each.isdecimal() and 1 <= int(each) <= UNITS for each in parts)
    if not good or len(parts) > LAYERS:
        message = f"layers are at most {LAYERS} numbers from 1 to {UNITS} with commas, such as 4,2, not {layers!r}"
        raise OptionError(message)
    return tuple(int(each) for each in parts)


def names_of(features: str) -> tuple[str, ...]:
    """Return the features asked for, each once; raises OptionError."""
    names = tuple(dict.fromkeys(each.strip() for each in features.split(",") if each.strip()))
    for name in names:
        if name not in FEATURES:
            message = f'there is no feature called "{name}"{nearest(name, FEATURES)}'
            raise OptionError(message)
    if not names:
        message = f"a network needs a feature: {', '.join(FEATURES)}"
        raise OptionError(message)
    return names


@lru_cache(maxsize=PROGRAMS)
def machine(shape: Shape) -> Machine:
    """Return the programs of a shape, compiled when they are first used."""
    from downslope.engines.network.caching import keep_programs
    from downslope.engines.network.inputs import batch_loss, parts_of
    from downslope.engines.network.loop import Program
    from downslope.engines.network.rules import rule_of
    from downslope.engines.network.units import Look, penalised
    from downslope.losses import make_loss

    keep_programs()
    _, rest = parts_of(_network(shape, "zeros", 0))
    loss = make_loss("log" if shape.classifies else "squared")
    trained = batch_loss(rest, loss, shape.l2)
    rule = rule_of(shape.rule, shape.momentum, None)
    # The limit for a batch's loss is set by the room, which knows the start.
    program = Program(penalised(trained, shape.l1) if shape.l1 else trained, rule, shape.batch, STEPS, math.inf)
    return Machine(program, Look(rest, loss), rule, rest)


def _network(shape: Shape, start: str, seed: int) -> Any:
    from downslope.models.network.grammar import Architecture
    from downslope.models.network.layers import build_network

    kind = "mlp" if shape.hidden else "linear"
    architecture = Architecture(kind, hidden=shape.hidden, activation=shape.activation, start=start)
    key: Any = np.array([0, seed], np.uint32)
    return build_network(architecture, (shape.inputs,), 1, key)


class Training:
    """One run of one network, that can be taken forth and back."""

    def __init__(self, settings: NetworkRoom) -> None:
        """Draw the points and place the network at its start; raises OptionError."""
        from downslope.engines.network.inputs import parts_of

        self.settings = settings
        self.names, hidden = names_of(settings.features), hidden_of(settings.layers)
        self._place_points()
        self.batch = min(settings.batch, self.rows)
        self.an_epoch = self.rows // self.batch
        shape = Shape(
            len(self.names), hidden, settings.activation, settings.classifies, settings.rule, settings.momentum,
            self.batch, settings.l1, settings.l2,
        )  # fmt: skip
        self.hidden, self._machine = hidden, machine(shape)
        weights, _ = parts_of(_network(shape, settings.start, settings.start_seed))
        self.update, self.diverged_at = 0, -1
        self._warm(weights)
        self._state: State = self._first(weights)
        self._kept: dict[int, State] = {}
        self._every = FIRST_EVERY
        self._order: tuple[int, Indices] = (-1, np.empty(0, np.int32))
        self._seen = self._look()
        self._limit = self._ceiling()
        self.curve: list[tuple[int, float, float]] = []
        self._note()

    @property
    def last(self) -> int:
        """The update that it cannot go beyond: the last good one of a network that has diverged."""
        return MOST_UPDATES if self.diverged_at < 0 else self.update

    def _place_points(self) -> None:
        from downslope.engines.network.inputs import on_device

        settings = self.settings
        points, target = points_of(settings.data, settings.noise, settings.data_seed)
        count = max(1, min(COUNT - 1, round(settings.share * COUNT)))
        self.points: Matrix = np.column_stack([points, target])
        self.rows = count

        def placed(points: Matrix, target: Any) -> Data:
            return on_device(features_of(points, self.names), None, target, None)

        self._train, self._test = placed(points[:count], target[:count]), placed(points[count:], target[count:])
        along = np.linspace(-SIDE, SIDE, MESH)
        y, x = np.divmod(np.arange(MESH * MESH), MESH)
        mesh = np.column_stack([along[x], along[y]])
        self._mesh = placed(mesh, np.zeros(MESH * MESH))

    def _first(self, weights: Any) -> State:
        from downslope.engines.network.loop import first_state

        return first_state(weights, self._machine.rule, (), self.settings.data_seed, keep_good=False)

    def _warm(self, weights: Any) -> None:
        """Have the program compiled before the room is played: one update, whose outcome is dropped."""
        self._machine.program.advance(
            self._first(weights), self._train, np.zeros(self.batch, np.int32), np.zeros(1, np.float32)
        )

    def _ceiling(self) -> float:
        start = float(self._seen.train.loss)
        return start + EXPLODED * max(abs(start), 1.0)

    def advance(self, count: int) -> None:
        """Take so many updates; a network that has diverged goes back to its last good weights, and takes no more."""
        goal = min(self.update + count, self.last)
        while self.update < goal and self.diverged_at < 0:
            until = self.update - self.update % self._every + self._every
            self._chunk(min(goal, until, self.update + STEPS) - self.update)
        if self.diverged_at >= 0 and self.update >= self.diverged_at:
            self._go_back(max(0, self.diverged_at - 1))
        self._seen = self._look()
        self._note()

    def _go_back(self, update: int) -> None:
        """Return to an update that was, from the nearest state before it that is kept."""
        from downslope.engines.network.units import copied

        before = max(each for each in self._kept if each <= update)
        self._state, self.update = copied(self._kept[before]), before
        while self.update < update:
            self._take(min(update, self.update + STEPS) - self.update)

    def _chunk(self, count: int) -> None:
        """Take updates that no state to be kept lies between, and note where a loss is no good."""
        from downslope.engines.network.units import copied

        if self.update % self._every == 0 and self.update not in self._kept:
            self._kept[self.update] = copied(self._state)
            self._thin()
        losses = self._take(count)
        good = np.isfinite(losses) & (losses <= self._limit)
        if not good.all():
            self.diverged_at = self.update - count + int(np.argmin(good))

    def _take(self, count: int) -> NDArray[np.float32]:
        """Take so many updates, and return the losses of their batches."""
        rates = np.full(count, self.settings.rate, np.float32)
        self._state, chunk = self._machine.program.advance(self._state, self._train, self._rows(count), rates)
        self.update += count
        return chunk.losses

    def _thin(self) -> None:
        """Keep every second of the states where there are too many."""
        if len(self._kept) > KEPT:
            self._every *= 2
            self._kept = {update: state for update, state in self._kept.items() if update % self._every == 0}

    def _rows(self, count: int) -> Indices:
        """Return the rows of the next updates: of each epoch's new order of all, as far as whole batches go."""
        parts: list[Any] = []
        update, left = self.update, count
        while left:
            epoch, within = divmod(update, self.an_epoch)
            if epoch != self._order[0]:
                self._order = epoch, order(self.rows, self.settings.data_seed, epoch)
            here = min(left, self.an_epoch - within)
            parts.append(self._order[1][within * self.batch : (within + here) * self.batch])
            update, left = update + here, left - here
        return np.concatenate(parts)

    def seek(self, update: int) -> None:
        """Go to an update on the same way: from the nearest state before it that is kept, forth."""
        if update < self.update:
            self.diverged_at = -1
            self._go_back(update)
        kept = self.curve
        self.advance(update - self.update)
        cut = bisect.bisect_left(kept, (self.update, -math.inf, -math.inf))
        self.curve = [*kept[:cut], self._point()]

    def _look(self) -> Seen:
        weights = self._settled()
        row = min(self.settings.example, self.rows - 1)
        return self._machine.look(weights, self._mesh, self._train, self._test, row)

    def _settled(self) -> Any:
        from downslope.engines.network.rules import settled_weights

        return settled_weights(self.settings.rule, self._state.rule, self._state.weights)

    def _point(self) -> tuple[int, float, float]:
        return self.update, float(self._seen.train.loss), float(self._seen.test.loss)

    def _note(self) -> None:
        if self.curve and self.curve[-1][0] >= self.update:
            return
        self.curve.append(self._point())
        if len(self.curve) > CURVE:
            self.curve = [*self.curve[:-1:2], self.curve[-1]]

    def picture(self) -> Picture:
        """Return all that the room shows."""
        frame = self.frame()
        values: dict[str, Any] = {
            "features": list(self.names), "layers": list(self.hidden), "classifies": self.settings.classifies,
            "box": [[-SIDE, SIDE], [-SIDE, SIDE]], "rows": self.rows, "batch": self.batch, "an_epoch": self.an_epoch,
            "last": self.last, **frame.values,
        }  # fmt: skip
        points = {"train_points": self.points[: self.rows], "test_points": self.points[self.rows :]}
        return Picture(values, {**points, **frame.arrays})

    def frame(self) -> Picture:
        """Return what an update changes."""
        seen = self._seen
        scores = seen.mesh.astype(np.float32, copy=True)
        if self.settings.classifies:
            scores[-1] = np.tanh(0.5 * scores[-1])  # twice the probability of the class, less one
        values: dict[str, Any] = {
            "update": self.update, "epoch": self.update / self.an_epoch, "loss": float(seen.train.loss),
            "test_loss": float(seen.test.loss), "say": self._sentences(),
            **({"right": float(seen.train.right), "test_right": float(seen.test.right)}
               if self.settings.classifies else {}),
        }  # fmt: skip
        arrays = {
            "units": scores.reshape(-1, MESH, MESH), "dead": seen.dead, "weights": seen.weights, "forth": seen.forth,
            "back": seen.back, "gradient": seen.gradient, "curve": np.array(self.curve, np.float64),
        }  # fmt: skip
        return Picture(values, arrays)

    def _sentences(self) -> list[Sentence]:
        told: list[Sentence] = []
        if self.diverged_at >= 0:
            told.append(say("network-diverged", update=self.diverged_at, rate=self.settings.rate))
        dead = int(self._seen.dead.sum())
        if dead:
            told.append(say("network-dead", units=dead, of=int(sum(self.hidden))))
        if self.update and self._stands_still():
            told.append(say("network-same", start=self.settings.start))
        return told

    def _stands_still(self) -> bool:
        """Say whether a start that makes all units of a layer alike has kept them so."""
        alike = self.settings.start in ("zeros", "constant") and any(units > 1 for units in self.hidden)
        first = self.hidden[0] if self.hidden else 0
        return alike and first > 1 and bool(np.ptp(self._seen.mesh[:first], axis=0).max() == 0)


def begin(settings: NetworkRoom) -> Training:
    """Return a run at its start; raises OptionError."""
    return Training(settings)
