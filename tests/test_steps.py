from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from downslope.records.spec import RULES, SCHEDULES
from downslope.steps import RuleState, rule_number, schedule, soft_threshold, step

SHAPE = (4, 3)
RATE, MOMENTUM = 0.05, 0.9


def bowl(weights: np.ndarray) -> np.ndarray:
    """Return the gradient of a narrow, tilted valley, so that no rule sees equal coordinates."""
    scale = np.geomspace(0.01, 10.0, weights.size).reshape(weights.shape)
    return scale * weights + 0.1 * np.sin(7 * weights[::-1])


def run(rule: str, updates: int) -> np.ndarray:
    weights = np.linspace(-2, 3, 12).reshape(SHAPE)
    state = RuleState.zeros(SHAPE)
    for _ in range(updates):
        change, _, state = step(rule_number(rule), bowl(weights), state, RATE, MOMENTUM)
        weights = weights - change
    return weights


def optax_rules() -> dict[str, Any]:
    import optax

    return {
        "plain": optax.sgd(RATE),
        "momentum": optax.sgd(RATE, momentum=MOMENTUM),
        "nesterov": optax.sgd(RATE, momentum=MOMENTUM, nesterov=True),
        "adagrad": optax.adagrad(RATE, initial_accumulator_value=0.0, eps=1e-16),
        "rmsprop": optax.rmsprop(RATE, decay=0.9, eps=1e-8, eps_in_sqrt=False),
        "adam": optax.adam(RATE),
    }


@pytest.mark.parametrize("rule", RULES)
def test_hundred_steps_are_those_of_optax(rule: str) -> None:
    import jax.numpy as jnp
    import optax

    method = optax_rules()[rule]
    weights = jnp.asarray(np.linspace(-2, 3, 12).reshape(SHAPE))
    state = method.init(weights)
    for _ in range(100):
        change, state = method.update(jnp.asarray(bowl(np.asarray(weights))), state, weights)
        weights = optax.apply_updates(weights, change)
    # Optax adds adagrad's epsilon inside the root, which is off by up to 1e-8 of a step.
    np.testing.assert_allclose(run(rule, 100), np.asarray(weights), atol=1e-6 if rule == "adagrad" else 1e-11)


def torch_sgd(momentum: float, nesterov: bool) -> Callable[[np.ndarray, dict[str, Any]], np.ndarray]:
    """``torch.optim.SGD``: b = g at the first step, then b = momentum b + g; nesterov steps along g + momentum b."""

    def move(g: np.ndarray, memory: dict[str, Any]) -> np.ndarray:
        if momentum == 0:
            return RATE * g
        memory["b"] = g if "b" not in memory else momentum * memory["b"] + g
        return RATE * (g + momentum * memory["b"] if nesterov else memory["b"])

    return move


def torch_adagrad(g: np.ndarray, memory: dict[str, Any]) -> np.ndarray:
    """``torch.optim.Adagrad`` with lr_decay 0 and eps 1e-8."""
    memory["sum"] = memory.get("sum", 0.0) + g * g
    return RATE * g / (np.sqrt(memory["sum"]) + 1e-8)


def torch_rmsprop(g: np.ndarray, memory: dict[str, Any]) -> np.ndarray:
    """``torch.optim.RMSprop`` with alpha 0.9, not centred, without momentum."""
    memory["v"] = 0.9 * memory.get("v", 0.0) + 0.1 * g * g
    return RATE * g / (np.sqrt(memory["v"]) + 1e-8)


def torch_adam(g: np.ndarray, memory: dict[str, Any]) -> np.ndarray:
    """``torch.optim.Adam``: step size lr / (1 - b1^t), denominator sqrt(v) / sqrt(1 - b2^t) + eps."""
    t = memory["t"] = memory.get("t", 0) + 1
    memory["m"] = memory.get("m", 0.0) + (g - memory.get("m", 0.0)) * (1 - 0.9)
    memory["v"] = 0.999 * memory.get("v", 0.0) + 0.001 * g * g
    denominator = np.sqrt(memory["v"]) / math.sqrt(1 - 0.999**t) + 1e-8
    return RATE / (1 - 0.9**t) * memory["m"] / denominator


TORCH = {
    "plain": torch_sgd(0.0, False),
    "momentum": torch_sgd(MOMENTUM, False),
    "nesterov": torch_sgd(MOMENTUM, True),
    "adagrad": torch_adagrad,
    "rmsprop": torch_rmsprop,
    "adam": torch_adam,
}


@pytest.mark.parametrize("rule", RULES)
def test_hundred_steps_are_those_that_torch_publishes(rule: str) -> None:
    weights: np.ndarray = np.linspace(-2, 3, 12).reshape(SHAPE)
    memory: dict[str, Any] = {}
    for _ in range(100):
        weights = weights - TORCH[rule](bowl(weights), memory)
    np.testing.assert_allclose(run(rule, 100), weights, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_gain_times_direction_is_the_step(rule: str) -> None:
    state = RuleState.zeros(SHAPE)
    gradient = bowl(np.linspace(-2, 3, 12).reshape(SHAPE))
    change, gain, after = step(rule_number(rule), gradient, state, RATE, MOMENTUM)
    assert gain.shape == SHAPE
    direction = change / gain
    # Of the first step every rule goes along the gradient; nesterov looks ahead by the momentum.
    expected = gradient * (1 + MOMENTUM) if rule == "nesterov" else gradient
    np.testing.assert_allclose(direction, expected, rtol=1e-9)
    assert after.updates == 1
    assert not state.first.any()
    assert not state.second.any()


def test_a_rate_for_each_column_is_a_run_for_each_column() -> None:
    rates = np.array([0.1, 0.01, 0.001])
    gradient = np.random.default_rng(0).standard_normal(SHAPE)
    for rule in RULES:
        together, _, _ = step(rule_number(rule), gradient, RuleState.zeros(SHAPE), rates, MOMENTUM)
        for k, rate in enumerate(rates):
            alone, _, _ = step(
                rule_number(rule), gradient[:, k : k + 1], RuleState.zeros((4, 1)), float(rate), MOMENTUM
            )
            np.testing.assert_array_equal(together[:, k : k + 1], alone)


@given(
    weights=arrays(np.float64, st.integers(1, 8), elements=st.floats(-10, 10)),
    amount=st.floats(0, 5),
)
def test_soft_threshold_minimises_half_the_squared_distance_plus_the_penalty(
    weights: np.ndarray, amount: float
) -> None:
    shrunk = soft_threshold(weights, amount)

    def cost(at: np.ndarray) -> np.ndarray:
        return 0.5 * (at - weights) ** 2 + amount * np.abs(at)

    for other in (weights, np.zeros_like(weights), shrunk + 1e-3, shrunk - 1e-3):
        assert (cost(shrunk) <= cost(other) + 1e-12).all()
    assert (np.abs(shrunk) <= np.abs(weights)).all()
    assert (shrunk * weights >= 0).all()


TOTAL = 200


@pytest.mark.parametrize(
    ("name", "last"), [("constant", 1.0), ("inverse", 0.01), ("step", 0.0625), ("exponential", 0.01), ("cosine", 0.0)]
)
def test_schedules_begin_at_one_and_end_where_they_say(name: str, last: float) -> None:
    ends = schedule(name, np.array([0.0, float(TOTAL)]), TOTAL, 0.0)
    np.testing.assert_allclose(ends, [1.0, last], atol=1e-12)


def test_schedules_at_the_middle_of_a_run() -> None:
    middle = np.array([TOTAL / 2])
    expected = {"constant": 1.0, "inverse": 1 / 50.5, "step": 0.25, "exponential": 0.1, "cosine": 0.5}
    for name in SCHEDULES:
        assert schedule(name, middle, TOTAL, 0.0)[0] == pytest.approx(expected[name], rel=1e-12), name


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_schedules_rise_over_the_warmup_and_never_after(name: str, warmup: float) -> None:
    share = schedule(name, np.arange(TOTAL, dtype=np.float64), TOTAL, warmup)
    rising = int(warmup * TOTAL)
    assert ((share >= 0) & (share <= 1)).all()
    assert (np.diff(share[rising:]) <= 1e-15).all()
    if rising:
        np.testing.assert_allclose(share[:rising], np.arange(1, rising + 1) / rising)
        unwarmed = schedule(name, np.arange(TOTAL - rising, dtype=np.float64), TOTAL - rising, 0.0)
        np.testing.assert_allclose(share[rising:], unwarmed, atol=1e-12)


@given(name=st.sampled_from(SCHEDULES), total=st.integers(1, 50), warmup=st.floats(0, 0.99))
def test_every_update_of_any_run_has_a_share_between_zero_and_one(name: str, total: int, warmup: float) -> None:
    share = schedule(name, np.arange(total, dtype=np.float64), total, warmup)
    assert share.shape == (total,)
    assert ((share >= 0) & (share <= 1)).all()
    assert share[0] > 0
