"""Your data: a table from the page, a target, and a fit that is watched while it goes down.

The table comes as bytes and is fitted as ``downslope.fit`` fits it, in a thread of its own, into a folder that is gone
when the page is. What is asked of the fit are the settings of the room alone: no path and no query.
"""

from __future__ import annotations

import io
import logging
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from downslope.errors import DownslopeError, InputError
from downslope.playground.limits import FIT_SECONDS
from downslope.playground.rooms import Tell
from downslope.playground.rooms.picture import Picture
from downslope.playground.rooms.table import SEEDS, choice, flag, number, settings_from, text, whole
from downslope.playground.rooms.table_shown import as_csv, shown
from downslope.playground.uploads import Upload
from downslope.records.spec import LOSSES, METHODS, Spec
from downslope.views.page import page_of
from downslope.views.page_run import command_of, python_of
from downslope.words import Sentence, both, say

if TYPE_CHECKING:
    from downslope.records import Run, StepRecord

PROGRESS_SECONDS = 1.0 / 20.0
"""Seconds between two accounts of a fit at least."""
MOST_POINTS = 1000
"""Looks at a fit that are told of while it goes; every second goes where there are more."""
FILES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
"""Endings of the files of a page that ``downslope fit`` reads as they are."""


@dataclass(frozen=True)
class YourData:
    """The settings of the room, named as in ``Spec``, and checked there where they are texts; target: a column."""

    target: str = text("", 200, "t")
    model: str = text("auto", 60, "m")
    loss: str = choice("auto", ("auto", *LOSSES), "l")
    method: str = choice("auto", ("auto", *METHODS), "w")
    learning_rate: str = text("auto", 20, "r")
    batch_size: str = text("auto", 20, "b")
    epochs: str = text("auto", 20, "e")
    tolerance: float = number(1e-4, 1e-12, 0.1, "g", log=True)
    standardize: bool = flag(True, "z")
    holdout: float = number(0.2, 0.0, 0.9, "h")
    max_seconds: float = number(30.0, 1.0, FIT_SECONDS, "s", log=True)
    seed: int = whole(0, 0, SEEDS, "n")


NUMBERS = ("learning_rate", "batch_size", "epochs")
"""Settings that are ``auto`` or a number."""


def _asked(settings: YourData) -> dict[str, Any]:
    """Return what the settings of the room are to ``fit``, all but the target."""
    asked = asdict(settings)
    del asked["target"]
    return asked | {name: _number(asked[name]) for name in NUMBERS}


def _number(told: str) -> int | float | str:
    """Return the number that a text is, or the text."""
    for kind in (int, float):
        try:
            return kind(told)
        except ValueError:
            continue
    return told.strip()


def _spec(settings: YourData, name: str) -> Spec:
    """Return what a page is told to ask for itself: the file that it brought, or the one that it can save it as."""
    source = name if name.lower().endswith(FILES) else f"{Path(name).stem}.csv"
    return Spec(source=source, target=settings.target, **_asked(settings))


class _Away(KeyboardInterrupt):  # how the loops of training are told to end where they stand
    """The fit was stopped from the page."""


class Desk:
    """A table, its fit and what came of it; messages come one at a time."""

    def __init__(self, tell: Tell, table: Any = None, name: str = "") -> None:
        """Take whom to tell, and a table that is there from the beginning, if any."""
        self._tell, self._table, self._name = tell, table, name
        self._shown = shown(table, name)
        self._settings = YourData()
        self._coming: Upload | None = None
        self._held: Upload | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._run: Run | None = None
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._fitting = self._closed = False

    def picture(self, settings: YourData) -> Picture:
        """Take new settings, and return what there is; a fit that runs goes on by the old ones."""
        self._settings = settings
        told = {"code": "", "command": ""}
        if self._table is not None:
            asked = _spec(settings, self._name)
            told = {"code": python_of(asked), "command": command_of(asked)}
        return Picture({"table": self._shown, "fitting": self._fitting, **told})

    def receive(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Do what a message asks; raises InputError."""
        asked = {"upload": self._take, "fit": self._fit, "stop": self._end, "download": self._give}
        asked[content["do"]](content, buffers)

    def close(self) -> None:
        """End a fit, and free the table and what came of it."""
        self._stop.set()
        with self._lock:
            self._closed = True
            if not self._fitting:
                self._sweep()
        for each in (self._coming, self._held):
            if each is not None:
                each.close()
        self._coming = self._held = self._table = self._run = None

    def _sweep(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _take(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Take a piece of a table; the last one makes it the table of the room."""
        if len(buffers) != 1:
            message = say("a piece of a table is one buffer")
            raise InputError(message)
        name, size, at = content.get("name"), content.get("size", len(buffers[0])), content.get("at", 0)
        if not isinstance(name, str) or not _is_whole(size) or not _is_whole(at):
            message = say("an upload needs a name, a size and a place")
            raise InputError(message)
        if at == 0:
            if self._coming is not None:
                self._coming.close()
            self._coming = None  # where the next line raises
            self._coming = Upload(name, size)
        if self._coming is None:
            message = say("the first piece of the table has not come")
            raise InputError(message)
        if self._coming.add(at, buffers[0]):
            self._lay_down(name, content["id"])
        else:
            self._tell("uploaded", Picture({"at": self._coming.at}), [], content["id"])

    def _lay_down(self, name: str, request: int) -> None:
        """Read what has come, and put it in the place of the table that was there."""
        if self._fitting:
            message = say("a fit is under way; stop it first")
            raise InputError(message)
        upload, self._coming = self._coming, None
        table = upload.table() if upload is not None else None
        self._forget()
        with self._lock:
            before, self._held = self._held, upload
            if self._closed:  # the page has gone while its table was read
                before, self._held, table = upload, None, None
        if before is not None:
            before.close()
        self._table, self._name, self._shown = table, name[:200], shown(table, name[:200])
        self._tell("table", Picture({"table": self._shown}), [], request)

    def _fit(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Begin a fit by the settings of the room, or by those that the message brings."""
        del buffers
        if "state" in content:
            self._settings = settings_from(YourData, content["state"])
        if self._table is None:
            message = say("there is no table yet; choose a file or paste one")
            raise InputError(message)
        if self._fitting:
            message = say("a fit is under way; stop it first")
            raise InputError(message)
        if self._settings.target not in self._table.column_names:
            message = say(
                'the table has no column "{target}"; choose the target among its columns', target=self._settings.target
            )
            raise InputError(message)
        self._stop.clear()
        self._forget()
        self._fitting = True
        arguments = (self._table, self._name, self._settings, content["id"])
        threading.Thread(target=self._carry_out, args=arguments, name="playground fit", daemon=True).start()

    def _forget(self) -> None:
        """Give up the run before, and its folder."""
        run, self._run = self._run, None
        if run is not None and run.path is not None:
            shutil.rmtree(run.path, ignore_errors=True)

    def _carry_out(self, table: Any, name: str, settings: YourData, request: int) -> None:
        """Fit, and tell how it went; whatever happens, the page is told and the room is free again."""
        kind, told = "error", Picture()
        try:
            self._run = replace(self._trained(table, settings, request), spec=_spec(settings, name))
            kind, told = "fitted", page_of(self._run)
        except KeyboardInterrupt:
            told = _problem(say("the fit was stopped before its first step"))
        except (DownslopeError, MemoryError) as error:
            told = _problem(_sentence(error))
        except Exception as error:
            logging.getLogger("downslope.playground").exception("a fit failed")
            told = _problem(say("this should not happen ({name}); please report it", name=type(error).__name__))
        with self._lock:
            self._fitting = False
            if self._closed:
                self._sweep()
        self._tell(kind, told, [], request)

    def _trained(self, table: Any, settings: YourData, request: int) -> Run:
        from downslope.fitting import fit

        watcher = _Watcher(self._tell, self._stop, request)
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="downslope-play-", ignore_cleanup_errors=True)
        return fit(
            table, settings.target, runs=self._folder.name, watch=watcher, tell=watcher.read, checkpoint_seconds=0.0,
            **_asked(settings),
        )  # fmt: skip

    def _end(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        del content, buffers
        self._stop.set()

    def _give(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Send a file: the table, or of what came of its fit the saved run, or the table with its predictions."""
        del buffers
        what = content.get("what")
        if what not in GIVEN:
            message = say("what to download is one of {names}", names=", ".join(GIVEN))
            raise InputError(message)
        table, run = self._table, self._run
        if table is None or (run is None and what != "table"):
            message = say("there is nothing to download before a fit has ended")
            raise InputError(message)
        give = _Give(Path(self._name).stem, table, run, language=str(content.get("language", "")))
        name, whole = GIVEN[what](give)
        self._tell("file", Picture({"name": name, "what": what}), [whole], content["id"])


@dataclass(frozen=True)
class _Give:
    """What a file is made of. stem: the table's name without its ending. run: None where there was no fit yet."""

    stem: str
    table: Any
    run: Any
    language: str


def _zipped(give: _Give) -> tuple[str, bytes]:
    folder, packed = Path(give.run.path), io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                archive.write(each, Path(folder.name) / each.relative_to(folder))
    return f"{folder.name}.zip", packed.getvalue()


def _predicted(give: _Give) -> tuple[str, bytes]:
    from downslope.fitting import predict

    return f"{give.stem}-predictions.csv", as_csv(predict(give.run, give.table))


def _reported(give: _Give) -> tuple[str, bytes]:
    from downslope.reporting import report_document

    return f"{give.stem}-report.html", report_document([give.run], language=give.language)


GIVEN: dict[str, Callable[[_Give], tuple[str, bytes]]] = {
    "model": _zipped, "predictions": _predicted, "report": _reported,
    "table": lambda give: (f"{give.stem}.csv", as_csv(give.table)),
}  # fmt: skip
"""What can be downloaded, and what makes its name and its bytes."""


def _problem(sentence: Sentence) -> Picture:
    return Picture({"message": sentence, "said": both(sentence)})


def _sentence(error: DownslopeError | MemoryError) -> Sentence:
    return error.sentence if isinstance(error, DownslopeError) else say("the table does not fit in memory")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class _Watcher:
    """Tells of a fit as it goes, at display rate, and ends it when it is to stop."""

    def __init__(self, tell: Tell, stop: threading.Event, request: int) -> None:
        self._tell, self._stop, self._request = tell, stop, request
        self._told, self._seen, self._every = 0.0, 0, 1
        self._size: dict[str, int] = {}
        self.points: list[tuple[float, ...]] = []

    def read(self, what: str, told: Any) -> None:
        """Take what is told before the first step: that the table is read, and what became of it."""
        if self._stop.is_set():
            raise _Away
        if what == "data":
            self._size = {"rows": told.train_rows, "features": told.features}
            self._tell("progress", Picture({"phase": "choosing", **self._size}), [], self._request)

    def __call__(self, step: StepRecord) -> None:
        if self._stop.is_set():
            raise _Away
        self._keep((step.update, step.passes, step.seconds, step.objective, step.gap, step.holdout))
        now = time.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            told = {
                "phase": "descending", "update": step.update, "passes": step.passes, "seconds": step.seconds,
                "objective": step.objective, "gap": step.gap, "gap_kind": step.gap_kind.value,
                "rate": step.learning_rate, "holdout": step.holdout, **self._size,
            }  # fmt: skip
            self._tell("progress", Picture(told, {"curve": self.curve}), [], self._request)

    def _keep(self, point: tuple[float, ...]) -> None:
        """Keep a look, or put it in the place of the last where that was not due."""
        if self._seen % self._every == 1 or self._every == 1 or not self.points:
            self.points.append(point)
        else:
            self.points[-1] = point
        self._seen += 1
        if len(self.points) > MOST_POINTS:
            self.points = self.points[::2]
            self._every *= 2

    @property
    def curve(self) -> Any:
        """Update, passes, seconds, objective, gap and held-out loss of each look, (k, 6)."""
        return np.array(self.points, np.float64).reshape(-1, 6)
