"""Descent on functions of the caller's own: against SciPy, closed forms, and what a point of zero slope is."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

from downslope.errors import OptionError
from downslope.fitting import minimize
from downslope.models.surface.named import SURFACES
from downslope.records import StepRecord, Verdict
from downslope.records.surface import Stop

ROSENBROCK = SURFACES["rosenbrock"].function
RNG = np.random.default_rng(0)
DECAY_X = RNG.uniform(0.0, 3.0, 200)
DECAY_Y = 2.0 * np.exp(-1.3 * DECAY_X) + 0.5 + 0.05 * RNG.normal(size=200)


def decay(p: dict[str, jax.Array], batch: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Return the residuals of ``height exp(-pace x) + floor``."""
    x, y = batch
    return p["height"] * jnp.exp(-p["pace"] * x) + p["floor"] - y


def mean_square(p: dict[str, jax.Array], batch: tuple[jax.Array, jax.Array]) -> jax.Array:
    return jnp.mean(decay(p, batch) ** 2)


DECAY_START = {"height": 1.0, "pace": 1.0, "floor": 0.0}


def decay_by_scipy() -> np.ndarray:
    def residuals(p: np.ndarray) -> np.ndarray:
        return p[0] * np.exp(-p[1] * DECAY_X) + p[2] - DECAY_Y

    return scipy.optimize.least_squares(residuals, [1.0, 1.0, 0.0], xtol=1e-15, ftol=1e-15, gtol=1e-15).x


def test_newton_on_rosenbrock_is_exact_to_eight_digits_and_more() -> None:
    found = minimize(ROSENBROCK, np.array([-1.2, 1.0]))
    peer = scipy.optimize.minimize(
        scipy.optimize.rosen, [-1.2, 1.0], jac=scipy.optimize.rosen_der, hess=scipy.optimize.rosen_hess,
        method="trust-exact", options={"gtol": 1e-10},
    )  # fmt: skip
    np.testing.assert_allclose(found.params, [1.0, 1.0], atol=1e-8)
    np.testing.assert_allclose(found.params, peer.x, atol=1e-8)
    assert found.verdict is Verdict.CONVERGED
    assert found.kind is Stop.MINIMUM
    assert found.value < 1e-16
    assert found.updates < 40
    hessian = np.linalg.eigvalsh(scipy.optimize.rosen_hess([1.0, 1.0]))
    np.testing.assert_allclose([found.smallest, found.largest], hessian, rtol=1e-6)
    assert (found.setting("method"), found.setting("precision")) == ("scaled", "float64")
    objectives = [each.objective for each in found.steps]
    assert objectives == sorted(objectives, reverse=True)
    assert [each.update for each in found.steps] == list(range(found.updates + 1))


@pytest.mark.parametrize("name", ["beale", "himmelblau", "plateau", "six-hump-camel", "long-valley", "saddle"])
def test_scaled_steps_end_at_a_minimum_of_every_surface(name: str) -> None:
    surface = SURFACES[name]
    found = minimize(surface.function, np.array([1.0, 1.3]))
    assert found.kind is Stop.MINIMUM
    nearest = min(surface.minima, key=lambda each: float(np.abs(np.array(each.point) - found.params).max()))
    np.testing.assert_allclose(found.params, nearest.point, atol=1e-6)


def test_scaled_steps_from_the_ridge_of_a_saddle_escape_it() -> None:
    found = minimize(SURFACES["saddle"].function, np.array([1.0, 0.0]))
    np.testing.assert_allclose(np.abs(found.params), [0.0, np.sqrt(2.0)], atol=1e-7)
    assert found.kind is Stop.MINIMUM


def test_a_rule_does_not_escape_and_the_end_is_called_a_saddle() -> None:
    found = minimize(SURFACES["saddle"].function, np.array([1.0, 0.0]), rule="plain", learning_rate=0.1)
    np.testing.assert_allclose(found.params, [0.0, 0.0], atol=1e-9)
    assert (found.verdict, found.kind) == (Verdict.CONVERGED, Stop.SADDLE)
    assert (found.smallest, found.largest) == pytest.approx((-2.0, 2.0))


def test_a_race_of_a_single_update_is_judged_by_where_it_led() -> None:
    found = minimize(lambda p: (p[0] - 1.0) ** 2, [3.0], rule="plain", updates=1)
    assert found.value < found.objective_at_start
    assert found.setting("learning_rate") == pytest.approx(10.0**-0.5)  # the candidate nearest to 1 / f'' = 0.5


def test_level_ground_is_told_apart() -> None:
    assert minimize(lambda p: p[0], [3.0], updates=5).kind is Stop.SLOPE
    assert minimize(lambda p: (p[0] - p[1]) ** 2, [1.0, 0.0]).kind is Stop.FLAT_MINIMUM
    assert minimize(lambda p: 0.0 * p[0], [1.0]).kind is Stop.PLATEAU
    assert minimize(ROSENBROCK, [-1.2, 1.0], rule="plain", learning_rate=1e-3, updates=50).kind is Stop.SLOPE


def test_gauss_newton_fits_a_curve_as_scipy_does() -> None:
    found = minimize(decay, DECAY_START, (DECAY_X, DECAY_Y), residuals=True)
    np.testing.assert_allclose([found.params[name] for name in DECAY_START], decay_by_scipy(), rtol=1e-7)
    assert found.verdict is Verdict.CONVERGED
    assert found.setting("method") == "scaled"
    assert found.value == pytest.approx(float(np.mean(np.asarray(decay(found.params, (DECAY_X, DECAY_Y))) ** 2)))
    assert found.passes == found.updates


def test_mini_batches_come_to_the_same_fit_within_their_noise() -> None:
    found = minimize(mean_square, DECAY_START, (DECAY_X, DECAY_Y))
    assert (found.setting("method"), found.setting("precision")) == ("mini-batch", "float32")
    (chosen,) = [each for each in found.choices if each.name == "batch_size"]
    assert "noise scale" in chosen.reason
    assert found.setting("batch_size") == chosen.value
    best = minimize(mean_square, DECAY_START, (DECAY_X, DECAY_Y), method="scaled")
    assert found.value < best.value * 1.01
    np.testing.assert_allclose([found.params[name] for name in DECAY_START], decay_by_scipy(), atol=0.05)
    (rate,) = [each for each in found.choices if each.name == "learning_rate"]
    lowest = min(each["objective"] for each in rate.candidates if each["objective"] is not None)
    assert next(each for each in rate.candidates if each["learning_rate"] == rate.value)["objective"] == lowest
    assert found.passes == pytest.approx(found.updates * chosen.value / 200)
    assert found.steps[0].objective == pytest.approx(found.objective_at_start)
    assert found.steps[-1].objective == found.objective == found.value
    assert [each.update for each in found.steps] == sorted({each.update for each in found.steps})


def test_the_same_seed_gives_the_same_bits() -> None:
    def run(seed: int) -> dict[str, float]:
        data = (DECAY_X, DECAY_Y)
        return minimize(mean_square, DECAY_START, data, seed=seed, updates=9, rule="plain", learning_rate=0.1).params

    first, again, other = run(1), run(1), run(2)
    assert first == again
    assert first != other


def test_full_batch_steps_are_optax_by_hand() -> None:
    rule = optax.adam(0.05)
    point = jnp.array([-1.2, 1.0])
    state = rule.init(point)
    for _ in range(100):
        change, state = rule.update(jax.grad(ROSENBROCK)(point), state, point)
        point = point + change
    by_name = minimize(ROSENBROCK, np.array([-1.2, 1.0]), rule="adam", learning_rate=0.05, updates=100)
    by_hand = minimize(ROSENBROCK, np.array([-1.2, 1.0]), rule=rule, updates=100)
    np.testing.assert_allclose(by_name.params, point, atol=1e-12)
    np.testing.assert_allclose(by_hand.params, point, atol=1e-12)
    assert by_name.updates == 100
    assert by_hand.setting("rule") == "optax"


def test_convergence_is_told_at_the_update_where_it_came() -> None:
    # One step at rate 0.1 multiplies both coordinates of the bowl by 0.8.
    found = minimize(SURFACES["bowl"].function, [3.0, -4.0], rule="plain", learning_rate=0.1, tolerance=1e-3)
    assert found.updates == int(np.ceil(np.log(1e-3) / np.log(0.8)))
    assert found.value == pytest.approx(25.0 * 0.8 ** (2 * found.updates))
    assert found.gradient_norm == pytest.approx(10.0 * 0.8**found.updates)
    assert found.verdict is Verdict.CONVERGED


def test_a_rate_above_the_stability_limit_diverges_and_says_so() -> None:
    found = minimize(SURFACES["bowl"].function, [1.0, 1.0], rule="plain", learning_rate=1.5, updates=500)
    assert found.verdict is Verdict.DIVERGED
    assert "diverged at update" in found.message
    assert np.isfinite(found.params).all()
    left = minimize(SURFACES["bowl"].function, [1.0, 1.0], rule="plain", updates=500)
    assert left.verdict is Verdict.CONVERGED


def test_equinox_modules_are_learned_and_given_back() -> None:
    network = eqx.nn.MLP(1, 1, 8, 1, activation=jnp.tanh, key=jax.random.PRNGKey(0))

    def loss(network: eqx.nn.MLP, batch: dict[str, jax.Array]) -> jax.Array:
        return jnp.mean((jax.vmap(network)(batch["x"])[:, 0] - batch["y"]) ** 2)

    data = {"x": DECAY_X[:, None], "y": DECAY_Y}
    found = minimize(loss, network, data, rule="adam", learning_rate=0.05, updates=300)
    assert isinstance(found.params, eqx.nn.MLP)
    assert found.params.activation is network.activation
    assert found.value < 0.01 < found.objective_at_start
    floats = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), data)
    assert float(loss(found.params, floats)) == pytest.approx(found.value, rel=1e-4)
    assert network.layers[0].weight.dtype == np.asarray(network.layers[0].weight).dtype  # the start is not given away


def test_trees_keep_their_shape_and_numbers_stay_numbers() -> None:
    found = minimize(lambda p: (p["a"] - 2.0) ** 2 + jnp.sum((p["b"][0] - 1.0) ** 2), {"a": 0, "b": [np.zeros(2)]})
    assert found.params["a"] == pytest.approx(2.0)
    assert isinstance(found.params["a"], float)
    np.testing.assert_allclose(found.params["b"][0], [1.0, 1.0])
    assert isinstance(found.params["b"][0], np.ndarray)


def test_stochastic_steps_take_one_example_each() -> None:
    target = np.array([1.0, 3.0, 5.0, 7.0])
    found = minimize(
        lambda w, batch: jnp.mean((w - batch) ** 2), 0.0, target, method="stochastic", rule="plain",
        learning_rate=0.5, schedule="constant", epochs=1,
    )  # fmt: skip
    assert found.updates == 4
    assert found.params in target  # rate 1 / f'' lands on the example of the last step
    assert found.passes == 1.0


def test_epochs_are_fresh_shuffles_so_that_no_example_is_left_out() -> None:
    # Five examples in batches of two: one is left out of every epoch, and not always the same.
    weights = np.eye(5)
    found = minimize(
        lambda w, batch: jnp.mean(batch @ w), np.zeros(5), weights, method="mini-batch", rule="plain", batch_size=2,
        learning_rate=1.0, schedule="constant", epochs=20,
    )  # fmt: skip
    assert found.updates == 40
    assert (found.params < 0).all()
    assert found.params.sum() == pytest.approx(-40.0, rel=1e-5)


def test_budgets_end_a_descent() -> None:
    by_time = minimize(ROSENBROCK, [-1.2, 1.0], rule="plain", learning_rate=1e-8, updates=10**8, max_seconds=0.3)
    assert by_time.verdict is Verdict.BUDGET
    assert "max-seconds" in by_time.message
    assert minimize(ROSENBROCK, [-1.2, 1.0], updates=3).updates == 3


def test_a_watcher_sees_every_record_and_may_stop_the_descent() -> None:
    seen: list[StepRecord] = []
    found = minimize(ROSENBROCK, [-1.2, 1.0], watch=seen.append)
    assert tuple(seen) == found.steps

    def stop(record: StepRecord) -> None:
        if record.update == 5:
            raise KeyboardInterrupt

    stopped = minimize(ROSENBROCK, [-1.2, 1.0], watch=stop)
    assert (stopped.verdict, stopped.updates) == (Verdict.STOPPED, 5)
    assert stopped.value < stopped.objective_at_start


def test_many_numbers_to_learn_go_by_a_rule() -> None:
    found = minimize(lambda p: jnp.sum((p - 1.0) ** 2), np.zeros(1500))
    assert found.setting("method") == "full-batch"
    assert found.kind is Stop.MINIMUM
    np.testing.assert_allclose(found.params, 1.0, atol=1e-6)


def square(p: jax.Array) -> jax.Array:
    return jnp.sum(jnp.asarray(p) ** 2)


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        ((lambda p: p, np.ones(2)), {}, r"the loss must be one number, but has the shape \(2,\)"),
        ((lambda p: p * 1j, 1.0), {}, "the loss must be a real number"),
        ((lambda p: jnp.log(p[0]), [-1.0]), {}, "the loss is nan at the start"),
        ((square, "x"), {}, "params holds no number"),
        ((square, {}), {}, "params holds no number"),
        ((square, [1.0]), {"method": "mini-batch"}, "no data was given"),
        ((square, [1.0]), {"method": "scaled", "rule": optax.sgd(1.0)}, "a rule of your own was given"),
        ((square, np.ones(1001)), {"method": "scaled"}, "there are 1,001 to learn"),
        ((square, [1.0]), {"rule": "newton"}, "rule must be"),
        ((square, [1.0]), {"rule": 3}, "a rule is a name or an Optax transformation"),
        ((square, [1.0]), {"learning_rate": 0}, "learning-rate must be"),
        ((square, [1.0]), {"model": "mlp:3"}, 'the setting "model" does not apply to a function'),
        ((square, [1.0]), {"learning_rates": 1}, 'setting "learning_rates" does not exist; nearest: "learning_rate"'),
        ((square, [1.0]), {"updates": 0}, "updates must be a whole number of at least 1"),
        ((square, [1.0]), {"updates": 3, "epochs": 2}, "epochs and updates say the same"),
        ((square, [1.0], {"a": np.ones(3), "b": np.ones(4)}), {}, "must share a first axis"),
        ((square, [1.0], 3.0), {}, "must share a first axis"),
        ((square, [1.0], ["a", "b"]), {}, "not numbers; encode it first"),
        ((square, [1.0], ()), {}, "data holds no array"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(arguments: tuple[object, ...], settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(OptionError, match=sentence):
        minimize(*arguments, **settings)  # pyright: ignore[reportArgumentType]
