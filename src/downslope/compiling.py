"""How a kernel is compiled, and where the result is kept.

A kernel is plain Python until its first call; then Numba compiles it for the types it met and keeps the
machine code on disk. The folder's name carries a digest of the engine's sources and of the versions that
shaped the code, so an upgrade can never run yesterday's kernel.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
import platformdirs
from numba.core import config, event

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

FAST = {"reassoc", "contract", "arcp", "nsz"}
"""Freedoms given to the compiler. Not ``nnan`` or ``ninf``: they would let it drop the tests for NaN."""

SOURCES = (
    "compiling.py",
    "data/gather.py",
    "data/text/grams.py",
    "data/text/hashing.py",
    "data/text/parsing.py",
    "data/text/rows.py",
    "engines/arguments.py",
    "engines/dummies.py",
    "engines/elementary.py",
    "engines/kernels.py",
    "engines/lanes.py",
    "engines/prefetch.py",
    "engines/quadratic.py",
    "engines/ranking.py",
    "engines/scaling.py",
    "engines/sparse.py",
    "engines/sparse_steps.py",
    "engines/stepping.py",
    "losses/loss.py",
    "steps.py",
)
"""What shapes the machine code; the last two give it their constants."""


def _cache_folder() -> str:
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    here = Path(__file__).parent
    for name in SOURCES:
        source = here / name
        if source.exists():
            digest.update(source.read_bytes())
    base = os.environ.get("NUMBA_CACHE_DIR") or platformdirs.user_cache_dir("downslope", appauthor=False)
    return str(Path(base) / f"kernels-{digest.hexdigest()[:16]}")


CACHE_FOLDER = _cache_folder()


def kernel(function: Kernel) -> Kernel:
    """Compile ``function`` on its first call, without the interpreter lock, and keep it on disk."""
    return _compiled(function, FAST)


def ordered_kernel(function: Kernel) -> Kernel:
    """Compile as ``kernel`` does, every sum in the order in which it is written.

    For kernels that call kernels: the process that compiles them runs another copy of what they call than those
    that load them from disk, and only code that leaves the compiler no freedom of order gives both the same bits.
    """
    return _compiled(function, FAST - {"reassoc"})


def _compiled(function: Kernel, freedoms: set[str]) -> Kernel:
    settings = cast("Any", config)
    before: str = settings.CACHE_DIR
    settings.CACHE_DIR = CACHE_FOLDER
    try:
        return cast("Kernel", numba.njit(nogil=True, fastmath=freedoms, error_model="numpy", cache=True)(function))
    finally:
        settings.CACHE_DIR = before


def inlined(function: Kernel) -> Kernel:
    """Mark a small function that kernels call, to be compiled into each of them."""
    return cast("Kernel", numba.njit(nogil=True, fastmath=FAST, error_model="numpy", inline="always")(function))


class CompileClock(event.Listener):
    """Adds up the seconds that compiling took; ``seconds`` is read before and after a piece of work."""

    def __init__(self) -> None:
        """Start at zero."""
        self.seconds = 0.0
        self._depth = 0
        self._began = 0.0

    def on_start(self, event: Any) -> None:
        """Note the outermost start."""
        del event
        if self._depth == 0:
            self._began = time.perf_counter()
        self._depth += 1

    def on_end(self, event: Any) -> None:
        """Add the time since the outermost start."""
        del event
        self._depth -= 1
        if self._depth == 0:
            self.seconds += time.perf_counter() - self._began


COMPILE_CLOCK = CompileClock()
cast("Any", event).register("numba:compile", COMPILE_CLOCK)
