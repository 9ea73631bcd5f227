"""The built front end: one module and one stylesheet, as the package ships them."""

from __future__ import annotations

from pathlib import Path

from downslope.errors import DownslopeError
from downslope.words import say

FRONT = Path(__file__).resolve().parent.parent / "front"
"""The folder of ``downslope.js`` and ``downslope.css``."""
NOT_BUILT = say(
    "the front end is not built; install downslope again, or build it in a copy of its sources with make front"
)


def module() -> str:
    """Return the module; raises DownslopeError where it is not built."""
    return _read("downslope.js")


def stylesheet() -> str:
    """Return the stylesheet; raises DownslopeError where it is not built."""
    return _read("downslope.css")


def _read(name: str) -> str:
    try:
        return (FRONT / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DownslopeError(NOT_BUILT) from None
