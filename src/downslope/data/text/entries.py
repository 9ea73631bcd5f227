"""What a file of sparse examples holds: rows that name their features themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from downslope.data.blocks import SparseRows
from downslope.types import Codes, Offsets, Vector

LABEL = "label"
"""The target of such a file."""
SVMLIGHT, VOWPAL_WABBIT = "svmlight", "vw"
FORMATS = (SVMLIGHT, VOWPAL_WABBIT)
NAME_LETTERS = 200


@dataclass(frozen=True)
class Origins:
    """Where names begin. begins: (n,) of the line of each row. within: (entries,) of each name in its line."""

    begins: Offsets
    within: Codes

    def of(self, entries: NDArray[np.intp], rows: SparseRows) -> Offsets:
        """Return where the names of some entries begin in all files together."""
        return self.begins[np.searchsorted(rows.starts, entries, "right") - 1] + self.within[entries]


@dataclass(frozen=True)
class FileEntries:
    """The entries of the rows of svmlight or Vowpal Wabbit files.

    rows: ``places`` are the indices of svmlight, or the 32 bits of the hash of a feature's name. importance: (n,) of
    each row, None where all are 1. origins: where the names begin in ``contents``, None where indices name themselves.
    contents: the files, one after the other. bad: lines left out.
    """

    format: str
    rows: SparseRows
    importance: Vector | None
    origins: Origins | None
    contents: tuple[NDArray[np.uint8], ...]
    bad: int = 0

    def names(self, entries: NDArray[np.intp]) -> tuple[NDArray[np.uint8], Offsets]:
        """Return the names of some entries, such as ``user^age``: their letters in a row, and where each ends."""
        from downslope.data.text.parsing import write_names

        assert self.origins is not None
        origins = self.origins.of(entries, self.rows)
        ends = np.zeros(origins.shape[0], np.int64)
        letters = np.empty(0, np.uint8)
        for _ in range(2):  # first how long they are, then what they are
            base = 0
            for content in self.contents:
                write_names(content, base, origins, NAME_LETTERS, ends, letters)
                base += content.shape[0]
            if letters.shape[0] == 0:
                ends = np.cumsum(ends)
                letters = np.empty(int(ends[-1]), np.uint8)
        return letters, ends
