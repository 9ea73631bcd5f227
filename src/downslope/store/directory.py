"""One folder of files, put on disk whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".writing-"
"""How the name of a folder begins that is not whole yet."""

ENDING = ".unfinished"
"""How the name of a hidden folder ends whose run has not ended."""

LOCK = ".lock"
"""Held shared by every writer while it writes, so that whoever can hold it alone knows all other writers dead."""


def write_whole(parent: Path, name: str, files: Mapping[str, bytes]) -> Path:
    """Write ``files`` (relative name -> content) as the folder ``parent/name`` and return its path.

    The folder appears by one rename once its bytes are on disk; a kill before that leaves a hidden
    leftover, which the next writer removes. Raises FileExistsError where ``parent/name`` is taken, and
    OSError, with nothing left behind, where the disk refuses.
    """
    make_folder(parent)
    delete_leftovers(parent)
    with _writing(parent):
        partial = parent / f"{PARTIAL}{name}-{secrets.token_hex(4)}"
        try:
            _write_files(partial, files)
            _rename(partial, parent / name)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        sync(parent)
    return parent / name


def delete_leftovers(parent: Path) -> None:
    """Remove the partial folders of writers that died, unless another writer is at work in ``parent``."""
    if not any(parent.glob(f"{PARTIAL}*")):
        return
    with _lock(parent, alone=True) as locked:
        if locked:
            for leftover in parent.glob(f"{PARTIAL}*"):
                shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _writing(parent: Path) -> Generator[None]:
    with _lock(parent, alone=False):
        yield


@contextmanager
def _lock(parent: Path, *, alone: bool) -> Generator[bool]:
    """Hold the lock of ``parent``, shared or alone; yields False where it cannot be had alone.

    The system lets go of the lock when its holder dies, however it dies. Where there are no such locks
    (Windows, some network disks) nothing is ever held alone, and leftovers stay.
    """
    if sys.platform == "win32":
        yield False
        return
    import fcntl

    handle = os.open(parent / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
            held = True
        except OSError:
            held = False
        yield held
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder where there is none; raises NotADirectoryError where a file has its name."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error


def _rename(partial: Path, whole: Path) -> None:
    """Rename a folder to a name that is free; raises FileExistsError where it is not, even where it just was."""
    if whole.exists():
        raise FileExistsError(whole)
    try:
        partial.rename(whole)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise FileExistsError(whole) from error
        raise


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    folders = {folder}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folders.add(path.parent)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    for each in folders:
        sync(each)


def sync(folder: Path) -> None:
    """Put the names in a folder on disk; Windows does so by itself and cannot open a folder."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
