"""What a file of sparse examples holds: rows that name their features themselves."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from downslope.data.blocks import SparseRows
from downslope.types import Offsets, Vector

LABEL = "label"
"""The target of such a file."""
SVMLIGHT, VOWPAL_WABBIT = "svmlight", "vw"
FORMATS = (SVMLIGHT, VOWPAL_WABBIT)
NAME_LETTERS = 200


@dataclass(frozen=True)
class FileEntries:
    """The entries of the rows of svmlight or Vowpal Wabbit files.

    rows: ``places`` are the indices of svmlight, or the 32 bits of the hash of a feature's name. importance: (n,) of
    each row, None where all are 1. origins: (entries,) where the names begin in ``contents``, None where indices name
    themselves. contents: the files, one after the other. bad: lines left out.
    """

    format: str
    rows: SparseRows
    importance: Vector | None
    origins: Offsets | None
    contents: tuple[NDArray[np.uint8], ...]
    bad: int = 0

    def names(self, entries: NDArray[np.intp]) -> list[bytes]:
        """Return the names of some entries, such as ``user^age``."""
        assert self.origins is not None
        begins = np.cumsum([0, *(each.shape[0] for each in self.contents)]).tolist()
        found: list[bytes] = []
        for origin in self.origins[entries].tolist():
            file = bisect_right(begins, origin) - 1
            found.append(_name(self.contents[file], origin - begins[file]))
        return found


def _name(content: NDArray[np.uint8], place: int) -> bytes:
    """Return the name of the feature at a place, after the name of its namespace."""
    name = re.split(rb"[\s:]", content[place : place + NAME_LETTERS].tobytes(), maxsplit=1)[0]
    reach = NAME_LETTERS
    while True:
        before = content[max(place - reach, 0) : place].tobytes()
        line = before.rsplit(b"\n", 1)[-1]
        bar = line.rfind(b"|")
        if bar >= 0 or reach > place or b"\n" in before:
            break
        reach *= 16
    space = re.split(rb"[\s:]", line[bar + 1 :], maxsplit=1)[0]
    return space + b"^" + name if space else name
