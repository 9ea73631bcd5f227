"""Descent in batches without settings: good wherever tuned plain steps are good, and the same in every process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import datasets

from downslope import GradientDescentClassifier, GradientDescentRegressor
from downslope.losses import make_loss
from downslope.models.linear import Objective, Point
from downslope.records import Spec
from downslope.steps import rule_number
from downslope.training import train
from downslope.training.course import Course, trainer_of
from tests.plain_descent import descend, objective_at, scipy_minimum, table

EPOCHS, BATCH = 20, 32


def standardised(features: np.ndarray) -> np.ndarray:
    return (features - features.mean(axis=0)) / features.std(axis=0)


def score_problems() -> dict[str, tuple[np.ndarray, np.ndarray, list[float]]]:
    """Return problems of the no-settings score, with the rates of the grid that are near the best of plain steps."""
    diabetes = datasets.load_diabetes(scaled=False)
    cancer, wine, iris = datasets.load_breast_cancer(), datasets.load_wine(), datasets.load_iris()
    return {
        "diabetes, standardised": (standardised(diabetes.data), diabetes.target, [1e-3, 10**-2.5, 1e-2]),
        "diabetes, raw": (diabetes.data, diabetes.target, [1e-6, 10**-5.5, 1e-5]),
        "breast cancer, standardised": (standardised(cancer.data), cancer.target, [10**-0.5, 1.0, 10**0.5]),
        "breast cancer, raw": (cancer.data, cancer.target, [1e-6, 10**-5.5, 1e-5]),
        "wine, raw": (wine.data, wine.target, [10**-5.5, 1e-5, 10**-4.5]),
        "iris, raw": (iris.data, iris.target, [1.0, 10**0.5, 10.0]),
    }


def softmax_losses(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    top = scores.max(axis=1, keepdims=True)
    return np.log(np.exp(scores - top).sum(axis=1)) + top[:, 0] - scores[np.arange(target.size), target]


def plain_steps(features: np.ndarray, target: np.ndarray, rate: float) -> float:
    """Return the mean loss after 20 epochs of plain steps on batches of 32 from zero weights; inf if not finite."""
    regression = np.issubdtype(target.dtype, np.floating)
    outputs = 1 if regression else int(target.max()) + 1
    rows = np.hstack([features, np.ones((target.size, 1))])
    weights, rng = np.zeros((rows.shape[1], outputs)), np.random.default_rng(0)
    with np.errstate(all="ignore"):
        for _ in range(EPOCHS):
            order = rng.permutation(target.size)
            for first in range(0, target.size, BATCH):
                chosen = order[first : first + BATCH]
                scores = rows[chosen] @ weights
                if regression:
                    slopes = 2 * (scores - target[chosen, None])
                else:
                    slopes = np.exp(scores - scores.max(axis=1, keepdims=True))
                    slopes /= slopes.sum(axis=1, keepdims=True)
                    slopes[np.arange(chosen.size), target[chosen]] -= 1.0
                weights -= rate * rows[chosen].T @ slopes / chosen.size
        scores = rows @ weights
        loss = ((scores[:, 0] - target) ** 2 if regression else softmax_losses(scores, target)).mean()
    return float(loss) if np.isfinite(loss) else np.inf


@pytest.mark.parametrize("name", score_problems())
def test_the_no_settings_score(name: str) -> None:
    features, target, rates = score_problems()[name]
    best = min(plain_steps(features, target, rate) for rate in rates)
    settings: dict[str, Any] = {"method": "mini-batch", "max_passes": EPOCHS, "random_state": 0}
    if np.issubdtype(target.dtype, np.floating):
        start = float((target**2).mean())
        reached = float(
            ((GradientDescentRegressor(**settings).fit(features, target).predict(features) - target) ** 2).mean()
        )
    else:
        start = float(np.log(target.max() + 1))
        model = GradientDescentClassifier(**settings).fit(features, target)
        scores = features @ model.coef_.T + model.intercept_
        if scores.shape[1] == 1:
            scores = np.hstack([np.zeros_like(scores), scores])
        reached = float(softmax_losses(scores, target).mean())
    assert (start - reached) / (start - best) >= 0.98


PROGRAM = """
import hashlib
from downslope.fitting import fit
run = fit({source!r}, {target!r}, runs=None, method="mini-batch", epochs=3)
weights = run.model.point
print(hashlib.sha256(weights.weights.tobytes() + weights.intercept.tobytes()).hexdigest(), run.resolved["batch_size"])
"""


def test_two_processes_come_to_the_same_bits(examples: Path, tmp_path: Path) -> None:
    # The first process compiles its kernels and times its steps; the second finds both on disk.
    program = PROGRAM.format(source=str(examples / "cars.csv"), target="origin")
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "PATH": ""}
    first, second = (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
        for _ in range(2)
    )
    assert first.stdout == second.stdout != ""
    assert list(tmp_path.rglob("step-*.json"))


def test_a_planned_number_of_updates_runs_its_schedule_to_the_end() -> None:
    examples = table(rows=100)
    objective = Objective(make_loss("squared"), 0.0, 0.0, True)
    course = Course(examples, objective, 8, rule_number("plain"), 0.9, 3, "cosine", 0.0, False, 0, updates=10)
    assert course.share(0, 10)[0] == 1.0
    assert course.share(0, 11)[-1] == 0.0
    trainer = trainer_of(course, 0.05, 10.0, Point.zeros(5, 1))
    order = np.arange(100, dtype=np.int32)
    trainer.advance(order, 0, 80)
    expected = descend(examples, objective, order[:80], 8, 0.05 * course.share(0, 10), rule_number("plain"))
    point = trainer.point()
    assert np.append(point.weights, point.intercept) == pytest.approx(expected.weights[:, 0], rel=1e-10)


@pytest.mark.parametrize(("loss", "classes"), [("squared", 0), ("log", 2), ("softmax", 3)])
def test_the_estimated_gap_is_the_gap(loss: str, classes: int) -> None:
    examples = table(rows=600, numbers=4, classes=classes, levels=(3,))
    outputs = classes if loss == "softmax" else 1
    run = train(examples, Spec(method="mini-batch", epochs=6, tolerance=0.0, l2=0.01), loss, outputs)
    objective = Objective(make_loss(loss), 0.0, 0.01, True, outputs)
    reached = objective_at(examples, objective, np.vstack([run.point.weights, run.point.intercept]))
    least = objective_at(examples, objective, scipy_minimum(examples, objective))
    assert run.gap == pytest.approx((reached - least) / (run.objective_at_start - least), rel=0.2)


def test_lanes_end_no_worse_than_any_single_rate_within_a_factor() -> None:
    examples = table(rows=2000, numbers=6, classes=2)
    least = train(examples, Spec(tolerance=1e-10, l2=1e-3), "log").objective
    wanted: dict[str, Any] = {"method": "mini-batch", "batch_size": 16, "epochs": 10, "tolerance": 0.0, "l2": 1e-3}
    chosen = train(examples, Spec(**wanted), "log")
    alone = [
        train(examples, Spec(**wanted, learning_rate=each["learning_rate"]), "log").objective
        for choice in chosen.choices if choice.name == "learning_rate" for each in choice.candidates[:8]
    ]  # fmt: skip
    assert chosen.objective - least <= 5 * (min(alone) - least)
