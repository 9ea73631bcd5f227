"""The settings of the room of networks."""

from __future__ import annotations

from dataclasses import dataclass

from downslope.playground.rooms.points import CLASSES, COUNT, NUMBERS
from downslope.playground.rooms.table import SEEDS, choice, flag, number, text, whole
from downslope.records.spec import ACTIVATIONS, NETWORK_RULES, RULES, STARTS

LAYERS, UNITS = 6, 32
"""Hidden layers, and units of each, at most."""
LOOKS = ("example", "unit", "discretise", "show_test")
"""Settings that say what is looked at: they begin nothing anew."""


@dataclass(frozen=True)
class NetworkRoom:
    """The settings of the room.

    share: of the points that are trained on. features: names with commas. layers: units of each hidden layer with
    commas, empty for none. batch: examples an update; as many as there are is full batch. given: weights of the start
    that are set by hand. example: the training example whose way through the network is shown. unit: the unit that is
    shown large, counted from 1 through all layers, 0 for the score. discretise, show_test: how the page draws.
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
    given: str = text("", 1000, "g")
    example: int = whole(0, 0, COUNT - 1, "x")
    unit: int = whole(0, 0, LAYERS * UNITS, "u")
    discretise: bool = flag(False, "di")
    show_test: bool = flag(False, "t")

    @property
    def classifies(self) -> bool:
        """True where the points have classes."""
        return self.data in CLASSES
