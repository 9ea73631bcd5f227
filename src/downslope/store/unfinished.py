"""Runs in progress, and those that were cut short: what is needed to take them up again.

::

    runs/.flights-20261121-142301-7f3a.unfinished/
      asked.json              the settings, and a fingerprint of the source
      settled.json            choices that rest on measured time, so that none is made twice
      checkpoint.safetensors  the whole state, as it was last written

The name is hidden and ends as no run's does, so a folder like this is never taken for a whole run. Every file
appears by one rename, so a kill at any instant leaves the one before it. Whoever trains holds a lock that the
system lets go of when the process dies; the folder goes once the whole run is saved, but for a run stopped by hand,
which is saved as far as it came and can still go on.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from downslope.errors import InputError, RunError, nearest
from downslope.records import Choice, Spec, Verdict
from downslope.records.files import plain, record_from_json, record_to_json
from downslope.store.checkpoint import from_bytes, header_of, to_bytes
from downslope.store.directory import ENDING, LOCK, PARTIAL, delete_leftovers, make_folder, sync
from downslope.store.reading import LATEST, MINIMUM, find, is_minimum
from downslope.store.writing import new_name
from downslope.training.checkpoint import Checkpoint
from downslope.types import JsonValue

ASKED, SETTLED, STATE = "asked.json", "settled.json", "checkpoint.safetensors"
FORMAT = 1
"""Version of ``asked.json``; a reader refuses any other."""
BLANK = 60.0
"""Seconds after which a folder without settings is one whose writer died."""
TRIES, PAUSE = 20, 0.05
"""How often, and after how many seconds, a lock is asked for again: whoever lists runs holds it for a moment."""


@dataclass(frozen=True)
class Unfinished:
    """A run that has not ended.

    path: its folder. spec: what was asked. source: fingerprint of the source. began: when, in ISO 8601. updates,
    seconds: at its last checkpoint, None before the first. running: another process is training it now.
    """

    run: str
    path: str
    spec: Spec
    source: str
    began: str
    updates: int | None
    seconds: float | None
    running: bool

    @property
    def of_function(self) -> bool:
        """True for the descent of a function, of which ``source`` holds what was asked and no fingerprint."""
        return self.source.startswith("{")


@dataclass
class Progress:
    """The folder of a run in progress, with its lock held."""

    run: str
    folder: Path
    spec: Spec
    source: str
    settled: dict[str, Choice] = field(default_factory=dict[str, Choice])
    checkpoint: Checkpoint | None = None
    data: JsonValue = None
    lock: int | None = None

    def settle(self, choice: Choice) -> None:
        """Keep a choice that must not be made anew."""
        self.settled[choice.name] = choice
        values = {name: record_to_json(each) for name, each in self.settled.items()}
        _replace(self.folder / SETTLED, json.dumps(values).encode())

    def write(self, checkpoint: Checkpoint, data: JsonValue) -> None:
        """Put a checkpoint in the place of the last. data: a fingerprint of the examples."""
        about = {"run": self.run, "spec": self.spec.to_json(), "data": data}
        _replace(self.folder / STATE, to_bytes(checkpoint, about), lasting=True)

    def keep(self) -> None:
        """Leave the folder as it is, to be taken up again."""
        if self.lock is not None:
            os.close(self.lock)
            self.lock = None

    def remove(self) -> None:
        """Take the folder away: the run is saved, or came to nothing."""
        away = self.folder.with_name(f"{PARTIAL}{self.run}-{secrets.token_hex(4)}")
        with suppress(OSError):
            self.folder.rename(away)
            shutil.rmtree(away, ignore_errors=True)
        self.keep()


def begin(runs: str | Path, spec: Spec, source: str) -> Progress:
    """Make the folder of a new run; raises OSError where the disk refuses."""
    parent = Path(runs)
    make_folder(parent)
    delete_leftovers(parent)
    _delete_useless(parent)
    while True:
        name = new_name(spec.source)
        folder = parent / f".{name}{ENDING}"
        if (parent / name).exists():
            continue
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        break
    progress = Progress(name, folder, spec, source, lock=_locked(folder))
    now = datetime.now().astimezone().isoformat(timespec="microseconds")
    asked = {"format": FORMAT, "run": name, "began": now, "spec": plain(spec.to_json()), "source": source}
    _replace(folder / ASKED, json.dumps(asked).encode("utf-8", "backslashreplace"))
    return progress


def take_up(run: str | Path, runs: str | Path = "runs") -> Progress:
    """Return the folder of a run that was cut short, its lock held: by name, by path, or the ``latest``.

    Raises RunError where there is none of that name, where it is finished, where another process is at it, and
    where a file of it is damaged.
    """
    folder = _folder_of(run, Path(runs))
    name = name_of(folder)
    try:
        lock = _locked(folder)
    except BlockingIOError:
        message = f'run "{name}" is being trained by another process; wait until it ends, or stop it first'
        raise RunError(message) from None
    try:
        _delete_partial(folder)
        asked = _asked(folder)
        progress = Progress(name, folder, asked.spec, asked.source, _settled(folder), lock=lock)
        progress.checkpoint, progress.data = _checkpoint(folder, asked.spec)
    except RunError:
        if lock is not None:
            os.close(lock)
        raise
    return progress


def list_unfinished(runs: str | Path = "runs") -> list[Unfinished]:
    """Return every run under ``runs`` that has not ended, oldest first, but for those that nobody could take up."""
    found: list[Unfinished] = []
    for folder in _folders(Path(runs)):
        with suppress(RunError):
            found.append(_asked(folder))
    return sorted(found, key=lambda each: (each.began, each.run))


def name_of(folder: Path) -> str:
    """Return the name of the run whose folder this is."""
    return folder.name.removeprefix(".").removesuffix(ENDING)


def _folders(runs: Path) -> list[Path]:
    """Return the folders of runs that have not ended, but for those saved whole just before a kill."""
    found = sorted(runs.glob(f".*{ENDING}"))
    return [each for each in found if (each / ASKED).exists() and not _ended(each)]


def _ended(folder: Path) -> bool:
    """Say whether the run was saved whole already, just before a kill; one stopped by hand can go on."""
    whole = folder.with_name(name_of(folder))
    try:
        record = whole / (MINIMUM if is_minimum(whole) else "run.json")
        return json.loads(record.read_bytes())["verdict"] != Verdict.STOPPED
    except (OSError, ValueError, TypeError, KeyError):
        return (whole / "manifest.json").exists()


def _folder_of(run: str | Path, runs: Path) -> Path:
    name = str(run)
    known = _folders(runs)
    if name == LATEST:
        newest = list_unfinished(runs)
        if newest:
            return Path(newest[-1].path)
        message = f'there is no unfinished run under "{runs}"; every run there has ended'
        raise RunError(message)
    path = Path(name)
    for folder in (runs / f".{name}{ENDING}", path.with_name(f".{path.name}{ENDING}") if path.name else path, path):
        if folder.name.endswith(ENDING) and (folder / ASKED).exists() and not _ended(folder):
            return folder
    try:
        whole = find(name, runs)
    except RunError:
        message = f'there is no unfinished run called "{name}" under "{runs}"{nearest(name, map(name_of, known))}'
        raise RunError(message) from None
    message = f'run "{whole.name}" is finished, so there is nothing to resume; downslope show {whole.name} shows it'
    raise RunError(message)


def _delete_useless(runs: Path) -> None:
    """Remove what kills left of runs that were saved whole already, or of which nothing was written down yet."""
    for folder in runs.glob(f".*{ENDING}"):
        with suppress(OSError):
            blank = not (folder / ASKED).exists() and time.time() - folder.stat().st_mtime > BLANK
            if _ended(folder) or (blank and not _running(folder)):
                shutil.rmtree(folder)


def _delete_partial(folder: Path) -> None:
    """Remove the files that a kill left half written."""
    for path in folder.iterdir():
        if path.name not in (ASKED, SETTLED, STATE, LOCK):
            path.unlink(missing_ok=True)


def _damaged(folder: Path, what: str) -> RunError:
    return RunError(f'run "{name_of(folder)}" cannot be resumed: {what}; delete "{folder}" and fit again')


def _asked(folder: Path) -> Unfinished:
    try:
        asked = json.loads((folder / ASKED).read_bytes())
        if asked["format"] != FORMAT:
            raise _damaged(folder, f"{ASKED} was written by another version of downslope")
        spec = Spec.from_json(asked["spec"])
        began, source = str(asked["began"]), str(asked["source"])
    except (OSError, InputError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise error if isinstance(error, RunError) else _damaged(folder, f"{ASKED} cannot be read") from error
    updates, seconds = _so_far(folder)
    return Unfinished(name_of(folder), str(folder), spec, source, began, updates, seconds, _running(folder))


def _so_far(folder: Path) -> tuple[int | None, float | None]:
    """Return the updates and the seconds of the last checkpoint, from its header alone."""
    try:
        with (folder / STATE).open("rb") as file:
            size = file.read(8)
            header = header_of(size + file.read(int.from_bytes(size, "little")))
        log = json.loads(header["record"])["values"]["log"]
        return int(log["updates"]), float(log["seconds"])
    except (OSError, ValueError, TypeError, KeyError):
        return None, None


def _settled(folder: Path) -> dict[str, Choice]:
    try:
        values = json.loads((folder / SETTLED).read_bytes())
        return {str(name): record_from_json(Choice, each) for name, each in values.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(folder, f"{SETTLED} cannot be read") from error


def _checkpoint(folder: Path, spec: Spec) -> tuple[Checkpoint | None, JsonValue]:
    """Return the checkpoint and the fingerprint of its examples; (None, None) before the first."""
    try:
        checkpoint, about = from_bytes((folder / STATE).read_bytes())
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{STATE} is damaged ({error})") from error
    if about.get("spec") != json.loads(json.dumps(spec.to_json())):
        theirs = cast("Mapping[str, Any]", about.get("spec") or {})
        apart = [name for name, value in spec.to_json().items() if theirs.get(name) != value]
        raise _damaged(folder, f"its checkpoint is from another model, trained with another {', '.join(apart[:3])}")
    return checkpoint, about.get("data")


def _replace(path: Path, content: bytes, *, lasting: bool = False) -> None:
    """Write a file that takes the place of the last by one rename. lasting: it outlives a power cut too."""
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    if lasting:
        sync(path.parent)


def _locked(folder: Path) -> int | None:
    """Hold the lock of a run until the handle is closed or the process dies; raises BlockingIOError where another does.

    None where the system has no such locks (Windows, some network disks).
    """
    if sys.platform == "win32":
        return None
    import fcntl

    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    for last in [False] * TRIES + [True]:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if last:
                os.close(handle)
                raise
            time.sleep(PAUSE)
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
                return None
            raise
        else:
            return handle
    return handle


def _running(folder: Path) -> bool:
    """Say whether a process holds the lock of a run."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        handle = os.open(folder / LOCK, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
