"""Records to plain JSON values and back.

Strict JSON knows no NaN and no infinities. Where a field is declared to hold a number, NaN is written as
null and the infinities as ``"inf"`` and ``"-inf"``; where it may hold anything (what an ``auto`` became, a
candidate, the environment), null stays None and NaN is written as ``"nan"``, so those three words stand
for numbers there and for nothing else.

A sentence is written as its English text, where it stands; how those of a record were made stands once more beside
them, under ``sentences``, so that whoever reads only the text need not know, and a record without says its texts in
English.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from downslope.records.run import Run
from downslope.records.spec import Spec
from downslope.types import JsonValue
from downslope.words import Sentence, how_made, remade

Record = TypeVar("Record")

ARRAYS = ("model", "trajectory")
"""Fields of a record that hold arrays, which are written to files of their own."""

SENTENCES = "sentences"
"""Where the JSON of a record says how its sentences were made: English text -> template and values."""

_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def run_to_json(run: Run) -> dict[str, JsonValue]:
    """Return a run as values that a strict JSON parser reads, all but its trained model and its path."""
    return record_to_json(run)


def run_from_json(values: dict[str, JsonValue]) -> Run:
    """Return the run that ``run_to_json`` gave, without a model; raises KeyError, TypeError or ValueError."""
    return record_from_json(Run, values)


def record_to_json(record: Any) -> dict[str, JsonValue]:
    """Return any record of this package, a frozen dataclass, as strict JSON values."""
    values = cast("dict[str, JsonValue]", _write(type(record), record))
    told = {str(each): how_made(each) for each in _sentences(record)}
    return values | {SENTENCES: told} if told else values


def record_from_json(kind: type[Record], values: dict[str, JsonValue]) -> Record:
    """Return the record of a kind that ``record_to_json`` gave; raises KeyError, TypeError or ValueError."""
    told: Mapping[str, JsonValue] = values.get(SENTENCES, {})
    return cast("Record", _read_record(kind, values, {text: remade(text, each) for text, each in told.items()}))


def _sentences(value: Any) -> Iterator[Sentence]:
    """Yield the sentences of a record that remember how they were made."""
    if isinstance(value, Sentence):
        if value.template:
            yield value
    elif is_dataclass(value) and not isinstance(value, Spec):
        for name in _types(type(value)):
            yield from _sentences(getattr(value, name))
    elif isinstance(value, tuple | list):
        for each in cast("list[Any]", value):
            yield from _sentences(each)


def plain(value: JsonValue) -> JsonValue:
    """Return a value with NaN, infinities, NumPy scalars and tuples in it as strict JSON values."""
    return _write(Any, value)


@cache
def _types(record: type) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {each.name: hints[each.name] for each in fields(record) if each.name not in ARRAYS}


def _write(kind: Any, value: Any) -> JsonValue:
    if isinstance(value, Spec):
        return value.to_json()
    if is_dataclass(value):
        return {name: _write(each, getattr(value, name)) for name, each in _types(type(value)).items()}
    if isinstance(value, Mapping):
        inner = _inner(kind, Mapping, 1)
        return {str(name): _write(inner, each) for name, each in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, tuple | list):
        inner = _inner(kind, tuple, 0)
        return [_write(inner, each) for each in cast("list[Any]", value)]
    return _write_scalar(kind, value)


def _write_scalar(kind: Any, value: Any) -> JsonValue:
    if isinstance(value, Enum):
        return value.value
    if hasattr(value, "item"):  # a NumPy scalar
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) and kind is float else str(value)
    return value


def _inner(kind: Any, container: type, index: int) -> Any:
    """Return the declared type of what a container holds, Any where none is declared."""
    origin = get_origin(kind)
    if not isinstance(origin, type) or not issubclass(origin, container):
        return Any
    return get_args(kind)[index]


def _read(kind: Any, value: JsonValue, told: Mapping[str, Sentence]) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return None if value is None else _read(_only(kind), value, told)
    if origin is tuple:
        return tuple(_read(get_args(kind)[0], each, told) for each in cast("list[Any]", value))
    if origin is not None and issubclass(origin, Mapping):
        return {name: _read(get_args(kind)[1], each, told) for name, each in value.items()}
    return _read_record(cast("type", kind), value, told) if is_dataclass(kind) else _read_scalar(kind, value, told)


def _read_scalar(kind: Any, value: JsonValue, told: Mapping[str, Sentence]) -> Any:
    if kind is float:
        return _read_float(value)
    if kind is Any:
        return _read_anything(value)
    if kind is Sentence:
        return told.get(value) or Sentence(_checked(str, value))
    return kind(value) if issubclass(kind, Enum) else _checked(kind, value)


def _read_record(kind: type, values: dict[str, JsonValue], told: Mapping[str, Sentence]) -> Any:
    if kind is Spec:
        return Spec.from_json(values)
    optional = {each.name for each in fields(kind) if (each.default, each.default_factory) != (MISSING, MISSING)}
    return kind(
        **{
            name: _read(each, values[name], told)
            for name, each in _types(kind).items()
            if name in values or name not in optional
        }
    )


def _read_float(value: JsonValue) -> float:
    if value is None:
        return math.nan
    return _WORDS[value] if isinstance(value, str) else float(value)


def _read_anything(value: JsonValue) -> Any:
    if isinstance(value, str):
        return _WORDS.get(value, value)
    if isinstance(value, list):
        return [_read_anything(each) for each in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {name: _read_anything(each) for name, each in cast("dict[str, Any]", value).items()}
    return value


def _only(kind: Any) -> Any:
    """Return T of ``T | None``."""
    return next(each for each in get_args(kind) if each is not type(None))


def _checked(kind: type, value: JsonValue) -> Any:
    if not isinstance(value, kind):
        message = f"expected {kind.__name__}, found {value!r}"
        raise TypeError(message)
    return value
