"""DS304: columns that nothing could be learned from."""

from __future__ import annotations

from downslope.diagnosis.facts import quoted
from downslope.records import ColumnSummary, Finding, Run
from downslope.words import joined, part_of, say

LEFT_OUT = "left out: "
"""How the treatment of a column begins that became no feature."""


def find(run: Run) -> Finding | None:
    """Name the columns that were left out without being asked to, by reason."""
    asked = {*run.spec.drop, run.spec.weights, run.spec.holdout_by}
    reasons: dict[str, list[str]] = {}
    for column in run.data.columns:
        if column.features == 0 and column.name not in asked:
            reasons.setdefault(_reason(column), []).append(column.name)
    if not reasons:
        return None
    return Finding(
        "DS304",
        say("Columns left out"),
        joined(
            say("; "),
            [say("{names} ({reason})", names=quoted(names), reason=reason) for reason, names in reasons.items()],
        ),
        say("nothing to do if that is right; if a column should count, change its values or its type in the source"),
    )


def _reason(column: ColumnSummary) -> str:
    return part_of(column.treatment, "reason") or column.treatment.removeprefix(LEFT_OUT)
