"""The plan: how the columns of a table become the features of a model. It is data, saved with the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.data.arrow import arrow
from downslope.data.blocks import SparseRows
from downslope.data.columns import Levels, Numbers, kind_of, levels_of, numbers_of, parts_of
from downslope.data.encode import Decoded, Key, decode, encode_codes, encode_numbers, source_key
from downslope.data.encodings import CategoryFeature, LeftOut, NumberFeature
from downslope.data.parallel import in_parallel
from downslope.data.sparse import encode_sparse
from downslope.data.table import Table
from downslope.data.text.features import SparseFeature, feature_of, named_arrays
from downslope.errors import ColumnError, nearest
from downslope.types import Codes, FloatArray, JsonValue, Vector
from downslope.words import Sentence, say


@dataclass(frozen=True)
class Plan:
    """How columns become features, learned from the training rows and applied alike ever after.

    numbers: the p number features. categories: the q categories and their levels.
    left_out: the columns that are not learned from. precision: "float32" or "float64", of the numbers.
    sparse: what becomes columns whose zeros are never written out.
    """

    numbers: tuple[NumberFeature, ...]
    categories: tuple[CategoryFeature, ...]
    left_out: tuple[LeftOut, ...]
    precision: str
    sparse: tuple[SparseFeature, ...] = ()

    @cached_property
    def center(self) -> Vector:
        """What was taken off each number feature, (p,), in original units."""
        return np.array([each.center for each in self.numbers], dtype=np.float64)

    @cached_property
    def scale(self) -> Vector:
        """What each number feature was then divided by, (p,), in original units."""
        return np.array([each.scale for each in self.numbers], dtype=np.float64)

    @property
    def levels(self) -> int:
        """m, the levels of all categories together."""
        return sum(each.size for each in self.categories)

    @property
    def sparse_columns(self) -> int:
        """s, the sparse columns of all sparse features together."""
        return sum(each.size for each in self.sparse)

    @property
    def features(self) -> int:
        """d = p + m + s."""
        return len(self.numbers) + self.levels + self.sparse_columns

    @property
    def units(self) -> Vector:
        """How much of the original column is one unit of each model feature, (d,)."""
        return np.concatenate([self.scale, np.ones(self.levels), *(each.scale for each in self.sparse)])

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns that a table must have."""
        return tuple(
            dict.fromkeys(each.column for each in (*self.numbers, *self.categories, *self.sparse) if each.column)
        )

    def feature_names(self) -> list[str]:
        """Return the d names: the numbers, then the levels, then the sparse columns."""
        return self._dense_names + [each.feature_name(place) for each in self.sparse for place in range(each.size)]

    def feature_name(self, place: int) -> str:
        """Return the name of one of the d features, without making all others."""
        if place < len(self._dense_names):
            return self._dense_names[place]
        place -= len(self._dense_names)
        for each in self.sparse:
            if place < each.size:
                return each.feature_name(place)
            place -= each.size
        raise IndexError(place)

    @cached_property
    def _dense_names(self) -> list[str]:
        return [each.name for each in self.numbers] + [
            name for each in self.categories for name in each.feature_names()
        ]

    def encode(self, table: Table) -> tuple[FloatArray, Codes]:
        """Return the numbers (n, p) and codes (n, q) of a table, exactly as the training rows were encoded.

        Columns that the plan does not know are ignored. Raises ColumnError where a column is absent or
        holds another kind of value than in training.
        """
        absent = [name for name in self.inputs if name not in table.names]
        if absent:
            others = say(" and {more} more", more=len(absent) - 1) if len(absent) > 1 else ""
            message = say(
                'the model needs the column "{name}"{others}, which {source} lacks{nearest}; rename the '
                "column or add it",
                name=absent[0],
                others=others,
                source=table.source,
                nearest=nearest(absent[0], table.names),
            )
            raise ColumnError(message)
        decoded = self._decode(table)
        numbers = encode_numbers(self.numbers, decoded, None, table.rows, np.dtype(self.precision))
        return numbers, encode_codes(self.categories, decoded, None, table.rows)

    def encode_sparse(self, table: Table) -> SparseRows | None:
        """Return the sparse rows of a table that ``encode`` took; None where there are no sparse columns."""
        return encode_sparse(self.sparse, table, np.dtype(self.precision)) if self.sparse else None

    def _decode(self, table: Table) -> Decoded:
        kinds: dict[Key, str] = {source_key(each): each.kind for each in self.numbers}
        kinds |= {(each.column, each.part): each.kind for each in self.categories}

        def work(key: Key) -> Numbers | Levels:
            return _fitting(table.column(key[0]), key, kinds[key])

        return dict(zip(kinds, in_parallel(work, kinds), strict=True))

    def to_json(self) -> dict[str, JsonValue]:
        """Return the plan as plain values."""
        return {
            "numbers": [asdict(each) for each in self.numbers],
            "categories": [{**asdict(each), "levels": list(each.levels)} for each in self.categories],
            "left_out": [asdict(each) for each in self.left_out],
            "precision": self.precision,
        } | ({"sparse": [each.to_json() for each in self.sparse]} if self.sparse else {})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what is too long for JSON, by name."""
        return named_arrays(self.sparse)

    @classmethod
    def from_json(cls, values: dict[str, JsonValue], arrays: Mapping[str, NDArray[Any]] | None = None) -> Plan:
        """Return the plan that ``to_json`` and ``arrays`` gave."""
        return cls(
            tuple(NumberFeature(**each) for each in values["numbers"]),
            tuple(_category(each) for each in values["categories"]),
            tuple(LeftOut(**each) for each in values["left_out"]),
            values["precision"],
            tuple(feature_of(each, place, arrays or {}) for place, each in enumerate(values.get("sparse", []))),
        )


def _category(values: dict[str, JsonValue]) -> CategoryFeature:
    rest = {name: value for name, value in values.items() if name != "levels"}
    return CategoryFeature(levels=tuple(values["levels"]), **rest)


def _fitting(column: Any, key: Key, trained: str) -> Numbers | Levels:
    """Return a column decoded as the kind it had in training; raises ColumnError where it cannot be."""
    name, part = key
    here = kind_of(column.type)
    if column.null_count == len(column):
        return _all_missing(column, key, trained)
    if trained in ("number", "boolean"):
        return _as_numbers(column, name, trained, here)
    if trained == "category":
        types = arrow().types
        if here in ("category", "boolean") or types.is_integer(column.type):
            return levels_of(column)
    elif here == trained and part in parts_of(column.type):
        return decode(column, key, here)
    elif here == "date" and trained == "date":
        return decode(column.cast(arrow().timestamp("us")), key, here)  # a date is its midnight
    raise ColumnError(_differs(name, trained, here, column))


def _as_numbers(column: Any, name: str, trained: str, here: str) -> Numbers:
    types = arrow().types
    if types.is_dictionary(column.type) and kind_of(column.type.value_type) == "number":
        column = column.cast(column.type.value_type)
        here = "number"
    if here not in ("number", "boolean"):
        raise ColumnError(_differs(name, trained, here, column))
    numbers = numbers_of(column, name)
    if trained == "boolean" and here == "number":
        present = numbers.values if numbers.missing is None else numbers.values[~numbers.missing]
        if not bool(np.isin(present, (0, 1)).all()):
            raise ColumnError(_differs(name, trained, here, column))
    return numbers


def _all_missing(column: Any, key: Key, trained: str) -> Numbers | Levels:
    pyarrow = arrow()
    if trained == "category":
        return levels_of(pyarrow.chunked_array([pyarrow.nulls(len(column), pyarrow.string())]))
    empty = pyarrow.chunked_array([pyarrow.nulls(len(column), pyarrow.timestamp("us"))])
    return decode(empty if key[1] else pyarrow.chunked_array([pyarrow.nulls(len(column))]), key, trained)


_WORDS = {
    "number": say("numbers"), "boolean": say("true or false"), "category": say("text"), "date": say("dates"),
    "time": say("times of day"), "nested": say("lists or structs"), "binary": say("binary values"),
}  # fmt: skip


def _differs(name: str, trained: str, here: str, column: Any) -> Sentence:
    row = next(index for index in range(len(column)) if column[index].is_valid)
    shown = str(column[row].as_py())
    return say(
        'column "{name}" held {before} in training but holds {now} here (row {row}: {shown}); give it '
        "the same kind of values",
        name=name,
        before=_WORDS[trained],
        now=_WORDS.get(here, here),
        row=row + 1,
        shown=repr(shown[:40]),
    )
