"""The hold-out: which rows judge the model and never train it.

A random one depends on the seed and the row's global index alone, never on what the rows hold, with one
exception: a class that would be missing on either side gets its first row there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow
from downslope.data.columns import kind_of, levels_of, numbers_of
from downslope.data.table import Table
from downslope.data.target import Target
from downslope.errors import OptionError
from downslope.records.spec import Spec
from downslope.types import Vector
from downslope.words import named, say

LEAST_ROWS = 20
"""Rows below which nothing is held out at random: the score of three rows would judge nothing."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))


@dataclass(frozen=True)
class Split:
    """Rows of the two parts, rising global indices.

    train: None where every row of the table trains. holdout: None where none is held out.
    notes: a sentence for each thing that the user did not ask for.
    """

    train: NDArray[np.intp] | None
    holdout: NDArray[np.intp] | None
    notes: tuple[str, ...] = ()


def scatter(index: NDArray[Any], seed: int) -> NDArray[np.uint64]:
    """Return a number for each index that looks drawn at random: SplitMix64 (Steele, Lea & Flood 2014, fig. 17)."""
    start = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    mixed = index.astype(np.uint64)
    mixed += np.uint64(1)
    mixed *= _GOLDEN
    mixed += start
    for shift, factor in _MIX:
        mixed ^= mixed >> shift
        mixed *= factor
    mixed ^= mixed >> np.uint64(31)
    return mixed


def split(table: Table, spec: Spec, target: Target) -> Split:
    """Return the training and held-out rows among those with a target; raises OptionError where none can be."""
    rows = None if target.present is None else np.flatnonzero(target.present)
    count = table.rows if rows is None else rows.shape[0]
    if spec.holdout == 0:
        return Split(rows, None)
    if spec.holdout_by is None and count < LEAST_ROWS:
        note = say(
            "{count} rows are too few to hold any out ({least} are needed), so every one of them trains",
            count=count,
            least=LEAST_ROWS,
        )
        return Split(rows, None, (note,))
    index = np.arange(count) if rows is None else rows
    if spec.holdout_by is not None:
        held = _by_column(table, spec, spec.holdout_by, index)
        _check_classes(held, target, index, spec.holdout_by)
    else:
        held = _at_random(index, spec, target, target.values if rows is None else target.values[rows])
    train, kept = np.flatnonzero(~held), np.flatnonzero(held)
    return Split(train, kept) if rows is None else Split(rows[train], rows[kept])


def _at_random(index: NDArray[np.intp], spec: Spec, target: Target, values: Vector) -> NDArray[np.bool_]:
    count = index.shape[0]
    drawn = scatter(index, spec.seed)
    most = min(max(round(spec.holdout * count), 1), count - 1)
    held = drawn <= np.partition(drawn, most - 1)[most - 1]
    if target.classes:
        _mend_classes(held, drawn, target, values)
    return held


def _mend_classes(held: NDArray[np.bool_], drawn: NDArray[np.uint64], target: Target, values: Vector) -> None:
    """Move one row of each class that a part lacks; raises OptionError where a class has one row only."""
    count = len(target.classes)
    codes = values.astype(np.intp)
    outside, inside = np.bincount(codes + count * held, minlength=2 * count).reshape(2, count)
    total = outside + inside
    single = np.flatnonzero(total == 1)
    if single.size:
        message = say(
            'class "{label}" of the target "{name}" has one row only, so the training part and the '
            "hold-out cannot both have it; use --holdout 0, or leave that class out with --where",
            label=target.classes[int(single[0])],
            name=target.name,
        )
        raise OptionError(message)
    for code in np.flatnonzero((total > 0) & ((inside == 0) | (inside == total))):
        rows = np.flatnonzero(codes == code)
        held[rows[drawn[rows].argmin()]] = inside[code] == 0


def _check_classes(held: NDArray[np.bool_], target: Target, index: NDArray[np.intp], name: str) -> None:
    if not target.classes:
        return
    codes = target.values[index].astype(np.intp)
    for part, rows in ((say("training part"), ~held), (say("hold-out"), held)):
        seen = np.bincount(codes[rows], minlength=len(target.classes))
        if not seen.all():
            message = say(
                'splitting by "{name}" leaves the {part} without class "{label}" of the target "{target}"; '
                "change --holdout, or leave --holdout-by out",
                name=name,
                part=part,
                label=target.classes[int(seen.argmin())],
                target=target.name,
            )
            raise OptionError(message)


def _by_column(table: Table, spec: Spec, name: str, index: NDArray[np.intp]) -> NDArray[np.bool_]:
    column = table.column(name, say("column to hold out by"))
    kind = kind_of(column.type)
    if kind in ("number", "date", "time"):
        return _last(_order_of(column, name, kind)[index], spec.holdout, name)
    if kind in ("category", "boolean"):
        return _groups(levels_of(column).codes[index], spec, name)
    message = say(
        '"{name}" holds {kind} values, which neither order nor group the rows; hold out by another column',
        name=name,
        kind=named(kind),
    )
    raise OptionError(message)


def _order_of(column: Any, name: str, kind: str) -> NDArray[np.float64]:
    """Return numbers in the order of a column, nan where missing."""
    pyarrow = arrow()
    if kind != "number":
        column = column.cast(pyarrow.int32() if column.type.bit_width == 32 else pyarrow.int64())
    numbers = numbers_of(column, name)
    values = numbers.values.astype(np.float64)
    if numbers.missing is not None:
        values[numbers.missing] = np.nan
    return values


def _last(values: NDArray[np.float64], share: float, name: str) -> NDArray[np.bool_]:
    """Return the last share of the values; equal values stay together, and missing ones train."""
    ordered = np.sort(values[~np.isnan(values)])
    wanted = share * ordered.shape[0]
    starts = np.flatnonzero(np.diff(ordered)) + 1  # where a new value begins
    if starts.size == 0:
        message = say('"{name}" holds one value only, so no rows come last; hold out by another column', name=name)
        raise OptionError(message)
    start = starts[np.abs(ordered.shape[0] - starts - wanted).argmin()]
    return values >= ordered[start]


def _groups(codes: NDArray[np.int32], spec: Spec, name: str) -> NDArray[np.bool_]:
    """Return whole groups, drawn by the seed, that come nearest to the share; missing is a group."""
    counts = np.bincount(codes + 1)
    groups = np.flatnonzero(counts)
    if groups.size < 2:
        message = say('"{name}" holds one group only, so none can be held out; hold out by another column', name=name)
        raise OptionError(message)
    drawn = groups[np.argsort(scatter(groups, spec.seed), kind="stable")]
    filled = np.cumsum(counts[drawn])[:-1]
    most = int(np.abs(filled - spec.holdout * codes.shape[0]).argmin()) + 1
    held = np.zeros(counts.shape[0], np.bool_)
    held[drawn[:most]] = True
    return held[codes + 1]
