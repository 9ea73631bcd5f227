"""Where block caches lie: a folder for each table and plan, bounded together, the oldest going first.

A folder is named by a digest of the files (path, size, time, place on disk), of the settings that shape the encoding
and of the version, so it can never be taken for that of another table. ``planned.json`` stands in it once the table
was scanned, beside ``planned.npz`` where there are sparse columns, and ``whole.json`` once all blocks are written. A
lock keeps two processes from writing one.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import platformdirs
from numpy.typing import NDArray

from downslope.data.large.met import chooses_bits, most_bits
from downslope.data.large.planned import Planned
from downslope.data.large.reading import Files
from downslope.errors import OptionError
from downslope.records.sizes import bytes_of, written
from downslope.records.spec import Spec
from downslope.words import say

FORMAT = 2
PLANNED, ARRAYS, WHOLE, LOCK = "planned.json", "planned.npz", "whole.json", "lock"
SHAPING = (
    "target", "drop", "where", "weights", "holdout", "holdout_by", "seed", "loss", "standardize", "precision",
    "skip_bad_files", "text", "grams", "hash_bits", "skip_bad_lines",
)  # fmt: skip
"""Settings that shape the blocks."""
SPARE = 256 << 20
"""Bytes of a disk that are left free."""


def default_folder() -> Path:
    """Return the user's folder of block caches."""
    return Path(platformdirs.user_cache_dir("downslope", appauthor=False)) / "blocks"


def key_of(files: Files, spec: Spec) -> str:
    """Return the digest that a cache of some files under some settings is known by."""
    shaping = {name: getattr(spec, name) for name in SHAPING}
    if chooses_bits(files.kind, spec):
        shaping["most_bits"] = most_bits(files.memory)
    told = f"{FORMAT} {version('downslope')} {files.digest()} {json.dumps(shaping, sort_keys=True)}"
    return sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]


@dataclass(frozen=True)
class Cache:
    """The cache of one table. folder: its own. key: see above. limit: bytes that all caches here may take."""

    folder: Path
    key: str
    limit: int

    @classmethod
    def of(cls, files: Files, spec: Spec, key: str | None = None) -> Cache:
        """Return the place of the cache of some files; raises OptionError where none can be made there.

        key: of a part of a table; the caches of parts whose keys are alike up to their ``-`` keep one another.
        """
        base = Path(spec.cache).expanduser() if spec.cache else default_folder()
        key = key or key_of(files, spec)
        try:
            (base / key).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            message = say(
                'no blocks can be cached at "{folder}" ({reason}); name another place with --cache',
                folder=str(base),
                reason=error.strerror or str(error),
            )
            raise OptionError(message) from None
        limit = bytes_of("cache_size", spec.cache_size)
        if limit is None:
            limit = (shutil.disk_usage(base).free + _taken(base)) // 2
        return cls(base / key, key, limit)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep other processes from writing this cache, after any that does so now."""
        with (self.folder / LOCK).open("a") as file:
            _lock(file.fileno(), wait=True)
            yield

    def planned(self) -> Planned | None:
        """Return the plan of an earlier scan, None where there is none that can be read."""
        try:
            values = json.loads((self.folder / PLANNED).read_text("utf-8"))
            if values["key"] != self.key:
                return None
            arrays: dict[str, NDArray[Any]] = {}
            if values["plan"].get("sparse"):
                with (self.folder / ARRAYS).open("rb") as file, np.load(file) as kept:
                    arrays = dict(kept)
            return Planned.from_json(values, arrays)
        except (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile):
            return None

    def keep_plan(self, planned: Planned) -> None:
        """Write the plan down."""
        arrays: dict[str, Any] = planned.plan.arrays()
        if arrays:
            temporary = self.folder / f"{ARRAYS}.part"
            with temporary.open("wb") as file:
                np.savez(file, **arrays)
            os.replace(temporary, self.folder / ARRAYS)
        self._write(PLANNED, {"key": self.key, **planned.to_json()})

    @property
    def whole(self) -> bool:
        """True where all blocks were written."""
        return (self.folder / WHOLE).exists()

    def finish(self) -> None:
        """Say that all blocks are written."""
        self._write(WHOLE, {"key": self.key})

    def touch(self) -> None:
        """Note that the cache was used now, so that it goes last."""
        for name in (PLANNED, WHOLE):
            with suppress(OSError):
                os.utime(self.folder / name)

    def _write(self, name: str, values: dict[str, object]) -> None:
        temporary = self.folder / f"{name}.part"
        temporary.write_text(json.dumps(values, ensure_ascii=False), "utf-8")
        os.replace(temporary, self.folder / name)

    def clear(self) -> None:
        """Remove all but the lock."""
        for each in self.folder.iterdir():
            if each.name == LOCK:
                continue
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the cache."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def make_room(self, size: int) -> None:
        """Make sure that so many bytes more can be written, older caches removed where needed; raises OptionError."""
        base = self.folder.parent
        if size > self.limit:
            message = say(
                "the block cache of this table takes {size}, above the {limit} that --cache-size allows at "
                '"{folder}"; allow more, or drop columns',
                size=written(size),
                limit=written(self.limit),
                folder=str(base),
            )
            raise OptionError(message)
        for _, other in sorted(_others(base, self.folder)):
            if _taken(base) + size <= self.limit and shutil.disk_usage(base).free >= size + SPARE:
                break
            _remove_unused(other)
        free = shutil.disk_usage(base).free
        if free < size + SPARE:
            message = say(
                'the block cache of this table takes {size} at "{folder}", where {free} is free; make room, or name '
                "another place with --cache",
                size=written(size),
                folder=str(base),
                free=written(max(free - SPARE, 0)),
            )
            raise OptionError(message)


def _others(base: Path, own: Path) -> list[tuple[float, Path]]:
    """Return the other caches with the time of their last use."""
    found: list[tuple[float, Path]] = []
    for each in base.iterdir():
        if each.name.partition("-")[0] == own.name.partition("-")[0] or not (each / LOCK).exists():
            continue
        used = next((each / name for name in (WHOLE, PLANNED) if (each / name).exists()), each / PLANNED)
        found.append((used.stat().st_mtime if used.exists() else time.time() - 60.0, each))
    return found


def _remove_unused(folder: Path) -> None:
    with suppress(OSError), (folder / LOCK).open("a") as file:
        if _lock(file.fileno(), wait=False):
            shutil.rmtree(folder, ignore_errors=True)


def _taken(base: Path) -> int:
    """Return the bytes that caches take."""
    total = 0
    for where, _, names in os.walk(base):
        for name in names:
            with suppress(OSError):
                total += os.path.getsize(os.path.join(where, name))
    return total


def _lock(file: int, *, wait: bool) -> bool:
    """Lock an open file until it is closed; return whether that was possible."""
    try:
        import fcntl
    except ImportError:  # Windows, where the blocks that are open cannot be removed either
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True
