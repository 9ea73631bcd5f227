"""The rows of a stream that are mixed at a time, and how near that comes to a full shuffle."""

from __future__ import annotations

from downslope.data.large.windows import Windows
from downslope.errors import OptionError
from downslope.models.linear import Objective
from downslope.records import Choice
from downslope.records.figures import count, figure
from downslope.words import say


def choose_window(windows: Windows, objective: Objective) -> Choice:
    """Return the rows of a window, with how far the targets of windows lie apart: a pass over the targets alone."""
    if len(windows.sizes) == 1:
        return Choice("window", windows.rows, say("all rows fit into one window, so that every shuffle is a full one"))
    apart, shuffled = windows.apart(max(objective.outputs, 2) if objective.loss.classifies else 0)
    reason = say(
        "rows are mixed within windows in memory, each of pieces drawn from all of the table; the mean target of a "
        "window is off by {apart} deviations, where a full shuffle gives {shuffled}",
        apart=figure(apart, 2),
        shuffled=figure(shuffled, 2),
    )
    evidence = {"deviations_apart": apart, "of_a_full_shuffle": shuffled, "windows": len(windows.sizes)}
    return Choice("window", windows.rows, reason, (evidence,))


def check_batch(windows: Windows, batch: int) -> None:
    """Raise OptionError for a batch that no window holds."""
    if batch > windows.rows:
        message = say(
            "a batch of {batch} rows does not fit into the {rows} that are in memory at once; take a smaller one, or "
            "the method full-batch",
            batch=count(batch),
            rows=count(windows.rows),
        )
        raise OptionError(message)
