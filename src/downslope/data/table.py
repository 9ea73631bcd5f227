"""A table: columns by name, whatever they were read from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from downslope.data.text.entries import FileEntries
from downslope.errors import ColumnError, SourceError, nearest
from downslope.words import say

COLUMN = say("column")
"""What a column is wanted for where nothing else is said."""


@dataclass(frozen=True)
class Table:
    """Rows held in memory as Arrow columns.

    arrow: a ``pyarrow.Table``. source: what it was read from, in words. rows: rows read. entries: what stands beside
    the columns where a row names its features itself (svmlight, Vowpal Wabbit).
    """

    arrow: Any
    source: str
    rows: int
    entries: FileEntries | None = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(self.arrow.column_names)

    def column(self, name: str, use: str = COLUMN) -> Any:
        """Return the ``pyarrow.ChunkedArray`` called ``name``; raises ColumnError with the nearest names.

        ``use`` says in the message what the column was wanted for, such as "target".
        """
        if name not in self._places:
            message = say(
                'there is no {use} "{name}" in {source}{nearest}',
                use=use,
                name=name,
                source=self.source,
                nearest=nearest(name, self.names),
            )
            raise ColumnError(message)
        return self.arrow.column(self._places[name])

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.names)}


def check_names(names: Sequence[str], source: str) -> None:
    """Raise SourceError where two columns have the same name."""
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        message = say(
            '{source} has more than one column named "{name}"; rename all but one of them',
            source=source,
            name=twice[0],
        )
        raise SourceError(message)


def as_table(arrow_table: Any, source: str) -> Table:
    """Return a Table around a ``pyarrow.Table``; raises SourceError unless it has rows and distinct names."""
    check_names(arrow_table.column_names, source)
    if arrow_table.num_columns == 0:
        message = say("{source} has no columns; give a table with a target and at least one feature", source=source)
        raise SourceError(message)
    if arrow_table.num_rows == 0:
        message = say("{source} has columns but no rows; give a table with data", source=source)
        raise SourceError(message)
    return Table(arrow_table, source, int(arrow_table.num_rows))
