"""From the scan of a table to its plan, and to files and back: all that a block cache must know of itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow
from downslope.data.encodings import LeftOut
from downslope.data.features import precision_of, to_plan
from downslope.data.fit_plan import (
    Fitted,
    LevelFacts,
    NumberFacts,
    fit_level_facts,
    fit_number_facts,
    fit_part_facts,
    keep_labels_if_alone,
    treatment_with_bad,
)
from downslope.data.fit_sparse import ENTRIES, names_of_buckets
from downslope.data.large.layout import Layout
from downslope.data.large.met import TextSketch
from downslope.data.large.reading import Files
from downslope.data.large.scan import ColumnSketch, Scan
from downslope.data.large.sketches import LevelSketch, NumberSketch
from downslope.data.plan import Plan
from downslope.data.target import check_classes, check_varies
from downslope.data.text.buckets import Buckets
from downslope.data.text.features import HashedCategory
from downslope.errors import OptionError, TargetError
from downslope.records.files import record_from_json, record_to_json
from downslope.records.run import ColumnSummary, DataSummary
from downslope.records.spec import Spec
from downslope.types import JsonValue
from downslope.words import say


@dataclass(frozen=True)
class Planned:
    """A table as it will be encoded.

    plan: how columns become features. layout: of its blocks. summary: what is said of it. classes: names in the order
    of the class index; class_values: as they stand in the table. loss: never "auto". file_rows: rows of each file.
    bad: files left out. careful: text files were read whole before their types were settled.
    """

    plan: Plan
    layout: Layout
    summary: DataSummary
    classes: tuple[str, ...]
    class_values: tuple[Any, ...]
    loss: str
    file_rows: tuple[int, ...]
    bad: tuple[str, ...]
    careful: bool = False

    @property
    def size(self) -> int:
        """Bytes on disk, about."""
        rows = self.summary.train_rows + self.summary.holdout_rows
        return rows * self.layout.row_bytes + (rows // self.layout.rows + 2) * 1024

    def to_json(self) -> dict[str, JsonValue]:
        """Return all of it as plain values."""
        return {
            "plan": self.plan.to_json(), "layout": self.layout.to_json(), "summary": record_to_json(self.summary),
            "classes": list(self.classes), "class_values": list(self.class_values), "loss": self.loss,
            "file_rows": list(self.file_rows), "bad": list(self.bad), "careful": self.careful,
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: dict[str, JsonValue], arrays: Mapping[str, NDArray[Any]]) -> Planned:
        """Return what ``to_json`` and the plan's ``arrays`` gave; raises KeyError, TypeError or ValueError."""
        return cls(
            Plan.from_json(values["plan"], arrays), Layout(**values["layout"]),
            record_from_json(DataSummary, values["summary"]), tuple(values["classes"]), tuple(values["class_values"]),
            values["loss"], tuple(values["file_rows"]), tuple(values["bad"]), values["careful"],
        )  # fmt: skip


def fitted_of(scan: Scan, spec: Spec, *, more_to_come: bool = False) -> list[Fitted]:
    """Return how each column of a scan becomes features; the features that rows name themselves come last.

    more_to_come: whether other rows follow, whose levels are to be hashed too.
    """
    looked = [fit_sketch(column, name, spec, more_to_come=more_to_come) for name, column in scan.columns.items()]
    if scan.entries is not None:
        looked.append(scan.entries.fitted(spec))
    return keep_labels_if_alone(looked)


def planned_of(
    scan: Scan, spec: Spec, files: Files, file_rows: Sequence[int], bad_files: Sequence[str],
    fitted: Sequence[Fitted] | None = None,
) -> Planned:  # fmt: skip
    """Return the plan that the scan of some files leads to; raises ColumnError, TargetError or OptionError.

    fitted: what ``fitted_of`` gave, if it is known already.
    """
    classes, values, loss, kind = _target_of(scan, spec)
    fitted = fitted_of(scan, spec) if fitted is None else fitted
    names = [*scan.columns, *([] if scan.entries is None else [ENTRIES])]
    bad = 0 if scan.entries is None else scan.entries.bad
    plan = to_plan(fitted, spec, files.source, precision_of(scan.rows, fitted, spec))
    width = "uint8" if len(classes) <= 1 << 8 else "uint16"
    target_type = width if classes else ("float32" if scan.target.single else "float64")
    weight_type = "" if not scan.weighted else "float32" if scan.single else "float64"
    entries = sum(each.written for each in fitted if each.left_out is None) / max(scan.rows, 1)
    layout = Layout.of(
        len(plan.numbers), len(plan.categories), plan.levels, plan.precision, target_type, weight_type,
        entries if plan.sparse else None, files.memory,
    )  # fmt: skip
    summary = DataSummary(
        rows=scan.train_rows + scan.holdout_rows,
        train_rows=scan.train_rows,
        holdout_rows=scan.holdout_rows,
        dropped_rows=scan.rows - scan.train_rows - scan.holdout_rows,
        features=plan.features,
        columns=tuple(
            ColumnSummary(
                name, each.kind, treatment_with_bad(each, bad, standardize=spec.standardize),
                each.features if each.left_out is None else 0, each.missing,
            )
            for name, each in zip(names, fitted, strict=True)
        ),
        target_kind=kind,
        classes=classes,
    )  # fmt: skip
    return Planned(plan, layout, summary, classes, values, loss, tuple(file_rows), tuple(bad_files))


def _target_of(scan: Scan, spec: Spec) -> tuple[tuple[str, ...], tuple[Any, ...], str, str]:
    """Return (classes, their values, loss, kind) of the target; raises TargetError or OptionError."""
    target = scan.target
    if not target.classes:
        check_varies(target.present, target.low, target.high, target.name)
        if spec.class_weight is not None:
            message = say(
                'class-weight needs classes, but the target "{name}" is a number; leave class-weight out',
                name=target.name,
            )
            raise OptionError(message)
        kind = "boolean" if target.kind == "boolean" else "number"
        return (), (), "squared" if spec.loss == "auto" else spec.loss, kind
    names = target.names()
    check_classes(names, target.name)
    values = tuple(sorted(target.counts))
    for name, value in zip(names, values, strict=True):
        if not target.counts[value][0]:
            message = say(
                'class "{value}" of the target "{name}" has rows in the hold-out only; change --seed, or use '
                "--holdout 0",
                value=name,
                name=target.name,
            )
            raise TargetError(message)
    loss = ("log" if len(names) == 2 else "softmax") if spec.loss == "auto" else spec.loss
    return names, values, loss, "boolean" if target.kind == "boolean" else "category"


def fit_sketch(
    column: ColumnSketch | TextSketch, name: str, spec: Spec, *, more_to_come: bool = False
) -> Fitted:  # fmt: skip
    """Return how a column becomes features, from its sketch; see ``features.prepare``, and ``fitted_of``."""
    if isinstance(column, TextSketch):
        return column.fitted(name)
    return _hash_rarer(column, _fit_dense(column, name, standardize=spec.standardize), more_to_come=more_to_come)


def _hash_rarer(column: ColumnSketch, fitted: Fitted, *, more_to_come: bool) -> Fitted:
    """Return a category with its rarer levels hashed, where there are such; see ``fit_sparse.hash_rarer``."""
    levels = column.parts.get("")
    if column.rare is None or not isinstance(levels, LevelSketch) or len(fitted.categories) != 1:
        return fitted
    (feature,) = fitted.categories
    if fitted.distinct <= len(feature.levels):
        none = HashedCategory(feature.column, column.rare.met.bits, Buckets.none(), feature.levels, 0.0)
        return replace(fitted, sparse=(none,)) if more_to_come else fitted
    known, bits = feature.levels, column.rare.met.bits
    buckets, rows = column.rare.beyond(known, [levels.counts[level] for level in known])
    names = arrow().array(list(levels.counts), arrow().string())
    told, shared = names_of_buckets(names, np.array(list(levels.counts.values())), known, buckets, bits)
    hashed = HashedCategory(feature.column, bits, buckets.named(told), known, shared)
    return replace(fitted, sparse=(hashed,), written=rows)


def _fit_dense(column: ColumnSketch, name: str, *, standardize: bool) -> Fitted:
    kind = column.kind
    if kind in ("nested", "binary"):
        words = say("a list or struct in each row") if kind == "nested" else say("binary values")
        return Fitted(kind, column.nulls, left_out=LeftOut(name, kind, words))
    if kind == "null" or column.nulls == column.rows:
        return Fitted("null", column.rows, left_out=LeftOut(name, "null", say("every value is missing")))
    if kind in ("date", "time"):
        facts = {part: _facts(each, name) for part, each in column.parts.items()}
        return fit_part_facts(facts, name, kind, column.nulls, standardize=standardize)
    only = column.parts[""]
    if isinstance(only, LevelSketch):
        return fit_level_facts(only.facts(), name)
    return fit_number_facts(only.facts(name), name, kind, only.labels_rows, standardize=standardize)


def _facts(sketch: NumberSketch | LevelSketch, name: str) -> NumberFacts | LevelFacts:
    return sketch.facts(name) if isinstance(sketch, NumberSketch) else sketch.facts()
