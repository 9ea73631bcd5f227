"""What this machine has for this process: processors and memory."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

_LINUX = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """Return the processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def threads() -> int:
    """Return how many threads work is shared among: DOWNSLOPE_THREADS, or the processors."""
    asked = os.environ.get("DOWNSLOPE_THREADS", "")
    return int(asked) if asked.isdecimal() and int(asked) else cores()


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
