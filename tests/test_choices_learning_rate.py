from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from downslope.choices import curvature
from downslope.choices.curvature import mean_bend, measure_moments, shape_of
from downslope.choices.learning_rate import HIGHEST_CURVATURE, LANES, candidate_rates, full_batch_rate
from downslope.choices.method import choose_method
from downslope.choices.start import constant_start, middle
from downslope.data.blocks import Examples
from downslope.losses import (
    Absolute,
    Hinge,
    Huber,
    Log,
    Loss,
    Poisson,
    Quantile,
    Softmax,
    Squared,
    SquaredHinge,
    make_loss,
)
from downslope.models.linear import Objective
from downslope.records import Choice, Spec
from tests.plain_descent import dense, descend, fit_target, objective_at, shares, table

SPEC = Spec()


def rate_of(examples: Examples, objective: Objective, rule: str = "plain") -> Choice:
    moments = measure_moments(examples, None, 0)
    bend = float(mean_bend(examples, objective, constant_start(examples, objective)).max())
    shape = shape_of(examples, objective, moments, bend, examples.center, examples.scale)
    return full_batch_rate(examples, objective, moments, shape, rule, SPEC)


def eigenvalues(examples: Examples) -> np.ndarray:
    features = np.hstack([dense(examples), np.ones((examples.rows, 1))])
    return np.linalg.eigvalsh((features * shares(examples)[:, None]).T @ features / examples.rows)


def test_of_a_bowl_the_rate_is_two_over_the_sum_of_its_ends() -> None:
    examples = table(weighted=True)
    choice = rate_of(examples, Objective(Squared(), 0.0, 0.0, True))
    values = 2 * eigenvalues(examples)
    assert choice.value == pytest.approx(2 / (values[0] + values[-1]), rel=1e-10)
    assert "2 / (largest + smallest curvature)" in choice.reason


@pytest.mark.parametrize("loss", [Log(), Huber(), SquaredHinge(), Softmax()], ids=lambda each: each.name)
def test_elsewhere_it_is_one_over_the_largest_curvature_that_the_loss_can_have(loss: Loss) -> None:
    examples = table(classes=3 if isinstance(loss, Softmax) else 2, levels=(3,))
    objective = Objective(loss, 0.0, 0.05, True, 3 if isinstance(loss, Softmax) else 1)
    choice = rate_of(examples, objective)
    largest = HIGHEST_CURVATURE[loss.name] * eigenvalues(examples)[-1] + 0.05
    assert choice.value == pytest.approx(1 / largest, rel=1e-10)


@pytest.mark.parametrize("name", HIGHEST_CURVATURE)
def test_no_score_has_more_curvature_than_stated(name: str) -> None:
    loss = make_loss(name)
    scores = np.linspace(-20, 20, 4001)
    if isinstance(loss, Softmax):
        chance = loss.mean_response(np.random.default_rng(0).standard_normal((4000, 5)) * 4)
        most = max(np.linalg.eigvalsh(np.diag(p) - np.outer(p, p))[-1] for p in chance[:500])
    else:
        most = max(loss.curvature(scores, np.full(4001, y)).max() for y in (0.0, 1.0))
    assert most <= HIGHEST_CURVATURE[name] + 1e-12


def test_a_wide_table_steps_no_longer_than_its_largest_curvature_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    # One class in twenty: at the start the loss bends by 0.05, but it can bend by 0.25.
    monkeypatch.setattr(curvature, "WIDE", 3)
    examples = table(rows=400, classes=2)
    examples = examples.retarget((np.arange(400) % 20 == 0).astype(np.float64))
    choice = rate_of(examples, Objective(Log(), 0.0, 0.0, True))
    assert choice.value == pytest.approx(1 / (0.25 * eigenvalues(examples)[-1]), rel=0.05)


@pytest.mark.parametrize("loss", [Squared(), Log(), Huber(), SquaredHinge()], ids=lambda each: each.name)
def test_with_the_rate_of_theory_the_loss_falls_at_every_step(loss: Loss) -> None:
    examples = table(classes=2, levels=(3,))
    objective = Objective(loss, 0.0, 0.05, True)
    rate = float(rate_of(examples, objective).value)
    reached: list[float] = []
    for steps in range(1, 12):
        whole = np.tile(np.arange(137), steps)
        at = descend(examples, objective, whole, 137, np.full(steps, rate), 0).weights
        reached.append(objective_at(examples, objective, at))
    assert (np.diff(reached) < 0).all()


@pytest.mark.parametrize(
    ("loss", "rule"), [(Poisson(), "plain"), (Log(), "momentum"), (Log(), "adagrad"), (Squared(), "adam")]
)
def test_where_no_theory_says_rates_are_raced(loss: Loss, rule: str) -> None:
    examples = fit_target(table(classes=2 if loss.classifies else 0, levels=(3,)), loss)
    objective = Objective(loss, 0.0, 0.05, True)
    choice = rate_of(examples, objective, rule)
    assert len(choice.candidates) == LANES
    reached = {each["learning_rate"]: each["objective"] for each in choice.candidates}
    assert reached[choice.value] == min(reached.values())
    start = objective_at(examples, objective, np.zeros((examples.features + 1, 1)))
    assert reached[choice.value] < start
    assert rate_of(examples, objective, rule) == choice


def test_candidates_of_rules_that_keep_the_size_begin_at_twice_the_limit() -> None:
    examples = table()
    objective = Objective(Squared(), 0.0, 0.0, True)
    shape = shape_of(examples, objective, measure_moments(examples, None, 0), 2.0, examples.center, examples.scale)
    rates = candidate_rates(shape, "momentum")
    assert rates[0] == pytest.approx(2 * shape.stability_limit)
    np.testing.assert_allclose(rates[:-1] / rates[1:], 2.0)
    assert candidate_rates(shape, "adam", 3).tolist() == [1.0, 0.5, 0.25]
    assert candidate_rates(replace(shape, stability_limit=np.inf), "plain")[0] == 1.0


@pytest.mark.parametrize(
    ("settings", "method", "reason"),
    [
        ({}, "scaled", "a bowl"),
        ({"batch_size": 16}, "mini-batch", "a batch size was given"),
        ({"learning_rate": 0.1}, "full-batch", "a rule or a learning rate was given"),
        ({"rule": "adam"}, "mini-batch", "a rule or a learning rate was given"),
    ],
)
def test_the_method_follows_from_what_was_asked(settings: dict[str, Any], method: str, reason: str) -> None:
    chosen, choice = choose_method(table(), Objective(Squared(), 0.0, 0.0, True), Spec(**settings))
    assert chosen == method
    assert choice is not None
    assert choice.value == method
    assert reason in choice.reason


def test_a_method_that_was_asked_for_is_no_choice() -> None:
    assert choose_method(table(), Objective(Squared(), 0.0, 0.0, True), Spec(method="stochastic")) == (
        "stochastic",
        None,
    )


LOSSES: list[tuple[Loss, int]] = [
    (Squared(), 0), (Absolute(), 0), (Huber(), 0), (Quantile(quantile=0.8), 0), (Poisson(), 0), (Log(), 2),
    (Hinge(), 2), (SquaredHinge(), 2), (Softmax(), 4), (Log(), 4),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "classes"), LOSSES, ids=lambda each: getattr(each, "name", str(each)))
@pytest.mark.parametrize("weighted", [False, True])
def test_the_start_is_the_best_constant(loss: Loss, classes: int, weighted: bool) -> None:
    examples = fit_target(table(classes=classes, weighted=weighted), loss)
    objective = Objective(loss, 0.1, 0.1, True, classes if classes > 2 else 1)
    start = constant_start(examples, objective)
    assert not start.weights.any()
    at = np.vstack([start.weights, start.intercept])
    reached = objective_at(examples, objective, at)
    for k in range(objective.outputs):
        for away in (-0.01, 0.01):
            moved = at.copy()
            moved[-1, k] += away
            assert objective_at(examples, objective, moved) >= reached - 1e-12


def test_without_an_intercept_the_start_is_zero() -> None:
    start = constant_start(table(classes=2), Objective(Log(), 0.0, 0.0, False))
    assert not start.intercept.any()


def test_a_class_without_examples_starts_finite() -> None:
    start = constant_start(table(classes=3), Objective(Softmax(), 0.0, 0.0, True, 4))
    assert start.finite
    assert start.intercept.argmin() == 3


def test_middle_is_the_median_of_repeated_values() -> None:
    rng = np.random.default_rng(0)
    for rows in range(1, 12):
        values, counts = rng.standard_normal(rows), rng.integers(1, 4, rows)
        expected = np.median(np.repeat(values, counts))
        assert middle(values, counts.astype(float)) == pytest.approx(expected, rel=1e-12)
        assert middle(values, None) == np.median(values)
    assert middle(np.array([5.0, 1.0, 9.0]), np.array([1.0, 0.0, 0.0])) == 5.0
