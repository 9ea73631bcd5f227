"""Compiled programs are kept on disk, so that the second training of a network starts without compiling."""

# The types of JAX and of its libraries are partial.
# pyright: standard
from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import jax
import platformdirs

LEAST_SECONDS = 0.05
"""Seconds of compiling from which a program is worth keeping."""


@cache
def keep_programs() -> None:
    """Have JAX keep what it compiles in the user's cache folder, unless it has been given a folder already."""
    if getattr(jax.config, "jax_compilation_cache_dir", None) or os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    base = os.environ.get("NUMBA_CACHE_DIR") or platformdirs.user_cache_dir("downslope", appauthor=False)
    jax.config.update("jax_compilation_cache_dir", str(Path(base) / "programs"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
