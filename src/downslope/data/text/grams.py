r"""N-grams of UTF-8 text, hashed: compiled loops over the bytes, with no Python object for a token.

The n-grams are those of scikit-learn's three analysers. ``word``: runs of two or more characters that regular
expressions call ``\w``, joined by one space. ``char``: runs of characters, two or more white spaces counting as one
space. ``char_wb``: runs of characters within each word between white spaces, a space on either side of it.

Each row is first written out anew so that every n-gram of it is one stretch of bytes, which is then hashed in place.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope.compiling import kernel
from downslope.data.text.hashing import Bytes, bucket_of, murmur
from downslope.types import Codes, FloatArray, Offsets

WORDS, CHARACTERS, WITHIN = 0, 1, 2
"""scikit-learn's analysers word, char and char_wb."""
WORD, SPACE = 1, 2
ASCII = 128
HIGHEST = 0x110000
"""Code points of Unicode."""
SPREAD = np.uint32(2654435769)
"""Knuth's multiplier: neighbouring buckets find places far apart."""
NO_SEED = np.uint64(0)
NAME_BYTES = 48
"""Bytes kept of the name of an n-gram."""


class Grams(NamedTuple):
    """Which n-grams: ``kind`` is WORDS, CHARACTERS or WITHIN, of which low up to high make one.

    mask: ``2^bits - 1``. signed: counts are taken with the sign of the hash.
    """

    kind: int
    low: int
    high: int
    mask: int
    signed: bool


class Row(NamedTuple):
    """One row written out: ``text``, where its tokens begin and end, and, of each n-gram, begin, end and hash."""

    text: Bytes
    begins: Offsets
    ends: Offsets
    starts: Offsets
    stops: Offsets
    hashes: NDArray[np.uint32]


@cache
def character_classes(ascii_only: bool) -> Bytes:
    """Return what each code point is: WORD, SPACE, or 0."""
    points = np.arange(ASCII if ascii_only else HIGHEST, dtype=np.uint32)
    points[0xD800:0xE000] = 0  # the surrogates stand for no character
    letters = points.view("U1")
    classes = np.where(np.strings.isalnum(letters), WORD, 0).astype(np.uint8)
    classes[np.strings.isspace(letters)] = SPACE
    classes[ord("_")] = WORD
    return classes


@kernel
def read_point(text: Bytes, place: int) -> tuple[int, int]:
    """Return the code point that begins at a byte, and how many bytes it takes."""
    head = int(text[place])
    if head < ASCII:
        return head, 1
    if head < 0xE0:
        return ((head & 0x1F) << 6) | (int(text[place + 1]) & 0x3F), 2
    if head < 0xF0:
        middle = (int(text[place + 1]) & 0x3F) << 6
        return ((head & 0x0F) << 12) | middle | (int(text[place + 2]) & 0x3F), 3
    middle = ((int(text[place + 1]) & 0x3F) << 12) | ((int(text[place + 2]) & 0x3F) << 6)
    return ((head & 0x07) << 18) | middle | (int(text[place + 3]) & 0x3F), 4


@kernel
def write_words(text: Bytes, begin: int, end: int, classes: Bytes, row: Row) -> int:
    """Write the words of two or more characters, one space between them; return how many."""
    count, size, began, letters, place = 0, 0, 0, 0, begin
    while place < end:
        point, width = read_point(text, place)
        if classes[point] == WORD:
            for each in range(place, place + width):
                row.text[size] = text[each]
                size += 1
            letters += 1
        elif letters > 1:
            row.begins[count], row.ends[count] = began, size
            row.text[size] = 32
            count, size, letters = count + 1, size + 1, 0
            began = size
        else:
            size, letters = began, 0
        place += width
    if letters > 1:
        row.begins[count], row.ends[count] = began, size
        count += 1
    return count


@kernel
def write_token(text: Bytes, place: int, width: int, row: Row, token: int, size: int) -> int:
    """Write one character; return where the next one goes."""
    row.begins[token] = size
    for each in range(place, place + width):
        row.text[size] = text[each]
        size += 1
    row.ends[token] = size
    return size


@kernel
def write_space(row: Row, token: int, size: int) -> int:
    """Write one space as a token of its own; return where the next one goes."""
    row.begins[token], row.ends[token] = size, size + 1
    row.text[size] = 32
    return size + 1


@kernel
def after_blanks(text: Bytes, place: int, end: int, classes: Bytes) -> tuple[int, int]:
    """Return how many white spaces stand at a place, and where the first other character is."""
    blanks = 0
    while place < end:
        point, width = read_point(text, place)
        if classes[point] != SPACE:
            break
        blanks += 1
        place += width
    return blanks, place


@kernel
def write_characters(text: Bytes, begin: int, end: int, classes: Bytes, row: Row) -> int:
    """Write the characters, a run of two or more white spaces as one space; return how many."""
    count, size, place = 0, 0, begin
    while place < end:
        point, width = read_point(text, place)
        if classes[point] == SPACE:
            blanks, after = after_blanks(text, place, end, classes)
            if blanks > 1:
                size = write_space(row, count, size)
                count += 1
                place = after
                continue
        size = write_token(text, place, width, row, count, size)
        count += 1
        place += width
    return count


@kernel
def hash_runs(row: Row, tokens: int, low: int, high: int, count: int) -> int:
    """Hash all runs of low .. high tokens; return how many n-grams there are now."""
    for length in range(low, high + 1):
        for token in range(tokens - length + 1):
            start, stop = row.begins[token], row.ends[token + length - 1]
            row.starts[count], row.stops[count] = start, stop
            row.hashes[count] = murmur(row.text, start, stop, NO_SEED)
            count += 1
    return count


@kernel
def hash_padded(row: Row, tokens: int, low: int, high: int, count: int) -> int:
    """Hash the runs within one padded word; a word shorter than the run counts once, as a whole."""
    for length in range(low, high + 1):
        if length >= tokens:
            return hash_runs(row, tokens, tokens, tokens, count)
        count = hash_runs(row, tokens, length, length, count)
    return count


@kernel
def hash_within(text: Bytes, begin: int, end: int, classes: Bytes, low: int, high: int, row: Row) -> int:
    """Write the words between white spaces, a space on either side, and hash the runs of characters within each."""
    size, count = 0, 0
    _, place = after_blanks(text, begin, end, classes)
    while place < end:
        size = write_space(row, 0, size)
        tokens = 1
        while place < end:
            point, width = read_point(text, place)
            if classes[point] == SPACE:
                break
            size = write_token(text, place, width, row, tokens, size)
            tokens += 1
            place += width
        size = write_space(row, tokens, size)
        count = hash_padded(row, tokens + 1, low, high, count)
        _, place = after_blanks(text, place, end, classes)
    return count


@kernel
def hash_row(text: Bytes, begin: int, end: int, classes: Bytes, grams: Grams, row: Row) -> int:
    """Hash all n-grams of a row; return how many."""
    if grams.kind == WORDS:
        return hash_runs(row, write_words(text, begin, end, classes, row), grams.low, grams.high, 0)
    if grams.kind == CHARACTERS:
        return hash_runs(row, write_characters(text, begin, end, classes, row), grams.low, grams.high, 0)
    return hash_within(text, begin, end, classes, grams.low, grams.high, row)


@kernel
def make_row(longest: int, grams: Grams) -> Row:
    """Return room for rows of so many bytes; within words, one letter may become three."""
    tokens = 3 * longest + 4 if grams.kind == WITHIN else longest + 1
    most = (grams.high - grams.low + 1) * tokens
    return Row(
        np.empty(tokens, np.uint8), np.empty(tokens, np.int64), np.empty(tokens, np.int64), np.empty(most, np.int64),
        np.empty(most, np.int64), np.empty(most, np.uint32),
    )  # fmt: skip


@kernel
def most_grams(size: int, rows: int, grams: Grams) -> int:
    """Return how many n-grams there can be in so many bytes of so many rows."""
    tokens = size // 3 + rows if grams.kind == WORDS else 3 * size + 4 * rows if grams.kind == WITHIN else size
    return (grams.high - grams.low + 1) * tokens + 1


@kernel
def count_grams(
    text: Bytes, offsets: Offsets, classes: Bytes, grams: Grams, start: int, stop: int, starts: Offsets, places: Codes,
    counts: FloatArray,
) -> None:  # fmt: skip
    """Count the n-grams of rows start .. stop by bucket.

    starts: (rows + 1,). places, counts: buckets, in the order in which a row meets them, and how often it does. A small
    table of places, never more than half full, finds those that a row has met before.
    """
    longest = 0
    for i in range(start, stop):
        longest = max(longest, offsets[i + 1] - offsets[i])
    row = make_row(longest, grams)
    bits = 6
    while (1 << bits) < 2 * row.hashes.shape[0]:
        bits += 1
    table = np.full(1 << bits, -1, np.int32)
    filled = 0
    for i in range(start, stop):
        count = hash_row(text, offsets[i], offsets[i + 1], classes, grams, row)
        own = 6
        while (1 << own) < 2 * count:
            own += 1
        shift, last, before = np.uint32(32 - own), (1 << own) - 1, filled
        for each in range(count):
            hashed = row.hashes[each]
            bucket = bucket_of(hashed, grams.mask)
            one = -1 if grams.signed and np.int32(hashed) < 0 else 1
            slot = np.int64(np.uint32(np.uint32(bucket) * SPREAD) >> shift)
            while table[slot] >= 0 and places[before + table[slot]] != bucket:
                slot = (slot + 1) & last
            if table[slot] < 0:
                table[slot] = filled - before
                places[filled], counts[filled] = bucket, one
                filled += 1
            else:
                counts[before + table[slot]] += one
        table[: last + 1] = -1
        starts[i - start + 1] = filled


class Votes(NamedTuple):
    """What columns (s,) have met: n-grams, which first, whether several; and the majority by Boyer and Moore (1981).

    met, first, mixed: how many n-grams, the hash of the first, and whether another one came. votes, kept: of the
    majority, and its hash. names: (s, NAME_BYTES) its bytes, ended by a 0.
    """

    met: Codes
    first: NDArray[np.uint32]
    mixed: NDArray[np.bool_]
    votes: Codes
    kept: NDArray[np.uint32]
    names: Bytes


@kernel
def vote(votes: Votes, column: int, row: Row, gram: int) -> None:
    """Count one n-gram for its column."""
    hashed = row.hashes[gram]
    if votes.met[column] == 0:
        votes.first[column] = hashed
    votes.met[column] += 1
    votes.mixed[column] |= votes.first[column] != hashed
    if votes.votes[column] > 0:
        votes.votes[column] += 1 if votes.kept[column] == hashed else -1
        return
    votes.votes[column], votes.kept[column] = 1, hashed
    begin = row.starts[gram]
    size = min(row.stops[gram] - begin, NAME_BYTES)
    for place in range(size):
        votes.names[column, place] = row.text[begin + place]
    if size < NAME_BYTES:
        votes.names[column, size] = 0


@kernel
def name_buckets(
    text: Bytes, offsets: Offsets, classes: Bytes, grams: Grams, step: int, columns: Codes, votes: Votes
) -> None:
    """Let the n-grams of every ``step``-th row vote for the names of their columns.

    columns: (2^bits,), the column of each bucket, or -1.
    """
    longest = 0
    rows = offsets.shape[0] - 1
    for i in range(0, rows, step):
        longest = max(longest, offsets[i + 1] - offsets[i])
    row = make_row(longest, grams)
    for i in range(0, rows, step):
        for gram in range(hash_row(text, offsets[i], offsets[i + 1], classes, grams, row)):
            column = columns[bucket_of(row.hashes[gram], grams.mask)]
            if column >= 0:
                vote(votes, column, row, gram)


@kernel
def weigh_rows(
    starts: Offsets, columns: Codes, counts: FloatArray, rarity: FloatArray, new_starts: Offsets, places: Codes,
    values: FloatArray,
) -> None:  # fmt: skip
    """Turn the counts of columns into rows of length 1; entries of column -1 are left out.

    A count c counts ``1 + log c``, times the inverse document frequency ``rarity`` (s,) of its column.
    """
    filled = 0
    base = starts[0]
    for row in range(starts.shape[0] - 1):
        first = filled
        square = 0.0
        for e in range(starts[row] - base, starts[row + 1] - base):
            column = columns[e]
            if column < 0:
                continue
            value = (1.0 + np.log(counts[base + e]) if counts[base + e] > 1 else 1.0) * rarity[column]
            places[filled], values[filled] = column, value
            square += value * value
            filled += 1
        share = 1.0 / np.sqrt(square) if square > 0 else 1.0
        for e in range(first, filled):
            values[e] *= share
        new_starts[row + 1] = filled


@kernel
def hash_strings(text: Bytes, offsets: Offsets, mask: int, buckets: Codes) -> None:
    """Fill ``buckets`` (n,) with the bucket of each whole string."""
    for i in range(buckets.shape[0]):
        buckets[i] = bucket_of(murmur(text, offsets[i], offsets[i + 1], NO_SEED), mask)
