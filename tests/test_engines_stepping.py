from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.data.batches import order
from downslope.data.blocks import Examples
from downslope.engines.arguments import LossShape, Rule, State
from downslope.engines.racing import penalty_of, rows_of, standardised
from downslope.engines.stepping import run_single_steps, run_steps
from downslope.losses import Absolute, Hinge, Huber, Log, Loss, Poisson, Quantile, Squared, SquaredHinge
from downslope.models.linear import Objective
from downslope.records.spec import RULES
from downslope.steps import PLAIN, rule_number
from tests.plain_descent import descend, fit_target, table

SCALAR: list[Loss] = [
    Squared(), Absolute(), Absolute(smoothing=0.3), Huber(delta=0.8), Quantile(quantile=0.7), Poisson(), Log(),
    Hinge(), Hinge(smoothing=0.4), SquaredHinge(),
]  # fmt: skip
NEAR = {np.float32: 3e-5, np.float64: 1e-12}


def run(
    examples: Examples, objective: Objective, rows: np.ndarray, batch: int, rates: np.ndarray, rule: int = PLAIN, *,
    averaged: int = -1, updates: int = 0, limit: float = np.inf, state: State | None = None,
) -> tuple[tuple[int, float, int], State]:  # fmt: skip
    examples = standardised(examples)
    zeros = np.zeros(examples.features + 1, examples.dtype)
    at = state or State(zeros, zeros.copy(), zeros.copy(), np.zeros(zeros.size))
    done = run_steps(
        rows_of(examples, rows), 0, rows.size, batch, LossShape.of(objective.loss), penalty_of(objective),
        Rule(rule, 0.9), rates, at, averaged, updates, limit,
    )  # fmt: skip
    return done, at


def falling(count: int, rate: float = 0.05) -> np.ndarray:
    return rate / (1 + 0.1 * np.arange(count))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", SCALAR, ids=lambda each: f"{each.name}{each.width or ''}")
@pytest.mark.parametrize("batch", [1, 10, 137, 500])
def test_an_epoch_is_that_of_plain_numpy(loss: Loss, batch: int, dtype: Any) -> None:
    # 137 rows in batches of 10 leave a last batch of 7, which is averaged over its own size.
    examples = fit_target(table(classes=2 if loss.classifies else 0, levels=(3, 4), weighted=True, dtype=dtype), loss)
    objective = Objective(loss, 0.0, 0.1, True)
    rows = order(examples.rows, 5, 0)
    rates = falling(-(-examples.rows // batch))
    (done, met, _), at = run(examples, objective, rows, batch, rates)
    truth = descend(examples, objective, rows, batch, rates, PLAIN)
    assert done == truth.updates == rates.size
    assert met == pytest.approx(truth.loss, rel=NEAR[dtype] * 10)
    np.testing.assert_allclose(at.weights, truth.weights[:, 0], atol=NEAR[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("penalty", [(0.0, 0.0), (0.0, 0.3), (0.05, 0.0), (0.05, 0.2)], ids=str)
@pytest.mark.parametrize("intercept", [True, False])
def test_every_rule_and_penalty_is_that_of_plain_numpy(
    rule: str, penalty: tuple[float, float], intercept: bool, dtype: Any
) -> None:
    examples = table(classes=2, levels=(3,), dtype=dtype)
    objective = Objective(Log(), *penalty, intercept)
    rows = order(examples.rows, 1, 0)
    rates = falling(-(-examples.rows // 16), 0.1)
    (done, met, averaged), at = run(examples, objective, rows, 16, rates, rule_number(rule), averaged=0)
    truth = descend(examples, objective, rows, 16, rates, rule_number(rule))
    assert (done, averaged) == (rates.size, rates.size)
    assert met == pytest.approx(truth.loss, rel=1e-5 if dtype == np.float32 else 1e-12)
    near = 1e-4 if dtype == np.float32 else 1e-11
    np.testing.assert_allclose(at.weights, truth.weights[:, 0], atol=near)
    np.testing.assert_allclose(at.average, truth.average[:, 0], atol=near)
    if not intercept:
        assert at.weights[-1] == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", SCALAR, ids=lambda each: f"{each.name}{each.width or ''}")
@pytest.mark.parametrize("intercept", [True, False])
def test_single_steps_are_those_of_plain_numpy(loss: Loss, intercept: bool, dtype: Any) -> None:
    examples = fit_target(table(classes=2 if loss.classifies else 0, levels=(3, 4), weighted=True, dtype=dtype), loss)
    objective = Objective(loss, 0.0, 0.2, intercept)
    rows = order(examples.rows, 2, 0)
    rates = falling(rows.size, 0.02)
    weights = np.zeros(examples.features + 1, dtype)
    done, met = run_single_steps(
        rows_of(examples, rows), 0, rows.size, LossShape.of(loss), penalty_of(objective), rates, weights, np.inf
    )
    truth = descend(examples, objective, rows, 1, rates, PLAIN)
    assert done == rows.size
    assert met == pytest.approx(truth.loss, rel=NEAR[dtype] * 10)
    np.testing.assert_allclose(weights, truth.weights[:, 0], atol=NEAR[dtype])


@pytest.mark.parametrize("batch", [1, 4])
def test_a_shrinkage_too_small_for_float32_still_adds_up(batch: int) -> None:
    # rate x l2 = 1e-8 is below the rounding of 1 in float32; 20,000 such steps take 0.02 % off each weight.
    examples = table(rows=2000, numbers=2, dtype=np.float32).retarget(np.zeros(2000))
    objective = Objective(Hinge(), 0.0, 1e-6, False)
    rows = np.tile(np.arange(2000, dtype=np.int32), 10 * batch)
    zeros = np.zeros(3, np.float32)
    weights = np.array([1e6, -1e6, 0.0], np.float32)
    # Scores below -1 have neither loss nor slope, so that nothing but the penalty moves the weights.
    flat = examples.retarget((examples.blocks[0].numbers @ weights[:2] > 0).astype(np.float64))
    rates = np.full(20_000, 1e-2)
    if batch == 1:
        run_single_steps(
            rows_of(flat, rows), 0, rows.size, LossShape.of(objective.loss), penalty_of(objective), rates, weights,
            np.inf,
        )  # fmt: skip
    else:
        run(flat, objective, rows, batch, rates, state=State(weights, zeros, zeros.copy(), np.zeros(3)))
    np.testing.assert_allclose(weights[:2], [1e6 * (1 - 1e-8) ** 20_000, -1e6 * (1 - 1e-8) ** 20_000], rtol=2e-6)


def test_rows_read_in_original_units_step_as_model_features_do() -> None:
    stored = table(applied=False, classes=2, levels=(3,))
    objective = Objective(Log(), 0.0, 0.1, True)
    rows = order(stored.rows, 0, 0)
    rates = falling(14)
    _, at = run(stored, objective, rows, 10, rates)
    np.testing.assert_allclose(at.weights, descend(stored, objective, rows, 10, rates, PLAIN).weights[:, 0], atol=1e-12)


def test_blocks_do_not_change_an_epoch() -> None:
    objective = Objective(Log(), 0.0, 0.1, True)
    whole, cut = table(classes=2, levels=(3,)), table(classes=2, levels=(3,), blocks=4)
    rows = order(137, 3, 0)
    first, again = run(whole, objective, rows, 16, falling(9))[1], run(cut, objective, rows, 16, falling(9))[1]
    np.testing.assert_array_equal(first.weights, again.weights)


def test_an_epoch_in_pieces_is_the_epoch() -> None:
    examples = table(classes=2, levels=(3,))
    objective = Objective(Log(), 0.02, 0.1, True)
    rows, rates = order(137, 3, 0), falling(9)
    whole = run(examples, objective, rows, 16, rates, rule_number("adam"), averaged=0)[1]
    zeros = np.zeros(whole.weights.size)
    state = State(zeros, zeros.copy(), zeros.copy(), zeros.copy())
    updates = averaged = 0
    for begin, end in ((0, 48), (48, 112), (112, 137)):
        part = -(-(end - begin) // 16)
        done, _, averaged = run_steps(
            rows_of(examples, rows), begin, end, 16, LossShape.of(objective.loss), penalty_of(objective),
            Rule(rule_number("adam"), 0.9), rates[updates : updates + part], state, averaged, updates, np.inf,
        )  # fmt: skip
        updates += done
    np.testing.assert_array_equal(state.weights, whole.weights)
    np.testing.assert_array_equal(state.average, whole.average)


@pytest.mark.parametrize("bad", [np.inf, np.nan, 1e300])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [1, 8])
def test_a_batch_that_blew_up_ends_the_run_before_its_step(bad: float, dtype: Any, batch: int) -> None:
    examples = table(rows=64, classes=0, dtype=dtype)
    target = examples.target.copy()
    target[40] = bad
    examples = examples.retarget(target)
    objective = Objective(Squared(), 0.0, 0.1, True)
    rows = np.arange(64, dtype=np.int32)
    rates = np.full(64 // batch, 0.01)
    good = 40 // batch
    truth = descend(examples, objective, rows[: good * batch], batch, rates, PLAIN)
    weights = np.zeros(examples.features + 1, dtype)
    if batch == 1:
        done, _ = run_single_steps(
            rows_of(examples, rows), 0, 64, LossShape.of(objective.loss), penalty_of(objective), rates, weights, 1e6
        )
    else:
        (done, _, _), at = run(examples, objective, rows, batch, rates, limit=1e6)
        weights = at.weights
    assert done == good
    np.testing.assert_allclose(weights, truth.weights[:, 0], atol=1e-5 if dtype == np.float32 else 1e-12)


@settings(max_examples=30)
@given(rows=st.integers(1, 60), batch=st.integers(1, 70), numbers=st.integers(0, 4), seed=st.integers(0, 50))
def test_any_number_of_rows_in_batches_of_any_size(rows: int, batch: int, numbers: int, seed: int) -> None:
    examples = table(rows=rows, numbers=numbers, levels=(3,), classes=2, seed=seed)
    objective = Objective(Log(), 0.01, 0.1, True)
    drawn = order(rows, seed, 0)
    rates = falling(-(-rows // batch))
    _, at = run(examples, objective, drawn, batch, rates)
    np.testing.assert_allclose(
        at.weights, descend(examples, objective, drawn, batch, rates, PLAIN).weights[:, 0], atol=1e-12
    )


def test_the_same_order_gives_the_same_bits() -> None:
    examples = table(rows=500, classes=2, levels=(4,), dtype=np.float32)
    objective = Objective(Log(), 0.0, 0.1, True)
    rows = order(500, 7, 0)
    runs = [run(examples, objective, rows, 32, falling(16), rule_number("adam"))[1].weights for _ in range(2)]
    np.testing.assert_array_equal(runs[0], runs[1])
