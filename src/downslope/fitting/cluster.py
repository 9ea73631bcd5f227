"""A fit whose rows lie with the workers of a cluster."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from downslope.cluster.crew import Crew
from downslope.cluster.forecast import Forecast, forecast
from downslope.cluster.joining import join, leave, processors
from downslope.cluster.prepare import ClusterPrepared, open_on_cluster, prepare_on_cluster, weighted
from downslope.cluster.source import ClusterSource
from downslope.data.target import outputs_of
from downslope.errors import OptionError
from downslope.fitting.large import balanced, free_memory, programs_of
from downslope.fitting.ready import Tell
from downslope.machine import cores
from downslope.records import Spec
from downslope.records.sizes import bytes_of
from downslope.types import JsonValue
from downslope.words import say

THREADS = 1
"""Of each worker. More would add up in another order, so the bits would depend on the number of workers."""
HOLD = 0.25
"""Of the free memory of a machine, what its workers hold together of encoded rows."""


@dataclass(frozen=True)
class ReadyCluster:
    """A table scanned, and encoded by the workers that hold it. outputs: k of the model. seconds: until here."""

    spec: Spec
    prepared: ClusterPrepared
    examples: ClusterSource
    outputs: int
    seconds: float
    crew: Crew

    def spread(self) -> dict[str, JsonValue]:
        """Return what is noted of the cluster in the environment of a run."""
        return {
            "workers": len(self.crew.actors), "threads": self.crew.threads, "shards": len(self.crew.sizes),
            "lost": [{"worker": each.worker + 1, "why": each.why} for each in self.crew.lost],
            "notes": [str(each) for each in self.prepared.notes],
        }  # fmt: skip


def check_files(source: object, spec: Spec) -> None:
    """Raise OptionError for a source that workers cannot read by themselves."""
    if spec.sql is not None or not isinstance(spec.source or source, str | Path):
        message = say("a cluster reads files, and this is none; name a file, glob or folder, or leave --cluster out")
        raise OptionError(message)


def check_cluster(source: object, spec: Spec) -> None:
    """Raise OptionError for what a cluster does not do."""
    check_files(source, spec)
    if not spec.target:
        message = say("no target was named; say which column to predict with --target")
        raise OptionError(message)
    if spec.model.startswith("cnn"):
        message = say(
            "a cluster trains on tables, and the model {model} takes images; leave --cluster out", model=spec.model
        )
        raise OptionError(message)
    if spec.method == "stochastic":
        message = say("single examples are too little to share out; use --method mini-batch, scaled or full-batch")
        raise OptionError(message)


@contextmanager
def on_cluster(source: object, spec: Spec, tell: Tell | None = None) -> Generator[ReadyCluster]:
    """Join a cluster, spread a source over its workers, and leave it again; raises InputError or WorkerError."""
    began = time.perf_counter()
    check_cluster(source, spec)
    assert spec.cluster is not None
    report = tell or _quiet
    files, pieces = open_on_cluster(str(spec.source or source), spec)
    report("joining the cluster", None)
    asked = None if isinstance(spec.workers, str) else int(spec.workers)
    joined_here = join(spec.cluster, asked or 1)
    try:
        workers = asked or processors()
        crew = Crew([each.size for each in pieces], workers, THREADS, _held(spec), lambda what: report(what, None))
        try:
            prepared = prepare_on_cluster(files, pieces, spec, crew, report)
            report("data", prepared.summary)
            outputs = outputs_of(prepared.classes, prepared.loss)
            examples = prepared.train
            if spec.class_weight is not None:
                examples = weighted(examples, balanced(examples, len(prepared.classes)))
            yield ReadyCluster(spec, prepared, examples, outputs, time.perf_counter() - began, crew)
        finally:
            crew.dismiss()
    finally:
        if joined_here:
            leave()


def plan_fit(source: object, spec: Spec) -> Forecast:
    """Return what a fit on a cluster would read, move and hold, and how long it would take, without any worker.

    Where the number of workers is left open, it is the processors of this machine. Raises InputError.
    """
    if spec.cluster is None:
        message = say("--plan is of a fit on a cluster; give --cluster auto, or leave it out")
        raise OptionError(message)
    if spec.model not in ("auto", "linear"):
        message = say("--plan measures the passes of a linear model; leave --model or --plan out")
        raise OptionError(message)
    check_cluster(source, spec)
    files, pieces = open_on_cluster(str(spec.source or source), spec)
    return forecast(files, pieces, spec, cores() if isinstance(spec.workers, str) else int(spec.workers))


def _held(spec: Spec) -> int:
    """Return how many bytes of encoded rows a worker may hold in memory."""
    asked = bytes_of("memory", spec.memory)
    if asked is not None:
        return max(asked - programs_of(spec), 0) // 2
    return int(free_memory() * HOLD * min(THREADS / cores(), 1.0))


def _quiet(event: str, what: object) -> None:
    del event, what
