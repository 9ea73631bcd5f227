"""Scores against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from downslope.data.blocks import Block, Examples
from downslope.fitting.scores import area_under_roc, baseline_scores, scores_of
from downslope.losses import Log
from downslope.models.linear import Objective, Point
from downslope.types import Vector


def scores_and_truth(kind: str) -> tuple[Vector, Vector, Vector]:
    drawn = np.random.default_rng(3)
    score = drawn.standard_normal(800) if kind == "distinct" else drawn.integers(-4, 4, 800) * 0.37
    return score, (drawn.random(800) > 0.7).astype(np.float64), drawn.random(800)


@pytest.mark.parametrize("kind", ["distinct", "tied"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_area_under_the_curve_is_scikit_learns(kind: str, weighted: bool) -> None:
    score, truth, weights = scores_and_truth(kind)
    each = weights if weighted else None
    assert area_under_roc(score, truth, each) == pytest.approx(
        roc_auc_score(truth, score, sample_weight=each), abs=1e-12
    )


def test_zeros_of_either_sign_tie() -> None:
    assert area_under_roc(np.array([0.0, -0.0]), np.array([1.0, 0.0]), None) == 0.5


def examples_of(truth: Vector, weights: Vector | None) -> Examples:
    rows = truth.shape[0]
    block = Block(0, np.zeros((rows, 1)), np.empty((rows, 0), np.int32))
    return Examples((block,), 0, truth, weights, np.zeros(1), np.ones(1), True)


@pytest.mark.parametrize("weighted", [False, True])
def test_class_scores_are_scikit_learns(weighted: bool) -> None:
    score, truth, weights = scores_and_truth("distinct")
    each = weights if weighted else None
    found = scores_of(examples_of(truth, each), Objective(Log(), 0.0, 0.0, True), score[:, None], 2)
    chance = 1.0 / (1.0 + np.exp(-score))
    assert found["loss"] == pytest.approx(log_loss(truth, chance, sample_weight=each), abs=1e-12)
    expected = balanced_accuracy_score(truth, score > 0, sample_weight=each)
    assert found["balanced_accuracy"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_constant_scores_as_its_scores_written_out_would(weighted: bool) -> None:
    _, truth, weights = scores_and_truth("distinct")
    examples = examples_of(truth, weights if weighted else None)
    objective, constant = Objective(Log(), 0.0, 0.0, True), Point(np.zeros((1, 1)), np.array([-0.8]))
    written_out = scores_of(examples, objective, np.full((truth.size, 1), -0.8), 2)
    assert baseline_scores(examples, objective, constant, 2) == pytest.approx(written_out, abs=1e-12)
