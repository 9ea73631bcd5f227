"""Sources: from whatever holds a table to one Arrow table in memory.

Three cases explain it. A file name, glob or folder is read by DuckDB (Arrow files by PyArrow). A query is
run by DuckDB. An object that already holds a table is taken over, without a copy where its memory allows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from downslope.data.database import connection, query, selected, sentence
from downslope.data.files import check_drop, format_of, formats_of, holds_entries, read_files
from downslope.data.objects import arrow_table, is_loaded, plain
from downslope.data.sparse import check_entries
from downslope.data.table import Table, as_table
from downslope.data.text.lines import read_lines
from downslope.errors import OptionError, SourceError
from downslope.words import say

__all__ = ["Table", "read"]


def read(
    source: object, *, sql: str | None = None, where: str | None = None, drop: Sequence[str] = (),
    skip_bad_lines: bool = False,
) -> Table:  # fmt: skip
    """Read a table into memory.

    source: a path, glob or folder (csv, tsv, txt, json, ndjson, parquet, arrow, feather; also gz and zst),
    or a NumPy array, a pandas or Polars frame, Arrow data, a DuckDB relation, a dict of columns, a
    ``scipy.sparse`` matrix. sql: a query, instead of a source. where: an SQL condition on the rows to keep.
    svm, svmlight, libsvm and vw files are read, too. drop: columns to leave out. skip_bad_lines: leave malformed lines
    of those out. Raises SourceError or ColumnError, each one sentence.
    """
    if sql is not None:
        return _read_query(source, sql, where, drop)
    if source is None or (isinstance(source, str) and not source):
        message = say("there is nothing to read; give a file, a folder, a glob or --sql")
        raise SourceError(message)
    if is_loaded(source):
        return _read_object(source, where, drop)
    name = os.fspath(cast("os.PathLike[str]", source))
    if holds_entries(name):
        return _read_entries(*formats_of(name), name, where, drop, skip_bad_lines)
    return as_table(plain(read_files(name, where=where, drop=drop)), name)


def _read_query(source: object, sql: str, where: str | None, drop: Sequence[str]) -> Table:
    if source is not None and not (isinstance(source, str) and not source):
        message = say("--sql and a source exclude each other; give one of them")
        raise OptionError(message)
    relation = query(sql)
    words = say("the query")
    check_drop(relation.columns, drop, words)
    return as_table(plain(_run(relation, relation.columns, words, where, drop)), words)


def _read_object(source: object, where: str | None, drop: Sequence[str]) -> Table:
    table, words = arrow_table(source)
    names: list[str] = table.column_names
    check_drop(names, drop, words)
    if where is None:
        kept = table.select([index for index, name in enumerate(names) if name not in drop]) if drop else table
        return as_table(kept, words)
    as_table(table, words)
    return as_table(plain(_run(connection().from_arrow(table), names, words, where, drop)), words)


def _read_entries(
    paths: Sequence[Path], only: str, source: str, where: str | None, drop: Sequence[str], skip_bad_lines: bool
) -> Table:
    check_entries(source, where, drop)
    labels, entries = read_lines(paths, only, [format_of(each)[1] for each in paths], skip_bad=skip_bad_lines)
    return replace(as_table(labels, source), entries=entries)


def _run(relation: Any, names: Sequence[str], words: str, where: str | None, drop: Sequence[str]) -> Any:
    import duckdb

    try:
        return selected(relation, names, where=where, drop=drop, rename=list(names) != list(relation.columns))
    except duckdb.Error as error:
        message = say("{source} cannot be read: {error}", source=words, error=sentence(error))
        if where:
            message = say("{source} cannot be read under --where: {error}", source=words, error=sentence(error))
        raise SourceError(message) from None
