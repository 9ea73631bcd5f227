"""The compiled loop held to plain NumPy, finite differences, Optax and the published rules."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from downslope.data.batches import order
from downslope.engines.network.inputs import Data, Passes, batch_loss, on_device, parts_of
from downslope.engines.network.loop import Program, State, as_lanes, first_state, lane
from downslope.engines.network.losses import example_losses
from downslope.engines.network.rules import given_rule, rule_of, settled_weights
from downslope.losses import make_loss
from downslope.models.linear import Objective
from downslope.models.network import parse_model
from downslope.models.network.layers import Network, build_network
from downslope.records.spec import LOSSES, NETWORK_RULES, RULES
from downslope.steps import RuleState, rule_number, step

ROWS, FEATURES = 70, 5
SCALAR = [name for name in LOSSES if name != "softmax"]


def problem(loss: str = "softmax", model: str = "mlp:6,4", outputs: int = 3, **more: Any) -> tuple[Network, Data, Any]:
    rng = np.random.default_rng(5)
    numbers = rng.standard_normal((ROWS, FEATURES)).astype(np.float32)
    target = rng.integers(0, outputs, ROWS) if outputs > 1 else rng.standard_normal(ROWS)
    network = build_network(parse_model(model, **more), (FEATURES,), outputs, jax.random.PRNGKey(0))
    return network, on_device(numbers, None, target, None), make_loss(loss)


def run(
    network: Network, data: Data, loss: Any, rule: Any, rates: np.ndarray, batch: int = 16, epoch: int = 0, **more: Any
) -> tuple[State, Any]:
    weights, rest = parts_of(network)
    program = Program(batch_loss(rest, loss, 0.0), rule, batch, 8, 1e6, lanes=rates.ndim > 1, **more)
    state = first_state(weights, rule, network.statistics, 0)
    if rates.ndim > 1:
        state = as_lanes(state, rates.shape[0])
    return program.advance(state, data, order(ROWS, 0, epoch), rates)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_those_of_the_house(name: str) -> None:
    rng = np.random.default_rng(1)
    loss = make_loss(name)
    outputs = 4 if name == "softmax" else 1
    scores = 2 * rng.standard_normal((50, outputs)).astype(np.float32)
    target = rng.integers(0, outputs if outputs > 1 else 2, 50).astype(np.float64)
    mine = np.asarray(example_losses(loss, jnp.asarray(scores), jnp.asarray(target, jnp.float32)))
    truth = Objective(loss, 0, 0, True, outputs).losses(scores.astype(np.float64), target)
    if name == "poisson":
        truth = truth - make_loss("poisson").value(np.zeros(50), target) + 1.0
    np.testing.assert_allclose(mine, truth, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["hinge", "squared-hinge", "log"])
def test_one_against_the_rest_adds_up_over_outputs(name: str) -> None:
    rng = np.random.default_rng(2)
    scores, target = rng.standard_normal((30, 3)), rng.integers(0, 3, 30).astype(float)
    mine = example_losses(make_loss(name), jnp.asarray(scores, jnp.float32), jnp.asarray(target, jnp.float32))
    truth = Objective(make_loss(name), 0, 0, True, 3).losses(scores, target)
    np.testing.assert_allclose(np.asarray(mine), truth, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "silu", "softplus", "sigmoid"])
@pytest.mark.parametrize("normalisation", ["none", "layer", "batch"])
def test_gradients_are_finite_differences(activation: str, normalisation: str) -> None:
    with jax.enable_x64(True):
        network, data, loss = problem(activation=activation, normalisation=normalisation)
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, network)
        weights, rest = parts_of(wide)
        data = jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if leaf.dtype == jnp.float32 else leaf, data)
        of = batch_loss(rest, loss, 0.01)
        rows, counted, key = jnp.arange(20), jnp.ones(20), jax.random.PRNGKey(0)

        def value(tree: Any) -> Any:
            return of(tree, wide.statistics, data, rows, counted, key)[0]

        gradient = jax.grad(value)(weights)
        leaves, tree = jax.tree.flatten(weights)
        rng = np.random.default_rng(0)
        direction = [rng.standard_normal(leaf.shape) for leaf in leaves]
        along = sum(float(np.vdot(d, g)) for d, g in zip(direction, jax.tree.leaves(gradient), strict=True))
        ends = [
            float(value(jax.tree.unflatten(tree, [w + s * 1e-5 * d for w, d in zip(leaves, direction, strict=True)])))
            for s in (1, -1)
        ]
        assert along == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-8)


def test_an_epoch_is_the_same_steps_taken_one_by_one() -> None:
    network, data, loss = problem()
    rates = np.array([0.3, 0.2, 0.1, 0.05, 0.3])
    state, chunk = run(network, data, loss, rule_of("plain", 0.9, None), rates)
    weights, rest = parts_of(network)
    rows = order(ROWS, 0, 0)
    for index, first in enumerate(range(0, ROWS, 16)):
        some = rows[first : first + 16]

        def mean(tree: Any, some: Any = some) -> Any:
            scores = eqx.combine(tree, rest)(_batch(data, some))[0]
            return optax.softmax_cross_entropy_with_integer_labels(scores, data.target[some].astype(int)).mean()

        value, gradient = jax.value_and_grad(mean)(weights)
        assert chunk.losses[index] == pytest.approx(float(value), rel=1e-4)
        assert chunk.norms[index] == pytest.approx(float(optax.tree.norm(gradient)), rel=1e-4)
        weights = jax.tree.map(lambda w, g, rate=rates[index]: w - rate * g, weights, gradient)
    assert int(state.updates) == 5
    for mine, plain in zip(jax.tree.leaves(state.weights), jax.tree.leaves(weights), strict=True):
        np.testing.assert_allclose(np.asarray(mine), np.asarray(plain), atol=1e-5)


def _batch(data: Data, rows: Any) -> Any:
    from downslope.engines.network.inputs import batch_of

    return batch_of(data, rows)


def optax_rule(name: str, rate: float) -> Any:
    return {
        "adamw": optax.adamw(rate, weight_decay=1e-2, mask=lambda tree: jax.tree.map(lambda leaf: leaf.ndim > 1, tree)),
        "lion": optax.lion(rate, weight_decay=1e-3, mask=lambda tree: jax.tree.map(lambda leaf: leaf.ndim > 1, tree)),
        "prodigy": optax.contrib.prodigy(rate),
        "schedule-free": optax.contrib.schedule_free_adamw(rate),
    }[name]


def hundred_steps(transformation_at: Any, settle: Any) -> np.ndarray:
    """Return where a hundred steps on a narrow valley with a drifting centre end."""
    weights = {"w": jnp.asarray([[2.0, -1.5]]), "b": jnp.asarray([0.5])}
    state = transformation_at(0).init(weights)
    for k in range(100):
        gradient = {"w": weights["w"] * jnp.asarray([[8.0, 0.3]]) + jnp.sin(0.3 * k), "b": weights["b"] - 1.0}
        change, state = transformation_at(k).update(gradient, state, weights)
        weights = optax.apply_updates(weights, change)
    settled = settle(state, weights)
    return np.concatenate([np.ravel(settled["w"]), np.ravel(settled["b"])])


@pytest.mark.parametrize("name", NETWORK_RULES)
def test_hundred_steps_are_those_of_optax(name: str) -> None:
    rate = 0.02
    mine = rule_of(name, 0.9, None)
    plain = optax_rule(name, rate)

    def settle(state: Any, weights: Any) -> Any:
        return settled_weights(name, state, weights)

    np.testing.assert_allclose(
        hundred_steps(lambda k: mine(rate), settle), hundred_steps(lambda k: plain, settle), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("name", RULES)
def test_hundred_steps_are_those_of_the_linear_engine(name: str) -> None:
    def rate(k: int) -> float:
        return 0.05 / (1 + 0.1 * k)

    rule = rule_of(name, 0.8, None)
    mine = hundred_steps(lambda k: rule(rate(k)), lambda state, weights: weights)
    weights, state = np.array([2.0, -1.5, 0.5]), RuleState.zeros((3,))
    for k in range(100):
        gradient = np.append(weights[:2] * [8.0, 0.3] + np.sin(0.3 * k), weights[2] - 1.0)
        change, _, state = step(rule_number(name), gradient, state, rate(k), 0.8)
        weights = weights - change
    np.testing.assert_allclose(mine, weights, rtol=2e-5, atol=2e-5)


def test_a_transformation_of_the_callers_own() -> None:
    network, data, loss = problem()
    own, _ = run(network, data, loss, given_rule(optax.sgd(0.1)), np.full(5, 7.0))
    named, _ = run(network, data, loss, rule_of("plain", 0.9, None), np.full(5, 0.1))
    for left, right in zip(jax.tree.leaves(own.weights), jax.tree.leaves(named.weights), strict=True):
        np.testing.assert_allclose(np.asarray(left), np.asarray(right), atol=1e-6)


def test_lanes_are_the_trainings_by_themselves() -> None:
    network, data, loss = problem()
    rates = np.outer([0.5, 0.1, 0.01], np.ones(5))
    rule = rule_of("adam", 0.9, None)
    state, chunk = run(network, data, loss, rule, rates)
    for index in range(3):
        alone, own = run(network, data, loss, rule, rates[index])
        np.testing.assert_allclose(chunk.losses[index], own.losses, rtol=1e-4)
        for left, right in zip(
            jax.tree.leaves(lane(state, index).weights), jax.tree.leaves(alone.weights), strict=True
        ):
            np.testing.assert_allclose(np.asarray(left), np.asarray(right), atol=2e-4)


def test_a_loss_that_is_not_finite_stops_its_lane_before_the_step() -> None:
    network, data, loss = problem(loss="poisson", outputs=1, model="mlp:4")
    rates = np.outer([1e6, 0.01], np.ones(5))
    state, chunk = run(network, data, loss, rule_of("plain", 0.9, None), rates)
    assert np.asarray(state.alive).tolist() == [False, True]
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in jax.tree.leaves(state.weights))
    assert np.isnan(chunk.losses[0, -1])
    assert int(state.updates[0]) < int(state.updates[1]) == 5


def test_pieces_of_a_batch_add_up_to_it() -> None:
    network, data, loss = problem()
    rule = rule_of("plain", 0.9, None)
    whole, _ = run(network, data, loss, rule, np.full(5, 0.1))
    parts, _ = run(network, data, loss, rule, np.full(5, 0.1), pieces=4)
    for left, right in zip(jax.tree.leaves(whole.weights), jax.tree.leaves(parts.weights), strict=True):
        np.testing.assert_allclose(np.asarray(left), np.asarray(right), atol=1e-5)


def test_a_clipped_gradient_is_counted_and_no_longer_than_asked() -> None:
    network, data, loss = problem()
    state, chunk = run(network, data, loss, rule_of("plain", 0.9, None), np.full(5, 1.0), clip=1e-3)
    start, _ = parts_of(network)
    moved = optax.tree.norm(jax.tree.map(jnp.subtract, state.weights, start))
    assert int(state.clipped) == 5
    assert float(moved) <= 5e-3 * 1.001
    assert (chunk.norms > 1e-3).all()


def test_more_steps_than_there_is_room_for_are_refused() -> None:
    network, data, loss = problem()
    with pytest.raises(ValueError, match="at most 8"):
        run(network, data, loss, rule_of("plain", 0.9, None), np.full(70, 0.1), batch=1)


def test_full_passes_score_all_rows() -> None:
    network, data, _ = problem()
    weights, rest = parts_of(network)
    scores = Passes(rest).scores(weights, network.statistics, data)
    truth = network(_batch(data, jnp.arange(ROWS)))[0]
    np.testing.assert_allclose(scores, np.asarray(truth), atol=1e-5)


def test_example_weights_are_relative_to_their_mean() -> None:
    network, data, loss = problem()
    weights, rest = parts_of(network)
    heavy = data._replace(weights=jnp.full(ROWS, 1.0))
    of = batch_loss(rest, loss, 0.0)
    rows, key = jnp.arange(12), jax.random.PRNGKey(0)
    plain = of(weights, (), data, rows, jnp.ones(12), key)[0]
    assert float(of(weights, (), heavy, rows, jnp.ones(12), key)[0]) == pytest.approx(float(plain))
    half = jnp.asarray([1.0] * 6 + [0.0] * 6)
    first = of(weights, (), data, rows[:6], jnp.ones(6), key)[0]
    assert float(of(weights, (), data, rows, half, key)[0]) == pytest.approx(float(first), rel=1e-5)
