"""Fit what becomes sparse columns: look at the training rows once, and settle columns, rarity, scale and names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.blocks import SparseRows
from downslope.data.columns import Levels
from downslope.data.encodings import LeftOut
from downslope.data.fit_plan import Fitted
from downslope.data.text.buckets import Buckets
from downslope.data.text.columns import (
    BUCKETS_PER_GRAM,
    FEWEST_BITS,
    MOST_BITS,
    TextFeature,
    bits_for,
    fit_text,
    text_of,
)
from downslope.data.text.columns import count as count_text
from downslope.data.text.entries import SVMLIGHT, FileEntries
from downslope.data.text.features import FileFeature, HashedCategory, bucket_rows, masked
from downslope.records.grams import Kind
from downslope.records.spec import Spec
from downslope.words import say

ENTRIES = "features"
"""What the features that rows name themselves are called in a summary."""


def fit_text_column(column: Any, name: str, rows: NDArray[np.intp] | None, spec: Spec) -> Fitted:
    """Return how a text becomes sparse columns, learned from the training rows: those of each kind of n-grams."""
    text = text_of(column)
    missing = int(column.null_count)
    features: list[TextFeature] = []
    counted: list[SparseRows] = []
    for told in spec.grams:
        kind = Kind.of(told)
        bits = bits_for(text, kind) if isinstance(spec.hash_bits, str) else int(spec.hash_bits)
        found = count_text(text, kind, bits)
        feature = fit_text(name, text, found, rows, kind, bits)
        if feature.size:
            features.append(feature)
            counted.append(found)
    if not features:
        return Fitted("text", missing, left_out=LeftOut(name, "text", say("no n-gram in any training row")))
    return Fitted("text", missing, sparse=tuple(features), entries=tuple(counted))


def hash_rarer(fitted: Fitted, rows: NDArray[np.intp] | None, spec: Spec) -> Fitted:
    """Return a category with its rarer levels hashed, where bits were given and there are such."""
    if isinstance(spec.hash_bits, str) or len(fitted.categories) != 1 or spec.model not in ("auto", "linear"):
        return fitted
    (feature,) = fitted.categories
    levels = (fitted.decoded or {}).get((feature.column, feature.part))
    if feature.part or not isinstance(levels, Levels) or fitted.distinct <= len(feature.levels):
        return fitted
    bits = int(spec.hash_bits)
    counted = bucket_rows(levels, feature.levels, bits)
    buckets, _ = Buckets.met(counted.places if rows is None else counted.take(rows).places)
    if not buckets.size:
        return fitted
    names, shared = _level_names(levels, feature.levels, buckets, rows, bits)
    hashed = HashedCategory(feature.column, bits, buckets.named(names), feature.levels, shared)
    return replace(fitted, sparse=(hashed,), entries=(counted,))


def _level_names(
    levels: Levels, known: Sequence[str], buckets: Buckets, rows: NDArray[np.intp] | None, bits: int
) -> tuple[list[bytes], float]:
    """Return the most frequent level of each bucket, and the share of levels that share theirs with another."""
    codes = levels.codes if rows is None else levels.codes[rows]
    counts = np.bincount(codes + 1, minlength=len(levels.names) + 1)[1:]
    each = np.arange(len(levels.names), dtype=np.int32)
    one = bucket_rows(Levels(each, levels.names), known, bits)
    met = np.flatnonzero((np.diff(one.starts) > 0) & (counts > 0))
    columns = buckets.finder()(one.places[one.starts[met]])
    order = np.argsort(counts[met], kind="stable")
    chosen = np.empty(buckets.size, np.int64)
    chosen[columns[order]] = met[order]  # of several, the last written stays: the most frequent
    together = np.bincount(columns, minlength=buckets.size)[columns] > 1
    return [str(levels.names[place].as_py()).encode() for place in chosen.tolist()], float(together.mean())


def fit_entries(entries: FileEntries, rows: NDArray[np.intp] | None, spec: Spec) -> Fitted:
    """Return how the features that rows name themselves become sparse columns, learned from the training rows."""
    from downslope.data.text.rows import look_at_columns

    chosen = entries.rows if rows is None else entries.rows.take(rows)
    bits = 0 if entries.format == SVMLIGHT else _bits(chosen, spec)
    ids = masked(chosen.places, bits)
    buckets, met = Buckets.met(ids)
    if not buckets.size:
        left_out = LeftOut(ENTRIES, "sparse", say("no feature in any training row"))
        return Fitted("sparse", 0, left_out=left_out)
    first = np.full(buckets.size, -1, np.int64)
    mixed, largest = np.zeros(buckets.size, np.bool_), np.zeros(buckets.size)
    look_at_columns(buckets.finder()(ids), chosen.places, chosen.values, first, mixed, largest)
    if entries.origins is not None:
        place = first if rows is None else _origins(entries.rows, rows)[first]
        letters, ends = entries.names(place)
        buckets = replace(buckets, letters=letters, ends=ends)
    scale = np.where(largest > 0, largest, 1.0) if spec.standardize else np.ones(buckets.size)
    feature = FileFeature(entries.format, bits, buckets, scale, float(met[mixed].sum() / met.sum()))
    return Fitted("sparse", 0, sparse=(feature,), entries=(entries.rows,))


def _origins(whole: SparseRows, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return which entry of all rows each entry of the chosen rows is."""
    numbered = replace(whole, values=np.arange(whole.places.shape[0]))
    return numbered.take(rows).values.astype(np.int64)


def _bits(rows: SparseRows, spec: Spec) -> int:
    if not isinstance(spec.hash_bits, str):
        return int(spec.hash_bits)
    distinct = np.unique(rows.places).shape[0]
    return int(min(max(np.ceil(np.log2(max(distinct, 1) * BUCKETS_PER_GRAM)), FEWEST_BITS), MOST_BITS))
