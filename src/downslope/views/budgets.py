"""Methods at equal budgets, as tables: a row for each budget that some method could use, a column for each method."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from downslope.records.figures import count, duration, figure, plural
from downslope.views.parts import Table, Text, Tone

Write = Callable[[float], str]

WRITTEN: dict[str, Write] = {"updates": count, "examples": count, "seconds": duration}
"""How the budgets of each kind are written."""


@dataclass(frozen=True)
class Point:
    """What a method had reached when a budget was spent: nan where it cannot be compared, inf where it diverged."""

    budget: float
    value: float
    scatter: float


@dataclass(frozen=True)
class Progress:
    """What one method had reached at each budget of one kind.

    points: the same budgets in the same order for every method. updates: it made in all. spent: it used of this kind in
    all; inf where it stands at its end from then on.
    """

    name: str
    points: tuple[Point, ...]
    updates: int
    spent: float

    def stands(self, index: int) -> bool:
        """Say whether a number is known at a budget."""
        return len(self.points) > index and math.isfinite(self.points[index].value)


@dataclass(frozen=True)
class Comparison:
    """All methods at the budgets of one kind: updates, examples or seconds. rows: examples of a pass."""

    kind: str
    methods: tuple[Progress, ...]
    rows: int

    @property
    def budgets(self) -> list[float]:
        """The budgets, in order."""
        return [point.budget for point in max((each.points for each in self.methods), key=len, default=())]

    def written(self, index: int) -> str:
        """Return a budget in words, such as ``100 updates`` or ``30 ms``."""
        budget = self.budgets[index]
        return WRITTEN[self.kind](budget) if self.kind == "seconds" else plural(budget, self.kind[:-1])

    def table(self, write: Write) -> Table | None:
        """Return the table, None where no method has reached any budget. write: a value in words."""
        shown, budgets = self._shown(), self.budgets
        if not shown:
            return None
        in_passes = self.kind == "examples"
        rows = tuple(
            (
                Text(WRITTEN[self.kind](budgets[index])),
                *([Text(figure(budgets[index] / self.rows, 2), Tone.QUIET)] if in_passes else []),
                *(self._cell(each, index, write) for each in self.methods),
            )
            for index in shown
        )
        heads = (self.kind, *(["passes"] if in_passes else []), *(each.name for each in self.methods))
        return Table(heads, rows, right=frozenset(range(len(heads))))

    def _shown(self) -> list[int]:
        """Return the budgets worth a row: those some method reached; of updates, powers of ten and where one ended."""
        budgets = self.budgets
        reached = [
            index for index in range(len(budgets))
            if any(len(each.points) > index and not math.isnan(each.points[index].value) for each in self.methods)
        ]  # fmt: skip
        if self.kind != "updates":
            return reached
        ends = {max((each for each in budgets if each <= method.updates), default=0.0) for method in self.methods}
        return [index for index in reached if budgets[index] in ends or math.log10(budgets[index]).is_integer()]

    def _cell(self, method: Progress, index: int, write: Write) -> Text:
        if index >= len(method.points) or math.isnan(method.points[index].value):
            return Text("–", Tone.QUIET)
        point = method.points[index]
        if math.isinf(point.value):
            return Text("diverged", Tone.BAD)
        scatter = f" ± {figure(point.scatter, 2)}" if point.scatter > 0 else ""
        ended = index > 0 and method.points[index - 1].budget >= method.spent
        tone = Tone.GOOD if point.value == self._best(index) else Tone.QUIET if ended else Tone.PLAIN
        return Text(f"{write(point.value)}{scatter}", tone)

    def _best(self, index: int) -> float:
        """Return the smallest value at one budget, nan where no method got there."""
        values = [each.points[index].value for each in self.methods if len(each.points) > index]
        return min((value for value in values if math.isfinite(value)), default=math.nan)

    def telling(self) -> int | None:
        """Return the budget to speak of: the last that most methods have reached, and for examples one pass."""
        budgets = self.budgets
        counts = [sum(each.stands(index) for each in self.methods) for index in range(len(budgets))]
        if not any(counts):
            return None
        most = [index for index, number in enumerate(counts) if number == max(counts)]
        if self.kind == "examples":
            one_pass = [i for i, budget in enumerate(budgets) if budget == self.rows and counts[i] > 1]
            return one_pass[0] if one_pass else most[-1]
        return most[-1] if self.kind == "updates" else most[0]

    def ranked(self, index: int) -> Sequence[tuple[str, Point]]:
        """Return the methods that stand at a budget, the smallest value first."""
        known = [(each.name, each.points[index]) for each in self.methods if each.stands(index)]
        return sorted(known, key=lambda pair: pair[1].value)
