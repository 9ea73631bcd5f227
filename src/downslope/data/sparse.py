"""Sparse columns of a table: what they are read from, and what to say where it is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from downslope.data.blocks import SparseRows
from downslope.data.columns import kind_of
from downslope.data.files import check_drop
from downslope.data.table import Table
from downslope.data.text.columns import TextFeature
from downslope.data.text.entries import LABEL, FileEntries
from downslope.data.text.features import FileFeature, SparseFeature, weighed
from downslope.errors import ColumnError, OptionError, nearest
from downslope.records.spec import Spec
from downslope.words import named, say


def check_sparse(table: Table, names: Sequence[str], spec: Spec) -> None:
    """Raise ColumnError where a text is not there or no text, OptionError where the model takes no sparse columns."""
    check_texts({name: table.column(name).type for name in names}, names, table.source, spec)
    if table.entries is not None:
        check_linear(table.source, spec)


def check_texts(types: Mapping[str, Any], names: Sequence[str], source: str, spec: Spec) -> None:
    """Raise ColumnError where a text is not among the names, or is no text by its Arrow type."""
    for name in spec.text:
        if name not in names:
            message = say(
                'there is no text column "{name}" to learn from in {source}{nearest}',
                name=name,
                source=source,
                nearest=nearest(name, names),
            )
            raise ColumnError(message)
        _check_text(types[name], name)


def check_linear(source: str, spec: Spec) -> None:
    """Raise OptionError where the model takes no sparse rows."""
    if spec.model not in ("auto", "linear"):
        message = say(
            "{source} holds sparse rows, which linear models learn from, but the model is {model}; leave it out",
            source=source,
            model=spec.model,
        )
        raise OptionError(message)


def check_entries(source: str, where: str | None, drop: Sequence[str]) -> None:
    """Raise OptionError for a condition on files of sparse rows, SourceError for leaving out what is no label."""
    if where is not None:
        message = say("--where asks about columns, and {source} has none but its label; leave it out", source=source)
        raise OptionError(message)
    check_drop([LABEL], drop, source)


def text_column(table: Table, name: str) -> Any:
    """Return an Arrow column of strings; raises ColumnError where it is none."""
    column = table.column(name)
    _check_text(column.type, name)
    return column


def _check_text(dtype: Any, name: str) -> None:
    kind = kind_of(dtype)
    if kind not in ("category", "null"):
        message = say(
            'column "{name}" is to be read as text, but holds {kind} values; name a column of text',
            name=name,
            kind=named(kind),
        )
        raise ColumnError(message)


def entries_of(table: Table, format: str) -> FileEntries:
    """Return the entries of a table of a format; raises ColumnError where it is of another."""
    if table.entries is None or table.entries.format != format:
        message = say(
            "the model learned from the features that rows of a {format} file name themselves, and {source} has none; "
            "give a file of that format",
            format=format,
            source=table.source,
        )
        raise ColumnError(message)
    return table.entries


def encode_sparse(features: Sequence[SparseFeature], table: Table, dtype: np.dtype[Any]) -> SparseRows:
    """Return the sparse rows of a table; raises ColumnError where it holds something else than in training."""
    return weighed(features, [counted_of(each, table) for each in features], None, dtype)


def counted_of(feature: SparseFeature, table: Table) -> SparseRows:
    """Return what a feature counts in each row of a table, by id; raises ColumnError, see ``encode_sparse``."""
    if isinstance(feature, FileFeature):
        return entries_of(table, feature.format).rows
    if isinstance(feature, TextFeature):
        return feature.count(text_column(table, feature.column))
    return feature.count(table.column(feature.column))
