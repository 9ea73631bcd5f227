"""A table spread over workers: counted and scanned by them, planned once, and encoded by whoever holds a piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from downslope.cluster.crew import Crew
from downslope.cluster.library import ray
from downslope.cluster.shard import Sharded
from downslope.cluster.source import ClusterSource
from downslope.data.blocks import Block, Examples
from downslope.data.large.encoding import HELD, TRAIN
from downslope.data.large.pieces import (
    Opening,
    Piece,
    Pieces,
    count_piece,
    join_scans,
    key_of_table,
    pieces_of,
    scan_piece,
)
from downslope.data.large.planned import Planned
from downslope.data.large.prepare import Scanned, Tell, plan_table
from downslope.data.large.reading import Files, open_files
from downslope.data.large.scan import empty_scan
from downslope.data.plan import Plan
from downslope.records.figures import count
from downslope.records.run import DataSummary
from downslope.records.spec import Spec
from downslope.types import Vector
from downslope.words import Sentence, say

READING = 512 << 20
"""Bytes that a worker's reader may hold. Fixed, since the sums of a scan depend on how many rows are read at once."""


@dataclass(frozen=True)
class ClusterPrepared:
    """A table made ready on a cluster; as ``data.features.Prepared``, with sources that lie with the workers.

    notes: what was done unasked, in sentences.
    """

    train: ClusterSource
    holdout: ClusterSource | None
    plan: Plan
    summary: DataSummary
    classes: tuple[str, ...]
    loss: str
    notes: tuple[Sentence, ...]


def open_on_cluster(source: str, spec: Spec) -> tuple[Files, tuple[Piece, ...]]:
    """Return the files of a source and the pieces that they are cut in; raises SourceError."""
    files = open_files(source, where=spec.where, drop=spec.drop, memory=READING, skip_bad=spec.skip_bad_files)
    empty_scan(files, spec)  # says what is wrong with the columns before any worker starts
    return files, pieces_of(files)


def prepare_on_cluster(files: Files, pieces: tuple[Piece, ...], spec: Spec, crew: Crew, tell: Tell) -> ClusterPrepared:
    """Return a table whose pieces lie with the workers, encoded now unless their caches have them.

    tell: called with what goes on. Raises SourceError, ColumnError, TargetError, WeightsError, OptionError or
    WorkerError.
    """
    tables: list[Pieces] = []

    def scanned(given: Files) -> Scanned:
        tell(f"scanning, {count(len(crew.actors))} workers", None)
        counts = _each(crew, partial(_count, given, pieces, spec.skip_bad_files))
        firsts = [sum(counts[:index]) for index in range(len(counts))]
        found = _each(crew, partial(_scan, given, pieces, spec, firsts))
        seen, bad, table = join_scans(given, spec, pieces, counts, found)
        tables[:] = [table]
        return seen, table.rows, bad

    planned = plan_table(files, spec, scanned)
    notes: list[Sentence] = []
    bad = (*files.bad, *planned.bad)
    if bad:
        notes.append(say("{bad} left out, because they are damaged", bad=say("{count} files", count=count(len(bad)))))
    if len(crew.actors) < crew.workers:
        told = say(
            "{pieces} files or row groups cannot be shared out among more than {there} workers",
            pieces=count(len(pieces)), there=count(len(crew.actors)),
        )  # fmt: skip
        notes.append(told)
    for note in notes:
        tell(str(note), None)
    tell("encoding on the workers", None)
    opening = Opening(tables[0], spec, planned, TRAIN, key_of_table(files, spec, planned))
    train = _source(crew, opening, planned)
    train.total(_nothing)
    held = _source(crew, replace(opening, part=HELD), planned) if planned.summary.holdout_rows else None
    return ClusterPrepared(
        train, held, planned.plan, planned.summary, planned.classes, planned.loss, tuple(notes)
    )  # fmt: skip


def weighted(source: ClusterSource, class_share: Vector) -> ClusterSource:
    """Return the same examples, the weight of each class multiplied by a factor (classes,)."""
    opener = source.table.opener
    assert isinstance(opener, Opening)
    table = Sharded("weighted", source.table.counts, replace(opener, class_share=class_share))
    return ClusterSource(source.crew, table, source.like, source.key)


def _source(crew: Crew, opening: Opening, planned: Planned) -> ClusterSource:
    table = Sharded(opening.part, opening.table.rows_of(opening.part), opening)
    return ClusterSource(crew, table, _empty(planned), opening.key)


def _empty(planned: Planned) -> Examples:
    layout, plan = planned.layout, planned.plan
    block = Block(0, np.zeros((0, layout.numbers), layout.number_type), np.zeros((0, layout.categories), np.int32))
    return Examples((block,), plan.levels, np.zeros(0), None, plan.center, plan.scale, applied=True)


def _each(crew: Crew, work: Callable[[int], Any]) -> list[Any]:
    """Return ``work`` of the number of each shard, done by whoever holds it, in order."""
    sent = ray().put(work)
    return [found for answers in crew.ask(lambda actor: actor.each.remote(sent)) for found in answers]


def _count(files: Files, pieces: tuple[Piece, ...], skip_bad: bool, index: int) -> int:
    return count_piece(files, pieces[index], skip_bad)


def _scan(files: Files, pieces: tuple[Piece, ...], spec: Spec, firsts: list[int], index: int) -> Any:
    return scan_piece(files, pieces[index], spec, firsts[index])


def _nothing(examples: Examples) -> int:
    return examples.rows
