"""DS303: columns with many values missing."""

from __future__ import annotations

from downslope.diagnosis.facts import quoted
from downslope.records import Finding, Run
from downslope.records.figures import share
from downslope.words import say

MANY = 0.2
"""Share of missing values from which what stands in for them shapes the fit of its column."""


def find(run: Run) -> Finding | None:
    """Name the columns in use whose values are missing in many rows."""
    rows = run.data.rows + run.data.dropped_rows
    gaps = {column.name: column.missing / rows for column in run.data.columns if rows and column.features}
    names = sorted((name for name in gaps if gaps[name] >= MANY), key=lambda name: -gaps[name])
    if not names:
        return None
    return Finding(
        "DS303",
        say("Many values missing"),
        say(
            "{names}: up to {part} of the values are missing, in {columns} of {all} columns in use",
            names=quoted(names),
            part=share(gaps[names[0]]),
            columns=len(names),
            all=len(gaps),
        ),
        say("find out why they are missing; --drop the column if it is recorded only after the answer is known"),
    )
