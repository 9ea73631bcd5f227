"""A checkpoint as one file: arrays as safetensors, the rest as JSON in its header, and a checksum over both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downslope.records import GapKind, StepRecord
from downslope.training.checkpoint import Arrays, Checkpoint
from downslope.types import JsonValue

FORMAT = 1
"""Version of the layout; a reader refuses any other."""

KINDS = tuple(GapKind)
STEP = "record."
"""What the names of the record's columns begin with."""
COLUMNS = {"update": np.int64, "gap_kind": np.uint8, "exact": np.bool_}
"""The columns that are not float64."""


def to_bytes(checkpoint: Checkpoint, about: Mapping[str, JsonValue]) -> bytes:
    """Return a checkpoint as the content of a file. about: what else the reader should know, as JSON."""
    arrays: dict[str, NDArray[Any]] = {**checkpoint.arrays, **_columns(checkpoint.steps)}
    turned = [name for name, array in arrays.items() if array.flags.f_contiguous and not array.flags.c_contiguous]
    laid = {name: np.array(array.T if name in turned else array, order="C") for name, array in arrays.items()}
    told = {"kind": checkpoint.kind, "values": checkpoint.values, "about": about, "turned": turned}
    record = json.dumps(told, ensure_ascii=True)
    header = {"format": str(FORMAT), "record": record, "sha256": _digest(laid, record)}
    return cast("bytes", import_module("safetensors.numpy").save(laid, metadata=header))


def from_bytes(content: bytes) -> tuple[Checkpoint, Mapping[str, JsonValue]]:
    """Return what ``to_bytes`` was given; raises ValueError where a byte is missing or altered."""
    try:
        header = header_of(content)
        arrays: dict[str, NDArray[Any]] = import_module("safetensors.numpy").load(content)
        told = json.loads(header["record"])
    except Exception as error:  # safetensors raises an error of its own, which is none of Python's
        message = "it is no whole safetensors file"
        raise ValueError(message) from error
    written = {"format": str(FORMAT), "record": header["record"], "sha256": _digest(arrays, header["record"])}
    if header != written:
        message = "it is not as it was written"
        raise ValueError(message)
    state = {name: array.T if name in told["turned"] else array for name, array in arrays.items()}
    steps = _steps({name.removeprefix(STEP): array for name, array in state.items() if name.startswith(STEP)})
    kept = {name: array for name, array in state.items() if not name.startswith(STEP)}
    return Checkpoint(told["kind"], kept, told["values"], steps), told["about"]


def header_of(content: bytes) -> dict[str, str]:
    """Return the header of a checkpoint's first bytes, unchecked; raises ValueError, KeyError or UnicodeError."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 + size:
        message = "it is cut short"
        raise ValueError(message)
    return json.loads(content[8 : 8 + size].decode())["__metadata__"]


def _digest(arrays: Arrays, record: str) -> str:
    digest = hashlib.sha256(record.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _columns(steps: tuple[StepRecord, ...]) -> dict[str, NDArray[Any]]:
    def values(name: str) -> list[Any]:
        return [KINDS.index(step.gap_kind) if name == "gap_kind" else getattr(step, name) for step in steps]

    names = StepRecord.__dataclass_fields__
    return {STEP + name: np.array(values(name), COLUMNS.get(name, np.float64)) for name in names}


def _steps(columns: Arrays) -> tuple[StepRecord, ...]:
    lists: dict[str, list[Any]] = {name: column.tolist() for name, column in columns.items()}
    lists["gap_kind"] = [KINDS[index] for index in lists["gap_kind"]]
    names = list(lists)
    return tuple(StepRecord(**dict(zip(names, row, strict=True))) for row in zip(*lists.values(), strict=True))
