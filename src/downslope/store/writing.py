"""A run to its directory."""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, cast

from downslope.data.arrow import arrow
from downslope.records import Run, StepRecord
from downslope.records.files import run_to_json
from downslope.store.directory import write_whole
from downslope.types import JsonValue

FORMAT = 1
"""Version of the layout; a reader refuses a higher one than its own."""

STEM_LENGTH = 40
"""Longest part of a run's name that is taken from its source: room for the rest in 255 bytes of any script."""

MODEL = "model/"


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
    named = run if run.run else replace(run, run=new_name(run.spec.source))
    while True:
        try:
            path = write_whole(Path(runs), named.run, _files(named))
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
        "spec.toml": _spec_toml(run).encode(),
        "run.json": _json(record),
        "steps.parquet": _steps_parquet(run.steps),
    }
    if run.model is not None:
        files |= {MODEL + name: content for name, content in cast("Saveable", run.model).to_files().items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files["manifest.json"] = _json({"format": FORMAT, "written": _now(), "files": hashes})
    return files


def _json(value: JsonValue) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="microseconds")


def _steps_parquet(steps: tuple[StepRecord, ...]) -> bytes:
    pa = arrow()
    kinds = {"update": pa.int64(), "gap_kind": pa.string(), "exact": pa.bool_()}
    names = list(StepRecord.__dataclass_fields__)
    schema = pa.schema([(name, kinds.get(name, pa.float64())) for name in names])
    rows = [asdict(step) | {"gap_kind": step.gap_kind.value} for step in steps]
    buffer = BytesIO()
    parquet().write_table(pa.Table.from_pylist(rows, schema=schema), buffer)
    return buffer.getvalue()


def _spec_toml(run: Run) -> str:
    """Return the settings as TOML: ``[asked]`` and, for each auto, ``[became]``; settings that are None are absent."""
    asked, became = run.spec.to_json(), {name: run.setting(name) for name in run.resolved if hasattr(run.spec, name)}
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
