"""DS305: many rows have no answer to learn from."""

from __future__ import annotations

from downslope.records import Finding, Run
from downslope.records.figures import plural, share

MANY = 0.05
"""Share of dropped rows from which the rest may no longer stand for the whole."""


def find(run: Run) -> Finding | None:
    """Say how many rows were dropped because their target is null."""
    dropped, read = run.data.dropped_rows, run.data.rows + run.data.dropped_rows
    if not dropped or dropped < MANY * read:
        return None
    return Finding(
        "DS305",
        "Rows without a target",
        f'{plural(dropped, "row")}, {share(dropped / read)} of those read, were dropped because "{run.spec.target}" '
        "is null",
        "check that the rows without an answer are like the others; if not, the model does not speak for them",
    )
