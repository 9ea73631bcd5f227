"""A page holds what its record holds, as strict JSON and arrays."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.records.trajectory import Trajectory
from downslope.store import load
from downslope.views.page import page_of
from downslope.views.page_parts import STEP, Page
from downslope.views.page_path import path_of


def unpacked(page: Page) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the JSON as a strict reader has it, and the arrays by name, as the front end reads them."""
    content, buffers = page.packed()
    told = json.loads(json.dumps(content, allow_nan=False))
    arrays = {
        each["name"]: np.frombuffer(buffer, "<f4").reshape(each["shape"])
        for each, buffer in zip(told["arrays"], buffers, strict=True)
    }
    return told, arrays


@pytest.fixture(scope="module")
def cars(root: Path, tmp_path_factory: pytest.TempPathFactory) -> ds.Run:
    runs = tmp_path_factory.mktemp("runs")
    source = root / "examples" / "cars.csv"
    return ds.fit(str(source), "miles_per_gallon", runs=runs, method="full-batch", epochs=40, drop=("name",))


def test_a_run_read_back_has_the_page_of_the_run_that_was_saved(cars: ds.Run) -> None:
    before, after = page_of(cars).packed(), page_of(load(str(cars.path))).packed()
    assert json.dumps(before[0]) == json.dumps(after[0])
    assert before[1] == after[1]


def test_the_page_of_a_run_has_its_numbers(cars: ds.Run) -> None:
    content, arrays = unpacked(page_of(cars))
    assert content["verdict"] == cars.verdict.value
    assert content["objective"] == cars.objective
    assert content["rows"] == cars.data.train_rows
    assert [each["feature"] for each in content["coefficients"]] == [each.feature for each in cars.coefficients]
    assert {each["name"]: each["holdout"] for each in content["scores"]}["r2"] == cars.holdout["r2"]
    steps = arrays["steps"]
    assert steps.shape == (len(cars.steps), len(STEP))
    np.testing.assert_allclose(steps[:, STEP.index("objective")], [each.objective for each in cars.steps], rtol=1e-6)


def test_the_page_says_how_to_repeat_the_run(cars: ds.Run) -> None:
    content, _ = unpacked(page_of(cars))
    assert content["command"].startswith("downslope fit ")
    assert content["command"].endswith("--target miles_per_gallon --drop name --method full-batch --epochs 40")
    told: dict[str, Any] = {}
    exec(content["python"].replace("run = ds.fit(", "asked = dict(source=").replace("run.show()", ""), told)
    assert told["asked"] == {
        "source": cars.spec.source, "target": "miles_per_gallon", "drop": ("name",), "method": "full-batch",
        "epochs": 40,
    }  # fmt: skip


def test_a_command_quotes_what_a_shell_and_a_list_of_names_would_split(cars: ds.Run) -> None:
    import shlex

    from downslope.cli.options import parse

    names = ('a,b "c"', " d", "$(e)")
    run = replace(cars, spec=replace(cars.spec, drop=names))
    words = shlex.split(unpacked(page_of(run))[0]["command"])
    assert parse("drop", [words[i + 1] for i, word in enumerate(words) if word == "--drop"]) == names


def test_what_is_not_finite_is_null_in_json_and_as_it_is_in_arrays(cars: ds.Run) -> None:
    last = replace(cars.steps[-1], objective=math.inf, gap=math.nan)
    run = replace(cars, objective=math.inf, gap=math.nan, steps=(*cars.steps, last))
    content, arrays = unpacked(page_of(run))
    assert content["objective"] is None
    assert content["gap"] is None
    assert np.isposinf(arrays["steps"][-1, STEP.index("objective")])
    assert np.isnan(arrays["steps"][-1, STEP.index("gap")])


def test_a_long_run_keeps_its_ends_its_peaks_and_every_look_at_held_out_rows(cars: ds.Run) -> None:
    step = cars.steps[0]
    steps = tuple(
        replace(step, update=i, objective=1e6 if i == 31_415 else 1.0, holdout=2.0 if i % 9_000 == 7 else math.nan)
        for i in range(50_000)
    )
    kept = unpacked(page_of(replace(cars, steps=steps)))[1]["steps"][:, 0]
    assert len(kept) <= 2_010
    assert {0, 31_415, 49_999, *range(7, 50_000, 9_000)} <= set(kept.astype(int))


def test_the_path_of_weights_is_in_the_plane_that_holds_most_of_it() -> None:
    rng = np.random.default_rng(0)
    plane, _ = np.linalg.qr(rng.normal(size=(30, 2)))
    places = rng.normal(size=(8, 2))
    moments = places @ plane.T
    trajectory = Trajectory(tuple(range(8)), {"a": moments[:, :12].reshape(8, 3, 4), "b": moments[:, 12:]})
    told, numbers = path_of(trajectory)
    rows = np.array(numbers.values).reshape(numbers.shape)
    assert isinstance(told, dict)
    assert told["explained"] == pytest.approx(1.0)
    apart = np.linalg.norm(rows[:, None, 1:3] - rows[None, :, 1:3], axis=2)
    truth = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.testing.assert_allclose(apart, truth, atol=1e-5)
    np.testing.assert_allclose(rows[:, 3], truth[0], atol=1e-5)
    np.testing.assert_allclose(rows[:, 4], truth[-1], atol=1e-5)


def test_running_statistics_are_no_weights() -> None:
    moments = {"last.weight": np.zeros((2, 3)), "statistics.0.mean": np.array([[0.0], [9.0]])}
    told, numbers = path_of(Trajectory((0, 1), moments))
    assert told == {"moments": 2, "explained": None}
    assert max(numbers.values[3::5]) == 0.0


def test_arrays_are_little_endian(monkeypatch: pytest.MonkeyPatch, cars: ds.Run) -> None:
    _, (steps, *_) = page_of(cars).packed()
    monkeypatch.setattr("sys.byteorder", "big")
    _, (swapped, *_) = page_of(cars).packed()
    assert struct.unpack("<f", steps[4:8]) == struct.unpack(">f", swapped[4:8])


def test_the_page_of_a_descent_of_a_function_has_what_was_learned(tmp_path: Path) -> None:
    found = ds.minimize(lambda x: (x[0] - 3.0) ** 2 + 2.0 * x[1] ** 2, np.array([0.0, 1.0]), runs=tmp_path)
    content, arrays = unpacked(page_of(found))
    assert content["kind"] == "function"
    assert content["point"] == "minimum"
    (learned,) = content["learned"]
    assert learned["values"] == pytest.approx([3.0, 0.0], abs=1e-6)
    assert arrays["steps"].shape[0] == len(found.steps)


def test_the_page_of_starts_has_every_start_and_where_it_ended() -> None:
    found = ds.basins("two-valleys", 300, steps=60)
    content, arrays = unpacked(page_of(found))
    assert [each["value"] for each in content["minima"]] == [each.value for each in found.minima]
    np.testing.assert_allclose(arrays["ends"], found.ends, rtol=1e-5)
    assert arrays["reached"].astype(int).tolist() == found.reached.tolist()


def test_anything_else_has_no_page() -> None:
    with pytest.raises(InputError, match="no page of dict"):
        page_of({})
