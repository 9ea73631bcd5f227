"""PyArrow, imported when first used; it has no type stubs, so what it gives is ``Any`` from here on."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def arrow() -> Any:
    """Return the module ``pyarrow``."""
    return import_module("pyarrow")


def compute() -> Any:
    """Return the module ``pyarrow.compute``."""
    return import_module("pyarrow.compute")
