"""Where the methods of a race are compared: at equal updates, equal examples and equal seconds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

GRID = (1, 2, 5)
"""Checkpoints of updates stand at these numbers times powers of ten."""
SECONDS = (1, 3)
"""Checkpoints of seconds, likewise."""
PARTS = (0.01, 0.1, 0.5)
"""Checkpoints of examples below one pass."""


@dataclass(frozen=True)
class Mark:
    """Where one training stood: updates and examples so far, seconds of descent, F; of networks the held-out loss."""

    updates: int
    examples: float
    seconds: float
    objective: float
    held: float = math.nan


Trace: TypeAlias = tuple[Mark, ...]
"""Marks of one training, or of several that each were planned for a budget, in the order of their updates."""


def checkpoints(most: int, grid: Sequence[int] = GRID) -> list[int]:
    """Return 1, 2, 5, 10, 20, 50 ... up to ``most``, and ``most`` itself."""
    marks = [each * 10**power for power in range(len(str(most))) for each in grid if each * 10**power < most]
    return [*marks, most]


def example_checkpoints(rows: int, passes: int) -> list[float]:
    """Return parts of a pass, then 1, 2, 5, 10 ... passes up to ``passes``, in examples."""
    parts = [share * rows for share in PARTS if share * rows >= 1]
    return [*parts, *(float(rows * each) for each in checkpoints(passes))]


def second_checkpoints(least: float, most: float) -> list[float]:
    """Return 1, 3, 10, 30 ... times a power of ten, from the last one below ``least`` to the first above ``most``."""
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(most)) + 1)
    marks = [each * 10.0**power for power in powers for each in SECONDS]
    first = max((each for each in marks if each <= least), default=marks[0])
    last = min((each for each in marks if each >= most), default=marks[-1])
    return [each for each in marks if first <= each <= last]


def updates_within(rows: int, batch: int, examples: float) -> int:
    """Return how many updates so many examples allow; the last batch of an epoch may be a small one."""
    epochs, rest = divmod(int(examples), rows)
    return epochs * -(-rows // batch) + rest // batch


def budgets(
    traces: Iterable[Trace], rows: int, passes: int, updates: Iterable[int] | None = None
) -> dict[str, list[float]]:
    """Return the checkpoints of updates, examples and seconds that all methods are compared at.

    updates: those of updates, by default those of GRID and one a pass.
    """
    known = list(traces)
    last = [trace[-1] for trace in known]
    firsts = [mark.seconds for trace in known for mark in trace if mark.updates > 0 and mark.seconds > 0]
    seconds = second_checkpoints(min(firsts), max(mark.seconds for mark in last)) if firsts else []
    usual = {passes, *checkpoints(max(1, *(mark.updates for mark in last)))}
    return {
        "updates": [float(each) for each in sorted(usual if updates is None else updates)],
        "examples": example_checkpoints(rows, passes),
        "seconds": seconds,
    }


def reached(traces: Iterable[Trace], budget: float, name: str, ended: bool) -> list[Mark] | None:
    """Return where each training stood when a budget was spent: its longest run within it.

    name: updates, examples or seconds. ended: a method that came to its end stands there from then on. None where one
    of the trainings cannot be compared: it took no such small a step, or was not to take as many.
    """
    found: list[Mark] = []
    for trace in traces:
        mark = _within(trace, budget, name)
        if mark is None or not (ended or budget <= getattr(trace[-1], name)):
            return None
        found.append(mark)
    return found


def _within(trace: Trace, budget: float, name: str) -> Mark | None:
    most = budget * (1.0 + 1e-9)
    found = [each for each in trace if each.updates > 0 and float(getattr(each, name)) <= most]
    return max(found, key=lambda each: each.updates) if found else None
