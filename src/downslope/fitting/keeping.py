"""A run kept on disk while it is on its way, so that it can be taken up again after a kill."""

from __future__ import annotations

import glob
import os
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

import numpy as np

from downslope.cluster.source import ClusterSource
from downslope.data.blocks import Examples, Source
from downslope.data.large.stream import Stream
from downslope.errors import InputError, RunError
from downslope.records import Spec
from downslope.store import Progress, begin
from downslope.training.checkpoint import Checkpoint, Keeper


@contextmanager
def keeping(
    spec: Spec, examples: Source, runs: str | Path | None, progress: Progress | None = None
) -> Generator[Keeper]:
    """Keep a run on disk until the block ends.

    spec: what was asked. examples: what it is trained on. runs: the folder of runs, or None. progress: of a run taken
    up again.

    See ``keep_until_done``, which this is for a training on examples.
    """

    def started() -> Progress | None:
        return None if runs is None or not spec.checkpoint_seconds else begin(runs, spec, source_print(spec))

    with keep_until_done(spec.checkpoint_seconds, started, lambda: examples_print(examples), progress) as keeper:
        yield keeper


@contextmanager
def keep_until_done(
    every: float, started: Callable[[], Progress | None], data_print: Callable[[], int], progress: Progress | None
) -> Generator[Keeper]:
    """Keep a run on disk until the block ends.

    every: seconds between two checkpoints. started: makes the progress of a new run, None for one that is not kept.
    data_print: returns a fingerprint of the data, which costs a read of it. progress: of a run taken up again.

    What was kept is removed once the block is done, and where the caller made a mistake. Whatever else stops it, Ctrl-C
    too, leaves the last checkpoint in place, if there was one. Raises RunError where the data is not that of the
    checkpoint.
    """
    fresh = progress is None
    progress = started() if progress is None else progress
    if progress is None:
        yield Keeper()
        return
    known = [] if progress.data is None else [progress.data]
    if known and known[0] != data_print():
        progress.keep()
        message = f'the data of run "{progress.run}" has changed since its last checkpoint; fit again'
        raise RunError(message)

    def write(checkpoint: Checkpoint) -> None:
        known[:] = known or [data_print()]
        progress.write(checkpoint, known[0])

    try:
        keeper = Keeper(progress.run, every, write, progress.settle, progress.checkpoint, progress.settled)
        yield keeper
    except BaseException as error:
        if fresh and (isinstance(error, InputError) or not known):
            progress.remove()
        progress.keep()
        raise
    if keeper.stopped and known:
        progress.keep()
    else:
        progress.remove()


def source_print(spec: Spec) -> str:
    """Return a fingerprint of the files of a source: their names, sizes and times; "" where it is no file."""
    digest, files = sha256(), 0
    for path in [*_files_of(spec.source), *_files_of(spec.target, alone=True)]:
        seen = path.stat()
        digest.update(f"{path}\0{seen.st_size}\0{seen.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        files += 1
    return digest.hexdigest() if files else ""


def _files_of(place: str, *, alone: bool = False) -> list[Path]:
    """Return the files that a path, glob or folder means, hidden ones left out. alone: one file, or nothing."""
    path = os.path.expanduser(place)
    if os.path.isfile(path):
        return [Path(path)]
    if alone or not place:
        return []
    if os.path.isdir(path):
        return sorted(Path(where, each) for where, _, names in os.walk(path) for each in names if each[0] != ".")
    return sorted(Path(each) for each in glob.glob(path, recursive=True) if os.path.isfile(each))


def examples_print(examples: Source) -> int:
    """Return a fingerprint of encoded examples: the CRC-32 of their numbers, codes, entries, targets and weights.

    Of a stream, or of what lies on a cluster, that of its key, which its blocks carry, each with a checksum of its own.
    """
    if isinstance(examples, Stream | ClusterSource):
        return zlib.crc32(f"{examples.key} {examples.rows}".encode())
    return examples.total(_print_of)


def _print_of(examples: Examples) -> int:
    arrays = [each for block in examples for each in (block.numbers, block.codes)]
    sparse = [block.sparse for block in examples if block.sparse is not None]
    arrays += [each for rows in sparse for each in (rows.starts, rows.places, rows.values)]
    arrays += [examples.target] if examples.weights is None else [examples.target, examples.weights]
    sum_so_far = 0
    for array in arrays:
        sum_so_far = zlib.crc32(f"{array.dtype.str} {array.shape}".encode(), sum_so_far)
        content: Any = memoryview(cast("Any", np.ascontiguousarray(array))).cast("B") if array.size else b""
        sum_so_far = zlib.crc32(content, sum_so_far)
    return sum_so_far
