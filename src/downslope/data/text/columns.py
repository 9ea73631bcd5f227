"""A text column as sparse columns: which n-grams, in how many buckets, how rare each is, and what it is called.

The columns are the buckets that training rows have met, the most frequent first: the weights of common words then lie
side by side, and a bucket that no row has met has no weight to keep. A count c becomes ``1 + log c``, is multiplied by
the inverse document frequency ``log((1 + n) / (1 + f)) + 1`` of a column met in f of n rows (as scikit-learn's
``TfidfTransformer`` has it), and each row is brought to length 1. Counts are taken without the sign of the hash: a
weight then has the sign of what its word says, and a count has a logarithm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow, compute
from downslope.data.blocks import SparseRows
from downslope.data.parallel import in_parts
from downslope.data.text.buckets import Buckets
from downslope.machine import threads
from downslope.records import figures
from downslope.records.grams import Kind
from downslope.types import Codes, JsonValue, Offsets, Vector
from downslope.words import Sentence, say

FEWEST_BITS, MOST_BITS = 10, 24
"""Bits of a hash when they are chosen: beyond the most, the table of buckets is slower than a rare collision is bad."""
BUCKETS_PER_GRAM = 8
"""Buckets for each n-gram that the text may hold: at most one in eight shares its own."""
NAMED = 1 << 20
"""Columns whose names are kept, the most frequent first."""
NAMING_BYTES = 1 << 24
"""Text that names are taken from, rows spread over the whole."""
AT_ONCE = 1 << 20
"""Bytes of text that a thread hashes at once."""
BYTES_PER_WORD = 5
"""A word with its space is longer in any language written with spaces."""
BY_PYTHON = "[\u0130\u03a3\u1c89\ua7cb-\ua7ff\uab6c\uab6d\U00010d50-\U00010d65\U00016ea0-\U00016ebf]"
"""Capitals that Arrow lowers otherwise than Python does: two that depend on what follows, and those new to Unicode."""


@dataclass(frozen=True)
class Text:
    """A column of strings as lower-cased UTF-8: content and (n + 1,) offsets; a missing string is empty."""

    content: NDArray[np.uint8]
    offsets: Offsets
    ascii_only: bool

    @property
    def rows(self) -> int:
        """Rows."""
        return self.offsets.shape[0] - 1

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.offsets[-1] - self.offsets[0])


@dataclass(frozen=True)
class TextFeature:
    """A text column and the sparse columns that it becomes.

    kind: the n-grams. bits: of the hash. buckets: those met in training, as columns. rarity: (s,) float64, the inverse
    document frequency of each column. shared: the share of n-grams met that share their bucket with another.
    """

    column: str
    kind: Kind
    bits: int
    buckets: Buckets
    rarity: Vector
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
        """Return the name of a column, such as "review: not good", or its bucket where no name is kept."""
        return f"{self.column}: {self.buckets.name(place)}"

    def treatment(self) -> Sentence:
        """Return in one phrase what became of the text."""
        return say(
            "{grams} hashed into 2^{bits} buckets, {met} of them met; {share} of the n-grams share theirs",
            grams=str(self.kind),
            bits=self.bits,
            met=figures.count(self.size),
            share=f"{100 * self.shared:.3g} %",
        )

    def count(self, column: Any) -> SparseRows:
        """Return how often each row of an Arrow column of strings meets each bucket."""
        return count(text_of(column), self.kind, self.bits)

    def weigh(self, counted: SparseRows, dtype: np.dtype[Any]) -> SparseRows:
        """Return counts by bucket as the rows of the model."""
        return tf_idf(counted, self.buckets.finder(), self.rarity, dtype)

    def to_json(self) -> dict[str, JsonValue]:
        """Return all but the arrays as plain values."""
        return {"is": "text", "column": self.column, "kind": str(self.kind), "bits": self.bits, "shared": self.shared}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays by name."""
        return {**self.buckets.arrays(), "rarity": self.rarity}

    @classmethod
    def of(cls, values: Mapping[str, JsonValue], arrays: Mapping[str, NDArray[Any]]) -> TextFeature:
        """Return the feature that ``to_json`` and ``arrays`` gave."""
        return cls(
            values["column"], Kind.of(values["kind"]), values["bits"], Buckets.of(arrays), arrays["rarity"],
            values["shared"],
        )  # fmt: skip


def tf_idf(
    counted: SparseRows, columns_of: Callable[[Codes], Codes], rarity: Vector, dtype: np.dtype[Any]
) -> SparseRows:  # fmt: skip
    """Return counts by bucket as rows of length 1. columns_of: gives the columns of buckets; rarity: of each column."""
    from downslope.data.text.grams import weigh_rows

    def part(first: int, last: int) -> SparseRows:
        rows = counted.between(first, last)
        columns = columns_of(rows.places[rows.starts[0] : rows.starts[-1]])
        starts = np.zeros(last - first + 1, np.int64)
        places, values = np.empty(rows.entries, np.int32), np.empty(rows.entries, dtype)
        weigh_rows(rows.starts, columns, rows.values, rarity, starts, places, values)
        return SparseRows(starts, places[: starts[-1]], values[: starts[-1]])

    return SparseRows.joined(in_parts(counted.rows, part, 4 * threads() if counted.entries > 1 << 18 else 1))


def text_of(column: Any, *, lower: bool = True) -> Text:
    """Return an Arrow column of strings as Text, lower-cased as Python does unless ``lower`` is False."""
    pyarrow, pc = arrow(), compute()
    plain = column.cast(pyarrow.large_string())
    whole = pc.fill_null(plain, "") if plain.null_count else plain
    if isinstance(whole, pyarrow.ChunkedArray):
        whole = pyarrow.concat_arrays(whole.chunks) if whole.num_chunks else pyarrow.array([], pyarrow.large_string())
    ascii_only = len(whole) == 0 or bool(pc.all(pc.string_is_ascii(whole)).as_py())
    lowered = (pc.ascii_lower(whole) if ascii_only else _lowered(whole)) if lower else whole
    _, offsets, content = lowered.buffers()
    if offsets is None or content is None:
        return Text(np.zeros(1, np.uint8), np.zeros(len(lowered) + 1, np.int64), True)
    ends = np.frombuffer(offsets, np.int64)[lowered.offset : lowered.offset + len(lowered) + 1].copy()
    return Text(np.frombuffer(content, np.uint8).copy(), ends, ascii_only)


def _lowered(whole: Any) -> Any:
    pyarrow, pc = arrow(), compute()
    lowered = pc.utf8_lower(whole)
    special = pc.match_substring_regex(whole, BY_PYTHON)
    if not pc.any(special).as_py():
        return lowered
    by_python = pyarrow.array([each.lower() for each in whole.filter(special).to_pylist()], pyarrow.large_string())
    return pc.replace_with_mask(lowered, special, by_python)


def bits_for(text: Text, kind: Kind) -> int:
    """Return the bits of the hash: at least BUCKETS_PER_GRAM buckets for each n-gram that there can be."""
    return bits_of(text.size, kind)


def bits_of(size: int, kind: Kind) -> int:
    """Return the bits of the hash for a text of so many bytes; see ``bits_for``."""
    grams = max(grams_of(size, kind), 1.0)
    return int(min(max(np.ceil(np.log2(grams * BUCKETS_PER_GRAM)), FEWEST_BITS), MOST_BITS))


def grams_of(size: int, kind: Kind) -> float:
    """Return about how many n-grams a text of so many bytes holds, at most."""
    return (kind.high - kind.low + 1) * size / (BYTES_PER_WORD if kind.analyzer == "word" else 1)


def _grams(kind: Kind, bits: int, *, signed: bool = False) -> Any:
    from downslope.data.text.grams import Grams

    return Grams(kind.code, kind.low, kind.high, (1 << bits) - 1, signed)


def count(text: Text, kind: Kind, bits: int, *, signed: bool = False) -> SparseRows:
    """Return how often each row meets each bucket: ``places`` are buckets, ``values`` float32 counts."""
    from downslope.data.text.grams import character_classes, count_grams, most_grams

    grams = _grams(kind, bits, signed=signed)
    classes = character_classes(text.ascii_only)

    def part(first: int, last: int) -> SparseRows:
        room = most_grams(int(text.offsets[last] - text.offsets[first]), last - first, grams)
        places, counts = np.empty(room, np.int32), np.empty(room, np.float32)
        starts = np.zeros(last - first + 1, np.int64)
        count_grams(text.content, text.offsets, classes, grams, first, last, starts, places, counts)
        return SparseRows(starts, places[: starts[-1]].copy(), counts[: starts[-1]].copy())

    return SparseRows.joined(in_parts(text.rows, part, max(-(-text.size // AT_ONCE), threads())))


def fit_text(
    column: str, text: Text, counted: SparseRows, rows: NDArray[np.intp] | None, kind: Kind, bits: int
) -> TextFeature:
    """Return the feature of a text column, learned from the training rows (all where None)."""
    buckets, met = Buckets.met(counted.places if rows is None else counted.take(rows).places)
    return feature_of_met(column, text, buckets, met, text.rows if rows is None else rows.shape[0], kind, bits)


def feature_of_met(
    column: str, text: Text, buckets: Buckets, met: NDArray[np.int64], rows: int, kind: Kind, bits: int
) -> TextFeature:
    """Return the feature of a text column whose buckets were met in so many (s,) of ``rows`` training rows.

    text: rows spread over the whole, for the names.
    """
    rarity = np.log((1.0 + rows) / (1.0 + met)) + 1.0
    names, shared = _names(text, buckets, kind, bits)
    return TextFeature(column, kind, bits, buckets.named(names), rarity, shared)


def _names(text: Text, buckets: Buckets, kind: Kind, bits: int) -> tuple[list[bytes], float]:
    """Return the names of the first columns, and the share of n-grams that share their bucket with another.

    Both are taken from rows spread over the whole, whether they train or not: what a bucket is called and how often it
    is shared is no part of what is learned.
    """
    from downslope.data.text.grams import NAME_BYTES, Votes, character_classes, name_buckets

    kept = min(buckets.size, NAMED)
    votes = Votes(
        np.zeros(kept, np.int32), np.zeros(kept, np.uint32), np.zeros(kept, np.bool_), np.zeros(kept, np.int32),
        np.zeros(kept, np.uint32), np.zeros((kept, NAME_BYTES), np.uint8),
    )  # fmt: skip
    name_buckets(
        text.content, text.offsets, character_classes(text.ascii_only), _grams(kind, bits),
        max(-(-text.size // NAMING_BYTES), 1), Buckets(buckets.ids[:kept]).table(1 << bits), votes,
    )  # fmt: skip
    told: list[bytes] = votes.names.view(f"S{NAME_BYTES}")[:, 0].tolist() if kept else []
    return told, float(votes.met[votes.mixed].sum() / max(votes.met.sum(), 1))
