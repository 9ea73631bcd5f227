"""Descents of functions: their run directories, and what is kept of one on its way.

::

    runs/rosenbrock-20261121-142301-7f3a/
      spec.toml             what was asked, and what each auto became
      minimum.json          the record, all but its steps and what was learned
      steps.parquet         one row a recorded step
      params.safetensors    what was learned, each array by its path in params
      manifest.json         as in any run directory

A loss is code and is not kept. So whoever goes on with a descent gives the loss again, and what was kept tells
whether parameters, data and settings are those of before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from downslope.errors import InputError, RunError
from downslope.records.files import record_from_json, record_to_json
from downslope.records.spec import Spec
from downslope.records.surface import Minimum
from downslope.store.reading import (
    MINIMUM,
    BrokenRun,
    checked_files,
    checked_record,
    damaged,
    directories,
    find,
    is_minimum,
    steps_of,
)
from downslope.store.unfinished import Progress, begin, take_up
from downslope.store.writing import STEPS, json_bytes, place, spec_toml, steps_parquet

PARAMS = "params.safetensors"
LEFT_OUT = ("params", "steps", "arrays", "path")
"""The fields of ``Minimum`` that lie in files of their own, or nowhere."""


@dataclass(frozen=True)
class AskedFunction:
    """What was asked of a descent on a function beside its Spec, and what it began from.

    function: the name of the loss. updates, residuals: as ``minimize`` takes them. own_rule: the rule was a
    transformation of the caller's. named_tolerance: the tolerance was named. params: type and shape of each array by
    its path. start: a fingerprint of the numbers in them. rows: examples, 0 without.
    """

    function: str
    updates: int | None
    residuals: bool
    own_rule: bool
    named_tolerance: bool
    params: Mapping[str, str]
    start: int
    rows: int


def begin_function(runs: str | Path, spec: Spec, asked: AskedFunction) -> Progress:
    """Make the folder of a new descent of a function; raises OSError where the disk refuses."""
    return begin(runs, replace(spec, source=asked.function), json.dumps(record_to_json(asked)))


def take_up_function(run: str | Path, runs: str | Path) -> tuple[Progress, Spec, AskedFunction]:
    """Return the folder of a descent that was cut short, its lock held, and what was asked; raises RunError."""
    progress = take_up(run, runs)
    asked = asked_function(progress.source)
    if asked is None:
        progress.keep()
        name = progress.run
        message = f'run "{name}" is no descent of a function; take it up with downslope resume {name}'
        raise RunError(message)
    return progress, replace(progress.spec, source=""), asked


def asked_function(source: str) -> AskedFunction | None:
    """Return what was asked of a descent of a function, given the source of its progress; None for any other run."""
    try:
        return record_from_json(AskedFunction, json.loads(source))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def save_minimum(minimum: Minimum, runs: str | Path) -> Minimum:
    """Write a descent of a function under ``runs`` and return it with its name and path; raises OSError."""
    return place(minimum, runs, minimum.function, _files)


def load_minimum(run: str | Path, runs: str | Path = "runs", like: Any = None) -> Minimum:
    """Return a saved descent of a function, given its path or its name under ``runs``.

    like: params as they were given to ``minimize``, into which what was learned is put; without it ``params`` is None,
    and ``arrays`` has what was learned by its path. Raises RunError where there is none, where a file is missing or
    altered, and where ``like`` is another tree.
    """
    path = find(run, runs)
    files = checked_files(path)
    if MINIMUM not in files:
        message = f'run "{path.name}" is no descent of a function; downslope show {path.name} shows it'
        raise RunError(message)
    found = replace(_record(path, files[MINIMUM]), steps=steps_of(path, files), arrays=_arrays(path, files))
    if like is None:
        return found
    from downslope.training.network.parameters import put_back

    return replace(found, params=put_back(like, found.arrays, path.name))


def list_minima(runs: str | Path = "runs") -> list[Minimum | BrokenRun]:
    """Return every descent of a function under ``runs``, oldest first, its record alone; damaged ones as BrokenRun."""
    found: list[tuple[str, Minimum | BrokenRun]] = []
    for path in filter(is_minimum, directories(Path(runs))):
        try:
            written, content = checked_record(path, MINIMUM)
            found.append((written, _record(path, content)))
        except RunError as error:
            found.append(("", BrokenRun(path.name, str(path), str(error))))
    return [each for _, each in sorted(found, key=lambda each: (each[0], each[1].run))]


def _files(minimum: Minimum) -> dict[str, bytes]:
    record = record_to_json(replace(minimum, params=None, steps=(), arrays={}, path=None))
    arrays = {name: np.array(array, order="C") for name, array in minimum.arrays.items()}
    return {
        "spec.toml": spec_toml(minimum, minimum.asked).encode(),
        MINIMUM: json_bytes({name: value for name, value in record.items() if name not in LEFT_OUT}),
        STEPS: steps_parquet(minimum.steps),
        PARAMS: cast("bytes", import_module("safetensors.numpy").save(arrays)),
    }


def _record(path: Path, content: bytes) -> Minimum:
    try:
        return replace(record_from_json(Minimum, json.loads(content) | {"params": None}), path=str(path))
    except (InputError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise damaged(path, f"{MINIMUM} does not hold a descent") from error


def _arrays(path: Path, files: Mapping[str, bytes]) -> dict[str, NDArray[Any]]:
    try:
        return cast("dict[str, NDArray[Any]]", import_module("safetensors.numpy").load(files[PARAMS]))
    except Exception as error:  # safetensors raises an error of its own, which is none of Python's
        raise damaged(path, f"{PARAMS} does not hold arrays") from error
