"""What the pages of a race and of a sweep over networks have in common."""

from __future__ import annotations

from downslope.records import NetworkRace, NetworkSweep
from downslope.records.figures import count, plural


def data_fact(record: NetworkRace | NetworkSweep) -> str:
    """Return the data in words: where from, how many examples of what, and what is held out."""
    held = f", {count(record.held_rows)} more held out" if record.held_rows else ", none held out"
    target = f", target {record.target}" if record.target else ""
    return f"{record.source}, {_examples(record)}{held}{target}"


def _examples(record: NetworkRace | NetworkSweep) -> str:
    if len(record.shape) == 1:
        return f"{plural(record.rows, 'training row')}, {plural(record.shape[0], 'feature')}"
    height, width, _ = record.shape
    return f"{plural(record.rows, 'training image')} of {width} x {height} pixels"


def measured_fact(record: NetworkRace | NetworkSweep) -> str:
    """Return which examples training losses are of, empty for all."""
    if record.measured_rows == record.rows:
        return ""
    return f"; training losses are of {count(record.measured_rows)} examples drawn from them"
