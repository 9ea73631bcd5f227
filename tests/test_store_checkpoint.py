"""Checkpoints as files, and the folders of runs that have not ended."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors.numpy import load as load_arrays

from downslope.errors import RunError
from downslope.records import Choice, GapKind, Run, Spec, StepRecord
from downslope.store import Progress, begin, list_runs, list_unfinished, save, take_up
from downslope.store import find as find_run
from downslope.store.checkpoint import from_bytes, to_bytes
from downslope.training.checkpoint import Checkpoint

SPEC = Spec(source="table.csv", target="late", method="mini-batch", batch_size=8)
STEPS = (
    StepRecord(0, 1.0, 0.1, 0.7, 0.2, 0.5),
    StepRecord(7, 2.5, 0.30000000000000004, 1e-300, math.nan, 0.25, 0.1, GapKind.ESTIMATED, False, math.inf),
)

HOLD = """
import sys
from downslope.store import take_up
progress = take_up(sys.argv[1], sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""

kinds = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint8, np.uint32, np.bool_])
shapes = arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
anything = kinds.flatmap(lambda kind: arrays_of.arrays(kind, shapes))


def checkpoint_of(**arrays: np.ndarray) -> Checkpoint:
    values = {"log": {"updates": 7, "seconds": 1.5, "passes": 2.5}, "best": math.inf, "chosen": math.nan}
    return Checkpoint("network", arrays or {"weights": np.arange(6.0).reshape(2, 3)}, values, STEPS)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@given(st.dictionaries(st.text(min_size=1, max_size=5), anything, max_size=4), st.booleans())
def test_every_array_comes_back_bit_for_bit(arrays: dict[str, np.ndarray], turned: bool) -> None:
    given_arrays = {name: np.asfortranarray(each) if turned and each.ndim else each for name, each in arrays.items()}
    found, about = from_bytes(to_bytes(checkpoint_of() if not arrays else checkpoint_of(**given_arrays), {"run": "a"}))
    assert about == {"run": "a"}
    for name, array in given_arrays.items():
        assert same(found.arrays[name], array)
        assert found.arrays[name].flags.f_contiguous == array.flags.f_contiguous


def test_values_and_the_record_come_back_exactly() -> None:
    found, _ = from_bytes(to_bytes(checkpoint_of(), {}))
    assert repr(found.steps) == repr(STEPS)
    assert found.kind == "network"
    assert found.values["best"] == math.inf
    assert math.isnan(found.values["chosen"])
    assert from_bytes(to_bytes(replace(found, steps=()), {}))[0].steps == ()


def test_the_file_is_read_by_the_library_that_others_use() -> None:
    arrays = load_arrays(to_bytes(checkpoint_of(), {}))
    np.testing.assert_array_equal(arrays["weights"], [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    np.testing.assert_array_equal(arrays["record.update"], [0, 7])


@given(st.data())
def test_any_altered_byte_is_noticed(data: st.DataObject) -> None:
    content = to_bytes(checkpoint_of(), {"run": "a"})
    place = data.draw(st.integers(0, len(content) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    altered = content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
    if altered[8:].strip() != content[8:].strip():
        with pytest.raises(ValueError, match=r"^it is (no whole safetensors file|not as it was written)$"):
            from_bytes(altered)


def test_any_altered_byte_of_the_header_is_noticed() -> None:
    """Safetensors writes it in an order that changes, so that a place drawn once is not met again."""
    content = to_bytes(checkpoint_of(), {"run": "a"})
    for place in range(8, 8 + int.from_bytes(content[:8], "little")):
        altered = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
        if altered[8:].strip() != content[8:].strip():
            with pytest.raises(ValueError, match=r"^it is"):
                from_bytes(altered)


@given(st.integers(0, 400))
def test_a_file_cut_short_is_noticed(length: int) -> None:
    with pytest.raises(ValueError, match="it is no whole safetensors file"):
        from_bytes(to_bytes(checkpoint_of(), {})[:length])


@pytest.fixture
def progress(tmp_path: Path) -> Generator[Progress]:
    """Return a run in progress under ``tmp_path``, its lock held."""
    made = begin(tmp_path, SPEC, "print of the source")
    yield made
    made.keep()


def test_a_run_in_progress_is_no_run_yet(progress: Progress, tmp_path: Path) -> None:
    progress.write(checkpoint_of(), 17)
    assert list_runs(tmp_path) == []
    with pytest.raises(RunError, match=f'^run "{progress.run}" under .* has not ended; take it up with downslope resu'):
        find_run(progress.run, tmp_path)
    with pytest.raises(RunError, match="no run called"):
        find_run(progress.folder, tmp_path)


def test_what_was_kept_is_taken_up(progress: Progress, tmp_path: Path) -> None:
    choice = Choice("batch_size", 32, "measured", ({"batch_size": 32, "seconds": math.inf},))
    progress.settle(choice)
    progress.write(checkpoint_of(weights=np.zeros(3)), 17)
    progress.write(checkpoint_of(weights=np.ones(3)), 17)
    progress.keep()
    for reference in (progress.run, "latest", str(progress.folder), str(tmp_path / progress.run)):
        found = take_up(reference, tmp_path)
        assert (found.run, found.spec, found.source, found.data) == (progress.run, SPEC, progress.source, 17)
        assert found.settled == {"batch_size": choice}
        assert found.checkpoint is not None
        np.testing.assert_array_equal(found.checkpoint.arrays["weights"], np.ones(3))
        found.keep()


def test_nothing_is_left_of_a_run_that_ended(progress: Progress, tmp_path: Path) -> None:
    progress.write(checkpoint_of(), None)
    progress.remove()
    assert [path.name for path in tmp_path.iterdir()] == []


def test_the_list_says_how_far_each_came(progress: Progress, tmp_path: Path) -> None:
    second = begin(tmp_path, SPEC, "")
    second.write(checkpoint_of(), None)
    first, last = list_unfinished(tmp_path)
    assert (first.run, first.updates, first.seconds, first.running) == (progress.run, None, None, True)
    assert (last.run, last.updates, last.seconds, last.running) == (second.run, 7, 1.5, True)
    second.keep()
    assert [each.running for each in list_unfinished(tmp_path)] == [True, False]


def test_a_run_that_another_process_trains_is_left_alone(progress: Progress, tmp_path: Path) -> None:
    progress.keep()
    arguments = [sys.executable, "-c", HOLD, progress.run, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert [each.running for each in list_unfinished(tmp_path)] == [True]
        with pytest.raises(RunError, match=f'^run "{progress.run}" is being trained by another process'):
            take_up(progress.run, tmp_path)
        process.kill()
    take_up(progress.run, tmp_path).keep()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("checkpoint.safetensors", b"", "checkpoint.safetensors is damaged"),
        ("checkpoint.safetensors", b"\0" * 100, "checkpoint.safetensors is damaged"),
        ("asked.json", b"{", "asked.json cannot be read"),
        ("asked.json", b"[]", "asked.json cannot be read"),
        ("asked.json", b'{"format": 99}', "asked.json was written by another version"),
        ("settled.json", b"[1]", "settled.json cannot be read"),
    ],
)
def test_damage_is_one_sentence_and_deletes_nothing(
    progress: Progress, tmp_path: Path, name: str, content: bytes, sentence: str
) -> None:
    progress.write(checkpoint_of(), None)
    progress.keep()
    (progress.folder / name).write_bytes(content)
    for _ in range(2):  # the lock was let go of
        with pytest.raises(RunError, match=f'^run "{progress.run}" cannot be resumed: {sentence}'):
            take_up(progress.run, tmp_path)
    assert (progress.folder / name).read_bytes() == content


def test_a_checkpoint_of_another_run_is_refused(progress: Progress, tmp_path: Path) -> None:
    other = begin(tmp_path, replace(SPEC, rule="adam"), "")
    other.write(checkpoint_of(), None)
    os.replace(other.folder / "checkpoint.safetensors", progress.folder / "checkpoint.safetensors")
    other.keep()
    progress.keep()
    with pytest.raises(RunError, match="its checkpoint is from another model, trained with another rule"):
        take_up(progress.run, tmp_path)


def test_a_run_that_has_ended_says_so(progress: Progress, flights_run: Run, tmp_path: Path) -> None:
    saved = save(replace(flights_run, run=progress.run), tmp_path)
    progress.keep()  # a kill after the last step of saving, before the folder went
    for reference in (saved.run, str(saved.path), str(progress.folder)):
        with pytest.raises(RunError, match=r"is finished, so there is nothing to resume|no unfinished run called"):
            take_up(reference, tmp_path)
    with pytest.raises(RunError, match=r"^there is no unfinished run under"):
        take_up("latest", tmp_path)
    assert list_unfinished(tmp_path) == []
    begin(tmp_path, SPEC, "").remove()
    assert not progress.folder.exists()


def test_a_folder_that_a_kill_left_blank_is_removed_in_time(progress: Progress, tmp_path: Path) -> None:
    blank, fresh = tmp_path / ".old.unfinished", tmp_path / ".new.unfinished"
    for each in (blank, fresh):
        each.mkdir()
    os.utime(blank, (1.0, 1.0))
    assert [each.run for each in list_unfinished(tmp_path)] == [progress.run]
    begin(tmp_path, SPEC, "").remove()
    assert (blank.exists(), fresh.exists(), progress.folder.exists()) == (False, True, True)


def test_an_unknown_name_lists_the_near_ones(progress: Progress, tmp_path: Path) -> None:
    progress.keep()
    with pytest.raises(RunError, match=f'no unfinished run called "{progress.run[:-1]}" .*nearest: "{progress.run}"'):
        take_up(progress.run[:-1], tmp_path)


def test_files_half_written_are_cleared_away(progress: Progress, tmp_path: Path) -> None:
    progress.write(checkpoint_of(), None)
    progress.keep()
    (progress.folder / "checkpoint.safetensors.00ff").write_bytes(b"half")
    take_up(progress.run, tmp_path).keep()
    names = {path.name for path in progress.folder.iterdir()}
    assert {"asked.json", "checkpoint.safetensors"} <= names <= {"asked.json", "checkpoint.safetensors", ".lock"}


def test_the_settings_are_plain_json(progress: Progress) -> None:
    asked = json.loads((progress.folder / "asked.json").read_text(encoding="utf-8"))
    assert asked["spec"] == SPEC.to_json() | {"drop": []}
    assert asked["run"] == progress.run
