from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.data.batches import order
from downslope.data.blocks import Examples
from downslope.engines.racing import Lanes, relative_weights, standardised
from downslope.losses import Absolute, Hinge, Huber, Log, Loss, Poisson, Quantile, Softmax, Squared, SquaredHinge
from downslope.models.linear import Objective, Point
from downslope.records.spec import RULES
from downslope.steps import rule_number
from tests.plain_descent import descend, fit_target, objective_at, table

RATES = np.array([0.3, 0.1, 0.01])
LOSSES: list[Loss] = [
    Squared(), Absolute(), Huber(delta=0.8), Quantile(quantile=0.7), Poisson(), Log(), Hinge(), SquaredHinge(),
]  # fmt: skip


def near(dtype: Any) -> float:
    return 1e-4 if dtype == np.float32 else 1e-11


def lanes_of(lanes: Lanes, lane: int) -> np.ndarray:
    point = lanes.point(lane)
    return np.vstack([point.weights, point.intercept])


def epoch(
    examples: Examples, objective: Objective, rows: np.ndarray, batch: int, rule: str = "plain",
    rates: np.ndarray = RATES, **settings: Any,
) -> tuple[Lanes, np.ndarray, np.ndarray]:  # fmt: skip
    share = 1.0 / (1 + 0.1 * np.arange(-(-rows.size // batch)))
    ready = standardised(examples)
    lanes = Lanes.start(ready, objective, rates, rule_number(rule), 0.9, **settings)
    return lanes, lanes.epoch(ready, objective, rows, batch, share, 0), share


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda each: each.name)
@pytest.mark.parametrize("weighted", [False, True])
def test_each_lane_is_a_training_of_its_own(loss: Loss, weighted: bool, dtype: Any) -> None:
    examples = table(
        rows=301, classes=2 if loss.classifies else 0, levels=(3, 4), weighted=weighted, dtype=dtype
    )  # fmt: skip
    examples = fit_target(examples, loss)
    objective = Objective(loss, 0.0, 0.1, True)
    rows = order(examples.rows, 5, 0)
    rates = RATES * (0.1 if loss.name in ("squared", "poisson", "squared-hinge") else 1.0)
    # 301 rows in batches of 100: tiles of 64 and 36, and a last batch of one row.
    lanes, losses, share = epoch(examples, objective, rows, 100, rates=rates)
    for lane, rate in enumerate(rates):
        truth = descend(examples, objective, rows, 100, rate * share, 0)
        np.testing.assert_allclose(lanes_of(lanes, lane), truth.weights, atol=near(dtype))
        assert losses[lane] == pytest.approx(truth.loss / rows.size, rel=near(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("penalty", [(0.0, 0.3), (0.05, 0.2)], ids=str)
@pytest.mark.parametrize("intercept", [True, False])
def test_every_rule_and_penalty(rule: str, penalty: tuple[float, float], intercept: bool, dtype: Any) -> None:
    examples = table(classes=2, levels=(3,), dtype=dtype)
    objective = Objective(Log(), *penalty, intercept)
    rows = order(examples.rows, 1, 0)
    lanes, _, share = epoch(examples, objective, rows, 16, rule)
    for lane, rate in enumerate(RATES):
        truth = descend(examples, objective, rows, 16, rate * share, rule_number(rule))
        np.testing.assert_allclose(lanes_of(lanes, lane), truth.weights, atol=3 * near(dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", [Softmax(), Log(), SquaredHinge()], ids=lambda each: each.name)
@pytest.mark.parametrize("weighted", [False, True])
def test_several_outputs_are_columns_of_one_lane(loss: Loss, weighted: bool, dtype: Any) -> None:
    examples = table(classes=4, levels=(3,), weighted=weighted, dtype=dtype)
    objective = Objective(loss, 0.01, 0.1, True, 4)
    rows = order(examples.rows, 1, 0)
    rates = RATES[:2]
    lanes, losses, share = epoch(examples, objective, rows, 16, rates=rates)
    for lane, rate in enumerate(rates):
        truth = descend(examples, objective, rows, 16, rate * share, 0)
        np.testing.assert_allclose(lanes_of(lanes, lane), truth.weights, atol=near(dtype))
        assert losses[lane] == pytest.approx(truth.loss / rows.size, rel=near(dtype))


@pytest.mark.parametrize("rule", ["plain", "adam"])
def test_a_lane_that_gathers_batches_is_one_with_larger_batches(rule: str) -> None:
    examples = table(rows=250, classes=2, levels=(3,), weighted=True)
    objective = Objective(Log(), 0.01, 0.1, True)
    rows = order(250, 0, 0)
    every = np.array([1, 2, 5])
    ready = standardised(examples)
    lanes = Lanes.start(ready, objective, np.full(3, 0.2), rule_number(rule), 0.9, every)
    # Batches of 20: steps of 20, 40 and 100 examples, and at the end a step of what is left.
    lanes.epoch(ready, objective, rows, 20, np.ones(13), 0)
    for lane, size in enumerate(every * 20):
        truth = descend(examples, objective, rows, int(size), np.full(13, 0.2), rule_number(rule))
        np.testing.assert_allclose(lanes_of(lanes, lane), truth.weights, atol=1e-11)
        assert lanes.updates[lane] == truth.updates


def test_a_lane_alone_is_the_lane_among_others() -> None:
    examples = table(rows=200, classes=2, levels=(3,))
    objective = Objective(Log(), 0.0, 0.1, True)
    rows = order(200, 0, 0)
    together, _, _ = epoch(examples, objective, rows, 16)
    for lane, rate in enumerate(RATES):
        alone, _, _ = epoch(examples, objective, rows, 16, rates=np.array([rate]))
        np.testing.assert_allclose(lanes_of(alone, 0), lanes_of(together, lane), atol=1e-14)


def test_iterates_are_averaged_from_the_call_that_asks_for_it() -> None:
    examples = table(classes=2)
    objective = Objective(Log(), 0.0, 0.1, True)
    rows = order(137, 0, 0)
    lanes = Lanes.start(examples, objective, RATES, 0, 0.9)
    lanes.averaged = 0
    lanes.epoch(examples, objective, rows, 16, np.ones(9), 0)
    assert lanes.averaged == 9
    for lane, rate in enumerate(RATES):
        truth = descend(examples, objective, rows, 16, np.full(9, rate), 0)
        point = lanes.point(lane, average=True)
        np.testing.assert_allclose(np.vstack([point.weights, point.intercept]), truth.average, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
def test_a_lane_that_blows_up_ends_alone_and_keeps_its_last_good_weights(rule: str, dtype: Any) -> None:
    examples = table(rows=300, dtype=dtype)
    objective = Objective(Squared(), 0.0, 0.1, True)
    rows = order(300, 0, 0)
    rates = np.array([0.01, 1e4, 0.02])
    lanes, _, share = epoch(examples, objective, rows, 10, rule, rates, limit=1e6)
    assert lanes.alive.tolist() == [True, False, True]
    assert np.isfinite(lanes.weights).all()
    for lane in (0, 2):
        truth = descend(examples, objective, rows, 10, rates[lane] * share, rule_number(rule))
        np.testing.assert_allclose(lanes_of(lanes, lane), truth.weights, atol=3 * near(dtype))
    truth = descend(examples, objective, rows, 10, rates[1] * share, rule_number(rule), limit=1e6)
    assert truth.updates < share.size
    np.testing.assert_allclose(lanes_of(lanes, 1), truth.weights, rtol=1e-3)


def test_once_all_lanes_blew_up_nothing_more_is_read() -> None:
    examples = table(rows=300)
    objective = Objective(Squared(), 0.0, 0.0, True)
    lanes, losses, _ = epoch(examples, objective, order(300, 0, 0), 10, rates=np.array([1e5, 1e6]), limit=1e6)
    assert not lanes.alive.any()
    assert (lanes.updates < 30).all()
    assert np.isfinite(losses).all()


def test_objectives_of_lanes_are_theirs_and_infinite_for_one_that_blew_up() -> None:
    examples = table(rows=300, levels=(3,))
    objective = Objective(Squared(), 0.01, 0.1, True)
    lanes, _, _ = epoch(examples, objective, order(300, 0, 0), 10, rates=np.array([0.01, 1e4]), limit=1e6)
    found = lanes.objectives(examples, objective)
    assert found[0] == pytest.approx(objective_at(examples, objective, lanes_of(lanes, 0)), rel=1e-12)
    assert found[1] == np.inf


def test_kept_lanes_go_on_as_if_nothing_had_happened() -> None:
    examples = table(classes=4)
    objective = Objective(Softmax(), 0.0, 0.1, True, 4)
    rows = order(137, 0, 0)
    lanes, _, _ = epoch(examples, objective, rows, 16, "adam")
    kept = lanes.keep(np.array([2, 0]))
    assert kept.rates.tolist() == [RATES[2], RATES[0]]
    share = np.ones(9)
    lanes.epoch(examples, objective, rows, 16, share, 1)
    kept.epoch(examples, objective, rows, 16, share, 1)
    np.testing.assert_allclose(lanes_of(kept, 0), lanes_of(lanes, 2), atol=1e-12)
    np.testing.assert_allclose(lanes_of(kept, 1), lanes_of(lanes, 0), atol=1e-12)


def test_lanes_begin_at_a_given_point() -> None:
    examples = table(classes=4)
    objective = Objective(Softmax(), 0.0, 0.1, True, 4)
    start = Point(np.arange(20.0).reshape(5, 4), np.arange(4.0))
    lanes = Lanes.start(examples, objective, RATES, 0, 0.9, None, np.inf, start)
    for lane in range(3):
        np.testing.assert_array_equal(lanes.point(lane).weights, start.weights)
        np.testing.assert_array_equal(lanes.point(lane).intercept, start.intercept)


@settings(max_examples=25)
@given(rows=st.integers(1, 150), batch=st.integers(1, 160), count=st.integers(1, 5), seed=st.integers(0, 20))
def test_any_number_of_lanes_rows_and_batches(rows: int, batch: int, count: int, seed: int) -> None:
    examples = table(rows=rows, levels=(3,), classes=2, seed=seed)
    objective = Objective(Log(), 0.01, 0.1, True)
    rates = 0.2 / 2.0 ** np.arange(count)
    drawn = order(rows, seed, 0)
    lanes, _, share = epoch(examples, objective, drawn, batch, rates=rates)
    for lane, rate in enumerate(rates):
        truth = descend(examples, objective, drawn, batch, rate * share, 0)
        np.testing.assert_allclose(lanes_of(lanes, lane), truth.weights, atol=1e-11)


def test_standardising_in_one_block_leaves_ready_examples_alone() -> None:
    ready = table()
    assert standardised(ready) is ready
    stored = table(applied=False, blocks=3, levels=(2,))
    made = standardised(stored)
    assert made.applied
    assert len(made.blocks) == 1
    expected = np.concatenate([each.numbers for each in stored])
    np.testing.assert_allclose(made.blocks[0].numbers, (expected - stored.center) / stored.scale, atol=1e-12)
    np.testing.assert_array_equal(stored.blocks[0].numbers, expected[: stored.blocks[0].rows])


def test_relative_weights_have_mean_one() -> None:
    assert relative_weights(table()).size == 0
    assert relative_weights(table(weighted=True)).mean() == pytest.approx(1.0)
