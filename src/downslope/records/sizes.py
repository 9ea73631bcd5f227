"""Sizes as they are written: ``1GB``, ``512 MiB``, ``20000000``."""

from __future__ import annotations

import re

from downslope.errors import OptionError
from downslope.words import say

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_WRITTEN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(|[kmgt]i?)b?\s*", re.IGNORECASE)


def bytes_of(name: str, written: str | None) -> int | None:
    """Return a size in bytes, None for None; raises OptionError for the setting ``name`` where it is no size."""
    if written is None:
        return None
    found = _WRITTEN.fullmatch(written)
    size = int(float(found[1]) * UNITS[found[2].lower()]) if found else 0
    if size < 1:
        message = say(
            "{name} must be a size such as 800MB, 1GB or 2GiB, but is {written}",
            name=name.replace("_", "-"),
            written=repr(written),
        )
        raise OptionError(message)
    return size


def written(size: float) -> str:
    """Return a size in bytes as people write it, such as ``3.2 GB``."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size:.0f} bytes"
