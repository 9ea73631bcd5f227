"""The views in a notebook cell: a record as its report shows it, and the playground with its engine in the kernel.

The front end is a module in the shape of anywidget, so one widget draws in Jupyter, VS Code, Colab and marimo.
anywidget is not among the packages that come with Downslope: it brings twenty others, 48 MB, which every notebook has
and nobody else needs; ``pip install downslope[notebook]`` does.
"""

# The types of anywidget and of its libraries are partial.
# pyright: standard

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from downslope.errors import DownslopeError, InputError
from downslope.reporting.front import module, stylesheet
from downslope.types import JsonValue
from downslope.views.page import page_of
from downslope.words import say

if TYPE_CHECKING:
    from downslope.playground.session import Session

ABSENT = say("a view in a notebook needs anywidget; pip install downslope[notebook] brings it")


def show(record: Any, *also: Any, language: str = "") -> Any:
    """Return a view of a record for a notebook cell; as the last expression of a cell it is drawn.

    record: what fit, minimize, basins, race, sweep or loss_slice returned, or an estimator that was fitted. also: more
    of them, shown below. language: en, zh, or empty for that of the browser; the view can change it.

    Raises InputError for what is no record, DownslopeError where anywidget is not installed.
    """
    packed = [page_of(_record(each)).packed() for each in (record, *also)]
    answers = [{"answer": {"is": "run", "room": "", **content}, "buffers": buffers} for content, buffers in packed]
    known = {"language": language} if language else {}
    return _widgets()["view"](page={"known": known, "answers": answers}, words=_words(packed[0][0]))


def play_here(
    source: object = None, *, target: str = "", room: str = "", state: Mapping[str, JsonValue] | None = None,
    language: str = "",
) -> Any:  # fmt: skip
    """Return the playground for a notebook cell, its engine in this kernel.

    source: a table of one's own to begin with, as ``fit`` takes it, and target a column of it. room: where to begin,
    such as ``two-weights``; state: its settings. language: en, zh, or empty for that of the browser.

    Raises InputError for a source that cannot be read, DownslopeError where anywidget is not installed.
    """
    widget = _widgets()["playground"]
    table, settings = None, dict(state or {})
    if source is not None:
        from downslope.data.sources import read
        from downslope.playground.uploads import check_size

        table = read(source).arrow
        check_size(table.num_rows, table.num_columns)
        room, settings = room or "your-data", ({"target": target} if target else {}) | settings
    elif target:
        message = say("target names a column of a source; give the source too, or leave it out")
        raise InputError(message)
    name = str(source).rpartition("/")[2] if isinstance(source, str) else "table"
    return widget(table=table, name=name, room=room, state=settings, language=language)


def _record(each: Any) -> Any:
    """Return the record of an estimator, or what was given."""
    return getattr(each, "run_", each)


def _words(content: Mapping[str, Any]) -> str:
    """Return what stands where no widget can be drawn."""
    message = content.get("message")
    told = cast("Mapping[str, str]", message).get("en", "") if isinstance(message, dict) else ""
    return f"{content.get('kind', 'run')}: {told}" if told else str(content.get("kind", "run"))


@cache
def _widgets() -> dict[str, Any]:
    """Return the classes of widgets, made when first asked for; raises DownslopeError."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise DownslopeError(ABSENT) from None
    code, style = module(), stylesheet()

    class View(anywidget.AnyWidget):
        """A record, drawn from what it holds; it needs no kernel once it is made."""

        _esm, _css = code, style
        page: Any = traitlets.Dict().tag(sync=True)

        def __init__(self, page: dict[str, Any], words: str) -> None:
            super().__init__(page=page)
            self._told = words

        def __repr__(self) -> str:
            return f"{self._told} (a notebook draws this; elsewhere write a page with .report(path))"

    class Playground(anywidget.AnyWidget):
        """A session of the playground, whose page is the cell."""

        _esm, _css = code, style
        room: Any = traitlets.Unicode().tag(sync=True)
        state: Any = traitlets.Dict().tag(sync=True)
        language: Any = traitlets.Unicode().tag(sync=True)

        def __init__(self, table: Any, name: str, **begin: Any) -> None:
            super().__init__(**begin)
            self._session = _session(lambda content, buffers: self.send(content, buffers), table, name)
            self.on_msg(lambda _, content, buffers: self._session.receive(content, [bytes(each) for each in buffers]))

        def close(self) -> None:
            """Free what the session holds."""
            self._session.close()
            super().close()

        def __repr__(self) -> str:
            return "the playground (a notebook draws this; elsewhere run downslope play)"

    return {"view": View, "playground": Playground}


def _session(send: Any, table: Any, name: str) -> Session:
    from downslope.playground.session import Session

    def tell(content: dict[str, JsonValue], buffers: Sequence[bytes]) -> None:
        send(content, list(buffers))

    return Session(tell, table, name)
