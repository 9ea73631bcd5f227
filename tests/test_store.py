"""Run directories, with real kills, real damage and real writers side by side."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.errors import RunError
from downslope.records import Run, Spec
from downslope.records.files import run_to_json
from downslope.store import BrokenRun, find, list_runs, load, new_name, save
from downslope.store.directory import LOCK, PARTIAL, write_whole

WRITER = """
import json, sys
from dataclasses import replace
from downslope.records.files import run_from_json
from downslope.store import save
run = run_from_json(json.load(open(sys.argv[1], encoding="utf-8")))
save(run, sys.argv[2])
print("ready", flush=True)
while True:
    print(save(replace(run, run="", steps=run.steps * 500), sys.argv[2]).run, flush=True)
"""


def writer(record: Path, runs: Path) -> subprocess.Popen[str]:
    """Start a process that saves runs until it is killed, and wait until it is about to begin."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(record), str(runs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture
def record(flights_run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(run_to_json(flights_run)), encoding="utf-8")
    return path


def test_a_saved_run_comes_back(flights_run: Run, tmp_path: Path) -> None:
    saved = save(flights_run, tmp_path)
    assert saved.path == str(tmp_path / flights_run.run)
    for reference in (flights_run.run, saved.path, Path(saved.path or ""), "latest"):
        assert repr(load(reference, tmp_path)) == repr(saved)
    assert {path.name for path in tmp_path.iterdir()} <= {flights_run.run, LOCK}


def test_files_are_readable_by_other_tools(flights_run: Run, tmp_path: Path) -> None:
    folder = Path(save(flights_run, tmp_path).path or "")
    steps = pyarrow.parquet.read_table(folder / "steps.parquet").to_pydict()
    assert steps["objective"] == [step.objective for step in flights_run.steps]
    assert steps["gap_kind"] == ["certified"] * 4
    spec = tomllib.loads((folder / "spec.toml").read_text(encoding="utf-8"))
    assert spec["asked"]["method"] == "auto"
    assert spec["became"]["method"] == "scaled"
    assert json.loads((folder / "run.json").read_text(encoding="utf-8"))["verdict"] == "converged"


@given(
    text=st.text(st.characters(exclude_categories=["Cs"])),
    column=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
)
def test_any_setting_is_written_as_toml(
    flights_run: Run, tmp_path_factory: pytest.TempPathFactory, text: str, column: str
) -> None:
    spec = Spec(sql=text, target="y", drop=tuple({column, "特征"} - {"y"}))
    run = replace(flights_run, spec=spec, resolved={"l2": math.inf, "average": True, "batch_size": 32})
    folder = Path(save(run, tmp_path_factory.mktemp("runs")).path or "")
    values = tomllib.loads((folder / "spec.toml").read_bytes().decode())
    assert values["asked"] == {name: value for name, value in spec.to_json().items() if value is not None}
    assert values["became"] == {"l2": math.inf, "average": True, "batch_size": 32}


def test_a_run_without_a_name_is_given_one(flights_run: Run, tmp_path: Path) -> None:
    first, second = (save(replace(flights_run, run=""), tmp_path) for _ in range(2))
    assert first.run != second.run
    assert first.run.startswith("flights-20")
    assert [run.run for run in list_runs(tmp_path)] == [first.run, second.run]


def test_a_name_that_is_taken_is_never_overwritten(flights_run: Run, tmp_path: Path) -> None:
    first, second = save(flights_run, tmp_path), save(flights_run, tmp_path)
    assert first.run != second.run
    assert load(first.run, tmp_path).run == first.run
    assert load(second.run, tmp_path).run == second.run


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("data/flights.csv.gz", "flights-"),
        ("data/*.parquet", "run-"),
        ("", "run-"),
        ("航班 表.csv", "航班-表-"),
        ("x" * 300, "x" * 40 + "-"),
    ],
)
def test_names_come_from_the_source(source: str, stem: str) -> None:
    name = new_name(source)
    assert name.startswith(stem)
    assert "/" not in name
    assert len(name.encode()) < 200


def test_kills_leave_only_whole_runs(record: Path, tmp_path: Path) -> None:
    runs, draw, known = tmp_path / "runs", random.Random(0), set[str]()
    for _ in range(7):
        process = writer(record, runs)
        assert process.stdout is not None
        known.add(process.stdout.readline().strip())
        time.sleep(draw.uniform(0.0, 0.12))  # somewhere within the next one, or the one after it
        process.send_signal(signal.SIGKILL)
        known |= set(process.communicate()[0].split())
    listed = list_runs(runs)
    assert len(known) >= 7
    assert all(isinstance(run, Run) for run in listed)
    assert known <= {run.run for run in listed}
    for name in known:
        assert len(load(name, runs).steps) == 2000


def test_the_leftovers_of_the_dead_are_removed_and_the_living_are_not(
    record: Path, flights_run: Run, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    (runs / f"{PARTIAL}dead-00").mkdir(parents=True)
    (runs / f"{PARTIAL}dead-00" / "run.json").write_text("{", encoding="utf-8")
    assert list_runs(runs) == []
    save(flights_run, runs)
    assert not list(runs.glob(f"{PARTIAL}*"))
    process = writer(record, runs)
    try:
        for _ in range(30):
            save(replace(flights_run, run=""), runs)
        assert process.poll() is None  # its partial folders were never taken from under it
    finally:
        process.kill()
        process.communicate()


def test_many_writers_at_once(flights_run: Run, tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        saved = list(pool.map(lambda _: save(flights_run, tmp_path).run, range(40)))
    assert len(set(saved)) == 40
    assert {run.run for run in list_runs(tmp_path)} == set(saved)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="name too long"):
        write_whole(tmp_path, "run", {"a": b"whole", "b" * 300: b"cannot be written"})
    assert {path.name for path in tmp_path.iterdir()} <= {LOCK}


def spoil(folder: Path, damage: str) -> None:
    """Damage one file of a run directory: ``missing``, ``truncated``, or the text to put in its place."""
    name, _, how = damage.partition(": ")
    if how == "missing":
        (folder / name).unlink()
    elif how == "truncated":
        (folder / name).write_bytes((folder / name).read_bytes()[:100])
    else:
        (folder / name).write_text(how, encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("run.json: missing", r"damaged: run\.json is missing"),
        ("run.json: truncated", r"damaged: run\.json is not as it was written"),
        ("steps.parquet: PAR1", r"damaged: steps\.parquet is not as it was written"),
        ("steps.parquet: missing", r"damaged: steps\.parquet is missing"),
        ("manifest.json: missing", r"damaged: manifest\.json is missing"),
        ("manifest.json: truncated", r"damaged: manifest\.json cannot be read"),
        ("manifest.json: [1]", r"damaged: manifest\.json names no format"),
        ('manifest.json: {"format": 99}', "written by a newer version of downslope .format 99"),
    ],
)
def test_a_damaged_run_is_one_sentence(flights_run: Run, tmp_path: Path, damage: str, sentence: str) -> None:
    whole = save(replace(flights_run, run="whole"), tmp_path)
    spoil(Path(save(flights_run, tmp_path).path or ""), damage)
    with pytest.raises(RunError, match=sentence) as raised:
        load(flights_run.run, tmp_path)
    assert flights_run.run in str(raised.value)
    assert "\n" not in str(raised.value)
    listed = {run.run: run for run in list_runs(tmp_path)}
    assert isinstance(listed[whole.run], Run)
    if "steps" not in damage:  # a listing reads the record only
        broken = listed[flights_run.run]
        assert isinstance(broken, BrokenRun)
        assert broken.problem == str(raised.value)


def test_a_record_that_is_no_run(flights_run: Run, tmp_path: Path) -> None:
    record = b'{"run": 3}'
    manifest = {"format": 1, "files": {"run.json": hashlib.sha256(record).hexdigest()}}
    write_whole(tmp_path, "odd", {"run.json": record, "manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(RunError, match=r"run\.json does not hold a run"):
        load("odd", tmp_path)


def test_no_such_run_names_the_nearest(flights_run: Run, tmp_path: Path) -> None:
    save(flights_run, tmp_path)
    with pytest.raises(RunError, match=r'no run called "flights-20261121".*nearest: "flights-20261121-142301-7f3a"'):
        find("flights-20261121", tmp_path)
    with pytest.raises(RunError, match=r"there is no run under .* yet"):
        find("latest", tmp_path / "none")


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(RunError, match="is not a run directory"):
        load(tmp_path / "plain", tmp_path)
    assert list_runs(tmp_path) == []


def test_a_file_in_place_of_the_folder_of_runs(flights_run: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(NotADirectoryError):
        save(flights_run, tmp_path / "taken")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(flights_run: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        save(flights_run, tmp_path)
    tmp_path.chmod(0o700)
