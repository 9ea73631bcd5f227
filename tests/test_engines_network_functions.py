"""Many descents at once, lane by lane: the rules against Optax alone, paths, noise, and lanes that break."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from downslope.engines.network.functions import LaneProgram, Measure, rule_from, value_shape
from downslope.engines.network.newton import FlatFunction
from downslope.errors import OptionError
from downslope.models.surface.named import SURFACES
from downslope.records.spec import NETWORK_RULES, RULES
from downslope.types import Matrix

STEPS = 100
STARTS = np.array([[1.2, -0.7], [-2.0, 3.0], [0.3, 0.4]])
EXTENT = np.array([10.0, 10.0])


def by_optax(rule: optax.GradientTransformation, start: Matrix) -> Matrix:
    """Return the points (STEPS + 1, d) of one descent of Himmelblau's function, written out."""
    slope = jax.grad(SURFACES["himmelblau"].function)

    def step(carried: tuple[jax.Array, optax.OptState], _: None) -> tuple[tuple[jax.Array, optax.OptState], jax.Array]:
        point, state = carried
        change, state = rule.update(slope(point), state, point)
        point = point + change
        return (point, state), point

    first = jnp.asarray(start)
    _, path = jax.lax.scan(step, (first, rule.init(first)), None, length=STEPS)
    return np.concatenate([start[None], np.asarray(path)])


PUBLISHED = {
    "plain": optax.sgd,
    "momentum": lambda rate: optax.sgd(rate, 0.9),
    "nesterov": lambda rate: optax.sgd(rate, 0.9, nesterov=True),
    "adagrad": lambda rate: optax.adagrad(rate, initial_accumulator_value=0.0, eps=1e-16),
    "rmsprop": lambda rate: optax.rmsprop(rate, 0.9, eps=1e-8, eps_in_sqrt=False),
    "adam": optax.adam,
    "adamw": lambda rate: optax.adamw(rate, weight_decay=0.0),
    "lion": lambda rate: optax.lion(rate, weight_decay=0.0),
    "prodigy": optax.contrib.prodigy,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_hundred_steps_are_those_of_optax(name: str) -> None:
    rate = {"prodigy": 1.0, "adam": 0.05, "adamw": 0.05, "adagrad": 0.1, "rmsprop": 0.01, "lion": 0.01}.get(name, 1e-3)
    program = LaneProgram(SURFACES["himmelblau"].function, rule_from(name, 0.9), STARTS.shape, STEPS, keep=3)
    found = program.descend(STARTS, rate, EXTENT)
    for index, start in enumerate(STARTS):
        path = by_optax(PUBLISHED[name](rate), start)
        np.testing.assert_allclose(found.path[:, index], path, rtol=0, atol=1e-7)
        np.testing.assert_array_equal(found.path[-1, index], found.points[index])


def test_every_rule_by_name_has_been_compared() -> None:
    assert {*PUBLISHED, "schedule-free"} == {*RULES, *NETWORK_RULES}


def test_schedule_free_answers_with_its_average() -> None:
    name, make = rule_from("schedule-free", 0.9)
    program = LaneProgram(SURFACES["bowl"].function, (name, make), STARTS.shape, STEPS, keep=3)
    found = program.descend(STARTS, 0.1, EXTENT)
    rule, slope = make(0.1), jax.grad(SURFACES["bowl"].function)
    point = jnp.asarray(STARTS[1])
    state = rule.init(point)
    for _ in range(STEPS):
        change, state = rule.update(slope(point), state, point)
        point = point + change
    np.testing.assert_allclose(found.path[-1, 1], point, atol=1e-9)
    np.testing.assert_allclose(
        found.points[1], optax.contrib.schedule_free_eval_params(state, point), atol=1e-9
    )  # fmt: skip


def test_each_lane_has_its_own_rate() -> None:
    program = LaneProgram(SURFACES["bowl"].function, rule_from("plain", 0.9), STARTS.shape, 10)
    rates = np.array([0.1, 0.25, 0.5])
    found = program.descend(STARTS, rates, EXTENT)
    np.testing.assert_allclose(found.points, STARTS * ((1.0 - 2.0 * rates) ** 10)[:, None], atol=1e-14)
    assert found.moved.tolist()[2] == 1


def test_a_lane_that_breaks_stays_where_it_was_finite_and_harms_no_other() -> None:
    starts = np.array([[3.0, 0.0], [1e-3, 0.0]])
    program = LaneProgram(lambda v: v[0] ** 4 + v[1] ** 2, rule_from("plain", 0.9), starts.shape, 50)
    found = program.descend(starts, 0.2, EXTENT)
    assert found.alive.tolist() == [False, True]
    assert np.isfinite(found.points).all()
    assert abs(found.points[0, 0]) > 1e100
    assert abs(found.points[1, 0]) < 1e-3


def test_noise_has_the_deviation_asked_for_and_depends_on_the_seed_alone() -> None:
    starts = np.zeros((20_000, 2))
    program = LaneProgram(lambda v: 0.0 * v[0], rule_from("plain", 0.9), starts.shape, 4, noisy=True)
    found = program.descend(starts, 0.5, EXTENT, noise=3.0, seed=7)
    spread = found.points.std(axis=0)
    np.testing.assert_allclose(spread, 0.5 * 3.0 * np.sqrt(4), rtol=0.02)
    assert abs(np.corrcoef(found.points.T)[0, 1]) < 0.02
    np.testing.assert_array_equal(program.descend(starts, 0.5, EXTENT, noise=3.0, seed=7).points, found.points)
    assert (program.descend(starts, 0.5, EXTENT, noise=3.0, seed=8).points != found.points).all()


def test_precision_is_the_one_asked_for() -> None:
    fine = LaneProgram(SURFACES["rosenbrock"].function, rule_from("plain", 0.9), STARTS.shape, 200)
    coarse = LaneProgram(
        SURFACES["rosenbrock"].function, rule_from("plain", 0.9), STARTS.shape, 200, precision="float32"
    )
    apart = np.abs(fine.descend(STARTS, 1e-4, EXTENT).points - coarse.descend(STARTS, 1e-4, EXTENT).points)
    assert 0 < apart.max() < 1e-4


def test_values_gradients_and_curvatures_are_those_of_calculus() -> None:
    met = Measure(lambda v: v[0] ** 3 * v[1] + jnp.sin(v[1]))(np.array([[2.0, 0.5]]))
    assert met.values[0] == pytest.approx(4.0 + np.sin(0.5))
    np.testing.assert_allclose(met.gradients[0], [6.0, 8.0 + np.cos(0.5)])
    np.testing.assert_allclose(met.hessians[0], [[6.0, 12.0], [12.0, -np.sin(0.5)]])


def test_what_is_no_rule_is_told() -> None:
    with pytest.raises(OptionError, match="a rule is a name or an Optax transformation"):
        rule_from(3, 0.9)
    assert value_shape(lambda v: v[:2], 3) == (2,)


def test_gauss_newton_is_the_normal_equations() -> None:
    rng = np.random.default_rng(0)
    inputs, target = rng.normal(size=(30, 3)), rng.normal(size=30)
    flat = FlatFunction(lambda w: inputs @ w - target, residuals=True)
    bowl = flat.bowl(np.zeros(3))
    best, *_ = np.linalg.lstsq(inputs, target)
    np.testing.assert_allclose(-bowl.step(0.0), best, atol=1e-12)
    assert bowl.gap() == pytest.approx(bowl.value - np.mean((inputs @ best - target) ** 2))
    np.testing.assert_allclose(flat.bowl(np.zeros(3), exact=True).bends, bowl.bends)


def test_a_step_goes_down_where_the_ground_curves_down() -> None:
    flat = FlatFunction(SURFACES["saddle"].function)
    bowl = flat.bowl(np.array([0.5, 0.1]))
    step = bowl.step(0.0)
    assert step[0] == pytest.approx(0.5)  # Newton's own along x
    assert step[1] < 0  # away from the saddle along y, where Newton's step would go to it
    lower = flat.escape(np.zeros(2), flat.bowl(np.zeros(2)))
    assert lower is not None
    assert float(SURFACES["saddle"].function(lower)) < -0.7
    assert flat.escape(np.array([0.0, np.sqrt(2.0)]), flat.bowl(np.array([0.0, np.sqrt(2.0)]))) is None


@pytest.mark.parametrize("name", ["plain", "adam"])
def test_a_measured_path_has_the_values_and_slopes_of_its_places(name: str) -> None:
    function = SURFACES["himmelblau"].function
    rule = rule_from(name, 0.9)
    seen = LaneProgram(function, rule, STARTS.shape, STEPS, keep=3, measured=True).descend(STARTS, 0.01, EXTENT)
    plain = LaneProgram(function, rule, STARTS.shape, STEPS, keep=3).descend(STARTS, 0.01, EXTENT)
    assert plain.values.size == plain.slopes.size == 0
    np.testing.assert_allclose(seen.path, plain.path, rtol=1e-12)
    for lane in range(3):
        values, slopes = Measure(function).slopes(seen.path[:, lane])
        np.testing.assert_allclose(seen.values[:, lane], values, rtol=1e-12)
        np.testing.assert_allclose(seen.slopes[:, lane], slopes, rtol=1e-12, atol=1e-12)
