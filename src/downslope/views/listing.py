"""The list of saved runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from downslope.records import Run
from downslope.records.figures import duration, figure, plural
from downslope.records.scores import SCORES
from downslope.views.after import TONES, score, score_label
from downslope.views.parts import Section, Table, Text, Tone, texts


class Unreadable(Protocol):
    """A run that could not be read: its name, and why."""

    @property
    def run(self) -> str:
        """Its name."""
        ...

    @property
    def problem(self) -> str:
        """One sentence saying why."""
        ...


class Unended(Protocol):
    """A run that has not ended: as far as its last checkpoint tells."""

    @property
    def run(self) -> str:
        """Its name."""
        ...

    @property
    def updates(self) -> int | None:
        """Updates at the last checkpoint, None before the first."""
        ...

    @property
    def seconds(self) -> float | None:
        """Seconds of descent at the last checkpoint, None before the first."""
        ...

    @property
    def running(self) -> bool:
        """True while a process is training it."""
        ...

    @property
    def of_function(self) -> bool:
        """True for the descent of a function, which goes on from Python alone."""
        ...


def listing(runs: Sequence[Run | Unreadable], unended: Sequence[Unended] = ()) -> tuple[Section, ...]:
    """Return the table of runs, below it the ones that have not ended, and the unreadable ones with the reason."""
    whole = [run for run in runs if isinstance(run, Run)]
    broken = [Text(f"{run.run}: {run.problem}", Tone.BAD) for run in runs if not isinstance(run, Run)]
    heads = ("run", "target", "method", "verdict", "gap", "held out", "time")
    rows = tuple(_row(run) for run in whole)
    table = Table(heads, rows, right=frozenset({4, 6}), spare=(6, 2, 1))
    sections = (
        Section("Runs", (table,) if rows else ()),
        Section("Not ended", tuple(Text(_unended(each), Tone.WARN) for each in unended)),
        Section("Cannot be read", tuple(broken)),
    )
    return tuple(section for section in sections if section.parts)


def _row(run: Run) -> tuple[Text, ...]:
    gap = figure(run.gap, 2) if math.isfinite(run.gap) else "–"
    seconds = run.seconds.get("total", math.nan)
    return (
        *texts(run.run, run.spec.target, str(run.setting("method"))),
        Text(run.verdict.value, TONES[run.verdict]),
        *texts(gap, _held_out(run), duration(seconds) if math.isfinite(seconds) else "–"),
    )


def _unended(run: Unended) -> str:
    so_far = "before its first checkpoint"
    if run.updates is not None and run.seconds is not None:
        so_far = f"{plural(run.updates, 'update')}, {duration(run.seconds)}"
    way = f'minimize(..., resume="{run.run}")' if run.of_function else f"downslope resume {run.run}"
    state = "being trained now" if run.running else f"cut short; {way} takes it up"
    return f"{run.run}: {so_far}; {state}"


def _held_out(run: Run) -> str:
    """Return the score that says most: the first that counts upwards, else the first there is."""
    scores = run.holdout or run.train
    names = [name for name in SCORES if name in scores] or list(scores)
    upwards = [name for name in names if name in SCORES and SCORES[name].higher]
    if not names:
        return ""
    name = (upwards or names)[0]
    return score(name, scores[name]) if name == "accuracy" else f"{score_label(name)} {figure(scores[name])}"
