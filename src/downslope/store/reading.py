"""A run directory to its run, checked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from downslope.data.arrow import arrow
from downslope.errors import InputError, RunError, nearest
from downslope.records import GapKind, Predictor, Run, StepRecord
from downslope.records.files import run_from_json
from downslope.records.trajectory import Trajectory
from downslope.store.directory import ENDING, PARTIAL
from downslope.store.trajectory import NAME as PATH
from downslope.store.trajectory import from_bytes
from downslope.store.writing import FORMAT, MODEL, STEPS, parquet
from downslope.types import JsonValue

LATEST = "latest"
"""Stands for the run that was written last."""
MINIMUM = "minimum.json"
"""The record of a descent of a function, in the place of ``run.json``."""


@dataclass(frozen=True)
class BrokenRun:
    """A run directory that cannot be read. problem: one sentence saying why."""

    run: str
    path: str
    problem: str


def load(run: str | Path, runs: str | Path = "runs") -> Run:
    """Return a saved run, its steps and its model, given its path, its name under ``runs``, or ``latest``.

    Raises RunError where there is none, where any of its files is missing or altered, and where a newer
    version wrote it.
    """
    path = find(run, runs)
    files = checked_files(path)
    if MINIMUM in files:
        name = path.name
        message = f'run "{name}" is a descent of a function and holds no model; downslope show {name} shows it'
        raise RunError(message)
    found = _record(path, files.get("run.json", b""))
    model, trajectory = _model(path, files), _trajectory(path, files)
    return replace(found, steps=steps_of(path, files), model=model, trajectory=trajectory, path=str(path))


def checked_files(path: Path) -> dict[str, bytes]:
    """Return the files of a run directory that its manifest names; raises RunError where one is not as written."""
    return {name: _checked(path, name, digest) for name, digest in _hashes(path, _manifest(path)).items()}


def checked_record(path: Path, name: str) -> tuple[str, bytes]:
    """Return when a run directory was written, and its record; raises RunError where that is not as written."""
    manifest = _manifest(path)
    return str(manifest.get("written", "")), _checked(path, name, _hashes(path, manifest).get(name, ""))


def is_minimum(path: Path) -> bool:
    """Say whether a run directory holds the descent of a function: see ``store.functions``."""
    return (path / MINIMUM).exists()


def find(run: str | Path, runs: str | Path = "runs") -> Path:
    """Return the directory of a run, given its path, its name under ``runs``, or ``latest``; raises RunError."""
    folder, name = Path(runs), str(run)
    if name == LATEST and not (folder / name).exists():
        written = [each for each in list_runs(runs) if isinstance(each, Run) and each.path]
        if not written:
            message = f'there is no run under "{folder}" yet; train one with downslope fit, or name another --runs'
            raise RunError(message)
        return Path(str(written[-1].path))
    for path in (folder / name, Path(name)):
        if name and path.is_dir() and not path.name.startswith(PARTIAL) and not path.name.endswith(ENDING):
            return path
    if name and (folder / f".{name}{ENDING}").is_dir():
        message = f'run "{name}" under "{folder}" has not ended; take it up with downslope resume {name}'
        raise RunError(message)
    known = [path.name for path in directories(folder)]
    message = f'there is no run called "{name}" under "{folder}"{nearest(name, known)}'
    raise RunError(message)


def list_runs(runs: str | Path = "runs") -> list[Run | BrokenRun]:
    """Return every run under ``runs``, oldest first, without steps and model; the damaged ones as BrokenRun.

    Only the record is read and checked; ``load`` checks the rest. Descents of functions are left out.
    """
    found: list[tuple[str, Run | BrokenRun]] = []
    for path in directories(Path(runs)):
        if is_minimum(path):
            continue
        try:
            written, content = checked_record(path, "run.json")
            found.append((written, replace(_record(path, content), path=str(path))))
        except RunError as error:
            found.append(("", BrokenRun(path.name, str(path), str(error))))
    return [run for _, run in sorted(found, key=lambda each: (each[0], each[1].run))]


def directories(runs: Path) -> list[Path]:
    """Return the run directories under a folder: those with a manifest, and those that look as if they lost it."""
    marks = ("manifest.json", "run.json", "spec.toml")
    if not runs.is_dir():
        return []
    visible = (path for path in sorted(runs.iterdir()) if path.is_dir() and not path.name.startswith("."))
    return [path for path in visible if any((path / mark).exists() for mark in marks)]


def damaged(path: Path, what: str) -> RunError:
    """Return the error that says what is wrong with a run directory."""
    return RunError(f'run "{path.name}" in "{path.parent}" is damaged: {what}; restore it from a copy, or fit again')


def _manifest(path: Path) -> dict[str, JsonValue]:
    try:
        manifest = json.loads((path / "manifest.json").read_bytes())
    except FileNotFoundError:
        if not (path / "run.json").exists() and not is_minimum(path):
            message = f'"{path}" is not a run directory: it holds neither manifest.json nor run.json'
            raise RunError(message) from None
        raise damaged(path, "manifest.json is missing") from None
    except (OSError, ValueError) as error:
        raise damaged(path, "manifest.json cannot be read") from error
    version = cast("dict[str, JsonValue]", manifest).get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int):
        raise damaged(path, "manifest.json names no format version")
    if version > FORMAT:
        message = (
            f'run "{path.name}" was written by a newer version of downslope (format {version}, this one reads up to '
            f"{FORMAT}); upgrade downslope to read it"
        )
        raise RunError(message)
    return cast("dict[str, JsonValue]", manifest)


def _hashes(path: Path, manifest: dict[str, JsonValue]) -> dict[str, str]:
    files = manifest.get("files")
    if not isinstance(files, dict):
        raise damaged(path, "manifest.json lists no files")
    return {str(name): str(digest) for name, digest in cast("dict[Any, Any]", files).items()}


def _checked(path: Path, name: str, digest: str) -> bytes:
    """Return the content of a file whose hash is as written."""
    try:
        content = (path / name).read_bytes()
    except FileNotFoundError:
        raise damaged(path, f"{name} is missing") from None
    except OSError as error:
        raise damaged(path, f"{name} cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise damaged(path, f"{name} is not as it was written")
    return content


def _record(path: Path, content: bytes) -> Run:
    try:
        return run_from_json(json.loads(content) | {"steps": []})
    except (InputError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise damaged(path, "run.json does not hold a run") from error


def steps_of(path: Path, files: dict[str, bytes]) -> tuple[StepRecord, ...]:
    """Return the recorded steps among the files of a run directory; raises RunError where they cannot be read."""
    try:
        # Not by read_table: its threads may hold the buffer while the interpreter ends, which aborts it.
        rows: list[dict[str, Any]] = (
            parquet().ParquetFile(arrow().BufferReader(files.get(STEPS, b""))).read().to_pylist()
        )
        kinds = [GapKind(row.pop("gap_kind")) for row in rows]
        return tuple(StepRecord(gap_kind=kind, **row) for row, kind in zip(rows, kinds, strict=True))
    except (ValueError, TypeError, KeyError) as error:  # what Arrow raises is a ValueError too
        raise damaged(path, "steps.parquet does not hold steps") from error


def _model(path: Path, files: dict[str, bytes]) -> Predictor | None:
    parts = {name.removeprefix(MODEL): content for name, content in files.items() if name.startswith(MODEL)}
    if not parts:
        return None
    try:
        return _predictor(str(json.loads(parts["model.json"])["kind"]), parts)
    except (InputError, ValueError, TypeError, KeyError) as error:
        raise damaged(path, "model/ does not hold a model") from error


def _trajectory(path: Path, files: dict[str, bytes]) -> Trajectory | None:
    if PATH not in files:
        return None
    try:
        return from_bytes(files[PATH])
    except ValueError as error:
        raise damaged(path, f"{PATH} does not hold the path of its weights") from error


def _predictor(kind: str, parts: dict[str, bytes]) -> Predictor:
    """Return the model that files hold, by the kind that ``model.json`` names; raises InputError."""
    if kind == "linear":
        from downslope.models.linear import LinearModel

        return LinearModel.from_files(parts)
    if kind == "network":
        from downslope.models.network.model import NetworkModel

        return NetworkModel.from_files(parts)
    message = f'there is no model of kind "{kind}"'
    raise RunError(message)
