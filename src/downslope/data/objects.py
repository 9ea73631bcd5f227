"""Python objects that hold a table: arrays, frames, Arrow data, relations, dicts, sparse matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow
from downslope.data.table import check_names
from downslope.errors import SourceError
from downslope.records.figures import count
from downslope.words import say

MOST_CELLS = 2**28  # a sparse matrix is written out up to this size: 1 GiB as float32


def arrow_table(source: object) -> tuple[Any, str]:
    """Return the ``pyarrow.Table`` that an object holds and what the object is, in words; raises SourceError."""
    pyarrow = arrow()
    library = type(source).__module__.split(".")[0].lstrip("_")
    name = type(source).__name__
    try:
        table = _of_library(source, library)
        if table is None:
            table = _of_protocol(source)
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, SourceError):
            raise
        message = say("the {name} cannot be read as a table: {reason}", name=name, reason=_first_line(error))
        raise SourceError(message) from None
    if table is None:
        message = say(
            "an object of type {name} is not a table; give a path, an array, a pandas or Polars frame, "
            "Arrow data, a DuckDB relation, or a dict of columns",
            name=name,
        )
        raise SourceError(message)
    return plain(table), say("the {name}", name=name) if name != "dict" else say("the dict of columns")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")


def _of_library(source: object, library: str) -> Any:
    value = cast("Any", source)
    if library == "pandas":
        frame = value.to_frame() if value.ndim == 1 else value
        names = [str(each) for each in frame.columns]
        check_names(names, say("the {name}", name=type(source).__name__))
        frame = frame.set_axis(names, axis=1)
        return arrow().Table.from_pandas(frame, preserve_index=False)
    if library == "polars":
        frame = value.collect() if hasattr(value, "collect") else value
        return (frame.to_frame() if hasattr(frame, "to_frame") else frame).to_arrow()
    if library == "duckdb" and hasattr(value, "to_arrow_table"):
        return value.to_arrow_table()
    if library == "scipy" and hasattr(value, "toarray"):
        return _of_array(_dense(value))
    if library == "pyarrow":
        return _of_arrow(value)
    return None


def _of_arrow(value: Any) -> Any:
    pyarrow = arrow()
    if isinstance(value, pyarrow.Table):
        return value
    if isinstance(value, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([value])
    if hasattr(value, "read_all"):
        return value.read_all()
    return value.to_table() if hasattr(value, "to_table") else None


def _of_protocol(source: object) -> Any:
    if isinstance(source, Mapping):
        return _of_columns(cast("Mapping[object, Any]", source))
    if hasattr(source, "__arrow_c_stream__"):
        return arrow().table(source)
    if isinstance(source, list) and source and all(isinstance(each, Mapping) for each in cast("list[Any]", source)):
        return arrow().Table.from_pylist(cast("list[Any]", source))
    if isinstance(source, list | tuple) or hasattr(source, "__array__"):
        return _of_array(np.asarray(source))
    return None


def _of_columns(columns: Mapping[object, Any]) -> Any:
    arrays: list[Any] = []
    for name, values in columns.items():
        try:
            arrays.append(column_of(values))
        except (arrow().ArrowException, TypeError, ValueError) as error:
            message = say('column "{name}" cannot be read: {reason}', name=str(name), reason=_first_line(error))
            raise SourceError(message) from None
    lengths = {str(name): len(array) for name, array in zip(columns, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        shortest, longest = min(lengths, key=lambda key: lengths[key]), max(lengths, key=lambda key: lengths[key])
        message = say(
            'the columns differ in length: "{shortest}" has {rows} rows and "{longest}" has '
            "{more}; give them all the same length",
            shortest=shortest,
            rows=lengths[shortest],
            longest=longest,
            more=lengths[longest],
        )
        raise SourceError(message)
    return arrow().table(dict(zip([str(name) for name in columns], arrays, strict=True)))


def column_of(values: object) -> Any:
    """Return one column as a ``pyarrow.Array`` or ``ChunkedArray``, from a sequence, array or series."""
    pyarrow = arrow()
    value = cast("Any", values)
    if isinstance(value, pyarrow.Array | pyarrow.ChunkedArray):
        return value
    if type(value).__module__.startswith("polars"):
        return value.to_arrow()
    if isinstance(value, np.ndarray):
        return _of_vector(cast("NDArray[Any]", value))
    return pyarrow.array(value, from_pandas=type(value).__module__.startswith("pandas"))


def _of_vector(values: NDArray[Any]) -> Any:
    flat = values.reshape(-1) if values.ndim == 2 and values.shape[1] == 1 else values
    if flat.ndim != 1:
        message = say("a column must have one axis, but this array has shape {shape}", shape=str(values.shape))
        raise SourceError(message)
    if not flat.dtype.isnative:
        flat = flat.astype(flat.dtype.newbyteorder("="))
    if flat.dtype.kind == "c":
        message = say("complex numbers cannot be learned from; give their real and imaginary parts as two columns")
        raise SourceError(message)
    if flat.dtype.itemsize > 8 and flat.dtype.kind == "f":
        flat = flat.astype(np.float64)
    return arrow().array(flat)


def _of_array(array: NDArray[Any]) -> Any:
    pyarrow = arrow()
    if array.dtype.names is not None and array.ndim == 1:
        return pyarrow.table({name: _of_vector(array[name]) for name in array.dtype.names})
    matrix = array[:, None] if array.ndim == 1 else array
    if matrix.ndim != 2:
        message = say(
            "an array must have rows and columns, but this one has shape {shape}; reshape it first",
            shape=str(array.shape),
        )
        raise SourceError(message)
    return pyarrow.table({f"x{j}": _of_vector(np.ascontiguousarray(matrix[:, j])) for j in range(matrix.shape[1])})


def _dense(matrix: Any) -> NDArray[Any]:
    rows, columns = matrix.shape
    if rows * columns > MOST_CELLS:
        message = say(
            "the sparse matrix would take {rows} x {columns} cells when written out, above the limit of "
            "{most}; give fewer rows or columns",
            rows=count(rows),
            columns=count(columns),
            most=count(MOST_CELLS),
        )
        raise SourceError(message)
    return cast("NDArray[Any]", matrix.toarray())


def plain(table: Any) -> Any:
    """Return the table with extension columns replaced by what they store."""
    pyarrow = arrow()
    for index, field in enumerate(table.schema):
        if isinstance(field.type, pyarrow.BaseExtensionType):
            chunks = [chunk.storage for chunk in table.column(index).chunks]
            stored = pyarrow.chunked_array(chunks, field.type.storage_type)
            table = table.set_column(index, field.name, stored)
    return table


def is_loaded(source: object) -> bool:
    """Return True where ``source`` is an object in memory and not the name of a file."""
    return not isinstance(source, str) and not hasattr(source, "__fspath__")
