"""Fit the plan: look at the training rows of each column once and decide how it becomes features."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.columns import Levels, Numbers, kind_of, monotone, parts_of, text_names
from downslope.data.encode import Key, Rows, decode
from downslope.data.encodings import MISSING, CategoryFeature, LeftOut, NumberFeature
from downslope.errors import ColumnError
from downslope.records.figures import count
from downslope.words import Sentence, joined, named, say

MOST_LEVELS = 256
"""Levels that get a weight of their own; rarer ones share the level "other"."""

IDENTIFIER_ROWS = 50
"""Rows from which distinct values speak of an identifier: in fewer, a real feature is often distinct too."""

IDENTIFIER_SHARE = 0.9
"""Share of distinct values above which a text names its row and says nothing about the next one."""

RARE_SHARE = 0.5
"""Share of distinct values above which a level has fewer than two rows, too few to learn a weight from."""

CONSTANT = 8 * float(np.finfo(np.float64).eps)
"""Deviation, relative to the mean, that is rounding and not variation."""

FLOAT32_MOST = float(np.finfo(np.float32).max)

_IDENTIFIER_NAME = re.compile(
    r"(?i:(?:.*[_\s-])?(?:id|uuid|guid|key|index|idx|row|rowid|row_?num(?:ber)?|序号|编号))|.*[a-z]I[dD]|Unnamed: 0|"
)
"""Whole numbers under such a name, all distinct, are labels whatever their order."""


@dataclass(frozen=True)
class Fitted:
    """One column after a look at its training rows.

    numbers, categories: its features; left_out: the reason where it has none.
    decoded: what the features read, by column and part. missing: null values among all rows.
    """

    kind: str
    missing: int
    numbers: tuple[NumberFeature, ...] = ()
    categories: tuple[CategoryFeature, ...] = ()
    left_out: LeftOut | None = None
    decoded: Mapping[Key, Numbers | Levels] | None = None
    distinct: int = 0

    @property
    def features(self) -> int:
        """Features of the model that the column became."""
        return len(self.numbers) + sum(each.size for each in self.categories)


def fit_column(column: Any, name: str, rows: Rows, *, standardize: bool) -> Fitted:
    """Return how a column becomes features, learned from the training rows; raises ColumnError on infinity."""
    kind = kind_of(column.type)
    if kind in ("nested", "binary"):
        words = say("a list or struct in each row") if kind == "nested" else say("binary values")
        return _leave_out(name, kind, words, int(column.null_count))
    if kind == "null" or column.null_count == len(column):
        return _leave_out(name, "null", say("every value is missing"), len(column))
    if kind == "category":
        return _fit_category(column, name, rows)
    if kind in ("date", "time"):
        return _fit_parts(column, name, kind, rows, standardize=standardize)
    return _fit_number(column, name, kind, rows, standardize=standardize)


def _leave_out(name: str, kind: str, reason: Sentence, missing: int) -> Fitted:
    return Fitted(kind, missing, left_out=LeftOut(name, kind, reason))


def _fit_number(column: Any, name: str, kind: str, rows: Rows, *, standardize: bool) -> Fitted:
    numbers = decode(column, (name, ""), kind)
    assert isinstance(numbers, Numbers)
    missing = 0 if numbers.missing is None else int(numbers.missing.sum())
    features = _number_features(numbers, (name, ""), kind, rows, standardize=standardize)
    if not features:
        present = _present(numbers, rows)[0]
        reason = (
            say("every value is missing")
            if present.size == 0
            else say("constant, always {value}", value=repr(present[0].item()))
        )
        return _leave_out(name, "null" if present.size == 0 else kind, reason, missing)
    whole = kind == "number" and numbers.values.dtype.kind in "iu" and missing == 0
    if whole and _is_row_label(numbers.values if rows is None else numbers.values[rows], name):
        reason = say("identifier: whole numbers, all distinct, that only count or name the rows")
        return Fitted(kind, missing, tuple(features), (), LeftOut(name, kind, reason), {(name, ""): numbers})
    return Fitted(kind, missing, tuple(features), decoded={(name, ""): numbers})


def _is_row_label(values: NDArray[Any], name: str) -> bool:
    if values.shape[0] < IDENTIFIER_ROWS:
        return False
    if monotone(values):
        return True
    return _IDENTIFIER_NAME.fullmatch(name) is not None and np.unique(values).shape[0] == values.shape[0]


def _present(numbers: Numbers, rows: Rows) -> tuple[NDArray[Any], float]:
    """Return the training values that are there, and the share that is missing."""
    values = numbers.values if rows is None else numbers.values[rows]
    if numbers.missing is None:
        return values, 0.0
    absent = numbers.missing if rows is None else numbers.missing[rows]
    return values[~absent], float(absent.mean())


def _number_features(
    numbers: Numbers, key: Key, kind: str, rows: Rows, *, standardize: bool, indicator: bool = True
) -> list[NumberFeature]:
    """Return the value, if it varies, and the indicator of the missing, if some are and some are not."""
    present, share = _present(numbers, rows)
    if present.size == 0:
        return []
    features: list[NumberFeature] = []
    center, scale = _mean_and_deviation(present, key[0])
    if present.min() != present.max() and scale > CONSTANT * abs(center):
        _check_size(present, key[0], standardize=standardize)
        scale *= float(np.sqrt(1 - share))  # the missing, at the mean, do not deviate
        features.append(_number_feature(key, kind, center, scale, standardize=standardize))
    if share > 0 and indicator:
        deviation = float(np.sqrt(share * (1 - share)))
        features.append(_number_feature((key[0], MISSING), kind, share, deviation, standardize=standardize))
    return features


def _number_feature(key: Key, kind: str, center: float, scale: float, *, standardize: bool) -> NumberFeature:
    shift, length = (center, scale) if standardize else (0.0, 1.0)
    return NumberFeature(key[0], key[1], kind, shift, length, center)


def _mean_and_deviation(values: NDArray[Any], name: str) -> tuple[float, float]:
    """Return mean and deviation (divisor n) in float64 by two passes; raises ColumnError on overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        center = float(values.mean(dtype=np.float64))
        rest = values.astype(np.float64)
        rest -= center
        shift = float(rest.mean())  # what rounding left of the mean
        rest -= shift
        rest *= rest
        scale = float(np.sqrt(rest.mean()))
    if not np.isfinite(scale):
        message = say(
            'column "{name}" holds values too large to square in float64 (above 1e150); rescale it first', name=name
        )
        raise ColumnError(message)
    return center + shift, scale


def _check_size(values: NDArray[Any], name: str, *, standardize: bool) -> None:
    if not standardize and values.dtype == np.float64 and float(np.abs(values).max()) > FLOAT32_MOST:
        message = say(
            'column "{name}" holds values above 3.4e38, too large as they are; standardise or rescale it', name=name
        )
        raise ColumnError(message)


def _fit_category(column: Any, name: str, rows: Rows) -> Fitted:
    levels = decode(column, (name, ""), "category")
    assert isinstance(levels, Levels)
    codes = levels.codes if rows is None else levels.codes[rows]
    counts = np.bincount(codes + 1, minlength=len(levels.names) + 1)
    absent, seen = int(counts[0]), counts[1:]
    distinct, present = int(np.count_nonzero(seen)), int(seen.sum())
    missing = int(np.count_nonzero(levels.codes < 0))
    reason = _category_reason(levels, seen, distinct, present, absent)
    if reason:
        kind = "null" if present == 0 else "category" if distinct == 1 else "text"
        return replace(_leave_out(name, kind, reason, missing), distinct=distinct)
    feature = CategoryFeature(name, "", "category", _most_frequent(levels, seen), absent > 0)
    return Fitted("category", missing, (), (feature,), None, {(name, ""): levels}, distinct)


def _category_reason(
    levels: Levels, seen: NDArray[np.intp], distinct: int, present: int, absent: int
) -> Sentence | None:
    """Return why a category is left out, or None."""
    if present == 0:
        return say("every value is missing")
    if distinct == 1 and absent == 0:
        return say("constant, always {value}", value=repr(text_names(levels.names, [int(seen.argmax())])[0]))
    if present < IDENTIFIER_ROWS or distinct <= RARE_SHARE * present:
        return None
    if distinct > IDENTIFIER_SHARE * present:
        return say(
            "identifier: {distinct} distinct values in {present} rows", distinct=count(distinct), present=count(present)
        )
    return say(
        "text with too few repeats: {distinct} distinct values in {present} rows",
        distinct=count(distinct),
        present=count(present),
    )


def _most_frequent(levels: Levels, seen: NDArray[np.intp]) -> tuple[str, ...]:
    """Return up to MOST_LEVELS names, the most frequent first, equals by name."""
    places = np.flatnonzero(seen)
    if places.shape[0] > MOST_LEVELS:
        least = np.sort(seen[places])[-MOST_LEVELS]
        places = places[seen[places] >= least]
    names = text_names(levels.names, places)
    ranked = sorted(zip((-seen[places]).tolist(), names, strict=True))
    return tuple(name for _, name in ranked[:MOST_LEVELS])


def _fit_parts(column: Any, name: str, kind: str, rows: Rows, *, standardize: bool) -> Fitted:
    """Return the parts of a date or time that vary: cycles as categories, the others as numbers."""
    numbers: list[NumberFeature] = []
    categories: list[CategoryFeature] = []
    decoded: dict[Key, Numbers | Levels] = {}
    for part in parts_of(column.type):
        found = decode(column, (name, part), kind)
        decoded[name, part] = found
        if isinstance(found, Numbers):
            numbers += _number_features(found, (name, part), kind, rows, standardize=standardize, indicator=False)
            continue
        codes = found.codes if rows is None else found.codes[rows]
        counts = np.bincount(codes + 1, minlength=len(found.names) + 1)
        if np.count_nonzero(counts[1:]) > 1:
            levels = _most_frequent(found, counts[1:])
            categories.append(CategoryFeature(name, part, kind, levels, bool(counts[0])))
    missing = int(column.null_count)
    if not any(each.missing for each in categories):
        numbers += _indicator(decoded, name, kind, rows, standardize=standardize)
    if not numbers and not categories:
        return _leave_out(name, kind, say("constant"), missing)
    return Fitted(kind, missing, tuple(numbers), tuple(categories), None, decoded)


def _indicator(
    decoded: Mapping[Key, Numbers | Levels], name: str, kind: str, rows: Rows, *, standardize: bool
) -> list[NumberFeature]:
    part = "year" if kind == "date" else "minute"
    found = decoded[name, part]
    assert isinstance(found, Numbers)
    both = _number_features(found, (name, part), kind, rows, standardize=standardize)
    return [each for each in both if each.part == MISSING]


def treatment_of(fitted: Fitted, *, standardize: bool) -> Sentence:
    """Return in one phrase what became of a column."""
    if fitted.left_out is not None:
        return say("left out: {reason}", reason=fitted.left_out.reason)
    scaled = say("standardised") if standardize else say("as it is")
    if fitted.kind in ("date", "time"):
        parts = [named(each.part) for each in (*fitted.numbers, *fitted.categories)]
        return say("parts: {parts}", parts=joined(say(", "), parts))
    if not fitted.categories:
        marked = any(each.part == MISSING for each in fitted.numbers)
        return say("{scaled}, with an indicator of the missing", scaled=scaled) if marked else scaled
    levels = fitted.categories[0].levels
    missing = say(" and missing") if fitted.categories[0].missing else ""
    if fitted.distinct > len(levels):
        return say(
            "one-hot, the {levels} most frequent of {distinct} levels{missing}, and other",
            levels=len(levels),
            distinct=count(fitted.distinct),
            missing=missing,
        )
    return say("one-hot, {levels} levels{missing}", levels=len(levels), missing=missing)


def keep_labels_if_alone(fitted: Sequence[Fitted]) -> list[Fitted]:
    """Return the columns, whole-number labels taken back in where nothing else is left to learn from."""
    if any(each.left_out is None for each in fitted):
        return list(fitted)
    return [replace(each, left_out=None) if each.numbers else each for each in fitted]
