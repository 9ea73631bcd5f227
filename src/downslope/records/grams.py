"""N-grams: which runs of words or characters of a text are counted, as scikit-learn names them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from downslope.errors import OptionError
from downslope.words import say

ANALYZERS = ("word", "char", "char_wb")
LONGEST = 9
"""Most words or characters in one n-gram."""


@dataclass(frozen=True)
class Kind:
    """One kind of n-grams: analyzer is word, char or char_wb (characters within words); low .. high make one."""

    analyzer: str
    low: int
    high: int

    @classmethod
    def of(cls, told: str) -> Kind:
        """Return the kind that is written ``word:1-2`` or ``char:4``; raises OptionError."""
        found = re.fullmatch(r"(word|char|char_wb):([1-9])(?:-([1-9]))?", told)
        low, high = (int(found[2]), int(found[3] or found[2])) if found else (1, 0)
        if not found or high < low:
            message = say(
                "grams must be word, char or char_wb, and how many of them at once, such as word:1-2 or char_wb:3-5, "
                "not {value}",
                value=repr(told),
            )
            raise OptionError(message)
        return cls(found[1], low, high)

    @property
    def code(self) -> int:
        """The number by which the kernels know the analyzer."""
        return ANALYZERS.index(self.analyzer)

    def __str__(self) -> str:
        """Return how it is written."""
        return f"{self.analyzer}:{self.low}-{self.high}"
