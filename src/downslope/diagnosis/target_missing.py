"""DS305: many rows have no answer to learn from."""

from __future__ import annotations

from downslope.records import Finding, Run
from downslope.records.figures import plural, share
from downslope.words import say

MANY = 0.05
"""Share of dropped rows from which the rest may no longer stand for the whole."""


def find(run: Run) -> Finding | None:
    """Say how many rows were dropped because their target is null."""
    dropped, read = run.data.dropped_rows, run.data.rows + run.data.dropped_rows
    if not dropped or dropped < MANY * read:
        return None
    return Finding(
        "DS305",
        say("Rows without a target"),
        say(
            '{rows}, {part} of those read, were dropped because "{target}" is null',
            rows=plural(dropped, "row"),
            part=share(dropped / read),
            target=run.spec.target,
        ),
        say("check that the rows without an answer are like the others; if not, the model does not speak for them"),
    )
