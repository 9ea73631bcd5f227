"""How a training gets on, on standard error: one live line in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import Any

from downslope.records import DataSummary, StepRecord
from downslope.records.figures import count, duration, figure, plural

EVERY = 5.0
"""Seconds between lines where there is no terminal to rewrite one in: a log stays short."""

REFRESHES = 10
"""Times a second that the live line is drawn."""


class Progress:
    """Shows what it is told of, as the callbacks ``watch`` and ``tell`` of a training; silent when quiet."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Start the clock."""
        self._quiet = quiet
        self._live: Any = None
        self._line = "reading"
        self._began = self._printed = time.monotonic()

    def __enter__(self) -> Progress:
        """Show the live line, in a terminal."""
        if not self._quiet and sys.stderr.isatty():
            from rich.live import Live

            from downslope.cli.render import console_for

            self._live = Live(
                get_renderable=self._drawn,
                console=console_for(sys.stderr),
                refresh_per_second=REFRESHES,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the live line away."""
        if self._live is not None:
            self._live.stop()

    def watch(self, step: StepRecord) -> None:
        """Show a step."""
        self._say(step_line(step))

    def tell(self, event: str, what: object) -> None:
        """Show what the training is busy with."""
        if isinstance(what, DataSummary):
            self._say(f"{plural(what.rows, 'row')} read, measuring and choosing")
        else:
            self._say(f"{event} {what}" if isinstance(what, str) else event)

    def _say(self, line: str) -> None:
        self._line = line
        now = time.monotonic()
        if self._live is None and not self._quiet and now - self._printed >= EVERY:
            self._printed = now
            print(f"{line}, {duration(now - self._began)}", file=sys.stderr, flush=True)

    def _drawn(self) -> Any:
        from rich.text import Text

        elapsed = duration(time.monotonic() - self._began)
        return Text(f"{self._line}  {elapsed}", style="dim", no_wrap=True, overflow="ellipsis")


def step_line(step: StepRecord) -> str:
    """Return a step as one line: update, pass, objective, gap, learning rate."""
    gap = f", gap {figure(step.gap, 2)}" if math.isfinite(step.gap) else ""
    rate = f", rate {figure(step.learning_rate)}" if math.isfinite(step.learning_rate) else ""
    passes = f", pass {figure(step.passes)}" if math.isfinite(step.passes) else ""
    return f"update {count(step.update)}{passes}, objective {figure(step.objective, 5)}{gap}{rate}"
