"""What a room shows: numbers, names and sentences as JSON, and arrays beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downslope.types import JsonValue


class Plain(dict[str, JsonValue]):
    """What JSON may hold as it is, and what is told at every drag: it is not looked through again."""


_AS_IT_IS = (str, int, Plain, type(None))
"""Kinds that are not looked into; a tuple, since a union of types would be made anew at each look."""


class Sentence(Plain):
    """A sentence as its key and its values, as JSON may hold them: the front end has the words."""


@dataclass(frozen=True)
class Picture:
    """All that a room shows for its settings, or what changed of it.

    values: as JSON may hold it, and numbers that are not finite, which become null. arrays: by name, sent as float32
    or, where they hold whole numbers, int32.
    """

    values: Mapping[str, Any] = field(default_factory=dict[str, Any])
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])

    def packed(self) -> tuple[dict[str, JsonValue], list[bytes]]:
        """Return the JSON, with an account of the arrays, and their bytes, little-endian."""
        arrays = {name: _as_sent(each) for name, each in self.arrays.items()}
        told: list[JsonValue] = [
            {"name": name, "dtype": each.dtype.name, "shape": list(each.shape)} for name, each in arrays.items()
        ]
        content = cast("dict[str, JsonValue]", plain(self.values))
        if not arrays:
            return content, []
        return {**content, "arrays": told}, [each.tobytes() for each in arrays.values()]


def _as_sent(array: NDArray[Any]) -> NDArray[Any]:
    kind = "<i4" if array.dtype.kind in "iub" else "<f4"
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
        return np.ascontiguousarray(array, kind)


def plain(value: Any) -> JsonValue:
    """Return a value as JSON may hold it: what is not finite is null, and arrays are lists."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, _AS_IT_IS):
        return value
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    return [each if isinstance(each, _AS_IT_IS) else plain(each) for each in value]


def say(key: str, **values: Any) -> Sentence:
    """Return a sentence; a number that is not finite becomes None."""
    for name, each in values.items():
        if isinstance(each, float) and not math.isfinite(each):
            values[name] = None
    return Sentence(say=key, **values)
