"""How one column, or one part of it, becomes features: plain data, learned from the training rows."""

from __future__ import annotations

from dataclasses import dataclass

MISSING = "missing"
"""The part of a column that is 1 where its value is missing and 0 where it is not."""


@dataclass(frozen=True)
class NumberFeature:
    """One number feature: ``(original - center) / scale``.

    column, part: what is read; part "" is the value itself, "missing" the indicator, others a part of a date.
    kind: what the column holds: number, boolean, date or time.
    fill: the original value that stands in for a missing one: the mean of the training rows.
    """

    column: str
    part: str
    kind: str
    center: float
    scale: float
    fill: float

    @property
    def name(self) -> str:
        """Name of the feature: the column, "column.year", or "column is missing"."""
        if self.part == MISSING:
            return f"{self.column} is missing"
        return f"{self.column}.{self.part}" if self.part else self.column


@dataclass(frozen=True)
class CategoryFeature:
    """One category: the levels that get a weight each, then one for missing, then one for all others.

    column, part, kind: as for a NumberFeature. levels: the most frequent in the training rows first.
    missing: True where values were missing in the training rows, so that missing has a weight of its own.
    The last level, "other", takes the rarer levels, the levels never seen, and missing where it was not seen.
    """

    column: str
    part: str
    kind: str
    levels: tuple[str, ...]
    missing: bool

    @property
    def size(self) -> int:
        """Levels, with missing and other."""
        return len(self.levels) + self.missing + 1

    @property
    def name(self) -> str:
        """Name of the category: the column, or "column.month"."""
        return f"{self.column}.{self.part}" if self.part else self.column

    def feature_names(self) -> list[str]:
        """Return one name a level, such as "carrier=AA", "carrier=(missing)" and "carrier=(other)"."""
        extra = ["(missing)", "(other)"] if self.missing else ["(other)"]
        return [f"{self.name}={level}" for level in (*self.levels, *extra)]


@dataclass(frozen=True)
class LeftOut:
    """A column that is not learned from, with the reason."""

    column: str
    kind: str
    reason: str
