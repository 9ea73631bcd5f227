"""The target and the weights: what is to be predicted, whether the loss suits it, how much each row counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow
from downslope.data.columns import Levels, Numbers, kind_of, levels_of, numbers_of, text_names
from downslope.data.objects import column_of
from downslope.data.table import Table
from downslope.errors import ColumnError, OptionError, SourceError, TargetError, WeightsError, quoted
from downslope.records.figures import count
from downslope.records.spec import Spec
from downslope.types import Vector
from downslope.words import Sentence, named, say

CLASSIFICATION = ("log", "softmax", "hinge", "squared-hinge")
SHOWN = 8
"""Most names of columns that a sentence lists."""
MOST_CLASSES = 1000
"""Classes up to which a target is taken for one: a weight for each feature and class must fit in memory."""


@dataclass(frozen=True)
class Target:
    """What is to be predicted.

    name: for messages. values: (n,) float64, a number or a class index, of no meaning where not present.
    present: (n,) bool, or None where every row has a target. kind: number, boolean or category.
    classes: sorted names, empty for a number. loss: the loss, never "auto".
    """

    name: str
    values: Vector
    present: NDArray[np.bool_] | None
    kind: str
    classes: tuple[str, ...]
    loss: str


def target_of(table: Table, spec: Spec, given: object | None) -> Target:
    """Return the target of a table, or the one given as an array; raises TargetError, ColumnError, OptionError."""
    name, column = _column(table, spec, given)
    kind = kind_of(column.type)
    if column.null_count == len(column):
        message = say('the target "{name}" is missing in every row; choose another target', name=name)
        raise TargetError(message)
    target = (_classes if wants_classes(name, kind, spec) else _numbers)(column, name, kind, spec.loss)
    if spec.class_weight is not None and not target.classes:
        message = say(
            'class-weight needs classes, but the target "{name}" is a number; leave class-weight out', name=name
        )
        raise OptionError(message)
    return target


def outputs_of(classes: Sequence[str], loss: str) -> int:
    """Return k, the scores of a model of some classes (none for a number): one, or one a class."""
    return len(classes) if len(classes) > 2 or loss == "softmax" else 1


def wants_classes(name: str, kind: str, spec: Spec) -> bool:
    """Return whether a target of a kind is taken for classes; raises TargetError where it is of no use."""
    if kind not in ("number", "boolean", "category"):
        message = say(
            'the target "{name}" holds {kind} values; choose a column of numbers, text, or true and false',
            name=name,
            kind=named(kind),
        )
        raise TargetError(message)
    return spec.loss in CLASSIFICATION or (spec.loss == "auto" and kind != "number")


def _column(table: Table, spec: Spec, given: object | None) -> tuple[str, Any]:
    if given is None:
        if not spec.target:
            message = say("no target was named; choose one of the columns with --target{some}", some=_some(table.names))
            raise TargetError(message)
        return spec.target, table.column(spec.target, say("target"))
    if isinstance(given, str):
        return given, table.column(given, say("target"))
    name = spec.target or "target"
    return name, _array(given, name, table, TargetError)


def _some(names: tuple[str, ...]) -> Sentence:
    if len(names) > SHOWN:
        return say(": {names} and others", names=quoted(names[:SHOWN]))
    return say(": {names}", names=quoted(names))


def _array(given: object, name: str, table: Table, error: type[TargetError | WeightsError]) -> Any:
    """Return an array given next to the table as an Arrow column of the same length."""
    pyarrow = arrow()
    try:
        column = column_of(given)
    except (pyarrow.ArrowException, TypeError, ValueError, SourceError) as cause:
        message = say(
            '"{name}" cannot be read as one column: {reason}', name=name, reason=str(cause).splitlines()[0].rstrip(".")
        )
        raise error(message) from None
    if len(column) != table.rows:
        message = say(
            '"{name}" has {values} values for {rows} rows; give one value a row',
            name=name,
            values=count(len(column)),
            rows=count(table.rows),
        )
        raise error(message)
    return column if isinstance(column, pyarrow.ChunkedArray) else pyarrow.chunked_array([column])


def _classes(column: Any, name: str, kind: str, loss: str) -> Target:
    if kind == "category":
        levels = levels_of(column)
        codes, names = _used(levels)
    else:
        codes, names = _number_classes(column, name, kind)
    check_classes(names, name)
    classes = tuple(sorted(names)) if kind == "category" else tuple(names)
    place = {each: index for index, each in enumerate(classes)}
    rank = np.array([*(place[each] for each in names), 0], dtype=np.float64)  # code -1 points at the end
    present = codes >= 0
    chosen = ("log" if len(names) == 2 else "softmax") if loss == "auto" else loss
    values = np.take(rank, codes)
    return Target(name, values, None if present.all() else present, _kind(kind), classes, chosen)


def _used(levels: Levels) -> tuple[NDArray[np.int32], list[str]]:
    """Return codes and names without the names that no row has."""
    counts = np.bincount(levels.codes + 1, minlength=len(levels.names) + 1)[1:]
    used = np.flatnonzero(counts)
    place = np.full(counts.shape[0] + 1, -1, np.int32)  # code -1 points at the end
    place[used] = np.arange(used.shape[0])
    return place[levels.codes], text_names(levels.names, used)


def _kind(kind: str) -> str:
    return "boolean" if kind == "boolean" else "category"


def _number_classes(column: Any, name: str, kind: str) -> tuple[NDArray[np.int32], list[str]]:
    """Return codes into the distinct values, rising, and their names; -1 where missing."""
    numbers = finite(column, name)
    values, missing = numbers.values, numbers.missing
    present = slice(None) if missing is None else ~missing
    if kind == "boolean":  # a sort would take longer than all the rest
        seen = values[present]
        low, high = int(seen.min()), int(seen.max())
        distinct, places = np.arange(low, high + 1), seen - np.uint8(low)
    else:
        distinct, places = np.unique(values[present], return_inverse=True)
    codes = np.full(len(column), -1, np.int32)
    codes[present] = places
    if kind == "boolean":
        return codes, [("false", "true")[int(each)] for each in distinct]
    return codes, [number_name(each.item()) for each in distinct]


def number_name(value: float) -> str:
    """Return the name of a class that is a number."""
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**63 else repr(value)


def check_classes(names: Sequence[str], name: str) -> None:
    """Raise TargetError unless there are classes, and few enough."""
    if len(names) < 2:
        always = names[0] if names else say("missing")
        message = say('the target "{name}" is constant, always {value}; choose another target', name=name, value=always)
        raise TargetError(message)
    if len(names) > MOST_CLASSES:
        message = say(
            'the target "{name}" has {distinct} distinct values, above the {most} classes that can '
            "be learned; choose another target or a loss for numbers",
            name=name,
            distinct=count(len(names)),
            most=count(MOST_CLASSES),
        )
        raise TargetError(message)


def finite(column: Any, name: str, first: int = 0) -> Numbers:
    """Return the numbers of a target; raises TargetError on an infinity."""
    try:
        return numbers_of(column, name, first)
    except ColumnError as error:
        message = say("the target {error}", error=error.sentence)
        raise TargetError(message) from None


def check_kind(kind: str, name: str, loss: str) -> None:
    """Raise TargetError where a loss for numbers was named for a text."""
    if kind == "category":
        message = say(
            'the target "{name}" is text, but the {loss} loss needs numbers; leave --loss out, or choose '
            "a target of numbers",
            name=name,
            loss=named(loss),
        )
        raise TargetError(message)


def _numbers(column: Any, name: str, kind: str, loss: str) -> Target:
    check_kind(kind, name, loss)
    numbers = finite(column, name)
    values = numbers.values.astype(np.float64)
    present = None if numbers.missing is None else ~numbers.missing
    seen = values if present is None else values[present]
    check_varies(seen.size, seen.min() if seen.size else 0.0, seen.max() if seen.size else 0.0, name)
    if loss == "poisson":
        check_counts(values, present, name)
    shown = "boolean" if kind == "boolean" else "number"
    return Target(name, values, present, shown, (), "squared" if loss == "auto" else loss)


def check_varies(present: int, low: float, high: float, name: str) -> None:
    """Raise TargetError where a target of numbers is missing or constant."""
    if present == 0 or low == high:
        what = say("missing in every row") if present == 0 else say("constant, always {value}", value=f"{low:g}")
        message = say('the target "{name}" is {what}; choose another target', name=name, what=what)
        raise TargetError(message)


def check_counts(values: Vector, present: NDArray[np.bool_] | None, name: str, first: int = 0) -> None:
    """Raise TargetError unless all values are counts."""
    wrong = (values < 0) | (values != np.floor(values))
    if present is not None:
        wrong &= present
    if wrong.any():
        row = int(wrong.argmax())
        what = say("negative") if values[row] < 0 else say("not whole")
        message = say(
            'the poisson loss needs counts 0, 1, 2, ..., but the target "{name}" is {what} in row {row} '
            "({value}); choose another loss, such as squared",
            name=name,
            what=what,
            row=first + row + 1,
            value=f"{values[row]:g}",
        )
        raise TargetError(message)


def weights_of(table: Table, spec: Spec, given: object | None) -> Vector | None:
    """Return the weight of each row, (n,) float64, or None for all alike; raises WeightsError, ColumnError."""
    if given is None and spec.weights is None:
        return None
    name = given if isinstance(given, str) else spec.weights or "weights"
    if given is None or isinstance(given, str):
        column = table.column(name, say("weights column"))
    else:
        column = _array(given, name, table, WeightsError)
    values = weight_values(column, name)
    check_weights(values, name, say("row"))
    return values


def weight_values(column: Any, name: str, first: int = 0) -> Vector:
    """Return the weights of some rows, of which ``first`` stand before them; raises WeightsError."""
    if kind_of(column.type) not in ("number", "boolean"):
        message = say('the weights "{name}" are not numbers; give a column of numbers that are not negative', name=name)
        raise WeightsError(message)
    try:
        numbers = numbers_of(column, name, first)
    except ColumnError as error:
        message = say("the weights {error}", error=error.sentence)
        raise WeightsError(message) from None
    if numbers.missing is not None:
        row = int(numbers.missing.argmax())
        message = say(
            'the weights "{name}" are missing in row {row}; give every row a weight', name=name, row=first + row + 1
        )
        raise WeightsError(message)
    values = numbers.values.astype(np.float64)
    if (values < 0).any():
        row = int((values < 0).argmax())
        message = say(
            'the weights "{name}" are negative in row {row} ({value}); give weights of 0 or more',
            name=name,
            row=first + row + 1,
            value=f"{values[row]:g}",
        )
        raise WeightsError(message)
    return values


def check_weights(values: Vector, name: str, where: str) -> None:
    """Raise WeightsError where every weight is zero."""
    if not values.any():
        message = say(
            'the weights "{name}" are zero in every {where}; give some rows a weight above 0', name=name, where=where
        )
        raise WeightsError(message)
