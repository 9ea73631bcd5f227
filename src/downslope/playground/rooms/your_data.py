"""Your data: a table from the page, a target, and a fit that is watched while it goes down.

The table comes as bytes and is fitted as ``downslope.fit`` fits it, in a thread of its own, into a folder that is gone
when the page is. What is asked of the fit are the settings of the room alone: no path and no query.
"""

from __future__ import annotations

import io
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.errors import DownslopeError, InputError
from downslope.playground.limits import FIT_SECONDS
from downslope.playground.rooms.picture import Picture, plain
from downslope.playground.rooms.table import SEEDS, choice, flag, number, text, whole
from downslope.playground.uploads import Upload
from downslope.records.spec import METHODS

if TYPE_CHECKING:
    from downslope.records import Run, StepRecord

SHOWN_ROWS = 20
"""Rows of a table that a page sees."""
PROGRESS_SECONDS = 1.0 / 30.0
"""Seconds between two accounts of a fit at least."""
MOST_POINTS = 2000
"""Looks at a fit that are told of; every second goes where there are more."""
Tell = Callable[[str, Picture, list[bytes]], None]


@dataclass(frozen=True)
class YourData:
    """The settings of the room. target: a column; model: as ``downslope fit --model`` takes it."""

    target: str = text("", 200, "t")
    model: str = text("auto", 60, "m")
    method: str = choice("auto", ("auto", *METHODS), "w")
    standardize: bool = flag(True, "z")
    holdout: float = number(0.2, 0.0, 0.9, "h")
    seconds: float = number(30.0, 1.0, FIT_SECONDS, "s", log=True)
    seed: int = whole(0, 0, SEEDS, "n")


class _Away(KeyboardInterrupt):  # how the loops of training are told to end where they stand
    """The fit was stopped from the page."""


class Desk:
    """A table, its fit and what came of it; messages come one at a time."""

    def __init__(self, tell: Tell, table: Any = None, name: str = "") -> None:
        """Take whom to tell, and a table that is there from the beginning, if any."""
        self._tell, self._table, self._name = tell, table, name
        self._settings = YourData()
        self._upload: Upload | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._run: Run | None = None
        self._stop = threading.Event()
        self._fitting: threading.Thread | None = None

    def picture(self, settings: YourData) -> Picture:
        """Take new settings, and return what there is; a fit that runs goes on by the old ones."""
        self._settings = settings
        return Picture({"table": _told(self._table, self._name), "fitting": self._busy})

    @property
    def _busy(self) -> bool:
        return self._fitting is not None and self._fitting.is_alive()

    def receive(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Do what a message asks; raises InputError."""
        asked = {"upload": self._take, "fit": self._fit, "stop": self._end, "download": self._give}
        asked[content["do"]](content, buffers)

    def close(self) -> None:
        """End a fit, and free the table and what came of it."""
        self._stop.set()
        if self._upload is not None:
            self._upload.close()
        self._upload = self._table = None
        if not self._busy:
            self._sweep()

    def _sweep(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _take(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Take a piece of a table; the last one makes it the table of the room."""
        if len(buffers) != 1:
            message = "a piece of a table is one buffer"
            raise InputError(message)
        name, size, at = content.get("name"), content.get("size", len(buffers[0])), content.get("at", 0)
        if not isinstance(name, str) or not _is_whole(size) or not _is_whole(at):
            message = "an upload needs a name, a size and a place"
            raise InputError(message)
        if at == 0:
            if self._upload is not None:
                self._upload.close()
            self._upload = Upload(name, size)
        if self._upload is None:
            message = "the first piece of the table has not come"
            raise InputError(message)
        if not self._upload.add(at, buffers[0]):
            self._tell("uploaded", Picture({"at": self._upload.at}), [])
            return
        upload, self._upload = self._upload, None
        self._table, self._name, self._run = upload.table(), name[:200], None
        self._tell("table", Picture({"table": _told(self._table, self._name)}), [])

    def _fit(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Begin a fit by the settings of the room."""
        del content, buffers
        if self._table is None:
            message = "there is no table yet; choose a file or paste one"
            raise InputError(message)
        if self._busy:
            message = "a fit is under way; stop it first"
            raise InputError(message)
        if self._settings.target not in self._table.column_names:
            message = f'the table has no column "{self._settings.target}"; choose the target among its columns'
            raise InputError(message)
        self._stop.clear()
        arguments = (self._table, self._settings)
        self._fitting = threading.Thread(target=self._carry_out, args=arguments, name="playground fit", daemon=True)
        self._fitting.start()

    def _carry_out(self, table: Any, settings: YourData) -> None:
        from downslope.fitting import fit

        watcher = _Watcher(self._tell, self._stop)
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="downslope-play-", ignore_cleanup_errors=True)
        try:
            self._run = run = fit(
                table, settings.target, runs=self._folder.name, watch=watcher, max_seconds=settings.seconds,
                model=settings.model, method=settings.method, standardize=settings.standardize,
                holdout=settings.holdout, seed=settings.seed, checkpoint_seconds=0.0,
            )  # fmt: skip
            self._tell("fitted", _fitted(run, watcher), [])
        except (DownslopeError, MemoryError) as error:
            message = str(error) or "the table does not fit in memory"
            self._tell("error", Picture({"message": message}), [])
        except KeyboardInterrupt:
            self._tell("error", Picture({"message": "the fit was stopped before its first step"}), [])
        finally:
            if self._table is None:
                self._sweep()

    def _end(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        del content, buffers
        self._stop.set()

    def _give(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Send what came of the fit as a file: the saved run, or the table with its predictions."""
        del buffers
        makes = {"model": self._zipped, "predictions": self._predicted}
        what = content.get("what")
        if self._run is None or self._table is None or self._busy:
            message = "there is nothing to download before a fit has ended"
            raise InputError(message)
        if what not in makes:
            message = f"what to download is one of {', '.join(makes)}"
            raise InputError(message)
        name, whole = makes[str(what)]()
        self._tell("file", Picture({"name": name, "what": what}), [whole])

    def _zipped(self) -> tuple[str, bytes]:
        folder, packed = Path(str(self._run and self._run.path)), io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in sorted(folder.rglob("*")):
                if each.is_file():
                    archive.write(each, Path(folder.name) / each.relative_to(folder))
        return f"{folder.name}.zip", packed.getvalue()

    def _predicted(self) -> tuple[str, bytes]:
        import pyarrow.csv as csv

        from downslope.fitting import predict

        writer: Any = csv
        packed = io.BytesIO()
        writer.write_csv(predict(self._run or "", self._table), packed)
        return "predictions.csv", packed.getvalue()


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class _Watcher:
    """Tells of a fit as it goes, at display rate, and ends it when it is to stop."""

    def __init__(self, tell: Tell, stop: threading.Event) -> None:
        self._tell, self._stop = tell, stop
        self._told = 0.0
        self.points: list[tuple[float, ...]] = []

    def __call__(self, step: StepRecord) -> None:
        if self._stop.is_set():
            raise _Away
        self.points.append((step.update, step.passes, step.seconds, step.objective, step.gap, step.holdout))
        if len(self.points) > MOST_POINTS:
            self.points = self.points[::2]
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            told = {
                "update": step.update, "passes": step.passes, "seconds": step.seconds, "objective": step.objective,
                "gap": step.gap, "gap_kind": step.gap_kind.value, "rate": step.learning_rate,
            }  # fmt: skip
            self._tell("progress", Picture(told, {"curve": self.curve}), [])

    @property
    def curve(self) -> Any:
        """Update, passes, seconds, objective, gap and held-out loss of each look, (k, 6)."""
        return np.array(self.points, np.float64).reshape(-1, 6)


def _told(table: Any, name: str) -> dict[str, Any] | None:
    """Return what a page is shown of a table: its columns and first rows; None for none."""
    if table is None:
        return None
    first = table.slice(0, SHOWN_ROWS).to_pydict()
    return {
        "name": name, "rows": table.num_rows,
        "columns": [{"name": each.name, "type": str(each.type)} for each in table.schema],
        "first": [[_cell(first[name][row]) for name in first] for row in range(min(SHOWN_ROWS, table.num_rows))],
    }  # fmt: skip


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return plain(value)
    return str(value)[:100]


def _fitted(run: Run, watcher: _Watcher) -> Picture:
    """Return what came of a fit: how it ended, how good it is, what was found, and what counts most."""
    values: dict[str, Any] = {
        "verdict": run.verdict.value, "message": run.message, "gap": run.gap, "gap_kind": run.gap_kind.value,
        "objective": run.objective, "objective_at_start": run.objective_at_start, "passes": run.passes,
        "updates": run.updates, "seconds": dict(run.seconds), "train": dict(run.train),
        "holdout": dict(run.holdout or {}), "baseline": dict(run.baseline or {}),
        "findings": [
            {"code": each.code, "title": each.title, "evidence": each.evidence, "remedy": each.remedy}
            for each in run.findings
        ],
        "choices": [{"name": each.name, "value": each.value, "reason": each.reason} for each in run.choices],
        "coefficients": [
            {"feature": each.feature, "value": each.value, "strength": each.strength, "output": each.output}
            for each in run.coefficients
        ],
    }  # fmt: skip
    return Picture(values, {"curve": watcher.curve})
