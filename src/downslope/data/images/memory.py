"""Whether what is about to be read fits in memory, said before it is read."""

from __future__ import annotations

from downslope.errors import SourceError
from downslope.machine import available_bytes
from downslope.records.sizes import written

COPIES = 2
"""The pixels as read, and their training and held-out parts beside them."""


def check_memory(values: int, itemsize: int, what: str) -> None:
    """Raise SourceError where ``values`` numbers of ``itemsize`` bytes, and the copy made of them, do not fit."""
    needed, free = COPIES * values * itemsize, available_bytes()
    if free is not None and needed > free:
        message = (
            f"{what} would take {written(needed)} of memory, but {written(free)} are free; "
            "give fewer images, or smaller ones with --resize"
        )
        raise SourceError(message)
