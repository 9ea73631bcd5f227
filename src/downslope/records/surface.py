"""What descent on a function came to: which start reaches which minimum, and one minimum with the way to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from downslope.records.run import Choice, StepRecord, Verdict
from downslope.records.shape import StopPoint
from downslope.records.showing import Shown
from downslope.records.spec import Spec
from downslope.types import Indices, JsonValue, Matrix, Vector
from downslope.words import NOTHING, Sentence


class Stop(StrEnum):
    """What a point is at which a descent ended.

    minimum: the gradient is zero and every direction rises. flat minimum: no direction falls, some stay level.
    saddle: the gradient is zero and a direction falls. plateau: level every way. slope: the gradient is not zero.
    unknown: the curvature was not computed.
    """

    MINIMUM = "minimum"
    FLAT_MINIMUM = "flat minimum"
    SADDLE = "saddle"
    PLATEAU = "plateau"
    SLOPE = "slope"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Basin:
    """A minimum and the starts that reach it.

    point: (d,). starts: how many reach it, and share of all. updates: median until they stood still. known: it is
    one of the minima known of this surface. lowest: it is the lowest there is, which is said only where that is known.
    """

    point: tuple[float, ...]
    value: float
    stop: Stop
    starts: int
    share: float
    updates: float
    known: bool = False
    lowest: bool = False


@dataclass(frozen=True)
class Basins(Shown):
    """Many descents of one function.

    surface, formula, teaches: as the surface has them; formula is empty for a function given as such. box: of the
    starts. lowest_known: the value of the known global minimum, nan where unknown. minima: those reached, lowest
    first. elsewhere: share of the starts by where else they ended: diverged, outside the box, saddle, plateau,
    still descending. origins: (n, d) the starts. reached: (n,) index into minima, -1 for none. values: (n,) at the
    end. ends: (n, d). updates: (n,) until each stood still. path: (steps + 1, kept, d) of the first starts. noise:
    standard deviation added to each component of a gradient. seconds: compile, choose, descend, gather, total.
    """

    surface: str
    formula: str
    teaches: Sentence
    variables: tuple[str, ...]
    box: tuple[tuple[float, float], ...]
    lowest_known: float
    starts: int
    steps: int
    rule: str
    learning_rate: float
    noise: float
    seed: int
    minima: tuple[Basin, ...]
    elsewhere: Mapping[str, float]
    choices: tuple[Choice, ...] = field(repr=False)
    seconds: Mapping[str, float]
    origins: Matrix = field(repr=False, compare=False)
    reached: Indices = field(repr=False, compare=False)
    values: Vector = field(repr=False, compare=False)
    ends: Matrix = field(repr=False, compare=False)
    updates: Indices = field(repr=False, compare=False)
    path: Matrix = field(repr=False, compare=False)

    @property
    def share_reached(self) -> float:
        """Share of the starts that reached a minimum."""
        return sum(each.share for each in self.minima)


@dataclass(frozen=True)
class Minimum(Shown):
    """Where ``minimize`` ended; a frozen record of the same words as ``Run``.

    params: as given, with what was learned; None where it was read back without a tree to put it into. value: the
    loss there, of all the data. gradient_norm: its gradient's length. kind: what the point is, as far as ``reason``
    says that was measured. smallest, largest: curvatures there, the outermost of many numbers, nan where not computed.
    verdict, message: how it ended. passes: over the data, 0 without. objective_at_start: the loss at the start.
    resolved: what each ``auto`` became. seconds: choose, descend, measure, total. stop_point: what was measured where
    the whole Hessian was not worked out. function: the name of the loss. size, rows: numbers that were learned, and
    examples. asked: what was asked beside the spec. arrays: what was learned, by its path in params. run, path: its
    name and folder, empty where it was not saved. environment: what it was made with.
    """

    params: Any = field(compare=False)
    value: float
    gradient_norm: float
    kind: Stop
    smallest: float
    largest: float
    verdict: Verdict
    message: Sentence
    objective_at_start: float
    passes: float
    updates: int
    spec: Spec = field(repr=False)
    resolved: Mapping[str, JsonValue]
    seconds: Mapping[str, float]
    steps: tuple[StepRecord, ...] = field(default=(), repr=False)
    choices: tuple[Choice, ...] = field(default=(), repr=False)
    reason: Sentence = NOTHING
    stop_point: StopPoint | None = None
    function: str = ""
    size: int = 0
    rows: int = 0
    asked: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue], repr=False)
    arrays: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False, compare=False)
    environment: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue], repr=False, compare=False)
    run: str = ""
    path: str | None = None

    @property
    def objective(self) -> float:
        """The value, under the name that a ``Run`` has for it."""
        return self.value

    def setting(self, name: str) -> JsonValue:
        """Return what a setting was in the end: what ``auto`` became, else what was asked."""
        return self.resolved.get(name, getattr(self.spec, name))
