"""DuckDB in memory: it reads files and applies queries, and never reaches for the network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from downslope.errors import SourceError
from downslope.words import say

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation


@lru_cache(maxsize=1)
def _database() -> DuckDBPyConnection:
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",  # a query sees files, not the caller's local variables
    }
    database = duckdb.connect(":memory:", config=config)
    # The parts of a date must not depend on where the machine stands.
    database.execute("set TimeZone = 'UTC'")
    return database


def connection() -> DuckDBPyConnection:
    """Return a fresh cursor on the one in-memory database of this process."""
    return _database().cursor()


def bounded(memory: int) -> DuckDBPyConnection:
    """Return a database of its own that holds no more than so many bytes, and keeps the order of rows."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "autoinstall_known_extensions": "false", "autoload_known_extensions": "false",
        "python_enable_replacements": "false", "memory_limit": f"{memory // 1024}KiB", "threads": 2,
    }  # fmt: skip
    database = duckdb.connect(":memory:", config=config)
    database.execute("set TimeZone = 'UTC'")
    return database


def quoted(name: str) -> str:
    """Return a column name as SQL, whatever characters it holds."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def sentence(error: Exception) -> str:
    """Return what DuckDB complained of as one line, without its class, its hints and its caret."""
    text = str(error)
    for end in ("\n\nLINE", "\nLINE", "\n\n", "\nPossible", "\n* "):
        text = text.split(end)[0]
    text = re.sub(r"^(\w+ )?(\w+ )?Error: ", "", " ".join(text.split()))
    return text.rstrip(".! ")


def query(sql: str) -> DuckDBPyRelation:
    """Return the relation that one SELECT stands for; raises SourceError on anything else."""
    import duckdb

    cursor = connection()
    try:
        statements = cursor.extract_statements(sql)
        only_reads = len(statements) == 1 and statements[0].type == duckdb.StatementType.SELECT
        relation = cursor.sql(sql) if only_reads else None
    except duckdb.Error as error:
        message = say("the query does not work: {error}", error=sentence(error))
        raise SourceError(message) from None
    if relation is None:
        message = say("--sql must be one query that returns rows, such as: select * from 'flights.parquet'")
        raise SourceError(message)
    return relation


def selected(
    relation: DuckDBPyRelation, names: Sequence[str], *, where: str | None, drop: Sequence[str], rename: bool
) -> Any:
    """Return the columns of a relation as a ``pyarrow.Table``, without those in ``drop``.

    names: one for each column of the relation; where ``rename`` holds they replace DuckDB's own, which
    tells ``a`` and ``A`` apart by a suffix. Raises SourceError where the condition does not work.
    """
    import duckdb

    keep = [(own, name) for own, name in zip(relation.columns, names, strict=True) if name not in drop]
    if where is not None:
        try:
            relation = relation.filter(where)
        except duckdb.Error as error:
            message = say("--where does not work: {error}", error=sentence(error))
            raise SourceError(message) from None
    if keep and len(keep) < len(names):
        relation = relation.project(", ".join(quoted(own) for own, _ in keep))
    table: Any = relation.to_arrow_table()
    if rename:
        table = table.rename_columns([name for _, name in keep])
    if where is not None and table.num_rows == 0:
        message = say("--where leaves no rows: {where} holds for none; loosen the condition", where=where)
        raise SourceError(message)
    return table
