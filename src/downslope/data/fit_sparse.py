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
NO_GRAM = say("no n-gram in any training row")
"""Why a text is left out."""
NO_FEATURE = say("no feature in any training row")
"""Why the features of a file are left out."""


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
        return Fitted("text", missing, left_out=LeftOut(name, "text", NO_GRAM))
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
    return names_of_buckets(levels.names, counts, known, buckets, bits)


def names_of_buckets(
    names: Any, counts: NDArray[np.intp], known: Sequence[str], buckets: Buckets, bits: int
) -> tuple[list[bytes], float]:
    """Return the most frequent of some levels for each bucket, "" where there is none, and the share that share theirs.

    names: an Arrow array of levels. counts: the rows (levels,) of each. known: those that are not hashed.
    """
    each = np.arange(len(names), dtype=np.int32)
    one = bucket_rows(Levels(each, names), known, bits)
    met = np.flatnonzero((np.diff(one.starts) > 0) & (counts > 0))
    columns = buckets.finder()(one.places[one.starts[met]])
    met, columns = met[columns >= 0], columns[columns >= 0]
    order = np.argsort(counts[met], kind="stable")
    chosen = np.full(buckets.size, -1, np.int64)
    chosen[columns[order]] = met[order]  # of several, the last written stays: the most frequent
    together = np.bincount(columns, minlength=buckets.size)[columns] > 1
    told = [str(names[place].as_py()).encode() if place >= 0 else b"" for place in chosen.tolist()]
    return told, float(together.mean()) if together.size else 0.0


def fit_entries(entries: FileEntries, rows: NDArray[np.intp] | None, spec: Spec) -> Fitted:
    """Return how the features that rows name themselves become sparse columns, learned from the training rows."""
    from downslope.data.text.rows import look_at_columns

    chosen = entries.rows if rows is None else entries.rows.take(rows)
    bits = 0 if entries.format == SVMLIGHT else _bits(chosen, spec)
    ids = masked(chosen.places, bits)
    buckets, met = Buckets.met(ids)
    if not buckets.size:
        return Fitted("sparse", 0, left_out=LeftOut(ENTRIES, "sparse", NO_FEATURE))
    first = np.full(buckets.size, -1, np.int64)
    mixed, largest = np.zeros(buckets.size, np.bool_), np.zeros(buckets.size)
    look_at_columns(buckets.finder()(ids), chosen.places, chosen.values, first, mixed, largest)
    if entries.origins is not None:
        place = first if rows is None else origins_of(entries.rows, rows)[first]
        letters, ends = entries.names(place)
        buckets = replace(buckets, letters=letters, ends=ends)
    scale = np.where(largest > 0, largest, 1.0) if spec.standardize else np.ones(buckets.size)
    feature = FileFeature(entries.format, bits, buckets, scale, float(met[mixed].sum() / met.sum()))
    return Fitted("sparse", 0, sparse=(feature,), entries=(entries.rows,))


def origins_of(whole: SparseRows, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """Return which entry of all rows each entry of the chosen rows is."""
    numbered = replace(whole, values=np.arange(whole.places.shape[0]))
    return numbered.take(rows).values.astype(np.int64)


def _bits(rows: SparseRows, spec: Spec) -> int:
    if not isinstance(spec.hash_bits, str):
        return int(spec.hash_bits)
    return bits_for_names(np.unique(rows.places).shape[0])


def bits_for_names(distinct: int) -> int:
    """Return the bits of the hash for so many distinct names."""
    return int(min(max(np.ceil(np.log2(max(distinct, 1) * BUCKETS_PER_GRAM)), FEWEST_BITS), MOST_BITS))
