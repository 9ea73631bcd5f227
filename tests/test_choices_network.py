"""Shape and noise against brute force, the batch size against its own evidence, stop points on functions we know."""

from __future__ import annotations

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from downslope.choices.network.batch_size import CANDIDATES, choose_network_batch, network_step_cost
from downslope.choices.network.noise import gradient_noise
from downslope.choices.network.shape import limit_curvature, measure_shape
from downslope.choices.network.stop_point import stop_point
from downslope.choices.step_cost import StepCost
from downslope.engines.network.anatomy import dead_units, layers_of
from downslope.engines.network.inputs import batch_loss
from downslope.engines.network.landscape import Landscape, function_landscape
from downslope.engines.network.rules import rule_of
from downslope.errors import InputError
from downslope.records.files import record_to_json
from downslope.records.shape import Noise, StopKind
from tests.small_networks import Small, plain_loss, small


@pytest.fixture(scope="module")
def case() -> Small:
    return small(rows=600, weighted=True)


@pytest.fixture(scope="module")
def each(case: Small) -> Any:
    """Return the gradient (n, P) of every example by itself, penalty included."""
    land = case.landscape
    one = jax.grad(lambda flat, row: land._loss(land.tree(flat), land.data, row[None]))
    return np.asarray(jax.jit(jax.vmap(one, (None, 0)))(case.flat, jnp.arange(600)))


def noise_by_hand(each: Any) -> tuple[float, float]:
    spread = float(np.trace(np.cov(each.T)))
    return spread, float((each.mean(axis=0) ** 2).sum()) - spread / each.shape[0]


def test_shape_is_that_of_the_dense_hessian(case: Small) -> None:
    dense = np.asarray(jax.jit(jax.hessian(plain_loss(case)))(case.flat))
    values = np.linalg.eigvalsh(dense)
    shape = measure_shape(case.landscape, case.flat, probes=100)
    assert shape.largest == pytest.approx(values[-1], rel=1e-4)
    assert shape.smallest == pytest.approx(values[0], abs=1e-3 * values[-1])
    assert shape.stability_limit == pytest.approx(2 / values[-1], rel=1e-4)
    assert shape.trace == pytest.approx(values.sum(), rel=1e-5)
    assert (shape.rows, shape.all_rows, shape.weights) == (600, 600, dense.shape[0])
    assert (shape.trace_error, shape.sampling_error) == (0.0, 0.0)
    assert math.isnan(shape.condition) == bool(values[0] < 0)
    assert shape == measure_shape(case.landscape, case.flat, probes=100)


def test_steps_above_the_stability_limit_grow_and_below_it_shrink() -> None:
    bend = jnp.array([5.0, 1.0, 0.2])
    landscape = function_landscape(lambda w: 0.5 * jnp.sum(bend * w**2), jnp.zeros(3))
    shape = measure_shape(landscape, np.ones(3))
    assert (shape.condition, shape.stability_limit) == (pytest.approx(25.0), pytest.approx(0.4))
    for rate, grows in ((1.02 * shape.stability_limit, True), (0.98 * shape.stability_limit, False)):
        weights = np.ones(3)
        for _ in range(200):
            weights = weights - rate * landscape.gradient(weights)
        assert bool(np.abs(weights).max() > 1.0) == grows


def test_condition_says_when_there_is_none() -> None:
    valley = function_landscape(lambda w: w[0] ** 2, jnp.zeros(2))
    assert measure_shape(valley, np.ones(2)).condition == math.inf
    saddle = function_landscape(lambda w: w[0] ** 2 - w[1] ** 2, jnp.zeros(2))
    assert math.isnan(measure_shape(saddle, np.ones(2)).condition)
    hill = function_landscape(lambda w: -(w[0] ** 2), jnp.zeros(2))
    assert measure_shape(hill, np.ones(2)).stability_limit == math.inf


def test_what_is_not_a_number_is_said() -> None:
    cliff = function_landscape(lambda w: jnp.sum(jnp.sqrt(w)), jnp.zeros(2))
    with pytest.raises(InputError, match="not a number at these weights"):
        measure_shape(cliff, np.array([-1.0, 1.0]))


@pytest.mark.parametrize(("rows", "sample", "used"), [(20, 10, 20), (100, 10, 32), (100, 70, 64), (100, 100, 100)])
def test_samples_come_in_whole_pieces(rows: int, sample: int, used: int) -> None:
    shape = measure_shape(mean_of_numbers(rows, 0.0, 0), np.zeros(3), sample=sample)
    assert (shape.rows, shape.all_rows) == (used, rows)
    assert shape.largest == pytest.approx(1.0)


def test_a_sample_states_its_error() -> None:
    case = small(rows=4000, double=False)
    exact = measure_shape(case.landscape, case.flat, probes=1)
    off = []
    for seed in range(6):
        shape = measure_shape(case.landscape, case.flat, sample=1000, probes=1, seed=seed)
        assert (shape.rows, shape.all_rows) == (992, 4000)
        off.append((shape.largest - exact.largest) / shape.sampling_error)
    assert np.abs(off).max() < 4
    assert np.abs(off).max() > 0.1


def test_noise_is_that_of_all_single_gradients(case: Small, each: Any) -> None:
    spread, signal = noise_by_hand(each)
    noise = gradient_noise(case.landscape, case.flat, piece=1)
    assert noise.spread == pytest.approx(spread, rel=1e-5)
    assert noise.signal == pytest.approx(signal, rel=1e-5)
    assert noise.scale == pytest.approx(spread / signal, rel=1e-5)
    assert noise.low < noise.scale < noise.high
    assert (noise.rows, noise.all_rows, noise.piece) == (600, 600, 1)


def test_noise_from_pieces_says_how_batches_scatter(case: Small, each: Any) -> None:
    spread, signal = noise_by_hand(each)
    noise = gradient_noise(case.landscape, case.flat, piece=4)
    assert noise.spread == pytest.approx(spread, rel=0.25)
    assert noise.low <= spread / signal <= noise.high
    rng = np.random.default_rng(0)
    batches = np.array([each[rng.integers(0, 600, 20)].mean(axis=0) for _ in range(2000)])
    scatter = ((batches - each.mean(axis=0)) ** 2).sum(axis=1).mean()
    assert scatter == pytest.approx(noise.spread / 20, rel=0.25)


DISTANCE = Landscape(
    lambda w, x, some: 0.5 * jnp.mean(jnp.sum((w - x[some]) ** 2, axis=1)), jnp.zeros((1, 3)), 1, jnp.zeros(3)
)


def mean_of_numbers(rows: int, mean: float, seed: int) -> Landscape:
    """Return the mean of ``(w - x)^2 / 2`` over numbers x about ``mean`` with deviation 1: gradients ``w - x``."""
    data = jnp.asarray(np.random.default_rng(seed).standard_normal((rows, 3)) + mean)
    return DISTANCE.with_data(data, rows)


def test_the_interval_holds_the_true_noise_scale_about_as_often_as_it_says() -> None:
    inside = 0
    for seed in range(100):
        noise = gradient_noise(mean_of_numbers(512, 0.5, seed), np.zeros(3), seed=seed)
        inside += noise.low <= 3.0 / 0.75 <= noise.high
        assert noise.spread == pytest.approx(3.0, rel=0.5)
    assert 88 <= inside <= 100


def test_a_gradient_that_is_all_noise_has_no_upper_end() -> None:
    highs = [gradient_noise(mean_of_numbers(512, 0.0, seed), np.zeros(3), seed=seed).high for seed in range(10)]
    assert sum(math.isinf(high) for high in highs) >= 8
    still = gradient_noise(function_landscape(lambda w: jnp.sum(w**2), jnp.zeros(2)), np.ones(2))
    assert (still.scale, still.low, still.high, still.signal) == (0.0, 0.0, 0.0, pytest.approx(8.0))


def test_layers_carry_their_lengths_and_update_ratios(case: Small) -> None:
    gradient = jax.jit(jax.grad(plain_loss(case)))(case.flat)
    tree = case.landscape.tree(gradient)
    noise = gradient_noise(case.landscape, case.flat, piece=1, rate=0.1)
    assert [layer.name for layer in noise.layers] == ["hidden.0.layer", "hidden.1.layer", "last"]
    first, own = tree.hidden[0].layer, case.weights.hidden[0].layer
    length = float(jnp.sqrt(jnp.sum(first.weight**2) + jnp.sum(first.bias**2)))
    weights = float(jnp.sqrt(jnp.sum(own.weight**2) + jnp.sum(own.bias**2)))
    assert noise.layers[0].gradient == pytest.approx(length, rel=1e-5)
    assert noise.layers[0].weights == pytest.approx(weights)
    assert noise.layers[0].update == pytest.approx(0.1 * length / weights, rel=1e-5)
    given = gradient_noise(case.landscape, case.flat, piece=1, update=0.01 * case.flat)
    assert [layer.update for layer in given.layers] == pytest.approx([0.01] * 3)
    assert math.isnan(gradient_noise(case.landscape, case.flat, piece=1).layers[0].update)
    dead = gradient_noise(case.landscape, case.flat, piece=1, dead={"hidden.0.layer": 0.25})
    assert dead.layers[0].dead == 0.25
    assert math.isnan(dead.layers[-1].dead)


def test_layers_of_any_tree_have_names() -> None:
    tree = {"a": jnp.zeros((2, 3)), "b": [jnp.zeros(4), {"c": jnp.zeros(())}]}
    assert layers_of(tree) == {
        "a": ((slice(0, 6), (2, 3)),), "b": ((slice(6, 10), (4,)),), "b.1": ((slice(10, 11), ()),),
    }  # fmt: skip
    assert layers_of(jnp.zeros(3)) == {"weights": ((slice(0, 3), (3,)),)}


def test_the_rank_of_a_layers_gradient_tells_units_that_are_one(case: Small) -> None:
    parted = gradient_noise(case.landscape, case.flat, piece=1)
    assert [(layer.units, layer.rank) for layer in parted.layers] == [(5, 5), (4, 4), (3, 3)]
    alike = jax.tree.map(lambda leaf: jnp.full_like(leaf, 0.1), case.weights)
    same = gradient_noise(case.landscape, case.landscape.flat(alike), piece=1)
    assert [(layer.units, layer.rank) for layer in same.layers] == [(5, 1), (4, 1), (3, 1)]


def test_the_limit_of_a_rule_that_divides_is_that_of_its_own_coordinates(case: Small) -> None:
    dense = np.asarray(jax.jit(jax.hessian(plain_loss(case)))(case.flat))
    divisors = np.random.default_rng(0).uniform(0.1, 3.0, case.flat.size)
    shape = measure_shape(case.landscape, case.flat, probes=1)
    found = limit_curvature(case.landscape, case.flat, divisors, shape)
    assert found == pytest.approx(np.linalg.eigvals(dense / divisors[:, None]).real.max(), rel=1e-4)
    assert limit_curvature(case.landscape, case.flat, None, shape) == shape.largest


@pytest.mark.parametrize(("model", "shape"), [("mlp:8,4", (6,)), ("cnn:5,4/7", (8, 8, 1))])
def test_units_that_never_fire_are_counted(model: str, shape: tuple[int, ...]) -> None:
    case = small(model, "relu", rows=50, shape=shape, double=False)
    bias = case.weights.hidden[0].layer.bias
    kept = case.weights.hidden[0].layer.weight.at[:].set(0.0)
    for off in (0, 3):
        # Without weights a unit is its bias, for any row.
        weights = eqx.tree_at(
            lambda w: (w.hidden[0].layer.weight, w.hidden[0].layer.bias), case.weights,
            (kept, jnp.ones_like(bias).at[:off].set(-1.0)),
        )  # fmt: skip
        dead = dead_units(weights, case.rest, case.statistics, case.data, np.arange(50))
        assert len(dead) == len(case.weights.hidden)
        assert dead["hidden.0.layer"] == off / bias.size


def noise_of(scale: float, low: float = 1.0, high: float = math.inf) -> Noise:
    return Noise(scale, low, high, scale, 1.0, 100, 100, 1)


def test_the_batch_with_the_smallest_predicted_time_is_chosen() -> None:
    choice = choose_network_batch(noise_of(400.0, 300.0, 600.0), StepCost(64e-6, 1e-6), 5000)
    assert [row["batch_size"] for row in choice.candidates] == list(CANDIDATES)
    times = {size: (1 + 400 / size) * (64e-6 + size * 1e-6) for size in CANDIDATES}
    assert choice.value == max(size for size in times if times[size] <= 1.25 * min(times.values()))
    for row in choice.candidates:
        assert row["relative_time"] == pytest.approx(times[row["batch_size"]])
    assert "400 examples (95 %: 300 to 600)" in choice.reason
    few = choose_network_batch(noise_of(math.inf, 80.0), StepCost(64e-6, 1e-6), 100)
    assert [row["batch_size"] for row in few.candidates] == [16, 32, 64]
    assert few.candidates[0]["relative_steps"] == pytest.approx(1 + 80 / 16)
    assert "is above 80 examples" in few.reason
    most = choose_network_batch(noise_of(math.inf, 800.0), StepCost(64e-6, 1e-6), 500, most=40)
    assert [row["batch_size"] for row in most.candidates] == [16, 32]
    assert most.candidates[0]["relative_steps"] == pytest.approx(1 + 500 / 16)
    assert choose_network_batch(noise_of(1.0, 0.5, 2.0), StepCost(64e-6, 1e-6), 3).value == 16


def test_steps_are_timed_and_the_weights_left_alone() -> None:
    case = small(rows=400, double=False)
    before = case.flat.copy()
    loss = batch_loss(case.rest, case.loss, 0.0)
    cost = network_step_cost(loss, rule_of("adam", 0.9, 0.0), case.weights, case.statistics, case.data, 400)
    assert 1e-7 < cost.step < 0.1
    assert 0 < cost.example < 0.01
    assert math.log2(cost.step / cost.example) == pytest.approx(round(math.log2(cost.step / cost.example)), abs=1e-9)
    np.testing.assert_array_equal(case.landscape.flat(case.weights), before)


def of(function: Any, at: list[float], **settings: Any) -> Any:
    weights = np.array(at)
    return stop_point(function_landscape(function, jnp.asarray(weights)), weights, **settings)


def test_the_bottom_of_a_bowl_is_a_minimum() -> None:
    point = of(lambda w: 2.0 + jnp.sum(jnp.array([1.0, 10.0]) * w**2), [1e-4, -1e-5], rate=0.05)
    assert point.kind is StopKind.MINIMUM
    assert (point.largest, point.smallest) == (pytest.approx(20.0), pytest.approx(2.0))
    assert point.stability_limit == pytest.approx(0.1)
    assert point.escape_drop == 0.0
    assert point.message.startswith("a minimum: ")


def test_a_saddle_shows_the_way_out_and_what_it_gains() -> None:
    point = of(lambda w: w[0] ** 2 - w[1] ** 2 + w[1] ** 4, [1e-4, 1e-5], rate=0.1)
    assert point.kind is StopKind.SADDLE
    assert point.smallest == pytest.approx(-2.0)
    # The valley floor lies at y = 0.7071, a quarter below; the scan looks at y = 0.5 and 1.
    assert 0.18 < point.escape_drop <= 0.25
    assert point.escape_length in (pytest.approx(0.5), pytest.approx(1.0))
    assert "curves down by -2" in point.message


def test_a_saddle_with_one_side_only_is_seen_from_both() -> None:
    for sign in (1.0, -1.0):
        point = of(lambda w, s=sign: w[0] ** 2 + s * w[1] ** 3 - 0.01 * w[1] ** 2, [0.0, 0.0])
        assert point.kind is StopKind.SADDLE
        assert point.escape_drop > 0.5


def test_negative_curvature_that_gains_nothing_is_a_minimum() -> None:
    point = of(lambda w: w[0] ** 2 + 1e-4 * (jnp.cos(300 * w[1]) - 1) + 0.5 * w[1] ** 2, [0.0, 0.0])
    assert point.smallest < -1
    assert point.kind is StopKind.MINIMUM
    assert "gains nothing" in point.message


def test_far_out_on_a_bell_is_a_plateau() -> None:
    point = of(lambda w: -jnp.exp(-jnp.sum(w**2)), [5.0, 3.0], rate=0.1)
    assert point.kind is StopKind.PLATEAU
    assert point.gradient_norm < 1e-8
    assert point.reach == pytest.approx(math.sqrt(34))


@pytest.mark.parametrize(("rate", "kind"), [(1e-6, StopKind.SMALL_RATE), (0.4, StopKind.DESCENDING)])
def test_a_slope_that_is_left_is_told_from_a_stop(rate: float, kind: StopKind) -> None:
    point = of(lambda w: jnp.sum(w**2), [3.0, 1.0], rate=rate)
    assert point.kind is kind
    assert point.drop == pytest.approx(10.0)
    assert point.gradient_norm == pytest.approx(2 * math.sqrt(10))
    assert point.expected == pytest.approx(10.0 * (1 - (1 - 2 * rate) ** 2))


def test_a_gradient_below_its_own_scatter_is_the_noise_floor() -> None:
    landscape = mean_of_numbers(2000, 0.0, 0)
    best = np.asarray(landscape.data).mean(axis=0)
    off = best + np.array([0.1, 0.0, 0.0])
    point = stop_point(landscape, off, rate=0.1, batch=20)
    assert point.kind is StopKind.NOISE_FLOOR
    assert point.gradient_norm == pytest.approx(0.1, rel=1e-6)
    assert point.gradient_error == pytest.approx(math.sqrt(3 / 20), rel=0.1)
    assert point.drop == pytest.approx(0.005, rel=1e-3)
    assert "batches of 20" in point.message
    # With curvature 1 an update gains rate 0.01 and loses rate^2 / 2 (0.01 + 3 / 20).
    assert point.expected == pytest.approx(0.001 - 0.005 * 0.16, rel=0.2)
    # At a rate a thousand times smaller noise takes nothing back: only patience is missing.
    assert stop_point(landscape, off, rate=1e-4, batch=20).kind is StopKind.SMALL_RATE
    # Of all rows the gradient is exact, and the same point is still on its way down.
    assert stop_point(landscape, off, rate=0.1).kind is StopKind.SMALL_RATE
    assert stop_point(landscape, best, rate=0.1, batch=20).kind is StopKind.MINIMUM
    part = stop_point(landscape, off, rate=0.1, batch=20, sample=500)
    assert (part.rows, part.all_rows) == (500, 2000)
    assert part.gradient_norm != point.gradient_norm


def test_the_slope_may_be_taken_on_more_rows_than_the_curvature() -> None:
    landscape = mean_of_numbers(2000, 0.0, 0)
    off = np.asarray(landscape.data).mean(axis=0) + np.array([0.1, 0.0, 0.0])
    point = stop_point(landscape, off, curved=100)
    assert (point.rows, point.gradient_norm) == (2000, pytest.approx(0.1, rel=1e-6))
    assert point.drop == pytest.approx(0.005, rel=1e-3)


def test_what_counts_as_a_fall_is_measured_against_the_whole_descent() -> None:
    far = of(lambda w: 1e-5 * jnp.sum(w**2), [1.0, 2.0], rate=0.1, fallen=1e-3)
    assert far.kind is StopKind.SMALL_RATE
    near = of(lambda w: 1e-5 * jnp.sum(w**2), [1e-3, 2e-3], rate=0.1, fallen=1e-3)
    assert near.kind is StopKind.MINIMUM


def test_a_network_at_zero_weights_is_found_out() -> None:
    case = small("mlp:4", "tanh", rows=200, l2=0.0)
    zero = np.zeros_like(case.flat)
    weights = case.landscape.tree(zero)
    shares = np.bincount(np.asarray(case.data.target, int), minlength=3) / 200
    weights = eqx.tree_at(lambda w: w.last.bias, weights, jnp.log(jnp.asarray(shares)))
    point = stop_point(case.landscape, case.landscape.flat(weights), fallen=0.01)
    assert point.kind is StopKind.SADDLE
    assert point.escape_drop > 0


def test_records_go_to_files(case: Small) -> None:
    shape = record_to_json(measure_shape(case.landscape, case.flat, steps=5, probes=2))
    assert shape["rows"] == 600
    assert record_to_json(noise_of(3.0))["high"] == "inf"
    assert record_to_json(of(lambda w: jnp.sum(w**2), [3.0]))["kind"] == "still descending"
