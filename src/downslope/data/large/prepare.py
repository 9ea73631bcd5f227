"""A table larger than memory made ready: scanned, planned, encoded, or found in the cache as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from downslope.data.large.cache import Cache
from downslope.data.large.encoding import HELD, TRAIN, encode_table
from downslope.data.large.planned import Planned, planned_of
from downslope.data.large.reading import Files, open_files
from downslope.data.large.scan import Scan, scan
from downslope.data.large.stream import Stream
from downslope.data.plan import Plan
from downslope.errors import OptionError, SourceError
from downslope.records.figures import count
from downslope.records.run import DataSummary
from downslope.records.sizes import written
from downslope.records.spec import Spec
from downslope.words import Sentence, say

WINDOW_SHARE, MOST_MIXED = 8, 64 << 20
"""A window of rows that are mixed takes one of so many parts of the memory, and no more bytes than this; there are two.

The bound is the same on all machines with memory enough, and with it the order of the rows."""

Tell = Callable[[str, object], None]
Scanned: TypeAlias = "tuple[Scan, tuple[int, ...], tuple[str, ...]]"
"""What a look at every row gives: see ``scan``."""


@dataclass(frozen=True)
class LargePrepared:
    """A table larger than memory, made ready; as ``features.Prepared``, with streams for examples.

    cache: where its blocks lie. notes: what was done unasked, in sentences.
    """

    train: Stream
    holdout: Stream | None
    plan: Plan
    summary: DataSummary
    classes: tuple[str, ...]
    loss: str
    cache: Cache
    notes: tuple[Sentence, ...] = ()


def prepare_large(source: str, spec: Spec, memory: int, tell: Tell) -> LargePrepared:
    """Return a table's streams, encoded now unless a cache has them.

    memory: bytes that reading and encoding may take. tell: called with what goes on. Raises SourceError, ColumnError,
    TargetError, WeightsError or OptionError.
    """
    files = open_files(source, where=spec.where, drop=spec.drop, memory=memory, skip_bad=spec.skip_bad_files)
    cache = Cache.of(files, spec)
    with cache.locked():
        try:
            planned, notes = _planned(files, spec, cache, tell)
            files = as_planned(files, spec, planned)
            check_memory(planned, memory)
            if not cache.whole or lacking(planned, cache):
                encode(files, spec, planned, cache, tell)
        except BaseException:
            if not (cache.folder / TRAIN).exists():
                cache.remove()
            raise
        cache.touch()
    bad = (*files.bad, *planned.bad)
    if bad:
        told = say("{bad} left out, because they are damaged", bad=say("{count} files", count=count(len(bad))))
        notes = (*notes, told)
        tell(str(told), None)
    train = stream_of(planned, cache, TRAIN, planned.summary.train_rows)
    return LargePrepared(
        replace(train, window=min(memory // WINDOW_SHARE, MOST_MIXED)),
        stream_of(planned, cache, HELD, planned.summary.holdout_rows) if planned.summary.holdout_rows else None,
        planned.plan, planned.summary, planned.classes, planned.loss, cache, notes,
    )  # fmt: skip


def _planned(files: Files, spec: Spec, cache: Cache, tell: Tell) -> tuple[Planned, tuple[Sentence, ...]]:
    found = cache.planned()
    if found is not None:
        return found, ()
    notes: tuple[Sentence, ...] = ()
    if cache.whole or (cache.folder / TRAIN).exists():
        notes = (say("the block cache was damaged, and is written again"),)
        tell(str(notes[0]), None)
    cache.clear()
    planned = plan_table(
        files, spec, lambda given: scan(given, spec, lambda at: tell(f"scanning, {count(at)} rows", None))
    )
    cache.keep_plan(planned)
    return planned, notes


def plan_table(files: Files, spec: Spec, scanned: Callable[[Files], Scanned]) -> Planned:
    """Return the plan of a table, its text files looked at whole where a look at their beginning led astray.

    scanned: reads all rows. Raises what ``scan`` and ``planned_of`` do.
    """
    careful = False
    try:
        seen, rows, bad = scanned(files)
    except SourceError:
        wider = _carefully(files, spec)
        if wider.types == files.types:
            raise
        careful, files = True, wider
        seen, rows, bad = scanned(files)
    return replace(planned_of(seen, spec, files.source, rows, bad), careful=careful)


def _carefully(files: Files, spec: Spec) -> Files:
    """Return the same files, the types of text files settled by a look at all of their rows."""
    return open_files(
        files.source, where=spec.where, drop=spec.drop, memory=files.memory, skip_bad=spec.skip_bad_files, careful=True
    )


def as_planned(files: Files, spec: Spec, planned: Planned) -> Files:
    """Return the files with the types that they were planned with."""
    return _carefully(files, spec) if planned.careful else files


def encode(files: Files, spec: Spec, planned: Planned, cache: Cache, tell: Tell, before: int = 0) -> None:
    """Write the blocks of some files, before which ``before`` rows of the table stand, where there is room for them."""
    cache.make_room(planned.size)
    rows, size = count(sum(planned.file_rows)), written(planned.size)
    tell(f"writing {size} of blocks to {cache.folder}", None)
    encode_table(
        files, spec, planned, cache, lambda at: tell(f"encoding {size}, {count(at)} of {rows} rows", None), before
    )


def lacking(planned: Planned, cache: Cache) -> bool:
    """Return whether a cache that was whole has lost blocks since."""
    for part, rows in ((TRAIN, planned.summary.train_rows), (HELD, planned.summary.holdout_rows)):
        stream = stream_of(planned, cache, part, rows)
        if not all(stream.path(block).exists() for block in range(stream.blocks)):
            return True
    return False


def stream_of(planned: Planned, cache: Cache, part: str, rows: int) -> Stream:
    """Return the examples of a part of a cache."""
    return Stream(
        cache.folder / part, cache.key, planned.layout, rows, planned.plan.levels, planned.plan.center,
        planned.plan.scale,
    )  # fmt: skip


def check_memory(planned: Planned, memory: int) -> None:
    """Raise OptionError where the blocks that are in memory at once, and what training holds, are too much."""
    needed = least_memory(planned)
    if needed > memory:
        message = say(
            "--memory leaves {memory} for data, and one block of this table takes {needed} with what goes beside it; "
            "allow {more} more",
            memory=written(memory),
            needed=written(needed),
            more=written(needed - memory),
        )
        raise OptionError(message)


def least_memory(planned: Planned) -> int:
    """Return the bytes that training needs beside the programs: two rings of blocks, a Hessian and its factors."""
    layout, features = planned.layout, planned.plan.features
    block = layout.rows * (layout.row_bytes + layout.held_bytes)
    hessian = 8 * min(features, 4000) ** 2
    return 4 * block + 6 * hessian
