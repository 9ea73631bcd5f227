"""Fit the plan: look at the training rows of each column once and decide how it becomes features."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.blocks import SparseRows
from downslope.data.columns import Levels, Numbers, kind_of, monotone, parts_of, text_names
from downslope.data.encode import Key, Rows, decode
from downslope.data.encodings import MISSING, CategoryFeature, LeftOut, NumberFeature
from downslope.data.text.features import SparseFeature
from downslope.errors import ColumnError
from downslope.records.figures import count, plural
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
class NumberFacts:
    """What the training rows say of a column of numbers.

    present: values that are there. share: of the rows whose value is missing. missing: null values among all rows.
    dtype: of the values. center, scale: mean and deviation (divisor n). first, low, high: of the values.
    """

    present: int
    share: float
    missing: int
    dtype: np.dtype[Any]
    center: float = float("nan")
    scale: float = float("nan")
    first: Any = None
    low: Any = None
    high: Any = None


@dataclass(frozen=True)
class LevelFacts:
    """What the training rows say of a category.

    distinct: levels met. present, absent: rows that have one, and that have none. missing: null values among all rows.
    names: gives the most frequent levels, at most MOST_LEVELS.
    """

    distinct: int
    present: int
    absent: int
    missing: int
    names: Callable[[], tuple[str, ...]]


@dataclass(frozen=True)
class Fitted:
    """One column after a look at its training rows.

    numbers, categories: its features; left_out: the reason where it has none.
    sparse, entries: features without zeros, and what each counted in all rows. written: how many entries they are, of
    rows that are not kept.
    decoded: what the features read, by column and part. missing: null values among all rows.
    """

    kind: str
    missing: int
    numbers: tuple[NumberFeature, ...] = ()
    categories: tuple[CategoryFeature, ...] = ()
    left_out: LeftOut | None = None
    decoded: Mapping[Key, Numbers | Levels] | None = None
    distinct: int = 0
    sparse: tuple[SparseFeature, ...] = ()
    entries: tuple[SparseRows, ...] = ()
    written: int = 0

    @property
    def features(self) -> int:
        """Features of the model that the column became."""
        return len(self.numbers) + sum(each.size for each in (*self.categories, *self.sparse))


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
    facts = _facts_of(numbers, name, rows)
    fitted = fit_number_facts(facts, name, kind, lambda: _is_row_label(numbers, rows, name), standardize=standardize)
    return replace(fitted, decoded={(name, ""): numbers} if fitted.numbers else None)


def fit_number_facts(
    facts: NumberFacts, name: str, kind: str, is_label: Callable[[], bool], *, standardize: bool
) -> Fitted:
    """Return how a column of numbers becomes features. is_label: says whether whole numbers only name their rows."""
    features = _number_features(facts, (name, ""), kind, standardize=standardize)
    if not features:
        reason = (
            say("every value is missing")
            if facts.present == 0
            else say("constant, always {value}", value=repr(facts.first))
        )
        return _leave_out(name, "null" if facts.present == 0 else kind, reason, facts.missing)
    whole = kind == "number" and facts.dtype.kind in "iu" and facts.missing == 0
    if whole and is_label():
        reason = say("identifier: whole numbers, all distinct, that only count or name the rows")
        return Fitted(kind, facts.missing, tuple(features), (), LeftOut(name, kind, reason))
    return Fitted(kind, facts.missing, tuple(features))


def _is_row_label(numbers: Numbers, rows: Rows, name: str) -> bool:
    values = numbers.values if rows is None else numbers.values[rows]
    if values.shape[0] < IDENTIFIER_ROWS:
        return False
    if monotone(values):
        return True
    return names_rows(name) and np.unique(values).shape[0] == values.shape[0]


def names_rows(name: str) -> bool:
    """Return whether a column's name is that of an identifier."""
    return _IDENTIFIER_NAME.fullmatch(name) is not None


def _facts_of(numbers: Numbers, name: str, rows: Rows) -> NumberFacts:
    """Return what the training rows say of a column; raises ColumnError on overflow."""
    present, share = _present(numbers, rows)
    missing = 0 if numbers.missing is None else int(numbers.missing.sum())
    if present.size == 0:
        return NumberFacts(0, share, missing, present.dtype)
    center, scale = _mean_and_deviation(present, name)
    return NumberFacts(
        present.size, share, missing, present.dtype, center, scale, present[0].item(), present.min().item(),
        present.max().item(),
    )  # fmt: skip


def _present(numbers: Numbers, rows: Rows) -> tuple[NDArray[Any], float]:
    """Return the training values that are there, and the share that is missing."""
    values = numbers.values if rows is None else numbers.values[rows]
    if numbers.missing is None:
        return values, 0.0
    absent = numbers.missing if rows is None else numbers.missing[rows]
    return values[~absent], float(absent.mean())


def _number_features(
    facts: NumberFacts, key: Key, kind: str, *, standardize: bool, indicator: bool = True
) -> list[NumberFeature]:
    """Return the value, if it varies, and the indicator of the missing, if some are and some are not."""
    if facts.present == 0:
        return []
    features: list[NumberFeature] = []
    share, center, scale = facts.share, facts.center, facts.scale
    if facts.low != facts.high and scale > CONSTANT * abs(center):
        _check_size(facts, key[0], standardize=standardize)
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
    check_deviation(scale, name)
    return center + shift, scale


def check_deviation(scale: float, name: str) -> None:
    """Raise ColumnError where squares overflowed."""
    if not np.isfinite(scale):
        message = say(
            'column "{name}" holds values too large to square in float64 (above 1e150); rescale it first', name=name
        )
        raise ColumnError(message)


def _check_size(facts: NumberFacts, name: str, *, standardize: bool) -> None:
    if not standardize and facts.dtype == np.float64 and max(abs(facts.low), abs(facts.high)) > FLOAT32_MOST:
        message = say(
            'column "{name}" holds values above 3.4e38, too large as they are; standardise or rescale it', name=name
        )
        raise ColumnError(message)


def _fit_category(column: Any, name: str, rows: Rows) -> Fitted:
    levels = decode(column, (name, ""), "category")
    assert isinstance(levels, Levels)
    fitted = fit_level_facts(_level_facts_of(levels, rows), name)
    return replace(fitted, decoded={(name, ""): levels} if fitted.categories else None)


def _level_facts_of(levels: Levels, rows: Rows) -> LevelFacts:
    codes = levels.codes if rows is None else levels.codes[rows]
    counts = np.bincount(codes + 1, minlength=len(levels.names) + 1)
    absent, seen = int(counts[0]), counts[1:]
    missing = int(np.count_nonzero(levels.codes < 0))
    return LevelFacts(
        int(np.count_nonzero(seen)), int(seen.sum()), absent, missing, lambda: _most_frequent(levels, seen)
    )


def fit_level_facts(facts: LevelFacts, name: str) -> Fitted:
    """Return how a category becomes features."""
    reason = _category_reason(facts)
    if reason:
        kind = "null" if facts.present == 0 else "category" if facts.distinct == 1 else "text"
        return replace(_leave_out(name, kind, reason, facts.missing), distinct=facts.distinct)
    feature = CategoryFeature(name, "", "category", facts.names(), facts.absent > 0)
    return Fitted("category", facts.missing, (), (feature,), None, None, facts.distinct)


def _category_reason(facts: LevelFacts) -> Sentence | None:
    """Return why a category is left out, or None."""
    distinct, present = facts.distinct, facts.present
    if present == 0:
        return say("every value is missing")
    if distinct == 1 and facts.absent == 0:
        return say("constant, always {value}", value=repr(facts.names()[0]))
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
    decoded: dict[Key, Numbers | Levels] = {}
    facts: dict[str, NumberFacts | LevelFacts] = {}
    for part in parts_of(column.type):
        found = decode(column, (name, part), kind)
        decoded[name, part] = found
        facts[part] = _facts_of(found, name, rows) if isinstance(found, Numbers) else _level_facts_of(found, rows)
    fitted = fit_part_facts(facts, name, kind, int(column.null_count), standardize=standardize)
    return replace(fitted, decoded=decoded if fitted.features else None)


def fit_part_facts(
    facts: Mapping[str, NumberFacts | LevelFacts], name: str, kind: str, missing: int, *, standardize: bool
) -> Fitted:
    """Return the parts of a date or time that vary: cycles as categories, the others as numbers."""
    numbers: list[NumberFeature] = []
    categories: list[CategoryFeature] = []
    for part, found in facts.items():
        if isinstance(found, NumberFacts):
            numbers += _number_features(found, (name, part), kind, standardize=standardize, indicator=False)
        elif found.distinct > 1:
            categories.append(CategoryFeature(name, part, kind, found.names(), found.absent > 0))
    if not any(each.missing for each in categories):
        part = "year" if kind == "date" else "minute"
        found = facts[part]
        assert isinstance(found, NumberFacts)
        both = _number_features(found, (name, part), kind, standardize=standardize)
        numbers += [each for each in both if each.part == MISSING]
    if not numbers and not categories:
        return _leave_out(name, kind, say("constant"), missing)
    return Fitted(kind, missing, tuple(numbers), tuple(categories))


def treatment_of(fitted: Fitted, *, standardize: bool) -> Sentence:
    """Return in one phrase what became of a column."""
    if fitted.left_out is not None:
        return say("left out: {reason}", reason=fitted.left_out.reason)
    scaled = say("standardised") if standardize else say("as it is")
    if fitted.sparse:
        told = [each.treatment() for each in fitted.sparse]
        plain = [treatment_of(replace(fitted, sparse=()), standardize=standardize)] if fitted.categories else []
        return joined(say("; "), [*plain, *told])
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


def treatment_with_bad(fitted: Fitted, bad: int, *, standardize: bool) -> Sentence:
    """Return in one phrase what became of a column, and how many malformed lines of sparse rows were left out."""
    told = treatment_of(fitted, standardize=standardize)
    if fitted.kind != "sparse" or not bad:
        return told
    return say("{treatment}; {lines} left out", treatment=told, lines=plural(bad, "malformed line"))


def keep_labels_if_alone(fitted: Sequence[Fitted]) -> list[Fitted]:
    """Return the columns, whole-number labels taken back in where nothing else is left to learn from."""
    if any(each.left_out is None for each in fitted):
        return list(fitted)
    return [replace(each, left_out=None) if each.numbers else each for each in fitted]
