"""Tables larger than memory: what a fit of 1, 10 (and 100) million rows takes, and how fast the cached blocks pass.

The table is synthetic: flights resampled with jitter (``large_tables``). A pass of the kernels over the cached blocks
is compared with a plain sequential read of the same files, both with the files dropped from the page cache before, and
both with the files in it.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import large_tables
from benchmarks.results import Figure, seconds
from benchmarks.text import zipf_texts
from downslope.fitting.large import PROGRAMS

MEMORY = 1_000_000_000
SIZES = (1_000_000, 10_000_000)
LARGEST = 100_000_000
LINES = 1_000_000
DATA = MEMORY - PROGRAMS
REPEATS = 5
PLAIN_READ = 4 << 20
"""Bytes that the plain read asks for at once."""

FIT = """
import json, sys, time
import downslope as ds
began = time.perf_counter()
told = []
run = ds.fit(sys.argv[1], runs=None, memory="1GB", cache=sys.argv[2], **json.loads(sys.argv[3]))
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"peak": int(peak) * 1024, "seconds": time.perf_counter() - began, "read": run.seconds["read"],
    "passes": run.passes, "gap": run.gap, "streamed": "streamed" in run.environment}))
"""


@dataclass(frozen=True)
class Fitted:
    """One process that fits a table: peak resident bytes, seconds in all and until it is encoded, passes."""

    peak: int
    seconds: float
    read: float
    passes: float
    gap: float
    streamed: bool


@dataclass(frozen=True)
class Passed:
    """Bytes a second of the plain read and of a pass, and the rows and bytes of the stream."""

    rows: int
    size: int
    plain: float
    ours: float

    @property
    def ratio(self) -> float:
        """The pass against the read."""
        return self.ours / self.plain


def fitted(source: str, cache: Path, settings: dict[str, object]) -> Fitted:
    """Fit in a process of its own."""
    command = [sys.executable, "-c", FIT, source, str(cache), json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Fitted(**json.loads(done.stdout.splitlines()[-1]))


def passes(source: str, target: str, cache: Path, *, cold: bool, repeats: int = REPEATS) -> Passed:
    """Measure passes over the blocks of a table that is encoded already, and plain reads, in turns."""
    from downslope.data.large.prepare import prepare_large
    from downslope.engines import linear as engine
    from downslope.losses import make_loss
    from downslope.models.linear import Objective, Point
    from downslope.records import Spec

    stream = prepare_large(source, Spec(source=source, target=target, cache=str(cache)), DATA, _quiet).train
    files = [stream.path(block) for block in range(stream.blocks)]
    size = sum(path.stat().st_size for path in files)
    objective = Objective(make_loss("log"), 0.0, 1e-7, True, 1)
    point = Point(0.1 * np.random.default_rng(0).normal(size=(stream.features, 1)), np.zeros(1))
    timed: dict[str, list[float]] = {"plain": [], "ours": []}
    with engine.one_blas_thread():
        engine.evaluate(stream, objective, point)  # compares the checksums, once
        for _ in range(repeats):
            for name, work in (
                ("plain", lambda: read_plainly(files)),
                ("ours", lambda: engine.evaluate(stream, objective, point)),
            ):
                timed[name].append(_timed(work, files, cold=cold))
    plain, ours = (size / statistics.median(timed[name]) for name in ("plain", "ours"))
    return Passed(stream.rows, size, plain, ours)


def _timed(work: Callable[[], object], files: list[Path], *, cold: bool) -> float:
    if cold:
        drop(files)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def drop(files: list[Path]) -> None:
    """Drop files from the page cache; they are on disk already."""
    for path in files:
        with path.open("rb", buffering=0) as file:
            os.fdatasync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_plainly(files: list[Path]) -> None:
    """Read files from end to end into one buffer, as ``dd`` does."""
    buffer = memoryview(bytearray(PLAIN_READ))
    for path in files:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def _quiet(event: str, what: object) -> None:
    del event, what


def figures(largest: bool = False, folder: Path | None = None) -> list[Figure]:
    """Return the claims; the tables and the caches are removed again."""
    place = Path(tempfile.mkdtemp(prefix="downslope-large-", dir=folder))
    try:
        return _figures([*SIZES, *([LARGEST] if largest else [])], place)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _figures(sizes: list[int], place: Path) -> list[Figure]:
    found: list[Figure] = []
    fits: dict[int, Fitted] = {}
    for rows in sizes:
        table, cache = place / f"table-{rows}", place / f"cache-{rows}"
        large_tables.make(rows, table)
        source, name = str(table / "*.parquet"), f"{rows // 1_000_000} million flights, resampled"
        fits[rows] = fitted(source, cache, {"target": "late", "method": "scaled"})
        found.append(_memory(f"{name}: peak memory, scaled", fits[rows]))
        batches = fitted(source, cache, {"target": "late", "method": "mini-batch", "epochs": 1})
        found.append(_memory(f"{name}: peak memory, mini-batch", batches))
        if fits[rows].streamed:
            found += [_speed(name, passes(source, "late", cache, cold=cold), cold=cold) for cold in (True, False)]
        shutil.rmtree(table)
        shutil.rmtree(cache, ignore_errors=True)
    found += _lines(place)
    streamed = [rows for rows in sizes if fits[rows].streamed]
    return [*found, *(_linear(small, big, fits) for small, big in pairwise(streamed))]


def _lines(place: Path) -> list[Figure]:
    """Return the claims for the synthetic text of the page of text, as one file of Vowpal Wabbit's format."""
    source, cache = str(zipf_texts(place, LINES, 1).train), place / "cache-text"
    name = f"{LINES // 1_000_000} million texts, Zipf"
    found = [
        _memory(f"{name}: peak memory, {method}", fitted(source, cache, {"method": method, "epochs": epochs}))
        for method, epochs in (("scaled", "auto"), ("mini-batch", 1))
    ]
    found += [_speed(name, passes(source, "label", cache, cold=cold), cold=cold) for cold in (True, False)]
    return found


def _memory(claim: str, fit: Fitted) -> Figure:
    held = "" if fit.streamed else "fits, so it is held in memory; "
    note = (
        f"{held}{seconds(fit.seconds)} in all, {seconds(fit.read)} of it to scan and encode; {fit.passes:.3g} passes, "
        f"gap {fit.gap:.1e}"
    )
    return Figure(
        claim, f"{fit.peak / 1e6:.0f} MB", f"{MEMORY / 1e6:.0f} MB", "--memory 1GB", fit.peak / MEMORY, 1,
        at_least=False, unit=" of it", note=note,
    )  # fmt: skip


def _speed(name: str, passed: Passed, *, cold: bool) -> Figure:
    where = "from disk" if cold else "from the page cache"
    rate = passed.rows / (passed.size / passed.ours) / 1e6
    note = f"{rate:.1f} million rows a second, {passed.size / passed.rows:.0f} bytes a row"
    return Figure(
        f"{name}: a pass over the cached blocks, {where}", f"{passed.ours / 1e6:.0f} MB/s",
        f"{passed.plain / 1e6:.0f} MB/s", f"a plain sequential read of the same files, {where}", passed.ratio,
        0.7 if cold else 0.0, unit=" of it", note=note,
    )  # fmt: skip


def _linear(small: int, big: int, fits: dict[int, Fitted]) -> Figure:
    """Return how much more time a row takes in the larger table; the passes may differ, so a pass is compared."""
    each = {rows: fits[rows].seconds / rows for rows in (small, big)}
    return Figure(
        f"time a row, {big // 1_000_000} against {small // 1_000_000} million rows", f"{each[big] * 1e9:.0f} ns",
        f"{each[small] * 1e9:.0f} ns", "linear", each[big] / each[small], 1.3, at_least=False,
    )  # fmt: skip
