from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from downslope.choices import step_cost as costs
from downslope.choices.batch_size import CANDIDATES, choose_batch_size, noise_scale
from downslope.choices.step_cost import StepCost, step_cost
from downslope.engines.racing import standardised
from downslope.losses import Log, Loss, Poisson, Softmax, Squared
from downslope.models.linear import Objective, Point
from tests.plain_descent import dense, fit_target, shares, table

LAYOUTS: dict[str, dict[str, Any]] = {
    "numbers": {},
    "codes and weights": {"levels": (3, 4), "weighted": True},
    "original units": {"applied": False, "levels": (3,)},
    "dummies": {"levels": (3,), "dummies": True},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("loss", "classes"), [(Squared(), 0), (Poisson(), 0), (Log(), 2), (Softmax(), 3)])
@pytest.mark.parametrize("intercept", [True, False])
def test_noise_scale_is_the_spread_of_the_gradients_of_all_examples(
    loss: Loss, classes: int, layout: str, intercept: bool
) -> None:
    examples = fit_target(table(classes=classes, **LAYOUTS[layout]), loss)
    objective = Objective(loss, 0.0, 0.0, intercept, 3 if classes > 2 else 1)
    rng = np.random.default_rng(0)
    point = Point(0.2 * rng.standard_normal((examples.features, objective.outputs)), np.zeros(objective.outputs))
    features = np.hstack([dense(examples), np.ones((examples.rows, int(intercept)))])
    slopes = objective.slopes(dense(examples) @ point.weights, examples.target) * shares(examples)[:, None]
    each = (features[:, :, None] * slopes[:, None, :]).reshape(examples.rows, -1)
    spread = np.trace(np.atleast_2d(np.cov(each.T)))
    signal = (each.mean(axis=0) ** 2).sum() - spread / examples.rows
    assert noise_scale(examples, objective, point) == pytest.approx(spread / signal, rel=1e-6)


def test_noise_scale_says_how_batches_scatter() -> None:
    examples = table(rows=4000, classes=2)
    objective = Objective(Log(), 0.0, 0.0, True)
    scale = noise_scale(examples, objective, Point.zeros(5, 1))
    features = np.hstack([dense(examples), np.ones((4000, 1))])
    each = features * (0.5 - examples.target)[:, None]
    whole = each.mean(axis=0)
    rng = np.random.default_rng(1)
    batches = np.array([each[rng.choice(4000, 50)].mean(axis=0) for _ in range(3000)])
    scatter = ((batches - whole) ** 2).sum(axis=1).mean() / (whole @ whole)
    assert scatter == pytest.approx(scale / 50, rel=0.1)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep measurements in a folder of the test's own."""
    monkeypatch.setattr(costs, "CACHE_FOLDER", str(tmp_path))
    monkeypatch.setattr(costs, "MEASURED", {})
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("loss", "classes"), [(Squared(), 0), (Softmax(), 3)])
def test_the_batch_size_with_the_smallest_predicted_time_is_chosen(loss: Loss, classes: int) -> None:
    examples = table(rows=3000, classes=classes)
    objective = Objective(loss, 0.0, 0.0, True, max(classes, 1))
    choice = choose_batch_size(examples, objective, 0, 0.9, 0)
    assert choice.name == "batch_size"
    assert choice.value in CANDIDATES
    assert [each["batch_size"] for each in choice.candidates] == list(CANDIDATES)
    times = {each["batch_size"]: each["relative_time"] for each in choice.candidates}
    assert times[choice.value] == min(times.values())
    for each in choice.candidates:
        assert each["relative_time"] == pytest.approx(each["relative_steps"] * each["seconds_per_step"])
    steps = [each["relative_steps"] for each in choice.candidates]
    assert steps == sorted(steps, reverse=True)
    again = choose_batch_size(examples, objective, 0, 0.9, 0)
    assert again == choice


@pytest.mark.usefixtures("folder")
def test_no_batch_is_larger_than_the_table() -> None:
    examples = table(rows=20, classes=2)
    choice = choose_batch_size(examples, Objective(Log(), 0.0, 0.0, True), 0, 0.9, 0)
    assert [each["batch_size"] for each in choice.candidates] == [8, 16]
    few = table(rows=3, classes=2)
    assert choose_batch_size(few, Objective(Log(), 0.0, 0.0, True), 0, 0.9, 0).value == 8


def test_the_first_measurement_is_the_one_that_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples, objective = standardised(table(rows=500, classes=2)), Objective(Log(), 0.0, 0.0, True)
    first = step_cost(examples, objective, 0, 0.9, 0)
    assert first.step > 0
    assert first.example > 0
    assert np.log2(first.step / first.example) == pytest.approx(round(np.log2(first.step / first.example)), abs=1e-9)
    (kept,) = folder.glob("*.json")
    assert json.loads(kept.read_text()) == {"step": first.step, "example": first.example}
    # Another process: nothing in memory, and a file that was there first.
    kept.write_text('{"step": 4.0, "example": 0.5}')
    monkeypatch.setattr(costs, "MEASURED", {})
    assert step_cost(examples, objective, 0, 0.9, 0) == StepCost(4.0, 0.5)
    assert not list(folder.glob("*.tmp"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"step": -1, "example": 1}', '{"step": "x"}'])
def test_a_damaged_measurement_is_measured_again(folder: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    examples, objective = standardised(table(rows=100, classes=2)), Objective(Log(), 0.0, 0.0, True)
    step_cost(examples, objective, 0, 0.9, 0)
    (kept,) = folder.glob("*.json")
    kept.write_text(content)
    monkeypatch.setattr(costs, "MEASURED", {})
    assert step_cost(examples, objective, 0, 0.9, 0).step > 0


def test_where_nothing_can_be_kept_the_process_remembers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = folder / "file"
    blocked.write_text("")
    monkeypatch.setattr(costs, "CACHE_FOLDER", str(blocked))
    examples, objective = standardised(table(rows=100, classes=2)), Objective(Log(), 0.0, 0.0, True)
    assert step_cost(examples, objective, 0, 0.9, 0) is step_cost(examples, objective, 0, 0.9, 0)
