"""A network in training: what is chosen and measured on the way, and what is kept and said where it goes wrong."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from downslope.engines.network.anatomy import not_finite
from downslope.engines.network.inputs import batch_loss
from downslope.engines.network.loop import Chunk, Program, first_state
from downslope.engines.network.rules import given_rule, limit_factor, rule_of, second_moments
from downslope.models.network import parse_model
from downslope.records import Spec, Verdict
from downslope.records.shape import StopKind
from downslope.training.network.given import NetworkInputs
from downslope.training.network.measuring import Measuring, lost_in_noise
from downslope.training.network.racing import Race, first_bad, lasting_lane
from downslope.training.network.train import NetworkTraining, train_network
from tests.small_networks import Small, small

ROWS = 600


def inputs(rows: int, seed: int, share: float = 0.9) -> NetworkInputs:
    """Return rows of two classes parted by a circle, a tenth of them mislabelled."""
    rng = np.random.default_rng(seed)
    numbers = rng.standard_normal((rows, 2)).astype(np.float32)
    inside = (numbers**2).sum(axis=1) < 1.4
    target = np.where(rng.random(rows) < share, inside, ~inside).astype(np.float64)
    return NetworkInputs(numbers, None, target, None, (2,))


def trained(model: str = "mlp:8", held: bool = True, start: str = "he", **settings: Any) -> NetworkTraining:
    architecture = parse_model(model, "relu", "none", 0.0, start)
    aside = inputs(200, 1) if held else None
    return train_network(architecture, inputs(ROWS, 0), aside, Spec(model=model, **settings), "log", 1)


@pytest.fixture(scope="module")
def usual() -> NetworkTraining:
    return trained(epochs=10, measure_every=4.0)


def test_the_batch_size_comes_with_its_evidence(usual: NetworkTraining) -> None:
    choice = next(each for each in usual.choices if each.name == "batch_size")
    assert usual.resolved["batch_size"] == choice.value
    assert "noise scale after 100 trial updates" in choice.reason
    times = {row["batch_size"]: row["relative_time"] for row in choice.candidates}
    assert times[choice.value] <= 1.25 * min(times.values())
    again = trained(epochs=10, measure_every=4.0)
    assert again.resolved == usual.resolved
    np.testing.assert_array_equal(again.arrays["last.weight"], usual.arrays["last.weight"])


def test_the_rate_stands_beside_the_limit_measured_where_the_race_ended(usual: NetworkTraining) -> None:
    choice = next(each for each in usual.choices if each.name == "learning_rate")
    first = usual.looks[0]
    assert first.update == choice.candidates[0]["updates"]
    assert first.limit == pytest.approx(38.0 / first.limit_curvature)
    assert f"{choice.value / first.limit:.1g}"[:3] in choice.reason or "stability limit" in choice.reason
    assert first.shape.stability_limit == pytest.approx(2.0 / first.shape.largest)


def test_looks_come_at_the_interval_asked_for_and_at_the_end(usual: NetworkTraining) -> None:
    an_epoch = math.ceil(ROWS / usual.resolved["batch_size"])
    race = usual.looks[0].update
    assert [look.update for look in usual.looks] == [race, 4 * an_epoch, 8 * an_epoch, usual.updates]
    assert all(look.noise.layers[0].name == "hidden.0.layer" for look in usual.looks)
    assert usual.looks[-1].learning_rate < usual.looks[1].learning_rate


def test_the_point_reached_is_named(usual: NetworkTraining) -> None:
    assert usual.stop_point is not None
    assert usual.stop_point.kind in set(StopKind)
    assert usual.stop_point.loss == pytest.approx(usual.objective, rel=0.2)


def test_a_start_at_zeros_shows_in_the_rank() -> None:
    same = trained(start="zeros", learning_rate=0.1, rule="plain", epochs=2)
    assert [layer.rank for layer in same.looks[-1].noise.layers if layer.units > 1] == [0]
    units = same.arrays["hidden.0.layer.weight"]
    np.testing.assert_array_equal(units, np.repeat(units[:, :1], units.shape[1], axis=1))


def test_without_held_out_rows_the_noise_of_the_gradient_ends_a_run_at_a_constant_rate() -> None:
    run = trained("mlp:3", held=False, schedule="constant", rule="plain", learning_rate=0.05, epochs=400, batch_size=32)
    assert run.verdict is Verdict.CONVERGED
    assert "noise of single rows" in run.message
    assert run.passes < 400


def test_lost_in_noise_compares_with_what_chance_gives() -> None:
    assert lost_in_noise(spread=10.0, signal=0.09, rows=100)
    assert not lost_in_noise(spread=10.0, signal=0.11, rows=100)


def test_a_run_that_diverges_keeps_the_last_weights_that_were_good() -> None:
    run = trained(held=False, learning_rate=1e4, rule="plain", epochs=5, batch_size=50)
    assert run.verdict is Verdict.DIVERGED
    assert all(np.isfinite(array).all() for array in run.arrays.values())
    assert run.objective <= run.objective_at_start * 1.5
    assert run.stop_point is None


def test_the_layer_and_the_update_of_a_nan_are_named() -> None:
    data = inputs(ROWS, 0)
    numbers = data.numbers.copy()
    numbers[37] = 3e38
    run = train_network(
        parse_model("mlp:8"), replace(data, numbers=numbers), None,
        Spec(model="mlp:8", learning_rate=0.01, batch_size=50, epochs=3), "log", 1,
    )  # fmt: skip
    assert run.verdict is Verdict.DIVERGED
    assert "diverged at update" in run.message
    assert "layer" in run.message
    assert all(np.isfinite(array).all() for array in run.arrays.values())


def test_without_held_out_rows_a_run_that_diverges_falls_back_one_step() -> None:
    settings: dict[str, Any] = {"held": False, "rule": "plain", "batch_size": 50, "schedule": "constant", "l2": 1.0}
    run = trained(learning_rate=2.3, epochs=5, **settings)
    assert run.verdict is Verdict.DIVERGED
    assert run.updates > 2
    before = trained(learning_rate=2.3, epochs=(run.updates - 1) / 12, **settings)
    assert before.updates == run.updates - 1
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(run.arrays[name], array)


@pytest.mark.parametrize(
    ("layer", "words"), [(0, "layer hidden.0 gave numbers"), (1, "layer hidden.1 gave"), (2, "layer last gave scores")]
)
def test_the_first_layer_without_numbers_is_found(layer: int, words: str) -> None:
    case = small(activation="relu", double=False)
    leaves, shape = jax.tree.flatten(case.weights)
    leaves[2 * layer] = leaves[2 * layer].at[0, 0].set(jnp.inf)
    state = first_state(jax.tree.unflatten(shape, leaves), rule_of("plain", 0.0, None), case.statistics, 0)
    found = not_finite(case.rest, case.loss, 0.0, state, case.data, np.arange(9))
    assert found is not None
    assert words in found


def test_where_all_is_finite_no_layer_is_blamed() -> None:
    case = small(double=False)
    state = first_state(case.weights, rule_of("plain", 0.0, None), case.statistics, 0)
    assert not_finite(case.rest, case.loss, 0.0, state, case.data, np.arange(9)) is None


def test_the_last_good_weights_are_those_before_the_step_that_went_too_far() -> None:
    case = small(double=False)
    jumps = optax.chain(optax.scale_by_schedule(lambda count: jnp.where(count == 3, -1e30, -0.01)))
    program = Program(batch_loss(case.rest, case.loss, 0.0), given_rule(jumps), 10, 8, 1e6)
    alone = first_state(case.weights, given_rule(jumps), case.statistics, 0)
    three, _ = program.advance(alone, case.data, np.arange(30, dtype=np.int32), np.zeros(3))
    wanted = [np.array(leaf) for leaf in jax.tree.leaves(three.weights)]
    state, chunk = program.advance(
        first_state(case.weights, given_rule(jumps), case.statistics, 0), case.data, np.arange(80, dtype=np.int32),
        np.zeros(8),
    )  # fmt: skip
    assert not bool(state.alive)
    assert first_bad(chunk, 1e6) == 4
    for leaf, good in zip(jax.tree.leaves(state.last_good), wanted, strict=True):
        np.testing.assert_array_equal(leaf, good)


def test_lanes_one_by_one_are_lanes_side_by_side() -> None:
    from downslope.engines.network.loop import as_lanes

    case, rule = small(double=False), rule_of("momentum", 0.9, None)
    loss, rows = batch_loss(case.rest, case.loss, 0.0), np.arange(60, dtype=np.int32)
    rates = np.outer([0.1, 0.01, 0.001], np.ones(6))
    ended: list[Any] = []
    for one_by_one in (False, True):
        program = Program(loss, rule, 10, 6, 1e6, lanes=True, one_by_one=one_by_one)
        state = as_lanes(first_state(case.weights, rule, case.statistics, 0), 3)
        ended.append(program.advance(state, case.data, rows, rates))
    (side, first), (single, second) = ended
    np.testing.assert_allclose(first.losses, second.losses, rtol=1e-5)
    for one, other in zip(jax.tree.leaves(side.weights), jax.tree.leaves(single.weights), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_a_race_sums_the_second_half_however_it_is_cut() -> None:
    losses = np.random.default_rng(0).random((3, 10)).astype(np.float32)
    losses[2, 7] = np.nan
    race = Race(10)
    whole = race.added([0.0] * 3, Chunk(losses, losses), 0)
    parts, done = [0.0] * 3, 0
    for count in (3, 4, 1, 2):
        parts = race.added(parts, Chunk(losses[:, done : done + count], losses), done)
        done += count
    assert parts == whole
    assert race.means(whole)[:2] == pytest.approx(losses[:2, 5:].mean(axis=1), rel=1e-6)
    assert math.isinf(whole[2])
    evidence = race.evidence([3.0, 2.0, 1.0], race.means(whole), 4.0)
    assert evidence[0]["objective"] == pytest.approx(4 * losses[0, 5:].mean(), rel=1e-6)
    assert evidence[2]["objective"] is None


def test_the_smallest_rate_that_does_nearly_as_well_goes_on() -> None:
    assert lasting_lane([1.0, 0.1, 0.01], np.array([0.50, 0.51, 0.9]), 1.0) == 1
    assert lasting_lane([1.0, 0.1, 0.01], np.array([np.inf, 1.2, 1.1]), 1.0) == 2


@pytest.fixture(scope="module")
def measured() -> Small:
    return small(rows=400, double=False)


@pytest.mark.parametrize("rule", ["plain", "nesterov", "adam", "rmsprop", "adagrad", "lion"])
def test_a_state_is_looked_about_in_the_coordinates_of_its_rule(measured: Small, rule: str) -> None:
    case, made = measured, rule_of(rule, 0.9, None)
    program = Program(batch_loss(case.rest, case.loss, 0.0), made, 20, 20, 1e6)
    state = first_state(case.weights, made, case.statistics, 0)
    state, _ = program.advance(state, case.data, np.arange(400, dtype=np.int32), np.full(20, 1e-3))
    measuring = Measuring(case.rest, case.loss, 0.0, case.weights, case.data, operations=1e3, passes=1, seed=0)
    look = measuring.look(state, (rule, 0.9), 1e-3, 20, 1.0)
    factor = limit_factor(rule, 0.9)
    assert math.isnan(look.limit) if math.isnan(factor) else look.limit == pytest.approx(factor / look.limit_curvature)
    assert (second_moments(rule, state.rule) is None) == (look.limit_curvature == look.shape.largest)
    assert look.noise.rows <= 400
