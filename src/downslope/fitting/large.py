"""Which tables are streamed, and in how much memory: what ``--memory`` promises."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from downslope.certificate import class_totals
from downslope.data.blocks import Source
from downslope.data.files import format_of, formats_of
from downslope.data.large.met import COLUMN_BYTES, UNPACKED
from downslope.data.large.prepare import LargePrepared, Tell, prepare_large
from downslope.data.large.stream import Stream
from downslope.data.target import outputs_of
from downslope.data.text.columns import MOST_BITS, bits_of, grams_of
from downslope.data.text.entries import FORMATS
from downslope.errors import OptionError, SourceError
from downslope.machine import available_bytes
from downslope.records import Spec
from downslope.records.grams import Kind
from downslope.records.sizes import bytes_of, written
from downslope.types import JsonValue, Vector
from downslope.words import say

PROGRAMS = 512 << 20
"""Bytes that the programs themselves take, most where kernels are compiled for the first time (measured: 500 MB)."""
NETWORK_PROGRAMS = 288 << 20
"""Bytes that a network takes beside, most where its steps are compiled for the first time (measured: 280 MB)."""
SMALLEST = 64 << 20
"""Bytes for data below which nothing is tried."""
LEAST_KNOWN = 4 << 30
"""Bytes of memory that are taken to be free where the system does not say."""
TRIVIAL = 64
"""A table whose files, times this, are within the memory is not looked at any closer."""
HELD_CELL = 24
"""Bytes of memory that a cell of a table takes while it is fitted in memory: read, decoded and encoded (measured)."""
HELD_GRAM, REPEATED = 24, 4
"""Bytes of memory that an n-gram of a text takes while it is fitted in memory, and how often each comes: both with room
to spare over 300,000 texts (17 bytes, 6 times)."""
BYTES_PER_ENTRY = 8
"""Bytes of a file that an entry of a sparse row takes, about; what it takes in memory is counted by HELD_TEXT."""
HELD_TEXT = 6
"""The same by byte of a text file, 4 times as much where it is compressed."""


@dataclass(frozen=True)
class ReadyLarge:
    """A table larger than memory, scanned and encoded. outputs: k of the model. seconds: until here."""

    spec: Spec
    prepared: LargePrepared
    examples: Stream
    outputs: int
    seconds: float
    memory: int

    def streamed(self) -> dict[str, JsonValue]:
        """Return what is noted of the streaming in the environment of a run."""
        layout = self.prepared.train.layout
        return {
            "memory": self.memory, "cache": str(self.prepared.cache.folder), "block_rows": layout.rows,
            "bytes_per_row": layout.row_bytes, "notes": [str(each) for each in self.prepared.notes],
        }  # fmt: skip


def memory_to_stream_in(source: object, spec: Spec) -> int | None:
    """Return the bytes of memory to stream a source in, None where it is to be held in memory as a whole.

    Raises OptionError where ``--memory`` leaves no room for any data, SourceError where the files cannot be found.
    """
    given = spec.source or source
    if spec.sql is not None or not isinstance(given, str | Path):
        return None
    memory = memory_of(spec)
    try:
        paths, kind = formats_of(str(given))
    except SourceError:
        return None  # the reader in memory says what is wrong
    size = sum(path.stat().st_size for path in paths)
    room = memory - programs_of(spec)
    if not spec.text and kind not in FORMATS and TRIVIAL * size <= room:
        return None
    if needed_memory(paths, kind) + text_memory(paths, kind, spec) <= room:
        return None
    check_least(memory, programs_of(spec))
    return memory


def memory_of(spec: Spec) -> int:
    """Return the bytes of memory that may be taken: those asked for, or half of what is free."""
    asked = bytes_of("memory", spec.memory)
    return free_memory() // 2 if asked is None else asked


def programs_of(spec: Spec) -> int:
    """Return the bytes that the programs themselves take for a model."""
    return PROGRAMS + (0 if spec.model in ("auto", "linear") else NETWORK_PROGRAMS)


def check_least(memory: int, programs: int = PROGRAMS) -> None:
    """Raise OptionError where so many bytes leave no room for any data."""
    if memory < programs + SMALLEST:
        message = say(
            "--memory {memory} is less than the programs and one block take together; allow at least {least}",
            memory=written(memory),
            least=written(programs + SMALLEST),
        )
        raise OptionError(message)


def free_memory() -> int:
    """Return the bytes of memory that can be had without taking any away from other programs."""
    free = available_bytes()
    return LEAST_KNOWN if free is None else free


def needed_memory(paths: Sequence[Path], kind: str) -> int:
    """Return about how many bytes of memory a fit of some files takes when they are held whole."""
    total = 0.0
    for path in paths:
        packed = format_of(path)[1] is not None
        size = path.stat().st_size
        if kind == "Parquet" and not packed:
            cells = _cells(path)
            total += size * HELD_TEXT if cells is None else cells * HELD_CELL
        else:
            total += size * HELD_TEXT * (4 if packed else 1)
    return int(total)


def text_memory(paths: Sequence[Path], kind: str, spec: Spec) -> int:
    """Return about how many bytes of memory more text and sparse rows take: rows of text, and columns in training."""
    if kind in FORMATS:
        entries = sum(unpacked_bytes(path, kind) for path in paths) / BYTES_PER_ENTRY
        return int(COLUMN_BYTES * min(entries / REPEATED, 1 << MOST_BITS))
    if not spec.text:
        return 0
    size = sum(unpacked_bytes(path, kind) for path in paths)
    columns = 0.0
    for told in spec.grams:
        grams = Kind.of(told)
        bits = bits_of(size, grams) if isinstance(spec.hash_bits, str) else int(spec.hash_bits)
        columns += min(1 << bits, grams_of(size, grams) / REPEATED)
    return int(HELD_GRAM * sum(grams_of(size, Kind.of(told)) for told in spec.grams) + COLUMN_BYTES * columns)


def unpacked_bytes(path: Path, kind: str) -> int:
    """Return about how many bytes a file holds before compression."""
    packed = format_of(path)[1] is not None
    if kind == "Parquet" and not packed:
        with suppress(OSError, ValueError):
            found = import_module("pyarrow.parquet").read_metadata(str(path))
            return sum(int(found.row_group(group).total_byte_size) for group in range(found.num_row_groups))
    return path.stat().st_size * (UNPACKED if packed or kind == "Parquet" else 1)


def _cells(path: Path) -> int | None:
    """Return the rows times the columns of a Parquet file, None where it cannot be read."""
    try:
        found = import_module("pyarrow.parquet").read_metadata(str(path))
    except (OSError, ValueError):
        return None
    return int(found.num_rows) * int(found.num_columns)


def make_ready_large(source: object, spec: Spec, memory: int, tell: Tell | None = None) -> ReadyLarge:
    """Scan and encode a source that is streamed in so many bytes; raises InputError for what the caller can mend."""
    began = time.perf_counter()
    if not spec.target:
        message = say("no target was named; say which column to predict with --target")
        raise OptionError(message)
    report = tell or _quiet
    prepared = prepare_large(str(spec.source or source), spec, memory - programs_of(spec), report)
    report("data", prepared.summary)
    outputs = outputs_of(prepared.classes, prepared.loss)
    examples = prepared.train
    if spec.class_weight is not None:
        examples = examples.weighted(balanced(examples, len(prepared.classes)))
    return ReadyLarge(spec, prepared, examples, outputs, time.perf_counter() - began, memory)


def _quiet(event: str, what: object) -> None:
    del event, what


def balanced(examples: Source, classes: int) -> Vector:
    """Return the factors (classes,) that give every class the same total weight."""
    totals = class_totals(examples, classes)
    return examples.weight_sum / (classes * np.maximum(totals, 1e-300))
