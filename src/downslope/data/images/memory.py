"""Whether what is about to be read fits in memory, said before it is read."""

from __future__ import annotations

import os
import re
from pathlib import Path

from downslope.errors import SourceError

COPIES = 2
"""The pixels as read, and their training and held-out parts beside them."""

_LINUX = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def check_memory(values: int, itemsize: int, what: str) -> None:
    """Raise SourceError where ``values`` numbers of ``itemsize`` bytes, and the copy made of them, do not fit."""
    needed, free = COPIES * values * itemsize, available_bytes()
    if free is not None and needed > free:
        message = (
            f"{what} would take {size(needed)} of memory, but {size(free)} are free; "
            "give fewer images, or smaller ones with --resize"
        )
        raise SourceError(message)


def available_bytes() -> int | None:
    """Return the bytes of memory that this process can still have, None where the system does not say."""
    found = [each for each in (_of_linux(), _of_group()) if each is not None]
    if found:
        return min(found)
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_linux() -> int | None:
    found = re.search(r"^MemAvailable:\s+(\d+) kB", _text(_LINUX), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _of_group() -> int | None:
    """Return what the limit of a container leaves; files that are only cached can be given back."""
    limit = _text(_GROUP / "memory.max").strip()
    used = re.search(r"^anon (\d+)", _text(_GROUP / "memory.stat"), re.MULTILINE)
    return max(int(limit) - int(used[1]), 0) if limit.isdecimal() and used else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def size(count: int) -> str:
    """Return a number of bytes in words, such as ``1.2 GB``."""
    for unit, name in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if count >= unit:
            return f"{count / unit:,.3g} {name}"
    return f"{count} bytes"
