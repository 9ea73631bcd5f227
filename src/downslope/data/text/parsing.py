"""Read lines of svmlight and of Vowpal Wabbit text: compiled loops over the bytes, some lines to each thread.

svmlight (Joachims 1999): ``label [qid:n] index:value index:value ... # comment``. Vowpal Wabbit: ``[label [importance]]
[tag]|space[:value] name[:value] ... |space ...``, a value left out being 1. A name is hashed with the hash of its
namespace as the seed, and a name of digits is its number added to that hash: the index that Vowpal Wabbit itself
gives it, before the bits above ``-b`` are cut off.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.compiling import inlined, kernel
from downslope.data.text.hashing import B0, B8, B32, LOW, Bytes, finished, mixed_in
from downslope.types import Codes, Offsets, Vector

ROW, SKIPPED = 0, 1
NO_LABEL, NO_ENTRY, NO_INDEX, NO_VALUE, TWICE, NO_BAR, NO_HEAD, NO_IMPORTANCE, NO_NAME = range(2, 11)
"""What is wrong with a line."""
TAB, NEWLINE, RETURN, BLANK, HASH, PLUS, MINUS, DOT, COLON, BAR, QUOTE = 9, 10, 13, 32, 35, 43, 45, 46, 58, 124, 39
ZERO, NINE, CARET = 48, 57, 94
MOST_DIGITS = 10**17
"""A mantissa from which on further digits are left out: float64 has fewer."""
EXACT_TENS = 22
"""Powers of ten that float64 holds exactly."""
HIGHEST_INDEX = 2**31 - 1


ONE = np.uintp(1)
IS_BLANK = np.zeros(256, np.bool_)
"""Whether a byte parts words within a line."""
IS_BLANK[[BLANK, TAB, RETURN]] = True
ENDS_NAME = np.zeros(256, np.bool_)
"""Whether a byte ends a name: a blank, a colon or a bar, or the end of the line."""
ENDS_NAME[[BLANK, TAB, RETURN, COLON, BAR, NEWLINE]] = True
Place: TypeAlias = "int | np.intp"


class Lines(NamedTuple):
    """What some lines hold, row after row.

    labels, importance: (lines,) of each row, NaN where there is no label. starts: (lines + 1,). ids, values: (entries,)
    of each entry, and origins where its name begins in its line. begins: (lines,) where each line begins. status:
    (lines,) ROW, SKIPPED, or what is wrong.
    """

    labels: Vector
    importance: Vector
    starts: Offsets
    ids: Codes
    values: Vector
    origins: Codes
    begins: Offsets
    status: NDArray[np.uint8]


@kernel
def count_lines(text: Bytes, begin: int, end: int) -> int:
    """Return the lines that end in a part of a text."""
    lines = 0
    for place in range(begin, end):
        lines += text[place] == NEWLINE
    return lines


@kernel
def line_end(text: Bytes, place: int) -> int:
    """Return where the line at a place ends; there is a newline ahead."""
    while text[place] != NEWLINE:
        place += 1
    return place


@kernel
def after_blanks(text: Bytes, place: int, end: int) -> int:
    """Return the first place that is not blank."""
    while place < end and IS_BLANK[text[place]]:
        place += 1
    return place


@kernel
def read_digits(text: Bytes, place: Place, end: int, mantissa: int) -> tuple[int, int, int, Place]:
    """Read digits behind a mantissa; return the mantissa, how many it took and left out, and the place behind them."""
    taken, left_out = 0, 0
    while place < end and ZERO <= text[place] <= NINE:
        if mantissa < MOST_DIGITS:
            mantissa = 10 * mantissa + (int(text[place]) - ZERO)
            taken += 1
        else:
            left_out += 1
        place += 1
    return mantissa, taken, left_out, place


@kernel
def read_sign(text: Bytes, place: Place, end: int) -> tuple[bool, Place]:
    """Return whether a minus stands at a place, and the place behind a sign."""
    if place < end and text[place] in (PLUS, MINUS):
        return text[place] == MINUS, place + 1
    return False, place


@kernel
def read_exponent(text: Bytes, place: Place, end: int) -> tuple[int, Place]:
    """Read what stands behind an e; return the exponent and the place behind it, or -1 where there is no number."""
    minus, place = read_sign(text, place, end)
    exponent, taken, _, place = read_digits(text, place, end, 0)
    if taken == 0:
        return 0, -1
    exponent = min(exponent, 10_000)
    return (-exponent if minus else exponent), place


@kernel
def read_number(text: Bytes, place: Place, end: int) -> tuple[float, Place]:
    """Read a decimal number; return it and the place behind it, or -1 where there is none.

    Right to the last bit up to 15 digits and exponents up to 22, beyond that within a few units of the last place.
    """
    minus, place = read_sign(text, place, end)
    mantissa, whole, exponent, place = read_digits(text, place, end, 0)
    if place < end and text[place] == DOT:
        mantissa, taken, _, place = read_digits(text, place + 1, end, mantissa)
        whole += taken
        exponent -= taken
    if whole == 0:
        return 0.0, -1
    if place < end and text[place] in (69, 101):
        tens, place = read_exponent(text, place + 1, end)
        if place < 0:
            return 0.0, -1
        exponent += tens
    value = float(mantissa)
    if exponent < 0:
        value = value / 10.0**-exponent if exponent >= -300 else value / 1e300 / 10.0 ** (-exponent - 300)
    elif exponent > 0:
        value *= 10.0**exponent
    return (-value if minus else value), (place if np.isfinite(value) else -1)


@kernel
def word_end(text: Bytes, place: int, end: int) -> int:
    """Return where the word at a place ends."""
    while place < end and not IS_BLANK[text[place]]:
        place += 1
    return place


@kernel
def read_entry(text: Bytes, place: Place, end: int) -> tuple[int, float, int]:
    """Read ``index:value``; return both and 0, or what is wrong."""
    index, taken, left_out, place = read_digits(text, place, end, 0)
    if taken == 0 or place >= end or text[place] != COLON:
        return 0, 0.0, NO_ENTRY
    if left_out or index > HIGHEST_INDEX:
        return 0, 0.0, NO_INDEX
    value, place = read_number(text, place + 1, end)
    return index, value, (0 if place == end else NO_VALUE)


@kernel
def is_query(text: Bytes, place: int, end: int) -> bool:
    """Return whether a word begins with ``qid:``."""
    return end - place > 4 and text[place] == 113 and text[place + 1] == 105 and text[place + 2] == 100


@kernel
def read_svmlight_line(text: Bytes, place: int, end: int, out: Lines, row: int, filled: int) -> tuple[int, int]:
    """Read one line behind its blanks; return what is wrong, or 0, and how many entries there are now."""
    first, highest = filled, -1
    stop = word_end(text, place, end)
    out.labels[row], after = read_number(text, place, stop)
    out.importance[row] = 1.0
    if after != stop:
        return NO_LABEL, first
    place = after_blanks(text, stop, end)
    while place < end:
        stop = word_end(text, place, end)
        if not is_query(text, place, stop):
            index, value, wrong = read_entry(text, place, stop)
            if wrong:
                return wrong, first
            if index <= highest and (out.ids[first:filled] == index).any():
                return TWICE, first
            highest = max(highest, index)
            out.ids[filled], out.values[filled] = index, value
            filled += 1
        place = after_blanks(text, stop, end)
    return 0, filled


@kernel
def content_end(text: Bytes, place: int, end: int) -> int:
    """Return where the comment of a line begins, or the line ends."""
    while place < end and text[place] != HASH:
        place += 1
    return place


@kernel
def read_svmlight(text: Bytes, begin: int, stop: int, out: Lines) -> int:
    """Read the lines between two places, each after a newline; return how many rows they hold."""
    row, filled, line = 0, 0, 0
    while begin < stop:
        whole = line_end(text, begin)
        end = content_end(text, begin, whole)
        place = after_blanks(text, begin, end)
        out.begins[line], out.status[line] = begin, SKIPPED
        if place < end:
            wrong, filled = read_svmlight_line(text, place, end, out, row, filled)
            out.status[line] = wrong
            if not wrong:
                row += 1
                out.starts[row] = filled
        begin, line = whole + 1, line + 1
    return row


@inlined
def number_of(text: Bytes, begin: np.uintp, end: np.uintp, seed: np.uint64) -> np.uint64:
    """Return the hash of a name of digits: their number plus the seed."""
    number = B0
    while begin < end:
        number = np.uint64(10) * number + (np.uint64(text[begin]) - np.uint64(ZERO))
        begin += ONE
    return (number + seed) & LOW


@kernel
def name_end(text: Bytes, place: int, end: int) -> int:
    """Return where the name at a place ends: at a blank, a colon or a bar."""
    while place < end and not ENDS_NAME[text[place]]:
        place += 1
    return place


@kernel
def read_value(text: Bytes, place: Place, end: int) -> tuple[float, Place]:
    """Read ``:value`` behind a name, 1 where there is none; return it and the place behind it, or -1."""
    if place >= end or text[place] != COLON:
        return 1.0, place
    value, place = read_number(text, place + 1, end)
    if place >= 0 and place < end and not IS_BLANK[text[place]] and text[place] != BAR:
        return 0.0, -1
    return value, place


@kernel
def read_head(text: Bytes, place: int, bar: int, out: Lines, row: int) -> int:
    """Read what stands before the first bar: label, importance and tag; return what is wrong, or 0."""
    out.labels[row], out.importance[row] = np.nan, 1.0
    numbers = 0
    while place < bar:
        stop = word_end(text, place, bar)
        value, after = read_number(text, place, stop)
        is_number = after == stop and stop < bar
        is_tag = text[place] == QUOTE or stop == bar
        if not is_number and not is_tag:
            return NO_HEAD
        if is_number:
            numbers += 1
            if numbers == 1:
                out.labels[row] = value
            elif numbers > 2:
                return NO_HEAD
            elif value < 0:
                return NO_IMPORTANCE
            else:
                out.importance[row] = value
        place = after_blanks(text, stop, bar)
    return 0


@inlined
def read_name(text: Bytes, at: np.uintp, seed: np.uint64) -> tuple[np.uint64, np.uintp]:
    """Return the hash of the name at a place, and where it ends.

    It is hashed as it is read: to go over each name twice, with a call for each, took three times as long. The place is
    never negative, since that an index might be costs a comparison at each byte.
    """
    origin = at
    state, block, shift, others = seed, B0, B0, False
    while not ENDS_NAME[text[at]]:
        letter = text[at]
        others |= letter < ZERO or letter > NINE
        block |= np.uint64(letter) << shift
        shift += B8
        at += ONE
        if shift == B32:
            state, block, shift = mixed_in(state, block), B0, B0
    if others:
        return finished(state, block, np.uint64(at - origin)), at
    return number_of(text, origin, at, seed), at


@inlined
def next_word(text: Bytes, at: np.uintp) -> np.uintp:
    """Return the first place that is not blank; a newline is ahead."""
    while IS_BLANK[text[at]]:
        at += ONE
    return at


@kernel
def read_space(text: Bytes, place: Place, end: int, begin: int, out: Lines, filled: int) -> tuple[int, Place, int]:
    """Read one namespace behind its bar; return what is wrong, the place behind it, and how many entries there are."""
    seed, at = read_name(text, np.uintp(place), B0)
    factor, place = read_value(text, np.intp(at), end)
    if place < 0:
        return NO_VALUE, end, filled
    at = np.uintp(place)
    while True:
        at = next_word(text, at)
        if text[at] in (BAR, NEWLINE):
            return 0, np.intp(at), filled
        origin = at
        hashed, at = read_name(text, at, seed)
        if at == origin:
            return NO_NAME, end, filled
        value = 1.0
        if text[at] == COLON:
            value, place = read_value(text, np.intp(at), end)
            if place < 0:
                return NO_VALUE, end, filled
            at = np.uintp(place)
        if value * factor != 0:
            out.ids[filled], out.values[filled] = np.int32(np.uint32(hashed)), value * factor
            out.origins[filled] = np.intp(origin) - begin
            filled += 1


@kernel
def read_vw_line(text: Bytes, begin: int, end: int, out: Lines, row: int, filled: int) -> tuple[int, int]:
    """Read one line that is not blank; return what is wrong, or 0, and how many entries there are now."""
    place = after_blanks(text, begin, end)
    first, bar = filled, place
    while bar < end and text[bar] != BAR:
        bar += 1
    if bar == end:
        return NO_BAR, first
    wrong = read_head(text, place, bar, out, row)
    while bar < end and not wrong:
        wrong, bar, filled = read_space(text, bar + 1, end, begin, out, filled)
    return wrong, (first if wrong else filled)


@kernel
def read_vw(text: Bytes, begin: int, stop: int, out: Lines) -> int:
    """Read the lines between two places, each after a newline; return how many rows they hold.

    Names of one row that share an index are one entry each.
    """
    row, filled, line = 0, 0, 0
    while begin < stop:
        end = line_end(text, begin)
        out.begins[line], out.status[line] = begin, SKIPPED
        if after_blanks(text, begin, end) < end:
            wrong, filled = read_vw_line(text, begin, end, out, row, filled)
            out.status[line] = wrong
            if not wrong:
                row += 1
                out.starts[row] = filled
        begin, line = end + 1, line + 1
    return row


@kernel
def space_of(text: Bytes, place: int) -> tuple[int, int]:
    """Return where the name of the namespace that a feature at a place belongs to begins and ends."""
    bar = place
    while text[bar] != BAR:
        bar -= 1
    return bar + 1, name_end(text, bar + 1, place)


@kernel
def write_names(text: Bytes, base: int, origins: Offsets, most: int, ends: Offsets, letters: Bytes) -> None:
    """Write the names of the features whose names begin in one file, such as ``user^age``.

    base: where the file begins among ``origins`` (s,), those of all features. ends: (s,) the lengths of the names where
    ``letters`` is empty, which are to be filled in; else where each name ends in it. most: bytes of a name.
    """
    for each in range(origins.shape[0]):
        place = origins[each] - base
        if place < 0 or place >= text.shape[0]:
            continue
        begin, stop = space_of(text, place)
        space = min(stop - begin, most)
        name = min(name_end(text, place, text.shape[0] - 1) - place, most)
        size = name + (space + 1 if space > 0 else 0)
        if letters.shape[0] == 0:
            ends[each] = size
            continue
        start = ends[each] - size
        if space > 0:
            letters[start : start + space] = text[begin : begin + space]
            letters[start + space] = CARET
        letters[ends[each] - name : ends[each]] = text[place : place + name]
