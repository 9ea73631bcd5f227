"""What becomes sparse columns: texts, categories of many levels, and the features that a file's rows name themselves.

Rows of ids come first: buckets of a hash, or indices, by ``count`` or as a file has them. ``weigh`` turns those into
rows of the model's columns, which are the ids that training rows have met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.data.blocks import SparseRows
from downslope.data.columns import Levels, levels_of
from downslope.data.parallel import in_parts
from downslope.data.text.buckets import Buckets
from downslope.data.text.columns import TextFeature, text_of
from downslope.data.text.entries import SVMLIGHT
from downslope.machine import threads
from downslope.records.figures import count
from downslope.types import Codes, JsonValue, Offsets, Vector
from downslope.words import Sentence, say


@dataclass(frozen=True)
class HashedCategory:
    """The levels of a category beyond those that have a weight of their own: one bucket of a hash each.

    column, bits, buckets, shared: as for a TextFeature; a level is hashed as it is written. known: the levels that have
    a weight of their own.
    """

    column: str
    bits: int
    buckets: Buckets
    known: tuple[str, ...]
    shared: float

    @property
    def size(self) -> int:
        """s, the number of columns."""
        return self.buckets.size

    @property
    def scale(self) -> Vector:
        """(s,) what a value was divided by: nothing."""
        return np.ones(self.size)

    def feature_name(self, place: int) -> str:
        """Return the name of a column, such as "tail=N14228"."""
        return f"{self.column}={self.buckets.name(place)}"

    def treatment(self) -> Sentence:
        """Return in one phrase what became of the levels."""
        return say(
            "the rarer ones hashed into 2^{bits} buckets, {met} of them met; {share} of the levels share theirs",
            bits=self.bits,
            met=count(self.size),
            share=f"{100 * self.shared:.3g} %",
        )

    def count(self, column: Any) -> SparseRows:
        """Return the bucket of each row's level, where it has one, of an Arrow column."""
        return bucket_rows(levels_of(column), self.known, self.bits)

    def weigh(self, counted: SparseRows, dtype: np.dtype[Any]) -> SparseRows:
        """Return buckets as the rows of the model."""
        return merged(counted, self.buckets.finder(), counted.places, self.scale, dtype)

    def to_json(self) -> dict[str, JsonValue]:
        """Return all but the arrays as plain values."""
        return {
            "is": "category", "column": self.column, "bits": self.bits, "known": list(self.known),
            "shared": self.shared,
        }  # fmt: skip

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return self.buckets.arrays()


@dataclass(frozen=True)
class FileFeature:
    """The features that the rows of a file name themselves.

    format: "svmlight" or "vw". bits: of the hash of names; 0 where the features are indices. buckets, shared: as for a
    TextFeature. scale: (s,) what each column was divided by: its largest size in training.
    """

    format: str
    bits: int
    buckets: Buckets
    scale: Vector
    shared: float
    column: str = ""

    @property
    def size(self) -> int:
        """s, the number of columns."""
        return self.buckets.size

    def feature_name(self, place: int) -> str:
        """Return the name of a column: of svmlight its index, of Vowpal Wabbit namespace and name."""
        return f"feature {self.buckets.ids[place]}" if self.format == SVMLIGHT else self.buckets.name(place)

    def treatment(self) -> Sentence:
        """Return in one phrase what became of the features."""
        scaled = say("as they are")
        if (self.scale != 1).any():
            scaled = say("each brought to a largest size of 1")
        if self.format == SVMLIGHT:
            return say("{met} features met, {scaled}", met=count(self.size), scaled=scaled)
        return say(
            "names hashed into 2^{bits} buckets, {met} of them met, {scaled}; {share} of the features share theirs",
            bits=self.bits,
            met=count(self.size),
            scaled=scaled,
            share=f"{100 * self.shared:.3g} %",
        )

    def weigh(self, counted: SparseRows, dtype: np.dtype[Any]) -> SparseRows:
        """Return entries as the rows of the model."""
        return merged(counted, self.buckets.finder(), masked(counted.places, self.bits), self.scale, dtype)

    def to_json(self) -> dict[str, JsonValue]:
        """Return all but the arrays as plain values."""
        return {"is": "file", "format": self.format, "bits": self.bits, "shared": self.shared}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {**self.buckets.arrays(), "scale": self.scale}


SparseFeature: TypeAlias = TextFeature | HashedCategory | FileFeature


def masked(ids: Codes, bits: int) -> Codes:
    """Return the buckets of hashes of 32 bits; indices, whose bits are 0, as they are."""
    return ids & np.int32((1 << bits) - 1) if bits else ids


def hashed_levels(names: Any, bits: int) -> Codes:
    """Return the bucket (levels,) of each level of an Arrow array."""
    from downslope.data.text.grams import hash_strings

    text = text_of(names, lower=False)
    buckets = np.empty(text.rows, np.int32)
    hash_strings(text.content, text.offsets, (1 << bits) - 1, buckets)
    return buckets


def bucket_rows(levels: Levels, known: Sequence[str], bits: int) -> SparseRows:
    """Return the bucket of each row's level; a row has none whose level is missing or known."""
    from downslope.data.arrow import arrow, compute

    buckets = np.append(hashed_levels(levels.names, bits), np.int32(-1))  # where code -1 points
    names = arrow().chunked_array([levels.names])
    apart = compute().is_in(names, value_set=arrow().array(known, levels.names.type)).to_numpy()
    buckets[:-1][apart] = -1
    met = buckets[levels.codes]
    starts = np.zeros(met.shape[0] + 1, np.int64)
    np.cumsum(met >= 0, out=starts[1:])
    places: Codes = met[met >= 0]
    ones = np.ones(places.shape[0])
    return SparseRows(starts, places, ones)


def merged(
    counted: SparseRows, columns_of: Callable[[Codes], Codes], ids: Codes, scale: Vector, dtype: np.dtype[Any]
) -> SparseRows:  # fmt: skip
    """Return entries by their ids as rows of columns, those of one column added up.

    columns_of: gives the columns of ids, -1 for those that have none. scale: what each column is divided by.
    """
    from downslope.data.text.rows import merge_rows

    share = 1.0 / scale

    def part(first: int, last: int) -> SparseRows:
        rows = counted.between(first, last)
        cut = slice(int(rows.starts[0]), int(rows.starts[-1]))
        columns = columns_of(ids[cut])
        starts = np.zeros(last - first + 1, np.int64)
        places, values = np.empty(rows.entries, np.int32), np.empty(rows.entries, dtype)
        merge_rows(rows.starts, columns, rows.values[cut], share, starts, places, values)
        return SparseRows(starts, places[: starts[-1]], values[: starts[-1]])

    return SparseRows.joined(in_parts(counted.rows, part, threads() if counted.entries > 1 << 18 else 1))


def weighed(
    features: Sequence[SparseFeature], counted: Sequence[SparseRows], rows: NDArray[np.intp] | None,
    dtype: np.dtype[Any],
) -> SparseRows:  # fmt: skip
    """Return some rows (all where None) of what each feature counted, as the sparse rows of the model."""
    parts = [
        feature.weigh(found if rows is None else found.take(rows), dtype)
        for feature, found in zip(features, counted, strict=True)
    ]
    return side_by_side(parts, [each.size for each in features])


def side_by_side(parts: Sequence[SparseRows], sizes: Sequence[int]) -> SparseRows:
    """Return rows whose columns are those of all parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    lengths = np.sum([np.diff(each.starts) for each in parts], axis=0)
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    places, values = np.empty(int(starts[-1]), np.int32), np.empty(int(starts[-1]), parts[0].values.dtype)
    begins: NDArray[Any] = starts[:-1].copy()
    base = 0
    for part, size in zip(parts, sizes, strict=True):
        own = np.diff(part.starts)
        shifts: Offsets = np.repeat(begins - part.starts[:-1], own)
        target = shifts + np.arange(int(part.starts[0]), int(part.starts[-1]))
        entries = slice(int(part.starts[0]), int(part.starts[-1]))
        places[target] = part.places[entries] + base
        values[target] = part.values[entries]
        begins += own
        base += size
    return SparseRows(starts, places, values)


def named_arrays(features: Sequence[SparseFeature]) -> dict[str, NDArray[Any]]:
    """Return the arrays of all features, each by the feature's place and its own name."""
    return {
        f"sparse {place} {name}": np.ascontiguousarray(array)
        for place, each in enumerate(features)
        for name, array in each.arrays().items()
    }


def feature_of(values: Mapping[str, JsonValue], place: int, arrays: Mapping[str, NDArray[Any]]) -> SparseFeature:
    """Return the feature at a place that ``to_json`` and ``named_arrays`` gave."""
    prefix = f"sparse {place} "
    own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    if values["is"] == "text":
        return TextFeature.of(values, own)
    buckets = Buckets.of(own)
    if values["is"] == "category":
        return HashedCategory(values["column"], values["bits"], buckets, tuple(values["known"]), values["shared"])
    return FileFeature(values["format"], values["bits"], buckets, own["scale"], values["shared"])
