"""A table larger than memory made ready: scanned, planned, encoded, or found in the cache as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from downslope.data.large.cache import Cache
from downslope.data.large.encoding import HELD, TRAIN, encode_table
from downslope.data.large.met import COLUMN_BYTES, UNPACKED, chooses_bits
from downslope.data.large.planned import Planned, planned_of
from downslope.data.large.reading import Files, open_files
from downslope.data.large.scan import Scan, scan
from downslope.data.large.stream import Stream
from downslope.data.plan import Plan
from downslope.data.target import outputs_of
from downslope.data.text.columns import bits_of
from downslope.data.text.entries import FORMATS
from downslope.data.text.features import TextFeature
from downslope.errors import OptionError, SourceError, TargetError
from downslope.records.figures import count
from downslope.records.run import DataSummary
from downslope.records.sizes import written
from downslope.records.spec import Spec
from downslope.words import Sentence, say

WINDOW_SHARE, MOST_MIXED = 8, 64 << 20
"""A window of rows that are mixed takes one of so many parts of the memory, and no more bytes than this; there are two.

The bound is the same on all machines with memory enough, and with it the order of the rows."""
MOST_SQUARED = 4000
"""Features above which training keeps no Hessian, see ``choices.curvature``."""

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
    files = _opened(source, spec, memory)
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
    for feature in planned.plan.sparse:
        wanted = bits_of(UNPACKED * files.size, feature.kind) if isinstance(feature, TextFeature) else 0
        if chooses_bits(files.kind, spec) and feature.bits < wanted:
            told = say(
                '"{column}" is hashed into 2^{bits} buckets and no more, since {memory} are there for data; raise '
                "--memory, or set --hash-bits",
                column=feature.column, bits=feature.bits, memory=written(memory),
            )  # fmt: skip
            notes = (*notes, told)
            tell(str(told), None)
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

    scanned: reads all rows, once more with fewer buckets of a hash where classes turn out to be many. Raises what
    ``scan`` and ``planned_of`` do.
    """
    planned = _plan(files, spec, scanned)
    outputs = outputs_of(planned.classes, planned.loss)
    taken = COLUMN_BYTES * planned.plan.sparse_columns * outputs
    if outputs > 1 and chooses_bits(files.kind, spec) and taken > files.memory // 2:
        planned = _plan(replace(files, memory=files.memory // outputs), spec, scanned)
    return planned


def _plan(files: Files, spec: Spec, scanned: Callable[[Files], Scanned]) -> Planned:
    careful = False
    try:
        seen, rows, bad = scanned(files)
    except (SourceError, TargetError) as error:
        if isinstance(error, TargetError) and files.kind not in FORMATS:
            raise  # labels that misled may be too many classes; a column is what it is
        wider = _opened(files.source, spec, files.memory, careful=True)
        if wider.types == files.types:
            raise
        careful, files = True, wider
        seen, rows, bad = scanned(files)
    return replace(planned_of(seen, spec, files, rows, bad), careful=careful)


def _opened(source: str, spec: Spec, memory: int, *, careful: bool = False) -> Files:
    """Return the files of a source; careful: the types of text files settled by a look at all of their rows."""
    return open_files(
        source, where=spec.where, drop=spec.drop, memory=memory, skip_bad=spec.skip_bad_files, careful=careful,
        texts=spec.text, skip_bad_lines=spec.skip_bad_lines,
    )  # fmt: skip


def as_planned(files: Files, spec: Spec, planned: Planned) -> Files:
    """Return the files with the types that they were planned with."""
    return _opened(files.source, spec, files.memory, careful=True) if planned.careful else files


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
        planned.plan.scale, sparse=planned.plan.sparse_columns,
    )  # fmt: skip


def check_memory(planned: Planned, memory: int) -> None:
    """Raise OptionError where the blocks that are in memory at once, and what training holds, are too much."""
    needed = least_memory(planned)
    if needed > memory and planned.plan.features > MOST_SQUARED:
        message = say(
            "--memory leaves {memory} for data, and a model of {features} features with the blocks of this table takes "
            "{needed}; allow {more} more, or set fewer --hash-bits",
            memory=written(memory), features=count(planned.plan.features), needed=written(needed),
            more=written(needed - memory),
        )  # fmt: skip
        raise OptionError(message)
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
    """Return the bytes that training needs beside the programs: two rings of blocks, a Hessian and its factors.

    Where features are too many for that, steps are remembered instead.
    """
    layout, features = planned.layout, planned.plan.features
    outputs = outputs_of(planned.classes, planned.loss)
    block = layout.rows * (layout.row_bytes + layout.held_bytes)
    beside = 6 * 8 * features**2 if features <= MOST_SQUARED else COLUMN_BYTES * features * outputs
    return 4 * block + beside
