"""Rows that are seen once: standard input, or files of which nothing is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downslope.data.blocks import Examples
from downslope.data.features import Prepared
from downslope.data.large.once import KEPT_ROWS, Once
from downslope.data.target import outputs_of
from downslope.errors import OptionError
from downslope.fitting.large import PROGRAMS, check_least, memory_of
from downslope.fitting.ready import Ready, Tell
from downslope.models.linear import Point
from downslope.records import Spec, StepRecord
from downslope.records.figures import count, figure
from downslope.training import Training
from downslope.training.checkpoint import Keeper
from downslope.training.logbook import Watch
from downslope.training.once import Chunk, Passed, learn_once
from downslope.types import JsonValue
from downslope.words import say

KEPT_SHARE = 16
"""Each of the two samples that are kept takes one of so many parts of the memory, at most."""


@dataclass(frozen=True)
class ReadyOnce:
    """A table on its way.

    chunks: training and held-out rows, the head first. examples: the training rows of the head. outputs: k of the
    model. most_kept: rows of each part to judge by. seconds: until here. tell: called with what goes on.
    """

    spec: Spec
    once: Once
    chunks: Iterator[Chunk]
    examples: Examples
    outputs: int
    most_kept: int
    seconds: float
    tell: Tell | None


def make_ready_once(source: object, spec: Spec, tell: Tell | None = None) -> ReadyOnce:
    """Read and plan the first rows of a source; raises InputError for what the caller can mend."""
    began = time.perf_counter()
    given = spec.source or source
    if not isinstance(given, str | Path):
        message = say(
            "one pass is over files or standard input; what lies in memory can be read again, so leave passes out"
        )
        raise OptionError(message)
    if tell is not None:
        tell("waiting for the first rows", None)
    memory = memory_of(spec)
    check_least(memory)
    once = Once.begin(str(given), spec, memory - PROGRAMS)
    spec = replace(spec, target=once.spec.target)
    chunks = once.chunks()
    head = next(chunks)
    assert head[0] is not None  # a plan without training rows would have been refused
    planned = once.planned
    outputs = outputs_of(planned.classes, planned.loss)
    most = min(max((memory - PROGRAMS) // KEPT_SHARE // planned.layout.held_bytes, 256), KEPT_ROWS)
    return ReadyOnce(spec, once, chain([head], chunks), head[0], outputs, most, time.perf_counter() - began, tell)


def look_line(step: StepRecord) -> str:
    """Return a look, in whose record the rows so far stand for the passes, as one line."""
    held = f", held out {figure(step.holdout, 5)}" if math.isfinite(step.holdout) else ""
    return (
        f"{count(round(step.passes))} rows, loss {figure(step.objective, 5)}{held}, rate {figure(step.learning_rate)}"
    )


def learn(ready: ReadyOnce, watch: Watch | None, keeper: Keeper) -> tuple[Ready, Training, dict[str, JsonValue]]:
    """Return the rows kept to judge by, made ready; the training on all rows; and what is noted of the pass."""
    once = ready.once

    def looked(step: StepRecord) -> None:
        if watch is not None:
            watch(replace(step, passes=math.nan))
        if ready.tell is not None:
            ready.tell(look_line(step), None)

    passed = learn_once(ready.chunks, ready.spec, once.planned.loss, ready.outputs, keeper, looked, ready.most_kept)
    planned, numbers = once.ended(passed.trained, passed.held)
    if numbers is not None:
        passed = renumbered(passed, numbers)
    prepared = Prepared(
        passed.train, passed.holdout, planned.plan, planned.summary, planned.classes, planned.loss, np.empty(0, np.intp)
    )
    noted: dict[str, JsonValue] = {
        "rows": once.rows, "planned_by_rows": once.head.rows, "judged_on_rows": passed.train.rows,
        "judged_on_held_out_rows": 0 if passed.holdout is None else passed.holdout.rows, "bad_files": list(once.bad),
    }  # fmt: skip
    if once.bad and ready.tell is not None:
        told = say("{bad} left out, because they are damaged", bad=say("{count} files", count=count(len(once.bad))))
        ready.tell(str(told), None)
    return Ready(ready.spec, prepared, passed.train, ready.outputs, ready.seconds), passed.training, noted


def renumbered(passed: Passed, numbers: NDArray[np.int64]) -> Passed:
    """Return what a pass came to with its sparse columns in another order; numbers: (s,) what each was until now."""
    place = np.empty(numbers.shape[0], np.int32)
    place[numbers] = np.arange(numbers.shape[0], dtype=np.int32)

    def moved(examples: Examples | None) -> Examples | None:
        if examples is None:
            return None
        (block,) = examples.blocks
        assert block.sparse is not None
        sparse = replace(block.sparse, places=place[block.sparse.places]) if numbers.size else None
        return replace(examples, blocks=(replace(block, sparse=sparse),), sparse=numbers.shape[0])

    point = passed.training.point
    dense = passed.train.numbers + passed.train.levels
    weights = np.concatenate([point.weights[:dense], point.weights[dense:][numbers]])
    train = moved(passed.train)
    assert train is not None
    training = replace(passed.training, point=Point(weights, point.intercept))
    return replace(passed, training=training, train=train, holdout=moved(passed.holdout))
