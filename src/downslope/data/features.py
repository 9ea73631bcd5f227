"""Features: from a table and a Spec to examples that a model can be trained on.

The target is checked, the hold-out split off, the plan fitted on the training rows, and both parts are
encoded by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from downslope.data.blocks import Block, Examples, SparseRows
from downslope.data.columns import kind_of
from downslope.data.encode import Decoded, Rows, encode_codes, encode_numbers
from downslope.data.encodings import CategoryFeature, LeftOut, NumberFeature
from downslope.data.fit_plan import Fitted, fit_column, keep_labels_if_alone, treatment_with_bad
from downslope.data.fit_sparse import ENTRIES, fit_entries, fit_text_column, hash_rarer
from downslope.data.holdout import Split, split
from downslope.data.parallel import in_parallel
from downslope.data.plan import Plan
from downslope.data.sparse import check_sparse
from downslope.data.table import Table
from downslope.data.target import Target, check_weights, target_of, weights_of
from downslope.data.text.features import weighed
from downslope.errors import ColumnError, TargetError
from downslope.records.run import ColumnSummary, DataSummary
from downslope.records.spec import Spec
from downslope.types import Vector
from downslope.words import NOTHING, joined, say

__all__ = ["CategoryFeature", "LeftOut", "NumberFeature", "Plan", "Prepared", "prepare"]

SMALL_CELLS = 4_000_000
"""Rows times features up to which everything is float64: 32 MB, and the last digits come for nothing."""


@dataclass(frozen=True)
class Prepared:
    """A table made ready.

    train, holdout: the examples; holdout is None where none were kept aside. plan: how columns became features.
    classes: names in the order of the class index, empty for a number. loss: what is minimised, never "auto".
    holdout_rows: (rows held out,) their indices in the table, rising. notes: what was done unasked, in sentences.
    """

    train: Examples
    holdout: Examples | None
    plan: Plan
    summary: DataSummary
    classes: tuple[str, ...]
    loss: str
    holdout_rows: NDArray[np.intp]
    notes: tuple[str, ...] = ()


def prepare(table: Table, spec: Spec, *, target: object | None = None, weights: object | None = None) -> Prepared:
    """Turn a table into examples.

    target, weights: the name of a column, or an array with a value for each row; else as ``spec`` names them.
    Raises ColumnError, TargetError, WeightsError or OptionError.
    """
    goal = target_of(table, spec, target)
    row_weights = weights_of(table, spec, weights)
    if row_weights is None and table.entries is not None:
        row_weights = table.entries.importance
    parts = split(table, spec, goal)
    _check_training(parts, goal, row_weights)
    asides = {name for name in (spec.target, spec.weights, target, weights) if isinstance(name, str)}
    names = [name for name in table.names if name not in asides and name not in spec.drop]
    check_sparse(table, names, spec)
    fitted = _fit_columns(table, names, parts, spec)
    plan = to_plan(fitted, spec, table.source, precision_of(table.rows, fitted, spec))
    counted = [rows for each in fitted if each.left_out is None for rows in each.entries]
    decoded: Decoded = {key: value for each in fitted for key, value in (each.decoded or {}).items()}

    def examples(rows: Rows) -> Examples:
        sparse = weighed(plan.sparse, counted, rows, np.dtype(plan.precision)) if plan.sparse else None
        return _examples(plan, decoded, sparse, rows, table.rows, goal.values, row_weights)

    held = parts.holdout
    return Prepared(
        train=examples(parts.train),
        holdout=None if held is None else examples(held),
        plan=plan,
        summary=_summary(table, spec, goal, parts, names, fitted),
        classes=goal.classes,
        loss=goal.loss,
        holdout_rows=np.empty(0, np.intp) if held is None else held,
        notes=parts.notes,
    )


def _check_training(parts: Split, goal: Target, weights: Vector | None) -> None:
    if parts.train is None:
        return
    values = goal.values[parts.train]
    if values.size == 0 or values.min() == values.max():
        message = say(
            'the target "{name}" is constant in the training part; change --seed, --holdout or --holdout-by',
            name=goal.name,
        )
        raise TargetError(message)
    if weights is not None:
        check_weights(weights[parts.train], "weights", say("row of the training part"))


def _fit_columns(table: Table, names: Sequence[str], parts: Split, spec: Spec) -> list[Fitted]:
    def fit(name: str) -> Fitted:
        column = table.column(name)
        if name == spec.holdout_by and kind_of(column.type) in ("category", "boolean"):
            reason = say("its groups divide training from hold-out")
            return Fitted("category", int(column.null_count), left_out=LeftOut(name, "category", reason))
        if name in spec.text:
            return fit_text_column(column, name, parts.train, spec)
        found = fit_column(column, name, parts.train, standardize=spec.standardize)
        return hash_rarer(found, parts.train, spec)

    found = in_parallel(fit, names)
    if table.entries is not None:
        found.append(fit_entries(table.entries, parts.train, spec))
    return keep_labels_if_alone(found)


def to_plan(fitted: Sequence[Fitted], spec: Spec, source: str, precision: str) -> Plan:
    """Return the plan of columns that were looked at; raises ColumnError where none of them is left."""
    kept = [each for each in fitted if each.left_out is None]
    left_out = tuple(each.left_out for each in fitted if each.left_out is not None)
    if not kept:
        told = [say('"{column}" is left out ({reason})', column=each.column, reason=each.reason) for each in left_out]
        reasons = say(": {reasons}", reasons=joined(say("; "), told[:3])) if told else NOTHING
        message = say(
            "no column of {source} is left to learn from{reasons}; add features", source=source, reasons=reasons
        )
        raise ColumnError(message)
    numbers = tuple(feature for each in kept for feature in each.numbers)
    categories = tuple(feature for each in kept for feature in each.categories)
    return Plan(numbers, categories, left_out, precision, tuple(one for each in kept for one in each.sparse))


def precision_of(rows: int, fitted: Sequence[Fitted], spec: Spec) -> str:
    """Return the precision of the numbers: float64 for a small table, unless one was asked for."""
    if spec.precision != "auto":
        return spec.precision
    kept = [each for each in fitted if each.left_out is None]
    cells = rows * sum(each.features - sum(one.size for one in each.sparse) for each in kept)
    cells += sum(one.written + sum(each.entries for each in one.entries) for one in kept)
    return "float64" if cells <= SMALL_CELLS else "float32"


def _examples(
    plan: Plan, decoded: Decoded, sparse: SparseRows | None, rows: Rows, count: int, target: Vector,
    weights: Vector | None,
) -> Examples:  # fmt: skip
    numbers = encode_numbers(plan.numbers, decoded, rows, count, np.dtype(plan.precision))
    codes = encode_codes(plan.categories, decoded, rows, count)
    return Examples(
        blocks=(Block(0, numbers, codes, sparse),),
        levels=plan.levels,
        target=target if rows is None else target[rows],
        weights=weights if weights is None or rows is None else weights[rows],
        center=plan.center,
        scale=plan.scale,
        applied=True,
        sparse=plan.sparse_columns,
    )


def _summary(
    table: Table, spec: Spec, goal: Target, parts: Split, names: Sequence[str], fitted: Sequence[Fitted]
) -> DataSummary:
    train = table.rows if parts.train is None else int(parts.train.shape[0])
    held = 0 if parts.holdout is None else int(parts.holdout.shape[0])
    named = [*names] if table.entries is None else [*names, ENTRIES]
    bad = 0 if table.entries is None else table.entries.bad
    columns = tuple(
        ColumnSummary(
            name, each.kind, treatment_with_bad(each, bad, standardize=spec.standardize),
            each.features if each.left_out is None else 0, each.missing,
        )
        for name, each in zip(named, fitted, strict=True)
    )  # fmt: skip
    return DataSummary(
        rows=train + held,
        train_rows=train,
        holdout_rows=held,
        dropped_rows=table.rows - train - held,
        features=sum(each.features for each in columns),
        columns=columns,
        target_kind=goal.kind,
        classes=goal.classes,
    )
