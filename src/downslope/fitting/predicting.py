"""Predict: the rows of a source and next to them what a run makes of them, in memory or some rows at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, cast

from numpy.typing import NDArray

from downslope.data.arrow import arrow, compute
from downslope.data.images import is_images
from downslope.data.large.pipe import open_pipe
from downslope.data.large.reading import PIPE, open_files
from downslope.data.sources import read
from downslope.data.table import Table
from downslope.data.text.features import TextFeature
from downslope.errors import OptionError, RunError, SourceError
from downslope.fitting.large import PROGRAMS, check_least, memory_of, memory_to_stream_in
from downslope.models.linear import LinearModel
from downslope.models.network.model import NetworkModel
from downslope.records import Run, Spec
from downslope.store import load
from downslope.types import Matrix
from downslope.words import say


def predict(run: Run | str | Path, source: object, *, sql: str | None = None, runs: str | Path = "runs") -> Any:
    """Return a PyArrow table: the rows of a source, and next to them the predictions of a run.

    The rows of images are what stood beside them: the names of pictures, the other columns of a Parquet file.

    Adds ``prediction`` and, for a probabilistic loss, ``probability CLASS`` for each class. Raises RunError
    for a run that cannot be read, ColumnError for a table without the model's columns.
    """
    return _whole(_model(run, runs), source, sql)


def predict_in_parts(
    run: Run | str | Path, source: object, *, sql: str | None = None, memory: str | None = None,
    runs: str | Path = "runs",
) -> Iterator[Any]:  # fmt: skip
    """Yield what ``predict`` returns, some rows at a time where all of them do not fit into memory.

    memory: the most that may be resident, such as "1GB"; half of what is free where it is None. "-" is standard input,
    whose rows come as they are read. Raises what ``predict`` does, and SourceError for a file that is damaged.
    """
    model = _model(run, runs)
    spec = Spec(text=_texts(model), memory=memory)
    piped = source == PIPE and sql is None
    pixels = isinstance(model, NetworkModel) and model.pixels is not None
    asked = None if piped or pixels or sql is not None or is_images(source) else memory_to_stream_in(source, spec)
    if asked is None and not piped:
        yield _whole(model, source, sql)
        return
    allowed = memory_of(spec) if asked is None else asked
    check_least(allowed)
    yield from _as_the_first(_parts(model, source, spec, allowed - PROGRAMS), str(source))


def _parts(model: LinearModel | NetworkModel, source: object, spec: Spec, memory: int) -> Iterator[Any]:
    if source == PIPE:
        _, tables = open_pipe((), memory, texts=spec.text)
    else:
        files = open_files(str(source), where=None, drop=(), memory=memory, texts=spec.text)
        tables = chain.from_iterable(files.batches(path) for path in files.paths)
    for table in tables:
        yield beside(_plain(table.arrow), model, model.scores(table))


def _as_the_first(parts: Iterator[Any], source: str) -> Iterator[Any]:
    """Yield tables of one schema: that of the first; raises SourceError where there is none."""
    first = next(parts, None)
    if first is None:
        message = say("{source} has columns but no rows; give a table with data", source=source)
        raise SourceError(message)
    yield first
    for each in parts:
        yield each.cast(first.schema)


def _plain(rows: Any) -> Any:
    """Return rows with their dictionaries written out: each part of a file has one of its own."""
    pyarrow = arrow()
    for place, column in enumerate(rows.columns):
        if pyarrow.types.is_dictionary(column.type):
            plain = compute().cast(column, column.type.value_type)
            rows = rows.set_column(place, rows.column_names[place], plain)
    return rows


def _model(run: Run | str | Path, runs: str | Path) -> LinearModel | NetworkModel:
    found = run if isinstance(run, Run) else load(run, runs)
    if not isinstance(found.model, LinearModel | NetworkModel):
        message = say('run "{run}" holds no model to predict with; fit again', run=found.run)
        raise RunError(message)
    return found.model


def _texts(model: LinearModel | NetworkModel) -> tuple[str, ...]:
    """Return the columns that a model reads as text."""
    sparse = () if model.plan is None else model.plan.sparse
    return tuple(dict.fromkeys(each.column for each in sparse if isinstance(each, TextFeature)))


def _whole(model: LinearModel | NetworkModel, source: object, sql: str | None) -> Any:
    if isinstance(model, NetworkModel) and model.pixels is not None:
        if sql:
            message = say("this model takes images, and a query gives none; name a file or a folder of them")
            raise OptionError(message)
        images = model.read(source)
        return beside(images.beside, model, model.scores(images))
    table: Table = read(None if sql else source, sql=sql)
    return beside(table.arrow, model, model.scores(table))


def beside(rows: Any, model: LinearModel | NetworkModel, scores: Matrix) -> Any:
    """Return rows, None where only images were read, and next to them the predictions that scores (n, k) stand for."""
    added: dict[str, Any] = {"prediction": _arrow_values(model.respond(scores))}
    chances: Matrix | None = model.probabilities(scores)
    if chances is not None:
        added |= {f"probability {name}": _arrow_values(chances[:, k]) for k, name in enumerate(model.classes)}
    if rows is None:
        return arrow().table(added)
    for name, values in added.items():
        rows = rows.append_column(_free_name(name, rows.column_names), values)
    return rows


def _arrow_values(values: NDArray[Any]) -> Any:
    import pyarrow

    array: Callable[[object], Any] = cast("Any", pyarrow).array
    return array(values.tolist() if values.dtype == object else values)


def _free_name(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name
