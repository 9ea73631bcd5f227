"""What a training puts down now and then, and takes up again: its whole state between two updates.

Three cases explain it. A training that nobody keeps offers its state, and nothing happens. One that is kept offers
it between two pieces of work, and it is written down once enough seconds have passed. One that was cut short is
given what was written last, and goes on from there as if nothing had been.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.errors import RunError
from downslope.models.linear import Point
from downslope.records import Choice, StepRecord
from downslope.training.metric import Metric
from downslope.types import JsonValue
from downslope.words import Sentence, named, say

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training.

    kind: the method that wrote it. arrays: weights, the rule's memory and whatever else is numbers, by name. values:
    JSON, NaN and infinities allowed. steps: the record so far.
    """

    kind: str
    arrays: Arrays
    values: Mapping[str, JsonValue]
    steps: tuple[StepRecord, ...]


@dataclass
class Keeper:
    """Keeps the state of one training: says when it is written, and holds the state to begin from.

    run: its name, "" where nothing is kept. every: seconds between two checkpoints. write: puts a checkpoint on disk.
    settle: puts a choice on disk that rests on measured time, since a second measurement could choose otherwise.
    begin: the checkpoint to go on from. settled: choices made before, by name. stopped: the training was stopped by
    hand, so what was kept may be of use.
    """

    run: str = ""
    every: float = math.inf
    write: Callable[[Checkpoint], None] | None = None
    settle: Callable[[Choice], None] | None = None
    begin: Checkpoint | None = None
    settled: Mapping[str, Choice] = field(default_factory=dict[str, Choice])
    stopped: bool = False
    _last: float = field(default_factory=time.monotonic)

    @property
    def earlier(self) -> float:
        """Seconds of descent before the run was taken up again."""
        return 0.0 if self.begin is None else float(self.begin.values["log"]["seconds"])

    def offer(self, state: Callable[[], Checkpoint]) -> None:
        """Write the state down if that is due."""
        if self.write is None or time.monotonic() - self._last < self.every:
            return
        self.write(state())
        self._last = time.monotonic()

    def taken_up(self, kind: str) -> Checkpoint | None:
        """Return the checkpoint to go on from; raises RunError where another method wrote it."""
        if self.begin is not None and self.begin.kind != kind:
            raise self.foreign(
                say("it was written by {before} and this is {now}", before=named(self.begin.kind), now=named(kind))
            )
        return self.begin

    def choose(self, name: str, choose: Callable[[], Choice]) -> Choice:
        """Return the choice made before, or make it and keep it: for choices that rest on measured time."""
        if name in self.settled:
            return self.settled[name]
        choice = choose()
        if self.settle is not None:
            self.settle(choice)
        return choice

    def fitting(self, like: Arrays, prefix: str = "") -> dict[str, NDArray[Any]]:
        """Return own copies of the checkpoint's arrays of these names, less their prefix.

        Raises RunError where one is absent, or has another shape or type than its like.
        """
        assert self.begin is not None
        found: dict[str, NDArray[Any]] = {}
        for name, wanted in like.items():
            array = self.begin.arrays.get(prefix + name)
            if array is None:
                raise self.foreign(say("it holds no {name}", name=prefix + name))
            if array.shape != wanted.shape or array.dtype != wanted.dtype:
                kept, here = (f"{each.dtype} {list(each.shape)}" for each in (array, wanted))
                raise self.foreign(
                    say("{name} is {kept} there and {here} here", name=prefix + name, kept=kept, here=here)
                )
            found[name] = np.array(array)
        return found

    def foreign(self, why: Sentence) -> RunError:
        """Return the error that says that the checkpoint is not of this training."""
        return RunError(
            say(
                'the checkpoint of run "{run}" is of another model or other data: {why}; fit again',
                run=self.run,
                why=why,
            )
        )


def point_arrays(name: str, point: Point) -> dict[str, NDArray[Any]]:
    """Return the arrays of a point under a name."""
    return {f"{name}.weights": point.weights, f"{name}.intercept": point.intercept}


def point_of(name: str, arrays: Arrays) -> Point:
    """Return the point whose arrays lie under a name."""
    return Point(np.array(arrays[f"{name}.weights"]), np.array(arrays[f"{name}.intercept"]))


def metric_arrays(name: str, metric: Metric) -> dict[str, NDArray[Any]]:
    """Return the arrays of a metric under a name."""
    joint = {} if metric.joint is None else {f"{name}.joint": metric.joint}
    return {f"{name}.{index}": matrix for index, matrix in enumerate(metric.matrices)} | joint


def metric_of(name: str, arrays: Arrays, intercept: bool) -> Metric:
    """Return the metric whose arrays lie under a name."""
    count = sum(each.rpartition(".")[0] == name and each != f"{name}.joint" for each in arrays)
    joint = arrays.get(f"{name}.joint")
    matrices = tuple(np.array(arrays[f"{name}.{index}"]) for index in range(count))
    return Metric(matrices, intercept, None if joint is None else np.array(joint))
