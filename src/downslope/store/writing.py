"""A run to its directory."""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from downslope.data.arrow import arrow
from downslope.records import Run, StepRecord
from downslope.records.files import run_to_json
from downslope.records.surface import Minimum
from downslope.store.directory import write_whole
from downslope.store.trajectory import NAME as PATH
from downslope.store.trajectory import to_bytes
from downslope.types import JsonValue

FORMAT = 1
"""Version of the layout; a reader refuses a higher one than its own."""

STEM_LENGTH = 40
"""Longest part of a run's name that is taken from its source: room for the rest in 255 bytes of any script."""

MODEL = "model/"
STEPS = "steps.parquet"

Record = TypeVar("Record", Run, Minimum)


def parquet() -> Any:
    """Return the module ``pyarrow.parquet``, imported when first used."""
    return import_module("pyarrow.parquet")


class Saveable(Protocol):
    """A model that can be written down."""

    def to_files(self) -> Mapping[str, bytes]:
        """Return its files, relative name -> content."""
        ...


def save(run: Run, runs: str | Path = "runs") -> Run:
    """Write a run under ``runs`` and return it with its name and path; safe beside other writers.

    A run without a name is given one. Raises OSError, with nothing left behind, where the disk refuses.
    """
    return place(run, runs, run.spec.source, _files)


def place(record: Record, runs: str | Path, source: str, files_of: Callable[[Record], Mapping[str, bytes]]) -> Record:
    """Write the files of a record and their manifest under ``runs``; return it with its name and path.

    source: after which one without a name is called. Raises as ``save`` does.
    """
    named = record if record.run else replace(record, run=new_name(source))
    while True:
        try:
            path = write_whole(Path(runs), named.run, _with_manifest(files_of(named)))
        except FileExistsError:
            named = replace(named, run=f"{named.run.rpartition('-')[0] or named.run}-{secrets.token_hex(2)}")
            continue
        return replace(named, path=str(path))


def new_name(source: str) -> str:
    """Return a name for a run on a source, such as ``flights-20261121-142301-7f3a``, sorted by local time."""
    stem = re.sub(r"[^\w-]+", "-", Path(source).name.split(".")[0]).strip("-_")[:STEM_LENGTH]
    return f"{stem or 'run'}-{datetime.now().astimezone():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def _files(run: Run) -> dict[str, bytes]:
    record = run_to_json(replace(run, path=None))
    del record["steps"]
    files = {
        "spec.toml": spec_toml(run).encode(),
        "run.json": json_bytes(record),
        STEPS: steps_parquet(run.steps),
    }
    if run.trajectory is not None:
        files[PATH] = to_bytes(run.trajectory)
    if run.model is not None:
        files |= {MODEL + name: content for name, content in cast("Saveable", run.model).to_files().items()}
    return files


def _with_manifest(files: Mapping[str, bytes]) -> dict[str, bytes]:
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return {**files, "manifest.json": json_bytes({"format": FORMAT, "written": _now(), "files": hashes})}


def json_bytes(value: JsonValue) -> bytes:
    """Return strict JSON as the content of a file."""
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="microseconds")


def steps_parquet(steps: tuple[StepRecord, ...]) -> bytes:
    """Return the recorded steps as the content of a Parquet file, one row a step."""
    pa = arrow()
    kinds = {"update": pa.int64(), "gap_kind": pa.string(), "exact": pa.bool_()}
    names = list(StepRecord.__dataclass_fields__)
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in names])
    rows = [asdict(step) | {"gap_kind": step.gap_kind.value} for step in steps]
    buffer = BytesIO()
    parquet().write_table(pa.Table.from_pylist(rows, schema=schema), buffer)
    return buffer.getvalue()


def spec_toml(run: Run | Minimum, also: Mapping[str, JsonValue] | None = None) -> str:
    """Return the settings as TOML: ``[asked]`` and, for each auto, ``[became]``; settings that are None are absent.

    also: what was asked beside the spec.
    """
    asked = {**run.spec.to_json(), **(also or {})}
    became = {name: run.setting(name) for name in run.resolved if hasattr(run.spec, name)}
    return "\n".join([*_toml_table("asked", asked), "", *_toml_table("became", became), ""])


def _toml_table(name: str, values: Mapping[str, JsonValue]) -> list[str]:
    return [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in values.items() if value is not None)]


def _toml(value: JsonValue) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(each) for each in cast('list[JsonValue]', value))}]"
    if isinstance(value, str):  # a JSON string is a TOML string, but for DEL, which TOML wants escaped
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return repr(value)
