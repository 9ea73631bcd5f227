"""The programs of small networks, one for each shape, and the settings that say which shape.

A program is compiled once for a shape of network, a rule and a batch size, and kept; rates, penalties, data and starts
change without compiling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.data.batches import order
from downslope.errors import OptionError, nearest
from downslope.playground.rooms.network_settings import LAYERS, UNITS
from downslope.playground.rooms.points import FEATURES
from downslope.types import Indices
from downslope.words import say

if TYPE_CHECKING:
    from downslope.engines.network.loop import Program, State
    from downslope.engines.network.rules import Rule
    from downslope.engines.network.units import LaneLosses, Look
    from downslope.losses import Loss

STEPS = 64
"""Updates in one call of a program."""
PROGRAMS = 24
"""Shapes of networks whose programs are kept."""


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

    @property
    def weights(self) -> int:
        """How many numbers are learned."""
        sizes = (self.inputs, *self.hidden, 1)
        return sum(before * units + units for before, units in pairwise(sizes))

    @property
    def loss(self) -> Loss:
        """Cross-entropy of classes, the squared error of numbers."""
        from downslope.losses import make_loss

        return make_loss("log" if self.classifies else "squared")


@dataclass(frozen=True)
class Machine:
    """The programs of one shape."""

    program: Program
    look: Look
    rule: Rule

    def first(self, weights: Any, penalties: tuple[float, float], seed: int) -> State:
        """Return the state before the first update; penalties: (l1, l2)."""
        from downslope.engines.network.loop import first_state

        statistics = tuple(np.float32(each) for each in penalties)
        return first_state(weights, self.rule, statistics, seed, keep_good=False)


@dataclass(frozen=True)
class Lanes:
    """The programs of one shape for several learning rates side by side."""

    program: Program
    losses: LaneLosses


@lru_cache(maxsize=PROGRAMS)
def machine(shape: Shape) -> Machine:
    """Return the programs of a shape, compiled when they are first used."""
    from downslope.engines.network.caching import keep_programs
    from downslope.engines.network.units import Look

    keep_programs()
    rest, rule = _rest(shape), _rule(shape)
    return Machine(_program(shape, rest, rule, lanes=False), Look(rest, shape.loss), rule)


@lru_cache(maxsize=PROGRAMS)
def lanes(shape: Shape) -> Lanes:
    """Return the programs of a shape for lanes."""
    from downslope.engines.network.rules import settled_weights
    from downslope.engines.network.units import LaneLosses

    rest, rule = _rest(shape), _rule(shape)

    def settle(memory: Any, weights: Any) -> Any:
        return settled_weights(shape.rule, memory, weights)

    return Lanes(_program(shape, rest, rule, lanes=True), LaneLosses(rest, shape.loss, settle))


def _rest(shape: Shape) -> Any:
    from downslope.engines.network.inputs import parts_of

    return parts_of(_network(shape, "zeros", 0))[1]


def _rule(shape: Shape) -> Rule:
    from downslope.engines.network.rules import rule_of

    return rule_of(shape.rule, shape.momentum, None)


def _program(shape: Shape, rest: Any, rule: Rule, *, lanes: bool) -> Program:
    from downslope.engines.network.inputs import batch_loss
    from downslope.engines.network.loop import Program
    from downslope.engines.network.units import penalised

    # The limit for a batch's loss is set by the room, which knows the start.
    trained = penalised(batch_loss(rest, shape.loss, 0.0))
    return Program(trained, rule, shape.batch, STEPS, math.inf, lanes=lanes)


def starting_weights(shape: Shape, start: str, seed: int, given: dict[int, float]) -> Any:
    """Return the weights that a network begins with; given: those that are set by hand, by their places."""
    from downslope.engines.network.inputs import parts_of
    from downslope.engines.network.units import with_numbers

    weights, _ = parts_of(_network(shape, start, seed))
    return with_numbers(weights, given) if given else weights


def _network(shape: Shape, start: str, seed: int) -> Any:
    from downslope.models.network.grammar import Architecture
    from downslope.models.network.layers import build_network

    kind = "mlp" if shape.hidden else "linear"
    architecture = Architecture(kind, hidden=shape.hidden, activation=shape.activation, start=start)
    key: Any = np.array([0, seed], np.uint32)
    return build_network(architecture, (shape.inputs,), 1, key)


class Batches:
    """The rows of consecutive updates: of each epoch's new order of all, as far as whole batches go."""

    def __init__(self, rows: int, batch: int, seed: int) -> None:
        """Take how many rows there are, how many make a batch, and the seed of their order."""
        self.rows, self.batch, self._seed = rows, batch, seed
        self.an_epoch = rows // batch
        self._order: tuple[int, Indices] = (-1, np.empty(0, np.int32))

    def of(self, update: int, count: int) -> Indices:
        """Return the rows of so many updates from one on."""
        parts: list[Any] = []
        left = count
        while left:
            epoch, within = divmod(update, self.an_epoch)
            if epoch != self._order[0]:
                self._order = epoch, order(self.rows, self._seed, epoch)
            here = min(left, self.an_epoch - within)
            parts.append(self._order[1][within * self.batch : (within + here) * self.batch])
            update, left = update + here, left - here
        return np.concatenate(parts)


def hidden_of(layers: str) -> tuple[int, ...]:
    """Return the units of the hidden layers; raises OptionError."""
    parts = [each.strip() for each in layers.split(",") if each.strip()]
    good = all(each.isdecimal() and 1 <= int(each) <= UNITS for each in parts)
    if not good or len(parts) > LAYERS:
        message = say(
            "layers are at most {layers} numbers from 1 to {units} with commas, such as 4,2, not {value}",
            layers=LAYERS,
            units=UNITS,
            value=repr(layers),
        )
        raise OptionError(message)
    return tuple(int(each) for each in parts)


def names_of(features: str) -> tuple[str, ...]:
    """Return the features asked for, each once; raises OptionError."""
    names = tuple(dict.fromkeys(each.strip() for each in features.split(",") if each.strip()))
    for name in names:
        if name not in FEATURES:
            message = say('there is no feature called "{name}"{nearest}', name=name, nearest=nearest(name, FEATURES))
            raise OptionError(message)
    if not names:
        message = say("a network needs a feature: {features}", features=", ".join(FEATURES))
        raise OptionError(message)
    return names


def given_of(given: str, weights: int) -> dict[int, float]:
    """Return the weights of a start that are set by hand, by their places; raises OptionError.

    given: such as ``0=1.5,7=-2``, places as ``weights`` of a frame has them; those that the network lacks are left out,
    so that a unit can be taken away and come back.
    """
    found: dict[int, float] = {}
    for each in (part.strip() for part in given.split(",") if part.strip()):
        place, _, text = each.partition("=")
        number = _number(text)
        if not place.isdecimal() or number is None:
            message = say(
                "weights set by hand are places and numbers with commas, such as 0=1.5,7=-2, not {value}",
                value=repr(each[:40]),
            )
            raise OptionError(message)
        if int(place) < weights:
            found[int(place)] = number
    return found


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) <= 1e6 else None
